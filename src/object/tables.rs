//! Elements that an object puts into its maps: those of maps of maps and program arrays, and the structs of functions that are in
//! `.struct_ops`.

use super::declared::Declared;
use super::functions::Spot;
use super::maps::Defined;
use super::names::{Names, shown};
use super::program::ObjectProgram;
use super::raw::{Kind, Raw, RawRelocation, RawSection};
use crate::btf::{Body, Btf, essential_name};
use crate::spec::{ObjectMap, ObjectTypes, StructOpsTable};
use crate::uapi::{MapType, flags};
use std::collections::HashMap;

/// The size of a pointer.
const POINTER: u64 = 8;

/// The size of a slot of code.
const SLOT: u64 = 8;

/// The most elements of maps and members of structs of an object together: no real one comes near.
const MOST_PARTS: usize = 1 << 20;

/// The most bytes of all of them, their names and what is wrong with them.
const MOST_BYTES: usize = 1 << 26;

/// A map of an object.
#[derive(Debug, Clone)]
pub(super) struct MapOf {
    pub name: String,
    pub defined: Defined,
    pub object: ObjectMap,
    /// The path of its pin.
    pub pin: Option<String>,
    /// Whether it is created with the collection.
    pub autocreate: bool,
}

/// The folder in which libbpf pins maps by their names.
const PINS: &str = "/sys/fs/bpf";

/// There are more elements and members than a real object has.
struct TooMany;

/// The parts of an object that are put into its maps, as far as they are read.
struct Filling<'r> {
    raw: &'r Raw<'r>,
    types: Option<&'r ObjectTypes>,
    declared: &'r [Declared],
    programs: &'r mut [ObjectProgram],
    /// The indices of the programs, by where they begin.
    starts: HashMap<Spot, usize>,
    problems: &'r mut Vec<String>,
    maps: Vec<MapOf>,
    /// The number of elements and members that there may still be, and of their bytes. Many maps and structs can be in one place of
    /// the file.
    parts: usize,
    bytes: usize,
}

/// The maps of an object; what is wrong with their contents is added to the problems.
pub(super) fn maps(
    raw: &Raw<'_>,
    types: Option<&ObjectTypes>,
    declared: &[Declared],
    programs: &mut [ObjectProgram],
    names: &mut Names,
    problems: &mut Vec<String>,
) -> Vec<MapOf> {
    let starts = programs.iter().enumerate().map(|(index, program)| (program.at, index)).collect();
    let (parts, bytes) = (MOST_PARTS, MOST_BYTES);
    let maps = Vec::new();
    let mut filling =
        Filling { raw, types, declared, programs, starts, problems, maps, parts, bytes };
    if filling.declared().and_then(|()| filling.tables(names)).is_err() {
        let problem = "its maps and structs of functions have more than 1,048,576 elements and members, or 64 MiB of them";
        filling.problems.push(problem.into());
    }
    filling.maps
}

