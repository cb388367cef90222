-- People who sign in at the console: passwords, sessions and the links that lead to them. Only adds.

-- hash: Argon2id under the pepper, at the cost that stands beside it.
create table account (
    realm           {text} not null,
    username        {text} not null,
    pepper          {int}  not null,
    hash            {blob} not null,
    cost            {text} not null,
    changed_at      {int}  not null,
    version         {int}  not null,
    primary key (realm, username)
) {clustered};

-- hash: of what the browser holds. used_at and source: noted about once a minute.
create table console_session (
    id              {text} not null primary key,
    realm           {text} not null,
    username        {text} not null,
    pepper          {int}  not null,
    hash            {blob} not null,
    created_at      {int}  not null,
    used_at         {int}  not null,
    expires_at      {int}  not null,
    source          {text},
    agent           {text}
) {clustered};

create index console_session_of_person on console_session (realm, username);
create index console_session_by_end on console_session (expires_at);

-- username: whose password it sets; null: whoever uses it becomes the first administrator.
-- The row stays for a while after its end, so that a later use of it is told apart.
create table sign_in_link (
    id              {text} not null primary key,
    realm           {text} not null,
    username        {text},
    created_at      {int}  not null,
    created_by      {text} not null,
    expires_at      {int}  not null,
    pepper          {int}  not null,
    hash            {blob} not null,
    used_at         {int}
) {clustered};

create index sign_in_link_of_person on sign_in_link (realm, username);
create index sign_in_link_by_end on sign_in_link (expires_at);
