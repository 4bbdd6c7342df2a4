//! The texts of `--help` and `--info`.

use crate::bt::capabilities;
use crate::features::Features;
use crate::syscall;
use crate::uapi::MapType;
use crate::user::Parts;
use std::fmt::Write;

/// The help.
pub(super) const HELP: &str = "\
rawbpf bt - scripts of the bpftrace language, without LLVM

USAGE:
    rawbpf bt [OPTIONS] FILE.bt [ARGUMENTS]
    rawbpf bt [OPTIONS] - [ARGUMENTS]           the script from standard input
    rawbpf bt [OPTIONS] -e 'SCRIPT' [ARGUMENTS]
    Behind -- all is the script's, options of its own among it: --name=value, read by getopt().

OPTIONS:
    -e SCRIPT          run this script
    -l, --list [PATTERN]
                       list probes: 'tracepoint:syscalls:*open*', 'uprobe:/bin/bash:*'; types of
                       the kernel: 'struct path'; or the probes of a script, a file or -e
    -v, --verbose      with -l, list also what a probe has as args, and define types
    -p, --pid PID      probes in this process only; end when it ends
    -c, --cmd COMMAND  run COMMAND, seen from its first instruction on, and end when it ends
    -o, --output FILE  write the output to FILE
    -f FORMAT          text or json
    -B MODE            write the output after each batch of events (line, the default), when
                       much has come (full), or after each event (none)
    -q, --quiet        do not say how many probes are attached
        --no-warnings  no warnings
    -k                 report memory that cannot be read
        --unsafe       allow functions that can harm: system(), signal(), override()
        --dry-run      end when everything is attached
    -d [STAGE]         show what becomes of the script, and do not run it: parse, ast,
                       codegen, dis; all without STAGE
        --info         print what this kernel and this build have of what scripts can need
    -h, --help         this help
    -V, --version      the version

ENVIRONMENT:
    BPFTRACE_MAX_STRLEN, BPFTRACE_MAX_MAP_KEYS and so on: settings, as in a script's
    config = { max_strlen = 1024 }
    __BPFTRACE_NOTIFY_PROBES_ATTACHED: if set, print its name as a line on standard error
    when everything is attached

EXAMPLES:
    rawbpf bt -e 'tracepoint:syscalls:sys_enter_openat { printf(\"%s %s\\n\", comm, str(args.filename)); }'
        the files that are opened, and by whom
    rawbpf bt -e 'tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }'
        how many system calls each program makes
    rawbpf bt -e 'profile:hz:99 { @[kstack] = count(); }'
        where the kernel spends its time
";

/// Returns the usage line of the help.
pub(super) fn usage() -> &'static str {
    let (_, usage) = HELP.split_once("\n\n").unwrap_or_default();
    usage.split_once("\n\n").map_or(HELP, |(usage, _)| usage)
}

/// The map types that tracers use: scripts here all but `perf_event_array`, which bpftrace lists.
const MAPS: [MapType; 7] = [
    MapType::Hash,
    MapType::PercpuHash,
    MapType::Array,
    MapType::PercpuArray,
    MapType::StackTrace,
    MapType::PerfEventArray,
    MapType::RingBuf,
];

/// Returns what this kernel and this build have.
pub(super) fn info() -> String {
    let mut out = format!("rawbpf {}\n\nSystem\n", env!("CARGO_PKG_VERSION"));
    let _ = writeln!(out, "  Kernel: {}", syscall::release());
    let btf = if std::path::Path::new("/sys/kernel/btf/vmlinux").exists() { "yes" } else { "no" };
    let _ = writeln!(out, "  BTF: {btf}\n\nBuild");
    let Parts { demangle, minidebuginfo } = Parts::BUILT;
    let advice = cfg!(feature = "advice");
    rows(&mut out, &[("advice", advice), ("demangle", demangle), ("minidebuginfo", minidebuginfo)]);
    let _ = writeln!(out, "\nKernel features");
    rows(&mut out, &capabilities());
    let _ = writeln!(out, "\nMap types");
    let features = Features::new();
    for kind in MAPS {
        let has = match features.has(kind) {
            Ok(true) => "yes",
            Ok(false) => "no",
            Err(_) => "unknown",
        };
        let _ = writeln!(out, "  {}: {has}", kind.name());
    }
    out
}

fn rows(out: &mut String, rows: &[(&str, bool)]) {
    for (name, has) in rows {
        let _ = writeln!(out, "  {name}: {}", if *has { "yes" } else { "no" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_is_how_it_is_called() {
        assert!(usage().starts_with("USAGE:\n    rawbpf bt [OPTIONS] FILE.bt"), "{}", usage());
        assert!(!usage().contains("OPTIONS:"));
    }
}
