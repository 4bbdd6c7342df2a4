//! Lines of `trace_pipe` and of `/proc/kallsyms`: what is found in a line stands in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rawbpf::kernel::symbols::Symbol;
use rawbpf::trace_pipe::TraceFields;

/// Nothing stands anywhere.
fn stands_in(line: &[u8], part: &[u8]) -> bool {
    part.is_empty()
        || line.as_ptr_range().start <= part.as_ptr_range().start
            && part.as_ptr_range().end <= line.as_ptr_range().end
}

fuzz_target!(|line: &[u8]| {
    if let Some(fields) = TraceFields::parse(line) {
        assert!(stands_in(line, fields.message));
        assert!(stands_in(line, fields.task));
    }
    if let Some(symbol) = Symbol::parse(line) {
        assert!(!symbol.name.is_empty() && stands_in(line, symbol.name.as_bytes()));
    }
});
