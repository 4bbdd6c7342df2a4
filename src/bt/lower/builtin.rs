//! Values that the kernel gives.

use super::memory::Prepared;
use super::{Lower, Lowered, Point, helper};
use crate::bt::hir::{Builtin, Expr, ExprKind};
use crate::bt::plan::{Feature, Globals};
use crate::bt::probe::Kind;
use crate::bt::types::{Clock, Space, Type};
use crate::codegen::{Binary, KernelValue, Operand};
use crate::insn::{Condition, Size};
use crate::kernel::registers;

/// `BPF_F_USER_STACK`
const USER_STACK: u32 = 1 << 8;

impl<'p> Lower<'_, 'p, '_> {
    /// A builtin of a scalar type.
    pub(super) fn builtin(&mut self, builtin: Builtin) -> Lowered<Operand> {
        Ok(match builtin {
            Builtin::Pid { init } => self.process_id(init, true)?,
            Builtin::Tid { init } => self.process_id(init, false)?,
            Builtin::Uid | Builtin::Username => {
                let both = self.call_once(helper::UID_GID);
                self.f.zero_extend(both, Size::Word).into()
            }
            Builtin::Gid => {
                let both = self.call_once(helper::UID_GID);
                self.f.binary(Binary::Rsh, both, 32).into()
            }
            Builtin::Nsecs(clock) => self.clock(clock)?,
            Builtin::Elapsed => {
                let now = self.call_number(helper::KTIME_BOOT_NS, &[]);
                let start = self.load_global(Globals::START);
                self.f.sub(now, start).into()
            }
            Builtin::Cpu => self.call_once(helper::CPU).into(),
            Builtin::Ncpus => self.shared.target.cpus.into(),
            Builtin::NumaNode => self.call_number(helper::NUMA_NODE, &[]).into(),
            Builtin::Cgroup => self.call_number(helper::CGROUP_ID, &[]).into(),
            Builtin::Curtask => self.call_once(helper::CURRENT_TASK).into(),
            Builtin::Rand => {
                let random = self.call_number(helper::RANDOM, &[]);
                self.f.zero_extend(random, Size::Word).into()
            }
            Builtin::Ppid => self.parent(),
            Builtin::Cpid => self.load_global(Globals::COMMAND).into(),
            Builtin::Jiffies => {
                if !self.shared.target.has(Feature::Jiffies) {
                    return self.missing("jiffies", "Linux 5.19");
                }
                self.call_number(helper::JIFFIES64, &[]).into()
            }
            Builtin::Usermode => self.user_mode()?,
            Builtin::Arg(number) => self.argument(number)?,
            Builtin::StackArg(number) => self.stack_argument(number)?,
            Builtin::Retval => self.register("ret")?,
            Builtin::Register { offset } => self.saved_register(offset)?,
            Builtin::Comm | Builtin::Stack | Builtin::Name => return self.never(),
        })
    }

    /// A builtin of another type.
    pub(super) fn builtin_object(&mut self, builtin: Builtin, ty: &Type) -> Lowered<Prepared> {
        Ok(match builtin {
            Builtin::Comm => Prepared::Comm,
            Builtin::Username => {
                let user = self.builtin(Builtin::Uid)?;
                Prepared::Words { words: vec![(0, Size::Word, user)], size: 4 }
            }
            Builtin::Name => {
                let point = match self.point {
                    Point::Known(point) => point.into(),
                    Point::Cookie => {
                        let context = self.context;
                        self.call_number(helper::ATTACH_COOKIE, &[context.into()]).into()
                    }
                };
                Prepared::Words { words: vec![(0, Size::Double, point)], size: 8 }
            }
            Builtin::Stack => {
                let Type::Stack(stack) = ty else { return self.never() };
                let maps = self.shared.maps;
                let Some(map) = maps.stack(stack.space, stack.depth) else { return self.never() };
                let flags = if stack.space == Space::User { USER_STACK } else { 0 };
                let (context, spec) = (self.context, self.f.map(&map.spec));
                let args = [context.into(), spec.into(), flags.into()];
                let id = self.call_number(helper::STACK_ID, &args);
                let mut words = vec![(0, Size::Double, id.into())];
                if stack.space == Space::Kernel {
                    return Ok(Prepared::Words { words, size: 8 });
                }
                // User addresses are meaningful only together with the process, whose mappings resolve them.
                let process = self.global_process()?;
                words.push((8, Size::Word, process));
                words.push((12, Size::Word, 0.into()));
                Prepared::Words { words, size: 16 }
            }
            _ => return self.never(),
        })
    }

