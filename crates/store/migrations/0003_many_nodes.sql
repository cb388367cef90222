-- What nodes need to know of each other. Only adds: the statements of the
-- schema before this one work on as they did.

-- Which transaction wrote a row. Numbers of rows are given out before the
-- commit, so a reader that remembers only the last one it saw would miss rows
-- that appear late; one that knows which transactions were still running at
-- its last look does not. The column fills itself ({log_owner}).
alter table change_log add column owner {log_owner};

create index change_log_by_owner on change_log (owner, seq);

-- Who does the background work, until when. fence rises whenever the holder
-- changes: whoever acts under an older number was overtaken.
create table lease (
    name            {text} not null primary key,
    holder          {text} not null,
    fence           {int}  not null,
    expires_at      {int}  not null
) {clustered};
