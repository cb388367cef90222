//! Right-sizing: what a token was given, what of that was used, and what it could do without.
//!
//! Nothing is proposed on a guess. A grant is called unused only if its use would have been seen
//! since the first of the days that are looked at, and a token that was used keeps at least one
//! grant of each sort that it was limited to.

use std::fmt::Display;

use ipnet::IpNet;

use crate::clock::Timestamp;
use crate::kind::Kind;
use crate::names::COUNTERFOIL;
use crate::scope::{ApiScope, ApiScopes, Scope, any_covers};
use crate::store::{Aspect, KnownUse, day_of};
use crate::token::Token;
use crate::verdict::Door;

/// Days that are looked at unless somebody says otherwise: all that are known.
pub const FIT_DAYS_DEFAULT: u32 = 90;
/// Days that are looked at at least: what is done once a week is in use.
pub const FIT_DAYS_MIN: u32 = 7;
/// Days that are looked at at most: as many as are known.
pub const FIT_DAYS_MAX: u32 = 90;
/// Scopes that take the place of a pattern at most: longer lists are nobody's to read.
const INSTEAD_MAX: usize = 8;

/// Why nothing is proposed about a sort of grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// There are none: it has no scope, or is good from every network or at every door.
    Unlimited,
    /// It does not use them itself: what they are for is handed on, or stands in a client's roles.
    NotItsOwn,
    /// It has been good for fewer days than are looked at, or has been given them since.
    Young,
    /// What tokens are used for has been watched for fewer days.
    NotWatched,
    /// It was not used at all: revoke it, or let its policy end what is idle.
    Idle,
    /// Somebody used it without naming a scope, and nobody can say which one they needed.
    Unasked,
    /// It was asked for more different scopes than are kept.
    TooMany,
    /// All of them were used.
    Fits,
}

impl Kept {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unlimited => "unlimited",
            Self::NotItsOwn => "not_its_own",
            Self::Young => "young",
            Self::NotWatched => "not_watched",
            Self::Idle => "idle",
            Self::Unasked => "unasked",
            Self::TooMany => "too_many",
            Self::Fits => "fits",
        }
    }
}

/// What is to be said of one sort of grants.
#[derive(Debug, Clone, PartialEq)]
pub struct Part<T> {
    /// What it has.
    pub granted: Vec<T>,
    /// Of these, what was used.
    pub used: Vec<T>,
    /// Of these, what was not used, and could have been all the time. Empty where nobody can say.
    pub unused: Vec<T>,
    /// Of these, what it has had for fewer days than are looked at.
    pub young: Vec<T>,
    /// Used ones that are wider than what was asked for, with what would do in their place.
    pub wide: Vec<(T, Vec<T>)>,
    /// What was used since and is granted no more.
    pub beyond: Vec<String>,
    /// The list that would do, or why there is none.
    pub proposed: Result<Vec<T>, Kept>,
}

/// What a token could do without.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// So many days are looked at, and today.
    pub days: u32,
    /// The first of them, in days since 1970-01-01, UTC.
    pub from: i64,
    /// Since when its use would have been seen; `None`: not at all so far.
    pub watched_since: Option<Timestamp>,
    /// Whether it was not used on any of these days, and that is known.
    pub is_idle: bool,
    /// Its scopes.
    pub scopes: Part<Scope>,
    /// The networks it may be used from.
    pub networks: Part<IpNet>,
    /// The doors it may be presented at.
    pub doors: Part<Door>,
}

impl Fit {
    /// Whether anything is proposed.
    pub const fn has_proposal(&self) -> bool {
        self.scopes.proposed.is_ok()
            || self.networks.proposed.is_ok()
            || self.doors.proposed.is_ok()
    }
}

/// What is common to all sorts of grants of one token.
struct Seen<'a> {
    token: &'a Token,
    known: &'a [KnownUse],
    from: i64,
    /// Why nothing can be said of any of them.
    nothing: Option<Kept>,
}

