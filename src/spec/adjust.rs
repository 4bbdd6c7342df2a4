//! Changes of a collection before it is loaded: values of variables, programs that are left out, maps of other sizes.

use super::{Collection, CollectionProgram, Declarations, MapSpec, Section};
use crate::error::{Error, Result};
use crate::util::nearest::{Nearest, OFFERED};
use crate::util::pod::{Plain, with_bytes};

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;

/// The initial value of a variable of a [`Collection`], before it is loaded: [`Collection::variable`].
#[derive(Debug)]
pub struct InitialValue<'c> {
    name: String,
    declarations: Option<Declarations<'c>>,
    declaration: OnceLock<Option<String>>,
    bytes: &'c mut [u8],
}

/// The place of a variable.
#[derive(Debug, Clone, Copy)]
pub(crate) enum VariablePlace {
    /// In one of the sections that every collection has.
    Standard(Section),
    /// In a section that has a name of its own, by its index.
    More(usize),
}

impl<'a> Collection<'a> {
    /// Returns the initial value of a variable, to be changed before anything of this collection is loaded. The verifier knows the
    /// contents of `.rodata`, so that code which a constant there makes unreachable costs nothing.
    ///
    /// ```
    /// use rawbpf::asm::{ParseOptions, parse};
    ///
    /// let text = ".rodata\nlimit: .word 10\n.text\nr1 = limit ll\nr0 = *(u32 *)(r1 + 0)\nexit\n";
    /// let mut collection = parse(text, "limit.s", &ParseOptions::new())?;
    /// collection.variable("limit")?.set(&20u32)?;
    /// assert_eq!(collection.variable("limit")?.get::<u32>()?, 20);
    /// assert!(collection.variable("limit")?.set(&20u64).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoVariable`] with the nearest names if there is none of that name.
    pub fn variable(&mut self, name: &str) -> Result<InitialValue<'_>> {
        let missing = self.no_variable(name);
        let Some((place, offset, size)) = self.place(name) else { return Err(missing) };
        let bytes = match place {
            VariablePlace::Standard(section) => {
                self.data.sections.get_mut(section as usize).map(Vec::as_mut_slice)
            }
            VariablePlace::More(index) => {
                self.data.more.get_mut(index).map(|section| section.bytes.as_mut_slice())
            }
        };
        let bytes = bytes.and_then(|bytes| bytes.get_mut(offset as usize..));
        let Some(bytes) = bytes.and_then(|rest| rest.get_mut(..size as usize)) else {
            return Err(missing);
        };
        let (declarations, declaration) = (self.data.declarations, OnceLock::new());
        Ok(InitialValue { name: name.into(), declarations, declaration, bytes })
    }

    /// Returns the section of a variable, its offset there and its size.
    pub(crate) fn place(&self, name: &str) -> Option<(VariablePlace, u32, u32)> {
        let standard = self.data.variables.iter().find(|variable| variable.name == name);
        if let Some(found) = standard {
            return Some((VariablePlace::Standard(found.section), found.offset, found.size));
        }
        self.data.more.iter().enumerate().find_map(|(index, section)| {
            let (_, offset, size) = section.variables.iter().find(|found| found.0 == name)?;
            Some((VariablePlace::More(index), *offset, *size))
        })
    }

    /// Returns the programs that structs of functions have, by their names, and whether one of these is created.
    pub(crate) fn held(&self) -> HashMap<&str, bool> {
        let mut held = HashMap::new();
        for map in &self.maps {
            let table = map.object.and_then(|object| object.table.as_ref());
            for (_, program) in table.into_iter().flat_map(|table| &table.programs) {
                *held.entry(program.as_str()).or_insert(false) |= map.autocreate;
            }
        }
        held
    }

    pub(crate) fn no_variable(&self, name: &str) -> Error {
        let mut nearest = Nearest::new(name, OFFERED);
        self.data.variables.iter().for_each(|variable| nearest.offer(variable.name));
        let more = self.data.more.iter().flat_map(|section| &section.variables);
        more.for_each(|(name, ..)| nearest.offer(name));
        Error::NoVariable { name: name.into(), nearest: nearest.into_names() }
    }

    /// Returns the spec of a map.
    ///
    /// # Errors
    /// [`Error::NotInFile`] with the nearest names if there is none of that name.
    pub fn map(&self, name: &str) -> Result<&MapSpec<'a>> {
        let found = self.maps.iter().find(|map| map.name == name);
        found.ok_or_else(|| self.missing("map", name, self.maps.iter().map(|map| map.name)))
    }

    /// Returns the spec of a map, to be changed before anything of this collection is loaded: its size, its flags, the path of its
    /// pin. Its name has to stay, because the programs name it.
    ///
    /// # Errors
    /// As [`map`](Collection::map).
    pub fn map_mut(&mut self, name: &str) -> Result<&mut MapSpec<'a>> {
        match self.maps.iter().position(|map| map.name == name) {
            Some(index) => Ok(&mut self.maps[index]),
            None => Err(self.missing("map", name, self.maps.iter().map(|map| map.name))),
        }
    }

    /// Returns a program.
    ///
    /// # Errors
    /// [`Error::NotInFile`] with the nearest names if there is none of that name.
    pub fn program(&self, name: &str) -> Result<&CollectionProgram<'a>> {
        let found = self.programs.iter().find(|program| program.name == name);
        found.ok_or_else(|| self.missing("program", name, self.programs.iter().map(|one| one.name)))
    }

    /// Returns a program, to be changed before anything of this collection is loaded.
    ///
    /// # Errors
    /// As [`program`](Collection::program).
    pub fn program_mut(&mut self, name: &str) -> Result<&mut CollectionProgram<'a>> {
        match self.programs.iter().position(|program| program.name == name) {
            Some(index) => Ok(&mut self.programs[index]),
            None => Err(self.missing("program", name, self.programs.iter().map(|one| one.name))),
        }
    }

    fn missing<'n>(
        &self,
        what: &'static str,
        name: &str,
        known: impl Iterator<Item = &'n str>,
    ) -> Error {
        let mut nearest = Nearest::new(name, OFFERED);
        known.for_each(|name| nearest.offer(name));
        let (path, nearest) = (self.file().into(), nearest.into_names());
        Error::NotInFile { what, name: name.into(), path, nearest, note: None }
    }
}

