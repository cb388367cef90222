//! What administrators do on their pages: acts on many tokens, registration tokens, policies,
//! clients, targets, and taking the audit away.

use serde_json::{Value, json};

use super::admin::{once, secret_of, token, unit};
use super::browser::administrator;
use crate::world::{R, World};

#[tokio::test]
async fn many_tokens_are_changed_after_a_look_at_which() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    world.service("git").await;
    world.user("alice").await;
    let mut ids = Vec::new();
    for name in ["one", "two", "three"] {
        ids.push(world.pat("alice", json!({ "services": ["git"], "name": name })).await.0);
    }
    let list = admin.get("/admin/tokens?user=alice").await.expect(200).text;
    assert!(list.contains("three") && list.contains(&format!("value=\"{}\"", ids[0])), "{list}");
    let none = admin.get("/admin/tokens?user=alice&state=locked").await.expect(200).text;
    assert!(none.contains("No token matches") && none.contains("All tokens"), "{none}");
    admin.get("/admin/tokens?state=odd").await.expect(422);
    let ticked =
        [("act", "lock"), ("which", "ticked"), ("id", ids[0].as_str()), ("id", ids[1].as_str())];
    let preview = admin.act("/admin/bulk", &ticked).await.expect(200).text;
    assert!(preview.contains("2 tokens would change") && !preview.contains(">three<"), "{preview}");
    assert_eq!(token(&world, &ids[0]).await["state"], "active");
    let started = admin.act("/admin/bulk/start", &ticked).await.expect(303);
    let job = started.header("location").to_owned();
    let running = admin.get(&job).await.expect(200).text;
    assert!(running.contains("Look again") && running.contains("0 / 2"), "{running}");
    while world.authority.work_jobs().await.unwrap() {}
    let done = admin.get(&job).await.expect(200).text;
    assert!(done.contains("2 / 2") && !done.contains("Look again"), "{done}");
    assert_eq!(token(&world, &ids[1]).await["state"], "locked");
    assert!(admin.get("/admin/jobs").await.expect(200).text.contains(&job));
    // All that match, over all pages; and whatever names nothing is refused.
    let all = [("act", "revoke"), ("which", "all"), ("user", "alice"), ("reason", "left")];
    let preview = admin.act("/admin/bulk", &all).await.expect(200).text;
    assert!(preview.contains("3 tokens would change"), "{preview}");
    admin.act("/admin/bulk", &[("act", "revoke"), ("which", "all")]).await.expect(422);
    let started = admin.act("/admin/bulk/start", &all).await.expect(303);
    let job = started.header("location").to_owned();
    admin.act(&format!("{job}/cancel"), &[]).await.expect(303);
    assert!(admin.get(&job).await.expect(200).text.contains("stopped by somebody"));
    let nothing = admin.act("/admin/bulk", &[("act", "lock"), ("which", "ticked")]).await;
    assert_eq!(nothing.status, 422, "{}", nothing.text);
}

