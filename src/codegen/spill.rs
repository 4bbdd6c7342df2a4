//! Spilling: splits variables that have no register into pieces, which are loaded where they are used and stored where
//! they are assigned. Constants are rematerialized instead.

use super::allocate::Class;
use super::ir::{Arg, Args, Inst, Span, Var};
use super::liveness::{Flow, Ranges, STEP};
use super::mir::{Mir, MirBlock, MirEnd};
use crate::insn::{Bits, Condition};

/// The location of the value of a variable that has no register.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Home<'a> {
    Slot(u32),
    /// It is rematerialized by this instruction.
    Again(Inst<'a>),
    /// It is in memory, at an offset from the scratch variable.
    Scratch(Var, i32),
}

/// The state of the variables besides their live ranges.
#[derive(Debug, Clone)]
pub(super) struct State<'a> {
    pub classes: Vec<Class>,
    pub homes: Vec<Option<Home<'a>>>,
    /// The number of spill slots.
    pub slots: u32,
}

impl<'a> State<'a> {
    pub(super) fn new(vars: u32) -> State<'a> {
        let count = vars as usize;
        State { classes: vec![Class::Whole; count], homes: vec![None; count], slots: 0 }
    }

    pub(super) fn home(&self, var: Var) -> Option<Home<'a>> {
        self.homes.get(var.0 as usize).copied().flatten()
    }

    pub(super) fn set_home(&mut self, var: Var, home: Home<'a>) {
        if let Some(to) = self.homes.get_mut(var.0 as usize) {
            *to = Some(home);
        }
    }
}

/// The instruction that assigns each variable that is assigned once, if that can be done again anywhere.
pub(super) fn constants<'a>(mir: &Mir<'a>) -> Vec<Option<Inst<'a>>> {
    let mut constants = vec![None; mir.vars as usize];
    let mut assigned = vec![false; mir.vars as usize];
    for (inst, _) in mir.blocks.iter().flat_map(|block| &block.insts) {
        let Some(var) = inst.def() else { continue };
        let (Some(constant), Some(assigned)) =
            (constants.get_mut(var.0 as usize), assigned.get_mut(var.0 as usize))
        else {
            continue;
        };
        let first = !std::mem::replace(assigned, true);
        let is_constant =
            matches!(inst, Inst::Imm { .. } | Inst::Symbol { .. } | Inst::Address { .. });
        *constant = (first && is_constant).then_some(*inst);
    }
    constants
}

/// The variables to take apart, and where they are alive.
pub(super) struct Apart<'r> {
    pub vars: &'r [bool],
    pub ranges: &'r Ranges,
    pub flow: &'r Flow,
}

/// Takes the variables apart.
pub(super) fn spill<'a>(mir: &mut Mir<'a>, state: &mut State<'a>, apart: &Apart<'_>) {
    let constants = constants(mir);
    for (flag, var) in apart.vars.iter().zip(0..) {
        let var = Var(var);
        if *flag && state.home(var).is_none() {
            let constant = constants.get(var.0 as usize).copied().flatten();
            let home = constant.map_or(Home::Slot(state.slots), Home::Again);
            state.slots += u32::from(matches!(home, Home::Slot(_)));
            state.set_home(var, home);
        }
    }
    let mut rewrite = Rewrite {
        pieces: vec![(0, Var(0)); apart.vars.len()],
        epoch: 0,
        out: Vec::new(),
        span: None,
        vars: mir.vars,
        state,
        apart,
    };
    let blocks = std::mem::take(&mut mir.blocks);
    let mut stores = Vec::new();
    for (block, number) in blocks.into_iter().zip(0..) {
        let block = rewrite.block(block, number, &mut stores);
        mir.blocks.push(block);
    }
    mir.vars = rewrite.vars;
    on_edges(mir, stores);
}

/// A value that is to be stored on the way from one block to another.
struct EdgeStore<'a> {
    from: u32,
    to: u32,
    store: (Inst<'a>, Span),
}

