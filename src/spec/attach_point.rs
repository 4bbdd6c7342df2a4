//! The attach-point table: one row for each kind of place that a program can be attached to, or be loaded for.
//!
//! Everything that reads or writes such names uses this table: targets (`kprobe:sys_clone`), the target of `.program` in a
//! text, sections of objects, the kinds of `list`, and the versions of attach types in [`features`](crate::features). Names of
//! sections are those of libbpf (`Documentation/bpf/libbpf/program_types.rst`, and its `SEC()` names since).

mod error;
mod lookup;
mod name;
mod table;
#[cfg(test)]
mod tests;

pub use error::AttachPointError;
pub(crate) use lookup::{
    Facts, attach_type_facts, default_attach_type, facts, first_version, needs_attach_type,
    of_attach_type,
};
pub use lookup::{attach_types, find};
pub use name::Named;
pub use table::{ATTACH_POINTS, Attach, Direction, TcMethod, TrampolineAt, XdpMode};

use crate::uapi::{AttachType, ProgramType, flags};
use crate::util::Version;

/// A kind of place that a program is attached to, or loaded for.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct AttachPoint {
    /// The name in targets and texts: a first word such as `kprobe`, or a whole name such as `cgroup/connect4`.
    pub name: &'static str,
    /// Other names that libbpf has for the section.
    pub also: &'static [&'static str],
    /// libbpf's name of the section that such programs stand in.
    pub section: &'static str,
    /// The type that programs for it have.
    pub program_type: ProgramType,
    /// `expected_attach_type` at load, as libbpf sends it; `None` where it sends 0.
    pub attach_type: Option<AttachType>,
    /// The suffix that the first word may have.
    pub suffix: Option<Suffix>,
    /// The syntax of the rest of the name.
    pub rest: Rest,
    /// The first word that it shares with other points, with the place in the middle: `cgroup` in `cgroup:PATH:connect4`.
    pub among: Option<&'static str>,
    /// The meaning of `args.NAME` in such a program.
    pub arguments: Arguments,
    /// The first version of Linux that has it.
    pub since: Version,
    /// How the places of this kind are listed.
    pub list: List,
    /// Whether another kind lists the same names, so that this one is listed only if it is named.
    pub repeats: bool,
    /// How a program is attached.
    pub attach: Attach,
}

/// What the first word of a name can end with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suffix {
    /// `.s`: the program may sleep ([`BPF_F_SLEEPABLE`](flags::BPF_F_SLEEPABLE)).
    Sleepable,
    /// `.frags`: XDP takes packets in several pieces ([`BPF_F_XDP_HAS_FRAGS`](flags::BPF_F_XDP_HAS_FRAGS)).
    Frags,
}

impl Suffix {
    /// Both.
    pub const ALL: [Suffix; 2] = [Suffix::Sleepable, Suffix::Frags];

    /// Returns its text, with the period.
    pub const fn text(self) -> &'static str {
        match self {
            Suffix::Sleepable => ".s",
            Suffix::Frags => ".frags",
        }
    }

    /// Returns the flag of `BPF_PROG_LOAD` that it stands for.
    pub const fn flag(self) -> u32 {
        match self {
            Suffix::Sleepable => flags::BPF_F_SLEEPABLE,
            Suffix::Frags => flags::BPF_F_XDP_HAS_FRAGS,
        }
    }
}

/// The syntax of the rest of a name, behind the first word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rest {
    /// Nothing follows.
    Nothing,
    /// A kernel function, with an offset perhaps: `FUNCTION+OFFSET`.
    FunctionOffset,
    /// A kernel function, or a pattern of some.
    Function,
    /// A tracepoint, hook, system call or iterator.
    Name,
    /// `CATEGORY/NAME`
    Tracepoint,
    /// `FILE:FUNCTION+OFFSET`, `FILE:0xOFFSET`
    FileFunction,
    /// `FILE:FUNCTION`, or a pattern of functions.
    FilePattern,
    /// `FILE:PROVIDER:NAME`, `FILE:NAME`
    Usdt,
    /// A member of a table of kernel functions: `STRUCT.MEMBER`.
    Member,
    /// `EVENT:PERIOD`, `EVENT:RATEhz`
    Event,
    /// `hz:RATE`
    Rate,
    /// A network device.
    Device,
    /// `DEVICE/ingress`, `DEVICE/egress`
    DeviceDirection,
}

