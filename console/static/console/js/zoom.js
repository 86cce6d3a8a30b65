/* A part of a run's time: dragged on the minimap, or a step's own (`z`); `0` and a double click show it whole.
   What is shown stands in the address as `from` and `to`, in seconds since the run began. */
import { isTyping, on, one, onClick } from "./dom.js";

const SHORTEST = 0.4; // per cent of the minimap; less was a click
const MARGIN = 0.08; // around a step, of its length
const map = () => one("[data-overview] .overview");
let drag = null;

/* From a place in per cent to seconds: the axis is straight between the edges of folded stretches. */
function secondAt(place) {
  const axis = JSON.parse(map().dataset.axis);
  const at = Math.max(1, axis.findIndex(([, edge], number) => number && place <= edge));
  const [[low, start], [high, end]] = [axis[at - 1], axis[at] ?? axis.at(-1)];
  return end > start ? low + (place - start) / (end - start) * (high - low) : low;
}

export function load() {
  return htmx.ajax("GET", location.pathname + location.search, { target: "#run", swap: "outerMorph" });
}

function zoom(low, high) {
  const here = new URL(location);
  for (const [name, second] of [["from", low], ["to", high]]) {
    if (second === undefined) here.searchParams.delete(name);
    else here.searchParams.set(name, String(Math.round(second * 1000) / 1000));
  }
  if (here.search === location.search) return;
  history.replaceState(history.state, "", here);
  load();
}

function mark(from, to) {
  const brush = one(".brush", map());
  const [left, right, frame] = brush.children;
  brush.removeAttribute("hidden");
  left.setAttribute("width", `${from}%`);
  right.setAttribute("x", `${to}%`);
  right.setAttribute("width", `${100 - to}%`);
  frame.setAttribute("x", `${from}%`);
  frame.setAttribute("width", `${to - from}%`);
}

function place(event) {
  const { left, width } = map().getBoundingClientRect();
  return Math.min(Math.max((event.clientX - left) / width * 100, 0), 100);
}

on("pointerdown", (event) => {
  const over = event.target.closest("[data-overview]");
  if (!over || event.button) return;
  event.preventDefault();
  over.setPointerCapture(event.pointerId);
  drag = { from: place(event), brush: one(".brush", map()).hasAttribute("hidden") };
});
on("pointermove", (event) => {
  if (!drag) return;
  const to = place(event);
  if (Math.abs(to - drag.from) >= SHORTEST) mark(Math.min(drag.from, to), Math.max(drag.from, to));
});
on("pointerup", (event) => {
  if (!drag) return;
  const [low, high] = [drag.from, place(event)].sort((a, b) => a - b);
  drag = null;
  if (high - low >= SHORTEST) zoom(secondAt(low), secondAt(high));
});
on("pointercancel", () => { drag = null; });
on("dblclick", (event) => { if (event.target.closest("[data-overview]")) zoom(); });

function zoomToStep() {
  const row = one('.step-row[aria-selected="true"]') ?? one('.step-row[tabindex="0"]');
  if (!row?.dataset.span) return;
  const [low, high] = row.dataset.span.split(" ").map(Number);
  const around = Math.max((high - low) * MARGIN, 0.02);
  zoom(Math.max(low - around, 0), high + around);
}
onClick("[data-zoom-step]", zoomToStep);
onClick("[data-unzoom]", (link, event) => {
  if (event.metaKey || event.ctrlKey) return;
  event.preventDefault();
  zoom();
});
on("keydown", (event) => {
  if (!map() || isTyping(event) || event.metaKey || event.ctrlKey || event.altKey || one("dialog[open]")) return;
  if (event.key === "z") zoomToStep();
  else if (event.key === "0") zoom();
});
