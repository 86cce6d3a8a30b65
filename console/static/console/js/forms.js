/* Nothing typed is lost: forms that were interrupted are filled again; a dialog with text in it does not vanish. */
import { all, on, one, toast } from "./dom.js";
import "./recent.js";

export const KEY = "interrupted";

export function find(forms, path, page) {
  return forms.find((form) => {
    if (form.getAttribute("method")?.toLowerCase() !== "post") return false;
    const action = form.getAttribute("action") || form.getAttribute("hx-post") || page;
    return new URL(action, location.href).pathname === path;
  });
}

function restore() {
  const held = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
  if (!held || held.page !== location.pathname + location.search) return;
  sessionStorage.removeItem(KEY);
  const form = find(all("form"), held.path, location.pathname);
  if (!form) return;
  const left = fill(form, held.fields);
  const note = document.createElement("p");
  note.className = "alert tone-wait";
  note.setAttribute("role", "status");
  note.textContent = `You were signed out before this was sent, so nothing was done. What you had typed is back: look it over and send it.${left.length ? ` Not on this page any more: ${left.join(", ")}.` : ""}`;
  form.prepend(note);
  note.scrollIntoView({ block: "nearest" });
  form.dispatchEvent(new CustomEvent("form:restored", { bubbles: true }));
}

/* Sets every field; returns `name: value` of those that the form does not have. */
function fill(form, fields) {
  const given = Map.groupBy ? Map.groupBy(fields, ([name]) => name) : fields.reduce((map, pair) => map.set(pair[0], [...(map.get(pair[0]) ?? []), pair]), new Map());
  all("input[type=checkbox]", form).forEach((box) => { box.checked = false; });
  const left = [];
  given.forEach((pairs, name) => {
    const values = pairs.map(([, value]) => value);
    const found = all("input, select, textarea", form).filter((element) => element.name === name && element.type !== "file");
    if (!found.length && values.some(Boolean)) left.push(`${name}: ${values.join(", ")}`);
    found.forEach((element, at) => {
      if (element.type === "checkbox" || element.type === "radio") element.checked = values.includes(element.value);
      else element.value = values[at] ?? element.value;
      element.dispatchEvent(new Event("input", { bubbles: true }));
    });
  });
  return left;
}
if (document.body.dataset.person) restore();

/* --- dialogs: a click beside one that holds typed text, or Escape, does not throw the text away */
const typed = (dialog) => all("textarea, input:not([type=hidden], [type=checkbox], [type=radio], [type=search])", dialog).some((field) => field.value !== field.defaultValue);

addEventListener("cancel", (event) => {
  const dialog = event.target;
  if (!dialog.matches?.("#dialog") || !typed(dialog) || dialog.dataset.warned) return;
  event.preventDefault();
  dialog.dataset.warned = "yes";
  toast("Press Escape once more to drop what you typed.", { tone: "warning" });
}, true);
addEventListener("click", (event) => {
  if (event.target.matches?.("dialog#dialog") && typed(event.target)) {
    event.stopImmediatePropagation();
    toast("Close it with its buttons: there is text in it.", { tone: "warning" });
  }
}, true);

/* --- where the focus goes when a dialog closes and its opener was swapped away meanwhile */
addEventListener("close", (event) => {
  if (!event.target.matches?.("dialog")) return;
  delete event.target.dataset.warned;
  if (document.activeElement === document.body) one("#main")?.focus({ preventScroll: true });
}, true);
