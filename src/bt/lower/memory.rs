//! Objects in memory: places, initialization, copies.

use super::helper::{self, COMM};
use super::{Lower, Lowered};
use crate::bt::types::Space;
use crate::codegen::{Address, Binary, Operand};
use crate::insn::{Condition, Size};
use std::sync::Arc;

/// A place in memory, and by how much its address is known to be aligned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    pub address: Address,
    pub align: u32,
}

impl Place {
    /// A place whose address is a multiple of 8.
    pub(super) fn aligned(address: impl Into<Address>) -> Place {
        Place { address: address.into(), align: 8 }
    }

    /// The place so many bytes further on.
    pub(super) fn at(self, bytes: u32) -> Place {
        let align = if bytes == 0 { 8 } else { 1 << bytes.trailing_zeros().min(3) };
        let offset = i32::try_from(bytes).unwrap_or(i32::MAX);
        Place { address: self.address.at(offset), align: self.align.min(align) }
    }
}

/// A value of which all is evaluated that it depends on, so that nothing but reading remains.
#[derive(Debug, Clone)]
pub(super) enum Prepared {
    /// A scalar.
    Scalar(Operand, Size),
    /// Constant bytes and zeros up to the size.
    Bytes(Arc<[u8]>, u32),
    /// An object that lies in memory of the program.
    Copy(Place, u32),
    /// Bytes read from elsewhere.
    Read { address: Operand, space: Space, size: u32 },
    /// A string read from elsewhere; at most `limit` bytes of it, without the zero at the end.
    Str { address: Operand, space: Space, limit: Option<Operand>, size: u32 },
    /// The result of `buf()`: `room` bytes at most, and zeros behind the `most` that can be read.
    Buffer { address: Operand, space: Space, length: Operand, room: u32, most: u32 },
    /// The name of the thread.
    Comm,
    /// Numbers at their offsets, zeros between them.
    Words { words: Vec<(u32, Size, Operand)>, size: u32 },
    /// Parts at their offsets, with zeros between them.
    Parts { parts: Vec<(u32, Prepared)>, size: u32 },
}

/// The most stores or copies of a word in place of a call.
const MAX_WORDS: u32 = 16;

impl Prepared {
    /// The number of bytes.
    pub(super) fn size(&self) -> u32 {
        match self {
            Prepared::Scalar(_, size) => size.bytes().into(),
            Prepared::Bytes(_, size)
            | Prepared::Copy(_, size)
            | Prepared::Read { size, .. }
            | Prepared::Str { size, .. }
            | Prepared::Words { size, .. }
            | Prepared::Parts { size, .. } => *size,
            Prepared::Buffer { room, .. } => buffer_size(*room),
            Prepared::Comm => 16,
        }
    }
}

/// The size of a buffer with its length.
pub(super) fn buffer_size(room: u32) -> u32 {
    room.saturating_add(4 + 3) & !3
}

/// The integer of so many bytes.
pub(super) fn int_size(bytes: u32) -> Size {
    match bytes {
        1 => Size::Byte,
        2 => Size::Half,
        4 => Size::Word,
        _ => Size::Double,
    }
}

/// The pieces of so many bytes, each at its alignment: offsets and sizes.
pub(super) fn pieces(bytes: u32, align: u32) -> impl Iterator<Item = (u32, Size)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let left = bytes - done;
        let size = [8, 4, 2, 1].into_iter().find(|size| *size <= align && *size <= left)?;
        let piece = (done, int_size(size));
        done += size;
        Some(piece)
    })
}

impl<'p> Lower<'_, 'p, '_> {
    /// Allocates an object, aligned to 8.
    pub(super) fn room(&mut self, size: u32) -> Place {
        Place::aligned(self.f.object(size.max(1).next_multiple_of(8), 8))
    }

    /// Puts a value into memory. What lies behind strings and between parts becomes 0 if `clear`.
    pub(super) fn put(&mut self, value: &Prepared, to: Place, clear: bool) {
        match value {
            Prepared::Scalar(value, size) => self.f.store(*size, to.address, *value),
            Prepared::Bytes(bytes, size) => self.put_bytes(bytes, *size, to),
            Prepared::Copy(from, size) => self.copy(*from, to, *size),
            Prepared::Read { address, space, size } => {
                let dst = self.f.address(to.address);
                let args = [dst.into(), (*size).into(), *address];
                self.call_read(helper::read(*space), &args);
            }
            Prepared::Str { address, space, limit, size } => {
                if clear {
                    self.zero(to, *size);
                }
                self.put_str(*address, *space, *limit, *size, to);
            }
            Prepared::Buffer { address, space, length, room, most } => {
                if clear || most < room {
                    self.zero(to, buffer_size(*room));
                }
                let length = self.clamped(*length, *room);
                self.f.store(Size::Word, to.address, length);
                let there = match most < room {
                    true => self.clamped(length.into(), *most),
                    false => length,
                };
                let dst = self.f.address(to.at(4).address);
                self.call_read(helper::read(*space), &[dst.into(), there.into(), *address]);
            }
            Prepared::Comm => {
                if clear {
                    // Some kernels (6.1) leave the bytes behind the zero as they were: one name would be several keys.
                    self.zero(to, 16);
                }
                let dst = self.f.address(to.address);
                self.call_number(COMM, &[dst.into(), 16.into()]);
            }
            Prepared::Words { words, size } => {
                let covered: u32 = words.iter().map(|(_, size, _)| u32::from(size.bytes())).sum();
                if covered < *size {
                    self.zero(to, *size);
                }
                for (offset, size, word) in words {
                    self.f.store(*size, to.at(*offset).address, *word);
                }
            }
            Prepared::Parts { parts, size } => {
                if clear {
                    let mut end = 0;
                    for (offset, part) in parts {
                        self.zero_between(to, end, *offset);
                        end = offset + part.size();
                    }
                    self.zero_between(to, end, *size);
                }
                for (offset, part) in parts {
                    self.put(part, to.at(*offset), clear);
                }
            }
        }
    }

