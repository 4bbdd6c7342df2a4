//! A decoded call: its name, and its fields as the kernel's headers name them.
//!
//! The names and values are those of `include/uapi/linux/bpf.h` and `perf_event.h`. They are for display only.

use super::{
    Answer, Call, LinkCreate, LinkExtra, Log, MapCreate, MapReadBatch, MapWriteBatch, Numbered,
    PerfEvent, ProgAttach, ProgLoad, ProgTestRun, Relative, Target, TaskFdQuery, UNLIMITED,
    netlink, raw,
};
use crate::uapi::{AttachType, MapType, ProgramType, flags as f};
use std::fmt::Write as _;
use std::os::fd::BorrowedFd;

/// Names and values, in the order of the kernel's structure.
#[derive(Default)]
pub(super) struct Fields(Vec<(&'static str, String)>);

impl From<Fields> for Vec<(&'static str, String)> {
    fn from(fields: Fields) -> Self {
        fields.0
    }
}

/// Bits and their names.
type Bits = &'static [(u32, &'static str)];

/// A table of flags that are constants of the same name.
macro_rules! bits {
    ($($name:ident)*) => { &[$((f::$name, stringify!($name)),)*] };
}

const MAP_FLAGS: Bits = bits! {
    BPF_F_NO_PREALLOC BPF_F_NO_COMMON_LRU BPF_F_NUMA_NODE BPF_F_RDONLY BPF_F_WRONLY BPF_F_STACK_BUILD_ID
    BPF_F_ZERO_SEED BPF_F_RDONLY_PROG BPF_F_WRONLY_PROG BPF_F_CLONE BPF_F_MMAPABLE BPF_F_PRESERVE_ELEMS
    BPF_F_INNER_MAP BPF_F_LINK BPF_F_PATH_FD BPF_F_VTYPE_BTF_OBJ_FD BPF_F_TOKEN_FD BPF_F_SEGV_ON_FAULT
    BPF_F_NO_USER_CONV BPF_F_RB_OVERWRITE
};
const PROG_FLAGS: Bits = bits! {
    BPF_F_STRICT_ALIGNMENT BPF_F_ANY_ALIGNMENT BPF_F_TEST_RND_HI32 BPF_F_TEST_STATE_FREQ BPF_F_SLEEPABLE
    BPF_F_XDP_HAS_FRAGS BPF_F_XDP_DEV_BOUND_ONLY BPF_F_TEST_REG_INVARIANTS BPF_F_TOKEN_FD
};
const ELEM_FLAGS: Bits = &[(1, "BPF_NOEXIST"), (2, "BPF_EXIST"), (4, "BPF_F_LOCK")];
const ATTACH_FLAGS: Bits = &[
    (1, "BPF_F_ALLOW_OVERRIDE"),
    (1 << 1, "BPF_F_ALLOW_MULTI"),
    (1 << 2, "BPF_F_REPLACE"),
    (1 << 3, "BPF_F_BEFORE"),
    (1 << 4, "BPF_F_AFTER"),
    (1 << 5, "BPF_F_ID"),
    (1 << 6, "BPF_F_PREORDER"),
    (1 << 13, "BPF_F_LINK"),
];
const TEST_RUN_FLAGS: Bits = &[
    (1, "BPF_F_TEST_RUN_ON_CPU"),
    (1 << 1, "BPF_F_TEST_XDP_LIVE_FRAMES"),
    (1 << 2, "BPF_F_TEST_SKB_CHECKSUM_COMPLETE"),
];
const SAMPLE_TYPES: Bits = &[
    (1, "PERF_SAMPLE_IP"),
    (1 << 1, "PERF_SAMPLE_TID"),
    (1 << 2, "PERF_SAMPLE_TIME"),
    (1 << 3, "PERF_SAMPLE_ADDR"),
    (1 << 4, "PERF_SAMPLE_READ"),
    (1 << 5, "PERF_SAMPLE_CALLCHAIN"),
    (1 << 6, "PERF_SAMPLE_ID"),
    (1 << 7, "PERF_SAMPLE_CPU"),
    (1 << 8, "PERF_SAMPLE_PERIOD"),
    (1 << 9, "PERF_SAMPLE_STREAM_ID"),
    (1 << 10, "PERF_SAMPLE_RAW"),
];
const READ_FORMATS: Bits = &[
    (1, "PERF_FORMAT_TOTAL_TIME_ENABLED"),
    (1 << 1, "PERF_FORMAT_TOTAL_TIME_RUNNING"),
    (1 << 2, "PERF_FORMAT_ID"),
    (1 << 3, "PERF_FORMAT_GROUP"),
    (1 << 4, "PERF_FORMAT_LOST"),
];
/// `enum perf_type_id`, by number; greater ones are those of `/sys/bus/event_source/devices`.
const PERF_TYPES: &[&str] =
    &["hardware", "software", "tracepoint", "hw_cache", "raw", "breakpoint"];
