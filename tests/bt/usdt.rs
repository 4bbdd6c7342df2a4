//! USDT probes of a program, by name, by pattern and by process.

use crate::common::requires::{Thing, needs, needs_tried};
use crate::common::{Folder, no_program, said};
use crate::{bt, text};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Two probes, one of them in two places, as `sys/sdt.h` makes them.
const SOURCE: &str = r#"
#define PROBE(name, arguments, ...) __asm__ volatile ("990: nop\n.pushsection .note.stapsdt, \"\", \"note\"\n.balign 4\n" \
    ".4byte 992f - 991f, 994f - 993f, 3\n991: .asciz \"stapsdt\"\n992: .balign 4\n993: .8byte 990b, 0, 0\n" \
    ".asciz \"ours\"\n.asciz \"" name "\"\n.asciz \"" arguments "\"\n994: .balign 4\n.popsection" : : __VA_ARGS__)
int main(void)
{
    char hello[] = "hello";
    int small = -5;
    long wide = 1L << 40;
    PROBE("first", "-4@%0 8@%1", "r"(small), "r"(hello));
    PROBE("second", "8@%0", "r"(wide));
    PROBE("second", "8@%0", "i"(77));
    return 0;
}
"#;

fn compiled(folder: &Folder) -> PathBuf {
    let (source, program) = (folder.path().join("probes.c"), folder.path().join("probes"));
    fs::write(&source, SOURCE).unwrap();
    let output = Command::new("gcc").arg("-o").arg(&program).arg(&source).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    program
}

#[test]
fn static_probes_have_their_arguments() {
    needs!(Bpf, Uprobe);
    needs_tried!("gcc", no_program("gcc"));
    let folder = Folder::new();
    let program = compiled(&folder);
    let path = program.display().to_string();
    let printed = |script: &str| {
        let output = bt(&["-q", "-e", &script.replace("PROGRAM", &path), "-c", &path]);
        assert!(output.status.success(), "{script}\n{}", said(&output));
        text(&output.stdout).trim_end().replace(&path, "PROGRAM")
    };
    let script = r#"usdt:PROGRAM:ours:first { printf("%d %s\n", arg0, str(arg1)); } usdt:PROGRAM:second { printf("%ld\n", arg0); }"#;
    assert_eq!(printed(script), format!("-5 hello\n{}\n77", 1_u64 << 40));
    let script = "usdt:PROGRAM:* { @[probe] = count(); }";
    let expected = "@[usdt:PROGRAM:ours:first]: 1\n@[usdt:PROGRAM:ours:second]: 2";
    assert_eq!(printed(script).trim(), expected);
    for (script, expected) in [
        ("usdt:PROGRAM:ours:third { @ = 1; }", "usdt:PROGRAM:ours:third: nothing matches"),
        ("usdt:PROGRAM:ours:second { print(arg1); }", "the probe has 1 arguments"),
        ("usdt:PROGRAM:ours:second { print(args.x); }", "`args` is not available in usdt probes"),
    ] {
        let output = bt(&["-e", &script.replace("PROGRAM", &path)]);
        let error = text(&output.stderr).replace(&path, "PROGRAM");
        assert!(error.contains(expected), "{script}\n{error}");
        assert_eq!(output.status.code(), Some(1), "{script}");
    }
}
