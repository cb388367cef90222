//! Directories that are away, slow, full or wrong: nothing waits for them, and nothing is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use counterfoil_server::clock::Stopwatch;
use serde_json::{Value, json};

use super::{Place, TAKEOVER, await_values, deliveries, issue, settled, target};
use crate::harness::{PATIENCE, await_true, long};
use crate::slapd::{Setup, person};
use crate::world::{Issued, UNTHROTTLED, World};

/// Issuing and revoking take no longer than this, whatever the directory does.
const AT_ONCE: Duration = Duration::from_secs(2);

/// People and the tokens that they end with, while a directory is troubled.
struct Trouble {
    place: Place,
    kept: BTreeMap<String, Issued>,
    revoked: Vec<Issued>,
}

impl Trouble {
    fn on_each_store(people: usize) -> impl Iterator<Item = Self> {
        Place::on_each_store(&Setup::default()).map(move |place| Self::at(place, people))
    }

    fn at(place: Place, people: usize) -> Self {
        let names: Vec<String> = (0..people).map(|number| format!("p{number}")).collect();
        place.slapd.add(&names.iter().map(|name| person(name)).collect::<String>());
        for name in &names {
            place.admin().post("/users", &json!({ "username": name })).expect(201);
        }
        place.add_target(&target(&place.slapd, &json!({ "timeout_ms": 3000 })));
        let kept = names.into_iter().map(|name| {
            let token = place.issue(&name, "wiki");
            (name, token)
        });
        let kept = kept.collect();
        Self { place, kept, revoked: Vec::new() }
    }

    /// Revokes everybody's token and issues another one, without waiting for anything.
    fn change_all(&mut self) {
        for (name, token) in &mut self.kept {
            let watch = Stopwatch::start();
            self.place.act(token, "revoke");
            let fresh = self.place.issue(name, "wiki");
            assert!(watch.elapsed() < AT_ONCE, "{:?}", watch.elapsed());
            self.revoked.push(std::mem::replace(token, fresh));
        }
    }

    /// Everybody has the one value of their last token; and the directory's own tool agrees.
    fn agrees(&self) {
        settled(self.place.admin(), Duration::from_mins(2));
        assert_eq!(self.place.differences("ldap1", false), [] as [Value; 0]);
        let found = self.place.slapd.search("(voPersonApplicationPassword=*)");
        assert_eq!(found.len(), self.kept.len());
        for (name, token) in self.kept.iter().take(3) {
            let values = self.place.slapd.values(name, "wiki");
            assert_eq!(values.len(), 1, "{name}");
            assert!(self.place.slapd.accepts(&values[0], &token.secret));
        }
        for entry in found {
            let values = &entry["vopersonapplicationpassword;app-wiki"];
            assert_eq!(values.len(), 1, "{entry:?}");
        }
    }
}

#[test]
fn a9_a_directory_that_is_away_delays_nobody_and_has_everything_when_it_is_back() {
    for mut trouble in Trouble::on_each_store(2) {
        settled(trouble.place.admin(), TAKEOVER);
        trouble.place.slapd.stop();
        trouble.change_all();
        let admin = trouble.place.admin();
        // Each attempt puts the next one further off.
        let mut next = BTreeMap::new();
        await_true("a delivery is tried again", Duration::from_secs(20), || {
            let open = deliveries(admin, "retrying");
            for one in open.iter().filter(|one| one["object"] == "user:p0") {
                next.insert(one["attempts"].as_u64(), one["next_at"].to_string());
            }
            // Looks may be so far apart that some attempts are seen by none.
            next.len() >= 2
        });
        assert!(next.values().is_sorted(), "{next:?}");
        // A minute is for the run that may take long.
        let watch = Stopwatch::start();
        let down = if long() { Duration::from_mins(1) } else { Duration::ZERO };
        await_true("it was away long enough", 2 * PATIENCE, || watch.elapsed() >= down);
        let open = deliveries(admin, "retrying");
        assert!(open.iter().all(|one| one["next_at"].is_string() && one["error"].is_string()));
        let setup = Setup::default();
        trouble.place.slapd.start(&setup);
        trouble.agrees();
    }
}

#[test]
fn a9_what_was_answered_is_delivered_after_a_kill_of_the_server() {
    for mut trouble in Trouble::on_each_store(5) {
        trouble.place.slapd.kill9();
        trouble.change_all();
        trouble.place.world.server.kill9();
        trouble.place.slapd.start(&Setup::default());
        trouble.place.world.serve_again(UNTHROTTLED);
        trouble.agrees();
    }
}

