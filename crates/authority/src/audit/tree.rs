//! The Merkle tree of RFC 6962 section 2, with SHA-256: appending, and which hashes a proof has.
//!
//! The store keeps the leaves' hashes and the roots of complete subtrees of 256, 65,536, ...
//! leaves; what lies between is computed from those, so that a proof reads a few hundred hashes
//! however long the log is.

use std::ops::Range;

use sha2::{Digest as _, Sha256};

/// A hash of the tree.
pub type Hash = [u8; 32];

/// Levels between two that are stored.
pub const TILE_LEVELS: u32 = 8;
/// Hashes of a level that are kept together: `2^TILE_LEVELS`.
pub const TILE_WIDTH: u64 = 1 << TILE_LEVELS;

/// The hash of a leaf (RFC 6962 section 2.1).
pub fn leaf_hash(data: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(data).finalize().into()
}

/// The hash of two subtrees (RFC 6962 section 2.1).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root of a complete subtree that is to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// How many levels above the leaves; a multiple of [`TILE_LEVELS`].
    pub level: u32,
    /// Its place in the level, from 0.
    pub index: u64,
    /// Its hash.
    pub hash: Hash,
}

/// All of a tree that appending needs: the roots of the complete subtrees that it consists of.
///
/// Invariant: one root for each bit of the size that is set, the largest subtree first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    roots: Vec<Hash>,
}

impl Frontier {
    /// The frontier of a tree of this size; `None` if the number of roots is another one.
    pub fn of(size: u64, roots: Vec<Hash>) -> Option<Self> {
        (roots.len() == size.count_ones() as usize).then_some(Self { size, roots })
    }

    /// Leaves in the tree.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Its roots, the largest subtree first.
    pub fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// Appends a leaf, and tells of each subtree that is complete now and is to be stored.
    pub fn push(&mut self, leaf: Hash, mut completed: impl FnMut(Node)) {
        let (mut hash, mut level, mut index) = (leaf, 0, self.size);
        while index & 1 == 1 {
            let Some(left) = self.roots.pop() else { break };
            hash = node_hash(&left, &hash);
            index >>= 1;
            level += 1;
            if level % TILE_LEVELS == 0 {
                completed(Node { level, index, hash });
            }
        }
        self.roots.push(hash);
        self.size += 1;
    }

    /// The root of the whole tree; that of none is the hash of nothing.
    pub fn root(&self) -> Hash {
        joined(&self.roots)
    }
}

/// The hash of neighbouring complete subtrees, the largest first.
fn joined(roots: &[Hash]) -> Hash {
    let Some((last, rest)) = roots.split_last() else { return Sha256::digest([]).into() };
    rest.iter().rev().fold(*last, |right, left| node_hash(left, &right))
}

/// Stored hashes next to each other, which one complete subtree is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Their level, a multiple of [`TILE_LEVELS`]; 0 are leaves.
    pub level: u32,
    /// The place of the first.
    pub first: u64,
    /// How many: a power of two, fewer than [`TILE_WIDTH`]. They never cross a multiple of it.
    pub count: u64,
}

impl Span {
    fn of_subtree(level: u32, index: u64) -> Self {
        let below = level % TILE_LEVELS;
        Self { level: level - below, first: index << below, count: 1 << below }
    }
}

/// What has to be read for a proof, and what it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// For each hash of the proof the subtrees that it joins.
    parts: Vec<Vec<Span>>,
}

impl Plan {
    /// The proof that the leaf at `index` is in the tree of `size` (RFC 6962 section 2.1.1);
    /// `None` if it is not.
    pub fn inclusion(index: u64, size: u64) -> Option<Self> {
        let mut ranges = Vec::new();
        (index < size).then(|| path(index, 0..size, &mut ranges))?;
        Some(Self::of(ranges))
    }

    /// The proof that the tree of `to` begins with that of `from` (RFC 6962 section 2.1.2);
    /// `None` if `from` is larger. Every tree begins with the empty one, and needs no proof for it.
    pub fn consistency(from: u64, to: u64) -> Option<Self> {
        let mut ranges = Vec::new();
        if from > 0 && from < to {
            subproof(from, 0..to, true, &mut ranges);
        }
        (from <= to).then(|| Self::of(ranges))
    }

