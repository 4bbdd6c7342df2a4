//! Histograms, printed in the format of bcc's tools.
//!
//! The program counts into the elements of an array, and the array is printed at the end. For powers of two `call log2` finds the bucket of a
//! value, the same as bcc's `bpf_log2l`: 1 for the values 0 and 1, 2 for 2 and 3, and 64 for the largest. It comes with the assembler
//! ([`LibraryFunction`](crate::asm::LibraryFunction)).
//!
//! ```no_run
//! use rawbpf::attach::{self, Target};
//! use rawbpf::histogram::Histogram;
//! use rawbpf::map::Array;
//! use rawbpf::{Loader, MapSpec, ProgramSpec, ProgramType, bpf};
//!
//! // The 65 counters are one value, so that the program has its address (Linux 5.2).
//! static DIST: MapSpec = Array::<[u64; 65]>::spec("dist", 1);
//! // The sizes that are asked of read(2).
//! static SIZES: ProgramSpec = ProgramSpec::new("sizes", ProgramType::Tracepoint, bpf! {
//!     r1 = *(u64 *)(r1 + args.count);
//!     call log2;                      // r0 is the bucket, and the verifier knows that it is from 1 to 64
//!     r0 <<= 3;                       // times 8, the size of a counter
//!     r1 = DIST[0] ll;
//!     r1 += r0;
//!     r2 = 1;
//!     lock *(u64 *)(r1 + 0) += r2;
//!     r0 = 0;
//!     exit;
//! });
//!
//! let mut loader = Loader::new();
//! let target = Target::tracepoint("syscalls", "sys_enter_read");
//! let (_program, link) = attach::load_and_attach(&mut loader, &SIZES, &target)?;
//! std::thread::sleep(std::time::Duration::from_secs(1));
//! drop(link);
//! let dist: Array<[u64; 65]> = loader.view(&DIST)?;
//! println!("{}", Histogram::log2(&dist.lookup(0)?).label("bytes"));
//! # Ok::<(), rawbpf::Error>(())
//! ```
//!
//! In an array with an element for each counter, or one for each CPU ([`PercpuArray`](crate::map::PercpuArray)), the bucket is the key.

use std::fmt;

/// The length of the longest bar, in characters.
const STARS: usize = 40;

/// From this bucket on, ranges of powers of two need columns of twice the width, and leave the bars half of theirs.
const WIDE: usize = 33;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Log2,
    Linear,
}

/// A histogram, ready to be printed: headings, a line for each bucket up to the last that is not empty, and a bar as
/// long as its count is beside the largest. Nothing is printed if all are empty. The last line has no line break.
///
/// ```
/// use rawbpf::histogram::Histogram;
///
/// let mut buckets = [0; 64];
/// for size in [0u64, 3, 3, 3, 3] {
///     buckets[size.max(1).ilog2() as usize + 1] += 1;
/// }
/// println!("{}", Histogram::log2(&buckets).label("kbytes"));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Histogram<'a> {
    buckets: &'a [u64],
    label: &'a str,
    scale: Scale,
}

