//! Maps of tasks and control groups.

use super::{lacks, load, raw};
use crate::common::Folder;
use crate::common::requires::{Thing, needs, needs_tried};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use rawbpf::asm::Code;
use rawbpf::insn::{Op, Pseudo, Reg};
use rawbpf::map::{Arena, Array, CgroupArray, CgroupStorage, Map, Storage, Update};
use rawbpf::{
    AttachType, Loader, MapFlags, MapSpec, MapType, ProgramSpec, ProgramType, TestRunOptions, bpf,
};
use std::fs::File;
use std::net::UdpSocket;
use std::os::unix::fs::MetadataExt;

/// Runs a program that has no packet.
fn run(program: &rawbpf::Program) -> u32 {
    program.test_run_with(&TestRunOptions::new().repeat(0)).unwrap().returned
}

/// Runs `test` with the folder of the root control group, in a thread that alone sees it.
fn in_cgroups(test: impl FnOnce(&File) + Send) -> Option<String> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let folder = Folder::new();
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
            let cgroup2 = Some("cgroup2");
            if let Err(errno) =
                mount(cgroup2, folder.path(), cgroup2, MsFlags::empty(), None::<&str>)
            {
                return Some(format!("cgroup2 cannot be mounted: {errno}"));
            }
            test(&File::open(folder.path()).unwrap());
            nix::mount::umount(folder.path()).unwrap();
            None
        });
        thread.join().unwrap()
    })
}

static GROUPS: MapSpec = MapSpec::new("groups", MapType::CgroupArray, 4, 4, 2);
/// Whether it runs in a process under the control group at index 1.
static UNDER: ProgramSpec = ProgramSpec::new(
    "under",
    ProgramType::RawTracepoint,
    bpf! {
        r1 = GROUPS ll;
        r2 = 1;
        call current_task_under_cgroup;
        exit;
    },
);

#[test]
fn control_groups() {
    needs!(Root, Bpf);
    needs_tried!(
        "cgroup2",
        in_cgroups(|root| {
            let (program, map) = load(&UNDER, &GROUPS);
            let groups = CgroupArray::of(&map).unwrap();
            assert_eq!(run(&program).cast_signed(), -libc::EAGAIN);
            groups.update(&1, root, Update::Any).unwrap();
            assert_eq!(run(&program), 1);
            assert!(groups.delete(&1).unwrap());
            assert_eq!(run(&program).cast_signed(), -libc::EAGAIN);
        })
    );
}

static OF_GROUP: MapSpec = MapSpec::new("of_group", MapType::CgroupStorage, 16, 8, 0);
static OF_GROUP_CPU: MapSpec = MapSpec::new("of_group_cpu", MapType::PercpuCgroupStorage, 16, 8, 0);

/// Counts the sockets that are made.
macro_rules! count_sockets {
    ($name:literal, $map:ident) => {
        ProgramSpec::new(
            $name,
            ProgramType::CgroupSock,
            bpf! {
                r1 = $map ll;
                r2 = 0;
                call get_local_storage;
                r1 = *(u64 *)(r0 + 0);
                r1 += 1;
                *(u64 *)(r0 + 0) = r1;
                r0 = 1;
                exit;
            },
        )
        .with_attach_type(AttachType::CgroupInetSockCreate)
    };
}

static IN_GROUP: ProgramSpec = count_sockets!("in_group", OF_GROUP);
static IN_GROUP_CPU: ProgramSpec = count_sockets!("in_group_cpu", OF_GROUP_CPU);

