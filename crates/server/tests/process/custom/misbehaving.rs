//! G2: tokens of a repository that cannot answer are unavailable; everything else is as it was.

use std::time::Duration;

use counterfoil_server::clock::Stopwatch;
use ldap3_proto::proto::LdapResultCode;
use serde_json::json;

use crate::harness::Site;
use crate::ldap::person;
use crate::wire::{Answer, Request};
use crate::world::{UNTHROTTLED, World, active, authz, verify};

use super::peers::{Adapter, MISDEEDS, Misdeed, misbehaving, section, section_of};

/// What follows a repository's prefix in its tokens.
const REST: &str = "ab12cd34_0123456789abcdefghijklmnopqrstuv";
/// The limit of time is 800 ms; a busy machine may add to it.
const LIMIT: Duration = Duration::from_secs(10);

/// One repository for each misdeed, under its name in small letters.
fn misbehaving_all(site: &Site) -> String {
    let sections =
        MISDEEDS.map(|misdeed| section_of(site, &name(misdeed), misbehaving(misdeed), ""));
    sections.concat()
}

fn name(misdeed: Misdeed) -> String {
    format!("{misdeed:?}").to_lowercase()
}

/// A token as that repository might have it.
fn foreign(misdeed: Misdeed) -> String {
    format!("{}_{REST}", name(misdeed))
}

/// The answer of privacyIDEA's door.
fn validated(world: &World, secret: &str) -> Answer {
    let form = json!({ "user": "alice", "pass": secret });
    world.verifier.send(Request::new("POST", "/validate/check").json(&form))
}

#[test]
fn g2_a_repository_that_misbehaves_is_unavailable_and_in_nobodys_way() {
    let site = Site::new();
    let settings = format!("{UNTHROTTLED}\n{}", misbehaving_all(&site));
    for world in World::on_each_store(&settings) {
        let own = world.pat();
        for _ in 0..7 {
            for misdeed in MISDEEDS {
                let watch = Stopwatch::start();
                let answer = verify(&world.verifier, &foreign(misdeed));
                assert_eq!(answer.status, 503, "{misdeed:?}: {}", answer.text());
                assert!(watch.elapsed() < LIMIT, "{misdeed:?}: {:?}", watch.elapsed());
                assert!(active(&verify(&world.verifier, &own.secret)), "{misdeed:?}");
            }
            // A secret that is nobody's is nobody's, whatever the repositories do.
            let wrong = world.verify("cflp_0123456789AB_nonsense");
            assert_eq!(wrong["active"], json!(false));
        }
    }
}

#[test]
fn g2_each_door_says_in_its_way_that_a_repository_hangs() {
    let site = Site::new();
    let adapter = Adapter::start(&site);
    let acme = section(&site, adapter.address, "services = [\"git\"]");
    let settings = format!("{UNTHROTTLED}\n{acme}{}", misbehaving_all(&site));
    let (known, unknown) = (adapter.add("alice"), format!("acme_{REST}"));
    for world in World::on_each_store(&settings) {
        let (alice, hung) = (person("alice", "git"), foreign(Misdeed::Hangs));
        let mut ldap = world.ldap();
        for _ in 0..7 {
            assert_eq!(ldap.bind(&alice, &hung), LdapResultCode::Unavailable);
        }
        assert_eq!(ldap.bind(&alice, &known), LdapResultCode::Success);
        assert_eq!(ldap.bind(&alice, &unknown), LdapResultCode::InvalidCredentials);
        assert_eq!(ldap.bind(&person("bob", "git"), &known), LdapResultCode::InvalidCredentials);

        let at_gate = |secret: &str| world.admin.raw(&authz("git", "alice", secret)).status;
        assert_eq!([at_gate(&known), at_gate(&unknown), at_gate(&hung)], [200, 401, 503]);
        let [good, bad, away] = [&known, &unknown, &hung].map(|secret| validated(&world, secret));
        assert_eq!(good.expect(200)["result"]["value"], true);
        assert_eq!(bad.expect(200)["result"]["value"], false);
        assert_eq!(away.expect(503)["result"]["status"], false);
    }
}

/// While forty wait for a repository that hangs, own tokens are verified as before.
#[test]
fn g2_who_waits_for_a_repository_that_hangs_holds_up_nobody_else() {
    let site = Site::new();
    let address = misbehaving(Misdeed::Hangs);
    let more = "in_flight_max = 8\ntimeout = \"800ms\"";
    let settings = format!("{UNTHROTTLED}\n{}", section_of(&site, "hangs", address, more));
    for world in World::on_each_store(&settings) {
        let own = world.pat();
        assert!(active(&verify(&world.verifier, &own.secret)));
        let waiting: Vec<_> = (0..40)
            .map(|_| {
                let verifier = world.verifier.clone();
                let secret = foreign(Misdeed::Hangs);
                std::thread::spawn(move || verify(&verifier, &secret).status)
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
}
