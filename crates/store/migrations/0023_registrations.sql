-- The few registration tokens among many other tokens, for the pages that list them. Only adds.
-- The condition is written so that no statement about one token is taken to be about this index:
-- read from end to end it would be the wrong one for that.
-- On a large PostgreSQL build it before the upgrade:
-- create index concurrently token_registrations on token (realm, sort_key)
-- where kind || '' = 'registration_token'
create index if not exists token_registrations on token (realm, sort_key)
where kind || '' = 'registration_token';
