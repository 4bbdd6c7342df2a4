//! Targets: the names of places to attach to, as a person writes them.

use crate::error::{Error, Result};
use crate::program::Program;
use crate::spec::{AttachTo, ProgramSpec};
use crate::uapi::{AttachType, ProgramType};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A place to attach to.
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
    /// functions that match.
    Kprobe {
        /// The function. `sys_NAME` means the system call, whatever this kernel calls its function.
        function: String,
        /// Bytes from the start of the function; always 0 for a return.
        offset: u64,
        /// Whether the program runs when the function returns.
        returns: bool,
    },
    /// Entry and return of the functions of the kernel that match, by one program: `ksession:PATTERN` (Linux 6.10).
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
    /// The same tracepoints, with arguments that have types: `tp_btf:NAME` (Linux 5.5).
    BtfTracepoint {
        /// Its name without the category.
        name: String,
    },
    /// A function of the kernel by BTF and trampoline: `fentry:NAME`, `fexit:NAME`, `fmod_ret:NAME` (Linux 5.5).
    Trampoline {
        /// Where in the function.
        at: TrampolineAt,
        /// The function.
        function: String,
    },
    /// A security hook: `lsm:HOOK` (Linux 5.7).
    Lsm {
        /// Its name without `bpf_lsm_`, `file_open`.
        hook: String,
    },
    /// Objects of the kernel, one after the other: `iter:NAME` (Linux 5.8).
    Iter {
        /// Their name without `bpf_iter_`, `task`.
        name: String,
    },
    /// A function of programs and libraries: `uprobe:FILE:NAME`, `uprobe:FILE:NAME+OFFSET`, `uprobe:FILE:0xOFFSET`,
    /// `uretprobe:FILE:NAME`; with `*` or `?` in the name all functions that match.
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
    /// A static probe in a program or a library (USDT): `usdt:FILE:PROVIDER:NAME`.
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
    PerfEvent {
        /// Which.
        event: PerfEventKind,
        /// How often the program runs.
        sampling: Sampling,
    },
    /// Packets that come to a network device, before the kernel looks at them: `xdp:DEVICE`, `xdpdrv:DEVICE`,
    /// `xdpgeneric:DEVICE` (Linux 4.8).
    Xdp {
        /// The device's name.
        device: String,
        /// By whom the program is run.
        mode: XdpMode,
    },
    /// Packets in and out of a network device: `tcx:DEVICE/ingress` (Linux 6.6), `clsact:DEVICE/egress` (Linux 4.5),
    /// `tc:DEVICE/ingress` the first of these that the kernel has.
    Tc {
        /// The device's name.
        device: String,
        /// Which way.
        direction: Direction,
        /// How.
        method: TcMethod,
    },
    /// What processes of a control group do: `cgroup:PATH:ATTACH_TYPE`, the type with or without `cgroup_`
    /// (Linux 4.10).
    Cgroup {
        /// The control group's folder.
        path: PathBuf,
        /// What is looked at.
        attach_type: AttachType,
    },
    /// What a network namespace decides: `netns:PATH:sk_lookup`, `netns:PATH:flow_dissector`; without a path that of the thread
    /// (Linux 5.9).
    Netns {
        /// A file that stands for the namespace, `/run/netns/NAME` or `/proc/PID/ns/net`, or empty.
        path: PathBuf,
        /// What is decided.
        attach_type: AttachType,
    },
    /// All packets of a network device, as they come to a packet socket: `socket:DEVICE`. For a socket that the process
    /// has already, see [`socket`](super::socket).
    Socket {
        /// The device's name, or empty for all.
        device: String,
    },
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
}

/// Which event of the perf subsystem, [perf_event_open(2)](https://man7.org/linux/man-pages/man2/perf_event_open.2.html).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PerfEventKind {
    /// One that the kernel counts (`PERF_TYPE_SOFTWARE`), by its name: `cpu-clock`.
    Software(String),
    /// One that the CPU counts (`PERF_TYPE_HARDWARE`), by its name: `cycles`.
    Hardware(String),
}

/// How often an event runs its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sampling {
    /// After every so many; of clocks, nanoseconds.
    Period(u64),
    /// So often in a second.
    Frequency(u64),
}

