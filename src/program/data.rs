//! Variables of programs: the maps that hold them, and their initial values.

use super::{LoadedTypes, Loader};
use crate::asm::{Code, Data, Section};
use crate::btf::{FieldDesc, TypeDesc};
use crate::error::{Error, Result};
use crate::map::{Map, StructOps, load_object_types};
use crate::spec::{DataSection, DataTypes, Kconfig, MapSpec, ObjectMap, ObjectTypes, ProgramSpec};
use crate::token::Token;
use crate::uapi::{Errno, MapFlags, MapType};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

impl<'a> Loader<'a> {
    /// Sets the contents of the one value of an array, in place of those in its spec, before the map is created:
    /// configuration that is known at run time, such as a process id. Programs cannot change the contents of
    /// [`MapSpec::rodata`], and the verifier knows them, so that code which they make unreachable costs nothing.
    ///
    /// ```no_run
    /// use rawbpf::{Loader, MapSpec, ProgramSpec, ProgramType, bpf};
    ///
    /// static LIMIT: MapSpec = MapSpec::rodata("limit", &[0; 4]);
    /// static LOOK: ProgramSpec = ProgramSpec::new("look", ProgramType::Kprobe, bpf! {
    ///     r1 = LIMIT[0] ll;
    ///     r0 = *(u32 *)(r1 + 0);
    ///     exit;
    /// });
    ///
    /// let mut loader = Loader::new();
    /// loader.set(&LIMIT, 20u32.to_ne_bytes())?;
    /// let program = loader.load(&LOOK)?;
    /// # Ok::<(), rawbpf::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Spec`] if this loader has created the map already, or it is not an array of one element;
    /// [`Error::ValueSize`] if its value has another size.
    pub fn set(&mut self, spec: &'a MapSpec<'a>, contents: impl Into<Vec<u8>>) -> Result<()> {
        let refuse = |problem| Err(Error::Spec { what: "map", name: spec.name.into(), problem });
        if spec.kind != MapType::Array || spec.max_entries != 1 {
            return refuse("contents are for an array of one element");
        }
        if self.maps.iter().any(|(known, _)| std::ptr::eq(*known, spec)) {
            return refuse("it is created already: contents are given before that");
        }
        let contents = contents.into();
        if contents.len() != spec.value_size as usize {
            let (name, size) = (spec.name.into(), spec.value_size);
            return Err(Error::ValueSize {
                what: "map",
                name,
                declaration: None,
                size,
                given: contents.len(),
            });
        }
        self.values.retain(|(known, _)| !std::ptr::eq(*known, spec));
        self.values.push((spec, contents));
        Ok(())
    }

    /// Uses a map in place of the one that a spec describes, for all programs that this loader loads: one that several collections
    /// share, or one that was opened by its pin.
    ///
    /// ```no_run
    /// use rawbpf::object::Object;
    /// use rawbpf::{Loader, Map};
    ///
    /// let object = Object::read(&std::fs::read("filter.o")?)?;
    /// let collection = object.collection("filter.o")?;
    /// let mut loader = Loader::new();
    /// loader.reuse(collection.map("blocked")?, &Map::open_pinned("/sys/fs/bpf/blocked")?)?;
    /// let programs = loader.load_collection(&collection)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::MapView`] if the map has another type, or keys or values of another size, or is for another struct of functions;
    /// [`Error::Spec`] if this loader has created the map of that spec already.
    pub fn reuse(&mut self, spec: &'a MapSpec<'a>, map: &Map) -> Result<()> {
        if self.maps.iter().any(|(known, _)| std::ptr::eq(*known, spec)) {
            let problem = "it is created already: another map is given before that";
            return Err(Error::Spec { what: "map", name: spec.name.into(), problem });
        }
        let differs = |field, has: String, needs: String| {
            Err(Error::MapView { map: map.name().into(), view: "reuse", field, has, needs })
        };
        if map.kind() != spec.kind {
            return differs("kind", map.kind().to_string(), spec.kind.to_string());
        }
        // The size of a struct of functions is that of the kernel, which is asked for it when the map is created.
        let value_size = match spec.table {
            Some(table) => {
                let view = StructOps::of(map)?;
                if view.table() != table {
                    return differs("table", view.table().into(), table.into());
                }
                map.value_size()
            }
            None => spec.value_size,
        };
        for (field, has, needs) in [
            ("key_size", map.key_size(), spec.key_size),
            ("value_size", map.value_size(), value_size),
        ] {
            if has != needs {
                return differs(field, has.to_string(), needs.to_string());
            }
        }
        self.maps.push((spec, map.clone()));
        self.filled.push(spec);
        Ok(())
    }

