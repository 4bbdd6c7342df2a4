//! Ring buffers, both ways, between this process and programs that really run.

mod common;

use common::requires::{Thing, needs, needs_tried};
use common::{said, this_test_as, wait_until};
use rawbpf::MapFlags;
use rawbpf::asm::{Collection, ParseOptions, parse};
use rawbpf::ringbuf::{Polled, Record, RingBufReader, UserRingBuf};
use rawbpf::{
    Error, Loader, Map, MapSpec, Plain, Program, ProgramSpec, ProgramType, TextSpec, bpf, plain,
};
use std::ops::ControlFlow::{self, Break, Continue};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

static EVENTS: MapSpec = MapSpec::ring_buffer("events", 64 << 10);
static MORE: MapSpec = MapSpec::ring_buffer("more", 64 << 10);

plain! {
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[repr(C)]
    struct Event {
        number: u64,
        time: u64,
        length: u32,
        four: u32,
    }
}

/// The number of events made, and of those that found no room.
static MADE: MapSpec = MapSpec::bss("made", 16);

/// Sends an event with `ringbuf_output`, and returns what that returned.
static OUTPUT: ProgramSpec = ProgramSpec::new("output", ProgramType::SocketFilter, output(0));
/// The same, without a wake-up.
static QUIET: ProgramSpec = ProgramSpec::new("quiet", ProgramType::SocketFilter, output(1));
/// The same, with a forced wake-up.
static LOUD: ProgramSpec = ProgramSpec::new("loud", ProgramType::SocketFilter, output(2));

const fn output(flags: u32) -> rawbpf::asm::Code<'static> {
    match flags {
        0 => bpf! {
            r7 = *(u32 *)(r1 + 0);              // len
            r1 = MADE[0] ll;
            r8 = *(u64 *)(r1 + 0);              // one at a time: Linux 5.10 has no atomic_fetch_add
            r2 = 1;
            lock *(u64 *)(r1 + 0) += r2;
            *(u64 *)(r10 - 24) = r8;
            call ktime_get_ns;
            *(u64 *)(r10 - 16) = r0;
            *(u32 *)(r10 - 8) = r7;
            *(u32 *)(r10 - 4) = 4;
            r1 = EVENTS ll;
            r2 = r10;
            r2 += -24;
            r3 = 24;
            r4 = 0;
            call ringbuf_output;
            if r0 == 0 goto out;
            r1 = MADE[0] ll;
            r2 = 1;
            lock *(u64 *)(r1 + 8) += r2;
        out:
            exit;
        },
        1 => bpf! {
            *(u64 *)(r10 - 8) = 1;
            r1 = EVENTS ll;
            r2 = r10;
            r2 += -8;
            r3 = 8;
            r4 = 1;                             // BPF_RB_NO_WAKEUP
            call ringbuf_output;
            exit;
        },
        _ => bpf! {
            *(u64 *)(r10 - 8) = 2;
            r1 = EVENTS ll;
            r2 = r10;
            r2 += -8;
            r3 = 8;
            r4 = 2;                             // BPF_RB_FORCE_WAKEUP
            call ringbuf_output;
            exit;
        },
    }
}

/// Reserves 16 bytes, writes the first byte of the packet to them, and submits them if it is even, else
/// throws them away.
static RESERVE: ProgramSpec = ProgramSpec::new(
    "reserve",
    ProgramType::SocketFilter,
    bpf! {
        r6 = r1;
        r0 = *(u8 *)skb[0];
        r7 = r0;
        r1 = MORE ll;
        r2 = 16;
        r3 = 0;
        call ringbuf_reserve;
        if r0 == 0 goto full;
        *(u64 *)(r0 + 0) = r7;
        *(u64 *)(r0 + 8) = 0;
        r1 = r0;
        r2 = 0;
        r7 &= 1;
        if r7 != 0 goto odd;
        call ringbuf_submit;
        goto out;
    odd:
        call ringbuf_discard;
    out:
        r0 = 1;
        exit;
    full:
        r0 = 0;
        exit;
    },
);

