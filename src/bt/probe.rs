//! Attach points as data: each provider with its parts.

mod parse;

pub(crate) use parse::{PROVIDERS, parse};

use std::fmt;

/// A place that a probe is attached to. Before expansion the names may hold wildcards (`*`, `?`, `[…]`); after it none
/// does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum AttachPoint {
    /// `BEGIN`: once, before all others.
    Begin,
    /// `END`: once, after all others.
    End,
    /// `self:signal:SIGUSR1`
    Signal(String),
    /// `interval:s:1`: on one CPU.
    Interval(Rate),
    /// `profile:hz:99`: on each CPU.
    Profile(Rate),
    /// `software:faults:100`, `hardware:cache-misses:1000000`
    Event {
        /// Whether the event is one of the processor.
        hardware: bool,
        /// Its name as written, `cpu` or `cpu-clock`.
        event: String,
        /// The sample period in events; the event's default if not given.
        count: Option<u64>,
    },
    /// `tracepoint:category:name`
    Tracepoint {
        /// The category.
        category: String,
        /// The event.
        name: String,
    },
    /// `rawtracepoint:name`, `rawtracepoint:module:name`
    RawTracepoint {
        /// The module; `vmlinux` is the kernel itself.
        module: Option<String>,
        /// The tracepoint.
        name: String,
    },
    /// `kprobe:function`, `kprobe:module:function+8`, `kretprobe:function`, and by `kprobe:0x…` an address
    Kprobe {
        /// Whether it is where the function returns.
        ret: bool,
        /// The module.
        module: Option<String>,
        /// The function; empty if it is an address.
        function: String,
        /// Bytes from its beginning; the address if there is no function.
        offset: u64,
    },
    /// `fentry:function`, `fexit:module:function`
    Fentry {
        /// Whether it is where the function returns.
        exit: bool,
        /// The module.
        module: Option<String>,
        /// The function.
        function: String,
    },
    /// `uprobe:path:function+8`, `uprobe:path:0x1234`, `uretprobe:path:function`
    Uprobe {
        /// Whether it is where the function returns.
        ret: bool,
        /// The program or library, as written.
        path: String,
        /// The function; empty if it is an address.
        function: String,
        /// Bytes from its beginning; the address in the file if there is no function.
        offset: u64,
        /// Whether the function's name is a demangled one.
        demangled: bool,
    },
    /// `usdt:path:provider:name`
    Usdt {
        /// The program or library, as written.
        path: String,
        /// The provider.
        provider: Option<String>,
        /// The probe.
        name: String,
    },
    /// `watchpoint:0x1000:8:rw`, `asyncwatchpoint:function+arg1:8:w`
    Watchpoint {
        /// Whether the process is not stopped while it is set up.
        asynchronous: bool,
        /// The watched address.
        address: Watched,
        /// The number of bytes to watch.
        length: u64,
        /// `r`, `w`, `x`.
        mode: String,
    },
    /// `iter:task`, `iter:task:pin`
    Iter {
        /// The iterator type: the kind of objects to iterate over.
        target: String,
        /// The path at which the iterator is pinned.
        pin: Option<String>,
    },
    /// `bench:name`, `test:name`: only run on request.
    OnRequest {
        /// Whether it is a test.
        test: bool,
        /// Its name.
        name: String,
    },
}

/// The rate of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Rate {
    /// The frequency, in hertz.
    Hertz(u64),
    /// The period as a number of units, each in nanoseconds: `s:1` is 1 of 1,000,000,000.
    Period {
        /// The number of units.
        count: u64,
        /// The unit in nanoseconds: 1, 1,000, 1,000,000 or 1,000,000,000.
        unit: u64,
    },
}

impl Rate {
    /// Returns the nanoseconds from one firing to the next.
    pub(crate) fn nanoseconds(self) -> u64 {
        match self {
            Rate::Hertz(rate) => 1_000_000_000 / rate.max(1),
            Rate::Period { count, unit } => count.saturating_mul(unit),
        }
    }
}

/// The location that a watchpoint watches.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Watched {
    /// An address.
    Address(u64),
    /// The address that a function gets as an argument.
    Argument(String, u32),
}

/// The kinds of attach points, by what a program at one can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// `BEGIN`, `END`, `self:signal`, `bench`, `test`: run by ourselves.
    Special,
    /// `interval`
    Interval,
    /// `profile`
    Profile,
    /// `software`
    Software,
    /// `hardware`
    Hardware,
    /// `tracepoint`
    Tracepoint,
    /// `rawtracepoint`
    RawTracepoint,
    /// `kprobe`
    Kprobe,
    /// `kretprobe`
    Kretprobe,
    /// `fentry`
    Fentry,
    /// `fexit`
    Fexit,
    /// `uprobe`
    Uprobe,
    /// `uretprobe`
    Uretprobe,
    /// `usdt`
    Usdt,
    /// `watchpoint`, `asyncwatchpoint`
    Watchpoint,
    /// `iter`
    Iter,
}

impl Kind {
    /// Returns the word of it, as in `probetype`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Special => "special",
            Kind::Interval => "interval",
            Kind::Profile => "profile",
            Kind::Software => "software",
            Kind::Hardware => "hardware",
            Kind::Tracepoint => "tracepoint",
            Kind::RawTracepoint => "rawtracepoint",
            Kind::Kprobe => "kprobe",
            Kind::Kretprobe => "kretprobe",
            Kind::Fentry => "fentry",
            Kind::Fexit => "fexit",
            Kind::Uprobe => "uprobe",
            Kind::Uretprobe => "uretprobe",
            Kind::Usdt => "usdt",
            Kind::Watchpoint => "watchpoint",
            Kind::Iter => "iter",
        }
    }

    /// Whether the program is one of user space, so that pointers are meant to point there.
    pub(crate) fn is_user(self) -> bool {
        matches!(self, Kind::Uprobe | Kind::Uretprobe | Kind::Usdt)
    }
}

