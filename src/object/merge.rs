//! Several objects linked into one, by the rules of `bpftool gen object`.

mod agree;
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
    /// What messages call it.
    file: &'d str,
    raw: Raw<'d>,
    btf: Option<Btf>,
    /// For each of its sections, the number of the one that it becomes part of, and where.
    places: Vec<(usize, u64)>,
    /// For each of its symbols, the number of the one that it becomes.
    symbols: Vec<usize>,
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
    /// is `static` stays that of its object. All have to have the same license, if they have one.
    ///
    /// ```no_run
    /// use rawbpf::object::Object;
    ///
    /// let [main, counts] = ["main.o", "counts.o"].map(|file| std::fs::read(file).map(|bytes| (file, bytes)));
    /// let (main, counts) = (main?, counts?);
    /// let object = Object::link(&[(main.0, &main.1), (counts.0, &counts.1)])?;
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
    let mut problems = Vec::new();
    for input in inputs.iter().filter(|input| input.raw.order != order) {
        problems.push(format!(
            "{} and {} are for machines of different byte orders",
            shown(first.file),
            shown(input.file)
        ));
    }
    if !problems.is_empty() {
        return Err(LinkError::Conflicts { problems });
    }
    let mut sections = Sections::default();
    for index in 0..inputs.len() {
        sections.add(inputs, index, &mut problems);
    }
    let described: Vec<_> =
        inputs.iter().map(|input| input.btf.as_ref().map(described).unwrap_or_default()).collect();
    let mut symbols = Symbols::new(&described);
    let mut numbers = Vec::with_capacity(inputs.len());
    for index in 0..inputs.len() {
        numbers.push(symbols.add(inputs, index, &mut problems));
    }
    symbols.undefined(inputs, &mut problems);
    if !problems.is_empty() {
        return Err(LinkError::Conflicts { problems });
    }
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
