// A journey through the console in a real browser, driven over the pipe of its debugging protocol.
// Arguments: the browser, the link for the first administrator, directories for pictures and for
// what the browser keeps, and whether pages may run script. Prints what it saw as JSON.
"use strict";
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");

const [browser, link, pictures, profile, script] = process.argv.slice(2);
const origin = new URL(link).origin;
const flags = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
  "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-pipe",
  `--user-data-dir=${profile}`, "about:blank",
];
const child = spawn(browser, flags, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
const waiting = new Map();
const listeners = [];
let number = 0;
let rest = "";

child.stdio[4].on("data", (chunk) => {
  rest += chunk;
  const messages = rest.split("\0");
  rest = messages.pop();
  for (const text of messages) {
    const message = JSON.parse(text);
    if (message.id) {
      const { done, failed } = waiting.get(message.id);
      waiting.delete(message.id);
      message.error ? failed(new Error(JSON.stringify(message.error))) : done(message.result);
    } else {
      for (const listener of listeners) listener(message);
    }
  }
});

let page;
function ask(method, params = {}) {
  const id = ++number;
  const message = { id, method, params };
  if (page) message.sessionId = page;
  child.stdio[3].write(`${JSON.stringify(message)}\0`);
  return new Promise((done, failed) => waiting.set(id, { done, failed }));
}

// Resolves with the next event of that name.
function next(method) {
  return new Promise((done) => {
    const listener = (message) => {
      if (message.method !== method) return;
      listeners.splice(listeners.indexOf(listener), 1);
      done(message.params);
    };
    listeners.push(listener);
  });
}

const seen = { faults: [], foreign: [], pages: [], overflow: [] };
listeners.push(({ method, params }) => {
  if (method === "Log.entryAdded" && params.entry.level === "error") {
    seen.faults.push(params.entry.text);
  }
  if (method === "Runtime.exceptionThrown") seen.faults.push(params.exceptionDetails.text);
  if (method === "Audits.issueAdded" && params.issue.code === "ContentSecurityPolicyIssue") {
    seen.faults.push(JSON.stringify(params.issue.details));
  }
  if (method === "Network.requestWillBeSent") {
    const url = params.request.url;
    if (!url.startsWith(`${origin}/`) && !url.startsWith("data:")) seen.foreign.push(url);
  }
});

async function look(expression) {
  const answer = await ask("Runtime.evaluate", { expression, awaitPromise: true });
  if (answer.exceptionDetails) throw new Error(`${expression}: ${JSON.stringify(answer.exceptionDetails)}`);
  return answer.result.value;
}

// Does something that leads to another page, and waits until it is there.
async function going(act) {
  const loaded = next("Page.loadEventFired");
  await act();
  await loaded;
  seen.pages.push(await look("location.pathname"));
}

const go = (where) => going(() => ask("Page.navigate", { url: where }));
const click = (selector) => going(() => look(`document.querySelector(${JSON.stringify(selector)}).click()`));
const type = (id, text) =>
  look(`document.getElementById(${JSON.stringify(id)}).value = ${JSON.stringify(text)}`);

async function picture(name) {
  for (const [look_, width, scheme] of [["light", 1200, "light"], ["dark", 1200, "dark"], ["phone", 390, "light"]]) {
    await ask("Emulation.setDeviceMetricsOverride", {
      width, height: 860, deviceScaleFactor: 1, mobile: width < 500,
    });
    await ask("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
    const wide = await look("document.documentElement.scrollWidth > innerWidth");
    if (wide) seen.overflow.push(`${name} ${look_}`);
    const { data } = await ask("Page.captureScreenshot", { format: "png", captureBeyondViewport: false });
    fs.writeFileSync(path.join(pictures, `${name}-${look_}-${script}.png`), Buffer.from(data, "base64"));
  }
}

async function journey() {
  const { targetInfos } = await ask("Target.getTargets");
  const target = targetInfos.find((one) => one.type === "page");
  const { sessionId } = await ask("Target.attachToTarget", { targetId: target.targetId, flatten: true });
  page = sessionId;
  for (const domain of ["Page", "Runtime", "Log", "Network", "Audits"]) await ask(`${domain}.enable`);
  await ask("Emulation.setScriptExecutionDisabled", { value: script === "off" });
  const password = "three blue teapots";
  if (script === "on") {
    await go(link);
    seen.moved = (await look("document.getElementById('link').value")) === link.split("#")[1];
    seen.address = await look("location.href");
  } else {
    await go(`${origin}/setup`);
    await type("link", link);
  }
  await picture("setup");
  await click("main button");
  await type("username", "root");
  await type("password", password);
  await type("again", password);
  await picture("password");
  await click("main button");
  await picture("home");
  await click(".card .button");
  await type("name", "laptop");
  await picture("new-token");
  await click("main button");
  await picture("secret");
  const secret = await look("document.getElementById('secret').value");
  await going(() => ask("Page.reload"));
  seen.same_after_reload = (await look("document.getElementById('secret').value")) === secret;
  await click("main .button");
  await picture("token");
  await click(".danger");
  await picture("revoke");
  await click("main button");
  seen.state = await look("document.querySelector('h1 .state').textContent");
  await go(`${origin}/account`);
  await picture("account");
  await go(`${origin}/admin`);
  await picture("admin");
  await click("header button");
  seen.cookies = (await ask("Network.getCookies", { urls: [origin] })).cookies.length;
  // A page that the browser kept would be there without being loaded.
  const there = next("Page.frameNavigated");
  await look("history.back()");
  await there;
  while ((await look("document.readyState")) !== "complete") await look("0");
  seen.after_back = await look("location.pathname");
  await picture("sign-in");
}

journey()
  .then(() => console.log(JSON.stringify(seen)))
  .catch((error) => {
    console.log(JSON.stringify({ ...seen, error: String(error.stack) }));
    process.exitCode = 1;
  })
  .finally(() => child.kill());