impl InitialValue<'_> {
    /// Returns the declaration of the variable in C, if it is from an object file with BTF.
    pub fn declaration(&self) -> Option<&str> {
        let find = || {
            let Declarations { types, find } = self.declarations?;
            find(&types.blob, &self.name)
        };
        self.declaration.get_or_init(find).as_deref()
    }

    /// Returns the bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// Sets the value, which has to be as large as the variable: a `u32` for an `int` of C, an array for an array.
    ///
    /// # Errors
    /// [`Error::ValueSize`] if it has another size.
    pub fn set<T: Plain>(&mut self, value: &T) -> Result<()> {
        with_bytes(value, |value| self.set_bytes(value))
    }

    /// Sets the bytes of the value.
    ///
    /// # Errors
    /// [`Error::ValueSize`] if there are more or fewer than the variable has.
    pub fn set_bytes(&mut self, value: &[u8]) -> Result<()> {
        if value.len() != self.bytes.len() {
            return Err(self.wrong_size(value.len()));
        }
        self.bytes.copy_from_slice(value);
        Ok(())
    }

    /// Returns the value.
    ///
    /// # Errors
    /// [`Error::ValueSize`] if the variable has another size.
    pub fn get<T: Plain>(&self) -> Result<T> {
        T::from_bytes(self.bytes).ok_or_else(|| self.wrong_size(T::SIZE))
    }

    fn wrong_size(&self, given: usize) -> Error {
        Error::ValueSize {
            what: "variable",
            name: self.name.clone(),
            declaration: self.declaration().map(str::to_owned),
            // Sections have less than 4 GiB.
            size: self.bytes.len() as u32,
            given,
        }
    }
}

