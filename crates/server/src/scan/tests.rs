//! What is found in files, histories and streams, what is not, and the rules for other scanners.

mod alone;
mod fuzzing;
mod hostile;

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::process::Command;

use counterfoil_authority::kind::Kind;
use counterfoil_authority::secret::{TokenId, generate_prefixed};
use counterfoil_authority::testing::SeededEntropy;

use super::rules::{RulesFor, expression, kinds, rules};
use super::*;

/// What was told: path, line, column, kind, id, and the commit in a history.
#[derive(Debug, Default)]
struct Told(Vec<(String, u64, u64, Kind, TokenId, Option<String>)>);

impl Sink for Told {
    fn found(&mut self, place: &Place, hit: Hit<'_>) {
        let Hit { line, column, kind, id, .. } = hit;
        self.0.push((place.path.clone(), line, column, kind, id, place.commit.clone()));
    }
}

fn token(kind: Kind, seed: u64) -> (String, TokenId) {
    let entropy = SeededEntropy::new(seed);
    let id = TokenId::generate(&entropy).unwrap();
    let secret = generate_prefixed(&Prefix::default(), kind, id, &entropy).unwrap();
    (secret.reveal().to_owned(), id)
}

fn scanner() -> Scanner {
    Scanner::new(&[Prefix::default()])
}

/// A stream that gives a few bytes at a time, as a pipe does.
struct Trickle(Cursor<Vec<u8>>, usize);

impl Read for Trickle {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let most = room.len().min(self.1);
        self.0.read(&mut room[..most])
    }
}

#[test]
fn a_token_is_found_once_wherever_a_piece_of_its_stream_ends() {
    let (text, id) = token(Kind::PersonalAccessToken, 1);
    // Around the end of the first piece, and of the second.
    for piece in [1, 2] {
        for shift in 0..150 {
            let before = piece * 256 * 1024 - 80 + shift;
            let mut stream = vec![b'.'; before - 1];
            stream.push(b'\n');
            stream.extend_from_slice(text.as_bytes());
            stream.extend_from_slice(b"\nmore");
            let mut told = Told::default();
            scanner().reader("s", &mut Trickle(Cursor::new(stream), 100_000), &mut told);
            let kind = Kind::PersonalAccessToken;
            assert_eq!(told.0, [("s".to_owned(), 2, 1, kind, id, None)], "{before}");
        }
    }
}

#[test]
fn line_and_column_are_counted_from_one_across_pieces() {
    let (text, id) = token(Kind::ServiceToken, 2);
    let mut stream = Vec::new();
    let mut expected = Vec::new();
    for line in 1..=400_u64 {
        let indent = usize::try_from(line * 37 % 3001).unwrap();
        stream.resize(stream.len() + indent, b' ');
        expected.push((line, u64::try_from(indent).unwrap() + 1));
        stream.extend_from_slice(text.as_bytes());
        stream.push(b'\n');
    }
    let mut told = Told::default();
    scanner().reader("s", &mut Cursor::new(stream), &mut told);
    let places: Vec<(u64, u64)> = told.0.iter().map(|one| (one.1, one.2)).collect();
    assert_eq!(places, expected);
    assert!(told.0.iter().all(|one| one.4 == id));
}

#[test]
fn a_tree_is_looked_through_whole_and_what_is_passed_over_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("deep/er")).unwrap();
    let kinds = [Kind::PersonalAccessToken, Kind::ClientKey, Kind::RegistrationToken];
    let made: Vec<_> = (10..).zip(kinds).map(|(seed, kind)| token(kind, seed)).collect();
    fs::write(at("a.txt"), format!("key = \"{}\"\n", made[0].0)).unwrap();
    let mut binary = vec![0, 255, 254, 10, 0];
    binary.extend_from_slice(made[1].0.as_bytes());
    fs::write(at("deep/b.bin"), &binary).unwrap();
    fs::write(at(&format!("deep/er/{}.txt", made[2].0)), &made[2].0).unwrap();
    fs::write(at("near.txt"), made[0].0.replace("cflp_", "cfls_")).unwrap();
    std::os::unix::fs::symlink(at("a.txt"), at("deep/link")).unwrap();
    std::os::unix::fs::symlink(dir.path(), at("deep/round")).unwrap();
    assert!(Command::new("mkfifo").arg(at("deep/pipe")).status().unwrap().success());
    let (mut scanner, mut told) = (scanner(), Told::default());
    scanner.path(dir.path(), &mut told);
    scanner.path(&at("gone"), &mut told);
    let seen: Vec<(Kind, TokenId, u64, u64)> =
        told.0.iter().map(|one| (one.3, one.4, one.1, one.2)).collect();
    assert_eq!(
        seen,
        [
            (Kind::PersonalAccessToken, made[0].1, 1, 8),
            (Kind::ClientKey, made[1].1, 2, 2),
            // The last one is called as its token; its place does not repeat that.
            (Kind::RegistrationToken, made[2].1, 0, 0),
            (Kind::RegistrationToken, made[2].1, 1, 1),
        ]
    );
    assert!(told.0.iter().all(|one| made.iter().all(|(text, _)| !one.0.contains(text))));
    let tally = scanner.tally();
    assert_eq!((tally.files, tally.links, tally.unread), (4, 2, 2));
    let unread: Vec<bool> = ["pipe", "gone"]
        .iter()
        .map(|name| tally.unread_listed.iter().any(|(what, _)| what.ends_with(name)))
        .collect();
    assert_eq!(unread, [true, true]);
    // A link that somebody names is followed.
    let mut told = Told::default();
    scanner.path(&at("deep/link"), &mut told);
    assert_eq!(told.0.len(), 1);
}

