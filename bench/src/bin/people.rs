//! People of a directory with {SSHA} passwords, as LDIF, and the same as `user:password` lines for
//! the client that binds.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use counterfoil_bench::{Numbers, Options};
use data_encoding::{BASE64, HEXLOWER};

/// Bytes of salt, as slapd makes them itself.
const SALT_BYTES: usize = 8;
/// Random bytes of a password.
const SECRET_BYTES: usize = 12;

fn main() -> Result<()> {
    let options = Options::from_arguments();
    let entries: u32 = options.required("entries")?;
    let (ldif, lines): (PathBuf, PathBuf) = (options.path("ldif")?, options.path("lines")?);
    let mut people = String::from(
        "dn: dc=bench\nobjectClass: domain\ndc: bench\n\n\
         dn: ou=people,dc=bench\nobjectClass: organizationalUnit\nou: people\n\n",
    );
    let mut pairs = String::new();
    let mut numbers = Numbers::seeded(u64::from(entries));
    for number in 0..entries {
        let (mut salt, mut secret) = ([0; SALT_BYTES], [0; SECRET_BYTES]);
        numbers.fill(&mut salt);
        numbers.fill(&mut secret);
        let password = HEXLOWER.encode(&secret);
        // What slapd calls {SSHA}: SHA-1 over password and salt, and the salt behind it.
        let mut digest = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
        digest.update(password.as_bytes());
        digest.update(&salt);
        let mut hash = digest.finish().as_ref().to_vec();
        hash.extend_from_slice(&salt);
        let hash = BASE64.encode(&hash);
        let user = format!("u{number:05}");
        writeln!(people, "dn: uid={user},ou=people,dc=bench\nobjectClass: inetOrgPerson")?;
        writeln!(people, "uid: {user}\ncn: A person\nsn: Person")?;
        writeln!(people, "userPassword: {{SSHA}}{hash}\n")?;
        writeln!(pairs, "{}", BASE64.encode(format!("{user}:{password}").as_bytes()))?;
    }
    std::fs::write(ldif, people)?;
    std::fs::write(lines, pairs)?;
    println!("{{\"entries\":{entries}}}");
    Ok(())
}
