//! What of an event is hashed: its canonical text.
//!
//! JSON as RFC 8785 writes it: the names in the order of their bytes, no white space, no escape
//! where none is needed, whole numbers without a fraction. What an event does not have is left
//! out. `docs/reference/audit-log.md` describes it for outsiders; nothing here may change, or
//! every log that was ever sealed becomes a forgery.

use serde::Serialize;

use super::tree::{Hash, leaf_hash};
use crate::event::Event;

/// The fields, in the order of their names.
#[derive(Serialize)]
struct Leaf<'a> {
    actor: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor_token: Option<String>,
    at: String,
    count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a serde_json::Value>,
    door: &'a str,
    id: &'a str,
    kind: &'a str,
    outcome: &'a str,
    realm: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// The canonical text of an event.
pub fn text_of(event: &Event) -> String {
    let origin = &event.origin;
    let leaf = Leaf {
        actor: &origin.actor,
        actor_token: origin.actor_token.as_ref().map(ToString::to_string),
        at: event.at.to_string(),
        count: event.count,
        detail: event.detail.as_ref(),
        door: origin.door.name(),
        id: &event.id,
        kind: &event.kind,
        outcome: event.outcome.name(),
        realm: event.realm.as_str(),
        reason: event.reason.as_deref(),
        request_id: origin.request_id.as_ref().map(ToString::to_string),
        service: event.service.as_deref(),
        source: origin.source.map(|address| address.to_string()),
        subject: event.subject.as_deref(),
        token: event.token.as_ref().map(ToString::to_string),
    };
    // Text, numbers and JSON cannot fail to serialise.
    serde_json::to_string(&leaf).unwrap_or_default()
}

/// The hash by which an event stands in its log.
pub fn hash_of(event: &Event) -> Hash {
    leaf_hash(text_of(event).as_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Timestamp;
    use crate::event::Origin;
    use crate::names::RealmName;
    use crate::testing::SeededEntropy;
    use crate::verdict::Door;

    /// Written out, because a change here would make every sealed log a forgery.
    #[test]
    fn an_event_has_one_text() {
        let realm = RealmName::parse("main").unwrap();
        let at = Timestamp::from_micros(1_763_761_200_000_500);
        let origin = Origin::system(Door::Cli);
        let mut event =
            Event::new("token.issued", &realm, &origin, at, &SeededEntropy::new(1)).unwrap();
        event.id = "0644215a2f61f4aabbccddee".to_owned();
        let bare = concat!(
            r#"{"actor":"system","at":"2025-11-21T21:40:00.0005Z","count":1,"door":"cli","#,
            r#""id":"0644215a2f61f4aabbccddee","kind":"token.issued","outcome":"done","#,
            r#""realm":"main"}"#
        );
        assert_eq!(text_of(&event), bare);
        event = event.with_detail(json!({"z": 1, "a": ["ä", "\u{1}\"/\n"]}));
        event = event.with_reason("because").with_service("git").with_subject("user:alice");
        event.origin.source = Some("2001:db8::7".parse().unwrap());
        event.origin.request_id = Some("req-1".into());
        let whole = concat!(
            r#"{"actor":"system","at":"2025-11-21T21:40:00.0005Z","count":1,"#,
            r#""detail":{"a":["ä","\u0001\"/\n"],"z":1},"door":"cli","#,
            r#""id":"0644215a2f61f4aabbccddee","kind":"token.issued","outcome":"done","#,
            r#""realm":"main","reason":"because","request_id":"req-1","service":"git","#,
            r#""source":"2001:db8::7","subject":"user:alice"}"#
        );
        assert_eq!(text_of(&event), whole);
    }
}
