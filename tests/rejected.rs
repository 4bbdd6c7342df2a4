//! A table of programs that the verifier rejects: the diagnosis of each, on the running kernel.

#[path = "rejected/case.rs"]
mod case;
mod common;
#[path = "rejected/table.rs"]
mod table;

use case::Case;
use common::requires::{Thing, needs};
use rawbpf::asm::{ParseOptions, parse};
use rawbpf::{
    AttachType, Error, Loader, ProgramFlags, ProgramSpec, ProgramType, TextSpec, VerifierError,
};
use table::CASES;

/// The kernel's error for a text; `None` if it accepts it.
fn ask(case: &Case, text: &str, level: u32) -> Option<Error> {
    let file = format!("{}.s", case.name);
    let module =
        parse(text, &file, &ParseOptions::new()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let spec = TextSpec::new(&module, &module.programs()[0], &file).unwrap();
    let kind = ProgramType::from_name(case.kind).unwrap();
    let mut program = spec
        .program(kind)
        .with_license(case.license)
        .with_flags(ProgramFlags::from_bits_retain(case.flags));
    if kind == ProgramType::Tracing {
        let iterator = case.target.is_some_and(|target| target.starts_with("bpf_"));
        let attach_type = if iterator { AttachType::TraceIter } else { AttachType::TraceRawTp };
        program = ProgramSpec { target: case.target, ..program.with_attach_type(attach_type) };
    }
    Loader::new().log_level(level).load(&program).err()
}

/// Level 1 shows the path; that of a million instructions is not worth its time.
fn level(case: &Case) -> u32 {
    if case.advice == ["complex"] { 4 } else { 1 }
}

/// The difference between a case's diagnosis and the expected one, if any.
fn wrong(case: &Case, error: &VerifierError) -> Option<String> {
    let key = error.advice().map_or("none", |advice| advice.key);
    let message = error.to_string();
    let line = error.instruction().and(case.wrong_line());
    // Of checks that are made of the whole program kernels before 7.3 do not say where it fails.
    let at_line = line.is_none_or(|line| {
        error.line() as usize == line && message.contains(&format!("{}.s:{line}: ", case.name))
    });
    let first = match error.instruction() {
        Some(instruction) => format!("\n  instruction {instruction}: {}\n", error.cause()),
        None => format!("\n  {}\n", error.cause()),
    };
    // Somebody says what to do: the kernel or the table.
    let advised = match (error.suggestion(), error.advice()) {
        (Some(suggestion), _) => message.contains(suggestion),
        (None, Some(advice)) => message.contains(advice.text.as_ref()),
        (None, None) => false,
    };
    let text = error.advice().map_or("", |advice| advice.text.as_ref());
    let right = case.has_cause(error.cause())
        && case.is_told(key, text, error.notes())
        && error.notes().iter().all(|note| message.contains(note))
        && at_line
        && message.contains(&first)
        && advised
        && error.known().len() <= 3;
    (!right).then(|| format!("==== {}: {key}\n{message}\n{}\n", case.name, error.log()))
}

#[test]
fn each_rejection_has_its_diagnosis() {
    needs!(Bpf);
    let mut troubles = String::new();
    let mut rejected = 0;
    for case in CASES {
        match ask(case, &case.source(), level(case)) {
            None if case.accepted_somewhere => {}
            None => troubles += &format!("==== {}: accepted\n", case.name),
            Some(_) if case.right.is_some_and(|right| ask(case, right, 1).is_some()) => {}
            Some(error) => match error.verifier() {
                Some(verdict) => {
                    rejected += 1;
                    troubles += &wrong(case, verdict).unwrap_or_default();
                }
                None => troubles += &format!("==== {}: {error}\n", case.name),
            },
        }
    }
    assert!(troubles.is_empty(), "{troubles}");
    assert!(rejected >= 60, "{rejected} of {} only", CASES.len());
}

/// Whatever is rejected has a log, with its statistics at the end. It is also how those in `tests/data/verifier` were had:
/// `cargo xtask vm --kernel K -- TEST --nocapture every_rejection_has_a_log`.
#[test]
fn every_rejection_has_a_log() {
    needs!(Bpf);
    let mut logs = 0;
    for case in CASES {
        if case.right.is_some_and(|right| ask(case, right, 1).is_some()) {
            continue;
        }
        let refused = ask(case, &case.source(), level(case));
        if let Some(error) = refused.as_ref().and_then(Error::verifier) {
            print!("==== {} {}\n{}", case.name, level(case), error.log());
            assert!(!error.log().trim().is_empty(), "{}", case.name);
            logs += 1;
        }
    }
    assert!(logs >= 60, "{logs} of {} only", CASES.len());
}
