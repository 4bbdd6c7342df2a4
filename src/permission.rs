//! Why the kernel refused: the cause behind `EPERM` and `EACCES`, and what to do about it.
//!
//! The kernel has one errno for many causes. They are distinguished here by the files in `/proc` about this process
//! and the kernel's settings, and only after a call has failed: checking first would cost system calls
//! and could still be wrong.

use crate::error::Error;
use crate::syscall;
use crate::syscall::memlock::counts_memlock;
use crate::uapi::Errno;
use crate::util::file;
use std::fs;
use std::io;
use std::path::Path;
use std::str::FromStr;

pub use crate::error::{Capability, Denied, Setting};

/// The kind of call that was refused, for [`explain`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// A map, or a program of a type that needs only BPF.
    Bpf,
    /// A program that looks into the kernel: kprobe, tracepoint, perf event.
    Tracing,
    /// `perf_event_open(2)`.
    PerfEvent,
    /// The same of the uprobe PMU, for which maintained kernels want more since July 2025 (`perf: Fix uprobes`).
    Uprobe,
    /// `mmap(2)` of a perf ring.
    Ring,
    /// A file of tracefs.
    Tracefs,
    /// `mount(2)`.
    Mount,
    /// Objects of others, by their numbers.
    Numbers,
    /// A program among those of a network device or of a control group.
    Network,
    /// A packet socket.
    Packets,
}

/// Determines why a call was refused with `errno`. Called after it was, and only then; `None` if it was
/// not a refusal or no known cause explains it.
///
/// `bpf(2)` refuses with `EPERM`; its `EACCES` means that the verifier rejected the program, and is
/// independent of the process.
pub(crate) fn explain(errno: Errno, need: Need) -> Option<Denied> {
    match (errno, need) {
        (Errno(libc::EPERM), _) => {}
        (Errno(libc::EACCES), Need::Bpf | Need::Tracing) => return None,
        (Errno(libc::EACCES), _) => {}
        _ => return None,
    }
    let limit = syscall::memlock().map_or(syscall::UNLIMITED, |(soft, _)| soft);
    cause(&Facts::read(limit), need)
}

/// The same for a call that was made with a token; these options would have delegated the right.
pub(crate) fn explain_lent(errno: Errno, need: Need, options: String) -> Option<Denied> {
    match explain(errno, need) {
        Some(Denied::UserNamespace { .. }) => Some(Denied::Token { options }),
        other => other,
    }
}

/// Returns the mode in which the kernel is locked down, `integrity` or `confidentiality`; `None` if it is not.
pub(crate) fn lockdown() -> Option<String> {
    let bytes = fs::read(LOCKDOWN).unwrap_or_default();
    locked_down(&String::from_utf8_lossy(&bytes)).map(str::to_owned)
}

const LOCKDOWN: &str = "/sys/kernel/security/lockdown";

/// The word in brackets, if it is a mode of lockdown: `none [integrity] confidentiality`.
fn locked_down(modes: &str) -> Option<&str> {
    let (_, after) = modes.split_once('[')?;
    let (mode, _) = after.split_once(']')?;
    Some(mode).filter(|mode| *mode != "none")
}

/// The error for a file of tracefs or of sysfs that could not be used.
pub(crate) fn file(action: &'static str, path: &Path, source: io::Error) -> Error {
    let why = explain(Errno::of(&source), Need::Tracefs);
    Error::File { action, path: path.into(), source, why }
}

