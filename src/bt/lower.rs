//! Lowering: from the typed program to BPF programs, through [`codegen`](crate::codegen).
//!
//! Scalars are variables of the code generator. Everything else is an object in memory; an expression of such a type is
//! first [prepared](memory::Prepared), which evaluates everything that it depends on, and then put into its
//! place, which may be a record of the ring buffer, a key or a variable.
//!
//! Cold paths (no room in a map or in the ring buffer, a division by 0) are emitted behind all other code
//! ([`Lower::cold`]).

mod aggregate;
mod builtin;
mod call;
mod callback;
mod compare;
mod condition;
mod control;
mod expression;
mod helper;
mod known;
mod map;
mod memory;
mod path;
mod read;
mod record;
mod scratch;
mod statement;
mod usdt;
mod variable;

#[cfg(test)]
mod tests;

use super::diagnostic::Diagnostic;
use super::hir::{Access, Async, ExprKind, Probe, Program, StatementKind};
use super::plan::{Feature, MapPlan, Plan, ProgramPlan, Record, Target};
use super::probe::{AttachPoint, Kind};
use super::source::Span;
use super::types::{Structs, Type};
use super::visit::{self, Node};
use crate::codegen::{Block, CodegenError, CodegenProblem, Compiled, Function, Options, Unit, Var};
use crate::insn::{Condition, Size};
use crate::uapi::{AttachType, ProgramType};

type Lowered<T> = Result<T, Diagnostic>;

/// Lowers a program for the maps that were planned for it.
///
/// # Errors
/// The first thing that cannot be compiled, at its place.
pub(crate) fn lower<'p>(
    program: &'p Program,
    maps: &'p MapPlan<'p>,
    target: &Target<'_>,
) -> Lowered<Plan<'p>> {
    let exits = program.probes.iter().any(|probe| {
        let mut found = false;
        visit::statements(&probe.body, &mut |node| {
            if let Node::Statement(statement) = node {
                found |= matches!(statement.kind, StatementKind::Async(Async::Exit(_)));
            }
        });
        found
    });
    let mut shared = Shared { program, maps, target, records: Vec::new(), exits };
    let (mut programs, mut points, mut point_spans) = (Vec::new(), Vec::new(), Vec::new());
    for (probe, index) in program.probes.iter().zip(0..) {
        let first = points.len() as u32;
        points.extend(&probe.attach_points);
        point_spans.extend(&probe.point_spans);
        let all = first..points.len() as u32;
        let needed = needs_point(probe) && all.len() > 1;
        let mut add = |points: std::ops::Range<u32>, cookies| -> Lowered<()> {
            let point = match cookies {
                true => Point::Cookie,
                false => Point::Known(points.start),
            };
            let name = match points.len() {
                1 => probe.attach_points.get((points.start - first) as usize),
                _ => probe.attach_points.first(),
            };
            let name = name.map_or_else(String::new, program_name);
            let (kind, attach_type) = program_type(probe, target);
            let code = shared.compile(probe, point, &name)?;
            let span = probe.span;
            let plan =
                ProgramPlan { name, probe: index, points, kind, attach_type, cookies, code, span };
            programs.push(plan);
            Ok(())
        };
        match needed && !target.has(cookie_feature(probe.kind)) {
            true => all.into_iter().try_for_each(|point| add(point..point + 1, false))?,
            false => add(all, needed)?,
        }
    }
    Ok(Plan { programs, records: shared.records, points, point_spans })
}

/// The feature by which programs of a kind find out at which of their attach points they run.
fn cookie_feature(kind: Kind) -> Feature {
    match kind {
        Kind::Fentry | Kind::Fexit => Feature::TracingCookie,
        Kind::RawTracepoint => Feature::RawTracepointCookie,
        _ => Feature::Cookie,
    }
}

/// Whether the program depends on which of its attach points it is.
fn needs_point(probe: &Probe) -> bool {
    any_expression(probe, |kind| matches!(kind, ExprKind::Builtin(super::hir::Builtin::Name)))
}

fn any_expression(probe: &Probe, is: impl Fn(&ExprKind) -> bool) -> bool {
    let mut found = false;
    let mut look = |node: Node<'_>| {
        if let Node::Expr(expr) = node {
            found |= is(&expr.kind);
        }
    };
    probe.predicate.iter().for_each(|predicate| visit::expression(predicate, &mut look));
    visit::statements(&probe.body, &mut look);
    found
}

