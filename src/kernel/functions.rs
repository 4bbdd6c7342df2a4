//! The kernel functions that programs can be attached to, by name.
//!
//! `available_filter_functions` in tracefs lists the functions that ftrace can trace, which kprobes on many functions,
//! `fentry` and the like are based on. Without ftrace, without tracefs, or if the process may not read it,
//! `/proc/kallsyms` is used, which also lists functions that cannot be probed.

use super::symbols;
use super::tracefs;
use crate::error::{Error, Result};
use crate::permission;
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// The file that lists the traceable functions; it is the same in every mount of tracefs.
const TRACEABLE: &str = "available_filter_functions";

/// The length of the longest line: a name of `KSYM_NAME_LEN` (512 since Linux 6.1) and a module.
const LONGEST: u64 = 1024;

/// The source of a list of functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Tracefs: each of them can be traced.
    Traceable,
    /// The symbol table: some of them cannot be probed.
    Symbols,
}

/// Passes every function that can perhaps be probed to `f`, with its module if it is in one, until it breaks. A name is
/// passed as often as the kernel has it.
///
/// # Errors
/// As [`symbols::each`].
pub(crate) fn each(mut f: impl FnMut(&str, Option<&str>) -> ControlFlow<()>) -> Result<Source> {
    if each_traceable(&mut f)? {
        return Ok(Source::Traceable);
    }
    symbols::each(|symbol| match symbol.is_function() && is_plain(symbol.name, symbol.module) {
        true => f(symbol.name, symbol.module),
        false => ControlFlow::Continue(()),
    })?;
    Ok(Source::Symbols)
}

/// The same for those that tracefs has; `false` if it cannot be read.
pub(crate) fn each_traceable(
    f: &mut impl FnMut(&str, Option<&str>) -> ControlFlow<()>,
) -> Result<bool> {
    let opened = tracefs::open(
        "the functions that can be traced",
        Path::new(TRACEABLE),
        OpenOptions::new().read(true),
    );
    let (file, path) = match opened {
        Ok(opened) => opened,
        Err(Error::File { .. } | Error::NoTracefs { .. }) => return Ok(false),
        Err(error) => return Err(error),
    };
    // The kernel fills at most a page at each read.
    let read = scan(BufReader::with_capacity(4096, file), f);
    read.map_err(|source| permission::file("read", &path, source))?;
    Ok(true)
}

/// Does nothing if this kernel has kprobes, by their PMU or in tracefs.
///
/// # Errors
/// [`Error::Unsupported`] if it has none.
pub(crate) fn need_kprobes() -> Result<()> {
    let pmu = || Path::new(KPROBE_PMU).exists();
    // What cannot be looked at may be there.
    let events = |root: PathBuf| !matches!(root.join("kprobe_events").try_exists(), Ok(false));
    if pmu() || tracefs::root("kprobes").is_ok_and(events) { Ok(()) } else { Err(no_kprobes()) }
}

/// The folder of the kprobe PMU (Linux 4.17).
pub(crate) const KPROBE_PMU: &str = "/sys/bus/event_source/devices/kprobe";

/// The error of a kernel without kprobes.
pub(crate) fn no_kprobes() -> Error {
    Error::Unsupported {
        what: "kprobes",
        needs: "it was built without CONFIG_KPROBES and CONFIG_KPROBE_EVENTS",
    }
}

fn scan(
    mut lines: impl BufRead,
    f: &mut impl FnMut(&str, Option<&str>) -> ControlFlow<()>,
) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut lines).take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let Some((name, module)) = function(&line) else { continue };
        if is_plain(name, module) && f(name, module).is_break() {
            return Ok(());
        }
    }
}

/// A line, `vfs_read` or, for a module, `nf_hook [nf_tables]`.
fn function(line: &[u8]) -> Option<(&str, Option<&str>)> {
    let line = std::str::from_utf8(line).ok()?.trim_end_matches('\n');
    let (name, module) = match line.split_once(' ') {
        Some((name, module)) => (name, Some(module.trim().strip_prefix('[')?.strip_suffix(']')?)),
        None => (line, None),
    };
    (!name.is_empty()).then_some((name, module))
}

/// Whether it is a function of the source code: not padding (`__pfx_`, `__cfi_`), not a part that a compiler split off
/// (`.cold`), not one that was overridden when the kernel was linked (`__ftrace_invalid_address___`), and no code that the
/// kernel generated at run time (programs, trampolines: it calls their modules `bpf` and `__builtin__…`).
fn is_plain(name: &str, module: Option<&str>) -> bool {
    let shadow = ["__pfx_", "__cfi_", "__ftrace_invalid_address___"];
    let made = module.is_some_and(|module| module == "bpf" || module.starts_with("__builtin__"));
    !made && !shadow.iter().any(|prefix| name.starts_with(prefix)) && !name.contains(".cold")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(text: &str) -> Vec<(String, Option<String>)> {
        let mut found = Vec::new();
        scan(text.as_bytes(), &mut |name, module| {
            found.push((name.to_owned(), module.map(str::to_owned)));
            ControlFlow::Continue(())
        })
        .unwrap();
        found
    }

    #[test]
    fn lines() {
        // Of a Linux 6.1.
        let text = "__traceiter_initcall_level\nvfs_read\n__ftrace_invalid_address___64\n\
            do_exit.cold\ntcp_v4_rcv.isra.0\nnf_hook [nf_tables]\n__pfx_vfs_read\nbpf_prog_1 [bpf]\n";
        let found = names(text);
        let found: Vec<_> =
            found.iter().map(|(name, module)| (name.as_str(), module.as_deref())).collect();
        assert_eq!(
            found,
            [
                ("__traceiter_initcall_level", None),
                ("vfs_read", None),
                ("tcp_v4_rcv.isra.0", None),
                ("nf_hook", Some("nf_tables")),
            ]
        );
        for wrong in ["", " [x]", "a [x", "a x]"] {
            assert_eq!(function(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn a_line_without_end_is_not_held() {
        let endless = io::repeat(b'\xff').take(10 << 20);
        scan(BufReader::new(endless), &mut |name, _| panic!("{name}")).unwrap();
    }

    #[test]
    fn this_kernel_has_functions() {
        let mut seen = false;
        let source = each(|name, module| {
            seen = name == "vfs_read" && module.is_none();
            if seen { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        // Where nothing of the kernel's names may be read there is nothing to find.
        assert!(source.is_err() || seen);
    }

    proptest! {
        #[test]
        fn any_bytes_are_functions_or_not(bytes: Vec<u8>, text in "[a-z_. \\[\\]\n]{0,40}") {
            for bytes in [&bytes, text.as_bytes()] {
                scan(bytes, &mut |name, _| {
                    assert!(!name.is_empty());
                    ControlFlow::Continue(())
                })
                .unwrap();
            }
        }
    }
}