/// Inserts stores on the edges between blocks: at the start of a block that has no other predecessor, or into a new
/// block behind the first.
fn on_edges<'a>(mir: &mut Mir<'a>, stores: Vec<EdgeStore<'a>>) {
    if stores.is_empty() {
        return;
    }
    let predecessors = mir.predecessors();
    let single = |to: u32| predecessors.get(to as usize).is_some_and(|from| from.len() == 1);
    // The blocks behind which there is a new one: once for each.
    let mut behind: Vec<(u32, u32, MirBlock<'a>)> = Vec::new();
    // Those of one edge come together.
    for stores in stores.chunk_by(|a, b| (a.from, a.to) == (b.from, b.to)) {
        let Some(EdgeStore { from, to, store: (_, span) }) = stores.first() else { continue };
        let insts = stores.iter().map(|store| store.store);
        if single(*to) && *to != 0 {
            if let Some(block) = mir.blocks.get_mut(*to as usize) {
                block.insts.splice(0..0, insts);
            }
        } else {
            let end = (MirEnd::Jump(*to), *span);
            behind.push((*from, *to, MirBlock { insts: insts.collect(), end }));
        }
    }
    if behind.is_empty() {
        return;
    }
    // (They are in the order of the blocks that they come from.)
    let moved = |block: u32| block + behind.partition_point(|(from, ..)| *from < block) as u32;
    for block in &mut mir.blocks {
        block.end.0.map_targets(moved);
    }
    let positions: Vec<_> = behind
        .iter()
        .zip(0..)
        .map(|((from, to, _), index)| (from + index + 1, moved(*to)))
        .collect();
    let blocks = std::mem::take(&mut mir.blocks);
    let mut new = behind.into_iter().zip(positions).peekable();
    for (mut block, number) in blocks.into_iter().zip(0u32..) {
        let mut others = Vec::new();
        while let Some(((_, _, mut other), (at, to))) =
            new.next_if(|((from, ..), _)| *from == number)
        {
            other.end.0 = MirEnd::Jump(to);
            block.end.0.map_targets(|target| if target == to { at } else { target });
            others.push(other);
        }
        mir.blocks.push(block);
        mir.blocks.append(&mut others);
    }
}

struct Rewrite<'s, 'a> {
    /// The piece that holds each variable, if the first number is that of the epoch.
    pieces: Vec<(u32, Var)>,
    /// The current epoch. Pieces end where it does: at calls and at the end of a block.
    epoch: u32,
    out: Vec<(Inst<'a>, Span)>,
    span: Span,
    vars: u32,
    state: &'s mut State<'a>,
    apart: &'s Apart<'s>,
}

impl<'a> Rewrite<'_, 'a> {
    fn is_apart(&self, var: Var) -> bool {
        self.apart.vars.get(var.0 as usize) == Some(&true)
    }

    fn push(&mut self, inst: Inst<'a>) {
        self.out.push((inst, self.span));
    }

    fn class(&self, var: Var) -> Class {
        self.state.classes.get(var.0 as usize).copied().unwrap_or(Class::Moment)
    }

    /// A new variable for a piece.
    fn piece(&mut self, class: Class, home: Option<Home<'a>>) -> Var {
        let piece = Var(self.vars);
        self.vars += 1;
        self.state.classes.push(class);
        self.state.homes.push(home);
        piece
    }

    fn new_piece(&mut self, of: Var) -> Var {
        let class = match self.class(of) {
            Class::Whole => Class::Piece,
            Class::Piece | Class::Moment => Class::Moment,
        };
        let piece = self.piece(class, self.state.home(of));
        if class == Class::Piece
            && let Some(entry) = self.pieces.get_mut(of.0 as usize)
        {
            *entry = (self.epoch, piece);
        }
        piece
    }

    /// The piece that holds the variable here, if there is one.
    fn current(&self, var: Var) -> Option<Var> {
        let (epoch, piece) = self.pieces.get(var.0 as usize)?;
        (*epoch == self.epoch && self.epoch != 0).then_some(*piece)
    }

