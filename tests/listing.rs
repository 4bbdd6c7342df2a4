//! Listings that real kernels made of a program are assembled back to what was loaded. `sample.s` was loaded with a log
//! on 6.18 and 7.3 and dumped by `bpftool prog dump xlated` on 6.18; `sample-5.10.s` is the same without the atomics
//! that came with 5.12.

use rawbpf::asm::{ParseOptions, parse};
use rawbpf::insn::Insn;

const SAMPLE: &str = include_str!("vectors/listing/sample.s");
const SAMPLE_5_10: &str = include_str!("vectors/listing/sample-5.10.s");

fn slots(text: &str) -> Vec<Insn> {
    let module = parse(text, "listing", &ParseOptions::new()).unwrap_or_else(|e| panic!("{e}"));
    let [program] = module.programs() else { panic!("not one program") };
    program.slots().to_vec()
}

#[test]
fn verifier_logs_are_read_back() {
    assert_eq!(slots(include_str!("vectors/listing/log-6.18.txt")), slots(SAMPLE));
    assert_eq!(slots(include_str!("vectors/listing/log-7.3.txt")), slots(SAMPLE));
    assert_eq!(slots(include_str!("vectors/listing/log-5.10.txt")), slots(SAMPLE_5_10));
}

#[test]
fn a_dump_of_bpftool_is_read_back() {
    assert_eq!(slots(include_str!("vectors/listing/xlated-6.18.txt")), slots(SAMPLE));
}

/// The error about a part of a listing that cannot be used again says why.
#[test]
fn what_only_its_kernel_knows_is_refused() {
    let refused = [
        ("0: (18) r1 = map[id:5]", "`map[id:5]` is a map of the kernel that wrote this"),
        ("0: (18) r1 = map[id:5][0]+16", "is a map of the kernel that wrote this"),
        ("0: (18) r1 = 0xffff888103400000", "is an address in the kernel that wrote this"),
        (
            "0: (18) r1 = 0xffff888103400000       ; R1_w=map_ptr(map=m,ks=4,vs=8)",
            "is an address in the kernel that wrote this",
        ),
        (
            "0: (18) r1 = 0xffff0000ffff0001      ; R2=5",
            "is an address in the kernel that wrote this",
        ),
        ("1: (95) exit", "instruction 0 is missing"),
        ("0: (b7) r0 = r1", "is not what the opcode before it says"),
        ("0: (b7) r0 = 0\n0: (b7) r0 = 1", "is not what this listing said before"),
        ("0: (85) call bpf_trace_printk#7", "`7` is not the number of the helper of that name"),
        ("0: (79) r0 = *(u64 *)(r11 +0)", "`r11` is not supported: by r11 a sixth argument"),
    ];
    for (listing, why) in refused {
        let mistakes = parse(listing, "listing", &ParseOptions::new()).unwrap_err();
        assert!(mistakes.to_string().contains(why), "{listing}: {mistakes}");
    }
}

/// Forms that the kernel writes and the language itself does not accept: the opcode decides.
#[test]
fn the_opcode_says_what_the_text_does_not() {
    for (listing, text) in [
        ("0: (15) if r0 == 0xffffffff goto pc+1", "if r0 == -1 goto +1"),
        (
            "0: (c3) r3 = atomic_fetch_xor((u32 *)(r10 -16), r3)",
            "w3 = atomic_fetch_xor((u32 *)(r10 - 16), w3)",
        ),
        ("0: (18) r0 = 0x5", "r0 = 5 ll"),
        // Numbers that are high, and no addresses: the masks of a half, of a quarter, and those beyond all maps.
        ("0: (18) r1 = 0xffffffff00000000", "r1 = 0xffffffff00000000 ll"),
        ("0: (18) r1 = 0xffff000000000000", "r1 = 0xffff000000000000 ll"),
        ("0: (18) r1 = 0xffffffff80000001", "r1 = -2147483647 ll"),
        ("0: (18) r1 = 0xfffffffffffffff0", "r1 = -16 ll"),
        // What the log says of the register tells a number from an address: 6.18's words, and 5.10's.
        (
            "0: (18) r1 = 0xffff0000ffff0000      ; R1_w=0xffff0000ffff0000",
            "r1 = 0xffff0000ffff0000 ll",
        ),
        (
            "0: (18) r1 = 0xffff0000ffff0001      ; R1=-281470681808895",
            "r1 = 0xffff0000ffff0001 ll",
        ),
        (
            "0: (18) r1 = 0xffff0000ffff0001      ; R1_w=inv-281470681808895",
            "r1 = 0xffff0000ffff0001 ll",
        ),
        ("0: (18) r2 = subprog[+3]", "ld_pseudo r2, 4, 3"),
        ("0: (85) call bpf_ktime_get_ns#5", "call ktime_get_ns"),
        ("0: (85) call bpf_ktime_get_ns#269520", "call 5"),
        ("0: (85) call bpf_task_acquire#33434", "call kfunc 33434"),
        ("0: (b7) r0 = 0                       ; R0_w=0", "r0 = 0"),
    ] {
        assert_eq!(slots(listing), slots(text), "{listing}");
    }
}
