//! `rawbpf trace` on functions and USDT probes of this program, with their arguments by name.

use crate::common::needs::{Thing, needs};
use crate::common::{self, Folder, rawbpf, said};
use crate::watch::{rawbpf_test_double, this_file};
use std::fs;
use std::hint::black_box;
use std::process::Command;

/// Counts the first arguments in a hash table.
fn text(target: &str, access: &str) -> String {
    format!(
        "\
.license \"GPL\"
.map counts, hash, key=8, value=8, max=64
.program count{target}
\tr1 = *({access} *)(r1 + args.arg1)
\t*(u64 *)(r10 - 8) = r1
\tr1 = counts ll
\tr2 = r10
\tr2 += -8
\tcall map_lookup_elem
\tif r0 == 0 goto first
\tr1 = 1
\tlock *(u64 *)(r0 + 0) += r1
\tgoto out
first:
\t*(u64 *)(r10 - 16) = 1
\tr1 = counts ll
\tr2 = r10
\tr2 += -8
\tr3 = r10
\tr3 += -16
\tr4 = 0
\tcall map_update_elem
out:
\tr0 = 0
\texit
"
    )
}

const TABLE: &str = "\ncounts:\n     VALUE KEY\n         1 8\n         2 7\n";

fn calls() {
    for number in [7, 8, 7] {
        rawbpf_test_double(black_box(number));
        #[cfg(target_arch = "x86_64")]
        crate::probes::many(black_box(number as i32), &black_box([0; 4]), 0, 0);
    }
}

fn trace(args: &[&str], text: &str) -> String {
    let folder = Folder::new();
    let file = folder.path().join("count.s");
    fs::write(&file, text).unwrap();
    let mut command = Command::new(rawbpf());
    command.arg("trace").args(args).arg(file).arg("--");
    // What the caller says of itself would be among what is printed of it.
    command.args(["sh", "-c", "exec \"$0\" \"$@\" > /dev/null"]).arg(this_file());
    command.args(["--exact", "command::functions_and_probes_are_traced", "--nocapture"]);
    command.arg("--test-threads=1").env(common::ROLE, "caller").env_remove("RAWBPF_LOG");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn functions_and_probes_are_traced() {
    needs!(Uprobe);
    if common::role().is_some() {
        return calls();
    }
    let _alone = common::alone();
    let file = this_file();
    // Where the command line says, and where the text says.
    let function = format!("{file}:rawbpf_test_double");
    assert_eq!(trace(&[&format!("uprobe:{function}")], &text("", "u64")), TABLE);
    assert_eq!(trace(&[], &text(&format!(", uprobe/{function}"), "u64")), TABLE);
    if cfg!(target_arch = "x86_64") {
        let probe = format!("{file}:rawbpf_test:many");
        assert_eq!(trace(&[&format!("usdt:{probe}")], &text("", "u32")), TABLE);
        assert_eq!(trace(&[], &text(&format!(", usdt/{probe}"), "u32")), TABLE);
    }
}
