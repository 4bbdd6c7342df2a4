//! The names that come nearest to a misspelled one.

/// The number of names that a message offers.
pub(crate) const OFFERED: usize = 3;

/// Collects, out of any number of names, the few that come nearest to the one that was asked for. Holds
/// no more than those few.
///
/// The distance is the number of letters to insert, delete, replace or swap with their neighbour
/// (optimal string alignment); a name is offered up to one letter in three.
pub(crate) struct Nearest<'a> {
    wanted: &'a str,
    letters: u64,
    keep: usize,
    best: Vec<(usize, String)>,
}

impl<'a> Nearest<'a> {
    /// Starts with none, to keep at most `keep`.
    pub(crate) fn new(wanted: &'a str, keep: usize) -> Self {
        Nearest { wanted, letters: letters(wanted), keep, best: Vec::new() }
    }

    /// The largest distance at which a name is still of use, now.
    fn limit(&self) -> usize {
        let worst = match self.best.last() {
            Some((distance, _)) if self.best.len() >= self.keep => *distance,
            _ => usize::MAX,
        };
        worst.min(self.wanted.len().div_ceil(3))
    }

    /// Returns the distance of `name` from the wanted one, if it is near enough to be worth keeping.
    ///
    /// Most names are ruled out by their length or by letters that only one of the two has, each of
    /// which is a letter to change: only the few that are left are compared in full.
    pub(crate) fn distance(&self, name: &str) -> Option<usize> {
        let limit = self.limit();
        // A name that was begun and not finished is near, however much is missing.
        if self.wanted.len() >= 4 && name.starts_with(self.wanted) {
            let missing = name.len() - self.wanted.len();
            return Some(missing.min(2)).filter(|distance| *distance <= limit);
        }
        if name.len().abs_diff(self.wanted.len()) > limit {
            return None;
        }
        let theirs = letters(name);
        let only = (self.letters & !theirs).count_ones().max((theirs & !self.letters).count_ones());
        if only as usize > limit {
            return None;
        }
        Some(strsim::osa_distance(self.wanted, name)).filter(|distance| *distance <= limit)
    }

    /// Keeps `name`, which is `distance` away, if it is among the nearest.
    pub(crate) fn keep(&mut self, distance: usize, name: &str) {
        let rank = (distance, name.len(), name);
        let place = self
            .best
            .partition_point(|(distance, best)| (*distance, best.len(), best.as_str()) < rank);
        if place >= self.keep || self.best.get(place).is_some_and(|(_, best)| best == name) {
            return;
        }
        self.best.truncate(self.keep - 1);
        self.best.insert(place, (distance, name.into()));
    }

    /// Keeps `name` if it is among the nearest.
    pub(crate) fn offer(&mut self, name: &str) {
        if let Some(distance) = self.distance(name) {
            self.keep(distance, name);
        }
    }

    /// The names, the nearest first.
    pub(crate) fn into_names(self) -> Vec<String> {
        self.best.into_iter().map(|(_, name)| name).collect()
    }
}

/// Returns the set of bytes in a name, as bits (64 of them: two bytes that share a bit only make the set less
/// exact).
fn letters(name: &str) -> u64 {
    name.bytes().fold(0, |set, byte| set | 1 << (byte & 63))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nearest(wanted: &str, names: &[&str]) -> Vec<String> {
        let mut nearest = Nearest::new(wanted, OFFERED);
        names.iter().for_each(|name| nearest.offer(name));
        nearest.into_names()
    }

    #[test]
    fn typing_errors_are_seen_through() {
        let names = ["icmp_rcv", "icmp_send", "tcp_rcv_established", "icmpv6_rcv", "igmp_rcv"];
        assert_eq!(nearest("icmp_rcvv", &names), ["icmp_rcv", "igmp_rcv", "icmpv6_rcv"]);
        assert_eq!(nearest("imcp_rcv", &names)[0], "icmp_rcv");
        assert_eq!(nearest("icm_rcv", &names)[0], "icmp_rcv");
        assert!(nearest("something_else", &names).is_empty());
        assert!(nearest("", &names).is_empty());
    }

    #[test]
    fn a_name_that_was_begun_is_finished() {
        assert_eq!(nearest("tcp_retransmit", &["tcp_retransmit_skb"]), ["tcp_retransmit_skb"]);
    }

    #[test]
    fn a_name_is_offered_once() {
        assert_eq!(nearest("abcd", &["abce", "abce", "abce"]), ["abce"]);
    }

    proptest! {
        /// The short cuts leave out nothing that the distance alone would keep.
        #[test]
        fn short_cuts_lose_nothing(wanted in "[a-e_]{3,9}", names in prop::collection::vec("[a-e_]{1,9}", 0..40)) {
            let mut cut = Nearest::new(&wanted, 3);
            for name in &names {
                if wanted.len() < 4 || !name.starts_with(&wanted) {
                    cut.offer(name);
                }
            }
            let mut whole: Vec<_> = names
                .iter()
                .filter(|name| wanted.len() < 4 || !name.starts_with(&wanted))
                .map(|name| (strsim::osa_distance(&wanted, name), name.len(), name.clone()))
                .filter(|(distance, ..)| *distance <= wanted.len().div_ceil(3))
                .collect();
            whole.sort();
            whole.dedup();
            whole.truncate(3);
            let whole: Vec<_> = whole.into_iter().map(|(.., name)| name).collect();
            prop_assert_eq!(cut.into_names(), whole);
        }

        #[test]
        fn any_names_do(
            wanted in "\\PC{0,8}",
            names in prop::collection::vec("\\PC{0,8}", 0..8),
            keep in 0..4usize,
        ) {
            let mut nearest = Nearest::new(&wanted, keep);
            names.iter().for_each(|name| nearest.offer(name));
            prop_assert!(nearest.into_names().len() <= keep);
        }
    }
}
