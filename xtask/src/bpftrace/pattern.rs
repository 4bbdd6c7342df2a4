//! Regular expressions as the suite writes them: the part of Python's that it uses, searched in time linear in the text.
//!
//! Only whether something matches matters, so no state is visited twice at one place of the text: `(.*\n)+END` over a long
//! output takes no longer than reading it. Lookaheads, which automata lack, are patterns of their own tried in place.

use anyhow::{Result, bail};
use std::collections::HashSet;

/// A compiled pattern.
#[derive(Debug)]
pub struct Pattern {
    steps: Vec<Step>,
    multiline: bool,
}

#[derive(Debug)]
enum Step {
    One(Set),
    /// Goes on at both.
    Split(usize, usize),
    Goto(usize),
    LineStart,
    LineEnd,
    Look {
        inner: Pattern,
        wanted: bool,
    },
    Matched,
}

/// A set of characters.
#[derive(Clone, Debug, PartialEq)]
struct Set {
    ranges: Vec<(char, char)>,
    /// Sets within it, such as the `\S` of `[\S,]`.
    sets: Vec<Set>,
    negated: bool,
}

impl Set {
    fn of(ranges: &[(char, char)]) -> Set {
        Set { ranges: ranges.to_vec(), sets: Vec::new(), negated: false }
    }

    fn has(&self, c: char) -> bool {
        let listed = self.ranges.iter().any(|&(low, high)| low <= c && c <= high);
        (listed || self.sets.iter().any(|set| set.has(c))) != self.negated
    }
}

const DIGITS: &[(char, char)] = &[('0', '9')];
const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
const SPACE: &[(char, char)] = &[('\t', '\r'), (' ', ' '), ('\u{a0}', '\u{a0}')];

/// A part of a pattern.
#[derive(Clone, Debug)]
enum Node {
    One(Set),
    All(Vec<Node>),
    Any(Vec<Node>),
    Repeat(Box<Node>, usize, Option<usize>),
    LineStart,
    LineEnd,
    Look(Box<Node>, bool),
}

/// As many copies as a counted repetition may make.
const MOST: usize = 1000;

impl Pattern {
    /// Compiles `text`; with `multiline`, `^` and `$` also stand at the lines within the text (Python's `re.M`).
    pub fn new(text: &str, multiline: bool) -> Result<Pattern> {
        let chars: Vec<char> = text.chars().collect();
        let mut parser = Parser { chars: &chars, at: 0 };
        let node = parser.alternatives()?;
        if parser.at < chars.len() {
            bail!("unbalanced ) at {} of {text:?}", parser.at);
        }
        Ok(Pattern::compile(&node, multiline))
    }

    fn compile(node: &Node, multiline: bool) -> Pattern {
        let mut pattern = Pattern { steps: Vec::new(), multiline };
        pattern.emit(node);
        pattern.steps.push(Step::Matched);
        pattern
    }

    fn emit(&mut self, node: &Node) {
        match node {
            Node::One(set) => self.steps.push(Step::One(set.clone())),
            Node::All(nodes) => nodes.iter().for_each(|node| self.emit(node)),
            Node::Any(nodes) => self.emit_any(nodes),
            Node::Repeat(node, least, most) => self.emit_repeat(node, *least, *most),
            Node::LineStart => self.steps.push(Step::LineStart),
            Node::LineEnd => self.steps.push(Step::LineEnd),
            Node::Look(node, wanted) => {
                let inner = Pattern::compile(node, self.multiline);
                self.steps.push(Step::Look { inner, wanted: *wanted });
            }
        }
    }

    fn emit_any(&mut self, nodes: &[Node]) {
        let Some((first, rest)) = nodes.split_first() else { return };
        if rest.is_empty() {
            return self.emit(first);
        }
        let split = self.reserve();
        self.emit(first);
        let jump = self.reserve();
        self.steps[split] = Step::Split(split + 1, jump + 1);
        self.emit_any(rest);
        self.steps[jump] = Step::Goto(self.steps.len());
    }

    fn emit_repeat(&mut self, node: &Node, least: usize, most: Option<usize>) {
        (0..least).for_each(|_| self.emit(node));
        match most {
            None => {
                let split = self.reserve();
                self.emit(node);
                self.steps.push(Step::Goto(split));
                self.steps[split] = Step::Split(split + 1, self.steps.len());
            }
            Some(most) => {
                let splits: Vec<usize> = (least..most)
                    .map(|_| {
                        let split = self.reserve();
                        self.emit(node);
                        split
                    })
                    .collect();
                let end = self.steps.len();
                splits.iter().for_each(|&split| self.steps[split] = Step::Split(split + 1, end));
            }
        }
    }

    /// A step to be filled in later.
    fn reserve(&mut self) -> usize {
        self.steps.push(Step::Goto(0));
        self.steps.len() - 1
    }

