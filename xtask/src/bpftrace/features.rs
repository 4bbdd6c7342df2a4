//! Features of a bpftrace and its kernel, by the names that the suite has for them.

use super::stage::Need;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

/// Names of features, and what `bpftrace --info` says of those that are there.
const FEATURES: [(&str, &str); 13] = [
    ("loop", "Loop support: yes"),
    ("probe_read_kernel", "probe_read_kernel: yes"),
    ("btf", "btf: yes"),
    ("kfunc", "kfunc: yes"),
    ("dpath", "dpath: yes"),
    ("uprobe_refcount", "uprobe refcount (depends on Build:bcc bpf_attach_uprobe refcount): yes"),
    ("signal", "send_signal: yes"),
    ("iter:task", "iter:task: yes"),
    ("iter:task_file", "iter:task_file: yes"),
    ("libpath_resolv", "bcc library path resolution: yes"),
    ("dwarf", "libdw (DWARF support): yes"),
    ("kprobe_multi", "kprobe_multi: yes"),
    ("skboutput", "skboutput: yes"),
];

/// Asks a bpftrace; one that does not answer has none.
pub fn ask(command: &mut Command) -> Vec<String> {
    let done = command.arg("--info").stdin(Stdio::null()).output();
    let text = done.map(|done| [done.stdout, done.stderr].concat()).unwrap_or_default();
    parse(&String::from_utf8_lossy(&text))
}

fn parse(text: &str) -> Vec<String> {
    let there = FEATURES.iter().filter(|(_, says)| text.contains(says));
    there.map(|(name, _)| name.to_string()).collect()
}

/// Returns the needs that this kernel does not meet.
pub fn missing(features: &[String]) -> BTreeSet<Need> {
    let mut missing = BTreeSet::new();
    if !Path::new("/sys/bus/event_source/devices/kprobe").exists() {
        missing.insert(Need::Kprobes);
    }
    if !features.iter().any(|feature| feature == "kfunc") {
        missing.insert(Need::Fentry);
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_read() {
        let text =
            "Kernel\n  Loop support: yes\n  btf: no\n  iter:task: no\n  iter:task_file: yes\n";
        assert_eq!(parse(text), ["loop", "iter:task_file"]);
        assert!(ask(&mut Command::new("/nonexistent/bpftrace")).is_empty());
    }
}
