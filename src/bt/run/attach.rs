//! Attaches programs to attach points.

use super::events;
use crate::attach::{self, Link, Options, PerfEventKind, Sampling, Target, TrampolineAt};
use crate::bt::hir;
use crate::bt::probe::{AttachPoint, Rate};
use crate::error::{Error, Result};
use crate::kernel::symbols::{self, KernelSymbols};
use crate::program::Program;
use crate::uapi::{AttachType, Errno, ProgramType};
use crate::user;
use crate::util::escape;
use std::cmp::Reverse;

/// Attach points, with the number of each.
pub(super) type Points<'p> = Vec<(&'p AttachPoint, u32)>;

/// A loaded program, and its attach points.
#[derive(Debug)]
pub(super) struct Placed<'p> {
    pub program: Program,
    pub points: Points<'p>,
    /// Whether it needs their numbers as cookies.
    pub cookies: bool,
    /// The index of its probe in [`hir::Program::probes`].
    pub probe: usize,
}

/// The result of attaching a program.
#[derive(Debug, Default)]
pub(super) struct Attached {
    pub links: Vec<Link>,
    /// The number of points at which it is attached.
    pub points: usize,
    /// The number of online CPUs that have no event for it.
    pub cpus_without: usize,
    /// Points at which it could not be attached.
    pub failed: Vec<(u32, Error)>,
}

/// Returns the key by which programs are sorted before they are attached, so that those at one place run in the order of
/// the script, and those of one block, which are at different places, are attached in the order of their points. `index` is
/// the program's number, `probe` that of its probe in [`hir::Program::probes`], of which a block can have several.
pub(super) fn turn(
    program: &hir::Program,
    probe: usize,
    index: usize,
) -> (Option<Reverse<u32>>, usize) {
    let probe = program.probes.get(probe);
    let probe = probe.filter(|probe| probe.attach_points.iter().any(runs_newest_first));
    (probe.map(|probe| Reverse(probe.block)), index)
}

/// Whether the kernel runs that program first, of those at one place, that was attached last.
fn runs_newest_first(point: &AttachPoint) -> bool {
    match point {
        // Consumers of a uprobe, and perf events of one kind, are put at the head of a list. A kprobe's are, too.
        AttachPoint::Uprobe { .. } | AttachPoint::Usdt { .. } => true,
        AttachPoint::Event { hardware, .. } => !hardware,
        AttachPoint::Kprobe { ret, .. } => !ret,
        _ => false,
    }
}

/// Returns how a program is loaded that goes to these points: by one link to all of them, if the kernel has that.
pub(super) fn multi(points: &[&AttachPoint]) -> Option<AttachType> {
    let [first, rest @ ..] = points else { return None };
    if rest.is_empty() {
        return None;
    }
    let all = |fits: &dyn Fn(&AttachPoint) -> bool| points.iter().all(|point| fits(point));
    match first {
        AttachPoint::Kprobe { ret, .. } => {
            let fits = |point: &AttachPoint| {
                matches!(point, AttachPoint::Kprobe { ret: other, offset: 0, function, .. }
                    if other == ret && !function.is_empty())
            };
            all(&fits).then_some(AttachType::TraceKprobeMulti)
        }
        AttachPoint::Uprobe { ret, path, .. } => {
            let fits = |point: &AttachPoint| {
                matches!(point, AttachPoint::Uprobe { ret: other, path: file, function, .. }
                    if other == ret && file == path && !function.is_empty())
            };
            all(&fits).then_some(AttachType::TraceUprobeMulti)
        }
        _ => None,
    }
}

/// Attaches a program at all its points. Points that do not exist are reported; the program is attached at the others.
///
/// # Errors
/// [`Error::NoFeature`] if it was loaded for a way that the kernel lacks.
pub(super) fn attach(placed: &Placed<'_>, pid: Option<u32>) -> Result<Attached> {
    let multi = matches!(
        placed.program.attach_type(),
        Some(AttachType::TraceKprobeMulti | AttachType::TraceUprobeMulti)
    );
    if multi {
        return attach_to_all(placed, pid);
    }
    let mut attached = Attached::default();
    for (point, number) in &placed.points {
        match one(placed, point, *number, pid) {
            Ok(link) => {
                attached.points += 1;
                if matches!(link.target(), Target::PerfEvent { .. }) {
                    attached.cpus_without += link.skipped();
                }
                attached.links.push(link);
            }
            Err(error) => attached.failed.push((*number, error)),
        }
    }
    Ok(attached)
}

fn attach_to_all(placed: &Placed<'_>, pid: Option<u32>) -> Result<Attached> {
    let (mut functions, mut places, mut returns, mut file) = (Vec::new(), Vec::new(), false, "");
    for (point, number) in &placed.points {
        match point {
            AttachPoint::Kprobe { ret, function, .. } => {
                returns = *ret;
                functions.push((function.as_str(), u64::from(*number)));
            }
            AttachPoint::Uprobe { ret, path, function, offset, .. } => {
                (returns, file) = (*ret, path.as_str());
                places.push((function.as_str(), *offset, u64::from(*number)));
            }
            _ => {}
        }
    }
    let link = match file {
        "" => attach::attach_to_functions(&placed.program, &functions, returns)?,
        file => {
            let options = process(Options::new(), pid);
            attach::attach_to_file(&placed.program, file, &places, returns, &options)?
        }
    };
    Ok(Attached { links: vec![link], points: placed.points.len(), ..Attached::default() })
}

