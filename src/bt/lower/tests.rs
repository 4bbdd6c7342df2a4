//! Scripts compiled, loaded and run on this kernel.
//!
//! Expected results are computed by hand from the language's definition, or by other code: Rust's arithmetic, the
//! buckets of [`value`](crate::bt::value).

mod aggregates;
mod debug_info;
mod hazards;
mod kernel;
mod loops;
mod random;
mod records;
mod run;
mod statements;
mod usdt;
mod values;

use run::run;

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
