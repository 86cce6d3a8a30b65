/* The console's behaviour: plain modules, no framework, nothing to build. */
import "./keys.js";
import "./shell.js";
import "./trouble.js";
import "./forms.js";
import "./live.js";
import "./list.js";
import "./dialogs.js";

/* What one page family needs comes with it. */
if (document.querySelector("#step-rows")) import("./timeline.js");
if (document.querySelector("[data-poll]:not([data-poll='quiet'])")) import("./stale.js");
