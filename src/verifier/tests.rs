//! Logs of every kernel, and what is read in them.

use super::*;
use crate::asm::{ParseOptions, parse};
use crate::bpf;
use crate::program::TextSpec;
use proptest::prelude::*;

#[path = "../../tests/rejected/case.rs"]
#[allow(dead_code)]
mod case;
#[path = "../../tests/rejected/table.rs"]
mod table;

/// Logs of each kernel, with log levels 1 and 2, about the programs that `tests/load.rs` has it reject, and with
/// level 1 about those of the table: 5.10 and 7.3 about programs with BTF, and so with the lines of their source.
const LOGS: [(&str, &str); 5] = [
    ("5.10", include_str!("../../tests/data/verifier/5.10.txt")),
    ("6.1", include_str!("../../tests/data/verifier/6.1.txt")),
    ("6.12", include_str!("../../tests/data/verifier/6.12.txt")),
    ("6.18", include_str!("../../tests/data/verifier/6.18.txt")),
    ("7.3", include_str!("../../tests/data/verifier/7.3.txt")),
];

/// The program, the index of the slot that is to blame, and the cause.
const CAUSES: [(&str, Option<usize>, &str); 21] = [
    ("UNINITIALISED", Some(1), "R3 !read_ok"),
    ("NO_RESULT", Some(1), "R0 !read_ok"),
    ("BELOW_STACK", Some(1), "invalid write to stack R10 off=-520 size=8"),
    ("NO_NULL_CHECK", Some(6), "R0 invalid mem access 'map_value_or_null'"),
    (
        "PAST_VALUE",
        Some(7),
        "invalid access to map value, value_size=8 off=8 size=8; \
         R0 min value is outside of the allowed memory range",
    ),
    ("CONTEXT", Some(0), "invalid bpf_context access off=400 size=8"),
    ("UNREACHABLE", Some(2), "unreachable insn 2"),
    ("LOOP", Some(1), "infinite loop detected at insn 1"),
    // Each kernel takes other types.
    ("SCALAR_FOR_BUFFER", Some(2), "R1 type="),
    ("CONTEXT_FOR_MAP", Some(1), "R1 type=ctx expected=map_ptr"),
    ("DIVISION", Some(1), "div by zero"),
    ("SHIFT", Some(1), "invalid shift 64"),
    // Only the report names the instruction.
    ("NO_EXIT", None, "last insn is not an exit or jmp"),
    ("JUMP", Some(1), "jump out of range from insn 1 to 9"),
    ("GPL", Some(5), "cannot call GPL-restricted function from non-GPL compatible program"),
    ("FRAME_POINTER", Some(0), "frame pointer is read only"),
    ("POINTER_TIMES", Some(1), "R0 pointer arithmetic with *= operator prohibited"),
    ("UNKNOWN_HELPER", Some(1), "invalid func unknown#9999"),
    ("AFTER_CALL", Some(1), "R1 !read_ok"),
    // unknown func …, later: program of this type cannot use helper …
    ("HELPER_OF_OTHERS", Some(2), "bpf_skb_load_bytes#26"),
    ("BRANCH", Some(5), "R7 !read_ok"),
];

/// The logs in a file, each with its name and level.
fn split(file: &str) -> Vec<(&str, &str, &str)> {
    let sections = file.split("==== ").skip(1);
    let parts = sections.filter_map(|section| {
        let (title, log) = section.split_once('\n')?;
        let (name, level) = title.split_once(' ')?;
        Some((name, level, log))
    });
    parts.collect()
}

/// Slot, cause, reason and suggestion.
#[derive(Debug)]
struct Verdict {
    instruction: Option<usize>,
    cause: String,
    reason: Option<String>,
    suggestion: Option<String>,
}

fn read(log: &str) -> Verdict {
    let log = VerifierLog::new(log);
    let report = log.report().unwrap_or_default();
    let (instruction, cause) = log.verdict();
    Verdict { instruction, cause, reason: report.reason, suggestion: report.suggestion }
}

fn log_of(kernel: &str, program: &str, level: &str) -> &'static str {
    let (_, file) = LOGS.iter().find(|(name, _)| *name == kernel).unwrap();
    let logs = split(file);
    logs.iter().find(|(name, l, _)| (*name, *l) == (program, level)).unwrap().2
}

