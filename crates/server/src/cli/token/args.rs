//! What the commands on tokens take.

use std::path::PathBuf;

use clap::Subcommand;
use clap::builder::ArgPredicate;
use counterfoil_authority::kind::Kind;
use serde_json::{Map, Value};

use crate::cli::failure::Failure;
use crate::cli::remote::{PageArgs, RemoteArgs};
use crate::cli::resource::object_from;
use crate::cli::when::{self, When};

pub(crate) use super::bulk::BulkArgs;
pub(crate) use super::fit::FitArgs;
pub(crate) use super::import::ImportArgs;
pub(crate) use super::otp::OtpCommand;
pub(crate) use super::registration::{
    ChildrenArgs, RegistrationArgs, ReturnCountArgs, WaitingArgs,
};

/// Tokens
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Issue a token and show its secret, this once
    Issue(Box<IssueArgs>),
    /// Show who drew from a registration token, when, from where, and who was refused
    Children(ChildrenArgs),
    /// Approve what waits, by its id or by the code that the device shows
    Approve(WaitingArgs),
    /// Deny what waits, by its id or by the code that the device shows
    Deny(WaitingArgs),
    /// Give draws of a registration token back
    ReturnCount(ReturnCountArgs),
    /// Mint a single-use registration token for each name of a list; run it again to go on
    Mint(Box<MintArgs>),
    /// Show which tokens of a batch were drawn, by whom, and when, as CSV
    Sheet(SheetArgs),
    /// Derive a narrower token from the one in `COUNTERFOIL_TOKEN` and show it, this once
    Derive(Box<DeriveArgs>),
    /// List tokens, newest first
    List(Box<ListArgs>),
    /// Show a token
    Show(ShowArgs),
    /// Change a token; a list replaces the former one, an empty text clears a field
    Update(Box<UpdateArgs>),
    /// Show what a token was given and did not use, and take that away
    Fit(FitArgs),
    /// Show what happened to a token, newest first
    Events(EventsArgs),
    /// Give a token a new secret and show it, this once
    Rotate(RotateArgs),
    /// Switch a token on
    Enable(OneArgs),
    /// Switch a token off; it can be switched on again
    Disable(OneArgs),
    /// Lock a token, as an administrator
    Lock(OneArgs),
    /// Unlock a token
    Unlock(OneArgs),
    /// Give a token to another person; its secret stays the same
    HandOver(HandOverArgs),
    /// Revoke a token for good
    Revoke(RevokeArgs),
    /// Lock, disable or revoke all tokens of a person, a service, or a person for a service
    Bulk(Box<BulkArgs>),
    /// Authentication tokens: one-time codes of an app, a key, a sheet or a mail
    #[command(subcommand)]
    Otp(OtpCommand),
    /// Take over a file of authentication tokens, whole or not at all
    Import(Box<ImportArgs>),
    /// Ask whether a token is good; exit status 0 if it is, 1 if not or if the question was refused
    Verify(Box<VerifyArgs>),
}

/// What a token is, when it is issued and when it is changed
#[derive(Debug, clap::Args)]
pub(crate) struct DetailArgs {
    /// What it is called
    #[arg(long)]
    pub(super) name: Option<String>,
    /// What it is for
    #[arg(long)]
    pub(super) description: Option<String>,
    /// A service it is good for, or `*`; repeat for more
    #[arg(long = "service", value_name = "LABEL")]
    pub(super) services: Vec<String>,
    /// A scope it has there; repeat for more
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(super) scopes: Vec<String>,
    /// When it ends: 12h, 30d, 4w, 2026-12-31, an RFC 3339 time, or never [default when issued: the policy's]
    #[arg(long, value_name = "WHEN", value_parser = when::end)]
    pub(super) expires: Option<When>,
    /// A network it may be used from, 10.0.0.0/8; repeat for more
    #[arg(long = "network", value_name = "CIDR")]
    pub(super) networks: Vec<String>,
    /// A door it may be presented at; repeat for more
    #[arg(long = "door", value_name = "DOOR")]
    pub(super) doors: Vec<String>,
    /// A label; repeat for more
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = pair)]
    pub(super) labels: Vec<(String, String)>,
    /// File with a JSON object of further fields, or `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(super) body: Option<String>,
}