    /// `len(kstack)`: the number of frames of a stack that is taken here.
    pub(super) fn stack_length(&mut self, of: &'p Expr) -> Lowered<Operand> {
        let (ExprKind::Builtin(Builtin::Stack), Type::Stack(stack)) = (&of.kind, &of.ty) else {
            return self.unsupported(of.span, "len of a stack that was taken before");
        };
        let size = stack.depth.saturating_mul(8).max(8);
        let room = self.room(size);
        // Linux 5.10 requires initialized memory here, in raw tracepoints.
        self.zero(room, size);
        let flags = if stack.space == Space::User { USER_STACK } else { 0 };
        let (context, to) = (self.context, self.pointer(room));
        let args = [context.into(), to, size.into(), flags.into()];
        let got = self.call_number(helper::STACK, &args);
        // A negative result is an error: no frames.
        let (none, after) = (self.f.block(), self.f.block());
        let bytes = self.f.var();
        self.f.number(bytes);
        self.f.assign(bytes, got);
        self.f.branch(Condition::SignedLt, bytes, 0, none, after);
        self.f.switch_to(none);
        self.f.assign(bytes, 0);
        self.f.switch_to(after);
        Ok(self.f.binary(Binary::Rsh, bytes, 3).into())
    }

    /// The id of the process by which user space finds it.
    pub(super) fn global_process(&mut self) -> Lowered<Operand> {
        self.process_id(false, true)
    }

    /// The id of the process or of the thread.
    fn process_id(&mut self, init: bool, process: bool) -> Lowered<Operand> {
        if let (false, Some((device, inode))) = (init, self.shared.target.pid_namespace) {
            // struct bpf_pidns_info { u32 pid; u32 tgid; }; zeros if the process is not of that namespace.
            let ids = self.room(8);
            self.f.store(Size::Double, ids.address, 0);
            let address = self.pointer(ids);
            let args = [device.into(), inode.into(), address, 8.into()];
            self.call_number(helper::NS_PID_TGID, &args);
            let offset = if process { 4 } else { 0 };
            return Ok(self.f.load(Size::Word, ids.at(offset).address).into());
        }
        let both = self.call_once(helper::PID_TGID);
        Ok(match process {
            true => self.f.binary(Binary::Rsh, both, 32).into(),
            false => self.f.zero_extend(both, Size::Word).into(),
        })
    }

    fn clock(&mut self, clock: Clock) -> Lowered<Operand> {
        Ok(match clock {
            Clock::Boot => self.call_number(helper::KTIME_BOOT_NS, &[]).into(),
            Clock::Monotonic => self.call_number(helper::KTIME_NS, &[]).into(),
            Clock::Tai => {
                if !self.shared.target.has(Feature::TaiClock) {
                    return self.missing("nsecs(tai)", "Linux 6.1; nsecs(sw_tai) is on all");
                }
                self.call_number(helper::KTIME_TAI_NS, &[]).into()
            }
            Clock::SoftwareTai => {
                let now = self.call_number(helper::KTIME_BOOT_NS, &[]);
                let offset = self.load_global(Globals::TAI_OFFSET);
                self.f.add(now, offset).into()
            }
        })
    }

