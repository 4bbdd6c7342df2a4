//! The system calls: one typed function per command, and the only place that makes one.
//!
//! Everything the library asks of the kernel goes through [`call`]. It takes a [`Call`], plain typed
//! data, so a unit test can put a fake in its place and see (and answer) exactly what the loader asks,
//! without root and without BPF.
//!
//! Layouts follow `include/uapi/linux/bpf.h` and `include/uapi/linux/perf_event.h`. The kernel accepts
//! an attribute that is longer than the one it knows as long as the unknown tail is zero
//! (`bpf_check_uarg_tail_zero`), so one layout serves every version.
#![allow(unsafe_code)]

use crate::insn::Insn;
use std::ffi::CStr;
use std::fmt;
use std::io;
#[cfg(feature = "cli")]
use std::os::fd::RawFd;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// What the kernel answered when it refused: the number behind `errno`.
///
/// Displays as the C library's words and the symbol, `Operation not permitted (EPERM)`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

/// The symbols of the numbers that the commands here can return.
const ERRNO_NAMES: &[(i32, &str)] = &[
    (libc::EPERM, "EPERM"),
    (libc::ENOENT, "ENOENT"),
    (libc::ESRCH, "ESRCH"),
    (libc::EINTR, "EINTR"),
    (libc::EIO, "EIO"),
    (libc::E2BIG, "E2BIG"),
    (libc::EBADF, "EBADF"),
    (libc::EAGAIN, "EAGAIN"),
    (libc::ENOMEM, "ENOMEM"),
    (libc::EACCES, "EACCES"),
    (libc::EFAULT, "EFAULT"),
    (libc::EBUSY, "EBUSY"),
    (libc::EEXIST, "EEXIST"),
    (libc::ENODEV, "ENODEV"),
    (libc::ENOTDIR, "ENOTDIR"),
    (libc::EINVAL, "EINVAL"),
    (libc::ENFILE, "ENFILE"),
    (libc::EMFILE, "EMFILE"),
    (libc::ENOSPC, "ENOSPC"),
    (libc::EROFS, "EROFS"),
    (libc::ERANGE, "ERANGE"),
    (libc::EILSEQ, "EILSEQ"),
    (libc::ENOSYS, "ENOSYS"),
    (libc::EOPNOTSUPP, "EOPNOTSUPP"),
    (libc::EADDRNOTAVAIL, "EADDRNOTAVAIL"),
    (ENOTSUPP, "ENOTSUPP"),
];

/// The kernel's own errno, which leaks to user space from `bpf(2)`.
pub(crate) const ENOTSUPP: i32 = 524;

impl Errno {
    /// The symbol, such as `EPERM`, where it is one that these calls are known to return.
    pub fn name(self) -> Option<&'static str> {
        ERRNO_NAMES.iter().find(|(number, _)| *number == self.0).map(|(_, name)| *name)
    }

    /// The errno an [`io::Error`] holds; `EIO` for one that did not come from the operating system.
    pub fn of(error: &io::Error) -> Errno {
        Errno(error.raw_os_error().unwrap_or(libc::EIO))
    }

    fn last() -> Errno {
        Errno::of(&io::Error::last_os_error())
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(name) = self.name() else {
            return write!(f, "{}", io::Error::from_raw_os_error(self.0));
        };
        let words = io::Error::from_raw_os_error(self.0).to_string();
        // std appends " (os error 1)"; the symbol says it better.
        let words = words.split(" (os error").next().unwrap_or(&words);
        let words = if self.0 == ENOTSUPP { "Operation is not supported" } else { words };
        write!(f, "{words} ({name})")
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "Errno({})", self.0),
        }
    }
}

/// What `bpf(BPF_MAP_CREATE)` is told.
#[derive(Debug)]
pub(crate) struct MapCreate<'a> {
    pub map_type: u32,
    pub key_size: u32,
    pub value_size: u32,
    pub max_entries: u32,
    pub flags: u32,
    pub name: &'a [u8],
}

