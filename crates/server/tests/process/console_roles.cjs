// What each role does in a browser, and what is not for it: a person, who looks after a service, who
// administers a unit, and who administers the realm. Which one, the wishes say.
"use strict";
const driver = require("./console_driver.cjs");
const { wishes, origin, seen, ask, look, going, go, click, type, picture } = driver;
const { text, count, value, expecting, refused, call, downloaded } = driver;

const links = () =>
  look("[...document.querySelectorAll('.second a')].map((one) => one.getAttribute('href')).join(' ')");
const cells = (selector) =>
  look(`[...document.querySelector(${JSON.stringify(selector)}).cells].map((one) => one.textContent.trim()).join(" ")`);
const column = (number) =>
  look(`[...document.querySelectorAll("tbody tr")].map((row) => row.cells[${number}].textContent.trim()).join(" ")`);
const choose = (id, wanted) =>
  look(`document.getElementById(${JSON.stringify(id)}).value = ${JSON.stringify(wanted)}`);
const unfold = () => look("for (const one of document.querySelectorAll('details')) one.open = true; 0");

async function signIn(name) {
  await go(`${origin}/sign-in`);
  await type("username", name);
  await type("password", wishes.password);
  await click("main button");
}

// What the button copies, where there is script; without it there is no such button.
async function copied(secret) {
  if (wishes.script === "off") return look("document.querySelector('[data-copy]').hidden");
  const permissions = ["clipboardReadWrite", "clipboardSanitizedWrite"];
  await ask("Browser.grantPermissions", { origin, permissions });
  await ask("Emulation.setFocusEmulationEnabled", { enabled: true });
  const done = `new Promise((done) => {
    const button = document.querySelector("[data-copy=secret]");
    new MutationObserver(() => done(button.textContent)).observe(button, { childList: true });
    button.click();
  })`;
  await look(done);
  return (await look("navigator.clipboard.readText()")) === secret;
}

async function joins() {
  const membership = "form[action='/services/boats/membership'] button";
  seen.joined = [];
  for (const name of ["person-joined", "person-home"]) {
    await click(membership);
    seen.joined.push(await count("a[href='/services/boats/new']"));
    await picture(name);
  }
}

async function makesToken() {
  await click(".cards a[href='/services/mail']");
  await picture("person-service");
  await click("main a.button");
  seen.scopes = await look("[...document.querySelectorAll('[name=scope]')].map((one) => one.closest('label').textContent.replace(/\\s+/g, ' ').trim()).join('; ')");
  await type("name", "laptop");
  await look("document.querySelector('[value=\"mail:read\"]').checked = true");
  await look("document.querySelector('[value=personal_access_token]').checked = true");
  await picture("person-new");
  await click("main form .actions button");
  await unfold();
  await picture("person-secret");
  const secret = await value("secret");
  seen.recipes = await look(`[...document.querySelectorAll("pre")].filter((one) => one.textContent.includes(${JSON.stringify(secret)})).length`);
  seen.qr = await count("svg.qr");
  seen.copied = await copied(secret);
  await going(() => ask("Page.reload"));
  seen.same = (await value("secret")) === secret;
  await click("main a.button");
  seen.saved = await text("h1");
  seen.gone = !(await look(`document.documentElement.outerHTML.includes(${JSON.stringify(secret)})`));
}

async function changesToken() {
  await click("main .actions a.button");
  await picture("person-rotate");
  await click("main form .actions button");
  await click("main a.button");
  seen.overlaps = await count(".good-news");
  seen.states = [];
  for (const act of ["disable", "enable"]) {
    await click(`button[value=${act}]`);
    seen.states.push(await text("h1 .state"));
  }
  await go(`${origin}/tokens/${wishes.spare}`);
  await unfold();
  await click("button[value=lock]");
  seen.states.push(await text("h1 .state"));
  seen.unlocks = await count("button[value=unlock]");
  await picture("person-locked");
}