    /// Creates a map with its initial contents.
    pub(super) fn create(&mut self, spec: &'a MapSpec<'a>) -> Result<Map> {
        let types = spec.of_object().and_then(|object| object.types.as_ref());
        let btf = types.and_then(|types| self.object_types(types).ok());
        let btf = btf.as_ref().map(|btf| btf.as_fd());
        let made = match self.values.iter().find(|(known, _)| std::ptr::eq(*known, spec)) {
            Some((_, contents)) => {
                let spec = MapSpec { contents: Some(contents), ..*spec };
                Map::create_with(&spec, self.token, btf)
            }
            None => Map::create_with(spec, self.token, btf),
        };
        self.of_types(types, made)
    }

    /// Returns the result for a map or a program with these types: an error says if the kernel had refused the types.
    pub(super) fn of_types<T>(&self, types: Option<&ObjectTypes>, result: Result<T>) -> Result<T> {
        let error = match result {
            Err(
                error @ (Error::CreateMap { .. } | Error::LoadProgram { .. } | Error::Verifier(_)),
            ) => error,
            other => return other,
        };
        let of = |blob: &Arc<[u8]>| types.is_some_and(|types| Arc::ptr_eq(blob, &types.blob));
        let loaded = self.object_types.iter().find(|(blob, _)| of(blob));
        match loaded.map(|(_, loaded)| loaded) {
            Some(Err(errno)) => Err(Error::ObjectTypes { error: Box::new(error), errno: *errno }),
            _ => Err(error),
        }
    }

    /// Returns the BTF of an object file in the kernel, which is loaded once.
    pub(super) fn object_types(&mut self, types: &ObjectTypes) -> LoadedTypes {
        let known = self.object_types.iter().find(|(blob, _)| Arc::ptr_eq(blob, &types.blob));
        if let Some((_, loaded)) = known {
            return loaded.clone();
        }
        let loaded = load_object_types(types, self.token.map(AsFd::as_fd)).map(Arc::new);
        self.object_types.push((Arc::clone(&types.blob), loaded.clone()));
        loaded
    }

    /// Returns the map that holds a section of that code's data: one for all programs of a text. It is created now if
    /// no loaded program has used it yet.
    ///
    /// # Errors
    /// The errors of [`Map::create`]; [`Error::MapField`] if the section is empty.
    pub fn section(&mut self, code: &Code<'a>, section: Section) -> Result<&Map> {
        self.section_of(&code.data, section)
    }

    pub(super) fn section_of(&mut self, data: &Data<'a>, section: Section) -> Result<&Map> {
        let bytes = data.section(section);
        let types = data.types.get(section as usize).copied().flatten();
        self.data_map(section, section.name(), bytes, types, Some(data))
    }

    /// Returns the map of a data section that has a name of its own.
    pub(super) fn data_section(&mut self, spec: &ProgramSpec<'a, '_>, index: u32) -> Result<&Map> {
        let Some(data) = spec.code.data.more.get(index as usize) else {
            let problem = "it names a data section that is not with its code";
            return Err(Error::Spec { what: "program", name: spec.name.into(), problem });
        };
        self.named_section(data)
    }

