/* Questions before an action (`data-dialog`): the same page part as without JavaScript, in a dialog. */
import { on, one, onClick } from "./dom.js";

onClick("a[data-dialog]", async (link, event) => {
  if (event.metaKey || event.ctrlKey) return;
  event.preventDefault();
  const dialog = one("#dialog");
  dialog.replaceChildren();
  await htmx.ajax("GET", link.href, { target: "#dialog", swap: "innerHTML" });
  if (!dialog.firstElementChild) return;
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
