//! Several objects linked into one, by the rules of `bpftool gen object`.

mod agree;
mod jump_tables;
mod sections;
mod symbols;
mod types;

use super::names::shown;
use super::raw::{Kind, Raw};
use super::{LinkError, Object};
use crate::btf::{Body, Btf, Linkage};
use sections::Sections;
use std::collections::HashMap;
use symbols::Symbols;

/// An object that is linked with others.
pub(super) struct Input<'d> {
    /// The name that messages have for it.
    file: &'d str,
    raw: Raw<'d>,
    btf: Option<Btf>,
    /// For each of its sections, the number of the one that it becomes part of, and where.
    places: Vec<(usize, u64)>,
    /// For each of its symbols, the number of the one that it becomes.
    symbols: Vec<usize>,
}

/// The conflicts between objects, as far as they are shown.
#[derive(Debug, Default)]
struct Problems {
    shown: Vec<String>,
    more: usize,
}

/// The most problems that are shown.
const SHOWN: usize = 100;

impl Problems {
    fn push(&mut self, problem: String) {
        if self.has_room() {
            self.shown.push(problem);
        } else {
            self.more += 1;
        }
    }

    fn has_room(&self) -> bool {
        self.shown.len() < SHOWN
    }

    /// An error, if there is any.
    fn checked(self) -> Result<(), LinkError> {
        let Problems { shown: mut problems, more } = self;
        if more > 0 {
            problems.push(format!("and {more} more"));
        }
        if problems.is_empty() { Ok(()) } else { Err(LinkError::Conflicts { problems }) }
    }
}

/// A variable or function in the BTF of an object that others can see.
#[derive(Debug, Clone, Copy)]
struct Described<'b> {
    id: u32,
    /// Whether it is only declared.
    external: bool,
    /// The section of variables that it is in.
    section: Option<&'b str>,
}

impl Object {
    /// Links objects into one, as `bpftool gen object` does: each is its name in messages, and its bytes.
    ///
    /// Sections of one name are put one behind the other. A function or variable that one object declares (`extern`) is the one that
    /// another defines; their types have to agree. A weak definition gives way to a strong one, and among weak ones the first is taken. What
    /// is `static` stays that of its object; a static map needs a name that no other object has for a map. All have to have the same license, if they have one.
    ///
    /// ```no_run
    /// use rawbpf::object::Object;
    ///
    /// let (main, counts) = (std::fs::read("main.o")?, std::fs::read("counts.o")?);
    /// let object = Object::link(&[("main.o", &main), ("counts.o", &counts)])?;
    /// let collection = object.collection("main.o")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`LinkError::Object`] if one of them cannot be read, [`LinkError::Conflicts`] with all that does not fit together, by file and name.
    pub fn link(objects: &[(&str, &[u8])]) -> Result<Object, LinkError> {
        let mut inputs = Vec::with_capacity(objects.len());
        for (file, bytes) in objects.iter().copied() {
            let wrong = |source| LinkError::Object { file: shown(file), source };
            let raw = Raw::new(bytes).map_err(wrong)?;
            let btf = raw.types().map_err(wrong)?;
            inputs.push(Input { file, raw, btf, places: Vec::new(), symbols: Vec::new() });
        }
        // One that is alone is what it is.
        if let [only] = &mut inputs[..] {
            let wrong = |source| LinkError::Object { file: shown(only.file), source };
            return Object::of(&only.raw, only.btf.take()).map_err(wrong);
        }
        let (raw, btf) = linked(&mut inputs)?;
        let files: Vec<_> = inputs.iter().map(|input| shown(input.file)).collect();
        let wrong = |source| LinkError::Object { file: files.join(" + "), source };
        Object::of(&raw, btf).map_err(wrong)
    }
}

