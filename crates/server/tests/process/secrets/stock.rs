//! Seeds that were taken over from a file, and the codes of activation letters.

use serde_json::{Value, json};

use super::Needles;
use crate::wire::{Api, Request, below_main};

/// Seeds of a file, good lines and bad ones, and the codes of activation letters.
pub(super) fn take_over(admin: &Api, needles: &mut Needles) {
    let seeds: Vec<String> = (0..8_u8)
        .map(|n| {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &[n]);
            data_encoding::BASE32_NOPAD.encode(&digest.as_ref()[..20])
        })
        .collect();
    for seed in &seeds {
        needles.add_seed_or_code(seed);
    }
    let file = |lines: &[String]| {
        let text = format!("serial,secret,user\n{}", lines.join("\n"));
        json!({ "format": "csv", "text": text, "encoding": "base32", "repository": "card" })
    };
    let good: Vec<String> = (0..4).map(|n| format!("S{n},{},alice", seeds[n])).collect();
    let taken = admin.post("/tokens/import", &file(&good)).expect(200);
    for bad in [
        format!("X,{}%,alice", seeds[4]),
        format!("X,alice,{}", seeds[5]),
        format!("X,{},nobody", seeds[6]),
    ] {
        admin.post("/tokens/import", &file(&[bad])).expect(422);
    }
    let mut bare = file(&[]);
    bare["text"] = json!(seeds[7]);
    admin.post("/tokens/import", &bare).expect(422);
    for line in taken["lines"].as_array().unwrap() {
        let order = json!({ "token": line["id"] });
        let letter = admin.post("/activation-letters", &order).expect(201);
        let one = format!("/activation-letters/{}", letter["id"].as_str().unwrap());
        let printed = admin.post(&format!("{one}/print"), &Value::Null).expect(200);
        let code = printed["secret"].as_str().unwrap();
        needles.add(code);
        admin.get(&one).expect(200);
        // Also where it does not belong.
        admin.get(&format!("/activation-letters/{code}")).expect(404);
        let request = Request::new("POST", below_main("/activation-letters/redeem"));
        for status in [200, 410] {
            let answer = admin.raw(&request.clone().json(&json!({ "secret": code })));
            answer.expect(status);
        }
    }
}
