-- When the session of a door was last used, told about once a minute. Only adds: null of other access
-- tokens, and of those that a server of an earlier version made.
alter table access_token add column used_at {int};
