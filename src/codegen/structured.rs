//! Structured control flow: branches and loops that create their own blocks.

use super::function::Function;
use super::ir::{Binary, Block, Operand, Var};
use crate::insn::{Bits, Condition};

impl<'a> Function<'a> {
    /// Runs `then` if the condition holds.
    pub fn if_then(
        &mut self,
        condition: Condition,
        a: impl Into<Operand>,
        b: impl Into<Operand>,
        then: impl FnOnce(&mut Function<'a>),
    ) {
        let (yes, after) = (self.block(), self.block());
        self.branch(condition, a, b, yes, after);
        self.switch_to(yes);
        then(self);
        self.switch_to(after);
    }

    /// Runs `then` if the condition holds, else `other`.
    pub fn if_else(
        &mut self,
        condition: Condition,
        a: impl Into<Operand>,
        b: impl Into<Operand>,
        then: impl FnOnce(&mut Function<'a>),
        other: impl FnOnce(&mut Function<'a>),
    ) {
        let (yes, no, after) = (self.block(), self.block(), self.block());
        self.branch(condition, a, b, yes, no);
        self.switch_to(yes);
        then(self);
        let ended = self.is_ended();
        if !ended {
            self.jump(after);
        }
        self.switch_to(no);
        other(self);
        if !(ended && self.is_ended()) {
            self.switch_to(after);
        }
    }

    /// Runs `body` with 0, 1, …, `count` - 1, but no more than `most` times, the bound that the verifier requires.
    /// Linux 5.3
    ///
    /// Within `body`, a jump to the block that it gets leaves the loop.
    pub fn repeat(
        &mut self,
        count: impl Into<Operand>,
        most: u32,
        body: impl FnOnce(&mut Function<'a>, Var, Block),
    ) {
        let (count, most) = (count.into(), i64::from(most));
        let (head, within, after) = (self.block(), self.block(), self.block());
        let index = self.var();
        self.assign(index, 0);
        self.switch_to(head);
        let clamp = match count {
            Operand::Imm(count) => Some((count as u64).min(most as u64) as i64),
            Operand::Var(_) => None,
        };
        match clamp {
            Some(count) => self.branch(Condition::Ge, index, count, after, within),
            None => {
                // Both tests are of the index itself, so that the verifier tracks its bound.
                let test = self.block();
                self.branch(Condition::Ge, index, most, after, test);
                self.switch_to(test);
                self.branch(Condition::Ge, index, count, after, within);
            }
        }
        self.switch_to(within);
        body(self, index, after);
        if !self.is_ended() {
            self.binary_to(index, Bits::B64, Binary::Add, index, 1);
            self.jump(head);
        }
        self.switch_to(after);
    }
}
