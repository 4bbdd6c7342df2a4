//! Functions of the language.

use super::memory::Prepared;
use super::{Lower, Lowered, helper};
use crate::bt::hir::{Call, Expr};
use crate::bt::probe::Kind;
use crate::bt::types::Type;
use crate::codegen::Operand;
use crate::insn::{Size, Swap, SwapBits};

/// `AF_INET`, `AF_INET6`.
const FAMILIES: [(u32, u32); 2] = [(4, 2), (16, 10)];

impl<'p> Lower<'_, 'p, '_> {
    /// A function of a scalar type, or without a value.
    pub(super) fn call_scalar(&mut self, call: &'p Call, of: &'p Expr) -> Lowered<Operand> {
        match call {
            Call::Bswap(value) => {
                let bits = match self.size(&of.ty) {
                    1 => return self.scalar(value),
                    2 => SwapBits::B16,
                    4 => SwapBits::B32,
                    _ => SwapBits::B64,
                };
                let value = self.number(value)?;
                // The order of the machine is one of the two; the other one swaps on every kernel.
                let swap = if cfg!(target_endian = "little") { Swap::Be } else { Swap::Le };
                let swapped = self.f.swap(swap, bits, value);
                Ok(self.extend(swapped.into(), &of.ty))
            }
            Call::HasKey { map, key } => self.has_key(*map, key),
            Call::Delete { map, key } => self.delete(*map, key.as_ref()),
            Call::Strncmp { left, right, length } => self.compare_start(left, right, *length),
            Call::Strlen(value) => self.string_length(value),
            Call::Debugf { format, arguments } => self.debugf(format, arguments),
            Call::Signal { number, thread } => {
                let number = self.number(number)?;
                let helper = if *thread { helper::SEND_SIGNAL_THREAD } else { helper::SEND_SIGNAL };
                Ok(self.call_number(helper, &[number]).into())
            }
            Call::Override(value) => {
                if self.probe.kind != Kind::Kprobe {
                    return self.unsupported(of.span, "override in other probes than kprobes");
                }
                let (context, value) = (self.context, self.number(value)?);
                Ok(self.call_number(helper::OVERRIDE_RETURN, &[context.into(), value]).into())
            }
            Call::SocketCookie(socket) => {
                // The helper takes only pointers whose type the verifier tracks.
                if !matches!(self.probe.kind, Kind::Fentry | Kind::Fexit)
                    || !super::read::is_from_context(socket)
                {
                    let what = "socket_cookie of other than an argument of fentry or fexit";
                    return self.unsupported(of.span, what);
                }
                let socket = self.scalar(socket)?;
                Ok(self.call_number(helper::SOCKET_COOKIE, &[socket]).into())
            }
            Call::Strcontains { text, part } => self.contains(text, part),
            Call::MapLen(map) => self.map_length(*map),
            Call::StackLen(stack) => self.stack_length(stack),
            Call::PerCpuAddress { .. } => self.unsupported(of.span, "percpu_kaddr"),
            _ => self.never(),
        }
    }

