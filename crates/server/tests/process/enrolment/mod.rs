//! Registration tokens, as devices draw from them: on the embedded store and on three nodes of
//! one PostgreSQL. Tests are named by their numbers in the reference on Sentinel EMS.

mod counting;
mod life;
mod reach;

use std::sync::Barrier;

use serde_json::{Value, json};

use crate::nodes::Nodes;
use crate::wire::{Answer, Api, Request, below_main};
use crate::world::{Issued, UNTHROTTLED, World, merged};

/// Clients of a race.
const CLIENTS: usize = 200;

/// An installation with as many processes as its store takes.
pub(super) struct Place {
    /// An administrator at each process.
    pub(super) admins: Vec<Api>,
    // Last, so that nobody asks any more when it ends.
    _runs: Runs,
}

/// What has to stay alive.
#[expect(dead_code, reason = "they are only kept alive")]
enum Runs {
    Sqlite(Box<World>),
    Postgres(Box<Nodes>),
}

impl Place {
    /// One process with the embedded store.
    pub(super) fn sqlite() -> Self {
        let world = World::new(UNTHROTTLED);
        Self { admins: vec![world.admin.clone()], _runs: Runs::Sqlite(Box::new(world)) }
    }

    /// Three processes on one PostgreSQL.
    pub(super) fn postgres() -> Self {
        let nodes = Nodes::new();
        let admins = nodes.nodes.iter().map(|node| node.admin.clone()).collect();
        Self { admins, _runs: Runs::Postgres(Box::new(nodes)) }
    }

    pub(super) fn admin(&self) -> &Api {
        &self.admins[0]
    }

    /// Issues a registration token, with further fields.
    #[track_caller]
    pub(super) fn registration(&self, more: &Value) -> Issued {
        registration(self.admin(), more)
    }

    /// A token as it stands.
    #[track_caller]
    pub(super) fn shown(&self, token: &Issued) -> Value {
        self.admin().get(&token.path("")).expect(200)
    }

    /// Everything that was drawn.
    #[track_caller]
    pub(super) fn children(&self, token: &Issued) -> Vec<Value> {
        let page = self.admin().get(&token.path("/children?limit=1000")).expect(200);
        page["items"].as_array().unwrap().clone()
    }

    /// Events of a kind about a token, each as often as it stands for.
    #[track_caller]
    pub(super) fn told(&self, token: &Issued, kind: &str) -> u64 {
        let events = self.admin().get(&token.path("/events?limit=1000")).expect(200);
        let events = events["items"].as_array().unwrap();
        let of_kind = events.iter().filter(|event| event["kind"] == kind);
        of_kind.map(|event| event["count"].as_u64().unwrap_or(1)).sum()
    }

    /// Asks once on each of many connections, spread over the processes, at the same time.
    pub(super) fn race(
        &self,
        clients: usize,
        ask: impl Fn(usize, &Api) -> Answer + Sync,
    ) -> Vec<Answer> {
        let line = Barrier::new(clients);
        std::thread::scope(|scope| {
            let racing: Vec<_> = (0..clients)
                .map(|number| {
                    let admin = self.admins[number % self.admins.len()].clone();
                    let (line, ask) = (&line, &ask);
                    scope.spawn(move || {
                        // Connected before the start, so that the requests meet.
                        admin.get("/services/git").expect(200);
                        line.wait();
                        ask(number, &admin)
                    })
                })
                .collect();
            racing.into_iter().map(|client| client.join().unwrap()).collect()
        })
    }
}

/// Issues a registration token, with further fields.
#[track_caller]
pub(super) fn registration(admin: &Api, more: &Value) -> Issued {
    let body = merged(json!({ "kind": "registration_token", "name": "fleet" }), more);
    Issued::of(&admin.post("/tokens", &body).expect(201))
}

/// What a device tells of itself.
pub(super) fn device(number: usize) -> Value {
    json!({ "subject": format!("device-{number}"), "hostname": format!("ws-{number}.acme.example"),
        "system_user": "svc" })
}

/// Draws by a registration token, with further headers.
pub(super) fn draw(api: &Api, secret: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::new("POST", below_main("/enrol")).json(body).bearer(secret);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    api.raw(&request)
}

/// How many answers have a status.
pub(super) fn number(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}
