//! Names of the running kernel in programs: what the loader makes of them, on every kernel; and what the kernel
//! shows of the source.

mod common;
#[path = "names/places.rs"]
mod places;

use common::requires::{Thing, needs, needs_tried};
use rawbpf::asm::{ParseOptions, parse};
use rawbpf::attach::{self, Target};
use rawbpf::perf::{PerfOptions, PerfReader, Record};
use rawbpf::{
    AttachType, Error, ErrorKind, Loader, MapSpec, NameProblem, Program, ProgramSpec, ProgramType,
    Result, TextSpec, bpf,
};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;
use std::time::Duration;

static EVENTS: MapSpec = MapSpec::perf_event_array("events");

/// Sends, each time a process is made: who makes it, the parent of that one, and the new process as the tracepoint
/// and as its own field tells it.
static PARENT: ProgramSpec = ProgramSpec::new(
    "parent",
    ProgramType::Tracepoint,
    bpf! {
        r6 = r1;
        r7 = *(u32 *)(r1 + args.child_pid);
        *(u32 *)(r10 - 8) = w7;
        call get_current_pid_tgid;
        r0 >>= 32;
        *(u32 *)(r10 - 16) = w0;
        call get_current_task;
        r3 = r0;
        r3 += task_struct.real_parent;
        r1 = r10;
        r1 += -24;
        r2 = sizeof(task_struct.real_parent);
        call probe_read_kernel;
        r3 = *(u64 *)(r10 - 24);
        r3 += task_struct.tgid;
        r1 = r10;
        r1 += -12;
        r2 = sizeof(task_struct.tgid);
        call probe_read_kernel;
        // A field that one kernel has and another has not: 5.16 moved it.
        *(u32 *)(r10 - 4) = exists(task_struct.cpu);
        r1 = r6;
        r2 = EVENTS ll;
        r3 = enum.BPF_F_CURRENT_CPU ll;
        r4 = r10;
        r4 += -16;
        r5 = 16;
        call perf_event_output;
        r0 = 0;
        exit;
    },
)
.with_target("sched/sched_process_fork");

