//! A row of the table of rejected programs.

/// A program that is wrong in one way.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub name: &'static str,
    /// The type of program, by name.
    pub kind: &'static str,
    /// The text. A line that ends with `# wrong` is the one to be pointed at; `%` begins a line that is repeated
    /// [`repeat`](Case::repeat) times, with its number in place of `@`.
    pub text: &'static str,
    pub repeat: usize,
    /// `BPF_F_*` flags of the load.
    pub flags: u32,
    pub license: &'static str,
    /// The cause as one of the kernels words it; a star stands for anything.
    pub causes: &'static [&'static str],
    /// The kind of advice, by its key: one of these.
    pub advice: &'static [&'static str],
    /// The tracepoint or iterator that it is for.
    pub target: Option<&'static str>,
    /// The text of the advice, if it is a special one; empty if it is that of the kind. (Of the first kind: other
    /// kernels may lead to other advice.)
    pub advises: &'static str,
    /// A note that is among those of the message; empty if that does not matter.
    pub notes: &'static str,
    /// The same done right. A kernel that takes neither is too old to know what this is about.
    pub right: Option<&'static str>,
    /// Whether there are kernels that see nothing wrong in it.
    pub accepted_somewhere: bool,
}

pub(crate) const fn kprobe(name: &'static str, advice: &'static [&'static str]) -> Case {
    of_type("kprobe", name, advice)
}

pub(crate) const fn of_type(
    kind: &'static str,
    name: &'static str,
    advice: &'static [&'static str],
) -> Case {
    Case {
        name,
        kind,
        text: "",
        repeat: 0,
        flags: 0,
        license: "GPL",
        causes: &[],
        advice,
        target: None,
        advises: "",
        notes: "",
        right: None,
        accepted_somewhere: false,
    }
}

impl Case {
    /// Sets the text, and the expected causes.
    pub(crate) const fn is(mut self, text: &'static str, causes: &'static [&'static str]) -> Case {
        (self.text, self.causes) = (text, causes);
        self
    }

    pub(crate) const fn right(mut self, text: &'static str) -> Case {
        self.right = Some(text);
        self
    }

    pub(crate) const fn accepted_somewhere(mut self) -> Case {
        self.accepted_somewhere = true;
        self
    }

    pub(crate) const fn target(mut self, target: &'static str) -> Case {
        self.target = Some(target);
        self
    }

    pub(crate) const fn advises(mut self, words: &'static str) -> Case {
        self.advises = words;
        self
    }

    pub(crate) const fn notes(mut self, note: &'static str) -> Case {
        self.notes = note;
        self
    }

    /// Whether what is said about it is what is to be: the key of the advice, its text, and the notes.
    pub(crate) fn is_told(&self, key: &str, advice: &str, notes: &[String]) -> bool {
        let first = self.advice.first() == Some(&key);
        self.advice.contains(&key)
            && (!first || advice.contains(self.advises))
            && (self.notes.is_empty() || notes.iter().any(|note| note == self.notes))
    }

    pub(crate) const fn repeat(mut self, times: usize) -> Case {
        self.repeat = times;
        self
    }

    pub(crate) const fn flags(mut self, flags: u32) -> Case {
        self.flags = flags;
        self
    }

    pub(crate) const fn license(mut self, license: &'static str) -> Case {
        self.license = license;
        self
    }

    /// The text with what is repeated in it.
    pub(crate) fn source(&self) -> String {
        let mut source = String::new();
        for line in self.text.lines() {
            match line.trim_start().strip_prefix('%') {
                Some(line) => {
                    for number in 0..self.repeat {
                        source += &line.replace('@', &number.to_string());
                        source.push('\n');
                    }
                }
                None => {
                    source += line;
                    source.push('\n');
                }
            }
        }
        source
    }

    /// The line that is to be pointed at, from 1.
    pub(crate) fn wrong_line(&self) -> Option<usize> {
        Some(self.source().lines().position(|line| line.ends_with("# wrong"))? + 1)
    }

    /// Whether a cause is as one of the kernels words it.
    pub(crate) fn has_cause(&self, cause: &str) -> bool {
        self.causes.iter().any(|pattern| is_like(pattern, cause))
    }
}

/// Whether a whole text is like a pattern in which stars stand for anything.
fn is_like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|rest| is_like(tail, rest)))
        }),
    }
}
