//! Parsing of listings that the kernel made: the verifier's log, and `bpftool prog dump xlated`.
//!
//! Both show an instruction as its index, its opcode in parentheses and its text, `7: (79) r0 = *(u64 *)(r1 +8)`,
//! among lines about other things. A log shows an instruction once for every path that led there, in the order of
//! the paths, and the state of the registers behind a `;` (Linux 7.3 has other remarks behind `//` and tabs).

use super::statement::{Cursor, Dialect, Problem, Span, Statement, Target, What};
use crate::insn::Op;
use std::collections::BTreeMap;

/// Returns whether the text is such a listing.
pub(super) fn is_listing(text: &str) -> bool {
    // Only lines with the mark behind the index are examined: other texts have hardly any.
    let mut read = 0;
    text.match_indices(':').any(|(colon, _)| {
        if colon < read || !text[colon..].starts_with(": ") {
            return false;
        }
        let start = text[..colon].rfind('\n').map_or(0, |end| end + 1);
        let line = text[start..].lines().next().unwrap_or_default();
        read = start + line.len();
        Line::read(line).is_some()
    })
}

/// A line that shows an instruction.
struct Line<'t> {
    index: usize,
    opcode: u8,
    /// The instruction's text, and where it begins in the line.
    text: &'t str,
    start: usize,
    /// The remark behind it: the register state at that point.
    remark: &'t str,
}

impl<'t> Line<'t> {
    fn read(line: &'t str) -> Option<Line<'t>> {
        let line_length = line.len();
        let line = line.trim_start_matches([' ', '\t']);
        // The first character decides for nearly all lines of other texts.
        if !line.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let (index, rest) = line.split_once(": ")?;
        let index = index.parse().ok()?;
        // Linux 6.16 and later begin a long log with all instructions and the registers that are live before each.
        let live = |byte: u8| byte == b'.' || byte.is_ascii_digit();
        let rest = match rest.split_once(' ') {
            Some((word, after)) if word.bytes().all(live) => after,
            _ => rest,
        };
        let (opcode, rest) = rest.strip_prefix('(')?.split_once(") ")?;
        if opcode.len() != 2 || !opcode.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let opcode = u8::from_str_radix(opcode, 16).ok()?;
        let start = line_length - rest.len();
        // The verifier's remark follows one of these, none of which is part of an instruction.
        let end = [";", "//", "\t"].iter().filter_map(|mark| rest.find(mark)).min();
        let (text, remark) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
        Some(Line { index, opcode, text: text.trim_end(), start, remark })
    }
}

/// The opcode of `lddw`.
const LDDW: u8 = 0x18;

/// Returns whether the remark on `r1 = 0x…` says that it loads a number: `; R1_w=0xffff0000ffff0000`, and not
/// `map_ptr(…)`.
fn loads_a_number(line: &Line<'_>) -> bool {
    let Some((register, _)) = line.text.split_once(" = ") else { return false };
    let mut words = line.remark.trim_start_matches(';').split_whitespace();
    words.any(|word| {
        let Some((name, value)) = word.split_once('=') else { return false };
        let name = name.split_once('_').map_or(name, |(name, _)| name);
        let same = name.strip_prefix('R') == register.strip_prefix('r');
        let value = value.strip_prefix("inv").unwrap_or(value).trim_start_matches(['P', '-']);
        same && value.starts_with(|c: char| c.is_ascii_digit())
    })
}

/// The instructions of a listing in order, each with the place of its text.
pub(super) fn read(text: &str) -> Result<Vec<(Op, Span)>, Vec<Problem>> {
    let mut found: BTreeMap<usize, (Op, Span)> = BTreeMap::new();
    let mut problems = Vec::new();
    let mut at = 0;
    for raw in text.split_inclusive('\n') {
        let start = at;
        at += raw.len();
        let Some(line) = Line::read(raw.trim_end_matches(['\n', '\r'])) else { continue };
        let place = start + line.start;
        let span = Span { start: place, end: place + line.text.len() };
        match instruction(&line) {
            Err(problem) => problems.push(Problem {
                span: Span { start: place + problem.span.start, end: place + problem.span.end },
                what: problem.what,
            }),
            Ok(op) if op.encode().first().opcode() != line.opcode => {
                problems.push(Problem { span, what: What::Not("what the opcode before it says") });
            }
            Ok(op) => match found.get(&line.index) {
                Some((known, _)) if *known != op => {
                    let what = What::Not("what this listing said before of the same instruction");
                    problems.push(Problem { span, what });
                }
                Some(_) => {}
                None => {
                    found.insert(line.index, (op, span));
                }
            },
        }
    }
    if problems.is_empty() {
        let mut next = 0;
        for (index, (op, span)) in &found {
            if *index != next {
                problems.push(Problem { span: *span, what: What::Gap { before: next } });
                break;
            }
            next += op.slots();
        }
    }
    if problems.is_empty() { Ok(found.into_values().collect()) } else { Err(problems) }
}

fn instruction(line: &Line<'_>) -> Result<Op, Problem> {
    // A number that looks like an address is a constant if the log says that the register then holds a number.
    let constant = line.opcode == LDDW && loads_a_number(line);
    let wide = constant.then(|| format!("{} ll", line.text));
    let mut cursor = match &wide {
        Some(text) => Cursor::at(text, 0, Dialect::Text, &[]),
        None => Cursor::at(line.text, 0, Dialect::Listing(line.opcode), &[]),
    };
    match cursor.statement().map_err(|_| cursor.failure())? {
        Statement::Op { op, target: Target::None } => Ok(op),
        // A name that is not defined in the listing: `call bpf_prog_12ab34cd`.
        Statement::Op { target: Target::Label(span) | Target::Name(span, _), .. } => {
            Err(Problem { span, what: What::NoHelper })
        }
        _ => {
            let span = Span { start: 0, end: line.text.len() };
            Err(Problem { span, what: What::Not("an instruction of a listing") })
        }
    }
}
