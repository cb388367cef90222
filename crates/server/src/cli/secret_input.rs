//! How secrets come in: standard input, a file or a prompt, never the command line, which every
//! user of the machine can read.

use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, IsTerminal};
use std::path::Path;

use counterfoil_authority::secret::{ClearSecret, Prefix, Shape, TokenId, shape_of};
use zeroize::Zeroizing;

use super::failure::Failure;
use crate::sealed_file::PASSPHRASE_LEN_MIN;

/// What follows the id of a token string is longer; a name with two underscores rarely is.
const TAIL_LEN_MIN: usize = 16;
/// No secret is longer.
const BYTES_MAX: u64 = 8192;

/// Which secret is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// What a sealed file is under.
    Passphrase,
    /// The same, to be sure.
    PassphraseAgain,
    /// A token to be verified.
    Token,
    /// A token string to be looked at.
    TokenString,
    /// The key to call the API with.
    Key,
    /// The secret of a new token.
    Secret,
    /// The password or key of a target.
    TargetSecret,
    /// A code of an authentication token.
    Code,
    /// Two of them.
    Codes,
    /// What an authentication token computes its codes from.
    Seed,
    /// The key or password of a file of seeds.
    Opening,
    /// What stands in an activation letter.
    Letter,
}

impl Wanted {
    /// As people call it.
    const fn name(self) -> &'static str {
        match self {
            Self::Passphrase => "passphrase",
            Self::PassphraseAgain => "passphrase again",
            Self::Token => "token",
            Self::TokenString => "token string",
            Self::Key => "key",
            Self::Secret => "secret",
            Self::TargetSecret => "password",
            Self::Code => "code",
            Self::Codes => "two codes that follow each other",
            Self::Seed => "seed",
            Self::Opening => "key or password of the file",
            Self::Letter => "code of the letter",
        }
    }

    /// How it can be given where nobody sits at a prompt.
    const fn ways(self) -> &'static str {
        match self {
            Self::Passphrase | Self::PassphraseAgain => {
                "give --passphrase-file with a file, or with `-` for standard input"
            }
            Self::Key => "give --token-file with a file, or with `-` for standard input",
            Self::Secret => "give --secret-file with a file, or with `-` for standard input",
            Self::TargetSecret => "give --bind-password or --signing-key with a file, or with `-`",
            Self::Code | Self::Codes => {
                "give --code-file with a file, or with `-` for standard input"
            }
            Self::Seed | Self::Opening | Self::Letter => "give a file, or `-` for standard input",
            Self::Token | Self::TokenString => "give `-` to read it from standard input, or a file",
        }
    }
}

fn never_an_argument() -> Failure {
    Failure::Usage("a token is never given on the command line; use `-` or a file".into())
}

/// Refuses a command line that holds a token, and does not repeat it: other people on the
/// machine have seen it already, a log need not.
///
/// # Errors
///
/// When there is one; `check`, which stays on this machine, may have one.
pub(crate) fn refuse_tokens(arguments: &[OsString]) -> Result<(), Failure> {
    if arguments.get(1).is_some_and(|command| command == "check") {
        return Ok(());
    }
    let given = arguments.iter().filter_map(|argument| argument.to_str());
    let found = given.flat_map(|text| [Some(text), text.split_once('=').map(|(_, value)| value)]);
    if found.flatten().any(is_token) { Err(never_an_argument()) } else { Ok(()) }
}

/// Whether a text has the parts of a prefixed token string, whatever the prefix and checksum.
fn is_token(text: &str) -> bool {
    let mut parts = text.split('_');
    let (Some(head), Some(id), Some(tail), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let alphanumeric = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let head_is_right = head.strip_suffix(|letter: char| letter.is_ascii_lowercase());
    head_is_right.is_some_and(|prefix| Prefix::parse(prefix).is_ok())
        && TokenId::parse(id).is_some()
        && tail.len() >= TAIL_LEN_MIN
        && alphanumeric(tail)
}

/// Whether a text that names no file is rather a token, perhaps a mistyped one.
fn is_nearly_token(text: &str) -> bool {
    is_token(text)
        || !matches!(shape_of(text, &[Prefix::default()]), Shape::Other | Shape::Impossible)
}

/// Reads a secret from `-`, from a file, or, without either, from a prompt.
///
/// # Errors
///
/// When there is none to read.
pub(crate) fn secret(from: Option<&str>, wanted: Wanted) -> Result<ClearSecret, Failure> {
    let what = wanted.name();
    let text = match from {
        Some("-") => first_line(io::stdin().lock(), "standard input")?,
        Some(path) => match fs::File::open(Path::new(path)) {
            Ok(file) => first_line(io::BufReader::new(file), path)?,
            // Who gives a token where its file belongs must not see it repeated.
            Err(_) if is_nearly_token(path) => return Err(never_an_argument()),
            Err(error) => return Err(Failure::about(path, error)),
        },
        None => prompt(wanted)?,
    };
    if text.is_empty() {
        return Err(Failure::Usage(format!("no {what} was given")));
    }
    Ok(ClearSecret::new(text.to_string()))
}

fn first_line(input: impl BufRead, place: &str) -> Result<Zeroizing<String>, Failure> {
    let mut line = Zeroizing::new(String::new());
    let read = input.take(BYTES_MAX).read_line(&mut line);
    read.map_err(|error| Failure::about(place, error))?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line)
}

fn prompt(wanted: Wanted) -> Result<Zeroizing<String>, Failure> {
    let what = wanted.name();
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(format!("no {what}: {}", wanted.ways())));
    }
    rpassword::prompt_password(format!("{what}: "))
        .map(Zeroizing::new)
        .map_err(|error| Failure::about(what, error))
}

/// Reads a passphrase for a new sealed file; at a prompt, twice.
///
/// # Errors
///
/// When it is too short or the two differ.
pub(crate) fn new_passphrase(from: Option<&str>) -> Result<ClearSecret, Failure> {
    let first = secret(from, Wanted::Passphrase)?;
    if first.reveal().chars().count() < PASSPHRASE_LEN_MIN {
        return Err(Failure::Usage(format!(
            "a passphrase of at least {PASSPHRASE_LEN_MIN} characters is needed: it guards every key"
        )));
    }
    if from.is_none() && secret(None, Wanted::PassphraseAgain)? != first {
        return Err(Failure::Usage("the two passphrases differ".into()));
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "cflp_0123456789ab_0123456789abcdefghijklmnopqrstuv012345";

    fn refused(words: &[&str]) -> bool {
        let arguments: Vec<OsString> = words.iter().map(OsString::from).collect();
        refuse_tokens(&arguments).is_err()
    }

    #[test]
    fn a_token_on_the_command_line_is_refused_and_not_repeated() {
        assert!(refused(&["counterfoil", "token", "verify", TOKEN]));
        assert!(refused(&["counterfoil", "user", "list", &format!("--token-file={TOKEN}")]));
        assert!(refused(&["counterfoil", "token", "verify", &TOKEN.replace("cfl", "acme")]));
        assert!(!refused(&["counterfoil", "check", TOKEN]));
        assert!(!refused(&["counterfoil", "token", "show", "0123456789ab"]));
        assert!(!refused(&["counterfoil", "keys", "export", "my_exported_keys"]));
        let said = secret(Some("cflp_mistyped"), Wanted::Token).unwrap_err().to_string();
        assert!(said.contains("never given") && !said.contains("mistyped"), "{said}");
        assert!(
            secret(Some("no/such/file"), Wanted::Token)
                .unwrap_err()
                .to_string()
                .contains("no/such/file")
        );
    }
}
