//! Whole requests at every door as nobody means them: the corpus in `fuzz/corpus/doors` on every
//! run, and its mutations for as long as `cargo xtask fuzz` says.
//!
//! A file of the corpus is a request as it goes over the wire, with `{{names}}` where secrets of
//! the installation stand. Whatever is sent, it is answered in time, never with a fault of the
//! server, in the form of its door, without repeating a secret; and a request without any
//! credential that is good changes no token.

mod installation;

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, Request, Uri};
use bytes::Bytes;
use http_body_util::Full;
use serde_json::Value;

use crate::clock::Stopwatch;
use crate::mutations::{Changes, Dice, SEED, asked_time, corpus_files, decided};
use installation::{Answered, Installed};

/// How long a single request may take, on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an input at most.
const INPUT_BYTES_MAX: usize = 48 * 1024;
/// Inputs before everything begins anew: revoked tokens would let nobody in any more.
const INPUTS_PER_INSTALLATION: u64 = 300;

/// The request that the bytes are; `None` for what the HTTP library would have refused.
fn read(input: &[u8]) -> Option<Request<Full<Bytes>>> {
    let (head, body) = match input.windows(2).position(|two| two == b"\n\n") {
        Some(at) => (&input[..at], &input[at + 2..]),
        None => (input, &[][..]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let mut first = lines.next()?.splitn(2, |byte| *byte == b' ');
    let method = Method::from_bytes(first.next()?).ok()?;
    let uri = Uri::try_from(first.next()?).ok()?;
    let mut request = Request::new(Full::new(Bytes::copy_from_slice(body)));
    (*request.method_mut(), *request.uri_mut()) = (method, uri);
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        request.headers_mut().append(name, value);
    }
    Some(request)
}

/// What is wrong with an answer, if anything.
fn fault(installed: &Installed, input: &[u8], uri: &Uri, answer: &Answered) -> Option<String> {
    let (status, path) = (answer.status, uri.path());
    // AM names each resource that it decided about, and there a token is part of one.
    let is_decision = path.contains("/json/") && status < 300;
    // What a door does not offer at all, it says so.
    if status >= 500 && status != 501 {
        return Some(format!("{status}: {}", answer.text()));
    }
    for secret in installed.secrets() {
        if !is_decision && answer.holds(secret) {
            return Some(format!("a secret is repeated: {}", answer.text()));
        }
    }
    let is_head = input.starts_with(b"HEAD ");
    if status >= 400 && !is_head && !has_form(path, answer) {
        return Some(format!("{status} in a form of no door: {} {}", answer.kind, answer.text()));
    }
    None
}

/// Whether a refusal looks as those of its door do, or as those that come before any door.
fn has_form(path: &str, answer: &Answered) -> bool {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    let is_problem = answer.kind == "application/problem+json"
        && body["status"] == answer.status
        && body["type"].is_string();
    // The router and the envelope speak for no door.
    if is_problem && !matches!(answer.status, 401 | 403 | 422) {
        return true;
    }
    // A name below this door may read like another door.
    if path.starts_with("/authz/") {
        !answer.kind.is_empty() || answer.body.is_empty()
    } else if path.starts_with("/api/") {
        is_problem
    } else if path.starts_with("/scim/v2") {
        body["schemas"][0] == "urn:ietf:params:scim:api:messages:2.0:Error"
    } else if path.starts_with("/auth-admin/") {
        body["errors"][0]["code"].is_string()
    } else if path.contains("/json/") {
        body["code"].is_number()
    } else if path.contains("/openid-connect") || path.starts_with("/oauth2/") {
        body["error"].is_string()
    } else if path.starts_with("/validate/") {
        body["result"].is_object()
    } else {
        !answer.kind.is_empty() || answer.body.is_empty()
    }
}

/// Sends an input and looks at what comes back.
fn decide(installed: &Installed, input: &[u8]) -> Option<u16> {
    let request = read(input)?;
    let uri = request.uri().clone();
    let let_in = installed.credentials().any(|one| holds(input, one.as_bytes()));
    let before = (!let_in).then(|| installed.tokens());
    let answer = installed.ask(request);
    if let Some(fault) = fault(installed, input, &uri, &answer) {
        panic!("{fault}");
    }
    if let Some(before) = before {
        assert!(before == installed.tokens(), "nobody changed a token");
    }
    Some(answer.status)
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn the_corpus_is_answered_at_every_door() {
    let corpus = corpus_files("doors");
    assert!(corpus.len() >= 75, "only {} inputs", corpus.len());
    let (mut accepted, mut installed) = (0, Installed::new());
    for (name, text) in &corpus {
        let input = installed.filled(text);
        let status = decided(&input, PATIENCE, |input| decide(&installed, input));
        println!("{name}: {status:?}");
        let status = status.unwrap_or_else(|| panic!("{name} is no request"));
        accepted += usize::from(status < 400);
        // Some of them revoke what others present.
        if !text.starts_with(b"GET ") && status < 400 {
            installed = Installed::new();
        }
    }
    // A corpus of refusals would leave most of every door unread.
    assert!(accepted * 3 >= corpus.len() * 2, "{accepted} of {} are taken", corpus.len());
}

/// Bytes that mean something to some parser.
const TELLING: [&[u8]; 46] = [
    b"0",
    b"-1",
    b"1e999",
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551616",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"\"\"",
    b"\\u0000",
    b"\\ud800",
    b"\xff\xfe",
    b"\xc3",
    b"\xe2\x80\xae",
    b"%00",
    b"%ff",
    b"%",
    b"+",
    b"&",
    b"=",
    b";",
    b",",
    b"..",
    b"/../",
    b"//",
    b"*",
    b"?",
    b"#",
    b"'",
    b"\" or \"\"=\"",
    b"<!DOCTYPE a [<!ENTITY b \"c\">]>",
    b"[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":",
    b"\nContent-Type: application/json",
    b"\nContent-Type: text/plain; charset=x",
    b"\nAuthorization: Bearer x",
    b"\nX-Forwarded-For: 1.2.3.4, [::1",
    b"\nForwarded: for=\"",
    b"\ntraceparent: 00-00000000000000000000000000000000-0000000000000000-ff",
    b"\nHost: a",
    b"\nIf-Match: W/\"",
    b"\nIdempotency-Key: a",
    b"2026-02-30T25:61:61Z",
    b"cflp_",
];

/// Changes an input in a few places, or whole lines of it.
fn mutated(dice: &mut Dice, corpus: &[Vec<u8>]) -> Vec<u8> {
    let changes = Changes { telling: &TELLING, bytes_max: INPUT_BYTES_MAX };
    let mut input = corpus[dice.below(corpus.len())].clone();
    for _ in 0..=dice.below(4) {
        match dice.below(10) {
            // Another door gets this body, or this door another one's.
            0 => {
                let other = &corpus[dice.below(corpus.len())];
                let line = |text: &[u8]| text.iter().position(|byte| *byte == b'\n');
                if let (Some(own), Some(theirs)) = (line(&input), line(other)) {
                    input.splice(..own, other[..theirs].iter().copied());
                }
            }
            // A line twice, or none.
            1 | 2 => {
                let lines: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
                let chosen = dice.below(lines.len());
                let times = if dice.below(2) == 0 { 0 } else { 2 };
                let repeated = lines.iter().enumerate().flat_map(|(number, line)| {
                    std::iter::repeat_n(*line, if number == chosen { times } else { 1 })
                });
                input = repeated.flatten().copied().collect();
            }
            _ => changes.place(dice, &mut input, corpus),
        }
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}

/// Mutates for so long. Says how many inputs there were, and how many of them were requests.
fn run(time: Duration, seed: u64) -> (u64, u64) {
    let corpus = corpus_files("doors");
    let mut dice = Dice(seed);
    let (whole, mut inputs, mut requests) = (Stopwatch::start(), 0, 0);
    while whole.elapsed() < time {
        let installed = Installed::new();
        let filled: Vec<Vec<u8>> = corpus.iter().map(|(_, text)| installed.filled(text)).collect();
        for _ in 0..INPUTS_PER_INSTALLATION {
            if whole.elapsed() >= time {
                break;
            }
            let input = mutated(&mut dice, &filled);
            let status = decided(&input, PATIENCE, |input| decide(&installed, input));
            requests += u64::from(status.is_some());
            inputs += 1;
        }
    }
    (inputs, requests)
}

#[test]
fn mutations_of_requests_at_every_door_are_answered() {
    let (inputs, requests) = run(Duration::from_secs(4), SEED);
    assert!(requests > 100 && requests * 2 > inputs, "{requests} requests of {inputs} inputs");
}

#[test]
#[ignore = "long: mutates requests for COUNTERFOIL_FUZZ_SECONDS, 600 unless set"]
fn mutations_of_requests_at_every_door_are_answered_for_a_long_time() {
    let (inputs, requests) = run(asked_time(), 0x9e37_79b9_7f4a_7c15);
    println!("{inputs} inputs, {requests} of them requests");
}
