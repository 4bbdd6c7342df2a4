//! The calling conventions of C: the registers and stack slots in which a function finds its arguments.
//!
//! From the System V ABI of x86-64 (3.2.3), the Procedure Call Standard of AArch64 (6.8) and the ELF ABI supplement of s390x (1.2.3). Only
//! integers and pointers are read, but all others take registers and room on the stack, by which those that follow are found.

use std::result::Result;

/// The location of an argument when its function begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the argument register of that number, which is `argN` in scripts.
    Register(u32),
    /// On the stack, so many words of 8 bytes behind the first one there: `sargN`.
    Stack(u32),
}

/// The class of a value, by its type, which decides how it is passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Class {
    /// An integer, an enumeration, a pointer.
    Integer { size: u64 },
    /// A floating-point number.
    Float { size: u64 },
    /// A vector.
    Vector { size: u64 },
    /// A struct, union or complex number.
    Composite {
        size: u64,
        /// The scalars in it, if it is not larger than [`LARGEST_LOOKED_INTO`].
        leaves: Vec<Leaf>,
        /// A copy is made, and its address passed, as C++ demands of classes with constructors.
        by_reference: bool,
    },
    /// Nobody knows.
    Unknown,
}

/// A scalar in a struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leaf {
    pub offset: u64,
    pub size: u64,
    pub align: u64,
    pub float: bool,
}

/// The size up to which it matters what is in a struct: four vectors of AArch64.
pub(super) const LARGEST_LOOKED_INTO: u64 = 64;

/// A machine whose calling convention is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Machine {
    X86,
    Arm,
    S390,
}

/// The argument registers that are still free, and the stack that is used.
struct State {
    machine: Machine,
    /// Argument registers that are taken.
    taken: u32,
    /// Registers for floating-point numbers that are taken.
    floats: u32,
    /// Words on the stack; none if it is not known how many.
    stack: Option<u32>,
}

type Answer = Result<Place, &'static str>;

const FLOAT: &str = "floating-point numbers";
const COMPOSITE: &str = "structs passed by value";
const WIDE: &str = "args of more than 64 bits";
const VECTOR: &str = "vectors passed by value";
const UNKNOWN: &str = "args behind one whose place is not known";

impl Machine {
    /// The machine of an ELF file, if programs for it run here.
    pub(super) fn of(machine: u16) -> Option<Machine> {
        use object::elf::{EM_AARCH64, EM_S390, EM_X86_64};
        let (machine, here) = match machine {
            it if it == EM_X86_64.0 => (Machine::X86, cfg!(target_arch = "x86_64")),
            it if it == EM_AARCH64.0 => (Machine::Arm, cfg!(target_arch = "aarch64")),
            it if it == EM_S390.0 => (Machine::S390, cfg!(target_arch = "s390x")),
            _ => return None,
        };
        here.then_some(machine)
    }

    /// The places of the arguments of a function, from the first on; for those that cannot be read, what is not supported.
    /// `result` is what it returns. The convention of Rust is that of C for all but structs.
    pub(super) fn places(
        self,
        arguments: &[Class],
        result: Option<&Class>,
        rust: bool,
    ) -> Vec<Answer> {
        let mut state = State { machine: self, taken: 0, floats: 0, stack: Some(0) };
        let mut known = match result {
            None => true,
            Some(Class::Composite { size, .. }) if rust => *size <= 16,
            Some(result) => state.returns(result),
        };
        let mut places = Vec::new();
        for class in arguments {
            if !known {
                places.push(Err(UNKNOWN));
                continue;
            }
            known = match class {
                Class::Unknown => false,
                Class::Composite { .. } => !rust,
                _ => true,
            };
            places.push(state.place(class));
        }
        places
    }

    /// The number of argument registers.
    fn registers(self) -> u32 {
        match self {
            Machine::X86 => 6,
            Machine::Arm => 8,
            Machine::S390 => 5,
        }
    }

    fn float_registers(self) -> u32 {
        if self == Machine::S390 { 4 } else { 8 }
    }
}

impl State {
    /// Takes the register of the address at which the result is wanted, if there is one; whether that is known.
    fn returns(&mut self, result: &Class) -> bool {
        let in_memory = match (self.machine, result) {
            (_, Class::Unknown) => return false,
            (Machine::X86, Class::Composite { size, leaves, by_reference }) => {
                // A complex number of two long doubles is returned in registers, and a struct of them is not.
                if is_complex_long_double(*size, leaves) {
                    return false;
                }
                *by_reference || eightbytes(*size, leaves).is_none()
            }
            // It has a register of its own, x8.
            (Machine::Arm, _) => false,
            (Machine::S390, Class::Composite { .. }) => true,
            (Machine::S390, Class::Integer { size } | Class::Float { size }) => *size > 8,
            // In a vector register or in memory, by what it was compiled for.
            (Machine::S390, Class::Vector { .. }) => return false,
            (Machine::X86, Class::Vector { size }) if *size > 16 => return false,
            (Machine::X86, _) => false,
        };
        if in_memory {
            self.taken = 1;
        }
        true
    }

