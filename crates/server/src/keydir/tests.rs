//! A key directory that is right, wrong, missing, empty, or another's.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::testing::{FrozenClock, SeededEntropy};
use tempfile::TempDir;

use super::*;

struct World {
    _root: TempDir,
    dir: KeyDirectory,
    entropy: SeededEntropy,
    clock: FrozenClock,
}

fn world(seed: u64) -> World {
    let root = tempfile::tempdir().unwrap();
    let dir = KeyDirectory::at(root.path().join("keys"));
    let clock = FrozenClock::at(Timestamp::from_seconds(1_800_000_000));
    World { _root: root, dir, entropy: SeededEntropy::new(seed), clock }
}

impl World {
    fn known(&self) -> Vec<KeyRecord> {
        records(&self.dir.complete(&self.entropy).unwrap(), &self.clock)
    }

    fn refusal(&self, known: &[KeyRecord]) -> String {
        let found = self.dir.read().unwrap();
        let text = reconcile(&self.dir, &found, known).unwrap_err().to_string();
        text.replace(&self.dir.path().display().to_string(), "DIR")
    }
}

#[test]
fn a_fresh_directory_is_private_and_reads_back() {
    let world = world(1);
    let found = world.dir.complete(&world.entropy).unwrap();
    let names: Vec<String> = found.iter().map(KeyFile::name).collect();
    let own =
        ["pepper-1.key", "seal-1.key", "sign-eddsa-1.key", "sign-es256-1.key", "checkpoint-1.key"];
    assert_eq!(names, own);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(world.dir.path()), 0o700);
    assert_eq!(mode(&world.dir.path().join("pepper-1.key")), 0o600);
    assert_eq!(world.dir.read().unwrap(), found);
    assert_eq!(world.dir.complete(&world.entropy).unwrap(), found);
    assert!(reconcile(&world.dir, &found, &records(&found, &world.clock)).unwrap().is_empty());
}

/// The server has to read it, under whatever account the command ran.
#[test]
fn a_key_that_root_makes_belongs_to_whoever_the_directory_belongs_to() {
    let world = world(1);
    world.dir.complete(&world.entropy).unwrap();
    if fs::metadata(world.dir.path()).unwrap().uid() != 0 {
        println!("left out: only root gives files away");
        return;
    }
    chown(world.dir.path(), Some(4711), Some(4712)).unwrap();
    let made = world.dir.rotate(KeyPurpose::Pepper, &world.entropy).unwrap();
    let file = fs::metadata(world.dir.path().join(made.name())).unwrap();
    assert_eq!((file.uid(), file.gid(), file.mode() & 0o777), (4711, 4712, 0o600));
}

#[test]
fn a_missing_directory_is_named_with_the_keys_it_should_hold() {
    let world = world(1);
    let known = world.known();
    fs::remove_dir_all(world.dir.path()).unwrap();
    let refusal = world.refusal(&known);
    let said = "the key directory DIR does not exist, but the database belongs to an installation \
                with keys: pepper-1.key (fingerprint 6e0d491797d5892dea42aac30b28a567), seal-1.key \
                (fingerprint 4161fca5c29f5ae4a561931fed0f2d3e), sign-eddsa-1.key (fingerprint ";
    assert!(refusal.starts_with(said), "{refusal}");
    assert!(refusal.ends_with("put the directory of this installation there, or restore a backup"));
    fs::create_dir(world.dir.path()).unwrap();
    assert!(world.refusal(&known).starts_with("the key directory DIR is empty, but"));
}

#[test]
fn a_missing_key_is_named() {
    let world = world(1);
    let known = world.known();
    fs::remove_file(world.dir.path().join("pepper-1.key")).unwrap();
    insta::assert_snapshot!(world.refusal(&known), @"the key directory DIR lacks pepper-1.key (fingerprint 6e0d491797d5892dea42aac30b28a567); tokens made under a missing key cannot be verified, so no server starts like this, and one that runs is not ready: copy the file from the node where the key was made");
}

#[test]
fn the_directory_of_another_installation_is_refused() {
    let (world, other) = (world(1), world(2));
    let known = other.known();
    world.dir.complete(&world.entropy).unwrap();
    insta::assert_snapshot!(world.refusal(&known), @"the key directory DIR belongs to another installation: pepper-1.key has the fingerprint 6e0d491797d5892dea42aac30b28a567, the database expects 67693d1ef56639592caacd7ac52bcdff");
}

#[test]
fn a_rotated_key_is_new_to_the_store_and_current_in_the_ring() {
    let world = world(1);
    let known = world.known();
    let made = world.dir.rotate(KeyPurpose::Pepper, &world.entropy).unwrap();
    assert_eq!(made.key.id(), 2);
    let found = world.dir.read().unwrap();
    assert_eq!(reconcile(&world.dir, &found, &known).unwrap(), [&made]);
    let ring = ring(&found, &known).unwrap();
    assert_eq!((ring.pepper().id(), ring.peppers().count()), (2, 2));
}

#[test]
fn a_key_that_others_may_read_or_that_was_renamed_is_refused() {
    let world = world(1);
    world.known();
    let path = world.dir.path().join("pepper-1.key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(world.dir.read(), Err(KeyError::OpenToOthers(_))));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&path, world.dir.path().join("pepper-7.key")).unwrap();
    assert!(matches!(world.dir.read(), Err(KeyError::Malformed(_))));
}

#[test]
fn a_damaged_key_is_refused_and_other_files_are_not_keys() {
    let world = world(1);
    world.known();
    fs::write(world.dir.path().join("README"), "do not delete").unwrap();
    fs::write(world.dir.path().join(".pepper-2.key.1.part"), "half").unwrap();
    assert_eq!(world.dir.read().unwrap().len(), 5);
    for text in ["", "counterfoil-key 1 pepper-1\n", "counterfoil-key 1 pepper-1\nzz\n"] {
        fs::write(world.dir.path().join("pepper-1.key"), text).unwrap();
        assert!(matches!(world.dir.read(), Err(KeyError::Malformed(_))), "{text:?}");
    }
}

#[test]
fn an_export_imports_under_its_passphrase_and_shows_no_key() {
    let world = world(1);
    let found = world.dir.complete(&world.entropy).unwrap();
    let passphrase = ClearSecret::new("correct horse battery".to_owned());
    let file = export::export(Vec::new(), &found, &passphrase, &world.entropy).unwrap();
    assert_eq!(export::import(file.as_slice(), &passphrase).unwrap(), found);
    let wrong = ClearSecret::new("wrong".to_owned());
    assert!(export::import(file.as_slice(), &wrong).is_err());
    let text = found.first().unwrap().text();
    let hex = text.lines().nth(1).unwrap();
    assert!(!String::from_utf8_lossy(&file).contains(hex));
}