/// Judges a token by what is known of it since the first day that is looked at; `watched`: since
/// when uses are noted without a gap.
pub fn fit(
    token: &Token,
    known: &[KnownUse],
    watched: Option<Timestamp>,
    days: u32,
    now: Timestamp,
) -> Fit {
    let days = days.clamp(FIT_DAYS_MIN, FIT_DAYS_MAX);
    let from = day_of(now) - i64::from(days);
    let known: Vec<KnownUse> =
        known.iter().filter(|row| row.token == token.id && row.day >= from).cloned().collect();
    let good_since = good_since(token);
    // Of the day on which the watch began only a part was seen.
    let is_watched = watched.is_some_and(|since| day_of(since) < from);
    let is_used = known.iter().any(|row| row.aspect == Aspect::Door);
    // Counted, but not noted: it was used, and nobody can say for what.
    let is_counted = token.usage.last_at.is_some_and(|last| day_of(last) >= from);
    let nothing = if token.kind == Kind::RegistrationToken {
        Some(Kept::NotItsOwn)
    } else if day_of(good_since) > from {
        Some(Kept::Young)
    } else if !is_watched || (is_counted && !is_used) {
        Some(Kept::NotWatched)
    } else if !is_used {
        Some(Kept::Idle)
    } else {
        None
    };
    let seen = Seen { token, known: &known, from, nothing };
    Fit {
        days,
        from,
        watched_since: watched.map(|since| since.max(good_since)),
        is_idle: nothing == Some(Kept::Idle),
        scopes: of_scopes(&seen),
        networks: seen.each(&token.networks, [Aspect::Network, Aspect::GivenNetwork]),
        doors: of_doors(&seen),
    }
}

/// From when on it could be used.
fn good_since(token: &Token) -> Timestamp {
    let begins = token.created_at.max(token.validity.not_before());
    token.activated_at.map_or(begins, |activated| begins.max(activated))
}

impl Seen<'_> {
    fn rows(&self, aspect: Aspect) -> impl Iterator<Item = &str> {
        self.known.iter().filter(move |row| row.aspect == aspect).map(|row| &*row.what)
    }

    fn has(&self, aspect: Aspect, what: &str) -> bool {
        self.rows(aspect).any(|known| known == what)
    }

    /// What an edit gave it on one of the days that are looked at.
    fn young<T: Display + Clone>(&self, granted: &[T], aspect: Aspect) -> Vec<T> {
        let is_young = |grant: &&T| {
            let what = grant.to_string();
            self.known
                .iter()
                .any(|row| row.aspect == aspect && row.what == what && row.day > self.from)
        };
        granted.iter().filter(is_young).cloned().collect()
    }

    /// A sort of grants each of which is used or not by itself.
    fn each<T: Display + Clone + PartialEq>(
        &self,
        granted: &[T],
        [use_of, given]: [Aspect; 2],
    ) -> Part<T> {
        let is_used = |grant: &T| self.has(use_of, &grant.to_string());
        let used: Vec<T> = granted.iter().filter(|grant| is_used(grant)).cloned().collect();
        let young = self.young(granted, given);
        let rest = granted.iter().filter(|grant| !used.contains(grant) && !young.contains(grant));
        let unused: Vec<T> = rest.cloned().collect();
        let names: Vec<String> = granted.iter().map(ToString::to_string).collect();
        let beyond = self.rows(use_of).filter(|what| !names.iter().any(|name| name == what));
        // Where there is no limit, nothing is beyond it.
        let beyond = beyond.filter(|_| !granted.is_empty()).map(ToOwned::to_owned).collect();
        let left: Vec<T> =
            granted.iter().filter(|grant| !unused.contains(grant)).cloned().collect();
        let keep = if granted.is_empty() { Some(Kept::Unlimited) } else { self.nothing };
        // An empty list would be no limit at all, or the end of the token.
        let keep = keep.or(left.is_empty().then_some(Kept::NotWatched));
        let part = Part {
            granted: granted.to_vec(),
            used,
            unused,
            young,
            wide: Vec::new(),
            beyond,
            proposed: Ok(left),
        };
        part.or(keep)
    }
}

impl<T: PartialEq> Part<T> {
    /// The same, with why nothing is proposed, if so.
    fn or(mut self, keep: Option<Kept>) -> Self {
        if let Some(keep) = keep {
            self.unused.clear();
            self.wide.clear();
            self.proposed = Err(keep);
        } else if self.proposed.as_ref() == Ok(&self.granted) {
            let all_young = self.used.is_empty() && !self.young.is_empty();
            self.proposed = Err(if all_young { Kept::Young } else { Kept::Fits });
        }
        self
    }
}

/// A door as it is written.
#[derive(Clone, PartialEq)]
struct Named(Door);

impl Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name())
    }
}

