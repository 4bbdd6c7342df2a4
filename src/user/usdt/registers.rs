//! The offsets of registers of user space in `struct pt_regs`, by the names that assemblers give them.
//!
//! From `arch/*/include/uapi/asm/ptrace.h` of the kernel. All of them are eight bytes wide there.

/// A range of a register, as a program finds it in its context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Register {
    /// Its offset in `struct pt_regs`, in bytes; for the lowest eight, 16 or 32 bits, the offset of those, which
    /// depends on the byte order.
    pub offset: u16,
    /// The number of bytes that the name stands for: `eax` is four of `rax`.
    pub size: u8,
}

impl Register {
    /// The lower `size` bytes of the register that begins at `offset`.
    fn low(offset: u16, size: u8, big_endian: bool) -> Register {
        let offset = if big_endian { offset + 8 - u16::from(size) } else { offset };
        Register { offset, size }
    }

    /// Returns the register with `size` bytes, if it has as many.
    pub(super) fn sized(self, size: u8, big_endian: bool) -> Option<Register> {
        if size > self.size {
            return None;
        }
        let skipped = if big_endian { u16::from(self.size - size) } else { 0 };
        Some(Register { offset: self.offset + skipped, size })
    }
}

/// The names of the registers of x86-64 with eight, four, two and one byte, and their offsets.
const X86: &[([&str; 4], u16)] = &[
    (["r15", "r15d", "r15w", "r15b"], 0),
    (["r14", "r14d", "r14w", "r14b"], 8),
    (["r13", "r13d", "r13w", "r13b"], 16),
    (["r12", "r12d", "r12w", "r12b"], 24),
    (["rbp", "ebp", "bp", "bpl"], 32),
    (["rbx", "ebx", "bx", "bl"], 40),
    (["r11", "r11d", "r11w", "r11b"], 48),
    (["r10", "r10d", "r10w", "r10b"], 56),
    (["r9", "r9d", "r9w", "r9b"], 64),
    (["r8", "r8d", "r8w", "r8b"], 72),
    (["rax", "eax", "ax", "al"], 80),
    (["rcx", "ecx", "cx", "cl"], 88),
    (["rdx", "edx", "dx", "dl"], 96),
    (["rsi", "esi", "si", "sil"], 104),
    (["rdi", "edi", "di", "dil"], 112),
    (["rip", "eip", "ip", ""], 128),
    (["rsp", "esp", "sp", "spl"], 152),
];

/// The second bytes of four of them.
const X86_HIGH: [(&str, u16); 4] = [("ah", 81), ("bh", 41), ("ch", 89), ("dh", 97)];

/// A register of x86, without the `%`.
pub(super) fn x86(name: &str) -> Option<Register> {
    if let Some((_, offset)) = X86_HIGH.iter().find(|(high, _)| *high == name) {
        return Some(Register { offset: *offset, size: 1 });
    }
    X86.iter().find_map(|(names, offset)| {
        let size = names
            .iter()
            .zip([8, 4, 2, 1])
            .find(|(other, _)| **other == name && !name.is_empty())?
            .1;
        Some(Register { offset: *offset, size })
    })
}

/// A register of AArch64: `x0`, `w0`, `sp`.
pub(super) fn aarch64(name: &str, big_endian: bool) -> Option<Register> {
    let (number, size) = match name {
        "sp" => (31, 8),
        "wsp" => (31, 4),
        "lr" => (30, 8),
        _ => match name.split_at_checked(1)? {
            ("x", number) => (numbered(number, 31)?, 8),
            ("w", number) => (numbered(number, 31)?, 4),
            _ => return None,
        },
    };
    Some(Register::low(8 * number, size, big_endian))
}

/// A register of s390x, without the `%`: `r2`. They lie behind one argument and the program status word.
pub(super) fn s390x(name: &str) -> Option<Register> {
    Some(Register { offset: 24 + 8 * numbered(name.strip_prefix('r')?, 16)?, size: 8 })
}

