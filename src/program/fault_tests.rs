//! Fault injection: a load in which every call fails in turn, with every plausible error. No descriptor leaks, nothing
//! panics, and the error names the step. A fake kernel returns the ends of pipes, whose other ends detect when they are
//! closed.

use super::Loader;
use crate::bpf;
use crate::btf::{Builder, KernelTypes, Member};
use crate::error::Error;
use crate::spec::{MapSpec, ProgramSpec};
use crate::syscall::{Call, Numbered, UNLIMITED, fake, wait_readable};
use crate::uapi::{AttachType, ENOTSUPP, Errno, MapType, ProgramType};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::PipeReader;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, RawFd};
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;

/// The errors that `bpf(2)` and the calls around it are known to return.
const ERRNOS: &[i32] = &[
    libc::EPERM,
    libc::EACCES,
    libc::EINVAL,
    libc::E2BIG,
    libc::ENOMEM,
    libc::ENOSPC,
    libc::EMFILE,
    libc::ENFILE,
    libc::EAGAIN,
    libc::EINTR,
    libc::EBUSY,
    libc::ENOENT,
    libc::EEXIST,
    libc::EFAULT,
    libc::ENOSYS,
    ENOTSUPP,
];

static COUNTS: MapSpec<'_> = MapSpec::hash("counts", 4, 8, 16);
static INNER: MapSpec<'_> = MapSpec::array("inner", 8, 2);
static OUTER: MapSpec<'_> = MapSpec::new("outer", MapType::ArrayOfMaps, 4, 4, 3).with_inner(&INNER);
static PINNED: MapSpec<'_> = MapSpec::array("pinned", 8, 5).with_pin("/sys/fs/bpf/pinned");

/// A program that needs everything a load can need: maps, one of maps and one with a pin, read-only data, a field by
/// name, a function of a module by name, and a function of a module as its target.
const EVERYTHING: ProgramSpec<'_, '_> = ProgramSpec::new(
    "everything",
    ProgramType::Tracing,
    bpf! {
        r6 = *(u64 *)(r1 + 0);
        r0 = *(u32 *)(r6 + task_struct.tgid);
        r1 = COUNTS ll;
        r1 = OUTER ll;
        r1 = PINNED ll;
        r1 = "a string" ll;
        call kfunc lend_a_hand;
        r0 = 0;
        exit;
    },
)
.with_attach_type(AttachType::TraceFentry)
.with_target("do_work");

/// The types of a kernel that has a module, as files.
struct Types(TempDir);

impl Types {
    fn new() -> Types {
        let folder = tempfile::tempdir().unwrap();
        let mut builder = Builder::new();
        let int = builder.int("int", 4, true);
        let tgid = Member { name: "tgid", of: int, bit_offset: 64, bits: None };
        builder.composite("task_struct", false, 64, &[tgid]);
        let prototype = builder.prototype(int, &[]);
        let vmlinux = builder.finish().unwrap();
        // The strings of the module come after these (`str_len` in the header).
        let below = u32::from_ne_bytes(vmlinux[20..24].try_into().unwrap());
        std::fs::write(folder.path().join("vmlinux"), vmlinux).unwrap();
        // BTF_KIND_FUNC, BTF_FUNC_GLOBAL.
        let function = 12 << 24 | 1;
        let names = b"lend_a_hand\0do_work\0";
        let types = [below, function, prototype, below + 12, function, prototype];
        let mut module = 0xeb9f_u16.to_ne_bytes().to_vec();
        module.extend([1, 0]);
        for word in [24, 0, 24, 24, names.len() as u32].iter().chain(&types) {
            module.extend(word.to_ne_bytes());
        }
        module.extend(names);
        std::fs::write(folder.path().join("helpful"), module).unwrap();
        Types(folder)
    }
}

/// The identity of a call, so that a repetition with other arguments is recognized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    command: &'static str,
    /// The name of the map or program, which an error must contain.
    of: &'static str,
}

/// The call that is to fail.
#[derive(Debug, Clone, Copy)]
struct Fault {
    /// The number of the call.
    at: usize,
    /// Whether every later call with the same identity fails too.
    again: bool,
    errno: Errno,
}

#[derive(Default)]
struct Kernel {
    fault: Option<Fault>,
    failing: Option<Step>,
    steps: Vec<Step>,
    /// The object of the last descriptor that was returned under this number.
    objects: HashMap<RawFd, &'static str>,
    /// The other end of each descriptor that was returned.
    ends: Vec<(Step, PipeReader)>,
}

