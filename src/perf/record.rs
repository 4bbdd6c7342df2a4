//! The records in a ring, from bytes that are not believed.

use super::Record;
use std::ops::ControlFlow;

/// `PERF_RECORD_LOST`: header, `u64 id`, `u64 lost`.
const RECORD_LOST: u32 = 2;
/// `PERF_RECORD_SAMPLE`; with `PERF_SAMPLE_RAW` alone: header, `u32 size`, that many bytes.
const RECORD_SAMPLE: u32 = 9;

/// `struct perf_event_header`: `u32 type`, `u16 misc`, `u16 size`.
const HEADER: usize = 8;

/// The largest record: its size is a `u16`, and a multiple of 8.
const LARGEST: usize = u16::MAX as usize & !7;

/// The bytes that every sample has, and so what the kernel makes of them.
///
/// A record is a multiple of 8 bytes long. The kernel fills it up behind the sample and counts the
/// filling in the sample's size (`perf_sample_save_raw_data`): 16 bytes arrive as 20, 32 as 36.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SampleSize {
    /// What the program submits.
    pub submitted: u32,
    /// What the record says.
    recorded: u32,
}

impl SampleSize {
    /// `None` if no record can be that long.
    pub(super) fn new(submitted: u32) -> Option<SampleSize> {
        let recorded = (submitted.checked_add(4)?.checked_next_multiple_of(8)?) - 4;
        (HEADER + 4 + recorded as usize <= LARGEST).then_some(SampleSize { submitted, recorded })
    }

    /// The bytes of the whole record.
    pub(super) fn record(self) -> usize {
        HEADER + 4 + self.recorded as usize
    }
}

/// Why reading stopped where it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// A record that cannot be. Where the next one begins is not known.
    Corrupt(&'static str),
    /// A sample of this many bytes with the filling, which is not what was to be expected. It has
    /// been passed over.
    WrongSize(u32),
}

/// How far reading has come, up to date also when the consumer panics.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Bytes of the records that were handed out or passed over.
    pub bytes: usize,
    /// Records handed out.
    pub records: usize,
    /// Samples that records said were lost.
    pub lost: u64,
}

/// Hands out the records in `bytes` and, following on it, `then`, until there is no more, `enough`
/// bytes have been read or `consume` breaks. A record that lies across the two is put together in
/// `scratch`.
#[inline]
pub(super) fn read(
    (mut bytes, mut then): (&[u8], &[u8]),
    cpu: u32,
    size: Option<SampleSize>,
    enough: usize,
    scratch: &mut Vec<u8>,
    progress: &mut Progress,
    consume: &mut impl FnMut(Record<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, Problem> {
    use Problem::Corrupt;

    while progress.bytes < enough {
        let Some(header) = bytes.first_chunk::<HEADER>() else {
            if !bytes.is_empty() {
                return Err(Corrupt("less than a header is left"));
            }
            if then.is_empty() {
                break;
            }
            (bytes, then) = (then, &[]);
            continue;
        };
        let &[k0, k1, k2, k3, _, _, s0, s1] = header;
        let kind = u32::from_ne_bytes([k0, k1, k2, k3]);
        let length = usize::from(u16::from_ne_bytes([s0, s1]));
        if length < HEADER {
            return Err(Corrupt("a record shorter than its header"));
        }
        if length % 8 != 0 {
            return Err(Corrupt("a record's size is not a multiple of 8"));
        }
        let record = match bytes.split_at_checked(length) {
            Some((record, after)) => {
                bytes = after;
                record
            }
            None => {
                let Some((end, after)) = then.split_at_checked(length - bytes.len()) else {
                    return Err(Corrupt("a record reaches beyond what was written"));
                };
                scratch.clear();
                scratch.extend_from_slice(bytes);
                scratch.extend_from_slice(end);
                (bytes, then) = (after, &[]);
                &*scratch
            }
        };
        let body = record.get(HEADER..).unwrap_or_default();

        let record = match kind {
            RECORD_SAMPLE => {
                let Some((recorded, raw)) = body.split_first_chunk::<4>() else {
                    return Err(Corrupt("a sample without its size"));
                };
                let recorded = u32::from_ne_bytes(*recorded);
                let Some(raw) = raw.get(..recorded as usize) else {
                    return Err(Corrupt("a sample reaches beyond its record"));
                };
                let bytes = match size {
                    None => raw,
                    Some(size) if size.recorded == recorded => {
                        raw.get(..size.submitted as usize).unwrap_or(raw)
                    }
                    Some(_) => {
                        progress.bytes += length;
                        return Err(Problem::WrongSize(recorded));
                    }
                };
                Record::Sample { cpu, bytes }
            }
            RECORD_LOST => {
                let Some(count) = body.get(8..).and_then(|body| body.first_chunk::<8>()) else {
                    return Err(Corrupt("a record of lost samples without their number"));
                };
                let count = u64::from_ne_bytes(*count);
                progress.lost = progress.lost.saturating_add(count);
                Record::Lost { cpu, count }
            }
            _ => {
                // A kind of the kernel's that was not asked for; its size is all that matters.
                progress.bytes += length;
                continue;
            }
        };
        progress.bytes += length;
        progress.records += 1;
        if consume(record).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}
