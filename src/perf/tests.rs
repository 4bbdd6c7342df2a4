//! The reader over rings that a test writes: every damage that there can be, and two threads at once.

mod flight;
mod order;
mod records;

use super::*;
use crate::ring::fake::{self, Kernel};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::ops::ControlFlow::{Break, Continue};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::thread;

/// A record, kept.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kept {
    Sample(u32, Vec<u8>),
    Lost(u32, u64),
}

fn keep(record: Record<'_>) -> Kept {
    match record {
        Record::Sample { cpu, bytes, .. } => Kept::Sample(cpu, bytes.to_vec()),
        Record::Lost { cpu, count } => Kept::Lost(cpu, count),
    }
}

/// A reader of so many rings, of CPUs 0, 2, 4, …, whose first records are at `position`.
fn reader_at(position: u64, rings: u32, sample_size: Option<usize>) -> (PerfReader, Vec<Kernel>) {
    let options = PerfOptions::new().ring_size(1);
    let options = sample_size.map_or(options.clone(), |size| options.sample_size(size));
    reader_with(position, rings, &options)
}

/// The same with any options.
fn reader_with(position: u64, rings: u32, options: &PerfOptions) -> (PerfReader, Vec<Kernel>) {
    let mut reader = PerfReader::empty(options.check(ring::page_size()).unwrap()).unwrap();
    let mut kernels = Vec::new();
    for index in 0..rings {
        let (ring, mut kernel) = fake::ring(1, position);
        kernel.time = options.check(ring::page_size()).unwrap().layout.time.then_some(0);
        reader.add(index * 2, ring, None).unwrap();
        kernels.push(kernel);
    }
    (reader, kernels)
}

fn one(sample_size: Option<usize>) -> (PerfReader, Kernel) {
    let (reader, mut kernels) = reader_at(0, 1, sample_size);
    (reader, kernels.remove(0))
}

fn drain(reader: &mut PerfReader) -> Result<Vec<Kept>> {
    let mut kept = Vec::new();
    let count = reader.drain(|record| {
        kept.push(keep(record));
        Continue(())
    })?;
    assert_eq!(count, kept.len());
    Ok(kept)
}

fn size_of_ring() -> u64 {
    ring::page_size() as u64
}

#[test]
fn a_ring_is_a_power_of_two_of_pages() {
    let size =
        |bytes, page| PerfOptions::new().ring_size(bytes).check(page).map(|all| all.ring_size);
    assert_eq!(size(1, 4096), Ok(4096));
    assert_eq!(size(4096, 4096), Ok(4096));
    assert_eq!(size(4097, 4096), Ok(8192));
    assert_eq!(size(20_000, 4096), Ok(32_768));
    assert_eq!(size(20_000, 65_536), Ok(65_536));
    assert_eq!(size(65_537, 16_384), Ok(131_072));
    for impossible in [0, usize::MAX, isize::MAX as usize, (isize::MAX as usize >> 1) + 2] {
        assert!(size(impossible, 4096).is_err(), "{impossible}");
    }
}

#[test]
fn an_option_that_cannot_be_is_refused() {
    let page = 4096;
    let check = |options: PerfOptions| options.ring_size(page).check(page);
    let woken =
        |wakeup| check(PerfOptions::new().wakeup(wakeup)).map(|all| (all.wakeup, all.watermark));
    assert_eq!(woken(Wakeup::Events(7)), Ok((7, false)));
    assert_eq!(woken(Wakeup::Watermark(2048)), Ok((2048, true)));
    for wakeup in [Wakeup::Events(0), Wakeup::Watermark(0), Wakeup::Watermark(2049)] {
        assert!(woken(wakeup).is_err(), "{wakeup:?}");
    }
    // A record of exactly the ring would leave head and tail in the same place.
    assert!(check(PerfOptions::new().sample_size(4096 - 8 - 12)).is_ok());
    assert!(check(PerfOptions::new().sample_size(4096 - 12)).is_err());
    assert!(PerfOptions::new().ring_size(1 << 20).sample_size(65_516).check(page).is_ok());
    assert!(PerfOptions::new().ring_size(1 << 20).sample_size(65_517).check(page).is_err());
    assert!(PerfOptions::new().ring_size(1 << 20).sample_size(usize::MAX).check(page).is_err());
}