    /// A function of another type.
    pub(super) fn call_object(&mut self, call: &'p Call, of: &'p Expr) -> Lowered<Prepared> {
        let size = self.size(&of.ty);
        Ok(match call {
            Call::Str { address, space, length } => {
                let address = self.number(address)?;
                let limit = length.as_ref().map(|length| self.number(length)).transpose()?;
                Prepared::Str { address, space: *space, limit, size }
            }
            Call::Buf { address, space, length } => {
                let Type::Buffer(room) = of.ty else { return self.never() };
                let most = match &address.ty {
                    // Memory of the program, behind which other data may lie.
                    Type::String(size) => (*size).min(room),
                    _ => room,
                };
                let address = self.number(address)?;
                let length = self.number(length)?;
                Prepared::Buffer { address, space: *space, length, room, most }
            }
            Call::KernelSymbol(address) | Call::Describe(address) => {
                let address = self.number(address)?;
                Prepared::Words { words: vec![(0, Size::Double, address)], size }
            }
            Call::UserSymbol(address) => {
                let address = self.number(address)?;
                let process = self.global_process()?;
                let words = vec![
                    (0, Size::Double, address),
                    (8, Size::Word, process),
                    (12, Size::Word, 0.into()),
                ];
                Prepared::Words { words, size }
            }
            Call::Ntop { family, address } => self.ntop(family.as_ref(), address)?,
            Call::Mac(address) => {
                let value = self.prepare(address)?;
                let have = value.size();
                match (value, have) {
                    (value @ (Prepared::Read { .. } | Prepared::Copy(..)), 6) => value,
                    (value, _) => {
                        let place = self.in_memory(&value);
                        match have >= size {
                            true => Prepared::Copy(place, size),
                            false => Prepared::Parts {
                                parts: vec![(0, Prepared::Copy(place, have))],
                                size,
                            },
                        }
                    }
                }
            }
            Call::Strftime { format, clock, nanoseconds } => {
                let time = self.number(nanoseconds)?;
                let words = vec![
                    (0, Size::Double, time),
                    (8, Size::Word, (*format).into()),
                    (12, Size::Word, (*clock as u32).into()),
                ];
                Prepared::Words { words, size }
            }
            Call::CgroupPath { id, pattern } => {
                let id = self.number(id)?;
                let words = vec![
                    (0, Size::Double, id),
                    (8, Size::Word, (*pattern).into()),
                    (12, Size::Word, 0.into()),
                ];
                Prepared::Words { words, size }
            }
            Call::Path(path) => self.path(path, size)?,
            _ => return self.never(),
        })
    }

    /// `ntop()`: the family, and the address as it is on the wire.
    fn ntop(&mut self, family: Option<&'p Expr>, address: &'p Expr) -> Lowered<Prepared> {
        let scalar = address.ty.is_scalar();
        let bytes = if scalar { 4 } else { self.size(&address.ty).min(16) };
        let family = match family {
            Some(family) => self.number(family)?,
            None => {
                let known = FAMILIES.iter().find(|(size, _)| *size == bytes);
                known.map_or(2, |(_, family)| *family).into()
            }
        };
        let value = match scalar {
            true => {
                let value = self.number(address)?;
                Prepared::Scalar(value, Size::Word)
            }
            false => {
                let value = self.prepare(address)?;
                match value.size() <= 16 {
                    true => value,
                    false => Prepared::Copy(self.in_memory(&value), 16),
                }
            }
        };
        let family = Prepared::Scalar(family, Size::Word);
        let mut parts = vec![(0, family), (4, value)];
        if bytes < 16 {
            // Of IPv4 the rest is zero, also in a record.
            let words = Prepared::Words { words: Vec::new(), size: 16 - bytes };
            parts.push((4 + bytes, words));
        }
        Ok(Prepared::Parts { parts, size: 20 })
    }

    fn debugf(&mut self, format: &[u8], arguments: &'p [Expr]) -> Lowered<Operand> {
        let mut args = vec![0.into(), (format.len() as u64).into()];
        for argument in arguments {
            args.push(match argument.ty.is_scalar() {
                true => self.number(argument)?,
                false => {
                    // The kernel reads up to a zero, which a string that is full does not have.
                    let value = self.prepare(argument)?;
                    let size = value.size();
                    let place = self.room(size + 1);
                    self.put(&value, place, true);
                    self.f.store(Size::Byte, place.at(size).address, 0);
                    self.pointer(place)
                }
            });
        }
        let text = self.unit.rodata(format, 8);
        if let Some(first) = args.first_mut() {
            *first = self.f.rodata(text).into();
        }
        Ok(self.call_number(helper::TRACE_PRINTK, &args).into())
    }

    /// Lowers `strlen()`: by the helper that reads strings, which returns their length.
    fn string_length(&mut self, of: &'p Expr) -> Lowered<Operand> {
        let size = self.size(&of.ty);
        let place = self.object(of)?;
        // A string that was cut has no zero: with the one that is read with it, it has all its bytes.
        let (copy, from) = (self.room(size + 1), self.pointer(place));
        let to = self.pointer(copy);
        let args = [to, (size + 1).into(), from];
        let got = self.call_number(helper::PROBE_READ_KERNEL_STR, &args);
        Ok(self.f.sub(got, 1).into())
    }
}
