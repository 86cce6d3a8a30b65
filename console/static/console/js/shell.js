/* The frame: navigation drawer and sidebar, looks, copying. */
import { all, copy, isPhone, on, one, onClick, remember } from "./dom.js";

function switchTheme(form) {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  remember("theme", root.dataset.theme);
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

onClick("[data-fold-sidebar]", () => {
  if (isPhone()) { showNavigation(false); return; }
  const root = document.documentElement;
  root.dataset.sidebar = root.dataset.sidebar === "narrow" ? "wide" : "narrow";
  remember("sidebar", root.dataset.sidebar);
});

/* A choice in a row shows its button once it differs: arrow keys in a list must not send anything by themselves. */
on("change", ({ target }) => {
  if (target.matches("[data-changes]")) target.form.classList.toggle("is-changed", !target.selectedOptions[0].defaultSelected);
});

onClick("[data-copy]", (element) => copy(element.dataset.copy, element.dataset.copied ?? `Copied ${element.dataset.copy}`));
onClick("[data-copy-from='previous']", (button) => copy(button.previousElementSibling.textContent, "Copied"));
onClick("[data-copy-link]", () => copy(location.href, "Link copied"));

/* The field that a page is about; on a phone the keyboard would cover what has to be read first. */
if (!isPhone()) one("[data-focus]")?.focus({ preventScroll: true });
