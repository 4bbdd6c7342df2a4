//! Programs of a text, as specs for the loader.

#[cfg(feature = "cli")]
use super::collection::no_type;
use super::resolvable;
use crate::asm::{Code, Collection, CollectionProgram};
use crate::error::{Error, Result};
use crate::spec::attach_point::{Attach, Named};
use crate::spec::{AttachTo, ProgramSpec};
use crate::uapi::ProgramType;
use crate::user;
#[cfg(feature = "cli")]
use std::collections::HashMap;

/// A program of a [text](crate::asm::parse()), which can be borrowed as a [`ProgramSpec`] for a
/// [`Loader`](crate::Loader).
///
/// ```no_run
/// use rawbpf::asm::{ParseOptions, parse};
/// use rawbpf::{Loader, TextSpec};
///
/// let text = ".program one, kprobe/sys_clone\nr0 = 0\nexit\n";
/// let module = parse(text, "one.s", &ParseOptions::new())?;
/// let specs: Vec<TextSpec> = module
///     .programs()
///     .iter()
///     .map(|program| TextSpec::new(&module, program, "one.s"))
///     .collect::<Result<_, _>>()?;
/// let mut loader = Loader::new();     // programs loaded by one loader share the maps of the text
/// for spec in &specs {
///     let kind = spec.kind().ok_or("the text does not say the type")?;
///     loader.load(&spec.program(kind))?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct TextSpec<'m> {
    program: &'m CollectionProgram<'m>,
    collection: &'m Collection<'m>,
    file: &'m str,
}

impl<'m> TextSpec<'m> {
    /// Prepares a program, with the license of its text (`GPL` if the text declares none, as in [`ProgramSpec::new`])
    /// and references to its maps. `file` is the name of the text in messages.
    ///
    /// # Errors
    /// [`Error::Spec`] if the program is not one of the collection's.
    pub fn new(
        collection: &'m Collection<'m>,
        program: &'m CollectionProgram<'m>,
        file: &'m str,
    ) -> Result<TextSpec<'m>> {
        if !collection.programs().as_ptr_range().contains(&std::ptr::from_ref(program)) {
            let problem = "it belongs to another text or object";
            return Err(Error::Spec { what: "program", name: program.name().into(), problem });
        }
        Ok(TextSpec { program, collection, file })
    }

    /// Returns the type that the program's target names: `kprobe` in `.program look, kprobe/sys_clone`. `None`
    /// without a target, or if its type is not known here.
    pub fn kind(&self) -> Option<ProgramType> {
        Some(self.attach_point().ok()??.program_type)
    }

    /// Returns the attach point that the program's target names; `None` if it has none.
    ///
    /// # Errors
    /// [`Error::AttachPoint`] with the nearest names if that is not known.
    pub fn attach_point(&self) -> Result<Option<Named<'m>>> {
        Ok(self.program.target().map(Named::read).transpose()?)
    }

    /// Returns whether it is loaded with the others of its collection.
    pub fn autoload(&self) -> bool {
        self.program.autoload()
    }

    /// Returns whether it is loaded, by whether the structs of functions that have it are to hold it.
    #[cfg(feature = "cli")]
    pub(crate) fn is_loaded(&self, held: &HashMap<&str, bool>) -> bool {
        self.program.is_loaded(held)
    }

    /// Returns whether it is from an object file.
    #[cfg(feature = "cli")]
    pub(crate) fn is_of_object(&self) -> bool {
        self.program.section().is_some()
    }

    /// Returns the error for a program of which nothing says of which type it is.
    #[cfg(feature = "cli")]
    pub(crate) fn no_type(&self) -> Error {
        no_type(self.collection, self.program)
    }

    /// Returns its name.
    pub fn name(&self) -> &'m str {
        self.program.name()
    }

    /// Returns the code, with the source positions of its statements.
    pub fn code(&self) -> Code<'m> {
        let Collection { maps, .. } = self.collection;
        let (data, file) = (self.collection.data(), self.file);
        resolvable(Code { maps, data, file, ..self.program.unresolved() })
    }

    /// Returns the spec, as a program of that type. If the text names another type, its target is left out.
    pub fn program(&self, kind: ProgramType) -> ProgramSpec<'m, 'm> {
        let license = self.collection.license().unwrap_or("GPL");
        let mut spec = ProgramSpec::new(self.name(), kind, self.code()).with_license(license);
        if let Ok(Some(named)) = self.attach_point()
            && named.program_type == kind
        {
            spec.attach_type = named.attach_type;
            spec.flags |= named.flags();
            spec.target = (!named.rest.is_empty()).then_some(named.rest);
            spec.attach_to = named.point.and_then(|point| in_file(point.attach, named.rest));
        }
        spec
    }
}