/// The kernel's files about this process and its own settings: their text, empty where one
/// could not be read.
#[derive(Debug, Default, Clone)]
struct Facts {
    /// `/proc/thread-self/status`: `CapEff` and `Seccomp`, which are each thread's own.
    status: String,
    /// `/proc/sys/kernel/cap_last_cap`: the highest capability this kernel knows.
    last_cap: String,
    /// `/proc/thread-self/uid_map`: the identity outside user namespaces.
    uid_map: String,
    /// The link `/proc/thread-self/ns/user`: a fixed number for the first user namespace.
    user_ns: String,
    /// `/proc/sys/kernel/unprivileged_bpf_disabled`.
    unprivileged_bpf: String,
    /// `/proc/sys/kernel/perf_event_paranoid`.
    paranoid: String,
    /// `/proc/sys/kernel/perf_event_mlock_kb`.
    mlock_kb: String,
    /// `/sys/kernel/security/lockdown`: `none [integrity] confidentiality`.
    lockdown: String,
    /// `/sys/kernel/security/lsm`: `lockdown,capability,selinux,bpf`.
    lsm: String,
    /// `/sys/fs/selinux/enforce`: 0 when SELinux only warns.
    selinux: String,
    /// `/proc/thread-self/attr/current`: `unconfined` when AppArmor leaves the process alone.
    profile: String,
    /// `release` of uname(2).
    release: String,
    /// The soft limit on locked memory, bytes.
    memlock: u64,
}

impl Facts {
    fn read(memlock: u64) -> Facts {
        let text = |path: &str| {
            let bytes = file::read(path).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let link = fs::read_link("/proc/thread-self/ns/user").unwrap_or_default();
        Facts {
            status: text("/proc/thread-self/status"),
            last_cap: text("/proc/sys/kernel/cap_last_cap"),
            uid_map: text("/proc/thread-self/uid_map"),
            user_ns: link.to_string_lossy().into_owned(),
            unprivileged_bpf: text("/proc/sys/kernel/unprivileged_bpf_disabled"),
            paranoid: text("/proc/sys/kernel/perf_event_paranoid"),
            mlock_kb: text("/proc/sys/kernel/perf_event_mlock_kb"),
            lockdown: text(LOCKDOWN),
            lsm: text("/sys/kernel/security/lsm"),
            selinux: text("/sys/fs/selinux/enforce"),
            profile: text("/proc/thread-self/attr/current"),
            release: syscall::release(),
            memlock,
        }
    }

    /// A line of `/proc/thread-self/status`.
    fn status(&self, key: &str) -> Option<&str> {
        let mut lines = self.status.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(name, _)| *name == key).map(|(_, value)| value.trim())
    }

    /// Whether the process has the capability in effect. One that cannot be looked up counts as present,
    /// so that it is not reported as the cause.
    fn has(&self, capability: Capability) -> bool {
        let effective = self.status("CapEff").and_then(|hex| u64::from_str_radix(hex, 16).ok());
        effective.is_none_or(|bits| bits & 1 << capability as u32 != 0)
    }

    /// Whether the process is outside all user namespaces but the first.
    fn in_first_user_namespace(&self) -> bool {
        // PROC_USER_INIT_INO in include/linux/proc_ns.h. A privileged process can give a user namespace
        // the identity map, so the map alone is not enough.
        let first = self.user_ns.is_empty() || self.user_ns == "user:[4026531837]";
        let map: Vec<_> = self.uid_map.split_whitespace().collect();
        first && (map.is_empty() || map == ["0", "0", "4294967295"])
    }

    /// The security modules that could have refused.
    fn suspects(&self) -> Vec<String> {
        let could = |module: &&str| match *module {
            "selinux" => self.selinux.trim() != "0",
            "apparmor" => !self.profile.trim_end_matches('\0').trim().eq("unconfined"),
            "smack" | "tomoyo" | "bpf" => true,
            _ => false,
        };
        self.lsm.trim().split(',').filter(could).map(String::from).collect()
    }

    /// The mode of lockdown, if there is one.
    fn lockdown(&self) -> Option<&str> {
        locked_down(&self.lockdown)
    }
}