fn of_doors(seen: &Seen<'_>) -> Part<Door> {
    let granted: Vec<Named> = seen.token.doors.iter().flatten().map(|door| Named(*door)).collect();
    let part = seen.each(&granted, [Aspect::Door, Aspect::GivenDoor]);
    let doors = |list: Vec<Named>| list.into_iter().map(|Named(door)| door).collect::<Vec<_>>();
    Part {
        granted: doors(part.granted),
        used: doors(part.used),
        unused: doors(part.unused),
        young: doors(part.young),
        wide: Vec::new(),
        beyond: part.beyond,
        proposed: part.proposed.map(doors),
    }
}

fn of_scopes(seen: &Seen<'_>) -> Part<Scope> {
    let token = seen.token;
    let exact = token.services.includes(COUNTERFOIL);
    let asked: Vec<Scope> =
        seen.rows(Aspect::Scope).filter_map(|what| Scope::parse(what).ok()).collect();
    let is_used = |grant: &Scope| asked.iter().any(|one| covers(grant, one, exact));
    let granted = token.scopes.clone();
    let used: Vec<Scope> = granted.iter().filter(|grant| is_used(grant)).cloned().collect();
    let young = seen.young(&granted, Aspect::GivenScope);
    let rest = granted.iter().filter(|grant| !used.contains(grant) && !young.contains(grant));
    let unused: Vec<Scope> = rest.cloned().collect();
    let beyond = asked.iter().filter(|one| !is_covered(&granted, one, exact));
    let beyond = beyond.map(ToString::to_string).collect();
    let mut left: Vec<Scope> =
        granted.iter().filter(|grant| !unused.contains(grant)).cloned().collect();
    // Elsewhere a word of the API is another word, which another one does not imply.
    let wide = if exact && token.service_labels() != [COUNTERFOIL] {
        Vec::new()
    } else {
        narrower(&mut left, &asked, &young, exact)
    };
    let keep = if granted.is_empty() {
        Some(Kept::Unlimited)
    } else if token.kind == Kind::ClientKey {
        // What a key may do stands in its client's roles.
        Some(Kept::NotItsOwn)
    } else if seen.nothing.is_some() {
        seen.nothing
    } else if seen.rows(Aspect::Unasked).next().is_some() {
        Some(Kept::Unasked)
    } else if seen.rows(Aspect::ManyScopes).next().is_some() {
        Some(Kept::TooMany)
    } else {
        // Its uses tell nobody its scopes, as binds do; what they are for is not known here.
        left.is_empty().then_some(Kept::Unasked)
    };
    Part { granted, used, unused, young, wide, beyond, proposed: Ok(left) }.or(keep)
}

/// Whether a grant lets somebody do what was asked for. In the API writing implies reading.
fn covers(grant: &Scope, one: &Scope, exact: bool) -> bool {
    let implied = |one| ApiScopes::from_names([grant.as_str()]).contains(one);
    any_covers(std::slice::from_ref(grant), one, exact)
        || (exact && ApiScope::from_name(one.as_str()).is_some_and(implied))
}

fn is_covered(grants: &[Scope], one: &Scope, exact: bool) -> bool {
    grants.iter().any(|grant| covers(grant, one, exact))
}

/// Replaces scopes in the list that are wider than what was asked for by what was, or by nothing
/// where others of the list cover that as well; says which, the widest first.
fn narrower(
    left: &mut Vec<Scope>,
    asked: &[Scope],
    young: &[Scope],
    exact: bool,
) -> Vec<(Scope, Vec<Scope>)> {
    let mut candidates: Vec<Scope> =
        left.iter().filter(|one| !asked.contains(one) && !young.contains(one)).cloned().collect();
    let under = |one: &Scope| left.iter().filter(|other| covers(one, other, exact)).count();
    candidates.sort_by_key(|one| std::cmp::Reverse(under(one)));
    let mut replaced = Vec::new();
    for wide in candidates {
        let others: Vec<Scope> = left.iter().filter(|one| **one != wide).cloned().collect();
        let needed = asked.iter().filter(|one| covers(&wide, one, exact));
        let needed: Vec<Scope> =
            needed.filter(|one| !is_covered(&others, one, exact)).cloned().collect();
        if needed.len() > INSTEAD_MAX {
            continue;
        }
        let Some(place) = left.iter().position(|one| *one == wide) else { continue };
        left.splice(place..=place, needed.iter().cloned());
        replaced.push((wide, needed));
    }
    replaced
}

#[cfg(test)]
mod tests;
