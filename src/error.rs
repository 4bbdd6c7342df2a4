//! Errors: the operation, its object, the kernel's answer, the cause, and what to do.

use crate::uapi::{ENOTSUPP, Errno, MapType, ProgramType};
use crate::util::Version;
use crate::util::escape::{shown, shown_path};
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;

mod permission;

pub use permission::{Capability, Denied, Setting};

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of an upper module of the library, kept whole. It can be taken out again with an accessor of that module, such
/// as [`Error::verifier`].
pub type Source = Box<dyn StdError + Send + Sync>;

/// An error of this library. [`Error::kind`] sorts it into the classes that a caller acts on.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A spec that no kernel would take; no call was made.
    #[error("{what} `{}`: {problem}", shown(.name))]
    Spec {
        /// `map`, `program`.
        what: &'static str,
        /// Its name.
        name: String,
        /// The problem with it.
        problem: &'static str,
    },

    /// A value for a variable that the program text does not have.
    #[error("there is no variable `{}`{}", shown(.name), NearestNames(.nearest))]
    NoVariable {
        /// The name.
        name: String,
        /// The names there are that come nearest to it, the nearest first.
        nearest: Vec<String>,
    },

    /// A value whose size differs from that of the variable or map it is for.
    #[error("{what} `{name}`{} has {size} bytes, and the value given to it {given}", Declared(.declaration))]
    ValueSize {
        /// `variable`, `map`.
        what: &'static str,
        /// Its name.
        name: String,
        /// Its declaration in C, if it is a variable of an object file with BTF.
        declaration: Option<String>,
        /// Its size.
        size: u32,
        /// The size of the value.
        given: usize,
    },

    /// `bpf(BPF_MAP_CREATE)` was refused.
    #[error("cannot create map `{map}` ({kind}): {errno}{}{}", Because(.why), Lacks(.lacks))]
    CreateMap {
        /// The map's name.
        map: String,
        /// Its type.
        kind: MapType,
        /// The kernel's answer.
        errno: Errno,
        /// Why, if it is one of the known reasons.
        why: Option<Denied>,
        /// The type or flag that this kernel lacks, if that is known, and the version that brought it.
        lacks: Option<String>,
    },

    /// A map that no kernel would create; no call was made.
    #[error("map `{map}` ({kind}): {field} is {value}: {rule}")]
    MapField {
        /// The map's name.
        map: String,
        /// Its type.
        kind: MapType,
        /// The field of [`MapSpec`](crate::MapSpec) that is wrong.
        field: &'static str,
        /// The value of the field.
        value: String,
        /// The rule that the value breaks.
        rule: String,
    },

    /// The map pinned at the path of a [`MapSpec`](crate::MapSpec) differs from the spec.
    #[error(
        "cannot use the map pinned at {} as map `{map}`: {field} is {pinned}, expected {wanted}: \
         unpin it (rm), or pin this one elsewhere",
        shown_path(.path)
    )]
    PinnedMap {
        /// The map's name.
        map: String,
        /// The path of the pin.
        path: PathBuf,
        /// The field that differs, by its name in [`MapSpec`](crate::MapSpec).
        field: &'static str,
        /// Its value in the pinned map.
        pinned: String,
        /// Its value in the spec.
        wanted: String,
    },

    /// A key or a value whose length differs from that of the map. No call was made: the kernel would have read or
    /// written as many bytes as the map's key or value has.
    #[error("map `{map}`: {what} has {has} bytes, expected {needs}")]
    MapLength {
        /// The map's name.
        map: String,
        /// `a key`, `a value`.
        what: &'static str,
        /// Its length, in bytes.
        has: usize,
        /// The expected length, in bytes.
        needs: usize,
    },

    /// A map that does not fit a typed view.
    #[error("map `{map}`: {field} is {has}, expected {needs} for {view}")]
    MapView {
        /// The map's name.
        map: String,
        /// The view, `Hash`.
        view: &'static str,
        /// The field that differs, by its name in [`MapSpec`](crate::MapSpec).
        field: &'static str,
        /// Its value in the map.
        has: String,
        /// The expected value.
        needs: String,
    },

    /// A walk over a map was given up: so much was deleted meanwhile that it had to restart again and again.
    #[error(
        "map `{map}` changes faster than its keys can be walked over: read it in batches, which need not begin again"
    )]
    MapChanged {
        /// The map's name.
        map: String,
    },

    /// `bpf(BPF_PROG_LOAD)` was refused, and not by the verifier.
    #[error("cannot load program `{program}` ({kind}{}): {errno}{}{}", InSection(.section), Because(.why), Lacks(.lacks))]
    LoadProgram {
        /// The program's name.
        program: String,
        /// Its type.
        kind: ProgramType,
        /// Its section, if it is from an object file.
        section: Option<String>,
        /// The kernel's answer.
        errno: Errno,
        /// Why, if it is one of the known reasons.
        why: Option<Denied>,
        /// The type, attach type or flag that this kernel lacks, if that is known, and the version that brought it.
        lacks: Option<String>,
    },

    /// A name in an instruction (map, variable, kfunc, BTF type, …) could not be resolved on this kernel.
    #[error(
        "cannot load program `{program}` ({kind}): unresolved name `{}`\n  {}: {}\n  {problem}",
        shown(.name), shown(.place), shown(.statement)
    )]
    Name {
        /// The program's name.
        program: String,
        /// Its type.
        kind: ProgramType,
        /// `file:line` of the statement; of a program from an object file with its section before it, and the source that it
        /// was compiled from.
        place: String,
        /// The statement.
        statement: String,
        /// The name.
        name: String,
        /// Why: [`Error::name_problem`].
        #[source]
        problem: Source,
    },

    /// A program of an object file whose section does not say of which type it is.
    #[error(
        "program `{}`: its section `{}` does not say of which type it is; sections of the object: {}; \
         give a target, as `kprobe/FUNCTION` or `xdp`, or a type",
        shown(.program), shown(.section), shown(&.sections.join(", "))
    )]
    NoProgramType {
        /// The program's name.
        program: String,
        /// Its section.
        section: String,
        /// All sections of the object that have programs.
        sections: Vec<String>,
    },

    /// The attach target of a program does not exist on this kernel.
    #[error("cannot load program `{program}` ({kind}{}) for `{}`: {problem}", InSection(.section), shown(.target))]
    LoadTarget {
        /// The program's name.
        program: String,
        /// Its type.
        kind: ProgramType,
        /// Its section, if it is from an object file.
        section: Option<String>,
        /// The attach target.
        target: String,
        /// Why.
        #[source]
        problem: Box<Error>,
    },

    /// The verifier rejected a program: [`Error::verifier`].
    #[error(transparent)]
    Verifier(Source),

    /// A map or a program of an object file was refused, after the kernel had refused the types of the file.
    #[error(
        "{error}\n  the kernel has refused the types of the object file (.BTF) before that: {errno}"
    )]
    ObjectTypes {
        /// The error of the map or the program.
        error: Box<Error>,
        /// The kernel's answer to the types.
        errno: Errno,
    },

    /// The kernel refused an operation on a map, a program, a link, a BPF token or a module.
    #[error("cannot {action} {object}: {errno}{}{}", Because(.why), Hint(.note))]
    Call {
        /// The operation that failed, `delete an element of`.
        action: &'static str,
        /// Its object, ``map `counts` (hash)``.
        object: String,
        /// The kernel's answer.
        errno: Errno,
        /// Why, if it is one of the known reasons.
        why: Option<Denied>,
        /// The meaning of this errno here.
        note: Option<&'static str>,
    },

    /// A loaded program could not be attached.
    #[error(
        "cannot attach program `{program}` to {}: {step}: {errno}{}{}{}",
        shown(.target), Message(.message), Because(.why), Hint(.note)
    )]
    Attach {
        /// The program's name.
        program: Box<str>,
        /// The attach target, `kprobe:sys_clone`.
        target: Box<str>,
        /// The call that failed, `perf_event_open`; of netlink the message, `RTM_SETLINK`.
        step: &'static str,
        /// The kernel's answer.
        errno: Errno,
        /// The kernel's message, of netlink (`NLMSGERR_ATTR_MSG`).
        message: Option<Box<str>>,
        /// Why, if it is one of the known reasons.
        why: Option<Denied>,
        /// The usual meaning of this errno here.
        note: Option<&'static str>,
    },

    /// A pattern matches more places than a program can be attached to one by one.
    #[error("{} matches {places} places, and at most {most} are taken one by one: {instead}", shown(.target))]
    TooManyPlaces {
        /// The pattern, `kprobe:*`.
        target: String,
        /// The number of places that match.
        places: usize,
        /// The greatest number of places.
        most: usize,
        /// The way to attach to so many places.
        instead: &'static str,
    },

    /// A named item does not exist on this kernel.
    #[error("{what} `{}` does not exist on this kernel{}{}", shown(.name), NearestNames(.nearest), Hint(.note))]
    NotFound {
        /// `kernel function`, `tracepoint`.
        what: &'static str,
        /// The name that was asked for.
        name: String,
        /// The names there are that come nearest to it, the nearest first.
        nearest: Vec<String>,
        /// More information.
        note: Option<&'static str>,
    },

    /// A named item is not in the file in which it was expected.
    #[error("{what} `{}` is not in {}{}{}", shown(.name), shown_path(.path), NearestNames(.nearest), Hint(.note))]
    NotInFile {
        /// `function`, `USDT probe`.
        what: &'static str,
        /// The name that was asked for.
        name: String,
        /// The file.
        path: PathBuf,
        /// The names there are that come nearest to it, the nearest first.
        nearest: Vec<String>,
        /// More information.
        note: Option<&'static str>,
    },

    /// There is no program or library of that name.
    #[error("there is no program or library `{}`: looked for {} in {}", shown(.file), shown(.names), .places.join(", "))]
    NoFile {
        /// The name that was asked for.
        file: String,
        /// The names that such a file could have.
        names: String,
        /// The folders that were searched, in this order.
        places: Vec<String>,
    },

    /// A place in a file to which no program can be attached.
    #[error("cannot attach to {}: {problem}", shown(.target))]
    Place {
        /// The place, `/bin/bash:main`.
        target: String,
        /// Why not.
        problem: String,
    },

    /// An option that attachments to places of this kind do not have, on any kernel.
    #[error("cannot attach to {}: {option} is not supported there", shown(.target))]
    AttachOption {
        /// The place, `xdp:eth0`.
        target: String,
        /// The option.
        option: AttachOption,
    },

    /// The text of a target, `kprobe:NAME`, is malformed.
    #[error("`{}` is not a target: {problem}", shown(.target))]
    Target {
        /// The text.
        target: String,
        /// The problem with it.
        problem: &'static str,
    },

    /// This kernel was built without something, or is too old for it.
    #[error("this kernel has no {what}: {needs}")]
    Unsupported {
        /// The feature, `kprobes`.
        what: &'static str,
        /// The version or the `CONFIG_` option that brings it.
        needs: &'static str,
    },

    /// This kernel lacks a feature that was demanded.
    #[error("this kernel has no {what}: {}", brought(.since, .needs))]
    NoFeature {
        /// The feature, ``map type `ringbuf` ``.
        what: String,
        /// The version that brought it.
        since: Version,
        /// The `CONFIG_` options that such a kernel needs for it, and the requirements on the machine.
        needs: &'static [&'static str],
    },

    /// It cannot be determined whether this kernel has a feature.
    #[error("cannot determine whether this kernel has {what}: {errno}{}", Because(.why))]
    Undecided {
        /// The feature, ``map type `ringbuf` ``.
        what: String,
        /// The kernel's answer.
        errno: Errno,
        /// Why, if it is one of the known reasons.
        why: Option<Denied>,
    },

    /// The tracing file system is not mounted.
    #[error(
        "tracefs is not mounted, and {what} needs it: mount -t tracefs nodev /sys/kernel/tracing{}",
        .why.as_ref().map_or_else(String::new, |why| format!(" ({why})"))
    )]
    NoTracefs {
        /// The operation that needs it.
        what: &'static str,
        /// The reason why this process cannot mount it itself, if it cannot.
        why: Option<Denied>,
    },

    /// Another process is reading `trace_pipe`.
    #[error(
        "cannot open {}: another process is reading it, and it has one reader at a time (since Linux \
         6.6): end that one first",
        shown_path(.path)
    )]
    TracePipeBusy {
        /// The file.
        path: PathBuf,
    },

    /// A file of the kernel could not be read or written.
    #[error("cannot {action} {}: {}{}", shown_path(.path), Answer(.source), Because(.why))]
    File {
        /// `read`, `open`, `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        #[source]
        source: io::Error,
        /// Why, if it is one of the known reasons.
        why: Option<Denied>,
    },

    /// A setting of the kernel that an object declares (`__kconfig`) cannot be had.
    #[error("setting `{}` (__kconfig): {problem}", shown(.name))]
    Setting {
        /// Its name.
        name: String,
        /// The problem with it.
        problem: String,
    },

    /// A file of the kernel has an unexpected format.
    #[error("cannot understand {}: {problem}", shown_path(.path))]
    Format {
        /// The file.
        path: PathBuf,
        /// The problem with it.
        problem: &'static str,
    },

    /// A reader could not be set up or waited for.
    #[error("cannot {action}{}: {errno}{}", OnCpu(.cpu), Because(.why))]
    Reader {
        /// The operation that failed, `map a ring of 64 KiB`.
        action: &'static str,
        /// The CPU of the ring.
        cpu: Option<u32>,
        /// The kernel's answer.
        errno: Errno,
        /// Why, if it is one of the known reasons.
        why: Option<Denied>,
    },

    /// A name is missing from BTF, or the BTF is malformed: [`Error::btf`].
    #[error(transparent)]
    Btf(Source),

    /// A program does not fit its attach point, or the name of the attach point is malformed: [`Error::attach_point`].
    #[error(transparent)]
    AttachPoint(Source),

    /// A perf ring held a malformed record, which was discarded.
    ///
    /// There is one known cause: a program that sends more than the 65516 bytes that a record can hold. The kernel
    /// does not refuse that. It cuts the size to 16 bits and writes the whole sample, over other records in the ring.
    #[error(
        "corrupt perf ring of CPU {cpu} at position {position}: {problem} (does a program send more than \
         65516 bytes at once? The kernel does not refuse that)"
    )]
    CorruptRing {
        /// The CPU of the ring.
        cpu: u32,
        /// The byte position since the ring was created.
        position: u64,
        /// The problem with the record.
        problem: &'static str,
    },

    /// A ring buffer held a malformed record, which was discarded, or it has another reader.
    #[error("corrupt ring buffer `{map}` at position {position}: {problem}")]
    CorruptRingBuffer {
        /// The map's name.
        map: String,
        /// The byte position since the ring was created.
        position: u64,
        /// The problem.
        problem: &'static str,
    },

    /// A record of unexpected size: one that was read is not a value of the expected type, and
    /// was skipped; or one to be sent is longer than the ring allows.
    #[error("map `{map}`: a record has {has} bytes, expected {needs}")]
    RecordSize {
        /// The map's name.
        map: String,
        /// Its length, in bytes.
        has: usize,
        /// The expected or greatest length, in bytes.
        needs: usize,
    },

    /// A sample whose size is not the one that its reader was configured for. It was skipped.
    #[error(
        "a sample of CPU {cpu} holds {recorded} bytes, its filling included, which cannot come from the \
         {submitted} that were to be expected: does the program send what `sample_size` says?"
    )]
    SampleSize {
        /// The CPU of the ring it was in.
        cpu: u32,
        /// The configured sample size, in bytes.
        submitted: u32,
        /// The bytes that the record holds: the sample, and up to 7 bytes of padding by the kernel.
        recorded: u32,
    },
}

