//! Prototypes of the helpers, in C.

use super::helpers::{HELPERS, PROTOTYPES};
use std::fmt;

/// The C prototype of a helper: its result, name and arguments.
///
/// ```
/// use rawbpf::asm::helper_prototype;
///
/// let delete = helper_prototype(3).unwrap();
/// assert_eq!(delete.to_string(), "long bpf_map_delete_elem(struct bpf_map *map, const void *key)");
/// assert_eq!(delete.arguments().nth(1), Some("const void *key"));
/// assert!(helper_prototype(9999).is_none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HelperPrototype {
    name: &'static str,
    returns: &'static str,
    arguments: &'static str,
}

/// Returns the prototype of the helper of this number; `None` if it is not known here.
pub fn helper_prototype(number: u32) -> Option<HelperPrototype> {
    let index = number as usize;
    let (returns, arguments) = PROTOTYPES.get(index)?.split_once(" (")?;
    Some(HelperPrototype {
        name: HELPERS.get(index)?,
        returns,
        arguments: arguments.strip_suffix(')')?,
    })
}

impl HelperPrototype {
    /// Returns the name, without the prefix `bpf_`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the type of the result: `long`.
    pub fn returns(&self) -> &'static str {
        self.returns
    }

    /// Returns the arguments, those of r1 to r5 in order, each with its type and its name: `const
    /// void *key`. For a helper with a variable number of arguments the last is `...`.
    pub fn arguments(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.arguments.split(", ").filter(|argument| !argument.is_empty())
    }

    /// Returns the arguments with their registers: `r1: struct bpf_map *map, r2: const void *key`.
    pub(crate) fn in_registers(&self) -> String {
        let arguments = self.arguments().enumerate().map(|(index, argument)| match argument {
            "..." => argument.to_owned(),
            _ => format!("r{}: {argument}", index + 1),
        });
        arguments.collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for HelperPrototype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HelperPrototype { name, returns, arguments } = self;
        let space = if returns.ends_with('*') { "" } else { " " };
        let arguments = if arguments.is_empty() { "void" } else { arguments };
        write!(f, "{returns}{space}bpf_{name}({arguments})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_helper_has_a_prototype_of_at_most_five_arguments() {
        for number in 1..HELPERS.len() as u32 {
            let prototype = helper_prototype(number).unwrap();
            assert!(prototype.arguments().count() <= 5, "{prototype}");
            for argument in prototype.arguments().filter(|argument| *argument != "...") {
                let name = argument.rsplit([' ', '*']).next().unwrap();
                assert!(!name.is_empty() && name.len() < argument.len(), "{prototype}: {argument}");
            }
        }
        assert_eq!((helper_prototype(0), helper_prototype(u32::MAX)), (None, None));
    }

    /// bpf-helpers(7).
    #[test]
    fn prototypes_are_printed_as_in_the_manual() {
        for (number, text) in [
            (1, "void *bpf_map_lookup_elem(struct bpf_map *map, const void *key)"),
            (5, "u64 bpf_ktime_get_ns(void)"),
            (
                10,
                "long bpf_l3_csum_replace(struct sk_buff *skb, u32 offset, u64 from, u64 to, u64 size)",
            ),
        ] {
            assert_eq!(helper_prototype(number).unwrap().to_string(), text);
        }
        let update = helper_prototype(2).unwrap();
        assert_eq!(update.returns(), "long");
        assert_eq!(
            update.in_registers(),
            "r1: struct bpf_map *map, r2: const void *key, r3: const void *value, r4: u64 flags"
        );
    }
}
