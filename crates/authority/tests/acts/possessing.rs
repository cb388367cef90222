//! What holding a secret proves: at a refresh, at the token endpoint, and where it is to be ended.

use std::net::IpAddr;
use std::time::Duration;

use counterfoil_authority::authority::{
    AccessRefusal, EnrolAnswered, EnrolRequest, IssueRequest, Presented, RefreshRefusal,
};
use counterfoil_authority::caller::RequestContext;
use counterfoil_authority::enrolment::REFRESH_SECRETS_MAX;
use counterfoil_authority::enrolment::{DeviceFacts, Grant};
use counterfoil_authority::keys::{Key, KeyPurpose, KeyRing};
use counterfoil_authority::kind::Kind;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::secret::{ClearSecret, Prefix, TokenId, generate_prefixed};
use counterfoil_authority::testing::SeededEntropy;
use counterfoil_authority::verdict::Door;

use crate::enrolling::{Devices, Says};
use crate::world::{World, context, reason, wish};

fn fleet() -> IssueRequest {
    let mut request = wish(Kind::RegistrationToken, "alice", &["git"]);
    request.user = None;
    request
}

/// A string for this token that nobody made here.
fn made_up(kind: Kind, id: TokenId) -> String {
    let text = generate_prefixed(&Prefix::default(), kind, id, &SeededEntropy::new(77));
    text.unwrap().reveal().to_owned()
}

fn from_afar() -> RequestContext {
    let source = Some(IpAddr::from([192, 0, 2, 7]));
    RequestContext { source, door: Door::Oauth, ..context() }
}

