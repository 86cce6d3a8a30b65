/* Keys of every page. What they do is done by a control of the page: the key presses it. The list: shortcuts.py. */
import { all, isTyping, on, one } from "./dom.js";

const GOING_MS = 1200;
const jumps = JSON.parse(document.body.dataset.jumps || "{}");
const isOff = () => document.documentElement.dataset.shortcuts === "off";
const isPlain = (event) => !event.metaKey && !event.ctrlKey && !event.altKey;

/* Single characters switched off: nothing here or in any other module hears them. Space stays, it presses buttons. */
addEventListener("keydown", (event) => {
  if (isOff() && event.key.length === 1 && event.key !== " " && isPlain(event) && !isTyping(event)) event.stopImmediatePropagation();
}, true);

let going = 0;

function go(event) {
  const address = Date.now() - going < GOING_MS ? jumps[event.key] : undefined;
  going = event.key === "g" && !address ? Date.now() : 0;
  if (address) { event.preventDefault(); event.stopImmediatePropagation(); location.assign(address); }
  return Boolean(address);
}

/* Open at once: what is typed while its script is on the way goes into the field. */
export async function openMenu() {
  const menu = one("#menu");
  if (menu.open) return;
  one("input", menu).value = "";
  menu.showModal();
  const { begin } = await import("./menu.js");
  begin();
}

on("click", (event) => {
  const control = event.target.closest("[data-menu]");
  if (!control || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  openMenu();
});

/* What a page is for (`data-primary`); where its form still lacks something, the key leads there. */
function doMainThing() {
  const control = one("#main [data-primary]:not([disabled])");
  const lacking = control?.form && one(":is(input, select, textarea):invalid", control.form);
  if (lacking) lacking.focus(); else control?.click();
}

/* First of all modules, so that the second key of `g r` is not taken for one of theirs. */
on("keydown", (event) => {
  if ((event.metaKey || event.ctrlKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k" && one("#menu")) {
    event.preventDefault();
    openMenu();
    return;
  }
  if (isTyping(event) || !isPlain(event) || one("dialog[open]") || go(event)) return;
  if (event.key === "?") { event.preventDefault(); one('[aria-keyshortcuts="?"]')?.click(); }
  if (event.key >= "1" && event.key <= "8") all("[data-tabs] > :not(.icon-btn)")[event.key - 1]?.click();
  if (event.key === ".") { event.preventDefault(); doMainThing(); }
  if (event.key === "d") all('#main [aria-keyshortcuts="d"]').find((each) => each.checkVisibility())?.click();
  if (event.key === "[") one('[aria-keyshortcuts="["]')?.click();
});
