/* After a save the page that shows it has no editor: forget the text that was kept for it. */
const told = document.querySelector("#toasts [data-told^='saved ']");
if (told) {
  try {
    sessionStorage.removeItem(`unsaved:${told.dataset.told.slice("saved ".length)}:text`);
  } catch { /* a storage that is switched off kept nothing */ }
}
