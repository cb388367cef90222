//! Registration tokens on the command line: issued, drawn from, and looked at afterwards (A36).

use std::fs;

use serde_json::Value;

use crate::remote::Site;
use crate::world::Ran;

/// `counterfoil enrol` on a device that holds the registration token in a file.
fn enrol(site: &Site, words: &str) -> Ran {
    site.ask(&format!("enrol --token-file registration {words}"), "")
}

#[test]
fn a36_a_token_for_a_hundred_is_issued_and_its_children_and_refusals_are_listed() {
    let site = Site::new();
    let issue = "token issue --kind registration --count 100 --expires 30d --name fleet -q";
    let secret = site.done(issue);
    assert!(secret.starts_with("cflr_"), "{secret}");
    fs::write(site.world.path("registration"), &secret).unwrap();
    let listed = site.json("token list --kind registration");
    let token = &listed["items"][0];
    let id = token["id"].as_str().unwrap();
    assert_eq!((&token["count"], &token["used"]), (&Value::from(100), &Value::from(0)));
    let (made, ends) = (token["created_at"].as_str().unwrap(), token["expires_at"].as_str());
    let day = |text: &str| -> jiff::Timestamp { text.parse().unwrap() };
    let lives = day(ends.unwrap()).duration_since(day(made));
    assert!((29..=30).contains(&(lives.as_hours() / 24)), "{lives:?}");
    let none = site.ask(&format!("token children {id}"), "");
    assert!(none.stderr.contains("nobody has drawn from it yet"), "{}", none.stderr);

    let facts = "--hostname ws-1.acme.example --system-user svc --mac-address 00:11:22:33:44:55";
    let first = enrol(&site, &format!("--subject ws-1 {facts}"));
    assert_eq!(first.status, 0, "{}", first.stderr);
    assert_eq!(enrol(&site, "--subject ws-2").status, 0);
    site.done(&format!("token disable {id}"));
    assert_eq!(enrol(&site, "--subject ws-3").status, 1);

    let children = site.json(&format!("token children {id} --only-drawn"));
    let child = |name: &str| -> Value {
        let all = children["items"].as_array().unwrap();
        all.iter().find(|child| child["subject"] == name).unwrap().clone()
    };
    let one = child("ws-1");
    for (field, told) in [
        ("hostname", "ws-1.acme.example"),
        ("system_user", "svc"),
        ("mac_address", "00:11:22:33:44:55"),
        ("source", "127.0.0.1"),
        ("state", "active"),
    ] {
        assert_eq!(one[field], told, "{one}");
    }
    assert!(one["at"].is_string());
    let auth_token = child("ws-2")["auth_token"].as_str().unwrap().to_owned();
    site.done(&format!("token revoke {auth_token} --reason lost"));

    // Refusals are written within a second of the refusal.
    let table = site.until(&format!("token children {id}"), "refused: disabled");
    let line = |name: &str| -> String {
        table.lines().find(|line| line.contains(name)).unwrap_or_default().to_owned()
    };
    assert!(line("ws-1.acme.example").contains("active"), "{table}");
    assert!(line("ws-2").contains("revoked"), "{table}");
    assert!(line("ws-3").contains("refused: disabled"), "{table}");
}