    fn zero_between(&mut self, to: Place, start: u32, end: u32) {
        if start < end {
            self.zero(to.at(start), end - start);
        }
    }

    /// Makes memory zero.
    pub(super) fn zero(&mut self, to: Place, size: u32) {
        if size.div_ceil(to.align.max(1)) <= MAX_WORDS {
            return self.f.zero(to.address, size, to.align);
        }
        let (zeros, most) = self.zeros();
        let mut done = 0;
        while done < size {
            let step = most.min(size - done);
            let dst = self.f.address(to.at(done).address);
            let args = [dst.into(), step.into(), zeros.into()];
            self.call_number(helper::PROBE_READ_KERNEL, &args);
            done += step;
        }
    }

    fn put_bytes(&mut self, bytes: &Arc<[u8]>, size: u32, to: Place) {
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let used = (used as u32).min(size);
        if used.div_ceil(to.align.max(1)) > MAX_WORDS {
            let constant = bytes.get(..used as usize).unwrap_or_default();
            let constant = self.unit.rodata(constant, 8);
            let (dst, from) = (self.f.address(to.address), self.f.rodata(constant));
            let args = [dst.into(), used.into(), from.into()];
            self.call_number(helper::PROBE_READ_KERNEL, &args);
            return self.zero_between(to, used, size);
        }
        let stored = used.next_multiple_of(to.align.max(1)).min(size);
        for (offset, piece) in pieces(stored, to.align) {
            let value = word_at(bytes, offset, piece);
            self.f.store(piece, to.at(offset).address, value);
        }
        self.zero_between(to, stored, size);
    }

    /// Copies memory of the program.
    pub(super) fn copy(&mut self, from: Place, to: Place, size: u32) {
        let align = from.align.min(to.align);
        if size.div_ceil(align.max(1)) <= MAX_WORDS {
            for (offset, piece) in pieces(size, align) {
                let word = self.f.load(piece, from.at(offset).address);
                self.f.number(word);
                self.f.store(piece, to.at(offset).address, word);
            }
            return;
        }
        let (dst, src) = (self.f.address(to.address), self.f.address(from.address));
        self.call_number(helper::PROBE_READ_KERNEL, &[dst.into(), size.into(), src.into()]);
    }

    /// Reads a string. One that does not fit fills all of it, without a zero at the end.
    fn put_str(
        &mut self,
        address: Operand,
        space: Space,
        limit: Option<Operand>,
        size: u32,
        to: Place,
    ) {
        let limit = limit.map(|limit| self.clamped(limit, size));
        // The helper's size counts the zero at the end, and the limit of a script does not.
        let most: Operand = match limit {
            None => size.into(),
            Some(limit) => {
                let most = self.f.binary(Binary::Add, limit, 1);
                self.clamped(most.into(), size).into()
            }
        };
        let dst = self.f.address(to.address);
        let got = self.call_read(helper::read_str(space), &[dst.into(), most, address]);
        // Whether the last byte is the string's end is not known: it is read by itself.
        let last = size.saturating_sub(1);
        let (full, after) = (self.f.block(), self.f.block());
        self.f.branch(Condition::Eq, got, size, full, after);
        self.f.switch_to(full);
        if let Some(limit) = limit {
            let wanted = self.f.block();
            self.f.branch(Condition::Eq, limit, size, wanted, after);
            self.f.switch_to(wanted);
        }
        let end = self.f.address(to.at(last).address);
        let from = self.f.binary(Binary::Add, address, last);
        self.call_read(helper::read(space), &[end.into(), 1.into(), from.into()]);
        self.f.switch_to(after);
    }

    /// Bounds a number by `most`, both as unsigned, so that the verifier tracks the bound.
    pub(super) fn clamped(&mut self, value: Operand, most: u32) -> crate::codegen::Var {
        let clamped = self.f.var();
        self.f.assign(clamped, value);
        let (large, after) = (self.f.block(), self.f.block());
        self.f.branch(Condition::Gt, clamped, most, large, after);
        self.f.switch_to(large);
        self.f.assign(clamped, most);
        self.f.switch_to(after);
        clamped
    }

    /// A value in memory, with zeros where it has none.
    pub(super) fn in_memory(&mut self, value: &Prepared) -> Place {
        if let Prepared::Copy(place, _) = value {
            return *place;
        }
        let place = self.room(value.size());
        self.put(value, place, true);
        place
    }

    /// A pointer to a place, for helpers.
    pub(super) fn pointer(&mut self, place: Place) -> Operand {
        self.f.address(place.address).into()
    }

    /// A pointer, for code that ends here with an error otherwise.
    pub(super) fn never<T>(&self) -> Lowered<T> {
        self.unsupported(self.span, "this combination of types")
    }
}

/// The number that some bytes are in memory.
pub(super) fn word_at(bytes: &[u8], offset: u32, size: Size) -> u64 {
    let byte = |index: u32| bytes.get((offset + index) as usize).copied().unwrap_or(0);
    match size {
        Size::Byte => byte(0).into(),
        Size::Half => u16::from_ne_bytes([byte(0), byte(1)]).into(),
        Size::Word => u32::from_ne_bytes(std::array::from_fn(|at| byte(at as u32))).into(),
        Size::Double => u64::from_ne_bytes(std::array::from_fn(|at| byte(at as u32))),
    }
}
