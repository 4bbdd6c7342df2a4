//! Options of a reader.

use super::record::{Layout, SampleSize};
use std::time::Duration;

/// The condition on which the kernel wakes a reader that waits. See [the
/// module](super#when-the-reader-is-woken-and-what-that-costs).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wakeup {
    /// Wakes when this many samples have been written to a ring since the last wake-up, and at the latest when half of
    /// the ring has been written. At least 1.
    Events(u32),
    /// Wakes when more than this many bytes have been written to a ring since the last wake-up. At least 1, at most
    /// half of the ring, so that there is room while the reader is on its way.
    Watermark(u32),
}

/// Options of a [`PerfReader`](super::PerfReader). The defaults are for programs that may send much: they are not
/// slowed down by wake-ups, and nothing waits for more than a tenth of a second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerfOptions {
    ring_size: usize,
    wakeup: Option<Wakeup>,
    max_delay: Duration,
    sample_size: Option<usize>,
    time: bool,
    window: Option<Duration>,
}

impl Default for PerfOptions {
    fn default() -> Self {
        PerfOptions::new()
    }
}

impl PerfOptions {
    /// 256 KiB a CPU, woken for every quarter of that and after 100 ms, samples of any size and without times.
    pub const fn new() -> PerfOptions {
        PerfOptions {
            ring_size: 256 << 10,
            wakeup: None,
            max_delay: Duration::from_millis(100),
            sample_size: None,
            time: false,
            window: None,
        }
    }

    /// Bytes of the ring of each CPU, rounded up to the next power-of-two number of pages; 262144 at
    /// first.
    ///
    /// A sample takes its own size and 12 bytes (20 with a [time](PerfOptions::time)), rounded up to a multiple of 8. The
    /// kernel drops and counts samples that find the ring full, and those that are larger than it. No sample can be larger
    /// than 65516 bytes (65508 with a time), see [`Error::CorruptRing`](crate::Error::CorruptRing). The memory is locked; a process without
    /// `CAP_IPC_LOCK` may have `kernel.perf_event_mlock_kb` (516 as a rule) for every CPU and then
    /// what `RLIMIT_MEMLOCK` allows.
    pub const fn ring_size(mut self, bytes: usize) -> PerfOptions {
        self.ring_size = bytes;
        self
    }

    /// Sets when the kernel wakes the reader; by default when a quarter of the ring has been written.
    pub const fn wakeup(mut self, wakeup: Wakeup) -> PerfOptions {
        self.wakeup = Some(wakeup);
        self
    }

    /// Sets the time that a sample may lie in a ring that is not yet so full that the kernel wakes the reader, while
    /// [`poll`](super::PerfReader::poll) waits: after that time it reads the samples that there are. 100 ms by default;
    /// [`Duration::MAX`] is for ever.
    ///
    /// It costs a look at the rings at such intervals, some microseconds. With [`Wakeup::Events`]`(1)` there is a
    /// wake-up for every sample, and this has no effect.
    pub const fn max_delay(mut self, delay: Duration) -> PerfOptions {
        self.max_delay = delay;
        self
    }

    /// The number of bytes that the program submits each time, which is then exactly what is handed
    /// out.
    ///
    /// Without it, up to 7 bytes follow on a sample: the kernel pads every record to a multiple of 8 and does not
    /// report by how much. 16 bytes arrive as 20, 32 as 36; the padding holds remains of earlier records. With it, a
    /// sample that can not have been of this size is an [`Error::SampleSize`](crate::Error::SampleSize).
    pub const fn sample_size(mut self, bytes: usize) -> PerfOptions {
        self.sample_size = Some(bytes);
        self
    }

    /// Has the kernel put the time into each sample, 8 bytes: by `CLOCK_MONOTONIC`, which is the clock of `ktime_get_ns` in
    /// programs. `PERF_SAMPLE_TIME`, Linux 4.1 for that clock.
    pub const fn time(mut self) -> PerfOptions {
        self.time = true;
        self
    }

    /// Hands out the samples of all CPUs in the order of their times, which they then [have](PerfOptions::time).
    ///
    /// A record of one CPU may become visible after a later one of another CPU. So [`poll`](super::PerfReader::poll)
    /// leaves a sample in its ring until it is `window` old, some milliseconds; the rings have to have room for the
    /// samples of that time. [`drain`](super::PerfReader::drain) reads all that there is. A sample that appears later
    /// than that is handed out at once and counted by [`late`](super::PerfReader::late).
    pub const fn in_order(mut self, window: Duration) -> PerfOptions {
        self.time = true;
        self.window = Some(window);
        self
    }

    /// Resolves the options for a machine with this page size; the error says which option is invalid.
    pub(super) fn check(&self, page: usize) -> Result<Checked, &'static str> {
        if self.ring_size == 0 {
            return Err("the ring size is 0");
        }
        let ring_size = self
            .ring_size
            .div_ceil(page)
            .checked_next_power_of_two()
            .and_then(|pages| pages.checked_mul(page))
            .filter(|size| size.checked_add(page).is_some_and(|all| isize::try_from(all).is_ok()))
            .ok_or("the ring size is more than there can be memory")?;
        let quarter = u32::try_from(ring_size / 4).unwrap_or(u32::MAX);
        let (wakeup, watermark) = match self.wakeup.unwrap_or(Wakeup::Watermark(quarter)) {
            Wakeup::Events(0) => return Err("a wake-up after 0 samples"),
            Wakeup::Watermark(0) => return Err("a wake-up after 0 bytes"),
            Wakeup::Watermark(bytes) if bytes as usize > ring_size / 2 => {
                return Err("a wake-up after more bytes than half of the ring holds");
            }
            Wakeup::Events(samples) => (samples, false),
            Wakeup::Watermark(bytes) => (bytes, true),
        };
        let size = self.sample_size.and_then(|size| SampleSize::new(u32::try_from(size).ok()?));
        let layout = Layout { time: self.time, size };
        if self.sample_size.is_some() {
            let length = layout.record().ok_or(
                "the sample size is more than the largest that a record can hold (65516; 65508 with a time)",
            )?;
            // The kernel never fills a ring to the last byte: head and tail would be in the
            // same place.
            if length >= ring_size {
                return Err("a sample of that size does not fit into the ring");
            }
        }
        let max_delay = (watermark || wakeup > 1).then_some(self.max_delay);
        let window = self.window.map(|window| u64::try_from(window.as_nanos()).unwrap_or(u64::MAX));
        Ok(Checked { ring_size, wakeup, watermark, max_delay, layout, window })
    }
}

/// [`PerfOptions`] that can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checked {
    pub ring_size: usize,
    pub wakeup: u32,
    pub watermark: bool,
    /// The longest time that a record without a wake-up can lie in a ring.
    pub max_delay: Option<Duration>,
    pub layout: Layout,
    /// Nanoseconds.
    pub window: Option<u64>,
}
