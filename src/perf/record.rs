//! The records in a ring, parsed from untrusted bytes.

use super::Record;
use crate::ring::{AHEAD, prefetch};
use std::ops::ControlFlow;

/// `PERF_RECORD_LOST`: header, `u64 id`, `u64 lost`.
const RECORD_LOST: u32 = 2;
/// `PERF_RECORD_SAMPLE`: header, `u64 time` with `PERF_SAMPLE_TIME`, and with `PERF_SAMPLE_RAW` `u32 size` and that many bytes.
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
    /// The size that the program submits.
    pub submitted: u32,
    /// The size that the record states.
    recorded: u32,
}

impl SampleSize {
    /// `None` if no record can be that long.
    pub(super) fn new(submitted: u32) -> Option<SampleSize> {
        let recorded = (submitted.checked_add(4)?.checked_next_multiple_of(8)?) - 4;
        Some(SampleSize { submitted, recorded })
    }

    /// Whether a sample that is so long in its record can have been of this size.
    pub(super) fn is_recorded_as(self, recorded: usize) -> bool {
        self.recorded as usize == recorded
    }
}

/// Layout of the records, as the event was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// Each sample has a time.
    pub time: bool,
    /// Each sample has this size.
    pub size: Option<SampleSize>,
}

impl Layout {
    /// The offset in its record at which a sample's bytes begin.
    fn raw_at(self) -> usize {
        HEADER + if self.time { 8 } else { 0 } + 4
    }

    /// The bytes of the record of each sample, if there can be such a record; `None` too if samples may be of any size.
    pub(super) fn record(self) -> Option<usize> {
        let length = self.raw_at().checked_add(self.size?.recorded as usize)?;
        Some(length).filter(|length| *length <= LARGEST)
    }
}

/// The reason why reading stopped where it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// An invalid record. The start of the next one is not known.
    Corrupt(&'static str),
    /// A sample of `recorded` bytes with the filling, which is not what was to be expected. Its record has `length`
    /// bytes.
    WrongSize { recorded: u32, length: usize },
}

/// The contents of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body<'r> {
    Sample {
        time: Option<u64>,
        bytes: &'r [u8],
    },
    Lost(u64),
    /// A record type that was not asked for; only its size matters.
    Other,
}

/// Progress of the reading, up to date also when the consumer panics.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Bytes of the records that were handed out or passed over.
    pub bytes: usize,
    /// Records handed out.
    pub records: usize,
    /// The samples that records reported as lost.
    pub lost: u64,
}

/// The first record in `bytes` and, following on it, `then`, and what it is; `None` if there is no more. One that lies
/// across the two is put together in `scratch`.
#[inline]
pub(super) fn next<'r>(
    (bytes, then): (&'r [u8], &'r [u8]),
    layout: Layout,
    scratch: &'r mut Vec<u8>,
) -> Result<Option<(&'r [u8], Body<'r>)>, Problem> {
    use Problem::Corrupt;

    let (bytes, then) = if bytes.is_empty() { (then, bytes) } else { (bytes, then) };
    prefetch(bytes, AHEAD);
    let Some(header) = bytes.first_chunk::<HEADER>() else {
        return if bytes.is_empty() {
            Ok(None)
        } else {
            Err(Corrupt("less than a header is left"))
        };
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
    let record = match bytes.get(..length) {
        Some(record) => record,
        None => {
            let Some(end) = then.get(..length - bytes.len()) else {
                return Err(Corrupt("a record reaches beyond what was written"));
            };
            scratch.clear();
            scratch.extend_from_slice(bytes);
            scratch.extend_from_slice(end);
            &*scratch
        }
    };
    let body = record.get(HEADER..).unwrap_or_default();
    let body = match kind {
        RECORD_SAMPLE => {
            let (time, body) = match layout.time {
                false => (None, body),
                true => match body.split_first_chunk() {
                    Some((time, body)) => (Some(u64::from_ne_bytes(*time)), body),
                    None => return Err(Corrupt("a sample without its time")),
                },
            };
            let Some((recorded, raw)) = body.split_first_chunk::<4>() else {
                return Err(Corrupt("a sample without its size"));
            };
            let recorded = u32::from_ne_bytes(*recorded);
            let Some(raw) = raw.get(..recorded as usize) else {
                // The kernel keeps the low 16 bits of a record's size, and does not look whether that is all.
                let whole = recorded.wrapping_add(layout.raw_at() as u32);
                return Err(Corrupt(match whole as usize & 0xffff == length {
                    true => "a sample of more than a record can hold",
                    false => "a sample reaches beyond its record",
                }));
            };
            let bytes = match layout.size {
                None => raw,
                Some(size) if size.recorded == recorded => {
                    raw.get(..size.submitted as usize).unwrap_or(raw)
                }
                Some(_) => return Err(Problem::WrongSize { recorded, length }),
            };
            Body::Sample { time, bytes }
        }
        RECORD_LOST => {
            let Some(count) = body.get(8..).and_then(|body| body.first_chunk::<8>()) else {
                return Err(Corrupt("a record of lost samples without their number"));
            };
            Body::Lost(u64::from_ne_bytes(*count))
        }
        _ => Body::Other,
    };
    Ok(Some((record, body)))
}

/// The form of a sample that was checked, and that is valid for the next one too if it begins with the same bytes: most
/// programs send samples of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    header: [u8; HEADER],
    /// The length of the record; it comes from a header, so it is a multiple of 8, and not 0.
    length: usize,
    recorded: [u8; 4],
    /// Offset in the record at which the sample begins,
    raw_at: usize,
    /// and how many bytes are handed out.
    handed_out: usize,
}

