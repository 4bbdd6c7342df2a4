//! The variables of an arena, which clang puts into the section `.addr_space.1`.

use super::declared::Declared;
use super::names::{Names, shown};
use super::raw::{Kind, Raw, RawSection, SymbolKind};
use crate::spec::{DataSection, Section};
use crate::uapi::MapType;

/// Returns the variables of the arena of an object, with the number of their section. They are in the one map of that type, as
/// libbpf has it; problems with that are added to the others.
pub(super) fn arena(
    raw: &Raw<'_>,
    declared: &[Declared],
    names: &mut Names,
    problems: &mut Vec<String>,
) -> Option<(usize, DataSection)> {
    let mut sections = raw.sections.iter().enumerate().filter(|(_, one)| one.kind == Kind::Arena);
    let (number, section) = sections.next()?;
    let name = shown(&section.name);
    let is_arena = |map: &&Declared| {
        map.defined.as_ref().is_some_and(|defined| defined.kind == MapType::Arena as u32)
    };
    let mut arenas = declared.iter().filter(is_arena);
    let problem = match (arenas.next(), arenas.next(), sections.next()) {
        (Some(map), None, None) => {
            let variables = variables(raw, number, section, names);
            let (bytes, arena) = (section.bytes.to_vec(), map.name.clone());
            let section = Section::Data;
            let data = DataSection { name, section, bytes, variables, types: None, arena };
            return Some((number, data));
        }
        (None, ..) => "no map is an arena",
        (Some(_), Some(_), _) => "more than one map is an arena",
        (Some(_), None, Some(_)) => "there are two sections of that name",
    };
    problems.push(format!("variables of an arena in section {name}: {problem}"));
    None
}

/// The variables of a section by their offsets: name, offset and size.
fn variables(
    raw: &Raw<'_>,
    number: usize,
    section: &RawSection<'_>,
    names: &mut Names,
) -> Vec<(String, u32, u32)> {
    let mut variables = Vec::new();
    for symbol in raw.symbols.iter().filter(|symbol| symbol.section == Some(number)) {
        let named = matches!(symbol.kind, SymbolKind::Object | SymbolKind::Untyped);
        let rest = section.size.saturating_sub(symbol.value);
        let size = symbol.size.min(rest);
        if named && size > 0 && !symbol.name.is_empty() {
            // Sections have less than 512 MiB.
            variables.push((names.give(&symbol.name), symbol.value as u32, size as u32));
        }
    }
    variables.sort_by_key(|(_, offset, _)| *offset);
    variables
}

#[cfg(test)]
mod tests {
    use crate::btf::{Builder, Member, Variable};
    use crate::insn::ByteOrder;
    use crate::object::Object;
    use crate::object::format::{File, Relocation, Section, Symbol};
    use object::elf;

