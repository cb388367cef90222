//! From the tables of COmanage Registry to people, groups, services and tokens.
//!
//! What is left out is said, with its line: whoever moves has to know who will be unable to log in
//! tomorrow.

mod policy;
mod secrets;
mod units;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use counterfoil_authority::authority::{Incoming, ServiceDraft, UserDraft};
use counterfoil_authority::names::{GroupName, ServiceLabel, Username};
use counterfoil_authority::service::{ServiceStatus, Visibility};
use counterfoil_authority::subject::UserStatus;

use super::rows::{Place, Row, Tables};
use units::Units;

/// The tables that are read.
pub(crate) const TABLES: [&str; 15] = [
    "cm_cous",
    "cm_co_services",
    "cm_co_service_token_settings",
    "cm_co_service_tokens",
    "cm_authenticators",
    "cm_authenticator_statuses",
    "cm_password_authenticators",
    "cm_passwords",
    "cm_co_people",
    "cm_co_person_roles",
    "cm_identifiers",
    "cm_names",
    "cm_email_addresses",
    "cm_co_groups",
    "cm_co_group_members",
];

/// How the tables are read.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// The realm, for the ids of tokens.
    pub(crate) realm: String,
    /// The CO; the only one, if absent.
    pub(crate) co: Option<i64>,
    /// The type of the identifier that becomes the user name.
    pub(crate) identifier_type: String,
}

/// A record with where it came from.
#[derive(Debug)]
pub(crate) struct Item {
    /// The table.
    pub(crate) table: &'static str,
    /// The number of its row there.
    pub(crate) id: i64,
    /// The line.
    pub(crate) place: Place,
    /// What it is called here: never a secret.
    pub(crate) what: String,
    /// The record.
    pub(crate) incoming: Incoming,
}

/// Something to tell about a row.
#[derive(Debug)]
pub(crate) struct Note {
    /// The table.
    pub(crate) table: &'static str,
    /// The number of its row there.
    pub(crate) id: i64,
    /// The line.
    pub(crate) place: Place,
    /// What there is to tell.
    pub(crate) why: String,
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// Records, what names others behind what is named.
    pub(crate) items: Vec<Item>,
    /// Rows that become nothing.
    pub(crate) skipped: Vec<Note>,
    /// What of a row is not carried over, though the row is.
    pub(crate) remarks: Vec<Note>,
    /// Rows of each table that was there.
    pub(crate) rows: BTreeMap<&'static str, usize>,
}

impl Read {
    fn skip(&mut self, table: &'static str, row: &Row, why: impl Into<String>) {
        let (id, place, why) = (row.id(), row.place.clone(), why.into());
        self.skipped.push(Note { table, id, place, why });
    }

    fn remark(&mut self, table: &'static str, row: &Row, why: impl Into<String>) {
        let (id, place, why) = (row.id(), row.place.clone(), why.into());
        self.remarks.push(Note { table, id, place, why });
    }

    fn item(&mut self, table: &'static str, row: &Row, what: String, incoming: Incoming) {
        let (id, place) = (row.id(), row.place.clone());
        self.items.push(Item { table, id, place, what, incoming });
    }
}

/// A service under its label.
struct Taken<'a> {
    row: &'a Row,
    label: ServiceLabel,
}

/// Whether a row is the present state of a record, and neither a former one nor deleted:
/// COmanage keeps former ones beside it, which name the present one in `column`.
fn stands(row: &Row, column: &str) -> bool {
    row.text(column).is_none() && !row.is_true("deleted")
}

/// Maps the tables.
///
/// # Errors
///
/// When it is not clear which CO is meant.
pub(crate) fn map(tables: &Tables, options: &Options) -> Result<Read, String> {
    let mut read = Read::default();
    for table in TABLES.into_iter().filter(|table| tables.has(table)) {
        read.rows.insert(table, tables.of(table).len());
    }
    let co = co_of(tables, options.co)?;
    let units = units::units(tables, co, &mut read);
    let people = people(tables, co, options, &units, &mut read);
    let groups = groups(tables, co, &people, &mut read);
    let mut taken = Vec::new();
    let mut drafts = Vec::new();
    for row in tables.of("cm_co_services") {
        if row.number("co_id") != Some(co) || !stands(row, "co_service_id") {
            continue;
        }
        if let Some(draft) = service(row, &groups, &units, &mut read) {
            taken.push(Taken { row, label: draft.label.clone() });
            drafts.push((row, draft));
        }
    }
    let tokens = secrets::tokens(tables, &taken, &people, options, &mut read);
    for (row, mut draft) in drafts {
        draft.token_policy = policy::of(tables, row, &tokens, &mut read);
        let label = draft.label.to_string();
        read.item("cm_co_services", row, label, Incoming::Service(draft));
    }
    read.items.extend(tokens.into_iter().map(|token| token.item));
    Ok(read)
}

