//! Sessions of the AM door: what they are worth follows from the token that they were made with.

use counterfoil_authority::authority::{AmLogin, AmUse, AuthRefusal};
use counterfoil_authority::caller::{Caller, RequestContext};
use counterfoil_authority::kind::Kind;
use counterfoil_authority::scope::{ApiScope, Scope};
use counterfoil_authority::token::Token;
use counterfoil_authority::verdict::Door;

use crate::world::{World, wish};

const USING: AmUse = AmUse { idle_seconds: 1_800, extends: true, exactly: false };

const fn context() -> RequestContext {
    RequestContext { door: Door::Am, source: None, request_id: None }
}

/// A session that alice makes with a token that is good so many times.
async fn session(world: &World, max_usages: Option<u64>) -> (Token, String, String) {
    let mut wanted = wish(Kind::PersonalAccessToken, "alice", &["counterfoil"]);
    wanted.scopes = vec![Scope::parse("tokens:read").unwrap()];
    wanted.max_usages = max_usages;
    let (token, secret) = world.issue(wanted).await;
    let login = AmLogin {
        realm: &world.realm,
        username: "alice",
        password: &secret,
        lifetime_seconds: 7_200,
        keeps_session: true,
    };
    let session = world.authority.am_login(login, context()).await.unwrap();
    (token, secret, session.secret.unwrap().reveal().to_owned())
}

async fn caller(world: &World, session: &str) -> Result<Caller, AuthRefusal> {
    world.authority.am_caller(session, USING, context()).await.map(|held| held.caller)
}

#[tokio::test]
async fn a_session_outlives_the_last_use_of_the_token_that_it_was_made_with() {
    let world = World::new().await;
    let (token, secret, session) = session(&world, Some(1)).await;
    for _ in 0..3 {
        let held = caller(&world, &session).await.unwrap();
        assert!(held.token_scopes.unwrap().contains(ApiScope::TokensRead));
    }
    let login = AmLogin {
        realm: &world.realm,
        username: "alice",
        password: &secret,
        lifetime_seconds: 7_200,
        keeps_session: true,
    };
    assert!(world.authority.am_login(login, context()).await.is_err(), "its one use is taken");
    // Whatever else ends the token ends the session.
    let act = counterfoil_authority::authority::Act::Revoke { reason: None };
    world.authority.change(&world.admin, &world.realm, token.id, act, None).await.unwrap();
    assert!(caller(&world, &session).await.is_err());
}

#[tokio::test]
async fn a_session_has_no_scope_that_its_used_up_token_has_lost() {
    let world = World::new().await;
    for max_usages in [None, Some(1)] {
        let (token, _, session) = session(&world, max_usages).await;
        let edit = counterfoil_authority::authority::TokenEdit {
            scopes: Some(vec![Scope::parse("events:read").unwrap()]),
            ..Default::default()
        };
        let (admin, realm) = (&world.admin, &world.realm);
        world.authority.edit_token(admin, realm, token.id, edit, None).await.unwrap();
        let held = caller(&world, &session).await.unwrap();
        assert!(!held.token_scopes.unwrap().contains(ApiScope::TokensRead), "{max_usages:?}");
    }
}
