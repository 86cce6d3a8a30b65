/* A graph (`data-graph`): arrows go from step to step, a click shows the step beside it. The address holds the choice. */
import { all, isPhone, on, one, onClick } from "./dom.js";

const graph = () => one("[data-graph]");
const steps = () => all("a.step", graph());
const middle = (step) => { const box = one(".step-box", step).getBBox(); return { x: box.x + box.width / 2, y: box.y + box.height / 2 }; };

function mark(step) {
  steps().forEach((each) => { if (each === step) each.setAttribute("aria-current", "true"); else each.removeAttribute("aria-current"); });
}

async function show(step) {
  const { steps: address } = graph().dataset;
  const here = new URL(location);
  const asked = new URL(step.href.baseVal ?? step.href, location);
  here.search = asked.search;
  mark(step);
  history.replaceState(history.state, "", here);
  const panel = one("#inspector");
  panel.hidden = false;
  await htmx.ajax("GET", address + here.search, { target: "#inspector", swap: "innerHTML" });
  panel.scrollTop = 0;
}

onClick("[data-graph] a.step", (step, event) => {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.button || isPhone() || !graph().dataset.steps) return;
  event.preventDefault();
  show(step);
});

function close() {
  const panel = one("#inspector");
  const chosen = one("a.step[aria-current]", graph());
  panel.hidden = true;
  const here = new URL(location);
  for (const name of ["step", "attempt"]) here.searchParams.delete(name);
  history.replaceState(history.state, "", here);
  mark(null);
  chosen?.focus();
}

onClick("[data-close-panel], [data-close-step]", (link, event) => {
  if (!graph() || isPhone()) return;
  event.preventDefault();
  close();
});

/* The nearest step in a direction. Downwards lines lead aside, so that counts little; beside each other it counts much. */
const ways = { ArrowDown: [0, 1], ArrowUp: [0, -1], ArrowRight: [1, 0], ArrowLeft: [-1, 0] };

function next(from, [dx, dy]) {
  const here = middle(from);
  const far = (step) => {
    const there = middle(step);
    const ahead = (there.x - here.x) * dx + (there.y - here.y) * dy;
    const aside = Math.abs((there.x - here.x) * dy) + Math.abs((there.y - here.y) * dx);
    return ahead > 1 ? ahead + (dy ? 0.6 : 3) * aside : Infinity;
  };
  return steps().map((step) => [far(step), step]).filter(([distance]) => distance < Infinity).sort((a, b) => a[0] - b[0])[0]?.[1];
}

on("keydown", (event) => {
  const step = event.target.closest?.("[data-graph] a.step");
  if (event.metaKey || event.ctrlKey || event.altKey || one("dialog[open]")) return;
  if (event.key === "Escape" && graph() && one("#inspector") && !one("#inspector").hidden) { close(); return; }
  if (!step || !(event.key in ways)) return;
  event.preventDefault();
  const found = next(step, ways[event.key]);
  found?.focus();
  found?.scrollIntoView({ block: "nearest", inline: "nearest" });
});

/* What is chosen, else the top of the picture's middle, is in sight. */
function bringIntoSight() {
  const view = graph();
  if (!view) return;
  const chosen = one("a.step[aria-current]", view);
  if (chosen && !isPhone()) chosen.scrollIntoView({ block: "nearest", inline: "center" });
  else view.scrollLeft = (view.scrollWidth - view.clientWidth) / 2;
}
bringIntoSight();
