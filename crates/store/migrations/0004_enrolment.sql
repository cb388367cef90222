-- Auth tokens, their families, and what is to be told in time. Only adds: the
-- statements of the schema before this one work on as they did.

-- Which thresholds of a registration token have been told of: 1 most of its
-- count is taken, 2 all of it is, 4 somebody was refused after that.
alter table token add column told {int};

-- Who drew an auth token, and how it stands as a grant. The token itself is a
-- row of token; sort_key is the same there.
-- registration: no reference, because an auth token outlives it.
-- device_key: by what the device is recognised when it draws again.
-- request_ends_at: until when a request waits for approval; null once decided.
create table auth_token (
    token           {text} not null primary key,
    realm           {text} not null,
    sort_key        {text} not null,
    registration    {text} not null,
    device_key      {text} not null,
    subject         {text} not null,
    hostname        {text},
    system_user     {text},
    mac_address     {text},
    identifier      {text},
    ref_id_1        {text},
    ref_id_2        {text},
    source          {text},
    confirmation    {text},
    access_format   {text} not null,
    client          {text},
    ephemeral       {int}  not null check (ephemeral in (0, 1)),
    idle_seconds    {int},
    idle_ends_at    {int},
    refreshed_at    {int},
    user_code       {text},
    request_ends_at {int},
    poll_seconds    {int},
    polled_at       {int}
) {clustered};

create unique index auth_token_by_age on auth_token (realm, sort_key);
create index auth_token_by_registration on auth_token (registration, sort_key);
create index auth_token_by_device on auth_token (registration, device_key, sort_key);
create index auth_token_idle on auth_token (idle_ends_at) where idle_ends_at is not null;
create index auth_token_waiting on auth_token (request_ends_at) where request_ends_at is not null;
create unique index auth_token_by_user_code on auth_token (realm, user_code)
    where user_code is not null and request_ends_at is not null;

-- What a refresh secret was exchanged for, for the few seconds in which the
-- answer may have been lost: sealed under what only that secret yields.
create table refresh_successor (
    token           {text} not null,
    secret          {text} not null,
    sealed          {blob} not null,
    retries         {int}  not null,
    expires_at      {int}  not null,
    primary key (token, secret)
) {clustered};

create index refresh_successor_by_end on refresh_successor (expires_at);

-- What is to be told of a token at a certain time, once.
create table notice (
    token           {text} not null,
    kind            {text} not null,
    realm           {text} not null,
    due_at          {int}  not null,
    primary key (token, kind)
) {clustered};

create index notice_by_time on notice (due_at);
