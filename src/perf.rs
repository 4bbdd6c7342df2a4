//! The perf ring reader.
