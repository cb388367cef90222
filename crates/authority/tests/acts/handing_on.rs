//! What is drawn, exchanged or downscoped does no more than what it came from.

use counterfoil_authority::access::MintedAccess;
use counterfoil_authority::authority::{ExchangeRequest, IssueRequest, TokenEdit};
use counterfoil_authority::caller::Caller;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::Scope;
use counterfoil_authority::subject::Role;

use crate::world::{World, context, fresh, wish};

fn scopes(names: &[&str]) -> Vec<Scope> {
    names.iter().map(|name| Scope::parse(name).unwrap()).collect()
}

fn registration(services: &[&str], names: &[&str]) -> IssueRequest {
    let mut request = wish(Kind::RegistrationToken, "alice", services);
    request.user = None;
    request.scopes = scopes(names);
    request
}

impl World {
    /// The caller that a client becomes with an access token of fewer scopes.
    async fn downscoped(&self, client: &Caller, names: &[&str]) -> Caller {
        let request = ExchangeRequest { scopes: Some(scopes(names)), ..ExchangeRequest::default() };
        let minted: MintedAccess = self.authority.client_token(client, request).await.unwrap();
        self.authority.authenticate(minted.secret.reveal(), context()).await.unwrap()
    }
}

#[tokio::test]
async fn a_downscoped_client_hands_on_only_the_scopes_that_it_carries() {
    let world = World::new().await;
    let full = world.client("ra", vec![Role::RealmAdmin], |_| ()).await;
    let narrow = world.downscoped(&full, &["registration-tokens:write"]).await;
    let wide = registration(&["counterfoil"], &["tokens:write", "users:write"]);
    let refusal = world.refusal(&narrow, wide.clone()).await;
    assert!(matches!(refusal, Refusal::BeyondGrant(_)), "{refusal:?}");
    // By an edit neither, of one that carries little.
    let own = registration(&["counterfoil"], &["registration-tokens:write"]);
    let issued = world.authority.issue(&narrow, &world.realm, own, None).await.unwrap();
    let (token, _) = fresh(issued);
    let edit = || TokenEdit { scopes: Some(scopes(&["tokens:write"])), ..TokenEdit::default() };
    let edited = world.authority.edit_token(&narrow, &world.realm, token.id, edit(), None).await;
    assert!(matches!(edited, Err(Refusal::BeyondGrant(_))), "{edited:?}");
    world.authority.edit_token(&full, &world.realm, token.id, edit(), None).await.unwrap();
    world.authority.issue(&full, &world.realm, wide, None).await.unwrap();
}

#[tokio::test]
async fn a_downscoped_client_takes_over_neither_its_own_key_nor_what_carries_more() {
    let world = World::new().await;
    let full = world.client("ra", vec![Role::RealmAdmin], |_| ()).await;
    let narrow = world.downscoped(&full, &["tokens:write", "registration-tokens:write"]).await;
    let wide = registration(&["counterfoil"], &["users:write"]);
    let issued = world.authority.issue(&full, &world.realm, wide, None).await.unwrap();
    let (token, _) = fresh(issued);
    for id in [full.token, token.id] {
        let act = world.authority.rotate(&narrow, &world.realm, id, None, None, None).await;
        assert!(matches!(act, Err(Refusal::BeyondGrant(_))), "{act:?}");
    }
    world.authority.rotate(&full, &world.realm, full.token, None, None, None).await.unwrap();
}
