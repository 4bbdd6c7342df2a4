//! Semantic analysis: from the syntax tree to the typed program (names, types, constants).
//!
//! Types of maps and variables are found by a fixed point over the whole program: each pass visits all probes, and each
//! assignment widens the type of its target, until nothing changes. Only the last pass reports errors and builds the
//! typed program, with a conversion wherever the type of a value differs from that of its place. All passes run the
//! same code; [`Checker::last`] is the difference.

use super::ast::{self, Script};
use super::config::{Config, Problem};
use super::diagnostic::{Diagnostic, Diagnostics};
use super::environment::Environment;
use super::format::Format;
use super::hir::{
    FormatId, Map, MapId, MapKind, Probe, Program, Statement, StatementKind, VarId, Variable,
};
use super::probe::{AttachPoint, Kind};
use super::source::{Source, Span};
use super::types::Type;
use crate::user::UsdtProbe;
use join::Known;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

mod aggregate;
mod call;
mod context;
mod debug_type;
mod expression;
mod join;
mod kernel_type;
mod macros;
mod map;
mod name;
mod operator;
mod output;
mod place;
mod probes;
mod process;
mod statement;
mod type_name;
mod variable;

#[cfg(test)]
pub(in crate::bt) mod tests;

/// The absence of a result: an error has been reported, or a type is not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stop;

type Checked<T> = Result<T, Stop>;

/// The maximum number of inference passes before all types must be known. Each pass widens at least one type, and a
/// type can be widened a few times only.
const MAX_PASSES: usize = 64;

/// The additional nesting depth that the checker allows over the parser's limit.
const SLACK: usize = 20;

/// The most parts of a type: pointers, arrays, tuples and what they are made of.
const MAX_PARTS: usize = 1 << 16;

/// The most bytes of a type.
const MAX_BYTES: u32 = i32::MAX as u32;

/// The most bytes of a variable, of a key or of a value of a map. What there is memory for depends on the kernel, and is less.
pub(super) const MAX_VALUE: u32 = 1 << 20;

/// Checks a script. There is a program if there is no error among the diagnostics.
pub(crate) fn check(
    source: &Source,
    script: &Script,
    config: Config,
    environment: &dyn Environment,
) -> (Option<Program>, Diagnostics) {
    let mut checker = Checker::new(source, script, config, environment);
    checker.definitions();
    checker.expand();
    // Maps assigned in probes that could not be found have unknown types.
    checker.incomplete = checker.diagnostics.has_errors();
    for _ in 0..MAX_PASSES {
        checker.changed = false;
        checker.pass();
        if !checker.changed {
            break;
        }
    }
    checker.last = true;
    let probes = checker.pass();
    checker.bound_values();
    let diagnostics = std::mem::take(&mut checker.diagnostics);
    let program = (!diagnostics.has_errors()).then(|| checker.finish(probes));
    (program, diagnostics)
}

/// A map as far as it is known.
#[derive(Debug, Clone)]
struct MapState {
    name: Arc<str>,
    key: Known,
    value: Known,
    /// Whether it is used with a key, and where that was found out.
    keyed: Option<(bool, Span)>,
    asynchronous: bool,
    declared: Option<(MapKind, u32)>,
    /// Whether an expression that would determine its type is wrong.
    failed: bool,
    span: Span,
}

/// A variable as far as it is known.
#[derive(Debug, Clone)]
struct VariableState {
    name: Arc<str>,
    known: Known,
    /// Whether the type was declared, so that nothing widens it.
    fixed: bool,
    failed: bool,
    span: Span,
}

/// A program that a block becomes: for attach points that can share it.
#[derive(Debug, Clone)]
struct Instance {
    /// The index of the block in the script.
    block: usize,
    kind: Kind,
    attach_points: Vec<AttachPoint>,
    /// The place of each of them in the script.
    point_spans: Vec<Span>,
    usdt: Option<Arc<UsdtProbe>>,
    /// The arguments by name, as far as the block uses them.
    arguments: context::Arguments,
    variables: Vec<VariableState>,
    /// Variables by their declarations: the place of the declaration, and the use of a macro that contains it.
    declared: HashMap<(u64, u32, Arc<str>), VarId>,
}

