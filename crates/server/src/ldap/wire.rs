//! Messages on the wire: where one ends, whether it may be parsed, and how an answer is written.
//!
//! The library that knows the protocol parses recursively and keeps what it has read, so nothing
//! reaches it before its length, its depth and its number of elements are known to be small
//! (RFC 4511 section 5.1; BER as X.690 has it).

use bytes::{Buf, BytesMut};
use ldap3_proto::LdapCodec;
use ldap3_proto::proto::LdapMsg;
use tokio_util::codec::{Decoder, Encoder};

use super::limits::{BER_DEPTH_MAX, BER_ELEMENTS_MAX};

/// The tag of a SEQUENCE, which every message is.
const SEQUENCE: u8 = 0x30;
/// The bit of a tag whose content is elements again.
const CONSTRUCTED: u8 = 0x20;
/// The tag of a message's controls.
const CONTROLS: u8 = 0xa0;
/// The tag of a search (RFC 4511 section 4.5.1).
const SEARCH: u8 = 0x63;
/// What stands in a search before its attributes.
const SEARCH_PARTS_BEFORE: usize = 7;
/// The tags of requests (RFC 4511 section 4.2 to 4.12): bind, unbind, search, modify, add, delete,
/// rename, compare, abandon, extended. The library writes a line about any other to the terminal.
const REQUESTS: [u8; 10] = [0x60, 0x42, 0x63, 0x66, 0x68, 0x4a, 0x6c, 0x6e, 0x50, 0x77];
/// The tag of an INTEGER.
const INTEGER: u8 = 0x02;
/// The tag of an ENUMERATED.
const ENUMERATED: u8 = 0x0a;
/// The tag of a bind (RFC 4511 section 4.2).
const BIND: u8 = 0x60;
/// The tag of its answer.
const BIND_ANSWER: u8 = 0x61;
/// The tag of a password in a bind.
const SIMPLE: u8 = 0x80;
/// The tag of a BOOLEAN.
const BOOLEAN: u8 = 0x01;
/// The tag of an OCTET STRING.
const OCTET_STRING: u8 = 0x04;
/// The lowest byte of an identifier whose tag number needs more bytes: LDAP has none.
const LONG_TAG: u8 = 0x1f;
/// Bytes that a length may take; four of them count what no limit here allows.
const LENGTH_BYTES_MAX: usize = 4;

/// What cannot be a message: the connection ends with a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an LDAP message: {0}")]
pub(crate) struct Malformed(&'static str);

/// A message with what the library does not keep of it.
#[derive(Debug)]
pub(crate) struct Message {
    /// The message.
    pub(crate) parsed: LdapMsg,
    /// The OIDs of its critical controls.
    pub(crate) critical: Vec<String>,
    /// The attributes that a search asks for.
    pub(crate) attributes: Vec<String>,
}

/// The bytes of the first message in `buffer`, or `None` while it is not known yet.
///
/// # Errors
///
/// When it is none, or longer than `most` bytes.
pub(crate) fn length(buffer: &[u8], most: usize) -> Result<Option<usize>, Malformed> {
    match buffer.first() {
        None => return Ok(None),
        Some(&SEQUENCE) => {}
        Some(_) => return Err(Malformed("it does not begin with a sequence")),
    }
    let Some((head, content)) = header(buffer)? else { return Ok(None) };
    match head.checked_add(content) {
        Some(length) if length <= most => Ok(Some(length)),
        _ => Err(Malformed("it is too long")),
    }
}

/// Takes the first message of `length` bytes out of `buffer`.
///
/// # Errors
///
/// When it is malformed, too deep, or of too many elements.
pub(crate) fn take(buffer: &mut BytesMut, length: usize) -> Result<Message, Malformed> {
    let mut frame = buffer.split_to(length.min(buffer.len()));
    let (critical, attributes) = examine(&frame)?;
    // Its own limits are wider than ours and never reached.
    let mut codec = LdapCodec::new(Some(length), Some(BER_DEPTH_MAX * 2));
    let parsed = codec.decode(&mut frame).map_err(|_| Malformed("the library refuses it"))?;
    let parsed = parsed.ok_or(Malformed("it ends early"))?;
    if frame.has_remaining() {
        return Err(Malformed("it is shorter than it says"));
    }
    Ok(Message { parsed, critical, attributes })
}

/// A simple bind without controls, where it stands in its message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SimpleBind<'a> {
    /// The message's number.
    pub(crate) msgid: i32,
    /// The version of the protocol.
    pub(crate) version: i64,
    /// The name.
    pub(crate) dn: &'a str,
    /// The password.
    pub(crate) password: &'a str,
}

