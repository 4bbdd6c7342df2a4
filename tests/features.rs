//! Features of the kernel as the probes find them: against the versions that their rows claim, and against `bpftool`.

mod common;

use common::requires::{Thing, needs, needs_tried};
use common::{Folder, rawbpf, said};
use rawbpf::features::{Features, Probe, Version};
use rawbpf::{ErrorKind, MapType, ProgramType};
use std::collections::HashSet;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Features that older stable kernels were given later, with the version: Debian's 6.1 runs `gotol`.
const BACKPORTED: [(&str, Version); 1] = [("gotol", Version::new(6, 1))];

/// The version of the running kernel.
fn running() -> Version {
    let release = release();
    let mut numbers = release.split(['.', '-']).map(|number| number.trim().parse().unwrap_or(0));
    Version::new(numbers.next().unwrap(), numbers.next().unwrap())
}

fn release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap().trim().to_owned()
}

/// The options that the running kernel was built with.
fn options() -> Option<HashSet<String>> {
    let text = match std::fs::read_to_string(format!("/boot/config-{}", release())) {
        Ok(text) => text,
        Err(_) => {
            let unpacked = Command::new("zcat").arg("/proc/config.gz").output().ok()?;
            String::from_utf8(unpacked.stdout).ok().filter(|text| !text.is_empty())?
        }
    };
    let set = text.lines().filter_map(|line| line.split_once('='));
    Some(set.map(|(option, _)| option.to_owned()).collect())
}

fn no_options() -> Option<String> {
    options().is_none().then(|| "neither /boot nor /proc says how this kernel was built".into())
}

/// Whether this machine has all that a row says it takes.
fn has_all(needs: &[&str], options: &HashSet<String>) -> bool {
    needs.iter().all(|need| match need.starts_with("CONFIG_") {
        true => options.contains(*need),
        // The JIT of x86-64 has everything that any has.
        false => cfg!(target_arch = "x86_64"),
    })
}

#[test]
fn every_row_is_confirmed_by_this_kernel() {
    needs!(Bpf);
    needs_tried!("kernelconfig", no_options());
    let (features, here, options) = (Features::new(), running(), options().unwrap());
    // The kernel without kprobes that this is tested on refuses to root what is entered from functions.
    let restricted = Thing::NoKprobe.missing().is_none();
    let mut wrong = Vec::new();
    for probe in Probe::all() {
        let finding = features.find(probe);
        let (name, since) = (probe.name(), probe.since());
        let backported = BACKPORTED.iter().any(|(one, version)| *one == name && *version == here);
        let why = match finding.has {
            Ok(true) if here < since && !backported => "here already",
            Ok(false) if here >= since && has_all(probe.needs(), &options) => "not here",
            Err(ref error)
                if !(restricted && error.kind() == ErrorKind::NotPermitted)
                    && has_all(probe.needs(), &options) =>
            {
                "undecided"
            }
            _ => continue,
        };
        let group = probe.group().name();
        wrong.push(format!("{group} {name}, since {since}: {why} ({})", finding.found));
    }
    assert!(wrong.is_empty(), "Linux {here}:\n{}", wrong.join("\n"));
}

/// Helpers that only kernels built with this option have.
const OPTIONAL_HELPERS: &[(&str, &str)] = &[
    ("override_return", "CONFIG_BPF_KPROBE_OVERRIDE"),
    ("probe_read", "CONFIG_ARCH_HAS_NON_OVERLAPPING_ADDRESS_SPACE"),
    ("probe_read_str", "CONFIG_ARCH_HAS_NON_OVERLAPPING_ADDRESS_SPACE"),
    ("tcp_send_ack", "CONFIG_BPF_JIT"),
    ("seq_printf", "CONFIG_DEBUG_INFO_BTF"),
    ("seq_write", "CONFIG_DEBUG_INFO_BTF"),
    ("seq_printf_btf", "CONFIG_DEBUG_INFO_BTF"),
    ("get_func_arg", "CONFIG_DEBUG_INFO_BTF"),
    ("get_func_ret", "CONFIG_DEBUG_INFO_BTF"),
    ("get_func_arg_cnt", "CONFIG_DEBUG_INFO_BTF"),
    ("inode_storage_get", "CONFIG_BPF_LSM"),
    ("inode_storage_delete", "CONFIG_BPF_LSM"),
    ("bprm_opts_set", "CONFIG_BPF_LSM"),
    ("ima_inode_hash", "CONFIG_BPF_LSM"),
    ("ima_file_hash", "CONFIG_BPF_LSM"),
    ("rc_repeat", "CONFIG_BPF_LIRC_MODE2"),
    ("rc_keydown", "CONFIG_BPF_LIRC_MODE2"),
    ("rc_pointer_rel", "CONFIG_BPF_LIRC_MODE2"),
];