#[test]
fn without_a_size_the_filling_comes_with_the_sample() {
    let (mut reader, mut kernel) = one(None);
    // For the sizes that a real kernel makes of them, see `kernel_tests`.
    for (submitted, handed_out) in [(0, 4), (1, 4), (4, 4), (5, 12), (16, 20), (32, 36), (36, 36)] {
        assert!(kernel.send(&vec![7; submitted]));
        let mut expected = vec![7; submitted];
        expected.resize(handed_out, 0xee);
        assert_eq!(drain(&mut reader).unwrap(), [Kept::Sample(0, expected)]);
    }
}

#[test]
fn with_a_size_exactly_that_is_handed_out_wherever_the_ring_ends() {
    for size in [0, 1, 4, 11, 12, 13, 16, 32, 200] {
        let sample: Vec<u8> = (0..size).map(|n| n as u8).collect();
        for position in
            (0..size_of_ring()).step_by(8).step_by(1 + size_of_ring() as usize / 8 / 600)
        {
            let (mut reader, mut kernels) = reader_at(position, 1, Some(size));
            for _ in 0..2 {
                assert!(kernels[0].send(&sample));
            }
            let expected = Kept::Sample(0, sample.clone());
            assert_eq!(drain(&mut reader).unwrap(), [expected.clone(), expected]);
            assert_eq!(kernels[0].tail(), kernels[0].head());
        }
    }
}

#[test]
fn positions_may_pass_the_end_of_u64() {
    let (mut reader, mut kernels) = reader_at(u64::MAX - 39, 1, Some(16));
    for n in 0..5 {
        assert!(kernels[0].send(&[n; 16]));
    }
    assert_eq!(drain(&mut reader).unwrap().len(), 5);
    assert_eq!(kernels[0].tail(), 5 * 32 - 40);
}

#[test]
fn a_sample_of_another_size_is_an_error_and_passed_over() {
    let (mut reader, mut kernel) = one(Some(16));
    for sample in [&[1; 16][..], &[2; 24], &[3; 16], &[4; 4], &[5; 13]] {
        assert!(kernel.send(sample));
    }
    let mut kept = Vec::new();
    let mut next = || {
        let read = reader.drain(|record| {
            kept.push(keep(record));
            Continue(())
        });
        match read {
            Err(Error::SampleSize { cpu: 0, submitted: 16, recorded }) => Some(recorded),
            read => {
                read.unwrap();
                None
            }
        }
    };
    assert_eq!([next(), next(), next(), next()], [Some(28), Some(4), None, None]);
    // 13 bytes are filled up to 20 as 16 are: that could be, and is not noticed.
    let last = [[5; 13].as_slice(), &[0xee; 3]].concat();
    let expected = [vec![1; 16], vec![3; 16], last].map(|bytes| Kept::Sample(0, bytes));
    assert_eq!(kept, expected);

    // The call after an error reads everything again, also what has come since.
    let (mut reader, mut kernels) = reader_at(0, 3, Some(4));
    assert!(kernels[1].send(&[0; 8]) && kernels[1].send(&[1; 4]));
    assert!(drain(&mut reader).is_err());
    for kernel in &mut kernels {
        assert!(kernel.send(&[2; 4]));
    }
    assert_eq!(drain(&mut reader).unwrap().len(), 4);
}

