//! Names of an object as the language can say them.

use crate::asm::helper_number;
use std::collections::HashMap;

/// The most letters of a name that are shown in a comment.
const SHOWN: usize = 200;

/// Names that have been given out, with the number that the next one of the same kind gets.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<String, u32>);

impl Names {
    /// A name for a map, a variable or a program: the one it has, if it can be said and is not taken.
    pub fn give(&mut self, wanted: &str) -> String {
        let fits = |letter: char| letter == '_' || letter.is_ascii_alphanumeric();
        let mut name: String =
            wanted.chars().map(|letter| if fits(letter) { letter } else { '_' }).collect();
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
            name.insert(0, '_');
        }
        if is_register(&name) {
            name.push('_');
        }
        let mut given = name.clone();
        while self.0.contains_key(&given) {
            // Not one after the other: a thousand can have the same name.
            let next = self.0.entry(name.clone()).or_insert(2);
            given = format!("{name}_{next}");
            *next = next.saturating_add(1);
        }
        self.0.insert(given.clone(), 2);
        given
    }

    /// Takes a name back, so that it can be given again.
    pub fn take_back(&mut self, given: &str) {
        self.0.remove(given);
    }

    /// A name for a function, which is called in the same way as helpers, and is a label like those that jumps get.
    pub fn give_function(&mut self, wanted: &str) -> String {
        let number = wanted.strip_prefix('L').or(wanted.strip_prefix("func_"));
        let label = number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
        let helper = wanted.strip_prefix("bpf_").unwrap_or(wanted);
        let helper = helper_number(helper.as_bytes()).is_some() || wanted == "kfunc";
        if label || helper { self.give(&format!("{wanted}_")) } else { self.give(wanted) }
    }
}

fn is_register(name: &str) -> bool {
    let number = name.strip_prefix(['r', 'w']).unwrap_or_default();
    number.len() < 3 && number.parse::<u8>().is_ok()
}

/// A name as it can be shown in a comment, which ends with the line.
pub(super) fn shown(name: &str) -> String {
    let letters = name.chars().take(SHOWN);
    letters.map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

/// A text as a string of the language.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\x1f' | '\x7f' => out.push_str(&format!("\\x{:02x}", u32::from(letter))),
            _ => out.push(letter),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_given_once_and_can_be_said() {
        let mut names = Names::default();
        for (wanted, given) in [
            ("count", "count"),
            ("count", "count_2"),
            ("count", "count_3"),
            ("count_4", "count_4"),
            ("count", "count_5"),
            (".L.str", "_L_str"),
            ("1st", "_1st"),
            ("", "_"),
            ("r10", "r10_"),
            ("r11x", "r11x"),
            ("näh\n", "n_h_"),
        ] {
            assert_eq!(names.give(wanted), given);
        }
        for (wanted, given) in [
            ("L1", "L1_"),
            ("Lx", "Lx"),
            ("func_2", "func_2_"),
            ("bpf_loop", "bpf_loop_"),
            ("loop", "loop_"),
            ("kfunc", "kfunc_"),
            ("count", "count_6"),
        ] {
            assert_eq!(names.give_function(wanted), given);
        }
    }

    #[test]
    fn strings_are_quoted() {
        assert_eq!(quoted("a\"\\\n\t\x01é"), r#""a\"\\\n\t\x01é""#);
        assert_eq!(shown("a\nb"), "a?b");
    }
}