const PERF_TYPE_TRACEPOINT: u32 = 2;
/// `enum bpf_task_fd_type`, by number.
const FD_TYPES: &[&str] =
    &["raw_tracepoint", "tracepoint", "kprobe", "kretprobe", "uprobe", "uretprobe"];

/// The number of bytes of a key or value that are shown.
const SHOWN: usize = 32;

impl Fields {
    fn push(&mut self, name: &'static str, value: impl Into<String>) {
        self.0.push((name, value.into()));
    }

    /// Records the value that the kernel has written to an input field.
    fn became(&mut self, name: &'static str, value: impl ToString) {
        let value = value.to_string();
        match self.0.iter_mut().find(|(field, _)| *field == name) {
            Some((_, shown)) if *shown != value => *shown = format!("{shown} => {value}"),
            Some(_) => {}
            None => self.push(name, value),
        }
    }

    fn number(&mut self, name: &'static str, value: u64) {
        if value != 0 {
            self.push(name, value.to_string());
        }
    }

    fn size(&mut self, name: &'static str, value: usize) {
        self.number(name, value as u64);
    }

    fn hex(&mut self, name: &'static str, value: u64) {
        if value != 0 {
            self.push(name, format!("{value:#x}"));
        }
    }

    fn fd(&mut self, name: &'static str, fd: BorrowedFd<'_>) {
        self.push(name, raw(fd).to_string());
    }

    fn maybe_fd(&mut self, name: &'static str, fd: Option<BorrowedFd<'_>>) {
        if let Some(fd) = fd {
            self.fd(name, fd);
        }
    }

    /// A number of an enum, with its name if it has one.
    fn named(&mut self, field: &'static str, number: u32, name: Option<&str>) {
        self.push(
            field,
            name.map_or_else(|| number.to_string(), |name| format!("{name} ({number})")),
        );
    }

    fn flags(&mut self, name: &'static str, value: u64, bits: Bits) {
        if value == 0 {
            return;
        }
        let (mut rest, mut words) = (value, Vec::new());
        for (bit, word) in bits {
            if rest & u64::from(*bit) != 0 {
                rest &= !u64::from(*bit);
                words.push((*word).to_owned());
            }
        }
        if rest != 0 {
            words.push(format!("{rest:#x}"));
        }
        self.push(name, words.join("|"));
    }

    fn text(&mut self, name: &'static str, text: &[u8]) {
        if !text.is_empty() {
            self.push(name, crate::util::escape::quoted(text));
        }
    }

    /// A key or value: `01 00 00 00`, and how long it is if that is more than can be shown.
    fn bytes(&mut self, name: &'static str, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut words: Vec<_> =
            bytes.iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect();
        if bytes.len() > SHOWN {
            words.push(format!("… {} bytes", bytes.len()));
        }
        self.push(name, format!("[{}]", words.join(" ")));
    }

    fn target(&mut self, target: Target<'_>) {
        match target {
            Target::None => {}
            Target::Fd(fd) => self.fd("target_fd", fd),
            Target::Interface(number) => self.push("target_ifindex", number.to_string()),
        }
    }

    fn relative(&mut self, relative: Relative<'_>, revision: u64) {
        match relative {
            Relative::None => {}
            Relative::Fd(fd) => self.fd("relative_fd", fd),
        }
        self.number("expected_revision", revision);
    }

    fn attach_type(&mut self, name: &'static str, number: u32) {
        let known = AttachType::ALL.iter().find(|one| **one as u32 == number);
        self.named(name, number, known.map(|one| one.name()));
    }