    /// The frontier of the tree of `size`.
    pub fn frontier(size: u64) -> Self {
        Self { parts: subtrees(0..size).map(|span| vec![span]).collect() }
    }

    fn of(ranges: Vec<Range<u64>>) -> Self {
        Self { parts: ranges.into_iter().map(|range| subtrees(range).collect()).collect() }
    }

    /// What has to be read.
    pub fn spans(&self) -> Vec<Span> {
        self.parts.iter().flatten().copied().collect()
    }

    /// The hashes of the proof, from what was read for [`Plan::spans`]; `None` if something was
    /// not there.
    pub fn hashes(&self, read: &[Vec<Hash>]) -> Option<Vec<Hash>> {
        let mut read = read.iter();
        let mut whole = |span: &Span| {
            let hashes = read.next().filter(|found| found.len() as u64 == span.count)?;
            complete(hashes.clone())
        };
        let part = |spans: &Vec<Span>| {
            spans.iter().map(&mut whole).collect::<Option<Vec<_>>>().map(|roots| joined(&roots))
        };
        self.parts.iter().map(part).collect()
    }
}

/// The root over a power of two of hashes.
fn complete(mut hashes: Vec<Hash>) -> Option<Hash> {
    while hashes.len() > 1 {
        let pairs = hashes.chunks_exact(2);
        hashes = pairs.filter_map(|pair| Some(node_hash(pair.first()?, pair.last()?))).collect();
    }
    hashes.pop()
}

/// The complete subtrees of a run of leaves that begins where one of its size may begin.
fn subtrees(range: Range<u64>) -> impl Iterator<Item = Span> {
    let Range { mut start, end } = range;
    std::iter::from_fn(move || {
        let level = (end - start).checked_ilog2()?;
        let span = Span::of_subtree(level, start >> level);
        start += 1 << level;
        Some(span)
    })
}

/// The largest power of two below `size`, which is at least 2.
const fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// `PATH(m, D[n])`.
fn path(index: u64, tree: Range<u64>, out: &mut Vec<Range<u64>>) {
    if tree.end - tree.start < 2 {
        return;
    }
    let middle = tree.start + split(tree.end - tree.start);
    if index < middle {
        path(index, tree.start..middle, out);
        out.push(middle..tree.end);
    } else {
        path(index, middle..tree.end, out);
        out.push(tree.start..middle);
    }
}

/// `SUBPROOF(m, D[n], b)`; `from` counts from the beginning of the whole tree.
fn subproof(from: u64, tree: Range<u64>, known: bool, out: &mut Vec<Range<u64>>) {
    if from == tree.end {
        if !known {
            out.push(tree);
        }
        return;
    }
    let middle = tree.start + split(tree.end - tree.start);
    if from <= middle {
        subproof(from, tree.start..middle, known, out);
        out.push(middle..tree.end);
    } else {
        subproof(from, middle..tree.end, false, out);
        out.push(tree.start..middle);
    }
}

/// Whether `proof` shows that `leaf` stands at `index` of the tree of `size` with this root
/// (RFC 9162 section 2.1.3.2).
pub fn proves_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut place, mut last, mut hash) = (index, size - 1, *leaf);
    for step in proof {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            hash = node_hash(step, &hash);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, step);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether `proof` shows that the tree of `to` begins with that of `from`