impl DetailArgs {
    /// The fields of a request, those of `--body` below. Services and end are left to the
    /// request, which each has its own way to write them.
    pub(super) fn fields(&self) -> Result<Map<String, Value>, Failure> {
        let mut fields = match &self.body {
            Some(from) => object_from(from)?,
            None => Map::new(),
        };
        let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
        for (name, text) in [("name", &self.name), ("description", &self.description)] {
            match text.as_deref() {
                None => {}
                Some("") => put(name, Value::Null),
                Some(text) => put(name, text.into()),
            }
        }
        let lists =
            [("scopes", &self.scopes), ("networks", &self.networks), ("doors", &self.doors)];
        for (name, list) in lists {
            if !list.is_empty() {
                put(name, without_empty(list));
            }
        }
        if !self.labels.is_empty() {
            put("labels", self.labels.iter().cloned().collect());
        }
        Ok(fields)
    }
}

/// A list as it is sent; an empty text alone is how a shell writes an empty list.
pub(super) fn without_empty(list: &[String]) -> Value {
    list.iter().filter(|text| !text.is_empty()).cloned().collect()
}

/// What is issued
#[derive(Debug, clap::Args)]
pub(crate) struct IssueArgs {
    /// `personal_access_token` (`pat`), `service_token` (`service`), `registration_token` (`registration`), `generic`, `decoy`
    #[arg(long, value_name = "KIND", value_parser = kind, default_value = "pat")]
    #[arg(default_value_if("repository", ArgPredicate::IsPresent, Some("generic")))]
    pub(super) kind: Kind,
    /// What a decoy looks like: `pat` unless given, `service`, `registration` or `client_key`
    #[arg(long, value_name = "KIND", value_parser = disguise)]
    pub(super) disguise: Option<Kind>,
    /// The repository that it is to be in; its kind is `generic` then
    #[arg(long, value_name = "NAME")]
    pub(super) repository: Option<String>,
    /// Whose it is [default: who calls]
    #[arg(long, value_name = "USERNAME")]
    pub(super) user: Option<String>,
    #[command(flatten)]
    pub(super) details: DetailArgs,
    /// When it begins: a date or an RFC 3339 time
    #[arg(long, value_name = "WHEN", value_parser = when::fixed)]
    pub(super) not_before: Option<String>,
    /// Uses in all
    #[arg(long, value_name = "N")]
    pub(super) max_usages: Option<u64>,
    /// The unit it belongs to
    #[arg(long, value_name = "ID")]
    pub(super) unit: Option<String>,
    #[command(flatten)]
    pub(super) registration: RegistrationArgs,
    /// File with the secret itself, or `-` for standard input, where the policy allows one
    #[arg(long, value_name = "FILE")]
    pub(super) secret_file: Option<String>,
    /// `response` shows the secret, `link` a one-time link that makes it when it is opened [default: a link for people who issue for somebody else]
    #[arg(long, value_parser = ["response", "link"])]
    pub(super) delivery: Option<String>,
    #[command(flatten)]
    pub(super) secret: SecretArgs,
    #[command(flatten)]
    pub(super) remote: RemoteArgs,
}

/// For whom tokens are minted, and where they are written
#[derive(Debug, clap::Args)]
pub(crate) struct MintArgs {
    /// CSV file whose first line names its columns: `name`, and if wanted `description`, `identifier`, `ref_id_1`, `ref_id_2`, `unit`
    #[arg(long, value_name = "FILE")]
    pub(super) from: PathBuf,
    /// What the batch is called [default: the name of the file]
    #[arg(long, value_name = "NAME")]
    pub(super) batch: Option<String>,
    /// When the tokens end: 12h, 30d, 2026-12-31, an RFC 3339 time, or never [default: the policy's]
    #[arg(long, value_name = "WHEN", value_parser = when::end)]
    pub(super) expires: Option<When>,
    /// A service that what is drawn is good for; repeat for more
    #[arg(long = "service", value_name = "LABEL")]
    pub(super) services: Vec<String>,
    /// The unit they belong to, unless the list says another
    #[arg(long, value_name = "ID")]
    pub(super) unit: Option<String>,
    /// `response` for the secrets themselves, `link` for one-time links that make them
    #[arg(long, value_parser = ["response", "link"], default_value = "response")]
    pub(super) delivery: String,
    /// Write each to DIR/NAME.env (mode 0600) instead of standard output
    #[arg(long, value_name = "DIR")]
    pub(super) env_dir: Option<PathBuf>,
    /// Write a QR code of each to DIR/NAME.svg (mode 0600)
    #[arg(long, value_name = "DIR")]
    pub(super) qr_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(super) remote: RemoteArgs,
}