#[tokio::test]
async fn registration_tokens_are_minted_one_by_one_and_from_a_sheet() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    unit(&world, "lab").await;
    let form = admin.get("/admin/registration-tokens/new").await.expect(200);
    let nonce = form.field("once");
    let fields = [("once", nonce.as_str()), ("name", "lobby"), ("count", "5"), ("days", "30")];
    let path = "/admin/registration-tokens/new";
    let shown = admin.act(path, &fields).await.expect(200);
    let again = admin.act(path, &fields).await.expect(200);
    assert_eq!(secret_of(&again), secret_of(&shown));
    for (name, value) in [("count", "0"), ("count", "many"), ("days", "-1"), ("name", "")] {
        let mut bad = fields.to_vec();
        bad[0].1 = "dddddddddddddddddddddddddddddddd";
        bad.retain(|(own, _)| *own != name);
        bad.push((name, value));
        admin.act(path, &bad).await.expect(422);
    }
    let batch = "/admin/registration-tokens/batch";
    let rows = "name,unit,count\n\"Gate, north\",lab,5\n=cmd,,2\nbad,nowhere,3\n";
    let sheet = [("once", "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"), ("rows", rows)];
    let shown = admin.act(batch, &sheet).await.expect(200);
    assert!(shown.text.contains("Gate, north") && shown.text.contains(": 1<"), "{}", shown.text);
    // The sheet holds the same secrets, and asking for it makes no further token.
    let mut wanted = sheet.to_vec();
    wanted.push(("as", "sheet"));
    let file = admin.act(batch, &wanted).await.expect(200);
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8");
    assert!(file.header("content-disposition").contains("attachment"));
    assert_eq!(file.header("cache-control"), "no-store");
    let lines: Vec<&str> = file.text.lines().collect();
    assert_eq!(lines.len(), 4, "{}", file.text);
    assert!(lines[2].starts_with("'=cmd"), "no formula: {}", lines[2]);
    let secret = lines[1].rsplit(',').nth(1).unwrap();
    assert!(secret.len() > 20 && shown.text.contains(secret), "{secret}");
    let held = world.get(&format!("{R}/tokens?kind=registration_token")).await.expect(200);
    assert_eq!(held["items"].as_array().unwrap().len(), 3, "{held}");
    let list = admin.get("/admin/registration-tokens").await.expect(200).text;
    assert!(list.contains("0 / 5") && list.contains("<rect"), "{list}");
    for rows in ["", "name\n", &"x\n".repeat(201)] {
        let sheet = [("once", "ffffffffffffffffffffffffffffffff"), ("rows", rows)];
        admin.act(batch, &sheet).await.expect(422);
    }
}

#[tokio::test]
async fn a_stricter_policy_says_whom_it_hits_before_it_holds() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    let made = [("label", "git"), ("name", "Git"), ("description", "code")];
    let page = admin.act("/admin/services", &made).await.expect(303);
    assert_eq!(page.header("location"), "/admin/services/git");
    admin.act("/admin/services", &[("label", "Not A Label")]).await.expect(422);
    world.user("alice").await;
    world.pat("alice", json!({ "services": ["git"], "name": "laptop" })).await;
    let before = world.get(&format!("{R}/services/git")).await.expect(200);
    let policy = "/admin/services/git/policy";
    let look = [("do", "preview"), ("max_lifetime_seconds", "1d")];
    for path in [policy, "/admin/realm"] {
        let preview = admin.act(path, &look).await.expect(200).text;
        assert!(preview.contains("1 token more would be blocked"), "{path} {preview}");
        assert!(preview.contains("laptop") && preview.contains("lives too long"), "{preview}");
    }
    let harmless = [("do", "preview"), ("max_lifetime_seconds", "3650d")];
    let preview = admin.act(policy, &harmless).await.expect(200).text;
    assert!(preview.contains("0 tokens more would be blocked"), "{preview}");
    let after = world.get(&format!("{R}/services/git")).await.expect(200);
    assert_eq!(after, before, "a look changes nothing");
    let save = [("do", "save"), ("max_lifetime_seconds", "1d"), ("approval", "yes")];
    admin.act(policy, &save).await.expect(303);
    let after = world.get(&format!("{R}/services/git")).await.expect(200);
    assert_eq!(after["token_policy"]["max_lifetime_seconds"], 86_400, "{after}");
    assert_eq!(after["token_policy"]["approval"], true, "{after}");
    let page = admin.get("/admin/services/git").await.expect(200).text;
    assert!(page.contains("is refused already") && page.contains("value=\"1d\""), "{page}");
    // Somebody else was quicker.
    let late = [("do", "save"), ("version", "1"), ("max_lifetime_seconds", "2d")];
    admin.act(policy, &late).await.expect(412);
    admin.act(policy, &[("do", "save"), ("max_lifetime_seconds", "soon")]).await.expect(422);
    let edit = [
        ("do", "save"),
        ("name", "Code"),
        ("visibility", "realm"),
        ("status", "active"),
        ("contact", "git@example.org"),
    ];
    admin.act("/admin/services/git", &edit).await.expect(303);
    let after = world.get(&format!("{R}/services/git")).await.expect(200);
    assert_eq!((&after["name"], &after["contact"]), (&json!("Code"), &json!("git@example.org")));
    admin.act("/admin/services/git", &[("do", "lock")]).await.expect(303);
    assert!(admin.get("/admin/services").await.text.contains("locked"));
}