/// By whom XDP is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum XdpMode {
    /// By the driver if it has XDP, else by the kernel.
    Any,
    /// By the driver.
    Native,
    /// By the kernel, once the driver has made a packet of it (Linux 4.12).
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

    /// A static probe of a library or program.
    pub fn usdt(
        file: impl Into<String>,
        provider: impl Into<String>,
        name: impl Into<String>,
    ) -> Target {
        Target::Usdt { file: file.into(), provider: provider.into(), name: name.into() }
    }

    /// The type that a program must have to be attached there.
    pub fn program_type(&self) -> ProgramType {
        match self {
            Target::Kprobe { .. }
            | Target::KprobeSession { .. }
            | Target::Uprobe { .. }
            | Target::Usdt { .. } => ProgramType::Kprobe,
            Target::Tracepoint { .. } => ProgramType::Tracepoint,
            Target::RawTracepoint { .. } => ProgramType::RawTracepoint,
            Target::BtfTracepoint { .. } | Target::Trampoline { .. } | Target::Iter { .. } => {
                ProgramType::Tracing
            }
            Target::Lsm { .. } => ProgramType::Lsm,
            Target::PerfEvent { .. } => ProgramType::PerfEvent,
            Target::Xdp { .. } => ProgramType::Xdp,
            Target::Tc { .. } => ProgramType::SchedCls,
            Target::Cgroup { attach_type, .. } => cgroup_program_type(*attach_type),
            Target::Netns { attach_type: AttachType::FlowDissector, .. } => {
                ProgramType::FlowDissector
            }
            Target::Netns { .. } => ProgramType::SkLookup,
            Target::Socket { .. } => ProgramType::SocketFilter,
        }
    }

    /// A spec for this place: of the type that is attached there, and with all that the kernel must know at load.
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
    pub fn spec<'a>(&'a self, spec: &ProgramSpec<'a>) -> ProgramSpec<'a> {
        let mut spec = spec.with_kind(self.program_type());
        spec.attach_to = self.attach_to();
        let (attach_type, target) = match self {
            Target::KprobeSession { .. } => (Some(AttachType::TraceKprobeSession), None),
            Target::BtfTracepoint { name } => (Some(AttachType::TraceRawTp), Some(name)),
            Target::Trampoline { at, function } => {
                let attach_type = match at {
                    TrampolineAt::Entry => AttachType::TraceFentry,
                    TrampolineAt::Exit => AttachType::TraceFexit,
                    TrampolineAt::ModifyReturn => AttachType::ModifyReturn,
                };
                (Some(attach_type), Some(function))
            }
            Target::Lsm { hook } => (Some(AttachType::LsmMac), Some(hook)),
            Target::Iter { name } => (Some(AttachType::TraceIter), Some(name)),
            Target::Cgroup { attach_type, .. } | Target::Netns { attach_type, .. } => {
                (Some(*attach_type), None)
            }
            _ => return spec,
        };
        spec.attach_type = attach_type;
        if let Some(target) = target {
            spec.target = Some(target);
        }
        spec
    }
}

impl Target {
    /// The place, where the arguments that a program reads depend on the attachment.
    pub(super) fn attach_to(&self) -> Option<AttachTo<'_>> {
        Some(match self {
            Target::Tracepoint { category, name } => AttachTo::Tracepoint { category, name },
            Target::RawTracepoint { name } => AttachTo::RawTracepoint { name },
            Target::Kprobe { function, offset, returns } => {
                let (offset, returns) = (*offset, *returns);
                AttachTo::Function { file: None, function, offset, returns }
            }
            Target::KprobeSession { pattern } => {
                AttachTo::Function { file: None, function: pattern, offset: 0, returns: false }
            }
            Target::Uprobe { file, function, offset, returns } => {
                let (offset, returns) = (*offset, *returns);
                AttachTo::Function { file: Some(file), function, offset, returns }
            }
            Target::Usdt { file, provider, name } => AttachTo::Usdt { file, provider, name },
            _ => return None,
        })
    }

    /// Refuses a program that reads arguments which are elsewhere there.
    pub(super) fn check_arguments(&self, program: &Program) -> Result<()> {
        self.attach_to().map_or(Ok(()), |place| program.check_arguments(&place))
    }
}

