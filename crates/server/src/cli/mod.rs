//! The command line: `counterfoil <command>`.
//!
//! Three sorts of commands: those that are a server or need its data directory,
//! those that speak to a running server through the API, and those that need
//! neither. Exit status: 0 done, 1 refused or not found, 2 wrong usage, 3 server
//! or store unavailable.

mod audit;
mod backup;
mod check;
mod demo;
mod doctor;
mod enrol;
mod events;
mod failure;
mod health;
mod import;
mod init;
mod job;
mod keys;
mod letter;
mod local;
mod migrate;
mod pages;
mod policy;
mod print;
mod reconcile;
mod remote;
mod repo_check;
mod repository;
mod resource;
mod scan;
mod secret_input;
mod serve;
mod shadow;
mod store;
mod token;
mod when;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub(crate) use failure::Failure;
pub(crate) use local::with_causes;

/// A self-hosted authority for long-lived credentials: issue, verify, rotate, revoke.
#[derive(Debug, Parser)]
#[command(name = "counterfoil", version, subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = "Exit status: 0 done, 1 refused or not found, 2 wrong usage, 3 server or \
                        store unavailable.\nNo secret is taken from the command line: give `-`, a \
                        file, or wait for the prompt.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::ServeArgs),
    Init(init::InitArgs),
    Demo(demo::DemoArgs),
    /// Ways back in
    #[command(subcommand)]
    Admin(AdminCommand),
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    #[command(subcommand)]
    Token(token::TokenCommand),
    #[command(subcommand)]
    Letter(letter::LetterCommand),
    #[command(subcommand)]
    Job(job::JobCommand),
    Enrol(Box<enrol::EnrolArgs>),
    #[command(flatten)]
    Resource(resource::ResourceCommand),
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    Reconcile(reconcile::ReconcileArgs),
    #[command(subcommand)]
    Shadow(shadow::ShadowCommand),
    Events(Box<events::EventsArgs>),
    /// The audit log of a realm, and its proof
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    Check(check::CheckArgs),
    Scan(scan::ScanArgs),
    Doctor(doctor::DoctorArgs),
    Health(health::HealthArgs),
    #[command(subcommand)]
    Repository(repository::RepositoryCommand),
    RepoCheck(repo_check::RepoCheckArgs),
    Migrate(migrate::MigrateArgs),
    /// Take people, services and secrets over from another system
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// The database as such
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Write database and keys to a new file under a passphrase, while the server runs
    #[command(mut_arg("file", |arg| arg.help(local::NEW_FILE)))]
    Backup(local::SealedFileArgs),
    /// Bring a backup back into an empty data directory
    Restore(Box<backup::RestoreArgs>),
    /// The configuration file
    #[command(subcommand)]
    Config(pages::ConfigCommand),
    Completions(pages::CompletionsArgs),
    Man(pages::ManArgs),
    /// Print the OpenAPI document
    #[command(hide = true)]
    Openapi,
}

#[derive(Debug, Subcommand)]
enum AdminCommand {
    Recover(init::RecoverArgs),
}

/// The whole command line, for completions, manual pages and snapshots.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Reads the command line, runs the command, and says how it ended.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // Looked for before anything is parsed: wrong usage, too, is told to programs in JSON.
    let json = arguments.iter().any(|argument| argument == "--json");
    // Before clap repeats what it does not understand.
    if let Err(failure) = secret_input::refuse_tokens(&arguments) {
        return told(&failure, json);
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) if json && error.use_stderr() => {
            return told(&Failure::Usage(error.render().to_string().trim_end().to_owned()), json);
        }
        Err(error) => {
            // Help and version go to standard output and are no error.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    match run(&cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => told(&failure, json),
    }
}

/// Says on standard error why a command did not succeed.
fn told(failure: &Failure, json: bool) -> ExitCode {
    if matches!(failure, Failure::Told { .. }) {
        return failure.code();
    }
    if json {
        print::note(&failure.for_programs());
    } else {
        print::note(&format!("counterfoil: {failure}"));
    }
    failure.code()
}

fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => serve::run(args),
        Command::Check(args) => check::run(args),
        Command::Config(command) => pages::config(command),
        Command::Completions(args) => pages::completions(args),
        Command::Man(args) => pages::man(args),
        Command::Openapi => pages::openapi(),
        other => waiting(other),
    }
}

/// Runs a command that waits for a store or a server.
fn waiting(command: &Command) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Unavailable(error.to_string()))?;
    runtime.block_on(async {
        match command {
            Command::Init(args) => init::init(args).await,
            Command::Demo(args) => demo::run(args).await,
            Command::Admin(AdminCommand::Recover(args)) => init::recover(args).await,
            Command::Keys(command) => keys::run(command).await,
            Command::Token(command) => token::run(command).await,
            Command::Letter(command) => letter::run(command).await,
            Command::Job(command) => job::run(command).await,
            Command::Enrol(args) => enrol::run(args).await,
            Command::Resource(command) => resource::run(command).await,
            Command::Policy(command) => policy::run(command).await,
            Command::Reconcile(args) => reconcile::run(args).await,
            Command::Shadow(command) => shadow::run(command).await,
            Command::Events(args) => events::run(args).await,
            Command::Scan(args) => scan::run(args).await,
            Command::Audit(command) => audit::run(command).await,
            Command::Doctor(args) => doctor::run(args).await,
            Command::Health(args) => health::run(args).await,
            Command::Repository(command) => repository::run(command).await,
            Command::RepoCheck(args) => repo_check::run(args).await,
            Command::Migrate(args) => migrate::run(args).await,
            Command::Store(command) => store::run(command).await,
            Command::Import(command) => import::run(command).await,
            Command::Backup(args) => backup::write(args).await,
            Command::Restore(args) => backup::restore(args).await,
            // These are run before; naming them keeps the list complete.
            Command::Serve(_)
            | Command::Check(_)
            | Command::Config(_)
            | Command::Completions(_)
            | Command::Man(_)
            | Command::Openapi => Ok(()),
        }
    })
}

#[cfg(test)]
mod tests;
