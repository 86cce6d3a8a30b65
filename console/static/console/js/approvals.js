/* Keys of an approval: they lead to its buttons, and Enter decides. A decision cannot be taken back. */
import { isTyping, on, one } from "./dom.js";

function lead(event, decision) {
  const button = one(`#approval button[value="${decision}"]`);
  if (!button) return;
  event.preventDefault();
  button.focus();
  button.scrollIntoView({ block: "nearest" });
}

on("keydown", (event) => {
  if (isTyping(event) || event.metaKey || event.ctrlKey || event.altKey || one("dialog[open]")) return;
  if (event.key === "a") lead(event, "approve");
  if (event.key === "r") lead(event, "reject");
});
