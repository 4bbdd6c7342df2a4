//! Iterators.

use crate::common::requires::{Thing, needs, needs_tried};
use nix::unistd::gettid;
use rawbpf::attach::{self, Options, Target, iter};
use rawbpf::map::{Hash, Map, Update};
use rawbpf::{Errno, Error, ErrorKind, Loader, MapSpec, ProgramSpec, ProgramType, bpf};
use std::io::Read;
use std::process::Command;

/// Writes the numbers of each thread and of its process.
static PIDS: ProgramSpec = ProgramSpec::new(
    "pids",
    ProgramType::Tracing,
    bpf! {
        r7 = *(u64 *)(r1 + bpf_iter__task.task);
        if r7 == 0 goto out;                        // there are no more
        r1 = *(u64 *)(r1 + bpf_iter__task.meta);
        r1 = *(u64 *)(r1 + bpf_iter_meta.seq);
        r0 = *(u32 *)(r7 + task_struct.pid);
        *(u32 *)(r10 - 8) = w0;
        r0 = *(u32 *)(r7 + task_struct.tgid);
        *(u32 *)(r10 - 4) = w0;
        r2 = r10;
        r2 += -8;
        r3 = 8;
        call seq_write;
    out:
        r0 = 0;
        exit;
    },
);

fn pairs(mut walk: impl Read) -> Vec<(u32, u32)> {
    let mut bytes = Vec::new();
    walk.read_to_end(&mut bytes).unwrap();
    let word = |bytes: &[u8]| u32::from_ne_bytes(bytes.try_into().unwrap());
    bytes.chunks_exact(8).map(|pair| (word(&pair[..4]), word(&pair[4..]))).collect()
}

#[test]
fn tasks_are_walked_over() {
    needs!(Bpf, Btf);
    let _alone = crate::common::alone();
    let target: Target = "iter:task".parse().unwrap();
    let (program, link) = attach::load_and_attach(&mut Loader::new(), &PIDS, &target).unwrap();
    let us = (gettid().as_raw() as u32, std::process::id());
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    let walk = pairs(iter::read(&link).unwrap());
    assert!(walk.contains(&us), "{walk:?}");
    assert!(walk.contains(&(child.id(), child.id())), "{walk:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    // Another walk sees what is there then.
    let walk = pairs(iter::read(&link).unwrap());
    assert!(walk.contains(&us) && !walk.contains(&(child.id(), child.id())), "{walk:?}");

    let id = crate::bpf_ids::info(&program).id;
    assert_eq!(crate::bpf_ids::links_of(id).len(), 1);
    drop(link);
    crate::wait_until("the link is gone", || crate::bpf_ids::links_of(id).is_empty());
}

#[test]
fn tasks_of_one_process_are_walked_over() {
    needs!(Bpf, Btf);
    let _alone = crate::common::alone();
    let target: Target = "iter:task".parse().unwrap();
    let options = Options::new().pid(std::process::id());
    let attached = attach::load_and_attach_with(&mut Loader::new(), &PIDS, &target, &options);
    if crate::running() < (6, 1) {
        let error = attached.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("Linux 6.1"), "{error}");
        return;
    }
    let (_program, link) = attached.unwrap();
    let walk = pairs(iter::read(&link).unwrap());
    assert!(walk.contains(&(gettid().as_raw() as u32, std::process::id())), "{walk:?}");
    assert!(walk.iter().all(|(_, process)| *process == std::process::id()), "{walk:?}");

    let nobody = Options::new().pid(i32::MAX as u32);
    let (_program, link) =
        attach::load_and_attach_with(&mut Loader::new(), &PIDS, &target, &nobody).unwrap();
    assert_eq!(pairs(iter::read(&link).unwrap()), []);
}

/// Writes each key and value.
static ELEMENTS: ProgramSpec = ProgramSpec::new(
    "elements",
    ProgramType::Tracing,
    bpf! {
        r8 = *(u64 *)(r1 + bpf_iter__bpf_map_elem.key);
        r9 = *(u64 *)(r1 + bpf_iter__bpf_map_elem.value);
        r1 = *(u64 *)(r1 + bpf_iter__bpf_map_elem.meta);
        if r8 == 0 goto out;
        if r9 == 0 goto out;
        r1 = *(u64 *)(r1 + bpf_iter_meta.seq);
        r0 = *(u32 *)(r8 + 0);
        *(u32 *)(r10 - 8) = w0;
        r0 = *(u32 *)(r9 + 0);
        *(u32 *)(r10 - 4) = w0;
        r2 = r10;
        r2 += -8;
        r3 = 8;
        call seq_write;
    out:
        r0 = 0;
        exit;
    },
);

static SQUARES: MapSpec = Hash::<u32, u32>::spec("squares", 16);

/// Why this kernel has no iterator over the elements of maps: some builds refuse even one that does nothing, with `EPERM` and
/// no word.
fn elements_lacks() -> Option<String> {
    static NOTHING: ProgramSpec =
        ProgramSpec::new("nothing", ProgramType::Tracing, bpf! { r0 = 0; exit; });
    let target: Target = "iter:bpf_map_elem".parse().unwrap();
    let error = Loader::new().load(&target.spec(&NOTHING)).err()?;
    match error {
        Error::LoadProgram { errno: Errno(libc::EPERM), .. } => Some(error.to_string()),
        _ => panic!("{error}"),
    }
}

#[test]
fn elements_of_a_map_are_walked_over() {
    needs!(Bpf, Btf);
    needs_tried!("iter_bpf_map_elem", elements_lacks());
    let squares = Map::create(&SQUARES).unwrap();
    let view = Hash::<u32, u32>::of(&squares).unwrap();
    for number in 1..=9 {
        view.update(&number, &(number * number), Update::Any).unwrap();
    }
    let target: Target = "iter:bpf_map_elem".parse().unwrap();
    let program = Loader::new().load(&target.spec(&ELEMENTS)).unwrap_or_else(|e| panic!("{e}"));
    let link = iter::attach_to_map(&program, &target, &squares).unwrap();
    let mut walk = pairs(iter::read(&link).unwrap());
    walk.sort();
    assert_eq!(walk, (1..=9).map(|number| (number, number * number)).collect::<Vec<_>>());

    // Without a map there is nothing to walk over, and the ring buffer has no elements.
    let error = attach::attach(&program, &target).unwrap_err();
    assert!(matches!(error, Error::Attach { .. }), "{error}");
    let ring = Map::create(&MapSpec::ring_buffer("ring", 4096)).unwrap();
    let error = iter::attach_to_map(&program, &target, &ring).unwrap_err();
    assert!(error.to_string().contains("not for a map of that type"), "{error}");
}

#[test]
fn what_is_no_iterator_cannot_be_read() {
    needs!(Bpf);
    let target: Target = "raw_tracepoint:sched_switch".parse().unwrap();
    static NOTHING: ProgramSpec =
        ProgramSpec::new("nothing", ProgramType::RawTracepoint, bpf! { r0 = 0; exit; });
    let (_program, link) = attach::load_and_attach(&mut Loader::new(), &NOTHING, &target).unwrap();
    assert!(matches!(iter::read(&link), Err(Error::Target { .. })));
}
