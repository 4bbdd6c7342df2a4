//! The data of an object as directives: labels for what is named, and the bytes.

use super::names::{Names, quoted};
use super::raw::{Kind, LONGEST, Raw, RawSection, SymbolKind};
use crate::asm::Section;
use crate::btf::{Body, Btf};
use crate::insn::ByteOrder;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;

/// The data of an object. The sections of one kind, `.rodata` and `.rodata.str1.1`, become one.
pub(super) struct Variables<'d> {
    pieces: Vec<Piece<'d>>,
    /// The index of the piece of each section.
    indices: HashMap<usize, usize>,
    widths: HashMap<String, u32>,
    order: ByteOrder,
}

/// A section.
struct Piece<'d> {
    /// Its number in the file.
    section: usize,
    of: Section,
    /// Its offset in the combined section, and its alignment.
    base: u64,
    align: u64,
    bytes: &'d [u8],
    size: u64,
    labels: BTreeMap<u64, Labels>,
}

/// The labels of one place, in the order of their symbols.
#[derive(Default)]
struct Labels {
    all: Vec<Label>,
    /// The indices of those that are larger than all before them.
    larger: Vec<usize>,
}

impl Labels {
    fn push(&mut self, label: Label) {
        let largest = self.larger.last().and_then(|index| self.all.get(*index));
        if largest.is_none_or(|largest| largest.size < label.size) {
            self.larger.push(self.all.len());
        }
        self.all.push(label);
    }

    /// The first one that has this byte in it, or that begins with it.
    fn with(&self, rest: u64) -> Option<&Label> {
        if rest == 0 {
            return self.all.first();
        }
        let size = |index: &usize| self.all.get(*index).map_or(0, |label| label.size);
        let index = self.larger.partition_point(|index| size(index) <= rest);
        self.all.get(*self.larger.get(index)?)
    }
}

/// A named range of a section.
#[derive(Debug, Clone)]
pub(super) struct NamedPlace {
    pub name: String,
    /// The number of the section in the file, and its offset there.
    pub raw: usize,
    pub offset: u32,
    pub size: u32,
    pub width: u32,
}

struct Label {
    name: String,
    /// Its name in the file.
    symbol: String,
    size: u64,
}

