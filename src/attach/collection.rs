//! Attaching all programs of a collection, each as its target says.

use super::{Link, Target, attach};
use crate::error::{Error, Result};
use crate::map::{Registered, StructOps};
use crate::program::{Loader, Program};
use crate::spec::attach_point::{Attach, Named, TrampolineAt};
use crate::spec::{Collection, CollectionProgram};
use crate::uapi::ProgramType;

/// The programs and the structs of functions of a collection that [`attach_collection`] has attached. Dropping it detaches them.
#[derive(Debug)]
#[must_use = "dropping it detaches the programs: keep it, as in `let _attached = …`; `let _ = …` drops it"]
pub struct Attached {
    links: Vec<(String, Link)>,
    tables: Vec<(String, Registered)>,
    left_out: Vec<String>,
}

impl Attached {
    /// Returns the link of a program; `None` if it is not attached.
    pub fn link(&self, program: &str) -> Option<&Link> {
        self.links.iter().find(|(name, _)| name == program).map(|(_, link)| link)
    }

    /// Returns the links, with the names of their programs.
    pub fn links(&self) -> impl Iterator<Item = (&str, &Link)> {
        self.links.iter().map(|(name, link)| (name.as_str(), link))
    }

    /// Returns the names of the `struct_ops` maps that are registered.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.tables.iter().map(|(name, _)| name.as_str())
    }

    /// Returns the programs that are loaded and not attached, because their targets do not say where: `xdp` no device,
    /// `cgroup/connect4` and
    /// `lsm_cgroup/socket_bind` no control group.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// Takes the links out, with the names of their programs; structs of functions stay registered for as long as the rest is kept.
    pub fn take_links(&mut self) -> Vec<(String, Link)> {
        std::mem::take(&mut self.links)
    }
}

/// Attaches programs of a collection that are loaded, each to what its target names, and registers the `struct_ops` maps of the
/// collection that are [created](crate::MapSpec::autocreate). Programs whose targets name no place are left out: [`attach()`] attaches them to one.
///
/// ```no_run
/// use rawbpf::object::Object;
/// use rawbpf::{Loader, attach};
///
/// let object = Object::read(&std::fs::read("opens.o")?)?;
/// let mut collection = object.collection("opens.o")?;
/// collection.variable("targ_pid")?.set(&std::process::id())?;
/// let mut loader = Loader::new();
/// let programs = loader.load_collection(&collection)?;
/// let _attached = attach::attach_collection(&mut loader, &collection, &programs)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The errors of [`attach()`], [`StructOps::of`] and [`StructOps::register`]. Nothing is attached then.
pub fn attach_collection<'a>(
    loader: &mut Loader<'a>,
    collection: &'a Collection<'a>,
    programs: &[Program],
) -> Result<Attached> {
    let mut attached = Attached { links: Vec::new(), tables: Vec::new(), left_out: Vec::new() };
    for program in programs {
        let of = collection.program(program.name())?;
        match target_of(of)? {
            Some(target) => {
                attached.links.push((program.name().into(), attach(program, &target)?));
            }
            None if program.kind() == ProgramType::StructOps => {}
            None => attached.left_out.push(program.name().into()),
        }
    }
    for spec in collection.maps().iter().filter(|spec| spec.autocreate) {
        let Some(table) = spec.of_object().and_then(|object| object.table.as_ref()) else {
            continue;
        };
        let mut view = StructOps::of(loader.map(spec)?)?;
        for (member, bytes) in &table.members {
            view.set(member, bytes)?;
        }
        for (member, name) in &table.programs {
            // The place of one that was turned off stays empty.
            if let Some(program) = programs.iter().find(|program| program.name() == name) {
                view.program(member, program)?;
            }
        }
        attached.tables.push((spec.name.into(), view.register()?));
    }
    Ok(attached)
}

/// Returns the place that the target of a program names; `None` if it names none.
fn target_of(program: &CollectionProgram<'_>) -> Result<Option<Target>> {
    let Some(text) = program.target() else { return Ok(None) };
    let named = Named::read(text).map_err(Error::from)?;
    let Some(point) = named.point else { return Ok(None) };
    let (function, at) = (named.rest.to_owned(), TrampolineAt::Entry);
    match point.attach {
        // A link of its own kind, whatever the place.
        Attach::No(_) if point.program_type == ProgramType::Ext => {
            Ok(Some(Target::Trampoline { at, function }))
        }
        Attach::No(_) => Ok(None),
        // The rest of `lsm_cgroup/socket_bind` is no place.
        Attach::Cgroup | Attach::Netns if named.place.is_empty() => Ok(None),
        _ if named.rest.is_empty() && named.place.is_empty() => Ok(None),
        _ => text.parse().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::{ParseOptions, parse};

    #[test]
    fn programs_without_a_place_are_left_out() {
        for (target, expected) in [
            ("kprobe/do_work", Some("kprobe:do_work")),
            ("cgroup:/a:connect4", Some("cgroup:/a:connect4")),
            ("netns:/run/netns/a:sk_lookup", Some("netns:/run/netns/a:sk_lookup")),
            ("cgroup/connect4", None),
            ("lsm_cgroup/socket_bind", None),
            ("sk_lookup", None),
            ("flow_dissector", None),
            ("xdp", None),
            ("socket_filter", None),
        ] {
            let text = format!(".program one, {target}\nexit\n");
            let collection = parse(&text, "one.s", &ParseOptions::new()).unwrap();
            let found = target_of(&collection.programs()[0]).unwrap_or_else(|e| panic!("{e}"));
            let expected = expected.map(|text| text.parse::<Target>().unwrap().to_string());
            assert_eq!(found.map(|found| found.to_string()), expected, "{target}");
        }
    }
}
