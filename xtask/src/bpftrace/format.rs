//! The format of bpftrace's runtime tests, read as the 0.17 engine reads it.
//!
//! A file holds tests, separated by empty lines; each line of a test is a word and the rest, whose white space counts as one
//! space. Of a word that may stand once the last one holds.

use anyhow::{Context, Result, bail};

/// One test.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Test {
    /// Name of its file.
    pub file: String,
    pub name: String,
    /// Which of the tests of this name in the file it is, from 1.
    pub number: usize,
    pub what: What,
    pub expect: String,
    pub seconds: u64,
    /// Shell commands that run beside it: one that must run before, one that is started when its probes are attached.
    pub before: Option<String>,
    pub after: Option<String>,
    pub min_kernel: Option<String>,
    pub max_kernel: Option<String>,
    /// Shell commands that have to succeed, else the test is skipped.
    pub requires: Vec<String>,
    pub features: Vec<String>,
    pub without_features: Vec<String>,
    pub env: Vec<(String, String)>,
    pub arch: Vec<String>,
    /// A status other than 0 is no failure.
    pub will_fail: bool,
}

/// The command of a test.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A program in bpftrace's language.
    Program(String),
    /// A shell command with placeholders.
    Command(String),
}

impl Default for What {
    fn default() -> What {
        What::Command(String::new())
    }
}

impl Test {
    /// Its name among all tests: `call.printf`, and `probe.uprobe_offset#2` for the second one of that name.
    pub fn id(&self) -> String {
        match self.number {
            0 | 1 => format!("{}.{}", self.file, self.name),
            number => format!("{}.{}#{number}", self.file, self.name),
        }
    }

    /// The text that a shell runs; `bpftrace` is the program to test.
    pub fn command(&self, bpftrace: &str, before_pid: Option<u32>) -> String {
        let text = match &self.what {
            What::Program(text) => return format!("{bpftrace} -e '{text}'"),
            What::Command(text) => text.replace("{{BPFTRACE}}", bpftrace),
        };
        match before_pid {
            Some(pid) => text.replace("{{BEFORE_PID}}", &pid.to_string()),
            None => text,
        }
    }

    /// The words of the program and its command line.
    pub fn text(&self) -> &str {
        match &self.what {
            What::Program(text) | What::Command(text) => text,
        }
    }
}

/// Reads the tests of one file; those of other architectures are left out.
pub fn parse(file: &str, text: &str, arch: &str) -> Result<Vec<Test>> {
    let mut tests: Vec<Test> = Vec::new();
    let mut lines: Vec<&str> = Vec::new();
    let mut take = |lines: &mut Vec<&str>| -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut test = one(lines).with_context(|| format!("test {:?} of {file}", lines.first()))?;
        lines.clear();
        test.file = file.into();
        if test.arch.is_empty() || test.arch.iter().any(|known| known == arch) {
            test.number = 1 + tests.iter().filter(|other| other.name == test.name).count();
            tests.push(test);
        }
        Ok(())
    };
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if line.trim().is_empty() {
            take(&mut lines)?;
        } else {
            lines.push(line);
        }
    }
    take(&mut lines)?;
    Ok(tests)
}

