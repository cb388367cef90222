//! The entries that somebody may see, one after the other, read as they are needed.

use std::collections::VecDeque;

use counterfoil_authority::authority::{Authority, ShownService};
use counterfoil_authority::names::{GroupName, Username};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::store::{Page, PageRequest};
use counterfoil_authority::subject::{Group, User};
use ldap3_proto::proto::LdapSearchScope;

use super::paging::Mark;
use crate::ldap::Shared;
use crate::ldap::bind::{Bound, Client, Person};
use crate::ldap::dn::Dn;
use crate::ldap::entry::{Entry, GROUP, PERSON};
use crate::ldap::filter::Pins;
use crate::ldap::limits::{MEMBERS_MAX, RECORDS_AT_ONCE};
use crate::ldap::tree::Claim;

/// Where is looked, and for what.
#[derive(Debug)]
pub(super) struct Area {
    /// Where the search begins.
    pub(super) base: Dn,
    /// How far it goes.
    pub(super) scope: LdapSearchScope,
    /// What its filter insists on.
    pub(super) pins: Pins,
}

impl Area {
    fn holds(&self, dn: &Dn) -> bool {
        let below = dn.below(&self.base).map(<[_]>::len);
        match self.scope {
            LdapSearchScope::Base => below == Some(0),
            LdapSearchScope::OneLevel => below == Some(1),
            LdapSearchScope::Subtree => below.is_some(),
            LdapSearchScope::Children => below.is_some_and(|levels| levels > 0),
        }
    }

    /// Whether anything directly below `parent` can be inside.
    fn reaches_below(&self, parent: &Dn) -> bool {
        let above = parent.below(&self.base).is_some();
        match self.scope {
            LdapSearchScope::Base => self.named_below(parent).is_some(),
            LdapSearchScope::OneLevel => parent.is(&self.base),
            LdapSearchScope::Subtree => above || self.named_below(parent).is_some(),
            LdapSearchScope::Children => above,
        }
    }

    /// The type and value of the one thing directly below `parent` that the base names.
    fn named_below(&self, parent: &Dn) -> Option<(&str, &str)> {
        match self.base.below(parent) {
            Some([part]) => Some((&part.kind, &part.value)),
            _ => None,
        }
    }
}

/// What is walked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Places, and the asker's own entry.
    Fixed,
    /// The people of a service.
    People,
    /// The groups of a service.
    Groups,
}

/// A record that becomes an entry.
enum Found {
    Person(User),
    Group(Group),
}

/// A walk through the entries that somebody may see.
pub(super) struct Walk<'a> {
    shared: &'a Shared,
    area: Area,
    /// Whether somebody wants to know who is in a group.
    members: bool,
    fixed: Vec<Entry>,
    services: Vec<ShownService>,
    /// The service that is walked through.
    at: usize,
    stage: Stage,
    /// The last record of the stage; for fixed entries, how many are behind.
    after: Option<String>,
    passed: usize,
    waiting: VecDeque<Found>,
    /// Whether the store has no more for this stage.
    drained: bool,
    beyond_limits: bool,
    knows_base: bool,
}

