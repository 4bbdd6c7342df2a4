//! Attaches programs to the places at which they run: one [`Target`] for each kind.
//!
//! Attaching returns a [`Link`]: the program runs for as long as the link is kept, and dropping it
//! detaches. The kernel does the same for a process that is killed, because a program is kept
//! attached by file descriptors alone. (Where an old kernel can only do it in ways that outlive a process, the
//! module of that kind of place says so.)
//!
//! A program is loaded for one kind of place: [`Target::spec`] makes a spec fit for a target, and [`load_and_attach`] does
//! both, in the best way that the kernel has.

pub mod cgroup;
mod clsact;
mod collection;
mod cookie;
mod device;
pub mod iter;
pub mod kprobe;
mod kprobe_multi;
mod legacy;
mod link;
mod many;
#[cfg(test)]
mod net_tests;
pub mod netns;
mod perf_counter;
mod perf_event;
mod pmu;
mod raw_tracepoint;
pub mod socket;
mod target;
pub mod tc;
pub mod tracepoint;
mod trampoline;
pub mod uprobe;
mod uprobe_multi;
#[cfg(feature = "elf")]
pub mod usdt;
pub mod xdp;

pub use collection::{Attached, attach_collection};
pub use link::Link;
pub use target::{
    Direction, PerfEventKind, Sampling, Suffix, Target, TcMethod, TrampolineAt, XdpMode,
};

use self::cookie::Cookie;
use crate::error::{AttachOption, Error, Result};
use crate::permission::{self, Need};
use crate::program::{Loader, Program};
use crate::spec::ProgramSpec;
use crate::uapi::{AttachType, Errno};

/// Options of an attachment besides its target. All of them are optional.
///
/// ```
/// use rawbpf::attach::Options;
///
/// let options = Options::new().cookie(7).pid(std::process::id());
/// # let _ = options;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    cookie: Option<Cookie>,
    pid: Option<u32>,
    one_cpu: bool,
}

impl Options {
    /// No options.
    pub const fn new() -> Options {
        Options { cookie: None, pid: None, one_cpu: false }
    }

    /// The cookie that `get_attach_cookie` returns to the program, so that one program at many places knows at which one
    /// it runs (kprobes, uprobes, tracepoints, perf events Linux 5.15; `fentry` and its kin 5.19; raw tracepoints 6.10).
    pub const fn cookie(mut self, cookie: u64) -> Options {
        self.cookie = Some(Cookie::new(cookie));
        self
    }

    /// Selects one process instead of all: uprobes, USDT probes, perf events, iterators over tasks (Linux 6.1).
    pub const fn pid(mut self, pid: u32) -> Options {
        self.pid = Some(pid);
        self
    }

    /// Selects one CPU instead of all: perf events of the whole system, such as a timer that ticks once.
    pub const fn one_cpu(mut self) -> Options {
        self.one_cpu = true;
        self
    }

    /// The number of the cookie.
    fn number(&self) -> Option<u64> {
        self.cookie.map(|cookie| cookie.number)
    }

    /// Refuses options that this kind of place does not support.
    fn check(&self, target: &Target) -> Result<()> {
        let (cookie, pid) = match target.plain() {
            Target::Uprobe { .. }
            | Target::UprobeSymbol { .. }
            | Target::UprobeMulti { .. }
            | Target::UprobeSession { .. }
            | Target::Usdt { .. }
            | Target::PerfEvent { .. } => (true, true),
            Target::Iter { name } => (false, name.starts_with("task")),
            Target::Kprobe { .. }
            | Target::KprobeMulti { .. }
            | Target::KprobeSession { .. }
            | Target::Tracepoint { .. }
            | Target::RawTracepoint { .. }
            | Target::RawTracepointWritable { .. }
            | Target::BtfTracepoint { .. }
            | Target::Trampoline { .. }
            | Target::Lsm { .. } => (true, false),
            Target::Xdp { .. }
            | Target::Tc { .. }
            | Target::Cgroup { .. }
            | Target::Netns { .. }
            | Target::Socket { .. }
            | Target::Suffixed { .. } => (false, false),
        };
        let one_cpu = matches!(target, Target::PerfEvent { .. });
        let refused = [
            (self.cookie.is_some() && !cookie, AttachOption::Cookie),
            (self.pid.is_some() && !pid, AttachOption::Process),
            (self.one_cpu && !one_cpu, AttachOption::Cpu),
        ];
        if let Some((_, option)) = refused.into_iter().find(|(is_refused, _)| *is_refused) {
            return Err(Error::AttachOption { target: target.to_string(), option });
        }
        Ok(())
    }
}

