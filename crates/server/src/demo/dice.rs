//! Choices that repeat: the same seed, the same organisation. Nothing secret is ever drawn here.

use counterfoil_authority::clock::Timestamp;

/// A sequence of choices. The generator is `SplitMix64` (Steele, Lea and Flood 2014).
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// The choices of a seed.
    pub(super) const fn of(seed: u64) -> Self {
        Self(seed)
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to `count`, which is left out; 0 of none.
    pub(super) fn below(&mut self, count: usize) -> usize {
        let count = u128::try_from(count).unwrap_or(u128::MAX);
        usize::try_from((u128::from(self.draw()) * count) >> 64).unwrap_or(0)
    }

    /// A number from `least` up to `end`, which is left out.
    pub(super) fn between(&mut self, least: i64, end: i64) -> i64 {
        let width = usize::try_from(end - least).unwrap_or(0);
        least + i64::try_from(self.below(width)).unwrap_or(0)
    }

    /// True so many times in a hundred.
    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of these; the first of one.
    pub(super) fn pick<'a>(&mut self, all: &'a [&'a str]) -> &'a str {
        all.get(self.below(all.len())).copied().unwrap_or_default()
    }

    /// Takes one of these out.
    pub(super) fn take<T>(&mut self, all: &mut Vec<T>) -> Option<T> {
        if all.is_empty() { None } else { Some(all.swap_remove(self.below(all.len()))) }
    }

    /// An instant from one up to another, which is left out.
    pub(super) fn instant(&mut self, from: Timestamp, to: Timestamp) -> Timestamp {
        from.plus_seconds(self.between(0, to.seconds() - from.seconds()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_repeat_with_their_seed_and_stay_in_their_bounds() {
        let drawn = |seed| {
            let mut dice = Dice::of(seed);
            (0..200).map(|_| dice.between(-3, 9)).collect::<Vec<_>>()
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
        assert!(drawn(1).iter().all(|number| (-3..9).contains(number)));
        assert!((-3..9).all(|number| drawn(1).contains(&number)));
        assert_eq!((Dice::of(1).below(0), Dice::of(1).take(&mut Vec::<u8>::new())), (0, None));
    }
}