    /// An object with so many arenas, so many sections of variables, and a program that names places in the first of these by a symbol at 8.
    fn object(arenas: &[&'static str], sections: usize, addends: &[i32]) -> Object {
        let mut builder = Builder::new();
        let int = builder.int("int", 4, true);
        let mut number = |number| {
            let array = builder.array(int, int, number);
            builder.pointer(array)
        };
        let members =
            [("type", number(33)), ("map_flags", number(1024)), ("max_entries", number(4))];
        let members: Vec<_> = members
            .iter()
            .zip(0..)
            .map(|((name, of), at)| Member { name, of: *of, bit_offset: at * 64, bits: None })
            .collect();
        let map = builder.composite("", false, 24, &members);
        let maps: Vec<_> = arenas
            .iter()
            .zip(0..)
            .map(|(name, at)| Variable {
                of: builder.variable(name, map),
                offset: at * 24,
                size: 24,
            })
            .collect();
        let size = arenas.len() * 24;
        if !maps.is_empty() {
            builder.section(".maps", size as u32, &maps);
        }
        let mut slots = Vec::new();
        for addend in addends {
            slots.extend([0x18, 1, 0, 0]);
            slots.extend(addend.to_ne_bytes());
            slots.extend([0; 8]);
        }
        slots.extend([0x95, 0, 0, 0, 0, 0, 0, 0]);
        let length = slots.len() as u64;
        let mut code = Section::new("syscall", elf::SHF_ALLOC | elf::SHF_EXECINSTR, slots);
        for index in 0..addends.len() as u64 {
            // R_BPF_64_64
            code.relocations.push(Relocation {
                offset: 16 * index,
                symbol: 1,
                kind: elf::RelocationType(1),
            });
        }
        let data = |name, size| Section::new(name, elf::SHF_ALLOC | elf::SHF_WRITE, vec![7; size]);
        let mut all =
            vec![code, Section::new(".BTF", elf::SectionFlags(0), builder.finish().unwrap())];
        let first = all.len();
        all.extend((0..sections).map(|_| data(".addr_space.1", 16)));
        let symbol = |name: &'static str, kind, section, value, size| Symbol {
            name: name.into(),
            kind,
            global: true,
            section,
            value,
            size,
        };
        let mut symbols = vec![symbol("runs", elf::STT_FUNC, 0, 0, length)];
        if sections > 0 {
            symbols.push(symbol("second", elf::STT_OBJECT, first, 8, 8));
            symbols.push(symbol("one", elf::STT_OBJECT, first, 0, 4));
        }
        if !arenas.is_empty() {
            let maps = all.len();
            all.push(data(".maps", size));
            symbols.extend(
                arenas
                    .iter()
                    .zip(0..)
                    .map(|(name, at)| symbol(name, elf::STT_OBJECT, maps, at * 24, 24)),
            );
        }
        let file = File { sections: all, symbols };
        Object::read(&file.to_bytes(ByteOrder::NATIVE).unwrap()).unwrap()
    }

    #[test]
    fn variables_are_in_the_one_arena() {
        let object = object(&["memory"], 1, &[0, 4, 8, -12, 100]);
        assert_eq!(object.unloadable(), [""; 0]);
        let mut collection = object.collection("a.o").unwrap();
        let [data] = collection.data().more else { panic!() };
        assert_eq!(data.arena.as_deref(), Some("memory"));
        assert_eq!(data.variables, [("one".into(), 0, 4), ("second".into(), 8, 8)]);
        // Also before the first variable and behind the last one: they are places of the arena.
        let slots = collection.programs()[0].slots();
        let offsets: Vec<_> = slots.chunks_exact(2).map(|pair| pair[1].imm()).collect();
        assert_eq!(offsets, [8, 12, 16, -4, 108]);
        // BPF_PSEUDO_MAP_VALUE
        assert!(slots.chunks_exact(2).all(|pair| pair[0].src() == 2));
        let text = object.text(false);
        for remark in [
            "the address of `second` in the arena",
            "the address of `second + 4` in the arena",
            "the address of `.addr_space.1 + 16` in the arena",
            "the address of `.addr_space.1 + -4` in the arena",
            "left out: variables of arena `memory` in section .addr_space.1, 16 bytes",
        ] {
            assert!(text.contains(remark), "{text}");
        }
        collection.variable("one").unwrap().set(&5_u32).unwrap();
        assert_eq!(collection.data().more[0].bytes[..5], [5, 0, 0, 0, 7]);
    }

    #[test]
    fn variables_without_one_arena_are_refused() {
        for (arenas, sections, problem) in [
            (&[][..], 1, "no map is an arena"),
            (&["first", "other"], 1, "more than one map is an arena"),
            (&["memory"], 2, "there are two sections of that name"),
        ] {
            let object = object(arenas, sections, &[0]);
            let unsaid = object.unloadable().join("\n");
            assert!(unsaid.contains(problem), "{unsaid}");
            assert!(unsaid.contains("the address of a variable of an arena"), "{unsaid}");
        }
        // Without variables, there can be two.
        assert_eq!(object(&["first", "other"], 0, &[]).unloadable(), [""; 0]);
    }
}
