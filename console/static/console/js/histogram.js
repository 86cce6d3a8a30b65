/* The bars over a list: drag over some for their stretch of time; arrows walk them, with Shift they mark a stretch. */
import { all, on, one } from "./dom.js";

const SLOP_PX = 4;
const DOUBLE_MS = 240;
let drag; // {from, to: numbers of bars, x}
let click;

const figure = () => one("[data-zoom-bins]");
const iso = (seconds) => new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z").replace(/:00Z$/, "Z");

function binAt(x) {
  const box = one(".histogram", figure()).getBoundingClientRect();
  const bins = Number(figure().dataset.zoomBins);
  return Math.min(Math.max(Math.floor((x - box.left) / box.width * bins), 0), bins - 1);
}

function mark() {
  const svg = one(".histogram", figure());
  let band = one(".band", svg);
  if (!drag) { band?.remove(); delete svg.dataset.drag; return; }
  if (!band) {
    band = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    band.setAttribute("class", "band");
    band.setAttribute("height", svg.viewBox.baseVal.height);
    svg.append(band);
  }
  svg.dataset.drag = "";
  const width = svg.viewBox.baseVal.width / Number(figure().dataset.zoomBins);
  band.setAttribute("x", Math.min(drag.from, drag.to) * width);
  band.setAttribute("width", (Math.abs(drag.to - drag.from) + 1) * width);
}

function go() {
  const { zoomStart, zoomBin, zoomAddress } = figure().dataset;
  const [first, last] = [Math.min(drag.from, drag.to), Math.max(drag.from, drag.to)];
  const to = new URL(zoomAddress, location.href);
  to.searchParams.delete("range");
  to.searchParams.set("from", iso(Number(zoomStart) + Math.floor(first * zoomBin)));
  to.searchParams.set("to", iso(Number(zoomStart) + Math.ceil((last + 1) * zoomBin)));
  drag = undefined;
  location.assign(to);
}

on("pointerdown", (event) => {
  if (!event.target.closest?.("[data-zoom-bins] .histogram") || event.button) return;
  drag = { from: binAt(event.clientX), to: binAt(event.clientX), x: event.clientX, moved: false };
});
on("pointermove", (event) => {
  if (!drag?.x) return;
  drag.moved ||= Math.abs(event.clientX - drag.x) > SLOP_PX;
  if (!drag.moved) return;
  drag.to = binAt(event.clientX);
  mark();
});
on("pointerup", () => {
  if (!drag?.x) return;
  if (drag.moved) { clearTimeout(click); go(); return; }
  drag = undefined;
  mark();
});
on("pointercancel", () => { drag = undefined; if (figure()) mark(); });
on("dragstart", (event) => { if (event.target.closest?.(".histogram")) event.preventDefault(); });

/* One click opens a bar's stretch, two lead back: so the first waits a moment. From the keyboard it does not. */
on("click", (event) => {
  const link = event.target.closest?.(".histogram a");
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  clearTimeout(click);
  const address = link.getAttribute("href");
  if (event.detail) click = setTimeout(() => location.assign(address), DOUBLE_MS);
  else if (drag) go();
  else location.assign(address);
});
on("dblclick", (event) => {
  if (!event.target.closest?.("[data-zoom-bins] .histogram")) return;
  clearTimeout(click);
  if (figure().dataset.zoomReset) location.assign(figure().dataset.zoomReset);
});

on("keydown", (event) => {
  const bar = event.target.closest?.(".histogram a");
  if (!bar) return;
  const bars = all(".histogram a", figure());
  const at = bars.indexOf(bar);
  const next = { ArrowRight: bars[at + 1], ArrowLeft: bars[at - 1], Home: bars[0], End: bars.at(-1) }[event.key];
  if (event.key === "Escape") { drag = undefined; mark(); return; }
  if (!next) return;
  event.preventDefault();
  bars.forEach((each) => each.setAttribute("tabindex", each === next ? "0" : "-1"));
  if (event.shiftKey) drag = { from: drag?.from ?? Number(bar.dataset.bin), to: Number(next.dataset.bin) };
  else drag = undefined;
  mark();
  next.focus();
});
on("focusout", (event) => {
  if (drag && !drag.x && event.target.closest?.(".histogram") && !event.relatedTarget?.closest?.(".histogram")) { drag = undefined; mark(); }
});