impl Rest {
    /// Returns the syntax as messages and the documentation show it; empty where nothing follows.
    pub const fn syntax(self) -> &'static str {
        match self {
            Rest::Nothing => "",
            Rest::FunctionOffset => "FUNCTION[+OFFSET]",
            Rest::Function => "FUNCTION",
            Rest::Name => "NAME",
            Rest::Tracepoint => "CATEGORY/NAME",
            Rest::FileFunction => "FILE:FUNCTION[+OFFSET]",
            Rest::FilePattern => "FILE:FUNCTION",
            Rest::Usdt => "FILE:[PROVIDER:]NAME",
            Rest::Member => "STRUCT.MEMBER",
            Rest::Event => "EVENT:PERIOD",
            Rest::Rate => "hz:RATE",
            Rest::Device => "DEVICE",
            Rest::DeviceDirection => "DEVICE/ingress",
        }
    }

    /// Whether libbpf has it too, behind a slash in the name of a section (`kprobe+` in its table). What it does not have is
    /// left out of objects.
    pub const fn is_in_section(self) -> bool {
        !matches!(
            self,
            Rest::Nothing | Rest::Event | Rest::Rate | Rest::Device | Rest::DeviceDirection
        )
    }
}

/// The meaning of `args.NAME` in a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Arguments {
    /// There are no such names.
    Nothing,
    /// The fields of the tracepoint's record, by its `format` file in tracefs.
    TracepointRecord,
    /// The parameters of a kernel function, in the registers of its entry (`struct pt_regs`).
    EntryRegisters,
    /// `ret` in the registers of a kernel function's return.
    ReturnRegister,
    /// Entry and return of a kernel function by one program: its parameters in registers, of which only the entry has all.
    SessionRegisters,
    /// The parameters of a system call, which its function is passed in a `struct pt_regs`.
    SyscallRegisters,
    /// `arg1`, … in the registers at the entry of a function of a file.
    UserEntryRegisters,
    /// `ret` in the registers at the return of a function of a file.
    UserReturnRegister,
    /// `arg1`, … of a USDT probe, in registers.
    UsdtOperands,
    /// The parameters of the tracepoint, eight bytes each.
    TracepointParameters,
    /// The parameters of the kernel function, eight bytes each.
    FunctionParameters,
    /// The parameters of the kernel function, eight bytes each, and behind them its result `ret`.
    FunctionParametersAndResult,
    /// The parameters of the hook (`bpf_lsm_NAME`), eight bytes each.
    HookParameters,
    /// The pointers in the context of the iterator (`bpf_iter_NAME`), eight bytes each.
    IteratorContext,
    /// The parameters of the member of the table, eight bytes each.
    MemberParameters,
}

impl Arguments {
    /// Returns what BTF puts before the name in the function that has these parameters, and how many of its parameters are
    /// not passed to programs; `None` if no function of the kernel's BTF has them.
    pub const fn function(self) -> Option<(&'static str, usize)> {
        match self {
            // `btf_trace_NAME` has the types, too, but not the names. The first is the data of whoever listens.
            Arguments::TracepointParameters => Some(("__traceiter_", 1)),
            Arguments::EntryRegisters
            | Arguments::ReturnRegister
            | Arguments::SessionRegisters
            | Arguments::FunctionParameters
            | Arguments::FunctionParametersAndResult => Some(("", 0)),
            Arguments::HookParameters => Some(("bpf_lsm_", 0)),
            Arguments::IteratorContext => Some(("bpf_iter_", 0)),
            _ => None,
        }
    }

    /// Whether `args.ret` is what the function returns.
    pub const fn has_result(self) -> bool {
        matches!(
            self,
            Arguments::ReturnRegister
                | Arguments::UserReturnRegister
                | Arguments::FunctionParametersAndResult
        )
    }
}

/// The names that `list` shows for a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum List {
    /// They cannot be listed.
    Nothing,
    /// Kernel functions that kprobes can be on.
    KernelFunctions,
    /// Tracepoints of tracefs.
    Tracepoints,
    /// Tracepoints by their names alone.
    RawTracepoints,
    /// The same, on a kernel that has types.
    TypedTracepoints,
    /// Kernel functions that have types and can be traced.
    TypedFunctions,
    /// Those whose result a program may decide.
    ModifiableFunctions,
    /// Security hooks.
    Hooks,
    /// Iterators.
    Iterators,
    /// Functions of a file.
    FileFunctions,
    /// USDT probes of a file.
    UsdtProbes,
    /// Events that the kernel counts.
    SoftwareEvents,
    /// Events that the CPU counts.
    HardwareEvents,
}
