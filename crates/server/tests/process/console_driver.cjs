// Drives a real browser over the pipe of its debugging protocol, and notes whatever is wrong with
// the pages that it sees. A script that drives one is started with its wishes as JSON: the browser,
// directories for pictures and for what the browser keeps, whether pages may run script, and where
// axe-core is, if it is there. It prints what it saw as JSON.
"use strict";
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");

const wishes = JSON.parse(process.argv[2]);
const { browser, link, pictures, profile, script, axe } = wishes;
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

// Whoever waits for something that never comes is told what it was.
const PATIENCE = 120_000;
function until(what, failed) {
  const late = setTimeout(() => failed(new Error(`no ${what} within ${PATIENCE} ms`)), PATIENCE);
  return () => clearTimeout(late);
}

child.on("exit", (status) => {
  for (const { failed } of waiting.values()) failed(new Error(`the browser ended: ${status}`));
});

let page;
function ask(method, params = {}) {
  const id = ++number;
  const message = { id, method, params };
  if (page) message.sessionId = page;
  child.stdio[3].write(`${JSON.stringify(message)}\0`);
  return new Promise((done, failed) => {
    const here = until(`answer to ${method}`, failed);
    waiting.set(id, {
      done: (result) => { here(); done(result); },
      failed: (error) => { here(); failed(error); },
    });
  });
}

// Resolves with the next event of that name that is as wanted.
function next(method, wanted = () => true) {
  return new Promise((done, failed) => {
    const here = until(method, failed);
    const listener = (message) => {
      if (message.method !== method || !wanted(message.params)) return;
      here();
      listeners.splice(listeners.indexOf(listener), 1);
      done(message.params);
    };
    listeners.push(listener);
  });
}

const seen = { faults: [], foreign: [], pages: [], overflow: [], barriers: [], heavy: [], clicks: 0 };
// What the latest page was answered with.
const answered = { status: 0 };
// Parts of what the browser says of answers that a journey asks for on purpose.
const expected = [];
listeners.push(({ method, params }) => {
  if (method === "Log.entryAdded" && params.entry.level === "error") {
    const { text } = params.entry;
    if (!expected.some((part) => text.includes(part))) seen.faults.push(text);
  }
  if (method === "Runtime.exceptionThrown") seen.faults.push(params.exceptionDetails.text);
  if (method === "Audits.issueAdded" && params.issue.code === "ContentSecurityPolicyIssue") {
    seen.faults.push(JSON.stringify(params.issue.details));
  }
  if (method === "Network.requestWillBeSent") {
    const url = params.request.url;
    const known = [origin, wishes.provider].some((one) => one && url.startsWith(`${one}/`));
    // What a page of the provider fetches is its own matter.
    const theirs = wishes.provider && params.documentURL.startsWith(`${wishes.provider}/`);
    if (!known && !theirs && !url.startsWith("data:")) seen.foreign.push(url);
  }
  if (method === "Network.responseReceived" && params.type === "Document") {
    answered.status = params.response.status;
  }
  if (method === "Network.loadingFinished") bytes += params.encodedDataLength;
});

// What came over the line since the page was asked for: pages promise to be light.
let bytes = 0;

async function look(expression) {
  const answer = await ask("Runtime.evaluate", { expression, awaitPromise: true });
  if (answer.exceptionDetails) throw new Error(`${expression}: ${JSON.stringify(answer.exceptionDetails)}`);
  return answer.result.value;
}

// Does something that leads to another page, and waits until it is there.
async function going(act) {
  const loaded = next("Page.loadEventFired");
  bytes = 0;
  await act();
  await loaded;
  const path = await look("location.pathname");
  seen.pages.push(path);
  if (bytes > 50_000) seen.heavy.push(`${path} ${bytes}`);
}

const go = (where) => going(() => ask("Page.navigate", { url: where }));
const click = (selector) => {
  seen.clicks += 1;
  return going(() => look(`document.querySelector(${JSON.stringify(selector)}).click()`));
};
const type = (id, text) =>
  look(`document.getElementById(${JSON.stringify(id)}).value = ${JSON.stringify(text)}`);

// What axe-core calls a serious or critical barrier. It is not part of the page, so the page's own
// policy does not keep it out; without script it cannot run.
async function barriers(name) {
  if (!axe || script === "off") return;
  await look(`if (!window.axe) { ${fs.readFileSync(axe, "utf8")} } 0`);
  const found = JSON.parse(await look(`axe.run(document, { resultTypes: ["violations"] }).then((said) =>
    JSON.stringify(said.violations.filter((one) => ["serious", "critical"].includes(one.impact))
      .map((one) => one.id + " " + one.nodes.map((node) => node.html.slice(0, 160)).join(" | "))))`));
  for (const one of found) seen.barriers.push(`${name}: ${one}`);
}

