"""Every address of the product. One line per page family; the API has its own file."""

from django.urls import URLPattern, URLResolver, path

from console.views import session

handler400 = "console.views.errors.bad_request"
handler403 = "console.views.errors.permission_denied"
handler404 = "console.views.errors.not_found"
handler500 = "console.views.errors.server_error"

urlpatterns: list[URLPattern | URLResolver] = [
    path("sign-in/", session.sign_in, name="sign-in"),
    path("sign-out/", session.sign_out, name="sign-out"),
    path("appearance/", session.appearance, name="appearance"),
]
