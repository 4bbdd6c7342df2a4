//! Any text is assembled or refused; what is assembled prints to a text that is assembled to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rawbpf::asm::{ParseOptions, PrintOptions, disassemble, parse};

fuzz_target!(|text: &str| {
    let options = ParseOptions::new();
    let module = match parse(text, "fuzz", &options) {
        Ok(module) => module,
        Err(mistakes) => {
            assert!(!mistakes.to_string().is_empty());
            return;
        }
    };
    for program in module.programs() {
        let slots = program.slots();
        if slots.is_empty() {
            continue;
        }
        let printed = disassemble(slots, &PrintOptions::default()).expect("it was assembled");
        let again = parse(&printed, "again", &options).unwrap_or_else(|e| panic!("{e}\n{printed}"));
        assert_eq!(again.programs()[0].slots(), slots, "{printed}");
        for slot in 0..=slots.len() {
            assert_eq!(program.statement(slot).is_some(), slot < slots.len());
        }
    }
});