    fn limits(&mut self, soft: u64, hard: u64) {
        for (name, limit) in [("rlim_cur", soft), ("rlim_max", hard)] {
            let unlimited = limit == UNLIMITED;
            self.push(name, if unlimited { "RLIM_INFINITY".into() } else { limit.to_string() });
        }
    }
}

/// The name of a call, and of its command.
pub(super) fn name(call: &Call<'_, '_>) -> (&'static str, Option<&'static str>) {
    let command = match call {
        Call::PerfEventOpen(_) => return ("perf_event_open", None),
        Call::PerfSetBpf { .. } => return ("ioctl", Some("PERF_EVENT_IOC_SET_BPF")),
        Call::PerfPause { .. } => return ("ioctl", Some("PERF_EVENT_IOC_PAUSE_OUTPUT")),
        Call::MemlockGet { .. } => return ("getrlimit", Some("RLIMIT_MEMLOCK")),
        Call::MemlockSet { .. } => return ("setrlimit", Some("RLIMIT_MEMLOCK")),
        Call::Socket { .. } => return ("socket", None),
        Call::Bind { .. } => return ("bind", None),
        Call::SetOption { .. } => return ("setsockopt", None),
        Call::Send { .. } => return ("send", None),
        Call::Receive { .. } => return ("recv", None),
        Call::MapCreate(_) => "BPF_MAP_CREATE",
        Call::MapLookup { .. } => "BPF_MAP_LOOKUP_ELEM",
        Call::MapUpdate { .. } => "BPF_MAP_UPDATE_ELEM",
        Call::MapDelete { .. } => "BPF_MAP_DELETE_ELEM",
        Call::MapNextKey { .. } => "BPF_MAP_GET_NEXT_KEY",
        Call::MapLookupAndDelete { .. } => "BPF_MAP_LOOKUP_AND_DELETE_ELEM",
        Call::MapFreeze { .. } => "BPF_MAP_FREEZE",
        Call::MapReadBatch(batch) if batch.delete => "BPF_MAP_LOOKUP_AND_DELETE_BATCH",
        Call::MapReadBatch(_) => "BPF_MAP_LOOKUP_BATCH",
        Call::MapWriteBatch(batch) if batch.values.is_none() => "BPF_MAP_DELETE_BATCH",
        Call::MapWriteBatch(_) => "BPF_MAP_UPDATE_BATCH",
        Call::ProgLoad(_) => "BPF_PROG_LOAD",
        Call::ProgTestRun(_) => "BPF_PROG_TEST_RUN",
        Call::ProgBindMap { .. } => "BPF_PROG_BIND_MAP",
        Call::ProgAttach(_) => "BPF_PROG_ATTACH",
        Call::ProgDetach { .. } => "BPF_PROG_DETACH",
        Call::RawTracepointOpen(_) => "BPF_RAW_TRACEPOINT_OPEN",
        Call::ObjPin { .. } => "BPF_OBJ_PIN",
        Call::ObjGet { .. } => "BPF_OBJ_GET",
        Call::ObjInfo(_) => "BPF_OBJ_GET_INFO_BY_FD",
        Call::NextId { kind, .. } => match kind {
            Numbered::Program => "BPF_PROG_GET_NEXT_ID",
            Numbered::Map => "BPF_MAP_GET_NEXT_ID",
            Numbered::Btf => "BPF_BTF_GET_NEXT_ID",
            Numbered::Link => "BPF_LINK_GET_NEXT_ID",
        },
        Call::FdById { kind, .. } => match kind {
            Numbered::Program => "BPF_PROG_GET_FD_BY_ID",
            Numbered::Map => "BPF_MAP_GET_FD_BY_ID",
            Numbered::Btf => "BPF_BTF_GET_FD_BY_ID",
            Numbered::Link => "BPF_LINK_GET_FD_BY_ID",
        },
        Call::BtfLoad(_) => "BPF_BTF_LOAD",
        Call::LinkCreate(_) => "BPF_LINK_CREATE",
        Call::LinkUpdate { .. } => "BPF_LINK_UPDATE",
        Call::LinkDetach { .. } => "BPF_LINK_DETACH",
        Call::IterCreate { .. } => "BPF_ITER_CREATE",
        Call::EnableStats { .. } => "BPF_ENABLE_STATS",
        Call::TaskFdQuery(_) => "BPF_TASK_FD_QUERY",
        Call::TokenCreate { .. } => "BPF_TOKEN_CREATE",
    };
    ("bpf", Some(command))
}

