//! Tables of seeds, as people have them.

use counterfoil_authority::otp::Method;

use super::*;
use crate::seeds::{Format, SeedFile};

const HEX: &str = "3132333435363738393031323334353637383930";
const BASE32: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const SEED: &[u8] = b"12345678901234567890";

fn read(format: Format, text: &str) -> Result<Vec<OtpRow>, BadFile> {
    SeedFile { format, text, encoding: None, opening: None }.rows()
}

fn csv(text: &str) -> Vec<Result<OtpIncoming, String>> {
    let rows = read(Format::Csv, text).unwrap();
    rows.into_iter().map(|row| row.read.map(|read| *read)).collect()
}

fn seed(incoming: &OtpIncoming) -> &[u8] {
    incoming.otp.seed.as_ref().unwrap().bytes()
}

#[test]
fn the_oath_layout_is_known_by_its_third_field() {
    let text = format!(
        "# a comment\nOATH1, {HEX}, TOTP, 8, 60\nOATH2, {HEX}, hotp, 6, 12\n\nOATH3,{HEX},TOTP\n"
    );
    let rows: Vec<_> = csv(&text).into_iter().map(Result::unwrap).collect();
    let shapes: Vec<_> = rows
        .iter()
        .map(|row| {
            let OtpDraft { method, shape, counter, .. } = &row.otp;
            (row.serial.as_deref().unwrap(), *method, shape.digits, shape.step_seconds, *counter)
        })
        .collect();
    assert_eq!(
        shapes,
        [
            ("OATH1", Method::Totp, 8, 60, 0),
            ("OATH2", Method::Hotp, 6, 30, 12),
            ("OATH3", Method::Totp, 6, 30, 0)
        ]
    );
    assert!(rows.iter().all(|row| seed(row) == SEED && row.user.is_none()));
}

#[test]
fn the_plain_layout_names_a_person_and_what_to_call_the_token() {
    let text = format!("alice,Bank,phone,{BASE32}\r\nbob,,,{}\r\n", BASE32.to_lowercase());
    let rows: Vec<_> = csv(&text).into_iter().map(Result::unwrap).collect();
    let named: Vec<_> =
        rows.iter().map(|row| (row.user.as_ref().unwrap().as_str(), row.name.as_deref())).collect();
    assert_eq!(named, [("alice", Some("Bank: phone")), ("bob", None)]);
    assert!(rows.iter().all(|row| seed(row) == SEED && row.serial.is_none()));
}

#[test]
fn a_heading_says_which_column_is_which() {
    let text = format!("Secret;Serial;Type;Algorithm;Period;User\n{HEX};S1;totp;SHA256;60;alice\n");
    let rows = csv(&text);
    let row = rows[0].as_ref().unwrap();
    assert_eq!(row.otp.shape.algorithm, Algorithm::Sha256);
    assert_eq!(row.user.as_ref().unwrap().as_str(), "alice");
    let bad = read(Format::Csv, "serial,secret,colour\n").unwrap_err();
    assert!(bad.to_string().starts_with("line 1: column 3 is none of"), "{bad}");
}

#[test]
fn what_is_wrong_with_a_line_is_said_without_its_secret() {
    let text = format!(
        "S1,{HEX},totp,6,30\nS2,{HEX}zz,totp\nS3,{HEX},motp\nS4,313233,totp\nS5,,totp\n\
         S6,{HEX},totp,six\nS7,{HEX},hotp,6,x\nS8,{HEX},totp,6,30,md5\nS9,{HEX},totp,6,30,SHA1,x\n"
    );
    let rows = read(Format::Csv, &text).unwrap();
    let said: Vec<_> = rows
        .into_iter()
        .map(|row| (row.line, row.read.err().unwrap_or_else(|| "taken".to_owned())))
        .collect();
    let expected = [
        "taken",
        "the secret is not hex",
        "the type is neither totp nor hotp",
        "a seed has 16 to 64 bytes (128 to 512 bits)",
        "the secret is missing",
        "digits is no number",
        "step is no number",
        "the algorithm is not known",
        "has more fields than columns",
    ];
    for (place, ((line, said), expected)) in said.iter().zip(expected).enumerate() {
        assert_eq!((*line, said.as_str()), (place + 1, expected));
    }
    for text in ["one,two", "a,b,c,d,e", &format!("S1,{HEX}")] {
        let bad = read(Format::Csv, text).unwrap_err().to_string();
        assert!(bad.starts_with("line 1: is neither") && !bad.contains(HEX), "{bad}");
    }
    assert!(read(Format::Csv, "").is_err());
}

#[test]
fn keys_that_yubico_s_tools_wrote_are_read_in_both_forms() {
    let text = "LOGGING START,12/11/2013 11:10\n\
        Yubico OTP,12/11/2013 11:10,1,vvgutbiedkvi,ab86c04de6a3,d26a7c0f85fdda28bd816e406342b214,,,0\n\
        OATH-HOTP,11.12.13 18:55,1,cccccccccccc,,916821d3a138bf855e70069605559a206ba854cd,,,0,0,0,8\n\
        Static Password,11.12.13 19:08,1,,d5a3d50327dc,0e8e37b0e38b314a56748c030f58d21d,,,0\n\
        1234567,dteffuje,8792ebfe26cc,ecde18dbe76fbd0c33330f1c354871db,,2026-01-01T00:00:00\n\
        1234568,dteffuje,8792ebfe26cc,ecde\n";
    let rows = read(Format::Yubico, text).unwrap();
    let read: Vec<_> = rows.iter().map(|row| (row.line, row.read.as_ref())).collect();
    let (line, first) = &read[0];
    let first = first.as_ref().unwrap();
    assert_eq!((*line, first.serial.as_deref()), (2, Some("vvgutbiedkvi")));
    let hotp = read[1].1.as_ref().unwrap();
    assert_eq!((hotp.otp.method, hotp.otp.shape.digits), (Method::Hotp, 8));
    assert!(read[2].1.is_err());
    let keyed = read[3].1.as_ref().unwrap();
    assert_eq!(keyed.serial.as_deref(), Some("1234567"));
    let (device, public) = keyed.otp.device.as_ref().unwrap();
    assert_eq!(public, "dteffuje");
    // The vector of the reference: use counter 19, session 17.
    let otp = "dteffujehknhfjbrjnlnldnhcujvddbikngjrtgh";
    assert_eq!(device.place_of(otp), Some(0x13_11));
    assert_eq!(read[4].1.unwrap_err(), "the AES key is not 32 hexadecimal digits");
}
