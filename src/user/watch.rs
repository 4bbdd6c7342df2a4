//! Watches a process and those that it starts, and records the code that they map while they run.
//!
//! The mappings of a process can be read from `/proc/PID/maps` only while it runs; its stacks are often resolved after
//! it has ended. For each file that is mapped as code the kernel writes a `PERF_RECORD_MMAP2` (Linux 3.16) to the
//! events that are open on the process, which `perf record` relies on, too. A child begins with the memory of its
//! parent, so that a record for one of them holds for all.

use super::code::{Code, Keeper};
use super::process::{self, Backing, Mapping, Process};
use crate::error::{Error, Result};
use crate::kernel::cpu;
use crate::ring::{OpenError, Ring, page_size};
use crate::syscall::PerfEvent;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// `PERF_TYPE_SOFTWARE` and `PERF_COUNT_SW_DUMMY`: an event that counts nothing.
const NOTHING: (u32, u64) = (1, 9);

/// Room for some hundred records on each CPU.
const ROOM: usize = 64 << 10;

/// `struct perf_event_header`: `u32 type`, `u16 misc`, `u16 size`.
const HEADER: usize = 8;
const RECORD_MMAP2: u32 = 10;

/// A watched process, with the mappings of it and of those that it starts.
#[derive(Debug)]
pub(crate) struct Watch {
    process: Process,
    /// The time when its mappings were last read.
    asked: Instant,
    /// The ring buffers, one for each CPU: inherited events cannot share one.
    rings: Vec<Ring>,
    noted: Noted,
}

/// The recorded mappings.
#[derive(Debug)]
struct Noted {
    code: Vec<Code>,
    known: HashSet<(u32, u64, u64, u64, Backing, PathBuf)>,
    /// Keeps all files: programs may be deleted as soon as they have ended.
    keeper: Keeper,
    /// The processes with code that is in no file.
    makers: HashSet<u32>,
}

/// The maximum number of recorded mappings. A process can map something at another address again and again.
const MOST: usize = 1 << 16;

/// The interval at which the mappings of the process itself are read. The events are those of its first thread and of
/// the threads and processes that this one starts; other threads that existed before have none.
const INTERVAL: Duration = Duration::from_millis(100);

impl Watch {
    /// Watches a running process; its current mappings are recorded, too.
    ///
    /// # Errors
    /// [`Error::Reader`] if the kernel does not permit an event on the process.
    pub(crate) fn new(pid: u32) -> Result<Watch> {
        let process = Process(pid);
        let (rings, noted) = (Vec::new(), Noted::new(Vec::new()));
        let mut watch = Watch { process, asked: Instant::now(), rings, noted };
        let (kind, config) = NOTHING;
        for cpu in cpu::online()? {
            let event = PerfEvent {
                kind,
                config,
                mmap: true,
                inherit: true,
                pid: i32::try_from(pid).unwrap_or(i32::MAX),
                cpu: i32::try_from(cpu).unwrap_or(i32::MAX),
                ..PerfEvent::default()
            };
            match Ring::open(&event, ROOM.max(page_size())) {
                Ok(ring) => watch.rings.push(ring),
                // It has gone offline since.
                Err(OpenError::Event(errno)) if errno.0 == libc::ENODEV => {}
                Err(OpenError::Event(errno) | OpenError::Memory(errno)) => {
                    let action = "watch what a process maps, by a perf event of";
                    return Err(Error::Reader { action, cpu: Some(cpu), errno, why: None });
                }
            }
        }
        // After the events are there, so that nothing comes in between.
        watch.ask();
        Ok(watch)
    }

    #[cfg(test)]
    pub(super) fn of(code: Vec<Code>) -> Watch {
        let process = Process(u32::MAX);
        Watch { process, asked: Instant::now(), rings: Vec::new(), noted: Noted::new(code) }
    }

    /// Records the new mappings.
    pub(crate) fn look(&mut self) {
        let mut records = Vec::new();
        for ring in &mut self.rings {
            // If the position of the ring cannot be read, its records are lost: those addresses get no names.
            ring.look();
            let (bytes, then) = ring.filled();
            records.extend_from_slice(bytes);
            records.extend_from_slice(then);
            ring.skip();
            for (pid, mapping) in mappings(&records) {
                self.noted.add(Process(pid), mapping);
            }
            records.clear();
        }
        if self.asked.elapsed() >= INTERVAL {
            self.ask();
        }
    }

    fn ask(&mut self) {
        self.asked = Instant::now();
        // When it has ended, nothing new is mapped.
        for mapping in self.process.executable_mappings().unwrap_or_default() {
            self.noted.add(self.process, mapping);
        }
    }

    /// Returns the recorded code.
    pub(crate) fn code(&self) -> &[Code] {
        &self.noted.code
    }

    /// The number of the process, without those that it starts.
    pub(crate) fn pid(&self) -> u32 {
        self.process.0
    }

    /// The processes that have made code themselves.
    pub(crate) fn makers(&self) -> impl Iterator<Item = u32> {
        self.noted.makers.iter().copied()
    }

    /// Returns the last code that a process had at an address, if it is one of those that are watched.
    pub(crate) fn code_at(&self, pid: u32, address: u64) -> Option<&Code> {
        let holding = || self.noted.code.iter().rev().filter(|code| code.holds(address));
        let own = holding().find(|code| code.process == Process(pid));
        // Code of the first process may be inherited from before watching began.
        own.or_else(|| holding().next().filter(|_| self.process == Process(pid)))
    }
}

