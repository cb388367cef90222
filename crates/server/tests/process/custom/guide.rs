//! `docs/guide/keep-your-own-token-table.md`, run as it is printed but for the places of this
//! machine.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::harness::Site;
use crate::nginx::peers::{Peer, free_address};
use crate::world::verify;

const GUIDE: &str = include_str!("../../../../../docs/guide/keep-your-own-token-table.md");

fn blocks(language: &str) -> Vec<String> {
    let fence = format!("\n```{language}\n");
    let inside = |rest: &str| rest.split("\n```").next().map(|block| format!("{block}\n"));
    GUIDE.split(fence.as_str()).skip(1).filter_map(inside).collect()
}

/// Runs commands where the adapter and the binary are found. What they print.
fn shell(site: &Site, commands: &str, more: &[(&str, String)]) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_counterfoil"));
    let mut search = vec![binary.parent().unwrap().to_owned()];
    search.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut command = Command::new("sh");
    command.args(["-e", "-c", commands]).current_dir(site.path("home")).env_clear();
    command.env("PATH", std::env::join_paths(search).unwrap());
    let output = command.envs(more.iter().cloned()).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{commands}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_guide_about_a_token_table_of_ones_own_works_as_it_is_printed() {
    let site = Site::new();
    let home = site.path("home");
    fs::create_dir_all(home.join("examples/repository")).unwrap();
    fs::copy(super::peers::script(), home.join("examples/repository/adapter.py")).unwrap();
    let [make, _serve, check, people, secret] = &blocks("sh")[..] else {
        panic!("the guide has five blocks of commands");
    };
    shell(&site, make, &[]);
    let address = free_address();
    let here = |text: &str| text.replace("127.0.0.1:9400", &address.to_string());
    let mut adapter = Command::new("python3");
    adapter.args(["examples/repository/adapter.py", "--db", "tokens.db", "--key-file"]);
    adapter.args(["acme.secret", "--listen", &address.to_string()]).current_dir(&home);
    let _peer = Peer::listening("the adapter", &mut adapter, &site.path("adapter.log"), address);
    let said = shell(&site, &here(check), &[]);
    assert!(said.contains("consume") && !said.contains("fail"), "{said}");
    let [toml] = &blocks("toml")[..] else { panic!("one block of configuration") };
    let at = home.join("acme.secret").display().to_string();
    let server = site.serve(&here(toml).replace("/etc/counterfoil/acme.secret", &at));
    let admin = site.admin(&server);
    let url = format!("http://{}", server.address);
    let caller = [("COUNTERFOIL_URL", url), ("COUNTERFOIL_TOKEN", site.admin_key())];
    let said = shell(&site, people, &caller);
    let key = said.split_whitespace().find(|word| word.starts_with("cflk_")).unwrap();
    let token = shell(&site, secret, &[]);
    let answer = verify(&admin.with_key(key), token.trim()).expect(200);
    assert_eq!((&answer["active"], &answer["username"]), (&json!(true), &json!("noor")));
}
