//! The commands about any object: pins, numbers, information; and BTF, statistics, tokens.

use super::attr::{BtfLoadAttr, IdAttr, InfoAttr, ObjAttr, TaskFdQueryAttr, TwoAttr};
use super::{
    Answer, Call, Errno, Log, address, address_mut, bpf, call, length, maybe_raw, owned, raw,
};
use crate::uapi::flags::{BPF_F_PATH_FD, BPF_F_TOKEN_FD};
use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

const BPF_OBJ_PIN: i32 = 6;
const BPF_OBJ_GET: i32 = 7;
const BPF_OBJ_GET_INFO_BY_FD: i32 = 15;
const BPF_BTF_LOAD: i32 = 18;
const BPF_TASK_FD_QUERY: i32 = 20;
const BPF_ENABLE_STATS: i32 = 32;
const BPF_TOKEN_CREATE: i32 = 36;

/// `BPF_STATS_RUN_TIME`.
const STATS_RUN_TIME: u32 = 0;

/// The kinds of kernel object that have an ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbered {
    /// Linux 4.13.
    Program,
    /// Linux 4.13.
    Map,
    /// Linux 4.18; [`next_id`] 5.4.
    Btf,
    /// Linux 5.8.
    Link,
}

impl Numbered {
    /// `BPF_*_GET_NEXT_ID` and `BPF_*_GET_FD_BY_ID`.
    fn commands(self) -> (i32, i32) {
        match self {
            Numbered::Program => (11, 13),
            Numbered::Map => (12, 14),
            Numbered::Btf => (23, 19),
            Numbered::Link => (31, 30),
        }
    }
}

/// The arguments and results of `bpf(BPF_OBJ_GET_INFO_BY_FD)`.
#[derive(Debug)]
pub(crate) struct ObjInfo<'a> {
    pub object: BorrowedFd<'a>,
    /// The buffer for the `struct bpf_*_info`. Whatever it holds is overwritten.
    pub info: &'a mut [u8],
    /// Set by the kernel to the number of bytes it has written.
    pub len: u32,
    /// The buffers for the arrays that the structure points to.
    pub arrays: &'a mut [InfoArray<'a>],
}

/// Room for an array that a `struct bpf_*_info` points to.
#[derive(Debug)]
pub(crate) struct InfoArray<'a> {
    /// The offset of the pointer in the structure, a `u64`.
    pub pointer_at: usize,
    /// The offset of the number of items in the structure, a `u32`.
    pub count_at: usize,
    /// The offset of the size of an item in the structure, a `u32`, if it is asked for (`*_rec_size`).
    pub size_at: Option<usize>,
    /// Bytes of an item; 1 where the kernel counts bytes. **The kernel does not check it**, nor that
    /// the offsets are those of the fields: the caller is responsible for them.
    pub item: u32,
    /// The buffer for the items.
    pub bytes: &'a mut [u8],
}

/// The arguments of `bpf(BPF_BTF_LOAD)`, and its log.
#[derive(Debug, Default)]
pub(crate) struct BtfLoad<'a> {
    pub btf: &'a [u8],
    pub log: Option<Log<'a>>,
    /// Linux 6.9.
    pub token: Option<BorrowedFd<'a>>,
}

/// The arguments and results of `bpf(BPF_TASK_FD_QUERY)`.
#[derive(Debug)]
pub(crate) struct TaskFdQuery<'a> {
    pub pid: u32,
    /// A descriptor of that process.
    pub fd: u32,
    /// The buffer for the name of the function, tracepoint or file, with a NUL after it.
    pub name: &'a mut [u8],
    /// Set by the kernel to the length of the name.
    pub name_len: u32,
    /// Set by the kernel to the ID of the program.
    pub program_id: u32,
    /// Set by the kernel to the kind of attachment (`enum bpf_task_fd_type`).
    pub kind: u32,
    /// Set by the kernel for kprobes and uprobes.
    pub probe_offset: u64,
    /// Set by the kernel for kprobes.
    pub probe_addr: u64,
}