fn git(dir: &Path, words: &[&str]) -> String {
    let mut git = Command::new("git");
    git.arg("-C").arg(dir).args(words);
    for (name, value) in [("NAME", "t"), ("EMAIL", "t@example.org")] {
        git.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
    }
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    let done = git.output().unwrap();
    assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

#[test]
fn a_history_is_looked_through_object_by_object_with_the_commit_that_brought_each() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    git(dir.path(), &["init", "-q", "-b", "main"]);
    let tokens: Vec<_> = (20..24).map(|seed| token(Kind::PersonalAccessToken, seed)).collect();
    let commit = |message: &str| {
        git(dir.path(), &["add", "-A"]);
        git(dir.path(), &["commit", "-q", "--allow-empty", "-m", message]);
        git(dir.path(), &["rev-parse", "HEAD"])
    };
    fs::write(at("old name.env"), format!("first\nKEY={}\n", tokens[0].0)).unwrap();
    let first = commit("one");
    // Moved, copied and deleted, the blob is the same and is told of once.
    fs::rename(at("old name.env"), at("new.env")).unwrap();
    fs::copy(at("new.env"), at("copy.env")).unwrap();
    commit("two");
    fs::remove_file(at("new.env")).unwrap();
    fs::remove_file(at("copy.env")).unwrap();
    let third = commit(&format!("three, with {}", tokens[1].0));
    git(dir.path(), &["checkout", "-q", "-b", "side"]);
    fs::write(at("side"), &tokens[2].0).unwrap();
    let side = commit("side");
    git(dir.path(), &["tag", "-a", "v1", "-m", &tokens[3].0]);
    git(dir.path(), &["checkout", "-q", "main"]);
    let (mut scanner, mut told) = (scanner(), Told::default());
    scanner.history(dir.path(), &mut told);
    assert_eq!(scanner.tally().unread, 0, "{:?}", scanner.tally());
    let seen = |id: TokenId| -> Vec<(u64, u64, Option<String>)> {
        let of = told.0.iter().filter(|one| one.4 == id);
        of.map(|one| (one.1, one.2, one.5.clone())).collect()
    };
    assert_eq!(seen(tokens[0].1), [(2, 5, Some(first))]);
    assert_eq!(seen(tokens[1].1).len(), 1);
    assert_eq!(seen(tokens[1].1)[0].2, Some(third));
    assert_eq!(seen(tokens[2].1), [(1, 1, Some(side))]);
    assert_eq!(seen(tokens[3].1).len(), 1);
    assert_eq!(told.0.len(), 4);
    // A message is no file, whatever it would be called.
    let messages = told.0.iter().filter(|one| one.4 == tokens[1].1 || one.4 == tokens[3].1);
    assert!(messages.into_iter().all(|one| Path::new(&one.0) == dir.path() && one.1 == 0));
    assert!(told.0.iter().all(|one| tokens.iter().all(|(text, _)| !one.0.contains(text))));
    // What is no repository is told of.
    let empty = tempfile::tempdir().unwrap();
    scanner.history(&empty.path().join("nothing"), &mut told);
    assert_eq!(scanner.tally().unread, 1);
}

fn prefixes() -> Vec<Prefix> {
    ["cfl", "old1"].map(|text| Prefix::parse(text).unwrap()).into()
}

#[test]
fn rules_for_others_are_well_formed_and_match_what_was_made() {
    let gitleaks: toml::Table = rules(RulesFor::Gitleaks, &prefixes()).parse().unwrap();
    let all = gitleaks["rules"].as_array().unwrap();
    assert_eq!(all.len(), kinds().count());
    for (kind, rule) in kinds().zip(all) {
        assert_eq!(rule["regex"].as_str(), Some(expression(&prefixes(), kind).as_str()));
        let compiled = regex::bytes::Regex::new(rule["regex"].as_str().unwrap()).unwrap();
        for (seed, prefix) in (30..).zip(&prefixes()) {
            let entropy = SeededEntropy::new(seed);
            let id = TokenId::generate(&entropy).unwrap();
            let secret = generate_prefixed(prefix, kind, id, &entropy).unwrap();
            let text = format!("x\\n{}\"", secret.reveal());
            let found = compiled.find(text.as_bytes()).unwrap();
            assert_eq!(found.as_bytes(), secret.reveal().as_bytes());
            let words = rule["keywords"].as_array().unwrap();
            assert!(words.iter().any(|word| text.contains(word.as_str().unwrap())));
        }
        for near in ["cfly_0123456789AB_", "cflp_0123456789A_0123", "cfl_p", "cflp-0123456789AB"] {
            assert!(!compiled.is_match(near.as_bytes()), "{near}");
        }
    }
    let trufflehog = rules(RulesFor::Trufflehog, &prefixes());
    for kind in kinds() {
        let line = format!("      token: \"({})\"\n", expression(&prefixes(), kind));
        assert!(trufflehog.contains(&line), "{trufflehog}");
    }
}
