//! Compiles, loads and runs a script, and shows its results.

use crate::bt::config::Config;
use crate::bt::environment::{Environment, Missing};
use crate::bt::hir::{MapId, Program};
use crate::bt::lower::lower;
use crate::bt::plan::{Feature, Globals, MapPlan, Plan, RecordKind, Storage, Target};
use crate::bt::probe::{AttachPoint, Kind};
use crate::bt::source::Source;
use crate::bt::types::{Structs, Type, tuple_layout};
use crate::bt::{check, parser};
use crate::btf::KernelTypes;
use crate::features::Features;
use crate::insn::Insn;
use crate::kernel::format::{self, Field};
use crate::program::{Loader, TestRunOptions};
use crate::ringbuf::RingBufReader;
use crate::spec::{Code, ProgramSpec};
use crate::user::dwarf::Opened;
use crate::user::{self, UsdtProbe};
use std::collections::HashSet;
use std::fmt::Write;
use std::ops::ControlFlow;
use std::sync::Arc;

/// The machine that tests run on; each attach point is there.
#[derive(Debug, Default)]
struct Here {
    types: KernelTypes,
    parameters: Vec<String>,
}

impl Environment for Here {
    fn types(&self) -> Result<&KernelTypes, String> {
        Ok(&self.types)
    }

    fn tracepoint(&self, category: &str, name: &str) -> Result<Vec<Field>, String> {
        format::fields(category, name).map_err(|error| error.to_string())
    }

    fn expand(&self, point: &AttachPoint) -> Result<Vec<AttachPoint>, Missing> {
        Ok(vec![point.clone()])
    }

    fn kernel_address(&self, _: &str) -> Option<u64> {
        None
    }

    fn user_symbol(&self, _: &str, _: &str) -> Option<(u64, u64)> {
        None
    }

    fn usdt(&self, path: &str, provider: &str, name: &str) -> Result<Arc<UsdtProbe>, String> {
        let probes = user::usdt_probes(path).map_err(|error| error.to_string())?;
        let found = probes.into_iter().find(|one| one.provider == provider && one.name == name);
        found.map(Arc::new).ok_or_else(|| "no such probe".into())
    }

    fn debug_info(&self, _: &str) -> Opened {
        Opened::new(Ok(None))
    }

    fn cgroup_id(&self, _: &str) -> Result<u64, String> {
        Err("none".into())
    }

    fn register(&self, name: &str) -> Option<u16> {
        crate::kernel::registers::offset(name)
    }

    fn registers(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn option(&self, _: &str) -> Option<Option<&str>> {
        None
    }

    fn parameters(&self) -> &[String] {
        &self.parameters
    }

    fn allows_unsafe(&self) -> bool {
        true
    }

    fn has_command(&self) -> bool {
        false
    }
}

/// The typed program of a script.
pub(super) fn checked(text: &str) -> Program {
    let source = Source::new("stdin", text);
    let (script, diagnostics) = parser::parse(&source, &parser::Given::default());
    assert!(!diagnostics.has_errors(), "{}", diagnostics.render(&source));
    let (program, diagnostics) =
        check::check(&source, &script, Config::default(), &Here::default());
    let Some(program) = program else { panic!("{text}\n{}", diagnostics.render(&source)) };
    program
}

/// The kernel that the tests run on, with some of its features.
pub(super) fn target(has: &dyn Fn(Feature) -> bool) -> Target<'_> {
    Target {
        isa: crate::codegen::Isa::V3,
        cpus: crate::kernel::cpu::nr_cpu_ids().unwrap_or(1),
        page_size: 4096,
        pid_namespace: None,
        direct_loads: true,
        virtual_code: None,
        has,
    }
}

/// All features; without them the kernel is as Linux 5.10.
pub(super) const ALL: [Feature; 11] = [
    Feature::Atomics,
    Feature::ForEachMapElem,
    Feature::Loop,
    Feature::Cookie,
    Feature::TracingCookie,
    Feature::RawTracepointCookie,
    Feature::CurrentTaskBtf,
    Feature::LargeKeys,
    Feature::AllocatingHash,
    Feature::TaiClock,
    Feature::Jiffies,
];

