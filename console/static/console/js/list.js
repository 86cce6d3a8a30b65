/* Lists (`data-rows`): the whole row opens, and the keyboard walks them. */
import { all, isTyping, on, one } from "./dom.js";

on("click", (event) => {
  const row = event.target.closest("tr[data-href]");
  if (!row || event.target.closest("a, button, input, label, summary") || !getSelection().isCollapsed) return;
  if (event.metaKey || event.ctrlKey) window.open(row.dataset.href, "_blank", "noopener");
  else location.assign(row.dataset.href);
});

let cursor = "";
const rows = () => all("[data-rows] :is(tbody tr, li)[data-href]");

function mark() {
  all(".is-cursor").forEach((row) => row.classList.remove("is-cursor"));
  const row = rows().find((each) => each.dataset.href === cursor);
  row?.classList.add("is-cursor");
  return row;
}

function move(by) {
  const found = rows();
  if (!found.length) return;
  if (document.activeElement?.closest("[data-rows]")) document.activeElement.blur(); // Enter is the cursor's now
  const at = found.findIndex((row) => row.dataset.href === cursor || (!cursor && one("[aria-current]", row)));
  cursor = found[Math.min(Math.max(at + by, 0), found.length - 1)].dataset.href;
  mark().scrollIntoView({ block: "nearest" });
}

/* A row whose link opens beside the list (`data-opens`) is opened by that link. */
function open(row) {
  const link = one("[data-opens]", row);
  if (link) link.click();
  else location.assign(new URL(cursor, location.href));
}

on("htmx:after:swap", mark);
/* Who has asked for rows wants to walk them next. */
on("submit", ({ target }) => { if (target.matches("[role=search]") && document.activeElement.matches("input")) document.activeElement.blur(); });
on("keydown", (event) => {
  if (event.key === "Escape" && isTyping(event)) { event.target.blur(); return; }
  if (isTyping(event) || event.metaKey || event.ctrlKey || event.altKey || one("dialog[open]")) return;
  if (event.key === "/") {
    const field = one("#q, #step-filter");
    if (field) { event.preventDefault(); field.focus(); field.select(); }
  }
  if (!one("[data-rows]")) return;
  if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if ((event.key === "o" || (event.key === "Enter" && event.target === document.body)) && mark()) open(mark());
});
