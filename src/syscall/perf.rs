//! Perf events, and the limit on locked memory.

use super::attr::{
    PERF_FLAG_FREQ, PERF_FLAG_INHERIT, PERF_FLAG_INHERIT_THREAD, PERF_FLAG_MMAP, PERF_FLAG_MMAP2,
    PERF_FLAG_USE_CLOCKID, PERF_FLAG_WATERMARK, PERF_FLAG_WRITE_BACKWARD, PerfEventAttr,
};
use super::{Answer, Call, Errno, call, owned};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// The arguments of `perf_event_open(2)`; the rest of `struct perf_event_attr` stays zero.
#[derive(Debug, Default, Clone)]
pub(crate) struct PerfEvent<'a> {
    pub kind: u32,
    pub config: u64,
    pub sample_period: u64,
    /// The period is a frequency: so many in a second, and the kernel finds the period for it.
    pub freq: bool,
    /// Threads and processes that the one begins are counted, too; with `inherit_thread` (5.13) its threads alone.
    pub inherit: bool,
    pub inherit_thread: bool,
    /// Records of the files that the process maps as code (Linux 3.16).
    pub mmap: bool,
    pub sample_type: u64,
    /// The values that `read(2)` of the event returns besides its count (`PERF_FORMAT_*`).
    pub read_format: u64,
    /// Wake after this many samples or, with `watermark`, bytes.
    pub wakeup: u32,
    pub watermark: bool,
    /// The clock of the times in samples; the kernel's own if there is none (Linux 4.1).
    pub clock: Option<i32>,
    /// The ring is filled from its end, so that the newest record can be found when the oldest are overwritten
    /// (Linux 4.7).
    pub backward: bool,
    /// `config1`: for the kprobe PMU a pointer to the function's name.
    pub name: Option<&'a CStr>,
    /// `config2`: for the kprobe PMU the offset into the function, or the address where there is no name.
    pub offset: u64,
    /// `-1` for every process; else one.
    pub pid: i32,
    /// A CPU number, or `-1` for all (only with a process).
    pub cpu: i32,
}

const PERF_FLAG_FD_CLOEXEC: libc::c_ulong = 8;

/// `PERF_EVENT_IOC_SET_BPF`, `_IOW('$', 8, __u32)`.
const PERF_EVENT_IOC_SET_BPF: u32 = write_request(8);
/// `PERF_EVENT_IOC_PAUSE_OUTPUT`, `_IOW('$', 9, __u32)`.
const PERF_EVENT_IOC_PAUSE_OUTPUT: u32 = write_request(9);

/// `_IOW('$', number, __u32)`. Most architectures encode "write" as bit 30 of a request; these as bit 31.
const fn write_request(number: u32) -> u32 {
    let bit_31 = cfg!(any(
        target_arch = "powerpc",
        target_arch = "powerpc64",
        target_arch = "mips",
        target_arch = "mips64",
        target_arch = "sparc64"
    ));
    (if bit_31 { 1 << 31 } else { 1 << 30 }) | 4 << 16 | 0x2400 | number
}

/// Opens a perf event. `perf_event_open(2)`.
pub(crate) fn perf_event_open(event: &PerfEvent<'_>) -> Result<OwnedFd, Errno> {
    owned(call(Call::PerfEventOpen(event)))
}

/// Reads the count of a perf event and the values of its `read_format`, whose number must be the length of `counts`.
/// `read(2)`.
pub(crate) fn perf_event_read(event: BorrowedFd<'_>, counts: &mut [u64]) -> Result<(), Errno> {
    let size = size_of_val(counts);
    // SAFETY: `counts` is live, as long as is said, and any bytes are a value of it.
    let read = unsafe { libc::read(event.as_raw_fd(), counts.as_mut_ptr().cast(), size) };
    match usize::try_from(read) {
        Ok(read) if read == size => Ok(()),
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

/// Stops the ring of a perf event from being written, or lets it be written again. What is written meanwhile counts as
/// lost. `PERF_EVENT_IOC_PAUSE_OUTPUT` (Linux 4.7).
pub(crate) fn perf_event_pause(event: BorrowedFd<'_>, pause: bool) -> Result<(), Errno> {
    call(Call::PerfPause { event, pause }).map(drop)
}

/// Waits until all CPUs have left what they were doing in the kernel without being able to be preempted
/// (`synchronize_rcu`): what was writing to a ring that has been paused has ended. `membarrier(2)`,
/// `MEMBARRIER_CMD_GLOBAL` (Linux 4.3; refused with `EINVAL` by a kernel that runs CPUs without a tick).
pub(crate) fn grace_period() -> Result<(), Errno> {
    const MEMBARRIER_CMD_GLOBAL: libc::c_int = 1;
    // SAFETY: takes integers.
    let answer = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if answer < 0 { Err(Errno::last()) } else { Ok(()) }
}

/// The time by `CLOCK_MONOTONIC`, nanoseconds: that of `bpf_ktime_get_ns` and of samples that have a time.
/// `clock_gettime(2)`.
pub(crate) fn monotonic_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC)
}

