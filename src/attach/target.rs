//! Targets: the names of attach points, as users write them.

use crate::error::{Error, Result};
use crate::program::Program;
use crate::spec::attach_point::{Facts, attach_type_facts, facts};
use crate::spec::{AttachTo, ProgramSpec};
use crate::uapi::{AttachType, ProgramType};
use crate::util::escape;
use std::fmt;
use std::path::PathBuf;

mod parse;

pub(super) use parse::{NO_OFFSET, number};

pub use crate::spec::attach_point::{Direction, Suffix, TcMethod, TrampolineAt, XdpMode};

/// An attach point.
///
/// In the name of a file, a byte that is not UTF-8 is written as the private code point U+EF00 plus the byte, here and by [`Display`](fmt::Display).
///
/// ```
/// use rawbpf::attach::Target;
///
/// let target: Target = "kprobe:sys_clone".parse()?;
/// assert_eq!(target, Target::kprobe("sys_clone"));
/// assert_eq!("kretprobe:icmp_rcv".parse::<Target>()?.to_string(), "kretprobe:icmp_rcv");
/// assert!("tracepoint:syscalls/sys_enter_clone".parse::<Target>().is_ok());
/// assert!("uprobe:c:strlen".parse::<Target>().is_ok());
/// # Ok::<(), rawbpf::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// A function of the kernel: `kprobe:NAME`, `kprobe:NAME+OFFSET`, `kretprobe:NAME`; with `*` or `?` in the name all
    /// functions that match. Of several functions of one name `kprobe:MODULE:NAME` is that of a module, and `kprobe:_text+OFFSET` the one
    /// at that place in the kernel.
    #[doc(alias("kretprobe", "ksyscall"))]
    Kprobe {
        /// The function. `sys_NAME` means the system call, whatever this kernel calls its function. Of a module, `MODULE:NAME`.
        function: String,
        /// Bytes from the start of the function; always 0 for a return.
        offset: u64,
        /// Whether the program runs when the function returns.
        returns: bool,
    },
    /// The functions of the kernel that match, by one link: `kprobe.multi:PATTERN`, `kretprobe.multi:PATTERN` (Linux 5.18).
    #[doc(alias = "BPF_TRACE_KPROBE_MULTI")]
    KprobeMulti {
        /// The functions.
        pattern: String,
        /// Whether the program runs when a function returns.
        returns: bool,
    },
    /// Entry and return of the functions of the kernel that match, by one program: `ksession:PATTERN` (Linux 6.10).
    #[doc(alias = "BPF_TRACE_KPROBE_SESSION")]
    KprobeSession {
        /// The functions.
        pattern: String,
    },
    /// A static tracepoint of the kernel: `tracepoint:CATEGORY/NAME`.
    Tracepoint {
        /// The folder under `events` in tracefs, `syscalls`.
        category: String,
        /// Its name there, `sys_enter_clone`.
        name: String,
    },
    /// The same tracepoints, with their arguments as they are: `raw_tracepoint:NAME` (Linux 4.17).
    RawTracepoint {
        /// Its name without the category, `sched_switch`.
        name: String,
    },
    /// A raw tracepoint that lets programs write to its argument: `raw_tracepoint.w:NAME` (Linux 5.2).
    RawTracepointWritable {
        /// Its name without the category.
        name: String,
    },
    /// The same tracepoints, with arguments that have types: `tp_btf:NAME` (Linux 5.5).
    #[doc(alias("tp_btf", "BPF_TRACE_RAW_TP"))]
    BtfTracepoint {
        /// Its name without the category.
        name: String,
    },
    /// A function of the kernel by BTF and trampoline: `fentry:NAME`, `fexit:NAME`, `fmod_ret:NAME` (Linux 5.5),
    /// `fsession:NAME` (7.0).
    #[doc(alias(
        "fentry",
        "fexit",
        "fmod_ret",
        "BPF_TRACE_FENTRY",
        "BPF_TRACE_FEXIT",
        "BPF_MODIFY_RETURN"
    ))]
    Trampoline {
        /// The position in the function.
        at: TrampolineAt,
        /// The function.
        function: String,
    },
    /// A security hook: `lsm:HOOK` (Linux 5.7).
    #[doc(alias = "BPF_LSM_MAC")]
    Lsm {
        /// Its name without `bpf_lsm_`, `file_open`.
        hook: String,
    },
    /// Objects of the kernel, one after the other: `iter:NAME` (Linux 5.8).
    #[doc(alias = "BPF_TRACE_ITER")]
    Iter {
        /// Their name without `bpf_iter_`, `task`.
        name: String,
    },
    /// A function of programs and libraries: `uprobe:FILE:NAME`, `uprobe:FILE:NAME+OFFSET`, `uprobe:FILE:0xOFFSET`,
    /// `uretprobe:FILE:NAME`; with `*`, `?` or `[` in the name all functions that match.
    ///
    /// A symbol that is exactly this text takes precedence: `main.(*Server).Handle` of Go is no pattern. Then
    /// names of C++ and Rust are looked up, `ns::Type::function`, with parameters if several functions have the name
    /// (feature `demangle`). Of several local functions of one name `NAME@0xOFFSET` is the one at that offset in the file.
    ///
    /// Probing the return of a Go function can crash the process: the kernel changes the return address on the stack, which
    /// the Go runtime copies and unwinds when the stack grows.
    Uprobe {
        /// A path, or a library's name as the linker knows it: `c`, `libc.so.6`; or a program's, found by `PATH`.
        file: String,
        /// The function in its symbol tables, or empty.
        function: String,
        /// Bytes from the start of the function, or of the file if there is none.
        offset: u64,
        /// Whether the program runs when the function returns.
        returns: bool,
    },
    /// The function of programs and libraries with exactly this symbol: no pattern, no offset, no name of
    /// C++. It is written as a [`Target::Uprobe`].
    UprobeSymbol {
        /// As for uprobes.
        file: String,
        /// The symbol.
        symbol: String,
        /// Bytes from the start of the function.
        offset: u64,
        /// Whether the program runs when the function returns.
        returns: bool,
    },
    /// The functions of a program or library that match, by one link: `uprobe.multi:FILE:PATTERN`,
    /// `uretprobe.multi:FILE:PATTERN` (Linux 6.6).
    #[doc(alias = "BPF_TRACE_UPROBE_MULTI")]
    UprobeMulti {
        /// As for uprobes.
        file: String,
        /// The functions.
        pattern: String,
        /// Whether the program runs when a function returns.
        returns: bool,
    },
    /// Entry and return of the functions of a program or library that match, by one program: `uprobe.session:FILE:PATTERN`
    /// (Linux 6.13).
    #[doc(alias = "BPF_TRACE_UPROBE_SESSION")]
    UprobeSession {
        /// As for uprobes.
        file: String,
        /// The functions.
        pattern: String,
    },
    /// A static probe in a program or a library (USDT): `usdt:FILE:PROVIDER:NAME`, or `usdt:FILE:NAME` of any provider.
    Usdt {
        /// As for uprobes.
        file: String,
        /// The provider, or empty for any.
        provider: String,
        /// The probe.
        name: String,
    },
    /// An event of the perf subsystem that overflows: `software:EVENT:PERIOD`, `hardware:EVENT:PERIOD`, `profile:hz:RATE`
    /// (Linux 4.9).
    #[doc(alias("BPF_PERF_EVENT", "perf_event_open"))]
    PerfEvent {
        /// The event.
        event: PerfEventKind,
        /// The sampling period or frequency.
        sampling: Sampling,
    },
    /// Packets that come to a network device, before the kernel looks at them: `xdp:DEVICE`, `xdpdrv:DEVICE`,
    /// `xdpgeneric:DEVICE` (Linux 4.8).
    #[doc(alias = "BPF_XDP")]
    Xdp {
        /// The device's name.
        device: String,
        /// The XDP mode: native driver, generic, or the first that works.
        mode: XdpMode,
    },
    /// Packets in and out of a network device: `tcx:DEVICE/ingress` (Linux 6.6), `clsact:DEVICE/egress` (Linux 4.5),
    /// `tc:DEVICE/ingress` the first of these that the kernel has.
    #[doc(alias("BPF_TCX_INGRESS", "BPF_TCX_EGRESS", "clsact"))]
    Tc {
        /// The device's name.
        device: String,
        /// The direction.
        direction: Direction,
        /// The way of attaching.
        method: TcMethod,
    },
    /// Activity of the processes of a control group: `cgroup:PATH:ATTACH_TYPE`, the type with or without `cgroup_`
    /// (Linux 4.10).
    Cgroup {
        /// The control group's folder.
        path: PathBuf,
        /// The attach type.
        attach_type: AttachType,
    },
    /// A hook of a network namespace: `netns:PATH:sk_lookup`, `netns:PATH:flow_dissector`; without a path that of the thread
    /// (Linux 5.9).
    Netns {
        /// A file that stands for the namespace, `/run/netns/NAME` or `/proc/PID/ns/net`, or empty.
        path: PathBuf,
        /// The attach type.
        attach_type: AttachType,
    },
    /// All packets of a network device, as they come to a packet socket: `socket:DEVICE`. For a socket that the process
    /// has already, see [`socket`](super::socket).
    #[doc(alias = "SO_ATTACH_BPF")]
    Socket {
        /// The device's name, or empty for all.
        device: String,
    },
    /// One of the others, for a program that is loaded with a flag: `uprobe.s:FILE:NAME`, `fentry.s:NAME`, `lsm.s:HOOK`,
    /// `xdp.frags:DEVICE`.
    Suffixed {
        /// The end of its first word.
        suffix: Suffix,
        /// The target without it.
        target: Box<Target>,
    },
}

