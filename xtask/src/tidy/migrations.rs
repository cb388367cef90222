//! A released migration never changes: its checksum is in the repository.
//!
//! A site that has run it would otherwise differ from one that runs it
//! tomorrow, and nobody could tell.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::Finding;
use crate::workspace::root;

/// Where the migrations and the list of their checksums are.
const DIRECTORY: &str = "crates/store/migrations";
/// One `<sha256 in hex>  <file name>` a line, as `sha256sum` prints it.
const LIST: &str = "CHECKSUMS";

/// File names and their checksums.
type Checksums = BTreeMap<String, String>;

/// Every migration that differs from its checksum, lacks one, or is gone.
///
/// # Errors
///
/// Fails when the files cannot be read.
pub(super) fn changed() -> Result<Vec<Finding>> {
    let directory = root().join(DIRECTORY);
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let listed = std::fs::read_to_string(directory.join(LIST)).unwrap_or_default();
    Ok(compare(&parse(&listed), &on_disk(&directory)?))
}

/// Adds the checksums of new migrations to the list; never changes one.
///
/// # Errors
///
/// Fails when the list cannot be written.
pub(super) fn bless() -> Result<()> {
    let directory = root().join(DIRECTORY);
    let path = directory.join(LIST);
    let mut known = parse(&std::fs::read_to_string(&path).unwrap_or_default());
    for (name, checksum) in on_disk(&directory)? {
        known.entry(name).or_insert(checksum);
    }
    let mut lines = String::new();
    for (name, checksum) in &known {
        writeln!(lines, "{checksum}  {name}")?;
    }
    std::fs::write(&path, lines).with_context(|| format!("cannot write {}", path.display()))
}

fn compare(listed: &Checksums, found: &Checksums) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, checksum) in listed {
        let fault = match found.get(name) {
            None => "a released migration is gone",
            Some(now) if now != checksum => {
                "a released migration was changed; write a new one instead"
            }
            Some(_) => continue,
        };
        findings.push(Finding::new(&place(name), 0, fault));
    }
    for name in found.keys().filter(|name| !listed.contains_key(*name)) {
        let fault = format!("not in {LIST}; run `cargo xtask tidy --bless` when it is final");
        findings.push(Finding::new(&place(name), 0, fault));
    }
    findings
}

fn place(name: &str) -> PathBuf {
    Path::new(DIRECTORY).join(name)
}

fn parse(list: &str) -> Checksums {
    list.lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(checksum, name)| (name.to_owned(), checksum.to_owned()))
        .collect()
}

/// Every `.sql` file below `directory`, by its path relative to it.
fn on_disk(directory: &Path) -> Result<Checksums> {
    let mut checksums = Checksums::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(current) = directories.pop() {
        for entry in std::fs::read_dir(&current)? {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "sql") {
                let name = path.strip_prefix(directory)?.to_string_lossy().into_owned();
                checksums.insert(name, hex_sha256(&std::fs::read(&path)?));
            }
        }
    }
    Ok(checksums)
}

fn hex_sha256(bytes: &[u8]) -> String {
    let mut hex = String::new();
    for byte in Sha256::digest(bytes) {
        // Writing into a string cannot fail.
        write!(hex, "{byte:02x}").ok();
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checksums(pairs: &[(&str, &str)]) -> Checksums {
        pairs.iter().map(|(name, sum)| ((*name).to_owned(), (*sum).to_owned())).collect()
    }

    #[test]
    fn a_changed_a_lost_and_an_unlisted_migration_are_found() {
        let listed = checksums(&[("1.sql", "aa"), ("2.sql", "bb"), ("3.sql", "cc")]);
        let found = checksums(&[("1.sql", "aa"), ("2.sql", "XX"), ("4.sql", "dd")]);
        let places: Vec<String> = compare(&listed, &found)
            .iter()
            .map(|finding| finding.path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(places, ["2.sql", "3.sql", "4.sql"]);
        assert_eq!(compare(&found, &found), []);
    }

    #[test]
    fn the_checksum_is_the_published_one() {
        // FIPS 180-4, the example of one block.
        assert!(hex_sha256(b"abc").starts_with("ba7816bf8f01cfea"));
    }

    #[test]
    fn the_list_is_read_as_sha256sum_writes_it() {
        assert_eq!(parse("aa  1.sql\n"), checksums(&[("1.sql", "aa")]));
    }
}
