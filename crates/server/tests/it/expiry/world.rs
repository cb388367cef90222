//! What these tests begin with: somebody who carries letters and messages, and notes them.

use std::sync::Arc;

use async_trait::async_trait;
use counterfoil_authority::provision::{
    Arrived, Courier, Failed, Finding, Freight, Holding, Looked, Target,
};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::world::{R, World};

/// A courier that arrives always, and notes what was brought.
#[derive(Default)]
pub(super) struct Postman {
    brought: Mutex<Vec<String>>,
    texts: Mutex<Vec<String>>,
}

#[async_trait]
impl Courier for Postman {
    async fn bring(
        &self,
        _: &Target,
        _: Option<&str>,
        freight: &Freight,
        _: Option<&str>,
    ) -> Result<Arrived, Failed> {
        let noted = match freight {
            Freight::Letter(letter) => {
                let written = letter.written(None);
                self.texts.lock().push(written.text);
                format!("{}: {}", letter.address, written.subject)
            }
            Freight::Message(event) => {
                match event.detail.as_ref().and_then(|detail| detail["days"].as_i64()) {
                    Some(days) => format!("hook: {} {days}", event.kind),
                    None => format!("hook: {}", event.kind),
                }
            }
            Freight::Person(_) => "a person".to_owned(),
        };
        self.brought.lock().push(noted);
        Ok(Arrived::default())
    }

    async fn look(&self, _: &Target, _: Option<&str>, _: &Freight) -> Result<Looked, Failed> {
        Ok(Looked::default())
    }

    async fn holders(&self, _: &Target, _: Option<&str>) -> Result<Vec<Holding>, Failed> {
        Ok(Vec::new())
    }

    async fn clear(&self, _: &Target, _: Option<&str>, _: &str) -> Result<(), Failed> {
        Ok(())
    }

    async fn test(&self, _: &Target, _: Option<&str>) -> Vec<Finding> {
        Vec::new()
    }
}

impl Postman {
    /// What was brought since the last look, in alphabetical order.
    pub(super) fn brought(&self) -> Vec<String> {
        let mut brought = std::mem::take(&mut *self.brought.lock());
        brought.sort();
        brought
    }

    /// The texts of all letters.
    pub(super) fn texts(&self) -> Vec<String> {
        self.texts.lock().clone()
    }

    /// Lets a node store what it gathered, and bring what follows from it.
    pub(super) async fn flushed(self: &Arc<Self>, node: &World) -> Vec<String> {
        node.authority.flush_usage().await.unwrap();
        self.round(node).await;
        self.brought()
    }

    /// Lets a node do all that is due, and bring it.
    pub(super) async fn round(self: &Arc<Self>, node: &World) {
        let courier = Arc::clone(self) as Arc<dyn Courier>;
        while node.authority.enrolment_due().await.unwrap() {}
        while node.authority.deliver(&courier).await.unwrap() {}
        // The far end of the lease, so that any other node may be the next one.
        node.clock.advance_seconds(30);
    }
}

/// Alice with an address, Carol who manages `git`, Dora who does so as one of a group and has left,
/// and targets of both kinds.
pub(super) async fn furnished(world: &World) {
    furnished_for(world, &["token.ends-soon", "token.ended"]).await;
}

/// The same, where other events are told of.
pub(super) async fn furnished_for(world: &World, events: &[&str]) {
    let person = async |name: &str| {
        let body = json!({ "username": name, "emails": [format!("{name}@example.org")] });
        world.post(&format!("{R}/users"), body).await.expect(201);
    };
    for name in ["alice", "carol", "dora", "erin"] {
        person(name).await;
    }
    world.service("git").await;
    world.post(&format!("{R}/groups"), json!({ "name": "keepers" })).await.expect(201);
    for name in ["dora", "carol"] {
        let path = format!("{R}/groups/keepers/members/{name}");
        world.call(&world.operator_key, "PUT", &path, Value::Null).await;
    }
    for subject in [json!({ "user": "carol" }), json!({ "group": "keepers" })] {
        let grant = json!({ "subject": subject, "role": "service-manager", "service": "git" });
        world.post(&format!("{R}/grants"), grant).await.expect(201);
    }
    world.patch(&format!("{R}/users/dora"), json!({ "status": "expired" })).await.expect(200);
    let mail = json!({ "name": "mail", "kind": "mail", "events": events });
    world.post(&format!("{R}/targets"), mail).await.expect(201);
    let hook = json!({ "name": "hook", "kind": "webhook", "url": "https://hooks.example.org/",
        "signing_key": "a key of some length", "events": events });
    world.post(&format!("{R}/targets"), hook).await.expect(201);
}
