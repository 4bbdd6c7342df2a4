//! Loading of whole collections.

use super::btf_target::section;
use super::{Loader, Program, TextSpec};
use crate::error::{Error, Result};
use crate::map::{Map, Update};
use crate::spec::{
    Collection, CollectionProgram, MapSpec, ProgramSpec, Section, StructOpsTable, VariablePlace,
};
use crate::syscall::prog_bind_map;
use crate::uapi::{Errno, MapType};
use crate::util::pod::Plain;
use std::collections::HashSet;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

impl<'a> Loader<'a> {
    /// Creates the maps of a collection and loads its programs, in their order: either all of them, or none.
    /// The target of each program determines its type.
    ///
    /// ```no_run
    /// use rawbpf::Loader;
    /// use rawbpf::object::Object;
    ///
    /// let object = Object::read(&std::fs::read("filter.o")?)?;
    /// let collection = object.collection("filter.o")?;
    /// let mut loader = Loader::new();
    /// let programs = loader.load_collection(&collection)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Maps whose [`autocreate`](MapSpec::autocreate) is off are only created if a program names them. A program in the place of a
    /// function is loaded if a struct that is created has it, unless it was [turned off](CollectionProgram::set_autoload); but not if
    /// the struct of the kernel has no such member.
    ///
    /// Maps of maps and program arrays have the initial elements that an object file gives them; the place of a program that is not
    /// loaded stays empty.
    ///
    /// # Errors
    /// The errors of [`load`](Loader::load) and [`map`](Loader::map); [`Error::NoProgramType`] or [`Error::Spec`] if the type of a
    /// program is not determined; [`Error::Btf`] with the nearest names if the kernel lacks a member of a struct of functions that has
    /// a value.
    pub fn load_collection(&mut self, collection: &'a Collection<'a>) -> Result<Vec<Program>> {
        let (held, absent) = (collection.held(), self.absent(collection)?);
        let loaded = collection.programs().iter().filter(|program| program.is_loaded(&held));
        let loaded = loaded.filter(|program| !absent.contains(program.name()));
        let mut specs = Vec::with_capacity(collection.programs().len());
        for program in loaded {
            let spec = TextSpec::new(collection, program, collection.file())?;
            let Some(kind) = spec.kind() else { return Err(no_type(collection, program)) };
            specs.push((spec.program(kind), program.target_program()));
        }
        self.load_programs(collection, &specs)
    }

    /// Returns the programs in the places of functions that the kernel's structs do not have, by their names: they have no place, and
    /// cannot be loaded. A member that has a value is an error.
    pub(crate) fn absent<'c>(&self, collection: &'c Collection<'_>) -> Result<HashSet<&'c str>> {
        let mut absent = HashSet::new();
        for map in collection.maps().iter().filter(|map| map.autocreate) {
            let table = map.object.and_then(|object| object.table.as_ref());
            let Some(StructOpsTable { name, members, programs }) = table else { continue };
            for (member, _) in members {
                self.types().field(&format!("struct {name}.{member}"))?;
            }
            for (member, program) in programs {
                if !self.types().exists(&format!("struct {name}.{member}"))? {
                    absent.insert(program.as_str());
                }
            }
        }
        Ok(absent)
    }