#[test]
fn a_directory_that_answers_after_five_seconds_delays_nobody() {
    for mut trouble in Trouble::on_each_store(3) {
        settled(trouble.place.admin(), TAKEOVER);
        trouble.place.slapd.halt();
        trouble.change_all();
        let watch = Stopwatch::start();
        await_true("five seconds are over", Duration::from_secs(10), || {
            watch.elapsed() > Duration::from_secs(5)
        });
        trouble.change_all();
        trouble.place.slapd.go_on();
        trouble.agrees();
    }
}

#[test]
fn a_directory_that_takes_no_changes_has_them_later() {
    let read_only = Setup { readonly: true, ..Setup::default() };
    let without_schema = Setup { vo_person: false, options: false, ..Setup::default() };
    for mut trouble in Trouble::on_each_store(2) {
        for setup in [&read_only, &without_schema] {
            settled(trouble.place.admin(), TAKEOVER);
            // What is to be without its schema must hold nothing of it.
            for token in trouble.kept.values() {
                trouble.place.act(token, "lock");
            }
            for name in trouble.kept.keys() {
                await_values(&trouble.place.slapd, name, "wiki", 0);
                trouble.place.slapd.modify(&format!(
                    "dn: uid={name},ou=People,dc=myvo,dc=org\nchangetype: modify\n\
                     delete: objectClass\nobjectClass: voPerson\n"
                ));
            }
            trouble.place.slapd.stop();
            trouble.place.slapd.start(setup);
            trouble.change_all();
            let admin = trouble.place.admin();
            await_true("the directory has refused", Duration::from_secs(20), || {
                !deliveries(admin, "retrying").is_empty()
            });
            trouble.place.slapd.stop();
            trouble.place.slapd.start(&Setup::default());
            trouble.agrees();
        }
    }
}

#[test]
fn a_full_directory_has_everything_once_it_has_room() {
    let full = Setup { max_bytes: 300 << 10, ..Setup::default() };
    // What fills up is the directory, whatever the facts are in.
    let mut place = Place::at(World::new(UNTHROTTLED), &full);
    place.add_target(&target(&place.slapd, &json!({})));
    let mut names = Vec::new();
    // Values of their own fill it up.
    let mut number = 0;
    // One look: what is retried may succeed before the next.
    let error = loop {
        if let Some(refused) = deliveries(place.admin(), "retrying").first() {
            break refused["error"].clone();
        }
        let name = format!("p{number}");
        number += 1;
        assert!(number < 3000, "it is never full");
        if number <= 20 {
            place.slapd.add(&person(&name));
            place.admin().post("/users", &json!({ "username": name })).expect(201);
            names.push(name.clone());
        }
        let name = &names[number % names.len()];
        issue(place.admin(), name, "wiki");
    };
    assert!(error.as_str().unwrap().contains("result 80"), "{error}");
    place.slapd.stop();
    place.slapd.start(&Setup::default());
    place.settled();
    assert_eq!(place.differences("ldap1", false), [] as [Value; 0]);
}

#[test]
fn five_hundred_tokens_arrive_although_the_server_is_killed() {
    arrive(Place::at(World::new(UNTHROTTLED), &Setup::default()), 500);
}

#[test]
#[ignore = "long: 10,000 tokens"]
fn ten_thousand_tokens_arrive_although_the_server_is_killed() {
    for place in Place::on_each_store(&Setup::default()) {
        arrive(place, 10_000);
    }
}

fn arrive(mut place: Place, count: usize) {
    let names: Vec<String> = (0..count).map(|number| format!("p{number}")).collect();
    for some in names.chunks(500) {
        place.slapd.add(&some.iter().map(|name| person(name)).collect::<String>());
    }
    place.add_target(&target(&place.slapd, &json!({})));
    let mut revoked = Vec::new();
    for (number, name) in names.iter().enumerate() {
        place.admin().post("/users", &json!({ "username": name })).expect(201);
        let token = place.issue(name, "wiki");
        if number % 10 == 0 {
            place.act(&token, "revoke");
            revoked.push(name.clone());
        }
        if number == count / 2 {
            place.world.server.kill9();
            place.world.serve_again(UNTHROTTLED);
        }
    }
    place.world.server.kill9();
    place.world.serve_again(UNTHROTTLED);
    let limit = if long() { Duration::from_mins(30) } else { Duration::from_mins(3) };
    settled(place.admin(), limit);
    assert_eq!(place.differences("ldap1", false), [] as [Value; 0]);
    let found = place.slapd.search("(voPersonApplicationPassword;app-wiki=*)");
    assert_eq!(found.len(), count - revoked.len());
    for name in revoked {
        assert_eq!(place.slapd.values(&name, "wiki"), Vec::<String>::new());
    }
}
