//! Attaching to the network and to control groups with a fake kernel: each call fails in turn, and each message is
//! refused or its answer lost. Nothing stays open or attached, and the error names the step. Then on this kernel, with
//! its links disabled.

use super::{Direction, Target, TcMethod, cgroup, socket, tc, xdp};
use crate::error::{Error, Result};
use crate::program::Program;
use crate::requires::{Thing, needs};
use crate::spec::ProgramSpec;
use crate::syscall::{Call, fake, wait_readable};
use crate::uapi::{AttachType, Errno, ProgramType};
use crate::{Loader, bpf};
use std::cell::RefCell;
use std::io::PipeReader;
use std::os::fd::{AsFd, IntoRawFd};
use std::rc::Rc;
use std::time::Duration;

/// The errors that these calls are known to return.
const ERRNOS: &[i32] = &[
    libc::EPERM,
    libc::EINVAL,
    libc::ENOMEM,
    libc::EBUSY,
    libc::EEXIST,
    libc::ENODEV,
    libc::ENOENT,
    libc::EOPNOTSUPP,
    libc::EMFILE,
    libc::EINTR,
];

/// The error text of the fake kernel.
const SAID: &str = "the stars are not right";

/// The way in which a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// The call is refused. If it is to receive an answer, the request has been carried out.
    Call,
    /// The call receives an answer, which is that the request is refused.
    Answer,
}

#[derive(Debug, Clone, Copy)]
struct Fault {
    at: usize,
    how: How,
    errno: Errno,
}

#[derive(Default)]
struct Kernel {
    fault: Option<Fault>,
    /// The calls of the attachment.
    steps: Vec<&'static str>,
    /// It is being attached: these calls count.
    attaching: bool,
    /// The message that is not answered yet.
    message: Vec<u8>,
    /// The other ends of the descriptors that were handed out.
    ends: Vec<PipeReader>,
    /// The attached objects.
    there: Vec<&'static str>,
}

/// One of each kind.
const NAMES: &[(u16, &str)] = &[
    (18, "RTM_GETLINK"),
    (19, "RTM_SETLINK"),
    (36, "RTM_NEWQDISC"),
    (37, "RTM_DELQDISC"),
    (38, "RTM_GETQDISC"),
    (44, "RTM_NEWTFILTER"),
    (45, "RTM_DELTFILTER"),
    (46, "RTM_GETTFILTER"),
];

const PROGRAM_ID: u32 = 7;

fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes(bytes[at..at + 2].try_into().unwrap())
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = [(value.len() as u16 + 4).to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

impl Kernel {
    fn answer(&mut self, call: &mut Call<'_, '_>) -> Result<i64, Errno> {
        let name = match call {
            Call::LinkCreate(_) => "BPF_LINK_CREATE",
            Call::ProgAttach(_) => "BPF_PROG_ATTACH",
            Call::ProgDetach { .. } => "BPF_PROG_DETACH",
            Call::Socket { .. } => "socket",
            Call::Bind { .. } => "bind",
            Call::SetOption { level: 270, .. } => "netlink option",
            Call::SetOption { option: libc::SO_RCVBUF, .. } => "SO_RCVBUF",
            Call::SetOption { option: libc::SO_ATTACH_BPF, .. } => "SO_ATTACH_BPF",
            Call::SetOption { option: libc::SO_DETACH_BPF, .. } => "SO_DETACH_BPF",
            Call::Send { bytes, .. } => self.of_message(bytes),
            Call::Receive { .. } => self.of_message(&self.message),
            Call::ObjInfo(_) | Call::MemlockGet { .. } | Call::ProgLoad(_) | Call::BtfLoad(_) => {
                "besides"
            }
            _ => panic!("{call:?}"),
        };
        let number = self.steps.len();
        let fault = if self.attaching && name != "besides" {
            self.steps.push(name);
            self.fault.filter(|fault| fault.at == number)
        } else {
            None
        };
        if let (Some(fault), false) = (fault, matches!(call, Call::Receive { .. })) {
            return Err(fault.errno);
        }
        match call {
            Call::ProgLoad(_) | Call::BtfLoad(_) | Call::Socket { .. } | Call::LinkCreate(_) => {
                let (end, fd) = std::io::pipe().unwrap();
                self.ends.push(end);
                return Ok(fd.into_raw_fd().into());
            }
            Call::ProgAttach(_) => self.there.push("cgroup"),
            Call::ProgDetach { .. } => self.gone("cgroup"),
            Call::SetOption { option: libc::SO_ATTACH_BPF, .. } => {
                self.there.push("filter of a socket")
            }
            Call::SetOption { option: libc::SO_DETACH_BPF, .. } => self.gone("filter of a socket"),
            Call::Send { bytes, .. } => self.message = bytes.to_vec(),
            Call::Receive { bytes, .. } => {
                let answer = match fault {
                    Some(Fault { how: How::Answer, errno, .. }) => self.end(-errno.0, SAID),
                    // A signal: the answer is still to come.
                    Some(Fault { how: How::Call, errno: errno @ Errno(libc::EINTR), .. }) => {
                        return Err(errno);
                    }
                    Some(Fault { how: How::Call, errno, .. }) => {
                        self.act();
                        return Err(errno);
                    }
                    None => self.act(),
                };
                for (to, from) in bytes.iter_mut().zip(&answer) {
                    *to = *from;
                }
                return Ok(answer.len() as i64);
            }
            Call::ObjInfo(info) => {
                info.info.fill(0);
                info.info[4..8].copy_from_slice(&PROGRAM_ID.to_ne_bytes());
            }
            _ => {}
        }
        Ok(0)
    }

    fn of_message(&self, bytes: &[u8]) -> &'static str {
        NAMES.iter().find(|(kind, _)| *kind == short(bytes, 4)).unwrap().1
    }

    fn gone(&mut self, what: &'static str) {
        self.there.retain(|there| *there != what);
    }

    /// Carries out the request, and returns the answer.
    fn act(&mut self) -> Vec<u8> {
        let message = std::mem::take(&mut self.message);
        let dump = short(&message, 6) & 0x300 == 0x300;
        let filter = |about: &[u8]| {
            let mut body = about[..20].to_vec();
            body[8..12].copy_from_slice(&1u32.to_ne_bytes());
            let options = [attribute(7, b"fake\0"), attribute(11, &PROGRAM_ID.to_ne_bytes())];
            body.extend(attribute(2, &options.concat()));
            Kernel::message(&message, 44, &body)
        };
        let mut answer = Vec::new();
        match self.of_message(&message) {
            "RTM_GETLINK" if !dump => {
                let body = [0, 3u32, 0, 0].map(u32::to_ne_bytes).concat();
                answer = Kernel::message(&message, 16, &body);
            }
            "RTM_SETLINK" => {
                // Behind the header, the structure, the head of the nested attribute and the head of the first in it.
                let fd = i32::from_ne_bytes(message[40..44].try_into().unwrap());
                if fd < 0 { self.gone("xdp") } else { self.there.push("xdp") }
            }
            "RTM_NEWQDISC" => self.there.push("clsact"),
            "RTM_DELQDISC" => self.gone("clsact"),
            "RTM_NEWTFILTER" => {
                self.there.push("filter");
                answer = filter(&message[16..]);
            }
            "RTM_DELTFILTER" => self.gone("filter"),
            "RTM_GETTFILTER" if self.there.contains(&"filter") => {
                let mut about = message[16..36].to_vec();
                // What was asked for by its number has its priority with it.
                if dump {
                    let info = 0xc000 << 16 | u32::from(3u16.to_be());
                    about[16..20].copy_from_slice(&info.to_ne_bytes());
                }
                answer = filter(&about);
            }
            _ => {}
        }
        let end = if dump {
            Kernel::message(&message, 3, &0i32.to_ne_bytes())
        } else {
            self.message = message;
            self.end(0, "")
        };
        answer.extend(end);
        answer
    }

    /// The end of an answer.
    fn end(&self, errno: i32, said: &str) -> Vec<u8> {
        let mut body = errno.to_ne_bytes().to_vec();
        body.extend(&self.message[..16]);
        if !said.is_empty() {
            body.extend(attribute(1, format!("{said}\0").as_bytes()));
        }
        let mut end = Kernel::message(&self.message, 2, &body);
        // The request is cut off, and attributes follow.
        end[6..8].copy_from_slice(&0x300u16.to_ne_bytes());
        end
    }

    fn message(request: &[u8], kind: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = (body.len() as u32 + 16).to_ne_bytes().to_vec();
        bytes.extend([kind.to_ne_bytes(), [0, 0]].concat());
        bytes.extend(&request[8..12]);
        bytes.extend([0; 4]);
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn left_open(&self) -> usize {
        let open = |end: &&PipeReader| {
            let wait = Some(Duration::from_secs(5));
            !wait_readable(end.as_fd(), wait).unwrap()
        };
        self.ends.iter().filter(open).count()
    }
}

static NOTHING: ProgramSpec = ProgramSpec::new("nothing", ProgramType::Xdp, bpf! { r0 = 2; exit; });

/// A way of attaching.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    /// The type of programs that it is for.
    kind: ProgramType,
    attach: fn(&Program) -> Result<super::Link>,
    /// The calls it makes, those of netlink by their messages.
    steps: &'static [&'static str],
}

