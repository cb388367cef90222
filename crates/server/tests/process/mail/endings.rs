//! The end of a token as letters tell of it: to its owner, and to who looks after the service.

use serde_json::json;

use super::{Place, subjects};
use crate::world::Issued;

#[test]
fn an_end_is_told_to_the_owner_and_to_who_looks_after_the_service() {
    for place in Place::on_each_store(&json!({ "events": ["token.ends-soon", "token.ended"] })) {
        let body = json!({ "username": "keeper", "emails": ["keeper@example.org"],
            "attributes": { "preferredLanguage": "de" } });
        place.admin().post("/users", &body).expect(201);
        let grant = json!({ "subject": { "user": "keeper" }, "role": "service-manager",
            "service": "wiki" });
        place.admin().post("/grants", &grant).expect(201);
        // Three seconds from now it is seven days before the end.
        let body = json!({ "kind": "service_token", "user": "plee", "service": "wiki",
            "name": "laptop", "lifetime_seconds": 7 * 86_400 + 3 });
        let token = Issued::of(&place.admin().post("/tokens", &body).expect(201));
        let mut mails = place.sink.await_taken(2);
        mails.sort_by_key(|mail| mail.header("X-To"));
        let expected = ["The Wiki: Token von plee läuft bald ab", "The Wiki: a token ends soon"];
        assert_eq!(subjects(&mails), expected);
        assert_eq!(mails[0].header("X-To"), "keeper@example.org");
        assert!(mails[0].text.contains("Wessen: plee"), "{}", mails[0].text);
        assert!(mails[0].text.contains(&format!("laptop, Nummer {}", token.id)));
        assert_eq!(mails[1].header("X-To"), "plee@example.org");
        assert!(mails[1].text.contains("Replace it before then."), "{}", mails[1].text);
        super::no_secret_in(&place, &[token]);
        assert_eq!(place.sink.taken().len(), 2);
    }
}
