-- OAuth: opaque access tokens, revocations, proofs that were used. Only adds.

-- How a client's access tokens are to be, as JSON; null: as the installation says.
alter table client add column access {text};

-- Opaque access tokens. None is kept longer than it lives.
-- facts: JSON, the same that a JWT says of itself.
create table access_token (
    id              {text} not null primary key,
    realm           {text} not null,
    pepper          {int}  not null,
    hash            {blob} not null,
    facts           {text} not null,
    expires_at      {int}  not null
) {clustered};

create index access_token_by_end on access_token (expires_at);

-- Access tokens of either form that were ended before their time.
create table access_revocation (
    id              {text} not null primary key,
    realm           {text} not null,
    revoked_at      {int}  not null,
    expires_at      {int}  not null
) {clustered};

create index access_revocation_by_end on access_revocation (expires_at);
create index access_revocation_by_realm on access_revocation (realm, expires_at);

-- Digests of DPoP proofs, until they are too old to be accepted anyway.
create table proof (
    once            {text} not null primary key,
    expires_at      {int}  not null
) {clustered};

create index proof_by_end on proof (expires_at);

-- What the feed of revocations asks for. On a large PostgreSQL build it before the upgrade:
-- create index concurrently token_by_revocation on token (realm, revoked_at)
-- where revoked_at is not null
create index if not exists token_by_revocation on token (realm, revoked_at)
where revoked_at is not null;
