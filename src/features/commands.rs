//! Commands of `bpf(2)`, each made once on objects of our own, and what else takes more than one call.

use super::kernel::{Kernel, LOG_SIZE};
use super::list::Feature::{self, *};
use super::objects::ITER;
use super::program_types::NOTHING;
use super::row::Yes::{Answers, Done};
use super::row::{Refusal, Row, Test, Yes};
use super::types;
use crate::btf::Builder;
use crate::insn::Insn;
use crate::syscall::{
    self, BtfLoad as LoadBtf, LinkCreate as CreateLink, LinkExtra, Log, MapCreate, MapReadBatch,
    Numbered, ObjInfo, ProgBtf, ProgLoad, ProgTestRun, Target, TaskFdQuery, memlock,
};
use crate::uapi::{AttachType, ENOTSUPP, Errno, MapType, ProgramType};
use crate::util::Version;
use libc::{EBADF, EINVAL, EIO, ENOENT, EOPNOTSUPP};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

const fn row(
    of: Feature,
    (major, minor): (u16, u16),
    config: &'static [&'static str],
    test: fn(&Kernel) -> Result<(), Refusal>,
    yes: Yes,
) -> Row<Feature> {
    Row { of, since: Version::new(major, minor), config, test: Test::Do(test), yes }
}

pub(super) static ROWS: &[Row<Feature>] = &[
    row(TestRun, (4, 12), &["CONFIG_NET"], test_run, Done),
    row(ProgramIds, (4, 13), &[], |_| next_id(Numbered::Program), Answers(&[ENOENT])),
    row(ObjectInfo, (4, 13), &[], object_info, Done),
    row(BtfLoad, (4, 18), &[], btf_load, Done),
    // The file is no perf event.
    row(TaskFdQuery, (4, 18), &["CONFIG_PERF_EVENTS"], query, Answers(&[ENOTSUPP, EBADF])),
    row(LookupAndDelete, (4, 20), &[], lookup_and_delete, Answers(&[ENOENT])),
    row(Freeze, (5, 2), &[], freeze, Done),
    row(BtfIds, (5, 4), &[], |_| next_id(Numbered::Btf), Answers(&[ENOENT])),
    row(Batch, (5, 6), &[], batch, Answers(&[ENOENT])),
    row(LinkCreate, (5, 7), &[], link_create, Answers(&[EBADF])),
    row(LinkIds, (5, 8), &[], |_| next_id(Numbered::Link), Answers(&[ENOENT])),
    row(EnableStats, (5, 8), &[], stats, Done),
    row(IterCreate, (5, 8), ITER, iter_create, Done),
    // The link of an iterator cannot be detached.
    row(LinkDetach, (5, 9), ITER, link_detach, Answers(&[EOPNOTSUPP])),
    row(BindMap, (5, 10), &[], bind_map, Done),
];

/// Says which call it was that the kernel refused.
fn at<T>(step: &'static str, answer: Result<T, Errno>) -> Result<T, Refusal> {
    answer.map_err(|errno| Refusal::new(step, errno))
}

fn array() -> Result<OwnedFd, Refusal> {
    let map = MapCreate {
        map_type: MapType::Array as u32,
        key_size: 4,
        value_size: 4,
        max_entries: 1,
        ..Default::default()
    };
    at("map create", memlock::create_map(&map))
}

/// Loads instructions that every type may have.
fn load<'a>(insns: &'a [Insn], change: impl Fn(&mut ProgLoad<'a>)) -> Result<OwnedFd, Refusal> {
    let answer = memlock::with_memlock(|| {
        let mut load = ProgLoad {
            prog_type: ProgramType::SocketFilter as u32,
            insns,
            license: c"GPL",
            ..Default::default()
        };
        change(&mut load);
        syscall::prog_load(&mut load)
    });
    at("load", answer)
}

/// A file that is no object of BPF.
fn something_else() -> Result<File, Refusal> {
    let opened = File::open("/dev/null").or_else(|_| File::open("/"));
    at("open", opened.map_err(|error| Errno::of(&error)))
}

fn test_run(_: &Kernel) -> Result<(), Refusal> {
    let program = load(NOTHING, |_| {})?;
    let mut run = ProgTestRun::new(program.as_fd());
    // An Ethernet header.
    run.data = &[0; 14];
    run.repeat = 1;
    at("test run", syscall::prog_test_run(&mut run))
}

fn next_id(kind: Numbered) -> Result<(), Refusal> {
    at("next id", syscall::next_id(kind, 0).map(drop))
}

fn object_info(_: &Kernel) -> Result<(), Refusal> {
    let map = array()?;
    let mut info = ObjInfo { object: map.as_fd(), info: &mut [0; 80], len: 0, arrays: &mut [] };
    at("info", syscall::obj_info(&mut info))
}

fn btf_load(kernel: &Kernel) -> Result<(), Refusal> {
    kernel.btf(&types::INT).map(drop)
}

fn query(_: &Kernel) -> Result<(), Refusal> {
    let file = something_else()?;
    let mut query = TaskFdQuery {
        pid: std::process::id(),
        fd: u32::try_from(file.as_raw_fd()).unwrap_or_default(),
        name: &mut [],
        name_len: 0,
        program_id: 0,
        kind: 0,
        probe_offset: 0,
        probe_addr: 0,
    };
    at("query", syscall::task_fd_query(&mut query))
}

