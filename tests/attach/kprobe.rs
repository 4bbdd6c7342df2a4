//! Kprobes and kretprobes, by each way there is.

use super::{CALLS, Watch};
use crate::common::requires::{Thing, needs, needs_tried};
use crate::common::{self, wait_until};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getpgid, getsid};
use rawbpf::attach::kprobe::{self, ProbeMethod};
use rawbpf::attach::{self, Target};
use rawbpf::perf::{PerfOptions, PerfReader, Record};
use rawbpf::{Error, ErrorKind, Loader, MapSpec, ProgramSpec, ProgramType, bpf};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Child, Stdio};

const METHODS: [ProbeMethod; 3] = [ProbeMethod::Pmu, ProbeMethod::Tracefs, ProbeMethod::Best];

const KPROBE_EVENTS: &str = "/sys/kernel/tracing/kprobe_events";

/// The probes in tracefs that this library made.
fn legacy_probes() -> Vec<String> {
    let text = fs::read_to_string(KPROBE_EVENTS).unwrap();
    text.lines().filter(|line| line.contains(":rawbpf/")).map(str::to_owned).collect()
}

#[test]
fn a_kprobe_fires_while_it_is_attached() {
    needs!(Kprobe, Tracefs);
    let mut watch = Watch::new(ProgramType::Kprobe);
    for method in METHODS {
        let target = Target::kprobe("sys_getpgid");
        let real = watch.fires_while_attached(|program| kprobe::attach(program, &target, method));
        // The kernel's own name for it.
        let Target::Kprobe { function, offset: 0, returns: false } = &real else {
            panic!("{real}")
        };
        assert!(function.ends_with("sys_getpgid"), "{method:?} {real}");
        let named = Target::kprobe(function.clone());
        watch.fires_while_attached(|program| kprobe::attach(program, &named, method));
    }
    let target = Target::kprobe("sys_getpgid");
    watch.fires_while_attached(|program| attach::attach(program, &target));
}

#[test]
fn a_kretprobe_fires_while_it_is_attached() {
    needs!(Kprobe, Tracefs);
    let mut watch = Watch::new(ProgramType::Kprobe);
    for method in METHODS {
        let target = Target::kretprobe("sys_getpgid");
        let real = watch.fires_while_attached(|program| kprobe::attach(program, &target, method));
        assert!(matches!(real, Target::Kprobe { returns: true, .. }), "{method:?} {real}");
    }
}

/// Asks `/dev/loop-control` for a device (`LOOP_CTL_GET_FREE`).
#[expect(unsafe_code, reason = "a system call")]
fn ask_for_a_loop(control: &File) {
    const GET_FREE: libc::Ioctl = 0x4c82;
    // SAFETY: it has no argument, and the descriptor is open.
    assert!(unsafe { libc::ioctl(control.as_raw_fd(), GET_FREE) } >= 0);
}

/// Some kernels take `MODULE:NAME` in tracefs only.
#[test]
fn a_function_of_a_module_is_probed_by_the_name_of_both() {
    needs!(Kprobe, Tracefs);
    const FUNCTION: &str = "loop_control_ioctl";
    let symbols = fs::read_to_string("/proc/kallsyms").unwrap();
    let here = symbols.lines().any(|line| line.ends_with(&format!(" {FUNCTION}\t[loop]")));
    needs_tried!("loop_module", (!here).then(|| "the module `loop` is not loaded".to_owned()));
    let mut watch = Watch::new(ProgramType::Kprobe);
    let control = File::open("/dev/loop-control").unwrap();
    for method in [ProbeMethod::Tracefs, ProbeMethod::Best] {
        for target in ["kprobe:loop:loop_control_ioctl", "kretprobe:loop:loop_control_ioctl"] {
            let target: Target = target.parse().unwrap();
            let link = kprobe::attach(&watch.program, &target, method).unwrap();
            assert_eq!(link.target(), &target);
            let call = || ask_for_a_loop(&control);
            assert_eq!(watch.runs_during(call), 1, "{method:?} {target}");
            drop(link);
            assert_eq!(watch.runs_during(call), 0);
        }
        let target: Target = "kprobe:loop:loop_control_ioctx".parse().unwrap();
        let error = kprobe::attach(&watch.program, &target, method).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    }
}

