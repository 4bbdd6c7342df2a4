//! Assignments to registers, and the values that can be assigned.

use super::memory::{Access, Address, atomic_bytes, size_bits};
use super::number::Register;
use super::{
    Cursor, Dialect, ONE_OPERATION, Parsed, Span, Statement, Target, Value, What, ok, one, same,
    sub,
};
use crate::insn::table::{
    ASSIGNMENT_OPERATORS, COMPARISON_OPERATORS, FETCHING_NAMES, Operation, Operator, Shape, shaped,
};
use crate::insn::{
    AluOp, AtomicOp, AtomicSize, Bits, Op, PacketSize, Pseudo, Reg, SignBits, SignExtend, Size,
    Source, Swap, SwapBits,
};
use crate::spec::MapSpec;
use crate::spec::RelocField;
use crate::uapi::MapType;

const ADDRESS: &str =
    "is an address in the kernel that wrote this, most likely a map's: name the map, `name ll`";
const MAP_ID: &str =
    "is a map of the kernel that wrote this, which only it knows: name the map, `name ll`";

const ASSIGNMENT: &str = "an assignment, `=` or `+=` and the like: a comparison stands behind `if`, as in \
                          `if r1 == r2 goto label`. A statement begins with a register and an assignment, `*(type *)`, `if`, `goto`, \
                          `call`, `exit`, `lock` or a label";
const PACKET_TYPES: &str =
    "a type of packet loads: u8, u16, u32 (some assemblers have one of 64 bits, Linux has none)";

