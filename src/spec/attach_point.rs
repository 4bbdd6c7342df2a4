//! The attach-point table: one row for each kind of attach point, or of program that has no target.
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

use crate::uapi::{AttachType, ProgramFlags, ProgramType};
use crate::util::Version;

/// A kind of attach point.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct AttachPoint {
    /// The name in targets and texts: a first word such as `kprobe`, or a whole name such as `cgroup/connect4`.
    pub name: &'static str,
    /// Other names of libbpf for the section.
    pub also: &'static [&'static str],
    /// libbpf's name of the section for such programs.
    pub section: &'static str,
    /// The type of such programs.
    pub program_type: ProgramType,
    /// `expected_attach_type` at load, as libbpf sends it; `None` where it sends 0.
    pub attach_type: Option<AttachType>,
    /// The suffix that the first word can have.
    pub suffix: Option<Suffix>,
    /// The syntax of the rest of the name.
    pub rest: Rest,
    /// The first word that it shares with other attach points, with the place in the middle: `cgroup` in
    /// `cgroup:PATH:connect4`.
    pub among: Option<&'static str>,
    /// The meaning of `args.NAME` in such a program.
    pub arguments: Arguments,
    /// The first version of Linux that has it.
    pub since: Version,
    /// The kind of listing of its targets.
    pub list: List,
    /// Whether another kind lists the same names, so that this one is only listed if it is named.
    pub repeats: bool,
    /// The method of attaching a program.
    pub attach: Attach,
}

/// A suffix of the first word of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suffix {
    /// `.s`: the program is sleepable ([`ProgramFlags::SLEEPABLE`]).
    #[doc(alias = "BPF_F_SLEEPABLE")]
    Sleepable,
    /// `.frags`: XDP with multi-buffer packets ([`ProgramFlags::XDP_HAS_FRAGS`]).
    #[doc(alias = "BPF_F_XDP_HAS_FRAGS")]
    Frags,
}

impl Suffix {
    /// All suffixes.
    pub const ALL: [Suffix; 2] = [Suffix::Sleepable, Suffix::Frags];

    /// Returns its text, with the period.
    pub const fn text(self) -> &'static str {
        match self {
            Suffix::Sleepable => ".s",
            Suffix::Frags => ".frags",
        }
    }

    /// Returns the flag of `BPF_PROG_LOAD` that it stands for.
    pub const fn flag(self) -> ProgramFlags {
        match self {
            Suffix::Sleepable => ProgramFlags::SLEEPABLE,
            Suffix::Frags => ProgramFlags::XDP_HAS_FRAGS,
        }
    }
}

/// The syntax of the rest of a name, behind the first word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rest {
    /// Nothing follows.
    Nothing,
    /// A kernel function, with an optional offset: `FUNCTION+OFFSET`.
    FunctionOffset,
    /// A kernel function, or a pattern that matches several.
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

    /// Returns whether libbpf has it too, behind a slash in the name of a section (`kprobe+` in its table).
    /// Otherwise it is left out of objects.
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
    /// Entry and return of a kernel function by one program: its parameters in registers, all of which are only
    /// valid at the entry.
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
    /// Returns the prefix, in BTF, of the name of the function with these parameters, and the number of its
    /// first parameters that are not passed to programs; `None` if no function in the kernel's BTF has them.
    pub const fn function(self) -> Option<(&'static str, usize)> {
        match self {
            // `btf_trace_NAME` has the types, too, but not the names. The first parameter is private data of
            // the registered probe.
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

    /// Returns whether `args.ret` is the result of the function.
    pub const fn has_result(self) -> bool {
        matches!(
            self,
            Arguments::ReturnRegister
                | Arguments::UserReturnRegister
                | Arguments::FunctionParametersAndResult
        )
    }
}

/// The kind of names that `list` shows for an attach point.
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
    /// Tracepoints, on a kernel with BTF.
    TypedTracepoints,
    /// Kernel functions with BTF that can be traced.
    TypedFunctions,
    /// Kernel functions whose result a program may modify.
    ModifiableFunctions,
    /// Security hooks.
    Hooks,
    /// Iterators.
    Iterators,
    /// Functions of a file.
    FileFunctions,
    /// USDT probes of a file.
    UsdtProbes,
    /// Software events of perf.
    SoftwareEvents,
    /// Hardware events of perf.
    HardwareEvents,
}
