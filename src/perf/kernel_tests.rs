//! The reader against the kernel: real perf events, and samples that a real program sends.

use super::*;
use crate::kernel::cpu;
use crate::requires::{Thing, needs};
use crate::spec::{MapSpec, ProgramSpec};
use crate::syscall::{Call, PerfEvent, fake};
use crate::uapi::ProgramType;
use crate::{Loader, bpf};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use std::cell::Cell;
use std::ffi::CString;
use std::fs;
use std::ops::ControlFlow::{Break, Continue};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

static EVENTS: MapSpec = MapSpec::perf_event_array("events");

fn after(milliseconds: u64) -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(milliseconds))
}

fn poll(reader: &mut PerfReader, deadline: Option<Instant>) -> Polled {
    loop {
        match reader.poll(deadline, |_| Continue(())).unwrap() {
            Polled::Interrupted => {}
            polled => return polled,
        }
    }
}

#[test]
fn an_open_reader_waits_and_is_woken() {
    needs!(Bpf);
    let map = Map::create(&EVENTS).unwrap();
    let mut reader = PerfReader::open(&map, &PerfOptions::new()).unwrap();
    let cpus: Vec<u32> = reader.lost_per_cpu().map(|(cpu, _)| cpu).collect();
    assert_eq!(cpus, cpu::online().unwrap());
    assert_eq!(reader.drain(|_| Continue(())).unwrap(), 0);
    let deadline = after(10);
    assert_eq!(poll(&mut reader, deadline), Polled::Deadline);
    assert!(Instant::now() >= deadline.unwrap());
    let waker = reader.waker();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(5));
            waker.wake();
        });
        assert_eq!(poll(&mut reader, None), Polled::Woken);
    });
    assert_eq!(reader.lost(), 0);
}

#[test]
fn a_dropped_reader_leaves_the_map_empty() {
    needs!(Bpf);
    let map = Map::create(&EVENTS).unwrap();
    let cpu = cpu::online().unwrap()[0];
    let delete = || syscall::map_delete(map.as_fd(), &cpu.to_ne_bytes());
    assert_eq!(delete(), Err(Errno(libc::ENOENT)));
    let reader = PerfReader::open(&map, &PerfOptions::new()).unwrap();
    assert_eq!(delete(), Ok(()));
    drop(reader);
    let reader = PerfReader::open(&map, &PerfOptions::new()).unwrap();
    drop(reader);
    assert_eq!(delete(), Err(Errno(libc::ENOENT)));
}

#[test]
fn a_reader_that_could_not_be_opened_leaves_the_map_empty() {
    needs!(Bpf, TwoCpus);
    let map = Map::create(&EVENTS).unwrap();
    let first = cpu::online().unwrap()[0];
    let refuse = move |call: &mut Call<'_, '_>| match call {
        Call::PerfEventOpen(event) if event.cpu != first as i32 => Some(Err(Errno(libc::EMFILE))),
        _ => None,
    };
    let opened = fake::with(refuse, || PerfReader::open(&map, &PerfOptions::new()));
    let error = opened.unwrap_err();
    assert!(
        matches!(error, Error::Reader { cpu: Some(_), errno: Errno(libc::EMFILE), .. }),
        "{error}"
    );
    let delete = syscall::map_delete(map.as_fd(), &first.to_ne_bytes());
    assert_eq!(delete, Err(Errno(libc::ENOENT)));
}

#[test]
fn a_cpu_that_goes_offline_before_it_is_opened_is_passed_over() {
    needs!(Bpf, TwoCpus);
    let map = Map::create(&EVENTS).unwrap();
    let first = cpu::online().unwrap()[0];
    let offline = move |call: &mut Call<'_, '_>| match call {
        Call::PerfEventOpen(event) if event.cpu == first as i32 => Some(Err(Errno(libc::ENODEV))),
        _ => None,
    };
    let mut reader = fake::with(offline, || PerfReader::open(&map, &PerfOptions::new())).unwrap();
    let cpus: Vec<u32> = reader.lost_per_cpu().map(|(cpu, _)| cpu).collect();
    assert_eq!(cpus, cpu::online().unwrap()[1..]);
    // The reader reports that nothing comes from there, and since when something does.
    assert_eq!((reader.late_cpus(), reader.missing_cpus()), (vec![], &[first][..]));
    assert_eq!(reader.refresh().unwrap(), 1);
    assert_eq!((reader.late_cpus(), reader.missing_cpus()), (vec![first], &[][..]));
    assert_eq!((reader.refresh().unwrap(), reader.late_cpus()), (0, vec![]));
}

