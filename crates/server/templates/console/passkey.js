// Hands the question of a page to the browser, which asks a device, and sends the answer back with
// the form. Bytes are base64url in both.
"use strict";
{
  const form = document.querySelector("form[data-passkey]");
  const fault = document.querySelector("[data-passkey-fault]");
  const button = form.querySelector("button");

  const bytes = (text) =>
    Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const text = (buffer) =>
    btoa(Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join(""))
      .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const named = (list) => (list ?? []).map((one) => ({ ...one, id: bytes(one.id) }));

  // What the browser takes instead of what the server wrote.
  function question() {
    const asked = JSON.parse(form.dataset.question);
    asked.challenge = bytes(asked.challenge);
    if (asked.user) asked.user.id = bytes(asked.user.id);
    if (asked.allowCredentials) asked.allowCredentials = named(asked.allowCredentials);
    if (asked.excludeCredentials) asked.excludeCredentials = named(asked.excludeCredentials);
    return { publicKey: asked };
  }

  // And the other way round.
  function answer(given) {
    const told = given.response;
    const response = { clientDataJSON: text(told.clientDataJSON) };
    if (told.attestationObject) {
      response.attestationObject = text(told.attestationObject);
    } else {
      response.authenticatorData = text(told.authenticatorData);
      response.signature = text(told.signature);
      response.userHandle = told.userHandle ? text(told.userHandle) : null;
    }
    return { id: given.id, rawId: text(given.rawId), type: given.type, response, extensions: {} };
  }

  function say(what) {
    fault.textContent = fault.dataset[what];
    fault.hidden = false;
  }

  async function ask() {
    fault.hidden = true;
    button.disabled = true;
    try {
      const given = await navigator.credentials[form.dataset.passkey](question());
      form.elements.credential.value = JSON.stringify(answer(given));
      form.submit();
    } catch (error) {
      const words = { SecurityError: "elsewhere", InvalidStateError: "known" };
      say(words[error.name] ?? "failed");
      button.disabled = false;
    }
  }

  document.querySelector("[data-passkey-none]").hidden = true;
  if (window.PublicKeyCredential && navigator.credentials) {
    button.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      ask();
    });
    ask();
  } else {
    say("none");
  }
}
