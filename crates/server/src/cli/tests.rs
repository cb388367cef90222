//! The command line as people meet it: its help is a contract, and wrong usage says so.

use std::fmt::Write as _;

use clap::error::ErrorKind;

use super::*;

/// The help of a command and of all below it.
fn help(command: &mut clap::Command, path: &str, out: &mut String) {
    writeln!(out, "\n=== {path}\n{}", command.render_long_help()).unwrap();
    let names: Vec<String> =
        command.get_subcommands().map(|inner| inner.get_name().to_owned()).collect();
    for name in names.iter().filter(|name| *name != "help") {
        if let Some(inner) = command.find_subcommand_mut(name) {
            help(inner, &format!("{path} {name}"), out);
        }
    }
}

#[test]
fn the_help_of_every_command_is_as_committed() {
    // Width and defaults do not depend on the terminal or environment of the test.
    let mut command = command().term_width(100);
    command.build();
    let mut text = String::new();
    help(&mut command, "counterfoil", &mut text);
    insta::assert_snapshot!(text);
}

#[test]
fn the_command_line_is_consistent() {
    command().debug_assert();
}

#[test]
fn every_command_says_what_it_does_itself() {
    fn look(command: &clap::Command, path: &str) {
        let mut seen = std::collections::BTreeSet::new();
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            let path = format!("{path} {}", inner.get_name());
            let about = inner.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!about.is_empty() && !about.starts_with("Which server"), "{path}: {about}");
            assert!(seen.insert(about.clone()), "{path} reads like another: {about}");
            look(inner, &path);
        }
    }
    let mut command = command();
    command.build();
    look(&command, "counterfoil");
}

fn refused(words: &str) -> ErrorKind {
    Cli::try_parse_from(words.split(' ')).unwrap_err().kind()
}

#[test]
fn wrong_usage_is_told_from_help() {
    assert_eq!(refused("counterfoil tokn list"), ErrorKind::InvalidSubcommand);
    assert_eq!(refused("counterfoil user create"), ErrorKind::MissingRequiredArgument);
    assert_eq!(refused("counterfoil token issue --kind password"), ErrorKind::ValueValidation);
    assert_eq!(refused("counterfoil user list --limit 0"), ErrorKind::ValueValidation);
    assert_eq!(refused("counterfoil client create x --role king"), ErrorKind::InvalidValue);
    assert_eq!(refused("counterfoil token issue --expires 30x"), ErrorKind::ValueValidation);
    assert_eq!(refused("counterfoil --version"), ErrorKind::DisplayVersion);
}

#[test]
fn exit_statuses_follow_the_contract() {
    let code = |failure: Failure| format!("{:?}", failure.code());
    let status = |number: u8| format!("{:?}", ExitCode::from(number));
    assert_eq!(code(Failure::Refused(String::new())), status(1));
    assert_eq!(code(Failure::Usage(String::new())), status(2));
    assert_eq!(code(Failure::Unavailable(String::new())), status(3));
    let problem = |unavailable| Failure::Problem { document: "{}".into(), unavailable };
    assert_eq!((code(problem(false)), code(problem(true))), (status(1), status(3)));
}

#[test]
fn no_command_takes_a_secret_as_an_argument() {
    fn flags(command: &clap::Command, found: &mut Vec<String>) {
        found.extend(command.get_arguments().map(|arg| arg.get_id().to_string()));
        command.get_subcommands().for_each(|inner| flags(inner, found));
    }
    let mut found = Vec::new();
    flags(&command(), &mut found);
    for name in ["token", "secret", "passphrase", "password", "key_file_content"] {
        assert!(!found.iter().any(|flag| flag == name), "--{name}");
    }
}
