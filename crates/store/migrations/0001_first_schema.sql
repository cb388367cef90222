-- The first schema: everything that one node needs.
--
-- Words in braces are types and table options that differ between engines:
-- {text} compares by bytes, {int} has 64 bits, {clustered} keeps a table in
-- the order of its primary key where an engine can.
--
-- Conventions: instants are microseconds since 1970 UTC, booleans are 0 or 1,
-- absent lists are null, lists of words are joined by spaces, anything nested
-- is JSON text that no statement looks into.

create table installation (
    id              {int}  not null primary key check (id = 1),
    installation    {text} not null,
    created_at      {int}  not null
) {clustered};

-- Written to prove that the store can be written to.
create table heartbeat (
    id              {int}  not null primary key check (id = 1),
    beats           {int}  not null
) {clustered};

create table key_record (
    purpose         {text} not null,
    id              {int}  not null,
    fingerprint     {text} not null,
    created_at      {int}  not null,
    primary key (purpose, id)
) {clustered};

create table realm (
    name            {text} not null primary key,
    display_name    {text},
    enabled         {int}  not null check (enabled in (0, 1)),
    zone            {text} not null,
    token_policy    {text} not null,
    created_at      {int}  not null,
    updated_at      {int}  not null,
    version         {int}  not null
) {clustered};

create table unit (
    realm           {text} not null references realm (name),
    id              {text} not null,
    name            {text} not null,
    identifier      {text},
    external_id     {text},
    parent          {text},
    created_at      {int}  not null,
    updated_at      {int}  not null,
    version         {int}  not null,
    primary key (realm, id)
) {clustered};

create unique index unit_by_name on unit (realm, name);

create table person (
    realm           {text} not null references realm (name),
    username        {text} not null,
    display_name    {text},
    emails          {text} not null,
    attributes      {text},
    status          {text} not null,
    unit            {text},
    -- A copy of the person's group_member rows, kept in the same transaction:
    -- the record of a token then needs no second statement.
    group_names     {text} not null,
    created_at      {int}  not null,
    updated_at      {int}  not null,
    version         {int}  not null,
    primary key (realm, username)
) {clustered};

create index person_by_unit on person (realm, unit) where unit is not null;

create table grp (
    realm           {text} not null references realm (name),
    name            {text} not null,
    description     {text},
    created_at      {int}  not null,
    primary key (realm, name)
) {clustered};

create table group_member (
    realm           {text} not null,
    grp             {text} not null,
    username        {text} not null,
    primary key (realm, grp, username),
    foreign key (realm, grp) references grp (realm, name) on delete cascade,
    foreign key (realm, username) references person (realm, username) on delete cascade
) {clustered};

create index group_member_by_person on group_member (realm, username);

create table service (
    realm           {text} not null references realm (name),
    label           {text} not null,
    name            {text} not null,
    description     {text},
    url             {text},
    contact         {text},
    logo_url        {text},
    visibility      {text} not null,
    -- Not a reference: a service whose group is gone lets nobody in.
    grp             {text},
    entitlement_uri {text},
    status          {text} not null,
    unit            {text},
    token_policy    {text} not null,
    forward_auth    {text} not null,
    created_at      {int}  not null,
    updated_at      {int}  not null,
    version         {int}  not null,
    primary key (realm, label)
) {clustered};

create table client (
    realm           {text} not null references realm (name),
    name            {text} not null,
    description     {text},
    roles           {text} not null,
    scopes          {text},
    services        {text},
    unit            {text},
    limits          {text} not null,
    enabled         {int}  not null check (enabled in (0, 1)),
    created_at      {int}  not null,
    updated_at      {int}  not null,
    version         {int}  not null,
    primary key (realm, name)
) {clustered};

-- subject_kind: u a person, c a client, g a group.
create table role_grant (
    realm           {text} not null references realm (name),
    id              {text} not null,
    subject_kind    {text} not null,
    subject         {text} not null,
    role            {text} not null,
    unit            {text},
    service         {text},
    limits          {text} not null,
    created_at      {int}  not null,
    created_by      {text} not null,
    primary key (realm, id)
) {clustered};

