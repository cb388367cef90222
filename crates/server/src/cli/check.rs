//! `counterfoil check`: what a token string says about itself, without any server.

use counterfoil_authority::secret::{Prefix, Shape, shape_of};
use serde_json::{Value, json};

use super::failure::Failure;
use super::print;
use super::secret_input::{self, Wanted};

/// Shape and checksum of a token string, offline
///
/// The only command that takes a token as an argument: nothing leaves this machine. Other people
/// on it, and the shell's history, can see arguments all the same; `-` avoids that.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// The token string, or `-` to read it from standard input [default: a prompt]
    #[arg(value_name = "STRING")]
    presented: Option<String>,
    /// The installation's prefix of token strings
    #[arg(long, default_value = "cfl")]
    prefix: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &CheckArgs) -> Result<(), Failure> {
    let prefix = Prefix::parse(&args.prefix).map_err(|bad| Failure::Usage(bad.to_string()))?;
    let presented = match args.presented.as_deref() {
        Some(text) if text != "-" => text.to_owned(),
        from => secret_input::secret(from, Wanted::TokenString)?.reveal().to_owned(),
    };
    let (said, refusal) = describe(presented.trim(), &prefix);
    if args.json {
        print::json(&said);
    } else if let (None, Some(text)) = (refusal, said.get("text").and_then(Value::as_str)) {
        print::line(text);
    }
    match refusal {
        None => Ok(()),
        Some(why) => Err(Failure::Refused(why.into())),
    }
}

/// What can be said, and why it is refused. Never repeats more than the public id.
fn describe(presented: &str, prefix: &Prefix) -> (Value, Option<&'static str>) {
    match shape_of(presented, std::slice::from_ref(prefix)) {
        Shape::Prefixed { kind, id } => {
            let text = format!("a {} with the id {id}; the checksum is right", kind.name());
            let said = json!({ "valid": true, "form": "prefixed", "kind": kind.name(),
                "id": id.as_str(), "text": text });
            (said, None)
        }
        Shape::Grouped(_) => {
            let text = "a secret in the grouped form; it has no checksum and carries no id";
            (json!({ "valid": true, "form": "grouped", "text": text }), None)
        }
        Shape::Jwt(_) => {
            let text = "the form of a signed access token; only a server can check the signature";
            (json!({ "valid": true, "form": "jwt", "text": text }), None)
        }
        Shape::BadChecksum => {
            let why = "it begins like a token string, but its length, kind or checksum is wrong";
            (json!({ "valid": false, "form": "prefixed", "text": why }), Some(why))
        }
        Shape::Other | Shape::Impossible => {
            let why = "it has none of the forms that are generated here";
            (json!({ "valid": false, "form": null, "text": why }), Some(why))
        }
    }
}

#[cfg(test)]
mod tests {
    use counterfoil_authority::kind::Kind;
    use counterfoil_authority::secret::{TokenId, generate_prefixed};
    use counterfoil_authority::testing::SeededEntropy;

    use super::*;

    #[test]
    fn a_right_string_is_described_and_a_mistyped_one_refused() {
        let entropy = SeededEntropy::new(1);
        let id = TokenId::generate(&entropy).unwrap();
        let prefix = Prefix::default();
        let kind = Kind::PersonalAccessToken;
        let secret = generate_prefixed(&prefix, kind, id, &entropy).unwrap();
        let (said, refusal) = describe(secret.reveal(), &prefix);
        assert_eq!((said["id"].as_str(), refusal), (Some(id.as_str()), None));
        assert!(!said.to_string().contains(&secret.reveal()[20..40]));
        let mistyped = secret.reveal().replace("cflp_", "cfls_");
        assert!(describe(&mistyped, &prefix).1.is_some());
        assert_eq!(describe("k3vn-8qpw-2d7r-jx5m-9hta-c4ze", &prefix).1, None);
        assert!(describe("hunter2", &prefix).1.is_some());
    }
}
