//! Bytes as an object for BPF: everything that is read of it, for fuzzing.

use rawbpf::asm::{Collection, CollectionProgram, ParseOptions, RelocKind, parse};
use rawbpf::insn::{ByteOrder, Op};
use rawbpf::object::{Object, ObjectError};
use rawbpf::{MapFlags, MapSpec, MapType};
use std::sync::OnceLock;

/// Reads an object. What is made of it can be assembled, to the same instructions but for what addresses and calls name; and
/// what is loaded of it is the same, whether it goes through the text or not. Returns what was read.
pub fn read_all(bytes: &[u8]) -> Option<Object> {
    link_all(bytes);
    let object = Object::read(bytes).ok()?;
    let collection = object.collection("object.o");
    let unsaid = object.unsaid();
    for bytes in [false, true] {
        let text = object.text(bytes);
        let options = ParseOptions::new().order(object.order());
        let module = match parse(&text, "object.s", &options) {
            Ok(module) => module,
            Err(mistakes) => {
                // Only what has slots that are no instructions cannot be assembled, and it is not loaded: a function that no program
                // calls may have them.
                let mistakes = mistakes.to_string();
                let shown = mistakes.contains("error: `unknown` is not an instruction");
                let mut said = unsaid.iter().filter(|what| what.contains("this is no instruction"));
                assert!(shown && said.clone().next().is_some(), "{mistakes}\n{text}");
                if let Ok(collection) = &collection {
                    assert!(said.all(|what| is_left_out(what, collection)), "{mistakes}\n{text}");
                }
                continue;
            }
        };
        assert_eq!(module.programs().len(), object.programs().len(), "{text}");
        for (ours, theirs) in module.programs().iter().zip(object.programs()) {
            assert_eq!(ours.name(), theirs.name());
            assert_eq!(ours.slots().len(), theirs.slots().len(), "{text}");
            let mut at = 0;
            while let Some(rest) = theirs.slots().get(at..).filter(|rest| !rest.is_empty()) {
                let op = Op::decode(rest).unwrap();
                let filled_in = matches!(op, Op::LoadImm64 { .. } | Op::CallLocal { .. });
                let range = at..at + op.slots();
                if !filled_in {
                    assert_eq!(ours.slots()[range.clone()], theirs.slots()[range], "{op}\n{text}");
                }
                at += op.slots();
            }
        }
        match &collection {
            Ok(collection) => {
                let known =
                    unsaid.iter().all(|what| only_of_text(what) || is_left_out(what, collection));
                assert!(known && object.order() == ByteOrder::NATIVE, "{unsaid:?}");
                same(collection, &module, &text, &unsaid);
            }
            Err(ObjectError::Order) => assert_ne!(object.order(), ByteOrder::NATIVE),
            Err(ObjectError::Unsaid { what }) => {
                let rest = unsaid.iter().filter(|one| !what.contains(one));
                // What programs are left out is not known here.
                let known = |one: &String| only_of_text(one) || of_program(one).is_some();
                assert!(!what.is_empty() && rest.clone().all(known));
                assert_eq!(what.len() + rest.count(), unsaid.len(), "{what:?} {unsaid:?}");
            }
            Err(error) => panic!("{error}\n{text}"),
        }
    }
    drop(collection);
    Some(object)
}

/// The program that a remark is about.
fn of_program(what: &str) -> Option<&str> {
    Some(what.strip_prefix("program ")?.split_once(", slot")?.0)
}

/// Whether a remark is about a function that no program calls, which is not loaded.
fn is_left_out(what: &str, collection: &Collection<'_>) -> bool {
    of_program(what).is_some_and(|name| collection.program(name).is_err())
}

/// An object that is in order, of a byte order.
fn other(order: ByteOrder) -> &'static [u8] {
    static OBJECTS: [OnceLock<Vec<u8>>; 2] = [const { OnceLock::new() }; 2];
    let [little, big] = &OBJECTS;
    let object = if order == ByteOrder::Little { little } else { big };
    object.get_or_init(|| {
        let text = ".map of_other, hash, key=4, value=8, max=1\n.data\nof_other_too: .quad 1\n.text\n.program other_program, xdp\nr1 = of_other_too ll\nr0 = 2\nexit\n";
        let module = parse(text, "other.s", &ParseOptions::new().order(order)).unwrap();
        rawbpf::object::write(&module, "other.s", order).unwrap()
    })
}

/// Links an object with one that is in order, before it and behind it, and with itself.
fn link_all(bytes: &[u8]) {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let other = other(order);
        for pair in [[bytes, other], [other, bytes]] {
            if let Some(object) = link(pair) {
                assert!(pair[1] != other || object.text(false).contains("other_program"));
            }
        }
    }
    link([bytes, bytes]);
}

fn link([one, two]: [&[u8]; 2]) -> Option<Object> {
    let object = Object::link(&[("one.o", one), ("two.o", two)]).ok()?;
    let _ = object.collection("linked.o");
    Some(object)
}

/// Whether a text has no words for something that a collection has: some CO-RE relocations, addresses of the kernel's, its settings, calls
/// of what can be missing, and part of the definitions of maps.
fn only_of_text(what: &str) -> bool {
    let within = [
        ": CO-RE: ",
        ": the address of something elsewhere, ",
        ": the address of jump table `",
        ": the address of a setting of the kernel, ",
        ", which can be missing (weak)",
        ": pinning is ",
        ": numa_node is ",
        ": it has values",
        ": its exceptions are handled by ",
        "struct_ops",
        "left out: the address of ",
        "left out: variables of arena ",
        "` in the arena",
    ];
    let flavour = what.contains(": a call of ") && what.ends_with(" in the kernel");
    flavour || within.iter().any(|part| what.contains(part)) || what.ends_with(" of section .maps")
}

