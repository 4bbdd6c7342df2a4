//! The kernel's own trace beside a lesson: a private instance of the tracer, in which no program runs.

use std::fs;
use std::path::{Path, PathBuf};

/// Why this is no machine on which all interrupts run the programs that are attached; `None` if it is.
///
/// The kernels of the virtual machines do. One on which the tests were written does not, for interrupts that come while threads of
/// one process run: of 6,000 completions of disk requests the kernel's own trace has all, programs between 5,965 and 6,000, and
/// each that is missing interrupted that process.
pub(crate) fn no_guest() -> Option<String> {
    let guest = Path::new("/vm/orders").exists();
    (!guest)
        .then(|| "not a virtual machine of these tests: the kernel may leave programs out".into())
}

/// Events that the kernel writes down, until this is dropped.
pub(crate) struct KernelTrace(PathBuf);

impl KernelTrace {
    /// Writes down the events `category/name` that fit the filter.
    pub(crate) fn start(event: &str, filter: &str) -> KernelTrace {
        let name = format!("rawbpf_peer_{}_{}", std::process::id(), event.replace('/', "_"));
        let folder = Path::new("/sys/kernel/tracing/instances").join(name);
        fs::create_dir(&folder).unwrap();
        let trace = KernelTrace(folder);
        let of_event = trace.0.join("events").join(event);
        fs::write(of_event.join("filter"), filter).unwrap();
        fs::write(of_event.join("enable"), "1").unwrap();
        trace
    }

    /// The number of events. Nothing may be lost.
    #[track_caller]
    pub(crate) fn count(&self) -> usize {
        let text = fs::read_to_string(self.0.join("trace")).unwrap();
        // # entries-in-buffer/entries-written: 400/400   #P:2
        let line = text.lines().find_map(|line| line.split_once("entries-written: ")).unwrap().1;
        let (here, written) = line.split_whitespace().next().unwrap().split_once('/').unwrap();
        assert_eq!(here, written, "the trace has lost events");
        written.parse().unwrap()
    }
}

impl Drop for KernelTrace {
    fn drop(&mut self) {
        // An instance that writes cannot always be removed at once.
        let _ = fs::write(self.0.join("events/enable"), "0");
        let _ = fs::remove_dir(&self.0);
    }
}
