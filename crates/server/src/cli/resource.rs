//! `user`, `group`, `unit`, `service`, `client`, `grant` and `realm`: lists, shows, makes,
//! changes and removes records through the API.
//!
//! One table, [`table::RESOURCES`], says what each of them has; the commands,
//! their help and the requests follow from it.

mod fields;
mod table;

use clap::{Arg, ArgAction, ArgMatches, Args as _, Command, FromArgMatches, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

pub(crate) use self::fields::object_from;
use self::fields::{Field, On, Sort};
use self::table::{RESOURCES, Resource, Verb};
use super::failure::Failure;
use super::print;
use super::remote::{Api, Ask, PageArgs, RemoteArgs, segment};

/// A command of one of the resources, as typed.
#[derive(Debug)]
pub(crate) struct ResourceCommand {
    resource: &'static Resource,
    verb: Verb,
    matches: ArgMatches,
}

impl Subcommand for ResourceCommand {
    fn augment_subcommands(command: Command) -> Command {
        RESOURCES.iter().fold(command, |command, resource| command.subcommand(of(resource)))
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        RESOURCES.iter().any(|resource| resource.name == name)
    }
}

impl FromArgMatches for ResourceCommand {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let missing = || clap::Error::new(clap::error::ErrorKind::MissingSubcommand);
        let (name, inner) = matches.subcommand().ok_or_else(missing)?;
        let (verb, inner) = inner.subcommand().ok_or_else(missing)?;
        let resource = RESOURCES.iter().find(|resource| resource.name == name);
        let verb = Verb::ALL.into_iter().find(|known| known.name() == verb);
        let (Some(resource), Some(verb)) = (resource, verb) else { return Err(missing()) };
        Ok(Self { resource, verb, matches: inner.clone() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The command of a resource with those of its verbs.
fn of(resource: &'static Resource) -> Command {
    let verbs = resource.verbs.iter().map(|&verb| with_verb(resource, verb));
    Command::new(resource.name)
        .about(resource.about)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(verbs)
}

fn with_verb(resource: &'static Resource, verb: Verb) -> Command {
    let mut command = Command::new(verb.name());
    let unnamed = verb == Verb::List || (verb == Verb::Create && resource.unnamed);
    if !unnamed {
        let key = Arg::new("key").value_name(resource.placeholder).required(true);
        command = command.arg(key.help(resource.key_help));
    }
    command = match verb {
        Verb::List => with_paging(command, resource),
        Verb::Create => with_fields(command, resource, true),
        Verb::Update => with_fields(command, resource, false).arg(
            Arg::new("if-match")
                .long("if-match")
                .value_name("VERSION")
                .help("Only if it still has this version, as `show` prints it"),
        ),
        Verb::AddMember | Verb::RemoveMember => command.arg(
            Arg::new("users").value_name("USERNAME").num_args(1..).required(true).help("People"),
        ),
        Verb::Lock | Verb::Unlock => with_lock(command, resource),
        Verb::Show | Verb::Offer | Verb::Delete | Verb::Members | Verb::Test => command,
    };
    // Last: the flags bring a text about themselves along.
    RemoteArgs::augment_args(command).about(resource.about_of(verb))
}

/// A person can be locked at one service alone.
fn with_lock(command: Command, resource: &Resource) -> Command {
    let at = Arg::new("service").long("service").value_name("LABEL");
    let reason = Arg::new("reason").long("reason").value_name("TEXT");
    let command = command.arg(reason.help("Why; stands in the event"));
    if resource.path == "users" {
        return command.arg(at.help("At this service only"));
    }
    command
}

fn with_paging(command: Command, resource: &'static Resource) -> Command {
    let filters = resource.filters.iter().map(|filter| {
        Arg::new(filter.flag).long(filter.flag).value_name(filter.value).help(filter.help)
    });
    PageArgs::augment_args(command.args(filters))
}

fn with_fields(command: Command, resource: &'static Resource, create: bool) -> Command {
    let fields = resource.fields.iter().filter(|field| !create || field.on == On::Both);
    command.args(fields.map(|field| argument(field, create))).arg(
        Arg::new("body")
            .long("body")
            .value_name("FILE")
            .help("File with a JSON object of further fields, or `-` for standard input"),
    )
}

fn argument(field: &'static Field, create: bool) -> Arg {
    let argument = Arg::new(field.flag).long(field.flag).value_name(field.value).help(field.help);
    let argument = match field.sort {
        Sort::List => argument.action(ArgAction::Append),
        Sort::Choice(words) => argument.value_parser(words.to_vec()),
        Sort::Choices(words) => argument.value_parser(words.to_vec()).action(ArgAction::Append),
        Sort::Flag => argument.value_parser(clap::value_parser!(bool)),
        Sort::Text | Sort::Json | Sort::Merged | Sort::Number | Sort::Secret => argument,
    };
    argument.required(create && field.required)
}

/// A group of arguments that was added to the command.
fn from_matches<T: FromArgMatches>(matches: &ArgMatches) -> Result<T, Failure> {
    T::from_arg_matches(matches).map_err(|error| Failure::Usage(error.to_string()))
}

/// Runs the command.
pub(crate) async fn run(command: &ResourceCommand) -> Result<(), Failure> {
    let matches = &command.matches;
    let api = Api::new(&from_matches::<RemoteArgs>(matches)?)?;
    match command.verb {
        Verb::List => list(&api, command).await,
        Verb::Members => members(&api, command).await,
        Verb::AddMember => change_members(&api, command, Method::PUT).await,
        Verb::RemoveMember => change_members(&api, command, Method::DELETE).await,
        Verb::Show => {
            show(&api, &api.send(Ask::get(path_of(&api, command))).await?);
            Ok(())
        }
        Verb::Create => {
            let fields = body(command)?;
            if command.resource.path == "grants" && !fields.contains_key("subject") {
                return Err(Failure::Usage("give --user, --client or --group".into()));
            }
            let body = Value::Object(fields);
            let made = api.send(Ask::post(collection(&api, command.resource), body)).await?;
            show(&api, &made);
            Ok(())
        }
        Verb::Update => {
            let mut fields = body(command)?;
            if fields.is_empty() {
                return Err(Failure::Usage("nothing to change: give at least one field".into()));
            }
            let version = matches.get_one::<String>("if-match").map(String::as_str);
            let path = path_of(&api, command);
            clear_merged(&api, command.resource, &path, &mut fields).await?;
            let ask = Ask::patch(path, Value::Object(fields)).if_match(version);
            show(&api, &api.send(ask).await?);
            Ok(())
        }
        Verb::Offer => {
            let path = format!("{}/offer", path_of(&api, command));
            show(&api, &api.send(Ask::get(path)).await?);
            Ok(())
        }
        Verb::Test => {
            let path = format!("{}/test", path_of(&api, command));
            tested(&api, &api.send(Ask::new(Method::POST, path)).await?)
        }
        Verb::Lock | Verb::Unlock => {
            let given = |name| matches.try_get_one::<String>(name).ok().flatten();
            let fields = ["service", "reason"].into_iter();
            let body: Map<String, Value> = fields
                .filter_map(|name| Some((name.to_owned(), given(name)?.clone().into())))
                .collect();
            let path = format!("{}/{}", path_of(&api, command), command.verb.name());
            show(&api, &api.send(Ask::post(path, Value::Object(body))).await?);
            Ok(())
        }
        Verb::Delete => {
            api.send(Ask::delete(path_of(&api, command))).await?;
            done(&api, command, "deleted");
            Ok(())
        }
    }
}

/// Where the records of a resource are.
fn collection(api: &Api, resource: &Resource) -> String {
    if resource.path == "realms" {
        "/api/v1/realms".to_owned()
    } else {
        api.in_realm(resource.path)
    }
}

fn path_of(api: &Api, command: &ResourceCommand) -> String {
    format!("{}/{}", collection(api, command.resource), segment(key(command)))
}

fn key(command: &ResourceCommand) -> &str {
    command.matches.get_one::<String>("key").map_or("", String::as_str)
}

async fn list(api: &Api, command: &ResourceCommand) -> Result<(), Failure> {
    let (resource, matches) = (command.resource, &command.matches);
    let query: Vec<(&str, String)> = resource
        .filters
        .iter()
        .filter_map(|filter| Some((filter.json, matches.get_one::<String>(filter.flag)?.clone())))
        .collect();
    let page = from_matches::<PageArgs>(matches)?;
    let page = api.list(&collection(api, resource), &query, &page).await?;
    page_out(api, resource.columns, &page);
    Ok(())
}

/// Prints a page of a list, and where it goes on.
pub(crate) fn page_out(api: &Api, columns: &[print::Column], page: &Value) {
    if api.json {
        return print::json(page);
    }
    let items = page.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let next = page.get("next_cursor").and_then(Value::as_str);
    match (items.is_empty(), next) {
        (true, None) => return print::note("there are none"),
        (true, Some(_)) => print::note("there are none on this page"),
        (false, _) => print::table(columns, items),
    }
    if let Some(cursor) = next {
        print::note(&format!("there are more: --cursor {cursor}"));
    }
}

/// Prints one record; with a new secret, the secret last and on a line of its own.
fn show(api: &Api, answer: &Value) {
    if api.json {
        return print::json(answer);
    }
    match (answer.get("client"), answer.get("secret").and_then(Value::as_str)) {
        (Some(client), Some(secret)) => {
            print::record(client);
            print::note("\nThe key is shown once and cannot be read again:");
            print::line(secret);
        }
        _ => print::record(answer),
    }
}

/// Prints what a test has found; what cannot be used is a failure.
fn tested(api: &Api, found: &Value) -> Result<(), Failure> {
    if api.json {
        print::json(found);
    } else {
        let findings = found["findings"].as_array().map_or(&[][..], Vec::as_slice);
        print::table(table::FINDINGS, findings);
        for remedy in findings.iter().filter_map(|finding| finding["remedy"].as_str()) {
            print::note("");
            remedy.lines().for_each(|line| print::note(&print::clean(line)));
        }
    }
    if found["usable"] == true {
        Ok(())
    } else {
        Err(Failure::Refused("the target cannot be used as it is set up".into()))
    }
}

fn done(api: &Api, command: &ResourceCommand, what: &str) {
    let name = command.resource.name;
    if api.json {
        print::json(&json!({ "done": what, "kind": name, "key": key(command) }));
    } else {
        print::note(&format!("{name} {} {what}", print::clean(key(command))));
    }
}

async fn members(api: &Api, command: &ResourceCommand) -> Result<(), Failure> {
    let path = format!("{}/members", path_of(api, command));
    let page = api.list(&path, &[], &PageArgs::ALL).await?;
    if api.json {
        print::json(&page);
        return Ok(());
    }
    for member in page.get("items").and_then(Value::as_array).into_iter().flatten() {
        let name = member.as_str().or_else(|| member.get("username").and_then(Value::as_str));
        print::line(&print::clean(name.unwrap_or_default()));
    }
    Ok(())
}

async fn change_members(
    api: &Api,
    command: &ResourceCommand,
    method: Method,
) -> Result<(), Failure> {
    let users = command.matches.get_many::<String>("users").into_iter().flatten();
    for user in users {
        let path = format!("{}/members/{}", path_of(api, command), segment(user));
        api.send(Ask::new(method.clone(), path)).await?;
    }
    done(api, command, if method == Method::PUT { "has them now" } else { "no longer has them" });
    Ok(())
}

/// Names each key to be taken away of an object that is merged and is to be cleared: the API changes
/// what it is told of, and nothing else.
async fn clear_merged(
    api: &Api,
    resource: &Resource,
    path: &str,
    fields: &mut Map<String, Value>,
) -> Result<(), Failure> {
    let is_cleared =
        |field: &&Field| field.sort == Sort::Merged && fields.get(field.json) == Some(&Value::Null);
    let cleared: Vec<&str> =
        resource.fields.iter().filter(is_cleared).map(|field| field.json).collect();
    if cleared.is_empty() {
        return Ok(());
    }
    let known = api.send(Ask::get(path.to_owned())).await?;
    for name in cleared {
        let stated = known[name].as_object().into_iter().flatten();
        let none: Map<String, Value> = stated.map(|(key, _)| (key.clone(), Value::Null)).collect();
        fields.insert(name.to_owned(), Value::Object(none));
    }
    Ok(())
}

/// The fields that were given, over those of `--body`.
fn body(command: &ResourceCommand) -> Result<Map<String, Value>, Failure> {
    let matches = &command.matches;
    let mut fields = match matches.get_one::<String>("body") {
        Some(from) => fields::object_from(from)?,
        None => Map::new(),
    };
    if command.verb == Verb::Create && !command.resource.unnamed {
        fields.insert(command.resource.key.into(), key(command).into());
    }
    for field in command.resource.fields {
        // A field that this verb does not take has no argument of its name.
        if !matches.try_contains_id(field.flag).unwrap_or(false) {
            continue;
        }
        if let Some(value) = fields::value_of(field, matches)? {
            fields::put(&mut fields, field.json, value);
        }
    }
    Ok(fields)
}
