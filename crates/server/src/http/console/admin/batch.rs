//! Many registration tokens at once, from a sheet; and the sheet of their secrets, once.
//!
//! Each row is issued under a key of its own, made of the form's and of its number, so the same
//! form again, be it for the sheet, gives the same secrets and makes no others.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use counterfoil_authority::authority::Replay;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::ApiScope;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::mint::{Wish, kept_of};
use super::parts::{self, Button, Cell, Field, Form, Link, Part, Table};
use super::{Section, require_others, unit_choices};
use crate::http::console::page::{self, Frame};
use crate::http::console::posted::{Fields, PostedLately};
use crate::http::console::secrets::{nonce, replay};
use crate::http::console::visit::Person;
use crate::http::problem::Problem;

/// Rows of one sheet at most: somebody waits for them.
const ROWS_MAX: usize = 200;
/// The columns, in the order they are read where the sheet has no head.
const COLUMNS: [&str; 5] = ["name", "unit", "count", "days", "identifier"];

/// A row as it was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Row {
    fields: [String; 5],
}

/// What became of a row.
struct Made {
    row: Row,
    /// The id and the secret, or why there is none.
    outcome: Result<(String, Zeroizing<String>), String>,
}

/// The rows of a sheet with commas, semicolons or tabs between its columns.
fn rows(text: &str) -> Result<Vec<Row>, Refusal> {
    let bad = |why: String| Refusal::invalid("rows", why);
    let first = text.lines().next().unwrap_or_default();
    let between = [b';', b'\t'].into_iter().find(|byte| first.as_bytes().contains(byte));
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .delimiter(between.unwrap_or(b','))
        .from_reader(text.as_bytes());
    let mut columns: Vec<usize> = (0..COLUMNS.len()).collect();
    let mut rows = Vec::new();
    for (number, record) in reader.records().enumerate() {
        let record = record.map_err(|error| bad(error.to_string()))?;
        let is_head = number == 0 && record.iter().any(|cell| cell.eq_ignore_ascii_case("name"));
        if is_head {
            let place = |name: &str| record.iter().position(|cell| cell.eq_ignore_ascii_case(name));
            columns = COLUMNS.iter().map(|name| place(name).unwrap_or(usize::MAX)).collect();
            continue;
        }
        if record.iter().all(str::is_empty) {
            continue;
        }
        let mut row = Row::default();
        for (field, column) in row.fields.iter_mut().zip(&columns) {
            record.get(*column).unwrap_or_default().clone_into(field);
        }
        rows.push(row);
        if rows.len() > ROWS_MAX {
            return Err(bad(format!("are more than {ROWS_MAX}")));
        }
    }
    if rows.is_empty() {
        return Err(bad("are none: one line for each token".to_owned()));
    }
    Ok(rows)
}

fn sheet_form(frame: &Frame, once: &str, given: &str) -> Form {
    Form::acts("batch", format!("{}/batch", Section::Registrations.path()))
        .with(Field::hidden("once", once))
        .with(
            Field::area("rows", frame.say("batch-rows"), given, 10).hinted(frame.say("batch-hint")),
        )
}

/// The form.
pub(super) async fn form(person: Person) -> Response {
    let once = async {
        require_others(person.caller(), ApiScope::RegistrationTokensWrite)?;
        Ok::<_, Refusal>(nonce(person.visit.state.authority.entropy())?)
    };
    match once.await {
        Ok(once) => {
            let frame = person
                .admin_frame(Section::Registrations, &[&person.frame().say("registration-batch")]);
            let example = "name,unit,count,days,identifier\n";
            let form =
                sheet_form(&frame, &once, example).ending(Button::plain(frame.say("batch-do")));
            let parts = vec![Part::Text(frame.say("batch-what")), Part::Form(form)];
            parts::show(&frame, frame.say("registration-batch"), parts)
        }
        Err(refusal) => person.failed(refusal),
    }
}

/// Why a row was not done, in the words of the API. A store that is down is no such reason.
fn reason(refusal: Refusal) -> Result<String, Refusal> {
    match refusal {
        Refusal::Unavailable(_) | Refusal::Overloaded | Refusal::NoEntropy(_) => Err(refusal),
        other => Ok(Problem::from(other).detail().to_owned()),
    }
}

async fn made(person: &Person, fields: &Fields) -> Result<Vec<Made>, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    require_others(caller, ApiScope::RegistrationTokensWrite)?;
    let whole = replay(fields)?;
    let rows = rows(fields.get("rows"))?;
    let units = unit_choices(person, String::new(), "").await?;
    let mut all = Vec::with_capacity(rows.len());
    for (number, row) in rows.into_iter().enumerate() {
        let [name, unit, count, days, identifier] = &row.fields;
        // A sheet names units as people do.
        let known = units.iter().find(|(id, words, _)| id == unit || words == unit);
        let unit = known.map_or_else(|| unit.clone(), |(id, ..)| id.clone());
        let unit = super::given(&unit);
        let wish = Wish { name, unit, count, days, identifier, approval: "" };
        let replay = Replay {
            key: format!("{} {number}", whole.key),
            fingerprint: Sha256::digest(row.fields.join("\u{1f}")).into(),
            render: std::sync::Arc::clone(&whole.render),
        };
        let issued = async {
            let request = wish.request()?;
            kept_of(authority.issue(caller, &caller.realm, request, Some(replay)).await?)
        };
        let outcome = match issued.await {
            Ok(kept) => Ok(kept),
            Err(refusal) => Err(reason(refusal)?),
        };
        all.push(Made { row, outcome });
    }
    Ok(all)
}