    /// Returns the map of a data section of an object file that has a name of its own, `.data.table`. It is created now if no loaded
    /// program has used it yet. The map of variables of an arena is the arena, which is created with its collection.
    ///
    /// # Errors
    /// The errors of [`Map::create`]; [`Error::Spec`] if the collection of an arena was not loaded.
    pub fn named_section(&mut self, data: &'a DataSection) -> Result<&Map> {
        let DataSection { name, section, bytes, types, .. } = data;
        #[cfg(feature = "elf")]
        if data.arena.is_some() {
            return self.arena_map(data);
        }
        self.data_map(*section, name, bytes, types.as_ref(), None)
    }

    fn data_map(
        &mut self,
        section: Section,
        name: &str,
        bytes: &'a [u8],
        types: Option<&DataTypes>,
        data: Option<&Data<'_>>,
    ) -> Result<&Map> {
        let known =
            |(of, known, _): &(Section, &[u8], Map)| *of == section && std::ptr::eq(*known, bytes);
        let index = match self.data.iter().position(known) {
            Some(index) => index,
            None => {
                let map = match types.filter(|_| cfg!(feature = "elf")) {
                    Some(types) => {
                        let btf = self.object_types(&types.types).ok();
                        let btf = btf.as_deref();
                        let made = create_typed(name, section, bytes, types, btf, self.token);
                        self.of_types(Some(&types.types), made)?
                    }
                    None => create(name, section, bytes, data, self.token)?,
                };
                self.data.push((section, bytes, map));
                self.data.len() - 1
            }
        };
        Ok(&self.data[index].2)
    }
}

impl<'a> Loader<'a> {
    /// Returns the map of the settings of the kernel that an object declares: one for all of its programs.
    pub(super) fn kconfig(&mut self, config: &'a Kconfig) -> Result<&Map> {
        let index = match self.kconfigs.iter().position(|(known, _)| std::ptr::eq(*known, config)) {
            Some(index) => index,
            None => {
                let values = (config.values.0)(config)?;
                let (name, section) = (".kconfig", Section::Rodata);
                let map = match config.types.as_ref().filter(|_| cfg!(feature = "elf")) {
                    Some(types) => {
                        let btf = self.object_types(&types.types).ok();
                        let btf = btf.as_deref();
                        let made = create_typed(name, section, &values, types, btf, self.token);
                        self.of_types(Some(&types.types), made)?
                    }
                    None => Map::create_by(&MapSpec::rodata(name, &values), self.token)?,
                };
                self.kconfigs.push((config, map));
                self.kconfigs.len() - 1
            }
        };
        Ok(&self.kconfigs[index].1)
    }
}

/// Returns the spec of the map of a section.
fn data_spec<'s>(name: &'s str, section: Section, bytes: &'s [u8]) -> MapSpec<'s> {
    let zeros = section == Section::Bss && bytes.iter().all(|byte| *byte == 0);
    let mut spec = match section {
        Section::Rodata => MapSpec::rodata(name, bytes),
        Section::Data | Section::Bss => MapSpec::data(name, bytes),
    };
    if zeros {
        spec.contents = None;
    }
    spec
}

/// Creates the map of a section. Its value has as type a struct with the variables as fields, which all kernels with
/// BTF accept, also 5.10, which refuses a `DATASEC` without variables.
fn create(
    name: &str,
    section: Section,
    bytes: &[u8],
    data: Option<&Data<'_>>,
    token: Option<&Token>,
) -> Result<Map> {
    let mut spec = data_spec(name, section, bytes);
    let described = data.map_or_else(Vec::new, |data| describe(data, section));
    let fields: Vec<_> = described.iter().map(Described::field).collect();
    if !fields.is_empty() {
        let size = spec.value_size;
        spec.types = Some((TypeDesc::U32, TypeDesc::Struct { name, size, fields: &fields }));
    }
    Map::create_by(&spec, token)
}