/// Whose sheet is shown
#[derive(Debug, clap::Args)]
pub(crate) struct SheetArgs {
    /// The batch
    pub(super) batch: String,
    /// Write it to a new file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    #[command(flatten)]
    pub(super) remote: RemoteArgs,
}

/// How a new secret is shown, and that it is made once
#[derive(Debug, clap::Args)]
pub(crate) struct SecretArgs {
    /// The same key and fields give the same answer instead of a second secret
    #[arg(long, value_name = "KEY")]
    pub(super) idempotency_key: Option<String>,
    /// Print the secret and nothing else
    #[arg(long, short, conflicts_with = "json")]
    pub(super) quiet: bool,
}

/// Which tokens
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only of this person
    #[arg(long, value_name = "USERNAME")]
    pub(super) user: Option<String>,
    /// Only for this service
    #[arg(long, value_name = "LABEL")]
    pub(super) service: Option<String>,
    /// Only in this repository
    #[arg(long, value_name = "NAME")]
    pub(super) repository: Option<String>,
    /// Only of this kind: `personal_access_token` (`pat`), `service_token` (`service`), `registration_token` (`registration`), `generic`
    #[arg(long, value_name = "KIND", value_parser = kind)]
    pub(super) kind: Option<Kind>,
    /// Only in this state, `active` or `expired` say
    #[arg(long)]
    pub(super) state: Option<String>,
    /// Only of this name
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Only with this label; repeat for more
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = pair)]
    pub(super) labels: Vec<(String, String)>,
    /// Only those that end before: 30d from now, a date, or an RFC 3339 time
    #[arg(long, value_name = "WHEN", value_parser = when::moment)]
    pub(super) expires_before: Option<When>,
    /// Only those that nobody used since: 30d ago, a date, or an RFC 3339 time
    #[arg(long, value_name = "WHEN", value_parser = when::moment)]
    pub(super) unused_since: Option<When>,
    /// Only those that a policy refuses at use, and why; with `--service`, that service's
    #[arg(long, conflicts_with_all = [
        "user", "repository", "kind", "state", "name", "labels", "expires_before", "unused_since",
    ])]
    pub(super) blocked: bool,
    #[command(flatten)]
    pub(super) page: PageArgs,
    #[command(flatten)]
    pub(super) remote: RemoteArgs,
}

/// What is derived; what is not named is as the token has it that it is derived from
#[derive(Debug, clap::Args)]
pub(crate) struct DeriveArgs {
    #[command(flatten)]
    pub(super) details: DetailArgs,
    /// Uses in all
    #[arg(long, value_name = "N")]
    pub(super) max_usages: Option<u64>,
    #[command(flatten)]
    pub(super) secret: SecretArgs,
    #[command(flatten)]
    pub(super) remote: RemoteArgs,
}

/// Which token is shown
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// Its id
    pub(super) id: String,
    #[command(flatten)]
    pub(super) remote: RemoteArgs,
}

/// What is changed
#[derive(Debug, clap::Args)]
pub(crate) struct UpdateArgs {
    #[command(flatten)]
    pub(super) details: DetailArgs,
    #[command(flatten)]
    pub(super) registration: RegistrationArgs,
    #[command(flatten)]
    pub(super) one: OneArgs,
}

/// Which token
#[derive(Debug, clap::Args)]
pub(crate) struct OneArgs {
    /// Its id
    pub(super) id: String,
    /// Only if it still has this version, as `show` prints it
    #[arg(long, value_name = "VERSION")]
    pub(super) if_match: Option<String>,
    #[command(flatten)]
    pub(super) remote: RemoteArgs,
}

/// Which token goes to whom
#[derive(Debug, clap::Args)]
pub(crate) struct HandOverArgs {
    /// Its id
    pub(super) id: String,
    /// Whose it is to be
    #[arg(long, value_name = "USERNAME")]
    pub(super) to: String,
    #[command(flatten)]
    pub(super) remote: RemoteArgs,
}

