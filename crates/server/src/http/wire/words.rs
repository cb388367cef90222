//! Words and lists on the wire: each has its limits where it is read, and its schema beside them,
//! so that the OpenAPI document cannot promise something else.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;

use counterfoil_authority::event::Outcome;
use counterfoil_authority::kind::{KINDS, Kind};
use counterfoil_authority::names::{
    ClientName, GroupName, RealmName, RepositoryName, ServiceLabel, TargetName, Username,
};
use counterfoil_authority::provision::scheme::{SCHEMES, Scheme};
use counterfoil_authority::provision::{
    DELIVERY_STATES, DeliveryState, TARGET_KINDS, TARGET_MODES, TargetKind, TargetMode,
};
use counterfoil_authority::scope::{API_SCOPES, ApiScope, Scope};
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::service::{ServiceStatus, Visibility};
use counterfoil_authority::subject::{ROLES, Role, UserStatus};
pub use counterfoil_authority::text::{EMAIL_CHARS_MAX, SHORT_CHARS_MAX};
use counterfoil_authority::text::{check_email, check_plain, check_readable};
use counterfoil_authority::token::{STATES, State};
use counterfoil_authority::verdict::{DOORS, Door};
use ipnet::IpNet;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{Object, RefOr};
use utoipa::{PartialSchema, ToSchema};

/// Characters of a description at most: some paragraphs.
pub const LONG_CHARS_MAX: usize = 4000;
/// Characters of an address on the web at most: what browsers and proxies agree on.
pub const URL_CHARS_MAX: usize = 2048;
/// Entries of a list in a record at most: it is held in memory with the record.
pub const LIST_LEN_MAX: usize = 100;
/// Bytes of free attributes of a person at most.
pub const ATTRIBUTES_BYTES_MAX: usize = 16 * 1024;

/// Something that is one string on the wire.
pub trait Word: Sized {
    /// Its name among the schemas.
    const NAME: &'static str;

    /// Reads it. The error says what was expected and never repeats the text.
    fn read(text: &str) -> Result<Self, String>;

    /// Narrows the schema, which is a string already.
    fn narrow(object: ObjectBuilder) -> ObjectBuilder;
}

/// A word, read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Parsed<T>(pub T);

impl<'de, T: Word> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);
        impl<T: Word> Visitor<'_> for Reader<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
                T::read(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Reader(PhantomData)).map(Self)
    }
}

impl<T: Word> PartialSchema for Parsed<T> {
    fn schema() -> RefOr<Schema> {
        let string = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
        RefOr::T(Schema::Object(T::narrow(string).build()))
    }
}

impl<T: Word> ToSchema for Parsed<T> {
    fn name() -> std::borrow::Cow<'static, str> {
        T::NAME.into()
    }
}

/// Declares names of the domain as words.
macro_rules! names {
    ($($type:ty, $name:literal, $max:expr, $pattern:expr;)*) => {$(
        impl Word for $type {
            const NAME: &'static str = $name;

            fn read(text: &str) -> Result<Self, String> {
                Self::parse(text).map_err(|bad| bad.to_string())
            }

            fn narrow(object: ObjectBuilder) -> ObjectBuilder {
                let pattern: Option<&str> = $pattern;
                object.min_length(Some(1)).max_length(Some($max)).pattern(pattern)
            }
        }
    )*};
}

names! {
    RealmName, "RealmName", 63, Some("^[a-z0-9][a-z0-9-]*$");
    ServiceLabel, "ServiceLabel", 63, Some("^[a-z0-9][a-z0-9._-]*$");
    ClientName, "ClientName", 63, Some("^[a-z0-9][a-z0-9._-]*$");
    TargetName, "TargetName", 63, Some("^[a-z0-9][a-z0-9._-]*$");
    Username, "Username", 128, None;
    GroupName, "GroupName", 128, None;
    RepositoryName, "RepositoryName", 22, Some("^[A-Za-z0-9_]+$");
    Scope, "Scope", 128, Some(r"^[!#-\[\]-~]+$");
}

/// Declares enumerations of the domain as words.
macro_rules! enumerations {
    ($($type:ty, $name:literal, $all:expr;)*) => {$(
        impl Word for $type {
            const NAME: &'static str = $name;

            fn read(text: &str) -> Result<Self, String> {
                Self::from_name(text).ok_or_else(|| {
                    let names: Vec<&str> = $all.iter().map(|one| one.name()).collect();
                    format!("expected one of {}", names.join(", "))
                })
            }

            fn narrow(object: ObjectBuilder) -> ObjectBuilder {
                object.enum_values(Some($all.iter().map(|one| one.name()).collect::<Vec<_>>()))
            }
        }
    )*};
}

