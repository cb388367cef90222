//! The table of configuration keys: the one place that names, bounds and explains each of them.
//!
//! Reading, errors, the default file, the JSON schema and the reference page all
//! follow from this table, so they cannot disagree.
//!
//! Length: one table, a passage for each key, which is read as a whole.

/// What a key's value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// An address and a port, `127.0.0.1:8780` or `[::1]:8780`.
    Address,
    /// `http://` or `https://` with a host and no query.
    Url,
    /// A list of networks, `10.0.0.0/8`; a bare address is a network of one.
    Networks,
    /// A table from host names to realm names.
    HostRealms,
    /// `true` or `false`.
    Flag,
    /// A whole number within these bounds, both allowed.
    Count {
        /// Smallest value.
        min: u64,
        /// Largest value.
        max: u64,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A path of the file system.
    Path,
    /// `sqlite:PATH` or `postgres://...`.
    Database,
    /// A prefix of token strings.
    Prefix,
    /// A list of such prefixes.
    Prefixes,
    /// A `client_id` that need not be encoded anywhere: RFC 3986's unreserved characters.
    ClientId,
    /// A list of names of HTTP headers.
    Headers,
    /// The name of an HTTP header.
    Header,
    /// A table from groups to roles.
    Roles,
    /// A distinguished name.
    Dn,
    /// A list of distinguished names with `{user}` and `{service}` in them.
    DnTemplates,
    /// A table from networks to names of clients.
    NetworkClients,
    /// The name of a realm.
    Realm,
    /// The label of a service.
    Service,
    /// The name or address of a machine.
    Host,
    /// Whom mail is from or goes to, `Tokens <tokens@example.org>`.
    Mailbox,
    /// One line of text.
    Line,
    /// Text of any number of lines.
    Text,
    /// A secret, or `file:/path` of a file whose first line it is.
    Secret,
    /// A time with its unit: `800ms`, `30s`, `15m`, `12h`, `365d`.
    Duration,
    /// A list of some of these words.
    Words(&'static [&'static str]),
    /// A list of labels of services.
    Labels,
    /// A list of names of realms.
    Realms,
}

/// One configuration key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Sections and name, joined by dots.
    pub path: &'static str,
    /// What values it takes.
    pub sort: Sort,
    /// The default as TOML; `None`: not set.
    pub default: Option<&'static str>,
    /// A value to show where there is no default, as TOML.
    pub example: &'static str,
    /// What it does, in sentences.
    pub doc: &'static str,
}

impl Key {
    pub(super) const fn new(
        path: &'static str,
        sort: Sort,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        Self { path, sort, default: Some(default), example: default, doc }
    }

    pub(super) const fn optional(
        path: &'static str,
        sort: Sort,
        example: &'static str,
        doc: &'static str,
    ) -> Self {
        Self { path, sort, default: None, example, doc }
    }

    /// Whether it stands for keys of many sections: those of each repository.
    pub fn is_pattern(&self) -> bool {
        self.path.contains('*')
    }

    /// The section, `server.tls` of `server.tls.cert`.
    pub fn section(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(section, _)| section)
    }

    /// The name inside its section.
    pub fn name(&self) -> &'static str {
        self.path.rsplit_once('.').map_or(self.path, |(_, name)| name)
    }

    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.path.to_ascii_uppercase().replace('.', "__"))
    }

    /// The key of a path.
    pub fn find(path: &str) -> Option<&'static Self> {
        let pattern = pattern_of(path);
        every_key().find(|key| key.path == pattern)
    }
}

/// The path with a star in place of the names that an operator gives: those of shadows, of
/// repositories, and of their attributes.
pub fn pattern_of(path: &str) -> String {
    let mut parts: Vec<&str> = path.split('.').collect();
    if let [first, name, ..] = parts.as_mut_slice()
        && matches!(*first, "repository" | "shadow")
    {
        *name = "*";
        if *first == "repository"
            && let [_, _, section, attribute, ..] = parts.as_mut_slice()
            && *section == "attributes"
        {
            *attribute = "*";
        }
    }
    parts.join(".")
}

/// How the environment variables of the configuration begin.
pub const PREFIX: &str = "COUNTERFOIL_";