/// What `bpf(BPF_PROG_LOAD)` is told, and the one thing it tells besides the descriptor.
#[derive(Debug)]
pub(crate) struct ProgLoad<'a> {
    pub prog_type: u32,
    pub expected_attach_type: u32,
    pub flags: u32,
    pub insns: &'a [Insn],
    pub license: &'a CStr,
    pub name: &'a [u8],
    /// Where the verifier's log goes; `None` asks for no log, which is much the fastest.
    pub log: Option<ProgLog<'a>>,
}

/// The verifier's log, as a load asks for it.
#[derive(Debug)]
pub(crate) struct ProgLog<'a> {
    pub level: u32,
    pub buffer: &'a mut [u8],
    /// Set by the kernel (6.4 and later) to the size the whole log needs, its NUL included; else 0.
    pub true_size: u32,
}

/// What `bpf(BPF_PROG_TEST_RUN)` is told, and what it tells.
#[derive(Debug)]
pub(crate) struct ProgTestRun<'a> {
    pub program: BorrowedFd<'a>,
    pub data: &'a [u8],
    pub repeat: u32,
    /// Set by the kernel to what the program returned.
    pub returned: u32,
    /// Set by the kernel to the mean time of one run, nanoseconds.
    pub duration: u32,
}

/// What `perf_event_open(2)` is told; the rest of `struct perf_event_attr` stays zero.
#[derive(Debug, Default, Clone)]
pub(crate) struct PerfEvent<'a> {
    pub kind: u32,
    pub config: u64,
    pub sample_period: u64,
    pub sample_type: u64,
    /// What `read(2)` of the event gives besides its count.
    pub read_format: u64,
    /// Wake after this many samples or, with `watermark`, bytes.
    pub wakeup: u32,
    pub watermark: bool,
    /// `config1`: for the kprobe PMU a pointer to the function's name.
    pub name: Option<&'a CStr>,
    /// `config2`: for the kprobe PMU the offset into the function, or the address where there is no name.
    pub offset: u64,
    /// `-1` for every process; else one.
    pub pid: i32,
    /// A CPU number, or `-1` for all (only with a process).
    pub cpu: i32,
}

