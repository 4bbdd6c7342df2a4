//! Tracing of the system calls of this thread.

use super::fields::{self, Fields};
use super::{Answer, Call, Errno, answer};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::{Duration, Instant};

/// A system call that was made, decoded.
///
/// Displays as one line, in the format of `strace(1)`:
///
/// `bpf(BPF_MAP_CREATE, {map_type=hash (1), key_size=4, value_size=8, max_entries=16, map_name="counts"}) = 3 <0.000021>`
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SystemCall {
    /// Its name: `bpf`, `perf_event_open`, `ioctl`, `getrlimit`, `setrlimit`; `socket`, `bind`, `setsockopt`, `send`,
    /// `recv` where it takes those to attach.
    pub call: &'static str,
    /// The command, of calls that have several: `BPF_MAP_CREATE`.
    pub command: Option<&'static str>,
    /// The fields of its attributes by the names that the kernel's headers give them (`union bpf_attr`,
    /// `struct perf_event_attr`), with readable values. Fields that are zero are left out, and so are addresses: the contents
    /// of short strings, keys and values stand in their place, and the length of everything else (`insn_cnt`, `btf_size`).
    /// Results that the kernel wrote back (`retval`, `log_true_size`) come last; a field that it changed has both values,
    /// `info_len=88 => 80`.
    pub fields: Vec<(&'static str, String)>,
    /// Its result: a descriptor, or a number without meaning.
    pub result: Result<i64, Errno>,
    /// Its duration.
    pub time: Duration,
}

impl fmt::Display for SystemCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.call)?;
        if let Some(command) = self.command {
            write!(f, "{command}, ")?;
        }
        f.write_str("{")?;
        for (number, (name, value)) in self.fields.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{name}={value}")?;
        }
        f.write_str("}) = ")?;
        match self.result {
            Ok(number) => write!(f, "{number}")?,
            Err(errno) => write!(f, "-1 {}", symbol_first(errno))?,
        }
        write!(f, " <{}.{:06}>", self.time.as_secs(), self.time.subsec_micros())
    }
}

/// `EPERM (Operation not permitted)`, the order in which `strace` has it.
fn symbol_first(errno: Errno) -> String {
    let text = errno.to_string();
    match errno.name() {
        Some(name) => {
            let words = text.strip_suffix(&format!(" ({name})")).unwrap_or(&text);
            format!("{name} ({words})")
        }
        None => text,
    }
}

type Observer = Box<dyn FnMut(&SystemCall)>;

/// A function that makes a call and reports it.
type Watch = fn(&mut Call<'_, '_>) -> Answer;

thread_local! {
    /// A function pointer, set by [`observe`] only: a program that does not call it links no code that decodes calls.
    static WATCH: Cell<Option<Watch>> = const { Cell::new(None) };
    static OBSERVER: RefCell<Option<Observer>> = const { RefCell::new(None) };
}

/// Runs `body`, and passes `observer` each [`SystemCall`] that this thread makes in it, right after it was made: each call
/// of `bpf(2)` and `perf_event_open(2)`, and the `ioctl(2)`, sockets and limits on locked memory that belong to them.
///
/// Inside another `observe` the inner observer takes the place of the outer one until `body` ends, by a panic too. Calls that
/// the observer itself makes are not shown.
///
/// ```no_run
/// use rawbpf::{Loader, ProgramSpec, ProgramType, bpf, syscall_trace};
///
/// static ONE: ProgramSpec = ProgramSpec::new("one", ProgramType::Kprobe, bpf! { r0 = 1; exit; });
/// let program = syscall_trace::observe(|call| eprintln!("{call}"), || Loader::new().load(&ONE))?;
/// # Ok::<(), rawbpf::Error>(())
/// ```
pub fn observe<T>(observer: impl FnMut(&SystemCall) + 'static, body: impl FnOnce() -> T) -> T {
    struct Restore(Option<Observer>, Option<Watch>);
    impl Drop for Restore {
        fn drop(&mut self) {
            OBSERVER.set(self.0.take());
            WATCH.set(self.1);
        }
    }
    let outer = OBSERVER.replace(Some(Box::new(observer)));
    let _restore = Restore(outer, WATCH.replace(Some(watched)));
    body()
}

/// Returns the function that traces the calls of this thread, if they are observed. If not, this is one thread-local read.
pub(super) fn watch() -> Option<Watch> {
    WATCH.get()
}

