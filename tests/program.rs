//! Programs in the kernel: run by themselves, asked about, pinned.

mod common;
#[path = "program/types.rs"]
mod types;

use common::Folder;
use common::requires::{Thing, needs, needs_tried};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use rawbpf::asm::Style;
use rawbpf::{
    Error, ErrorKind, Loader, MapSpec, Program, ProgramInfo, ProgramSpec, ProgramType,
    RunStatistics, TestRunOptions, bpf,
};
use std::os::fd::AsFd;
use std::time::Duration;

fn load(spec: &ProgramSpec<'_, '_>) -> Program {
    Loader::new().load(spec).unwrap()
}

/// The error of loading a program on this machine, if it fails: a type or feature is missing.
fn missing(spec: &ProgramSpec<'_, '_>) -> Option<String> {
    Loader::new().load(spec).err().map(|error| error.to_string())
}

/// Four bytes more in front of the packet, and in them a word.
const GROW: ProgramSpec<'_, '_> = ProgramSpec::new(
    "grow",
    ProgramType::Xdp,
    bpf! {
        r6 = r1;
        r2 = -4;
        call xdp_adjust_head;
        if r0 != 0 goto out;
        r1 = *(u32 *)(r6 + 0);
        r2 = *(u32 *)(r6 + 4);
        r3 = r1;
        r3 += 4;
        if r3 > r2 goto out;
        *(u32 *)(r1 + 0) = 0x04030201;
        r0 = 2;
        exit;
    out:
        r0 = 0;
        exit;
    },
);

#[test]
fn a_packet_that_grows_comes_back_whole() {
    needs!(Bpf);
    let program = load(&GROW);
    let packet = [7; 64];
    let run = program.test_run_with(&TestRunOptions::new().data(&packet)).unwrap();
    assert_eq!((run.returned, run.data_len), (2, 68));
    let word = 0x0403_0201_u32.to_ne_bytes();
    assert_eq!(run.data, [&word[..], &packet[..]].concat());

    let run = program.test_run_with(&TestRunOptions::new().data(&packet).data_room(6)).unwrap();
    assert_eq!((run.data_len, &run.data[..]), (68, &[&word[..], &[7, 7]].concat()[..]));

    // The second run goes over what the first one made, and so on.
    let run = program.test_run_with(&TestRunOptions::new().data(&packet).repeat(3)).unwrap();
    assert_eq!(run.data_len, 76);
    assert!(run.time < Duration::from_secs(1));
    assert_eq!(program.test_run(&packet, 1).unwrap().returned, 2);
}

/// Gives the mark of the packet, and adds one to it.
const MARK: ProgramSpec<'_, '_> = ProgramSpec::new(
    "mark",
    ProgramType::SchedCls,
    bpf! {
        r0 = *(u32 *)(r1 + 8);
        r2 = r0;
        r2 += 1;
        *(u32 *)(r1 + 8) = r2;
        exit;
    },
);

#[test]
fn a_context_goes_in_and_comes_back() {
    needs!(Bpf);
    let program = load(&MARK);
    let mut context = [0; 64];
    context[8..12].copy_from_slice(&41u32.to_ne_bytes());
    let options = TestRunOptions::new().data(&[0; 60]).context(&context);
    let run = program.test_run_with(&options).unwrap();
    assert_eq!(run.returned, 41);
    // `struct __sk_buff` of this kernel, in whole.
    assert!((176..=256).contains(&run.context_len), "{}", run.context_len);
    assert_eq!(run.context.len(), run.context_len);
    assert_eq!(run.context[8..12], 42u32.to_ne_bytes());

    let run = program.test_run_with(&options.context_room(12)).unwrap();
    assert_eq!((run.context.len(), &run.context[8..]), (12, &42u32.to_ne_bytes()[..]));
    assert!(run.context_len > 12);

    // Its length is not the caller's to set.
    context[0] = 1;
    let options = TestRunOptions::new().data(&[0; 60]).context(&context);
    let error = program.test_run_with(&options).unwrap_err();
    assert!(error.to_string().contains("only some fields may be other than 0"), "{error}");
    let error = program.test_run_with(&TestRunOptions::new().data(&[0; 60]).cpu(0)).unwrap_err();
    assert!(matches!(error, Error::Call { errno: rawbpf::Errno(libc::EINVAL), .. }), "{error}");
}

/// The second argument, with the CPU in the bits from 16 on.
const SECOND: ProgramSpec<'_, '_> = ProgramSpec::new(
    "second",
    ProgramType::RawTracepoint,
    bpf! {
        r6 = *(u64 *)(r1 + 8);
        call get_smp_processor_id;
        r0 <<= 16;
        r0 += r6;
        exit;
    },
);

