//! Programs of others compute the codes, and read the picture that leads to them.

use std::process::Command;

use serde_json::json;

use super::{accepts, enrol, id_of, worlds};

/// The codes that a program of Debian computes, for each hash and length.
#[test]
fn f1_what_oathtool_computes_is_accepted() {
    for world in worlds() {
        for (algorithm, digits) in [("SHA1", 6), ("SHA1", 8), ("SHA256", 7), ("SHA512", 8)] {
            let otp = json!({ "method": "totp", "algorithm": algorithm, "digits": digits });
            let enrolled = enrol(&world.admin, &otp);
            let uri = enrolled["otpauth_uri"].as_str().unwrap();
            let code = oathtool(uri);
            assert_eq!(code.len(), digits);
            assert!(accepts(&world.verifier, &code), "{algorithm} {digits}");
            assert!(!accepts(&world.verifier, &code), "a code is good once");
        }
    }
}

/// A code of an `otpauth` URI as `oathtool` computes it now.
fn oathtool(uri: &str) -> String {
    let field = |name: &str| {
        let found = uri.split(['?', '&']).find_map(|part| part.strip_prefix(name));
        found.unwrap().to_owned()
    };
    let output = Command::new("oathtool")
        .arg(format!("--totp={}", field("algorithm=")))
        .args(["--base32", "--digits", &field("digits=")])
        .arg(format!("--time-step-size={}s", field("period=")))
        .arg(field("secret="))
        .output()
        .expect("oathtool is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The picture, painted and read by a program that reads pictures.
#[test]
fn f1_a_qr_code_leads_an_authenticator_to_the_same_codes() {
    for world in worlds() {
        let enrolled = enrol(&world.admin, &json!({ "method": "totp", "confirm": true }));
        let picture = world.site.path("qr.pgm");
        std::fs::write(&picture, painted(enrolled["qr_svg"].as_str().unwrap())).unwrap();
        let output = Command::new("zbarimg")
            .args(["--quiet", "--raw", "--nodbus"])
            .arg(&picture)
            .output()
            .expect("zbarimg is installed");
        let read = String::from_utf8(output.stdout).unwrap();
        assert_eq!(read.trim(), enrolled["otpauth_uri"].as_str().unwrap());
        assert!(read.starts_with("otpauth://totp/main:alice?secret="), "the issuer is the realm");

        // Before its owner has shown a code it is good for nothing; the code that shows it is used.
        let path = format!("/tokens/{}/otp", id_of(&enrolled));
        let code = oathtool(read.trim());
        assert!(!accepts(&world.verifier, &code));
        assert_eq!(world.admin.get(&path).expect(200)["confirmed"], false);
        world.admin.post(&format!("{path}/confirm"), &json!({ "code": "000000" })).expect(422);
        let shown =
            world.admin.post(&format!("{path}/confirm"), &json!({ "code": code })).expect(200);
        assert_eq!(shown["confirmed"], true);
        assert!(!accepts(&world.verifier, &code));
    }
}

/// The squares of an SVG as a grey picture.
fn painted(svg: &str) -> Vec<u8> {
    let number = |text: &str| -> usize {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    };
    let whole = number(svg.split_once("width=\"").unwrap().1);
    let mut points = vec![255_u8; whole * whole];
    let path = svg.rsplit_once(" d=\"").unwrap().1;
    for square in path.split('M').skip(1) {
        let (x, rest) = square.split_once(' ').unwrap();
        let (y, rest) = rest.split_once('h').unwrap();
        let (x, y, side) = (number(x), number(y), number(rest));
        for row in y..(y + side).min(whole) {
            points[row * whole + x..row * whole + (x + side).min(whole)].fill(0);
        }
    }
    [format!("P5 {whole} {whole} 255\n").into_bytes(), points].concat()
}