/// Adds the inputs of a call.
pub(super) fn returned(call: &Call<'_, '_>, to: &mut Fields) {
    match call {
        Call::MapCreate(map) => map_create(map, to),
        Call::MapLookup { map, key, flags, .. }
        | Call::MapLookupAndDelete { map, key, flags, .. } => {
            element(*map, key, &[], *flags, to);
        }
        Call::MapUpdate { map, key, value, flags } => element(*map, key, value, *flags, to),
        Call::MapDelete { map, key } => element(*map, key, &[], 0, to),
        Call::MapNextKey { map, key, .. } => element(*map, key.unwrap_or_default(), &[], 0, to),
        Call::MapFreeze { map } => to.fd("map_fd", *map),
        Call::MapReadBatch(batch) => read_batch(batch, to),
        Call::MapWriteBatch(batch) => write_batch(batch, to),
        Call::ProgLoad(load) => prog_load(load, to),
        Call::ProgTestRun(run) => test_run(run, to),
        Call::ProgBindMap { program, map } => {
            to.fd("prog_fd", *program);
            to.fd("map_fd", *map);
        }
        Call::ProgAttach(attach) => prog_attach(attach, to),
        Call::ProgDetach { target, program, attach_type } => {
            to.target(*target);
            to.fd("attach_bpf_fd", *program);
            to.attach_type("attach_type", *attach_type);
        }
        Call::RawTracepointOpen(open) => {
            to.text("name", open.name.map_or(&[], |name| name.to_bytes()));
            to.fd("prog_fd", open.program);
            to.hex("cookie", open.cookie);
        }
        Call::ObjPin { object, path, dir } => {
            to.text("pathname", path.to_bytes());
            to.fd("bpf_fd", *object);
            path_fd(0, *dir, to);
        }
        Call::ObjGet { path, flags, dir } => {
            to.text("pathname", path.to_bytes());
            path_fd(*flags, *dir, to);
        }
        Call::ObjInfo(info) => {
            to.fd("bpf_fd", info.object);
            to.size("info_len", info.info.len());
        }
        Call::NextId { after, .. } => to.push("start_id", after.to_string()),
        Call::FdById { kind, id, flags } => {
            let name = match kind {
                Numbered::Program => "prog_id",
                Numbered::Map => "map_id",
                Numbered::Btf => "btf_id",
                Numbered::Link => "link_id",
            };
            to.push(name, id.to_string());
            to.flags("open_flags", (*flags).into(), MAP_FLAGS);
        }
        Call::BtfLoad(load) => {
            to.size("btf_size", load.btf.len());
            log(&load.log, ["btf_log_level", "btf_log_size"], to);
            if load.token.is_some() {
                to.flags("btf_flags", f::BPF_F_TOKEN_FD.into(), MAP_FLAGS);
            }
            to.maybe_fd("btf_token_fd", load.token);
        }
        Call::LinkCreate(link) => link_create(link, to),
        Call::LinkUpdate { link, new } => {
            to.fd("link_fd", *link);
            to.fd("new_prog_fd", *new);
        }
        Call::LinkDetach { link } | Call::IterCreate { link } => to.fd("link_fd", *link),
        Call::EnableStats { kind } => {
            to.named("type", *kind, (*kind == 0).then_some("BPF_STATS_RUN_TIME"));
        }
        Call::TaskFdQuery(query) => {
            to.push("pid", query.pid.to_string());
            to.push("fd", query.fd.to_string());
            to.size("buf_len", query.name.len());
        }
        Call::TokenCreate { bpffs } => to.fd("bpffs_fd", *bpffs),
        Call::PerfEventOpen(event) => perf_event(event, to),
        Call::PerfSetBpf { event, program } => {
            to.fd("fd", *event);
            to.fd("prog_fd", *program);
        }
        Call::PerfPause { event, pause } => {
            to.fd("fd", *event);
            to.push("pause", u8::from(*pause).to_string());
        }
        Call::MemlockGet { .. } => {}
        Call::MemlockSet { soft, hard } => to.limits(*soft, *hard),
        Call::Socket { family, kind, protocol } => {
            let name = match *family {
                libc::AF_NETLINK => Some("AF_NETLINK"),
                libc::AF_PACKET => Some("AF_PACKET"),
                _ => None,
            };
            to.named("domain", family.cast_unsigned(), name);
            to.number("type", kind.cast_unsigned().into());
            to.number("protocol", protocol.cast_unsigned().into());
        }
        Call::Bind { socket, address } => {
            to.fd("sockfd", *socket);
            to.bytes("addr", address);
        }
        Call::SetOption { socket, level, option, value } => {
            to.fd("sockfd", *socket);
            to.number("level", level.cast_unsigned().into());
            to.number("optname", option.cast_unsigned().into());
            to.bytes("optval", value);
        }
        Call::Send { socket, bytes } => {
            to.fd("sockfd", *socket);
            to.push("buf", netlink::words(bytes));
            to.size("size", bytes.len());
        }
        Call::Receive { socket, bytes } => {
            to.fd("sockfd", *socket);
            to.size("size", bytes.len());
        }
    }
}