/// One request to the kernel, as plain data: what passes through the choke point.
#[derive(Debug)]
pub(crate) enum Call<'c, 'a> {
    MapCreate(&'c MapCreate<'a>),
    MapUpdate { map: BorrowedFd<'c>, key: &'c [u8], value: &'c [u8], flags: u64 },
    MapDelete { map: BorrowedFd<'c>, key: &'c [u8] },
    ProgLoad(&'c mut ProgLoad<'a>),
    ProgTestRun(&'c mut ProgTestRun<'a>),
    LinkCreate { program: BorrowedFd<'c>, target: BorrowedFd<'c>, attach_type: u32 },
    PerfEventOpen(&'c PerfEvent<'a>),
    PerfSetBpf { event: BorrowedFd<'c>, program: BorrowedFd<'c> },
    MemlockGet { soft: &'c mut u64, hard: &'c mut u64 },
    MemlockSet { soft: u64, hard: u64 },
}

const BPF_MAP_CREATE: i32 = 0;
const BPF_MAP_UPDATE_ELEM: i32 = 2;
const BPF_MAP_DELETE_ELEM: i32 = 3;
const BPF_PROG_LOAD: i32 = 5;
const BPF_PROG_TEST_RUN: i32 = 10;
const BPF_LINK_CREATE: i32 = 28;

/// `BPF_PERF_EVENT`, the attach type of a link on a perf event (Linux 5.15).
pub(crate) const ATTACH_PERF_EVENT: u32 = 41;

/// The name of a program or map as the kernel stores it: 15 bytes and a NUL.
type ObjectName = [u8; 16];

fn object_name(name: &[u8]) -> ObjectName {
    let mut bytes = [0; 16];
    for (to, from) in bytes[..15].iter_mut().zip(name) {
        *to = *from;
    }
    bytes
}

#[repr(C)]
#[derive(Default)]
struct MapCreateAttr {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    inner_map_fd: u32,
    numa_node: u32,
    map_name: ObjectName,
}

#[repr(C)]
#[derive(Default)]
struct MapElemAttr {
    map_fd: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
#[derive(Default)]
struct ProgLoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: ObjectName,
    prog_ifindex: u32,
    expected_attach_type: u32,
    prog_btf_fd: u32,
    func_info_rec_size: u32,
    func_info: u64,
    func_info_cnt: u32,
    line_info_rec_size: u32,
    line_info: u64,
    line_info_cnt: u32,
    attach_btf_id: u32,
    attach_prog_fd: u32,
    core_relo_cnt: u32,
    fd_array: u64,
    core_relos: u64,
    core_relo_rec_size: u32,
    log_true_size: u32,
}

#[repr(C)]
#[derive(Default)]
struct ProgTestRunAttr {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
}

#[repr(C)]
#[derive(Default)]
struct LinkCreateAttr {
    prog_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
    bpf_cookie: u64,
}

/// `struct perf_event_attr` up to `PERF_ATTR_SIZE_VER5` (Linux 4.1).
#[repr(C)]
#[derive(Default)]
struct PerfEventAttr {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup: u32,
    bp_type: u32,
    config1: u64,
    config2: u64,
    branch_sample_type: u64,
    sample_regs_user: u64,
    sample_stack_user: u32,
    clockid: i32,
    sample_regs_intr: u64,
    aux_watermark: u32,
    sample_max_stack: u16,
    reserved: u16,
}

/// Bit `n` of the flags of `perf_event_attr`: C bit-fields start at the low end on a little-endian
/// machine and at the high end on a big-endian one.
const fn perf_flag(n: u32) -> u64 {
    if cfg!(target_endian = "big") { 1 << (63 - n) } else { 1 << n }
}

const PERF_FLAG_WATERMARK: u64 = perf_flag(14);
const PERF_FLAG_FD_CLOEXEC: libc::c_ulong = 8;

/// `PERF_EVENT_IOC_SET_BPF`, `_IOW('$', 8, __u32)`. Most architectures say "write" with bit 30 of a request;
/// these with bit 31.
const PERF_EVENT_IOC_SET_BPF: u32 = {
    let bit_31 = cfg!(any(
        target_arch = "powerpc",
        target_arch = "powerpc64",
        target_arch = "mips",
        target_arch = "mips64",
        target_arch = "sparc64"
    ));
    (if bit_31 { 1 << 31 } else { 1 << 30 }) | 4 << 16 | 0x2408
};

/// Passes a request to the kernel. The one choke point: everything above goes through here.
fn call(call: Call<'_, '_>) -> Result<i64, Errno> {
    #[cfg(test)]
    let call = match fake::intercept(call) {
        Ok(answer) => return answer,
        Err(call) => call,
    };
    kernel(call)
}

fn kernel(call: Call<'_, '_>) -> Result<i64, Errno> {
    match call {
        Call::MapCreate(map) => bpf(
            BPF_MAP_CREATE,
            &mut MapCreateAttr {
                map_type: map.map_type,
                key_size: map.key_size,
                value_size: map.value_size,
                max_entries: map.max_entries,
                map_flags: map.flags,
                map_name: object_name(map.name),
                ..Default::default()
            },
        ),
        Call::MapUpdate { map, key, value, flags } => bpf(
            BPF_MAP_UPDATE_ELEM,
            &mut MapElemAttr {
                map_fd: raw(map),
                pad: 0,
                key: key.as_ptr() as u64,
                value: value.as_ptr() as u64,
                flags,
            },
        ),
        Call::MapDelete { map, key } => bpf(
            BPF_MAP_DELETE_ELEM,
            &mut MapElemAttr { map_fd: raw(map), key: key.as_ptr() as u64, ..Default::default() },
        ),
        Call::ProgLoad(load) => {
            let mut attr = ProgLoadAttr {
                prog_type: load.prog_type,
                insn_cnt: u32::try_from(load.insns.len()).map_err(|_| Errno(libc::E2BIG))?,
                insns: load.insns.as_ptr() as u64,
                license: load.license.as_ptr() as u64,
                prog_flags: load.flags,
                prog_name: object_name(load.name),
                expected_attach_type: load.expected_attach_type,
                ..Default::default()
            };
            if let Some(log) = &mut load.log {
                attr.log_level = log.level;
                attr.log_size = u32::try_from(log.buffer.len()).unwrap_or(u32::MAX);
                attr.log_buf = log.buffer.as_mut_ptr() as u64;
            }
            let answer = bpf(BPF_PROG_LOAD, &mut attr);
            if let Some(log) = &mut load.log {
                log.true_size = attr.log_true_size;
            }
            answer
        }
        Call::ProgTestRun(run) => {
            let mut attr = ProgTestRunAttr {
                prog_fd: raw(run.program),
                data_size_in: u32::try_from(run.data.len()).map_err(|_| Errno(libc::E2BIG))?,
                data_in: run.data.as_ptr() as u64,
                repeat: run.repeat,
                ..Default::default()
            };
            let answer = bpf(BPF_PROG_TEST_RUN, &mut attr);
            (run.returned, run.duration) = (attr.retval, attr.duration);
            answer
        }
        Call::LinkCreate { program, target, attach_type } => bpf(
            BPF_LINK_CREATE,
            &mut LinkCreateAttr {
                prog_fd: raw(program),
                target_fd: raw(target),
                attach_type,
                ..Default::default()
            },
        ),
        Call::PerfEventOpen(event) => {
            let attr = PerfEventAttr {
                kind: event.kind,
                size: size_of::<PerfEventAttr>() as u32,
                config: event.config,
                sample_period: event.sample_period,
                sample_type: event.sample_type,
                read_format: event.read_format,
                flags: if event.watermark { PERF_FLAG_WATERMARK } else { 0 },
                wakeup: event.wakeup,
                config1: event.name.map_or(0, |name| name.as_ptr() as u64),
                config2: event.offset,
                ..Default::default()
            };
            let no_group: libc::c_int = -1;
            // SAFETY: `attr` is a live perf_event_attr whose `size` is its own, and the name it points to
            // outlives the call; the other arguments are integers.
            let fd = unsafe {
                libc::syscall(
                    libc::SYS_perf_event_open,
                    &raw const attr,
                    event.pid,
                    event.cpu,
                    no_group,
                    PERF_FLAG_FD_CLOEXEC,
                )
            };
            if fd < 0 { Err(Errno::last()) } else { Ok(fd) }
        }
        Call::PerfSetBpf { event, program } => {
            // SAFETY: the request takes no pointer; its argument is a descriptor, open while it is borrowed.
            let answer = unsafe {
                libc::ioctl(event.as_raw_fd(), PERF_EVENT_IOC_SET_BPF as _, program.as_raw_fd())
            };
            if answer < 0 { Err(Errno::last()) } else { Ok(i64::from(answer)) }
        }
        Call::MemlockGet { soft, hard } => {
            let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: `limit` is a live rlimit that the call fills.
            let answer = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &mut limit) };
            if answer < 0 {
                return Err(Errno::last());
            }
            (*soft, *hard) = (limit.rlim_cur, limit.rlim_max);
            Ok(0)
        }
        Call::MemlockSet { soft, hard } => {
            let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
            // SAFETY: `limit` is a live rlimit that the call reads.
            let answer = unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &limit) };
            if answer < 0 { Err(Errno::last()) } else { Ok(0) }
        }
    }
}

