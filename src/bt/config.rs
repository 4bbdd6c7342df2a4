//! Settings: those of the config block and those of the environment.

use super::types::StackMode;

/// The settings of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// The size of strings of `str()` and the like, in bytes with the zero at the end.
    pub max_strlen: u32,
    /// The number of elements of a map that is not declared.
    pub max_map_keys: u32,
    /// The most probes that are attached to.
    pub max_probes: u32,
    /// The most programs that are loaded.
    pub max_programs: u32,
    /// The most bytes that `cat()` prints.
    pub max_cat_bytes: u64,
    /// How stacks are printed.
    pub stack_mode: StackMode,
    /// What is added to strings that were cut.
    pub str_trunc_trailer: String,
    /// The pages of the ring buffer; chosen by the number of CPUs if 0.
    pub ring_pages: u32,
    /// What happens if a probe does not exist.
    pub missing_probes: MissingProbes,
    /// Whether maps are printed at the end.
    pub print_maps_on_exit: bool,
    /// Whether symbols of C++ and Rust are demangled.
    pub demangle: bool,
    /// Whether symbols of processes are looked up only when they are printed.
    pub lazy_symbolication: bool,
    /// The license of the programs.
    pub license: String,
}

/// What happens if a probe does not exist or cannot be attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MissingProbes {
    /// The run fails.
    Error,
    /// A warning.
    Warn,
    /// Nothing.
    Ignore,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            max_strlen: 1024,
            max_map_keys: 4096,
            max_probes: 1024,
            max_programs: 1024,
            max_cat_bytes: 10240,
            stack_mode: StackMode::Bpftrace,
            str_trunc_trailer: "..".into(),
            ring_pages: 0,
            missing_probes: MissingProbes::Error,
            print_maps_on_exit: true,
            demangle: true,
            lazy_symbolication: false,
            license: "GPL".into(),
        }
    }
}
