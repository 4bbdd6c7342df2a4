//! The BTF of an object file, changed into one that kernels take: a compiler leaves to loaders what only they know.

use super::Kind;
use super::types::KINDS;
use std::collections::HashMap;

/// The parts of an object file that its BTF does not repeat.
pub(crate) struct Layout<'o> {
    /// The sizes of the sections, by their names.
    pub sections: HashMap<&'o str, u64>,
    /// The offsets of global symbols in their sections, by their names, and whether they are hidden.
    pub symbols: HashMap<&'o str, (u64, bool)>,
    /// The settings of the kernel (`.kconfig`), if there are any: the size of all, and the offset and size of each by its name.
    pub settings: Option<Settings>,
}

type Settings = (u32, HashMap<String, (u32, u32)>);

/// The section of variables that are settings of the kernel. No file has it: loaders make it.
const KCONFIG: &str = ".kconfig";

/// The words of a type before those of its kind: name, info, size or type.
const COMMON: usize = 3;

/// The numbers of linkages: the same for functions and variables.
const STATIC: u32 = 0;
const GLOBAL: u32 = 1;
const EXTERN: u32 = 2;

/// The words of a parameter, and of a member of a struct, a variable of a section and an enumerator of 64 bits.
const PARAMETER: usize = 2;
const PART: usize = 3;

/// The types of a blob, as words.
struct Words<'b> {
    words: Vec<u32>,
    /// The first word of each type, by its number; of type 0 it is not used.
    starts: Vec<usize>,
    strings: &'b [u8],
}

/// Returns the blob for kernels that know all kinds of types, and for those that know none that is newer than Linux 5.2; `None` if
/// it is malformed. Types keep their numbers, and strings their places.
pub(crate) fn for_kernels(blob: &[u8], layout: &Layout<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    let word = |at: usize| {
        let bytes = *blob.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_ne_bytes(bytes) as usize)
    };
    let header = word(4)?;
    let types = header.checked_add(word(8)?)?;
    let types = types..types.checked_add(word(12)?)?;
    let strings = header.checked_add(word(16)?)?;
    let strings = blob.get(strings..strings.checked_add(word(20)?)?)?;
    let (chunks, rest) = blob.get(types.clone())?.as_chunks::<4>();
    if !rest.is_empty() {
        return None;
    }
    let words = chunks.iter().map(|bytes| u32::from_ne_bytes(*bytes)).collect();
    let mut all = Words { words, starts: vec![0], strings };
    all.index()?;
    let int = all.small_int();
    for id in 1..all.starts.len() {
        match all.kind(id)? {
            Kind::Function => all.function(id, layout)?,
            Kind::Variable => all.variable(id, layout, int)?,
            _ => {}
        }
    }
    // What variables are is known by now.
    for id in 1..all.starts.len() {
        if all.kind(id)? == Kind::Section {
            all.section(id, layout, int)?;
        }
    }
    let write = |words: &[u32]| {
        let mut out = blob.to_vec();
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        out.get_mut(types.clone())?.copy_from_slice(&bytes);
        Some(out)
    };
    let new = write(&all.words)?;
    for id in 1..all.starts.len() {
        all.plain(id, int)?;
    }
    Some((new, write(&all.words)?))
}

