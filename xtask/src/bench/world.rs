//! What the cases share: release binaries, stores full of tokens, servers.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Options;
use super::load;
use crate::clock::Deadline;
use crate::command::{self, Show};
use crate::http::Api;
use crate::server::{DataDir, Server, free_address};
use crate::workspace::{cargo, root, stdout_of, target_dir};

/// The realm's part of the API.
pub(super) const REALM: &str = "/api/v1/realms/main";
/// The service that every token of the benchmark is for.
pub(super) const SERVICE: &str = "bench";

/// The database inside a data directory.
const DATABASE: &str = "counterfoil.db";

/// People that are made through the API where they are multiplied.
const FEW_PEOPLE: u64 = 10;

/// Raised when stores of an earlier run can no longer be used.
const STORE_VERSION: u32 = 2;

/// Binaries and the place for everything that is made.
pub(super) struct World {
    pub(super) options: Options,
    pub(super) binary: PathBuf,
    tools: PathBuf,
    home: PathBuf,
    clients: Cell<u32>,
}

/// A data directory with many tokens in it.
pub(super) struct Store {
    pub(super) directory: DataDir,
    /// Clear token strings in random order, one a line, at most a million.
    pub(super) lines: PathBuf,
    /// The same as `user:token` in base64, for HTTP Basic.
    pub(super) basic: PathBuf,
}

impl World {
    /// Builds everything, with optimisation unless the options say otherwise.
    ///
    /// # Errors
    ///
    /// Fails when it does not compile.
    pub(super) fn build(options: Options) -> Result<Self> {
        let (profile, directory) =
            if options.dev { ("dev", "debug") } else { ("release", "release") };
        if !options.no_build {
            println!("building with profile {profile}");
            let mut build = cargo();
            build.args(["build", "--profile", profile, "--locked", "--bins"]);
            build.args(["--package", "counterfoil-server", "--package", "counterfoil-bench"]);
            let ran = command::run(&mut build, Deadline::NEVER, Show::Live)?;
            ensure!(ran.ok(), "the build failed: {}", ran.fault());
        }
        let tools = target_dir().join(directory).canonicalize()?;
        let home = target_dir().join("bench");
        std::fs::create_dir_all(&home)?;
        let home = home.canonicalize()?;
        Ok(Self { options, binary: tools.join("counterfoil"), tools, home, clients: Cell::new(0) })
    }

    /// A directory of this name for the files of a case.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be made.
    pub(super) fn scratch(&self, name: &str) -> Result<PathBuf> {
        let path = self.home.join(name);
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// The bare server.
    ///
    /// # Errors
    ///
    /// Fails when it does not start.
    pub(super) fn hello(&self) -> Result<Server> {
        let address = free_address()?;
        let mut hello = Command::new(self.tools.join("hello"));
        hello.arg(address.port().to_string());
        Server::start(hello, address, "/", &self.home.join("hello.log"))
    }

    /// One of the benchmark's own programs.
    pub(super) fn tool(&self, name: &str) -> Command {
        Command::new(self.tools.join(name))
    }

    /// A store with `tokens` tokens, made at first use and kept for later runs.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be made.
    pub(super) fn store(&self, tokens: u64) -> Result<Store> {
        let users = (tokens / 100).clamp(10, 10_000);
        self.filled(&format!("store-{tokens}"), tokens, (users, users))
    }

    /// The same with so many people.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be made.
    pub(super) fn crowd(&self, tokens: u64, people: u64) -> Result<Store> {
        self.filled(&format!("store-{tokens}-{people}"), tokens, (FEW_PEOPLE, people))
    }

    /// A store of this name. Of its people the first ones are made through the API, and multiplied
    /// where they are to be more.
    fn filled(&self, name: &str, tokens: u64, people: (u64, u64)) -> Result<Store> {
        let path = self.home.join(name);
        let marker = path.join("complete");
        let state = store_state(tokens)?;
        let fits = std::fs::read_to_string(&marker).is_ok_and(|found| found == state);
        let directory = if fits && !self.options.fresh {
            DataDir::open(path.clone())?
        } else {
            println!("  making a store with {tokens} tokens");
            let directory = DataDir::create(&self.binary, path.clone())?;
            self.fill(&directory, tokens, people)?;
            std::fs::write(&marker, state)?;
            directory
        };
        let (lines, basic) = (path.join("tokens.txt"), path.join("basic.txt"));
        Ok(Store { directory, lines, basic })
    }

    /// Issues one token through the API and multiplies its rows.
    fn fill(&self, directory: &DataDir, tokens: u64, (made, people): (u64, u64)) -> Result<()> {
        // The rows of one issue, without those of the log that it gets into a second later.
        let unsealed = [("COUNTERFOIL_AUDIT__SEAL".to_owned(), "false".to_owned())];
        let (server, api) = directory.serve(&self.binary, &unsealed)?;
        furnish(&api, made)?;
        server.stop()?;
        let before = copy_database(directory, "before")?;
        let (server, api) = directory.serve(&self.binary, &unsealed)?;
        let (token_id, secret) = issue(&api, &user_name(0), "bench")?;
        server.stop()?;
        let mut seed = self.tool("seed");
        seed.arg("--data")
            .arg(directory.data())
            .arg("--before")
            .arg(before)
            .args(["--token-id", &token_id, "--secret", &secret])
            .args(["--tokens", &tokens.to_string(), "--users", &people.to_string()])
            .args(["--made", &made.to_string()])
            .arg("--out")
            .arg(&directory.path);
        let result = result_of(&mut seed)?;
        println!("  {result}");
        Ok(())
    }

    /// The key of a new client that may verify for the benchmark's service.
    ///
    /// # Errors
    ///
    /// Fails when the server refuses.
    pub(super) fn verifier(&self, api: &Api) -> Result<String> {
        let number = self.clients.get();
        self.clients.set(number + 1);
        let name = format!("bench-{}-{number}", std::process::id());
        let client = json!({ "name": name, "roles": ["verifier"], "services": [SERVICE] });
        let made = api.json("POST", &format!("{REALM}/clients"), &client)?;
        text_at(&made, "/secret")
    }
}

/// Runs one of the benchmark's programs and reads the JSON it prints.
///
/// # Errors
///
/// Fails when it fails.
pub(super) fn result_of(command: &mut Command) -> Result<Value> {
    let printed = stdout_of(command)?;
    let line = printed.lines().last().unwrap_or_default();
    serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))
}

