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
            cause: verdict.cause.into(),
            suggestion: verdict.suggestion.map(Into::into),
            log,
        }
    }

    /// Why, in the verifier's own words, one line.
    pub fn cause(&self) -> &str {
        &self.cause
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

    /// The whole log.
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
        if let Some(suggestion) = &self.suggestion {
            writeln!(f, "  {suggestion}")?;
        }
        write!(f, "  the whole log: RAWBPF_LOG=2, or VerifierError::log()")
    }
}

impl std::error::Error for VerifierError {}

/// What a log says.
#[derive(Debug, PartialEq, Eq)]
struct Verdict<'a> {
    instruction: Option<usize>,
    cause: &'a str,
    suggestion: Option<&'a str>,
}

/// Reads both forms of the log: a trace of instructions whose last remark is the cause, and the report
/// of Linux 7.3 and later (`Reason: … At: … Suggestion: …`). A log it cannot make sense of gives
/// its last line.
fn read(log: &str) -> Verdict<'_> {
    let mut instruction = None;
    let mut remark = None;
    let mut reason = None;
    let mut suggestion = None;
    for line in log.lines() {
        let line = line.trim();
        if let Some(text) = after_label(line, "Reason:") {
            reason = Some(text);
        } else if let Some(text) = after_label(line, "Suggestion:") {
            suggestion = Some(text);
        } else if let Some(text) = after_label(line, "At:") {
            instruction = number_after(text, "insn").or_else(|| leading_number(text)).or(instruction);
        } else if let Some(index) = traced_instruction(line) {
            instruction = Some(index);
            remark = None;
        } else if !is_bookkeeping(line) {
            remark = Some(line);
        }
    }
    let last = || log.lines().map(str::trim).rfind(|line| !line.is_empty());
    let cause = reason.or(remark).or_else(last).unwrap_or("the log is empty");
    // Checks made before any instruction is traced say in their own words which one they mean.
    let instruction = instruction.or_else(|| number_after(cause, "insn"));
    Verdict { instruction, cause, suggestion }
}

fn after_label<'a>(line: &'a str, label: &str) -> Option<&'a str> {
    line.strip_prefix(label).map(str::trim).filter(|text| !text.is_empty())
}

/// The index in a line of the trace, `7: (79) r0 = *(u64 *)(r1 +400)`.
fn traced_instruction(line: &str) -> Option<usize> {
    let (index, rest) = line.split_once(": (")?;
    let opcode = rest.split_once(')')?.0;
    let hex = opcode.len() == 2 && opcode.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hex { index.parse().ok() } else { None }
}

/// Lines that say how the verifier got there, not why it stopped.
fn is_bookkeeping(line: &str) -> bool {
    const STARTS: [&str; 13] = [
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
    ];
    line.is_empty()
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
        name.starts_with(['R', 'f']) && !digits.is_empty()
            && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    line.split_whitespace().next().is_some_and(is_register)
}

fn leading_number(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..digits)?.parse().ok()
}

/// The number that follows a word: `insn 5` and `insn #5` in `unreachable insn 5`.
fn number_after(text: &str, word: &str) -> Option<usize> {
    let (_, rest) = text.split_once(word)?;
    leading_number(rest.trim_start_matches([' ', '#']))
}
