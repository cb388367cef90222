//! Key containers: the examples of RFC 6030, and what is wrong with others.

use counterfoil_authority::clock::{DayEdge, Timestamp};
use counterfoil_authority::otp::Method;
use counterfoil_authority::secret::ClearSecret;

use super::*;
use crate::seeds::{Format, SeedFile};

/// The seed of every example: `12345678901234567890`.
const SEED: &[u8] = b"12345678901234567890";
const SEED_BASE64: &str = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=";
/// RFC 6030 section 6.1.
const KEY: &str = "12345678901234567890123456789012";
/// RFC 6030 section 6.2.
pub(crate) const PASSWORD: &str = "qwerty";

fn read(text: &str, opening: Option<Opening>) -> Result<Vec<OtpRow>, BadFile> {
    SeedFile { format: Format::Pskc, text, encoding: None, opening }.rows()
}

fn container(inside: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <KeyContainer Version=\"1.0\" Id=\"exampleID1\" xmlns=\"{NAMESPACE}\" \
         xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" \
         xmlns:xenc=\"http://www.w3.org/2001/04/xmlenc#\">\n{inside}\n</KeyContainer>"
    )
}

/// A package as in figure 3, with this between `Issuer` and `Data`, and with this data.
fn package(algorithm: &str, between: &str, data: &str) -> String {
    format!(
        "<KeyPackage><DeviceInfo><Manufacturer>Manufacturer</Manufacturer>\
         <SerialNo>987654321</SerialNo><UserId>DC=example-bank,DC=net</UserId></DeviceInfo>\
         <CryptoModuleInfo><Id>CM_ID_001</Id></CryptoModuleInfo>\
         <Key Id=\"12345678\" Algorithm=\"urn:ietf:params:xml:ns:keyprov:pskc:{algorithm}\">\
         <Issuer>Issuer</Issuer>{between}<Data>{data}</Data></Key></KeyPackage>"
    )
    .replace("<UserId>DC=example-bank,DC=net</UserId>", "")
}

fn plain(secret: &str) -> String {
    format!("<Secret><PlainValue>{secret}</PlainValue></Secret>")
}

const EIGHT_DIGITS: &str = "<AlgorithmParameters><ResponseFormat Length=\"8\" Encoding=\"DECIMAL\"/></AlgorithmParameters>";

fn one(text: &str, opening: Option<Opening>) -> Result<OtpIncoming, String> {
    let mut rows = read(text, opening).unwrap();
    assert_eq!(rows.len(), 1);
    rows.remove(0).read.map(|read| *read)
}

fn refusal(text: &str) -> String {
    one(text, None).unwrap_err()
}

fn seed(incoming: &OtpIncoming) -> &[u8] {
    incoming.otp.seed.as_ref().unwrap().bytes()
}

#[test]
fn figure_2_has_a_seed_that_is_too_short_for_anybody() {
    let text = container(
        "<KeyPackage><Key Id=\"12345678\" \
         Algorithm=\"urn:ietf:params:xml:ns:keyprov:pskc:hotp\"><Issuer>Issuer-A</Issuer>\
         <Data><Secret><PlainValue>MTIzNA==</PlainValue></Secret></Data></Key></KeyPackage>",
    );
    assert_eq!(refusal(&text), "a seed has 16 to 64 bytes (128 to 512 bits)");
}

#[test]
fn figure_3_is_read_with_its_serial_digits_and_counter() {
    let data = format!("{}<Counter><PlainValue>7</PlainValue></Counter>", plain(SEED_BASE64));
    let read = one(&container(&package("hotp", EIGHT_DIGITS, &data)), None).unwrap();
    assert_eq!(seed(&read), SEED);
    assert_eq!((read.otp.method, read.otp.shape.digits, read.otp.counter), (Method::Hotp, 8, 7));
    assert_eq!(read.serial.as_deref(), Some("987654321"));
    assert_eq!(read.labels.get("manufacturer").map(String::as_str), Some("Manufacturer"));
    assert_eq!((read.user, read.expires_at), (None, None));
}