/// tracefs would take a probe of a module that is not loaded, and wait for it.
#[test]
fn a_function_of_a_module_that_is_not_loaded_is_refused() {
    needs!(Kprobe, Tracefs);
    let watch = Watch::new(ProgramType::Kprobe);
    for method in [ProbeMethod::Tracefs, ProbeMethod::Best] {
        for target in
            ["kprobe:no_such_module:vfs_read", "kretprobe:no_such_module:no_such_function"]
        {
            let error =
                kprobe::attach(&watch.program, &target.parse().unwrap(), method).unwrap_err();
            assert!(matches!(error, Error::NotFound { .. }), "{method:?} {target}: {error:?}");
            assert!(error.to_string().contains("no module of that name"), "{error}");
        }
    }
    let found = "kprobe:no_such_module:vfs_read".parse().unwrap();
    let error = kprobe::attach(&watch.program, &found, ProbeMethod::Best).unwrap_err();
    assert!(
        matches!(&error, Error::NotFound { nearest, .. } if *nearest == ["vfs_read"]),
        "{error}"
    );
}

/// A kretprobe really is at the return: there the result is.
#[test]
fn a_kretprobe_sees_the_result() {
    needs!(Kprobe, Tracefs);
    static RESULTS: MapSpec = MapSpec::perf_event_array("results");
    static SEND_RESULT: ProgramSpec = ProgramSpec::new(
        "send_result",
        ProgramType::Kprobe,
        bpf! {
            r6 = r1;
            call get_current_pid_tgid;
            r0 >>= 32;
            *(u64 *)(r10 - 16) = r0;
            r0 = *(u64 *)(r6 + pt_regs.ret);
            *(u64 *)(r10 - 8) = r0;
            r1 = r6;
            r2 = RESULTS ll;
            r3 = 0xffffffff ll;
            r4 = r10;
            r4 += -16;
            r5 = 16;
            call perf_event_output;
            r0 = 0;
            exit;
        },
    );
    let _alone = common::alone();
    for method in METHODS {
        let mut loader = Loader::new();
        let options = PerfOptions::new().sample_size(16);
        let mut reader = PerfReader::open(loader.map(&RESULTS).unwrap(), &options).unwrap();
        let program = loader.load(&SEND_RESULT).unwrap();
        let _link = kprobe::attach(&program, &Target::kretprobe("sys_getpgid"), method).unwrap();
        let group = getpgid(None).unwrap().as_raw();
        let mut results = Vec::new();
        let consume = |record: Record<'_>| {
            let Record::Sample { bytes, .. } = record else { panic!("{record:?}") };
            let word = |at: usize| i64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap());
            if word(0) == i64::from(std::process::id()) {
                results.push(word(8));
            }
            ControlFlow::Continue(())
        };
        reader.drain(consume).unwrap();
        assert_eq!(results, [i64::from(group)], "{method:?}");
    }
}

#[test]
fn a_kprobe_can_be_inside_a_function() {
    needs!(Kprobe, Tracefs);
    let mut watch = Watch::new(ProgramType::Kprobe);
    for method in METHODS {
        let inside =
            |offset| Target::Kprobe { function: "sys_getpgid".into(), offset, returns: false };
        // Where its instructions begin differs from build to build; all of the first ones are executed.
        let mut fitting = None;
        for offset in 1..=16 {
            match kprobe::attach(&watch.program, &inside(offset), method) {
                Ok(_) => fitting = fitting.or(Some(offset)),
                Err(error @ Error::Attach { .. }) => {
                    let words = error.to_string();
                    assert!(words.contains(&format!("sys_getpgid+{offset:#x}")), "{words}");
                }
                Err(error) => panic!("{method:?} {offset}: {error}"),
            }
        }
        let target = inside(fitting.expect("no instruction begins within 16 bytes"));
        let real = watch.fires_while_attached(|program| kprobe::attach(program, &target, method));
        assert_eq!(real.to_string().split('+').nth(1), target.to_string().split('+').nth(1));
    }
}

/// The kernel would take it for a place in the function that comes next.
#[test]
fn a_place_behind_the_end_of_a_function_is_refused() {
    needs!(Kprobe, Tracefs);
    let watch = Watch::new(ProgramType::Kprobe);
    for method in METHODS {
        for function in ["vfs_read", "sys_getpgid"] {
            let function = function.to_owned();
            let target = Target::Kprobe { function, offset: 0x10000, returns: false };
            let error = kprobe::attach(&watch.program, &target, method).unwrap_err();
            assert!(matches!(error, Error::Place { .. }), "{error:?}");
            assert!(error.to_string().contains("outside the function, which has"), "{error}");
        }
    }
    assert_eq!(legacy_probes(), [""; 0]);
}

/// The functions of the kernel itself, with their addresses.
fn kernel_functions() -> Vec<(String, u64)> {
    let text = fs::read_to_string("/proc/kallsyms").unwrap();
    let lines = text.lines().filter(|line| !line.contains('\t'));
    let parts = lines.map(|line| line.split(' ').collect::<Vec<_>>());
    let code = parts.filter(|parts| matches!(parts[1], "t" | "T" | "w" | "W"));
    code.map(|parts| (parts[2].to_owned(), u64::from_str_radix(parts[0], 16).unwrap())).collect()
}

