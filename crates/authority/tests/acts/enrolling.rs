//! Drawing, refreshing and waiting, under a frozen clock. Tests are named by their numbers in the
//! reference on Sentinel EMS.

use std::sync::Arc;

use async_trait::async_trait;
use counterfoil_authority::authority::{
    Act, Drawn, EnrolAnswer, EnrolAnswered, EnrolRefusal, EnrolRequest, Expiry, IssueRequest,
    RefreshRefusal, RefreshRequest, Refreshment, RenderEnrolment,
};
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::enrolment::{Confirmation, DeviceFacts};
use counterfoil_authority::kind::Kind;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{EventFilter, PageRequest};
use counterfoil_authority::token::{State, Token};

use crate::world::{World, context, wish};

/// A door that says whose auth token it is.
pub(crate) struct Says;

#[async_trait]
impl EnrolAnswer for Says {
    async fn prepare(&self, drawn: &Drawn) -> Result<RenderEnrolment, Refusal> {
        let secret = drawn.secret.reveal().to_owned();
        Ok(Arc::new(move |token: &Token, counts| {
            format!("{} {} {secret}", token.id, counts.used).into_bytes()
        }))
    }
}

fn registration(count: u64, stamp: &str) -> IssueRequest {
    let mut request = wish(Kind::RegistrationToken, "alice", &["git"]);
    request.user = None;
    request.sentinel.count = Some(count);
    request.sentinel.stamp = Some(stamp.to_owned());
    request
}

fn facts(name: &str) -> DeviceFacts {
    DeviceFacts { subject: name.to_owned(), ..DeviceFacts::default() }
}

pub(crate) struct Devices(pub(crate) World);

impl Devices {
    pub(crate) async fn new() -> Self {
        Self(World::new().await)
    }

    pub(crate) async fn draw_with(
        &self,
        secret: &str,
        name: &str,
        confirmation: Option<Confirmation>,
        key: Option<&str>,
    ) -> Result<EnrolAnswered, EnrolRefusal> {
        let request = EnrolRequest {
            realm: &self.0.realm,
            presented: secret,
            facts: facts(name),
            labels: std::collections::BTreeMap::new(),
            confirmation,
            scopes: None,
            client: None,
            replay: key.map(|key| (key.to_owned(), [7; 32])),
            context: context(),
        };
        self.0.authority.enrol(request, &Says).await
    }

    pub(crate) async fn draw(&self, secret: &str, name: &str) -> (Token, String) {
        match self.draw_with(secret, name, None, None).await.unwrap() {
            EnrolAnswered::Fresh { token, secret, .. } => (*token, secret.reveal().to_owned()),
            other @ EnrolAnswered::Replayed { .. } => panic!("{other:?}"),
        }
    }

