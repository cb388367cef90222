//! `counterfoil shadow`: where an old system answers otherwise than we do.

use clap::Subcommand;
use serde_json::Value;

use super::failure::Failure;
use super::print::{self, Column};
use super::remote::{Api, Ask, PageArgs, RemoteArgs};

const COLUMNS: &[Column] = &[
    Column::new("CLASS", "class"),
    Column::new("SHADOW", "shadow"),
    Column::new("SERVICE", "service"),
    Column::new("USER", "user"),
    Column::new("TOKEN", "token"),
    Column::new("REASON", "reason"),
    Column::new("COUNT", "count"),
    Column::new("FIRST", "first_at"),
    Column::new("LAST", "last_at"),
];

/// How much was compared, at the node that answers.
const COMPARED: &[Column] = &[
    Column::new("SHADOW", "shadow"),
    Column::new("AGREE", "agree"),
    Column::new("DIFFER", "differ"),
    Column::new("NO-ANSWER", "no_answer"),
    Column::new("NOT-ASKED", "not_asked"),
    Column::new("SINCE", "since"),
];

/// What an old system says of the same presentations, while an organisation moves in
#[derive(Debug, Subcommand)]
pub(crate) enum ShadowCommand {
    /// Show where the answers differ; exit status 1 if they do
    Report(ReportArgs),
    /// Forget the differences, so that the report begins anew
    Clear(ClearArgs),
}

/// Which differences
#[derive(Debug, clap::Args)]
pub(crate) struct ReportArgs {
    /// Only `only_there`, good at the old system alone, or only `only_here`
    #[arg(long, value_parser = ["only_there", "only_here"])]
    class: Option<String>,
    /// Only with this old system
    #[arg(long, value_name = "NAME")]
    shadow: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Which differences
#[derive(Debug, clap::Args)]
pub(crate) struct ClearArgs {
    /// Only with this old system
    #[arg(long, value_name = "NAME")]
    shadow: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Runs the command.
pub(super) async fn run(command: &ShadowCommand) -> Result<(), Failure> {
    match command {
        ShadowCommand::Report(args) => report(args).await,
        ShadowCommand::Clear(args) => {
            let api = Api::new(&args.remote)?;
            let query = given([("shadow", args.shadow.clone())]);
            let path = api.in_realm("shadow");
            api.send(Ask::delete(path).with_query(query)).await?;
            print::note("forgotten; what is met from now on is in the next report");
            Ok(())
        }
    }
}

fn given<const N: usize>(
    filters: [(&'static str, Option<String>); N],
) -> Vec<(&'static str, String)> {
    filters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// That an old system was asked is what makes a report without differences worth something.
fn told_nothing(compared: &[Value]) -> Option<String> {
    if compared.is_empty() {
        return Some("no old system is asked in this realm".to_owned());
    }
    let is_silent =
        |one: &&Value| one["agree"].as_u64() == Some(0) && one["differ"].as_u64() == Some(0);
    let silent = compared.iter().filter(is_silent);
    let silent: Vec<&str> = silent.filter_map(|one| one["shadow"].as_str()).collect();
    let since = "since the server started or the report was begun anew";
    (!silent.is_empty()).then(|| format!("nothing was compared {since}: {}", silent.join(" ")))
}

/// What was compared with the old system that is named, or with all of them. Whoever asks for one
/// that there is none of, nor anything that was kept of it, has mistyped its name.
fn meant(all: Vec<Value>, named: Option<&str>, is_kept: bool) -> Result<Vec<Value>, Failure> {
    let Some(name) = named else { return Ok(all) };
    let asked: Vec<&str> = all.iter().filter_map(|one| one["shadow"].as_str()).collect();
    if !is_kept && !asked.contains(&name) {
        let there = match asked.as_slice() {
            [] => "none is asked in this realm".to_owned(),
            all => format!("asked are {}", all.join(" ")),
        };
        return Err(Failure::Refused(format!("there is no old system {name}: {there}")));
    }
    Ok(all.into_iter().filter(|one| one["shadow"] == name).collect())
}

/// Differences are a failure: whoever switches the old system off by a script must not go on. So
/// is a report without anything that was compared.
async fn report(args: &ReportArgs) -> Result<(), Failure> {
    let api = Api::new(&args.remote)?;
    let query = given([("class", args.class.clone()), ("shadow", args.shadow.clone())]);
    let path = api.in_realm("shadow");
    let mut all = api.list(&path, &query, &PageArgs::ALL).await?;
    let one_row = vec![("limit", "1".to_owned())];
    let mut asked = api.send(Ask::get(path).with_query(one_row)).await?;
    let compared = match asked["compared"].take() {
        Value::Array(compared) => compared,
        _ => Vec::new(),
    };
    let is_kept = all["items"].as_array().is_some_and(|items| !items.is_empty());
    all["compared"] = Value::Array(meant(compared, args.shadow.as_deref(), is_kept)?);
    let compared = all["compared"].as_array().map_or(&[][..], Vec::as_slice);
    let items = all["items"].as_array().map_or(&[][..], Vec::as_slice);
    let of = |class: &str| items.iter().filter(|one| one["class"] == class).count();
    if api.json {
        print::json(&all);
    } else if items.is_empty() {
        print::note("no differences");
    } else {
        let mut sorted: Vec<Value> = items.to_vec();
        // Who would be locked out comes first, and then what happens most often.
        sorted.sort_by_key(|one| {
            (one["class"] == "only_here", std::cmp::Reverse(one["count"].as_u64()))
        });
        print::table(COLUMNS, &sorted);
    }
    if !api.json && !compared.is_empty() {
        print::table(COMPARED, compared);
    }
    match (of("only_there"), of("only_here")) {
        (0, 0) => told_nothing(compared).map_or(Ok(()), |why| Err(Failure::Unavailable(why))),
        (there, here) => Err(Failure::Refused(format!("{there} only there, {here} only here"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_of_nothing_that_was_compared_says_so() {
        let of = |shadow: &str, agree: u64, differ: u64| {
            json!({ "shadow": shadow, "agree": agree,
            "differ": differ, "no_answer": 7, "not_asked": 9 })
        };
        assert_eq!(told_nothing(&[]).unwrap(), "no old system is asked in this realm");
        assert_eq!(told_nothing(&[of("old", 1, 0), of("older", 0, 2)]), None);
        let said = told_nothing(&[of("old", 1, 0), of("older", 0, 0)]).unwrap();
        assert!(said.ends_with(": older"), "{said}");
    }

    #[test]
    fn an_old_system_that_there_is_none_of_is_said_to_be_none() {
        let all = || vec![json!({ "shadow": "old_api" }), json!({ "shadow": "old_ldap" })];
        let names = |found: Result<Vec<Value>, Failure>| {
            found.map(|all| all.iter().map(|one| one["shadow"].to_string()).collect::<String>())
        };
        assert_eq!(names(meant(all(), None, false)).unwrap(), r#""old_api""old_ldap""#);
        assert_eq!(names(meant(all(), Some("old_ldap"), false)).unwrap(), r#""old_ldap""#);
        for (all, there) in
            [(all(), "asked are old_api old_ldap"), (Vec::new(), "none is asked in this realm")]
        {
            let refused = meant(all, Some("nosuch"), false).unwrap_err();
            assert!(matches!(refused, Failure::Refused(_)), "{refused:?}");
            let said = refused.to_string();
            assert!(said.ends_with(&format!("there is no old system nosuch: {there}")), "{said}");
        }
        // It was taken out of the configuration, and its differences are still there.
        assert_eq!(meant(all(), Some("older"), true).unwrap(), Vec::<Value>::new());
    }
}