/// The contents of the file that they are linked to, and its types.
fn linked(inputs: &mut [Input<'_>]) -> Result<(Raw<'static>, Option<Btf>), LinkError> {
    let Some(first) = inputs.first() else {
        return Err(LinkError::Conflicts { problems: vec!["there is no object to link".into()] });
    };
    let order = first.raw.order;
    let mut problems = Problems::default();
    for input in inputs.iter().filter(|input| input.raw.order != order) {
        problems.push(format!(
            "{} and {} are for machines of different byte orders",
            shown(first.file),
            shown(input.file)
        ));
    }
    problems.checked()?;
    let mut problems = Problems::default();
    let mut sections = Sections::default();
    for index in 0..inputs.len() {
        sections.add(inputs, index, &mut problems);
    }
    inputs.iter().for_each(|input| jump_tables::moved(input, &mut sections, &mut problems));
    let described: Vec<_> =
        inputs.iter().map(|input| input.btf.as_ref().map(described).unwrap_or_default()).collect();
    let mut symbols = Symbols::new(&described);
    let mut numbers = Vec::with_capacity(inputs.len());
    for index in 0..inputs.len() {
        numbers.push(symbols.add(inputs, index, &mut problems));
    }
    symbols.undefined(inputs, &mut problems);
    problems.checked()?;
    let merged = types::merged(inputs, &described, &symbols, &sections, order);
    let types = merged.map_err(|problem| LinkError::Conflicts { problems: vec![problem] })?;
    let symbols = symbols.all;
    for (input, numbers) in inputs.iter_mut().zip(numbers) {
        input.symbols = numbers;
    }
    let raw = sections.finish(inputs, symbols, &types, order);
    let wrong = |source| LinkError::Object { file: "the linked object".into(), source };
    super::raw::small_enough(&raw.sections).map_err(wrong)?;
    let btf = raw.types().map_err(wrong)?;
    Ok((raw, btf))
}

/// The variables and functions of an object that others can see, by their names.
fn described(btf: &Btf) -> HashMap<&str, Described<'_>> {
    let mut found: HashMap<&str, Described<'_>> = HashMap::new();
    let mut sections = HashMap::new();
    for section in btf.types().flatten() {
        let Body::Section { variables, .. } = section.body else { continue };
        sections.extend(variables.map(|variable| (variable.of, section.name)));
    }
    for one in btf.types().flatten() {
        let (Body::Variable { linkage, .. } | Body::Function { linkage, .. }) = one.body else {
            continue;
        };
        let external = linkage == Linkage::Extern;
        if linkage == Linkage::Static || found.get(one.name).is_some_and(|_| external) {
            continue;
        }
        let section = sections.get(&one.id).copied();
        found.insert(one.name, Described { id: one.id, external, section });
    }
    found
}

/// Whether the kernel defines what is declared in a section of that name.
fn is_of_kernel(section: Option<&str>) -> bool {
    matches!(section, Some(".ksyms" | ".kconfig"))
}

/// Whether all objects have to have the same contents of a section.
fn is_agreed(kind: Kind) -> bool {
    matches!(kind, Kind::License | Kind::Version)
}

#[cfg(test)]
mod tests {
    use super::agree::MOST;
    use super::*;
    use crate::asm::Section;
    use crate::btf::Builder;
    use crate::insn::ByteOrder;
    use crate::object::ext::{self, Records, records, written};
    use crate::object::raw::{RawRelocation, RawSection, RawSymbol, SymbolKind};

    fn section(name: &str, kind: Kind, bytes: &'static [u8], align: u64) -> RawSection<'static> {
        let (size, relocations) = (bytes.len() as u64, Vec::new());
        RawSection { name: name.into(), kind, bytes: bytes.into(), size, align, relocations }
    }

    fn data(bytes: &'static [u8], align: u64) -> RawSection<'static> {
        section(".data", Kind::Data(Section::Data), bytes, align)
    }

    const STRONG: (bool, bool) = (true, false);
    const WEAK: (bool, bool) = (true, true);
    const LOCAL: (bool, bool) = (false, false);

    fn symbol(
        name: &str,
        section: Option<usize>,
        value: u64,
        (global, weak): (bool, bool),
    ) -> RawSymbol {
        let (kind, size) = (SymbolKind::Object, 1);
        RawSymbol { name: name.into(), kind, section, value, size, global, weak, hidden: false }
    }

    fn input(
        file: &'static str,
        sections: Vec<RawSection<'static>>,
        symbols: Vec<RawSymbol>,
    ) -> Input<'static> {
        let raw = Raw { order: ByteOrder::NATIVE, sections, symbols };
        Input { file, raw, btf: None, places: Vec::new(), symbols: Vec::new() }
    }

    fn problems(mut inputs: Vec<Input<'_>>) -> Vec<String> {
        match linked(&mut inputs) {
            Err(LinkError::Conflicts { problems }) => problems,
            other => panic!("{other:?}"),
        }
    }

    /// Two objects with a variable `x` in `.data`, defined so or not at all; the place of the symbol, and whether it is weak.
    fn variable(first: Option<(bool, bool)>, second: Option<(bool, bool)>) -> (u64, bool) {
        let one = |file, bytes: &'static [u8], how: Option<(bool, bool)>| {
            let symbol = symbol("x", how.map(|_| 0), 1, how.unwrap_or(STRONG));
            input(file, vec![data(bytes, 1)], vec![symbol])
        };
        let mut inputs = [one("a.o", &[1, 2], first), one("b.o", &[3, 4], second)];
        let (raw, _) = linked(&mut inputs).unwrap();
        let found: Vec<_> = raw.symbols.iter().filter(|symbol| symbol.name == "x").collect();
        let [found] = found[..] else { panic!("{found:?}") };
        let section = &raw.sections[found.section.unwrap()];
        assert_eq!((section.name.as_str(), &*section.bytes), (".data", &[1, 2, 3, 4][..]));
        (found.value, found.weak)
    }

