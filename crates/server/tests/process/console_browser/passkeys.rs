//! Passkeys in Chromium, with the authenticator that it has for tests.

use std::net::TcpListener;

use serde_json::json;

use super::{BROWSER, drive, is_there, nothing_is_wrong};
use crate::harness::{Site, printed_link};

/// A port that nobody listens on: passkeys belong to an address, so the server has to know its own
/// before it listens.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Added, used alone and after the password, shown as a proof, and removed.
#[test]
fn a_passkey_is_used_all_the_way_in_a_browser() {
    if !is_there() {
        println!("left out: there is no {BROWSER}");
        return;
    }
    let site = Site::new();
    let port = free_port();
    let settings = format!(
        "server.public_url = \"http://localhost:{port}\"\n\
         [console.proxy]\nnetworks = [\"127.0.0.1/32\"]\naccounts = \"both\""
    );
    let server = site.serve_at(&settings, port);
    let link = printed_link(&server);
    assert!(link.starts_with(&format!("http://localhost:{port}/")), "{link}");
    let wishes = json!({ "link": link, "script": "on" });
    let seen = drive(&site, "console_passkeys.cjs", &wishes);
    nothing_is_wrong(&seen);
    assert_eq!(seen["kept"], json!(["localhost true"]), "{seen}");
    assert_eq!(seen["listed"], "phone", "{seen}");
    assert_eq!(seen["twice"], "This device keeps a passkey of yours already.", "{seen}");
    assert_eq!((&seen["alone"], &seen["alone_by"]), (&json!("/account root"), &json!(true)));
    // Before the passkey there is only what was begun, and no session.
    assert_eq!(seen["by_password_alone"], json!(["counterfoil-flow"]), "{seen}");
    assert_eq!(seen["after_by"], true, "{seen}");
    assert_eq!(seen["proofs"], "Confirm with a passkey", "{seen}");
    assert_eq!((&seen["left"], &seen["still_kept"]), (&json!(0), &json!(1)), "{seen}");
    assert_eq!(seen["refused"], "The passkey was not accepted", "{seen}");
    assert_eq!((&seen["cookies"], &seen["end"]), (&json!(0), &json!("/ root")), "{seen}");
}
