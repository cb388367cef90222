//! Provisioning into a real slapd: the checks of COmanage's row, by their numbers.

mod imported;
mod outages;
mod profiles;
mod targets;
mod values;

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{PATIENCE, await_true};
use crate::slapd::{ADMIN, PASSWORD, PEOPLE, Setup, Slapd};
use crate::wire::Api;
use crate::world::{Issued, UNTHROTTLED, World, merged, service};

/// How long a worker that died is waited for, and then some.
const TAKEOVER: Duration = Duration::from_mins(1);

/// An installation with Pat Lee, the services `wiki` and `imap`, and a directory.
struct Place {
    world: World,
    slapd: Slapd,
}

/// The settings of a target for a directory.
fn target(slapd: &Slapd, more: &Value) -> Value {
    let body = json!({
        "name": "ldap1", "kind": "ldap", "url": slapd.url(), "bind_dn": ADMIN,
        "bind_password": PASSWORD, "base_dn": PEOPLE, "schemes": ["SSHA"],
    });
    merged(body, more)
}

/// The settings of a target that keeps whole entries, as COmanage's are.
fn entries(slapd: &Slapd, more: &Value) -> Value {
    let body = json!({
        "name": "people", "kind": "entry", "url": slapd.url(), "bind_dn": ADMIN,
        "bind_password": PASSWORD, "base_dn": PEOPLE, "schemes": ["SSHA"],
        "dn": format!("voPersonID={{attributes.voPersonID}},{PEOPLE}"),
        "object_classes": ["person", "organizationalPerson", "inetOrgPerson", "voPerson"],
        "attributes": {
            "cn": "{display_name}", "givenName": "{attributes.givenName}",
            "sn": "{attributes.sn}", "uid": "{username}", "voPersonID": "{attributes.voPersonID}",
            "voPersonStatus": "{status}", "voPersonApplicationUID;app-{service}": "{username}",
        },
    });
    merged(body, more)
}

impl Place {
    /// A place whose facts are in the embedded store, then one with a PostgreSQL of its own.
    fn on_each_store(setup: &Setup) -> impl Iterator<Item = Self> + use<> {
        let setup = setup.clone();
        World::on_each_store(UNTHROTTLED).map(move |world| Self::at(world, &setup))
    }

    fn at(world: World, setup: &Setup) -> Self {
        let slapd = Slapd::new(setup);
        world
            .admin
            .post(
                "/users",
                &json!({
                    "username": "plee", "display_name": "Pat Lee",
                    "attributes": { "voPersonID": "V097531", "givenName": "Pat", "sn": "Lee" },
                }),
            )
            .expect(201);
        service(&world.admin, "wiki", &json!({}));
        service(&world.admin, "imap", &json!({}));
        Self { world, slapd }
    }

    fn admin(&self) -> &Api {
        &self.world.admin
    }

    fn add_target(&self, body: &Value) {
        self.admin().post("/targets", body).expect(201);
    }

    fn issue(&self, user: &str, service: &str) -> Issued {
        issue(self.admin(), user, service)
    }

    fn act(&self, token: &Issued, act: &str) {
        self.admin().post(&token.path(&format!("/{act}")), &json!({})).expect(200);
    }

    fn patch_user(&self, user: &str, change: &Value) {
        self.admin().patch(&format!("/users/{user}"), change).expect(200);
    }

    /// Waits until nothing is on its way.
    #[track_caller]
    fn settled(&self) {
        settled(self.admin(), TAKEOVER);
    }

    /// What a reconciliation of a target finds.
    #[track_caller]
    fn differences(&self, name: &str, repair: bool) -> Vec<Value> {
        reconcile(self.admin(), name, repair)
    }
}

fn issue(admin: &Api, user: &str, service: &str) -> Issued {
    let body = json!({ "kind": "service_token", "user": user, "service": service });
    Issued::of(&admin.post("/tokens", &body).expect(201))
}

/// Deliveries in a state.
fn deliveries(admin: &Api, state: &str) -> Vec<Value> {
    let page = admin.get(&format!("/deliveries?limit=1000&state={state}")).expect(200);
    page["items"].as_array().unwrap().clone()
}

#[track_caller]
fn settled(admin: &Api, within: Duration) {
    // What was answered has left its note; two looks apart, because a note may be on its way.
    let quiet = || {
        let open = ["waiting", "retrying"].iter().any(|state| !deliveries(admin, state).is_empty());
        !open
    };
    let mut looks = 0;
    await_true("everything is delivered", within, || {
        std::thread::park_timeout(Duration::from_millis(150));
        looks = if quiet() { looks + 1 } else { 0 };
        looks >= 3
    });
}

#[track_caller]
fn reconcile(admin: &Api, name: &str, repair: bool) -> Vec<Value> {
    let mut found = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let body = json!({ "repair": repair, "limit": 200, "cursor": cursor });
        let part = admin.post(&format!("/targets/{name}/reconcile"), &body).expect(200);
        found.extend(part["differences"].as_array().unwrap().clone());
        cursor = part["next_cursor"].clone();
        if cursor.is_null() {
            return found;
        }
    }
}

/// Waits until a person has this many values under a label.
#[track_caller]
fn await_values(slapd: &Slapd, user: &str, label: &str, count: usize) -> Vec<String> {
    await_true(&format!("{user} has {count} values of {label}"), PATIENCE, || {
        slapd.values(user, label).len() == count
    });
    slapd.values(user, label)
}
