//! The kernel's support for test runs by program type, with versions and restrictions.

use super::TestRunOptions;
use crate::uapi::{ENOTSUPP, Errno, ProgramType};

/// The test run of a group of program types.
pub(super) struct Runner {
    kinds: &'static [ProgramType],
    /// The version that added it.
    since: &'static str,
    pub(super) data_out: bool,
    pub(super) context_out: Out,
    /// The likely cause if the kernel refuses with `EINVAL`.
    invalid: &'static str,
}

/// The destination of the context after the run.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Out {
    Nowhere,
    /// A separate buffer.
    Beside,
    /// The input buffer.
    InPlace,
}

/// The test runs in `net/bpf/test_run.c`, and the types whose `bpf_prog_ops` name a function of it.
const RUNNERS: &[Runner] = &[
    Runner {
        kinds: &[
            ProgramType::SocketFilter,
            ProgramType::SchedCls,
            ProgramType::SchedAct,
            ProgramType::CgroupSkb,
            ProgramType::LwtIn,
            ProgramType::LwtOut,
            ProgramType::LwtXmit,
        ],
        since: "Linux 4.12 brought it",
        data_out: true,
        context_out: Out::Beside,
        invalid: SKB,
    },
    Runner {
        kinds: &[ProgramType::LwtSeg6local],
        since: "Linux 4.18 brought it",
        data_out: true,
        context_out: Out::Beside,
        invalid: SKB,
    },
    Runner {
        kinds: &[ProgramType::Xdp],
        since: "Linux 4.12 brought it",
        data_out: true,
        context_out: Out::Beside,
        invalid: "its data has to be an Ethernet frame: 14 bytes at least, less than a page; a context (Linux 5.15) \
                  has as data_end the length of the data; a batch size (5.18) goes with live frames",
    },
    Runner {
        kinds: &[ProgramType::FlowDissector],
        since: "Linux 5.1 brought it",
        data_out: true,
        context_out: Out::Nowhere,
        invalid: "its data has to be an Ethernet frame: 14 bytes at least, less than a page",
    },
    Runner {
        kinds: &[ProgramType::Tracing],
        since: "Linux 5.7 brought it",
        data_out: false,
        context_out: Out::Nowhere,
        invalid: "the kernel calls functions of its own; only programs attached there run",
    },
    Runner {
        kinds: &[ProgramType::RawTracepoint],
        since: "Linux 5.10 brought it",
        data_out: false,
        context_out: Out::Nowhere,
        invalid: "it takes a context, 8 bytes for each argument that it reads and 12 of them at most, and neither \
                  data nor repeat",
    },
    Runner {
        kinds: &[ProgramType::SkLookup],
        since: "Linux 5.13 brought it",
        data_out: false,
        context_out: Out::Beside,
        invalid: "it takes struct bpf_sk_lookup as its context, and no data",
    },
    Runner {
        kinds: &[ProgramType::Syscall],
        since: "Linux 5.14 brought it",
        data_out: false,
        context_out: Out::InPlace,
        invalid: "it takes a context, at least as long as the program reads and 64 KiB at most, and neither data nor \
                  repeat",
    },
    Runner {
        kinds: &[ProgramType::StructOps],
        since: "Linux 5.16 brought it",
        data_out: false,
        context_out: Out::Nowhere,
        invalid: "only programs of bpf_dummy_ops can be run, with their arguments as the context",
    },
    Runner {
        kinds: &[ProgramType::Netfilter],
        since: "Linux 6.4 brought it",
        data_out: false,
        context_out: Out::Nowhere,
        invalid: "its data has to be an Ethernet frame with an IP packet",
    },
];

const SKB: &str = "its data has to be an Ethernet frame: 14 bytes at least, less than a page; of a context (Linux \
                   5.2) only some fields may be other than 0; it runs on this CPU alone";

/// Returns the test run of a program type, if there is one.
pub(super) fn runner(kind: ProgramType) -> Option<&'static Runner> {
    RUNNERS.iter().find(|runner| runner.kinds.contains(&kind))
}

/// Returns whether programs of this type run over a packet.
#[cfg(feature = "cli")]
pub(crate) fn takes_packet(kind: ProgramType) -> bool {
    kind == ProgramType::Netfilter || runner(kind).is_some_and(|runner| runner.data_out)
}

/// Returns the meaning of an error.
pub(super) fn note(
    kind: ProgramType,
    errno: Errno,
    options: &TestRunOptions<'_>,
) -> Option<&'static str> {
    let Some(runner) = runner(kind) else {
        return Some("programs of this type can only be attached").filter(|_| errno.0 == ENOTSUPP);
    };
    match errno.0 {
        ENOTSUPP => Some(runner.since),
        libc::EINVAL => Some(runner.invalid),
        libc::ENXIO if options.cpu.is_some() => Some("there is no such CPU, or it does not run"),
        // bpf_check_uarg_tail_zero() for contexts; data is limited before.
        libc::E2BIG if !options.context.is_empty() => {
            Some("what this kernel does not know of the context has to be 0")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_is_run_in_one_way() {
        for kind in ProgramType::ALL {
            let runners = RUNNERS.iter().filter(|runner| runner.kinds.contains(kind));
            assert!(runners.count() <= 1, "{kind}");
        }
    }
}
