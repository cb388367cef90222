-- Tokens that somebody else keeps: what is counted of them here. Only adds.

-- token: the id here, made from realm, repository and foreign_id. used: uses that count against
-- the limit that the repository tells of, changed by one conditional statement only.
create table foreign_use (
    token           {text} not null primary key,
    realm           {text} not null references realm (name),
    repository      {text} not null,
    foreign_id      {text} not null,
    owner           {text},
    first_at        {int},
    last_at         {int},
    last_ip         {text},
    total           {int}  not null,
    denied          {int}  not null,
    used            {int}  not null
) {clustered};