/// Creates the map of a section of an object file, with the types of the object. User space may map it into its memory if another
/// object could see its variables (Linux 5.5), as libbpf has it.
fn create_typed(
    name: &str,
    section: Section,
    bytes: &[u8],
    types: &DataTypes,
    btf: Option<&OwnedFd>,
    token: Option<&Token>,
) -> Result<Map> {
    let object = ObjectMap {
        types: btf.map(|_| types.types.clone()),
        value_type: types.id,
        ..ObjectMap::default()
    };
    let spec = MapSpec { object: Some(&object), ..data_spec(name, section, bytes) };
    let btf = btf.map(AsFd::as_fd);
    if types.mmapable {
        let mapped = spec.with_flags(spec.flags | MapFlags::MMAPABLE);
        match Map::create_with(&mapped, token, btf) {
            Err(Error::CreateMap { errno: Errno(libc::EINVAL), .. }) => {}
            answer => return answer,
        }
    }
    Map::create_with(&spec, token, btf)
}

/// The displayed type of a variable: `len` numbers or letters; one number if `len` is `None`.
pub(crate) struct Described<'v> {
    name: &'v str,
    offset: u32,
    element: TypeDesc<'static>,
    len: Option<u32>,
}

impl Described<'_> {
    pub(crate) fn field(&self) -> FieldDesc<'_> {
        let desc = match self.len {
            Some(len) => TypeDesc::Array { element: &self.element, len },
            None => self.element,
        };
        FieldDesc { name: self.name, offset: self.offset, desc }
    }
}