/// Adds the values that the kernel has written back.
pub(super) fn answered(call: &Call<'_, '_>, answer: Answer, to: &mut Fields) {
    let log_size = |log: &Option<Log<'_>>| log.as_ref().map_or(0, |log| u64::from(log.true_size));
    // These are informative for refused calls, too.
    match call {
        Call::ProgLoad(load) => to.number("log_true_size", log_size(&load.log)),
        Call::BtfLoad(load) => to.number("btf_log_true_size", log_size(&load.log)),
        Call::MapReadBatch(batch) => to.became("count", batch.count),
        Call::MapWriteBatch(batch) => to.became("count", batch.count),
        _ => {}
    }
    if answer.is_err() {
        return;
    }
    match call {
        Call::MapLookup { value, .. } | Call::MapLookupAndDelete { value, .. } => {
            to.bytes("value", value);
        }
        Call::MapNextKey { next, .. } => to.bytes("next_key", next),
        Call::ProgTestRun(run) => {
            to.push("retval", run.returned.to_string());
            to.push("duration", format!("{} ns", run.duration));
            for (name, len) in [("data_size_out", run.data_len), ("ctx_size_out", run.context_len)]
            {
                if len != 0 {
                    to.became(name, len);
                }
            }
        }
        Call::ObjInfo(info) => to.became("info_len", info.len),
        Call::NextId { next, .. } => to.push("next_id", next.to_string()),
        Call::TaskFdQuery(query) => fd_query(query, to),
        Call::MemlockGet { soft, hard } => to.limits(**soft, **hard),
        _ => {}
    }
}

fn map_create(map: &MapCreate<'_>, to: &mut Fields) {
    let known = MapType::ALL.iter().find(|one| **one as u32 == map.map_type);
    to.named("map_type", map.map_type, known.map(|one| one.name()));
    to.number("key_size", map.key_size.into());
    to.number("value_size", map.value_size.into());
    to.number("max_entries", map.max_entries.into());
    to.flags("map_flags", map.all_flags().into(), MAP_FLAGS);
    to.maybe_fd("inner_map_fd", map.inner_map);
    to.number("numa_node", map.numa_node.unwrap_or(0).into());
    to.text("map_name", map.name);
    to.number("map_ifindex", map.ifindex.into());
    if let Some(types) = &map.btf {
        to.fd("btf_fd", types.btf);
        to.number("btf_key_type_id", types.key_type.into());
        to.number("btf_value_type_id", types.value_type.into());
    }
    to.number("btf_vmlinux_value_type_id", map.vmlinux_value_type.into());
    to.hex("map_extra", map.map_extra);
    to.maybe_fd("value_type_btf_obj_fd", map.value_type_btf);
    to.maybe_fd("map_token_fd", map.token);
}

fn element(map: BorrowedFd<'_>, key: &[u8], value: &[u8], flags: u64, to: &mut Fields) {
    to.fd("map_fd", map);
    to.bytes("key", key);
    to.bytes("value", value);
    to.flags("flags", flags, ELEM_FLAGS);
}

fn read_batch(batch: &MapReadBatch<'_>, to: &mut Fields) {
    to.bytes("in_batch", batch.from.unwrap_or_default());
    to.push("count", batch.count.to_string());
    to.fd("map_fd", batch.map);
    to.flags("elem_flags", batch.elem_flags, ELEM_FLAGS);
}

