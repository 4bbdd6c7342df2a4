//! Printing of a single instruction.
//!
//! There are two styles. LLVM's is the assembly language itself: its output can be parsed again and gives the same
//! bytes. The kernel's is that of the verifier's log.
//!
//! Nothing here allocates, and no number passes through `format!`: a listing of a million slots is a matter of
//! milliseconds.

use super::HELPERS;
use crate::insn::table::{
    ASSIGNMENTS, COMPARISONS, FETCHING, LOCKED, SHAPED, SIGNED_ASSIGNMENTS, Shape,
};
use crate::insn::{
    AluOp, AtomicOp, AtomicSize, Bits, Condition, Op, PacketSize, Pseudo, Reg, SignBits,
    SignExtend, SignedOp, Size, Source, Swap,
};
use std::fmt::{self, Write};

#[cfg(test)]
mod tests;

/// The syntax in which instructions are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Style {
    /// The assembly language: `r0 = *(u32 *)(r1 + 4)`, `call trace_printk`, `goto +3`.
    #[default]
    Llvm,
    /// The syntax of the kernel's log: `(61) r0 = *(u32 *)(r1 +4)`, `(85) call bpf_trace_printk#6`, `(05) goto
    /// pc+3`.
    Kernel,
}

/// The name of an instruction's operand, known from its context.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target<'a> {
    /// Nothing.
    None,
    /// The label at the place that is jumped to or called, or whose address is taken: `L` and 3 for `L3`.
    Label(&'static str, u32),
    /// The map whose address is loaded, or that of its value.
    Map(&'a str),
    /// The name of a label, or of an address in full: `count + 4`.
    #[cfg(feature = "elf")]
    Name(&'a str),
}

impl fmt::Display for Op {
    /// The instruction in the assembly language, or with `{:#}` as the kernel's log has it.
    ///
    /// ```
    /// use rawbpf::insn::{Op, Reg, Size};
    ///
    /// let load = Op::Load { size: Size::Word, dst: Reg::R0, base: Reg::R1, offset: 4 };
    /// assert_eq!(load.to_string(), "r0 = *(u32 *)(r1 + 4)");
    /// assert_eq!(format!("{load:#}"), "(61) r0 = *(u32 *)(r1 +4)");
    /// ```
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let style = if f.alternate() { Style::Kernel } else { Style::Llvm };
        print(f, *self, style, Target::None)
    }
}

/// Writes one instruction, without a line's end.
pub(crate) fn print<W: Write>(
    out: &mut W,
    op: Op,
    style: Style,
    target: Target<'_>,
) -> fmt::Result {
    match style {
        Style::Llvm => llvm(&mut Text { out, style }, op, target),
        Style::Kernel => kernel(&mut Text { out, style }, op),
    }
}

// ---- what things are called ---------------------------------------------------------------------------

const R: [&str; 11] = ["r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10"];
const W: [&str; 11] = ["w0", "w1", "w2", "w3", "w4", "w5", "w6", "w7", "w8", "w9", "w10"];

/// The types by the size bits of the opcode: word, half, byte, double.
const UNSIGNED: [&str; 4] = ["u32", "u16", "u8", "u64"];

const fn assign(op: AluOp) -> &'static str {
    ASSIGNMENTS[op as usize >> 4 & 15]
}

const fn compare(condition: Condition) -> &'static str {
    COMPARISONS[condition as usize >> 4 & 15]
}

const fn unsigned(size: Size) -> &'static str {
    UNSIGNED[size as usize >> 3 & 3]
}

const fn packet(size: PacketSize) -> &'static str {
    UNSIGNED[size as usize >> 3 & 3]
}

const fn atomic(size: AtomicSize) -> &'static str {
    UNSIGNED[size as usize >> 3 & 3]
}

const fn atomic_bits(size: AtomicSize) -> Bits {
    match size {
        AtomicSize::Word => Bits::B32,
        AtomicSize::Double => Bits::B64,
    }
}

const fn signed(size: SignBits) -> &'static str {
    match size {
        SignBits::B8 => "s8",
        SignBits::B16 => "s16",
        SignBits::B32 => "s32",
    }
}