#[tokio::test]
async fn the_realm_is_set_and_its_policy_saved() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    let edit = [("do", "save"), ("display_name", "Example"), ("zone", "Europe/Berlin")];
    admin.act("/admin/realm", &edit).await.expect(303);
    let policy = [("do", "save-policy"), ("max_active_per_user", "7"), ("at_limit", "refuse")];
    admin.act("/admin/realm", &policy).await.expect(303);
    let realm = world.get(R).await.expect(200);
    assert_eq!(realm["zone"], "Europe/Berlin", "{realm}");
    assert_eq!(realm["token_policy"]["max_active_per_user"], 7, "{realm}");
    admin.act("/admin/realm", &[("do", "save"), ("zone", "Nowhere")]).await.expect(422);
}

#[tokio::test]
async fn alarms_and_brown_outs_are_set_within_their_limits() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    world.service("git").await;
    let fields = [
        ("alarms_new_network", "yes"),
        ("alarms_networks_max", "3"),
        ("alarms_lock_on", "many_networks"),
        ("alarms_lock_on", "link_reopened"),
        ("brownout_days", "7"),
        ("brownout_every_hours", "24"),
        ("brownout_seconds", "300"),
    ];
    let stated = json!({
        "alarms": {
            "new_network": true,
            "networks_max": 3,
            "lock_on": ["many_networks", "link_reopened"],
        },
        "brownout": { "days": 7, "every_hours": 24, "seconds": 300 },
    });
    let places = [
        ("/admin/services/git/policy", "/admin/services/git", format!("{R}/services/git"), "save"),
        ("/admin/realm", "/admin/realm", R.to_owned(), "save-policy"),
    ];
    for (form, page, resource, save) in places {
        let sent = |act, change: &[(&'static str, &'static str)]| {
            let kept = fields.iter().filter(|(own, _)| change.iter().all(|(name, _)| name != own));
            let mut sent = vec![("do", act)];
            sent.extend(kept.chain(change).copied());
            sent
        };
        // The look holds what was typed, so that what is saved is what was looked at.
        let look = admin.act(form, &sent("preview", &[])).await.expect(200).text;
        for (name, value) in &fields {
            let hidden = format!("name=\"{name}\" value=\"{value}\"");
            assert!(look.contains(&hidden), "{form} {name}: {look}");
        }
        assert_eq!(world.get(&resource).await.expect(200)["token_policy"], json!({}));
        admin.act(form, &sent(save, &[])).await.expect(303);
        let after = world.get(&resource).await.expect(200);
        assert_eq!(after["token_policy"], stated, "{form}");
        let shown = admin.get(page).await.expect(200).text;
        let ticked = "type=\"checkbox\" name=\"alarms_lock_on\" value=";
        for (alarm, is_on) in [("many_networks", true), ("new_network", false)] {
            let checked = format!("{ticked}\"{alarm}\" checked>");
            assert_eq!(shown.contains(&checked), is_on, "{page} {alarm}: {shown}");
        }
        assert!(shown.contains("name=\"brownout_every_hours\" value=\"24\""), "{shown}");

        for (change, why) in [
            (("alarms_networks_max", "33"), "must be between 1 and 32"),
            (("alarms_networks_max", "0"), "must be between 1 and 32"),
            (("alarms_networks_max", "many"), "is a number"),
            (("alarms_lock_on", "everything"), "everything"),
            (("brownout_days", "31"), "must be between 1 and 30"),
            (("brownout_every_hours", "169"), "must be between 1 and 168"),
            (("brownout_seconds", "43201"), "at most half of the time between two"),
            (("brownout_seconds", ""), "all three of a brown-out, or none"),
        ] {
            let refused = admin.act(form, &sent(save, &[change])).await.expect(422).text;
            assert!(refused.contains(why), "{form} {change:?}: {refused}");
        }
        assert_eq!(world.get(&resource).await.expect(200)["token_policy"], stated);
        // Empty is inherited again.
        admin.act(form, &[("do", save), ("brownout_days", "")]).await.expect(303);
        assert_eq!(world.get(&resource).await.expect(200)["token_policy"], json!({}));
    }
}

