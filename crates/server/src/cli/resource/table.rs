//! The table of resources: names, fields, filters, columns.

mod targets;

use super::fields::{Field, On, Sort};
use crate::cli::print::Column;

/// What can be done with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Lists them.
    List,
    /// Shows one.
    Show,
    /// Makes one.
    Create,
    /// Changes one.
    Update,
    /// Removes one.
    Delete,
    /// Lists the people of a group.
    Members,
    /// Puts people into a group.
    AddMember,
    /// Takes people out of a group.
    RemoveMember,
    /// Shows what people may ask of it.
    Offer,
    /// Looks whether it can be used.
    Test,
    /// Locks its tokens, also those that are issued later.
    Lock,
    /// Takes that lock away.
    Unlock,
}

impl Verb {
    /// Every verb.
    pub(crate) const ALL: [Self; 12] = [
        Self::List,
        Self::Show,
        Self::Create,
        Self::Update,
        Self::Delete,
        Self::Members,
        Self::AddMember,
        Self::RemoveMember,
        Self::Offer,
        Self::Test,
        Self::Lock,
        Self::Unlock,
    ];

    /// The word on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Show => "show",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Members => "members",
            Self::AddMember => "add",
            Self::RemoveMember => "remove",
            Self::Offer => "offer",
            Self::Test => "test",
            Self::Lock => "lock",
            Self::Unlock => "unlock",
        }
    }
}

/// A sort of record that the API keeps.
#[derive(Debug)]
pub(crate) struct Resource {
    /// The word on the command line.
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) about: &'static str,
    /// One of them.
    pub(crate) one: &'static str,
    /// Several.
    pub(crate) many: &'static str,
    /// Its place below the realm.
    pub(crate) path: &'static str,
    /// The field that names a record.
    pub(crate) key: &'static str,
    /// What stands for it in the help.
    pub(crate) placeholder: &'static str,
    /// What that is.
    pub(crate) key_help: &'static str,
    /// Whether the server names new ones.
    pub(crate) unnamed: bool,
    /// What can be done.
    pub(crate) verbs: &'static [Verb],
    /// Its fields.
    pub(crate) fields: &'static [Field],
    /// Parameters of its list.
    pub(crate) filters: &'static [Field],
    /// Columns of its list.
    pub(crate) columns: &'static [Column],
}

impl Resource {
    /// The line of the help of a verb.
    pub(crate) fn about_of(&self, verb: Verb) -> String {
        let (one, many) = (self.one, self.many);
        match verb {
            Verb::List => format!("List {many}"),
            Verb::Show => format!("Show {one}"),
            Verb::Create => format!("Create {one}"),
            Verb::Update => format!("Change {one}; an empty text clears a field"),
            Verb::Delete => format!("Delete {one}"),
            Verb::Members => format!("List the people of {one}"),
            Verb::AddMember => format!("Put people into {one}"),
            Verb::RemoveMember => format!("Take people out of {one}"),
            Verb::Offer => format!("Show what a person may ask of {one} for a new token"),
            Verb::Test => format!("Look whether {one} can be used, and what to do if not"),
            Verb::Lock => format!("Lock all tokens of {one}, also those that are issued later"),
            Verb::Unlock => format!("Take the lock of {one} away"),
        }
    }
}

/// A field of `create` and `update`.
const fn field(
    flag: &'static str,
    json: &'static str,
    value: &'static str,
    sort: Sort,
    help: &'static str,
) -> Field {
    Field { flag, json, value, sort, required: false, on: On::Both, help }
}

/// A text field of `create` and `update`.
const fn text(flag: &'static str, json: &'static str, help: &'static str) -> Field {
    field(flag, json, "TEXT", Sort::Text, help)
}

/// A field that only `update` takes.
const fn later(field: Field) -> Field {
    Field { on: On::Update, ..field }
}

/// A field that `create` needs.
const fn needed(field: Field) -> Field {
    Field { required: true, ..field }
}

const fn column(title: &'static str, field: &'static str) -> Column {
    Column::new(title, field)
}

const ALL_BUT_MEMBERS: &[Verb] =
    &[Verb::List, Verb::Show, Verb::Create, Verb::Update, Verb::Delete];
const LOCKABLE: &[Verb] =
    &[Verb::List, Verb::Show, Verb::Create, Verb::Update, Verb::Delete, Verb::Lock, Verb::Unlock];
