//! Our token strings as rules of other scanners, from an installation's own prefixes.
//!
//! A regular expression cannot compute a checksum, so these rules find every string that looks
//! like a token of ours; `counterfoil scan` tells which of them are.

use std::fmt::Write as _;

use counterfoil_authority::kind::{KINDS, Kind};
use counterfoil_authority::secret::Prefix;

/// Whose rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum RulesFor {
    /// gitleaks, version 8: a configuration in TOML.
    Gitleaks,
    /// TruffleHog, version 3: a custom detector in YAML.
    Trufflehog,
}

/// What follows the letter in a token string. Nothing is asked of what stands around it: in
/// source code that is often the letter of an escape, and a border of words would hide the token.
const REST: &str = "_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}";

/// Prefixes as an alternative; they are letters and digits, so nothing has to be escaped.
fn any_of(prefixes: &[Prefix]) -> String {
    let all: Vec<&str> = prefixes.iter().map(Prefix::as_str).collect();
    format!("(?:{})", all.join("|"))
}

/// The regular expression of a kind's token strings (RE2, and so Go and Rust).
pub fn expression(prefixes: &[Prefix], kind: Kind) -> String {
    format!("{}{}{REST}", any_of(prefixes), kind.letter())
}

fn keywords(prefixes: &[Prefix], kind: Kind) -> impl Iterator<Item = String> {
    prefixes.iter().map(move |prefix| format!("{}{}_", prefix.as_str(), kind.letter()))
}

/// The kinds that have token strings.
pub fn kinds() -> impl Iterator<Item = Kind> {
    KINDS.into_iter().filter(|kind| kind.is_written())
}

/// The rules, ready to be written to a file.
pub fn rules(target: RulesFor, prefixes: &[Prefix]) -> String {
    match target {
        RulesFor::Gitleaks => gitleaks(prefixes),
        RulesFor::Trufflehog => trufflehog(prefixes),
    }
}

const ABOUT: &str = "# Token strings of this Counterfoil installation, made by `counterfoil scan \
rules`.\n# Rules of this kind cannot look at the checksum; `counterfoil scan` does.\n";

fn gitleaks(prefixes: &[Prefix]) -> String {
    let mut text = format!("{ABOUT}title = \"Counterfoil token strings\"\n");
    for kind in kinds() {
        let name = kind.name();
        let quoted: Vec<String> =
            keywords(prefixes, kind).map(|word| format!("\"{word}\"")).collect();
        // Writing to a text cannot fail.
        let _ = write!(
            text,
            "\n[[rules]]\nid = \"counterfoil-{}\"\ndescription = \"Counterfoil {}\"\n\
             regex = '''{}'''\nkeywords = [{}]\n",
            name.replace('_', "-"),
            name.replace('_', " "),
            expression(prefixes, kind),
            quoted.join(", "),
        );
    }
    text
}

fn trufflehog(prefixes: &[Prefix]) -> String {
    let mut text = format!("{ABOUT}detectors:\n");
    for kind in kinds() {
        let _ = writeln!(text, "  - name: counterfoil-{}", kind.name().replace('_', "-"));
        text.push_str("    keywords:\n");
        for word in keywords(prefixes, kind) {
            let _ = writeln!(text, "      - {word}");
        }
        let _ = writeln!(text, "    regex:\n      token: \"({})\"", expression(prefixes, kind));
    }
    text
}
