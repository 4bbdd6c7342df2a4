//! The verifier's log as a structure: what each of its lines is.

use super::path::{self, Step};
use super::report::{self, Report};
use super::state::State;

/// The verifier's log, read line by line as it is asked for.
///
/// It is a trace: instructions in the order in which the verifier went through them, with the state of the registers,
/// and its messages. The forms differ by kernel. Before Linux 5.17 states stand on lines of their own (and on level 1
/// hardly any), since then behind the instruction that changed them. Since Linux 7.3 a [`Report`] can follow on the
/// trace. All of them are read, and a line in no known form is a [remark](Entry::Remark): nothing is dropped.
///
/// ```
/// use rawbpf::verifier::{Entry, VerifierLog};
///
/// let log = VerifierLog::new("\
/// 0: R1=ctx() R10=fp0
/// 0: (b7) r0 = 0                        ; R0=0
/// 1: (0f) r0 += r3
/// R3 !read_ok
/// processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
/// ");
/// assert_eq!(log.cause(), "R3 !read_ok");
/// assert_eq!(log.instruction(), Some(1));
/// assert_eq!(log.statistics().processed, Some(2));
/// let Some(Entry::Instruction(first)) = log.entries().nth(1) else { unreachable!() };
/// assert_eq!((first.index, first.text), (0, "r0 = 0"));
/// assert_eq!(first.after.register(0), Some("0"));
/// ```
///
/// Source: `kernel/bpf/verifier.c`, `kernel/bpf/log.c`, `kernel/bpf/diagnostics.c`.
#[derive(Debug, Clone, Copy)]
pub struct VerifierLog<'a> {
    text: &'a str,
}

