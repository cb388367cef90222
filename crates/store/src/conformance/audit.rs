//! Promises about audit logs.

use std::collections::BTreeMap;

use counterfoil_authority::audit::leaf;
use counterfoil_authority::audit::tree::{Hash, Plan, Span, TILE_WIDTH, proves_inclusion};
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::store::{AuditHead, AuditSeal, AuditTile, Lease, Unsealed};

use super::World;
use super::world::race;

/// More than any promise leaves behind.
const MANY: u32 = 100_000;

async fn lease(world: &World) -> Lease {
    let name = format!("{}.audit", world.realm);
    let taken = world.store.lease_take(&name, "a", World::at(0), World::at(1_000)).await.unwrap();
    taken.unwrap()
}

async fn head(world: &World) -> AuditHead {
    world.store.audit_head(&world.realm).await.unwrap().unwrap()
}

/// What is waiting, put behind the logs as they are.
async fn prepared(world: &World, waiting: &[Unsealed]) -> (Vec<AuditSeal>, Vec<i64>) {
    let mut of_realms: BTreeMap<RealmName, Vec<&Unsealed>> = BTreeMap::new();
    for one in waiting {
        of_realms.entry(one.realm.clone()).or_default().push(one);
    }
    let mut seals = Vec::new();
    for (realm, events) in of_realms {
        let known = world.store.audit_head(&realm).await.unwrap();
        let mut tree = known.map(|head| head.tree).unwrap_or_default();
        let before = tree.size();
        let last = world.store.audit_tile(&realm, before / TILE_WIDTH).await.unwrap();
        let mut tiles = vec![last.unwrap_or_default()];
        tiles[0].index = before / TILE_WIDTH;
        let mut nodes = Vec::new();
        for event in events {
            if tiles.last().unwrap().hashes.len() as u64 == TILE_WIDTH {
                let index = tiles.last().unwrap().index + 1;
                tiles.push(AuditTile { index, ..AuditTile::default() });
            }
            tree.push(event.leaf, |node| nodes.push(node));
            let tile = tiles.last_mut().unwrap();
            tile.events.push(event.event.clone());
            tile.hashes.push(event.leaf);
        }
        let note = format!("{realm} {}", tree.size());
        let at = World::at(7);
        seals.push(AuditSeal { realm, before, tree, note, at, tiles, nodes });
    }
    (seals, waiting.iter().map(|one| one.seq).collect())
}

/// Seals all that waits.
async fn seal(world: &World, under: &Lease) {
    loop {
        let waiting = world.store.audit_unsealed(Vec::new(), MANY).await.unwrap();
        if waiting.is_empty() {
            return;
        }
        let (seals, sealed) = prepared(world, &waiting).await;
        assert!(world.store.audit_seal(under, seals, sealed).await.unwrap());
    }
}

async fn hashes(world: &World, spans: Vec<Span>) -> Vec<Vec<Hash>> {
    world.store.audit_hashes(&world.realm, spans).await.unwrap()
}