enumerations! {
    Kind, "Kind", KINDS;
    Role, "Role", ROLES;
    ApiScope, "ApiScope", API_SCOPES;
    State, "State", STATES;
    Door, "Door", DOORS;
    Outcome, "Outcome", [Outcome::Done, Outcome::Refused];
    UserStatus, "UserStatus", [UserStatus::Active, UserStatus::Suspended, UserStatus::Expired];
    ServiceStatus, "ServiceStatus", [ServiceStatus::Active, ServiceStatus::Suspended];
    TargetKind, "TargetKind", TARGET_KINDS;
    TargetMode, "TargetMode", TARGET_MODES;
    DeliveryState, "DeliveryState", DELIVERY_STATES;
    Scheme, "Scheme", SCHEMES;
    Visibility, "Visibility", [
        Visibility::Administrators, Visibility::Group, Visibility::Realm, Visibility::Public
    ];
}

impl Word for IpNet {
    const NAME: &'static str = "Network";

    fn read(text: &str) -> Result<Self, String> {
        let network = text.parse::<Self>().ok();
        let network = network.or_else(|| text.parse::<IpAddr>().ok().map(Self::from));
        network.map(|n| n.trunc()).ok_or_else(|| "expected a network such as 10.0.0.0/8".to_owned())
    }

    fn narrow(object: ObjectBuilder) -> ObjectBuilder {
        object.description(Some("A CIDR block, or one address."))
    }
}

impl Word for IpAddr {
    const NAME: &'static str = "Address";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "expected an IP address".to_owned())
    }

    fn narrow(object: ObjectBuilder) -> ObjectBuilder {
        object.description(Some("An IPv4 or IPv6 address."))
    }
}

/// Declares texts that are stored: bounded, and without control characters.
macro_rules! texts {
    ($($(#[$meta:meta])* $type:ident, $max:expr, $lines:literal, $check:expr;)*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $type(pub String);

        impl Word for $type {
            const NAME: &'static str = stringify!($type);

            fn read(text: &str) -> Result<Self, String> {
                check_plain(text, $max, $lines)?;
                check_readable(text, $lines)?;
                let check: fn(&str) -> Result<(), String> = $check;
                check(text)?;
                Ok(Self(text.to_owned()))
            }

            fn narrow(object: ObjectBuilder) -> ObjectBuilder {
                object.max_length(Some($max))
            }
        }
    )*};
}

texts! {
    /// One line.
    Line, SHORT_CHARS_MAX, false, |_| Ok(());
    /// One line with something in it.
    Title, SHORT_CHARS_MAX, false, |text| {
        if text.trim().is_empty() { Err("must not be empty".to_owned()) } else { Ok(()) }
    };
    /// Some paragraphs.
    Paragraphs, LONG_CHARS_MAX, true, |_| Ok(());
    /// An address on the web; other schemes would become links that run script.
    WebAddress, URL_CHARS_MAX, false, |text| {
        let web = text.starts_with("https://") || text.starts_with("http://");
        if web { Ok(()) } else { Err("expected an http:// or https:// address".to_owned()) }
    };
    /// An e-mail address.
    Email, EMAIL_CHARS_MAX, false, check_email;
    /// A date, or an RFC 3339 date-time with offset; read in the zone of the realm.
    When, 64, false, |_| Ok(());
}

/// A secret that somebody chose; `Debug` shows nothing of it.
impl Word for ClearSecret {
    const NAME: &'static str = "ChosenSecret";

    fn read(text: &str) -> Result<Self, String> {
        check_plain(text, SHORT_CHARS_MAX, false)?;
        Ok(Self::new(text.to_owned()))
    }

    fn narrow(object: ObjectBuilder) -> ObjectBuilder {
        object.max_length(Some(SHORT_CHARS_MAX))
    }
}

/// At most [`LIST_LEN_MAX`] words.
#[derive(Debug, Clone)]
pub struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Word> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);
        impl<'de, T: Word> Visitor<'de> for Reader<T> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {LIST_LEN_MAX} strings")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(Parsed(item)) = seq.next_element::<Parsed<T>>()? {
                    if items.len() == LIST_LEN_MAX {
                        let why = format!("must have at most {LIST_LEN_MAX} entries");
                        return Err(de::Error::custom(why));
                    }
                    items.push(item);
                }
                Ok(items)
            }
        }
        deserializer.deserialize_seq(Reader(PhantomData)).map(Self)
    }
}

