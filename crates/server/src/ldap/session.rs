//! One connection: messages in their order, each answered before the next is read.
//!
//! One operation at a time keeps a connection's memory at one message and one answer. An abandon
//! therefore always comes too late, which the protocol allows (RFC 4511 section 4.11).

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::verdict::Door;
use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::{
    LdapBindCred, LdapExtendedRequest, LdapMsg, LdapOp, LdapResultCode, LdapSearchRequest,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::{Sleep, sleep, timeout};

use super::Shared;
use super::answer::End;
use super::bind::{Bind, Bound, Wish};
use super::limits::{
    ANSWER_BYTES, MESSAGE_BYTES_MAX, MESSAGE_BYTES_UNBOUND_MAX, MESSAGE_PATIENCE, UNBOUND_PATIENCE,
    WRITE_PATIENCE,
};
use super::root::{START_TLS, WHO_AM_I};
use super::search::{self, PAGED_RESULTS, Sink};
use super::wire::{self, Malformed, Message};
use crate::clock::Stopwatch;
use crate::listener::stopped;
use crate::traces::{self, Answered};

/// Bytes that are read at a time: a bind fits, and idle connections hold no more.
const READ_BYTES: usize = 2048;

/// Why a conversation is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// The connection ends.
    Closed,
    /// The client wants to go on inside TLS.
    StartTls,
}

/// What a read came to.
enum Read {
    /// A whole message of so many bytes stands at the beginning of the input.
    Message(usize),
    Malformed(Malformed),
    /// The other end is gone, or took too long.
    Nothing,
    Stopping,
}