/// An event of the perf subsystem, [perf_event_open(2)](https://man7.org/linux/man-pages/man2/perf_event_open.2.html).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PerfEventKind {
    /// A software event (`PERF_TYPE_SOFTWARE`), by its name: `cpu-clock`.
    Software(String),
    /// A hardware event (`PERF_TYPE_HARDWARE`), by its name: `cycles`.
    Hardware(String),
}

/// The sampling period or frequency of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Sampling {
    /// Once per this many events; of clocks, nanoseconds.
    Period(u64),
    /// This many times a second.
    Frequency(u64),
}

impl Target {
    /// The entry of a kernel function.
    pub fn kprobe(function: impl Into<String>) -> Target {
        Target::Kprobe { function: function.into(), offset: 0, returns: false }
    }

    /// The return of a kernel function.
    pub fn kretprobe(function: impl Into<String>) -> Target {
        Target::Kprobe { function: function.into(), offset: 0, returns: true }
    }

    /// A tracepoint.
    pub fn tracepoint(category: impl Into<String>, name: impl Into<String>) -> Target {
        Target::Tracepoint { category: category.into(), name: name.into() }
    }

    /// The entry of a function of a library or program.
    pub fn uprobe(file: impl Into<String>, function: impl Into<String>) -> Target {
        Target::Uprobe { file: file.into(), function: function.into(), offset: 0, returns: false }
    }

