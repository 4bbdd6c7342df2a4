//! Samples of several rings in the order of their times.

use super::*;

/// So many rings whose samples have times.
fn timed(rings: u32) -> (PerfReader, Vec<Kernel>) {
    let window = Duration::from_millis(5);
    let options = PerfOptions::new().ring_size(1).sample_size(1).in_order(window);
    reader_with(0, rings, &options)
}

fn send(kernel: &mut Kernel, time: u64) -> bool {
    kernel.time = Some(time);
    kernel.send(&[time as u8])
}

/// One pass of a reader: CPU and time of each record, and for lost samples their number.
fn pass(reader: &mut PerfReader, until: u64) -> (Vec<(u32, u64)>, Option<u64>) {
    let mut seen = Vec::new();
    let (pass, later) = reader
        .pass_in_order(until, &mut |record: Record<'_>| {
            seen.push(match record {
                Record::Sample { cpu, time_ns: Some(time), bytes } => {
                    assert_eq!(bytes, [time as u8]);
                    (cpu, time)
                }
                Record::Sample { .. } => panic!("no time: {record:?}"),
                Record::Lost { cpu, count } => (cpu + 1, count),
            });
            Continue(())
        })
        .unwrap();
    assert_eq!(pass.records, seen.len());
    (seen, later)
}

#[test]
fn the_earliest_comes_first_and_what_is_young_stays() {
    let (mut reader, mut kernels) = timed(3);
    for (kernel, times) in kernels.iter_mut().zip([&[10, 40, 50][..], &[20, 30, 60], &[5]]) {
        assert!(times.iter().all(|time| send(kernel, *time)));
    }
    let (seen, later) = pass(&mut reader, 30);
    assert_eq!(seen, [(4, 5), (0, 10), (2, 20), (2, 30)]);
    assert_eq!(later, Some(40));
    // The records that were handed out have been released, the rest have not.
    assert_eq!([0, 1, 2].map(|n: usize| kernels[n].tail()), [24, 48, 24]);
    // A ring that was empty has something now that comes before what was left.
    assert!(send(&mut kernels[2], 35));
    let (seen, later) = pass(&mut reader, u64::MAX);
    assert_eq!(seen, [(4, 35), (0, 40), (0, 50), (2, 60)]);
    assert_eq!((later, reader.late()), (None, 0));
}

#[test]
fn what_comes_late_is_handed_out_and_counted() {
    let (mut reader, mut kernels) = timed(2);
    assert!(send(&mut kernels[0], 100));
    pass(&mut reader, u64::MAX);
    assert!(send(&mut kernels[1], 90) && send(&mut kernels[1], 95) && send(&mut kernels[1], 100));
    assert_eq!(pass(&mut reader, u64::MAX).0, [(2, 90), (2, 95), (2, 100)]);
    assert_eq!(reader.late(), 2);
}

#[test]
fn lost_samples_are_told_in_their_place() {
    let (mut reader, mut kernels) = timed(2);
    assert!(send(&mut kernels[0], 1));
    kernels[0].put(&fake::lost(7));
    kernels[0].put(&fake::record(5, &[1; 20]));
    assert!(send(&mut kernels[0], 3));
    assert!(send(&mut kernels[1], 2));
    let expected = [(0, 1), (1, 7), (2, 2), (0, 3)];
    assert_eq!(pass(&mut reader, u64::MAX).0, expected);
    assert_eq!((reader.lost(), kernels[0].tail()), (7, kernels[0].head()));
}

#[test]
fn a_break_leaves_the_rest_where_it_is() {
    let (mut reader, mut kernels) = timed(2);
    for time in 0..6 {
        assert!(send(&mut kernels[time as usize % 2], time));
    }
    for expected in 0..6 {
        let mut seen = None;
        let read = reader.drain(|record| {
            seen = Some(keep(record));
            Break(())
        });
        assert_eq!(read.unwrap(), 1);
        assert_eq!(seen, Some(Kept::Sample((expected as u32 % 2) * 2, vec![expected])));
    }
    assert_eq!(reader.drain(|_| Continue(())).unwrap(), 0);
}

