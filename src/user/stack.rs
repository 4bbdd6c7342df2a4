//! Symbols of stack frames: the function and the file of an address of a process.

use super::code::{Code, code_of};
use super::files::Files;
use super::process::Process;
use crate::error::Result;
use crate::util::escape::{shown, shown_path};
use std::fmt;
use std::path::{Path, PathBuf};

/// Symbolizer for the code addresses of a process: the frames of its stacks, as `get_stackid` and `get_stack` give them
/// with the flag `BPF_F_USER_STACK` (256).
///
/// The kernel finds frames by the chain of frame pointers. In code that was compiled without them, as most libraries
/// are, it finds the innermost frame and may report wrong ones behind it. (`perf_callchain_user`,
/// `arch/x86/events/core.c`; on s390x since Linux 6.7.)
///
/// ```no_run
/// use rawbpf::map::StackTrace;
/// use rawbpf::user::ProcessSymbols;
///
/// # fn print(stacks: &StackTrace, id: u32, pid: u32) -> rawbpf::Result<()> {
/// let symbols = ProcessSymbols::of(pid)?;
/// for address in stacks.lookup(id)?.unwrap_or_default() {
///     match symbols.at(address) {
///         Some(place) => println!("{address:016x} {place}"),
///         None => println!("{address:016x}"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ProcessSymbols {
    code: Vec<Code>,
    files: Files,
}

/// A place in the code of a process. Shown as `read+0x12 (libc.so.6)`; `(libc.so.6+0x2f012)` if no function is known there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserLocation {
    /// The function, if the symbol tables of the file name one; names of C++ and Rust are demangled.
    pub name: Option<String>,
    /// The offset of the address from the start of the function, in bytes; without a function, from the start of the
    /// file.
    pub offset: u64,
    /// The program or library, by its path in the process, or by its last path if it is deleted. For code that the
    /// process generated, the file with its names: `/tmp/perf-PID.map`.
    pub path: PathBuf,
}

impl fmt::Display for UserLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.path.file_name().unwrap_or(self.path.as_os_str());
        let file = shown_path(Path::new(file));
        let offset = self.offset;
        match &self.name {
            Some(name) => write!(f, "{}+{offset:#x} ({file})", shown(name)),
            None => write!(f, "({file}+{offset:#x})"),
        }
    }
}

impl ProcessSymbols {
    /// Reads the mappings of a process: `/proc/PID/maps`,
    /// [proc_pid_maps(5)](https://man7.org/linux/man-pages/man5/proc_pid_maps.5.html).
    ///
    /// That has to be done while it runs; its files are read when addresses are looked up, which can be later. A file
    /// that was deleted, such as a program that was replaced while it runs, is read through `/proc/PID/map_files` or
    /// `/proc/PID/exe`. Symbols that were stripped off are those of the separate debug file, if there is one.
    ///
    /// Files are treated as untrusted, and none is mapped into memory: the owner may truncate it while it is read.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File): there is no such process, or it belongs to another user.
    pub fn of(pid: u32) -> Result<ProcessSymbols> {
        let files = Files::default();
        files.hold(pid, None);
        Ok(ProcessSymbols { code: code_of(Process(pid))?, files })
    }

    /// Resolves an address of the process. `None` if no file is mapped there as code: the heap, the vDSO. Code that was
    /// made at run time has the name that the process gives it in `/tmp/perf-PID.map`, as JIT compilers do for perf
    /// (Node.js with `--perf-basic-prof`, Java with `-XX:+DumpPerfMapAtExit`, .NET with `DOTNET_PerfMapEnabled=1`); the
    /// file has to belong to the process's user or to root.
    pub fn at(&self, address: u64) -> Option<UserLocation> {
        let code = self.code.iter().find(|code| code.holds(address))?;
        self.files.locate(code, address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_shown() {
        let place = |name: Option<&str>| UserLocation {
            name: name.map(str::to_owned),
            offset: 0x12,
            path: "/usr/lib/libc.so.6".into(),
        };
        assert_eq!(place(Some("read")).to_string(), "read+0x12 (libc.so.6)");
        assert_eq!(place(None).to_string(), "(libc.so.6+0x12)");
        let evil = place(Some("m\x1b[31m\nX")).to_string();
        assert_eq!(evil, "m\\u001b[31m\\u000aX+0x12 (libc.so.6)");
    }

    #[cfg(feature = "demangle")]
    #[test]
    fn functions_of_this_process_are_found() {
        let symbols = ProcessSymbols::of(std::process::id()).unwrap();
        let at = |address: u64| symbols.at(address);
        // Names of Rust are written as in the source.
        let here = functions_of_this_process_are_found as fn() as usize as u64;
        let place = at(here + 1).unwrap();
        let name = place.name.unwrap();
        assert!(name.contains("stack::tests::functions_of_this_process_are_found"), "{name}");
        assert_eq!((place.offset, place.path), (1, std::env::current_exe().unwrap()));
        let on_the_stack = 0;
        assert_eq!(at(&raw const on_the_stack as usize as u64), None);
        assert_eq!(at(0), None);
    }

    #[test]
    fn a_process_that_is_not_there() {
        let error = ProcessSymbols::of(u32::MAX).unwrap_err().to_string();
        assert!(error.contains("/proc/4294967295/maps"), "{error}");
    }

    #[test]
    fn a_file_that_is_gone_or_no_elf_has_no_names() {
        for path in ["/nowhere/at/all", "/proc/self/maps", "/etc/passwd"] {
            let code = Code::of(0x1000, 0x2000, 0x500, path.as_ref());
            let place = Files::default().locate(&code, 0x1010).unwrap();
            assert_eq!((place.name, place.offset), (None, 0x510), "{path}");
        }
    }
}
