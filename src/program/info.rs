//! Information about loaded programs, and the iterator over all of them.

use super::Program;
use crate::error::{Error, Result};
use crate::permission::{self, Need};
use crate::syscall::{self, InfoArray, Numbered, ObjInfo};
use crate::uapi::{Errno, ProgramType};
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

/// The kernel's information about a program: `struct bpf_prog_info`. Fields that this kernel does not report are 0 or
/// empty; sizes are 0 also without `CAP_BPF`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
#[doc(alias = "bpf_prog_info")]
pub struct ProgramInfo {
    /// Its id, which no other program has during its lifetime.
    pub id: u32,
    /// The number of its type; [`kind`](ProgramInfo::kind) returns the type.
    pub type_number: u32,
    /// A digest of its instructions; equal instructions have equal tags.
    pub tag: [u8; 8],
    /// The first 15 bytes of its name (Linux 4.15).
    pub name: String,
    /// The time of loading, since boot and including suspend (Linux 4.15).
    pub loaded: Duration,
    /// The user who loaded it (Linux 4.15).
    pub uid: u32,
    /// The ids of the maps that it uses (Linux 4.15).
    pub map_ids: Vec<u32>,
    /// The size of its instructions after verification, in bytes.
    pub xlated_len: u32,
    /// The size of its machine code, in bytes; 0 without a JIT.
    pub jited_len: u32,
    /// The index of the network device that it is for (Linux 4.16).
    pub ifindex: u32,
    /// Whether its license is compatible with the GPL (Linux 4.18).
    pub gpl_compatible: bool,
    /// The id of its own BTF (Linux 5.0).
    pub btf_id: u32,
    /// The total run time, measured while [`RunStatistics`] were enabled (Linux 5.1).
    pub run_time: Duration,
    /// The number of runs while [`RunStatistics`] were enabled (Linux 5.1).
    pub run_count: u64,
    /// The number of runs that were skipped because the CPU was running the program already (Linux 5.12), or, of kprobes, perf events and
    /// tracepoints, because it was running any such program or changing a map for `bpf(2)` (Linux 6.7).
    pub recursion_misses: u64,
    /// The number of instructions that the verifier processed (Linux 5.16).
    pub verified_insns: u32,
    /// The id of the BTF that contains its attach target (Linux 6.0).
    pub attach_btf_object_id: u32,
    /// The id of its attach target in that BTF (Linux 6.0).
    pub attach_btf_id: u32,
}

impl ProgramInfo {
    /// Returns its type; `None` for one that this library does not know.
    pub fn kind(&self) -> Option<ProgramType> {
        ProgramType::ALL.iter().copied().find(|kind| *kind as u32 == self.type_number)
    }

    /// Returns information about the program behind a descriptor. `bpf(2)`, `BPF_OBJ_GET_INFO_BY_FD`; Linux 4.13.
    ///
    /// # Errors
    /// [`Error::Call`] if it is not a program.
    pub fn of(program: impl AsFd) -> Result<ProgramInfo> {
        let which = || OF_DESCRIPTOR.to_owned();
        let fd = program.as_fd();
        check(fd).map_err(|note| refused(ASK, which(), Errno(libc::EINVAL), Some(note)))?;
        info(fd).map_err(|errno| refused(ASK, which(), errno, None))
    }
}

const ASK: &str = "get the info of";

/// A program that is known by its descriptor alone, in messages.
const OF_DESCRIPTOR: &str = "of a file descriptor";

/// A `struct bpf_prog_info` as the kernel filled it.
pub(super) struct Raw([u8; INFO]);

/// Its size: up to `attach_btf_id` (Linux 6.0), padded to 8 bytes.
const INFO: usize = 232;

impl Raw {
    pub(super) fn word(&self, at: usize) -> u32 {
        self.bytes(at).map_or(0, u32::from_ne_bytes)
    }

    fn long(&self, at: usize) -> u64 {
        self.bytes(at).map_or(0, u64::from_ne_bytes)
    }

    fn bytes<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..)?.first_chunk().copied()
    }
}

