//! Authentication tokens in SQL.
//!
//! Invariant: a code is used up by one conditional statement, whose guard names everything that
//! could make it not good: that it was used, that its token ended, and that all uses are taken.

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::keys::KeyId;
use counterfoil_authority::names::{RealmName, Username};
use counterfoil_authority::otp::codes::EMAIL_ATTEMPTS_MAX;
use counterfoil_authority::otp::{Algorithm, Method, Shape};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::secret_hash::Mac256;
use counterfoil_authority::store::{
    CODE_RETENTION_SECONDS, Consumed, Issued, OTPS_PER_PERSON_MAX, Otp, OtpAccept, OtpAccepted,
    OtpCode, OtpCodes, OtpImported, OtpIssue, OtpProof, OtpReplaced, OtpStore, OtpUse, SealedAt,
    Unavailable,
};
use counterfoil_authority::token::State;

use crate::engine::{Asked, Failure, Inconsistent, Row, Transaction, values};
use crate::tokens::{self, Arrival, state};
use crate::{SqlStore, events};

/// The columns that [`otp_of`] reads, of `o`.
macro_rules! otp_columns {
    () => {
        "
select o.token, o.method, o.algorithm, o.digits, o.step_seconds, o.seed, o.seal, o.public_id,
       o.accepted, o.drift, o.confirmed, o.codes_at"
    };
}

/// The columns that [`code_of`] reads, of `c`.
macro_rules! code_columns {
    () => {
        "
select c.token, c.id, c.pepper, c.hash, c.expires_at, c.attempts, c.sealed"
    };
}

const INSERT: &str = "
insert into otp (
    token, method, algorithm, digits, step_seconds, seed, seal, public_id, accepted, drift,
    confirmed, codes_at
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
on conflict do nothing";

const ADD_CODE: &str = "
insert into otp_code (token, id, pepper, hash, expires_at, attempts, sealed)
values ($1, $2, $3, $4, $5, $6, $7)";

const FIND: &str = concat!(
    otp_columns!(),
    "
from   otp o
join   token t on t.id = o.token
where  o.token = $1
and    t.realm = $2"
);

const CODES: &str = concat!(
    code_columns!(),
    "
from   otp_code c
where  c.token = $1
and    c.used_at is null
order  by c.id"
);

const OF_PERSON: &str = concat!(
    otp_columns!(),
    "
from   token t
join   otp o on o.token = t.id
where  t.realm = $1
and    t.owner_kind = 'u'
and    t.owner = $2
and    t.kind = 'generic'
and    t.revoked_at is null
and    (t.place is null or t.place <> 'stock')
order  by t.sort_key desc
limit  $3"
);

/// Whether the token of a code may be used: of one that is being confirmed (`$5`) only its revocation
/// counts.
macro_rules! is_good {
    () => {
        concat!(
            "and    exists (
    select 1
    from   token t
    where  t.id = $1
    and    (",
            state!(),
            " = 'active' or $6 = 1 or ($5 = 1 and t.revoked_at is null))
)"
        )
    };
}

/// A later place was accepted, the token is not active, or it waits to be confirmed: no row. Whose
/// use was counted before (`$6`) was active then, and may have taken the last one.
const ADVANCE: &str = concat!(
    "
update otp
set    accepted = $3, drift = $4, confirmed = 1
where  token = $1
and    accepted < $3
and    (confirmed = 1 or $5 = 1)
",
    is_good!()
);

/// The same for a kept code, which goes with its clear text.
const SPEND: &str = concat!(
    "
update otp_code
set    used_at = $2, sealed = null
where  token = $1
and    id = $3
and    used_at is null
and    (expires_at is null or expires_at > $2)
and    attempts < $4
",
    is_good!()
);

const STATE: &str = concat!(
    "
select ",
    state!(),
    "
from   token t
where  t.id = $1"
);

/// Takes the row, so that of two replacements the second sees the first.
const RENEW: &str = "
update otp
set    codes_at = $2
where  token = $1
and    (codes_at is null or codes_at <= $3)
and    exists (
    select 1
    from   token t
    where  t.id = $1
    and    t.realm = $4
    and    t.revoked_at is null
)";

const STANDS: &str = "
select 1
from   otp o
join   token t on t.id = o.token
where  o.token = $1
and    t.realm = $2
and    t.revoked_at is null";

const DROP_CODES: &str = "
delete from otp_code
where  token = $1";

const MISSED: &str = "
update otp_code
set    attempts = attempts + 1
where  token = $1
and    used_at is null
and    expires_at is not null";

const SEALED_BEFORE: &str = concat!(
    otp_columns!(),
    "
from   otp o
where  o.seal < $1
and    (o.seal, o.token) > ($2, $3)
order  by o.seal, o.token
limit  $4"
);

const RESEAL: &str = "
update otp
set    seed = $3, seal = $4
where  token = $1
and    seed = $2";

const PURGE: &str = "
delete from otp_code
where  (token, id) in (
    select token, id
    from   otp_code
    where  expires_at <= $1
    order  by expires_at
    limit  $2
)";

/// Every statement of this file.
pub(crate) const STATEMENTS: &[&str] = &[
    INSERT,
    ADD_CODE,
    FIND,
    CODES,
    OF_PERSON,
    ADVANCE,
    SPEND,
    STATE,
    RENEW,
    STANDS,
    DROP_CODES,
    MISSED,
    SEALED_BEFORE,
    RESEAL,
    PURGE,
];

/// Stores what makes a token an authentication token.
pub(crate) fn ask_insert(otp: &Otp) -> Asked<'_> {
    let values = values![
        &otp.token,
        otp.method.name(),
        otp.shape.algorithm.name(),
        otp.shape.digits,
        otp.shape.step_seconds,
        otp.seed.as_deref(),
        otp.seal,
        otp.public_id.as_deref(),
        otp.accepted,
        otp.drift,
        otp.confirmed,
        otp.codes_at
    ];
    Asked::new(INSERT, values)
}

