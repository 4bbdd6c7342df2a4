//! Starts a compiled script: its maps, its programs, `BEGIN`, and the links.

use super::action::Record;
use super::attach::{self, Placed};
use super::data::Stored;
use super::feature::Kernel;
use super::iterations::Iterations;
use super::layout::Reader;
use super::live::{Globals, Parts, Run};
use super::resolve::Names;
use super::script::{Error, Result, Script, ScriptError};
use super::special::Special;
use crate::bt::config::MissingProbes;
use crate::bt::diagnostic::Diagnostic;
use crate::bt::functions;
use crate::bt::hir;
use crate::bt::lower::lower;
use crate::bt::plan::{self, MapPlan, Plan, ProgramPlan, Target};
use crate::bt::probe::AttachPoint;
use crate::bt::source::Span;
use crate::bt::visit::{self, Node};
use crate::codegen::{Compiled, Isa};
use crate::kernel::cpu;
use crate::map::{Map, Update};
use crate::program::{Loader, Program};
use crate::ring::page_size;
use crate::ringbuf::RingBufReader;
use crate::spec::ProgramSpec;
use crate::syscall;
use crate::uapi::{AttachType, ProgramType};
use crate::util::escape::shown_path;
use std::collections::VecDeque;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

/// Loads and attaches a script. `loaded` is called in between.
pub(super) fn start(script: &Script, loaded: &dyn Fn()) -> Result<Run> {
    let kernel = Kernel::default();
    let has = |feature| kernel.has(feature);
    let mut target = target(&has)?;
    match start_for(script, &target, loaded) {
        Err(Failed { refused: true, .. }) => {
            // Some kernels' verifiers lack types that others have.
            target.direct_loads = false;
            start_for(script, &target, loaded).map_err(|failed| *failed.error)
        }
        answer => answer.map_err(|failed| *failed.error),
    }
}

/// Returns the target of code generation.
pub(super) fn target<'t>(has: &'t dyn Fn(plan::Feature) -> bool) -> Result<Target<'t>> {
    Ok(Target {
        isa: Isa::V3,
        cpus: cpu::nr_cpu_ids()?,
        page_size: u32::try_from(page_size()).unwrap_or(4096),
        pid_namespace: pid_namespace(),
        direct_loads: true,
        virtual_code: None,
        has,
    })
}

/// `PROC_PID_INIT_INO`: the number of the first PID namespace.
const FIRST_NAMESPACE: u64 = 0xefff_fffc;

fn pid_namespace() -> Option<(u64, u64)> {
    let about = std::fs::metadata("/proc/self/ns/pid").ok()?;
    (about.ino() != FIRST_NAMESPACE).then(|| (about.dev(), about.ino()))
}

/// The reason why a script does not run.
struct Failed {
    error: Box<Error>,
    /// Whether the verifier rejected a program.
    refused: bool,
}

impl<E: Into<Error>> From<E> for Failed {
    fn from(error: E) -> Failed {
        Failed { error: Box::new(error.into()), refused: false }
    }
}