const STATUS: Field = field(
    "status",
    "status",
    "STATUS",
    Sort::Choice(&["active", "suspended", "expired"]),
    "Whether what is theirs counts",
);
const SERVICE_STATUS: Field = field(
    "status",
    "status",
    "STATUS",
    Sort::Choice(&["active", "suspended"]),
    "Whether its tokens count",
);
const ROLES: &[&str] =
    &["operator", "realm-admin", "unit-admin", "service-manager", "verifier", "auditor"];
const UNIT: Field = field("unit", "unit", "ID", Sort::Text, "The unit it belongs to");
const LIMITS: Field = field(
    "limits",
    "limits",
    "JSON",
    Sort::Json,
    r#"Bounds on what may be handed out, {"lifetime_seconds_max":604800}"#,
);
const TOKEN_POLICY: Field = field(
    "token-policy",
    "token_policy",
    "JSON",
    Sort::Merged,
    r#"Limits on its tokens, {"max_lifetime_seconds":2592000}; null clears one, an empty text all"#,
);

/// Every resource, in the order of the help.
pub(crate) use self::targets::FINDINGS;

pub(crate) const RESOURCES: &[Resource] =
    &[USER, GROUP, UNIT_RESOURCE, SERVICE, CLIENT, GRANT, REALM, targets::TARGET];

const USER: Resource = Resource {
    name: "user",
    about: "People",
    one: "a user",
    many: "users",
    path: "users",
    key: "username",
    placeholder: "USERNAME",
    key_help: "Their user name",
    unnamed: false,
    verbs: LOCKABLE,
    fields: &[
        text("display-name", "display_name", "What to call them"),
        field("email", "emails", "ADDRESS", Sort::List, "An address; repeat for more"),
        field("attributes", "attributes", "JSON", Sort::Json, "Free attributes as an object"),
        STATUS,
        UNIT,
    ],
    filters: &[
        STATUS,
        field("group", "group", "NAME", Sort::Text, "Only of this group"),
        field("unit", "unit", "ID", Sort::Text, "Only of this unit"),
        field("prefix", "prefix", "TEXT", Sort::Text, "Only whose name begins like this"),
    ],
    columns: &[
        column("USERNAME", "username"),
        column("NAME", "display_name"),
        column("STATUS", "status"),
        column("EMAILS", "emails"),
        column("GROUPS", "groups"),
    ],
};

const GROUP: Resource = Resource {
    name: "group",
    about: "Groups of people",
    one: "a group",
    many: "groups",
    path: "groups",
    key: "name",
    placeholder: "NAME",
    key_help: "Its name",
    unnamed: false,
    verbs: &[
        Verb::List,
        Verb::Show,
        Verb::Create,
        Verb::Delete,
        Verb::Members,
        Verb::AddMember,
        Verb::RemoveMember,
    ],
    fields: &[text("description", "description", "What it is for")],
    filters: &[],
    columns: &[
        column("NAME", "name"),
        column("MEMBERS", "members"),
        column("DESCRIPTION", "description"),
    ],
};

const UNIT_RESOURCE: Resource = Resource {
    name: "unit",
    about: "Organisational units and customers",
    one: "a unit",
    many: "units",
    path: "units",
    key: "id",
    placeholder: "ID",
    key_help: "Its id",
    unnamed: true,
    verbs: ALL_BUT_MEMBERS,
    fields: &[
        needed(text("name", "name", "Its name")),
        text("identifier", "identifier", "Its identifier as a customer"),
        text("external-id", "external_id", "Its id in another system"),
        field("parent", "parent", "ID", Sort::Text, "The unit above it"),
    ],
    filters: &[],
    columns: &[
        column("ID", "id"),
        column("NAME", "name"),
        column("IDENTIFIER", "identifier"),
        column("PARENT", "parent"),
    ],
};