#[test]
fn the_logs_of_every_kernel_are_read() {
    for (kernel, file) in LOGS {
        let logs = split(file);
        // The others are of the table.
        let own = |(name, ..): &(&str, &str, &str)| name.starts_with(|c: char| c.is_uppercase());
        let logs: Vec<_> = logs.into_iter().filter(own).collect();
        assert_eq!(logs.len(), 2 * CAUSES.len(), "{kernel}");
        for (name, level, log) in logs {
            let (_, instruction, cause) = CAUSES.iter().find(|(known, ..)| *known == name).unwrap();
            let verdict = read(log);
            let loose = matches!(name, "SCALAR_FOR_BUFFER" | "HELPER_OF_OTHERS");
            let same = verdict.cause == *cause || loose && verdict.cause.contains(cause);
            assert!(same, "{kernel} {name} {level}: {verdict:?}");
            let instruction = match (kernel, name) {
                ("7.3", "NO_EXIT") => Some(1),
                _ => *instruction,
            };
            assert_eq!(verdict.instruction, instruction, "{kernel} {name} {level}");
            if kernel != "7.3" {
                assert_eq!((verdict.reason, verdict.suggestion), (None, None), "{name}");
            }
        }
    }
}

/// The diagnosis of a program of the table, from the log that a kernel wrote.
fn diagnosis(case: &case::Case, log: &str) -> VerifierError {
    let text = case.source();
    let module = parse(&text, case.name, &ParseOptions::new()).unwrap();
    let spec = TextSpec::new(&module, &module.programs()[0], case.name).unwrap();
    let kind = ProgramType::from_name(case.kind).unwrap();
    VerifierError::new(&spec.program(kind), Errno(libc::EACCES), log.as_bytes())
}

/// The programs of the table that a kernel rejected.
fn tabled(file: &str) -> impl Iterator<Item = (&'static case::Case, &str)> {
    split(file).into_iter().filter_map(|(name, _, log)| {
        Some((table::CASES.iter().find(|case| case.name == name)?, log))
    })
}

#[test]
fn every_row_of_the_table_has_its_diagnosis_on_every_kernel() {
    for (kernel, file) in LOGS {
        for (case, log) in tabled(file) {
            let error = diagnosis(case, log);
            assert!(case.has_cause(error.cause()), "{kernel} {}: {error}", case.name);
            let key = error.advice().map_or("none", |advice| advice.key);
            let text = error.advice().map_or("", |advice| advice.text.as_ref());
            assert!(
                case.is_told(key, text, error.notes()),
                "{kernel} {}: {key}: {error}",
                case.name
            );
            if let (Some(_), Some(line)) = (error.instruction(), case.wrong_line()) {
                assert_eq!(error.line() as usize, line, "{kernel} {}", case.name);
            }
        }
        let read: Vec<_> = tabled(file).map(|(case, _)| case.name).collect();
        assert!(read.len() > 70, "{kernel}: {}", read.len());
        for case in table::CASES {
            let must = !case.accepted_somewhere && case.right.is_none();
            assert!(!must || read.contains(&case.name), "{kernel}: no log of {}", case.name);
        }
    }
    for case in table::CASES {
        let somewhere = LOGS.iter().any(|(_, file)| tabled(file).any(|(c, _)| c.name == case.name));
        assert!(somewhere, "{} is rejected nowhere", case.name);
    }
}

fn case(kernel: &str, name: &str) -> VerifierError {
    let (_, file) = LOGS.iter().find(|(known, _)| *known == kernel).unwrap();
    let (case, log) = tabled(file).find(|(case, _)| case.name == name).unwrap();
    diagnosis(case, log)
}

#[test]
fn the_registers_that_matter_are_told_on_every_kernel() {
    for (kernel, _) in LOGS {
        // Kernels before 5.17 do not print at this level what a register holds; they do print where it got that.
        let known = |name| case(kernel, name).known().to_vec();
        let got = known("no_null_check");
        assert_eq!(got.len(), 1, "{kernel}: {got:?}");
        assert!(got[0].ends_with(" from instruction 5: call map_lookup_elem"), "{kernel}: {got:?}");
        assert_eq!(got[0].contains("map_value_or_null("), kernel != "5.10", "{kernel}: {got:?}");
        assert_eq!(known("lost_in_a_call"), ["r1: lost at instruction 0: call ktime_get_ns"]);
        assert_eq!(known("on_one_branch"), ["r7: never given a value on this path"], "{kernel}");
        assert_eq!(known("not_handed_over"), ["r6: never given a value on this path"], "{kernel}");
        let got = known("pointer_and_pointer");
        assert!(got[0].starts_with("r0:") && got[0].contains("instruction 0: r0 = r10"), "{got:?}");
        assert!(got[1].starts_with("r1:") && got[1].ends_with("as at the start"), "{got:?}");
        assert!(known("never_submitted").len() <= 1, "{kernel}");
    }
}

