//! What bounds the LDAP door: each number with its reason.

use std::time::Duration;

/// Bytes of one message at most. A bind has a DN and a token; the longest honest message is a
/// search with a filter of some dozen alternatives.
pub(crate) const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a message at most while nobody is bound: a bind with the longest DN and password has
/// half of it, and a stranger gets no room for more.
pub(crate) const MESSAGE_BYTES_UNBOUND_MAX: usize = 16 * 1024;
/// Nested BER elements at most. A search nests six deep around its filter, and each level of the
/// filter adds one or two; what is deeper would be parsed by recursion for nothing.
pub(crate) const BER_DEPTH_MAX: usize = 32;
/// BER elements of one message at most: each becomes an allocation when it is parsed.
pub(crate) const BER_ELEMENTS_MAX: usize = 2048;
/// Levels of a filter at most; generated filters of mail servers have four.
pub(crate) const FILTER_DEPTH_MAX: usize = 12;
/// Assertions of a filter at most: each is held against every entry that is looked at.
pub(crate) const FILTER_PARTS_MAX: usize = 128;
/// Bytes of a DN at most. The longest that can name anything has a user name of 128 characters, a
/// label of 63 and the base.
pub(crate) const DN_BYTES_MAX: usize = 2048;
/// Parts of a DN at most.
pub(crate) const DN_PARTS_MAX: usize = 32;
/// Bytes of a password at most, as at the other doors: an access token as a JWT is the longest.
pub(crate) const PASSWORD_BYTES_MAX: usize = 4096;
/// Binds that may wait for the store at the same time, which most binds never do; further ones
/// are told `busy` instead of joining them.
pub(crate) const BINDS_AT_ONCE_MAX: usize = 512;
/// Searches that run at the same time; further ones are told `busy`. Each holds a page of the
/// store's records.
pub(crate) const SEARCHES_AT_ONCE_MAX: usize = 32;
/// Entries of an answer that is not paged, and of one page, at most.
pub(crate) const ENTRIES_MAX: usize = 1000;
/// Entries that one search looks at, at most: whoever needs more asks in pages.
pub(crate) const ENTRIES_SEEN_MAX: usize = 20_000;
/// Records read from the store at a time during a search.
pub(crate) const RECORDS_AT_ONCE: u32 = 250;
/// Members shown of a group at most. A group with more is answered `adminLimitExceeded`, because
/// a list that is cut short would throw people out.
pub(crate) const MEMBERS_MAX: usize = 5000;
/// Bytes of answers that are gathered before they are written.
pub(crate) const ANSWER_BYTES: usize = 32 * 1024;
/// How long a search may take, if the client does not want less.
pub(crate) const SEARCH_PATIENCE: Duration = Duration::from_secs(20);
/// How long the rest of a message may take once its first byte is there: nobody types it.
pub(crate) const MESSAGE_PATIENCE: Duration = Duration::from_secs(10);
/// How long a client may take to read what was answered.
pub(crate) const WRITE_PATIENCE: Duration = Duration::from_secs(20);
/// How long a connection may say nothing while nobody is bound: long enough for a person with
/// `ldapwhoami -W`, too short to be collected.
pub(crate) const UNBOUND_PATIENCE: Duration = Duration::from_mins(1);
/// How long a TLS handshake may take.
pub(crate) const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// How long accepting rests after the system refused (no descriptors left).
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
