//! `counterfoil token fit`: what tokens were given and did not use, and taking it away.

use serde_json::{Value, json};

use super::{path, show_token};
use crate::cli::failure::Failure;
use crate::cli::print::{self, Column};
use crate::cli::remote::{Api, Ask, PageArgs, RemoteArgs};
use crate::cli::resource::page_out;

/// Which tokens to look at, and what to do
#[derive(Debug, clap::Args)]
pub(crate) struct FitArgs {
    /// Its id; without it, list the tokens that could do without something
    #[arg(conflicts_with_all = ["service", "user", "limit", "cursor"])]
    id: Option<String>,
    /// Look at so many days, and today
    #[arg(long, value_name = "N", default_value = "90", value_parser = clap::value_parser!(u32).range(7..=90))]
    days: u32,
    /// Take away what is proposed
    #[arg(long, requires = "id")]
    shrink: bool,
    /// Only this sort; repeat for more [default: all]
    #[arg(long, value_name = "SORT", requires = "shrink", value_parser = ["scopes", "networks", "doors"])]
    only: Vec<String>,
    /// List only tokens that name this service
    #[arg(long, value_name = "LABEL")]
    service: Option<String>,
    /// List only tokens of this person
    #[arg(long, value_name = "USERNAME")]
    user: Option<String>,
    #[command(flatten)]
    page: PageArgs,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// The sorts of grants.
const SORTS: [&str; 3] = ["scopes", "networks", "doors"];

const COLUMNS: &[Column] = &[
    Column::new("ID", "id"),
    Column::new("KIND", "kind"),
    Column::new("USER", "user"),
    Column::new("NAME", "name"),
    Column::new("SERVICES", "services"),
    Column::new("COULD DO WITHOUT", "unused"),
];

/// Runs the command.
pub(super) async fn run(args: &FitArgs) -> Result<(), Failure> {
    let api = Api::new(&args.remote)?;
    match &args.id {
        Some(id) => one(&api, id, args).await,
        None => list(&api, args).await,
    }
}

async fn one(api: &Api, id: &str, args: &FitArgs) -> Result<(), Failure> {
    let place = path(api, id, "/fit");
    let query = vec![("days", args.days.to_string())];
    let fit = api.send(Ask::get(place.clone()).with_query(query)).await?;
    if !args.shrink {
        show(api, &fit);
        return Ok(());
    }
    if !api.json {
        show(api, &fit);
    }
    let is_asked = |sort: &str| args.only.is_empty() || args.only.iter().any(|only| only == sort);
    if !SORTS.into_iter().any(|sort| is_asked(sort) && !fit[sort]["proposed"].is_null()) {
        return Err(Failure::Refused("nothing is proposed, so nothing was taken away".into()));
    }
    let mut body = json!({ "digest": fit["digest"], "days": args.days });
    if !args.only.is_empty() {
        body["only"] = args.only.as_slice().into();
    }
    let token = api.send(Ask::post(place, body)).await?;
    show_token(api, &token);
    let gone = SORTS.into_iter().filter(|sort| is_asked(sort) && !fit[sort]["proposed"].is_null());
    let gone: Vec<String> = gone.flat_map(|sort| superfluous(sort, &fit[sort])).collect();
    if !api.json {
        print::note(&print::clean(&format!("taken away: {}", gone.join(", "))));
    }
    Ok(())
}

fn show(api: &Api, fit: &Value) {
    if api.json {
        return print::json(fit);
    }
    let grants: Vec<_> = SORTS.into_iter().flat_map(|sort| rows(sort, &fit[sort])).collect();
    if !grants.is_empty() {
        print::rows(&["GRANT", "OF", "USE"], grants);
    }
    for sort in SORTS {
        if let Some(why) = fit[sort]["kept"].as_str().map(reason) {
            print::note(&format!("{sort}: {why}"));
        }
    }
    let seen = words(&fit["seen_networks"]);
    if !seen.is_empty() {
        print::note(&format!("used from: {}", print::clean(&seen)));
    }
}

/// One row for each grant of a sort.
fn rows(sort: &str, part: &Value) -> Vec<Vec<String>> {
    let list = |name: &str| part[name].as_array().cloned().unwrap_or_default();
    let wide = list("wide");
    let is_in = |name: &str, grant: &Value| list(name).contains(grant);
    let grants = list("granted").into_iter().map(|grant| {
        let instead =
            wide.iter().find(|one| one["grant"] == grant).map(|one| words(&one["instead"]));
        let said = match instead {
            Some(instead) if instead.is_empty() => "covered by the others".to_owned(),
            Some(instead) => format!("only as {instead}"),
            None if is_in("used", &grant) => "used".to_owned(),
            None if is_in("unused", &grant) => "unused".to_owned(),
            None if is_in("young", &grant) => "given lately".to_owned(),
            None => "-".to_owned(),
        };
        vec![print::clean(grant.as_str().unwrap_or_default()), sort.to_owned(), print::clean(&said)]
    });
    grants.collect()
}

fn words(list: &Value) -> String {
    let words = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    words.collect::<Vec<_>>().join(" ")
}

/// Why nothing is proposed, for people.
fn reason(kept: &str) -> &'static str {
    match kept {
        "unlimited" => "not limited, so there is nothing to take away",
        "not_its_own" => "not its own to use: it hands them on, or its client's roles decide",
        "young" => "given within these days, so nobody can say that they are not needed",
        "not_watched" => "its use was not watched on all of these days",
        "idle" => "the token was not used at all: revoke it, or let its policy end what is idle",
        "unasked" => "somebody used it without naming a scope, and may need any of them",
        "too_many" => "asked for more different scopes than are kept",
        _ => "all of them were used",
    }
}

