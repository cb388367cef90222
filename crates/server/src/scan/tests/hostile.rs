//! What somebody else has made: repositories that would run something or hide something, and names
//! that hold a token.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// What was told: the part, the path, the id, and the commit in a history.
#[derive(Debug, Default)]
struct Parts(Vec<(Part, String, TokenId, Option<String>)>);

impl Sink for Parts {
    fn found(&mut self, place: &Place, hit: Hit<'_>) {
        self.0.push((place.part, place.path.clone(), hit.id, place.commit.clone()));
    }
}

impl Parts {
    fn of(&self, id: TokenId) -> Vec<(Part, &str)> {
        let own = self.0.iter().filter(|one| one.2 == id);
        own.map(|one| (one.0, one.1.as_str())).collect()
    }
}

/// A repository with nothing in it.
fn repository() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    git(dir.path(), &["init", "-q", "-b", "main"]);
    dir
}

fn commit(dir: &Path, message: &str) -> String {
    git(dir, &["add", "-A"]);
    git(dir, &["commit", "-q", "--allow-empty", "-m", message]);
    git(dir, &["rev-parse", "HEAD"])
}

/// Looks through a history that can be read whole.
fn looked(dir: &Path) -> Parts {
    let (mut scanner, mut told) = (scanner(), Parts::default());
    scanner.history(dir, &mut told);
    assert_eq!(scanner.tally().unread, 0, "{:?}", scanner.tally());
    told
}

#[test]
fn a_repository_that_is_looked_through_runs_nothing() {
    let (repository, outside) = (repository(), tempfile::tempdir().unwrap());
    let (dir, trap) = (repository.path(), outside.path().join("trap.sh"));
    let sprung = outside.path().join("sprung");
    fs::write(&trap, format!("#!/bin/sh\necho \"$0\" >> '{}'\n", sprung.display())).unwrap();
    fs::set_permissions(&trap, fs::Permissions::from_mode(0o755)).unwrap();
    let (text, id) = token(Kind::PersonalAccessToken, 40);
    fs::write(dir.join("key"), &text).unwrap();
    commit(dir, "one");
    // The same commit with something that looks like a signature.
    let signature =
        "gpgsig -----BEGIN PGP SIGNATURE-----\n \n AAAA\n -----END PGP SIGNATURE-----\n";
    let plain = git(dir, &["cat-file", "commit", "HEAD"]);
    let signed = plain.replacen("\n\n", &format!("\n{signature}\n"), 1);
    let object = outside.path().join("object");
    fs::write(&object, signed + "\n").unwrap();
    let words = ["hash-object", "-t", "commit", "-w", object.to_str().unwrap()];
    let signed = git(dir, &words);
    git(dir, &["update-ref", "refs/heads/main", &signed]);
    let trap = trap.to_str().unwrap();
    for (name, value) in [
        ("log.showSignature", "true"),
        ("gpg.program", trap),
        ("core.fsmonitor", trap),
        ("core.pager", trap),
        ("diff.external", trap),
        ("core.sshCommand", trap),
    ] {
        git(dir, &["config", name, value]);
    }
    let told = looked(dir);
    assert!(!sprung.exists(), "{}", fs::read_to_string(&sprung).unwrap());
    assert_eq!(told.0.len(), 1);
    assert_eq!((told.0[0].2, &told.0[0].3), (id, &Some(signed)));
    // It is a trap: whoever asks for the log steps into it.
    git(dir, &["log", "--all"]);
    assert!(sprung.exists());
}

#[test]
fn neither_replacement_nor_graft_hides_a_token() {
    let repository = repository();
    let dir = repository.path();
    let tokens: Vec<_> = (41..43).map(|seed| token(Kind::ServiceToken, seed)).collect();
    fs::write(dir.join("replaced"), &tokens[0].0).unwrap();
    let first = commit(dir, "one");
    fs::write(dir.join("harmless"), "nothing").unwrap();
    fs::write(dir.join("gone"), &tokens[1].0).unwrap();
    let second = commit(dir, "two");
    fs::remove_file(dir.join("gone")).unwrap();
    let last = commit(dir, "three");
    git(dir, &["replace", "HEAD:replaced", "HEAD:harmless"]);
    fs::create_dir_all(dir.join(".git/info")).unwrap();
    fs::write(dir.join(".git/info/grafts"), format!("{last}\n")).unwrap();
    // Git itself is taken in by both.
    assert_eq!(git(dir, &["cat-file", "blob", "HEAD:replaced"]), "nothing");
    assert_eq!(git(dir, &["rev-list", "--count", "main"]), "1");
    let told = looked(dir);
    let seen: Vec<_> = told.0.iter().map(|one| (one.2, one.3.clone())).collect();
    assert_eq!(seen.len(), 2, "{told:?}");
    assert!(seen.contains(&(tokens[0].1, Some(first))), "{told:?}");
    assert!(seen.contains(&(tokens[1].1, Some(second))), "{told:?}");
}