impl Noted {
    fn new(code: Vec<Code>) -> Noted {
        let keeper = Keeper::of_all();
        Noted { code, known: HashSet::new(), keeper, makers: HashSet::new() }
    }

    fn add(&mut self, process: Process, mapping: Mapping) {
        let Mapping { start, end, executable: _, offset, path, backing, .. } = &mapping;
        let key = (process.0, *start, *end, *offset, *backing, path.clone());
        if self.code.len() < MOST && self.known.insert(key) {
            if *backing != Backing::File {
                self.makers.insert(process.0);
            }
            self.code.push(Code::new(process, mapping, &mut self.keeper));
        }
    }
}

/// Returns the files that `PERF_RECORD_MMAP2` records report as mapped, with the processes.
fn mappings(mut records: &[u8]) -> impl Iterator<Item = (u32, Mapping)> {
    std::iter::from_fn(move || {
        while let Some(header) = records.first_chunk::<HEADER>() {
            let &[k0, k1, k2, k3, _, _, s0, s1] = header;
            let kind = u32::from_ne_bytes([k0, k1, k2, k3]);
            let size = usize::from(u16::from_ne_bytes([s0, s1]));
            let (record, rest) = records.split_at_checked(size.max(HEADER))?;
            records = rest;
            if kind == RECORD_MMAP2
                && let Some(found) = mapping(record)
            {
                return Some(found);
            }
        }
        None
    })
}

/// `PERF_RECORD_MMAP2`: header, `u32 pid, tid`, `u64 addr, len, pgoff`, `u32` for the device, twice, `u64` inode and
/// its generation, `u32 prot, flags`, the path.
fn mapping(record: &[u8]) -> Option<(u32, Mapping)> {
    let word = |at: usize| Some(u32::from_ne_bytes(*record.get(at..)?.first_chunk()?));
    let long = |at: usize| Some(u64::from_ne_bytes(*record.get(at..)?.first_chunk()?));
    let pid = word(HEADER)?;
    let (start, length, offset) = (long(16)?, long(24)?, long(32)?);
    let device = (word(40)?, word(44)?);
    let (inode, path) = (long(48)?, record.get(72..)?);
    let path = path.get(..path.iter().position(|byte| *byte == 0)?)?;
    // Memory without a file is `//anon`, what the kernel brings along `[vdso]`.
    let (backing, path) = process::backing(path)?;
    let (path, end) = (OsStr::from_bytes(path).into(), start.checked_add(length)?);
    Some((pid, Mapping { start, end, executable: true, offset, path, inode, device, backing }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requires::{Thing, needs};
    use proptest::prelude::*;

    fn record(kind: u32, path: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend([7u32, 8].iter().flat_map(|word| word.to_ne_bytes()));
        body.extend([0x1000u64, 0x500, 0x200].iter().flat_map(|word| word.to_ne_bytes()));
        body.extend([8u32, 1].iter().flat_map(|word| word.to_ne_bytes()));
        body.extend(77u64.to_ne_bytes());
        body.extend([0; 16]);
        body.extend_from_slice(path);
        body.resize((body.len() + 1).next_multiple_of(8), 0);
        crate::ring::fake::record(kind, &body)
    }

    #[test]
    fn records_of_mapped_files_are_read() {
        let found = |records: &[Vec<u8>]| mappings(&records.concat()).collect::<Vec<_>>();
        let libc = Mapping {
            start: 0x1000,
            end: 0x1500,
            executable: true,
            offset: 0x200,
            path: "/lib/libc.so.6".into(),
            inode: 77,
            device: (8, 1),
            backing: Backing::File,
        };
        let other = record(3, b"/lib/other");
        let mine = record(RECORD_MMAP2, b"/lib/libc.so.6");
        assert_eq!(found(&[other.clone(), mine.clone(), other]), [(7, libc.clone())]);
        assert_eq!(found(&[record(RECORD_MMAP2, b"[vdso]"), mine.clone()]), [(7, libc.clone())]);
        for (name, path, backing) in [
            (&b"//anon"[..], "", Backing::Anonymous),
            (b"/tmp/a (deleted)", "/tmp/a", Backing::Deleted),
        ] {
            let mapping = Mapping { path: path.into(), backing, ..libc.clone() };
            assert_eq!(found(&[record(RECORD_MMAP2, name)]), [(7, mapping)]);
        }
        // The end of one that is cut off is not there.
        assert_eq!(found(&[mine[..mine.len() - 8].to_vec()]), []);
    }

    /// (What is mapped later, by processes that have ended then, is in `tests/trace_cli.rs`.)
    #[test]
    fn what_is_mapped_already_is_known() {
        needs!(Bpf);
        let mut watch = Watch::new(std::process::id()).unwrap();
        let here = what_is_mapped_already_is_known as fn() as usize as u64;
        let known = watch.code().iter().filter(|code| code.holds(here)).collect::<Vec<_>>();
        let [known] = known[..] else { panic!("{:#?}", watch.code()) };
        assert_eq!(known.path, std::env::current_exe().unwrap());
        let count = watch.code().len();
        watch.look();
        assert_eq!(watch.code().len(), count, "nothing is noted twice");
    }

    proptest! {
        #[test]
        fn any_bytes_are_records_or_not(bytes: Vec<u8>, kind in 9u32..12, path: Vec<u8>) {
            mappings(&bytes).for_each(drop);
            mappings(&[record(kind, &path), bytes].concat()).for_each(drop);
        }
    }
}
