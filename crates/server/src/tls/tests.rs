//! Certificate files that are right, wrong, and replaced while the server runs.
//!
//! The files beside this one were made for these tests and are used nowhere else.

use std::fs::File;
use std::time::Duration;

use super::*;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls")).join(name)
}

fn tls(cert: PathBuf, key: PathBuf) -> Tls {
    Tls { cert: Some(cert), key: Some(key), ..Tls::default() }
}

#[test]
fn both_protocols_are_offered_and_nothing_without_files() {
    let loaded = Certificates::load(&tls(fixture("cert.pem"), fixture("key.pem"))).unwrap();
    assert_eq!(loaded.unwrap().config().alpn_protocols, ALPN);
    assert!(Certificates::load(&Tls::default()).unwrap().is_none());
}

#[test]
fn wrong_files_are_named() {
    let refused = |cert, key| match Certificates::load(&tls(cert, key)) {
        Ok(_) => panic!("the files were accepted"),
        Err(error) => error.to_string(),
    };
    assert!(refused(fixture("none.pem"), fixture("key.pem")).contains("none.pem: "));
    assert!(refused(fixture("cert.pem"), fixture("cert.pem")).contains("cert.pem: "));
    assert!(refused(fixture("key.pem"), fixture("key.pem")).contains("cannot be used"));
}

#[test]
fn replaced_files_are_taken_up_and_broken_ones_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let (cert, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
    fs::copy(fixture("cert.pem"), &cert).unwrap();
    fs::copy(fixture("key.pem"), &key).unwrap();
    let certificates = Certificates::load(&tls(cert.clone(), key)).unwrap().unwrap();
    assert!(!certificates.refresh().unwrap());

    let before = certificates.config();
    let later = |seconds| {
        let file = File::options().write(true).open(&cert).unwrap();
        let modified = file.metadata().unwrap().modified().unwrap();
        file.set_modified(modified + Duration::from_secs(seconds)).unwrap();
    };
    later(10);
    assert!(certificates.refresh().unwrap());
    assert!(!Arc::ptr_eq(&before, &certificates.config()));

    let good = certificates.config();
    fs::write(&cert, "no certificate").unwrap();
    later(20);
    assert!(certificates.refresh().is_err());
    assert!(Arc::ptr_eq(&good, &certificates.config()));
}
