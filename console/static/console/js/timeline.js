/* The timeline of a run: a tree grid with one tab stop; the step that is chosen stands in the address. */
import { all, copy, isPhone, isTyping, on, one, onClick } from "./dom.js";
import { load } from "./zoom.js";

const LOAD_AFTER_MS = 60;
const grid = () => one("#step-rows");
const visible = () => all(".step-row", grid()).filter((row) => !row.hidden);
const folds = new Map(); // what somebody folded or unfolded; a poll must not undo it
let loading;

function showBelow(row, shown) {
  all(`.step-row[data-parent="${CSS.escape(row.id)}"]`, grid()).forEach((child) => {
    child.hidden = !shown;
    if (child.hasAttribute("aria-expanded")) showBelow(child, shown && child.getAttribute("aria-expanded") === "true");
  });
}

function fold(row, open = row.getAttribute("aria-expanded") === "false") {
  if (!row?.hasAttribute("aria-expanded")) return;
  if (open && row.hasAttribute("data-far")) { unfoldFar(row); return; }
  row.setAttribute("aria-expanded", open);
  folds.set(row.id, open);
  showBelow(row, open);
}

/* Of a very long run only what is unfolded is in the page: the server unfolds, and the address keeps it. */
async function unfoldFar(row) {
  const { id } = row;
  const here = new URL(location);
  here.searchParams.append("open", id);
  history.replaceState(history.state, "", here);
  await load();
  focus(document.getElementById(id));
}

function focus(row) {
  if (!row) return;
  all('.step-row[tabindex="0"]', grid()).forEach((other) => { other.tabIndex = -1; });
  row.tabIndex = 0;
  row.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function choose(row) {
  if (!row) return;
  if (!row.dataset.step) { focus(row); return; }
  all('.step-row[aria-selected="true"]', grid()).forEach((other) => other.setAttribute("aria-selected", "false"));
  row.setAttribute("aria-selected", "true");
  focus(row);
  const here = new URL(location);
  here.searchParams.set("step", row.dataset.step);
  here.searchParams.delete("attempt");
  if (isPhone()) { location.assign(here); return; }
  history.replaceState(history.state, "", here);
  clearTimeout(loading);
  loading = setTimeout(() => inspect(here.search), LOAD_AFTER_MS);
}

async function inspect(search) {
  const inspector = one("#inspector");
  inspector.hidden = false;
  await htmx.ajax("GET", one("[data-steps]").dataset.steps + search, { target: "#inspector", swap: "innerHTML" });
  inspector.scrollTop = 0;
}

onClick("[data-fold]", (button, event) => { event.stopImmediatePropagation(); fold(button.closest(".step-row")); });

on("click", (event) => {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  const row = event.target.closest(".step-row");
  if (row && !event.target.closest("[data-fold]")) { event.preventDefault(); choose(row); }
});

onClick("[data-attempt]", (link, event) => {
  if (isPhone() || event.metaKey || event.ctrlKey) return;
  event.preventDefault();
  const here = new URL(location);
  const asked = new URL(link.href).searchParams;
  for (const name of ["step", "attempt"]) here.searchParams.set(name, asked.get(name));
  history.replaceState(history.state, "", here);
  inspect(here.search);
});

function close() {
  if (!grid()) return;
  one("#inspector").hidden = true;
  const here = new URL(location);
  for (const name of ["step", "attempt"]) here.searchParams.delete(name);
  history.replaceState(history.state, "", here);
  focus(one('.step-row[aria-selected="true"]', grid()));
}
onClick("[data-close-step]", close);

/* The filter's own fields are not all that the address holds. */
on("htmx:config:request", (event) => {
  const keep = event.target.dataset?.keep;
  if (!keep) return;
  const here = new URLSearchParams(location.search);
  keep.split(" ").forEach((name) => { if (here.has(name)) event.detail.ctx.request.body?.set?.(name, here.get(name)); });
});

/* Without a step in the address the inspector follows what the page puts first: what runs, then what failed. */
function follow() {
  const row = one('.step-row[aria-selected="true"]', grid());
  const inspector = one("#inspector");
  const shown = one("[data-shows]", inspector)?.dataset.shows;
  if (!row || inspector.hidden || isPhone() || row.dataset.step === shown) return;
  if (new URLSearchParams(location.search).has("step")) return;
  inspect(`?step=${encodeURIComponent(row.dataset.step)}`);
}

on("htmx:after:swap", (event) => {
  if (!grid()) return;
  if (event.target.id === "run") follow();
  folds.forEach((open, id) => {
    const row = document.getElementById(id);
    if (row?.hasAttribute("aria-expanded") && !row.hidden) fold(row, open);
  });
});

const steps = {
  ArrowDown: (rows, at) => choose(rows[at + 1]), j: (rows, at) => choose(rows[at + 1]),
  ArrowUp: (rows, at) => choose(rows[at - 1]), k: (rows, at) => choose(rows[at - 1]),
  Home: (rows) => choose(rows[0]), End: (rows) => choose(rows.at(-1)),
  Enter: (rows, at) => choose(rows[at]),
  ArrowRight: (rows, at) => fold(rows[at], true),
  ArrowLeft: (rows, at) => rows[at].getAttribute("aria-expanded") === "true" ? fold(rows[at], false) : focus(document.getElementById(rows[at].dataset.parent)),
  e: (rows, at) => choose([...rows.slice(at + 1), ...rows.slice(0, at + 1)].find((row) => row.matches(".is-bad:not([aria-expanded])"))),
  c: () => copy(location.href, "Link to step copied"),
  Escape: () => { if (!one("#inspector").hidden) close(); },
};

on("keydown", (event) => {
  if (!grid() || isTyping(event) || event.metaKey || event.ctrlKey || event.altKey || one("dialog[open]")) return;
  const inGrid = event.target.closest?.(".step-row");
  const roving = inGrid ?? one('.step-row[tabindex="0"]', grid());
  const act = steps[event.key];
  // Arrows, Home, End and Enter keep their own meaning elsewhere on the page.
  if (!act || !roving || (event.key.length > 1 && event.key !== "Escape" && !inGrid)) return;
  event.preventDefault();
  const rows = visible();
  act(rows, rows.indexOf(roving));
});

const chosen = grid() && one('.step-row[aria-selected="true"]', grid());
if (chosen && !isPhone()) chosen.scrollIntoView({ block: new URLSearchParams(location.search).has("step") ? "center" : "nearest" });
