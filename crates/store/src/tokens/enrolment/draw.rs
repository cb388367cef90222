//! Drawing from a registration token: one guarded statement counts, and what it counts commits
//! with it.

use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::enrolment::{Constraint, Counts, Mode, OnDuplicate};
use counterfoil_authority::event::{Event, Outcome};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{Draw, Enrol, Enrolled};
use counterfoil_authority::token::{State, Token, Told};

use super::super::usage::state;
use super::super::{revoke, rows, secrets};
use super::{device, due, reach};
use crate::engine::{Failure, Row, Transaction, values};
use crate::idempotency::{self, Earlier};
use crate::{codec, events};

/// A draw refuses by matching no row, so that the check and the count are one statement. `$3` is
/// the version that the draw was judged by: whatever was edited since is judged again.
macro_rules! draw {
    ($column:literal, $condition:literal) => {
        concat!(
            "
update token as t
set    ",
            $column,
            " = ",
            $column,
            " + 1
where  t.id = $1
and    t.version = $3
and    t.kind = 'registration_token'
and    ",
            state!(),
            " = 'active'",
            $condition,
            "
returning draw_limit, used, reserved, returned, coalesce(told, 0)"
        )
    };
}

const COUNT: &str = draw!("used", "");
const COUNT_BELOW: &str = draw!("used", "\nand    t.used + t.reserved - t.returned < $4");
const RESERVE: &str = draw!("reserved", "");

/// How a registration token stands from which nothing was drawn.
const STANDS: &str = concat!(
    "
select ",
    state!(),
    ", t.version, t.reserved, coalesce(t.told, 0)
from   token t
where  t.id = $1
and    t.kind = 'registration_token'"
);

/// Each threshold is told of once, whoever crosses it at the same time.
const TELL: &str = "
update token
set    told = coalesce(told, 0) + $2
where  id = $1
and    (coalesce(told, 0) & $2) = 0";

/// Those who draw from the same registration token take turns.
const TURN: &str = "
select 1
from   token
where  id = $1
{for_change}";

const LET_GO: &str = "
select token
from   auth_token
where  registration = $1
and    request_ends_at <= $2
limit  1000";

/// Every statement of this file.
pub(super) const STATEMENTS: &[&str] = &[COUNT, COUNT_BELOW, RESERVE, STANDS, TELL, TURN, LET_GO];

/// Runs draws one after the other. What one of them takes back takes the others with it; they
/// are all told to draw again.
pub(super) async fn draw_all(
    tx: &mut Transaction<'_>,
    enrols: &[Enrol],
) -> Result<Vec<Enrolled>, Failure> {
    let mut said = Vec::with_capacity(enrols.len());
    for enrol in enrols {
        said.push(draw(tx, enrol).await?);
        if tx.is_undone() {
            return Ok(vec![Enrolled::Collision; enrols.len()]);
        }
    }
    Ok(said)
}

/// Draws once, or answers as before.
pub(super) async fn draw(tx: &mut Transaction<'_>, enrol: &Enrol) -> Result<Enrolled, Failure> {
    let (id, now) = (enrol.registration, enrol.child.created_at);
    if enrol.replay.is_some() || !enrol.rules.is_empty() {
        // What is looked at below must still be so when the draw is counted.
        tx.lock(TURN, &values![&id]).await?;
    }
    if let Some(replay) = &enrol.replay {
        match idempotency::earlier_of(tx, id.as_str(), &replay.key, replay.fingerprint, now).await?
        {
            Earlier::Answered(answer) => return Ok(Enrolled::Replayed(answer)),
            Earlier::Other => return Ok(Enrolled::KeyReused),
            Earlier::None => {}
        }
    }
    let mut warned = Vec::new();
    let mut replaced = None;
    if !enrol.rules.is_empty() {
        let stands = stands(tx, id, now).await?;
        if stands.as_ref().is_none_or(|stands| stands.state != State::Active) {
            return refused(tx, enrol).await;
        }
        match judge(tx, enrol).await? {
            Judged::Good { warnings, instead_of } => (warned, replaced) = (warnings, instead_of),
            Judged::Bad(enrolled) => return Ok(enrolled),
        }
    }
    match count(tx, enrol).await? {
        Some(drawn) => store(tx, enrol, drawn, &warned, replaced).await,
        None => refused(tx, enrol).await,
    }
}

/// The counts after a draw.
struct Drawn {
    counts: Counts,
    told: Told,
    reserved: bool,
}

async fn count(tx: &mut Transaction<'_>, enrol: &Enrol) -> Result<Option<Drawn>, Failure> {
    let (id, now) = (enrol.registration, enrol.child.created_at);
    let plain = values![&id, now, enrol.version];
    let row = match enrol.draw {
        Draw::Count => tx.row(COUNT, &plain).await?,
        Draw::CountBelow(most) => {
            tx.row(COUNT_BELOW, &values![&id, now, enrol.version, most]).await?
        }
        Draw::Reserve => None,
    };
    if let Some(mut row) = row {
        return drawn_of(&mut row, false).map(Some);
    }
    if enrol.draw == Draw::Count {
        return Ok(None);
    }
    match tx.row(RESERVE, &plain).await? {
        Some(mut row) => drawn_of(&mut row, true).map(Some),
        None => Ok(None),
    }
}

