//! The instructions that load an argument of a USDT probe.

use super::argument::{Argument, Operand};
use super::registers::Register;
use super::{UsdtPlace, UsdtProbe};
use crate::asm::Builder;
use crate::asm::helper_number;
use crate::error::{Error, Result};
use crate::insn::{AluOp, Bits, Condition, Op, Pseudo, Reg, Size, Source};

/// The registers and the stack that the instructions use: for the context, the argument, and scratch space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArgumentRegisters {
    /// The register with the context: one of `r6` to `r9`, which calls leave alone.
    pub context: Reg,
    /// The register that gets the argument: another of `r6` to `r9`, or `r0`.
    pub to: Reg,
    /// Eight bytes of the stack that may be overwritten, by their offset from `r10`: a multiple of 8 from -512 to -8.
    pub stack: i16,
}

impl UsdtProbe {
    /// Adds the instructions to a program that load the argument of this number, from 1 on, with its sign if it has
    /// one. They clobber `r1` to `r5` and `r0`, unless the argument is loaded into `r0`.
    ///
    /// Memory of the process is read by `probe_read_user` (Linux 5.5); the argument is 0 if the read fails. If the
    /// places of the probe have the argument in different locations, the program asks `get_attach_cookie` (Linux 5.15)
    /// at which of them it runs: it has to be attached without a cookie of its own.
    ///
    /// ```no_run
    /// use rawbpf::asm::{BuildOptions, Builder};
    /// use rawbpf::insn::{AluOp, Bits, Op, Reg, Source};
    /// use rawbpf::user::{self, ArgumentRegisters};
    ///
    /// let probes = user::usdt_probes("/usr/bin/python3")?;
    /// let probe = probes.iter().find(|probe| probe.name == "line").ok_or("no such probe")?;
    /// let mut builder = Builder::new();
    /// builder.push(Op::Alu { bits: Bits::B64, op: AluOp::Mov, dst: Reg::R6, src: Source::Reg(Reg::R1) });
    /// probe.load_argument(&mut builder, 3, ArgumentRegisters { context: Reg::R6, to: Reg::R7, stack: -8 })?;
    /// // r7 is now the number of the line.
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Place`] if the probe has no such argument or programs cannot read it, [`Error::Spec`] if the registers
    /// are invalid.
    pub fn load_argument(
        &self,
        builder: &mut Builder<'_>,
        number: usize,
        registers: ArgumentRegisters,
    ) -> Result<()> {
        registers.check()?;
        let (cases, of_place) = self.locations(number)?;
        if let [only] = cases.as_slice() {
            return only.code(builder, registers);
        }
        // Which place is it?
        builder.push(alu(AluOp::Mov, Reg::R1, Source::Reg(registers.context)));
        call(builder, b"get_attach_cookie")?;
        let out = builder.label();
        let labels: Vec<_> = cases.iter().map(|_| builder.label()).collect();
        for (index, case) in of_place.iter().enumerate() {
            if let (Some(label), Ok(index)) = (labels.get(*case), i32::try_from(index)) {
                builder.jump_if(Bits::B64, Condition::Eq, Reg::R0, Source::Imm(index), *label);
            }
        }
        builder.push(set(registers.to, 0)).jump(out);
        for (case, label) in cases.iter().zip(labels) {
            builder.bind(label);
            case.code(builder, registers)?;
            builder.jump(out);
        }
        builder.bind(out);
        Ok(())
    }

    /// The different locations of the argument of this number, from 1 on, and for each place of the probe which of them is its.
    ///
    /// # Errors
    /// [`Error::Place`] if the probe has no such argument or programs cannot read it.
    pub(crate) fn locations(&self, number: usize) -> Result<(Vec<Location>, Vec<usize>)> {
        let (mut cases, mut of_place) = (Vec::new(), Vec::new());
        for place in &self.places {
            let location = self.location(place, number)?;
            let case = cases.iter().position(|known| *known == location);
            of_place.push(case.unwrap_or_else(|| {
                cases.push(location);
                cases.len() - 1
            }));
        }
        Ok((cases, of_place))
    }

    fn problem(&self, number: usize, problem: String) -> Error {
        Error::Place {
            target: format!("argument {number} of {}:{}", self.provider, self.name),
            problem,
        }
    }

    fn in_place<'p>(&self, place: &'p UsdtPlace, number: usize) -> Result<&'p Argument> {
        if !self.native {
            return Err(self.problem(number, "the program is for another kind of machine".into()));
        }
        let argument = number.checked_sub(1).and_then(|index| place.arguments.get(index));
        argument.ok_or_else(|| {
            self.problem(number, format!("the probe has {} arguments", place.arguments.len()))
        })
    }

    fn location(&self, place: &UsdtPlace, number: usize) -> Result<Location> {
        let argument = self.in_place(place, number)?;
        let Argument { size, .. } = *argument;
        let mut signed = argument.signed && !argument.float;
        let from = match &argument.operand {
            Operand::Constant(value) => {
                // It has its sign already.
                signed = false;
                From::Constant(*value)
            }
            Operand::Register(register) => From::Register(*register),
            Operand::Memory { base, index, displacement } => {
                From::Memory { base: *base, index: *index, displacement: *displacement }
            }
            Operand::Variable { name, displacement } => {
                let known = place.variables.iter().find(|(other, _)| other == name);
                let Some((_, address)) = known else {
                    let problem =
                        format!("it is in the variable `{name}`, which the file has no symbol of");
                    return Err(self.problem(number, problem));
                };
                let Some(ip) = crate::kernel::registers::offset("ip") else {
                    let problem = "the registers of this machine are not known here".into();
                    return Err(self.problem(number, problem));
                };
                // Wherever the file is mapped, the distance is the same.
                let distance = address.wrapping_sub(place.address) as i64;
                From::Memory {
                    base: Some(Register { offset: ip, size: 8 }),
                    index: None,
                    displacement: distance.wrapping_add(*displacement),
                }
            }
            Operand::FloatRegister(name) => {
                let text = &argument.text;
                let problem = format!(
                    "it is a floating-point number in the register {name} (`{text}`), which no program can read"
                );
                return Err(self.problem(number, problem));
            }
            Operand::Unknown => {
                let text = &argument.text;
                let problem = format!("it is `{text}`, written in a way that is not known here");
                return Err(self.problem(number, problem));
            }
        };
        Ok(Location { from, size, signed })
    }
}

/// The location of an argument at a place, as programs read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Location {
    /// The register or the memory that holds it.
    pub from: From,
    /// Its size in bytes: 1, 2, 4 or 8.
    pub size: u8,
    /// Whether its sign is to be extended.
    pub signed: bool,
}

/// The source of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// It is this number.
    Constant(i64),
    /// It is in a register.
    Register(Register),
    /// It is in the memory of the process, at the sum of these.
    Memory {
        /// The first register.
        base: Option<Register>,
        /// The second register, and the number of bits by which it is shifted to the left.
        index: Option<(Register, u8)>,
        /// The displacement, in bytes.
        displacement: i64,
    },
}

impl Location {
    fn code(&self, builder: &mut Builder<'_>, registers: ArgumentRegisters) -> Result<()> {
        let ArgumentRegisters { context, to, stack } = registers;
        let get = |builder: &mut Builder<'_>, dst, register: Register| {
            let (size, offset) = (access(register.size), register.offset as i16);
            builder.push(Op::Load { size, dst, base: context, offset });
        };
        match self.from {
            From::Constant(value) => constant(builder, to, value),
            From::Register(register) => get(builder, to, register),
            From::Memory { base, index, displacement } => {
                match base {
                    Some(base) => get(builder, Reg::R3, base),
                    None => {
                        builder.push(set(Reg::R3, 0));
                    }
                }
                if let Some((index, shift)) = index {
                    get(builder, Reg::R1, index);
                    builder.push(alu(AluOp::Lsh, Reg::R1, Source::Imm(shift.into())));
                    builder.push(alu(AluOp::Add, Reg::R3, Source::Reg(Reg::R1)));
                }
                add(builder, displacement);
                // `probe_read_user(r10 + stack, size, r3)`. What cannot be read becomes zero.
                builder
                    .push(alu(AluOp::Mov, Reg::R1, Source::Reg(Reg::R10)))
                    .push(alu(AluOp::Add, Reg::R1, Source::Imm(stack.into())))
                    .push(set(Reg::R2, self.size.into()));
                call(builder, b"probe_read_user")?;
                let size = access(self.size);
                builder.push(Op::Load { size, dst: to, base: Reg::R10, offset: stack });
            }
        }
        if self.signed && self.size < 8 {
            let shift = Source::Imm(64 - 8 * i32::from(self.size));
            builder.push(alu(AluOp::Lsh, to, shift)).push(alu(AluOp::Arsh, to, shift));
        }
        Ok(())
    }
}

impl ArgumentRegisters {
    fn check(&self) -> Result<()> {
        let kept = |reg: Reg| (6..=9).contains(&(reg as u8));
        let refuse = |problem| {
            Err(Error::Spec { what: "registers for", name: "an argument".into(), problem })
        };
        if !kept(self.context) {
            return refuse("the context has to be in r6, r7, r8 or r9");
        }
        if self.to == self.context || !kept(self.to) && self.to != Reg::R0 {
            return refuse("the argument can go to r0, r6, r7, r8 or r9, where the context is not");
        }
        if !(-512..=-8).contains(&self.stack) || self.stack % 8 != 0 {
            return refuse("the offset on the stack has to be a multiple of 8 from -512 to -8");
        }
        Ok(())
    }
}

fn access(size: u8) -> Size {
    match size {
        1 => Size::Byte,
        2 => Size::Half,
        4 => Size::Word,
        _ => Size::Double,
    }
}

fn alu(op: AluOp, dst: Reg, src: Source) -> Op {
    Op::Alu { bits: Bits::B64, op, dst, src }
}

fn set(dst: Reg, value: i32) -> Op {
    alu(AluOp::Mov, dst, Source::Imm(value))
}

fn constant(builder: &mut Builder<'_>, dst: Reg, value: i64) {
    match i32::try_from(value) {
        Ok(value) => builder.push(set(dst, value)),
        Err(_) => {
            let (low, high) = (value as i32, (value >> 32) as i32);
            builder.push(Op::LoadImm64 { dst, kind: Pseudo::Imm64, low, high })
        }
    };
}

/// Adds to `r3`.
fn add(builder: &mut Builder<'_>, value: i64) {
    match i32::try_from(value) {
        Ok(0) => {}
        Ok(value) => {
            builder.push(alu(AluOp::Add, Reg::R3, Source::Imm(value)));
        }
        Err(_) => {
            constant(builder, Reg::R1, value);
            builder.push(alu(AluOp::Add, Reg::R3, Source::Reg(Reg::R1)));
        }
    }
}

fn call(builder: &mut Builder<'_>, name: &'static [u8]) -> Result<()> {
    let number = helper_number(name).ok_or(Error::Spec {
        what: "helper",
        name: String::from_utf8_lossy(name).into_owned(),
        problem: "it is not known here",
    })?;
    builder.push(Op::CallHelper { number });
    Ok(())
}
