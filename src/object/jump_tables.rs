//! Jump tables of an object (`.jumptables`): what clang 22 makes of `switch` and of labels whose addresses are taken (`-mcpu=v4`).
//!
//! Each is a symbol of the size of the table. Its elements are offsets in bytes in the section of the function that jumps: no relocation
//! says which one that is.

use super::functions::Function;
use super::raw::{Raw, RawSymbol};
use crate::insn::ByteOrder;
use crate::spec::JumpTable;

/// Bytes of an element.
pub(super) const ELEMENT: u64 = 8;

/// The most elements of the tables of all programs of an object together: many instructions can refer to one table.
pub(super) const MOST_ELEMENTS: usize = 1 << 22;

/// Returns the elements of a table.
pub(super) fn elements<'r>(
    raw: &'r Raw<'_>,
    symbol: &RawSymbol,
) -> Result<impl ExactSizeIterator<Item = u64> + use<'r>, &'static str> {
    let section = symbol.section.and_then(|section| raw.sections.get(section));
    let bytes = section.map(|section| &*section.bytes).unwrap_or_default();
    if !symbol.value.is_multiple_of(ELEMENT) || !symbol.size.is_multiple_of(ELEMENT) {
        return Err("it does not begin and end with an element of 8 bytes");
    }
    // Sections have less than 512 MiB.
    let (start, size) = (symbol.value as usize, symbol.size as usize);
    let own = bytes.get(start..).and_then(|bytes| bytes.get(..size));
    let own = own.filter(|own| !own.is_empty()).ok_or("it has no elements")?;
    let order = raw.order;
    Ok(own.as_chunks::<8>().0.iter().map(move |element| match order {
        ByteOrder::Little => u64::from_le_bytes(*element),
        ByteOrder::Big => u64::from_be_bytes(*element),
    }))
}

/// Returns the table for a function that begins at the slot `start` of its program. `is_start` says whether an instruction of the function's section
/// begins at a slot.
pub(super) fn jump_table(
    name: &str,
    elements: impl ExactSizeIterator<Item = u64>,
    function: &Function,
    start: usize,
    is_start: impl Fn(usize) -> bool,
) -> Result<JumpTable, String> {
    const SLOT: u64 = 8;
    let mut slots = Vec::with_capacity(elements.len());
    for (index, element) in elements.enumerate() {
        let slot = usize::try_from(element / SLOT).unwrap_or(usize::MAX);
        if !(function.at.1..function.end).contains(&slot) {
            return Err(format!("element {index} leads out of the function"));
        }
        if !element.is_multiple_of(SLOT) || !is_start(slot) {
            return Err(format!("element {index} leads into the middle of an instruction"));
        }
        // Programs have fewer slots than 2^22.
        slots.push((slot - function.at.1 + start) as u32);
    }
    Ok(JumpTable { name: name.into(), slots })
}
