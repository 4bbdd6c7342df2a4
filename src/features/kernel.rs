//! Probing the kernel: one row of the tables, one answer.

use super::helpers;
use super::program_types::bases;
use super::row::{Blob, Extra, Load, Place, Refusal, Shape, Target, Test, Yes};
use crate::asm::helper_number;
use crate::btf::{Body, KernelTypes, Kind};
use crate::insn::Insn;
use crate::syscall::{
    self, BtfLoad, LinkCreate, LinkExtra, Log, MapBtf, MapCreate, ProgAttach, ProgLoad,
    RawTracepoint, Relative, memlock,
};
use crate::uapi::{Errno, MapType, ProgramType};
use std::cell::RefCell;
use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};

/// The size of the log buffer, enough for the verifier's log of a program of a few instructions.
pub(super) const LOG_SIZE: usize = 4096;

/// The kernel's answer, and its meaning.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub has: Has,
    /// The call, and its answer in a word: `load: EINVAL`.
    pub found: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Has {
    Yes,
    No,
    /// It refused for a reason that has nothing to do with the question.
    Unknown(Errno),
}

/// The running kernel, and what of its BTF has been looked up.
#[derive(Debug, Default)]
pub(super) struct Kernel {
    types: KernelTypes,
    ids: RefCell<HashMap<(Kind, &'static str), Option<u32>>>,
}

const ENOENT: Errno = Errno(libc::ENOENT);
const EINVAL: Errno = Errno(libc::EINVAL);

/// An attach type that no kernel has.
const NO_ATTACH_TYPE: u32 = u32::MAX;

/// A descriptor and a network device that do not exist.
const NOWHERE: syscall::Target<'static> = syscall::Target::Interface(u32::MAX);

/// The loopback device has the number 1 in every network namespace.
const LOOPBACK: syscall::Target<'static> = syscall::Target::Interface(1);

/// `XDP_FLAGS_DRV_MODE`: native XDP or an error.
const DRIVER_ONLY: u32 = 1 << 2;

/// The start of the verifier's log line for a helper call.
const CALL: &str = "(85) call ";

/// The verifier's messages for a helper that it does not have, or not for this type of program (the last since 6.13).
const NO_HELPER: &[&str] = &["invalid func ", "unknown func ", "cannot use helper "];

impl Kernel {
    /// Runs the test of a row, and interprets the answer.
    pub(super) fn ask(&self, test: &Test, yes: Yes) -> Outcome {
        let wants_log = matches!(yes, Yes::Verifier | Yes::Says(_));
        let answer = match test {
            Test::Helper(kind, name) => {
                let number = helper_number(name.as_bytes()).unwrap_or_default();
                return self.ask_helper(*kind, number);
            }
            Test::Load(load) => self.load(load, wants_log).map(|_| "load"),
            Test::LoadChecked(load) => self.load_checked(load),
            Test::Map(shape) => self.map(shape).map(|_| "map create"),
            Test::Btf(blob) => self.btf(blob).map(|_| "BTF load"),
            Test::Attach(load) => self.attach(load),
            Test::Detach(load) => self.detach(load),
            Test::Link(load, place) => self.link(load, *place).map(|_| "link"),
            Test::Function(name) => self.number(Kind::Function, name).map(|_| "BTF"),
            Test::Do(test) => test(self).map(|()| "done"),
        };
        judge(answer, yes)
    }

    /// Whether some program of that type may call the helper of that number.
    pub(super) fn ask_helper(&self, kind: ProgramType, number: i32) -> Outcome {
        let code = [Insn::from_fields(0x85, 0, 0, 0, number), Insn::from_fields(0x95, 0, 0, 0, 0)];
        let mut found = judge(Err(Refusal::new("helper", EINVAL)), Yes::Done);
        for load in bases(kind) {
            let outcome = self.ask_for_helper(&load, &code);
            match outcome.has {
                Has::Yes => return outcome,
                // It is the one that could not be asked that might have it.
                Has::No if matches!(found.has, Has::Unknown(_)) => {}
                _ => found = outcome,
            }
        }
        found
    }

