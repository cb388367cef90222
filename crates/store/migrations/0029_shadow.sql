-- Where the answers of an old system differ from ours, while an organisation moves in. Only adds.

-- One row for each shadow, service, way, token and person of a realm. Empty texts where nothing is
-- known, because a unique index tells nulls apart. Never a secret, nor anything computed from one.
-- met: how often.
create table shadow_difference (
    realm           {text} not null,
    id              {text} not null,
    shadow          {text} not null,
    service         {text} not null,
    differs         {text} not null,
    token           {text} not null,
    username        {text} not null,
    reason          {text} not null,
    met             {int}  not null,
    first_at        {int}  not null,
    last_at         {int}  not null,
    primary key (realm, id)
) {clustered};

create unique index shadow_difference_once on shadow_difference (
    realm, shadow, service, differs, token, username
);
create index shadow_difference_by_way on shadow_difference (realm, differs, id);
create index shadow_difference_by_time on shadow_difference (realm, last_at, id);
create index shadow_difference_by_age on shadow_difference (last_at);
