-- The AM door: resource types, policy sets and policies. Only adds.

-- name: the id of a resource type, the name of a policy set or policy. document: JSON.
-- policy_set, resource_type: what a policy belongs to.
create table am_object (
    realm           {text} not null references realm (name),
    kind            {text} not null,
    name            {text} not null,
    policy_set      {text},
    resource_type   {text},
    document        {text} not null,
    created_at      {int}  not null,
    created_by      {text} not null,
    updated_at      {int}  not null,
    updated_by      {text} not null,
    version         {int}  not null,
    primary key (realm, kind, name)
) {clustered};

create index am_object_by_set on am_object (realm, policy_set) where policy_set is not null;
create index am_object_by_type on am_object (realm, resource_type) where resource_type is not null;
