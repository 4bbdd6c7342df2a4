//! The control flow graph of a program: its basic blocks and the edges between them, and its output for Graphviz.

use super::listing::{Instructions, Labels, Place, Undecodable, place};
use super::print::{Style, Target, print};
use crate::insn::{Insn, Op};
use std::fmt::{self, Write};

/// A program as basic blocks: runs of instructions that are entered only at the top and left only at the bottom.
///
/// Calls do not end a block. A jump out of the program, and one whose target is known only at run time, has no
/// edge.
#[derive(Debug, Clone)]
pub struct ControlFlow<'a> {
    slots: &'a [Insn],
    blocks: Vec<Block>,
    labels: Labels,
}

/// A basic block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The index of its first slot.
    pub start: usize,
    /// The index after its last slot.
    pub end: usize,
    /// Whether a function begins here: the program itself, or one that it calls.
    pub function: bool,
    /// The edges to its successors.
    pub edges: Vec<Edge>,
}

/// An edge from one block to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Edge {
    /// The kind of transfer.
    pub kind: EdgeKind,
    /// The index of the block that it leads to.
    pub to: usize,
}

/// The kind of transfer along an [`Edge`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EdgeKind {
    /// Unconditional: a jump, or falling through to the next instruction.
    Always,
    /// A conditional jump, taken.
    Taken,
    /// A conditional jump, not taken.
    NotTaken,
    /// A call, which returns, or a load of the function's address.
    Call,
}

impl<'a> ControlFlow<'a> {
    /// Finds the blocks of a program.
    ///
    /// # Errors
    /// [`Undecodable`] names the slot that is not an instruction.
    pub fn new(slots: &'a [Insn]) -> Result<Self, Undecodable> {
        let labels = Labels::new(slots);
        let mut blocks = blocks(slots, &labels)?;
        for index in 0..blocks.len() {
            let edges = edges(slots, &blocks, index)?;
            if let Some(block) = blocks.get_mut(index) {
                block.edges = edges;
            }
        }
        Ok(ControlFlow { slots, blocks, labels })
    }

    /// The blocks in the order of their slots.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The graph in Graphviz's language: `dot -Tsvg` draws it.
    pub fn dot(&self, style: Style) -> String {
        let mut out = String::with_capacity(self.slots.len() * 48 + 512);
        // Writing to a `String` cannot fail.
        let _ = self.write_dot(&mut out, style);
        out
    }

    fn write_dot(&self, out: &mut String, style: Style) -> fmt::Result {
        out.write_str(HEAD)?;
        let mut open = false;
        for (index, block) in self.blocks.iter().enumerate() {
            if block.function {
                if open {
                    out.write_str("  }\n")?;
                }
                open = true;
                write!(out, "  subgraph cluster_{index} {{\n    label=\"")?;
                match self.labels.at(block.start) {
                    Some((prefix, number)) => write!(out, "{prefix}{number}")?,
                    None => out.write_str("program")?,
                }
                out.write_str("\";\n")?;
            }
            write!(out, "    b{index} [label=\"")?;
            self.write_block(out, block, style)?;
            out.write_str("\"];\n")?;
        }
        if open {
            out.write_str("  }\n")?;
        }
        for (index, block) in self.blocks.iter().enumerate() {
            for Edge { kind, to } in &block.edges {
                writeln!(out, "  b{index} -> b{to}{};", attributes(*kind))?;
            }
        }
        out.write_str("}\n")
    }

    fn write_block(&self, out: &mut String, block: &Block, style: Style) -> fmt::Result {
        if let Some((prefix, number)) = self.labels.at(block.start) {
            write!(out, "{prefix}{number}:\\l")?;
        }
        let width = self.slots.len().checked_ilog10().unwrap_or(0) as usize + 1;
        let slots = self.slots.get(..block.end).unwrap_or_default();
        let mut text = String::new();
        for (slot, op) in Instructions::from(slots, block.start).flatten() {
            let target = match (style, place(op, slot)) {
                (Style::Llvm, Some(place)) => self.labels.of(place.slot()),
                _ => Target::None,
            };
            text.clear();
            print(&mut text, op, style, target)?;
            write!(out, "{slot:>width$}  ")?;
            for c in text.chars() {
                if matches!(c, '"' | '\\') {
                    out.write_char('\\')?;
                }
                out.write_char(c)?;
            }
            out.write_str("\\l")?;
        }
        Ok(())
    }
}

const HEAD: &str = r##"digraph program {
  graph [fontname="monospace", fontsize=11, style="rounded", color="#b0b8c0", fontcolor="#505860", labeljust=l];
  node [shape=box, style="filled", fillcolor="#f6f8fa", color="#505860", fontname="monospace", fontsize=10, margin="0.12,0.08"];
  edge [fontname="monospace", fontsize=9, color="#505860", arrowsize=0.7];
"##;

const fn attributes(kind: EdgeKind) -> &'static str {
    match kind {
        EdgeKind::Always => "",
        EdgeKind::Taken => r##" [label=" taken", color="#1a7f37", fontcolor="#1a7f37"]"##,
        EdgeKind::NotTaken => {
            r##" [label=" not taken", color="#b35900", fontcolor="#b35900", weight=4]"##
        }
        EdgeKind::Call => {
            r##" [label=" call", style=dashed, color="#0550ae", fontcolor="#0550ae", constraint=false]"##
        }
    }
}

