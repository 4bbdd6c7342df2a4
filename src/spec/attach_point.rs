//! The attach-point table: one row for each kind of place that a program can be attached to, or be loaded for.
//!
//! Everything that reads or writes such names uses this table: targets (`kprobe:sys_clone`), the target of `.program` in a
//! text, sections of objects, the kinds of `list`, and the versions of attach types in [`features`](crate::features). Names of
//! sections are those of libbpf (`Documentation/bpf/libbpf/program_types.rst`, and its `SEC()` names since).

mod error;
mod name;
mod table;
#[cfg(test)]
mod tests;

pub use error::AttachPointError;
pub use name::Named;
pub use table::ATTACH_POINTS;

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
    /// `FILE:PROVIDER:NAME`
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
            Rest::Usdt => "FILE:PROVIDER:NAME",
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

/// How a program is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attach {
    /// Not by a target; and what to do instead.
    No(&'static str),
    /// A kprobe, or one for each function that matches.
    Kprobe {
        /// Whether the program runs when the function returns.
        returns: bool,
    },
    /// A kprobe on the function of a system call.
    Syscall {
        /// As above.
        returns: bool,
    },
    /// One link for many kernel functions.
    KprobeMulti {
        /// As above.
        returns: bool,
    },
    /// One link for entry and return of many kernel functions.
    KprobeSession,
    /// A perf event on a tracepoint.
    Tracepoint,
    /// A raw tracepoint.
    RawTracepoint,
    /// A raw tracepoint whose argument the program may write to.
    RawTracepointWritable,
    /// A tracepoint that was named at load.
    BtfTracepoint,
    /// A trampoline of a function that was named at load.
    Trampoline(TrampolineAt),
    /// A security hook that was named at load.
    Lsm,
    /// An iterator that was named at load.
    Iter,
    /// A uprobe, or one for each function that matches.
    Uprobe {
        /// Whether the program runs when the function returns.
        returns: bool,
    },
    /// One link for many functions of a file.
    UprobeMulti {
        /// As above.
        returns: bool,
    },
    /// One link for entry and return of many functions of a file.
    UprobeSession,
    /// Uprobes at the places of a USDT probe.
    Usdt,
    /// A perf event of the kernel's.
    Software,
    /// A perf event of the CPU's.
    Hardware,
    /// The clock, so often in a second.
    Profile,
    /// XDP of a network device.
    Xdp(XdpMode),
    /// The traffic control of a network device.
    Tc(TcMethod),
    /// The same in one direction, by a link.
    Tcx(Direction),
    /// A control group.
    Cgroup,
    /// A network namespace.
    Netns,
    /// A packet socket.
    Socket,
}

/// Where in a function a trampoline calls a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrampolineAt {
    /// Before it: `fentry`.
    Entry,
    /// After it: `fexit`.
    Exit,
    /// Before it, and the program can return in its place: `fmod_ret`.
    ModifyReturn,
    /// Before and after it: `fsession` (Linux 7.0).
    Session,
}

/// Which XDP hook runs the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum XdpMode {
    /// The driver's if it has one, else the generic one.
    Any,
    /// The driver's.
    Native,
    /// The generic one, once the driver has made a packet of it (Linux 4.12).
    Generic,
}

/// Which way packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// They come in.
    Ingress,
    /// They go out.
    Egress,
}

/// How a program gets into the path of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TcMethod {
    /// The first of the others that the kernel has.
    Best,
    /// By a link (Linux 6.6).
    Tcx,
    /// As a filter of the queueing discipline `clsact`, by netlink (Linux 4.5).
    Clsact,
}

/// What the kernel makes of a program that is loaded without an attach type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Default {
    /// It is for this one, and so libbpf sends it; `None` is 0.
    Is(Option<AttachType>),
    /// It refuses the program: it has to be one of several.
    Choose,
}

/// Returns the attach type that programs of a type have if nothing else is said.
pub(crate) const fn default_attach_type(of: ProgramType) -> Option<AttachType> {
    match DEFAULTS[of as usize] {
        Default::Is(attach_type) => attach_type,
        Default::Choose => None,
    }
}

/// Whether the kernel refuses programs of a type that are loaded without an attach type.
pub(crate) const fn needs_attach_type(of: ProgramType) -> bool {
    matches!(DEFAULTS[of as usize], Default::Choose)
}

/// One past the highest number of a program type.
const TYPES: usize = ProgramType::Netfilter as usize + 1;

/// Made of the table while this is compiled: a program that loads one program has no table in it.
static DEFAULTS: [Default; TYPES] = defaults();

const fn defaults() -> [Default; TYPES] {
    let mut all = [Default::Is(None); TYPES];
    let mut kind = 0;
    while kind < TYPES {
        all[kind] = default_of(kind);
        kind += 1;
    }
    all
}

