//! The unit for systemd, judged by systemd.

use std::process::Command;

use super::{repository, text_of};

/// Where operators read how much the unit still allows.
const PAGE: &str = "docs/operate/install.md";
/// How that sentence begins; a number follows.
const SAID: &str = "`systemd-analyze security` gives it an exposure of at most ";

#[test]
fn the_unit_allows_no_more_than_its_page_says() {
    let page = text_of(PAGE);
    let (_, rest) = page.split_once(SAID).expect("the page says how exposed the unit is");
    let said: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let most: f64 = said.trim_end_matches('.').parse().unwrap();
    // Of ten; what is not hardened at all has 9.6.
    assert!(most <= 2.0, "{most}");
    let judged = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager"])
        .arg(repository("packaging/systemd/counterfoil.service"))
        .output()
        .expect("systemd-analyze is installed");
    let told = String::from_utf8_lossy(&judged.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&judged.stderr).into_owned();
    assert!(judged.status.success(), "{wrong}");
    // What it does not understand it only warns of.
    assert!(!wrong.contains("counterfoil.service:"), "{wrong}");
    let line = told.lines().find(|line| line.contains("Overall exposure level")).unwrap();
    let (_, level) = line.split_once("counterfoil.service: ").unwrap();
    let level: f64 = level.split_whitespace().next().unwrap().parse().unwrap();
    assert!(level <= most, "{line}");
}

#[test]
fn the_unit_starts_what_the_package_installs_and_reloads_by_the_signal_that_is_taken() {
    let unit = text_of("packaging/systemd/counterfoil.service");
    let has = |line: &str| assert!(unit.lines().any(|own| own == line), "{line}");
    has("Type=notify");
    has("ExecReload=/bin/kill -HUP $MAINPID");
    has("User=counterfoil");
    has("ExecStart=/usr/bin/counterfoil serve --config /etc/counterfoil/counterfoil.toml \
         --data /var/lib/counterfoil");
    for (file, name) in [("counterfoil.socket", "http"), ("counterfoil-ldap.socket", "ldap")] {
        let socket = text_of(&format!("packaging/systemd/{file}"));
        assert!(socket.contains(&format!("\nFileDescriptorName={name}\n")), "{file}");
    }
}
