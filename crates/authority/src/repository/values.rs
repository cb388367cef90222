//! What a repository's token says of itself, attribute by attribute, and what is written to it.

use std::collections::BTreeMap;

use super::{Attribute, Mapped, ValueType};
use crate::clock::Timestamp;
use crate::store::Listing;

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A number.
    Count(u64),
    /// An instant.
    Instant(Timestamp),
    /// Yes or no.
    Flag(bool),
}

/// The values of a token. What is not there has none.
pub type Values = BTreeMap<Attribute, Value>;

/// What is written: a value, or `None` to clear.
pub type Writes = BTreeMap<Attribute, Option<Value>>;

impl Value {
    /// The text in which a free element is kept, whatever its type.
    pub fn kept(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Count(number) => number.to_string(),
            Self::Instant(at) => at.to_string(),
            Self::Flag(flag) => flag.to_string(),
        }
    }

    /// A free element's value as it is mapped now; text that is no such value stays text.
    pub fn of_kept(text: &str, mapped: &Mapped) -> Self {
        let read = match mapped.value_type {
            ValueType::Text => None,
            ValueType::Count => text.parse().ok().map(Self::Count),
            ValueType::Flag => text.parse().ok().map(Self::Flag),
            ValueType::Instant => {
                let at = Timestamp::parse(text, "UTC", crate::clock::DayEdge::Start);
                at.ok().map(Self::Instant)
            }
        };
        read.unwrap_or_else(|| Self::Text(text.to_owned()))
    }
}

/// Everything that a token in our own store says of itself, but for its payload.
pub fn values_of(listing: &Listing, mapped: &[Mapped]) -> Values {
    let (token, airlock) = (&listing.token, &listing.token.airlock);
    let mut values = Values::new();
    let mut put = |attribute, value: Option<Value>| {
        if let Some(value) = value {
            values.insert(attribute, value);
        }
    };
    let text = |text: &Option<String>| text.clone().map(Value::Text);
    // A beginning that nobody asked for is none.
    let begins = Some(token.validity.not_before()).filter(|at| *at != token.created_at);
    // A rotated secret was made anew.
    let made = token.secrets.first().map_or(token.created_at, |facts| facts.created_at);
    put(Attribute::Serial, text(&airlock.serial));
    put(Attribute::Enabled, Some(Value::Flag(token.enabled)));
    put(Attribute::ActivationDate, token.activated_at.map(Value::Instant));
    put(Attribute::ValidFrom, begins.map(Value::Instant));
    put(Attribute::ValidTo, token.validity.expires_at().map(Value::Instant));
    put(Attribute::GenerationDate, Some(Value::Instant(made)));
    put(Attribute::FirstUsageDate, listing.first_at.map(Value::Instant));
    put(Attribute::LatestUsageDate, listing.last_at.map(Value::Instant));
    put(Attribute::TotalUsages, Some(Value::Count(listing.total)));
    put(Attribute::TrackingId, text(&airlock.tracking_id));
    put(Attribute::Encoding, text(&airlock.data_encoding));
    put(Attribute::DeliveryDate, airlock.delivery_date.map(Value::Instant));
    put(Attribute::MaxUsages, token.max_usages.map(Value::Count));
    for shown in mapped {
        if let Attribute::Element(number) = shown.attribute {
            let kept = airlock.generic_data.get(&number);
            put(shown.attribute, kept.map(|text| Value::of_kept(text, shown)));
        }
    }
    values
}