    /// Whether it matches anywhere in `text`.
    pub fn found_in(&self, text: &str) -> bool {
        let chars: Vec<char> = text.chars().collect();
        let mut seen = HashSet::new();
        (0..=chars.len()).any(|start| self.matches_at(&chars, start, &mut seen))
    }

    /// Whether it matches from `start` on. What was `seen` before has led nowhere.
    fn matches_at(&self, text: &[char], start: usize, seen: &mut HashSet<(usize, usize)>) -> bool {
        let mut todo = vec![(0, start)];
        while let Some((step, at)) = todo.pop() {
            // Every loop goes through a split, and between two of them there is one way only.
            if matches!(self.steps[step], Step::Split(..)) && !seen.insert((step, at)) {
                continue;
            }
            match &self.steps[step] {
                Step::Matched => return true,
                Step::One(set) => {
                    if text.get(at).is_some_and(|&c| set.has(c)) {
                        todo.push((step + 1, at + 1));
                    }
                }
                Step::Split(a, b) => todo.extend([(*b, at), (*a, at)]),
                Step::Goto(to) => todo.push((*to, at)),
                Step::LineStart => {
                    if at == 0 || (self.multiline && text[at - 1] == '\n') {
                        todo.push((step + 1, at));
                    }
                }
                Step::LineEnd => {
                    let newline = text.get(at) == Some(&'\n');
                    if at == text.len() || (newline && (self.multiline || at + 1 == text.len())) {
                        todo.push((step + 1, at));
                    }
                }
                Step::Look { inner, wanted } => {
                    if inner.matches_at(text, at, &mut HashSet::new()) == *wanted {
                        todo.push((step + 1, at));
                    }
                }
            }
        }
        false
    }
}

