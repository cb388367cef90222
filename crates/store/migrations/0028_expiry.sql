-- Expiry as a workflow.

-- Realms that have a target are told of the ends of all their tokens, also of those that were issued
-- before the target was there: such a row stands for all tokens of its realm, and its token is the
-- place in their order up to which they have been gone through.
insert into notice (token, kind, realm, due_at)
select distinct '', 'heard ' || realm, realm, 0
from   target;

-- From which networks a token was used, where a policy watches that: a /24, or a /48 of IPv6. The
-- row whose network is empty says when the latest alarm about too many of them was raised.
create table token_network (
    token           {text} not null,
    network         {text} not null,
    first_at        {int}  not null,
    last_at         {int}  not null,
    primary key (token, network)
) {clustered};

create index token_network_by_time on token_network (last_at);
