//! Spellings of other assemblers, and common mistakes: accepted, or refused with the right spelling.

use crate::asm::{ParseOptions, parse};

fn read(text: &str) -> Result<Vec<[u8; 8]>, String> {
    let order = crate::insn::ByteOrder::Little;
    let options = ParseOptions::new().order(order);
    let module = parse(text, "x.s", &options).map_err(|mistakes| {
        let first = mistakes.iter().next().map(|mistake| mistake.message().to_string());
        first.unwrap_or_default()
    })?;
    let slots = module.programs().iter().flat_map(|program| program.slots());
    Ok(slots.map(|slot| slot.to_bytes(order)).collect())
}

/// Encodings by hand from RFC 9669.
#[test]
fn what_is_written_without_a_space_is_read() {
    for (text, slots) in [
        ("if r3s>3 goto +1", vec![[0x65, 3, 1, 0, 3, 0, 0, 0]]),
        ("if r3s<=r4 goto +1", vec![[0xdd, 0x43, 1, 0, 0, 0, 0, 0]]),
        ("if w3s<3 goto +1", vec![[0xc6, 3, 1, 0, 3, 0, 0, 0]]),
        ("r10s>>=3", vec![[0xc7, 10, 0, 0, 3, 0, 0, 0]]),
        ("r1s/=r2", vec![[0x3f, 0x21, 1, 0, 0, 0, 0, 0]]),
        ("w1s%=5", vec![[0x94, 1, 1, 0, 5, 0, 0, 0]]),
        ("r1 = 0x10ll", vec![[0x18, 1, 0, 0, 16, 0, 0, 0], [0; 8]]),
        ("r1 = -1ll", vec![[0x18, 1, 0, 0, 255, 255, 255, 255], [0, 0, 0, 0, 255, 255, 255, 255]]),
        ("\u{feff}exit", vec![[0x95, 0, 0, 0, 0, 0, 0, 0]]),
        ("\u{feff}// text\nexit", vec![[0x95, 0, 0, 0, 0, 0, 0, 0]]),
    ] {
        assert_eq!(read(text), Ok(slots), "{text}");
    }
}

#[test]
fn what_is_refused_says_how_it_is_spelled() {
    for (text, message) in [
        ("r1 == r2", "`==` is not an assignment, `=` or `+=` and the like"),
        ("r1 != 5", "`!=` is not an assignment"),
        ("r1 < r2", "`<` is not an assignment"),
        ("w1 s> 3", "is not an assignment"),
        ("r1 == r2", "if r1 == r2 goto label"),
        ("r1 == r2", "A statement begins with a register and an assignment, `*(type *)`, `if`"),
        ("r1 =", "and the text ends"),
        ("r1 ! 3", "expected `=`, `+=` or another assignment, found `!`"),
        (
            "r2 = r1 + 4",
            "expected the end of the statement, which has one operation (`r1 = r2`, then `r1 += 4`), found `+`",
        ),
        ("r2 = 5 s>> 2", "expected the end of the statement, found `s`"),
        ("r2 = *(u64 *)r1", "expected an address, `(r1 + 8)`, found `r1`"),
        ("r2 = *(u64)(r1 + 8)", "expected the `*` of an access, `*(u32 *)(r1 + 8)`, found `)`"),
        ("frob r1", "`frob` is not an instruction, which begins with a register"),
        ("r1 = be24 r1", "`be24` is not a width of `be`: be16, be32, be64"),
        ("r1 = be r1", "`be` is not a width of `be`"),
        ("r1 = le8 r1", "`le8` is not a width of `le`: le16, le32, le64"),
        ("r1 = bswap24 r1", "`bswap24` is not a width of `bswap`: bswap16, bswap32, bswap64"),
        ("r1 = 0x1ffffffff", "write `ll` behind it, which moves 64 bits: `0x1ffffffff ll`"),
        ("r1 = -0x1ffffffff", "write `ll` behind it"),
        ("r1 = 0xffffffff", "write `ll` behind it"),
        ("r1 += 0x1ffffffff", "move it to a register first: `rN = 8589934591 ll`"),
        ("if r1 > 0xffffffff goto +1", "move it to a register first"),
        ("w1 = 0x1ffffffff", "does not fit: -2147483648 to 4294967295"),
        ("r1 += 5ll", "found `ll`"),
        (
            "goto 3",
            "`3` is not a label, nor a distance from the next instruction, which has a sign: `+3` or `-3`",
        ),
        ("gotol 3", "which has a sign"),
        ("may_goto 3", "which has a sign"),
        ("if r1 == 0 goto 3", "which has a sign"),
        (
            "r0 = *(u64 *)skb[3]",
            "`u64` is not a type of packet loads: u8, u16, u32 (some assemblers have one of 64 bits",
        ),
        ("r0 = *(u64 *)skb[r3]", "`u64` is not a type of packet loads"),
    ] {
        let said = read(text).unwrap_err();
        assert!(said.contains(message), "{text}: {said}");
    }
}