/// The type of the programs that are attached to a control group in that way.
fn cgroup_program_type(attach_type: AttachType) -> ProgramType {
    use AttachType as A;
    match attach_type {
        A::CgroupInetIngress | A::CgroupInetEgress => ProgramType::CgroupSkb,
        A::CgroupInetSockCreate
        | A::CgroupInetSockRelease
        | A::CgroupInet4PostBind
        | A::CgroupInet6PostBind => ProgramType::CgroupSock,
        A::CgroupSockOps => ProgramType::SockOps,
        A::CgroupDevice => ProgramType::CgroupDevice,
        A::CgroupSysctl => ProgramType::CgroupSysctl,
        A::CgroupGetsockopt | A::CgroupSetsockopt => ProgramType::CgroupSockopt,
        A::LsmCgroup => ProgramType::Lsm,
        _ => ProgramType::CgroupSockAddr,
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Kprobe { function, offset, returns } => {
                let kind = if *returns { "kretprobe" } else { "kprobe" };
                write!(f, "{kind}:{function}")?;
                plus(f, *offset)
            }
            Target::KprobeSession { pattern } => write!(f, "ksession:{pattern}"),
            Target::Tracepoint { category, name } => write!(f, "tracepoint:{category}/{name}"),
            Target::RawTracepoint { name } => write!(f, "raw_tracepoint:{name}"),
            Target::BtfTracepoint { name } => write!(f, "tp_btf:{name}"),
            Target::Trampoline { at, function } => {
                let kind = match at {
                    TrampolineAt::Entry => "fentry",
                    TrampolineAt::Exit => "fexit",
                    TrampolineAt::ModifyReturn => "fmod_ret",
                };
                write!(f, "{kind}:{function}")
            }
            Target::Lsm { hook } => write!(f, "lsm:{hook}"),
            Target::Iter { name } => write!(f, "iter:{name}"),
            Target::Uprobe { file, function, offset, returns } => {
                let kind = if *returns { "uretprobe" } else { "uprobe" };
                write!(f, "{kind}:{file}:{function}")?;
                if function.is_empty() { write!(f, "{offset:#x}") } else { plus(f, *offset) }
            }
            Target::Usdt { file, provider, name } => write!(f, "usdt:{file}:{provider}:{name}"),
            Target::PerfEvent { event, sampling } => match (event, sampling) {
                (PerfEventKind::Software(name), Sampling::Frequency(rate))
                    if name == "cpu-clock" =>
                {
                    write!(f, "profile:hz:{rate}")
                }
                (PerfEventKind::Software(name), sampling) => {
                    write!(f, "software:{name}:{sampling}")
                }
                (PerfEventKind::Hardware(name), sampling) => {
                    write!(f, "hardware:{name}:{sampling}")
                }
            },
            Target::Xdp { device, mode } => {
                let kind = match mode {
                    XdpMode::Any => "xdp",
                    XdpMode::Native => "xdpdrv",
                    XdpMode::Generic => "xdpgeneric",
                };
                write!(f, "{kind}:{device}")
            }
            Target::Tc { device, direction, method } => {
                let kind = match method {
                    TcMethod::Best => "tc",
                    TcMethod::Tcx => "tcx",
                    TcMethod::Clsact => "clsact",
                };
                let direction = match direction {
                    Direction::Ingress => "ingress",
                    Direction::Egress => "egress",
                };
                write!(f, "{kind}:{device}/{direction}")
            }
            Target::Cgroup { path, attach_type } => {
                write!(f, "cgroup:{}:{attach_type}", path.display())
            }
            Target::Netns { path, attach_type } => {
                write!(f, "netns:{}:{attach_type}", path.display())
            }
            Target::Socket { device } => write!(f, "socket:{device}"),
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

type Read = fn(&str) -> Result<Target, &'static str>;

/// The kinds of targets by their first word: how the rest is read. Some have a second name, as libbpf or bpftrace call
/// them.
const KINDS: &[(&str, Read)] = &[
    ("kprobe", |rest| kprobe(rest, false)),
    ("kretprobe", |rest| kprobe(rest, true)),
    ("ksession", |rest| Ok(Target::KprobeSession { pattern: name(rest)? })),
    ("tracepoint", tracepoint),
    ("tp", tracepoint),
    ("raw_tracepoint", raw_tracepoint),
    ("raw_tp", raw_tracepoint),
    ("tp_btf", |rest| Ok(Target::BtfTracepoint { name: name(rest)? })),
    ("fentry", |rest| trampoline(rest, TrampolineAt::Entry)),
    ("fexit", |rest| trampoline(rest, TrampolineAt::Exit)),
    ("fmod_ret", |rest| trampoline(rest, TrampolineAt::ModifyReturn)),
    ("lsm", |rest| Ok(Target::Lsm { hook: name(rest)? })),
    ("iter", |rest| Ok(Target::Iter { name: name(rest)? })),
    ("uprobe", |rest| uprobe(rest, false)),
    ("uretprobe", |rest| uprobe(rest, true)),
    ("usdt", usdt),
    ("software", |rest| perf_event(rest, PerfEventKind::Software)),
    ("hardware", |rest| perf_event(rest, PerfEventKind::Hardware)),
    ("profile", profile),
    ("xdp", |rest| Ok(Target::Xdp { device: name(rest)?, mode: XdpMode::Any })),
    ("xdpdrv", |rest| Ok(Target::Xdp { device: name(rest)?, mode: XdpMode::Native })),
    ("xdpgeneric", |rest| Ok(Target::Xdp { device: name(rest)?, mode: XdpMode::Generic })),
    ("tc", |rest| tc(rest, TcMethod::Best)),
    ("tcx", |rest| tc(rest, TcMethod::Tcx)),
    ("clsact", |rest| tc(rest, TcMethod::Clsact)),
    ("cgroup", cgroup),
    ("netns", netns),
    ("socket", |rest| Ok(Target::Socket { device: rest.into() })),
];

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Target, Error> {
        let wrong = |problem| Error::Target { target: text.into(), problem };
        let (kind, rest) = text
            .split_once(':')
            .ok_or_else(|| wrong("write KIND:NAME: kprobe:NAME, tracepoint:CATEGORY/NAME, …"))?;
        if rest.contains(['\0', '\n']) {
            return Err(wrong("no name holds a line break or a NUL"));
        }
        match KINDS.iter().find(|(word, _)| *word == kind) {
            Some((_, read)) => read(rest).map_err(wrong),
            None => Err(wrong(
                "its kind is none of kprobe, kretprobe, ksession, tracepoint, raw_tracepoint, tp_btf, fentry, fexit, \
                 fmod_ret, lsm, iter, uprobe, uretprobe, usdt, software, hardware, profile, xdp, xdpdrv, xdpgeneric, \
                 tc, tcx, clsact, cgroup, netns, socket",
            )),
        }
    }
}

/// One name, and nothing else.
fn name(rest: &str) -> Result<String, &'static str> {
    if rest.is_empty() {
        return Err("the name is missing");
    }
    if rest.contains([' ', '/', ':']) {
        return Err("the name holds a space, a colon or a slash");
    }
    Ok(rest.into())
}