/// The scopes of a block, or of a macro that is used in it.
#[derive(Debug, Default)]
struct Frame<'a> {
    scopes: Vec<HashMap<Arc<str>, VarId>>,
    /// Variables of inner blocks that have ended.
    ended: HashMap<Arc<str>, VarId>,
    /// The arguments bound to the parameters of the macro.
    expressions: HashMap<&'a str, &'a ast::Expr>,
    /// The maps that parameters stand for.
    maps: HashMap<&'a str, Arc<str>>,
    /// A number for this use of the macro.
    context: u64,
    /// The macro's name.
    name: Option<&'a str>,
}

struct Checker<'a> {
    source: &'a Source,
    script: &'a Script,
    environment: &'a dyn Environment,
    config: Config,
    diagnostics: Diagnostics,
    /// Whether this is the last pass, which reports errors and whose result counts.
    last: bool,
    /// Whether a type became another one in this pass.
    changed: bool,
    /// Whether probes or definitions are missing, so that what they would have assigned is not known.
    incomplete: bool,
    types: kernel_type::Table,
    maps: Vec<MapState>,
    map_ids: HashMap<Arc<str>, MapId>,
    instances: Vec<Instance>,
    /// The index of the current instance.
    current: usize,
    /// The instance that is current while definitions are checked.
    preamble: Instance,
    /// The current nesting depth of expressions and blocks.
    depth: usize,
    /// Whether the error about nesting too deeply has been reported.
    too_deep: bool,
    frames: Vec<Frame<'a>>,
    /// The number of enclosing loops.
    loops: usize,
    formats: Vec<Format>,
    strings: Vec<Arc<[u8]>>,
    /// Variables that have been reported as undefined, by the block.
    undefined: HashSet<(usize, Arc<str>)>,
}

