//! Arguments of USDT probes, which are wherever the compiler of the program had them at each place.

use super::memory::Prepared;
use super::{Lower, Lowered, helper};
use crate::bt::diagnostic::Diagnostic;
use crate::bt::plan::Feature;
use crate::bt::types::Space;
use crate::codegen::{Binary, Operand, Var};
use crate::insn::{Condition, Size};
use crate::kernel::registers;
use crate::user::{Register, UsdtLocation, UsdtProbe, UsdtSource};
use std::collections::HashMap;

/// The cookie, or the lowest bits of an address, of each place, with the number of its case.
type Places = Vec<(u64, usize)>;

impl<'p> Lower<'_, 'p, '_> {
    /// `argN` of a USDT probe.
    pub(super) fn static_argument(&mut self, number: u32) -> Lowered<Operand> {
        let Some(usdt) = &self.probe.usdt else { return self.never() };
        let (cases, of_place) = match usdt.locations(number as usize + 1) {
            Ok(found) => found,
            Err(error) => return Err(Diagnostic::error(self.span, error.to_string())),
        };
        if let [only] = cases.as_slice() {
            return self.located(only);
        }
        let value = self.f.var();
        self.f.number(value);
        self.f.assign(value, 0);
        let (place, places) = self.place(usdt, &of_place)?;
        let after = self.f.block();
        let blocks: Vec<_> = cases.iter().map(|_| self.f.block()).collect();
        for (known, case) in places {
            let Some(block) = blocks.get(case) else { return self.never() };
            let next = self.f.block();
            self.f.branch(Condition::Eq, place, known, *block, next);
            self.f.switch_to(next);
        }
        self.f.jump(after);
        for (case, block) in cases.iter().zip(blocks) {
            self.f.switch_to(block);
            let found = self.located(case)?;
            self.f.assign(value, found);
            self.f.jump(after);
        }
        self.f.switch_to(after);
        Ok(value.into())
    }

    /// A number that says at which place the program runs, and those of the places.
    fn place(&mut self, usdt: &UsdtProbe, of_place: &[usize]) -> Lowered<(Var, Places)> {
        if self.shared.target.has(Feature::Cookie) {
            let context = self.context;
            let cookie = self.call_number(helper::ATTACH_COOKIE, &[context.into()]);
            let places = of_place.iter().enumerate();
            return Ok((cookie, places.map(|(index, case)| (index as u64, *case)).collect()));
        }
        // The address of the instruction, within its page.
        let mut known: HashMap<u16, usize> = HashMap::new();
        for (offset, case) in usdt.page_offsets().zip(of_place) {
            if known.insert(offset, *case).is_some_and(|other| other != *case) {
                let what = "arguments of USDT probes that are elsewhere at each place";
                return self.missing(what, "Linux 5.15");
            }
        }
        let Some(ip) = registers::offset("ip") else {
            return self.unsupported(self.span, "registers of this machine");
        };
        let ip = self.part_of_register(Register { offset: ip, size: 8 });
        let mut places: Places =
            known.into_iter().map(|(offset, case)| (offset.into(), case)).collect();
        places.sort_unstable();
        Ok((self.f.and(ip, 0xfff), places))
    }

    fn located(&mut self, of: &UsdtLocation) -> Lowered<Operand> {
        let size = super::memory::int_size(of.size.into());
        let value = match of.from {
            UsdtSource::Constant(value) => return Ok(value.into()),
            UsdtSource::Register(register) => self.part_of_register(register),
            UsdtSource::Memory { base, index, displacement } => {
                let mut address = match base {
                    Some(base) => self.part_of_register(base),
                    None => self.f.imm(0),
                };
                if let Some((index, shift)) = index {
                    let index = self.part_of_register(index);
                    let scaled = self.f.binary(Binary::Lsh, index, u64::from(shift));
                    address = self.f.add(address, scaled);
                }
                let address = self.f.binary(Binary::Add, address, displacement).into();
                let to = self.room(8);
                let read = Prepared::Read { address, space: Space::User, size: of.size.into() };
                self.put(&read, to, false);
                let value = self.f.load(size, to.address);
                self.f.number(value);
                value
            }
        };
        Ok(match of.signed && size != Size::Double {
            true => self.f.sign_extend(value, size).into(),
            false => value.into(),
        })
    }

    fn part_of_register(&mut self, register: Register) -> Var {
        let size = super::memory::int_size(register.size.into());
        let value = self.f.load(size, self.context.at(register.offset.into()));
        self.f.number(value);
        value
    }
}
