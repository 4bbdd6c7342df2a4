//! Declarations of variables and functions of the kernel, in the BTF of an object.

use crate::btf::{Body, Btf, Kind};
use crate::spec::RelocKind;
use std::collections::HashMap;

/// A declaration of something that is not in the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Declaration {
    /// A function of the kernel, with the BTF id of its prototype.
    Function(u32),
    /// A variable of the kernel, with the BTF id of its type.
    Variable(u32),
    /// A symbol of the kernel without a type.
    Symbol,
}

impl Declaration {
    /// Returns the kind of relocation of an address of it, and the BTF id of its type.
    pub(super) fn address(self) -> (RelocKind, u32) {
        match self {
            Declaration::Function(of) => (RelocKind::FunctionAddress, of),
            Declaration::Variable(of) => (RelocKind::Variable, of),
            Declaration::Symbol => (RelocKind::Symbol, 0),
        }
    }
}

/// Returns the declarations in the sections that libbpf fills in, by their names.
pub(super) fn externs(btf: &Btf) -> HashMap<&str, Declaration> {
    let mut found = HashMap::new();
    for section in btf.types().flatten().filter(|section| section.kind == Kind::Section) {
        let Body::Section { variables, .. } = section.body else { continue };
        for one in variables {
            let Ok(one) = btf.get(one.of) else { continue };
            let declaration = match (section.name, one.body) {
                (".ksyms", Body::Function { prototype, .. }) => Declaration::Function(prototype),
                (".ksyms", Body::Variable { of, .. }) => match btf.resolve(of) {
                    Ok(of) if of.kind == Kind::Void => Declaration::Symbol,
                    Ok(_) => Declaration::Variable(of),
                    Err(_) => continue,
                },
                _ => continue,
            };
            found.insert(one.name, declaration);
        }
    }
    found
}