/// The clock of a connection that says nothing.
type Idle<'a> = Pin<&'a mut Sleep>;
/// The end of the server.
type Stopping<'a> = Pin<&'a mut (dyn Future<Output = ()> + Send + 'a)>;

/// The first message of `input`, once it is whole.
fn whole(input: &[u8], most: usize) -> Option<Read> {
    match wire::length(input, most) {
        Err(why) => Some(Read::Malformed(why)),
        Ok(Some(length)) if length <= input.len() => Some(Read::Message(length)),
        Ok(_) => None,
    }
}

/// One connection, in clear or inside TLS.
pub(crate) struct Session<'a, S> {
    shared: &'a Shared,
    stream: S,
    peer: SocketAddr,
    /// Whether the stream is TLS.
    tls: bool,
    bound: Bound,
    input: BytesMut,
    /// Whether the input has grown for a long message.
    grown: bool,
    /// Since when the message is answered, where traces are kept.
    began: Option<Stopwatch>,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin + Send> Session<'a, S> {
    /// A conversation with somebody who is nobody yet.
    pub(crate) fn new(shared: &'a Shared, stream: S, peer: SocketAddr, tls: bool) -> Self {
        let bound = Bound::Nobody;
        let input = BytesMut::new();
        Self { shared, stream, peer, tls, bound, input, grown: false, began: None }
    }

    /// Answers until it is over or `stop` turns true, and gives the stream back.
    pub(crate) async fn converse(mut self, stop: &mut watch::Receiver<bool>) -> (Over, S) {
        let ending = pin!(stopped(stop));
        let mut stopping: Stopping<'_> = ending;
        let mut idle = pin!(sleep(UNBOUND_PATIENCE.min(self.shared.idle)));
        let over = loop {
            let length = match self.read(&mut idle, &mut stopping).await {
                Read::Message(length) => length,
                Read::Nothing => break Over::Closed,
                Read::Stopping => {
                    let said = "the server stops";
                    self.part(&End::new(LdapResultCode::Unavailable, said)).await;
                    break Over::Closed;
                }
                Read::Malformed(why) => break self.refuse_to_talk(why).await,
            };
            match self.answer(length).await {
                None => {}
                Some(over) => break over,
            }
        };
        (over, self.stream)
    }

    /// The next message, within the time that its connection has.
    async fn read(&mut self, idle: &mut Idle<'_>, stopping: &mut Stopping<'_>) -> Read {
        if self.input.is_empty()
            && let Err(end) = self.first_bytes(idle, stopping).await
        {
            return end;
        }
        let most = match self.bound {
            Bound::Nobody => MESSAGE_BYTES_UNBOUND_MAX,
            _ => MESSAGE_BYTES_MAX,
        };
        if let Some(read) = whole(&self.input, most) {
            return read;
        }
        // From here on it is a long message, or somebody who sends byte by byte.
        self.grown = true;
        let (input, stream) = (&mut self.input, &mut self.stream);
        let rest = timeout(MESSAGE_PATIENCE, async {
            loop {
                input.reserve(READ_BYTES);
                match stream.read_buf(input).await {
                    Ok(1..) => {}
                    _ => return Read::Nothing,
                }
                if let Some(read) = whole(input, most) {
                    return read;
                }
            }
        });
        rest.await.unwrap_or(Read::Nothing)
    }

    /// Waits for a message to begin. By hand and in this order, because it runs with every message;
    /// the clock is set once for many of them.
    async fn first_bytes(
        &mut self,
        idle: &mut Idle<'_>,
        stopping: &mut Stopping<'_>,
    ) -> Result<(), Read> {
        if std::mem::take(&mut self.grown) {
            // What a long message needed is given back before the connection idles.
            self.input = BytesMut::new();
        }
        self.input.reserve(READ_BYTES);
        let patience = match self.bound {
            Bound::Nobody => UNBOUND_PATIENCE.min(self.shared.idle),
            _ => self.shared.idle,
        };
        let quiet = Stopwatch::start();
        let mut reading = pin!(self.stream.read_buf(&mut self.input));
        poll_fn(|context| {
            match reading.as_mut().poll(context) {
                Poll::Ready(Ok(1..)) => return Poll::Ready(Ok(())),
                Poll::Ready(_) => return Poll::Ready(Err(Read::Nothing)),
                Poll::Pending => {}
            }
            while idle.as_mut().poll(context).is_ready() {
                let Some(left) = patience.checked_sub(quiet.elapsed()).filter(|t| !t.is_zero())
                else {
                    return Poll::Ready(Err(Read::Nothing));
                };
                let next = idle.deadline() + left.min(UNBOUND_PATIENCE);
                idle.as_mut().reset(next);
            }
            stopping.as_mut().poll(context).map(|()| Err(Read::Stopping))
        })
        .await
    }

    /// Says that it is no LDAP, and ends.
    async fn refuse_to_talk(&mut self, why: Malformed) -> Over {
        tracing::debug!(peer = %self.peer, %why, "closed: no LDAP");
        self.part(&End::new(LdapResultCode::ProtocolError, "not an LDAP message")).await;
        Over::Closed
    }

    /// Answers the message of `length` bytes at the beginning of the input; says if that was the
    /// last.
    async fn answer(&mut self, length: usize) -> Option<Over> {
        if self.shared.state.traces.is_some() {
            traces::begin();
            self.began = Some(Stopwatch::start());
        }
        if let Some(read) = self.input.get(..length).and_then(wire::simple_bind) {
            let msgid = read.msgid;
            if msgid > 0 {
                // Whatever comes of it, nobody is bound any more (RFC 4511 section 4.2.1).
                self.bound = Bound::Nobody;
                let (end, bound) = self.bind().decide(read.into()).await;
                self.bound = bound;
                // The password is not left behind for whoever gets this memory next. At once, not
                // byte by byte: the system reads into this memory again, so it is no dead store.
                self.input.iter_mut().take(length).for_each(|byte| *byte = 0);
                std::hint::black_box(&mut self.input);
                self.input.advance(length);
                return self.answer_bind(&end, msgid).await;
            }
        }
        // Boxed, because it is rare and needs room.
        match wire::take(&mut self.input, length) {
            Ok(message) => Box::pin(self.answer_message(message)).await,
            Err(why) => Some(self.refuse_to_talk(why).await),
        }
    }

    fn bind(&self) -> Bind<'a> {
        Bind {
            shared: self.shared,
            source: self.peer.ip().to_canonical(),
            confidential: self.is_confidential(),
        }
    }

    async fn answer_message(&mut self, message: Message) -> Option<Over> {
        let Message { parsed: LdapMsg { msgid, op, ctrl }, critical, attributes } = message;
        if msgid <= 0 {
            self.part(&End::new(LdapResultCode::ProtocolError, "a message without a number")).await;
            return Some(Over::Closed);
        }
        let paged = matches!(op, LdapOp::SearchRequest(_));
        let known = |oid: &String| paged && oid == PAGED_RESULTS;
        let refused = (!critical.iter().all(known)).then_some(End::CRITICAL);
        match op {
            LdapOp::UnbindRequest => Some(Over::Closed),
            LdapOp::AbandonRequest(_) => None,
            LdapOp::BindRequest(request) => {
                // Whatever comes of it, nobody is bound any more (RFC 4511 section 4.2.1).
                self.bound = Bound::Nobody;
                let password = match request.cred {
                    LdapBindCred::Simple(password) => Some(ClearSecret::new(password)),
                    _ => None,
                };
                let wish = Wish {
                    version: request.version,
                    dn: &request.dn,
                    password: password.as_ref().map(ClearSecret::reveal),
                };
                let (end, bound) = match refused {
                    Some(end) => (end, Bound::Nobody),
                    None => self.bind().decide(wish).await,
                };
                self.bound = bound;
                self.answer_bind(&end, msgid).await
            }
            LdapOp::ExtendedRequest(request) => self.extended(msgid, &request, refused).await,
            LdapOp::SearchRequest(request) => {
                let request = LdapSearchRequest { attrs: attributes, ..request };
                self.search(msgid, request, &ctrl, refused).await
            }
            LdapOp::CompareRequest(request) => {
                let end = match refused {
                    Some(end) => end,
                    None => search::compare(self.shared, &self.bound, request).await,
                };
                self.say("compare", &end, msgid, LdapOp::CompareResult(end.result())).await
            }
            other => self.write_refused(msgid, &other, refused).await,
        }
    }

    async fn answer_bind(&mut self, end: &End, msgid: i32) -> Option<Over> {
        let Some(code) = end.plain_code() else {
            return self.say("bind", end, msgid, end.of_bind()).await;
        };
        self.note("bind", end);
        let answer = wire::bind_answer(msgid, code);
        behind_the_others().await;
        let written = written(&mut self.stream, &answer, WRITE_PATIENCE).await;
        (!written).then_some(Over::Closed)
    }

    /// Everything that would change something, and everything that is no request.
    async fn write_refused(
        &mut self,
        msgid: i32,
        op: &LdapOp,
        refused: Option<End>,
    ) -> Option<Over> {
        let end = refused.unwrap_or(End::READ_ONLY);
        let (name, answer): (_, fn(_) -> LdapOp) = match op {
            LdapOp::ModifyRequest(_) => ("modify", LdapOp::ModifyResponse),
            LdapOp::AddRequest(_) => ("add", LdapOp::AddResponse),
            LdapOp::DelRequest(_) => ("delete", LdapOp::DelResponse),
            LdapOp::ModifyDNRequest(_) => ("modifyDN", LdapOp::ModifyDNResponse),
            _ => {
                self.part(&End::new(LdapResultCode::ProtocolError, "this is no request")).await;
                return Some(Over::Closed);
            }
        };
        self.say(name, &end, msgid, answer(end.result())).await
    }

    /// Whether nobody can read along: inside TLS, on this machine, or where the operator said so.
    fn is_confidential(&self) -> bool {
        self.tls || self.peer.ip().to_canonical().is_loopback() || self.shared.allow_plaintext
    }

    async fn extended(
        &mut self,
        msgid: i32,
        request: &LdapExtendedRequest,
        refused: Option<End>,
    ) -> Option<Over> {
        if let Some(end) = refused {
            return self.say("extended", &end, msgid, end.of_extended(None)).await;
        }
        match request.name.as_str() {
            WHO_AM_I => {
                // RFC 4532 section 2: `dn:` and the name.
                let (end, name) = match self.bound.dn(&self.shared.tree) {
                    Some(dn) => (End::SUCCESS, Some(format!("dn:{dn}"))),
                    None => (End::NOT_ALLOWED, None),
                };
                self.say("whoami", &end, msgid, end.of_extended(name)).await
            }
            START_TLS => {
                let end = self.start_tls_end();
                let answer = end.of_extended(None);
                let over = self.say("startTLS", &end, msgid, answer).await;
                match end.code {
                    LdapResultCode::Success => over.or(Some(Over::StartTls)),
                    _ => over,
                }
            }
            _ => {
                let said = "this extended operation is not known here";
                let end = End::new(LdapResultCode::ProtocolError, said);
                self.say("extended", &end, msgid, end.of_extended(None)).await
            }
        }
    }

    /// Whether TLS may begin now (RFC 4511 section 4.14.1).
    fn start_tls_end(&mut self) -> End {
        if self.tls {
            return End::new(LdapResultCode::OperationsError, "TLS is spoken already");
        }
        if self.shared.certificates.is_none() {
            let said = "no certificate is configured";
            return End::new(LdapResultCode::ProtocolError, said);
        }
        if !self.input.is_empty() {
            // Sent before TLS, it would be read as if it had come through it.
            self.input.clear();
            let said = "nothing may follow StartTLS before its answer";
            return End::new(LdapResultCode::OperationsError, said);
        }
        // Who they were in clear text, they are not inside TLS.
        self.bound = Bound::Nobody;
        End::SUCCESS
    }

    async fn search(
        &mut self,
        msgid: i32,
        request: LdapSearchRequest,
        controls: &[LdapControl],
        refused: Option<End>,
    ) -> Option<Over> {
        if let Some(end) = refused {
            let done = LdapOp::SearchResultDone(end.result());
            return self.say("search", &end, msgid, done).await;
        }
        let mut found =
            Found { stream: &mut self.stream, msgid, output: BytesMut::new(), cut: false };
        let ended = search::search(self.shared, &self.bound, request, controls, &mut found).await;
        let Some((end, controls)) = ended else { return Some(Over::Closed) };
        let Found { output, cut, .. } = found;
        if cut {
            // The time was over in the middle of an entry.
            return Some(Over::Closed);
        }
        self.note("search", &end);
        let done = LdapOp::SearchResultDone(end.result());
        let done = LdapMsg::new_with_ctrls(msgid, done, controls);
        self.send(output, done).await
    }

    /// Counts an operation that ended so, and notes its span where traces are kept.
    fn note(&self, operation: &'static str, end: &End) {
        let state = &self.shared.state;
        state.metrics.ldap(operation, end.name());
        let (Some(traces), Some(began)) = (&state.traces, &self.began) else { return };
        let answered = Answered {
            request_id: traces::name(),
            door: Door::Ldap.name(),
            method: operation,
            route: "",
            status: None,
            outcome: traces::said().unwrap_or(end.name()),
            failed: end.is_failure(),
            ended: state.authority.now(),
            took: began.elapsed(),
        };
        traces.note(state.authority.entropy(), None, answered);
    }

    /// Counts and writes an answer; says if that failed.
    async fn say(
        &mut self,
        operation: &'static str,
        end: &End,
        msgid: i32,
        op: LdapOp,
    ) -> Option<Over> {
        self.note(operation, end);
        self.send(BytesMut::new(), LdapMsg::new(msgid, op)).await
    }

    async fn send(&mut self, mut output: BytesMut, last: LdapMsg) -> Option<Over> {
        if !wire::put(last, &mut output) {
            return Some(Over::Closed);
        }
        let written = written(&mut self.stream, &output, WRITE_PATIENCE).await;
        (!written).then_some(Over::Closed)
    }

    /// Says why the connection ends.
    async fn part(&mut self, end: &End) {
        self.shared.state.metrics.ldap("disconnect", end.name());
        let _ = self.send(BytesMut::new(), end.of_connection()).await;
        let _ = timeout(WRITE_PATIENCE, self.stream.shutdown()).await;
    }
}

