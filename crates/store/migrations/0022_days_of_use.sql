-- How often a token was used on which day, and through which door: for people who look at their
-- tokens. Bookkeeping beside the totals, never a limit. Only adds.

-- day: days since 1970-01-01, UTC. last_ip: where the latest use of that day came from.
create table use_day (
    token           {text} not null,
    day             {int}  not null,
    door            {text} not null,
    uses            {int}  not null,
    last_at         {int}  not null,
    last_ip         {text},
    primary key (token, day, door)
) {clustered};

create index use_day_by_day on use_day (day);