/// What the sections are about, in the order of the default file.
pub const SECTIONS: [(&str, &str); 31] = [
    ("server", "The HTTP listener."),
    ("server.tls", "TLS for the HTTP listener. Both files or neither."),
    ("doors", "What is served. A door that is off answers 404."),
    ("data", "Where everything is kept."),
    ("tokens", "How token strings look, and how they reach people."),
    ("cache", "The memory of verify."),
    ("hashing", "Argon2id, for secrets that people chose or that were imported."),
    ("abuse", "Failed attempts."),
    ("oauth", "Access tokens, and the token endpoint."),
    ("sentinel", "The Sentinel EMS door, /token/api/v5."),
    ("comanage", "The COmanage door, /registry."),
    ("am", "The ForgeRock AM door, /json, /am/json and /openam/json."),
    ("validate", "The privacyIDEA door, /validate/check."),
    ("console", "The console: pages for people."),
    (
        "console.oidc",
        "Single sign-on at the console with an OpenID provider. Its redirect URI is \
         server.public_url with /sign-in/oidc/callback behind it.",
    ),
    (
        "console.proxy",
        "Sign-in at the console by the word of a reverse proxy in front of it. Whoever can send \
         from these networks is whoever they say they are.",
    ),
    ("log", "The log, on standard error."),
    ("metrics", "Prometheus metrics at /metrics."),
    ("telemetry", "Traces of requests, sent to a collector by OpenTelemetry's protocol."),
    ("ldap", "The LDAP door: binds with tokens, and a look at who may use a service."),
    (
        "ldap.tls",
        "TLS for the LDAP listeners. Both files or neither; without them those of server.tls.",
    ),
    ("leaks", "Reports of tokens that somebody has found in public."),
    ("mail", "The mail server that letters to people are handed to. Realms say what is written."),
    ("audit", "The audit logs, and who keeps their checkpoints elsewhere."),
    ("repository", "Repositories of generic tokens. Each has a section with a name of its own."),
    (
        "repository.*",
        "One repository. Its name, 1 to 22 letters, digits and underscores, is the type of its \
         tokens at the Airlock door.",
    ),
    (
        "repository.*.statements",
        "The statements of a custom repository in a database. What there is no statement for is not \
         done.",
    ),
    (
        "repository.*.attributes",
        "Which attributes of its tokens are shown. What is not named here is neither read nor \
         written.",
    ),
    (
        "repository.*.attributes.*",
        "One attribute: serialId, enabled, activationDate, validFrom, validTo, generationDate, \
         firstUsageDate, latestUsageDate, totalUsages, trackingId, data, encoding, deliveryDate, \
         maxUsages, or genericDataElement1 to genericDataElement12. `{}` shows it under its own \
         name.",
    ),
    (
        "shadow",
        "Old systems that are asked beside us while an organisation moves in. Each has a section.",
    ),
    (
        "shadow.*",
        "One old system. Its name is 1 to 22 lower-case letters, digits and underscores. It is \
         told what people present: see docs/guide/shadow.md first.",
    ),
];

pub use super::audit::AUDIT_KEYS;
pub use super::console_keys::CONSOLE_KEYS;
pub use super::repository_keys::REPOSITORY_KEYS;
pub use super::shadow::SHADOW_KEYS;

/// Every key that stands for itself.
pub fn plain_keys() -> impl Iterator<Item = &'static Key> {
    KEYS.iter().chain(CONSOLE_KEYS).chain(AUDIT_KEYS)
}

