//! Bytes as an object for BPF: everything that is read of it, for fuzzing.

use rawbpf::asm::{ParseOptions, parse};
use rawbpf::insn::Op;
use rawbpf::object::Object;

/// Reads an object. What is made of it can be assembled, to the same instructions but for what addresses and calls name.
pub fn read_all(bytes: &[u8]) {
    let Ok(object) = Object::read(bytes) else { return };
    for bytes in [false, true] {
        let text = object.text(bytes);
        let options = ParseOptions::new().order(object.order());
        let module = parse(&text, "object.s", &options)
            .unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"));
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
    }
}
