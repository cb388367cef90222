//! `audit export`: page by page into a file, and checked on the way.

use std::io::{BufWriter, ErrorKind, Write};

use counterfoil_authority::audit::export::{Header, last_line};
use counterfoil_authority::audit::note::{Checkpoint, VerifierKey};
use counterfoil_authority::audit::tree::{Frontier, Hash};
use counterfoil_authority::audit::verify::Verifier;
use data_encoding::BASE64;
use serde::Deserialize;

use super::super::failure::Failure;
use super::super::print::{self, clean};
use super::super::remote::{Api, Ask};
use super::verify::entries;
use super::{ExportArgs, about};
use crate::private_file::NewFile;

/// Entries of one request: the most that the API gives.
const PAGE: u64 = 1000;

#[derive(Deserialize)]
struct Page {
    prefix: Vec<String>,
    entries: Vec<String>,
}

/// Where the lines go.
enum Output {
    File(BufWriter<NewFile>),
    Standard(BufWriter<std::io::Stdout>),
}

impl Output {
    fn of(args: &ExportArgs) -> Result<Self, Failure> {
        match &args.output {
            Some(path) => {
                let file = NewFile::create(path);
                let file = file.map_err(|error| match error.kind() {
                    // It names the file itself.
                    ErrorKind::AlreadyExists => Failure::Refused(clean(&error.to_string())),
                    _ => about(path, error),
                })?;
                Ok(Self::File(BufWriter::new(file)))
            }
            None => Ok(Self::Standard(BufWriter::new(std::io::stdout()))),
        }
    }

    fn line(&mut self, line: &str) -> std::io::Result<()> {
        match self {
            Self::File(file) => file.write_all(line.as_bytes()),
            Self::Standard(out) => out.write_all(line.as_bytes()),
        }
    }

    fn keep(self) -> std::io::Result<()> {
        match self {
            Self::File(file) => {
                file.into_inner().map_err(std::io::IntoInnerError::into_error)?.keep()
            }
            Self::Standard(mut out) => out.flush(),
        }
    }
}

/// Runs the command.
pub(super) async fn run(args: &ExportArgs) -> Result<(), Failure> {
    let api = Api::new(&args.remote)?;
    let note = api.text(Ask::get(api.in_realm("audit/checkpoint"))).await?;
    let keys = api.text(Ask::get(api.in_realm("audit/keys"))).await?;
    let keys: Vec<VerifierKey> = keys.lines().filter_map(VerifierKey::parse).collect();
    let checkpoint = Checkpoint::open(&note, &keys)
        .map_err(|fault| Failure::Refused(format!("the checkpoint of the server {fault}")))?;
    if args.from > checkpoint.size {
        let size = entries(checkpoint.size);
        return Err(Failure::Refused(format!("--from {}: the log has {size}", args.from)));
    }
    let mut out = Output::of(args)?;
    let written = |error: std::io::Error| Failure::Refused(format!("cannot be written: {error}"));
    let mut verifier = Verifier::new(keys, Vec::new());
    // A log that does not fit its own checkpoint is taken away all the same: it is the evidence.
    let mut fault = None;
    let mut put = |out: &mut Output, line: String| {
        let line = line + "\n";
        if fault.is_none() {
            fault = verifier.line(line.as_bytes()).err();
        }
        out.line(&line).map_err(written)
    };
    let mut next = args.from;
    let mut begun = false;
    while !begun || next < checkpoint.size {
        let limit = (checkpoint.size - next).clamp(1, PAGE);
        let page = page(&api, next, limit).await?;
        if !begun {
            put(&mut out, header(&checkpoint, args.from, &page)?)?;
            begun = true;
        }
        let wanted = checkpoint.size - next;
        let lines = page.entries.into_iter().zip(0..wanted);
        let before = next;
        for (entry, _) in lines {
            put(&mut out, entry)?;
            next += 1;
        }
        if next == before && next < checkpoint.size {
            return Err(Failure::Refused(format!("the server has no entry {next} of its log")));
        }
    }
    put(&mut out, last_line(&note))?;
    out.keep().map_err(written)?;
    let verdict = fault.map_or_else(|| verifier.finish().map(drop), Err);
    verdict.map_err(|fault| {
        Failure::Refused(format!("the export is written, and does not prove itself: {fault}"))
    })?;
    let count = entries(checkpoint.size - args.from);
    print::note(&format!("{count} of {}, proved by its checkpoint", checkpoint.origin));
    Ok(())
}

async fn page(api: &Api, from: u64, limit: u64) -> Result<Page, Failure> {
    let query = vec![("from", from.to_string()), ("limit", limit.to_string())];
    let page = api.send(Ask::get(api.in_realm("audit/entries")).with_query(query)).await?;
    let strange = |error| Failure::Unavailable(format!("the server answers strangely: {error}"));
    serde_json::from_value(page).map_err(strange)
}

fn header(checkpoint: &Checkpoint, first: u64, page: &Page) -> Result<String, Failure> {
    let hash = |text: &String| BASE64.decode(text.as_bytes()).ok()?.try_into().ok();
    let roots: Option<Vec<Hash>> = page.prefix.iter().map(hash).collect();
    let before = roots.and_then(|roots| Frontier::of(first, roots));
    let before =
        before.ok_or_else(|| Failure::Unavailable("the server answers strangely".to_owned()))?;
    Ok(Header::new(&checkpoint.origin, &before, checkpoint.size).line())
}