const fn signed_assign(op: SignedOp) -> &'static str {
    SIGNED_ASSIGNMENTS[op as usize >> 4 & 15]
}

const fn extension(extend: SignExtend) -> (Bits, &'static str) {
    match extend {
        SignExtend::B8To32 => (Bits::B32, " = (s8)"),
        SignExtend::B16To32 => (Bits::B32, " = (s16)"),
        SignExtend::B8To64 => (Bits::B64, " = (s8)"),
        SignExtend::B16To64 => (Bits::B64, " = (s16)"),
        SignExtend::B32To64 => (Bits::B64, " = (s32)"),
    }
}

const fn swap_name(swap: Swap) -> &'static str {
    match swap {
        Swap::Le => " = le",
        Swap::Be => " = be",
        Swap::Always => " = bswap",
    }
}

/// The syntax of an atomic operation.
enum Atomic {
    /// `lock *(…) += r2`
    Lock(&'static str),
    /// `r2 = atomic_fetch_add(…, r2)`
    Fetch(&'static str),
    Exchange,
    CompareExchange,
}

const fn atomic_form(op: AtomicOp) -> Atomic {
    let code = op as usize >> 4 & 15;
    match op {
        AtomicOp::Exchange => Atomic::Exchange,
        AtomicOp::CompareExchange => Atomic::CompareExchange,
        _ if op as i32 & 1 == 0 => Atomic::Lock(LOCKED[code]),
        _ => Atomic::Fetch(FETCHING[code]),
    }
}

/// Returns the helper's name; `None` for 0, which is not a helper, and for numbers without a name.
pub(super) fn helper_name(number: i32) -> Option<&'static str> {
    let index = usize::try_from(number).ok().filter(|index| *index > 0)?;
    HELPERS.get(index).copied()
}

// ---- the pieces of a line -----------------------------------------------------------------------------

/// The output and its style, with the parts of a line that differ between the styles.
struct Text<'w, T> {
    out: &'w mut T,
    style: Style,
}

impl<T: Write> Text<'_, T> {
    fn text(&mut self, text: &str) -> fmt::Result {
        self.out.write_str(text)
    }

    fn reg(&mut self, bits: Bits, reg: Reg) -> fmt::Result {
        let names = match bits {
            Bits::B32 => &W,
            Bits::B64 => &R,
        };
        self.text(names[reg as usize])
    }

    fn int(&mut self, value: i64) -> fmt::Result {
        if value < 0 {
            self.text("-")?;
        }
        decimal(self.out, value.unsigned_abs())
    }

    fn hex(&mut self, value: u64) -> fmt::Result {
        hexadecimal(self.out, value)
    }

    /// `+3`, `-3`.
    fn distance(&mut self, value: i64) -> fmt::Result {
        self.text(if value < 0 { "-" } else { "+" })?;
        decimal(self.out, value.unsigned_abs())
    }

    /// `r1 + 8`, in the kernel's style `r1 +8`.
    fn sum(&mut self, base: Reg, offset: i64) -> fmt::Result {
        self.text(R[base as usize])?;
        self.text(match (self.style, offset < 0) {
            (Style::Llvm, false) => " + ",
            (Style::Llvm, true) => " - ",
            (Style::Kernel, false) => " +",
            (Style::Kernel, true) => " -",
        })?;
        decimal(self.out, offset.unsigned_abs())
    }

    /// `(u32 *)(r1 + 8)`.
    fn memory(&mut self, size: &str, base: Reg, offset: i16) -> fmt::Result {
        self.text("(")?;
        self.text(size)?;
        self.text(" *)(")?;
        self.sum(base, offset.into())?;
        self.text(")")
    }

    fn source(&mut self, bits: Bits, source: Source) -> fmt::Result {
        match source {
            Source::Reg(reg) => self.reg(bits, reg),
            Source::Imm(imm) => self.int(imm.into()),
        }
    }

    /// Writes the target of a jump.
    fn target(&mut self, target: Target<'_>, offset: i64) -> fmt::Result {
        match (target, self.style) {
            (Target::Label(prefix, number), _) => {
                self.text(prefix)?;
                decimal(self.out, number.into())
            }
            #[cfg(feature = "elf")]
            (Target::Name(name), _) => self.text(name),
            (_, Style::Llvm) => self.distance(offset),
            (_, Style::Kernel) => {
                self.text("pc")?;
                self.distance(offset)
            }
        }
    }
}

