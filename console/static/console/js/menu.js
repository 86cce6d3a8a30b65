/* The command menu: a combobox over what `/search/` answers. Fetched the first time that it is opened. */
import { all, one, toast } from "./dom.js";
import { openMenu } from "./keys.js";
import { recent } from "./recent.js";
import { signInAgain } from "./trouble.js";

const WAIT_MS = 120;
const menu = one("#menu");
const field = one("input", menu);
const list = one("#menu-list");
const told = one("[data-told]", menu);
const answers = new Map(); // what was asked while the menu is open
let asking;
let timer;
let chosen;

export function begin() {
  answers.clear();
  list.replaceChildren();
  ask(field.value.trim());
}

const options = () => all('[role="option"]', list);

function choose(option) {
  chosen?.removeAttribute("aria-selected");
  chosen = option;
  if (!option) { field.removeAttribute("aria-activedescendant"); return; }
  option.setAttribute("aria-selected", "true");
  field.setAttribute("aria-activedescendant", option.id);
  option.scrollIntoView({ block: "nearest" });
}

function section(title, rows) {
  const group = document.createElement("div");
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", title);
  const heading = document.createElement("h3");
  heading.setAttribute("role", "presentation");
  heading.textContent = title;
  group.append(heading, ...rows);
  return group;
}

function recentRows() {
  return recent().filter((each) => each.href !== location.pathname).slice(0, 5).map((each) => {
    const row = one("#menu-recent").content.firstElementChild.cloneNode(true);
    row.href = each.href;
    one("span", row).textContent = each.label;
    return row;
  });
}

function show(html, text) {
  const before = chosen?.textContent;
  list.innerHTML = html;
  const rows = text ? [] : recentRows();
  if (rows.length) list.prepend(section("Recent", rows));
  options().forEach((option, at) => { option.id = `menu-option-${at}`; });
  choose(options().find((option) => before && option.textContent === before && !text) ?? options()[0]);
  const count = options().length;
  told.className = "command-foot visually-hidden";
  told.textContent = `${count} ${count === 1 ? "result" : "results"}`;
  if (!count) { told.className = "command-foot"; told.textContent = `Nothing is called “${text}”.`; }
}

async function ask(text) {
  asking?.abort();
  if (answers.has(text)) { show(answers.get(text), text); return; }
  asking = new AbortController();
  menu.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(`${menu.dataset.search}?q=${encodeURIComponent(text)}`, { headers: { "HX-Request": "true" }, signal: asking.signal });
    if (answer.status === 401) { menu.close(); signInAgain(openMenu); return; }
    if (!answer.ok) throw new Error(await answer.text());
    answers.set(text, await answer.text());
    show(answers.get(text), text);
  } catch (error) {
    if (error.name !== "AbortError") fail(text);
    else return;
  }
  menu.removeAttribute("aria-busy");
}

function fail(text) {
  list.replaceChildren();
  choose();
  told.className = "command-foot";
  told.textContent = "The server did not answer. ";
  const again = document.createElement("button");
  again.type = "button";
  again.className = "link";
  again.textContent = "Try again";
  again.addEventListener("click", () => { field.focus(); ask(text); });
  told.append(again);
}

field.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(() => ask(field.value.trim()), WAIT_MS);
});

function step(by) {
  const found = options();
  if (found.length) choose(found[(found.indexOf(chosen) + by + found.length) % found.length]);
}

const moves = {
  ArrowDown: () => step(1),
  ArrowUp: () => step(-1),
  PageDown: () => choose(options()[Math.min(options().indexOf(chosen) + 8, options().length - 1)]),
  PageUp: () => choose(options()[Math.max(options().indexOf(chosen) - 8, 0)]),
  Home: () => choose(options()[0]),
  End: () => choose(options().at(-1)),
};

field.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  if (moves[event.key]) { event.preventDefault(); moves[event.key](); return; }
  if (event.key !== "Enter" || !chosen) return;
  event.preventDefault();
  if ((event.metaKey || event.ctrlKey) && chosen.href) window.open(chosen.href, "_blank", "noopener");
  else chosen.click();
});

list.addEventListener("click", (event) => {
  const option = event.target.closest('[role="option"]');
  if (!option || event.metaKey || event.ctrlKey) return;
  // A link into the page that is open only moves there; a button sends a form of the frame.
  setTimeout(() => menu.close());
});
list.addEventListener("pointermove", (event) => {
  const option = event.target.closest('[role="option"]');
  if (option && option !== chosen) choose(option);
});
menu.addEventListener("close", () => { asking?.abort(); clearTimeout(timer); });
addEventListener("offline", () => { if (menu.open) toast("This computer is offline.", { tone: "warning" }); });
