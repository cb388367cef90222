//! Files with a token in each line: taken over whole, or not at all.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _};

use counterfoil_authority::authority::{Fate, Incoming};
use counterfoil_authority::names::{MAIN_REALM, RealmName, ServiceLabel, Username};
use counterfoil_authority::secret::ClearSecret;
use zeroize::Zeroizing;

use super::directory::DirectoryArgs;
use super::{Report, bar, mask, realm_of};
use crate::cli::failure::Failure;
use crate::cli::local::{HERE, LocalArgs};
use crate::cli::print;
use crate::cli::secret_input::{self, Wanted};
use crate::import::comanage::{Item, Read};
use crate::import::lines::{FILE_BYTES_MAX, Options};
use crate::import::privacyidea::{self, Reading};
use crate::import::{htpasswd, table, unkey, user_password};
use crate::installation::{self, IfEmpty};

/// What every such file is asked.
#[derive(Debug, clap::Args)]
struct FileArgs {
    #[command(flatten)]
    local: LocalArgs,
    /// The realm that takes them
    #[arg(long, default_value = MAIN_REALM)]
    realm: String,
    /// Leave out what cannot be taken over; otherwise one bad line stops the file
    #[arg(long)]
    partial: bool,
    /// Take only tokens of people that are here already; otherwise who is missing is made
    #[arg(long)]
    existing_people: bool,
    /// Say how many lines would be taken over and which not, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Take the passwords of an Apache or nginx password file over; they keep working
#[derive(Debug, clap::Args)]
#[command(after_help = HERE)]
pub(crate) struct HtpasswdArgs {
    /// The file, or `-` for standard input
    file: String,
    /// The service that the passwords are good for; made if it is not there
    #[arg(long, value_name = "LABEL")]
    service: String,
    /// Take what is no hash for the password itself
    #[arg(long)]
    plain: bool,
    #[command(flatten)]
    about: FileArgs,
}

/// Take a table of tokens over: CSV with a heading, or a JSON object in each line
#[derive(Debug, clap::Args)]
#[command(after_help = HERE)]
pub(crate) struct CsvArgs {
    /// The file, or `-` for standard input
    file: String,
    /// The service of lines that name none; made if it is not there
    #[arg(long, value_name = "LABEL")]
    service: Option<String>,
    #[command(flatten)]
    about: FileArgs,
}

/// Take Unkey's keys over by their hashes; they keep working
#[derive(Debug, clap::Args)]
#[command(after_help = HERE)]
pub(crate) struct UnkeyArgs {
    /// The file, or `-` for standard input
    file: String,
    /// The service that the keys are good for; made if it is not there
    #[arg(long, value_name = "LABEL")]
    service: String,
    /// Whose keys are that belong to nobody
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
    #[command(flatten)]
    about: FileArgs,
}

/// Take the passwords of a directory over by their hashes; they keep working
#[derive(Debug, clap::Args)]
#[command(after_help = HERE)]
pub(crate) struct LdapArgs {
    /// The service that the passwords are good for; made if it is not there
    #[arg(long, value_name = "LABEL")]
    service: String,
    /// The attribute that holds them
    #[arg(long, value_name = "NAME", default_value = "userPassword")]
    attribute: String,
    #[command(flatten)]
    directory: DirectoryArgs,
    /// Take what is no hash for the password itself
    #[arg(long)]
    plain: bool,
    #[command(flatten)]
    about: FileArgs,
}

/// Take privacyIDEA's tokens over: one-time passwords with their counters, and passwords
#[derive(Debug, clap::Args)]
#[command(after_help = HERE)]
pub(crate) struct PrivacyideaArgs {
    /// What `pi-tokenjanitor find export` wrote, in its own format or as PSKC, or `-` for standard input
    file: String,
    /// File with the key that it showed, or `-`
    #[arg(long, value_name = "FILE", conflicts_with = "password_file")]
    key_file: Option<String>,
    /// File with the password of a PSKC file that is encrypted under one, or `-`
    #[arg(long, value_name = "FILE")]
    password_file: Option<String>,
    /// Whose the tokens of a PSKC file are: what `pi-tokenjanitor find list -u username --format json` wrote, or CSV with serial and user
    #[arg(long, value_name = "FILE")]
    owners: Option<String>,
    /// Whose tokens are that nothing else says it of
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
    /// The service that tokens are good for; application passwords have their own
    #[arg(long, value_name = "LABEL")]
    service: String,
    /// The realm of privacyIDEA, where there are several
    #[arg(long, value_name = "NAME")]
    from_realm: Option<String>,
    /// Take tokens that ask for a PIN in front over without it
    #[arg(long)]
    drop_pins: bool,
    #[command(flatten)]
    about: FileArgs,
}

/// Takes privacyIDEA's tokens over.
pub(super) async fn privacyidea(args: &PrivacyideaArgs) -> Result<(), Failure> {
    let secret = |from: &Option<String>| {
        let from = from.as_deref();
        from.map(|from| secret_input::secret(Some(from), Wanted::Opening)).transpose()
    };
    let (key, password) = (secret(&args.key_file)?, secret(&args.password_file)?);
    let owner = owner_of(args.owner.as_deref())?;
    let table =
        |place: &String| privacyidea::owners(&text_of(place)?, place).map_err(Failure::Refused);
    let owners = args.owners.as_ref().map(table).transpose()?;
    let text = text_of(&args.file)?;
    let reading = Reading {
        key: key.as_ref().map(ClearSecret::reveal),
        password: password.as_ref().map(ClearSecret::reveal),
        owners: owners.as_ref(),
        from_realm: args.from_realm.as_deref(),
        drop_pins: args.drop_pins,
    };
    let read = |options: Options| {
        privacyidea::map(&text, &args.file, reading, &Options { owner, ..options })
    };
    take_over("privacyidea", &args.about, Some(&args.service), read).await
}

/// Takes a password file over.
pub(super) async fn htpasswd(args: &HtpasswdArgs) -> Result<(), Failure> {
    let text = text_of(&args.file)?;
    let read = |options: Options| {
        let options = Options { plain: args.plain, ..options };
        Ok(htpasswd::map(&text, &args.file, &options))
    };
    take_over("htpasswd", &args.about, Some(&args.service), read).await
}

/// Takes a table over.
pub(super) async fn csv(args: &CsvArgs) -> Result<(), Failure> {
    let text = text_of(&args.file)?;
    let read = |options: Options| table::map(&text, &args.file, &options);
    take_over("csv", &args.about, args.service.as_deref(), read).await
}

/// Takes Unkey's keys over.
pub(super) async fn unkey(args: &UnkeyArgs) -> Result<(), Failure> {
    let owner = owner_of(args.owner.as_deref())?;
    let text = text_of(&args.file)?;
    let read = |options: Options| unkey::map(&text, &args.file, &Options { owner, ..options });
    take_over("unkey", &args.about, Some(&args.service), read).await
}

fn owner_of(named: Option<&str>) -> Result<Option<Username>, Failure> {
    let owner = named.map(Username::parse).transpose();
    owner.map_err(|bad| Failure::Usage(format!("--owner: {bad}")))
}

/// Takes a directory's passwords over.
pub(super) async fn ldap(args: &LdapArgs) -> Result<(), Failure> {
    let entries = args.directory.entries(&args.attribute).await?;
    let (user, held) = (args.directory.user_attribute(), args.attribute.to_ascii_lowercase());
    let read = |options: Options| {
        let options = Options { plain: args.plain, ..options };
        Ok(user_password::map(&entries, (&user, &held), &options))
    };
    take_over("ldap", &args.about, Some(&args.service), read).await
}

/// The text of a file, or of standard input.
fn text_of(place: &str) -> Result<Zeroizing<String>, Failure> {
    let about = |error: io::Error| Failure::about(place, error);
    let mut text = Zeroizing::new(String::new());
    let source: Box<dyn io::Read> = if place == "-" {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(place).map_err(about)?)
    };
    source.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(about)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(Failure::about(place, "is longer than a gibibyte; take it over in parts"));
    }
    Ok(text)
}