#[test]
fn memory_of_a_control_group() {
    needs!(Root, Bpf);
    needs_tried!(
        "cgroup2",
        in_cgroups(|root| {
            for (spec, program) in [(&OF_GROUP, &IN_GROUP), (&OF_GROUP_CPU, &IN_GROUP_CPU)] {
                let (program, map) = load(program, spec);
                let _attached =
                    raw::attach_cgroup(root, &program, AttachType::CgroupInetSockCreate as u32)
                        .unwrap();
                let storage = CgroupStorage::<u64>::of(&map).unwrap();
                // The number of the group is that of its folder.
                let (group, way) =
                    (root.metadata().unwrap().ino(), AttachType::CgroupInetSockCreate);
                let values = || storage.lookup(group, way).unwrap().unwrap();
                let count = || values().iter().sum::<u64>();
                let before = count();
                for _ in 0..3 {
                    UdpSocket::bind("0.0.0.0:0").unwrap();
                }
                // Others make sockets too.
                assert!(count() >= before + 3);
                let mut set = vec![0; values().len()];
                set[0] = 1_000_000;
                storage.update(group, way, &set).unwrap();
                assert!(count() >= 1_000_000);
                set.push(0);
                let error = storage.update(group, way, &set).unwrap_err();
                assert!(matches!(error, rawbpf::Error::MapLength { .. }), "{error}");
                assert_eq!(storage.lookup(group, AttachType::CgroupSockOps).unwrap(), None);
            }
        })
    );
}

static OF_TASK: MapSpec = Storage::<u64>::spec("of_task", MapType::TaskStorage);
/// Adds one to what this process has: its first thread.
static IN_TASK: ProgramSpec = ProgramSpec::new(
    "in_task",
    ProgramType::RawTracepoint,
    bpf! {
        call get_current_task_btf;
        r2 = *(u64 *)(r0 + task_struct.group_leader);
        r1 = OF_TASK ll;
        r3 = 0;
        r4 = 1;                         // BPF_LOCAL_STORAGE_GET_F_CREATE
        call task_storage_get;
        if r0 == 0 goto out;
        r1 = *(u64 *)(r0 + 0);
        r1 += 1;
        *(u64 *)(r0 + 0) = r1;
        r0 = 1;
    out:
        exit;
    },
);

#[test]
fn storage_of_a_task() {
    needs!(Bpf, Btf);
    needs_tried!("task_storage", lacks(&OF_TASK));
    let (program, map) = load(&IN_TASK, &OF_TASK);
    let storage = Storage::<u64>::of(&map).unwrap();
    let process = raw::this_process().unwrap();
    assert_eq!(storage.lookup(&process).unwrap(), None);
    assert_eq!((run(&program), storage.lookup(&process).unwrap()), (1, Some(1)));
    storage.update(&process, &41, Update::Any).unwrap();
    assert_eq!((run(&program), storage.lookup(&process).unwrap()), (1, Some(42)));
    assert!(storage.delete(&process).unwrap());
}

static OF_CGRP: MapSpec = Storage::<u64>::spec("of_cgrp", MapType::CgrpStorage);
/// Adds one to what the control group of this process has.
static IN_CGRP: ProgramSpec = ProgramSpec::new(
    "in_cgrp",
    ProgramType::RawTracepoint,
    bpf! {
        call get_current_task_btf;
        r2 = *(u64 *)(r0 + task_struct.cgroups);
        r2 = *(u64 *)(r2 + css_set.dfl_cgrp);
        r1 = OF_CGRP ll;
        r3 = 0;
        r4 = 1;
        call cgrp_storage_get;
        if r0 == 0 goto out;
        r1 = *(u64 *)(r0 + 0);
        r1 += 1;
        *(u64 *)(r0 + 0) = r1;
        r0 = 1;
    out:
        exit;
    },
);

#[test]
fn storage_of_a_control_group() {
    needs!(Root, Bpf, Btf);
    needs_tried!("cgrp_storage", lacks(&OF_CGRP));
    let group = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let outside = (!group.lines().any(|line| line == "0::/"))
        .then(|| "this process is not in the root group".to_owned());
    needs_tried!("root_group", outside);
    needs_tried!(
        "cgroup2",
        in_cgroups(|root| {
            let (program, map) = load(&IN_CGRP, &OF_CGRP);
            let storage = Storage::<u64>::of(&map).unwrap();
            assert_eq!(storage.lookup(root).unwrap(), None);
            assert_eq!((run(&program), storage.lookup(root).unwrap()), (1, Some(1)));
            storage.update(root, &41, Update::Any).unwrap();
            assert_eq!((run(&program), storage.lookup(root).unwrap()), (1, Some(42)));
            assert!(storage.delete(root).unwrap());
        })
    );
}