fn run(program: &Program, times: u32) -> u32 {
    program.test_run(&[7; 64], times).unwrap().returned
}

fn with_first_byte(program: &Program, byte: u8) -> u32 {
    let mut frame = [0; 64];
    frame[14] = byte;
    program.test_run(&frame, 1).unwrap().returned
}

fn after(milliseconds: u64) -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(milliseconds))
}

fn keep(kept: &mut Vec<Vec<u8>>) -> impl FnMut(Record<'_>) -> ControlFlow<()> {
    |record| {
        kept.push(record.bytes.to_vec());
        Continue(())
    }
}

/// Polls until something other than a signal ends it.
fn poll(reader: &mut RingBufReader, deadline: Option<Instant>) -> (Polled, usize) {
    let mut count = 0;
    loop {
        let polled = reader.poll(deadline, |_| {
            count += 1;
            Continue(())
        });
        match polled.unwrap() {
            Polled::Interrupted => {}
            polled => return (polled, count),
        }
    }
}

#[test]
fn what_a_program_sends_is_read_round_and_round() {
    needs!(Bpf);
    let mut loader = Loader::new();
    let program = loader.load(&OUTPUT).unwrap();
    let mut reader = RingBufReader::open(loader.map(&EVENTS).unwrap()).unwrap();
    let (mut next, mut last) = (0, 0);
    // Each time a part of the ring, several times round it.
    for _ in 0..20 {
        assert_eq!(run(&program, 500), 0);
        for event in reader.records().typed::<Event>() {
            let event = event.unwrap();
            assert_eq!((event.number, event.length, event.four), (next, 50, 4));
            assert!(event.time >= last);
            (next, last) = (next + 1, event.time);
        }
    }
    assert_eq!(next, 10_000);
}

#[test]
fn what_finds_no_room_is_told_to_the_program_and_the_rest_is_there() {
    needs!(Bpf);
    let mut loader = Loader::new();
    let program = loader.load(&OUTPUT).unwrap();
    let mut reader = RingBufReader::open(loader.map(&EVENTS).unwrap()).unwrap();
    run(&program, 10_000);
    let mut kept = Vec::new();
    let read = reader.drain(keep(&mut kept)).unwrap() as u64;
    let counts = loader.map(&MADE).unwrap().lookup(&0u32.to_ne_bytes()).unwrap().unwrap();
    let (made, failed) =
        <[u64; 2]>::from_bytes(&counts).map(|[made, failed]| (made, failed)).unwrap();
    assert_eq!((made, read + failed), (10_000, 10_000));
    // 24 bytes and the header: one byte of the ring always stays free.
    assert_eq!(read, (64 << 10) / 32 - 1);
    // The ring goes on.
    assert_eq!(run(&program, 1), 0);
    assert_eq!(reader.drain(|_| Continue(())).unwrap(), 1);
}

#[test]
fn what_is_reserved_and_submitted_comes_and_what_is_discarded_does_not() {
    needs!(Bpf);
    let mut loader = Loader::new();
    let (reserve, output) = (loader.load(&RESERVE).unwrap(), loader.load(&OUTPUT).unwrap());
    let mut reader = RingBufReader::open(loader.map(&EVENTS).unwrap()).unwrap();
    assert_eq!(reader.add(loader.map(&MORE).unwrap()).unwrap(), 1);
    for byte in [2, 3, 3, 4, 5, 6, 7] {
        assert_eq!(with_first_byte(&reserve, byte), 1);
    }
    run(&output, 2);
    let mut seen = Vec::new();
    reader
        .drain(|record| {
            let first = u64::from_ne_bytes(*record.bytes.first_chunk().unwrap());
            seen.push((record.ring, record.bytes.len(), first));
            Continue(())
        })
        .unwrap();
    assert_eq!(seen, [(0, 24, 0), (0, 24, 1), (1, 16, 2), (1, 16, 4), (1, 16, 6)]);
    // Nothing but what is thrown away, more than the ring holds: it is handed back all the same.
    for _ in 0..6 {
        let mut frame = [0; 64];
        frame[14] = 1;
        assert_eq!(reserve.test_run(&frame, 1000).unwrap().returned, 1);
        assert_eq!(reader.drain(|_| Continue(())).unwrap(), 0);
    }
}

