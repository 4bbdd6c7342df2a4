//! The outcome of a test, as a value and as a line of JSON: a guest reports so, and so the peer's results are kept.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// So much of an output is kept.
const KEPT: usize = 16 << 10;

/// The end of a test.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    Passed,
    Failed,
    TimedOut,
    /// The machine or the program lacks this.
    Skipped(String),
}

/// The end of a test and what led to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub end: End,
    pub output: String,
    /// The shell's exit status, unless a signal ended it or time ran out.
    pub status: Option<i32>,
    pub millis: u64,
}

/// Outcomes by the names of the tests.
pub type Outcomes = BTreeMap<String, Outcome>;

impl Outcome {
    /// One that came to no more than this.
    pub fn skipped(why: impl Into<String>) -> Outcome {
        Outcome { end: End::Skipped(why.into()), output: String::new(), status: None, millis: 0 }
    }

    /// A line of JSON.
    pub fn line(&self, id: &str) -> String {
        let (end, why) = match &self.end {
            End::Passed => ("passed", None),
            End::Failed => ("failed", None),
            End::TimedOut => ("timed out", None),
            End::Skipped(why) => ("skipped", Some(why)),
        };
        let kept = self.output.floor_char_boundary(KEPT);
        let value = json!({
            "test": id, "end": end, "why": why, "status": self.status, "millis": self.millis,
            "output": &self.output[..kept],
        });
        value.to_string()
    }
}

/// Reads a line back.
pub fn parse(line: &str) -> Option<(String, Outcome)> {
    let value: Value = serde_json::from_str(line).ok()?;
    let end = match value["end"].as_str()? {
        "passed" => End::Passed,
        "failed" => End::Failed,
        "timed out" => End::TimedOut,
        "skipped" => End::Skipped(value["why"].as_str()?.into()),
        _ => return None,
    };
    let status = value["status"].as_i64().and_then(|status| status.try_into().ok());
    let (output, millis) = (value["output"].as_str()?.into(), value["millis"].as_u64()?);
    Some((value["test"].as_str()?.into(), Outcome { end, output, status, millis }))
}

/// Keeps them in a file.
pub fn save(outcomes: &Outcomes, path: &Path) -> Result<()> {
    let lines: Vec<String> = outcomes.iter().map(|(id, outcome)| outcome.line(id)).collect();
    crate::paths::write_whole(path, (lines.join("\n") + "\n").as_bytes())
}

/// Reads outcomes back that were kept, if any were.
pub fn load(path: &Path) -> Result<Option<Outcomes>> {
    if !path.exists() {
        return Ok(None);
    }
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Some(text.lines().filter_map(parse).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_it_all() {
        for end in [End::Passed, End::Failed, End::TimedOut, End::Skipped("no nft".into())] {
            let outcome =
                Outcome { end, output: "a \"b\"\n\u{1}é".into(), status: Some(-1), millis: 7 };
            let line = outcome.line("call.\"x\"");
            assert!(!line.contains('\n'));
            assert_eq!(parse(&line), Some(("call.\"x\"".into(), outcome)));
        }
        assert_eq!(parse("{\"end\": \"passed\"}"), None);
        assert_eq!(parse("Attaching 1 probe..."), None);
    }

    #[test]
    fn a_long_output_is_cut_between_characters() {
        let output = "é".repeat(KEPT);
        let outcome = Outcome { end: End::Passed, output, status: None, millis: 0 };
        let (_, read) = parse(&outcome.line("a")).unwrap();
        assert_eq!(read.output, "é".repeat(KEPT / 2));
    }
}