fn write_batch(batch: &MapWriteBatch<'_>, to: &mut Fields) {
    to.bytes("keys", batch.keys);
    to.bytes("values", batch.values.unwrap_or_default());
    to.push("count", batch.count.to_string());
    to.fd("map_fd", batch.map);
    to.flags("elem_flags", batch.elem_flags, ELEM_FLAGS);
}

fn prog_load(load: &ProgLoad<'_>, to: &mut Fields) {
    let known = ProgramType::ALL.iter().find(|one| **one as u32 == load.prog_type);
    to.named("prog_type", load.prog_type, known.map(|one| one.name()));
    to.size("insn_cnt", load.insns.len());
    to.text("license", load.license.to_bytes());
    log(&load.log, ["log_level", "log_size"], to);
    to.flags("prog_flags", load.all_flags().into(), PROG_FLAGS);
    to.text("prog_name", load.name);
    to.number("prog_ifindex", load.ifindex.into());
    if load.expected_attach_type != 0 {
        to.attach_type("expected_attach_type", load.expected_attach_type);
    }
    if let Some(types) = &load.btf {
        to.fd("prog_btf_fd", types.btf);
        to.number("func_info_rec_size", 8);
        to.number("func_info_cnt", types.func_info.len() as u64);
        to.number("line_info_rec_size", 16);
        to.number("line_info_cnt", types.line_info.len() as u64);
    }
    to.number("attach_btf_id", load.attach_btf_id.into());
    // One field by two names. (Tracing programs are for functions of modules here.)
    let extends = load.prog_type == ProgramType::Ext as u32;
    to.maybe_fd(if extends { "attach_prog_fd" } else { "attach_btf_obj_fd" }, load.attach_to);
    if !load.fd_array.is_empty() {
        let fds: Vec<_> = load.fd_array.iter().map(|fd| raw(*fd).to_string()).collect();
        to.push("fd_array", format!("[{}]", fds.join(" ")));
    }
    if load.bind_fd_array {
        to.size("fd_array_cnt", load.fd_array.len());
    }
    to.maybe_fd("prog_token_fd", load.token);
}

fn log(log: &Option<Log<'_>>, [level, size]: [&'static str; 2], to: &mut Fields) {
    if let Some(log) = log {
        to.number(level, log.level.into());
        to.size(size, log.buffer.len());
    }
}

fn test_run(run: &ProgTestRun<'_>, to: &mut Fields) {
    to.fd("prog_fd", run.program);
    to.size("data_size_in", run.data.len());
    to.bytes("data_in", run.data);
    to.size("data_size_out", run.data_out.len());
    to.number("repeat", run.repeat.into());
    to.size("ctx_size_in", run.context.len());
    to.bytes("ctx_in", run.context);
    to.size("ctx_size_out", run.context_out.len());
    to.flags("flags", run.flags.into(), TEST_RUN_FLAGS);
    to.number("cpu", run.cpu.into());
    to.number("batch_size", run.batch_size.into());
}

fn prog_attach(attach: &ProgAttach<'_>, to: &mut Fields) {
    to.target(attach.target);
    to.fd("attach_bpf_fd", attach.program);
    to.attach_type("attach_type", attach.attach_type);
    let replaces = if attach.replace.is_some() { 1 << 2 } else { 0 };
    to.flags("attach_flags", (attach.flags | replaces).into(), ATTACH_FLAGS);
    to.maybe_fd("replace_bpf_fd", attach.replace);
    to.relative(attach.relative, attach.expected_revision);
}

fn path_fd(flags: u32, dir: Option<BorrowedFd<'_>>, to: &mut Fields) {
    let relative = if dir.is_some() { f::BPF_F_PATH_FD } else { 0 };
    to.flags("file_flags", (flags | relative).into(), MAP_FLAGS);
    to.maybe_fd("path_fd", dir);
}

