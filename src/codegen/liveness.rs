//! The ranges of positions in which variables, objects and spill slots are alive.
//!
//! Each item is followed on its own, from its reads backwards to its writes, so that the work is proportional to the
//! result and not to blocks times items.

/// Positions: four for each instruction. It reads at the first, loses registers at the second, writes at the third.
pub(super) const STEP: u32 = 4;
/// After this the instruction has read its operands.
pub(super) const READ: u32 = 1;
/// Registers that it loses are lost from [`READ`] up to here; here it writes its result.
pub(super) const WRITE: u32 = 2;
/// The instruction is over.
pub(super) const OVER: u32 = 3;

/// The blocks and the instructions in them, by number.
#[derive(Debug)]
pub(super) struct Flow {
    /// The first instruction of each block, and one more for the end of the last.
    pub starts: Vec<u32>,
    pub predecessors: Vec<Vec<u32>>,
    /// The block of each instruction.
    block_of: Vec<u32>,
}

impl Flow {
    /// `lengths` count the instructions of each block, with that at its end.
    pub(super) fn new(lengths: impl Iterator<Item = usize>, predecessors: Vec<Vec<u32>>) -> Flow {
        let (mut starts, mut block_of) = (vec![0], Vec::new());
        for (length, block) in lengths.zip(0..) {
            block_of.resize(block_of.len() + length, block);
            starts.push(block_of.len() as u32);
        }
        Flow { starts, predecessors, block_of }
    }

    fn range(&self, block: u32) -> (u32, u32) {
        let start = |block: usize| self.starts.get(block).copied().unwrap_or_default();
        (start(block as usize) * STEP, start(block as usize + 1) * STEP)
    }

    fn block(&self, at: u32) -> u32 {
        self.block_of.get(at as usize).copied().unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Read before anything is written.
    Read,
    /// Read, and still wanted while the result is written.
    ReadLate,
    Write,
}

/// An item that an instruction reads or writes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mention {
    pub item: u32,
    /// The instruction.
    pub at: u32,
    pub access: Access,
}

/// A range of positions, the second not included.
pub(super) type Segment = (u32, u32);

/// The ranges of all items.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    segments: Vec<Segment>,
    /// The index of the first segment of each item, and one more.
    starts: Vec<u32>,
    /// The items that are read where nothing was written.
    pub unwritten: Vec<u32>,
}

impl Ranges {
    /// The segments of an item, in order, with gaps between them.
    pub(super) fn of(&self, item: u32) -> &[Segment] {
        let bound = |item: usize| self.starts.get(item).map_or(0, |start| *start as usize);
        self.segments.get(bound(item as usize)..bound(item as usize + 1)).unwrap_or_default()
    }
}

/// Finds the ranges. The mentions are in the order of the instructions, in each the reads first.
pub(super) fn live_ranges(flow: &Flow, items: u32, mentions: &[Mention]) -> Ranges {
    let blocks = flow.predecessors.len();
    let (grouped, bounds) = group(items, mentions);
    let mut walk = Walk {
        flow,
        live_in: vec![u32::MAX; blocks],
        live_out: vec![u32::MAX; blocks],
        mentioned: vec![u32::MAX; blocks],
        writes: vec![u32::MAX; blocks],
        work: Vec::new(),
        through: Vec::new(),
    };
    let mut ranges = Ranges::default();
    for (item, bounds) in (0..items).zip(bounds.windows(2)) {
        ranges.starts.push(ranges.segments.len() as u32);
        let [from, to] = *bounds else { continue };
        let Some(of_item) = grouped.get(from as usize..to as usize).filter(|of| !of.is_empty())
        else {
            continue;
        };
        let first = ranges.segments.len();
        if walk.item(item, of_item, &mut ranges.segments) {
            ranges.unwritten.push(item);
        }
        join(&mut ranges.segments, first);
    }
    ranges.starts.push(ranges.segments.len() as u32);
    ranges
}

/// The mentions by item, still in order, and where those of each item begin.
fn group(items: u32, mentions: &[Mention]) -> (Vec<(u32, Access)>, Vec<u32>) {
    let mut bounds = vec![0u32; items as usize + 2];
    for mention in mentions {
        if let Some(bound) = bounds.get_mut(mention.item as usize + 2) {
            *bound += 1;
        }
    }
    let mut sum = 0;
    for bound in &mut bounds {
        sum += *bound;
        *bound = sum;
    }
    let mut grouped = vec![(0, Access::Read); mentions.len()];
    for mention in mentions {
        if let Some(next) = bounds.get_mut(mention.item as usize + 1) {
            if let Some(to) = grouped.get_mut(*next as usize) {
                *to = (mention.at, mention.access);
            }
            *next += 1;
        }
    }
    bounds.pop();
    (grouped, bounds)
}

/// Sorts the segments from `first` on and joins those that touch.
fn join(segments: &mut Vec<Segment>, first: usize) {
    let Some(tail) = segments.get_mut(first..) else { return };
    tail.sort_unstable();
    let mut kept: usize = 0;
    for index in 0..tail.len() {
        let segment = tail[index];
        match kept.checked_sub(1).and_then(|last| tail.get_mut(last)) {
            Some(last) if last.1 >= segment.0 => last.1 = last.1.max(segment.1),
            _ => {
                tail[kept] = segment;
                kept += 1;
            }
        }
    }
    segments.truncate(first + kept);
}