impl<'a> CollectionProgram<'a> {
    /// Returns the section of an object file that it is from.
    pub fn section(&self) -> Option<&'a str> {
        self.object.map(|object| object.section)
    }

    /// Returns whether it is loaded with the collection. Of an object, programs in sections whose names begin with a question mark are
    /// not, unless they are turned on.
    ///
    /// A program that structs of functions have in the places of members is loaded if one of them is
    /// [created](MapSpec::autocreate), whatever its section says, until it is turned on or off here.
    pub fn autoload(&self) -> bool {
        self.autoload
    }

    /// Turns loading it with the collection on or off.
    pub fn set_autoload(&mut self, autoload: bool) {
        (self.autoload, self.autoload_set) = (autoload, true);
    }

    /// Returns whether it is loaded, by whether the structs of functions that have it are to hold it.
    pub(crate) fn is_loaded(&self, held: &HashMap<&str, bool>) -> bool {
        let held = held.get(self.name).copied().filter(|_| !self.autoload_set);
        held.unwrap_or(self.autoload)
    }

    /// Sets its attach target, as in `.program`: `fentry/do_unlinkat`, `xdp`. It determines the type of the program.
    pub fn set_target(&mut self, target: &'a str) {
        self.target = Some(target);
    }

    /// Sets the program whose function it replaces (`freplace`), or before or after whose function it runs (`fentry`, `fexit`). The
    /// rest of its target is the name of that function.
    pub fn set_target_program(&mut self, program: &'a impl AsFd) {
        self.target_program = Some(program.as_fd());
    }

    /// Returns the program whose function it is for.
    pub(crate) fn target_program(&self) -> Option<BorrowedFd<'a>> {
        self.target_program
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Assembly, NamedLabels, ObjectMap, StructOpsTable};

    fn table(program: &str) -> ObjectMap {
        let programs = vec![("ssthresh".into(), program.into())];
        let table = StructOpsTable { name: "ops".into(), members: Vec::new(), programs };
        let (types, inner) = (None, None);
        let (key_type, value_type, elements, table) = (0, 0, Vec::new(), Some(table));
        ObjectMap { types, key_type, value_type, inner, elements, table }
    }

    /// As `bpf_object_adjust_struct_ops_autoload()` of libbpf does it.
    #[test]
    fn a_program_in_a_struct_is_loaded_with_the_struct() {
        let tables = ["both", "created", "left_out", "both"].map(table);
        let names = ["a", "b", "c", "d"];
        let mut maps: Vec<_> = names
            .iter()
            .zip(&tables)
            .map(|(name, object)| MapSpec {
                object: Some(object),
                ..MapSpec::struct_ops(name, "ops")
            })
            .collect();
        (maps[2].autocreate, maps[3].autocreate) = (false, false);
        let program = |name| {
            let code = Assembly::new(Vec::new(), Vec::new(), NamedLabels::default(), Vec::new());
            CollectionProgram::new(name, None, code)
        };
        let programs = ["both", "created", "left_out", "alone"].map(program).to_vec();
        let mut collection = Collection { maps, programs, ..Collection::default() };
        let loaded = |collection: &Collection<'_>| {
            let held = collection.held();
            let programs = collection.programs().iter();
            let loaded = programs.filter(|program| program.is_loaded(&held));
            loaded.map(|program| program.name().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(loaded(&collection), ["both", "created", "alone"]);
        // A question mark before the section of a program says nothing if a struct has it.
        for program in &mut collection.programs {
            program.autoload = false;
        }
        assert_eq!(loaded(&collection), ["both", "created"]);
        collection.map_mut("c").unwrap().autocreate = true;
        collection.map_mut("b").unwrap().autocreate = false;
        assert_eq!(loaded(&collection), ["both", "left_out"]);
        // The user says the last word.
        collection.program_mut("both").unwrap().set_autoload(false);
        collection.program_mut("created").unwrap().set_autoload(true);
        assert_eq!(loaded(&collection), ["created", "left_out"]);
    }
}
