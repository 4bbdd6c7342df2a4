//! Global functions that take the context of a program (`__arg_ctx`, the tag `arg:ctx`), for kernels before 6.8, which do not read that tag: the
//! functions get a prototype with the struct by whose name such a kernel knows a context.

use super::context::context_name;
use super::types::KINDS;
use super::{Body, Btf, Kind, Linkage};
use crate::spec::ObjectTypes;
use crate::uapi::ProgramType;
use std::collections::HashMap;
use std::sync::Arc;

/// The tag on the argument.
const TAG: &str = "arg:ctx";

/// The bytes of a type before those of its kind, and of a parameter.
const COMMON: usize = 12;
const PARAMETER: usize = 8;

/// The struct of the processor's registers that `bpf_user_pt_regs_t` is.
const REGISTERS: &str = if cfg!(target_arch = "x86_64") {
    "pt_regs"
} else if cfg!(target_arch = "aarch64") {
    "user_pt_regs"
} else if cfg!(target_arch = "riscv64") {
    "user_regs_struct"
} else {
    ""
};

/// Returns the types and the functions (`func_info`) of a program of this type with other prototypes for its functions that have the
/// tag; `None` if none has to be changed.
pub(crate) fn with_contexts(
    types: &ObjectTypes,
    functions: &[[u32; 2]],
    kind: ProgramType,
) -> Option<(ObjectTypes, Vec<[u32; 2]>)> {
    let name = context_name(kind)?;
    if !types.blob.windows(TAG.len()).any(|bytes| bytes == TAG.as_bytes()) {
        return None;
    }
    let btf = Btf::new(types.blob.to_vec()).ok()?;
    let mut arguments: HashMap<u32, Vec<u32>> = HashMap::new();
    for tag in btf.types().flatten() {
        let Body::DeclTag { of, part: Some(part) } = tag.body else { continue };
        if tag.name == TAG
            && functions.iter().any(|[_, id]| *id == of)
            && is_other(&btf, of, part, kind, name).unwrap_or(false)
        {
            arguments.entry(of).or_default().push(part);
        }
    }
    if arguments.is_empty() {
        return None;
    }
    let mut arguments: Vec<_> = arguments.into_iter().collect();
    arguments.sort_unstable();
    let (blob, changed) = appended(&types.blob, name, &arguments)?;
    let (plain, _) = appended(&types.plain, name, &arguments)?;
    let (blob, plain) = (Arc::from(blob), Arc::from(plain));
    let own = |[slot, id]: &[u32; 2]| [*slot, changed.get(id).copied().unwrap_or(*id)];
    Some((ObjectTypes { blob, plain }, functions.iter().map(own).collect()))
}

/// Whether an argument of a global function has another type than the kernel knows for a context, and one that libbpf replaces.
fn is_other(btf: &Btf, function: u32, index: u32, kind: ProgramType, name: &str) -> Option<bool> {
    let Body::Function { prototype, linkage: Linkage::Global } = btf.get(function).ok()?.body
    else {
        return None;
    };
    let Body::Prototype { mut parameters, .. } = btf.get(prototype).ok()?.body else { return None };
    let parameter = parameters.nth(index as usize)?.ok()?;
    let Body::Pointer(mut to) = btf.resolve(parameter.of).ok()?.body else { return None };
    let registers = matches!(kind, ProgramType::Kprobe | ProgramType::PerfEvent);
    // Chains of types end, or `resolve` would have said so.
    btf.resolve(to).ok()?;
    while let found = btf.get(to).ok()?
        && let Body::Alias(next) = found.body
    {
        if found.kind == Kind::Typedef && registers && found.name == "bpf_user_pt_regs_t" {
            return None;
        }
        to = next;
    }
    let found = btf.get(to).ok()?;
    Some(match (found.kind, kind) {
        (Kind::Void, _) => true,
        (Kind::Struct, ProgramType::Kprobe) => found.name == "pt_regs",
        (Kind::Struct, ProgramType::PerfEvent) => found.name == REGISTERS && found.name != name,
        (Kind::Int, ProgramType::RawTracepoint | ProgramType::RawTracepointWritable) => {
            matches!(found.body, Body::Int { size: 8, .. })
        }
        _ => false,
    })
}

/// Returns a blob with a struct of that name, and functions whose arguments point to it, behind all other types; and the BTF ids of
/// these functions, by those that they are made after.
fn appended(
    blob: &[u8],
    name: &str,
    arguments: &[(u32, Vec<u32>)],
) -> Option<(Vec<u8>, HashMap<u32, u32>)> {
    let word = |at: usize| {
        let bytes = *blob.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_ne_bytes(bytes) as usize)
    };
    let (header, types_len, strings_len) = (word(4)?, word(12)?, word(20)?);
    // One behind the other, as it was checked when the file was read.
    if word(8)? != 0 || word(16)? != types_len {
        return None;
    }
    let types = blob.get(header..header.checked_add(types_len)?)?;
    let strings = header + types_len;
    let strings = blob.get(strings..strings.checked_add(strings_len)?)?;
    let starts = starts(types)?;
    let get = |id: u32| {
        let (start, end) = (*starts.get(id as usize)?, *starts.get(id as usize + 1)?);
        let (words, _) = types.get(start..end)?.as_chunks::<4>();
        Some(words.iter().map(|bytes| u32::from_ne_bytes(*bytes)).collect::<Vec<u32>>())
    };
    let mut next = u32::try_from(starts.len()).ok()?.checked_sub(1)?;
    let kind = |kind: Kind| (kind as u32) << 24;
    let mut more = vec![strings_len as u32, kind(Kind::Struct), 0, 0, kind(Kind::Pointer), next];
    let pointer = next + 1;
    next += 2;
    let mut changed = HashMap::new();
    for (function, indices) in arguments {
        let function_words = get(*function)?;
        let mut prototype = get(*function_words.get(2)?)?;
        for index in indices {
            let at = (COMMON + PARAMETER * *index as usize) / 4 + 1;
            *prototype.get_mut(at)? = pointer;
        }
        more.extend(prototype);
        more.extend([*function_words.first()?, *function_words.get(1)?, next]);
        changed.insert(*function, next + 1);
        next += 2;
    }
    let more: Vec<u8> = more.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let mut out = blob.get(..header)?.to_vec();
    for (at, value) in [
        (12, types_len + more.len()),
        (16, types_len + more.len()),
        (20, strings_len + name.len() + 1),
    ] {
        out.get_mut(at..at + 4)?.copy_from_slice(&u32::try_from(value).ok()?.to_ne_bytes());
    }
    for part in [types, &more, strings, name.as_bytes(), &[0]] {
        out.extend_from_slice(part);
    }
    Some((out, changed))
}