#[test]
fn lost_samples_are_told_in_their_place_and_counted_for_each_cpu() {
    let (mut reader, mut kernels) = reader_at(0, 2, Some(4));
    kernels[0].put(&fake::sample(&[1; 4]));
    kernels[0].put(&fake::lost(3));
    kernels[0].put(&fake::sample(&[2; 4]));
    kernels[0].publish();
    kernels[1].put(&fake::lost(u64::MAX - 5));
    kernels[1].publish();
    let expected = [
        Kept::Sample(0, vec![1; 4]),
        Kept::Lost(0, 3),
        Kept::Sample(0, vec![2; 4]),
        Kept::Lost(2, u64::MAX - 5),
    ];
    assert_eq!(drain(&mut reader).unwrap(), expected);
    assert_eq!(reader.lost_per_cpu().collect::<Vec<_>>(), [(0, 3), (2, u64::MAX - 5)]);
    assert_eq!(reader.lost(), u64::MAX - 2);
    // A number that no kernel could count to does not overflow.
    kernels[1].put(&fake::lost(u64::MAX));
    kernels[1].publish();
    drain(&mut reader).unwrap();
    assert_eq!(reader.lost(), u64::MAX);
}

#[test]
fn what_was_not_asked_for_is_passed_over() {
    let (mut reader, mut kernel) = one(Some(4));
    kernel.put(&fake::record(5, &[])); // PERF_RECORD_THROTTLE, cut short
    kernel.put(&fake::record(u32::MAX, &[0xff; 400]));
    kernel.put(&fake::sample(&[1; 4]));
    kernel.publish();
    assert_eq!(drain(&mut reader).unwrap(), [Kept::Sample(0, vec![1; 4])]);
    assert_eq!(kernel.tail(), kernel.head());
}

#[test]
fn a_record_that_cannot_be_empties_its_ring_and_no_more() {
    let sample = |recorded: u32, size: u16| {
        let mut bytes = fake::header(fake::SAMPLE, size).to_vec();
        bytes.extend_from_slice(&recorded.to_ne_bytes());
        bytes.resize(64, 1);
        bytes
    };
    let lost = |size: u16| {
        let mut bytes = fake::header(fake::LOST, size).to_vec();
        bytes.resize(64, 1);
        bytes
    };
    for (bytes, expected) in [
        (vec![0; 64], "shorter than its header"),
        (sample(4, 0), "shorter than its header"),
        (sample(4, 4), "shorter than its header"),
        (sample(4, 7), "shorter than its header"),
        (sample(4, 12), "not a multiple of 8"),
        (sample(4, u16::MAX), "not a multiple of 8"),
        (sample(4, 72), "beyond what was written"),
        (sample(4, 65_528), "beyond what was written"),
        (sample(4, 8), "without its size"),
        (sample(5, 16), "beyond its record"),
        (sample(53, 64), "beyond its record"),
        (sample(u32::MAX, 64), "beyond its record"),
        (sample(u32::MAX - 11, 64), "beyond its record"),
        (sample(65_588, 64), "more than a record can hold"),
        (lost(8), "without their number"),
        (lost(16), "without their number"),
        (vec![9, 0, 0, 0, 0], "less than a header"),
    ] {
        // At the ring's start and across its end; with a size and without.
        for (position, size) in [(0, None), (size_of_ring() - 40, None), (0, Some(4))] {
            let (mut reader, mut kernels) = reader_at(position, 2, size);
            kernels[0].put(&fake::sample(&[1; 4]));
            kernels[0].put(&bytes);
            kernels[0].publish();
            kernels[1].send(&[2; 4]);
            let mut kept = Vec::new();
            let error = reader.drain(|record| {
                kept.push(keep(record));
                Continue(())
            });
            match error {
                Err(Error::CorruptRing { cpu: 0, position: at, problem }) => {
                    assert!(problem.contains(expected), "{problem:?} is not {expected:?}");
                    assert_eq!(at, position + 16);
                }
                other => panic!("{expected:?}: {other:?}"),
            }
            // The records before it have been read, and so has the other ring.
            assert_eq!(kept, [Kept::Sample(0, vec![1; 4]), Kept::Sample(2, vec![2; 4])]);
            assert_eq!(kernels[0].tail(), kernels[0].head());
            // And so will be what comes after it, as soon as it begins where a record can begin.
            if kernels[0].head() % 8 == 0 {
                assert!(kernels[0].send(&[3; 4]));
                assert_eq!(drain(&mut reader).unwrap(), [Kept::Sample(0, vec![3; 4])]);
            }
        }
    }
}