/// `bpf(2)` with one of the attribute layouts above.
fn bpf<A>(command: i32, attr: &mut A) -> Result<i64, Errno> {
    // SAFETY: `attr` is a live, initialised attribute of the size that is passed, exclusively borrowed
    // (the kernel may write into it); every pointer in it was taken from a slice or string that the
    // caller's `Call` borrows for longer than the call, writable where the kernel writes (the log).
    let answer = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attr),
            size_of::<A>() as libc::c_uint,
        )
    };
    if answer < 0 { Err(Errno::last()) } else { Ok(answer) }
}

fn raw(fd: BorrowedFd<'_>) -> u32 {
    // A descriptor that is open is never negative.
    fd.as_raw_fd() as u32
}

/// The descriptor that a successful call returned, owned.
fn owned(answer: Result<i64, Errno>) -> Result<OwnedFd, Errno> {
    let fd = i32::try_from(answer?).map_err(|_| Errno(libc::EIO))?;
    // SAFETY: the kernel has just made this descriptor for us and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Creates a map. `bpf(2)`, `BPF_MAP_CREATE`.
pub(crate) fn map_create(map: &MapCreate<'_>) -> Result<OwnedFd, Errno> {
    owned(call(Call::MapCreate(map)))
}

/// Sets one element of a map. `bpf(2)`, `BPF_MAP_UPDATE_ELEM`.
///
/// The lengths of `key` and `value` must be those of the map, which the kernel takes on trust: the
/// caller ([`crate::map`]) checks them against the spec the map was made from.
pub(crate) fn map_update(
    map: BorrowedFd<'_>,
    key: &[u8],
    value: &[u8],
    flags: u64,
) -> Result<(), Errno> {
    call(Call::MapUpdate { map, key, value, flags }).map(drop)
}

/// Deletes one element of a map. `bpf(2)`, `BPF_MAP_DELETE_ELEM`. For the length of `key` see [`map_update`].
pub(crate) fn map_delete(map: BorrowedFd<'_>, key: &[u8]) -> Result<(), Errno> {
    call(Call::MapDelete { map, key }).map(drop)
}

/// Loads a program. `bpf(2)`, `BPF_PROG_LOAD`.
pub(crate) fn prog_load(load: &mut ProgLoad<'_>) -> Result<OwnedFd, Errno> {
    owned(call(Call::ProgLoad(load)))
}

/// Runs a program. `bpf(2)`, `BPF_PROG_TEST_RUN` (Linux 4.12).
pub(crate) fn prog_test_run(run: &mut ProgTestRun<'_>) -> Result<(), Errno> {
    call(Call::ProgTestRun(run)).map(drop)
}

/// Ties a program to an open perf event. `bpf(2)`, `BPF_LINK_CREATE` with `BPF_PERF_EVENT` (Linux 5.15).
pub(crate) fn link_create_perf_event(
    program: BorrowedFd<'_>,
    event: BorrowedFd<'_>,
) -> Result<OwnedFd, Errno> {
    owned(call(Call::LinkCreate { program, target: event, attach_type: ATTACH_PERF_EVENT }))
}

/// Opens a perf event. `perf_event_open(2)`.
pub(crate) fn perf_event_open(event: &PerfEvent<'_>) -> Result<OwnedFd, Errno> {
    owned(call(Call::PerfEventOpen(event)))
}

/// Reads the count of a perf event, and the one thing more that its `read_format` asks for. `read(2)`.
pub(crate) fn perf_event_read(event: BorrowedFd<'_>) -> Result<(u64, u64), Errno> {
    let mut counts = [0u64; 2];
    let size = size_of_val(&counts);
    // SAFETY: `counts` is live, as long as is said, and any bytes are a value of it.
    let read = unsafe { libc::read(event.as_raw_fd(), counts.as_mut_ptr().cast(), size) };
    match usize::try_from(read) {
        Ok(read) if read == size => Ok((counts[0], counts[1])),
        Ok(_) => Err(Errno(libc::EIO)),
        Err(_) => Err(Errno::last()),
    }
}

/// Ties a program to a perf event the older way. `PERF_EVENT_IOC_SET_BPF` (Linux 4.1).
pub(crate) fn perf_event_set_bpf(
    event: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
) -> Result<(), Errno> {
    call(Call::PerfSetBpf { event, program }).map(drop)
}

/// The soft and the hard limit on locked memory, bytes. `getrlimit(2)`, `RLIMIT_MEMLOCK`.
pub(crate) fn memlock() -> Result<(u64, u64), Errno> {
    let (mut soft, mut hard) = (0, 0);
    call(Call::MemlockGet { soft: &mut soft, hard: &mut hard })?;
    Ok((soft, hard))
}

/// Sets both limits on locked memory, bytes. `setrlimit(2)`, `RLIMIT_MEMLOCK`.
pub(crate) fn set_memlock(soft: u64, hard: u64) -> Result<(), Errno> {
    call(Call::MemlockSet { soft, hard }).map(drop)
}

/// No limit, for [`set_memlock`].
pub(crate) const UNLIMITED: u64 = libc::RLIM_INFINITY;

/// Makes an empty `epoll(7)` set.
pub(crate) fn epoll_create() -> Result<OwnedFd, Errno> {
    // SAFETY: takes an integer, returns a descriptor.
    let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    owned(if fd < 0 { Err(Errno::last()) } else { Ok(i64::from(fd)) })
}

/// Adds a descriptor to an `epoll(7)` set, to be told when it is readable; `key` comes back with it.
pub(crate) fn epoll_add(epoll: BorrowedFd<'_>, fd: BorrowedFd<'_>, key: u64) -> Result<(), Errno> {
    let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: key };
    // SAFETY: `event` is live; both descriptors are open for as long as they are borrowed.
    let answer = unsafe {
        libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &mut event)
    };
    if answer < 0 { Err(Errno::last()) } else { Ok(()) }
}

