//! The configuration as people meet it: right values, wrong ones, and what is said about them.

use insta::assert_snapshot;

use super::*;

fn from_file(text: &str) -> Result<Config, ConfigError> {
    let file = Some((PathBuf::from("counterfoil.toml"), text.to_owned()));
    load(&Sources { file, ..Sources::default() })
}

fn faults(text: &str) -> String {
    from_file(text).unwrap_err().to_string()
}

fn from_environment(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    load(&Sources { environment: variables.iter().map(own).collect(), ..Sources::default() })
}

#[test]
fn an_empty_file_gives_the_documented_defaults() {
    let config = from_file("").unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8780");
    assert_eq!(config.ldap.listen.to_string(), "127.0.0.1:3890");
    assert_eq!(config.data.dir, PathBuf::from("./counterfoil-data"));
    assert!(config.server.trusted_proxies.is_empty() && config.server.realm_by_host.is_empty());
    assert_eq!(config.public_url(config.server.listen), "http://127.0.0.1:8780");
}

#[test]
fn the_default_file_uncommented_is_the_default_configuration() {
    let file = document::default_file();
    let uncommented: Vec<&str> = file
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => setting,
            _ => line,
        })
        // Keys without default show an example, which may point to files that do not exist.
        .filter(|line| !KEYS_WITHOUT_DEFAULT.iter().any(|name| line.starts_with(name)))
        .collect();
    let config = from_file(&uncommented.join("\n")).unwrap();
    assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
    assert!(from_file(&file).is_ok());
}

const KEYS_WITHOUT_DEFAULT: [&str; 23] = [
    "witness_url ",
    "witness_dir ",
    "github_keys_file ",
    "otlp_endpoint ",
    "otlp_authorization ",
    "issuer ",
    "client_id ",
    "client_secret ",
    "import_service",
    "tls_listen ",
    "public_url ",
    "cert ",
    "key ",
    "client_ca ",
    "database ",
    "listen = \"127.0.0.1:8781\"",
    "bearer ",
    "host ",
    "ca ",
    "user ",
    "password ",
    "from ",
    "reply_to ",
];

#[test]
fn every_key_has_a_section_a_good_example_and_a_sentence() {
    for key in keys::plain_keys() {
        assert!(keys::SECTIONS.iter().any(|(name, _)| *name == key.section()), "{}", key.path);
        let example = document::default_value(key.example).unwrap();
        assert_eq!(key.sort.check(&example), Ok(()), "{}", key.path);
        assert!(key.doc.ends_with('.'), "{}", key.path);
    }
}

#[test]
fn every_key_of_a_repository_or_a_shadow_has_a_section_a_good_example_and_a_sentence() {
    for key in keys::REPOSITORY_KEYS.iter().chain(keys::SHADOW_KEYS) {
        assert!(keys::SECTIONS.iter().any(|(name, _)| *name == key.section()), "{}", key.path);
        let example = document::default_value(key.example).unwrap();
        assert_eq!(key.sort.check(&example), Ok(()), "{}", key.path);
        assert!(key.doc.ends_with('.') && key.is_pattern(), "{}", key.path);
    }
}

/// As the reference sketches it, but for the custom one's keys.
const REPOSITORIES: &str = r#"
[repository.app_password]
kind = "token"
max_tokens_per_user = 20
[repository.app_password.attributes]
serialId = { name = "serialId" }
validTo = { name = "expires", required = true, max_ahead = "365d" }
genericDataElement1 = { name = "device", max_len = 80, filterable = true }
data = { name = "secret", write_only = true }
trackingId = {}

[repository.pin_letter]
kind = "credential"
support_next = true
promote_next_on = ["deletion", "first_use"]
retire_grace = "0s"

[repository.vendor]
kind = "custom"
driver = "http"
url = "http://127.0.0.1:9400"
timeout = "800ms"
verify = "local"
"#;

