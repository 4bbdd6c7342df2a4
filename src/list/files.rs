//! Places in programs and libraries: `FILE:FUNCTION`, `FILE:PROVIDER:PROBE`.

use super::Places;
use super::arguments::Argument;
use super::kinds::Names;
use crate::error::{Error, Result};
use crate::user::{self, Operand, UsdtProbe};
use crate::util::escape;
use crate::util::glob::{Glob, is_pattern};

/// The function of this name, or else all that match, by the names that a target has for them. A file alone is all of its
/// functions.
pub(super) fn functions(_: &Places, pattern: &str) -> Result<Names> {
    let alone = || std::path::Path::new(pattern).is_file();
    let (file, name) = match user::file_and_function(pattern) {
        Some(parts) if !pattern.contains('/') || !alone() => parts,
        _ => (pattern.strip_suffix(':').unwrap_or(pattern), "*"),
    };
    let functions = user::functions_named(&user::find_file(named(file, "uprobe")?, None)?, name)?;
    Ok(functions.iter().map(|one| (format!("{file}:{}", one.target_name()), None)).collect())
}

/// The USDT probes that match, `FILE:PROVIDER:NAME` or `FILE:NAME`. A file alone is all of its probes.
pub(super) fn probes(_: &Places, pattern: &str) -> Result<Names> {
    let (file, provider, name) = apart(pattern);
    let (providers, names) = (Glob::new(provider), Glob::new(name));
    let probes = user::usdt_probes(user::find_file(named(file, "usdt")?, None)?)?;
    let fits = |one: &UsdtProbe| providers.matches(&one.provider) && names.matches(&one.name);
    let found = probes.into_iter().filter(fits);
    Ok(found.map(|one| (format!("{file}:{}:{}", one.provider, one.name), None)).collect())
}

/// The arguments of a USDT probe, with what they are in: in each of its places, if it differs.
pub(super) fn arguments(name: &str) -> Result<Option<Vec<Argument>>> {
    let (file, provider, name) = apart(name);
    let probes = user::find_usdt(&user::find_file(file, None)?, provider, name)?;
    let places = || probes.iter().flat_map(|probe| &probe.places);
    let most = places().map(|place| place.arguments.len()).max().unwrap_or_default();
    let argument = |index: usize| {
        let mut all: Vec<&user::Argument> = Vec::new();
        for one in places().filter_map(|place| place.arguments.get(index)) {
            if !all.iter().any(|other| other.text == one.text) {
                all.push(one);
            }
        }
        let of = all.first().map_or("?", |one| kind(one));
        let texts: Vec<_> = all.iter().map(|one| one.text.as_str()).collect();
        let register = match all.as_slice() {
            [one] => match &one.operand {
                Operand::Register(register) => Some(register),
                _ => None,
            },
            _ => None,
        };
        let name = format!("arg{}", index + 1);
        Argument {
            declaration: format!("{of} {name} = {}", texts.join(" or ")),
            name,
            offset: register.map(|register| register.offset.into()),
            size: register.map(|register| register.size.into()),
        }
    };
    Ok(Some((0..most).map(argument).collect()))
}

fn kind(argument: &user::Argument) -> &'static str {
    if argument.float {
        return if argument.size == 4 { "float" } else { "double" };
    }
    match (argument.signed, argument.size) {
        (false, 1) => "u8",
        (false, 2) => "u16",
        (false, 4) => "u32",
        (false, _) => "u64",
        (true, 1) => "s8",
        (true, 2) => "s16",
        (true, 4) => "s32",
        (true, _) => "s64",
    }
}

/// A path can hold colons, a name cannot.
fn apart(text: &str) -> (&str, &str, &str) {
    let mut parts = text.rsplitn(3, ':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(name), Some(provider), Some(file)) if !provider.contains('/') => {
            (file, provider, name)
        }
        _ => match text.rsplit_once(':') {
            Some((file, name)) if !name.contains('/') => (file, "*", name),
            _ => (text, "*", "*"),
        },
    }
}

/// The file, which is one and no pattern, though its name may hold what patterns are made of.
fn named<'f>(file: &'f str, kind: &str) -> Result<&'f str> {
    if file.is_empty() || is_pattern(file) && !escape::path(file).is_file() {
        let target = format!("{kind}:{file}");
        let problem = "name the file: uprobe:FILE:PATTERN, usdt:FILE:PATTERN";
        return Err(Error::Target { target, problem });
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn this_file() -> String {
        std::env::current_exe().unwrap().into_os_string().into_string().unwrap()
    }

    #[test]
    fn a_file_and_names() {
        for (text, expected) in [
            ("c", ("c", "*", "*")),
            ("c:setjmp", ("c", "*", "setjmp")),
            ("c:libc:setjmp", ("c", "libc", "setjmp")),
            ("c::setjmp", ("c", "", "setjmp")),
            ("/opt/a:b/c", ("/opt/a:b/c", "*", "*")),
            ("/opt/a:b/c:x", ("/opt/a:b/c", "*", "x")),
            ("/opt/a:b/c:x:y", ("/opt/a:b/c", "x", "y")),
        ] {
            assert_eq!(apart(text), expected, "{text}");
        }
    }

    #[test]
    fn functions_of_this_program_are_found() {
        let (places, file) = (Places::new(), this_file());
        let pattern = format!("uprobe:{file}:*functions_of_this_program*");
        let found = places.find(&pattern).unwrap().places;
        assert!(!found.is_empty());
        for place in &found {
            assert!(place.to_string().starts_with(&format!("uprobe:{file}:")), "{place}");
            assert!(places.arguments(place).unwrap().is_none());
        }
        let all = places.find(&format!("uretprobe:{file}")).unwrap().places;
        assert!(all.len() > found.len());
        // It has no USDT probes, and no pattern stands for files.
        assert!(places.find(&format!("usdt:{file}:*")).unwrap().places.is_empty());
        for pattern in ["uprobe", "uprobe:*:x", "usdt::x:y", "usdt"] {
            let error = places.find(pattern).unwrap_err().to_string();
            assert!(error.contains("name the file"), "{error}");
        }
        let error = places.find("uprobe:rawbpf_no_such_file:*").unwrap_err();
        assert!(matches!(error, Error::NoFile { .. }), "{error:?}");
    }
}