const GETLINK: [&str; 5] =
    ["socket", "netlink option", "netlink option", "RTM_GETLINK", "RTM_GETLINK"];

fn group() -> Target {
    Target::Cgroup { path: "/".into(), attach_type: AttachType::CgroupDevice }
}

fn filter() -> Target {
    Target::Tc { device: "lo".into(), direction: Direction::Ingress, method: TcMethod::Clsact }
}

const WAYS: [Way; 9] = [
    Way {
        name: "xdp link",
        kind: ProgramType::Xdp,
        attach: |program| super::attach(program, &"xdp:lo".parse()?),
        steps: &["BPF_LINK_CREATE"],
    },
    Way {
        name: "xdp",
        kind: ProgramType::Xdp,
        attach: |program| xdp::attach(program, &"xdp:lo".parse()?, xdp::XdpMethod::Netlink),
        steps: &["RTM_SETLINK", "RTM_SETLINK"],
    },
    Way {
        name: "tcx",
        kind: ProgramType::SchedCls,
        attach: |program| super::attach(program, &"tc:lo/egress".parse()?),
        steps: &["BPF_LINK_CREATE"],
    },
    Way {
        name: "clsact",
        kind: ProgramType::SchedCls,
        attach: |program| tc::attach(program, &filter(), tc::Position::Last),
        steps: &[
            "RTM_NEWQDISC",
            "RTM_NEWQDISC",
            "RTM_GETTFILTER",
            "RTM_GETTFILTER",
            "RTM_GETTFILTER",
            "RTM_GETTFILTER",
            "RTM_NEWTFILTER",
            "RTM_NEWTFILTER",
        ],
    },
    Way {
        name: "cgroup link",
        kind: ProgramType::CgroupDevice,
        attach: |program| super::attach(program, &group()),
        steps: &["BPF_LINK_CREATE"],
    },
    Way {
        name: "cgroup",
        kind: ProgramType::CgroupDevice,
        attach: |program| cgroup::attach(program, &group(), cgroup::CgroupMethod::ProgAttach),
        steps: &["BPF_PROG_ATTACH"],
    },
    Way {
        name: "netns",
        kind: ProgramType::FlowDissector,
        attach: |program| super::attach(program, &"netns::flow_dissector".parse()?),
        steps: &["BPF_LINK_CREATE"],
    },
    Way {
        name: "socket",
        kind: ProgramType::SocketFilter,
        attach: |program| super::attach(program, &"socket:lo".parse()?),
        steps: &["socket", "SO_RCVBUF", "SO_ATTACH_BPF", "bind"],
    },
    Way {
        name: "own socket",
        kind: ProgramType::SocketFilter,
        attach: |program| socket::attach(program, std::io::pipe().unwrap().0),
        steps: &["SO_ATTACH_BPF"],
    },
];

/// Attaches on a kernel with that fault, and drops the result. Returns the calls, the outcome, and the objects left.
fn attach(way: Way, fault: Option<Fault>) -> (Vec<&'static str>, Result<()>, Vec<&'static str>) {
    let kernel = Rc::new(RefCell::new(Kernel { fault, ..Kernel::default() }));
    let asked = Rc::clone(&kernel);
    let result = fake::with(
        move |call| Some(asked.borrow_mut().answer(call)),
        || {
            let program = Loader::new().load(&NOTHING.with_kind(way.kind)).unwrap();
            kernel.borrow_mut().attaching = true;
            let result = (way.attach)(&program);
            kernel.borrow_mut().attaching = false;
            result.map(drop)
        },
    );
    let kernel = kernel.borrow();
    assert_eq!(kernel.left_open(), 0, "{} {fault:?}", way.name);
    let mut there = kernel.there.clone();
    // A packet socket, and its filter with it, are closed.
    there.retain(|what| way.name != "socket" || *what != "filter of a socket");
    (kernel.steps.clone(), result, there)
}

