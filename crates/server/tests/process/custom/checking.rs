//! G1: the conformance kit passes for the reference adapter, for tables and for a directory, and
//! fails where it should.

use std::process::Output;

use counterfoil_authority::custom::{directory_text, sha256_text};

use crate::cluster::Cluster;
use crate::harness::Site;
use crate::slapd::{ADMIN, PASSWORD, PEOPLE, Setup, Slapd};

use super::peers::{Adapter, Misdeed, misbehaving};

/// A table of somebody else's, as SQLite makes it.
pub(super) const TABLE: &str = "create table legacy (id integer primary key, username text, selector text, digest text, \
     enabled integer not null default 1, version integer not null default 1, used integer not null \
     default 0, tracking_id text, once text unique)";

/// The statements of the guide, for a table as the adapter has one.
pub(super) fn statements(table: &str) -> String {
    format!(
        "[repository.legacy.statements]\n\
         lookup = \"select id, username as \\\"user\\\", 'sha256:' || digest as hash, enabled \
         from {table} where selector = :selector\"\n\
         list = \"select id, username as \\\"user\\\", enabled, version, tracking_id from {table} \
         where username = :user and id > coalesce(cast(:cursor as integer), 0) \
         order by id limit :limit\"\n\
         get = \"select id, username as \\\"user\\\", enabled, version, tracking_id from {table} \
         where cast(id as text) = :id\"\n\
         insert = \"insert into {table} (username, selector, digest, tracking_id, once) values \
         (:user, :selector, replace(:hash, 'sha256:', ''), :tracking_id, :idempotency_key) \
         returning id, username as \\\"user\\\", enabled, version, tracking_id\"\n\
         update = \"update {table} set tracking_id = :tracking_id, version = version + 1 \
         where cast(id as text) = :id and cast(version as text) = :version\"\n\
         enable = \"update {table} set enabled = :enabled where cast(id as text) = :id\"\n\
         assign = \"update {table} set username = :user where cast(id as text) = :id\"\n\
         delete = \"delete from {table} where cast(id as text) = :id\"\n\
         consume = \"update {table} set used = used + 1 where cast(id as text) = :id \
         and used < :limit returning used\"\n"
    )
}

fn ended_well(done: &Output) -> String {
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let error = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(0), "{said}\n{error}");
    assert!(!said.contains("fail"), "{said}");
    said
}

#[test]
fn g1_repo_check_passes_for_the_reference_adapter_and_needs_its_key() {
    let site = Site::new();
    let adapter = Adapter::start(&site);
    let url = format!("http://{}", adapter.address);
    let key = site.path("acme.secret");
    let signed = site.binary().args(["repo-check", &url, "--key-file"]).arg(&key).output().unwrap();
    let said = ended_well(&signed);
    for check in ["create again", "update of an old version", "consume", "lookup of what is gone"] {
        assert!(said.contains(check), "{check}: {said}");
    }
    assert!(!said.contains("skipped"), "{said}");
    assert_eq!(adapter.count("select count(*) from token"), 0);
    let unsigned = site.binary().args(["repo-check", &url]).output().unwrap();
    assert_eq!(unsigned.status.code(), Some(1));
}

#[test]
fn g1_repo_check_passes_for_named_statements_on_sqlite_and_postgresql() {
    let site = Site::new();
    let file = site.path("legacy.db");
    rusqlite::Connection::open(&file).unwrap().execute_batch(TABLE).unwrap();
    let cluster = Cluster::start();
    cluster.make_database("legacy");
    let host = cluster.host();
    let server_table = TABLE.replace("id integer primary key", "id serial primary key");
    let psql = std::process::Command::new("psql")
        .args(["-q", "-d", &format!("postgres://cf@{host}/legacy"), "-c", &server_table])
        .output()
        .unwrap();
    assert!(psql.status.success(), "{}", String::from_utf8_lossy(&psql.stderr));
    for url in [format!("sqlite:{}", file.display()), format!("postgres://cf@{host}/legacy")] {
        let config = site.path("legacy.toml");
        let text = format!(
            "[repository.legacy]\nkind = \"custom\"\ndriver = \"sql\"\nurl = \"{url}\"\n\
             prefix = \"check_\"\nselector = \"prefix\"\nselector_length = 22\n{}",
            statements("legacy")
        );
        std::fs::write(&config, text).unwrap();
        let mut command = site.binary();
        command.args(["repo-check", "--repository", "legacy", "--config"]).arg(&config);
        let said = ended_well(&command.output().unwrap());
        assert!(said.contains("3 of 16 at once"), "{said}");
    }
}