static OF_INODE: MapSpec = Storage::<u64>::spec("of_inode", MapType::InodeStorage);
/// Counts how often a file is opened, if it is one that is counted.
static OPENED: ProgramSpec = ProgramSpec::new(
    "opened",
    ProgramType::Lsm,
    bpf! {
        r1 = *(u64 *)(r1 + 0);
        r2 = *(u64 *)(r1 + file.f_inode);
        r1 = OF_INODE ll;
        r3 = 0;
        r4 = 0;
        call inode_storage_get;
        if r0 == 0 goto out;
        r1 = *(u64 *)(r0 + 0);
        r1 += 1;
        *(u64 *)(r0 + 0) = r1;
    out:
        r0 = 0;
        exit;
    },
)
.with_attach_type(AttachType::LsmMac)
.with_target("file_open");

#[test]
fn storage_of_an_inode() {
    needs!(Root, Bpf, Btf, Lsm);
    needs_tried!("inode_storage", lacks(&OF_INODE));
    let lsm = std::fs::read_to_string("/sys/kernel/security/lsm");
    let off = match lsm {
        Ok(list) if list.split(',').any(|one| one.trim() == "bpf") => None,
        other => Some(format!("the security module bpf is not active: {other:?}")),
    };
    needs_tried!("lsm_bpf", off);
    let folder = Folder::new();
    let path = folder.path().join("file");
    let file = File::create(&path).unwrap();
    let (program, map) = load(&OPENED, &OF_INODE);
    let storage = Storage::<u64>::of(&map).unwrap();
    storage.update(&file, &40, Update::NoExist).unwrap();
    let attached = raw::attach_hook(&program).unwrap();
    for _ in 0..2 {
        File::open(&path).unwrap();
    }
    drop(attached);
    assert_eq!(storage.lookup(&file).unwrap(), Some(42));
    assert!(storage.delete(&file).unwrap());
}

static ARENA: MapSpec = MapSpec::arena("arena", 4);
/// Reads the word of the arena at the address whose low half follows the packet's header, and writes it, larger by
/// one, as the next.
static IN_ARENA: ProgramSpec = ProgramSpec::new(
    "in_arena",
    ProgramType::SchedCls,
    bpf! {
        r6 = ARENA ll;
        r2 = 14;
        r3 = r10;
        r3 += -4;
        r4 = 4;
        call skb_load_bytes;
        r7 = *(u32 *)(r10 - 4);
        r7 = addr_space_cast(r7, 0, 1);
        r1 = *(u64 *)(r7 + 0);
        r1 += 1;
        *(u64 *)(r7 + 8) = r1;
        r0 = 1;
        exit;
    },
);

#[test]
fn an_arena() {
    needs!(Bpf);
    needs_tried!("arena", lacks(&ARENA));
    // It has its place once it is mapped, and without one no program is loaded.
    let mut loader = Loader::new();
    let map = loader.map(&ARENA).unwrap().clone();
    let arena = Arena::of(&map).unwrap();
    let memory = arena.mmap().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(memory.len(), 4 * raw::page());
    let program = loader.load(&IN_ARENA).unwrap_or_else(|error| panic!("{error}"));
    assert!(memory.set(8, &41u64));
    let mut frame = super::FRAME;
    // To programs an address is its low half, from where the arena's 4 GiB begin.
    frame[14..18].copy_from_slice(&(memory.address() as u32 + 8).to_ne_bytes());
    assert_eq!(program.test_run(&frame, 1).unwrap().returned, 1);
    assert_eq!((memory.get::<u64>(8), memory.get::<[u64; 2]>(8)), (Some(41), Some([41, 42])));
    // The last page is there when it is looked at; nothing is behind it, and nothing between words.
    assert_eq!(memory.get::<u64>(memory.len() - 8), Some(0));
    assert_eq!(memory.get::<u64>(memory.len()), None);
    assert!(!memory.set(12, &1u64) && !memory.set(memory.len() - 4, &1u64));
    let error = arena.mmap().unwrap_err();
    assert!(error.to_string().contains("mapped already"), "{error}");
}

