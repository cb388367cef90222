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
        "Whether a token that is created without data gets a secret, which is shown once.",
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