/// `NAME` or `NAME+OFFSET`.
fn with_offset(rest: &str) -> Result<(String, u64), &'static str> {
    match rest.split_once('+') {
        None => Ok((name(rest)?, 0)),
        Some((function, offset)) => {
            Ok((name(function)?, number(offset).ok_or("the offset is not a number")?))
        }
    }
}

const NO_OFFSET: &str = "a function returns to one place: no offset";

fn kprobe(rest: &str, returns: bool) -> Result<Target, &'static str> {
    let (function, offset) = with_offset(rest)?;
    if returns && offset > 0 {
        return Err(NO_OFFSET);
    }
    Ok(Target::Kprobe { function, offset, returns })
}

fn tracepoint(rest: &str) -> Result<Target, &'static str> {
    match rest.split_once(['/', ':']) {
        Some((category, event)) if !category.is_empty() && !event.is_empty() => {
            Ok(Target::Tracepoint { category: name(category)?, name: name(event)? })
        }
        _ => Err("write tracepoint:CATEGORY/NAME"),
    }
}

fn raw_tracepoint(rest: &str) -> Result<Target, &'static str> {
    Ok(Target::RawTracepoint { name: name(rest)? })
}

fn trampoline(rest: &str, at: TrampolineAt) -> Result<Target, &'static str> {
    Ok(Target::Trampoline { at, function: name(rest)? })
}

