//! What to do about the common causes: a table, and what the program at hand adds to it.

mod program;
mod values;

use std::borrow::Cow;

/// What to do about a rejection, for one kind of cause.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Advice {
    /// The kind of cause, one word or a few with hyphens: `null-check`. It stays the same whatever the kernel's words.
    pub key: &'static str,
    /// What to do, one sentence or two.
    pub text: Cow<'static, str>,
}

/// The kind of cause, the words that tell it (of every kernel; a star stands for anything), one a line, and what to do;
/// `{register}` stands for the register that the cause names. The first row that fits counts: what is special stands before
/// what is general. (An array of the words would take three times the room of the words, for their addresses and for what the
/// dynamic linker does to them.)
type Row = (&'static str, &'static str, &'static str);

/// The row for a cause in the verifier's words, if it is one of the common ones: the kind, and what to do.
pub(super) fn row(cause: &str) -> Option<(&'static str, &'static str)> {
    let mut rows = program::TABLE.iter().chain(values::TABLE);
    let row = rows.find(|(_, patterns, _)| patterns.lines().any(|p| matches(p, cause)));
    row.map(|&(key, _, text)| (key, text))
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
        for (index, (key, patterns, text)) in all().enumerate() {
            assert!(!all().take(index).any(|(other, ..)| other == key), "{key}");
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