/// From the transaction that stores it to the one that puts it into the log.
pub(super) async fn every_event_waits_until_it_is_in_its_log(world: World) {
    let under = lease(&world).await;
    seal(&world, &under).await;
    assert_eq!(world.store.audit_waiting_since().await.unwrap(), None);
    let before = head(&world).await;
    let events: Vec<Event> = (0..3).map(|_| world.event("verify.refused")).collect();
    world.store.event_append(events.clone()).await.unwrap();
    world.service("audited").await;
    assert_eq!(world.store.audit_waiting_since().await.unwrap(), Some(events[0].at));
    let waiting = world.store.audit_unsealed(Vec::new(), MANY).await.unwrap();
    let told = waiting.iter().zip(events.clone());
    let told: Vec<_> = told.map(|(one, event)| Unsealed::of(one.seq, event)).collect();
    assert_eq!((&waiting[..3], waiting.len()), (&*told, 4));
    let created = world.store.audit_events(&world.realm, vec![waiting[3].event.clone()]).await;
    assert_eq!(created.unwrap()[0].as_ref().map(|event| &*event.kind), Some("service.created"));
    assert_eq!(world.store.audit_unsealed(Vec::new(), 2).await.unwrap(), waiting[..2]);
    assert_eq!(world.store.audit_unsealed(Vec::new(), 0).await.unwrap(), []);
    // A realm is left out by its whole name.
    let like = |text: String| RealmName::parse(&text).unwrap();
    let others = vec![like(format!("{}-b", world.realm)), like(format!("a-{}", world.realm))];
    assert_eq!(world.store.audit_unsealed(others.clone(), MANY).await.unwrap(), waiting);
    let except = [others, vec![world.realm.clone()]].concat();
    assert_eq!(world.store.audit_unsealed(except, MANY).await.unwrap(), []);
    seal(&world, &under).await;
    let after = head(&world).await;
    assert_eq!(after.tree.size(), before.tree.size() + 4);
    assert_eq!(
        (after.note, after.sealed_at),
        (format!("{} {}", world.realm, after.tree.size()), World::at(7))
    );
    assert_eq!((after.witnessed, after.witnessed_at), (0, None));
    assert!(world.store.audit_heads().await.unwrap().contains(&head(&world).await));
    for (place, event) in (before.tree.size()..).zip(&events) {
        let found = world.store.audit_place(&world.realm, &event.id).await.unwrap();
        assert_eq!(found, Some(place));
    }
    assert_eq!(world.store.audit_place(&world.realm, "nothing").await.unwrap(), None);
}

/// Whether they come in a row or not, and none is taken twice.
pub(super) async fn what_is_sealed_leaves_the_others_waiting(world: World) {
    let under = lease(&world).await;
    seal(&world, &under).await;
    let events: Vec<Event> = (0..600).map(|_| world.event("verify.refused")).collect();
    world.store.event_append(events).await.unwrap();
    let waiting = world.store.audit_unsealed(Vec::new(), MANY).await.unwrap();
    assert_eq!(waiting.len(), 600);
    assert_eq!(world.store.audit_unsealed(Vec::new(), 300).await.unwrap(), waiting[..300]);
    let (odd, even): (Vec<Unsealed>, Vec<Unsealed>) =
        waiting.iter().cloned().partition(|one| one.seq % 2 == 1);
    let (seals, sealed) = prepared(&world, &odd).await;
    assert!(world.store.audit_seal(&under, seals, sealed).await.unwrap());
    assert_eq!(world.store.audit_unsealed(Vec::new(), MANY).await.unwrap(), even);
    // In the order of their numbers, but one is sealed already.
    let (seals, sealed) = prepared(&world, &waiting[..4]).await;
    assert!(!world.store.audit_seal(&under, seals, sealed).await.unwrap());
    assert_eq!(world.store.audit_unsealed(Vec::new(), MANY).await.unwrap(), even);
    let (seals, mut sealed) = prepared(&world, &even).await;
    sealed.push(sealed[0]);
    assert!(!world.store.audit_seal(&under, seals, sealed).await.unwrap());
    assert_eq!(world.store.audit_unsealed(Vec::new(), MANY).await.unwrap(), even);
}

/// Over more than one level of what is stored, and with events that come late.
pub(super) async fn a_log_tells_what_a_proof_needs(world: World) {
    let under = lease(&world).await;
    let late = world.event("verify.refused");
    let events: Vec<Event> = (0..600).map(|_| world.event("verify.refused")).collect();
    for some in events.chunks(250) {
        world.store.event_append(some.to_vec()).await.unwrap();
        seal(&world, &under).await;
    }
    world.store.event_append(vec![late.clone()]).await.unwrap();
    seal(&world, &under).await;
    let tree = head(&world).await.tree;
    let size = tree.size();
    assert!(size > 600, "{size}");
    for event in [&late, &events[0], &events[255], &events[599]] {
        let place = world.store.audit_place(&world.realm, &event.id).await.unwrap().unwrap();
        let plan = Plan::inclusion(place, size).unwrap();
        let proof = plan.hashes(&hashes(&world, plan.spans()).await).unwrap();
        let leaf = leaf::hash_of(event);
        assert!(proves_inclusion(&leaf, place, size, &proof, &tree.root()), "{place}");
    }
    let plan = Plan::frontier(size);
    assert_eq!(plan.hashes(&hashes(&world, plan.spans()).await).unwrap(), tree.roots());
    let tile = world.store.audit_tile(&world.realm, 1).await.unwrap().unwrap();
    assert_eq!((tile.index, tile.events.len(), tile.hashes.len()), (1, 256, 256));
    assert_eq!(world.store.audit_tile(&world.realm, 3).await.unwrap(), None);
    let beyond = Span { level: 8, first: 2, count: 2 };
    assert_eq!(hashes(&world, vec![beyond]).await, [Vec::<Hash>::new()]);
    let asked = vec![tile.events[3].clone(), "nothing".to_owned(), late.id.clone()];
    let found = world.store.audit_events(&world.realm, asked).await.unwrap();
    assert_eq!(found[0].as_ref().map(|event| &event.id), Some(&tile.events[3]));
    assert_eq!(found[1..], [None, Some(late)]);
}

