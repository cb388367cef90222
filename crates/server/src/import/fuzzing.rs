//! Files as nobody means them: the corpus in `fuzz/corpus/import` on every run, and its mutations
//! for as long as `cargo xtask fuzz` says.

use std::time::Duration;

use counterfoil_authority::foreign::{ForeignHash, ForeignKey, Recipe};
use counterfoil_authority::names::{ServiceLabel, Username};

use super::lines::Options;
use super::privacyidea::Reading;
use super::{htpasswd, ldif, privacyidea, table, unkey, user_password};
use crate::mutations::{Changes, Dice, PATIENCE, SEED, asked_time, corpus, decided, for_a_while};

/// Bytes of an input at most.
const INPUT_BYTES_MAX: usize = 64 * 1024;
/// Characters that mean something in these files.
const TELLING: &[u8] = b"$:{}[]\",;=\n\r\\/.0x\xff\x00";

/// Gives the input to every reader. Each token that comes of it names somebody.
fn read(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let options = Options {
        system: "fuzz",
        realm: "main".into(),
        zone: "Europe/Berlin".into(),
        service: ServiceLabel::parse("wiki").ok(),
        owner: Username::parse("ann").ok(),
        existing_people: false,
        plain: true,
    };
    let mut reads = vec![htpasswd::map(&text, "file", &options)];
    reads.extend(table::map(&text, "file", &options));
    reads.extend(unkey::map(&text, "file", &options));
    let owners = privacyidea::owners(&text, "file").ok();
    let owners = owners.as_ref();
    let reading = Reading { key: None, password: None, owners, from_realm: None, drop_pins: true };
    reads.extend(privacyidea::map(&text, "file", reading, &options));
    if let Ok(entries) = ldif::entries(&text, &"file".into()) {
        reads.push(user_password::map(&entries, ("uid", "userpassword"), &options));
    }
    for read in reads {
        let lines = read.rows.values().sum::<usize>();
        assert!(read.skipped.len() <= lines + 1, "{} of {lines}", read.skipped.len());
    }
    for line in text.lines() {
        drop(ForeignKey::parse(line));
        let Ok(hash) = ForeignHash::of_any(line) else { continue };
        assert_eq!(Recipe::from_text(&hash.recipe.text()), Some(hash.recipe));
    }
}

#[test]
fn the_corpus_is_read_or_refused() {
    let corpus = corpus("import");
    assert!(corpus.len() >= 8, "only {} inputs", corpus.len());
    for input in corpus {
        decided(&input, PATIENCE, read);
    }
}

fn run(time: Duration) -> u64 {
    let changes = Changes { telling: TELLING.as_chunks::<1>().0, bytes_max: INPUT_BYTES_MAX };
    let (corpus, mut dice) = (corpus("import"), Dice(SEED));
    for_a_while(time, || changes.mutated(&mut dice, &corpus), read)
}

#[test]
fn mutations_of_files_are_read_or_refused() {
    assert!(run(Duration::from_secs(2)) > 100);
}

#[test]
#[ignore = "long: mutates files for COUNTERFOIL_FUZZ_SECONDS, 600 unless set"]
fn mutations_of_files_are_read_or_refused_for_a_long_time() {
    let inputs = run(asked_time());
    println!("{inputs} inputs");
}
