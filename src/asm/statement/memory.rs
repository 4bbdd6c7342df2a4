//! Memory: addresses, stores and atomics without a result.

use super::literal::ESCAPE;
use super::number::Operand;
use super::{Cursor, Literal, Parsed, Span, Statement, What, ok, one, sub};
use crate::insn::table::{LOCKED_OPERATORS, Operation};
use crate::insn::{AtomicOp, AtomicSize, Bits, Op, Pseudo, Reg, Size};
use crate::spec::RelocField;

/// `(r1 + 8)`.
#[derive(Clone, Copy)]
pub(super) struct Address {
    pub(super) base: Reg,
    pub(super) offset: i16,
    /// The width of the field at this address, if the offset is a field's.
    pub(super) width: Option<u32>,
    pub(super) span: Span,
}

/// The type of a memory access: `u8` … `u64`, `s8` … `s32`.
#[derive(Clone, Copy)]
pub(super) struct Access {
    pub(super) size: Size,
    pub(super) signed: bool,
    pub(super) span: Span,
}

impl<'a> Cursor<'a> {
    /// `u32 *)`, after its opening parenthesis.
    pub(super) const fn access(&mut self) -> Parsed<Access> {
        let span = ok!(self.word("a type, u8 to u64 or s8 to s32"));
        let name = sub(self.text, span.start, span.end);
        let (size, signed) = match name {
            b"u8" => (Size::Byte, false),
            b"u16" => (Size::Half, false),
            b"u32" => (Size::Word, false),
            b"u64" => (Size::Double, false),
            b"s8" => (Size::Byte, true),
            b"s16" => (Size::Half, true),
            b"s32" => (Size::Word, true),
            _ => return self.problem(span, What::Not("a type: u8, u16, u32, u64, s8, s16, s32")),
        };
        ok!(self.need("*", "the `*` of an access, `*(u32 *)(r1 + 8)`"));
        ok!(self.need(")", "`)`"));
        Ok(Access { size, signed, span })
    }

    pub(super) const fn unsigned_access(&mut self) -> Parsed<Access> {
        let access = ok!(self.access());
        if access.signed {
            return self
                .problem(access.span, What::Not("a type that is stored: u8, u16, u32, u64"));
        }
        Ok(access)
    }

    /// Parses the size of an atomic operation with a result, and returns the width of its registers.
    pub(super) const fn atomic_access(&mut self) -> Parsed<(AtomicSize, Bits)> {
        let access = ok!(self.access());
        match (access.size, access.signed) {
            (Size::Word, false) => Ok((AtomicSize::Word, Bits::B32)),
            (Size::Double, false) => Ok((AtomicSize::Double, Bits::B64)),
            _ => self.problem(access.span, What::Not("a type of atomic arithmetic: u32, u64")),
        }
    }

    /// `r1 + 8`, with or without the offset.
    pub(super) const fn address(&mut self) -> Parsed<Address> {
        let base = ok!(self.register64()).reg;
        if !matches!(self.peek(), b'+' | b'-') {
            let span = Span { start: self.at, end: self.at };
            return Ok(Address { base, offset: 0, width: None, span });
        }
        let start = self.at;
        if self.peek() == b'+' {
            self.at += 1;
            self.skip();
            if let Some(span) = ok!(self.symbol(RelocField::Offset)) {
                return Ok(Address { base, offset: 0, width: None, span });
            }
            self.at = start;
        }
        if let Some(value) = self.plain_number() {
            if value as i16 as i64 == value {
                let span = Span { start, end: self.at };
                return Ok(Address { base, offset: value as i16, width: None, span });
            }
            self.at = start;
        }
        self.width = None;
        let (value, span) = ok!(self.number("an offset"));
        let width = self.width;
        Ok(Address { base, offset: ok!(self.offset16(value, span)), width, span })
    }

    /// Checks that an access of that many bytes covers the whole field, if its address is a field's.
    pub(super) const fn whole_field(&mut self, address: Address, bytes: u8) -> Parsed<()> {
        match address.width {
            Some(width) if width != bytes as u32 => {
                self.problem(address.span, What::Width { width, bytes: bytes as u32 })
            }
            _ => Ok(()),
        }
    }

