//! Hash tables of names, for texts with hundreds of thousands of labels.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

/// A table by name.
pub(super) type Names<'t, V> = HashMap<&'t str, V, Seed>;

/// An empty table with room for `names`.
pub(super) fn names<'t, V>(names: usize) -> Names<'t, V> {
    HashMap::with_capacity_and_hasher(names, Seed(RandomState::new().hash_one(0)))
}

/// The initial state of a hash, random for each table, so that no text can be written whose names all collide.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seed(u64);

impl BuildHasher for Seed {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        Folded { state: self.0, near: 0 }
    }
}

/// A hash that multiplies eight bytes at a time and folds the halves of the product together. Names are short, and for
/// those the setup and finalization of the standard library's hash take longer than all of this.
///
/// The last two bytes of a name are only added at the end. So `L100` and `L101`, which are near each other in a text,
/// are near each other in the table, too: in a table larger than the cache, each cached piece is used many times. Only
/// names that differ in these two bytes alone collide more often because of it, and no text can have many of those.
#[derive(Debug)]
pub(super) struct Folded {
    state: u64,
    near: u64,
}

/// An odd number without a pattern, the fraction of the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Folded {
    fn take(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(FACTOR);
        self.state = (product as u64) ^ (product >> 64) as u64;
    }
}

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        let (bytes, ends) = match bytes.split_last_chunk::<2>() {
            Some((bytes, ends)) => (bytes, *ends),
            None => (&[][..], [0, bytes.first().copied().unwrap_or_default()]),
        };
        let digit = |byte: u8| u64::from(byte.wrapping_sub(b'0'));
        self.near = digit(ends[0]) * 10 + digit(ends[1]);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.take(u64::from_le_bytes(*word));
        }
        // Of at most seven bytes; the length tells a name from the same one with NULs behind it.
        let last = rest.iter().rev().fold(0, |last, byte| last << 8 | u64::from(*byte));
        self.take(last ^ (bytes.len() as u64) << 56);
    }

    fn write_u8(&mut self, _end: u8) {
        // `str` adds this byte to mark its end; the length above has done that.
    }

    fn finish(&self) -> u64 {
        // The table takes the low bits for the bucket, and the high seven to distinguish neighbours.
        self.state.wrapping_add(self.near) ^ self.near << 57
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_fall_all_over_the_table() {
        let seed = Seed(1);
        let names = (0..100_000).map(|n| format!("LBB0_{n}"));
        let hashes: Vec<u64> = names.map(|name| seed.hash_one(name.as_str())).collect();
        // The table takes the low bits for the bucket and the high seven for a first comparison.
        let low: HashSet<_> = hashes.iter().map(|hash| hash & 0xffff).collect();
        let high: HashSet<_> = hashes.iter().map(|hash| hash >> 57).collect();
        // Of 65,536 places, 100,000 balls thrown at random leave about 22 % empty.
        assert!((48_000..54_000).contains(&low.len()), "{}", low.len());
        assert_eq!(high.len(), 128);
        assert_eq!(hashes.iter().collect::<HashSet<_>>().len(), hashes.len());
    }

    #[test]
    fn length_and_seed_count() {
        assert_ne!(Seed(1).hash_one("a"), Seed(1).hash_one("a\0"));
        assert_ne!(Seed(1).hash_one("a"), Seed(2).hash_one("a"));
        let mut table = names(0);
        table.insert("a", 1);
        assert_eq!((table.get("a"), table.get("b")), (Some(&1), None));
    }
}
