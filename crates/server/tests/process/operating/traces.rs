//! Traces at a collector that takes them, and beside one that does not.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use counterfoil_server::clock::Stopwatch;
use serde_json::{Value, json};

use crate::harness::{PATIENCE, await_some, await_true};
use crate::ldap::person;
use crate::wire::{Request, below_main};
use crate::world::{World, authz};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";
/// Requests that a collector that hangs must not hold up.
const REQUESTS: usize = 6000;

/// A collector.
struct Collector {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<Post>>>,
}

/// A request that it got.
struct Post {
    head: String,
    body: Value,
}

impl Collector {
    /// One that answers everything with `status`, or, with `None`, nothing at all.
    fn start(status: Option<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let posts = Arc::clone(&taken);
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming().flatten() {
                match status {
                    None => held.push(stream),
                    Some(status) => {
                        let posts = Arc::clone(&posts);
                        std::thread::spawn(move || serve(stream, status, &posts));
                    }
                }
            }
        });
        Self { address, taken }
    }

    /// Every span so far.
    fn spans(&self) -> Vec<Value> {
        let posts = self.taken.lock().unwrap();
        let spans = posts.iter().flat_map(|post| {
            let scopes = post.body["resourceSpans"][0]["scopeSpans"].as_array().unwrap();
            scopes.iter().flat_map(|scope| scope["spans"].as_array().unwrap())
        });
        spans.cloned().collect()
    }

    /// Waits for a span that has this value of an attribute.
    fn span(&self, key: &str, value: &str) -> Value {
        await_some(&format!("a span with {key} {value}"), PATIENCE, || {
            self.spans().into_iter().find(|span| attribute(span, key) == json!(value))
        })
    }
}

fn attribute(span: &Value, key: &str) -> Value {
    let attributes = span["attributes"].as_array().unwrap();
    let found = attributes.iter().find(|one| one["key"] == json!(key));
    found.map_or(Value::Null, |one| {
        let value = one["value"].as_object().unwrap();
        value.values().next().unwrap().clone()
    })
}

