//! How a token is put to use: what people paste into their programs, and what those paste who run
//! the service.
//!
//! Which of them are shown follows from the doors that the service's policy leaves open; which one
//! comes first is guessed from its name and address.

use counterfoil_authority::policy::EffectivePolicy;
use counterfoil_authority::service::{Origin, Service};
use counterfoil_authority::verdict::Door;

use super::words::Language;
use crate::http::state::HttpSettings;

/// What stands where a secret will be.
const PLACEHOLDER: &str = "TOKEN";

/// A recipe on a page.
pub(super) struct Recipe {
    /// The id of its element, for the button that copies it.
    pub(super) id: &'static str,
    pub(super) title: String,
    pub(super) hint: String,
    pub(super) text: String,
}

/// What recipes are written of.
pub(super) struct Ingredients<'a> {
    pub(super) language: Language,
    pub(super) settings: &'a HttpSettings,
    pub(super) service: &'a Service,
    pub(super) policy: &'a EffectivePolicy,
    pub(super) username: &'a str,
    /// The secret, on the one page that shows it.
    pub(super) secret: Option<&'a str>,
    /// Whether the token may be sent without a user name.
    pub(super) is_bearer: bool,
}

/// What a service is by its name and address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trade {
    Git,
    Mail,
    Network,
    Database,
    Directory,
    Web,
}

/// Words that give a trade away, in a label, a name or an address.
const WORDS: [(Trade, &[&str]); 5] = [
    (Trade::Git, &["git", "svn", "forge", "repo"]),
    (Trade::Mail, &["mail", "imap", "smtp"]),
    (Trade::Network, &["wifi", "wi-fi", "wlan", "eduroam", "radius", "vpn"]),
    (Trade::Database, &["postgres", "psql", "sql", "database"]),
    (Trade::Directory, &["ldap", "directory"]),
];

fn trade(service: &Service) -> Trade {
    let said = format!(
        "{} {} {}",
        service.label,
        service.name,
        service.url.as_deref().unwrap_or_default()
    );
    let said = said.to_lowercase();
    let found = WORDS.iter().find(|(_, words)| words.iter().any(|word| said.contains(word)));
    found.map_or(Trade::Web, |(trade, _)| *trade)
}

/// A text as one word of a POSIX shell.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The host in an address, without its port.
fn host_of(url: &str) -> Option<&str> {
    let rest = url.split_once("://")?.1;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    let bare = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    (!bare.is_empty()).then_some(bare)
}

