//! `counterfoil scan` as a shell sees it: what it prints, what it never does, and how it ends.

use std::fs;

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
    let piped = site.ask("scan -", &format!("\n{}", all[0].1));
    assert_eq!(
        (piped.status, piped.stdout.lines().next()),
        (1, Some(&*first.replace("tree/a:1:5", "-:2:1")))
    );
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
    let away = [("COUNTERFOIL_URL", "http://127.0.0.1:1")];
    let nobody = site.world.run_with(&["scan", "-", "--revoke"], &text, &away);
    assert_eq!(nobody.status, 3, "{}", nobody.stderr);
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