/// The section of a repository in a directory.
fn in_directory(site: &Site, slapd: &Slapd, more: &str) -> String {
    let secret = site.path("bind.secret");
    std::fs::write(&secret, PASSWORD).unwrap();
    format!(
        "[repository.directory]\nkind = \"custom\"\ndriver = \"ldap\"\nurl = \"{}\"\n\
         services = [\"wiki\"]\nbind_dn = \"{ADMIN}\"\nsecret = \"file:{}\"\n\
         base_dn = \"{PEOPLE}\"\n{more}\n",
        slapd.url(),
        secret.display()
    )
}

fn check_directory(site: &Site, section: &str, user: &str) -> Output {
    let config = site.path("directory.toml");
    std::fs::write(&config, section).unwrap();
    let mut command = site.binary();
    command.args(["repo-check", "--repository", "directory", "--user", user, "--config"]);
    command.arg(&config).output().unwrap()
}

/// A person whose entry may hold application passwords; one is there already.
fn person_with_password(slapd: &Slapd, name: &str) {
    slapd.person(name);
    slapd.modify(&format!(
        "dn: uid={name},{PEOPLE}\nchangetype: modify\nadd: objectClass\nobjectClass: voPerson\n-\n\
         add: voPersonApplicationPassword;app-wiki\n\
         voPersonApplicationPassword;app-wiki: {{SSHA}}aTAOJG0ivhFFnnRoGfnx+9B/u1ExYTJi\n"
    ));
}

#[test]
fn g1_repo_check_passes_for_a_directory_in_which_it_makes_a_token() {
    let site = Site::new();
    let slapd = Slapd::new(&Setup::default());
    person_with_password(&slapd, "alice");
    let before = slapd.entry("alice");
    for more in ["", "attribute = \"voPersonApplicationPassword;app-wiki\""] {
        let said = ended_well(&check_directory(&site, &in_directory(&site, &slapd, more), "alice"));
        for check in ["create", "create again", "list", "delete again", "lookup of what is gone"] {
            let line = said.lines().find(|line| line.contains(check)).unwrap_or_default();
            assert!(line.trim_start().starts_with("ok"), "{check}: {said}");
        }
    }
    assert_eq!(slapd.entry("alice"), before, "what the check made is gone, and nothing else");
    // Nobody, and somebody whose entry cannot hold it, get none.
    slapd.person("bob");
    for nobody in ["bob", "nobody"] {
        let refused = check_directory(&site, &in_directory(&site, &slapd, ""), nobody);
        assert_eq!(refused.status.code(), Some(1));
        let said = String::from_utf8_lossy(&refused.stdout).into_owned();
        assert!(said.contains("refuses the attribute user"), "{said}");
    }
}

/// Tokens of AM stand there in clear, so none can be made from a hash.
#[test]
fn repo_check_passes_for_a_directory_with_tokens_in_clear() {
    let site = Site::new();
    let slapd = Slapd::new(&Setup::default());
    slapd.person("alice");
    slapd.modify(&format!(
        "dn: uid=alice,{PEOPLE}\nchangetype: modify\nadd: description\n\
         description: {}:{{\"profile\": [\"mail\"]}}\n",
        super::verifying::PAT
    ));
    let more = "form = \"pat\"\nattribute = \"description\"";
    let said = ended_well(&check_directory(&site, &in_directory(&site, &slapd, more), "alice"));
    assert!(said.contains("1 tokens, whose hashes can be compared"), "{said}");
}

/// What is written there is a hash that the directory itself checks, given its module.
#[test]
fn a_directory_lets_in_who_has_the_secret_of_a_hash_that_is_written_there() {
    let slapd = Slapd::new(&Setup::default());
    let secret = "check_ab12cd34_0123456789abcdefghij";
    let value = directory_text(&sha256_text(secret)).unwrap();
    assert!(slapd.accepts(&value, secret));
    assert!(!slapd.accepts(&value, "check_ab12cd34_0123456789abcdefghiX"));
}

#[test]
fn repo_check_tells_an_adapter_of_another_version_and_one_that_fails() {
    let site = Site::new();
    for misdeed in [Misdeed::SpeaksVersionTwo, Misdeed::Fails, Misdeed::TellsGarbage] {
        let url = format!("http://{}", misbehaving(misdeed));
        let done = site.binary().args(["repo-check", &url]).output().unwrap();
        assert_eq!(done.status.code(), Some(1), "{misdeed:?}");
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(said.contains("fail"), "{misdeed:?}: {said}");
    }
}
