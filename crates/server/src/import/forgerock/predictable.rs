//! Whether a token was computed from its own permissions: people were told to take the SHA-256 of
//! them, so everybody who knows or guesses the permissions has the token.
//!
//! The permissions may have been hashed in any spelling: with straight or typographic quotes, as
//! they stand or as a program would write them, with or without the end of the line.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// What a shell or an editor puts behind a text.
const ENDINGS: [&str; 4] = ["", "\n", "\r\n", " \n"];

/// Whether `token` is the SHA-256 of some spelling of its permissions.
pub(super) fn is_derived(token: &str, raw: &str, permissions: &Value) -> bool {
    let mut spellings = vec![raw.to_owned(), permissions.to_string()];
    // As Python, as the one who printed the samples, and as a formatter writes it.
    for (colon, comma, open, close, outer_open, outer_close) in [
        (": ", ", ", "[", "]", "{", "}"),
        (" : ", ", ", "[ ", " ]", "{", "}"),
        (" : ", ", ", "[ ", " ]", "{", " }"),
        (" : ", ", ", "[ ", " ]", "{ ", " }"),
        (" : ", ", ", "[ ", "]", "{", "}"),
        (":", ", ", "[", "]", "{", "}"),
    ] {
        let lists = permissions.as_object().into_iter().flatten().map(|(name, actions)| {
            let quoted: Vec<String> =
                actions.as_array().into_iter().flatten().map(Value::to_string).collect();
            format!("{}{colon}{open}{}{close}", Value::from(name.as_str()), quoted.join(comma))
        });
        let lists: Vec<String> = lists.collect();
        spellings.push(format!("{outer_open}{}{outer_close}", lists.join(comma)));
    }
    if let Ok(pretty) = serde_json::to_string_pretty(permissions) {
        spellings.push(pretty);
    }
    let all = spellings.iter().flat_map(|text| [text.clone(), straight(text), curly(text)]);
    all.into_iter().any(|text| ENDINGS.iter().any(|end| hex(&format!("{text}{end}")) == token))
}

fn straight(text: &str) -> String {
    super::straight(text)
}

/// With typographic quotes, which open and close in turn.
fn curly(text: &str) -> String {
    let mut opens = true;
    let quote = |c: char| {
        if c != '"' {
            return c;
        }
        opens = !opens;
        if opens { '\u{201d}' } else { '\u{201c}' }
    };
    straight(text).chars().map(quote).collect()
}

fn hex(text: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(text).iter().fold(String::with_capacity(64), |mut out, byte| {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The second sample key that was published, and what it is the hash of.
    const SAMPLE: &str = "a011286605ff6a5de51f4d46eb511a9e8715498fca87965576c73b8fd27246fe";

    #[test]
    fn the_published_sample_is_recognised_in_every_spelling_of_its_permissions() {
        let permissions = json!({ "resource2": ["read", "write"] });
        for raw in [
            "{“resource2” : [ “read”, “write” ] }",
            "{\"resource2\" : [ \"read\", \"write\" ] }",
            "{\"resource2\":[\"read\",\"write\"]}",
        ] {
            assert!(is_derived(SAMPLE, raw, &permissions), "{raw}");
        }
    }

    #[test]
    fn a_fresh_hash_of_permissions_is_recognised_and_a_random_key_is_not() {
        let permissions = json!({ "profile": ["mail"], "wiki": ["read"] });
        for text in [
            r#"{"profile":["mail"],"wiki":["read"]}"#,
            "{\"profile\": [\"mail\"], \"wiki\": [\"read\"]}\n",
            "{“profile” : [ “mail” ], “wiki” : [ “read” ]}\r\n",
        ] {
            assert!(is_derived(&hex(text), text.trim(), &permissions), "{text}");
        }
        assert!(!is_derived(&"4f".repeat(32), "{}", &permissions));
    }
}