fn start_for(
    script: &Script,
    target: &Target<'_>,
    ready: &dyn Fn(),
) -> std::result::Result<Run, Failed> {
    let program = &*script.program;
    let refuse = |diagnostic: Diagnostic| ScriptError::at(&diagnostic, &program.source, None);
    let maps = MapPlan::new(program, target).map_err(refuse)?;
    let plan = lower(program, &maps, target).map_err(refuse)?;
    let mut loader = Loader::new();
    let made = make(&mut loader, script, &maps, &plan)?;
    let loaded = load(&mut loader, program, &plan)?;
    ready();
    let (special, placed): (Vec<_>, Vec<_>) =
        loaded.into_iter().partition(|placed| placed.points.iter().all(|(point, _)| is_run(point)));
    let mut probes: usize = special.iter().map(|placed| placed.points.len()).sum();
    let special = special.into_iter().fold(Special::default(), |mut all, placed| {
        all.add(placed.program, placed.points.iter().map(|(point, _)| *point));
        all
    });
    special.begin()?;
    let (mut links, mut iterators, mut programs) = (Vec::new(), VecDeque::new(), Vec::new());
    let mut warnings = Vec::new();
    let mut unmapped = Vec::new();
    let mut placed: Vec<_> = placed.into_iter().enumerate().collect();
    placed.sort_by_key(|(index, placed)| attach::turn(program, placed.probe, *index));
    for (index, placed) in placed {
        let point = |number: u32| plan.points.get(number as usize).map(ToString::to_string);
        let span = |number: u32| plan.point_spans.get(number as usize).copied().unwrap_or_default();
        let (placed, attached) = attach_one(&mut loader, program, &plan, placed, script)?;
        let many = placed.points.len() > 1;
        let none = attached.points == 0;
        for (number, error) in attached.failed {
            let (point, span) = (point(number).unwrap_or_default(), span(number));
            let message = format!("{point}: {error}");
            let skip = many && !none && attach::is_passed_over(&error);
            match program.config.missing_probes {
                MissingProbes::Error if !skip => {
                    let diagnostic = Diagnostic::error(span, message);
                    return Err(ScriptError::at(&diagnostic, &program.source, Some(error)).into());
                }
                MissingProbes::Ignore => {}
                _ => {
                    let warning = Diagnostic::warning(span, message).render(&program.source);
                    warnings.push((index, warning));
                }
            }
        }
        if let Some((point, number)) = attach::return_of_go(&placed.points) {
            let message = format!(
                "{point}: the probe of a return can crash a program of Go, which moves its stack and reads the return address that the kernel has changed"
            );
            let warning = Diagnostic::warning(span(number), message).render(&program.source);
            warnings.push((index, warning));
        }
        for (point, number) in &placed.points {
            let Some(pid) = script.options.pid else { break };
            let Some(file) = attach::unmapped_file(point, placed.program.kind(), pid) else {
                continue;
            };
            if !unmapped.contains(&file) {
                let message = format!(
                    "process {pid} does not map {}: the probe runs when it does",
                    shown_path(&file)
                );
                let warning = Diagnostic::warning(span(*number), message).render(&program.source);
                warnings.push((index, warning));
                unmapped.push(file);
            }
        }
        if attached.cpus_without > 0 {
            let message = format!(
                "{} CPUs have no such event (ENODEV): what happens there is not seen",
                attached.cpus_without
            );
            let first = placed.points.first().map_or(Span::default(), |(_, number)| span(*number));
            let warning = Diagnostic::warning(first, message).render(&program.source);
            warnings.push((index, warning));
        }
        probes += attached.points;
        match placed.points.first() {
            Some((AttachPoint::Iter { .. }, _)) => {
                iterators.extend(attached.links.into_iter().map(|link| (index, link)));
            }
            _ => links.extend(attached.links),
        }
        let name = placed.points.first().map(|(point, _)| point.to_string());
        programs.push((index, (name.unwrap_or_default(), placed.program)));
    }
    let (warnings, programs) = (in_order(warnings).concat(), in_order(programs));
    // Those of the script's first probe come first.
    iterators.make_contiguous().sort_by_key(|(index, _)| *index);
    let iterators: VecDeque<_> = iterators.into_iter().map(|(_, link)| link).collect();
    let record = plan.records.iter().map(|record| record.size).max().unwrap_or(0);
    let waits =
        script.options.pid.is_some() || script.options.command.is_some() || special.has_signals();
    let begin_alone = links.is_empty() && iterators.is_empty() && !waits;
    let iterations = Iterations::new(iterators, links.is_empty(), record, maps.ring.max_entries);
    let parts =
        Parts { links, iterations, begin_alone, programs, special, probes, warnings, ..made };
    Ok(Run::new(parts))
}

/// Puts values in the order of their numbers.
fn in_order<T>(mut numbered: Vec<(usize, T)>) -> Vec<T> {
    numbered.sort_by_key(|(number, _)| *number);
    numbered.into_iter().map(|(_, value)| value).collect()
}

fn is_run(point: &AttachPoint) -> bool {
    matches!(
        point,
        AttachPoint::Begin
            | AttachPoint::End
            | AttachPoint::Signal(_)
            | AttachPoint::OnRequest { .. }
    )
}

