//! Every SQL text of the program, so that a test can prepare each on each engine.

use crate::{changes, clients, events, idempotency, installation, people, services, tokens};

/// All of them.
pub(crate) fn all() -> Vec<&'static str> {
    let mut all = [
        changes::STATEMENTS,
        clients::STATEMENTS,
        events::STATEMENTS,
        idempotency::STATEMENTS,
        installation::STATEMENTS,
    ]
    .concat();
    all.extend(people::statements());
    all.extend(services::statements());
    all.extend(tokens::statements());
    all
}
