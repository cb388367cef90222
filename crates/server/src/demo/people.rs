//! Who works there: units, groups, people with their roles, and the passwords they choose.

use std::collections::BTreeMap;

use counterfoil_authority::authority::{
    ChosenPassword, ConsoleRefusal, GrantDraft, GroupDraft, RealmEdit, SignInStep, UnitDraft,
    UserDraft, UserEdit,
};
use counterfoil_authority::caller::Caller;
use counterfoil_authority::names::{GroupName, ServiceLabel, Username};
use counterfoil_authority::secret::{ClearSecret, generate_grouped};
use counterfoil_authority::service::Services;
use counterfoil_authority::subject::{GrantSubject, Limits, Role};
use counterfoil_authority::verdict::Door;

use super::organisation::RoleOf;
use super::plan::{Person, Plan};
use super::setting::Clients;
use super::{DemoError, Stage};

/// Somebody with a session, so that what is done for them is done by them.
pub(super) struct Member {
    pub(super) username: Username,
    pub(super) caller: Caller,
    /// What they chose; shown for those whom somebody is to sign in as.
    pub(super) password: ClearSecret,
}

/// Everybody and everything that acts.
pub(super) struct Company {
    /// In the order of the plan; the first one administers everything.
    pub(super) members: Vec<Member>,
    /// Ids of units, by their names.
    pub(super) units: BTreeMap<String, String>,
    pub(super) clients: Clients,
}

impl Company {
    /// A person by their place in the plan.
    pub(super) fn member(&self, place: usize) -> Result<&Member, DemoError> {
        self.members.get(place).ok_or_else(|| DemoError::Missing(format!("person {place}")))
    }

    /// The administrator.
    pub(super) fn administrator(&self) -> Result<&Caller, DemoError> {
        Ok(&self.member(0)?.caller)
    }

    /// The id of a unit.
    pub(super) fn unit(&self, name: &str) -> Result<String, DemoError> {
        let missing = || DemoError::Missing(format!("unit {name}"));
        self.units.get(name).cloned().ok_or_else(missing)
    }
}

/// One service.
pub(super) fn only(label: &str) -> Result<Services, DemoError> {
    Ok(Services::Named(vec![ServiceLabel::parse(label)?]))
}

impl Stage {
    /// Makes the people of a plan. The first of them is the first administrator, who gets in by
    /// the link that `serve` would print; from then on they make everybody else.
    pub(super) async fn people(
        &self,
        operator: &Caller,
        plan: &Plan,
    ) -> Result<Company, DemoError> {
        let (authority, realm) = (&self.authority, &self.realm);
        let first = plan.people.first().ok_or_else(|| DemoError::Missing("person".into()))?;
        let link = authority.console_first_link().await?;
        let (link, _) = link.ok_or_else(|| DemoError::Missing("first link".into()))?;
        let named = Username::parse(&first.username)?;
        let (mut administrator, session) = self.sign_in(&link, Some(&named)).await?;
        let boss = administrator.caller.clone();
        let edit = RealmEdit {
            display_name: Some(Some(self.organisation.name.clone())),
            zone: Some(self.organisation.zone.clone()),
            ..RealmEdit::default()
        };
        authority.edit_realm(operator, realm, edit, None).await?;
        let units = self.units(&boss).await?;
        self.groups(&boss).await?;
        self.services(&boss).await?;
        let mut company = Company { members: Vec::new(), units, clients: Clients::default() };
        self.introduce(&boss, &company, first, &named).await?;
        // They are in groups and a unit now.
        let context = Self::context(Door::Console);
        let known = authority.console_caller(session.reveal(), context).await?;
        administrator.caller = known.caller;
        company.members.push(administrator);
        for person in plan.people.iter().skip(1) {
            let username = Username::parse(&person.username)?;
            self.hire(&boss, &company, person, &username).await?;
            let (link, _) = authority.console_link_for(&boss, realm, &username).await?;
            company.members.push(self.sign_in(&link, None).await?.0);
        }
        Ok(company)
    }