impl Shape {
    /// The form of a record that has been checked and holds `bytes`.
    pub(super) fn of(record: &[u8], bytes: &[u8], layout: Layout) -> Option<Shape> {
        let raw_at = layout.raw_at();
        Some(Shape {
            header: *record.first_chunk()?,
            length: record.len(),
            recorded: *record.get(raw_at - 4..)?.first_chunk()?,
            raw_at,
            handed_out: bytes.len(),
        })
    }

    /// The bytes of a record.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// The time, if there is one, and the bytes of a sample in this shape; `None` if it is in another one.
    #[inline]
    pub(super) fn sample<'r>(
        &self,
        record: &'r [u8],
        time: bool,
    ) -> Option<(Option<u64>, &'r [u8])> {
        if *record.first_chunk::<HEADER>()? != self.header {
            return None;
        }
        let (before, raw) = record.split_at_checked(self.raw_at)?;
        if *before.last_chunk::<4>()? != self.recorded {
            return None;
        }
        let time = match time {
            false => None,
            true => Some(u64::from_ne_bytes(*before.get(HEADER..)?.first_chunk()?)),
        };
        Some((time, raw.get(..self.handed_out)?))
    }

    /// The beginning of `bytes` that can be records of this shape: whole ones, as many as come to `enough`.
    fn run<'r>(&self, bytes: &'r [u8], enough: usize) -> &'r [u8] {
        if bytes.first_chunk() != Some(&self.header) {
            return &[];
        }
        // Once for a run, not for a record.
        let count = (bytes.len() / self.length).min(enough.div_ceil(self.length));
        bytes.get(..count * self.length).unwrap_or_default()
    }
}

/// Hands out the records in the two pieces, until there is no more, `enough` bytes have been read or `consume`
/// breaks.
#[inline]
#[allow(clippy::too_many_arguments)]
pub(super) fn read(
    (mut bytes, mut then): (&[u8], &[u8]),
    cpu: u32,
    layout: Layout,
    shape: &mut Option<Shape>,
    enough: usize,
    scratch: &mut Vec<u8>,
    progress: &mut Progress,
    consume: &mut impl FnMut(Record<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, Problem> {
    while progress.bytes < enough {
        if let Some(shape) = shape {
            let run = shape.run(bytes, enough - progress.bytes);
            let mut done = 0;
            for record in run.chunks_exact(shape.length) {
                let Some((time_ns, bytes)) = shape.sample(record, layout.time) else { break };
                prefetch(record, AHEAD);
                done += shape.length;
                progress.bytes += shape.length;
                progress.records += 1;
                if consume(Record::Sample { cpu, time_ns, bytes }).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            bytes = bytes.get(done..).unwrap_or_default();
            if progress.bytes >= enough {
                break;
            }
        }
        let (record, body) = match next((bytes, then), layout, scratch) {
            Ok(Some(found)) => found,
            Ok(None) => break,
            Err(problem) => {
                if let Problem::WrongSize { length, .. } = problem {
                    progress.bytes += length;
                }
                return Err(problem);
            }
        };
        let length = record.len();
        progress.bytes += length;
        let record = match body {
            Body::Sample { time, bytes } => {
                *shape = Shape::of(record, bytes, layout);
                Some(Record::Sample { cpu, time_ns: time, bytes })
            }
            Body::Lost(count) => {
                progress.lost = progress.lost.saturating_add(count);
                Some(Record::Lost { cpu, count })
            }
            Body::Other => None,
        };
        if let Some(record) = record {
            progress.records += 1;
            if consume(record).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        (bytes, then) = behind((bytes, then), length);
    }
    Ok(ControlFlow::Continue(()))
}

/// The rest of the two pieces after their first `length` bytes, which they have to have.
#[inline]
pub(super) fn behind<'r>(
    (bytes, then): (&'r [u8], &'r [u8]),
    length: usize,
) -> (&'r [u8], &'r [u8]) {
    match bytes.get(length..) {
        Some(bytes) => (bytes, then),
        None => (then.get(length - bytes.len()..).unwrap_or_default(), &[]),
    }
}
