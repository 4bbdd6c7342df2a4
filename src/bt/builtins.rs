//! The table of builtins: for the checker, for error messages and for the documentation.

use super::hir::Builtin;
use super::probe::Kind;
use super::types::Clock;

/// A builtin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// Its name. `argN` and `sargN` stand for one with a number.
    pub name: &'static str,
    /// Its identity to the checker.
    pub id: Id,
    /// The name of its type, for the documentation.
    pub ty: &'static str,
    /// The probes that have it; none if all have.
    pub kinds: Option<&'static [Kind]>,
    /// The least kernel, if it is newer than 5.10.
    pub since: Option<&'static str>,
    /// One line of help.
    pub help: &'static str,
}

/// The kind of a builtin, as the checker distinguishes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Id {
    /// A value that the kernel gives, of the type that [`ty`](Row::ty) names.
    Plain(Builtin),
    /// `args`
    Args,
    /// `ctx`
    Ctx,
    /// `retval`
    Retval,
    /// `kstack`
    Kstack,
    /// `ustack`
    Ustack,
    /// `probe`
    Probe,
    /// `probetype`
    ProbeType,
    /// `func`
    Func,
    /// `argN`
    Arg,
    /// `sargN`
    StackArg,
    /// `curtask`
    Curtask,
    /// `has_cpid`
    HasCpid,
    /// A builtin that is parsed and rejected by its name.
    Unsupported,
}

use Kind::{Fentry, Fexit, Kprobe, Kretprobe, RawTracepoint, Tracepoint, Uprobe, Uretprobe, Usdt};

const fn row(name: &'static str, id: Id, ty: &'static str, help: &'static str) -> Row {
    Row { name, id, ty, kinds: None, since: None, help }
}

const fn plain(name: &'static str, builtin: Builtin, ty: &'static str, help: &'static str) -> Row {
    row(name, Id::Plain(builtin), ty, help)
}

/// All builtins.
pub(crate) const BUILTINS: &[Row] = &[
    plain("pid", Builtin::Pid { init: false }, "uint32", "process id (thread group id)"),
    plain("tid", Builtin::Tid { init: false }, "uint32", "thread id"),
    plain("uid", Builtin::Uid, "uint32", "user id"),
    plain("gid", Builtin::Gid, "uint32", "group id"),
    plain("comm", Builtin::Comm, "string[16]", "name of the thread"),
    plain("nsecs", Builtin::Nsecs(Clock::Boot), "uint64", "nanoseconds since boot"),
    plain("elapsed", Builtin::Elapsed, "uint64", "nanoseconds since the script began"),
    plain("cpu", Builtin::Cpu, "uint32", "CPU that the probe runs on"),
    plain("ncpus", Builtin::Ncpus, "uint32", "number of CPUs"),
    plain("numaid", Builtin::NumaNode, "uint32", "NUMA node that the probe runs on"),
    plain("cgroup", Builtin::Cgroup, "uint64", "id of the cgroup (v2) of the process"),
    row("curtask", Id::Curtask, "struct task_struct *", "the current task"),
    plain("rand", Builtin::Rand, "uint32", "a random number"),
    plain("ppid", Builtin::Ppid, "uint32", "process id of the parent"),
    plain("username", Builtin::Username, "username", "name of the user"),
    plain("cpid", Builtin::Cpid, "uint32", "process id of the command of -c"),
    row("has_cpid", Id::HasCpid, "bool", "whether there is a command of -c"),
    Row {
        since: Some("5.19"),
        ..plain("jiffies", Builtin::Jiffies, "uint64", "the kernel's ticks")
    },
    Row {
        kinds: Some(&[Kind::Profile, Kind::Software, Kind::Hardware, Kind::Interval]),
        ..plain("usermode", Builtin::Usermode, "uint8", "1 if user space was interrupted, else 0")
    },
    row("probe", Id::Probe, "probe name", "full name of the probe"),
    row("probetype", Id::ProbeType, "string", "type of the probe"),
    Row {
        kinds: Some(&[Kprobe, Kretprobe, Fentry, Fexit, Uprobe, Uretprobe]),
        ..row("func", Id::Func, "function name", "name of the function that is probed")
    },
    row("kstack", Id::Kstack, "kstack", "kernel stack"),
    row("ustack", Id::Ustack, "ustack", "user stack"),
    Row {
        kinds: Some(&[Tracepoint, RawTracepoint, Fentry, Fexit, Uprobe]),
        ..row("args", Id::Args, "struct", "arguments of the probe by name, args.NAME")
    },
    row("ctx", Id::Ctx, "struct *", "context of the program; of iter, what is iterated over"),
    Row {
        kinds: Some(&[Kprobe, Uprobe, Usdt, RawTracepoint, Fentry, Fexit]),
        ..row("argN", Id::Arg, "uint64", "argument of the function by number, from arg0 on")
    },
    Row {
        kinds: Some(&[Kprobe, Uprobe]),
        ..row("sargN", Id::StackArg, "uint64", "argument on the stack by number, from sarg0 on")
    },
    Row {
        kinds: Some(&[Kretprobe, Uretprobe, Fexit]),
        ..row("retval", Id::Retval, "uint64", "result of the function")
    },
];

/// Returns the builtin of a name, and the number of `argN` and `sargN`.
pub(crate) fn find(name: &str) -> Option<(&'static Row, u32)> {
    let numbered = |prefix: &str, id: Id| {
        let digits = name.strip_prefix(prefix)?;
        let canonical = digits == "0" || !digits.starts_with('0');
        let number =
            digits.parse::<u32>().ok().filter(|_| canonical && !digits.starts_with('+'))?;
        BUILTINS.iter().find(|row| row.id == id).map(|row| (row, number))
    };
    let plain =
        BUILTINS.iter().find(|row| row.name == name && !matches!(row.id, Id::Arg | Id::StackArg));
    plain
        .map(|row| (row, 0))
        .or_else(|| numbered("arg", Id::Arg))
        .or_else(|| numbered("sarg", Id::StackArg))
}

/// Returns the names of the builtins that only some probes have and this one has.
pub(crate) fn offered(kind: Kind) -> impl Iterator<Item = &'static str> {
    let has = move |row: &&Row| row.kinds.is_some_and(|kinds| kinds.contains(&kind));
    BUILTINS.iter().filter(has).map(|row| row.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_ones_are_found() {
        let found = |name| find(name).map(|(row, number)| (row.name, number));
        assert_eq!(found("arg0"), Some(("argN", 0)));
        assert_eq!(found("sarg12"), Some(("sargN", 12)));
        assert_eq!(found("args"), Some(("args", 0)));
        assert_eq!(found("pid"), Some(("pid", 0)));
        for name in ["argN", "arg", "arg01", "arg+1", "argx", "sarg", "pidd"] {
            assert_eq!(found(name), None, "{name}");
        }
    }

    #[test]
    fn a_probe_says_what_it_offers() {
        assert_eq!(offered(Kind::Kretprobe).collect::<Vec<_>>(), ["func", "retval"]);
        assert_eq!(offered(Kind::Special).count(), 0);
    }
}
