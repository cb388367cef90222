//! Under which names a repository shows its tokens' attributes: a whitelist with new names.

use super::attribute::{Attribute, ValueType};

/// Characters of a text value at most, unless configured otherwise.
pub const TEXT_CHARS_MAX: u32 = 1000;
/// Characters of data at most: 16 KiB as Base64, which a certificate chain fits in.
pub const DATA_CHARS_MAX: u32 = 22_000;

/// An attribute that is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// Which one.
    pub attribute: Attribute,
    /// Its name on the wire.
    pub name: String,
    /// What its value looks like.
    pub value_type: ValueType,
    /// Characters of a text at most.
    pub max_len: u32,
    /// Whether lists can be filtered and sorted by it.
    pub filterable: bool,
    /// Whether it can be written and never read. Such data is kept as a hash, and verifies.
    pub write_only: bool,
    /// Whether a token cannot be without it.
    pub required: bool,
    /// How far ahead an instant may lie, in seconds.
    pub max_ahead_seconds: Option<i64>,
}

impl Mapped {
    /// An attribute under its own name, without conditions.
    pub fn plain(attribute: Attribute) -> Self {
        let max_len = if attribute == Attribute::Data { DATA_CHARS_MAX } else { TEXT_CHARS_MAX };
        Self {
            attribute,
            name: attribute.name(),
            value_type: attribute.value_type(),
            max_len,
            filterable: false,
            write_only: false,
            required: false,
            max_ahead_seconds: None,
        }
    }
}

/// The attributes that a repository shows. What is not in it is neither read nor written.
///
/// Invariant: no attribute and no name occurs twice; in the order of [`Attribute::all`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mapping(Vec<Mapped>);

impl Mapping {
    /// A mapping, or what is wrong with it.
    pub fn new(mut all: Vec<Mapped>) -> Result<Self, String> {
        all.sort_by_key(|mapped| mapped.attribute);
        for (at, mapped) in all.iter().enumerate() {
            let others = all.iter().skip(at + 1);
            for other in others {
                if other.attribute == mapped.attribute {
                    return Err(format!("{} is mapped twice", mapped.attribute.name()));
                }
                if other.name == mapped.name {
                    return Err(format!("two attributes are called {}", mapped.name));
                }
            }
        }
        Ok(Self(all))
    }

    /// All of them.
    pub fn all(&self) -> &[Mapped] {
        &self.0
    }

    /// How an attribute is shown; `None`: it is not.
    pub fn find(&self, attribute: Attribute) -> Option<&Mapped> {
        self.0.iter().find(|mapped| mapped.attribute == attribute)
    }

    /// The attribute that is shown under a name.
    pub fn by_name(&self, name: &str) -> Option<&Mapped> {
        self.0.iter().find(|mapped| mapped.name == name)
    }
}
