//! The reader and the producer over rings that a test shares: every damage that there can be, and two threads at once.

use super::*;
use crate::plain;
use crate::ring::fake_bpf::{self as fake, Kernel};
use crate::ring::page_size;
use crate::util::pod::Plain;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::ops::ControlFlow::{Break, Continue};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// A reader of so many rings of a page, whose first records are at `position`.
fn reader_at(position: usize, rings: usize) -> (RingBufReader, Vec<Kernel>) {
    let mut reader = RingBufReader::empty().unwrap();
    let mut kernels = Vec::new();
    for index in 0..rings {
        let (ring, kernel) = fake::ring(1, position);
        assert_eq!(reader.insert(ring, "events", None).unwrap(), index);
        kernels.push(kernel);
    }
    (reader, kernels)
}

fn one() -> (RingBufReader, Kernel) {
    let (reader, mut kernels) = reader_at(0, 1);
    (reader, kernels.remove(0))
}

type Kept = (usize, Vec<u8>);

fn drain(reader: &mut RingBufReader) -> Result<Vec<Kept>> {
    let mut kept = Vec::new();
    let count = reader.drain(|record| {
        kept.push((record.ring, record.bytes.to_vec()));
        Continue(())
    })?;
    assert_eq!(count, kept.len());
    Ok(kept)
}

/// The same record by record.
fn one_by_one(reader: &mut RingBufReader) -> Result<Vec<Kept>> {
    let mut kept = Vec::new();
    let mut records = reader.records();
    while let Some(record) = records.next()? {
        kept.push((record.ring, record.bytes.to_vec()));
    }
    Ok(kept)
}

/// The same by copies.
fn copied(reader: &mut RingBufReader) -> Result<Vec<Kept>> {
    let mut kept = Vec::new();
    let count = reader.drain_copied(|record| {
        kept.push((record.ring, record.bytes.to_vec()));
        Continue(())
    })?;
    assert_eq!(count, kept.len());
    Ok(kept)
}

type Way = fn(&mut RingBufReader) -> Result<Vec<Kept>>;
const WAYS: [Way; 3] = [drain, one_by_one, copied];

#[test]
fn records_come_as_they_were_sent_wherever_the_ring_ends() {
    for way in WAYS {
        for len in [0, 1, 7, 8, 9, 16, 100, 1000] {
            let bytes: Vec<u8> = (0..len).map(|n| n as u8).collect();
            for position in (0..page_size()).step_by(8 * (1 + page_size() / 4096)) {
                let (mut reader, mut kernels) = reader_at(position, 1);
                let kernel = &mut kernels[0];
                assert!(kernel.send(&bytes) && kernel.send(&[9]));
                let expected = [(0, bytes.clone()), (0, vec![9])];
                assert_eq!(way(&mut reader).unwrap(), expected);
                assert_eq!(kernel.consumer(), kernel.position());
            }
        }
    }
}

#[test]
fn positions_may_pass_the_end() {
    for way in WAYS {
        let (mut reader, mut kernels) = reader_at(usize::MAX - 39, 1);
        for n in 0..5 {
            assert!(kernels[0].send(&[n; 16]));
        }
        assert_eq!(way(&mut reader).unwrap().len(), 5);
        assert_eq!(kernels[0].consumer(), 5 * 24 - 40);
    }
}

#[test]
fn a_record_that_is_not_finished_is_waited_for() {
    for way in WAYS {
        let (mut reader, mut kernel) = one();
        kernel.send(&[1]);
        let second = kernel.reserve(&[2]).unwrap();
        let third = kernel.reserve(&[3]).unwrap();
        kernel.submit(third);
        assert_eq!(way(&mut reader).unwrap(), [(0, vec![1])]);
        assert_eq!(kernel.consumer(), 16);
        assert_eq!(way(&mut reader).unwrap(), []);
        assert!(!reader.rings[0].ring.is_ready());
        kernel.submit(second);
        assert!(reader.rings[0].ring.is_ready());
        assert_eq!(way(&mut reader).unwrap(), [(0, vec![2]), (0, vec![3])]);
        assert!(!reader.rings[0].ring.is_ready());
    }
}

#[test]
fn what_was_thrown_away_is_passed_over() {
    for way in WAYS {
        let (mut reader, mut kernel) = one();
        for (n, keep) in [(1, false), (2, true), (3, false), (4, false), (5, true), (6, false)] {
            let record = kernel.reserve(&[n; 30]).unwrap();
            if keep { kernel.submit(record) } else { kernel.discard(record) }
        }
        assert_eq!(way(&mut reader).unwrap(), [(0, vec![2; 30]), (0, vec![5; 30])]);
        assert_eq!(kernel.consumer(), kernel.position());
    }
}

