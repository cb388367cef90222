//! Values on the wire: the few types that every engine can store, in binary form.

use std::borrow::Cow;
use std::error::Error as StdError;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::engine::{Row, Value};

/// A statement expects another type than the one that is bound to it.
#[derive(Debug, thiserror::Error)]
#[error("a value cannot be sent as {0}")]
pub(super) struct WrongType(Type);

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match (self, ty) {
            (Value::Null, _) => return Ok(IsNull::Yes),
            (Value::Int(number), &Type::INT8) => out.put_i64(*number),
            // A number that is only compared with a literal has 32 bits there.
            (Value::Int(number), &Type::INT4) => out.put_i32(i32::try_from(*number)?),
            (Value::Text(text), &Type::TEXT | &Type::VARCHAR) => out.put_slice(text.as_bytes()),
            (Value::Bytes(bytes), &Type::BYTEA) => out.put_slice(bytes),
            _ => return Err(Box::new(WrongType(ty.clone()))),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A column as it was read.
struct Column(Value<'static>);

impl<'a> FromSql<'a> for Column {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(match *ty {
            Type::INT8 => Value::Int(i64::from_be_bytes(raw.try_into()?)),
            Type::INT4 => Value::Int(i64::from(i32::from_be_bytes(raw.try_into()?))),
            Type::TEXT | Type::VARCHAR => {
                Value::Text(Cow::Owned(std::str::from_utf8(raw)?.to_owned()))
            }
            Type::BYTEA => Value::Bytes(Cow::Owned(raw.to_vec())),
            // No column has another type; empty bytes make the getter report it.
            _ => Value::Bytes(Cow::Borrowed(&[])),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(Value::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// The driver's row as ours.
pub(super) fn row_of(row: &tokio_postgres::Row) -> Result<Row, tokio_postgres::Error> {
    let columns = (0..row.len()).map(|place| row.try_get::<_, Column>(place).map(|c| c.0));
    Ok(Row::new(columns.collect::<Result<_, _>>()?))
}
