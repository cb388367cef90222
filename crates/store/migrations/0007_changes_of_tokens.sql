-- When a token was last edited, switched or rotated. Only adds: null of tokens that nobody changed
-- since this column is there, and of those that a server of an earlier version changes.
alter table token add column changed_at {int};
