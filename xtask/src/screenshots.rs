//! The pictures of the documents, taken anew: the demo, served, in a real browser.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::clock::Deadline;
use crate::host::{self, CHROMIUM, NPM};
use crate::http::posted_form;
use crate::server::{DataDir, Server};
use crate::suite;
use crate::workspace::{root, stdout_of, target_dir};

/// Where the pictures are kept.
const IMAGES: &str = "docs/images";
/// A picture that is larger is cut: whoever reads a page on the way must not wait for it.
const BYTES_MAX: u64 = 150 * 1024;
/// The organisation of the pictures.
const SEED: &str = "1";
/// What Debian calls the browser.
const BROWSER: &str = "chromium";

/// What is in a picture.
enum Shown {
    /// A page of this path.
    Page(&'static str),
    /// The page of the token that a list of the API names first.
    FirstToken(&'static str),
}

/// One picture.
struct Picture {
    name: &'static str,
    /// Who looks, by their name.
    who: &'static str,
    shown: Shown,
    size: (u32, u32),
    scheme: &'static str,
}

/// A window on a desk.
const DESK: (u32, u32) = (1100, 720);
/// A telephone.
const TELEPHONE: (u32, u32) = (390, 780);

const PICTURES: [Picture; 6] = [
    Picture {
        name: "tokens",
        who: "ida.sommer",
        shown: Shown::Page("/"),
        size: DESK,
        scheme: "light",
    },
    Picture {
        name: "tokens-telephone",
        who: "ida.sommer",
        shown: Shown::Page("/"),
        size: TELEPHONE,
        scheme: "light",
    },
    Picture {
        name: "token",
        who: "ida.sommer",
        shown: Shown::FirstToken("user=ida.sommer&service=mail&state=active"),
        size: DESK,
        scheme: "light",
    },
    Picture {
        name: "registration",
        who: "dana.kowalski",
        shown: Shown::FirstToken("kind=registration_token&state=exhausted"),
        size: DESK,
        scheme: "light",
    },
    Picture {
        name: "admin",
        who: "dana.kowalski",
        shown: Shown::Page("/admin"),
        size: DESK,
        scheme: "light",
    },
    Picture {
        name: "admin-dark",
        who: "dana.kowalski",
        shown: Shown::Page("/admin"),
        size: DESK,
        scheme: "dark",
    },
];

/// `cargo xtask screenshots`.
pub(crate) fn screenshots(arguments: &[String]) -> Result<ExitCode> {
    if let Some(unknown) = arguments.first() {
        bail!("unknown option `{unknown}`: there is none");
    }
    let missing = host::provide(&[&CHROMIUM, &NPM]);
    ensure!(missing.is_empty(), "pictures need Chromium and node");
    let scratch = target_dir().join("screenshots");
    if scratch.exists() {
        std::fs::remove_dir_all(&scratch)?;
    }
    std::fs::create_dir_all(&scratch)?;
    let binary = suite::debug_binary(Deadline::NEVER)?;
    let played = stdout_of(
        Command::new(&binary)
            .current_dir(&scratch)
            .args(["demo", "--json", "--seed", SEED, "--data"])
            .arg(scratch.join("data")),
    )?;
    let said: Value =
        serde_json::from_str(&played).context("`counterfoil demo` printed no JSON")?;
    let operator_key = said["secret"].as_str().context("no key of the demo")?.to_owned();
    let place = DataDir { path: scratch.clone(), operator_key };
    let (server, api) = place.serve(&binary, &[])?;
    let list = |query: &str| {
        let path = format!("/api/v1/realms/main/tokens?limit=1&{query}");
        api.json("GET", &path, &Value::Null)
    };
    let mut wishes = Vec::new();
    for picture in &PICTURES {
        let path = match picture.shown {
            Shown::Page(path) => path.to_owned(),
            Shown::FirstToken(query) => {
                let found = list(query)?;
                let id = found.pointer("/items/0/id").and_then(Value::as_str);
                format!("/tokens/{}", id.with_context(|| format!("no token of {query}"))?)
            }
        };
        wishes.push(wish(picture, &path, &server, &said)?);
    }
    take(&scratch, &Value::Array(wishes))?;
    server.stop()?;
    for picture in &PICTURES {
        let file = file_of(picture);
        let bytes = std::fs::metadata(&file)?.len();
        ensure!(bytes <= BYTES_MAX, "{} has {bytes} bytes, more than {BYTES_MAX}", file.display());
        println!("{}: {bytes} bytes", picture.name);
    }
    Ok(ExitCode::SUCCESS)
}

fn file_of(picture: &Picture) -> PathBuf {
    root().join(IMAGES).join(format!("{}.png", picture.name))
}

/// What the browser is told of a picture.
fn wish(picture: &Picture, path: &str, server: &Server, said: &Value) -> Result<Value> {
    let people = said["people"].as_array().context("nobody to sign in as")?;
    let person = people.iter().find(|one| one["username"] == picture.who);
    let password = person.and_then(|one| one["password"].as_str());
    let password = password.with_context(|| format!("the demo has no {}", picture.who))?;
    let form = format!("username={}&password={password}", picture.who);
    let (status, head) = posted_form(server.address, "/sign-in", &form)?;
    let cookie = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let pair = value.trim().split(';').next()?.split_once('=');
        pair.filter(|_| name.eq_ignore_ascii_case("set-cookie"))
    });
    let (name, value) = cookie
        .filter(|_| status == 303)
        .with_context(|| format!("{} is not let in: {status}", picture.who))?;
    let (width, height) = picture.size;
    Ok(json!({
        "file": file_of(picture),
        "url": format!("http://{}{path}", server.address),
        "cookie": { "name": name, "value": value },
        "width": width,
        "height": height,
        "scheme": picture.scheme,
    }))
}

fn take(scratch: &Path, wishes: &Value) -> Result<()> {
    std::fs::create_dir_all(root().join(IMAGES))?;
    let file = scratch.join("pictures.json");
    std::fs::write(&file, wishes.to_string())?;
    stdout_of(
        Command::new("node")
            .arg(root().join("xtask/src/screenshots.cjs"))
            .arg(BROWSER)
            .arg(scratch.join("profile"))
            .arg(&file),
    )?;
    Ok(())
}
