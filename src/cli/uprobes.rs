//! Warnings and refusals of uprobes that can do harm to the processes that they are in.

use super::Failure;
use super::stdio::warn;
use crate::attach::Target;
use crate::user;
use crate::util::escape::shown_path;
use crate::util::glob::is_pattern;

/// Refuses to probe all functions of a file in every process, unless `yes` is set; warns of returns of functions of Go.
///
/// # Errors
/// [`Failure::Usage`].
pub(super) fn check(target: &Target, pid: Option<u32>, yes: bool) -> Result<(), Failure> {
    let (file, function, returns) = match target.plain() {
        Target::Uprobe { file, function, returns, .. }
        | Target::UprobeSymbol { file, symbol: function, returns, .. }
        | Target::UprobeMulti { file, pattern: function, returns } => (file, function, *returns),
        // It is at the return, too.
        Target::UprobeSession { file, pattern } => (file, pattern, true),
        _ => return Ok(()),
    };
    let pattern = is_pattern(function);
    let everywhere = pattern && pid.is_none() && !yes;
    if !everywhere && !returns {
        return Ok(());
    }
    // A file that cannot be read is reported when it is probed.
    let Ok(path) = user::find_file(file, pid) else { return Ok(()) };
    let named = match pattern {
        true => user::functions_named(&path, function).unwrap_or_default(),
        false => Vec::new(),
    };
    if everywhere
        && named.len() > 1
        && user::functions(&path).is_ok_and(|all| all.len() == named.len())
    {
        return Err(Failure::Usage(format!(
            "{target}: these are all {} functions of {}, in every process: kernels that emulate one of its instructions \
             wrongly crash what they probe; choose one process with --pid, or fewer functions, or say --yes",
            named.len(),
            shown_path(&path)
        )));
    }
    let of_go = match pattern {
        true => named.iter().any(|one| one.name.contains('.')),
        false => function.is_empty() || function.contains('.'),
    };
    if returns && of_go && user::is_of_go(&path) {
        warn(format_args!(
            "warning: {target}: the probe of a return can crash a program of Go: the kernel changes the return \
             address on the stack, which Go reads when it moves the stack; probe the entry, or return instructions by their offsets"
        ));
    }
    Ok(())
}
