//! Rules on the documents: decisions are numbered, problem types explained.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::Finding;
use crate::workspace::root;

const DECISIONS: &str = "docs/decisions";
/// The page that every `type` of a problem document leads to.
const PROBLEMS: &str = "docs/reference/problems.md";
/// The one file of the native API that knows problem types.
const PROBLEM_TABLE: &str = "crates/server/src/http/problem.rs";

/// Decisions whose number is missing or taken twice.
pub(super) fn decisions(files: &[PathBuf]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut numbers: BTreeMap<&str, &Path> = BTreeMap::new();
    for path in files.iter().filter(|path| path.starts_with(DECISIONS)) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !is_markdown(path) || name == "README.md" {
            continue;
        }
        match name.split_once('-') {
            Some((number, _))
                if number.len() == 4 && number.bytes().all(|b| b.is_ascii_digit()) =>
            {
                if let Some(first) = numbers.insert(number, path) {
                    let message = format!("the number is taken by {}", first.display());
                    findings.push(Finding::new(path, 0, message));
                }
            }
            _ => findings.push(Finding::new(path, 0, "a decision is called NNNN-title.md")),
        }
    }
    findings
}

fn is_markdown(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

/// Problem types of the native API that their page does not explain.
///
/// # Errors
///
/// Fails when a file that exists cannot be read.
pub(super) fn problems(files: &[PathBuf]) -> Result<Vec<Finding>> {
    let exists = |name: &str| files.iter().any(|path| path == Path::new(name));
    if !exists(PROBLEMS) || !exists(PROBLEM_TABLE) {
        return Ok(Vec::new());
    }
    let page = std::fs::read_to_string(root().join(PROBLEMS))?;
    let table = std::fs::read_to_string(root().join(PROBLEM_TABLE))?;
    Ok(slugs(&table)
        .into_iter()
        .filter(|(_, slug)| !page.contains(&format!("`{slug}`")) && !names_heading(&page, slug))
        .map(|(line, slug)| {
            let message = format!("problem type `{slug}` is not explained in {PROBLEMS}");
            Finding::new(Path::new(PROBLEM_TABLE), line, message)
        })
        .collect())
}

fn names_heading(page: &str, slug: &str) -> bool {
    page.lines().any(|line| line.starts_with('#') && line.trim_start_matches(['#', ' ']) == slug)
}

/// The slugs of a table of problems: short dashed texts in quotes that follow
/// a `StatusCode`, on its line or on the next one.
fn slugs(table: &str) -> Vec<(usize, &str)> {
    let mut slugs = Vec::new();
    let production = table.split("#[cfg(test)]").next().unwrap_or_default();
    let mut after_status = false;
    for (index, line) in production.lines().enumerate() {
        let code = line.trim();
        if code.starts_with("//") {
            continue;
        }
        let named = code.split_once("StatusCode::").map(|(_, rest)| rest);
        if let Some(text) = named.or(after_status.then_some(code)) {
            let quoted = text.split('"').skip(1).step_by(2);
            slugs.extend(quoted.filter(|text| is_slug(text)).map(|text| (index + 1, text)));
        }
        after_status = named.is_some_and(|rest| rest.ends_with(',') && !rest.contains('"'));
    }
    slugs
}

fn is_slug(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(|name| Path::new(DECISIONS).join(name)).collect()
    }

    #[test]
    fn a_decision_needs_a_number_of_its_own() {
        assert_eq!(decisions(&files(&["0001-a.md", "0002-b.md", "README.md"])), []);
        assert_eq!(decisions(&files(&["0001-a.md", "0001-b.md"])).len(), 1);
        assert_eq!(decisions(&files(&["a.md", "12-b.md"])).len(), 2);
    }

    #[test]
    fn the_slugs_of_a_table_are_found() {
        let table = "(StatusCode::CONFLICT, \"token-revoked\", \"Token revoked\")\n\
                     // StatusCode::OK \"comment\"\nlet other = \"not-here\";\n";
        assert_eq!(slugs(table), [(1, "token-revoked")]);
        let table = "entry(\n    StatusCode::GONE,\n    \"ended\",\n    \"not-a-slug-here\",\n)";
        assert_eq!(slugs(table), [(3, "ended")]);
        assert!(names_heading("## token-revoked\n", "token-revoked"));
        assert!(!names_heading("## token-revoked-not\n", "token-revoked"));
    }
}
