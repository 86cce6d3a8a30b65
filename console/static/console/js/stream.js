/* Live by hints: the server says that something changed, and the page's own poll asks for it at once, at most once a
   second. While hints come the poll rests; without them, or without a stream, it goes on as on any other page. */
import { on, one } from "./dom.js";
import { busy, show } from "./live.js";

const APART_MS = 1000;
const RESTS_MS = 5000; // running bars grow, and a hint may be lost
const PATIENCE_MS = 1500; // a stream that ends and begins again is no trouble
const AGAIN_MS = 60_000;
const TRIES = 2;
const run = () => one("#run[data-live-url]");
let source = null;
let failures = 0;
let due = false;
let asked = 0;
let waiting = 0;
let gone = false;

function ask() {
  if (!due || busy() || Date.now() - asked < APART_MS || !run()) return;
  due = false;
  asked = Date.now();
  const step = one("#step[hx-get]");
  htmx.trigger(run(), "every", { hint: true });
  if (step) htmx.trigger(step, "every", { hint: true });
}
const hint = () => { due = true; ask(); };
setInterval(() => {
  if (Date.now() - asked >= RESTS_MS) due = true;
  if (source) ask();
}, 250);

const healthy = () => source?.readyState === EventSource.OPEN;

/* The poll's own beat is not needed while hints come. */
on("htmx:config:request", (event) => {
  const beat = event.detail.ctx.sourceEvent;
  if (beat?.type === "every" && !beat.detail?.hint && healthy() && event.target.closest("#run")) event.preventDefault();
});

function close() {
  clearTimeout(waiting);
  source?.close();
  source = null;
}

function connect() {
  if (source || document.hidden || gone || failures >= TRIES || !run() || !window.EventSource) return;
  source = new EventSource(run().dataset.liveUrl);
  source.addEventListener("open", () => {
    clearTimeout(waiting);
    if (one("[data-live]")?.dataset.state === "reconnecting") show("live");
    failures = 0;
  });
  source.addEventListener("change", hint);
  source.addEventListener("end", () => { close(); due = true; ask(); });
  source.addEventListener("gone", deleted);
  source.addEventListener("error", broken);
}

function broken() {
  failures += 1;
  if (source.readyState === EventSource.CLOSED) failures = TRIES; // it was refused: trying again at once is no use
  if (failures >= TRIES) { close(); due = true; ask(); return; }
  clearTimeout(waiting);
  waiting = setTimeout(() => { if (!healthy() && one("[data-live]")?.dataset.state === "live") show("reconnecting"); }, PATIENCE_MS);
}
setInterval(() => { failures = 0; connect(); }, AGAIN_MS);

/* What is on the page stays: it may be all that is left of the run. */
function deleted() {
  if (gone) return;
  gone = true;
  close();
  show("gone");
  const note = document.createElement("div");
  note.className = "alert tone-wait";
  note.setAttribute("role", "alert");
  note.innerHTML = "<div><b></b> <span></span></div>";
  one("b", note).textContent = "This run was deleted.";
  one("span", note).textContent = `Since ${new Date().toLocaleTimeString("en-GB")} the server has it no more. What you see stays until you leave; copy what you need.`;
  one(".run-head")?.after(note);
}

/* Nor does an answer that was under way draw the page as if the run were there. */
on("htmx:before:swap", (event) => {
  const { ctx } = event.detail;
  if (gone && (ctx.response?.status === 404 || ctx.sourceEvent?.type === "every")) event.preventDefault();
});
on("htmx:after:request", (event) => {
  const { ctx } = event.detail;
  if (ctx.sourceEvent?.type === "every" && ctx.response?.status === 404 && event.target.id === "run") deleted();
});
on("htmx:config:request", (event) => {
  if (gone && event.detail.ctx.sourceEvent?.type === "every") event.preventDefault();
});
on("htmx:after:swap", () => { if (!run()) close(); else connect(); });
on("visibilitychange", () => {
  if (document.hidden) close();
  else { connect(); due = true; }
});
addEventListener("pagehide", close);
addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
connect();
