//! The types of maps and programs, as a kernel takes them and `bpftool` shows them.

use super::describe::MapTypes;
use super::program::{Entry, for_program};
use super::*;
use crate::insn::Insn;
use crate::requires::{Thing, needs, skip};
use crate::syscall::{self, BtfLoad, MapBtf, MapCreate, ProgBtf, ProgLoad};
use crate::uapi::{MapType, ProgramType};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;

/// Returns the output of `bpftool`, or the reason why it cannot be run.
fn bpftool(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("bpftool").args(arguments).output();
    let output = output.map_err(|error| format!("bpftool: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    Ok(text(&output.stdout))
}

fn load(blob: &[u8]) -> OwnedFd {
    syscall::btf_load(&mut BtfLoad { btf: blob, ..Default::default() }).unwrap()
}

fn map(name: &str, kind: MapType, sizes: (u32, u32), entries: u32, types: &MapTypes) -> OwnedFd {
    let btf = load(&types.blob);
    let create = MapCreate {
        map_type: kind as u32,
        key_size: sizes.0,
        value_size: sizes.1,
        max_entries: entries,
        name: name.as_bytes(),
        btf: Some(MapBtf { btf: btf.as_fd(), key_type: types.key, value_type: types.value }),
        ..Default::default()
    };
    syscall::map_create(&create).unwrap()
}

const PAIR: TypeDesc<'static> = TypeDesc::Struct {
    name: "pair<u32>",
    size: 16,
    fields: &[
        FieldDesc { name: "first", offset: 0, desc: TypeDesc::U32 },
        FieldDesc {
            name: "bytes",
            offset: 4,
            desc: TypeDesc::Array { element: &TypeDesc::U8, len: 4 },
        },
        FieldDesc { name: "last", offset: 8, desc: TypeDesc::I64 },
    ],
};

#[test]
fn a_map_has_described_keys_and_values() {
    needs!(Bpf);
    let types = map_types(&TypeDesc::U32, &PAIR).unwrap();
    for kind in [MapType::Hash, MapType::Array] {
        map("described", kind, (4, 16), 3, &types);
    }
    // The kernel compares the sizes.
    let btf = load(&types.blob);
    let create = MapCreate {
        map_type: MapType::Hash as u32,
        key_size: 8,
        value_size: 16,
        max_entries: 1,
        btf: Some(MapBtf { btf: btf.as_fd(), key_type: types.key, value_type: types.value }),
        ..Default::default()
    };
    assert_eq!(syscall::map_create(&create).unwrap_err(), crate::uapi::Errno(libc::EINVAL));
}

#[test]
fn bpftool_shows_a_map_by_its_fields() {
    needs!(Bpf);
    if let Err(why) = bpftool(&["version"]) {
        fn here() {}
        return skip("bpftool", &why, here);
    }
    let types = map_types(&TypeDesc::U32, &PAIR).unwrap();
    let map_of_pairs = map("rawbpf_pairs", MapType::Array, (4, 16), 1, &types);
    let mut value = 7u32.to_ne_bytes().to_vec();
    value.extend([1, 2, 3, 4]);
    value.extend((-5i64).to_ne_bytes());
    syscall::map_update(map_of_pairs.as_fd(), &[0; 4], &value, 0).unwrap();
    let plain = |text: String| text.split_whitespace().collect::<String>();
    let shown = plain(bpftool(&["map", "dump", "name", "rawbpf_pairs"]).unwrap());
    assert_eq!(shown, r#"[{"key":0,"value":{"first":7,"bytes":[1,2,3,4],"last":-5}}]"#);
}

/// Calls a function of its own; it gives 3.
const TWO_FUNCTIONS: [Insn; 5] = [
    Insn::from_fields(0x85, 0, 1, 0, 1),
    Insn::from_fields(0x95, 0, 0, 0, 0),
    Insn::from_fields(0xb7, 0, 0, 0, 3),
    Insn::from_fields(0x07, 0, 0, 0, 0),
    Insn::from_fields(0x95, 0, 0, 0, 0),
];

fn program(name: &str) -> OwnedFd {
    let functions =
        [FunctionAt { slot: 0, name: "rawbpf_main" }, FunctionAt { slot: 2, name: "three" }];
    let text = "call three; exit; r0 += 0;";
    let line = |slot, line, start, end| LineAt { slot, line, column: 9, start, end };
    // The second function has no line of its own at its start.
    let lines = [line(0, 41, 0, 10), line(1, 42, 12, 16), line(3, 47, 18, 25)];
    let source = Source { file: "src/deep/a.rs", text, lines: lines.into_iter() };
    let types = for_program(&functions, Entry::Unsaid, source).unwrap();
    let btf = load(&types.blob);
    let mut load = ProgLoad {
        prog_type: ProgramType::SocketFilter as u32,
        insns: &TWO_FUNCTIONS,
        license: c"GPL",
        name: name.as_bytes(),
        btf: Some(ProgBtf {
            btf: btf.as_fd(),
            func_info: &types.functions,
            line_info: &types.lines,
        }),
        ..Default::default()
    };
    syscall::prog_load(&mut load).unwrap()
}

#[test]
fn a_program_has_functions_and_lines() {
    needs!(Bpf);
    program("lines");
}

#[test]
fn bpftool_shows_a_program_by_its_lines() {
    needs!(Bpf);
    if let Err(why) = bpftool(&["version"]) {
        fn here() {}
        return skip("bpftool", &why, here);
    }
    let _program = program("rawbpf_lines");
    let shown = bpftool(&["prog", "dump", "xlated", "name", "rawbpf_lines", "linum"]).unwrap();
    for line in [
        "int rawbpf_main():",
        "; call three [file:src/deep/a.rs line_num:41 line_col:9]",
        "; exit [file:src/deep/a.rs line_num:42 line_col:9]",
        "int three():",
        "; r0 += 0 [file:src/deep/a.rs line_num:47 line_col:9]",
    ] {
        assert!(shown.contains(line), "{line}:\n{shown}");
    }
}
