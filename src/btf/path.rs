//! The text of a path: `struct task_struct.comm[3]`.

use super::{BtfError, Kind};

/// A path, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Path<'a> {
    /// The whole text.
    text: &'a str,
    /// The type it begins with.
    pub(super) head: Head<'a>,
    /// The steps from there.
    pub(super) steps: Vec<Step<'a>>,
}

/// The name of a type, with the keyword before it if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub(super) keyword: Option<Kind>,
    pub(super) name: &'a str,
}

/// One step of a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step<'a> {
    pub(super) to: To<'a>,
    /// The offset in the text at which it begins.
    begin: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To<'a> {
    Field(&'a str),
    Element(u32),
}

impl<'a> Head<'a> {
    pub(super) fn parse(text: &'a str) -> Head<'a> {
        let keywords = [("struct ", Kind::Struct), ("union ", Kind::Union), ("enum ", Kind::Enum)];
        for (word, kind) in keywords {
            if let Some(name) = text.strip_prefix(word) {
                return Head { keyword: Some(kind), name: name.trim() };
            }
        }
        Head { keyword: None, name: text.trim() }
    }

    /// The name without a flavour: `task_struct` for `task_struct___old`. The suffix is that of libbpf, three
    /// underscores with a letter or digit on both sides.
    pub(super) fn without_flavour(self) -> Option<&'a str> {
        let (name, flavour) = self.name.rsplit_once("___")?;
        (!name.is_empty() && !name.ends_with('_') && !flavour.is_empty()).then_some(name)
    }
}

impl<'a> Path<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Path<'a>, BtfError> {
        let wrong = |problem| BtfError::Path { path: text.into(), problem };
        let cut = |rest: &str| rest.find(['.', '[']).unwrap_or(rest.len());
        let (head, mut rest) = text.split_at(cut(text));
        let head = Head::parse(head);
        if head.name.is_empty() {
            return Err(wrong("it begins with no type"));
        }
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let begin = text.len() - rest.len();
            let to = if let Some(index) = rest.strip_prefix('[') {
                let Some((index, after)) = index.split_once(']') else {
                    return Err(wrong("a `[` has no `]`"));
                };
                if !after.is_empty() && !after.starts_with(['.', '[']) {
                    return Err(wrong("behind a `]` stands neither `.` nor `[`"));
                }
                let Ok(index) = index.trim().parse() else {
                    return Err(wrong("what stands in `[]` is not a number of 32 bits"));
                };
                rest = after;
                To::Element(index)
            } else {
                // It begins with the dot.
                let name = rest.get(1..).unwrap_or_default();
                let (name, after) = name.split_at(cut(name));
                if name.is_empty() {
                    return Err(wrong("a `.` has no name behind it"));
                }
                rest = after;
                To::Field(name)
            };
            steps.push(Step { to, begin });
        }
        Ok(Path { text, head, steps })
    }

    /// The first step.
    #[cfg(feature = "elf")]
    pub(super) fn first(&self) -> Option<&Step<'a>> {
        self.steps.first()
    }

    /// The text before a step.
    pub(super) fn before(&self, step: &Step<'_>) -> &'a str {
        self.text.get(..step.begin).unwrap_or(self.text)
    }

    /// The text from a step on.
    pub(super) fn from(&self, step: &Step<'_>) -> &'a str {
        self.text.get(step.begin..).unwrap_or_default()
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_apart() -> Result<(), BtfError> {
        let path = Path::parse("struct foo.arr[2][ 11 ].x")?;
        assert_eq!(path.head, Head { keyword: Some(Kind::Struct), name: "foo" });
        let to: Vec<To<'_>> = path.steps.iter().map(|step| step.to).collect();
        assert_eq!(to, [To::Field("arr"), To::Element(2), To::Element(11), To::Field("x")]);
        assert_eq!(path.before(&path.steps[2]), "struct foo.arr[2]");
        assert_eq!(path.from(&path.steps[2]), "[ 11 ].x");
        assert_eq!(Path::parse("unsigned int")?.head.name, "unsigned int");
        Ok(())
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for (text, why) in [
            ("", "no type"),
            (".x", "no type"),
            ("struct ", "no type"),
            ("a.", "no name behind it"),
            ("a..b", "no name behind it"),
            ("a[1", "has no `]`"),
            ("a[1]b", "neither `.` nor `[`"),
            ("a[x]", "not a number"),
            ("a[-1]", "not a number"),
            ("a[4294967296]", "not a number"),
        ] {
            let error = Path::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn flavours_are_those_of_libbpf() {
        let plain = |name| Head { keyword: None, name }.without_flavour();
        assert_eq!(plain("task_struct___old"), Some("task_struct"));
        assert_eq!(plain("a___b___c"), Some("a___b"));
        assert_eq!(plain("task_struct"), None);
        assert_eq!(plain("task____old"), None, "four underscores are part of a name");
        assert_eq!(plain("___x"), None);
        assert_eq!(plain("x___"), None);
    }
}