fn one(lines: &[&str]) -> Result<Test> {
    let mut test = Test::default();
    let (mut run, mut program, mut seconds) = (None, None, None);
    for line in lines {
        let mut words = line.split_whitespace();
        let word = words.next().unwrap_or_default();
        let rest = words.collect::<Vec<_>>().join(" ");
        let list = || rest.split(' ').filter(|word| !word.is_empty()).map(String::from);
        match word {
            "NAME" => test.name = rest,
            "RUN" => run = Some(rest),
            "PROG" => program = Some(rest),
            "EXPECT" => test.expect = rest,
            "TIMEOUT" => seconds = Some(rest.parse().context("TIMEOUT is no number")?),
            "BEFORE" => test.before = Some(rest),
            "AFTER" => test.after = Some(rest),
            "MIN_KERNEL" => test.min_kernel = Some(rest),
            "MAX_KERNEL" => test.max_kernel = Some(rest),
            "REQUIRES" => test.requires.push(rest),
            "ENV" => {
                for pair in list() {
                    let (key, value) = pair.split_once('=').context("ENV is no NAME=VALUE")?;
                    test.env.push((key.into(), value.into()));
                }
            }
            "ARCH" => test.arch = rest.split('|').map(|arch| arch.trim().into()).collect(),
            "REQUIRES_FEATURE" => {
                for feature in list() {
                    match feature.strip_prefix('!') {
                        Some(feature) => test.without_features.push(feature.into()),
                        None => test.features.push(feature),
                    }
                }
            }
            "WILL_FAIL" => test.will_fail = true,
            other => bail!("{other} is not known"),
        }
    }
    test.what = match (run, program) {
        (Some(run), None) => What::Command(run),
        (None, Some(program)) => What::Program(program),
        (None, None) => bail!("neither RUN nor PROG"),
        (Some(_), Some(_)) => bail!("both RUN and PROG"),
    };
    test.seconds = seconds.context("no TIMEOUT")?;
    if test.name.is_empty() || test.expect.is_empty() {
        bail!("no NAME or no EXPECT");
    }
    Ok(test)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# a comment
NAME first  of   all
PROG BEGIN { printf(\"a  b\\n\"); exit(); }
EXPECT one
EXPECT two
# within
TIMEOUT 5
REQUIRES_FEATURE btf !dwarf
REQUIRES_FEATURE  loop
REQUIRES command -v a
REQUIRES command -v b
ENV A=1 B=2

NAME other
RUN {{BPFTRACE}} -p {{BEFORE_PID}} | {{BPFTRACE}} -l
EXPECT ^x$
TIMEOUT 1
BEFORE ./testprogs/a
AFTER ./testprogs/b; c
ARCH x86_64
WILL_FAIL
MIN_KERNEL 5.5


NAME other
PROG i:s:1 {}
EXPECT .
TIMEOUT 1
ARCH s390x|aarch64

NAME other
PROG i:s:1 {}
EXPECT .
TIMEOUT 1
# the end";

    #[test]
    fn a_file_is_read() {
        let tests = parse("file", FILE, "x86_64").unwrap();
        let ids: Vec<_> = tests.iter().map(Test::id).collect();
        assert_eq!(ids, ["file.first of all", "file.other", "file.other#2"]);
        let strings = |list: &[&str]| list.iter().map(|s| s.to_string()).collect::<Vec<_>>();
        let first = Test {
            file: "file".into(),
            name: "first of all".into(),
            number: 1,
            what: What::Program(r#"BEGIN { printf("a b\n"); exit(); }"#.into()),
            expect: "two".into(),
            seconds: 5,
            requires: strings(&["command -v a", "command -v b"]),
            features: strings(&["btf", "loop"]),
            without_features: strings(&["dwarf"]),
            env: vec![("A".into(), "1".into()), ("B".into(), "2".into())],
            ..Test::default()
        };
        assert_eq!(tests[0], first);
        assert_eq!(
            tests[0].command("/x/bpftrace", None),
            r#"/x/bpftrace -e 'BEGIN { printf("a b\n"); exit(); }'"#
        );
        assert_eq!(tests[1].command("b", Some(7)), "b -p 7 | b -l");
        assert_eq!(tests[1].after.as_deref(), Some("./testprogs/b; c"));
        assert!(tests[1].will_fail && !tests[2].will_fail);
        assert_eq!(parse("file", FILE, "s390x").unwrap().len(), 3);
    }

    #[test]
    fn what_is_wrong_with_a_test_is_told() {
        for (text, problem) in [
            ("NAME a\nPROG x\nEXPECT y", "no TIMEOUT"),
            ("NAME a\nEXPECT y\nTIMEOUT 1", "neither RUN nor PROG"),
            ("NAME a\nRUN b\nPROG x\nEXPECT y\nTIMEOUT 1", "both RUN and PROG"),
            ("NAME a\nPROG x\nTIMEOUT 1", "no NAME or no EXPECT"),
            ("NAME a\nPROG x\nEXPECT y\nTIMEOUT 1\nEXPECT_NONE z", "EXPECT_NONE is not known"),
        ] {
            let error = format!("{:#}", parse("f", text, "x86_64").unwrap_err());
            assert!(error.ends_with(problem), "{error}");
        }
    }
}
