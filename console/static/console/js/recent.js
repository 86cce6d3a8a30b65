/* What this person opened last in this browser, for the command menu. Gone when they sign out. */
import { on, one } from "./dom.js";

const KEPT = 12;
const key = () => `recent:${document.body.dataset.person}`;

export function recent() {
  try {
    return JSON.parse(localStorage.getItem(key()) ?? "[]");
  } catch {
    return [];
  }
}

const PLACE = /^\/(runs|workflows|prompts|corpora)\/[^/]+\/$/;

if (document.body.dataset.person && PLACE.test(location.pathname)) {
  const label = one("main h1")?.textContent.trim();
  const here = { href: location.pathname, label };
  try {
    if (label) localStorage.setItem(key(), JSON.stringify([here, ...recent().filter((each) => each.href !== here.href)].slice(0, KEPT)));
  } catch { /* a browser that keeps nothing */ }
}

on("submit", (event) => { if (event.target.id === "sign-out") localStorage.removeItem(key()); });