/// What stands before the last colon: a path can hold colons, a function's name of C cannot.
fn uprobe(rest: &str, returns: bool) -> Result<Target, &'static str> {
    let usage = "write uprobe:FILE:FUNCTION, with a path or a library's name for FILE";
    let (file, place) = rest.rsplit_once(':').ok_or(usage)?;
    if file.is_empty() || place.is_empty() {
        return Err(usage);
    }
    let (function, offset) = match place.strip_prefix("0x") {
        Some(_) => (String::new(), number(place).ok_or("the offset is not a number")?),
        None => with_offset(place)?,
    };
    if returns && !function.is_empty() && offset > 0 {
        return Err(NO_OFFSET);
    }
    Ok(Target::Uprobe { file: file.into(), function, offset, returns })
}

fn usdt(rest: &str) -> Result<Target, &'static str> {
    let usage = "write usdt:FILE:PROVIDER:NAME";
    let mut parts = rest.rsplitn(3, ':');
    let (name, provider, file) = (parts.next(), parts.next(), parts.next());
    match (name, provider, file) {
        (Some(name), Some(provider), Some(file)) if !name.is_empty() && !file.is_empty() => {
            Ok(Target::Usdt { file: file.into(), provider: provider.into(), name: name.into() })
        }
        _ => Err(usage),
    }
}

fn perf_event(rest: &str, kind: fn(String) -> PerfEventKind) -> Result<Target, &'static str> {
    let usage = "write software:EVENT:PERIOD or software:EVENT:RATEhz, and the same with hardware";
    let (event, every) = rest.split_once(':').ok_or(usage)?;
    let sampling = match every.strip_suffix("hz") {
        Some(rate) => number(rate).map(Sampling::Frequency),
        None => number(every).map(Sampling::Period),
    };
    match sampling {
        Some(Sampling::Period(0) | Sampling::Frequency(0)) | None => Err(usage),
        Some(sampling) => Ok(Target::PerfEvent { event: kind(name(event)?), sampling }),
    }
}

fn profile(rest: &str) -> Result<Target, &'static str> {
    let rate = rest.strip_prefix("hz:").and_then(number).filter(|rate| *rate > 0);
    let event = PerfEventKind::Software("cpu-clock".into());
    match rate {
        Some(rate) => Ok(Target::PerfEvent { event, sampling: Sampling::Frequency(rate) }),
        None => Err("write profile:hz:RATE"),
    }
}

fn tc(rest: &str, method: TcMethod) -> Result<Target, &'static str> {
    let (device, direction) = rest.rsplit_once(['/', ':']).unwrap_or((rest, ""));
    let direction = match direction {
        "ingress" => Direction::Ingress,
        "egress" => Direction::Egress,
        _ => return Err("write tc:DEVICE/ingress or tc:DEVICE/egress"),
    };
    Ok(Target::Tc { device: name(device)?, direction, method })
}

fn cgroup(rest: &str) -> Result<Target, &'static str> {
    let usage = "write cgroup:PATH:ATTACH_TYPE, as in cgroup:/sys/fs/cgroup:inet_ingress";
    let (path, kind) = rest.rsplit_once(':').ok_or(usage)?;
    if path.is_empty() {
        return Err(usage);
    }
    let named = AttachType::from_name(kind).filter(|_| kind.contains("cgroup"));
    let attach_type = named
        .or_else(|| AttachType::from_name(&format!("cgroup_{kind}")))
        .ok_or("that is no type of attachment to a control group")?;
    Ok(Target::Cgroup { path: path.into(), attach_type })
}