impl<'d> Variables<'d> {
    /// The data, with labels for symbols and for other places that instructions name: each by the number of its section and its
    /// offset there.
    pub fn new(
        raw: &'d Raw<'_>,
        btf: Option<&Btf>,
        places: &BTreeSet<(usize, u64)>,
        names: &mut Names,
    ) -> Variables<'d> {
        let mut pieces: Vec<Piece<'d>> = Vec::new();
        let mut ends = [0_u64; 3];
        for of in Section::ALL {
            for (section, found) in raw.sections.iter().enumerate() {
                if found.kind != Kind::Data(of) {
                    continue;
                }
                let RawSection { ref bytes, size, .. } = *found;
                let align = found.align.clamp(1, 64);
                let align = if align.is_power_of_two() { align } else { 1 };
                let base = ends[of as usize].next_multiple_of(align);
                ends[of as usize] = base + size;
                let labels = BTreeMap::new();
                pieces.push(Piece { section, of, base, align, bytes, size, labels });
            }
        }
        let indices: HashMap<_, _> =
            pieces.iter().enumerate().map(|(index, piece)| (piece.section, index)).collect();
        for symbol in &raw.symbols {
            let fits = matches!(symbol.kind, SymbolKind::Object | SymbolKind::Untyped);
            let index = symbol.section.and_then(|section| indices.get(&section));
            let piece = index.and_then(|index| pieces.get_mut(*index));
            let Some(piece) = piece.filter(|piece| fits && symbol.value < piece.size) else {
                continue;
            };
            let label = Label {
                name: names.give(&symbol.name),
                symbol: symbol.name.clone(),
                size: symbol.size.min(piece.size - symbol.value),
            };
            piece.labels.entry(symbol.value).or_default().push(label);
        }
        let widths = btf.map_or_else(HashMap::new, widths);
        let mut variables = Variables { pieces, indices, widths, order: raw.order };
        for (section, place) in places {
            if variables.covering(*section, *place).is_none() {
                variables.add_label(*section, *place, names);
            }
        }
        // What stands before the first label of a section belongs to none, and not to the one before it.
        let starts: Vec<_> = variables
            .pieces
            .iter()
            .filter(|piece| piece.base > 0 && !piece.labels.contains_key(&0))
            .map(|piece| piece.section)
            .collect();
        starts.into_iter().for_each(|section| variables.add_label(section, 0, names));
        variables
    }

    fn add_label(&mut self, section: usize, place: u64, names: &mut Names) {
        let index = self.indices.get(&section);
        let Some(piece) = index.and_then(|index| self.pieces.get_mut(*index)) else { return };
        if place >= piece.size {
            return;
        }
        let of = piece.of.name().trim_start_matches('.');
        let name = names.give(&format!("{of}_{}", piece.base + place));
        let next = piece.labels.range(place + 1..).next().map_or(piece.size, |(next, _)| *next);
        let label = Label { name, symbol: String::new(), size: next - place };
        piece.labels.entry(place).or_default().push(label);
    }

    /// The label for a byte, and how far behind it that is.
    fn covering(&self, section: usize, place: u64) -> Option<(&str, u64)> {
        let piece = self.pieces.get(*self.indices.get(&section)?)?;
        if place >= piece.size {
            return None;
        }
        let (start, labels) = piece.labels.range(..=place).next_back()?;
        let rest = place - start;
        let label = labels.with(rest)?;
        Some((&label.name, rest))
    }

    /// The name of the address of a byte in instructions; `None` if it has none.
    pub fn address(&self, section: usize, place: u64) -> Option<String> {
        let (name, rest) = self.covering(section, place)?;
        Some(if rest == 0 { name.into() } else { format!("{name} + {rest}") })
    }

    /// The directives, and what has a name.
    pub fn text(&self, names: &mut Names) -> (String, Vec<NamedPlace>) {
        let (mut out, mut found) = (String::new(), Vec::new());
        let mut last = None;
        for piece in &self.pieces {
            if last != Some(piece.of) {
                let _ = writeln!(out, "{}", piece.of.name());
            } else if piece.align > 1 {
                let _ = writeln!(out, "    .align {}", piece.align);
            }
            last = Some(piece.of);
            self.piece(&mut out, &mut found, piece, names);
        }
        if last.is_some() {
            out.push_str(".text\n");
        }
        (out, found)
    }

    fn piece(
        &self,
        out: &mut String,
        found: &mut Vec<NamedPlace>,
        piece: &Piece<'_>,
        names: &mut Names,
    ) {
        let mut place = |name: &str, from: u64, to: u64, width: u32| {
            // Sections have less than 512 MiB.
            let (offset, size) = (from as u32, (to - from) as u32);
            found.push(NamedPlace { name: name.into(), raw: piece.section, offset, size, width });
        };
        let starts: BTreeSet<u64> = piece.labels.keys().copied().chain([0]).collect();
        let ends = starts.iter().skip(1).copied().chain([piece.size]);
        for (start, end) in starts.iter().copied().zip(ends) {
            let labels = piece.labels.get(&start).map_or(&[][..], |labels| &labels.all);
            for label in labels {
                let _ = writeln!(out, "{}:", label.name);
            }
            let declared = labels.iter().map(|label| label.size).max().filter(|size| *size > 0);
            let filled = declared.map_or(end, |size| end.min(start + size));
            let width = labels.iter().find_map(|label| self.widths.get(&label.symbol).copied());
            let width = self.bytes(out, piece, start, filled, width);
            labels.iter().for_each(|label| place(&label.name, start, filled, width));
            if filled == end {
                continue;
            }
            // What is behind a variable, up to the next one.
            let (from, to) = (piece.base + filled, piece.base + end);
            let zeros = piece.slice(filled, end).iter().all(|byte| *byte == 0);
            let align = [2_u64, 4, 8, 16, 32, 64];
            match align.into_iter().find(|align| zeros && from.next_multiple_of(*align) == to) {
                Some(align) => {
                    let _ = writeln!(out, "    .align {align}");
                }
                None => {
                    let of = piece.of.name().trim_start_matches('.');
                    let name = names.give(&format!("{of}_{from}"));
                    let _ = writeln!(out, "{name}:");
                    let width = self.bytes(out, piece, filled, end, None);
                    place(&name, filled, end, width);
                }
            }
        }
    }

    /// Bytes, as numbers of a width, text (0), or what they look like: the width that they got.
    fn bytes(
        &self,
        out: &mut String,
        piece: &Piece<'_>,
        from: u64,
        to: u64,
        width: Option<u32>,
    ) -> u32 {
        let (bytes, length) = (piece.slice(from, to), to - from);
        if length == 0 {
            return 0;
        }
        let zeros = bytes.iter().all(|byte| *byte == 0);
        // Whatever its name, a section can be one of zeros.
        if bytes.is_empty() || zeros && length > 64 {
            let _ = writeln!(out, "    .zero {length}");
            return if matches!(length, 1 | 2 | 4 | 8) { length as u32 } else { 0 };
        }
        let text = match width {
            None | Some(0) => string(bytes),
            Some(_) => None,
        };
        if let Some(text) = text {
            let _ = writeln!(out, "    .asciz {}", quoted(text));
            return 0;
        }
        let width = match (width, bytes.len()) {
            (Some(width @ (1 | 2 | 4 | 8)), length) if length.is_multiple_of(width as usize) => {
                width as usize
            }
            (_, width @ (1 | 2 | 4 | 8)) => width,
            _ => 1,
        };
        let directive = match width {
            8 => ".quad",
            4 => ".word",
            2 => ".half",
            _ => ".byte",
        };
        // A line has sixteen bytes.
        for line in bytes.chunks(16) {
            let numbers: Vec<String> =
                line.chunks(width).map(|bytes| written(number(bytes, self.order))).collect();
            let _ = writeln!(out, "    {directive} {}", numbers.join(", "));
        }
        width as u32
    }
}