#[test]
fn a_raw_tracepoint_runs_on_the_cpu_that_is_named() {
    needs!(Bpf);
    let program = load(&SECOND);
    let arguments: Vec<u8> = [5u64, 6].iter().flat_map(|word| word.to_ne_bytes()).collect();
    let options = TestRunOptions::new().context(&arguments);
    for cpu in rawbpf::kernel::cpu::online().unwrap() {
        let run = program.test_run_with(&options.cpu(cpu)).unwrap();
        assert_eq!(run.returned, cpu << 16 | 6);
        assert_eq!((run.data.len(), run.context.len()), (0, 0));
    }
    let error = program.test_run_with(&options.cpu(100_000)).unwrap_err();
    assert!(error.to_string().contains("no such CPU"), "{error}");
    // Of the two arguments that it reads only one is there.
    let options = TestRunOptions::new().context(&arguments[..8]);
    let error = program.test_run_with(&options).unwrap_err();
    assert!(error.to_string().contains("8 bytes for each argument"), "{error}");
}

/// Adds one to its context, and returns what that was.
const COUNT: ProgramSpec<'_, '_> = ProgramSpec::new(
    "count",
    ProgramType::Syscall,
    bpf! {
        r0 = *(u32 *)(r1 + 0);
        r2 = r0;
        r2 += 1;
        *(u32 *)(r1 + 0) = r2;
        exit;
    },
);

#[test]
fn the_context_of_a_syscall_program_is_changed_in_its_place() {
    needs!(Bpf);
    needs_tried!("syscall programs", missing(&COUNT));
    let context = 9u32.to_ne_bytes();
    let run = load(&COUNT).test_run_with(&TestRunOptions::new().context(&context)).unwrap();
    assert_eq!((run.returned, &run.context[..]), (9, &10u32.to_ne_bytes()[..]));
    assert_eq!(context, 9u32.to_ne_bytes());
}

#[test]
fn what_cannot_be_run_says_so() {
    needs!(Bpf);
    let spec = ProgramSpec::new("tp", ProgramType::Tracepoint, bpf! { r0 = 0; exit; });
    let error = load(&spec).test_run(&[0; 64], 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().ends_with("(programs of this type can only be attached)"), "{error}");
}

static NUMBERS: MapSpec = MapSpec::array("numbers", 8, 4);
static OTHERS: MapSpec = MapSpec::hash("others", 4, 8, 4);

/// Uses two maps and a helper, and calls a function.
static KNOWN: ProgramSpec<'_, '_> = ProgramSpec::new(
    "known-to.all",
    ProgramType::SocketFilter,
    bpf! {
        *(u32 *)(r10 - 4) = 0;
        r1 = NUMBERS ll;
        r2 = r10;
        r2 += -4;
        call map_lookup_elem;
        r1 = OTHERS ll;
        call ktime_get_ns;
        r1 = 21;
        call twice;
        exit;
    twice:
        r0 = r1;
        r0 += r1;
        exit;
    },
);

#[test]
fn the_kernel_tells_what_it_knows() {
    needs!(Bpf, Root);
    let mut loader = Loader::new();
    let program = loader.load(&KNOWN).unwrap();
    let info = program.info().unwrap();
    // As others read it.
    let known = common::bpf_ids::info(&program);
    assert_eq!((info.id, &info.name, &info.map_ids), (known.id, &known.name, &known.maps));
    assert_eq!((info.name.as_str(), info.map_ids.len()), ("known_to.all", 2));
    assert_eq!(info.kind(), Some(ProgramType::SocketFilter));
    assert_eq!((info.uid, info.gpl_compatible), (0, true));
    assert_eq!(info.xlated_len % 8, 0);
    assert!(info.xlated_len >= 8 * KNOWN.code.slots.len() as u32, "{info:?}");
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let uptime: f64 = uptime.split_whitespace().next().unwrap().parse().unwrap();
    assert!((0.0..=1.0).contains(&(uptime - info.loaded.as_secs_f64() + 0.5)), "{info:?} {uptime}");

    // The same program has the same tag, and a number of its own.
    let twin = loader.load(&KNOWN).unwrap().info().unwrap();
    assert_eq!(twin.tag, info.tag);
    assert_ne!(twin.id, info.id);

    let again = Program::open_id(info.id).unwrap();
    assert_eq!((again.name(), again.kind()), ("known_to.all", ProgramType::SocketFilter));
    assert_eq!(again.test_run(&[0; 64], 1).unwrap().returned, 42);
    assert_eq!(ProgramInfo::of(&again).unwrap(), info);
    let found = rawbpf::programs().find(|found| found.as_ref().is_ok_and(|one| one.id == info.id));
    assert_eq!(found.unwrap().unwrap(), info);

    // A map is no program, though the kernel would tell something of it.
    let map = loader.map(&NUMBERS).unwrap().as_fd().try_clone_to_owned().unwrap();
    let error = Program::from_fd(map).unwrap_err();
    assert!(error.to_string().contains("not of a program"), "{error}");

    let id = info.id;
    drop((program, again));
    // The kernel frees it when nobody can be reading it any more.
    common::wait_until("the program is gone", || Program::open_id(id).is_err());
    let error = Program::open_id(id).unwrap_err();
    assert!(error.to_string().contains("no program has this id"), "{error}");
}

