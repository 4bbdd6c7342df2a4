//! Places of attachment in specs.

use std::fmt;

/// The place that a program is loaded for, as an attachment knows it: the arguments that it passes are those that
/// `args.NAME` means. It is shown as a [`target`](super::ProgramSpec::target) is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttachTo<'a> {
    /// A tracepoint, or those that match patterns: `CATEGORY/NAME`.
    Tracepoint {
        /// The folder under `events` in tracefs.
        category: &'a str,
        /// Its name there.
        name: &'a str,
    },
    /// A raw tracepoint: `NAME`.
    RawTracepoint {
        /// Its name without the category.
        name: &'a str,
    },
    /// A function, or those that match a pattern: of the kernel `FUNCTION`, of a program or library `FILE:FUNCTION`.
    Function {
        /// The path or name of the file; `None` for the kernel.
        file: Option<&'a str>,
        /// The function, or empty if the place is an offset in the file.
        function: &'a str,
        /// Bytes from there.
        offset: u64,
        /// Whether the program runs when the function returns.
        returns: bool,
    },
    /// A static probe of a program or library: `FILE:PROVIDER:NAME`.
    Usdt {
        /// The path or name of the file.
        file: &'a str,
        /// The provider, or empty for any.
        provider: &'a str,
        /// The probe.
        name: &'a str,
    },
}

/// What a place ends with that is the return of a function, as `kprobe_events` in tracefs has it.
pub(crate) const RETURN: &str = "%return";

impl fmt::Display for AttachTo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttachTo::Tracepoint { category, name } => write!(f, "{category}/{name}"),
            AttachTo::RawTracepoint { name } => f.write_str(name),
            AttachTo::Usdt { file, provider, name } => write!(f, "{file}:{provider}:{name}"),
            AttachTo::Function { file, function, offset, returns } => {
                if let Some(file) = file {
                    write!(f, "{file}:")?;
                }
                match (file.is_some() && function.contains(':'), function) {
                    // Not to be taken for a USDT probe.
                    (true, function) => write!(f, "\"{function}\"")?,
                    (false, function) => f.write_str(function)?,
                }
                match (function.is_empty(), offset) {
                    (true, offset) => write!(f, "{offset:#x}")?,
                    (false, 0) => {}
                    (false, offset) => write!(f, "+{offset:#x}")?,
                }
                f.write_str(if *returns { RETURN } else { "" })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_shown_as_targets() {
        let function = |file, function, offset, returns| AttachTo::Function {
            file,
            function,
            offset,
            returns,
        };
        for (place, shown) in [
            (
                AttachTo::Tracepoint { category: "sched", name: "sched_switch" },
                "sched/sched_switch",
            ),
            (AttachTo::RawTracepoint { name: "sched_switch" }, "sched_switch"),
            (function(None, "do_exit", 0, false), "do_exit"),
            (function(None, "do_exit", 16, false), "do_exit+0x10"),
            (function(None, "vfs_read", 0, true), "vfs_read%return"),
            (function(Some("c"), "strlen", 0, false), "c:strlen"),
            (function(Some("c"), "ns::f", 16, true), "c:\"ns::f\"+0x10%return"),
            (function(Some("/bin/x"), "", 0x1234, false), "/bin/x:0x1234"),
            (AttachTo::Usdt { file: "c", provider: "libc", name: "setjmp" }, "c:libc:setjmp"),
        ] {
            assert_eq!(place.to_string(), shown);
        }
    }
}
