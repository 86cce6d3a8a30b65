/* The console's behaviour: plain modules, no framework, nothing to build. */
import "./shell.js";