/// Plans every line before any of them is stored, so that a file with a bad one changes nothing.
async fn take_over(
    system: &'static str,
    about: &FileArgs,
    service: Option<&str>,
    read: impl FnOnce(Options) -> Result<Read, String>,
) -> Result<(), Failure> {
    let realm = realm_of(&about.realm)?;
    let parse = |label: &str| {
        ServiceLabel::parse(label).map_err(|bad| Failure::Usage(format!("`{label}`: {bad}")))
    };
    let service = service.map(parse).transpose()?;
    let opened = installation::open(&about.local.load()?, IfEmpty::Refuse).await?;
    let taken = async {
        let found = opened.authority.store().realm_find(&realm).await?;
        let found = found.ok_or_else(|| Failure::Refused(format!("{realm}: no such realm")))?;
        let options = Options {
            system,
            realm: about.realm.clone(),
            zone: found.zone,
            service,
            owner: None,
            existing_people: about.existing_people,
            plain: false,
        };
        let mut read = read(options).map_err(Failure::Refused)?;
        let fates = fates(&opened.authority, &realm, &mut read, about).await?;
        mask(&mut read, &opened.authority);
        Ok::<_, Failure>((read, fates))
    };
    let taken = taken.await;
    opened.close().await?;
    let (read, (fates, stored)) = taken?;
    let is_bad = |fate: &&Fate| matches!(fate, Fate::Refused(_));
    let bad = read.skipped.len() + fates.iter().filter(is_bad).count();
    let stopped = bad > 0 && !about.partial && !stored;
    let report = Report { fates, read: &read, dry_run: !stored, stopped };
    if about.json {
        print::json(&report.json());
    } else {
        report.print();
    }
    if bad == 0 || about.partial {
        return Ok(());
    }
    let nothing = match (stopped, about.dry_run) {
        (true, true) => ", so nothing would be taken over",
        (true, false) => ", so nothing was taken over",
        // Refused by the store, though nothing was wrong when it was planned.
        (false, _) => "",
    };
    Err(Failure::Refused(format!("{bad} lines were refused{nothing} (--partial leaves them out)")))
}