/// A name that the kernel takes: letters, digits, `_` and `.`.
fn program_name(point: &AttachPoint) -> String {
    let name = match point {
        AttachPoint::Tracepoint { name, .. } | AttachPoint::RawTracepoint { name, .. } => {
            name.clone()
        }
        other => other
            .function()
            .filter(|function| !function.is_empty())
            .map_or_else(|| other.to_string(), str::to_owned),
    };
    let valid = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '.';
    name.chars().map(|char| if valid(char) { char } else { '_' }).collect()
}

/// Whether the verifier must track the types of the program's arguments.
fn is_typed(probe: &Probe, target: &Target<'_>) -> bool {
    match probe.kind {
        Kind::Fentry | Kind::Fexit => true,
        Kind::RawTracepoint => {
            target.direct_loads
                && any_expression(probe, |kind| match kind {
                    ExprKind::Load { access: Access::Btf, address, .. } => {
                        read::is_from_context(address)
                    }
                    _ => false,
                })
        }
        _ => false,
    }
}

fn program_type(probe: &Probe, target: &Target<'_>) -> (ProgramType, Option<AttachType>) {
    match probe.kind {
        Kind::Special => (ProgramType::RawTracepoint, None),
        Kind::Interval | Kind::Profile | Kind::Software | Kind::Hardware | Kind::Watchpoint => {
            (ProgramType::PerfEvent, None)
        }
        Kind::Tracepoint => (ProgramType::Tracepoint, None),
        Kind::RawTracepoint if is_typed(probe, target) => {
            (ProgramType::Tracing, Some(AttachType::TraceRawTp))
        }
        Kind::RawTracepoint => (ProgramType::RawTracepoint, None),
        Kind::Kprobe | Kind::Kretprobe | Kind::Uprobe | Kind::Uretprobe | Kind::Usdt => {
            (ProgramType::Kprobe, None)
        }
        Kind::Fentry => (ProgramType::Tracing, Some(AttachType::TraceFentry)),
        Kind::Fexit => (ProgramType::Tracing, Some(AttachType::TraceFexit)),
        Kind::Iter => (ProgramType::Tracing, Some(AttachType::TraceIter)),
    }
}

/// The source of the index of the attach point that a program runs at.
#[derive(Debug, Clone, Copy)]
enum Point {
    Known(u32),
    Cookie,
}

/// State that all probes share.
struct Shared<'p, 't> {
    program: &'p Program,
    maps: &'p MapPlan<'p>,
    target: &'t Target<'t>,
    records: Vec<Record<'p>>,
    /// Whether a probe calls `exit()`.
    exits: bool,
}

impl<'p> Shared<'p, '_> {
    /// Compiles a probe. The scratch memory that it needs is known only when it has been compiled.
    fn compile(&mut self, probe: &'p Probe, point: Point, name: &str) -> Lowered<Compiled<'p>> {
        let records = self.records.len();
        let mut bytes = scratch::Sizes::default();
        // Each round requests more scratch memory; the size of its maps bounds the rounds.
        loop {
            self.records.truncate(records);
            let lower = Lower::new(self, probe, point, name, bytes.clone())?;
            match lower.compile()? {
                Ok(compiled) => return Ok(compiled),
                Err(error) => match scratch_needed(&error) {
                    Some(more) if bytes.raise(error.function(), more) => {}
                    _ => return Err(self.refuse(probe, &error)),
                },
            }
        }
    }

    fn refuse(&self, probe: &Probe, error: &CodegenError) -> Diagnostic {
        let span =
            error.span().map_or(probe.span, |span| Span { start: span.start, end: span.end });
        Diagnostic::error(span, format!("cannot be compiled: {error}"))
    }
}

fn scratch_needed(error: &CodegenError) -> Option<u32> {
    match error.problem() {
        CodegenProblem::ScratchNeeded { bytes } => Some(*bytes),
        _ => None,
    }
}

/// A piece of cold code, emitted behind the other code.
type Cold<'l, 'p, 't> = Box<dyn FnOnce(&mut Lower<'l, 'p, 't>) + 'p>;

/// The lowering of one probe.
struct Lower<'l, 'p, 't> {
    shared: &'l mut Shared<'p, 't>,
    probe: &'p Probe,
    unit: Unit<'p>,
    f: Function<'p>,
    context: Var,
    point: Point,
    /// Whether pointers from the context have types that the verifier tracks.
    typed: bool,
    variables: variable::Variables,
    known: known::Known<'p>,
    loops: Vec<control::Loop>,
    /// The number of statements that unrolling has made.
    unrolled: usize,
    /// The end of this run.
    exit: Block,
    scratch: Option<scratch::Scratch>,
    sizes: scratch::Sizes,
    cold: Vec<(Block, Span, Cold<'l, 'p, 't>)>,
    /// The place of the construct that is being lowered.
    span: Span,
    /// The frame that loop bodies compiled to functions of their own share with the main function.
    frame: Option<callback::Frame>,
    /// The number of such functions so far.
    callbacks: u32,
}