#[test]
fn a_function_can_be_named_by_its_place_in_the_kernel() {
    needs!(Kprobe, Tracefs);
    let mut watch = Watch::new(ProgramType::Kprobe);
    let real = watch.fires_while_attached(|program| {
        kprobe::attach(program, &Target::kprobe("sys_getpgid"), ProbeMethod::Best)
    });
    let Target::Kprobe { function: name, .. } = real else { panic!("{real}") };
    let functions = kernel_functions();
    let at = |name: &str| functions.iter().find(|(other, _)| other == name).unwrap().1;
    let offset = at(&name) - at("_text");
    for method in METHODS {
        for word in ["kprobe", "kretprobe"] {
            let target: Target = format!("{word}:_text+{offset:#x}").parse().unwrap();
            watch.fires_while_attached(|program| kprobe::attach(program, &target, method));
        }
    }
}

/// Since Linux 6.7 the kernel refuses a name that several functions have.
#[test]
fn functions_of_one_name_are_told_apart() {
    needs!(Kprobe, Tracefs);
    let mut functions = kernel_functions();
    functions.retain(|(name, _)| !name.contains('.') && !name.starts_with("__"));
    functions.sort();
    functions.dedup();
    let several = functions.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() > 1);
    let watch = Watch::new(ProgramType::Kprobe);
    let mut attached = 0;
    for same in several.take(10) {
        let name = same[0].0.as_str();
        let words = match attach::attach(&watch.program, &Target::kprobe(name)) {
            Ok(_) => continue,
            Err(Error::Place { problem, .. }) => problem,
            // One that takes no probes.
            Err(error) => {
                assert!(!error.to_string().contains("several functions"), "{error}");
                continue;
            }
        };
        let text = functions.iter().find(|(name, _)| name == "_text").unwrap().1;
        for (_, address) in same {
            let target = format!("kprobe:_text+{:#x}", address - text);
            assert!(words.contains(&target), "{target}: {words}");
            let target: Target = target.parse().unwrap();
            attached += usize::from(attach::attach(&watch.program, &target).is_ok());
        }
    }
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map(|number| number.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap(), numbers.next().unwrap());
    assert!(version < (6, 7) || attached > 1, "{attached}");
}

#[test]
fn one_program_can_be_on_several_functions() {
    needs!(Kprobe, Tracefs);
    let mut watch = Watch::new(ProgramType::Kprobe);
    let both = || {
        for _ in 0..CALLS {
            getpgid(None).unwrap();
            getsid(None).unwrap();
        }
    };
    for method in METHODS {
        let attach =
            |watch: &Watch, target| kprobe::attach(&watch.program, &target, method).unwrap();
        let entry = attach(&watch, Target::kprobe("sys_getpgid"));
        let other = attach(&watch, Target::kprobe("sys_getsid"));
        let back = attach(&watch, Target::kretprobe("sys_getsid"));
        assert_eq!(watch.runs_during(both), 3 * CALLS, "{method:?}");
        drop(other);
        assert_eq!(watch.runs_during(both), 2 * CALLS, "{method:?}");
        drop(entry);
        assert_eq!(watch.runs_during(both), CALLS, "{method:?}");
        drop(back);
        assert_eq!(watch.runs_during(both), 0, "{method:?}");
    }
}

#[test]
fn a_function_that_is_not_there_gets_the_nearest_names() {
    needs!(Kprobe, Tracefs);
    let watch = Watch::new(ProgramType::Kprobe);
    for method in METHODS {
        for (name, nearest) in [("sys_getpgi", "sys_getpgid"), ("icmp_rcvv", "icmp_rcv")] {
            match kprobe::attach(&watch.program, &Target::kprobe(name), method) {
                Err(Error::NotFound {
                    what: "kernel function",
                    name: asked,
                    nearest: names,
                    ..
                }) => {
                    assert_eq!(asked, name);
                    assert!(names.iter().any(|name| name.ends_with(nearest)), "{names:?}");
                }
                other => panic!("{method:?} {other:?}"),
            }
        }
    }
    assert_eq!(legacy_probes(), [""; 0]);
}

#[test]
fn a_kernel_without_kprobes_is_said_to_have_none() {
    needs!(NoKprobe, Tracefs);
    let watch = Watch::new(ProgramType::Kprobe);
    for method in METHODS {
        for target in [Target::kprobe("sys_getpgid"), Target::kretprobe("no_such_function")] {
            let error = kprobe::attach(&watch.program, &target, method).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{method:?} {error}");
            assert!(error.to_string().contains("CONFIG_KPROBE"), "{error}");
        }
    }
}

