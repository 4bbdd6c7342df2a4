//! Where in a file uprobes go that are to be on a function.

use super::elf::Elf;
use super::symbols::{Found, find};
use super::{ifunc, symbols};
use crate::error::{Error, Result};
use crate::util::glob::Glob;
#[cfg(feature = "bt")]
use std::path::Path;

/// Returns where in a program or library that lies which it maps to an address.
///
/// # Errors
/// Those of [`Elf::open`]; [`Error::Place`] if it is no address of code.
#[cfg(feature = "bt")]
pub(crate) fn file_offset(path: &Path, address: u64) -> Result<u64> {
    Elf::open(path)?.offset(address, true).ok_or_else(|| Error::Place {
        target: format!("{}:{address:#x}", path.display()),
        problem: "it is not the address of code in this file".into(),
    })
}

impl Elf {
    /// The places of a function, or so many bytes into it: one, unless it is one that processes choose.
    ///
    /// # Errors
    /// Those of [`find`]; [`Error::Place`] if the function is not that long, or nothing tells what is chosen.
    pub(crate) fn places(&self, function: &str, offset: u64, pid: Option<u32>) -> Result<Vec<u64>> {
        let found = find(self, function)?;
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
            return ifunc::chosen(self, function, &found, pid);
        }
        if found.size > 0 && offset >= found.size {
            return Err(problem(&format!("the function has {} bytes", found.size)));
        }
        let place =
            found.offset.checked_add(offset).ok_or_else(|| problem("there is no such place"))?;
        self.check_code(place)?;
        Ok(vec![place])
    }

    /// The places of all functions that match a pattern, each once, and how many of those that are chosen by processes were
    /// left out because nothing tells what is chosen.
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
        for function in symbols::all(self)?.into_iter().filter(|one| glob.matches(&one.name)) {
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
                note: None,
            }));
        }
        offsets.sort_unstable();
        offsets.dedup();
        Ok((offsets, skipped))
    }

    /// Refuses an offset that is in no code.
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