fn drawn_of(row: &mut Row, reserved: bool) -> Result<Drawn, Failure> {
    let counts = Counts {
        limit: row.count_or_null("draw_limit")?,
        used: row.count("used")?,
        reserved: row.count("reserved")?,
        returned: row.count("returned")?,
    };
    Ok(Drawn { counts, told: Told(row.small("told")?), reserved })
}

/// The auth token and everything that belongs to a draw that was counted.
async fn store(
    tx: &mut Transaction<'_>,
    enrol: &Enrol,
    drawn: Drawn,
    warned: &[Constraint],
    replaced: Option<TokenId>,
) -> Result<Enrolled, Failure> {
    let now = enrol.child.created_at;
    let token = as_counted(enrol, drawn.reserved);
    let (row, hash) = (rows::ask_insert(&token), secrets::ask_insert(&token.id, &enrol.secret));
    if tx.execute_both(row, hash).await?.contains(&0) {
        tx.undo();
        return Ok(Enrolled::Collision);
    }
    if let Some(device) = &token.device {
        let asked = device::ask_insert(&token, device, &enrol.registration);
        if device.user_code.is_some() {
            if tx.execute(asked.sql, &asked.values).await? == 0 {
                tx.undo();
                return Ok(Enrolled::Collision);
            }
        } else {
            tx.push(asked.sql, &asked.values).await?;
        }
    }
    rows::add_services_and_labels(tx, &token).await?;
    let kind = if drawn.reserved { "token.enrolment-requested" } else { "token.enrolled" };
    let event = Event { kind: kind.into(), ..enrol.event.clone() };
    events::append(tx, &event).await?;
    for constraint in warned {
        let suffix = constraint.name();
        let told = beside(&event, "enrol.constraint-warned", suffix, suffix);
        events::append(tx, &told).await?;
    }
    if let Some(former) = replaced {
        due::release(tx, former).await?;
        revoke::replace(tx, &[former], now, &event).await?;
    }
    tell_thresholds(tx, enrol, &drawn).await?;
    if let Some(replay) = &enrol.replay {
        let answer = (replay.answer)(&token, drawn.counts);
        let (caller, key) = (enrol.registration, &replay.key);
        idempotency::keep_for(
            tx,
            caller.as_str(),
            key,
            (&replay.fingerprint, &answer),
            replay.expires_at,
            now,
        )
        .await?;
    }
    Ok(Enrolled::Done { token: Box::new(token), counts: drawn.counts, replaced })
}

/// The auth token as it is stored: waiting, or active and without a request.
fn as_counted(enrol: &Enrol, reserved: bool) -> Token {
    let mut token = Token {
        pending: reserved,
        activated_at: (!reserved).then_some(enrol.child.created_at),
        revocation: None,
        secrets: vec![enrol.secret.facts.clone()],
        ..enrol.child.clone()
    };
    if let Some(device) = &mut token.device
        && !reserved
    {
        device.user_code = None;
        device.request_ends_at = None;
    }
    token
}

/// Tells of thresholds that this draw has crossed.
async fn tell_thresholds(
    tx: &mut Transaction<'_>,
    enrol: &Enrol,
    drawn: &Drawn,
) -> Result<(), Failure> {
    let crossed = [
        (Told::NEARLY, drawn.counts.nearly_used_up(), "token.count-nearly-used", "80"),
        (Told::EXHAUSTED, drawn.counts.remaining() == Some(0), "token.count-used-up", "100"),
    ];
    for (bit, is_crossed, kind, suffix) in crossed {
        if is_crossed && !drawn.told.has(bit) {
            tell(tx, enrol, bit, kind, suffix, Some(drawn.counts)).await?;
        }
    }
    Ok(())
}

async fn tell(
    tx: &mut Transaction<'_>,
    enrol: &Enrol,
    bit: u32,
    kind: &'static str,
    suffix: &str,
    counts: Option<Counts>,
) -> Result<(), Failure> {
    if tx.execute(TELL, &values![&enrol.registration, bit]).await? == 0 {
        return Ok(());
    }
    let detail = counts.map(|counts| {
        serde_json::json!({
            "count": counts.limit, "used": counts.used, "reserved": counts.reserved,
            "returned": counts.returned,
        })
    });
    let told = Event { detail, ..beside(&enrol.event, kind, suffix, suffix) };
    events::append(tx, &told).await
}

