//! Targets: the names of places to attach to, as a person writes them.

use crate::error::Error;
use crate::spec::ProgramType;
use std::fmt;
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
/// # Ok::<(), rawbpf::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// A function of the kernel: `kprobe:NAME`, `kprobe:NAME+OFFSET`, `kretprobe:NAME`.
    Kprobe {
        /// The function. `sys_NAME` means the system call, whatever this kernel calls its function.
        function: String,
        /// Bytes from the start of the function; always 0 for a return.
        offset: u64,
        /// Whether the program runs when the function returns.
        returns: bool,
    },
    /// A static tracepoint of the kernel: `tracepoint:CATEGORY/NAME`.
    Tracepoint {
        /// The folder under `events` in tracefs, `syscalls`.
        category: String,
        /// Its name there, `sys_enter_clone`.
        name: String,
    },
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

    /// The type that a program must have to be attached there.
    pub fn program_type(&self) -> ProgramType {
        match self {
            Target::Kprobe { .. } => ProgramType::Kprobe,
            Target::Tracepoint { .. } => ProgramType::Tracepoint,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Kprobe { function, offset, returns } => {
                let kind = if *returns { "kretprobe" } else { "kprobe" };
                write!(f, "{kind}:{function}")?;
                if *offset > 0 { write!(f, "+{offset:#x}") } else { Ok(()) }
            }
            Target::Tracepoint { category, name } => write!(f, "tracepoint:{category}/{name}"),
        }
    }
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Target, Error> {
        let wrong = |problem| Error::Target { target: text.into(), problem };
        let (kind, rest) = text.split_once(':').ok_or_else(|| {
            wrong("write kprobe:NAME, kretprobe:NAME or tracepoint:CATEGORY/NAME")
        })?;
        if rest.contains(['\0', '\n', ' ']) {
            return Err(wrong("no name of the kernel's holds a space, a line break or a NUL"));
        }
        match kind {
            "kprobe" | "kretprobe" => {
                let returns = kind == "kretprobe";
                let (function, offset) = match rest.split_once('+') {
                    None => (rest, 0),
                    Some((function, offset)) => (
                        function,
                        number(offset).ok_or_else(|| wrong("the offset is not a number"))?,
                    ),
                };
                if function.is_empty() {
                    return Err(wrong("the function's name is missing"));
                }
                if returns && offset > 0 {
                    return Err(wrong("a function returns to one place: no offset for kretprobe"));
                }
                Ok(Target::Kprobe { function: function.into(), offset, returns })
            }
            "tracepoint" => match rest.split_once(['/', ':']) {
                Some((category, name))
                    if !category.is_empty() && !name.is_empty() && !name.contains(['/', ':']) =>
                {
                    Ok(Target::tracepoint(category, name))
                }
                _ => Err(wrong("write tracepoint:CATEGORY/NAME")),
            },
            _ => Err(wrong("its kind is none of kprobe, kretprobe, tracepoint")),
        }
    }
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
            "kretprobe:vfs_read",
            "tracepoint:syscalls/sys_enter_clone",
        ] {
            assert_eq!(text.parse::<Target>().map(|t| t.to_string()).ok().as_deref(), Some(text));
        }
        // bpftrace's way of writing it.
        assert_eq!(
            "tracepoint:sched:sched_switch".parse::<Target>().ok(),
            Some(Target::tracepoint("sched", "sched_switch"))
        );
    }

    #[test]
    fn what_is_no_target_says_why() {
        for (text, problem) in [
            ("sys_clone", "write kprobe:NAME"),
            ("kprobe:", "name is missing"),
            ("kprobe:f+", "not a number"),
            ("kprobe:f+0xg", "not a number"),
            ("kretprobe:f+4", "no offset"),
            ("tracepoint:sched", "CATEGORY/NAME"),
            ("tracepoint:sched/a/b", "CATEGORY/NAME"),
            ("tracepoint:/x", "CATEGORY/NAME"),
            ("uprobe:c:strlen", "its kind is none of"),
            ("kprobe:a b", "space"),
        ] {
            let message = text.parse::<Target>().map_or_else(|e| e.to_string(), |t| t.to_string());
            assert!(message.contains(problem) && message.contains(text), "{message}");
        }
    }
}
