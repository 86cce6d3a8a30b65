/* Parts that poll (`data-poll`): when they may, and whether they do. When they get no answer: stale.js. */
import { all, isTyping, on, one } from "./dom.js";

let paused = false;
const polled = (event) => event.detail?.ctx?.sourceEvent?.type === "every";
const words = { live: "Live", paused: "Paused", stale: "Stale", reconnecting: "Reconnecting…", gone: "Deleted" };

export function show(state, text) {
  all("[data-live]").forEach((button) => {
    if (button.dataset.state === "gone") return; // what is deleted does not come back
    button.dataset.state = state;
    button.setAttribute("aria-pressed", state === "paused");
    one("span", button).textContent = text ?? words[state];
  });
}

/* Never under somebody's hands: not while text is selected or a question is open. */
export const busy = () => document.hidden || paused || !getSelection().isCollapsed || one("dialog[open]");

on("htmx:config:request", (event) => {
  const { ctx } = event.detail;
  if (!polled(event)) return;
  if (busy()) { event.preventDefault(); return; }
  if (event.target.dataset.poll === "here") ctx.request.action = location.pathname + location.search;
});

function pause() {
  if (!one("[data-live]")) return;
  paused = !paused;
  show(paused ? "paused" : "live");
}

on("click", (event) => {
  const button = event.target.closest("[data-live]");
  if (button && button.dataset.state !== "stale") pause(); // a stale page is asked again: stale.js
});
on("keydown", (event) => {
  if (event.key === "p" && !isTyping(event) && !event.metaKey && !event.ctrlKey && !event.altKey) pause();
});
on("htmx:after:swap", () => { if (paused) show("paused"); });

/* Ages and running durations count on between answers. */
const clock = (s) => s < 60 ? `${s}s` : s < 3600 ? `${Math.floor(s / 60)}m` : s < 86400 ? `${Math.floor(s / 3600)}h ${String(Math.floor(s % 3600 / 60)).padStart(2, "0")}m` : `${Math.floor(s / 86400)}d`;
const lasting = (s) => s < 10 ? `${s.toFixed(1)} s` : s < 60 ? `${Math.round(s)} s` : s < 3600 ? `${Math.floor(s / 60)}m ${String(Math.floor(s % 60)).padStart(2, "0")}s` : `${Math.floor(s / 3600)}h ${String(Math.floor(s % 3600 / 60)).padStart(2, "0")}m`;
const seconds = (moment) => Math.max(0, (Date.now() - Date.parse(moment)) / 1000);

setInterval(() => {
  if (document.hidden || paused) return;
  all("time[data-ago]").forEach((time) => { time.textContent = clock(Math.floor(seconds(time.dateTime))); });
  all("[data-since]").forEach((element) => { element.textContent = lasting(seconds(element.dataset.since)); });
}, 1000);