#[test]
fn a_program_is_read_back() {
    needs!(Bpf, Root);
    let program = Loader::new().load(&KNOWN).unwrap();
    let info = program.info().unwrap();
    let dump = program.dump().unwrap();
    assert_eq!(dump.slots.len() * 8, info.xlated_len as usize);
    let len: usize = dump.jited.iter().map(|piece| piece.code.len()).sum();
    assert!(len == 0 || len == info.jited_len as usize);
    if len > 0 {
        assert_eq!(dump.jited.len(), 2, "the function is one of its own");
        assert!(dump.jited.iter().all(|piece| piece.address != 0));
    }
    let text = dump.text(Style::Kernel, true);
    let [first, second] = info.map_ids[..] else { panic!("{info:?}") };
    for map in [first, second] {
        assert!(text.contains(&format!("(18) r1 = map[id:{map}]\n")), "{text}");
    }
    assert!(text.contains("(85) call bpf_ktime_get_ns#"), "{text}");
    assert!(text.contains("(85) call pc+1#twice") || text.contains("(85) call pc+1\n"), "{text}");
    assert!(text.ends_with("exit\n") && !text.contains("??"), "{text}");
    // Where the kernel takes our lines it gives them back.
    if info.btf_id != 0 {
        assert!(text.contains("; call twice [file:"), "{text}");
        assert!(text.contains("tests/program.rs line_num:"), "{text}");
        assert!(text.contains("\ntwice:\n; r0 = r1 "), "{text}");
        assert_eq!(dump.functions.len(), 2);
    }
}

#[test]
fn runs_are_counted_while_somebody_asks_for_it() {
    needs!(Bpf, Root);
    let on = RunStatistics::enable();
    needs_tried!("run statistics", on.as_ref().err().map(ToString::to_string));
    let program = Loader::new().load(&KNOWN).unwrap();
    program.test_run(&[0; 64], 5).unwrap();
    let info = program.info().unwrap();
    assert_eq!(info.run_count, 5);
    assert!(info.run_time > Duration::ZERO);
}

#[test]
fn a_pin_keeps_a_program() {
    needs!(Bpf, Root);
    let place = bpffs();
    let folder = place.path();
    let path = folder.join(format!("rawbpf_test_{}", std::process::id()));
    let program = Loader::new().load(&KNOWN).unwrap();
    let id = program.info().unwrap().id;
    program.pin(&path).unwrap();
    let error = program.pin(&path).unwrap_err();
    assert!(error.to_string().contains("there is something already"), "{error}");
    drop(program);

    let again = Program::open_pinned(&path).unwrap();
    assert_eq!(again.info().unwrap().id, id);
    let other = Loader::new().load(&KNOWN).unwrap();
    let error = other.unpin(&path).unwrap_err();
    assert!(error.to_string().contains("another program is pinned there"), "{error}");
    again.unpin(&path).unwrap();
    assert!(!path.exists());
    let error = Program::open_pinned(&path).unwrap_err();
    assert!(error.to_string().contains("ENOENT"), "{error}");

    for (path, why) in [
        ("../rawbpf_not_here", "mount -t bpf"),
        ("a.dot", "must not hold a dot"),
        ("no/such", "no such folder"),
    ] {
        let error = again.pin(folder.join(path)).unwrap_err();
        assert!(error.to_string().contains(why), "{path}: {error}");
    }
    let error = Program::open_pinned(std::env::current_exe().unwrap()).unwrap_err();
    assert!(error.to_string().contains("no BPF file system"), "{error}");
}

/// A BPF file system that this thread alone sees.
fn bpffs() -> Folder {
    let place = Folder::new();
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
    mount(Some("bpf"), place.path(), Some("bpf"), MsFlags::empty(), None::<&str>).unwrap();
    place
}
