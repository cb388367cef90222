-- Activation letters, and acts on many tokens. Only adds.

-- A letter that activates the token of a person. It has no secret before it is printed; hash is
-- then the keyed one of its secret. ended_at: when it was redeemed or cancelled.
create table activation_letter (
    id              {text} not null primary key,
    realm           {text} not null,
    repository      {text} not null,
    token           {text} not null,
    owner           {text} not null,
    state           {text} not null,
    ordered_at      {int}  not null,
    ordered_by      {text} not null,
    expires_at      {int}  not null,
    printed_at      {int},
    printed_by      {text},
    ended_at        {int},
    pepper          {int},
    hash            {blob}
) {clustered};

create unique index activation_letter_open on activation_letter (token)
    where state in ('ordered', 'printed');
create index activation_letter_by_end on activation_letter (expires_at)
    where state in ('ordered', 'printed');
create unique index activation_letter_by_hash on activation_letter (hash)
    where hash is not null;
create unique index activation_letter_by_age on activation_letter (realm, id);
create index activation_letter_by_owner on activation_letter (realm, owner, id);
create index activation_letter_by_state on activation_letter (realm, state, id);

-- An act on many tokens. act, asked_by: JSON of the rules.
create table job (
    id              {text} not null primary key,
    realm           {text} not null,
    act             {text} not null,
    asked_by        {text} not null,
    actor           {text} not null,
    state           {text} not null,
    created_at      {int}  not null,
    ended_at        {int}
) {clustered};

create unique index job_by_age on job (realm, id);
create index job_running on job (id) where state = 'running';
create index job_by_end on job (ended_at) where ended_at is not null;

-- One token of a job. recipient: to whom it goes.
create table job_item (
    job             {text} not null,
    place           {int}  not null,
    token           {text} not null,
    recipient       {text},
    state           {text} not null,
    reason          {text},
    primary key (job, place)
) {clustered};

create index job_item_by_state on job_item (job, state, place);