#[test]
fn repositories_are_read_as_the_operator_wrote_them() {
    use counterfoil_authority::repository::{Attribute, Promotion, RepositoryKind};
    let config = from_file(REPOSITORIES).unwrap();
    let all = repository::repositories(&config.repository);
    let names: Vec<&str> = all.all().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["app_password", "pin_letter", "vendor"]);
    let mut all = all.all();
    let tokens = all.next().unwrap();
    let RepositoryKind::Token(rules) = &tokens.kind else { panic!("{tokens:?}") };
    assert_eq!(rules.max_tokens_per_user, 20);
    let end = tokens.attributes.by_name("expires").unwrap();
    assert_eq!((end.attribute, end.required), (Attribute::ValidTo, true));
    assert_eq!(end.max_ahead_seconds, Some(365 * 86_400));
    assert!(tokens.attributes.find(Attribute::Data).unwrap().write_only);
    assert_eq!(tokens.attributes.find(Attribute::TrackingId).unwrap().name, "trackingId");
    assert_eq!(tokens.attributes.find(Attribute::Enabled), None);
    let credentials = all.next().unwrap();
    let RepositoryKind::Credential(rules) = &credentials.kind else { panic!("{credentials:?}") };
    assert!(rules.promotes_on(Promotion::FirstUse) && !rules.promotes_on(Promotion::AtDate));
}