async function revokesToken() {
  await go(`${origin}/tokens/${wishes.used}`);
  await picture("person-used");
  await click("main .actions a.danger");
  seen.radius = await cells("main tbody tr");
  await type("reason", "the laptop was stolen");
  await picture("person-revoke");
  await click("main form .danger");
  seen.states.push(await text("h1 .state"));
  seen.activity = await text(".events");
  await picture("person-revoked");
}

async function waits() {
  await go(`${origin}/services/vpn/new`);
  await type("name", "tunnel");
  await click("main form .actions button");
  await click("main a.button");
  seen.states.push(await text("h1 .state"));
  await go(`${origin}/`);
  seen.notices = await text(".notices li");
  await picture("person-waits");
}

async function person() {
  await go(`${origin}/`);
  seen.cards = await look("[...document.querySelectorAll('.cards h2 a')].map((one) => one.getAttribute('href')).join(' ')");
  await joins();
  await makesToken();
  await changesToken();
  await revokesToken();
  await waits();
  await go(`${origin}/devices`);
  await picture("person-devices");
  await refused([
    [`/tokens/${wishes.other}`, 404], [`/tokens/${wishes.other}/revoke`, 404], ["/admin", 403],
    ["/approvals", 403], ["/admin/people/bob", 403], [`/devices/${wishes.other}`, 404],
  ]);
  await go(`${origin}/account`);
  await picture("person-account");
  const sessions = "section[aria-labelledby=sessions] .tokens li";
  seen.sessions = [await count(sessions)];
  const elsewhere = `[...document.querySelectorAll("${sessions}")].find((one) => !one.querySelector(".state"))`;
  await going(() => look(`${elsewhere}.querySelector("form button").click()`));
  seen.sessions.push(await count(sessions));
  await click("form[action='/account/sessions/end-all'] button");
  await go(`${origin}/`);
  seen.at_last = await look("location.pathname");
}

async function tightens() {
  await go(`${origin}/admin/services/mail`);
  await picture("owner-service");
  await type("policy-max_lifetime_seconds", "1d");
  await click("#policy button");
  seen.blocked = await text("main .alert");
  await picture("owner-dry-run");
  await click("#save button");
  seen.kept = await value("policy-max_lifetime_seconds");
}

async function owner() {
  await go(`${origin}/admin`);
  await picture("owner-overview");
  seen.links = await links();
  await go(`${origin}/admin/services`);
  await picture("owner-services");
  seen.services = await column(0);
  await tightens();
  await go(`${origin}/admin/tokens`);
  await picture("owner-tokens");
  seen.tokens = await column(1);
  await click(`a[href='/tokens/${wishes.used}']`);
  await picture("owner-token");
  await click("main .actions a.danger");
  await type("reason", "left");
  await click("main form .danger");
  seen.state = await text("h1 .state");
  await go(`${origin}/admin/search`);
  await type("search-what", wishes.other);
  await click("#search button");
  seen.found = await count("tbody tr");
  await picture("owner-found-nothing");
  await go(`${origin}/services/mail`);
  await picture("owner-recipes");
  seen.operators = await count("#recipe-nginx, #recipe-caddy");
  await refused([
    [`/tokens/${wishes.other}`, 404], ["/admin/services/wiki", 404], ["/admin/people/bob", 404],
    ["/admin/clients", 403], ["/admin/targets", 403], ["/admin/policies", 403], ["/admin/audit", 403],
    ["/admin/realm", 403], ["/admin/registration-tokens/new", 403], ["/admin/jobs", 403],
    [`/admin/registration-tokens/${wishes.registration}`, 404],
  ]);
}

async function mints(name) {
  await go(`${origin}/admin/registration-tokens`);
  await picture(`${name}-registrations`);
  await click("main a.button");
  await type("mint-name", "North gate");
  await type("mint-count", "1");
  await type("mint-days", "30");
  if (name === "administrator") {
    await look("const unit = document.getElementById('mint-unit'); unit.selectedIndex = 1; 0");
  }
  await picture(`${name}-mint`);
  await click("#mint button");
  const secret = await value("secret");
  await picture(`${name}-minted`);
  await click("main .actions a.button");
  seen.end = await text("main dl");
  // Two devices come, and there is room for one.
  seen.drawn = [];
  for (const host of ["gate-1", "gate-2"]) {
    const device = { subject: host, hostname: host, system_user: "porter" };
    seen.drawn.push(await call("/enrol", secret, device));
  }
  await until("document.querySelectorAll('tbody tr').length >= 2");
  seen.device = await cells("tbody tr");
  await picture(`${name}-registration`);
}

