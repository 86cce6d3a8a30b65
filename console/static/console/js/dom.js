/* The few things that every module here needs. */
import { toast } from "./toasts.js";

export const one = (selector, root = document) => root.querySelector(selector);
export const all = (selector, root = document) => [...root.querySelectorAll(selector)];
/* Events are delegated to the document, so nothing has to be bound again after a swap. */
export const on = (type, handler) => document.addEventListener(type, handler);
export const onClick = (selector, handler) => on("click", (event) => {
  const element = event.target.closest(selector);
  if (element) handler(element, event);
});
/* Inside an editor's shadow root the event names the editor; what is typed in is first on the path. */
const FIELDS = /^(INPUT|TEXTAREA|SELECT)$/;
export function isTyping(event) {
  const inner = event.composedPath?.()[0] ?? event.target;
  return FIELDS.test(inner.tagName) || Boolean(inner.isContentEditable);
}
export const isPhone = () => matchMedia("(max-width: 760px)").matches;

/* A cookie that the server reads too, so that the next page is drawn right at once. */
const YEAR_S = 365 * 24 * 3600;
export const readCookie = (name) => document.cookie.split("; ").find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1) ?? "";
export const remember = (name, value) => { document.cookie = `${name}=${value}; path=/; max-age=${YEAR_S}; samesite=lax`; };

export { toast };

export async function copy(text, said) {
  try {
    await navigator.clipboard.writeText(text);
    toast(said);
  } catch {
    toast("The browser did not allow copying.");
  }
}