/// Reads a simple bind without controls, which is what nearly every message is, without the
/// library and without a copy, to the same effect. `None` for everything else.
pub(crate) fn simple_bind(message: &[u8]) -> Option<SimpleBind<'_>> {
    let (SEQUENCE, body, []) = element(message).ok()? else { return None };
    let (INTEGER, number, rest) = element(body).ok()? else { return None };
    let (BIND, bind, []) = element(rest).ok()? else { return None };
    let (INTEGER, [version @ 0..=0x7f], rest) = element(bind).ok()? else { return None };
    let (OCTET_STRING, dn, rest) = element(rest).ok()? else { return None };
    let (SIMPLE, password, []) = element(rest).ok()? else { return None };
    // A first bit that is set makes a number negative.
    if number.is_empty() || number.len() > 4 || number.first().is_some_and(|&byte| byte > 0x7f) {
        return None;
    }
    let msgid = number.iter().fold(0_i32, |sum, &byte| sum << 8 | i32::from(byte));
    let (dn, password) = (std::str::from_utf8(dn).ok()?, std::str::from_utf8(password).ok()?);
    Some(SimpleBind { msgid, version: i64::from(*version), dn, password })
}

#[cfg(test)]
impl SimpleBind<'_> {
    /// The same as the library has it.
    fn as_message(&self) -> LdapMsg {
        use ldap3_proto::proto::{LdapBindCred, LdapBindRequest, LdapOp};

        let Self { msgid, version, dn, password } = *self;
        let cred = LdapBindCred::Simple(password.to_owned());
        let request = LdapBindRequest { version, dn: dn.to_owned(), cred };
        LdapMsg::new(msgid, LdapOp::BindRequest(request))
    }
}

/// Whether a bind that is read without the library reads the same with it.
#[cfg(test)]
pub(crate) fn reads_as_the_library(frame: &[u8]) -> bool {
    let by_the_library = || LdapCodec::default().decode(&mut BytesMut::from(frame)).ok().flatten();
    simple_bind(frame).is_none_or(|read| by_the_library() == Some(read.as_message()))
}

/// The answer to a bind that has no text, written without the library, to the same effect.
pub(crate) fn bind_answer(msgid: i32, code: u8) -> BytesMut {
    let number = msgid.to_be_bytes();
    // The shortest form that keeps the sign (X.690 section 8.3.2).
    let zeros = number.iter().take(3).take_while(|&&byte| byte == 0).count();
    let keep = if number.get(zeros).is_some_and(|&byte| byte > 0x7f) { zeros - 1 } else { zeros };
    let number = number.get(keep..).unwrap_or_default();
    // At most four bytes of number and eleven more.
    let length = u8::try_from(number.len()).unwrap_or_default();
    let mut answer = BytesMut::with_capacity(18);
    answer.extend_from_slice(&[SEQUENCE, length + 11, INTEGER, length]);
    answer.extend_from_slice(number);
    answer.extend_from_slice(&[BIND_ANSWER, 7, ENUMERATED, 1, code, OCTET_STRING, 0]);
    answer.extend_from_slice(&[OCTET_STRING, 0]);
    answer
}

/// Appends an answer to `out`. False if the library cannot write it.
pub(crate) fn put(answer: LdapMsg, out: &mut BytesMut) -> bool {
    LdapCodec::default().encode(answer, out).is_ok()
}

/// The length of an element's head and of its content; `None` while the head is not whole.
fn header(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let [tag, rest @ ..] = bytes else { return Ok(None) };
    if tag & LONG_TAG == LONG_TAG {
        return Err(Malformed("a tag that LDAP does not have"));
    }
    let [first, rest @ ..] = rest else { return Ok(None) };
    if *first < 0x80 {
        return Ok(Some((2, usize::from(*first))));
    }
    let digits = usize::from(*first & 0x7f);
    // RFC 4511 section 5.1: only the definite form of length.
    if digits == 0 || digits > LENGTH_BYTES_MAX {
        return Err(Malformed("a length that LDAP does not have"));
    }
    let Some(digits_read) = rest.get(..digits) else { return Ok(None) };
    let content = digits_read.iter().fold(0_usize, |sum, &digit| sum << 8 | usize::from(digit));
    Ok(Some((2 + digits, content)))
}