#[test]
fn a_ring_that_cannot_be_is_left_where_it_is() {
    // The length is the first of the two words of a header.
    let header = |len: u64| if cfg!(target_endian = "big") { len << 32 } else { len };
    let record = |len: u64| vec![header(len), 1, 2, 3];
    for (words, expected) in [
        (record(25), "beyond what was written"),
        (record(1 << 29), "beyond what was written"),
        (record((1 << 30) - 1), "beyond what was written"),
        (record((1 << 30) | 4000), "beyond what was written"),
        (vec![0, 0, header(16)], "beyond what was written"),
    ] {
        for way in WAYS {
            let (mut reader, mut kernels) = reader_at(page_size() - 8, 2);
            kernels[0].send(&[1]);
            kernels[0].put(&words);
            kernels[1].send(&[2]);
            // The damaged ring comes first, and again.
            for _ in 0..2 {
                match way(&mut reader) {
                    Err(Error::CorruptRingBuffer { map, position, problem }) => {
                        assert!(problem.contains(expected), "{problem:?} is not {expected:?}");
                        assert_eq!(map, "events");
                        assert!(position >= page_size() as u64 + 8);
                    }
                    other => panic!("{other:?}"),
                }
            }
            let _ = way(&mut reader);
            assert_eq!(kernels[1].consumer(), kernels[1].position());
            assert!(kernels[0].consumer() < kernels[0].position());
        }
    }
}

#[test]
fn positions_that_cannot_be_are_not_followed() {
    for way in WAYS {
        for ahead in [page_size() + 8, page_size() + 1, usize::MAX, 1 << 31] {
            let (mut reader, mut kernel) = one();
            kernel.set_producer(ahead);
            let error = way(&mut reader).unwrap_err().to_string();
            assert!(error.contains("more than a ring away"), "{error}");
            assert_eq!(kernel.consumer(), 0);
        }
        let (mut reader, mut kernel) = one();
        kernel.set_producer(4);
        let error = way(&mut reader).unwrap_err().to_string();
        assert!(error.contains("less than a header"), "{error}");
        for start in [1, 4, 7] {
            let corrupt = fake::try_ring(1, start).0.unwrap_err();
            assert!(matches!(corrupt, Claimed::Corrupt(_)), "{corrupt:?}");
        }
    }
}

/// Records that another reader takes while copies are handed out may have been overwritten since.
#[test]
fn what_another_reader_takes_meanwhile_is_not_taken_for_a_copy() {
    let (mut reader, mut kernel) = one();
    for n in 0..4 {
        kernel.send(&[n; 20]);
    }
    let mut kept = Vec::new();
    let read = reader.drain_copied(|record| {
        kept.push(record.bytes.to_vec());
        if kept.len() == 2 {
            kernel.set_consumer(3 * 32);
        }
        Continue(())
    });
    let error = read.unwrap_err().to_string();
    assert!(error.contains("has another reader"), "{error}");
    assert_eq!(kept, [vec![0; 20], vec![1; 20]]);
    assert_eq!(copied(&mut reader).unwrap(), [(0, vec![3; 20])]);
    // Each is handed back before the next one is copied.
    assert_eq!(kernel.consumer(), 4 * 32);
}

#[test]
fn another_reader_is_noticed() {
    for way in WAYS {
        let (mut reader, mut kernel) = one();
        for n in 0..4 {
            kernel.send(&[n]);
        }
        kernel.set_consumer(32);
        let error = way(&mut reader).unwrap_err().to_string();
        assert!(error.contains("has another reader"), "{error}");
        // The records that it left are read.
        assert_eq!(way(&mut reader).unwrap(), [(0, vec![2]), (0, vec![3])]);
        kernel.set_consumer(61);
        let error = way(&mut reader).unwrap_err().to_string();
        assert!(error.contains("not a multiple of 8"), "{error}");
    }
}

