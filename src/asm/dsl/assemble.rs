//! Assembles a block of `bpf!`, in `const`: first it is counted what there is of each kind, then arrays of these sizes are filled.

use super::Value;
use crate::asm::helpers::HELPERS;
use crate::asm::library::{self, LibraryFunction};
use crate::asm::message::Message;
use crate::asm::near::Near;
use crate::asm::statement::{
    Chunks, Cursor, Literal, Problem, Span, Statement, Symbol, Target, What, same, sub,
};
use crate::asm::{
    Code, CodeLabels, Data, LabelPlace, Line, Reloc, RelocField, RelocKind, RelocTarget, Section,
};
use crate::insn::{ByteOrder, Insn, Op};

/// A block of `bpf!` as the macro passes it on.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    pub text: &'a str,
    pub file: &'a str,
    pub line: u32,
    pub values: &'a [Value<'a>],
}

/// The number of items that a block assembles to.
#[derive(Debug, Clone, Copy)]
pub struct Measure {
    pub values: usize,
    pub slots: usize,
    pub relocations: usize,
    pub labels: usize,
    pub lines: usize,
    pub data: usize,
}

impl Measure {
    const NONE: Measure =
        Measure { values: 0, slots: 0, relocations: 0, labels: 0, lines: 0, data: 0 };
}

/// An assembled block, in arrays of the measured sizes.
#[derive(Debug)]
pub struct Assembled<
    'a,
    const SLOTS: usize,
    const RELOCATIONS: usize,
    const LABELS: usize,
    const LINES: usize,
    const DATA: usize,
> {
    slots: [Insn; SLOTS],
    relocations: [Reloc<'a>; RELOCATIONS],
    labels: [LabelPlace; LABELS],
    lines: [Line; LINES],
    data: [u8; DATA],
}

/// Counts the values of a block, which are a tree.
pub const fn measure(source: &Source<'_>) -> Measure {
    Measure { values: leaves(source.values), ..Measure::NONE }
}

const fn leaves(values: &[Value<'_>]) -> usize {
    let (mut i, mut count) = (0, 0);
    while i < values.len() {
        count += match values[i] {
            Value::Text => 0,
            Value::Int(_) | Value::Map(_) => 1,
            Value::Group(inner) => leaves(inner),
        };
        i += 1;
    }
    count
}

/// The values of a block as one array.
pub const fn flatten<'a, const COUNT: usize>(source: &Source<'a>) -> [Value<'a>; COUNT] {
    let mut row = [Value::Text; COUNT];
    flatten_into(source.values, &mut row, 0);
    row
}

const fn flatten_into<'a>(values: &[Value<'a>], row: &mut [Value<'a>], mut at: usize) -> usize {
    let mut i = 0;
    while i < values.len() {
        match values[i] {
            Value::Text => {}
            Value::Group(inner) => at = flatten_into(inner, row, at),
            value => {
                row[at] = value;
                at += 1;
            }
        }
        i += 1;
    }
    at
}

/// Counts the items that a block assembles to. An error in it ends the compilation here.
pub const fn count<'a>(source: &Source<'a>, values: &'a [Value<'a>]) -> Measure {
    let mut measure = Measure { values: values.len(), ..Measure::NONE };
    let mut called = Called::NONE;
    let mut cursor = Cursor::new(source.text, values);
    while cursor.more() {
        let start = cursor.at;
        match cursor.statement() {
            Err(_) => fail(source, start, cursor.failure()),
            Ok(Statement::Label(name)) => {
                measure.labels += 1;
                called.define(cursor.text, name);
            }
            Ok(Statement::Option) => {}
            Ok(Statement::Op { op, target }) => {
                measure.lines += 1;
                measure.slots += op.slots();
                measure.relocations += matches!(target, Target::Map(_)) as usize;
                if let (Op::CallLocal { .. }, Target::Label(name)) = (op, target) {
                    called.call(cursor.text, name);
                }
                if let Target::Text(literal) = target {
                    measure.relocations += 1;
                    measure.data += length(cursor.text, literal);
                }
                let [offset, imm] = cursor.take_symbols();
                measure.relocations += offset.is_some() as usize + imm.is_some() as usize;
            }
            Ok(Statement::Bytes { offset, literal, .. }) => {
                measure.lines += 1;
                let mut chunks = Chunks::new(cursor.text, literal, offset, ByteOrder::NATIVE);
                while chunks.next().is_some() {
                    measure.slots += 1;
                }
            }
        }
    }
    while let Some((function, _)) = called.take() {
        measure.labels += 1;
        measure.lines += 1;
        measure.slots += function.slots().len();
    }
    measure
}

