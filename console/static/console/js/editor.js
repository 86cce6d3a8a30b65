/* Text areas as editors: `data-editor="yaml"`, "json" or "jinja". Loaded only by pages that edit.

   The text area stays the form's field and holds the same text at all times, so that a form works without this
   file. The editor lives in a shadow root: there its styles are adopted sheets, which the policy allows.
   - Problems: a fragment with `data-problems-for="ID"` marks the lines that its `[data-line]` elements name.
   - `data-jump="ID:LINE"` goes to a line. `data-keys="mod+s"` clicks the element: also mod+Enter, mod+shift+d.
   - What was made of the text (`data-follows="ID"`) is marked `is-stale` once the text has changed.
   - Unsaved text is kept for this tab and offered back (`data-unsaved` names it; without it, the address). */
import {
  EditorState, EditorView, bracketMatching, closeBrackets, closeBracketsKeymap, defaultKeymap, drawSelection, foldGutter, foldKeymap,
  highlightActiveLine, highlightActiveLineGutter, highlightSelectionMatches, highlightSpecialChars, history, historyKeymap, indentOnInput,
  indentUnit, indentWithTab, json, keymap, lineNumbers, lintGutter, lintKeymap, searchKeymap, setDiagnostics, yaml,
} from "../vendor/codemirror.min.js";
import { all, isTyping, on, one, onClick } from "./dom.js";
import { look } from "./editor/look.js";
import { keep, offer } from "./editor/unsaved.js";

const languages = { yaml: () => [yaml(), foldGutter()], json: () => [json(), foldGutter()], jinja: () => [] };
const editors = new Map(); // text area → its view
const nameOf = (field) => field.labels[0]?.textContent.trim() || field.getAttribute("aria-label") || "Text";

/* The page's own keys: here they must not also insert a line or move one. */
const pageKeys = ["Mod-Enter", "Mod-s", "Mod-Shift-d"].map((key) => ({ key, run: () => true }));

/* Typing over a selection: left to itself, Chromium keeps the look of what it replaces in a style attribute, which the
   policy forbids. */
const typeOver = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { main } = view.state.selection;
    if (event.inputType !== "insertText" || !event.data || main.empty || view.composing) return false;
    event.preventDefault();
    const insert = () => view.state.update(view.state.replaceSelection(event.data), { userEvent: "input.type", scrollIntoView: true });
    const handled = view.state.facet(EditorView.inputHandler).some((handle) => handle(view, main.from, main.to, event.data, insert));
    if (!handled) view.dispatch(insert());
    return true;
  },
});

function extensions(field) {
  return [
    lineNumbers(), highlightActiveLineGutter(), highlightSpecialChars(), history(), drawSelection(), indentOnInput(), indentUnit.of("  "),
    bracketMatching(), closeBrackets(), highlightActiveLine(), highlightSelectionMatches(), lintGutter(), EditorView.lineWrapping,
    keymap.of([...pageKeys, ...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...foldKeymap, ...lintKeymap, indentWithTab]),
    languages[field.dataset.editor]?.() ?? [],
    look,
    typeOver,
    EditorState.readOnly.of(field.readOnly),
    EditorView.contentAttributes.of({
      "aria-label": `${nameOf(field)}. Escape, then Tab, leaves the editor.`,
      "aria-readonly": String(field.readOnly),
      spellcheck: "false",
      tabindex: "0",
    }),
    EditorView.updateListener.of((update) => { if (update.docChanged) typed(field, update.state.doc.toString()); }),
  ];
}