fn serve(stream: TcpStream, status: u16, posts: &Mutex<Vec<Post>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let lower = head.to_ascii_lowercase();
        let (_, length) = lower.split_once("content-length: ").unwrap();
        let mut body = vec![0; length.split("\r\n").next().unwrap().parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        posts.lock().unwrap().push(Post { head, body: serde_json::from_slice(&body).unwrap() });
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\n{{}}");
        if reader.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// Has every body read by the schema that OpenTelemetry publishes.
fn read_by_others(posts: &[Post]) {
    let python = std::env::var_os("COUNTERFOIL_OTLP_PYTHON").map(std::path::PathBuf::from);
    let Some(python) = python.filter(|path| path.is_file()) else {
        assert!(std::env::var_os("CI").is_none(), "no schema of OTLP");
        println!("left out: COUNTERFOIL_OTLP_PYTHON names no Python with opentelemetry-proto");
        return;
    };
    let mut reader = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/process/operating/otlp.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let bodies: Vec<String> = posts.iter().map(|post| post.body.to_string()).collect();
    reader.stdin.take().unwrap().write_all((bodies.join("\n") + "\n").as_bytes()).unwrap();
    let read = reader.wait_with_output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let spans = String::from_utf8_lossy(&read.stdout).into_owned();
    assert!(spans.lines().any(|line| line == "POST /api/v1/realms/{realm}/verify 2 6"), "{spans}");
}

fn settings(collector: &Collector, more: &str) -> String {
    format!(
        "abuse.throttle = false\n[telemetry]\notlp_endpoint = \"http://{}\"\n{more}",
        collector.address
    )
}

fn dropped(world: &World) -> u64 {
    let scrape = world.admin.send(Request::new("GET", "/metrics")).text();
    let name = "counterfoil_spans_total{outcome=\"dropped\"} ";
    scrape.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap()
}

#[test]
fn a_collector_gets_a_span_of_each_request_that_names_neither_secret_nor_person() {
    let collector = Collector::start(Some(200));
    let authorization = "otlp_authorization = \"Bearer for-the-collector\"";
    let mut world = World::new(&settings(&collector, authorization));
    let token = world.pat();
    let line = format!("00-{TRACE}-{SPAN}-01");
    let question = Request::new("POST", below_main("/verify"))
        .json(&json!({ "token": token.secret, "username": "alice" }))
        .header("traceparent", line);
    let answer = world.verifier.send(question);
    assert_eq!(answer.expect(200)["active"], json!(true));
    let request_id = answer.header("x-request-id");

    let span = collector.span("counterfoil.request_id", request_id);
    assert_eq!(span["traceId"], json!(TRACE));
    assert_eq!(span["parentSpanId"], json!(SPAN));
    assert_eq!(span["kind"], json!(2));
    assert_eq!(span["name"], json!("POST /api/v1/realms/{realm}/verify"));
    assert_eq!(attribute(&span, "counterfoil.door"), json!("api"));
    assert_eq!(attribute(&span, "counterfoil.outcome"), json!("active"));
    assert_eq!(attribute(&span, "http.response.status_code"), json!("200"));
    let nanos = |name: &str| span[name].as_str().unwrap().parse::<u64>().unwrap();
    assert!(nanos("startTimeUnixNano") < nanos("endTimeUnixNano"));

    // Every door has its own way of saying no, and the span says why.
    world.admin.post(&token.path("/revoke"), &json!({})).expect(200);
    world.admin.raw(&authz("git", "alice", &token.secret));
    let refused = collector.span("counterfoil.door", "forward-auth");
    assert_eq!(attribute(&refused, "counterfoil.outcome"), json!("revoked"));
    assert_eq!(refused["traceId"].as_str().unwrap().len(), 32);
    assert!(refused.get("parentSpanId").is_none());
    let dn = person("alice", "git");
    world.ldap().bind(&dn, &token.secret);
    let bound = collector.span("counterfoil.door", "ldap");
    assert_eq!(
        (&bound["name"], attribute(&bound, "counterfoil.outcome")),
        (&json!("bind"), json!("revoked"))
    );
    assert_ne!(attribute(&bound, "counterfoil.request_id"), Value::Null);
    let odd = Request::new(&token.secret, format!("/{}?token={}", token.secret, token.secret));
    let odd = world.admin.raw(&odd.header("traceparent", token.secret.clone()));
    let span = collector.span("counterfoil.request_id", odd.header("x-request-id"));
    assert_eq!(span["name"], json!("_OTHER unmatched"));

    // What its sender does not trace is not traced here.
    let untraced =
        Request::new("GET", "/healthz/live").header("traceparent", format!("00-{TRACE}-{SPAN}-00"));
    let untraced = world.admin.raw(&untraced).header("x-request-id").to_owned();
    assert!(world.server.stop().success());
    let posts = collector.taken.lock().unwrap();
    read_by_others(&posts);
    for Post { head, body } in posts.iter() {
        assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("authorization: Bearer for-the-collector\r\n"), "{head}");
        let body = body.to_string();
        let tail = &token.secret[token.secret.len() - 20..];
        for needle in [tail, "alice", &untraced, &world.admin.key] {
            assert!(!body.contains(needle), "{needle} in {body}");
        }
    }
}

#[test]
fn a_collector_that_never_answers_holds_nobody_up_and_what_it_misses_is_counted() {
    let collector = Collector::start(None);
    let mut world = World::new(&settings(&collector, ""));
    let token = world.pat();
    let watch = Stopwatch::start();
    for _ in 0..REQUESTS {
        world.verify(&token.secret);
    }
    // A collector may take five seconds for a batch; nobody waited for even one of a dozen.
    assert!(watch.elapsed() < Duration::from_mins(1), "{:?}", watch.elapsed());
    assert!(dropped(&world) > 0, "the queue holds 4096");
    assert!(world.server.stop().success());
}

#[test]
fn a_collector_that_refuses_is_not_asked_again_and_again() {
    let collector = Collector::start(Some(400));
    let world = World::new(&settings(&collector, ""));
    world.pat();
    await_true("the spans are counted as dropped", PATIENCE, || dropped(&world) > 0);
    let log = world.server.log();
    assert_eq!(log.matches("the collector of traces takes no spans").count(), 1, "{log}");
}

#[test]
fn with_a_share_of_none_nothing_is_sent() {
    let collector = Collector::start(Some(200));
    let mut world = World::new(&settings(&collector, "sample_percent = 0"));
    world.pat();
    assert!(world.server.stop().success());
    assert_eq!(collector.spans(), [0; 0]);
}