/// The functions of the library that a block calls and does not define, each with its name in the first call.
#[derive(Clone, Copy)]
struct Called {
    at: [Option<Span>; LibraryFunction::ALL.len()],
    defined: [bool; LibraryFunction::ALL.len()],
}

impl Called {
    const NONE: Called = Called {
        at: [None; LibraryFunction::ALL.len()],
        defined: [false; LibraryFunction::ALL.len()],
    };

    const fn define(&mut self, text: &[u8], name: Span) {
        if let Some(index) = library::position(sub(text, name.start, name.end)) {
            self.defined[index] = true;
        }
    }

    const fn call(&mut self, text: &[u8], name: Span) {
        if let Some(index) = library::position(sub(text, name.start, name.end))
            && self.at[index].is_none()
        {
            self.at[index] = Some(name);
        }
    }

    /// Removes the next one.
    const fn take(&mut self) -> Option<(LibraryFunction, Span)> {
        let mut i = 0;
        while i < self.at.len() {
            if let Some(name) = self.at[i].take()
                && !self.defined[i]
            {
                return Some((LibraryFunction::ALL[i], name));
            }
            i += 1;
        }
        None
    }
}

/// Assembles a block.
pub const fn assemble<
    'a,
    const SLOTS: usize,
    const RELOCATIONS: usize,
    const LABELS: usize,
    const LINES: usize,
    const DATA: usize,
