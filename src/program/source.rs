//! Source information for the kernel: the functions of a program and the statement that each instruction comes from,
//! for its log, for `bpftool prog dump xlated linum` and for profilers.

use crate::btf::{
    About, BtfError, Builder, Entry, FunctionAt, LineAt, MOST_COLUMN, ProgramTypes, Source,
    context_name, describe_program,
};
use crate::insn::{Op, Pseudo};
use crate::spec::Code;
use crate::uapi::ProgramType;
use crate::util::lines::{line_breaks, line_start};
use std::borrow::Cow;

/// Returns the context of a program type, for the declaration of its function, which can then be replaced by another program. Of
/// some types nothing is said.
pub(crate) fn context(kind: ProgramType) -> Entry<'static> {
    use ProgramType::*;
    match kind {
        // Their contexts are no structs of that name, or the program is not replaced.
        Kprobe | Netfilter | PerfEvent | RawTracepoint | RawTracepointWritable => Entry::Unsaid,
        _ => context_name(kind).map_or(Entry::Unsaid, Entry::Context),
    }
}

/// Describes the functions and lines of a program; returns nothing if they cannot be described, because they are
/// optional.
pub(super) fn describe(
    name: &str,
    entry: Entry<'_>,
    code: &Code<'_>,
    added: &[Added],
) -> Option<ProgramTypes> {
    let mut builder = Builder::new();
    let About { functions, lines } = describe_with(&mut builder, name, entry, code, added).ok()?;
    Some(ProgramTypes { blob: builder.finish().ok()?, functions, lines })
}

/// A function that was added behind the code during the load.
#[derive(Debug)]
pub(super) struct Added {
    /// The slot at which it begins.
    pub slot: u32,
    pub name: String,
    /// The slot of the statement that it was made for, whose source line it gets.
    pub caller: u32,
}

/// Describes the functions and lines of a program, among other types.
#[cfg(feature = "elf")]
pub(crate) fn describe_in(
    builder: &mut Builder,
    name: &str,
    entry: Entry<'_>,
    code: &Code<'_>,
) -> Result<About, BtfError> {
    describe_with(builder, name, entry, code, &[])
}

fn describe_with(
    builder: &mut Builder,
    name: &str,
    entry: Entry<'_>,
    code: &Code<'_>,
    added: &[Added],
) -> Result<About, BtfError> {
    let mut functions: Vec<(u32, Cow<'_, str>)> = functions(name, code);
    functions.extend(added.iter().map(|one| (one.slot, Cow::Borrowed(one.name.as_str()))));
    let functions: Vec<_> =
        functions.iter().map(|(slot, name)| FunctionAt { slot: *slot, name }).collect();
    let start = code.lines.iter().map(|line| line.start).min().unwrap_or(0);
    let end = code.lines.iter().map(|line| line.end).max().unwrap_or(0);
    let text = code.text.get(start as usize..end as usize).unwrap_or_default();
    let within = |line: LineAt| LineAt { start: line.start - start, end: line.end - start, ..line };
    let line_of = |one: &Added| {
        let line = lines(code).take_while(|line| line.slot <= one.caller).last()?;
        Some(LineAt { slot: one.slot, ..line })
    };
    let all = lines(code).chain(added.iter().filter_map(line_of));
    let source = Source { file: code.file, text, lines: all.map(within) };
    describe_program(builder, &functions, entry, source)
}

/// Returns the slots at which functions begin, and their names: the label there, or one made from the slot.
pub(crate) fn functions<'c>(name: &'c str, code: &Code<'c>) -> Vec<(u32, Cow<'c, str>)> {
    const CALL: u8 = Op::CallLocal { offset: 0 }.encode().first().opcode();
    const LDDW: u8 = Op::load_imm64(crate::insn::Reg::R0, 0).encode().first().opcode();
    const LOCAL: u8 = Op::CallLocal { offset: 0 }.encode().first().src();
    let mut starts: Vec<u32> = Vec::new();
    for (slot, insn) in code.slots.iter().enumerate() {
        let function = match insn.opcode() {
            CALL => insn.src() == LOCAL,
            LDDW => insn.src() == Pseudo::Function as u8,
            _ => false,
        };
        let start = slot as i64 + 1 + i64::from(insn.imm());
        if function
            && start > 0
            && start < code.slots.len() as i64
            && let Err(place) = starts.binary_search(&(start as u32))
        {
            starts.insert(place, start as u32);
        }
    }
    let named = |slot: u32| match code.label(slot as usize) {
        Some(name) => Cow::Borrowed(name),
        None => Cow::Owned(format!("{name}_{slot}")),
    };
    let first = (0, Cow::Borrowed(name));
    std::iter::once(first).chain(starts.into_iter().map(|slot| (slot, named(slot)))).collect()
}

