//! The README's first steps, done by somebody who has nothing else: in a browser, with Caddy and
//! curl, as printed but for the places of this machine.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use counterfoil_server::clock::Stopwatch;
use serde_json::json;

use super::{drive, is_there, nothing_is_wrong};
use crate::harness::{Site, printed_link};
use crate::nginx::peers::{Peer, free_address, program};

const README: &str = include_str!("../../../../../README.md");
/// What the README promises.
const CLICKS_MAX: u64 = 10;
const TIME_MAX: Duration = Duration::from_mins(2);

/// The one block of the README in a language.
fn block(language: &str) -> String {
    let fence = format!("\n```{language}\n");
    let rest = README.split(fence.as_str()).nth(1).unwrap_or_else(|| panic!("no {language}"));
    format!("{}\n", rest.split("\n```").next().unwrap())
}

/// Puts a place of this machine where the README has one. The README must name it.
fn put(text: &str, of_the_readme: &str, here: &str) -> String {
    assert!(text.contains(of_the_readme), "the README no longer says `{of_the_readme}`");
    text.replace(of_the_readme, here)
}

fn caddy(home: &Path, conf: &str, address: std::net::SocketAddr) -> Peer {
    let file = home.join("Caddyfile");
    fs::write(&file, conf).unwrap();
    let mut command = Command::new(program("caddy").unwrap());
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&file);
    command.env_clear().env("HOME", home).env("PATH", std::env::var_os("PATH").unwrap());
    Peer::listening("caddy", &mut command, &home.join("caddy.log"), address)
}

fn curl(arguments: &[&str]) -> Output {
    Command::new("curl").args(["--noproxy", "*", "-s", "-i"]).args(arguments).output().unwrap()
}

#[test]
fn a_newcomer_has_a_token_in_use_behind_caddy_in_two_minutes_and_ten_clicks() {
    if !is_there() || program("caddy").is_none() || program("curl").is_none() {
        assert!(std::env::var_os("CI").is_none(), "no chromium, caddy or curl for this test");
        println!("left out: there is no chromium, caddy or curl");
        return;
    }
    let site = Site::new();
    let started = Stopwatch::start();
    let server = site.serve("");
    let wishes = json!({ "link": printed_link(&server), "script": "on" });
    let seen = drive(&site, "console_newcomer.cjs", &wishes);
    nothing_is_wrong(&seen);
    let address = free_address();
    let conf = put(&block("caddy"), "127.0.0.1:8780", &server.address.to_string());
    let conf = put(&conf, "http://localhost:8080", &format!("http://{address}"));
    let _caddy = caddy(&site.path(""), &format!("{{\n\tadmin off\n}}\n{conf}"), address);
    assert!(README.contains("curl -u root:TOKEN http://localhost:8080"));
    let secret = seen["secret"].as_str().unwrap();
    let url = format!("http://{address}/");
    let let_in = curl(&["-u", &format!("root:{secret}"), &url]);
    let said = String::from_utf8_lossy(&let_in.stdout).into_owned();
    let taken = started.elapsed();
    assert!(said.starts_with("HTTP/1.1 200") && said.ends_with("Hello root"), "{said}");
    let clicks = seen["clicks"].as_u64().unwrap();
    println!("from serve to a token in use: {clicks} clicks, {:.1} s", taken.as_secs_f64());
    assert!(clicks <= CLICKS_MAX, "{clicks} clicks");
    assert!(taken <= TIME_MAX, "{taken:?}");
    let other = curl(&["-u", "root:wrong", &url]);
    let said = String::from_utf8_lossy(&other.stdout).into_owned();
    assert!(said.starts_with("HTTP/1.1 401"), "{said}");
}