#[test]
fn a_reader_that_waits_is_woken_and_one_that_is_not_waited_for_is_not() {
    needs!(Bpf);
    let mut loader = Loader::new();
    let programs = [&OUTPUT, &LOUD].map(|spec| loader.load(spec).unwrap());
    let quiet = loader.load(&QUIET).unwrap();
    let mut reader = RingBufReader::open(loader.map(&EVENTS).unwrap()).unwrap();
    for program in &programs {
        for _ in 0..50 {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(Duration::from_millis(1));
                    run(program, 1);
                });
                assert_eq!(poll(&mut reader, None), (Polled::Records, 1));
            });
        }
    }
    // There is no wake-up for this one; the deadline finds it.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(10));
            run(&quiet, 1);
        });
        assert_eq!(poll(&mut reader, after(200)), (Polled::Deadline, 1));
    });
    let waker = reader.waker();
    std::thread::scope(|scope| {
        scope.spawn(|| waker.wake());
        assert_eq!(poll(&mut reader, None), (Polled::Woken, 0));
    });
}

/// As fast as a program can, on another CPU if there is one, and the reader asleep every time that it has
/// caught up: no wake-up is lost.
#[test]
fn no_wake_up_is_lost() {
    needs!(Bpf);
    let mut loader = Loader::new();
    let program = loader.load(&OUTPUT).unwrap();
    let mut reader = RingBufReader::open(loader.map(&EVENTS).unwrap()).unwrap();
    let read = std::sync::atomic::AtomicUsize::new(0);
    const TIMES: usize = 3000;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..TIMES {
                while n > read.load(std::sync::atomic::Ordering::Relaxed) + 1 {
                    std::thread::yield_now();
                }
                run(&program, 1);
            }
        });
        let mut count = 0;
        while count < TIMES {
            let (polled, records) = poll(&mut reader, after(60_000));
            assert_eq!(polled, Polled::Records, "after {count}");
            count += records;
            read.store(count, std::sync::atomic::Ordering::Relaxed);
        }
    });
}

#[test]
fn a_loop_of_ones_own_sees_what_is_there() {
    needs!(Bpf);
    let mut loader = Loader::new();
    let program = loader.load(&OUTPUT).unwrap();
    let mut reader = RingBufReader::open(loader.map(&EVENTS).unwrap()).unwrap();
    let ready = |reader: &RingBufReader| {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        let mut fds = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::from(20u8)).unwrap() > 0
    };
    assert!(!ready(&reader));
    for _ in 0..3 {
        run(&program, 2);
        assert!(ready(&reader));
        assert_eq!(poll(&mut reader, Some(Instant::now())), (Polled::Deadline, 2));
        assert!(!ready(&reader));
    }
    reader.waker().wake();
    assert!(ready(&reader));
    assert_eq!(poll(&mut reader, Some(Instant::now())).0, Polled::Woken);
    assert!(!ready(&reader));
}

#[test]
fn a_ring_buffer_has_one_reader_and_the_next_goes_on_where_it_ended() {
    needs!(Bpf);
    let mut loader = Loader::new();
    let program = loader.load(&OUTPUT).unwrap();
    let map = loader.map(&EVENTS).unwrap();
    let mut reader = RingBufReader::open(map).unwrap();
    let same = Map::from_fd(map.as_fd().try_clone_to_owned().unwrap()).unwrap();
    for other in [map, &same] {
        let refused = RingBufReader::open(other).unwrap_err().to_string();
        assert!(refused.contains("one in this process already"), "{refused}");
        assert!(reader.add(other).is_err());
    }
    run(&program, 3);
    assert_eq!(reader.poll(None, |_| Break(())).unwrap(), Polled::Stopped);
    drop(reader);
    let mut reader = RingBufReader::open(&same).unwrap();
    let mut numbers = reader.records().typed::<Event>().map(|event| event.unwrap().number);
    assert_eq!((numbers.next(), numbers.next(), numbers.next()), (Some(1), Some(2), None));
}

