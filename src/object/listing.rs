//! An object as a text in the assembly language.

use super::file::Object;
use super::names::shown;
use super::program::ObjectProgram;
use super::target;
use crate::asm::{Instructions, Labels, Style, Target, place, print, unknown};
use crate::insn::{ByteOrder, Insn, Op};
use crate::spec::Line;
use std::fmt::Write;

/// An object as a text, and where in it the statements of each program stand.
#[derive(Debug, Clone, Default)]
pub(super) struct Listing {
    pub text: String,
    pub lines: Vec<Vec<Line>>,
}

impl Object {
    /// All of it as a text that can be assembled: the license, the maps, the data and the programs. What cannot be said in the
    /// language stands there as a comment. `bytes`: whether each instruction is followed by its slot and its bytes.
    pub fn text(&self, bytes: bool) -> String {
        self.listed(bytes).text
    }

    pub(super) fn listed(&self, bytes: bool) -> Listing {
        let mut listing = Listing { text: self.head.clone(), lines: Vec::new() };
        for program in &self.programs {
            if !listing.text.is_empty() {
                listing.text.push('\n');
            }
            listing.lines.push(program.list(&mut listing.text, bytes.then_some(self.order)));
        }
        listing
    }
}

impl ObjectProgram {
    /// The program in the assembly language, from `.program` on, perhaps with the bytes of each instruction in an order.
    /// An instruction that is not known here is shown by its bytes, which cannot be assembled.
    pub fn text(&self, bytes: Option<ByteOrder>) -> String {
        let mut out = String::new();
        self.list(&mut out, bytes);
        out
    }

    /// Adds the program to a text; where its statements stand there.
    fn list(&self, out: &mut String, bytes: Option<ByteOrder>) -> Vec<Line> {
        let _ = write!(out, ".program {}", self.name);
        match &self.target {
            Some(target) if target::can_be_said(target) => {
                let _ = write!(out, ", {target}");
            }
            Some(target) => {
                let _ = write!(out, " # {}", shown(target));
            }
            None => {}
        }
        out.push('\n');
        // No labels for what leads nowhere.
        let mut led = self.slots.clone();
        for slot in &self.astray {
            let Some(insn) = led.get_mut(*slot) else { continue };
            let wide = Insn::from_fields(insn.opcode(), insn.dst(), 0, 0, 0);
            *insn = if insn.is_wide() { wide } else { Op::Exit.encode().first() };
        }
        let labels = Labels::new(&led);
        let mut lines = Vec::new();
        for instruction in Instructions::from(&self.slots, 0) {
            let (slot, op) = match instruction {
                Ok((slot, op)) => (slot, Some(op)),
                Err(unknown) => (unknown.slot, None),
            };
            self.before(out, slot, &labels);
            let start = out.len() as u32;
            let count = match op {
                Some(op) => {
                    self.statement(out, slot, op, &labels);
                    op.slots()
                }
                None => {
                    if let Some(insn) = self.slots.get(slot) {
                        unknown(out, *insn);
                    }
                    1
                }
            };
            // Objects are shorter than 4 GiB, and so are their texts.
            lines.push(Line { slot: slot as u32, start, end: out.len() as u32 });
            if let Some(order) = bytes {
                let slots = self.slots.get(slot..slot + count).unwrap_or_default();
                let bytes = slots.iter().flat_map(|slot| slot.to_bytes(order));
                let hex: Vec<_> = bytes.map(|byte| format!("{byte:02x}")).collect();
                let line = out.rfind('\n').map_or(0, |end| end + 1);
                let width = 44_usize.saturating_sub(out.len() - line);
                let _ = write!(out, "{:width$} // {slot}: {}", "", hex.join(" "));
            }
            out.push('\n');
        }
        lines
    }

    /// The lines before an instruction, and the space that it begins with.
    fn before(&self, out: &mut String, slot: usize, labels: &Labels) {
        match (self.functions.get(&slot), labels.at(slot)) {
            (Some(name), _) => {
                let _ = writeln!(out, "{}{name}:", if slot > 0 { "\n" } else { "" });
            }
            (None, Some((prefix, number))) => {
                let _ = writeln!(out, "{prefix}{number}:");
            }
            (None, None) => {}
        }
        let text = self.text_remarks.get(&slot);
        for remark in self.remarks.get(&slot).into_iter().flatten().chain(text) {
            let _ = writeln!(out, "    # {remark}");
        }
        out.push_str("    ");
    }

    fn statement(&self, out: &mut String, slot: usize, op: Op, labels: &Labels) {
        if let Some(adjusted) = self.adjusted.get(&slot) {
            out.push_str(&adjusted.statement);
            return;
        }
        let operand = self.operands.get(&slot);
        if let (Op::CallLocal { .. }, Some(name)) = (op, operand) {
            let _ = write!(out, "call kfunc {name}");
            return;
        }
        let target = match (operand, place(op, slot)) {
            (Some(name), _) => Target::Name(name),
            (None, Some(place)) if !self.astray.contains(&slot) => {
                match self.functions.get(&place.slot()) {
                    Some(name) => Target::Name(name),
                    None => labels.of(place.slot()),
                }
            }
            _ => Target::None,
        };
        // A `String` takes all that is written.
        let _ = print(out, op, Style::Llvm, target);
    }
}
