//! Attachment places in specs.

use std::fmt;

/// The place that a program is loaded for, in the form that an attachment has it: `args.NAME` refers to the
/// arguments passed there. It is displayed in the syntax of a [`target`](super::ProgramSpec::target).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttachTo<'a> {
    /// A tracepoint, or all that match patterns: `CATEGORY/NAME`.
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
    /// A function, or all that match a pattern: `FUNCTION` for the kernel, `FILE:FUNCTION` for a program or library.
    Function {
        /// The path or name of the file; `None` for the kernel.
        file: Option<&'a str>,
        /// The function, or empty if the place is an offset in the file.
        function: &'a str,
        /// The offset from there, in bytes.
        offset: u64,
        /// Whether the program runs when the function returns.
        returns: bool,
    },
    /// A USDT probe of a program or library: `FILE:PROVIDER:NAME`.
    Usdt {
        /// The path or name of the file.
        file: &'a str,
        /// The provider, or empty for any.
        provider: &'a str,
        /// The probe.
        name: &'a str,
    },
}

/// The suffix of a place that is the return of a function, as in `kprobe_events` in tracefs.
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
                    // Quoted, so that it is not taken for a USDT probe.
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
