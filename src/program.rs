//! Programs in the kernel, and loading them from a [`ProgramSpec`].

#[cfg(feature = "elf")]
mod arena;
mod btf_target;
mod collection;
mod data;
mod dump;
#[cfg(test)]
mod fault_tests;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz;
mod info;
mod pin;
mod prepare;
mod relocate;
mod source;
mod test_run;
mod text;
mod verify;

#[cfg(feature = "elf")]
pub(crate) use data::describe as describe_data;
#[cfg(feature = "cli")]
pub(crate) use dump::read_btf;
pub use dump::{JitedFunction, ProgramDump, SourceLine};
#[cfg(feature = "cli")]
pub(crate) use info::ids;
pub use info::{ProgramInfo, Programs, RunStatistics, programs};
pub(crate) use pin::pin_object;
pub use relocate::NameProblem;
#[cfg(feature = "cli")]
pub(crate) use relocate::kernel_number;
#[cfg(feature = "elf")]
pub(crate) use relocate::put_number;
#[doc(hidden)]
pub use relocate::resolvable;
#[cfg(feature = "elf")]
pub(crate) use source::{context, describe_in, functions};
#[cfg(feature = "cli")]
pub(crate) use test_run::takes_packet;
pub use test_run::{TestRun, TestRunOptions, TestRunOutput};
pub use text::TextSpec;

use self::prepare::Other;
use self::relocate::Arguments;
use crate::asm::Section;
use crate::btf::KernelTypes;
use crate::error::{Error, Result};
use crate::kernel::version;
use crate::map::{Map, View};
use crate::permission::{self, Denied, Need};
use crate::spec::attach_point::{find, first_version};
use crate::spec::{AttachTo, Kconfig, MapSpec, ProgramSpec};
use crate::syscall::{self, Log, ProgLoad, memlock};
use crate::token::Token;
use crate::uapi::flags::OF_PROGRAMS;
use crate::uapi::{AttachType, Errno, ProgramType};
use crate::verifier::{VerifierError, VerifierLog};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};

/// A program in the kernel. It lives as long as this, or as something it is attached to.
#[derive(Debug)]
pub struct Program {
    name: String,
    kind: ProgramType,
    /// The attach type that it was loaded with, if this process loaded it.
    attach_type: Option<AttachType>,
    /// The arguments of its attach target that it reads, if their places depend on the target.
    arguments: Option<Box<dyn Arguments>>,
    fd: OwnedFd,
}

impl Program {
    fn of(
        spec: &ProgramSpec<'_, '_>,
        fd: OwnedFd,
        arguments: Option<Box<dyn Arguments>>,
    ) -> Program {
        let (name, kind, attach_type) = (spec.name.into(), spec.kind, spec.attach_type);
        Program { name, kind, attach_type, arguments, fd }
    }

    /// Refuses an attach target, in one process perhaps, that passes the arguments it reads in another way than the target it was
    /// loaded for.
    pub(crate) fn check_arguments(&self, place: &AttachTo<'_>, process: Option<u32>) -> Result<()> {
        self.arguments.as_ref().map_or(Ok(()), |arguments| arguments.check(place, process))
    }

    /// Returns its whole name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its type.
    pub fn kind(&self) -> ProgramType {
        self.kind
    }