    pub(super) fn missing<T>(&self, what: &str, needs: &str) -> Lowered<T> {
        self.unsupported(self.span, format!("{what} on this kernel")).map_err(
            |error: crate::bt::diagnostic::Diagnostic| error.hint(format!("needs {needs}")),
        )
    }

    /// `curtask->real_parent->tgid`
    fn parent(&mut self) -> Operand {
        let task = self.call_once(helper::CURRENT_TASK);
        let offset = self.f.kernel_value("task_struct.real_parent", KernelValue::Value);
        let from = self.f.add(task, offset);
        let to = self.room(8);
        let read = |address, size| Prepared::Read { address, space: Space::Kernel, size };
        self.put(&read(from.into(), 8), to, false);
        let parent = self.f.load(Size::Double, to.address);
        self.f.number(parent);
        let offset = self.f.kernel_value("task_struct.tgid", KernelValue::Value);
        let from = self.f.add(parent, offset);
        self.put(&read(from.into(), 4), to, false);
        self.f.load(Size::Word, to.address).into()
    }

    /// Whether user space was interrupted.
    fn user_mode(&mut self) -> Lowered<Operand> {
        // x86: the privilege level in cs. arm64: the mode in pstate, 0 of user space. s390x: the problem state in the mask.
        let (offset, mask, user) = if cfg!(target_arch = "x86_64") {
            (136, 3_u64, 3_u64)
        } else if cfg!(target_arch = "aarch64") {
            (264, 0xf, 0)
        } else if cfg!(target_arch = "s390x") {
            (8, 1 << 48, 1 << 48)
        } else {
            return self.unsupported(self.span, "usermode on this machine");
        };
        let register = self.saved_register(offset)?;
        let mode = self.f.and(register, mask);
        Ok(self.f.compare(Condition::Eq, mode, user).into())
    }

    fn argument(&mut self, number: u32) -> Lowered<Operand> {
        match self.probe.kind {
            Kind::RawTracepoint | Kind::Fentry | Kind::Fexit => {
                let place = self.context.at(i32::try_from(number * 8).unwrap_or(i32::MAX));
                Ok(self.f.load(Size::Double, place).into())
            }
            Kind::Usdt => self.static_argument(number),
            _ => self.register(&format!("parm{}", number.saturating_add(1))),
        }
    }

    /// An argument on the stack, of a function that has just been entered.
    fn stack_argument(&mut self, number: u32) -> Lowered<Operand> {
        // What a call leaves on the stack: the return address; s390x has a save area there.
        let before = if cfg!(target_arch = "x86_64") {
            8
        } else if cfg!(target_arch = "s390x") {
            160
        } else {
            0
        };
        let stack = self.register("sp")?;
        let address = self.f.add(stack, before + u64::from(number) * 8);
        let space = if self.probe.kind.is_user() { Space::User } else { Space::Kernel };
        let to = self.room(8);
        self.put(&Prepared::Read { address: address.into(), space, size: 8 }, to, false);
        let value = self.f.load(Size::Double, to.address);
        self.f.number(value);
        Ok(value.into())
    }

    fn register(&mut self, name: &str) -> Lowered<Operand> {
        match registers::offset(name) {
            Some(offset) => self.saved_register(offset),
            None => self.unsupported(self.span, "registers of this machine"),
        }
    }

    /// A register by its place in `struct pt_regs`, with which the contexts of kprobes, uprobes and samples begin.
    fn saved_register(&mut self, offset: u16) -> Lowered<Operand> {
        match self.probe.kind {
            Kind::Kprobe
            | Kind::Kretprobe
            | Kind::Uprobe
            | Kind::Uretprobe
            | Kind::Usdt
            | Kind::Profile
            | Kind::Software
            | Kind::Hardware
            | Kind::Interval => {
                let value = self.f.load(Size::Double, self.context.at(offset.into()));
                self.f.number(value);
                Ok(value.into())
            }
            kind => self.unsupported(self.span, format!("registers in {} probes", kind.word())),
        }
    }
}