function typed(field, text) {
  field.value = text;
  keep(field, text);
  if (field.id) all(`[data-follows="${CSS.escape(field.id)}"]`).forEach((part) => part.classList.add("is-stale"));
  // Whoever watches the text area (a check as you type) hears of it as if it had been typed there.
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

function upgrade(field) {
  if (editors.has(field)) return;
  const focused = field.autofocus || document.activeElement === field;
  const host = document.createElement("div");
  host.className = "editor";
  if (field.id) host.dataset.for = field.id;
  field.before(host);
  const root = host.attachShadow({ mode: "open" });
  const state = EditorState.create({ doc: field.value, extensions: extensions(field) });
  const view = new EditorView({ state, parent: root, root });
  editors.set(field, view);
  field.hidden = true;
  host.addEventListener("keydown", (event) => {
    // Letters are text here, not the page's shortcuts; Escape is the editor's own.
    if (!event.metaKey && !event.ctrlKey && !event.altKey) event.stopPropagation();
  });
  field.labels.forEach((label) => label.addEventListener("click", () => view.focus()));
  if (!field.readOnly) offer(field, host, (text) => replace(field, text));
  if (focused) view.focus();
  mark();
}

function replace(field, text) {
  const view = editors.get(field);
  view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
  view.focus();
}

/* Where a problem is: its word (a name in a template, on the line or below) if it has one, else its line. */
function placeOf(doc, element) {
  const line = doc.line(Math.min(Math.max(Number(element.dataset.line) || 1, 1), doc.lines));
  const word = element.dataset.word ?? "";
  if (word) {
    const found = new RegExp(`(\\{[{%][^}]*?)\\b${word.replace(/\W/g, "")}\\b`).exec(doc.sliceString(line.from));
    const from = found && line.from + found.index + found[1].length;
    if (found) return { from, to: from + word.length };
  }
  return { from: line.from + line.text.search(/\S|$/), to: line.to };
}

const diagnostic = (doc, element) => ({
  ...placeOf(doc, element),
  severity: element.dataset.severity ?? "error",
  message: element.dataset.message ?? element.textContent.trim(),
});

/* Mark the lines that the problems on the page name. */
function mark() {
  editors.forEach((view, field) => {
    const list = field.id && one(`[data-problems-for="${CSS.escape(field.id)}"]`);
    if (!list) return;
    const { doc } = view.state;
    const found = all("[data-line]", list).map((element) => diagnostic(doc, element));
    view.dispatch(setDiagnostics(view.state, found.sort((a, b) => a.from - b.from)));
  });
}

function jump(field, number) {
  const view = editors.get(field);
  if (!view) { field.focus(); return; }
  const line = view.state.doc.line(Math.min(Math.max(number, 1), view.state.doc.lines));
  view.dispatch({ selection: { anchor: line.from }, effects: EditorView.scrollIntoView(line.from, { y: "center" }) });
  view.focus();
}

onClick("[data-jump]", (element, event) => {
  const [id, line] = element.dataset.jump.split(":");
  const field = document.getElementById(id);
  if (!field) return;
  event.preventDefault();
  jump(field, Number(line));
});

const apple = /Mac|iPhone|iPad/.test(navigator.platform);
const chord = (event) => `mod+${event.shiftKey ? "shift+" : ""}${event.key.length === 1 ? event.key.toLowerCase() : event.key}`;
on("keydown", (event) => {
  const [view] = editors.values();
  if (event.key === "e" && view && !isTyping(event) && !event.metaKey && !event.ctrlKey && !event.altKey && !one("dialog[open]")) {
    event.preventDefault();
    view.focus();
    return;
  }
  if (!(apple ? event.metaKey : event.ctrlKey) || event.altKey || one("dialog[open]")) return;
  const target = all("[data-keys]").find((each) => each.dataset.keys === chord(event) && !each.disabled);
  if (!target) return;
  event.preventDefault();
  target.click();
});
if (!apple) all("kbd[data-apple]").forEach((key) => { key.textContent = key.dataset.other ?? key.textContent; });

/* A form that outlived its session was filled again: what is kept here need not be offered as well. */
on("form:restored", () => editors.forEach((view, field) => {
  if (field.value === view.state.doc.toString()) return;
  const bar = field.previousElementSibling.previousElementSibling;
  if (bar?.matches(".unsaved")) bar.remove();
  replace(field, field.value);
}));

const upgradeAll = () => {
  editors.forEach((view, field) => { if (!field.isConnected) { view.destroy(); editors.delete(field); } });
  all("textarea[data-editor]").forEach(upgrade);
};
upgradeAll();
on("htmx:after:swap", () => { upgradeAll(); mark(); });