    fn ask_for_helper(&self, load: &Load, code: &[Insn]) -> Outcome {
        match self.load_code(load, code, true) {
            Ok(_) => judge(Ok("load"), Yes::Done),
            // The verifier reaches the call, and looks up the helper before it checks arguments. A message from before the
            // call is about the program: before Linux 5.11 only a few LSM hooks may sleep.
            Err(refusal) if refusal.log.contains(CALL) => {
                let no = NO_HELPER.iter().any(|words| refusal.log.contains(words));
                Outcome { has: if no { Has::No } else { Has::Yes }, found: words(&refusal) }
            }
            Err(refusal) => judge(Err(refusal), Yes::Done),
        }
    }

    fn load(&self, load: &Load, log: bool) -> Result<OwnedFd, Refusal> {
        self.load_code(load, load.code, log)
    }

    fn load_code(&self, load: &Load, code: &[Insn], log: bool) -> Result<OwnedFd, Refusal> {
        let (id, member) = self.target(load.target)?;
        let attach_type = member.or(load.attach.map(|attach| attach as u32)).unwrap_or(0);
        load_as(load, code, attach_type, id, log)
    }

    /// Kernels take any attach type of a type of program that did not have several yet.
    fn load_checked(&self, load: &Load) -> Result<&'static str, Refusal> {
        self.load(load, false)?;
        match load_as(load, load.code, NO_ATTACH_TYPE, 0, false) {
            Err(_) => Ok("load"),
            Ok(_) => Err(Refusal::new("load with any attach type", EINVAL)),
        }
    }

    /// The number in BTF of what a program is for, and what stands in the place of its attach type.
    fn target(&self, target: Target) -> Result<(u32, Option<u32>), Refusal> {
        match target {
            Target::None => Ok((0, None)),
            Target::Id(id) => Ok((id, None)),
            Target::Named(kind, name) => Ok((self.number(kind, name)?, None)),
            Target::Member(of, name) => {
                let id = self.number(Kind::Struct, of)?;
                Ok((id, Some(self.member(id, name).ok_or(Refusal::new("BTF", ENOENT))?)))
            }
        }
    }

    /// The number of a type in the kernel's BTF.
    pub(super) fn number(&self, kind: Kind, name: &'static str) -> Result<u32, Refusal> {
        let known = self.ids.borrow().get(&(kind, name)).copied();
        let number = match known {
            Some(number) => number,
            None => {
                let number = self.look_up(kind, name)?;
                self.ids.borrow_mut().insert((kind, name), number);
                number
            }
        };
        number.ok_or(Refusal::new("BTF", ENOENT))
    }

    /// A kernel without BTF has no such type either.
    fn look_up(&self, kind: Kind, name: &str) -> Result<Option<u32>, Refusal> {
        use crate::error::Error;
        let refused = |errno| Refusal::new("BTF", errno);
        let btf = match self.types.vmlinux() {
            Ok(btf) => btf,
            Err(Error::Unsupported { .. }) => return Ok(None),
            Err(Error::File { source, .. }) => return Err(refused(Errno::of(&source))),
            Err(_) => return Err(refused(Errno(libc::EIO))),
        };
        let types = btf.named(name).map_err(|_| refused(Errno(libc::EIO)))?;
        Ok(types.iter().find(|found| found.kind == kind).map(|found| found.id))
    }

    fn member(&self, id: u32, name: &str) -> Option<u32> {
        let found = self.types.vmlinux().ok()?.get(id).ok()?;
        let Body::Composite { members, .. } = found.body else { return None };
        let at = members.into_iter().position(|member| member.is_ok_and(|one| one.name == name));
        at.and_then(|at| u32::try_from(at).ok())
    }

