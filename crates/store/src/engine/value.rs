//! The few types that every engine can store, and rows of them.

use std::borrow::Cow;
use std::net::IpAddr;

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::names::{
    ClientName, GroupName, RealmName, ServiceLabel, TargetName, Username,
};
use counterfoil_authority::secret::TokenId;

/// A value to bind, or one that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// Absent.
    Null,
    /// A number, an instant in microseconds, or a boolean.
    Int(i64),
    /// Text.
    Text(Cow<'a, str>),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
}

impl Value<'_> {
    /// The same value, borrowing from nobody.
    pub(crate) fn detached(&self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Int(number) => Value::Int(*number),
            Self::Text(text) => Value::Text(Cow::Owned(text.clone().into_owned())),
            Self::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.clone().into_owned())),
        }
    }
}

/// Values to bind, in the order of their placeholders.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        [$($crate::engine::Value::from($value)),*]
    };
}
pub(crate) use values;

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u32> for Value<'_> {
    fn from(value: u32) -> Self {
        Self::Int(i64::from(value))
    }
}

/// Counts beyond what 63 bits hold do not occur; one that did would stay at that bound.
impl From<u64> for Value<'_> {
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(value: Timestamp) -> Self {
        Self::Int(value.micros())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(Cow::Borrowed(value))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(Cow::Borrowed(value))
    }
}

impl From<String> for Value<'_> {
    fn from(value: String) -> Self {
        Self::Text(Cow::Owned(value))
    }
}

impl<'a> From<Cow<'a, str>> for Value<'a> {
    fn from(value: Cow<'a, str>) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(value))
    }
}

impl<'a> From<&'a [u8; 32]> for Value<'a> {
    fn from(value: &'a [u8; 32]) -> Self {
        Self::Bytes(Cow::Borrowed(value))
    }
}

impl<'a> From<&'a TokenId> for Value<'a> {
    fn from(value: &'a TokenId) -> Self {
        Self::from(value.as_str())
    }
}

impl From<IpAddr> for Value<'_> {
    fn from(value: IpAddr) -> Self {
        Self::from(value.to_string())
    }
}

/// Declares that a name is bound as its canonical text.
macro_rules! bound_as_text {
    ($($name:ty),*) => {
        $(impl<'a> From<&'a $name> for Value<'a> {
            fn from(value: &'a $name) -> Self {
                Self::from(value.as_str())
            }
        })*
    };
}
bound_as_text!(RealmName, Username, GroupName, ClientName, ServiceLabel, TargetName);

impl<'a, T> From<Option<T>> for Value<'a>
where
    Value<'a>: From<T>,
{
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::from)
    }
}

/// A column holds what no version of this program writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the column {column} holds an unexpected value")]
pub(crate) struct Inconsistent {
    /// The column, as the reader calls it.
    pub(crate) column: &'static str,
}

