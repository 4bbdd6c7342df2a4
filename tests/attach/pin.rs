//! Links with a name in the BPF file system outlive the process that made them.

use super::{CALLS, COUNT, State, ask_group, rename};
use crate::common::requires::{Thing, needs};
use crate::common::{self, Folder, bpf_ids, wait_until};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::gettid;
use rawbpf::attach::{self, Target};
use rawbpf::map::{Array, Map};
use rawbpf::{Error, ErrorKind, Loader, ProgramType};
use std::path::Path;

/// The environment variable with the folder for the pins of the process that ends.
const PLACE: &str = "RAWBPF_TEST_PLACE";

const LINK: &str = "link";
const MAP: &str = "map";
const PROGRAM: &str = "program";

/// Attaches and pins, and is gone.
fn pin(target: &Target) {
    let place = std::env::var(PLACE).unwrap();
    let place = Path::new(&place);
    let mut loader = Loader::new();
    let (program, link) = attach::load_and_attach(&mut loader, &COUNT, target).unwrap();
    link.pin(place.join(LINK)).unwrap();
    program.pin(place.join(PROGRAM)).unwrap();
    loader.map(&super::STATE).unwrap().pin(place.join(MAP)).unwrap();
    let again = link.pin(place.join(LINK)).unwrap_err();
    assert!(matches!(again, Error::Call { .. }), "{again}");
}

/// Starts this test again to pin a link and end, and looks at what goes on without it.
fn goes_on(test: &'static str, target: &str, cause: fn()) {
    let target: Target = target.parse().unwrap();
    if common::role().is_some() {
        return pin(&target);
    }
    let _alone = common::alone();
    let thread = std::thread::spawn(move || {
        // A BPF file system of its own.
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
        let folder = Folder::new();
        let place = folder.path();
        mount(Some("bpf"), place, Some("bpf"), MsFlags::empty(), None::<&str>).unwrap();
        // The output of that one is no result of this test program's.
        let output = common::this_test_as(test, "pinner").env(PLACE, place).output().unwrap();
        assert!(output.status.success(), "{}", common::said(&output));

        let map = Map::open_pinned(place.join(MAP)).unwrap();
        let state = Array::<State>::of(&map).unwrap();
        state.update(0, &[gettid().as_raw() as u64, 0, 0]).unwrap();
        let count = || state.lookup(0).unwrap()[1];
        let program = rawbpf::Program::open_pinned(place.join(PROGRAM)).unwrap();
        let id = bpf_ids::info(&program).id;
        assert_eq!(bpf_ids::links_of(id).len(), 1, "{target}");
        (0..CALLS).for_each(|_| cause());
        assert_eq!(count(), CALLS as u64, "{target}");

        std::fs::remove_file(place.join(LINK)).unwrap();
        // The kernel frees the objects of a file system a little later.
        wait_until("the link is gone", || {
            let before = count();
            cause();
            bpf_ids::links_of(id).is_empty() && count() == before
        });
        nix::mount::umount2(place, nix::mount::MntFlags::MNT_DETACH).unwrap();
    });
    thread.join().unwrap();
}

#[test]
fn a_pinned_raw_tracepoint_outlives_its_process() {
    needs!(Root, Bpf);
    let test = "pin::a_pinned_raw_tracepoint_outlives_its_process";
    goes_on(test, "raw_tracepoint:task_rename", rename);
}

/// A pinned link holds its perf event.
#[test]
fn a_pinned_tracepoint_outlives_its_process() {
    needs!(Root, Tracepoint);
    let target = "tracepoint:syscalls/sys_enter_getpgid";
    if super::running() >= (5, 15) {
        let test = "pin::a_pinned_tracepoint_outlives_its_process";
        return goes_on(test, target, ask_group);
    }
    let program = Loader::new().load(&COUNT.with_kind(ProgramType::Tracepoint)).unwrap();
    let link = attach::attach(&program, &target.parse().unwrap()).unwrap();
    let error = link.pin("/sys/fs/bpf/link").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[test]
fn a_pinned_kprobe_outlives_its_process() {
    needs!(Root, Kprobe);
    let test = "pin::a_pinned_kprobe_outlives_its_process";
    if super::running() >= (5, 15) {
        goes_on(test, "kprobe:sys_getpgid", ask_group);
    }
}
