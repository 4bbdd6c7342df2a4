//! `rawbpf check`: verdicts of the kernel's verifier on a text.

mod common;

use common::requires::{Thing, needs};
use common::{Folder, rawbpf, said};
use rawbpf::ProgramType;
use rawbpf::features::{Features, Probe};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

const TEXT: &str = "\
.map counts, hash, key=4, value=8, max=16
.program fine, kprobe/nothing
\tr0 = 0
\texit
.program look, kprobe/nothing
\t*(u32 *)(r10 - 4) = 0
\tr1 = counts ll
\tr2 = r10
\tr2 += -4
\tcall map_lookup_elem
\tr0 = *(u64 *)(r0 + 0)
\texit
";

/// The command with a text on its standard input.
fn check(text: &[u8], args: &[&str]) -> Output {
    let mut child = Command::new(rawbpf())
        .args(["check", "-"])
        .args(args)
        .env_remove("RAWBPF_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have gone before it reads: the command line was wrong.
    let _ = child.stdin.take().unwrap().write_all(text);
    child.wait_with_output().unwrap()
}

fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect()
}

#[test]
fn each_program_gets_its_verdict_at_its_line() {
    needs!(Bpf);
    let done = check(TEXT.as_bytes(), &[]);
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    let lines = lines(&done.stdout);
    assert!(
        lines[0].starts_with("fine: accepted (2 slots, 2 instructions verified, "),
        "{lines:?}"
    );
    assert_eq!(lines[1], "look: rejected: R0 invalid mem access 'map_value_or_null'");
    assert_eq!(lines[2], "  --> <stdin>:11:2 (instruction 6)");
    assert_eq!(lines[3], "   |");
    assert_eq!(lines[4], "11 |  r0 = *(u64 *)(r0 + 0)");
    assert_eq!(lines[5], "   |  ^^^^^^^^^^^^^^^^^^^^^");
    assert!(lines[6].starts_with("   =   r0:"), "{lines:?}");
    assert!(lines[6].ends_with("from instruction 5: call map_lookup_elem"), "{lines:?}");
    assert!(lines[7..].iter().any(|line| line.to_lowercase().contains("null")), "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.contains("processed ")).count(), 0, "no log");
}

#[test]
fn json_has_an_object_a_program() {
    needs!(Bpf);
    let done = check(TEXT.as_bytes(), &["--format", "json", "--log", "1"]);
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    let objects: Vec<serde_json::Value> =
        lines(&done.stdout).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.len(), 2);
    assert_eq!(objects[0]["verdict"], "accepted");
    assert_eq!(objects[0]["instructions_verified"], 2);
    assert_eq!(objects[0]["limit"], 1_000_000);
    assert!(objects[0]["log"].as_str().unwrap().contains("processed 2 insns"), "{objects:?}");
    assert!(
        objects[1]["log"].as_str().unwrap().contains("0: (62) *(u32 *)(r10 -4)"),
        "{objects:?}"
    );
    assert_eq!(objects[1]["program"], "look");
    assert_eq!(objects[1]["verdict"], "rejected");
    assert_eq!(objects[1]["cause"], "R0 invalid mem access 'map_value_or_null'");
    assert_eq!(objects[1]["instruction"], 6);
    assert_eq!(objects[1]["line"], 11);
    assert_eq!(objects[1]["statement"], "r0 = *(u64 *)(r0 + 0)");
    assert_eq!(objects[1]["advice_key"], "null-check");
    assert_eq!(objects[1]["errno"], "EACCES");
}

#[test]
fn what_is_accepted_ends_with_0() {
    needs!(Bpf);
    let done = check(b"r0 = 0\nexit\n", &["--type", "socket_filter", "--log", "2"]);
    let said = said(&done);
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert!(said.contains("main: accepted (2 slots"), "{said}");
    assert!(said.contains("0: (b7) r0 = 0") && said.contains("processed 2 insns"), "{said}");
}

#[test]
fn the_type_has_to_be_known() {
    let done = check(b"r0 = 0\nexit\n", &[]);
    assert_eq!(done.status.code(), Some(2), "{}", said(&done));
    assert!(said(&done).contains("--type"), "{}", said(&done));
    let done = check(b"r0 = 0\nexit\n", &["--type", "kprobes"]);
    assert_eq!(done.status.code(), Some(2), "{}", said(&done));
    assert!(said(&done).contains("socket_filter, kprobe, "), "{}", said(&done));
    let done = check(b"r0 = 0\nexit\n", &["--type", "cgroup_sock_addr", "--attach-type", "x"]);
    assert_eq!(done.status.code(), Some(2), "{}", said(&done));
    assert!(said(&done).contains("cgroup_inet4_bind"), "{}", said(&done));
}

#[test]
fn what_cannot_be_asked_about_is_said() {
    // A mistake in the text is shown as `asm` shows it.
    let done = check(b"r12 = 0\nexit\n", &["--type", "kprobe"]);
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    assert!(said(&done).contains("--> <stdin>:1:1"), "{}", said(&done));

    let done = check(b"# nothing\n", &["--type", "kprobe"]);
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    assert!(said(&done).contains("holds no program"), "{}", said(&done));

    let done = check(b"\x7fELF\x02\x01\x01", &[]);
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    assert!(said(&done).contains("ELF"), "{}", said(&done));

    let folder = Folder::new();
    let file = folder.path().join("none.s");
    let done = Command::new(rawbpf()).arg("check").arg(&file).output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    assert!(said(&done).contains("cannot read"), "{}", said(&done));
}

