/* The style page: toasts as they come and go. */
import { onClick, toast } from "./dom.js";

onClick("[data-style-toast]", () => {
  toast("Copied r_8f3k");
  toast("198 runs will be retried in 5 s.", { tone: "success", undo: () => toast("Undone: nothing is retried.") });
  toast("Cancelling a run needs the role operator or higher; yours is viewer.", { tone: "error" });
  toast("This one waits until another has gone.");
});
