//! Instructions, and what programs can do.

use super::commands;
use super::list::Feature::{self, *};
use super::program_types::NOTHING;
use super::row::Yes::{Answers, Done, Says, Verifier};
use super::row::{Load, Row, Test, Yes};
use crate::bpf;
use crate::insn::Insn;
use crate::insn::table::{self, Form};
use crate::uapi::ProgramType::{Kprobe, SocketFilter, Xdp};
use crate::uapi::flags;
use crate::util::Version;
use libc::EINVAL;

const fn row(
    of: Feature,
    (major, minor): (u16, u16),
    config: &'static [&'static str],
    test: Test,
    yes: Yes,
) -> Row<Feature> {
    Row { of, since: Version::new(major, minor), config, test, yes }
}

/// Instructions that every type may have.
const fn code(
    of: Feature,
    since: (u16, u16),
    config: &'static [&'static str],
    code: &'static [Insn],
) -> Row<Feature> {
    row(of, since, config, Test::Load(Load::new(SocketFilter, code)), Done)
}

/// An instruction, which every type may have, since the version that the instruction table gives.
const fn instruction(
    of: Feature,
    form: Form,
    config: &'static [&'static str],
    code: &'static [Insn],
) -> Row<Feature> {
    let Some(since) = form.linux else { panic!("no Linux has this instruction") };
    let test = Test::Load(Load::new(SocketFilter, code));
    Row { of, since, config, test, yes: Done }
}

/// A function that only a kernel since that version has.
const fn function(of: Feature, since: (u16, u16), config: &'static [&'static str]) -> Row<Feature> {
    row(of, since, config, Test::Function(of.name()), Done)
}

const LESS: &[Insn] = bpf! { r0 = 0; if r0 < 1 goto out; r0 = 1; out: exit; }.slots;
const LESS_32: &[Insn] = bpf! { w0 = 0; if w0 < 1 goto out; w0 = 1; out: exit; }.slots;
const ATOMICS: &[Insn] = bpf! {
    *(u64 *)(r10 - 8) = 1;
    r1 = 1;
    r1 = atomic_fetch_add((u64 *)(r10 - 8), r1);
    r0 = 2;
    r0 = cmpxchg_64(r10 - 8, r0, r1);
    r0 = 0;
    exit;
}
.slots;
const LDSX: &[Insn] = bpf! { *(u64 *)(r10 - 8) = 1; r0 = *(s8 *)(r10 - 8); r0 = 0; exit; }.slots;
const MOVSX: &[Insn] = bpf! { r1 = 1; r0 = (s8)r1; r0 = 0; exit; }.slots;
const BSWAP: &[Insn] = bpf! { r0 = 1; r0 = bswap32 r0; r0 = 0; exit; }.slots;
const SDIV: &[Insn] = bpf! { r0 = 1; r0 s/= 2; r0 = 0; exit; }.slots;
/// A jump over one instruction, so that the immediate, which is what distinguishes such a jump, is not zero.
const GOTOL: &[Insn] = bpf! { r0 = 0; if r1 == 0 goto on; gotol out; on: r0 = 1; out: exit; }.slots;
const FOUR: &[Insn] = bpf! {
    *(u64 *)(r10 - 8) = 1;
    r0 = *(s8 *)(r10 - 8);
    r0 = (s8)r0;
    r0 = bswap32 r0;
    r0 s/= 2;
    r0 = 0;
    gotol out;
    out: exit;
}
.slots;
const MAY_GOTO: &[Insn] = bpf! { r0 = 0; again: may_goto out; goto again; out: exit; }.slots;
const ACQUIRE: &[Insn] = bpf! {
    *(u64 *)(r10 - 8) = 1;
    r0 = load_acquire((u64 *)(r10 - 8));
    r0 = 0;
    exit;
}
.slots;
/// `r0 = addr_space_cast(r0, 0, 1)`, in a program that has no arena.
const CAST: &[Insn] = &[
    Insn::from_fields(0xb7, 0, 0, 0, 0),
    Insn::from_fields(0xbf, 0, 0, 1, 1),
    Insn::from_fields(0xb7, 0, 0, 0, 0),
    Insn::from_fields(0x95, 0, 0, 0, 0),
];
/// `gotox r0`, in a program that has no table.
const GOTOX: &[Insn] = &[
    Insn::from_fields(0xb7, 0, 0, 0, 0),
    Insn::from_fields(0x0d, 0, 0, 0, 0),
    Insn::from_fields(0x95, 0, 0, 0, 0),
];
const LOOP: &[Insn] = bpf! { r0 = 10; again: r0 -= 1; if r0 != 0 goto again; exit; }.slots;
const CALL: &[Insn] = bpf! { call one; exit; one: r0 = 0; exit; }.slots;
/// `r1 = one ll`, the address of a function that has no BTF.
const CALLBACK: &[Insn] = &[
    Insn::from_fields(0x18, 1, 4, 0, 3),
    Insn::from_fields(0, 0, 0, 0, 0),
    Insn::from_fields(0xb7, 0, 0, 0, 0),
    Insn::from_fields(0x95, 0, 0, 0, 0),
    Insn::from_fields(0xb7, 0, 0, 0, 0),
    Insn::from_fields(0x95, 0, 0, 0, 0),
];
/// A call of type 1 of the kernel's, which is an integer.
const KFUNC: &[Insn] = &[Insn::from_fields(0x85, 0, 2, 0, 1), Insn::from_fields(0x95, 0, 0, 0, 0)];

