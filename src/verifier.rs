//! The verifier's verdict: its log as a structure, why it rejected a program, and what to do about it.

mod advice;
mod context;
mod diagnosis;
mod log;
mod loops;
mod path;
mod report;
mod state;
#[cfg(test)]
mod tests;

pub use advice::Advice;
pub use log::{Entries, Entry, Statistics, Traced, VerifierLog};
pub use path::Step;
pub use report::{Event, Report};
pub use state::State;

use crate::error::Error;
use crate::permission;
use crate::spec::{ObjectLine, ProgramSpec};
use crate::uapi::{Errno, ProgramType};
use diagnosis::Diagnosis;
use std::fmt;

/// A rejection of a program by the verifier: the statement, the cause in one line, the state there, advice, and the
/// log.
///
/// ```text
/// cannot load program `look` (kprobe): the verifier rejected it
///   look.s:6: r0 = *(u64 *)(r0 + 0)
///   instruction 6: R0 invalid mem access 'map_value_or_null'
///     r0: map_value_or_null(id=1,map=counts,ks=4,vs=8), from instruction 5: call map_lookup_elem
///   Check the result for null first: `if r0 == 0 goto …`.
///   the whole log: RAWBPF_LOG=2, or VerifierError::log()
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierError {
    program: String,
    kind: ProgramType,
    errno: Errno,
    file: String,
    line: u32,
    instruction: Option<usize>,
    statement: Option<String>,
    section: Option<String>,
    source: Option<String>,
    cause: String,
    known: Vec<String>,
    notes: Vec<String>,
    advice: Option<Advice>,
    reason: Option<String>,
    suggestion: Option<String>,
    log: String,
}

impl VerifierError {
    /// Reads a log. Its bytes need not be UTF-8: comments in it are any bytes of the program's BTF.
    pub(crate) fn new(spec: &ProgramSpec<'_, '_>, errno: Errno, log: &[u8]) -> VerifierError {
        VerifierError::on_kernel(spec, errno, log, &permission::lockdown)
    }

    /// The same for a kernel whose lockdown mode `lockdown` returns, which is called if it matters.
    fn on_kernel(
        spec: &ProgramSpec<'_, '_>,
        errno: Errno,
        log: &[u8],
        lockdown: &dyn Fn() -> Option<String>,
    ) -> VerifierError {
        let text = String::from_utf8_lossy(log).into_owned();
        let log = VerifierLog::new(&text);
        let Diagnosis { instruction, cause, known, notes, advice } =
            Diagnosis::of(spec, &log, lockdown);
        let report = log.report().unwrap_or_default();
        VerifierError {
            program: spec.name.into(),
            kind: spec.kind,
            errno,
            file: spec.code.file.into(),
            line: instruction.map_or(spec.code.line, |slot| spec.code.line_number(slot)),
            instruction,
            statement: instruction.and_then(|slot| spec.code.statement(slot)),
            section: spec.code.of_object().map(|object| object.section.into()),
            source: instruction.and_then(|slot| {
                let ObjectLine { file, line, text } = spec.code.of_object()?.line(slot)?;
                Some(format!("{file}:{line}: {text}"))
            }),
            known,
            notes,
            advice,
            cause,
            reason: report.reason,
            suggestion: report.suggestion,
            log: text,
        }
    }