/// Returns the error of an attachment that the kernel refused.
#[cold]
#[inline(never)]
fn attach_error(
    program: &Program,
    target: &Target,
    step: &'static str,
    errno: Errno,
    need: Need,
    note: Option<&'static str>,
) -> Error {
    let (program, target) = (program.name().into(), target.to_string().into());
    let why = permission::explain(errno, need);
    Error::Attach { program, target, step, errno, message: None, why, note }
}

/// Attaches a program to what a target names.
///
/// # Errors
/// [`Error::NotFound`] if there is no such place on this kernel,
/// [`Error::Unsupported`] if it has none of the kind,
/// [`Error::Place`] if programs of another type are attached there,
/// [`Error::Attach`] if the kernel refuses.
#[doc(alias("BPF_LINK_CREATE", "BPF_PROG_ATTACH", "BPF_RAW_TRACEPOINT_OPEN"))]
pub fn attach(program: &Program, target: &Target) -> Result<Link> {
    attach_with(program, target, &Options::new())
}

/// Attaches a program to what a target names, with options.
///
/// # Errors
/// The errors of [`attach`]; [`Error::AttachOption`] if this kind of place does not have an option.
pub fn attach_with(program: &Program, target: &Target, options: &Options) -> Result<Link> {
    let plain = target.plain();
    let attach: fn(&Program, &Target) -> Result<Link> = match plain {
        Target::Xdp { .. } => |program, target| xdp::attach(program, target, xdp::XdpMethod::Best),
        Target::Tc { .. } => |program, target| tc::attach(program, target, tc::Position::Last),
        Target::Cgroup { .. } => {
            |program, target| cgroup::attach(program, target, cgroup::CgroupMethod::Best)
        }
        Target::Netns { .. } => netns::attach,
        Target::Socket { .. } => socket::attach_device,
        _ => return attach_traced(program, target, options),
    };
    options.check(target)?;
    plain.check(program)?;
    attach(program, plain)
}

/// Attaches a program to what a target names, unless that is a place of the network or a cgroup: a program that only traces has
/// nothing of those in it.
///
/// # Errors
/// The errors of [`attach_with`]; [`Error::Target`] for such a place.
pub(crate) fn attach_traced(program: &Program, target: &Target, options: &Options) -> Result<Link> {
    options.check(target)?;
    let target = target.plain();
    target.check(program)?;
    let wrong = |problem| Err(Error::Target { target: target.to_string(), problem });
    match target {
        Target::Kprobe { .. } if kprobe_multi::is_for(program) => {
            kprobe_multi::attach(program, target, options)
        }
        Target::Kprobe { .. } => {
            kprobe::attach_with(program, target, kprobe::ProbeMethod::Best, options)
        }
        Target::KprobeMulti { .. } | Target::KprobeSession { .. } => {
            kprobe_multi::attach(program, target, options)
        }
        Target::Tracepoint { .. } => tracepoint::attach(program, target, options),
        Target::RawTracepoint { .. }
        | Target::RawTracepointWritable { .. }
        | Target::BtfTracepoint { .. } => raw_tracepoint::attach(program, target, options),
        Target::Trampoline { .. } | Target::Lsm { .. } => {
            trampoline::attach(program, target, options)
        }
        Target::Iter { .. } => iter::attach(program, target, options),
        Target::PerfEvent { .. } => perf_counter::attach(program, target, options),
        Target::Xdp { .. }
        | Target::Tc { .. }
        | Target::Cgroup { .. }
        | Target::Netns { .. }
        | Target::Socket { .. } => wrong("nothing is traced there"),
        Target::Uprobe { .. }
        | Target::UprobeSymbol { .. }
        | Target::UprobeMulti { .. }
        | Target::UprobeSession { .. } => {
            uprobe::attach_with(program, target, uprobe::ProbeMethod::Best, options)
        }
        Target::Suffixed { .. } => wrong("it has more than one suffix"),
        #[cfg(feature = "elf")]
        Target::Usdt { .. } => usdt::attach_with(program, target, usdt::ProbeMethod::Best, options),
        #[cfg(not(feature = "elf"))]
        Target::Usdt { .. } => {
            wrong("this was built without the feature `elf`, which reads the notes of USDT probes")
        }
    }
}

