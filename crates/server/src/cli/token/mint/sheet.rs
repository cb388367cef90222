//! The status sheet of a batch: who has drawn, when, and who has not yet.

use std::path::Path;

use serde_json::Value;

use super::BATCH_LABEL;
use crate::cli::failure::Failure;
use crate::cli::print;
use crate::cli::remote::{Api, Ask, PageArgs};
use crate::cli::token::args::SheetArgs;
use crate::private_file::NewFile;

/// The columns, in order.
const COLUMNS: [&str; 6] = ["name", "token", "state", "drawn_by", "drawn_at", "expires_at"];

/// One line of the sheet.
pub(super) struct Line([String; 6]);

/// The tokens of a batch, oldest first.
pub(super) async fn tokens(api: &Api, batch: &str) -> Result<Vec<Value>, Failure> {
    let label = format!("label.{BATCH_LABEL}");
    let query = [("kind", "registration_token".to_owned()), (label.as_str(), batch.to_owned())];
    let mut page = api.list(&api.in_realm("tokens"), &query, &PageArgs::ALL).await?;
    let mut items = match page.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    items.reverse();
    Ok(items)
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Who a drawn token belongs to, in the words that were given when it was drawn.
fn drawer(child: &Value) -> String {
    let words = ["system_user", "hostname", "name", "identifier"].map(|name| text(child, name));
    let said: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
    said.first().map_or_else(
        || text(child, "id"),
        |first| match said.get(1) {
            Some(second) if second != first => format!("{first}@{second}"),
            _ => first.clone(),
        },
    )
}

async fn line(api: &Api, token: &Value) -> Result<Line, Failure> {
    let (mut by, mut at) = (String::new(), String::new());
    if token.get("used").and_then(Value::as_u64).unwrap_or(0) > 0 {
        let path = api.in_realm(&format!("tokens/{}/children", text(token, "id")));
        let page = api.send(Ask::get(path)).await?;
        if let Some(child) = page.pointer("/items/0") {
            (by, at) = (drawer(child), text(child, "created_at"));
        }
    }
    let field = |name| text(token, name);
    Ok(Line([field("name"), field("id"), field("state"), by, at, field("expires_at")]))
}

/// The sheet as CSV.
fn written(lines: &[Line]) -> Result<Vec<u8>, Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let bad = |error: csv::Error| Failure::Refused(error.to_string());
    writer.write_record(COLUMNS).map_err(bad)?;
    for Line(fields) in lines {
        writer.write_record(fields.iter().map(|field| inert(field))).map_err(bad)?;
    }
    writer.into_inner().map_err(|error| Failure::Refused(error.to_string()))
}

/// What a spreadsheet takes for a text: names of machines are said by the machines themselves.
fn inert(field: &str) -> String {
    if field.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{field}")
    } else {
        field.to_owned()
    }
}

/// Writes `counterfoil token sheet`.
pub(in crate::cli::token) async fn run(args: &SheetArgs) -> Result<(), Failure> {
    let api = Api::new(&args.remote)?;
    let tokens = tokens(&api, &args.batch).await?;
    if tokens.is_empty() {
        return Err(Failure::about(&args.batch, "there is no such batch"));
    }
    let mut lines = Vec::with_capacity(tokens.len());
    for token in &tokens {
        lines.push(line(&api, token).await?);
    }
    if api.json {
        let object = |Line(fields): &Line| -> Value {
            COLUMNS.iter().zip(fields).map(|(name, text)| (*name, Value::from(&**text))).collect()
        };
        print::json(&lines.iter().map(object).collect());
        return Ok(());
    }
    let bytes = written(&lines)?;
    if let Some(path) = &args.out {
        return store(path, &bytes);
    }
    print::raw(&String::from_utf8_lossy(&bytes));
    Ok(())
}

/// Writes a file that is not there yet.
fn store(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let write = || {
        let mut file = NewFile::create(path)?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.keep()
    };
    write().map_err(|error: std::io::Error| Failure::about(path.display(), error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_sheet_holds_text_that_no_spreadsheet_computes() {
        let line = Line(["=1+1", "a,b", "active", "", "", ""].map(str::to_owned));
        let text = String::from_utf8(written(&[line]).unwrap()).unwrap();
        assert!(text.ends_with("\n'=1+1,\"a,b\",active,,,\n"), "{text}");
    }

    #[test]
    fn who_drew_is_said_by_person_and_machine() {
        assert_eq!(drawer(&json!({ "system_user": "jdoe", "hostname": "ws-17" })), "jdoe@ws-17");
        assert_eq!(drawer(&json!({ "hostname": "ws-17", "name": "ws-17" })), "ws-17");
        assert_eq!(drawer(&json!({ "id": "abc" })), "abc");
    }
}