/// Stores the codes of a token that has none.
pub(crate) async fn add_codes(
    tx: &mut Transaction<'_>,
    token: TokenId,
    codes: &[OtpCode],
) -> Result<(), Failure> {
    for code in codes {
        let OtpCode { id, pepper, mac, expires_at, attempts, sealed } = code;
        let bytes = mac.as_bytes();
        let sealed = sealed.as_deref();
        tx.push(ADD_CODE, &values![&token, id, *pepper, bytes, *expires_at, *attempts, sealed])
            .await?;
    }
    Ok(())
}

fn otp_of(mut row: Row) -> Result<Otp, Inconsistent> {
    Ok(Otp {
        token: row.token("token")?,
        method: row.parsed("method", Method::from_name)?,
        shape: Shape {
            algorithm: row.parsed("algorithm", Algorithm::from_name)?,
            digits: row.small("digits")?,
            step_seconds: row.small("step_seconds")?,
        },
        seed: row.bytes_or_null("seed")?,
        seal: row
            .int_or_null("seal")?
            .map(|seal| KeyId::try_from(seal).map_err(|_| Inconsistent { column: "seal" }))
            .transpose()?,
        public_id: row.text_or_null("public_id")?,
        accepted: row.int("accepted")?,
        drift: row.int("drift")?,
        confirmed: row.flag("confirmed")?,
        codes_at: row.time_or_null("codes_at")?,
        codes: Vec::new(),
    })
}

fn code_of(mut row: Row) -> Result<OtpCode, Inconsistent> {
    row.skip(1);
    Ok(OtpCode {
        id: row.text("id")?,
        pepper: row.small("pepper")?,
        mac: Mac256::from_bytes(row.bytes32("hash")?),
        expires_at: row.time_or_null("expires_at")?,
        attempts: row.small("attempts")?,
        sealed: row.bytes_or_null("sealed")?,
    })
}

