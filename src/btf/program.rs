//! What the kernel is told of a program: the names of its functions, and which line of the source each instruction
//! came from.

use super::builder::identifier;
use super::{BtfError, Builder};

/// A function of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FunctionAt<'a> {
    /// Its first slot. That of the first function is 0.
    pub(crate) slot: u32,
    /// Its name.
    pub(crate) name: &'a str,
}

/// Where the instructions from one slot on come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LineAt {
    /// The first of them. Not the second half of an instruction of two slots: the kernel refuses that.
    pub(crate) slot: u32,
    /// The line in the file, from 1.
    pub(crate) line: u32,
    /// The column in the line, from 1; 0 if it is not known.
    pub(crate) column: u32,
    /// Where that is in the text, bytes: at what begins here,
    pub(crate) start: u32,
    /// up to the separator that ends it.
    pub(crate) end: u32,
}

/// The source of a program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a, L> {
    /// The file.
    pub(crate) file: &'a str,
    /// The text, of which the lines are pieces.
    pub(crate) text: &'a str,
    /// In the order of their slots.
    pub(crate) lines: L,
}

/// What `BPF_PROG_LOAD` wants, once the blob is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProgramTypes {
    /// The BTF to load.
    pub(crate) blob: Vec<u8>,
    /// `struct bpf_func_info`: `insn_off`, `type_id`. One for each function.
    pub(crate) functions: Vec<[u32; 2]>,
    /// `struct bpf_line_info`: `insn_off`, `file_name_off`, `line_off`, `line_col`. Empty if there are no lines.
    pub(crate) lines: Vec<[u32; 4]>,
}

/// Describes a program in the way that `check_btf_info` of the kernel demands (Linux 5.0): the functions in the order of
/// their slots, each with a prototype that gives an `int`; lines in the order of their slots, one at most for
/// each, and one for the first slot of every function, which is made from the line before if it is missing.
///
/// All functions are static, the first one too. A global one would be verified by itself, without what its
/// callers know.
pub(crate) fn for_program(
    functions: &[FunctionAt<'_>],
    source: Source<'_, impl Iterator<Item = LineAt>>,
) -> Result<ProgramTypes, BtfError> {
    let mut builder = Builder::new();
    let int = builder.int("int", 4, true);
    // Without parameters: those of a static function are never looked at, and void pointers for want of better
    // would be remarked upon in the log.
    let prototype = builder.prototype(int, &[]);
    let mut starts: Vec<[u32; 2]> = functions
        .iter()
        .map(|function| {
            let name = identifier(function.name);
            let name = if name.is_empty() { "_".into() } else { name };
            [function.slot, builder.function(&name, prototype)]
        })
        .collect();
    starts.sort_by_key(|[slot, _]| *slot);
    starts.dedup_by_key(|[slot, _]| *slot);

    let lines = records(&mut builder, source, &starts);
    Ok(ProgramTypes { blob: builder.finish()?, functions: starts, lines })
}

/// The lines. Their text is not taken apart: it goes into the string section as it stands, with a zero at the end of each
/// line, which is many times as fast for a program of some thousand.
fn records(
    builder: &mut Builder,
    source: Source<'_, impl Iterator<Item = LineAt>>,
    starts: &[[u32; 2]],
) -> Vec<[u32; 4]> {
    let Source { file, text, lines } = source;
    let file = builder.string(file);
    let (base, strings) = builder.strings(text.as_bytes());
    // All of them are looked at, which the compiler does many at a time.
    strings.iter_mut().for_each(|byte| *byte = if *byte < b' ' { b' ' } else { *byte });
    let record = |slot: u32, line: &LineAt| {
        // 22 bits and 10.
        let position = line.line.min(0x3f_ffff) << 10 | line.column.min(0x3ff);
        [slot, file, base + line.start, position]
    };

    let mut records = Vec::with_capacity(lines.size_hint().0 + starts.len());
    let mut starts = starts.iter().map(|[slot, _]| *slot).peekable();
    let mut before: Option<LineAt> = None;
    for line in lines {
        if let Some(byte) = strings.get_mut(line.end as usize) {
            *byte = 0;
        }
        // Of several at one slot the first counts.
        if before.is_some_and(|before| before.slot >= line.slot) {
            continue;
        }
        while let Some(start) = starts.next_if(|start| *start < line.slot) {
            records.push(record(start, &before.unwrap_or(line)));
        }
        starts.next_if_eq(&line.slot);
        records.push(record(line.slot, &line));
        before = Some(line);
    }
    if let Some(last) = before {
        records.extend(starts.map(|start| record(start, &last)));
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::{Body, Btf, Kind, Linkage};

    const TEXT: &str = "r0\t= 1; r1 = 2;again\nend";

    fn line(slot: u32, line: u32, start: u32, end: u32) -> LineAt {
        LineAt { slot, line, column: 5, start, end }
    }

    fn source(lines: &[LineAt]) -> Source<'static, impl Iterator<Item = LineAt>> {
        Source { file: "src/a.rs", text: TEXT, lines: lines.iter().copied() }
    }

    #[test]
    fn functions_and_lines_are_as_the_kernel_demands() -> Result<(), BtfError> {
        let functions =
            [FunctionAt { slot: 7, name: "sub fn" }, FunctionAt { slot: 0, name: "main" }];
        let lines = [line(2, 11, 0, 6), line(4, 12, 8, 14), line(4, 13, 15, 20)];
        let made = for_program(&functions, source(&lines))?;
        let btf = Btf::new(made.blob)?;
        let [[0, main], [7, sub]] = made.functions[..] else { panic!("{:?}", made.functions) };
        assert_eq!((btf.get(main)?.name, btf.get(sub)?.name), ("main", "sub_fn"));
        for id in [main, sub] {
            let Body::Function { prototype, linkage } = btf.get(id)?.body else {
                panic!("no function")
            };
            assert_eq!((linkage, btf.get(prototype)?.kind), (Linkage::Static, Kind::Prototype));
            assert_eq!(btf.get(btf.function(id)?.returns)?.name, "int");
        }
        let shown: Vec<_> = made
            .lines
            .iter()
            .map(|[slot, file, text, position]| {
                let string = |offset: &u32| btf.string(*offset, 0).unwrap_or("?");
                assert_eq!(string(file), "src/a.rs");
                (*slot, string(text), position >> 10, position & 1023)
            })
            .collect();
        assert_eq!(
            shown,
            [
                (0, "r0 = 1", 11, 5),
                (2, "r0 = 1", 11, 5),
                (4, "r1 = 2", 12, 5),
                (7, "r1 = 2", 12, 5)
            ]
        );
        Ok(())
    }

    #[test]
    fn a_program_without_lines_has_none() -> Result<(), BtfError> {
        let made = for_program(&[FunctionAt { slot: 0, name: "" }], source(&[]))?;
        assert!(made.lines.is_empty());
        assert_eq!(made.functions.len(), 1);
        Ok(())
    }

    #[test]
    fn a_line_that_is_too_far_down_stays_within_its_bits() -> Result<(), BtfError> {
        let far = LineAt { line: u32::MAX, column: 5000, ..line(0, 0, 0, 400) };
        let made = for_program(&[FunctionAt { slot: 0, name: "f" }], source(&[far]))?;
        assert_eq!(made.lines[0][3], u32::MAX);
        Ok(())
    }
}
