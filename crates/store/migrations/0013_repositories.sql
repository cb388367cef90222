-- Repositories of generic tokens. Only adds.

-- The repository that a token is in, and its place there: held, stock, current, next.
alter table token add column repository {text};
alter table token add column place {text};

-- What lists of a repository's tokens are filtered and sorted by, apart from token: these rows
-- change with every flush of usage, and no other token pays for their indexes.
-- owner: null of stock. ends_at, last_at: 0 where there is none, so that a page can begin behind
-- any of them. held_since, base_total: since when its owner has it, and the uses before that.
create table repository_token (
    token           {text} not null primary key,
    realm           {text} not null,
    repository      {text} not null,
    sort_key        {text} not null,
    owner           {text},
    place           {text} not null,
    serial          {text},
    tracking        {text},
    ends_at         {int}  not null,
    last_at         {int}  not null,
    total           {int}  not null,
    first_at        {int},
    held_since      {int},
    base_total      {int}  not null
) {clustered};

create unique index repository_token_by_age on repository_token (realm, repository, sort_key);
create unique index repository_token_by_serial on repository_token (realm, repository, serial)
    where serial is not null;
create unique index repository_token_by_place on repository_token (realm, repository, owner, place)
    where place in ('current', 'next');
create index repository_token_by_owner on repository_token (realm, repository, owner, sort_key);
create index repository_token_by_tracking
    on repository_token (realm, repository, tracking, sort_key) where tracking is not null;
create index repository_token_by_end on repository_token (realm, repository, ends_at, sort_key);
create index repository_token_by_use on repository_token (realm, repository, last_at, sort_key);
create index repository_token_by_total on repository_token (realm, repository, total, sort_key);
-- Which next credentials become current by their date.
create index repository_token_next on repository_token (repository, token) where place = 'next';

-- Free elements, in a form whose order is that of their values.
create table repository_value (
    realm           {text} not null,
    repository      {text} not null,
    element         {int}  not null,
    value           {text} not null,
    sort_key        {text} not null,
    primary key (realm, repository, element, value, sort_key)
) {clustered};

-- What is kept with a token and shown again, sealed to its id.
create table token_data (
    token           {text} not null primary key,
    sealed          {blob} not null
) {clustered};

-- Who had a token before, and what it did for them.
create table repository_assignment (
    token           {text} not null,
    since           {int}  not null,
    realm           {text} not null,
    owner           {text} not null,
    until           {int}  not null,
    first_at        {int},
    last_at         {int},
    total           {int}  not null,
    primary key (token, since)
) {clustered};
