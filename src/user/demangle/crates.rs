//! Demangled names of symbols, by the crates that know how they are mangled.

use cpp_demangle::{DemangleOptions, Symbol};
use std::fmt::{self, Write};

/// The maximum length of a demangled name. A short symbol can stand for a name that fills the memory: it may refer to
/// the same part of itself again and again.
const LONGEST: usize = 64 << 10;

/// A name behind a symbol: whole, without the type of the result, and without parameters too.
pub(crate) fn forms(symbol: &str) -> Vec<String> {
    // What compilers put behind it: of parts of functions that are no functions themselves there are no forms.
    let (base, suffix) = symbol.split_once('.').unwrap_or((symbol, ""));
    if suffix.starts_with("cold") || suffix.starts_with("part.") {
        return Vec::new();
    }
    if let Ok(name) = rustc_demangle::try_demangle(symbol) {
        return Limited::of(|out| write!(out, "{name:#}")).into_iter().collect();
    }
    if !base.starts_with("_Z") {
        return Vec::new();
    }
    let Ok(parsed) = Symbol::new(base) else { return Vec::new() };
    let options = DemangleOptions::new();
    let all = [options, options.no_return_type(), options.no_return_type().no_params()];
    all.iter()
        .filter_map(|options| Limited::of(|out| parsed.structured_demangle(out, options)))
        .collect()
}

/// Returns the demangled name of a symbol, with the compilers' notes on parts of functions; `None` if it is not a
/// symbol of C++ or Rust.
#[cfg(feature = "symbolize")]
pub(crate) fn readable(symbol: &str) -> Option<String> {
    if let Ok(rust) = rustc_demangle::try_demangle(symbol) {
        return Limited::of(|out| write!(out, "{rust:#}"));
    }
    let cpp = Symbol::new(symbol).ok().filter(|_| symbol.starts_with('_'))?;
    Limited::of(|out| cpp.structured_demangle(out, &DemangleOptions::new()))
}

/// A text that has an end.
struct Limited(String);

impl Limited {
    /// Returns the text written by `write`, if it fits the limit.
    fn of(write: impl FnOnce(&mut Limited) -> fmt::Result) -> Option<String> {
        let mut out = Limited(String::new());
        write(&mut out).is_ok().then_some(out.0)
    }
}

impl Write for Limited {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > LONGEST {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}