/// The CO that is meant: the one that was named, or the only one there is.
fn co_of(tables: &Tables, named: Option<i64>) -> Result<i64, String> {
    let rows = tables.of("cm_co_services").iter().chain(tables.of("cm_co_people"));
    let found: BTreeSet<i64> = rows.filter_map(|row| row.number("co_id")).collect();
    match (named, found.len()) {
        (Some(co), _) if found.contains(&co) => Ok(co),
        (Some(co), _) => Err(format!("there is nothing of CO {co}; there is {}", listed(&found))),
        (None, 1) => Ok(found.into_iter().next().unwrap_or_default()),
        (None, 0) => Err("there are neither services nor people (cm_co_services, \
                          cm_co_people)"
            .into()),
        (None, _) => Err(format!("there are several COs, {}: name one with --co", listed(&found))),
    }
}

fn listed(numbers: &BTreeSet<i64>) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The people of the CO by their numbers, each put among the records.
fn people(
    tables: &Tables,
    co: i64,
    options: &Options,
    units: &Units,
    read: &mut Read,
) -> HashMap<i64, Username> {
    let identifiers = by_person(tables.of("cm_identifiers"), "identifier_id");
    let names = by_person(tables.of("cm_names"), "name_id");
    let roles = by_person(tables.of("cm_co_person_roles"), "co_person_role_id");
    let mails = by_person(tables.of("cm_email_addresses"), "email_address_id");
    let mut people = HashMap::new();
    let mut taken: HashMap<Username, i64> = HashMap::new();
    for row in tables.of("cm_co_people") {
        if row.number("co_id") != Some(co) || !stands(row, "co_person_id") {
            continue;
        }
        let id = row.id();
        let status = match row.text("status") {
            Some("A" | "GP") => UserStatus::Active,
            Some("XP") => UserStatus::Expired,
            Some("S" | "LK") => UserStatus::Suspended,
            other => {
                let other = other.unwrap_or("none");
                read.skip("cm_co_people", row, format!("status {other} is not a member's"));
                continue;
            }
        };
        let username = match username(of(&identifiers, id), &options.identifier_type) {
            Ok(username) => username,
            Err(why) => {
                read.skip("cm_co_people", row, why);
                continue;
            }
        };
        if let Some(other) = taken.insert(username.clone(), id) {
            read.skip("cm_co_people", row, format!("{username} is person {other} already"));
            taken.insert(username, other);
            continue;
        }
        let emails: Vec<String> =
            of(&mails, id).iter().filter_map(|row| row.owned("mail")).collect();
        let draft = UserDraft {
            display_name: display_name(of(&names, id)),
            emails: emails.into_iter().take(10).collect(),
            status,
            unit: units::unit_of(row, of(&roles, id), units, read),
            ..UserDraft::new(username.clone())
        };
        read.item("cm_co_people", row, username.to_string(), Incoming::User(draft));
        people.insert(id, username);
    }
    people
}

/// Rows by the person that they belong to.
fn by_person<'a>(rows: &'a [Row], former: &str) -> HashMap<i64, Vec<&'a Row>> {
    let mut by: HashMap<i64, Vec<&Row>> = HashMap::new();
    for row in rows.iter().filter(|row| stands(row, former)) {
        if let Some(person) = row.number("co_person_id") {
            by.entry(person).or_default().push(row);
        }
    }
    by
}

fn of<'a, 'b>(rows: &'b HashMap<i64, Vec<&'a Row>>, person: i64) -> &'b [&'a Row] {
    rows.get(&person).map_or(&[], Vec::as_slice)
}

fn username(identifiers: &[&Row], wanted: &str) -> Result<Username, String> {
    let active = |row: &&&Row| {
        row.text("type") == Some(wanted) && row.text("status").is_none_or(|status| status == "A")
    };
    let found: BTreeSet<&str> =
        identifiers.iter().filter(active).filter_map(|row| row.text("identifier")).collect();
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(one), None) => Username::parse(one).map_err(|bad| format!("{one}: {bad}")),
        (Some(one), Some(two)) => {
            Err(format!("has several identifiers of type {wanted}: {one}, {two}"))
        }
        (None, _) => Err(format!("has no identifier of type {wanted}")),
    }
}

