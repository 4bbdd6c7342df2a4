//! Attaching with the library, in every way there is: what fires, what it reports, and that nothing is left
//! when the link is dropped or its process killed.

mod common;
#[path = "attach/iter.rs"]
mod iter;
#[path = "attach/kprobe.rs"]
mod kprobe;
#[path = "attach/kprobe_many.rs"]
mod kprobe_many;
#[path = "attach/perf_counter.rs"]
mod perf_counter;
#[path = "attach/pin.rs"]
mod pin;
#[path = "attach/raw_tracepoint.rs"]
mod raw_tracepoint;
#[path = "attach/tracepoint.rs"]
mod tracepoint;
#[path = "attach/trampoline.rs"]
mod trampoline;

use common::{bpf_ids, wait_until};
use nix::unistd::{getpgid, gettid};
use rawbpf::attach::{self, Link, Options, Target};
use rawbpf::map::Array;
use rawbpf::perf::{PerfOptions, PerfReader, Record};
use rawbpf::progs::perf_output::{EVENTS, Event, PERF_OUTPUT};
use rawbpf::{AttachOption, Error, Loader, MapSpec, Program, ProgramSpec, ProgramType, Result};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::MutexGuard;

/// A program that sends a record each time it runs, and a reader of those.
struct Watch {
    program: Program,
    reader: PerfReader,
    _alone: MutexGuard<'static, ()>,
}

impl Watch {
    fn new(kind: ProgramType) -> Watch {
        let alone = common::alone();
        let mut loader = Loader::new();
        let options = PerfOptions::new().sample_size(Event::SIZE);
        let reader = PerfReader::open(loader.map(&EVENTS).unwrap(), &options).unwrap();
        let program = loader.load(&PERF_OUTPUT.with_kind(kind)).unwrap();
        Watch { program, reader, _alone: alone }
    }

    /// The number of runs while this process calls `getpgid` seven times.
    fn runs(&mut self) -> usize {
        self.runs_during(|| {
            for _ in 0..CALLS {
                ask_group();
            }
        })
    }

    fn runs_during(&mut self, body: impl FnOnce()) -> usize {
        let mut count = 0;
        self.reader.drain(|_| ControlFlow::Continue(())).unwrap();
        body();
        let consume = |record: Record<'_>| {
            match record {
                Record::Sample { bytes, .. } => {
                    let event = Event::from_bytes(bytes).unwrap();
                    // Other processes make the same calls.
                    count += usize::from(event.pid == std::process::id());
                }
                other => panic!("{other:?}"),
            }
            ControlFlow::Continue(())
        };
        self.reader.drain(consume).unwrap();
        count
    }

    /// It runs once a call while it is attached, neither before nor after.
    #[track_caller]
    fn fires_while_attached(&mut self, attach: impl FnOnce(&Program) -> Result<Link>) -> Target {
        assert_eq!(self.runs(), 0);
        let link = attach(&self.program).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(self.runs(), CALLS, "{}", link.target());
        let target = link.target().clone();
        drop(link);
        assert_eq!(self.runs(), 0, "{target}");
        target
    }
}

const CALLS: usize = 7;

/// The state that a [`Counter`]'s program shares with its test.
static STATE: MapSpec = Array::<State>::spec("state", 1);
/// The thread that counts, how often the program ran in it, and what it was given at the last time.
type State = [u64; 3];

/// A program that counts how often it runs in one thread, and keeps what a statement gives.
macro_rules! counting {
    ($name:literal, $($statements:tt)*) => {
        ::rawbpf::ProgramSpec::new($name, ::rawbpf::ProgramType::Kprobe, ::rawbpf::bpf! {
            $($statements)*
            r6 = r0;
            call get_current_pid_tgid;
            w7 = w0;
            *(u32 *)(r10 - 4) = 0;
            r1 = STATE ll;
            r2 = r10;
            r2 += -4;
            call map_lookup_elem;
            if r0 == 0 goto out;
            r1 = *(u64 *)(r0 + 0);
            if r1 != r7 goto out;
            r1 = *(u64 *)(r0 + 8);
            r1 += 1;
            *(u64 *)(r0 + 8) = r1;
            *(u64 *)(r0 + 16) = r6;
        out:
            r0 = 0;
            exit;
        })
    };
}
use counting;

static COUNT: ProgramSpec = counting!("count", r0 = 0;);
static COOKIE: ProgramSpec = counting!("cookie", call get_attach_cookie;);

const A_COOKIE: u64 = 0xfeed_0000_0007;

/// A program in its place that counts, for one thread.
struct Counter {
    program: Program,
    link: Option<Link>,
    state: Array<State>,
    /// Descriptors of links and events before there was any of ours.
    before: Vec<String>,
    _alone: MutexGuard<'static, ()>,
}

impl Counter {
    /// Loads and attaches it, as the library thinks best.
    fn new(spec: &ProgramSpec<'_, '_>, target: &Target, options: &Options) -> Result<Counter> {
        Counter::with(spec, |loader, spec| {
            attach::load_and_attach_with(loader, spec, target, options)
        })
    }

    fn with<'a>(
        spec: &ProgramSpec<'a, 'a>,
        attach: impl FnOnce(&mut Loader<'a>, &ProgramSpec<'a, 'a>) -> Result<(Program, Link)>,
    ) -> Result<Counter> {
        let alone = common::alone();
        let before = held();
        let mut loader = Loader::new();
        let state = Array::<State>::of(loader.map(&STATE)?)?;
        state.update(0, &[gettid().as_raw() as u64, 0, 0])?;
        let (program, link) = attach(&mut loader, spec)?;
        Ok(Counter { program, link: Some(link), state, before, _alone: alone })
    }

