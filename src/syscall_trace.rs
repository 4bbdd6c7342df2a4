//! Tracing of the library's system calls: the requests of the loader to the kernel, call by call, with their results.
//!
//! ```no_run
//! use rawbpf::{Loader, MapSpec, syscall_trace};
//!
//! static COUNTS: MapSpec = MapSpec::hash("counts", 4, 8, 16);
//! syscall_trace::observe(|call| eprintln!("{call}"), || Loader::new().map(&COUNTS).map(drop))?;
//! # Ok::<(), rawbpf::Error>(())
//! ```
//!
//! prints
//!
//! ```text
//! bpf(BPF_MAP_CREATE, {map_type=hash (1), key_size=4, value_size=8, max_entries=16, map_name="counts"}) = 3 <0.000021>
//! ```

pub use crate::syscall::{SystemCall, observe};
