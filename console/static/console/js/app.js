/* The console's behaviour: plain modules, no framework, nothing to build. */
import "./shell.js";
import "./live.js";
import "./list.js";
import "./timeline.js";
import "./dialogs.js";
