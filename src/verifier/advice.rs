//! Advice on the common causes of rejections: a table, and additions that depend on the program.

mod calls;
mod program;
mod values;

use std::borrow::Cow;

/// Advice on a rejection, for one kind of cause.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Advice {
    /// The kind of cause, one word or a few with hyphens: `null-check`. It stays the same whatever the kernel's words.
    pub key: &'static str,
    /// The advice, one sentence or two.
    pub text: Cow<'static, str>,
}

/// The kind of cause, the words of its message (of every kernel; a star stands for anything), one a line, and what to do;
/// `{register}` stands for the register that the cause names. The first row that fits counts: what is special stands before
/// what is general. (An array of the words would take three times the room of the words, for their addresses and for what the
/// dynamic linker does to them.)
type Row = (&'static str, &'static str, &'static str);

/// The row for a cause in the verifier's words, if it is one of the common ones: the kind, and what to do.
pub(super) fn row(cause: &str) -> Option<(&'static str, &'static str)> {
    let row = all().find(|(_, patterns, _)| patterns.lines().any(|p| matches(p, cause)));
    row.map(|&(key, _, text)| (key, text))
}

/// The rows of all tables, in their order.
fn all() -> impl Iterator<Item = &'static Row> {
    program::TABLE.iter().chain(calls::TABLE).chain(values::TABLE)
}

/// Whether the pieces between the stars of a pattern stand in a text, one after the other.
fn matches(pattern: &str, text: &str) -> bool {
    let mut rest = Some(text);
    for piece in pattern.split('*') {
        rest = rest.and_then(|rest| rest.split_once(piece)).map(|(_, after)| after);
    }
    rest.is_some()
}

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
        let all: Vec<Row> = super::all().copied().collect();
        for (index, (key, patterns, text)) in all.iter().enumerate() {
            assert!(!all.iter().take(index).any(|(other, ..)| other == key), "{key}");
            assert!(
                !patterns.is_empty() && patterns.lines().all(|pattern| pattern.len() > 3),
                "{key}"
            );
            assert!(text.ends_with(['.', '…']) && text.len() < 260, "{key}: {text}");
        }
    }

    /// The words that each of the kernel's messages is known by, where the programs of `tests/rejected` do not provoke it: those of
    /// other kernels, of other processors, and of what takes BTF or privileges to say. (`kernel/bpf/verifier.c`, `kernel/bpf/btf.c`
    /// and, since Linux 7.0, their neighbours.)
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
            ("BPF_ST stores into R1 ctx is not allowed", "store-immediate"),
            ("R0 invalid mem access 'sock_or_null'", "null-check"),
            ("Possibly NULL pointer passed to helper arg2", "null-check"),
            ("cannot pass map_type 27 into func bpf_map_lookup_elem#1", "map-use"),
            ("helper call might sleep in a non-sleepable prog", "sleepable"),
            ("fd 7 is not pointing to valid bpf_map", "map"),
            (
                "R1 must have zero offset when passed to release func or trusted arg to kfunc",
                "release",
            ),
            ("bpf_rcu_read_unlock is missing", "rcu"),
            ("tail_call cannot be used inside bpf_rcu_read_lock-ed region", "tail-call"),
            ("tail_call abusing map_ptr", "tail-call"),
            ("BPF_LD_[ABS|IND] cannot be used inside bpf_preempt_disable-ed region", "preempt"),
            ("1 bpf_preempt_enable is missing", "preempt"),
            ("expected an initialized irq flag as arg #1", "irq-flag"),
            ("bpf_spin_unlock without taking a lock", "lock"),
            ("Acquiring the same lock again, AA deadlock detected", "lock"),
            (
                "R1 doesn't have constant offset. bpf_timer has to be at the constant offset",
                "special-field",
            ),
            ("store to referenced kptr disallowed", "kptr"),
            ("rbtree_remove node input must be non-owning ref", "graph"),
            ("R2 is not a pointer to arena or scalar.", "arena"),
            ("Leaking reference id=2 alloc_insn=4. Release it first.", "reference"),
            (
                "release kfunc bpf_task_release expects referenced PTR_TO_BTF_ID passed to R1",
                "release",
            ),
            ("calling kernel function bpf_task_acquire is not allowed", "kfunc"),
            ("pseudo btf_id 5 in ldimm64 isn't KIND_VAR or KIND_FUNC", "kernel-variable"),
            ("bpf_throw kfunc (insn 3) cannot be called from callback subprog 1", "exception"),
            ("Caller passes invalid args into func#1 ('f')", "function-argument"),
            ("At subprogram exit the register R0 is not a scalar value (ctx)", "return-number"),
            ("callback function not static", "callback"),
            ("too many subprograms", "size"),
            ("insn 7 cannot be patched due to 16-bit range", "size"),
            ("number of funcs in func_info doesn't match number of subprogs", "btf"),
            ("Cannot replace kernel functions", "attach"),
            ("sleepable helper bpf_copy_from_user#148 in non-sleepable prog", "sleepable"),
            (
                "R1 pointer arithmetic of map value goes out of range, prohibited for !root",
                "capability",
            ),
            (
                "calling kernel function is not supported without CONFIG_DEBUG_INFO_BTF",
                "kernel-types",
            ),
            ("program requires BPF JIT compiler but it is not available", "jit"),
            (
                "cannot access ptr member name with moff 16 in struct bpf_map with off 16 size 4",
                "kernel-object",
            ),
            ("access beyond struct task_struct at off 99999 size 8", "kernel-object"),
            ("R1 invalid negative rdwr buffer offset: off=-8, var_off=0", "buffer"),
            ("dereference of modified sock ptr R1 off=4 disallowed", "modified-pointer"),
            ("dereference of modified ctx ptr R1 off=4 disallowed", "context-pointer"),
            ("write to change key R1 not allowed", "map-key-write"),
            ("R2 does not point to a readonly map'", "constant-text"),
            ("value -2147483648 makes map_value pointer be out of bounds", "offset-limit"),
            (
                "math between map_value pointer and register with unbounded min value is not allowed",
                "bounds",
            ),
            ("R7 has type map_value, expected PTR_TO_INSN", "jump-table"),
            ("callee expects 6 args, stack arg6 is not initialized", "stack-arguments"),
            ("r11 load must be before any r11 store or call insn", "stack-arguments"),
            ("signature verification failed: -129", "signature"),
            ("verifier bug: frame 1: no program (subprog < 0)", "kernel-bug"),
            ("bpf verifier is misconfigured", "kernel-bug"),
        ] {
            assert_eq!(row(cause).map(|(key, _)| key), Some(key), "{cause}");
        }
        assert_eq!(row("something new"), None);
    }
}
