//! Ctrl-C: noticed here, so that what was started is stopped before the program ends.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::clock::Deadline;
use crate::server::pause;

/// Whether somebody asked this program to end, since [`listen`] was called.
static ASKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// How often a wait looks at what it waits for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// From now on the first signal that would end this program is noted only; the second one ends it.
///
/// # Errors
///
/// Fails when the system refuses.
pub(crate) fn listen() -> Result<()> {
    let asked = ASKED.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // In this order: the first signal finds the note unwritten.
        signal_hook::flag::register_conditional_default(signal, Arc::clone(asked))?;
        signal_hook::flag::register(signal, Arc::clone(asked))?;
    }
    Ok(())
}

/// Whether this program was asked to end.
pub(crate) fn asked() -> bool {
    ASKED.get().is_some_and(|asked| asked.load(Ordering::Relaxed))
}

/// Waits until `look` finds something.
///
/// # Errors
///
/// Fails when `limit` passes, when this program is asked to end, or as `look` does.
pub(crate) fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Deadline::after(limit);
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if asked() {
            bail!("ended while waiting: {what}");
        }
        if deadline.passed() {
            bail!("not within {} s: {what}", limit.as_secs());
        }
        pause(LOOK_EVERY);
    }
}

/// Lets time pass.
///
/// # Errors
///
/// Fails when this program is asked to end.
pub(crate) fn wait(time: Duration) -> Result<()> {
    let deadline = Deadline::after(time);
    while !deadline.passed() {
        if asked() {
            bail!("ended by its user");
        }
        pause(LOOK_EVERY.min(deadline.left()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_with_what_it_waits_for_or_says_what_was_missing() {
        let mut looks = 0;
        let found = until("two looks", Duration::from_mins(1), || {
            looks += 1;
            Ok((looks == 2).then_some(looks))
        });
        assert_eq!(found.unwrap(), 2);
        let missed = until::<u8>("what never comes", Duration::ZERO, || Ok(None));
        assert!(missed.unwrap_err().to_string().contains("what never comes"));
    }
}