#[test]
fn the_parent_is_found_by_the_names_of_its_fields() {
    needs!(Bpf, Btf, Tracepoint);
    let mut loader = Loader::new();
    let options = PerfOptions::new().sample_size(16);
    let mut reader = PerfReader::open(loader.map(&EVENTS).unwrap(), &options).unwrap();
    let program = loader.load(&PARENT).unwrap_or_else(|error| panic!("{error}"));
    let target = Target::tracepoint("sched", "sched_process_fork");
    let _link = attach::attach(&program, &target).unwrap();
    let mut child = Command::new("/proc/self/exe").arg("--list").output().map(drop);
    // The child is known by its number: none of the others is of this process at this time.
    child.as_mut().unwrap();
    let mut seen = Vec::new();
    reader
        .drain(|record| {
            if let Record::Sample { bytes, .. } = record {
                let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
                seen.push([word(0), word(4), word(8), word(12)]);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    let ours: Vec<_> = seen.iter().filter(|[tgid, ..]| *tgid == std::process::id()).collect();
    let Some([_, parent, _, exists]) = ours.first() else { panic!("{seen:?}") };
    assert_eq!(*parent, std::os::unix::process::parent_id());
    let types = rawbpf::btf::KernelTypes::new();
    assert_eq!(*exists == 1, types.exists("task_struct.cpu").unwrap());
    let _ = Duration::ZERO;
}

fn load(text: &str) -> Result<Program> {
    let module = parse(text, "t.s", &ParseOptions::new()).unwrap();
    let spec = TextSpec::new(&module, &module.programs()[0], "t.s")?;
    let kind = spec.kind().unwrap_or(ProgramType::SocketFilter);
    Loader::new().load(&spec.program(kind))
}

#[track_caller]
fn problem(text: &str) -> (NameProblem, String) {
    match load(text) {
        Err(error @ Error::Name { .. }) => {
            let message = error.to_string();
            let Error::Name { problem, .. } = error else { unreachable!() };
            (*problem.downcast().unwrap(), message)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_has_no_number_here_says_why() {
    needs!(Bpf, Btf);
    let (what, message) = problem("r0 = 0\nr1 = task_struct.tgidd\nexit\n");
    assert!(matches!(&what, NameProblem::Kernel(error) if error.btf().is_some()), "{what:?}");
    assert!(message.contains("t.s:2: r1 = task_struct.tgidd"), "{message}");
    assert!(
        message.contains("`task_struct` has no field `tgidd`") && message.contains("tgid"),
        "{message}"
    );

    // The roles of registers are near, too, and not the fields of this architecture alone.
    let (what, message) = problem(".program x, kprobe/y\nr0 = *(u64 *)(r1 + pt_regs.arg1)\nexit\n");
    let NameProblem::UnknownRegister { name, nearest } = &what else { panic!("{what:?}") };
    assert_eq!((name.as_str(), nearest.first().map(String::as_str)), ("arg1", Some("parm1")));
    assert!(message.contains("expected parm1 … for arguments"), "{message}");

    let (what, _) = problem(".program x, kprobe/y\nr0 = *(u64 *)(r1 + task_struct.tgid)\nexit\n");
    assert!(matches!(what, NameProblem::Width { size: 4, access: 8 }), "{what:?}");
    let (what, _) = problem("r0 = *(u32 *)(r1 + task_struct.in_execve)\nexit\n");
    assert!(matches!(what, NameProblem::BitField { bits: 1, .. }), "{what:?}");
    let (what, _) = problem("r0 = enum.BPF_F_CURRENT_CPU\nexit\n");
    let range = matches!(what, NameProblem::Range { value: 0xffff_ffff, high: 0x7fff_ffff, .. });
    assert!(range, "{what:?}");
    let (what, _) = problem(".program x, tracepoint\nr0 = *(u32 *)(r1 + args.pid)\nexit\n");
    assert!(matches!(what, NameProblem::NoTarget { .. }), "{what:?}");
    let (what, _) = problem("r0 = task_struct.real_parent.tgid\nexit\n");
    assert!(what.to_string().contains("is a pointer"), "{what}");
    let (what, _) = problem("r0 = pid_type.PIDTYPE_TGIDD\nexit\n");
    assert!(what.to_string().contains("PIDTYPE_TGID"), "{what}");
}

#[test]
fn arguments_of_tracepoints_and_functions_have_names() {
    needs!(Bpf, Btf, Tracefs);
    let fork = ".program x, tracepoint/sched/sched_process_fork\nr0 = *(u32 *)(r1 + args.child_pidd)\nexit\n";
    let (what, message) = problem(fork);
    assert!(
        matches!(what, NameProblem::NoArgument { .. }) && message.contains("child_pid"),
        "{message}"
    );
    // A function's own names, through the registers of this architecture.
    load(".program x, kprobe/do_exit\nr0 = *(u64 *)(r1 + args.code)\nr0 = *(u64 *)(r1 + pt_regs.parm1)\nr0 = 0\nexit\n")
        .unwrap_or_else(|error| panic!("{error}"));
    let raw = ".program x, raw_tp/sched_process_exit\nr0 = *(u64 *)(r1 + args.p)\nr0 = *(u64 *)(r1 + args.arg1)\nr0 = 0\nexit\n";
    load(raw).unwrap_or_else(|error| panic!("{error}"));
}

/// The return value of the program in `test_run`.
fn run(text: &str) -> u32 {
    load(text).unwrap_or_else(|error| panic!("{error}")).test_run(&[0; 64], 1).unwrap().returned
}

#[test]
fn what_is_not_there_is_no_hindrance_to_who_asks() {
    needs!(Bpf, Btf);
    let text = "
        r0 = 7
        r1 = exists(task_struct.no_such_field)
        if r1 == 0 goto out
        r0 = task_struct.no_such_field.deeper
        r0 = sizeof(task_struct.no_such_field)
    out: exit";
    assert_eq!(run(text), 7);
    assert_eq!(run("r0 = exists(task_struct)\nexit"), 1);
    assert_eq!(run("r0 = exists(pid_type.PIDTYPE_PID)\nexit"), 1);
    assert_eq!(run("r0 = exists(no_such_struct)\nexit"), 0);
    // Not asked for, it is.
    let (_, message) =
        problem("r0 = exists(task_struct.tgid)\nr0 = task_struct.no_such_field\nexit");
    assert!(message.contains("no_such_field"), "{message}");
}

#[test]
fn strings_are_read_where_they_lie() {
    needs!(Bpf, Btf);
    static CODE: ProgramSpec = ProgramSpec::new(
        "strings",
        ProgramType::SocketFilter,
        bpf! {
            r1 = "ab" ll;
            r0 = *(u8 *)(r1 + 1);
            r2 = b"xyz" ll;
            r3 = *(u8 *)(r2 + 2);
            r0 <<= 8;
            r0 |= r3;
            exit;
        },
    );
    let mut loader = Loader::new();
    let program = loader.load(&CODE).unwrap_or_else(|error| panic!("{error}"));
    let expected = u32::from(b'b') << 8 | u32::from(b'z');
    assert_eq!(program.test_run(&[0; 64], 1).unwrap().returned, expected);
    let text =
        ".rodata\nword: .byte 1, 2, 3\n.text\nr1 = word + 2 ll\nr0 = *(u8 *)(r1 + 0)\nexit\n";
    assert_eq!(run(text), 3);
}

fn bpftool() -> Option<String> {
    let there =
        Command::new("bpftool").arg("version").output().is_ok_and(|out| out.status.success());
    (!there).then(|| "bpftool is not installed".into())
}

#[test]
fn the_source_is_shown_by_others() {
    needs!(Bpf, Btf);
    needs_tried!("bpftool", bpftool());
    static CODE: ProgramSpec = ProgramSpec::new(
        "with_lines",
        ProgramType::SocketFilter,
        bpf! {
            r1 = 20;
            call twice;
            exit;
            twice:
            r0 = r1;
            r0 += r1;
            exit;
        },
    );
    let program = Loader::new().load(&CODE).unwrap();
    let fdinfo = format!("/proc/self/fdinfo/{}", program.as_fd().as_raw_fd());
    let fdinfo = std::fs::read_to_string(fdinfo).unwrap();
    let id =
        fdinfo.lines().find_map(|line| line.strip_prefix("prog_id:")).unwrap().trim().to_owned();
    let dump = Command::new("bpftool")
        .args(["prog", "dump", "xlated", "id", &id, "linum"])
        .output()
        .unwrap();
    let dump = String::from_utf8_lossy(&dump.stdout).into_owned();
    for shown in [
        "int with_lines(struct __sk_buff * ctx)",
        "int twice()",
        "; call twice",
        "; r0 += r1",
        "names.rs",
    ] {
        assert!(dump.contains(shown), "{shown} in\n{dump}");
    }
}

#[test]
fn what_a_program_is_for_is_found_in_the_kernels_types() {
    needs!(Bpf, Btf);
    let spec = ProgramSpec::new("t", ProgramType::Tracing, bpf! { r0 = 0; exit; })
        .with_attach_type(AttachType::TraceRawTp);
    Loader::new()
        .load(&spec.with_target("sched_process_exit"))
        .unwrap_or_else(|error| panic!("{error}"));
    let error = Loader::new().load(&spec.with_target("sched_process_exitt")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert!(error.to_string().contains("nearest: sched_process_exit"), "{error}");
}

#[test]
fn kernel_functions_are_called_by_name() {
    needs!(Bpf, Btf, Jit);
    let text = ".program x, tp_btf/sched_process_exit
        call kfunc bpf_rcu_read_lock
        call kfunc bpf_rcu_read_unlock
        r0 = 0
        exit";
    let types = rawbpf::btf::KernelTypes::new();
    // Linux 6.2.
    let there = types.type_id("bpf_rcu_read_lock", rawbpf::btf::Kind::Function).is_ok();
    needs_tried!("kfuncs", (!there).then(|| String::from("no bpf_rcu_read_lock")));
    load(text).unwrap_or_else(|error| panic!("{error}"));
    // It is that function and no other: the lock is missed.
    let error = load(&text.replacen("_lock\n", "_unlock\n", 1)).unwrap_err();
    assert!(matches!(error, Error::Verifier(_)), "{error}");
    let (_, message) = problem(&text.replace("rcu_read_lock", "rcu_read_lok"));
    assert!(message.contains("bpf_rcu_read_lock"), "{message}");
}
