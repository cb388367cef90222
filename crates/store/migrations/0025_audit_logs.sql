-- Audit logs: one Merkle tree for each realm over its events. Only adds.

-- Events that are in no log yet. A row is written with its event and removed by the transaction
-- that puts the event into the log, so none is left out whatever the order of commits.
create table audit_unsealed (
    seq             {serial},
    realm           {text} not null,
    event           {text} not null
) {table};

-- What there was before.
insert into audit_unsealed (realm, event)
select realm, id
from   event
order  by realm, id;

-- roots: of the complete subtrees that the tree consists of, 32 bytes each, the largest first.
-- note: the latest checkpoint, signed. witnessed: the size that the witness keeps.
create table audit_log (
    realm           {text} not null primary key,
    size            {int}  not null,
    roots           {blob} not null,
    note            {text} not null,
    sealed_at       {int}  not null,
    witnessed       {int}  not null,
    witnessed_at    {int}
) {clustered};

-- Up to 256 neighbouring leaves. events: their ids, one a line; hashes: 32 bytes each. They stay
-- when retention removes the events.
-- first_id, last_id: the least and the greatest of the ids, to find the leaf of an event.
create table audit_tile (
    realm           {text} not null,
    tile            {int}  not null,
    first_id        {text} not null,
    last_id         {text} not null,
    events          {text} not null,
    hashes          {blob} not null,
    primary key (realm, tile)
) {clustered};

create index audit_tile_by_event on audit_tile (realm, last_id, tile, first_id);

-- Roots of complete subtrees, of every eighth level above the leaves.
create table audit_node (
    realm           {text} not null,
    level           {int}  not null,
    place           {int}  not null,
    hash            {blob} not null,
    primary key (realm, level, place)
) {clustered};