impl Kernel {
    fn answer(&mut self, call: &mut Call<'_, '_>) -> Result<i64, Errno> {
        let step = self.step(call);
        let number = self.steps.len();
        self.steps.push(step);
        assert!(number < 200, "it does not end: {:?}", &self.steps[190..]);
        if let Some(fault) = self.fault {
            if fault.at == number && fault.again {
                self.failing = Some(step);
            }
            if fault.at == number || self.failing == Some(step) {
                write_log(call, fault.errno);
                return Err(fault.errno);
            }
        }
        match call {
            // The id after the last one is requested once more at the end.
            Call::NextId { after, next, .. } => match *after {
                0 | 1 => **next = *after + 1,
                _ => return Err(Errno(libc::ENOENT)),
            },
            // The second is the module's.
            Call::ObjInfo(info) => {
                let name = if self.objects[&info.object.as_raw_fd()] == "1" {
                    "vmlinux"
                } else {
                    "helpful"
                };
                for (to, from) in info.arrays[0].bytes.iter_mut().zip(name.bytes()) {
                    *to = from;
                }
            }
            Call::MemlockGet { soft, hard } => (**soft, **hard) = (UNLIMITED, UNLIMITED),
            // Nothing is pinned there yet.
            Call::ObjGet { .. } => return Err(Errno(libc::ENOENT)),
            Call::MapUpdate { .. } | Call::MapFreeze { .. } | Call::ObjPin { .. } => {}
            Call::FdById { id: 1, .. } => return Ok(self.open(step, "1")),
            Call::FdById { .. } => return Ok(self.open(step, "2")),
            Call::MapCreate(_) | Call::BtfLoad(_) | Call::ProgLoad(_) => {
                return Ok(self.open(step, step.of));
            }
            _ => panic!("{call:?}"),
        }
        Ok(0)
    }

    fn open(&mut self, step: Step, object: &'static str) -> i64 {
        let (end, fd) = std::io::pipe().unwrap();
        let fd = fd.into_raw_fd();
        self.ends.push((step, end));
        self.objects.insert(fd, object);
        fd.into()
    }

    fn step(&self, call: &Call<'_, '_>) -> Step {
        let object = |fd: &BorrowedFd<'_>| self.objects[&fd.as_raw_fd()];
        let (command, of) = match call {
            Call::MapCreate(map) => {
                // A name can be left out.
                let of = match (map.key_size, map.value_size, map.max_entries) {
                    (4, 8, 16) => "counts",
                    (4, 8, 2) => "inner",
                    (4, 4, 3) => "outer",
                    (4, 8, 5) => "pinned",
                    _ => ".rodata",
                };
                ("create", of)
            }
            Call::MapUpdate { map, .. } => ("update", object(map)),
            Call::MapFreeze { map } => ("freeze", object(map)),
            Call::ObjGet { .. } => ("get", "pinned"),
            Call::ObjPin { object: map, .. } => ("pin", object(map)),
            Call::NextId { kind: Numbered::Btf, .. } => ("next id", "helpful"),
            Call::FdById { kind: Numbered::Btf, .. } => ("open", "helpful"),
            Call::ObjInfo(_) => ("info", "helpful"),
            Call::BtfLoad(_) => ("btf", ""),
            Call::ProgLoad(_) => ("load", "everything"),
            Call::MemlockGet { .. } => ("getrlimit", ""),
            _ => panic!("{call:?}"),
        };
        Step { command, of }
    }

    /// Returns the descriptors that are still open. One that another thread's new process has inherited is open for a
    /// moment.
    fn left_open(&self) -> Vec<Step> {
        let open = |end: &PipeReader| {
            let wait = Some(Duration::from_secs(5));
            !wait_readable(end.as_fd(), wait).unwrap()
        };
        self.ends.iter().filter(|(_, end)| open(end)).map(|(step, _)| *step).collect()
    }
}

/// A program that is accepted, but gets no descriptor afterwards, has a log.
fn write_log(call: &mut Call<'_, '_>, errno: Errno) {
    let Call::ProgLoad(load) = call else { return };
    let accepted = matches!(errno, Errno(libc::EMFILE | libc::ENFILE | libc::ENOMEM));
    if let (Some(log), true) = (&mut load.log, accepted) {
        for (to, from) in log.buffer.iter_mut().zip(b"processed 5 insns (limit 1000000)\n\0") {
            *to = *from;
        }
    }
}

/// Loads once, on a kernel with that fault; returns the steps and the result, and drops everything else.
fn load(types: &Types, fault: Option<Fault>) -> (Vec<Step>, Result<(), Error>) {
    by_kernel_with(types, fault, |loader| loader.load(&EVERYTHING).map(drop))
}