/// What becomes of each record, and whether anything was stored. What only lines name that are
/// left out is taken from what was read.
async fn fates(
    authority: &counterfoil_authority::authority::Authority,
    realm: &RealmName,
    read: &mut Read,
    about: &FileArgs,
) -> Result<(Vec<Fate>, bool), Failure> {
    let run = async |incoming: Vec<Incoming>, dry_run: bool| {
        let bar = bar(incoming.len(), dry_run);
        let done = |records: usize| bar.inc(records as u64);
        let fates = authority.import(realm, &incoming, dry_run, &done).await;
        bar.finish_and_clear();
        fates
    };
    let all = read.items.iter().map(|item| item.incoming.clone()).collect();
    let planned = run(all, true).await?;
    let (items, mut fates) = without_unnamed(std::mem::take(&mut read.items), planned);
    read.items = items;
    let is_good = |fate: &Fate| !matches!(fate, Fate::Refused(_));
    let is_bad = !read.skipped.is_empty() || !fates.iter().all(is_good);
    let stops = is_bad && !about.partial;
    if about.dry_run || stops {
        return Ok((fates, false));
    }
    let good = read.items.iter().zip(&mut fates).filter(|(_, fate)| is_good(fate));
    let (taken, planned): (Vec<Incoming>, Vec<&mut Fate>) =
        good.map(|(item, fate)| (item.incoming.clone(), fate)).unzip();
    let stored = run(taken, false).await?;
    for (planned, stored) in planned.into_iter().zip(stored) {
        *planned = stored;
    }
    Ok((fates, true))
}

/// Takes away the people and services that only lines name which are left out: nobody is made of
/// such a line, whatever is wrong with it.
fn without_unnamed(items: Vec<Item>, fates: Vec<Fate>) -> (Vec<Item>, Vec<Fate>) {
    let (mut people, mut services) = (HashSet::new(), HashSet::new());
    for (item, fate) in items.iter().zip(&fates) {
        if let (Incoming::Token(token), Fate::New | Fate::Kept) = (&item.incoming, fate) {
            people.insert(token.user.clone());
            services.insert(token.service.clone());
        }
    }
    let is_named = |item: &Item| match &item.incoming {
        Incoming::User(draft) => people.contains(&draft.username),
        Incoming::Service(draft) => services.contains(&draft.label),
        _ => true,
    };
    let pairs = items.into_iter().zip(fates);
    pairs.filter(|(item, fate)| matches!(fate, Fate::Refused(_)) || is_named(item)).unzip()
}