impl<'l, 'p, 't> Lower<'l, 'p, 't> {
    fn new(
        shared: &'l mut Shared<'p, 't>,
        probe: &'p Probe,
        point: Point,
        name: &str,
        sizes: scratch::Sizes,
    ) -> Lowered<Lower<'l, 'p, 't>> {
        let mut f = Function::new(name, 1);
        let context = f.context();
        let exit = f.block();
        let typed = is_typed(probe, shared.target);
        let mut lower = Lower {
            shared,
            probe,
            unit: Unit::new(),
            f,
            context,
            point,
            typed,
            variables: variable::Variables::default(),
            known: known::Known::default(),
            loops: Vec::new(),
            unrolled: 0,
            exit,
            scratch: None,
            sizes,
            cold: Vec::new(),
            span: probe.span,
            frame: None,
            callbacks: 0,
        };
        lower.at(probe.span);
        lower.claim_scratch()?;
        Ok(lower)
    }

    /// Emits everything and compiles it.
    fn compile(mut self) -> Lowered<Result<Compiled<'p>, CodegenError>> {
        self.refuse_kind()?;
        self.place_variables();
        if self.probe.kind == Kind::Iter {
            self.begin_object();
        }
        if let Some(predicate) = &self.probe.predicate {
            let body = self.f.block();
            self.stay_on_line();
            self.guard(predicate, body, self.exit)?;
            self.f.switch_to(body);
        }
        self.statements(&self.probe.body)?;
        self.f.switch_to(self.exit);
        self.at(self.probe.span);
        self.release_scratch();
        self.f.ret(0);
        self.emit_cold();
        let options = Options::new().isa(self.shared.target.isa);
        let source = &self.shared.program.source;
        let shown = self.shared.target.virtual_code.map(|all| (all, self.f.to_string()));
        let compiled = self.unit.compile(self.f, &options);
        if let (Some((all, text)), Ok(_)) = (shown, &compiled) {
            all.borrow_mut().push(text);
        }
        Ok(compiled.map(|compiled| compiled.with_source(&source.text, &source.name, 1)))
    }

    /// Emits the deferred code. What is known to the code before it is not known here, and the other way round.
    fn emit_cold(&mut self) {
        let known = std::mem::take(&mut self.known);
        while let Some((block, span, emit)) = self.cold.pop() {
            self.at(span);
            self.f.switch_to(block);
            emit(self);
        }
        self.known = known;
    }

    /// Begins a run for an object of an iterator. After the last one the program runs once more, for none. What it writes to the
    /// iterator's file, a byte, makes the kernel return from `read(2)` now and then, so that the ring is read meanwhile.
    fn begin_object(&mut self) {
        let object = self.f.load(Size::Double, self.context.at(8));
        let some = self.f.block();
        self.f.branch(Condition::Ne, object, 0, some, self.exit);
        self.f.switch_to(some);
        let meta = self.f.load(Size::Double, self.context.at(0));
        let file = self.f.load_field(Size::Double, meta, "bpf_iter_meta.seq");
        let byte = self.room(8);
        self.f.store(Size::Double, byte.address, 0);
        let byte = self.pointer(byte);
        self.call_number(helper::SEQ_WRITE, &[file.into(), byte, 1.into()]);
    }

    fn refuse_kind(&self) -> Lowered<()> {
        match self.probe.kind {
            Kind::Watchpoint => {
                let word = self.probe.kind.word();
                Err(Diagnostic::unsupported(self.probe.span, format!("{word} probes")))
            }
            _ => Ok(()),
        }
    }

    /// Sets the place in the script of the next instructions.
    fn at(&mut self, span: Span) {
        self.span = span;
        self.f.at(span.start..span.end);
    }

    /// Defers code to behind the other code; returns its block.
    fn cold(&mut self, emit: impl FnOnce(&mut Lower<'l, 'p, 't>) + 'p) -> Block {
        let block = self.f.block();
        self.cold.push((block, self.span, Box::new(emit)));
        block
    }

    fn unsupported<T>(&self, span: Span, feature: impl std::fmt::Display) -> Lowered<T> {
        Err(Diagnostic::unsupported(span, feature))
    }

    fn structs(&self) -> &'p Structs {
        &self.shared.program.structs
    }

    fn size(&self, ty: &Type) -> u32 {
        ty.size(self.structs())
    }
}