    /// The return of a function of a library or program.
    pub fn uretprobe(file: impl Into<String>, function: impl Into<String>) -> Target {
        Target::Uprobe { file: file.into(), function: function.into(), offset: 0, returns: true }
    }

    /// The entry of the function of a library or program that has exactly this symbol.
    ///
    /// ```
    /// use rawbpf::attach::Target;
    ///
    /// let target = Target::uprobe_symbol("/usr/bin/server", "main.(*Server).Handle");
    /// assert_eq!(target.to_string(), "uprobe:/usr/bin/server:main.(*Server).Handle");
    /// ```
    pub fn uprobe_symbol(file: impl Into<String>, symbol: impl Into<String>) -> Target {
        let (file, symbol) = (file.into(), symbol.into());
        Target::UprobeSymbol { file, symbol, offset: 0, returns: false }
    }

    /// The return of the function of a library or program that has exactly this symbol.
    pub fn uretprobe_symbol(file: impl Into<String>, symbol: impl Into<String>) -> Target {
        let (file, symbol) = (file.into(), symbol.into());
        Target::UprobeSymbol { file, symbol, offset: 0, returns: true }
    }

    /// A static probe of a library or program.
    pub fn usdt(
        file: impl Into<String>,
        provider: impl Into<String>,
        name: impl Into<String>,
    ) -> Target {
        Target::Usdt { file: file.into(), provider: provider.into(), name: name.into() }
    }

