-- Passkeys of people, and who wants to be asked for one after the password. Only adds.

-- credential_id and handle: how the device calls the passkey and the person, in base64url.
-- credential: a public key and what the device said of itself; no secret.
-- counter: how often it was used, as the device says; 0 of those that do not count.
create table passkey (
    id              {text} not null primary key,
    realm           {text} not null,
    username        {text} not null,
    credential_id   {text} not null,
    handle          {text} not null,
    name            {text} not null,
    credential      {blob} not null,
    counter         {int}  not null,
    created_at      {int}  not null,
    used_at         {int}
) {clustered};

create unique index passkey_by_credential on passkey (realm, credential_id);
create index passkey_of_person on passkey (realm, username, created_at, id);

-- passkey_required: null and 0 are no.
alter table account add column passkey_required {int};