fn lookup_and_delete(_: &Kernel) -> Result<(), Refusal> {
    let queue = MapCreate {
        map_type: MapType::Queue as u32,
        value_size: 4,
        max_entries: 1,
        ..Default::default()
    };
    let queue = at("map create", memlock::create_map(&queue))?;
    at("lookup", syscall::map_lookup_and_delete(queue.as_fd(), &[], &mut [0; 4], 0))
}

fn freeze(_: &Kernel) -> Result<(), Refusal> {
    at("freeze", syscall::map_freeze(array()?.as_fd()))
}

fn batch(_: &Kernel) -> Result<(), Refusal> {
    let map = array()?;
    let mut batch = MapReadBatch {
        map: map.as_fd(),
        delete: false,
        from: None,
        next: &mut [0; 4],
        keys: &mut [0; 4],
        values: &mut [0; 8],
        count: 1,
        elem_flags: 0,
    };
    at("batch", syscall::map_read_batch(&mut batch))
}

/// A link to a control group that does not exist; any type of attachment that the kernel knows will do.
fn link_create(_: &Kernel) -> Result<(), Refusal> {
    let program = load(NOTHING, |load| {
        load.prog_type = ProgramType::FlowDissector as u32;
        load.expected_attach_type = AttachType::FlowDissector as u32;
    })?;
    let link = CreateLink {
        program: program.as_fd(),
        target: Target::Interface(u32::MAX),
        attach_type: AttachType::FlowDissector as u32,
        flags: 0,
        extra: LinkExtra::None,
    };
    at("link", syscall::link_create(&link).map(drop))
}

fn stats(_: &Kernel) -> Result<(), Refusal> {
    at("stats", syscall::enable_stats().map(drop))
}

fn iter_create(kernel: &Kernel) -> Result<(), Refusal> {
    at("iter", syscall::iter_create(kernel.iterator()?.as_fd()).map(drop))
}

fn link_detach(kernel: &Kernel) -> Result<(), Refusal> {
    at("detach", syscall::link_detach(kernel.iterator()?.as_fd()))
}

fn bind_map(_: &Kernel) -> Result<(), Refusal> {
    let program = load(NOTHING, |_| {})?;
    at("bind", syscall::prog_bind_map(program.as_fd(), array()?.as_fd()))
}

/// A program with a function and a line.
pub(super) fn source_lines(_: &Kernel) -> Result<(), Refusal> {
    let mut builder = Builder::new();
    let int = builder.int("int", 4, true);
    let prototype = builder.prototype(int, &[]);
    let function = builder.function("rawbpf_probe", prototype);
    let name = builder.string("probe");
    let blob = builder.finish().map_err(|_| Refusal::new("BTF", Errno(EIO)))?;
    let mut types = LoadBtf { btf: &blob, ..Default::default() };
    let types = at("BTF", syscall::btf_load(&mut types))?;
    let (functions, lines) = ([[0, function]], [[0, name, name, 1 << 10]]);
    load(NOTHING, |load| {
        load.btf = Some(ProgBtf { btf: types.as_fd(), func_info: &functions, line_info: &lines });
    })
    .map(drop)
}

/// One more than 4,096.
pub(super) fn large(_: &Kernel) -> Result<(), Refusal> {
    let mut insns = vec![Insn::from_fields(0xb7, 0, 0, 0, 0); 4096];
    insns.push(Insn::from_fields(0x95, 0, 0, 0, 0));
    load(&insns, |_| {}).map(drop)
}

/// The address of the value of an array.
pub(super) fn global_data(_: &Kernel) -> Result<(), Refusal> {
    let map = array()?;
    let insns = [
        // BPF_PSEUDO_MAP_VALUE
        Insn::from_fields(0x18, 1, 2, 0, map.as_raw_fd()),
        Insn::from_fields(0, 0, 0, 0, 0),
        Insn::from_fields(0xb7, 0, 0, 0, 0),
        Insn::from_fields(0x95, 0, 0, 0, 0),
    ];
    load(&insns, |_| {}).map(drop)
}

pub(super) fn fd_array(_: &Kernel) -> Result<(), Refusal> {
    let map = array()?;
    let maps = [map.as_fd()];
    load(NOTHING, |load| load.fd_array = &maps).map(drop)
}

pub(super) fn bound_fd_array(_: &Kernel) -> Result<(), Refusal> {
    let map = array()?;
    let maps = [map.as_fd()];
    load(NOTHING, |load| (load.fd_array, load.bind_fd_array) = (&maps, true)).map(drop)
}

/// A load with a log. A kernel that does not report the size of the log has no errno of its own for that.
pub(super) fn log_true_size(_: &Kernel) -> Result<(), Refusal> {
    let mut buffer = vec![0; LOG_SIZE];
    let mut size = 0;
    let answer = memlock::with_memlock(|| {
        let mut load = ProgLoad {
            prog_type: ProgramType::SocketFilter as u32,
            insns: NOTHING,
            license: c"GPL",
            log: Some(Log { level: 1, buffer: &mut buffer, true_size: 0 }),
            ..Default::default()
        };
        let answer = syscall::prog_load(&mut load);
        size = load.log.map_or(0, |log| log.true_size);
        answer
    });
    at("load", answer)?;
    if size == 0 { Err(Refusal::new("load", Errno(EINVAL))) } else { Ok(()) }
}

pub(super) fn token(_: &Kernel) -> Result<(), Refusal> {
    let file = something_else()?;
    load(NOTHING, |load| load.token = Some(file.as_fd())).map(drop)
}