/// Takes a descriptor out of an `epoll(7)` set.
pub(crate) fn epoll_remove(epoll: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let none = std::ptr::null_mut();
    // SAFETY: the event pointer is not read for EPOLL_CTL_DEL (Linux 2.6.9).
    let answer =
        unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_DEL, fd.as_raw_fd(), none) };
    if answer < 0 { Err(Errno::last()) } else { Ok(()) }
}

/// How many ready descriptors one [`epoll_wait`] reports at most.
pub(crate) const EPOLL_BATCH: usize = 64;

/// Waits until a descriptor of the set is ready or the time is over (`None`: without end), and passes
/// the key and the `EPOLL*` bits of each to `ready`. Rounds up to whole milliseconds, so that it never returns early. A signal ends
/// it with `EINTR`.
pub(crate) fn epoll_wait(
    epoll: BorrowedFd<'_>,
    timeout: Option<Duration>,
    mut ready: impl FnMut(u64, u32),
) -> Result<(), Errno> {
    let timeout = match timeout {
        None => -1,
        Some(time) => i32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX),
    };
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; EPOLL_BATCH];
    // SAFETY: `events` is live and as long as is said.
    let count = unsafe {
        libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), EPOLL_BATCH as i32, timeout)
    };
    let count = usize::try_from(count).map_err(|_| Errno::last())?;
    for event in events.iter().take(count) {
        ready(event.u64, event.events);
    }
    Ok(())
}