impl<'a> Walk<'a> {
    /// Begins a walk for whoever is bound, at a mark of an earlier one. `None` if nobody is, or
    /// their credential does not count any more.
    pub(super) async fn start(
        shared: &'a Shared,
        bound: &Bound,
        area: Area,
        members: bool,
        mark: Option<Mark>,
    ) -> Result<Option<Walk<'a>>, Refusal> {
        let (fixed, services, knows_base) = match bound {
            Bound::Nobody => return Ok(None),
            Bound::Person(person) => match own_person(shared, person).await? {
                None => return Ok(None),
                Some(entry) => {
                    let knows_base = entry.dn.below(&area.base).is_some();
                    (vec![entry], Vec::new(), knows_base)
                }
            },
            Bound::Client(client) => match seen_by(shared, client).await? {
                None => return Ok(None),
                Some((fixed, services)) => {
                    let is_known = |entry: &Entry| entry.dn.is(&area.base);
                    let knows_base = area.base.is_root() || fixed.iter().any(is_known);
                    (fixed, services, knows_base)
                }
            },
        };
        let fixed = fixed.into_iter().filter(|entry| area.holds(&entry.dn)).collect();
        let mut walk = Walk {
            shared,
            area,
            members,
            fixed,
            services,
            at: 0,
            stage: Stage::Fixed,
            after: None,
            passed: 0,
            waiting: VecDeque::new(),
            drained: false,
            beyond_limits: false,
            knows_base,
        };
        if let Some(mark) = mark {
            walk.resume(&mark);
        }
        Ok(Some(walk))
    }

    /// Goes on at a mark. A service that is gone meanwhile is passed over.
    fn resume(&mut self, mark: &Mark) {
        self.knows_base = true;
        if mark.stage == 0 {
            self.passed = mark.after.parse().unwrap_or(0);
            return;
        }
        self.passed = self.fixed.len();
        let at = self.services.iter().position(|known| known.label().as_str() >= &*mark.service);
        self.at = at.unwrap_or(self.services.len());
        let same = self.services.get(self.at).is_some_and(|s| s.label().as_str() == mark.service);
        self.stage = if same && mark.stage == 2 { Stage::Groups } else { Stage::People };
        self.after = (same && !mark.after.is_empty()).then(|| mark.after.clone());
    }

    /// Where the walk stands.
    pub(super) fn mark(&self) -> Option<Mark> {
        let label = self.services.get(self.at).map(|shown| shown.label().as_str().to_owned());
        let after = self.after.clone().unwrap_or_default();
        match (self.stage, label) {
            (Stage::Fixed, _) => {
                let after = self.passed.to_string();
                Some(Mark { service: String::new(), stage: 0, after })
            }
            (Stage::People, Some(service)) => Some(Mark { service, stage: 1, after }),
            (Stage::Groups, Some(service)) => Some(Mark { service, stage: 2, after }),
            (_, None) => None,
        }
    }

    /// Whether the last entry could not be made, because it would be too large.
    pub(super) const fn is_beyond_limits(&self) -> bool {
        self.beyond_limits
    }

    /// Whether the base of the search is something that the asker may know of.
    pub(super) const fn knows_base(&self) -> bool {
        self.knows_base
    }

    /// The next entry inside the area.
    pub(super) async fn next(&mut self) -> Result<Option<Entry>, Refusal> {
        loop {
            if self.stage == Stage::Fixed {
                if let Some(entry) = self.fixed.get(self.passed) {
                    self.passed += 1;
                    return Ok(Some(entry.clone()));
                }
                self.stage = Stage::People;
                continue;
            }
            if let Some(found) = self.waiting.pop_front() {
                if let Some(entry) = self.entry_of(found).await?
                    && self.area.holds(&entry.dn)
                {
                    return Ok(Some(entry));
                }
                continue;
            }
            if self.at >= self.services.len() {
                return Ok(None);
            }
            if self.drained {
                self.advance();
                continue;
            }
            self.fill().await?;
        }
    }

    fn advance(&mut self) {
        (self.after, self.drained) = (None, false);
        if self.stage == Stage::People {
            self.stage = Stage::Groups;
        } else {
            self.stage = Stage::People;
            self.at += 1;
        }
    }

    /// Reads the next records of the stage.
    async fn fill(&mut self) -> Result<(), Refusal> {
        let Some(shown) = self.services.get(self.at) else { return Ok(()) };
        let authority = &self.shared.state.authority;
        let page = match self.stage {
            Stage::Fixed => return Ok(()),
            Stage::People => self.people(authority, shown).await?,
            Stage::Groups => self.groups(authority, shown).await?,
        };
        self.drained = page.next.is_none();
        self.waiting.extend(page.items);
        Ok(())
    }

    fn request(&self) -> PageRequest {
        match &self.after {
            Some(name) => PageRequest::behind(name, RECORDS_AT_ONCE),
            None => PageRequest::first(RECORDS_AT_ONCE),
        }
    }

    async fn people(
        &self,
        authority: &Authority,
        shown: &ShownService,
    ) -> Result<Page<Found>, Refusal> {
        let parent = self.shared.tree.service(shown.label().as_str());
        let pins = &self.area.pins;
        let possible = pins.allow(&PERSON) && pins.member.is_none();
        if !possible || !self.area.reaches_below(&parent) {
            return Ok(all(Vec::new()));
        }
        let named = match self.area.named_below(&parent) {
            Some(("uid", value)) => Some(value),
            Some(_) => return Ok(all(Vec::new())),
            None => pins.uid.as_deref(),
        };
        let Some(named) = named else {
            let page = authority.shown_people(shown, self.request()).await?;
            return Ok(Page { items: persons(page.items), next: page.next });
        };
        let name = Username::parse(named.trim()).ok().filter(|_| self.after.is_none());
        let found = match name {
            Some(name) => authority.shown_person(shown, &name).await?,
            None => None,
        };
        Ok(all(persons(found)))
    }

    async fn groups(
        &self,
        authority: &Authority,
        shown: &ShownService,
    ) -> Result<Page<Found>, Refusal> {
        let parent = self.shared.tree.groups(shown.label().as_str());
        let pins = &self.area.pins;
        let possible = pins.allow(&GROUP) && pins.uid.is_none();
        if !possible || !self.area.reaches_below(&parent) {
            return Ok(all(Vec::new()));
        }
        let named = match self.area.named_below(&parent) {
            Some(("cn", value)) => Some(value),
            Some(_) => return Ok(all(Vec::new())),
            None => pins.cn.as_deref(),
        };
        let wanted: Vec<GroupName> = match (named, &pins.member) {
            (Some(name), _) => GroupName::parse(name.trim()).into_iter().collect(),
            (None, Some(member)) => self.groups_of(authority, shown, member).await?,
            (None, None) => {
                let page = authority.shown_groups(shown, self.request()).await?;
                let items = page.items.into_iter().map(Found::Group).collect();
                return Ok(Page { items, next: page.next });
            }
        };
        let behind = |name: &&GroupName| self.after.as_deref().is_none_or(|at| name.as_str() > at);
        let mut found = Vec::with_capacity(wanted.len());
        for name in wanted.iter().filter(behind) {
            found.extend(authority.shown_group(shown, name).await?.map(Found::Group));
        }
        Ok(all(found))
    }

    /// The groups of a person whose entry is named.
    async fn groups_of(
        &self,
        authority: &Authority,
        shown: &ShownService,
        member: &Dn,
    ) -> Result<Vec<GroupName>, Refusal> {
        let Some(Claim::Person { user, service, .. }) = self.shared.tree.claim(member) else {
            return Ok(Vec::new());
        };
        let Ok(name) = Username::parse(user) else { return Ok(Vec::new()) };
        if service != *shown.label() {
            return Ok(Vec::new());
        }
        let found = authority.shown_person(shown, &name).await?;
        let mut groups = found.map(|user| user.groups).unwrap_or_default();
        groups.sort();
        Ok(groups)
    }

    async fn entry_of(&mut self, found: Found) -> Result<Option<Entry>, Refusal> {
        let Some(shown) = self.services.get(self.at) else { return Ok(None) };
        let (tree, label) = (&self.shared.tree, shown.label().as_str());
        match found {
            Found::Person(user) => {
                let dn = tree.person(label, user.username.as_str());
                self.after = Some(user.username.as_str().to_owned());
                Ok(Some(Entry::person(dn, &user, tree, label)))
            }
            Found::Group(group) => {
                self.after = Some(group.name.as_str().to_owned());
                // `groupOfNames` has at least one member (RFC 4519 section 3.5).
                if group.members == 0 {
                    return Ok(None);
                }
                if !self.members && !shown.is_for_a_group() {
                    return Ok(Some(Entry::group(&group, Vec::new(), tree, label)));
                }
                let authority = &self.shared.state.authority;
                let members = authority.shown_members(shown, &group.name, MEMBERS_MAX).await?;
                let Some(members) = members else {
                    self.beyond_limits = true;
                    return Ok(Some(Entry::group(&group, Vec::new(), tree, label)));
                };
                if members.is_empty() {
                    return Ok(None);
                }
                let dn = |name: &Username| tree.person(label, name.as_str()).to_string();
                let members = members.iter().map(dn).collect();
                Ok(Some(Entry::group(&group, members, tree, label)))
            }
        }
    }
}

