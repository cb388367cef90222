//! Ten thousand tokens provisioned into slapd, beside `ldapmodify` making the same modifications.
//!
//! What is measured begins with the edit of the target that makes everybody due, and ends when
//! the last of them is delivered: notes, deliveries and what the store writes about them included.
//! The directory is as it was at first before each of both.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::roomy;
use super::slapd::{PEOPLE, ROOT, ROOT_PASSWORD, Slapd};
use crate::bench::record::{Bar, Record};
use crate::bench::world::{REALM, SERVICE, World, furnish, serve, user_name};
use crate::clock::{Deadline, now};
use crate::command::{self, Show};
use crate::http::Api;
use crate::server::{DataDir, free_address, pause};
use crate::workspace::stdout_of;

/// Tokens, one a person.
const TOKENS: u64 = 10_000;
/// How long they may take to arrive.
const ARRIVED_WITHIN: Duration = Duration::from_mins(10);
/// The target.
const TARGET: &str = "bench";
/// What it keeps.
const ATTRIBUTE: &str = "voPersonApplicationPassword";

/// Tokens that arrive in a directory.
pub(crate) fn provision(world: &World, into: &mut Record) -> Result<()> {
    let tokens = TOKENS.min(world.options.tokens);
    let home = world.scratch("provision")?;
    let (data, address) = (home.join("data"), free_address()?);
    let mut slapd =
        Slapd::set_up(world, &home, address, tokens, &home.join("passwords.txt"))?.started()?;
    fs::remove_dir_all(&data).ok();
    let directory = DataDir::create(&world.binary, data)?;
    let (_server, api) = serve(world, &directory, roomy(tokens), &[])?;
    furnish(&api, tokens)?;
    let target = json!({ "name": TARGET, "kind": "ldap", "url": slapd.url(), "bind_dn": ROOT,
        "bind_password": ROOT_PASSWORD, "base_dn": PEOPLE, "schemes": ["SSHA"],
        "services": [SERVICE] });
    api.json("POST", &format!("{REALM}/targets"), &target)?;
    for number in 0..tokens {
        let token = json!({ "kind": "service_token", "user": user_name(number), "name": "bench",
            "service": SERVICE });
        api.json("POST", &format!("{REALM}/tokens"), &token)?;
    }
    settled(&api)?;
    let ldif = modifications(&slapd, &home, tokens)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..world.options.rounds {
        slapd.start_anew()?;
        let started = now();
        let mut modify = slapd.tool("ldapmodify");
        let ran = command::run(modify.arg("-f").arg(&ldif), Deadline::NEVER, Show::OnFailure)?;
        ensure!(ran.ok(), "ldapmodify failed: {}", ran.fault());
        theirs.push(started.elapsed().as_secs_f64());
        slapd.start_anew()?;
        let started = now();
        // An edit of the target makes everybody due.
        let edit = json!({ "timeout_ms": 9_000 + round });
        api.json("PATCH", &format!("{REALM}/targets/{TARGET}"), &edit)?;
        settled(&api)?;
        ours.push(started.elapsed().as_secs_f64());
        let arrived = values(&slapd)?.len() as u64;
        ensure!(arrived == tokens, "{arrived} of {tokens} arrived");
        println!("  round {round}: ldapmodify {:.2} s, ours {:.2} s", last(&theirs), last(&ours));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    let what = "10,000 tokens provisioned into slapd";
    into.figure(what, theirs / ours, "of ldapmodify's rate", Some(Bar::AtLeast(0.5)));
    into.note(&format!(
        "provisioning of {tokens} tokens, {{SSHA}}: ours {ours:.2} s, one ldapmodify {theirs:.2} s"
    ));
    Ok(())
}

/// Waits until nothing is on its way.
fn settled(api: &Api) -> Result<()> {
    let deadline = Deadline::after(ARRIVED_WITHIN);
    let count = |state: &str| -> Result<usize> {
        let path = format!("{REALM}/deliveries?target={TARGET}&state={state}&limit=1");
        let page = api.json("GET", &path, &Value::Null)?;
        Ok(page.pointer("/items").and_then(Value::as_array).context("no page")?.len())
    };
    // The note of what happened becomes deliveries a moment later.
    let mut quiet = 0;
    while quiet < 5 {
        let open = count("waiting")? + count("retrying")?;
        quiet = if open == 0 { quiet + 1 } else { 0 };
        ensure!(count("dead")? == 0, "a delivery is dead");
        ensure!(!deadline.passed(), "not everything arrived");
        pause(Duration::from_millis(50));
    }
    Ok(())
}

/// Every value in the directory: the entry's name, and the value as LDIF has it.
fn values(slapd: &Slapd) -> Result<Vec<(String, String)>> {
    let mut search = slapd.tool("ldapsearch");
    search.args(["-LLL", "-o", "ldif-wrap=no", "-b", PEOPLE, &format!("({ATTRIBUTE}=*)")]);
    let found = stdout_of(search.arg(ATTRIBUTE))?;
    let mut values = Vec::new();
    let mut name = "";
    for line in found.lines() {
        if let Some(dn) = line.strip_prefix("dn: ") {
            name = dn;
        } else if line.starts_with(ATTRIBUTE) {
            values.push((name.to_owned(), line.to_owned()));
        }
    }
    Ok(values)
}

/// The modifications that brought the directory to where it is now, for `ldapmodify`.
fn modifications(slapd: &Slapd, home: &Path, tokens: u64) -> Result<std::path::PathBuf> {
    let values = values(slapd)?;
    ensure!(values.len() as u64 == tokens, "{} of {tokens} arrived", values.len());
    let mut text = String::new();
    for (name, value) in values {
        let attribute = value.split(':').next().unwrap_or_default();
        writeln!(text, "dn: {name}\nchangetype: modify\nadd: objectClass\nobjectClass: voPerson")?;
        writeln!(text, "-\nreplace: {attribute}\n{value}\n-\n")?;
    }
    let path = home.join("modifications.ldif");
    fs::write(&path, text)?;
    Ok(path)
}

fn last(seconds: &[f64]) -> f64 {
    seconds.last().copied().unwrap_or_default()
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or_default()
}