/// A script to run.
pub(super) struct Script<'a> {
    pub text: &'a str,
    /// The arguments of its raw tracepoints.
    pub arguments: Vec<u64>,
    /// The number of times each probe runs.
    pub times: usize,
    /// Features that are not to be used.
    pub without: HashSet<Feature>,
    /// The number of pieces of scratch memory of each size that are held by others.
    pub held: u32,
    /// An instruction that takes the place of each call of `map_update_elem`, and sets its result.
    pub update: Option<Insn>,
}

/// The results of a script: its maps, its records, and the loss counters.
pub(super) struct Outcome {
    maps: Vec<String>,
    records: Vec<String>,
    /// The loss counters: records, runs, and of each map the updates that found it full, those that failed otherwise, and their
    /// result.
    pub lost: Vec<u64>,
    /// The lost records by CPU.
    pub lost_by_cpu: Vec<u64>,
    /// The slots of each program.
    pub slots: Vec<usize>,
}

impl Outcome {
    pub(super) fn maps(&self) -> String {
        self.maps.join(" ")
    }

    pub(super) fn records(&self) -> &[String] {
        &self.records
    }
}

/// Runs a script once with all features.
#[track_caller]
pub(super) fn run(text: &str) -> Outcome {
    Script::new(text).run()
}

impl<'a> Script<'a> {
    pub(super) fn new(text: &'a str) -> Script<'a> {
        Script {
            text,
            arguments: vec![0; 12],
            times: 1,
            without: HashSet::new(),
            held: 0,
            update: None,
        }
    }

    #[track_caller]
    pub(super) fn run(&self) -> Outcome {
        let kernel = Features::new();
        self.with(&kernel, |program, maps, plan| self.load_and_run(program, maps, plan)).unwrap()
    }

    /// The attach points of each program, and whether they have cookies.
    #[track_caller]
    pub(super) fn programs(&self) -> Vec<(std::ops::Range<u32>, bool)> {
        let kernel = Features::new();
        self.with(&kernel, |_, _, plan| {
            plan.programs.iter().map(|one| (one.points.clone(), one.cookies)).collect()
        })
        .unwrap()
    }

    /// Compiles a script and calls a function with the result; else returns the error.
    pub(super) fn with<T>(
        &self,
        kernel: &Features,
        then: impl FnOnce(&Program, &MapPlan<'_>, &Plan<'_>) -> T,
    ) -> Result<T, String> {
        let program = checked(self.text);
        let has = |feature: Feature| !self.without.contains(&feature) && feature.is_in(kernel);
        let target = target(&has);
        let show = |error: crate::bt::diagnostic::Diagnostic| error.render(&program.source);
        let maps = MapPlan::new(&program, &target).map_err(show)?;
        let plan = lower(&program, &maps, &target).map_err(show)?;
        Ok(then(&program, &maps, &plan))
    }

    #[track_caller]
    fn load_and_run(&self, program: &Program, maps: &MapPlan<'_>, plan: &Plan<'_>) -> Outcome {
        let replaced = |code: Code<'_>| Some(with_updates_replaced(code.slots, self.update?));
        let replaced: Vec<_> =
            plan.programs.iter().map(|one| replaced(one.code.code_with_fields())).collect();
        let mut loader = Loader::new();
        if self.held > 0 {
            hold(&mut loader, maps, self.held);
        }
        let mut reader = RingBufReader::open(loader.map(&maps.ring).unwrap()).unwrap();
        let mut slots = Vec::new();
        let mut loaded = Vec::new();
        for (one, replaced) in plan.programs.iter().zip(&replaced) {
            let mut code = one.code.code_with_fields();
            if let Some(replaced) = replaced {
                code.slots = replaced;
            }
            slots.push(code.slots.len());
            let mut spec = ProgramSpec::new(&one.name, one.kind, code);
            if let Some(attach_type) = one.attach_type {
                spec = spec.with_attach_type(attach_type);
            }
            loaded.push(match loader.load(&spec) {
                Ok(program) => program,
                Err(error) => panic!("{}\n{error}", self.text),
            });
        }
        let context: Vec<u8> =
            self.arguments.iter().flat_map(|argument| argument.to_ne_bytes()).collect();
        for (one, loaded) in plan.programs.iter().zip(&loaded) {
            let kind = program.probes.get(one.probe).map(|probe| probe.kind);
            if matches!(kind, Some(Kind::Special | Kind::RawTracepoint)) {
                for _ in 0..self.times {
                    let options = TestRunOptions::new().context(&context);
                    loaded.test_run_with(&options).unwrap();
                }
            }
        }
        let mut records = Vec::new();
        reader
            .drain(|record| {
                records.push(show_record(program, plan, record.bytes));
                ControlFlow::Continue(())
            })
            .unwrap();
        let mut shown = Vec::new();
        for user in &maps.user {
            let map = loader.map(&user.spec).unwrap();
            let mut elements = Vec::new();
            for entry in map.iter() {
                let (key, value) = entry.unwrap();
                let each = user.spec.value_size.next_multiple_of(8) as usize;
                let values =
                    if user.per_cpu { value.chunks(each).collect() } else { vec![&*value] };
                if let Storage::Single { present } = user.storage {
                    let at = present as usize;
                    if values.iter().all(|value| value[at..at + 8] == [0; 8]) {
                        continue;
                    }
                }
                let key = match &user.map.key {
                    Some(ty) => format!("[{}]", show(ty, &key, program)),
                    None => String::new(),
                };
                let value = show_values(&user.map.value, &values, program);
                elements.push(format!("{}{key}={value}", user.map.name));
            }
            elements.sort();
            shown.extend(elements);
        }
        let globals = loader.map(maps.globals()).unwrap();
        let bytes = globals.lookup(&0_u32.to_ne_bytes()).unwrap().unwrap();
        let word = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap());
        let (first, counters) = maps.layout.lost_records();
        let of_cpu = |cpu: u32| word((first + (cpu << Globals::LOST_RECORDS_SHIFT)) as usize);
        let lost_by_cpu: Vec<_> = (0..counters).map(of_cpu).collect();
        let lost = [lost_by_cpu.iter().sum(), word(Globals::LOST_RUNS as usize)]
            .into_iter()
            .chain((0..maps.user.len() as u32).flat_map(|map| {
                let first = maps.layout.results(MapId(map)) as usize;
                let (mut full, mut failed, mut last) = (0, 0, 0);
                for index in 0..Globals::RESULTS {
                    match (Globals::error_of(index), word(first + index as usize * 8)) {
                        (Some(libc::E2BIG), times) => full = times,
                        (Some(error), times) if times > 0 => {
                            (failed, last) = (failed + times, i64::from(-error).cast_unsigned());
                        }
                        _ => {}
                    }
                }
                [full, failed, last]
            }))
            .collect();
        Outcome { maps: shown, records, lost, lost_by_cpu, slots }
    }
}