/// The classes of [`Error`] by what a caller can do; they are the exit statuses of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operation failed, for the reason in the message. Exit status 1.
    Failed,
    /// This kernel cannot do it. Exit status 3.
    Unsupported,
    /// Not permitted: a capability, a setting, a security module. Exit status 4.
    NotPermitted,
}

/// An option of an attachment: [`attach::Options`](crate::attach::Options).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AttachOption {
    /// A cookie.
    Cookie,
    /// One process instead of all.
    Process,
    /// One CPU instead of all.
    Cpu,
}

impl fmt::Display for AttachOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AttachOption::Cookie => "a cookie",
            AttachOption::Process => "a choice of one process",
            AttachOption::Cpu => "a choice of one CPU",
        })
    }
}

/// The same text as `Display`: it is what `fn main() -> Result<()>` and `unwrap` print.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error {
    /// Returns the class of the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Unsupported { .. }
            | Error::AttachOption { .. }
            | Error::NoFeature { .. }
            | Error::CreateMap { lacks: Some(_), .. }
            | Error::LoadProgram { lacks: Some(_), .. } => return ErrorKind::Unsupported,
            Error::NoTracefs { why: Some(_), .. } => return ErrorKind::NotPermitted,
            Error::LoadTarget { problem, .. } => return problem.kind(),
            Error::ObjectTypes { error, .. } => return error.kind(),
            Error::Name { problem, .. } => {
                let cause = problem.source().and_then(|cause| cause.downcast_ref::<Error>());
                return cause.map_or(ErrorKind::Failed, Error::kind);
            }
            _ => {}
        }
        match self.errno() {
            Some(Errno(libc::EPERM | libc::EACCES)) => ErrorKind::NotPermitted,
            Some(Errno(libc::ENOSYS | ENOTSUPP)) => ErrorKind::Unsupported,
            _ => ErrorKind::Failed,
        }
    }

    /// Returns the kernel's answer, if the error is one: `error.errno() == Some(Errno(libc::ENOENT))`.
    ///
    /// The answer to a program that the verifier rejects is in [`VerifierError::errno`](crate::VerifierError::errno).
    pub fn errno(&self) -> Option<Errno> {
        Some(match self {
            Error::CreateMap { errno, .. }
            | Error::LoadProgram { errno, .. }
            | Error::Call { errno, .. }
            | Error::Attach { errno, .. }
            | Error::Reader { errno, .. }
            | Error::Undecided { errno, .. } => *errno,
            Error::File { source, .. } => Errno::of(source),
            _ => return None,
        })
    }
}

