-- What an identity provider says of people and groups by SCIM, and versions of groups. Only adds.

-- external_id: what the provider calls the record; it looks for it by that.
-- provisioned: further attributes, as JSON.
alter table person add column external_id {text};
alter table person add column provisioned {text};

create index person_by_external_id on person (realm, external_id) where external_id is not null;

-- updated_at, version: they rise with each change of a group or of who is in it.
alter table grp add column external_id {text};
alter table grp add column provisioned {text};
alter table grp add column updated_at {int} not null default 0;
alter table grp add column version {int} not null default 1;
