//! Sections of several objects, those of one name one behind the other.

use super::types::Types;
use super::{Input, Problems, is_agreed};
use crate::insn::ByteOrder;
use crate::object::names::shown;
use crate::object::raw::{Kind, MOST, Raw, RawRelocation, RawSection, RawSymbol};
use std::borrow::Cow;
use std::collections::HashMap;

/// The greatest alignment that is kept: data is mapped in pages.
const MOST_ALIGN: u64 = 4096;

/// The sections as they are put together.
pub(super) struct Sections {
    pub all: Vec<RawSection<'static>>,
    /// The object that each is from at first.
    first: Vec<usize>,
    /// Their numbers, by their names.
    numbers: HashMap<String, usize>,
}

impl Default for Sections {
    /// One without a name, for all that is left out.
    fn default() -> Sections {
        let none = RawSection {
            name: String::new(),
            kind: Kind::Nothing,
            bytes: Cow::Borrowed(&[]),
            size: 0,
            align: 1,
            relocations: Vec::new(),
        };
        Sections { all: vec![none], first: vec![0], numbers: HashMap::new() }
    }
}

impl Sections {
    /// Puts the sections of an object behind those that there are.
    pub fn add(&mut self, inputs: &mut [Input<'_>], index: usize, problems: &mut Problems) {
        let Some(input) = inputs.get(index) else { return };
        let mut places = Vec::with_capacity(input.raw.sections.len());
        for section in &input.raw.sections {
            let left_out = matches!(section.kind, Kind::Btf | Kind::BtfExt)
                || section.kind == Kind::Nothing && section.size > 0;
            places.push(match left_out {
                true => (0, 0),
                false => self.place(inputs, index, section, problems),
            });
        }
        if let Some(input) = inputs.get_mut(index) {
            input.places = places;
        }
    }

    /// Puts a section behind the one of its name; returns the number of that, and where it begins there.
    fn place(
        &mut self,
        inputs: &[Input<'_>],
        index: usize,
        section: &RawSection<'_>,
        problems: &mut Problems,
    ) -> (usize, u64) {
        let align = section.align.clamp(1, MOST_ALIGN);
        let align = if align.is_power_of_two() { align } else { 1 };
        let next = self.all.len();
        let number = *self.numbers.entry(section.name.clone()).or_insert(next);
        if number == next {
            self.first.push(index);
            self.all.push(RawSection {
                name: section.name.clone(),
                kind: section.kind,
                bytes: Cow::Owned(section.bytes.to_vec()),
                size: section.size,
                align,
                relocations: Vec::new(),
            });
            return (number, 0);
        }
        let file = |index: usize| shown(inputs.get(index).map_or("", |input| input.file));
        let first = self.first.get(number).copied().unwrap_or_default();
        let Some(whole) = self.all.get_mut(number) else { return (0, 0) };
        let name = shown(&section.name);
        if is_agreed(whole.kind) && is_agreed(section.kind) {
            if whole.bytes != section.bytes {
                let said = |bytes: &[u8]| shown(&String::from_utf8_lossy(bytes.trim_ascii_end()));
                let said = |bytes: &[u8]| said(bytes.strip_suffix(&[0]).unwrap_or(bytes));
                problems.push(format!(
                    "{name}: {} has `{}`, and {} has `{}`",
                    file(first),
                    said(&whole.bytes),
                    file(index),
                    said(&section.bytes)
                ));
            }
            return (number, 0);
        }
        if whole.size == 0 {
            whole.kind = section.kind;
            if let Some(first) = self.first.get_mut(number) {
                *first = index;
            }
        } else if section.size > 0 && whole.kind != section.kind {
            problems.push(format!(
                "section `{name}`: it is of one type in {} and of another in {}",
                file(first),
                file(index)
            ));
            return (number, 0);
        }
        // As libbpf: each piece is aligned like the one that wants most.
        let align = align.max(whole.align);
        let base = whole.size.next_multiple_of(align);
        let size = base.saturating_add(section.size);
        if size > MOST {
            problems.push(format!("section `{name}`: it would have more than 512 MiB"));
            return (number, 0);
        }
        // Zeros need no bytes as long as nothing else is behind them.
        if !section.bytes.is_empty() {
            let bytes = whole.bytes.to_mut();
            bytes.resize(base as usize, 0);
            bytes.extend_from_slice(&section.bytes);
        } else if !whole.bytes.is_empty() {
            whole.bytes.to_mut().resize(size as usize, 0);
        }
        (whole.size, whole.align) = (size, align);
        (number, base)
    }

    /// The contents of the linked file.
    pub fn finish(
        mut self,
        inputs: &[Input<'_>],
        symbols: Vec<RawSymbol>,
        types: &Types,
        order: ByteOrder,
    ) -> Raw<'static> {
        for input in inputs {
            for (section, (number, base)) in input.raw.sections.iter().zip(&input.places) {
                let Some(whole) = self.all.get_mut(*number).filter(|_| *number > 0) else {
                    continue;
                };
                let moved = section.relocations.iter().filter_map(|relocation| {
                    let symbol = *input.symbols.get(relocation.symbol)?;
                    let offset = relocation.offset.checked_add(*base)?;
                    Some(RawRelocation { offset, symbol, ..*relocation })
                });
                whole.relocations.extend(moved);
            }
        }
        let parts = [(".BTF", Kind::Btf, &types.btf), (".BTF.ext", Kind::BtfExt, &types.ext)];
        for (name, kind, bytes) in parts {
            if bytes.is_empty() {
                continue;
            }
            let (size, bytes) = (bytes.len() as u64, Cow::Owned(bytes.clone()));
            let relocations = Vec::new();
            let name = name.into();
            self.all.push(RawSection { name, kind, bytes, size, align: 8, relocations });
        }
        Raw { order, sections: self.all, symbols }
    }
}
