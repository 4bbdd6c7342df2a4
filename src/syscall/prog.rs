//! The commands about programs.

use super::attr::{
    ProgAttachAttr, ProgBindMapAttr, ProgLoadAttr, ProgTestRunAttr, RawTracepointAttr, object_name,
};
use super::{
    Answer, Call, Errno, Relative, Target, address, address_mut, bpf, call, length, maybe_raw,
    owned, raw, relative_raw, target_raw,
};
use crate::insn::Insn;
use crate::uapi::flags::BPF_F_TOKEN_FD;
use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

const BPF_PROG_LOAD: i32 = 5;
const BPF_PROG_ATTACH: i32 = 8;
const BPF_PROG_DETACH: i32 = 9;
const BPF_PROG_TEST_RUN: i32 = 10;
const BPF_RAW_TRACEPOINT_OPEN: i32 = 17;
const BPF_PROG_BIND_MAP: i32 = 35;

/// `BPF_F_REPLACE` of `BPF_PROG_ATTACH`.
const BPF_F_REPLACE: u32 = 1 << 2;

/// The arguments of `bpf(BPF_PROG_LOAD)`, and its log.
#[derive(Debug, Default)]
pub(crate) struct ProgLoad<'a> {
    pub prog_type: u32,
    /// Linux 4.17.
    pub expected_attach_type: u32,
    /// `BPF_F_TOKEN_FD` is set when `token` is.
    pub flags: u32,
    pub insns: &'a [Insn],
    pub license: &'a CStr,
    /// Linux 4.15.
    pub name: &'a [u8],
    /// The network device that the program is for (4.16).
    pub ifindex: u32,
    /// Its types, functions and source lines (5.0).
    pub btf: Option<ProgBtf<'a>>,
    /// The BTF type ID of the function, hook or tracepoint that it is attached to (5.5).
    pub attach_btf_id: u32,
    /// The object that has that type ID: the program, or the BTF of a module (5.11); `None` is the kernel (5.5).
    pub attach_to: Option<BorrowedFd<'a>>,
    /// The descriptors that the instructions name by index (5.14). Index 0 of kfuncs means the kernel and is not read.
    pub fd_array: &'a [BorrowedFd<'a>],
    /// Whether the maps and BTF in `fd_array` belong to the program, named or not (6.14).
    pub bind_fd_array: bool,
    /// Linux 6.9.
    pub token: Option<BorrowedFd<'a>>,
    /// The buffer for the verifier's log; `None` asks for no log, which is much the fastest.
    pub log: Option<Log<'a>>,
}

impl ProgLoad<'_> {
    /// Returns the flags, with `BPF_F_TOKEN_FD` if there is a token.
    pub(super) fn all_flags(&self) -> u32 {
        self.flags | if self.token.is_some() { BPF_F_TOKEN_FD } else { 0 }
    }
}

/// The BTF of a program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProgBtf<'a> {
    pub btf: BorrowedFd<'a>,
    /// `struct bpf_func_info`: `insn_off`, `type_id`.
    pub func_info: &'a [[u32; 2]],
    /// `struct bpf_line_info`: `insn_off`, `file_name_off`, `line_off`, `line_col`.
    pub line_info: &'a [[u32; 4]],
}

/// A log buffer for a load of a program or of BTF.
#[derive(Debug)]
pub(crate) struct Log<'a> {
    pub level: u32,
    pub buffer: &'a mut [u8],
    /// Set by the kernel (6.4 and later) to the size the whole log needs, its NUL included; else 0.
    pub true_size: u32,
}

impl Log<'_> {
    /// Level, address and size.
    pub(super) fn fields(&mut self) -> (u32, u64, u32) {
        let size = u32::try_from(self.buffer.len()).unwrap_or(u32::MAX);
        (self.level, address_mut(self.buffer), size)
    }
}