#[test]
fn a_probe_in_tracefs_goes_with_its_link() {
    needs!(Kprobe, Tracefs);
    let watch = Watch::new(ProgramType::Kprobe);
    assert_eq!(legacy_probes(), [""; 0]);
    let attach = |target| kprobe::attach(&watch.program, &target, ProbeMethod::Tracefs).unwrap();
    let first = attach(Target::kprobe("sys_getpgid"));
    // The same once more is another probe.
    let second = attach(Target::kprobe("sys_getpgid"));
    let third = attach(Target::kretprobe("sys_getpgid"));
    let probes = legacy_probes();
    assert_eq!(probes.len(), 3, "{probes:?}");
    let owner = format!(":rawbpf/p{}_", std::process::id());
    assert!(probes.iter().all(|probe| probe.contains(&owner)), "{probes:?}");
    assert_eq!(probes.iter().filter(|probe| probe.starts_with('r')).count(), 1, "{probes:?}");
    drop(first);
    assert_eq!(legacy_probes(), probes[1..]);
    drop(third);
    assert_eq!(legacy_probes(), probes[1..2]);
    drop(second);
    assert_eq!(legacy_probes(), [""; 0]);
    // The PMU makes none.
    let link =
        kprobe::attach(&watch.program, &Target::kprobe("sys_getpgid"), ProbeMethod::Pmu).unwrap();
    assert_eq!(legacy_probes(), [""; 0]);
    drop(link);
}

/// A process of this program's that has a probe in tracefs, until it is killed.
struct Holder(Child);

impl Holder {
    fn start(test: &str) -> Holder {
        let mut command = common::this_test_as(test, "holder");
        let mut holder =
            Holder(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap());
        let mut lines = BufReader::new(holder.0.stdout.take().unwrap()).lines();
        // The harness prints too.
        let attached = lines.any(|line| line.unwrap().ends_with(ATTACHED));
        assert!(attached, "it did not attach");
        holder
    }

    fn probes(&self) -> usize {
        let owner = format!(":rawbpf/p{}_", self.0.id());
        legacy_probes().iter().filter(|probe| probe.contains(&owner)).count()
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const ATTACHED: &str = "the probe is attached";

#[test]
fn a_probe_of_a_killed_process_is_taken_out_by_the_next() {
    needs!(Kprobe, Tracefs, Root);
    let watch = Watch::new(ProgramType::Kprobe);
    let target = Target::kprobe("sys_getsid");
    if common::role().is_some() {
        let _link = kprobe::attach(&watch.program, &target, ProbeMethod::Tracefs).unwrap();
        println!("{ATTACHED}");
        std::io::stdout().flush().unwrap();
        loop {
            std::thread::park();
        }
    }
    let test = "kprobe::a_probe_of_a_killed_process_is_taken_out_by_the_next";
    let mut dead = Holder::start(test);
    let mut living = Holder::start(test);
    assert_eq!((dead.probes(), living.probes()), (1, 1));
    dead.kill();
    // There was no process left to do it, and the descriptors of the probe are gone with the process.
    assert_eq!((dead.probes(), living.probes()), (1, 1));

    let attach = || kprobe::attach(&watch.program, &target, ProbeMethod::Tracefs).unwrap();
    // The kernel lets go of the killed process's event a little after the process.
    wait_until("the dead one's probe is taken out", || {
        drop(attach());
        dead.probes() == 0
    });
    assert_eq!(living.probes(), 1);
    // Nor does a way that does not use tracefs touch it.
    drop(kprobe::attach(&watch.program, &target, ProbeMethod::Pmu).unwrap());
    assert_eq!(living.probes(), 1);

    living.kill();
    wait_until("the other one's probe is taken out", || {
        drop(attach());
        living.probes() == 0
    });
    assert_eq!(legacy_probes(), [""; 0]);
}

/// A tracefs that accepts nothing more: the error says so, and where.
#[test]
fn a_full_tracefs_is_an_error_that_says_so() {
    needs!(Bpf, Tracefs, Root);
    let thread = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
        let place = Path::new("/sys/kernel/tracing");
        mount(Some("full"), place, Some("tmpfs"), MsFlags::empty(), Some("size=4k")).unwrap();
        fs::create_dir(place.join("events")).unwrap();
        File::create(place.join("kprobe_events")).unwrap();
        let filled = fs::write(place.join("filling"), vec![b'x'; 1 << 20]);
        assert_eq!(filled.unwrap_err().raw_os_error(), Some(libc::ENOSPC));

        let watch = Watch::new(ProgramType::Kprobe);
        let target = Target::kprobe("sys_getpgid");
        let error = kprobe::attach(&watch.program, &target, ProbeMethod::Tracefs).unwrap_err();
        assert!(matches!(error, Error::File { action: "write", .. }), "{error:?}");
        let words = error.to_string();
        assert!(words.contains(KPROBE_EVENTS) && words.contains("ENOSPC"), "{words}");
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}