    /// A tracepoint, for a program that gets its arguments as they are.
    pub fn raw_tracepoint(name: impl Into<String>) -> Target {
        Target::RawTracepoint { name: name.into() }
    }

    /// A tracepoint, for a program that gets its arguments with their types.
    #[doc(alias = "tp_btf")]
    pub fn btf_tracepoint(name: impl Into<String>) -> Target {
        Target::BtfTracepoint { name: name.into() }
    }

    /// The entry of a kernel function, by a trampoline.
    pub fn fentry(function: impl Into<String>) -> Target {
        Target::Trampoline { at: TrampolineAt::Entry, function: function.into() }
    }

    /// The exit of a kernel function, by a trampoline, with arguments and result.
    pub fn fexit(function: impl Into<String>) -> Target {
        Target::Trampoline { at: TrampolineAt::Exit, function: function.into() }
    }

    /// A security hook.
    pub fn lsm(hook: impl Into<String>) -> Target {
        Target::Lsm { hook: hook.into() }
    }

    /// Packets that come to a network device, in the first XDP mode that works.
    pub fn xdp(device: impl Into<String>) -> Target {
        Target::Xdp { device: device.into(), mode: XdpMode::Any }
    }

    /// Packets in or out of a network device, in the best way that the kernel has.
    pub fn tc(device: impl Into<String>, direction: Direction) -> Target {
        Target::Tc { device: device.into(), direction, method: TcMethod::Best }
    }

    /// Activity of the processes of a control group, a folder of the cgroup2 file system.
    pub fn cgroup(path: impl Into<PathBuf>, attach_type: AttachType) -> Target {
        Target::Cgroup { path: path.into(), attach_type }
    }

    /// A timer on each CPU, so many times a second.
    #[doc(alias("profile", "cpu-clock"))]
    pub fn timer(frequency: u64) -> Target {
        let event = PerfEventKind::Software(CLOCK.into());
        Target::PerfEvent { event, sampling: Sampling::Frequency(frequency) }
    }

    /// The type that a program must have to be attached there.
    pub fn program_type(&self) -> ProgramType {
        self.loaded().program_type
    }

    /// The file that it is in, if a process does not map that: a probe for that process alone runs no program.
    #[cfg(feature = "bt")]
    pub(crate) fn unmapped_file(&self, pid: u32) -> Option<std::path::PathBuf> {
        let (Target::Uprobe { file, .. }
        | Target::UprobeMulti { file, .. }
        | Target::UprobeSession { file, .. }
        | Target::Usdt { file, .. }) = self.plain()
        else {
            return None;
        };
        let path = crate::user::find_file(file, Some(pid)).ok()?;
        (crate::user::Process(pid).maps(&path) == Some(false)).then_some(path)
    }

    /// The target without a suffix.
    pub fn plain(&self) -> &Target {
        match self {
            Target::Suffixed { target, .. } => target.plain(),
            plain => plain,
        }
    }