#[test]
fn helpers_are_there_since_their_versions() {
    needs!(Bpf);
    needs_tried!("kernelconfig", no_options());
    let (features, here, options) = (Features::new(), running(), options().unwrap());
    let (mut wrong, mut refused) = (Vec::new(), 0);
    for probe in Probe::helpers(ProgramType::Kprobe) {
        let Probe::Helper(_, number) = probe else { panic!("{probe:?}") };
        // Not each type of program got a helper when the first one did.
        let types = ProgramType::ALL.iter().filter(|kind| **kind != ProgramType::Ext);
        let answers: Vec<_> =
            types.map(|kind| features.has(Probe::Helper(*kind, number))).collect();
        let there = answers.iter().any(|answer| matches!(answer, Ok(true)));
        // Some kernels refuse to root what alone could have it.
        if !there && answers.iter().any(Result::is_err) {
            refused += 1;
            continue;
        }
        let (name, since) = (probe.name(), probe.since());
        let optional = OPTIONAL_HELPERS.iter().filter(|(one, _)| *one == name);
        let built = optional.map(|(_, option)| *option).all(|option| options.contains(option));
        if there != (here >= since && built) {
            wrong.push(format!("{name}, since {since}: here {there}"));
        }
    }
    assert!(wrong.is_empty(), "Linux {here}:\n{}", wrong.join("\n"));
    let restricted = Thing::NoKprobe.missing().is_none() || Thing::Jit.missing().is_some();
    assert!(refused == 0 || restricted && refused < 20, "{refused} cannot be told");
}

#[test]
fn what_every_kernel_here_can_do_is_found() {
    needs!(Bpf);
    let features = Features::new();
    // Linux 5.10 is the oldest that is tested.
    for kind in [MapType::Hash, MapType::RingBuf, MapType::LpmTrie] {
        assert!(features.has(kind).unwrap(), "{kind}");
    }
    for kind in [ProgramType::SocketFilter, ProgramType::Kprobe, ProgramType::Xdp] {
        assert!(features.has(kind).unwrap(), "{kind}");
    }
    assert!(features.has_helper(ProgramType::Kprobe, "ringbuf_output").unwrap());
    assert!(!features.has_helper(ProgramType::SocketFilter, "override_return").unwrap());
}

fn no_bpftool() -> Option<String> {
    let answer = Command::new("bpftool").arg("version").output();
    answer.err().map(|error| format!("bpftool: {error}"))
}

#[test]
fn bpftool_finds_the_same() {
    needs!(Bpf);
    needs_tried!("bpftool", no_bpftool());
    let told = Command::new("bpftool").args(["feature", "probe", "kernel"]).output().unwrap();
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let features = Features::new();
    let (mut types, mut helpers) = (0, 0);
    let mut lists = Vec::new();
    for line in told.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (found, there) = match words[..] {
            ["eBPF", "program_type", name, "is", ref rest @ ..] => {
                match ProgramType::from_name(name) {
                    // bpftool asks for the entry of a function, which this kernel may refuse.
                    Some(ProgramType::Tracing) | None => continue,
                    Some(kind) => (features.has(kind), rest == ["available"]),
                }
            }
            ["eBPF", "map_type", name, "is", ref rest @ ..] => match MapType::from_name(name) {
                Some(kind) => (features.has(kind), rest == ["available"]),
                None => continue,
            },
            ["eBPF", "helpers", "supported", .., name] => {
                let kind = ProgramType::from_name(name.trim_end_matches(':'));
                lists.push((kind, Vec::new()));
                continue;
            }
            ["-", helper] => {
                let list = lists.last_mut().unwrap();
                list.1.push(helper.strip_prefix("bpf_").unwrap().to_owned());
                continue;
            }
            _ => continue,
        };
        // What is not permitted is not known here, and not there for bpftool.
        let Ok(found) = found else { continue };
        assert_eq!(found, there, "{line}");
        types += 1;
    }
    assert!(types > 40, "{told}");

    // A bpftool that does not know the words of Linux 6.13 and later for a helper that is not there finds all of them.
    let all = lists.iter().any(|(kind, list)| {
        *kind == Some(ProgramType::SocketFilter) && list.iter().any(|one| one == "override_return")
    });
    for (kind, list) in lists.iter().filter(|(_, list)| !all && !list.is_empty()) {
        // It does not say which struct, tracepoint or hook it asks for; and it does not know later helpers.
        let kind = match kind {
            Some(ProgramType::Tracing | ProgramType::StructOps | ProgramType::Lsm) | None => {
                continue;
            }
            Some(kind) => *kind,
        };
        for probe in Probe::helpers(kind) {
            let there = list.iter().any(|one| one == probe.name());
            assert_eq!(features.has(probe).unwrap(), there, "{kind}: {}", probe.name());
            helpers += 1;
        }
    }
    assert!(all || helpers > 1000, "{told}");
}