// Loads the page again until it says what it is to say: some things are done a moment later.
async function until(expression) {
  for (let rounds = 0; rounds < 300; rounds += 1) {
    await going(() => ask("Page.reload"));
    if (await look(expression)) return;
  }
  throw new Error(`not in 300 rounds: ${expression}`);
}

async function unit() {
  await go(`${origin}/admin`);
  seen.links = await links();
  await mints("unit");
  await click("tbody .danger");
  seen.deleted = await text("tbody tr .state");
  await unfold();
  await click("#delete button[value=revoke]");
  seen.state = await text("main dl .state");
  await go(`${origin}/admin/people`);
  await picture("unit-people");
  seen.people = await column(0);
  await go(`${origin}/admin/people/dora`);
  await picture("unit-person");
  await click("button[value=suspend]");
  seen.suspended = await count("button[value=activate]");
  await click("button[value=activate]");
  await type("lock-reason", "lost laptop");
  await unfold();
  await click("#lock button[value=lock]");
  await go(`${origin}/admin/tokens`);
  seen.tokens = await column(1);
  await refused([
    [`/tokens/${wishes.other}`, 404], ["/admin/people/bob", 404], ["/admin/people/bob/new?service=mail", 404],
    [`/admin/registration-tokens/${wishes.registration}`, 404], ["/admin/services", 403],
    ["/admin/services/mail", 403], ["/admin/clients", 403], ["/admin/targets", 403],
    ["/admin/policies", 403], ["/admin/audit", 403], ["/admin/realm", 403], ["/admin/repositories", 403],
  ]);
}

async function searches() {
  seen.finds = {};
  for (const [what, words] of Object.entries(wishes.searches)) {
    await go(`${origin}/admin/search`);
    await type("search-what", words);
    await click("#search button");
    seen.finds[what] = await text("tbody a");
    if (what === "label") await picture("administrator-found");
  }
}

async function issuesForSomebody() {
  await go(`${origin}/admin/people/bob`);
  await picture("administrator-person");
  await click("main .actions a.button");
  await choose("service-service", "mail");
  await click("#service button");
  await type("issue-name", "printer");
  await picture("administrator-issue");
  await click("#issue button");
  seen.link = (await value("secret")).startsWith(`${origin}/open#`);
  await picture("administrator-issued");
}

async function batches() {
  await go(`${origin}/admin/registration-tokens/batch`);
  await type("batch-rows", "name,unit,count\nEast,Lab,5\nWest,Lab,2\nBad,Nowhere,1\n");
  await click("#batch button");
  await picture("administrator-batch");
  const sheet = await downloaded("#sheet button");
  seen.sheet = [sheet.name, sheet.text.trim().split("\n").length];
}

async function provisions() {
  await go(`${origin}/admin/targets`);
  await picture("administrator-targets");
  await setsUpTarget();
  await go(`${origin}/admin/targets/staff`);
  await until("document.querySelectorAll('tbody tr').length > 0");
  await picture("administrator-target");
  await click("button[value=retry]");
  await click("button[value=test]");
  seen.tested = await text("tbody tr");
  await picture("administrator-target-tested");
}

async function setsUpTarget() {
  await click("a[href='/admin/targets/new']");
  await picture("administrator-target-kind");
  await click("#kind button");
  await type("target-name", "second");
  await type("target-url", "ldap://127.0.0.1:1");
  await type("target-bind_dn", "cn=admin");
  await type("target-secret", "x");
  await type("target-base_dn", "dc=example");
  await choose("target-mode", "manual");
  await picture("administrator-target-new");
  await click("#target button");
  seen.target = await text("h1");
  await unfold();
  await click("#delete button");
}

