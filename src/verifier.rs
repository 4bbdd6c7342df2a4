//! The verifier's verdict: its log, and the one line of it that says why.

use crate::asm::Code;
use crate::spec::{ProgramSpec, ProgramType};
use crate::syscall::Errno;
use std::fmt;

/// Why the verifier rejected a program: the cause in one line, the statement it points at, and the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierError {
    program: String,
    kind: ProgramType,
    errno: Errno,
    /// `file:line` of the program's source.
    place: String,
    instruction: Option<usize>,
    statement: Option<String>,
    cause: String,
    reason: Option<String>,
    suggestion: Option<String>,
    log: String,
}

impl VerifierError {
    /// Reads a log. Its bytes need not be UTF-8: comments in it are whatever the program's BTF said.
    pub(crate) fn new(spec: &ProgramSpec<'_>, errno: Errno, log: &[u8]) -> VerifierError {
        let log = String::from_utf8_lossy(log).into_owned();
        let verdict = read(&log);
        let Code { file, line, .. } = spec.code;
        VerifierError {
            program: spec.name.into(),
            kind: spec.kind,
            errno,
            place: format!("{file}:{line}"),
            instruction: verdict.instruction,
            statement: verdict.instruction.and_then(|slot| spec.code.statement(slot)),
            cause: verdict.cause,
            reason: verdict.reason,
            suggestion: verdict.suggestion,
            log,
        }
    }

    /// Why, in the verifier's own words, one line: `R3 !read_ok`. Where it says it in several, a
    /// semicolon is between them.
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// Why, in whole sentences. Linux 7.3, and not for every cause.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// What the kernel suggests to do. Linux 7.3, and not for every cause.
    pub fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }

    /// The index of the slot at which it gave up, if the log says.
    pub fn instruction(&self) -> Option<usize> {
        self.instruction
    }

    /// The statement of the source which that slot comes from.
    pub fn statement(&self) -> Option<&str> {
        self.statement.as_deref()
    }

    /// What `bpf(2)` returned.
    pub fn errno(&self) -> Errno {
        self.errno
    }

    /// The log. It is whole up to 16 MiB; of a longer one it is the end.
    pub fn log(&self) -> &str {
        &self.log
    }
}

impl fmt::Display for VerifierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let VerifierError { program, kind, place, cause, .. } = self;
        writeln!(f, "cannot load program `{program}` ({kind}): the verifier rejected it")?;
        if let Some(statement) = &self.statement {
            writeln!(f, "  {place}: {statement}")?;
        } else {
            writeln!(f, "  {place}")?;
        }
        match self.instruction {
            Some(index) => writeln!(f, "  instruction {index}: {cause}")?,
            None => writeln!(f, "  {cause}")?,
        }
        for text in [&self.reason, &self.suggestion].into_iter().flatten() {
            writeln!(f, "  {text}")?;
        }
        write!(f, "  the whole log: RAWBPF_LOG=2, or VerifierError::log()")
    }
}

impl std::error::Error for VerifierError {}

/// What a log says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Verdict {
    instruction: Option<usize>,
    cause: String,
    reason: Option<String>,
    suggestion: Option<String>,
}

/// Reads both forms of the log. The old one is a trace of instructions; what is remarked on the last of
/// them is the cause. Since Linux 7.3 a report can follow on that (`kernel/bpf/diagnostics.c`). A log
/// that neither fits gives its last line.
fn read(log: &str) -> Verdict {
    let (trace, report) = match log.find(REPORT) {
        Some(start) => log.split_at(start),
        None => (log, ""),
    };
    let mut instruction = None;
    let mut remarks: Vec<&str> = Vec::new();
    for line in trace.lines() {
        if let Some(index) = traced_instruction(line) {
            instruction = Some(index);
            remarks.clear();
        } else if !is_bookkeeping(line) {
            remarks.push(line.trim_end());
        }
    }
    // Checks made before any instruction is traced say in their own words which one they mean.
    let instruction =
        instruction.or_else(|| remarks.iter().find_map(|remark| number_after(remark, "insn")));
    let report = Report::read(report);
    let last = || log.lines().map(str::trim).rfind(|line| !line.is_empty());
    let cause = match (remarks.as_slice(), report.headline) {
        ([], Some(headline)) => headline.to_owned(),
        ([], None) => last().unwrap_or("the log is empty").to_owned(),
        (remarks, _) => remarks.join("; "),
    };
    Verdict {
        instruction: report.instruction.or(instruction),
        cause,
        reason: report.reason,
        suggestion: report.suggestion,
    }
}

