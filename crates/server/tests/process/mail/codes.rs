//! Codes by mail: sent when they are asked for, good once and for their token alone.

use serde_json::{Value, json};

use super::Place;
use super::sink::{Mail, Sink};
use crate::wire::Request;
use crate::world::{World, verifier};

/// The code of eight digits that a letter holds.
fn code_of(mail: &Mail) -> String {
    let is_code = |word: &&str| word.len() == 8 && word.bytes().all(|b| b.is_ascii_digit());
    mail.text.split_whitespace().find(is_code).unwrap().to_owned()
}

fn check(world: &World, form: &str) -> Value {
    let key = verifier(&world.admin, &format!("v{}", form.len()), &["wiki"]);
    let request = Request::new("POST", "/validate/check")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form);
    key.send(request).expect(200)
}

#[test]
fn a_code_is_sent_to_the_person_and_answers_its_challenge_once() {
    let sink = Sink::new();
    // A target that tells of other things sends codes all the same: somebody waits for them.
    let mut place = Place::with(sink, &json!({ "events": ["token.locked"] }));
    let body = json!({ "kind": "generic", "user": "plee", "otp": { "method": "email" } });
    let token = place.admin().post("/tokens", &body).expect(201)["token"]["id"].clone();
    let path = format!("/tokens/{}/otp", token.as_str().unwrap());
    let sent = place.admin().post(&format!("{path}/send"), &json!({})).expect(200);
    assert_eq!(sent["sent"], true);
    // A moment later none is sent, and the first stays good.
    let again = place.admin().post(&format!("{path}/send"), &json!({})).expect(200);
    assert_eq!(
        (&again["sent"], &again["transaction_id"]),
        (&json!(false), &sent["transaction_id"])
    );
    let mails = place.sink.await_taken(1);
    assert_eq!(mails[0].header("Subject"), "main: your code");
    let code = code_of(&mails[0]);
    assert_eq!(place.admin().get(&path).expect(200)["codes_remaining"], 1);

    let transaction = sent["transaction_id"].as_str().unwrap();
    let answer = format!("user=plee&pass={code}&transaction_id={transaction}");
    let wrong =
        check(&place.world, &format!("user=plee&pass={code}&transaction_id=0{transaction}"));
    assert_eq!(wrong["result"]["authentication"], "REJECT");
    let said = check(&place.world, &answer);
    assert_eq!(said["result"]["authentication"], "ACCEPT", "{said}");
    assert_eq!(said["detail"]["type"], "email");
    let second = check(&place.world, &format!("{answer}&x=1"));
    assert_eq!(second["result"]["authentication"], "REJECT");
    assert_eq!(place.admin().get(&path).expect(200)["codes_remaining"], 0);

    // Nothing of it is left, but in the letter.
    assert!(place.world.server.stop().success());
    let files = place.world.site.files();
    let holds = files
        .iter()
        .find(|(_, bytes)| bytes.windows(code.len()).any(|window| window == code.as_bytes()));
    assert_eq!(holds.map(|(path, _)| path), None, "a file holds the code");
}

#[test]
fn an_empty_password_is_a_challenge_where_that_is_switched_on() {
    let sink = Sink::new();
    let settings = format!("validate.email_challenge = true\n{}", sink.settings());
    let world = World::new(&settings);
    let person = json!({ "username": "plee", "emails": ["plee@example.org"] });
    world.admin.post("/users", &person).expect(201);
    crate::world::service(&world.admin, "wiki", &json!({}));
    world.admin.post("/targets", &json!({ "name": "mail", "kind": "mail" })).expect(201);
    let body = json!({ "kind": "generic", "user": "plee", "otp": { "method": "email" } });
    world.admin.post("/tokens", &body).expect(201);

    let asked = check(&world, "user=plee&pass=");
    assert_eq!(
        asked["result"],
        json!({ "status": true, "value": false,
        "authentication": "CHALLENGE" })
    );
    let transaction = asked["detail"]["transaction_id"].as_str().unwrap().to_owned();
    assert_eq!(asked["detail"]["multi_challenge"][0]["client_mode"], "interactive");
    let code = code_of(sink.await_taken(2).iter().find(|m| m.text.contains("code")).unwrap());
    let form = format!("user=plee&pass={code}&transaction_id={transaction}");
    assert_eq!(check(&world, &form)["result"]["authentication"], "ACCEPT");
    for nobody in ["alice", "nobody"] {
        let said = check(&world, &format!("user={nobody}&pass="));
        assert_eq!(said["result"]["authentication"], "REJECT");
    }
}