/// The numbers from 00 to 99 as text, one after the other.
const PAIRS: &str = "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243\
                     4445464748495051525354555657585960616263646566676869707172737475767778798081828384858687\
                     888990919293949596979899";

/// Writes a number in decimal. Most numbers are short, and those are one piece of a table.
pub(super) fn decimal<T: Write>(out: &mut T, value: u64) -> fmt::Result {
    if value < 100 {
        let at = value as usize * 2;
        let start = if value < 10 { at + 1 } else { at };
        return out.write_str(PAIRS.get(start..at + 2).unwrap_or_default());
    }
    digits::<20>(out, value, 10)
}

/// Writes a number in hexadecimal, with `0x`.
pub(super) fn hexadecimal<T: Write>(out: &mut T, value: u64) -> fmt::Result {
    out.write_str("0x")?;
    digits::<16>(out, value, 16)
}

/// Writes a byte as two hexadecimal digits.
pub(super) fn hex_byte<T: Write>(out: &mut T, byte: u8) -> fmt::Result {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    out.write_char(DIGITS[byte as usize >> 4])?;
    out.write_char(DIGITS[byte as usize & 15])
}

fn digits<const N: usize>(out: &mut impl Write, mut value: u64, radix: u64) -> fmt::Result {
    let mut buffer = [b'0'; N];
    let mut start = N;
    for digit in buffer.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value % radix) as usize & 15];
        value /= radix;
        start -= 1;
        if value == 0 {
            break;
        }
    }
    let digits = buffer.get(start..).unwrap_or_default();
    out.write_str(std::str::from_utf8(digits).unwrap_or_default())
}

// ---- LLVM's style -------------------------------------------------------------------------------------

