//! Values that a run of a program has computed already: results of helpers that stay the same, keys in memory, and values of maps.
//!
//! A fact is used by all code that is emitted behind it, so that it may be noted only where that code cannot be reached
//! without it. This holds on the *line* of a list of statements: at the start of each statement, and behind the constructs that say
//! so ([`Lower::rejoin`]). What is noted within a conditional list is forgotten at its end. Anywhere else nothing is noted.

use super::Lower;
use super::memory::Place;
use crate::bt::hir::{Access, Builtin, Expr, ExprKind, MapId};
use crate::codegen::{Block, Operand, Var};

/// Something that need not be computed again.
#[derive(Debug, Clone)]
enum Fact<'p> {
    /// The result of a helper without arguments.
    Call(i32, Var),
    /// A key in memory, which nothing changes.
    Key(&'p Expr, Place),
    /// A key of zeros, of so many bytes.
    Zeros(u32, Place),
    /// The value of the element of a map whose key lies there.
    Element(MapId, Place, Operand),
    /// None any more.
    Forgotten,
}

/// The facts of a function.
#[derive(Debug, Clone, Default)]
pub(super) struct Known<'p> {
    facts: Vec<Fact<'p>>,
    /// The block in which facts may be noted.
    line: Option<Block>,
    /// The number of facts at the first branch of the condition that is being lowered.
    forked: Option<usize>,
}

/// The number of facts at a place, and the line there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark(usize, Option<Block>);

/// Whether emission was on the line.
#[derive(Debug, Clone, Copy)]
pub(super) struct OnLine(bool);

impl<'p> Lower<'_, 'p, '_> {
    /// Declares that all code that follows is reached from here only, until [`Lower::leave_line`].
    pub(super) fn enter_line(&mut self) -> Mark {
        let mark = Mark(self.known.facts.len(), self.known.line);
        self.stay_on_line();
        mark
    }

    /// Declares that the code that follows is reached from here only, as the code before was.
    pub(super) fn stay_on_line(&mut self) {
        self.known.line = Some(self.f.current());
    }

    /// Forgets what was noted since.
    pub(super) fn leave_line(&mut self, mark: Mark) {
        self.known.facts.truncate(mark.0);
        self.known.line = mark.1;
    }

    /// Returns whether facts may be noted here, for [`Lower::rejoin`].
    pub(super) fn on_line(&self) -> OnLine {
        OnLine(self.known.line == Some(self.f.current()) && !self.f.is_ended())
    }

    /// Declares that a construct which began on the line ends here: each way to the code that follows leads through it to here.
    pub(super) fn rejoin(&mut self, began: OnLine) {
        if began.0 {
            self.stay_on_line();
        }
    }

    /// Begins a condition; returns the state of the one around it, for [`Lower::end_guard`].
    pub(super) fn begin_guard(&mut self) -> Option<usize> {
        self.known.forked.take()
    }

    /// Declares that the condition branches here.
    pub(super) fn fork(&mut self) {
        self.known.forked.get_or_insert(self.known.facts.len());
    }

    /// Ends a condition; returns the mark of what was known where it branched first.
    pub(super) fn end_guard(&mut self, outer: Option<usize>) -> Mark {
        let facts = std::mem::replace(&mut self.known.forked, outer);
        Mark(facts.unwrap_or(self.known.facts.len()), self.known.line)
    }

    fn note(&mut self, fact: Fact<'p>) {
        if self.on_line().0 {
            self.known.facts.push(fact);
        }
    }

    /// Calls a helper without arguments whose result is a number that stays the same during a run.
    pub(super) fn call_once(&mut self, number: i32) -> Var {
        let known = self.known.facts.iter().find_map(|fact| match fact {
            Fact::Call(known, result) if *known == number => Some(*result),
            _ => None,
        });
        known.unwrap_or_else(|| {
            let result = self.call_number(number, &[]);
            self.note(Fact::Call(number, result));
            result
        })
    }

