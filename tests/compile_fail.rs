//! A mistake in `bpf!` is a compile error that names its cause. Each case is compiled for real, and has
//! to fail with its message and no other case's.

mod common;

use common::requires::{Thing, needs};
use std::fs;
use std::path::Path;
use std::process::Command;

/// A body of `bpf!` and what the compiler has to say of it.
const CASES: &[(&str, &str)] = &[
    ("r12 = 1; exit;", "`r12` is not a register: r0 to r10 (64 bits), w0 to w10 (32 bits)"),
    ("r0 = rx; exit;", "`rx` is not a register"),
    ("x1 += 1; exit;", "`x1` is not a register"),
    ("w11 = 1; exit;", "`w11` is not a register"),
    ("r01 = 1; exit;", "`r01` is not a register"),
    (
        "call trace_prink; exit;",
        "`trace_prink` is not a helper function of the kernel, nor a label of this program; the nearest: trace_printk",
    ),
    ("call bpf_map_lookup_elm; exit;", "; the nearest: map_lookup_elem, map_"),
    ("call fnish; exit; finish: exit;", "nor a label of this program; the nearest: finish"),
    ("goto nowhere; exit;", "label `nowhere` is not defined"),
    ("if r0 == 0 goto ot; exit; out: exit;", "label `ot` is not defined; the nearest: out"),
    ("if r0 == 0 goto nowhere; exit;", "label `nowhere` is not defined"),
    ("out: r0 = 0; out: exit;", "label `out` is defined twice"),
    ("r0 = 2147483648; exit;", "the immediate 2147483648 does not fit: -2147483648 to 2147483647"),
    ("r0 += -2147483649; exit;", "the immediate -2147483649 does not fit"),
    ("w0 = 4294967296; exit;", "the immediate 4294967296 does not fit: -2147483648 to 4294967295"),
    ("r0 = {u64::MAX}; exit;", "the immediate 18446744073709551615 does not fit"),
    ("r0 = 0x1_0000_0000_0000_0000 ll; exit;", "is not a number of 64 bits"),
    ("r0 = 0xf_ffff_ffff_ffff_ffff_ffff_ffff_ffff_ffff; exit;", "is far beyond 64 bits"),
    ("r0 = *(u8 *)(r1 + 32768); exit;", "the offset 32768 does not fit: -32768 to 32767"),
    ("*(u8 *)(r10 - 32769) = r0; exit;", "the offset -32769 does not fit"),
    ("*(u8 *)(r10 - {40000}) = r0; exit;", "the offset -40000 does not fit"),
    ("*(u8 *)(r10 - 8) = 256; exit;", "the value to store 256 does not fit: -128 to 255"),
    (
        "*(u16 *)(r10 - 8) = -32769; exit;",
        "the value to store -32769 does not fit: -32768 to 65535",
    ),
    ("*(u64 *)(r10 - 8) = 0xffffffff; exit;", "the value to store 4294967295 does not fit"),
    ("goto +32768; exit;", "the offset 32768 does not fit"),
    ("ld_pseudo r1, 2, 0x700000042; exit;", "the immediate 30064771138 does not fit"),
    (".option llvm; exit;", "`llvm` is not an option: llvm_ld_pseudo"),
    (".equ A, 1; exit;", "`.equ` is not an instruction, nor the directive `.option`"),
    ("call 2147483648; exit;", "the helper's number 2147483648 does not fit"),
    ("r0 = w1; exit;", "`w1` is not a register as wide as the one on the left"),
    ("r0 += w1; exit;", "`w1` is not a 64-bit register like the other operand"),
    ("if w0 == r1 goto +0; exit;", "`r1` is not a 32-bit register like the other operand"),
    ("w0 = *(u64 *)(r1 + 0); exit;", "`w0` is not a 64-bit register"),
    ("*(u64 *)(r10 - 8) = w1; exit;", "`w1` is not a 64-bit register"),
    ("r0 = *(u24 *)(r1 + 0); exit;", "`u24` is not a type: u8, u16, u32, u64, s8, s16, s32"),
    ("*(s8 *)(r1 + 0) = r2; exit;", "`s8` is not a type that is stored"),
    ("*(u32 *)(r10 - 8) = \"text\"; exit;", "`u32` is not the type of a string, which is u8"),
    ("*(u8 *)(r10 - 8) = \"\\u{e9}\"; exit;", "is not an escape"),
    ("*(u8 *)(r10 + 32766) = \"text\"; exit;", "the offset 32770 does not fit"),
    ("r1 = -r2; exit;", "`r2` is not the register on the left"),
    ("r1 = be24 r1; exit;", "`be24` is not a width of `be`: be16, be32, be64"),
    ("r1 = le8 r1; exit;", "`le8` is not a width of `le`: le16, le32, le64"),
    ("r1 = bswap r1; exit;", "`bswap` is not a width of `bswap`: bswap16, bswap32, bswap64"),
    (
        "r1 == r2; exit;",
        "`==` is not an assignment, `=` or `+=` and the like: a comparison stands behind `if`",
    ),
    ("r1 >= 2; exit;", "`>=` is not an assignment"),
    ("r1 = 0x1ffffffff; exit;", "write `ll` behind it, which moves 64 bits: `0x1ffffffff ll`"),
    ("r1 &= 0x1ffffffff; exit;", "move it to a register first: `rN = 8589934591 ll`"),
    ("r1 = 010; exit;", "`010` begins with a zero, which makes it octal (8) in LLVM and C"),
    (
        "goto 3; exit;",
        "`3` is not a label, nor a distance from the next instruction, which has a sign",
    ),
    ("r0 = *(u64 *)skb[2]; exit;", "`u64` is not a type of packet loads: u8, u16, u32"),
    (
        "r1 = events; exit;",
        "`events` is not a register (r0 to r10, w0 to w10), nor a map: `name ll` names a map",
    ),
    ("r1 = PAIR[0] + 16 ll; exit;", "the offset 16 does not fit: 0 to 15"),
    ("r1 = PAIR[0] - 1 ll; exit;", "the offset -1 does not fit"),
    ("r1 = PAIR[{2 - 1}] ll; exit;", "`{2 - 1}` is not 0: only the address of the first element"),
    ("r1 = PAIR[0]; exit;", "`PAIR` is not the address of a value: that is `NAME[0] ll`"),
    ("r1 = PAIR[0] + 8; exit;", "expected `ll`, which ends the address of a value"),
    ("r1 = self::self::self::PAIR[0] ll; exit;", "a path of at most three names"),
    ("w1 = PAIR[0] ll; exit;", "`w1` is not a 64-bit register"),
    ("r1 = TABLE[0] ll; exit;", "`TABLE` is not an array of one element"),
    ("r1 = ROW[0] ll; exit;", "`ROW` is not a map of one element"),
    ("r1 = NUMBER[0] ll; exit;", "expected `&MapSpec<'_>`, found `&i32`"),
    ("r0 = 0 exit;", "expected `;`, found `exit`"),
    ("r0 = ; exit;", "expected a register, a number"),
    ("if r0 = 1 goto +1; exit;", "expected a comparison"),
    ("if r0 s== 1 goto +1; exit;", "expected s>, s>=, s< or s<="),
    ("return; exit;", "`return` is not an instruction, which begins with a register"),
    ("r1 = 5u32; exit;", "`5u32` is not a number"),
    (
        "r0 = *(u32 *)(r1 + {field!(Header, length)}); exit;",
        "is a field of 2 bytes, and the access is one of 4",
    ),
    (
        "*(u16 *)(r10 + {stack!(Header, address)}) = 1; exit;",
        "is a field of 8 bytes, and the access is one of 2",
    ),
    (
        "lock *(u32 *)(r10 + {stack!(Header, address)}) += w1; exit;",
        "is a field of 8 bytes, and the access is one of 4",
    ),
    (
        "*(u8 *)(r10 + {stack!(Header, length)}) = \"text\"; exit;",
        "is a field of 2 bytes, and the access is one of 5",
    ),
    ("r0 = *(u32 *)(r1 + {field!(Header, nothing)}); exit;", "no field `nothing` on type `Header`"),
    (
        "r2 = {field!(Header, address) - field!(Header, kind)}; exit;",
        "a `field!` or a `stack!` stands alone in its braces, and arithmetic outside",
    ),
    ("r2 += {field!(Header, kind) * 2}; exit;", "stands alone in its braces"),
    ("r2 = r1 + 4; exit;", "has one operation (`r1 = r2`, then `r1 += 4`), found `+`"),
    ("r2 = *(u64 *)r1; exit;", "expected an address, `(r1 + 8)`, found `r1`"),
    ("call log; exit;", "log2"),
    (
        "exit; }; fn read(reader: &mut rawbpf::ringbuf::RingBufReader) { \
         let _ = reader.poll(None, |_| Ok::<(), ()>(())); } \
         static REST: Code = bpf! { exit;",
        "a consumer of records returns `()` or a `ControlFlow`, not `Result<(), ()>`",
    ),
    (
        "exit; }; fn read(record: rawbpf::ringbuf::Record<'_>) -> Option<Header> { record.value() } \
         static REST: Code = bpf! { exit;",
        "`Header` is not plain data",
    ),
    ("r1 = UNDEFINED ll; exit;", "cannot find value `UNDEFINED`"),
    ("r1 = {UNDEFINED}; exit;", "cannot find value `UNDEFINED`"),
    ("r1 = NUMBER ll; exit;", "expected `&MapSpec<'_>`, found `&i32`"),
    ("r1 = {name()}; exit;", "cannot call non-const function"),
];

