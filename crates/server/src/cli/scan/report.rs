//! What `counterfoil scan` prints: places and public ids, never a secret.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Finding, Findings, count};
use crate::cli::print;
use crate::scan::{Part, Tally};

/// Things that could not be read which people are shown by name.
const UNREAD_SHOWN: usize = 20;

fn rate(bytes: u64, took: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let megabytes = bytes as f64 / 1e6;
    megabytes / took.as_secs_f64().max(1e-6)
}

/// One line for each place, and what was looked through on standard error.
pub(super) fn for_people(findings: &Findings, tally: &Tally, took: Duration) {
    for finding in &findings.all {
        print::line(&line(finding, findings));
    }
    for (what, why) in tally.unread_listed.iter().take(UNREAD_SHOWN) {
        print::note(&format!("not read: {}: {}", print::clean(what), print::clean(why)));
    }
    let Tally { files, bytes, links, unread, .. } = tally;
    #[expect(clippy::cast_precision_loss, reason = "a size for people")]
    let megabytes = *bytes as f64 / 1e6;
    print::note(&format!(
        "{}, {megabytes:.1} MB, {:.0} MB/s; {} not followed, {unread} not read",
        count(*files, "file"),
        rate(*bytes, took),
        count(*links, "link"),
    ));
}

fn line(finding: &Finding, findings: &Findings) -> String {
    let Finding { place, line, column, kind, id, string } = finding;
    let path = print::clean(&place.path);
    let place_in = match place.part {
        Part::Content => format!("{path}:{line}:{column}"),
        Part::Name => format!("{path}: its name"),
        Part::Entry => format!("{path}: the name of something in it"),
        Part::Reference => format!("{path}: the name of a reference"),
        Part::Message => format!("{path}: the text of a commit or tag"),
    };
    let mut text = format!("{place_in}: {} {id}", kind.name());
    if let Some(commit) = &place.commit {
        text = format!("{text} commit {commit}");
    }
    if let Some(Some(answer)) = findings.answers.get(*string) {
        text = format!("{text} {}", answer.verdict);
        if let Some(user) = &answer.user {
            text = format!("{text}, of {}", print::clean(user));
        }
        if let Some(name) = &answer.name {
            text = format!("{text} ({})", print::clean(name));
        }
    }
    text
}

/// One document; with how many strings were sent to be revoked, if that was wanted.
pub(super) fn for_programs(
    findings: &Findings,
    tally: &Tally,
    took: Duration,
    sent: Option<usize>,
) {
    let all: Vec<Value> = findings.all.iter().map(|finding| value(finding, findings)).collect();
    let unread: Vec<Value> = tally
        .unread_listed
        .iter()
        .map(|(what, why)| json!({ "path": what, "reason": why }))
        .collect();
    let mut document = json!({
        "findings": all,
        "unread": unread,
        "scanned": {
            "files": tally.files,
            "bytes": tally.bytes,
            "links_not_followed": tally.links,
            "unread": tally.unread,
            "seconds": took.as_secs_f64(),
            "megabytes_per_second": rate(tally.bytes, took).round(),
        },
    });
    if let Some(sent) = sent {
        document["sent_to_revoke"] = sent.into();
    }
    print::json(&document);
}

fn value(finding: &Finding, findings: &Findings) -> Value {
    let Finding { place, line, column, kind, id, string } = finding;
    // A name has no lines.
    let (part, is_content) = match place.part {
        Part::Content => ("content", true),
        Part::Name => ("name", false),
        Part::Entry => ("entry_name", false),
        Part::Reference => ("reference_name", false),
        Part::Message => ("message", false),
    };
    let (line, column) = (is_content.then_some(*line), is_content.then_some(*column));
    let mut found = json!({
        "path": place.path, "in": part, "line": line, "column": column,
        "kind": kind.name(), "token_id": id.as_str(),
        "object": place.object, "commit": place.commit,
    });
    if let Some(Some(answer)) = findings.answers.get(*string) {
        found["verdict"] = answer.verdict.as_str().into();
        found["user"] = answer.user.clone().into();
        found["name"] = answer.name.clone().into();
    }
    found
}
