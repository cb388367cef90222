//! Whatever is changed in an export, or in the log behind it, is found.

use std::ops::Range;

use super::*;
use crate::audit::export::{entry_line, last_line};
use crate::audit::leaf;
use crate::audit::note::{SigningKey, origin};
use crate::clock::{Entropy as _, Timestamp};
use crate::event::{Event, Origin};
use crate::keys::Key;
use crate::names::RealmName;
use crate::testing::SeededEntropy;
use crate::verdict::Door;

/// Random changes of one byte, and as many of one row.
const CHANGES: u64 = 10_000;
/// Entries of the log of which rows are changed: each change makes and reads two whole exports.
const ROWS: u32 = 20;
const SEED: u64 = 0x6175_6469_7421;

struct Log {
    events: Vec<Event>,
    key: SigningKey,
    origin: String,
}

impl Log {
    fn new(size: u32) -> Self {
        let entropy = SeededEntropy::new(7);
        let realm = RealmName::parse("main").unwrap();
        let event = |number: u32| {
            let at = Timestamp::from_seconds(1_763_761_200 + i64::from(number));
            let origin = Origin::system(Door::Cli);
            let event = Event::new("token.issued", &realm, &origin, at, &entropy).unwrap();
            event.with_subject(format!("user:u{number}")).with_reason("because")
        };
        let key = SigningKey::new(&Key::new(1, [9; 32])).unwrap();
        let origin = origin("0123456789abcdef", &realm);
        Self { events: (0..size).map(event).collect(), key, origin }
    }

    fn keys(&self) -> Vec<VerifierKey> {
        vec![self.key.verifier(&self.origin)]
    }

    fn tree(&self, size: u64) -> Frontier {
        let mut tree = Frontier::default();
        for event in self.events.iter().take(usize::try_from(size).unwrap()) {
            tree.push(leaf::hash_of(event), drop);
        }
        tree
    }

    fn checkpoint(&self, size: u64) -> Checkpoint {
        Checkpoint { origin: self.origin.clone(), size, root: self.tree(size).root() }
    }

    /// The lines of an export, each with its end; events of which `removed` says so are gone.
    fn export(&self, range: Range<u64>, removed: impl Fn(u64) -> bool) -> Vec<String> {
        let size = range.end;
        let mut lines = vec![Header::new(&self.origin, &self.tree(range.start), size).line()];
        for place in range {
            let event = &self.events[usize::try_from(place).unwrap()];
            let there = (!removed(place)).then_some(event);
            lines.push(entry_line(place, &leaf::hash_of(event), there));
        }
        lines.push(last_line(&self.checkpoint(size).signed(&self.key)));
        for line in &mut lines {
            line.push('\n');
        }
        lines
    }

    fn verify(&self, file: &[u8], earlier: Vec<Checkpoint>) -> Result<Verified, Fault> {
        let mut verifier = Verifier::new(self.keys(), earlier);
        for line in file.split_inclusive(|byte| *byte == b'\n') {
            verifier.line(line)?;
        }
        verifier.finish()
    }
}

fn number(entropy: &SeededEntropy, below: u64) -> u64 {
    let mut bytes = [0; 8];
    entropy.fill(&mut bytes).unwrap();
    u64::from_le_bytes(bytes) % below
}

#[test]
fn an_export_proves_all_of_its_entries() {
    let log = Log::new(600);
    let whole = log.export(0..600, |_| false).concat();
    let found = log.verify(whole.as_bytes(), vec![log.checkpoint(0), log.checkpoint(257)]).unwrap();
    assert_eq!(
        (found.first, found.checkpoint.size, found.removed, found.continued),
        (0, 600, 0, 2)
    );
    let rest = log.export(257..600, |place| (300..310).contains(&place)).concat();
    let found =
        log.verify(rest.as_bytes(), vec![log.checkpoint(257), log.checkpoint(600)]).unwrap();
    assert_eq!((found.first, found.removed, found.removed_between), (257, 10, Some((300, 309))));
    let none = log.export(600..600, |_| false).concat();
    assert_eq!(log.verify(none.as_bytes(), vec![log.checkpoint(600)]).unwrap().first, 600);
}

/// A log in which retention removed the first `removed` events, and says so at the end.
fn shortened(size: u32, removed: u64, before: &str) -> Log {
    let mut log = Log::new(size);
    let realm = RealmName::parse("main").unwrap();
    let (at, origin) = (Timestamp::from_seconds(1_763_848_000), Origin::system(Door::Cli));
    let event = Event::new("events.removed", &realm, &origin, at, &SeededEntropy::new(8)).unwrap();
    let event = Event { count: removed, ..event };
    log.events.push(event.with_detail(serde_json::json!({ "before": before })));
    log
}