#[test]
fn the_command_prints_rows_and_finds_them() {
    needs!(Bpf);
    let done = Command::new(rawbpf()).args(["features", "ringbuf"]).output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let row = text.lines().find(|line| line.starts_with("ringbuf ")).unwrap();
    assert_eq!(row.split_whitespace().take(3).collect::<Vec<_>>(), ["ringbuf", "yes", "5.8"]);

    let done = Command::new(rawbpf()).args(["features", "--format", "json"]).output().unwrap();
    let rows: Vec<serde_json::Value> = String::from_utf8_lossy(&done.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(rows.len() > Probe::all().count());
    assert!(rows.iter().any(|row| row["name"] == "hash" && row["here"] == true));
    let helpers = rows.iter().find(|row| row["group"] == "helpers" && row["program_type"] == "xdp");
    assert!(helpers.unwrap()["here"].as_u64().unwrap() > 20);

    // A helper by its name, with the types of programs that may call it; one that is not asked for says why.
    let out = |arguments: &[&str]| {
        let done = Command::new(rawbpf()).arg("features").args(arguments).output().unwrap();
        assert_eq!(done.status.code(), Some(0), "{}", said(&done));
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    let text = out(&["l4_csum_replace"]);
    let row: Vec<_> = text.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..3], ["l4_csum_replace", "yes", "4.1"]);
    assert!(text.contains("sched_cls"), "{text}");
    for (name, note) in [("trace_printk", "tracepoint"), ("probe_write_user", "warning")] {
        let text = out(&[name]);
        let row = text.lines().find(|line| line.starts_with(name)).unwrap();
        assert_eq!(row.split_whitespace().nth(1), Some("?"), "{row}");
        assert!(row.contains("not asked") && row.contains(note), "{row}");
        let rows = out(&[name, "--format", "json"]);
        assert!(rows.lines().count() > 20 && rows.contains("\"here\":null"), "{rows}");
    }
    assert!(out(&["override_return"]).contains("override_return "));
    // The helpers of one type, though others have its name in theirs.
    let text = out(&["helpers:tracepoint"]);
    assert!(text.lines().all(|line| line.starts_with("tracepoint:")), "{text}");
    assert!(text.lines().any(|line| line.starts_with("tracepoint:trace_printk ")), "{text}");
    let text = out(&["helpers:raw_trace"]);
    assert!(text.contains("raw_tracepoint:") && text.contains("raw_tracepoint_writable:"));

    for (wrong, right) in [("ringbuff", "ringbuf"), ("override_retrun", "override_return")] {
        let done = Command::new(rawbpf()).args(["features", wrong]).output().unwrap();
        assert_eq!(done.status.code(), Some(2), "{}", said(&done));
        assert!(said(&done).contains(&format!("the nearest: {right}")), "{}", said(&done));
    }
    let done = Command::new(rawbpf()).args(["features", "no_such_thing"]).output().unwrap();
    assert_eq!(done.status.code(), Some(2), "{}", said(&done));
}

/// The error of a load names the version that brought the feature which this kernel lacks.
#[test]
fn what_is_younger_than_the_kernel_is_told_with_its_version() {
    needs!(Root, Bpf, Btf);
    let here = running();
    let load = |text: &str| {
        let folder = Folder::new();
        let file = folder.path().join("text.s");
        std::fs::write(&file, text).unwrap();
        let done = Command::new(rawbpf()).arg("check").arg(&file).output().unwrap();
        (done.status.code(), said(&done))
    };
    for (text, since, what) in [
        (
            ".map m, insn_array, max=4\n.program p, socket_filter\nr1 = m ll\nr0 = 0\nexit\n",
            (6, 19),
            "insn_array",
        ),
        (
            ".map m, rhash, key=4, value=8, max=4\n.program p, socket_filter\nr1 = m ll\nr0 = 0\nexit\n",
            (7, 2),
            "rhash",
        ),
        (
            ".map m, ringbuf, max=65536, flags=0x80000\n.program p, socket_filter\nr1 = m ll\nr0 = 0\nexit\n",
            (6, 19),
            "BPF_F_RB_OVERWRITE",
        ),
        (".program p, fsession/do_unlinkat\nr0 = 0\nexit\n", (7, 0), "trace_fsession"),
        (".program p, fentry.multi/do_unlinkat\nr0 = 0\nexit\n", (7, 2), "trace_fentry_multi"),
    ] {
        let since = Version::new(since.0, since.1);
        let (status, said) = load(text);
        let told = said.contains(&format!("Linux {since} brought ")) && said.contains(what);
        assert_eq!(told, here < since, "{said}");
        assert!(!told || status == Some(3), "{status:?}: {said}");
    }
}

#[test]
fn without_rights_nothing_can_be_told() {
    needs!(Root, Bpf);
    let folder = Folder::new();
    let copy = folder.path().join("rawbpf");
    std::fs::copy(rawbpf(), &copy).unwrap();
    let done =
        Command::new(copy).args(["features", "ringbuf"]).uid(65534).gid(65534).output().unwrap();
    assert_eq!(done.status.code(), Some(4), "{}", said(&done));
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let row = text.lines().find(|line| line.starts_with("ringbuf ")).unwrap();
    assert_eq!(row.split_whitespace().nth(1), Some("?"), "{text}");
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(told.contains("cannot determine whether this kernel has map type `ringbuf`"), "{told}");
}