/// Attaches a program that was loaded for `kprobe.multi` to the entry or the return of functions of the kernel, each with
/// its cookie.
///
/// # Errors
/// [`Error::NoFeature`] if the kernel has no such links, [`Error::Attach`] if it refuses.
#[cfg(feature = "bt")]
pub(crate) fn attach_to_functions(
    program: &Program,
    functions: &[(&str, u64)],
    returns: bool,
) -> Result<Link> {
    kprobe_multi::attach_to(program, functions, returns)
}

/// Attaches a program to functions of one program or library, each with an offset and its cookie: by one link, if the
/// program was loaded for `uprobe.multi`.
///
/// # Errors
/// As [`uprobe::attach`].
#[cfg(feature = "bt")]
pub(crate) fn attach_to_file(
    program: &Program,
    file: &str,
    functions: &[(&str, u64, u64)],
    returns: bool,
    options: &Options,
) -> Result<Link> {
    uprobe::attach_to(program, file, functions, returns, options)
}

/// Loads a program for a target and attaches it, in the best way that this kernel has: kernel functions by a pattern, for
/// instance, all at once by `kprobe.multi` (Linux 5.18, `CONFIG_FPROBE`), and else by a kprobe for each of them.
///
/// Nothing is probed in advance. The way has to be named at load, so where a kernel lacks it the program is loaded a
/// second time.
///
/// ```no_run
/// use rawbpf::attach::{self, Target};
/// use rawbpf::{Loader, ProgramSpec, ProgramType, bpf};
///
/// static NOTHING: ProgramSpec = ProgramSpec::new("nothing", ProgramType::Kprobe, bpf! { r0 = 0; exit; });
/// let mut loader = Loader::new();
/// for target in ["kprobe:vfs_*", "kretprobe:vfs_*"] {
///     let target: Target = target.parse()?;       // it need not live as long as the loader
///     let (_program, link) = attach::load_and_attach(&mut loader, &NOTHING, &target)?;
///     println!("{} functions", link.places());
/// }
/// # Ok::<(), rawbpf::Error>(())
/// ```
///
/// # Errors
/// The errors of [`Loader::load`] and [`attach`].
pub fn load_and_attach<'a>(
    loader: &mut Loader<'a>,
    spec: &ProgramSpec<'a, '_>,
    target: &Target,
) -> Result<(Program, Link)> {
    load_and_attach_with(loader, spec, target, &Options::new())
}

/// Loads a program for a target and attaches it as [`load_and_attach`] does, with options.
///
/// # Errors
/// The errors of [`Loader::load`] and [`attach_with`].
pub fn load_and_attach_with<'a>(
    loader: &mut Loader<'a>,
    spec: &ProgramSpec<'a, '_>,
    target: &Target,
    options: &Options,
) -> Result<(Program, Link)> {
    // The files are those that this process sees.
    let before = loader.set_process(options.pid);
    let answer = load_and_attach_best(loader, spec, target, options);
    loader.set_process(before);
    answer
}

fn load_and_attach_best<'a>(
    loader: &mut Loader<'a>,
    spec: &ProgramSpec<'a, '_>,
    target: &Target,
    options: &Options,
) -> Result<(Program, Link)> {
    let spec = target.spec(spec);
    let many = if kprobe_multi::is_better(target) {
        Some(AttachType::TraceKprobeMulti)
    } else if uprobe_multi::is_better(target) {
        Some(AttachType::TraceUprobeMulti)
    } else {
        None
    };
    if let Some(many) = many {
        let program = loader.load(&spec.with_attach_type(many))?;
        match attach_with(&program, target, options) {
            Err(Error::NoFeature { .. }) => {}
            Err(error) if options.pid.is_some() && uprobe_multi::is_for_all_alone(&error) => {}
            answer => return answer.map(|link| (program, link)),
        }
    }
    let program = loader.load(&spec)?;
    let link = attach_with(&program, target, options)?;
    Ok((program, link))
}
