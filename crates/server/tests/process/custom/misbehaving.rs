//! G2: tokens of a repository that cannot answer are unavailable; everything else is as it was.

use std::time::Duration;

use counterfoil_server::clock::Stopwatch;
use serde_json::json;

use crate::harness::Site;
use crate::world::{UNTHROTTLED, World, active, verify};

use super::peers::{Misdeed, misbehaving, section};

/// A token as the repository might have it.
const FOREIGN: &str = "acme_ab12cd34_0123456789abcdefghijklmnopqrstuv";
/// The limit of time is 800 ms; a busy machine may add to it.
const LIMIT: Duration = Duration::from_secs(5);

fn held_back(misdeed: Misdeed, make: fn(&str) -> World) {
    let site = Site::new();
    let address = misbehaving(misdeed);
    let world = make(&format!("{UNTHROTTLED}\n{}", section(&site, address, "")));
    let own = world.pat();
    for _ in 0..7 {
        let watch = Stopwatch::start();
        let answer = verify(&world.verifier, FOREIGN);
        assert_eq!(answer.status, 503, "{misdeed:?}: {}", answer.text());
        assert!(watch.elapsed() < LIMIT, "{misdeed:?}: {:?}", watch.elapsed());
        assert!(active(&verify(&world.verifier, &own.secret)), "{misdeed:?}");
        // A secret that is nobody's is nobody's, whatever the repository does.
        let wrong = world.verify("cflp_0123456789AB_nonsense");
        assert_eq!(wrong["active"], json!(false), "{misdeed:?}");
    }
}

#[test]
fn g2_a_repository_that_misbehaves_is_unavailable_and_in_nobodys_way() {
    for misdeed in [
        Misdeed::Hangs,
        Misdeed::Fails,
        Misdeed::TellsTenMebibytes,
        Misdeed::TellsGarbage,
        Misdeed::SpeaksVersionTwo,
        Misdeed::HangsUp,
    ] {
        held_back(misdeed, World::new);
    }
    held_back(Misdeed::Hangs, World::on_postgres);
}

/// While forty wait for a repository that hangs, own tokens are verified as before.
#[test]
fn g2_who_waits_for_a_repository_that_hangs_holds_up_nobody_else() {
    let site = Site::new();
    let address = misbehaving(Misdeed::Hangs);
    let more = "in_flight_max = 8\ntimeout = \"800ms\"";
    let world = World::new(&format!("{UNTHROTTLED}\n{}", section(&site, address, more)));
    let own = world.pat();
    assert!(active(&verify(&world.verifier, &own.secret)));
    let waiting: Vec<_> = (0..40)
        .map(|_| {
            let verifier = world.verifier.with_key(&world.verifier.key);
            std::thread::spawn(move || verify(&verifier, FOREIGN).status)
        })
        .collect();
    let watch = Stopwatch::start();
    for _ in 0..100 {
        assert!(active(&verify(&world.verifier, &own.secret)));
    }
    // A hundred take some tens of milliseconds; behind one that hangs each would take 800.
    assert!(watch.elapsed() < Duration::from_secs(20), "{:?}", watch.elapsed());
    for one in waiting {
        assert_eq!(one.join().unwrap(), 503);
    }
}