#[test]
fn a_head_that_cannot_be_is_not_followed() {
    let ring = size_of_ring();
    for head in [ring + 8, ring + 1, ring * 2, u64::MAX, u64::MAX - 7, 1 << 63] {
        for position in [0, 64, ring - 8] {
            let (mut reader, mut kernels) = reader_at(position, 1, None);
            let kernel = &mut kernels[0];
            kernel.set_head(position.wrapping_add(head));
            match drain(&mut reader) {
                Err(Error::CorruptRing { cpu: 0, position: at, problem }) => {
                    assert!(problem.contains("more than a ring away"), "{problem}");
                    assert_eq!(at, position);
                }
                other => panic!("{head}: {other:?}"),
            }
            assert_eq!(kernel.tail(), kernel.head());
            assert_eq!(drain(&mut reader).unwrap(), []);
        }
    }
    // A distance of exactly a ring is valid, if the records there are.
    let (mut reader, mut kernel) = one(None);
    kernel.put(&fake::record(9, &vec![0; ring.min(65_528) as usize - 8]));
    if kernel.head() == ring {
        kernel.publish();
        assert_eq!(drain(&mut reader).unwrap().len(), 1);
    }
}

#[test]
fn break_leaves_the_rest() {
    let (mut reader, mut kernel) = one(Some(1));
    for n in 0..5 {
        assert!(kernel.send(&[n]));
    }
    for n in 0..5 {
        let mut kept = Vec::new();
        let count = reader.drain(|record| {
            kept.push(keep(record));
            Break(())
        });
        assert_eq!((count.unwrap(), kept), (1, vec![Kept::Sample(0, vec![n])]));
        assert_eq!(kernel.tail(), u64::from(n + 1) * 16);
    }
    assert_eq!(drain(&mut reader).unwrap(), []);
}

#[test]
fn a_drain_after_a_break_leaves_nothing_behind() {
    let (mut reader, mut kernels) = reader_at(0, 3, Some(1));
    for kernel in &mut kernels {
        assert!(kernel.send(&[1]) && kernel.send(&[2]));
    }
    reader.drain(|_| Break(())).unwrap();
    // It has not seen these yet, also not in the ring that it is in the middle of.
    for kernel in &mut kernels {
        assert!(kernel.send(&[3]));
    }
    assert_eq!(drain(&mut reader).unwrap().len(), 3 * 3 - 1);
    assert!(kernels.iter().all(|kernel| kernel.tail() == kernel.head()));
}

#[test]
fn a_busy_cpu_does_not_keep_the_others_waiting() {
    let (mut reader, mut kernels) = reader_at(0, 2, Some(1));
    assert!(kernels[1].send(&[1]));
    // CPU 0 always has one more by the time that it is read, and its consumer takes one at a time.
    let mut before = 0;
    for _ in 0..3 {
        assert!(kernels[0].send(&[0]));
    }
    'read: loop {
        let mut seen = None;
        reader
            .drain(|record| {
                seen = Some(keep(record));
                Break(())
            })
            .unwrap();
        match seen {
            Some(Kept::Sample(0, _)) => before += 1,
            _ => break 'read,
        }
        assert!(kernels[0].send(&[0]));
        assert!(before < 10, "CPU 2 is starved");
    }
    assert_eq!(before, 3);

    // Without a break too: what comes while a ring is read is for the next time.
    let (mut reader, mut kernels) = reader_at(0, 2, Some(1));
    assert!(kernels[0].send(&[0]) && kernels[1].send(&[0]));
    let mut cpus = Vec::new();
    let read = reader.drain(|record| {
        if let Kept::Sample(cpu, _) = keep(record) {
            cpus.push(cpu);
        }
        kernels[0].send(&[0]);
        Continue(())
    });
    assert_eq!((read.unwrap(), cpus), (2, vec![0, 2]));
}

