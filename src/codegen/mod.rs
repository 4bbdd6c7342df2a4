//! Code over any number of variables, compiled to instructions: the compiler allocates registers and stack, and follows
//! the calling convention.
//!
//! A [`Function`] is written statement by statement, over variables of 64 bits ([`Var`]), objects in memory
//! ([`Object`]) and blocks ([`Block`]). A [`Unit`] is a main function with the functions that it calls or hands to
//! helpers; [`Unit::compile`] compiles it to instructions.
//!
//! ```
//! use rawbpf::codegen::{Function, Options, Unit};
//! use rawbpf::insn::{Condition, Size};
//! use rawbpf::{MapSpec, ProgramSpec, ProgramType};
//!
//! static COUNTS: MapSpec = MapSpec::hash("counts", 8, 8, 1024);
//!
//! // counts[length of the packet] += 1
//! let mut f = Function::new("main", 1);
//! let context = f.context();
//! let length = f.load(Size::Word, context.at(0));
//! let key = f.object(8, 8);
//! f.store(Size::Double, key.at(0), length);
//! let (map, address) = (f.map(&COUNTS), f.address(key));
//! let count = f.call_helper(1, &[map.into(), address.into()]); // map_lookup_elem
//! f.if_else(
//!     Condition::Ne,
//!     count,
//!     0,
//!     |f| {
//!         let old = f.load(Size::Double, count.at(0));
//!         let new = f.add(old, 1);
//!         f.store(Size::Double, count.at(0), new);
//!     },
//!     |f| {
//!         let one = f.object(8, 8);
//!         f.store(Size::Double, one.at(0), 1);
//!         let value = f.address(one);
//!         f.call_helper(2, &[map.into(), address.into(), value.into(), 0.into()]); // map_update_elem
//!     },
//! );
//! f.ret(0);
//!
//! let compiled = Unit::new().compile(f, &Options::new())?;
//! let spec = ProgramSpec::new("lengths", ProgramType::SocketFilter, compiled.code());
//! assert!(spec.code.slots.len() < 24);
//! # Ok::<(), rawbpf::codegen::CodegenError>(())
//! ```
//!
//! # Facts kept for the verifier
//!
//! The verifier tracks facts about registers: that a pointer is not null, that a number is below 64. Compiled code
//! preserves them: a variable that was compared is used in the register in which it was compared, or was stored to the
//! stack after the comparison. Values of 0 and 1 ([`Function::compare`]) are computed without branches, because the
//! verifier would follow each of them on its own.
//!
//! # Memory
//!
//! The stack frames of a call chain have 512 bytes together. Objects and variables without registers lie there, and
//! share their memory with others that are not alive at the same time. The excess is moved to scratch memory, the
//! largest objects first: see [`Function::scratch`].

mod allocate;
mod check;
mod compile;
mod constants;
mod display;
mod emit;
mod error;
mod expand;
mod frame;
mod function;
mod ir;
mod liveness;
mod lower;
mod mir;
mod simplify;
mod spill;
mod structured;
#[cfg(test)]
mod tests;
mod unit;

pub use error::{CodegenError, CodegenProblem};
pub use function::Function;
pub use ir::{
    Address, AtomicBinary, Binary, Block, FunctionId, KernelValue, Object, Operand, Rodata, Var,
};
pub use unit::{Compiled, Isa, Options, Unit};