/// A number that begins with a zero is octal in LLVM and C, and is refused wherever there are numbers.
#[test]
fn octal_numbers_are_refused_wherever_a_number_stands() {
    for text in [
        "r1 = 010",
        "r1 = 010\nexit\n# enough of a text for the reader that is quick                                           ",
        "r1 = -010",
        "r1 = 010 ll",
        "r1 += 010",
        "r1 = 1 + 010",
        "r1 = 00",
        "r1 = *(u8 *)(r2 + 010)",
        "*(u8 *)(r2 - 010) = 1",
        "*(u8 *)(r2 + 0) = 010",
        "if r1 == 010 goto +1",
        "goto +010",
        "call 010",
        "call pc+010",
        "r0 = *(u8 *)skb[010]",
        "ld_pseudo r1, 0, 010",
        ".equ A, 010\nexit",
        ".map m, hash, key=4, value=010, max=1\nexit",
        ".rodata\na: .byte 010\n.text\nexit",
        ".bss\na: .zero 010\n.text\nexit",
        ".bss\n.align 010\na: .zero 8\n.text\nexit",
    ] {
        let said = read(text).unwrap_err();
        assert!(said.contains("begins with a zero, which makes it octal ("), "{text}: {said}");
    }
    assert!(read("r1 = 08").unwrap_err().contains("a wrong octal number in LLVM"));
    assert!(read("r1 = 0\nr2 = 0x08\nr3 = 0b01\nr4 = -0").is_ok());
    assert!(read("r1 = 010").unwrap_err().contains("octal (8)"));
}

/// The kernel shows addresses and constants alike. A number that cannot be an address is a constant.
#[test]
fn a_listing_has_constants_and_addresses() {
    let lddw = |value: u64| read(&format!("0: (18) r1 = {value:#x}\n2: (95) exit\n"));
    for constant in [
        0xffff_ffff_0000_0000_u64,
        0xffff_ffff_7fff_ffff,
        0xffff_0000_0000_0000,
        0xffff_ffff_8000_0000,
        0xffff_ff00_0000_0000,
        0xffff_0000_ffff_0000,
        0xffff_fffe_d5fa_0e00,
        0xffff_ffff_ffff_ffff,
        0xffff_ffff_efff_ffff,
        0xff00_ff00_ff00_ff00,
        0x8000_0000_0000_0000,
        0,
    ] {
        let [low, high] = [constant as u32, (constant >> 32) as u32].map(u32::to_le_bytes);
        let slots = lddw(constant).unwrap();
        assert_eq!((&slots[0][4..], &slots[1][4..]), (&low[..], &high[..]), "{constant:#x}");
    }
    // Of maps, of their values, and of a variable: x86-64, arm64.
    for address in [
        0xffff_8881_0001_2340_u64,
        0xffff_c900_0012_3010,
        0xffff_ffff_82a3_c740,
        0xffff_0000_c123_4000,
        0xffff_8000_8123_4568,
    ] {
        let said = lddw(address).unwrap_err();
        assert!(said.contains("is an address in the kernel that wrote this"), "{said}");
    }
}