#[test]
fn what_another_process_reads_is_told() {
    if let Some(id) = common::role() {
        let map = Map::open_id(id.parse().unwrap()).unwrap();
        let mut reader = RingBufReader::open(&map).unwrap();
        assert_eq!(reader.drain(|_| Continue(())).unwrap(), 2);
        return;
    }
    needs!(Bpf, Root);
    let mut loader = Loader::new();
    let program = loader.load(&OUTPUT).unwrap();
    let map = loader.map(&EVENTS).unwrap();
    let mut reader = RingBufReader::open(map).unwrap();
    run(&program, 2);
    let id = map.info().unwrap().id.to_string();
    let child = this_test_as("what_another_process_reads_is_told", &id).output().unwrap();
    assert!(child.status.success(), "{}", said(&child));
    let error = reader.drain(|_| Continue(())).unwrap_err().to_string();
    assert!(error.contains("has another reader"), "{error}");
    run(&program, 1);
    assert_eq!(reader.drain(|_| Continue(())).unwrap(), 1);
}

#[test]
fn what_is_no_ring_buffer_is_refused() {
    needs!(Bpf);
    let array = Map::create(&MapSpec::array("numbers", 4, 4)).unwrap();
    let error = RingBufReader::open(&array).unwrap_err().to_string();
    assert_eq!(error, "reader of map `numbers`: a ring buffer reader needs a ringbuf");
    let error = UserRingBuf::open(&array).unwrap_err().to_string();
    assert_eq!(error, "reader of map `numbers`: a producer needs a user_ringbuf");
}

#[test]
fn a_ring_that_overwrites_is_refused() {
    needs!(Bpf);
    let map = Map::create(&EVENTS.with_flags(MapFlags::RB_OVERWRITE));
    needs_tried!("overwriting ring buffers", map.as_ref().err().map(Error::to_string));
    let error = RingBufReader::open(&map.unwrap()).unwrap_err().to_string();
    assert!(error.contains("BPF_F_RB_OVERWRITE"), "{error}");
}

#[test]
fn a_reader_outlives_its_map() {
    needs!(Bpf);
    let mut loader = Loader::new();
    let program = loader.load(&OUTPUT).unwrap();
    let mut reader = RingBufReader::open(loader.map(&EVENTS).unwrap()).unwrap();
    drop(loader);
    run(&program, 1);
    assert_eq!(poll(&mut reader, None), (Polled::Records, 1));
}

/// Takes all samples that there are: counts them and adds up their first bytes. Returns how many it took.
const TAKE: &str = "
.map orders, user_ringbuf, max=65536
.map taken, array, key=4, value=16, max=1
        r1 = orders ll
        r2 = each ll
        r3 = 0
        r4 = 0
        call user_ringbuf_drain
        exit
each:                                   # r1: the sample, as a dynptr; r2: the context
        r6 = r1
        *(u64 *)(r10 - 8) = 0
        r1 = r10
        r1 += -8
        r2 = 1
        r3 = r6
        r4 = 0
        r5 = 0
        call dynptr_read
        r7 = *(u8 *)(r10 - 8)
        r1 = taken[0] ll
        r2 = *(u64 *)(r1 + 0)
        r2 += 1
        *(u64 *)(r1 + 0) = r2
        r2 = *(u64 *)(r1 + 8)
        r2 += r7
        *(u64 *)(r1 + 8) = r2
        r0 = 0                          # go on with the next one
        exit
";

fn take() -> Collection<'static> {
    parse(TAKE, "take.s", &ParseOptions::new()).unwrap_or_else(|error| panic!("{error}"))
}

fn load_take<'m>(loader: &mut Loader<'m>, spec: &'m TextSpec<'m>) -> rawbpf::Result<Program> {
    loader.load(&spec.program(ProgramType::SocketFilter))
}