#[test]
fn a_clock_has_its_step_its_hash_its_person_and_its_life() {
    let between = format!(
        "{}<UserId>UID=jsmith,DC=example-bank,DC=net</UserId><Policy>\
         <StartDate>2006-05-01T00:00:00Z</StartDate><ExpiryDate>2026-05-31T00:00:00Z</ExpiryDate>\
         <PINPolicy MinLength=\"4\" PINUsageMode=\"Local\"/><KeyUsage>OTP</KeyUsage></Policy>",
        EIGHT_DIGITS
            .replace("<AlgorithmParameters>", "<AlgorithmParameters><Suite>HMAC-SHA256</Suite>")
    );
    let data =
        format!("{}<TimeInterval><PlainValue>60</PlainValue></TimeInterval>", plain(SEED_BASE64));
    let read = one(&container(&package("totp", &between, &data)), None).unwrap();
    assert_eq!(read.otp.shape.step_seconds, 60);
    assert_eq!(read.otp.shape.algorithm, Algorithm::Sha256);
    assert_eq!(read.user.unwrap().as_str(), "jsmith");
    let end = Timestamp::parse("2026-05-31T00:00:00Z", "UTC", DayEdge::End).unwrap();
    assert_eq!(read.expires_at, Some(end));
    assert!(read.not_before.unwrap() < end);
}

fn encrypted(cipher: &str, mac: &str, mac_key: &str, key: &str, prefix: &str) -> String {
    let text = format!(
        "<EncryptionKey>{key}</EncryptionKey>\
         <MACMethod Algorithm=\"http://www.w3.org/2000/09/xmldsig#hmac-sha1\"><MACKey>\
         <xenc:EncryptionMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#aes128-cbc\"/>\
         <xenc:CipherData><xenc:CipherValue>\n {mac_key} \n</xenc:CipherValue></xenc:CipherData>\
         </MACKey></MACMethod>{}",
        package(
            "hotp",
            EIGHT_DIGITS,
            &format!(
                "<Secret><EncryptedValue><xenc:EncryptionMethod \
                 Algorithm=\"http://www.w3.org/2001/04/xmlenc#aes128-cbc\"/><xenc:CipherData>\
                 <xenc:CipherValue>\n{cipher}\n</xenc:CipherValue></xenc:CipherData>\
                 </EncryptedValue><ValueMAC>{mac}\n</ValueMAC></Secret>\
                 <Counter><PlainValue>0</PlainValue></Counter>"
            ),
        )
    );
    container(&text).replace("<PREFIX>", prefix)
}

/// Figure 6: AES-128-CBC under a pre-shared key.
fn figure_6() -> String {
    encrypted(
        "AAECAwQFBgcICQoLDA0OD+cIHItlB3Wra1DUpxVvOx2lef1VmNPCMl8jwZqIUqGv",
        "Su+NvtQfmvfJzF6bmQiJqoLRExc=",
        "ESIzRFVmd4iZABEiM0RVZgKn6WjLaTC1sbeBMSvIhRejN9vJa2BOlSaMrR7I5wSX",
        "<ds:KeyName>Pre-shared-key</ds:KeyName>",
        "",
    )
}

/// Figure 7: the same under a password.
pub(crate) fn figure_7() -> String {
    encrypted(
        "oTvo+S22nsmS2Z/RtcoF8Hfh+jzMe0RkiafpoDpnoZTjPYZu6V+A4aEn032yCr4f",
        "LP6xMvjtypbfT9PdkJhBZ+D6O4w=",
        "2GTTnLwM3I4e5IO5FkufoOEiOhNj91fhKRQBtBJYluUDsPOLTfUvoU2dStyOwYZx",
        "<xenc11:DerivedKey xmlns:xenc11=\"http://www.w3.org/2009/xmlenc11#\" \
         xmlns:pkcs5=\"http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5v2-0#\">\
         <xenc11:KeyDerivationMethod \
         Algorithm=\"http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5v2-0#pbkdf2\">\
         <pkcs5:PBKDF2-params><Salt><Specified>Ej7/PEpyEpw=</Specified></Salt>\
         <IterationCount>1000</IterationCount><KeyLength>16</KeyLength><PRF/>\
         </pkcs5:PBKDF2-params></xenc11:KeyDerivationMethod>\
         <xenc11:MasterKeyName>My Password 1</xenc11:MasterKeyName></xenc11:DerivedKey>",
        "",
    )
}

