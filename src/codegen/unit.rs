//! Compilation units: functions that belong together, and the compiled result.

use super::error::CodegenError;
use super::function::Function;
use super::ir::{FunctionId, Rodata};
use crate::asm::{Assembly, Code, Data};
use std::collections::HashMap;
use std::fmt;

/// A version of the instruction set, as LLVM's `-mcpu` counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Isa {
    /// Linux 3.18.
    V1,
    /// `<` and `<=` in jumps. Linux 4.14
    V2,
    /// Jumps on 32 bits (Linux 5.1), atomics with results (Linux 5.12). The default; code without atomics other than
    /// `+=` runs on Linux 5.1.
    #[default]
    V3,
    /// Signed division, moves and loads that extend the sign, `bswap`, long jumps. Linux 6.6
    V4,
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", *self as u8 + 1)
    }
}

/// Options to compile a [`Unit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    pub(super) isa: Isa,
    pub(super) stack: u32,
    pub(super) in_memory: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options::new()
    }
}

impl Options {
    /// Returns the defaults: [`Isa::V3`] and the 512 bytes of stack that every kernel has.
    pub const fn new() -> Options {
        Options { isa: Isa::V3, stack: 512, in_memory: false }
    }

    /// Sets the version of the instruction set. Operations that it lacks are replaced by others where that is possible.
    pub const fn isa(mut self, isa: Isa) -> Options {
        self.isa = isa;
        self
    }

    /// Sets the stack limit of a call chain, in bytes, at most 512. Lower it for programs that make tail calls from
    /// functions: these have 256.
    pub const fn stack(mut self, bytes: u32) -> Options {
        self.stack = if bytes < 512 { bytes } else { 512 };
        self
    }

    /// Sets whether variables are kept in memory between instructions, without register allocation: to find out whether
    /// a bug is in the register allocator.
    pub const fn in_memory(mut self, in_memory: bool) -> Options {
        self.in_memory = in_memory;
        self
    }
}

/// Functions and constant bytes that become one program.
#[derive(Debug, Clone, Default)]
pub struct Unit<'a> {
    pub(super) functions: Vec<Function<'a>>,
    rodata: Vec<u8>,
    known: HashMap<(Vec<u8>, u32), Rodata>,
}

impl<'a> Unit<'a> {
    /// Returns a unit with nothing in it.
    pub fn new() -> Unit<'a> {
        Unit::default()
    }

    /// Adds a function that others call ([`Function::call`]) or hand to a helper ([`Function::function_address`]).
    /// Functions without references are left out.
    ///
    /// Functions are added before those that call them, so that none calls itself, which no kernel takes.
    pub fn add(&mut self, function: Function<'a>) -> FunctionId {
        self.functions.push(function);
        FunctionId(self.functions.len() as u32 - 1)
    }

    /// Adds constant bytes, aligned to `align` (1, 2, 4 or 8). Equal ones are there once.
    pub fn rodata(&mut self, bytes: &[u8], align: u32) -> Rodata {
        let align = align.clamp(1, 8).next_power_of_two();
        let rodata = &mut self.rodata;
        let known = self.known.entry((bytes.to_vec(), align));
        *known.or_insert_with(|| {
            rodata.resize(rodata.len().next_multiple_of(align as usize), 0);
            let (offset, size) = (rodata.len() as u32, bytes.len() as u32);
            rodata.extend_from_slice(bytes);
            Rodata { offset, size }
        })
    }

    /// Compiles the unit, with `main` as the function that the kernel calls.
    ///
    /// # Errors
    /// The first mistake in the code. Any code without mistakes compiles.
    pub fn compile(
        self,
        main: Function<'a>,
        options: &Options,
    ) -> Result<Compiled<'a>, CodegenError> {
        super::compile::compile(self.functions, main, self.rodata, options)
    }
}

/// A compiled [`Unit`], which lends itself as [`Code`].
#[derive(Debug, Clone)]
pub struct Compiled<'a> {
    pub(super) assembly: Assembly<'a>,
    pub(super) rodata: Vec<u8>,
    pub(super) frames: Vec<(String, u32)>,
}

impl<'a> Compiled<'a> {
    /// Adds the source text of the places given to [`Function::at`], its file, and the line of the file at which it
    /// begins.
    pub fn with_source(mut self, text: &'a str, file: &'a str, line: u32) -> Compiled<'a> {
        self.assembly = self.assembly.with_source(text, file, line);
        self
    }

    /// Returns the functions, the main one first, by their names and the bytes of their stack frames.
    pub fn frames(&self) -> &[(String, u32)] {
        &self.frames
    }

    /// The code without the loader's resolver.
    pub(crate) fn unresolved(&self) -> Code<'_> {
        Code { data: Data { rodata: &self.rodata, ..Data::NONE }, ..self.assembly.unresolved() }
    }
}
