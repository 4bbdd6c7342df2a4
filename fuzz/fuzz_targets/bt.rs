//! Any text as a script: compiled, or refused at places that lie in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rawbpf::bt::{Options, Script};

fuzz_target!(|text: &str| {
    // Patterns of attach points would list the kernel's functions each time.
    if text.contains(['*', '?', '[']) && text.contains(':') {
        return;
    }
    let options = Options::new().parameters(["7", "text", "-1"]);
    if let Err(error) = Script::compile_with(text, &options) {
        assert!(!error.to_string().is_empty());
    }
});
