//! Programs: what the kernel made of a [`ProgramSpec`], and the loading of it.

use crate::asm::Code;
use crate::error::{Error, Result};
use crate::insn::Insn;
use crate::kernel::denied::{self, Need};
use crate::map::{Map, object_name};
use crate::spec::{MapSpec, ProgramSpec, ProgramType};
use crate::syscall::{self, Errno, ProgLoad, ProgLog};
use crate::verifier::VerifierError;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// A program in the kernel. It lives as long as this, or as something it is attached to.
#[derive(Debug)]
pub struct Program {
    name: String,
    kind: ProgramType,
    fd: OwnedFd,
}

impl Program {
    /// Its whole name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its type.
    pub fn kind(&self) -> ProgramType {
        self.kind
    }
}

impl AsFd for Program {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Loads programs, and creates the maps that their instructions name: each once, so that programs
/// loaded by one loader share them.
///
/// ```no_run
/// use rawbpf::{Loader, MapSpec, ProgramSpec, ProgramType, bpf};
///
/// static SEEN: MapSpec = MapSpec::array("seen", 8, 1);
/// static LOOK: ProgramSpec = ProgramSpec::new("look", ProgramType::Kprobe, bpf! {
///     r1 = SEEN ll;
///     r0 = 0;
///     exit;
/// });
///
/// let mut loader = Loader::new();
/// let program = loader.load(&LOOK)?;
/// let map = loader.map(&SEEN);
/// assert!(map.is_some());
/// # Ok::<(), rawbpf::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Loader<'a> {
    log_level: u32,
    maps: Vec<(&'a MapSpec<'a>, Map)>,
}

/// Where the log starts, and what it can grow to: the verifier refuses more before Linux 6.4
/// (`UINT_MAX >> 8`), and nobody reads more.
const LOG_START: usize = 64 << 10;
const LOG_MOST: usize = (16 << 20) - 1;

/// How often a load that a signal interrupted (`EAGAIN`) is tried. The verifier checks for signals, and
/// an interval timer can interrupt it again and again.
const ATTEMPTS: usize = 5;

impl<'a> Loader<'a> {
    /// A loader that has no maps yet.
    pub fn new() -> Loader<'a> {
        Loader::default()
    }

    /// How much of its reasoning the verifier writes down when it rejects a program: 1 the path it took
    /// (the default), 2 every path with the state of all registers, each plus 4 for statistics.
    pub fn log_level(mut self, level: u32) -> Loader<'a> {
        self.log_level = level;
        self
    }

    /// The map that was created for this spec, if a program that was loaded names it.
    pub fn map(&self, spec: &MapSpec<'_>) -> Option<&Map> {
        self.maps.iter().find(|(known, _)| std::ptr::eq(*known, spec)).map(|(_, map)| map)
    }

    /// Loads a program. `bpf(2)`, `BPF_PROG_LOAD`; Linux 4.1 for the first of the types.
    ///
    /// The log is asked for only after a refusal, because writing it makes the verifier many times slower.
    ///
    /// # Errors
    /// [`Error::Verifier`] if the verifier rejects it, [`Error::LoadProgram`] if the kernel refuses it
    /// otherwise, and those of [`Map::create`].
    pub fn load(&mut self, spec: &ProgramSpec<'a>) -> Result<Program> {
        let refuse =
            |problem| Error::Spec { what: "program", name: spec.name.into(), problem };
        let license =
            CString::new(spec.license).map_err(|_| refuse("its license holds a NUL byte"))?;
        if spec.code.slots.is_empty() {
            return Err(refuse("it has no instructions"));
        }
        let insns = self.fill_in(&spec.code)?;
        let name = object_name(spec.name);
        let mut load = ProgLoad {
            prog_type: spec.kind as u32,
            expected_attach_type: 0,
            flags: 0,
            insns: &insns,
            license: &license,
            name: &name,
            log: None,
        };
        let fd = match denied::with_memlock(|| patiently(&mut load)) {
            Ok(fd) => fd,
            Err(errno) => explain(spec, &mut load, errno, self.log_level.max(1))?,
        };
        Ok(Program { name: spec.name.into(), kind: spec.kind, fd })
    }

    /// The slots with the descriptors of the maps in their places.
    fn fill_in(&mut self, code: &Code<'a>) -> Result<Vec<Insn>> {
        let mut insns = code.slots.to_vec();
        for reference in code.maps {
            let fd = self.map_for(reference.map)?.as_fd().as_raw_fd();
            if let Some(slot) = insns.get_mut(reference.slot as usize) {
                *slot = slot.with_imm(fd);
            }
        }
        Ok(insns)
    }

    fn map_for(&mut self, spec: &'a MapSpec<'a>) -> Result<&Map> {
        let known = self.maps.iter().position(|(known, _)| std::ptr::eq(*known, spec));
        let index = match known {
            Some(index) => index,
            None => {
                self.maps.push((spec, Map::create(spec)?));
                self.maps.len() - 1
            }
        };
        Ok(&self.maps[index].1)
    }
}

/// One load, again if a signal interrupted it.
fn patiently(load: &mut ProgLoad<'_>) -> Result<OwnedFd, Errno> {
    let mut answer = Err(Errno(libc::EAGAIN));
    for _ in 0..ATTEMPTS {
        answer = syscall::prog_load(load);
        if !matches!(answer, Err(Errno(libc::EAGAIN))) {
            break;
        }
    }
    answer
}

/// Finds out why a load was refused: by the process's permissions, or by loading again with a log.
fn explain(
    spec: &ProgramSpec<'_>,
    load: &mut ProgLoad<'_>,
    errno: Errno,
    level: u32,
) -> Result<OwnedFd> {
    let refused = |errno, why| Error::LoadProgram {
        program: spec.name.into(),
        kind: spec.kind,
        errno,
        why,
    };
    let need = match spec.kind {
        ProgramType::SocketFilter => Need::Bpf,
        ProgramType::Kprobe | ProgramType::Tracepoint => Need::Tracing,
    };
    let why = denied::explain(errno, need);
    if why.is_some() {
        return Err(refused(errno, why));
    }

    let mut buffer = vec![0; LOG_START];
    loop {
        let log = ProgLog { level, buffer: &mut buffer, true_size: 0 };
        let mut again = ProgLoad { log: Some(log), ..*load };
        let answer = denied::with_memlock(|| patiently(&mut again));
        let true_size = again.log.as_ref().map_or(0, |log| log.true_size as usize);
        let errno = match answer {
            // Whatever it was, it has passed.
            Ok(fd) => return Ok(fd),
            Err(errno) => errno,
        };
        if errno == Errno(libc::ENOSPC) && buffer.len() < LOG_MOST {
            let size = if true_size > buffer.len() { true_size } else { buffer.len() * 4 };
            buffer = vec![0; size.min(LOG_MOST)];
            continue;
        }
        let end = buffer.iter().position(|byte| *byte == 0).unwrap_or(buffer.len());
        let log = buffer.get(..end).unwrap_or_default();
        if log.is_empty() {
            return Err(refused(errno, None));
        }
        return Err(Box::new(VerifierError::new(spec, errno, log)).into());
    }
}
