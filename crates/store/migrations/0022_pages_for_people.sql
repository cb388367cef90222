-- For the pages for people: on which day and through which door a token was used, which is bookkeeping
-- beside the totals and never a limit; and groups that people join by themselves. Only adds.

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

-- open: people join and leave it by themselves. Set when the group is made and never changed; no
-- role is given to such a group.
alter table grp add column open {int} not null default 0;