#[test]
fn the_way_is_told_from_the_other_ways() {
    let indices =
        |log| VerifierLog::new(log).path().iter().map(|step| step.index).collect::<Vec<_>>();
    for (kernel, _) in LOGS {
        for level in ["1", "2"] {
            let log = log_of(kernel, "BRANCH", level);
            assert_eq!(indices(log), [0, 1, 2, 5], "{kernel} {level}");
        }
        let (_, file) = LOGS.iter().find(|(known, _)| *known == kernel).unwrap();
        let (_, log) = tabled(file).find(|(case, _)| case.name == "not_handed_over").unwrap();
        assert_eq!(indices(log), [0, 1, 3], "{kernel}");
    }
    // Twice the same branch: the later one is gone back to first.
    let log = "0: (55) if r0 != 0x0 goto pc+1\n1: (05) goto pc-2\n0: (55) if r0 != 0x0 goto pc+1\n\
        1: (95) exit\n\nfrom 0 to 2: R0=1\n2: (95) exit\n\nfrom 0 to 2: R0=2\n2: (95) exit\n";
    assert_eq!(indices(log), [0, 2]);
    assert_eq!(VerifierLog::new(log).path()[1].before.unwrap().register(0), Some("2"));
}

#[test]
fn statistics_are_read_in_every_form() {
    for (kernel, _) in LOGS {
        let log = log_of(kernel, "UNINITIALISED", "1");
        let statistics = VerifierLog::new(log).statistics();
        assert_eq!(
            (statistics.processed, statistics.limit),
            (Some(2), Some(1_000_000)),
            "{kernel}"
        );
        let error = case(kernel, "a_million");
        let statistics = VerifierLog::new(error.log()).statistics();
        assert_eq!(statistics.processed, Some(1_000_001), "{kernel}");
        assert!(statistics.verification_time > Some(1000), "{kernel}");
        assert!(statistics.total_states >= statistics.peak_states, "{kernel}");
        assert_eq!(statistics.stack_depth, [0], "{kernel}");
    }
    let two = VerifierLog::new("stack depth 8+32\nprocessed 7 insns\n").statistics();
    assert_eq!((two.stack_depth, two.processed, two.limit), (vec![8, 32], Some(7), None));
}

/// Level 2 prints the state before each instruction, in one form before 5.17 and in another since.
#[test]
fn states_are_read_in_both_forms() {
    for (kernel, map) in
        [("5.10", "map_ptr(id=0,off=0,ks=4,vs=8,imm=0)"), ("6.18", "map_ptr(map=counts,ks=4,vs=8)")]
    {
        let log = VerifierLog::new(log_of(kernel, "NO_NULL_CHECK", "2"));
        let path = log.path();
        let value = |number| {
            let states = path.iter().flat_map(|step| [step.before, step.after]).flatten();
            states.filter_map(|state| state.register(number)).next_back()
        };
        assert_eq!(value(1), Some(map), "{kernel}");
        assert_eq!(value(2), Some("fp-4"), "{kernel}");
        let mut states = path.iter().flat_map(|step| [step.before, step.after]).flatten();
        assert!(states.any(|state| state.stack(-8) == Some("0000????")), "{kernel}");
    }
    let log = "7: frame1: R0_w=scalar(var_off=(0x0; 0x7)) R6_rwD=P5 fp-16_w=mmmmmmmm refs=2 cb\n";
    let entries: Vec<_> = VerifierLog::new(log).entries().collect();
    let [Entry::State { index: Some(7), state }] = entries[..] else { panic!("{entries:?}") };
    assert_eq!(state.frame(), 1);
    let values: Vec<_> = state.values().collect();
    assert_eq!(values, [("R0", "scalar(var_off=(0x0; 0x7))"), ("R6", "P5"), ("fp-16", "mmmmmmmm")]);
}

