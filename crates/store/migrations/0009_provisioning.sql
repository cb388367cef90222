-- Provisioning: targets, what was derived for them, the outbox, deliveries. Only adds.

-- A system that is brought up to date.
-- place_order: its place among the targets. config: JSON. secret: sealed to the row.
create table target (
    realm           {text} not null references realm (name),
    name            {text} not null,
    kind            {text} not null,
    mode            {text} not null,
    place_order     {int}  not null,
    config          {text} not null,
    secret          {blob},
    created_at      {int}  not null,
    updated_at      {int}  not null,
    version         {int}  not null,
    primary key (realm, name)
) {clustered};

-- Hashes of secrets as directories check them. They have no pepper, so they are sealed.
create table directory_hash (
    token           {text} not null,
    secret          {text} not null,
    scheme          {text} not null,
    sealed          {blob} not null,
    primary key (token, secret, scheme)
) {clustered};

-- Events that may concern a target, until somebody has looked. Written with its event; one row
-- for an event however many targets there are, so that no two issues meet at one.
create table outbox (
    seq             {serial},
    realm           {text} not null,
    event           {text} not null
) {table};

-- An object's way to a target. message: the event that is told of; empty for desired state, of
-- which an object has one row however often it changes.
-- wanted: rises each time, so that an attempt knows whether it was the last word.
-- unanswered: attempts of which nobody knows whether the target may yet act on them.
create table delivery (
    realm           {text} not null,
    target          {text} not null,
    object          {text} not null,
    message         {text} not null,
    state           {text} not null,
    wanted          {int}  not null,
    due_at          {int},
    since           {int}  not null,
    attempts        {int}  not null,
    error           {text},
    place           {text},
    progress        {text},
    unanswered      {int}  not null,
    done_at         {int},
    primary key (realm, target, object, message)
) {clustered};

create index delivery_due on delivery (realm, target, due_at) where due_at is not null;
create index delivery_soonest on delivery (due_at) where due_at is not null;
create index delivery_by_object on delivery (realm, object, message);
create index delivery_open on delivery (realm, target, state, since) where state <> 'done';