    fn link(&self) -> &Link {
        self.link.as_ref().unwrap()
    }

    /// Counts in another thread from now on.
    fn watch(&self, thread: i32) {
        self.state.update(0, &[thread as u64, 0, 0]).unwrap();
    }

    fn count(&self) -> u64 {
        self.state.lookup(0).unwrap()[1]
    }

    /// The value that the last run stored.
    fn kept(&self) -> u64 {
        self.state.lookup(0).unwrap()[2]
    }

    /// The number of runs while `cause` is called seven times.
    fn runs(&self, cause: impl FnMut()) -> u64 {
        let before = self.count();
        std::iter::repeat_with(cause).take(CALLS).for_each(drop);
        self.count() - before
    }

    /// It runs so often each time while it is attached; afterwards no more, and nothing is left of it.
    #[track_caller]
    fn fires(mut self, times: u64, mut cause: impl FnMut()) {
        assert_eq!(self.runs(&mut cause), times * CALLS as u64, "{}", self.link().target());
        self.is_gone_when_dropped(cause);
    }

    #[track_caller]
    fn is_gone_when_dropped(&mut self, cause: impl FnMut()) {
        let link = self.link.take().unwrap();
        let target = link.target().clone();
        drop(link);
        assert_eq!(self.runs(cause), 0, "{target}");
        assert_eq!(held_but_for(&self.before), [""; 0], "{target}");
        let id = bpf_ids::info(&self.program).id;
        // The kernel frees them a little later.
        wait_until("the link is gone", || bpf_ids::links_of(id).is_empty());
        assert_eq!(left_in_tracefs(), [""; 0], "{target}");
    }
}

/// The descriptors of this process that are links or events.
fn held() -> Vec<String> {
    let fds = std::fs::read_dir("/proc/self/fd").unwrap();
    let links = fds.filter_map(|fd| {
        let fd = fd.unwrap().path();
        Some(format!("{} {}", fd.display(), std::fs::read_link(&fd).ok()?.display()))
    });
    links.filter(|link| link.contains("bpf_link") || link.contains("perf_event")).collect()
}

fn held_but_for(before: &[String]) -> Vec<String> {
    held().into_iter().filter(|one| !before.contains(one)).collect()
}

/// The events of this process that are left in tracefs, of any kind.
fn left_in_tracefs() -> Vec<String> {
    let mut found = Vec::new();
    for file in ["kprobe_events", "uprobe_events", "dynamic_events"] {
        let path = Path::new("/sys/kernel/tracing").join(file);
        let text = std::fs::read_to_string(path).unwrap_or_default();
        found.extend(text.lines().filter(|line| line.contains(":rawbpf")).map(str::to_owned));
    }
    found
}

/// Names this thread, and so causes the tracepoint `task/task_rename`, and nothing else here does in this thread.
fn rename() {
    nix::sys::prctl::set_name(c"attach").unwrap();
}

/// Makes the system call that most of these programs are put on.
fn ask_group() {
    getpgid(None).unwrap();
}

/// The program has the cookie, if the kernel has it since that version; else the error says which version has.
#[track_caller]
fn has_cookie(target: &str, (major, minor): (u32, u32), mut cause: impl FnMut()) {
    let target: Target = target.parse().unwrap();
    let options = Options::new().cookie(A_COOKIE);
    if running() >= (major, minor) {
        let counter = Counter::new(&COOKIE, &target, &options).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(counter.runs(&mut cause), CALLS as u64, "{target}");
        assert_eq!(counter.kept(), A_COOKIE, "{target}");
        counter.fires(1, cause);
        return;
    }
    let error = Counter::new(&COUNT, &target, &options).err().expect("a cookie on an old kernel");
    let words = error.to_string();
    assert!(words.contains(&format!("Linux {major}.{minor}")), "{words}");
    assert_eq!(error.kind(), rawbpf::ErrorKind::Unsupported);
}

/// The version of the running kernel.
fn running() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map(|number| number.trim().parse().unwrap_or(0));
    (numbers.next().unwrap(), numbers.next().unwrap())
}

#[test]
fn options_that_a_place_has_not_are_refused() {
    use common::requires::{Thing, needs};
    needs!(Bpf);
    for (target, options) in [
        ("xdp:lo", Options::new().cookie(1)),
        ("socket:lo", Options::new().pid(1)),
        ("raw_tracepoint:sched_switch", Options::new().pid(1)),
        ("iter:bpf_map", Options::new().pid(1)),
        ("iter:task", Options::new().cookie(1)),
        ("kprobe:vfs_read", Options::new().one_cpu()),
    ] {
        static PASS: ProgramSpec =
            ProgramSpec::new("pass", ProgramType::SocketFilter, rawbpf::bpf! { r0 = 0; exit; });
        let program = Loader::new().load(&PASS).unwrap();
        let target: Target = target.parse().unwrap();
        let error = attach::attach_with(&program, &target, &options).unwrap_err();
        assert_eq!(error.kind(), rawbpf::ErrorKind::Unsupported, "{error}");
        let expected = match &options {
            cookie if *cookie == Options::new().cookie(1) => AttachOption::Cookie,
            process if *process == Options::new().pid(1) => AttachOption::Process,
            _ => AttachOption::Cpu,
        };
        let Error::AttachOption { option, target: refused } = error else { panic!("{error}") };
        assert_eq!((option, refused), (expected, target.to_string()));
    }
}
