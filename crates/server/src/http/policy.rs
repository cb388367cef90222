//! Token policies and forward-auth settings on the wire: how they are merged, and their schemas.

use counterfoil_authority::policy::TokenPolicy;
use counterfoil_authority::service::ForwardAuth;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::wire::{DoorList, NetworkList, ScopeList};

/// Limits on tokens. Absent or `null` restricts nothing at its level; a service inherits what
/// it does not state from its realm, and may only tighten it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TokenPolicy)]
pub struct PolicyBody {
    /// Whether tokens may be issued and used at all.
    enabled: Option<bool>,
    /// The form of generated service tokens.
    form: Option<FormBody>,
    /// Characters, for forms that have a choice.
    length: Option<u32>,
    /// Who makes the secret.
    source: Option<SourceBody>,
    /// Bounds of a self-selected secret.
    self_select: Option<SelfSelectBody>,
    /// Life of a token that names no end.
    #[schema(minimum = 1, maximum = 3_162_240_000_i64)]
    default_lifetime_seconds: Option<i64>,
    /// Longest life.
    #[schema(minimum = 1, maximum = 3_162_240_000_i64)]
    max_lifetime_seconds: Option<i64>,
    /// Whether a token without end is refused.
    must_expire: Option<bool>,
    /// Active tokens of a kind per person and service at most; of a realm, also for all services
    /// together.
    max_active_per_user: Option<u32>,
    /// What happens at that limit.
    at_limit: Option<AtLimitBody>,
    /// Whether the holder may rotate the token.
    self_rotate: Option<bool>,
    /// Whether the holder may derive narrower tokens.
    self_derive: Option<bool>,
    /// How long a former secret works after a rotation.
    #[schema(minimum = 0, maximum = 3_162_240_000_i64)]
    rotation_overlap_seconds: Option<i64>,
    /// Scopes on offer.
    #[schema(value_type = Option<ScopeList>)]
    scopes: Option<Vec<String>>,
    /// Networks that tokens may be used from.
    #[schema(value_type = Option<NetworkList>)]
    networks: Option<Vec<String>>,
    /// Doors that tokens may be presented at.
    #[schema(value_type = Option<DoorList>)]
    doors: Option<Vec<String>>,
    /// Who may issue: `self`, `administrators`, `group:<name>`.
    issue_by: Option<Vec<String>>,
    /// Directory hash schemes to derive at issue.
    hash_schemes: Option<Vec<String>>,
    /// A token unused for this long becomes inactive.
    #[schema(minimum = 3_600, maximum = 3_162_240_000_i64)]
    idle_expiry_seconds: Option<i64>,
    /// Lifetimes that people are offered to choose from.
    #[schema(min_items = 1, max_items = 12)]
    lifetime_presets_seconds: Option<Vec<i64>>,
    /// Whether a new token waits for approval.
    approval: Option<bool>,
    /// Whether a person who issues for somebody else is shown the secret instead of a link.
    show_to_issuer: Option<bool>,
    /// Schemes of other systems whose hashes were taken over.
    imported_schemes: Option<Vec<ImportedSchemeBody>>,
    /// What becomes of a token that somebody has found in public; revoked unless stated.
    on_leak: Option<OnLeakBody>,
    /// Which uses of a token raise an alarm.
    alarms: Option<AlarmsBody>,
    /// Short refusals before the end of a token.
    brownout: Option<BrownoutBody>,
}

/// Short refusals before the end of a token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TokenBrownout)]
pub struct BrownoutBody {
    /// In so many last days of a token.
    #[schema(minimum = 1, maximum = 30)]
    days: u32,
    /// The first one at the beginning of these days, and then every so many hours.
    #[schema(minimum = 1, maximum = 168)]
    every_hours: u32,
    /// For so many seconds, half of the time between two at most.
    #[schema(minimum = 1)]
    seconds: u32,
}

/// Which uses of a token raise an alarm; a /24 is a network, and of IPv6 a /48.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TokenAlarms)]
pub struct AlarmsBody {
    /// Whether the first use from a network does, once the token was used from another one.
    new_network: Option<bool>,
    /// Uses from more networks than so many within a day do.
    #[schema(minimum = 1, maximum = 32)]
    networks_max: Option<u32>,
    /// Alarms that lock the token.
    lock_on: Option<Vec<LockOnBody>>,
}