/// The cause, from the facts; the most likely first.
fn cause(facts: &Facts, need: Need) -> Option<Denied> {
    // CAP_BPF and CAP_PERFMON were taken out of CAP_SYS_ADMIN in Linux 5.8; before, it stands for both,
    // and ever since it still includes both.
    let old = number(&facts.last_cap).is_some_and(|last: u32| last < Capability::Bpf as u32);
    let wanted: &[Capability] = match need {
        Need::Bpf if old => &[Capability::SysAdmin],
        Need::Bpf => &[Capability::Bpf],
        Need::Tracing | Need::PerfEvent | Need::Uprobe if old => &[Capability::SysAdmin],
        Need::Tracing => &[Capability::Bpf, Capability::Perfmon],
        Need::PerfEvent => &[Capability::Perfmon],
        Need::Uprobe => &[Capability::Perfmon, Capability::SysAdmin],
        Need::Ring => &[Capability::IpcLock],
        Need::Tracefs => &[Capability::DacOverride],
        Need::Mount | Need::Numbers => &[Capability::SysAdmin],
        Need::Network => &[Capability::NetAdmin],
        Need::Packets => &[Capability::NetRaw],
    };
    let includes = |one: Capability| {
        let in_sys_admin = matches!(one, Capability::Bpf | Capability::Perfmon);
        in_sys_admin && facts.has(Capability::SysAdmin)
    };
    let missing: Vec<_> =
        wanted.iter().copied().filter(|&one| !facts.has(one) && !includes(one)).collect();
    if need == Need::Ring {
        // Without the capability it is a matter of size; with it the limit does not apply.
        let mlock_kb = number(&facts.mlock_kb);
        return (!missing.is_empty() || !facts.in_first_user_namespace())
            .then_some(Denied::RingMemory { mlock_kb });
    }
    if !missing.is_empty() {
        let setting = match need {
            Need::Bpf => number(&facts.unprivileged_bpf)
                .filter(|value| *value != 0)
                .map(Setting::UnprivilegedBpfDisabled),
            Need::PerfEvent | Need::Uprobe if missing.contains(&Capability::Perfmon) => {
                number(&facts.paranoid).filter(|value| *value > -1).map(Setting::PerfEventParanoid)
            }
            _ => None,
        };
        return Some(Denied::Capability { missing, setting });
    }
    if !facts.in_first_user_namespace() {
        return Some(Denied::UserNamespace { needs: wanted.into() });
    }
    if need == Need::Mount {
        return None;
    }
    let counted = matches!(need, Need::Bpf | Need::Tracing);
    if counted && counts_memlock(&facts.release) && facts.memlock != syscall::UNLIMITED {
        return Some(Denied::Memlock { limit: facts.memlock });
    }
    if let Some(mode) = facts.lockdown() {
        return Some(Denied::Lockdown { mode: mode.into() });
    }
    // 1 is strict mode, which kills; 2 is a filter.
    if facts.status("Seccomp") == Some("2") && need != Need::Tracefs {
        return Some(Denied::Seccomp);
    }
    let active = facts.suspects();
    (!active.is_empty()).then_some(Denied::SecurityModule { active })
}

