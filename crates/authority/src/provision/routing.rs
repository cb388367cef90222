//! Which deliveries an event asks for: the one rule that every store applies.

use super::letter::{CODE_SENT, LETTER_EVENTS, keepers_letter};
use super::{DeliveryKey, Mark, Object, Target, TargetKind, TargetMode};
use crate::event::{ALARMS, Event, IMPORTED, Outcome};

/// Whether an event can concern a target at all, so that it leaves a note in the outbox.
pub fn concerns_targets(event: &Event) -> bool {
    let told = event.outcome == Outcome::Done || ALARMS.contains(&&*event.kind);
    told && !event.kind.starts_with("delivery.")
}

/// The deliveries that an event asks for.
pub fn marks(event: &Event, targets: &[Target]) -> Vec<Mark> {
    let of_realm = targets.iter().filter(|target| target.realm == event.realm);
    of_realm
        .flat_map(|target| [mark(event, target), concerned_mark(event, target)])
        .flatten()
        .collect()
}

/// Who is found out when the letter leaves: the owner of a token that an alarm is about, and whoever
/// looks after a service where something is about to stop.
fn concerned_mark(event: &Event, target: &Target) -> Option<Mark> {
    let asked = &target.config.events;
    let alarms = ALARMS.contains(&&*event.kind);
    let told = (alarms || keepers_letter(&event.kind).is_some())
        && (asked.is_empty() || asked.iter().any(|kind| *kind == event.kind));
    let mut labels = event.service.iter().flat_map(|labels| labels.split(' '));
    let named = alarms || labels.any(|label| label != "*" && target.config.is_for(label));
    if target.kind != TargetKind::Mail || !told || !named {
        return None;
    }
    let (realm, target, held) = (event.realm.clone(), target.name.clone(), is_held(target)?);
    let key = DeliveryKey { realm, target, object: Object::Concerned, message: event.id.clone() };
    Some(Mark { key, held })
}

fn mark(event: &Event, target: &Target) -> Option<Mark> {
    let own = event.subject.as_deref() == Some(&format!("target:{}", target.name));
    let (object, message) = if target.kind.takes_messages() {
        let asked = &target.config.events;
        // Whoever asked for a code waits for it.
        let awaited = target.kind == TargetKind::Mail && event.kind == CODE_SENT;
        if !awaited && !asked.is_empty() && !asked.iter().any(|kind| *kind == event.kind) {
            return None;
        }
        let about = match target.kind {
            TargetKind::Mail => addressed(event, target)?,
            _ => Object::from_name(event.subject.as_deref().unwrap_or("realm")),
        };
        (about, event.id.clone())
    } else {
        (state_of(event, own).filter(|_| event.outcome == Outcome::Done)?, String::new())
    };
    let held = match target.mode {
        TargetMode::Enrollment if is_arrival(event) => false,
        _ => is_held(target)?,
    };
    let (realm, target) = (event.realm.clone(), target.name.clone());
    Some(Mark { key: DeliveryKey { realm, target, object, message }, held })
}

/// Whether what is not an arrival waits for somebody to ask for it; `None`: it is not brought.
const fn is_held(target: &Target) -> Option<bool> {
    match target.mode {
        TargetMode::Automatic | TargetMode::Queue | TargetMode::QueueOnError => Some(false),
        TargetMode::Manual => Some(true),
        TargetMode::Enrollment | TargetMode::Disabled => None,
    }
}

/// Who is written to about this, if anybody is. Of what was taken over from another system they
/// know: a move would be a letter to everybody.
fn addressed(event: &Event, target: &Target) -> Option<Object> {
    let imported = event.kind == "token.issued" && event.reason.as_deref() == Some(IMPORTED);
    if imported || ALARMS.contains(&&*event.kind) {
        return None;
    }
    let named = match &*event.kind {
        // Whom it hits is found out person by person, so that one act makes one note.
        "service.locked" | "service.unlocked" => Some(Object::Everyone),
        _ => event.subject.as_deref().map(Object::from_name),
    };
    let asked = !target.config.events.is_empty()
        || LETTER_EVENTS.contains(&&*event.kind)
        || event.kind == CODE_SENT;
    let mut labels = event.service.iter().flat_map(|labels| labels.split(' '));
    let concerned =
        event.service.is_none() || labels.any(|label| label == "*" || target.config.is_for(label));
    let is_person = |named: &Object| matches!(named, Object::User(_) | Object::Everyone);
    named.filter(|named| asked && concerned && is_person(named))
}

/// Whose state an event changed.
fn state_of(event: &Event, own: bool) -> Option<Object> {
    // What was refused has changed nothing.
    if event.outcome == Outcome::Refused {
        return None;
    }
    let (noun, _) = event.kind.split_once('.')?;
    let subject = || event.subject.as_deref().map(Object::from_name);
    match noun {
        "token" | "link" | "user" => subject().filter(|object| matches!(object, Object::User(_))),
        "group" if is_membership(event) => subject(),
        // Whom it concerns cannot be told any more, or is a question of its own.
        "group" if event.kind == "group.deleted" => Some(Object::Everyone),
        "service" if event.kind != "service.created" => Some(Object::Everyone),
        "realm" if event.kind == "realm.updated" => Some(Object::Everyone),
        "target" if own && event.kind != "target.reconciled" => Some(Object::Everyone),
        _ => None,
    }
}

fn is_membership(event: &Event) -> bool {
    matches!(&*event.kind, "group.member-added" | "group.member-removed")
}

/// What COmanage's mode "enrollment" means here: somebody arrives, or a token does.
fn is_arrival(event: &Event) -> bool {
    matches!(&*event.kind, "user.created" | "token.issued" | "link.opened")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::event::{EVENT_KINDS, Origin};
    use crate::names::RealmName;
    use crate::testing::SeededEntropy;
    use crate::verdict::Door;

    #[test]
    fn of_what_was_refused_targets_hear_if_it_is_an_alarm_and_directories_never() {
        let realm = RealmName::parse("main").unwrap();
        let origin = Origin::system(Door::Api);
        let entropy = SeededEntropy::new(1);
        for kind in EVENT_KINDS {
            let event = Event::new(kind, &realm, &origin, Timestamp::EPOCH, &entropy).unwrap();
            let event = event.with_subject("user:alice");
            assert_eq!(concerns_targets(&event), !kind.starts_with("delivery."), "{kind}");
            let refused = event.refused();
            let is_alarm = ALARMS.contains(&kind);
            assert_eq!(concerns_targets(&refused), is_alarm, "{kind}");
            assert_eq!(state_of(&refused, false), None, "{kind}");
            assert!(!is_alarm || LETTER_EVENTS.contains(&kind), "{kind}");
        }
    }
}
