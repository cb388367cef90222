// An OpenID provider that nobody here wrote: oidc-provider, with its own pages for signing in.
// Argument: the directory of npm packages. Prints the port it listens on; each line it is sent makes
// a new provider there, {redirect_uri, key, shift_seconds}, and it answers "ready".
"use strict";
const { generateKeyPairSync } = require("node:crypto");
const http = require("node:http");
const path = require("node:path");
const readline = require("node:readline");
const { pathToFileURL } = require("node:url");

const modules = process.argv[2];
const people = {
  alice: { name: "Alice Liddell", groups: ["staff"], email: "alice@example.org" },
  bob: { name: "Bob", groups: [], email: "bob@example.org" },
};

// Where its clock stands is a matter of the test.
const clock = Date.now;
let shift = 0;
Date.now = () => clock() + shift * 1000;

function key(name) {
  const [kind, options] = name === "rsa" ? ["rsa", { modulusLength: 2048 }] : ["ec", { namedCurve: "P-256" }];
  const { privateKey } = generateKeyPairSync(kind, options);
  const alg = name === "rsa" ? "RS256" : "ES256";
  return { ...privateKey.export({ format: "jwk" }), kid: `${name}-${clock()}`, use: "sig", alg };
}

let answer = (_, response) => {
  response.statusCode = 503;
  response.end("not yet");
};
const server = http.createServer((request, response) => answer(request, response));

async function provide({ redirect_uri, key: name, shift_seconds }) {
  const { default: Provider } = await import(pathToFileURL(path.join(modules, "oidc-provider/lib/index.js")));
  shift = shift_seconds;
  const jwk = key(name);
  const provider = new Provider(`http://127.0.0.1:${server.address().port}`, {
    clients: [{
      client_id: "console",
      client_secret: "a secret of the client, 32 bytes and more",
      redirect_uris: [redirect_uri],
      id_token_signed_response_alg: jwk.alg,
    }],
    jwks: { keys: [jwk] },
    cookies: { keys: ["a key of cookies"] },
    pkce: { methods: ["S256"], required: () => true },
    claims: {
      openid: ["sub"], profile: ["preferred_username", "name", "groups"], email: ["email", "email_verified"],
    },
    ttl: { IdToken: 60 },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, preferred_username: id, email_verified: true, ...people[id] }),
    }),
  });
  answer = provider.callback();
  console.log("ready");
}

server.listen(0, "127.0.0.1", () => console.log(server.address().port));
readline.createInterface({ input: process.stdin }).on("line", (line) => provide(JSON.parse(line)));
process.stdin.on("end", () => process.exit());
