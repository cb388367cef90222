// The README's first steps in the browser: the printed link, a name and a password, a service, a
// token. Each click is counted, the opening of the link among them.
"use strict";
const { wishes, seen, look, go, click, type, picture, drive } = require("./console_driver.cjs");
const password = "three blue teapots";

drive(async () => {
  seen.clicks += 1;
  await go(wishes.link);
  await click("main button");
  await type("username", "root");
  await type("password", password);
  await type("again", password);
  await click("main button");
  await picture("first-service");
  await type("service-name", "Hello");
  await click("main form button");
  await picture("first-service-made");
  await click("main .button");
  await type("name", "laptop");
  await click("main form .actions button");
  // The button that copies it.
  seen.clicks += 1;
  seen.secret = await look("document.getElementById('secret').value");
});
