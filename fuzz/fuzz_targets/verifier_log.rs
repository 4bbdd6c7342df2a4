//! Any log of the verifier gives a cause on one line; what is found in it stands in it; and where nothing is understood,
//! its last line is shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rawbpf::verifier::{Entry, VerifierLog};

fuzz_target!(|text: &str| {
    let log = VerifierLog::new(text);
    let cause = log.cause();
    assert!(!cause.is_empty() && !cause.contains('\n'), "{cause:?}");
    let (mut remarks, mut entries) = (0, 0);
    for entry in log.entries() {
        entries += 1;
        match entry {
            Entry::Remark(remark) => {
                remarks += 1;
                assert!(text.contains(remark));
            }
            Entry::Instruction(traced) => {
                assert!(text.contains(traced.text));
                assert!(traced.after.values().count() <= traced.after.text().len());
            }
            Entry::State { state, .. } | Entry::Branch { state, .. } => {
                assert!(text.contains(state.text()));
                assert!(
                    state.values().all(|(name, value)| text.contains(name) && text.contains(value))
                );
            }
            Entry::Source { text: line, .. } => assert!(text.contains(line)),
            _ => {}
        }
    }
    let path = log.path();
    assert!(path.len() <= entries);
    log.statistics();
    let last = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    if let (0, None, Some(last)) = (remarks, log.report(), last) {
        assert_eq!(cause, last);
    }
});