    /// Returns the attach type that it was loaded with, from its spec. `None` also for a program that another process
    /// loaded: the kernel does not report it.
    pub fn attach_type(&self) -> Option<AttachType> {
        self.attach_type
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
/// let seen = loader.map(&SEEN)?;      // the map that the program uses
/// # Ok::<(), rawbpf::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Loader<'a> {
    log_level: u32,
    token: Option<&'a Token>,
    maps: Vec<(&'a MapSpec<'a>, Map)>,
    /// The maps of maps that have their initial elements.
    filled: Vec<&'a MapSpec<'a>>,
    /// The arenas of object files that it has created, with their memory.
    #[cfg(feature = "elf")]
    arenas: Vec<arena::LoadedArena<'a>>,
    /// The variables of arenas, identified by the addresses of their sections.
    #[cfg(feature = "elf")]
    arena_data: Vec<arena::ArenaData<'a>>,
    /// Contents that replace those of the specs.
    values: Vec<(&'a MapSpec<'a>, Vec<u8>)>,
    /// The maps of data sections, identified by the address of the borrowed bytes.
    data: Vec<(Section, &'a [u8], Map)>,
    /// The maps of the kernel's settings, identified by the address of what objects declare.
    kconfigs: Vec<(&'a Kconfig, Map)>,
    /// The process whose files the programs that are loaded next are for.
    process: Option<u32>,
    /// The BTF of object files in the kernel, identified by the address of the blob.
    object_types: Vec<(Arc<[u8]>, LoadedTypes)>,
    /// The kernel's types, parsed at the first lookup of a name. Behind a trait, so that a binary without such names
    /// does not contain the code for types.
    types: OnceLock<Box<dyn Types>>,
}

/// BTF in the kernel, or why the kernel refused it.
type LoadedTypes = Result<Arc<OwnedFd>, Errno>;

/// Access to the kernel's types.
trait Types: fmt::Debug + Send + Sync {
    fn of_kernel(&self) -> &KernelTypes;
}

impl Types for KernelTypes {
    fn of_kernel(&self) -> &KernelTypes {
        self
    }
}

/// The initial size of the log buffer, and the greatest: before Linux 6.4 the verifier refuses more (`UINT_MAX >> 8`),
/// and nobody reads more.
const LOG_START: usize = 64 << 10;
const LOG_MOST: usize = (16 << 20) - 1;

/// The log level of warnings and some statistics, without the path (`BPF_LOG_STATS`). Linux 5.2.
const LOG_STATS: u32 = 4;

/// The log did not fit.
const ENOSPC: Errno = Errno(libc::ENOSPC);

/// The number of attempts of a load that a signal interrupts (`EAGAIN`). The verifier checks for signals, and an
/// interval timer can interrupt it repeatedly.
const ATTEMPTS: usize = 5;

impl<'a> Loader<'a> {
    /// Creates a loader without maps.
    pub fn new() -> Loader<'a> {
        Loader::default()
    }

    fn types(&self) -> &KernelTypes {
        self.types.get_or_init(|| Box::new(KernelTypes::new())).of_kernel()
    }

    /// Sets the level of the verifier's log for a program that it rejects: 1 for the path to the error (the default), 2
    /// for every path with the state of all registers, each plus 4 for statistics.
    pub fn log_level(mut self, level: u32) -> Loader<'a> {
        self.log_level = level;
        self
    }

    /// Sets the BPF token whose permissions apply to the maps, types and programs made from here on. Linux 6.9.
    pub fn token(mut self, token: &'a Token) -> Loader<'a> {
        self.token = Some(token);
        self
    }

    /// Has the arguments of probes in user space be those of the files that a process sees; returns the one before.
    pub(crate) fn set_process(&mut self, process: Option<u32>) -> Option<u32> {
        std::mem::replace(&mut self.process, process)
    }

    /// Returns the map that this loader made of a spec. It is created now if no loaded program has named it yet: so a
    /// reader can be set up before the first program runs.
    ///
    /// # Errors
    /// The errors of [`Map::create`].
    pub fn map(&mut self, spec: &'a MapSpec<'a>) -> Result<&Map> {
        let known = self.maps.iter().position(|(known, _)| std::ptr::eq(*known, spec));
        let index = match known {
            Some(index) => index,
            None => {
                let map = self.create(spec)?;
                #[cfg(feature = "elf")]
                self.map_memory(spec, &map)?;
                self.maps.push((spec, map));
                self.maps.len() - 1
            }
        };
        Ok(&self.maps[index].1)
    }

    /// A typed view of the map that this loader made of a spec: [`map`](Loader::map) and the view's `of` in one.
    ///
    /// ```no_run
    /// use rawbpf::map::Hash;
    /// use rawbpf::{Loader, MapSpec};
    ///
    /// static COUNTS: MapSpec = Hash::<u32, u64>::spec("counts", 1024);
    ///
    /// let mut loader = Loader::new();
    /// let counts: Hash<u32, u64> = loader.view(&COUNTS)?;
    /// for entry in counts.iter() {
    ///     let (pid, count) = entry?;
    ///     println!("{pid}: {count}");
    /// }
    /// # Ok::<(), rawbpf::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Map::create`], and [`Error::MapView`] if the map is not what the view is for.
    pub fn view<V: View>(&mut self, spec: &'a MapSpec<'a>) -> Result<V> {
        V::of(self.map(spec)?)
    }

    /// Loads a program. `bpf(2)`, `BPF_PROG_LOAD`; Linux 4.1 for the first of the types.
    ///
    /// The log is only requested after a refusal, because writing it makes the verifier many times slower.
    ///
    /// # Errors
    /// [`Error::Verifier`] if the verifier rejects it, [`Error::LoadProgram`] if the kernel refuses it for another
    /// reason, and the errors of [`Map::create`].
    #[doc(alias = "BPF_PROG_LOAD")]
    pub fn load(&mut self, spec: &ProgramSpec<'a, '_>) -> Result<Program> {
        self.load_of(spec, None)
    }

    /// Loads a program for a function of another program that is already in the kernel: one of type `ext`, to replace
    /// that function (Linux 5.6), or of type `tracing`, to run before or after it (5.5). The
    /// [`target`](ProgramSpec::target) names the function: the first one of a program has the program's name, another
    /// the name of its label. When the program is attached with [`attach`](crate::attach::attach), it is attached to
    /// that function, whatever the target given there.
    ///
    /// An `ext` program is called with the arguments of the function. The kernel replaces only functions whose
    /// arguments it knows: those that clang has marked global; of programs made here the first one, if its context is a
    /// struct of the network or of control groups (`xdp_md`, `__sk_buff`, `bpf_sock_addr`, …).
    ///
    /// ```no_run
    /// use rawbpf::{Loader, Program, ProgramSpec, ProgramType, bpf};
    ///
    /// let xdp = Program::open_pinned("/sys/fs/bpf/filter")?;
    /// let pass = ProgramSpec::new("pass", ProgramType::Ext, bpf! { r0 = 2; exit; });
    /// let pass = Loader::new().load_for(&pass.with_target("filter"), &xdp)?;
    /// # Ok::<(), rawbpf::Error>(())
    /// ```
    ///
    /// # Errors
    /// The errors of [`load`](Loader::load); [`Error::Call`] if the other program has no BTF with its functions,
    /// [`Error::LoadTarget`] with the nearest names if it has none of that name.
    pub fn load_for(&mut self, spec: &ProgramSpec<'a, '_>, of: &Program) -> Result<Program> {
        if !matches!(spec.kind, ProgramType::Ext | ProgramType::Tracing) {
            let problem = "only programs of the types ext and tracing are for functions of others";
            return Err(Error::Spec { what: "program", name: spec.name.into(), problem });
        }
        self.load_of(spec, Some(&prepare::other(of)?))
    }

    fn load_of(&mut self, spec: &ProgramSpec<'a, '_>, of: Option<&Other<'_>>) -> Result<Program> {
        let level = self.log_level.max(1);
        let loaded = self.prepared(spec, of, |load| match load_retrying(load) {
            Ok(fd) => Ok(fd),
            Err(errno) => explain(spec, load, errno, level),
        });
        let types = spec.code.object.and_then(|object| object.types);
        let (fd, arguments) = self.of_types(types, loaded)?;
        Ok(Program::of(spec, fd, arguments))
    }
}

/// Returns the mount options of a BPF file system whose token permits this load. A program without an attach type
/// counts as one with the first.
fn lending(spec: &ProgramSpec<'_, '_>) -> String {
    let attach_type = spec.attach_type.unwrap_or(AttachType::ALL[0]);
    format!("delegate_cmds=prog_load,delegate_progs={},delegate_attachs={attach_type}", spec.kind)
}

/// Returns the attribute of a program that the kernel most likely does not support, if it refused the program before
/// verification.
fn lacks(spec: &ProgramSpec<'_, '_>, errno: Errno) -> Option<String> {
    if !matches!(errno.0, libc::EINVAL | libc::E2BIG) {
        return None;
    }
    let of_type = || version::too_old(&format!("the type {}", spec.kind), first_version(spec.kind));
    let of_attach_type = || {
        let attach_type = spec.attach_type?;
        let since = find(spec.kind, Some(attach_type))?.since;
        version::too_old(&format!("the attach type {attach_type}"), since)
    };
    let known = OF_PROGRAMS.iter().fold(0, |all, (flag, ..)| all | flag);
    let of_flags = || version::lacking_flags(spec.flags.bits(), &OF_PROGRAMS, known);
    of_type().or_else(of_attach_type).or_else(of_flags)
}

/// Loads once, or again after a signal interrupted the load, and raises the limit on locked memory if necessary.
fn load_retrying(load: &mut ProgLoad<'_>) -> Result<OwnedFd, Errno> {
    memlock::with_memlock(|| {
        let mut answer = Err(Errno(libc::EAGAIN));
        for _ in 0..ATTEMPTS {
            answer = syscall::prog_load(load);
            if !matches!(answer, Err(Errno(libc::EAGAIN))) {
                break;
            }
        }
        answer
    })
}

/// Finds the reason why a load was refused: missing permissions, or the log of another load.
fn explain(
    spec: &ProgramSpec<'_, '_>,
    load: &mut ProgLoad<'_>,
    errno: Errno,
    level: u32,
) -> Result<OwnedFd> {
    let refused = |errno, why| Error::LoadProgram {
        program: spec.name.into(),
        kind: spec.kind,
        section: btf_target::section(spec),
        errno,
        why,
        lacks: lacks(spec, errno),
    };
    // Before Linux 4.17 there are no attach types at load, and programs load without them.
    if errno == Errno(libc::E2BIG) && load.expected_attach_type != 0 {
        let mut without = ProgLoad { expected_attach_type: 0, log: None, ..*load };
        if let Ok(fd) = load_retrying(&mut without) {
            return Ok(fd);
        }
    }
    let need = match spec.kind {
        // The kernel's is_perfmon_prog_type().
        ProgramType::Kprobe
        | ProgramType::Tracepoint
        | ProgramType::PerfEvent
        | ProgramType::RawTracepoint
        | ProgramType::RawTracepointWritable
        | ProgramType::Tracing
        | ProgramType::Lsm
        | ProgramType::StructOps
        | ProgramType::Ext => Need::Tracing,
        _ => Need::Bpf,
    };
    // EACCES is how the verifier itself reports a forbidden access; EPERM hardly ever is.
    let why = match (errno, load.token) {
        (Errno(libc::EPERM), None) => permission::explain(errno, need),
        (Errno(libc::EPERM), Some(_)) => permission::explain_lent(errno, need, lending(spec)),
        _ => None,
    };
    if why.as_ref().is_some_and(Denied::is_certain) {
        return Err(refused(errno, why));
    }

    let mut buffer = vec![0; LOG_START];
    let mut log_level = level;
    let mut cut_off = None;
    loop {
        let log = Log { level: log_level, buffer: &mut buffer, true_size: 0 };
        let mut again = ProgLoad { log: Some(log), ..*load };
        let answer = load_retrying(&mut again);
        let true_size = again.log.as_ref().map_or(0, |log| log.true_size as usize);
        let answer = match answer {
            // The cause of the refusal is gone.
            Ok(fd) => return Ok(fd),
            Err(errno) => errno,
        };
        // The buffer gets the size that the kernel reports, or else the maximum: only written pages take memory, and
        // every attempt costs the verifier's time again. If the log is longer than that, the kernel has kept its end,
        // which is enough.
        let size = if true_size > 0 { true_size } else { LOG_MOST };
        if answer == ENOSPC && buffer.len() < size && size <= LOG_MOST && cut_off.is_none() {
            buffer = vec![0; size];
            continue;
        }
        // Since Linux 6.4, which reports the size, the end of the log is kept. Before, it is the beginning, and the end
        // is what matters: so the load is repeated without the path in the log.
        if answer == ENOSPC && true_size == 0 && cut_off.is_none() {
            log_level = LOG_STATS;
            cut_off = Some((answer, std::mem::replace(&mut buffer, vec![0; LOG_START])));
            continue;
        }
        let (answer, buffer) = match cut_off {
            // A kernel without that log level.
            Some(cut_off) if buffer.first() == Some(&0) => cut_off,
            _ => (answer, buffer),
        };
        // A log that was too long masks the reason of the refusal.
        let errno = if answer == ENOSPC { errno } else { answer };
        let end = buffer.iter().position(|byte| *byte == 0).unwrap_or(buffer.len());
        let log = buffer.get(..end).unwrap_or_default();
        // An error about memory or descriptors is not a fault of the program, even if there is a log: the descriptor is
        // allocated after the program was accepted.
        let silent = VerifierLog::new(&String::from_utf8_lossy(log)).is_silent();
        if silent || matches!(answer, Errno(libc::ENOMEM | libc::EMFILE | libc::ENFILE)) {
            return Err(refused(errno, why));
        }
        return Err(Box::new(VerifierError::new(spec, errno, log)).into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf;
    use crate::error::ErrorKind;
    use crate::syscall::{Call, fake};
    use crate::uapi::ProgramFlags;
    use std::cell::RefCell;
    use std::rc::Rc;

    static COUNTS: MapSpec = MapSpec::hash("counts", 4, 8, 16);
    static EVENTS: MapSpec = MapSpec::array("events", 8, 1);
    static SPEC: ProgramSpec = ProgramSpec::new(
        "a-name that is long",
        ProgramType::Kprobe,
        bpf! {
            r1 = COUNTS ll;
            r2 = EVENTS ll;
            r3 = COUNTS ll;
            r0 = *(u64 *)(r1 + 400);
            exit;
        },
    );

    /// The parameters of one load, as the kernel saw them.
    #[derive(Debug, Clone, PartialEq)]
    struct Seen {
        log: Option<(u32, usize)>,
        imms: Vec<i32>,
        name: Vec<u8>,
        license: Vec<u8>,
    }

    type Story = Rc<RefCell<Vec<Seen>>>;

    /// A fake kernel that answers each load with the next of these: an errno, the log it leaves and the full size of
    /// the log; 0 is success. Maps are always created.
    fn kernel(
        answers: Vec<(i32, &'static [u8], u32)>,
    ) -> (Story, impl FnMut(&mut Call<'_, '_>) -> Option<Result<i64, Errno>>) {
        let story = Story::default();
        let seen = Rc::clone(&story);
        let mut answers = answers.into_iter();
        let kernel = move |call: &mut Call<'_, '_>| match call {
            Call::MapCreate(_) => Some(fake::descriptor()),
            Call::ProgLoad(load) => {
                seen.borrow_mut().push(Seen {
                    log: load.log.as_ref().map(|log| (log.level, log.buffer.len())),
                    imms: load.insns.iter().map(|insn| insn.imm()).collect(),
                    name: load.name.to_vec(),
                    license: load.license.to_bytes().to_vec(),
                });
                let (errno, log, true_size) = answers.next().expect("a load too many");
                if let Some(asked) = &mut load.log {
                    asked.true_size = true_size;
                    for (to, from) in asked.buffer.iter_mut().zip(log) {
                        *to = *from;
                    }
                }
                Some(if errno == 0 { fake::descriptor() } else { Err(Errno(errno)) })
            }
            _ => None,
        };
        (story, kernel)
    }

    fn load_with(answers: Vec<(i32, &'static [u8], u32)>) -> (Vec<Seen>, Result<Program>) {
        let (story, kernel) = kernel(answers);
        let result = fake::with(kernel, || Loader::new().load(&SPEC));
        let seen = story.borrow().clone();
        (seen, result)
    }

    const LOG: &[u8] = b"0: (18) r1 = 0xffff\n6: (79) r0 = *(u64 *)(r1 +400)\n\
        invalid access to map value\nprocessed 4 insns (limit 1000000)\n\0";

    #[test]
    fn a_load_that_works_asks_for_no_log_and_names_each_map_once() {
        let (seen, result) = load_with(vec![(0, b"", 0)]);
        result.unwrap();
        let [load] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!(load.log, None);
        assert_eq!((&load.name[..], &load.license[..]), (&b"a_name_that_is_"[..], &b"GPL"[..]));
        // Slots 0, 2 and 4 hold descriptors; the first and the third refer to the same map.
        assert!(load.imms[0] > 0 && load.imms[2] > 0);
        assert_eq!(load.imms[0], load.imms[4]);
        assert_ne!(load.imms[0], load.imms[2]);
    }

    #[test]
    fn a_rejection_is_asked_again_with_a_log() {
        let (seen, result) = load_with(vec![(libc::EACCES, b"", 0), (libc::EACCES, LOG, 0)]);
        assert_eq!(seen[1].log, Some((1, LOG_START)));
        let error = result.unwrap_err().into_verifier().unwrap();
        assert_eq!(error.cause(), "invalid access to map value");
        assert_eq!(error.instruction(), Some(6));
        assert_eq!(error.statement(), Some("r0 = *(u64 *)(r1 + 400)"));
        let message = error.to_string();
        assert!(message.contains("instruction 6: invalid access to map value"), "{message}");
        assert!(message.contains("program.rs:"), "{message}");
    }

    #[test]
    fn the_log_grows_to_what_the_kernel_says_it_needs() {
        let (seen, _) = load_with(vec![
            (libc::EINVAL, b"", 0),
            (libc::ENOSPC, b"cut", 100_001),
            (libc::EINVAL, LOG, 100_001),
        ]);
        assert_eq!(seen[2].log, Some((1, 100_001)));

        // With a log beyond the maximum its end is there already.
        let (seen, result) =
            load_with(vec![(libc::EACCES, b"", 0), (libc::ENOSPC, LOG, (16 << 20) + 1)]);
        assert_eq!(seen.len(), 2);
        let error = result.unwrap_err().into_verifier().unwrap();
        assert_eq!(error.cause(), "invalid access to map value");
        assert_eq!(error.errno(), Errno(libc::EACCES));
    }

    #[test]
    fn the_log_grows_without_being_told_and_stops_at_the_most() {
        let trace = (libc::ENOSPC, &b"7: (95) exit\n8: (b7) r0 =\0"[..], 0);
        let grown = || vec![(libc::E2BIG, &b""[..], 0), trace, trace];
        let sizes = [(1, LOG_START), (1, LOG_MOST), (4, LOG_START)];

        // The end of the log is what matters.
        let mut answers = grown();
        answers.push((libc::E2BIG, b"BPF program is too large\nprocessed 1000001 insns\n\0", 0));
        let (seen, result) = load_with(answers);
        assert_eq!(seen.iter().filter_map(|load| load.log).collect::<Vec<_>>(), sizes);
        let error = result.unwrap_err().into_verifier().unwrap();
        assert_eq!(
            (error.cause(), error.errno()),
            ("BPF program is too large", Errno(libc::E2BIG))
        );

        // A kernel that does not support this: the part of the log that is there is shown.
        let mut answers = grown();
        answers.push((libc::EINVAL, b"", 0));
        let (_, result) = load_with(answers);
        let error = result.unwrap_err().into_verifier().unwrap();
        assert_eq!(
            (error.log(), error.errno()),
            ("7: (95) exit\n8: (b7) r0 =", Errno(libc::E2BIG))
        );
    }

    #[test]
    fn a_signal_does_not_fail_a_load() {
        let again = (libc::EAGAIN, &b""[..], 0);
        let (seen, result) = load_with(vec![again, again, (0, b"", 0)]);
        assert!(result.is_ok() && seen.len() == 3);
        let (seen, result) = load_with(vec![again; 2 * ATTEMPTS]);
        assert!(matches!(result, Err(Error::LoadProgram { errno: Errno(libc::EAGAIN), .. })));
        assert_eq!(seen.len(), 2 * ATTEMPTS);
    }

    #[test]
    fn a_refusal_without_a_log_is_the_kernels_own_word() {
        for errno in [libc::EFAULT, libc::EINVAL, libc::ENOMEM] {
            let (_, result) = load_with(vec![(errno, b"", 0), (errno, b"", 0)]);
            let Err(error @ Error::LoadProgram { .. }) = result else { panic!("{result:?}") };
            assert_eq!(error.kind(), ErrorKind::Failed);
            assert!(error.to_string().contains(Errno(errno).name().unwrap()), "{error}");
        }
        // With a log, EFAULT means that the verifier found a bug of its own.
        let (_, result) = load_with(vec![(libc::EFAULT, b"", 0), (libc::EFAULT, b"bug\n\0", 0)]);
        assert!(matches!(result, Err(Error::Verifier(_))));
    }

    /// An attribute that is newer than the kernel is reported with the version that added it, also after a verifier's
    /// log that contains only statistics.
    #[test]
    fn what_a_kernel_lacks_is_told_with_its_version() {
        let here = version::running().unwrap();
        const COUNTED: &[u8] =
            b"processed 0 insns (limit 1000000) max_states_per_insn 0 total_states 0\n\0";
        for log in [&b""[..], COUNTED] {
            for row in crate::spec::attach_point::ATTACH_POINTS {
                // Programs with a target in the kernel's BTF are looked up there first.
                let looks = matches!(
                    row.program_type,
                    ProgramType::Tracing
                        | ProgramType::Lsm
                        | ProgramType::Ext
                        | ProgramType::StructOps
                );
                let Some(attach_type) = row.attach_type.filter(|_| !looks) else { continue };
                let kernel = move |call: &mut Call<'_, '_>| match call {
                    Call::ProgLoad(load) => {
                        if let Some(asked) = &mut load.log {
                            for (to, from) in asked.buffer.iter_mut().zip(log) {
                                *to = *from;
                            }
                        }
                        Some(Err(Errno(libc::EINVAL)))
                    }
                    Call::BtfLoad(_) => Some(fake::descriptor()),
                    _ => None,
                };
                let spec = ProgramSpec {
                    attach_type: Some(attach_type),
                    ..ProgramSpec::new("p", row.program_type, bpf! { r0 = 0; exit; })
                };
                let error = fake::with(kernel, || Loader::new().load(&spec)).unwrap_err();
                let since = find(spec.kind, spec.attach_type).unwrap().since;
                let lacks = matches!(&error, Error::LoadProgram { lacks: Some(lacks), .. }
                    if lacks.starts_with(&format!("Linux {since} brought the ")));
                assert_eq!(lacks, here < since, "{attach_type}: {error}");
            }
        }
        // Flags that are not known here are left to the kernel.
        let spec =
            SPEC.with_flags(ProgramFlags::from_bits_retain(1 << 29) | ProgramFlags::SLEEPABLE);
        let (_, kernel) = kernel(vec![(libc::EINVAL, b"", 0); 2]);
        let error = fake::with(kernel, || Loader::new().load(&spec)).unwrap_err();
        assert!(error.to_string().ends_with("unsupported flags 0x20000000"), "{error}");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn a_trouble_that_has_passed_is_no_error() {
        let (_, result) = load_with(vec![(libc::ENOMEM, b"", 0), (0, b"", 0)]);
        assert!(result.is_ok());
    }

    #[test]
    fn a_spec_that_cannot_be_is_not_sent() {
        let none = |_: &mut Call<'_, '_>| -> Option<Result<i64, Errno>> { panic!("asked") };
        let empty = ProgramSpec::new("empty", ProgramType::Kprobe, bpf! {});
        let spec = SPEC.with_license("GPL\0");
        fake::with(none, || {
            assert!(matches!(Loader::new().load(&empty), Err(Error::Spec { .. })));
            assert!(matches!(Loader::new().load(&spec), Err(Error::Spec { .. })));
        });
    }
}
