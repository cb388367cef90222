-- What tokens are used for, so that somebody can say what was given and never needed. Only adds.

-- aspect: what the row is about (a door, a scope that was asked for, a network that the token is
-- bound to, and what an edit gave). day: the latest one, in days since 1970-01-01, UTC.
create table token_use (
    token           {text} not null,
    aspect          {text} not null,
    what            {text} not null,
    day             {int}  not null,
    primary key (token, aspect, what)
) {clustered};

create index token_use_by_day on token_use (day);

-- Since when that is noted without a gap; one row, written when a server first runs with it.
create table token_use_since (
    id              {int}  not null primary key,
    since           {int}  not null
) {clustered};