/// An element: its tag and its content, and what stands behind it.
fn element(bytes: &[u8]) -> Result<(u8, &[u8], &[u8]), Malformed> {
    let (head, content) = header(bytes)?.ok_or(Malformed("an element ends early"))?;
    let tag = bytes.first().copied().unwrap_or_default();
    let end = head.checked_add(content).ok_or(Malformed("an element ends early"))?;
    match (bytes.get(head..end), bytes.get(end..)) {
        (Some(content), Some(rest)) => Ok((tag, content, rest)),
        _ => Err(Malformed("an element ends early")),
    }
}

/// Walks over a whole message, without recursion; the OIDs of its critical controls, and the
/// attributes that it asks for.
fn examine(message: &[u8]) -> Result<(Vec<String>, Vec<String>), Malformed> {
    let (_, body, behind) = element(message)?;
    if !behind.is_empty() {
        return Err(Malformed("it is shorter than it says"));
    }
    let mut open = vec![body];
    let mut elements = 0;
    while let Some(bytes) = open.pop() {
        if bytes.is_empty() {
            continue;
        }
        let (tag, content, rest) = element(bytes)?;
        elements += 1;
        if elements > BER_ELEMENTS_MAX {
            return Err(Malformed("it has too many elements"));
        }
        open.push(rest);
        if tag & CONSTRUCTED != 0 {
            open.push(content);
        }
        if open.len() > BER_DEPTH_MAX {
            return Err(Malformed("it is too deep"));
        }
    }
    let (_, _, rest) = element(body)?;
    let (operation, _, _) = element(rest)?;
    if !REQUESTS.contains(&operation) {
        return Err(Malformed("it is no request"));
    }
    Ok((critical_in(body)?, attributes_in(body)?))
}

/// The attributes of a search, as they were written.
fn attributes_in(body: &[u8]) -> Result<Vec<String>, Malformed> {
    let (_, _, rest) = element(body)?;
    let (SEARCH, mut search, _) = element(rest)? else { return Ok(Vec::new()) };
    for _ in 0..SEARCH_PARTS_BEFORE {
        (_, _, search) = element(search)?;
    }
    let (_, mut selection, _) = element(search)?;
    let mut attributes = Vec::new();
    while !selection.is_empty() {
        let (_, name, rest) = element(selection)?;
        attributes.push(String::from_utf8_lossy(name).into_owned());
        selection = rest;
    }
    Ok(attributes)
}

/// The OIDs of the critical controls in a message's body (RFC 4511 section 4.1.11).
fn critical_in(body: &[u8]) -> Result<Vec<String>, Malformed> {
    let (_, _, rest) = element(body)?;
    let (_, _, rest) = element(rest)?;
    let mut critical = Vec::new();
    if rest.is_empty() {
        return Ok(critical);
    }
    let (CONTROLS, mut controls, _) = element(rest)? else { return Ok(critical) };
    while !controls.is_empty() {
        let (_, control, next) = element(controls)?;
        controls = next;
        let (OCTET_STRING, oid, rest) = element(control)? else {
            return Err(Malformed("a control without an OID"));
        };
        if rest.is_empty() {
            continue;
        }
        if let (BOOLEAN, [flag], _) = element(rest)?
            && *flag != 0
        {
            critical.push(String::from_utf8_lossy(oid).into_owned());
        }
    }
    Ok(critical)
}

#[cfg(test)]
mod tests {
    use ldap3_proto::proto::{LdapBindCred, LdapBindRequest, LdapOp};
    use proptest::prelude::*;

    use super::*;

    fn bind() -> BytesMut {
        let cred = LdapBindCred::Simple("secret".to_owned());
        let request = LdapBindRequest { version: 3, dn: "cn=a".to_owned(), cred };
        let mut bytes = BytesMut::new();
        assert!(put(LdapMsg::new(1, LdapOp::BindRequest(request)), &mut bytes));
        bytes
    }

    #[test]
    fn a_message_is_whole_when_its_length_is_there() {
        let whole = bind();
        for end in 0..2 {
            assert_eq!(length(&whole[..end], 100), Ok(None));
        }
        assert_eq!(length(&whole, 100), Ok(Some(whole.len())));
        let mut buffer = whole.clone();
        buffer.extend_from_slice(&whole);
        let first = take(&mut buffer, whole.len()).unwrap();
        assert!(matches!(first.parsed.op, LdapOp::BindRequest(_)));
        assert_eq!(buffer, whole);
    }