impl<'a> Cursor<'a> {
    pub(super) const fn assign(&mut self, dst: Register) -> Parsed<Statement<'a>> {
        let Register { reg, bits, .. } = dst;
        let operator = self.at;
        let signed = self.peek() == b's' && self.take_word("s");
        if !signed && self.peek() == b'=' && self.byte(1) != b'=' {
            self.at += 1;
            self.skip();
            return self.value_for(dst);
        }
        match self.operator(&ASSIGNMENT_OPERATORS, signed) {
            Some(Operation::Alu(op)) => {
                Ok(one(Op::Alu { bits, op, dst: reg, src: ok!(self.source(bits)) }))
            }
            Some(Operation::AluSigned(op)) => {
                Ok(one(Op::AluSigned { bits, op, dst: reg, src: ok!(self.source(bits)) }))
            }
            _ => match self.operator(&COMPARISON_OPERATORS, signed) {
                Some(Operation::JumpIf(_)) => {
                    let mut end = self.at;
                    while self.text[end - 1].is_ascii_whitespace() {
                        end -= 1;
                    }
                    self.problem(Span { start: operator, end }, What::Not(ASSIGNMENT))
                }
                _ if signed => self.expected("`s>>=`, `s/=` or `s%=`"),
                _ => self.expected("`=`, `+=` or another assignment"),
            },
        }
    }

    /// Parses the right side of `r1 = …`.
    pub(super) const fn value_for(&mut self, dst: Register) -> Parsed<Statement<'a>> {
        let Register { reg, bits, .. } = dst;
        match self.peek() {
            b'*' => self.load(dst),
            b'"' => self.text_address(dst),
            b'b' if self.byte(1) == b'"' => self.text_address(dst),
            b'(' if self.extends_a_sign() => self.move_signed(dst),
            b'-' if self.negates_a_register() => {
                self.at += 1;
                self.skip();
                let src = ok!(self.register_as(bits));
                ok!(self.must_be(src, dst));
                Ok(one(Op::Neg { bits, dst: reg }))
            }
            b'-' | b'+' | b'~' | b'(' | b'{' | b'\'' | b'0'..=b'9' => {
                let start = self.at;
                if !self.is_listing()
                    && let Some(value) = self.plain_number()
                {
                    if self.peek() != b'l' && value as i32 as i64 == value {
                        let src = Source::Imm(value as i32);
                        return Ok(one(Op::Alu { bits, op: AluOp::Mov, dst: reg, src }));
                    }
                    self.at = start;
                }
                let (value, span) = ok!(self.number("a number"));
                self.number_for(dst, value, span)
            }
            _ => self.named_value(dst),
        }
    }

    /// `r1 = "text" ll`: the address of the string in read-only data.
    const fn text_address(&mut self, dst: Register) -> Parsed<Statement<'a>> {
        let (span, _) = ok!(self.string());
        if !self.take_word("ll") {
            return self.expected("`ll`: a register takes the address of a string");
        }
        ok!(self.needs_64(dst));
        let op = Op::LoadImm64 { dst: dst.reg, kind: Pseudo::MapValue, low: 0, high: 0 };
        Ok(Statement::Op { op, target: Target::Text(span) })
    }

    /// `r1 = 5`, `r1 = 5 ll`, once the number is known.
    pub(super) const fn number_for(
        &mut self,
        dst: Register,
        value: i128,
        span: Span,
    ) -> Parsed<Statement<'a>> {
        let Register { reg, bits, .. } = dst;
        const LDDW: u8 = Op::load_imm64(Reg::R0, 0).encode().first().opcode();
        if let Dialect::Listing(LDDW) = self.dialect {
            if is_address(value) {
                return self.problem(span, What::Foreign(ADDRESS));
            }
            return Ok(one(Op::load_imm64(reg, ok!(self.imm64(value, span)))));
        }
        if self.take_word("ll") {
            ok!(self.needs_64(dst));
            return Ok(one(Op::load_imm64(reg, ok!(self.imm64(value, span)))));
        }
        let src = Source::Imm(ok!(self.moved(bits, value, span)));
        Ok(one(Op::Alu { bits, op: AluOp::Mov, dst: reg, src }))
    }

    /// Returns whether `(s8)`, `(s16)` or `(s32)` is next, and not arithmetic.
    const fn extends_a_sign(&mut self) -> bool {
        let start = self.at;
        self.at += 1;
        self.skip();
        let sign = self.peek() == b's';
        self.at = start;
        sign
    }

    pub(super) const fn negates_a_register(&mut self) -> bool {
        let start = self.at;
        self.at += 1;
        self.skip();
        let register = matches!(self.peek(), b'r' | b'w');
        self.at = start;
        register
    }

    pub(super) const fn needs_64(&mut self, dst: Register) -> Parsed<()> {
        match dst.bits {
            Bits::B64 => Ok(()),
            Bits::B32 => self.problem(dst.span, What::Not("a 64-bit register, which `ll` fills")),
        }
    }

    /// Checks that both registers are the same: instructions on one register in place name it twice.
    pub(super) const fn must_be(&mut self, src: Register, dst: Register) -> Parsed<()> {
        if src.reg as u8 == dst.reg as u8 {
            Ok(())
        } else {
            self.problem(src.span, What::Not("the register on the left, which it has to be here"))
        }
    }

    /// `r1 = *(u32 *)(r2 + 8)`, `r0 = *(u16 *)skb[12]`.
    pub(super) const fn load(&mut self, dst: Register) -> Parsed<Statement<'a>> {
        ok!(self.need("*", "`*`"));
        ok!(self.need("(", "`(`"));
        let access = ok!(self.access());
        if self.take_word("skb") {
            return self.packet(dst, access);
        }
        let address = ok!(self.parenthesized_address());
        ok!(self.whole_field(address, access.size.bytes()));
        let Address { base, offset, .. } = address;
        let signed = match (access.signed, access.size) {
            (false, size) => {
                if matches!((size, dst.bits), (Size::Double, Bits::B32)) {
                    return self.problem(dst.span, What::Not("a 64-bit register, as u64 needs"));
                }
                return Ok(one(Op::Load { size, dst: dst.reg, base, offset }));
            }
            (true, Size::Byte) => SignBits::B8,
            (true, Size::Half) => SignBits::B16,
            (true, _) => SignBits::B32,
        };
        match dst.bits {
            Bits::B64 => Ok(one(Op::LoadSigned { size: signed, dst: dst.reg, base, offset })),
            Bits::B32 => self.problem(
                dst.span,
                What::Not("a 64-bit register; a load that extends the sign fills all 64 bits"),
            ),
        }
    }

    pub(super) const fn packet(&mut self, dst: Register, access: Access) -> Parsed<Statement<'a>> {
        if !matches!(dst, Register { reg: Reg::R0, bits: Bits::B64, .. }) {
            return self.problem(dst.span, What::Not("r0, where packet loads put their result"));
        }
        let size = match (access.size, access.signed) {
            (Size::Byte, false) => PacketSize::Byte,
            (Size::Half, false) => PacketSize::Half,
            (Size::Word, false) => PacketSize::Word,
            _ => {
                return self.problem(access.span, What::Not(PACKET_TYPES));
            }
        };
        ok!(self.need("[", "`[`"));
        let index = match self.peek() {
            b'r' | b'w' => Some(ok!(self.register64()).reg),
            _ => None,
        };
        let imm = if index.is_some() && self.peek() == b']' {
            0
        } else {
            let (value, span) = ok!(self.number("an offset or a register"));
            ok!(self.fit("the offset", value, span, i32::MIN as i64, i32::MAX as i64)) as i32
        };
        ok!(self.need("]", "`]`"));
        Ok(one(Op::LoadPacket { size, index, imm }))
    }

    /// `r1 = (s8)r2`.
    pub(super) const fn move_signed(&mut self, dst: Register) -> Parsed<Statement<'a>> {
        ok!(self.need("(", "`(`"));
        let span = ok!(self.word("s8, s16 or s32"));
        let extend = match (sub(self.text, span.start, span.end), dst.bits) {
            (b"s8", Bits::B32) => SignExtend::B8To32,
            (b"s16", Bits::B32) => SignExtend::B16To32,
            (b"s8", Bits::B64) => SignExtend::B8To64,
            (b"s16", Bits::B64) => SignExtend::B16To64,
            (b"s32", Bits::B64) => SignExtend::B32To64,
            (_, Bits::B32) => {
                return self
                    .problem(span, What::Not("a type that a 32-bit register extends: s8, s16"));
            }
            (_, Bits::B64) => {
                return self
                    .problem(span, What::Not("a type whose sign is extended: s8, s16, s32"));
            }
        };
        ok!(self.need(")", "`)`"));
        let src = ok!(self.register_as(dst.bits)).reg;
        Ok(one(Op::MoveSigned { extend, dst: dst.reg, src }))
    }

    /// `r1 = r2`, `r1 = be16 r1`, `r1 = atomic_fetch_add(…)`, `r1 = map ll`.
    pub(super) const fn named_value(&mut self, dst: Register) -> Parsed<Statement<'a>> {
        let Register { reg, bits, .. } = dst;
        let start = self.at;
        // Only a register. Maps and constants can have the name of one.
        if self.constants.is_empty()
            && let Some(src) = self.plain_register()
        {
            if self.at_end() && src.bits as u8 == bits as u8 {
                let src = Source::Reg(src.reg);
                return Ok(one(Op::Alu { bits, op: AluOp::Mov, dst: reg, src }));
            }
            self.at = start;
        }
        let span =
            ok!(self.word("a register, a number, `*(type *)` or a function of the language"));
        let name = sub(self.text, span.start, span.end);

        if self.take_word("ll") {
            return self.map(dst, span, 0);
        }
        if self.peek() == b'.' || self.asks(span) {
            self.at = start;
            if let Some(span) = ok!(self.symbol(RelocField::Immediate)) {
                return self.number_for(dst, 0, span);
            }
        }
        if matches!(self.peek(), b'+' | b'-') && matches!(self.dialect, Dialect::Text) {
            // An address and bytes to add to it; or arithmetic that begins with a constant.
            if self.constant(span).is_none() {
                let (sign, is_register) = (self.at, self.register_of(span).is_ok());
                let address = self.number("an offset");
                if is_register && (address.is_err() || self.peek() != b'l') {
                    self.at = sign;
                    return self.expected(ONE_OPERATION);
                }
                let (value, at) = ok!(address);
                let offset =
                    ok!(self.fit("the offset", value, at, i32::MIN as i64, i32::MAX as i64));
                if !self.take_word("ll") {
                    return self.expected("`ll`, which ends the name of a map");
                }
                return self.map(dst, span, offset as i32);
            }
        }
        if self.peek() == b'[' {
            return if self.is_listing() {
                self.dumped(dst, span)
            } else {
                self.map_value(dst, span)
            };
        }
        if self.constant(span).is_some() {
            self.at = span.start;
            let (value, span) = ok!(self.number("a number"));
            return self.number_for(dst, value, span);
        }
        if self.peek() == b':' && self.byte(1) == b':' {
            let mut end = span.end;
            while self.take("::") {
                end = ok!(self.word("a name")).end;
            }
            if self.peek() == b'[' {
                return self.map_value(dst, Span { start: span.start, end });
            }
            if !self.take_word("ll") {
                return self.expected("`ll`, which ends the name of a map");
            }
            return self.map(dst, Span { start: span.start, end }, 0);
        }

        if let Some((swap, width)) = swap_named(name) {
            ok!(self.needs_swap_register(dst));
            let src = ok!(self.register64());
            ok!(self.must_be(src, dst));
            return Ok(one(Op::Swap { swap, bits: width, dst: reg }));
        }
        if self.peek() == b'(' {
            return self.function(dst, span);
        }
        if let Some(widths) = swap_widths(name) {
            return self.problem(span, What::Not(widths));
        }
        let Ok(src) = self.register_of(span) else {
            return self.problem(
                span,
                What::NoRegister(
                    "a register (r0 to r10, w0 to w10), nor a map: `name ll` names a map",
                ),
            );
        };
        match (bits, src.bits) {
            (Bits::B32, Bits::B32) | (Bits::B64, Bits::B64) => {
                let src = Source::Reg(src.reg);
                Ok(one(Op::Alu { bits, op: AluOp::Mov, dst: reg, src }))
            }
            _ => self.problem(src.span, What::Not("a register as wide as the one on the left")),
        }
    }

    pub(super) const fn needs_swap_register(&mut self, dst: Register) -> Parsed<()> {
        match dst.bits {
            Bits::B64 => Ok(()),
            Bits::B32 => {
                self.problem(dst.span, What::Not("a 64-bit register, as a byte swap needs"))
            }
        }
    }

    pub(super) const fn map(
        &mut self,
        dst: Register,
        name: Span,
        offset: i32,
    ) -> Parsed<Statement<'a>> {
        ok!(self.needs_64(dst));
        let op = Op::LoadImm64 { dst: dst.reg, kind: Pseudo::MapFd, low: 0, high: 0 };
        if matches!(self.dialect, Dialect::Text) {
            return Ok(Statement::Op { op, target: Target::Name(name, offset) });
        }
        match self.next_value() {
            Value::Map(map) => Ok(Statement::Op { op, target: Target::Map(map) }),
            _ => self.problem(
                name,
                What::Not("a map: a path of at most four names to a `static` MapSpec"),
            ),
        }
    }

    /// `r1 = NAME[0] + 8 ll`: the address of a byte in the one value of an array.
    const fn map_value(&mut self, dst: Register, name: Span) -> Parsed<Statement<'a>> {
        ok!(self.needs_64(dst));
        // In the list of values, too, the map precedes the numbers.
        let map = if matches!(self.dialect, Dialect::Macro) {
            match self.next_value() {
                Value::Map(map) => Some(map),
                _ => {
                    let what = "the address of a value: that is `NAME[0] ll` or `NAME[0] + 8 ll`, with a path of at most \
                                three names to a `static` MapSpec";
                    return self.problem(name, What::Not(what));
                }
            }
        } else {
            None
        };
        ok!(self.need("[", "`[`"));
        let (index, at) = ok!(self.number("an index"));
        if index != 0 {
            let what = What::Not(
                "0: only the address of the first element is known before the program runs",
            );
            return self.problem(at, what);
        }
        ok!(self.need("]", "`]`"));
        let (offset, at) = if matches!(self.peek(), b'+' | b'-') {
            ok!(self.number("an offset"))
        } else {
            (0, name)
        };
        let high = ok!(self.fit("the offset", offset, at, 0, i32::MAX as i64)) as i32;
        if !self.take_word("ll") {
            return self.expected("`ll`, which ends the address of a value");
        }
        let op = Op::LoadImm64 { dst: dst.reg, kind: Pseudo::MapValue, low: 0, high };
        let Some(map) = map else {
            return Ok(Statement::Op { op, target: Target::Name(name, 0) });
        };
        match addressable(map, high) {
            Ok(()) => Ok(Statement::Op { op, target: Target::Map(map) }),
            Err(what) => self.problem(name, what),
        }
    }

    /// Parses what a dump shows for an address: `subprog[+3]` is one of a function; `map[id:5]` and
    /// `map[id:5][0]+16` are errors.
    const fn dumped(&mut self, dst: Register, name: Span) -> Parsed<Statement<'a>> {
        if same(sub(self.text, name.start, name.end), b"subprog") {
            ok!(self.need("[", "`[`"));
            let (value, span) = ok!(self.number("a distance"));
            let low =
                ok!(self.fit("the distance", value, span, i32::MIN as i64, i32::MAX as i64)) as i32;
            ok!(self.need("]", "`]`"));
            return Ok(one(Op::LoadImm64 { dst: dst.reg, kind: Pseudo::Function, low, high: 0 }));
        }
        let mut end = self.at;
        while end < self.text.len() && !self.text[end].is_ascii_whitespace() {
            end += 1;
        }
        self.problem(Span { start: name.start, end }, What::Foreign(MAP_ID))
    }

    /// Parses the values in the syntax of calls: atomics and address space casts.
    pub(super) const fn function(&mut self, dst: Register, span: Span) -> Parsed<Statement<'a>> {
        let name = sub(self.text, span.start, span.end);
        ok!(self.need("(", "`(`"));
        let fetch = atomic_named(name);
        let statement = if let Some(op) = fetch {
            ok!(self.need("(", "`(`"));
            let (size, bits) = ok!(self.atomic_access());
            let address = ok!(self.parenthesized_address());
            ok!(self.whole_field(address, atomic_bytes(size)));
            let Address { base, offset, .. } = address;
            ok!(self.need(",", "`,`"));
            if matches!(op, AtomicOp::CompareExchange) {
                ok!(self.compare_exchange(dst, size, bits, base, offset))
            } else {
                ok!(self.exchange(dst, size, bits, op, base, offset))
            }
        } else if same(name, b"xchg_64") || same(name, b"xchg32_32") {
            let (size, bits) = word_or_double(same(name, b"xchg32_32"));
            let address = ok!(self.address());
            ok!(self.whole_field(address, atomic_bytes(size)));
            let Address { base, offset, .. } = address;
            ok!(self.need(",", "`,`"));
            ok!(self.exchange(dst, size, bits, AtomicOp::Exchange, base, offset))
        } else if same(name, b"cmpxchg_64") || same(name, b"cmpxchg32_32") {
            let (size, bits) = word_or_double(same(name, b"cmpxchg32_32"));
            let address = ok!(self.address());
            ok!(self.whole_field(address, atomic_bytes(size)));
            let Address { base, offset, .. } = address;
            ok!(self.need(",", "`,`"));
            ok!(self.compare_exchange(dst, size, bits, base, offset))
        } else if let Some(shaped) = shaped(name)
            && matches!(shaped.shape, Shape::Load)
        {
            ok!(self.need("(", "`(`"));
            let size = ok!(self.unsigned_access()).size;
            let address = ok!(self.parenthesized_address());
            ok!(self.whole_field(address, size.bytes()));
            ok!(self.width_of(dst, size_bits(size)));
            match shaped.with(size, dst.reg.number(), address.base.number(), address.offset) {
                Some(op) => one(op),
                None => return self.problem(span, What::Not("an operation of that size")),
            }
        } else if same(name, b"addr_space_cast") {
            ok!(self.width_of(dst, Bits::B64));
            let src = ok!(self.register64());
            ok!(self.need(",", "`,`"));
            let to = ok!(self.address_space());
            ok!(self.need(",", "`,`"));
            let from = ok!(self.address_space());
            one(Op::AddrSpaceCast { dst: dst.reg, src: src.reg, to, from })
        } else {
            return self.problem(
                span,
                What::Not(
                    "a value: atomic_fetch_add, _or, _and, _xor, xchg_64, xchg32_32, cmpxchg_64, \
                     cmpxchg32_32, load_acquire, addr_space_cast",
                ),
            );
        };
        ok!(self.need(")", "`)`"));
        Ok(statement)
    }

    /// The last two operands of a comparison and exchange: `r0`, which holds the value to compare with and gets
    /// the old one, and the new value.
    const fn compare_exchange(
        &mut self,
        dst: Register,
        size: AtomicSize,
        bits: Bits,
        base: Reg,
        offset: i16,
    ) -> Parsed<Statement<'a>> {
        let old = ok!(self.register_as(bits));
        if !matches!(old.reg, Reg::R0) {
            return self.problem(old.span, What::Not("r0, which holds the value to compare with"));
        }
        ok!(self.must_be(dst, old));
        ok!(self.width_of(dst, bits));
        ok!(self.need(",", "`,`"));
        let src = ok!(self.register_as(bits)).reg;
        Ok(one(Op::Atomic { size, op: AtomicOp::CompareExchange, base, offset, src }))
    }

    /// The last operand of an atomic operation with a result, which is the register that gets it.
    pub(super) const fn exchange(
        &mut self,
        dst: Register,
        size: AtomicSize,
        bits: Bits,
        op: AtomicOp,
        base: Reg,
        offset: i16,
    ) -> Parsed<Statement<'a>> {
        let src = ok!(self.register_as(bits));
        ok!(self.must_be(src, dst));
        ok!(self.width_of(dst, bits));
        Ok(one(Op::Atomic { size, op, base, offset, src: src.reg }))
    }

    pub(super) const fn width_of(&mut self, register: Register, bits: Bits) -> Parsed<()> {
        match (bits, register.bits) {
            (Bits::B32, Bits::B32) | (Bits::B64, Bits::B64) => Ok(()),
            (Bits::B32, Bits::B64) if self.is_listing() => Ok(()),
            (Bits::B32, _) => self.problem(
                register.span,
                What::Not("a 32-bit register (w0 to w10), as the type asks"),
            ),
            (Bits::B64, _) => self.problem(
                register.span,
                What::Not("a 64-bit register (r0 to r10), as the type asks"),
            ),
        }
    }

    pub(super) const fn address_space(&mut self) -> Parsed<u16> {
        let (value, span) = ok!(self.number("an address space"));
        Ok(ok!(self.fit("the address space", value, span, 0, u16::MAX as i64)) as u16)
    }
}

