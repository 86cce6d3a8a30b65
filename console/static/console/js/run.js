/* The page of one run, and nothing but that: loaded there only. */
import "./timeline.js";
import "./zoom.js";
import "./stream.js";
import { all, copy, isTyping, on, one, onClick, toast } from "./dom.js";

/* What the server writes is fetched when it is asked for: the text of a whole run, a payload of megabytes. */
onClick("[data-copy-url]", async (link, event) => {
  if (event.metaKey || event.ctrlKey) return;
  event.preventDefault();
  const answer = await fetch(link.href).catch(() => null);
  if (answer?.ok) copy(await answer.text(), link.dataset.copyUrl);
  else toast("The server did not give it. Nothing was copied.");
});
onClick("[data-print]", () => print());

/* The menu is a <details>: it closes when somebody looks elsewhere. */
const menus = () => all("details[data-more][open]");
on("click", (event) => menus().forEach((menu) => {
  if (!menu.contains(event.target) || event.target.closest(".more-item")) menu.open = false;
}));
on("keydown", (event) => {
  const [menu] = menus();
  if (!menu || event.key !== "Escape") return;
  event.stopImmediatePropagation();
  menu.open = false;
  one("summary", menu).focus();
});

const follow = (selector) => one(selector)?.click();
const moves = {
  f: () => { const field = one("#step-filter"); field?.focus(); field?.select(); },
  r: () => follow('[data-primary][href*="/retry/"]'),
  F: () => follow("[data-fork]"),
  J: () => follow("[data-older]"),
  K: () => follow("[data-newer]"),
};

on("keydown", (event) => {
  if (isTyping(event) || event.metaKey || event.ctrlKey || event.altKey || one("dialog[open]")) return;
  const act = moves[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

/* `#e148` on any tab, and in a journal of which only a part is on the page. */
function findEvent() {
  const [, seq] = /^#e(\d+)$/.exec(location.hash) ?? [];
  if (!seq || document.getElementById(`e${seq}`)) return;
  const here = new URL(location);
  if (here.searchParams.get("event") === seq) return;
  for (const name of [...here.searchParams.keys()]) if (name !== "list") here.searchParams.delete(name);
  here.searchParams.set("tab", "events");
  here.searchParams.set("event", seq);
  location.replace(here);
}
addEventListener("hashchange", findEvent);
findEvent();
one("tr.is-chosen")?.scrollIntoView({ block: "center" });