/// Pins an object in the BPF file system, which keeps it there; the path is relative to `dir` if it has one
/// (Linux 6.5). `bpf(2)`, `BPF_OBJ_PIN` (Linux 4.4).
pub(crate) fn obj_pin(
    object: BorrowedFd<'_>,
    path: &CStr,
    dir: Option<BorrowedFd<'_>>,
) -> Result<(), Errno> {
    call(Call::ObjPin { object, path, dir }).map(drop)
}

/// Opens what is pinned at a path, with `BPF_F_RDONLY`, `BPF_F_WRONLY` or neither. `bpf(2)`, `BPF_OBJ_GET`
/// (Linux 4.4; flags 4.15; `dir` 6.5).
pub(crate) fn obj_get(
    path: &CStr,
    flags: u32,
    dir: Option<BorrowedFd<'_>>,
) -> Result<OwnedFd, Errno> {
    owned(call(Call::ObjGet { path, flags, dir }))
}

/// The first number after this one that an object has; `ENOENT` after the last. `bpf(2)`, `BPF_*_GET_NEXT_ID`.
pub(crate) fn next_id(kind: Numbered, after: u32) -> Result<u32, Errno> {
    let mut next = 0;
    call(Call::NextId { kind, after, next: &mut next })?;
    Ok(next)
}

/// Opens the object that has this number; flags (`BPF_F_RDONLY`, …) are for maps alone. `bpf(2)`, `BPF_*_GET_FD_BY_ID`.
pub(crate) fn fd_by_id(kind: Numbered, id: u32, flags: u32) -> Result<OwnedFd, Errno> {
    owned(call(Call::FdById { kind, id, flags }))
}

/// Queries the kernel's information about a program, a map, BTF or a link. `bpf(2)`, `BPF_OBJ_GET_INFO_BY_FD`
/// (Linux 4.13, BTF 4.18, links 5.8). The buffer may be longer than the structure of this kernel: the rest is zero.
///
/// The kernel does not check [`InfoArray`]: the caller does.
pub(crate) fn obj_info(info: &mut ObjInfo<'_>) -> Result<(), Errno> {
    call(Call::ObjInfo(info)).map(drop)
}

/// Loads BTF. `bpf(2)`, `BPF_BTF_LOAD` (Linux 4.18).
pub(crate) fn btf_load(load: &mut BtfLoad<'_>) -> Result<OwnedFd, Errno> {
    owned(call(Call::BtfLoad(load)))
}

/// Enables run-time statistics of programs (run count and time), as long as the descriptor is open. `bpf(2)`,
/// `BPF_ENABLE_STATS` (Linux 5.8).
pub(crate) fn enable_stats() -> Result<OwnedFd, Errno> {
    owned(call(Call::EnableStats { kind: STATS_RUN_TIME }))
}

/// Returns the program that a perf event or raw tracepoint of a process runs, and the place it is attached to.
/// `bpf(2)`, `BPF_TASK_FD_QUERY` (Linux 4.18).
pub(crate) fn task_fd_query(query: &mut TaskFdQuery<'_>) -> Result<(), Errno> {
    call(Call::TaskFdQuery(query)).map(drop)
}

/// Creates a token, which delegates the rights that the BPF file system was mounted with. `bpf(2)`, `BPF_TOKEN_CREATE`
/// (Linux 6.9).
pub(crate) fn token_create(bpffs: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    owned(call(Call::TokenCreate { bpffs }))
}

pub(super) fn pin(object: BorrowedFd<'_>, path: &CStr, dir: Option<BorrowedFd<'_>>) -> Answer {
    let mut attr = at(path, 0, dir);
    attr.bpf_fd = raw(object);
    bpf(BPF_OBJ_PIN, &mut attr)
}