/// The verifier's rules depend on the type of attachment.
/// Flags of kernels to come are for the kernel to judge: a warning, and its answer.
#[test]
fn flags_that_no_known_kernel_has_get_a_warning() {
    needs!(Bpf);
    let text = |flags: &str| {
        format!(
            ".map h, hash, key=4, value=4, max=4{flags}\n.program p, kprobe/x\nr1 = h ll\nr0 = 0\nexit\n"
        )
    };
    let done = check(text(", flags=0x82000001").as_bytes(), &[]);
    let warning =
        "rawbpf: map `h` (hash): flags 0x82000000 (bits 25, 31): no kernel known here has them";
    assert_eq!(lines(&done.stderr), [warning]);
    assert_eq!(done.status.code(), Some(3), "{}", said(&done));
    assert!(lines(&done.stdout)[0].contains("unsupported flags 0x82000000"), "{}", said(&done));
    for known in ["", ", flags=1"] {
        let done = check(text(known).as_bytes(), &[]);
        assert_eq!(
            (lines(&done.stderr).len(), done.status.code()),
            (0, Some(0)),
            "{}",
            said(&done)
        );
    }
}

#[test]
fn the_attach_type_reaches_the_kernel() {
    needs!(Bpf);
    // user_ip4, which IPv6 hooks do not have.
    let text = b"r0 = *(u32 *)(r1 + 4)\nr0 = 1\nexit\n";
    for (attach_type, status) in [("cgroup_inet4_bind", 0), ("cgroup_inet6_bind", 1)] {
        let args = ["--type", "cgroup_sock_addr", "--attach-type", attach_type];
        let done = check(text, &args);
        assert_eq!(done.status.code(), Some(status), "{attach_type}: {}", said(&done));
    }
}

/// A program of which nothing else is said is loaded for the attach type that libbpf sends: without it, `set_retval` is not for
/// these types, and netfilter is none at all.
#[test]
fn a_type_with_one_attach_type_is_loaded_for_it() {
    needs!(Bpf);
    let features = Features::new();
    for (target, call, probe) in [
        ("cgroup_device", "call set_retval", set_retval(ProgramType::CgroupDevice)),
        ("cgroup/dev", "call set_retval", set_retval(ProgramType::CgroupDevice)),
        ("cgroup_sysctl", "call set_retval", set_retval(ProgramType::CgroupSysctl)),
        ("netfilter", "r2 = 0", Probe::ProgramType(ProgramType::Netfilter)),
    ] {
        if features.demand(probe).is_err() {
            continue;
        }
        let text = format!(".program p, {target}\nr1 = -1\n{call}\nr0 = 1\nexit\n");
        let done = check(text.as_bytes(), &[]);
        assert_eq!(done.status.code(), Some(0), "{target}: {}", said(&done));
    }
}

/// `BPF_FUNC_set_retval`, by the type of programs.
fn set_retval(kind: ProgramType) -> Probe {
    Probe::Helper(kind, 187)
}

/// A program type with several attach types is not loaded without a choice: the error names them.
#[test]
fn a_type_with_several_attach_types_needs_a_choice() {
    for (kind, choices) in [
        ("cgroup_sockopt", "cgroup_getsockopt, cgroup_setsockopt"),
        ("cgroup_sock_addr", "cgroup_inet4_bind, cgroup_inet6_bind, cgroup_inet4_connect"),
        ("lsm", "lsm_mac, lsm_cgroup"),
    ] {
        let done = check(b".program p\nr0 = 1\nexit\n", &["--type", kind]);
        assert_eq!(done.status.code(), Some(1), "{kind}: {}", said(&done));
        let words = said(&done);
        assert!(words.contains("attach type is missing") && words.contains(choices), "{words}");
    }
}

/// A word that is no type of programs and no kind of place.
#[test]
fn a_misspelled_target_gets_the_nearest() {
    for (target, nearest) in [
        ("kprob/sys_clone", "`kprob`, expected one of kprobe"),
        ("cgroup/conect4", "`conect4`, expected one of connect4"),
        ("xdp.fags", "`xdp.fags`"),
    ] {
        let text = format!(".program p, {target}\nr0 = 1\nexit\n");
        let done = check(text.as_bytes(), &[]);
        assert_eq!(done.status.code(), Some(2), "{target}: {}", said(&done));
        assert!(said(&done).contains(nearest), "{}", said(&done));
    }
}

/// A process without any right gets the right reason and the exit status for it.
#[test]
fn without_permission_the_status_is_4() {
    needs!(Root);
    let folder = Folder::new();
    let file = folder.path().join("two.s");
    std::fs::write(&file, "r0 = 0\nexit\n").unwrap();
    let done = Command::new(rawbpf())
        .args(["check", "--type", "kprobe"])
        .arg(&file)
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(4), "{}", said(&done));
    assert!(said(&done).contains("main: cannot load program `main`"), "{}", said(&done));
}
