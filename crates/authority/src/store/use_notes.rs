//! What tokens were used for: through which doors, with which scopes, from which of the networks
//! that they are bound to. Kept by token and day, so that somebody can say what was never needed.

use std::net::IpAddr;

use async_trait::async_trait;
use ipnet::IpNet;

use super::Unavailable;
use crate::clock::Timestamp;
use crate::scope::{Scope, any_covers};
use crate::secret::TokenId;
use crate::token::Token;
use crate::verdict::{DOORS, Door};

/// How many days back it is known what a token was used for: as long as the days of use.
pub const USE_NOTES_KEPT_DAYS: i64 = 90;
/// Different scopes that are kept of one token at most. A token that is asked for more of them is
/// used for nearly everything, and nothing is said about its scopes.
pub const SCOPES_KEPT_MAX: u64 = 64;
/// Tokens above one that a use of it counts for as well.
pub const USE_NOTE_ANCESTORS_MAX: usize = 4;

/// One way in which a token was used on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseNote {
    /// The token. What it was derived from was used by this, too.
    pub token: TokenId,
    /// The day, in days since 1970-01-01, UTC; or the next one, so that the days of tokens end at
    /// different hours.
    pub day: i64,
    /// The door.
    pub door: Door,
    /// The scopes that were asked for.
    pub asked: Vec<Scope>,
    /// Whether somebody was told its scopes, and may have needed others than they named.
    pub unasked: bool,
    /// Where it came from, if the token or one above it is bound to networks, as far as that is
    /// known where it was noted.
    pub address: Option<IpAddr>,
}

/// What a kept row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aspect {
    /// It was used through this door.
    Door,
    /// It was asked for this scope.
    Scope,
    /// It was used through this door by somebody who named no scope.
    Unasked,
    /// It was asked for more scopes than are kept.
    ManyScopes,
    /// It was used from an address in this network, which it was bound to then.
    Network,
    /// An edit gave it this scope.
    GivenScope,
    /// An edit gave it this network.
    GivenNetwork,
    /// An edit gave it this door.
    GivenDoor,
}

/// Every aspect.
const ASPECTS: [Aspect; 8] = [
    Aspect::Door,
    Aspect::Scope,
    Aspect::Unasked,
    Aspect::ManyScopes,
    Aspect::Network,
    Aspect::GivenScope,
    Aspect::GivenNetwork,
    Aspect::GivenDoor,
];

impl Aspect {
    /// Its name in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Door => "door",
            Self::Scope => "scope",
            Self::Unasked => "unasked",
            Self::ManyScopes => "many-scopes",
            Self::Network => "network",
            Self::GivenScope => "given-scope",
            Self::GivenNetwork => "given-network",
            Self::GivenDoor => "given-door",
        }
    }

    /// The aspect of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        ASPECTS.into_iter().find(|aspect| aspect.name() == name)
    }
}

/// One row: that something was so on a day, and perhaps before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KnownUse {
    /// The token.
    pub token: TokenId,
    /// What the row is about.
    pub aspect: Aspect,
    /// Which one.
    pub what: String,
    /// The latest day, in days since 1970-01-01, UTC.
    pub day: i64,
}

/// What is known of the use of some tokens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KnownUses {
    /// Since when uses are noted without a gap; `None`: never so far.
    pub since: Option<Timestamp>,
    /// In the order of the tokens asked for, by aspect and name.
    pub rows: Vec<KnownUse>,
}

/// What an edit was judged by: it is refused if the token was used for anything else since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsUsed {
    /// From this day on.
    pub from: i64,
    /// Aspect and name of every row that was known, in their order.
    pub known: Vec<(Aspect, String)>,
}

impl AsUsed {
    /// Whether what is known now is nothing else; that it was used in the same way once more does
    /// not count.
    pub fn is_met_by(&self, now: &[KnownUse]) -> bool {
        let known = self.known.iter().map(|(aspect, what)| (*aspect, &**what));
        known.eq(now.iter().map(|row| (row.aspect, &*row.what)))
    }
}

/// What an edit gives a token that it did not have. Nobody can have used it before.
pub fn given(before: &Token, after: &Token) -> Vec<(Aspect, String)> {
    let exact = before.services.includes(crate::names::COUNTERFOIL);
    let scopes = after.scopes.iter().filter(|scope| !any_covers(&before.scopes, scope, exact));
    let scopes = scopes.map(|scope| (Aspect::GivenScope, scope.to_string()));
    let networks = after.networks.iter().filter(|network| !before.networks.contains(network));
    let networks = networks.map(|network| (Aspect::GivenNetwork, network.to_string()));
    // Who may use every door was given each of them long ago.
    let known = before.doors.as_deref().unwrap_or(&DOORS);
    let doors = after.doors.as_deref().unwrap_or(&DOORS).iter().filter(|d| !known.contains(d));
    let doors = doors.map(|door| (Aspect::GivenDoor, door.name().to_owned()));
    scopes.chain(networks).chain(doors).collect()
}

/// The rows of one use, of a token that is bound to these networks, without its scopes.
pub fn rows_of(note: &UseNote, networks: &[IpNet]) -> Vec<(Aspect, String)> {
    let mut rows = vec![(Aspect::Door, note.door.name().to_owned())];
    if note.unasked {
        rows.push((Aspect::Unasked, note.door.name().to_owned()));
    }
    if let Some(address) = note.address.map(|address| address.to_canonical()) {
        let inside = networks.iter().filter(|network| network.contains(&address));
        rows.extend(inside.map(|network| (Aspect::Network, network.to_string())));
    }
    rows
}

/// What tokens were used for. Bookkeeping: no verification asks for it.
#[async_trait]
pub trait UseNoteStore {
    /// Notes uses, of their tokens and of all that these were derived from; all or none.
    async fn use_notes_add(&self, notes: Vec<UseNote>) -> Result<(), Unavailable>;
    /// What is known of tokens from a day on.
    async fn use_notes_find(
        &self,
        tokens: Vec<TokenId>,
        from: i64,
    ) -> Result<KnownUses, Unavailable>;
    /// Since when uses are noted without a gap: from `now` on if they never were or if `anew`,
    /// because some could not be kept. The instant only moves on.
    async fn use_notes_since(&self, now: Timestamp, anew: bool) -> Result<Timestamp, Unavailable>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aspect_is_found_by_its_name() {
        for aspect in ASPECTS {
            assert_eq!(Aspect::from_name(aspect.name()), Some(aspect));
        }
        assert_eq!(Aspect::from_name("other"), None);
    }

    #[test]
    fn a_use_counts_for_every_network_that_holds_its_address() {
        let networks: Vec<IpNet> =
            ["10.0.0.0/8", "10.1.0.0/16", "192.0.2.0/24"].map(|n| n.parse().unwrap()).into();
        let note = |address: Option<&str>, asked: &[&str]| UseNote {
            token: TokenId::parse("0123456789AB").unwrap(),
            day: 1,
            door: Door::Api,
            asked: asked.iter().map(|scope| Scope::parse(scope).unwrap()).collect(),
            unasked: asked.is_empty(),
            address: address.map(|address| address.parse().unwrap()),
        };
        let rows = |note: &UseNote| -> Vec<String> {
            let rows = rows_of(note, &networks).into_iter();
            rows.map(|(aspect, what)| format!("{} {what}", aspect.name())).collect()
        };
        let asked = rows(&note(Some("::ffff:10.1.2.3"), &["read"]));
        assert_eq!(asked, ["door api", "network 10.0.0.0/8", "network 10.1.0.0/16"]);
        assert_eq!(rows(&note(None, &[])), ["door api", "unasked api"]);
    }
}
