//! What people find at the console beside making a token: services, use, devices, approvals.

use counterfoil_authority::otp::{Shape, SharedSeed, oath};
use data_encoding::BASE32_NOPAD;
use serde_json::{Value, json};

use super::browser::{Browser, administrator, person};
use crate::world::{R, World};

/// Makes a token with the form of a service, and answers with the page of its secret.
async fn made(browser: &Browser, service: &str, name: &str) -> super::browser::Page {
    let path = format!("/services/{service}/new");
    let once = browser.get(&path).await.expect(200).field("once");
    let fields = [("once", once.as_str()), ("name", name), ("kind", "personal_access_token")];
    browser.act(&path, &fields).await.expect(200)
}

async fn service(world: &World, body: Value) {
    world.post(&format!("{R}/services"), body).await.expect(201);
}

/// The text of an element of an id.
fn text_of<'a>(page: &'a str, id: &str) -> &'a str {
    let rest = page.split(&format!("id=\"{id}\"")).nth(1).unwrap_or_else(|| panic!("{id}: {page}"));
    rest.split("</pre>").next().unwrap()
}

#[tokio::test]
async fn recipes_hold_the_secret_on_its_page_and_a_placeholder_elsewhere() {
    let world = World::new().await;
    let url = "https://git.example.org/";
    service(&world, json!({ "label": "git", "name": "Git hosting", "url": url })).await;
    let admin = administrator(&world).await;
    let alice = person(&world, &admin, "alice").await;
    let before = alice.get("/services/git").await.expect(200).text;
    assert!(text_of(&before, "recipe-curl").contains("alice:TOKEN https://git.example.org/"));
    // What a service is called decides what comes first.
    let git = before.find("id=\"recipe-git\"").unwrap();
    assert!(git < before.find("id=\"recipe-curl\"").unwrap(), "{before}");
    let shown = made(&alice, "git", "laptop").await;
    let secret = shown.value_of("secret");
    for recipe in ["recipe-git", "recipe-curl", "recipe-mail", "recipe-network"] {
        assert!(text_of(&shown.text, recipe).contains(&secret), "{recipe}: {}", shown.text);
    }
    assert!(shown.text.contains("<svg class=\"qr\""), "{}", shown.text);
    // Nothing listens there in this world, so nobody is sent there.
    assert!(!shown.text.contains("ldapwhoami"));
    // How a proxy is set up is told to whoever runs the service.
    assert!(!before.contains("recipe-nginx"));
    let ours = admin.get("/services/git").await.expect(200).text;
    assert!(text_of(&ours, "recipe-nginx").contains("/authz/git;"), "{ours}");
    assert!(text_of(&ours, "recipe-caddy").contains("uri /authz/git"));
}

#[tokio::test]
async fn recipes_follow_the_doors_that_the_policy_leaves_open() {
    let world = World::new().await;
    let policy = json!({
        "doors": ["ldap"], "max_lifetime_seconds": 864_000, "max_active_per_user": 3,
        "networks": ["192.0.2.0/24"], "approval": true,
    });
    let body = json!({ "label": "mail", "name": "<b>Mail</b>", "token_policy": policy });
    service(&world, body).await;
    let admin = administrator(&world).await;
    let page = admin.get("/services/mail").await.expect(200).text;
    assert!(!page.contains("recipe-"), "no door is open: {page}");
    for rule in ["10 days", "at a time: 3", "192.0.2.0/24", "LDAP", "approved"] {
        assert!(page.contains(rule), "{rule}: {page}");
    }
    assert!(!page.contains("<b>Mail"));
    admin.get("/services/none").await.expect(404);
    admin.get("/services/NO LABEL").await.expect(404);
}

