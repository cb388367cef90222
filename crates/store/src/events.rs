//! Events: written with what they tell of, listed newest first.

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::{Event, Origin, Outcome};
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::RealmName;
use counterfoil_authority::notice;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::service::Services;
use counterfoil_authority::store::{EventFilter, EventStore, Page, PageRequest, Unavailable};
use counterfoil_authority::subject::Owner;
use counterfoil_authority::verdict::Door;

use crate::SqlStore;
use crate::engine::{Failure, Inconsistent, Row, Transaction, Value, values};
use crate::people::page;
use crate::{audit, codec, provisioning};

const INSERT: &str = "
insert into event (
    realm, id, at, kind, outcome, actor, actor_token, door, source, request_id,
    token, subject, service, reason, times, detail
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";

/// Without figures of its own `SQLite` takes the key for the better way to one token's events, so
/// it is told.
macro_rules! columns {
    ($by:literal) => {
        concat!(
            "
select realm, id, at, kind, outcome, actor, actor_token, door, source, request_id,
       token, subject, service, reason, times, detail
from   event",
            $by,
            "
where  realm = $1
and    id < $2
and    id >= $11
and    (outcome = $4 or $4 is null)
and    (kind = $5 or $5 is null)
and    (actor = $6 or $6 is null)
and    (subject = $7 or $7 is null)
and    (service = $8 or $8 is null)
and    (at >= $9 or $9 is null)
and    (at < $10 or $10 is null)
"
        )
    };
}

/// One by its id.
pub(crate) const FIND: &str = "
select realm, id, at, kind, outcome, actor, actor_token, door, source, request_id,
       token, subject, service, reason, times, detail
from   event
where  realm = $1
and    id = $2";

const LIST: &str = concat!(columns!(""), "order by id desc limit $3");
const LIST_OF_TOKEN: &str =
    concat!(columns!(" {by_token}"), "and token = $12 order by id desc limit $3");

/// The last one of those that a short look looks at, if there are so many.
const FLOOR: &str = "
select id
from   event
where  realm = $1
and    id < $2
order  by id desc
limit  1
offset $3";

/// Every statement of this file.
pub(crate) const STATEMENTS: &[&str] = &[INSERT, FIND, LIST, LIST_OF_TOKEN, FLOOR];

/// Stores an event, and leaves a note for those who bring it elsewhere.
pub(crate) async fn append(tx: &mut Transaction<'_>, event: &Event) -> Result<(), Failure> {
    tx.push(INSERT, &row_of(event)).await?;
    audit::wait(tx, event).await?;
    provisioning::note(tx, std::slice::from_ref(event)).await
}

/// Stores many events.
pub(crate) async fn append_all(tx: &mut Transaction<'_>, events: &[Event]) -> Result<(), Failure> {
    let sets: Vec<Vec<Value<'_>>> = events.iter().map(|event| row_of(event).to_vec()).collect();
    tx.execute_each(INSERT, &sets).await?;
    audit::wait_all(tx, events).await?;
    provisioning::note(tx, events).await
}

/// Finds an event.
pub(crate) async fn find(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    id: &str,
) -> Result<Option<Event>, Failure> {
    let row = tx.row(FIND, &values![realm, id]).await?;
    Ok(row.map(event_of).transpose()?)
}

/// An event about one of the tokens that `cause` brought down: its id sorts right behind.
pub(crate) fn consequence(
    cause: &Event,
    kind: &'static str,
    token: TokenId,
    reason: &str,
) -> Event {
    Event {
        id: format!("{}.{token}", cause.id),
        kind: kind.into(),
        token: Some(token),
        reason: Some(reason.to_owned()),
        detail: None,
        ..cause.clone()
    }
}

/// What tells of a token's end, if anything does any more.
pub(crate) fn ending(
    cause: &Event,
    token: &Ending,
    ends: Timestamp,
    now: Timestamp,
) -> Option<Event> {
    let (kind, days) = notice::told(token.kind, ends, now)?;
    let told = consequence(cause, kind, token.id, &ends.to_string());
    Some(Event {
        realm: token.realm.clone(),
        subject: Some(token.owner.actor()),
        service: Some(token.services.labels().join(" ")),
        detail: Some(serde_json::json!({ "days": days, "expires_at": ends.to_string() })),
        ..told
    })
}

/// A token that ends.
pub(crate) struct Ending {
    pub(crate) id: TokenId,
    pub(crate) realm: RealmName,
    pub(crate) kind: Kind,
    pub(crate) owner: Owner,
    pub(crate) services: Services,
}

fn row_of(event: &Event) -> [Value<'_>; 16] {
    values![
        &event.realm,
        &event.id,
        event.at,
        event.kind.as_ref(),
        event.outcome.name(),
        &*event.origin.actor,
        event.origin.actor_token.as_ref(),
        event.origin.door.name(),
        event.origin.source,
        event.origin.request_id.as_ref().map(ToString::to_string),
        event.token.as_ref(),
        event.subject.as_ref(),
        event.service.as_ref(),
        event.reason.as_ref(),
        event.count,
        event.detail.as_ref().map(ToString::to_string),
    ]
}

/// Reads a row of all columns.
pub(crate) fn event_of(mut row: Row) -> Result<Event, Inconsistent> {
    Ok(Event {
        realm: codec::realm(&mut row, "realm")?,
        id: row.text("id")?,
        at: row.time("at")?,
        kind: row.text("kind")?.into(),
        outcome: row.parsed("outcome", Outcome::from_name)?,
        origin: Origin {
            actor: row.text("actor")?.into(),
            actor_token: row.token_or_null("actor_token")?,
            door: row.parsed("door", Door::from_name)?,
            source: row.parsed_or_null("source", |text| text.parse().ok())?,
            request_id: row.text_or_null("request_id")?.as_deref().map(Into::into),
        },
        token: row.token_or_null("token")?,
        subject: row.text_or_null("subject")?,
        service: row.text_or_null("service")?,
        reason: row.text_or_null("reason")?,
        count: row.count("times")?,
        detail: row.json_or_null("detail")?,
    })
}

/// Where the ids begin that were made at an instant.
fn place_of(at: Timestamp) -> String {
    format!("{:014x}", at.micros().max(0))
}

async fn list(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    filter: &EventFilter,
    request: &PageRequest,
) -> Result<Page<Event>, Failure> {
    let until = filter.to.map(place_of);
    let top = page::top(request);
    let top = until.as_deref().map_or(top, |until| until.min(top));
    let from = filter.from.map(place_of);
    let short = filter.look_at_most.filter(|_| filter.is_choosy() && filter.token.is_none());
    let last = match short {
        Some(most) => tx.row(FLOOR, &values![realm, top, most.saturating_sub(1)]).await?,
        None => None,
    };
    // Of no use behind the time that was asked for.
    let last =
        last.map(|mut row| row.text("id")).transpose()?.filter(|last| Some(last) > from.as_ref());
    // A bound that may be absent would be no bound of the index: every id is above nothing.
    let floor = last.as_deref().or(from.as_deref()).unwrap_or_default();
    let values = values![
        realm,
        top,
        page::rows_to_ask(request),
        filter.outcome.map(Outcome::name),
        filter.kind.as_ref(),
        filter.actor.as_ref(),
        filter.subject.as_ref(),
        filter.service.as_ref(),
        filter.from,
        filter.to,
        floor,
        filter.token.as_ref(),
    ];
    let rows = match filter.token {
        Some(_) => tx.query(LIST_OF_TOKEN, &values).await?,
        None => tx.query(LIST, &values[..11]).await?,
    };
    let mut found = page::of(rows, request, event_of, |event| event.id.clone())?;
    found.next = found.next.or(last);
    Ok(found)
}

#[async_trait]
impl EventStore for SqlStore {
    async fn event_append(&self, events: Vec<Event>) -> Result<(), Unavailable> {
        self.write(events, |tx, events| Box::pin(append_all(tx, events))).await
    }

    async fn event_list(
        &self,
        realm: &RealmName,
        filter: EventFilter,
        page: PageRequest,
    ) -> Result<Page<Event>, Unavailable> {
        self.scan((realm.clone(), filter, page), |tx, (realm, filter, page)| {
            Box::pin(list(tx, realm, filter, page))
        })
        .await
    }
}