#[test]
fn a_consumer_that_panics_has_had_its_record() {
    let (mut reader, mut kernels) = timed(2);
    for time in 0..4 {
        assert!(send(&mut kernels[time as usize % 2], time));
    }
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        reader.drain(|record| match keep(record) {
            Kept::Sample(_, bytes) if bytes == [1] => std::panic::resume_unwind(Box::new(())),
            _ => Continue(()),
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(pass(&mut reader, u64::MAX).0, [(0, 2), (2, 3)]);
}

#[test]
fn room_is_handed_back_while_full_rings_are_read() {
    let (mut reader, mut kernels) = timed(2);
    let mut time = 0;
    while send(&mut kernels[0], time) && send(&mut kernels[1], time) {
        time += 1;
    }
    let (mut read, mut furthest) = ([0, 0], 0);
    reader
        .drain(|record| {
            let Record::Sample { cpu, .. } = record else { panic!("{record:?}") };
            let ring = cpu as usize / 2;
            furthest = furthest.max(read[ring] - kernels[ring].tail());
            read[ring] += 24;
            Continue(())
        })
        .unwrap();
    assert!(furthest <= size_of_ring() / 8, "{furthest} bytes had been read and not handed back");
}

#[test]
fn damage_empties_its_ring_and_the_others_are_read() {
    let (mut reader, mut kernels) = timed(3);
    for time in 0..3 {
        assert!(send(&mut kernels[time as usize], time));
    }
    kernels[0].put(&[0xff; 64]);
    kernels[0].publish();
    // A sample of another size is passed over.
    kernels[1].time = Some(4);
    assert!(kernels[1].send(&[1; 20]));
    assert!(send(&mut kernels[1], 5));
    let mut times = Vec::new();
    let error = reader.drain(|record| {
        if let Record::Sample { time_ns, .. } = record {
            times.extend(time_ns);
        }
        Continue(())
    });
    assert!(matches!(error, Err(Error::CorruptRing { cpu: 0, .. })), "{error:?}");
    assert_eq!(times, [0, 1, 2, 5]);
    assert!(kernels.iter().all(|kernel| kernel.tail() == kernel.head()));
}

/// `poll` waits until a sample is old enough, and no longer.
#[test]
fn a_poll_hands_out_what_is_as_old_as_the_window() {
    let (mut reader, mut kernels) = timed(1);
    let now = syscall::monotonic_ns();
    assert!(send(&mut kernels[0], now));
    let polled = reader.poll(after(10_000), |record| {
        let Record::Sample { time_ns: Some(time), .. } = record else { panic!("{record:?}") };
        assert_eq!(time, now);
        assert!(syscall::monotonic_ns() - time >= 5_000_000);
        Continue(())
    });
    assert_eq!(polled.unwrap(), Polled::Records);
}

proptest! {
    /// Whatever was sent when, all of it comes, in order, and of each ring as it was sent.
    #[test]
    fn all_comes_in_order(
        steps in prop::collection::vec((0..3usize, 0..4u64, prop::bool::weighted(0.1)), 0..300),
    ) {
        let (mut reader, mut kernels) = timed(3);
        let (mut now, mut sent, mut seen) = (0, Vec::new(), Vec::new());
        for (ring, step, read) in steps {
            now += step;
            if send(&mut kernels[ring], now) {
                sent.push((ring as u32 * 2, now));
            }
            if read {
                seen.extend(pass(&mut reader, now.saturating_sub(3)).0);
            }
        }
        seen.extend(pass(&mut reader, u64::MAX).0);
        seen.retain(|(cpu, _)| cpu % 2 == 0);
        prop_assert!(seen.is_sorted_by_key(|(_, time)| *time));
        prop_assert_eq!(reader.late(), 0);
        let of = |all: &[(u32, u64)], cpu| {
            all.iter().filter(|one| one.0 == cpu).copied().collect::<Vec<_>>()
        };
        for cpu in [0, 2, 4] {
            prop_assert_eq!(of(&seen, cpu), of(&sent, cpu));
        }
    }

    /// Any times and any bytes: an answer.
    #[test]
    fn anything_at_all_gets_an_answer(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        times in prop::collection::vec(any::<u64>(), 0..20),
        until in any::<u64>(),
        breaks in any::<bool>(),
    ) {
        let (mut reader, mut kernels) = timed(2);
        for time in times {
            send(&mut kernels[0], time);
        }
        kernels[1].put(&bytes);
        kernels[1].publish();
        for _ in 0..40 {
            let _ = reader.pass_in_order(until, &mut |record: Record<'_>| {
                let _ = keep(record);
                if breaks { Break(()) } else { Continue(()) }
            });
        }
        for _ in 0..40 {
            let _ = reader.drain(|_| Continue(()));
        }
        prop_assert!(kernels.iter().all(|kernel| kernel.tail() == kernel.head()));
    }
}