    /// The cause, in the verifier's own words, one line: `R3 !read_ok`. If it is several messages, a semicolon is
    /// between them.
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// The kernel's explanation, in whole sentences. Linux 7.3, and not for every cause.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// The kernel's suggestion. Linux 7.3, and not for every cause.
    pub fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }

    /// Advice for the common causes (feature `advice`, on by default). The message holds it where the kernel suggests nothing itself.
    pub fn advice(&self) -> Option<&Advice> {
        self.advice.as_ref()
    }

    /// The state of the registers that matter (feature `advice`), a line each: `r3: never given a value on this path`.
    pub fn known(&self) -> &[String] {
        &self.known
    }

    /// Returns facts about the program that the cause does not hold, a line each: the arguments that the called helper
    /// takes, the sizes of the map, the statement that acquired a reference that is not released (feature `advice`).
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The index of the slot at which verification failed, if the log holds it; of a loop without an end that of the
    /// jump that closes it.
    pub fn instruction(&self) -> Option<usize> {
        self.instruction
    }

    /// The statement of the source which that slot comes from.
    pub fn statement(&self) -> Option<&str> {
        self.statement.as_deref()
    }

    /// Returns the section of the program, if it is from an object file.
    pub fn section(&self) -> Option<&str> {
        self.section.as_deref()
    }

    /// Returns the line of the source that the object file was compiled from, with the name of that file and its number in it:
    /// `drop.c:12: return *count;`.
    pub fn source_line(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// The file of the program's source.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line of the file: of the statement in a text, of the block in `bpf!`.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// The error of `bpf(2)`.
    pub fn errno(&self) -> Errno {
        self.errno
    }

    /// The log. It is whole up to 16 MiB; of a longer one it is the end. [`VerifierLog`] reads it.
    pub fn log(&self) -> &str {
        &self.log
    }

    /// The message below the title and the source: the cause, what was known, what to do.
    #[cfg_attr(not(feature = "cli"), allow(dead_code))]
    pub(crate) fn details(&self) -> impl Iterator<Item = String> {
        let cause = match self.instruction {
            Some(index) => format!("instruction {index}: {}", self.cause),
            None => self.cause.clone(),
        };
        let known = self.known.iter().map(|line| format!("  {line}"));
        // The kernel knows the case better than the table does.
        let suggestion = match (&self.suggestion, self.advice()) {
            (Some(suggestion), _) => Some(suggestion.clone()),
            (None, advice) => advice.map(|advice| advice.text.clone().into_owned()),
        };
        let notes = self.notes.iter().map(|line| format!("  {line}"));
        std::iter::once(cause)
            .chain(known)
            .chain(notes)
            .chain(self.reason.clone())
            .chain(suggestion)
    }
}

impl From<Box<VerifierError>> for Error {
    fn from(error: Box<VerifierError>) -> Error {
        Error::Verifier(error)
    }
}

impl Error {
    /// Returns the verifier's verdict, if this is [`Error::Verifier`].
    pub fn verifier(&self) -> Option<&VerifierError> {
        match self {
            Error::Verifier(source) => source.downcast_ref(),
            Error::ObjectTypes { error, .. } => error.verifier(),
            _ => None,
        }
    }

    /// Takes the verifier's verdict out, if this is [`Error::Verifier`].
    ///
    /// # Errors
    /// The error itself, if it is another one.
    pub fn into_verifier(self) -> Result<Box<VerifierError>, Error> {
        match self {
            Error::Verifier(source) => source.downcast().map_err(Error::Verifier),
            other => Err(other),
        }
    }
}

impl fmt::Display for VerifierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let VerifierError { program, kind, file, line, .. } = self;
        let file = crate::util::escape::shown(file);
        // Only programs of object files have one.
        let section = self.section.as_ref().filter(|_| cfg!(feature = "elf"));
        let section = section.map_or_else(String::new, |section| {
            format!(", section `{}`", crate::util::escape::shown(section))
        });
        writeln!(f, "cannot load program `{program}` ({kind}{section}): the verifier rejected it")?;
        if cfg!(feature = "elf")
            && let Some(source) = &self.source
        {
            writeln!(f, "  {}", crate::util::escape::shown(source))?;
        }
        match &self.statement {
            Some(statement) => writeln!(f, "  {file}:{line}: {statement}")?,
            None => writeln!(f, "  {file}:{line}")?,
        }
        for line in self.details() {
            writeln!(f, "  {line}")?;
        }
        write!(f, "  the whole log: RAWBPF_LOG=2, or VerifierError::log()")
    }
}

/// The message as well, as of [`Error`]: not the log, which can be some MiB long.
impl fmt::Debug for VerifierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for VerifierError {}
