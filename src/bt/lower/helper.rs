//! Helper functions of the kernel, by number.

use super::Lower;
use super::memory::Prepared;
use crate::bt::plan::{Globals, RecordKind};
use crate::bt::types::{Space, Type};
use crate::codegen::{Binary, Operand, Var};
use crate::insn::{Condition, Size};
use crate::spec::MapSpec;

pub(super) use crate::bt::target::{FOR_EACH_MAP_ELEM, LOOP};

pub(super) const MAP_LOOKUP: i32 = 1;
pub(super) const MAP_UPDATE: i32 = 2;
pub(super) const MAP_DELETE: i32 = 3;
pub(super) const KTIME_NS: i32 = 5;
pub(super) const TRACE_PRINTK: i32 = 6;
pub(super) const RANDOM: i32 = 7;
pub(super) const CPU: i32 = 8;
pub(super) const PID_TGID: i32 = 14;
pub(super) const UID_GID: i32 = 15;
pub(super) const COMM: i32 = 16;
pub(super) const STACK_ID: i32 = 27;
pub(super) const CURRENT_TASK: i32 = 35;
pub(super) const NUMA_NODE: i32 = 42;
pub(super) const SOCKET_COOKIE: i32 = 46;
pub(super) const OVERRIDE_RETURN: i32 = 58;
pub(super) const STACK: i32 = 67;
pub(super) const CGROUP_ID: i32 = 80;
pub(super) const SEND_SIGNAL: i32 = 109;
pub(super) const PROBE_READ_USER: i32 = 112;
pub(super) const PROBE_READ_KERNEL: i32 = 113;
pub(super) const PROBE_READ_USER_STR: i32 = 114;
pub(super) const PROBE_READ_KERNEL_STR: i32 = 115;
pub(super) const SEND_SIGNAL_THREAD: i32 = 117;
pub(super) const JIFFIES64: i32 = 118;
pub(super) const NS_PID_TGID: i32 = 120;
pub(super) const KTIME_BOOT_NS: i32 = 125;
pub(super) const SEQ_WRITE: i32 = 127;
pub(super) const RING_RESERVE: i32 = 131;
pub(super) const RING_SUBMIT: i32 = 132;
pub(super) const D_PATH: i32 = 147;
pub(super) const CURRENT_TASK_BTF: i32 = 158;
pub(super) const ATTACH_COOKIE: i32 = 174;
pub(super) const KTIME_TAI_NS: i32 = 208;

/// `BPF_NOEXIST`
pub(super) const NO_EXIST: i32 = 1;

/// Returns the helper that reads memory.
pub(super) fn read(space: Space) -> i32 {
    match space {
        Space::Kernel => PROBE_READ_KERNEL,
        Space::User => PROBE_READ_USER,
    }
}

/// Returns the helper that reads a string.
pub(super) fn read_str(space: Space) -> i32 {
    match space {
        Space::Kernel => PROBE_READ_KERNEL_STR,
        Space::User => PROBE_READ_USER_STR,
    }
}

impl<'p> Lower<'_, 'p, '_> {
    pub(super) fn call(&mut self, number: i32, args: &[Operand]) -> Var {
        self.f.call_helper(number, args)
    }

    /// Calls a helper whose result is never a pointer.
    pub(super) fn call_number(&mut self, number: i32, args: &[Operand]) -> Var {
        let result = self.f.call_helper(number, args);
        self.f.number(result);
        result
    }

    /// Calls a helper that reads memory of others, and reports its failure if the script's user wants to know.
    pub(super) fn call_read(&mut self, number: i32, args: &[Operand]) -> Var {
        let result = self.call_number(number, args);
        if self.shared.program.config.report_failed_reads {
            let name = match number {
                PROBE_READ_USER => "probe_read_user",
                PROBE_READ_KERNEL => "probe_read_kernel",
                PROBE_READ_USER_STR => "probe_read_user_str",
                _ => "probe_read_kernel_str",
            };
            let after = self.f.block();
            let failed = self.cold(move |lower| {
                let result = Prepared::Scalar(result.into(), Size::Double);
                lower.send(RecordKind::Helper(name), &[(result, Type::I64)]);
                lower.f.jump(after);
            });
            self.f.branch(Condition::SignedLt, result, 0, failed, after);
            self.f.switch_to(after);
        }
        result
    }

    /// The address of one of the globals.
    pub(super) fn global(&mut self, offset: u32) -> Var {
        let globals: &'p MapSpec<'p> = self.shared.maps.globals();
        self.f.map_value(globals, offset)
    }

    /// Loads one of the globals.
    pub(super) fn load_global(&mut self, offset: u32) -> Var {
        let address = self.global(offset);
        let value = self.f.load(crate::insn::Size::Double, address);
        self.f.number(value);
        value
    }

    /// Counts one of the losses.
    pub(super) fn count_loss(&mut self, offset: u32) {
        let address = self.global(offset);
        let (size, add) = (crate::insn::AtomicSize::Double, crate::codegen::AtomicBinary::Add);
        self.f.atomic(size, add, address, 1);
    }

    /// Counts a record that was lost, for the CPU.
    pub(super) fn count_lost_record(&mut self) {
        let (offset, cpus) = self.shared.maps.layout.lost_records();
        if cpus == 1 {
            return self.count_loss(offset);
        }
        let cpu = self.call_number(CPU, &[]);
        // The verifier has no bound for it.
        let cpu = self.f.and(cpu, cpus - 1);
        let distance = self.f.binary(Binary::Lsh, cpu, Globals::LOST_RECORDS_SHIFT);
        let counters = self.global(offset);
        let address = self.f.add(counters, distance);
        let (size, add) = (crate::insn::AtomicSize::Double, crate::codegen::AtomicBinary::Add);
        self.f.atomic(size, add, address, 1);
    }

    /// The address of zeros, and how many there are.
    pub(super) fn zeros(&mut self) -> (Var, u32) {
        let (offset, count) = self.shared.maps.layout.zeros();
        (self.global(offset), count)
    }
}
