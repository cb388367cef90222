-- The few registration tokens among many other tokens, for the pages that list them. Only adds.
-- On a large PostgreSQL build it before the upgrade:
-- create index concurrently token_registrations on token (realm, sort_key)
-- where kind = 'registration_token'
create index if not exists token_registrations on token (realm, sort_key)
where kind = 'registration_token';
