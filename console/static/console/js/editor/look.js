/* How an editor looks: the tokens of tokens.css, which a shadow root inherits, so that the theme follows the page. */
import { Decoration, EditorView, HighlightStyle, MatchDecorator, ViewPlugin, syntaxHighlighting, tags } from "../../vendor/codemirror.min.js";

const theme = EditorView.theme({
  "&": { height: "100%", color: "var(--fg)", backgroundColor: "var(--raise)", fontSize: "var(--t-s)" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "20px", overflow: "auto" },
  ".cm-content": { padding: "8px 0", caretColor: "var(--fg)" },
  ".cm-line": { padding: "0 12px 0 8px" },
  ".cm-gutters": { backgroundColor: "var(--raise)", color: "var(--fg-3)", border: "0" },
  ".cm-lineNumbers .cm-gutterElement": { padding: "0 4px 0 10px", minWidth: "30px" },
  ".cm-gutter-lint": { width: "14px" },
  ".cm-gutter-lint .cm-gutterElement": { padding: "4px 1px" },
  ".cm-lint-marker": { width: "12px", height: "12px" },
  ".cm-activeLine": { backgroundColor: "color-mix(in oklch, var(--hover) 60%, transparent)" },
  ".cm-activeLineGutter": { backgroundColor: "var(--hover)", color: "var(--fg-2)" },
  "&:not(.cm-focused) :is(.cm-activeLine, .cm-activeLineGutter)": { backgroundColor: "transparent" },
  ".cm-cursor": { borderLeft: "1.5px solid var(--fg)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { background: "color-mix(in oklch, var(--accent) 26%, transparent) !important" },
  ".cm-selectionMatch": { backgroundColor: "var(--accent-bg)" },
  ".cm-matchingBracket, &.cm-focused .cm-matchingBracket": { backgroundColor: "var(--press)", color: "inherit" },
  ".cm-specialChar": { color: "var(--bad)" },
  ".cm-foldPlaceholder": { backgroundColor: "var(--hover)", border: "0", color: "var(--fg-3)", padding: "0 5px" },
  ".cm-insert": { color: "var(--accent)", backgroundColor: "var(--accent-bg)", borderRadius: "3px" },
  ".cm-insert *": { color: "inherit" },
  ".cm-comment": { color: "var(--fg-3)", fontStyle: "italic" },
  ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--bad-solid) 1px", textUnderlineOffset: "3px" },
  ".cm-lintRange-warning": { backgroundImage: "none", textDecoration: "underline wavy var(--wait-solid) 1px", textUnderlineOffset: "3px" },
  ".cm-tooltip": { backgroundColor: "var(--raise)", border: "0", borderRadius: "var(--radius)", boxShadow: "0 0 0 1px var(--line-2), var(--shadow-2)", color: "var(--fg)", fontFamily: "var(--sans)", maxWidth: "420px" },
  ".cm-diagnostic": { padding: "6px 10px", border: "0", whiteSpace: "pre-wrap" },
  ".cm-panels": { backgroundColor: "var(--surface)", color: "var(--fg)", fontFamily: "var(--sans)" },
  ".cm-panels-bottom": { borderTop: "1px solid var(--line)" },
  ".cm-panel.cm-search": { padding: "8px 28px 8px 10px", "& label": { fontSize: "var(--t-s)" } },
  ".cm-textfield": { fontSize: "var(--t-s)", border: "0", boxShadow: "inset 0 0 0 1px var(--line-2)", borderRadius: "var(--radius-s)", backgroundColor: "var(--raise)", color: "var(--fg)" },
  ".cm-button": { fontSize: "var(--t-s)", backgroundImage: "none", backgroundColor: "var(--raise)", border: "0", boxShadow: "inset 0 0 0 1px var(--line-2)", borderRadius: "var(--radius-s)", color: "var(--fg)" },
  ".cm-searchMatch": { backgroundColor: "var(--wait-tint)", outline: "1px solid var(--wait-solid)" },
  ".cm-searchMatch-selected": { backgroundColor: "color-mix(in oklch, var(--wait-solid) 40%, transparent)" },
});

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--fg)", fontWeight: "500" },
  { tag: [tags.string, tags.content], color: "var(--fg-2)" },
  { tag: [tags.number, tags.bool, tags.null, tags.keyword, tags.atom], color: "var(--accent)" },
  { tag: [tags.comment, tags.meta], color: "var(--fg-3)" },
  { tag: [tags.punctuation, tags.separator, tags.bracket, tags.labelName, tags.typeName], color: "var(--fg-3)" },
]);

/* What a template puts in, over whatever language stands around it. A match never spans lines. */
const inserts = new MatchDecorator({
  regexp: /\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}/g,
  decoration: ([text]) => Decoration.mark({ class: text.startsWith("{#") ? "cm-comment" : "cm-insert" }),
});
const templates = ViewPlugin.define(
  (view) => ({
    decorations: inserts.createDeco(view),
    update(change) { this.decorations = inserts.updateDeco(change, this.decorations); },
  }),
  { decorations: (plugin) => plugin.decorations },
);

export const look = [theme, syntaxHighlighting(colours), templates];