/// Checks that the kernel has an address for that byte of the map's first value (its `map_direct_value_addr`
/// functions): an array has to have one element, and the size of other maps with addresses is not known here.
pub(in crate::asm) const fn addressable(map: &MapSpec<'_>, offset: i32) -> Result<(), What> {
    match map.kind {
        MapType::Array | MapType::PercpuArray if map.max_entries != 1 => {
            Err(What::Not("a map of one element: only the value of such a one has an address"))
        }
        MapType::Array | MapType::PercpuArray => {
            if offset >= 0 && (offset as u32) < map.value_size {
                return Ok(());
            }
            let (value, high) = (offset as i128, map.value_size as i64 - 1);
            Err(What::Range { field: "the offset", value, low: 0, high })
        }
        MapType::Arena | MapType::InsnArray => Ok(()),
        _ => Err(What::Not("an array of one element: only the value of such a map has an address")),
    }
}

const fn word_or_double(word: bool) -> (AtomicSize, Bits) {
    if word { (AtomicSize::Word, Bits::B32) } else { (AtomicSize::Double, Bits::B64) }
}

/// Returns the atomic operation of that name, in the assembly language or the kernel's log.
const fn atomic_named(name: &[u8]) -> Option<AtomicOp> {
    let name = match name {
        [b'a', b't', b'o', b'm', b'i', b'c', b'_', rest @ ..]
        | [b'a', b't', b'o', b'm', b'i', b'c', b'6', b'4', b'_', rest @ ..] => rest,
        _ => return None,
    };
    if same(name, b"xchg") {
        return Some(AtomicOp::Exchange);
    }
    if same(name, b"cmpxchg") {
        return Some(AtomicOp::CompareExchange);
    }
    let [b'f', b'e', b't', b'c', b'h', b'_', end @ ..] = name else { return None };
    let four = match *end {
        [a, b] => [a, b, 0, 0],
        [a, b, c] => [a, b, c, 0],
        [a, b, c, d] => [a, b, c, d],
        _ => return None,
    };
    match FETCHING_NAMES.find(four, false) {
        Some(&Operator { operation: Operation::Atomic(op), length, .. }) if length == end.len() => {
            Some(op)
        }
        _ => None,
    }
}