/// A hash alone is what anybody makes of an entry: what removed it has to stand in the log.
#[test]
fn events_that_are_missing_are_explained_by_the_log_or_by_nothing() {
    // The events of a log happen one a second from 21:40 on; all of them are older than midnight.
    let midnight = "2025-11-22T00:00:00Z";
    let unexplained = |log: &Log, gone: Range<u64>| {
        let file = log.export(0..log.events.len() as u64, |place| gone.contains(&place)).concat();
        log.verify(file.as_bytes(), vec![]).unwrap().unexplained
    };
    let log = shortened(20, 8, midnight);
    for none in [0..0, 0..8, 3..8, 12..20] {
        assert_eq!(unexplained(&log, none), None);
    }
    let count =
        |missing, unexplained, last| Some(Unexplained::Count { missing, unexplained, last });
    assert_eq!(unexplained(&log, 0..9), count(9, 1, 8));
    assert_eq!(unexplained(&log, 0..21), count(21, 21, 20));
    // Behind the event that tells of it, and by an event that tells of it before it happened.
    assert_eq!(unexplained(&log, 20..21), count(1, 1, 20));
    assert_eq!(unexplained(&shortened(20, 8, "2027-01-01T00:00:00Z"), 0..8), count(8, 8, 7));
    assert_eq!(unexplained(&Log::new(20), 0..20), count(20, 20, 19));
    // Too young by more than clocks and transactions make of it.
    let log = shortened(20, 8, "2025-11-21T20:30:00Z");
    assert!(matches!(unexplained(&log, 4..8), Some(Unexplained::Young { place: 4, .. })));
    // Nothing stands before these that tells how old they are.
    assert_eq!(unexplained(&log, 0..8), None);
    let text = unexplained(&log, 4..8).unwrap().to_string();
    assert!(text.contains("entry 4 is missing") && text.contains("2025-11-21T20:30:00Z"), "{text}");
}

/// The name in the head of a file is not signed, and is shown on a terminal.
#[test]
fn a_name_with_control_characters_is_none() {
    for name in ["log\u{1b}[2J", "log\u{9b}2J", "log\u{7f}", "two words", "a+b", ""] {
        let line = Header::new(name, &Frontier::default(), 0).line();
        assert_eq!(Header::parse(&line), None, "{name:?}");
    }
    assert!(Header::parse(&Header::new("log/main", &Frontier::default(), 0).line()).is_some());
}

/// One byte of the file, anywhere, to any other value; put in, or taken out.
#[test]
fn ten_thousand_changes_of_one_byte_are_found() {
    eprintln!("seed {SEED}");
    let log = Log::new(300);
    let whole = log.export(0..300, |place| place < 20).concat().into_bytes();
    let partial = log.export(100..300, |_| false).concat().into_bytes();
    let entropy = SeededEntropy::new(SEED);
    for change in 0..CHANGES {
        let mut file = if change % 4 == 0 { partial.clone() } else { whole.clone() };
        let place = usize::try_from(number(&entropy, file.len() as u64)).unwrap();
        let byte = u8::try_from(number(&entropy, 256)).unwrap();
        match number(&entropy, 8) {
            0 => drop(file.remove(place)),
            1 => file.insert(place, byte),
            2 => file.truncate(place),
            _ if file[place] == byte => file[place] ^= 1,
            _ => file[place] = byte,
        }
        let known = file == whole || file == partial;
        assert!(known || log.verify(&file, vec![]).is_err(), "change {change} at {place}: {byte}");
    }
}

