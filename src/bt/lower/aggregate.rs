//! The aggregating functions.

use super::map::Element;
use super::memory::Place;
use super::{Lower, Lowered};
use crate::bt::hir::{Aggregation, Expr, ExprKind, MapId};
use crate::bt::plan::Feature;
use crate::bt::types::{Lhist, Type};
use crate::codegen::{Binary, Operand, Var};
use crate::insn::{AtomicSize, Bits, Condition, Size};

/// The maximum number of compare-and-exchange attempts on a value that other programs change.
const MOST_TRIES: u32 = 16;

impl<'p> Lower<'_, 'p, '_> {
    /// `@m[key] = count()` and the like.
    pub(super) fn aggregate(
        &mut self,
        map: MapId,
        key: Option<&'p Expr>,
        function: &'p Aggregation,
    ) -> Lowered<()> {
        let signed = self.user_map(map)?.map.value.is_signed();
        let value = match crate::bt::visit::aggregated(function) {
            Some(value) => self.number(value)?,
            None => 1.into(),
        };
        let bucket = match function {
            Aggregation::Lhist(_, lhist) => Some(self.lhist_bucket(value, *lhist)),
            _ => None,
        };
        self.with_element(map, key, |lower, element| {
            match function {
                Aggregation::Count | Aggregation::Sum(_) => lower.add_to(element, 0, value),
                Aggregation::Avg(_) | Aggregation::Stats(_) => {
                    lower.add_to(element, 0, 1.into());
                    lower.add_to(element, 8, value);
                }
                Aggregation::Min(_) => lower.keep_extreme(element, value, signed, true),
                Aggregation::Max(_) => lower.keep_extreme(element, value, signed, false),
                Aggregation::Hist(_, bits) => lower.count_power(element, value, *bits),
                Aggregation::Lhist(..) => {
                    if let Some(bucket) = bucket {
                        lower.count_bucket(element, bucket);
                    }
                }
            }
            lower.set_present(element);
            Ok(())
        })
    }

    /// `min()` and `max()`: the value, and whether there is one.
    fn keep_extreme(&mut self, element: Element, value: Operand, signed: bool, least: bool) {
        let condition = match (least, signed) {
            (true, true) => Condition::SignedLt,
            (true, false) => Condition::Lt,
            (false, true) => Condition::SignedGt,
            (false, false) => Condition::Gt,
        };
        let place = element.place;
        if !element.own && self.shared.target.has(Feature::Atomics) {
            return self.exchange_extreme(place, value, condition);
        }
        let (store, test, after) = (self.f.block(), self.f.block(), self.f.block());
        let some = self.f.load(Size::Double, place.at(8).address);
        self.f.number(some);
        self.f.branch(Condition::Eq, some, 0, store, test);
        self.f.switch_to(test);
        let old = self.f.load(Size::Double, place.address);
        self.f.number(old);
        self.f.branch(condition, value, old, store, after);
        self.f.switch_to(store);
        self.f.store(Size::Double, place.address, value);
        self.f.store(Size::Double, place.at(8).address, 1);
        self.f.switch_to(after);
    }

    /// The same of a value that others change too: it is stored only if it is still the one that was compared.
    fn exchange_extreme(&mut self, place: Place, value: Operand, condition: Condition) {
        let tries = self.f.var();
        self.f.number(tries);
        self.f.assign(tries, 0);
        let (head, test, store) = (self.f.block(), self.f.block(), self.f.block());
        let (again, after) = (self.f.block(), self.f.block());
        self.f.switch_to(head);
        let some = self.f.load(Size::Double, place.at(8).address);
        let old = self.f.load(Size::Double, place.address);
        self.f.number(some);
        self.f.number(old);
        self.f.branch(Condition::Eq, some, 0, store, test);
        self.f.switch_to(test);
        self.f.branch(condition, value, old, store, after);
        self.f.switch_to(store);
        let found = self.f.compare_exchange(AtomicSize::Double, place.address, old, value);
        self.f.number(found);
        self.f.store(Size::Double, place.at(8).address, 1);
        self.f.branch(Condition::Eq, found, old, after, again);
        self.f.switch_to(again);
        self.f.binary_to(tries, Bits::B64, Binary::Add, tries, 1);
        self.f.branch(Condition::Lt, tries, MOST_TRIES, head, after);
        self.f.switch_to(after);
    }

    fn count_bucket(&mut self, element: Element, bucket: Var) {
        let offset = self.f.binary(Binary::Lsh, bucket, 3);
        let base = self.f.address(element.place.address);
        let place = Place::aligned(self.f.add(base, offset));
        self.add_to(Element { place, ..element }, 0, 1.into());
    }