    #[test]
    fn the_strong_definition_is_taken_and_else_the_first() {
        for (first, second, expected) in [
            (Some(STRONG), None, (1, false)),
            (None, Some(STRONG), (3, false)),
            (None, Some(WEAK), (3, true)),
            (Some(WEAK), Some(STRONG), (3, false)),
            (Some(STRONG), Some(WEAK), (1, false)),
            (Some(WEAK), Some(WEAK), (1, true)),
        ] {
            assert_eq!(variable(first, second), expected, "{first:?} {second:?}");
        }
    }

    #[test]
    fn relocations_and_local_symbols_move_with_their_sections() {
        let one = |file, how| {
            let mut own = data(&[0; 12], 8);
            own.relocations =
                vec![RawRelocation { offset: 4, kind: 2, symbol: 1, addend: Some(3) }];
            input(file, vec![own], vec![symbol("x", None, 0, how), symbol("y", Some(0), 8, LOCAL)])
        };
        let mut inputs = [one("a.o", WEAK), one("b.o", WEAK)];
        let (raw, _) = linked(&mut inputs).unwrap();
        let found = raw.sections.iter().find(|section| section.name == ".data").unwrap();
        assert_eq!((found.size, found.align), (28, 8));
        let places: Vec<_> = found
            .relocations
            .iter()
            .map(|one| (one.offset, raw.symbols[one.symbol].value, one.addend))
            .collect();
        assert_eq!(places, [(4, 8, Some(3)), (20, 24, Some(3))]);
        // What both can do without is one symbol.
        assert_eq!(raw.symbols.iter().filter(|symbol| symbol.name == "x").count(), 1);
    }