    /// Uses a link: chooses a password that nobody can guess, and begins a session.
    async fn sign_in(
        &self,
        link: &ClearSecret,
        username: Option<&Username>,
    ) -> Result<(Member, ClearSecret), DemoError> {
        let password = generate_grouped(self.authority.entropy())?;
        let agent = Some("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0");
        let chosen = ChosenPassword { link, username, password: password.reveal(), agent };
        let context = Self::context(Door::Console);
        let step = self.authority.console_use_link(chosen, context.clone()).await?;
        // Nobody of the demo needs more than a password.
        let SignInStep::Begun(begun) = step else { return Err(ConsoleRefusal::Denied.into()) };
        let signed_in = self.authority.console_caller(begun.secret.reveal(), context).await?;
        let member =
            Member { username: begun.session.username, caller: signed_in.caller, password };
        Ok((member, begun.secret))
    }

    async fn units(&self, boss: &Caller) -> Result<BTreeMap<String, String>, DemoError> {
        let mut units = BTreeMap::new();
        for unit in &self.organisation.unit {
            let draft = UnitDraft {
                name: unit.name.clone(),
                identifier: unit.identifier.clone(),
                external_id: unit.external_id.clone(),
                parent: None,
            };
            let made = self.authority.create_unit(boss, &self.realm, draft).await?;
            units.insert(made.name, made.id);
        }
        Ok(units)
    }

    async fn groups(&self, boss: &Caller) -> Result<(), DemoError> {
        for group in &self.organisation.group {
            let draft = GroupDraft {
                name: GroupName::parse(&group.name)?,
                description: Some(group.description.clone()),
                open: group.open,
            };
            self.authority.create_group(boss, &self.realm, draft).await?;
        }
        Ok(())
    }

    async fn hire(
        &self,
        boss: &Caller,
        company: &Company,
        person: &Person,
        username: &Username,
    ) -> Result<(), DemoError> {
        let draft = UserDraft {
            display_name: Some(person.display_name.clone()),
            emails: vec![self.email(person)],
            unit: Some(company.unit(&person.unit)?),
            ..UserDraft::new(username.clone())
        };
        self.authority.create_user(boss, &self.realm, draft).await?;
        self.belong(boss, company, person, username).await
    }

    /// The first administrator is there already, and only by name.
    async fn introduce(
        &self,
        boss: &Caller,
        company: &Company,
        person: &Person,
        username: &Username,
    ) -> Result<(), DemoError> {
        let edit = UserEdit {
            display_name: Some(Some(person.display_name.clone())),
            emails: Some(vec![self.email(person)]),
            unit: Some(Some(company.unit(&person.unit)?)),
            ..UserEdit::default()
        };
        self.authority.edit_user(boss, &self.realm, username, edit, None).await?;
        self.belong(boss, company, person, username).await
    }

    fn email(&self, person: &Person) -> String {
        format!("{}@{}", person.username, self.organisation.domain)
    }

    async fn belong(
        &self,
        boss: &Caller,
        company: &Company,
        person: &Person,
        username: &Username,
    ) -> Result<(), DemoError> {
        for group in &person.groups {
            let group = GroupName::parse(group)?;
            self.authority.set_group_member(boss, &self.realm, &group, username, true).await?;
        }
        let told = self.organisation.person.iter().find(|one| one.username == person.username);
        for role in told.iter().flat_map(|one| &one.roles) {
            let draft = grant(role, username, company)?;
            self.authority.create_grant(boss, &self.realm, draft).await?;
        }
        Ok(())
    }
}

/// The role of a name.
pub(super) fn role(name: &str) -> Result<Role, DemoError> {
    Role::from_name(name).ok_or_else(|| DemoError::Missing(format!("role {name}")))
}

fn grant(told: &RoleOf, username: &Username, company: &Company) -> Result<GrantDraft, DemoError> {
    let unit = match &told.unit {
        Some(unit) => Some(company.unit(unit)?),
        None => None,
    };
    let service = match &told.service {
        Some(label) => Some(ServiceLabel::parse(label)?),
        None => None,
    };
    Ok(GrantDraft {
        subject: GrantSubject::User(username.clone()),
        role: role(&told.role)?,
        unit,
        service,
        limits: Limits::default(),
    })
}