impl Filling<'_> {
    /// Counts an element or a member with so many bytes.
    fn spend(&mut self, bytes: usize) -> Result<(), TooMany> {
        self.parts = self.parts.checked_sub(1).ok_or(TooMany)?;
        self.bytes = self.bytes.checked_sub(bytes).ok_or(TooMany)?;
        Ok(())
    }

    fn problem(&mut self, problem: String) -> Result<(), TooMany> {
        self.spend(problem.len())?;
        self.problems.push(problem);
        Ok(())
    }

    /// The maps that are declared, with their elements.
    fn declared(&mut self) -> Result<(), TooMany> {
        let (raw, declared) = (self.raw, self.declared);
        for map in declared {
            let (Some(name), Some(defined)) = (&map.name, &map.defined) else { continue };
            let mut object = defined.object(self.types);
            let start = defined.values.map(|values| map.offset + u64::from(values));
            for relocation in own_relocations(raw, declared, map) {
                let index = start.and_then(|start| relocation.offset.checked_sub(start));
                let index = index.filter(|index| index.is_multiple_of(POINTER));
                let index = index.and_then(|index| u32::try_from(index / POINTER).ok());
                match (index, self.element(relocation)) {
                    (Some(index), Some(element)) => {
                        self.spend(element.len())?;
                        object.elements.push((index, element));
                    }
                    _ => self.problem(format!("of map {name}: {}", address(raw, relocation)))?,
                }
            }
            // libbpf makes one of the period, which the file system keeps for itself.
            let pin = defined.pinned.then(|| format!("{PINS}/{}", name.replace('.', "_")));
            let (name, defined) = (name.clone(), defined.clone());
            self.maps.push(MapOf { name, defined, object, pin, autocreate: true });
        }
        Ok(())
    }

    /// The name of the map or program whose address is there.
    fn element(&self, relocation: &RawRelocation) -> Option<String> {
        let at = target(self.raw, relocation)?;
        let place = |map: &Declared| (map.section, map.offset);
        let first = self.declared.partition_point(|map| place(map) < at);
        match self.declared.get(first).filter(|map| place(map) == at) {
            Some(map) => map.name.clone(),
            None => Some(self.programs.get(self.program(relocation)?)?.name.clone()),
        }
    }

    /// The index of the program whose address is there.
    fn program(&self, relocation: &RawRelocation) -> Option<usize> {
        let (section, offset) = target(self.raw, relocation)?;
        if self.raw.sections.get(section)?.kind != Kind::Code || !offset.is_multiple_of(SLOT) {
            return None;
        }
        self.starts.get(&(section, usize::try_from(offset / SLOT).ok()?)).copied()
    }

    /// The maps of the structs in `.struct_ops`; the programs in them get their targets.
    fn tables(&mut self, names: &mut Names) -> Result<(), TooMany> {
        let raw = self.raw;
        let is_table = |section: &RawSection<'_>| matches!(section.kind, Kind::StructOps { .. });
        if !raw.sections.iter().any(is_table) {
            return Ok(());
        }
        let Some(btf) = self.types.and_then(|types| Btf::new(types.blob.to_vec()).ok()) else {
            return self.problem("its .struct_ops is not described: it has no types".into());
        };
        let described: HashMap<_, _> = btf
            .types()
            .flatten()
            .filter_map(|found| match found.body {
                Body::Section { variables, .. } => Some((found.name, variables)),
                _ => None,
            })
            .collect();
        for section in &raw.sections {
            let Kind::StructOps { link, autocreate } = section.kind else { continue };
            let Some(variables) = described.get(section.name.as_str()) else {
                self.problem(format!("section {} is not described", shown(&section.name)))?;
                continue;
            };
            // They are in the order of their offsets.
            let mut end = 0;
            for variable in *variables {
                let Ok(found) = btf.get(variable.of) else { continue };
                let Body::Variable { of, .. } = found.body else { continue };
                let start = u64::from(variable.offset);
                let size = btf.size(of, found.name).unwrap_or(0);
                if start < end || size == 0 {
                    let problem = "lies over another one, or has no size";
                    self.problem(format!("of map {}: it {problem}", shown(found.name)))?;
                    continue;
                }
                end = start + u64::from(size);
                let name = names.give(found.name);
                self.spend(2 * name.len())?;
                let table = match self.table(section, &btf, of, start)? {
                    Ok(table) => Some(table),
                    Err(problem) => {
                        self.problem(format!("of map {name}: {problem}"))?;
                        continue;
                    }
                };
                let defined = Defined {
                    symbol: found.name.into(),
                    kind: MapType::StructOps as u32,
                    key_size: 4,
                    max_entries: 1,
                    flags: if link { flags::BPF_F_LINK } else { 0 },
                    ..Defined::default()
                };
                let object = ObjectMap { table, ..ObjectMap::default() };
                self.maps.push(MapOf { name, defined, object, pin: None, autocreate });
            }
        }
        Ok(())
    }

    /// The struct that begins there, or the problem with it.
    fn table(
        &mut self,
        section: &RawSection<'_>,
        btf: &Btf,
        of: u32,
        start: u64,
    ) -> Result<Result<StructOpsTable, String>, TooMany> {
        let wrong = |error: crate::btf::BtfError| error.to_string();
        let found = match btf.resolve(of) {
            Ok(found) => found,
            Err(error) => return Ok(Err(wrong(error))),
        };
        let Body::Composite { members, .. } = found.body else {
            return Ok(Err("its type is no struct".into()));
        };
        let name = essential_name(found.name).to_owned();
        let mut table = StructOpsTable { name, members: Vec::new(), programs: Vec::new() };
        for member in members {
            let read = member.and_then(|member| Ok((member, btf.size(member.of, member.name)?)));
            let (member, size) = match read {
                Ok(read) => read,
                Err(error) => return Ok(Err(wrong(error))),
            };
            let name = essential_name(member.name);
            // The bytes are counted although they may be zeros: all of them are looked at.
            self.spend(name.len() + size as usize)?;
            let from = start + u64::from(member.bit_offset / 8);
            let to = from + u64::from(size);
            let relocations = &section.relocations;
            let first = relocations.partition_point(|one| one.offset < from);
            if let Some(relocation) = relocations.get(first).filter(|one| one.offset < to) {
                let index = self.program(relocation).filter(|_| relocation.offset == from);
                let Some(program) = index.and_then(|index| self.programs.get_mut(index)) else {
                    return Ok(Err(format!("{name}: {}", address(self.raw, relocation))));
                };
                if let Err(problem) = program.take_place(&table.name, name) {
                    return Ok(Err(problem));
                }
                let program = program.name.clone();
                self.spend(program.len())?;
                table.programs.push((name.into(), program));
                continue;
            }
            // Sections have less than 512 MiB.
            let Some(bytes) = section.bytes.get(from as usize..to as usize) else {
                return Ok(Err(format!("{name} lies beyond the end of the section")));
            };
            if bytes.iter().all(|byte| *byte == 0) {
                continue;
            }
            if member.bits.is_some() {
                return Ok(Err(format!("{name}: it is a bit-field")));
            }
            if name.is_empty() {
                return Ok(Err("a member without a name is not 0".into()));
            }
            table.members.push((name.into(), bytes.to_vec()));
        }
        Ok(Ok(table))
    }
}

