//! What the programs of the benchmark share: options, time, and a generator of
//! numbers that is fast, repeatable and good for nothing secret.

pub mod keys;
pub mod template;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Instant;

use anyhow::{Context, Result};

/// A point on the machine's monotonic clock.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
pub fn now() -> Instant {
    Instant::now()
}

/// Options of the form `--name value`.
#[derive(Debug)]
pub struct Options(Vec<String>);

impl Options {
    /// Those this program was started with.
    pub fn from_arguments() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// The value of `--name`.
    ///
    /// # Errors
    ///
    /// Fails when it is not given or not of the wanted type.
    pub fn required<T>(&self, name: &str) -> Result<T>
    where
        T: FromStr,
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        let value = self.find(name).with_context(|| format!("--{name} is required"))?;
        value.parse().with_context(|| format!("--{name} {value}"))
    }

    /// The value of `--name` as a path.
    ///
    /// # Errors
    ///
    /// Fails when it is not given.
    pub fn path(&self, name: &str) -> Result<PathBuf> {
        self.required(name)
    }

    fn find(&self, name: &str) -> Option<&String> {
        let position = self.0.iter().position(|word| word.strip_prefix("--") == Some(name))?;
        self.0.get(position + 1)
    }
}

/// `SplitMix64`: a full period over 64 bits, so that numbered rows get distinct
/// values. Not for secrets.
#[derive(Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// A sequence of its own for every `seed`.
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, close enough to uniform for a load.
    pub fn below(&mut self, end: usize) -> usize {
        let wide = u128::from(self.next()) * end as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let number = self.next().to_le_bytes();
            chunk.copy_from_slice(&number[..chunk.len()]);
        }
    }

    /// Puts `items` into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_numbers_and_stays_below_the_end() {
        let draw = || {
            let mut numbers = Numbers::seeded(7);
            (0..1000).map(|_| numbers.below(10)).collect::<Vec<_>>()
        };
        assert_eq!(draw(), draw());
        assert!((0..10).all(|value| draw().contains(&value)));
        assert!(draw().iter().all(|value| *value < 10));
    }

    #[test]
    fn a_shuffle_loses_nothing() {
        let mut items: Vec<u32> = (0..100).collect();
        Numbers::seeded(1).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