    async fn refusal(&self, secret: &str) -> State {
        match self.draw_with(secret, "late", None, None).await.unwrap_err() {
            EnrolRefusal::State(state) => state,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn refresh_with(
        &self,
        secret: &str,
        confirmation: Option<Confirmation>,
    ) -> Result<Refreshment, RefreshRefusal> {
        let realm = &self.0.realm;
        let (scopes, context) = (None, context());
        let request = RefreshRequest { realm, presented: secret, confirmation, scopes, context };
        self.0.authority.refresh(request).await
    }

    pub(crate) async fn refresh(&self, secret: &str) -> Result<String, RefreshRefusal> {
        let refreshed = self.refresh_with(secret, None).await?;
        Ok(refreshed.secret.reveal().to_owned())
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.0.clock.advance_seconds(seconds);
    }

    pub(crate) async fn shown(&self, id: TokenId) -> Token {
        self.0.store.token_find(&self.0.realm, id).await.unwrap().unwrap()
    }

    async fn told(&self, kind: &str) -> usize {
        self.0.authority.flush_usage().await.unwrap();
        let filter = EventFilter { kind: Some(kind.to_owned()), ..EventFilter::default() };
        let page = PageRequest::first(1_000);
        self.0.store.event_list(&self.0.realm, filter, page).await.unwrap().items.len()
    }
}

#[tokio::test]
async fn a6_a_token_is_drawn_from_until_its_last_microsecond_and_never_after() {
    let devices = Devices::new().await;
    let mut request = registration(9, "{}");
    let end = devices.0.authority.now().plus_seconds(100);
    request.expires = Expiry::At(end);
    let (_, secret) = devices.0.issue(request).await;
    devices.0.clock.set(Timestamp::from_micros(end.micros() - 1));
    devices.draw(&secret, "one").await;
    devices.0.clock.set(end);
    assert_eq!(devices.refusal(&secret).await, State::Expired);
}

#[tokio::test]
async fn a15_a_key_is_forgotten_after_a_day_and_opens_for_its_own_secret_only() {
    let devices = Devices::new().await;
    let (token, secret) = devices.0.issue(registration(9, "{}")).await;
    let draw = || devices.draw_with(&secret, "one", None, Some("key"));
    let first = draw().await.unwrap().into_body();
    devices.advance(86_399);
    assert_eq!(draw().await.unwrap().into_body(), first);
    assert_eq!(devices.shown(token.id).await.used, 1);
    devices.advance(1);
    assert_ne!(draw().await.unwrap().into_body(), first);
    assert_eq!(devices.shown(token.id).await.used, 2);
    // Whoever presents another secret of the same token cannot have what was given for this one.
    let world = &devices.0;
    let rotated = world.authority.rotate(&world.admin, &world.realm, token.id, None, None, None);
    let (_, next) = crate::world::fresh(rotated.await.unwrap());
    let said = devices.draw_with(&next, "one", None, Some("key")).await.unwrap_err();
    assert!(matches!(said, EnrolRefusal::Other(Refusal::KeyReused)), "{said:?}");
}

#[tokio::test]
async fn a19_an_expired_token_draws_nothing_and_what_was_drawn_still_refreshes() {
    let devices = Devices::new().await;
    let (_, secret) = devices.0.issue(registration(9, "{}")).await;
    let (child, refresh) = devices.draw(&secret, "one").await;
    devices.advance(31 * 86_400);
    assert_eq!(devices.refusal(&secret).await, State::Expired);
    devices.refresh(&refresh).await.unwrap();
    assert_eq!(devices.shown(child.id).await.revocation, None);
}

#[tokio::test]
async fn a20_the_end_is_told_of_once_72_hours_before_it() {
    let devices = Devices::new().await;
    devices.0.issue(registration(9, "{}")).await;
    let step = || devices.0.authority.enrolment_due();
    devices.advance(27 * 86_400 - 1);
    step().await.unwrap();
    assert_eq!(devices.told("token.ends-soon").await, 0);
    devices.advance(1);
    step().await.unwrap();
    step().await.unwrap();
    assert_eq!(devices.told("token.ends-soon").await, 1);
}

#[tokio::test]
async fn a21_a_retry_in_30_seconds_gets_the_same_successor_and_one_at_31_ends_the_family() {
    let devices = Devices::new().await;
    let (_, secret) = devices.0.issue(registration(9, "{}")).await;
    let (child, first) = devices.draw(&secret, "one").await;
    let (sibling, other) = devices.draw(&secret, "two").await;
    let second = devices.refresh(&first).await.unwrap();
    assert_ne!(second, first);
    devices.advance(29);
    let again = devices.refresh_with(&first, None).await.unwrap();
    assert!(again.again);
    assert_eq!(again.secret.reveal(), second);
    // The winner goes on meanwhile, and the retry still leads to what it was given.
    let third = devices.refresh(&second).await.unwrap();
    assert_eq!(devices.refresh(&first).await.unwrap(), second);
    devices.advance(2);
    assert!(matches!(devices.refresh(&first).await, Err(RefreshRefusal::Reused)));
    let said = devices.refresh(&third).await.unwrap_err();
    assert!(matches!(said, RefreshRefusal::State(State::Revoked)), "{said:?}");
    assert_eq!(devices.told("token.refresh-reused").await, 1);
    assert!(devices.shown(child.id).await.revocation.is_some());
    devices.refresh(&other).await.unwrap();
    assert_eq!(devices.shown(sibling.id).await.revocation, None);
}

#[tokio::test]
async fn a22_twenty_parallel_refreshes_have_one_successor() {
    let devices = Arc::new(Devices::new().await);
    let (_, secret) = devices.0.issue(registration(9, "{}")).await;
    let (child, first) = devices.draw(&secret, "one").await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (devices, first) = (Arc::clone(&devices), first.clone());
        tasks.spawn(async move { devices.refresh(&first).await.unwrap() });
    }
    let successors: std::collections::BTreeSet<String> =
        tasks.join_all().await.into_iter().collect();
    assert_eq!(successors.len(), 1);
    assert_eq!(devices.shown(child.id).await.revocation, None);
}

#[tokio::test]
async fn a23_an_ended_auth_token_refreshes_never_again() {
    let devices = Devices::new().await;
    let (_, secret) = devices.0.issue(registration(9, "{}")).await;
    let (child, refresh) = devices.draw(&secret, "one").await;
    let world = &devices.0;
    let act = Act::Revoke { reason: None };
    world.authority.change(&world.admin, &world.realm, child.id, act, None).await.unwrap();
    let said = devices.refresh(&refresh).await.unwrap_err();
    assert!(matches!(said, RefreshRefusal::State(State::Revoked)), "{said:?}");
    assert_eq!(devices.told("refresh.refused").await, 1);
}

/// The key seen at the draw must be proved at every use.
#[tokio::test]
async fn a25_a_pinned_key_is_needed_by_every_refresh() {
    let devices = Devices::new().await;
    let (_, secret) = devices.0.issue(registration(9, "{}")).await;
    let key = Some(Confirmation::Jkt("thumbprint".into()));
    let drawn = devices.draw_with(&secret, "one", key.clone(), None).await.unwrap();
    let EnrolAnswered::Fresh { secret: first, token, .. } = drawn else { panic!("replayed") };
    for wrong in [None, Some(Confirmation::Jkt("another".into()))] {
        let said = devices.refresh_with(first.reveal(), wrong).await.unwrap_err();
        assert!(matches!(said, RefreshRefusal::WrongKey), "{said:?}");
    }
    let refreshed = devices.refresh_with(first.reveal(), key.clone()).await.unwrap();
    assert_eq!(refreshed.grant.confirmation, key);
    assert_eq!(devices.shown(token.id).await.revocation, None);
}

/// Idle is counted from the last refresh, and the absolute end from the draw.
#[tokio::test]
async fn a26_idle_and_absolute_ends_are_two_things() {
    let devices = Devices::new().await;
    let stamp = r#"{"ephemeral":true,"idle_seconds":60,"lifetime_seconds":100}"#;
    let (_, secret) = devices.0.issue(registration(9, stamp)).await;
    let (_, first) = devices.draw(&secret, "one").await;
    devices.advance(59);
    let second = devices.refresh(&first).await.unwrap();
    devices.advance(41);
    let said = devices.refresh(&second).await.unwrap_err();
    assert!(matches!(said, RefreshRefusal::State(State::Expired)), "{said:?}");
    // Idle: at use, and by the step that looks for those who never come back.
    let (used, refresh) = devices.draw(&secret, "two").await;
    let (left, _) = devices.draw(&secret, "three").await;
    devices.advance(60);
    assert!(matches!(devices.refresh(&refresh).await, Err(RefreshRefusal::Idle)));
    devices.0.authority.enrolment_due().await.unwrap();
    for id in [used.id, left.id] {
        let ended = devices.shown(id).await.revocation.unwrap();
        assert_eq!((ended.by.as_str(), ended.reason.as_deref()), ("system", Some("idle")));
    }
}

#[tokio::test]
async fn a27_a_request_that_nobody_decides_is_let_go_after_a_day() {
    let devices = Devices::new().await;
    let mut request = registration(1, "{}");
    request.sentinel.approval = Some("required".into());
    let (token, secret) = devices.0.issue(request).await;
    let (child, device_code) = devices.draw(&secret, "one").await;
    let counts = |token: &Token| (token.used, token.sentinel.reserved);
    assert_eq!(counts(&devices.shown(token.id).await), (0, 1));
    devices.advance(86_399);
    let said = devices.refresh(&device_code).await.unwrap_err();
    assert!(matches!(said, RefreshRefusal::Waiting { too_soon: false, .. }), "{said:?}");
    devices.advance(1);
    let said = devices.refresh(&device_code).await.unwrap_err();
    assert!(matches!(said, RefreshRefusal::TimedOut), "{said:?}");
    assert_eq!(counts(&devices.shown(token.id).await), (0, 0));
    let world = &devices.0;
    let late = world.authority.approve(&world.admin, &world.realm, child.id).await.unwrap_err();
    assert!(matches!(late, Refusal::Ended(State::Revoked)), "{late:?}");
}

#[tokio::test]
async fn what_a_registration_token_cannot_mean_is_refused_by_name() {
    let devices = Devices::new().await;
    let admin = devices.0.admin.clone();
    let field = |request: IssueRequest| {
        let (devices, admin) = (&devices, &admin);
        async move {
            match devices.0.refusal(admin, request).await {
                Refusal::Invalid { field, .. } => field,
                other => panic!("{other:?}"),
            }
        }
    };
    let with = |change: &dyn Fn(&mut IssueRequest)| {
        let mut request = registration(1, "{}");
        change(&mut request);
        request
    };
    let approval = with(&|r| r.sentinel.approval = Some("perhaps".into()));
    assert_eq!(field(approval).await, "approval");
    let constraints = with(&|r| r.sentinel.constraints = Some(r#"{"per_hour":0}"#.into()));
    assert_eq!(field(constraints).await, "constraints.per_hour");
    let stamp = with(&|r| r.sentinel.stamp = Some(r#"{"colour":"red"}"#.into()));
    assert_eq!(field(stamp).await, "stamp");
    let twice = with(&|r| r.sentinel.stamp = Some(r#"{"services":["git"]}"#.into()));
    assert_eq!(field(twice).await, "stamp.services");
    let unknown = with(&|r| {
        r.services = None;
        r.sentinel.stamp = Some(r#"{"services":["nowhere"]}"#.into());
    });
    assert_eq!(field(unknown).await, "services");
    let mut pat = wish(Kind::PersonalAccessToken, "alice", &["git"]);
    pat.sentinel.approval = Some("required".into());
    assert_eq!(field(pat).await, "approval");
}

/// A node to which a new pepper was not copied yet cannot judge, and so does not refuse.
#[tokio::test]
async fn a_secret_under_a_pepper_that_this_node_lacks_is_not_refused_but_cannot_be_judged() {
    use counterfoil_authority::keys::{Key, KeyPurpose, KeyRing};
    let devices = Devices::new().await;
    let authority = &devices.0.authority;
    let poor = authority.keys();
    let mut peppers = poor.keys(KeyPurpose::Pepper).to_vec();
    peppers.push(Key::generate(2, authority.entropy()).unwrap());
    let rich = KeyRing::new(peppers, poor.keys(KeyPurpose::Seal).to_vec()).unwrap();
    authority.set_keys(rich.clone());
    let (_, secret) = devices.0.issue(registration(9, "{}")).await;
    let (child, refresh) = devices.draw(&secret, "one").await;
    let unheld = vec![(KeyPurpose::Pepper, 2)];
    authority.set_keys(KeyRing::clone(&poor).with_lacking(unheld));
    let drawn = devices.draw_with(&secret, "two", None, None).await.unwrap_err();
    assert!(matches!(drawn, EnrolRefusal::Other(Refusal::Unavailable(_))), "{drawn:?}");
    let refreshed = devices.refresh(&refresh).await.unwrap_err();
    assert!(matches!(refreshed, RefreshRefusal::Other(Refusal::Unavailable(_))), "{refreshed:?}");
    authority.set_keys(rich);
    devices.draw(&secret, "two").await;
    devices.refresh(&refresh).await.unwrap();
    assert_eq!(devices.shown(child.id).await.revocation, None);
}