fn by_kernel_with(
    types: &Types,
    fault: Option<Fault>,
    action: impl FnOnce(&mut Loader<'_>) -> Result<(), Error>,
) -> (Vec<Step>, Result<(), Error>) {
    let kernel = Rc::new(RefCell::new(Kernel { fault, ..Kernel::default() }));
    let asked = Rc::clone(&kernel);
    let result = fake::with(
        move |call| Some(asked.borrow_mut().answer(call)),
        || {
            let types = KernelTypes::in_folder(types.0.path());
            let types = OnceLock::from(Box::new(types) as Box<dyn super::Types>);
            let mut loader = Loader { types, ..Loader::new() };
            action(&mut loader)
        },
    );
    let kernel = kernel.borrow();
    assert_eq!(kernel.left_open(), [], "left open after {fault:?}");
    (kernel.steps.clone(), result)
}

#[test]
fn the_watch_over_descriptors_sees_one_that_is_open() {
    let mut kernel = Kernel::default();
    let step = Step { command: "create", of: "counts" };
    let fd = kernel.open(step, "counts");
    let end = &kernel.ends[0].1;
    assert!(!wait_readable(end.as_fd(), Some(Duration::ZERO)).unwrap());
    let answer = fake::with(
        move |_| Some(Ok(fd)),
        || crate::syscall::map_create(&crate::syscall::MapCreate::default()),
    );
    drop(answer.unwrap());
    assert_eq!(kernel.left_open(), []);
}

#[test]
fn a_load_that_works_makes_only_the_calls_it_needs() {
    let types = Types::new();
    let (steps, result) = load(&types, None);
    result.unwrap();
    let steps: Vec<_> = steps.iter().map(|step| (step.command, step.of)).collect();
    // The BTF of a module is searched among all: vmlinux first, then the module. (Twice: for the function that is
    // called, and for the one that is the target of the program.)
    let module = [("next id", "helpful"), ("open", "helpful"), ("info", "helpful")].repeat(2);
    let expected = [
        &[
            ("create", "counts"),
            ("create", "inner"),
            ("create", "outer"),
            ("get", "pinned"),
            ("create", "pinned"),
            ("pin", "pinned"),
            ("create", ".rodata"),
            ("update", ".rodata"),
            ("freeze", ".rodata"),
        ][..],
        &module,
        &module,
        &[("btf", ""), ("load", "everything")],
    ];
    assert_eq!(steps, expected.concat());
}

/// Returns whether a load succeeds without a step, on a kernel that never accepts it.
fn is_optional(step: Step, errno: Errno) -> bool {
    match step.command {
        "btf" => true,
        // Before Linux 5.2 there is no such command.
        "freeze" => errno == Errno(libc::EINVAL),
        // Nothing is pinned there.
        "get" => errno == Errno(libc::ENOENT),
        _ => false,
    }
}

#[test]
fn every_call_can_fail() {
    let types = Types::new();
    let (steps, _) = load(&types, None);
    for (at, step) in steps.iter().copied().enumerate() {
        for errno in ERRNOS.iter().copied().map(Errno) {
            for again in [false, true] {
                let (seen, result) = load(&types, Some(Fault { at, again, errno }));
                let what = format!("{step:?} {errno:?} {again}: {seen:?}");
                let Err(error) = result else {
                    // It failed once and was repeated, or was not needed.
                    assert!(!again || is_optional(step, errno), "loaded without {what}");
                    continue;
                };
                assert!(!(again && is_optional(step, errno)), "{error} for {what}");
                let text = error.to_string();
                assert!(text.contains(step.of), "{text} for {what}");
                assert!(text.contains(errno.name().unwrap()), "{text} for {what}");
            }
        }
    }
}

/// As in `rawbpf check`: a program that was accepted is loaded again for its log, which is optional.
#[test]
fn every_call_of_a_load_with_its_log_can_fail() {
    let types = Types::new();
    let load =
        |fault| by_kernel_with(&types, fault, |loader| loader.load_with_log(&EVERYTHING).map(drop));
    let (steps, result) = load(None);
    result.unwrap();
    let [.., first, second] = steps[..] else { panic!("{steps:?}") };
    assert_eq!((first.command, second.command), ("load", "load"));
    for (at, step) in steps.iter().copied().enumerate() {
        for errno in ERRNOS.iter().copied().map(Errno) {
            for again in [false, true] {
                let (_, result) = load(Some(Fault { at, again, errno }));
                if at + 1 == steps.len() {
                    result.unwrap();
                } else if let Err(error) = result {
                    assert!(error.to_string().contains(step.of), "{error} for {step:?}");
                }
            }
        }
    }
}
