//! `counterfoil keys`: the key directory beside the running server.

use std::fs::File;
use std::io::{BufReader, ErrorKind};

use counterfoil_authority::keys::{KEY_PURPOSES, KeyPurpose};
use counterfoil_authority::store::{InstallationStore, KeyUse};
use counterfoil_store::OpenError;
use serde_json::{Value, json};

use super::backup::refuse_existing;
use super::failure::Failure;
use super::local::{HERE, LocalArgs, NEW_FILE, SealedFileArgs};
use super::print::{self, Column};
use super::secret_input::{self, Wanted};
use crate::clock::{OsClock, OsEntropy};
use crate::config::Config;
use crate::installation::{InstallationError, open_store};
use crate::keydir::{self, KeyDirectory, KeyFile, export};
use crate::private_file::NewFile;

/// Peppers, sealing keys and signing keys
#[derive(Debug, clap::Subcommand)]
pub(crate) enum KeysCommand {
    /// List the keys, whether the database knows them, and how many rows need each
    List(ListArgs),
    /// Make a new current key; running servers take it up within two seconds
    Rotate(RotateArgs),
    /// Write all keys to a new file under a passphrase
    #[command(mut_arg("file", |arg| arg.help(NEW_FILE)))]
    Export(SealedFileArgs),
    /// Take keys from such a file into the key directory
    Import(SealedFileArgs),
}