/// Creates the maps and opens the ring buffer.
fn make<'p>(
    loader: &mut Loader<'p>,
    script: &Script,
    maps: &'p MapPlan<'p>,
    plan: &Plan<'p>,
) -> Result<Parts> {
    let program = &script.program;
    let mut stored = Vec::new();
    for map in &maps.user {
        stored.push(Stored::new(map, loader.map(&map.spec)?.clone()));
    }
    let mut names = Names::default();
    if !program.config.demangle {
        names.keep_mangled();
    }
    for stack in &maps.stacks {
        names.add_stacks(stack.space, stack.depth, loader.map(&stack.spec)?.clone());
    }
    let globals = loader.map(maps.globals())?.clone();
    fill(&globals, maps.layout, script.options.command)?;
    // A script that only counts sends nothing.
    let ring = match plan.records.is_empty() {
        true => None,
        false => Some(RingBufReader::open(loader.map(&maps.ring)?)?),
    };
    let watched = script.options.command.or(script.options.pid);
    let user_stacks = maps.stacks.iter().any(|stack| stack.space == crate::bt::types::Space::User);
    if let Some(pid) = watched.filter(|_| user_stacks || uses_user_symbols(program)) {
        names.watch(pid);
    }
    let reader = Reader {
        program: Arc::clone(program),
        points: plan.points.iter().map(|point| (*point).clone()).collect(),
        names,
    };
    Ok(Parts {
        reader,
        records: plan.records.iter().map(|record| Record::new(record, program)).collect(),
        maps: stored,
        globals: Globals::new(globals, maps.layout),
        ring,
        shell: script.options.shell,
        links: Vec::new(),
        iterations: Iterations::default(),
        begin_alone: false,
        programs: Vec::new(),
        special: Special::default(),
        probes: 0,
        warnings: String::new(),
    })
}

fn uses_user_symbols(program: &hir::Program) -> bool {
    let mut found = false;
    crate::bt::visit::program(program, &mut |node| {
        if let crate::bt::visit::Node::Expr(expr) = node {
            found |= expr.ty == crate::bt::types::Type::UserSymbol;
        }
    });
    found
}

/// Writes the map of globals that programs read.
fn fill(map: &Map, layout: plan::Globals, command: Option<u32>) -> Result<()> {
    let mut bytes = vec![0; layout.size() as usize];
    let mut put = |offset: u32, number: u64| {
        let place = bytes.get_mut(offset as usize..).and_then(|rest| rest.get_mut(..8));
        if let Some(place) = place {
            place.copy_from_slice(&number.to_ne_bytes());
        }
    };
    let boot = syscall::clock_ns(libc::CLOCK_BOOTTIME);
    put(plan::Globals::START, boot);
    put(plan::Globals::TAI_OFFSET, syscall::clock_ns(libc::CLOCK_TAI).wrapping_sub(boot));
    put(plan::Globals::COMMAND, command.map_or(0, u64::from));
    map.update(&0_u32.to_ne_bytes(), &bytes, Update::Any)?;
    Ok(())
}

/// Loads all programs; those whose target is named at load once for each.
fn load<'p>(
    loader: &mut Loader<'p>,
    program: &'p hir::Program,
    plan: &'p Plan<'p>,
) -> std::result::Result<Vec<Placed<'p>>, Failed> {
    let mut loaded = Vec::new();
    for one in &plan.programs {
        let points: Vec<_> = one
            .points
            .clone()
            .filter_map(|number| Some((*plan.points.get(number as usize)?, number)))
            .collect();
        if one.kind == ProgramType::Tracing {
            for (point, number) in points {
                let spec = spec(program, one);
                let spec = match attach::traced(point) {
                    Some(target) => spec.with_target(target),
                    None => spec,
                };
                let points = vec![(point, number)];
                let at = (point, plan.point_spans.get(number as usize).copied());
                let loaded_one = load_one(loader, program, one, &spec, at)?;
                loaded.push(Placed {
                    program: loaded_one,
                    points,
                    cookies: one.cookies,
                    probe: one.probe,
                });
            }
            continue;
        }
        let Some((first, _)) = points.first() else { continue };
        let first = (*first, None);
        let only: Vec<_> = points.iter().map(|(point, _)| *point).collect();
        let spec = spec(program, one);
        let spec = match attach::multi(&only) {
            Some(attach_type) => spec.with_attach_type(attach_type),
            None => spec,
        };
        let loaded_one = load_one(loader, program, one, &spec, first)?;
        loaded.push(Placed { program: loaded_one, points, cookies: one.cookies, probe: one.probe });
    }
    Ok(loaded)
}

