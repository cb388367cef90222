//! What most tests begin with: a person, a service, a verifier, and tokens of the person.

use std::process::Output;

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::harness::{Server, Site};
use crate::wire::{Answer, Api, Request};

/// Refusals come at once, so that a test can ask for many of them.
pub(crate) const UNTHROTTLED: &str = "abuse.throttle = false";

/// A token as it was issued.
#[derive(Debug, Clone)]
pub(crate) struct Issued {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl Issued {
    /// Reads an answer that carries a secret.
    pub(crate) fn of(answer: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let issued = Self { id: text(&answer["token"]["id"]), secret: text(&answer["secret"]) };
        assert!(!issued.id.is_empty() && !issued.secret.is_empty(), "no secret in {answer}");
        issued
    }

    /// The path of the token below its realm.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/tokens/{}{rest}", self.id)
    }
}

/// A served installation with `alice`, the service `git` and a client that verifies for it.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) admin: Api,
    pub(crate) verifier: Api,
    // Last, so that nothing runs any more when the directory and the database go.
    pub(crate) site: Site,
    /// The PostgreSQL that its database is in, unless it is the embedded one.
    pub(crate) cluster: Option<Cluster>,
}

/// The database of an installation that has one in PostgreSQL.
const DATABASE: &str = "cf";

impl World {
    /// An installation on the embedded store, then one on a PostgreSQL of its own.
    pub(crate) fn on_each_store(settings: &str) -> impl Iterator<Item = Self> {
        [Self::new, Self::on_postgres].into_iter().map(move |make| make(settings))
    }

    /// An installation on a PostgreSQL of its own.
    pub(crate) fn on_postgres(settings: &str) -> Self {
        let cluster = Cluster::start();
        cluster.make_database(DATABASE);
        println!("on PostgreSQL:");
        let settings = within(Some(&cluster), settings);
        Self { cluster: Some(cluster), ..Self::at(Site::new(), &settings) }
    }

    pub(crate) fn new(settings: &str) -> Self {
        Self::at(Site::new(), settings)
    }

    /// The same in a place that was made ready for it.
    pub(crate) fn at(site: Site, settings: &str) -> Self {
        let server = site.serve(settings);
        Self::around(site, server)
    }

    /// The same with a server that was started in its own way.
    pub(crate) fn around(site: Site, server: Server) -> Self {
        let admin = site.admin(&server);
        user(&admin, "alice");
        service(&admin, "git", &json!({}));
        let verifier = verifier(&admin, "git-verifier", &["git"]);
        Self { server, admin, verifier, site, cluster: None }
    }

    /// Serves the same installation again, after its server has ended.
    pub(crate) fn serve_again(&mut self, settings: &str) {
        self.server = self.site.serve(&within(self.cluster.as_ref(), settings));
        self.admin = Api::new(self.server.address, &self.admin.key);
        self.verifier = Api::new(self.server.address, &self.verifier.key);
    }

    /// Where its database is, unless it lies in the data directory.
    pub(crate) fn database(&self) -> Option<String> {
        let host = self.cluster.as_ref()?.host();
        Some(format!("postgres://cf@{host}/{DATABASE}"))
    }

    /// A command on the installation itself, run to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let database = self.database();
        let mut all = arguments.to_vec();
        all.extend(database.iter().flat_map(|url| ["--database", url]));
        self.site.run(&all)
    }

    /// Issues alice a token for `git`.
    #[track_caller]
    pub(crate) fn pat(&self) -> Issued {
        pat(&self.admin, &json!({}))
    }

    /// How often a token was used, as far as the store knows.
    pub(crate) fn usage_total(&self, token: &Issued) -> u64 {
        self.admin.get(&token.path("")).expect(200)["usage_total"].as_u64().unwrap()
    }

    /// The body of a verification of a secret for `git`.
    pub(crate) fn verify(&self, secret: &str) -> Value {
        verify(&self.verifier, secret).expect(200)
    }
}

/// Settings with the database that is in a cluster.
fn within(cluster: Option<&Cluster>, settings: &str) -> String {
    let Some(cluster) = cluster else { return settings.to_owned() };
    let host = cluster.host();
    // First, because what follows may open a table.
    format!("data.database = \"postgres://cf@{host}/{DATABASE}\"\n{settings}")
}

#[track_caller]
pub(crate) fn user(admin: &Api, name: &str) {
    admin.post("/users", &json!({ "username": name })).expect(201);
}

/// Makes a service, with further fields.
#[track_caller]
pub(crate) fn service(admin: &Api, label: &str, more: &Value) {
    let body = merged(json!({ "label": label, "name": label }), more);
    admin.post("/services", &body).expect(201);
}

/// A client that verifies for services.
#[track_caller]
pub(crate) fn verifier(admin: &Api, name: &str, services: &[&str]) -> Api {
    let body = json!({ "name": name, "roles": ["verifier"], "services": services });
    client(admin, &body)
}

/// A client, as its key can be used.
#[track_caller]
pub(crate) fn client(admin: &Api, body: &Value) -> Api {
    let made = admin.post("/clients", body).expect(201);
    admin.with_key(made["secret"].as_str().unwrap())
}

/// What is asked for when alice gets a token for `git`.
pub(crate) fn pat_body(more: &Value) -> Value {
    let body = json!({ "kind": "personal_access_token", "user": "alice", "name": "laptop",
        "services": ["git"] });
    merged(body, more)
}

/// Issues alice a token for `git`, with further or other fields.
#[track_caller]
pub(crate) fn pat(admin: &Api, more: &Value) -> Issued {
    Issued::of(&admin.post("/tokens", &pat_body(more)).expect(201))
}

/// Asks whether a secret is good for the verifier's service.
#[track_caller]
pub(crate) fn verify(verifier: &Api, secret: &str) -> Answer {
    verifier.post("/verify", &json!({ "token": secret }))
}

/// Whether a verification says so.
pub(crate) fn active(answer: &Answer) -> bool {
    answer.status == 200 && answer.json()["active"] == json!(true)
}

/// The secret with another last character.
pub(crate) fn mistyped(secret: &str) -> String {
    let (head, last) = secret.split_at(secret.len() - 1);
    format!("{head}{}", if last == "x" { 'y' } else { 'x' })
}

/// A forward-auth request for a service with a person's name and a secret.
pub(crate) fn authz(service: &str, user: &str, secret: &str) -> Request {
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{secret}"));
    Request::new("GET", format!("/authz/{service}"))
        .header("Authorization", format!("Basic {pair}"))
}

/// An object with the fields of another over its own.
pub(crate) fn merged(mut object: Value, over: &Value) -> Value {
    for (name, value) in over.as_object().into_iter().flatten() {
        object[name] = value.clone();
    }
    object
}
