//! `R/units`.

use serde_json::json;

use crate::world::{R, World};

#[tokio::test]
async fn units_stand_above_one_another_but_never_above_themselves() {
    let world = World::new().await;
    let units = format!("{R}/units");
    let create = |body| world.post(&units, body);
    let above = create(json!({ "name": "Science", "identifier": "c-1" })).await.expect(201);
    let above_id = above["id"].as_str().unwrap();
    let below = create(json!({ "name": "Physics", "parent": above_id })).await.expect(201);
    let below_id = below["id"].as_str().unwrap();
    create(json!({ "name": "Physics" })).await.refused(409, "exists");
    create(json!({ "name": "Chemistry", "parent": "none" })).await.refused(422, "invalid");
    let path = format!("{units}/{above_id}");
    world.patch(&path, json!({ "parent": below_id })).await.refused(422, "invalid");
    world.delete(&path).await.refused(409, "not-empty");
    world.patch(&path, json!({ "name": "Physics" })).await.refused(409, "exists");
    let renamed = world.patch(&path, json!({ "name": "Sciences", "identifier": null })).await;
    let renamed = renamed.expect(200);
    assert_eq!((&renamed["name"], &renamed["identifier"]), (&json!("Sciences"), &json!(null)));
    assert_eq!(world.get(&units).await.expect(200)["items"].as_array().unwrap().len(), 2);
    world.delete(&format!("{units}/{below_id}")).await.expect(204);
    world.delete(&path).await.expect(204);
    world.get(&path).await.refused(404, "not-found");
}
