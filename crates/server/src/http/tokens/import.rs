//! Taking over a file of authentication tokens: hardware with its seeds, and tables of seeds.

use std::fmt::Write as _;

use axum::Json;
use axum::extract::State;
use counterfoil_authority::authority::{OtpFate, OtpTaken, OtpTaking};
use counterfoil_authority::names::RealmName;
use counterfoil_authority::scope::ApiScope;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::ObjectBuilder;
use zeroize::Zeroizing;

use crate::http::body::{BatchBytes, parse};
use crate::http::caller::Authenticated;
use crate::http::problem::{Problem, Sort};
use crate::http::query::At;
use crate::http::responses::Acts;
use crate::http::state::AppState;
use crate::http::wire::{Parsed, RepositoryWord, SecretWord, Word};
use crate::seeds::{Encoding, Format, Opening, SeedFile};

/// Lines that a refusal names at most; a dry run names all.
const FAULTS_SHOWN_MAX: usize = 20;

type FormatWord = Parsed<Format>;

impl Word for Format {
    const NAME: &'static str = "ImportFormat";

    fn read(text: &str) -> Result<Self, String> {
        let known = [Self::Pskc, Self::Csv, Self::Yubico];
        let found = known.into_iter().find(|format| format.name() == text);
        found.ok_or_else(|| "expected pskc, csv or yubico".to_owned())
    }

    fn narrow(object: ObjectBuilder) -> ObjectBuilder {
        object.enum_values(Some(["pskc", "csv", "yubico"]))
    }
}

type EncodingWord = Parsed<Encoding>;

impl Word for Encoding {
    const NAME: &'static str = "SeedEncoding";

    fn read(text: &str) -> Result<Self, String> {
        let found = [Self::Hex, Self::Base32].into_iter().find(|one| one.name() == text);
        found.ok_or_else(|| "expected hex or base32".to_owned())
    }

    fn narrow(object: ObjectBuilder) -> ObjectBuilder {
        object.enum_values(Some(["hex", "base32"]))
    }
}

/// What a file says: seeds are in it, so nothing prints it.
struct FileText(Zeroizing<String>);

impl<'de> Deserialize<'de> for FileText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// A file of authentication tokens, at most 4 MiB and 2000 tokens.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    format: FormatWord,
    /// What the file says.
    #[schema(max_length = 4_194_304, value_type = String, write_only)]
    text: FileText,
    /// How the secrets of a csv file are written; hex where it names a type, base32 elsewhere.
    encoding: Option<EncodingWord>,
    /// What an encrypted pskc file is under, in hexadecimal digits.
    key: Option<SecretWord>,
    /// The password that the key of an encrypted pskc file is derived from.
    password: Option<SecretWord>,
    /// The repository that takes the tokens. Those that name no user wait in its stock.
    repository: Option<RepositoryWord>,
    /// Only says what would become of each line.
    dry_run: Option<bool>,
    /// Takes what can be taken over; otherwise one line that cannot stops all.
    partial: Option<bool>,
}

/// What became of a line.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportLine {
    /// Its number in the file, from 1.
    line: usize,
    /// The serial it names.
    serial: Option<String>,
    /// `imported`, or `refused`; of a dry run, what would become of it.
    #[schema(pattern = "^(imported|refused)$")]
    fate: &'static str,
    /// The token's id, if it was imported.
    id: Option<String>,
    /// Why it was refused.
    reason: Option<String>,
}

/// What became of a file.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportBody {
    /// Whether nothing was done.
    dry_run: bool,
    /// Tokens that were imported, or would be.
    imported: usize,
    /// Lines that were refused.
    refused: usize,
    /// Each line, in the order of the file.
    lines: Vec<ImportLine>,
}

/// Takes over a file of authentication tokens: all of it, or nothing. Seeds are sealed, and
/// neither shown nor repeated.
#[utoipa::path(
    post, path = "/api/v1/realms/{realm}/tokens/import", tag = "tokens",
    params(("realm" = String, Path, description = "The realm")),
    request_body = ImportRequest,
    responses((status = 200, description = "What became of it", body = ImportBody), Acts)
)]
pub async fn token_import(
    State(state): State<AppState>,
    Authenticated(caller): Authenticated,
    At(realm): At<RealmName>,
    BatchBytes(bytes): BatchBytes,
) -> Result<Json<ImportBody>, Problem> {
    // Who may not import has no file read.
    caller.reach(&realm, ApiScope::TokensWrite)?;
    let request: ImportRequest = parse(&bytes)?;
    drop(bytes);
    let dry_run = request.dry_run == Some(true);
    let taking = OtpTaking {
        repository: request.repository.as_ref().map(|name| name.0.clone()),
        dry_run,
        partial: request.partial == Some(true),
    };
    // A key from a password takes a while to derive, and others wait for this thread.
    let rows = tokio::task::spawn_blocking(move || rows_of(request)).await;
    let rows =
        rows.map_err(|_| Problem::new(Sort::Unavailable, "the file could not be read"))??;
    let taken = state.authority.import_otps(&caller, &realm, rows, &taking).await?;
    if !dry_run && !taken.stored {
        return Err(refused(&taken));
    }
    let lines: Vec<ImportLine> = taken.fates.into_iter().map(line_of).collect();
    let imported = lines.iter().filter(|line| line.reason.is_none()).count();
    // The id of what would be imported is drawn anew when it is.
    let shown = |line| if dry_run { ImportLine { id: None, ..line } } else { line };
    let lines: Vec<ImportLine> = lines.into_iter().map(shown).collect();
    Ok(Json(ImportBody { dry_run, imported, refused: lines.len() - imported, lines }))
}

fn rows_of(
    request: ImportRequest,
) -> Result<Vec<counterfoil_authority::authority::OtpRow>, Problem> {
    let opening = match (request.key, request.password) {
        (None, None) => None,
        (Some(key), None) => Some(Opening::Key(key.0)),
        (None, Some(password)) => Some(Opening::Password(password.0)),
        (Some(_), Some(_)) => {
            return Err(Problem::invalid("password", "give a key or a password, not both"));
        }
    };
    let encoding = request.encoding.map(|encoding| encoding.0);
    let file = SeedFile { format: request.format.0, text: &request.text.0, encoding, opening };
    file.rows().map_err(|bad| Problem::invalid("text", bad))
}

fn line_of((line, serial, fate): (usize, Option<String>, OtpFate)) -> ImportLine {
    match fate {
        OtpFate::Taken(id) => {
            ImportLine { line, serial, fate: "imported", id: Some(id.to_string()), reason: None }
        }
        OtpFate::Refused(why) => {
            ImportLine { line, serial, fate: "refused", id: None, reason: Some(why) }
        }
        OtpFate::LeftOut => {
            let reason = Some("other lines stopped the file".to_owned());
            ImportLine { line, serial, fate: "refused", id: None, reason }
        }
    }
}

/// A file that was not taken over, with the lines that stopped it.
fn refused(taken: &OtpTaken) -> Problem {
    let mut faults = 0_usize;
    let mut text = String::new();
    for (line, _, fate) in &taken.fates {
        let OtpFate::Refused(why) = fate else { continue };
        faults += 1;
        if faults <= FAULTS_SHOWN_MAX {
            // Writing to a string cannot fail.
            let _ = write!(text, "; line {line}: {why}");
        }
    }
    if faults > FAULTS_SHOWN_MAX {
        text.push_str("; and more");
    }
    let all = taken.fates.len();
    Problem::invalid(
        "text",
        format!("nothing was imported, {faults} of {all} tokens cannot be{text}"),
    )
}
