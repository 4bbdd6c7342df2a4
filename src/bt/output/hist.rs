//! Histograms as text.

use crate::bt::value::{Hist, Lhist};
use std::io::Write;

/// The length of the longest bar.
const BAR: usize = 52;

/// The columns of the bounds of a bucket.
const LABEL: usize = 16;

/// The units of 1024 and its powers.
const UNITS: [&str; 7] = ["", "K", "M", "G", "T", "P", "E"];

/// Appends the lines of a histogram by powers of two.
///
/// A bound is written in the greatest unit that the width of its bucket is a multiple of.
pub(super) fn push_hist(out: &mut Vec<u8>, hist: &Hist, divisor: u64) {
    push_lines(out, hist.buckets(), divisor, |out, bucket| {
        let (Some((low, shift)), Some((high, next_shift))) =
            (hist.start(bucket), hist.start(bucket + 1))
        else {
            return out.extend_from_slice(b"(..., 0)");
        };
        if shift == 0 {
            return push_single(out, low.into());
        }
        let scaled = |value: u64, shift: u32| {
            let unit = shift / 10;
            ((value >> (10 * unit)).into(), UNITS.get(unit as usize).copied().unwrap_or_default())
        };
        push_bounds(out, Some(scaled(low, shift)), Some(scaled(high, next_shift)));
    });
}

/// Appends the lines of a histogram of equal steps.
///
/// If the step is a multiple of 1024, bounds that are one, too, are written in K or M.
pub(super) fn push_lhist(out: &mut Vec<u8>, lhist: &Lhist) {
    let scaled = |value: i128| match value {
        0 => (0, ""),
        _ if lhist.step() % 1024 != 0 => (value, ""),
        _ if value % (1 << 20) == 0 => (value >> 20, "M"),
        _ if value % 1024 == 0 => (value >> 10, "K"),
        _ => (value, ""),
    };
    push_lines(out, lhist.buckets(), 1, |out, bucket| {
        let (low, high) = lhist.range(bucket);
        match (low, high) {
            (Some(low), Some(high)) if low + 1 == high => push_single(out, low),
            _ => push_bounds(out, low.map(scaled), high.map(scaled)),
        }
    });
}

fn push_single(out: &mut Vec<u8>, value: i128) {
    _ = write!(out, "[{value}]");
}

/// Appends the bounds of a bucket: from the first, without the second.
fn push_bounds(out: &mut Vec<u8>, low: Option<(i128, &str)>, high: Option<(i128, &str)>) {
    _ = match low {
        Some((low, unit)) => write!(out, "[{low}{unit}, "),
        None => write!(out, "(..., "),
    };
    _ = match high {
        Some((high, unit)) => write!(out, "{high}{unit})"),
        None => write!(out, "...)"),
    };
}

/// The buckets that are shown, from the first to the last that is not empty, with their counts. The counts are divided;
/// dividing by 0 changes nothing.
pub(super) fn shown(buckets: &[u64], divisor: u64) -> impl Iterator<Item = (usize, u64)> + Clone {
    let first = buckets.iter().position(|count| *count > 0).unwrap_or(buckets.len());
    let last = buckets.iter().rposition(|count| *count > 0);
    let buckets = buckets.iter().enumerate().take(last.map_or(0, |last| last + 1)).skip(first);
    buckets.map(move |(bucket, count)| (bucket, count.checked_div(divisor).unwrap_or(*count)))
}

/// Appends a line for each bucket that is shown.
fn push_lines(
    out: &mut Vec<u8>,
    buckets: &[u64],
    divisor: u64,
    push_label: impl Fn(&mut Vec<u8>, usize),
) {
    let shown = shown(buckets, divisor);
    let most = shown.clone().map(|(_, count)| count).max().unwrap_or(0).max(1);
    for (bucket, count) in shown {
        let start = out.len();
        push_label(out, bucket);
        let end = out.len().max(start + LABEL);
        out.resize(end, b' ');
        // Writing to a Vec does not fail.
        _ = write!(out, "{count:>8} |");
        let start = out.len();
        let bar = BAR as u128 * u128::from(count) / u128::from(most);
        out.resize(start + usize::try_from(bar).unwrap_or(BAR), b'@');
        out.resize(start + BAR, b' ');
        out.extend_from_slice(b"|\n");
    }
}