fn llvm<T: Write>(t: &mut Text<'_, T>, op: Op, target: Target<'_>) -> fmt::Result {
    match op {
        Op::Alu { .. }
        | Op::AluSigned { .. }
        | Op::Neg { .. }
        | Op::MoveSigned { .. }
        | Op::AddrSpaceCast { .. }
        | Op::Swap { .. } => arithmetic(t, op),
        Op::Load { .. } | Op::LoadSigned { .. } | Op::Store { .. } => plain_memory(t, op),
        Op::StoreImm { size, base, offset, imm } => {
            t.text("*")?;
            t.memory(unsigned(size), base, offset)?;
            t.text(" = ")?;
            // The machine stores only the low bits. A value with other bits set gets a cast, as it would in C:
            // without the cast it is refused, because it is most likely a mistake.
            match size {
                Size::Byte if !(i8::MIN.into()..=u8::MAX.into()).contains(&imm) => {
                    t.text("(u8)")?;
                }
                Size::Half if !(i16::MIN.into()..=u16::MAX.into()).contains(&imm) => {
                    t.text("(u16)")?;
                }
                _ => {}
            }
            t.int(imm.into())
        }
        Op::Atomic { size, op, base, offset, src } => {
            let bits = atomic_bits(size);
            match atomic_form(op) {
                Atomic::Lock(operator) => {
                    t.text("lock *")?;
                    t.memory(atomic(size), base, offset)?;
                    t.text(operator)?;
                    return t.reg(bits, src);
                }
                Atomic::Fetch(name) => {
                    t.reg(bits, src)?;
                    t.text(" = atomic_")?;
                    t.text(name)?;
                    t.text("(")?;
                    t.memory(atomic(size), base, offset)?;
                }
                Atomic::Exchange => {
                    t.reg(bits, src)?;
                    t.text(match bits {
                        Bits::B32 => " = xchg32_32(",
                        Bits::B64 => " = xchg_64(",
                    })?;
                    t.sum(base, offset.into())?;
                }
                Atomic::CompareExchange => {
                    t.text(match bits {
                        Bits::B32 => "w0 = cmpxchg32_32(",
                        Bits::B64 => "r0 = cmpxchg_64(",
                    })?;
                    t.sum(base, offset.into())?;
                    t.text(", ")?;
                    t.reg(bits, Reg::R0)?;
                }
            }
            t.text(", ")?;
            t.reg(bits, src)?;
            t.text(")")
        }
        Op::LoadPacket { size, index, imm } => {
            t.text("r0 = *(")?;
            t.text(packet(size))?;
            t.text(" *)skb[")?;
            match index {
                None => t.int(imm.into())?,
                Some(index) if imm == 0 => t.reg(Bits::B64, index)?,
                Some(index) => t.sum(index, imm.into())?,
            }
            t.text("]")
        }
        Op::LoadImm64 { dst, kind, low, high } => load_imm64(t, dst, kind, low, high, target),
        Op::Jump { offset } => {
            t.text("goto ")?;
            t.target(target, offset.into())
        }
        Op::JumpLong { offset } => {
            t.text("gotol ")?;
            t.target(target, offset.into())
        }
        Op::MayJump { offset } => {
            t.text("may_goto ")?;
            t.target(target, offset.into())
        }
        Op::JumpIf { bits, condition, dst, src, offset } => {
            t.text("if ")?;
            t.reg(bits, dst)?;
            t.text(compare(condition))?;
            t.source(bits, src)?;
            t.text(" goto ")?;
            t.target(target, offset.into())
        }
        Op::CallHelper { number } => {
            t.text("call ")?;
            match helper_name(number) {
                Some(name) => t.text(name),
                None => t.int(number.into()),
            }
        }
        Op::CallLocal { offset } => {
            t.text("call ")?;
            if matches!(target, Target::None | Target::Map(_)) {
                // A number alone is a helper's.
                t.text("pc")?;
            }
            t.target(target, offset.into())
        }
        Op::CallKfunc { btf_id, fd_index } => {
            t.text("call kfunc ")?;
            t.int(btf_id.into())?;
            if fd_index != 0 {
                t.text(", ")?;
                t.int(fd_index.into())?;
            }
            Ok(())
        }
        Op::Exit => t.text("exit"),
        _ => shaped(t, op),
    }
}

/// Prints an instruction whose syntax several operations share; the kernel's style prints all registers as 64-bit
/// ones.
fn shaped<T: Write>(t: &mut Text<'_, T>, op: Op) -> fmt::Result {
    let slot = op.encode().first();
    // Every instruction that is not printed elsewhere here is one of these: a test goes through them all.
    let Some(shaped) = SHAPED.iter().find(|shaped| shaped.is(slot)) else { return Ok(()) };
    let size = UNSIGNED[slot.opcode() as usize >> 3 & 3];
    let bits = match t.style {
        Style::Llvm if !slot.is_64() => Bits::B32,
        _ => Bits::B64,
    };
    let (dst, src) = (register(slot.dst()), register(slot.src()));
    match shaped.shape {
        Shape::Register => {
            t.text(shaped.name)?;
            t.text(" ")?;
            t.reg(Bits::B64, dst)
        }
        Shape::Load => {
            t.reg(bits, dst)?;
            t.text(" = ")?;
            t.text(shaped.name)?;
            t.text("(")?;
            t.memory(size, src, slot.offset())?;
            t.text(")")
        }
        Shape::Store => {
            t.text(shaped.name)?;
            t.text("(")?;
            t.memory(size, dst, slot.offset())?;
            t.text(", ")?;
            t.reg(bits, src)?;
            t.text(")")
        }
    }
}

/// Returns the register of a field of a valid instruction, which has no numbers above 10.
fn register(number: u8) -> Reg {
    Reg::new(number).unwrap_or(Reg::R0)
}

