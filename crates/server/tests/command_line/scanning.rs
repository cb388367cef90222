//! `counterfoil scan` as a shell sees it: what it prints, what it never does, and how it ends.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::remote::Site;

/// A site with a person, and one of her tokens of each sort: id and secret.
fn tokens(site: &Site) -> Vec<(String, String)> {
    site.done("user create alice");
    site.done("service create git");
    let issued = |words: &str| {
        let made = site.json(&format!("token issue --user alice {words}"));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&made["token"]["id"]), text(&made["secret"]))
    };
    vec![
        issued("--service git --delivery response --name laptop"),
        issued("--service git --delivery response --name phone"),
        issued("--kind decoy --name wiki"),
    ]
}

#[test]
fn what_was_found_is_named_and_never_shown_and_the_exit_status_is_that_of_a_scanner() {
    let site = Site::new();
    let all = tokens(&site);
    fs::create_dir(site.world.path("tree")).unwrap();
    let clean = site.ask("scan tree", "");
    assert_eq!((clean.status, clean.stdout.as_str()), (0, ""), "{}", clean.stderr);
    assert!(clean.stderr.contains("0 files") && clean.stderr.contains("MB/s"), "{}", clean.stderr);
    for (name, (_, secret)) in ["a", "b", "c"].iter().zip(&all) {
        fs::write(site.world.path(&format!("tree/{name}")), format!("x = {secret}\n")).unwrap();
    }
    let found = site.ask("scan tree", "");
    assert_eq!(found.status, 1);
    let lines: Vec<&str> = found.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{}", found.stdout);
    let first = format!("tree/a:1:5: personal_access_token {}", all[0].0);
    assert_eq!(lines[0], first);
    let json = site.ask("scan tree --format json", "");
    let document: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(document["findings"].as_array().unwrap().len(), 3);
    assert_eq!(document["findings"][2]["token_id"], all[2].0.as_str());
    assert_eq!((document["scanned"]["files"].as_u64(), json.status), (Some(3), 1));
    assert_eq!(document["findings"][2]["in"], "content");
    // The exit status says it, without a second document; people read how many there are.
    assert_eq!((json.stderr.as_str(), site.ask("scan tree --json", "").stderr.as_str()), ("", ""));
    assert!(found.stderr.ends_with("3 token strings in 3 places\n"), "{}", found.stderr);
    let piped = site.ask("scan -", &format!("\n{}", all[0].1));
    assert_eq!(
        (piped.status, piped.stdout.lines().next()),
        (1, Some(&*first.replace("tree/a:1:5", "-:2:1")))
    );
    assert!(piped.stderr.contains("1 file, "), "{}", piped.stderr);
    assert!(piped.stderr.ends_with("1 token string in 1 place\n"), "{}", piped.stderr);
    // Another installation's strings are none of ours.
    assert_eq!(site.ask("scan tree --prefix acme", "").status, 0);
    for ran in [&found, &json, &piped] {
        let printed = format!("{}{}", ran.stdout, ran.stderr);
        assert!(all.iter().all(|(_, secret)| !printed.contains(&secret[18..])), "{printed}");
    }
    let gone = site.ask("scan nowhere", "");
    assert_eq!(gone.status, 2);
    assert!(gone.stderr.contains("nowhere"), "{}", gone.stderr);
    assert_eq!(site.ask("scan", "").status, 2);
}

#[test]
fn the_server_is_asked_about_what_was_found_and_told_to_end_it() {
    let site = Site::new();
    let all = tokens(&site);
    site.done(&format!("token revoke {}", all[1].0));
    let secrets: Vec<&str> = all.iter().map(|(_, secret)| secret.as_str()).collect();
    let text = secrets.join("\n") + "\n";
    let asked = site.ask("scan - --ask", &text);
    assert_eq!(asked.status, 1, "{}", asked.stderr);
    let ends: Vec<&str> =
        asked.stdout.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    let expected = [
        format!("personal_access_token {} active, of alice (laptop)", all[0].0),
        format!("personal_access_token {} revoked, of alice (phone)", all[1].0),
        format!("personal_access_token {} decoy, of alice (wiki)", all[2].0),
    ];
    assert_eq!(ends, expected);
    // A decoy that its own people ask about raises no alarm.
    let alarms = site.json("events --kind token.decoy-used");
    assert_eq!(alarms["items"].as_array().map(Vec::len), Some(0));
    // Nobody needs a key to end what they found.
    let ended =
        site.world.run_with(&["scan", "-", "--revoke"], &text, &[("COUNTERFOIL_URL", site.url())]);
    assert_eq!(ended.status, 1, "{}", ended.stderr);
    assert_eq!(site.json(&format!("token show {}", all[0].0))["state"], "revoked");
    // The decoy stays, and to present it was an alarm: both are said.
    assert_eq!(site.json(&format!("token show {}", all[2].0))["state"], "active");
    site.until("events --kind token.decoy-used --json", &all[2].0);
    assert!(ended.stderr.contains("decoys stay"), "{}", ended.stderr);
    assert!(ended.stderr.contains("token.decoy-used"), "{}", ended.stderr);
    // One that the server has told apart is not sent.
    let apart = site.ask("scan - --ask --revoke --json", &text);
    let document: Value = serde_json::from_str(&apart.stdout).unwrap();
    assert_eq!((&document["sent_to_revoke"], apart.status), (&2.into(), 1), "{}", apart.stdout);
    let away = [("COUNTERFOIL_URL", "http://127.0.0.1:1")];
    let nobody = site.world.run_with(&["scan", "-", "--revoke"], &text, &away);
    assert_eq!(nobody.status, 3, "{}", nobody.stderr);
}