impl<'a> Checker<'a> {
    fn new(
        source: &'a Source,
        script: &'a Script,
        config: Config,
        environment: &'a dyn Environment,
    ) -> Checker<'a> {
        Checker {
            source,
            script,
            environment,
            config,
            diagnostics: Diagnostics::default(),
            last: false,
            changed: false,
            incomplete: false,
            types: kernel_type::Table::default(),
            maps: Vec::new(),
            map_ids: HashMap::new(),
            instances: Vec::new(),
            current: 0,
            preamble: Instance {
                usdt: None,
                point_spans: Vec::new(),
                block: 0,
                kind: Kind::Special,
                attach_points: Vec::new(),
                arguments: Vec::new(),
                variables: Vec::new(),
                declared: HashMap::new(),
            },
            depth: 0,
            too_deep: false,
            frames: Vec::new(),
            loops: 0,
            formats: Vec::new(),
            strings: Vec::new(),
            undefined: HashSet::new(),
        }
    }

    /// Reports an error, in the last pass.
    fn error<T>(&mut self, span: Span, message: impl Into<String>) -> Checked<T> {
        self.report(Diagnostic::error(span, message))
    }

    fn unsupported<T>(&mut self, span: Span, feature: impl std::fmt::Display) -> Checked<T> {
        self.report(Diagnostic::unsupported(span, feature))
    }

    fn report<T>(&mut self, diagnostic: Diagnostic) -> Checked<T> {
        if self.last {
            self.diagnostics.push(diagnostic);
        }
        Err(Stop)
    }

    fn warn(&mut self, span: Span, message: impl Into<String>) {
        if self.last {
            self.diagnostics.push(Diagnostic::warning(span, message));
        }
    }

    fn instance(&mut self) -> &mut Instance {
        self.instances.get_mut(self.current).unwrap_or(&mut self.preamble)
    }

    fn kind(&self) -> Kind {
        self.instances.get(self.current).unwrap_or(&self.preamble).kind
    }

    fn type_text(&self, ty: &Type) -> String {
        ty.name(&self.types.structs, &self.types.enums)
    }

    /// Returns a type that was made of others, if it is not too deep, too wide or too large.
    fn bounded(&mut self, ty: Type, span: Span) -> Checked<Type> {
        let mut parts = MAX_PARTS;
        if !ty.is_within(ast::MAX_DEPTH, &mut parts) {
            let message = match parts {
                0 => format!("a type of more than {MAX_PARTS} parts"),
                _ => format!("a type nested too deeply: more than {} levels", ast::MAX_DEPTH),
            };
            return self.error(span, message);
        }
        // Sizes that do not fit are the largest number, rounded down to an alignment.
        if ty.size(&self.types.structs) > MAX_BYTES {
            return self.error(span, format!("a type of more than {MAX_BYTES} bytes"));
        }
        Ok(ty)
    }

    /// Reports variables and maps whose values are larger than what any probe has memory for: code that puts one there would be as
    /// long.
    fn bound_values(&mut self) {
        let size = |known: &Known| known.ty.as_ref().map_or(0, |ty| ty.size(&self.types.structs));
        let variables = self.instances.iter().flat_map(|instance| &instance.variables);
        let variables = variables.map(|one| (&one.name, size(&one.known), one.span));
        let maps = self
            .maps
            .iter()
            .flat_map(|map| [&map.key, &map.value].map(|known| (&map.name, size(known), map.span)));
        let large = variables.chain(maps).filter(|(_, size, _)| *size > MAX_VALUE);
        let large: Vec<_> = large
            .map(|(name, size, span)| {
                Diagnostic::error(
                    span,
                    format!("{name}: a value of {size} bytes, at most {MAX_VALUE} are possible"),
                )
            })
            .collect();
        large.into_iter().for_each(|one| self.diagnostics.push(one));
    }

    /// Goes one level deeper for the time of `f`. The parser bounds the depth of what is written; macros add to it.
    fn nested<T>(&mut self, span: Span, f: impl FnOnce(&mut Self) -> Checked<T>) -> Checked<T> {
        if self.depth >= ast::MAX_DEPTH + SLACK {
            if std::mem::replace(&mut self.too_deep, self.last) {
                return Err(Stop);
            }
            return self.error(
                span,
                format!("nested too deeply: more than {} levels with macros", ast::MAX_DEPTH),
            );
        }
        self.depth += 1;
        let result = f(self);
        self.depth -= 1;
        result
    }

    /// The settings, the definitions of types and maps.
    fn definitions(&mut self) {
        self.last = true;
        for setting in &self.script.config {
            let value = match &setting.value.node {
                ast::SettingValue::Int(value) => value.to_string(),
                ast::SettingValue::Text(text) => text.to_string(),
            };
            match self.config.set(&setting.name.node, &value) {
                Ok(()) => {}
                Err(Problem::Unknown(nearest)) => {
                    let message = format!("unknown setting: `{}`", setting.name.node);
                    let diagnostic =
                        Diagnostic::error(setting.name.span, message).nearest(&nearest);
                    self.diagnostics.push(diagnostic);
                }
                Err(Problem::Value(problem)) => {
                    let message = format!("{}: {problem}", setting.name.node);
                    self.diagnostics.push(Diagnostic::error(setting.value.span, message));
                }
            }
        }
        for unsupported in &self.script.unsupported {
            self.diagnostics.push(Diagnostic::unsupported(unsupported.span, unsupported.node));
        }
        self.define_types();
        for declaration in &self.script.maps {
            let _ = self.declare_map(declaration);
        }
        self.check_macros();
        self.last = false;
    }

    fn declare_map(&mut self, declaration: &ast::MapDeclaration) -> Checked<()> {
        let kind = match &*declaration.kind.node {
            "hash" => MapKind::Hash,
            "lruhash" => MapKind::LruHash,
            "percpuhash" => MapKind::PercpuHash,
            "percpulruhash" => MapKind::PercpuLruHash,
            "percpuarray" => MapKind::PercpuArray,
            other => {
                let message = format!("unknown kind of map: `{other}`");
                let hint = "expected hash, lruhash, percpuhash or percpulruhash";
                return self.report(Diagnostic::error(declaration.kind.span, message).hint(hint));
            }
        };
        let entries = match declaration.arguments.as_slice() {
            [ast::Expr { kind: ast::ExprKind::Int(entries), .. }] => u32::try_from(*entries).ok(),
            _ => None,
        };
        let Some(entries) = entries.filter(|entries| *entries > 0) else {
            let message =
                format!("{}: expected the number of elements, more than 0", declaration.kind.node);
            return self.error(declaration.span, message);
        };
        if self.map_ids.contains_key(&declaration.name.node) {
            let message = format!("`{}` is declared already", declaration.name.node);
            return self.error(declaration.name.span, message);
        }
        let id = self.map_id(&declaration.name.node, declaration.name.span);
        self.map(id).declared = Some((kind, entries));
        Ok(())
    }

    /// The map of a name, which becomes one if it is none.
    fn map_id(&mut self, name: &Arc<str>, span: Span) -> MapId {
        let frame = self.frames.last();
        let name = frame.and_then(|frame| frame.maps.get(&**name)).unwrap_or(name);
        if let Some(id) = self.map_ids.get(name) {
            return *id;
        }
        let id = MapId(self.maps.len() as u32);
        self.maps.push(MapState {
            name: Arc::clone(name),
            key: Known::default(),
            value: Known::default(),
            keyed: None,
            asynchronous: false,
            declared: None,
            failed: false,
            span,
        });
        self.map_ids.insert(Arc::clone(name), id);
        id
    }

    fn map(&mut self, id: MapId) -> &mut MapState {
        &mut self.maps[id.0 as usize]
    }

    /// Goes through all blocks.
    fn pass(&mut self) -> Vec<Probe> {
        let mut probes = Vec::new();
        for index in 0..self.instances.len() {
            self.current = index;
            self.frames = vec![Frame::default()];
            self.loops = 0;
            let Some(block) = self.instances.get(index).map(|instance| instance.block) else {
                continue;
            };
            let script = self.script;
            let Some(probe) = script.probes.get(block) else { continue };
            let predicate = probe.predicate.as_ref().map(|predicate| self.condition(predicate));
            let body = self.block(&probe.body);
            if !self.last {
                continue;
            }
            let predicate = match predicate {
                Some(Err(Stop)) => continue,
                Some(Ok(predicate)) => Some(predicate),
                None => None,
            };
            let predicate = self.of_process(predicate, probe.span);
            let Ok(mut body) = body else { continue };
            if let Some(condition) = predicate.as_ref().and_then(join::constant)
                && condition == 0
            {
                body = Vec::new();
            }
            let instance = self.instances.get(index).unwrap_or(&self.preamble);
            let variables = instance.variables.iter().map(|variable| Variable {
                name: Arc::clone(&variable.name),
                ty: variable.known.ty.clone().unwrap_or(Type::I64),
                span: variable.span,
            });
            probes.push(Probe {
                kind: instance.kind,
                attach_points: instance.attach_points.clone(),
                point_spans: instance.point_spans.clone(),
                usdt: instance.usdt.clone(),
                block: block as u32,
                variables: variables.collect(),
                predicate,
                body,
                span: probe.span,
            });
        }
        probes
    }

    fn finish(self, probes: Vec<Probe>) -> Program {
        let maps = self.maps.into_iter().map(|map| {
            let keyed = map.keyed.is_some_and(|(keyed, _)| keyed);
            let key = map.key.ty.filter(|_| keyed);
            let (kind, declared) = map.declared.unzip();
            Map {
                max_entries: if key.is_none() {
                    1
                } else {
                    declared.unwrap_or(self.config.max_map_keys)
                },
                name: map.name,
                key,
                value: map.value.ty.unwrap_or(Type::I64),
                kind,
                asynchronous: map.asynchronous,
                span: map.span,
            }
        });
        Program {
            source: self.source.clone(),
            maps: maps.collect(),
            config: self.config,
            structs: self.types.structs,
            enums: self.types.enums,
            formats: self.formats,
            strings: self.strings,
            probes,
        }
    }

    /// Keeps a format string.
    fn add_format(&mut self, format: Format) -> FormatId {
        if !self.last {
            return FormatId(0);
        }
        self.formats.push(format);
        FormatId((self.formats.len() - 1) as u32)
    }

    /// Keeps a string that run-time values name by its number.
    fn add_string(&mut self, text: &Arc<[u8]>) -> u32 {
        if !self.last {
            return 0;
        }
        let known = self.strings.iter().position(|one| one == text);
        known.unwrap_or_else(|| {
            self.strings.push(Arc::clone(text));
            self.strings.len() - 1
        }) as u32
    }
}

/// A statement at a place.
fn statement(kind: StatementKind, span: Span) -> Statement {
    Statement { kind, span }
}