#[test]
fn room_is_handed_back_while_a_full_ring_is_read() {
    let (mut reader, mut kernel) = one(Some(4));
    while kernel.send(&[1; 4]) {}
    let full = kernel.head();
    let (mut read, mut furthest, mut stores, mut tail) = (0, 0, 0, 0);
    let count = reader.drain(|_| {
        furthest = furthest.max(read - kernel.tail());
        stores += u32::from(std::mem::replace(&mut tail, kernel.tail()) != kernel.tail());
        read += 16;
        Continue(())
    });
    assert_eq!(count.unwrap() as u64, full / 16);
    assert!(furthest < size_of_ring() / 8, "{furthest} bytes had been read and not handed back");
    assert!(stores <= 8, "{stores} stores of the tail");
}

#[test]
fn a_consumer_that_panics_has_had_its_record() {
    let (mut reader, mut kernel) = one(Some(1));
    for n in 0..3 {
        assert!(kernel.send(&[n]));
    }
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        reader.drain(|record| match keep(record) {
            Kept::Sample(0, bytes) if bytes == [1] => std::panic::resume_unwind(Box::new(())),
            _ => Continue(()),
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(kernel.tail(), 2 * 16);
    assert_eq!(drain(&mut reader).unwrap(), [Kept::Sample(0, vec![2])]);
}

/// The number that a sample of [`produce`] carries.
fn number(bytes: &[u8]) -> u64 {
    u64::from_ne_bytes(*bytes.first_chunk().unwrap())
}

#[test]
fn nothing_is_left_behind_while_others_go_on_sending() {
    const SAMPLES: u64 = 30_000;
    let (mut reader, kernels) = reader_at(size_of_ring() - 16, 2, Some(20));
    let sent = [const { std::sync::atomic::AtomicU64::new(0) }; 2];
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for (mut kernel, sent) in kernels.into_iter().zip(&sent) {
            threads.push(scope.spawn(move || {
                for n in 0..SAMPLES {
                    let mut bytes = [0; 20];
                    bytes[..8].copy_from_slice(&n.to_ne_bytes());
                    bytes[12..].copy_from_slice(&(!n).to_ne_bytes());
                    if kernel.send(&bytes) {
                        sent.store(kernel.sent, Ordering::Release);
                    } else {
                        thread::yield_now();
                    }
                }
                kernel
            }));
        }
        // For each ring: how many came, and the number that comes next if none is lost.
        let mut seen = [(0, 0); 2];
        let mut last = false;
        loop {
            let at_least = [0, 1].map(|ring: usize| sent[ring].load(Ordering::Acquire));
            reader
                .drain(|record| {
                    match record {
                        Record::Sample { cpu, bytes, .. } => {
                            let (count, next) = &mut seen[cpu as usize / 2];
                            assert_eq!(number(bytes), *next, "a sample of CPU {cpu}");
                            assert_eq!(number(&bytes[12..]), !*next);
                            *count += 1;
                            *next += 1;
                        }
                        Record::Lost { cpu, count } => seen[cpu as usize / 2].1 += count,
                    }
                    Continue(())
                })
                .unwrap();
            for (ring, at_least) in at_least.into_iter().enumerate() {
                let count = seen[ring].0;
                assert!(count >= at_least, "{count} came of {at_least} that were there");
            }
            if last {
                break;
            }
            last = threads.iter().all(|thread| thread.is_finished());
        }
        for (thread, (count, next)) in threads.into_iter().zip(seen) {
            let kernel = thread.join().unwrap();
            assert_eq!((count, kernel.tail()), (kernel.sent, kernel.head()));
            assert_eq!(kernel.sent + kernel.all_lost, SAMPLES);
            // All losses have been reported but those after the last sample that was written.
            assert!(next <= SAMPLES && next >= kernel.sent);
        }
    });
}