fn display_name(names: &[&Row]) -> Option<String> {
    let primary = names.iter().find(|row| row.is_true("primary_name"));
    let row = primary.or(names.first())?;
    let parts: Vec<&str> = ["given", "family"].iter().filter_map(|part| row.text(part)).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// The groups that services ask for and those that people made, with who is in them; not those
/// that COmanage keeps by itself.
fn groups(
    tables: &Tables,
    co: i64,
    people: &HashMap<i64, Username>,
    read: &mut Read,
) -> HashMap<i64, GroupName> {
    let services = tables.of("cm_co_services").iter();
    let live =
        services.filter(|row| row.number("co_id") == Some(co) && stands(row, "co_service_id"));
    let wanted: BTreeSet<i64> = live.filter_map(|row| row.number("co_group_id")).collect();
    let mut groups = HashMap::new();
    for row in tables.of("cm_co_groups") {
        let is_own = row.number("co_id") == Some(co)
            && row.text("status").is_none_or(|status| status == "A")
            && row.text("group_type").is_none_or(|kind| kind == "S")
            && !row.text("name").unwrap_or_default().starts_with("CO:");
        if !(is_own || wanted.contains(&row.id())) || !stands(row, "co_group_id") {
            continue;
        }
        // `CO:members:all`, as COmanage calls its own ones, has colons, which end a name here.
        let called = row.text("name").unwrap_or_default().replace([':', '/', '\\', ','], ".");
        match GroupName::parse(&called) {
            Ok(name) => {
                let group = Incoming::Group(name.clone(), row.owned("description"));
                read.item("cm_co_groups", row, name.to_string(), group);
                groups.insert(row.id(), name);
            }
            Err(bad) => read.skip("cm_co_groups", row, format!("{called}: {bad}")),
        }
    }
    for row in tables.of("cm_co_group_members") {
        let group = row.number("co_group_id").and_then(|id| groups.get(&id));
        let person = row.number("co_person_id").and_then(|id| people.get(&id));
        let is_member = row.is_true("member") && stands(row, "co_group_member_id");
        let (true, Some(group), Some(person)) = (is_member, group, person) else { continue };
        if row.text("valid_through").is_some() || row.text("valid_from").is_some() {
            read.skip("cm_co_group_members", row, "a membership for a time is not carried over");
            continue;
        }
        let member = Incoming::Member(group.clone(), person.clone());
        read.item("cm_co_group_members", row, format!("{person} in {group}"), member);
    }
    groups
}

fn service(
    row: &Row,
    groups: &HashMap<i64, GroupName>,
    units: &Units,
    read: &mut Read,
) -> Option<ServiceDraft> {
    const TABLE: &str = "cm_co_services";
    let name = row.owned("name").unwrap_or_else(|| format!("Service {}", row.id()));
    let short = row.text("short_label").map(str::to_ascii_lowercase);
    let short = short.unwrap_or_else(|| {
        let label = format!("service-{}", row.id());
        read.remark(TABLE, row, format!("has no short_label and is called {label} here"));
        label
    });
    let label = match ServiceLabel::parse(&short) {
        Ok(label) => label,
        Err(bad) => {
            read.skip(TABLE, row, format!("{short}: {bad}"));
            return None;
        }
    };
    let group = match row.number("co_group_id") {
        None => None,
        Some(id) => {
            let Some(group) = groups.get(&id) else {
                // Without its group everybody could use it.
                read.skip(TABLE, row, format!("its group {id} is not there (cm_co_groups)"));
                return None;
            };
            Some(group.clone())
        }
    };
    let unit = match row.number("cou_id") {
        None => None,
        Some(id) => {
            let Some(unit) = units.get(&id) else {
                read.skip(TABLE, row, format!("its COU {id} is not there (cm_cous)"));
                return None;
            };
            Some(unit.clone())
        }
    };
    for (column, why) in [
        ("identifier_type", "its identifier_type: user names are the same for every service"),
        ("cluster_id", "its cluster"),
        ("service_label", "its service_label, which COmanage calls deprecated"),
    ] {
        if row.text(column).is_some() {
            read.remark(TABLE, row, format!("is taken over without {why}"));
        }
    }
    Some(ServiceDraft {
        name,
        description: row.owned("description"),
        url: row.owned("service_url"),
        contact: row.owned("contact_email"),
        logo_url: row.owned("logo_url"),
        visibility: match row.text("visibility") {
            Some("CG") => Visibility::Group,
            Some("CP") => Visibility::Realm,
            Some("P") => Visibility::Public,
            _ => Visibility::Administrators,
        },
        group,
        entitlement_uri: row.owned("entitlement_uri"),
        status: match row.text("status") {
            Some("A") => ServiceStatus::Active,
            _ => ServiceStatus::Suspended,
        },
        unit,
        ..ServiceDraft::new(label)
    })
}