/// One line of a log, or a part of a line where the verifier went on in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entry<'a> {
    /// An instruction that was gone through, `7: (79) r0 = *(u64 *)(r1 +400)`.
    Instruction(Traced<'a>),
    /// The state before an instruction, `7: R0=0 R10=fp0`. (Without its index, it belongs to the instruction traced
    /// last.)
    State {
        /// The index of the instruction's slot.
        index: Option<usize>,
        /// The state.
        state: State<'a>,
    },
    /// The verifier goes back to a branch and takes its other way, `from 2 to 5: R10=fp0`.
    Branch {
        /// The jump.
        from: usize,
        /// The slot at which verification continues.
        to: usize,
        /// Whether this is a way that only a processor that speculates would take.
        speculative: bool,
        /// The state there.
        state: State<'a>,
    },
    /// Nothing new on this way, `5: safe`.
    Safe,
    /// A line of the program's source, `; r0 += r3 @ hello.rs:31`. Of programs with BTF.
    Source {
        /// The line.
        text: &'a str,
        /// File and line, where the kernel prints them (6.10 and later).
        place: Option<(&'a str, u32)>,
    },
    /// A message of the verifier, `R3 !read_ok`: the last ones are the cause of the rejection.
    Remark(&'a str),
    /// A line of the verifier's bookkeeping: backtracking, or statistics.
    Bookkeeping(&'a str),
}

/// An instruction in the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traced<'a> {
    /// The index of its slot.
    pub index: usize,
    /// Its opcode byte.
    pub opcode: u8,
    /// The kernel's text of it.
    pub text: &'a str,
    /// The state that it changed, as far as the log holds it. Linux 5.17.
    pub after: State<'a>,
}

/// Statistics of the verification. A number that a log does not hold is `None`: all of them come with the bit 4
/// (`BPF_LOG_STATS`) of the log level.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Statistics {
    /// Instructions gone through, each as often as it was.
    pub processed: Option<u64>,
    /// The limit of instructions processed.
    pub limit: Option<u64>,
    /// The most states kept for one instruction.
    pub max_states_per_insn: Option<u64>,
    /// States kept altogether.
    pub total_states: Option<u64>,
    /// The most states kept at a time.
    pub peak_states: Option<u64>,
    /// The longest chain of states that a read was marked in.
    pub mark_read: Option<u64>,
    /// The duration of the verification, in microseconds.
    pub verification_time: Option<u64>,
    /// Bytes of stack, a number for each function; since Linux 7.3 the most of any.
    pub stack_depth: Vec<u32>,
}

impl<'a> VerifierLog<'a> {
    /// A log; nothing is read yet.
    pub fn new(text: &'a str) -> VerifierLog<'a> {
        VerifierLog { text }
    }

    /// The log as it is.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Returns the entries of the log, in order, without the report.
    pub fn entries(&self) -> Entries<'a> {
        Entries { lines: report::split(self.text).0.lines(), rest: None }
    }

    /// The way that leads to where the verifier gave up: the instructions of all the other ways left out.
    ///
    /// On log level 1 it is all that the log has. Where the log's beginning is lost (it was longer than its room),
    /// it begins somewhere.
    pub fn path(&self) -> Vec<Step<'a>> {
        path::path(self.entries())
    }

    /// The report of Linux 7.3 and later, if there is one.
    pub fn report(&self) -> Option<Report> {
        Report::read(report::split(self.text).1)
    }

    /// Reads the statistics.
    pub fn statistics(&self) -> Statistics {
        let mut statistics = Statistics::default();
        // They are its last lines.
        for line in self.text.lines().rev().take(STATISTICS_WITHIN) {
            statistics.add(line);
        }
        statistics
    }

    /// Returns the cause, in the verifier's own words, on one line: the messages after the last instruction, with `;
    /// ` in between. If there are none, the headline of the report; if there is none either, the last line that is
    /// not empty.
    pub fn cause(&self) -> String {
        self.verdict().1
    }

    /// The slot at which verification failed, if the log holds it.
    pub fn instruction(&self) -> Option<usize> {
        self.verdict().0
    }

    /// Whether it has nothing about the program, at most statistics: then it was not the verifier that said no.
    pub(crate) fn is_silent(&self) -> bool {
        let tells = |entry| !matches!(entry, Entry::Bookkeeping(_));
        self.report().is_none() && !self.entries().any(tells)
    }

    /// The state at which an infinite loop was detected, `cur state: R0=0`.
    pub(super) fn last_state(&self) -> Option<State<'a>> {
        let line = self.text.lines().rev().find_map(|line| line.strip_prefix("cur state:"))?;
        State::read(line)
    }

    /// The slot, and the cause.
    pub(super) fn verdict(&self) -> (Option<usize>, String) {
        let mut instruction = None;
        let mut remarks: Vec<&str> = Vec::new();
        for entry in self.entries() {
            match entry {
                Entry::Instruction(traced) => {
                    instruction = Some(traced.index);
                    remarks.clear();
                }
                Entry::Remark(text) => remarks.push(text.trim_end()),
                _ => {}
            }
        }
        // Checks made before any instruction is traced name the instruction in their own words.
        let instruction =
            instruction.or_else(|| remarks.iter().find_map(|remark| number_after(remark, "insn")));
        let report = self.report();
        let last = || self.text.lines().map(str::trim).rfind(|line| !line.is_empty());
        let cause = match (remarks.as_slice(), report.as_ref().map(|report| &report.headline)) {
            ([], Some(headline)) if !headline.is_empty() => headline.clone(),
            ([], _) => last().unwrap_or("the log is empty").to_owned(),
            (remarks, _) => remarks.join("; "),
        };
        (report.and_then(|report| report.instruction).or(instruction), cause)
    }
}

/// Among how many of the last lines the statistics are.
const STATISTICS_WITHIN: usize = 16;

