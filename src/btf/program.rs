//! BTF of a program: the names of its functions (`func_info`), and the source line of each instruction
//! (`line_info`).

use super::builder::identifier;
use super::{Body, Btf, BtfError, Builder, Parameter};

/// A function of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FunctionAt<'a> {
    /// Its first slot. That of the first function is 0.
    pub(crate) slot: u32,
    /// Its name.
    pub(crate) name: &'a str,
}

/// The parameters of the first function of a program.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Entry<'a> {
    /// Unknown; the function is static.
    Unsaid,
    /// Unknown, but the function is global: as in an object, whose symbol for it says the same.
    #[cfg(feature = "elf")]
    Global,
    /// The context, a pointer to a struct of this name.
    Context(&'static str),
    /// The same as those of that function in the types of another program, which it is to replace.
    InPlaceOf(Likeness<'a>),
}

/// A function in the types of another program, by its number. The function that copies its prototype comes with it: a
/// program that replaces no other links none of that code.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Likeness<'a> {
    types: &'a Btf,
    id: u32,
    copy: fn(&mut Builder, &Btf, u32) -> Result<u32, BtfError>,
}

impl<'a> Likeness<'a> {
    pub(crate) fn of(types: &'a Btf, id: u32) -> Likeness<'a> {
        Likeness { types, id, copy: same_prototype }
    }
}

/// The highest column that the records of lines can hold.
pub(crate) const MOST_COLUMN: u32 = 0x3ff;

/// The source position of the instructions from one slot on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LineAt {
    /// The first of them. Not the second half of an instruction of two slots: the kernel refuses that.
    pub(crate) slot: u32,
    /// The line in the file, from 1.
    pub(crate) line: u32,
    /// The column in the line, from 1; 0 if it is not known. From [`MOST_COLUMN`] on it need not be exact.
    pub(crate) column: u32,
    /// The start of the statement in the text, as a byte offset,
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

/// The BTF arguments of `BPF_PROG_LOAD`, with the blob still to be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProgramTypes {
    /// The BTF to load.
    pub(crate) blob: Vec<u8>,
    /// `struct bpf_func_info`: `insn_off`, `type_id`. One for each function.
    pub(crate) functions: Vec<[u32; 2]>,
    /// `struct bpf_line_info`: `insn_off`, `file_name_off`, `line_off`, `line_col`. Empty if there are no lines.
    pub(crate) lines: Vec<[u32; 4]>,
}

/// The records of one program among the types that a [`Builder`] collects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct About {
    /// As [`ProgramTypes::functions`].
    pub(crate) functions: Vec<[u32; 2]>,
    /// As [`ProgramTypes::lines`].
    pub(crate) lines: Vec<[u32; 4]>,
}