/// Returns the place in a file, if its name alone does not determine the kind: `FILE:PROBE` without a provider, and
/// functions with colons in their names.
fn in_file(attach: Attach, rest: &str) -> Option<AttachTo<'_>> {
    match attach {
        Attach::Usdt => {
            let (file, provider, name) = user::file_and_probe(rest)?;
            Some(AttachTo::Usdt { file, provider, name })
        }
        Attach::Uprobe { returns } | Attach::UprobeMulti { returns } => {
            let (file, function) = user::file_and_function(rest)?;
            let function = function.contains(':').then_some(function)?;
            Some(AttachTo::Function { file: Some(file), function, offset: 0, returns })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::{ParseOptions, RelocKind, RelocTarget, Section, parse};
    use crate::uapi::{AttachType, ProgramFlags};

    const TEXT: &str = "\
.license \"MIT\" ; .map m, hash, key=4, value=8, max=2
.program a, kretprobe/x
r1 = m ll
exit
.program b, none:x
exit
.program c, fentry/do_unlinkat
exit
";

    #[test]
    fn a_text_says_all_that_the_loader_asks() {
        let module = parse(TEXT, "x.s", &ParseOptions::new()).unwrap();
        let specs: Vec<_> = module
            .programs()
            .iter()
            .map(|program| TextSpec::new(&module, program, "x.s").unwrap())
            .collect();
        let [a, b, c] = &specs[..] else { panic!("{specs:?}") };
        assert_eq!(a.kind(), Some(ProgramType::Kprobe));
        let kprobe = a.program(ProgramType::Kprobe);
        assert_eq!((kprobe.name, kprobe.license, kprobe.target), ("a", "MIT", Some("x")));
        assert_eq!(
            (kprobe.code.file, kprobe.code.line, kprobe.code.relocations.len()),
            ("x.s", 3, 1)
        );
        let reloc = kprobe.code.relocations[0];
        assert_eq!((reloc.slot, reloc.target), (0, RelocTarget::Name("m")));
        assert_eq!(kprobe.code.maps.first().map(|map| map.name), Some("m"));
        assert_eq!(kprobe.code.statement(2).as_deref(), Some("exit"));
        assert_eq!(a.program(ProgramType::Xdp).target, None);

        assert_eq!(b.kind(), None);

        let fentry = c.program(c.kind().unwrap());
        assert_eq!(fentry.attach_type, Some(AttachType::TraceFentry));
        assert_eq!((fentry.kind, fentry.target), (ProgramType::Tracing, Some("do_unlinkat")));
    }

    #[test]
    fn a_target_says_how_a_program_is_attached_and_what_it_may() {
        use AttachType::*;
        let none = ProgramFlags::empty();
        let sleeps = ProgramFlags::SLEEPABLE;
        let frags = ProgramFlags::XDP_HAS_FRAGS;
        for (target, kind, attach_type, flags, rest) in [
            ("lsm.s/file_open", ProgramType::Lsm, Some(LsmMac), sleeps, Some("file_open")),
            ("fentry.s/x", ProgramType::Tracing, Some(TraceFentry), sleeps, Some("x")),
            ("uprobe.s/x", ProgramType::Kprobe, None, sleeps, Some("x")),
            ("syscall", ProgramType::Syscall, None, sleeps, None),
            ("xdp.frags/eth0", ProgramType::Xdp, Some(Xdp), frags, Some("eth0")),
            ("xdp/xdp_devmap", ProgramType::Xdp, Some(XdpDevMap), none, None),
            (
                "cgroup_sock_addr/cgroup_inet4_bind",
                ProgramType::CgroupSockAddr,
                Some(CgroupInet4Bind),
                none,
                None,
            ),
            // A function of that name.
            ("kprobe/xdp", ProgramType::Kprobe, None, none, Some("xdp")),
        ] {
            let text = format!(".program p, {target}\nexit\n");
            let module = parse(&text, "x.s", &ParseOptions::new()).unwrap();
            let spec = TextSpec::new(&module, &module.programs()[0], "x.s").unwrap();
            assert_eq!(spec.kind(), Some(kind), "{target}");
            let program = spec.program(kind);
            let said = (program.attach_type, program.flags, program.target);
            assert_eq!(said, (attach_type, flags, rest), "{target}");
        }
    }

    #[test]
    fn programs_share_the_data_of_their_text() {
        let text = ".rodata\nw: .asciz \"x\"\n.program a\nr1 = w ll\nexit\n.program b\nr1 = \"y\" ll\nexit\n";
        let module = parse(text, "x.s", &ParseOptions::new()).unwrap();
        let specs: Vec<_> = module
            .programs()
            .iter()
            .map(|program| TextSpec::new(&module, program, "x.s").unwrap())
            .collect();
        for (spec, place) in specs.iter().zip([0, 2]) {
            let code = spec.code();
            assert_eq!(code.data.rodata, b"x\0y\0");
            assert!(std::ptr::eq(code.data.rodata, module.data().rodata));
            let rodata = RelocTarget::Section(Section::Rodata);
            let [reloc] = code.relocations else { panic!("{code:?}") };
            assert_eq!((reloc.slot, reloc.kind, reloc.target), (0, RelocKind::Map, rodata));
            assert_eq!(code.slots[1].imm(), place);
        }
    }
}