/// (RFC 9162 section 2.1.4.2).
pub fn proves_consistency(from: (u64, &Hash), to: (u64, &Hash), proof: &[Hash]) -> bool {
    let ((earlier, first_root), (later, second_root)) = (from, to);
    if earlier >= later || earlier == 0 {
        // The empty tree begins everything; what is as long is the same.
        let same = earlier == later && first_root == second_root;
        let empty = earlier == 0 && *first_root == Frontier::default().root();
        return proof.is_empty() && earlier <= later && (same || (empty && later > 0));
    }
    let mut steps = proof.iter();
    let (mut place, mut last) = (earlier - 1, later - 1);
    while place & 1 == 1 {
        place >>= 1;
        last >>= 1;
    }
    // Where the earlier tree is one complete subtree of the later one the proof leaves it out.
    let seed = if earlier.is_power_of_two() { Some(first_root) } else { steps.next() };
    let Some(seed) = seed else { return false };
    let (mut first, mut second) = (*seed, *seed);
    for step in steps {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            first = node_hash(step, &first);
            second = node_hash(step, &second);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            second = node_hash(&second, step);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && first == *first_root && second == *second_root
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn leaf(number: u64) -> Hash {
        leaf_hash(&number.to_be_bytes())
    }

    /// `MTH` as RFC 6962 defines it, without any of the above.
    fn mth(leaves: Range<u64>) -> Hash {
        match leaves.end - leaves.start {
            0 => Sha256::digest([]).into(),
            1 => leaf(leaves.start),
            size => {
                let middle = leaves.start + size.next_power_of_two() / 2;
                node_hash(&mth(leaves.start..middle), &mth(middle..leaves.end))
            }
        }
    }

    /// What the store keeps of a tree.
    fn stored(size: u64) -> (Frontier, HashMap<(u32, u64), Hash>) {
        let (mut tree, mut kept) = (Frontier::default(), HashMap::new());
        for number in 0..size {
            kept.insert((0, number), leaf(number));
            tree.push(leaf(number), |node| {
                kept.insert((node.level, node.index), node.hash);
            });
        }
        (tree, kept)
    }

    fn proof(plan: &Plan, kept: &HashMap<(u32, u64), Hash>) -> Vec<Hash> {
        let of =
            |span: Span| (0..span.count).map(|n| kept[&(span.level, span.first + n)]).collect();
        plan.hashes(&plan.spans().into_iter().map(of).collect::<Vec<_>>()).unwrap()
    }

    /// The example of RFC 6962 section 2.1.3, and the test vectors of Certificate Transparency.
    #[test]
    fn the_first_roots_are_the_known_ones() {
        let hex = |hash: Hash| data_encoding::HEXLOWER.encode(&hash);
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex(Frontier::default().root()), empty);
        let one = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
        assert_eq!(hex(leaf_hash(b"")), one);
        let mut tree = Frontier::default();
        tree.push(leaf_hash(b""), drop);
        tree.push(leaf_hash(b"\0"), drop);
        let two = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125";
        assert_eq!(hex(tree.root()), two);
    }

    #[test]
    fn every_small_tree_proves_what_is_in_it_and_nothing_else() {
        for size in 0..70 {
            let (tree, kept) = stored(size);
            let root = tree.root();
            assert_eq!(root, mth(0..size));
            assert_eq!(proof(&Plan::frontier(size), &kept), tree.roots());
            for index in 0..size {
                let path = proof(&Plan::inclusion(index, size).unwrap(), &kept);
                assert!(proves_inclusion(&leaf(index), index, size, &path, &root));
                assert!(!proves_inclusion(&leaf(index + 1), index, size, &path, &root));
                assert!(!proves_inclusion(&leaf(index), index + 1, size, &path, &root));
            }
            for from in 0..=size {
                let path = proof(&Plan::consistency(from, size).unwrap(), &kept);
                let earlier = mth(0..from);
                assert!(proves_consistency((from, &earlier), (size, &root), &path));
                assert!(!proves_consistency((from, &leaf(1000)), (size, &root), &path));
            }
            assert_eq!(Plan::inclusion(size, size), None);
            assert_eq!(Plan::consistency(size + 1, size), None);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Over the stored levels: 65,536 leaves are one node of the second.
        #[test]
        fn a_large_tree_proves_itself(size in 60_000_u64..70_000, index in 0_u64..60_000) {
            let (tree, kept) = stored(size);
            let root = tree.root();
            let path = proof(&Plan::inclusion(index, size).unwrap(), &kept);
            prop_assert!(proves_inclusion(&leaf(index), index, size, &path, &root));
            let from = index + 1;
            let path = proof(&Plan::consistency(from, size).unwrap(), &kept);
            let earlier = stored(from).0.root();
            prop_assert!(proves_consistency((from, &earlier), (size, &root), &path));
            for span in Plan::consistency(from, size).unwrap().spans() {
                prop_assert!(span.count < TILE_WIDTH && span.count.is_power_of_two());
                let end = span.first + span.count - 1;
                prop_assert_eq!(span.first / TILE_WIDTH, end / TILE_WIDTH);
            }
        }
    }
}