/// The state of the walk for one item: tables by block that hold the item's number where it applies, so that they need
/// not be emptied for the next.
struct Walk<'f> {
    flow: &'f Flow,
    live_in: Vec<u32>,
    live_out: Vec<u32>,
    mentioned: Vec<u32>,
    writes: Vec<u32>,
    work: Vec<u32>,
    /// Blocks through which it is alive without being mentioned.
    through: Vec<u32>,
}

/// Sets the entry; whether it was another before.
fn set(table: &mut [u32], block: u32, item: u32) -> bool {
    table.get_mut(block as usize).is_some_and(|entry| std::mem::replace(entry, item) != item)
}

fn has(table: &[u32], block: u32, item: u32) -> bool {
    table.get(block as usize) == Some(&item)
}

impl Walk<'_> {
    /// Appends the segments of an item, not in order. Returns whether it is alive at the entry.
    fn item(&mut self, item: u32, mentions: &[(u32, Access)], out: &mut Vec<Segment>) -> bool {
        let flow = self.flow;
        for (at, access) in mentions {
            let block = flow.block(*at);
            let first = set(&mut self.mentioned, block, item);
            if *access == Access::Write {
                set(&mut self.writes, block, item);
            } else if first && set(&mut self.live_in, block, item) {
                self.work.push(block);
            }
        }
        while let Some(block) = self.work.pop() {
            for from in flow.predecessors.get(block as usize).into_iter().flatten() {
                if !set(&mut self.live_out, *from, item) || has(&self.writes, *from, item) {
                    continue;
                }
                if set(&mut self.live_in, *from, item) {
                    self.work.push(*from);
                }
                if !has(&self.mentioned, *from, item) {
                    self.through.push(*from);
                }
            }
        }
        for mentions in mentions.chunk_by(|a, b| flow.block(a.0) == flow.block(b.0)) {
            self.within(item, mentions, out);
        }
        out.extend(self.through.drain(..).map(|block| flow.range(block)));
        has(&self.live_in, 0, item)
    }

    /// The segments in a block in which it is mentioned.
    fn within(&self, item: u32, mentions: &[(u32, Access)], out: &mut Vec<Segment>) {
        let Some((at, _)) = mentions.first() else { return };
        let block = self.flow.block(*at);
        let (start, end) = self.flow.range(block);
        let mut open = has(&self.live_in, block, item).then_some((start, start));
        for (at, access) in mentions {
            let at = at * STEP;
            match access {
                Access::Read | Access::ReadLate => {
                    let over = at + if *access == Access::Read { READ } else { OVER };
                    let segment = open.get_or_insert((at, over));
                    segment.1 = segment.1.max(over);
                }
                Access::Write => {
                    out.extend(open);
                    open = Some((at + WRITE, at + OVER));
                }
            }
        }
        if let Some((from, to)) = open {
            let to = if has(&self.live_out, block, item) { end } else { to };
            out.push((from, to));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mention(item: u32, at: u32, access: Access) -> Mention {
        Mention { item, at, access }
    }

    /// Two blocks of three instructions, the second a loop.
    fn flow() -> Flow {
        Flow::new([3, 3].into_iter(), vec![vec![], vec![0, 1]])
    }

    #[test]
    fn a_value_of_one_block_lives_from_write_to_read() {
        let mentions = [mention(0, 0, Access::Write), mention(0, 2, Access::Read)];
        let ranges = live_ranges(&flow(), 2, &mentions);
        assert_eq!(ranges.of(0), [(2, 9)]);
        assert!(ranges.of(1).is_empty());
        assert!(ranges.unwritten.is_empty());
    }

    #[test]
    fn a_value_that_a_loop_reads_lives_all_through_it() {
        let mentions = [mention(0, 1, Access::Write), mention(0, 3, Access::Read)];
        assert_eq!(live_ranges(&flow(), 1, &mentions).of(0), [(6, 24)]);
    }

    #[test]
    fn a_value_that_is_written_again_is_dead_in_between() {
        use Access::{Read, Write};
        let mentions =
            [(0, Write), (3, Read), (5, Write)].map(|(at, access)| mention(0, at, access));
        assert_eq!(live_ranges(&flow(), 1, &mentions).of(0), [(2, 13), (22, 24)]);
    }

    #[test]
    fn a_value_that_is_not_written_is_alive_at_the_entry() {
        let ranges = live_ranges(&flow(), 1, &[mention(0, 4, Access::ReadLate)]);
        assert_eq!(ranges.of(0), [(0, 24)]);
        assert_eq!(ranges.unwritten, [0]);
        // An unused result takes a register for the moment of the write.
        let ranges = live_ranges(&flow(), 1, &[mention(0, 1, Access::Write)]);
        assert_eq!(ranges.of(0), [(6, 7)]);
    }
}
