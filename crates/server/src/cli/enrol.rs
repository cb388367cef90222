//! `counterfoil enrol`: draws an auth token on the machine that is to have it.

use std::time::Duration;

use counterfoil_authority::clock::Clock as _;
use counterfoil_authority::event::time_ordered_id;
use counterfoil_authority::secret::ClearSecret;
use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::print;
use super::remote::{Api, Ask, RemoteArgs};
use crate::clock::{OsClock, OsEntropy};

/// Draw an auth token with a registration token, which `--token-file` or `COUNTERFOIL_TOKEN` holds
#[derive(Debug, clap::Args)]
pub(crate) struct EnrolArgs {
    /// Who or what the auth token speaks for
    #[arg(long, value_name = "NAME")]
    subject: String,
    /// The machine's full name in the network
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// The account that the program runs as
    #[arg(long, value_name = "NAME")]
    system_user: Option<String>,
    /// The machine's hardware address
    #[arg(long, value_name = "ADDRESS")]
    mac_address: Option<String>,
    /// An identifier to find it by
    #[arg(long, value_name = "TEXT")]
    identifier: Option<String>,
    /// A reference id to find it by
    #[arg(long, value_name = "TEXT")]
    ref_id_1: Option<String>,
    /// A second one
    #[arg(long, value_name = "TEXT")]
    ref_id_2: Option<String>,
    /// The same key and fields give the same answer and count once [default: a fresh one]
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// If somebody has to approve first, wait until it is decided
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &EnrolArgs) -> Result<(), Failure> {
    let mut body = Map::new();
    body.insert("subject".to_owned(), args.subject.as_str().into());
    let facts = [
        ("hostname", &args.hostname),
        ("system_user", &args.system_user),
        ("mac_address", &args.mac_address),
        ("identifier", &args.identifier),
        ("ref_id_1", &args.ref_id_1),
        ("ref_id_2", &args.ref_id_2),
    ];
    for (name, fact) in facts {
        if let Some(fact) = fact {
            body.insert(name.to_owned(), fact.as_str().into());
        }
    }
    let key = match &args.idempotency_key {
        Some(key) => key.clone(),
        None => time_ordered_id(OsClock.now(), &OsEntropy)
            .map_err(|error| Failure::Unavailable(error.to_string()))?,
    };
    let api = Api::new(&args.remote)?;
    let ask = Ask::post(api.in_realm("enrol"), Value::Object(body)).once(Some(&key));
    let answer = match api.send(ask).await {
        Ok(answer) => answer,
        Err(Failure::Unavailable(why)) => {
            // Whether it was counted is not known; the same key finds out at no cost.
            let hint = format!("{why}\n  (repeat it with --idempotency-key {key}: it counts once)");
            return Err(Failure::Unavailable(hint));
        }
        Err(failure) => return Err(failure),
    };
    if let Some(code) = answer["device_code"].as_str() {
        return waits(args, api, &answer, code).await;
    }
    show(&api, &answer);
    Ok(())
}

/// Says what an administrator has to do, and asks until it is done.
async fn waits(args: &EnrolArgs, api: Api, answer: &Value, code: &str) -> Result<(), Failure> {
    let user_code = answer["user_code"].as_str().unwrap_or_default();
    if !args.wait {
        if api.json {
            print::json(answer);
        } else {
            print::note(&format!(
                "an administrator has to approve: counterfoil token approve {user_code}\n\
                 The code of this device is shown once; with it, and --wait, the token is fetched:"
            ));
            print::line(code);
        }
        return Ok(());
    }
    print::note(&format!("waiting for: counterfoil token approve {user_code}"));
    let interval = answer["interval"].as_u64().unwrap_or(5);
    let api = api.presenting(ClearSecret::new(code.to_owned()));
    loop {
        tokio::time::sleep(Duration::from_secs(interval)).await;
        let answer = api.send(Ask::post(api.in_realm("enrol/poll"), json!({}))).await?;
        if answer["refresh_token"].is_string() {
            show(&api, &answer);
            return Ok(());
        }
    }
}

/// Prints an auth token as a file of variables, or as JSON.
fn show(api: &Api, answer: &Value) {
    if api.json {
        return print::json(answer);
    }
    let text = |name: &str| answer.pointer(name).and_then(Value::as_str).unwrap_or_default();
    print::note(&format!(
        "auth token {} of {}; its secrets are shown once and cannot be read again:",
        text("/token/id"),
        text("/token/device/subject"),
    ));
    print::line(&format!("COUNTERFOIL_AUTH_TOKEN_ID={}", text("/token/id")));
    print::line(&format!("COUNTERFOIL_ACCESS_TOKEN={}", text("/access_token")));
    print::line(&format!("COUNTERFOIL_REFRESH_TOKEN={}", text("/refresh_token")));
}
