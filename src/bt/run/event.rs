//! The events of a run, as values.

use crate::bt::output::Map;
use crate::bt::value::Value;

/// An event of a run, in the order in which the script's probes caused them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// `printf()`.
    Printf {
        /// The text.
        text: Vec<u8>,
        /// The arguments.
        arguments: Vec<Value>,
    },
    /// `print()` of a value.
    Value(Value),
    /// `print()` of a map, with its contents at that point.
    Map(Map),
    /// `time()`: the text.
    Time(Vec<u8>),
    /// `join()`: the joined strings.
    Join(Vec<u8>),
    /// `cat()`: the contents of the file.
    Cat(Vec<u8>),
    /// `system()`: the standard output of the command.
    System(Vec<u8>),
    /// A message about the run, as bpftrace prints it: `errorf()`, `warnf()`, a division by 0, a map that is full.
    Message(String),
    /// Records that were lost since the last event of this kind, because they came faster than they were read.
    Lost {
        /// Their number.
        records: u64,
        /// The CPUs that lost some, in ascending order, and how many each.
        by_cpu: Vec<(u32, u64)>,
    },
}
