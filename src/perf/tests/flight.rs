//! Rings that overwrite their oldest records.

use super::*;
use crate::ring::fake::BackwardKernel;

/// A recorder of so many rings of a page.
fn recorder(rings: u32, options: &PerfOptions) -> (FlightRecorder, Vec<BackwardKernel>) {
    let options = options.clone().ring_size(1).check(ring::page_size()).unwrap();
    let (mut all, mut kernels) = (Vec::new(), Vec::new());
    for cpu in 0..rings {
        let (ring, kernel) = fake::backward(1);
        all.push((cpu, ring));
        kernels.push(kernel);
    }
    (FlightRecorder::over(all, options), kernels)
}

fn read(recorder: &mut FlightRecorder) -> Result<Vec<Kept>> {
    let mut kept = Vec::new();
    let count = recorder.read(|record| {
        kept.push(keep(record));
        Continue(())
    })?;
    assert_eq!(count, kept.len());
    Ok(kept)
}

#[test]
fn the_last_samples_come_the_oldest_first_and_again() {
    for size in [4, 5, 13, 60, 300] {
        let (mut recorder, mut kernels) = recorder(1, &PerfOptions::new().sample_size(size));
        let sample = |n: usize| vec![n as u8; size];
        let fit = size_of_ring() as usize / fake::sample(&sample(0)).len();
        for sent in 0..3 * fit {
            let kept = read(&mut recorder).unwrap();
            let first = sent.saturating_sub(fit);
            let expected: Vec<_> = (first..sent).map(|n| Kept::Sample(0, sample(n))).collect();
            assert_eq!(kept, expected, "after {sent} of {size} bytes");
            kernels[0].put(&fake::sample(&sample(sent)));
        }
        assert_eq!(read(&mut recorder).unwrap(), read(&mut recorder).unwrap());
    }
}

#[test]
fn rings_come_one_after_the_other_or_in_the_order_of_times() {
    let (mut untimed, mut kernels) = recorder(2, &PerfOptions::new().sample_size(1));
    for n in 0..4 {
        kernels[n as usize % 2].put(&fake::sample(&[n]));
    }
    let kept = read(&mut untimed).unwrap();
    let sample = |cpu, n| Kept::Sample(cpu, vec![n]);
    assert_eq!(kept, [sample(0, 0), sample(0, 2), sample(1, 1), sample(1, 3)]);

    let (mut timed, mut kernels) = recorder(2, &PerfOptions::new().sample_size(1).time());
    for n in 0..4 {
        if n == 3 {
            kernels[1].put(&fake::lost(9));
        }
        kernels[n as usize % 2].put(&fake::sample_at(Some(n.into()), &[n]));
    }
    let kept = read(&mut timed).unwrap();
    let expected = [sample(0, 0), sample(1, 1), sample(0, 2), Kept::Lost(1, 9), sample(1, 3)];
    assert_eq!(kept, expected);
}

#[test]
fn a_break_ends_it() {
    let (mut recorder, mut kernels) = recorder(1, &PerfOptions::new());
    for n in 0..3 {
        kernels[0].put(&fake::sample(&[n; 4]));
    }
    assert_eq!(recorder.read(|_| Break(())).unwrap(), 1);
}

#[test]
fn damage_is_told_and_what_was_sent_after_it_is_there() {
    let (mut recorder, mut kernels) = recorder(2, &PerfOptions::new().sample_size(4));
    kernels[0].put(&[0xff; 64]);
    kernels[0].put(&fake::sample(&[1; 4]));
    kernels[1].put(&fake::sample(&[2; 40]));
    kernels[1].put(&fake::sample(&[3; 4]));
    let mut kept = Vec::new();
    let error = recorder.read(|record| {
        kept.push(keep(record));
        Continue(())
    });
    assert!(matches!(error, Err(Error::CorruptRing { cpu: 0, position: 16, .. })), "{error:?}");
    assert_eq!(kept, [Kept::Sample(0, vec![1; 4]), Kept::Sample(1, vec![3; 4])]);
}

proptest! {
    /// Samples of any sizes: the last of them, as many as fit.
    #[test]
    fn the_last_that_fit(sizes in prop::collection::vec(0..600usize, 0..100)) {
        let (mut recorder, mut kernels) = recorder(1, &PerfOptions::new());
        let mut expected = VecDeque::new();
        for (n, size) in sizes.into_iter().enumerate() {
            let record = fake::sample(&vec![n as u8; size]);
            kernels[0].put(&record);
            expected.push_back((n as u8, record.len()));
        }
        while expected.iter().map(|(_, len)| len).sum::<usize>() > size_of_ring() as usize {
            expected.pop_front();
        }
        let kept: Vec<_> = read(&mut recorder).unwrap().into_iter().map(|kept| match kept {
            Kept::Sample(_, bytes) => (bytes[0], bytes.len() + 12),
            Kept::Lost(..) => (0, 0),
        }).collect();
        // Of an empty sample there is only filling.
        for ((n, len), (byte, whole)) in expected.iter().zip(&kept) {
            prop_assert!(len == whole && (n == byte || *byte == 0xee), "{n} {byte}");
        }
        prop_assert_eq!(expected.len(), kept.len());
    }

    #[test]
    fn anything_at_all_gets_an_answer(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..900), 0..12),
        time in any::<bool>(),
    ) {
        let options = PerfOptions::new();
        let options = if time { options.time() } else { options };
        let (mut recorder, mut kernels) = recorder(1, &options);
        for piece in pieces {
            kernels[0].put(&piece);
        }
        let _ = read(&mut recorder);
    }
}
