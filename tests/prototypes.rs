//! The table of helpers' prototypes against the running kernel's verifier: it reads just the registers that a helper
//! takes, and accepts in each the types of the prototype.

mod common;

use common::requires::{Thing, needs};
use rawbpf::asm::{HELPERS, HelperPrototype, ParseOptions, helper_prototype, parse};
use rawbpf::{Loader, ProgramType, TextSpec};
use std::fmt::Write;

/// Program types that have most of the helpers between them.
const KINDS: &[&str] = &[
    "kprobe",
    "perf_event",
    "sched_cls",
    "xdp",
    "cgroup_skb",
    "cgroup_sock",
    "cgroup_sock_addr",
    "cgroup_sockopt",
    "cgroup_sysctl",
    "sock_ops",
    "sk_skb",
    "sk_msg",
    "sk_lookup",
    "sk_reuseport",
    "lwt_xmit",
    "lwt_seg6local",
    "flow_dissector",
    "lirc_mode2",
    "raw_tracepoint",
    "syscall",
];

/// Helpers of which the verifier takes a call with fewer arguments than are documented: the one for tracing programs asks about the
/// current process, and the other's flags, which must be 0, are not declared to the verifier.
const TAKEN_WITH_FEWER: &[&str] = &["get_cgroup_classid", "get_branch_snapshot"];

/// The verifier's error for a call with the first `given` arguments in their registers and nothing in the others;
/// `None` if it accepts it.
fn ask(kind: &str, number: usize, prototype: &HelperPrototype, given: usize) -> Option<String> {
    let mut text = String::from(
        ".map m, array, value=64, max=1\n.map r, ringbuf, max=4096\nr6 = r1\nr7 = r10\n\
         *(u64 *)(r10 - 8) = 0\n*(u64 *)(r10 - 16) = 0\n*(u64 *)(r10 - 24) = 0\n*(u64 *)(r10 - 32) = 0\n\
         *(u64 *)(r10 - 40) = 0\n*(u64 *)(r10 - 48) = 0\n*(u64 *)(r10 - 56) = 0\n*(u64 *)(r10 - 64) = 0\n\
         call get_prandom_u32\n",
    );
    for (index, argument) in prototype.arguments().take(given).enumerate() {
        let register = index + 1;
        let name = argument.rsplit(['*', ' ']).next().unwrap_or_default();
        let value = match argument {
            _ if name == "ringbuf" => "r ll",
            _ if argument.contains("struct bpf_map *") || name == "map" => "m ll",
            _ if name == "ctx" || name == "callback_ctx" => "r6",
            _ if is_context(argument) => "r6",
            _ if argument.contains('*') => "stack",
            // A size must not be 0, nor larger than what is on the stack.
            _ => "8",
        };
        let _ = match value {
            "stack" => writeln!(text, "r{register} = r10\nr{register} += -64"),
            _ => writeln!(text, "r{register} = {value}"),
        };
    }
    let _ = writeln!(text, "call {number}\nr0 = 0\nexit");
    let module = parse(&text, "call.s", &ParseOptions::new()).unwrap_or_else(|m| panic!("{m}"));
    let spec = TextSpec::new(&module, &module.programs()[0], "call.s").unwrap();
    let program = spec.program(ProgramType::from_name(kind)?);
    let error = Loader::new().load(&program).err()?;
    Some(error.verifier().map_or_else(|| error.to_string(), |verdict| verdict.cause().to_owned()))
}

/// Whether an argument is what programs have as their context.
fn is_context(argument: &str) -> bool {
    [
        "sk_buff *",
        "xdp_buff *",
        "sk_msg_buff *",
        "bpf_sock_ops *",
        "bpf_sock_addr *",
        "bpf_sysctl *",
        "sk_reuseport_md *",
        "bpf_sk_lookup *",
        "bpf_perf_event_data *",
        "pt_regs *",
        "void *skb",
        "void *bpf_socket",
    ]
    .iter()
    .any(|kind| argument.contains(kind))
}

/// Whether a cause says that programs of this type do not have the helper.
fn is_missing(cause: &str) -> bool {
    cause.contains("cannot use helper")
        || cause.contains("unknown func")
        || cause.contains("invalid func")
}

#[test]
fn the_verifier_reads_what_the_prototypes_say() {
    needs!(Bpf);
    let (mut counted, mut wrong) = (0, String::new());
    for number in 1..HELPERS.len() {
        let prototype = helper_prototype(number as u32).unwrap();
        let arguments = prototype.arguments().filter(|argument| *argument != "...").count();
        for kind in KINDS {
            let all = ask(kind, number, &prototype, arguments);
            if all.as_deref().is_some_and(is_missing) {
                continue;
            }
            // Without the last one it is that which is missing, and with all of them none.
            if let Some(cause) = &all
                && let Some(register) = unreadable(cause)
                && register <= 5
            {
                let _ = writeln!(wrong, "{kind}: {prototype}: {cause}");
            }
            if arguments > 0 {
                let cause = ask(kind, number, &prototype, arguments - 1).unwrap_or_default();
                match unreadable(&cause) {
                    Some(register) if register == arguments => counted += 1,
                    Some(_) => _ = writeln!(wrong, "{kind}: {prototype} less one: {cause}"),
                    None if cause.is_empty() && TAKEN_WITH_FEWER.contains(&prototype.name()) => {}
                    None if cause.is_empty() => {
                        _ = writeln!(wrong, "{kind}: {prototype} takes fewer");
                    }
                    // It minds an argument before it comes to the last.
                    None => {}
                }
            } else {
                counted += usize::from(all.is_none());
            }
            break;
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    println!("{counted} of {}", HELPERS.len() - 1);
    assert!(counted >= 100, "{counted} only");
}

/// The register that the verifier cannot read, `R3 !read_ok`.
fn unreadable(cause: &str) -> Option<usize> {
    cause.strip_suffix(" !read_ok")?.strip_prefix('R')?.parse().ok()
}
