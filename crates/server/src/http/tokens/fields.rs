//! Fields of tokens that no other resource has.

use std::collections::BTreeMap;

use counterfoil_authority::authority::Delivery;
use counterfoil_authority::names::ServiceLabel;
use counterfoil_authority::service::Services;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use utoipa::openapi::schema::ObjectBuilder;

use crate::http::problem::Problem;
use crate::http::wire::{Labels, Line, List, Parsed, Word};

/// Bytes of constraints or of a stamp at most, as JSON text.
const DOCUMENT_BYTES_MAX: usize = 8192;
/// The largest count: the largest number that every JSON reader understands (RFC 8259 section 6).
const COUNT_MAX: u64 = (1 << 53) - 1;
/// The highest number of a free element.
const GENERIC_DATA_MAX: u8 = 12;

/// One of a token's services: a label, or `*`.
#[derive(Debug, Clone)]
pub(in crate::http) struct ServiceChoice(Option<ServiceLabel>);

impl Word for ServiceChoice {
    const NAME: &'static str = "ServiceChoice";

    fn read(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self(None));
        }
        ServiceLabel::parse(text).map(|label| Self(Some(label))).map_err(|bad| bad.to_string())
    }

    fn narrow(object: ObjectBuilder) -> ObjectBuilder {
        object.pattern(Some(r"^(\*|[a-z0-9][a-z0-9._-]*)$")).max_length(Some(63))
    }
}

/// Services of a token.
pub(in crate::http) type ServiceChoices = List<ServiceChoice>;

/// Free elements, `1` to `12`.
#[derive(Debug, Default)]
pub(super) struct GenericData(pub(super) BTreeMap<u8, String>);

impl<'de> Deserialize<'de> for GenericData {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Labels(named) = Labels::deserialize(deserializer)?;
        let numbered = named.into_iter().map(|(name, value)| {
            let number = name.parse().ok().filter(|n| (1..=GENERIC_DATA_MAX).contains(n));
            let why = "its names are the numbers 1 to 12";
            number.map(|n| (n, value)).ok_or_else(|| serde::de::Error::custom(why))
        });
        numbered.collect::<Result<_, _>>().map(Self)
    }
}

/// A JSON object of limited size that is kept as text.
#[derive(Debug)]
pub(super) struct Document(pub(super) String);

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = serde_json::Map::<String, Value>::deserialize(deserializer)?;
        let text = Value::Object(map).to_string();
        if text.len() > DOCUMENT_BYTES_MAX {
            let why = format!("must have at most {DOCUMENT_BYTES_MAX} bytes");
            return Err(serde::de::Error::custom(why));
        }
        Ok(Self(text))
    }
}

/// How the secret reaches its owner.
pub(super) type DeliveryWord = Parsed<Delivery>;

impl Word for Delivery {
    const NAME: &'static str = "Delivery";

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "response" => Ok(Self::Response),
            "link" => Ok(Self::Link),
            _ => Err("expected response or link".to_owned()),
        }
    }

    fn narrow(object: ObjectBuilder) -> ObjectBuilder {
        object.enum_values(Some(["response", "link"]))
    }
}

pub(super) fn text(line: Option<Parsed<Line>>) -> Option<String> {
    line.map(|line| line.0.0)
}

pub(in crate::http) fn chosen(choices: ServiceChoices) -> Result<Services, Problem> {
    let count = choices.0.len();
    let mut labels: Vec<ServiceLabel> =
        choices.0.into_iter().filter_map(|choice| choice.0).collect();
    match (count - labels.len(), labels.is_empty()) {
        (0, _) => {
            let mut seen = std::collections::BTreeSet::new();
            labels.retain(|label| seen.insert(label.clone()));
            Ok(Services::Named(labels))
        }
        (_, true) => Ok(Services::All),
        _ => Err(Problem::invalid("services", "* stands alone")),
    }
}

/// Refuses a limit that would allow nothing, or that not every reader could read back.
pub(in crate::http) fn check_count(field: &str, count: Option<u64>) -> Result<(), Problem> {
    match count {
        Some(0) => Err(Problem::invalid(field, "must be at least 1; null is unlimited")),
        Some(count) if count > COUNT_MAX => {
            Err(Problem::invalid(field, format!("must be at most {COUNT_MAX}")))
        }
        _ => Ok(()),
    }
}