#[test]
fn break_leaves_the_rest_and_starves_nobody() {
    let (mut reader, mut kernels) = reader_at(0, 2);
    for n in 0..3 {
        kernels[0].send(&[n]);
    }
    kernels[1].send(&[9]);
    let mut next = || {
        let mut kept = None;
        let count = reader.drain(|record| {
            kept = Some((record.ring, record.bytes.to_vec()));
            Break(())
        });
        assert_eq!(count.unwrap(), usize::from(kept.is_some()));
        kept
    };
    let expected = [(0, vec![0]), (0, vec![1]), (0, vec![2]), (1, vec![9])];
    for record in expected {
        assert_eq!(next(), Some(record));
    }
    assert_eq!(next(), None);

    // The same with a loop that is left.
    let (mut reader, mut kernels) = reader_at(0, 2);
    kernels[0].send(&[1]);
    kernels[0].send(&[2]);
    kernels[1].send(&[3]);
    for expected in [&[1][..], &[2], &[3]] {
        assert_eq!(reader.records().next().unwrap().unwrap().bytes, expected);
    }
    assert!(reader.records().next().unwrap().is_none());
    // The records that are left after that are all read, also those that came since.
    kernels[0].send(&[1]);
    kernels[0].send(&[2]);
    reader.records().next().unwrap();
    kernels[0].send(&[3]);
    kernels[1].send(&[4]);
    assert_eq!(drain(&mut reader).unwrap().len(), 3);
}

#[test]
fn a_batch_that_is_leaked_comes_again() {
    let (mut reader, mut kernel) = one();
    kernel.send(&[1]);
    let mut records = reader.records();
    assert_eq!(records.next().unwrap().unwrap().bytes, [1]);
    std::mem::forget(records);
    assert_eq!(kernel.consumer(), 0);
    assert_eq!(drain(&mut reader).unwrap(), [(0, vec![1])]);
}

#[test]
fn room_is_handed_back_while_a_full_ring_is_read() {
    let fill = || {
        let (reader, mut kernel) = one();
        while kernel.send(&[1; 8]) {}
        (reader, kernel)
    };
    let (mut reader, kernel) = fill();
    let (mut read, mut furthest, mut stores, mut tail) = (0, 0, 0, 0);
    let mut look = || {
        furthest = furthest.max(read - kernel.consumer());
        stores += u32::from(std::mem::replace(&mut tail, kernel.consumer()) != kernel.consumer());
        read += 16;
    };
    reader
        .drain(|_| {
            look();
            Continue(())
        })
        .unwrap();
    assert!(furthest < page_size() / 8 && stores <= 8, "{furthest} {stores}");

    let (mut reader, kernel) = fill();
    let (mut read, mut furthest) = (0, 0);
    let mut records = reader.records();
    while records.next().unwrap().is_some() {
        furthest = furthest.max(read - kernel.consumer());
        read += 16;
    }
    assert!(furthest <= page_size() / 8, "{furthest}");
    drop(records);
    assert_eq!(kernel.consumer(), kernel.position());
}

#[test]
fn a_consumer_that_panics_has_had_its_record() {
    let (mut reader, mut kernel) = one();
    for n in 0..3 {
        kernel.send(&[n]);
    }
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        reader.drain(|record| match record.bytes {
            [1] => std::panic::resume_unwind(Box::new(())),
            _ => Continue(()),
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(kernel.consumer(), 2 * 16);
    assert_eq!(drain(&mut reader).unwrap(), [(0, vec![2])]);
}

plain! {
    #[derive(Debug, PartialEq, Eq)]
    #[repr(C)]
    struct Event {
        time: u64,
        pid: u32,
        cpu: u32,
    }
}

#[test]
fn values_of_a_type_are_what_was_sent_and_nothing_else() {
    let (mut reader, mut kernels) = reader_at(0, 2);
    let event = |time| Event { time, pid: 7, cpu: 1 };
    kernels[0].send(&event(1).to_bytes());
    kernels[0].send(&[1; 15]);
    kernels[0].send(&[1; 17]);
    kernels[0].send(&event(2).to_bytes());
    kernels[1].send(&event(3).to_bytes());
    let mut typed = reader.records().typed::<Event>();
    assert_eq!(typed.next().unwrap().unwrap(), event(1));
    for len in [15, 17] {
        match typed.next() {
            Some(Err(Error::RecordSize { map, has, needs: 16 })) => {
                assert_eq!((map.as_str(), has), ("events", len));
            }
            other => panic!("{other:?}"),
        }
    }
    let rest: Vec<Event> = typed.map(Result::unwrap).collect();
    assert_eq!(rest, [event(2), event(3)]);

    // A consumer that returns nothing reads on to the end.
    kernels[0].send(&event(4).to_bytes());
    kernels[0].send(&[1; 15]);
    kernels[1].send(&event(5).to_bytes());
    let mut values = Vec::new();
    assert_eq!(reader.drain(|record| values.push(record.value::<Event>())).unwrap(), 3);
    values.sort_by_key(|event| event.as_ref().map(|event| event.time));
    assert_eq!(values, [None, Some(event(4)), Some(event(5))]);
}

fn after(milliseconds: u64) -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(milliseconds))
}