#[test]
fn mistakes_are_compile_errors_that_name_the_culprit() {
    needs!(Cargo);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_fail");
    let _ = fs::remove_dir_all(project.join("src"));
    fs::create_dir_all(project.join("src/bin")).unwrap();
    fs::write(
        project.join("Cargo.toml"),
        format!(
            "[package]\nname = \"compile_fail\"\nedition = \"2024\"\n[workspace]\n\
             [dependencies.rawbpf]\npath = {root:?}\ndefault-features = false\n"
        ),
    )
    .unwrap();
    fs::copy(root.join("Cargo.lock"), project.join("Cargo.lock")).unwrap();
    for (index, (body, _)) in CASES.iter().enumerate() {
        let source = format!(
            "#[allow(unused_imports)] use rawbpf::{{asm::Code, bpf, field, stack}};\n\
             #[repr(C)] #[allow(dead_code)] struct Header {{ kind: u16, length: u16, address: u64 }}\n\
             #[allow(dead_code)] static NUMBER: i32 = 1;\n\
             #[allow(dead_code)] fn name() -> i32 {{ 1 }}\n\
             #[allow(dead_code)] static PAIR: rawbpf::MapSpec = rawbpf::MapSpec::bss(\"pair\", 16);\n\
             #[allow(dead_code)] static TABLE: rawbpf::MapSpec = rawbpf::MapSpec::hash(\"table\", 4, 8, 1);\n\
             #[allow(dead_code)] static ROW: rawbpf::MapSpec = rawbpf::MapSpec::array(\"row\", 8, 2);\n\
             static CODE: Code = bpf! {{ {body} }};\nfn main() {{ let _ = CODE.slots; }}\n"
        );
        fs::write(project.join(format!("src/bin/case{index:02}.rs")), source).unwrap();
    }
    // A valid one: the others do not fail because a library is missing.
    let right = "fn main() { let _ = rawbpf::bpf! { r0 = 0; exit; }; }";
    fs::write(project.join("src/bin/right.rs"), right).unwrap();

    let cargo = |bin: &[&str]| {
        let output = Command::new(env!("CARGO"))
            .args(["check", "--offline", "--quiet", "--keep-going", "--message-format=short"])
            .args(bin)
            .current_dir(&project)
            .env("CARGO_TARGET_DIR", project.join("target"))
            .env_remove("RUSTFLAGS")
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (success, said) = cargo(&["--bin", "right"]);
    assert!(success, "{said}");

    let (_, said) = cargo(&["--bins"]);
    let mut wrong = Vec::new();
    for (index, (body, message)) in CASES.iter().enumerate() {
        let file = format!("src/bin/case{index:02}.rs:");
        let about: Vec<_> = said.lines().filter(|line| line.contains(&file)).collect();
        if !about.iter().any(|line| line.contains("error") && line.contains(message)) {
            wrong.push(format!("{body}\n  wanted: {message}\n  got: {about:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