fn netns(rest: &str) -> Result<Target, &'static str> {
    let (path, kind) = rest.rsplit_once(':').unwrap_or(("", rest));
    let attach_type = match kind {
        "sk_lookup" => AttachType::SkLookup,
        "flow_dissector" => AttachType::FlowDissector,
        _ => return Err("write netns:PATH:sk_lookup or netns:PATH:flow_dissector"),
    };
    Ok(Target::Netns { path: path.into(), attach_type })
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_print_as_they_are_written() {
        for text in [
            "kprobe:sys_clone",
            "kprobe:icmp_rcv+0x10",
            "kprobe:vfs_*",
            "kretprobe:vfs_read",
            "ksession:vfs_*",
            "tracepoint:syscalls/sys_enter_clone",
            "raw_tracepoint:sched_switch",
            "tp_btf:sched_switch",
            "fentry:do_unlinkat",
            "fexit:do_unlinkat",
            "fmod_ret:bpf_modify_return_test",
            "lsm:file_open",
            "iter:task",
            "uprobe:c:strlen",
            "uprobe:/bin/bash:readline+0x4",
            "uprobe:/opt/a:b/c:0x1234",
            "uretprobe:/bin/bash:readline",
            "usdt:/usr/bin/python3:python:function__entry",
            "usdt:c::setjmp",
            "software:cpu-clock:1000000",
            "software:page-faults:100hz",
            "hardware:cycles:1000000",
            "profile:hz:99",
            "xdp:eth0",
            "xdpdrv:eth0",
            "xdpgeneric:lo",
            "tc:lo/ingress",
            "tcx:lo/egress",
            "clsact:lo/ingress",
            "cgroup:/sys/fs/cgroup/a:cgroup_inet_ingress",
            "cgroup:/sys/fs/cgroup:lsm_cgroup",
            "netns:/run/netns/a:sk_lookup",
            "netns::flow_dissector",
            "socket:lo",
            "socket:",
        ] {
            assert_eq!(text.parse::<Target>().map(|t| t.to_string()).ok().as_deref(), Some(text));
        }
        // bpftrace's and libbpf's ways of writing it.
        for (other, ours) in [
            ("tracepoint:sched:sched_switch", "tracepoint:sched/sched_switch"),
            ("tp:sched/sched_switch", "tracepoint:sched/sched_switch"),
            ("raw_tp:sched_switch", "raw_tracepoint:sched_switch"),
            ("cgroup:/x:inet4_bind", "cgroup:/x:cgroup_inet4_bind"),
            ("software:cpu-clock:99hz", "profile:hz:99"),
            ("netns:sk_lookup", "netns::sk_lookup"),
        ] {
            assert_eq!(other.parse::<Target>().ok(), ours.parse().ok(), "{other}");
        }
    }

    #[test]
    fn what_is_no_target_says_why() {
        for (text, problem) in [
            ("sys_clone", "write KIND:NAME"),
            ("kprobe:", "name is missing"),
            ("kprobe:f+", "not a number"),
            ("kprobe:f+0xg", "not a number"),
            ("kretprobe:f+4", "no offset"),
            ("tracepoint:sched", "CATEGORY/NAME"),
            ("tracepoint:sched/a/b", "slash"),
            ("tracepoint:/x", "CATEGORY/NAME"),
            ("uprobes:c:strlen", "its kind is none of"),
            ("uprobe:strlen", "write uprobe:FILE:FUNCTION"),
            ("uprobe:c:", "write uprobe:FILE:FUNCTION"),
            ("uprobe:c:0xz", "not a number"),
            ("uretprobe:c:strlen+4", "no offset"),
            ("usdt:c:x", "write usdt:"),
            ("software:cpu-clock", "EVENT:PERIOD"),
            ("software:cpu-clock:0", "EVENT:PERIOD"),
            ("profile:99", "profile:hz:RATE"),
            ("tc:lo", "ingress"),
            ("tcx:lo/up", "ingress"),
            ("cgroup:/x", "PATH:ATTACH_TYPE"),
            ("cgroup:/x:xdp", "no type of attachment"),
            ("netns:/x:xdp", "netns:PATH:sk_lookup"),
            ("kprobe:a b", "space"),
        ] {
            let message = text.parse::<Target>().map_or_else(|e| e.to_string(), |t| t.to_string());
            assert!(message.contains(problem) && message.contains(text), "{message}");
        }
    }
}