/// Replaces the calls of the helper `map_update_elem`.
fn with_updates_replaced(slots: &[Insn], by: Insn) -> Vec<Insn> {
    let call = Insn::from_fields(0x85, 0, 0, 0, 2);
    assert!(slots.contains(&call), "it updates no map");
    slots.iter().map(|slot| if *slot == call { by } else { *slot }).collect()
}

/// Marks scratch memory as held.
fn hold<'m>(loader: &mut Loader<'m>, maps: &'m MapPlan<'m>, held: u32) {
    for spec in &maps.scratch {
        let map = loader.map(spec).unwrap();
        for index in 0..held {
            let mut value = map.lookup(&index.to_ne_bytes()).unwrap().unwrap();
            for one in value.chunks_mut(spec.value_size as usize) {
                one[..8].copy_from_slice(&1_u64.to_ne_bytes());
            }
            map.update(&index.to_ne_bytes(), &value, crate::map::Update::Any).unwrap();
        }
    }
}

/// Whether this kernel has a feature.
pub(super) fn has(feature: Feature) -> bool {
    feature.is_in(&Features::new())
}

/// Compiles and loads a script whose probes cannot run here.
#[track_caller]
pub(super) fn load(text: &str) {
    Script::new(text).run();
}

/// Returns the errors of a script that does not compile.
#[track_caller]
pub(super) fn refused(text: &str) -> String {
    let compiled = Script::new(text).with(&Features::new(), |_, _, _| ());
    compiled.expect_err("it is compiled")
}