struct Parser<'a> {
    chars: &'a [char],
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn eat(&mut self, text: &str) -> bool {
        let fits = text.chars().enumerate().all(|(i, c)| self.chars.get(self.at + i) == Some(&c));
        if fits {
            self.at += text.chars().count();
        }
        fits
    }

    fn next(&mut self) -> Result<char> {
        let Some(c) = self.peek() else { bail!("the pattern ends too early") };
        self.at += 1;
        Ok(c)
    }

    fn alternatives(&mut self) -> Result<Node> {
        let mut all = vec![self.sequence()?];
        while self.eat("|") {
            all.push(self.sequence()?);
        }
        Ok(Node::Any(all))
    }

    fn sequence(&mut self) -> Result<Node> {
        let mut nodes = Vec::new();
        while let Some(c) = self.peek() {
            if c == '|' || c == ')' {
                break;
            }
            let mut node = self.atom()?;
            while let Some((least, most)) = self.quantifier()? {
                node = Node::Repeat(Box::new(node), least, most);
            }
            nodes.push(node);
        }
        Ok(Node::All(nodes))
    }

    /// Reads a repetition, if one follows. A lazy one matches the same texts.
    fn quantifier(&mut self) -> Result<Option<(usize, Option<usize>)>> {
        let found = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => return self.counts(),
            _ => return Ok(None),
        };
        self.at += 1;
        self.eat("?");
        Ok(Some(found))
    }

    /// `{3}`, `{3,}`, `{,5}`, `{3,5}`; any other brace stands for itself, as in Python.
    fn counts(&mut self) -> Result<Option<(usize, Option<usize>)>> {
        let rest = &self.chars[self.at + 1..];
        let Some(end) = rest.iter().position(|&c| c == '}') else { return Ok(None) };
        let inside: String = rest[..end].iter().collect();
        let number = |text: &str| text.parse::<usize>().ok();
        let counts = match inside.split_once(',') {
            None => number(&inside).map(|n| (n, Some(n))),
            Some(("", "")) => Some((0, None)),
            Some(("", most)) => number(most).map(|most| (0, Some(most))),
            Some((least, "")) => number(least).map(|least| (least, None)),
            Some((least, most)) => number(least).zip(number(most)).map(|(l, m)| (l, Some(m))),
        };
        let Some((least, most)) = counts else { return Ok(None) };
        if most.unwrap_or(least).max(least) > MOST || most.is_some_and(|most| most < least) {
            bail!("{{{inside}}} cannot be repeated");
        }
        self.at += end + 2;
        self.eat("?");
        Ok(Some((least, most)))
    }

    fn atom(&mut self) -> Result<Node> {
        Ok(match self.next()? {
            '.' => Node::One(Set { negated: true, ..Set::of(&[('\n', '\n')]) }),
            '^' => Node::LineStart,
            '$' => Node::LineEnd,
            '[' => Node::One(self.set()?),
            '(' => self.group()?,
            '\\' => Node::One(self.escape()?),
            c @ ('*' | '+' | '?') => bail!("nothing to repeat before {c}"),
            c => Node::One(Set::of(&[(c, c)])),
        })
    }

    fn group(&mut self) -> Result<Node> {
        let look = if self.eat("?!") {
            Some(false)
        } else if self.eat("?=") {
            Some(true)
        } else if self.eat("?:") {
            None
        } else if self.peek() == Some('?') {
            bail!("a group of a kind that is not known");
        } else {
            None
        };
        let inner = self.alternatives()?;
        if !self.eat(")") {
            bail!("a group is not closed");
        }
        Ok(match look {
            Some(wanted) => Node::Look(Box::new(inner), wanted),
            None => inner,
        })
    }

    /// After a backslash.
    fn escape(&mut self) -> Result<Set> {
        let c = self.next()?;
        let negated = c.is_ascii_uppercase();
        let ranges = match c.to_ascii_lowercase() {
            'd' => DIGITS,
            'w' => WORD,
            's' => SPACE,
            _ => {
                let c = match c {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    c if c.is_ascii_alphanumeric() => bail!("\\{c} is not known"),
                    c => c,
                };
                return Ok(Set::of(&[(c, c)]));
            }
        };
        Ok(Set { negated, ..Set::of(ranges) })
    }

    /// After `[`.
    fn set(&mut self) -> Result<Set> {
        let negated = self.eat("^");
        let (mut ranges, mut sets) = (Vec::new(), Vec::new());
        loop {
            let low = match self.next()? {
                // The first one stands for itself.
                ']' if !ranges.is_empty() || !sets.is_empty() => break,
                '\\' => {
                    let set = self.escape()?;
                    match set.ranges[..] {
                        [(low, high)] if low == high => low,
                        _ => {
                            sets.push(set);
                            continue;
                        }
                    }
                }
                c => c,
            };
            let is_range =
                self.peek() == Some('-') && self.chars.get(self.at + 1).is_some_and(|&c| c != ']');
            let high = if is_range {
                self.at += 1;
                match self.next()? {
                    '\\' => self.next()?,
                    c => c,
                }
            } else {
                low
            };
            if high < low {
                bail!("{low}-{high} is no range");
            }
            ranges.push((low, high));
        }
        Ok(Set { ranges, sets, negated })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each expectation is what Python 3.11's `re.search` returns.
    #[test]
    fn matches_as_python_does() {
        let found = |pattern: &str, text: &str| Pattern::new(pattern, true).unwrap().found_in(text);
        for (pattern, text, expected) in [
            ("SUCCESS [0-9][0-9]*", "x\nSUCCESS 17\n", true),
            ("SUCCESS [0-9]+", "SUCCESS x", false),
            (r"@\[[0-9]*\]\:\s[0-9]", "@[12]: 3", true),
            (r"@x\[[^,]+, 1\]: [1-9]\d*", "@x[ab, 1]: 40", true),
            (r"@x\[[^,]+, 1\]: [1-9]\d*", "@x[a,b, 1]: 40", false),
            (r"^((?!not there).)*$", "Attaching\n", true),
            (r"^((?!not there).)*$", "it is not there", false),
            (r"^0$", "10\n0\n", true),
            (r"^0$", "10\n", false),
            (r"B\n(.*\n)+E", "B\nx\ny\nE", true),
            (r"B\n(.*\n)+E", "B\nE", false),
            (r"[0-9]{2}\/[0-9]{2}", "a 12/3 34/56", true),
            (r"[0-9]{2}\/[0-9]{2}", "1/23", false),
            (r"^(a|b{2,3}|)c$", "bbbc", true),
            (r"^(a|b{2,3}|)c$", "bc", false),
            (r"^(a|b{2,3}|)c$", "c", true),
            (r#"{"type": "x{1"}"#, r#"{"type": "x{1"}"#, true),
            (r"a{,2}b{1,}$", "aabbb", true),
            (r"@bytes: *\n[\[(].*", "@bytes: \n[0, 1) 3", true),
            (r"[]a-]x", "-x", true),
            (r"\\n", "a\\n", true),
            (r"x+?y??$", "xx", true),
            (r"(a*)*b", &"a".repeat(5000), false),
            (r"[^\n]é", "aé", true),
            (r"^[\S,]+$", "a,b", true),
            (r"^[\S,]+$", "a b", false),
            (r"^[^\s\d]$", "x", true),
            (r"^[^\s\d]$", "1", false),
        ] {
            assert_eq!(found(pattern, text), expected, "{pattern} in {:.40}", text);
        }
    }

    #[test]
    fn lines_count_only_when_asked() {
        let whole =
            |pattern: &str, text: &str| Pattern::new(pattern, false).unwrap().found_in(text);
        assert!(!whole("^b", "a\nb"));
        assert!(whole("^a$", "a\n"));
        assert!(!whole("a$", "a\nb"));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for pattern in ["(a", "a)", "[a", "*a", r"\q", r"\1", "(?P<x>a)", "a{2,1}", "[b-a]", r"a\"]
        {
            assert!(Pattern::new(pattern, true).is_err(), "{pattern}");
        }
    }
}