/// Waits until everybody who was ready has had a turn: the answers then go out one after another,
/// and a program with several connections is woken once for them. Not until the system was asked
/// who is ready now, as the runtime's own way to yield does.
async fn behind_the_others() {
    let mut has_waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

async fn written(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8], patience: Duration) -> bool {
    let mut writing = pin!(async {
        stream.write_all(bytes).await?;
        stream.flush().await
    });
    // Nearly every answer finds room at once, and needs no timer.
    let first = poll_fn(|context| Poll::Ready(writing.as_mut().poll(context))).await;
    if let Poll::Ready(written) = first {
        return written.is_ok();
    }
    matches!(timeout(patience, writing).await, Ok(Ok(())))
}

/// Entries on their way to the client.
struct Found<'a, S> {
    stream: &'a mut S,
    msgid: i32,
    output: BytesMut,
    /// Whether a write has begun and not ended: nothing may follow what was cut off.
    cut: bool,
}

impl<S: AsyncWrite + Unpin + Send> Sink for Found<'_, S> {
    async fn entry(&mut self, found: LdapOp) -> bool {
        if !wire::put(LdapMsg::new(self.msgid, found), &mut self.output) {
            return false;
        }
        if self.output.len() < ANSWER_BYTES {
            return true;
        }
        let bytes = self.output.split();
        self.cut = true;
        self.cut = !written(self.stream, &bytes, WRITE_PATIENCE).await;
        !self.cut
    }
}
