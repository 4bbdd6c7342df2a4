//! Nearest names for the messages of `bpf!`: what `util::nearest` does, in `const` code.

use super::message::Message;
use super::statement::{same, sub};

/// The number of names that a message offers.
const OFFERED: usize = 3;

/// The longest name that is compared.
const LONGEST: usize = 48;

/// The few names that come nearest to the one that was asked for.
pub(super) struct Near<'a> {
    wanted: &'a [u8],
    letters: u64,
    /// Distances and names, the nearest first.
    best: [(usize, &'a [u8]); OFFERED],
    count: usize,
}

impl<'a> Near<'a> {
    /// Starts with none.
    pub(super) const fn new(wanted: &'a [u8]) -> Near<'a> {
        Near { wanted, letters: letters(wanted), best: [(0, b""); OFFERED], count: 0 }
    }

    /// Keeps `name` if it is among the nearest.
    pub(super) const fn offer(&mut self, name: &'a [u8]) {
        let Some(distance) = self.distance(name) else { return };
        let mut place = self.count;
        while place > 0 && before((distance, name), self.best[place - 1]) {
            place -= 1;
        }
        if place == OFFERED || place > 0 && same(self.best[place - 1].1, name) {
            return;
        }
        let mut at = if self.count < OFFERED { self.count } else { OFFERED - 1 };
        self.count = at + 1;
        while at > place {
            self.best[at] = self.best[at - 1];
            at -= 1;
        }
        self.best[place] = (distance, name);
    }

    /// Returns the distance of a name, if it is near enough: at most one letter in three.
    const fn distance(&self, name: &[u8]) -> Option<usize> {
        let (wanted, limit) = (self.wanted, self.wanted.len().div_ceil(3));
        if wanted.len() > LONGEST || name.len() > LONGEST {
            return None;
        }
        // A name that was begun and not finished is near, however much is missing.
        if wanted.len() >= 4
            && name.len() >= wanted.len()
            && same(sub(name, 0, wanted.len()), wanted)
        {
            let missing = name.len() - wanted.len();
            return Some(if missing < 2 { missing } else { 2 });
        }
        // Most are ruled out by their length, or by letters that only one of the two has.
        let theirs = letters(name);
        if name.len().abs_diff(wanted.len()) > limit
            || (self.letters & !theirs).count_ones() as usize > limit
            || (theirs & !self.letters).count_ones() as usize > limit
        {
            return None;
        }
        let distance = edits(wanted, name);
        if distance > limit { None } else { Some(distance) }
    }

    /// Adds them to a message, if there are any.
    pub(super) const fn write(&self, message: &mut Message) {
        let mut index = 0;
        while index < self.count {
            message.text(if index == 0 { "; the nearest: " } else { ", " });
            message.source(self.best[index].1);
            index += 1;
        }
    }
}

/// The order of names: by distance, by length, by letters.
const fn before(one: (usize, &[u8]), other: (usize, &[u8])) -> bool {
    if one.0 != other.0 {
        return one.0 < other.0;
    }
    if one.1.len() != other.1.len() {
        return one.1.len() < other.1.len();
    }
    super::helpers::compare(one.1, other.1) < 0
}

/// The set of bytes in a name, as bits: two that share a bit only make it less exact.
const fn letters(name: &[u8]) -> u64 {
    let (mut set, mut at) = (0, 0);
    while at < name.len() {
        set |= 1 << (name[at] & 63);
        at += 1;
    }
    set
}

/// The number of letters to insert, delete, replace or swap with their neighbour (optimal string alignment).
const fn edits(one: &[u8], other: &[u8]) -> usize {
    const ROW: usize = LONGEST + 1;
    let (mut above, mut last, mut row) = ([0; ROW], [0; ROW], [0; ROW]);
    let mut column = 0;
    while column <= other.len() {
        last[column] = column;
        column += 1;
    }
    let mut line = 1;
    while line <= one.len() {
        row[0] = line;
        let mut column = 1;
        while column <= other.len() {
            let differ = one[line - 1] != other[column - 1];
            let mut least = last[column - 1] + differ as usize;
            if last[column] + 1 < least {
                least = last[column] + 1;
            }
            if row[column - 1] + 1 < least {
                least = row[column - 1] + 1;
            }
            let swapped = line > 1
                && column > 1
                && one[line - 1] == other[column - 2]
                && one[line - 2] == other[column - 1];
            if swapped && above[column - 2] + 1 < least {
                least = above[column - 2] + 1;
            }
            row[column] = least;
            column += 1;
        }
        (above, last) = (last, row);
        line += 1;
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::HELPERS;
    use crate::util::nearest::{self, Nearest};
    use proptest::prelude::*;

    /// As the search at run time finds them.
    fn assert_same(wanted: &str, names: &[&str]) {
        let (mut near, mut nearest) = (Near::new(wanted.as_bytes()), Nearest::new(wanted, OFFERED));
        for name in names {
            near.offer(name.as_bytes());
            nearest.offer(name);
        }
        let found: Vec<_> = near.best[..near.count].iter().map(|(_, name)| *name).collect();
        let expected = nearest.into_names();
        let expected: Vec<_> = expected.iter().map(|name| name.as_bytes()).collect();
        assert_eq!(found, expected, "{wanted}");
    }

    #[test]
    fn all_helpers_are_compared() {
        assert_eq!(OFFERED, nearest::OFFERED);
        assert!(HELPERS.iter().all(|name| name.len() <= LONGEST));
        for wanted in ["map_lookup_elm", "trace_prink", "ktime_get", "get_curent_pid_tgid", "", "x"]
        {
            assert_same(wanted, &HELPERS);
        }
    }

    proptest! {
        #[test]
        fn it_finds_what_is_found_at_run_time(
            wanted in "[a-e_]{0,9}",
            names in prop::collection::vec("[a-e_]{0,10}", 0..30),
        ) {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            assert_same(&wanted, &names);
        }
    }
}