    /// Creates the maps of a collection, and loads these programs of it. If that fails, the maps that it has created are gone with
    /// their pins.
    pub(crate) fn load_programs(
        &mut self,
        collection: &'a Collection<'a>,
        specs: &[(ProgramSpec<'a, 'a>, Option<BorrowedFd<'a>>)],
    ) -> Result<Vec<Program>> {
        let before = self.maps.len();
        let loaded = self.load_all(collection, specs);
        if loaded.is_err() {
            for (spec, map) in self.maps.drain(before..) {
                #[cfg(feature = "elf")]
                {
                    self.arenas.retain(|arena| !std::ptr::eq(arena.spec, spec));
                    self.arena_data.retain(|data| !std::ptr::eq(data.spec, spec));
                }
                self.filled.retain(|filled| !std::ptr::eq(*filled, spec));
                if let Some(path) = spec.pin.filter(|_| !map.is_reused()) {
                    // The error that matters is the one before.
                    let _ = map.unpin(path);
                }
            }
        }
        loaded
    }

    fn load_all(
        &mut self,
        collection: &'a Collection<'a>,
        specs: &[(ProgramSpec<'a, 'a>, Option<BorrowedFd<'a>>)],
    ) -> Result<Vec<Program>> {
        for map in collection.maps().iter().filter(|map| map.autocreate) {
            self.filled(map, collection.maps())?;
        }
        #[cfg(feature = "elf")]
        self.fill_arenas(collection.data().more, collection.maps())?;
        let mut programs = Vec::with_capacity(specs.len());
        for (spec, of) in specs {
            programs.push(match of {
                None => self.load(spec)?,
                Some(of) => {
                    let copied = of.try_clone_to_owned().map_err(|source| Error::LoadProgram {
                        program: spec.name.into(),
                        kind: spec.kind,
                        section: section(spec),
                        errno: Errno::of(&source),
                        why: None,
                        lacks: None,
                    })?;
                    self.load_for(spec, &Program::from_fd(copied)?)?
                }
            });
        }
        if specs.iter().any(|(spec, _)| spec.code.of_object().is_some()) {
            self.bind_constants(collection, &programs)?;
        }
        let arrays = collection.maps().iter().filter(|spec| {
            let made = || self.maps.iter().any(|(known, _)| std::ptr::eq(*known, *spec));
            spec.kind == MapType::ProgArray && (spec.autocreate || made())
        });
        for spec in arrays.collect::<Vec<_>>() {
            for (index, name) in spec.of_object().iter().flat_map(|object| &object.elements) {
                let program = programs.iter().find(|program| program.name() == name);
                if let Some(program) = program {
                    put(self.map(spec)?, *index, program.as_fd())?;
                }
            }
        }
        Ok(programs)
    }

    /// Makes the constants of an object part of its programs, named by their instructions or not, as libbpf does:
    /// `bpftool prog` shows `bpf_metadata_*` variables from there. Linux 5.10; older kernels load the program without it.
    fn bind_constants(
        &mut self,
        collection: &'a Collection<'a>,
        programs: &[Program],
    ) -> Result<()> {
        let data = collection.data();
        let bind = |map: &Map| {
            for program in programs {
                let _ = prog_bind_map(program.as_fd(), map.as_fd());
            }
        };
        if !data.rodata.is_empty() {
            bind(self.section_of(&data, Section::Rodata)?);
        }
        for more in data.more.iter().filter(|more| more.section == Section::Rodata) {
            bind(self.named_section(more)?);
        }
        Ok(())
    }

    /// Returns the map of a spec, with its initial elements if it is a map of maps, which are among these specs. The maps in it are no
    /// maps of maps: the kernel has none of those.
    pub(super) fn filled(&mut self, spec: &'a MapSpec<'a>, all: &'a [MapSpec<'a>]) -> Result<&Map> {
        let done = self.filled.iter().any(|done| std::ptr::eq(*done, spec));
        let elements = match spec.of_object() {
            Some(object) if !done && spec.kind != MapType::ProgArray => &*object.elements,
            _ => &[],
        };
        if !elements.is_empty() {
            let outer = self.map(spec)?.clone();
            // One that was pinned has what its owners put into it.
            let elements = if outer.is_reused() { &[] } else { elements };
            for (index, name) in elements {
                let Some(inner) = all.iter().find(|inner| inner.name == name) else {
                    let problem = "one of its initial elements is no map of the same collection";
                    return Err(Error::Spec { what: "map", name: spec.name.into(), problem });
                };
                put(&outer, *index, self.map(inner)?.as_fd())?;
            }
            self.filled.push(spec);
        }
        self.map(spec)
    }

    /// Returns the value of a variable of a loaded collection: what its programs have made of it so far.
    ///
    /// ```no_run
    /// # use rawbpf::{Loader, object::Object};
    /// # let object = Object::read(&std::fs::read("filter.o")?)?;
    /// # let collection = object.collection("filter.o")?;
    /// # let mut loader = Loader::new();
    /// let programs = loader.load_collection(&collection)?;
    /// let dropped: u64 = loader.variable(&collection, "dropped")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoVariable`] with the nearest names if there is none of that name, [`Error::ValueSize`] if it has another size,
    /// and the errors of [`Map::create`] and [`Map::lookup`].
    pub fn variable<T: Plain>(&mut self, collection: &'a Collection<'a>, name: &str) -> Result<T> {
        let missing = || collection.no_variable(name);
        let (place, offset, size) = collection.place(name).ok_or_else(missing)?;
        let data = collection.data();
        let of_bytes = |bytes: &[u8]| {
            T::from_bytes(bytes).ok_or_else(|| Error::ValueSize {
                what: "variable",
                name: name.into(),
                declaration: None,
                size,
                given: T::SIZE,
            })
        };
        let map = match place {
            VariablePlace::Standard(section) => self.section_of(&data, section)?,
            VariablePlace::More(index) => {
                let section = data.more.get(index).ok_or_else(missing)?;
                #[cfg(feature = "elf")]
                if section.arena.is_some() {
                    let bytes = self.arena_bytes(section, collection.maps(), offset, size)?;
                    return of_bytes(&bytes.ok_or_else(missing)?);
                }
                self.named_section(section)?
            }
        };
        let value = map.lookup(&0_u32.to_ne_bytes())?.unwrap_or_default();
        let bytes = value.get(offset as usize..).and_then(|rest| rest.get(..size as usize));
        of_bytes(bytes.ok_or_else(missing)?)
    }
}

/// Puts a map or a program into a map, by its descriptor.
fn put(map: &Map, index: u32, element: BorrowedFd<'_>) -> Result<()> {
    map.update(&index.to_ne_bytes(), &element.as_raw_fd().to_ne_bytes(), Update::Any)
}

/// Returns the error for a program whose target does not say of which type it is.
pub(super) fn no_type(collection: &Collection<'_>, program: &CollectionProgram<'_>) -> Error {
    let Some(section) = program.section() else {
        let problem = "its target does not say of which type it is";
        return Error::Spec { what: "program", name: program.name().into(), problem };
    };
    let mut sections: Vec<String> = Vec::new();
    for other in collection.programs().iter().filter_map(CollectionProgram::section) {
        if !sections.iter().any(|known| known == other) {
            sections.push(other.into());
        }
    }
    Error::NoProgramType { program: program.name().into(), section: section.into(), sections }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::{ParseOptions, parse};
    use crate::btf::{Builder, KernelTypes, Member};
    use crate::spec::ObjectMap;
    use crate::syscall::{Call, fake};
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::sync::OnceLock;

    /// The objects that a kernel is asked to create for a text: maps by name, and programs by name, license
    /// and descriptors.
    fn made(text: &str) -> (Vec<String>, Result<usize>) {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let log = Rc::clone(&seen);
        let kernel = move |call: &mut Call<'_, '_>| {
            let name = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
            match call {
                Call::MapCreate(map) => log.borrow_mut().push(format!("map {}", name(map.name))),
                Call::ProgLoad(load) => {
                    let license = load.license.to_string_lossy().into_owned();
                    let filled = load.insns.iter().filter(|insn| insn.is_wide() && insn.imm() > 0);
                    let filled = filled.count();
                    log.borrow_mut().push(format!("{} {license} {filled}", name(load.name)));
                }
                Call::BtfLoad(_) => {}
                _ => return None,
            }
            Some(fake::descriptor())
        };
        let collection = parse(text, "c.s", &ParseOptions::new()).unwrap();
        let result = fake::with(kernel, || {
            Loader::new().load_collection(&collection).map(|programs| programs.len())
        });
        let seen = seen.borrow().clone();
        (seen, result)
    }

    const MAPS: &str = ".map a, array, value=8, max=1\n.map unused, array, value=8, max=1\n";

    #[test]
    fn all_maps_are_made_and_then_the_programs() {
        let text = format!(
            ".license \"MIT\"\n{MAPS}.program one, xdp\nr1 = a ll\nexit\n.program two, tc\nr1 = a[0] ll\nr2 = a ll\nexit\n"
        );
        let (seen, result) = made(&text);
        assert_eq!(result.unwrap(), 2);
        assert_eq!(seen, ["map a", "map unused", "one MIT 1", "two MIT 2"]);
    }

    #[test]
    fn members_that_the_kernel_lacks_are_absent_unless_they_have_a_value() {
        let folder = tempfile::tempdir().unwrap();
        let mut builder = Builder::new();
        let int = builder.int("int", 4, true);
        let pointer = builder.pointer(0);
        let member = |name, of, bit_offset| Member { name, of, bit_offset, bits: None };
        let members = [member("old", pointer, 0), member("flags", int, 64)];
        builder.composite("ops", false, 16, &members);
        std::fs::write(folder.path().join("vmlinux"), builder.finish().unwrap()).unwrap();
        let table = |member: &str| ObjectMap {
            table: Some(StructOpsTable {
                name: "ops".into(),
                members: vec![(member.into(), vec![1, 0, 0, 0])],
                programs: [("old", "one"), ("new", "two")]
                    .map(|(place, program)| (place.to_owned(), program.to_owned()))
                    .to_vec(),
            }),
            ..ObjectMap::default()
        };
        let loader = || {
            let types =
                Box::new(KernelTypes::in_folder(folder.path())) as Box<dyn super::super::Types>;
            Loader { types: OnceLock::from(types), ..Loader::new() }
        };
        let [known, unknown] = ["flags", "flagz"].map(table);
        for (object, autocreate, expected) in
            [(&known, true, Some(1)), (&unknown, true, None), (&unknown, false, Some(0))]
        {
            let mut map = MapSpec::struct_ops("own", "ops");
            (map.object, map.autocreate) = (Some(object), autocreate);
            let collection = Collection { maps: vec![map], ..Collection::default() };
            match (loader().absent(&collection), expected) {
                (Ok(absent), Some(count)) => {
                    assert_eq!(absent.len(), count);
                    assert!(absent.iter().all(|name| *name == "two"));
                }
                (Err(error), None) => {
                    let text = error.to_string();
                    assert!(text.contains("flagz") && text.contains("flags"), "{text}");
                }
                (other, _) => panic!("{other:?}"),
            }
        }
    }

    /// The first element that a kernel refuses is put in when the map is asked for again.
    #[test]
    fn a_map_of_maps_is_filled_once_it_has_all_elements() {
        let puts = Rc::new(RefCell::new(Vec::new()));
        let log = Rc::clone(&puts);
        let kernel = move |call: &mut Call<'_, '_>| match call {
            Call::MapUpdate { key, .. } => {
                log.borrow_mut().push(u32::from_ne_bytes(key[..4].try_into().unwrap()));
                // The second call.
                Some(if log.borrow().len() == 2 { Err(Errno(libc::ENOMEM)) } else { Ok(0) })
            }
            Call::MapCreate(_) => Some(fake::descriptor()),
            _ => None,
        };
        let elements = vec![(0, "inner".to_owned()), (3, "inner".to_owned())];
        let object = ObjectMap { elements, ..ObjectMap::default() };
        let inner = MapSpec::array("inner", 8, 2);
        let outer = MapSpec { object: Some(&object), ..MapSpec::array_of_maps("outer", 4, &inner) };
        let all = [outer, inner];
        fake::with(kernel, || {
            let mut loader = Loader::new();
            let error = loader.filled(&all[0], &all).map(drop).unwrap_err();
            assert!(error.to_string().contains("ENOMEM"), "{error}");
            loader.filled(&all[0], &all).unwrap();
            loader.filled(&all[0], &all).unwrap();
        });
        assert_eq!(*puts.borrow(), [0, 3, 0, 3]);
    }

    #[test]
    fn nothing_is_made_if_a_program_has_no_type() {
        let (seen, result) = made(&format!("{MAPS}.program one, xdp\nexit\n.program two\nexit\n"));
        let error = result.unwrap_err().to_string();
        assert!(error.contains("two") && error.contains("of which type"), "{error}");
        assert_eq!(seen, [""; 0]);
    }
}
