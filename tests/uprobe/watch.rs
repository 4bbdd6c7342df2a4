//! Code shared by the tests of uprobes: a program that counts for each process, and functions to call.

use crate::common::{self, bpf_ids};
use rawbpf::attach::Link;
use rawbpf::attach::uprobe::ProbeMethod;
use rawbpf::map::{Hash, Update};
use rawbpf::{AttachType, Loader, MapSpec, Program, ProgramSpec, ProgramType, Result, bpf};
use std::fs;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::MutexGuard;

/// The function that is probed.
// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn rawbpf_test_add(a: u64, b: u64) -> u64 {
    black_box(a) + black_box(b)
}

/// Another one, whose name begins the same way.
// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn rawbpf_test_double(a: u64) -> u64 {
    black_box(a) * 2
}

/// The number of runs in a process or a thread, and the sum of the values seen.
static SEEN: MapSpec = Hash::<u32, [u64; 2]>::spec("seen", 4096);

macro_rules! counting {
    ($name:literal, $($value:tt)*) => {
        counting!($name by { r0 >>= 32; } $($value)*)
    };
    ($name:literal by { $($key:tt)* } $($value:tt)*) => {
        ProgramSpec::new($name, ProgramType::Kprobe, bpf! {
            r6 = r1;
            call get_current_pid_tgid;
            $($key)*
            *(u32 *)(r10 - 4) = w0;
            r1 = r6;
            $($value)*
            r7 = r0;
            r1 = SEEN ll;
            r2 = r10;
            r2 += -4;
            call map_lookup_elem;
            if r0 == 0 goto first;
            r1 = 1;
            lock *(u64 *)(r0 + 0) += r1;
            lock *(u64 *)(r0 + 8) += r7;
            goto out;
        first:
            r1 = 1;
            *(u64 *)(r10 - 24) = r1;
            *(u64 *)(r10 - 16) = r7;
            r1 = SEEN ll;
            r2 = r10;
            r2 += -4;
            r3 = r10;
            r3 += -24;
            r4 = 0;
            call map_update_elem;
        out:
            r0 = 0;
            exit;
        })
    };
}

/// It adds up the first argument.
pub(crate) static ENTRY: ProgramSpec = counting!("entry", r0 = *(u64 *)(r6 + pt_regs.parm1););
/// It adds up the first argument for each thread: other threads may call a function of libc at any moment.
static ENTRY_BY_THREAD: ProgramSpec =
    counting!("by_thread" by {} r0 = *(u64 *)(r6 + pt_regs.parm1););
/// It adds up the second argument, by its name.
pub(crate) static SECOND: ProgramSpec = counting!("second", r0 = *(u64 *)(r6 + args.arg2););
/// It adds up the results.
pub(crate) static RETURN: ProgramSpec = counting!("return", r0 = *(u64 *)(r6 + pt_regs.ret););
/// It adds up the cookies. Linux 5.15.
pub(crate) static COOKIE: ProgramSpec = counting!("cookie", call get_attach_cookie;);

pub(crate) const METHODS: [ProbeMethod; 3] =
    [ProbeMethod::Pmu, ProbeMethod::Tracefs, ProbeMethod::Best];

/// A loaded program and what it has seen.
pub(crate) struct Watch {
    pub(crate) program: Program,
    seen: Hash<u32, [u64; 2]>,
    /// This process or this thread, as the program counts.
    key: u32,
    _alone: MutexGuard<'static, ()>,
}

impl Watch {
    pub(crate) fn new(spec: &'static ProgramSpec<'static, 'static>) -> Watch {
        Watch::loaded(spec).unwrap()
    }

    /// What this thread alone calls.
    pub(crate) fn of_this_thread() -> Watch {
        let key = nix::unistd::gettid().as_raw() as u32;
        Watch { key, ..Watch::new(&ENTRY_BY_THREAD) }
    }

    /// The same for `uprobe.multi`.
    pub(crate) fn multi(spec: &'static ProgramSpec<'static, 'static>) -> Watch {
        Watch::loaded(&spec.with_attach_type(AttachType::TraceUprobeMulti)).unwrap()
    }

    pub(crate) fn loaded(spec: &ProgramSpec<'static, 'static>) -> Result<Watch> {
        let alone = common::alone();
        let mut loader = Loader::new();
        let program = loader.load(spec)?;
        let seen = Hash::of(loader.map(&SEEN)?)?;
        Ok(Watch { program, seen, key: std::process::id(), _alone: alone })
    }

    /// The number of runs in a process since the last time this was called, and the sum of the values seen.
    pub(crate) fn take(&self, process: u32) -> (u64, u64) {
        let [count, sum] = self.seen.lookup(&process).unwrap().unwrap_or_default();
        self.seen.update(&process, &[0, 0], Update::Any).unwrap();
        (count, sum)
    }

    pub(crate) fn during(&self, f: impl FnOnce()) -> (u64, u64) {
        self.take(self.key);
        f();
        self.take(self.key)
    }

    /// The function is seen while the program is attached, neither before nor after, and then nothing is left.
    #[track_caller]
    pub(crate) fn sees_while_attached(
        &self,
        f: impl Fn(),
        expected: (u64, u64),
        attach: impl FnOnce(&Program) -> Result<Link>,
    ) -> String {
        assert_eq!(self.during(&f), (0, 0));
        let link = attach(&self.program).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(self.during(&f), expected, "{}", link.target());
        let target = link.target().to_string();
        detached(link, || self.during(&f) == (0, 0));
        self.assert_nothing_is_left();
        target
    }

    #[track_caller]
    pub(crate) fn assert_nothing_is_left(&self) {
        let id = bpf_ids::info(&self.program).id;
        common::wait_until("its links are gone", || bpf_ids::links_of(id).is_empty());
        assert_eq!(probes_in_tracefs(), [""; 0]);
    }
}

/// Drops a link and waits until that shows. Between fork and exec, the child of a test in another thread has this process's
/// descriptors, too, and as long as it has them the program stays attached.
pub(crate) fn detached(link: Link, shows: impl FnMut() -> bool) {
    drop(link);
    common::wait_until("it is detached", shows);
}

/// The probes in tracefs that this library made.
pub(crate) fn probes_in_tracefs() -> Vec<String> {
    let text = fs::read_to_string("/sys/kernel/tracing/uprobe_events").unwrap_or_default();
    text.lines().filter(|line| line.contains(":rawbpf/")).map(str::to_owned).collect()
}

/// This program's own file.
pub(crate) fn this_file() -> String {
    let path: PathBuf = std::env::current_exe().unwrap();
    path.into_os_string().into_string().unwrap()
}

/// Another process of this program, which makes a call for each line of its input.
pub(crate) struct Caller {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

const CALLED: &str = "called";

impl Caller {
    /// Starts this test once more, which is to go to [`Caller::serve`].
    pub(crate) fn start(test: &str) -> Caller {
        Caller::of(common::this_test_as(test, "caller"))
    }

    /// The same with a command that does it.
    pub(crate) fn of(mut command: Command) -> Caller {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut caller = Caller { child, input, output };
        // Now it is there, with everything mapped.
        caller.call();
        caller
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn call(&mut self) {
        self.input.write_all(b"call\n").unwrap();
        let mut line = String::new();
        // The harness prints too.
        while !line.trim_end().ends_with(CALLED) {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the other process has ended");
        }
    }

    /// The body of the other process, until its standard input ends.
    pub(crate) fn serve(f: impl Fn()) {
        for line in std::io::stdin().lines() {
            line.unwrap();
            f();
            println!("{CALLED}");
        }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