#[test]
fn what_is_there_is_not_waited_for_and_a_deadline_is() {
    let (mut reader, mut kernel) = one();
    kernel.send(&[1]);
    assert_eq!(reader.poll(None, |_| Continue(())).unwrap(), Polled::Records);
    let deadline = after(20);
    loop {
        match reader.poll(deadline, |_| Continue(())).unwrap() {
            Polled::Interrupted => {}
            polled => break assert_eq!(polled, Polled::Deadline),
        }
    }
    assert!(Instant::now() >= deadline.unwrap());
    reader.waker().wake();
    assert_eq!(reader.poll(None, |_| Continue(())).unwrap(), Polled::Woken);
}

#[test]
fn readers_and_producers_can_move_to_another_thread() {
    fn send<T: Send + Sync + 'static>() {}
    send::<RingBufReader>();
    send::<UserRingBuf>();
    send::<Waker>();
}

#[test]
fn nothing_is_left_behind_while_others_go_on_sending() {
    const RECORDS: usize = 30_000;
    let (mut reader, kernels) = reader_at(page_size() - 16, 2);
    let sent = [const { AtomicUsize::new(0) }; 2];
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for (mut kernel, sent) in kernels.into_iter().zip(&sent) {
            threads.push(scope.spawn(move || {
                for n in 0..RECORDS {
                    let mut bytes = vec![n as u8; 12 + n % 50];
                    bytes[..8].copy_from_slice(&n.to_ne_bytes());
                    let record = loop {
                        match kernel.reserve(&bytes) {
                            Some(record) => break record,
                            None => thread::yield_now(),
                        }
                    };
                    if n % 5 == 3 {
                        kernel.discard(record)
                    } else {
                        kernel.submit(record)
                    }
                    sent.store(n + 1, Ordering::Release);
                }
            }));
        }
        let mut next = [0; 2];
        for turn in 0.. {
            let last = threads.iter().all(|thread| thread.is_finished());
            let at_least = [0, 1].map(|ring: usize| sent[ring].load(Ordering::Acquire));
            let mut see = |record: Record<'_>| {
                let next = &mut next[record.ring];
                *next += usize::from(*next % 5 == 3);
                let number = usize::from_ne_bytes(*record.bytes.first_chunk().unwrap());
                assert_eq!((number, record.bytes.len()), (*next, 12 + *next % 50));
                assert!(record.bytes[8..].iter().all(|byte| *byte == number as u8));
                *next += 1;
            };
            if turn % 2 == 0 {
                let read = |record: Record<'_>| {
                    see(record);
                    Continue(())
                };
                reader.drain(read).unwrap();
            } else {
                let mut records = reader.records();
                while let Some(record) = records.next().unwrap() {
                    see(record);
                }
            }
            for (next, at_least) in next.into_iter().zip(at_least) {
                assert!(next + usize::from(next % 5 == 3) >= at_least, "{next} of {at_least}");
            }
            if last {
                break;
            }
        }
    });
}

fn producer_at(position: usize) -> (UserRingBuf, Kernel) {
    let (ring, kernel) = fake::user_ring(1, position);
    (UserRingBuf::over(ring, "orders", None).unwrap(), kernel)
}

#[test]
fn what_is_committed_is_what_a_program_gets() {
    for position in (0..page_size()).step_by(8).chain([usize::MAX - 39]) {
        let (mut ring, mut kernel) = producer_at(position);
        assert!(ring.send(&[1; 13]).unwrap());
        let mut sample = ring.reserve(30).unwrap().unwrap();
        sample.bytes().fill(2);
        sample.commit();
        // Begun and thrown away: it has never been there.
        ring.reserve(50).unwrap().unwrap().bytes().fill(3);
        assert!(ring.send(&[]).unwrap());
        assert_eq!(kernel.take(), Some(vec![1; 13]));
        assert_eq!(kernel.take(), Some(vec![2; 30]));
        assert_eq!(kernel.take(), Some(vec![]));
        assert_eq!(kernel.take(), None);
    }
}

#[test]
fn a_full_ring_takes_no_more_until_a_program_has_taken() {
    let (mut ring, mut kernel) = producer_at(0);
    let mut sent = 0;
    while ring.send(&[7; 24]).unwrap() {
        sent += 1;
    }
    assert_eq!(sent, page_size() / 32);
    assert!(ring.reserve(0).unwrap().is_none());
    assert_eq!(kernel.take(), Some(vec![7; 24]));
    assert!(!ring.send(&[7; 25]).unwrap());
    assert!(ring.send(&[7; 24]).unwrap());
    // The whole ring for one.
    let (mut ring, mut kernel) = producer_at(0);
    let largest = page_size() - 8;
    assert!(ring.send(&vec![1; largest]).unwrap());
    assert_eq!(kernel.take(), Some(vec![1; largest]));
    for len in [largest + 1, usize::MAX] {
        let error = ring.reserve(len).unwrap_err();
        assert!(
            matches!(error, Error::RecordSize { has, needs, .. } if has == len && needs == largest)
        );
    }
}

