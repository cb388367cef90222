//! Rules on the documents: decisions are numbered, problem types explained, pages on an index.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::Finding;
use crate::workspace::root;

/// Where the documents are.
const DOCS: &str = "docs";
/// The page of a folder that leads to the others.
const INDEX: &str = "README.md";
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
        if !is_markdown(path) || name == INDEX {
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

/// Pages that do not stand on the index of their folder, and lines of an index that lead nowhere.
///
/// # Errors
///
/// Fails when an index that exists cannot be read.
pub(super) fn indexes(files: &[PathBuf]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (folder, pages) in to_be_on_index(files) {
        let index = folder.join(INDEX);
        if files.contains(&index) {
            let text = std::fs::read_to_string(root().join(&index))?;
            let exists = |page: &str| files.contains(&folder.join(page));
            findings.extend(off_index(&index, &text, &pages, exists));
        } else {
            findings.push(Finding::new(&index, 0, "a folder of pages has an index"));
        }
    }
    Ok(findings)
}

/// What the index of each folder has to lead to: its pages, and the indexes of its folders.
fn to_be_on_index(files: &[PathBuf]) -> BTreeMap<PathBuf, BTreeSet<String>> {
    let mut folders: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    for path in files.iter().filter(|path| path.starts_with(DOCS) && is_markdown(path)) {
        let mut page = path.clone();
        if path.ends_with(INDEX) {
            // Led to from the folder above, if that one is among the documents.
            page.pop();
        }
        let Some(folder) = page.parent().filter(|folder| folder.starts_with(DOCS)) else {
            continue;
        };
        if let Ok(name) = path.strip_prefix(folder) {
            let name = name.to_string_lossy().into_owned();
            folders.entry(folder.to_owned()).or_default().insert(name);
        }
        if let Some(folder) = path.parent() {
            folders.entry(folder.to_owned()).or_default();
        }
    }
    folders
}

fn off_index(
    index: &Path,
    text: &str,
    pages: &BTreeSet<String>,
    exists: impl Fn(&str) -> bool,
) -> Vec<Finding> {
    let missing = pages.iter().filter(|page| !text.contains(&format!("]({page})")));
    let mut findings: Vec<Finding> = missing
        .map(|page| Finding::new(index, 0, format!("`{page}` does not stand on the index")))
        .collect();
    for (number, line) in (1..).zip(text.lines()) {
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        // What lies outside of the folder is not what an index is for.
        let inside = |target: &&str| !target.contains(':') && !target.starts_with("..");
        for target in targets.filter(inside).filter(|target| !exists(target)) {
            findings.push(Finding::new(index, number, format!("there is no `{target}`")));
        }
    }
    findings
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
    fn every_page_stands_on_the_index_of_its_folder() {
        let files: Vec<PathBuf> =
            ["docs/README.md", "docs/a/README.md", "docs/a/x.md", "docs/b/y.md", "other/z.md"]
                .map(PathBuf::from)
                .to_vec();
        let wanted = to_be_on_index(&files);
        let of = |folder: &str| -> Vec<&str> {
            wanted[Path::new(folder)].iter().map(String::as_str).collect()
        };
        assert_eq!(wanted.len(), 3);
        assert_eq!(of("docs"), ["a/README.md"]);
        assert_eq!(of("docs/a"), ["x.md"]);
        assert_eq!(of("docs/b"), ["y.md"]);
        // It has pages and no index.
        assert_eq!(indexes(&files[3..4]).unwrap().len(), 1);

        let index = Path::new("docs/a/README.md");
        let pages = BTreeSet::from(["x.md".to_owned()]);
        let found = |text: &str| off_index(index, text, &pages, |page| page == "x.md").len();
        assert_eq!(found("- [x](x.md): it\n- [up](../b/y.md), [far](https://example.org)\n"), 0);
        assert_eq!(found("x.md is named and not led to\n"), 1);
        assert_eq!(found("- [x](x.md): it\n- [gone](gone.md): it\n"), 1);
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