/// An array that `struct bpf_prog_info` points to: the offsets of its pointer, of its count and of the size of its
/// items if the structure holds it, and that size.
pub(super) struct Array {
    pointer_at: usize,
    pub(super) count_at: usize,
    size_at: Option<usize>,
    item: u32,
}

const MAP_IDS: Array = Array { pointer_at: 56, count_at: 52, size_at: None, item: 4 };
pub(super) const JITED: Array = Array { pointer_at: 24, count_at: 16, size_at: None, item: 1 };
pub(super) const XLATED: Array = Array { pointer_at: 32, count_at: 20, size_at: None, item: 1 };
pub(super) const JITED_SYMBOLS: Array =
    Array { pointer_at: 112, count_at: 104, size_at: None, item: 8 };
pub(super) const JITED_LENGTHS: Array =
    Array { pointer_at: 120, count_at: 108, size_at: None, item: 4 };
pub(super) const FUNCTIONS: Array =
    Array { pointer_at: 136, count_at: 144, size_at: Some(132), item: 8 };
pub(super) const LINES: Array =
    Array { pointer_at: 152, count_at: 148, size_at: Some(172), item: 16 };
/// The offset of `btf_id`.
pub(super) const BTF_ID: usize = 128;

/// Queries the kernel, without arrays.
pub(super) fn ask(program: BorrowedFd<'_>) -> Result<Raw, Errno> {
    let mut bytes = [0; INFO];
    syscall::obj_info(&mut ObjInfo { object: program, info: &mut bytes, len: 0, arrays: &mut [] })?;
    Ok(Raw(bytes))
}

/// Queries the kernel for an array whose count it has reported.
pub(super) fn array(program: BorrowedFd<'_>, first: &Raw, array: &Array) -> Result<Vec<u8>, Errno> {
    let room = first.word(array.count_at) as usize * array.item as usize;
    let known = array.size_at.is_none_or(|at| first.word(at) == array.item);
    // Items of another size belong to a newer kernel; it refuses sizes other than its own.
    if room == 0 || !known {
        return Ok(Vec::new());
    }
    let mut items = vec![0; room];
    let mut bytes = [0; INFO];
    let mut arrays = [InfoArray {
        pointer_at: array.pointer_at,
        count_at: array.count_at,
        size_at: array.size_at,
        item: array.item,
        bytes: &mut items,
    }];
    syscall::obj_info(&mut ObjInfo {
        object: program,
        info: &mut bytes,
        len: 0,
        arrays: &mut arrays,
    })?;
    let second = Raw(bytes);
    // The kernel leaves out what this user may not see, and clears the pointer.
    if second.long(array.pointer_at) == 0 {
        return Ok(Vec::new());
    }
    // The count may have grown since: a program can be bound to a map.
    items.truncate(second.word(array.count_at) as usize * array.item as usize);
    Ok(items)
}

/// Iterates over the numbers in an array.
pub(super) fn words(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    bytes.as_chunks::<4>().0.iter().map(|word| u32::from_ne_bytes(*word))
}

pub(super) fn info(program: BorrowedFd<'_>) -> Result<ProgramInfo, Errno> {
    let raw = ask(program)?;
    let map_ids = words(&array(program, &raw, &MAP_IDS)?).collect();
    let name: [u8; 16] = raw.bytes(64).unwrap_or_default();
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(ProgramInfo {
        type_number: raw.word(0),
        id: raw.word(4),
        tag: raw.bytes(8).unwrap_or_default(),
        jited_len: raw.word(16),
        xlated_len: raw.word(20),
        loaded: Duration::from_nanos(raw.long(40)),
        uid: raw.word(48),
        map_ids,
        name: String::from_utf8_lossy(name).into_owned(),
        ifindex: raw.word(80),
        // A bit field of one bit, whose place depends on the byte order; the other bits are padding.
        gpl_compatible: raw.word(84) != 0,
        btf_id: raw.word(BTF_ID),
        run_time: Duration::from_nanos(raw.long(192)),
        run_count: raw.long(200),
        recursion_misses: raw.long(208),
        verified_insns: raw.word(216),
        attach_btf_object_id: raw.word(220),
        attach_btf_id: raw.word(224),
    })
}

