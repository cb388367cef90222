-- Letters that hold a one-time link, and locks that hold for tokens issued later. Only adds.

-- The link's clear text, sealed to the row, where a letter to its person has to hold it. Gone once
-- the link is opened.
alter table link add column sealed {blob};

-- Whose tokens are locked whenever they were issued: a person's, a service's, or a person's at a
-- service. An empty name stands for any.
create table token_lock (
    realm           {text} not null references realm (name),
    username        {text} not null,
    service         {text} not null,
    locked_at       {int}  not null,
    locked_by       {text} not null,
    reason          {text},
    primary key (realm, username, service)
) {clustered};

create index token_lock_by_service on token_lock (realm, service, username);