async fn with_codes(tx: &mut Transaction<'_>, row: Row) -> Result<Otp, Failure> {
    let otp = otp_of(row)?;
    // Only these have any.
    if !matches!(otp.method, Method::Backup | Method::Email) {
        return Ok(otp);
    }
    let rows = tx.query(CODES, &values![&otp.token]).await?;
    let codes: Result<_, _> = rows.into_iter().map(code_of).collect();
    Ok(Otp { codes: codes?, ..otp })
}

async fn find(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    token: TokenId,
) -> Result<Option<Otp>, Failure> {
    match tx.row(FIND, &values![&token, realm]).await? {
        Some(row) => with_codes(tx, row).await.map(Some),
        None => Ok(None),
    }
}

async fn of_person(
    tx: &mut Transaction<'_>,
    realm: &RealmName,
    user: &Username,
) -> Result<Vec<Otp>, Failure> {
    let rows = tx.query(OF_PERSON, &values![realm, user, OTPS_PER_PERSON_MAX]).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        found.push(with_codes(tx, row).await?);
    }
    Ok(found)
}

async fn accept(tx: &mut Transaction<'_>, accept: &OtpAccept) -> Result<OtpAccepted, Failure> {
    let OtpAccept { token, proof, purpose, at, ip, event } = accept;
    let mut used = 0;
    let counted = *purpose == (OtpUse::Verify { counted: true });
    // The token's row before its codes: the order in which everybody takes them.
    if counted {
        match tokens::consume(tx, *token, *at, *ip).await? {
            Consumed::Done { used: taken } => used = taken,
            Consumed::Refused(state) => return Ok(OtpAccepted::Refused(state)),
        }
    }
    let adjusts = *purpose == OtpUse::Adjust;
    let touched = match proof {
        OtpProof::Place { at: place, drift } => {
            tx.execute(ADVANCE, &values![token, *at, *place, *drift, adjusts, counted]).await?
        }
        OtpProof::Code(id) => {
            tx.execute(SPEND, &values![token, *at, id, EMAIL_ATTEMPTS_MAX, adjusts, counted])
                .await?
        }
    };
    if touched > 0 {
        if let Some(event) = event {
            events::append(tx, event).await?;
        }
        return Ok(OtpAccepted::Done { used });
    }
    tx.undo();
    let state = tx.row(STATE, &values![token, *at]).await?;
    let state = state.map(|mut row| row.parsed("state", State::from_name)).transpose()?;
    Ok(match state.unwrap_or(State::Revoked) {
        State::Active => OtpAccepted::Spent,
        // Seen with the use that is being taken back.
        State::Exhausted if counted => OtpAccepted::Spent,
        State::Revoked => OtpAccepted::Refused(State::Revoked),
        _ if adjusts => OtpAccepted::Spent,
        ended => OtpAccepted::Refused(ended),
    })
}

async fn replace(tx: &mut Transaction<'_>, codes: &OtpCodes) -> Result<OtpReplaced, Failure> {
    let OtpCodes { realm, token, codes, unless_since, at, event } = codes;
    let since = unless_since.unwrap_or_else(|| Timestamp::from_micros(i64::MAX));
    if tx.execute(RENEW, &values![token, *at, since, realm]).await? == 0 {
        let stands = tx.exists(STANDS, &values![token, realm]).await?;
        return Ok(if stands { OtpReplaced::TooSoon } else { OtpReplaced::NotFound });
    }
    tx.push(DROP_CODES, &values![token]).await?;
    add_codes(tx, *token, codes).await?;
    events::append(tx, event).await?;
    Ok(OtpReplaced::Done)
}

/// Stores a batch, or nothing of it.
/// Stores an authentication token, within the limits that come with it.
pub(crate) async fn admit(tx: &mut Transaction<'_>, issue: &OtpIssue) -> Result<Issued, Failure> {
    tokens::once(tx, &Arrival::by_codes(issue)).await
}