/// Returns the variables of a section by their offsets. If two names have the same bytes, one is included.
pub(crate) fn describe<'v>(data: &Data<'v>, section: Section) -> Vec<Described<'v>> {
    let mut variables: Vec<_> =
        data.variables.iter().filter(|v| v.section() == section && v.size() > 0).collect();
    variables.sort_by_key(|variable| variable.offset());
    variables.dedup_by_key(|variable| variable.offset());
    let described = variables.into_iter().map(|variable| {
        let number = match variable.width() {
            1 => Some(TypeDesc::U8),
            2 => Some(TypeDesc::U16),
            4 => Some(TypeDesc::U32),
            8 => Some(TypeDesc::U64),
            _ => None,
        };
        let number = number.filter(|number| variable.size().is_multiple_of(number.size()));
        let element = number.unwrap_or(TypeDesc::CHAR);
        let one = number.is_some() && element.size() == variable.size();
        let len = (!one).then_some(variable.size() / element.size());
        Described { name: variable.name(), offset: variable.offset(), element, len }
    });
    described.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::{ParseOptions, parse};
    use crate::bpf;
    use crate::program::TextSpec;
    use crate::spec::ProgramSpec;
    use crate::syscall::{Call, fake};
    use crate::uapi::ProgramType;
    use crate::uapi::flags;

    static COUNT: MapSpec = MapSpec::data("count", &[1, 2, 3, 4]);
    static LIMIT: MapSpec = MapSpec::rodata("limit", b"abcd");
    static SEEN: MapSpec = MapSpec::bss("seen", 4);
    static TABLE: MapSpec = MapSpec::array("table", 4, 2);
    static SPEC: ProgramSpec = ProgramSpec::new(
        "t",
        ProgramType::Kprobe,
        bpf! {
            r1 = COUNT[0] ll;
            r1 = LIMIT[0] + 1 ll;
            r1 = SEEN[0] + 2 ll;
            r1 = "text" ll;
            exit;
        },
    );

    /// An operation on a map.
    #[derive(Debug, PartialEq)]
    enum Step {
        Create { name: String, size: u32, flags: u32, types: bool },
        Write(Vec<u8>),
        Freeze,
    }

    /// Runs with a kernel that accepts everything; returns the operations that it saw.
    fn seen<T>(run: impl FnOnce() -> T) -> (Vec<Step>, T) {
        let steps = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let log = std::rc::Rc::clone(&steps);
        let kernel = move |call: &mut Call<'_, '_>| {
            let step = match call {
                Call::MapCreate(create) => Step::Create {
                    name: String::from_utf8_lossy(create.name).into_owned(),
                    size: create.value_size,
                    flags: create.flags,
                    types: create.btf.is_some(),
                },
                Call::MapUpdate { value, .. } => Step::Write(value.to_vec()),
                Call::MapFreeze { .. } => Step::Freeze,
                Call::ProgLoad(_) | Call::BtfLoad(_) => return Some(fake::descriptor()),
                _ => return None,
            };
            let made = matches!(step, Step::Create { .. });
            log.borrow_mut().push(step);
            Some(if made { fake::descriptor() } else { Ok(0) })
        };
        let result = fake::with(kernel, run);
        (steps.take(), result)
    }

    fn create(name: &str, size: u32, flags: u32, types: bool) -> Step {
        Step::Create { name: name.into(), size, flags, types }
    }

    #[test]
    fn maps_of_variables_have_their_contents_before_the_program_is_there() {
        let (steps, result) = seen(|| Loader::new().load(&SPEC).map(drop));
        result.unwrap();
        let expected = [
            create("count", 4, 0, false),
            Step::Write(vec![1, 2, 3, 4]),
            create("limit", 4, flags::BPF_F_RDONLY_PROG, false),
            Step::Write(b"abcd".to_vec()),
            Step::Freeze,
            create("seen", 4, 0, false),
            create(".rodata", 5, flags::BPF_F_RDONLY_PROG, false),
            Step::Write(b"text\0".to_vec()),
            Step::Freeze,
        ];
        assert_eq!(steps, expected);
    }

    #[test]
    fn contents_are_given_before_the_map_is_created() {
        let (steps, ()) = seen(|| {
            let mut loader = Loader::new();
            loader.set(&LIMIT, *b"1234").unwrap();
            loader.set(&LIMIT, *b"wxyz").unwrap();
            loader.set(&SEEN, vec![9; 4]).unwrap();
            loader.map(&LIMIT).unwrap();
            loader.map(&SEEN).unwrap();
        });
        let expected = [
            create("limit", 4, flags::BPF_F_RDONLY_PROG, false),
            Step::Write(b"wxyz".to_vec()),
            Step::Freeze,
            create("seen", 4, 0, false),
            Step::Write(vec![9; 4]),
        ];
        assert_eq!(steps, expected);
    }

    #[test]
    fn contents_that_cannot_be_are_refused() {
        let (steps, ()) = seen(|| {
            let mut loader = Loader::new();
            let error = loader.set(&COUNT, [0; 3]).unwrap_err();
            let expected = "map `count` has 4 bytes, and the value given to it 3";
            assert_eq!(error.to_string(), expected);
            let error = loader.set(&TABLE, [0; 4]).unwrap_err();
            assert!(error.to_string().contains("an array of one element"), "{error}");
            loader.map(&COUNT).unwrap();
            let error = loader.set(&COUNT, [0; 4]).unwrap_err();
            assert!(error.to_string().contains("created already"), "{error}");
        });
        assert_eq!(steps.len(), 2, "{steps:?}");
    }

    #[test]
    fn programs_of_a_text_share_its_sections() {
        let text = "\
.rodata
word: .word 1
.data
count: .quad 5
.bss
none: .zero 4
some: .zero 4
.program a
r1 = count ll
r1 = some ll
exit
.program b
r1 = some ll
r1 = word ll
exit
";
        let mut module = parse(text, "x.s", &ParseOptions::new()).unwrap();
        let load = |module: &_| {
            let module: &crate::asm::Collection<'_> = module;
            let specs: Vec<_> = module
                .programs()
                .iter()
                .map(|program| TextSpec::new(module, program, "x.s").unwrap())
                .collect();
            let mut loader = Loader::new();
            for spec in &specs {
                loader.load(&spec.program(ProgramType::SocketFilter)).unwrap();
            }
            let first = specs.first().unwrap().code();
            let bss = loader.section(&first, Section::Bss).unwrap();
            assert_eq!((bss.name(), bss.value_size()), (".bss", 8));
        };
        let rodata = 128; // BPF_F_RDONLY_PROG, include/uapi/linux/bpf.h
        let (steps, ()) = seen(|| load(&module));
        let expected = [
            create(".data", 8, 0, true),
            Step::Write(5u64.to_ne_bytes().to_vec()),
            create(".bss", 8, 0, true),
            create(".rodata", 4, rodata, true),
            Step::Write(1u32.to_ne_bytes().to_vec()),
            Step::Freeze,
        ];
        assert_eq!(steps, expected);

        module.variable("some").unwrap().set(&[1_u8, 2, 3, 4]).unwrap();
        let (steps, ()) = seen(|| load(&module));
        assert_eq!(steps.get(3), Some(&Step::Write(vec![0, 0, 0, 0, 1, 2, 3, 4])));
    }

    /// An error of what has types says that the kernel had refused these.
    #[test]
    fn why_the_types_of_an_object_were_refused_is_said_by_the_next_error() {
        let kernel = |call: &mut Call<'_, '_>| match call {
            Call::BtfLoad(_) => Some(Err(Errno(libc::EEXIST))),
            Call::MapCreate(map) if map.max_entries == 7 => Some(Err(Errno(libc::ENOSPC))),
            Call::MapCreate(_) => Some(fake::descriptor()),
            Call::ProgLoad(_) => Some(Err(Errno(libc::EBUSY))),
            _ => None,
        };
        let blob: Arc<[u8]> = Arc::new([1, 2, 3]);
        let types = ObjectTypes { plain: Arc::clone(&blob), blob };
        let object = ObjectMap { types: Some(types.clone()), key_type: 1, ..ObjectMap::default() };
        let typed =
            |entries| MapSpec { object: Some(&object), ..MapSpec::hash("typed", 4, 8, entries) };
        let (good, bad, plain) = (typed(1), typed(7), MapSpec::hash("plain", 4, 8, 7));
        let section = "xdp";
        let code = crate::spec::ObjectCode {
            types: Some(&types),
            section,
            functions: &[[0, 1]],
            lines: &[],
        };
        let mut spec = ProgramSpec::new("one", ProgramType::Xdp, bpf! { r0 = 0; exit; });
        spec.code.object = Some(code);
        let (typed, plain, program) = fake::with(kernel, || {
            let mut loader = Loader::new();
            loader.map(&good).unwrap();
            let typed = loader.map(&bad).map(drop).unwrap_err();
            let plain = loader.map(&plain).map(drop).unwrap_err();
            (typed, plain, loader.load(&spec).map(drop).unwrap_err())
        });
        for (error, own) in [(&typed, "ENOSPC"), (&program, "EBUSY")] {
            let text = error.to_string();
            assert!(text.contains(own), "{text}");
            assert!(text.contains("(.BTF) before that: ") && text.contains("EEXIST"), "{text}");
        }
        assert!(!plain.to_string().contains("BTF"), "{plain}");
    }

    #[test]
    fn a_section_that_is_empty_is_no_map() {
        let (steps, result) =
            seen(|| Loader::new().section(&SPEC.code, Section::Data).map(drop).unwrap_err());
        assert!(matches!(result, Error::MapField { field: "value_size", .. }), "{result}");
        assert_eq!(steps, []);
    }

    #[test]
    fn variables_are_shown_as_what_they_were_declared_as() {
        let text = "\
.data
one: .quad 1
two: .half 1, 2, 3
text: .asciz \"abc\"
odd: .word 1
.byte 2
same: again: .byte 5
zeros: .zero 8
buffer: .zero 100
nothing:
";
        let text = format!("{text}.text\nexit\n");
        let module = parse(&text, "x.s", &ParseOptions::new()).unwrap();
        let described = describe(&module.data(), Section::Data);
        let shown: Vec<_> =
            described.iter().map(|d| (d.name, d.offset, d.element, d.len)).collect();
        let expected = [
            ("one", 0, TypeDesc::U64, None),
            ("two", 8, TypeDesc::U16, Some(3)),
            ("text", 14, TypeDesc::CHAR, Some(4)),
            ("odd", 18, TypeDesc::CHAR, Some(5)),
            ("same", 23, TypeDesc::U8, None),
            ("zeros", 24, TypeDesc::U64, None),
            ("buffer", 32, TypeDesc::CHAR, Some(100)),
        ];
        assert_eq!(shown, expected);
    }
}
