// Signing in and proving anew who one is at a provider that nobody here wrote: the pages in between
// are held for as long as they are looked at. What is wrong with pages of the provider is its own.
"use strict";
const driver = require("./console_driver.cjs");
const { wishes, origin, seen, ask, next, look, going, go, click, type, picture, text, value } = driver;

// Keeps requests of a pattern from leaving while `act` looks at the page that sends them.
async function holding(urlPattern, act) {
  await ask("Fetch.enable", { patterns: [{ urlPattern }] });
  const held = next("Fetch.requestPaused");
  await act();
  const { requestId } = await held;
  return async () => {
    await ask("Fetch.continueRequest", { requestId });
    await ask("Fetch.disable");
  };
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

async function thereAndBack(name, leave) {
  const letGo = await holding(`${wishes.provider}/*`, leave);
  await picture(name);
  seen.leaving = await look("document.getElementById('provider').href.startsWith(" + JSON.stringify(wishes.provider) + ")");
  const [faults, foreign, heavy] = [seen.faults, seen.foreign, seen.heavy].map((all) => all.length);
  await going(letGo);
  await signsInThere();
  seen.faults.length = faults;
  seen.foreign.length = foreign;
  seen.heavy.length = heavy;
}

driver.drive(async () => {
  await go(`${origin}/sign-in`);
  await picture("sign-in-provider");
  await thereAndBack("leaving", () => click("form[action='/sign-in/oidc'] button"));
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
  // With script the page goes on by itself, as soon as it is there.
  if (wishes.script === "on") {
    await thereAndBack("leaving-again", () => click("[formaction]"));
  } else {
    await thereAndBack("leaving-again", () => click("[formaction]"));
    seen.going_on = await text("h1");
    await picture("go-on");
    await click("main form button");
  }
  for (let rounds = 0; rounds < 300 && !(await look("!!document.getElementById('secret')")); rounds += 1) {
    await look("new Promise((done) => setTimeout(done, 20))");
  }
  seen.secret = (await value("secret")).length > 9;
});
