//! The rows of the feature tables: the version that brought a feature, its other requirements, and its probe.

use super::kernel::Kernel;
use crate::btf::Kind;
use crate::insn::Insn;
use crate::uapi::{AttachType, Errno, ProgramType};
use crate::util::Version;

/// One thing that a kernel can have.
#[derive(Debug)]
pub(super) struct Row<T: 'static> {
    pub of: T,
    pub since: Version,
    /// The options without which a kernel of that version lacks it, and its other requirements: `CONFIG_BPF_LSM`,
    /// `a JIT that can`.
    pub config: &'static [&'static str],
    pub test: Test,
    pub yes: Yes,
}

/// A call, or a few of them, whose answer shows whether the feature exists.
#[derive(Debug)]
pub(super) enum Test {
    /// A program is loaded.
    Load(Load),
    /// The same; but the kernel has to know the attach type: one that accepts any number at load does not.
    LoadChecked(Load),
    /// A map is created.
    Map(Shape),
    /// Types are loaded.
    Btf(Blob),
    /// A program is loaded, then attached to something that does not exist.
    Attach(Load),
    /// A program is loaded, then detached from where it never was.
    Detach(Load),
    /// A program is loaded, then a link made of it.
    Link(Load, Place),
    /// A program of this type may call the helper of this name.
    Helper(ProgramType, &'static str),
    /// A function of this name is in the kernel's BTF.
    Function(&'static str),
    /// A function, for tests that do not fit into a table.
    Do(fn(&Kernel) -> Result<(), Refusal>),
}

/// The errors which mean that the kernel has it. Success always does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Yes {
    /// None.
    Done,
    /// One of these: the kernel got far enough to find the fault.
    Answers(&'static [i32]),
    /// Any, if the verifier has written a log: it was reached.
    Verifier,
    /// Any, if the verifier's log holds one of these.
    Says(&'static [&'static str]),
}

/// A program to load: the smallest that distinguishes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub kind: ProgramType,
    pub attach: Option<AttachType>,
    pub flags: u32,
    pub code: &'static [Insn],
    pub target: Target,
}

impl Load {
    pub(super) const fn new(kind: ProgramType, code: &'static [Insn]) -> Load {
        Load { kind, attach: None, flags: 0, code, target: Target::None }
    }

    pub(super) const fn attach(mut self, attach: AttachType) -> Load {
        self.attach = Some(attach);
        self
    }

    pub(super) const fn flags(mut self, flags: u32) -> Load {
        self.flags = flags;
        self
    }

    pub(super) const fn target(mut self, target: Target) -> Load {
        self.target = target;
        self
    }
}

/// The attach target that a program names at load.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    None,
    /// The type of that number in the kernel's BTF. 1 is an integer, which nothing can be attached to: the kernel says
    /// so if it knows the type of program.
    Id(u32),
    /// The type of that name in the kernel's BTF.
    Named(Kind, &'static str),
    /// A member of a struct, for `struct_ops`: its index stands in the place of the attach type.
    Member(&'static str, &'static str),
}

/// A map to create.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub kind: u32,
    pub key: u32,
    pub value: u32,
    pub entries: u32,
    pub flags: u32,
    pub extra: Extra,
}

/// Arguments that only some maps take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extra {
    None,
    /// It holds maps.
    Inner,
    /// Its key and value have types.
    Types,
    /// The type of its value is this one of the kernel's.
    ValueType(u32),
    /// A name.
    Name(&'static str),
}

/// The target of a link.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// To the descriptor -1, or the network device -1: there are none.
    Nothing,
    /// To the loopback device, whose driver has no XDP of its own: it says so before anything is attached.
    NativeXdp,
    /// To a raw tracepoint that does not exist.
    NoTracepoint,
    /// To a kernel function that does not exist.
    NoFunction,
    /// To a folder in the place of a program's file.
    Folder,
    /// To a protocol that netfilter does not know.
    NoProtocol,
    /// To what the program named at load.
    Named,
}

/// Types to load: words, and the names that they refer to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blob {
    pub types: &'static [u32],
    pub strings: &'static [u8],
}

/// The kernel's answer to a call that it refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The call that was refused.
    pub step: &'static str,
    pub errno: Errno,
    /// The verifier's log.
    pub log: String,
}

impl Refusal {
    pub(super) fn new(step: &'static str, errno: Errno) -> Refusal {
        Refusal { step, errno, log: String::new() }
    }
}
