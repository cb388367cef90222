//! An export of an audit log with as many entries as asked for, and the key that proves it.

use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use counterfoil_authority::audit::export::{Header, entry_line, last_line};
use counterfoil_authority::audit::leaf;
use counterfoil_authority::audit::note::{Checkpoint, SigningKey, origin};
use counterfoil_authority::audit::tree::Frontier;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::{Event, Origin};
use counterfoil_authority::keys::Key;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::testing::SeededEntropy;
use counterfoil_authority::verdict::Door;
use counterfoil_bench::Options;

/// When the first event happened; one each second.
const BEGINNING_SECONDS: i64 = 1_700_000_000;

fn main() -> Result<()> {
    let options = Options::from_arguments();
    let entries: u64 = options.required("entries")?;
    let path: PathBuf = options.path("file")?;
    let (entropy, realm) = (SeededEntropy::new(entries), RealmName::parse("main")?);
    let origin = origin("benchmark", &realm);
    let mut file = BufWriter::new(std::fs::File::create(path)?);
    writeln!(file, "{}", Header::new(&origin, &Frontier::default(), entries).line())?;
    let mut tree = Frontier::default();
    let context = Origin {
        actor: "client:gate".into(),
        source: Some([192, 0, 2, 7].into()),
        request_id: Some("0644215a2f61f40000002a0000002a".into()),
        ..Origin::system(Door::Api)
    };
    for place in 0..entries {
        let at = Timestamp::from_seconds(BEGINNING_SECONDS + i64::try_from(place)?);
        let event = Event::new("token.issued", &realm, &context, at, &entropy)?
            .with_subject(format!("user:u{:05}", place % 1_000))
            .with_service("bench");
        let hash = leaf::hash_of(&event);
        tree.push(hash, drop);
        writeln!(file, "{}", entry_line(place, &hash, Some(&event)))?;
    }
    let key = SigningKey::new(&Key::generate(1, &entropy)?).context("no key")?;
    let checkpoint = Checkpoint { origin: origin.clone(), size: entries, root: tree.root() };
    writeln!(file, "{}", last_line(&checkpoint.signed(&key)))?;
    file.flush()?;
    println!("{{\"key\":\"{}\"}}", key.verifier(&origin));
    Ok(())
}