fn link_create(link: &LinkCreate<'_>, to: &mut Fields) {
    to.fd("prog_fd", link.program);
    to.target(link.target);
    to.attach_type("attach_type", link.attach_type);
    to.flags("flags", link.flags.into(), ATTACH_FLAGS);
    match link.extra {
        LinkExtra::None => {}
        LinkExtra::Iter(info) => {
            to.bytes("iter_info", info);
            to.size("iter_info_len", info.len());
        }
        LinkExtra::PerfEvent { cookie } => to.hex("perf_event.bpf_cookie", cookie),
        LinkExtra::KprobeMulti { flags, functions, cookies } => {
            to.flags("kprobe_multi.flags", flags.into(), &[(1, "BPF_F_KPROBE_MULTI_RETURN")]);
            to.size("kprobe_multi.cnt", functions.len());
            let words = functions.iter().map(|name| format!("{name:?}"));
            to.push("kprobe_multi.syms", some(words, functions.len()));
            if !cookies.is_empty() {
                to.push("kprobe_multi.cookies", numbers(cookies));
            }
        }
        LinkExtra::Tracing { target_btf_id, cookie } => {
            to.number("tracing.target_btf_id", target_btf_id.into());
            to.hex("tracing.cookie", cookie);
        }
        LinkExtra::Netfilter { pf, hooknum, priority, flags } => {
            to.push("netfilter.pf", pf.to_string());
            to.push("netfilter.hooknum", hooknum.to_string());
            to.push("netfilter.priority", priority.to_string());
            to.hex("netfilter.flags", flags.into());
        }
        LinkExtra::Relative { relative, expected_revision } => {
            to.relative(relative, expected_revision);
        }
        LinkExtra::UprobeMulti { path, offsets, ref_ctr_offsets, cookies, flags, pid } => {
            to.text("uprobe_multi.path", path.to_bytes());
            to.push("uprobe_multi.offsets", numbers(offsets));
            for (name, items) in [
                ("uprobe_multi.ref_ctr_offsets", ref_ctr_offsets),
                ("uprobe_multi.cookies", cookies),
            ] {
                if !items.is_empty() {
                    to.push(name, numbers(items));
                }
            }
            to.size("uprobe_multi.cnt", offsets.len());
            to.flags("uprobe_multi.flags", flags.into(), &[(1, "BPF_F_UPROBE_MULTI_RETURN")]);
            to.number("uprobe_multi.pid", pid.into());
        }
    }
}

fn numbers(all: &[u64]) -> String {
    some(all.iter().map(|one| format!("{one:#x}")), all.len())
}

/// The first of many.
fn some(words: impl Iterator<Item = String>, count: usize) -> String {
    const MOST: usize = 8;
    let mut text = words.take(MOST).collect::<Vec<_>>().join(" ");
    if count > MOST {
        let _ = write!(text, " … {count}");
    }
    format!("[{text}]")
}

fn fd_query(query: &TaskFdQuery<'_>, to: &mut Fields) {
    let end = query.name.iter().position(|byte| *byte == 0).unwrap_or(query.name.len());
    to.text("buf", query.name.get(..end).unwrap_or_default());
    to.number("prog_id", query.program_id.into());
    to.named("fd_type", query.kind, FD_TYPES.get(query.kind as usize).copied());
    to.number("probe_offset", query.probe_offset);
    to.hex("probe_addr", query.probe_addr);
}

fn perf_event(event: &PerfEvent<'_>, to: &mut Fields) {
    to.named("type", event.kind, PERF_TYPES.get(event.kind as usize).copied());
    match event.kind {
        // The number of a tracepoint, as `id` in tracefs has it.
        PERF_TYPE_TRACEPOINT => to.number("config", event.config),
        _ => to.hex("config", event.config),
    }
    to.number(if event.freq { "sample_freq" } else { "sample_period" }, event.sample_period);
    to.flags("sample_type", event.sample_type, SAMPLE_TYPES);
    to.flags("read_format", event.read_format, READ_FORMATS);
    to.number("inherit", event.inherit.into());
    to.number("mmap", event.mmap.into());
    to.number("freq", event.freq.into());
    to.number("watermark", event.watermark.into());
    to.number("use_clockid", event.clock.is_some().into());
    to.number("write_backward", event.backward.into());
    to.number("inherit_thread", event.inherit_thread.into());
    let wakeup = if event.watermark { "wakeup_watermark" } else { "wakeup_events" };
    to.number(wakeup, event.wakeup.into());
    to.number("clockid", event.clock.unwrap_or_default().cast_unsigned().into());
    to.text("config1", event.name.map_or(&[], |name| name.to_bytes()));
    to.hex("config2", event.offset);
    to.push("pid", event.pid.to_string());
    to.push("cpu", event.cpu.to_string());
    to.push("flags", "PERF_FLAG_FD_CLOEXEC");
}