/// Which list
#[derive(Debug, clap::Args)]
#[command(after_help = HERE)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    local: LocalArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Which key
#[derive(Debug, clap::Args)]
#[command(after_help = HERE)]
pub(crate) struct RotateArgs {
    #[command(flatten)]
    local: LocalArgs,
    /// What the key is for
    #[arg(value_parser = ["pepper", "seal", "sign-eddsa", "sign-es256", "sign-rs256", "checkpoint"])]
    purpose: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs a command on keys.
pub(crate) async fn run(command: &KeysCommand) -> Result<(), Failure> {
    match command {
        KeysCommand::List(args) => list(args).await,
        KeysCommand::Rotate(args) => rotate(args).await,
        KeysCommand::Export(args) => write_export(args),
        KeysCommand::Import(args) => read_import(args).await,
    }
}

fn directory(config: &Config) -> KeyDirectory {
    KeyDirectory::at(config.data.keys())
}

async fn list(args: &ListArgs) -> Result<(), Failure> {
    let config = args.local.load()?;
    let found = directory(&config).read()?;
    let store = open_store(&config, false).await?;
    let known = store.key_list().await?;
    let rows = store.key_use().await?;
    store.close().await;
    let mut items: Vec<Value> =
        found.iter().map(|file| described(file, &found, &known, &rows)).collect();
    let lost = known.iter().filter(|record| {
        !found.iter().any(|file| (file.purpose, file.key.id()) == (record.purpose, record.id))
    });
    items.extend(lost.map(|record| {
        json!({ "purpose": record.purpose.name(), "id": record.id, "state": "missing",
            "fingerprint": record.fingerprint, "rows": rows_of(&rows, record.purpose, record.id) })
    }));
    if args.json {
        print::json(&json!({ "items": items }));
        return Ok(());
    }
    let columns = [
        Column::new("PURPOSE", "purpose"),
        Column::new("ID", "id"),
        Column::new("STATE", "state"),
        Column::new("FINGERPRINT", "fingerprint"),
        Column::new("ROWS", "rows"),
    ];
    print::table(&columns, &items);
    Ok(())
}

fn described(
    file: &KeyFile,
    found: &[KeyFile],
    known: &[counterfoil_authority::store::KeyRecord],
    rows: &[KeyUse],
) -> Value {
    let (purpose, id) = (file.purpose, file.key.id());
    let print = file.key.fingerprint(purpose);
    let newest =
        found.iter().filter(|file| file.purpose == purpose).map(|file| file.key.id()).max();
    let record = known.iter().find(|record| (record.purpose, record.id) == (purpose, id));
    let state = match record {
        None => "new",
        Some(record) if record.fingerprint != print => "foreign",
        Some(_) if newest == Some(id) => "current",
        Some(_) => "retired",
    };
    json!({ "purpose": purpose.name(), "id": id, "state": state, "fingerprint": print,
        "rows": rows_of(rows, purpose, id) })
}

/// How many rows need a key; one that the store does not count is needed by none.
fn rows_of(rows: &[KeyUse], purpose: KeyPurpose, id: u32) -> u64 {
    let usage = rows.iter().find(|usage| (usage.purpose, usage.id) == (purpose, id));
    usage.map_or(0, |usage| usage.rows)
}

async fn rotate(args: &RotateArgs) -> Result<(), Failure> {
    let config = args.local.load()?;
    let keys = directory(&config);
    let purpose = KeyPurpose::from_name(&args.purpose)
        .ok_or_else(|| Failure::Usage(format!("`{}` is no purpose of a key", args.purpose)))?;
    let store = open_store(&config, false).await?;
    if store.installation().await?.is_none() {
        return Err(InstallationError::Uninitialised(config.data.dir.clone()).into());
    }
    // Before: a new key in a directory that does not belong here would only add confusion.
    keydir::reload(&keys, &*store, &OsClock, &OsEntropy).await?;
    let made = keys.rotate(purpose, &OsEntropy)?;
    keydir::reload(&keys, &*store, &OsClock, &OsEntropy).await?;
    store.close().await;
    let (id, print) = (made.key.id(), made.key.fingerprint(purpose));
    if args.json {
        print::json(&json!({ "purpose": purpose.name(), "id": id, "fingerprint": print }));
    } else {
        print::line(&format!("{purpose}-{id} is current now; fingerprint {print}"));
        print::note("Former keys stay in use for what was made under them. Back up the directory.");
    }
    Ok(())
}

fn write_export(args: &SealedFileArgs) -> Result<(), Failure> {
    let config = args.local.load()?;
    let keys = directory(&config);
    let found = keys.read()?;
    for purpose in KEY_PURPOSES.into_iter().filter(|purpose| purpose.is_made_at_once()) {
        if !found.iter().any(|file| file.purpose == purpose) {
            return Err(Failure::about(keys.path().display(), format!("holds no {purpose} key")));
        }
    }
    refuse_existing(&args.file)?;
    let error = |error| Failure::about(args.file.display(), error);
    let out = NewFile::create(&args.file).map_err(error)?;
    let passphrase = secret_input::new_passphrase(args.passphrase_file.as_deref())?;
    let written = export::export(out, &found, &passphrase, &OsEntropy);
    written.and_then(NewFile::keep).map_err(error)?;
    said(args, "exported", &found);
    Ok(())
}

async fn read_import(args: &SealedFileArgs) -> Result<(), Failure> {
    let config = args.local.load()?;
    let keys = directory(&config);
    let error = |error| Failure::about(args.file.display(), error);
    let file = File::open(&args.file).map_err(error)?;
    let passphrase = secret_input::secret(args.passphrase_file.as_deref(), Wanted::Passphrase)?;
    let imported = export::import(BufReader::new(file), &passphrase).map_err(error)?;
    let mut together = keys.read()?;
    let mut added = Vec::new();
    for file in imported {
        let (purpose, id) = (file.purpose, file.key.id());
        let same = together.iter().find(|known| (known.purpose, known.key.id()) == (purpose, id));
        match same {
            Some(known) if known.key == file.key => {}
            Some(_) => {
                return Err(Failure::Refused(format!(
                    "{} holds another {purpose}-{id}; nothing is overwritten",
                    keys.path().display()
                )));
            }
            None => {
                together.push(file.clone());
                added.push(file);
            }
        }
    }
    // The database decides which keys belong here, if there is one already.
    match open_store(&config, false).await {
        Ok(store) => {
            let known = store.key_list().await?;
            store.close().await;
            keydir::reconcile(&keys, &together, &known)?;
        }
        Err(OpenError::File { source, .. }) if source.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    added.iter().try_for_each(|file| keys.add(file))?;
    said(args, "imported", &added);
    Ok(())
}

fn said(args: &SealedFileArgs, what: &str, keys: &[KeyFile]) {
    let names: Vec<String> =
        keys.iter().map(|file| format!("{}-{}", file.purpose, file.key.id())).collect();
    if args.json {
        print::json(&json!({ what: names }));
    } else if names.is_empty() {
        print::line("there was nothing new");
    } else {
        print::line(&format!("{what} {}", names.join(", ")));
    }
}
