//! Fills a store with tokens far faster than issuing them, and writes their
//! clear strings to files that the load generator reads.
//!
//! `seed --data DIR --before A.db --token-id ID --secret TEXT --tokens N
//! --users N --made N --out DIR`: between A and the database in DIR the product
//! issued the one token ID to the user `u00000`. Its rows are multiplied; ids,
//! owners and hashes are new. Of the users so many were made; the others are
//! copies of the first. No server may be running on DIR.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use counterfoil_authority::clock::{Entropy, NoEntropy};
use counterfoil_authority::keys::Key;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::secret::{ID_LEN, Prefix, TokenId, generate_prefixed};
use counterfoil_authority::secret_hash::keyed_hash;
use counterfoil_bench::template::{BASE62, Copy, Original, Template, insert_copy};
use counterfoil_bench::{Numbers, Options, keys, now};
use data_encoding::BASE64;
use rusqlite::Connection;

/// Clear strings that are kept for the load generator.
const LINES_MAX: u64 = 1_000_000;

/// Tokens of one transaction.
const BATCH: u64 = 100_000;

/// The owner of the one token that was issued for real.
const FIRST_USER: &str = "u00000";

fn main() -> Result<()> {
    let options = Options::from_arguments();
    let tokens: u64 = options.required("tokens")?;
    let secret: String = options.required("secret")?;
    let out = options.path("out")?;
    let data = options.path("data")?;
    let pepper = keys::pepper(&data)?;

    let connection = Connection::open(data.join("counterfoil.db"))?;
    // Not durable: a store that is not filled to the end is made again.
    connection.execute_batch(
        "pragma synchronous = off; pragma foreign_keys = off; pragma cache_size = -2000000;
         pragma wal_autocheckpoint = 50000;",
    )?;
    connection.set_prepared_statement_cache_capacity(64);
    let original = Original {
        token_id: options.required("token-id")?,
        owner: FIRST_USER.to_owned(),
        hash: keyed_hash(&pepper, &secret).as_bytes().to_vec(),
    };
    let before: String = options.required("before")?;
    let template = Template::between(&connection, &before, &original)?;
    ensure!(
        template.hashes() == 1,
        "the hash of the secret stands in {} places",
        template.hashes()
    );

    let start = now();
    let rows = template.rows();
    let users: usize = options.required("users")?;
    multiply_people(&connection, options.required("made")?, users)?;
    let kept = fill(&connection, template, &pepper, tokens, users)?;
    // Their events are copies, whose ids are none; a server would look for them for ever.
    connection.execute("delete from audit_unsealed", [])?;
    connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()))?;
    write_lines(&out, kept)?;
    let seconds = start.elapsed().as_secs();
    println!("{}", serde_json::json!({ "tokens": tokens, "rows_each": rows, "seconds": seconds }));
    Ok(())
}

/// Inserts people from number `made` up to `users`, each a copy of the first but for the name.
fn multiply_people(connection: &Connection, made: usize, users: usize) -> Result<()> {
    let mut statement = connection.prepare("select name from pragma_table_info('person')")?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?;
    let names = names.collect::<Result<Vec<_>, _>>()?;
    ensure!(names.iter().any(|name| name == "username"), "people have no name");
    let copied = names.iter().map(|name| match name.as_str() {
        "username" => "printf('u%05d', number)".to_owned(),
        other => format!("person.{other}"),
    });
    let (into, from) = (names.join(", "), copied.collect::<Vec<_>>().join(", "));
    let text = format!(
        "with recursive numbers (number) as (
             select ?1 union all select number + 1 from numbers where number + 1 < ?2
         )
         insert into person ({into})
         select {from} from numbers join person
         where person.username = ?3 and number < ?2"
    );
    let (made, users) = (i64::try_from(made)?, i64::try_from(users)?);
    connection.execute(&text, rusqlite::params![made, users, FIRST_USER])?;
    Ok(())
}

/// Inserts the copies and returns some of them as (user, clear string).
fn fill(
    connection: &Connection,
    mut template: Template,
    pepper: &Key,
    tokens: u64,
    users: usize,
) -> Result<Vec<(String, String)>> {
    let mut numbers = Numbers::seeded(tokens);
    let dice = Dice(std::sync::Mutex::new(Numbers::seeded(tokens ^ 1)));
    let mut kept = Vec::new();
    let total = usize::try_from(tokens)?;
    for index in 0..tokens {
        if index % BATCH == 0 {
            connection.execute_batch("begin immediate")?;
        }
        let id = spread_id(index, tokens, &mut numbers)?;
        let clear = generate_prefixed(&Prefix::default(), Kind::PersonalAccessToken, id, &dice)?;
        let copy = Copy {
            token_id: id.to_string(),
            owner: format!("u{:05}", numbers.below(users)),
            hash: keyed_hash(pepper, clear.reveal()).as_bytes().to_vec(),
        };
        insert_copy(connection, &mut template, &copy, &mut numbers)?;
        // Of a larger store, an even sample.
        if tokens <= LINES_MAX || numbers.below(total) < usize::try_from(LINES_MAX)? {
            kept.push((copy.owner, clear.reveal().to_owned()));
        }
        if index % BATCH == BATCH - 1 || index == tokens - 1 {
            connection.execute_batch("commit")?;
        }
    }
    numbers.shuffle(&mut kept);
    Ok(kept)
}

/// An id in the `index`-th of `of` equal parts of all ids: unique, and in
/// ascending order, which is the order in which a tree fills fastest.
fn spread_id(index: u64, of: u64, numbers: &mut Numbers) -> Result<TokenId> {
    let all = 62_u128.pow(12);
    let step = all / u128::from(of);
    let mut value = u128::from(index) * step + u128::from(numbers.next()) % step;
    let mut text = [b'0'; ID_LEN];
    for slot in text.iter_mut().rev() {
        let digit = usize::try_from(value % 62)?;
        *slot = BASE62[digit];
        value /= 62;
    }
    TokenId::parse(std::str::from_utf8(&text)?).context("not an id")
}

/// One string a line, and the same as HTTP Basic wants it.
fn write_lines(out: &Path, kept: Vec<(String, String)>) -> Result<()> {
    let mut lines = BufWriter::new(File::create(out.join("tokens.txt"))?);
    let mut basic = BufWriter::new(File::create(out.join("basic.txt"))?);
    for (user, clear) in kept {
        writeln!(lines, "{clear}")?;
        writeln!(basic, "{}", BASE64.encode(format!("{user}:{clear}").as_bytes()))?;
    }
    lines.flush()?;
    basic.flush()?;
    Ok(())
}

/// Repeatable chance: these tokens protect nothing.
struct Dice(std::sync::Mutex<Numbers>);

impl Entropy for Dice {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        self.0.lock().map_err(|_| NoEntropy)?.fill(bytes);
        Ok(())
    }
}