>(
    source: &Source<'a>,
    values: &'a [Value<'a>],
) -> Assembled<'a, SLOTS, RELOCATIONS, LABELS, LINES, DATA> {
    const NO_RELOC: Reloc<'static> = Reloc {
        slot: 0,
        field: RelocField::Immediate,
        kind: RelocKind::Map,
        target: RelocTarget::Section(Section::Rodata),
    };
    let mut out = Assembled {
        slots: [Op::Exit.encode().first(); SLOTS],
        relocations: [NO_RELOC; RELOCATIONS],
        labels: [LabelPlace { slot: 0, start: 0, end: 0 }; LABELS],
        lines: [Line { slot: 0, start: 0, end: 0 }; LINES],
        data: [0; DATA],
    };
    let mut labels = [(Span { start: 0, end: 0 }, 0); LABELS];
    let mut jumps = [None; SLOTS];
    let (mut slot, mut reloc, mut line, mut label, mut place) = (0, 0, 0, 0, 0);
    let mut called = Called::NONE;

    let mut cursor = Cursor::new(source.text, values);
    while cursor.more() {
        let start = cursor.at;
        let statement = match cursor.statement() {
            Ok(statement) => statement,
            Err(_) => fail(source, start, cursor.failure()),
        };
        let first = slot;
        match statement {
            Statement::Label(name) => {
                if find(cursor.text, &labels, label, name).is_some() {
                    fail(source, start, Problem { span: name, what: What::SecondLabel });
                }
                called.define(cursor.text, name);
                labels[label] = (name, slot);
                let (start, end) = (name.start as u32, name.end as u32);
                out.labels[label] = LabelPlace { slot: slot as u32, start, end };
                label += 1;
                continue;
            }
            Statement::Option => continue,
            Statement::Op { mut op, target } => {
                match target {
                    // Only a text has names that are looked up at run time.
                    Target::None | Target::Name(..) => {}
                    Target::Label(name) => {
                        jumps[slot] = Some(name);
                        if matches!(op, Op::CallLocal { .. }) {
                            called.call(cursor.text, name);
                        }
                    }
                    Target::Map(spec) => {
                        let target = RelocTarget::Map(spec);
                        out.relocations[reloc] = Reloc { slot: slot as u32, target, ..NO_RELOC };
                        reloc += 1;
                    }
                    Target::Text(literal) => {
                        if let Op::LoadImm64 { high, .. } = &mut op {
                            *high = place as i32;
                        }
                        let target = RelocTarget::Section(Section::Rodata);
                        out.relocations[reloc] = Reloc { slot: slot as u32, target, ..NO_RELOC };
                        reloc += 1;
                        let mut bytes = literal_at(cursor.text, literal);
                        while let Ok(Some(byte)) = bytes.next() {
                            out.data[place] = byte;
                            place += 1;
                        }
                    }
                }
                let [offset, imm] = cursor.take_symbols();
                if let Some(symbol) = offset {
                    out.relocations[reloc] = named(source, symbol, slot, RelocField::Offset);
                    reloc += 1;
                }
                if let Some(symbol) = imm {
                    out.relocations[reloc] = named(source, symbol, slot, RelocField::Immediate);
                    reloc += 1;
                }
                let encoded = op.encode();
                out.slots[slot] = encoded.first();
                slot += 1;
                if let Some(second) = encoded.second() {
                    out.slots[slot] = second;
                    slot += 1;
                }
            }
            Statement::Bytes { base, offset, literal } => {
                let mut chunks = Chunks::new(cursor.text, literal, offset, ByteOrder::NATIVE);
                while let Some((size, offset, imm)) = chunks.next() {
                    out.slots[slot] = Op::StoreImm { size, base, offset, imm }.encode().first();
                    slot += 1;
                }
            }
        }
        out.lines[line] =
            Line { slot: first as u32, start: start as u32, end: cursor.behind() as u32 };
        line += 1;
    }

    while let Some((function, name)) = called.take() {
        let (start, end) = (name.start as u32, name.end as u32);
        labels[label] = (name, slot);
        out.labels[label] = LabelPlace { slot: slot as u32, start, end };
        out.lines[line] = Line { slot: slot as u32, start, end };
        label += 1;
        line += 1;
        let mut i = 0;
        while i < function.slots().len() {
            out.slots[slot] = function.slots()[i];
            slot += 1;
            i += 1;
        }
    }

    // Jumps can refer to later labels, so they are resolved last.
    let mut i = 0;
    while i < SLOTS {
        if let Some(name) = jumps[i] {
            out.slots[i] = match point(cursor.text, &labels, out.slots[i], i, name) {
                Ok(insn) => insn,
                Err(problem) => unresolved(source, line_of(&out.lines, i), problem, &labels),
            };
        }
        i += 1;
    }
    out
}

const fn named<'a>(
    source: &Source<'a>,
    symbol: Symbol,
    slot: usize,
    field: RelocField,
) -> Reloc<'a> {
    let target = RelocTarget::Name(piece(source.text, symbol.span));
    Reloc { slot: slot as u32, field, kind: symbol.kind, target }
}

/// A substring; `&text[start..end]`, which `const fn` does not have.
const fn piece(text: &str, span: Span) -> &str {
    text.split_at(span.end).0.split_at(span.start).1
}

/// The length in bytes of a string literal that was parsed already.
const fn length(text: &[u8], literal: Span) -> usize {
    let mut bytes = literal_at(text, literal);
    let mut length = 0;
    while let Ok(Some(_)) = bytes.next() {
        length += 1;
    }
    length
}

const fn literal_at(text: &[u8], span: Span) -> Literal<'_> {
    match Literal::open(text, span.start) {
        Some(literal) => literal,
        None => panic!("a string that was read before"),
    }
}

/// The start of the statement that a slot comes from.
const fn line_of(lines: &[Line], slot: usize) -> usize {
    let mut i = lines.len() - 1;
    while lines[i].slot as usize > slot {
        i -= 1;
    }
    lines[i].start as usize
}

