/* The frame: navigation drawer, theme, copying, toasts that the server put on the page. */
import { all, copy, on, one, onClick } from "./dom.js";

const THEME_S = 365 * 24 * 3600;

function switchTheme(form) {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  document.cookie = `theme=${root.dataset.theme}; path=/; max-age=${THEME_S}; samesite=lax`;
  one("button", form).value = dark ? "dark" : "light";
}

on("submit", (event) => {
  if (!event.target.matches("[data-theme-switch]")) return;
  event.preventDefault();
  switchTheme(event.target);
});

function showNavigation(open) {
  one("#navigation")?.classList.toggle("is-open", open);
  all("[data-navigation]").forEach((button) => button.setAttribute("aria-expanded", open));
}

on("click", (event) => {
  const opens = event.target.closest("[data-navigation]") && !one("#navigation").classList.contains("is-open");
  if (opens || !event.target.closest("#navigation")) showNavigation(Boolean(opens));
});
on("keydown", (event) => { if (event.key === "Escape") showNavigation(false); });

onClick("[data-copy]", (element) => copy(element.dataset.copy, `Copied ${element.dataset.copy}`));
onClick("[data-copy-link]", () => copy(location.href, "Link copied"));

setTimeout(() => all("#toasts > div").forEach((note) => note.remove()), 6000);