/// The relocations in a map, up to the next one of its section.
fn own_relocations<'r>(
    raw: &'r Raw<'_>,
    declared: &[Declared],
    map: &Declared,
) -> &'r [RawRelocation] {
    let all = raw.sections.get(map.section).map_or(&[][..], |section| &section.relocations);
    let place = |map: &Declared| (map.section, map.offset);
    let next = declared.partition_point(|other| place(other) <= place(map));
    let next = declared.get(next).filter(|next| next.section == map.section);
    let end = next.map_or(u64::MAX, |next| next.offset);
    let at = |offset: u64| all.partition_point(|one| one.offset < offset);
    all.get(at(map.offset)..at(end)).unwrap_or_default()
}

fn address(raw: &Raw<'_>, relocation: &RawRelocation) -> String {
    let symbol = raw.symbols.get(relocation.symbol).map_or("", |symbol| &symbol.name);
    format!("the address of `{}` in it, at {} of the section", shown(symbol), relocation.offset)
}

/// The section and the offset whose address is there. Of what only the object itself can see, the symbol is the section, and the
/// addend is the offset.
fn target(raw: &Raw<'_>, relocation: &RawRelocation) -> Option<(usize, u64)> {
    let symbol = raw.symbols.get(relocation.symbol)?;
    let offset = symbol.value.checked_add_signed(relocation.addend.unwrap_or(0))?;
    Some((symbol.section?, offset))
}

impl ObjectProgram {
    /// Makes it a program for a function of a struct.
    fn take_place(&mut self, of: &str, member: &str) -> Result<(), String> {
        let word = match self.section.split(['/', '?']).find(|word| !word.is_empty()) {
            Some(word @ ("struct_ops" | "struct_ops.s")) => word,
            _ => return Err(format!("{member}: program `{}` is no struct_ops", self.name)),
        };
        let target = format!("{word}/{of}.{member}");
        if self.in_table && self.target.as_ref() != Some(&target) {
            return Err(format!(
                "{member}: program `{}` is {} already",
                self.name,
                self.target.as_deref().unwrap_or_default()
            ));
        }
        (self.target, self.in_table) = (Some(target), true);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::{Builder, Member, Variable};
    use crate::insn::ByteOrder;
    use crate::object::Object;
    use crate::object::format::{File, Relocation, Section, Symbol};
    use object::elf;

    const EXIT: [u8; 8] = [0x95, 0, 0, 0, 0, 0, 0, 0];

    fn symbol(name: &str, kind: elf::SymbolType, section: usize, value: u64) -> Symbol<'_> {
        let (name, size) = (name.into(), if kind == elf::STT_FUNC { 8 } else { 0 });
        Symbol { name, kind, global: false, section, value, size }
    }