impl<T: Word> PartialSchema for List<T> {
    fn schema() -> RefOr<Schema> {
        let items = <Parsed<T> as PartialSchema>::schema();
        let array = ArrayBuilder::new().items(items).max_items(Some(LIST_LEN_MAX)).build();
        RefOr::T(Schema::Array(array))
    }
}

impl<T: Word> ToSchema for List<T> {
    fn name() -> std::borrow::Cow<'static, str> {
        format!("{}List", T::NAME).into()
    }
}

/// Declares aliases, because the schema derive would otherwise ask schemas of foreign types.
macro_rules! aliases {
    ($($(#[$meta:meta])* $alias:ident = $type:ty;)*) => {$($(#[$meta])* pub type $alias = $type;)*};
}

aliases! {
    /// A realm's name.
    RealmWord = Parsed<RealmName>;
    /// A repository's name.
    RepositoryWord = Parsed<RepositoryName>;
    /// A service's label.
    ServiceWord = Parsed<ServiceLabel>;
    /// A client's name.
    ClientWord = Parsed<ClientName>;
    /// A person's name.
    UserWord = Parsed<Username>;
    /// A group's name.
    GroupWord = Parsed<GroupName>;
    /// Schemes of hashes.
    SchemeWords = List<Scheme>;
    /// A target's name.
    TargetWord = Parsed<TargetName>;
    /// What a target is.
    TargetKindWord = Parsed<TargetKind>;
    /// When a target is brought up to date.
    TargetModeWord = Parsed<TargetMode>;
    /// How a delivery stands.
    DeliveryStateWord = Parsed<DeliveryState>;
    /// A kind of token.
    KindWord = Parsed<Kind>;
    /// A role.
    RoleWord = Parsed<Role>;
    /// A token's state.
    StateWord = Parsed<State>;
    /// How an act ended.
    OutcomeWord = Parsed<Outcome>;
    /// A person's status.
    UserStatusWord = Parsed<UserStatus>;
    /// A service's status.
    ServiceStatusWord = Parsed<ServiceStatus>;
    /// Who sees a service.
    VisibilityWord = Parsed<Visibility>;
    /// One line.
    LineWord = Parsed<Line>;
    /// One line that is not empty.
    TitleWord = Parsed<Title>;
    /// Some paragraphs.
    ParagraphsWord = Parsed<Paragraphs>;
    /// An address on the web.
    WebAddressWord = Parsed<WebAddress>;
    /// A date or time.
    WhenWord = Parsed<When>;
    /// A chosen secret.
    SecretWord = Parsed<ClearSecret>;
    /// Scopes.
    ScopeList = List<Scope>;
    /// Scopes of the API.
    ApiScopeList = List<ApiScope>;
    /// Services.
    ServiceList = List<ServiceLabel>;
    /// Networks.
    NetworkList = List<IpNet>;
    /// Doors.
    DoorList = List<Door>;
    /// Roles.
    RoleList = List<Role>;
    /// E-mail addresses.
    EmailList = List<Email>;
}

/// Names with values: at most [`LIST_LEN_MAX`], each a line.
#[derive(Debug, Clone, Default)]
pub struct Labels(pub BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Labels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let mut labels = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<TitleWord, LineWord>()? {
                    if labels.len() == LIST_LEN_MAX {
                        let why = format!("must have at most {LIST_LEN_MAX} entries");
                        return Err(de::Error::custom(why));
                    }
                    if labels.insert(name.0.0, value.0.0).is_some() {
                        return Err(de::Error::custom("names an entry twice"));
                    }
                }
                Ok(Labels(labels))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

impl PartialSchema for Labels {
    fn schema() -> RefOr<Schema> {
        let value: Object = ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .max_length(Some(SHORT_CHARS_MAX))
            .build();
        let object = ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::Object))
            .additional_properties(Some(Schema::Object(value)))
            .max_properties(Some(LIST_LEN_MAX))
            .build();
        RefOr::T(Schema::Object(object))
    }
}

impl ToSchema for Labels {}
