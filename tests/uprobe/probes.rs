//! USDT probes of this program's own, made as `sys/sdt.h` makes them: an instruction that does nothing, and a note about it.

use std::arch::{asm, global_asm};
use std::hint::black_box;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

// The address at which the notes were written.
global_asm!(
    ".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat",
    ".weak _.stapsdt.base",
    ".hidden _.stapsdt.base",
    "_.stapsdt.base: .space 1",
    ".size _.stapsdt.base, 1",
    ".popsection",
);

/// A variable that an argument is in.
// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
pub(crate) static RAWBPF_TEST_NUMBER: AtomicU64 = AtomicU64::new(0x1234_5678_9abc);

/// Counted up by the kernel while a program is attached. It has to be in the file, and not only in memory as zeros are.
// SAFETY: nothing else has this name, and the section is one for data.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".probes")]
pub(crate) static RAWBPF_TEST_SEMAPHORE: AtomicU16 = AtomicU16::new(0);

/// A probe with its note.
macro_rules! probe {
    ($name:literal, $semaphore:literal, $arguments:literal) => {
        concat!(
            "990: nop\n",
            ".pushsection .note.stapsdt,\"\",\"note\"\n",
            ".balign 4\n",
            ".4byte 992f-991f, 994f-993f, 3\n",
            "991: .asciz \"stapsdt\"\n",
            "992: .balign 4\n",
            "993: .8byte 990b\n",
            ".8byte _.stapsdt.base\n",
            ".8byte ",
            $semaphore,
            "\n.asciz \"rawbpf_test\"\n",
            ".asciz \"",
            $name,
            "\"\n.asciz \"",
            $arguments,
            "\"\n994: .balign 4\n",
            ".popsection\n",
        )
    };
}

/// `rawbpf_test:many`: arguments in every kind of place.
#[inline(never)]
pub(crate) fn many(a: i32, numbers: &[i64; 4], index: usize, small: i8) {
    // Used, so that they are there.
    black_box(&RAWBPF_TEST_NUMBER);
    // SAFETY: it does nothing; the note is in a section that is not loaded.
    unsafe {
        asm!(
            probe!(
                "many",
                "0",
                "-4@{a:e} 4@$5 -8@({p}) 8@8({p},{i},8) -1@{s} 8@RAWBPF_TEST_NUMBER(%rip) -4@$-7 4@{a:e} -2@8({p}) 8@%xmm0"
            ),
            a = in(reg) a,
            p = in(reg) numbers,
            i = in(reg) index,
            s = in(reg_byte) small,
            options(att_syntax, nostack, preserves_flags, readonly),
        );
    }
}

/// The operands of `rawbpf_test:sizes`, in order: constants, a register and its parts, memory, a variable; each with the sizes
/// 1, 2, 4, 8 and -1, -2, -4, -8.
#[inline(never)]
pub(crate) fn sizes(value: u64, memory: &u64) {
    black_box(&RAWBPF_TEST_NUMBER);
    // SAFETY: as above.
    unsafe {
        asm!(
            probe!(
                "sizes",
                "0",
                "1@$-56 2@$-1 4@$-1 8@$-1 -1@$200 -2@$65535 -4@$4294967295 -8@$-1 \
                 1@%sil 2@%si 4@%esi 8@%rsi -1@%sil -2@%si -4@%esi -8@%rsi \
                 1@%rsi 2@%rsi 4@%rsi -1@%rsi -2@%rsi -4@%rsi \
                 1@({m}) 2@({m}) 4@({m}) 8@({m}) -1@({m}) -2@({m}) -4@({m}) -8@({m}) \
                 1@RAWBPF_TEST_NUMBER(%rip) 2@RAWBPF_TEST_NUMBER(%rip) 4@RAWBPF_TEST_NUMBER(%rip) \
                 8@RAWBPF_TEST_NUMBER(%rip) -1@RAWBPF_TEST_NUMBER(%rip) -2@RAWBPF_TEST_NUMBER(%rip) \
                 -4@RAWBPF_TEST_NUMBER(%rip) -8@RAWBPF_TEST_NUMBER(%rip) 4f@({m}) 8f@({m})"
            ),
            in("rsi") value,
            m = in(reg) memory,
            options(att_syntax, nostack, preserves_flags, readonly),
        );
    }
}

/// `rawbpf_test:twice`, one of its places.
#[inline(never)]
pub(crate) fn first(value: u64) {
    // SAFETY: as above.
    unsafe {
        asm!(
            probe!("twice", "0", "8@%rdi 8@$1"),
            in("rdi") value,
            options(att_syntax, nostack, preserves_flags, nomem),
        );
    }
}

/// `rawbpf_test:twice`, the other one.
#[inline(never)]
pub(crate) fn second(value: u64) {
    // SAFETY: as above.
    unsafe {
        asm!(
            probe!("twice", "0", "8@%rsi 8@$1"),
            in("rsi") value,
            options(att_syntax, nostack, preserves_flags, nomem),
        );
    }
}

/// `rawbpf_test:guarded`: only while its semaphore is up.
#[inline(never)]
pub(crate) fn guarded(value: u64) {
    if semaphore() == 0 {
        return;
    }
    // SAFETY: as above.
    unsafe {
        asm!(
            probe!("guarded", "RAWBPF_TEST_SEMAPHORE", "8@{v}"),
            v = in(reg) value,
            options(att_syntax, nostack, preserves_flags, nomem),
        );
    }
}

pub(crate) fn semaphore() -> u16 {
    RAWBPF_TEST_SEMAPHORE.load(Ordering::Relaxed)
}