/// The time by a clock, nanoseconds; 0 if there is no such clock. `clock_gettime(2)`.
pub(crate) fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a live timespec that the call fills, or leaves as it is.
    unsafe { libc::clock_gettime(clock, &mut time) };
    let part = |number| u64::try_from(number).unwrap_or_default();
    #[allow(clippy::useless_conversion)] // Not on every architecture.
    let (seconds, nanoseconds) = (part(i64::from(time.tv_sec)), part(i64::from(time.tv_nsec)));
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
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

/// The release of this kernel, `6.1.0-18-amd64`. [uname(2)](https://man7.org/linux/man-pages/man2/uname.2.html): unlike
/// the same in `/proc` it can be asked when no descriptor is left.
pub(crate) fn release() -> String {
    text(&names().release)
}

/// The text about the build of this kernel, `#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01)`.
#[cfg(feature = "elf")]
pub(crate) fn build() -> String {
    text(&names().version)
}

fn names() -> libc::utsname {
    // SAFETY: all fields are arrays of integers, for which zeros are values.
    let mut names: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: `names` is live and what the call fills. It fails only for an address that is none.
    unsafe { libc::uname(&mut names) };
    names
}

fn text(letters: &[libc::c_char]) -> String {
    let bytes = letters.iter().map(|byte| *byte as u8).take_while(|byte| *byte != 0);
    String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned()
}

/// No limit, for [`set_memlock`].
pub(crate) const UNLIMITED: u64 = libc::RLIM_INFINITY;

pub(super) fn open(event: &PerfEvent<'_>) -> Answer {
    let flags = [
        (event.inherit, PERF_FLAG_INHERIT),
        (event.mmap, PERF_FLAG_MMAP | PERF_FLAG_MMAP2),
        (event.freq, PERF_FLAG_FREQ),
        (event.watermark, PERF_FLAG_WATERMARK),
        (event.clock.is_some(), PERF_FLAG_USE_CLOCKID),
        (event.backward, PERF_FLAG_WRITE_BACKWARD),
        (event.inherit_thread, PERF_FLAG_INHERIT_THREAD),
    ];
    let attr = PerfEventAttr {
        kind: event.kind,
        size: size_of::<PerfEventAttr>() as u32,
        config: event.config,
        sample_period: event.sample_period,
        sample_type: event.sample_type,
        read_format: event.read_format,
        flags: flags.iter().filter(|(set, _)| *set).fold(0, |all, (_, flag)| all | flag),
        wakeup: event.wakeup,
        config1: event.name.map_or(0, |name| name.as_ptr() as u64),
        config2: event.offset,
        clockid: event.clock.unwrap_or_default(),
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

pub(super) fn set_bpf(event: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Answer {
    // SAFETY: the request takes no pointer; its argument is a descriptor, open while it is borrowed.
    let answer =
        unsafe { libc::ioctl(event.as_raw_fd(), PERF_EVENT_IOC_SET_BPF as _, program.as_raw_fd()) };
    if answer < 0 { Err(Errno::last()) } else { Ok(i64::from(answer)) }
}

pub(super) fn pause(event: BorrowedFd<'_>, pause: bool) -> Answer {
    let pause = libc::c_ulong::from(pause);
    // SAFETY: the request takes no pointer; its argument is a number.
    let answer = unsafe { libc::ioctl(event.as_raw_fd(), PERF_EVENT_IOC_PAUSE_OUTPUT as _, pause) };
    if answer < 0 { Err(Errno::last()) } else { Ok(i64::from(answer)) }
}

pub(super) fn memlock_get(soft: &mut u64, hard: &mut u64) -> Answer {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a live rlimit that the call fills.
    let answer = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &mut limit) };
    if answer < 0 {
        return Err(Errno::last());
    }
    (*soft, *hard) = (limit.rlim_cur, limit.rlim_max);
    Ok(0)
}

pub(super) fn memlock_set(soft: u64, hard: u64) -> Answer {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: `limit` is a live rlimit that the call reads.
    let answer = unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &limit) };
    if answer < 0 { Err(Errno::last()) } else { Ok(0) }
}