/// A perf event array that is none, for what needs no kernel.
fn unreal_map(max_entries: u32) -> Map {
    let create = |call: &mut Call<'_, '_>| match call {
        Call::MapCreate(_) => Some(fake::descriptor()),
        _ => None,
    };
    fake::with(create, || Map::create(&MapSpec { max_entries, ..EVENTS })).unwrap()
}

#[test]
fn what_is_asked_of_the_kernel_is_what_the_options_say() {
    let map = unreal_map(4096);
    let cpus = cpu::online().unwrap().len();
    for (wakeup, number, watermark) in
        [(Wakeup::Events(3), 3, false), (Wakeup::Watermark(4000), 4000, true)]
    {
        let asked = Rc::new(Cell::new(0));
        let count = asked.clone();
        let answer = move |call: &mut Call<'_, '_>| {
            let Call::PerfEventOpen(event) = call else { return None };
            assert_eq!((event.kind, event.config, event.sample_type), (1, 10, 0x400));
            assert_eq!((event.clock, event.backward), (None, false));
            assert_eq!((event.pid, event.sample_period), (-1, 1));
            assert_eq!((event.wakeup, event.watermark), (number, watermark));
            count.set(count.get() + 1);
            Some(Err(Errno(libc::ENODEV)))
        };
        let options = PerfOptions::new().wakeup(wakeup);
        let error = fake::with(answer, || PerfReader::open(&map, &options)).unwrap_err();
        // Every CPU went offline, this one too.
        assert_eq!(error.to_string(), "cannot find a CPU that runs: No such device (ENODEV)");
        assert_eq!(asked.get(), cpus);
    }
}

#[test]
fn what_cannot_be_read_is_refused_before_the_kernel_is_asked() {
    let ask = |_: &mut Call<'_, '_>| Some(Err(Errno(libc::ENOSYS)));
    let map = unreal_map(4096);
    let options = PerfOptions::new().ring_size(0);
    let error = fake::with(ask, || PerfReader::open(&map, &options)).unwrap_err();
    assert_eq!(error.to_string(), "perf reader of map `events`: the ring size is 0");
    let create = |call: &mut Call<'_, '_>| match call {
        Call::MapCreate(_) => Some(fake::descriptor()),
        _ => None,
    };
    let map = fake::with(create, || Map::create(&MapSpec::array("numbers", 4, 9))).unwrap();
    let error = fake::with(ask, || PerfReader::open(&map, &PerfOptions::new())).unwrap_err();
    assert_eq!(error.to_string(), "map `numbers`: a perf reader needs a perf_event_array");
}

#[test]
fn a_map_without_an_element_for_each_cpu_is_refused() {
    needs!(Bpf, TwoCpus);
    let map = Map::create(&MapSpec { max_entries: 1, ..EVENTS }).unwrap();
    let error = PerfReader::open(&map, &PerfOptions::new()).unwrap_err();
    assert!(matches!(error, Error::Spec { what: "map", .. }), "{error}");
}

/// Sends 32 bytes: 24 times 0, and when it was.
static SEND: ProgramSpec = ProgramSpec::new(
    "send",
    ProgramType::Kprobe,
    bpf! {
        r6 = r1;
        r1 = 0;
        *(u64 *)(r10 - 32) = r1;
        *(u64 *)(r10 - 24) = r1;
        *(u64 *)(r10 - 16) = r1;
        call ktime_get_ns;
        *(u64 *)(r10 - 8) = r0;
        r1 = r6;
        r2 = EVENTS ll;
        r3 = 0xffffffff ll;
        r4 = r10;
        r4 += -32;
        r5 = 32;
        call perf_event_output;
        r0 = 0;
        exit;
    },
);

/// The function that the program is attached to: another one for each test, because it runs for every
/// thread of the process that calls it.
#[inline(never)]
extern "C" fn probed<const TEST: u64>(number: u64) -> u64 {
    std::hint::black_box(number ^ TEST)
}

/// The offset of a function in the executable file.
fn offset_in_executable(address: usize) -> u64 {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (start, end) = words.next().unwrap().split_once('-').unwrap();
        let number = |hex| u64::from_str_radix(hex, 16).unwrap();
        let offset = number(words.nth(1).unwrap());
        if (number(start)..number(end)).contains(&(address as u64)) {
            return address as u64 - number(start) + offset;
        }
    }
    panic!("{address:x} is not mapped");
}