fn one(placed: &Placed<'_>, point: &AttachPoint, number: u32, pid: Option<u32>) -> Result<Link> {
    let target = target(point, placed.program.kind())?;
    let mut options = Options::new();
    if placed.cookies {
        options = options.cookie(number.into());
    }
    match point {
        AttachPoint::Interval(_) => options = options.one_cpu(),
        AttachPoint::Uprobe { .. }
        | AttachPoint::Usdt { .. }
        | AttachPoint::Profile(_)
        | AttachPoint::Event { .. } => options = process(options, pid),
        AttachPoint::Iter { target, .. } if target.starts_with("task") => {
            options = process(options, pid);
        }
        _ => {}
    }
    attach::attach_traced(&placed.program, &target, &options)
}

fn process(options: Options, pid: Option<u32>) -> Options {
    match pid {
        Some(pid) => options.pid(pid),
        None => options,
    }
}

/// Returns where a program of a type is attached for a point.
///
/// # Errors
/// [`Error::Target`] if such points are not supported.
pub(super) fn target(point: &AttachPoint, kind: ProgramType) -> Result<Target> {
    let refuse = |problem| Err(Error::Target { target: point.to_string(), problem });
    let clock = || PerfEventKind::Software("cpu-clock".into());
    Ok(match point {
        AttachPoint::Interval(rate) | AttachPoint::Profile(rate) => {
            Target::PerfEvent { event: clock(), sampling: sampling(*rate) }
        }
        AttachPoint::Event { hardware, event, count } => {
            let found = events::find(*hardware, event);
            let name = found.map_or(event.as_str(), |found| found.kernel).to_owned();
            let event = match hardware {
                true => PerfEventKind::Hardware(name),
                false => PerfEventKind::Software(name),
            };
            let sampling = Sampling::Period(count.or(found.map(|found| found.count)).unwrap_or(1));
            Target::PerfEvent { event, sampling }
        }
        AttachPoint::Tracepoint { category, name } => {
            Target::Tracepoint { category: category.clone(), name: name.clone() }
        }
        AttachPoint::RawTracepoint { name, .. } if kind == ProgramType::Tracing => {
            Target::BtfTracepoint { name: name.clone() }
        }
        AttachPoint::RawTracepoint { name, .. } => Target::RawTracepoint { name: name.clone() },
        AttachPoint::Kprobe { ret, function, offset, .. } if function.is_empty() => {
            let (function, offset) = function_at(point, *offset)?;
            Target::Kprobe { function, offset, returns: *ret }
        }
        AttachPoint::Kprobe { ret, module, function, offset } => {
            let module = module.as_deref().filter(|module| *module != "vmlinux");
            let function = match module {
                Some(module) => format!("{module}:{function}"),
                None => function.clone(),
            };
            Target::Kprobe { function, offset: *offset, returns: *ret }
        }
        AttachPoint::Fentry { exit, function, .. } => {
            let at = if *exit { TrampolineAt::Exit } else { TrampolineAt::Entry };
            Target::Trampoline { at, function: function.clone() }
        }
        AttachPoint::Uprobe { ret, path, function, offset, .. } => {
            let offset = match function.as_str() {
                // Scripts have addresses as the file's symbols have them.
                "" => user::file_offset(&escape::path(path), *offset)?,
                _ => *offset,
            };
            let (file, function) = (path.clone(), function.clone());
            Target::Uprobe { file, function, offset, returns: *ret }
        }
        AttachPoint::Usdt { path, provider, name } => Target::Usdt {
            file: path.clone(),
            provider: provider.clone().unwrap_or_default(),
            name: name.clone(),
        },
        AttachPoint::Iter { target, .. } => Target::Iter { name: target.clone() },
        AttachPoint::Watchpoint { .. } => return refuse("not supported: watchpoint probes"),
        AttachPoint::Begin
        | AttachPoint::End
        | AttachPoint::Signal(_)
        | AttachPoint::OnRequest { .. } => return refuse("it is run and not attached"),
    })
}

/// Returns the function of the kernel in which an address is, and the offset in it.
///
/// # Errors
/// [`Error::Place`] if it is in none, or in one whose name others have, too: kprobes go to names.
fn function_at(point: &AttachPoint, address: u64) -> Result<(String, u64)> {
    let wrong = |problem: String| Err(Error::Place { target: point.to_string(), problem });
    let all = KernelSymbols::read()?;
    let Some(found) = all.at(address) else {
        return wrong("it is not the address of code of the kernel, or the kernel hides its addresses (kernel.kptr_restrict)".into());
    };
    if symbols::address_of(found.name)? != Some(address.wrapping_sub(found.offset)) {
        return wrong(format!("it is in one of several functions that are called {}", found.name));
    }
    Ok((found.name.to_owned(), found.offset))
}