const SERVICE: Resource = Resource {
    name: "service",
    about: "Services that tokens are good for",
    one: "a service",
    many: "services",
    path: "services",
    key: "label",
    placeholder: "LABEL",
    key_help: "Its short label",
    unnamed: false,
    verbs: &[
        Verb::List,
        Verb::Show,
        Verb::Offer,
        Verb::Create,
        Verb::Update,
        Verb::Delete,
        Verb::Lock,
        Verb::Unlock,
    ],
    fields: &[
        text("name", "name", "What to call it"),
        text("description", "description", "What it is"),
        field("service-url", "url", "URL", Sort::Text, "Where it is"),
        text("contact", "contact", "Whom to ask"),
        field("logo-url", "logo_url", "URL", Sort::Text, "Its picture"),
        field(
            "visibility",
            "visibility",
            "WHO",
            Sort::Choice(&["administrators", "group", "realm", "public"]),
            "Who sees it",
        ),
        field("group", "group", "NAME", Sort::Text, "Only people of this group may use it"),
        field("entitlement-uri", "entitlement_uri", "URI", Sort::Text, "What its users receive"),
        SERVICE_STATUS,
        UNIT,
        TOKEN_POLICY,
        field(
            "forward-auth",
            "forward_auth",
            "JSON",
            Sort::Json,
            r#"What forward-auth requires, {"required_scopes":["read"]}"#,
        ),
    ],
    filters: &[],
    columns: &[
        column("LABEL", "label"),
        column("NAME", "name"),
        column("STATUS", "status"),
        column("GROUP", "group"),
        column("URL", "url"),
    ],
};

const CLIENT: Resource = Resource {
    name: "client",
    about: "Machine clients and their keys",
    one: "a client",
    many: "clients",
    path: "clients",
    key: "name",
    placeholder: "NAME",
    key_help: "Its name",
    unnamed: false,
    verbs: ALL_BUT_MEMBERS,
    fields: &[
        text("description", "description", "What it is for"),
        field("role", "roles", "ROLE", Sort::Choices(ROLES), "A role; repeat for more"),
        field("scope", "scopes", "SCOPE", Sort::List, "No more than these scopes of its roles"),
        field(
            "service",
            "services",
            "LABEL",
            Sort::List,
            "A service it works for; repeat for more",
        ),
        UNIT,
        LIMITS,
        later(field("enabled", "enabled", "true|false", Sort::Flag, "Whether its keys count")),
    ],
    filters: &[],
    columns: &[
        column("NAME", "name"),
        column("ROLES", "roles"),
        column("SERVICES", "services"),
        column("ENABLED", "enabled"),
        column("DESCRIPTION", "description"),
    ],
};

const GRANT: Resource = Resource {
    name: "grant",
    about: "Roles given to people, clients and groups",
    one: "a grant",
    many: "grants",
    path: "grants",
    key: "id",
    placeholder: "ID",
    key_help: "Its id",
    unnamed: true,
    verbs: &[Verb::List, Verb::Create, Verb::Delete],
    fields: &[
        field("user", "subject.user", "USERNAME", Sort::Text, "A person receives it"),
        field("client", "subject.client", "NAME", Sort::Text, "A client receives it"),
        field("group", "subject.group", "NAME", Sort::Text, "Everybody in a group receives it"),
        needed(field("role", "role", "ROLE", Sort::Choice(ROLES), "The role")),
        field("unit", "unit", "ID", Sort::Text, "Only for this unit"),
        field("service", "service", "LABEL", Sort::Text, "Only for this service"),
        LIMITS,
    ],
    filters: &[],
    columns: &[
        column("ID", "id"),
        column("USER", "subject/user"),
        column("CLIENT", "subject/client"),
        column("GROUP", "subject/group"),
        column("ROLE", "role"),
        column("SERVICE", "service"),
        column("UNIT", "unit"),
    ],
};

const REALM: Resource = Resource {
    name: "realm",
    about: "Realms, which hold everything else",
    one: "a realm",
    many: "realms",
    path: "realms",
    key: "name",
    placeholder: "NAME",
    key_help: "Its name",
    unnamed: false,
    verbs: &[Verb::List, Verb::Show, Verb::Create, Verb::Update],
    fields: &[
        text("display-name", "display_name", "What to call it"),
        later(field(
            "enabled",
            "enabled",
            "true|false",
            Sort::Flag,
            "Whether anything in it counts",
        )),
        field("zone", "zone", "ZONE", Sort::Text, "The time zone of dates without time"),
        TOKEN_POLICY,
    ],
    filters: &[],
    columns: &[
        column("NAME", "name"),
        column("DISPLAY NAME", "display_name"),
        column("ENABLED", "enabled"),
        column("ZONE", "zone"),
    ],
};
