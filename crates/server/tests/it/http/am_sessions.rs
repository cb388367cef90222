//! How long a session of the AM door lasts: to its end, or until nobody has used it for a while, on
//! whichever node.

use serde_json::{Value, json};

use crate::world::{Alice, Engine, World};

/// AM's own limits, in seconds.
const IDLE: i64 = 1_800;
const LONGEST: i64 = 7_200;

async fn session(world: &World) -> (Alice, String) {
    let alice = world.with_alice().await;
    let more = json!({ "roles": ["verifier"], "services": ["git"] });
    let key = world.client("policyeval", more).await;
    let login = [
        ("x-openam-username", "policyeval"),
        ("x-openam-password", key.as_str()),
        ("content-type", "application/json"),
    ];
    let made = world.send("POST", "/openam/json/authenticate", &login, None).await.expect(200);
    (alice, made["tokenId"].as_str().unwrap().to_owned())
}

async fn about(world: &World, session: &str, action: &str) -> Value {
    let path = format!("/openam/json/sessions?_action={action}&tokenId={session}");
    world.send("POST", &path, &[("content-type", "application/json")], None).await.expect(200)
}

async fn evaluated(world: &World, session: &str, alice: &Alice) -> u16 {
    let headers = [("content-type", "application/json"), ("iplanetdirectorypro", session)];
    let resource = format!("pat://alice:{}", alice.secret);
    let body = json!({ "resources": [resource], "application": "PATValidator" }).to_string();
    let path = "/openam/json/policies?_action=evaluate";
    world.send("POST", path, &headers, Some(body.into_bytes())).await.status
}

#[tokio::test]
async fn a_session_that_nobody_uses_ends_and_one_in_use_lasts_to_its_own_end() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let (alice, session) = session(&world).await;
        assert_eq!(about(&world, &session, "getMaxIdle").await, json!({ "maxidletime": 30 }));
        let resting = {
            let key = world.client("other", json!({ "roles": ["verifier"] })).await;
            let login = [("x-openam-username", "other"), ("x-openam-password", key.as_str())];
            let made = world.send("POST", "/json/authenticate", &login, None).await.expect(200);
            made["tokenId"].as_str().unwrap().to_owned()
        };
        for round in 1..4 {
            world.clock.advance_seconds(IDLE - 1);
            assert_eq!(evaluated(&world, &session, &alice).await, 200, "round {round}");
        }
        assert_eq!(about(&world, &resting, "validate").await, json!({ "valid": false }));
        assert_eq!(about(&world, &session, "isActive").await, json!({ "active": true }));
        let left = about(&world, &session, "getTimeLeft").await["maxtime"].as_i64().unwrap();
        assert_eq!(left, LONGEST - 3 * (IDLE - 1));
        world.clock.advance_seconds(10);
        assert_eq!(evaluated(&world, &session, &alice).await, 200);
        world.clock.advance_seconds(left - 11);
        assert_eq!(evaluated(&world, &session, &alice).await, 200);
        world.clock.advance_seconds(1);
        assert_eq!(evaluated(&world, &session, &alice).await, 401);
    }
}

#[tokio::test]
async fn what_counts_as_a_use_and_what_only_asks() {
    let world = World::on(Engine::Memory).await;
    let (_, session) = session(&world).await;
    let idle = async |expected: i64| {
        let said = about(&world, &session, "getIdle").await;
        assert_eq!(said, json!({ "idletime": expected }));
    };
    world.clock.advance_seconds(100);
    for action in ["getTimeLeft", "getMaxIdle", "getMaxSessionTime", "isActive", "getSessionInfo"] {
        about(&world, &session, action).await;
        idle(100).await;
    }
    let info = about(&world, &session, "getSessionInfo").await;
    assert_eq!(info["latestAccessTime"], "2026-11-21T12:00:00Z");
    assert_eq!(info["maxIdleExpirationTime"], "2026-11-21T12:30:00Z");
    assert_eq!(info["maxSessionExpirationTime"], "2026-11-21T14:00:00Z");
    for action in ["validate", "isActive&refresh=true", "getSessionInfoAndResetIdleTime"] {
        about(&world, &session, action).await;
        idle(0).await;
        world.clock.advance_seconds(100);
        idle(100).await;
    }
    let refreshed = about(&world, &session, "refresh").await;
    assert_eq!(
        refreshed,
        json!({ "uid": "policyeval", "realm": "/", "idletime": 0, "maxidletime": 30,
            "maxsessiontime": 120, "maxtime": LONGEST - 400 })
    );
    idle(0).await;
    // A question does not keep it alive.
    world.clock.advance_seconds(IDLE - 1);
    assert_eq!(about(&world, &session, "isActive").await, json!({ "active": true }));
    world.clock.advance_seconds(1);
    assert_eq!(about(&world, &session, "isActive").await, json!({ "active": false }));
    assert_eq!(about(&world, &session, "getIdle").await, json!({ "idletime": -1 }));
    assert_eq!(about(&world, &session, "logout").await, json!({ "result": "Token has expired" }));
    world.authority.flush_usage().await.unwrap();
    let events = world.get("/api/v1/realms/main/events?outcome=refused").await.expect(200);
    assert_eq!(events["items"][0]["reason"], "session_idle", "{events}");
}

/// The node that sees it next has not seen it before.
#[tokio::test]
async fn a_use_on_one_node_counts_on_the_others() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let (alice, session) = session(&world).await;
        world.clock.advance_seconds(IDLE - 1);
        assert_eq!(evaluated(&world, &session, &alice).await, 200);
        world.authority.flush_usage().await.unwrap();
        world.clock.advance_seconds(IDLE - 1);
        let other = world.restarted().await;
        assert_eq!(about(&other, &session, "getIdle").await, json!({ "idletime": IDLE - 1 }));
        assert_eq!(evaluated(&other, &session, &alice).await, 200);
        // Not told yet, and the first node asks before it refuses.
        other.authority.flush_usage().await.unwrap();
        world.clock.advance_seconds(2);
        assert_eq!(evaluated(&world, &session, &alice).await, 200);
        world.clock.advance_seconds(IDLE);
        assert_eq!(evaluated(&other, &session, &alice).await, 401);
        assert_eq!(evaluated(&world, &session, &alice).await, 401);
    }
}
