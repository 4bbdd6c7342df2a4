//! Stacks that programs keep, of the kernel and of a process, with the names of their functions.
#![cfg(all(feature = "symbolize", feature = "demangle"))]
#![allow(unsafe_code, reason = "functions with frame pointers, in assembly language")]

mod common;
#[path = "common/frames.rs"]
mod frames;

use common::requires::{Thing, needs, needs_tried};
use frames::{FRAMES, getsid};
use rawbpf::attach::{self, Target};
use rawbpf::kernel::symbols;
use rawbpf::map::{Hash, StackTrace};
use rawbpf::{Loader, MapSpec, ProgramSpec, ProgramType, bpf, user};

/// An argument that no other process passes.
const ARGUMENT: i32 = 765_432;

static STACKS: MapSpec = MapSpec::stack_trace("stacks", 16, 64);
/// The return value of the helper.
static ANSWER: MapSpec = Hash::<u32, i64>::spec("answer", 1);

/// `BPF_F_USER_STACK`, `include/uapi/linux/bpf.h`.
const USER: i32 = 1 << 8;

/// Keeps the stack of a call of getsid, and what the helper answered. The argument is at `$at` in the context.
macro_rules! keeping {
    ($name:literal, $flags:expr, $($argument:tt)*) => {
        ProgramSpec::new($name, ProgramType::Tracepoint, bpf! {
            $($argument)*
            if r6 != {ARGUMENT} goto out;
            r2 = STACKS ll;
            r3 = {$flags};
            call get_stackid;
            *(u64 *)(r10 - 16) = r0;
            *(u32 *)(r10 - 4) = 0;
            r1 = ANSWER ll;
            r2 = r10;
            r2 += -4;
            r3 = r10;
            r3 += -16;
            r4 = 0;
            call map_update_elem;
        out:
            r0 = 0;
            exit;
        })
    };
}

static OF_PROCESS: ProgramSpec = keeping!("of_process", USER, r6 = *(u64 *)(r1 + 16););
static OF_KERNEL: ProgramSpec = keeping!("of_kernel", 0, r6 = *(u64 *)(r1 + 16););
/// The same at the tracepoint of all calls, which has the number of the call before the arguments.
static OF_KERNEL_AT_ANY_CALL: ProgramSpec = keeping!(
    "of_kernel_any",
    0,
    r6 = *(u64 *)(r1 + 8);
    if r6 != {libc::SYS_getsid as i32} goto out;
    r6 = *(u64 *)(r1 + 16);
);

/// The stack that is kept while the program is at a tracepoint, or the helper's answer.
fn stack(
    spec: &'static ProgramSpec<'static, 'static>,
    category: &str,
    name: &str,
) -> Result<Vec<u64>, i64> {
    let mut loader = Loader::new();
    let program = loader.load(spec).unwrap();
    let stacks = StackTrace::of(loader.map(&STACKS).unwrap()).unwrap();
    let answer = Hash::<u32, i64>::of(loader.map(&ANSWER).unwrap()).unwrap();
    let link = attach::attach(&program, &Target::tracepoint(category, name)).unwrap();
    getsid(ARGUMENT);
    drop(link);
    let answer = answer.lookup(&0).unwrap().expect("the program has not run");
    let id = u32::try_from(answer).map_err(|_| answer)?;
    Ok(stacks.lookup(id).unwrap().unwrap())
}

/// Why the helper answers `-EFAULT` there.
const NOT_ON_S390X: &str =
    "this kernel finds no frames of processes on s390x (`perf_callchain_user`, Linux 6.7)";

#[test]
fn frames_of_a_process_have_names() {
    needs!(Tracepoint, Bpf);
    let kept = stack(&OF_PROCESS, "syscalls", "sys_enter_getsid");
    let none = cfg!(target_arch = "s390x") && kept == Err(i64::from(-libc::EFAULT));
    needs_tried!("userframes", none.then(|| NOT_ON_S390X.to_string()));
    let frames = kept.unwrap();
    let symbols = user::ProcessSymbols::of(std::process::id()).unwrap();
    let program = std::env::current_exe().unwrap();
    for (frame, (name, offset)) in frames.iter().zip(FRAMES) {
        let place = symbols.at(*frame).unwrap();
        let named = place.name.as_deref().unwrap();
        match offset {
            Some(offset) => {
                assert_eq!((named, place.offset, &place.path), (*name, *offset, &program));
            }
            // The C library's own.
            None => assert!(named.ends_with(name), "{place}"),
        }
    }
    if cfg!(target_arch = "x86_64") {
        // The caller has no frame of its own, but what is behind it was found by the one of the outer function.
        let caller = symbols.at(frames[FRAMES.len()]).unwrap().to_string();
        assert!(caller.contains("frames::getsid+0x") || caller.contains("stacks::"), "{caller}");
    } else {
        assert!(!frames.is_empty());
    }
}

/// The functions of the kernel's frames.
fn functions(frames: &[u64]) -> Vec<String> {
    let symbols = symbols::KernelSymbols::read().unwrap();
    let name = |frame: &u64| symbols.at(*frame).map(|place| place.name.to_owned());
    frames.iter().filter_map(name).collect()
}

/// The way into the kernel: x86-64, arm64, and s390x since Linux 5.12 and before.
const ENTRIES: [&str; 4] = ["do_syscall_64", "el0_svc", "__do_syscall", "system_call"];

#[track_caller]
fn assert_of_a_call(frames: &[u64]) {
    let functions = functions(frames);
    assert!(functions.iter().any(|name| ENTRIES.contains(&name.as_str())), "{functions:?}");
}

#[test]
fn the_kernel_has_a_stack_where_all_calls_enter() {
    needs!(Tracepoint, Bpf);
    assert_of_a_call(&stack(&OF_KERNEL_AT_ANY_CALL, "raw_syscalls", "sys_enter").unwrap());
}

/// At the tracepoints of single calls a program was given the registers of the process, as if nothing of the kernel had run
/// yet: there was a stack of the process, but none of the kernel, and the answer was `-EFAULT`. Since Linux 6.12 it gets
/// those of the place itself ("bpf: Use fake pt_regs when doing bpf syscall tracepoint tracing").
#[test]
fn where_one_call_enters_the_kernel_has_a_stack_since_linux_6_12() {
    needs!(Tracepoint, Bpf);
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap());
    let version: (u32, u32) = (numbers.next().unwrap(), numbers.next().unwrap());
    match stack(&OF_KERNEL, "syscalls", "sys_enter_getsid") {
        Ok(frames) => assert_of_a_call(&frames),
        Err(answer) => {
            assert_eq!(answer, i64::from(-libc::EFAULT));
            assert!(version < (6, 12), "{release}");
        }
    }
}