async fn list(api: &Api, args: &FitArgs) -> Result<(), Failure> {
    let mut query = vec![("days", args.days.to_string())];
    let filters = [("service", &args.service), ("user", &args.user)];
    query.extend(filters.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
    let mut page = api.list(&api.in_realm("fit"), &query, &args.page).await?;
    if !api.json {
        for item in page.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten() {
            let fit = item["fit"].take();
            let proposing = SORTS.into_iter().filter(|sort| !fit[sort]["proposed"].is_null());
            let unused: Vec<String> =
                proposing.flat_map(|sort| superfluous(sort, &fit[sort])).collect();
            let mut token = item["token"].take();
            token["unused"] = unused.join(", ").into();
            *item = token;
        }
    }
    page_out(api, COLUMNS, &page);
    if !api.json && page["items"].as_array().is_some_and(Vec::is_empty) {
        print::note(&format!(
            "A token that is younger than {} days, or not watched for so long, is not judged; \
             --days looks at fewer, 7 at least.",
            args.days
        ));
    }
    Ok(())
}

/// What of a sort is unused or wider than needed, each with its sort.
fn superfluous(sort: &str, part: &Value) -> Vec<String> {
    let one = sort.trim_end_matches('s');
    let unused = part["unused"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let unused = unused.map(|grant| format!("{one} {grant}"));
    let wide = part["wide"].as_array().into_iter().flatten().filter_map(|wide| {
        let (grant, instead) = (wide["grant"].as_str()?, words(&wide["instead"]));
        Some(match &*instead {
            "" => format!("{one} {grant} (covered by the others)"),
            _ => format!("{one} {grant} (only as {instead})"),
        })
    });
    unused.chain(wide).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_grant_is_shown_with_its_use() {
        let part = json!({
            "granted": ["a", "b", "c", "d:*", "e:*", "f"], "used": ["a", "d:*", "e:*"],
            "unused": ["b"], "young": ["c"], "kept": null,
            "wide": [{ "grant": "d:*", "instead": ["d:r", "d:w"] }, { "grant": "e:*", "instead": [] }],
        });
        let said: Vec<String> = rows("scopes", &part).iter().map(|row| row.join("|")).collect();
        let expected = [
            "a|scopes|used",
            "b|scopes|unused",
            "c|scopes|given lately",
            "d:*|scopes|only as d:r d:w",
            "e:*|scopes|covered by the others",
            "f|scopes|-",
        ];
        assert_eq!(said, expected);
        let gone = ["scope b", "scope d:* (only as d:r d:w)", "scope e:* (covered by the others)"];
        assert_eq!(superfluous("scopes", &part), gone);
    }
}