const LOOKS = [["light", 1200, "light"], ["dark", 1200, "dark"], ["phone", 390, "light"]];

// The page in light, dark and on a phone: kept as pictures, and looked at by axe-core.
async function picture(name) {
  for (const [kind, width, scheme] of LOOKS) {
    await ask("Emulation.setDeviceMetricsOverride", {
      width, height: 860, deviceScaleFactor: 1, mobile: width < 500,
    });
    await ask("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
    const wide = await look("document.documentElement.scrollWidth > innerWidth");
    if (wide) seen.overflow.push(`${name} ${kind}`);
    await barriers(`${name} ${kind}`);
    const { cssContentSize } = await ask("Page.getLayoutMetrics");
    const clip = { x: 0, y: 0, width, height: Math.min(cssContentSize.height, 4000), scale: 1 };
    const { data } = await ask("Page.captureScreenshot", { format: "png", captureBeyondViewport: true, clip });
    fs.writeFileSync(path.join(pictures, `${name}-${kind}-${script}.png`), Buffer.from(data, "base64"));
  }
}

// Does what the function says in a fresh tab, and prints what was seen.
function drive(journey) {
  const begin = async () => {
    // The browser answers before it has opened its first tab.
    let target;
    while (!target) {
      const { targetInfos } = await ask("Target.getTargets");
      target = targetInfos.find((one) => one.type === "page");
    }
    const { sessionId } = await ask("Target.attachToTarget", { targetId: target.targetId, flatten: true });
    page = sessionId;
    for (const domain of ["Page", "Runtime", "Log", "Network", "Audits"]) await ask(`${domain}.enable`);
    await ask("Emulation.setScriptExecutionDisabled", { value: script === "off" });
    await journey();
  };
  begin()
    .then(() => console.log(JSON.stringify(seen)))
    .catch((error) => {
      console.log(JSON.stringify({ ...seen, error: String(error.stack) }));
      process.exitCode = 1;
    })
    .finally(() => {
      child.kill();
      // What nobody waits for any more keeps this program no longer.
      process.stdout.write("", () => process.exit());
    });
}

// What stands in the first element of a selector, and how many there are.
const text = (selector) =>
  look(`(document.querySelector(${JSON.stringify(selector)})?.textContent ?? "").replace(/\\s+/g, " ").trim()`);
const count = (selector) => look(`document.querySelectorAll(${JSON.stringify(selector)}).length`);
const value = (id) => look(`document.getElementById(${JSON.stringify(id)}).value`);

// Does something that the server answers otherwise than with a page as it should be.
async function expecting(status, act) {
  expected.push(`status of ${status}`);
  await act();
  if (answered.status !== status) throw new Error(`${answered.status} in place of ${status}`);
  // What the browser has to say of it, it has said before it answers.
  await look("0");
  expected.pop();
}

// Asks for pages that are not for whoever is signed in; `[path, status]`.
async function refused(pages) {
  for (const [where, status] of pages) await expecting(status, () => go(origin + where));
}

// What somebody who uses a proxy or a device would send, beside the browser.
async function call(path, secret, body) {
  const answer = await fetch(`${origin}/api/v1/realms/main${path}`, {
    method: "POST",
    headers: { "authorization": `Bearer ${secret}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return answer.status;
}

// Downloads what a click gives, and reads it.
async function downloaded(selector) {
  const there = path.join(profile, "downloads");
  fs.mkdirSync(there, { recursive: true });
  await ask("Page.setDownloadBehavior", { behavior: "allow", downloadPath: there });
  const begun = next("Page.downloadWillBegin");
  const ended = next("Page.downloadProgress", ({ state }) => state !== "inProgress");
  await look(`document.querySelector(${JSON.stringify(selector)}).click()`);
  const { suggestedFilename: name } = await begun;
  const { state } = await ended;
  if (state !== "completed") throw new Error(`${name}: ${state}`);
  return { name, text: fs.readFileSync(path.join(there, name), "utf8") };
}

module.exports = {
  wishes, origin, seen, answered, expected, ask, next, look, going, go, click, type, picture, drive,
  text, count, value, expecting, refused, call, downloaded,
};