#[tokio::test]
async fn the_page_of_a_token_tells_when_whence_and_through_what_it_was_used() {
    let world = World::new().await;
    world.service("git").await;
    let admin = administrator(&world).await;
    let (token, secret) = world.pat("root", json!({ "services": ["git"], "name": "ci" })).await;
    let unused = admin.get(&format!("/tokens/{token}")).await.expect(200).text;
    assert!(unused.contains("Not used in the last 90 days") && !unused.contains("<svg"));
    let gate = world.verifier("gate", "git").await;
    for (days, address) in [(1, "192.0.2.1"), (2, "192.0.2.2"), (0, "192.0.2.3")] {
        world.clock.advance_seconds(days * 86_400);
        let asked = json!({ "token": secret, "client_ip": address });
        let verdict = world.call(&gate, "POST", &format!("{R}/verify"), asked).await.expect(200);
        assert_eq!(verdict["active"], true, "{verdict}");
        world.authority.flush_usage().await.unwrap();
    }
    let usage = world.get(&format!("{R}/tokens/{token}/usage")).await.expect(200);
    let days = usage["days"].as_array().unwrap();
    let told: Vec<(u64, &str)> = days
        .iter()
        .map(|day| (day["uses"].as_u64().unwrap(), day["last_used_ip"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [(1, "192.0.2.1"), (2, "192.0.2.3")], "{usage}");
    assert!(days.iter().all(|day| day["door"] == "api"), "{usage}");
    admin.sign_in("root").await.expect(303);
    for page in ["", "/revoke"] {
        let page = admin.get(&format!("/tokens/{token}{page}")).await.expect(200).text;
        for said in ["192.0.2.3", "192.0.2.1", "<th scope=\"row\">API</th><td>3</td>"] {
            assert!(page.contains(said), "{said}: {page}");
        }
    }
    let home = admin.get("/").await.expect(200).text;
    assert!(home.contains("3 uses in 30 days, on 2 days") && home.contains("by API"), "{home}");
    // What is older than it is kept for is not shown, and then forgotten.
    world.clock.advance_seconds(91 * 86_400);
    let later = world.get(&format!("{R}/tokens/{token}/usage")).await.expect(200);
    assert_eq!((&later["days"], &later["usage_total"]), (&json!([]), &json!(3)));
}

/// What is shown is what the button takes away, and only while nothing else was used.
#[tokio::test]
async fn what_a_token_never_needed_is_shown_and_taken_away() {
    let world = World::new().await;
    world.service("git").await;
    let admin = administrator(&world).await;
    let gate = world.verifier("gate", "git").await;
    let body = json!({ "services": ["git"], "scopes": ["repo:*", "push"], "expires_at": null });
    let (token, secret) = world.pat("root", body).await;
    world.authority.flush_notes().await.unwrap();
    let asks = async |scope: &str| {
        let asked = json!({ "token": secret, "scopes": [scope] });
        world.call(&gate, "POST", &format!("{R}/verify"), asked).await.expect(200)
    };
    let path = format!("/tokens/{token}");
    let title = "Granted but not used";
    assert!(!admin.get(&path).await.expect(200).text.contains(title));
    world.clock.advance_seconds(100 * 86_400);
    asks("repo:read").await;
    admin.sign_in("root").await.expect(303);
    let digest = async || {
        let page = admin.get(&path).await.expect(200).text;
        let found = page.split_once("name=\"digest\" value=\"").map(|(_, rest)| rest.to_owned());
        let found = found.and_then(|rest| Some(rest.split_once('"')?.0.to_owned()));
        (page, found)
    };
    let (page, shown) = digest().await;
    let shown = shown.unwrap();
    for said in [title, "<code>push</code>", "<code>repo:*</code>", "repo:read"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    // Who may look and not edit sees it without the button.
    let auditor = person(&world, &admin, "dave").await;
    let grant = json!({ "subject": { "user": "dave" }, "role": "auditor" });
    world.post(&format!("{R}/grants"), grant).await.expect(201);
    let page = auditor.get(&path).await.expect(200).text;
    assert!(page.contains(title) && !page.contains("name=\"digest\""), "{page}");
    asks("push").await;
    let fields = [("digest", shown.as_str())];
    let stale = admin.act(&format!("{path}/fit"), &fields).await;
    assert!(stale.status >= 400, "{}", stale.status);
    let shown = digest().await.1.unwrap();
    admin.act(&format!("{path}/fit"), &[("digest", shown.as_str())]).await.expect(303);
    let now = world.get(&format!("{R}/tokens/{token}")).await.expect(200);
    assert_eq!(now["scopes"], json!(["repo:read", "push"]));
    assert_eq!(digest().await.1, None);
}

#[tokio::test]
async fn uses_of_a_limited_token_are_noted_too() {
    let world = World::new().await;
    world.service("git").await;
    world.user("alice").await;
    let body = json!({ "services": ["git"], "max_usages": 2 });
    let (token, secret) = world.pat("alice", body).await;
    let gate = world.verifier("gate", "git").await;
    for active in [true, true, false] {
        let asked = json!({ "token": secret });
        let verdict = world.call(&gate, "POST", &format!("{R}/verify"), asked).await.expect(200);
        assert_eq!(verdict["active"], active);
    }
    world.authority.flush_usage().await.unwrap();
    let usage = world.get(&format!("{R}/tokens/{token}/usage")).await.expect(200);
    assert_eq!(usage["days"][0]["uses"], 2, "{usage}");
}

#[tokio::test]
async fn activity_is_told_in_words_and_page_by_page() {
    let world = World::new().await;
    world.service("git").await;
    let admin = administrator(&world).await;
    let (token, _) = world.pat("root", json!({ "services": ["git"] })).await;
    let path = format!("/tokens/{token}");
    for _ in 0..12 {
        for act in ["disable", "enable"] {
            world.clock.advance_seconds(1);
            admin.act(&format!("{path}/switch"), &[("act", act)]).await.expect(303);
        }
    }
    let first = admin.get(&path).await.expect(200).text;
    assert_eq!(first.matches("Switched o").count(), 20, "{first}");
    let older = first.split("?after=").nth(1).unwrap().split('#').next().unwrap();
    let second = admin.get(&format!("{path}?after={older}")).await.expect(200).text;
    assert_eq!(second.matches("Switched o").count(), 4, "{second}");
    assert!(second.contains("Made") && !second.contains("Older activity"), "{second}");
}

#[tokio::test]
async fn a_locked_token_is_unlocked_by_an_administrator_alone() {
    let world = World::new().await;
    world.service("git").await;
    let admin = administrator(&world).await;
    let alice = person(&world, &admin, "alice").await;
    let (token, _) = world.pat("alice", json!({ "services": ["git"] })).await;
    let switch = format!("/tokens/{token}/switch");
    alice.act(&switch, &[("act", "lock")]).await.expect(303);
    let page = alice.get(&format!("/tokens/{token}")).await.expect(200).text;
    assert!(!page.contains("value=\"unlock\""), "{page}");
    alice.act(&switch, &[("act", "unlock")]).await.expect(403);
    let page = admin.get(&format!("/tokens/{token}")).await.expect(200).text;
    assert!(page.contains("value=\"unlock\"") && page.contains("alice"), "{page}");
    admin.act(&switch, &[("act", "unlock")]).await.expect(303);
    assert_eq!(world.get(&format!("{R}/tokens/{token}")).await.expect(200)["state"], "active");
}

#[tokio::test]
async fn a_device_is_read_confirmed_and_removed() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    let alice = person(&world, &admin, "alice").await;
    let list = alice.get("/devices").await.expect(200);
    assert!(list.text.contains("You have no device yet"), "{}", list.text);
    let (mark, once) = (list.field("mark"), list.field("once"));
    let fields = [("mark", &*mark), ("once", &*once), ("name", "phone"), ("method", "totp")];
    let shown = alice.post("/devices", &fields).await.expect(200);
    let seed = shown.value_of("seed");
    assert!(shown.text.contains("<svg class=\"qr\""), "{}", shown.text);
    // A reload shows the same one, and makes no other.
    assert_eq!(alice.post("/devices", &fields).await.expect(200).value_of("seed"), seed);
    let tokens = world.get(&format!("{R}/tokens?user=alice")).await.expect(200);
    let [token] = tokens["items"].as_array().unwrap().as_slice() else { panic!("{tokens}") };
    let id = token["id"].as_str().unwrap();
    assert!(!alice.get("/").await.expect(200).text.contains(id), "it is no token to paste");
    let path = format!("/devices/{id}");
    let wrong = [("code", "12")];
    let refused = alice.act(&format!("{path}/confirm"), &wrong).await.expect(422);
    assert!(refused.text.contains("not a code of it now"), "{}", refused.text);
    assert!(alice.get("/devices").await.expect(200).text.contains("not yet confirmed"));
    let seed = SharedSeed::new(BASE32_NOPAD.decode(seed.as_bytes()).unwrap()).unwrap();
    let step = world.authority.now().micros() / 30_000_000;
    let code = oath::code(&seed, Shape::default(), step);
    // As an authenticator shows it.
    let spaced = format!("{} {}", &code[..3], &code[3..]);
    let confirm = format!("{path}/confirm");
    alice.act(&confirm, &[("code", &spaced)]).await.expect(303);
    alice.act(&confirm, &[("code", &code)]).await.expect(422);
    let page = alice.get(&path).await.expect(200).text;
    assert!(!page.contains("name=\"code\"") && page.contains("Authenticator app"), "{page}");
    admin.get(&path).await.expect(200);
    alice.act(&format!("{path}/remove"), &[]).await.expect(303);
    assert!(alice.get("/devices").await.expect(200).text.contains("You have no device yet"));
    assert_eq!(world.get(&format!("{R}/tokens/{id}")).await.expect(200)["state"], "revoked");
}

#[tokio::test]
async fn a_sheet_of_codes_is_shown_once() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    let once = admin.get("/devices").await.expect(200).field("once");
    let fields = [("once", once.as_str()), ("name", "sheet"), ("method", "backup")];
    let shown = admin.act("/devices", &fields).await.expect(200);
    assert_eq!(shown.text.matches("<li><code>").count(), 10, "{}", shown.text);
    let list = admin.get("/devices").await.expect(200).text;
    assert!(list.contains("10 codes left") && !list.contains("<li><code>"), "{list}");
    let fields = [("once", once.as_str()), ("name", "x"), ("method", "yubikey")];
    admin.act("/devices", &fields).await.expect(422);
    // A token of another sort has no page here.
    world.service("git").await;
    let (token, _) = world.pat("root", json!({ "services": ["git"] })).await;
    admin.get(&format!("/devices/{token}")).await.expect(404);
}

#[tokio::test]
async fn what_waits_is_approved_or_denied_by_those_who_look_after_it() {
    let world = World::new().await;
    for label in ["vpn", "lab"] {
        service(&world, json!({ "label": label, "token_policy": { "approval": true } })).await;
    }
    let admin = administrator(&world).await;
    let alice = person(&world, &admin, "alice").await;
    let carol = person(&world, &admin, "carol").await;
    let grant =
        json!({ "subject": { "user": "carol" }, "role": "service-manager", "service": "lab" });
    world.post(&format!("{R}/grants"), grant).await.expect(201);
    made(&alice, "vpn", "tunnel").await;
    let page = made(&alice, "lab", "bench").await;
    assert!(page.text.contains("once an administrator has approved it"), "{}", page.text);
    let home = alice.get("/").await.expect(200).text;
    assert!(home.contains("To look after") && home.contains("waits until"), "{home}");
    assert!(!home.contains("href=\"/approvals\""), "{home}");
    alice.get("/approvals").await.expect(403);
    // Whoever manages one service decides about that one.
    let theirs = carol.get("/approvals").await.expect(200).text;
    assert!(theirs.contains("bench") && !theirs.contains("tunnel"), "{theirs}");
    let all = admin.get("/approvals").await.expect(200).text;
    assert!(all.contains("bench") && all.contains("tunnel") && all.contains("for alice"), "{all}");
    let tokens = world.get(&format!("{R}/tokens?user=alice")).await.expect(200);
    let id = |name: &str| {
        let items = tokens["items"].as_array().unwrap();
        let found = items.iter().find(|token| token["name"] == name).unwrap();
        found["id"].as_str().unwrap().to_owned()
    };
    let (bench, tunnel) = (id("bench"), id("tunnel"));
    let decide = async |browser: &Browser, id: &str, act: &str| {
        browser.act(&format!("/approvals/{id}"), &[("act", act)]).await.status
    };
    assert_eq!(decide(&alice, &bench, "approve").await, 403);
    assert_eq!(decide(&carol, &tunnel, "approve").await, 404);
    assert_eq!(decide(&carol, &bench, "maybe").await, 422);
    assert_eq!(decide(&carol, &bench, "approve").await, 303);
    assert_eq!(decide(&admin, &tunnel, "deny").await, 303);
    let state = async |id: &str| {
        world.get(&format!("{R}/tokens/{id}")).await.expect(200)["state"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!((state(&bench).await, state(&tunnel).await), ("active".into(), "revoked".into()));
    assert!(admin.get("/approvals").await.expect(200).text.contains("Nothing waits for you"));
}

#[tokio::test]
async fn a_token_that_ends_soon_is_pointed_at() {
    let world = World::new().await;
    world.service("git").await;
    let admin = administrator(&world).await;
    world.pat("root", json!({ "services": ["git"], "name": "long" })).await;
    let quiet = admin.get("/").await.expect(200).text;
    assert!(!quiet.contains("To look after"), "{quiet}");
    let soon = json!({ "services": ["git"], "name": "short", "lifetime_seconds": 864_000 });
    world.pat("root", soon).await;
    let home = admin.get("/").await.expect(200).text;
    let notices =
        home.split("class=\"notices\"").nth(1).unwrap().split("</section>").next().unwrap();
    assert!(notices.contains("short") && notices.contains("in 10 days"), "{notices}");
    assert!(notices.contains("/services/git/new") && !notices.contains("long"), "{notices}");
}

#[tokio::test]
async fn an_end_is_seen_on_the_pages_of_the_owner_and_of_the_service() {
    const DAY: i64 = 86_400;
    let world = World::new().await;
    world.service("git").await;
    let admin = administrator(&world).await;
    for days in [1, 29, 31] {
        let name = format!("of {days} days");
        let seconds = days * DAY;
        let body = json!({ "services": ["git"], "name": name, "lifetime_seconds": seconds });
        world.pat("root", body).await;
    }
    let among = |text: &str| [1, 29, 31].map(|days| text.contains(&format!("of {days} days")));
    let home = async |browser: &Browser| {
        let page = browser.get("/").await.expect(200).text;
        let part = page.split("id=\"notices\"").nth(1).unwrap_or_default();
        part.split("</section>").next().unwrap_or_default().to_owned()
    };
    assert_eq!(among(&home(&admin).await), [true, true, false]);
    let service = admin.get("/admin/services/git").await.expect(200).text;
    let table = service.split("End within 30 days").nth(1).unwrap();
    assert_eq!(among(table.split("</table>").next().unwrap()), [true, true, false]);
    // On the day itself it is still pointed at, and a day later no more.
    let again = async |seconds: i64| {
        world.clock.advance_seconds(seconds);
        let browser = Browser::at(&world);
        browser.sign_in("root").await.expect(303);
        home(&browser).await
    };
    let part = again(DAY + 3_600).await;
    assert!(part.contains("of 1 days") && part.contains("has ended"), "{part}");
    let part = again(DAY).await;
    assert_eq!(among(&part), [false, true, true]);
}

#[tokio::test]
async fn the_first_service_is_made_where_there_is_none() {
    let world = World::new().await;
    let admin = administrator(&world).await;
    let empty = admin.get("/").await.expect(200).text;
    assert!(empty.contains("Your first service"), "{empty}");
    let bob = person(&world, &admin, "bob").await;
    assert!(!bob.get("/").await.expect(200).text.contains("Your first service"));
    for name in ["", "!!"] {
        admin.act("/services", &[("name", name)]).await.expect(422);
    }
    let made = admin.act("/services", &[("name", "Git hosting")]).await.expect(303);
    assert_eq!(made.header("location"), "/services/git-hosting");
    admin.act("/services", &[("name", "git hosting")]).await.expect(409);
    let home = admin.get("/").await.expect(200).text;
    assert!(home.contains("Git hosting") && !home.contains("Your first service"), "{home}");
}

#[tokio::test]
async fn a_token_is_bound_to_the_networks_that_were_typed() {
    let world = World::new().await;
    world.service("git").await;
    let admin = administrator(&world).await;
    let once = admin.get("/services/git/new").await.expect(200).field("once");
    let with = |networks: &'static str| {
        [
            ("once", once.clone()),
            ("name", "x".to_owned()),
            ("kind", "service_token".to_owned()),
            ("networks", networks.to_owned()),
        ]
    };
    let send = async |networks: &'static str| {
        let fields = with(networks);
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        admin.act("/services/git/new", &fields).await
    };
    send("here").await.expect(422);
    send("192.0.2.0/24, 2001:db8::1").await.expect(200);
    let tokens = world.get(&format!("{R}/tokens?user=root&service=git")).await.expect(200);
    assert_eq!(tokens["items"][0]["networks"], json!(["192.0.2.0/24", "2001:db8::1/128"]));
}

#[tokio::test]
async fn a_person_joins_and_leaves_where_the_group_is_open() {
    let world = World::new().await;
    for (name, open) in [("chess", true), ("board", false)] {
        let group = json!({ "name": name, "open": open });
        world.post(&format!("{R}/groups"), group).await.expect(201);
        service(&world, json!({ "label": name, "group": name })).await;
    }
    world.service("git").await;
    let admin = administrator(&world).await;
    let alice = person(&world, &admin, "alice").await;
    let home = alice.get("/").await.expect(200).text;
    assert!(home.contains("/services/chess/membership") && home.contains(">Join<"), "{home}");
    assert!(!home.contains("/services/board/membership"), "{home}");
    let act = async |label: &str, act: &str| {
        alice.act(&format!("/services/{label}/membership"), &[("act", act)]).await.status
    };
    let members = async |group: &str| {
        let listed = world.get(&format!("{R}/groups/{group}/members")).await.expect(200);
        listed["items"].as_array().unwrap().len()
    };
    assert_eq!(act("chess", "join").await, 303);
    assert_eq!(members("chess").await, 1);
    let home = alice.get("/").await.expect(200).text;
    assert!(home.contains(">Leave<") && home.contains("of which you are one"), "{home}");
    made(&alice, "chess", "board").await;
    assert_eq!(act("chess", "leave").await, 303);
    assert_eq!(members("chess").await, 0);
    for (label, what, status) in
        [("board", "join", 403), ("git", "join", 403), ("none", "join", 404), ("chess", "x", 422)]
    {
        assert_eq!(act(label, what).await, status, "{label} {what}");
    }
    assert_eq!(members("board").await, 0);
    // Whoever joins an open group must not get roles by it.
    let grant = json!({ "subject": { "group": "chess" }, "role": "realm-admin" });
    world.post(&format!("{R}/grants"), grant).await.refused(422, "invalid");
}
