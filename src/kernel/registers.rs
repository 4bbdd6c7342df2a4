//! The offsets in `struct pt_regs` of the arguments of a function, as a kprobe finds them.
//!
//! From the calling conventions, as `arch/*/include/asm/ptrace.h` and `asm/syscall.h` of the kernel have them. A system
//! call is special: its arguments are in the registers that user space used, one of which may differ.

/// The offsets of one architecture, bytes. All of the registers are eight bytes wide.
struct Registers {
    /// Of the arguments in registers, from the first.
    arguments: &'static [u16],
    /// Of the arguments of a system call, from the first.
    syscall: &'static [u16],
    /// Of the return value.
    result: u16,
    /// The stack pointer.
    stack: u16,
    /// The frame pointer.
    frame: u16,
    /// The instruction pointer.
    instruction: u16,
}

/// The offsets for the target architecture; `None` where they are not known here.
const HERE: Option<Registers> = if cfg!(target_arch = "x86_64") {
    // r15 r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx si di orig_ax ip cs flags sp ss.
    Some(Registers {
        arguments: &[112, 104, 96, 88, 72, 64],
        // The fourth is in r10: `syscall` itself overwrites cx.
        syscall: &[112, 104, 96, 56, 72, 64],
        result: 80,
        stack: 152,
        frame: 32,
        instruction: 128,
    })
} else if cfg!(target_arch = "aarch64") {
    // regs[31] sp pc pstate orig_x0: x0 is overwritten by the result before a system call has looked at it.
    Some(Registers {
        arguments: &[0, 8, 16, 24, 32, 40, 48, 56],
        syscall: &[272, 8, 16, 24, 32, 40],
        result: 0,
        stack: 248,
        frame: 232,
        instruction: 256,
    })
} else if cfg!(target_arch = "riscv64") {
    // epc ra sp gp tp t0-t2 s0 s1 a0-a7 s2-s11 t3-t6 status badaddr cause orig_a0.
    Some(Registers {
        arguments: &[80, 88, 96, 104, 112, 120, 128, 136],
        syscall: &[280, 88, 96, 104, 112, 120],
        result: 80,
        stack: 16,
        frame: 64,
        instruction: 0,
    })
} else if cfg!(target_arch = "s390x") {
    // args[1], psw (mask and address), gprs[16], orig_gpr2.
    Some(Registers {
        arguments: &[40, 48, 56, 64, 72],
        syscall: &[152, 48, 56, 64, 72, 80],
        result: 40,
        stack: 144,
        frame: 112,
        instruction: 16,
    })
} else {
    None
};

/// The names of registers by their roles.
pub(crate) const ROLES: [&str; 18] = [
    "parm1", "parm2", "parm3", "parm4", "parm5", "parm6", "parm7", "parm8", "syscall1", "syscall2",
    "syscall3", "syscall4", "syscall5", "syscall6", "ret", "sp", "fp", "ip",
];

/// The offset of a register that has a name of its own in `pt_regs`: `parm1` … an argument of the function, `syscall1` …
/// one of a system call, `ret`, `sp`, `fp`, `ip`. `None` if it is no such name, or if this machine has no such register.
pub(crate) fn offset(name: &str) -> Option<u16> {
    let here = HERE.as_ref()?;
    let numbered = |registers: &[u16], number: &str| {
        let number: usize = number.parse().ok()?;
        registers.get(number.checked_sub(1)?).copied()
    };
    match name {
        "ret" => Some(here.result),
        "sp" => Some(here.stack),
        "fp" => Some(here.frame),
        "ip" => Some(here.instruction),
        _ => match (name.strip_prefix("parm"), name.strip_prefix("syscall")) {
            (Some(number), _) => numbered(here.arguments, number),
            (None, Some(number)) => numbered(here.syscall, number),
            (None, None) => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The C library has the same struct for debuggers (`asm/ptrace.h` of the kernel).
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn offsets_are_those_of_the_kernels_struct() {
        use libc::user_regs_struct;
        use std::mem::offset_of;
        let expected = [
            ("parm1", offset_of!(user_regs_struct, rdi)),
            ("parm2", offset_of!(user_regs_struct, rsi)),
            ("parm3", offset_of!(user_regs_struct, rdx)),
            ("parm4", offset_of!(user_regs_struct, rcx)),
            ("parm5", offset_of!(user_regs_struct, r8)),
            ("parm6", offset_of!(user_regs_struct, r9)),
            ("syscall4", offset_of!(user_regs_struct, r10)),
            ("ret", offset_of!(user_regs_struct, rax)),
            ("sp", offset_of!(user_regs_struct, rsp)),
            ("fp", offset_of!(user_regs_struct, rbp)),
            ("ip", offset_of!(user_regs_struct, rip)),
        ];
        for (name, place) in expected {
            assert_eq!(offset(name).map(usize::from), Some(place), "{name}");
        }
    }

    #[test]
    fn other_names_are_none() {
        for name in ["parm0", "parm9", "parm", "parmx", "syscall7", "di", ""] {
            assert_eq!(offset(name), None, "{name}");
        }
    }
}
