//! `counterfoil repository`: the repositories of a running server, and the kit that tries a custom
//! one.

use serde_json::{Value, json};

use super::failure::Failure;
use super::print::{self, Column};
use super::remote::{Api, Ask, RemoteArgs, segment};
use super::repo_check::{self, RepoCheckArgs};
use super::resource::page_out;

const COLUMNS: &[Column] = &[
    Column::new("NAME", "name"),
    Column::new("KIND", "kind"),
    Column::new("SERVICES", "services").or("any"),
    Column::new("ATTRIBUTES", "attributes"),
    Column::new("CAN", "capabilities").or("unknown"),
    Column::new("STANDS", "health").or("here"),
];

const ATTRIBUTE_COLUMNS: &[Column] = &[
    Column::new("ATTRIBUTE", "attribute"),
    Column::new("SHOWN AS", "name"),
    Column::new("TYPE", "type"),
    Column::new("RULES", "rules"),
];

/// Repositories of tokens: what the configuration names, and what others keep
#[derive(Debug, clap::Subcommand)]
pub(crate) enum RepositoryCommand {
    /// List the repositories of a realm
    List(RepositoryListArgs),
    /// Show a repository: its attributes, what it can do, and how it stands
    Show(RepositoryShowArgs),
    Check(RepoCheckArgs),
}

/// Which server
#[derive(Debug, clap::Args)]
pub(crate) struct RepositoryListArgs {
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Which repository
#[derive(Debug, clap::Args)]
pub(crate) struct RepositoryShowArgs {
    /// Its name
    name: String,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Runs a command on repositories.
pub(crate) async fn run(command: &RepositoryCommand) -> Result<(), Failure> {
    match command {
        RepositoryCommand::List(args) => {
            let api = Api::new(&args.remote)?;
            let mut page = api.send(Ask::get(api.in_realm("repositories"))).await?;
            if !api.json {
                let items = page.get_mut("items").and_then(Value::as_array_mut);
                items.into_iter().flatten().for_each(in_a_row);
            }
            page_out(&api, COLUMNS, &page);
            Ok(())
        }
        RepositoryCommand::Show(args) => {
            let api = Api::new(&args.remote)?;
            let path = api.in_realm(&format!("repositories/{}", segment(&args.name)));
            let mut shown = api.send(Ask::get(path)).await?;
            if api.json {
                print::json(&shown);
                return Ok(());
            }
            let attributes = shown["attributes"].take();
            print::record(&telling(&shown));
            let rows: Vec<Value> =
                attributes.as_array().into_iter().flatten().map(with_rules).collect();
            if !rows.is_empty() {
                print::line("");
                print::table(ATTRIBUTE_COLUMNS, &rows);
            }
            Ok(())
        }
        RepositoryCommand::Check(args) => repo_check::run(args).await,
    }
}

/// A repository in one line: the names that it shows, and how it stands.
fn in_a_row(repository: &mut Value) {
    let shown = repository["attributes"].as_array().into_iter().flatten();
    let names: Vec<Value> = shown.map(|attribute| attribute["name"].clone()).collect();
    repository["attributes"] = Value::Array(names);
    let state = repository["health"]["state"].clone();
    repository["health"] = state;
    let can = repository["capabilities"].as_array().map(|all| json!(all.len()));
    repository["capabilities"] = can.unwrap_or(Value::Null);
}

/// The fields that say something.
fn telling(repository: &Value) -> Value {
    let fields = repository.as_object().into_iter().flatten();
    let told = fields.filter(|(_, value)| !value.is_null());
    Value::Object(told.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// An attribute with its rules in words.
fn with_rules(attribute: &Value) -> Value {
    let rules = [
        ("read_only", "read only"),
        ("write_only", "write only"),
        ("required", "required"),
        ("filterable", "filterable"),
    ];
    let said = rules.into_iter().filter(|(field, _)| attribute[*field] == json!(true));
    let mut row = attribute.clone();
    row["rules"] = json!(said.map(|(_, words)| words).collect::<Vec<_>>());
    row
}
