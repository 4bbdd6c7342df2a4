//! The tutorial's way of sending data to user space: a record for each event through a perf ring.
//!
//! After `hello_perf_output.py` of the BCC tutorial, lesson 7. Read it with
//! [`PerfReader`](crate::perf::PerfReader) and [`Event::from_bytes`].

use crate::spec::{MapSpec, ProgramSpec};
use crate::uapi::ProgramType;
use crate::{bpf, stack};

/// The map through which the records come.
pub static EVENTS: MapSpec = MapSpec::perf_event_array("events");

/// One record: the process that made the system call, and the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Event {
    /// The process (in the kernel's words the thread group).
    pub pid: u32,
    /// Nothing: the four bytes that align `ts`. The program sets them, or the verifier (and the
    /// reader of the record) would find what the stack held before.
    padding: u32,
    /// The time, nanoseconds since boot without suspend (`CLOCK_MONOTONIC`).
    pub ts: u64,
    /// The name of the thread, ended by a NUL.
    pub comm: [u8; 16],
}

impl Event {
    /// The number of bytes that the program sends.
    pub const SIZE: usize = size_of::<Event>();

    /// Reads a record; `None` if it does not have just that many bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Event> {
        let bytes: &[u8; Event::SIZE] = bytes.try_into().ok()?;
        let (pid, rest) = bytes.split_first_chunk()?;
        let (padding, rest) = rest.split_first_chunk()?;
        let (ts, rest) = rest.split_first_chunk()?;
        Some(Event {
            pid: u32::from_ne_bytes(*pid),
            padding: u32::from_ne_bytes(*padding),
            ts: u64::from_ne_bytes(*ts),
            comm: rest.try_into().ok()?,
        })
    }

    /// The name of the thread up to its NUL; any bytes are allowed in it.
    pub fn comm(&self) -> &[u8] {
        self.comm.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}

/// Sends an [`Event`] with `bpf_perf_event_output` (Linux 4.4).
pub static PERF_OUTPUT: ProgramSpec = ProgramSpec::new(
    "perf_output",
    ProgramType::Kprobe,
    bpf! {
        r6 = r1;                                        // the context, kept over the calls

        call get_current_pid_tgid;                      // thread group << 32 | thread
        r0 >>= 32;
        *(u32 *)(r10 + {stack!(Event, pid)}) = r0;
        *(u32 *)(r10 + {stack!(Event, padding)}) = 0;

        call ktime_get_ns;
        *(u64 *)(r10 + {stack!(Event, ts)}) = r0;

        r1 = r10;
        r1 += {stack!(Event, comm)};
        r2 = 16;                                        // TASK_COMM_LEN
        call get_current_comm;

        r1 = r6;
        r2 = EVENTS ll;
        r3 = 0xffffffff ll;                             // BPF_F_CURRENT_CPU: the ring of this CPU
        r4 = r10;
        r4 += {stack!(Event)};
        r5 = {Event::SIZE};
        call perf_event_output;

        r0 = 0;
        exit;
    },
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_only_whole() {
        let mut bytes = [0; Event::SIZE];
        bytes[..4].copy_from_slice(&7u32.to_ne_bytes());
        bytes[8..16].copy_from_slice(&9u64.to_ne_bytes());
        bytes[16..20].copy_from_slice(b"sh\0x");
        let event = Event::from_bytes(&bytes).unwrap();
        assert_eq!((event.pid, event.ts, event.comm()), (7, 9, &b"sh"[..]));
        assert_eq!(Event::from_bytes(&bytes[..31]), None);
        assert_eq!(Event::from_bytes(&[0; 36]), None);
    }

    #[test]
    fn the_record_has_no_hidden_padding() {
        assert_eq!(Event::SIZE, 4 + 4 + 8 + 16);
    }
}