/// Loads [`SEND`] and attaches it to [`probed`], in this process; gives what has the map and what
/// keeps it attached.
fn attach<const TEST: u64>() -> (Loader<'static>, OwnedFd) {
    let mut loader = Loader::new();
    let program = loader.load(&SEND).unwrap();
    let kind = fs::read_to_string("/sys/bus/event_source/devices/uprobe/type").unwrap();
    let path = fs::read_link("/proc/self/exe").unwrap();
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    let event = PerfEvent {
        kind: kind.trim().parse().unwrap(),
        name: Some(&path),
        offset: offset_in_executable(probed::<TEST> as extern "C" fn(u64) -> u64 as usize),
        sample_period: 1,
        pid: 0,
        cpu: -1,
        ..PerfEvent::default()
    };
    let event = syscall::perf_event_open(&event).unwrap();
    syscall::perf_event_set_bpf(event.as_fd(), program.as_fd()).unwrap();
    (loader, event)
}

fn call_probed<const TEST: u64>(times: u64) {
    for n in 0..times {
        assert_eq!(probed::<TEST>(std::hint::black_box(n)), n ^ TEST);
    }
}

/// Once on each CPU: where the scheduler leaves this thread need not be where samples were lost before.
fn call_probed_everywhere<const TEST: u64>() {
    for cpu in cpu::online().unwrap() {
        let call = move || {
            let mut set = CpuSet::new();
            set.set(cpu as usize).unwrap();
            sched_setaffinity(Pid::from_raw(0), &set).unwrap();
            call_probed::<TEST>(1);
        };
        std::thread::spawn(call).join().unwrap();
    }
}

#[test]
fn samples_come_with_exactly_their_bytes() {
    needs!(Uprobe);
    let (mut loader, _attached) = attach::<1>();
    let map = loader.map(&EVENTS).unwrap();
    // Without their size, with the filling: 4 bytes.
    let mut reader = PerfReader::open(map, &PerfOptions::new()).unwrap();
    call_probed::<1>(3);
    let mut sizes = Vec::new();
    let read = |record: Record<'_>| {
        if let Record::Sample { bytes, .. } = record {
            sizes.push(bytes.len());
        }
        Continue(())
    };
    assert_eq!(reader.poll(after(10_000), read).unwrap(), Polled::Records);
    assert_eq!(sizes, [36; 3]);
    drop(reader);

    let mut reader = PerfReader::open(map, &PerfOptions::new().sample_size(32)).unwrap();
    call_probed::<1>(1000);
    let (mut count, mut last) = (0, std::collections::BTreeMap::new());
    reader
        .drain(|record| {
            let Record::Sample { cpu, bytes, .. } = record else { panic!("{record:?}") };
            assert_eq!((bytes.len(), &bytes[..24]), (32, [0; 24].as_slice()));
            let time = u64::from_ne_bytes(*bytes.last_chunk().unwrap());
            let before = last.insert(cpu, time).unwrap_or(0);
            assert!(time > before);
            count += 1;
            Continue(())
        })
        .unwrap();
    assert_eq!((count, reader.lost()), (1000, 0));
    drop(reader);

    let mut reader = PerfReader::open(map, &PerfOptions::new().sample_size(16)).unwrap();
    call_probed::<1>(1);
    let error = reader.drain(|_| Continue(())).unwrap_err();
    assert!(matches!(error, Error::SampleSize { submitted: 16, recorded: 36, .. }), "{error}");
    assert_eq!(reader.drain(|_| Continue(())).unwrap(), 0);
}

#[test]
fn what_the_kernel_loses_is_counted() {
    needs!(Uprobe);
    let (mut loader, _attached) = attach::<2>();
    let map = loader.map(&EVENTS).unwrap();
    let options = PerfOptions::new().ring_size(1).sample_size(32);
    let mut reader = PerfReader::open(map, &options).unwrap();
    let fit = ring::page_size() as u64 / 48;
    let sent = fit * cpu::online().unwrap().len() as u64 + 500;
    let (mut came, mut reported) = (0, 0);
    call_probed::<2>(sent);
    // The kernel reports a loss with the next sample that fits, on each CPU that lost some.
    let end = after(10_000).unwrap();
    let mut more = 0;
    loop {
        reader
            .drain(|record| {
                match record {
                    Record::Sample { .. } => came += 1,
                    Record::Lost { count, .. } => reported += count,
                }
                Continue(())
            })
            .unwrap();
        if came + reported == sent + more || Instant::now() > end {
            break;
        }
        call_probed_everywhere::<2>();
        more += cpu::online().unwrap().len() as u64;
    }
    assert_eq!(came + reported, sent + more);
    assert!(reported >= 500);
    assert_eq!(reader.lost(), reported);
}