const fn find(text: &[u8], labels: &[(Span, usize)], count: usize, name: Span) -> Option<usize> {
    let wanted = sub(text, name.start, name.end);
    let mut i = 0;
    while i < count {
        let (label, slot) = labels[i];
        if same(sub(text, label.start, label.end), wanted) {
            return Some(slot);
        }
        i += 1;
    }
    None
}

/// Resolves a jump or a call in slot `from` to a label. Distances count from the next slot.
const fn point(
    text: &[u8],
    labels: &[(Span, usize)],
    insn: Insn,
    from: usize,
    name: Span,
) -> Result<Insn, Problem> {
    const CALL: u8 = Op::CallLocal { offset: 0 }.encode().first().opcode();
    const LONG: u8 = Op::JumpLong { offset: 0 }.encode().first().opcode();
    let call = insn.opcode() == CALL;
    let Some(slot) = find(text, labels, labels.len(), name) else {
        return Err(Problem {
            span: name,
            what: if call { What::NoHelper } else { What::NoLabel },
        });
    };
    let distance = slot as i64 - from as i64 - 1;
    if call || insn.opcode() == LONG {
        // A program has fewer than 2^31 slots: its text is in one compilation.
        return Ok(insn.with_imm(distance as i32));
    }
    if distance < i16::MIN as i64 || distance > i16::MAX as i64 {
        return Err(Problem { span: name, what: What::Far { distance } });
    }
    Ok(insn.with_offset(distance as i16))
}

/// Assembles the parts into a [`Code`].
pub const fn code<
    'a,
    const SLOTS: usize,
    const RELOCATIONS: usize,
    const LABELS: usize,
    const LINES: usize,
    const DATA: usize,
>(
    source: &Source<'a>,
    assembled: &'a Assembled<'a, SLOTS, RELOCATIONS, LABELS, LINES, DATA>,
) -> Code<'a> {
    Code {
        slots: &assembled.slots,
        relocations: &assembled.relocations,
        labels: CodeLabels { text: source.text, places: &assembled.labels },
        maps: &[],
        data: Data::of_strings(&assembled.data),
        lines: &assembled.lines,
        text: source.text,
        file: source.file,
        line: source.line,
        breaks: false,
        object: None,
        resolver: None,
    }
}

/// Ends the compilation as [`fail`] does, with the nearest labels and, for a call, the nearest helpers.
const fn unresolved(
    source: &Source<'_>,
    start: usize,
    problem: Problem,
    labels: &[(Span, usize)],
) -> ! {
    let text = source.text.as_bytes();
    let wanted = sub(text, problem.span.start, problem.span.end);
    let calls = matches!(problem.what, What::NoHelper);
    let prefix = calls && wanted.len() > 4 && same(sub(wanted, 0, 4), b"bpf_");
    let plain = if prefix { sub(wanted, 4, wanted.len()) } else { wanted };
    let mut near = Near::new(plain);
    let mut at = 1;
    while calls && at < HELPERS.len() {
        near.offer(HELPERS[at].as_bytes());
        at += 1;
    }
    let mut at = 0;
    while calls && at < LibraryFunction::ALL.len() {
        near.offer(LibraryFunction::ALL[at].name().as_bytes());
        at += 1;
    }
    let mut at = 0;
    while at < labels.len() {
        let (label, _) = labels[at];
        near.offer(sub(text, label.start, label.end));
        at += 1;
    }
    let near = if matches!(problem.what, What::NoHelper | What::NoLabel) { near } else { NONE };
    fail_near(source, start, problem, &near)
}

/// No names.
const NONE: Near<'static> = Near::new(b"");

/// Ends the compilation with the problem and the statement it is in.
const fn fail(source: &Source<'_>, start: usize, problem: Problem) -> ! {
    fail_near(source, start, problem, &NONE)
}

const fn fail_near(source: &Source<'_>, start: usize, problem: Problem, near: &Near<'_>) -> ! {
    let text = source.text.as_bytes();
    let mut message = Message::new();
    problem.write(text, &mut message);
    near.write(&mut message);
    let mut end = start;
    while end < text.len() && text[end] != b';' {
        end += 1;
    }
    message.text("\n  in: ");
    message.source(sub(text, start, end));
    panic!("{}", message.as_str());
}
