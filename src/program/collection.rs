//! Loading of whole collections.

use super::{Loader, Program, TextSpec};
use crate::error::{Error, Result};
use crate::spec::Collection;

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
    /// # Errors
    /// The errors of [`load`](Loader::load) and [`map`](Loader::map); [`Error::Spec`] if the type of a
    /// program is not determined.
    pub fn load_collection(&mut self, collection: &'a Collection<'a>) -> Result<Vec<Program>> {
        let mut specs = Vec::with_capacity(collection.programs().len());
        for program in collection.programs() {
            let spec = TextSpec::new(collection, program, collection.file())?;
            let Some(kind) = spec.kind() else {
                let problem = "its target does not say of which type it is";
                return Err(Error::Spec { what: "program", name: program.name().into(), problem });
            };
            specs.push(spec.program(kind));
        }
        for map in collection.maps() {
            self.map(map)?;
        }
        specs.iter().map(|spec| self.load(spec)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::{ParseOptions, parse};
    use crate::syscall::{Call, fake};
    use std::cell::RefCell;
    use std::rc::Rc;

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
    fn nothing_is_made_if_a_program_has_no_type() {
        let (seen, result) = made(&format!("{MAPS}.program one, xdp\nexit\n.program two\nexit\n"));
        let error = result.unwrap_err().to_string();
        assert!(error.contains("two") && error.contains("of which type"), "{error}");
        assert_eq!(seen, [""; 0]);
    }
}
