//! Frames of the stacks of processes: which function of which file an address lies in.
//!
//! Where a file lies in memory is read here; the functions of a file are found by `blazesym`, which keeps the files that it
//! has read, and writes the names of C++ and Rust as people write them.

use super::process::{Mapping, Process};
use crate::error::Result;
use crate::permission;
use crate::util::escape::{shown, shown_path};
use blazesym::symbolize::source::{Elf, Source};
use blazesym::symbolize::{Input, Symbolized, Symbolizer};
use std::fmt;
use std::path::{Path, PathBuf};

/// What addresses in the code of a process stand for: the frames of its stacks, as `get_stackid` and `get_stack` give
/// them with the flag `BPF_F_USER_STACK` (256).
///
/// The kernel finds frames by the chain of frame pointers. Of code that was compiled without them, as most libraries
/// are, it sees the innermost frame and may go astray behind it. (`perf_callchain_user`, `arch/x86/events/core.c`; on s390x
/// since Linux 6.7.)
///
/// ```no_run
/// use rawbpf::map::StackTrace;
/// use rawbpf::user::Symbols;
///
/// # fn print(stacks: &StackTrace, id: u32, pid: u32) -> rawbpf::Result<()> {
/// let symbols = Symbols::of(pid)?;
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
pub struct Symbols {
    code: Vec<Code>,
    files: Files,
}

/// A place in the code of a process. Shown as `read+0x12 (libc.so.6)`; `(libc.so.6+0x2f012)` if no function is known there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Located {
    /// The function, if the symbol tables of the file name one; names of C++ and Rust are demangled.
    pub name: Option<String>,
    /// How many bytes behind the start of the function it is; without a function, of the file.
    pub offset: u64,
    /// The program or library, by the path that the process knows it by.
    pub path: PathBuf,
}

impl fmt::Display for Located {
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

impl Symbols {
    /// Reads what a process has mapped: `/proc/PID/maps`,
    /// [proc_pid_maps(5)](https://man7.org/linux/man-pages/man5/proc_pid_maps.5.html).
    ///
    /// That has to be done while it lives; its files are read when addresses are looked up, which can be later.
    ///
    /// # Errors
    /// [`Error::File`](crate::Error::File): there is no such process, or it belongs to somebody else.
    pub fn of(pid: u32) -> Result<Symbols> {
        Ok(Symbols { code: code_of(Process(pid))?, files: Files::default() })
    }

    /// Where an address of the process lies. `None` if no file is mapped there as code, or one that is no longer there:
    /// the heap, code that was made at run time, the vDSO.
    pub fn at(&self, address: u64) -> Option<Located> {
        let code = self.code.iter().find(|code| code.holds(address))?;
        Some(self.files.locate(code, address))
    }
}

/// A part of a file that is mapped as code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Code {
    pub(super) start: u64,
    pub(super) end: u64,
    /// What it begins with, bytes from the beginning of the file.
    pub(super) offset: u64,
    /// The file, as the process sees it,
    pub(super) path: PathBuf,
    /// and as this process does.
    pub(super) here: PathBuf,
}

impl Code {
    pub(super) fn new(process: Process, mapping: Mapping) -> Code {
        let Mapping { start, end, offset, path, executable: _ } = mapping;
        let here = process.path_here(&path);
        Code { start, end, offset, path, here }
    }

    #[cfg(all(test, feature = "cli"))]
    pub(crate) fn of(start: u64, end: u64, offset: u64, path: &Path) -> Code {
        Code { start, end, offset, path: path.into(), here: path.into() }
    }

    /// Whether it is what a mapping says.
    pub(super) fn is_of(&self, mapping: &Mapping) -> bool {
        let Mapping { start, end, offset, path, executable: _ } = mapping;
        (self.start, self.end, self.offset, &self.path) == (*start, *end, *offset, path)
    }

    pub(crate) fn holds(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// The file and the place in it: two processes that agree in this have the same there.
    pub(crate) fn place(&self, address: u64) -> (&Path, u64) {
        (&self.here, address.wrapping_sub(self.start).wrapping_add(self.offset))
    }
}

/// The code that a process has mapped.
pub(crate) fn code_of(process: Process) -> Result<Vec<Code>> {
    let mappings = process.mappings();
    let path = PathBuf::from(format!("/proc/{}/maps", process.0));
    let mappings = mappings.map_err(|source| permission::file("read", &path, source))?;
    let code = mappings.into_iter().filter(|mapping| mapping.executable);
    Ok(code.map(|mapping| Code::new(process, mapping)).collect())
}

/// The files that were looked into.
#[derive(Debug)]
pub(crate) struct Files(Symbolizer);

impl Default for Files {
    fn default() -> Files {
        // A file that has changed is no longer the one that was mapped.
        Files(Symbolizer::builder().enable_auto_reload(false).enable_code_info(false).build())
    }
}

impl Files {
    /// What an address in a piece of code stands for.
    pub(crate) fn locate(&self, code: &Code, address: u64) -> Located {
        let (here, offset) = code.place(address);
        let mut file = Elf::new(here);
        file.debug_syms = false;
        // What cannot be read has no names.
        let found = self.0.symbolize_single(&Source::Elf(file), Input::FileOffset(offset));
        let path = code.path.clone();
        match found {
            Ok(Symbolized::Sym(symbol)) => {
                Located { name: Some(symbol.name.into()), offset: symbol.offset as u64, path }
            }
            _ => Located { name: None, offset, path },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_shown() {
        let place = |name: Option<&str>| Located {
            name: name.map(str::to_owned),
            offset: 0x12,
            path: "/usr/lib/libc.so.6".into(),
        };
        assert_eq!(place(Some("read")).to_string(), "read+0x12 (libc.so.6)");
        assert_eq!(place(None).to_string(), "(libc.so.6+0x12)");
        let evil = place(Some("m\x1b[31m\nX")).to_string();
        assert_eq!(evil, "m\\u001b[31m\\u000aX+0x12 (libc.so.6)");
    }

    #[test]
    fn functions_of_this_process_are_found() {
        let symbols = Symbols::of(std::process::id()).unwrap();
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
        let error = Symbols::of(u32::MAX).unwrap_err().to_string();
        assert!(error.contains("/proc/4294967295/maps"), "{error}");
    }

    #[test]
    fn a_file_that_is_gone_or_no_elf_has_no_names() {
        let code = |path: &str| Code {
            start: 0x1000,
            end: 0x2000,
            offset: 0x500,
            path: path.into(),
            here: path.into(),
        };
        for path in ["/nowhere/at/all", "/proc/self/maps", "/etc/passwd"] {
            let place = Files::default().locate(&code(path), 0x1010);
            assert_eq!((place.name, place.offset), (None, 0x510), "{path}");
        }
    }
}
