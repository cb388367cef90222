//! Units of another system.

use std::collections::HashMap;

use super::{Fate, IncomingUnit, Known, Plan, Run, refused};
use crate::authority::Authority;
use crate::event::time_ordered_id;
use crate::names::RealmName;
use crate::refusal::Refusal;
use crate::store::{Arriving, PageRequest};
use crate::subject::Unit;

/// Units that are asked of the store at once.
const PAGE: u32 = 1000;

impl Authority {
    pub(super) async fn plan_unit(
        &self,
        run: &Run<'_>,
        unit: &IncomingUnit,
        known: &mut Known,
    ) -> Result<Plan, Refusal> {
        let parent = match unit.parent.as_ref().map(|key| known.units.get(key)) {
            Some(None) => return Ok(refused("the unit above it is not taken over")),
            other => other.flatten().cloned(),
        };
        let mut here = match known.units_here.take() {
            Some(here) => here,
            None => self.units_by_name(run.realm).await?,
        };
        let found = here.get(&unit.name).cloned();
        let id = match &found {
            Some(id) => id.clone(),
            None => time_ordered_id(run.now, self.entropy())?,
        };
        here.insert(unit.name.clone(), id.clone());
        known.units_here = Some(here);
        known.units.insert(unit.key.clone(), id.clone());
        if found.is_some() {
            return Ok(Plan::Settled(Fate::Kept));
        }
        let event = self.imported(run, "unit.created")?.with_subject(format!("unit:{id}"));
        let unit = Unit {
            realm: run.realm.clone(),
            id,
            name: unit.name.clone(),
            identifier: None,
            external_id: Some(unit.key.clone()),
            parent,
            created_at: run.now,
            updated_at: run.now,
            version: 1,
        };
        Ok(Plan::Store(Box::new(Arriving::Unit(unit, event))))
    }

    async fn units_by_name(&self, realm: &RealmName) -> Result<HashMap<String, String>, Refusal> {
        let mut all = HashMap::new();
        let mut request = PageRequest::first(PAGE);
        loop {
            let page = self.store.unit_list(realm, request).await?;
            all.extend(page.items.into_iter().map(|unit| (unit.name, unit.id)));
            let Some(after) = page.next else { return Ok(all) };
            request = PageRequest { limit: PAGE, after: Some(after) };
        }
    }
}