#[test]
fn a_consumer_that_cannot_be_is_an_error() {
    let (mut ring, kernel) = producer_at(64);
    for position in [72, usize::MAX / 2, 64usize.wrapping_sub(page_size() + 8)] {
        kernel.set_consumer(position);
        let error = ring.send(&[1]).unwrap_err();
        assert!(matches!(error, Error::CorruptRingBuffer { position: 64, .. }), "{error}");
    }
}

/// Some records, by size, whether they are kept, and when the reader looks.
fn traffic() -> impl Strategy<Value = Vec<Option<(u8, usize, bool)>>> {
    let record = prop_oneof![
        8 => (any::<u8>(), 0..80usize, any::<bool>()).prop_map(Some),
        1 => (any::<u8>(), 0..2000usize, any::<bool>()).prop_map(Some),
        2 => Just(None),
    ];
    prop::collection::vec(record, 0..200)
}

proptest! {
    /// The records that a correct kernel writes are read in order.
    #[test]
    fn what_is_sent_is_what_is_read(start in 0..100_000usize, traffic in traffic()) {
        let (mut reader, mut kernels) = reader_at(start * 8, 1);
        let kernel = &mut kernels[0];
        let mut expected = VecDeque::new();
        for (n, step) in traffic.into_iter().chain([None]).enumerate() {
            match step {
                Some((byte, len, keep)) => {
                    let Some(record) = kernel.reserve(&vec![byte; len]) else { continue };
                    if keep {
                        kernel.submit(record);
                        expected.push_back((0, vec![byte; len]));
                    } else {
                        kernel.discard(record);
                    }
                }
                None => {
                    let expected: Vec<_> = std::mem::take(&mut expected).into();
                    prop_assert_eq!(WAYS[n % 2](&mut reader).unwrap(), expected);
                    prop_assert_eq!(kernel.consumer(), kernel.position());
                }
            }
        }
    }

    /// Whatever is in a ring, and whatever its positions are: reading ends, and returns only bytes of the ring.
    #[test]
    fn anything_at_all_gets_an_answer(
        position in any::<usize>().prop_map(|position| position & !7),
        words in prop::collection::vec(
            prop_oneof![0..64u64, any::<u64>(), (0..64u64).prop_map(|len| len | 1 << 30)], 0..80,
        ),
        producer in prop_oneof![
            3 => Just(None),
            1 => any::<usize>().prop_map(Some),
            1 => (0..5000usize).prop_map(Some),
        ],
        consumer in prop_oneof![5 => Just(None), 1 => (0..5000usize).prop_map(Some)],
        breaks in any::<bool>(),
    ) {
        let (mut reader, mut kernels) = reader_at(position, 1);
        let kernel = &mut kernels[0];
        kernel.put(&words);
        if let Some(producer) = producer {
            kernel.set_producer(position.wrapping_add(producer));
        }
        let mut sum = 0u64;
        for turn in 0..40 {
            if let (10, Some(consumer)) = (turn, consumer) {
                kernel.set_consumer(position.wrapping_add(consumer));
            }
            let _ = reader.drain(|record| {
                sum += record.bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
                if breaks { Break(()) } else { Continue(()) }
            });
            let mut records = reader.records();
            if let Ok(Some(record)) = records.next() {
                sum += record.bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
            }
            let behind = kernel.position().wrapping_sub(position);
            let consumed = kernel.consumer().wrapping_sub(position);
            prop_assert!(consumer.is_some() || consumed <= behind);
        }
    }

    /// The same for the positions of a producer.
    #[test]
    fn any_consumer_gets_an_answer(
        position in any::<usize>().prop_map(|position| position & !7),
        consumers in prop::collection::vec(
            prop_oneof![any::<usize>(), (0..5000usize).prop_map(usize::wrapping_neg)], 0..20,
        ),
        len in prop_oneof![0..5000usize, any::<usize>()],
    ) {
        let (mut ring, kernel) = producer_at(position);
        for consumer in consumers {
            kernel.set_consumer(position.wrapping_add(consumer));
            if let Ok(Some(mut sample)) = ring.reserve(len) {
                sample.bytes().fill(1);
                sample.commit();
            }
        }
    }
}
