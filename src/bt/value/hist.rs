//! Histograms: the buckets of `hist()` and `lhist()`.

/// The value of `hist()`: a histogram by powers of two.
///
/// Bucket 0 counts negative values. Values below `2^bits` have a bucket each, from bucket 1 on. Each power of two from
/// `2^bits` on has `2^bits` buckets of equal width. With 0 bits, the buckets after the first are 0, 1, `[2, 4)`, `[4, 8)`, ….
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hist {
    bits: u32,
    buckets: Vec<u64>,
}

impl Hist {
    /// The greatest number of bits that bpftrace accepts.
    pub const MAX_BITS: u32 = 5;

    /// Creates a histogram from its buckets. Buckets at the end that are empty can be missing; those that no value can
    /// fall into are dropped. `None` if `bits` exceeds [`MAX_BITS`](Hist::MAX_BITS).
    pub fn new(bits: u32, mut buckets: Vec<u64>) -> Option<Hist> {
        if bits > Hist::MAX_BITS {
            return None;
        }
        buckets.truncate(Hist::len(bits));
        Some(Hist { bits, buckets })
    }

    /// Returns the number of buckets of a histogram.
    ///
    /// # Panics
    /// If `bits` exceeds [`MAX_BITS`](Hist::MAX_BITS).
    pub const fn len(bits: u32) -> usize {
        Hist::bucket(i64::MAX, bits) + 1
    }

    /// Returns the bucket of a value.
    ///
    /// # Panics
    /// If `bits` exceeds [`MAX_BITS`](Hist::MAX_BITS).
    pub const fn bucket(value: i64, bits: u32) -> usize {
        assert!(bits <= Hist::MAX_BITS, "too many bits");
        if value < 0 {
            return 0;
        }
        let value = value as u64;
        if value < 1 << bits {
            return 1 + value as usize;
        }
        let shift = value.ilog2() - bits;
        // The highest bit is taken away, and 2^bits of it remain as the part.
        let part = (value >> shift) as usize - (1 << bits);
        1 + ((shift as usize + 1) << bits) + part
    }

    /// Returns the bits of the buckets of a power of two.
    pub const fn bits(&self) -> u32 {
        self.bits
    }

    /// Returns the counts.
    pub fn buckets(&self) -> &[u64] {
        &self.buckets
    }

    /// Returns the first value of a bucket, and the binary logarithm of the bucket's width. Bucket 0 has neither.
    /// The bucket after the last begins at `2^63`.
    pub(crate) fn start(&self, bucket: usize) -> Option<(u64, u32)> {
        let place = u64::try_from(bucket).ok()?.checked_sub(1)?;
        let (power, part) = (place >> self.bits, place & ((1 << self.bits) - 1));
        match power.checked_sub(1) {
            None => Some((part, 0)),
            Some(shift) => {
                let shift = u32::try_from(shift).ok()?;
                let value = u128::from((1 << self.bits) + part).checked_shl(shift)?;
                Some((u64::try_from(value).ok()?, shift))
            }
        }
    }

    /// Adds up the histograms of several CPUs. `None` without any.
    pub fn merge(per_cpu: impl IntoIterator<Item = Hist>) -> Option<Hist> {
        per_cpu.into_iter().reduce(|left, right| Hist {
            bits: left.bits,
            buckets: added(left.buckets, &right.buckets),
        })
    }

    /// Returns the sum of the counts.
    pub fn total(&self) -> u128 {
        self.buckets.iter().copied().map(u128::from).sum()
    }
}

/// The value of `lhist()`: a histogram of buckets of equal width.
///
/// Bucket 0 counts the values below `min`, bucket 1 those from `min` to `min + step - 1`, and so on. The last bucket
/// counts what lies above the whole steps that fit below `max`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lhist {
    min: i64,
    max: i64,
    step: i64,
    buckets: Vec<u64>,
}

impl Lhist {
    /// Creates a histogram from its buckets. Buckets at the end that are empty can be missing; those that no value can
    /// fall into are dropped. `None` if `step` is not positive or `max` not above `min`.
    pub fn new(min: i64, max: i64, step: i64, mut buckets: Vec<u64>) -> Option<Lhist> {
        let len = Lhist::len(min, max, step)?;
        buckets.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        Some(Lhist { min, max, step, buckets })
    }

    /// Returns the number of buckets of a histogram. `None` if `step` is not positive or `max` not above `min`.
    pub fn len(min: i64, max: i64, step: i64) -> Option<u64> {
        let steps = u64::try_from(step).ok().filter(|step| *step > 0)?;
        (max > min).then(|| (max.abs_diff(min) / steps).saturating_add(2))
    }

    /// Returns the bucket of a value. `None` if `step` is not positive or `max` not above `min`.
    pub fn bucket(value: i64, min: i64, max: i64, step: i64) -> Option<u64> {
        let last = Lhist::len(min, max, step)? - 1;
        Some(match value {
            _ if value < min => 0,
            _ if value >= max => last,
            _ => 1 + value.abs_diff(min) / step.unsigned_abs(),
        })
    }