    /// `(r1 + 8)`.
    pub(super) const fn parenthesized_address(&mut self) -> Parsed<Address> {
        ok!(self.need("(", "an address, `(r1 + 8)`"));
        let address = ok!(self.address());
        ok!(self.need(")", "`)`"));
        Ok(address)
    }

    /// `*(u32 *)(r1 + 8) = r2`, `= 5`, `= "text"`.
    pub(super) const fn store(&mut self) -> Parsed<Statement<'a>> {
        ok!(self.need("*", "`*`"));
        ok!(self.need("(", "`(`"));
        let Access { size, span, .. } = ok!(self.unsigned_access());
        let address = ok!(self.parenthesized_address());
        let Address { base, offset, .. } = address;
        ok!(self.need("=", "`=`"));
        if self.peek() == b'"' || (self.peek() == b'b' && self.byte(1) == b'"') {
            if !matches!(size, Size::Byte) {
                return self.problem(span, What::Not("the type of a string, which is u8"));
            }
            return self.store_text(address);
        }
        ok!(self.whole_field(address, size.bytes()));
        let whole = ok!(self.cast(size));
        match ok!(self.operand()) {
            Operand::Register(register) if !whole || self.is_listing() => {
                if matches!((size, register.bits), (Size::Double, Bits::B32)) {
                    return self
                        .problem(register.span, What::Not("a 64-bit register, as u64 needs"));
                }
                Ok(one(Op::Store { size, base, offset, src: register.reg }))
            }
            Operand::Register(register) => {
                self.problem(register.span, What::Not("a number, as the cast before it needs"))
            }
            Operand::Number(value, span) => {
                let (low, high) = match size {
                    _ if whole => (i32::MIN as i64, u32::MAX as i64),
                    Size::Byte => (i8::MIN as i64, u8::MAX as i64),
                    Size::Half => (i16::MIN as i64, u16::MAX as i64),
                    Size::Word => (i32::MIN as i64, u32::MAX as i64),
                    // The kernel extends the sign of the 32 bits that a slot has.
                    Size::Double => (i32::MIN as i64, i32::MAX as i64),
                };
                let value = ok!(self.fit("the value to store", value, span, low, high));
                Ok(one(Op::StoreImm { size, base, offset, imm: value as i32 }))
            }
        }
    }

    /// Parses a cast such as in `= (u8)1000`, and returns whether the immediate may have all 32 bits although fewer
    /// are stored, which a slot can encode and the kernel accepts. Listings of the kernel need no cast.
    const fn cast(&mut self, size: Size) -> Parsed<bool> {
        if self.is_listing() {
            return Ok(true);
        }
        let start = self.at;
        let name = match size {
            Size::Byte => "u8",
            Size::Half => "u16",
            _ => return Ok(false),
        };
        if !self.take("(") {
            return Ok(false);
        }
        if self.take_word(name) {
            ok!(self.need(")", "`)`"));
            return Ok(true);
        }
        self.at = start;
        Ok(false)
    }

    /// Parses a string and checks it completely, so that splitting it later cannot fail; returns its size in bytes.
    pub(super) const fn string(&mut self) -> Parsed<(Span, i64)> {
        let start = self.at;
        let mut bytes = match Literal::open(self.text, start) {
            Some(bytes) => bytes,
            None => return self.expected("a string"),
        };
        let mut length: i64 = 0;
        loop {
            match bytes.next() {
                Ok(Some(_)) => length += 1,
                Ok(None) => break,
                Err(at) => {
                    let end = if at + 2 <= self.text.len() { at + 2 } else { self.text.len() };
                    return self.problem(Span { start: at, end }, What::Not(ESCAPE));
                }
            }
        }
        self.at = bytes.at;
        self.skip();
        Ok((Span { start, end: bytes.at }, length))
    }

    /// The string of a store.
    pub(super) const fn store_text(&mut self, address: Address) -> Parsed<Statement<'a>> {
        if self.symbols[RelocField::Offset as usize].is_some() {
            // The number of stores depends on the alignment of the offset, which has to be known.
            return self.problem(address.span, What::Not("an offset where a string can be stored"));
        }
        let (literal, length) = ok!(self.string());
        let Address { base, offset, width, .. } = address;
        if let Some(width) = width
            && length > width as i64
        {
            let bytes = length as u32;
            return self.problem(address.span, What::Width { width, bytes });
        }
        // The last byte's offset has to fit too.
        let last = offset as i128 + length as i128 - 1;
        ok!(self.offset16(last, literal));
        Ok(Statement::Bytes { base, offset, literal })
    }

    /// `lock *(u64 *)(r1 + 8) += r2`.
    pub(super) const fn locked(&mut self) -> Parsed<Statement<'a>> {
        ok!(self.need("*", "`*`"));
        ok!(self.need("(", "`(`"));
        let (size, bits) = ok!(self.atomic_access());
        let address = ok!(self.parenthesized_address());
        ok!(self.whole_field(address, atomic_bytes(size)));
        let Address { base, offset, .. } = address;
        let Some(Operation::Atomic(op)) = self.operator(&LOCKED_OPERATORS, false) else {
            return self.expected("`+=`, `&=`, `|=` or `^=`");
        };
        // LLVM writes the 32-bit form with w registers and, for `+=`, older tools with r registers.
        let src = match (bits, op) {
            (Bits::B32, AtomicOp::Add) => ok!(self.register()),
            _ => ok!(self.register_as(bits)),
        };
        Ok(one(Op::Atomic { size, op, base, offset, src: src.reg }))
    }

    /// Parses `ld_pseudo r1, 1, 42`: `lddw` with an explicit source field; a fourth operand is the second slot's
    /// immediate, 0 if it is left out. LLVM's assembler has no fourth operand and silently drops the upper half of
    /// the third: this does so only under `.option llvm_ld_pseudo`.
    pub(super) const fn load_pseudo(&mut self) -> Parsed<Statement<'a>> {
        let dst = ok!(self.register64()).reg;
        ok!(self.need(",", "`,`"));
        let (kind, span) = ok!(self.number("a source field, 0 to 6"));
        let kind = match ok!(self.fit("the source field", kind, span, 0, 6)) {
            0 => Pseudo::Imm64,
            1 => Pseudo::MapFd,
            2 => Pseudo::MapValue,
            3 => Pseudo::BtfId,
            4 => Pseudo::Function,
            5 => Pseudo::MapIndex,
            _ => Pseudo::MapIndexValue,
        };
        ok!(self.need(",", "`,`"));
        let (value, span) = ok!(self.number("a number"));
        let low = if self.llvm_ld_pseudo && self.peek() != b',' {
            ok!(self.imm64(value, span)) as i32
        } else {
            ok!(self.fit("the immediate", value, span, i32::MIN as i64, u32::MAX as i64)) as i32
        };
        let high = if self.take(",") { ok!(self.imm32()) } else { 0 };
        Ok(one(Op::LoadImm64 { dst, kind, low, high }))
    }

    /// Parses a number of 32 bits, signed or not.
    pub(super) const fn imm32(&mut self) -> Parsed<i32> {
        let (value, span) = ok!(self.number("a number"));
        Ok(ok!(self.fit("the immediate", value, span, i32::MIN as i64, u32::MAX as i64)) as i32)
    }

    pub(super) const fn imm64(&mut self, value: i128, span: Span) -> Parsed<u64> {
        if value < i64::MIN as i128 || value > u64::MAX as i128 {
            return self.problem(span, What::Not("a number of 64 bits"));
        }
        Ok(value as u64)
    }
}

pub(super) const fn size_bits(size: Size) -> Bits {
    if matches!(size, Size::Double) { Bits::B64 } else { Bits::B32 }
}

pub(super) const fn atomic_bytes(size: AtomicSize) -> u8 {
    match size {
        AtomicSize::Word => 4,
        AtomicSize::Double => 8,
    }
}