    /// Returns the place of a key that lies in memory already.
    pub(super) fn known_key(&self, key: &Expr) -> Option<Place> {
        self.known.facts.iter().find_map(|fact| match fact {
            Fact::Key(known, place) if is_same(known, key) => Some(*place),
            _ => None,
        })
    }

    /// Takes note of a key in memory that nothing changes.
    pub(super) fn note_key(&mut self, key: &'p Expr, place: Place) {
        if is_steady(key) && !self.typed {
            self.note(Fact::Key(key, place));
        }
    }

    /// Returns the place of a key of zeros that lies in memory already.
    pub(super) fn known_zeros(&self, size: u32) -> Option<Place> {
        self.known.facts.iter().find_map(|fact| match fact {
            Fact::Zeros(known, place) if *known == size => Some(*place),
            _ => None,
        })
    }

    /// Takes note of a key of zeros that nothing changes.
    pub(super) fn note_zeros(&mut self, size: u32, place: Place) {
        self.note(Fact::Zeros(size, place));
    }

    /// Returns the value of an element, if it has been read and the program has not changed the map since. Other programs may have:
    /// then it is what a read just before that would have given.
    pub(super) fn known_element(&self, map: MapId, key: Place) -> Option<Operand> {
        self.known.facts.iter().find_map(|fact| match fact {
            Fact::Element(known, at, value) if *known == map && *at == key => Some(*value),
            _ => None,
        })
    }

    /// Takes note of the value of an element. It must be one that is not assigned any more.
    pub(super) fn note_element(&mut self, map: MapId, key: Place, value: Operand) {
        self.note(Fact::Element(map, key, value));
    }

    /// Forgets the values of a map: it changes here.
    pub(super) fn forget_map(&mut self, map: MapId) {
        for fact in &mut self.known.facts {
            if matches!(fact, Fact::Element(known, ..) if *known == map) {
                *fact = Fact::Forgotten;
            }
        }
    }

    /// Forgets the values of all maps: a loop begins, which may change them in a round before.
    pub(super) fn forget_maps(&mut self) {
        for fact in &mut self.known.facts {
            if matches!(fact, Fact::Element(..)) {
                *fact = Fact::Forgotten;
            }
        }
    }
}

/// Whether a key has the same value whenever a run evaluates it.
fn is_steady(key: &Expr) -> bool {
    match &key.kind {
        ExprKind::Int(_) | ExprKind::Bytes(_) => true,
        ExprKind::Builtin(
            Builtin::Pid { .. }
            | Builtin::Tid { .. }
            | Builtin::Uid
            | Builtin::Gid
            | Builtin::Cpu
            | Builtin::Curtask
            | Builtin::Arg(_)
            | Builtin::Retval,
        ) => true,
        ExprKind::Load { address, access: Access::Context, .. } => {
            matches!(address.kind, ExprKind::Context) && key.ty.is_scalar()
        }
        ExprKind::Convert(value) => key.ty.is_scalar() && value.ty.is_scalar() && is_steady(value),
        ExprKind::Tuple(elements) => elements.iter().all(is_steady),
        _ => false,
    }
}

/// Whether two expressions are the same, as far as keys go that [`is_steady`] holds of.
fn is_same(one: &Expr, other: &Expr) -> bool {
    one.ty == other.ty
        && match (&one.kind, &other.kind) {
            (ExprKind::Int(one), ExprKind::Int(other)) => one == other,
            (ExprKind::Bytes(one), ExprKind::Bytes(other)) => one == other,
            (ExprKind::Builtin(one), ExprKind::Builtin(other)) => one == other,
            (
                ExprKind::Load { address: one, offset, access, bits },
                ExprKind::Load { address: other, offset: at, access: how, bits: of },
            ) => {
                matches!((&one.kind, &other.kind), (ExprKind::Context, ExprKind::Context))
                    && (offset, access, bits) == (at, how, of)
            }
            (ExprKind::Convert(one), ExprKind::Convert(other)) => is_same(one, other),
            (ExprKind::Tuple(one), ExprKind::Tuple(other)) => {
                one.len() == other.len()
                    && one.iter().zip(other).all(|(one, other)| is_same(one, other))
            }
            _ => false,
        }
}