/// A3: what a repository cannot be called, and what it cannot hold, stops the start.
#[test]
fn a3_wrong_repositories_are_reported_with_their_lines() {
    let long = "A".repeat(22);
    assert!(from_file(&format!("[repository.{long}]\nkind = \"token\"")).is_ok());
    assert_snapshot!(faults(&format!("[repository.{long}A]\nkind = \"token\"")), @"counterfoil.toml:1: `repository.AAAAAAAAAAAAAAAAAAAAAAA`: a repository name is 1 to 22 letters, digits and '_'");
    let text = r#"
[repository.a]
kind = "tokens"
max_tokens = 3
[repository.a.attributes]
serialIdd = {}
data = { write_onli = true }
[repository.b]
kind = "credential"
promote_next_on = ["sometimes"]
retire_grace = "soon"
services = ["VPN"]
"#;
    assert_snapshot!(faults(text), @r"
    counterfoil.toml:3: `repository.a.kind` must be one of token, credential, custom, not `tokens`
    counterfoil.toml:4: unknown key `repository.a.max_tokens`; `counterfoil config default` lists all
    counterfoil.toml:6: `repository.a.attributes.serialIdd`: there is no such attribute, did you mean `serialId`?
    counterfoil.toml:7: unknown key `repository.a.attributes.data.write_onli`, did you mean `repository.a.attributes.data.write_only`?
    counterfoil.toml:10: `repository.b.promote_next_on` must be a list of some of deletion, first_use, at_date, manual
    counterfoil.toml:11: `repository.b.retire_grace` must be a time such as 800ms, 30s or 365d, not `soon`
    counterfoil.toml:12: `repository.b.services` `VPN`: a service label is 1 to 63 of a-z, 0-9, '.', '_' and '-', starting with a letter or digit
    ");
    let text = r#"
[repository.c]
kind = "credential"
max_tokens_per_user = 3
promote_next_on = ["first_use"]
[repository.c.attributes]
serialId = { write_only = true }
"#;
    assert_snapshot!(faults(text), @r"
    `repository.c.max_tokens_per_user` is for repositories of the kind token
    `repository.c.promote_next_on` needs `support_next = true`
    `repository.c.attributes.serialId.write_only`: only data is ever secret
    ");
}

/// A custom repository with this in it.
fn custom(more: &str) -> String {
    format!(
        "[repository.acme]\nkind = \"custom\"\nurl = \"sqlite:acme.db\"\ndriver = \"sql\"\n\
         services = [\"git\"]\n{more}"
    )
}

#[test]
fn a_custom_repository_is_of_one_realm_and_makes_secrets_where_their_hashes_go_somewhere() {
    const LOOKUP: &str = "[repository.acme.statements]\nlookup = \"select 1\"\n";
    let kept = |more: &str| {
        let config = from_file(&custom(more)).unwrap();
        super::kept_elsewhere(&config).remove(0).settings
    };
    let plain = kept(LOOKUP);
    assert_eq!((plain.realm.as_str(), plain.generates), ("main", false));
    let insert = "insert = \"insert into t (h) values (:hash) returning *\"\n";
    let other = kept(&format!("realm = \"other\"\n{LOOKUP}{insert}"));
    assert_eq!((other.realm.as_str(), other.generates), ("other", true));
    let quiet = kept(&format!("generate_secret = false\n{LOOKUP}{insert}"));
    assert!(!quiet.generates);
    for (more, said) in [
        (format!("generate_secret = true\n{LOOKUP}"), "needs a statement `insert` with :hash"),
        (
            format!("generate_secret = true\nverify = \"delegated\"\n{LOOKUP}{insert}"),
            "who compares secrets makes them, too",
        ),
        (format!("realm = \"No Realm\"\n{LOOKUP}"), "`realm`: a realm name is 1 to 63"),
        (format!("attributes.data = {{}}\n{LOOKUP}"), "the protocol has no such attribute"),
    ] {
        let faults = faults(&custom(&more));
        assert!(faults.contains(said), "{faults}");
    }
    let ours = faults("[repository.a]\nkind = \"token\"\nrealm = \"other\"\n");
    assert!(ours.contains("is for repositories of the kind custom"), "{ours}");
}

#[test]
fn every_fault_is_reported_with_its_line() {
    let text = r#"
[server]
listen = "localhost"
listne = "127.0.0.1:1"
connections_max = 0
trusted_proxies = ["10.0.0.0/8", "everybody"]

[hashing]
passes = "two"

[servre]
x = 1

[log]
level = "loud"
"#;
    assert_snapshot!(faults(text), @r#"
    counterfoil.toml:3: `server.listen` must be an address and a port such as 127.0.0.1:8780 or [::1]:8780, not `localhost`
    counterfoil.toml:4: unknown key `server.listne`, did you mean `server.listen`?
    counterfoil.toml:5: `server.connections_max` must be between 1 and 1000000, not 0
    counterfoil.toml:6: `server.trusted_proxies` must hold networks such as 10.0.0.0/8 or fd00::/8, not `everybody`
    counterfoil.toml:9: `hashing.passes` must be a whole number, not `"two"`
    counterfoil.toml:11: unknown key `servre`, did you mean `server`?
    counterfoil.toml:15: `log.level` must be one of error, warn, info, debug, trace, not `loud`
    "#);
}

#[test]
fn a_file_that_is_no_toml_is_reported_with_its_line() {
    assert_snapshot!(faults("[server]\nlisten = \n"), @"counterfoil.toml:2: string values must be quoted, expected literal string");
    assert_snapshot!(faults("server = 1"), @"counterfoil.toml:1: `server` is a section, write [server]");
    assert_snapshot!(faults("[zzz]"), @"counterfoil.toml:1: unknown key `zzz`; `counterfoil config default` lists all");
}

#[test]
fn a_variable_wins_over_the_file_and_a_flag_over_both() {
    let mut sources = Sources {
        file: Some(("counterfoil.toml".into(), "[server]\nlisten = \"127.0.0.1:1\"".into())),
        environment: vec![("COUNTERFOIL_SERVER__LISTEN".into(), "127.0.0.1:2".into())],
        flags: Vec::new(),
    };
    assert_eq!(load(&sources).unwrap().server.listen.port(), 2);
    sources = sources.with("--listen", "server.listen", Some("127.0.0.1:3".into()));
    assert_eq!(load(&sources).unwrap().server.listen.port(), 3);
    sources = sources.with("--listen", "server.listen", Some("here".into()));
    assert_snapshot!(load(&sources).unwrap_err(), @"--listen: `server.listen` must be an address and a port such as 127.0.0.1:8780 or [::1]:8780, not `here`");
}

#[test]
fn variables_take_lists_tables_and_nested_sections() {
    let config = from_environment(&[
        ("COUNTERFOIL_SERVER__TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1"),
        ("COUNTERFOIL_SERVER__REALM_BY_HOST", "Tokens.example.org=main,other.example.org=lab"),
        ("COUNTERFOIL_SERVER__TLS__CERT", "cert.pem"),
        ("COUNTERFOIL_SERVER__TLS__KEY", "key.pem"),
        ("COUNTERFOIL_DOORS__DOCS", "false"),
        ("COUNTERFOIL_CACHE__BUDGET_BYTES", "2000000"),
        ("COUNTERFOIL_TOKEN", "belongs to the command line"),
    ])
    .unwrap();
    assert_eq!(config.server.trusted_proxies.len(), 2);
    assert_eq!(config.server.realm_by_host["tokens.example.org"].as_str(), "main");
    assert_eq!(config.server.tls.key, Some("key.pem".into()));
    assert_eq!((config.doors.docs, config.cache.budget_bytes), (false, 2_000_000));
}

#[test]
fn wrong_variables_are_named() {
    let wrong = from_environment(&[
        ("COUNTERFOIL_SERVER__LISTENN", "x"),
        ("COUNTERFOIL_DOORS__API", "yes"),
        ("COUNTERFOIL_DATA__DATABASE", "mysql://me:secret@db/counterfoil"),
    ]);
    assert_snapshot!(wrong.unwrap_err(), @"
    COUNTERFOIL_SERVER__LISTENN: unknown key `server.listenn`, did you mean `server.listen`?
    COUNTERFOIL_DOORS__API: `doors.api` must be true or false, not `yes`
    COUNTERFOIL_DATA__DATABASE: `data.database` must be sqlite:PATH or postgres://USER@HOST/NAME
    ");
}

#[test]
fn keys_that_contradict_each_other_are_refused() {
    assert_snapshot!(faults("[server.tls]\ncert = \"a\""), @"`server.tls.cert` and `server.tls.key` go together: set both or none");
    assert!(from_file("[tokens]\nretired_prefixes = [\"cfl\"]").is_err());
}

#[test]
fn what_says_who_is_believed_or_carries_a_secret_crosses_no_network_in_clear() {
    let keys = |url: &str| from_file(&format!("[leaks]\ngithub_keys_url = \"{url}\""));
    let authorization = "otlp_authorization = \"Bearer x\"";
    let traces = |url: &str, more: &str| {
        from_file(&format!("[telemetry]\notlp_endpoint = \"{url}\"\n{more}"))
    };
    for here in
        ["https://keys.example.org", "http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"]
    {
        assert!(keys(here).is_ok() && traces(here, authorization).is_ok(), "{here}");
    }
    for away in ["http://keys.example.org", "http://192.0.2.1:1", "http://127.0.0.1.example.org"] {
        let said = keys(away).unwrap_err().to_string();
        assert!(said.contains("leaks.github_keys_url"), "{said}");
        let said = traces(away, authorization).unwrap_err().to_string();
        assert!(said.contains("telemetry.otlp_endpoint") && !said.contains("Bearer"), "{said}");
        // A span says nothing that has to be kept secret.
        assert!(traces(away, "").is_ok());
    }
}

#[test]
fn whoever_vouches_for_people_is_named_in_full() {
    let oidc = |more: &str| {
        let file = "[console.oidc]\nissuer = \"https://sso.example/\"\nclient_id = \"cf\"\n";
        from_file(&format!("{file}{more}"))
    };
    let settings = oidc("roles = { \"a,b=c\" = \"verifier:git\" }").unwrap().console;
    let settings = settings.oidc_settings().unwrap();
    assert_eq!((settings.issuer.as_str(), settings.roles.len()), ("https://sso.example/", 1));
    assert!(from_file("").unwrap().console.oidc_settings().is_none());
    assert!(from_file("").unwrap().console.proxy_settings().is_none());
    for more in [
        "scopes = \"profile\"",
        "roles = { \"a\" = \"emperor\" }",
        "accounts = \"any\"",
        "[server]\nlisten = \"0.0.0.0:1\"",
    ] {
        assert!(oidc(more).is_err(), "{more}");
    }
    for file in [
        "[console.oidc]\nissuer = \"https://sso.example/\"",
        "[console.oidc]\nissuer = \"http://sso.example/\"\nclient_id = \"cf\"",
        "[console.proxy]\nnetworks = [\"0.0.0.0/0\"]",
        "[console.proxy]\nuser_header = \"Authorization\"",
    ] {
        assert!(from_file(file).is_err(), "{file}");
    }
    let roles = ("COUNTERFOIL_CONSOLE__PROXY__ROLES", "cn=a,dc=b=auditor; x=unit-admin:u1");
    let networks = ("COUNTERFOIL_CONSOLE__PROXY__NETWORKS", "10.0.0.5");
    let console = from_environment(&[roles, networks]).unwrap().console;
    assert_eq!(console.proxy_settings().unwrap().roles.len(), 2);
}

#[test]
fn old_systems_are_named_each_in_a_section() {
    let ldap = "kind = \"ldap\"\nurl = \"ldaps://old\"\nbind_dn = \"uid={user},o=x\"";
    let file = format!("[shadow.old]\n{ldap}\nservices = [\"mail\"]\ndoors = [\"ldap\"]");
    let [old] = super::old_systems(&from_file(&file).unwrap()).try_into().unwrap();
    let settings = &old.settings;
    assert_eq!((settings.name.as_str(), settings.realm.as_str()), ("old", "main"));
    assert_eq!((settings.share, settings.wrong_every_seconds), (1, 900));
    assert!(settings.by_name && !settings.own_tokens);
    let url = ("COUNTERFOIL_SHADOW__OLD__URL", "https://old.example");
    let kind = ("COUNTERFOIL_SHADOW__OLD__KIND", "http");
    assert_eq!(super::old_systems(&from_environment(&[url, kind]).unwrap()).len(), 1);
    assert!(super::old_systems(&from_file("").unwrap()).is_empty());
}

/// What is presented crosses no network in clear.
#[test]
fn an_old_system_is_asked_inside_tls_or_on_this_machine() {
    let http = |url: &str| format!("kind = \"http\"\nurl = \"{url}\"");
    let ldap = |url: &str| format!("kind = \"ldap\"\nurl = \"{url}\"\nbind_dn = \"uid={{user}}\"");
    let is_taken = |keys: &str| from_file(&format!("[shadow.old]\n{keys}")).is_ok();
    for keys in [
        http("https://old.example/me?x=1"),
        http("http://127.0.0.1:1/me"),
        http("http://localhost:1"),
        ldap("ldaps://old.example"),
        // It becomes TLS by StartTLS.
        ldap("ldap://old.example"),
        ldap("ldap://localhost:389"),
    ] {
        assert!(is_taken(&keys), "{keys}");
    }
    for keys in [
        http("http://old.example"),
        http("http://localhost@old.example"),
        http("ldaps://old.example"),
        ldap("https://old.example"),
        format!("{}\nstart_tls = false", ldap("ldap://old.example")),
        "kind = \"ldap\"\nurl = \"ldaps://old\"".to_owned(),
        "kind = \"ldap\"\nurl = \"ldaps://old\"\nbind_dn = \"uid=alice\"".to_owned(),
        "kind = \"introspection\"\nurl = \"https://old\"".to_owned(),
        "url = \"https://old\"".to_owned(),
        "kind = \"http\"".to_owned(),
        format!("{}\nwrong_every = \"0s\"", http("https://old")),
        format!("{}\ndoors = [\"console\"]", http("https://old")),
        format!("{}\ncolour = \"red\"", http("https://old")),
    ] {
        assert!(!is_taken(&keys), "{keys}");
    }
    assert!(from_file(&format!("[shadow.Old]\n{}", http("https://old"))).is_err());
}

#[test]
fn a_secret_is_read_from_its_file_and_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bearer");
    std::fs::write(&path, "metrics-secret\n").unwrap();
    let config = from_file(&format!("[metrics]\nbearer = \"file:{}\"", path.display())).unwrap();
    assert_eq!(config.metrics.bearer.as_ref().unwrap().reveal(), "metrics-secret");
    assert!(!format!("{config:?}").contains("metrics-secret"));
    assert!(from_file("[metrics]\nbearer = \"file:/does/not/exist\"").is_err());
}

#[test]
fn the_default_file_is_as_committed() {
    assert_snapshot!(document::default_file());
}

#[test]
fn the_schema_is_as_committed() {
    insta::assert_json_snapshot!(document::schema());
}

/// The page is for readers of the repository; after a change of the table
/// `counterfoil config reference` writes it anew.
#[test]
fn the_reference_page_is_as_committed() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/configuration.md");
    assert_eq!(std::fs::read_to_string(page).unwrap(), document::reference());
}