    fn place(&mut self, class: &Class) -> Answer {
        match class {
            Class::Integer { size } if *size <= 8 => self.integer(),
            Class::Integer { .. } => {
                match self.machine {
                    Machine::X86 => self.several(2, 0, 2, 2),
                    Machine::Arm => self.even(2),
                    Machine::S390 => drop(self.integer()),
                }
                Err(WIDE)
            }
            Class::Float { size } => {
                match self.machine {
                    Machine::X86 if *size > 8 => {
                        // A long double is on the stack, and a _Float128 is not.
                        self.stack = None;
                    }
                    Machine::S390 if *size > 8 => drop(self.integer()),
                    _ => self.float(size.div_ceil(8) as u32),
                }
                Err(FLOAT)
            }
            Class::Vector { .. } => {
                match self.machine {
                    // By what it was compiled for.
                    Machine::S390 => {
                        self.taken = self.machine.registers();
                        self.stack = None;
                    }
                    Machine::X86 | Machine::Arm => {
                        if self.floats >= self.machine.float_registers() {
                            self.stack = None;
                        }
                        self.floats += 1;
                    }
                }
                Err(VECTOR)
            }
            Class::Composite { size, leaves, by_reference } => {
                if *by_reference {
                    let _ = self.integer();
                } else {
                    self.composite(*size, leaves);
                }
                Err(COMPOSITE)
            }
            Class::Unknown => Err(COMPOSITE),
        }
    }

    /// An integer of up to 64 bits, or an address.
    fn integer(&mut self) -> Answer {
        if self.taken < self.machine.registers() {
            self.taken += 1;
            return Ok(Place::Register(self.taken - 1));
        }
        self.push(1, 1).map(Place::Stack).ok_or(UNKNOWN)
    }

    fn float(&mut self, words: u32) {
        if self.floats < self.machine.float_registers() {
            self.floats += 1;
        } else {
            self.push(words, words);
        }
    }

    /// Takes words on the stack; which is the first of them.
    fn push(&mut self, words: u32, align: u32) -> Option<u32> {
        let at = self.stack?.next_multiple_of(align.max(1));
        self.stack = at.checked_add(words);
        Some(at)
    }

    /// Takes registers if all are left, or else words on the stack.
    fn several(&mut self, registers: u32, floats: u32, words: u32, align: u32) {
        let enough = |taken: u32, wanted: u32, all: u32| wanted == 0 || taken + wanted <= all;
        if enough(self.taken, registers, self.machine.registers())
            && enough(self.floats, floats, self.machine.float_registers())
        {
            self.taken += registers;
            self.floats += floats;
        } else {
            self.push(words, align);
        }
    }

    /// Takes registers of AArch64 from one with an even number on; if there are not enough, none is used any more.
    fn even(&mut self, registers: u32) {
        let from = self.taken.next_multiple_of(2);
        if from + registers <= self.machine.registers() {
            self.taken = from + registers;
        } else {
            self.taken = self.machine.registers();
            self.push(registers, 2);
        }
    }

    fn composite(&mut self, size: u64, leaves: &[Leaf]) {
        let words = u32::try_from(size.div_ceil(8)).unwrap_or(u32::MAX);
        let align = leaves.iter().map(|leaf| leaf.align).max().unwrap_or(1);
        let wide = if align >= 16 { 2 } else { 1 };
        match self.machine {
            Machine::X86 => match eightbytes(size, leaves) {
                Some((integers, floats)) => self.several(integers, floats, words, wide),
                None => {
                    // Nobody looked whether it wants to be aligned.
                    if size > LARGEST_LOOKED_INTO {
                        let even = self.stack.is_some_and(|stack| stack % 2 == 0);
                        let odd_size = words % 2 == 1;
                        self.push(words, 1);
                        // At an even place, an even number of words, it does not matter.
                        if !even && !odd_size {
                            self.stack = None;
                        }
                    } else {
                        self.push(words, wide);
                    }
                }
            },
            Machine::Arm => {
                if let Some(floats) = homogeneous(size, leaves) {
                    if self.floats + floats <= self.machine.float_registers() {
                        self.floats += floats;
                    } else {
                        self.floats = self.machine.float_registers();
                        self.push(words, wide);
                    }
                } else if size > 16 {
                    let _ = self.integer();
                } else if wide == 2 {
                    self.even(words);
                } else if self.taken + words <= self.machine.registers() {
                    self.taken += words;
                } else {
                    self.taken = self.machine.registers();
                    self.push(words, 1);
                }
            }
            Machine::S390 => match (size, leaves) {
                (0, _) => {}
                (4 | 8, [Leaf { float: true, size: of, .. }]) if *of == size => self.float(1),
                _ => drop(self.integer()),
            },
        }
    }
}

/// The registers that a struct is passed in on x86-64, integers and floating-point numbers; `None` if it is in memory.
fn eightbytes(size: u64, leaves: &[Leaf]) -> Option<(u32, u32)> {
    if size > 16 {
        return None;
    }
    let mut integers = [None; 2];
    for leaf in leaves {
        let aligned = leaf.offset % leaf.align.max(1) == 0;
        // A long double has no place in registers, and 128 bits that are a float are taken for one.
        if !aligned || leaf.float && leaf.size > 8 {
            return None;
        }
        let last = leaf.offset.saturating_add(leaf.size.max(1)) - 1;
        for (index, class) in integers.iter_mut().enumerate() {
            let index = index as u64;
            if leaf.offset / 8 <= index && index <= last / 8 {
                *class = Some(class.unwrap_or(false) || !leaf.float);
            }
        }
    }
    let count = |integer| integers.iter().filter(|class| **class == Some(integer)).count() as u32;
    Some((count(true), count(false)))
}

fn is_complex_long_double(size: u64, leaves: &[Leaf]) -> bool {
    size == 32 && leaves.len() == 2 && leaves.iter().all(|leaf| leaf.float && leaf.size == 16)
}

/// The number of registers of a struct on AArch64 that consists of one to four floating-point numbers of one size.
fn homogeneous(size: u64, leaves: &[Leaf]) -> Option<u32> {
    let first = leaves.first().filter(|leaf| leaf.float)?;
    let same = leaves.iter().all(|leaf| leaf.float && leaf.size == first.size);
    let count = size / first.size.max(1);
    (same && (1..=4).contains(&count) && count * first.size == size).then_some(count as u32)
}
