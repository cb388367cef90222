//! `counterfoil token mint`: one single-use registration token for each name of a list.
//!
//! Can be run again at any time: what a former run has finished is left alone, and what it has
//! begun is asked for under the same idempotency key, so that no name ever has two good tokens.

mod names;
mod sheet;

use std::io;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use indicatif::{ProgressBar, ProgressStyle};
use qrcode::QrCode;
use qrcode::render::svg;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use self::names::Named;
pub(super) use self::sheet::run as sheet;
use super::args::MintArgs;
use super::put_expiry;
use crate::cli::failure::Failure;
use crate::cli::print;
use crate::cli::remote::{Api, Ask, segment};
use crate::private_file;

/// The label that the tokens of a batch carry.
pub(super) const BATCH_LABEL: &str = "batch";
/// Side of a QR code in an image, in pixels, at least: readable from a screen.
const QR_PIXELS_MIN: u32 = 240;

/// A token that was minted, or found minted already.
struct Minted {
    name: String,
    id: String,
    /// The secret or the link.
    handed: String,
    /// Whether `handed` is a link.
    link: bool,
}

/// Where a name's secret is written.
struct Places {
    env: Option<PathBuf>,
    qr: Option<PathBuf>,
}

impl Places {
    fn of(args: &MintArgs, name: &str) -> Self {
        let within = |dir: &Option<PathBuf>, end: &str| {
            dir.as_ref().map(|dir| dir.join(format!("{name}.{end}")))
        };
        Self { env: within(&args.env_dir, "env"), qr: within(&args.qr_dir, "svg") }
    }

    /// Whether every wanted file is there. Without files a run can only be asked again.
    fn are_written(&self) -> bool {
        let mut wanted = [&self.env, &self.qr].into_iter().flatten().peekable();
        wanted.peek().is_some() && wanted.all(|path| path.exists())
    }

    fn write(&self, minted: &Minted, url: &str) -> Result<(), Failure> {
        if let Some(path) = &self.env {
            let text = environment(minted, url);
            keep(path, text.as_bytes())?;
        }
        if let Some(path) = &self.qr {
            keep(path, qr_image(&minted.handed)?.as_bytes())?;
        }
        Ok(())
    }
}

/// Writes a private file, unless a former run did.
fn keep(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    match private_file::write_new(path, bytes) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Failure::about(path.display(), error))
        }
        _ => Ok(()),
    }
}

/// What a shell or a unit file reads.
fn environment(minted: &Minted, url: &str) -> String {
    let variable = if minted.link {
        "COUNTERFOIL_REGISTRATION_LINK"
    } else {
        "COUNTERFOIL_REGISTRATION_TOKEN"
    };
    let Minted { name, id, handed, .. } = minted;
    format!(
        "# registration token {id} of {name}, for one use\nCOUNTERFOIL_URL={url}\n{variable}={handed}\n"
    )
}

/// A QR code as an SVG image.
fn qr_image(text: &str) -> Result<String, Failure> {
    let code = QrCode::new(text).map_err(|error| Failure::Refused(error.to_string()))?;
    let mut image = code.render::<svg::Color<'_>>();
    Ok(image.min_dimensions(QR_PIXELS_MIN, QR_PIXELS_MIN).build())
}

/// The same key for the same line of the same batch, whichever run asks.
fn key_of(batch: &str, body: &Value) -> String {
    let mut digest = Sha256::new();
    digest.update(batch.as_bytes());
    digest.update(b"\n");
    digest.update(body.to_string().as_bytes());
    let bytes: [u8; 32] = digest.finalize().into();
    let (head, _) = bytes.split_at(16);
    format!("mint-{}", HEXLOWER.encode(head))
}

fn body_of(args: &MintArgs, batch: &str, named: &Named) -> Value {
    let mut body: Map<String, Value> = named.fields.clone();
    body.insert("kind".into(), "registration_token".into());
    body.insert("name".into(), named.name.as_str().into());
    body.insert("count".into(), 1.into());
    body.insert("labels".into(), json!({ BATCH_LABEL: batch }));
    if let Some(unit) = &args.unit {
        body.entry("unit").or_insert_with(|| unit.as_str().into());
    }
    if !args.services.is_empty() {
        body.insert("services".into(), args.services.as_slice().into());
    }
    body.insert("delivery".into(), args.delivery.as_str().into());
    if let Some(expires) = &args.expires {
        put_expiry(&mut body, expires);
    }
    Value::Object(body)
}

