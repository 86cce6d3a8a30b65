/* What somebody typed and has not saved, kept for this tab and offered back: no reload or sign-in loses it. */
const keyOf = (field) => `unsaved:${field.dataset.unsaved ?? location.pathname}:${field.name}`;
const justSaved = () => document.querySelector("#toasts [data-told~=saved]");

function read(field) {
  try {
    return JSON.parse(sessionStorage.getItem(keyOf(field)));
  } catch {
    return null;
  }
}

/* A storage that is full or switched off costs the safety net, not the editor. */
function write(field, value) {
  try {
    if (value) sessionStorage.setItem(keyOf(field), JSON.stringify(value));
    else sessionStorage.removeItem(keyOf(field));
  } catch { /* see above */ }
}

const baseOf = (field) => field.form?.elements.namedItem("base");

export function keep(field, text) {
  const untouched = text === field.defaultValue && !field.dataset.refused;
  write(field, untouched ? null : { text, at: Date.now(), base: baseOf(field)?.value ?? "" });
}

function button(text, handler) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "btn";
  made.textContent = text;
  made.addEventListener("click", handler);
  return made;
}

const ago = (at) => {
  const minutes = Math.round((Date.now() - at) / 60_000);
  return minutes < 1 ? "a moment ago" : minutes < 60 ? `${minutes} min ago` : `${Math.round(minutes / 60)} h ago`;
};

/* Offer what was kept, before the editor at `host`; `bringBack(text)` puts it in. */
export function offer(field, host, bringBack) {
  if (justSaved()) write(field, null);
  const kept = read(field);
  if (!kept || kept.text === field.value) return;
  const base = baseOf(field);
  const moved = base && kept.base && base.value !== kept.base;
  const bar = document.createElement("div");
  bar.className = "alert tone-wait unsaved";
  bar.setAttribute("role", "status");
  const words = document.createElement("div");
  words.textContent = `Unsaved text from ${ago(kept.at)} is kept in this tab.`
    + (moved ? ` It was begun on version ${kept.base}, the page now shows ${base.value}.` : "");
  const answer = (act) => () => { bar.remove(); act(); };
  bar.append(
    words,
    button("Bring it back", answer(() => {
      // What it was begun on goes with it, so that saving tells of a newer version and overwrites nothing.
      if (moved) base.value = kept.base;
      bringBack(kept.text);
    })),
    button("Discard", answer(() => write(field, null))),
  );
  host.before(bar);
}