impl Ingredients<'_> {
    fn secret(&self) -> &str {
        self.secret.unwrap_or(PLACEHOLDER)
    }

    /// Whether tokens of the service are taken at one of these doors.
    fn takes(&self, doors: &[Door]) -> bool {
        let open = |door: &Door| match door {
            Door::ForwardAuth => self.settings.forward_auth,
            Door::Ldap => self.settings.ldap.is_some(),
            _ => self.settings.api,
        };
        let allowed = |door: &Door| self.policy.doors.as_ref().is_none_or(|own| own.contains(door));
        doors.iter().any(|door| open(door) && allowed(door))
    }

    /// Where the service is, as far as it says so.
    fn host(&self) -> String {
        // It stands in commands and in configuration that people paste: nothing but a name or an
        // address, whoever wrote the URL.
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        let own = self.service.url.as_deref().and_then(host_of);
        let own = own.filter(|host| !host.starts_with('-') && host.chars().all(plain));
        own.map_or_else(|| format!("{}.example.org", self.service.label), str::to_owned)
    }

    fn address(&self) -> String {
        let own = self.service.url.clone().filter(|url| super::home::is_web(url));
        own.unwrap_or_else(|| self.door())
    }

    /// Where a proxy asks about the service.
    fn door(&self) -> String {
        format!("{}/authz/{}", self.settings.public_url, self.service.label)
    }

    fn recipe(&self, id: &'static str, text: String) -> Recipe {
        let say = |what: &str| self.language.say(&format!("{id}-{what}"));
        Recipe { id, title: say("title"), hint: say("hint"), text }
    }

    fn curl(&self) -> Recipe {
        let (user, secret) = (self.username, self.secret());
        let address = word(&self.address());
        let mut lines = vec![format!("curl -u {} {address}", word(&format!("{user}:{secret}")))];
        if self.is_bearer {
            let header = word(&format!("Authorization: Bearer {secret}"));
            lines.push(format!("curl -H {header} {address}"));
        }
        self.recipe("recipe-curl", lines.join("\n"))
    }

    fn git(&self) -> Recipe {
        let (host, user, secret) = (self.host(), self.username, self.secret());
        let fields = [
            "protocol=https".to_owned(),
            format!("host={host}"),
            format!("username={user}"),
            format!("password={secret}"),
        ];
        let fields: Vec<String> = fields.iter().map(|field| word(field)).collect();
        let text = format!(
            "printf '%s\\n' {} | git credential approve\ngit clone {}",
            fields.join(" "),
            word(&format!("https://{host}/..."))
        );
        self.recipe("recipe-git", text)
    }

    fn mail(&self) -> Recipe {
        let (host, user, secret) = (self.host(), self.username, self.secret());
        let text = format!(
            "IMAP      {host}, 993, SSL/TLS\nSMTP      {host}, 465, SSL/TLS\n\
             User name {user}\nPassword  {secret}\nMethod    Normal password"
        );
        self.recipe("recipe-mail", text)
    }

    fn network(&self) -> Recipe {
        let (user, secret) = (self.username, self.secret());
        let text = format!("EAP       TTLS, PAP\nIdentity  {user}\nPassword  {secret}");
        self.recipe("recipe-network", text)
    }

    fn database(&self) -> Recipe {
        let (host, user, secret) = (self.host(), self.username, self.secret());
        // In the file of passwords both of these have a meaning of their own.
        let escaped = |text: &str| text.replace('\\', "\\\\").replace(':', "\\:");
        let line = format!("{host}:5432:*:{}:{}", escaped(user), escaped(secret));
        let text = format!(
            "umask 077; printf '%s\\n' {} >>~/.pgpass\npsql -h {} -U {}",
            word(&line),
            word(&host),
            word(user)
        );
        self.recipe("recipe-database", text)
    }

    fn directory(&self) -> Option<Recipe> {
        let (address, services) = self.tree()?;
        let label = &self.service.label;
        let name = word(&format!("uid={},ou={label},{services}", self.username));
        let secret = word(self.secret());
        let text = format!("ldapwhoami -x -H {address} \\\n    -D {name} \\\n    -w {secret}");
        Some(self.recipe("recipe-directory", text))
    }

    /// The LDAP door, and the name above all services in it.
    fn tree(&self) -> Option<(String, String)> {
        let place = self.settings.ldap.as_ref()?;
        let host = host_of(&self.settings.public_url).unwrap_or("localhost");
        let address = format!("ldap://{host}:{}", place.listen.port());
        Some((address, format!("ou=services,{}", place.base_dn)))
    }

    /// What the person pastes, the likeliest first.
    pub(super) fn of_person(&self) -> Vec<Recipe> {
        let web = self.takes(&[Door::ForwardAuth, Door::Api]);
        let any = self.takes(&[Door::ForwardAuth, Door::Api, Door::Ldap]);
        let own = trade(self.service);
        let mut recipes: Vec<(Trade, Recipe)> = Vec::new();
        if web {
            recipes.push((Trade::Web, self.curl()));
            recipes.push((Trade::Git, self.git()));
        }
        if any {
            recipes.push((Trade::Mail, self.mail()));
            recipes.push((Trade::Network, self.network()));
            recipes.push((Trade::Database, self.database()));
        }
        if self.takes(&[Door::Ldap])
            && let Some(recipe) = self.directory()
        {
            recipes.push((Trade::Directory, recipe));
        }
        // The sort is stable: the others stay in their order.
        recipes.sort_by_key(|(trade, _)| *trade != own);
        recipes.into_iter().map(|(_, recipe)| recipe).collect()
    }

    /// What whoever runs the service pastes.
    pub(super) fn of_operator(&self) -> Vec<Recipe> {
        let mut recipes = Vec::new();
        if self.takes(&[Door::ForwardAuth]) {
            recipes.push(self.nginx());
            recipes.push(self.caddy());
            recipes.push(self.freeradius());
        }
        if self.takes(&[Door::Ldap])
            && let Some(recipe) = self.dovecot()
        {
            recipes.push(recipe);
        }
        if trade(self.service) == Trade::Mail {
            recipes.reverse();
        }
        recipes
    }

    fn nginx(&self) -> Recipe {
        let door = self.door();
        // Where the service reads what is asked for, it has to be told.
        let asked = match self.service.forward_auth.origin {
            Origin::Subpath => "",
            Origin::XOriginal => {
                "    proxy_set_header X-Original-Method $request_method;\n    \
                 proxy_set_header X-Original-URI $request_uri;\n"
            }
            Origin::XForwarded => {
                "    proxy_set_header X-Forwarded-Method $request_method;\n    \
                 proxy_set_header X-Forwarded-Uri $request_uri;\n"
            }
        };
        let text = format!(
            "location / {{\n    auth_request /.counterfoil;\n    \
             auth_request_set $cf_user $upstream_http_remote_user;\n    \
             proxy_pass http://127.0.0.1:9000;\n    \
             proxy_set_header Remote-User $cf_user;\n    \
             proxy_set_header Authorization \"\";\n}}\n\n\
             location = /.counterfoil {{\n    internal;\n    proxy_pass {door};\n    \
             proxy_pass_request_body off;\n    proxy_pass_request_headers off;\n    \
             proxy_set_header Content-Length \"\";\n    \
             proxy_set_header Authorization $http_authorization;\n    \
             proxy_set_header X-Forwarded-For $remote_addr;\n{asked}}}"
        );
        self.recipe("recipe-nginx", text)
    }

    fn caddy(&self) -> Recipe {
        let (url, label) = (&self.settings.public_url, &self.service.label);
        let host = self.host();
        let text = format!(
            "{host} {{\n\trequest_header -Remote_User\n\tforward_auth {url} {{\n\t\t\
             uri /authz/{label}\n\t\tcopy_headers Remote-User\n\t}}\n\t\
             reverse_proxy 127.0.0.1:9000 {{\n\t\theader_up -Authorization\n\t}}\n}}"
        );
        self.recipe("recipe-caddy", text)
    }

    fn freeradius(&self) -> Recipe {
        let (url, label) = (&self.settings.public_url, &self.service.label);
        let text = format!(
            "rest {{\n\tconnect_uri = \"{url}\"\n\tauthenticate {{\n\t\t\
             uri = \"${{..connect_uri}}/authz/{label}\"\n\t\tmethod = 'get'\n\t\t\
             auth = 'basic'\n\t\tusername = \"%{{User-Name}}\"\n\t\t\
             password = \"%{{User-Password}}\"\n\t}}\n}}"
        );
        self.recipe("recipe-freeradius", text)
    }

    fn dovecot(&self) -> Option<Recipe> {
        let (address, services) = self.tree()?;
        let base = services.strip_prefix("ou=services,").unwrap_or(&services);
        let label = &self.service.label;
        let text = format!(
            "uris = {address}\ndn = cn=dovecot,ou=clients,{base}\ndnpass = cflk_...\n\
             auth_bind = yes\nbase = ou={label},{services}\n\
             pass_filter = (&(objectClass=inetOrgPerson)(uid=%u))\npass_attrs = uid=user"
        );
        Some(self.recipe("recipe-dovecot", text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_a_shell_is_one_word_whatever_it_holds() {
        assert_eq!(word("alice:cflp_x"), "alice:cflp_x");
        assert_eq!(word("a b"), "'a b'");
        assert_eq!(word("it's; rm -rf $HOME"), "'it'\\''s; rm -rf $HOME'");
        assert_eq!(word(""), "''");
    }

    #[test]
    fn every_recipe_has_words() {
        let of_people = ["curl", "git", "mail", "network", "database", "directory"];
        let of_operators = ["nginx", "caddy", "freeradius", "dovecot"];
        for language in [Language::English, Language::German] {
            for name in of_people.iter().chain(&of_operators) {
                for what in ["title", "hint"] {
                    let id = format!("recipe-{name}-{what}");
                    assert_ne!(language.say(&id), id);
                }
            }
        }
    }

    #[test]
    fn a_host_is_what_stands_between_scheme_and_path() {
        for (url, host) in [
            ("https://git.example.org/x", Some("git.example.org")),
            ("imaps://alice@mail.example.org:993", Some("mail.example.org")),
            ("http://127.0.0.1:8780", Some("127.0.0.1")),
            ("https://[2001:db8::1]/x", Some("[2001:db8::1]")),
            ("git.example.org", None),
            ("https:///x", None),
        ] {
            assert_eq!(host_of(url), host, "{url}");
        }
    }
}