const JIT: &[&str] = &["a JIT with them"];
const KFUNCS: &[&str] = &["CONFIG_BPF_JIT", "CONFIG_DEBUG_INFO_BTF"];
const ARENA: &[&str] = &["CONFIG_BPF_JIT", "a JIT with arenas"];
const EVENTS: &[&str] = &["CONFIG_BPF_EVENTS"];
const BTF: &[&str] = &["CONFIG_DEBUG_INFO_BTF"];
const NET: &[&str] = &["CONFIG_NET", "CONFIG_DEBUG_INFO_BTF"];
const NOTHING_SOCKET: Load = Load::new(SocketFilter, NOTHING);

pub(super) static ROWS: &[Row<Feature>] = &[
    // The first Linux that programs could be attached to, one after the one that had the instructions.
    code(V1, (3, 19), &[], NOTHING),
    instruction(V2, table::row("if r1 < r2 goto +3").wide, &[], LESS),
    instruction(V3, table::row("if r1 < r2 goto +3").narrow, &[], LESS_32),
    instruction(V4, table::row("gotol +3").wide, JIT, FOUR),
    instruction(Atomics, table::row("r2 = xchg_64(r1 + 8, r2)").wide, JIT, ATOMICS),
    instruction(SignExtendingLoads, table::row("r1 = *(s32 *)(r2 + 8)").wide, JIT, LDSX),
    instruction(SignExtendingMoves, table::row("r1 = (s8)r2").wide, JIT, MOVSX),
    instruction(ByteSwaps, table::row("r1 = bswap16 r1").wide, JIT, BSWAP),
    instruction(SignedDivision, table::row("r1 s/= r2").wide, JIT, SDIV),
    instruction(LongJumps, table::row("gotol +3").wide, JIT, GOTOL),
    instruction(MayGoto, table::row("may_goto +3").wide, &[], MAY_GOTO),
    Row {
        yes: Says(&["addr_space_cast"]),
        ..instruction(
            AddressSpaceCasts,
            table::row("r1 = addr_space_cast(r2, 0, 1)").wide,
            ARENA,
            CAST,
        )
    },
    instruction(LoadAcquire, table::row("r1 = load_acquire((u64 *)(r2 + 8))").wide, JIT, ACQUIRE),
    Row {
        yes: Says(&["jump table", "PTR_TO_INSN"]),
        ..instruction(
            IndirectJumps,
            table::row("gotox r1").wide,
            &["CONFIG_BPF_JIT", "a JIT with them"],
            GOTOX,
        )
    },
    instruction(Calls, table::row("call pc+3").wide, &[], CALL),
    row(SourceLines, (5, 0), &[], Test::Do(commands::source_lines), Done),
    row(Large, (5, 2), &[], Test::Do(commands::large), Done),
    row(GlobalData, (5, 2), &[], Test::Do(commands::global_data), Done),
    code(BoundedLoops, (5, 3), &[], LOOP),
    // This type may not sleep. A kernel with the flag returns an error about that; another one rejects the flag.
    row(
        Sleepable,
        (5, 10),
        &[],
        Test::Load(NOTHING_SOCKET.flags(flags::BPF_F_SLEEPABLE)),
        Verifier,
    ),
    row(
        Callbacks,
        (5, 13),
        &[],
        Test::Load(Load::new(SocketFilter, CALLBACK)),
        Says(&["missing btf func_info"]),
    ),
    row(
        KernelCalls,
        (5, 13),
        KFUNCS,
        Test::Load(Load::new(Xdp, KFUNC)),
        Says(&["kernel btf_id 1 is not a function"]),
    ),
    row(FdArray, (5, 14), &[], Test::Do(commands::fd_array), Done),
    row(FunctionAddress, (5, 15), EVENTS, Test::Helper(Kprobe, "get_func_ip"), Done),
    row(Cookies, (5, 15), EVENTS, Test::Helper(Kprobe, "get_attach_cookie"), Done),
    row(Timers, (5, 15), &[], Test::Helper(SocketFilter, "timer_init"), Done),
    row(LoopHelper, (5, 17), &[], Test::Helper(SocketFilter, "loop"), Done),
    row(
        XdpFrags,
        (5, 18),
        &["CONFIG_NET"],
        Test::Load(Load::new(Xdp, NOTHING).flags(flags::BPF_F_XDP_HAS_FRAGS)),
        Done,
    ),
    row(Dynptr, (5, 19), &[], Test::Helper(SocketFilter, "dynptr_from_mem"), Done),
    row(KernelPointers, (5, 19), &[], Test::Helper(SocketFilter, "kptr_xchg"), Done),
    row(
        SleepableUprobes,
        (6, 0),
        EVENTS,
        Test::Load(Load::new(Kprobe, NOTHING).flags(flags::BPF_F_SLEEPABLE)),
        Done,
    ),
    row(LogTrueSize, (6, 4), &[], Test::Do(commands::log_true_size), Done),
    // Something else in the place of a token is refused; a kernel without tokens finds the attribute too long.
    row(Token, (6, 9), &[], Test::Do(commands::token), Answers(&[EINVAL])),
    row(BoundFdArray, (6, 14), &[], Test::Do(commands::bound_fd_array), Done),
    function(TaskFromPid, (6, 2), BTF),
    function(RcuReadLock, (6, 2), BTF),
    function(CpuMask, (6, 3), &["CONFIG_BPF_JIT", "CONFIG_DEBUG_INFO_BTF"]),
    function(XdpMetadata, (6, 3), NET),
    function(OpenIterators, (6, 4), BTF),
    function(SkbDynptr, (6, 4), NET),
    function(Exceptions, (6, 7), BTF),
    function(ArenaPages, (6, 9), KFUNCS),
    function(WorkQueues, (6, 10), BTF),
    function(ResilientLocks, (6, 15), BTF),
];
