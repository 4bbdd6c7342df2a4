//! Advice about the program as a whole: privileges to load it, its shape and its size.

use super::Row;

pub(super) static TABLE: &[Row] = &[
    (
        "kernel-bug",
        "verifier bug\n\
         verifier internal error\n\
         verifier BUG\n\
         internal bug\n\
         PTR_POISON\n\
         INVARIANTS VIOLATION\n\
         return type * of func\n\
         misconfigured",
        "This is a fault of the kernel's verifier and not of the program: report it to bpf@vger.kernel.org with the log, and \
         try a newer kernel.",
    ),
    // ---- rights ----
    (
        "capability",
        "prohibited for !root\n\
         CAP_PERFMON\n\
         CAP_BPF and CAP_SYS_ADMIN\n\
         CAP_SYS_BOOT\n\
         mixed signed bounds\n\
         unsupported alu operation\n\
         from different maps, paths or scalars\n\
         beyond pointer bounds\n\
         for speculative verification\n\
         leaking pointer from stack",
        "Load the program as root, or with CAP_BPF and CAP_PERFMON (kernel functions that restart the machine: CAP_SYS_BOOT): \
         without them the verifier allows less.",
    ),
    // ---- the shape of the program ----
    (
        "jump-table",
        "indirect jump\n\
         jump table\n\
         expected PTR_TO_INSN\n\
         point to any offset in map\n\
         the sum of R\n\
         from insn_array\n\
         initialize insn array",
        "`gotox` jumps to an address that was loaded, eight bytes, from a map of type insn_array at an index that is known to be \
         within the map.",
    ),
    (
        "jump",
        "jump out of range\n\
         jump into the middle of ldimm64\n\
         jump to reserved code",
        "Jump to an instruction of the same function; `lddw` takes two slots, and a distance counts slots.",
    ),
    (
        "call-target",
        "call to invalid destination\n\
         invalid insn idx\n\
         cannot call exception cb directly",
        "Call the first instruction of a function of this program: `call pc+N` counts slots from the next one, and a label \
         does not count at all.",
    ),
    (
        "unreachable",
        "unreachable insn",
        "Nothing leads to this instruction: remove it, or jump to it.",
    ),
    (
        "fall-through",
        "last insn is not an exit or jmp\n\
         no program ends\n\
         subprog * has tail\n\
         fell through",
        "End the program and each of its functions with `exit` or `goto`.",
    ),
    (
        "frame-pointer",
        "frame pointer is read only",
        "r10 cannot be written: copy it (`r2 = r10; r2 += -8`) and change the copy.",
    ),
    (
        "stack-arguments",
        "stack arg\n\
         r11 load must\n\
         stack args",
        "Arguments after the fifth are passed on the stack by r11 (Linux 7.x, clang 23): all of them are written before the call, \
         read at the function's beginning, and no program with them makes tail calls or runs without the JIT.",
    ),
    (
        "reserved",
        "uses reserved fields\n\
         reserved fields\n\
         reserved field (\n\
         unknown opcode\n\
         invalid BPF_ALU opcode\n\
         invalid BPF_JMP/JMP32 opcode\n\
         invalid BPF_LD mode\n\
         invalid BPF_LD_IMM insn\n\
         unrecognized bpf_ld_imm64\n\
         unknown insn class\n\
         invalid bpf_ld_imm64 insn\n\
         BPF_ATOMIC uses invalid atomic opcode\n\
         invalid atomic operand size\n\
         Unknown conditional jump\n\
         invalid may_goto\n\
         R11 is invalid\n\
         R12 is invalid\n\
         R13 is invalid\n\
         R14 is invalid\n\
         R15 is invalid",
        "This kernel does not know this encoding: it is newer than the kernel, or a field that must be zero is not.",
    ),
    (
        "division",
        "div by zero",
        "Divide by another number than 0 (a register may hold 0: the result is then 0).",
    ),
    (
        "shift",
        "invalid shift",
        "Shift by less than the operand has bits: 63, or 31 for `w` registers.",
    ),
    // ---- loops and size ----
    (
        "loop",
        "infinite loop detected\n\
         back-edge from insn\n\
         loop detected",
        "The verifier cannot see this loop end: count in a register towards a constant, or use bpf_loop (Linux 5.17) \
         or may_goto (6.9).",
    ),
    (
        "stack-depth",
        "combined stack size\n\
         Too large\n\
         stack size\n\
         stack depth * exceeds\n\
         allocated_stack too small\n\
         looks like the BPF call stack is corrupted",
        "All functions that call each other share 512 bytes of stack: use less, or keep data in a per-CPU array.",
    ),
    (
        "recursion",
        "recursive call\n\
         recursion\n\
         the call stack of\n\
         call stack * too deep\n\
         call frames is too deep",
        "Functions cannot call themselves, and at most eight can be within each other.",
    ),
    (
        "complex",
        "BPF program is too large\n\
         jumps is too complex\n\
         program is too complex\n\
         too many states\n\
         too many iterations\n\
         exceeded complexity limit\n\
         bpf_loop iteration limit\n\
         too complex",
        "The verifier gave up on the number of ways through the program: branch less, shorten loops, or move their \
         bodies into bpf_loop (Linux 5.17) or global functions (5.6).",
    ),
    (
        "size",
        "too many subprograms\n\
         cannot be patched due to 16-bit range\n\
         too many different\n\
         is out of range",
        "This is more than the kernel can count: functions of one program (256), kernel functions that it calls (256), modules (256), \
         or instructions between a jump and its target after the kernel's own are added (32,767).",
    ),
];