/// Whether an instruction ends a block: execution does not always continue with the next one.
const fn ends_block(op: Op) -> bool {
    matches!(
        op,
        Op::Jump { .. }
            | Op::JumpLong { .. }
            | Op::MayJump { .. }
            | Op::JumpRegister { .. }
            | Op::JumpIf { .. }
            | Op::Exit
    )
}

fn blocks(slots: &[Insn], labels: &Labels) -> Result<Vec<Block>, Undecodable> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut begins = true;
    for instruction in Instructions::from(slots, 0) {
        let (slot, op) = instruction?;
        let end = slot + op.slots();
        match blocks.last_mut() {
            Some(block) if !begins && labels.at(slot).is_none() => block.end = end,
            _ => {
                let function = slot == 0 || labels.is_function(slot);
                blocks.push(Block { start: slot, end, function, edges: Vec::new() });
            }
        }
        begins = ends_block(op);
    }
    Ok(blocks)
}

fn edges(slots: &[Insn], blocks: &[Block], index: usize) -> Result<Vec<Edge>, Undecodable> {
    let Some(block) = blocks.get(index) else { return Ok(Vec::new()) };
    let at = |slot: usize| blocks.binary_search_by_key(&slot, |block| block.start).ok();
    let mut edges = Vec::new();
    let mut last = None;
    for instruction in Instructions::from(slots.get(..block.end).unwrap_or_default(), block.start) {
        let (slot, op) = instruction?;
        last = Some((slot, op));
        if let Some(Place::Function(_)) = place(op, slot) {
            let to = place(op, slot).and_then(|place| at(place.slot()));
            let edge = to.map(|to| Edge { kind: EdgeKind::Call, to });
            edges.extend(edge.filter(|edge| !edges.contains(edge)));
        }
    }
    let Some((slot, op)) = last else { return Ok(edges) };
    let jump = match place(op, slot) {
        Some(place @ Place::Jump(_)) => at(place.slot()),
        _ => None,
    };
    let next = at(block.end);
    let (jump_kind, next_kind) = match op {
        Op::JumpIf { .. } | Op::MayJump { .. } => (EdgeKind::Taken, Some(EdgeKind::NotTaken)),
        _ if ends_block(op) => (EdgeKind::Always, None),
        _ => (EdgeKind::Always, Some(EdgeKind::Always)),
    };
    edges.extend(next_kind.zip(next).map(|(kind, to)| Edge { kind, to }));
    edges.extend(jump.map(|to| Edge { kind: jump_kind, to }));
    Ok(edges)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf;
    use proptest::prelude::*;

    /// Start, end, whether a function begins there, and the edges.
    type Shape = (usize, usize, bool, Vec<(EdgeKind, usize)>);

    fn shape(slots: &[Insn]) -> Vec<Shape> {
        let graph = ControlFlow::new(slots).unwrap();
        let edges = |block: &Block| block.edges.iter().map(|edge| (edge.kind, edge.to)).collect();
        graph.blocks().iter().map(|b| (b.start, b.end, b.function, edges(b))).collect()
    }

    #[test]
    fn a_loop_a_branch_and_a_function() {
        use EdgeKind::*;
        let code = bpf! {
            r6 = 3;                     // 0
            r1 = 1 ll;                  // 1
        again:
            call square;                // 3
            r6 += -1;
            if r6 != 0 goto again;      // 5
            if r0 > 100 goto out;       // 6
            r0 = 0;                     // 7
        out:
            exit;                       // 8
        square:
            r0 = r1;                    // 9
            r0 *= r1;
            exit;
        };
        assert_eq!(
            shape(code.slots),
            [
                (0, 3, true, vec![(Always, 1)]),
                (3, 6, false, vec![(Call, 5), (NotTaken, 2), (Taken, 1)]),
                (6, 7, false, vec![(NotTaken, 3), (Taken, 4)]),
                (7, 8, false, vec![(Always, 4)]),
                (8, 9, false, vec![]),
                (9, 12, true, vec![]),
            ]
        );
    }

    #[test]
    fn a_jump_to_nowhere_leads_nowhere() {
        let code = bpf! { if r0 == 0 goto +100; goto -5; exit; };
        assert_eq!(
            shape(code.slots),
            [
                (0, 1, true, vec![(EdgeKind::NotTaken, 1)]),
                (1, 2, false, vec![]),
                (2, 3, false, vec![]),
            ]
        );
    }

    proptest! {
        /// Blocks cover the program without a gap, and edges lead to blocks.
        #[test]
        fn blocks_cover_any_program(jumps: Vec<(i8, bool)>) {
            let slots: Vec<Insn> = jumps
                .iter()
                .map(|(offset, call)| {
                    let offset = i16::from(*offset) % 16;
                    let op = if *call {
                        Op::CallLocal { offset: offset.into() }
                    } else {
                        Op::MayJump { offset }
                    };
                    op.encode().first()
                })
                .collect();
            let graph = ControlFlow::new(&slots).unwrap();
            let mut at = 0;
            for block in graph.blocks() {
                prop_assert_eq!(block.start, at);
                prop_assert!(block.end > at);
                at = block.end;
                prop_assert!(block.edges.iter().all(|edge| edge.to < graph.blocks().len()));
            }
            prop_assert_eq!(at, slots.len());
        }
    }
}
