/* When the server refuses, fails or is gone: what is on the page stays, and says what happened. */
import { all, on, one, readCookie, toast } from "./dom.js";

/* What nobody asked for: parts that poll are told of in one line (stale.js), and quiet ones not at all. */
const isPoll = (ctx) => ctx?.sourceEvent?.type === "every" || ctx?.sourceElement?.dataset?.poll === "quiet";
const requestOf = (text) => text.match(/Request (\S+?)\.?$/)?.[1] ?? "";

/* --- the same once more */
function again({ sourceElement: source, request, target, swap }) {
  if (source?.isConnected && source.matches("form")) source.requestSubmit(request.submitter?.isConnected ? request.submitter : undefined);
  else if ((request.method ?? "GET") === "GET") htmx.ajax("GET", request.action, { source, target, swap });
  else source?.click();
}

function bar(what, rest, retry) {
  const template = one("#error-bar");
  if (!template) { toast(`${what} ${rest}`, { tone: "error" }); return; }
  all(".error-bar").forEach((old) => old.remove());
  const made = template.content.firstElementChild.cloneNode(true);
  one("b", made).textContent = what;
  one("span", made).textContent = rest;
  const place = one("dialog[open] > :first-child") ?? one("#main");
  const head = one(":scope > .topbar", place);
  if (head) head.after(made); else place.prepend(made);
  const button = one("[data-again]", made);
  button.hidden = !retry;
  button.addEventListener("click", () => { made.remove(); retry(); });
}
on("click", (event) => event.target.closest("[data-close-bar]")?.closest(".error-bar").remove());

on("htmx:error", ({ detail: { ctx, error } }) => {
  if (isPoll(ctx) || !ctx?.request || error?.name === "AbortError") return;
  const asked = (ctx.request.method ?? "GET") === "GET";
  bar("The server did not answer.", asked ? "What you see may be old." : "Check whether it took effect before you send it again.", () => again(ctx));
});

on("htmx:response:error", ({ detail: { ctx } }) => {
  const { status, headers } = ctx.response;
  if (isPoll(ctx) || ctx.hx?.handled || status === 409 || status === 422) return;
  const text = (ctx.text ?? "").slice(0, 400);
  const told = headers.get("Content-Type")?.startsWith("text/plain") ? text : "";
  if (status === 401) signInAgain(() => again(ctx));
  else if (status >= 500) bar(told || "The server failed.", requestOf(told) ? "" : `Request ${headers.get("X-Request-Id") ?? "unknown"}.`, () => again(ctx));
  else if (status === 404 && (ctx.request.method ?? "GET") === "GET") gone(ctx.target, told || "This is not there any more.");
  else toast(told || "The server refused this.", { tone: "error" });
});

/* In its place: "no longer there", not an empty spot. */
function gone(target, text) {
  if (!target?.isConnected || target === document.body) { toast(text, { tone: "error" }); return; }
  const note = document.createElement("div");
  note.className = "empty";
  note.setAttribute("role", "status");
  note.textContent = text;
  target.replaceChildren(note);
}

/* --- a page that waits says so, and does not jump */
const busy = (ctx, yes) => {
  if (isPoll(ctx) || !ctx?.target?.setAttribute) return;
  if (yes) ctx.target.setAttribute("aria-busy", "true"); else ctx.target.removeAttribute("aria-busy");
};
on("htmx:before:request", ({ detail: { ctx } }) => busy(ctx, true));
on("htmx:finally:request", ({ detail: { ctx } }) => busy(ctx, false));

/* --- tokens of forms: signing in elsewhere gives the browser another one; the newest counts */
function freshToken(form) {
  const token = readCookie("csrftoken");
  const input = form?.elements?.csrfmiddlewaretoken;
  if (token && input && form.method === "post") input.value = token;
}
addEventListener("submit", (event) => freshToken(event.target), true);
on("htmx:config:request", ({ detail: { ctx } }) => {
  const token = readCookie("csrftoken");
  if (token && ctx.request.body?.has?.("csrfmiddlewaretoken")) ctx.request.body.set("csrfmiddlewaretoken", token);
});

/* --- signed out meanwhile: sign in over the page, then the same once more */
let onceIn;

export async function signInAgain(then) {
  onceIn = then;
  const dialog = one("#signed-out");
  if (!dialog || dialog.open) return;
  try {
    const answer = await fetch("/sign-in/", { headers: { "HX-Request": "true" } });
    if (answer.status === 204) { backIn(dialog); return; } // signed in again in another tab
    fill(dialog, await answer.text());
    dialog.showModal();
  } catch {
    bar("The server did not answer.", "You were signed out before.", () => signInAgain(then));
  }
}

function fill(dialog, html) {
  dialog.innerHTML = html;
  const name = one("[name=username]", dialog);
  if (!name.value) name.value = document.body.dataset.person ?? "";
  name.removeAttribute("autofocus");
  (name.value ? one("[name=password]", dialog) : name).setAttribute("autofocus", "");
  if (dialog.open) one("[autofocus]", dialog).focus();
}

function backIn(dialog) {
  dialog.close();
  const then = onceIn;
  onceIn = undefined;
  then?.();
}

on("submit", async (event) => {
  const dialog = event.target.closest("#signed-out");
  if (!dialog) return;
  event.preventDefault();
  const form = event.target;
  const answer = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { "HX-Request": "true" } }).catch(() => undefined);
  if (!answer) { toast("The server did not answer. Try again.", { tone: "error" }); return; }
  if (answer.status !== 204) { fill(dialog, await answer.text()); return; }
  // Somebody else: what the page shows is not theirs.
  if (form.elements.username.value !== document.body.dataset.person) { location.reload(); return; }
  backIn(dialog);
});
on("click", (event) => { if (event.target.closest("[data-sign-in]")) signInAgain(); });
