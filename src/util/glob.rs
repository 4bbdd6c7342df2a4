//! Patterns of names, as in a shell: `*` any text, `?` any one letter, `[a-z]` one of these, `[!a-z]` one of all others.

/// Whether it is a pattern and not just a name.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// A pattern that was taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Glob {
    /// The prefix of every name that matches: most other names are ruled out by it.
    prefix: String,
    rest: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// Any text.
    Any,
    /// Any one letter.
    One,
    /// This one.
    Letter(char),
    /// One that is, or is not, in one of the ranges.
    Among(Vec<(char, char)>, bool),
}

impl Glob {
    /// Takes a pattern apart. A `[` that nothing closes stands for itself, and so does all that has no meaning here.
    pub(crate) fn new(pattern: &str) -> Glob {
        let mut steps = Vec::new();
        let mut rest = pattern;
        while let Some(letter) = rest.chars().next() {
            let after = rest.get(letter.len_utf8()..).unwrap_or_default();
            rest = after;
            let step = match letter {
                '*' if steps.last() == Some(&Step::Any) => continue,
                '*' => Step::Any,
                '?' => Step::One,
                '[' => match set(after) {
                    Some((set, after)) => {
                        rest = after;
                        set
                    }
                    None => Step::Letter('['),
                },
                letter => Step::Letter(letter),
            };
            steps.push(step);
        }
        let plain = steps.iter().take_while(|step| matches!(step, Step::Letter(_))).count();
        let rest = steps.split_off(plain);
        let prefix = steps.iter().filter_map(|step| match step {
            Step::Letter(letter) => Some(*letter),
            _ => None,
        });
        Glob { prefix: prefix.collect(), rest }
    }

    /// Whether the whole of a name matches.
    ///
    /// The time is at most the length of the name times that of the pattern: only what the last `*` stands for is ever
    /// tried again.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let Some(rest) = name.strip_prefix(self.prefix.as_str()) else { return false };
        let mut text = rest.chars();
        let mut steps = self.rest.iter();
        // Where to go on if something does not fit: after the last `*`, with one letter more for it.
        let mut again = None;
        loop {
            let fits = match steps.next() {
                Some(Step::Any) => {
                    again = Some((steps.clone(), text.clone()));
                    true
                }
                Some(step) => text.next().is_some_and(|letter| step.takes(letter)),
                None if text.as_str().is_empty() => return true,
                None => false,
            };
            if fits {
                continue;
            }
            let Some((after, from)) = &mut again else { return false };
            if from.next().is_none() {
                return false;
            }
            (steps, text) = (after.clone(), from.clone());
        }
    }
}

impl Step {
    fn takes(&self, letter: char) -> bool {
        match self {
            Step::Any | Step::One => true,
            Step::Letter(wanted) => letter == *wanted,
            Step::Among(ranges, others) => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&letter)) != *others
            }
        }
    }
}

/// Parses the text after a `[`: returns the set, and the text after it. A `]` that stands first is one of the set.
fn set(text: &str) -> Option<(Step, &str)> {
    let (others, text) = match text.strip_prefix(['!', '^']) {
        Some(text) => (true, text),
        None => (false, text),
    };
    let first = text.chars().next()?.len_utf8();
    let end = first + text.get(first..)?.find(']')?;
    let (within, after) = (text.get(..end)?, text.get(end + 1..)?);
    let mut ranges = Vec::new();
    let mut letters = within.chars();
    while let Some(from) = letters.next() {
        let mut ahead = letters.clone();
        match (ahead.next(), ahead.next()) {
            (Some('-'), Some(to)) => {
                ranges.push((from, to));
                letters = ahead;
            }
            _ => ranges.push((from, from)),
        }
    }
    Some((Step::Among(ranges, others), after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(pattern: &str, matches: &[&str], others: &[&str]) {
        let glob = Glob::new(pattern);
        for name in matches {
            assert!(glob.matches(name), "{pattern} {name}");
        }
        for name in others {
            assert!(!glob.matches(name), "{pattern} {name}");
        }
    }

    #[test]
    fn names_match_as_in_a_shell() {
        check("vfs_read", &["vfs_read"], &["vfs_readv", "vfs_rea", ""]);
        check("vfs_*", &["vfs_", "vfs_read"], &["vfs", "xvfs_read"]);
        check("*clone*", &["clone", "__x64_sys_clone3", "a_clone"], &["clon", "close"]);
        check("tcp_?_x", &["tcp_a_x"], &["tcp__x", "tcp_ab_x"]);
        check("*a*b*c", &["abc", "aabbcc", "xaybzc"], &["acb", "abcd", "ab"]);
        check("**", &["", "x"], &[]);
        check("", &[""], &["x"]);
        check("*ab", &["ab", "aab", "abab"], &["aba"]);
        check("s[eo]t[0-9]", &["set0", "sot9"], &["sit0", "seta", "st0"]);
        check("x[!0-9]", &["xa"], &["x1", "x"]);
        check("x[^0-9]", &["xa"], &["x1"]);
        check("[]x]", &["]", "x"], &["a"]);
        check("[a-]", &["a", "-"], &["b"]);
        // What nothing closes stands for itself.
        check("a[b", &["a[b"], &["ab"]);
        check("a[]", &["a[]"], &["a"]);
        check("*\u{e9}?", &["caf\u{e9}s"], &["caf\u{e9}"]);
    }

    #[test]
    fn patterns_are_told_from_names() {
        for pattern in ["*", "a?", "a[b]"] {
            assert!(is_pattern(pattern));
        }
        assert!(!is_pattern("vfs_read.isra.0"));
    }

    #[test]
    fn many_stars_take_no_time() {
        let glob = Glob::new(&"*a".repeat(50));
        assert!(!glob.matches(&format!("{}b", "a".repeat(5000))));
    }

    /// The obvious way, which may take for ever.
    fn slowly(steps: &[Step], text: &[char]) -> bool {
        match (steps, text) {
            ([], text) => text.is_empty(),
            ([Step::Any, rest @ ..], text) => {
                (0..=text.len()).any(|skipped| slowly(rest, &text[skipped..]))
            }
            ([step, rest @ ..], [letter, text @ ..]) => step.takes(*letter) && slowly(rest, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_obvious_way(pattern in "[ab*?]{0,8}(\\[[!a-b]{0,3}\\]?)?[ab*]{0,3}", name in "[ab\\[]{0,12}") {
            let glob = Glob::new(&pattern);
            let mut steps: Vec<_> = glob.prefix.chars().map(Step::Letter).collect();
            steps.extend(glob.rest.clone());
            let text: Vec<_> = name.chars().collect();
            prop_assert_eq!(glob.matches(&name), slowly(&steps, &text), "{}", pattern);
        }

        #[test]
        fn any_text_is_a_pattern(pattern in "\\PC{0,12}", name in "\\PC{0,12}") {
            let _ = Glob::new(&pattern).matches(&name);
        }

        #[test]
        fn a_name_matches_itself(name in "[a-z_.0-9]{0,12}") {
            prop_assert!(Glob::new(&name).matches(&name));
        }
    }
}
