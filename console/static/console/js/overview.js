/* The overview: number keys lead to what needs somebody first. */
import { isTyping, on, one } from "./dom.js";

on("keydown", (event) => {
  if (isTyping(event) || event.metaKey || event.ctrlKey || event.altKey || one("dialog[open]")) return;
  if (/^[1-9]$/.test(event.key)) one(`[data-jump="${event.key}"]`)?.click();
});