/// Whose events
#[derive(Debug, clap::Args)]
pub(crate) struct EventsArgs {
    /// The token's id
    pub(super) id: String,
    /// Only `done` or only `refused`
    #[arg(long, value_parser = ["done", "refused"])]
    pub(super) outcome: Option<String>,
    #[command(flatten)]
    pub(super) page: PageArgs,
    #[command(flatten)]
    pub(super) remote: RemoteArgs,
}

/// How it is rotated
#[derive(Debug, clap::Args)]
pub(crate) struct RotateArgs {
    /// How long the former secret still works; 0s ends it now [default: the policy's, which is 24h
    /// unless set]
    #[arg(long, value_name = "TIME")]
    pub(super) overlap: Option<String>,
    /// Only show who uses it, from where, and what would break
    #[arg(long)]
    pub(super) preview: bool,
    #[command(flatten)]
    pub(super) secret: SecretArgs,
    #[command(flatten)]
    pub(super) one: OneArgs,
}

/// Why it is revoked
#[derive(Debug, clap::Args)]
pub(crate) struct RevokeArgs {
    /// Its id
    pub(super) id: String,
    /// Why
    #[arg(long)]
    pub(super) reason: Option<String>,
    /// Also what was drawn from it
    #[arg(long)]
    pub(super) cascade: bool,
    /// Only list what would end
    #[arg(long, conflicts_with = "preview")]
    pub(super) dry_run: bool,
    /// Only show who uses it, from where, and what would break
    #[arg(long)]
    pub(super) preview: bool,
    #[command(flatten)]
    pub(super) remote: RemoteArgs,
}

/// What is asked
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// File with the token, or `-` for standard input [default: a prompt]
    pub(super) file: Option<String>,
    /// Whose it must be
    #[arg(long, value_name = "USERNAME")]
    pub(super) user: Option<String>,
    /// What it must be good for
    #[arg(long, value_name = "LABEL")]
    pub(super) service: Option<String>,
    /// A scope it must have; repeat for more
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(super) scopes: Vec<String>,
    /// The resource to be used
    #[arg(long)]
    pub(super) resource: Option<String>,
    /// What is to be done with it
    #[arg(long)]
    pub(super) action: Option<String>,
    /// The address it is presented from
    #[arg(long, value_name = "ADDRESS")]
    pub(super) client_ip: Option<String>,
    /// Look without counting a use
    #[arg(long)]
    pub(super) no_consume: bool,
    #[command(flatten)]
    pub(super) remote: RemoteArgs,
}

/// A kind by its name on the wire or by its short one.
pub(super) fn kind(text: &str) -> Result<Kind, String> {
    let known = match text {
        "pat" => Some(Kind::PersonalAccessToken),
        "service" => Some(Kind::ServiceToken),
        "registration" => Some(Kind::RegistrationToken),
        name => Kind::from_name(name),
    };
    known.ok_or_else(|| {
        "write personal_access_token (pat), service_token (service), \
         registration_token (registration), generic or decoy"
            .to_owned()
    })
}

/// What a decoy can look like: what lies around in files.
fn disguise(text: &str) -> Result<Kind, String> {
    let is_disguise = |kind: &Kind| {
        matches!(
            kind,
            Kind::PersonalAccessToken
                | Kind::ServiceToken
                | Kind::RegistrationToken
                | Kind::ClientKey
        )
    };
    kind(text).ok().filter(is_disguise).ok_or_else(|| {
        "write personal_access_token (pat), service_token (service), \
         registration_token (registration) or client_key"
            .to_owned()
    })
}

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a label is written KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_kinds_stand_for_long_ones() {
        assert_eq!(kind("pat"), Ok(Kind::PersonalAccessToken));
        assert_eq!(kind("service_token"), Ok(Kind::ServiceToken));
        assert!(kind("password").is_err());
        assert_eq!(disguise("pat"), Ok(Kind::PersonalAccessToken));
        assert_eq!(disguise("client_key"), Ok(Kind::ClientKey));
        for none in ["foo", "generic", "decoy", "link"] {
            let said = disguise(none).unwrap_err();
            assert!(said.contains("client_key") && !said.contains("generic"), "{said}");
        }
    }
}
