// What pages do better with script: none of it is needed.
"use strict";

// A link's secret moves from the fragment into the form, and out of the address bar and history.
const field = document.querySelector("[data-fragment]");
if (field && location.hash.length > 1) {
  field.value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
}

// Instants in the reader's own zone when they point at them.
for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  if (!Number.isNaN(at.getTime())) {
    time.title = at.toLocaleString(document.documentElement.lang, { dateStyle: "full", timeStyle: "long" });
  }
}

// A secret is selected as a whole.
for (const input of document.querySelectorAll("[data-select]")) {
  input.addEventListener("focus", () => input.select());
}

// And copied by a button, where the browser lets a page do that.
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    await navigator.clipboard.writeText(source.value ?? source.textContent);
    button.textContent = button.dataset.copied;
    const status = document.querySelector("[data-status]");
    if (status) status.textContent = button.dataset.copied;
  });
}

// Whoever proved anew who they are goes on with what they had asked for.
const goingOn = document.querySelector("form[data-go-on]");
if (goingOn) goingOn.requestSubmit();