#[test]
fn names_in_a_history_are_looked_at_and_not_repeated() {
    let repository = repository();
    let dir = repository.path();
    let tokens: Vec<_> = (44..49).map(|seed| token(Kind::PersonalAccessToken, seed)).collect();
    commit(dir, "nothing yet");
    // In the uppermost directory, below another one, and as a directory.
    fs::create_dir_all(dir.join("a").join(&tokens[2].0)).unwrap();
    fs::write(dir.join(format!("{}.txt", tokens[0].0)), "1").unwrap();
    fs::write(dir.join("a").join(&tokens[1].0), "2").unwrap();
    fs::write(dir.join("a").join(&tokens[2].0).join("b"), "3").unwrap();
    let brought = commit(dir, "names");
    // Another version of both directories says nothing new.
    fs::write(dir.join("a/more"), "4").unwrap();
    commit(dir, "more");
    git(dir, &["branch", &format!("fix/{}", tokens[3].0)]);
    git(dir, &["tag", &tokens[4].0]);
    let told = looked(dir);
    let root = dir.to_string_lossy().into_owned();
    assert_eq!(told.of(tokens[0].1), [(Part::Entry, &*root)], "{told:?}");
    assert_eq!(told.of(tokens[1].1), [(Part::Entry, &*format!("{root}/a"))], "{told:?}");
    assert_eq!(told.of(tokens[2].1), [(Part::Entry, &*format!("{root}/a"))], "{told:?}");
    let entries = told.0.iter().filter(|one| one.0 == Part::Entry);
    assert!(entries.clone().all(|one| one.3.as_ref() == Some(&brought)), "{told:?}");
    assert_eq!(entries.count(), 3);
    let branch = format!("{root}/refs/heads/fix/{}(secret)", tokens[3].1);
    assert_eq!(told.of(tokens[3].1), [(Part::Reference, &*branch)]);
    let tag = format!("{root}/refs/tags/{}(secret)", tokens[4].1);
    assert_eq!(told.of(tokens[4].1), [(Part::Reference, &*tag)]);
    assert!(told.0.iter().all(|one| tokens.iter().all(|(text, _)| !one.1.contains(text))));
}

#[test]
fn names_of_files_directories_and_links_are_looked_at_and_not_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let tokens: Vec<_> = (50..53).map(|seed| token(Kind::ClientKey, seed)).collect();
    fs::create_dir(dir.path().join(&tokens[0].0)).unwrap();
    fs::write(dir.path().join(&tokens[0].0).join(&tokens[1].0), "").unwrap();
    std::os::unix::fs::symlink("nowhere", dir.path().join(&tokens[2].0)).unwrap();
    let (mut scanner, mut told) = (scanner(), Parts::default());
    scanner.path(dir.path(), &mut told);
    for (_, id) in &tokens {
        let seen = told.of(*id);
        assert_eq!(seen.len(), 1, "{told:?}");
        assert!(seen[0].0 == Part::Name && seen[0].1.ends_with(&format!("{id}(secret)")));
    }
    assert_eq!(told.0.len(), 3);
    assert!(told.0.iter().all(|one| tokens.iter().all(|(text, _)| !one.1.contains(text))));
}

#[test]
fn a_reason_shows_no_token_and_nothing_that_moves_a_cursor() {
    let (text, id) = token(Kind::PersonalAccessToken, 54);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(".git"), format!("gitdir: /x/\u{1b}[2J{text}\n")).unwrap();
    let mut scanner = scanner();
    scanner.history(dir.path(), &mut Parts::default());
    scanner.history(&dir.path().join(&text), &mut Parts::default());
    scanner.path(&dir.path().join(&text), &mut Parts::default());
    let unread = &scanner.tally().unread_listed;
    assert_eq!(unread.len(), 3);
    for (what, why) in unread {
        for shown in [what, why] {
            assert!(!shown.contains(&text) && !shown.contains(char::is_control), "{shown:?}");
        }
    }
    assert!(unread[0].1.contains(&format!("{id}(secret)")), "{unread:?}");
    // What a control character has broken in two stays so.
    let (head, tail) = text.split_at(20);
    let finder = TokenFinder::new(&[Prefix::default()]);
    let said = shown(&finder, &format!("{head}\n{tail}"));
    assert_eq!(said, format!("{head}\u{fffd}{tail}"));
}