/// Samples lost with none after them appear in no record; they are counted when the kernel is asked.
#[test]
fn what_is_lost_last_is_counted_when_asked() {
    needs!(Uprobe);
    let (mut loader, _attached) = attach::<6>();
    let map = loader.map(&EVENTS).unwrap();
    let options = PerfOptions::new().ring_size(1).sample_size(32);
    let mut reader = PerfReader::open(map, &options).unwrap();
    let fit = ring::page_size() as u64 / 48;
    let sent = fit * cpu::online().unwrap().len() as u64 + 500;
    call_probed::<6>(sent);
    let (mut came, mut reported) = (0, 0);
    reader
        .drain(|record| {
            match record {
                Record::Sample { .. } => came += 1,
                Record::Lost { count, .. } => reported += count,
            }
            Continue(())
        })
        .unwrap();
    if reader.cpus.says_lost {
        assert_eq!(came + reader.count_lost(), sent);
        // Asking again finds no more, and losses that are reported now are not counted twice.
        assert_eq!(came + reader.count_lost(), sent);
        call_probed::<6>(1);
        reader.drain(|_| Continue(())).unwrap();
        assert_eq!(came + reader.lost(), sent);
    } else {
        assert_eq!(reader.count_lost(), reported);
    }
}

#[test]
fn the_watermark_is_where_the_kernel_wakes() {
    needs!(Uprobe);
    let (mut loader, _attached) = attach::<3>();
    let map = loader.map(&EVENTS).unwrap();
    let options = PerfOptions::new().wakeup(Wakeup::Watermark(16 << 10));
    let mut reader = PerfReader::open(map, &options).unwrap();
    let watch = watch(&reader);
    let mut count = 0;
    // Below it there is no wake-up.
    call_probed::<3>(10);
    assert!(!ready(&watch), "woken for 480 bytes");
    // At most that many are below it on every CPU, the next one wakes.
    call_probed::<3>(cpu::online().unwrap().len() as u64 * (16 << 10) / 48 + 1);
    assert!(ready(&watch), "not woken");
    let polled = reader.poll(after(10_000), |_| {
        count += 1;
        Continue(())
    });
    assert_eq!(polled.unwrap(), Polled::Records);
    assert!(count > 340);
}

/// Somebody else's `epoll(7)` set with the reader's descriptor in it.
fn watch(reader: &PerfReader) -> OwnedFd {
    let epoll = syscall::epoll_create().unwrap();
    syscall::epoll_add(epoll.as_fd(), reader.as_fd(), 5).unwrap();
    epoll
}

/// Whether it says that it is readable, by and by.
fn ready(watch: &OwnedFd) -> bool {
    let end = after(20);
    loop {
        let left = end.unwrap().saturating_duration_since(Instant::now());
        let mut ready = false;
        match syscall::epoll_wait(watch.as_fd(), Some(left), |key, _| ready = key == 5) {
            Err(Errno(libc::EINTR)) => {}
            waited => {
                waited.unwrap();
                return ready;
            }
        }
    }
}

#[test]
fn in_a_loop_of_ones_own_a_look_reads_what_made_it_readable() {
    needs!(Uprobe);
    let (mut loader, _attached) = attach::<4>();
    let map = loader.map(&EVENTS).unwrap();
    let options = PerfOptions::new().sample_size(32).wakeup(Wakeup::Events(1));
    let mut reader = PerfReader::open(map, &options).unwrap();
    let watch = watch(&reader);
    assert!(!ready(&watch));
    for _ in 0..3 {
        call_probed::<4>(2);
        assert!(ready(&watch));
        let mut count = 0;
        let polled = reader.poll(Some(Instant::now()), |_| {
            count += 1;
            Continue(())
        });
        assert_eq!((polled.unwrap(), count), (Polled::Deadline, 2));
        assert!(!ready(&watch));
    }
    reader.waker().wake();
    assert!(ready(&watch));
    assert_eq!(poll(&mut reader, Some(Instant::now())), Polled::Woken);
    assert!(!ready(&watch));
    // Records that are left after a break do not make it readable again.
    call_probed::<4>(2);
    assert!(ready(&watch));
    assert_eq!(reader.poll(None, |_| Break(())).unwrap(), Polled::Stopped);
    assert!(!ready(&watch));
    assert_eq!(reader.drain(|_| Continue(())).unwrap(), 1);
}

#[test]
fn a_reader_outlives_its_map() {
    needs!(Uprobe);
    let (mut loader, _attached) = attach::<5>();
    let map = loader.map(&EVENTS).unwrap();
    let mut reader = PerfReader::open(map, &PerfOptions::new()).unwrap();
    drop(loader);
    call_probed::<5>(1);
    assert_eq!(reader.drain(|_| Continue(())).unwrap(), 1);
}