/// One row, read from left to right.
///
/// Each getter takes the next column; its name serves only to say where a row is wrong.
#[derive(Debug, Clone)]
pub(crate) struct Row(std::vec::IntoIter<Value<'static>>);

impl Row {
    /// A row of these columns.
    pub(crate) fn new(columns: Vec<Value<'static>>) -> Self {
        Self(columns.into_iter())
    }

    /// Its columns that nobody has read.
    pub(crate) fn into_values(self) -> Vec<Value<'static>> {
        self.0.collect()
    }

    /// Text or nothing.
    pub(crate) fn text_or_null(
        &mut self,
        column: &'static str,
    ) -> Result<Option<String>, Inconsistent> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(Some(text.into_owned())),
            Some(Value::Null) => Ok(None),
            _ => Err(Inconsistent { column }),
        }
    }

    /// Text.
    pub(crate) fn text(&mut self, column: &'static str) -> Result<String, Inconsistent> {
        self.text_or_null(column)?.ok_or(Inconsistent { column })
    }

    /// Text that `parse` understands.
    pub(crate) fn parsed<T>(
        &mut self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Inconsistent> {
        self.parsed_or_null(column, parse)?.ok_or(Inconsistent { column })
    }

    /// Text that `parse` understands, or nothing.
    pub(crate) fn parsed_or_null<T>(
        &mut self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Inconsistent> {
        match self.0.next() {
            Some(Value::Text(text)) => parse(&text).map(Some).ok_or(Inconsistent { column }),
            Some(Value::Null) => Ok(None),
            _ => Err(Inconsistent { column }),
        }
    }

    /// A number or nothing.
    pub(crate) fn int_or_null(
        &mut self,
        column: &'static str,
    ) -> Result<Option<i64>, Inconsistent> {
        match self.0.next() {
            Some(Value::Int(number)) => Ok(Some(number)),
            Some(Value::Null) => Ok(None),
            _ => Err(Inconsistent { column }),
        }
    }

    /// A number.
    pub(crate) fn int(&mut self, column: &'static str) -> Result<i64, Inconsistent> {
        self.int_or_null(column)?.ok_or(Inconsistent { column })
    }

    /// A number that is not negative.
    pub(crate) fn count(&mut self, column: &'static str) -> Result<u64, Inconsistent> {
        self.count_or_null(column)?.ok_or(Inconsistent { column })
    }

    /// A number that is not negative, or nothing.
    pub(crate) fn count_or_null(
        &mut self,
        column: &'static str,
    ) -> Result<Option<u64>, Inconsistent> {
        let number = self.int_or_null(column)?;
        number.map(u64::try_from).transpose().map_err(|_| Inconsistent { column })
    }

    /// A number of at most 32 bits that is not negative.
    pub(crate) fn small(&mut self, column: &'static str) -> Result<u32, Inconsistent> {
        u32::try_from(self.int(column)?).map_err(|_| Inconsistent { column })
    }

    /// A boolean.
    pub(crate) fn flag(&mut self, column: &'static str) -> Result<bool, Inconsistent> {
        match self.int(column)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Inconsistent { column }),
        }
    }

    /// An instant.
    pub(crate) fn time(&mut self, column: &'static str) -> Result<Timestamp, Inconsistent> {
        self.int(column).map(Timestamp::from_micros)
    }

    /// An instant or nothing.
    pub(crate) fn time_or_null(
        &mut self,
        column: &'static str,
    ) -> Result<Option<Timestamp>, Inconsistent> {
        Ok(self.int_or_null(column)?.map(Timestamp::from_micros))
    }

    /// Bytes.
    pub(crate) fn bytes(&mut self, column: &'static str) -> Result<Vec<u8>, Inconsistent> {
        match self.0.next() {
            Some(Value::Bytes(bytes)) => Ok(bytes.into_owned()),
            _ => Err(Inconsistent { column }),
        }
    }

    /// Bytes or nothing.
    pub(crate) fn bytes_or_null(
        &mut self,
        column: &'static str,
    ) -> Result<Option<Vec<u8>>, Inconsistent> {
        match self.0.next() {
            Some(Value::Bytes(bytes)) => Ok(Some(bytes.into_owned())),
            Some(Value::Null) => Ok(None),
            _ => Err(Inconsistent { column }),
        }
    }

    /// Passes over columns that nobody reads.
    pub(crate) fn skip(&mut self, columns: usize) {
        self.0.by_ref().take(columns).for_each(drop);
    }

    /// Exactly 32 bytes.
    pub(crate) fn bytes32(&mut self, column: &'static str) -> Result<[u8; 32], Inconsistent> {
        self.bytes(column)?.try_into().map_err(|_| Inconsistent { column })
    }

    /// The id of a token.
    pub(crate) fn token(&mut self, column: &'static str) -> Result<TokenId, Inconsistent> {
        self.parsed(column, TokenId::parse)
    }

    /// The id of a token or nothing.
    pub(crate) fn token_or_null(
        &mut self,
        column: &'static str,
    ) -> Result<Option<TokenId>, Inconsistent> {
        self.parsed_or_null(column, TokenId::parse)
    }

    /// JSON text.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(
        &mut self,
        column: &'static str,
    ) -> Result<T, Inconsistent> {
        self.parsed(column, |text| serde_json::from_str(text).ok())
    }

    /// JSON text or nothing.
    pub(crate) fn json_or_null<T: serde::de::DeserializeOwned>(
        &mut self,
        column: &'static str,
    ) -> Result<Option<T>, Inconsistent> {
        self.parsed_or_null(column, |text| serde_json::from_str(text).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_column_is_named() {
        let mut row = Row::new(values![1_i64, "x", Option::<i64>::None].to_vec());
        assert_eq!(row.flag("enabled"), Ok(true));
        assert_eq!(row.int("version"), Err(Inconsistent { column: "version" }));
        assert_eq!(row.time("at"), Err(Inconsistent { column: "at" }));
        assert_eq!(row.text_or_null("beyond"), Err(Inconsistent { column: "beyond" }));
    }
}
