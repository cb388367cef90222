-- Authentication tokens: seeds, sealed, and codes, hashed. Only adds.

-- What makes a token one that proves itself by codes. The token has no row in token_secret.
-- seed: sealed to token and method; seal: the number of the key it is sealed under.
-- accepted: the last place (counter, step, plugs and touches) that was accepted; only rises.
-- drift: steps that its clock is ahead of ours. codes_at: when its codes were made.
create table otp (
    token           {text} not null primary key,
    method          {text} not null,
    algorithm       {text} not null,
    digits          {int}  not null,
    step_seconds    {int}  not null,
    seed            {blob},
    seal            {int},
    public_id       {text},
    accepted        {int}  not null,
    drift           {int}  not null,
    confirmed       {int}  not null check (confirmed in (0, 1)),
    codes_at        {int}
) {clustered};

create index otp_by_seal on otp (seal) where seal is not null;

-- One row for each backup code, and one for a code that was sent by mail.
-- sealed: its clear text while a letter has to hold it.
create table otp_code (
    token           {text} not null,
    id              {text} not null,
    pepper          {int}  not null,
    hash            {blob} not null,
    expires_at      {int},
    attempts        {int}  not null,
    sealed          {blob},
    used_at         {int},
    primary key (token, id)
) {clustered};