/// Makes a call, and shows it.
fn watched(call: &mut Call<'_, '_>) -> Answer {
    // While a thread ends it has no observer: objects can be dropped, and detached, even then.
    let someone = OBSERVER.try_with(|observer| observer.borrow().is_some());
    if !matches!(someone, Ok(true)) {
        return answer(call);
    }
    let (name, command) = fields::name(call);
    let mut fields = Fields::default();
    fields::returned(call, &mut fields);
    let start = Instant::now();
    let result = answer(call);
    let time = start.elapsed();
    fields::answered(call, result, &mut fields);
    show(&SystemCall { call: name, command, fields: fields.into(), result, time });
    result
}

/// The observer is out of its place while it runs, so that it may make calls itself.
fn show(call: &SystemCall) {
    let Some(mut observer) = OBSERVER.take() else { return };
    observer(call);
    OBSERVER.set(Some(observer));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insn::Insn;
    use crate::syscall::{
        Log, MapCreate, ObjInfo, PerfEvent, ProgLoad, ProgTestRun, fake, map_create, memlock,
        obj_info, perf_event_open, prog_load, prog_test_run,
    };
    use std::os::fd::AsFd;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::rc::Rc;

    type Story = Rc<RefCell<Vec<SystemCall>>>;

    /// Returns the calls that are reported while `body` runs.
    fn shown(body: impl FnOnce()) -> Vec<SystemCall> {
        let story = Story::default();
        let to = Rc::clone(&story);
        observe(move |call| to.borrow_mut().push(call.clone()), body);
        story.take()
    }

    /// Returns the line without the time, which varies.
    fn line(call: &SystemCall) -> String {
        let line = call.to_string();
        let (line, time) = line.rsplit_once(" <").unwrap();
        let (seconds, micros) = time.strip_suffix('>').unwrap().split_once('.').unwrap();
        assert!(seconds.parse::<u64>().is_ok() && micros.len() == 6, "{time}");
        line.to_owned()
    }

    fn field<'c>(call: &'c SystemCall, name: &str) -> Option<&'c str> {
        let found = call.fields.iter().find(|(field, _)| *field == name);
        found.map(|(_, value)| value.as_str())
    }

    const HASH: MapCreate<'_> = MapCreate {
        map_type: 1,
        key_size: 4,
        value_size: 8,
        max_entries: 16,
        flags: 0,
        name: b"counts",
        inner_map: None,
        numa_node: None,
        ifindex: 0,
        btf: None,
        vmlinux_value_type: 0,
        map_extra: 0,
        value_type_btf: None,
        token: None,
    };

    #[test]
    fn a_call_is_a_line_as_strace_has_it() {
        let calls = shown(|| {
            fake::with(|_| Some(fake::descriptor()), || drop(map_create(&HASH)));
            fake::with(|_| Some(Err(Errno(libc::EPERM))), || drop(map_create(&HASH)));
        });
        let Ok(fd) = calls[0].result else { panic!("{calls:?}") };
        let reported = "bpf(BPF_MAP_CREATE, {map_type=hash (1), key_size=4, value_size=8, max_entries=16, \
            map_name=\"counts\"}) = ";
        assert_eq!(line(&calls[0]), format!("{reported}{fd}"));
        assert_eq!(line(&calls[1]), format!("{reported}-1 EPERM (Operation not permitted)"));
    }

    #[test]
    fn flags_have_names_and_what_has_none_is_a_number() {
        let calls = shown(|| {
            let map =
                MapCreate { map_type: 99, flags: 1 << 30 | 1 << 7, numa_node: Some(1), ..HASH };
            fake::with(|_| Some(Err(Errno(libc::EINVAL))), || drop(map_create(&map)));
        });
        assert_eq!(field(&calls[0], "map_type"), Some("99"));
        let flags = "BPF_F_NUMA_NODE|BPF_F_RDONLY_PROG|0x40000000";
        assert_eq!(field(&calls[0], "map_flags"), Some(flags));
        assert_eq!(field(&calls[0], "numa_node"), Some("1"));
    }

    #[test]
    fn what_the_kernel_wrote_back_is_there() {
        let calls = shown(|| {
            let kernel = |call: &mut Call<'_, '_>| {
                match call {
                    Call::ProgLoad(load) => {
                        load.log.as_mut().unwrap().true_size = 70_000;
                        return Some(Err(Errno(libc::ENOSPC)));
                    }
                    Call::ProgTestRun(run) => (run.returned, run.duration) = (7, 42),
                    Call::MemlockGet { soft, hard } => {
                        (**soft, **hard) = (8192, crate::syscall::UNLIMITED);
                    }
                    _ => panic!("{call:?}"),
                }
                Some(Ok(0))
            };
            fake::with(kernel, || {
                let log = Log { level: 1, buffer: &mut [0; 64], true_size: 0 };
                let insns = [Insn::from_fields(0x95, 0, 0, 0, 0); 2];
                let mut load = ProgLoad {
                    prog_type: 2,
                    insns: &insns,
                    license: c"GPL",
                    name: b"two",
                    log: Some(log),
                    ..Default::default()
                };
                assert!(prog_load(&mut load).is_err());
                let file = std::fs::File::open("/dev/null").unwrap();
                prog_test_run(&mut ProgTestRun::new(file.as_fd())).unwrap();
                memlock().unwrap();
            });
        });
        assert_eq!(
            line(&calls[0]),
            "bpf(BPF_PROG_LOAD, {prog_type=kprobe (2), insn_cnt=2, license=\"GPL\", log_level=1, log_size=64, \
             prog_name=\"two\", log_true_size=70000}) = -1 ENOSPC (No space left on device)"
        );
        assert_eq!(field(&calls[1], "retval"), Some("7"));
        assert_eq!(field(&calls[1], "duration"), Some("42 ns"));
        assert_eq!(
            line(&calls[2]),
            "getrlimit(RLIMIT_MEMLOCK, {rlim_cur=8192, rlim_max=RLIM_INFINITY}) = 0"
        );
    }

    #[test]
    fn what_the_kernel_changed_is_there_before_and_after() {
        let calls = shown(|| {
            let kernel = |call: &mut Call<'_, '_>| {
                let Call::ObjInfo(info) = call else { panic!("{call:?}") };
                info.len = 80;
                Some(Ok(0))
            };
            let file = std::fs::File::open("/dev/null").unwrap();
            let ask = |room: usize| {
                let mut bytes = vec![0; room];
                let (info, arrays) = (&mut bytes[..], &mut [][..]);
                obj_info(&mut ObjInfo { object: file.as_fd(), info, len: 0, arrays }).unwrap();
            };
            fake::with(kernel, || {
                ask(88);
                ask(80);
            });
        });
        let lengths: Vec<_> = calls.iter().map(|call| field(call, "info_len")).collect();
        assert_eq!(lengths, [Some("88 => 80"), Some("80")]);
    }

    #[test]
    fn perf_event_open_has_its_fields() {
        let calls = shown(|| {
            let event = PerfEvent {
                kind: 1,
                config: 10,
                sample_period: 1,
                sample_type: 1 << 10,
                wakeup: 4096,
                watermark: true,
                name: Some(c"do_exit"),
                pid: -1,
                ..Default::default()
            };
            fake::with(|_| Some(Err(Errno(libc::ENODEV))), || drop(perf_event_open(&event)));
        });
        assert_eq!(
            line(&calls[0]),
            "perf_event_open({type=software (1), config=0xa, sample_period=1, sample_type=PERF_SAMPLE_RAW, \
             watermark=1, wakeup_watermark=4096, config1=\"do_exit\", pid=-1, cpu=0, \
             flags=PERF_FLAG_FD_CLOEXEC}) = -1 ENODEV (No such device)"
        );
    }

    #[test]
    fn one_observer_at_a_time_and_a_panic_gives_the_place_back() {
        let make = || fake::with(|_| Some(Err(Errno(libc::EINVAL))), || drop(map_create(&HASH)));
        let (mut inner, mut lost) = (Vec::new(), None);
        let outer = shown(|| {
            make();
            inner = shown(|| {
                make();
                make();
            });
            lost = Some(catch_unwind(AssertUnwindSafe(|| observe(|_| panic!("seen"), make))));
            make();
        });
        assert_eq!((outer.len(), inner.len()), (2, 2));
        assert!(lost.unwrap().is_err());
        assert_eq!(shown(|| ()).len(), 0);
        make();
    }

    #[test]
    fn an_observer_may_make_calls_itself() {
        let count = Rc::new(RefCell::new(0));
        let seen = Rc::clone(&count);
        let make = || fake::with(|_| Some(Err(Errno(libc::EINVAL))), || drop(map_create(&HASH)));
        let observer = move |_: &SystemCall| {
            *seen.borrow_mut() += 1;
            make();
            observe(|_| (), make);
        };
        observe(observer, || {
            make();
            make();
        });
        assert_eq!(*count.borrow(), 2);
    }
}