impl<'a> Histogram<'a> {
    /// By powers of two: bucket 1 counts the values 0 and 1, bucket 2 counts 2 and 3, bucket `n` counts from
    /// `2^(n-1)` to `2^n - 1`, as `call log2` and bcc's `bpf_log2l` find them. Nothing of that kind is in bucket 0; if something was
    /// counted there all the same, it has its line.
    pub const fn log2(buckets: &'a [u64]) -> Histogram<'a> {
        Histogram { buckets, label: "value", scale: Scale::Log2 }
    }

    /// A bucket for each value, from 0.
    pub const fn linear(buckets: &'a [u64]) -> Histogram<'a> {
        Histogram { buckets, label: "value", scale: Scale::Linear }
    }

    /// Sets the word for the values: `usecs`, `kbytes`. The default is `value`.
    pub const fn label(mut self, label: &'a str) -> Histogram<'a> {
        self.label = label;
        self
    }
}

impl fmt::Display for Histogram<'_> {
    /// The columns of bcc's `print_log2_hist` and `print_linear_hist`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(last) = self.buckets.iter().rposition(|count| *count > 0) else { return Ok(()) };
        let most = self.buckets.iter().copied().max().unwrap_or(0);
        let label = self.label;
        let wide = self.scale == Scale::Log2 && last >= WIDE;
        match self.scale {
            Scale::Log2 if wide => write!(f, "{:15}{label:<29} : count     distribution", "")?,
            Scale::Log2 => write!(f, "     {label:<19} : count     distribution")?,
            Scale::Linear => write!(f, "     {label:<13} : count     distribution")?,
        }
        let width = if wide { STARS / 2 } else { STARS };
        for (bucket, count) in self.buckets.iter().copied().enumerate().take(last + 1) {
            match self.scale {
                Scale::Log2 if bucket == 0 && count == 0 => continue,
                Scale::Log2 => {
                    let (low, high) = range(bucket);
                    let (low_width, high_width) = if wide { (20, 20) } else { (10, 10) };
                    write!(f, "\n{low:>low_width$} -> {high:<high_width$}")?;
                }
                Scale::Linear => write!(f, "\n        {bucket:<10}")?,
            }
            let stars = width as u128 * u128::from(count) / u128::from(most.max(1));
            let stars = usize::try_from(stars).unwrap_or(width);
            write!(f, " : {count:<8} |{:width$}|", "*".repeat(stars))?;
        }
        Ok(())
    }
}

/// The values that a bucket of powers of two counts, the first and the last.
pub(crate) fn range(bucket: usize) -> (u128, u128) {
    let power = |n: usize| u32::try_from(n).ok().and_then(|n| 1u128.checked_shl(n));
    let high = power(bucket).map_or(u128::MAX, |after| after - 1);
    match bucket {
        0 | 1 => (0, high),
        _ => (power(bucket - 1).unwrap_or(u128::MAX), high),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines that bcc's tools have printed, and what they were printed from.
    fn counts(lines: &str) -> Vec<u64> {
        let counts = lines.lines().skip(1).map(|line| {
            let (_, rest) = line.split_once(" : ").unwrap();
            rest.split_whitespace().next().unwrap().parse().unwrap()
        });
        counts.collect()
    }

    /// Bucket 0 comes before the first line of powers of two.
    fn log2(lines: &str, label: &str) {
        let buckets: Vec<_> = std::iter::once(0).chain(counts(lines)).chain([0; 8]).collect();
        assert_eq!(Histogram::log2(&buckets).label(label).to_string(), lines);
    }

    #[test]
    fn powers_of_two_look_as_in_biolatency() {
        // bcc, tools/biolatency_example.txt, -D and -F.
        log2(
            "     usecs               : count     distribution
         0 -> 1          : 0        |                                        |
         2 -> 3          : 0        |                                        |
         4 -> 7          : 0        |                                        |
         8 -> 15         : 0        |                                        |
        16 -> 31         : 0        |                                        |
        32 -> 63         : 0        |                                        |
        64 -> 127        : 0        |                                        |
       128 -> 255        : 1        |                                        |
       256 -> 511        : 33       |**********************                  |
       512 -> 1023       : 36       |************************                |
      1024 -> 2047       : 58       |****************************************|
      2048 -> 4095       : 51       |***********************************     |
      4096 -> 8191       : 21       |**************                          |
      8192 -> 16383      : 2        |*                                       |",
            "usecs",
        );
        log2(
            "     msecs               : count     distribution
         0 -> 1          : 1        |****************************************|
         2 -> 3          : 0        |                                        |
         4 -> 7          : 1        |****************************************|
         8 -> 15         : 1        |****************************************|",
            "msecs",
        );
    }

    #[test]
    fn long_ranges_leave_half_of_the_bars() {
        // What funclatency printed of a function of PostgreSQL.
        log2(
            "               nsecs                         : count     distribution
                   0 -> 1                    : 0        |                    |
                   2 -> 3                    : 0        |                    |
                   4 -> 7                    : 0        |                    |
                   8 -> 15                   : 0        |                    |
                  16 -> 31                   : 0        |                    |
                  32 -> 63                   : 0        |                    |
                  64 -> 127                  : 0        |                    |
                 128 -> 255                  : 0        |                    |
                 256 -> 511                  : 0        |                    |
                 512 -> 1023                 : 15088    |********************|
                1024 -> 2047                 : 1224     |*                   |
                2048 -> 4095                 : 326      |                    |
                4096 -> 8191                 : 15       |                    |
                8192 -> 16383                : 10       |                    |
               16384 -> 32767                : 0        |                    |
               32768 -> 65535                : 1        |                    |
               65536 -> 131071               : 0        |                    |
              131072 -> 262143               : 0        |                    |
              262144 -> 524287               : 0        |                    |
              524288 -> 1048575              : 0        |                    |
             1048576 -> 2097151              : 0        |                    |
             2097152 -> 4194303              : 0        |                    |
             4194304 -> 8388607              : 0        |                    |
             8388608 -> 16777215             : 0        |                    |
            16777216 -> 33554431             : 0        |                    |
            33554432 -> 67108863             : 0        |                    |
            67108864 -> 134217727            : 0        |                    |
           134217728 -> 268435455            : 0        |                    |
           268435456 -> 536870911            : 0        |                    |
           536870912 -> 1073741823           : 0        |                    |
          1073741824 -> 2147483647           : 0        |                    |
          2147483648 -> 4294967295           : 0        |                    |
          4294967296 -> 8589934591           : 0        |                    |
          8589934592 -> 17179869183          : 3        |                    |",
            "nsecs",
        );
    }

    #[test]
    fn values_look_as_in_runqlen() {
        // bcc, tools/runqlen_example.txt.
        let lines = "     runqlen       : count     distribution
        0          : 640      |****************************************|
        1          : 136      |********                                |
        2          : 13       |                                        |
        3          : 1        |                                        |
        4          : 0        |                                        |
        5          : 0        |                                        |
        6          : 0        |                                        |
        7          : 0        |                                        |
        8          : 0        |                                        |
        9          : 0        |                                        |
        10         : 1        |                                        |";
        let buckets = counts(lines);
        assert_eq!(Histogram::linear(&buckets).label("runqlen").to_string(), lines);
    }

    #[test]
    fn nothing_that_was_counted_is_left_out() {
        assert_eq!(Histogram::log2(&[0; 64]).to_string(), "");
        assert_eq!(Histogram::linear(&[]).to_string(), "");
        let lines = |buckets: &[u64]| Histogram::log2(buckets).to_string().lines().count();
        assert_eq!(lines(&[1, 0, 0]), 2);
        assert_eq!(lines(&[0, 0, u64::MAX]), 3);
        let mut all = [0; 65];
        all[64] = u64::MAX;
        let text = Histogram::log2(&all).to_string();
        let last = text.lines().last().unwrap_or_default();
        assert!(last.contains("9223372036854775808 -> 18446744073709551615"), "{last}");
        // More buckets than there can be values for do no harm.
        assert_eq!(lines(&[1; 200]), 201);
    }
}
