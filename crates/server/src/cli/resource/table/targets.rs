//! Targets of provisioning, as the command line has them.

use super::{Resource, Verb, column, field, text};
use crate::cli::print::Column;
use crate::cli::resource::fields::{Field, On, Sort};

/// Kinds of targets.
const KINDS: &[&str] = &["ldap", "entry", "profile_attribute", "webhook", "mail"];
/// When a target is brought up to date.
const MODES: &[&str] =
    &["automatic", "enrollment", "manual", "queue", "queue_on_error", "disabled"];
/// Schemes of hashes.
const SCHEMES: &[&str] = &[
    "SSHA",
    "SSHA512",
    "CRYPT-SHA512",
    "CRYPT-BCRYPT",
    "ARGON2",
    "PBKDF2-SHA256",
    "PBKDF2-SHA512",
];

/// Columns of what a test has found.
pub(crate) const FINDINGS: &[Column] =
    &[column("CHECK", "check"), column("HOW", "severity"), column("WHAT", "detail")];

const fn secret(flag: &'static str, json: &'static str, help: &'static str) -> Field {
    Field { flag, json, value: "FILE", sort: Sort::Secret, required: false, on: On::Both, help }
}

/// The resource.
pub(super) const TARGET: Resource = Resource {
    name: "target",
    about: "Directories and programs that are brought up to date",
    one: "a target",
    many: "targets",
    path: "targets",
    key: "name",
    placeholder: "NAME",
    key_help: "Its name",
    unnamed: false,
    verbs: &[Verb::List, Verb::Show, Verb::Create, Verb::Update, Verb::Delete, Verb::Test],
    fields: &[
        field("kind", "kind", "KIND", Sort::Choice(KINDS), "What it is, when it is set up"),
        text("address", "url", "Where it is: ldap://, ldaps:// or https://; of mail nothing"),
        field("start-tls", "start_tls", "true|false", Sort::Flag, "Whether ldap:// becomes TLS"),
        text("trusted-ca", "ca_file", "Certificates to trust, a file on the server"),
        text("bind-dn", "bind_dn", "As whom to bind"),
        secret("bind-password", "bind_password", "File with its password, or `-`"),
        secret("signing-key", "signing_key", "File with a webhook's key, or `-`"),
        text("base-dn", "base_dn", "Where people are found"),
        text("person-filter", "person_filter", "How: (uid={username}) unless given"),
        text("attribute", "attribute", "voPersonApplicationPassword unless given"),
        field("scheme", "schemes", "SCHEME", Sort::Choices(SCHEMES), "A scheme of its hashes"),
        field("service", "services", "LABEL", Sort::List, "A service that it is for"),
        text("dn", "dn", "An entry's distinguished name, a template"),
        field("object-class", "object_classes", "NAME", Sort::List, "An entry's object class"),
        field("attributes", "attributes", "JSON", Sort::Json, "An entry's attributes"),
        field("event", "events", "EVENT", Sort::List, "A kind of event for a webhook or mail"),
        field("templates", "templates", "JSON", Sort::Json, "The realm's own letters"),
        field("mode", "mode", "MODE", Sort::Choice(MODES), "When it is brought up to date"),
        field("order", "order", "N", Sort::Number, "Its place among the targets"),
    ],
    filters: &[],
    columns: &[
        column("NAME", "name"),
        column("KIND", "kind"),
        column("URL", "url"),
        column("SERVICES", "services"),
        column("MODE", "mode"),
        column("ORDER", "order"),
    ],
};