    /// Puts the value of the variable into another.
    fn load(&mut self, of: Var, dst: Var) {
        match self.state.home(of) {
            Some(Home::Slot(slot)) => self.push(Inst::Fill { dst, slot }),
            Some(Home::Again(mut inst)) => {
                if let Some(to) = inst.def_mut() {
                    *to = dst;
                }
                self.push(inst);
            }
            Some(Home::Scratch(base, offset)) => {
                let base = self.scratch_base(base);
                self.push(Inst::FillFar { dst, base, offset });
            }
            None => {}
        }
    }

    /// Stores the value of a variable where that of another is kept.
    fn store(&mut self, of: Var, src: Var) {
        match self.state.home(of) {
            Some(Home::Slot(slot)) => self.push(Inst::Spill { slot, src }),
            Some(Home::Scratch(base, offset)) => {
                let base = self.scratch_base(base);
                self.push(Inst::SpillFar { base, offset, src });
            }
            Some(Home::Again(_)) | None => {}
        }
    }

    /// The variable by which this one is read.
    fn used(&mut self, var: Var) -> Var {
        if self.is_apart(var) { self.current_or_loaded(var) } else { var }
    }

    /// The variable that has the address of scratch memory. If it was taken apart in an earlier round, there is nothing left of it
    /// but its home.
    fn scratch_base(&mut self, base: Var) -> Var {
        if self.state.home(base).is_some() { self.current_or_loaded(base) } else { base }
    }

    fn current_or_loaded(&mut self, var: Var) -> Var {
        if let Some(piece) = self.current(var) {
            return piece;
        }
        let piece = self.new_piece(var);
        self.load(var, piece);
        piece
    }

