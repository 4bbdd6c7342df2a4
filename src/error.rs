//! What can go wrong: what was being done, to what, what the kernel answered, why, and what to do.

use crate::uapi::{ENOTSUPP, Errno, MapType, ProgramType};
use crate::util::Version;
use crate::util::escape::{shown, shown_path};
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;

mod denied;

pub use denied::{Capability, Denied, Setting};

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a part of the library that stands above this one, kept whole. It can be taken out again with an accessor that
/// the part has, such as [`Error::verifier`].
pub type Source = Box<dyn StdError + Send + Sync>;

/// What went wrong. [`Error::kind`] sorts it into the four kinds that a caller acts on.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A spec that no kernel would take; the kernel was not asked.
    #[error("{what} `{}`: {problem}", shown(.name))]
    Spec {
        /// `map`, `program`.
        what: &'static str,
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },

    /// A value was to be given to a variable that a text does not have.
    #[error("there is no variable `{}`{}", shown(.name), NearestNames(.nearest))]
    NoVariable {
        /// The name.
        name: String,
        /// The names there are that come nearest to it, the nearest first.
        nearest: Vec<String>,
    },

    /// A value of another size than that of what was to get it.
    #[error("{what} `{name}` has {size} bytes, and the value given to it {given}")]
    ValueSize {
        /// `variable`, `map`.
        what: &'static str,
        /// Its name.
        name: String,
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
        /// What this kernel lacks, if that is known: the type or a flag, and the version that brought it.
        lacks: Option<String>,
    },

    /// A map that no kernel would make; the kernel was not asked.
    #[error("map `{map}` ({kind}): {field} is {value}: {rule}")]
    MapField {
        /// The map's name.
        map: String,
        /// Its type.
        kind: MapType,
        /// The field of [`MapSpec`](crate::MapSpec) that is wrong.
        field: &'static str,
        /// What it is.
        value: String,
        /// What it has to be.
        rule: String,
    },

    /// What is pinned at the path of a [`MapSpec`](crate::MapSpec) is another kind of map.
    #[error(
        "cannot use what is pinned at {} as map `{map}`: its {field} is {pinned}, and not {wanted}: \
         unpin it (rm), or pin this one elsewhere",
        shown_path(.path)
    )]
    PinnedMap {
        /// The map's name.
        map: String,
        /// Where.
        path: PathBuf,
        /// What differs, by the name of the field of [`MapSpec`](crate::MapSpec).
        field: &'static str,
        /// How it is.
        pinned: String,
        /// How it would have to be.
        wanted: String,
    },

    /// A map could not be opened.
    #[error("cannot open the map {which}: {errno}{}{}", Because(.why), Hint(.note))]
    OpenMap {
        /// `pinned at /sys/fs/bpf/counts`, `with the number 7`.
        which: String,
        /// The kernel's answer.
        errno: Errno,
        /// Why, if it is one of the known reasons.
        why: Option<Denied>,
        /// What this answer usually means here.
        note: Option<&'static str>,
    },

    /// Something could not be done with a map or one of its elements.
    #[error("cannot {action} map `{map}` ({kind}): {errno}{}{}", Because(.why), Hint(.note))]
    MapCall {
        /// What was being done, `delete an element of`.
        action: &'static str,
        /// The map's name.
        map: String,
        /// Its type.
        kind: MapType,
        /// The kernel's answer.
        errno: Errno,
        /// Why, if it is one of the known reasons.
        why: Option<Denied>,
        /// What this answer means here.
        note: Option<&'static str>,
    },

    /// A key or a value that is not as long as those of the map. The kernel was not asked: it would have read or
    /// written as many bytes as the map has.
    #[error("map `{map}`: {what} of {has} bytes, and not {needs}")]
    MapLength {
        /// The map's name.
        map: String,
        /// `a key`, `a value`.
        what: &'static str,
        /// How long it is.
        has: usize,
        /// How long it would have to be.
        needs: usize,
    },

    /// A map that is not of the types that a view of it is to have.
    #[error("map `{map}` is no {view}: its {field} is {has}, and not {needs}")]
    MapView {
        /// The map's name.
        map: String,
        /// The view, `Hash`.
        view: &'static str,
        /// What differs, by the name of the field of [`MapSpec`](crate::MapSpec).
        field: &'static str,
        /// How it is.
        has: String,
        /// How it would have to be.
        needs: String,
    },

    /// A walk over a map was given up: so much was deleted meanwhile that it began again and again.
    #[error(
        "map `{map}` changes faster than its keys can be walked over: read it in batches, which need not begin again"
    )]
    MapChanged {
        /// The map's name.
        map: String,
    },

    /// An element of a map could not be set.
    #[error("cannot set element {key} of map `{map}`: {errno}")]
    UpdateMap {
        /// The map's name.
        map: String,
        /// The key, as a person writes it.
        key: String,
        /// The kernel's answer.
        errno: Errno,
    },

    /// A BPF token could not be made.
    #[error("cannot make a BPF token of {}: {errno}{}{}", shown_path(.path), Because(.why), Hint(.note))]
    Token {
        /// Where the BPF file system was to be.
        path: PathBuf,
        /// The kernel's answer.
        errno: Errno,
        /// Why, if it is one of the known reasons.
        why: Option<Denied>,
        /// What this answer usually means here.
        note: Option<&'static str>,
    },

    /// `bpf(BPF_PROG_LOAD)` was refused, and not by the verifier.
    #[error("cannot load program `{program}` ({kind}): {errno}{}{}", Because(.why), Lacks(.lacks))]
    LoadProgram {
        /// The program's name.
        program: String,
        /// Its type.
        kind: ProgramType,
        /// The kernel's answer.
        errno: Errno,
        /// Why, if it is one of the known reasons.
        why: Option<Denied>,
        /// What this kernel lacks, if that is known: the type, the attach type or a flag, and the version that brought it.
        lacks: Option<String>,
    },

    /// What an instruction names has no number in this kernel.
    #[error(
        "cannot load program `{program}` ({kind}): what it says of `{}` cannot be filled in\n  {}: {}\n  {problem}",
        shown(.name), shown(.place), shown(.statement)
    )]
    Name {
        /// The program's name.
        program: String,
        /// Its type.
        kind: ProgramType,
        /// `file:line` of the statement.
        place: String,
        /// The statement.
        statement: String,
        /// The name.
        name: String,
        /// Why: [`Error::name_problem`].
        #[source]
        problem: Source,
    },

    /// What a program is to be attached to is not known to this kernel.
    #[error("cannot load program `{program}` ({kind}) for `{}`: {problem}", shown(.target))]
    LoadTarget {
        /// The program's name.
        program: String,
        /// Its type.
        kind: ProgramType,
        /// What it is for.
        target: String,
        /// Why.
        #[source]
        problem: Box<Error>,
    },

    /// The types of a module could not be had.
    #[error("cannot get the BTF of module `{module}`: {errno}")]
    ModuleBtf {
        /// Its name.
        module: String,
        /// The kernel's answer.
        errno: Errno,
    },

    /// The verifier rejected a program: [`Error::verifier`].
    #[error(transparent)]
    Verifier(Source),

    /// Something could not be done with a program that is in the kernel.
    #[error("cannot {action} the program {which}: {errno}{}{}", Because(.why), Hint(.note))]
    ProgramCall {
        /// What was being done, `pin`.
        action: &'static str,
        /// `` `hello` ``, `with the number 7`, `pinned at /sys/fs/bpf/hello`.
        which: String,
        /// The kernel's answer.
        errno: Errno,
        /// Why, if it is one of the known reasons.
        why: Option<Denied>,
        /// What this answer means here.
        note: Option<&'static str>,
    },

    /// A loaded program could not be run by itself.
    #[error("cannot run program `{program}` ({kind}): {errno}{}{}", Because(.why), Hint(.note))]
    TestRun {
        /// The program's name.
        program: String,
        /// Its type.
        kind: ProgramType,
        /// The kernel's answer.
        errno: Errno,
        /// Why, if it is one of the known reasons.
        why: Option<Denied>,
        /// What this answer means here.
        note: Option<&'static str>,
    },

    /// A loaded program could not be attached.
    #[error("cannot attach program `{program}` to {}: {step}: {errno}{}{}", shown(.target), Because(.why), Hint(.note))]
    Attach {
        /// The program's name.
        program: String,
        /// What it was to be attached to, `kprobe:sys_clone`.
        target: String,
        /// The call that failed, `perf_event_open`.
        step: &'static str,
        /// The kernel's answer.
        errno: Errno,
        /// Why, if it is one of the known reasons.
        why: Option<Denied>,
        /// What this answer usually means here.
        note: Option<&'static str>,
    },

    /// A loaded program could not be attached by netlink, and the kernel said why in its own words.
    #[error(
        "cannot attach program `{program}` to {}: {step}: {errno}: {said}{}{}",
        shown(.target),
        Because(.why),
        Hint(.note)
    )]
    AttachNetlink {
        /// The program's name.
        program: Box<str>,
        /// What it was to be attached to, `xdpdrv:eth0`.
        target: Box<str>,
        /// The message that was refused, `RTM_SETLINK`.
        step: &'static str,
        /// The kernel's answer.
        errno: Errno,
        /// Its words (`NLMSGERR_ATTR_MSG`).
        said: Box<str>,
        /// Why, if it is one of the known reasons.
        why: Option<Denied>,
        /// What this answer usually means here.
        note: Option<&'static str>,
    },

    /// Something could not be done with an attachment.
    #[error("cannot {action} the link to {}: {errno}{}{}", shown(.target), Because(.why), Hint(.note))]
    LinkCall {
        /// What was being done, `pin`.
        action: &'static str,
        /// What the program is attached to.
        target: String,
        /// The kernel's answer.
        errno: Errno,
        /// Why, if it is one of the known reasons.
        why: Option<Denied>,
        /// What this answer means here.
        note: Option<&'static str>,
    },

    /// A pattern matches more places than a program can be put in one by one.
    #[error("{} matches {places} places, and at most {most} are taken one by one: {instead}", shown(.target))]
    TooManyPlaces {
        /// The pattern, `kprobe:*`.
        target: String,
        /// How many match.
        places: usize,
        /// How many would be taken.
        most: usize,
        /// What to do.
        instead: &'static str,
    },

    /// What was named does not exist in this kernel.
    #[error("{what} `{}` does not exist on this kernel{}{}", shown(.name), NearestNames(.nearest), Hint(.note))]
    NotFound {
        /// `kernel function`, `tracepoint`.
        what: &'static str,
        /// The name that was asked for.
        name: String,
        /// The names there are that come nearest to it, the nearest first.
        nearest: Vec<String>,
        /// Something more to know.
        note: Option<&'static str>,
    },

    /// What was named is not in the file in which it was to be.
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
        /// Something more to know.
        note: Option<&'static str>,
    },

    /// There is no program or library of that name.
    #[error("there is no program or library `{}`: looked for {} in {}", shown(.file), shown(.names), .places.join(", "))]
    NoFile {
        /// The name that was asked for.
        file: String,
        /// What files would have been called.
        names: String,
        /// Where they were looked for, in this order.
        places: Vec<String>,
    },

    /// A place in a file at which no program can be.
    #[error("cannot attach to {}: {problem}", shown(.target))]
    Place {
        /// The place, `/bin/bash:main`.
        target: String,
        /// Why not.
        problem: String,
    },

    /// The text of a target, `kprobe:NAME`, is not one.
    #[error("`{}` is not a target: {problem}", shown(.target))]
    Target {
        /// The text.
        target: String,
        /// What is wrong with it.
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

    /// This kernel was asked for a feature and has it not.
    #[error("this kernel has no {what}: {}", brought(.since, .needs))]
    NoFeature {
        /// The feature, ``map type `ringbuf` ``.
        what: String,
        /// The version that brought it.
        since: Version,
        /// The `CONFIG_` options that such a kernel needs for it, and what the machine must be able to do.
        needs: &'static [&'static str],
    },

    /// This kernel was asked for a feature and did not get as far as to answer.
    #[error("cannot tell whether this kernel has {what}: {errno}{}", Because(.why))]
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
        /// What needs it.
        what: &'static str,
        /// Why this process cannot mount it itself, if it cannot.
        why: Option<Denied>,
    },

    /// Somebody else is reading `trace_pipe`.
    #[error(
        "cannot open {}: another process is reading it, and it has one reader at a time (since Linux \
         6.6): end that one first",
        shown_path(.path)
    )]
    TracePipeBusy {
        /// The file.
        path: PathBuf,
    },

    /// A file of the kernel's could not be read or written.
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

    /// A file of the kernel's held something other than what this reads.
    #[error("cannot understand {}: {problem}", shown_path(.path))]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },

    /// A reader could not be set up or waited for.
    #[error("cannot {action}{}: {errno}{}", OnCpu(.cpu), Because(.why))]
    Reader {
        /// What was being done, `map a ring of 64 KiB`.
        action: &'static str,
        /// For which CPU.
        cpu: Option<u32>,
        /// The kernel's answer.
        errno: Errno,
        /// Why, if it is one of the known reasons.
        why: Option<Denied>,
    },

    /// A name that BTF should know is not in it, or the BTF is not as it should be: [`Error::btf`].
    #[error(transparent)]
    Btf(Source),

    /// A program and what it is attached to do not go together, or the name of that is not one: [`Error::attach_point`].
    #[error(transparent)]
    AttachPoint(Source),

    /// A ring held a record that cannot be; nothing of it was believed.
    ///
    /// There is one way to come by it: a program that sends more than the 65516 bytes that a record can hold. The kernel
    /// does not refuse that. It cuts the size to 16 bits and writes the whole sample, over what else is in the ring.
    #[error(
        "corrupt perf ring of CPU {cpu} at position {position}: {problem} (does a program send more than \
         65516 bytes at once? The kernel does not refuse that)"
    )]
    CorruptRing {
        /// Whose ring.
        cpu: u32,
        /// The byte position since the ring was made.
        position: u64,
        /// What is wrong with the record.
        problem: &'static str,
    },

    /// A ring buffer held what cannot be, or somebody else reads it; nothing of it was believed.
    #[error("corrupt ring buffer `{map}` at position {position}: {problem}")]
    CorruptRingBuffer {
        /// The map's name.
        map: String,
        /// The byte position since the ring was made.
        position: u64,
        /// What is wrong.
        problem: &'static str,
    },

    /// A record of another size than it has to have: it is not a value of the type that it was to be read as, and
    /// was passed over; or it is to be sent, and longer than the ring allows.
    #[error("a record of {has} bytes in `{map}`, and not {needs}")]
    RecordSize {
        /// The map's name.
        map: String,
        /// How long it is.
        has: usize,
        /// How long it has to be, or can be.
        needs: usize,
    },

    /// A sample that is not of the size that its reader was told to expect. It was passed over.
    #[error(
        "a sample of CPU {cpu} holds {recorded} bytes, its filling included, which cannot come from the \
         {submitted} that were to be expected: does the program send what `sample_size` says?"
    )]
    SampleSize {
        /// In whose ring it was.
        cpu: u32,
        /// How many bytes the program was said to send.
        submitted: u32,
        /// How many the record holds: what was sent, and up to 7 bytes that the kernel fills it up with.
        recorded: u32,
    },
}

