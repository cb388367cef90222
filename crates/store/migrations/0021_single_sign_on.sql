-- Sign-in by somebody else's word: who people are elsewhere, and what they had begun on their way
-- there. Sessions know by what they came and when that was last proved. Only adds.

-- method: null is a password. proved_at: null is when the session began.
alter table console_session add column method {text};
alter table console_session add column proved_at {int};

-- subject: the name that the issuer never gives to somebody else.
create table external_identity (
    realm           {text} not null,
    issuer          {text} not null,
    subject         {text} not null,
    username        {text} not null,
    linked_at       {int}  not null,
    used_at         {int}  not null,
    primary key (realm, issuer, subject)
) {clustered};

create unique index external_identity_of_person on external_identity (realm, username, issuer);

-- sealed: under what the browser holds, so nothing here can be read.
create table sign_in_flow (
    id              {text} not null primary key,
    realm           {text} not null,
    sealed          {blob} not null,
    expires_at      {int}  not null
) {clustered};

create index sign_in_flow_by_end on sign_in_flow (expires_at);