/// Returns whether a number in a listing is a kernel address, as those of maps, values and variables are, and not a
/// constant from the source.
///
/// On x86-64, arm64 and others, kernel data is above 0xffff000000000000. There is none from 0xfffffffe00000000 on,
/// except for the kernel image and modules from 0xffffffff81000000 on, where small negative numbers are as well. Nor is data
/// likely at an address that is a mask, a mask of one bit, a multiple of 2^32, or the same 32 bits twice.
const fn is_address(value: i128) -> bool {
    if value < 0xffff_0000_0000_0000 || value >= 0xffff_ffff_ffff_0000 {
        return false;
    }
    let value = value as u64;
    let negated = value.wrapping_neg();
    let image = value >= 0xffff_ffff_8100_0000;
    let constant = (value >= 0xffff_fffe_0000_0000 && !image)
        || negated.is_power_of_two()
        || (!value).is_power_of_two()
        || value.trailing_zeros() >= 32
        || (value >> 32) as u32 == value as u32;
    !constant
}

/// Returns the valid widths of a byte swap, for the error about another width.
const fn swap_widths(name: &[u8]) -> Option<&'static str> {
    let (digits, widths) = match name {
        [b'b', b'e', digits @ ..] => (digits, "a width of `be`: be16, be32, be64"),
        [b'l', b'e', digits @ ..] => (digits, "a width of `le`: le16, le32, le64"),
        [b'b', b's', b'w', b'a', b'p', digits @ ..] => {
            (digits, "a width of `bswap`: bswap16, bswap32, bswap64")
        }
        _ => return None,
    };
    let mut i = 0;
    while i < digits.len() {
        if !digits[i].is_ascii_digit() {
            return None;
        }
        i += 1;
    }
    Some(widths)
}

const fn swap_named(name: &[u8]) -> Option<(Swap, SwapBits)> {
    Some(match name {
        b"le16" => (Swap::Le, SwapBits::B16),
        b"le32" => (Swap::Le, SwapBits::B32),
        b"le64" => (Swap::Le, SwapBits::B64),
        b"be16" => (Swap::Be, SwapBits::B16),
        b"be32" => (Swap::Be, SwapBits::B32),
        b"be64" => (Swap::Be, SwapBits::B64),
        b"bswap16" => (Swap::Always, SwapBits::B16),
        b"bswap32" => (Swap::Always, SwapBits::B32),
        b"bswap64" => (Swap::Always, SwapBits::B64),
        _ => return None,
    })
}
