//! The order of the crate's modules: which of them may import from which, and a check that they do.

mod attributes;
mod imports;
#[cfg(test)]
mod tests;

use anyhow::Result;
use imports::{Import, Imports};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};

/// The layers, bottom to top, of the chapter *Architecture* of the design; within a layer, from left to right.
const LAYERS: [&[&str]; 10] = [
    &["util", "uapi", "error"],
    &["insn", "syscall", "ring", "wait", "syscall_trace"],
    &["spec"],
    &["asm", "codegen"],
    &["permission", "kernel"],
    &["btf", "user"],
    &["token", "verifier", "map", "program"],
    &["features", "list", "trace_pipe", "perf", "ringbuf", "attach", "object", "histogram"],
    &["progs", "bt"],
    &["cli", "main"],
];

/// Checks the crate of this workspace; the exit status is 1 if it breaks a rule.
pub fn run() -> Result<u8> {
    let problems = check(crate::paths::workspace(), &LAYERS)?;
    for problem in &problems {
        eprintln!("{problem}");
    }
    if problems.is_empty() {
        return Ok(0);
    }
    eprintln!("xtask: layers: {} places break the order of the modules", problems.len());
    Ok(1)
}

/// A broken rule, and the line that breaks it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Problem {
    file: PathBuf,
    line: usize,
    rule: Rule,
}

/// The rule that is broken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rule {
    /// A module imports from a layer above its own.
    Upward { from: String, from_layer: usize, to: String, to_layer: usize, path: String },
    /// A module imports from one to the right of it in its layer.
    Sideways { from: String, to: String, layer: usize, order: String, path: String },
    /// Areas import each other: every area, with the place of its import of the next.
    Circle { areas: Vec<String>, steps: Vec<(String, PathBuf, usize)> },
    /// The table has no such area.
    NotInTable { area: String },
    /// A path that does not show which area it means.
    Unclear { path: String, why: &'static str },
    /// A file under `src/` that no `mod` item names.
    NotInCrate,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file.display(), self.line)?;
        match &self.rule {
            Rule::Upward { from, from_layer, to, to_layer, path } => write!(
                f,
                "`{from}` (layer {from_layer}) imports `{to}` (layer {to_layer}) by `{path}`: \
                 a module may only import from layers below its own"
            ),
            Rule::Sideways { from, to, layer, order, path } => write!(
                f,
                "`{from}` imports `{to}` by `{path}`, both in layer {layer}: \
                 within a layer a module may only import from those to its left: {order}"
            ),
            Rule::Circle { areas, steps } => {
                write!(f, "{} areas import each other in a circle: ", areas.len())?;
                for area in areas {
                    write!(f, "`{area}` ")?;
                }
                write!(f, "(for instance ")?;
                for (i, (area, file, line)) in steps.iter().enumerate() {
                    let arrow = if i == 0 { "" } else { ", " };
                    let next = steps.get(i + 1).or(steps.first()).map_or("", |step| &step.0);
                    write!(f, "{arrow}`{area}` -> `{next}` at {}:{line}", file.display())?;
                }
                write!(f, ")")
            }
            Rule::NotInTable { area } => {
                write!(f, "`{area}` is not in the table of layers in xtask/src/layers.rs")
            }
            Rule::Unclear { path, why } => write!(f, "`{path}`: {why}"),
            Rule::NotInCrate => {
                write!(f, "no `mod` item names this file, its imports are not seen")
            }
        }
    }
}

/// Returns what the crate whose root directory is given does against the order of the layers, sorted by place.
fn check(root: &Path, layers: &[&[&str]]) -> Result<Vec<Problem>> {
    let Imports { imports, areas, unclear, not_in_crate } = imports::read(root)?;
    let place = |area: &str| {
        layers.iter().enumerate().find_map(|(layer, areas)| {
            areas.iter().position(|a| *a == area).map(|position| (layer, position))
        })
    };

    let mut problems = Vec::new();
    problems.extend(not_in_crate.into_iter().map(|file| Problem {
        file,
        line: 1,
        rule: Rule::NotInCrate,
    }));
    problems.extend(unclear.into_iter().map(|at| Problem {
        file: at.file,
        line: at.line,
        rule: Rule::Unclear { path: at.path, why: at.why },
    }));
    for (area, file) in areas.iter().filter(|(area, _)| place(area).is_none()) {
        let rule = Rule::NotInTable { area: area.clone() };
        problems.push(Problem { file: file.clone(), line: 1, rule });
    }
    for import in &imports {
        let (Some(from), Some(to)) = (place(&import.from), place(&import.to)) else { continue };
        if to < from {
            continue;
        }
        let (path, file, line) = (import.path.clone(), import.file.clone(), import.line);
        let (from_area, to_area) = (import.from.clone(), import.to.clone());
        let rule = if to.0 > from.0 {
            Rule::Upward { from: from_area, from_layer: from.0, to: to_area, to_layer: to.0, path }
        } else {
            let order = layers[to.0].join(", ");
            Rule::Sideways { from: from_area, to: to_area, layer: to.0, order, path }
        };
        problems.push(Problem { file, line, rule });
    }
    problems.extend(circles(&imports));
    problems.sort();
    problems.dedup();
    Ok(problems)
}

/// Returns one problem for each set of areas that all reach each other.
fn circles(imports: &[Import]) -> Vec<Problem> {
    // The first import of each pair of areas stands for all of them.
    let mut graph: BTreeMap<&str, BTreeMap<&str, &Import>> = BTreeMap::new();
    for import in imports {
        graph.entry(&import.from).or_default().entry(&import.to).or_insert(import);
    }
    let mut known = BTreeSet::new();
    let mut problems = Vec::new();
    for &area in graph.keys() {
        if known.contains(area) {
            continue;
        }
        let Some(steps) = shortest_circle(&graph, area) else { continue };
        let reached = reachable(&graph, area);
        let areas: Vec<String> = reached
            .iter()
            .filter(|other| reachable(&graph, other).contains(area))
            .map(ToString::to_string)
            .collect();
        known.extend(graph.keys().copied().filter(|a| areas.iter().any(|other| other == a)));
        let Some(first) = steps.first() else { continue };
        let (file, line) = (first.file.clone(), first.line);
        let steps = steps.iter().map(|i| (i.from.clone(), i.file.clone(), i.line)).collect();
        problems.push(Problem { file, line, rule: Rule::Circle { areas, steps } });
    }
    problems
}

/// Returns the areas that are reached from an area by one import or more.
fn reachable<'a>(
    graph: &BTreeMap<&'a str, BTreeMap<&'a str, &'a Import>>,
    from: &str,
) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut pending = vec![from];
    while let Some(area) = pending.pop() {
        for &next in graph.get(area).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(next) {
                pending.push(next);
            }
        }
    }
    reached
}

/// Returns the imports of a shortest way from an area back to itself, if there is one.
fn shortest_circle<'a>(
    graph: &BTreeMap<&'a str, BTreeMap<&'a str, &'a Import>>,
    start: &str,
) -> Option<Vec<&'a Import>> {
    let mut reached = BTreeSet::new();
    let mut pending: VecDeque<(&str, Vec<&Import>)> = VecDeque::from([(start, Vec::new())]);
    while let Some((area, way)) = pending.pop_front() {
        for (&next, &import) in graph.get(area).into_iter().flatten() {
            let mut longer = way.clone();
            longer.push(import);
            if next == start {
                return Some(longer);
            }
            if reached.insert(next) {
                pending.push_back((next, longer));
            }
        }
    }
    None
}
