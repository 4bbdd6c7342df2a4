//! Bytes, as slots of either byte order: what decodes is encoded to the same bytes, and printed to a text that
//! is assembled to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rawbpf::asm::{ParseOptions, PrintOptions, Style, disassemble, parse};
use rawbpf::insn::{ByteOrder, Insn, Op};

fuzz_target!(|bytes: &[u8]| {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let slots: Vec<Insn> = bytes
            .as_chunks()
            .0
            .iter()
            .map(|slot| {
                let insn = Insn::from_bytes(*slot, order);
                assert_eq!(insn.to_bytes(order), *slot);
                insn
            })
            .collect();
        let mut at = 0;
        while let Some(rest) = slots.get(at..).filter(|rest| !rest.is_empty()) {
            let Ok(op) = Op::decode(rest) else { break };
            assert_eq!(op.encode().as_slice(), &rest[..op.slots()]);
            at += op.slots();
        }
        if at == 0 {
            continue;
        }
        // As far as it decodes, it is a program, whose jumps may lead anywhere.
        let slots = &slots[..at];
        let text = disassemble(slots, &PrintOptions::default()).expect("it decodes");
        let module =
            parse(&text, "fuzz", &ParseOptions::new()).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(module.programs()[0].slots(), slots, "{text}");
        let options = PrintOptions { style: Style::Kernel, ..PrintOptions::default() };
        disassemble(slots, &options).expect("it decodes");
    }
});