/// Level 1 of Linux 5.17 and later: the state after a jump stands on the jump's line, and its values hold semicolons.
#[test]
fn a_state_behind_a_branch_is_read_whole() {
    let line =
        "2: (25) if r0 > 0x7 goto pc+2 5: R0=scalar(umin=8,var_off=(0x0; 0xff)) R6=5 R10=fp0\n";
    let entries: Vec<_> = VerifierLog::new(line).entries().collect();
    let [Entry::Instruction(jump), Entry::State { index: Some(5), state }] = entries[..] else {
        panic!("{entries:?}")
    };
    assert_eq!(jump.text, "if r0 > 0x7 goto pc+2");
    assert_eq!(state.register(0), Some("scalar(umin=8,var_off=(0x0; 0xff))"));
    assert_eq!(state.register(6), Some("5"));
    // Behind the semicolon that ends an instruction, with others within.
    let line = "2: (bf) r6 = r0    ; R0=scalar(id=1,var_off=(0x0; 0xff)) R6=scalar(id=1,var_off=(0x0; 0xff))\n";
    let Some(Entry::Instruction(copy)) = VerifierLog::new(line).entries().next() else { panic!() };
    assert_eq!(copy.text, "r6 = r0");
    assert_eq!(copy.after.register(6), Some("scalar(id=1,var_off=(0x0; 0xff))"));
}

/// A kernel under `lockdown=confidentiality` says that the helper does not exist.
#[test]
fn a_kernel_that_is_locked_down_is_told_from_a_wrong_type() {
    let read = ProgramSpec::new("p", ProgramType::Kprobe, bpf! { call probe_read_kernel; exit; });
    let write = ProgramSpec::new("p", ProgramType::Kprobe, bpf! { call probe_write_user; exit; });
    let other = ProgramSpec::new("p", ProgramType::Kprobe, bpf! { call skb_load_bytes; exit; });
    let reported = |spec: &ProgramSpec<'_, '_>, name: &str, mode: Option<&str>| {
        let log = format!("0: (85) call {name}\nprogram of this type cannot use helper {name}\n");
        let lockdown = || mode.map(str::to_owned);
        let errno = Errno(libc::EINVAL);
        let error = VerifierError::on_kernel(spec, errno, log.as_bytes(), &lockdown);
        let advice = error.advice().unwrap();
        (advice.key, advice.text.to_string())
    };
    let helper = "bpf_probe_read_kernel#113";
    let (key, text) = reported(&read, helper, Some("confidentiality"));
    assert_eq!(key, "lockdown");
    assert!(text.contains("the kernel is locked down (confidentiality)"), "{text}");
    assert_eq!(reported(&read, helper, Some("integrity")).0, "helper-type");
    assert_eq!(reported(&read, helper, None).0, "helper-type");
    assert_eq!(reported(&write, "bpf_probe_write_user#36", Some("integrity")).0, "lockdown");
    let skb = "bpf_skb_load_bytes#26";
    assert_eq!(reported(&other, skb, Some("confidentiality")).0, "helper-type");
}

/// To the stack pointer a negative number is added. The log is that of Linux 6.18.
#[test]
fn a_subtraction_from_the_stack_pointer_is_written_as_an_addition() {
    let spec =
        ProgramSpec::new("p", ProgramType::Kprobe, bpf! { r2 = r10; r2 -= 4; r0 = 0; exit; });
    let log = "0: R1=ctx() R10=fp0\n\
               0: (bf) r2 = r10                      ; R2_w=fp0 R10=fp0\n\
               1: (17) r2 -= 4\n\
               R2 subtraction from stack pointer prohibited\n";
    let error = VerifierError::on_kernel(&spec, Errno(libc::EACCES), log.as_bytes(), &|| None);
    let advice = error.advice().unwrap();
    assert_eq!(advice.key, "stack-subtraction");
    assert!(advice.text.contains("`r2 += -8`"), "{}", advice.text);
}