    fn block(
        &mut self,
        block: MirBlock<'a>,
        number: u32,
        stores: &mut Vec<EdgeStore<'a>>,
    ) -> MirBlock<'a> {
        self.epoch += 1;
        for (inst, span) in block.insts {
            self.span = span;
            self.inst(inst);
        }
        let (mut end, span) = block.end;
        self.span = span;
        let mut read: Vec<(Var, Var)> = Vec::new();
        end.for_uses_mut(|var| {
            let known = read.iter().find(|(of, _)| of == var).map(|(_, piece)| *piece);
            let piece = known.unwrap_or_else(|| self.used(*var));
            read.push((*var, piece));
            *var = piece;
        });
        self.bounds(&mut end, &read, number, stores);
        MirBlock { insts: std::mem::take(&mut self.out), end: (end, span) }
    }

    /// Stores variables that were compared again behind the comparison: then the verifier has the same bounds for the
    /// value in memory as for that in the register.
    fn bounds(
        &mut self,
        end: &mut MirEnd<'a>,
        read: &[(Var, Var)],
        number: u32,
        stores: &mut Vec<EdgeStore<'a>>,
    ) {
        let MirEnd::Branch { condition, then, other, .. } = *end else { return };
        if matches!(condition, Condition::Eq | Condition::Ne | Condition::Set) {
            return;
        }
        let targets = [then, other];
        for target in targets {
            let start = self.apart.flow.starts.get(target as usize).map_or(0, |start| start * STEP);
            for (of, piece) in read {
                let segments = self.apart.ranges.of(of.0);
                let alive = segments.iter().any(|(from, to)| *from <= start && start < *to);
                let home = self.state.home(*of);
                if of == piece || !alive || self.class(*of) != Class::Whole {
                    continue;
                }
                let Some(Home::Slot(slot)) = home else { continue };
                let piece = self.compared(end, *piece);
                let store = (Inst::Spill { slot, src: piece }, self.span);
                stores.push(EdgeStore { from: number, to: target, store });
            }
        }
    }

    /// The operand of the comparison that is kept up to the store behind it.
    fn compared(&mut self, end: &mut MirEnd<'a>, piece: Var) -> Var {
        if self.class(piece) == Class::Moment {
            return piece;
        }
        // This is the last use of the piece, or there is a copy of it already.
        let copied = self.out.iter().rev().take(2).find_map(|(inst, _)| match inst {
            Inst::Mov { dst, src, .. } if *src == piece && self.class(*dst) == Class::Moment => {
                Some(*dst)
            }
            _ => None,
        });
        let copy = copied.unwrap_or_else(|| {
            let copy = self.piece(Class::Moment, None);
            self.push(Inst::Mov { bits: Bits::B64, dst: copy, src: piece });
            copy
        });
        end.for_uses_mut(|var| {
            if *var == piece {
                *var = copy;
            }
        });
        copy
    }

    fn inst(&mut self, mut inst: Inst<'a>) {
        match inst {
            // A piece that is loaded or stored: that will be done where it is used or assigned.
            Inst::Fill { dst: piece, .. }
            | Inst::FillFar { dst: piece, .. }
            | Inst::Spill { src: piece, .. }
            | Inst::SpillFar { src: piece, .. }
                if self.is_apart(piece) && self.is_at_home(&inst, piece) =>
            {
                return;
            }
            Inst::Mov { bits: Bits::B64, dst, src } if self.is_apart(dst) != self.is_apart(src) => {
                if self.is_apart(dst) {
                    self.forget(dst);
                    self.store(dst, src);
                } else if let Some(src) = self.current(src) {
                    self.push(Inst::Mov { bits: Bits::B64, dst, src });
                } else {
                    self.load(src, dst);
                }
                return;
            }
            Inst::Call { target, args, dst } => return self.call(target, args, dst),
            _ => {}
        }
        let def = inst.def();
        let is_again =
            |var: Var| self.is_apart(var) && matches!(self.state.home(var), Some(Home::Again(_)));
        if def.is_some_and(is_again) {
            return;
        }
        let mut read: Vec<(Var, Var)> = Vec::new();
        inst.for_uses_mut(|var, _| {
            let known = read.iter().find(|(of, _)| of == var).map(|(_, piece)| *piece);
            let piece = known.unwrap_or_else(|| self.used(*var));
            read.push((*var, piece));
            *var = piece;
        });
        self.assign(def, inst);
    }

    /// The instruction, with its result in a piece if the variable is taken apart.
    fn assign(&mut self, def: Option<Var>, mut inst: Inst<'a>) {
        match def.filter(|var| self.is_apart(*var)) {
            None => self.push(inst),
            Some(var) => {
                let piece = self.new_piece(var);
                if let Some(to) = inst.def_mut() {
                    *to = piece;
                }
                self.push(inst);
                self.store(var, piece);
            }
        }
    }

    fn forget(&mut self, var: Var) {
        if let Some(entry) = self.pieces.get_mut(var.0 as usize) {
            entry.0 = 0;
        }
    }

    /// Whether the instruction moves a piece between its register and its home.
    fn is_at_home(&self, inst: &Inst<'a>, piece: Var) -> bool {
        match (*inst, self.state.home(piece)) {
            (Inst::Fill { slot, .. } | Inst::Spill { slot, .. }, Some(Home::Slot(home))) => {
                slot == home
            }
            (
                Inst::FillFar { offset, .. } | Inst::SpillFar { offset, .. },
                Some(Home::Scratch(_, home)),
            ) => offset == home,
            _ => false,
        }
    }

    fn call(&mut self, target: super::ir::Target<'a>, mut args: Args<'a>, dst: Option<Var>) {
        for arg in args.as_mut_slice() {
            let Arg::Var(var) = *arg else { continue };
            if !self.is_apart(var) {
                continue;
            }
            *arg = match (self.current(var), self.state.home(var)) {
                (Some(piece), _) => Arg::Var(piece),
                (None, Some(Home::Slot(slot))) => Arg::Slot(slot),
                (None, Some(Home::Again(Inst::Imm { value, .. }))) => Arg::Imm(value),
                (None, Some(Home::Again(Inst::Symbol { symbol, .. }))) => Arg::Symbol(symbol),
                (None, Some(Home::Again(Inst::Address { object, offset, .. }))) => {
                    Arg::Address(object, offset)
                }
                _ => Arg::Var(self.used(var)),
            };
        }
        self.epoch += 1;
        self.assign(dst, Inst::Call { target, args, dst });
    }
}
