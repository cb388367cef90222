//! Files that hold a token in each line: what such a line becomes, whatever its format.
//!
//! Every line has a token, or a reason why not, with its place. Whose token it is, and for what,
//! is here or is made beside it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use counterfoil_authority::authority::{
    Incoming, IncomingFacts, IncomingSecret, IncomingToken, ServiceDraft, UserDraft,
};
use counterfoil_authority::foreign::ForeignScheme;
use counterfoil_authority::names::{ServiceLabel, Username};
use counterfoil_authority::policy::TokenPolicy;

use super::comanage::{Item, Note, Read};
use super::rows::Place;
use super::token_id;

/// Rows of the report.
const SERVICES: &str = "services";
const PEOPLE: &str = "people";
const TOKENS: &str = "tokens";
/// Bytes of a file at most: it is read as a whole.
pub(crate) const FILE_BYTES_MAX: u64 = 1 << 30;

/// How a file is taken over.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// The system it comes from, for labels and ids.
    pub(crate) system: &'static str,
    /// The realm, for the ids of tokens.
    pub(crate) realm: String,
    /// The zone in which dates without time are read.
    pub(crate) zone: String,
    /// What tokens are for that do not say it themselves.
    pub(crate) service: Option<ServiceLabel>,
    /// Whose tokens are that do not say it themselves.
    pub(crate) owner: Option<Username>,
    /// Whether people have to be here already.
    pub(crate) existing_people: bool,
    /// Whether what is no hash is taken for the secret itself.
    pub(crate) plain: bool,
}

/// What a line says.
pub(crate) struct Line {
    /// Where it stands.
    pub(crate) place: Place,
    /// Which one it is, counted from 1.
    pub(crate) number: i64,
    /// Whose token it is.
    pub(crate) person: UserDraft,
    /// What it is for.
    pub(crate) service: ServiceLabel,
    /// Its secret.
    pub(crate) secret: IncomingSecret,
    /// What names it among those of its person for its service, the same in every run.
    pub(crate) identity: String,
    /// Whether it is locked.
    pub(crate) locked: bool,
    /// What else is known of it.
    pub(crate) facts: IncomingFacts,
}

/// A file while it is read.
pub(crate) struct Sheet<'a> {
    options: &'a Options,
    read: Read,
    lines: Vec<Line>,
    rows: usize,
}

impl<'a> Sheet<'a> {
    /// An empty one.
    pub(crate) fn new(options: &'a Options) -> Self {
        Self { options, read: Read::default(), lines: Vec::new(), rows: 0 }
    }

    /// How the file is taken over.
    pub(crate) const fn options(&self) -> &'a Options {
        self.options
    }

    /// Notes a line that becomes nothing.
    pub(crate) fn refuse(&mut self, place: &Place, number: i64, why: impl Into<String>) {
        self.rows += 1;
        let (place, why) = (place.clone(), why.into());
        self.read.skipped.push(Note { table: TOKENS, id: number, place, why });
    }

    /// Notes what of a line is not carried over, though the line is.
    pub(crate) fn remark(&mut self, place: &Place, number: i64, why: impl Into<String>) {
        let (place, why) = (place.clone(), why.into());
        self.read.remarks.push(Note { table: TOKENS, id: number, place, why });
    }

    /// Takes a line.
    pub(crate) fn take(&mut self, line: Line) {
        self.rows += 1;
        self.lines.push(line);
    }

    /// Takes a line, or notes why not.
    pub(crate) fn settle(&mut self, place: &Place, number: i64, line: Result<Line, String>) {
        match line {
            Ok(line) => self.take(line),
            Err(why) => self.refuse(place, number, why),
        }
    }

    /// The records that the lines become: services, people, tokens.
    pub(crate) fn finish(self) -> Read {
        let Self { options, mut read, lines, rows } = self;
        read.rows.insert(TOKENS, rows);
        for line in services(&lines) {
            read.items.push(line);
        }
        if !options.existing_people {
            let mut known = HashSet::new();
            for line in &lines {
                if known.insert(line.person.username.clone()) {
                    let (place, what) = (line.place.clone(), line.person.username.to_string());
                    let incoming = Incoming::User(line.person.clone());
                    read.items.push(Item { table: PEOPLE, id: line.number, place, what, incoming });
                }
            }
        }
        let mut ids = HashSet::new();
        for line in lines {
            let (number, place) = (line.number, line.place.clone());
            match token(options, line) {
                Some(token) if ids.insert(token.id) => {
                    let what = format!("{}, token {}", token.user, token.id);
                    let incoming = Incoming::Token(token);
                    read.items.push(Item { table: TOKENS, id: number, place, what, incoming });
                }
                _ => {
                    let why = "another line names the same token".to_owned();
                    read.skipped.push(Note { table: TOKENS, id: number, place, why });
                }
            }
        }
        read
    }
}

/// The services of all lines, each with the schemes that its tokens are compared by.
fn services(lines: &[Line]) -> Vec<Item> {
    let mut schemes: BTreeMap<&str, (&Line, BTreeSet<ForeignScheme>)> = BTreeMap::new();
    for line in lines {
        let known = schemes.entry(line.service.as_str());
        let (_, named) = known.or_insert_with(|| (line, BTreeSet::new()));
        let Some(scheme) = line.secret.scheme() else { continue };
        if scheme.is_of_few_bits() {
            // What is upgraded is compared by this one alone, when the others are taken away.
            named.insert(ForeignScheme::Own);
        }
        named.insert(scheme);
    }
    let item = |(line, schemes): (&Line, BTreeSet<ForeignScheme>)| {
        let imported_schemes: Vec<_> = schemes.into_iter().collect();
        let imported_schemes = Some(imported_schemes).filter(|schemes| !schemes.is_empty());
        let draft = ServiceDraft {
            token_policy: TokenPolicy { imported_schemes, ..TokenPolicy::default() },
            ..ServiceDraft::new(line.service.clone())
        };
        let (place, what) = (line.place.clone(), line.service.to_string());
        let incoming = Incoming::Service(draft);
        Item { table: SERVICES, id: 0, place, what, incoming }
    };
    schemes.into_values().map(item).collect()
}

fn token(options: &Options, line: Line) -> Option<IncomingToken> {
    let user = line.person.username;
    let named = [&*options.realm, line.service.as_str(), user.as_str(), &line.identity];
    let id = token_id(format!("counterfoil import {} 1", options.system).as_bytes(), &named)?;
    Some(IncomingToken {
        id,
        row: format!("{} {}", options.system, line.identity),
        user,
        service: line.service,
        secret: line.secret,
        drawn: false,
        locked: line.locked,
        pat: None,
        facts: IncomingFacts { one_of_several: true, ..line.facts },
    })
}