/// How a report begins.
const REPORT: &str = "Verification failed: ";

/// The report of Linux 7.3 and later: a headline, then sections of indented lines.
///
/// ```text
/// Verification failed: Register Type Safety: Unreadable register
///
/// Reason:
///   R3 has never been initialized on this path, so the verifier cannot use it as an input.
///
/// At:
///   insn 1
///        | ^-- error: R3 is not readable
///   Instruction context:
///       0 | (b7) r0 = 0
///   >>> 1 | (0f) r0 += r3
///       2 | (95) exit
///
/// Causal path:
///   no retained diagnostic events on this path
///
/// Suggestion:
///   Initialize R3 on every path before this instruction.
/// ```
///
/// Of a program with debug information, `At` names a line of its source instead of the instruction.
#[derive(Debug, Default)]
struct Report<'a> {
    headline: Option<&'a str>,
    instruction: Option<usize>,
    reason: Option<String>,
    suggestion: Option<String>,
}

impl<'a> Report<'a> {
    fn read(text: &'a str) -> Report<'a> {
        let mut report = Report::default();
        let mut section = "";
        for line in text.lines() {
            let Some(inside) = line.strip_prefix("  ") else {
                // An empty line ends no section: there are some inside the causal path.
                if let Some(headline) = line.strip_prefix(REPORT) {
                    report = Report { headline: Some(headline.trim()), ..Report::default() };
                    section = "";
                } else if !line.is_empty() {
                    section = line.trim_end();
                }
                continue;
            };
            match section {
                "Reason:" => add_line(&mut report.reason, inside),
                "Suggestion:" => add_line(&mut report.suggestion, inside),
                "At:" if report.instruction.is_none() => report.instruction = marked(inside),
                _ => {}
            }
        }
        report
    }
}

/// Joins the lines of a paragraph again.
fn add_line(paragraph: &mut Option<String>, line: &str) {
    match paragraph {
        Some(text) => {
            text.push(' ');
            text.push_str(line.trim());
        }
        None => *paragraph = Some(line.trim().to_owned()),
    }
}

/// The index in `insn 7` or in the marked one of a list of instructions, `>>> 7 | (79) r0 = …`. A list of
/// source lines has marks too, but nothing that looks like an instruction.
fn marked(line: &str) -> Option<usize> {
    if let Some(number) = line.strip_prefix("insn ") {
        return number.trim_end().parse().ok();
    }
    let (index, rest) = line.strip_prefix(">>>")?.split_once(" | (")?;
    is_opcode(rest).then(|| index.trim().parse().ok())?
}

/// The index in a line of the trace, `7: (79) r0 = *(u64 *)(r1 +400)`. (Indented, it is of a list that is
/// made before anything is checked.)
fn traced_instruction(line: &str) -> Option<usize> {
    let (index, rest) = line.split_once(": (")?;
    if is_opcode(rest) { index.parse().ok() } else { None }
}

/// Whether it begins with an opcode and a parenthesis that ends it.
fn is_opcode(text: &str) -> bool {
    text.split_once(')').is_some_and(|(opcode, _)| {
        opcode.len() == 2 && opcode.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// Lines that say how the verifier got there, not why it stopped.
fn is_bookkeeping(line: &str) -> bool {
    const STARTS: [&str; 19] = [
        ";",
        "processed ",
        "verification time",
        "stack depth",
        "from ",
        "last_idx",
        "first_idx",
        "regs=",
        "parent ",
        "mark_precise",
        "insns ",
        "max_states",
        "peak_states",
        "cur state:",
        "old state:",
        "topo_order[",
        "subprog#",
        "stack use/def ",
        "Live regs before insn",
    ];
    line.is_empty()
        || line.starts_with([' ', '\t'])
        || STARTS.iter().any(|start| line.starts_with(start))
        || is_state(line)
        || (line.starts_with("func#") && line.contains('@'))
}

/// Register states: `R1=ctx() R10=fp0`, `R1_w=inv0 …`, with or without the index and colon before them.
fn is_state(line: &str) -> bool {
    let line = match line.split_once(": ") {
        Some((index, rest)) if index.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => line,
    };
    let is_register = |word: &str| {
        let Some((name, _)) = word.split_once('=') else { return false };
        let digits = name.trim_start_matches(['R', 'f', 'p', '-']);
        let digits = digits.split('_').next().unwrap_or(digits);
        name.starts_with(['R', 'f'])
            && !digits.is_empty()
            && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    line.split_whitespace().next().is_some_and(is_register)
}

/// The number that follows a word: `insn 5` and `insn #5` in `unreachable insn 5`.
fn number_after(text: &str, word: &str) -> Option<usize> {
    let (_, rest) = text.split_once(word)?;
    let rest = rest.trim_start_matches([' ', '#']);
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf;
    use proptest::prelude::*;

    /// What each kernel wrote, with log levels 1 and 2, about the programs that `tests/load.rs` has it
    /// reject.
    const LOGS: [(&str, &str); 5] = [
        ("5.10", include_str!("verifier/logs/5.10.txt")),
        ("6.1", include_str!("verifier/logs/6.1.txt")),
        ("6.12", include_str!("verifier/logs/6.12.txt")),
        ("6.18", include_str!("verifier/logs/6.18.txt")),
        ("7.3", include_str!("verifier/logs/7.3.txt")),
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
        // Only the report says where.
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

    fn log_of(kernel: &str, program: &str, level: &str) -> &'static str {
        let (_, file) = LOGS.iter().find(|(name, _)| *name == kernel).unwrap();
        let logs = split(file);
        logs.iter().find(|(name, l, _)| (*name, *l) == (program, level)).unwrap().2
    }

    #[test]
    fn the_logs_of_every_kernel_are_read() {
        for (kernel, file) in LOGS {
            let logs = split(file);
            assert_eq!(logs.len(), 2 * CAUSES.len(), "{kernel}");
            for (name, level, log) in logs {
                let (_, instruction, cause) =
                    CAUSES.iter().find(|(known, ..)| *known == name).unwrap();
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
        assert_eq!(
            read(log),
            Verdict {
                instruction: Some(9),
                cause: "Memory Safety: Access outside bounds".into(),
                reason: Some("The verifier cannot prove it.".into()),
                suggestion: Some("Check it.".into()),
            }
        );
    }

    #[test]
    fn a_log_without_a_trace() {
        // What is left of a program that was given up: before Linux 6.4 the trace has no room.
        let verdict =
            read("BPF program is too large. Processed 1000001 insn\nprocessed 1000001 insns\n");
        assert_eq!(verdict.cause, "BPF program is too large. Processed 1000001 insn");
        assert_eq!(verdict.instruction, None);
        assert_eq!(read("").cause, "the log is empty");
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
        let [title, place, cause, reason, suggestion, log] = lines[..] else {
            panic!("{message}");
        };
        assert_eq!(title, "cannot load program `look` (kprobe): the verifier rejected it");
        assert!(place.contains("verifier.rs:") && place.ends_with(": r0 += r3"), "{place}");
        assert_eq!(cause, "  instruction 1: R3 !read_ok");
        assert!(reason.starts_with("  R3 has never been initialized on this path"), "{reason}");
        assert_eq!(suggestion, "  Initialize R3 on every path before this instruction.");
        assert!(log.contains("RAWBPF_LOG=2"), "{log}");
    }

    proptest! {
        #[test]
        fn any_log_gives_one_line(
            bytes: Vec<u8>,
            lines in prop::collection::vec(
                prop_oneof![
                    Just(REPORT.to_owned()), Just("At:".into()), Just("Reason:".into()),
                    Just("  >>> 7 | (79) x".into()), "[0-9 ]{0,3}: \\([0-9a-f]{0,3}\\)?.{0,5}", ".{0,20}",
                ],
                0..12,
            ),
        ) {
            for log in [String::from_utf8_lossy(&bytes).into_owned(), lines.join("\n")] {
                let verdict = read(&log);
                prop_assert!(!verdict.cause.contains('\n'), "{verdict:?}");
            }
        }
    }
}