    /// Returns the counts.
    pub fn buckets(&self) -> &[u64] {
        &self.buckets
    }

    /// Returns the first value that is counted in a bucket of its own step.
    pub const fn min(&self) -> i64 {
        self.min
    }

    /// Returns the first value above all steps.
    pub const fn max(&self) -> i64 {
        self.max
    }

    /// Returns the width of a bucket.
    pub const fn step(&self) -> i64 {
        self.step
    }

    /// Returns the values that a bucket counts: from the first, without the second. `None` stands for no bound.
    pub(crate) fn range(&self, bucket: usize) -> (Option<i128>, Option<i128>) {
        let bound = |steps: i128| i128::from(self.min) + steps * i128::from(self.step);
        let bucket = bucket as i128;
        let last = Lhist::len(self.min, self.max, self.step).map_or(0, |len| i128::from(len) - 1);
        let low = (bucket > 0).then(|| bound(bucket - 1));
        let high = (bucket < last).then(|| bound(bucket));
        (low, high)
    }

    /// Adds up the histograms of several CPUs. `None` without any.
    pub fn merge(per_cpu: impl IntoIterator<Item = Lhist>) -> Option<Lhist> {
        per_cpu
            .into_iter()
            .reduce(|left, right| Lhist { buckets: added(left.buckets, &right.buckets), ..left })
    }

    /// Returns the sum of the counts.
    pub fn total(&self) -> u128 {
        self.buckets.iter().copied().map(u128::from).sum()
    }
}

/// The sums of two lists of counts, as long as the longer.
fn added(mut left: Vec<u64>, right: &[u64]) -> Vec<u64> {
    left.resize(left.len().max(right.len()), 0);
    for (left, right) in left.iter_mut().zip(right) {
        *left = left.wrapping_add(*right);
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_of_powers_of_two() {
        let buckets = |bits| move |value| Hist::bucket(value, bits);
        assert_eq!([-1, 0, 1, 2, 3, 4, 7, 8].map(buckets(0)), [0, 1, 2, 3, 3, 4, 4, 5]);
        assert_eq!([i64::MIN, i64::MAX].map(buckets(0)), [0, 64]);
        assert_eq!([-1, 0, 3, 4, 7, 8, 9, 10].map(buckets(2)), [0, 1, 4, 5, 8, 9, 9, 10]);
        assert_eq!(Hist::len(0), 65);
        assert_eq!(Hist::new(6, vec![]), None);
        assert_eq!(Hist::new(0, vec![1; 100]).unwrap().buckets().len(), 65);
    }

    proptest! {
        #[test]
        fn a_value_lies_in_the_range_of_its_bucket(value: i64, shift in 0..63u32, bits in 0..=5u32) {
            let value = value >> shift;
            let hist = Hist::new(bits, vec![]).unwrap();
            let bucket = Hist::bucket(value, bits);
            prop_assert!(bucket < Hist::len(bits));
            match hist.start(bucket) {
                None => prop_assert!(value < 0),
                Some((low, shift)) => {
                    let (next, _) = hist.start(bucket + 1).unwrap();
                    prop_assert_eq!(low + (1 << shift), next);
                    let value = u64::try_from(value).unwrap();
                    prop_assert!((low..next).contains(&value), "{value} {low} {next}");
                    // The width is at most 2^-bits of the value.
                    prop_assert!(shift == 0 || (next - low) <= value >> bits);
                }
            }
        }

        #[test]
        fn a_value_lies_in_the_range_of_its_step(
            value: i64, min: i64, width in 1..1_000_000i64, step in 1..1_000_000i64, near: bool
        ) {
            let max = min.saturating_add(width);
            prop_assume!(max > min);
            let value = if near { min.saturating_add(value % (2 * width)) } else { value };
            let lhist = Lhist::new(min, max, step, vec![]).unwrap();
            let bucket = Lhist::bucket(value, min, max, step).unwrap();
            prop_assert!(bucket < Lhist::len(min, max, step).unwrap());
            let (low, high) = lhist.range(usize::try_from(bucket).unwrap());
            let value = i128::from(value);
            prop_assert!(low.is_none_or(|low| low <= value), "{low:?}");
            prop_assert!(high.is_none_or(|high| high > value), "{high:?}");
        }
    }

    #[test]
    fn steps_are_checked() {
        assert_eq!(Lhist::new(0, 100, 0, vec![]), None);
        assert_eq!(Lhist::new(100, 100, 1, vec![]), None);
        assert_eq!(Lhist::len(i64::MIN, i64::MAX, 1), Some(u64::MAX));
    }

    #[test]
    fn histograms_of_cpus_are_added() {
        let hist = |buckets: &[u64]| Hist::new(0, buckets.to_vec()).unwrap();
        assert_eq!(Hist::merge([hist(&[1, 2]), hist(&[3, 4, 5])]), Some(hist(&[4, 6, 5])));
        let lhist = |buckets: &[u64]| Lhist::new(0, 10, 5, buckets.to_vec()).unwrap();
        assert_eq!(Lhist::merge([lhist(&[1, 2]), lhist(&[3])]), Some(lhist(&[4, 2])));
    }
}
