//! `rawbpf trace` on functions and USDT probes of this program, with their arguments by name.

use crate::common::requires::{Thing, needs, needs_tried};
use crate::common::{self, Folder, no_program, rawbpf, said};
use crate::compiled::{Compiled, file, thrice};
use crate::watch::{ENTRY, Watch, rawbpf_test_double, this_file};
use rawbpf::attach::{self, Options, Target};
use rawbpf::user;
use std::fs;
use std::hint::black_box;
use std::process::{Command, Output};

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
    // The caller's own output would be among the output of the command.
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
        // Of any provider.
        let probe = format!("{file}:many");
        assert_eq!(trace(&[&format!("usdt:{probe}")], &text("", "u32")), TABLE);
        assert_eq!(trace(&[], &text(&format!(", usdt/{probe}"), "u32")), TABLE);
    }
}

/// A method of C++, by its name; its first argument is the object.
#[test]
fn functions_with_colons_in_their_names_are_traced() {
    needs!(Uprobe);
    needs_tried!("cpp_compiler", no_program("g++"));
    let _alone = common::alone();
    let folder = Compiled::new();
    let source = "namespace ns { __attribute__((noipa)) void f(long a) {} }\n\
        int main() { ns::f(7); ns::f(8); ns::f(7); }\n";
    let program = file(&folder.build("program", ("program.cc", source), &["-O1"]));
    let target = format!("{program}:ns::f");
    for (args, place) in [
        (vec![format!("uprobe:{target}")], String::new()),
        (Vec::new(), format!(", uprobe/{target}")),
        (Vec::new(), format!(", uprobe/{program}:ns::f(long)")),
    ] {
        fs::write(folder.path("count.s"), text(&place, "u64")).unwrap();
        let mut command = Command::new(rawbpf());
        command.arg("trace").args(args).arg(folder.path("count.s")).arg("--").arg(&program);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert_eq!(String::from_utf8_lossy(&output.stdout), TABLE);
    }
    // The layout is known when it is loaded, before it is attached.
    fs::write(folder.path("count.s"), text(&format!(", uprobe/{target}"), "u64")).unwrap();
    let output = Command::new(rawbpf()).arg("check").arg(folder.path("count.s")).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

/// Runs `rawbpf trace` on a text that does nothing, with no command: it ends by itself.
fn trace_nothing(args: &[&str]) -> Output {
    let folder = Folder::new();
    let file = folder.path().join("nothing.s");
    fs::write(&file, ".program nothing\nr0 = 0\nexit\n").unwrap();
    let mut command = Command::new(rawbpf());
    command.arg("trace").args(["--duration", "0.1"]).args(args).arg(file).output().unwrap()
}

/// Kernels that emulate an instruction wrongly crash the processes in which they do.
#[test]
fn all_functions_in_all_processes_have_to_be_asked_for() {
    needs!(Uprobe);
    needs_tried!("c_compiler", no_program("gcc"));
    let _alone = common::alone();
    let folder = Compiled::new();
    let source = thrice("f", "int f(int a) { return a + 1; }");
    let program = file(&folder.build("program", ("program.c", &source), &["-O0"]));
    for name in ["*", "**", "*?"] {
        for word in ["uprobe", "uretprobe"] {
            let target = format!("{word}:{program}:{name}");
            let output = trace_nothing(&[&target]);
            assert_eq!(output.status.code(), Some(2), "{}", said(&output));
            assert!(said(&output).contains("--yes"), "{}", said(&output));
            let output = trace_nothing(&["--yes", &target]);
            assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        }
    }
    // Some of them need no such word, nor do all of them in one process.
    let output = trace_nothing(&[&format!("uprobe:{program}:f*")]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let mut sleeper = Command::new("sleep").arg("100").spawn().unwrap();
    let pid = sleeper.id().to_string();
    let output = trace_nothing(&["--pid", &pid, &format!("uprobe:{program}:*")]);
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

/// All functions of a library in one process, which are more than can be probed one by one.
#[test]
fn many_places_in_one_process_take_one_link() {
    needs!(Uprobe);
    needs_tried!("uprobe_multi_of_a_process", no_multi_of_a_process());
    needs_tried!("glibc", user::find_file("c", None).err().map(|error| error.to_string()));
    let functions = user::functions(user::find_file("c", None).unwrap()).unwrap().len();
    needs_tried!("large_libc", (functions < 1500).then(|| format!("libc has {functions}")));
    let _alone = common::alone();
    let mut sleeper = Command::new("sleep").arg("100").spawn().unwrap();
    let pid = sleeper.id().to_string();
    let output = trace_nothing(&["--pid", &pid, "uprobe:c:*"]);
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

/// Why this kernel cannot probe many places of a file in one process by one link.
fn no_multi_of_a_process() -> Option<String> {
    let watch = Watch::multi(&ENTRY);
    let options = Options::new().pid(std::process::id());
    let target = Target::uprobe(this_file(), "rawbpf_test_double");
    let link = attach::attach_with(&watch.program, &target, &options);
    link.err().map(|error| error.to_string())
}

/// The kernel changes the return address on the stack, which Go reads when it moves the stack.
#[test]
fn the_return_of_a_function_of_go_is_warned_of() {
    needs!(Uprobe);
    needs_tried!("c_compiler", no_program("gcc"));
    let _alone = common::alone();
    let folder = Compiled::new();
    let source =
        thrice("f", r#"int f(int a) __asm__("\"main.(*T).f\""); int f(int a) { return a + 1; }"#);
    let program = file(&folder.build("program", ("program.c", &source), &["-O0"]));
    let warns = |word: &str, name: &str| {
        let output = trace_nothing(&[&format!("{word}:{program}:{name}")]);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        String::from_utf8_lossy(&output.stderr).contains("can crash a program of Go")
    };
    assert!(!warns("uretprobe", "main.(*T).f"));
    fs::write(folder.path("info"), "go1.19").unwrap();
    folder.run("objcopy", &["--add-section", ".go.buildinfo=info", "program"]);
    assert!(warns("uretprobe", "main.(*T).f"));
    assert!(warns("uretprobe", "main.*"));
    assert!(!warns("uprobe", "main.(*T).f"));
    // A function of C that it has, too.
    assert!(!warns("uretprobe", "main"));
}
