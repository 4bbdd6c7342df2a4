//! Records of the ring buffer.

use super::memory::{Place, Prepared};
use super::{Lower, Lowered, helper};
use crate::bt::hir::{Async, Expr};
use crate::bt::plan::{Globals, JOINED, Record, RecordField, RecordKind};
use crate::bt::probe::AttachPoint;
use crate::bt::types::{Space, Type, tuple_layout};
use crate::bt::visit;
use crate::codegen::{Binary, Operand};
use crate::insn::{Bits, Condition, Size};

impl<'p> Lower<'_, 'p, '_> {
    /// Sends a record that asks user space for an action.
    pub(super) fn act(&mut self, action: &'p Async) -> Lowered<()> {
        match action {
            Async::Join { array, separator: _ } => return self.join(action, array),
            Async::PrintMap { map, .. } | Async::Clear(map) | Async::Zero(map) => {
                self.user_map(*map)?;
            }
            _ => {}
        }
        let mut values = Vec::new();
        for argument in visit::arguments(action) {
            values.push((self.prepare(argument)?, argument.ty.clone()));
        }
        let status = match (action, values.first()) {
            (Async::Exit(_), Some((Prepared::Scalar(status, _), _))) => Some(*status),
            _ => None,
        };
        if let (Async::Exit(_), false) = (action, self.is_end()) {
            let place = self.global(Globals::EXITED);
            self.f.store(Size::Double, place, 1);
        }
        self.send_or(RecordKind::Async(action), &values, move |lower| {
            let Some(status) = status else { return };
            // The run is to end all the same.
            let place = lower.global(Globals::LOST_EXIT);
            lower.f.store(Size::Word, place, status);
            let place = lower.global(Globals::LOST_EXIT + 4);
            lower.f.store(Size::Word, place, 1);
        });
        if let Async::Exit(_) = action {
            self.f.jump(self.exit);
        }
        Ok(())
    }

    /// Whether the program is that of `END`, which runs when all others have ended.
    fn is_end(&self) -> bool {
        matches!(self.probe.attach_points.as_slice(), [AttachPoint::End, ..])
    }

    /// Sends a record with these fields.
    pub(super) fn send(&mut self, kind: RecordKind<'p>, values: &[(Prepared, Type)]) {
        self.send_or(kind, values, |_| {});
    }

    /// Sends a record as above; also emits the given code if there is no room for it.
    fn send_or(
        &mut self,
        kind: RecordKind<'p>,
        values: &[(Prepared, Type)],
        lost: impl FnOnce(&mut Self) + 'p,
    ) {
        let types: Vec<_> = values.iter().map(|(_, ty)| ty.clone()).collect();
        let (index, offsets, size) = self.record(kind, types);
        let fill = |lower: &mut Self, record: Place| {
            for ((value, _), offset) in values.iter().zip(offsets) {
                lower.put(value, record.at(offset), false);
            }
        };
        self.reserve(index, size, fill, lost);
    }

    /// A layout in the table: its index, where its fields are, and its size.
    fn record(&mut self, kind: RecordKind<'p>, types: Vec<Type>) -> (u32, Vec<u32>, u32) {
        let header = [Type::U64].into_iter().chain(types.iter().cloned()).collect::<Vec<_>>();
        let layout = tuple_layout(&header, self.structs());
        let offsets: Vec<_> = layout.offsets.into_iter().skip(1).collect();
        let fields = types.into_iter().zip(&offsets);
        let fields = fields.map(|(ty, offset)| RecordField { offset: *offset, ty }).collect();
        let record = Record { kind, size: layout.size, fields, span: self.span };
        // The same statement may be compiled more than once, as in a loop that is unrolled.
        let same = |known: &Record<'p>| {
            known.span == record.span
                && known.size == record.size
                && known.fields == record.fields
                && same_kind(&known.kind, &record.kind)
        };
        let records = &mut self.shared.records;
        let index = records.iter().rposition(same).unwrap_or_else(|| {
            records.push(record);
            records.len() - 1
        });
        (index as u32, offsets, layout.size)
    }

    /// Reserves a record, fills it in and submits it; without room the loss is counted. Until it is submitted, the
    /// program must not exit: the verifier rejects that.
    fn reserve(
        &mut self,
        index: u32,
        size: u32,
        fill: impl FnOnce(&mut Self, Place),
        without: impl FnOnce(&mut Self) + 'p,
    ) {
        let ring = self.f.map(&self.shared.maps.ring);
        let record = self.call(helper::RING_RESERVE, &[ring.into(), size.into(), 0.into()]);
        let (some, after) = (self.f.block(), self.f.block());
        let lost = self.cold(move |lower| {
            if lower.shared.exits && !lower.is_end() {
                let exited = lower.load_global(Globals::EXITED);
                let (counts, counted) = (lower.f.block(), lower.f.block());
                lower.f.branch(Condition::Eq, exited, 0, counts, counted);
                lower.f.switch_to(counts);
                lower.count_lost_record();
                lower.f.switch_to(counted);
            } else {
                lower.count_lost_record();
            }
            without(lower);
            lower.f.jump(after);
        });
        self.f.branch(Condition::Ne, record, 0, some, lost);
        self.f.switch_to(some);
        let place = Place::aligned(record);
        self.f.store(Size::Double, place.address, index);
        fill(self, place);
        self.call_number(helper::RING_SUBMIT, &[record.into(), 0.into()]);
        self.f.switch_to(after);
    }

    /// `join()`: the strings to which an array of pointers points.
    fn join(&mut self, action: &'p Async, array: &'p Expr) -> Lowered<()> {
        let space = match &array.ty {
            Type::Pointer(pointer) => pointer.space,
            _ => Space::Kernel,
        };
        let address = self.number(array)?;
        let string = Type::String(self.shared.program.config.max_strlen);
        let step = self.size(&string);
        let mut types = vec![Type::U64];
        types.extend(std::iter::repeat_n(string, JOINED as usize));
        let (index, offsets, size) = self.record(RecordKind::Async(action), types);
        let pointer = self.room(8);
        let fill = |lower: &mut Self, record: Place| {
            let count = lower.f.var();
            lower.f.number(count);
            lower.f.assign(count, 0);
            let end = lower.f.block();
            for (number, offset) in offsets.iter().skip(1).enumerate() {
                let from: Operand = lower.f.add(address, number as u64 * 8).into();
                let read = Prepared::Read { address: from, space, size: 8 };
                lower.put(&read, pointer, false);
                let text = lower.f.load(Size::Double, pointer.address);
                lower.f.number(text);
                let next = lower.f.block();
                lower.f.branch(Condition::Eq, text, 0, end, next);
                lower.f.switch_to(next);
                let text = Prepared::Str { address: text.into(), space, limit: None, size: step };
                lower.put(&text, record.at(*offset), false);
                lower.f.binary_to(count, Bits::B64, Binary::Add, count, 1);
            }
            lower.f.switch_to(end);
            lower.f.store(Size::Double, record.at(8).address, count);
        };
        self.reserve(index, size, fill, |_| {});
        Ok(())
    }
}

fn same_kind(one: &RecordKind<'_>, other: &RecordKind<'_>) -> bool {
    match (one, other) {
        (RecordKind::Async(one), RecordKind::Async(other)) => std::ptr::eq(*one, *other),
        (RecordKind::DivisionByZero, RecordKind::DivisionByZero) => true,
        (RecordKind::Helper(one), RecordKind::Helper(other)) => one == other,
        _ => false,
    }
}