fn after(milliseconds: u64) -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(milliseconds))
}

/// Polls until something other than a signal ends it; the whole test run may be stopped and
/// continued.
fn poll(reader: &mut PerfReader, deadline: Option<Instant>) -> (Polled, usize) {
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
fn a_deadline_ends_the_wait_and_not_earlier() {
    let (mut reader, mut kernel) = one(None);
    let deadline = after(20);
    assert_eq!(poll(&mut reader, deadline), (Polled::Deadline, 0));
    assert!(Instant::now() >= deadline.unwrap());
    // A deadline that has passed is a look; records without a wake-up are read too.
    kernel.send(&[1]);
    assert_eq!(poll(&mut reader, Some(Instant::now())), (Polled::Deadline, 1));
    // And what comes during the wait without waking anybody is read at its end.
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(5));
            kernel.send(&[1]);
        });
        assert_eq!(poll(&mut reader, after(100)), (Polled::Deadline, 1));
    });
}

#[test]
fn what_is_there_is_not_waited_for() {
    let (mut reader, mut kernels) = reader_at(0, 2, None);
    kernels[0].send(&[1]);
    kernels[1].send(&[1]);
    assert_eq!(poll(&mut reader, None), (Polled::Records, 2));
}

#[test]
fn the_kernel_ends_the_wait() {
    let (mut reader, mut kernel) = one(None);
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(5));
            kernel.send(&[1]);
            kernel.wake();
        });
        assert_eq!(poll(&mut reader, None), (Polled::Records, 1));
    });
    kernel.reported();
    assert_eq!(poll(&mut reader, after(1)), (Polled::Deadline, 0));
}

#[test]
fn a_waker_ends_the_wait_now_or_the_next_one_once() {
    let (mut reader, mut kernel) = one(None);
    let waker = reader.waker();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(5));
            waker.wake();
        });
        assert_eq!(poll(&mut reader, None), (Polled::Woken, 0));
    });
    waker.wake();
    waker.clone().wake();
    kernel.send(&[1]);
    assert_eq!(poll(&mut reader, None), (Polled::Woken, 1), "it reads also then");
    assert_eq!(poll(&mut reader, after(1)), (Polled::Deadline, 0));
    // A counter whose flag was answered before it was written, which two threads can bring about.
    waker.count_without_flag();
    // (The time may be over before anybody has looked.)
    let end = after(10_000).unwrap();
    while waker.counted() {
        assert_eq!(poll(&mut reader, after(1)), (Polled::Deadline, 0));
        assert!(Instant::now() < end, "the counter is left for the next wait");
    }
    drop(reader);
    waker.wake();
}

#[test]
fn no_wake_is_lost() {
    let (mut reader, _kernel) = one(None);
    let waker = reader.waker();
    let answered = std::sync::atomic::AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..2_000 {
                waker.wake();
                while answered.load(Ordering::Acquire) == n {
                    thread::yield_now();
                }
            }
        });
        for n in 1..=2_000 {
            assert_eq!(poll(&mut reader, after(10_000)), (Polled::Woken, 0), "wake {n}");
            answered.store(n, Ordering::Release);
        }
    });
}

#[test]
fn break_comes_before_every_other_reason() {
    let (mut reader, mut kernel) = one(None);
    reader.waker().wake();
    kernel.send(&[1]);
    kernel.send(&[2]);
    let polled = reader.poll(Some(Instant::now()), |_| Break(()));
    assert_eq!(polled.unwrap(), Polled::Stopped);
    assert_eq!(poll(&mut reader, Some(Instant::now())), (Polled::Woken, 1));
}

#[test]
fn a_reader_can_move_to_another_thread() {
    fn send<T: Send + Sync + 'static>(_: &T) {}
    let (reader, _kernel) = one(None);
    send(&reader);
    send(&reader.waker());
}