fn key(text: &str) -> Opening {
    Opening::Key(ClearSecret::new(text.to_owned()))
}

fn password(text: &str) -> Opening {
    Opening::Password(ClearSecret::new(text.to_owned()))
}

#[test]
fn figure_6_opens_with_its_key_and_figure_7_with_its_password() {
    for (text, opening) in [(figure_6(), Some(key(KEY))), (figure_7(), Some(password(PASSWORD)))] {
        let read = one(&text, opening).unwrap();
        assert_eq!(seed(&read), SEED);
        assert_eq!(read.serial.as_deref(), Some("987654321"));
    }
}

#[test]
fn a_wrong_key_or_a_changed_file_opens_nothing() {
    let fault = |text: &str, opening| match read(text, opening) {
        Err(bad) => bad.to_string(),
        Ok(mut rows) => rows.remove(0).read.unwrap_err(),
    };
    let closed = [
        "a MAC does not come out: the key is wrong, or the file was changed",
        "line 3: a value does not open: the key is wrong",
    ];
    let wrong = KEY.replace('1', "3");
    for (text, opening) in [
        (figure_6(), Some(key(&wrong))),
        (figure_7(), Some(password("qwertz"))),
        (figure_6().replace("Su+Nvt", "Su+Nvu"), Some(key(KEY))),
        (figure_6().replace("AAECAwQFBgcI", "AAECAwQFBgcJ"), Some(key(KEY))),
    ] {
        let said = fault(&text, opening);
        assert!(closed.contains(&said.as_str()), "{said}");
    }
    let no_mac = figure_6().replace("ValueMAC", "Other");
    assert_eq!(fault(&no_mac, Some(key(KEY))), "a value is encrypted and has no ValueMAC");
    let method = figure_6().replace("MACMethod", "OtherMethod");
    assert!(fault(&method, Some(key(KEY))).starts_with("a value is encrypted without a MAC"));
    let cipher = figure_6().replace("OD+cIHItlB3Wra1DUpxVvOx2lef1VmNPCMl8jwZqIUqGv", "ODw==");
    assert!(closed.contains(&fault(&cipher, Some(key(KEY))).as_str()));
    for (text, opening, said) in [
        (figure_6(), None, "line 3: the file is encrypted under a key; give it"),
        (figure_6(), Some(password("x")), "line 3: the file is encrypted under a key; give it"),
        (figure_7(), Some(key(KEY)), "line 3: the file is encrypted under a password; give it"),
        (figure_6(), Some(key("12")), "line 3: the key has neither 128 nor 256 bits"),
        (figure_6(), Some(key("xyz")), "line 3: the key is not in hexadecimal digits"),
        (
            figure_6().replace("hmac-sha1", "hmac-md5"),
            Some(key(KEY)),
            "line 3: the MAC algorithm `http://www.w3.org/2000/09/xmldsig#hmac-md5` is not known",
        ),
        (
            figure_7().replace("<IterationCount>1000<", "<IterationCount>4000000000<"),
            Some(password(PASSWORD)),
            "line 3: PBKDF2 has between 1 and 2000000 rounds",
        ),
        (
            figure_6().replace("aes128-cbc", "tripledes-cbc"),
            Some(key(KEY)),
            "line 3: the cipher `http://www.w3.org/2001/04/xmlenc#tripledes-cbc` is not known",
        ),
    ] {
        assert_eq!(fault(&text, opening), said);
    }
    let clear = container(&package("hotp", "", &plain(SEED_BASE64)));
    assert!(fault(&clear, Some(key(KEY))).contains("nothing in the file is encrypted"));
}