/// Runs git in a directory of the site, as nobody in particular.
fn git(dir: &Path, words: &[&str]) {
    let mut git = Command::new("git");
    git.arg("-C").arg(dir).args(["-c", "user.name=t", "-c", "user.email=t@example.org"]);
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    let done = git.args(words).output().unwrap();
    assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn the_repository_that_is_named_is_looked_through_whatever_the_shell_says() {
    let site = Site::new();
    let (id, secret) = &tokens(&site)[0];
    for (name, content) in [("named", secret.as_str()), ("other", "nothing")] {
        let dir = site.world.path(name);
        fs::create_dir(&dir).unwrap();
        git(&dir, &["init", "-q"]);
        fs::write(dir.join("key"), content).unwrap();
        git(&dir, &["add", "-A"]);
        git(&dir, &["commit", "-q", "-m", "one"]);
    }
    git(&site.world.path("named"), &["tag", secret]);
    let other = site.world.path("other/.git");
    let set = [("GIT_DIR", other.to_str().unwrap())];
    let found = site.world.run_with(&["scan", "--git", "named"], "", &set);
    let lines: Vec<&str> = found.stdout.lines().collect();
    assert_eq!((found.status, lines.len()), (1, 2), "{}{}", found.stdout, found.stderr);
    let tag = format!(
        "named/refs/tags/{id}(secret): the name of a reference: personal_access_token {id}"
    );
    assert_eq!(lines[0], tag);
    assert!(lines[1].starts_with(&format!("named/key:1:1: personal_access_token {id} commit ")));
    let json = site.world.run_with(&["scan", "--git", "named", "--json"], "", &set);
    let document: Value = serde_json::from_str(&json.stdout).unwrap();
    let first = &document["findings"][0];
    assert_eq!((&first["in"], &first["line"]), (&"reference_name".into(), &Value::Null));
    assert!(![found.stdout, found.stderr, json.stdout].concat().contains(&secret[18..]));
}

#[test]
fn a_token_in_a_path_is_not_repeated_when_something_is_wrong_there() {
    let site = Site::new();
    let (id, secret) = &tokens(&site)[0];
    let gitdir = site.world.path("gitdir");
    fs::create_dir(&gitdir).unwrap();
    fs::write(gitdir.join(".git"), format!("gitdir: /x/{secret}\n")).unwrap();
    for words in [
        format!("scan x/{secret}"),
        format!("scan --git x/{secret}"),
        "scan --git gitdir".to_owned(),
        format!("scan . --config x/{secret}"),
    ] {
        for more in ["", " --json"] {
            let ran = site.ask(&format!("{words}{more}"), "");
            let printed = format!("{}{}", ran.stdout, ran.stderr);
            assert_eq!(ran.status, 2, "{printed}");
            assert!(printed.contains(&format!("{id}(secret)")), "{printed}");
            assert!(!printed.contains(&secret[18..]), "{printed}");
        }
    }
}

#[test]
fn rules_for_other_scanners_name_the_prefixes_of_the_configuration() {
    let site = Site::new();
    let file = site.world.path("c.toml");
    fs::write(&file, "[tokens]\nprefix = \"acme\"\nretired_prefixes = [\"cfl\"]\n").unwrap();
    let printed = site.done("scan rules --for gitleaks --config c.toml");
    assert!(printed.contains("(?:acme|cfl)p_"), "{printed}");
    let printed = site.done("scan rules --for trufflehog --prefix acme");
    assert!(printed.contains("- acmep_") && !printed.contains("cflp_"), "{printed}");
}

#[test]
fn a_preview_shows_what_breaks_and_does_nothing() {
    let site = Site::new();
    let all = tokens(&site);
    for act in ["revoke", "rotate"] {
        let radius = site.json(&format!("token {act} {} --preview", all[0].0));
        assert_eq!((&radius["user"], &radius["derived"]), (&"alice".into(), &0.into()), "{act}");
        assert_eq!(radius["services"], serde_json::json!(["git"]));
    }
    let token = site.json(&format!("token show {}", all[0].0));
    assert_eq!(
        (&token["state"], token["secrets"].as_array().map(Vec::len)),
        (&"active".into(), Some(1))
    );
}