impl Statistics {
    fn add(&mut self, line: &str) {
        if let Some(time) = line.strip_prefix("verification time ") {
            self.verification_time = time.split_whitespace().next().and_then(|n| n.parse().ok());
        } else if let Some(depths) = line.strip_prefix("stack depth ") {
            // One number before Linux 7.3, or one a function; since then the most, `max 8`.
            let depths = depths.trim_start_matches("max ").split('+').map_while(first_number);
            self.stack_depth = depths.collect();
        } else if line.starts_with("processed ") {
            let after = |name: &str| number_after(line, name).map(|number| number as u64);
            self.processed = after("processed ");
            self.limit = after("(limit ");
            self.max_states_per_insn = after("max_states_per_insn ");
            self.total_states = after("total_states ");
            self.peak_states = after("peak_states ");
            self.mark_read = after("mark_read ");
        }
    }
}

/// The entries of a log, from [`VerifierLog::entries`].
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    lines: std::str::Lines<'a>,
    /// A state that stood on the line of the last instruction.
    rest: Option<Entry<'a>>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        if let Some(rest) = self.rest.take() {
            return Some(rest);
        }
        let line = self.lines.find(|line| !line.trim().is_empty())?;
        let (entry, rest) = read_line(line);
        self.rest = rest;
        Some(entry)
    }
}

/// Parses a line. On level 1 an instruction can be followed by the state after a jump, `2: (25) if r0 > 0x7 goto pc+2
/// 5: R10=fp0`, which is an entry of its own.
fn read_line(line: &str) -> (Entry<'_>, Option<Entry<'_>>) {
    if let Some((traced, rest)) = traced(line) {
        return (Entry::Instruction(traced), rest);
    }
    if let Some(traced) = undecoded(line) {
        return (Entry::Instruction(traced), None);
    }
    (other_line(line), None)
}

fn other_line(line: &str) -> Entry<'_> {
    if let Some(comment) = line.strip_prefix(';') {
        return source(comment);
    }
    if let Some(branch) = branch(line) {
        return branch;
    }
    // With its index, or, as kernels before 5.17 write it on level 2, with a space.
    if let Some((index, rest)) = line.split_once(':')
        && let Ok(index) = index.parse()
    {
        if let Some(state) = State::read(rest) {
            return Entry::State { index: Some(index), state };
        }
        if rest.trim() == "safe" {
            return Entry::Safe;
        }
        // The lines between which a jump back is found: there is no other remark of this form.
        if rest.starts_with(' ') {
            return source(rest);
        }
    }
    if let Some(state) = State::read(line) {
        return Entry::State { index: None, state };
    }
    if is_bookkeeping(line) { Entry::Bookkeeping(line) } else { Entry::Remark(line) }
}

/// `7: (79) r0 = *(u64 *)(r1 +400)     ; R0=scalar()`. (Indented, it is of a list that is made before anything is
/// checked.)
fn traced(line: &str) -> Option<(Traced<'_>, Option<Entry<'_>>)> {
    let (index, rest) = line.split_once(": (")?;
    let index = index.parse().ok()?;
    let (opcode, rest) = opcode(rest)?;
    let (text, after) = comment(rest).unwrap_or((rest, ""));
    let (text, next) = match next_state(text) {
        Some((text, next)) => (text, Some(next)),
        None => (text, None),
    };
    let after = State::read(after).unwrap_or_default();
    Some((Traced { index, opcode, text: text.trim(), after }, next))
}

/// Splits at the semicolon that ends an instruction. No instruction's text holds one; a state that stands on the same
/// line has some in parentheses, `5: R0=scalar(var_off=(0x0; 0x7))`.
fn comment(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0u32;
    let at = text.bytes().position(|byte| {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        byte == b';' && depth == 0
    })?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Parses an instruction that the kernel cannot print, `3: BUG_ld_00`: the second slot of `lddw` by itself.
fn undecoded(line: &str) -> Option<Traced<'_>> {
    let (index, text) = line.split_once(": ")?;
    let (_, opcode) = text.strip_prefix("BUG_")?.rsplit_once('_')?;
    let (index, opcode) = (index.parse().ok()?, u8::from_str_radix(opcode.trim_end(), 16).ok()?);
    Some(Traced { index, opcode, text: text.trim_end(), after: State::default() })
}