/// The row that says so, the first that says nothing, or the only one; else there is a choice to make.
const fn default_of(kind: usize) -> Default {
    let table = table::ROWS;
    let mut found = None;
    let mut several = false;
    let mut index = 0;
    while index < table.len() {
        let row = &table[index];
        index += 1;
        if row.program_type as usize != kind {
            continue;
        }
        match row.attach_type {
            None => return Default::Is(None),
            Some(one) if is_default(row) => return Default::Is(Some(one)),
            Some(one) => match found {
                Some(other) if other as u32 != one as u32 => several = true,
                _ => found = Some(one),
            },
        }
    }
    if several { Default::Choose } else { Default::Is(found) }
}

/// Whether the kernel takes a program of the type without attach type for this. It does where the type is older than its
/// attach types (bpf_prog_load_fixup_attach_type(), and XDP, where 0 is as good as `BPF_XDP`).
const fn is_default(row: &AttachPoint) -> bool {
    use AttachType as A;
    matches!(row.attach_type, Some(A::CgroupInetSockCreate | A::SkReuseportSelect | A::Xdp))
}

/// What attaching needs of a row, which the compiler can look up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    /// The first word of the name.
    pub word: &'static str,
    pub program_type: ProgramType,
    pub attach_type: Option<AttachType>,
}

impl Facts {
    const fn of(row: &AttachPoint) -> Facts {
        let word = match row.among {
            Some(word) => word,
            None => row.name,
        };
        Facts { word, program_type: row.program_type, attach_type: row.attach_type }
    }
}

/// Returns what is in the row of that name. For constants: fails if there is none.
pub(crate) const fn facts(name: &str) -> Facts {
    let mut index = 0;
    while index < table::ROWS.len() {
        if same(table::ROWS[index].name, name) {
            return Facts::of(&table::ROWS[index]);
        }
        index += 1;
    }
    panic!("the attach-point table has no row of this name")
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut index = 0;
    while index < a.len() && index < b.len() {
        if a[index] != b[index] {
            return false;
        }
        index += 1;
    }
    a.len() == b.len()
}

/// Returns what is in the row of an attach type; `other` for one that has no row with the same first word.
pub(crate) fn attach_type_facts(of: AttachType, other: Facts) -> Facts {
    let facts = BY_ATTACH_TYPE.get(of as usize).copied().flatten();
    facts.filter(|facts| facts.word == other.word).unwrap_or(other)
}

/// One past the highest number of an attach type.
const ATTACH_TYPES: usize = AttachType::ALL.len();

static BY_ATTACH_TYPE: [Option<Facts>; ATTACH_TYPES] = {
    let mut all = [None; ATTACH_TYPES];
    let mut index = table::ROWS.len();
    // The first row of a type is the last to be put there.
    while index > 0 {
        index -= 1;
        let row = &table::ROWS[index];
        if let Some(one) = row.attach_type {
            all[one as usize] = Some(Facts::of(row));
        }
    }
    all
};

/// Returns the first row whose programs are loaded with an attach type. For constants: fails if there is none.
pub(crate) const fn of_attach_type(wanted: AttachType) -> &'static AttachPoint {
    let table = table::ROWS;
    let mut index = 0;
    while index < table.len() {
        if let Some(one) = table[index].attach_type
            && one as u32 == wanted as u32
        {
            return &table[index];
        }
        index += 1;
    }
    panic!("no row of the attach-point table has this attach type")
}

/// Returns the version of Linux that brought a type of programs: that of its oldest row.
pub(crate) const fn first_version(of: ProgramType) -> Version {
    let table = table::ROWS;
    let mut first = Version::new(u16::MAX, 0);
    let mut index = 0;
    while index < table.len() {
        let row = &table[index];
        index += 1;
        let older = row.since.major < first.major
            || row.since.major == first.major && row.since.minor < first.minor;
        if row.program_type as u32 == of as u32 && older {
            first = row.since;
        }
    }
    first
}

/// Returns the attach types that programs of a type can have, in the order of the table, each once.
pub fn attach_types(of: ProgramType) -> Vec<AttachType> {
    let mut all = Vec::new();
    for row in ATTACH_POINTS.iter().filter(|row| row.program_type == of) {
        all.extend(row.attach_type.filter(|one| !all.contains(one)));
    }
    all
}

/// Returns the row of a type and an attach type.
pub fn find(
    program_type: ProgramType,
    attach_type: Option<AttachType>,
) -> Option<&'static AttachPoint> {
    ATTACH_POINTS
        .iter()
        .find(|row| (row.program_type, row.attach_type) == (program_type, attach_type))
}