    /// Counts a value of `hist()`: finds its power of two, four bits a round, then by bisection, and moves a pointer to the buckets
    /// along. The verifier follows the rounds; on each path the pointer has an offset that it knows, but for the bits that remain.
    fn count_power(&mut self, element: Element, value: Operand, bits: u32) {
        /// The bits that a round of the loop removes.
        const ROUND: u32 = 4;
        let bucket_bytes = |removed: u32| u64::from(removed) << (bits + 3);
        let (bucket, rest) = (self.f.var(), self.f.var());
        self.f.number(rest);
        let (positive, round, halves, after) =
            (self.f.block(), self.f.block(), self.f.block(), self.f.block());
        let first = self.f.address(element.place.address);
        self.f.assign(bucket, first);
        self.f.assign(rest, value);
        // The bucket of negative values is the first.
        self.f.branch(Condition::SignedLt, rest, 0, after, positive);
        self.f.switch_to(positive);
        self.f.binary_to(bucket, Bits::B64, Binary::Add, bucket, 8);
        let limit = 1_u64 << (ROUND + bits);
        self.f.branch(Condition::Ge, rest, limit, round, halves);
        self.f.switch_to(round);
        self.f.binary_to(rest, Bits::B64, Binary::Rsh, rest, ROUND);
        self.f.binary_to(bucket, Bits::B64, Binary::Add, bucket, bucket_bytes(ROUND));
        self.f.branch(Condition::Ge, rest, limit, round, halves);
        self.f.switch_to(halves);
        for step in [2, 1] {
            let (large, next) = (self.f.block(), self.f.block());
            if step == 1 && bits == 0 {
                // Of 0 to 3, 2 and 3 have one bucket.
                self.f.branch(Condition::Eq, rest, 3, large, next);
                self.f.switch_to(large);
                self.f.assign(rest, 2);
            } else {
                self.f.branch(Condition::Ge, rest, 1_u64 << (step + bits), large, next);
                self.f.switch_to(large);
                self.f.binary_to(rest, Bits::B64, Binary::Rsh, rest, step);
                self.f.binary_to(bucket, Bits::B64, Binary::Add, bucket, bucket_bytes(step));
            }
            self.f.switch_to(next);
        }
        let offset = self.f.binary(Binary::Lsh, rest, 3);
        self.f.binary_to(bucket, Bits::B64, Binary::Add, bucket, offset);
        self.f.switch_to(after);
        let place = Place::aligned(bucket);
        self.add_to(Element { place, ..element }, 0, 1.into());
    }

    /// The bucket of `lhist()`.
    fn lhist_bucket(&mut self, value: Operand, lhist: Lhist) -> Var {
        let buckets = lhist.buckets();
        let bucket = self.f.var();
        self.f.number(bucket);
        let (test, large, inside, after) =
            (self.f.block(), self.f.block(), self.f.block(), self.f.block());
        self.f.assign(bucket, 0);
        let value = self.as_var(value);
        self.f.branch(Condition::SignedLt, value, lhist.min, after, test);
        self.f.switch_to(test);
        self.f.branch(Condition::SignedGe, value, lhist.max, large, inside);
        self.f.switch_to(large);
        self.f.assign(bucket, buckets.saturating_sub(1));
        self.f.jump(after);
        self.f.switch_to(inside);
        let above = self.f.sub(value, lhist.min);
        let index = self.f.binary(Binary::Div, above, lhist.step.max(1));
        self.f.binary_to(bucket, Bits::B64, Binary::Add, index, 1);
        self.f.switch_to(after);
        self.within(bucket, buckets);
        bucket
    }

    /// Bounds a bucket below `buckets` for the verifier.
    fn within(&mut self, bucket: Var, buckets: u32) {
        let (outside, after) = (self.f.block(), self.f.block());
        self.f.branch(Condition::Lt, bucket, buckets, after, outside);
        self.f.switch_to(outside);
        self.f.assign(bucket, buckets.saturating_sub(1));
        self.f.switch_to(after);
    }

    /// The number that an aggregation stands for. The map that is read so is shared by all CPUs.
    pub(super) fn aggregated(&mut self, of: &'p Expr) -> Lowered<Operand> {
        let signed = of.ty.is_signed();
        match (&of.kind, &of.ty) {
            (
                ExprKind::Map { map, key },
                Type::Count | Type::Sum(_) | Type::Min(_) | Type::Max(_),
            ) => self.read_map(*map, key.as_deref(), &Type::U64),
            (ExprKind::Map { map, key }, Type::Avg(_)) => {
                let place = self.map_object(*map, key.as_deref())?;
                Ok(self.average(place, signed))
            }
            // Of an element that a loop over the map has copied.
            (_, Type::Count | Type::Sum(_) | Type::Min(_) | Type::Max(_)) => {
                let place = self.object(of)?;
                let value = self.f.load(Size::Double, place.address);
                Ok(value.into())
            }
            (_, Type::Avg(_)) => {
                let place = self.object(of)?;
                Ok(self.average(place, signed))
            }
            _ => self.never(),
        }
    }

    pub(super) fn average(&mut self, place: Place, signed: bool) -> Operand {
        let count = self.f.load(Size::Double, place.address);
        let total = self.f.load(Size::Double, place.at(8).address);
        self.f.number(count);
        self.f.number(total);
        // Of nothing it is 0, as a division by 0 is.
        let op = if signed { Binary::SignedDiv } else { Binary::Div };
        self.f.binary(op, total, count).into()
    }
}
