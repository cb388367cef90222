//! The attributes of a repository's token, by the names that Airlock IAM suggests for them.

/// What a value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// Text.
    Text,
    /// A whole number that is not negative.
    Count,
    /// An instant; a date is a day of the realm's zone.
    Instant,
    /// `true` or `false`.
    Flag,
}

impl ValueType {
    /// Every type.
    pub const ALL: [Self; 4] = [Self::Text, Self::Count, Self::Instant, Self::Flag];

    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Count => "integer",
            Self::Instant => "date",
            Self::Flag => "boolean",
        }
    }

    /// The type of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// How many free elements a token has (Airlock IAM's Generic Data Element 1 to 12).
pub const ELEMENTS: u8 = 12;

/// An attribute of a repository's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attribute {
    /// The serial number printed on or known of the token.
    Serial,
    /// Switched on.
    Enabled,
    /// When it first became usable.
    ActivationDate,
    /// From when on it counts.
    ValidFrom,
    /// Until when it counts.
    ValidTo,
    /// When it was made.
    GenerationDate,
    /// When it was first used.
    FirstUsageDate,
    /// When it was last used.
    LatestUsageDate,
    /// How often it was used.
    TotalUsages,
    /// A foreign reference: an order, a shipment.
    TrackingId,
    /// The payload.
    Data,
    /// Whether the payload is text or Base64.
    Encoding,
    /// When a letter or card went out.
    DeliveryDate,
    /// Uses allowed in all. Ours.
    MaxUsages,
    /// A free element, 1 to 12.
    Element(u8),
}

/// The attributes that are no free element, by the names in the configuration.
const NAMED: [(Attribute, &str); 14] = [
    (Attribute::Serial, "serialId"),
    (Attribute::Enabled, "enabled"),
    (Attribute::ActivationDate, "activationDate"),
    (Attribute::ValidFrom, "validFrom"),
    (Attribute::ValidTo, "validTo"),
    (Attribute::GenerationDate, "generationDate"),
    (Attribute::FirstUsageDate, "firstUsageDate"),
    (Attribute::LatestUsageDate, "latestUsageDate"),
    (Attribute::TotalUsages, "totalUsages"),
    (Attribute::TrackingId, "trackingId"),
    (Attribute::Data, "data"),
    (Attribute::Encoding, "encoding"),
    (Attribute::DeliveryDate, "deliveryDate"),
    (Attribute::MaxUsages, "maxUsages"),
];

/// How the names of free elements begin.
const ELEMENT_PREFIX: &str = "genericDataElement";

impl Attribute {
    /// Every attribute, in the order in which they are shown.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMED.into_iter().map(|(one, _)| one).chain((1..=ELEMENTS).map(Self::Element))
    }

    /// The name in the configuration, and on the wire unless it is renamed.
    pub fn name(self) -> String {
        if let Self::Element(number) = self {
            return format!("{ELEMENT_PREFIX}{number}");
        }
        let known = NAMED.iter().find(|(one, _)| *one == self);
        known.map_or_else(String::new, |(_, name)| (*name).to_owned())
    }

    /// The attribute of a name in the configuration, whatever the case of its letters: environment
    /// variables have one case only. `serialNumber` is what credentials call their serial.
    pub fn from_name(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("serialNumber") {
            return Some(Self::Serial);
        }
        Self::all().find(|one| one.name().eq_ignore_ascii_case(name))
    }

    /// Whether nobody can write it (Airlock IAM's six). Enabling is an act.
    pub const fn is_read_only(self) -> bool {
        matches!(
            self,
            Self::Enabled
                | Self::ActivationDate
                | Self::GenerationDate
                | Self::FirstUsageDate
                | Self::LatestUsageDate
                | Self::TotalUsages
        )
    }

    /// What its value looks like, unless it is a free element that is configured otherwise.
    pub const fn value_type(self) -> ValueType {
        match self {
            Self::Enabled => ValueType::Flag,
            Self::ActivationDate
            | Self::ValidFrom
            | Self::ValidTo
            | Self::GenerationDate
            | Self::FirstUsageDate
            | Self::LatestUsageDate
            | Self::DeliveryDate => ValueType::Instant,
            Self::TotalUsages | Self::MaxUsages => ValueType::Count,
            Self::Serial | Self::TrackingId | Self::Data | Self::Encoding | Self::Element(_) => {
                ValueType::Text
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_is_found_by_its_name() {
        for one in Attribute::all() {
            assert_eq!(Attribute::from_name(&one.name()), Some(one));
            assert_eq!(Attribute::from_name(&one.name().to_lowercase()), Some(one));
        }
        assert_eq!(Attribute::all().filter(|one| one.is_read_only()).count(), 6);
        assert_eq!(Attribute::from_name("genericDataElement13"), None);
        assert_eq!(Attribute::from_name("genericDataElement0"), None);
    }
}