impl Words<'_> {
    fn index(&mut self) -> Option<()> {
        let mut at = 0;
        while at < self.words.len() {
            self.starts.push(at);
            let info = *self.words.get(at + 1)?;
            let (_, _, fixed, each) = *KINDS.get((info >> 24 & 0x1f) as usize)?;
            at += COMMON + (fixed + each * (info & 0xffff) as usize) / 4;
        }
        (at == self.words.len()).then_some(())
    }

    fn get(&self, id: usize, word: usize) -> Option<u32> {
        self.words.get(self.starts.get(id)? + word).copied()
    }

    fn set(&mut self, id: usize, word: usize, value: u32) -> Option<()> {
        let at = self.starts.get(id)? + word;
        *self.words.get_mut(at)? = value;
        Some(())
    }

    fn kind(&self, id: usize) -> Option<Kind> {
        Some(Kind::of(self.get(id, 1)? >> 24 & 0x1f))
    }

    /// Sets kind and number of parts, and clears the flag.
    fn set_kind(&mut self, id: usize, kind: Kind, parts: u32) -> Option<()> {
        self.set(id, 1, (kind as u32) << 24 | parts)
    }

    fn parts(&self, id: usize) -> Option<usize> {
        Some((self.get(id, 1)? & 0xffff) as usize)
    }

    fn name(&self, id: usize) -> Option<&str> {
        let rest = self.strings.get(self.get(id, 0)? as usize..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(rest.get(..end)?).ok()
    }

    /// The number of an integer of at most 4 bytes, for places where any type will do; 0 if there is none.
    fn small_int(&self) -> u32 {
        let small = |id: &usize| {
            self.kind(*id) == Some(Kind::Int) && matches!(self.get(*id, 2), Some(1 | 2 | 4))
        };
        (1..self.starts.len()).find(small).map_or(0, |id| id as u32)
    }

    /// Makes a function one that is defined here, with names for all parameters. Of hidden ones the callers are known.
    fn function(&mut self, id: usize, layout: &Layout<'_>) -> Option<()> {
        let hidden = layout.symbols.get(self.name(id)?).is_some_and(|(_, hidden)| *hidden);
        let linkage = self.get(id, 1)? & 0xffff;
        match linkage {
            GLOBAL if hidden => self.set_kind(id, Kind::Function, STATIC)?,
            EXTERN => self.set_kind(id, Kind::Function, GLOBAL)?,
            _ => {}
        }
        let (name, prototype) = (self.get(id, 0)?, self.get(id, 2)? as usize);
        if self.kind(prototype) != Some(Kind::Prototype) {
            return None;
        }
        for parameter in 0..self.parts(prototype)? {
            let at = COMMON + parameter * PARAMETER;
            // The last one of a function with any number of them has no type.
            if self.get(prototype, at)? == 0 && self.get(prototype, at + 1)? != 0 {
                self.set(prototype, at, name)?;
            }
        }
        Some(())
    }

    /// Gives a variable that is defined elsewhere a type that has a size.
    fn variable(&mut self, id: usize, layout: &Layout<'_>, int: u32) -> Option<()> {
        match self.get(id, COMMON)? {
            EXTERN => {
                let name = self.name(id)?;
                let setting =
                    layout.settings.as_ref().is_some_and(|(_, all)| all.contains_key(name));
                if !setting {
                    self.set(id, 2, int)?;
                }
                self.set(id, COMMON, GLOBAL)
            }
            GLOBAL if layout.symbols.get(self.name(id)?).is_some_and(|(_, hidden)| *hidden) => {
                self.set(id, COMMON, STATIC)
            }
            _ => Some(()),
        }
    }

    /// Gives a section its size, and its variables their offsets. One that is not in the file becomes a struct, of which nothing
    /// is used.
    fn section(&mut self, id: usize, layout: &Layout<'_>, int: u32) -> Option<()> {
        let name = self.name(id)?;
        let size = layout.sections.get(name).copied().and_then(|size| u32::try_from(size).ok());
        let externs = matches!(name, ".ksyms" | KCONFIG);
        let settings = layout.settings.as_ref().filter(|_| name == KCONFIG);
        let parts = self.parts(id)?;
        let variables: Vec<usize> = (0..parts)
            .map(|part| Some(self.get(id, COMMON + part * PART)? as usize))
            .collect::<Option<_>>()?;
        let all = variables.iter().all(|variable| self.kind(*variable) == Some(Kind::Variable));
        if let Some((size, settings)) = settings.filter(|_| all) {
            let info = |variable: &usize| {
                let (offset, size) = *settings.get(self.name(*variable)?)?;
                Some([offset, *variable as u32, size])
            };
            if let Some(infos) = variables.iter().map(info).collect() {
                return self.laid_out(id, *size, infos);
            }
        }
        let size = match size.filter(|size| *size > 0 && !externs && all) {
            Some(size) => size,
            None => {
                self.set(id, 0, 0)?;
                self.set_kind(id, Kind::Struct, parts as u32)?;
                self.set(id, 2, parts as u32 * 4)?;
                for part in 0..parts {
                    let at = COMMON + part * PART;
                    self.set(id, at, 0)?;
                    self.set(id, at + 1, int)?;
                    self.set(id, at + 2, part as u32 * 32)?;
                }
                return Some(());
            }
        };
        let mut infos = Vec::with_capacity(parts);
        for (part, variable) in variables.iter().enumerate() {
            let at = COMMON + part * PART;
            let mut offset = self.get(id, at + 1)?;
            // Those that are not visible have their offsets, and so have all that a linker has been over.
            if self.get(id, 2)? == 0
                && let Some((value, _)) = layout.symbols.get(self.name(*variable)?)
            {
                offset = u32::try_from(*value).ok()?;
            }
            infos.push([offset, *variable as u32, self.get(id, at + 2)?]);
        }
        self.laid_out(id, size, infos)
    }

    /// Gives a section its size, and variables with their offsets and sizes.
    fn laid_out(&mut self, id: usize, size: u32, mut infos: Vec<[u32; 3]>) -> Option<()> {
        infos.sort_unstable();
        for (part, [offset, variable, size]) in infos.into_iter().enumerate() {
            let at = COMMON + part * PART;
            self.set(id, at, variable)?;
            self.set(id, at + 1, offset)?;
            self.set(id, at + 2, size)?;
        }
        self.set(id, 2, size)
    }

    /// Makes a type of a newer kind one of an older kind that is as large.
    fn plain(&mut self, id: usize, int: u32) -> Option<()> {
        let parts = self.parts(id)?;
        match self.kind(id)? {
            Kind::DeclTag => {
                self.set_kind(id, Kind::Int, 0)?;
                self.set(id, 2, 1)?;
                // 8 bits.
                self.set(id, COMMON, 8)
            }
            Kind::TypeTag => {
                self.set_kind(id, Kind::Const, 0)?;
                self.set(id, 0, 0)
            }
            Kind::Float => {
                self.set_kind(id, Kind::Struct, 0)?;
                self.set(id, 0, 0)
            }
            Kind::Enum => self.set_kind(id, Kind::Enum, parts as u32),
            Kind::Enum64 => {
                self.set_kind(id, Kind::Union, parts as u32)?;
                for part in 0..parts {
                    let at = COMMON + part * PART;
                    self.set(id, at + 1, int)?;
                    self.set(id, at + 2, 0)?;
                }
                Some(())
            }
            _ => Some(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::{Body, Btf, Builder, Linkage, Parameter, Variable};

    fn layout() -> Layout<'static> {
        Layout {
            sections: HashMap::from([(".data", 16), (".empty", 0)]),
            symbols: HashMap::from([
                ("first", (8, false)),
                ("second", (0, true)),
                ("f", (0, true)),
            ]),
            settings: None,
        }
    }

    /// Fills in the sizes and offsets that clang leaves 0, in the order that the kernel demands.
    #[test]
    fn sections_get_sizes_and_offsets() {
        let mut builder = Builder::new();
        let int = builder.int("int", 4, true);
        let prototype = builder.prototype(int, &[Parameter { name: "", of: int }]);
        let function = builder.global_function("f", prototype);
        let first = builder.variable("first", int);
        let second = builder.variable("second", int);
        let variables = [first, second].map(|of| Variable { of, offset: 0, size: 4 });
        let data = builder.section(".data", 0, &variables);
        let gone = builder.section(".gone", 0, &variables);
        let (new, plain) = for_kernels(&builder.finish().unwrap(), &layout()).unwrap();
        assert_eq!(new, plain);
        let btf = Btf::new(new).unwrap();
        let Body::Section { size, variables } = btf.get(data).unwrap().body else { panic!() };
        let variables: Vec<_> = variables.map(|one| (one.of, one.offset, one.size)).collect();
        assert_eq!((size, &variables[..]), (16, &[(second, 0, 4), (first, 8, 4)][..]));
        let linkage = |id| match btf.get(id).unwrap().body {
            Body::Variable { linkage, .. } | Body::Function { linkage, .. } => linkage,
            _ => panic!(),
        };
        assert_eq!(linkage(first), Linkage::Global);
        assert_eq!([second, function].map(linkage), [Linkage::Static; 2]);
        assert_eq!(btf.function(function).unwrap().parameters[0].name, "f");
        let gone = btf.get(gone).unwrap();
        assert!(gone.kind == Kind::Struct && gone.name.is_empty());
    }

    /// As libbpf lays them out: the variables keep their types, and the section gets offsets that no compiler knows.
    #[test]
    fn settings_of_the_kernel_are_a_section_with_a_place_for_each() {
        let (name, second, section) = (5, 10, 17);
        let variable = |name| [name, kind::VAR, 1, 2];
        let types = [
            &variable(name)[..],
            &variable(second),
            &[section, kind::DATASEC | 2, 0, 2, 0, 4, 3, 0, 4],
        ];
        let blob = blob(&types.concat(), "name\0second\0.kconfig");
        let settings = |all: &[(&str, (u32, u32))]| {
            let all = all.iter().map(|(name, place)| (name.to_string(), *place));
            Layout { settings: Some((8, all.collect())), ..layout() }
        };
        let both = settings(&[("name", (4, 4)), ("second", (0, 4))]);
        let (new, _) = for_kernels(&blob, &both).unwrap();
        let btf = Btf::new(new).unwrap();
        let Body::Section { size, variables } = btf.get(4).unwrap().body else { panic!() };
        let variables: Vec<_> = variables.map(|one| (one.of, one.offset, one.size)).collect();
        assert_eq!((size, &variables[..]), (8, &[(3, 0, 4), (2, 4, 4)][..]));
        let Body::Variable { linkage, of } = btf.get(2).unwrap().body else { panic!() };
        assert_eq!((linkage, of), (Linkage::Global, 1));
        // One has no place: nothing of it is used.
        let (new, _) = for_kernels(&blob, &settings(&[("name", (0, 4))])).unwrap();
        assert_eq!(Btf::new(new).unwrap().get(4).unwrap().kind, Kind::Struct);
    }

    /// The numbers of `BTF_KIND_*` in `include/uapi/linux/btf.h`.
    mod kind {
        pub const DATASEC: u32 = 15 << 24;
        pub const INT: u32 = 1 << 24;
        pub const STRUCT: u32 = 4 << 24;
        pub const UNION: u32 = 5 << 24;
        pub const ENUM: u32 = 6 << 24;
        pub const CONST: u32 = 10 << 24;
        pub const FUNC: u32 = 12 << 24;
        pub const FUNC_PROTO: u32 = 13 << 24;
        pub const VAR: u32 = 14 << 24;
        pub const FLOAT: u32 = 16 << 24;
        pub const DECL_TAG: u32 = 17 << 24;
        pub const TYPE_TAG: u32 = 18 << 24;
        pub const ENUM64: u32 = 19 << 24;
        /// `kind_flag`: of an enumeration, that its values are signed.
        pub const SIGNED: u32 = 1 << 31;
    }

    /// A blob with a signed `int` as type 1 and these words after it.
    fn blob(types: &[u32], strings: &str) -> Vec<u8> {
        let int = [1, kind::INT, 4, 0x0100_0020];
        let length = 4 * (int.len() + types.len()) as u32;
        let strings = format!("\0int\0{strings}\0");
        let header = [0x0001_eb9f, 24, 0, length, length, strings.len() as u32];
        let words = header.iter().chain(&int).chain(types);
        let mut blob: Vec<u8> = words.flat_map(|word| word.to_ne_bytes()).collect();
        blob.extend(strings.as_bytes());
        blob
    }

    /// Every kind that is newer than Linux 5.2 becomes the one that libbpf makes of it, as large and with the same number; a kernel that
    /// knows the kind gets it as it is.
    #[test]
    fn kinds_that_an_old_kernel_does_not_know_become_older_ones() {
        let none = Layout { sections: HashMap::new(), symbols: HashMap::new(), settings: None };
        let (name, other) = (5, 10);
        let rows: [(&str, &[u32], &[u32]); 6] = [
            ("float", &[name, kind::FLOAT, 8], &[0, kind::STRUCT, 8]),
            ("type tag", &[name, kind::TYPE_TAG, 1], &[0, kind::CONST, 1]),
            // Of the whole declaration: component -1.
            ("decl tag", &[name, kind::DECL_TAG, 1, u32::MAX], &[name, kind::INT, 1, 8]),
            (
                "enum64",
                &[name, kind::ENUM64 | kind::SIGNED | 1, 8, other, 7, 1],
                &[name, kind::UNION | 1, 8, other, 1, 0],
            ),
            (
                "signed enum",
                &[name, kind::ENUM | kind::SIGNED | 1, 4, other, u32::MAX],
                &[name, kind::ENUM | 1, 4, other, u32::MAX],
            ),
            ("enum", &[name, kind::ENUM | 1, 4, other, 3], &[name, kind::ENUM | 1, 4, other, 3]),
        ];
        for (what, types, expected) in rows {
            let given = blob(types, "name\0other");
            let (new, plain) = for_kernels(&given, &none).unwrap();
            assert_eq!(new, given, "{what}");
            assert_eq!(plain, blob(expected, "name\0other"), "{what}");
        }
    }

    /// No kernel takes what is defined elsewhere; of functions and variables that nobody outside sees, the callers are known.
    #[test]
    fn what_is_defined_elsewhere_becomes_global_and_what_is_hidden_static() {
        let (function, variable) = (5, 7);
        let layout = |hidden| Layout {
            sections: HashMap::new(),
            symbols: HashMap::from([("f", (0, hidden)), ("v", (0, hidden))]),
            settings: None,
        };
        let types = |linkage| {
            let prototype = [0, kind::FUNC_PROTO, 1];
            let function = [function, kind::FUNC | linkage, 2];
            [&prototype[..], &function, &[variable, kind::VAR, 1, linkage]].concat()
        };
        let (fixed, global, external) = (0, 1, 2);
        for (hidden, linkage, expected) in [
            (false, fixed, fixed),
            (false, global, global),
            (false, external, global),
            (true, global, fixed),
            (true, fixed, fixed),
        ] {
            let given = blob(&types(linkage), "f\0v");
            let (new, plain) = for_kernels(&given, &layout(hidden)).unwrap();
            assert_eq!(new, blob(&types(expected), "f\0v"), "{hidden} {linkage}");
            // The older blob keeps them: Linux 5.6 knows them.
            assert_eq!(plain, new);
        }
    }

    #[test]
    fn what_is_malformed_is_none() {
        let mut builder = Builder::new();
        builder.int("int", 4, true);
        let blob = builder.finish().unwrap();
        for length in 0..blob.len() {
            assert!(for_kernels(&blob[..length], &layout()).is_none(), "{length}");
        }
        for (at, value) in [(12, 15_u32), (12, 12), (28, 0xff00_0000), (20, 99)] {
            let mut wrong = blob.clone();
            wrong[at..at + 4].copy_from_slice(&value.to_ne_bytes());
            assert!(for_kernels(&wrong, &layout()).is_none(), "{at}");
        }
    }
}
