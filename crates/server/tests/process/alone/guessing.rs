//! Who guesses at the OAuth door waits, once; who presents a right secret does not.

use std::time::Duration;

use counterfoil_server::clock::Stopwatch;
use serde_json::json;

use crate::oauth::{DOOR, basic, posted, registration};
use crate::wire::Request;
use crate::world::World;

#[test]
fn who_is_right_never_waits_and_who_guesses_waits_once() {
    let world = World::new("");
    let used_up = registration(&world, &json!({ "count": 1 }));
    let pat = world.pat();
    world.admin.post(&pat.path("/disable"), &json!({})).expect(200);
    let access = "urn:ietf:params:oauth:token-type:access_token";
    let exchange = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", pat.secret.as_str()),
        ("subject_token_type", access),
    ];
    let mut guess = exchange;
    let made_up = format!("cflp_{}_{}", "0".repeat(12), "0".repeat(38));
    guess[1].1 = &made_up;
    let drawing = posted(&format!("{DOOR}/auth/device"), &[]);
    let drawing = drawing.header("Authorization", basic("till", &used_up.secret));
    world.admin.raw(&drawing).expect(200);
    let took = |request: &Request| {
        let watch = Stopwatch::start();
        let status = world.admin.raw(request).status;
        assert!(matches!(status, 400 | 401), "{status}");
        watch.elapsed()
    };
    let guessing = posted(&format!("{DOOR}/token"), &guess);
    // Until a guess costs something, and several times as much as any answer takes.
    let mut waited = Duration::ZERO;
    for _ in 0..200 {
        waited = took(&guessing);
        if waited > Duration::from_millis(800) {
            break;
        }
    }
    assert!(waited > Duration::from_millis(800), "guesses wait: {waited:?}");
    assert!(waited < Duration::from_secs(8), "and once only: {waited:?}");
    for right in [posted(&format!("{DOOR}/token"), &exchange), drawing] {
        let waited = took(&right);
        assert!(waited < Duration::from_millis(600), "{waited:?}");
    }
}