    fn addresses(section: &mut Section<'_>, places: &[(usize, usize, u64)], order: ByteOrder) {
        for (offset, symbol, addend) in places.iter().copied() {
            let bytes = match order {
                ByteOrder::Little => addend.to_le_bytes(),
                ByteOrder::Big => addend.to_be_bytes(),
            };
            section.contents[offset..offset + 8].copy_from_slice(&bytes);
            // R_BPF_64_ABS64
            let (offset, kind) = (offset as u64, elf::RelocationType(2));
            section.relocations.push(Relocation { offset, symbol, kind });
        }
    }

    fn data(name: &'static str, size: usize) -> Section<'static> {
        Section::new(name, elf::SHF_ALLOC | elf::SHF_WRITE, vec![0; size])
    }

    fn member(name: &'static str, of: u32, offset: u32) -> Member<'static> {
        Member { name, of, bit_offset: offset * 8, bits: None }
    }

    #[test]
    fn addends_of_addresses_are_in_their_places() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let mut maps = data(".maps", 24);
            addresses(&mut maps, &[(0, 0, 0x20), (16, 0, 0x0102_0304_0506_0708)], order);
            let symbols = vec![symbol("", elf::STT_SECTION, 0, 0)];
            let file = File { sections: vec![maps], symbols }.to_bytes(order).unwrap();
            let raw = Raw::new(&file).unwrap();
            let maps = raw.sections.iter().find(|section| section.kind == Kind::Maps).unwrap();
            let addends: Vec<_> = maps.relocations.iter().map(|one| one.addend).collect();
            assert_eq!(addends, [Some(0x20), Some(0x0102_0304_0506_0708)]);
        }
    }

    /// The address of what is static is that of its section, and an offset.
    #[test]
    fn static_maps_are_told_apart() {
        let mut builder = Builder::new();
        let int = builder.int("int", 4, true);
        let mut number = |number| {
            let array = builder.array(int, int, number);
            builder.pointer(array)
        };
        let [two, four, eight, twelve] = [2, 4, 8, 12].map(&mut number);
        let members =
            [("type", two), ("key_size", four), ("value_size", eight), ("max_entries", two)];
        let members: Vec<_> =
            members.into_iter().zip(0..).map(|((name, of), at)| member(name, of, at * 8)).collect();
        let inner = builder.composite("inner", false, 32, &members);
        let pointer = builder.pointer(inner);
        let values = builder.array(pointer, int, 2);
        let members = [
            member("type", twelve, 0),
            member("key_size", four, 8),
            member("max_entries", four, 16),
            member("values", values, 24),
        ];
        let outer = builder.composite("outer", false, 40, &members);
        let variables =
            [("first", inner, 0, 32), ("second", inner, 32, 32), ("by_index", outer, 64, 40)];
        let variables = variables.map(|(name, of, offset, size)| Variable {
            of: builder.variable(name, of),
            offset,
            size,
        });
        builder.section(".maps", 104, &variables);
        let types = Section::new(".BTF", elf::SectionFlags(0), builder.finish().unwrap());
        let mut maps = data(".maps", 104);
        addresses(&mut maps, &[(88, 0, 32), (96, 0, 0)], ByteOrder::NATIVE);
        let symbols = vec![
            symbol("", elf::STT_SECTION, 0, 0),
            symbol("first", elf::STT_OBJECT, 0, 0),
            symbol("second", elf::STT_OBJECT, 0, 32),
            symbol("by_index", elf::STT_OBJECT, 0, 64),
        ];
        let file = File { sections: vec![maps, types], symbols };
        let object = Object::read(&file.to_bytes(ByteOrder::NATIVE).unwrap()).unwrap();
        let outer = object.maps.iter().find(|map| map.name == "by_index").unwrap();
        assert_eq!(outer.object.elements, [(0, "second".into()), (1, "first".into())]);
        assert_eq!(object.unloadable(), [""; 0]);
    }