/// Everything there is.
const fn all(items: Vec<Found>) -> Page<Found> {
    Page { items, next: None }
}

fn persons(users: impl IntoIterator<Item = User>) -> Vec<Found> {
    users.into_iter().map(Found::Person).collect()
}

/// The entry of a person who bound, while what they bound with counts.
async fn own_person(shared: &Shared, person: &Person) -> Result<Option<Entry>, Refusal> {
    let authority = &shared.state.authority;
    let over = person.until.is_some_and(|end| authority.now() >= end);
    if over || !authority.stands(&shared.realm, person.token).await? {
        return Ok(None);
    }
    let user = authority.own_person(&shared.realm, &person.username).await?;
    let label = person.service.as_str();
    Ok(user.map(|user| Entry::person(person.dn(&shared.tree), &user, &shared.tree, label)))
}

/// The places and services that a client sees, while its key counts.
async fn seen_by(
    shared: &Shared,
    client: &Client,
) -> Result<Option<(Vec<Entry>, Vec<ShownService>)>, Refusal> {
    let authority = &shared.state.authority;
    let Some(caller) = authority.recall(&client.caller).await? else { return Ok(None) };
    let services = match authority.shown_services(&caller, &shared.realm).await {
        Ok(services) => services,
        // A client that verifies nothing sees itself.
        Err(Refusal::Forbidden(_)) => Vec::new(),
        Err(refusal) => return Err(refusal),
    };
    let tree = &shared.tree;
    let mut fixed = vec![Entry::base(tree.base().clone()), Entry::unit(tree.services().clone())];
    for shown in &services {
        fixed.push(Entry::service(shown, tree));
        fixed.push(Entry::unit(tree.groups(shown.label().as_str())));
    }
    let own = authority.own_client(&caller).await?;
    fixed.extend(own.map(|own| Entry::client(tree.client(client.name.as_str()), &own)));
    Ok(Some((fixed, services)))
}