#[tokio::test]
async fn a_client_is_made_with_a_key_that_is_shown_once() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    world.service("git").await;
    let nonce = admin.get("/admin/clients").await.expect(200).field("once");
    let fields =
        [("once", nonce.as_str()), ("name", "gate"), ("role", "verifier"), ("services", "git")];
    let shown = admin.act("/admin/clients", &fields).await.expect(200);
    let key = secret_of(&shown);
    assert_eq!(secret_of(&admin.act("/admin/clients", &fields).await.expect(200)), key);
    let body = json!({ "token": "cflp_nothing" });
    world.call(&key, "POST", &format!("{R}/verify"), body).await.expect(200);
    let page = admin.get("/admin/clients/gate").await.expect(200);
    assert!(page.text.contains("Verifies") || page.text.contains("verifier"), "{}", page.text);
    assert!(!page.text.contains(&key));
    admin.act("/admin/clients/gate/act", &[("act", "disable")]).await.expect(303);
    let held = world.get(&format!("{R}/clients/gate")).await.expect(200);
    assert_eq!(held["enabled"], false, "{held}");
    admin.act("/admin/clients/gate/act", &[("act", "delete")]).await.expect(303);
    admin.get("/admin/clients/gate").await.expect(404);
    admin.act("/admin/clients", &[("once", &once('9')), ("name", "not ok!")]).await.expect(422);
}

#[tokio::test]
async fn the_audit_is_filtered_and_taken_away() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    world.service("git").await;
    world.pat("root", json!({ "services": ["git"] })).await;
    let page = admin.get("/admin/audit?kind=token.issued").await.expect(200).text;
    assert!(page.contains("<code>token.issued</code>"), "{page}");
    assert!(!page.contains("<code>service.created</code>"), "{page}");
    let none = admin.get("/admin/audit?from=2099-01-01").await.expect(200).text;
    assert!(none.contains("Nothing of that sort"), "{none}");
    for bad in ["kind=nothing", "outcome=odd", "from=soon", "token=x"] {
        admin.get(&format!("/admin/audit?{bad}")).await.expect(422);
    }
    let lines = admin.get("/admin/audit/export?form=jsonl&kind=token.issued").await.expect(200);
    assert!(lines.header("content-type").starts_with("application/jsonl"));
    for line in lines.text.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["kind"], "token.issued");
    }
    let sheet = admin.get("/admin/audit/export?form=csv").await.expect(200);
    assert!(sheet.text.starts_with("at,kind,outcome,actor"), "{}", sheet.text);
    assert!(sheet.text.lines().count() > 3 && sheet.text.contains("service.created"));
}

#[tokio::test]
async fn the_audit_shows_its_checkpoint_and_proves_an_event() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    let page = admin.get("/admin/audit").await.expect(200).text;
    assert!(page.contains("Nothing has been put into the log"), "{page}");
    let events = world.get(&format!("{R}/events")).await.expect(200);
    let proof = format!("/admin/audit/proof?event={}", events["items"][0]["id"].as_str().unwrap());
    assert!(page.contains(&proof), "{page}");
    let waits = admin.get(&proof).await.expect(200).text;
    assert!(waits.contains("is in no checkpoint yet"), "{waits}");
    while world.authority.seal_events().await.unwrap() {}
    let page = admin.get("/admin/audit").await.expect(200).text;
    let key = world.get(&format!("{R}/audit/keys")).await.text;
    let note = world.get(&format!("{R}/audit/checkpoint")).await.text;
    for text in ["counterfoil audit verify main.audit", key.trim(), note.lines().nth(2).unwrap()] {
        // A plus and an equals sign may be escaped.
        let escaped = text.replace('+', "&#43;").replace('=', "&#61;");
        assert!(page.contains(text) || page.contains(&escaped), "{text} in {page}");
    }
    let sealed = admin.get(&proof).await.expect(200).text;
    assert!(sealed.contains("in the log as it was sealed"), "{sealed}");
    admin.get("/admin/audit/proof?event=none").await.expect(404);
}

