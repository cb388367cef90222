-- Usage that arrived in masses and is not yet added to token_usage.
--
-- A row holds the deltas of tokens with neighbouring ids. Appending them costs
-- a few pages; adding each of them at once to token_usage would touch a page
-- of its own for nearly every token.
create table usage_journal (
    seq             {serial},
    bucket          {int}   not null,
    deltas          {blob} not null
) {table};

create index usage_journal_bucket on usage_journal (bucket);