/// A bar on standard error; nothing where that is no terminal.
fn bar(total: usize) -> ProgressBar {
    let bar = ProgressBar::new(total as u64);
    if let Ok(style) = ProgressStyle::with_template("minting {wide_bar} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar
}

/// Runs `counterfoil token mint`.
pub(super) async fn run(args: &MintArgs) -> Result<(), Failure> {
    let shown = args.from.display().to_string();
    let bytes = std::fs::read(&args.from).map_err(|error| Failure::about(&shown, error))?;
    let names = names::read(&shown, &bytes)?;
    for dir in [&args.env_dir, &args.qr_dir].into_iter().flatten() {
        private_file::create_directory(dir).map_err(|e| Failure::about(dir.display(), e))?;
    }
    let api = Api::new(&args.remote)?;
    let batch = args.batch.clone().unwrap_or_else(|| stem(&args.from));
    let earlier = sheet::tokens(&api, &batch).await?;
    let bar = bar(names.len());
    let mut minted = Vec::new();
    let mut done = 0_usize;
    for named in &names {
        let places = Places::of(args, &named.name);
        let known = of_name(&earlier, &named.name);
        if places.are_written() && !known.is_empty() {
            done += 1;
        } else {
            let fresh = mint(&api, args, &batch, named, &known).await;
            let fresh = fresh.map_err(|failure| so_far(&failure, &named.name, minted.len()))?;
            places.write(&fresh, api.base())?;
            minted.push(fresh);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    said(&api, args, &batch, &minted, done)
}

/// A name for the batch from that of its file.
fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(|| "batch".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// The tokens of a name that a former run made and nobody revoked.
fn of_name(tokens: &[Value], name: &str) -> Vec<String> {
    let field = |token: &Value, field: &str| {
        token.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    tokens
        .iter()
        .filter(|token| field(token, "name") == name && field(token, "state") != "revoked")
        .map(|token| field(token, "id"))
        .collect()
}

/// Issues one token, or gets the same answer again. Where the server has forgotten the answer, the
/// token whose secret nobody has is revoked in favour of the new one.
async fn mint(
    api: &Api,
    args: &MintArgs,
    batch: &str,
    named: &Named,
    known: &[String],
) -> Result<Minted, Failure> {
    let body = body_of(args, batch, named);
    let key = key_of(batch, &body);
    let answer = api.send(Ask::post(api.in_realm("tokens"), body).once(Some(&key))).await?;
    let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let (secret, link) = (text("/secret"), text("/link"));
    let id = text("/token/id").unwrap_or_default();
    for old in known.iter().filter(|old| **old != id) {
        let path = api.in_realm(&format!("tokens/{}/revoke", segment(old)));
        let reason = json!({ "reason": "minted again, its secret was not kept" });
        api.send(Ask::post(path, reason)).await?;
        print::note(&format!("{}: {old} was revoked, its secret was not kept", named.name));
    }
    let link_given = secret.is_none();
    let handed = secret.or(link).unwrap_or_default();
    Ok(Minted { name: named.name.clone(), id, handed, link: link_given })
}

/// A failure in the middle, and what can be done about it.
fn so_far(failure: &Failure, name: &str, minted: usize) -> Failure {
    let text =
        format!("{name}: {failure}\n  {minted} were minted; run it again to go on from here");
    match failure {
        Failure::Unavailable(_) | Failure::Problem { unavailable: true, .. } => {
            Failure::Unavailable(text)
        }
        _ => Failure::Refused(text),
    }
}

fn said(
    api: &Api,
    args: &MintArgs,
    batch: &str,
    minted: &[Minted],
    done: usize,
) -> Result<(), Failure> {
    let files = args.env_dir.is_some() || args.qr_dir.is_some();
    if api.json {
        let object = |one: &Minted| {
            let mut object = json!({ "name": one.name, "token": one.id });
            if !files {
                object[if one.link { "link" } else { "secret" }] = one.handed.as_str().into();
            }
            object
        };
        let items: Vec<Value> = minted.iter().map(object).collect();
        print::json(&json!({ "batch": batch, "minted": items, "already": done }));
        return Ok(());
    }
    if !files {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let bad = |error: csv::Error| Failure::Refused(error.to_string());
        let handed = if args.delivery == "link" { "link" } else { "secret" };
        writer.write_record(["name", "token", handed]).map_err(bad)?;
        for one in minted {
            writer.write_record([&one.name, &one.id, &one.handed]).map_err(bad)?;
        }
        let bytes = writer.into_inner().map_err(|error| Failure::Refused(error.to_string()))?;
        print::raw(&String::from_utf8_lossy(&bytes));
    }
    let count = minted.len();
    print::note(&format!(
        "{count} minted, {done} were there already. Who has drawn: counterfoil token sheet {batch}"
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_file_says_what_it_holds() {
        let minted =
            Minted { name: "ws".into(), id: "abc".into(), handed: "cflr_x".into(), link: false };
        let text = environment(&minted, "http://t");
        assert_eq!(text.lines().count(), 3);
        assert!(
            text.ends_with("COUNTERFOIL_URL=http://t\nCOUNTERFOIL_REGISTRATION_TOKEN=cflr_x\n")
        );
        let linked = Minted { link: true, ..minted };
        assert!(environment(&linked, "http://t").contains("COUNTERFOIL_REGISTRATION_LINK="));
    }

    #[test]
    fn a_code_is_an_image_and_a_key_belongs_to_its_line() {
        assert!(qr_image("cflr_x").unwrap().contains("<svg"));
        let body = json!({ "name": "a" });
        assert_eq!(key_of("b", &body), key_of("b", &body));
        assert_ne!(key_of("b", &body), key_of("c", &body));
        assert_ne!(key_of("b", &body), key_of("b", &json!({ "name": "b" })));
    }
}