    /// An object with structs of type `ops` at these offsets in a section, and its addresses of functions.
    fn structs(
        section: &'static str,
        members: &[Member<'_>],
        size: u32,
        offsets: &[u32],
        places: &[(usize, usize, u64)],
    ) -> Object {
        let mut builder = Builder::new();
        builder.int("int", 4, true);
        builder.pointer(0);
        let ops = builder.composite("ops", false, size, members);
        let of = builder.variable("own", ops);
        let variables: Vec<_> =
            offsets.iter().map(|offset| Variable { of, offset: *offset, size }).collect();
        let end = offsets.iter().max().unwrap() + size;
        builder.section(section, end, &variables);
        let types = Section::new(".BTF", elf::SectionFlags(0), builder.finish().unwrap());
        let code = [EXIT, EXIT].concat();
        let code = Section::new("?struct_ops", elf::SHF_ALLOC | elf::SHF_EXECINSTR, code);
        let mut table = data(section, end as usize);
        addresses(&mut table, places, ByteOrder::NATIVE);
        let symbols = vec![
            symbol("", elf::STT_SECTION, 0, 0),
            symbol("f", elf::STT_FUNC, 0, 0),
            symbol("g", elf::STT_FUNC, 0, 8),
        ];
        let file = File { sections: vec![code, table, types], symbols };
        Object::read(&file.to_bytes(ByteOrder::NATIVE).unwrap()).unwrap()
    }

    /// The numbers of the types of [`structs`].
    const INT: u32 = 1;
    const POINTER: u32 = 2;

    #[test]
    fn structs_have_static_functions_and_may_be_left_out() {
        let members = [member("one", POINTER, 0), member("two", POINTER, 8), member("n", INT, 16)];
        let places = [(0, 0, 8), (8, 0, 0)];
        for (section, autocreate, flags) in [
            (".struct_ops", true, 0),
            ("?.struct_ops", false, 0),
            (".struct_ops.link", true, flags::BPF_F_LINK),
            ("?.struct_ops.link", false, flags::BPF_F_LINK),
        ] {
            let object = structs(section, &members, 24, &[0], &places);
            let [map] = &object.maps[..] else { panic!("{:?}", object.maps) };
            let table = map.object.table.as_ref().unwrap();
            assert_eq!(table.programs, [("one".into(), "g".into()), ("two".into(), "f".into())]);
            assert_eq!(table.members, []);
            assert_eq!((map.autocreate, map.defined.flags), (autocreate, flags), "{section}");
            let collection = object.collection("s.o").unwrap();
            assert_eq!(collection.maps()[0].autocreate, autocreate);
            assert!(!collection.programs()[0].autoload());
        }
        // Not the address of a function, and one that is in no member's place.
        for places in [[(0, 0, 4)], [(4, 0, 8)]] {
            let object = structs(".struct_ops", &members, 24, &[0], &places);
            let unsaid = object.unloadable().join("\n");
            assert!(unsaid.contains("of map own: one: the address of"), "{unsaid}");
        }
    }

    #[test]
    fn structs_are_bounded_and_lie_beside_each_other() {
        let object = structs(".struct_ops", &[member("n", INT, 0)], 8, &[0; 1000], &[]);
        assert_eq!(object.maps.len(), 1);
        let unsaid = object.unloadable();
        assert_eq!(unsaid.len(), 999);
        assert!(unsaid[0].contains("it lies over another one"), "{unsaid:?}");
        // Each with many members in one place.
        let members = vec![member("n", INT, 0); 60_000];
        let offsets: Vec<_> = (0..100).map(|index| index * 8).collect();
        let object = structs(".struct_ops", &members, 8, &offsets, &[]);
        assert_eq!(object.maps.len(), MOST_PARTS / 60_001);
        let unsaid = object.unloadable().join("\n");
        assert!(unsaid.contains("more than 1,048,576 elements and members"), "{unsaid}");
        // So many structs are not too many.
        let object = structs(".struct_ops", &members[..1], 8, &offsets, &[]);
        assert_eq!((object.maps.len(), object.unloadable()), (100, Vec::new()));
    }
}
