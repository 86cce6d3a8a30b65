/* Parts that poll and get no answer: the page keeps what it shows, and one line says what happened, of when that is and
   under which request. It goes when every part that failed has been answered again. */
import { all, on, one } from "./dom.js";
import { show } from "./live.js";
import { signInAgain } from "./trouble.js";

const SPARED = 1; // one failure may be a hiccup: the word "Stale" is enough then
const failing = new Map(); // by part: how often in a row, and what was wrong
const answered = new Map(); // by part: when it was last right
const opened = new Date();
const POLLS = "[data-poll]:not([data-poll='quiet'])"; // quiet: what nobody misses when it does not come
const nameOf = (part) => part.id || part.getAttribute("hx-get");
const clock = (moment) => moment.toLocaleTimeString("en-GB");
const isPoll = (ctx) => ctx?.sourceEvent?.type === "every";

function problemOf({ response, text }) {
  if (!response) return { what: navigator.onLine ? "The server does not answer." : "This computer is offline." };
  const { status, headers } = response;
  const [, said, id] = headers.get("Content-Type")?.startsWith("text/plain") ? /^(.*?)(?: Request (\S+?)\.)?$/s.exec((text ?? "").slice(0, 400)) : [];
  const request = id ?? headers.get("X-Request-Id") ?? "";
  if (status === 401) return { what: "You were signed out.", signedOut: true };
  return { what: said || (status >= 500 ? "The server failed." : `The server refused this, with ${status}.`), request };
}

function failed(part, ctx) {
  if (one("[data-live]")?.dataset.state === "gone") return; // that is told already
  const name = nameOf(part);
  const problem = problemOf(ctx);
  failing.set(name, { ...problem, times: (failing.get(name)?.times ?? 0) + 1 });
  show("stale", problem.signedOut ? "Signed out" : `Stale since ${clock(answered.get(name) ?? opened)}`);
  tell();
}

function right(part) {
  answered.set(nameOf(part), new Date());
  if (!failing.delete(nameOf(part))) return;
  tell();
  if (!failing.size) show("live");
}

/* What is not on the page any more holds nothing up. */
function worst() {
  const here = new Set(all(POLLS).map(nameOf));
  [...failing.keys()].filter((name) => !here.has(name)).forEach((name) => failing.delete(name));
  const told = [...failing].filter(([, each]) => each.signedOut || each.times > SPARED);
  return told.sort(([, one], [, other]) => Boolean(other.signedOut) - Boolean(one.signedOut))[0];
}

/* Written once for each problem: a line that is read out must not be read out with every poll. */
function tell() {
  const old = one(".stale-bar");
  const [name, problem] = worst() ?? [];
  if (old?.dataset.what === problem?.what) return;
  old?.remove();
  if (!problem) return;
  const made = one("#stale-bar").content.firstElementChild.cloneNode(true);
  made.dataset.what = problem.what;
  one("b", made).textContent = problem.what;
  one("span", made).textContent = `What you see is of ${clock(answered.get(name) ?? opened)}.${problem.signedOut ? "" : " It is asked again by itself."}${problem.request ? ` Request ${problem.request}.` : ""}`;
  one("[data-sign-in-again]", made).hidden = !problem.signedOut;
  one("[data-poll-again]", made).hidden = Boolean(problem.signedOut);
  const head = one("#main > .topbar");
  if (head) head.after(made); else one("#main").prepend(made);
}

on("htmx:after:request", ({ target, detail: { ctx } }) => {
  if (!isPoll(ctx) || !target.matches(POLLS)) return;
  if (ctx.response.status < 400) right(target); else failed(target, ctx);
});
on("htmx:error", ({ target, detail: { ctx, error } }) => {
  if (isPoll(ctx) && error?.name !== "AbortError" && target.matches?.(POLLS)) failed(target, { });
});

on("htmx:after:swap", () => { if (failing.size) tell(); });

const again = () => all(POLLS).forEach((part) => htmx.trigger(part, "every", { hint: true }));
on("click", ({ target }) => {
  const pill = target.closest("[data-live][data-state='stale']");
  if (!pill && !target.closest("[data-poll-again], [data-sign-in-again]")) return;
  if ([...failing.values()].some((each) => each.signedOut)) signInAgain(again);
  else again();
});