/// The answer of the operating system, or the problem with the contents of one of its files.
struct Answer<'e>(&'e io::Error);

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.raw_os_error() {
            Some(errno) => Errno(errno).fmt(f),
            None => self.0.fmt(f),
        }
    }
}

/// The section of a program from an object file.
struct InSection<'a>(&'a Option<String>);

impl fmt::Display for InSection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |section| write!(f, ", section `{}`", shown(section)))
    }
}

/// The declaration of a variable, if it is known.
struct Declared<'a>(&'a Option<String>);

impl fmt::Display for Declared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |declaration| write!(f, " (`{}`)", shown(declaration)))
    }
}

/// The cause of a refusal at the end of a message, if it is known.
struct Because<'a>(&'a Option<Denied>);

impl fmt::Display for Because<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |why| write!(f, ": {why}"))
    }
}

/// The feature that a kernel lacks, at the end of a message.
struct Lacks<'a>(&'a Option<String>);

impl fmt::Display for Lacks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |lacks| write!(f, ": {lacks}"))
    }
}

fn brought(since: &Version, needs: &[&str]) -> String {
    match needs {
        [] => format!("Linux {since} brought it"),
        needs => format!("Linux {since} brought it; it needs {}", needs.join(" and ")),
    }
}

/// More information, in parentheses after a message.
struct Hint<'a>(&'a Option<&'static str>);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |note| write!(f, " ({note})"))
    }
}

/// The kernel's message, behind the errno.
struct Message<'a>(&'a Option<Box<str>>);

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |message| write!(f, ": {message}"))
    }
}

/// The CPU that a message is about, if it is about one.
struct OnCpu<'a>(&'a Option<u32>);

impl fmt::Display for OnCpu<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |cpu| write!(f, " for CPU {cpu}"))
    }
}

/// The names that come nearest to the one that was asked for, if there are any.
pub(crate) struct NearestNames<'a>(pub(crate) &'a [String]);

impl fmt::Display for NearestNames<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "; the nearest: ";
        for name in self.0 {
            write!(f, "{before}{}", shown(name))?;
            before = ", ";
        }
        Ok(())
    }
}