async fn import(tx: &mut Transaction<'_>, issues: &[OtpIssue]) -> Result<OtpImported, Failure> {
    for (index, issue) in issues.iter().enumerate() {
        let why = admit(tx, issue).await?;
        if !matches!(why, Issued::Done { .. }) {
            tx.undo();
            return Ok(OtpImported::Refused { index, why });
        }
    }
    Ok(OtpImported::Done)
}

async fn sealed_before(
    tx: &mut Transaction<'_>,
    seal: KeyId,
    after: Option<SealedAt>,
    limit: u32,
) -> Result<Vec<Otp>, Failure> {
    // Numbers of keys begin with 1.
    let under = after.map_or(0, |after| after.seal);
    let behind = after.map(|after| after.token.to_string()).unwrap_or_default();
    let rows = tx.query(SEALED_BEFORE, &values![seal, under, &behind, limit]).await?;
    let found: Result<_, _> = rows.into_iter().map(otp_of).collect();
    Ok(found?)
}

/// Removes a batch of codes that ended by themselves, used or not.
pub(crate) async fn purge(
    tx: &mut Transaction<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<u64, Failure> {
    tx.execute(PURGE, &values![now.plus_seconds(-CODE_RETENTION_SECONDS), limit]).await
}

#[async_trait]
impl OtpStore for SqlStore {
    async fn otp_issue(&self, issue: OtpIssue) -> Result<Issued, Unavailable> {
        self.write(issue, |tx, issue| {
            Box::pin(async move { tokens::once(tx, &Arrival::by_codes(issue)).await })
        })
        .await
    }

    async fn otp_import(&self, issues: Vec<OtpIssue>) -> Result<OtpImported, Unavailable> {
        self.write(issues, |tx, issues| Box::pin(import(tx, issues))).await
    }

    async fn otp_find(
        &self,
        realm: &RealmName,
        token: TokenId,
    ) -> Result<Option<Otp>, Unavailable> {
        self.point((realm.clone(), token), |tx, (realm, token)| Box::pin(find(tx, realm, *token)))
            .await
    }

    async fn otp_of_person(
        &self,
        realm: &RealmName,
        user: &Username,
    ) -> Result<Vec<Otp>, Unavailable> {
        self.point((realm.clone(), user.clone()), |tx, (realm, user)| {
            Box::pin(of_person(tx, realm, user))
        })
        .await
    }

    async fn otp_accept(&self, accepting: OtpAccept) -> Result<OtpAccepted, Unavailable> {
        self.write(accepting, |tx, accepting| Box::pin(accept(tx, accepting))).await
    }

    async fn otp_replace_codes(&self, codes: OtpCodes) -> Result<OtpReplaced, Unavailable> {
        self.write(codes, |tx, codes| Box::pin(replace(tx, codes))).await
    }

    async fn otp_missed(&self, token: TokenId) -> Result<(), Unavailable> {
        self.write(token, |tx, token| {
            Box::pin(async move { tx.execute(MISSED, &values![token]).await.map(drop) })
        })
        .await
    }

    async fn otp_sealed_before(
        &self,
        seal: KeyId,
        after: Option<SealedAt>,
        limit: u32,
    ) -> Result<Vec<Otp>, Unavailable> {
        self.point((seal, after, limit), |tx, (seal, after, limit)| {
            Box::pin(sealed_before(tx, *seal, *after, *limit))
        })
        .await
    }

    async fn otp_reseal(
        &self,
        token: TokenId,
        old: Vec<u8>,
        new: Vec<u8>,
        seal: KeyId,
    ) -> Result<bool, Unavailable> {
        self.write((token, old, new, seal), |tx, (token, old, new, seal)| {
            Box::pin(async move {
                let (old, new) = (old.as_slice(), new.as_slice());
                Ok(tx.execute(RESEAL, &values![token, old, new, *seal]).await? > 0)
            })
        })
        .await
    }
}
