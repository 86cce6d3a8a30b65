/* Runs that are picked in the list. Kept for each filter of the list, over pages, polls and reloads; "all matching" is a
   frozen query that the server counts. Without this script the picked rows of one page are sent as a plain form. */
import { all, isTyping, on, one, onClick, toast } from "./dom.js";

const MOST_PICKED = 300; // more do not fit into an address
const ENDED = ["succeeded", "failed", "cancelled"];
const number = new Intl.NumberFormat("en-US");
const bar = one("#bulk-bar");
const boxes = () => all("#runs .col-pick input[name=pick]");

/* --- which list: its filter, whatever the page of it */
function query() {
  const address = new URL(one("#runs")?.getAttribute("hx-get") ?? location.href, location.href);
  ["after", "before"].forEach((name) => address.searchParams.delete(name));
  address.searchParams.sort();
  return address.searchParams;
}
const key = () => `selection ${query()}`;

/* --- what is picked: {runs: {id: state}} or {matching: {frozen, matched, retry, fork, cancel}} */
function load() {
  try { return JSON.parse(sessionStorage.getItem(key())) ?? { runs: {} }; } catch { return { runs: {} }; }
}
function keep(chosen) {
  if (chosen.matching || Object.keys(chosen.runs).length) sessionStorage.setItem(key(), JSON.stringify(chosen));
  else sessionStorage.removeItem(key());
  show(chosen);
}

const isPicked = (chosen, box) => chosen.matching ? Date.parse(box.dataset.created) <= Date.parse(chosen.matching.frozen) : box.value in chosen.runs;

function counts({ matching, runs }) {
  if (matching) return { chosen: matching.matched, retry: matching.retry, fork: matching.fork, cancel: matching.cancel };
  const states = Object.values(runs);
  const of = (state) => states.filter((each) => each === state).length;
  return {
    chosen: states.length,
    retry: of("failed") || of("cancelled"),
    fork: states.filter((state) => ENDED.includes(state)).length,
    cancel: states.filter((state) => !ENDED.includes(state)).length,
  };
}

/* --- what is seen */
function show(chosen = load()) {
  const here = boxes();
  here.forEach((box) => {
    box.checked = isPicked(chosen, box);
    if (box.checked && !chosen.matching) chosen.runs[box.value] = box.dataset.state; // it may have moved on since
  });
  const picked = here.filter((box) => box.checked).length;
  const head = one("[data-pick-page]");
  if (head) { head.checked = picked > 0 && picked === here.length; head.indeterminate = picked > 0 && picked < here.length; }
  const told = counts(chosen);
  bar.classList.toggle("is-open", told.chosen > 0);
  if (!told.chosen) return;
  one("[data-chosen]", bar).textContent = number.format(told.chosen);
  ["retry", "fork", "cancel"].forEach((name) => {
    const count = one(`[data-count="${name}"]`, bar);
    if (!count) return;
    count.textContent = number.format(told[name]);
    count.closest("button").disabled = !told[name];
  });
  const matching = one("table[data-matching]")?.dataset.matching;
  const more = one("[data-choose-matching]", bar);
  more.textContent = `Select all ${matching} matching`;
  more.hidden = Boolean(chosen.matching) || !matching || matching === number.format(told.chosen);
}

/* --- picking */
let anchor = "";

function pick(some, wanted) {
  let chosen = load();
  if (chosen.matching) chosen = { runs: Object.fromEntries(boxes().filter((box) => isPicked(chosen, box)).map((box) => [box.value, box.dataset.state])) };
  some.forEach((box) => { if (wanted) chosen.runs[box.value] = box.dataset.state; else delete chosen.runs[box.value]; });
  if (Object.keys(chosen.runs).length > MOST_PICKED) {
    toast(`At most ${MOST_PICKED} runs can be picked one by one. Narrow the list with its filter, then select all that match.`, { tone: "warning" });
    show();
    return;
  }
  keep(chosen);
}

function upTo(box) {
  const here = boxes();
  const from = here.findIndex((each) => each.value === anchor);
  const to = here.indexOf(box);
  return from < 0 ? [box] : here.slice(Math.min(from, to), Math.max(from, to) + 1);
}

on("click", (event) => {
  const box = event.target.closest(".col-pick input");
  if (!box) return;
  if (box.matches("[data-pick-page]")) { pick(boxes(), box.checked); return; }
  pick(event.shiftKey ? upTo(box) : [box], box.checked);
  anchor = box.value;
});
/* A range is picked, not its text. */
on("mousedown", (event) => { if (event.shiftKey && event.target.closest(".col-pick")) event.preventDefault(); });

onClick("[data-choose-none]", () => { keep({ runs: {} }); one("#main").focus({ preventScroll: true }); });

onClick("[data-choose-matching]", async (button) => {
  button.disabled = true;
  try {
    const answer = await fetch(`${bar.dataset.counts}?${query()}`, { headers: { Accept: "application/json" } });
    const told = await answer.json();
    if (answer.ok) keep({ runs: {}, matching: told });
    else toast(told.problem ?? "The server refused this.", { tone: "error" });
  } catch {
    toast("The server did not answer. Nothing was selected.", { tone: "error" });
  } finally {
    button.disabled = false;
    one("button[name=bulk]:not([disabled])", bar)?.focus({ preventScroll: true });
  }
});

/* --- on to the preview */
bar.addEventListener("submit", (event) => {
  const chosen = load();
  const asked = query();
  asked.set("bulk", event.submitter?.value ?? "retry");
  if (chosen.matching) { asked.set("matching", "1"); asked.set("frozen", chosen.matching.frozen); }
  else Object.keys(chosen.runs).forEach((id) => asked.append("pick", id));
  event.preventDefault();
  location.assign(`${bar.action}?${asked}`);
});

/* --- by keyboard, on the row under the cursor */
on("keydown", (event) => {
  if (isTyping(event) || event.metaKey || event.ctrlKey || event.altKey || event.defaultPrevented || one("dialog[open]")) return;
  if (event.key === "r" && bar.classList.contains("is-open")) { event.preventDefault(); one('button[value="retry"]', bar)?.click(); return; }
  if (event.key === "a" && bar.classList.contains("is-open")) { one("[data-choose-matching]:not([hidden])", bar)?.click(); return; }
  const range = event.key === "X";
  if (!(event.key === "x" || range)) return;
  const box = one("#runs tr.is-cursor .col-pick input") ?? boxes()[0];
  if (!box) return;
  event.preventDefault();
  pick(range ? upTo(box) : [box], range || !box.checked);
  anchor = box.value;
});

on("htmx:after:swap", () => show());
addEventListener("pageshow", () => show());
show();