/// Checks that a descriptor may be a program: the kernel's information call works for all BPF objects, and does not
/// report the kind of object. For other files it fails.
fn check(fd: BorrowedFd<'_>) -> Result<(), &'static str> {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap_or_default();
    let link = link.as_os_str().as_bytes();
    if link.starts_with(b"anon_inode:") && link != b"anon_inode:bpf-prog" {
        return Err("the descriptor is not of a program");
    }
    Ok(())
}

pub(super) fn refused(
    action: &'static str,
    which: impl fmt::Display,
    errno: Errno,
    note: Option<&'static str>,
) -> Error {
    let why = permission::explain(errno, Need::Bpf);
    Error::Call { action, object: format!("program {which}"), errno, why, note }
}

impl Program {
    /// Returns the kernel's information about it. `bpf(2)`, `BPF_OBJ_GET_INFO_BY_FD`; Linux 4.13.
    ///
    /// # Errors
    /// [`Error::Call`].
    #[doc(alias = "BPF_OBJ_GET_INFO_BY_FD")]
    pub fn info(&self) -> Result<ProgramInfo> {
        info(self.as_fd()).map_err(|errno| self.refused(ASK, errno, None))
    }

    /// Opens the program with this id, which is in [`info`](Program::info). `bpf(2)`, `BPF_PROG_GET_FD_BY_ID`; Linux
    /// 4.13. It takes `CAP_SYS_ADMIN`.
    ///
    /// # Errors
    /// [`Error::Call`]; `ENOENT` if there is none.
    #[doc(alias = "BPF_PROG_GET_FD_BY_ID")]
    pub fn open_id(id: u32) -> Result<Program> {
        let fd = syscall::fd_by_id(Numbered::Program, id, 0).map_err(|errno| by_id(id, errno))?;
        opened(format_args!("with id {id}"), fd)
    }

    /// Takes the program behind a descriptor, which may come from another process. `bpf(2)`, `BPF_OBJ_GET_INFO_BY_FD`;
    /// Linux 4.13.
    ///
    /// # Errors
    /// [`Error::Call`] if it is not a program.
    pub fn from_fd(fd: OwnedFd) -> Result<Program> {
        opened(OF_DESCRIPTOR, fd)
    }

    pub(super) fn refused(
        &self,
        action: &'static str,
        errno: Errno,
        note: Option<&'static str>,
    ) -> Error {
        refused(action, format_args!("`{}`", self.name), errno, note)
    }
}

fn by_id(id: u32, errno: Errno) -> Error {
    let note = (errno == Errno(libc::ENOENT)).then_some("no program has this id");
    let why = permission::explain(errno, Need::Numbers);
    let object = format!("program with id {id}");
    Error::Call { action: OPEN, object, errno, why, note }
}

pub(super) const OPEN: &str = "open";

/// Creates a program from its descriptor.
pub(super) fn opened(which: impl fmt::Display, fd: OwnedFd) -> Result<Program> {
    let invalid = |note| refused(OPEN, &which, Errno(libc::EINVAL), Some(note));
    check(fd.as_fd()).map_err(invalid)?;
    let info = info(fd.as_fd()).map_err(|errno| refused(ASK, &which, errno, None))?;
    let kind = info.kind().ok_or_else(|| invalid("unknown program type"))?;
    Ok(Program { name: info.name, kind, attach_type: None, arguments: None, fd })
}

/// Iterates over the programs in the kernel, in the order of their ids. `bpf(2)`, `BPF_PROG_GET_NEXT_ID`; Linux 4.13.
/// It takes `CAP_SYS_ADMIN`.
///
/// A program that is unloaded meanwhile is skipped.
///
/// ```no_run
/// for program in rawbpf::programs() {
///     let program = program?;
///     println!("{}: {}, {} bytes", program.id, program.name, program.xlated_len);
/// }
/// # Ok::<(), rawbpf::Error>(())
/// ```
#[doc(alias = "BPF_PROG_GET_NEXT_ID")]
pub fn programs() -> Programs {
    Programs { ids: ids(Numbered::Program) }
}

/// The iterator that [`programs`] returns.
#[derive(Debug)]
pub struct Programs {
    ids: Ids,
}

impl Iterator for Programs {
    type Item = Result<ProgramInfo>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let id = match self.ids.next()? {
                Ok(id) => id,
                Err(errno) => return Some(Err(numbers(errno))),
            };
            match syscall::fd_by_id(Numbered::Program, id, 0) {
                Ok(fd) => {
                    let asked = info(fd.as_fd());
                    return Some(
                        asked.map_err(|errno| {
                            refused(ASK, format_args!("with id {id}"), errno, None)
                        }),
                    );
                }
                Err(Errno(libc::ENOENT)) => {}
                Err(errno) => return Some(Err(by_id(id, errno))),
            }
        }
    }
}