    /// The word that it begins with.
    pub(super) fn word(&self) -> &'static str {
        self.facts().word
    }

    /// Returns the part of the attach-point table's row that attaching needs. It is evaluated at compile time, so that
    /// binaries that parse no targets do not contain the table.
    fn facts(&self) -> Facts {
        match self {
            Target::Kprobe { returns: false, .. } => const { facts("kprobe") },
            Target::Kprobe { returns: true, .. } => const { facts("kretprobe") },
            Target::KprobeMulti { returns: false, .. } => const { facts("kprobe.multi") },
            Target::KprobeMulti { returns: true, .. } => const { facts("kretprobe.multi") },
            Target::KprobeSession { .. } => const { facts("ksession") },
            Target::Tracepoint { .. } => const { facts("tracepoint") },
            Target::RawTracepoint { .. } => const { facts("raw_tracepoint") },
            Target::RawTracepointWritable { .. } => const { facts("raw_tracepoint.w") },
            Target::BtfTracepoint { .. } => const { facts("tp_btf") },
            Target::Trampoline { at, .. } => match at {
                TrampolineAt::Entry => const { facts("fentry") },
                TrampolineAt::Exit => const { facts("fexit") },
                TrampolineAt::ModifyReturn => const { facts("fmod_ret") },
                TrampolineAt::Session => const { facts("fsession") },
            },
            Target::Lsm { .. } => const { facts("lsm") },
            Target::Iter { .. } => const { facts("iter") },
            Target::Uprobe { returns: false, .. } | Target::UprobeSymbol { returns: false, .. } => {
                const { facts("uprobe") }
            }
            Target::Uprobe { returns: true, .. } | Target::UprobeSymbol { returns: true, .. } => {
                const { facts("uretprobe") }
            }
            Target::UprobeMulti { returns: false, .. } => const { facts("uprobe.multi") },
            Target::UprobeMulti { returns: true, .. } => const { facts("uretprobe.multi") },
            Target::UprobeSession { .. } => const { facts("uprobe.session") },
            Target::Usdt { .. } => const { facts("usdt") },
            Target::PerfEvent { event, sampling } => match (event, sampling) {
                (PerfEventKind::Software(name), Sampling::Frequency(_)) if name == CLOCK => {
                    const { facts("profile") }
                }
                (PerfEventKind::Software(_), _) => const { facts("software") },
                (PerfEventKind::Hardware(_), _) => const { facts("hardware") },
            },
            Target::Xdp { mode, .. } => match mode {
                XdpMode::Any => const { facts("xdp") },
                XdpMode::Native => const { facts("xdpdrv") },
                XdpMode::Generic => const { facts("xdpgeneric") },
            },
            Target::Tc { method, direction, .. } => match (method, direction) {
                (TcMethod::Best, _) => const { facts("tc") },
                (TcMethod::Clsact, _) => const { facts("clsact") },
                (TcMethod::Tcx, Direction::Ingress) => const { facts("tcx/ingress") },
                (TcMethod::Tcx, Direction::Egress) => const { facts("tcx/egress") },
            },
            // One of several rows: see `loaded`.
            Target::Cgroup { .. } => const { facts("cgroup/connect4") },
            Target::Netns { .. } => const { facts("sk_lookup") },
            Target::Socket { .. } => const { facts("socket") },
            Target::Suffixed { target, .. } => target.facts(),
        }
    }

    /// The row by which programs for this place are loaded.
    fn loaded(&self) -> Facts {
        match self {
            Target::Cgroup { attach_type, .. } | Target::Netns { attach_type, .. } => {
                attach_type_facts(*attach_type, self.facts())
            }
            _ => self.facts(),
        }
    }

    /// Refuses a program of another type than the target's, or one that was loaded for another attach type.
    pub(super) fn check(&self, program: &Program) -> Result<()> {
        let Facts { program_type, attach_type, .. } = self.loaded();
        let kind = program.kind();
        // A program of type `ext` names the function that it replaces at load.
        if kind == ProgramType::Ext && matches!(self.plain(), Target::Trampoline { .. }) {
            return Ok(());
        }
        self.check_type(program, program_type)?;
        match (program.attach_type(), attach_type) {
            (Some(is), Some(expected)) if is != expected && is_fixed(kind) => {
                Err(self.wrong(program, "attach type", is.name(), expected.name()))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a program of another type than this.
    pub(super) fn check_type(&self, program: &Program, expected: ProgramType) -> Result<()> {
        match program.kind() {
            is if is == expected => Ok(()),
            is => Err(self.wrong(program, "type", is.name(), expected.name())),
        }
    }

    fn wrong(&self, program: &Program, what: &str, is: &str, expected: &str) -> Error {
        let program = program.name();
        let problem = format!("program `{program}`: {what} is {is}, expected {expected}");
        Error::Place { target: self.to_string(), problem }
    }

    /// A spec for this place: of the type that is attached there, and with all that the kernel must know at load. The target has to last
    /// for the load, and need not last as long as the loader.
    ///
    /// ```
    /// use rawbpf::attach::Target;
    /// use rawbpf::{ProgramSpec, ProgramType, bpf};
    ///
    /// static ONE: ProgramSpec = ProgramSpec::new("one", ProgramType::Kprobe, bpf! { r0 = 0; exit; });
    /// let target: Target = "tp_btf:sched_switch".parse()?;
    /// assert_eq!(target.spec(&ONE).target, Some("sched_switch"));
    /// # Ok::<(), rawbpf::Error>(())
    /// ```
    ///
    /// ```no_run
    /// # use rawbpf::attach::Target;
    /// # use rawbpf::{Loader, ProgramSpec, ProgramType, bpf};
    /// # static ONE: ProgramSpec = ProgramSpec::new("one", ProgramType::Kprobe, bpf! { r0 = 0; exit; });
    /// let mut loader = Loader::new();
    /// for name in ["sched_switch", "sched_process_fork"] {
    ///     let target = Target::tracepoint("sched", name);
    ///     let program = loader.load(&target.spec(&ONE))?;
    /// }
    /// # Ok::<(), rawbpf::Error>(())
    /// ```
    pub fn spec<'code, 'name>(
        &'name self,
        spec: &ProgramSpec<'code, 'name>,
    ) -> ProgramSpec<'code, 'name> {
        if let Target::Suffixed { suffix, target } = self {
            let spec = target.spec(spec);
            return spec.with_flags(spec.flags | suffix.flag());
        }
        let Facts { program_type, attach_type, .. } = self.loaded();
        let mut spec = spec.with_kind(program_type);
        spec.attach_to = self.attach_to();
        spec.attach_type = match (self, spec.attach_type) {
            // Programs for many functions can be attached to one, and those for a link as a filter.
            (Target::Kprobe { .. }, many @ Some(AttachType::TraceKprobeMulti)) => many,
            (
                Target::Uprobe { .. } | Target::UprobeSymbol { .. } | Target::Usdt { .. },
                many @ Some(AttachType::TraceUprobeMulti),
            ) => many,
            (Target::Tc { .. }, tcx @ Some(AttachType::TcxIngress | AttachType::TcxEgress)) => tcx,
            (Target::Cgroup { attach_type, .. } | Target::Netns { attach_type, .. }, _) => {
                Some(*attach_type)
            }
            _ => attach_type,
        };
        match self {
            Target::BtfTracepoint { name }
            | Target::Trampoline { function: name, .. }
            | Target::Lsm { hook: name }
            | Target::Iter { name } => spec.target = Some(name),
            _ => {}
        }
        spec
    }

    /// The place, where the arguments that a program reads depend on the attachment.
    pub(super) fn attach_to(&self) -> Option<AttachTo<'_>> {
        let function = |file, function, offset, returns| AttachTo::Function {
            file,
            function,
            offset,
            returns,
        };
        Some(match self {
            Target::Tracepoint { category, name } => AttachTo::Tracepoint { category, name },
            Target::RawTracepoint { name } | Target::RawTracepointWritable { name } => {
                AttachTo::RawTracepoint { name }
            }
            Target::Kprobe { function: name, offset, returns } => {
                let name = name.split_once(':').map_or(name.as_str(), |(_, name)| name);
                function(None, name, *offset, *returns)
            }
            Target::KprobeMulti { pattern, returns } => function(None, pattern, 0, *returns),
            Target::KprobeSession { pattern } => function(None, pattern, 0, false),
            Target::Uprobe { file, function: name, offset, returns }
            | Target::UprobeSymbol { file, symbol: name, offset, returns } => {
                function(Some(file), name, *offset, *returns)
            }
            Target::UprobeMulti { file, pattern, returns } => {
                function(Some(file), pattern, 0, *returns)
            }
            Target::UprobeSession { file, pattern } => function(Some(file), pattern, 0, false),
            Target::Usdt { file, provider, name } => AttachTo::Usdt { file, provider, name },
            Target::Suffixed { target, .. } => return target.attach_to(),
            _ => return None,
        })
    }

    /// Refuses a program whose `args.NAME` was resolved for another place.
    pub(super) fn check_arguments(&self, program: &Program, process: Option<u32>) -> Result<()> {
        self.attach_to().map_or(Ok(()), |place| program.check_arguments(&place, process))
    }
}

/// Whether the kernel requires the attach type that a program of this type was loaded for.
fn is_fixed(kind: ProgramType) -> bool {
    !matches!(kind, ProgramType::Xdp | ProgramType::SchedCls | ProgramType::CgroupSkb)
}

/// The event that is counted for `profile`.
const CLOCK: &str = "cpu-clock";

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.facts().word)?;
        let mut plain = self;
        while let Target::Suffixed { suffix, target } = plain {
            f.write_str(suffix.text())?;
            plain = target;
        }
        f.write_str(":")?;
        match plain {
            Target::Kprobe { function, offset, .. } => {
                f.write_str(function)?;
                plus(f, *offset)
            }
            Target::KprobeMulti { pattern: name, .. }
            | Target::KprobeSession { pattern: name }
            | Target::RawTracepoint { name }
            | Target::RawTracepointWritable { name }
            | Target::BtfTracepoint { name }
            | Target::Trampoline { function: name, .. }
            | Target::Lsm { hook: name }
            | Target::Iter { name }
            | Target::Xdp { device: name, .. }
            | Target::Socket { device: name } => f.write_str(name),
            Target::Tracepoint { category, name } => write!(f, "{category}/{name}"),
            Target::Uprobe { file, function, offset, .. }
            | Target::UprobeSymbol { file, symbol: function, offset, .. } => {
                write!(f, "{file}:{function}")?;
                if function.is_empty() { write!(f, "{offset:#x}") } else { plus(f, *offset) }
            }
            Target::UprobeMulti { file, pattern, .. } | Target::UprobeSession { file, pattern } => {
                write!(f, "{file}:{pattern}")
            }
            Target::Usdt { file, provider, name } => write!(f, "{file}:{provider}:{name}"),
            Target::PerfEvent { event, sampling } => match (event, sampling) {
                (PerfEventKind::Software(name), Sampling::Frequency(rate)) if name == CLOCK => {
                    write!(f, "hz:{rate}")
                }
                (PerfEventKind::Software(name) | PerfEventKind::Hardware(name), sampling) => {
                    write!(f, "{name}:{sampling}")
                }
            },
            Target::Tc { device, direction, .. } => {
                let direction = match direction {
                    Direction::Ingress => "ingress",
                    Direction::Egress => "egress",
                };
                write!(f, "{device}/{direction}")
            }
            Target::Cgroup { path, attach_type } | Target::Netns { path, attach_type } => {
                write!(f, "{}:{attach_type}", escape::path_text(path))
            }
            Target::Suffixed { .. } => Ok(()),
        }
    }
}

impl fmt::Display for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sampling::Period(period) => write!(f, "{period}"),
            Sampling::Frequency(rate) => write!(f, "{rate}hz"),
        }
    }
}

fn plus(f: &mut fmt::Formatter<'_>, offset: u64) -> fmt::Result {
    if offset > 0 { write!(f, "+{offset:#x}") } else { Ok(()) }
}

#[cfg(test)]
mod tests;