/// The names of the registers of RISC-V, in the order of their numbers. In place of the first, which is always zero,
/// `pt_regs` has the program counter.
const RISCV: [&str; 32] = [
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4",
    "a5", "a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4",
    "t5", "t6",
];

/// A register of 64-bit RISC-V: `a0`, `x10`, `fp`.
pub(super) fn riscv64(name: &str) -> Option<Register> {
    let number = match name.strip_prefix('x') {
        Some(number) => usize::from(numbered(number, 32)?),
        None if name == "fp" => 8,
        None => RISCV.iter().position(|other| *other == name)?,
    };
    (number > 0).then_some(Register { offset: 8 * number as u16, size: 8 })
}

/// A number less than `count`, written without anything in front.
fn numbered(text: &str, count: u16) -> Option<u16> {
    if text.starts_with(['+', '0']) && text != "0" {
        return None;
    }
    text.parse().ok().filter(|number| *number < count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The C library has the same structs for debuggers.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn offsets_of_x86_are_those_of_the_kernels_struct() {
        use libc::user_regs_struct as Regs;
        use std::mem::offset_of;
        for (name, offset, size) in [
            ("rax", offset_of!(Regs, rax), 8),
            ("ebx", offset_of!(Regs, rbx), 4),
            ("cx", offset_of!(Regs, rcx), 2),
            ("dl", offset_of!(Regs, rdx), 1),
            ("ah", offset_of!(Regs, rax) + 1, 1),
            ("dh", offset_of!(Regs, rdx) + 1, 1),
            ("rsi", offset_of!(Regs, rsi), 8),
            ("edi", offset_of!(Regs, rdi), 4),
            ("rbp", offset_of!(Regs, rbp), 8),
            ("rsp", offset_of!(Regs, rsp), 8),
            ("rip", offset_of!(Regs, rip), 8),
            ("r8", offset_of!(Regs, r8), 8),
            ("r9d", offset_of!(Regs, r9), 4),
            ("r10w", offset_of!(Regs, r10), 2),
            ("r11b", offset_of!(Regs, r11), 1),
            ("r12", offset_of!(Regs, r12), 8),
            ("r13", offset_of!(Regs, r13), 8),
            ("r14", offset_of!(Regs, r14), 8),
            ("r15", offset_of!(Regs, r15), 8),
        ] {
            let found = x86(name).map(|one| (usize::from(one.offset), one.size));
            assert_eq!(found, Some((offset, size)), "{name}");
        }
        for other in ["", "xmm0", "r16", "st", "eaxx"] {
            assert_eq!(x86(other), None, "{other}");
        }
    }

    #[test]
    fn other_machines() {
        let at = |offset, size| Some(Register { offset, size });
        for (name, expected) in [
            ("x0", at(0, 8)),
            ("w19", at(152, 4)),
            ("x30", at(240, 8)),
            ("lr", at(240, 8)),
            ("sp", at(248, 8)),
            ("x31", None),
            ("x01", None),
            ("x+1", None),
            ("d0", None),
            ("", None),
        ] {
            assert_eq!(aarch64(name, false), expected, "{name}");
        }
        // The lower half is the second in big-endian order.
        assert_eq!(aarch64("w1", true), at(12, 4));
        assert_eq!((s390x("r2"), s390x("r15"), s390x("r16")), (at(40, 8), at(144, 8), None));
        assert_eq!(
            (riscv64("a0"), riscv64("x10"), riscv64("fp")),
            (at(80, 8), at(80, 8), at(64, 8))
        );
        assert_eq!((riscv64("t6"), riscv64("zero"), riscv64("x32")), (at(248, 8), None, None));
    }

    #[test]
    fn a_part_of_a_register_is_where_the_byte_order_puts_it() {
        let whole = Register { offset: 40, size: 8 };
        assert_eq!(whole.sized(4, false), Some(Register { offset: 40, size: 4 }));
        assert_eq!(whole.sized(4, true), Some(Register { offset: 44, size: 4 }));
        assert_eq!(whole.sized(8, true), Some(whole));
        assert_eq!(Register { offset: 0, size: 1 }.sized(2, false), None);
    }
}
