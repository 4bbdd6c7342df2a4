//! The system calls: one typed function per command, and the only place that makes one.
//!
//! Every request of the library to the kernel goes through [`call`]. It takes a [`Call`], plain typed
//! data, so a unit test can put a fake in its place and see (and answer) exactly the requests of the loader,
//! without root and without BPF. A descriptor that the kernel creates is owned from the start.
//!
//! Each kind of object has its file: its arguments as plain data, the functions for the rest of the crate, and their
//! conversion to one of the layouts in `attr.rs`.
#![allow(unsafe_code)]

mod attr;
mod contents;
mod cpu;
#[cfg(any(test, fuzzing))]
pub(crate) mod fake;
mod fields;
mod link;
mod map;
#[cfg(any(feature = "minidebuginfo", fuzzing))]
mod memfd;
pub(crate) mod memlock;
mod mmap;
mod mount;
pub(crate) mod netlink;
mod object;
mod perf;
mod poll;
#[cfg(feature = "bt-cli")]
mod process;
mod prog;
mod socket;
#[cfg(test)]
mod tests;
#[cfg(feature = "bt")]
mod time;
mod trace;

pub(crate) use contents::{BTF_FOLDER, Contents, is_in_procfs, is_in_sysfs};
pub(crate) use cpu::{allowed_cpus, cpu_set_bits};
pub(crate) use link::{LinkCreate, LinkExtra, iter_create, link_create, link_detach, link_update};
pub(crate) use map::{
    MapBtf, MapCreate, MapReadBatch, MapWriteBatch, map_create, map_delete, map_freeze, map_lookup,
    map_lookup_and_delete, map_next_key, map_read_batch, map_update, map_write_batch,
};
#[cfg(any(feature = "minidebuginfo", fuzzing))]
pub(crate) use memfd::memfd_create;
pub(crate) use mmap::SharedWords;
pub(crate) use mount::{lock, mount_detached};
pub(crate) use object::{
    BtfLoad, InfoArray, Numbered, ObjInfo, TaskFdQuery, btf_load, enable_stats, fd_by_id, next_id,
    obj_get, obj_info, obj_pin, task_fd_query, token_create,
};
#[cfg(feature = "elf")]
pub(crate) use perf::build;
#[cfg(any(feature = "bt", feature = "symbolize"))]
pub(crate) use perf::clock_ns;
pub(crate) use perf::{
    PerfEvent, UNLIMITED, grace_period, memlock, monotonic_ns, perf_event_open, perf_event_pause,
    perf_event_read, perf_event_set_bpf, release, set_memlock,
};
pub(crate) use poll::{
    epoll_add, epoll_add_for, epoll_create, epoll_remove, epoll_wait, eventfd, wait_readable,
};
#[cfg(feature = "bt-cli")]
pub(crate) use process::{
    Executable, Hold, Inherited, Report, Resume, Waited, block_signals, fork_held, has_attribute,
    has_sys_ptrace, is_ignored, pidfd_open, pidfd_signal, resume_child, wait_for_child,
};
pub(crate) use prog::{
    Log, ProgAttach, ProgBtf, ProgLoad, ProgTestRun, RawTracepoint, prog_attach, prog_bind_map,
    prog_detach, prog_load, prog_test_run, raw_tracepoint_open,
};
pub(crate) use socket::{bind, receive, send, set_option, socket};
#[cfg(feature = "bt")]
pub(crate) use time::local_time;
pub use trace::{SystemCall, observe};

use crate::uapi::Errno;
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The result of a command: a descriptor or another number, or an errno.
type Answer = Result<i64, Errno>;