/// Every key, patterns included.
pub fn every_key() -> impl Iterator<Item = &'static Key> {
    plain_keys().chain(REPOSITORY_KEYS).chain(SHADOW_KEYS)
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Every key, in the order of the default file.
pub const KEYS: &[Key] = &[
    Key::new(
        "server.listen",
        Sort::Address,
        "\"127.0.0.1:8780\"",
        "Where HTTP is served. Port 0 takes a free one and prints it.",
    ),
    Key::optional(
        "server.public_url",
        Sort::Url,
        "\"https://tokens.example.org\"",
        "How people and programs reach this server from outside. Derived from the listener when \
         not set.",
    ),
    Key::new(
        "server.trusted_proxies",
        Sort::Networks,
        "[]",
        "Networks whose X-Forwarded-* and X-Original-* headers are believed. Nobody's by default.",
    ),
    Key::new(
        "server.client_certificate_headers",
        Sort::Headers,
        "[]",
        "Headers in which trusted proxies pass on the certificate of a TLS client (RFC 8705), as \
         percent-encoded PEM or as RFC 9440 has it. The proxy must take them out of what clients \
         send.",
    ),
    Key::new(
        "server.realm_by_host",
        Sort::HostRealms,
        "{}",
        "Which realm a host name stands for, for doors without a realm in their path. Others \
         serve `main`.",
    ),
    Key::new(
        "server.connections_max",
        Sort::Count { min: 1, max: 1_000_000 },
        "4096",
        "Connections at the same time; further ones wait to be accepted. Each one needs a file \
         descriptor.",
    ),
    Key::new(
        "server.connections_per_source_max",
        Sort::Count { min: 1, max: 1_000_000 },
        "1024",
        "Connections at the same time from one address (of IPv6: from one /64); further ones are \
         closed at once. Trusted proxies may have any number, since they speak for many.",
    ),
    Key::new(
        "server.body_bytes_max",
        Sort::Count { min: KIB, max: 64 * MIB },
        "262144",
        "Largest request body, in bytes. Larger ones are refused with 413. Batches may be larger.",
    ),
    Key::new(
        "server.header_bytes_max",
        Sort::Count { min: 8 * KIB, max: MIB },
        "32768",
        "Largest request head, in bytes.",
    ),
    Key::new(
        "server.header_timeout_seconds",
        Sort::Count { min: 1, max: 300 },
        "75",
        "How long a client may take to send a request's head, and how long a connection may stay \
         idle. Longer than the 60 seconds for which nginx keeps idle connections.",
    ),
    Key::new(
        "server.shutdown_seconds",
        Sort::Count { min: 0, max: 600 },
        "10",
        "How long requests may still run after the server was told to stop.",
    ),
    Key::optional(
        "server.tls.cert",
        Sort::Path,
        "\"/etc/counterfoil/tls.crt\"",
        "PEM file with the certificate and its intermediates. Read again when it changes.",
    ),
    Key::optional(
        "server.tls.key",
        Sort::Path,
        "\"/etc/counterfoil/tls.key\"",
        "PEM file with the private key.",
    ),
    Key::new(
        "server.tls.client_certificates",
        Sort::Choice(&["off", "any", "trusted"]),
        "\"off\"",
        "Whether clients are asked for a certificate, to which their tokens are bound then (RFC \
         8705): any that they hold the key of, or those that `client_ca` signed. Nobody needs one.",
    ),
    Key::optional(
        "server.tls.client_ca",
        Sort::Path,
        "\"/etc/counterfoil/clients-ca.crt\"",
        "PEM file with the certificates of those who sign clients' certificates. Read again when \
         the server's own certificate changes.",
    ),
    Key::new("doors.api", Sort::Flag, "true", "The native API, /api/v1."),
    Key::new("doors.airlock", Sort::Flag, "true", "The Airlock IAM door, /auth-admin/rest."),
    Key::new("doors.forward_auth", Sort::Flag, "true", "Forward-auth, /authz/{service}."),
    Key::new(
        "doors.oauth",
        Sort::Flag,
        "true",
        "OAuth 2.0: /realms/{realm}/protocol/openid-connect, /oauth2 and their metadata.",
    ),
    Key::new("doors.ldap", Sort::Flag, "true", "LDAP. When it is off, nothing listens."),
    Key::new("doors.sentinel", Sort::Flag, "true", "The Sentinel EMS door, /token/api/v5."),
    Key::new("doors.comanage", Sort::Flag, "true", "The COmanage door, /registry, to be read."),
    Key::new(
        "doors.am",
        Sort::Flag,
        "true",
        "The ForgeRock AM door, /json, /am/json and /openam/json.",
    ),
    Key::new("doors.validate", Sort::Flag, "true", "The privacyIDEA door, /validate/check."),
    Key::new("doors.scim", Sort::Flag, "true", "SCIM for identity providers, /scim/v2."),
    Key::new(
        "doors.console",
        Sort::Flag,
        "true",
        "The console: /, /sign-in, /setup, /services, /tokens, /account and /admin. Nobody signs in \
         over plain HTTP but on the machine itself.",
    ),
    Key::new(
        "doors.docs",
        Sort::Flag,
        "true",
        "The API's description, /openapi.json and /api/docs.",
    ),
    Key::new(
        "doors.api_key_headers",
        Sort::Headers,
        "[]",
        "Headers besides Authorization in which forward-auth accepts a token, such as X-API-Key.",
    ),
    Key::new(
        "data.dir",
        Sort::Path,
        "\"./counterfoil-data\"",
        "The data directory. Its `keys` directory must be backed up together with the database.",
    ),
    Key::optional(
        "data.database",
        Sort::Database,
        "\"sqlite:/var/lib/counterfoil/counterfoil.db\"",
        "The database; `counterfoil.db` in the data directory when not set. A server is \
         `postgres://USER@HOST/NAME`, with several hosts and the parameters that libpq knows.",
    ),
    Key::new(
        "data.mmap_bytes",
        Sort::Count { min: 0, max: 1 << 42 },
        "0",
        "Bytes of an embedded database that are read through memory mapping, which makes tokens \
         that are not cached cheaper. Where the disk fails under a mapped page, the system ends \
         the server, which otherwise answers 503.",
    ),
    Key::new(
        "tokens.prefix",
        Sort::Prefix,
        "\"cfl\"",
        "How token strings begin. Lets scanners tell installations apart.",
    ),
    Key::new(
        "tokens.retired_prefixes",
        Sort::Prefixes,
        "[]",
        "Former prefixes, whose tokens are still accepted.",
    ),
    Key::new(
        "tokens.link_lifetime_seconds",
        Sort::Count { min: 60, max: 30 * 86_400 },
        "86400",
        "How long a one-time link can be opened. The secret behind it is made when it is opened; a \
         second opening is refused and raises an alarm.",
    ),
    Key::new(
        "cache.budget_bytes",
        Sort::Count { min: MIB, max: 1 << 40 },
        "268435456",
        "Memory for cached tokens, in bytes. About 4,000 tokens fit into each MiB.",
    ),
    Key::new(
        "hashing.memory_kib",
        Sort::Count { min: 8 * KIB, max: 4 * MIB },
        "19456",
        "Memory of one Argon2id computation, in KiB. Counts for new secrets only.",
    ),
    Key::new(
        "hashing.passes",
        Sort::Count { min: 1, max: 20 },
        "2",
        "Passes of one Argon2id computation. Counts for new secrets only.",
    ),
    Key::new(
        "hashing.workers",
        Sort::Count { min: 0, max: 64 },
        "0",
        "Argon2id computations at the same time; 0 takes half of the processors.",
    ),
    Key::new(
        "hashing.queue",
        Sort::Count { min: 1, max: 10_000 },
        "64",
        "Argon2id computations that may wait. Further ones are answered 503. One source has a quarter \
         of the places at most, a caller that names no client address three quarters.",
    ),
    Key::new(
        "abuse.throttle",
        Sort::Flag,
        "true",
        "Whether refusals come later and later for who fails often. A right secret never waits, but \
         for one that was chosen by a person: it waits before it is compared.",
    ),
    Key::new(
        "oauth.access_token_format",
        Sort::Choice(&["jwt", "opaque"]),
        "\"jwt\"",
        "How access tokens look, where a client or a registration token says nothing else. A JWT \
         can be read without asking and lives out its time; an opaque one ends at once.",
    ),
    Key::new(
        "oauth.access_token_signing_alg",
        Sort::Choice(&["EdDSA", "ES256", "RS256"]),
        "\"EdDSA\"",
        "What signs them. RS256 needs a key that `counterfoil keys rotate sign-rs256` makes.",
    ),
    Key::new(
        "oauth.access_token_lifetime_seconds",
        Sort::Count { min: 1, max: 3600 },
        "300",
        "How long an access token lives, and so how long a revoked JWT is believed by whoever \
         never asks.",
    ),
    Key::new(
        "oauth.key_overlap_seconds",
        Sort::Count { min: 0, max: 31_536_000 },
        "900",
        "How long a former signing key verifies after a rotation. Shorter than the life of an \
         access token, it ends tokens before their time.",
    ),
    Key::new(
        "oauth.password_grant",
        Sort::Flag,
        "false",
        "Whether the token endpoint takes `grant_type=password` with a personal access token as \
         the password. For old clients only; RFC 9700 section 2.4 forbids the grant.",
    ),
    Key::new(
        "oauth.dpop_nonce",
        Sort::Flag,
        "false",
        "Whether a DPoP proof must hold a nonce of this server (RFC 9449 section 8). Costs a client \
         one more request now and then, and makes proofs that were prepared ahead worthless.",
    ),
    Key::new(
        "sentinel.max_validity_days",
        Sort::Count { min: 1, max: 36_500 },
        "30",
        "Days ahead of today that a registration token may end at this door. The product allows 30.",
    ),
    Key::new(
        "sentinel.client_id",
        Sort::ClientId,
        "\"ems-scl-public-client\"",
        "The public client that this door tells programs to log in as. It has no secret.",
    ),
    Key::new(
        "comanage.co_id",
        Sort::Count { min: 1, max: 4_294_967_295 },
        "2",
        "The number of the CO that this door shows the realm as. COmanage's own is 1.",
    ),
    Key::new(
        "am.session_seconds",
        Sort::Count { min: 60, max: 86_400 },
        "7200",
        "How long a session of this door lasts, in seconds. It ends earlier with the key or token \
         that it was made from.",
    ),
    Key::new(
        "am.idle_seconds",
        Sort::Count { min: 120, max: 86_400 },
        "1800",
        "How long such a session lasts that nobody uses, in seconds. Nodes tell each other of uses \
         once a minute.",
    ),
    Key::new(
        "am.cookie_name",
        Sort::ClientId,
        "\"iPlanetDirectoryPro\"",
        "How the header and the cookie of a session are called. Clients read it at \
         /json/serverinfo/*.",
    ),
    Key::new(
        "am.pat_attribute",
        Sort::ClientId,
        "\"iplanet-am-user-alias-list\"",
        "The attribute of /json/users in which clients look for a person's tokens. It shows which \
         there are and what they may do, never a usable one.",
    ),
    Key::optional(
        "am.import_service",
        Sort::Service,
        "\"wiki\"",
        "The service that tokens become good for which an administrator puts on a person's profile \
         (PUT /json/users/{user}) in clear. Nothing can be put there unless this is set.",
    ),
    Key::new(
        "validate.clients",
        Sort::NetworkClients,
        "{}",
        "Networks whose requests count as those of a client, for modules that send no credential: \
         { \"10.0.0.5/32\" = \"radius1\" }. Whoever can send from there is believed, so name single \
         machines; addresses behind server.trusted_proxies are those that the proxies tell. A \
         request with a credential is judged by that alone.",
    ),
    Key::new(
        "validate.email_challenge",
        Sort::Flag,
        "false",
        "Whether an empty password sends a code by mail to a person who has a token for that. It \
         shows who has one, which is why it is off.",
    ),
    Key::new(
        "leaks.github",
        Sort::Flag,
        "false",
        "Whether reports of GitHub's secret scanning are taken at /api/v1/leaks/github. What \
         becomes of a token that was found is said by `on_leak` of the token policies.",
    ),
    Key::new(
        "leaks.github_keys_url",
        Sort::Url,
        "\"https://api.github.com/meta/public_keys/secret_scanning\"",
        "Where the keys are asked for by which those reports are signed: when one is not known, at \
         most once a minute, and once a day. While nobody answers, those that are known count.",
    ),
    Key::optional(
        "leaks.github_keys_file",
        Sort::Path,
        "\"/etc/counterfoil/github-keys.json\"",
        "A file with those keys, as that address answers. Nobody is asked then.",
    ),
    Key::new(
        "log.format",
        Sort::Choice(&["auto", "text", "json"]),
        "\"auto\"",
        "`auto` is text on a terminal and JSON elsewhere.",
    ),
    Key::new(
        "log.level",
        Sort::Choice(&["error", "warn", "info", "debug", "trace"]),
        "\"info\"",
        "The least important lines to write.",
    ),
    Key::optional(
        "metrics.listen",
        Sort::Address,
        "\"127.0.0.1:8781\"",
        "An own listener for /metrics, without authentication.",
    ),
    Key::optional(
        "metrics.bearer",
        Sort::Secret,
        "\"file:/etc/counterfoil/metrics-token\"",
        "The bearer credential that opens /metrics on the HTTP listener.",
    ),
    Key::optional(
        "telemetry.otlp_endpoint",
        Sort::Url,
        "\"http://127.0.0.1:4318\"",
        "The collector that gets a span for each request, as OTLP over HTTP in JSON, at /v1/traces \
         below this. Without it nothing is traced.",
    ),
    Key::optional(
        "telemetry.otlp_authorization",
        Sort::Secret,
        "\"file:/etc/counterfoil/otlp-authorization\"",
        "The whole value of the header Authorization for the collector, `Bearer ...` say.",
    ),
    Key::new(
        "telemetry.sample_percent",
        Sort::Count { min: 0, max: 100 },
        "100",
        "How many traces in a hundred are kept, by the random part of their ids. What whoever sent \
         the request does not trace is not traced here either.",
    ),
    Key::new(
        "ldap.listen",
        Sort::Address,
        "\"127.0.0.1:3890\"",
        "Where LDAP is served, in clear text until a client asks for StartTLS. Port 0 takes a free \
         one and prints it.",
    ),
    Key::optional(
        "ldap.tls_listen",
        Sort::Address,
        "\"0.0.0.0:636\"",
        "Where LDAP is served inside TLS from the first byte (ldaps://). Needs a certificate.",
    ),
    Key::new(
        "ldap.base_dn",
        Sort::Dn,
        "\"dc=counterfoil,dc=local\"",
        "The name of the tree. People bind as uid=USER,ou=SERVICE,ou=services,BASE and clients as \
         cn=CLIENT,ou=clients,BASE.",
    ),
    Key::new(
        "ldap.bind_templates",
        Sort::DnTemplates,
        "[]",
        "Further names under which people may bind, such as \
         spn={user},app={service},dc=example,dc=org. In a variable they are separated by \
         semicolons.",
    ),
    Key::new("ldap.realm", Sort::Realm, "\"main\"", "The realm that this door serves."),
    Key::new(
        "ldap.allow_plaintext",
        Sort::Flag,
        "false",
        "Whether binds from other machines are taken without TLS. Whoever can read along has the \
         tokens then.",
    ),
    Key::new(
        "ldap.connections_max",
        Sort::Count { min: 1, max: 1_000_000 },
        "4096",
        "Connections at the same time on each listener; further ones wait to be accepted.",
    ),
    Key::new(
        "ldap.connections_per_source_max",
        Sort::Count { min: 1, max: 1_000_000 },
        "1024",
        "Connections at the same time from one address (of IPv6: from one /64); further ones are \
         closed at once. Addresses in server.trusted_proxies may have any number.",
    ),
    Key::new(
        "ldap.idle_seconds",
        Sort::Count { min: 1, max: 86_400 },
        "900",
        "How long a connection that is bound may stay idle. One that is not has a minute.",
    ),
    Key::optional(
        "ldap.tls.cert",
        Sort::Path,
        "\"/etc/counterfoil/ldap.crt\"",
        "PEM file with the certificate and its intermediates. Read again when it changes.",
    ),
    Key::optional(
        "ldap.tls.key",
        Sort::Path,
        "\"/etc/counterfoil/ldap.key\"",
        "PEM file with the private key.",
    ),
    Key::optional(
        "mail.host",
        Sort::Host,
        "\"mail.example.org\"",
        "The mail server. Without it no letter leaves, and those that a realm wants wait.",
    ),
    Key::new(
        "mail.port",
        Sort::Count { min: 1, max: 65_535 },
        "587",
        "Its port: 587 with STARTTLS (RFC 6409), 465 inside TLS (RFC 8314).",
    ),
    Key::new(
        "mail.tls",
        Sort::Choice(&["starttls", "tls", "none"]),
        "\"starttls\"",
        "When the connection becomes TLS: before anything is said, from the first byte, or never. \
         Never is taken for a server on this machine only.",
    ),
    Key::optional(
        "mail.ca",
        Sort::Path,
        "\"/etc/counterfoil/mail-ca.pem\"",
        "PEM file with the certificates to trust instead of the system's.",
    ),
    Key::optional("mail.user", Sort::Line, "\"counterfoil\"", "As whom to log in."),
    Key::optional(
        "mail.password",
        Sort::Secret,
        "\"file:/etc/counterfoil/mail-password\"",
        "The password of mail.user.",
    ),
    Key::optional(
        "mail.from",
        Sort::Mailbox,
        "\"Tokens <tokens@example.org>\"",
        "Who the letters are from. Needed with mail.host.",
    ),
    Key::optional(
        "mail.reply_to",
        Sort::Mailbox,
        "\"Help desk <help@example.org>\"",
        "Whom an answer to a letter goes to, if not mail.from.",
    ),
];