fn load_imm64<T: Write>(
    t: &mut Text<'_, T>,
    dst: Reg,
    kind: Pseudo,
    low: i32,
    high: i32,
    target: Target<'_>,
) -> fmt::Result {
    if let (Target::Map(name), Pseudo::MapValue) = (target, kind) {
        t.reg(Bits::B64, dst)?;
        t.text(" = ")?;
        t.text(name)?;
        t.text("[0]")?;
        if high != 0 {
            t.text(" + ")?;
            t.int(high.into())?;
        }
        return t.text(" ll");
    }
    // Any other name stands for the whole address, so an offset to be added could not be written beside it.
    if !matches!(target, Target::None) && high == 0 {
        t.reg(Bits::B64, dst)?;
        t.text(" = ")?;
        match target {
            Target::Map(name) => t.text(name)?,
            _ => t.target(target, low.into())?,
        }
        return t.text(" ll");
    }
    if kind == Pseudo::Imm64 {
        t.reg(Bits::B64, dst)?;
        t.text(" = ")?;
        let value = wide(low, high);
        // Small numbers are counts and read best in decimal; large ones are masks and addresses.
        match value as i64 {
            small @ -0xffff..=0xffff => t.int(small)?,
            _ => t.hex(value)?,
        }
        return t.text(" ll");
    }
    t.text("ld_pseudo ")?;
    t.reg(Bits::B64, dst)?;
    t.text(", ")?;
    t.int(kind as i64)?;
    t.text(", ")?;
    t.int(low.into())?;
    if high != 0 {
        t.text(", ")?;
        t.int(high.into())?;
    }
    Ok(())
}

/// Returns the number whose halves are the two immediates.
pub(super) const fn wide(low: i32, high: i32) -> u64 {
    (high as u32 as u64) << 32 | low as u32 as u64
}

// ---- common to both styles ----------------------------------------------------------------------------

fn arithmetic<T: Write>(t: &mut Text<'_, T>, op: Op) -> fmt::Result {
    match op {
        Op::Alu { bits, op, dst, src } => {
            t.reg(bits, dst)?;
            t.text(assign(op))?;
            t.source(bits, src)
        }
        Op::AluSigned { bits, op, dst, src } => {
            t.reg(bits, dst)?;
            t.text(signed_assign(op))?;
            t.source(bits, src)
        }
        Op::Neg { bits, dst } => {
            t.reg(bits, dst)?;
            t.text(" = -")?;
            t.reg(bits, dst)
        }
        Op::MoveSigned { extend, dst, src } => {
            let (bits, cast) = extension(extend);
            t.reg(bits, dst)?;
            t.text(cast)?;
            t.reg(bits, src)
        }
        Op::AddrSpaceCast { dst, src, to, from } => {
            t.reg(Bits::B64, dst)?;
            t.text(" = addr_space_cast(")?;
            t.reg(Bits::B64, src)?;
            t.text(", ")?;
            t.int(to.into())?;
            t.text(", ")?;
            t.int(from.into())?;
            t.text(")")
        }
        Op::Swap { swap, bits, dst } => {
            t.reg(Bits::B64, dst)?;
            t.text(swap_name(swap))?;
            t.int(bits as i64)?;
            t.text(" ")?;
            t.reg(Bits::B64, dst)
        }
        _ => Ok(()),
    }
}

fn plain_memory<T: Write>(t: &mut Text<'_, T>, op: Op) -> fmt::Result {
    match op {
        Op::Load { size, dst, base, offset } => {
            t.reg(Bits::B64, dst)?;
            t.text(" = *")?;
            t.memory(unsigned(size), base, offset)
        }
        Op::LoadSigned { size, dst, base, offset } => {
            t.reg(Bits::B64, dst)?;
            t.text(" = *")?;
            t.memory(signed(size), base, offset)
        }
        Op::Store { size, base, offset, src } => {
            t.text("*")?;
            t.memory(unsigned(size), base, offset)?;
            t.text(" = ")?;
            t.reg(Bits::B64, src)
        }
        _ => Ok(()),
    }
}

// ---- the kernel's style -------------------------------------------------------------------------------

