//! The keys of a repository's section. A star stands for a name that the operator gives.

use super::keys::{Key, Sort};

/// Every key of a repository's section, and of its attributes' sections.
pub const REPOSITORY_KEYS: &[Key] = &[
    Key::optional(
        "repository.*.kind",
        Sort::Choice(&["token", "credential", "custom"]),
        "\"token\"",
        "What it holds: tokens, a current and a next credential for each person, or tokens that \
         are kept elsewhere.",
    ),
    Key::optional(
        "repository.*.services",
        Sort::Labels,
        "[\"vpn\"]",
        "Services that its tokens are good for. Without any, only verifiers that are bound to no \
         service accept them. Data that verifies needs exactly one.",
    ),
    Key::optional(
        "repository.*.max_tokens_per_user",
        Sort::Count { min: 1, max: 1_000_000 },
        "1",
        "Tokens of one person at most, of a repository of tokens; 1 if not set. Disabled ones \
         count, revoked ones do not.",
    ),
    Key::optional(
        "repository.*.count_expired",
        Sort::Flag,
        "false",
        "Whether expired tokens count too.",
    ),
    Key::optional(
        "repository.*.generate_secret",
        Sort::Flag,
        "true",
        "Whether a token that is created without data gets a secret, which is shown once. A custom \
         repository is told the hash of it; true unless `verify = \"delegated\"`, or an SQL \
         statement `insert` has no place for it.",
    ),
    Key::optional(
        "repository.*.activation_letter",
        Sort::Flag,
        "false",
        "Whether a person's token of a repository of tokens is good for nothing before its \
         activation letter is redeemed.",
    ),
    Key::optional(
        "repository.*.support_next",
        Sort::Flag,
        "false",
        "Whether a person has a next credential beside the current one.",
    ),
    Key::optional(
        "repository.*.use_next_as_current_on_deletion",
        Sort::Flag,
        "true",
        "Whether the next credential takes the place of a current one that is deleted.",
    ),
    Key::optional(
        "repository.*.promote_next_on",
        Sort::Words(&["deletion", "first_use", "at_date", "manual"]),
        "[\"deletion\", \"first_use\"]",
        "When else the next credential becomes the current one: when it is first used, when its \
         time begins. It always does when somebody says so.",
    ),
    Key::optional(
        "repository.*.retire_grace",
        Sort::Duration,
        "\"0s\"",
        "How long a current credential still counts after the next one took its place.",
    ),
    Key::optional(
        "repository.*.realm",
        Sort::Line,
        "\"main\"",
        "The realm whose tokens a custom repository keeps; main if not set. Repositories of the \
         other kinds are in every realm.",
    ),
    Key::optional(
        "repository.*.driver",
        Sort::Choice(&["http", "sql", "ldap"]),
        "\"http\"",
        "By what a custom repository is reached.",
    ),
    Key::optional(
        "repository.*.url",
        Sort::Line,
        "\"http://127.0.0.1:9400\"",
        "Where a custom repository is.",
    ),
    Key::optional(
        "repository.*.timeout",
        Sort::Duration,
        "\"800ms\"",
        "How long a custom repository may take to answer.",
    ),
    Key::optional(
        "repository.*.verify",
        Sort::Choice(&["local", "delegated"]),
        "\"local\"",
        "Who compares a presented secret. If the custom repository does, it is sent the secret in \
         clear.",
    ),
    Key::optional(
        "repository.*.prefix",
        Sort::Line,
        "\"acme_\"",
        "How every token of a custom repository begins. A secret that begins so is looked up there \
         and nowhere else; one of a repository without a prefix is looked up where the verifier \
         speaks for one of its services.",
    ),
    Key::optional(
        "repository.*.selector",
        Sort::Choice(&["user", "prefix", "sha256"]),
        "\"user\"",
        "What a custom repository is asked by: the person that the secret was presented with, the \
         first characters of the secret, or its SHA-256. The last two need a prefix.",
    ),
    Key::optional(
        "repository.*.selector_length",
        Sort::Count { min: 4, max: 400 },
        "13",
        "How many characters of a secret are its public part, the prefix included, with \
         `selector = \"prefix\"`.",
    ),
    Key::optional(
        "repository.*.token_kind",
        Sort::Choice(&["service_token", "personal_access_token", "generic"]),
        "\"service_token\"",
        "As what a token of a custom repository counts.",
    ),
    Key::optional(
        "repository.*.usage",
        Sort::Choice(&["here", "there"]),
        "\"here\"",
        "Who counts uses against the limits of a custom repository's tokens. Uses are always \
         kept here as well.",
    ),
    Key::optional(
        "repository.*.in_flight_max",
        Sort::Count { min: 1, max: 10_000 },
        "64",
        "Calls to a custom repository at the same time. Further ones are unavailable at once.",
    ),
    Key::optional(
        "repository.*.cache_seconds",
        Sort::Count { min: 0, max: 60 },
        "5",
        "How long it is remembered that a secret of a custom repository was right. What is revoked \
         there ends here so much later. 0: not at all.",
    ),
    Key::optional(
        "repository.*.secret",
        Sort::Secret,
        "\"file:/etc/counterfoil/acme.secret\"",
        "What a custom repository is shown: the key that signs requests or the bearer token (http), \
         the password of the database (sql), the password of bind_dn (ldap).",
    ),
    Key::optional(
        "repository.*.auth",
        Sort::Choice(&["signature", "bearer"]),
        "\"signature\"",
        "What `secret` is to an HTTP repository.",
    ),
    Key::optional(
        "repository.*.hash_key",
        Sort::Secret,
        "\"file:/etc/counterfoil/acme.hash-key\"",
        "The key of hashes that begin with `hmac-sha256:`.",
    ),
    Key::optional(
        "repository.*.ca_file",
        Sort::Path,
        "\"/etc/counterfoil/acme-ca.pem\"",
        "Certificates to trust instead of the system's (http, ldap).",
    ),
    Key::optional(
        "repository.*.client_identity",
        Sort::Path,
        "\"/etc/counterfoil/acme-client.pem\"",
        "Certificate and key, in one PEM file, by which an HTTP repository knows this server.",
    ),
    Key::optional(
        "repository.*.bind_dn",
        Sort::Line,
        "\"cn=counterfoil,dc=example,dc=org\"",
        "As whom to bind (ldap).",
    ),
    Key::optional(
        "repository.*.base_dn",
        Sort::Line,
        "\"ou=people,dc=example,dc=org\"",
        "Below which people are found (ldap).",
    ),
    Key::optional(
        "repository.*.filter",
        Sort::Line,
        "\"(uid={username})\"",
        "How a person is found (ldap).",
    ),
    Key::optional(
        "repository.*.attribute",
        Sort::Line,
        "\"voPersonApplicationPassword\"",
        "The attribute that holds the tokens (ldap). Options `;app-x` name the service.",
    ),
    Key::optional(
        "repository.*.form",
        Sort::Choice(&["hash", "pat"]),
        "\"hash\"",
        "What a value is (ldap): a hash, or a personal access token of ForgeRock AM with its \
         permissions, in any of its three spellings.",
    ),
    Key::optional(
        "repository.*.start_tls",
        Sort::Flag,
        "true",
        "Whether `ldap://` becomes TLS first; unless on loopback, if not set.",
    ),
    Key::optional(
        "repository.*.statements.lookup",
        Sort::Text,
        "\"select id, username as \\\"user\\\", hash from tokens where selector = :selector\"",
        "The tokens of a selector (sql). Columns are called as in the protocol, or in snake case.",
    ),
    Key::optional(
        "repository.*.statements.list",
        Sort::Text,
        "\"select * from tokens where username = :user order by id limit :limit\"",
        "A page of tokens behind `:cursor`, by id (sql).",
    ),
    Key::optional(
        "repository.*.statements.get",
        Sort::Text,
        "\"select * from tokens where id = :id\"",
        "One token (sql).",
    ),
    Key::optional(
        "repository.*.statements.insert",
        Sort::Text,
        "\"insert into tokens (username, selector, hash) values (:user, :selector, :hash) returning *\"",
        "Adds a token and returns it (sql).",
    ),
    Key::optional(
        "repository.*.statements.update",
        Sort::Text,
        "\"update tokens set valid_to = :valid_to where id = :id\"",
        "Changes attributes (sql).",
    ),
    Key::optional(
        "repository.*.statements.enable",
        Sort::Text,
        "\"update tokens set enabled = :enabled where id = :id\"",
        "Switches a token on or off (sql).",
    ),
    Key::optional(
        "repository.*.statements.assign",
        Sort::Text,
        "\"update tokens set username = :user where id = :id\"",
        "Gives a token to a person, or to nobody (sql).",
    ),
    Key::optional(
        "repository.*.statements.delete",
        Sort::Text,
        "\"delete from tokens where id = :id\"",
        "Removes a token (sql).",
    ),
    Key::optional(
        "repository.*.statements.consume",
        Sort::Text,
        "\"update tokens set used = used + 1 where id = :id and used < :limit returning used\"",
        "Counts a use of a limited token (sql). Only one conditional update counts atomically.",
    ),
    Key::optional(
        "repository.*.statements.usage",
        Sort::Text,
        "\"update tokens set uses = uses + :accepted where id = :id\"",
        "Takes note of uses (sql).",
    ),
    Key::optional(
        "repository.*.attributes.*.name",
        Sort::Line,
        "\"device\"",
        "The name under which it is shown. Its own if not set.",
    ),
    Key::optional(
        "repository.*.attributes.*.type",
        Sort::Choice(&["string", "integer", "date", "boolean"]),
        "\"string\"",
        "What a generic data element holds.",
    ),
    Key::optional(
        "repository.*.attributes.*.max_len",
        Sort::Count { min: 1, max: 22_000 },
        "80",
        "Characters of a text at most.",
    ),
    Key::optional(
        "repository.*.attributes.*.filterable",
        Sort::Flag,
        "false",
        "Whether lists can be filtered and sorted by it.",
    ),
    Key::optional(
        "repository.*.attributes.*.write_only",
        Sort::Flag,
        "false",
        "Whether data is a secret: never shown again, kept as a hash, and verified.",
    ),
    Key::optional(
        "repository.*.attributes.*.required",
        Sort::Flag,
        "false",
        "Whether a token cannot be without it.",
    ),
    Key::optional(
        "repository.*.attributes.*.max_ahead",
        Sort::Duration,
        "\"365d\"",
        "How far ahead a date may lie.",
    ),
];
