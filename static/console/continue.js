// An operation that is longer than a request goes on by itself; its page has a button for who runs no scripts.
"use strict";
const form = document.querySelector("form[data-continue]");
if (form) setTimeout(() => form.submit(), 300);
