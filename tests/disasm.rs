//! `rawbpf disasm` and `rawbpf explain`, run as commands.

#![cfg(feature = "cli")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

const PROGRAM: &str = "\
    r6 = 10
    r7 = 0x1122334455667788 ll
again:
    r1 = r6
    call square
    if r0 s> 50 goto big
    r7 += r0
    goto next
big:
    call ktime_get_ns
next:
    r6 += -1
    if r6 != 0 goto again
    r0 = 0
    exit
square:
    r0 = r1
    r0 *= r1
    exit
";

/// Runs the command with this on its standard input.
fn rawbpf(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rawbpf"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that has printed its error need not read on.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// The standard output of a command, which has to succeed.
fn printed(args: &[&str], input: &[u8]) -> Vec<u8> {
    let output = rawbpf(args, input);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{args:?}: {errors}");
    output.stdout
}

fn text(args: &[&str], input: &[u8]) -> String {
    String::from_utf8(printed(args, input)).unwrap()
}

#[test]
fn what_is_printed_is_assembled_to_the_same_bytes() {
    for order in ["little", "big"] {
        let raw = printed(&["asm", "-", "--format", "raw", "--endian", order], PROGRAM.as_bytes());
        for more in [&[][..], &["--bytes"], &["--style", "kernel"]] {
            let listing = printed(&[&["disasm", "-", "--endian", order], more].concat(), &raw);
            let again = printed(&["asm", "-", "--format", "raw", "--endian", order], &listing);
            assert_eq!(raw, again, "{more:?}: {}", String::from_utf8_lossy(&listing));
        }
    }
}

#[test]
fn a_listing_has_labels() {
    let hex = printed(&["asm", "-"], PROGRAM.as_bytes());
    let listing = text(&["disasm", "-", "--hex"], &hex);
    for line in
        ["L1:", "    call func_1", "    if r0 s> 50 goto L2", "func_1:", "    call ktime_get_ns"]
    {
        assert!(listing.lines().any(|found| found == line), "{line} is not in {listing}");
    }
}

#[test]
fn an_object_for_each_instruction() {
    let hex = printed(&["asm", "-"], PROGRAM.as_bytes());
    let lines = text(&["disasm", "-", "--hex", "--format", "json"], &hex);
    let objects: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.len(), 15);
    assert_eq!(objects[1]["slot"], 1);
    assert_eq!(objects[1]["next_imm"], 0x1122_3344);
    assert_eq!(objects[2]["slot"], 3);
    assert_eq!(objects[2]["text"], "r1 = r6");
    assert_eq!(objects[2]["bytes"].as_str().unwrap().len(), 23);
}

#[test]
fn the_control_flow_is_drawn() {
    let hex = printed(&["asm", "-"], PROGRAM.as_bytes());
    let dot = text(&["disasm", "-", "--hex", "--format", "dot"], &hex);
    for (piece, count) in [
        ("subgraph", 2),
        ("taken\"", 4),
        ("not taken\"", 2),
        ("style=dashed", 1),
        (" [label=\"", 12),
    ] {
        assert_eq!(dot.matches(piece).count(), count, "{piece} in {dot}");
    }
    assert!(dot.contains(r" 3  r1 = r6\l"), "{dot}");
}

/// A newer kernel has instructions that are not known here: what is around them is shown all the same.
#[test]
fn an_instruction_that_is_not_known_is_shown_as_such() {
    let bytes = b"b7000000 01000000 ff000000 02000000 95000000 00000000";
    let args = ["disasm", "-", "--hex", "--endian", "little"];
    let shown = |more: &[&str]| {
        let output = rawbpf(&[&args[..], more].concat(), bytes);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let reason = "slot 1: there is no such opcode";
    let text = shown(&[]);
    let expected =
        format!("    r0 = 1\n    unknown ff 00 00 00 02 00 00 00 // {reason}\n    exit\n");
    assert_eq!(text, expected);
    let kernel = shown(&["--style", "kernel"]);
    let expected = format!(
        "   0: (b7) r0 = 1\n   1: (ff) unknown ff 00 00 00 02 00 00 00 ; {reason}\n   2: (95) exit\n"
    );
    assert_eq!(kernel, expected);
    let json = shown(&["--format", "json"]);
    let objects: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.len(), 3);
    assert_eq!(objects[1]["bytes"], "ff 00 00 00 02 00 00 00");
    assert_eq!(objects[1]["unknown"], "there is no such opcode");
    assert_eq!(objects[2]["text"], "exit");
    // It is not assembled to nothing.
    let assembled = rawbpf(&["asm", "-"], text.as_bytes());
    assert_eq!(assembled.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&assembled.stderr).into_owned();
    assert!(errors.contains("`unknown` is not an instruction"), "{errors}");
}

#[test]
fn what_cannot_be_disassembled_is_said() {
    for (args, input, message) in [
        (
            &["disasm", "-"][..],
            &b"abc"[..],
            "<stdin> holds 3 bytes, and a slot has 8: 3 are left over",
        ),
        (&["disasm", "-"], b"", "holds no instruction"),
        (&["disasm", "-"], b"b7 00 00 00 05 00 00 00", "--hex reads"),
        (&["disasm", "-"], b"\x7fELF\x02\x01\x01\0", "it does not begin as an ELF file"),
        (&["disasm", "-", "--hex"], b"b700\nxyz", "<stdin>:2: `xyz` is not"),
        (
            &["disasm", "-", "--hex", "--endian", "little", "--format", "dot"],
            b"95000000 00000000 ff000000 00000000",
            "<stdin>: slot 1, ff 00 00 00 00 00 00 00, is no instruction: there is no such opcode",
        ),
        (&["disasm", "/nonexistent"], b"", "cannot read /nonexistent: No such file"),
        (&["explain", "ff00000000000000"], b"", "is no instruction"),
        (&["explain", "r12 = 1"], b"", "`r12` is not a register"),
        (&["explain", "b700"], b"", "not whole slots"),
    ] {
        let output = rawbpf(args, input);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {errors}");
        assert!(output.stdout.is_empty(), "{args:?}");
        assert!(errors.contains(message), "{args:?}: {errors}");
    }
    assert_eq!(rawbpf(&["disasm"], b"").status.code(), Some(2));
    assert_eq!(rawbpf(&["disasm", "-", "--program", "x"], b"").status.code(), Some(2));
    assert_eq!(rawbpf(&["explain"], b"").status.code(), Some(2));
}

#[test]
fn an_instruction_is_explained() {
    let from_text = text(&["explain", "w1 s%= w2"], b"");
    assert_eq!(from_text, text(&["explain", "--endian", "big", "9c 12 00 01 00 00 00 00"], b""));
    for piece in [
        "9c      21    01 00",
        "9c      12    00 01",
        "MOD",
        "leaves w1",
        "Linux 6.6",
        "section 4.1",
    ] {
        assert!(from_text.contains(piece), "{piece} is not in {from_text}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&text(&["explain", "--format", "json", "exit"], b"")).unwrap();
    assert_eq!((&json["class"], &json["code"]), (&"JMP".into(), &"EXIT".into()));
}