    fn map(&self, shape: &Shape) -> Result<OwnedFd, Refusal> {
        let inner = match shape.extra {
            Extra::Inner => Some(create(&MapCreate {
                map_type: MapType::Array as u32,
                key_size: 4,
                value_size: 4,
                max_entries: 1,
                ..Default::default()
            })?),
            _ => None,
        };
        let types = match shape.extra {
            Extra::Types => Some(self.btf(&super::types::INT)?),
            _ => None,
        };
        create(&MapCreate {
            map_type: shape.kind,
            key_size: shape.key,
            value_size: shape.value,
            max_entries: shape.entries,
            flags: shape.flags,
            name: if let Extra::Name(name) = shape.extra { name.as_bytes() } else { &[] },
            inner_map: inner.as_ref().map(AsFd::as_fd),
            btf: types.as_ref().map(|btf| MapBtf { btf: btf.as_fd(), key_type: 1, value_type: 1 }),
            vmlinux_value_type: if let Extra::ValueType(id) = shape.extra { id } else { 0 },
            ..Default::default()
        })
    }

    pub(super) fn btf(&self, blob: &Blob) -> Result<OwnedFd, Refusal> {
        // struct btf_header: magic, version, flags and four words; then types and strings.
        let types: Vec<u8> = blob.types.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let (types_len, strings_len) = (types.len() as u32, blob.strings.len() as u32);
        let mut bytes = 0xeb9f_u16.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        let header = [24, 0, types_len, types_len, strings_len];
        bytes.extend(header.iter().flat_map(|word| word.to_ne_bytes()));
        bytes.extend(types);
        bytes.extend(blob.strings);
        let answer = memlock::with_memlock(|| {
            syscall::btf_load(&mut BtfLoad { btf: &bytes, ..Default::default() })
        });
        answer.map_err(|errno| Refusal::new("BTF load", errno))
    }

    fn attach(&self, load: &Load) -> Result<&'static str, Refusal> {
        let program = self.load(load, false)?;
        let answer = syscall::prog_attach(&ProgAttach {
            target: NOWHERE,
            program: program.as_fd(),
            attach_type: load.attach.map_or(0, |attach| attach as u32),
            flags: 0,
            replace: None,
            relative: Relative::None,
            expected_revision: 0,
        });
        answer.map(|()| "attach").map_err(|errno| Refusal::new("attach", errno))
    }

    fn detach(&self, load: &Load) -> Result<&'static str, Refusal> {
        let program = self.load(load, false)?;
        let attach_type = load.attach.map_or(0, |attach| attach as u32);
        syscall::prog_detach(syscall::Target::None, program.as_fd(), attach_type)
            .map(|()| "detach")
            .map_err(|errno| Refusal::new("detach", errno))
    }

    /// A link to an iterator over tasks.
    pub(super) fn iterator(&self) -> Result<OwnedFd, Refusal> {
        self.link(&super::objects::ITERATOR, Place::Named)
    }

    fn link(&self, load: &Load, place: Place) -> Result<OwnedFd, Refusal> {
        let program = self.load(load, false)?;
        let no_function = [c"rawbpf has no such function"];
        let (target, flags, extra) = match place {
            Place::NoTracepoint => {
                let open = RawTracepoint {
                    name: Some(c"rawbpf_no_such_tracepoint"),
                    program: program.as_fd(),
                    cookie: 0,
                };
                return syscall::raw_tracepoint_open(&open)
                    .map_err(|errno| Refusal::new("raw tracepoint", errno));
            }
            Place::Nothing => (NOWHERE, 0, LinkExtra::None),
            Place::NativeXdp => (LOOPBACK, DRIVER_ONLY, LinkExtra::None),
            Place::Named => (syscall::Target::None, 0, LinkExtra::None),
            Place::NoFunction => {
                let functions = &no_function;
                let extra = LinkExtra::KprobeMulti { flags: 0, functions, cookies: &[] };
                (syscall::Target::None, 0, extra)
            }
            Place::Folder => {
                let extra = LinkExtra::UprobeMulti {
                    path: c"/",
                    offsets: &[1],
                    ref_ctr_offsets: &[],
                    cookies: &[],
                    flags: 0,
                    pid: 0,
                };
                (syscall::Target::None, 0, extra)
            }
            Place::NoProtocol => {
                let extra = LinkExtra::Netfilter { pf: 0xff, hooknum: 0, priority: 0, flags: 0 };
                (syscall::Target::None, 0, extra)
            }
        };
        let attach_type = load.attach.map_or(0, |attach| attach as u32);
        syscall::link_create(&LinkCreate {
            program: program.as_fd(),
            target,
            attach_type,
            flags,
            extra,
        })
        .map_err(|errno| Refusal::new("link", errno))
    }
}