#[tokio::test]
async fn a_decision_is_explained_step_by_step() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    let page = admin.get("/admin/policies").await.expect(200).text;
    assert!(page.contains("PATValidator"), "{page}");
    let fields = [
        ("user", "root"),
        ("set", "PATValidator"),
        ("resource", "pat://root"),
        ("action", "verify"),
    ];
    let said = admin.act("/admin/policies/test", &fields).await.expect(200).text;
    assert!(said.contains("is not allowed") && said.contains("decision"), "{said}");
    for (name, value) in [("user", "no body"), ("set", "none"), ("token", "x"), ("address", "x")] {
        let mut bad = fields.to_vec();
        bad.retain(|(own, _)| *own != name);
        bad.push((name, value));
        let page = admin.act("/admin/policies/test", &bad).await;
        assert!([404, 422].contains(&page.status), "{name} {}", page.text);
    }
}

#[tokio::test]
async fn policy_sets_and_policies_are_made_and_removed() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    world.service("git").await;
    let act = async |fields: &[(&str, &str)], status: u16| {
        admin.act("/admin/policies", fields).await.expect(status).text
    };
    let types = admin.get("/admin/policies").await.expect(200).text;
    let url = types.split("id=\"policy-type\"").nth(1).unwrap();
    let url = url.split("<option value=\"").nth(1).unwrap().split('"').next().unwrap();
    let set = [("do", "set"), ("name", "shop"), ("type", url), ("service", "git")];
    act(&set, 303).await;
    act(&set, 409).await;
    let policy = [
        ("do", "policy"),
        ("name", "read the shop"),
        ("set", "shop"),
        ("type", url),
        ("resources", "https://shop.example:443/*\nhttps://shop.example:443/a/*"),
        ("allows", "GET POST"),
        ("denies", "DELETE"),
        ("who", "alice staff"),
    ];
    act(&policy, 303).await;
    let page = admin.get("/admin/policies").await.expect(200).text;
    for shown in ["read the shop", "GET: allowed", "DELETE: denied", "shop.example:443/a/*"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    world.user("alice").await;
    for (action, said) in [("GET", "is allowed"), ("DELETE", "is not allowed")] {
        let asked = [
            ("user", "alice"),
            ("set", "shop"),
            ("resource", "https://shop.example:443/x"),
            ("action", action),
        ];
        let page = admin.act("/admin/policies/test", &asked).await.expect(200).text;
        assert!(page.contains(said), "{action} {page}");
    }
    for (name, value) in [("set", "none"), ("type", "none"), ("allows", "FLY"), ("name", "")] {
        let mut bad = policy.to_vec();
        bad.retain(|(own, _)| *own != name && *own != "name");
        bad.push(("name", "another"));
        bad.retain(|(own, _)| *own != name);
        bad.push((name, value));
        let page = admin.act("/admin/policies", &bad).await;
        assert!([404, 422].contains(&page.status), "{name} {} {}", page.status, page.text);
    }
    // A set goes when its policies have gone, and what is built in stays.
    act(&[("do", "remove-set"), ("name", "shop")], 409).await;
    act(&[("do", "remove-policy"), ("name", "read the shop")], 303).await;
    act(&[("do", "remove-set"), ("name", "shop")], 303).await;
    act(&[("do", "remove-set"), ("name", "shop")], 404).await;
    assert_eq!(admin.act("/admin/policies", &[("do", "fly"), ("name", "x")]).await.status, 422);
    let page = admin.get("/admin/policies").await.expect(200).text;
    assert!(!page.contains("remove-"), "only built-in ones are left: {page}");
}