/// Declares the words of a field, for the document alone.
macro_rules! words {
    ($($(#[$meta:meta])* $name:ident as $shown:ident in $case:tt { $($word:ident),* })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Serialize, ToSchema)]
        #[schema(as = $shown)]
        #[serde(rename_all = $case)]
        #[expect(dead_code, reason = "only describes the words")]
        enum $name { $($word),* }
    )*};
}

words! {
    /// 24 characters in groups, the `cfl` form, COmanage's short forms.
    FormBody as SecretForm in "lowercase" { Grouped, Prefixed, Plain15, Plain08, Ag }
    /// Made here, chosen by the person, or handed in by another system.
    SourceBody as SecretSource in "snake_case" { Generated, SelfSelect, External }
    /// Hashes of other systems: of directories, of `crypt(3)`, Argon2, PBKDF2; SHA-256 of long
    /// keys; and our own hash of what was upgraded or came in clear.
    ImportedSchemeBody as ImportedScheme in "lowercase" {
        Ssha, Bcrypt, Sha, Ssha256, Ssha512, Md5Crypt, Sha256Crypt, Sha512Crypt, Argon2, Pbkdf2,
        Sha256, Own
    }
    /// A first use from a network, uses from too many, a secret that was replaced, a one-time link
    /// that was opened before, a draw from what was taken.
    LockOnBody as LockOn in "snake_case" {
        NewNetwork, ManyNetworks, RetiredSecret, LinkReopened, CountExceeded
    }
    /// Refuse the new token, or revoke the oldest one.
    AtLimitBody as AtLimit in "snake_case" { Refuse, ReplaceOldest }
    /// Tell of it, lock it besides, or revoke it.
    OnLeakBody as OnLeak in "lowercase" { Notify, Lock, Revoke }
    /// The request itself, `X-Original-*` headers, or `X-Forwarded-*` headers.
    OriginBody as Origin in "kebab-case" { Subpath, XOriginal, XForwarded }
}

/// Length bounds, in characters.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SelfSelect)]
pub struct SelfSelectBody {
    /// At least.
    min: u32,
    /// At most.
    max: u32,
}

/// What a forward-auth request needs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ForwardAuth)]
pub struct ForwardAuthBody {
    /// Scopes that every request needs.
    #[schema(required = false)]
    required_scopes: Vec<String>,
    /// Where method and path are read from.
    #[schema(required = false)]
    origin: OriginBody,
    /// Scopes that some requests need besides; a rule can only add.
    #[schema(required = false)]
    rules: Vec<ForwardAuthRuleBody>,
}

/// A rule of forward-auth.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ForwardAuthRule)]
pub struct ForwardAuthRuleBody {
    /// HTTP methods in upper case; empty: all.
    #[schema(required = false)]
    methods: Vec<String>,
    /// The path with its escapes decoded, exact, or a prefix when it ends with `*`.
    #[schema(example = "/push/*")]
    path: String,
    /// The scopes it adds.
    scopes: Vec<String>,
}

/// An object to merge into a policy, known to fit one.
#[derive(Debug)]
pub struct PolicyPatch(pub Map<String, Value>);

/// An object to merge into forward-auth settings, known to fit some.
#[derive(Debug)]
pub struct ForwardAuthPatch(pub Map<String, Value>);

impl<'de> Deserialize<'de> for PolicyPatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fitting::<TokenPolicy, D>(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for ForwardAuthPatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fitting::<ForwardAuth, D>(deserializer).map(Self)
    }
}

/// An object that `T` can be read from once its `null`s, which clear, are left out.
pub(super) fn fitting<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Map<String, Value>, D::Error> {
    let patch = Map::<String, Value>::deserialize(deserializer)?;
    let stated = patch.iter().filter(|(_, value)| !value.is_null());
    let stated: Map<String, Value> = stated.map(|(k, v)| (k.clone(), v.clone())).collect();
    match serde_path_to_error::deserialize::<_, T>(Value::Object(stated)) {
        Ok(_) => {}
        Err(error) => {
            let problem = super::body::describe(&error.path().to_string(), error.inner());
            return Err(D::Error::custom(problem.detail()));
        }
    }
    let unknown = |name: &&String| !is_field::<T>(name);
    match patch.keys().find(unknown) {
        Some(_) => Err(D::Error::custom("names a field that is not known here")),
        None => Ok(patch),
    }
}

/// Whether `T` has a field of that name: only then an object with just that field, set to a
/// value of no field's type, fails for its type and not for its name.
fn is_field<T: DeserializeOwned>(name: &str) -> bool {
    let probe = Value::Object(std::iter::once((name.to_owned(), Value::Null)).collect());
    match serde_json::from_value::<T>(probe) {
        Ok(_) => true,
        Err(error) => !error.to_string().starts_with("unknown field"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_may_clear_known_fields_and_name_no_others() {
        let read =
            |text: &str| serde_json::from_str::<PolicyPatch>(text).map(|patch| patch.0.len());
        assert_eq!(read(r#"{"must_expire":null,"enabled":true}"#).unwrap(), 2);
        assert!(read(r#"{"colour":null}"#).is_err());
        assert!(read(r#"{"colour":1}"#).is_err());
        assert!(read(r#"{"enabled":"yes"}"#).is_err());
        let rules = r#"{"rules":[{"path":"/x","scopes":[]}],"origin":null}"#;
        assert_eq!(serde_json::from_str::<ForwardAuthPatch>(rules).unwrap().0.len(), 2);
    }
}
