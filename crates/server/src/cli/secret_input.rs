//! How secrets come in: standard input, a file or a prompt, never the command line, which every
//! user of the machine can read.

use std::fs;
use std::io::{self, BufRead, IsTerminal};
use std::path::Path;

use counterfoil_authority::secret::ClearSecret;
use zeroize::Zeroizing;

use super::failure::Failure;
use crate::sealed_file::PASSPHRASE_LEN_MIN;

/// No secret is longer.
const BYTES_MAX: u64 = 8192;

/// Reads a secret from `-`, from a file, or, without either, from a prompt.
///
/// # Errors
///
/// When there is none to read.
pub(crate) fn secret(from: Option<&str>, what: &str) -> Result<ClearSecret, Failure> {
    let text = match from {
        Some("-") => first_line(io::stdin().lock(), "standard input")?,
        Some(path) => {
            let file =
                fs::File::open(Path::new(path)).map_err(|error| Failure::about(path, error))?;
            first_line(io::BufReader::new(file), path)?
        }
        None => prompt(what)?,
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

fn prompt(what: &str) -> Result<Zeroizing<String>, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(format!(
            "no {what}: give `-` to read it from standard input, or a file"
        )));
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
    let first = secret(from, "passphrase")?;
    if first.reveal().chars().count() < PASSPHRASE_LEN_MIN {
        return Err(Failure::Usage(format!(
            "a passphrase of at least {PASSPHRASE_LEN_MIN} characters is needed: it guards every key"
        )));
    }
    if from.is_none() && secret(None, "passphrase again")? != first {
        return Err(Failure::Usage("the two passphrases differ".into()));
    }
    Ok(first)
}
