//! Usage that arrives in masses: appended first, added to each token's row later.
//!
//! Ids are random, so the tokens of one flush lie on as many pages of
//! `token_usage` as there are tokens. A flush of tens of thousands therefore
//! becomes a few hundred rows of `usage_journal`, each with the deltas of
//! tokens whose ids are neighbours; settling takes one such neighbourhood at a
//! time, with everything that gathered for it, and then every page is worth its
//! while. Nothing is lost in between: the journal is part of the database.

use std::net::IpAddr;

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::UsageDelta;

use crate::engine::{Failure, Inconsistent, Transaction, Value, values};

/// Tokens in a flush from which on it is appended instead of added: below, about four
/// milliseconds of the writer's time make the journal pointless.
pub(super) const MASS: usize = 512;

/// First byte of every row, so that a later form can be told apart.
const FORM: u8 = 1;
/// An address of four bytes follows.
const HAS_V4: u8 = 1;
/// An address of sixteen bytes follows.
const HAS_V6: u8 = 2;
/// The instants of the first and the last use follow.
const HAS_TIMES: u8 = 4;
/// The token is of a repository.
const IS_LISTED: u8 = 8;
/// Bytes of a usual delta.
const DELTA_BYTES: usize = 32;

const APPEND: &str = "
insert into usage_journal (bucket, deltas)
values ($1, $2)";

/// The neighbourhood that has waited longest.
const NEXT: &str = "
select bucket
from   usage_journal
order  by seq
limit  1";

const TAKE: &str = "
delete from usage_journal
where  bucket = $1
returning deltas";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[APPEND, NEXT, TAKE];

/// The neighbourhood of an id, by its first two characters: 248 of them in the order of ids, so
/// that one of a million tokens' holds four thousand.
fn bucket_of(id: &TokenId) -> i64 {
    let place = |byte: u8| match byte {
        b'0'..=b'9' => i64::from(byte - b'0'),
        b'A'..=b'Z' => i64::from(byte - b'A') + 10,
        b'a'..=b'z' => i64::from(byte - b'a') + 36,
        _ => 0,
    };
    let [first, second, ..] = id.as_bytes();
    place(*first) * 4 + place(*second) / 16
}

/// Appends deltas that are in the order of their ids.
pub(super) async fn append(tx: &mut Transaction<'_>, usage: &[UsageDelta]) -> Result<(), Failure> {
    let neighbourhoods = usage.chunk_by(|a, b| bucket_of(&a.token) == bucket_of(&b.token));
    let sets: Vec<Vec<Value<'_>>> = neighbourhoods
        .filter_map(|deltas| {
            let bucket = bucket_of(&deltas.first()?.token);
            Some(vec![Value::Int(bucket), Value::Bytes(written(deltas).into())])
        })
        .collect();
    tx.execute_each(APPEND, &sets).await
}

/// Whether anything waits to be settled.
pub(super) async fn is_waiting(tx: &mut Transaction<'_>) -> Result<bool, Failure> {
    tx.exists(NEXT, &[]).await
}

/// Takes everything out that gathered for one neighbourhood, summed up by token in the order of
/// ids; `None` if the journal is empty.
pub(super) async fn take(tx: &mut Transaction<'_>) -> Result<Option<Vec<UsageDelta>>, Failure> {
    let Some(mut next) = tx.row(NEXT, &[]).await? else { return Ok(None) };
    let bucket = next.int("bucket")?;
    let mut deltas = Vec::new();
    for mut row in tx.query(TAKE, &values![bucket]).await? {
        read(&row.bytes("deltas")?, &mut deltas).ok_or(Inconsistent { column: "deltas" })?;
    }
    Ok(Some(summed(deltas)))
}

/// One delta per token, in the order of ids.
fn summed(mut deltas: Vec<UsageDelta>) -> Vec<UsageDelta> {
    deltas.sort_by_key(|delta| *delta.token.as_bytes());
    deltas.dedup_by(|next, kept| {
        let same = next.token == kept.token;
        if same {
            kept.accepted += next.accepted;
            kept.denied += next.denied;
            kept.first_at = [kept.first_at, next.first_at].into_iter().flatten().min();
            if kept.last_at < next.last_at {
                kept.last_at = next.last_at;
                kept.last_ip = next.last_ip;
            }
        }
        kept.is_listed |= same && next.is_listed;
        same
    });
    deltas
}