    #[test]
    fn what_is_no_message_is_refused_before_it_is_parsed() {
        for (bytes, why) in [
            (&b"GET / HTTP/1.1"[..], "it does not begin with a sequence"),
            (&[0x30, 0x80, 0, 0], "a length that LDAP does not have"),
            (&[0x30, 0x85, 0, 0, 0, 0, 1], "a length that LDAP does not have"),
            (&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], "it is too long"),
            (&[0x30, 0x82, 0x10, 0], "it is too long"),
        ] {
            assert_eq!(length(bytes, 4096), Err(Malformed(why)), "{bytes:?}");
        }
        let deep: Vec<u8> = (0..60_u8).rev().flat_map(|inner| [0x30, inner * 2]).collect();
        let mut buffer = BytesMut::from(&deep[..]);
        assert_eq!(take(&mut buffer, deep.len()).unwrap_err(), Malformed("it is too deep"));
        let wide = [&[0x30, 0x82, 0x20, 0][..], &[0x05, 0].repeat(4096)].concat();
        let mut buffer = BytesMut::from(&wide[..]);
        let refused = take(&mut buffer, wide.len()).unwrap_err();
        assert_eq!(refused, Malformed("it has too many elements"));
    }

    #[test]
    fn critical_controls_are_found_whatever_the_library_keeps_of_them() {
        // A bind with two controls: 1.2.3 critical, 1.2.4 not.
        let controls = [
            &[0xa0, 21][..],
            &[0x30, 10, 0x04, 5],
            b"1.2.3",
            &[0x01, 1, 0xff],
            &[0x30, 7, 0x04, 5],
            b"1.2.4",
        ]
        .concat();
        let plain = bind();
        let mut message = vec![0x30, u8::try_from(plain.len() - 2 + controls.len()).unwrap()];
        message.extend_from_slice(&plain[2..]);
        message.extend_from_slice(&controls);
        let mut buffer = BytesMut::from(&message[..]);
        let taken = take(&mut buffer, message.len()).unwrap();
        assert_eq!(taken.critical, ["1.2.3"]);
        assert_eq!(taken.parsed.ctrl.len(), 2);
    }

    /// The message as the library reads it.
    fn by_the_library(bytes: &[u8]) -> Option<LdapMsg> {
        LdapCodec::default().decode(&mut BytesMut::from(bytes)).ok().flatten()
    }

    #[test]
    fn a_bind_is_read_and_answered_as_the_library_would() {
        for msgid in [0, 1, 127, 128, 255, 256, 65_535, 65_536, i32::MAX] {
            let mut bytes = BytesMut::new();
            let cred = LdapBindCred::Simple("sécret".to_owned());
            let request = LdapBindRequest { version: 3, dn: "cn=ä".to_owned(), cred };
            assert!(put(LdapMsg::new(msgid, LdapOp::BindRequest(request)), &mut bytes));
            let read = simple_bind(&bytes).unwrap();
            assert_eq!(read.as_message(), by_the_library(&bytes).unwrap());
            for code in [0, 49] {
                let answer = bind_answer(msgid, code);
                let LdapOp::BindResponse(response) = by_the_library(&answer).unwrap().op else {
                    panic!("no answer");
                };
                assert_eq!(response.res.code.clone() as i64, i64::from(code));
                let mut written = BytesMut::new();
                let answered = LdapOp::BindResponse(response);
                assert!(put(LdapMsg::new(msgid, answered), &mut written));
                assert_eq!(written, answer, "{msgid}");
            }
        }
    }

    proptest! {
        /// What is read without the library reads the same with it.
        #[test]
        fn no_bind_is_read_differently(
            at in 0_usize..40,
            byte in any::<u8>(),
            cut in 0_usize..40,
        ) {
            let mut bytes = bind();
            let length = bytes.len();
            bytes[at % length] = byte;
            let _ = bytes.split_off(length - cut % length);
            if let Some(read) = simple_bind(&bytes) {
                prop_assert_eq!(Some(read.as_message()), by_the_library(&bytes));
            }
        }

        /// Whatever comes, it is a message, the beginning of one, or malformed; nothing else.
        #[test]
        fn any_bytes_are_decided_about(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(Some(length)) = length(&bytes, 4096) {
                let mut buffer = BytesMut::from(&bytes[..]);
                if length <= bytes.len() {
                    drop(take(&mut buffer, length));
                }
            }
        }
    }
}
