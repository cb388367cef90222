//! Which crate may reach which: the sentences of ARCHITECTURE.md, checked on
//! what cargo really resolves.

use std::path::Path;

use anyhow::Result;

use super::Finding;
use crate::workspace::{cargo, stdout_of};

/// One package and what must not be below it.
struct Rule {
    /// `None` means the whole workspace, development tools included.
    package: Option<&'static str>,
    /// Only what the package itself names, not what that brings along.
    direct_only: bool,
    forbidden: &'static [&'static str],
    why: &'static str,
}

const RULES: [Rule; 4] = [
    Rule {
        package: Some("counterfoil-authority"),
        direct_only: false,
        forbidden: &[
            "rusqlite",
            "libsqlite3-sys",
            "tokio-postgres",
            "axum",
            "hyper",
            "http",
            "tower",
            "rustls",
            "reqwest",
            "utoipa",
            "clap",
            "counterfoil-store",
            "counterfoil-server",
        ],
        why: "the rules know no driver and no protocol",
    },
    Rule {
        package: Some("counterfoil-authority"),
        direct_only: true,
        forbidden: &["getrandom", "rand"],
        why: "randomness is a parameter of the rules",
    },
    Rule {
        package: Some("counterfoil-store"),
        direct_only: false,
        // Not rustls: the way to a database server is encrypted too.
        forbidden: &["axum", "hyper", "tower", "utoipa", "clap", "counterfoil-server"],
        why: "the store knows no door",
    },
    Rule {
        package: None,
        direct_only: false,
        forbidden: &["ring", "openssl", "openssl-sys", "native-tls"],
        why: "one TLS stack and one crypto provider: rustls with aws-lc-rs",
    },
];

/// Every edge that must not exist.
///
/// # Errors
///
/// Fails when cargo cannot resolve the workspace.
pub(super) fn forbidden() -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for rule in &RULES {
        let mut tree = cargo();
        tree.args(["tree", "--locked", "--quiet", "--prefix", "none", "--format", "{p}"]);
        match rule.package {
            Some(package) => tree.args(["--edges", "normal,build", "--package", package]),
            None => tree.args(["--edges", "normal,build,dev", "--workspace"]),
        };
        if rule.direct_only {
            tree.args(["--depth", "1"]);
        }
        let listed = stdout_of(&mut tree)?;
        findings.extend(breaches(rule, &listed));
    }
    Ok(findings)
}

/// The forbidden packages in a listing of one `name version` a line.
fn breaches(rule: &Rule, listed: &str) -> Vec<Finding> {
    let mut names: Vec<&str> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
    names.sort_unstable();
    names.dedup();
    let from = rule.package.unwrap_or("the workspace");
    names
        .into_iter()
        .filter(|name| rule.forbidden.contains(name))
        .map(|name| {
            let message = format!("{from} reaches `{name}`: {}", rule.why);
            Finding::new(Path::new("Cargo.lock"), 0, message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_below_the_rules_is_found_once() {
        let listed =
            "counterfoil-authority v0.1.0\nhttparse v1.0.0\nhttp v1.2.0\nhttp v1.2.0 (*)\n";
        let messages: Vec<String> =
            breaches(&RULES[0], listed).into_iter().map(|finding| finding.message).collect();
        assert_eq!(
            messages,
            ["counterfoil-authority reaches `http`: the rules know no driver and no protocol"]
        );
    }
}