/// What a caller can do about an [`Error`]; the exit statuses of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// It failed, and the message says why. Exit status 1.
    Failed,
    /// This kernel cannot do it. Exit status 3.
    Unsupported,
    /// Not permitted: a capability, a setting, a security module. Exit status 4.
    NotPermitted,
}

/// The message as well: it is what `fn main() -> Result<()>` and `unwrap` print.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error {
    /// Which kind of trouble this is.
    pub fn kind(&self) -> ErrorKind {
        let errno = match self {
            Error::Unsupported { .. }
            | Error::NoFeature { .. }
            | Error::CreateMap { lacks: Some(_), .. }
            | Error::LoadProgram { lacks: Some(_), .. } => return ErrorKind::Unsupported,
            Error::NoTracefs { why: Some(_), .. } => return ErrorKind::NotPermitted,
            Error::LoadTarget { problem, .. } => return problem.kind(),
            Error::Name { problem, .. } => {
                let cause = problem.source().and_then(|cause| cause.downcast_ref::<Error>());
                return cause.map_or(ErrorKind::Failed, Error::kind);
            }
            Error::ModuleBtf { errno, .. } => *errno,
            Error::CreateMap { errno, .. }
            | Error::UpdateMap { errno, .. }
            | Error::OpenMap { errno, .. }
            | Error::MapCall { errno, .. }
            | Error::Token { errno, .. }
            | Error::LoadProgram { errno, .. }
            | Error::ProgramCall { errno, .. }
            | Error::TestRun { errno, .. }
            | Error::Attach { errno, .. }
            | Error::AttachNetlink { errno, .. }
            | Error::LinkCall { errno, .. }
            | Error::Reader { errno, .. }
            | Error::Undecided { errno, .. } => *errno,
            Error::File { source, .. } => Errno::of(source),
            _ => return ErrorKind::Failed,
        };
        match errno {
            Errno(libc::EPERM | libc::EACCES) => ErrorKind::NotPermitted,
            Errno(libc::ENOSYS | ENOTSUPP) => ErrorKind::Unsupported,
            _ => ErrorKind::Failed,
        }
    }
}

/// The cause of a refusal at the end of a message, if it is known.
/// The answer of the operating system, or what a file of its was found not to be.
struct Answer<'e>(&'e io::Error);

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.raw_os_error() {
            Some(errno) => Errno(errno).fmt(f),
            None => self.0.fmt(f),
        }
    }
}

struct Because<'a>(&'a Option<Denied>);

impl fmt::Display for Because<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |why| write!(f, ": {why}"))
    }
}

/// What a kernel lacks, at the end of a message.
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

/// Something more to know, in parentheses after a message.
struct Hint<'a>(&'a Option<&'static str>);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |note| write!(f, " ({note})"))
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
