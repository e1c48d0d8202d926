// Sends the page's form by itself: response_mode=form_post at once, a page that waits after its delay in seconds.
// Without scripts the button does. Whoever comes back by the Back button finds the page at rest: sending it again
// would shut them in.
"use strict";
const [visit] = performance.getEntriesByType("navigation");
const form = document.forms[0];
if (!visit || visit.type !== "back_forward") {
  setTimeout(() => HTMLFormElement.prototype.submit.call(form), Number(form.dataset.delay || 0) * 1000);
}
