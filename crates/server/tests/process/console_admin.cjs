// What administrators do in a browser: every page of theirs, a sheet of registration tokens, an act
// on many tokens, a stricter policy; and what somebody sees who administers one unit.
"use strict";
const { wishes, origin, seen, look, go, click, type, picture, drive } = require("./console_driver.cjs");
const password = "three blue teapots";

async function comes(link) {
  if (wishes.script === "on") {
    await go(link);
  } else {
    await go(`${origin}/setup`);
    await type("link", link);
  }
  await click("main button");
}

async function chooses(name) {
  if (name) await type("username", name);
  await type("password", password);
  await type("again", password);
  await click("main button");
}

async function mints() {
  await go(`${origin}/admin/registration-tokens/batch`);
  await type("batch-rows", "name,unit,count\nNorth gate,Lab,5\nSouth gate,Lab,2\n");
  await click("#batch button");
  await picture("admin-batch");
  seen.minted = await look("document.querySelectorAll('tbody code').length");
}

async function locksMany() {
  await go(`${origin}/admin/tokens?user=bob`);
  await look("for (const box of document.querySelectorAll('.tick input')) box.checked = true");
  await look("document.getElementById('bulk-act').value = 'lock'");
  await click("#bulk button");
  await picture("admin-bulk");
  await click("#start button");
  seen.job = await look("document.querySelector('h1').textContent");
  await picture("admin-job");
}

async function tightens() {
  await go(`${origin}/admin/services/mail`);
  await type("policy-max_lifetime_seconds", "1d");
  await click("#policy button");
  await picture("admin-policy");
  seen.blocked = await look("document.querySelector('main .alert').textContent");
}

async function searches() {
  await go(`${origin}/admin/search`);
  await type("search-what", wishes.piece);
  await click("#search button");
  await picture("admin-found");
  seen.found = await look("document.querySelectorAll('tbody tr').length");
  seen.echoed = await look(`document.documentElement.outerHTML.includes(${JSON.stringify(wishes.piece)})`);
}

async function administersUnit() {
  await go(`${origin}/admin/people/carol`);
  await click("form[action$='/link'] button");
  const invitation = await look("document.getElementById('link').value");
  await click("header form button");
  await comes(invitation);
  await chooses();
  for (const [name, where] of wishes.unit_pages) {
    await go(origin + where);
    await picture(`unit-${name}`);
  }
  seen.unit_links = await look(
    "[...document.querySelectorAll('.second a')].map((one) => one.getAttribute('href')).join(' ')",
  );
}

drive(async () => {
  await comes(wishes.link);
  await chooses("root");
  for (const [name, where] of wishes.pages) {
    await go(origin + where);
    await picture(name);
  }
  await mints();
  await locksMany();
  await tightens();
  await searches();
  await administersUnit();
});
