/* The list of runs: it does not move what is being read; keys and the menu of a row; the panels of the filter. */
import "./histogram.js";
import { all, copy, isTyping, on, one, onClick } from "./dom.js";

const results = () => one("#runs");
const menu = one("#row-menu");

/* --- polls that must not move anything: the server answers with the rows from before, and counts the new ones */
function isReading() {
  const scrolled = (one(".table-scroll", results())?.scrollTop ?? 0) > 4 || scrollY > 4;
  return scrolled || menu.matches(":popover-open") || one("#bulk-bar.is-open") || one("[data-row-menu]:hover");
}

on("htmx:config:request", (event) => {
  const { ctx } = event.detail;
  if (event.target !== results() || ctx.sourceEvent?.type !== "every") return;
  if (one("[data-drag]")) { event.preventDefault(); return; }
  const { seen, paged } = results().dataset;
  if (!seen || (!paged && !isReading())) return;
  ctx.request.action += `${ctx.request.action.includes("?") ? "&" : "?"}seen=${encodeURIComponent(seen)}`;
});

/* --- the menu of a row */
let row;
let closedAt = 0;
menu.addEventListener("toggle", (event) => { if (event.newState === "closed") { closedAt = Date.now(); row?.classList.remove("has-menu"); } });

const words = (name) => menu.dataset[name].split(" ");
const applies = { retried: (state) => words("retried").includes(state), going: (state) => !words("ended").includes(state) };

function prepare(wanted) {
  row = wanted;
  const base = `/runs/${row.id}/`;
  all("[data-to]", menu).forEach((link) => {
    const fits = !link.dataset.when || applies[link.dataset.when](row.dataset.state);
    link.classList.toggle("is-off", !fits);
    link.title = fits ? "" : link.dataset.why;
    if (fits) { link.href = link.dataset.to ? base + link.dataset.to : row.dataset.href; link.removeAttribute("aria-disabled"); }
    else { link.removeAttribute("href"); link.setAttribute("aria-disabled", "true"); }
  });
}

onClick("[data-row-menu]", (button) => {
  const same = row === button.closest("tr") && Date.now() - closedAt < 250;
  prepare(button.closest("tr"));
  if (same) return;
  row.classList.add("has-menu");
  menu.showPopover();
  const place = button.getBoundingClientRect();
  const below = place.bottom + 4 + menu.offsetHeight < innerHeight;
  menu.style.inset = `${below ? place.bottom + 4 : place.top - 4 - menu.offsetHeight}px auto auto ${Math.max(8, place.right - menu.offsetWidth)}px`;
  one("a[href], button", menu).focus({ preventScroll: true });
});

menu.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const items = all("a[href], button", menu);
  items[(items.indexOf(document.activeElement) + step + items.length) % items.length].focus();
});
menu.addEventListener("click", () => menu.hidePopover());

const address = (of) => location.origin + new URL(of.dataset.href, location.href).pathname;
onClick("[data-copy-row]", () => copy(address(row), "Link to the run copied"));

on("keydown", (event) => {
  if (isTyping(event) || event.metaKey || event.ctrlKey || event.altKey || one("dialog[open]")) return;
  if (event.key === "e") one("#export")?.click();
  const here = one("#runs tr.is-cursor") ?? event.target.closest?.("#runs tbody tr");
  if (!here) return;
  if (event.key === "c") copy(address(here), "Link to the run copied");
  if (event.key === "r" && !one("#bulk-bar.is-open")) {
    prepare(here);
    one('[data-to="retry/"][href]', menu)?.click();
  }
});

/* --- the panels: a preset range and typed times are one or the other */
const form = () => one("#filters");
on("input", (event) => { if (event.target.matches("#filters [name=from], #filters [name=to]")) form().elements.range.value = "custom"; });
addEventListener("change", (event) => {
  if (!event.target.matches?.("#filters [name=range]")) return;
  if (event.target.value === "custom") { event.stopImmediatePropagation(); one("#more-filters").showPopover(); form().elements.from.focus(); return; }
  ["from", "to"].forEach((name) => { form().elements[name].value = ""; });
}, true);
on("change", (event) => { if (event.target.matches("#filters select")) event.target.closest(".select").classList.toggle("is-set", event.target.value !== ""); });
on("submit", (event) => { if (event.target === form()) one("#more-filters").hidePopover(); });
onClick("[data-download]", (link) => link.closest("dialog")?.close());