/// Makes the tokens of a sheet and shows their secrets, on the page or as a sheet.
pub(super) async fn mint(PostedLately { person, fields }: PostedLately) -> Response {
    match made(&person, &fields).await {
        Ok(all) if fields.get("as") == "sheet" => sheet(&all),
        Ok(all) => {
            let frame = person
                .admin_frame(Section::Registrations, &[&person.frame().say("registration-batch")]);
            let parts = shown(&frame, &all, &fields);
            parts::show(&frame, frame.say("batch-done"), parts)
        }
        Err(refusal) => person.failed(refusal),
    }
}

fn shown(frame: &Frame, all: &[Made], fields: &Fields) -> Vec<Part> {
    let heads = vec![
        frame.say("field-name"),
        frame.say("field-unit"),
        frame.say("registration-count"),
        frame.say("secret-label"),
    ];
    let mut table = Table::new(frame.say("batch-done"), heads, String::new());
    table.rows.extend(all.iter().map(|made| {
        let [name, unit, count, ..] = &made.row.fields;
        let (name, secret) = match &made.outcome {
            Ok((id, secret)) => (
                Cell::link(name, format!("{}/{id}", Section::Registrations.path())),
                Cell::code(secret.as_str()),
            ),
            Err(why) => (Cell::text(name), Cell::state(why.clone(), "over wraps")),
        };
        vec![name, Cell::text(unit), Cell::text(count), secret]
    }));
    let failed = all.iter().filter(|made| made.outcome.is_err()).count();
    let mut parts = vec![Part::Alert(frame.say("batch-once"))];
    if failed > 0 {
        parts.push(Part::Alert(frame.about("batch-failed", failed)));
    }
    let form = Form::acts("sheet", format!("{}/batch", Section::Registrations.path()))
        .with(Field::hidden("once", fields.get("once")))
        .with(Field::hidden("rows", fields.get("rows")))
        .ending(Button::plain(frame.say("batch-download")).sends("as", "sheet"));
    parts.extend([Part::Form(form), Part::Table(table)]);
    let done = Section::Registrations.path().to_owned();
    parts.push(Part::Links(vec![Link::button(done, frame.say("secret-saved"))]));
    parts
}

/// A cell that no spreadsheet takes for a formula, also none that takes semicolons or tabs for
/// the ends of cells, as those of some languages do.
pub(super) fn harmless(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for part in text.split_inclusive([';', ',', '\t', '\r', '\n']) {
        if part.trim_start_matches([' ', '"', '\'']).starts_with(['=', '+', '-', '@']) {
            safe.push('\'');
        }
        safe.push_str(part);
    }
    safe
}

/// A file for whoever asked.
pub(super) fn download(name: &'static str, kind: &'static str, body: Vec<u8>) -> Response {
    let mut response = (StatusCode::OK, body).into_response();
    page::dress(response.headers_mut());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let way = HeaderValue::from_static(name);
    response.headers_mut().insert(header::CONTENT_DISPOSITION, way);
    response
}

fn sheet(all: &[Made]) -> Response {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let head = COLUMNS.into_iter().chain(["id", "secret", "refused"]);
    // A vector takes whatever is written.
    let mut written = writer.write_record(head);
    for made in all {
        let (id, secret, refused) = match &made.outcome {
            Ok((id, secret)) => (id.as_str(), secret.as_str(), ""),
            Err(why) => ("", "", why.as_str()),
        };
        let cells = made.row.fields.iter().map(|cell| harmless(cell));
        let last = [id.to_owned(), secret.to_owned(), harmless(refused)];
        written = written.and_then(|()| writer.write_record(cells.chain(last)));
    }
    if let Err(error) = written {
        tracing::error!(%error, "a sheet could not be written");
    }
    let body = writer.into_inner().unwrap_or_default();
    let name = "attachment; filename=\"registration-tokens.csv\"";
    download(name, "text/csv; charset=utf-8", body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<[String; 5]> {
        rows(text).unwrap().into_iter().map(|row| row.fields).collect()
    }

    #[test]
    fn a_sheet_is_read_with_a_head_or_without() {
        let row = |cells: [&str; 5]| cells.map(str::to_owned);
        let expected = [row(["Lobby, east", "lab", "5", "30", "C-1"]), row(["x", "", "", "", ""])];
        assert_eq!(read("\"Lobby, east\",lab,5,30,C-1\nx\n"), expected);
        assert_eq!(
            read("Unit;days;NAME;count;identifier\nlab;30;Lobby, east;5;C-1\n\n;;x\n"),
            expected
        );
        for bad in ["", "name,unit\n", "\n\n"] {
            assert!(rows(bad).is_err(), "{bad:?}");
        }
        assert!(rows(&"x\n".repeat(ROWS_MAX)).is_ok());
        assert!(rows(&"x\n".repeat(ROWS_MAX + 1)).is_err());
    }

    #[test]
    fn no_cell_is_a_formula() {
        assert_eq!(harmless("=1+1"), "'=1+1");
        assert_eq!(harmless("@x"), "'@x");
        assert_eq!(harmless("a-b"), "a-b");
    }
}
