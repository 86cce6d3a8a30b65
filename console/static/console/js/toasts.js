/* Short messages in the corner: at most three at a time, the others wait; a hand or the focus on one holds it. */
const MOST = 3;
const SHOWN_MS = { error: 12000, warning: 9000 };
const waiting = [];
const place = () => document.querySelector("#toasts");

function button(label, icon, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "toast-btn";
  made.append(label);
  if (icon) { made.setAttribute("aria-label", label); made.textContent = icon; }
  made.addEventListener("click", act);
  return made;
}

function leave(note) {
  const hadFocus = note.contains(document.activeElement);
  note.remove();
  if (hadFocus) (place().querySelector("button") ?? document.querySelector("#main"))?.focus();
  if (waiting.length && place().childElementCount < MOST) show(waiting.shift());
}

/* Goes by itself, but never under a hand or while the keyboard is in it. */
function goLater(note, after) {
  setTimeout(function go() {
    if (note.matches(":hover, :focus-within") || document.hidden) setTimeout(go, 1500);
    else if (note.isConnected) leave(note);
  }, after);
}

function show(note) {
  if (place().childElementCount >= MOST) { waiting.push(note); return; }
  place().append(note);
  goLater(note, SHOWN_MS[note.dataset.tone] ?? 5000);
}

/* `undo`: a function, called at most once while the toast is there. `tone`: success, info, warning, error. */
export function toast(text, { undo, tone = "info" } = {}) {
  const note = document.createElement("div");
  note.className = "toast";
  note.dataset.tone = tone;
  const words = document.createElement("span");
  words.textContent = text;
  note.append(words);
  if (undo) note.append(button("Undo", "", () => { leave(note); undo(); }));
  note.append(button("Close this message", "×", () => leave(note)));
  show(note);
  return note;
}

document.addEventListener("click", (event) => {
  const note = event.target.closest("[data-close-toast]")?.closest(".toast");
  if (note) leave(note);
});
/* What the server said: it stands in the page already. */
place()?.querySelectorAll(".toast").forEach((note) => goLater(note, SHOWN_MS[note.dataset.tone] ?? 6000));
