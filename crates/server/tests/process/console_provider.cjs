// Signing in and proving anew who one is at a provider that nobody here wrote: the pages in between
// go on by themselves. What is wrong with pages of the provider is its own.
"use strict";
const driver = require("./console_driver.cjs");
const { wishes, origin, seen, look, going, go, click, type, picture, text, value } = driver;

// Waits until the browser is at another server than we are, and its page is there. In between
// there is no page to ask.
async function away() {
  for (let rounds = 0; rounds < 300; rounds += 1) {
    await new Promise((done) => setTimeout(done, 50));
    const gone = look(`location.origin !== ${JSON.stringify(origin)} && document.readyState === "complete"`);
    if (await gone.catch(() => false)) return;
  }
  throw new Error(`still at ${await look("location.href")}`);
}

// Signs in there, wherever it asks, until one is back here.
async function signsInThere() {
  for (let steps = 0; steps < 9; steps += 1) {
    if ((await look("location.origin")) === origin) return;
    await going(() => look(`(() => {
      const login = document.querySelector("[name=login]");
      if (login) { login.value = "alice"; document.querySelector("[name=password]").value = "any"; }
      document.querySelector("button[type=submit]").click();
    })()`));
  }
  throw new Error(`still at ${await look("location.href")}`);
}

async function thereAndBack(leave) {
  driver.expected.push("net::ERR_NAME_NOT_RESOLVED");
  await leave();
  const [faults, foreign, heavy] = [seen.faults, seen.foreign, seen.heavy].map((all) => all.length);
  await away();
  await signsInThere();
  seen.faults.length = faults;
  seen.foreign.length = foreign;
  seen.heavy.length = heavy;
  driver.expected.pop();
}

driver.drive(async () => {
  await go(`${origin}/sign-in`);
  await picture("sign-in-provider");
  await thereAndBack(() => click("form[action='/sign-in/oidc'] button"));
  seen.came = await look("location.pathname");
  await go(`${origin}/services/git/new`);
  await type("name", "laptop");
  // It is a second that they are believed without being asked.
  for (let rounds = 0; rounds < 300; rounds += 1) {
    driver.expected.push("status of 403");
    await click("main form .actions button");
    if (await look("!!document.querySelector('[formaction]')")) break;
    await go(`${origin}/services/git/new`);
    await type("name", "laptop");
  }
  await picture("step-up-provider");
  await thereAndBack(() => click("[formaction]"));
  // With script the page goes on by itself, as soon as it is there.
  if (wishes.script !== "on") {
    seen.going_on = await text("h1");
    await picture("go-on");
    await click("main form button");
  }
  for (let rounds = 0; rounds < 300 && !(await look("!!document.getElementById('secret')")); rounds += 1) {
    await look("new Promise((done) => setTimeout(done, 20))");
  }
  seen.secret = (await value("secret")).length > 9;
});
