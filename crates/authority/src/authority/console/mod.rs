//! The console's acts: signing in and out, sessions, and the links by which people get a password.
//!
//! Whoever is signed in is a [`Caller`] as any other: every page asks the same acts as the API, and
//! what a person may do there is what their grants say.

mod flow;
mod links;
mod passkeys;
mod proof;
mod session;
mod sign_in;
mod vouched;

use super::Authority;
use crate::caller::Caller;
use crate::console::{ConsoleSession, PasswordFault, SignInLinkEnd};
use crate::passkey::PasskeyFault;
use crate::refusal::Refusal;
use crate::secret::ClearSecret;
use crate::store::Unavailable;

pub use flow::Leaving;
pub use links::{ChosenPassword, UsableLink};
pub use passkeys::{
    FirstPasskey, PasskeyProved, PasskeyRule, PasskeySignIn, PasswordProved, SignInStep,
};
pub use proof::Proofs;
pub use sign_in::SignIn;
pub use vouched::VouchedSignIn;

/// What stands for the service in limits on guessing and in salts. No label has a space.
const CONSOLE: &str = "the console";

/// Somebody who is signed in.
#[derive(Debug)]
pub struct SignedIn {
    /// Who they are and what they may do.
    pub caller: Caller,
    /// The session they came by.
    pub session: ConsoleSession,
}

/// A session that began.
#[derive(Debug)]
pub struct SessionBegun {
    /// What the browser is to hold, shown this once.
    pub secret: ClearSecret,
    /// The session.
    pub session: ConsoleSession,
}

/// Why an act of the console was not done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConsoleRefusal {
    /// Name or password are wrong, or there is no session: nobody learns which.
    #[error("not signed in")]
    Denied,
    /// Somebody else vouches for them, and they may not come in all the same: nobody here has the
    /// name, or somebody has.
    #[error("not admitted")]
    NotAdmitted,
    /// Nothing that was ever a sign-in link.
    #[error("there is no such link")]
    NoLink,
    /// The right link, too late.
    #[error("the link has ended")]
    LinkEnded(SignInLinkEnd),
    /// A password that is not taken.
    #[error(transparent)]
    Password(#[from] PasswordFault),
    /// A passkey that is not taken.
    #[error(transparent)]
    Passkey(#[from] PasskeyFault),
    /// Anything that can come of every act.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl From<Unavailable> for ConsoleRefusal {
    fn from(unavailable: Unavailable) -> Self {
        Self::Refused(unavailable.into())
    }
}

impl From<crate::clock::NoEntropy> for ConsoleRefusal {
    fn from(none: crate::clock::NoEntropy) -> Self {
        Self::Refused(none.into())
    }
}

impl From<crate::keys::KeyNotHere> for ConsoleRefusal {
    fn from(lacking: crate::keys::KeyNotHere) -> Self {
        Unavailable::from(lacking).into()
    }
}