fn sampling(rate: Rate) -> Sampling {
    match rate {
        Rate::Hertz(rate) => Sampling::Frequency(rate),
        Rate::Period { .. } => Sampling::Period(rate.nanoseconds()),
    }
}

/// Returns the file of a point for one process, if that does not map it.
pub(super) fn unmapped_file(
    point: &AttachPoint,
    kind: ProgramType,
    pid: u32,
) -> Option<std::path::PathBuf> {
    match point {
        AttachPoint::Uprobe { .. } | AttachPoint::Usdt { .. } => {
            target(point, kind).ok()?.unmapped_file(pid)
        }
        _ => None,
    }
}

/// Returns the first of some points that is the return of a function of Go. All of them are in one file.
pub(super) fn return_of_go<'p>(
    points: &[(&'p AttachPoint, u32)],
) -> Option<(&'p AttachPoint, u32)> {
    let of_go = |point: &AttachPoint| match point {
        // Functions of C that the file has too have no point in their names.
        AttachPoint::Uprobe { ret: true, path, function, .. } if function.contains('.') => {
            Some(path.clone())
        }
        _ => None,
    };
    let (point, number, path) =
        points.iter().find_map(|(point, number)| Some((*point, *number, of_go(point)?)))?;
    user::is_of_go(&escape::path(&path)).then_some((point, number))
}

/// Returns the attach target of a program of the type `tracing`, which is given when it is loaded.
pub(super) fn traced(point: &AttachPoint) -> Option<&str> {
    match point {
        AttachPoint::RawTracepoint { name, .. } => Some(name),
        AttachPoint::Fentry { function, .. } => Some(function),
        AttachPoint::Iter { target, .. } => Some(target),
        _ => None,
    }
}

/// Returns whether an error means that just this place cannot be probed, as some that a pattern matches cannot.
pub(super) fn is_passed_over(error: &Error) -> bool {
    match error {
        Error::NotFound { .. } | Error::NotInFile { .. } | Error::Place { .. } => true,
        Error::Attach { errno, .. } => {
            matches!(
                errno,
                Errno(
                    libc::EINVAL | libc::EADDRNOTAVAIL | libc::EOPNOTSUPP | crate::uapi::ENOTSUPP
                )
            )
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bt::check::tests::typed;
    use crate::requires;

    #[test]
    fn addresses_are_found_in_files_whose_paths_are_not_utf8() {
        let (_folder, path) = user::fake::program_in_odd_folder();
        let function = String::new();
        let point =
            AttachPoint::Uprobe { ret: false, path, function, offset: 0x40_1008, demangled: false };
        let Target::Uprobe { offset, .. } = target(&point, ProgramType::Kprobe).unwrap() else {
            panic!("{point}");
        };
        assert_eq!(offset, 0x1008);
    }

    /// A block whose points need programs of their own, here because of the name as text, fires first at the point that is
    /// attached first; of two blocks at one place the last one has to be attached first.
    #[test]
    fn programs_are_attached_so_that_the_first_one_runs_first() {
        let block = "kprobe:vfs_* { if (func == \"vfs_read\") { @++ } }";
        let program = typed(&format!("{block} interval:s:1 {{ @++ }} {block}"));
        let places: Vec<_> = program.probes.iter().map(|probe| &probe.attach_points).collect();
        let places: Vec<_> = places.iter().flat_map(|points| points.iter()).collect();
        let names: Vec<_> = places.iter().map(ToString::to_string).collect();
        let [read, write, interval] = ["kprobe:vfs_read", "kprobe:vfs_write", "interval:s:1"];
        assert_eq!(names, [read, write, interval, read, write]);
        let mut order = [0, 1, 2, 3, 4];
        order.sort_by_key(|index| turn(&program, *index, *index));
        assert_eq!(order, [2, 3, 4, 0, 1]);
    }

    #[test]
    fn addresses_of_kprobes_are_places_in_functions() {
        let Some(start) = symbols::address_of("do_exit").ok().flatten().filter(|start| *start > 0)
        else {
            fn here() {}
            return requires::skip("kallsyms", "the kernel hides its addresses", here);
        };
        let place = |address: u64| {
            let point = AttachPoint::Kprobe {
                ret: false,
                module: None,
                function: String::new(),
                offset: address,
            };
            target(&point, ProgramType::Kprobe).map_err(|error| error.to_string())
        };
        let kprobe = |offset| Target::Kprobe { function: "do_exit".into(), offset, returns: false };
        assert_eq!(place(start), Ok(kprobe(0)));
        assert_eq!(place(start + 4), Ok(kprobe(4)));
        let error = place(16).unwrap_err();
        assert!(
            error.contains("kprobe:0x10") && error.contains("not the address of code"),
            "{error}"
        );
    }
}
