//! COUs become units, and a person belongs to the unit of their role.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use counterfoil_authority::authority::{Incoming, IncomingUnit};

use super::{Read, Row, Tables, stands};

/// The keys of units by the numbers of their COUs.
pub(super) type Units = HashMap<i64, String>;

const TABLE: &str = "cm_cous";
/// Characters of a unit's name at most, as the API has it.
const NAME_MAX: usize = 200;

fn key(id: i64) -> String {
    format!("comanage cou {id}")
}

/// The COUs of the CO, those above before those below.
pub(super) fn units(tables: &Tables, co: i64, read: &mut Read) -> Units {
    let of_co = |row: &&Row| row.number("co_id") == Some(co) && stands(row, "cou_id");
    let mut waiting: BTreeMap<i64, &Row> =
        tables.of(TABLE).iter().filter(of_co).map(|row| (row.id(), row)).collect();
    let mut units = Units::new();
    loop {
        let is_next =
            |row: &&&Row| row.number("parent_id").is_none_or(|parent| units.contains_key(&parent));
        let Some(row) = waiting.values().find(is_next).copied() else { break };
        waiting.remove(&row.id());
        let name = row.text("name").unwrap_or_default().trim();
        let is_line = !name.is_empty()
            && name.chars().count() <= NAME_MAX
            && !name.chars().any(char::is_control);
        if !is_line {
            read.skip(TABLE, row, "has a name that no unit can have");
            continue;
        }
        let parent = row.number("parent_id").map(key);
        let unit = IncomingUnit { key: key(row.id()), name: name.to_owned(), parent };
        read.item(TABLE, row, name.to_owned(), Incoming::Unit(unit));
        units.insert(row.id(), key(row.id()));
    }
    for row in waiting.values() {
        read.skip(TABLE, row, "the COU above it is not taken over");
    }
    units
}

/// The unit of a person: that of their roles; of several the one with the lowest number.
pub(super) fn unit_of(
    person: &Row,
    roles: &[&Row],
    units: &Units,
    read: &mut Read,
) -> Option<String> {
    let stands =
        |row: &&&Row| row.text("status").is_none_or(|status| ["A", "GP"].contains(&status));
    let cous: BTreeSet<i64> =
        roles.iter().filter(stands).filter_map(|row| row.number("cou_id")).collect();
    let mut known = cous.iter().filter_map(|cou| units.get(cou));
    let first = known.next().cloned();
    if known.next().is_some() {
        let why = format!("has roles in {} COUs; a person belongs to one unit here", cous.len());
        read.remark("cm_co_people", person, why);
    }
    first
}