fn create(map: &MapCreate<'_>) -> Result<OwnedFd, Refusal> {
    memlock::create_map(map).map_err(|errno| Refusal::new("map create", errno))
}

fn load_as(
    load: &Load,
    code: &[Insn],
    attach_type: u32,
    id: u32,
    log: bool,
) -> Result<OwnedFd, Refusal> {
    let mut buffer = vec![0; if log { LOG_SIZE } else { 0 }];
    let answer = memlock::with_memlock(|| {
        let mut answer = Err(Errno(libc::EAGAIN));
        // The verifier stops for a signal.
        for _ in 0..5 {
            answer = syscall::prog_load(&mut ProgLoad {
                prog_type: load.kind as u32,
                expected_attach_type: attach_type,
                flags: load.flags,
                insns: code,
                license: c"GPL",
                attach_btf_id: id,
                log: log.then_some(Log { level: 1, buffer: &mut buffer, true_size: 0 }),
                ..Default::default()
            });
            if !matches!(answer, Err(Errno(libc::EAGAIN))) {
                break;
            }
        }
        answer
    });
    answer.map_err(|errno| {
        let log = buffer.split(|byte| *byte == 0).next().unwrap_or_default();
        Refusal { step: "load", errno, log: String::from_utf8_lossy(log).into_owned() }
    })
}

/// Interprets an answer.
fn judge(answer: Result<&'static str, Refusal>, yes: Yes) -> Outcome {
    let refusal = match answer {
        Ok("done") => return Outcome { has: Has::Yes, found: "done".into() },
        Ok(step) => return Outcome { has: Has::Yes, found: format!("{step}: done") },
        Err(refusal) => refusal,
    };
    let meant = match yes {
        Yes::Done => false,
        Yes::Answers(errnos) => errnos.contains(&refusal.errno.0),
        Yes::Verifier => !refusal.log.is_empty(),
        Yes::Says(texts) => texts.iter().any(|text| refusal.log.contains(text)),
    };
    let has = match refusal.errno {
        _ if meant => Has::Yes,
        // Not about the question: rights, memory, descriptors, signals, damaged files.
        errno @ Errno(
            libc::EPERM
            | libc::ENOMEM
            | libc::EMFILE
            | libc::ENFILE
            | libc::EAGAIN
            | libc::EINTR
            | libc::EIO,
        ) => Has::Unknown(errno),
        _ => Has::No,
    };
    Outcome { has, found: words(&refusal) }
}

fn words(refusal: &Refusal) -> String {
    let Refusal { step, errno, .. } = refusal;
    match errno.name() {
        Some(name) => format!("{step}: {name}"),
        None => format!("{step}: errno {}", errno.0),
    }
}

/// All helpers that can be asked for without a trace, by number and name.
pub(super) fn quiet_helpers() -> impl Iterator<Item = (u32, &'static str)> {
    let all = (0..).zip(crate::asm::HELPERS).skip(1);
    all.filter(|(number, _)| helpers::trace_left(*number).is_none())
}
