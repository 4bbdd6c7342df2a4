//! Stacks and symbols.

use std::sync::Arc;

/// A kernel or user stack whose addresses have been looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// Whether it is a stack of a process, not of the kernel.
    pub user: bool,
    /// The form in which it is printed.
    pub mode: StackMode,
    /// The frames, the innermost first.
    pub frames: Vec<Frame>,
}

/// A form of printing stacks: the mode of `kstack()` and `ustack()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StackMode {
    /// `function+offset`, indented.
    #[default]
    Bpftrace,
    /// `address function+offset (module)`, as `perf script` prints them.
    Perf,
    /// The addresses, in hexadecimal.
    Raw,
}

/// A frame of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The address.
    pub address: u64,
    /// The function that the address lies in, if it is known.
    pub symbol: Option<Arc<str>>,
    /// The bytes from the start of the function to the address.
    pub offset: u64,
    /// The executable, library or kernel module of the function, if it is known.
    pub module: Option<Arc<str>>,
}

/// An address with the name of the function or variable there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// The address.
    pub address: u64,
    /// The name, if it is known. Else the address is printed.
    pub name: Option<Arc<str>>,
}

impl Stack {
    /// Returns the addresses of the frames, the innermost first.
    pub fn addresses(&self) -> impl Iterator<Item = u64> {
        self.frames.iter().map(|frame| frame.address)
    }
}
