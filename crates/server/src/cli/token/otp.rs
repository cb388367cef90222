//! `counterfoil token otp`: authentication tokens, which prove themselves by codes.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::path;
use super::put_expiry;
use crate::cli::failure::Failure;
use crate::cli::print;
use crate::cli::remote::{Api, Ask, RemoteArgs};
use crate::cli::secret_input::{self, Wanted};
use crate::cli::when::{self, When};
use crate::private_file;

/// Authentication tokens: one-time codes of an app, a key, a sheet or a mail
#[derive(Debug, Subcommand)]
pub(crate) enum OtpCommand {
    /// Enrol an authentication token and show what an authenticator reads, this once
    Enrol(Box<EnrolArgs>),
    /// Show how an authentication token stands, and how many of its codes are left
    Show(OtpOneArgs),
    /// Show a code, to prove that its owner has the token
    Confirm(CodeArgs),
    /// Bring its clock or counter up to date, by two codes that follow each other
    Resync(CodeArgs),
    /// Replace its backup codes and show the new ones, this once
    Codes(CodesArgs),
    /// Send a code to its owner by mail
    Send(OtpOneArgs),
}

/// What an authentication token is
#[derive(Debug, clap::Args)]
pub(crate) struct EnrolArgs {
    /// How it proves itself
    #[arg(value_parser = ["totp", "hotp", "backup", "yubikey", "email"])]
    method: String,
    /// Whose it is; the caller's own unless given
    #[arg(long)]
    user: Option<String>,
    /// What it is called
    #[arg(long)]
    name: Option<String>,
    /// The serial that is printed on it
    #[arg(long)]
    serial: Option<String>,
    /// A service it is good for; repeat for more [default: all]
    #[arg(long = "service", value_name = "LABEL")]
    services: Vec<String>,
    /// A door it may be presented at; repeat for more [default: api and validate]
    #[arg(long = "door", value_name = "DOOR")]
    doors: Vec<String>,
    /// When it ends: 12h, 30d, 2026-12-31, or never [default: the policy's]
    #[arg(long, value_name = "WHEN", value_parser = when::end)]
    expires: Option<When>,
    /// Digits of a code, 6 to 8
    #[arg(long)]
    digits: Option<u32>,
    /// Seconds of a step of totp
    #[arg(long, value_name = "SECONDS")]
    step: Option<u32>,
    /// The hash inside: SHA1, SHA256 or SHA512
    #[arg(long)]
    algorithm: Option<String>,
    /// File with a seed in Base32 that another party made, or `-` for standard input
    #[arg(long, value_name = "FILE")]
    seed_file: Option<String>,
    /// The next counter of hotp
    #[arg(long)]
    counter: Option<u64>,
    /// What the passwords of a yubikey begin with
    #[arg(long, value_name = "MODHEX")]
    public_id: Option<String>,
    /// File with the private id and the AES key of a yubikey, `HEX HEX` on one line, or `-`
    #[arg(long, value_name = "FILE")]
    device_file: Option<String>,
    /// How many backup codes
    #[arg(long, value_name = "N")]
    codes: Option<u32>,
    /// It is good for nothing before its owner has shown a code of it
    #[arg(long)]
    confirm: bool,
    /// Write the QR code to this file, SVG, readable by you alone
    #[arg(long, value_name = "FILE")]
    qr: Option<PathBuf>,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// One authentication token
#[derive(Debug, clap::Args)]
pub(crate) struct OtpOneArgs {
    /// The token's id
    id: String,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Codes of an authentication token
#[derive(Debug, clap::Args)]
pub(crate) struct CodeArgs {
    /// The token's id
    id: String,
    /// File with the code, or with two codes on one line, or `-` for standard input [default: a prompt]
    #[arg(long, value_name = "FILE")]
    code_file: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// A new sheet
#[derive(Debug, clap::Args)]
pub(crate) struct CodesArgs {
    /// The token's id
    id: String,
    /// How many
    #[arg(long = "codes", value_name = "N")]
    number: Option<u32>,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Runs a command on authentication tokens.
pub(super) async fn run(command: &OtpCommand) -> Result<(), Failure> {
    match command {
        OtpCommand::Enrol(args) => enrol(args).await,
        OtpCommand::Show(args) => {
            let api = Api::new(&args.remote)?;
            shown(&api, &api.send(Ask::get(path(&api, &args.id, "/otp"))).await?);
            Ok(())
        }
        OtpCommand::Confirm(args) => {
            let code = secret_input::secret(args.code_file.as_deref(), Wanted::Code)?;
            act(&args.remote, &args.id, "/otp/confirm", json!({ "code": code.reveal() })).await
        }
        OtpCommand::Resync(args) => resync(args).await,
        OtpCommand::Codes(args) => renew(args).await,
        OtpCommand::Send(args) => act(&args.remote, &args.id, "/otp/send", json!({})).await,
    }
}

fn shown(api: &Api, answer: &Value) {
    if api.json { print::json(answer) } else { print::record(answer) }
}

async fn act(remote: &RemoteArgs, id: &str, act: &str, body: Value) -> Result<(), Failure> {
    let api = Api::new(remote)?;
    let answer = api.send(Ask::post(path(&api, id, act), body)).await?;
    shown(&api, &answer);
    Ok(())
}

async fn resync(args: &CodeArgs) -> Result<(), Failure> {
    let both = secret_input::secret(args.code_file.as_deref(), Wanted::Codes)?;
    let Some((first, second)) = both.reveal().split_once([' ', ',']) else {
        return Err(Failure::Usage(
            "give two codes that follow each other, `123456 654321`".into(),
        ));
    };
    let body = json!({ "first": first.trim(), "second": second.trim() });
    act(&args.remote, &args.id, "/otp/resync", body).await
}

async fn renew(args: &CodesArgs) -> Result<(), Failure> {
    let api = Api::new(&args.remote)?;
    let body = args.number.map_or_else(|| json!({}), |number| json!({ "codes": number }));
    let answer = api.send(Ask::post(path(&api, &args.id, "/otp/codes"), body)).await?;
    if api.json {
        print::json(&answer);
    } else {
        print::note("These codes are shown once; the earlier ones are good for nothing any more:");
        lines(&answer);
    }
    Ok(())
}

fn lines(answer: &Value) {
    let codes = answer.get("codes").and_then(Value::as_array);
    for code in codes.into_iter().flatten().filter_map(Value::as_str) {
        print::line(code);
    }
}

/// The fields that make it an authentication token.
fn otp_body(args: &EnrolArgs) -> Result<Map<String, Value>, Failure> {
    let mut otp = Map::new();
    let mut put = |name: &str, value: Value| drop(otp.insert(name.to_owned(), value));
    put("method", args.method.as_str().into());
    let numbers = [("digits", args.digits), ("step_seconds", args.step), ("codes", args.codes)];
    for (name, number) in numbers {
        if let Some(number) = number {
            put(name, number.into());
        }
    }
    if let Some(counter) = args.counter {
        put("counter", counter.into());
    }
    if let Some(algorithm) = &args.algorithm {
        put("algorithm", algorithm.as_str().into());
    }
    if let Some(from) = &args.seed_file {
        put("seed", secret_input::secret(Some(from), Wanted::Seed)?.reveal().into());
    }
    if let Some(public_id) = &args.public_id {
        put("public_id", public_id.as_str().into());
    }
    if let Some(from) = &args.device_file {
        let line = secret_input::secret(Some(from), Wanted::Seed)?;
        let Some((private_id, key)) = line.reveal().trim().split_once([' ', ',']) else {
            return Err(Failure::Usage("--device-file holds the private id and the key".into()));
        };
        put("private_id", private_id.trim().into());
        put("aes_key", key.trim().into());
    }
    if args.confirm {
        put("confirm", true.into());
    }
    Ok(otp)
}

async fn enrol(args: &EnrolArgs) -> Result<(), Failure> {
    // Afterwards it would be too late: what follows is shown once.
    if let Some(file) = args.qr.as_ref().filter(|file| file.exists()) {
        return Err(Failure::Refused(format!("{} exists and is not overwritten", file.display())));
    }
    let mut body = Map::new();
    body.insert("kind".into(), "generic".into());
    body.insert("otp".into(), Value::Object(otp_body(args)?));
    let texts = [("user", &args.user), ("name", &args.name), ("serial", &args.serial)];
    for (name, text) in texts {
        if let Some(text) = text {
            body.insert(name.into(), text.as_str().into());
        }
    }
    for (name, list) in [("services", &args.services), ("doors", &args.doors)] {
        if !list.is_empty() {
            body.insert(name.into(), list.as_slice().into());
        }
    }
    if let Some(expires) = &args.expires {
        put_expiry(&mut body, expires);
    }
    let api = Api::new(&args.remote)?;
    let answer = api.send(Ask::post(api.in_realm("tokens"), Value::Object(body))).await?;
    if api.json {
        print::json(&answer);
    } else {
        let id = answer.pointer("/token/id").and_then(Value::as_str).unwrap_or_default();
        // A method whose codes are sent or typed by a device has nothing to show.
        let shows = ["otpauth_uri", "codes"]
            .iter()
            .any(|name| answer.get(name).is_some_and(|v| !v.is_null()));
        print::note(&match (shows, args.method.as_str()) {
            (true, method) => format!("{method} {id} is enrolled. What follows is shown once:"),
            (false, "email") => {
                format!("email {id} is enrolled. Send a code: counterfoil token otp send {id}")
            }
            (false, method) => format!("{method} {id} is enrolled."),
        });
        if let Some(uri) = answer.get("otpauth_uri").and_then(Value::as_str) {
            print::line(uri);
        }
        lines(&answer);
    }
    // Last, so that a disk that is full loses no seed.
    if let (Some(file), Some(svg)) = (&args.qr, answer.get("qr_svg").and_then(Value::as_str)) {
        let kept = private_file::write_new(file, svg.as_bytes());
        kept.map_err(|error| Failure::about(file.display(), error))?;
    }
    Ok(())
}
