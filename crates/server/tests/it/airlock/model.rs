//! A1, A2, A4, A5 and A6: which attributes are shown, who holds how many, and what stays so.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use counterfoil_authority::repository::Attribute;
use counterfoil_server::http::HttpSettings;
use serde_json::{Value, json};

use super::world::{ask, ask_with, attributes, create, events, refused, tokens, verify};
use crate::world::{Engine, World};

/// A repository that shows every attribute under another name, and one that shows none.
fn everything() -> String {
    let mut text = String::from(
        "[repository.bare]\nkind = \"token\"\nmax_tokens_per_user = 1000\n\
         [repository.full]\nkind = \"token\"\nmax_tokens_per_user = 1000\n",
    );
    for attribute in Attribute::all() {
        let name = attribute.name();
        let filterable = !matches!(attribute, Attribute::Data | Attribute::Encoding);
        writeln!(text, "[repository.full.attributes.{name}]").unwrap();
        writeln!(text, "name = \"x_{name}\"\nfilterable = {filterable}").unwrap();
    }
    text
}

#[tokio::test]
async fn a1_each_attribute_is_shown_only_where_it_is_mapped_and_six_cannot_be_written() {
    for engine in Engine::ALL {
        let world = World::on_with(engine, &everything()).await;
        world.user("alice").await;
        let bare = create(&world, "alice", "bare", json!({})).await;
        assert_eq!(bare["data"]["attributes"], json!({}));
        let written = json!({
            "x_serialId": "A-17", "x_trackingId": "order 9", "x_data": "payload",
            "x_encoding": "STRING", "x_validTo": "2027-01-01", "x_maxUsages": 7,
            "x_validFrom": "2026-12-01T00:00:00Z", "x_deliveryDate": "2026-11-20",
            "x_genericDataElement1": "one", "x_genericDataElement12": "twelve",
        });
        let made = create(&world, "alice", "full", written.clone()).await;
        let shown = made["data"]["attributes"].as_object().unwrap();
        let names: BTreeSet<String> = shown.keys().cloned().collect();
        let wanted = Attribute::all().map(|one| format!("x_{}", one.name())).collect();
        assert_eq!(names, wanted);
        assert_eq!(shown["x_validTo"], "2027-01-02T00:00:00.000Z", "the end of that day");
        assert_eq!(shown["x_validFrom"], "2026-12-01T00:00:00.000Z");
        assert_eq!((&shown["x_data"], &shown["x_maxUsages"]), (&json!("payload"), &json!(7)));
        assert_eq!((&shown["x_enabled"], &shown["x_totalUsages"]), (&json!(true), &json!(0)));
        let id = made["data"]["id"].as_str().unwrap();
        let one = format!("{}/{id}", tokens("alice", "full"));
        let again = ask(&world, "GET", &one, Value::Null).await.expect(200);
        assert_eq!(again["data"], made["data"]);
        assert!(made["meta"]["secret"].is_null(), "what came with a payload needs no secret");

        let before = ask(&world, "GET", &one, Value::Null).await.expect(200);
        for attribute in Attribute::all().filter(|one| one.is_read_only()) {
            let name = format!("x_{}", attribute.name());
            let write = attributes(json!({ "x_trackingId": "other", (name.as_str()): null }));
            refused(&ask(&world, "PATCH", &one, write.clone()).await, 422, "ATTRIBUTE_READ_ONLY");
            let all = tokens("alice", "full");
            refused(&ask(&world, "POST", &all, write).await, 422, "ATTRIBUTE_READ_ONLY");
        }
        for name in ["serialId", "nonsense", "enabled"] {
            let write = attributes(json!({ (name): "x" }));
            refused(&ask(&world, "PATCH", &one, write).await, 422, "ATTRIBUTE_UNKNOWN");
        }
        for (name, value) in [
            ("x_serialId", json!("")),
            ("x_serialId", json!(5)),
            ("x_validTo", json!("2027-01-01T00:00:00")),
            ("x_encoding", json!("TEXT")),
            ("x_maxUsages", json!(0)),
        ] {
            let write = attributes(json!({ (name): value }));
            refused(&ask(&world, "PATCH", &one, write).await, 422, "ATTRIBUTE_INVALID");
        }
        let inverted = json!({ "x_validFrom": "2027-02-01", "x_validTo": "2027-01-01" });
        let refusal = ask(&world, "PATCH", &one, attributes(inverted)).await;
        refused(&refusal, 422, "VALIDITY_INVERTED");
        let ends = attributes(json!({ "x_validTo": "2026-11-25" }));
        refused(&ask(&world, "PATCH", &one, ends).await, 422, "VALIDITY_INVERTED");
        let after = ask(&world, "GET", &one, Value::Null).await.expect(200);
        assert_eq!(after["data"], before["data"], "a refused write stores nothing");
        let cleared = attributes(json!({ "x_serialId": null, "x_genericDataElement1": null }));
        let cleared = ask(&world, "PATCH", &one, cleared).await.expect(200);
        assert_eq!(cleared["data"]["attributes"]["x_serialId"], Value::Null);
        assert_eq!(cleared["data"]["attributes"]["x_genericDataElement12"], "twelve");
    }
}

