//! `R/groups`.

use serde_json::json;

use crate::world::{R, World};

#[tokio::test]
async fn people_join_and_leave_groups_any_number_of_times() {
    let world = World::new().await;
    world.user("alice").await;
    let groups = format!("{R}/groups");
    world.post(&groups, json!({ "name": "Staff", "description": "All" })).await.expect(201);
    let member = format!("{groups}/staff/members/alice");
    for _ in 0..2 {
        world.call(&world.operator_key, "PUT", &member, json!(null)).await.expect(204);
    }
    let members = world.get(&format!("{groups}/staff/members")).await.expect(200);
    assert_eq!(members["items"], json!(["alice"]));
    assert_eq!(world.get(&format!("{groups}/staff")).await.expect(200)["members"], 1);
    assert_eq!(
        world.get(&format!("{R}/users/alice")).await.expect(200)["groups"],
        json!(["staff"])
    );
    for _ in 0..2 {
        world.delete(&member).await.expect(204);
    }
    let nobody = format!("{groups}/staff/members/nobody");
    world.call(&world.operator_key, "PUT", &nobody, json!(null)).await.refused(404, "not-found");
    world.delete(&format!("{groups}/staff")).await.expect(204);
    world.get(&format!("{groups}/staff/members")).await.refused(404, "not-found");
}

#[tokio::test]
async fn nobody_makes_administrators_by_letting_people_into_a_group() {
    let world = World::new().await;
    world.user("mallory").await;
    world.post(&format!("{R}/groups"), json!({ "name": "bosses" })).await.expect(201);
    let grant = json!({ "subject": { "group": "bosses" }, "role": "realm-admin" });
    world.post(&format!("{R}/grants"), grant).await.expect(201);
    let grant = json!({ "subject": { "group": "bosses" }, "role": "operator" });
    world.post(&format!("{R}/grants"), grant).await.refused(422, "invalid");
    let scoped = json!({ "roles": ["realm-admin"], "scopes": ["users:write"] });
    let key = world.client("people", scoped).await;
    let member = format!("{R}/groups/bosses/members/mallory");
    world.call(&key, "PUT", &member, json!(null)).await.refused(403, "beyond-grant");
    world.call(&world.operator_key, "PUT", &member, json!(null)).await.expect(204);
}
