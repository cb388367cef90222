//! Rules on what documents say that the code does: tests they name exist, and fields of the log are
//! explained.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::Finding;
use crate::workspace::root;

/// The pages that name tests as their proof.
const PAGES: [&str; 2] = ["docs/operate/threat-model.md", "docs/operate/asvs.md"];
/// The page that explains every field of the log.
const LOGS: &str = "docs/operate/logs.md";
/// A name with so many underscores is a sentence, and so a test; settings have fewer.
const SENTENCE: usize = 4;
/// What writes a line of the log.
const MACROS: [&str; 5] = ["error!(", "warn!(", "info!(", "debug!(", "trace!("];

/// Tests that a page names and that do not exist.
///
/// # Errors
///
/// Fails when a file that exists cannot be read.
pub(super) fn tests(files: &[PathBuf]) -> Result<Vec<Finding>> {
    let mut known = BTreeSet::new();
    for path in files.iter().filter(|path| is_rust(path)) {
        if let Ok(text) = std::fs::read_to_string(root().join(path)) {
            known.extend(functions(&text).map(str::to_owned));
        }
    }
    let mut findings = Vec::new();
    for page in PAGES.into_iter().filter(|page| files.iter().any(|path| path == Path::new(page))) {
        let text = std::fs::read_to_string(root().join(page))?;
        for (number, line) in text.lines().enumerate() {
            for name in sentences(line).filter(|name| !known.contains(*name)) {
                let message = format!("there is no test `{name}`");
                findings.push(Finding::new(Path::new(page), number + 1, message));
            }
        }
    }
    Ok(findings)
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
}

/// The names of the functions in a source.
fn functions(source: &str) -> impl Iterator<Item = &str> {
    let after = source.split("fn ").skip(1);
    after.filter_map(|rest| rest.split_once('(').map(|(name, _)| name))
}

/// What stands in backquotes and is a sentence in the form of a function's name.
fn sentences(line: &str) -> impl Iterator<Item = &str> {
    let quoted = line.split('`').skip(1).step_by(2);
    quoted.filter(|text| {
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        text.matches('_').count() >= SENTENCE && text.bytes().all(letter)
    })
}

/// Fields of log lines that their page does not explain.
///
/// # Errors
///
/// Fails when a file that exists cannot be read.
pub(super) fn log_fields(files: &[PathBuf]) -> Result<Vec<Finding>> {
    if !files.iter().any(|path| path == Path::new(LOGS)) {
        return Ok(Vec::new());
    }
    let page = std::fs::read_to_string(root().join(LOGS))?;
    let mut findings = Vec::new();
    for path in files.iter().filter(|path| is_logging(path)) {
        let text = std::fs::read_to_string(root().join(path))?;
        let production = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (line, field) in fields(production) {
            if !page.contains(&format!("\n| `{field}` | ")) {
                let message = format!("the field `{field}` of the log is not explained in {LOGS}");
                findings.push(Finding::new(path, line, message));
            }
        }
    }
    Ok(findings)
}

/// Sources that write to the log of a server. The conformance suite runs in tests.
fn is_logging(path: &Path) -> bool {
    is_rust(path)
        && path.starts_with("crates")
        && path.components().any(|part| part.as_os_str() == "src")
        && !path.components().any(|part| part.as_os_str() == "conformance")
}

/// The fields that the macros of a source write, with the lines where the macros stand.
fn fields(source: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for name in MACROS {
        for (at, _) in source.match_indices(name) {
            let before = source[..at].chars().next_back();
            let comment = source[..at].lines().last().is_some_and(|line| line.contains("//"));
            // Another name that ends so, `eprint_warn!` say.
            if comment || before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let line = source[..at].matches('\n').count() + 1;
            let arguments = arguments(&source[at + name.len()..]);
            found.extend(arguments.into_iter().filter_map(|one| field(&one)).map(|f| (line, f)));
        }
    }
    found
}

/// The arguments up to the closing bracket, split at the commas between them.
fn arguments(rest: &str) -> Vec<String> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let mut all = vec![String::new()];
    for letter in rest.chars() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => break,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                all.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = all.last_mut() {
            last.push(letter);
        }
    }
    all
}

/// The name of the field that an argument is; `None` for the message and what it is filled with.
fn field(argument: &str) -> Option<String> {
    let argument = argument.trim().trim_start_matches(['%', '?']);
    let name = argument.split_once('=').map_or(argument, |(name, _)| name).trim();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.';
    (!name.is_empty() && name.chars().all(plain)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_a_sentence_in_backquotes() {
        let line = "| `a_name_that_says_much`, `cache_seconds`, `Not_A_Test_At_All` | text |";
        assert_eq!(sentences(line).collect::<Vec<_>>(), ["a_name_that_says_much"]);
        let source = "async fn one() {}\n    fn two(\n        a: u8,\n    ) {}";
        assert_eq!(functions(source).collect::<Vec<_>>(), ["one", "two"]);
    }

    #[test]
    fn the_fields_of_a_line_are_found_and_its_message_is_none() {
        let source = "warn!(%error, step = name, \"a, b = {c}\");\n\
                      // info!(comment)\n\
                      tracing::info!(\n    file = %path.display(),\n    ready_after_ms,\n);";
        let found = fields(source);
        let expected = [(1, "error"), (1, "step"), (3, "file"), (3, "ready_after_ms")];
        let expected = expected.map(|(line, name)| (line, name.to_owned()));
        assert_eq!(found, expected);
    }
}
