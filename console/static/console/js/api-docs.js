// Starts Swagger UI on the API's own page. A file of its own: the policy allows no script in the page.
const place = document.getElementById("api-docs");

window.SwaggerUIBundle({
  url: place.dataset.schema,
  dom_id: "#api-docs",
  docExpansion: "list",
  validatorUrl: null,
  requestInterceptor(request) {
    // A signed-in browser's writes need this; a token in "Authorize" does without.
    if (!["GET", "HEAD"].includes(request.method ?? "GET")) {
      request.headers["X-CSRFToken"] = place.dataset.csrf;
    }
    return request;
  },
});