fn numbers(errno: Errno) -> Error {
    let why = permission::explain(errno, Need::Numbers);
    let object = "program ids".into();
    Error::Call { action: "list", object, errno, why, note: None }
}

/// Iterates over the ids of one kind of object, in ascending order. It ends with the last, or with an error.
pub(crate) fn ids(kind: Numbered) -> Ids {
    Ids { kind, last: Some(0) }
}

/// The iterator that [`ids`] returns.
#[derive(Debug)]
pub(crate) struct Ids {
    kind: Numbered,
    last: Option<u32>,
}

impl Iterator for Ids {
    type Item = Result<u32, Errno>;

    fn next(&mut self) -> Option<Self::Item> {
        match syscall::next_id(self.kind, self.last?) {
            Ok(id) => {
                self.last = Some(id);
                Some(Ok(id))
            }
            Err(errno) => {
                self.last = None;
                (errno != Errno(libc::ENOENT)).then_some(Err(errno))
            }
        }
    }
}

/// A guard that keeps the kernel's run statistics of programs enabled, which costs each run some tens of nanoseconds:
/// [`ProgramInfo::run_time`], [`ProgramInfo::run_count`].
#[derive(Debug)]
pub struct RunStatistics {
    _fd: OwnedFd,
}

impl RunStatistics {
    /// Enables the statistics, if nothing else has. `bpf(2)`, `BPF_ENABLE_STATS`; Linux 5.8. It takes `CAP_SYS_ADMIN`.
    /// (The sysctl `kernel.bpf_stats_enabled`, Linux 5.1, does the same permanently.)
    ///
    /// # Errors
    /// [`Error::Call`].
    #[doc(alias = "BPF_ENABLE_STATS")]
    pub fn enable() -> Result<RunStatistics> {
        let _fd = syscall::enable_stats().map_err(|errno| {
            let note = (errno == Errno(libc::EINVAL))
                .then_some("Linux 5.8 brought it; sysctl kernel.bpf_stats_enabled=1 is older");
            let why = permission::explain(errno, Need::Numbers);
            let object = "run statistics of programs".into();
            Error::Call { action: "enable", object, errno, why, note }
        })?;
        Ok(RunStatistics { _fd })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::syscall::{Call, fake};

    /// A fake kernel with some programs, of which those that are not `there` are gone when they are opened.
    fn kernel(
        all: &'static [u32],
        there: fn(u32) -> Result<i64, Errno>,
    ) -> impl FnMut(&mut Call<'_, '_>) -> Option<Result<i64, Errno>> {
        let mut opened = 0;
        move |call| match call {
            Call::NextId { kind: Numbered::Program, after, next } => {
                let found = all.iter().copied().find(|id| id > after);
                Some(match found {
                    Some(id) => {
                        **next = id;
                        Ok(0)
                    }
                    None => Err(Errno(libc::ENOENT)),
                })
            }
            Call::FdById { kind: Numbered::Program, id, flags: 0 } => {
                opened = *id;
                Some(there(*id))
            }
            Call::ObjInfo(asked) => {
                asked.info[0..4].copy_from_slice(&2u32.to_ne_bytes());
                asked.info[4..8].copy_from_slice(&opened.to_ne_bytes());
                asked.info[64..67].copy_from_slice(b"one");
                Some(Ok(0))
            }
            _ => None,
        }
    }

    #[test]
    fn a_program_that_goes_away_is_passed_over() {
        let there = |id| if id == 5 { Err(Errno(libc::ENOENT)) } else { fake::descriptor() };
        let found: Result<Vec<_>> = fake::with(kernel(&[3, 5, 9], there), || programs().collect());
        let found = found.unwrap();
        assert_eq!(found.iter().map(|info| info.id).collect::<Vec<_>>(), [3, 9]);
        assert_eq!(found[0].kind(), Some(ProgramType::Kprobe));
        assert_eq!((found[0].name.as_str(), &found[0].map_ids[..]), ("one", &[][..]));
    }

    #[test]
    fn a_refusal_ends_the_list_once() {
        let refuse = |call: &mut Call<'_, '_>| match call {
            Call::NextId { .. } => Some(Err(Errno(libc::EPERM))),
            _ => None,
        };
        let found: Vec<_> = fake::with(refuse, || programs().collect());
        let [Err(error)] = &found[..] else { panic!("{found:?}") };
        assert_eq!(error.kind(), ErrorKind::NotPermitted);
        assert!(error.to_string().starts_with("cannot list program ids: "), "{error}");
    }

    #[test]
    fn each_step_of_opening_says_which_it_was() {
        let none = |_| Err(Errno(libc::ENOENT));
        let error = fake::with(kernel(&[], none), || Program::open_id(7)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot open program with id 7: No such file or directory (ENOENT) (no program has this id)"
        );
        let unknown = |call: &mut Call<'_, '_>| match call {
            Call::FdById { .. } => Some(fake::descriptor()),
            Call::ObjInfo(asked) => {
                asked.info[0..4].copy_from_slice(&9999u32.to_ne_bytes());
                Some(Ok(0))
            }
            _ => None,
        };
        let error = fake::with(unknown, || Program::open_id(7)).unwrap_err();
        assert!(error.to_string().contains("unknown program type"), "{error}");
        let unasked = |call: &mut Call<'_, '_>| match call {
            Call::FdById { .. } => Some(fake::descriptor()),
            Call::ObjInfo(_) => Some(Err(Errno(libc::EINVAL))),
            Call::EnableStats { .. } => Some(Err(Errno(libc::EINVAL))),
            _ => None,
        };
        let error = fake::with(unasked, || Program::open_id(7)).unwrap_err();
        assert!(error.to_string().starts_with("cannot get the info of program with"), "{error}");
        // A file that is not a BPF object, on the real kernel.
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(ProgramInfo::of(&file).is_err());
    }

    #[test]
    fn statistics_name_what_is_older() {
        let old = |call: &mut Call<'_, '_>| match call {
            Call::EnableStats { .. } => Some(Err(Errno(libc::EINVAL))),
            _ => None,
        };
        let error = fake::with(old, RunStatistics::enable).unwrap_err();
        assert!(
            error.to_string().starts_with("cannot enable run statistics of programs"),
            "{error}"
        );
        assert!(error.to_string().contains("kernel.bpf_stats_enabled=1"), "{error}");
    }

    #[test]
    fn an_array_is_as_long_as_the_kernel_says_the_second_time() {
        let kernel = |call: &mut Call<'_, '_>| {
            let Call::ObjInfo(asked) = call else { return None };
            let count = if asked.arrays.is_empty() { 2u32 } else { 1 };
            asked.info[52..56].copy_from_slice(&count.to_ne_bytes());
            if let [ids] = &mut *asked.arrays {
                assert_eq!((ids.pointer_at, ids.count_at, ids.bytes.len()), (56, 52, 8));
                ids.bytes[..4].copy_from_slice(&77u32.to_ne_bytes());
                asked.info[56] = 1;
            }
            Some(Ok(0))
        };
        let file = std::fs::File::open("/dev/null").unwrap();
        let found = fake::with(kernel, || ProgramInfo::of(&file)).unwrap();
        assert_eq!(found.map_ids, [77]);
    }
}
