-- One-time links for delivering the secret of a new token. Only adds.

-- The token has no secret until its link is opened: then one is generated, shown and hashed
-- in the same transaction that sets opened_at. The row stays for a while after its end, so
-- that a second opening is recognised and raises an alarm.
create table link (
    id              {text} not null primary key,
    realm           {text} not null,
    token           {text} not null,
    created_at      {int}  not null,
    expires_at      {int}  not null,
    pepper          {int}  not null,
    hash            {blob} not null,
    opened_at       {int}
) {clustered};

create index link_by_end on link (expires_at);
