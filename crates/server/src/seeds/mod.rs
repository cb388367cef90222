//! Files of seeds: what vendors of hardware tokens and other systems hand over, read into rows.
//!
//! Invariant: no error repeats what stands in a field of a secret.

mod pskc;
mod table;
mod xml;

use counterfoil_authority::authority::OtpRow;
use counterfoil_authority::otp::SharedSeed;
use counterfoil_authority::secret::ClearSecret;
use zeroize::Zeroizing;

#[cfg(test)]
pub(crate) use self::pskc::tests::{PASSWORD as FIGURE_7_PASSWORD, figure_7};
pub(crate) use self::pskc::{Package, Packed, PackedSecret, packages};

/// Characters of a serial, a name or another text of a file at most.
const TEXT_CHARS_MAX: usize = 128;

/// A format of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// RFC 6030, in clear or encrypted under a key or a password
    Pskc,
    /// Lines of `serial, secret, type, digits, period or counter` or `user, issuer, label, secret`
    Csv,
    /// What Yubico's tools write when they write keys
    Yubico,
}

impl Format {
    /// The name on the wire and the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pskc => "pskc",
            Self::Csv => "csv",
            Self::Yubico => "yubico",
        }
    }
}

/// How the secrets of a CSV file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Encoding {
    /// Hexadecimal digits
    Hex,
    /// Base32
    Base32,
}

impl Encoding {
    /// The name on the wire and the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::Base32 => "base32",
        }
    }
}

/// What a file is encrypted under.
#[derive(Debug, Clone)]
pub enum Opening {
    /// A pre-shared key, in hexadecimal digits.
    Key(ClearSecret),
    /// A password from which the key is derived.
    Password(ClearSecret),
}

/// A file of seeds, as it was handed over.
#[derive(Debug)]
pub struct SeedFile<'a> {
    /// Its format.
    pub format: Format,
    /// What it says.
    pub text: &'a str,
    /// How secrets are written in it; by its layout, if nobody says.
    pub encoding: Option<Encoding>,
    /// What it is encrypted under.
    pub opening: Option<Opening>,
}

/// A file that is none of its format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct BadFile {
    /// Where.
    pub line: usize,
    /// What is wrong there.
    pub why: String,
}

impl BadFile {
    fn new(line: usize, why: impl Into<String>) -> Self {
        Self { line, why: why.into() }
    }
}

impl SeedFile<'_> {
    /// The tokens of the file, each with its line or with what is wrong there.
    ///
    /// # Errors
    ///
    /// [`BadFile`] where the file as a whole cannot be read: it is of another format, or what it
    /// is encrypted under is missing or wrong.
    pub fn rows(&self) -> Result<Vec<OtpRow>, BadFile> {
        if self.opening.is_some() && self.format != Format::Pskc {
            return Err(BadFile::new(1, "only a pskc file is opened with a key or a password"));
        }
        if self.encoding.is_some() && self.format != Format::Csv {
            return Err(BadFile::new(1, "only a csv file has an encoding of its own"));
        }
        let rows = match self.format {
            Format::Pskc => pskc::rows(self.text, self.opening.as_ref())?,
            Format::Csv => table::rows(self.text, self.encoding)?,
            Format::Yubico => table::yubico_rows(self.text)?,
        };
        if rows.is_empty() {
            return Err(BadFile::new(1, "there is no token in the file"));
        }
        Ok(rows)
    }
}

/// A seed in hexadecimal digits or Base32.
fn seed_of(text: &str, encoding: Encoding) -> Result<SharedSeed, String> {
    let bare: Zeroizing<String> =
        Zeroizing::new(text.chars().filter(|c| !matches!(c, ' ' | '-' | '=')).collect::<String>());
    let upper = Zeroizing::new(bare.to_ascii_uppercase());
    let read = match encoding {
        Encoding::Hex => data_encoding::HEXUPPER.decode(upper.as_bytes()),
        Encoding::Base32 => data_encoding::BASE32_NOPAD.decode(upper.as_bytes()),
    };
    let bytes = read.map_err(|_| format!("the secret is not {}", encoding.name()))?;
    SharedSeed::new(bytes).map_err(|bad| bad.to_string())
}

/// A text of a file that is shown again: of one line, and not longer than anybody prints.
fn shown_text(field: &str, text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.chars().count() > TEXT_CHARS_MAX {
        return Err(format!("{field} has more than {TEXT_CHARS_MAX} characters"));
    }
    if text.chars().any(counterfoil_authority::text::is_hidden) {
        return Err(format!("{field} holds a character that cannot be seen"));
    }
    Ok(text.to_owned())
}