impl Devices {
    /// A client that registered itself, with how it said that it authenticates.
    async fn registered(&self, secret: &str, method: &str) -> (TokenId, String) {
        let client = format!(r#"{{"token_endpoint_auth_method":"{method}"}}"#);
        let request = EnrolRequest {
            realm: &self.0.realm,
            presented: secret,
            facts: DeviceFacts { subject: method.to_owned(), ..DeviceFacts::default() },
            labels: std::collections::BTreeMap::new(),
            confirmation: None,
            scopes: None,
            client: Some(client),
            replay: None,
            context: context(),
        };
        match self.0.authority.enrol(request, &Says).await.unwrap() {
            EnrolAnswered::Fresh { token, secret, .. } => (token.id, secret.reveal().to_owned()),
            other @ EnrolAnswered::Replayed { .. } => panic!("{other:?}"),
        }
    }

    async fn authenticates(&self, id: TokenId, secret: &str) -> Result<Grant, AccessRefusal> {
        let presented = Presented { client_id: id.as_str(), secret, proved: None };
        self.0.authority.client_grant(&self.0.realm, presented, context()).await
    }

    async fn lives(&self, id: TokenId) -> bool {
        self.shown(id).await.revocation.is_none()
    }
}

#[tokio::test]
async fn a_former_secret_ends_its_family_however_often_that_was_refreshed_since() {
    let devices = Devices::new().await;
    let (_, secret) = devices.0.issue(fleet()).await;
    let (token, first) = devices.draw(&secret, "one").await;
    let mut current = first.clone();
    for _ in 0..REFRESH_SECRETS_MAX + 6 {
        devices.advance(31);
        current = devices.refresh(&current).await.unwrap();
    }
    // Whoever makes a secret up is a stranger, and ends nothing.
    let guess = made_up(Kind::AuthToken, token.id);
    let said = devices.refresh(&guess).await.unwrap_err();
    assert!(matches!(said, RefreshRefusal::Denied), "{said:?}");
    assert!(devices.lives(token.id).await);
    let said = devices.refresh(&first).await.unwrap_err();
    assert!(matches!(said, RefreshRefusal::Reused), "{said:?}");
    assert!(!devices.lives(token.id).await);
    assert!(devices.refresh(&current).await.is_err());
}

#[tokio::test]
async fn a_client_authenticates_with_its_current_secret_and_reuse_of_a_former_one_ends_it() {
    let devices = Devices::new().await;
    let (_, secret) = devices.0.issue(fleet()).await;
    for rotations in [1, REFRESH_SECRETS_MAX + 6] {
        let (id, first) = devices.registered(&secret, "client_secret_basic").await;
        devices.authenticates(id, &first).await.unwrap();
        let mut current = first.clone();
        for _ in 0..rotations {
            devices.advance(31);
            current = devices.refresh(&current).await.unwrap();
        }
        devices.advance(31);
        devices.authenticates(id, &current).await.unwrap();
        let successor = devices.refresh(&current).await.unwrap();
        // Inside the grace it leads to its successor, and is no credential any more.
        let said = devices.authenticates(id, &current).await.unwrap_err();
        assert!(matches!(said, AccessRefusal::Token { guessed: false }), "{said:?}");
        assert!(devices.lives(id).await);
        devices.authenticates(id, &successor).await.unwrap();
        let said = devices.authenticates(id, &made_up(Kind::AuthToken, id)).await.unwrap_err();
        assert!(matches!(said, AccessRefusal::Token { guessed: true }), "{said:?}");
        assert!(devices.lives(id).await);
        assert!(devices.authenticates(id, &first).await.is_err());
        assert!(!devices.lives(id).await, "after {rotations} rotations");
    }
}

#[tokio::test]
async fn a_public_client_gets_nothing_for_its_secret_without_exchanging_it() {
    let devices = Devices::new().await;
    let (_, secret) = devices.0.issue(fleet()).await;
    let (id, public) = devices.registered(&secret, "none").await;
    let (token, device) = devices.draw(&secret, "device").await;
    for (id, secret) in [(id, &public), (token.id, &device)] {
        let said = devices.authenticates(id, secret).await.unwrap_err();
        assert!(matches!(said, AccessRefusal::PublicClient), "{said:?}");
        devices.refresh(secret).await.unwrap();
    }
}

#[tokio::test]
async fn whoever_holds_a_grouped_token_may_end_it_at_the_oauth_door() {
    let world = World::new().await;
    let (token, secret) = world.issue(wish(Kind::ServiceToken, "alice", &["git"])).await;
    let typed = ClearSecret::new(secret.to_ascii_uppercase().replace('-', ""));
    let typed = std::slice::from_ref(&typed);
    assert!(!world.authority.revoke_by_possession(typed, from_afar()).await.unwrap());
    assert!(world.stored(&token).await.revocation.is_none(), "it has no id in it");
    let end = || world.authority.revoke_presented(&world.realm, &typed[0], from_afar());
    assert!(!end().await.unwrap());
    let ended = world.stored(&token).await.revocation.unwrap();
    assert_eq!(ended.reason.as_deref(), Some("revoked by possession"));
    assert!(!end().await.unwrap(), "the secret is right, whatever became of the token");
    assert!(reason(&world.verify(&secret, None, "git").await).is_some());
}

#[tokio::test]
async fn guesses_at_revocation_are_failed_attempts_and_right_secrets_are_none() {
    let world = World::new().await;
    let id = TokenId::generate(world.authority.entropy()).unwrap();
    let guesses = [
        made_up(Kind::PersonalAccessToken, id),
        made_up(Kind::AccessToken, id),
        "0000-0000-0000-0000-0000-0000".to_owned(),
    ];
    let delay = || world.authority.refusal_delay(from_afar().source, None, None);
    let end = async |text: &str| {
        let secret = ClearSecret::new(text.to_owned());
        world.authority.revoke_presented(&world.realm, &secret, from_afar()).await.unwrap()
    };
    for _ in 0..100 {
        let (_, secret) = world.issue(wish(Kind::PersonalAccessToken, "alice", &["git"])).await;
        assert!(!end(&secret).await);
        assert!(!end("no secret of anybody").await);
    }
    assert_eq!(delay(), Duration::ZERO);
    for _ in 0..40 {
        for guess in &guesses {
            assert!(end(guess).await);
        }
    }
    assert!(delay() > Duration::ZERO);
}

#[tokio::test]
async fn under_a_pepper_that_is_not_here_nothing_is_denied_at_enrolment_refresh_and_revocation() {
    let devices = Devices::new().await;
    let world = &devices.0;
    let poor = world.authority.keys();
    let mut peppers = poor.keys(KeyPurpose::Pepper).to_vec();
    peppers.push(Key::generate(2, world.authority.entropy()).unwrap());
    let rich = KeyRing::new(peppers, poor.keys(KeyPurpose::Seal).to_vec()).unwrap();
    world.authority.set_keys(rich.clone());
    let mut request = fleet();
    request.sentinel.stamp = Some(r#"{"access_token":"opaque"}"#.to_owned());
    let (_, secret) = world.issue(request).await;
    let (_, refresh) = devices.draw(&secret, "one").await;
    let grant = devices.refresh_with(&refresh, None).await.unwrap().grant;
    let access = world.authority.grant_access(&grant, world.authority.now()).await.unwrap();
    world.authority.set_keys(KeyRing::clone(&poor).with_lacking(vec![(KeyPurpose::Pepper, 2)]));
    let drawn = devices.draw_with(&secret, "two", None, None).await;
    let other = counterfoil_authority::authority::EnrolRefusal::Other;
    assert!(matches!(drawn, Err(refusal) if refusal.to_string() == other(down()).to_string()));
    let said = devices.refresh_with(&refresh, None).await;
    assert!(matches!(said, Err(RefreshRefusal::Other(Refusal::Unavailable(_)))), "{said:?}");
    for secret in [access.secret.reveal(), &refresh] {
        let secret = ClearSecret::new(secret.to_owned());
        let ended = world.authority.revoke_presented(&world.realm, &secret, context()).await;
        assert!(matches!(ended, Err(Refusal::Unavailable(_))), "{ended:?}");
    }
    world.authority.set_keys(rich);
    devices.draw(&secret, "two").await;
}

fn down() -> Refusal {
    counterfoil_authority::store::Unavailable::new(std::io::Error::other("down")).into()
}