    #[test]
    fn zeros_need_bytes_only_between_others() {
        let zeros = || RawSection { size: 6, ..data(&[], 4) };
        for (sections, expected) in [
            ([zeros(), zeros()], (14, &[][..])),
            ([zeros(), data(&[1], 1)], (9, &[0, 0, 0, 0, 0, 0, 0, 0, 1][..])),
            ([data(&[1], 1), zeros()], (10, &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0][..])),
        ] {
            let [one, two] = sections;
            let mut inputs =
                [input("a.o", vec![one], Vec::new()), input("b.o", vec![two], Vec::new())];
            let (raw, _) = linked(&mut inputs).unwrap();
            let found = raw.sections.iter().find(|section| section.name == ".data").unwrap();
            assert_eq!((found.size, &*found.bytes), expected);
        }
    }

    /// However many there are.
    #[test]
    fn a_hundred_problems_are_shown() {
        let names: Vec<_> = (0..5000).map(|index| format!("x{index}")).collect();
        let symbols = || names.iter().map(|name| symbol(name, Some(0), 0, STRONG)).collect();
        let one = |file| input(file, vec![data(&[1], 1)], symbols());
        let problems = problems(vec![one("a.o"), one("b.o")]);
        assert_eq!(problems.len(), 101);
        assert_eq!(problems.last().unwrap(), "and 4900 more");
    }

    /// Else a string of 2 MiB would be hashed 40,000 times for each object.
    #[test]
    fn a_string_of_many_line_records_is_looked_up_once() {
        const LINES: u32 = 20_000;
        let text = "x".repeat(1 << 21);
        let one = |file, first: &str| {
            let mut builder = Builder::new();
            builder.int(first, 4, true);
            let [name, text] = ["code", &text].map(|string| builder.string(string));
            let records = (0..LINES).map(|slot| [8 * slot, text, text, slot]).collect();
            let lines = [Records { section: name, records }];
            let ext = written(&[], &lines, &[], ByteOrder::NATIVE);
            let sections = vec![
                RawSection {
                    bytes: vec![0; 8 * LINES as usize].into(),
                    size: 8 * u64::from(LINES),
                    ..section("code", Kind::Code, &[], 8)
                },
                RawSection {
                    size: ext.len() as u64,
                    bytes: ext.into(),
                    ..section(".BTF.ext", Kind::BtfExt, &[], 4)
                },
            ];
            let mut input = input(file, sections, Vec::new());
            input.btf = Some(Btf::new(builder.finish().unwrap()).unwrap());
            input
        };
        let mut inputs = [one("a.o", "int"), one("b.o", "long name")];
        let (raw, btf) = linked(&mut inputs).unwrap();
        let (btf, mut found) = (btf.unwrap(), Vec::new());
        let ext = raw.bytes(Kind::BtfExt).unwrap();
        let order = ByteOrder::NATIVE;
        records(ext, ext::LINES, &btf, order, &mut |section, slot, words| {
            assert_eq!(section, "code");
            found.push((slot as u32, words));
        })
        .unwrap();
        let [file, ..]: [u32; 3] = found[0].1;
        assert_eq!(btf.string(file, 0).unwrap(), text);
        let expected = (0..2 * LINES).map(|slot| (slot, [file, file, slot % LINES]));
        assert!(found.into_iter().eq(expected));
    }

    /// Not as a difference, and not for each name.
    #[test]
    fn types_that_are_not_compared_are_reported_once() {
        let one = |file| {
            let mut builder = Builder::new();
            let int = builder.int("int", 4, true);
            builder.variable("x", int);
            builder.variable("y", int);
            let symbols = ["x", "y"].map(|name| symbol(name, Some(0), 0, WEAK));
            let mut input = input(file, vec![data(&[0; 4], 4)], symbols.into());
            input.btf = Some(Btf::new(builder.finish().unwrap()).unwrap());
            input.places = vec![(0, 0)];
            input
        };
        let inputs = [one("a.o"), one("b.o")];
        let described: Vec<_> =
            inputs.iter().map(|input| described(input.btf.as_ref().unwrap())).collect();
        for (left, expected) in [
            (1, &["`x`: its types in a.o and in b.o: it takes too long to compare"][..]),
            (MOST, &[]),
        ] {
            let mut problems = Problems::default();
            let mut symbols = Symbols::new(&described);
            symbols.left = left;
            (0..2).for_each(|index| drop(symbols.add(&inputs, index, &mut problems)));
            assert_eq!(problems.shown, expected);
        }
    }

    #[test]
    fn what_does_not_fit_together_is_said_at_once() {
        let license = |text| section("license", Kind::License, text, 1);
        let version = |number| section("version", Kind::Version, number, 4);
        let map = |name, how| {
            let maps = section(".maps", Kind::Maps, &[0; 8], 8);
            (vec![maps], vec![symbol(name, Some(0), 0, how)])
        };
        let of_map = |first, second| (map("m", first), map("m", second));
        let (two_static, static_and_global) = (of_map(LOCAL, LOCAL), of_map(LOCAL, STRONG));
        let global_and_static = of_map(WEAK, LOCAL);
        let undefined = |count| (0..count).map(|_| symbol("z", None, 0, STRONG)).collect();
        let rows = [
            (
                (vec![license(b"GPL\0"), version(&[1])], Vec::new()),
                (vec![license(b"MIT\0"), version(&[2])], Vec::new()),
                vec![
                    "license: a.o has `GPL`, and b.o has `MIT`",
                    "version: a.o has `?`, and b.o has `?`",
                ],
            ),
            (
                (vec![section("x", Kind::Code, &[0; 8], 8)], Vec::new()),
                (vec![section("x", Kind::Unknown, &[0; 8], 8)], Vec::new()),
                vec!["section `x`: it is of one type in a.o and of another in b.o"],
            ),
            (
                (vec![RawSection { size: 1 << 29, ..data(&[], 1) }], Vec::new()),
                (vec![data(&[1], 1)], Vec::new()),
                vec!["section `.data`: it would have more than 512 MiB"],
            ),
            (
                two_static.0,
                two_static.1,
                vec!["map `m`: static in a.o and in b.o, expected different names"],
            ),
            (
                static_and_global.0,
                static_and_global.1,
                vec!["map `m`: static in a.o and global in b.o, expected different names"],
            ),
            (
                global_and_static.0,
                global_and_static.1,
                vec!["map `m`: global in a.o and static in b.o, expected different names"],
            ),
            (
                (Vec::new(), undefined(1000)),
                (Vec::new(), undefined(2)),
                vec!["`z`: used by a.o and b.o, and none of the objects defines it"],
            ),
            (
                (vec![data(&[1], 1)], vec![symbol("x", Some(0), 2, LOCAL)]),
                (vec![data(&[1], 1)], vec![symbol("y", None, 0, STRONG)]),
                vec![
                    "`x`: it lies beyond its section `.data` in a.o",
                    "`y`: used by b.o, and none of the objects defines it",
                ],
            ),
        ];
        for (one, two, expected) in rows {
            let inputs = vec![input("a.o", one.0, one.1), input("b.o", two.0, two.1)];
            assert_eq!(problems(inputs), expected);
        }
        let mut other = input("b.o", Vec::new(), Vec::new());
        other.raw.order = match ByteOrder::NATIVE {
            ByteOrder::Little => ByteOrder::Big,
            ByteOrder::Big => ByteOrder::Little,
        };
        let expected = "a.o and b.o are for machines of different byte orders";
        assert_eq!(problems(vec![input("a.o", Vec::new(), Vec::new()), other]), [expected]);
        assert_eq!(problems(Vec::new()), ["there is no object to link"]);
    }
}