/// Whatever a worker believes that was overtaken: there is one log.
pub(super) async fn of_forty_who_seal_the_same_events_one_does(world: World) {
    let under = lease(&world).await;
    seal(&world, &under).await;
    let before = head(&world).await.tree.size();
    world.store.event_append(vec![world.event("verify.refused")]).await.unwrap();
    let waiting = world.store.audit_unsealed(Vec::new(), MANY).await.unwrap();
    let prepared = prepared(&world, &waiting).await;
    let done = race(40, |_| {
        let (world, under, (seals, sealed)) = (world.clone(), under.clone(), prepared.clone());
        async move { world.store.audit_seal(&under, seals, sealed).await.unwrap() }
    })
    .await;
    assert_eq!(done.into_iter().filter(|done| *done).count(), 1);
    assert_eq!(head(&world).await.tree.size(), before + 1);
    assert_eq!(world.store.audit_unsealed(Vec::new(), MANY).await.unwrap(), []);
}

/// In whatever order their transactions end.
pub(super) async fn what_forty_record_while_others_seal_is_in_the_log_once(world: World) {
    let under = lease(&world).await;
    seal(&world, &under).await;
    let before = head(&world).await.tree.size();
    race(40, |number| {
        let (world, under) = (world.clone(), under.clone());
        async move {
            let events: Vec<Event> = (0..5).map(|_| world.event("verify.refused")).collect();
            world.store.event_append(events).await.unwrap();
            if number % 4 == 0 {
                let waiting = world.store.audit_unsealed(Vec::new(), MANY).await.unwrap();
                let (seals, sealed) = prepared(&world, &waiting).await;
                world.store.audit_seal(&under, seals, sealed).await.unwrap();
            }
        }
    })
    .await;
    seal(&world, &under).await;
    let tree = head(&world).await.tree;
    assert_eq!(tree.size(), before + 200);
    let mut ids = std::collections::BTreeSet::new();
    for index in 0..=tree.size() / TILE_WIDTH {
        let tile = world.store.audit_tile(&world.realm, index).await.unwrap();
        ids.extend(tile.unwrap_or_default().events);
    }
    assert_eq!(ids.len() as u64, tree.size());
}

/// A worker that was overtaken changes nothing, and one that knows an older log neither.
pub(super) async fn a_log_grows_only_under_the_lease_and_where_it_ends(world: World) {
    let under = lease(&world).await;
    seal(&world, &under).await;
    let before = head(&world).await;
    world.store.event_append(vec![world.event("verify.refused")]).await.unwrap();
    let waiting = world.store.audit_unsealed(Vec::new(), MANY).await.unwrap();
    let (seals, sealed) = prepared(&world, &waiting).await;
    let lost = Lease { fence: under.fence - 1, ..under.clone() };
    assert!(!world.store.audit_seal(&lost, seals.clone(), sealed.clone()).await.unwrap());
    for wrong in [0, before.tree.size() - 1, before.tree.size() + 1] {
        let mut seals = seals.clone();
        for seal in &mut seals {
            seal.before = wrong;
        }
        assert!(!world.store.audit_seal(&under, seals, sealed.clone()).await.unwrap());
    }
    assert_eq!(head(&world).await, before);
    assert_eq!(world.store.audit_unsealed(Vec::new(), MANY).await.unwrap(), waiting);
    assert!(world.store.audit_seal(&under, seals, sealed).await.unwrap());
}

