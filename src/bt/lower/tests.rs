//! Scripts compiled, loaded and run on this kernel.

mod run;
mod values;

use run::{Script, run};

/// Runs `BEGIN { … }` of each and compares what the maps hold afterwards.
#[track_caller]
fn maps(cases: &[(&str, &str)]) {
    for (body, expected) in cases {
        let script = format!("BEGIN {{ {body} }}");
        assert_eq!(run(&script).maps(), *expected, "{body}");
    }
}

/// Runs `BEGIN { … }` of each and compares what it sends.
#[track_caller]
fn records(cases: &[(&str, &str)]) {
    for (body, expected) in cases {
        let script = format!("BEGIN {{ {body} }}");
        assert_eq!(run(&script).records().join(" | "), *expected, "{body}");
    }
}
