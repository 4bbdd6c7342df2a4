//! Bytes as a program or library: everything that is read of them, for fuzzing.

use rawbpf::asm::Builder;
use rawbpf::insn::Reg;
use rawbpf::user::{self, ArgumentRegisters};
use std::path::Path;

/// Writes the bytes to a file and asks for its functions and probes. What is found has to hold together.
pub fn read_all(bytes: &[u8], path: &Path) {
    std::fs::write(path, bytes).unwrap();
    let length = bytes.len() as u64;
    if let Ok(functions) = user::functions(path) {
        assert!(functions.is_sorted_by(|a, b| (&a.name, a.offset) < (&b.name, b.offset)));
        assert!(functions.iter().all(|one| !one.name.is_empty()));
    }
    for probe in user::usdt_probes(path).unwrap_or_default() {
        assert!(!probe.name.is_empty() && !probe.places.is_empty());
        let most = probe.places.iter().map(|place| place.arguments.len()).max().unwrap_or_default();
        assert!((most as u64) <= length);
        for number in 0..=most.min(20) {
            let registers = ArgumentRegisters { context: Reg::R6, to: Reg::R0, stack: -8 };
            let mut builder = Builder::new();
            if probe.load_argument(&mut builder, number, registers).is_err() {
                // Either all of it or nothing.
                assert!(builder.is_empty());
            }
        }
    }
}
