/* The few things that every module here needs. */
export const one = (selector, root = document) => root.querySelector(selector);
export const all = (selector, root = document) => [...root.querySelectorAll(selector)];
/* Events are delegated to the document, so nothing has to be bound again after a swap. */
export const on = (type, handler) => document.addEventListener(type, handler);
export const onClick = (selector, handler) => on("click", (event) => {
  const element = event.target.closest(selector);
  if (element) handler(element, event);
});
export const isTyping = (event) => /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) || event.target.isContentEditable;
export const isPhone = () => matchMedia("(max-width: 760px)").matches;

const TOAST_MS = 5000;

export function toast(text) {
  const note = document.createElement("div");
  note.textContent = text;
  one("#toasts").append(note);
  setTimeout(() => note.remove(), TOAST_MS);
}

export async function copy(text, said) {
  try {
    await navigator.clipboard.writeText(text);
    toast(said);
  } catch {
    toast("The browser did not allow copying.");
  }
}