/// Describes a program in the way that `check_btf_info` of the kernel demands (Linux 5.0): the functions in the order of
/// their slots, each with a prototype that gives an `int`; lines in the order of their slots, one at most for
/// each, and one for the first slot of every function, which is made from the line before if it is missing.
///
/// Functions are static: a global one would be verified by itself, without what its callers know. The first one, which
/// is always verified by itself, is global if what it takes is known: only what is global on both sides can take the place of
/// another (Linux 5.6; kernels before that know no such word and refuse the types).
pub(crate) fn describe_program(
    builder: &mut Builder,
    functions: &[FunctionAt<'_>],
    entry: Entry<'_>,
    source: Source<'_, impl Iterator<Item = LineAt>>,
) -> Result<About, BtfError> {
    let int = builder.int("int", 4, true);
    // Without parameters: those of a static function are never checked, and void pointers in their place
    // would be reported in the log.
    let prototype = builder.prototype(int, &[]);
    let first = match entry {
        Entry::Unsaid => prototype,
        #[cfg(feature = "elf")]
        Entry::Global => prototype,
        Entry::Context(name) => {
            let context = builder.composite(name, false, 0, &[]);
            let of = builder.pointer(context);
            builder.prototype(int, &[Parameter { name: "ctx", of }])
        }
        Entry::InPlaceOf(other) => (other.copy)(builder, other.types, other.id)?,
    };
    let mut starts: Vec<[u32; 2]> = Vec::with_capacity(functions.len());
    for function in functions {
        let name = identifier(function.name);
        let name = if name.is_empty() { "_".into() } else { name };
        let id = match (function.slot, entry) {
            (1.., _) | (0, Entry::Unsaid) => builder.function(&name, prototype),
            _ => builder.global_function(&name, first),
        };
        // They come in order as a rule, and sorting is a lot of code.
        if let Err(place) = starts.binary_search_by_key(&function.slot, |[slot, _]| *slot) {
            starts.insert(place, [function.slot, id]);
        }
    }

    let lines = records(builder, source, &starts);
    Ok(About { functions: starts, lines })
}

/// The prototype of a function in other types, as far as the kernel compares the two (`btf_check_func_type_match()`):
/// integers and enumerations by their sizes, pointers by the names of the structs behind them.
fn same_prototype(builder: &mut Builder, types: &Btf, id: u32) -> Result<u32, BtfError> {
    let function = types.function(id)?;
    let returns = same_type(builder, types, function.returns)?;
    let mut parameters = Vec::with_capacity(function.parameters.len());
    for (parameter, number) in function.parameters.iter().zip(1..) {
        let of = same_type(builder, types, parameter.of)?;
        let name = match parameter.name {
            "" => format!("arg{number}"),
            name => name.into(),
        };
        parameters.push((name, of));
    }
    let parameters: Vec<_> =
        parameters.iter().map(|(name, of)| Parameter { name, of: *of }).collect();
    Ok(builder.prototype(returns, &parameters))
}

fn same_type(builder: &mut Builder, types: &Btf, id: u32) -> Result<u32, BtfError> {
    let found = types.resolve(id)?;
    Ok(match found.body {
        Body::Int { size, signed, .. } => builder.int(found.name, size, signed),
        Body::Enum { values, .. } => {
            let values = values.collect::<Result<Vec<_>, _>>()?;
            builder.enumeration(found.name, &values)
        }
        Body::Pointer(to) => {
            let to = types.resolve(to)?;
            let to = match to.body {
                Body::Composite { .. } => builder.composite(to.name, false, 0, &[]),
                _ => 0,
            };
            builder.pointer(to)
        }
        // Nothing else can be passed to a function that another may take the place of.
        _ => 0,
    })
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
        let position = line.line.min(0x3f_ffff) << 10 | line.column.min(MOST_COLUMN);
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

/// One program by itself.
#[cfg(test)]
pub(super) fn for_program(
    functions: &[FunctionAt<'_>],
    entry: Entry<'_>,
    source: Source<'_, impl Iterator<Item = LineAt>>,
) -> Result<ProgramTypes, BtfError> {
    let mut builder = Builder::new();
    let About { functions, lines } = describe_program(&mut builder, functions, entry, source)?;
    Ok(ProgramTypes { blob: builder.finish()?, functions, lines })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::{Enumerator, Kind, Linkage};

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
        let made = for_program(&functions, Entry::Unsaid, source(&lines))?;
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
    fn the_first_function_takes_a_context() -> Result<(), BtfError> {
        let functions = [FunctionAt { slot: 0, name: "main" }, FunctionAt { slot: 3, name: "sub" }];
        let made = for_program(&functions, Entry::Context("xdp_md"), source(&[]))?;
        let btf = Btf::new(made.blob)?;
        let [[0, main], [3, sub]] = made.functions[..] else { panic!("{:?}", made.functions) };
        let [context] = btf.function(main)?.parameters[..] else { panic!("one parameter") };
        let Body::Pointer(to) = btf.get(context.of)?.body else { panic!("a pointer") };
        assert_eq!((context.name, btf.get(to)?.name), ("ctx", "xdp_md"));
        assert!(btf.function(sub)?.parameters.is_empty());
        for (id, expected) in [(main, Linkage::Global), (sub, Linkage::Static)] {
            let Body::Function { linkage, .. } = btf.get(id)?.body else { panic!("no function") };
            assert_eq!(linkage, expected);
        }
        Ok(())
    }

    #[test]
    fn a_function_can_be_like_another() -> Result<(), BtfError> {
        let mut builder = Builder::new();
        let context = builder.composite("xdp_md", false, 24, &[]);
        let typedef = builder.typedef("context_t", context);
        let pointer = builder.pointer(typedef);
        let word = builder.int("unsigned int", 4, false);
        let enumeration = builder.enumeration("how", &[Enumerator { name: "A", value: 7 }]);
        let parameters = [("ctx", pointer), ("", word), ("how", enumeration)];
        let parameters = parameters.map(|(name, of)| Parameter { name, of });
        let prototype = builder.prototype(word, &parameters);
        let id = builder.function("theirs", prototype);
        let theirs = Btf::new(builder.finish()?)?;

        let functions = [FunctionAt { slot: 0, name: "ours" }];
        let made =
            for_program(&functions, Entry::InPlaceOf(Likeness::of(&theirs, id)), source(&[]))?;
        let btf = Btf::new(made.blob)?;
        let Body::Function { linkage, .. } = btf.get(made.functions[0][1])?.body else {
            panic!("no function")
        };
        assert_eq!(linkage, Linkage::Global);
        let ours = btf.function(made.functions[0][1])?;
        assert_eq!(btf.size(ours.returns, "")?, 4);
        let names: Vec<_> = ours.parameters.iter().map(|parameter| parameter.name).collect();
        assert_eq!(names, ["ctx", "arg2", "how"]);
        let kinds: Vec<_> =
            ours.parameters.iter().map(|one| btf.get(one.of).unwrap().kind).collect();
        assert_eq!(kinds, [Kind::Pointer, Kind::Int, Kind::Enum]);
        let Body::Pointer(to) = btf.get(ours.parameters[0].of)?.body else { panic!("a pointer") };
        assert_eq!(btf.get(to)?.name, "xdp_md");
        Ok(())
    }

    #[test]
    fn a_program_without_lines_has_none() -> Result<(), BtfError> {
        let made = for_program(&[FunctionAt { slot: 0, name: "" }], Entry::Unsaid, source(&[]))?;
        assert!(made.lines.is_empty());
        assert_eq!(made.functions.len(), 1);
        Ok(())
    }

    #[test]
    fn a_line_that_is_too_far_down_stays_within_its_bits() -> Result<(), BtfError> {
        let far = LineAt { line: u32::MAX, column: 5000, ..line(0, 0, 0, 400) };
        let functions = [FunctionAt { slot: 0, name: "f" }];
        let made = for_program(&functions, Entry::Unsaid, source(&[far]))?;
        assert_eq!(made.lines[0][3], u32::MAX);
        Ok(())
    }
}