async function makesPolicies() {
  await go(`${origin}/admin/policies`);
  await unfold();
  await picture("administrator-policy-forms");
  await type("set-name", "shop");
  await click("#set button");
  await type("policy-name", "read the shop");
  await choose("policy-set", "shop");
  await type("policy-resources", "https://shop.example:443/*");
  await type("policy-who", "bob");
  await click("#policy button");
  seen.policy = await look("document.body.textContent.includes('read the shop')");
}

async function decides() {
  await go(`${origin}/admin/policies`);
  await picture("administrator-policies");
  await type("test-user", "bob");
  await type("test-resource", "pat://bob");
  await choose("test-set", "PATValidator");
  await type("test-action", "access");
  await click("#test button");
  seen.decision = await text("main .alert, main .good-news");
  await picture("administrator-decision");
}

async function keepsClients() {
  await go(`${origin}/admin/clients`);
  await type("create-name", "gate");
  await choose("create-role", "verifier");
  await type("create-services", "mail");
  await click("#create button");
  seen.key = (await value("secret")).slice(0, 5);
  await picture("administrator-key");
  await click("main .actions a.button");
  await picture("administrator-client");
  await click("button[value=disable]");
  seen.client = await text("main dl .state");
}

async function audits() {
  await go(`${origin}/admin/audit`);
  await choose("filter-kind", "client.created");
  await type("filter-from", "2020-01-01");
  await click("#filter button");
  seen.kinds = await column(1);
  await picture("administrator-audit");
  const lines = await downloaded("a[href*='form=jsonl']");
  seen.audited = [lines.name, lines.text.trim().split("\n").every((line) => JSON.parse(line).kind === "client.created")];
}

async function setsRealm() {
  await go(`${origin}/admin/realm`);
  await type("edit-zone", "Europe/Berlin");
  await click("#edit button");
  seen.zone = await value("edit-zone");
  await type("policy-max_lifetime_seconds", "1h");
  await click("#policy button");
  await picture("administrator-realm");
  seen.realm_hits = await text("main .alert");
}

async function changesMany() {
  await go(`${origin}/admin/tokens?user=bob`);
  await choose("bulk-act", "lock");
  await choose("bulk-which", "all");
  await click("#bulk button");
  await click("#start button");
  await until("/(\\d+) \\/ \\1\\b/.test(document.querySelector('main').textContent)");
  seen.job = await text("main dl");
  await picture("administrator-job");
}

async function administrator() {
  await go(`${origin}/admin`);
  await picture("administrator-overview");
  await searches();
  await mints("administrator");
  await issuesForSomebody();
  await batches();
  await provisions();
  await go(`${origin}/admin/repositories`);
  await picture("administrator-repositories");
  await makesPolicies();
  await decides();
  await keepsClients();
  await audits();
  await setsRealm();
  await changesMany();
  await refused([["/admin/people/nobody", 404], ["/tokens/000000000000", 404], ["/admin/targets/none", 404]]);
}

// Proved a while ago who they are, somebody is asked again.
async function askedAgain() {
  await go(`${origin}/services/mail/new`);
  await type("name", "laptop");
  const send = () => click("main form .actions button");
  await expecting(403, async () => {
    // It is a second that they are believed without being asked.
    for (let rounds = 0; rounds < 300; rounds += 1) {
      await send();
      if (await count("#proof_password")) return;
      await go(`${origin}/services/mail/new`);
      await type("name", "laptop");
    }
  });
  await picture("step-up");
  await type("proof_password", "wrong wrong wrong");
  await expecting(403, send);
  await picture("step-up-wrong");
  await type("proof_password", wishes.password);
  await send();
  seen.secret = (await value("secret")).length > 9;
}

const journeys = { person, owner, unit, administrator, askedAgain };

driver.drive(async () => {
  await signIn(wishes.name);
  await journeys[wishes.journey]();
});
