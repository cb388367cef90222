// A journey through the console: the first administrator makes tokens and devices, looks at every
// page there is, lets somebody in, and leaves; then that person looks at theirs.
"use strict";
const { createHmac } = require("node:crypto");
const driver = require("./console_driver.cjs");
const { wishes, origin, seen, ask, next, look, going, go, click, type, picture } = driver;
const { link, script, pages } = wishes;
const password = "three blue teapots";

// The code of RFC 6238 that an authenticator shows now.
function code(seed) {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...seed].map((c) => alphabet.indexOf(c).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000)));
  const mac = createHmac("sha1", key).update(step).digest();
  const at = mac[19] & 15;
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1000000).padStart(6, "0");
}

async function chooses(username) {
  if (username) await type("username", username);
  await type("password", password);
  await type("again", password);
}

async function comes(link) {
  if (script === "on") {
    await go(link);
    seen.moved = (await look("document.getElementById('link').value")) === link.split("#")[1];
    seen.address = await look("location.href");
  } else {
    await go(`${origin}/setup`);
    await type("link", link);
  }
}

async function makesToken() {
  await go(`${origin}/`);
  await picture("home");
  await click(".card .button");
  await type("name", "laptop");
  await picture("new-token");
  await click("main form .actions button");
  await look("document.querySelectorAll('details').forEach((one) => { one.open = true; }), 0");
  await picture("secret");
  const secret = await look("document.getElementById('secret').value");
  seen.recipe_holds_secret = await look(`document.getElementById("recipe-mail").textContent.includes(${JSON.stringify(secret)})`);
  await going(() => ask("Page.reload"));
  seen.same_after_reload = (await look("document.getElementById('secret').value")) === secret;
  await click("main .button");
  await picture("token");
  await click("main .actions .button");
  await picture("rotate");
  await click("main form .actions button");
  await click("main .button");
  seen.overlaps = await look("document.querySelectorAll('.good-news').length");
  await click(".danger");
  await picture("revoke");
  await click("main form .actions button");
  seen.state = await look("document.querySelector('h1 .state').textContent");
}

async function addsDevice() {
  await click("nav a[href='/devices']");
  await picture("devices-empty");
  await type("name", "phone");
  await click("main form button");
  await picture("device-secret");
  const seed = await look("document.getElementById('seed').value");
  driver.expected.push("status of 422");
  await type("code", "000000");
  await click("main form button");
  await picture("device-refused");
  driver.expected.pop();
  await type("code", code(seed));
  await click("main form button");
  seen.confirmed = await look("document.querySelectorAll('.waits').length === 0 && document.querySelectorAll('.tokens li').length");
}

async function journey() {
  await comes(link);
  await picture("setup");
  await click("main button");
  await chooses("root");
  await picture("password");
  await click("main button");
  await makesToken();
  await addsDevice();
  for (const [name, path] of pages) {
    await go(origin + path);
    await picture(name);
  }
  await go(`${origin}/approvals`);
  await click("main form button");
  seen.waiting = await look("document.querySelectorAll('.tokens li').length");
  await go(`${origin}/admin/people`);
  await type("invite-username", "alice");
  await click("#invite button");
  await picture("link");
  const invitation = await look("document.getElementById('link').value");
  await go(`${origin}/account`);
  await click("header form button");
  seen.cookies = (await ask("Network.getCookies", { urls: [origin] })).cookies.length;
  // A page that the browser kept would be there without being loaded.
  const there = next("Page.frameNavigated");
  await look("history.back()");
  await there;
  while ((await look("document.readyState")) !== "complete") await look("0");
  seen.after_back = await look("location.pathname");
  await picture("sign-in");
  await comes(invitation);
  await click("main button");
  await chooses();
  await click("main button");
  await picture("home-of-a-person");
  seen.links_of_a_person = await look("[...document.querySelectorAll('nav a')].map((one) => one.getAttribute('href')).join(' ')");
}

driver.drive(journey);