/// Prints as the verifier of Linux 6.18 logs. It has no `w` registers for memory, atomics name their width, and an
/// offset from a base always has its sign.
fn kernel<T: Write>(t: &mut Text<'_, T>, op: Op) -> fmt::Result {
    let opcode = op.encode().first().opcode();
    t.text("(")?;
    hex_byte(t.out, opcode)?;
    t.text(") ")?;
    match op {
        Op::Load { .. } | Op::LoadSigned { .. } | Op::Store { .. } => plain_memory(t, op),
        Op::StoreImm { size, base, offset, imm } => {
            t.text("*")?;
            t.memory(unsigned(size), base, offset)?;
            t.text(" = ")?;
            t.int(imm.into())
        }
        Op::Atomic { size, op, base, offset, src } => {
            let name = match size {
                AtomicSize::Word => " = atomic_",
                AtomicSize::Double => " = atomic64_",
            };
            let (result, operation) = match atomic_form(op) {
                Atomic::Lock(operator) => {
                    t.text("lock *")?;
                    t.memory(atomic(size), base, offset)?;
                    t.text(operator)?;
                    return t.reg(Bits::B64, src);
                }
                Atomic::Fetch(operation) => (src, operation),
                Atomic::Exchange => (src, "xchg"),
                Atomic::CompareExchange => (Reg::R0, "cmpxchg"),
            };
            t.reg(Bits::B64, result)?;
            t.text(name)?;
            t.text(operation)?;
            t.text("(")?;
            t.memory(atomic(size), base, offset)?;
            if op == AtomicOp::CompareExchange {
                t.text(", r0")?;
            }
            t.text(", ")?;
            t.reg(Bits::B64, src)?;
            t.text(")")
        }
        Op::LoadPacket { size, index: Some(index), imm } => {
            t.text("r0 = *(")?;
            t.text(packet(size))?;
            t.text(" *)skb[")?;
            t.reg(Bits::B64, index)?;
            t.text(" + ")?;
            t.int(imm.into())?;
            t.text("]")
        }
        Op::LoadImm64 { dst, kind, low, high } => kernel_imm64(t, dst, kind, low, high),
        Op::JumpIf { bits, condition, dst, src: Source::Imm(imm), offset } => {
            t.text("if ")?;
            t.reg(bits, dst)?;
            t.text(compare(condition))?;
            t.hex((imm as u32).into())?;
            t.text(" goto ")?;
            t.target(Target::None, offset.into())
        }
        Op::CallHelper { number } => {
            match helper_name(number) {
                Some(name) => {
                    t.text("call bpf_")?;
                    t.text(name)?;
                }
                None => t.text("call unknown")?,
            }
            t.text("#")?;
            t.int(number.into())
        }
        Op::CallLocal { offset } => {
            t.text("call ")?;
            t.target(Target::None, offset.into())
        }
        Op::CallKfunc { btf_id, .. } => {
            t.text("call kfunc#")?;
            t.int(btf_id.into())
        }
        _ => llvm(t, op, Target::None),
    }
}

/// Prints a 64-bit immediate. In the kernel's log it is the resolved address. Before the load only the reference is
/// known; that is printed as bpftool does, with a descriptor in place of the id.
fn kernel_imm64<T: Write>(
    t: &mut Text<'_, T>,
    dst: Reg,
    kind: Pseudo,
    low: i32,
    high: i32,
) -> fmt::Result {
    t.reg(Bits::B64, dst)?;
    t.text(" = ")?;
    let (what, value) = match kind {
        Pseudo::Imm64 => return t.hex(wide(low, high)),
        Pseudo::Function => {
            t.text("subprog[")?;
            t.distance(low.into())?;
            return t.text("]");
        }
        Pseudo::BtfId => ("btf[id:", false),
        Pseudo::MapFd => ("map[fd:", false),
        Pseudo::MapIndex => ("map[idx:", false),
        Pseudo::MapValue => ("map[fd:", true),
        Pseudo::MapIndexValue => ("map[idx:", true),
    };
    t.text(what)?;
    t.int(low.into())?;
    t.text("]")?;
    if value {
        t.text("[0]")?;
        t.distance(high.into())?;
    }
    Ok(())
}
