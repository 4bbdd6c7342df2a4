//! Functions that programs are entered from directly, and the hooks of security modules.

use super::{COUNT, Counter, STATE, counting, has_cookie};
use crate::common::Folder;
use crate::common::requires::{Thing, needs, needs_tried};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getpgid, getpid};
use rawbpf::attach::{Options, Target};
use rawbpf::kernel::symbols;
use rawbpf::{Error, ErrorKind, Loader, ProgramSpec, ProgramType, bpf};
use std::fs::{self, File};
use std::path::Path;

/// Why this machine has no trampolines; `None` if it has.
fn lacks() -> Option<String> {
    let target = Target::Trampoline {
        at: rawbpf::attach::TrampolineAt::Entry,
        function: getpgid_function(),
    };
    match Counter::new(&COUNT, &target, &Options::new()) {
        Ok(_) => None,
        Err(error) if error.kind() != ErrorKind::Failed => Some(error.to_string()),
        Err(error) => panic!("{error}"),
    }
}

/// The name of the system call's function in this kernel.
fn getpgid_function() -> String {
    symbols::resolve_syscall("getpgid").unwrap().unwrap()
}

fn call() {
    getpgid(None).unwrap();
}

/// Keeps the result, which comes after the one argument.
static RESULT: ProgramSpec = counting!(
    "result",
    r0 = *(u64 *)(r1 + 8);
);

#[test]
fn a_function_runs_programs_at_entry_and_exit() {
    needs!(Bpf, Btf, Jit);
    needs_tried!("trampoline", lacks());
    for kind in ["fentry", "fexit"] {
        let target: Target = format!("{kind}:{}", getpgid_function()).parse().unwrap();
        Counter::new(&COUNT, &target, &Options::new()).unwrap().fires(1, call);
    }
    let exit: Target = format!("fexit:{}", getpgid_function()).parse().unwrap();
    let counter = Counter::new(&RESULT, &exit, &Options::new()).unwrap();
    let group = getpgid(None).unwrap().as_raw();
    assert_eq!(counter.kept(), group as u64);
}

#[test]
fn a_program_has_the_cookie_of_its_function() {
    needs!(Bpf, Btf, Jit);
    needs_tried!("trampoline", lacks());
    has_cookie(&format!("fentry:{}", getpgid_function()), (5, 19), call);
    has_cookie(&format!("fexit:{}", getpgid_function()), (5, 19), call);
}

/// Forbids one thread what the function allows.
static FORBID: ProgramSpec = ProgramSpec::new(
    "forbid",
    ProgramType::Tracing,
    bpf! {
        call get_current_pid_tgid;
        w7 = w0;
        *(u32 *)(r10 - 4) = 0;
        r1 = STATE ll;
        r2 = r10;
        r2 += -4;
        call map_lookup_elem;
        r1 = r0;
        r0 = 0;
        if r1 == 0 goto out;
        r2 = *(u64 *)(r1 + 0);
        if r2 != r7 goto out;
        r2 = *(u64 *)(r1 + 8);
        r2 += 1;
        *(u64 *)(r1 + 8) = r2;
        r0 = -1;                            // -EPERM
    out:
        exit;
    },
);

#[test]
fn a_function_can_be_made_to_return_something_else() {
    needs!(Bpf, Btf, Jit);
    needs_tried!("trampoline", lacks());
    // It is asked only about a process that was named.
    let ask = || getpgid(Some(getpid()));
    assert!(ask().is_ok());
    let target: Target = "fmod_ret:security_task_getpgid".parse().unwrap();
    let counter = Counter::new(&FORBID, &target, &Options::new()).unwrap();
    assert_eq!(ask(), Err(Errno::EPERM));
    counter.fires(1, || {
        let _ = ask();
    });
    assert!(ask().is_ok());
}

#[test]
fn a_function_that_is_not_there_gets_the_nearest_names() {
    needs!(Bpf, Btf, Jit, Lsm);
    let wrong = [
        ("fentry:vfs_reda", "vfs_read"),
        ("fexit:vfs_reda", "vfs_read"),
        ("lsm:file_opne", "file_open"),
        ("iter:taks", "task"),
    ];
    for (target, nearest) in wrong {
        let target: Target = target.parse().unwrap();
        let error = Counter::new(&COUNT, &target, &Options::new()).err().unwrap();
        let words = error.to_string();
        let after = words.split("nearest: ").nth(1).unwrap_or_default();
        assert!(after.split([',', ' ']).any(|name| name == nearest), "{words}");
    }
}

/// Why no hook leads to programs; `None` if they do.
fn lsm_lacks() -> Option<String> {
    match fs::read_to_string("/sys/kernel/security/lsm") {
        Ok(list) if list.split(',').any(|one| one.trim() == "bpf") => None,
        other => Some(format!("the security module bpf is not active: {other:?}")),
    }
}

#[test]
fn a_hook_runs_programs() {
    needs!(Bpf, Btf, Jit, Lsm);
    needs_tried!("lsm_bpf", lsm_lacks());
    let target: Target = "lsm:file_open".parse().unwrap();
    let open = || drop(File::open("/proc/self/status").unwrap());
    Counter::new(&COUNT, &target, &Options::new()).unwrap().fires(1, open);
    has_cookie("lsm:file_open", (5, 19), open);
}

#[test]
fn a_hook_can_forbid() {
    needs!(Bpf, Btf, Jit, Lsm);
    needs_tried!("lsm_bpf", lsm_lacks());
    let folder = Folder::new();
    let make = |name: &str| fs::create_dir(folder.path().join(name));
    make("before").unwrap();
    let target: Target = "lsm:inode_mkdir".parse().unwrap();
    let mut counter = Counter::new(&FORBID, &target, &Options::new()).unwrap();
    assert_eq!(make("meanwhile").unwrap_err().raw_os_error(), Some(libc::EPERM));
    drop(counter.link.take());
    make("after").unwrap();
}

/// A program is not attached if the list of security modules has no `bpf`: the kernel would never
/// call it.
#[test]
fn a_kernel_without_the_security_module_says_how_to_have_it() {
    needs!(Root, Bpf, Btf, Jit);
    needs_tried!("lsm_bpf", lsm_lacks());
    let thread = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
        let place = Path::new("/sys/kernel/security");
        mount(Some("few"), place, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
        fs::write(place.join("lsm"), "lockdown,capability,yama,ebpf").unwrap();
        let target: Target = "lsm:file_open".parse().unwrap();
        match Counter::new(&COUNT, &target, &Options::new()) {
            Err(error @ Error::Unsupported { .. }) => {
                let words = error.to_string();
                assert!(words.contains("lsm=…,bpf") && words.contains("CONFIG_BPF_LSM"), "{words}");
            }
            other => panic!("{:?}", other.err()),
        }
    });
    thread.join().unwrap();
}

/// A program that was loaded for something else does not get there.
#[test]
fn what_a_program_was_loaded_for_is_where_it_goes() {
    needs!(Bpf, Btf, Jit);
    let program = Loader::new().load(&COUNT.with_kind(ProgramType::RawTracepoint)).unwrap();
    let target: Target = "fentry:vfs_read".parse().unwrap();
    let error = rawbpf::attach::attach(&program, &target).unwrap_err();
    assert!(error.to_string().contains("type is raw_tracepoint, expected tracing"), "{error}");
}