/// Returns where each type begins, by its number, and where the last one ends; type 0 is nowhere.
fn starts(types: &[u8]) -> Option<Vec<usize>> {
    let (mut starts, mut at) = (vec![0], 0);
    while at < types.len() {
        starts.push(at);
        let info = u32::from_ne_bytes(*types.get(at + 4..)?.first_chunk::<4>()?);
        let (_, _, fixed, each) = *KINDS.get((info >> 24 & 0x1f) as usize)?;
        at += COMMON + fixed + each * (info & 0xffff) as usize;
    }
    starts.push(at);
    (at == types.len()).then_some(starts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::{Builder, Parameter};

    /// A function with two pointers, of which the tag is on the first; and its types, as an object file has them.
    fn tagged(make: impl Fn(&mut Builder) -> u32) -> (ObjectTypes, u32) {
        let mut builder = Builder::new();
        let int = builder.int("int", 4, true);
        let to = make(&mut builder);
        let (first, second) = (builder.pointer(to), builder.pointer(int));
        let parameters =
            [Parameter { name: "ctx", of: first }, Parameter { name: "other", of: second }];
        let prototype = builder.prototype(int, &parameters);
        let function = builder.global_function("called", prototype);
        // BTF_KIND_DECL_TAG; the number behind it is that of the parameter.
        builder.append(TAG, 17 << 24, &[function, 0]);
        let blob: Arc<[u8]> = builder.finish().unwrap().into();
        (ObjectTypes { plain: Arc::clone(&blob), blob }, function)
    }

    /// Returns the name of the struct that the first parameter points to, and the BTF id of its type.
    fn first_struct(types: &ObjectTypes, function: u32) -> (String, u32) {
        let btf = Btf::new(types.blob.to_vec()).unwrap();
        let found = btf.get(function).unwrap();
        let Body::Function { prototype, linkage: Linkage::Global } = found.body else { panic!() };
        assert_eq!(found.name, "called");
        let Body::Prototype { parameters, .. } = btf.get(prototype).unwrap().body else { panic!() };
        let all: Vec<_> = parameters.map(|one| one.unwrap()).collect();
        assert_eq!((all[0].name, all[1].name), ("ctx", "other"));
        let to = |of: u32| match btf.get(of).unwrap().body {
            Body::Pointer(to) => btf.get(to).unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(to(all[1].of).name, "int");
        (to(all[0].of).name.to_owned(), all[0].of)
    }

    /// The cases of libbpf's `need_func_arg_type_fixup()`.
    #[test]
    fn arguments_get_the_struct_by_which_old_kernels_know_a_context() {
        use ProgramType::*;
        let void = |_: &mut Builder| 0;
        let word = |builder: &mut Builder| builder.int("unsigned long long", 8, false);
        let registers = |builder: &mut Builder| builder.composite("pt_regs", false, 8, &[]);
        let own = |builder: &mut Builder| builder.composite("xdp_md", false, 8, &[]);
        let typedef = |builder: &mut Builder| {
            let of = builder.composite("pt_regs", false, 8, &[]);
            builder.typedef("bpf_user_pt_regs_t", of)
        };
        type Make<'m> = &'m dyn Fn(&mut Builder) -> u32;
        let rows: [(Make<'_>, ProgramType, Option<&str>); 9] = [
            (&void, Xdp, Some("xdp_md")),
            (&void, SchedCls, Some("__sk_buff")),
            (&void, Tracing, None),
            (&own, Xdp, None),
            (&own, SchedCls, None),
            (&registers, Kprobe, Some("bpf_user_pt_regs_t")),
            (&typedef, Kprobe, None),
            (&word, RawTracepoint, Some("bpf_raw_tracepoint_args")),
            (&word, Kprobe, None),
        ];
        for (make, kind, expected) in rows {
            let (types, function) = tagged(make);
            // The program itself, whose function has no tag, and the other one behind it.
            let found = with_contexts(&types, &[[0, function - 1], [7, function]], kind);
            let Some(expected) = expected else {
                assert!(found.is_none(), "{kind}");
                continue;
            };
            let (changed, functions) = found.unwrap();
            let [[0, main], [7, other]] = functions[..] else { panic!("{functions:?}") };
            assert_eq!(main, function - 1);
            assert_eq!(first_struct(&changed, other).0, expected, "{kind}");
            // What was there is as it was.
            assert_eq!(first_struct(&changed, function).1, first_struct(&types, function).1);
            assert_eq!(changed.plain, changed.blob);
        }
        // A function that this program does not call is none of its own.
        let (types, function) = tagged(void);
        assert!(with_contexts(&types, &[[0, function - 1]], Xdp).is_none());
    }
}
