//! Causes of a refusal, as data: the findings of [`permission`](crate::permission) after the kernel has refused.

use std::fmt;

/// A capability (`capabilities(7)`) that something here can need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
#[non_exhaustive]
pub enum Capability {
    /// Bypass of file permission checks.
    DacOverride = 1,
    /// Network configuration.
    NetAdmin = 12,
    /// Raw and packet sockets.
    NetRaw = 13,
    /// Locking memory beyond the limit.
    IpcLock = 14,
    /// System administration; before Linux 5.8 all of BPF and tracing.
    SysAdmin = 21,
    /// Performance monitoring and tracing. Linux 5.8.
    Perfmon = 38,
    /// BPF. Linux 5.8.
    Bpf = 39,
}

impl Capability {
    /// Its name, `CAP_BPF`.
    pub const fn name(self) -> &'static str {
        match self {
            Capability::DacOverride => "CAP_DAC_OVERRIDE",
            Capability::NetAdmin => "CAP_NET_ADMIN",
            Capability::NetRaw => "CAP_NET_RAW",
            Capability::IpcLock => "CAP_IPC_LOCK",
            Capability::SysAdmin => "CAP_SYS_ADMIN",
            Capability::Perfmon => "CAP_PERFMON",
            Capability::Bpf => "CAP_BPF",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The reason why the kernel refused, as far as it can be determined from outside. Displays as one line: the cause, then
/// what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Denied {
    /// The process lacks capabilities.
    Capability {
        /// The capabilities it lacks.
        missing: Vec<Capability>,
        /// The setting that makes them necessary, if it is one.
        setting: Option<Setting>,
    },
    /// The process has the capabilities, but only inside a user namespace, as root of a container often
    /// has; the kernel requires them in the initial one.
    UserNamespace {
        /// The capabilities that are required.
        needs: Vec<Capability>,
    },
    /// The process has the capabilities in its user namespace, and a token ([`Token`](crate::Token)) that does not delegate
    /// the right.
    Token {
        /// The options that the BPF file system of the token would have to be mounted with:
        /// `delegate_cmds=map_create,delegate_maps=array`.
        options: String,
    },
    /// The memory for it would go over the limit on locked memory, which BPF objects count against
    /// before Linux 5.11.
    Memlock {
        /// The limit, bytes.
        limit: u64,
    },
    /// The memory of the rings would exceed the amount that a user may lock for them.
    RingMemory {
        /// `kernel.perf_event_mlock_kb`, KiB for each CPU, if it can be read.
        mlock_kb: Option<u64>,
    },
    /// The kernel is locked down (`kernel_lockdown(7)`), for instance by Secure Boot.
    Lockdown {
        /// `integrity` or `confidentiality`.
        mode: String,
    },
    /// The process runs under a seccomp filter, as in most containers, and nothing else is missing.
    Seccomp,
    /// A security module may have refused; nothing else is missing.
    SecurityModule {
        /// The active modules that could have refused.
        active: Vec<String>,
    },
}

/// A setting of the kernel (`sysctl(8)`) that contributes to a refusal, and its current value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Setting {
    /// `kernel.unprivileged_bpf_disabled`: 0 would let everyone use some of BPF.
    UnprivilegedBpfDisabled(i32),
    /// `kernel.perf_event_paranoid`: -1 would let everyone open perf events.
    PerfEventParanoid(i32),
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Setting::UnprivilegedBpfDisabled(value) => {
                write!(f, "kernel.unprivileged_bpf_disabled is {value}")
            }
            Setting::PerfEventParanoid(value) => write!(f, "kernel.perf_event_paranoid is {value}"),
        }
    }
}

impl Denied {
    /// Whether this was the cause, and not only a likely one that remains when no other is found.
    pub fn is_certain(&self) -> bool {
        !matches!(self, Denied::Seccomp | Denied::SecurityModule { .. })
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Denied::Capability { missing, setting } => {
                write!(f, "this process lacks {}", and(missing))?;
                if let Some(setting) = setting {
                    write!(f, " and {setting}")?;
                }
                f.write_str("; run it as root")?;
                // These two are as good as being root.
                let broad = [Capability::SysAdmin, Capability::DacOverride];
                if missing.iter().any(|one| broad.contains(one)) {
                    return Ok(());
                }
                let flags: Vec<_> =
                    missing.iter().map(|one| one.name().to_ascii_lowercase()).collect();
                write!(f, ", or allow the program: setcap {}+ep FILE", flags.join(","))
            }
            Denied::UserNamespace { needs } => write!(
                f,
                "this process has {} only in its user namespace, as in a rootless container; run it \
                 outside, or with a BPF token (Linux 6.9)",
                and(needs)
            ),
            Denied::Token { options } => write!(
                f,
                "the token does not lend the right to it: the BPF file system has to be mounted with {options}"
            ),
            Denied::Memlock { limit } => write!(
                f,
                "the limit on locked memory is {} KiB, which BPF counts against before Linux 5.11; \
                 raise it: ulimit -l unlimited",
                limit / 1024
            ),
            Denied::RingMemory { mlock_kb } => {
                f.write_str("the rings are larger than a user may lock in memory")?;
                if let Some(kib) = mlock_kb {
                    write!(f, " (kernel.perf_event_mlock_kb is {kib} KiB a CPU)")?;
                }
                f.write_str(
                    "; make them smaller, raise ulimit -l, or give the program CAP_IPC_LOCK",
                )
            }
            Denied::Lockdown { mode } => write!(
                f,
                "the kernel is locked down ({mode}), often because of Secure Boot; see /sys/kernel/security/lockdown"
            ),
            Denied::Seccomp => f.write_str(
                "the capabilities are there, but a seccomp filter, such as a container's, seems to \
                 forbid this system call; run it outside, or allow bpf and perf_event_open",
            ),
            Denied::SecurityModule { active } => write!(
                f,
                "the capabilities are there, but a security module may forbid it (active: {}); look \
                 in the audit log",
                active.join(", ")
            ),
        }
    }
}

fn and(capabilities: &[Capability]) -> String {
    capabilities.iter().map(|one| one.name()).collect::<Vec<_>>().join(" and ")
}
