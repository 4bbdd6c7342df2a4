//! The places of uprobes on functions, as file offsets.

use super::Places;
use super::demangle::{forms, looks_readable};
use super::elf::Elf;
use super::parts::Parts;
use super::symbols::{Found, Function, find, search};
use super::{ifunc, symbols};
use crate::error::{Error, Result};
use crate::util::glob::{Glob, is_pattern};
use std::path::Path;

/// Returns the file offset of an address of a program or library.
///
/// # Errors
/// The errors of [`Elf::open`]; [`Error::Place`] if it is not an address of code.
#[cfg(feature = "bt")]
pub(crate) fn file_offset(path: &Path, address: u64) -> Result<u64> {
    Elf::open(path)?.offset(address, true).ok_or_else(|| Error::Place {
        target: format!("{}:{address:#x}", path.display()),
        problem: "it is not the address of code in this file".into(),
    })
}

impl Elf {
    /// The places that a text names, `FUNCTION` or a pattern, with an offset perhaps, or an offset alone.
    ///
    /// A symbol of exactly this name comes first, even if the text looks like an offset or a pattern: `main.(*T).f` of
    /// Go, `a+0x10`. Then a function with an offset in bytes; a function of C++ or Rust of that name (feature
    /// `demangle`); and at last all functions that match.
    ///
    /// # Errors
    /// The errors of [`Elf::places`] and [`Elf::matching`]; [`Error::Place`] with the functions there are, if several
    /// have the name.
    pub(crate) fn resolve(&self, text: &str, offset: u64, pid: Option<u32>) -> Result<Places> {
        let mut symbols = vec![match (text, offset) {
            ("", offset) => format!("{offset:#x}"),
            (text, 0) => text.into(),
            (text, offset) => format!("{text}+{offset:#x}"),
        }];
        if !text.is_empty() && offset > 0 {
            symbols.push(format!("{text}+{offset}"));
        }
        for symbol in symbols {
            if let Ok(found) = search(self, &symbol)? {
                return self.of_found(&symbol, &found, 0, pid).map(Places::of);
            }
        }
        if text.is_empty() {
            self.check_code(offset)?;
            return Ok(Places::of(vec![offset]));
        }
        if offset > 0
            && let Ok(found) = search(self, text)?
        {
            return self.of_found(text, &found, offset, pid).map(Places::of);
        }
        // What has none of these is a pattern of symbols, and it takes long to look behind all of those.
        let readable = Parts::BUILT.demangle && (!is_pattern(text) || looks_readable(text));
        if readable && let Some(found) = symbols::find_readable(self, text)? {
            return self.of_found(text, &found, offset, pid).map(Places::of);
        }
        if is_pattern(text) {
            let (offsets, skipped) = self.matching(text, offset, pid)?;
            return Ok(Places { offsets, skipped, by_pattern: true });
        }
        self.places(text, offset, pid).map(Places::of)
    }

    /// Returns the places of an offset in a function: one, unless it is an indirect function.
    ///
    /// # Errors
    /// The errors of [`find`]; [`Error::Place`] if the function is not that long, or the choice of an indirect function
    /// is unknown.
    pub(crate) fn places(&self, function: &str, offset: u64, pid: Option<u32>) -> Result<Vec<u64>> {
        self.of_found(function, &find(self, function)?, offset, pid)
    }

    fn of_found(
        &self,
        function: &str,
        found: &Found,
        offset: u64,
        pid: Option<u32>,
    ) -> Result<Vec<u64>> {
        let problem = |problem: &str| Error::Place {
            target: format!("{}:{function}+{offset:#x}", self.path().display()),
            problem: problem.into(),
        };
        if found.indirect {
            if offset > 0 {
                return Err(problem(
                    "it stands for one of several functions, chosen when a process starts (IFUNC)",
                ));
            }
            return ifunc::chosen(self, function, found, pid);
        }
        if found.size > 0 && offset >= found.size {
            return Err(problem(&format!("the function has {} bytes", found.size)));
        }
        let place =
            found.offset.checked_add(offset).ok_or_else(|| problem("there is no such place"))?;
        self.check_code(place)?;
        Ok(vec![place])
    }

    /// Returns the places of all functions that match a pattern, each once, and the number of indirect functions that
    /// were left out because the choice is unknown.
    ///
    /// # Errors
    /// [`Error::NotInFile`] if there is none, [`Error::Place`] if there is an offset.
    pub(crate) fn matching(
        &self,
        pattern: &str,
        offset: u64,
        pid: Option<u32>,
    ) -> Result<(Vec<u64>, usize)> {
        if offset > 0 {
            return Err(Error::Place {
                target: format!("{}:{pattern}+{offset:#x}", self.path().display()),
                problem: "a pattern stands for functions, and not for places in them".into(),
            });
        }
        let glob = Glob::new(pattern);
        let (mut offsets, mut skipped, mut why) = (Vec::new(), 0, None);
        let mut before = Vec::new();
        for function in matching(symbols::all(self)?, pattern, &glob) {
            let (offset, size) = (function.offset, function.size);
            match self.address(offset, true) {
                Some(address) if function.indirect => {
                    // Several names for one: it takes long to find out.
                    if before.contains(&offset) {
                        continue;
                    }
                    before.push(offset);
                    let found = Found { address, offset, size, indirect: true };
                    match ifunc::chosen(self, &function.name, &found, pid) {
                        Ok(chosen) => offsets.extend(chosen),
                        Err(error) => {
                            skipped += 1;
                            why = Some(error);
                        }
                    }
                }
                _ => offsets.push(offset),
            }
        }
        if offsets.is_empty() {
            return Err(why.unwrap_or_else(|| Error::NotInFile {
                what: "function that matches",
                name: pattern.into(),
                path: self.path().into(),
                nearest: Vec::new(),
                note: Parts::BUILT.unread(self, pattern),
            }));
        }
        offsets.sort_unstable();
        offsets.dedup();
        Ok((offsets, skipped))
    }

    /// Rejects an offset that is not in code.
    ///
    /// # Errors
    /// [`Error::Place`].
    pub(crate) fn check_code(&self, offset: u64) -> Result<()> {
        if self.address(offset, true).is_some() {
            return Ok(());
        }
        Err(Error::Place {
            target: format!("{}:{offset:#x}", self.path().display()),
            problem: "it is in no part of the file that is code".into(),
        })
    }
}

/// Returns the functions of a file that a name means: the one with that symbol, or else all that it matches as a
/// pattern.
///
/// # Errors
/// The errors of [`functions`](super::functions).
pub(crate) fn functions_named(path: &Path, name: &str) -> Result<Vec<Function>> {
    let mut functions = symbols::functions(path)?;
    if functions.iter().any(|one| one.name == name) {
        functions.retain(|one| one.name == name);
        return Ok(functions);
    }
    Ok(matching(functions, name, &Glob::new(name)))
}

/// Whether a file was made by the compiler of Go; `false` if it cannot be read.
#[cfg(any(feature = "cli", feature = "bt"))]
pub(crate) fn is_of_go(path: &Path) -> bool {
    Elf::open(path).is_ok_and(|elf| elf.is_of_go())
}

/// Returns the functions whose symbols match; or else, if the pattern is one of C++ or Rust, those whose demangled
/// names match.
fn matching(mut functions: Vec<Function>, pattern: &str, glob: &Glob) -> Vec<Function> {
    let by_symbol = functions.iter().any(|one| glob.matches(&one.name));
    functions.retain(|one| match by_symbol {
        true => glob.matches(&one.name),
        false => pattern.contains("::") && forms(&one.name).iter().any(|form| glob.matches(form)),
    });
    functions
}
