//! Reads bytes that may be BTF: the body of a fuzz target and of a test.

use rawbpf::btf::{Body, Btf, Type};
use std::sync::Arc;

/// The number of types that are asked for by name and path.
const ASKED: usize = 48;

/// Reads all there is to read in a blob, and asks for what it names. Nothing that is wrong with it may lead to a panic,
/// and nothing that was read may contradict itself.
pub(crate) fn read_all(bytes: &[u8]) {
    let Ok(btf) = Btf::new(bytes.to_vec()) else { return };
    ask(&btf);
    // The same bytes once more, as a module of themselves.
    if let Ok(module) = Btf::split(bytes.to_vec(), Arc::new(btf)) {
        ask(&module);
    }
}

fn ask(btf: &Btf) {
    let mut count = 0;
    for found in btf.types() {
        count += 1;
        let Ok(found) = found else { continue };
        let again = btf.get(found.id).expect("it was there");
        assert_eq!((again.name, again.kind), (found.name, found.kind));
        let parts = parts(&found);
        if count > ASKED {
            continue;
        }
        let _ = (btf.resolve(found.id), btf.function(found.id), btf.size_of(found.name));
        for name in parts.iter().take(8) {
            let _ = btf.field(&format!("{}.{name}", found.name));
            let _ = btf.field(&format!("{}.{name}[1].{name}", found.name));
            let _ = btf.enumerator(found.name, name);
        }
        let _ = btf.exists(found.name);
        let _ = btf.type_id(found.name, found.kind);
        let _ = btf.any_enumerator(found.name);
        let _ = btf.declaration(found.id, found.name);
    }
    let below = btf.base().map_or(1, |base| base.end());
    assert_eq!(btf.end(), below + count as u32);
    assert!(btf.get(btf.end()).is_err());
}

/// The names of a type's parts; all of them are looked at.
fn parts<'a>(found: &Type<'a>) -> Vec<&'a str> {
    match found.body {
        Body::Composite { members, .. } => members.flatten().map(|part| part.name).collect(),
        Body::Enum { values, .. } => values.flatten().map(|part| part.name).collect(),
        Body::Prototype { parameters, .. } => parameters.flatten().map(|part| part.name).collect(),
        Body::Section { variables, .. } => {
            let _ = variables.last();
            Vec::new()
        }
        _ => Vec::new(),
    }
}