/// Copies the database of a stopped server, its write-ahead log included.
///
/// # Errors
///
/// Fails when there is none.
pub(super) fn copy_database(directory: &DataDir, name: &str) -> Result<PathBuf> {
    let from = directory.data().join(DATABASE);
    let to = directory.path.join(format!("{name}.db"));
    for suffix in ["", "-wal"] {
        let (from, to) = (with_suffix(&from, suffix), with_suffix(&to, suffix));
        if from.exists() {
            std::fs::copy(&from, &to)?;
        }
    }
    Ok(to)
}

/// Serves a store with a cache of `cache_bytes`.
///
/// # Errors
///
/// Fails when the server does not start.
pub(super) fn serve(
    world: &World,
    directory: &DataDir,
    cache_bytes: u64,
    more: &[(&str, &str)],
) -> Result<(Server, Api)> {
    let mut settings = vec![
        ("COUNTERFOIL_CACHE__BUDGET_BYTES".to_owned(), cache_bytes.to_string()),
        ("COUNTERFOIL_LOG__LEVEL".to_owned(), "warn".to_owned()),
    ];
    settings.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    directory.serve(&world.binary, &settings)
}

/// What a store depends on: its size, how it is filled, and the schema.
fn store_state(tokens: u64) -> Result<String> {
    let mut state = format!("{tokens} tokens, version {STORE_VERSION}\n");
    let mut migrations = Vec::new();
    for entry in std::fs::read_dir(root().join("crates/store/migrations"))? {
        migrations.push(entry?.path());
    }
    migrations.sort();
    for migration in migrations {
        state.push_str(&std::fs::read_to_string(migration)?);
    }
    Ok(state)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// Creates the service and the people of the benchmark.
///
/// # Errors
///
/// Fails when the server refuses.
pub(super) fn furnish(api: &Api, users: u64) -> Result<()> {
    let service = json!({ "label": SERVICE, "name": "Benchmark" });
    api.json("POST", &format!("{REALM}/services"), &service)?;
    for number in 0..users {
        let user = json!({ "username": user_name(number), "display_name": "A person" });
        api.json("POST", &format!("{REALM}/users"), &user)?;
    }
    Ok(())
}

/// The name of person `number`: always of the same length.
pub(super) fn user_name(number: u64) -> String {
    format!("u{number:05}")
}

/// Issues a token and returns its id and its secret.
///
/// # Errors
///
/// Fails when the server refuses.
pub(super) fn issue(api: &Api, user: &str, name: &str) -> Result<(String, String)> {
    let body = json!({ "kind": "personal_access_token", "user": user, "name": name,
                       "services": [SERVICE] });
    let issued = api.json("POST", &format!("{REALM}/tokens"), &body)?;
    Ok((text_at(&issued, "/token/id")?, text_at(&issued, "/secret")?))
}

/// The text at a place in a JSON answer.
///
/// # Errors
///
/// Fails when there is none.
pub(super) fn text_at(value: &Value, pointer: &str) -> Result<String> {
    let text = value.pointer(pointer).and_then(Value::as_str);
    Ok(text.with_context(|| format!("no {pointer} in the answer"))?.to_owned())
}

/// Proves on a few requests that what will be loaded is accepted.
///
/// # Errors
///
/// Fails when a token of the store is refused.
pub(super) fn prove(api: &Api, verifier: &str, store: &Store) -> Result<()> {
    let lines = std::fs::read_to_string(&store.lines)?;
    let caller = Api { key: verifier.to_owned(), ..api.clone() };
    for token in lines.lines().step_by((lines.len() / 57 / 20).max(1)).take(20) {
        let body = json!({ "token": token, "consume": false });
        let answer = caller.json("POST", &format!("{REALM}/verify"), &body)?;
        ensure!(answer["active"] == true, "a token of the store is refused: {answer}");
    }
    load::settle();
    Ok(())
}
