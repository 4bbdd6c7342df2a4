//! Sizes of kernel functions, and functions that share a name.
//!
//! The symbol table has the start addresses of functions, and nothing else: a function ends where the next symbol begins, as in
//! the kernel's own `kallsyms_lookup_size_offset()`.

use super::symbols::{self, Symbol};
use crate::error::Result;
use std::ops::ControlFlow;

/// A function that passes all symbols to a callback until it breaks.
type Each<'e> = &'e dyn Fn(&mut dyn FnMut(&Symbol<'_>) -> ControlFlow<()>) -> Result<()>;

/// The symbols that name the beginning of the kernel: any place in it can be given as an offset from them.
pub(crate) const ANCHORS: [&str; 2] = ["_text", "_stext"];

/// Returns the size of a function in bytes, `NAME` or `MODULE:NAME`; `None` if there is none of that name, or several, or where
/// addresses are hidden.
///
/// # Errors
/// As [`symbols::each`].
pub(crate) fn size(function: &str) -> Result<Option<u64>> {
    size_among(&|f| symbols::each(f), function)
}

/// Whether there is a function, `NAME` or `MODULE:NAME`.
///
/// # Errors
/// As [`symbols::each`].
pub(crate) fn exists(function: &str) -> Result<bool> {
    exists_among(&|f| symbols::each(f), function)
}

/// Returns kprobe targets that each mean one of several functions of a name: by its module, or by its offset in the kernel. None
/// where addresses are hidden.
///
/// # Errors
/// As [`symbols::each`].
pub(crate) fn namesakes(function: &str) -> Result<Vec<String>> {
    namesakes_among(&|f| symbols::each(f), function)
}

fn is_called(symbol: &Symbol<'_>, function: &str) -> bool {
    let fits = match function.split_once(':') {
        Some((module, name)) => symbol.module == Some(module) && symbol.name == name,
        None => symbol.name == function,
    };
    fits && symbol.is_function()
}

fn exists_among(each: Each<'_>, function: &str) -> Result<bool> {
    let mut found = false;
    each(&mut |symbol| {
        found = is_called(symbol, function);
        if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(found)
}

fn size_among(each: Each<'_>, function: &str) -> Result<Option<u64>> {
    let mut places = Vec::new();
    each(&mut |symbol| {
        if is_called(symbol, function) && !places.contains(&symbol.address) {
            places.push(symbol.address);
        }
        ControlFlow::Continue(())
    })?;
    let [start] = places[..] else { return Ok(None) };
    if start == 0 {
        return Ok(None);
    }
    let mut end = None;
    each(&mut |symbol| {
        if symbol.address > start && end.is_none_or(|end| symbol.address < end) {
            end = Some(symbol.address);
        }
        ControlFlow::Continue(())
    })?;
    Ok(end.map(|end: u64| end - start))
}

fn namesakes_among(each: Each<'_>, function: &str) -> Result<Vec<String>> {
    let mut found: Vec<(Option<String>, u64)> = Vec::new();
    let mut text = None;
    each(&mut |symbol| {
        if symbol.name == "_text" && symbol.module.is_none() {
            text = Some(symbol.address);
        }
        if is_called(symbol, function) {
            found.push((symbol.module.map(str::to_owned), symbol.address));
        }
        ControlFlow::Continue(())
    })?;
    let name = function.rsplit(':').next().unwrap_or(function);
    let mut targets: Vec<String> = Vec::new();
    for (module, address) in &found {
        let target = match module {
            Some(module) => {
                // Twice in one module there is no telling them apart.
                let same = found.iter().filter(|(other, _)| other.as_ref() == Some(module));
                if same.count() > 1 {
                    continue;
                }
                format!("{module}:{name}")
            }
            None => match text.and_then(|text| address.checked_sub(text)) {
                Some(offset) if *address != 0 => format!("_text+{offset:#x}"),
                _ => continue,
            },
        };
        targets.push(target);
    }
    targets.dedup();
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made up, in the order of `/proc/kallsyms`: the kernel's by address, then modules'.
    const LINES: &[&str] = &[
        "ffffffff81000000 T _text",
        "ffffffff81000000 T _stext",
        "ffffffff81000100 t cleanup",
        "ffffffff81000180 t __pfx_work",
        "ffffffff81000190 T work",
        "ffffffff81000190 T work_alias",
        "ffffffff81000200 t cleanup",
        "ffffffff81000240 t after",
        "ffffffff82000000 D data",
        "ffffffffc0000000 t cleanup\t[nf_tables]",
        "ffffffffc0000010 t twice\t[nf_tables]",
        "ffffffffc0000020 t twice\t[nf_tables]",
        "ffffffffc0000030 t alone\t[nf_tables]",
    ];

    fn each(lines: &[String], f: &mut dyn FnMut(&Symbol<'_>) -> ControlFlow<()>) -> Result<()> {
        for line in lines {
            if f(&Symbol::parse(line.as_bytes()).unwrap()).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn lines(hidden: bool) -> Vec<String> {
        let hide = |line: &&str| format!("0000000000000000{}", &line[16..]);
        LINES.iter().map(|line| if hidden { hide(line) } else { (*line).to_owned() }).collect()
    }

    #[test]
    fn a_function_ends_where_the_next_symbol_begins() {
        let (plain, hidden) = (lines(false), lines(true));
        let size = |lines: &[String], function| size_among(&|f| each(lines, f), function).unwrap();
        assert_eq!(size(&plain, "work"), Some(0x70));
        assert_eq!(size(&plain, "work_alias"), Some(0x70));
        assert_eq!(size(&plain, "nf_tables:cleanup"), Some(0x10));
        // Several, none, data, the last one.
        for unknown in ["cleanup", "no_such", "data", "alone", "nf_tables:work", "x:cleanup"] {
            assert_eq!(size(&plain, unknown), None, "{unknown}");
        }
        assert_eq!(size(&hidden, "work"), None);
    }

    #[test]
    fn a_function_is_there_by_its_name_or_in_its_module() {
        for lines in [lines(false), lines(true)] {
            let exists = |function| exists_among(&|f| each(&lines, f), function).unwrap();
            for known in ["work", "cleanup", "alone", "nf_tables:alone", "nf_tables:cleanup"] {
                assert!(exists(known), "{known}");
            }
            for unknown in ["no_such", "data", "nf_tables:work", "x:cleanup", ":work", "work:"] {
                assert!(!exists(unknown), "{unknown}");
            }
        }
    }

    #[test]
    fn functions_of_one_name_are_told_apart() {
        let (plain, hidden) = (lines(false), lines(true));
        let of = |lines: &[String], name| namesakes_among(&|f| each(lines, f), name).unwrap();
        assert_eq!(of(&plain, "cleanup"), ["_text+0x100", "_text+0x200", "nf_tables:cleanup"]);
        assert_eq!(of(&plain, "twice"), [""; 0]);
        assert_eq!(of(&plain, "no_such"), [""; 0]);
        assert_eq!(of(&hidden, "cleanup"), ["nf_tables:cleanup"]);
    }
}
