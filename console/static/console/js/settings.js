/* The settings pages: looks that are tried on, the browser's own time zone. */
import { on, one, remember } from "./dom.js";

/* Looks are tried on as they are chosen; the form keeps them without a script. */
on("change", (event) => {
  const form = event.target.closest("[data-looks]");
  if (!form) return;
  const { name, value } = event.target;
  if (name === "theme" && value === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset[name] = value;
  remember(name, value);
});

/* Offers the zone that the computer is set to, if it is another one. */
const ownZone = one("[data-own-zone]");
if (ownZone) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const select = ownZone.form.elements.time_zone;
  const known = [...select.options].some((option) => option.value === zone);
  if (known && select.value !== zone) {
    one("span", ownZone).textContent = `This browser's: ${zone}`;
    ownZone.hidden = false;
    ownZone.addEventListener("click", () => { select.value = zone; ownZone.form.requestSubmit(); });
  }
}