#[tokio::test]
async fn a2_without_its_mapping_an_attribute_is_gone_everywhere_and_the_data_is_kept() {
    let narrow = "[repository.full]\nkind = \"token\"\n[repository.full.attributes]\n\
                  serialId = {}\n";
    for engine in Engine::ALL {
        let world = World::on_with(engine, &everything()).await;
        world.user("alice").await;
        let said = json!({ "x_genericDataElement3": "red", "x_trackingId": "T" });
        let made = create(&world, "alice", "full", said).await;
        let all = tokens("alice", "full");
        let by = format!("{all}?filter[x_genericDataElement3]=red&sort=-x_latestUsageDate,id");
        let found = ask(&world, "GET", &by, Value::Null).await.expect(200);
        assert_eq!(found["data"].as_array().unwrap().len(), 1);
        let none = format!("{all}?filter[x_trackingId]=other");
        assert_eq!(ask(&world, "GET", &none, Value::Null).await.expect(200)["data"], json!([]));

        let other = world.restarted_with(narrow).await;
        let listed = ask(&other, "GET", &all, Value::Null).await.expect(200);
        assert_eq!(listed["data"][0]["attributes"], json!({ "serialId": null }));
        for query in ["filter[x_trackingId]=T", "sort=x_latestUsageDate", "filter[serialId]=x"] {
            let answer = ask(&other, "GET", &format!("{all}?{query}"), Value::Null).await;
            refused(&answer, 400, "FILTER_NOT_SUPPORTED");
        }
        let back = other.restarted_with(&everything()).await;
        let listed = ask(&back, "GET", &all, Value::Null).await.expect(200);
        assert_eq!(listed["data"][0]["attributes"], made["data"]["attributes"]);
    }
}

const ONE_EACH: &str = "[repository.one]\nkind = \"token\"\nservices = [\"vpn\"]\n\
    [repository.one.attributes]\nserialId = {}\nactivationDate = {}\nenabled = {}\n\
    maxUsages = {}\nvalidTo = {}\n";

#[tokio::test]
async fn a4_of_fifty_at_the_same_time_one_creates_the_token() {
    for engine in Engine::ALL {
        let world = Arc::new(World::on_with(engine, ONE_EACH).await);
        world.service("vpn").await;
        world.user("alice").await;
        let all = tokens("alice", "one");
        let meta = |answer: Value| answer["meta"].clone();
        let before = meta(ask(&world, "GET", &all, Value::Null).await.expect(200));
        assert_eq!((&before["canCreate"], &before["maxTokens"]), (&json!(true), &json!(1)));
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let (world, all) = (Arc::clone(&world), all.clone());
                tokio::spawn(async move { ask(&world, "POST", &all, attributes(json!({}))).await })
            })
            .collect();
        let (mut made, mut said_no) = (0, 0);
        for task in tasks {
            let answer = task.await.unwrap();
            if answer.status == 201 {
                made += 1;
            } else {
                refused(&answer, 409, "TOKEN_LIMIT_REACHED");
                said_no += 1;
            }
        }
        assert_eq!((made, said_no), (1, 49));
        let after = meta(ask(&world, "GET", &all, Value::Null).await.expect(200));
        assert_eq!((&after["canCreate"], &after["total"]), (&json!(false), &json!(1)));
    }
}