/// An arena is mapped at the address that user space asks for.
#[test]
fn an_arena_has_its_place() {
    needs!(Bpf);
    needs_tried!("arena", lacks(&ARENA));
    let map = Map::create(&ARENA.with_map_extra(0x1000_0000_0000)).unwrap();
    assert_eq!(map.info().unwrap().map_extra, 0x1000_0000_0000);
    assert_eq!(Arena::of(&map).unwrap().mmap().unwrap().address(), 0x1000_0000_0000);

    let other = ARENA.with_flags(MapFlags::MMAPABLE | MapFlags::SEGV_ON_FAULT);
    let error = Arena::of(&Map::create(&other).unwrap()).unwrap().mmap().unwrap_err();
    assert!(matches!(error, rawbpf::Error::Unsupported { .. }), "{error}");
}

static USER_RING: MapSpec = MapSpec::user_ring_buffer("user_ring", 1 << 16);
static LAST: MapSpec = MapSpec::array("last", 8, 1);
/// The place of the address of the function that is called for each record, and how far it is from there.
const CALLBACK: (usize, i32) = (2, 5);

/// Reads what user space wrote and adds it to what `LAST` has; returns how many records there were.
static FROM_USER: ProgramSpec = ProgramSpec::new(
    "from_user",
    ProgramType::SchedCls,
    bpf! {
        r1 = USER_RING ll;
        r2 = { CALLBACK.1 as i64 } ll;
        r3 = 0;
        r4 = 0;
        call user_ringbuf_drain;
        exit;
        r3 = r1;
        r1 = r10;
        r1 += -8;
        r2 = 8;
        r4 = 0;
        r5 = 0;
        call dynptr_read;
        *(u32 *)(r10 - 16) = 0;
        r1 = LAST ll;
        r2 = r10;
        r2 += -16;
        call map_lookup_elem;
        if r0 == 0 goto out;
        r1 = *(u64 *)(r10 - 8);
        r2 = *(u64 *)(r0 + 0);
        r2 += r1;
        *(u64 *)(r0 + 0) = r2;
        r0 = 0;
    out:
        exit;
    },
);

/// Its pages: the program's position, user space's position, the records.
#[test]
fn a_ring_buffer_of_user_space() {
    needs!(Bpf, Jit);
    needs_tried!("user_ringbuf", lacks(&USER_RING));
    let mut loader = Loader::new();
    // The address of a function is not to be had in the macro: it is put in here.
    let mut slots = FROM_USER.code.slots.to_vec();
    let (slot, low) = CALLBACK;
    let function = Op::LoadImm64 { dst: Reg::R2, kind: Pseudo::Function, low, high: 0 };
    slots[slot..slot + 2].copy_from_slice(function.encode().as_slice());
    let code = Code { slots: &slots, ..FROM_USER.code };
    let program =
        loader.load(&ProgramSpec { code, ..FROM_USER }).unwrap_or_else(|error| panic!("{error}"));
    let ring = loader.map(&USER_RING).unwrap();
    let page = raw::page();
    let consumer = raw::Mapping::new(ring, 0, page, false).unwrap();
    let producer = raw::Mapping::new(ring, page, 2 * page, true).unwrap();
    assert_eq!(super::run(&program), 0);
    for (at, value) in [(0, 40), (16, 2)] {
        // A header, whose low half is the length, and the value.
        producer.set(page + at, if cfg!(target_endian = "big") { 8 << 32 } else { 8 });
        producer.set(page + at + 8, value);
        producer.set(0, at as u64 + 16);
    }
    assert_eq!((super::run(&program), consumer.get(0)), (2, 32));
    let last = Array::<u64>::of(loader.map(&LAST).unwrap()).unwrap();
    assert_eq!(last.lookup(0).unwrap(), 42);
}
