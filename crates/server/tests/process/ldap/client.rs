//! A client of the LDAP door that sends exactly the messages it means to.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::BytesMut;
use ldap3_proto::LdapCodec;
use ldap3_proto::control::LdapControl;
use ldap3_proto::parse_ldap_filter_str;
use ldap3_proto::proto::{
    LdapBindCred, LdapBindRequest, LdapDerefAliases, LdapExtendedRequest, LdapMsg, LdapOp,
    LdapResult, LdapResultCode, LdapSearchRequest, LdapSearchResultEntry, LdapSearchScope,
};
use tokio_util::codec::{Decoder as _, Encoder as _};

/// Longer than any answer may take, shorter than a test may hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    input: BytesMut,
    last: i32,
}

/// What a search found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) entries: Vec<LdapSearchResultEntry>,
    pub(crate) code: LdapResultCode,
    pub(crate) controls: Vec<LdapControl>,
}

impl Found {
    /// The names of the entries.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.entries.iter().map(|entry| entry.dn.as_str()).collect()
    }
}

impl Client {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, input: BytesMut::new(), last: 0 })
    }

    /// Sends a message and returns its number.
    pub(crate) fn send(&mut self, op: LdapOp, controls: Vec<LdapControl>) -> i32 {
        self.last += 1;
        let mut bytes = BytesMut::new();
        let message = LdapMsg::new_with_ctrls(self.last, op, controls);
        LdapCodec::default().encode(message, &mut bytes).unwrap();
        self.stream.write_all(&bytes).unwrap();
        self.last
    }

    /// The next message; `None` when the server has closed.
    pub(crate) fn receive(&mut self) -> Option<LdapMsg> {
        loop {
            if let Some(message) = LdapCodec::default().decode(&mut self.input).unwrap() {
                return Some(message);
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(read) => self.input.extend_from_slice(&chunk[..read]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no answer: {error}"),
            }
        }
    }

    #[track_caller]
    fn answer(&mut self) -> LdapOp {
        self.receive().expect("the server closed the connection").op
    }

    /// A bind with a credential of any sort.
    #[track_caller]
    pub(crate) fn bind_with(&mut self, version: i64, dn: &str, cred: LdapBindCred) -> LdapResult {
        let request = LdapBindRequest { version, dn: dn.to_owned(), cred };
        self.send(LdapOp::BindRequest(request), Vec::new());
        match self.answer() {
            LdapOp::BindResponse(response) => response.res,
            other => panic!("no answer to a bind: {other:?}"),
        }
    }

    /// A simple bind.
    #[track_caller]
    pub(crate) fn bind(&mut self, dn: &str, password: &str) -> LdapResultCode {
        self.bind_with(3, dn, LdapBindCred::Simple(password.to_owned())).code
    }

    /// An extended operation: how it ended, and what it said.
    #[track_caller]
    pub(crate) fn extended(&mut self, oid: &str) -> (LdapResultCode, Option<String>) {
        let request = LdapExtendedRequest { name: oid.to_owned(), value: None };
        self.send(LdapOp::ExtendedRequest(request), Vec::new());
        match self.answer() {
            LdapOp::ExtendedResponse(response) => {
                let value = response.value.map(|value| String::from_utf8(value).unwrap());
                (response.res.code, value)
            }
            other => panic!("no answer to an extended operation: {other:?}"),
        }
    }

    /// Who the server takes this connection for.
    #[track_caller]
    pub(crate) fn who_am_i(&mut self) -> (LdapResultCode, Option<String>) {
        self.extended("1.3.6.1.4.1.4203.1.11.3")
    }

    /// A search below `base`.
    #[track_caller]
    pub(crate) fn search(&mut self, base: &str, filter: &str, attributes: &[&str]) -> Found {
        self.ask(request(base, LdapSearchScope::Subtree, filter, attributes), Vec::new())
    }

    /// Any search.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: LdapSearchRequest, controls: Vec<LdapControl>) -> Found {
        self.send(LdapOp::SearchRequest(request), controls);
        let mut entries = Vec::new();
        loop {
            let message = self.receive().expect("the server closed the connection");
            match message.op {
                LdapOp::SearchResultEntry(entry) => entries.push(entry),
                LdapOp::SearchResultDone(result) => {
                    return Found { entries, code: result.code, controls: message.ctrl };
                }
                other => panic!("no answer to a search: {other:?}"),
            }
        }
    }
}

/// A search as programs send it.
pub(crate) fn request(
    base: &str,
    scope: LdapSearchScope,
    filter: &str,
    attributes: &[&str],
) -> LdapSearchRequest {
    LdapSearchRequest {
        base: base.to_owned(),
        scope,
        aliases: LdapDerefAliases::Never,
        sizelimit: 0,
        timelimit: 0,
        typesonly: false,
        filter: parse_ldap_filter_str(filter).unwrap(),
        attrs: attributes.iter().map(|name| (*name).to_owned()).collect(),
    }
}
