//! Empties the queue of spans towards a collector.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use super::{Counts, Span, TraceSettings, wire};
use crate::listener::stopped;
use crate::outbound;

/// Spans of one request to the collector.
const BATCH_MAX: usize = 512;
/// How long spans are gathered: long enough for few requests, short enough to look at once.
const GATHER: Duration = Duration::from_secs(1);
/// How long a collector may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a batch is tried. The queue fills meanwhile, and then spans are dropped.
const TRIES: u32 = 3;
/// The first pause between two tries; the next one is twice as long.
const PAUSE: Duration = Duration::from_secs(1);

/// Sends spans until the server stops.
pub struct Exporter {
    client: reqwest::Client,
    url: String,
    waiting: mpsc::Receiver<Span>,
    counts: Arc<Counts>,
    failing: bool,
}

/// Why a batch was not taken.
enum Fault {
    /// The collector may take it later.
    Later(String),
    /// It never will.
    Never(String),
}

impl Exporter {
    pub(super) fn new(
        settings: &TraceSettings,
        waiting: mpsc::Receiver<Span>,
        counts: Arc<Counts>,
    ) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        if let Some(authorization) = &settings.authorization {
            let value = HeaderValue::from_str(authorization.reveal());
            let mut value = value.map_err(|_| "telemetry.otlp_authorization is no header value")?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let client = outbound::client(|| {
            reqwest::Client::builder()
                // A redirection would take the header to somebody who was not named.
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .timeout(PATIENCE)
                .default_headers(headers.clone())
                .user_agent(concat!("counterfoil/", env!("CARGO_PKG_VERSION")))
        });
        let client = client.map_err(|error| error.to_string())?;
        let url = format!("{}/v1/traces", settings.endpoint);
        Ok(Self { client, url, waiting, counts, failing: false })
    }

    /// Sends what comes until `stop` turns true, and then once more what still waits.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        while let Some(first) = tokio::select! {
            () = stopped(&mut stop) => None,
            first = self.waiting.recv() => first,
        } {
            let mut batch = vec![first];
            // Whether it stops or not, what was gathered goes out.
            let _ = tokio::time::timeout(GATHER, async {
                tokio::select! {
                    () = stopped(&mut stop) => {}
                    () = gather(&mut self.waiting, &mut batch) => {}
                }
            })
            .await;
            let stopping = *stop.borrow();
            self.send(batch, if stopping { 1 } else { TRIES }, &mut stop).await;
        }
        let mut last = Vec::new();
        while let Ok(span) = self.waiting.try_recv() {
            last.push(span);
        }
        for batch in last.chunks(BATCH_MAX) {
            if self.failing {
                self.drop_all(batch.len());
            } else {
                self.send(batch.to_vec(), 1, &mut stop).await;
            }
        }
    }

    /// Sends a batch, at most `tries` times, or counts it as dropped.
    async fn send(&mut self, batch: Vec<Span>, tries: u32, stop: &mut watch::Receiver<bool>) {
        let body = wire::request(&batch).to_string();
        let mut pause = PAUSE;
        for left in (0..tries).rev() {
            let why = match self.post(body.clone()).await {
                Ok(()) => {
                    if std::mem::take(&mut self.failing) {
                        info!("the collector of traces takes spans again");
                    }
                    let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
                    self.counts.sent.fetch_add(count, Ordering::Relaxed);
                    return;
                }
                Err(Fault::Later(why)) if left > 0 && !*stop.borrow() => why,
                Err(Fault::Later(why) | Fault::Never(why)) => {
                    self.complain(&why);
                    break;
                }
            };
            self.complain(&why);
            tokio::select! {
                () = stopped(stop) => {}
                () = tokio::time::sleep(pause) => {}
            }
            pause *= 2;
        }
        self.drop_all(batch.len());
    }

    async fn post(&self, body: String) -> Result<(), Fault> {
        let request = self.client.post(&self.url).header("Content-Type", "application/json");
        let sent = request.body(body).send().await;
        let answer = sent.map_err(|error| Fault::Later(error.without_url().to_string()))?;
        let status = answer.status().as_u16();
        match status {
            200..=299 => Ok(()),
            // The statuses after which OTLP wants a batch to be sent again.
            429 | 502 | 503 | 504 => Err(Fault::Later(format!("it answers {status}"))),
            _ => Err(Fault::Never(format!("it answers {status}"))),
        }
    }

    /// Once when it begins.
    fn complain(&mut self, why: &str) {
        if !std::mem::replace(&mut self.failing, true) {
            warn!(why, "the collector of traces takes no spans; some are dropped");
        }
    }

    fn drop_all(&self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.counts.dropped.fetch_add(count, Ordering::Relaxed);
    }
}

async fn gather(waiting: &mut mpsc::Receiver<Span>, batch: &mut Vec<Span>) {
    while batch.len() < BATCH_MAX {
        let Some(span) = waiting.recv().await else { return };
        batch.push(span);
    }
}