/// The arguments and results of `bpf(BPF_PROG_TEST_RUN)`.
#[derive(Debug)]
pub(crate) struct ProgTestRun<'a> {
    pub program: BorrowedFd<'a>,
    pub data: &'a [u8],
    /// The buffer for the data as the program leaves it; empty if it is not wanted.
    ///
    /// **Before Linux 5.0 the kernel writes all of it**, whatever the size of the buffer: the caller provides as many
    /// bytes as data can grow to, or an empty buffer.
    pub data_out: &'a mut [u8],
    /// The context, for types that take one (5.2). Programs of the type `syscall` modify it in place.
    pub context: &'a mut [u8],
    /// The buffer for the context as the program leaves it; empty if it is not wanted (5.2).
    pub context_out: &'a mut [u8],
    pub repeat: u32,
    /// `BPF_F_TEST_*` (5.10).
    pub flags: u32,
    /// The CPU to run on, with `BPF_F_TEST_RUN_ON_CPU` (5.10).
    pub cpu: u32,
    /// Packets at once, with `BPF_F_TEST_XDP_LIVE_FRAMES` (5.18).
    pub batch_size: u32,
    /// Set by the kernel to the return value of the program.
    pub returned: u32,
    /// Set by the kernel to the mean time of one run, nanoseconds.
    pub duration: u32,
    /// Set by the kernel to the length of the data, also where that exceeds the buffer (`ENOSPC`).
    pub data_len: u32,
    /// Set by the kernel to the length of the context.
    pub context_len: u32,
}

impl<'a> ProgTestRun<'a> {
    /// One run over no data.
    pub(crate) fn new(program: BorrowedFd<'a>) -> ProgTestRun<'a> {
        ProgTestRun {
            program,
            data: &[],
            data_out: &mut [],
            context: &mut [],
            context_out: &mut [],
            repeat: 0,
            flags: 0,
            cpu: 0,
            batch_size: 0,
            returned: 0,
            duration: 0,
            data_len: 0,
            context_len: 0,
        }
    }
}

/// The arguments of `bpf(BPF_PROG_ATTACH)`.
#[derive(Debug, Clone)]
pub(crate) struct ProgAttach<'a> {
    pub target: Target<'a>,
    pub program: BorrowedFd<'a>,
    pub attach_type: u32,
    /// `BPF_F_REPLACE` is set when `replace` is.
    pub flags: u32,
    /// The program that this one replaces (5.6).
    pub replace: Option<BorrowedFd<'a>>,
    /// The program before or after which it goes, as the flags say (6.6).
    pub relative: Relative<'a>,
    /// The revision that the list must have; 0 is any (6.6).
    pub expected_revision: u64,
}

/// The arguments of `bpf(BPF_RAW_TRACEPOINT_OPEN)`.
#[derive(Debug, Clone)]
pub(crate) struct RawTracepoint<'a> {
    /// The tracepoint; `None` for a program that named what it is attached to at load (5.5).
    pub name: Option<&'a CStr>,
    pub program: BorrowedFd<'a>,
    /// The cookie that `get_attach_cookie` returns (6.10).
    pub cookie: u64,
}

/// Loads a program. `bpf(2)`, `BPF_PROG_LOAD` (Linux 3.18).
pub(crate) fn prog_load(load: &mut ProgLoad<'_>) -> Result<OwnedFd, Errno> {
    owned(call(Call::ProgLoad(load)))
}

/// Runs a program. `bpf(2)`, `BPF_PROG_TEST_RUN` (Linux 4.12).
pub(crate) fn prog_test_run(run: &mut ProgTestRun<'_>) -> Result<(), Errno> {
    call(Call::ProgTestRun(run)).map(drop)
}

/// Makes a program hold a map that its instructions do not name. `bpf(2)`, `BPF_PROG_BIND_MAP` (Linux 5.10).
pub(crate) fn prog_bind_map(program: BorrowedFd<'_>, map: BorrowedFd<'_>) -> Result<(), Errno> {
    call(Call::ProgBindMap { program, map }).map(drop)
}

/// Attaches a program without a link: it stays when the descriptors are closed. `bpf(2)`, `BPF_PROG_ATTACH`
/// (Linux 4.10).
pub(crate) fn prog_attach(attach: &ProgAttach<'_>) -> Result<(), Errno> {
    call(Call::ProgAttach(attach)).map(drop)
}

/// Takes away a program that was attached so. `bpf(2)`, `BPF_PROG_DETACH` (Linux 4.10).
pub(crate) fn prog_detach(
    target: Target<'_>,
    program: BorrowedFd<'_>,
    attach_type: u32,
) -> Result<(), Errno> {
    call(Call::ProgDetach { target, program, attach_type }).map(drop)
}

/// Attaches a program to a raw tracepoint, or to what it named at load; it stays as long as the descriptor. `bpf(2)`,
/// `BPF_RAW_TRACEPOINT_OPEN` (Linux 4.17).
pub(crate) fn raw_tracepoint_open(open: &RawTracepoint<'_>) -> Result<OwnedFd, Errno> {
    owned(call(Call::RawTracepointOpen(open)))
}

