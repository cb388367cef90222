//! The fields of a token policy that warn: which uses raise an alarm and which alarms lock, and
//! short refusals before an end.

use counterfoil_authority::policy::TokenPolicy;
use counterfoil_authority::refusal::Refusal;
use serde_json::{Map, Value, json};

use super::parts::{Field, Form};
use super::settings::switch;
use crate::http::console::page::Frame;
use crate::http::console::posted::Fields;

const NEW_NETWORK: &str = "alarms_new_network";
const NETWORKS_MAX: &str = "alarms_networks_max";
const LOCK_ON: &str = "alarms_lock_on";
/// Alarms that may lock a token, as the API names them.
const LOCKS: [&str; 5] =
    ["new_network", "many_networks", "retired_secret", "link_reopened", "count_exceeded"];
/// The numbers of a brown-out: in the form, in the policy, and for whoever left one out.
const BROWNOUT: [(&str, &str, &str); 3] = [
    ("brownout_days", "days", "brownout.days"),
    ("brownout_every_hours", "every_hours", "brownout.every_hours"),
    ("brownout_seconds", "seconds", "brownout.seconds"),
];

fn words(frame: &Frame, name: &str) -> String {
    frame.say(&format!("policy-{}", name.replace('_', "-")))
}

fn hint(frame: &Frame, name: &str) -> String {
    words(frame, &format!("{name}_hint"))
}

/// Adds the fields to a form.
pub(super) fn fields(frame: &Frame, policy: &TokenPolicy, mut form: Form) -> Form {
    let alarms = policy.alarms.clone().unwrap_or_default();
    let choices = vec![
        (String::new(), frame.say("policy-inherit"), !alarms.new_network),
        ("yes".to_owned(), frame.say("policy-yes"), alarms.new_network),
    ];
    form = form.with(
        Field::choice(NEW_NETWORK, words(frame, NEW_NETWORK), choices)
            .hinted(hint(frame, NEW_NETWORK)),
    );
    let most = alarms.networks_max.map(|most| most.to_string()).unwrap_or_default();
    form = form.with(
        Field::number(NETWORKS_MAX, words(frame, NETWORKS_MAX), most)
            .hinted(hint(frame, NETWORKS_MAX)),
    );
    let asked = serde_json::to_value(&alarms.lock_on).unwrap_or_default();
    let asked = |name: &str| asked.as_array().is_some_and(|all| all.iter().any(|one| one == name));
    let locks = LOCKS
        .map(|name| (name.to_owned(), words(frame, &format!("{LOCK_ON}_{name}")), asked(name)));
    form = form.with(Field::ticks(LOCK_ON, words(frame, LOCK_ON), locks.into()));
    let brownout = policy.brownout.map(|one| [one.days, one.every_hours, one.seconds]);
    for (place, (name, ..)) in BROWNOUT.into_iter().enumerate() {
        let number = brownout.and_then(|all| all.get(place).copied());
        let number = number.map(|number| number.to_string()).unwrap_or_default();
        form = form.with(Field::number(name, words(frame, name), number).hinted(hint(frame, name)));
    }
    form
}

/// The same fields, hidden, as they were sent.
pub(super) fn carried(fields: &Fields, mut form: Form) -> Form {
    for name in [NEW_NETWORK, NETWORKS_MAX].into_iter().chain(BROWNOUT.map(|(name, ..)| name)) {
        form = form.with(Field::hidden(name, fields.get(name)));
    }
    for alarm in fields.all(LOCK_ON) {
        form = form.with(Field::hidden(LOCK_ON, alarm));
    }
    form
}

/// What to change of a policy. Whether the numbers are within their limits is the policy's to say.
pub(super) fn patch(fields: &Fields, patch: &mut Map<String, Value>) -> Result<(), Refusal> {
    let new_network = switch(fields, NEW_NETWORK)?.unwrap_or(false);
    let networks_max = number(fields, NETWORKS_MAX, "alarms.networks_max")?;
    let lock_on: Vec<&str> = fields.all(LOCK_ON).collect();
    let says_nothing = !new_network && networks_max.is_none() && lock_on.is_empty();
    let alarms = json!({
        "new_network": new_network, "networks_max": networks_max, "lock_on": lock_on,
    });
    patch.insert("alarms".to_owned(), if says_nothing { Value::Null } else { alarms });

    let mut brownout = Map::new();
    for (name, own, field) in BROWNOUT {
        if let Some(number) = number(fields, name, field)? {
            brownout.insert(own.to_owned(), number.into());
        }
    }
    let missing = BROWNOUT.into_iter().find(|(_, own, _)| !brownout.contains_key(*own));
    let brownout = match missing {
        Some(_) if brownout.is_empty() => Value::Null,
        // Half of it would be filled up with what the policy says already.
        Some((.., field)) => {
            return Err(Refusal::invalid(field, "is needed: all three of a brown-out, or none"));
        }
        None => Value::Object(brownout),
    };
    patch.insert("brownout".to_owned(), brownout);
    Ok(())
}

fn number(fields: &Fields, name: &str, field: &'static str) -> Result<Option<u32>, Refusal> {
    let number = fields.text(name).map(|text| text.parse());
    number.transpose().map_err(|_| Refusal::invalid(field, "is a number"))
}

#[cfg(test)]
mod tests {
    use counterfoil_authority::policy::LockOn;

    use super::*;

    fn patched(form: &str) -> Result<Map<String, Value>, Refusal> {
        let mut said = Map::new();
        patch(&Fields::read(form.as_bytes()), &mut said).map(|()| said)
    }

    #[test]
    fn what_is_left_empty_is_inherited_again() {
        let nothing = json!({ "alarms": null, "brownout": null });
        assert_eq!(Value::from(patched("alarms_networks_max=+&brownout_days=").unwrap()), nothing);
        let form = "alarms_new_network=yes&alarms_networks_max=&alarms_lock_on=new_network\
                    &alarms_lock_on=link_reopened&brownout_days=7&brownout_every_hours=24\
                    &brownout_seconds=300";
        let said = json!({
            "alarms": {
                "new_network": true, "networks_max": null,
                "lock_on": ["new_network", "link_reopened"],
            },
            "brownout": { "days": 7, "every_hours": 24, "seconds": 300 },
        });
        assert_eq!(Value::from(patched(form).unwrap()), said);
    }

    #[test]
    fn half_a_brown_out_and_what_is_no_number_are_refused() {
        for (form, wanted) in [
            ("alarms_networks_max=many", "alarms.networks_max"),
            ("alarms_networks_max=-1", "alarms.networks_max"),
            ("alarms_new_network=perhaps", NEW_NETWORK),
            ("brownout_days=7&brownout_seconds=300", "brownout.every_hours"),
            ("brownout_every_hours=24", "brownout.days"),
            ("brownout_days=7&brownout_every_hours=24&brownout_seconds=5m", "brownout.seconds"),
        ] {
            let refusal = patched(form).unwrap_err();
            let is_of = matches!(&refusal, Refusal::Invalid { field, .. } if *field == wanted);
            assert!(is_of, "{form}: {refusal:?}");
        }
    }

    #[test]
    fn every_alarm_of_the_form_is_one_of_the_policy() {
        for name in LOCKS {
            let known: Result<LockOn, _> = serde_json::from_value(Value::from(name));
            assert!(known.is_ok(), "{name}");
        }
        // Whoever reads a policy names all words that they know, after the one that they do not.
        let other = serde_json::from_value::<LockOn>(Value::from("other")).unwrap_err().to_string();
        assert_eq!(other.matches('`').count() / 2 - 1, LOCKS.len(), "{other}");
    }
}