impl<'d> Piece<'d> {
    /// Bytes; none of a section of zeros.
    fn slice(&self, from: u64, to: u64) -> &'d [u8] {
        // Sections have less than 512 MiB.
        self.bytes.get(from as usize..to as usize).unwrap_or_default()
    }
}

/// The bytes as a string, if they are one: a zero at the end and nowhere else, and before it what people write.
fn string(bytes: &[u8]) -> Option<&str> {
    let (last, text) = bytes.split_last()?;
    let usual = |byte: &u8| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let fits = *last == 0 && !text.is_empty() && text.iter().all(usual);
    std::str::from_utf8(text).ok().filter(|_| fits)
}

/// A number: small ones are counts, large ones masks and addresses.
fn written(number: u64) -> String {
    if number > 0xffff { format!("{number:#x}") } else { number.to_string() }
}

fn number(bytes: &[u8], order: ByteOrder) -> u64 {
    let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    match order {
        ByteOrder::Little => bytes.iter().rev().fold(0, add),
        ByteOrder::Big => bytes.iter().fold(0, add),
    }
}

/// Of how many bytes the numbers are that variables are made of; 0 of letters.
fn widths(btf: &Btf) -> HashMap<String, u32> {
    let mut widths = HashMap::new();
    for found in btf.types().filter_map(Result::ok) {
        let Body::Variable { of, .. } = found.body else { continue };
        let element = match btf.resolve(of).map(|found| found.body) {
            Ok(Body::Array { element, .. }) => element,
            _ => of,
        };
        let Ok(element) = btf.resolve(element) else { continue };
        if let Body::Int { size, .. } = element.body
            && found.name.len() <= LONGEST
        {
            let width = if element.name == "char" { 0 } else { size };
            widths.insert(found.name.to_owned(), width);
        }
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// As if one label was looked at after the other.
        #[test]
        fn the_first_label_that_is_large_enough_is_found(
            sizes in prop::collection::vec(0..9_u64, 0..9),
            rest in 0..9_u64,
        ) {
            let mut labels = Labels::default();
            for (index, size) in sizes.iter().enumerate() {
                let (name, symbol) = (index.to_string(), String::new());
                labels.push(Label { name, symbol, size: *size });
            }
            let first = sizes.iter().position(|size| rest == 0 || rest < *size);
            let found = labels.with(rest).map(|label| label.name.clone());
            prop_assert_eq!(found, first.map(|index| index.to_string()));
        }
    }
}
