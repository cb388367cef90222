//! Groups, and who enters and leaves them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Idp, operations_of, refused};
use crate::world::{Engine, R, World};

/// People of the large group.
const MANY: usize = 1500;

fn id_in(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

impl Idp<'_> {
    async fn group(&self, body: Value) -> String {
        let made = self.post("/Groups", body).await.expect(201);
        format!("/Groups/{}", made["id"].as_str().unwrap())
    }

    /// The ids of a group's members.
    async fn members(&self, path: &str) -> BTreeSet<String> {
        let group = self.get(path).await.expect(200);
        let members = group["members"].as_array().cloned().unwrap_or_default();
        members.iter().map(|one| one["value"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn people_enter_and_leave_a_group_in_every_form() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let idp = Idp::of(&world).await;
        let mut ids = Vec::new();
        for name in ["ann", "ben", "cat"] {
            ids.push(id_in(&idp.person(name).await).to_owned());
        }
        let [ann, ben, cat] = &ids[..] else { panic!("{ids:?}") };
        let body = json!({ "displayName": "R&D Team", "externalId": "g1",
            "members": [{ "value": ann }] });
        let path = idp.group(body).await;
        let is = async |wanted: &[&String]| {
            let wanted: BTreeSet<String> = wanted.iter().map(|id| (*id).clone()).collect();
            assert_eq!(idp.members(&path).await, wanted);
        };
        let apply = async |operation: Value| {
            assert_eq!(idp.patch(&path, json!([operation])).await.status, 204);
        };
        is(&[ann]).await;
        let read = idp.get(&path).await.expect(200);
        assert_eq!((&read["displayName"], &read["externalId"]), (&json!("R&D Team"), &json!("g1")));
        apply(json!({ "op": "Add", "path": "members", "value": [{ "value": ben }] })).await;
        is(&[ann, ben]).await;
        apply(json!({ "op": "add", "value": { "members": [{ "value": cat }, { "value": cat }] } }))
            .await;
        is(&[ann, ben, cat]).await;
        apply(json!({ "op": "remove", "path": format!("members[value eq \"{ann}\"]") })).await;
        is(&[ben, cat]).await;
        // Entra.
        apply(json!({ "op": "Remove", "path": "members", "value": [{ "value": ben }] })).await;
        is(&[cat]).await;
        // Who is not in it leaves it as well.
        apply(json!({ "op": "remove", "path": "members[value eq \"7-YQ\"]" })).await;
        apply(json!({ "op": "replace", "path": "members", "value": [{ "value": ann }] })).await;
        is(&[ann]).await;
        let both = format!("members[value eq \"{ann}\" or value eq \"{ben}\"]");
        apply(json!({ "op": "remove", "path": both })).await;
        is(&[]).await;
        apply(json!({ "op": "add", "path": "members", "value": [{ "value": ann }] })).await;
        apply(json!({ "op": "remove", "path": "members[type eq \"User\"]" })).await;
        is(&[]).await;
        // A person says which groups they are in.
        apply(json!({ "op": "add", "path": "members", "value": [{ "value": ann }] })).await;
        let read = idp.get(&format!("/Users/{ann}")).await.expect(200);
        assert_eq!(read["groups"][0]["value"], json!(id_in(&path)));
        let filter =
            format!("filter=id%20eq%20%22{}%22%20and%20members%20eq%20%22{ann}%22", id_in(&path));
        let found = idp.get(&format!("/Groups?{filter}&excludedAttributes=members")).await;
        let found = found.expect(200);
        assert_eq!(found["totalResults"], json!(1));
        assert!(found["Resources"][0]["members"].is_null());
        assert_eq!(idp.found(&format!("groups.value eq \"{}\"", id_in(&path))).await, ["ann"]);
        // Who leaves for good changes the group.
        let before = idp.get(&path).await.header("etag").to_owned();
        assert_eq!(idp.delete(&format!("/Users/{ann}")).await.status, 204);
        assert_ne!(idp.get(&path).await.header("etag"), before);
        is(&[]).await;
        assert_eq!(idp.delete(&path).await.status, 204);
        refused(&idp.get(&path).await, 404, None);
    }
}

#[tokio::test]
async fn a_change_of_a_group_is_all_or_nothing_and_of_the_version_that_is_meant() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let idp = Idp::of(&world).await;
        let ann = id_in(&idp.person("ann").await).to_owned();
        let gone = idp.person("gone").await;
        idp.delete(&gone).await;
        world.clock.advance_seconds(1);
        idp.person("gone").await;
        let path = idp.group(json!({ "displayName": "devs" })).await;
        // Half of them are not there: neither is the other half, and a namesake is not meant.
        let value = json!([{ "value": ann }, { "value": id_in(&gone) }]);
        let add = json!([{ "op": "add", "path": "members", "value": value }]);
        refused(&idp.patch(&path, add).await, 400, Some("invalidValue"));
        let put = json!({ "displayName": "devs", "members": value });
        refused(&idp.put(&path, put).await, 400, Some("invalidValue"));
        let other = json!({ "displayName": "ops", "members": value });
        refused(&idp.post("/Groups", other).await, 400, Some("invalidValue"));
        assert_eq!(idp.get("/Groups").await.expect(200)["totalResults"], json!(1));
        assert!(idp.members(&path).await.is_empty());
        let tag = idp.get(&path).await.header("etag").to_owned();
        let add = operations_of(&json!([
            { "op": "add", "path": "members", "value": [{ "value": ann }] }
        ]));
        let first = idp.send("PATCH", &path, &[("if-match", &tag)], add.clone()).await;
        assert_eq!(first.status, 204);
        refused(&idp.send("PATCH", &path, &[("if-match", &tag)], add).await, 412, None);
        // The native API changes the same group, and its version.
        let member = format!("{R}/groups/devs/members/ann");
        let before = idp.get(&path).await.header("etag").to_owned();
        world.delete(&member).await.expect(204);
        assert_ne!(idp.get(&path).await.header("etag"), before);
        let taken = idp.post("/Groups", json!({ "displayName": "DEVS" })).await;
        refused(&taken, 409, Some("uniqueness"));
        let renamed = idp.put(&path, json!({ "displayName": "other" })).await;
        refused(&renamed, 400, Some("mutability"));
        let nested = json!([{ "op": "add", "path": "members",
            "value": [{ "value": id_in(&path), "type": "Group" }] }]);
        let nested = idp.patch(&path, nested).await;
        refused(&nested, 400, Some("invalidValue"));
        assert!(nested.text.contains("groups within groups"), "{}", nested.text);
        let part =
            json!([{ "op": "replace", "path": "members[type eq \"User\"].type", "value": "x" }]);
        refused(&idp.patch(&path, part).await, 400, Some("mutability"));
        let known = json!([{ "op": "replace", "value": { "externalId": "g7", "id": "x" } }]);
        assert_eq!(idp.patch(&path, known).await.status, 204);
        assert_eq!(idp.get(&path).await.expect(200)["externalId"], "g7");
    }
}

