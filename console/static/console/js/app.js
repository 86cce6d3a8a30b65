/* The console's behaviour: plain modules, no framework, nothing to build. */
import "./keys.js";
import "./shell.js";
import "./trouble.js";
import "./forms.js";
import "./live.js";
import "./list.js";
import "./timeline.js";
import "./dialogs.js";
