//! What to do about the common causes: a table.

/// What to do about a rejection, for one kind of cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Advice {
    /// The kind of cause, one word or a few with hyphens: `null-check`. It stays the same whatever the kernel's words.
    pub key: &'static str,
    /// What to do, one sentence or two.
    pub text: &'static str,
}

/// The advice for a cause in the verifier's words, if it is one of the common ones.
pub(super) fn advice(cause: &str) -> Option<Advice> {
    let row = TABLE.iter().find(|(_, patterns, _)| patterns.lines().any(|p| matches(p, cause)));
    row.map(|&(key, _, text)| Advice { key, text })
}

/// Whether the pieces between the stars of a pattern stand in a text, one after the other.
fn matches(pattern: &str, text: &str) -> bool {
    let mut rest = Some(text);
    for piece in pattern.split('*') {
        rest = rest.and_then(|rest| rest.split_once(piece)).map(|(_, after)| after);
    }
    rest.is_some()
}

/// The kind of cause, the words that tell it (of every kernel; a star stands for anything), one a line, and what to do. The
/// first row that fits counts: what is special stands before what is general. (An array of the words would take three times
/// the room of the words, for their addresses and for what the dynamic linker does to them.)
type Row = (&'static str, &'static str, &'static str);

static TABLE: &[Row] = &[
    // ---- the shape of the program ----
    (
        "jump",
        "jump out of range\n\
         jump into the middle of ldimm64\n\
         jump to reserved code",
        "Jump to an instruction of the same function; `lddw` takes two slots, and a distance counts slots.",
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
        "reserved",
        "uses reserved fields\n\
         reserved fields\n\
         unknown opcode\n\
         invalid BPF_ALU opcode\n\
         invalid BPF_LD mode\n\
         invalid BPF_LD_IMM insn\n\
         unrecognized bpf_ld_imm64\n\
         unknown insn class\n\
         invalid bpf_ld_imm64 insn\n\
         BPF_ATOMIC uses invalid atomic opcode\n\
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
         stack depth * exceeds\n\
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
         too complex",
        "The verifier gave up on the number of ways through the program: branch less, shorten loops, or move their \
         bodies into bpf_loop (Linux 5.17) or global functions (5.6).",
    ),
    // ---- helpers and kfuncs ----
    (
        "helper-unknown",
        "invalid func unknown#\n\
         unknown func unknown#",
        "This kernel has no helper of that number; it may be one of a newer kernel.",
    ),
    (
        "helper-type",
        "program of this type cannot use helper\n\
         unknown func bpf_\n\
         helper call is not allowed\n\
         not allowed in this program\n\
         is not allowed in probe",
        "Programs of this type do not have this helper: use another one, or another program type (`man 7 \
         bpf-helpers`); some helpers also need a newer kernel or CAP_PERFMON.",
    ),
    (
        "gpl",
        "cannot call GPL\n\
         GPL-only\n\
         GPL only\n\
         non-GPL compatible",
        "This helper is for programs under a license compatible with the GPL: declare one (`.license \"GPL\"`), or do \
         without it.",
    ),
    (
        "sleepable",
        "might sleep\n\
         is sleepable within\n\
         must be sleepable\n\
         non-sleepable\n\
         Sleepable programs can only\n\
         sleepable programs can only\n\
         can be sleepable\n\
         sleepable kfunc\n\
         sleepable helper",
        "What can sleep needs a program that was loaded as sleepable, of a type and for a function that allow it, \
         outside of locks and RCU sections.",
    ),
    (
        "jit",
        "JIT is required\n\
         non-JITed programs\n\
         only JITed progs",
        "The JIT of this kernel is off, or it has none (CONFIG_BPF_JIT): `sysctl net.core.bpf_jit_enable=1` switches it on.",
    ),
    (
        "kernel-types",
        "without CONFIG_DEBUG_INFO_BTF",
        "The verifier needs the kernel's own types for this, and this kernel was built without them \
         (CONFIG_DEBUG_INFO_BTF).",
    ),
    (
        "kfunc",
        "calling kernel function * is not allowed\n\
         calling kernel function\n\
         calling invalid kernel function\n\
         is not a kernel function\n\
         kernel btf_id\n\
         kernel function btf_id\n\
         cannot find address for kernel function\n\
         kernel function is not supported\n\
         JIT does not support calling k\n\
         kfunc * is not allowed\n\
         kfunc",
        "Kernel functions are called by their BTF id on this very kernel, and only those registered for this program \
         type: take the id from its BTF.",
    ),
    // ---- resources ----
    (
        "null-check",
        "invalid mem access '*_or_null\n\
         type=*_or_null* expected\n\
         _or_null prohibited\n\
         Possibly NULL pointer\n\
         null-check it first\n\
         pointer arithmetic on *_or_null",
        "Check the result for null first: `if r0 == 0 goto …`.",
    ),
    (
        "dynptr",
        "initialized dynptr\n\
         dynptr",
        "Make the dynptr with one of the helpers for it before it is used, and do not touch its stack slots.",
    ),
    (
        "iterator",
        "initialized iter_\n\
         iter_ * expected\n\
         uninitialized iter",
        "An iterator is made with its `new` function, stepped with `next` and taken down with `destroy`, on every \
         path.",
    ),
    (
        "lock",
        "spin_lock\n\
         spin_unlock\n\
         while holding a lock\n\
         holding a lock\n\
         -ed region\n\
         bpf_res_spin",
        "Between lock and unlock of one bpf_spin_lock (declared in the BTF of the map's value) there can be no call, \
         no second lock and no exit.",
    ),
    (
        "release",
        "must be referenced when passed to release\n\
         unacquired reference\n\
         release unowned\n\
         reference has not been acquired\n\
         arg * release\n\
         expected=ringbuf_mem\n\
         expected=alloc_mem",
        "Release what an acquiring helper gave (its pointer as it was, checked for null), once.",
    ),
    (
        "reference",
        "Unreleased reference\n\
         reference leak\n\
         reference has not been released",
        "Release what was acquired (submit or discard, bpf_sk_release, …) on every path before `exit`, also on those \
         that fail.",
    ),
    // ---- values ----
    (
        "callback",
        "At callback return\n\
         callback function\n\
         callback return",
        "A function that a helper calls returns 0 to go on or 1 to stop.",
    ),
    (
        "return-value",
        "should have been in\n\
         At program exit the register R0\n\
         R0 is not a known value",
        "Programs of this type may return some numbers only: set r0 to one of them before every `exit`.",
    ),
    (
        "pointer-leak",
        "leaks addr\n\
         pointer comparison prohibited\n\
         leak pointer",
        "Addresses of the kernel must not leave it: return, store or compare a number instead of this pointer.",
    ),
    (
        "uninitialised",
        "!read_ok",
        "Give the register a value on every path that leads here; every call clears r1 to r5, and `exit` needs r0.",
    ),
    // ---- memory ----
    (
        "stack-uninitialised",
        "invalid indirect read from stack\n\
         invalid read from stack off -\n\
         invalid read from stack R* off -\n\
         invalid read from stack R* off *+* size\n\
         invalid read from stack off *+* size\n\
         invalid size of register fill\n\
         invalid read from stack var_off\n\
         corrupted spill memory",
        "Write all of these bytes of the stack before they are read.",
    ),
    (
        "misaligned",
        "misaligned",
        "Access memory at a multiple of the access's size; what is at another offset is to be read in smaller pieces.",
    ),
    (
        "stack-spill",
        "attempt to corrupt spilled pointer\n\
         invalid size of register spill",
        "A pointer is saved on the stack and restored with eight bytes (`u64`), and not overwritten in part.",
    ),
    (
        "stack-bounds",
        "write to stack R\n\
         read from stack R\n\
         invalid stack off\n\
         invalid stack type\n\
         access to stack R\n\
         variable-offset\n\
         variable stack\n\
         variable offset stack\n\
         stack access\n\
         invalid stack",
        "The stack is the 512 bytes from r10 - 512 to r10 - 1: stay in there, at an offset that is known, and read only what \
         was written.",
    ),
    (
        "packet",
        "invalid access to packet\n\
         outside of the packet",
        "Compare a pointer behind what is to be accessed with data_end first, and access only where it is not above.",
    ),
    (
        "read-only-map",
        "write into map forbidden\n\
         cannot write into rdonly\n\
         read-only map\n\
         cannot write into\n\
         into map forbidden",
        "This memory is read-only for programs: write to another map, or create this one without BPF_F_RDONLY_PROG.",
    ),
    (
        "write-only-map",
        "read from map forbidden",
        "This memory is write-only for programs: read another map, or create this one without BPF_F_WRONLY_PROG.",
    ),
    (
        "zero-size",
        "invalid zero-sized",
        "The size may be 0 here, which this helper does not take: compare it with 0 first.",
    ),
    (
        "bounds",
        "invalid access to map value\n\
         invalid access to map key\n\
         invalid access to memory\n\
         outside of the allowed memory range\n\
         is outside of the array range\n\
         unbounded memory access\n\
         min value is negative\n\
         makes * pointer be out of bounds\n\
         out of bounds\n\
         math between",
        "Keep the offset within what it points to: check an index against the size (`if r1 > 7 goto …`) or mask it \
         (`r1 &= 7`) before it is added.",
    ),
    (
        "atomic",
        "BPF_ATOMIC stores into\n\
         BPF_ATOMIC loads from\n\
         BPF_ATOMIC\n\
         BPF_XADD stores into",
        "Atomic instructions work on map values, the stack and other memory of the program, not on the context or a \
         packet.",
    ),
    (
        "context-pointer",
        "dereference of modified ctx\n\
         negative offset ctx\n\
         variable ctx access\n\
         modified ctx ptr\n\
         ctx access var_off",
        "Access the context through its pointer as it came in r1, with constant offsets: keep it unchanged in r6 \
         to r9.",
    ),
    (
        "context",
        "invalid bpf_context access",
        "The context of this program type has no such field, or not of this size, or it cannot be written: see its \
         struct in linux/bpf.h.",
    ),
    (
        "legacy-packet",
        "BPF_LD_[ABS|IND]\n\
         R6 != pointer to skb\n\
         BPF_LD_ABS",
        "`skb[…]` is for programs on packets as sk_buff, with the context in r6 and outside of locks.",
    ),
    (
        "pointer-arithmetic",
        "pointer arithmetic\n\
         subtract pointer\n\
         pointer subtraction\n\
         pointer operation prohibited\n\
         pointer prohibited\n\
         partial copy of pointer\n\
         bitwise operator\n\
         tried to *pointer\n\
         pointer operand",
        "To a pointer numbers can be added and subtracted, in 64 bits, and nothing else; not at all to pointers to \
         maps or to what may be null.",
    ),
    (
        "map-use",
        "cannot pass map_type\n\
         invalid map_ptr\n\
         only read from\n\
         cannot access ptr member\n\
         is not allowed for map\n\
         invalid mem access 'map_ptr'",
        "This helper or access is not for maps of this type: look elements up, and use the helpers for the map's type.",
    ),
    (
        "map",
        "is not pointing to valid bpf_map\n\
         not pointing to valid\n\
         total number of maps\n\
         offload device mismatch\n\
         progs cannot use\n\
         programs can only use\n\
         map is not supported",
        "A program can name at most 64 maps, all open and of kinds that its type may use.",
    ),
    (
        "not-a-pointer",
        "invalid mem access 'inv'\n\
         invalid mem access 'scalar'\n\
         invalid mem access",
        "Only pointers that the verifier knows can be followed: read other addresses with bpf_probe_read_kernel or \
         bpf_probe_read_user.",
    ),
    (
        "attach",
        "attach_btf_id\n\
         must provide btf_id\n\
         attach to unsupported\n\
         expected_attach_type\n\
         is not a function",
        "Name the function or hook of the kernel that the program is for; it must exist in the kernel's BTF.",
    ),
    (
        "argument",
        "type=* expected=\n\
         type=\n\
         is not a known constant\n\
         must be a known constant\n\
         is not a const\n\
         expected pointer to\n\
         must be a\n\
         Caller passes invalid args\n\
         arg#",
        "Pass what this helper takes in this register (`man 7 bpf-helpers`): r1 to r5 are its arguments in order.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        assert!(matches("a*c", "xaybcz") && matches("a", "a") && matches("a*", "a"));
        assert!(!matches("a*c", "ca") && !matches("a*a", "a"));
    }

    #[test]
    fn every_kind_is_named_once_and_its_advice_is_a_sentence() {
        for (index, (key, patterns, text)) in TABLE.iter().enumerate() {
            assert!(!TABLE.iter().take(index).any(|(other, ..)| other == key), "{key}");
            assert!(
                !patterns.is_empty() && patterns.lines().all(|pattern| pattern.len() > 3),
                "{key}"
            );
            assert!(text.ends_with(['.', '…']) && text.len() < 230, "{key}: {text}");
        }
    }

    /// The words that each of the kernel's messages is known by, where tests do not provoke it.
    #[test]
    fn other_words_for_the_same() {
        for (cause, key) in [
            ("back-edge from insn 3 to 1", "loop"),
            ("R1 type=map_value_or_null expected=map_value", "null-check"),
            (
                "R2 min value is negative, either use unsigned index or do a if (index >=0) check.",
                "bounds",
            ),
            ("BPF_XADD stores into R1 ctx is not allowed", "atomic"),
            ("R0 invalid mem access 'sock_or_null'", "null-check"),
            ("cannot pass map_type 27 into func bpf_map_lookup_elem#1", "map-use"),
            ("helper call might sleep in a non-sleepable prog", "sleepable"),
            ("fd 7 is not pointing to valid bpf_map", "map"),
        ] {
            assert_eq!(advice(cause).map(|advice| advice.key), Some(key), "{cause}");
        }
        assert_eq!(advice("something new"), None);
    }
}
