/* The page that holds what was sent while signed out: where its own page still has the form, go there. */
import { all, one } from "./dom.js";
import { KEY, find } from "./forms.js";

takeBack(one("[data-resume]"));

async function takeBack(form) {
  const path = new URL(form.action).pathname;
  const fields = [...new FormData(form)].filter(([name]) => name !== "csrfmiddlewaretoken");
  for (const page of new Set([form.dataset.page, path])) {
    const answer = await fetch(page).catch(() => undefined);
    if (!answer?.ok || answer.redirected) continue;
    const there = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!find(all("form", there), path, new URL(page, location.href).pathname)) continue;
    sessionStorage.setItem(KEY, JSON.stringify({ page, path, fields }));
    location.replace(page);
    return;
  }
}

