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

#[test]
fn dev() {
    let Ok(text) = std::fs::read_to_string("/tmp/btcases.txt") else { return };
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (script, args) = line.split_once("@@").unwrap_or((line, ""));
        let result = std::panic::catch_unwind(|| {
            let mut one = Script::new(script);
            for (index, arg) in args.split_whitespace().enumerate() {
                one.arguments[index] = arg.parse().unwrap();
            }
            if script.starts_with("OLD") {
                one.without.extend(run::ALL);
                one.text = &script[3..];
            }
            let out = one.run();
            println!(
                "{script}\n   => {} | {} | lost {:?} slots {:?} xlated {:?}",
                out.maps(),
                out.records().join(" "),
                out.lost,
                out.slots,
                out.xlated
            );
        });
        if result.is_err() {
            println!("{script}\n   => FAILED");
        }
    }
}