fn number(bytes: &[u8], signed: bool) -> i128 {
    let mut wide = [0; 8];
    let start = if cfg!(target_endian = "big") { wide.len() - bytes.len() } else { 0 };
    wide[start..start + bytes.len()].copy_from_slice(bytes);
    let bits = bytes.len() as u32 * 8;
    let value = u64::from_ne_bytes(wide);
    match signed {
        true => i128::from((value << (64 - bits)) as i64 >> (64 - bits)),
        false => value.into(),
    }
}

/// Shows a value by its type alone, as the layout in `types` says.
pub(super) fn show(ty: &Type, bytes: &[u8], program: &Program) -> String {
    let structs: &Structs = &program.structs;
    match ty {
        Type::Bool => (bytes[0] != 0).to_string(),
        Type::Int(int) | Type::Enum(_, int) => {
            number(&bytes[..int.size as usize], int.signed).to_string()
        }
        Type::String(size) => {
            let text = bytes[..*size as usize].split(|byte| *byte == 0).next().unwrap();
            let cut = if text.len() == *size as usize { ".." } else { "" };
            format!("{}{cut}", String::from_utf8_lossy(text))
        }
        Type::Buffer(_) => {
            let length = number(&bytes[..4], false) as usize;
            format!("{:02x?}", &bytes[4..4 + length])
        }
        Type::Tuple(types) => {
            let layout = tuple_layout(types, structs);
            let parts = types.iter().zip(&layout.offsets);
            let parts: Vec<_> =
                parts.map(|(ty, at)| show(ty, &bytes[*at as usize..], program)).collect();
            format!("({})", parts.join(","))
        }
        Type::Array(of, length) => {
            let size = of.size(structs) as usize;
            let parts: Vec<_> = (0..*length as usize)
                .map(|index| show(of, &bytes[index * size..], program))
                .collect();
            format!("[{}]", parts.join(","))
        }
        Type::Mac | Type::Inet => format!("{:02x?}", &bytes[..ty.size(structs) as usize]),
        other => number(&bytes[..(other.size(structs) as usize).min(8)], false).to_string(),
    }
}

/// Shows a value of a map, that of all CPUs together.
fn show_values(ty: &Type, values: &[&[u8]], program: &Program) -> String {
    let word = |value: &&[u8], at: usize| number(&value[at..at + 8], true);
    let sum = |at: usize| values.iter().map(|value| word(value, at)).sum::<i128>();
    match ty {
        Type::Count | Type::Sum(_) => sum(0).to_string(),
        Type::Avg(_) | Type::Stats(_) => format!("{}/{}", sum(8), sum(0)),
        Type::Min(_) | Type::Max(_) => {
            let seen = values.iter().filter(|value| word(value, 8) != 0);
            let all: Vec<_> = seen.map(|value| word(value, 0)).collect();
            let found =
                if matches!(ty, Type::Min(_)) { all.iter().min() } else { all.iter().max() };
            found.map_or("none".into(), i128::to_string)
        }
        Type::Hist(_) | Type::Lhist(_) => {
            let mut text = String::new();
            let buckets = ty.size(&program.structs) as usize / 8;
            for bucket in 0..buckets {
                let count = sum(bucket * 8);
                if count != 0 {
                    write!(text, "{bucket}:{count};").unwrap();
                }
            }
            text
        }
        other => show(other, values[0], program),
    }
}

fn show_record(program: &Program, plan: &Plan<'_>, bytes: &[u8]) -> String {
    let index = u64::from_ne_bytes(bytes[..8].try_into().unwrap());
    let record = &plan.records[index as usize];
    assert_eq!(record.size as usize, bytes.len());
    let fields = record.fields.iter();
    let fields: Vec<_> =
        fields.map(|field| show(&field.ty, &bytes[field.offset as usize..], program)).collect();
    let word = match record.kind {
        RecordKind::Async(action) => {
            let shown = format!("{action:?}");
            shown.split(['(', ' ']).next().unwrap_or_default().to_owned()
        }
        RecordKind::DivisionByZero => {
            format!("DivisionByZero:{}", program.source.slice(record.span))
        }
        RecordKind::Helper(name) => name.to_owned(),
    };
    format!("{word}({})", fields.join(","))
}