fn spec<'p>(program: &'p hir::Program, one: &'p ProgramPlan<'p>) -> ProgramSpec<'p, 'p> {
    let spec = ProgramSpec::new(&one.name, one.kind, one.code.code_with_fields());
    ProgramSpec { attach_type: one.attach_type, ..spec }.with_license(&program.config.license)
}

fn load_one<'p>(
    loader: &mut Loader<'p>,
    program: &hir::Program,
    one: &ProgramPlan<'_>,
    spec: &ProgramSpec<'p, 'p>,
    (point, point_span): (&AttachPoint, Option<Span>),
) -> std::result::Result<Program, Failed> {
    loader.load(spec).map_err(|error| {
        let Some(verdict) = error.verifier() else {
            let span = point_span.unwrap_or(one.span);
            let diagnostic = Diagnostic::error(span, format!("{point}: {error}"));
            return ScriptError::at(&diagnostic, &program.source, Some(error)).into();
        };
        let span = verdict.instruction().and_then(|slot| place(&one.code, slot));
        let mut diagnostic = Diagnostic::error(
            span.unwrap_or(one.span),
            format!("{point}: the verifier refuses the program: {}", verdict.cause()),
        );
        for line in verdict.details().skip(1) {
            diagnostic = diagnostic.hint(line);
        }
        if program.probes.get(one.probe).is_some_and(has_path) {
            diagnostic = diagnostic.hint(format!("path() is for {}", functions::PATH));
        }
        let error = ScriptError::at(&diagnostic, &program.source, Some(error)).into();
        Failed { error: Box::new(error), refused: true }
    })
}

/// Whether a probe calls `path()`, which the kernel allows in few functions.
fn has_path(probe: &hir::Probe) -> bool {
    let mut found = false;
    let mut look = |node: Node<'_>| {
        if let Node::Expr(hir::Expr { kind: hir::ExprKind::Call(call), .. }) = node {
            found |= matches!(**call, hir::Call::Path(_));
        }
    };
    probe.predicate.iter().for_each(|predicate| visit::expression(predicate, &mut look));
    visit::statements(&probe.body, &mut look);
    found
}

/// The place in the script that an instruction comes from.
fn place(code: &Compiled<'_>, slot: usize) -> Option<Span> {
    let code = code.unresolved();
    let before = code.lines.partition_point(|line| line.slot as usize <= slot);
    let line = code.lines.get(before.checked_sub(1)?)?;
    Some(Span { start: line.start, end: line.end })
}

/// Attaches a program; one that was loaded for a way that the kernel lacks, or that does not do, is loaded again for the
/// others.
fn attach_one<'p>(
    loader: &mut Loader<'p>,
    program: &'p hir::Program,
    plan: &'p Plan<'p>,
    placed: Placed<'p>,
    script: &Script,
) -> std::result::Result<(Placed<'p>, attach::Attached), Failed> {
    let pid = script.options.pid;
    let multi = matches!(
        placed.program.attach_type(),
        Some(AttachType::TraceKprobeMulti | AttachType::TraceUprobeMulti)
    );
    let error = match attach::attach(&placed, pid) {
        Ok(attached) => return Ok((placed, attached)),
        Err(error) => error,
    };
    let owner = placed
        .points
        .first()
        .and_then(|(_, number)| plan.programs.iter().find(|one| one.points.contains(number)));
    let Some((owner, (first, _))) = owner.zip(placed.points.first()).filter(|_| multi) else {
        return Err(error.into());
    };
    let single = load_one(loader, program, owner, &spec(program, owner), (first, None))?;
    let placed = Placed { program: single, ..placed };
    let attached = attach::attach(&placed, pid)?;
    Ok((placed, attached))
}
