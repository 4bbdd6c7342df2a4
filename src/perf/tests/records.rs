//! Record by record, and as values of a type.

use super::*;
use crate::plain;

fn one_by_one(reader: &mut PerfReader) -> Result<Vec<Kept>> {
    let mut kept = Vec::new();
    let mut records = reader.records();
    while let Some(record) = records.next()? {
        kept.push(keep(record));
    }
    Ok(kept)
}

#[test]
fn they_are_what_a_drain_reads() {
    for size in [1, 4, 13, 32, 200] {
        let sample: Vec<u8> = (0..size).map(|n| n as u8).collect();
        for position in
            (0..size_of_ring()).step_by(8).step_by(1 + size_of_ring() as usize / 8 / 600)
        {
            let (mut reader, mut kernels) = reader_at(position, 2, Some(size));
            assert!(kernels[0].send(&sample));
            kernels[0].put(&fake::lost(3));
            kernels[0].put(&fake::record(5, &[]));
            assert!(kernels[0].send(&sample) && kernels[1].send(&sample));
            let sent = |cpu| Kept::Sample(cpu, sample.clone());
            let expected = [sent(0), Kept::Lost(0, 3), sent(0), sent(2)];
            assert_eq!(one_by_one(&mut reader).unwrap(), expected);
            assert_eq!(reader.lost(), 3);
            assert!(kernels.iter().all(|kernel| kernel.tail() == kernel.head()));
        }
    }
}

#[test]
fn a_loop_that_is_left_goes_on_where_it_was() {
    let (mut reader, mut kernels) = reader_at(0, 2, Some(1));
    assert!(kernels[0].send(&[0]) && kernels[0].send(&[1]) && kernels[1].send(&[2]));
    for n in 0..3 {
        let mut records = reader.records();
        let record = records.next().unwrap().unwrap();
        assert_eq!(keep(record), Kept::Sample(u32::from(n == 2) * 2, vec![n]));
    }
    assert!(reader.records().next().unwrap().is_none());
    // The records that it left are read by a drain too, and those that came since.
    assert!(kernels[0].send(&[3]) && kernels[0].send(&[4]));
    reader.records().next().unwrap();
    assert!(kernels[0].send(&[5]) && kernels[1].send(&[6]));
    assert_eq!(drain(&mut reader).unwrap().len(), 3);
    assert!(kernels.iter().all(|kernel| kernel.tail() == kernel.head()));
}

#[test]
fn one_that_is_leaked_loses_nothing_but_time() {
    let (mut reader, mut kernel) = one(Some(1));
    assert!(kernel.send(&[1]) && kernel.send(&[2]));
    let mut records = reader.records();
    records.next().unwrap();
    std::mem::forget(records);
    assert_eq!(kernel.tail(), 0);
    assert_eq!(drain(&mut reader).unwrap(), [Kept::Sample(0, vec![2])]);
    assert_eq!(kernel.tail(), kernel.head());
}

#[test]
fn errors_leave_the_rest_to_be_read() {
    let (mut reader, mut kernels) = reader_at(0, 2, Some(4));
    for bytes in [&[1; 4][..], &[2; 20], &[3; 4]] {
        assert!(kernels[0].send(bytes));
    }
    kernels[0].put(&[0; 8]);
    kernels[0].publish();
    assert!(kernels[1].send(&[4; 4]));
    let mut records = reader.records();
    assert_eq!(records.next().unwrap().map(keep), Some(Kept::Sample(0, vec![1; 4])));
    let error = records.next().unwrap_err();
    assert!(matches!(error, Error::SampleSize { submitted: 4, recorded: 20, .. }), "{error}");
    assert_eq!(records.next().unwrap().map(keep), Some(Kept::Sample(0, vec![3; 4])));
    let error = records.next().unwrap_err();
    assert!(matches!(error, Error::CorruptRing { cpu: 0, position: 64, .. }), "{error}");
    assert_eq!(records.next().unwrap().map(keep), Some(Kept::Sample(2, vec![4; 4])));
    assert!(records.next().unwrap().is_none());
    drop(records);
    assert!(kernels.iter().all(|kernel| kernel.tail() == kernel.head()));
}

#[test]
fn room_is_handed_back_while_a_full_ring_is_read() {
    let (mut reader, mut kernel) = one(Some(4));
    while kernel.send(&[1; 4]) {}
    let (mut read, mut furthest) = (0, 0);
    let mut records = reader.records();
    while records.next().unwrap().is_some() {
        furthest = furthest.max(read - kernel.tail());
        read += 16;
    }
    assert!(furthest <= size_of_ring() / 8, "{furthest} bytes had been read and not handed back");
}

plain! {
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[repr(C)]
    struct Event {
        time: u64,
        pid: u32,
        cpu: u32,
    }
}

#[test]
fn values_are_what_was_sent_with_and_without_the_size() {
    let event = |time| Event { time, pid: 3, cpu: 9 };
    for size in [None, Some(16)] {
        let (mut reader, mut kernel) = one(size);
        assert!(kernel.send(&event(1).to_bytes()));
        kernel.put(&fake::lost(5));
        kernel.publish();
        assert!(kernel.send(&[0; 24]) && kernel.send(&event(2).to_bytes()));
        let mut values = reader.records().typed::<Event>();
        let sample = |time| Value::Sample { cpu: 0, time_ns: None, value: event(time) };
        assert_eq!(values.next().unwrap().unwrap(), sample(1));
        assert_eq!(values.next().unwrap().unwrap(), Value::Lost { cpu: 0, count: 5 });
        let error = values.next().unwrap().unwrap_err();
        assert!(matches!(error, Error::SampleSize { submitted: 16, recorded: 28, .. }), "{error}");
        assert_eq!(values.next().unwrap().unwrap(), sample(2));
        assert!(values.next().is_none());
        drop(values);

        assert!(kernel.send(&event(3).to_bytes()));
        reader
            .drain(|record| {
                assert_eq!(record.value::<Event>(), Some(event(3)));
                assert_eq!(record.value::<u64>(), None);
                Continue(())
            })
            .unwrap();
    }
}
