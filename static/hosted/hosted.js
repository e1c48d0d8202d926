// Comforts of the hosted pages. Every page works without them.
"use strict";

// A form is sent once. The button is not disabled: its name and value belong to what is sent.
for (const form of document.forms) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = "yes";
    // a password that was shown goes back under cover, or the browser would remember it as plain text
    for (const button of form.querySelectorAll(".reveal[aria-pressed=true]")) button.click();
  });
}
// the Back button may bring the page back as it was left
addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});

for (const button of document.querySelectorAll(".reveal")) {
  const field = document.getElementById(button.getAttribute("aria-controls"));
  button.hidden = false;
  button.addEventListener("click", () => {
    const show = field.type === "password";
    field.type = show ? "text" : "password";
    button.setAttribute("aria-pressed", show);
  });
}

// The password policy, ticked off as one types. The server decides; these are its tests in accounts/passwords.py.
const SYMBOLS = "^$*.[]{}()?\"!@#%&/\\,><':;|_~`=+- ";
const TESTS = {
  length: (password, rule) => [...password].length >= Number(rule.dataset.min),
  lower: (password) => /[a-z]/.test(password),
  upper: (password) => /[A-Z]/.test(password),
  number: (password) => /[0-9]/.test(password),
  symbol: (password) => [...password].some((character) => SYMBOLS.includes(character)),
};
const password = document.getElementById("new_password");
const rules = [...document.querySelectorAll("[data-rule]")].filter((rule) => rule.dataset.rule in TESTS);
if (password && rules.length) {
  const tick = () => {
    for (const rule of rules) {
      const met = TESTS[rule.dataset.rule](password.value, rule);
      if (rule.classList.toggle("met", met)) {
        rule.setAttribute("aria-label", `${rule.textContent}: ${rule.parentElement.dataset.met}`);
      } else {
        rule.removeAttribute("aria-label");
      }
    }
  };
  password.addEventListener("input", tick);
  tick();
}

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = button.dataset.done;
  });
}