pub(super) fn get(path: &CStr, flags: u32, dir: Option<BorrowedFd<'_>>) -> Answer {
    bpf(BPF_OBJ_GET, &mut at(path, flags, dir))
}

fn at(path: &CStr, flags: u32, dir: Option<BorrowedFd<'_>>) -> ObjAttr {
    ObjAttr {
        pathname: path.as_ptr() as u64,
        file_flags: flags | if dir.is_some() { BPF_F_PATH_FD } else { 0 },
        path_fd: maybe_raw(dir),
        ..Default::default()
    }
}

pub(super) fn get_next_id(kind: Numbered, after: u32, next: &mut u32) -> Answer {
    let mut attr = IdAttr { id: after, ..Default::default() };
    let answer = bpf(kind.commands().0, &mut attr);
    *next = attr.next_id;
    answer
}

pub(super) fn get_fd_by_id(kind: Numbered, id: u32, flags: u32) -> Answer {
    bpf(kind.commands().1, &mut IdAttr { id, next_id: 0, open_flags: flags })
}

pub(super) fn get_info(info: &mut ObjInfo<'_>) -> Answer {
    // The kernel reads the structure first: a pointer that something else left in it would be written
    // through, and it refuses what it does not know unless that is zero.
    info.info.fill(0);
    for array in info.arrays.iter_mut() {
        let invalid = Errno(libc::EINVAL);
        let count = length(array.bytes)?.checked_div(array.item).ok_or(invalid)?;
        let mut fields = vec![
            (array.pointer_at, address_mut(array.bytes).to_ne_bytes().to_vec()),
            (array.count_at, count.to_ne_bytes().to_vec()),
        ];
        fields.extend(array.size_at.map(|at| (at, array.item.to_ne_bytes().to_vec())));
        for (at, bytes) in fields {
            let field = info.info.get_mut(at..).and_then(|rest| rest.get_mut(..bytes.len()));
            field.ok_or(invalid)?.copy_from_slice(&bytes);
        }
    }
    let mut attr = InfoAttr {
        bpf_fd: raw(info.object),
        info_len: length(info.info)?,
        info: address_mut(info.info),
    };
    let answer = bpf(BPF_OBJ_GET_INFO_BY_FD, &mut attr);
    info.len = attr.info_len;
    answer
}

pub(super) fn load_btf(load: &mut BtfLoad<'_>) -> Answer {
    let mut attr = BtfLoadAttr {
        btf: address(load.btf),
        btf_size: length(load.btf)?,
        btf_flags: if load.token.is_some() { BPF_F_TOKEN_FD } else { 0 },
        btf_token_fd: maybe_raw(load.token),
        ..Default::default()
    };
    if let Some(log) = &mut load.log {
        (attr.btf_log_level, attr.btf_log_buf, attr.btf_log_size) = log.fields();
    }
    let answer = bpf(BPF_BTF_LOAD, &mut attr);
    if let Some(log) = &mut load.log {
        log.true_size = attr.btf_log_true_size;
    }
    answer
}

pub(super) fn stats(kind: u32) -> Answer {
    bpf(BPF_ENABLE_STATS, &mut TwoAttr { first: kind, second: 0 })
}

pub(super) fn query_task_fd(query: &mut TaskFdQuery<'_>) -> Answer {
    let mut attr = TaskFdQueryAttr {
        pid: query.pid,
        fd: query.fd,
        buf_len: length(query.name)?,
        buf: address_mut(query.name),
        ..Default::default()
    };
    let answer = bpf(BPF_TASK_FD_QUERY, &mut attr);
    (query.name_len, query.program_id, query.kind) = (attr.buf_len, attr.prog_id, attr.fd_type);
    (query.probe_offset, query.probe_addr) = (attr.probe_offset, attr.probe_addr);
    answer
}

pub(super) fn create_token(bpffs: BorrowedFd<'_>) -> Answer {
    bpf(BPF_TOKEN_CREATE, &mut TwoAttr { first: 0, second: raw(bpffs) })
}