fn lines(code: &Code<'_>) -> impl Iterator<Item = LineAt> {
    let text = code.text.as_bytes();
    let first = code.lines.first().map_or(0, |line| line.start as usize);
    let (mut number, mut counted, mut begins) =
        (code.line, first, line_start(text, first, MOST_COLUMN as usize));
    code.lines.iter().map(move |line| {
        let (start, end) = (line.start as usize, line.end as usize);
        let mut column = 0;
        if code.breaks {
            // Statements are in the order of the text and contain no line breaks: those between them are counted.
            let passed = text.get(counted..start).unwrap_or_default();
            if let Some(last) = passed.iter().rposition(|byte| *byte == b'\n') {
                number += line_breaks(passed);
                begins = counted + last + 1;
            }
            counted = counted.max(end);
            column = start.saturating_sub(begins) as u32 + 1;
        }
        LineAt { slot: line.slot, line: number, column, start: line.start, end: line.end }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::{ParseOptions, parse};
    use crate::bpf;
    use crate::util::lines::looked_at;

    #[test]
    fn functions_have_the_names_of_their_labels() {
        let code: Code = bpf! {
            r1 = 1;
            call twice;
            r2 = 5 ll;
            call pc+1;
            exit;
            r0 = 0;
            exit;
            twice:
            r0 = r1;
            exit;
        };
        let names = functions("main", &code);
        let names: Vec<_> = names.iter().map(|(slot, name)| (*slot, &**name)).collect();
        assert_eq!(names, [(0, "main"), (6, "main_6"), (8, "twice")]);
    }

    #[test]
    fn lines_of_a_text_are_those_of_the_file() {
        let text = "# one\n  r0 = 1; r1 = 2\n\nL: exit\n";
        let module = parse(text, "a.s", &ParseOptions::new()).unwrap();
        let code = module.programs()[0].code();
        let places: Vec<_> = lines(&code).map(|line| (line.slot, line.line, line.column)).collect();
        assert_eq!(places, [(0, 2, 3), (1, 2, 11), (2, 4, 4)]);
        let numbers: Vec<_> = (0..3).map(|slot| code.line_number(slot)).collect();
        assert_eq!(numbers, [2, 2, 4]);
    }

    #[test]
    fn a_column_is_exact_up_to_the_highest_that_is_told() {
        let column = |before: usize| {
            let text = format!("# one\n{}r0 = 1; exit\n", " ".repeat(before));
            let module = parse(&text, "a.s", &ParseOptions::new()).unwrap();
            let code = module.programs()[0].code();
            lines(&code).map(|line| (line.line, line.column)).collect::<Vec<_>>()
        };
        assert_eq!(column(0), [(2, 1), (2, 9)]);
        assert_eq!(column(1000), [(2, 1001), (2, 1009)]);
        assert_eq!(column(1022), [(2, 1023), (2, 1031)]);
        let far = column(100_000);
        assert!(far.iter().all(|(line, column)| *line == 2 && *column >= MOST_COLUMN), "{far:?}");
    }

    #[test]
    fn the_lines_of_many_programs_take_one_way_through_the_text() {
        const PROGRAMS: usize = 1000;
        for end in ["\n", ";"] {
            let program = |i| format!(".program p{i}, xdp{end}r0 = 1{end}exit{end}");
            let text: String = (0..PROGRAMS).map(program).collect();
            let (read, module) =
                looked_at::during(|| parse(&text, "a.s", &ParseOptions::new()).unwrap());
            assert!(read <= text.len(), "{read} of {}", text.len());

            let (described, places) = looked_at::during(|| {
                let mut places = Vec::new();
                for program in module.programs() {
                    let code = program.code();
                    assert!(describe(program.name(), Entry::Unsaid, &code, &[]).is_some());
                    places.push((lines(&code).next().unwrap().line, code.line_number(1)));
                }
                places
            });
            // Twice its own text, and the text that is examined for the column.
            let most = 2 * (text.len() + PROGRAMS * MOST_COLUMN as usize);
            assert!(described <= most, "{described} of {most}");
            for (i, place) in places.iter().enumerate() {
                let first = if end == ";" { (1, 1) } else { (3 * i as u32 + 2, 3 * i as u32 + 3) };
                assert_eq!(*place, first);
            }
        }
    }

    #[test]
    fn statements_of_the_macro_have_the_line_of_its_block() {
        let code: Code = bpf! { r0 = 1; exit; };
        let lines: Vec<_> = lines(&code).collect();
        assert!(lines.iter().all(|line| line.line == code.line && line.column == 0));
        let piece = code.text.get(lines[0].start as usize..lines[0].end as usize);
        assert_eq!(piece, Some("r0 = 1"));
    }
}