/// Whether a program of an object has its functions in the order of its text: it is loaded in the order of the calls.
fn in_order(ours: &CollectionProgram<'_>, theirs: &CollectionProgram<'_>) -> bool {
    let names = |program: &CollectionProgram<'_>| -> Vec<String> {
        program.code().labels.iter().map(|(_, name)| name.to_owned()).collect()
    };
    let ours = names(ours);
    let theirs = names(theirs).into_iter().filter(|name| ours.contains(name));
    theirs.collect::<Vec<_>>() == ours
}

/// The flags without which no kernel makes a map of that type: a text that says none has them.
fn required(kind: MapType) -> MapFlags {
    match kind {
        MapType::LpmTrie
        | MapType::SkStorage
        | MapType::InodeStorage
        | MapType::TaskStorage
        | MapType::CgrpStorage
        | MapType::Rhash => MapFlags::NO_PREALLOC,
        MapType::Arena => MapFlags::MMAPABLE,
        _ => MapFlags::empty(),
    }
}

/// Holds an object and its text to be the same.
fn same(object: &Collection<'_>, text: &Collection<'_>, listing: &str, unsaid: &[String]) {
    assert_eq!(object.license(), text.license(), "{listing}");
    // What a text does not say: BTF, pins, nodes, and structs of functions.
    let is_said = |map: &&MapSpec<'_>| map.kind != MapType::StructOps;
    let said = object.maps().iter().filter(is_said);
    let said = said.map(|map| {
        let flags = if map.flags.is_empty() { required(map.kind) } else { map.flags };
        MapSpec { flags, object: None, pin: None, numa_node: None, ..*map }
    });
    let listed = text.maps().iter().filter(is_said).copied();
    assert_eq!(said.collect::<Vec<_>>(), listed.collect::<Vec<_>>(), "{listing}");
    let (data, expected) = (object.data(), text.data());
    // A text has one section of each kind.
    if data.more.is_empty() {
        assert_eq!(object.variables(), text.variables(), "{listing}");
        assert_eq!(data.rodata, expected.rodata, "{listing}");
        assert_eq!(data.data, expected.data, "{listing}");
        assert_eq!(data.bss, expected.bss, "{listing}");
    }
    for ours in object.programs() {
        let theirs = text.program(ours.name()).unwrap();
        assert_eq!((ours.name(), ours.target()), (theirs.name(), theirs.target()), "{listing}");
        assert_eq!(ours.slots().len(), theirs.slots().len(), "{listing}");
        if !data.more.is_empty() || !in_order(ours, theirs) {
            continue;
        }
        // Whoever loads it makes the address of a setting one in a map, as that of a jump table.
        let of_map = |kind| matches!(kind, RelocKind::Kconfig | RelocKind::JumpTable);
        let settings = ours.relocations().iter().filter(|one| of_map(one.kind));
        let settings: Vec<_> = settings.map(|one| one.slot as usize).collect();
        let of_setting = |slot| settings.iter().any(|one| (*one..one + 2).contains(&slot));
        for (slot, (ours, theirs)) in ours.slots().iter().zip(theirs.slots()).enumerate() {
            assert!(ours == theirs || of_setting(slot), "{slot}\n{listing}");
        }
        let relocations = |collection: &Collection<'_>, name: &str| -> Vec<_> {
            let relocations = collection.program(name).unwrap().relocations().iter();
            relocations.map(|one| (one.slot, one.field, one.kind, one.name())).collect()
        };
        let (mut all, listed) = (relocations(object, ours.name()), relocations(text, ours.name()));
        // What is remarked on is not in the text.
        let remarked = |slot: u32| {
            let place = format!("program {}, slot {slot}", ours.name());
            let at = |what: &String| {
                what.strip_prefix(&place).is_some_and(|rest| rest.starts_with([' ', ':']))
            };
            unsaid.iter().any(|what| at(what) && what.contains(": CO-RE: "))
        };
        all.retain(|(slot, _, kind, _)| match kind {
            RelocKind::Core => !remarked(*slot),
            RelocKind::Variable
            | RelocKind::FunctionAddress
            | RelocKind::Symbol
            | RelocKind::Kconfig
            | RelocKind::JumpTable => false,
            _ => true,
        });
        // The object's types say more than the name that the text has for them.
        for (one, (_, _, kind, name)) in all.iter_mut().zip(&listed) {
            if one.2 == RelocKind::Core {
                let called = match kind {
                    RelocKind::Size => format!("sizeof({name})"),
                    RelocKind::Exists => format!("exists({name})"),
                    _ => name.clone(),
                };
                assert_eq!(one.3, called, "{listing}");
                (one.2, one.3) = (*kind, name.clone());
            }
        }
        assert_eq!(all, listed, "{listing}");
        // A text has labels for jumps besides.
        let (code, listed) = (ours.code(), theirs.code());
        for (slot, name) in code.labels.iter() {
            assert!(listed.labels.iter().any(|label| label == (slot, name)), "{name}\n{listing}");
        }
    }
}
