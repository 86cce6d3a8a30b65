/* Questions before an action (`data-dialog`): the same page part as without JavaScript, in a dialog. */
import { all, on, one, onClick } from "./dom.js";

/* A part that brings its own looks is not shown before it has them. */
const loaded = (sheet) => new Promise((go) => { sheet.onload = go; sheet.onerror = go; });

onClick("a[data-dialog]", async (link, event) => {
  if (event.metaKey || event.ctrlKey) return;
  event.preventDefault();
  const dialog = one("#dialog");
  dialog.replaceChildren();
  await htmx.ajax("GET", link.href, { target: "#dialog", swap: "innerHTML" });
  if (!dialog.firstElementChild) return;
  await Promise.all(all("link[rel=stylesheet]", dialog).filter((sheet) => !sheet.sheet).map(loaded));
  dialog.setAttribute("aria-label", one("h2", dialog)?.textContent ?? "Confirm");
  dialog.showModal();
});

onClick("[data-close-dialog]", (link, event) => {
  const dialog = link.closest("dialog");
  if (!dialog) return;
  event.preventDefault();
  dialog.close();
});

on("click", (event) => { if (event.target.matches("dialog")) event.target.close(); });
