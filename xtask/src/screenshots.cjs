// Takes pictures of pages with a browser, over the pipe of its debugging protocol.
// Arguments: the browser, a directory for what it keeps, and a file with the pictures to take:
// [{ "file", "url", "cookie": { "name", "value" }, "width", "height", "scheme" }].
"use strict";
const { spawn } = require("node:child_process");
const fs = require("node:fs");

const [browser, profile, wishes] = process.argv.slice(2);
const child = spawn(
  browser,
  [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars", "--lang=en",
    "--remote-debugging-pipe", `--user-data-dir=${profile}`, "about:blank",
  ],
  { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] },
);
const waiting = new Map();
const once = new Map();
let page;
let number = 0;
let rest = "";

child.stdio[4].on("data", (chunk) => {
  const messages = (rest + chunk).split("\0");
  rest = messages.pop();
  for (const text of messages) {
    const message = JSON.parse(text);
    if (!message.id) {
      once.get(message.method)?.(message.params);
      continue;
    }
    const { done, failed } = waiting.get(message.id);
    waiting.delete(message.id);
    message.error ? failed(new Error(JSON.stringify(message.error))) : done(message.result);
  }
});

function ask(method, params = {}) {
  const message = { id: ++number, method, params, sessionId: page };
  child.stdio[3].write(`${JSON.stringify(message)}\0`);
  return new Promise((done, failed) => waiting.set(message.id, { done, failed }));
}

async function take(wish) {
  const { width, height, scheme } = wish;
  await ask("Emulation.setDeviceMetricsOverride", {
    width, height, deviceScaleFactor: 1, mobile: width < 500,
  });
  await ask("Emulation.setEmulatedMedia", {
    features: [{ name: "prefers-color-scheme", value: scheme }],
  });
  await ask("Emulation.setLocaleOverride", { locale: "en-GB" });
  await ask("Network.setExtraHTTPHeaders", { headers: { "Accept-Language": "en-GB" } });
  await ask("Network.clearBrowserCookies");
  await ask("Network.setCookie", { ...wish.cookie, url: wish.url });
  const loaded = new Promise((done) => once.set("Page.loadEventFired", done));
  await ask("Page.navigate", { url: wish.url });
  await loaded;
  const { result } = await ask("Runtime.evaluate", { expression: "location.href" });
  if (result.value !== wish.url) throw new Error(`${wish.url} led to ${result.value}`);
  const { data } = await ask("Page.captureScreenshot", { format: "png" });
  fs.writeFileSync(wish.file, Buffer.from(data, "base64"));
}

async function all() {
  const { targetInfos } = await ask("Target.getTargets");
  const { targetId } = targetInfos.find((one) => one.type === "page");
  page = (await ask("Target.attachToTarget", { targetId, flatten: true })).sessionId;
  for (const domain of ["Page", "Runtime", "Network"]) await ask(`${domain}.enable`);
  for (const wish of JSON.parse(fs.readFileSync(wishes, "utf8"))) await take(wish);
}

all()
  .catch((error) => {
    console.error(error.stack);
    process.exitCode = 1;
  })
  .finally(() => child.kill());