/// A further event of the same request about the same registration token.
fn beside(event: &Event, kind: &'static str, suffix: &str, reason: &str) -> Event {
    Event {
        id: format!("{}.{suffix}", event.id),
        kind: kind.into(),
        outcome: Outcome::Done,
        reason: Some(reason.to_owned()),
        ..event.clone()
    }
}

/// How a registration token stands.
struct Stands {
    state: State,
    version: i64,
    reserved: u64,
    told: Told,
}

async fn stands(
    tx: &mut Transaction<'_>,
    id: TokenId,
    now: Timestamp,
) -> Result<Option<Stands>, Failure> {
    let Some(mut row) = tx.row(STANDS, &values![&id, now]).await? else { return Ok(None) };
    Ok(Some(Stands {
        state: row.parsed("state", State::from_name)?,
        version: row.int("version")?,
        reserved: row.count("reserved")?,
        told: Told(row.small("told")?),
    }))
}

/// Says why nothing was drawn. Requests whose time is over are let go first: they hold draws
/// that somebody else could have.
async fn refused(tx: &mut Transaction<'_>, enrol: &Enrol) -> Result<Enrolled, Failure> {
    let (id, now) = (enrol.registration, enrol.child.created_at);
    let Some(found) = stands(tx, id, now).await? else {
        return Ok(Enrolled::Refused(State::Revoked));
    };
    if found.state == State::Active {
        let stale = found.version != enrol.version;
        return if stale { Ok(Enrolled::Changed) } else { Err(Failure::interleaved()) };
    }
    if found.state == State::Exhausted && found.reserved > 0 {
        tx.lock(TURN, &values![&id]).await?;
        let mut let_go = 0;
        for mut row in tx.query(LET_GO, &values![&id, now]).await? {
            let token = row.token("token")?;
            let_go += due::time_out(tx, token, now, &enrol.event).await?;
        }
        if let_go > 0 {
            // The rules hold for whoever takes a freed draw as for everybody else.
            let (warned, replaced) = match judge(tx, enrol).await? {
                Judged::Good { warnings, instead_of } => (warnings, instead_of),
                Judged::Bad(enrolled) => return Ok(enrolled),
            };
            if let Some(drawn) = count(tx, enrol).await? {
                return store(tx, enrol, drawn, &warned, replaced).await;
            }
        }
    }
    if found.state == State::Exhausted && !found.told.has(Told::REFUSED) {
        tell(tx, enrol, Told::REFUSED, "token.count-exceeded", "refused", None).await?;
    }
    Ok(Enrolled::Refused(found.state))
}

/// What the rules say of a draw.
enum Judged {
    Good { warnings: Vec<Constraint>, instead_of: Option<TokenId> },
    Bad(Enrolled),
}

/// Looks at the conditions that other draws have a say in.
async fn judge(tx: &mut Transaction<'_>, enrol: &Enrol) -> Result<Judged, Failure> {
    let now = enrol.child.created_at;
    let mut warnings = Vec::new();
    if let Some((most, mode)) = enrol.rules.per_hour {
        let since = codec::sort_key(now.plus_seconds(-3_600), lowest());
        if reach::drawn_since(tx, enrol.registration, &since, most).await? >= most {
            match mode {
                Mode::Strict => return Ok(Judged::Bad(Enrolled::Broken(Constraint::PerHour))),
                Mode::Warn => warnings.push(Constraint::PerHour),
                Mode::Off => {}
            }
        }
    }
    let key = enrol.child.device.as_ref().map(|device| device.key.as_str()).unwrap_or_default();
    let most = enrol.rules.per_device.map_or(1, |(most, _)| most.max(1));
    let held = reach::living_of_device(tx, enrol.registration, key, now, most).await?;
    let newest = held.first().copied();
    let instead_of = match (enrol.rules.on_duplicate, newest) {
        (OnDuplicate::Replace, newest) => newest,
        (OnDuplicate::Reject, Some(_)) => {
            return Ok(Judged::Bad(Enrolled::Broken(Constraint::DuplicateDevice)));
        }
        (OnDuplicate::ReturnExisting, Some(held)) => return Ok(Judged::Bad(Enrolled::Held(held))),
        _ => None,
    };
    if let Some((most, mode)) = enrol.rules.per_device {
        // The one that ends in favour of this one makes room for it.
        let others = (held.len() as u64).saturating_sub(u64::from(instead_of.is_some()));
        if others >= most {
            match mode {
                Mode::Strict => return Ok(Judged::Bad(Enrolled::Broken(Constraint::PerDevice))),
                Mode::Warn => warnings.push(Constraint::PerDevice),
                Mode::Off => {}
            }
        }
    }
    Ok(Judged::Good { warnings, instead_of })
}

/// The id that sorts before every other one.
fn lowest() -> TokenId {
    // Twelve digits are the shape of an id, so the fallback is never taken.
    #[expect(clippy::expect_used, reason = "twelve zeroes are an id")]
    TokenId::parse("000000000000").expect("an id")
}
