//! Names of addresses: the range that contains an address, among many that may be nested.

use std::collections::BinaryHeap;

/// A range of addresses that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named<R> {
    pub start: u64,
    pub end: u64,
    /// The precedence: where ranges overlap, the highest wins.
    pub rank: R,
    /// The position of the name in the text of all names.
    pub name: Span,
}

/// A part of all the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub start: u32,
    pub len: u32,
}

/// Names by addresses.
///
/// Overlapping ranges are cut into disjoint pieces, so that one search finds the name of an address, however they
/// overlap: the file that they come from may be crafted so that any other way takes long.
#[derive(Debug, Default)]
pub(super) struct Names {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    start: u64,
    end: u64,
    /// The start of the range that it is a part of.
    of: u64,
    name: Span,
}

impl Names {
    /// `ranges` have their names in `text`.
    pub(super) fn new<R: Ord + Copy>(text: String, mut ranges: Vec<Named<R>>) -> Names {
        ranges.retain(|range| range.start < range.end);
        ranges.sort_unstable_by_key(|range| range.start);
        let mut pieces: Vec<Piece> = Vec::with_capacity(ranges.len());
        // The ranges that have begun, by rank; the index distinguishes ranges of one rank.
        let mut open: BinaryHeap<(R, usize)> = BinaryHeap::new();
        let (mut at, mut next) = (0, 0);
        loop {
            let begins = ranges.get(next).map(|range| range.start);
            // Those that have ended lie on top, or do no harm below.
            let top = open.peek().and_then(|(_, index)| ranges.get(*index)).copied();
            match (top, begins) {
                (Some(top), _) if top.end <= at => {
                    open.pop();
                    continue;
                }
                (None, None) => break,
                (Some(top), _) => {
                    let end = begins.map_or(top.end, |begins| top.end.min(begins));
                    push(&mut pieces, Piece { start: at, end, of: top.start, name: top.name });
                    at = end;
                }
                (None, Some(begins)) => at = begins,
            }
            while let Some(range) = ranges.get(next).filter(|range| range.start <= at) {
                open.push((range.rank, next));
                next += 1;
            }
        }
        pieces.shrink_to_fit();
        Names { text, pieces }
    }

    /// The name of an address, and how far into its range it is.
    pub(super) fn at(&self, address: u64) -> Option<(&str, u64)> {
        let index = self.pieces.partition_point(|piece| piece.end <= address);
        let piece = self.pieces.get(index).filter(|piece| piece.start <= address)?;
        let start = piece.name.start as usize;
        let name = self.text.get(start..start.checked_add(piece.name.len as usize)?)?;
        Some((name, address - piece.of))
    }

    /// Returns the size in memory, in bytes.
    pub(super) fn size(&self) -> usize {
        self.text.len() + self.pieces.len() * size_of::<Piece>()
    }
}

fn push(pieces: &mut Vec<Piece>, piece: Piece) {
    if piece.start == piece.end {
        return;
    }
    match pieces.last_mut() {
        Some(last) if (last.end, last.of, last.name) == (piece.start, piece.of, piece.name) => {
            last.end = piece.end;
        }
        _ => pieces.push(piece),
    }
}

/// Appends a name to the names; `None` if there is no room for it.
pub(super) fn append(text: &mut String, name: &str, most: usize) -> Option<Span> {
    if text.len().checked_add(name.len())? > most {
        return None;
    }
    let span =
        Span { start: u32::try_from(text.len()).ok()?, len: u32::try_from(name.len()).ok()? };
    text.push_str(name);
    Some(span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(ranges: &[(u64, u64, u32)]) -> Names {
        let mut text = String::new();
        let ranges = ranges.iter().enumerate().map(|(index, (start, end, rank))| {
            let name = append(&mut text, &index.to_string(), 1 << 10).unwrap();
            Named { start: *start, end: *end, rank: *rank, name }
        });
        let ranges = ranges.collect();
        Names::new(text, ranges)
    }

    #[test]
    fn the_highest_range_is_meant() {
        let names = names(&[(0, 100, 1), (10, 20, 2), (15, 40, 3), (50, 60, 0), (200, 200, 9)]);
        for (address, found) in [
            (0, Some(("0", 0))),
            (9, Some(("0", 9))),
            (10, Some(("1", 0))),
            (15, Some(("2", 0))),
            (39, Some(("2", 24))),
            (40, Some(("0", 40))),
            (55, Some(("0", 55))),
            (100, None),
            (200, None),
        ] {
            assert_eq!(names.at(address), found, "{address}");
        }
        // What lies in it and is lower does not cut it.
        assert_eq!(names.pieces.len(), 4);
    }

    #[test]
    fn there_is_an_end_to_names() {
        let mut text = String::new();
        assert_eq!(append(&mut text, "abc", 5), Some(Span { start: 0, len: 3 }));
        assert_eq!(append(&mut text, "abc", 5), None);
        assert_eq!(append(&mut text, "de", 5), Some(Span { start: 3, len: 2 }));
        assert_eq!(text, "abcde");
    }

    proptest! {
        #[test]
        fn as_if_all_were_looked_at(
            ranges in prop::collection::vec((0u64..40, 0u64..40, 0u32..100_000), 0..12),
            address in 0u64..45,
        ) {
            let mut ranks: Vec<_> = ranges.iter().map(|(.., rank)| rank).collect();
            ranks.sort();
            ranks.dedup();
            prop_assume!(ranks.len() == ranges.len());
            let holding = ranges.iter().enumerate().filter(|(_, (start, end, _))| (*start..*end).contains(&address));
            let highest = holding.max_by_key(|(_, (.., rank))| *rank);
            let expected = highest.map(|(index, (start, ..))| (index.to_string(), address - start));
            let names = names(&ranges);
            prop_assert_eq!(names.at(address).map(|(name, offset)| (name.to_owned(), offset)), expected);
        }
    }
}
