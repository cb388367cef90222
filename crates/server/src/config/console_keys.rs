//! The keys of the console's sections.

use super::keys::{Key, Sort};

/// Every key of the console.
pub const CONSOLE_KEYS: &[Key] = &[
    Key::new(
        "console.session_seconds",
        Sort::Count { min: 300, max: 30 * 86_400 },
        "43200",
        "How long somebody stays signed in at most.",
    ),
    Key::new(
        "console.idle_seconds",
        Sort::Count { min: 120, max: 30 * 86_400 },
        "3600",
        "How long somebody stays signed in who does nothing.",
    ),
    Key::new(
        "console.step_up_seconds",
        Sort::Count { min: 0, max: 30 * 86_400 },
        "0",
        "How long it counts that somebody proved who they are. Later, whoever makes, replaces or \
         ends something, or changes a policy, is asked again first, by password, by passkey or at the \
         provider they came from, and then goes on with what they had asked for. 0: nobody is asked \
         again, but to change their passkeys.",
    ),
    Key::new(
        "console.passkey_realms",
        Sort::Realms,
        "[]",
        "Realms whose people need a passkey beside their password. Who has none yet adds the first \
         one on the way in, after the password. In other realms people choose for themselves. \
         Whoever comes by a provider or a proxy is not asked. Passkeys need a server.public_url with \
         a host name, and https unless that is localhost.",
    ),
    Key::optional(
        "console.oidc.issuer",
        Sort::Url,
        "\"https://sso.example.org/realms/staff\"",
        "The provider, exactly as it calls itself. Single sign-on is off without it. It is asked \
         when somebody signs in, so the server starts while it is away.",
    ),
    Key::optional(
        "console.oidc.client_id",
        Sort::Line,
        "\"counterfoil\"",
        "How the provider knows this server.",
    ),
    Key::optional(
        "console.oidc.client_secret",
        Sort::Secret,
        "\"file:/etc/counterfoil/oidc-secret\"",
        "What proves that to the provider. Without it the server is a public client, which PKCE \
         protects.",
    ),
    Key::new(
        "console.oidc.scopes",
        Sort::Line,
        "\"openid profile email\"",
        "What the provider is asked for, separated by blanks; openid is among it.",
    ),
    Key::new(
        "console.oidc.username_claim",
        Sort::Line,
        "\"preferred_username\"",
        "What the provider calls the user name. A dot leads into an object. It names somebody at \
         their first sign-in; afterwards they are known by the subject, which never changes.",
    ),
    Key::new(
        "console.oidc.groups_claim",
        Sort::Line,
        "\"groups\"",
        "What the provider calls the groups of a person, such as realm_access.roles.",
    ),
    Key::new(
        "console.oidc.roles",
        Sort::Roles,
        "{}",
        "What members of a group may do: { \"staff-admins\" = \"realm-admin\", \"git-owners\" = \
         \"service-manager:git\" }. Roles are operator, realm-admin, auditor, unit-admin:UNIT, \
         service-manager:LABEL, verifier and verifier:LABEL. They are given and taken at each \
         sign-in; what somebody was given by hand stays. In a variable pairs are separated by \
         semicolons.",
    ),
    Key::new(
        "console.oidc.accounts",
        Sort::Choice(&["create", "existing", "both"]),
        "\"create\"",
        "Who may come in: as somebody new whose name nobody has, as who is here by that name \
         already, or as either. With existing and both, whoever chooses user names at the provider \
         chooses who they are here.",
    ),
    Key::new(
        "console.oidc.label",
        Sort::Line,
        "\"single sign-on\"",
        "What stands on the button, behind the words for signing in with.",
    ),
    Key::new("console.oidc.realm", Sort::Realm, "\"main\"", "The realm that it leads to."),
    Key::optional(
        "console.oidc.ca",
        Sort::Path,
        "\"/etc/counterfoil/sso-ca.pem\"",
        "PEM file with the certificates to trust instead of the system's.",
    ),
    Key::new(
        "console.proxy.networks",
        Sort::Networks,
        "[]",
        "Where the proxy sends from. Nobody is believed unless this is set, and from elsewhere the \
         headers are ignored. Whoever can send from there is whoever they say: 127.0.0.1 is every \
         program of the machine.",
    ),
    Key::new(
        "console.proxy.user_header",
        Sort::Header,
        "\"Remote-User\"",
        "The header with the user name. The proxy must remove it from what clients send.",
    ),
    Key::new(
        "console.proxy.name_header",
        Sort::Header,
        "\"Remote-Name\"",
        "The header with what to call the person. The proxy must remove it from what clients send.",
    ),
    Key::new(
        "console.proxy.email_header",
        Sort::Header,
        "\"Remote-Email\"",
        "The header with their address. The proxy must remove it from what clients send.",
    ),
    Key::new(
        "console.proxy.groups_header",
        Sort::Header,
        "\"Remote-Groups\"",
        "The header with their groups, separated by commas. The proxy must remove it from what \
         clients send, also where it sets none: with console.proxy.roles it is what somebody may do.",
    ),
    Key::new(
        "console.proxy.roles",
        Sort::Roles,
        "{}",
        "What members of a group may do, as in console.oidc.roles.",
    ),
    Key::new(
        "console.proxy.accounts",
        Sort::Choice(&["create", "existing", "both"]),
        "\"create\"",
        "Who may come in, as in console.oidc.accounts.",
    ),
    Key::new("console.proxy.realm", Sort::Realm, "\"main\"", "The realm that it leads to."),
];
