// A journey with passkeys, by the authenticator that Chromium has for tests: one is added, and its
// person comes in by it alone, after the password, and shows by it that it is still them; one that
// was removed lets nobody in.
"use strict";
const driver = require("./console_driver.cjs");
const { wishes, origin, seen, ask, look, go, click, type, picture } = driver;
const { link } = wishes;
const password = "three blue teapots";

// A device inside of this browser: it finds its passkeys by itself and verifies the person.
let device;
async function plugged() {
  const options = {
    protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true,
    isUserVerified: true, automaticPresenceSimulation: true,
  };
  device = (await ask("WebAuthn.addVirtualAuthenticator", { options })).authenticatorId;
}

const touched = (enabled) =>
  ask("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId: device, enabled });

const kept = async () =>
  (await ask("WebAuthn.getCredentials", { authenticatorId: device })).credentials;

// Waits until a page is there to which scripts lead, however many lie between. While one page takes
// the place of another, there is nothing to look at.
async function arrives(condition) {
  const late = Date.now() + 60_000;
  const there = `document.readyState === "complete" && (${condition})`;
  while (!(await look(there).catch(() => false))) {
    if (Date.now() > late) throw new Error(`no ${condition}: ${await look("document.body.innerText")}`);
  }
}
const at = (path) => arrives(`location.pathname === ${JSON.stringify(path)}`);

// Presses a button that leads to a question. Nobody touches the device until the picture is taken;
// a question that nobody answered is asked anew.
async function asked(name, selector, path) {
  await touched(false);
  await click(selector);
  await picture(name);
  await touched(true);
  await ask("Page.reload");
  await at(path);
}

async function signsOut() {
  await go(`${origin}/account`);
  await click("header form button");
}

const who = async () =>
  `${await look("location.pathname")} ${await look("document.querySelector('.who')?.textContent ?? ''")}`;
const by = (words) => look(`document.querySelector(".state.good").closest("li").textContent.includes(${JSON.stringify(words)})`);
const opened = () => look("document.querySelectorAll('details').forEach((one) => { one.open = true; }), 0");

async function adds() {
  await go(`${origin}/account`);
  await type("passkey-name", "phone");
  await asked("passkey-add", "form[action='/account/passkeys'] button", "/account");
  seen.kept = (await kept()).map((one) => `${one.rpId} ${one.isResidentCredential}`);
  seen.listed = await look("document.querySelector('section[aria-labelledby=passkeys] .name').textContent");
  await opened();
  await picture("passkeys");
  // The same device keeps one passkey of a person: it says so, and makes none.
  await type("passkey-name", "again");
  await click("form[action='/account/passkeys'] button");
  await arrives("!document.querySelector('[data-passkey-fault]').hidden");
  seen.twice = await look("document.querySelector('[data-passkey-fault]').textContent");
  await picture("passkey-known");
}

async function comesInAlone() {
  await signsOut();
  await go(`${origin}/sign-in?next=%2Faccount`);
  await picture("sign-in-passkey");
  await asked("passkey-use", "#by-passkey", "/account");
  seen.alone = await who();
  seen.alone_by = await by("By passkey");
}

async function comesInAfterThePassword() {
  await click("form[action='/account/passkeys/require'] button");
  await picture("passkey-required");
  await signsOut();
  await type("username", "root");
  await type("password", password);
  await touched(false);
  await click("main form button");
  seen.by_password_alone = (await ask("Network.getCookies", { urls: [origin] })).cookies.map((one) => one.name);
  await picture("passkey-after");
  await touched(true);
  await ask("Page.reload");
  await at("/");
  await go(`${origin}/account`);
  seen.after_by = await by("By password and passkey");
}

// Who comes by the word of a proxy has proved nothing here, so they are asked at once.
async function provesAndRemoves() {
  await signsOut();
  await ask("Network.setExtraHTTPHeaders", { headers: { "Remote-User": "root" } });
  await go(`${origin}/sign-in`);
  await click("form[action='/sign-in/proxy'] button");
  await go(`${origin}/account`);
  await opened();
  driver.expected.push("status of 403");
  await click("form[action$='/remove'] button");
  seen.proofs = await look("[...document.querySelectorAll('main .actions button')].map((one) => one.textContent).join(', ')");
  await picture("step-up-passkey");
  await asked("passkey-again", "#by-passkey", "/account");
  seen.left = await look("document.querySelectorAll('form[action$=\"/remove\"]').length");
  await signsOut();
  await ask("Network.setExtraHTTPHeaders", { headers: {} });
}

async function isRefused() {
  seen.still_kept = (await kept()).length;
  await go(`${origin}/sign-in`);
  await look("document.querySelector('#by-passkey').click()");
  await at("/sign-in/passkey/finish");
  seen.refused = await look("document.querySelector('h1').textContent");
  seen.cookies = (await ask("Network.getCookies", { urls: [origin] })).cookies.length;
  await picture("passkey-refused");
  driver.expected.pop();
  await go(`${origin}/sign-in`);
  await type("username", "root");
  await type("password", password);
  await click("main form button");
  seen.end = await who();
}

async function journey() {
  await ask("WebAuthn.enable");
  await ask("Emulation.setFocusEmulationEnabled", { enabled: true });
  await plugged();
  await go(link);
  await click("main button");
  await type("username", "root");
  await type("password", password);
  await type("again", password);
  await click("main button");
  await adds();
  await comesInAlone();
  await comesInAfterThePassword();
  await provesAndRemoves();
  await isRefused();
}

driver.drive(journey);