pub(super) fn load(load: &mut ProgLoad<'_>) -> Answer {
    let too_big = |_| Errno(libc::E2BIG);
    let fd_array_len = u32::try_from(load.fd_array.len()).map_err(too_big)?;
    let mut attr = ProgLoadAttr {
        prog_type: load.prog_type,
        insn_cnt: u32::try_from(load.insns.len()).map_err(too_big)?,
        insns: load.insns.as_ptr() as u64,
        license: load.license.as_ptr() as u64,
        prog_flags: load.all_flags(),
        prog_name: object_name(load.name),
        prog_ifindex: load.ifindex,
        expected_attach_type: load.expected_attach_type,
        attach_btf_id: load.attach_btf_id,
        attach_prog_fd: maybe_raw(load.attach_to),
        // A `BorrowedFd` is laid out as the `i32` that the kernel reads.
        fd_array: address(load.fd_array),
        fd_array_cnt: if load.bind_fd_array { fd_array_len } else { 0 },
        prog_token_fd: maybe_raw(load.token),
        ..Default::default()
    };
    if let Some(ProgBtf { btf, func_info, line_info }) = load.btf {
        attr.prog_btf_fd = raw(btf);
        (attr.func_info_rec_size, attr.func_info_cnt) = (8, length(func_info)?);
        attr.func_info = address(func_info);
        (attr.line_info_rec_size, attr.line_info_cnt) = (16, length(line_info)?);
        attr.line_info = address(line_info);
    }
    if let Some(log) = &mut load.log {
        (attr.log_level, attr.log_buf, attr.log_size) = log.fields();
    }
    let answer = bpf(BPF_PROG_LOAD, &mut attr);
    if let Some(log) = &mut load.log {
        log.true_size = attr.log_true_size;
    }
    answer
}

pub(super) fn test_run(run: &mut ProgTestRun<'_>) -> Answer {
    let mut attr = ProgTestRunAttr {
        prog_fd: raw(run.program),
        data_size_in: length(run.data)?,
        data_size_out: length(run.data_out)?,
        data_in: address(run.data),
        data_out: address_mut(run.data_out),
        repeat: run.repeat,
        ctx_size_in: length(run.context)?,
        ctx_size_out: length(run.context_out)?,
        ctx_in: address_mut(run.context),
        ctx_out: address_mut(run.context_out),
        flags: run.flags,
        cpu: run.cpu,
        batch_size: run.batch_size,
        ..Default::default()
    };
    let answer = bpf(BPF_PROG_TEST_RUN, &mut attr);
    (run.returned, run.duration) = (attr.retval, attr.duration);
    (run.data_len, run.context_len) = (attr.data_size_out, attr.ctx_size_out);
    answer
}

pub(super) fn bind_map(program: BorrowedFd<'_>, map: BorrowedFd<'_>) -> Answer {
    let mut attr = ProgBindMapAttr { prog_fd: raw(program), map_fd: raw(map), flags: 0 };
    bpf(BPF_PROG_BIND_MAP, &mut attr)
}

pub(super) fn attach(attach: &ProgAttach<'_>) -> Answer {
    let mut attr = ProgAttachAttr {
        target: target_raw(attach.target),
        attach_bpf_fd: raw(attach.program),
        attach_type: attach.attach_type,
        attach_flags: attach.flags | if attach.replace.is_some() { BPF_F_REPLACE } else { 0 },
        replace_bpf_fd: maybe_raw(attach.replace),
        relative: relative_raw(attach.relative),
        expected_revision: attach.expected_revision,
    };
    bpf(BPF_PROG_ATTACH, &mut attr)
}

pub(super) fn detach(target: Target<'_>, program: BorrowedFd<'_>, attach_type: u32) -> Answer {
    let mut attr = ProgAttachAttr {
        target: target_raw(target),
        attach_bpf_fd: raw(program),
        attach_type,
        ..Default::default()
    };
    bpf(BPF_PROG_DETACH, &mut attr)
}

pub(super) fn open_raw_tracepoint(open: &RawTracepoint<'_>) -> Answer {
    let mut attr = RawTracepointAttr {
        name: open.name.map_or(0, |name| name.as_ptr() as u64),
        prog_fd: raw(open.program),
        pad: 0,
        cookie: open.cookie,
    };
    bpf(BPF_RAW_TRACEPOINT_OPEN, &mut attr)
}
