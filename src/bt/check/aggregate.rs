//! Checks aggregating functions, which are assigned to maps and are not values.

use super::join::{Given, constant, convert};
use super::{Checked, Checker, Stop};
use crate::bt::ast::{self, ExprKind as Written};
use crate::bt::functions::{self, Id, Usage};
use crate::bt::hir::{Aggregation, Expr, MapId, StatementKind};
use crate::bt::source::Span;
use crate::bt::types::{Lhist, Sign, Type, hist};

/// The most buckets of `lhist()`.
const MAX_BUCKETS: u32 = 1002;

impl<'a> Checker<'a> {
    /// `@m[key] = count()`; `None` if the value is no aggregation.
    pub(super) fn aggregation(
        &mut self,
        map: MapId,
        key: &Checked<Option<Expr>>,
        value: &'a ast::Expr,
        span: Span,
    ) -> Option<Checked<StatementKind>> {
        let (name, arguments): (_, &'a [ast::Expr]) = match &value.kind {
            Written::Call { name, arguments } => (&name.node, arguments),
            // `count` without parentheses, as all functions without arguments.
            Written::Ident(name) => (name, &[]),
            _ => return None,
        };
        let row = functions::find(name).filter(|row| row.usage == Usage::MapValue)?;
        if self.macro_named(name).is_some() {
            return None;
        }
        let made = self
            .count_arguments(row, arguments, value.span)
            .and_then(|()| self.aggregate(row.id, arguments));
        let Ok((function, ty)) = made else {
            self.map(map).failed = true;
            return Some(Err(Stop));
        };
        let known = self.map_value(map, Given::new(&ty), span);
        Some(known.and_then(|_| {
            let key = key.clone()?;
            Ok(StatementKind::Aggregate { map, key, function })
        }))
    }

    fn aggregate(&mut self, id: Id, arguments: &'a [ast::Expr]) -> Checked<(Aggregation, Type)> {
        let Some(first) = arguments.first() else { return Ok((Aggregation::Count, Type::Count)) };
        let number = self.integer(first, "aggregation")?;
        let signed = number.ty.is_signed();
        let sign = if signed { Sign::Signed } else { Sign::Unsigned };
        let number = convert(number, if signed { &Type::I64 } else { &Type::U64 });
        Ok(match id {
            Id::Sum => (Aggregation::Sum(number), Type::Sum(sign)),
            Id::Avg => (Aggregation::Avg(number), Type::Avg(sign)),
            Id::Min => (Aggregation::Min(number), Type::Min(sign)),
            Id::Max => (Aggregation::Max(number), Type::Max(sign)),
            Id::Stats => (Aggregation::Stats(number), Type::Stats(sign)),
            Id::Hist => {
                let bits = match arguments.get(1) {
                    None => 0,
                    Some(bits) => {
                        self.constant(bits, "hist: bits", 0, hist::MAX_BITS.into())? as u32
                    }
                };
                (Aggregation::Hist(number, bits), Type::Hist(bits))
            }
            _ => {
                let [_, min, max, step] = arguments else { return Err(Stop) };
                let most = i64::MAX.into();
                let (min_value, max_value) = (
                    self.constant(min, "lhist: min", i64::MIN.into(), most)?,
                    self.constant(max, "lhist: max", i64::MIN.into(), most)?,
                );
                let step_value = self.constant(step, "lhist: step", 1, most)?;
                if max_value <= min_value {
                    return self.error(
                        max.span,
                        format!("lhist: max {max_value}, expected more than min, {min_value}"),
                    );
                }
                if step_value > max_value - min_value {
                    let range = max_value - min_value;
                    let message =
                        format!("lhist: step {step_value}, expected at most {range}, max - min");
                    return self.error(step.span, message);
                }
                let lhist =
                    Lhist { min: min_value as i64, max: max_value as i64, step: step_value as i64 };
                if lhist.buckets() > MAX_BUCKETS {
                    let message = format!(
                        "lhist: {} buckets, expected at most {}",
                        lhist.buckets() - 2,
                        MAX_BUCKETS - 2
                    );
                    return self.error(step.span, message);
                }
                (Aggregation::Lhist(number, lhist), Type::Lhist(lhist))
            }
        })
    }

    /// A constant within a range.
    pub(super) fn constant(
        &mut self,
        of: &'a ast::Expr,
        what: &str,
        least: i128,
        most: i128,
    ) -> Checked<i128> {
        let checked = self.value(of)?;
        match constant(&checked).filter(|value| (least..=most).contains(value)) {
            Some(value) => Ok(value),
            None if least == i64::MIN.into() => {
                self.error(of.span, format!("{what}: expected a constant"))
            }
            None if most == i64::MAX.into() => {
                self.error(of.span, format!("{what}: expected a constant from {least} on"))
            }
            None => {
                self.error(of.span, format!("{what}: expected a constant from {least} to {most}"))
            }
        }
    }
}