/// One request to the kernel, as plain data: what passes through the choke point.
#[derive(Debug)]
pub(crate) enum Call<'c, 'a> {
    MapCreate(&'c MapCreate<'a>),
    MapLookup { map: BorrowedFd<'c>, key: &'c [u8], value: &'c mut [u8], flags: u64 },
    MapUpdate { map: BorrowedFd<'c>, key: &'c [u8], value: &'c [u8], flags: u64 },
    MapDelete { map: BorrowedFd<'c>, key: &'c [u8] },
    MapNextKey { map: BorrowedFd<'c>, key: Option<&'c [u8]>, next: &'c mut [u8] },
    MapLookupAndDelete { map: BorrowedFd<'c>, key: &'c [u8], value: &'c mut [u8], flags: u64 },
    MapFreeze { map: BorrowedFd<'c> },
    MapReadBatch(&'c mut MapReadBatch<'a>),
    MapWriteBatch(&'c mut MapWriteBatch<'a>),
    ProgLoad(&'c mut ProgLoad<'a>),
    ProgTestRun(&'c mut ProgTestRun<'a>),
    ProgBindMap { program: BorrowedFd<'c>, map: BorrowedFd<'c> },
    ProgAttach(&'c ProgAttach<'a>),
    ProgDetach { target: Target<'c>, program: BorrowedFd<'c>, attach_type: u32 },
    RawTracepointOpen(&'c RawTracepoint<'a>),
    ObjPin { object: BorrowedFd<'c>, path: &'c CStr, dir: Option<BorrowedFd<'c>> },
    ObjGet { path: &'c CStr, flags: u32, dir: Option<BorrowedFd<'c>> },
    ObjInfo(&'c mut ObjInfo<'a>),
    NextId { kind: Numbered, after: u32, next: &'c mut u32 },
    FdById { kind: Numbered, id: u32, flags: u32 },
    BtfLoad(&'c mut BtfLoad<'a>),
    LinkCreate(&'c LinkCreate<'a>),
    LinkUpdate { link: BorrowedFd<'c>, new: BorrowedFd<'c> },
    LinkDetach { link: BorrowedFd<'c> },
    IterCreate { link: BorrowedFd<'c> },
    EnableStats { kind: u32 },
    TaskFdQuery(&'c mut TaskFdQuery<'a>),
    TokenCreate { bpffs: BorrowedFd<'c> },
    PerfEventOpen(&'c PerfEvent<'a>),
    PerfSetBpf { event: BorrowedFd<'c>, program: BorrowedFd<'c> },
    PerfPause { event: BorrowedFd<'c>, pause: bool },
    MemlockGet { soft: &'c mut u64, hard: &'c mut u64 },
    MemlockSet { soft: u64, hard: u64 },
    Socket { family: i32, kind: i32, protocol: i32 },
    Bind { socket: BorrowedFd<'c>, address: &'c [u8] },
    SetOption { socket: BorrowedFd<'c>, level: i32, option: i32, value: &'c [u8] },
    Send { socket: BorrowedFd<'c>, bytes: &'c [u8] },
    Receive { socket: BorrowedFd<'c>, bytes: &'c mut [u8] },
}

/// The object that a program is attached to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target<'a> {
    /// None, or the one that the program named at load.
    None,
    /// A control group, map, perf event, network namespace or program.
    Fd(BorrowedFd<'a>),
    /// A network device, by its number.
    Interface(u32),
}

/// The attached program before or after which another one goes. The flags select that: `BPF_F_BEFORE`,
/// `BPF_F_AFTER`, `BPF_F_ID`, `BPF_F_LINK`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Relative<'a> {
    /// None: the first or the last of all.
    None,
    /// A program or a link.
    Fd(BorrowedFd<'a>),
}

/// Passes a request to the kernel. The one choke point: everything above goes through here.
///
/// It is inlined into each function that makes a request, so that a binary contains only the requests that it makes: of
/// `kernel` only that match arm remains.
#[inline(always)]
fn call(mut call: Call<'_, '_>) -> Answer {
    match trace::watch() {
        None => answer(&mut call),
        Some(watch) => watch(&mut call),
    }
}

#[inline(always)]
fn answer(call: &mut Call<'_, '_>) -> Answer {
    #[cfg(any(test, fuzzing))]
    if let Some(answer) = fake::intercept(call) {
        return answer;
    }
    kernel(call)
}

#[inline(always)]
fn kernel(call: &mut Call<'_, '_>) -> Answer {
    match *call {
        Call::MapCreate(map) => map::create(map),
        Call::MapLookup { map, key, ref mut value, flags } => map::lookup(map, key, value, flags),
        Call::MapUpdate { map, key, value, flags } => map::update(map, key, value, flags),
        Call::MapDelete { map, key } => map::delete(map, key),
        Call::MapNextKey { map, key, ref mut next } => map::next_key(map, key, next),
        Call::MapLookupAndDelete { map, key, ref mut value, flags } => {
            map::lookup_and_delete(map, key, value, flags)
        }
        Call::MapFreeze { map } => map::freeze(map),
        Call::MapReadBatch(ref mut batch) => map::read_batch(batch),
        Call::MapWriteBatch(ref mut batch) => map::write_batch(batch),
        Call::ProgLoad(ref mut load) => prog::load(load),
        Call::ProgTestRun(ref mut run) => prog::test_run(run),
        Call::ProgBindMap { program, map } => prog::bind_map(program, map),
        Call::ProgAttach(attach) => prog::attach(attach),
        Call::ProgDetach { target, program, attach_type } => {
            prog::detach(target, program, attach_type)
        }
        Call::RawTracepointOpen(open) => prog::open_raw_tracepoint(open),
        Call::ObjPin { object, path, dir } => object::pin(object, path, dir),
        Call::ObjGet { path, flags, dir } => object::get(path, flags, dir),
        Call::ObjInfo(ref mut info) => object::get_info(info),
        Call::NextId { kind, after, ref mut next } => object::get_next_id(kind, after, next),
        Call::FdById { kind, id, flags } => object::get_fd_by_id(kind, id, flags),
        Call::BtfLoad(ref mut load) => object::load_btf(load),
        Call::LinkCreate(link) => link::create(link),
        Call::LinkUpdate { link, new } => link::update(link, new),
        Call::LinkDetach { link } => link::detach(link),
        Call::IterCreate { link } => link::iter(link),
        Call::EnableStats { kind } => object::stats(kind),
        Call::TaskFdQuery(ref mut query) => object::query_task_fd(query),
        Call::TokenCreate { bpffs } => object::create_token(bpffs),
        Call::PerfEventOpen(event) => perf::open(event),
        Call::PerfSetBpf { event, program } => perf::set_bpf(event, program),
        Call::PerfPause { event, pause } => perf::pause(event, pause),
        Call::MemlockGet { ref mut soft, ref mut hard } => perf::memlock_get(soft, hard),
        Call::MemlockSet { soft, hard } => perf::memlock_set(soft, hard),
        Call::Socket { family, kind, protocol } => socket::make(family, kind, protocol),
        Call::Bind { socket, address } => socket::bind_to(socket, address),
        Call::SetOption { socket, level, option, value } => {
            socket::set(socket, level, option, value)
        }
        Call::Send { socket, bytes } => socket::send_to(socket, bytes),
        Call::Receive { socket, ref mut bytes } => socket::receive_from(socket, bytes),
    }
}

/// `bpf(2)` with one of the layouts of `attr.rs`.
fn bpf<A>(command: i32, attr: &mut A) -> Answer {
    // SAFETY: `attr` is a live, initialised attribute of the size that is passed, exclusively borrowed
    // (the kernel may write into it); every pointer in it was taken from a slice or string that the
    // caller's `Call` borrows for longer than the call, mutably where the kernel writes, or is null. Where the kernel
    // does not check a length, the function that makes the `Call` says so and its caller has checked it.
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

fn maybe_raw(fd: Option<BorrowedFd<'_>>) -> u32 {
    fd.map_or(0, raw)
}

fn target_raw(target: Target<'_>) -> u32 {
    match target {
        Target::None => 0,
        Target::Fd(fd) => raw(fd),
        Target::Interface(number) => number,
    }
}

fn relative_raw(relative: Relative<'_>) -> u32 {
    match relative {
        Relative::None => 0,
        Relative::Fd(fd) => raw(fd),
    }
}

/// The address of what the kernel reads. Null if there is nothing: it refuses a pointer that it does not expect.
fn address<T>(items: &[T]) -> u64 {
    if items.is_empty() { 0 } else { items.as_ptr() as u64 }
}

/// The address of what the kernel writes; null if there is no room.
fn address_mut<T>(items: &mut [T]) -> u64 {
    if items.is_empty() { 0 } else { items.as_mut_ptr() as u64 }
}

fn length<T>(items: &[T]) -> Result<u32, Errno> {
    u32::try_from(items.len()).map_err(|_| Errno(libc::E2BIG))
}

/// The descriptor that a successful call returned, owned.
fn owned(answer: Answer) -> Result<OwnedFd, Errno> {
    let fd = i32::try_from(answer?).map_err(|_| Errno(libc::EIO))?;
    // SAFETY: the kernel has just made this descriptor for us and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