/// An older kernel does not even know the name of a helper.
#[test]
fn a_helper_that_the_kernel_does_not_have_is_named_with_its_version() {
    let advice = |number: i32| {
        let spec = ProgramSpec::new("p", ProgramType::Kprobe, bpf! { r0 = 0; exit; });
        let log = format!("0: (85) call unknown#{number}\ninvalid func unknown#{number}\n");
        let error = VerifierError::on_kernel(&spec, Errno(libc::EINVAL), log.as_bytes(), &|| None);
        let advice = error.advice().unwrap();
        (advice.key, advice.text.to_string())
    };
    // `include/uapi/linux/bpf.h` of 5.8 and 6.2.
    for (number, name, since) in
        [(130, "ringbuf_output", "5.8"), (211, "cgrp_storage_delete", "6.2")]
    {
        let (key, text) = advice(number);
        let expected = format!("Helper {number} is `{name}`, which came with Linux {since}: ");
        assert!(key == "helper-unknown" && text.starts_with(&expected), "{text}");
    }
    for number in [0, 212, 9999] {
        assert!(advice(number).1.contains("may be one of a newer kernel"), "{number}");
    }
}

/// Programs with BTF have the lines of their source in the log, whatever these hold.
#[test]
fn lines_of_the_source_confuse_nobody() {
    let log = "\
0: R1=ctx() R10=fp0
; r0 = 0 @ hello.rs:30
0: (b7) r0 = 0                        ; R0=0
; Verification failed: 7: (95) exit @ hello.rs:31
1: (0f) r0 += r3
R3 !read_ok
processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
";
    let log = VerifierLog::new(log);
    assert_eq!(log.verdict(), (Some(1), "R3 !read_ok".into()));
    assert_eq!(log.report(), None);
    let sources: Vec<_> =
        log.entries().filter(|entry| matches!(entry, Entry::Source { .. })).collect();
    let source = |text, line| Entry::Source { text, place: Some(("hello.rs", line)) };
    assert_eq!(sources, [source("r0 = 0", 30), source("Verification failed: 7: (95) exit", 31)]);
    // Both ends of a jump back, before the remark about it.
    let back = VerifierLog::new("2: call f\n1: goto x @ a.s:3\nback-edge from insn 2 to 1\n");
    assert_eq!(back.verdict(), (Some(2), "back-edge from insn 2 to 1".into()));
    // Before Linux 6.10.
    let old = VerifierLog::new("; r0 = 0\n");
    assert_eq!(old.entries().next(), Some(Entry::Source { text: "r0 = 0", place: None }));
}

#[test]
fn what_the_kernel_suggests_takes_the_place_of_the_advice() {
    let old = case("6.18", "no_null_check").to_string();
    let new = case("7.3", "no_null_check").to_string();
    let (ours, theirs) = ("Check the result for null first", "Add a NULL check before the access");
    assert!(old.contains(ours) && !old.contains(theirs), "{old}");
    assert!(!new.contains(ours) && new.contains(theirs), "{new}");
}

#[test]
fn a_report_tells_the_causal_path() {
    let report = VerifierLog::new(log_of("7.3", "BRANCH", "1")).report().unwrap();
    assert_eq!(report.error.as_deref(), Some("R7 is not readable"));
    assert_eq!(
        report.causes,
        [Event {
            instruction: Some(2),
            what: "branch: took the true branch of this conditional, goto followed".into(),
        }]
    );
}

#[test]
fn a_report_is_read_whole() {
    let verdict = read(log_of("7.3", "NO_NULL_CHECK", "1"));
    assert_eq!(
        verdict.reason.as_deref(),
        Some(
            "R0 may be NULL here (a nullable map value pointer). The program could dereference \
             NULL on this path, so the verifier cannot prove this access is safe."
        )
    );
    assert_eq!(
        verdict.suggestion.as_deref(),
        Some(
            "Add a NULL check before the access and dereference the pointer only on the non-NULL \
             path."
        )
    );
    // The causal path has marks of its own.
    assert_eq!(verdict.instruction, Some(6));
}