/// A row of the log is altered, removed, put in, repeated or moved by somebody who makes
/// everything fit that can be made to fit without the key: places, sizes and hashes.
#[test]
fn ten_thousand_changes_of_one_row_are_found() {
    eprintln!("seed {SEED}");
    let sound = Log::new(ROWS);
    let entropy = SeededEntropy::new(SEED);
    let note = last_line(&sound.checkpoint(ROWS.into()).signed(&sound.key));
    for change in 0..CHANGES {
        let mut log =
            Log { events: sound.events.clone(), key: key(), origin: sound.origin.clone() };
        let place = usize::try_from(number(&entropy, u64::from(ROWS))).unwrap();
        let other = usize::try_from(number(&entropy, u64::from(ROWS))).unwrap();
        match number(&entropy, 7) {
            0 => drop(log.events.remove(place)),
            1 => {
                let twice = log.events[place].clone();
                log.events.insert(other, twice);
            }
            2 if place != other => log.events.swap(place, other),
            3 => log.events[place].at = Timestamp::from_seconds(7),
            4 => log.events[place].subject = None,
            5 => log.events[place].count += 1 + number(&entropy, 9),
            _ => log.events[place].reason = Some(format!("other {change}")),
        }
        let size = log.events.len() as u64;
        let mut file = log.export(0..size, |_| false);
        // Of the sizes the forger tries all: the one in the head of the file is not signed.
        *file.last_mut().unwrap() = format!("{note}\n");
        assert!(log.verify(file.concat().as_bytes(), vec![]).is_err(), "change {change}");
        // Nor does it help to leave places and hashes as they were.
        let mut file = sound.export(0..ROWS.into(), |_| false);
        let line = 1 + place;
        match number(&entropy, 4) {
            0 => drop(file.remove(line)),
            1 => file.insert(1 + other, file[line].clone()),
            2 if place != other => file.swap(line, 1 + other),
            _ => file[line] = file[line].replacen("user:u", "user:v", 1),
        }
        assert!(log.verify(file.concat().as_bytes(), vec![]).is_err(), "change {change} of a line");
    }
}

fn key() -> SigningKey {
    SigningKey::new(&Key::new(1, [9; 32])).unwrap()
}

/// By somebody who has the key: only who kept a checkpoint finds out.
#[test]
fn a_log_that_was_rewritten_truncated_or_forked_with_the_key_is_found_by_an_earlier_checkpoint() {
    let log = Log::new(300);
    let mut forged = Log::new(300);
    forged.events[42].subject = Some("user:mallory".into());
    let file = forged.export(0..300, |_| false).concat();
    assert!(log.verify(file.as_bytes(), vec![]).is_ok());
    for kept in [43, 100, 300] {
        let fault = log.verify(file.as_bytes(), vec![log.checkpoint(kept)]).unwrap_err();
        // The fork shows with the first entry behind the checkpoint's last.
        assert_eq!(fault, Fault { line: 1 + kept, what: Wrong::Forked { size: kept } });
    }
    assert!(log.verify(file.as_bytes(), vec![log.checkpoint(42)]).is_ok());
    let cut = log.export(0..299, |_| false).concat();
    let fault = log.verify(cut.as_bytes(), vec![log.checkpoint(300)]).unwrap_err();
    assert_eq!(fault.what, Wrong::Truncated { now: 299, earlier: 300 });
    let rest = log.export(200..300, |_| false).concat();
    let fault = log.verify(rest.as_bytes(), vec![log.checkpoint(100)]).unwrap_err();
    assert_eq!(fault.what, Wrong::BeginsLater { first: 200, earlier: 100 });
}

/// What is said of the line is what happened to it.
#[test]
fn a_fault_names_the_line_and_what_is_wrong_with_it() {
    let log = Log::new(5);
    let sound = log.export(0..5, |_| false);
    let fault = |change: fn(&mut Vec<String>)| {
        let mut file = sound.clone();
        change(&mut file);
        log.verify(file.concat().as_bytes(), vec![]).unwrap_err().to_string()
    };
    let told = fault(|file| file[3] = file[3].replace("user:u2", "user:u9"));
    assert_eq!(told, "line 4: entry 2 was altered after it was sealed");
    let told = fault(|file| drop(file.remove(3)));
    assert!(told.starts_with("line 4: entry 3 stands where entry 2 belongs"), "{told}");
    let told = fault(|file| file.swap(2, 3));
    assert!(told.starts_with("line 3: entry 2 stands where entry 1 belongs"), "{told}");
    let told = fault(|file| file.truncate(4));
    assert_eq!(told, "line 5: the file ends before its checkpoint: it was cut off");
    let told = fault(|file| file.push("\n".into()));
    assert_eq!(told, "line 8: the file goes on behind its checkpoint");
    let told = fault(|file| drop(file.remove(5)));
    assert_eq!(told, "line 6: there are 4 entries, and should be 5");
    let told = fault(|file| file[1] = file[1].replace("{\"event\"", "{ \"event\""));
    assert_eq!(told, "line 2: the line is not as the export wrote it");
    let stranger = SigningKey::new(&Key::new(2, [1; 32])).unwrap();
    let other = log.checkpoint(5).signed(&stranger);
    let mut file = sound.clone();
    file[6] = format!("{}\n", last_line(&other));
    let told = log.verify(file.concat().as_bytes(), vec![]).unwrap_err().to_string();
    let public = stranger.verifier(&log.origin).to_string();
    let id = public.split('+').nth(1).unwrap();
    assert!(told.starts_with(&format!("line 7: the checkpoint is signed by the key {id}, ")));
    assert!(told.contains("rotation"), "{told}");
}
