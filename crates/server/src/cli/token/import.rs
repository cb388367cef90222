//! `counterfoil token import`: a file of authentication tokens, taken over whole or not at all.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::cli::failure::Failure;
use crate::cli::print::{self, Column};
use crate::cli::remote::{Api, Ask, RemoteArgs};
use crate::cli::secret_input::{self, Wanted};
use crate::seeds::{Encoding, Format};

/// Bytes of a file at most: what a request may hold, with room for what JSON adds.
const FILE_BYTES_MAX: u64 = 3 * 1024 * 1024;

const COLUMNS: &[Column] = &[
    Column::new("LINE", "line"),
    Column::new("SERIAL", "serial"),
    Column::new("FATE", "fate"),
    Column::new("TOKEN", "id"),
    Column::new("REASON", "reason"),
];

/// A file of authentication tokens: hardware with its seeds, tables of seeds
#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// The file, or `-` for standard input
    file: PathBuf,
    /// Its format
    #[arg(long, value_enum)]
    format: Format,
    /// How the secrets of a csv file are written [default: hex where it names a type, base32 elsewhere]
    #[arg(long, value_enum)]
    encoding: Option<Encoding>,
    /// The repository that takes them; those that name no person wait in its stock
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
    /// File with the key of an encrypted pskc file in hexadecimal digits, or `-`
    #[arg(long, value_name = "FILE", conflicts_with = "password_file")]
    key_file: Option<String>,
    /// File with the password of an encrypted pskc file, or `-`
    #[arg(long, value_name = "FILE")]
    password_file: Option<String>,
    /// Only say what would become of each line
    #[arg(long)]
    dry_run: bool,
    /// Take over what can be taken over; otherwise one bad line stops the file
    #[arg(long)]
    partial: bool,
    #[command(flatten)]
    remote: RemoteArgs,
}

impl ImportArgs {
    fn text(&self) -> Result<Zeroizing<String>, Failure> {
        let place = self.file.display().to_string();
        let about = |error: io::Error| Failure::about(&place, error);
        let mut text = Zeroizing::new(String::new());
        let source: Box<dyn io::Read> = if place == "-" {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(&self.file).map_err(about)?)
        };
        source.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(about)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            let why = format!("{place} has more than 3 MiB; take it over in parts");
            return Err(Failure::Refused(why));
        }
        Ok(text)
    }

    fn body(&self) -> Result<Map<String, Value>, Failure> {
        let mut body = Map::new();
        let mut put = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
        put("format", self.format.name().into());
        for (name, from) in [("key", &self.key_file), ("password", &self.password_file)] {
            if let Some(from) = from {
                let secret = secret_input::secret(Some(from), Wanted::Opening)?;
                put(name, secret.reveal().into());
            }
        }
        put("text", self.text()?.as_str().into());
        if let Some(encoding) = self.encoding {
            put("encoding", encoding.name().into());
        }
        if let Some(repository) = &self.repository {
            put("repository", repository.as_str().into());
        }
        for (name, set) in [("dry_run", self.dry_run), ("partial", self.partial)] {
            if set {
                put(name, true.into());
            }
        }
        Ok(body)
    }
}

/// Runs the command.
pub(super) async fn run(args: &ImportArgs) -> Result<(), Failure> {
    let api = Api::new(&args.remote)?;
    let body = args.body()?;
    let answer = api.send(Ask::post(api.in_realm("tokens/import"), Value::Object(body))).await?;
    let count = |name: &str| answer[name].as_u64().unwrap_or(0);
    let (imported, refused) = (count("imported"), count("refused"));
    if api.json {
        print::json(&answer);
    } else {
        print::table(COLUMNS, answer["lines"].as_array().map_or(&[], Vec::as_slice));
        let would = if args.dry_run { "would be " } else { "" };
        print::note(&format!("{imported} {would}imported, {refused} refused."));
    }
    if refused > 0 {
        return Err(Failure::Refused(format!("{refused} lines were refused")));
    }
    Ok(())
}