impl AttachPoint {
    /// Returns the kind.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            AttachPoint::Begin
            | AttachPoint::End
            | AttachPoint::Signal(_)
            | AttachPoint::OnRequest { .. } => Kind::Special,
            AttachPoint::Interval(_) => Kind::Interval,
            AttachPoint::Profile(_) => Kind::Profile,
            AttachPoint::Event { hardware: false, .. } => Kind::Software,
            AttachPoint::Event { .. } => Kind::Hardware,
            AttachPoint::Tracepoint { .. } => Kind::Tracepoint,
            AttachPoint::RawTracepoint { .. } => Kind::RawTracepoint,
            AttachPoint::Kprobe { ret: false, .. } => Kind::Kprobe,
            AttachPoint::Kprobe { .. } => Kind::Kretprobe,
            AttachPoint::Fentry { exit: false, .. } => Kind::Fentry,
            AttachPoint::Fentry { .. } => Kind::Fexit,
            AttachPoint::Uprobe { ret: false, .. } => Kind::Uprobe,
            AttachPoint::Uprobe { .. } => Kind::Uretprobe,
            AttachPoint::Usdt { .. } => Kind::Usdt,
            AttachPoint::Watchpoint { .. } => Kind::Watchpoint,
            AttachPoint::Iter { .. } => Kind::Iter,
        }
    }

    /// Returns the name of the function that is probed, as the builtin `func` gives it.
    pub(crate) fn function(&self) -> Option<&str> {
        match self {
            AttachPoint::Kprobe { function, .. }
            | AttachPoint::Fentry { function, .. }
            | AttachPoint::Uprobe { function, .. } => Some(function),
            _ => None,
        }
    }
}

/// Writes the full name as bpftrace gives it: the value of the builtin `probe`.
impl fmt::Display for AttachPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind().word();
        match self {
            AttachPoint::Begin => f.write_str("BEGIN"),
            AttachPoint::End => f.write_str("END"),
            AttachPoint::Signal(name) => write!(f, "self:signal:{name}"),
            AttachPoint::Interval(rate) | AttachPoint::Profile(rate) => match *rate {
                Rate::Hertz(rate) => write!(f, "{kind}:hz:{rate}"),
                Rate::Period { count, unit } => match unit {
                    1_000_000_000 => write!(f, "{kind}:s:{count}"),
                    1_000_000 => write!(f, "{kind}:ms:{count}"),
                    1_000 => write!(f, "{kind}:us:{count}"),
                    // As bpftrace names it, if nothing is lost by that.
                    _ if count % 1_000 == 0 => write!(f, "{kind}:us:{}", count / 1_000),
                    _ => write!(f, "{kind}:{count}"),
                },
            },
            AttachPoint::Event { event, count, .. } => {
                write!(f, "{kind}:{event}:")?;
                count.map_or(Ok(()), |count| write!(f, "{count}"))
            }
            AttachPoint::Tracepoint { category, name } => write!(f, "{kind}:{category}:{name}"),
            AttachPoint::RawTracepoint { module, name } => {
                write!(f, "{kind}:{}{name}", prefix(module.as_deref()))
            }
            AttachPoint::Kprobe { module, function, offset, .. } => {
                write!(f, "{kind}:{}", prefix(module.as_deref()))?;
                place(f, function, *offset)
            }
            AttachPoint::Fentry { module, function, .. } => {
                write!(f, "{kind}:{}{function}", prefix(module.as_deref()))
            }
            AttachPoint::Uprobe { path, function, offset, .. } => {
                write!(f, "{kind}:{path}:")?;
                place(f, function, *offset)
            }
            AttachPoint::Usdt { path, provider, name } => {
                write!(f, "{kind}:{path}:{}{name}", prefix(provider.as_deref()))
            }
            AttachPoint::Watchpoint { asynchronous, address, length, mode } => {
                let word = if *asynchronous { "asyncwatchpoint" } else { "watchpoint" };
                match address {
                    Watched::Address(address) => write!(f, "{word}:0x{address:x}:{length}:{mode}"),
                    Watched::Argument(function, argument) => {
                        write!(f, "{word}:{function}+arg{argument}:{length}:{mode}")
                    }
                }
            }
            AttachPoint::Iter { target, pin: None } => write!(f, "iter:{target}"),
            AttachPoint::Iter { target, pin: Some(pin) } => write!(f, "iter:{target}:{pin}"),
            AttachPoint::OnRequest { test: true, name } => write!(f, "test:{name}"),
            AttachPoint::OnRequest { name, .. } => write!(f, "bench:{name}"),
        }
    }
}

fn prefix(part: Option<&str>) -> String {
    part.map(|part| format!("{part}:")).unwrap_or_default()
}

fn place(f: &mut fmt::Formatter<'_>, function: &str, offset: u64) -> fmt::Result {
    match (function, offset) {
        ("", _) => write!(f, "0x{offset:x}"),
        (_, 0) => f.write_str(function),
        _ => write!(f, "{function}+{offset}"),
    }
}