/// The state on which a line of the trace goes on, and what stands before it.
fn next_state(text: &str) -> Option<(&str, Entry<'_>)> {
    let (head, _) = text.split_once(": ")?;
    let start = head.rfind(' ')?;
    let index = head.get(start + 1..)?.parse().ok()?;
    let state = State::read(text.get(head.len() + 1..)?)?;
    Some((text.get(..start)?, Entry::State { index: Some(index), state }))
}

/// An opcode, a parenthesis that ends it, and what follows.
pub(super) fn opcode(text: &str) -> Option<(u8, &str)> {
    let (opcode, rest) = text.split_once(')')?;
    let hex = opcode.len() == 2 && opcode.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some((u8::from_str_radix(opcode, 16).ok().filter(|_| hex)?, rest))
}

/// `from 2 to 5: R10=fp0`, `from 2 to 5 (speculative execution): safe`.
fn branch(line: &str) -> Option<Entry<'_>> {
    let (from, rest) = line.strip_prefix("from ")?.split_once(" to ")?;
    let (to, rest) = rest.split_once(':')?;
    let (to, speculative) = match to.split_once(" (speculative") {
        Some((to, _)) => (to, true),
        None => (to, false),
    };
    let (from, to) = (from.parse().ok()?, to.parse().ok()?);
    if rest.trim() == "safe" {
        return Some(Entry::Safe);
    }
    Some(Entry::Branch { from, to, speculative, state: State::read(rest).unwrap_or_default() })
}

/// A line of the source: ` r0 += r3 @ hello.rs:31`. Before Linux 6.10 it is the text alone.
fn source(comment: &str) -> Entry<'_> {
    let comment = comment.trim();
    let placed = comment.rsplit_once(" @ ").and_then(|(text, place)| {
        let (file, line) = place.rsplit_once(':')?;
        Some((text, (file, line.parse().ok()?)))
    });
    match placed {
        Some((text, place)) => Entry::Source { text: text.trim_end(), place: Some(place) },
        None => Entry::Source { text: comment, place: None },
    }
}

/// The beginnings of lines that are bookkeeping of the verifier, not the cause of a rejection.
const BOOKKEEPING: &[&str] = &[
    "processed ",
    "verification time",
    "stack depth",
    "last_idx",
    "first_idx",
    "regs=",
    "parent ",
    "mark_precise",
    "propagating ",
    "insns ",
    "max_states",
    "peak_states",
    "cur state:",
    "old state:",
    "caller:",
    "callee:",
    "returning from callee:",
    "to caller at ",
    "Validating ",
    "topo_order[",
    "subprog#",
    "stack use/def ",
    "Live regs before insn",
    "SCC ",
    "arg#",
];

/// Whether a line says how the verifier got there, not why it stopped.
fn is_bookkeeping(line: &str) -> bool {
    line.starts_with([' ', '\t'])
        || BOOKKEEPING.iter().any(|start| line.starts_with(start)) && !is_argument_remark(line)
        || line.starts_with("subprog ") && line.contains(" insns_self ")
        || line.starts_with("func#") && line.contains('@')
        || line.starts_with("Func#") && (line.contains("is safe") || line.contains("is global and"))
}

/// `arg#0 reference type('UNKNOWN ') size cannot be determined: -22` is printed for valid programs; `arg#0 expected
/// pointer to stack` is the cause of a rejection.
fn is_argument_remark(line: &str) -> bool {
    line.starts_with("arg#") && !line.contains("size cannot be determined")
}

/// The number that follows a word: `insn 5` and `insn #5` in `unreachable insn 5`.
pub(super) fn number_after(text: &str, word: &str) -> Option<usize> {
    let (_, rest) = text.split_once(word)?;
    first_number(rest.trim_start_matches([' ', '#']))
}

/// The number that a text begins with.
pub(super) fn first_number<N: std::str::FromStr>(text: &str) -> Option<N> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..digits)?.parse().ok()
}