fn number<T: FromStr>(text: &str) -> Option<T> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Root on a current kernel, nothing in its way.
    fn root() -> Facts {
        Facts {
            status:
                "Name:\tcat\nCapInh:\t0000000000000000\nCapEff:\t000001ffffffffff\nSeccomp:\t0\n"
                    .into(),
            last_cap: "40\n".into(),
            uid_map: "         0          0 4294967295\n".into(),
            user_ns: "user:[4026531837]".into(),
            unprivileged_bpf: "2\n".into(),
            paranoid: "2\n".into(),
            mlock_kb: "516\n".into(),
            lockdown: "[none] integrity confidentiality\n".into(),
            lsm: "lockdown,capability,landlock,yama".into(),
            selinux: String::new(),
            profile: String::new(),
            release: "6.12.48-cloud-amd64\n".into(),
            memlock: 8 << 20,
        }
    }

    fn capabilities(mut facts: Facts, effective: u64) -> Facts {
        facts.status = format!("CapEff:\t{effective:016x}\nSeccomp:\t0\n");
        facts
    }

    fn user() -> Facts {
        capabilities(root(), 0)
    }

    fn bit(capability: Capability) -> u64 {
        1 << capability as u32
    }

    fn missing(facts: &Facts, need: Need) -> Vec<Capability> {
        match cause(facts, need) {
            Some(Denied::Capability { missing, .. }) => missing,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn root_with_nothing_in_its_way_is_not_explained() {
        let bpf = [Need::Bpf, Need::Tracing, Need::PerfEvent];
        for need in bpf.into_iter().chain([Need::Ring, Need::Tracefs, Need::Mount]) {
            assert_eq!(cause(&root(), need), None, "{need:?}");
        }
    }

    #[test]
    fn a_user_lacks_capabilities() {
        use Capability::*;
        assert_eq!(missing(&user(), Need::Bpf), [Bpf]);
        assert_eq!(missing(&user(), Need::Tracing), [Bpf, Perfmon]);
        assert_eq!(missing(&user(), Need::PerfEvent), [Perfmon]);
        assert_eq!(missing(&user(), Need::Uprobe), [Perfmon, SysAdmin]);
        assert_eq!(missing(&user(), Need::Tracefs), [DacOverride]);
        assert_eq!(missing(&user(), Need::Mount), [SysAdmin]);
        assert_eq!(missing(&user(), Need::Network), [NetAdmin]);
        assert_eq!(missing(&user(), Need::Packets), [NetRaw]);
    }

    #[test]
    fn only_what_is_missing_is_named() {
        let facts = capabilities(root(), bit(Capability::Bpf));
        assert_eq!(missing(&facts, Need::Tracing), [Capability::Perfmon]);
        assert_eq!(cause(&facts, Need::Bpf), None);
        let both = capabilities(root(), bit(Capability::Bpf) | bit(Capability::Perfmon));
        assert_eq!(missing(&both, Need::Uprobe), [Capability::SysAdmin]);
        assert_eq!(cause(&both, Need::PerfEvent), None);
        // CAP_SYS_ADMIN includes CAP_BPF and CAP_PERFMON, and not the others.
        let facts = capabilities(root(), bit(Capability::SysAdmin));
        assert_eq!(cause(&facts, Need::Tracing), None);
        assert_eq!(missing(&facts, Need::Tracefs), [Capability::DacOverride]);
    }

    #[test]
    fn before_5_8_it_is_cap_sys_admin() {
        let facts = Facts { last_cap: "37\n".into(), ..user() };
        assert_eq!(missing(&facts, Need::Tracing), [Capability::SysAdmin]);
        assert_eq!(missing(&facts, Need::Bpf), [Capability::SysAdmin]);
        assert_eq!(missing(&facts, Need::PerfEvent), [Capability::SysAdmin]);
    }

    #[test]
    fn settings_are_named_where_they_matter() {
        let said = |need| cause(&user(), need).unwrap().to_string();
        assert_eq!(
            said(Need::Bpf),
            "this process lacks CAP_BPF and kernel.unprivileged_bpf_disabled is 2; run it as root, \
             or allow the program: setcap cap_bpf+ep FILE"
        );
        assert_eq!(
            said(Need::PerfEvent),
            "this process lacks CAP_PERFMON and kernel.perf_event_paranoid is 2; run it as root, or \
             allow the program: setcap cap_perfmon+ep FILE"
        );
        assert_eq!(
            said(Need::Tracing),
            "this process lacks CAP_BPF and CAP_PERFMON; run it as root, or allow the program: \
             setcap cap_bpf,cap_perfmon+ep FILE"
        );
        assert_eq!(said(Need::Mount), "this process lacks CAP_SYS_ADMIN; run it as root");
        // Where the setting already allows it, it is not what is in the way.
        let open = Facts { unprivileged_bpf: "0\n".into(), ..user() };
        let said = cause(&open, Need::Bpf).unwrap().to_string();
        assert!(!said.contains("unprivileged_bpf_disabled"), "{said}");
    }

    #[test]
    fn root_of_a_container_is_told_so() {
        let needs = vec![Capability::Bpf, Capability::Perfmon];
        let reported = Some(Denied::UserNamespace { needs });
        let mapped = Facts { uid_map: "0 100000 65536\n".into(), ..root() };
        assert_eq!(cause(&mapped, Need::Tracing), reported);
        let named = Facts { user_ns: "user:[4026532177]".into(), ..root() };
        assert_eq!(cause(&named, Need::Tracing), reported);
        let unknown = Facts { user_ns: String::new(), uid_map: String::new(), ..root() };
        assert_eq!(cause(&unknown, Need::Tracing), None);
    }

    #[test]
    fn memlock_before_5_11() {
        let facts = Facts { release: "5.10.0-36-cloud-amd64\n".into(), memlock: 65536, ..root() };
        assert_eq!(cause(&facts, Need::Bpf), Some(Denied::Memlock { limit: 65536 }));
        assert_eq!(cause(&facts, Need::PerfEvent), None);
        assert!(cause(&facts, Need::Bpf).unwrap().to_string().contains("64 KiB"));
        let unlimited = Facts { memlock: syscall::UNLIMITED, ..facts };
        assert_eq!(cause(&unlimited, Need::Bpf), None);
    }

    #[test]
    fn lockdown() {
        for (text, mode) in [
            ("none [integrity] confidentiality\n", "integrity"),
            ("none integrity [confidentiality]\n", "confidentiality"),
        ] {
            let facts = Facts { lockdown: text.into(), ..root() };
            assert_eq!(
                cause(&facts, Need::PerfEvent),
                Some(Denied::Lockdown { mode: mode.into() })
            );
        }
    }

    #[test]
    fn seccomp() {
        let mut facts = root();
        facts.status = facts.status.replace("Seccomp:\t0", "Seccomp:\t2");
        assert_eq!(cause(&facts, Need::Bpf), Some(Denied::Seccomp));
        assert_eq!(cause(&facts, Need::Tracefs), None);
    }

    #[test]
    fn security_modules() {
        let active = |facts: &Facts| match cause(facts, Need::Bpf) {
            Some(Denied::SecurityModule { active }) => active,
            None => Vec::new(),
            other => panic!("{other:?}"),
        };
        let lsm = "lockdown,capability,yama,selinux,apparmor,bpf\n".to_string();
        let facts = Facts { lsm, ..root() };
        assert_eq!(active(&facts), ["selinux", "apparmor", "bpf"]);
        let facts = Facts { selinux: "0".into(), profile: "unconfined\n".into(), ..facts };
        assert_eq!(active(&facts), ["bpf"]);
        assert!(active(&Facts { lsm: String::new(), ..root() }).is_empty());
    }

    #[test]
    fn rings_are_a_matter_of_size() {
        let reported = Denied::RingMemory { mlock_kb: Some(516) };
        assert_eq!(cause(&user(), Need::Ring), Some(reported.clone()));
        assert!(reported.to_string().contains("516 KiB"));
    }

    #[test]
    fn only_refusals_are_explained() {
        for errno in [libc::EINVAL, libc::ENOENT, libc::E2BIG, libc::ENOMEM] {
            assert_eq!(explain(Errno(errno), Need::Bpf), None);
        }
        // The verifier's.
        assert_eq!(explain(Errno(libc::EACCES), Need::Tracing), None);
    }

    proptest! {
        #[test]
        fn any_text_will_do(texts in prop::collection::vec("[\\PC\n]{0,8}", 12), memlock: u64) {
            let mut texts = texts.into_iter();
            let mut next = || texts.next().unwrap();
            let facts = Facts {
                status: format!("CapEff:{}\n", next()),
                last_cap: next(),
                uid_map: next(),
                user_ns: next(),
                unprivileged_bpf: next(),
                paranoid: next(),
                mlock_kb: next(),
                lockdown: format!("[{}", next()),
                lsm: next(),
                selinux: next(),
                profile: next(),
                release: next(),
                memlock,
            };
            for need in [Need::Bpf, Need::Tracing, Need::Ring, Need::Tracefs, Need::Mount] {
                if let Some(denied) = cause(&facts, need) {
                    prop_assert!(denied.to_string().len() > 10);
                }
            }
        }
    }
}
