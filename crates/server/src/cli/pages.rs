//! What can be read about the program itself: configuration, completions, manual, API document.

use std::path::PathBuf;

use clap::Subcommand;
use clap_complete::Shell;

use super::failure::Failure;
use super::print;
use crate::config::document;

/// What about the configuration
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the default file with an explanation of every key
    Default,
    /// Print the JSON schema of the file
    Schema,
    /// Print the reference page
    #[command(hide = true)]
    Reference,
}

/// Print a completion script
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// For this shell
    shell: Shell,
}

/// Print the manual page, or write all of them
#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// Write one page per command into this directory, which is made if it is not there
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs `config`.
#[expect(clippy::unnecessary_wraps, reason = "the shape of every command")]
pub(crate) fn config(command: &ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Default => print::raw(&document::default_file()),
        ConfigCommand::Schema => print::json(&document::schema()),
        ConfigCommand::Reference => print::raw(&document::reference()),
    }
    Ok(())
}

/// Runs `completions`.
#[expect(clippy::unnecessary_wraps, reason = "the shape of every command")]
pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "counterfoil", &mut script);
    print::raw(&String::from_utf8_lossy(&script));
    Ok(())
}

/// Runs `man`.
pub(crate) fn man(args: &ManArgs) -> Result<(), Failure> {
    if let Some(dir) = &args.dir {
        return std::fs::create_dir_all(dir)
            .and_then(|()| clap_mangen::generate_to(super::command(), dir))
            .map_err(|error| Failure::about(dir.display(), error));
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(super::command())
        .render(&mut page)
        .map_err(|error| Failure::about("the manual page", error))?;
    print::raw(&String::from_utf8_lossy(&page));
    Ok(())
}

/// Runs `openapi`.
pub(crate) fn openapi() -> Result<(), Failure> {
    let document = crate::http::openapi();
    let text = document.to_pretty_json().map_err(|error| Failure::Refused(error.to_string()))?;
    print::line(&text);
    Ok(())
}