/// Why this kernel cannot run [`TAKE`].
fn no_user_ring() -> Option<String> {
    let module = take();
    let spec = TextSpec::new(&module, &module.programs()[0], "take.s").unwrap();
    load_take(&mut Loader::new(), &spec).err().map(|error| error.to_string())
}

/// The number of samples taken, and the sum of their first bytes.
fn taken<'m>(loader: &mut Loader<'m>, module: &'m Collection<'m>) -> [u64; 2] {
    let map = loader.map(&module.maps()[1]).unwrap();
    <[u64; 2]>::from_bytes(&map.lookup(&0u32.to_ne_bytes()).unwrap().unwrap()).unwrap()
}

#[test]
fn a_program_takes_what_is_sent_to_it() {
    needs!(Bpf);
    needs_tried!("user ring buffers", no_user_ring());
    let (module, mut loader) = (take(), Loader::new());
    let spec = TextSpec::new(&module, &module.programs()[0], "take.s").unwrap();
    let program = load_take(&mut loader, &spec).unwrap();
    let orders = loader.map(&module.maps()[0]).unwrap().clone();
    let mut ring = UserRingBuf::open(&orders).unwrap();
    // The program returns how many samples it took.
    assert_eq!(run(&program, 1), 0);
    assert!(ring.send(&[5]).unwrap());
    let mut sample = ring.reserve(100).unwrap().unwrap();
    sample.bytes().fill(6);
    sample.commit();
    ring.reserve(100).unwrap().unwrap().bytes().fill(7);
    assert_eq!(run(&program, 1), 2);
    assert_eq!(taken(&mut loader, &module), [2, 11]);
    // An empty one is a sample too, though nothing can be read of it.
    assert!(ring.send(&[]).unwrap());
    assert_eq!(run(&program, 1), 1);

    // Round and round, to the last byte.
    let mut sent = 0u64;
    for length in [8, 24, 56, 4088] {
        let mut fit = 0;
        while ring.send(&vec![1; length]).unwrap() {
            fit += 1;
        }
        assert_eq!(fit, (64 << 10) / (length as u64 + 8));
        assert_eq!(u64::from(run(&program, 1)), fit);
        sent += fit;
    }
    assert_eq!(taken(&mut loader, &module), [3 + sent, 11 + sent]);
    // As large as the ring.
    assert!(ring.send(&vec![1; (64 << 10) - 8]).unwrap());
    assert_eq!(run(&program, 1), 1);
    assert!(matches!(ring.send(&vec![1; 64 << 10]), Err(Error::RecordSize { .. })));
}

#[test]
fn a_producer_waits_until_a_program_has_taken() {
    needs!(Bpf);
    needs_tried!("user ring buffers", no_user_ring());
    let (module, mut loader) = (take(), Loader::new());
    let spec = TextSpec::new(&module, &module.programs()[0], "take.s").unwrap();
    let program = load_take(&mut loader, &spec).unwrap();
    let orders = loader.map(&module.maps()[0]).unwrap().clone();
    let mut ring = UserRingBuf::open(&orders).unwrap();
    while ring.wait(Some(Instant::now())).unwrap() {}
    while ring.send(&[1; 1000]).unwrap() {}
    assert!(!ring.wait(after(5)).unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(5));
            run(&program, 1);
        });
        wait_until("it is woken", || ring.wait(after(10_000)).unwrap());
    });
    assert!(ring.send(&[1; 1000]).unwrap());
    // There is room, but nothing has been taken since.
    assert!(!ring.wait(after(5)).unwrap());
    let refused = UserRingBuf::open(&orders).unwrap_err().to_string();
    assert!(refused.contains("one in this process already"), "{refused}");
    // The next one goes on where it ended.
    drop(ring);
    let mut ring = UserRingBuf::open(&orders).unwrap();
    assert!(ring.send(&[9]).unwrap());
    assert_eq!(run(&program, 1), 2);
}