create index role_grant_by_subject on role_grant (realm, subject_kind, subject);

-- owner_kind: u a person, c a client.
-- sort_key: the instant of issue as 16 hexadecimal digits, then the id: the
-- order of every list of tokens, and the place where its next page begins.
-- No reference to the owner: a tombstone outlives whom it belonged to.
create table token (
    id              {text} not null primary key,
    realm           {text} not null,
    sort_key        {text} not null,
    kind            {text} not null,
    name            {text},
    description     {text},
    owner_kind      {text} not null,
    owner           {text} not null,
    services        {text} not null,
    scopes          {text} not null,
    permissions     {text},
    networks        {text},
    doors           {text},
    enabled         {int}  not null,
    locked          {int}  not null,
    pending         {int}  not null,
    not_before      {int}  not null,
    expires_at      {int},
    revoked_at      {int},
    revoked_by      {text},
    revoked_reason  {text},
    created_at      {int}  not null,
    created_by      {text} not null,
    activated_at    {int},
    max_usages      {int},
    used            {int}  not null,
    labels          {text},
    airlock         {text},
    sentinel        {text},
    draw_limit      {int},
    reserved        {int}  not null,
    returned        {int}  not null,
    unit            {text},
    parent          {text},
    version         {int}  not null,
    check (enabled in (0, 1) and locked in (0, 1) and pending in (0, 1)),
    check (expires_at is null or expires_at > not_before)
) {table};

create unique index token_by_age on token (realm, sort_key);
create index token_by_owner on token (realm, owner_kind, owner, sort_key);
create index token_by_parent on token (parent) where parent is not null;
create index token_by_unit on token (realm, unit, sort_key) where unit is not null;

-- Which tokens name a service ('*': all), and which carry a label.
create table token_service (
    realm           {text} not null,
    service         {text} not null,
    sort_key        {text} not null,
    primary key (realm, service, sort_key)
) {clustered};

create table token_label (
    realm           {text} not null,
    name            {text} not null,
    value           {text} not null,
    sort_key        {text} not null,
    primary key (realm, name, value, sort_key)
) {clustered};

-- cost: null for a keyed hash, otherwise Argon2id's memory in KiB, passes and lanes.
create table token_secret (
    token           {text} not null,
    id              {text} not null,
    slot            {text} not null,
    created_at      {int}  not null,
    not_before      {int},
    expires_at      {int},
    pepper          {int}  not null,
    hash            {blob} not null,
    cost            {text},
    found_by_hash   {int}  not null,
    primary key (token, id)
) {clustered};

create unique index token_secret_by_hash on token_secret (hash) where found_by_hash = 1;
create index token_secret_retired on token_secret (expires_at) where slot = 'previous';

-- Narrow and apart from token: tens of thousands of rows change with one flush.
create table token_usage (
    token           {text} not null primary key,
    first_at        {int},
    last_at         {int},
    last_ip         {text},
    total           {int}  not null,
    denied          {int}  not null
) {clustered};

create table event (
    realm           {text} not null,
    id              {text} not null,
    at              {int}  not null,
    kind            {text} not null,
    outcome         {text} not null,
    actor           {text} not null,
    actor_token     {text},
    door            {text} not null,
    source          {text},
    request_id      {text},
    token           {text},
    subject         {text},
    service         {text},
    reason          {text},
    times           {int}  not null,
    detail          {text},
    primary key (realm, id)
) {clustered};

create index event_by_token on event (realm, token, id) where token is not null;

create table change_log (
    seq             {serial},
    at              {int}  not null,
    kind            {text} not null,
    realm           {text} not null,
    name            {text} not null
) {table};

create table idempotency (
    caller          {text} not null,
    idem_key        {text} not null,
    fingerprint     {blob} not null,
    answer          {blob} not null,
    expires_at      {int}  not null,
    primary key (caller, idem_key)
) {clustered};

create index idempotency_by_end on idempotency (expires_at);