/// `bpf_diag_source` in `kernel/bpf/diagnostics.c`, where there is debug information.
#[test]
fn a_report_about_a_program_with_source_lines() {
    let log = "\
Verification failed: Memory Safety: Access outside bounds

Reason:
  The verifier cannot prove it.

At:
  probe @ probe.c:12:9
  Source context:
      10 | {
      11 |         u64 *value = look();
  >>> 12 |         return *(value + 1);
         |         ^-- error: access may be outside object bounds
      13 | }
  Instruction context:
       8 | (85) call bpf_map_lookup_elem#1
  >>>  9 | (79) r0 = *(u64 *)(r0 +8)
      10 | (95) exit

Suggestion:
  Check it.

processed 7 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
";
    let log = VerifierLog::new(log);
    assert_eq!(
        log.report(),
        Some(Report {
            headline: "Memory Safety: Access outside bounds".into(),
            reason: Some("The verifier cannot prove it.".into()),
            instruction: Some(9),
            error: Some("access may be outside object bounds".into()),
            place: Some("probe @ probe.c:12:9".into()),
            causes: Vec::new(),
            suggestion: Some("Check it.".into()),
        })
    );
    assert_eq!(log.verdict(), (Some(9), "Memory Safety: Access outside bounds".into()));
}

#[test]
fn a_log_without_a_trace() {
    // The log of a program that was given up: before Linux 6.4 the trace has no room.
    let verdict =
        read("BPF program is too large. Processed 1000001 insn\nprocessed 1000001 insns\n");
    assert_eq!(verdict.cause, "BPF program is too large. Processed 1000001 insn");
    assert_eq!(verdict.instruction, None);
    assert_eq!(read("").cause, "the log is empty");
    assert_eq!(read("R3 !read_ok\n\u{b}\n").cause, "R3 !read_ok");
    assert_eq!(read("\u{b}\n").cause, "the log is empty");
    assert_eq!(read("\n  processed nothing\n\n").cause, "processed nothing");
}

#[test]
fn the_error_has_the_statement_the_cause_and_what_to_do() {
    let spec = ProgramSpec::new(
        "look",
        ProgramType::Kprobe,
        bpf! {
            r0 = 0;
            r0 += r3;
            exit;
        },
    );
    let log = log_of("7.3", "UNINITIALISED", "1");
    let error = VerifierError::new(&spec, Errno(libc::EACCES), log.as_bytes());
    assert_eq!(error.statement(), Some("r0 += r3"));
    let message = error.to_string();
    let lines: Vec<_> = message.lines().collect();
    let [title, place, cause, r3, r0, reason, suggestion, log] = lines[..] else {
        panic!("{message}");
    };
    assert_eq!(title, "cannot load program `look` (kprobe): the verifier rejected it");
    assert!(place.contains("tests.rs:") && place.ends_with(": r0 += r3"), "{place}");
    assert_eq!(cause, "  instruction 1: R3 !read_ok");
    assert_eq!(r3, "    r3: never given a value on this path");
    assert_eq!(r0, "    r0: 0, from instruction 0: r0 = 0");
    assert!(reason.starts_with("  R3 has never been initialized on this path"), "{reason}");
    assert_eq!(suggestion, "  Initialize R3 on every path before this instruction.");
    assert!(log.contains("RAWBPF_LOG=2"), "{log}");
    // `unwrap` prints the message, and not the log in quotes.
    assert_eq!(format!("{error:?}"), message);
}

proptest! {
    #[test]
    fn any_log_gives_one_line(
        bytes: Vec<u8>,
        lines in prop::collection::vec(
            prop_oneof![
                Just("Verification failed: ".to_owned()), Just("At:".into()), Just("Reason:".into()),
                Just("  >>> 7 | (79) x".into()),
                "(from [0-2] to [0-2]: )?(R[0-3]=[a-z0-9(]{0,6} ?){1,3}",
                "[0-2]: \\((07|85|95|55|18)\\) (exit|call pc\\+1|if goto pc[+-][0-9]{1,20})( ; R0=1)?", "[0-9 ]{0,3}: \\([0-9a-f]{0,3}\\)?.{0,5}", ".{0,20}",
            ],
            0..12,
        ),
    ) {
        for log in [String::from_utf8_lossy(&bytes).into_owned(), lines.join("\n")] {
            let text = VerifierLog::new(&log);
            let (_, cause) = text.verdict();
            prop_assert!(!cause.contains('\n') && !cause.is_empty(), "{cause:?}");
            let spec = ProgramSpec::new("x", ProgramType::Kprobe, bpf! { r0 = 0; r0 += r3; exit; });
            let error = VerifierError::new(&spec, Errno(libc::EACCES), log.as_bytes());
            prop_assert!(error.to_string().contains(&cause));
            prop_assert!(text.path().len() <= text.entries().count());
            text.statistics();
        }
    }
}