fn written(deltas: &[UsageDelta]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + deltas.len() * DELTA_BYTES);
    out.push(FORM);
    for delta in deltas {
        let times = delta.first_at.zip(delta.last_at);
        let address = match delta.last_ip {
            Some(IpAddr::V4(_)) => HAS_V4,
            Some(IpAddr::V6(_)) => HAS_V6,
            None => 0,
        };
        out.extend_from_slice(delta.token.as_bytes());
        let listed = if delta.is_listed { IS_LISTED } else { 0 };
        out.push(address | listed | if times.is_some() { HAS_TIMES } else { 0 });
        write_number(delta.accepted, &mut out);
        write_number(delta.denied, &mut out);
        if let Some((first, last)) = times {
            out.extend_from_slice(&first.micros().to_le_bytes());
            out.extend_from_slice(&last.micros().to_le_bytes());
        }
        match delta.last_ip {
            Some(IpAddr::V4(address)) => out.extend_from_slice(&address.octets()),
            Some(IpAddr::V6(address)) => out.extend_from_slice(&address.octets()),
            None => {}
        }
    }
    out
}

/// Seven bits a byte, the lowest first; the top bit says that more follow.
fn write_number(mut number: u64, out: &mut Vec<u8>) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

/// Reads what [`written`] wrote; `None` if it is anything else.
fn read(bytes: &[u8], into: &mut Vec<UsageDelta>) -> Option<()> {
    let (&form, rest) = bytes.split_first()?;
    let mut rest = (form == FORM).then_some(rest)?;
    while !rest.is_empty() {
        let token = std::str::from_utf8(take_bytes::<12>(&mut rest)?).ok()?;
        let token = TokenId::parse(token)?;
        let [marks] = *take_bytes::<1>(&mut rest)?;
        let (accepted, denied) = (read_number(&mut rest)?, read_number(&mut rest)?);
        let mut instant = || {
            let micros = i64::from_le_bytes(*take_bytes::<8>(&mut rest)?);
            Some(Timestamp::from_micros(micros))
        };
        let (first_at, last_at) = match marks & HAS_TIMES {
            0 => (None, None),
            _ => (Some(instant()?), Some(instant()?)),
        };
        let last_ip = match marks & (HAS_V4 | HAS_V6) {
            0 => None,
            HAS_V4 => Some(IpAddr::from(*take_bytes::<4>(&mut rest)?)),
            HAS_V6 => Some(IpAddr::from(*take_bytes::<16>(&mut rest)?)),
            _ => return None,
        };
        let is_listed = marks & IS_LISTED != 0;
        into.push(UsageDelta { token, accepted, denied, first_at, last_at, last_ip, is_listed });
    }
    Some(())
}

fn take_bytes<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(taken)
}

fn read_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for place in 0..10 {
        let [byte] = *take_bytes::<1>(rest)?;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta(id: &str, accepted: u64, first: i64, last: i64) -> UsageDelta {
        UsageDelta {
            token: TokenId::parse(id).unwrap(),
            accepted,
            denied: 0,
            first_at: Some(Timestamp::from_micros(first)),
            last_at: Some(Timestamp::from_micros(last)),
            last_ip: Some(IpAddr::from([10, 0, 0, 1])),
            is_listed: false,
        }
    }

    #[test]
    fn deltas_come_back_as_they_were_written() {
        let plain = delta("0123456789AB", 1, 5, 7);
        let deltas = [
            plain.clone(),
            UsageDelta { last_ip: Some("2001:db8::9".parse().unwrap()), ..plain.clone() },
            UsageDelta { last_ip: None, accepted: u64::MAX, denied: 128, ..plain.clone() },
            UsageDelta { is_listed: true, ..plain.clone() },
            UsageDelta { first_at: None, last_at: None, last_ip: None, accepted: 0, ..plain },
        ];
        let bytes = written(&deltas);
        let mut found = Vec::new();
        assert_eq!(read(&bytes, &mut found), Some(()));
        assert_eq!(found, deltas);
        for cut in 2..bytes.len() {
            let mut some = Vec::new();
            let whole = read(&bytes[..cut], &mut some).is_some();
            assert!(!whole || deltas.starts_with(&some), "cut at {cut}");
        }
        assert_eq!(read(&[], &mut Vec::new()), None);
        assert_eq!(read(&[2], &mut Vec::new()), None);
    }

    #[test]
    fn neighbourhoods_follow_the_order_of_ids() {
        let ids = ["000000000000", "0Z0000000000", "A00000000000", "Zz0000000000", "zzzzzzzzzzzz"];
        let buckets = ids.map(|id| bucket_of(&TokenId::parse(id).unwrap()));
        assert!(buckets.is_sorted());
        assert_eq!((buckets[0], buckets[4]), (0, 247));
    }

    #[test]
    fn what_gathered_for_a_token_is_summed_up() {
        let deltas = vec![delta("B00000000000", 2, 5, 6), delta("A00000000000", 1, 1, 1), {
            let last_ip = Some(IpAddr::from([10, 0, 0, 2]));
            UsageDelta { last_ip, ..delta("B00000000000", 3, 4, 9) }
        }];
        let found = summed(deltas);
        let expected = UsageDelta {
            last_ip: Some(IpAddr::from([10, 0, 0, 2])),
            ..delta("B00000000000", 5, 4, 9)
        };
        assert_eq!(found, [delta("A00000000000", 1, 1, 1), expected]);
    }
}