/// A witness never has less than it had.
pub(super) async fn what_a_witness_has_only_grows(world: World) {
    let under = lease(&world).await;
    world.store.event_append(vec![world.event("verify.refused")]).await.unwrap();
    seal(&world, &under).await;
    let size = head(&world).await.tree.size();
    assert!(size > 1);
    let tell = async |size, at| {
        world.store.audit_witnessed(&world.realm, size, World::at(at)).await.unwrap();
        let head = head(&world).await;
        (head.witnessed, head.witnessed_at)
    };
    assert_eq!(tell(size, 5).await, (size, Some(World::at(5))));
    assert_eq!(tell(size - 1, 6).await, (size, Some(World::at(5))));
    assert_eq!(tell(size + 1, 7).await, (size, Some(World::at(5))));
    assert_eq!(tell(size, 8).await, (size, Some(World::at(8))));
    world.store.event_append(vec![world.event("verify.refused")]).await.unwrap();
    seal(&world, &under).await;
    assert_eq!(head(&world).await.witnessed, size);
}

/// Their hashes stay, and with them every proof about the others.
pub(super) async fn events_are_removed_only_from_behind_and_once_they_are_sealed(world: World) {
    let under = lease(&world).await;
    let dated = |seconds: i64| {
        let mut event = world.event("verify.refused");
        event.at = World::at(seconds);
        event.id = format!("{:014x}{}", event.at.micros(), &event.id[14..]);
        event
    };
    let old: Vec<Event> = (10..14).map(dated).collect();
    let (young, cut) = (dated(30), World::at(20));
    world.store.event_append([old.clone(), vec![young.clone()]].concat()).await.unwrap();
    let forget = async |under: &Lease, before: Timestamp, limit| {
        let event = Event { kind: "events.removed".into(), ..dated(50) };
        world.store.audit_forget(under, before, limit, event).await.unwrap()
    };
    let there = async || {
        let ids = old.iter().chain([&young]).map(|event| event.id.clone()).collect();
        let found = world.store.audit_events(&world.realm, ids).await.unwrap();
        found.into_iter().map(|event| event.is_some()).collect::<Vec<_>>()
    };
    assert_eq!(forget(&under, cut, 9).await, 0);
    seal(&world, &under).await;
    let lost = Lease { fence: under.fence - 1, ..under.clone() };
    assert_eq!(forget(&lost, cut, 9).await, 0);
    assert_eq!(there().await, [true; 5]);
    assert_eq!(forget(&under, cut, 3).await, 3);
    // The realm's first event was older still.
    assert_eq!(there().await, [false, false, true, true, true]);
    let told = world.events().await.into_iter().find(|event| &*event.kind == "events.removed");
    assert_eq!(told.unwrap().count, 3);
    let tree = head(&world).await.tree;
    assert_eq!(forget(&under, cut, 3).await, 2);
    assert_eq!(forget(&under, cut, 3).await, 0);
    assert_eq!(there().await, [false, false, false, false, true]);
    assert_eq!(head(&world).await.tree, tree);
    let place = world.store.audit_place(&world.realm, &old[0].id).await.unwrap().unwrap();
    let plan = Plan::inclusion(place, tree.size()).unwrap();
    let proof = plan.hashes(&hashes(&world, plan.spans()).await).unwrap();
    let leaf = leaf::hash_of(&old[0]);
    assert!(proves_inclusion(&leaf, place, tree.size(), &proof, &tree.root()));
    // What tells of removals stays for as long as the hashes.
    seal(&world, &under).await;
    assert_eq!(forget(&under, World::at(60), 9).await, 1);
    let left = world.events().await;
    let kinds: Vec<&str> = left.iter().map(|event| &*event.kind).collect();
    assert_eq!(kinds, ["events.removed"; 3]);
}
