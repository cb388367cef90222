//! What the server knows of token strings that were found, and their end by possession.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Findings, ScanArgs};
use crate::cli::failure::Failure;
use crate::cli::remote::{Api, Ask, segment};

/// Strings in one request: the most that the API takes.
const REVOKED_AT_ONCE: usize = 1000;

/// What the server says of a string.
pub(super) struct Answer {
    /// `active`, why it is not, `decoy`, or `unknown`.
    pub(super) verdict: String,
    /// Whose it is, as far as the caller may know.
    pub(super) user: Option<String>,
    /// What it is called.
    pub(super) name: Option<String>,
}

/// Asks about every string, if that is wanted.
pub(super) async fn ask(args: &ScanArgs, findings: &mut Findings) -> Result<(), Failure> {
    if !args.ask || findings.strings.is_empty() {
        return Ok(());
    }
    let api = Api::new(&args.remote)?;
    for (id, secret) in &findings.strings {
        let path = api.in_realm(&format!("tokens/{}", segment(id.as_str())));
        let known = match api.send(Ask::new(Method::GET, path)).await {
            Ok(token) => token,
            // Not in this realm, or not for this caller: the string itself may say more.
            Err(Failure::Refused(_) | Failure::Problem { unavailable: false, .. }) => Value::Null,
            Err(failure) => return Err(failure),
        };
        // To present a decoy anywhere is an alarm, and this would be a false one.
        let verdict = if known["kind"] == "decoy" {
            "decoy".to_owned()
        } else {
            let question = json!({ "token": secret.reveal(), "consume": false });
            verdict(&api.send(Ask::post(api.in_realm("verify"), question)).await?)
        };
        let text = |name: &str| known[name].as_str().map(str::to_owned);
        findings.answers.push(Some(Answer { verdict, user: text("user"), name: text("name") }));
    }
    Ok(())
}

fn verdict(answer: &Value) -> String {
    if answer["active"] == true {
        return "active".to_owned();
    }
    answer["code"].as_str().unwrap_or("unknown").to_owned()
}

/// Revokes every string by possession, but none that is known to be a decoy: that would end nothing
/// and be a false alarm. Says how many were sent.
pub(super) async fn revoke(args: &ScanArgs, findings: &Findings) -> Result<usize, Failure> {
    if findings.strings.is_empty() {
        return Ok(0);
    }
    let api = Api::without_key(&args.remote)?;
    let is_decoy = |number: usize| {
        let answer = findings.answers.get(number).and_then(Option::as_ref);
        answer.is_some_and(|answer| answer.verdict == "decoy")
    };
    let strings = findings.strings.iter().enumerate().filter(|(number, _)| !is_decoy(*number));
    let strings: Vec<&str> = strings.map(|(_, (_, secret))| secret.reveal()).collect();
    for credentials in strings.chunks(REVOKED_AT_ONCE) {
        let body = json!({ "credentials": credentials });
        api.send(Ask::post("/api/v1/credentials/revoke", body)).await?;
    }
    Ok(strings.len())
}
