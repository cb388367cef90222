//! Commands that speak to a running server.

use serde_json::Value;

use crate::world::{Ran, Server, World};

/// How often a command is asked for what is about to be written: each time is a process, and what
/// is waited for takes a second.
const ASKED_MAX: usize = 1_000;

/// A server, where it is, and the key of its administrator.
pub(crate) struct Site {
    pub(crate) world: World,
    _server: Server,
    url: String,
    key: String,
}

impl Site {
    pub(crate) fn new() -> Self {
        let world = World::new();
        let key = world.initialised();
        let (server, printed) = Server::start(&world, &[]);
        let api = printed.lines().find_map(|line| line.strip_prefix("  API")).unwrap();
        let url = api.trim().strip_suffix("/api/v1").unwrap().to_owned();
        Self { world, _server: server, url, key }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn ask(&self, words: &str, input: &str) -> Ran {
        self.ask_as(&self.key, words, input)
    }

    /// The same with another token than the administrator's key.
    fn ask_as(&self, token: &str, words: &str, input: &str) -> Ran {
        let arguments: Vec<&str> = words.split(' ').collect();
        let variables = [("COUNTERFOIL_URL", self.url.as_str()), ("COUNTERFOIL_TOKEN", token)];
        self.world.run_with(&arguments, input, &variables)
    }

    /// What a command that must succeed prints.
    pub(crate) fn done(&self, words: &str) -> String {
        let ran = self.ask(words, "");
        assert_eq!(ran.status, 0, "{words}: {}", ran.stderr);
        ran.stdout
    }

    pub(crate) fn json(&self, words: &str) -> Value {
        serde_json::from_str(&self.done(&format!("{words} --json"))).unwrap()
    }

    /// What a command prints once `word` is in it, asked again for a bounded time.
    pub(crate) fn until(&self, words: &str, word: &str) -> String {
        let printed = (0..ASKED_MAX).map(|_| self.done(words));
        let found = printed.into_iter().find(|printed| printed.contains(word));
        found.expect("it is printed in the end")
    }

    pub(crate) fn status(&self, words: &str) -> i32 {
        self.ask(words, "").status
    }
}

#[test]
fn a_token_lives_and_dies_on_the_command_line() {
    let site = Site::new();
    site.done("user create alice --display-name Alice --email alice@example.org");
    site.done("service create git --name Git");
    let secret = site.done("token issue --user alice --service git --name laptop --expires 30d -q");
    assert!(secret.starts_with("cflp_") && secret.lines().count() == 1, "{secret}");

    let listed = site.json("token list --user alice --service git --state active");
    let id = listed["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(listed["items"][0]["name"], "laptop");
    assert!(site.done("token list").contains(&id));
    assert!(site.done(&format!("token show {id}")).contains("laptop"));

    let good = site.ask("token verify - --service git --user alice", &secret);
    assert_eq!(good.status, 0, "{}", good.stderr);
    assert_eq!(site.ask("token verify - --service git --user bob", &secret).status, 1);

    let rotated = site.done(&format!("token rotate {id} --overlap 1h -q"));
    assert_ne!(rotated, secret);
    for (act, status) in [("disable", 1), ("enable", 0), ("lock", 1), ("unlock", 0)] {
        site.done(&format!("token {act} {id}"));
        assert_eq!(site.ask("token verify -", &rotated).status, status, "{act}");
    }
    site.done(&format!("token revoke {id} --dry-run"));
    assert_eq!(site.ask("token verify -", &rotated).status, 0);
    site.done(&format!("token revoke {id} --reason lost"));
    let bad = site.ask("token verify - --json", &rotated);
    assert_eq!((bad.status, bad.stdout.contains("revoked")), (1, true), "{}", bad.stdout);
    assert!(site.done(&format!("token events {id}")).contains("token.revoked"));
}

#[test]
fn a_token_is_changed_only_in_the_version_that_was_seen() {
    let site = Site::new();
    site.done("user create alice");
    site.done("service create git");
    site.done("token issue --user alice --service git --expires never -q");
    let listed = site.done("token list --expires-before 30d");
    assert_eq!(listed, "", "it never ends");
    let nobody = site.ask("token list --user nobody", "");
    assert_eq!(nobody.status, 1);
    assert!(nobody.stderr.contains("there is no user nobody"), "{}", nobody.stderr);
    let told = site.ask("token issue --user alice --service git --name told --expires 30d", "");
    let ends = told.stderr.split(" ends ").nth(1).and_then(|rest| rest.split(". ").next());
    assert_eq!(ends.map(str::len), Some("2026-11-21T23:08:04Z".len()), "{}", told.stderr);
    assert!(site.done("token list --unused-since 30d").contains("never"));
    let id = site.json("token list")["items"][1]["id"].as_str().unwrap().to_owned();

    let seen = site.json(&format!("token show {id}"))["version"].as_i64().unwrap();
    let shown = site.done(&format!("token show {id}"));
    assert!(shown.contains("SLOT") && !shown.contains("{\""), "{shown}");
    assert!(shown.contains("version") && !shown.contains("locked"), "{shown}");
    let change = format!("token update {id} --name laptop --label os=linux --expires 30d");
    site.done(&format!("{change} --if-match {seen}"));
    assert_eq!(site.status(&format!("{change} --if-match {seen}")), 1);
    let changed = site.json(&format!("token show {id}"));
    assert_eq!(changed["name"], "laptop");
    assert_eq!(changed["labels"]["os"], "linux");
    assert!(changed["expires_at"].is_string());
    site.done(&format!("token update {id} --expires never"));
    assert_eq!(site.json(&format!("token show {id}"))["expires_at"], Value::Null);
    assert_eq!(site.status(&format!("token update {id}")), 2);

    assert!(site.done("events --from 1h --kind token.issued").contains(&id));
    assert_eq!(site.json("events --to 1h")["items"], Value::Array(Vec::new()));
    assert_eq!(site.json("user show alice")["version"].as_i64(), Some(1));
}

#[test]
fn every_resource_is_made_shown_changed_listed_and_removed() {
    let site = Site::new();
    site.done("user create alice");
    site.done("user update alice --display-name Alice --status suspended");
    assert_eq!(site.json("user show alice")["status"], "suspended");
    assert_eq!(site.json("user lock alice --service counterfoil --reason lost")["locked"], false);
    let unlocked = site.json("user unlock alice --service counterfoil");
    assert_eq!(unlocked["locked_services"], Value::Array(Vec::new()));
    site.done("user update alice --display-name ");
    assert_eq!(site.json("user show alice")["display_name"], Value::Null);

    site.done("group create staff --description People");
    site.done("group add staff alice");
    assert_eq!(site.done("group members staff").trim(), "alice");
    site.done("group remove staff alice");
    assert_eq!(site.done("group members staff"), "");
    site.done("group delete staff");

    let unit = site.json("unit create --name Physics --identifier ph");
    let unit = unit["id"].as_str().unwrap();
    site.done(&format!("unit update {unit} --external-id 7"));
    assert_eq!(site.json(&format!("unit show {unit}"))["external_id"], "7");

    site.done(r#"service create git --token-policy {"max_lifetime_seconds":3600}"#);
    assert_eq!(site.json("service show git")["token_policy"]["max_lifetime_seconds"], 3600);
    // Merged with what is there; null takes one away, an empty text all.
    let policy = || site.json("service show git")["token_policy"].clone();
    site.done(r#"service update git --token-policy {"must_expire":true}"#);
    let both = serde_json::json!({ "max_lifetime_seconds": 3600, "must_expire": true });
    assert_eq!(policy(), both);
    site.done(r#"service update git --token-policy {"max_lifetime_seconds":null}"#);
    assert_eq!(policy(), serde_json::json!({ "must_expire": true }));
    for _ in 0..2 {
        site.done("service update git --token-policy ");
        assert_eq!(policy(), serde_json::json!({}));
    }
    assert_eq!(site.json("service lock git")["locked"], true);
    assert_eq!(site.json("service unlock git --reason over")["locked"], false);
    site.done("service update git --status suspended --contact root@example.org");

    let made = site.json("client create gate --role verifier --service git");
    assert!(made["secret"].as_str().unwrap().starts_with("cflk_"), "{made}");
    site.done("client update gate --enabled false");
    assert_eq!(site.json("client show gate")["enabled"], false);

    let grant = site.json("grant create --user alice --role auditor");
    let grant = grant["id"].as_str().unwrap();
    assert!(site.done("grant list").contains("auditor"));
    site.done(&format!("grant delete {grant}"));

    site.done("realm create lab --display-name Laboratory");
    site.done("realm update lab --zone Europe/Berlin");
    assert_eq!(site.json("realm show lab")["zone"], "Europe/Berlin");
    site.done("user create bob --realm lab");
    for gone in ["client delete gate", "service delete git", "user delete alice"] {
        site.done(gone);
    }
    site.done(&format!("unit delete {unit}"));
    assert_eq!(site.json("user list")["items"], Value::Array(Vec::new()));
}

#[test]
fn refusals_are_told_apart_and_read_well() {
    let site = Site::new();
    let missing = site.ask("user show nobody", "");
    assert_eq!(missing.status, 1);
    assert!(missing.stderr.contains("404"), "{}", missing.stderr);
    assert_eq!(site.status("user create alice"), 0);
    assert_eq!(site.status("user create alice"), 1);
    assert_eq!(site.status("user update alice"), 2);
    let machine = site.ask("user show nobody --json", "");
    let problem: Value = serde_json::from_str(&machine.stderr).unwrap();
    assert_eq!(problem["status"], 404);
    let nobody = site.ask("grant create --role auditor", "");
    assert_eq!(nobody.status, 2);
    assert!(nobody.stderr.contains("give --user, --client or --group"), "{}", nobody.stderr);
    assert_eq!(site.status("token list --realm nosuch"), 1);
    let secure = site.url.replace("http:", "https:");
    let secure = site.ask(&format!("user list --url {secure}"), "");
    assert_eq!(secure.status, 3);
    assert!(secure.stderr.contains("speaks http here"), "{}", secure.stderr);
    assert_eq!(site.status(&format!("user list --url {}/api/v1/", site.url)), 0);

    let stranger = site.world.run_with(
        &["user", "list"],
        "",
        &[("COUNTERFOIL_URL", &site.url), ("COUNTERFOIL_TOKEN", "cflk_nonsense")],
    );
    assert_eq!(stranger.status, 1);
    assert!(stranger.stderr.contains("401"), "{}", stranger.stderr);
}

#[test]
fn lists_go_on_where_they_ended() {
    let site = Site::new();
    for name in ["a", "b", "c"] {
        site.done(&format!("user create {name}"));
    }
    let first = site.json("user list --limit 2");
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = site.json(&format!("user list --limit 2 --cursor {cursor}"));
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    assert_eq!(second["items"][0]["username"], "c");
    assert_eq!(second["next_cursor"], Value::Null);
}

#[test]
fn a_rotated_pepper_is_used_by_the_running_server_and_hurts_nobody() {
    let site = Site::new();
    site.done("user create alice");
    site.done("service create git");
    let before = site.done("token issue --user alice --service git -q");
    let rotated = site.world.run(&["keys", "rotate", "pepper", "--data", "data"]);
    assert_eq!(rotated.status, 0, "{}", rotated.stderr);
    assert_eq!(site.ask("token verify -", &before).status, 0);
    let after = site.done("token issue --user alice --service git -q");
    assert_eq!(site.ask("token verify -", &after).status, 0);
    assert_eq!(site.ask("token verify -", &before).status, 0);
}

#[test]
fn a_token_hands_on_a_narrower_one() {
    let site = Site::new();
    site.done("user create alice");
    site.done("service create git");
    site.done("service create wiki");
    let issue = "token issue --user alice --service git --service wiki --scope repo:* -q";
    let secret = site.done(issue).trim().to_owned();
    let words = "token derive --name ci --service git --scope repo:read --expires 1h -q";
    let derived = site.ask_as(&secret, words, "");
    assert_eq!(derived.status, 0, "{}", derived.stderr);
    let child = derived.stdout.trim();
    assert!(child.starts_with("cflx_") && derived.stdout.lines().count() == 1, "{child}");
    assert_eq!(site.ask("token verify - --service git --scope repo:read", child).status, 0);
    for more in ["--service wiki", "--service git --scope repo:write"] {
        assert_eq!(site.ask(&format!("token verify - {more}"), child).status, 1, "{more}");
    }
    let wider = site.ask_as(child, "token derive --service wiki", "");
    assert_eq!(wider.status, 1);
    assert!(wider.stderr.contains("goes beyond the presented token"), "{}", wider.stderr);
    let told = site.ask_as(&secret, "token derive --max-usages 3", "");
    assert_eq!(told.status, 0);
    assert!(told.stderr.contains("derived_token"), "{}", told.stderr);
    let shown: Value =
        serde_json::from_str(&site.ask_as(&secret, "token derive --json", "").stdout).unwrap();
    assert_eq!(shown["token"]["services"], serde_json::json!(["git", "wiki"]));
}

#[test]
fn what_a_service_offers_and_what_its_policy_blocks_is_listed() {
    let site = Site::new();
    site.done("user create alice");
    site.done("service create git");
    site.done("service create wiki");
    for service in ["git", "wiki"] {
        site.done(&format!("token issue --user alice --service {service} --expires never -q"));
    }
    assert!(site.ask("token list --blocked", "").stderr.contains("there are none"));
    site.done("service update git --token-policy {\"max_lifetime_seconds\":3600}");
    let listed = site.json("token list --blocked");
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{listed}");
    assert_eq!((&items[0]["service"], &items[0]["reason"]), (&"git".into(), &"lifetime".into()));
    let id = items[0]["token"]["id"].as_str().unwrap();
    let printed = site.done("token list --blocked --service git");
    for word in [id, "alice", "git", "lifetime", "REFUSED BY"] {
        assert!(printed.contains(word), "{word}: {printed}");
    }
    assert!(site.ask("token list --blocked --service wiki", "").stderr.contains("none"));
    assert_eq!(site.status("token list --blocked --user alice"), 2);

    let offer = site.json("service offer git");
    assert_eq!(offer["max_lifetime_seconds"], 3600);
    assert_eq!(offer["lifetime_presets_seconds"], serde_json::json!([3600]));
    assert!(site.done("service offer git").contains("max_lifetime_seconds"));
    assert_eq!(site.status("service offer none"), 1);
}