/// Some samples that a program sends, by size, and how often the reader looks.
fn traffic() -> impl Strategy<Value = Vec<Option<(u8, usize)>>> {
    let sample = prop_oneof![
        8 => (any::<u8>(), 0..80usize).prop_map(Some),
        1 => (any::<u8>(), 0..2000usize).prop_map(Some),
        2 => Just(None),
    ];
    prop::collection::vec(sample, 0..200)
}

proptest! {
    /// The records that a correct kernel writes are read in order, with losses reported where they
    /// happened.
    #[test]
    fn what_is_sent_is_what_is_read(start in 0..1_000_000u64, traffic in traffic()) {
        let (mut reader, mut kernels) = reader_at(start * 8, 1, None);
        let kernel = &mut kernels[0];
        let mut expected = VecDeque::new();
        let mut lost = 0;
        for step in traffic.into_iter().chain([None, None]) {
            if let Some((byte, size)) = step {
                if kernel.send(&vec![byte; size]) {
                    if lost > 0 {
                        expected.push_back(Kept::Lost(0, lost));
                        lost = 0;
                    }
                    expected.push_back(Kept::Sample(0, vec![byte; size]));
                } else {
                    lost += 1;
                }
                continue;
            }
            for record in drain(&mut reader).unwrap() {
                let expected = expected.pop_front();
                match (&record, &expected) {
                    (Kept::Sample(0, read), Some(Kept::Sample(0, sent))) => {
                        // Without a size: the sample, and less than 8 bytes behind it.
                        prop_assert!(read.starts_with(sent) && read.len() - sent.len() < 8);
                    }
                    _ => prop_assert_eq!(Some(&record), expected.as_ref()),
                }
            }
            prop_assert_eq!(&expected, &VecDeque::new());
            prop_assert_eq!(kernel.tail(), kernel.head());
        }
        prop_assert_eq!(reader.lost() + lost, kernel.all_lost);
    }

    /// Whatever is in a ring, and whatever position its head has: reading ends, and returns only
    /// bytes of the ring.
    #[test]
    fn anything_at_all_gets_an_answer(
        position in any::<u64>(),
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        head in prop_oneof![Just(None), any::<u64>().prop_map(Some), (0..5000u64).prop_map(Some)],
        size in prop_oneof![Just(None), (0..100usize).prop_map(Some)],
        breaks in any::<bool>(),
    ) {
        let (mut reader, mut kernels) = reader_at(position, 1, size);
        let kernel = &mut kernels[0];
        kernel.put(&bytes);
        kernel.set_head(head.map_or(kernel.head(), |head| position.wrapping_add(head)));
        // Each call reads at least one record, passes over what is wrong or finds nothing more.
        for _ in 0..size_of_ring() / 8 + 2 {
            let _ = reader.drain(|record| {
                let _ = keep(record);
                if breaks { Break(()) } else { Continue(()) }
            });
        }
        prop_assert_eq!(kernel.tail(), kernel.head());
    }

    /// The same for records whose headers make sense and whose insides need not: they reach further.
    #[test]
    fn any_record_gets_an_answer(
        position in 0..600u64,
        records in prop::collection::vec(
            (prop_oneof![Just(2u32), Just(9u32), any::<u32>()], 0..12u16, any::<u8>(), prop_oneof![
                0..100u32, any::<u32>(),
            ]),
            0..30,
        ),
        size in prop_oneof![Just(None), (0..100usize).prop_map(Some)],
    ) {
        let (mut reader, mut kernels) = reader_at(position * 8, 1, size);
        let kernel = &mut kernels[0];
        for (kind, words, byte, first) in records {
            let mut record = fake::header(kind, words * 8).to_vec();
            record.extend_from_slice(&first.to_ne_bytes());
            record.resize(usize::from(words) * 8, byte);
            kernel.put(&record);
        }
        kernel.publish();
        for _ in 0..40 {
            let _ = reader.drain(|record| {
                let _ = keep(record);
                Continue(())
            });
        }
        prop_assert_eq!(kernel.tail(), kernel.head());
    }
}
