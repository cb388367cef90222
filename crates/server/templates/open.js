// Moves the link's secret from the fragment into the form, and out of the address bar and history.
"use strict";
const field = document.getElementById("link");
if (field && location.hash.length > 1) {
  field.value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
}