#[test]
fn an_attachment_makes_only_the_calls_it_needs() {
    for way in WAYS {
        let (steps, result, there) = attach(way, None);
        result.unwrap_or_else(|error| panic!("{}: {error}", way.name));
        let device = !matches!(way.name, "cgroup" | "cgroup link" | "netns" | "own socket");
        let first = if device { &GETLINK[..] } else { &[] };
        assert_eq!(steps, [first, way.steps].concat(), "{}", way.name);
        assert_eq!(there, [""; 0], "{}", way.name);
    }
}

/// Whether it continues with another method.
fn is_optional(step: &str, errno: Errno) -> bool {
    match (step, errno.0) {
        ("netlink option", _) => true,
        // A kernel without links, where the older method is used.
        ("BPF_LINK_CREATE", libc::EINVAL) => true,
        // It exists already.
        ("RTM_NEWQDISC", libc::EEXIST) => true,
        _ => false,
    }
}

#[test]
fn every_call_can_fail() {
    for way in WAYS {
        let (steps, ..) = attach(way, None);
        for (at, step) in steps.iter().copied().enumerate() {
            // The second of two is that which receives.
            let receives = step.starts_with("RTM_")
                && at > 0
                && steps[..at].iter().rev().take_while(|before| **before == step).count() % 2 == 1;
            for errno in ERRNOS.iter().copied().map(Errno) {
                // Network namespaces have no older method.
                let is_optional = |step, errno| way.name != "netns" && is_optional(step, errno);
                for how in [How::Call, How::Answer] {
                    if how == How::Answer && !receives {
                        continue;
                    }
                    let fault = Fault { at, how, errno };
                    let (seen, result, there) = attach(way, Some(fault));
                    let what = format!("{} {step} {fault:?}: {seen:?}", way.name);
                    // It is unknown whether it was created: one that exists may belong to another process.
                    let unknown = step == "RTM_NEWQDISC" && receives && how == How::Call;
                    let left = if unknown && there == ["clsact"] { vec![] } else { there };
                    assert_eq!(left, [""; 0], "{what}");
                    let Err(error) = result else {
                        let interrupted = errno == Errno(libc::EINTR)
                            && how == How::Call
                            && step.starts_with("RTM_");
                        assert!(interrupted || is_optional(step, errno), "{what}");
                        continue;
                    };
                    assert!(!is_optional(step, errno), "{error} for {what}");
                    let text = error.to_string();
                    if let Error::NotFound { what: "network device", .. } = error {
                        assert!(step == "RTM_GETLINK", "{what}");
                        continue;
                    }
                    assert!(text.contains(step) && text.contains("`nothing`"), "{text} for {what}");
                    assert!(text.contains(errno.name().unwrap()), "{text} for {what}");
                    assert_eq!(text.contains(SAID), how == How::Answer, "{text} for {what}");
                }
            }
        }
    }
}

/// On this kernel, with its links disabled.
#[test]
fn without_links_it_goes_the_older_way() {
    needs!(Bpf, Root);
    let by_old = |spec: &ProgramSpec<'_, '_>, target: Target| {
        let old = |call: &mut Call<'_, '_>| match call {
            Call::LinkCreate(_) => Some(Err(Errno(libc::EINVAL))),
            _ => None,
        };
        let program = Loader::new().load(&target.spec(spec)).unwrap();
        fake::with(old, || super::attach(&program, &target))
    };
    std::thread::spawn(move || {
        use nix::sched::{CloneFlags, unshare};
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        // Two at once are one too many, so that it is there, and gone with its link.
        let on_device = || by_old(&NOTHING, "xdpgeneric:lo".parse().unwrap());
        let link = on_device().unwrap();
        assert!(link.as_bpf_link().is_none());
        assert!(on_device().unwrap_err().to_string().contains("EBUSY"));
        drop(link);
        assert!(on_device().is_ok());
        // This takes modules, which not every kernel has.
        match by_old(&NOTHING, "tc:lo/ingress".parse().unwrap()) {
            Ok(link) => assert!(link.as_bpf_link().is_none()),
            Err(error) => assert!(error.to_string().contains("CONFIG_NET_SCH_INGRESS"), "{error}"),
        }
    })
    .join()
    .unwrap();
}