#[test]
fn what_is_not_understood_is_refused_and_repeats_no_secret() {
    let hotp = |between: &str| container(&package("hotp", between, &plain(SEED_BASE64)));
    let policy = |text: &str| hotp(&format!("<Policy>{text}</Policy>"));
    let cases = [
        (container(&package("pin", "", &plain(SEED_BASE64))), "is not hotp or totp"),
        (container(&package("hotp", "", &plain("%%%"))), "not Base64"),
        (container(&package("hotp", "", "")), "no Secret"),
        (
            container(&package(
                "hotp",
                "",
                &format!("{}<Counter><PlainValue>x</PlainValue></Counter>", plain(SEED_BASE64)),
            )),
            "Counter is no number",
        ),
        (policy("<KeyUsage>CR</KeyUsage>"), "not for one-time passwords"),
        (policy("<NumberOfTransactions>4</NumberOfTransactions>"), "NumberOfTransactions"),
        (policy("<Made>up</Made>"), "the policy `Made` is not known"),
        (policy("<PINPolicy PINUsageMode=\"Prepend\"/>"), "PIN"),
        (policy("<ExpiryDate>soon</ExpiryDate>"), "ExpiryDate"),
        (hotp(&EIGHT_DIGITS.replace("DECIMAL", "HEXADECIMAL")), "DECIMAL"),
        (hotp("<UserId>O=bank</UserId>"), "UserId"),
    ];
    for (text, said) in cases {
        let refused = refusal(&text);
        assert!(refused.contains(said), "{refused}");
        assert!(!refused.contains("MTIz") && !refused.contains("123456789"), "{refused}");
    }
}

#[test]
fn a_file_is_no_key_container_if_it_is_cut_off_or_brings_entities() {
    let whole = container(&package("hotp", "", &plain(SEED_BASE64)));
    let laughs = format!(
        "<?xml version=\"1.0\"?><!DOCTYPE l [<!ENTITY a \"lol\"><!ENTITY b \
         \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>{}",
        whole.split_once("?>").unwrap().1
    );
    let entity = whole.replace("Manufacturer<", "Manu&a;<");
    let deep = format!("{}{}", "<a>".repeat(1000), "</a>".repeat(1000));
    let cases = [
        (laughs.as_str(), "a document type is not taken"),
        (entity.as_str(), "an entity that XML does not have itself"),
        (&whole[..whole.len() / 2], "cut off"),
        (&whole[..whole.len() - 3], "no XML"),
        (deep.as_str(), "more elements"),
        ("serial,secret", "no XML"),
        ("", "is no XML"),
        ("<a/><b/>", "behind the end"),
        ("<KeyContainer Version=\"1.0\"/>", "is no KeyContainer"),
        (&whole.replace("Version=\"1.0\" Id", "Version=\"2.0\" Id"), "Version"),
        (&container(""), "there is no token"),
    ];
    for (text, said) in cases {
        let bad = read(text, None).unwrap_err().to_string();
        assert!(bad.contains(said), "{bad}");
    }
    let escaped = whole.replace(">Manufacturer<", ">R&amp;D &#x2014; Ltd<");
    let read = one(&escaped, None).unwrap();
    assert_eq!(read.labels.get("manufacturer").map(String::as_str), Some("R&D \u{2014} Ltd"));
}

#[test]
fn every_row_names_the_line_on_which_it_begins() {
    let package = package("hotp", "", &plain(SEED_BASE64));
    let text = container(&format!("{package}\n\n{}", package.replace(SEED_BASE64, "MTIzNA==")));
    let rows = read(&text, None).unwrap();
    let lines: Vec<_> = rows.iter().map(|row| (row.line, row.read.is_ok())).collect();
    assert_eq!(lines, [(3, true), (5, false)]);
}