/// Waits until a descriptor is readable or has come to its end, or the time is over (`None`: without end);
/// whether it is. Rounds up to whole milliseconds. A signal that has a handler ends it with `EINTR`.
/// `poll(2)`.
pub(crate) fn wait_readable(fd: BorrowedFd<'_>, time: Option<Duration>) -> Result<bool, Errno> {
    let timeout = match time {
        None => -1,
        Some(time) => i32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX),
    };
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: `poll` is one live pollfd, as is said, whose descriptor is borrowed and so open.
    let ready = unsafe { libc::poll(&mut poll, 1, timeout) };
    if ready < 0 { Err(Errno::last()) } else { Ok(ready > 0) }
}

/// Makes an `eventfd(2)`: a counter that one thread adds to and another one waits for. Never blocks.
pub(crate) fn eventfd() -> Result<OwnedFd, Errno> {
    // SAFETY: takes integers, returns a descriptor.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    owned(if fd < 0 { Err(Errno::last()) } else { Ok(i64::from(fd)) })
}

/// Says whether a descriptor is closed when this process becomes another program. `fcntl(2)`, `F_SETFD`.
#[cfg(feature = "cli")]
pub(crate) fn set_close_on_exec(fd: RawFd, close: bool) -> Result<(), Errno> {
    let flags = if close { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: takes integers. A number that is no descriptor is refused, and the flag of one that is
    // someone else's decides nothing about this process's memory.
    let answer = unsafe { libc::fcntl(fd, libc::F_SETFD, flags) };
    if answer < 0 { Err(Errno::last()) } else { Ok(()) }
}

/// Stands in for the kernel in unit tests.
#[cfg(test)]
pub(crate) mod fake {
    use super::{Call, Errno};
    use std::cell::RefCell;

    /// Answers a call, or lets the kernel answer it (`None`).
    type Fake = Box<dyn FnMut(&mut Call<'_, '_>) -> Option<Result<i64, Errno>>>;

    thread_local! {
        static FAKE: RefCell<Option<Fake>> = const { RefCell::new(None) };
    }

    pub(super) fn intercept<'c, 'a>(
        mut call: Call<'c, 'a>,
    ) -> Result<Result<i64, Errno>, Call<'c, 'a>> {
        FAKE.with_borrow_mut(|fake| match fake.as_mut().and_then(|fake| fake(&mut call)) {
            Some(answer) => Ok(answer),
            None => Err(call),
        })
    }

    /// Runs `body` on this thread with `fake` in the kernel's place.
    pub(crate) fn with<T>(
        fake: impl FnMut(&mut Call<'_, '_>) -> Option<Result<i64, Errno>> + 'static,
        body: impl FnOnce() -> T,
    ) -> T {
        struct Reset;
        impl Drop for Reset {
            fn drop(&mut self) {
                FAKE.set(None);
            }
        }
        FAKE.set(Some(Box::new(fake)));
        let _reset = Reset;
        body()
    }

    /// A descriptor for a fake to return where the kernel would make one: harmless and open.
    pub(crate) fn descriptor() -> Result<i64, Errno> {
        use std::os::fd::IntoRawFd;
        let file = std::fs::File::open("/dev/null").map_err(|e| Errno::of(&e))?;
        Ok(i64::from(file.into_raw_fd()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    /// Offsets of `union bpf_attr` as `include/uapi/linux/bpf.h` lays it out on every architecture
    /// (`__aligned_u64`), so a field that moved here would be seen.
    #[test]
    fn attribute_layouts_are_the_kernels() {
        assert_eq!(offset_of!(MapCreateAttr, map_name), 28);
        assert_eq!(offset_of!(MapElemAttr, key), 8);
        assert_eq!(offset_of!(MapElemAttr, flags), 24);
        assert_eq!(offset_of!(ProgLoadAttr, insns), 8);
        assert_eq!(offset_of!(ProgLoadAttr, log_level), 24);
        assert_eq!(offset_of!(ProgLoadAttr, log_buf), 32);
        assert_eq!(offset_of!(ProgLoadAttr, prog_name), 48);
        assert_eq!(offset_of!(ProgLoadAttr, expected_attach_type), 68);
        assert_eq!(offset_of!(ProgLoadAttr, line_info), 96);
        assert_eq!(offset_of!(ProgLoadAttr, fd_array), 120);
        assert_eq!(offset_of!(ProgLoadAttr, log_true_size), 140);
        assert_eq!(offset_of!(ProgTestRunAttr, data_in), 16);
        assert_eq!(offset_of!(ProgTestRunAttr, duration), 36);
        assert_eq!(size_of::<ProgTestRunAttr>(), 40); // as long as Linux 4.12 has it
        assert_eq!(offset_of!(LinkCreateAttr, bpf_cookie), 16);
        assert_eq!(offset_of!(PerfEventAttr, flags), 40);
        assert_eq!(offset_of!(PerfEventAttr, config1), 56);
        assert_eq!(size_of::<PerfEventAttr>(), 112); // PERF_ATTR_SIZE_VER5
    }

    #[test]
    fn errno_says_its_symbol() {
        assert_eq!(Errno(libc::EPERM).to_string(), "Operation not permitted (EPERM)");
        assert_eq!(Errno(524).to_string(), "Operation is not supported (ENOTSUPP)");
        assert_eq!(format!("{:?}", Errno(libc::ENOENT)), "ENOENT");
    }

    #[test]
    fn names_are_cut_to_what_the_kernel_stores() {
        assert_eq!(&object_name(b"hello"), b"hello\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(&object_name(b"a_name_of_sixteen"), b"a_name_of_sixte\0");
    }
}
