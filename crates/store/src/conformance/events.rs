//! Promises about events.

use counterfoil_authority::event::{Event, Origin, Outcome};
use counterfoil_authority::store::{EventFilter, PageRequest};
use counterfoil_authority::verdict::Door;
use serde_json::json;

use super::World;

async fn all(world: &World, filter: EventFilter, limit: u32) -> Vec<Event> {
    let mut found = Vec::new();
    let mut page = PageRequest::first(limit);
    loop {
        let some = world.store.event_list(&world.realm, filter.clone(), page.clone());
        let some = some.await.unwrap();
        assert!(some.items.len() <= limit as usize);
        found.extend(some.items);
        page.after = some.next;
        if page.after.is_none() {
            return found;
        }
    }
}

/// Each once, and none of another realm.
pub(super) async fn events_are_listed_newest_first_in_pages(world: World) {
    let events: Vec<Event> = (0..5).map(|_| world.event("verify.refused")).collect();
    world.store.event_append(events.clone()).await.unwrap();
    world.store.event_append(Vec::new()).await.unwrap();
    let mut expected = events;
    expected.reverse();
    let found = all(&world, EventFilter::default(), 2).await;
    assert_eq!(found[..5], expected);
    assert_eq!((found.len(), &*found[5].kind), (6, "realm.created"));
}

/// With every field, and without any that may be absent.
pub(super) async fn an_event_comes_back_as_it_was_told(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    let origin = Origin {
        actor: "client:gate".into(),
        actor_token: Some(token.id),
        door: Door::ForwardAuth,
        source: Some("2001:db8::7".parse().unwrap()),
        request_id: Some("req-1".into()),
    };
    let mut whole = world
        .event("verify.refused")
        .with_token(token.id)
        .with_subject("user:alice")
        .with_service("git")
        .with_reason("wrong \"service\"")
        .with_detail(json!({"n": 1, "s": ["ä"]}))
        .refused();
    whole.origin = origin;
    whole.count = 199;
    let mut bare = world.event("store.restored");
    bare.origin = Origin::system(Door::Cli);
    world.store.event_append(vec![whole.clone(), bare.clone()]).await.unwrap();
    let found = world.events().await;
    assert_eq!(found[..2], [bare, whole]);
}

/// A page may be empty while there is more; whoever follows it finds everything.
pub(super) async fn a_short_look_at_events_ends_and_goes_on(world: World) {
    let mut rare = Vec::new();
    let mut events = Vec::new();
    for number in 0..23 {
        let mut event = world.event(if number % 7 == 3 { "api.refused" } else { "token.issued" });
        // Each at an instant of its own, as its id says.
        event.at = World::at(100 + number);
        event.id = format!("{:014x}{number:010x}", event.at.micros());
        if number % 7 == 3 {
            rare.insert(0, event.clone());
        }
        events.push(event);
    }
    world.store.event_append(events.clone()).await.unwrap();
    let kind = Some("api.refused".to_owned());
    for most in [1, 3, 7, 23, 24, 1000] {
        let short = EventFilter { look_at_most: Some(most), ..EventFilter::default() };
        let filter = EventFilter { kind: kind.clone(), ..short.clone() };
        for limit in [1, 2, 9] {
            assert_eq!(all(&world, filter.clone(), limit).await, rare, "{most} {limit}");
        }
        // One page looks no further than it may.
        let page = PageRequest::first(9);
        let first = world.store.event_list(&world.realm, filter.clone(), page).await.unwrap();
        let seen = events.iter().rev().take(most as usize).filter(|one| rare.contains(one)).count();
        assert_eq!(first.items.len(), seen, "{most}");
        // Between two instants, of which the later one is not meant.
        let (from, to) = (Some(World::at(103)), Some(World::at(117)));
        let between = EventFilter { from, to, ..filter };
        assert_eq!(all(&world, between, 2).await, rare[1..], "{most}");
        assert_eq!(all(&world, short, 4).await.len(), 24, "{most}");
    }
}

/// A later version may have written it; older ones still list what they do not know.
pub(super) async fn an_event_of_an_unknown_kind_is_told_as_it_is(world: World) {
    let mut strange = world.event("token.issued");
    strange.kind = "token.gilded".to_owned().into();
    world.store.event_append(vec![strange.clone()]).await.unwrap();
    let of_kind = EventFilter { kind: Some("token.gilded".into()), ..EventFilter::default() };
    for filter in [EventFilter::default(), of_kind] {
        assert_eq!(all(&world, filter, 9).await[0], strange);
    }
}

/// Each field alone, and all of them together.
pub(super) async fn events_are_filtered_by_what_is_asked(world: World) {
    let alice = world.user("alice").await;
    let token = world.token_of(&alice).await;
    let mut one = world
        .event("verify.refused")
        .with_token(token.id)
        .with_subject("user:alice")
        .with_service("git")
        .refused();
    one.at = World::at(50);
    // Ids sort by time.
    one.id = format!("{:014x}{:010x}", one.at.micros(), 7);
    one.origin.actor = "client:gate".into();
    world.store.event_append(vec![one.clone(), world.event("api.refused")]).await.unwrap();
    let none = EventFilter::default;
    let text = |value: &str| Some(value.to_owned());
    let alone = [
        EventFilter { outcome: Some(Outcome::Refused), ..none() },
        EventFilter { kind: text("verify.refused"), ..none() },
        EventFilter { actor: text("client:gate"), ..none() },
        EventFilter { subject: text("user:alice"), ..none() },
        EventFilter { service: text("git"), ..none() },
        EventFilter { from: Some(World::at(50)), ..none() },
        EventFilter { from: Some(World::at(50)), to: Some(World::at(51)), ..none() },
    ];
    for filter in alone {
        assert_eq!(all(&world, filter.clone(), 1).await, [one.clone()], "{filter:?}");
    }
    let to = EventFilter { to: Some(World::at(50)), ..none() };
    assert!(!all(&world, to, 9).await.contains(&one));
    let of_token = EventFilter { token: Some(token.id), ..none() };
    let told = all(&world, of_token.clone(), 1).await;
    let told: Vec<&str> = told.iter().map(|event| &*event.kind).collect();
    assert_eq!(told, ["verify.refused", "token.issued"]);
    let together = EventFilter {
        outcome: Some(Outcome::Refused),
        kind: text("verify.refused"),
        actor: text("client:gate"),
        subject: text("user:alice"),
        service: text("git"),
        from: Some(World::at(50)),
        ..of_token
    };
    assert_eq!(all(&world, together.clone(), 1).await, [one]);
    let contradiction = EventFilter { service: text("wiki"), ..together };
    assert_eq!(all(&world, contradiction, 1).await, []);
}
