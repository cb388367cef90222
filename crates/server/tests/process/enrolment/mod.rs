//! Registration tokens, as devices draw from them: on the embedded store and on three nodes of
//! one PostgreSQL. Tests are named by their numbers in the reference on Sentinel EMS.

mod counting;
mod doors;
mod life;
mod mishaps;
mod reach;
mod renewal;

use std::net::SocketAddr;
use std::sync::Barrier;

use serde_json::{Value, json};

use crate::nodes::Nodes;
use crate::wire::{Answer, Api, Connection, Request, below_main};
use crate::world::{Issued, UNTHROTTLED, World, merged};

/// Clients of a race.
const CLIENTS: usize = 200;
/// Connections that those share who do not have one each, and the processes these lead to.
const CONNECTIONS: usize = 8;
const PROCESSES: usize = 2;

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

    /// The same of many clients who share few connections to two of the processes.
    pub(super) fn race_over(
        &self,
        connections: usize,
        clients: usize,
        request: impl Fn(usize) -> Request,
    ) -> Vec<Answer> {
        let addresses: Vec<_> = self.admins.iter().take(PROCESSES).map(|api| api.address).collect();
        race_over(&addresses, connections, clients, request)
    }

    /// Asks once on each of many connections, spread over the processes, at the same time.
    pub(super) fn race<T: Send>(
        &self,
        clients: usize,
        ask: impl Fn(usize, &Api) -> T + Sync,
    ) -> Vec<T> {
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

/// The same test on each store.
pub(super) fn both(test: impl Fn(&Place)) {
    test(&Place::sqlite());
    test(&Place::postgres());
}

/// Sends the requests of many clients over few connections, spread over some processes, at the
/// same time: on each connection one behind the other, without waiting for answers.
pub(super) fn race_over(
    processes: &[SocketAddr],
    connections: usize,
    clients: usize,
    request: impl Fn(usize) -> Request,
) -> Vec<Answer> {
    let line = Barrier::new(connections);
    let addresses = processes.iter().copied().cycle();
    let shares: Vec<(SocketAddr, Vec<Vec<u8>>)> = addresses
        .take(connections)
        .enumerate()
        .map(|(number, address)| {
            let own = (number..clients).step_by(connections);
            (address, own.map(|client| request(client).bytes(address)).collect())
        })
        .collect();
    std::thread::scope(|scope| {
        let racing: Vec<_> = shares
            .iter()
            .map(|(address, requests)| {
                let line = &line;
                scope.spawn(move || {
                    let mut connection = Connection::open(*address).unwrap();
                    line.wait();
                    connection.exchange_all(requests).unwrap()
                })
            })
            .collect();
        racing.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
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

/// What draws by a registration token, with further headers.
pub(super) fn drawing(secret: &str, body: &Value, headers: &[(&str, &str)]) -> Request {
    let request = Request::new("POST", below_main("/enrol")).json(body).bearer(secret);
    headers.iter().fold(request, |request, (name, value)| request.header(name, *value))
}

/// Draws by a registration token, with further headers.
pub(super) fn draw(api: &Api, secret: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
    api.raw(&drawing(secret, body, headers))
}

/// How many answers have a status.
pub(super) fn number(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}