#[tokio::test]
async fn a_large_group_is_filled_and_emptied_at_once() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let idp = Idp::of(&world).await;
        let mut value = Vec::with_capacity(MANY);
        for number in 0..MANY {
            let path = idp.person(&format!("p{number:05}")).await;
            value.push(json!({ "value": id_in(&path) }));
        }
        let path = idp.group(json!({ "displayName": "everybody" })).await;
        let add = json!([{ "op": "add", "path": "members", "value": value }]);
        assert_eq!(idp.patch(&path, add.clone()).await.status, 204);
        assert_eq!(idp.members(&path).await.len(), MANY);
        assert_eq!(idp.patch(&path, add).await.status, 204);
        let native = world.get(&format!("{R}/groups/everybody")).await.expect(200);
        assert_eq!(native["members"], json!(MANY));
        let one = world.get(&format!("{R}/users/p00007")).await.expect(200);
        assert_eq!(one["groups"], json!(["everybody"]));
        let told = "events?kind=group.member-added&limit=1000";
        let told = world.get(&format!("{R}/{told}")).await.expect(200);
        assert_eq!(told["items"].as_array().unwrap().len(), 1000);
        let few = json!({ "displayName": "everybody", "members": value[..3] });
        assert_eq!(idp.put(&path, few).await.status, 200);
        assert_eq!(idp.members(&path).await.len(), 3);
        let one = world.get(&format!("{R}/users/p00007")).await.expect(200);
        assert_eq!(one["groups"], json!([]));
    }
}
