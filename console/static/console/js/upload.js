/* Adding documents: chosen or dropped, judged before anything is sent, each with its own bar.
   One request carries as many files as fit; its progress is told file by file. */
import { on, one, onClick } from "./dom.js";

const form = one("[data-upload]");
const input = one("#file");
const list = one("[data-files]");
const limit = Number(form.dataset.limit);
const most = Number(form.dataset.most);
const kinds = form.dataset.kinds.split(", ");
let files = []; // {file, row, state: waiting | refused | sending | taken}
let sending = false;

const size = (n) => n < 1000 ? `${n} B` : n < 999950 ? `${(n / 1000).toFixed(1)} KB` : `${(n / 1e6).toFixed(1)} MB`;
const sprite = one("use", one("[data-row]").content).getAttribute("href").split("#")[0];

function tell(entry, state, text, icon) {
  entry.state = state;
  entry.row.className = state === "refused" ? "is-refused" : state === "taken" ? "is-taken" : "";
  one("[data-told]", entry.row).textContent = text;
  one("use", entry.row).setAttribute("href", `${sprite}#${icon}`);
  one("[data-drop-file]", entry.row).hidden = state === "sending" || state === "taken";
}

/* What the server would refuse for its name or its size is not sent at all. */
function reason(file) {
  if (file.size > limit) return `It has ${size(file.size)}; at most ${size(limit)} are taken. Nothing was sent.`;
  if (!file.size) return "It is empty.";
  const ending = file.name.slice(file.name.lastIndexOf(".")).toLowerCase();
  if (!kinds.includes(ending) && !file.type.startsWith("text/")) return `Not a kind that can be read: ${kinds.join(", ")}.`;
  return "";
}

function add(chosen) {
  for (const file of chosen) {
    const earlier = files.find((each) => each.file.name === file.name && each.state !== "taken");
    if (earlier) remove(earlier);
    const row = one("[data-row]").content.firstElementChild.cloneNode(true);
    one("[data-name]", row).textContent = file.name;
    one("[data-size]", row).textContent = size(file.size);
    one("progress", row).setAttribute("aria-label", `Sent of ${file.name}`);
    one("[data-drop-file]", row).setAttribute("aria-label", `Leave ${file.name} out`);
    const entry = { file, row };
    files.push(entry);
    list.append(row);
    const why = reason(file);
    tell(entry, why ? "refused" : "waiting", why, why ? "circle-x" : "circle-dashed");
  }
  input.value = "";
  lead();
}

function remove(entry) {
  files = files.filter((each) => each !== entry);
  entry.row.remove();
  lead();
}

/* What comes next is what the page is for: sending while something waits, then the ingest, whose part says so itself. */
function lead() {
  const done = files.some((each) => each.state === "taken") && !files.some((each) => each.state === "waiting");
  const button = one("[data-send]");
  button.classList.toggle("btn-primary", !done);
  button.toggleAttribute("data-primary", !done);
  if (done) button.removeAttribute("aria-keyshortcuts"); else button.setAttribute("aria-keyshortcuts", ".");
  button.lastChild.textContent = done ? "Add more" : "Add documents";
}

/* As many waiting files as one request may carry. */
function batch() {
  let room = limit;
  const found = [];
  for (const entry of files) {
    if (entry.state !== "waiting") continue;
    if (entry.file.size > room || found.length === most) break;
    room -= entry.file.size;
    found.push(entry);
  }
  return found;
}

function spread(entries, loaded) {
  for (const entry of entries) {
    one("progress", entry.row).value = Math.min(Math.max(loaded, 0) / entry.file.size, 1);
    loaded -= entry.file.size;
  }
}

function send(entries) {
  const body = new FormData();
  body.append("csrfmiddlewaretoken", one("[name=csrfmiddlewaretoken]", form).value);
  entries.forEach((entry) => { tell(entry, "sending", "", "loader"); body.append("file", entry.file); });
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    request.upload.onprogress = (event) => spread(entries, event.loaded);
    request.onload = () => resolve(request);
    request.onerror = () => resolve(null);
    request.send(body);
  });
}

function settle(entries, request) {
  const isJson = request?.getResponseHeader("Content-Type")?.startsWith("application/json");
  if (!isJson) {
    const why = !request ? "The server did not answer; nothing of it was taken in. Send it again."
      : request.responseURL.includes("/sign-in/") ? "You are signed out. Sign in in another tab, then send it again."
        : request.status === 413 ? request.responseText
          : `The server refused it (${request.status}); nothing of it was taken in. Request ${request.getResponseHeader("X-Request-Id") ?? ""}`;
    entries.forEach((entry) => tell(entry, "waiting", why, "triangle-alert"));
    return false;
  }
  const answer = JSON.parse(request.responseText);
  answer.files.forEach((told, place) => {
    const entry = entries[place];
    one("progress", entry.row).value = 1;
    tell(entry, told.reason ? "refused" : "taken", told.reason || "Taken in", told.reason ? "circle-x" : "circle-check");
  });
  if (answer.progress) {
    const place = document.createElement("div");
    one("[data-ingests]").append(place);
    htmx.ajax("GET", answer.progress, { target: place, swap: "outerHTML" });
  }
  return true;
}

async function sendAll() {
  sending = true;
  one("[data-send]").disabled = true;
  for (let entries = batch(); entries.length; entries = batch()) {
    if (!settle(entries, await send(entries))) break;
  }
  sending = false;
  one("[data-send]").disabled = false;
  lead();
  const count = (state) => files.filter((each) => each.state === state).length;
  one("[data-said]").textContent = `${count("taken")} taken in, ${count("refused")} refused, ${count("waiting")} not sent.`;
}

one("[data-drop]").classList.add("is-quiet");
input.addEventListener("change", () => add([...input.files]));
add([...input.files]); // chosen before this ran, or kept by the browser over a reload
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (sending) return;
  if (batch().length) sendAll();
  else input.click();
});
onClick("[data-drop-file]", (button) => {
  const entry = files.find((each) => each.row.contains(button));
  if (entry) { remove(entry); input.focus(); }
});
for (const type of ["dragover", "dragleave", "drop"]) {
  on(type, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault(); // a file dropped beside the place must not replace the page
    one("[data-drop]").classList.toggle("is-over", type === "dragover");
    if (type === "drop") add([...event.dataTransfer.files]);
  });
}
addEventListener("beforeunload", (event) => { if (sending) event.preventDefault(); });
