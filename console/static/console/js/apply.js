/* Files that are dropped anywhere on the page for applying join the field of files. */
import { on, one } from "./dom.js";

const zone = () => one("[data-drop]");
const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");

on("dragover", (event) => {
  if (!hasFiles(event) || !zone()) return;
  event.preventDefault();
  zone().classList.add("is-over");
});
on("dragleave", (event) => { if (!event.relatedTarget) zone()?.classList.remove("is-over"); });

on("drop", (event) => {
  if (!hasFiles(event) || !zone()) return;
  event.preventDefault();
  zone().classList.remove("is-over");
  const field = one("input[type=file]", zone());
  const all = new DataTransfer();
  for (const file of [...field.files, ...event.dataTransfer.files]) all.items.add(file);
  field.files = all.files;
  field.focus();
});