#[tokio::test]
async fn a5_switching_is_idempotent_and_what_is_revoked_stays_so() {
    for engine in Engine::ALL {
        let world = World::on_with(engine, ONE_EACH).await;
        world.service("vpn").await;
        world.user("alice").await;
        let made = create(&world, "alice", "one", json!({})).await;
        let secret = made["meta"]["secret"].as_str().unwrap();
        let one = format!("{}/{}", tokens("alice", "one"), made["data"]["id"].as_str().unwrap());
        let question = json!({ "token": secret, "service": "vpn", "username": "alice" });
        let active = async || verify(&world, question.clone()).await["active"].clone();
        assert_eq!(active().await, true);
        let act =
            async |what: &str| ask(&world, "POST", &format!("{one}/{what}"), Value::Null).await;
        world.clock.advance_seconds(60);
        for (what, good) in
            [("disable", false), ("disable", false), ("enable", true), ("enable", true)]
        {
            let shown = act(what).await.expect(200)["data"]["attributes"].clone();
            assert_eq!(shown["enabled"], good);
            assert_eq!(shown["activationDate"], made["data"]["attributes"]["activationDate"]);
            assert_eq!(active().await, good);
        }
        assert_eq!(
            (events(&world, "token.disabled").await, events(&world, "token.enabled").await),
            (1, 1)
        );
        assert_eq!(act("revoke").await.expect(200)["data"]["meta"]["state"], "revoked");
        for what in ["enable", "disable"] {
            refused(&act(what).await, 409, "TOKEN_REVOKED");
        }
        let write = attributes(json!({ "serialId": "x" }));
        refused(&ask(&world, "PATCH", &one, write).await, 409, "TOKEN_REVOKED");
        assert_eq!(active().await, false);
        refused(&act("dance").await, 405, "OPERATION_NOT_SUPPORTED");
        create(&world, "alice", "one", json!({})).await;
    }
}

#[tokio::test]
async fn a6_the_same_token_at_both_doors_and_the_envelope_of_the_product() {
    for engine in Engine::ALL {
        let world = World::on_with(engine, ONE_EACH).await;
        world.service("vpn").await;
        world.user("alice").await;
        let answer = ask(&world, "POST", &tokens("alice", "one"), attributes(json!({}))).await;
        let location = answer.header("location").to_owned();
        assert_eq!(answer.header("cache-control"), "no-store");
        let made = answer.expect(201);
        assert_eq!(made["meta"]["type"], "jsonapi.metadata.document");
        let id = made["data"]["id"].as_str().unwrap();
        assert_eq!(location, format!("/auth-admin/rest{}/{id}", tokens("alice", "one")));
        let native = world.get(&format!("/api/v1/realms/main/tokens/{id}")).await.expect(200);
        assert_eq!((&native["kind"], &native["user"]), (&json!("generic"), &json!("alice")));

        let one = format!("{}/{id}", tokens("alice", "one"));
        let tag = [("if-match", "\"41\"")];
        let write = attributes(json!({ "serialId": "S" }));
        let stale = ask_with(&world, "PATCH", &one, &tag, write.clone()).await;
        refused(&stale, 409, "VERSION_CONFLICT");
        let found = ask(&world, "GET", &one, Value::Null).await;
        let tag = found.header("etag").to_owned();
        ask_with(&world, "PATCH", &one, &[("if-match", &tag)], write).await.expect(200);
        for (path, code) in [
            (tokens("nobody", "one"), "USER_NOT_FOUND"),
            (tokens("alice", "two"), "TOKEN_TYPE_NOT_FOUND"),
            (format!("{}/000000000000", tokens("alice", "one")), "TOKEN_NOT_FOUND"),
        ] {
            refused(&ask(&world, "GET", &path, Value::Null).await, 404, code);
        }
        let path = format!("/auth-admin/rest{one}");
        let nobody = world.send("GET", &path, &[], None).await;
        refused(&nobody, 401, "AUTHENTICATION_REQUIRED");
        let gate = world.verifier("gate", "vpn").await;
        refused(&world.call(&gate, "GET", &path, Value::Null).await, 403, "ACCESS_DENIED");
        let key = world.client("airlock", json!({ "roles": ["realm-admin"] })).await;
        let pair = data_encoding::BASE64.encode(format!("airlock:{key}").as_bytes());
        let basic = format!("Basic {pair}");
        world.send("GET", &path, &[("authorization", &basic)], None).await.expect(200);
        let pair = data_encoding::BASE64.encode(format!("other:{key}").as_bytes());
        let basic = format!("Basic {pair}");
        let other = world.send("GET", &path, &[("authorization", &basic)], None).await;
        refused(&other, 401, "AUTHENTICATION_REQUIRED");
    }
}

#[tokio::test]
async fn a_door_that_is_switched_off_is_not_there() {
    let settings = HttpSettings { airlock: false, ..HttpSettings::default() };
    let world = World::with(settings).await;
    let answer = ask(&world, "GET", &tokens("alice", "one"), Value::Null).await;
    assert_eq!((answer.status, &answer.body["type"]), (404, &json!("/problems/no-such-route")));
}
