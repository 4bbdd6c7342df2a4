//! Takes a shell command apart as far as is needed to find bpftrace's programs and options in it.

/// The words of a command, quotes removed; what separates commands (`|`, `;`, `&`) is a word of its own.
pub fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let inside: String = chars.by_ref().take_while(|&c| c != '\'').collect();
                word.get_or_insert_default().push_str(&inside);
            }
            '"' => quoted(&mut chars, word.get_or_insert_default()),
            '\\' => word.get_or_insert_default().extend(chars.next()),
            c if c.is_whitespace() => words.extend(word.take()),
            '|' | ';' | '&' => {
                words.extend(word.take());
                words.push(c.into());
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Within double quotes, where a command substitution may hold others.
fn quoted(chars: &mut std::str::Chars, word: &mut String) {
    let mut depth = 0;
    while let Some(c) = chars.next() {
        match c {
            '"' if depth == 0 => return,
            '\\' => {
                let next = chars.next();
                // Before other characters the shell leaves the backslash in place.
                if !matches!(next, Some('"' | '\\' | '$' | '`')) {
                    word.push('\\');
                }
                word.extend(next);
                continue;
            }
            '(' if word.ends_with('$') || depth > 0 => depth += 1,
            ')' if depth > 0 => depth -= 1,
            _ => {}
        }
        word.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_removed() {
        let found =
            words(r#"{{BPFTRACE}} -e 'i:s:1 { printf("a b"); }'"x\n\"y" $1|grep -e '^u'; c\ d"#);
        let expected = [
            "{{BPFTRACE}}",
            "-e",
            "i:s:1 { printf(\"a b\"); }x\\n\"y",
            "$1",
            "|",
            "grep",
            "-e",
            "^u",
            ";",
            "c d",
        ];
        assert_eq!(found, expected);
        assert_eq!(
            words(r#"b -e "$(echo "x y"; echo 'z')" q"#),
            ["b", "-e", r#"$(echo "x y"; echo 'z')"#, "q"]
        );
        assert_eq!(words(r"echo 'a'"), ["echo", "a"]);
    }
}