#[tokio::test]
async fn targets_are_set_up_and_removed() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    world.service("git").await;
    let page = admin.get("/admin/targets").await.expect(200).text;
    assert!(page.contains("href=\"/admin/targets/new\""), "{page}");
    let form = admin.get("/admin/targets/new?kind=ldap").await.expect(200).text;
    assert!(form.contains("type=\"password\""), "{form}");
    let directory = [
        ("kind", "ldap"),
        ("name", "staff"),
        ("url", "ldaps://directory.example.org"),
        ("bind_dn", "cn=counterfoil,dc=example,dc=org"),
        ("secret", "the password to bind with"),
        ("base_dn", "ou=people,dc=example,dc=org"),
        ("person_filter", "(uid={username})"),
        ("attribute", "userPassword"),
        ("schemes", "SSHA ARGON2"),
        ("services", "git"),
        ("mode", "manual"),
    ];
    let made = admin.act("/admin/targets", &directory).await.expect(303);
    assert_eq!(made.header("location"), "/admin/targets/staff");
    let held = world.get(&format!("{R}/targets/staff")).await.expect(200);
    assert_eq!((&held["mode"], &held["secret_present"]), (&json!("manual"), &json!(true)));
    assert_eq!(held["schemes"], json!(["SSHA", "ARGON2"]), "{held}");
    assert_eq!(held["services"], json!(["git"]), "{held}");
    admin.act("/admin/targets", &directory).await.expect(409);
    for (name, value) in [
        ("kind", "entry"),
        ("mode", "odd"),
        ("name", "No Name"),
        ("schemes", "ROT13"),
        ("url", "gopher://x"),
        ("base_dn", ""),
    ] {
        let mut bad = directory.to_vec();
        bad[1].1 = "other";
        bad.retain(|(own, _)| *own != name);
        bad.push((name, value));
        let page = admin.act("/admin/targets", &bad).await;
        assert!([404, 409, 422].contains(&page.status), "{name} {} {}", page.status, page.text);
        assert!(!page.text.contains("to bind with"), "{}", page.text);
    }
    let hook = [
        ("kind", "webhook"),
        ("name", "hook"),
        ("url", "https://hook.example.org/"),
        ("secret", "0123456789abcdef0123456789abcdef"),
        ("events", "token.issued token.revoked"),
        ("mode", "disabled"),
    ];
    admin.act("/admin/targets", &hook).await.expect(303);
    let held = world.get(&format!("{R}/targets/hook")).await.expect(200);
    assert_eq!(held["events"], json!(["token.issued", "token.revoked"]), "{held}");
    let page = admin.get("/admin/targets/hook").await.expect(200).text;
    assert!(page.contains("value=\"delete\""), "{page}");
    admin.act("/admin/targets/hook/act", &[("act", "delete")]).await.expect(303);
    admin.get("/admin/targets/hook").await.expect(404);
}

#[tokio::test]
async fn what_failed_on_its_way_to_a_target_is_tried_again() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    let empty = admin.get("/admin/targets").await.expect(200).text;
    assert!(empty.contains("There is no target"), "{empty}");
    let target = json!({
        "name": "hook", "kind": "webhook", "url": "https://hook.example.org/",
        "signing_key": "0123456789abcdef0123456789abcdef",
    });
    world.post(&format!("{R}/targets"), target).await.expect(201);
    world.service("git").await;
    let page = admin.get("/admin/targets/hook").await.expect(200).text;
    assert!(page.contains("Try again what failed") && !page.contains("Compare"), "{page}");
    assert!(admin.get("/admin").await.text.contains("/admin/targets/hook"));
    admin.act("/admin/targets/hook/act", &[("act", "retry")]).await.expect(303);
    admin.act("/admin/targets/hook/act", &[("act", "compare")]).await.expect(422);
    admin.act("/admin/targets/hook/act", &[("act", "odd")]).await.expect(422);
    admin.act("/admin/targets/none/act", &[("act", "retry")]).await.expect(404);
    admin.get("/admin/targets/none").await.expect(404);
}
