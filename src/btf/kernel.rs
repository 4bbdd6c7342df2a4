//! The types of the running kernel: vmlinux first, then its modules.

use super::lookup::with_nearest;
use super::reader::Bytes;
use super::{Btf, BtfError, Field, Kind};
use crate::error::{Error, Result};
use crate::permission;
use crate::syscall::{BTF_FOLDER, Contents};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The types of a kernel and of its modules. Nothing is read before it is needed: vmlinux when the first name is
/// looked up, a module when a name was found neither in vmlinux nor in the modules before it. Types that were read are
/// kept as long as this lives; vmlinux is mapped and costs no memory where the kernel allows that (Linux 6.16).
#[derive(Debug)]
pub struct KernelTypes {
    folder: PathBuf,
    vmlinux: OnceLock<Arc<Btf>>,
    modules: OnceLock<Vec<Module>>,
    /// Types that were found for CO-RE relocations, by their names and kinds.
    candidates: Mutex<HashMap<(String, Kind), Candidates>>,
}

/// The module, or none for vmlinux, and the number of each type.
type Candidates = Arc<[(Option<usize>, u32)]>;

#[derive(Debug)]
struct Module {
    name: String,
    /// `None` if it was unloaded in the meantime.
    btf: OnceLock<Option<Btf>>,
}

/// The BTF in which a name was found.
#[derive(Debug, Clone, Copy)]
pub struct TypeOrigin<'a> {
    /// The module; `None` for vmlinux. The kernel requires a descriptor of its BTF where a type ID in it is
    /// used.
    pub module: Option<&'a str>,
    /// The types of it, in which numbers of types can be looked up.
    pub btf: &'a Btf,
}

impl Default for KernelTypes {
    fn default() -> Self {
        KernelTypes::new()
    }
}

impl KernelTypes {
    /// The types of the running kernel.
    pub fn new() -> KernelTypes {
        KernelTypes::in_folder(BTF_FOLDER)
    }

    /// The types in a folder that is laid out like `/sys/kernel/btf`.
    pub fn in_folder(folder: impl Into<PathBuf>) -> KernelTypes {
        let folder = folder.into();
        KernelTypes {
            folder,
            vmlinux: OnceLock::new(),
            modules: OnceLock::new(),
            candidates: Mutex::default(),
        }
    }

    /// The types of the kernel itself.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the kernel has no BTF, [`Error::File`] if it cannot be read, [`Error::Btf`]
    /// if it is malformed. All but the first types are only checked when they are needed: faults in
    /// them are reported then.
    pub fn vmlinux(&self) -> Result<&Arc<Btf>> {
        if let Some(btf) = self.vmlinux.get() {
            return Ok(btf);
        }
        let path = self.folder.join("vmlinux");
        let Some(bytes) = read(&path)? else {
            return Err(Error::Unsupported {
                what: "BTF",
                needs: "Linux 5.4 built with CONFIG_DEBUG_INFO_BTF",
            });
        };
        let btf = Btf::open(bytes, None).map_err(|source| damaged(path, source))?;
        Ok(self.vmlinux.get_or_init(|| Arc::new(btf)))
    }

    /// The types of a module; `None` if it is not loaded or has none.
    ///
    /// # Errors
    /// As [`KernelTypes::vmlinux`].
    pub fn module(&self, name: &str) -> Result<Option<&Btf>> {
        let module = self.modules()?.iter().find(|module| module.name == name);
        module.map_or(Ok(None), |module| self.open(module))
    }

    fn open<'a>(&self, module: &'a Module) -> Result<Option<&'a Btf>> {
        if let Some(btf) = module.btf.get() {
            return Ok(btf.as_ref());
        }
        let path = self.folder.join(&module.name);
        let btf = match read(&path)? {
            None => None,
            Some(bytes) => Some(
                Btf::open(bytes, Some(Arc::clone(self.vmlinux()?)))
                    .and_then(Btf::checked)
                    .map_err(|source| damaged(path, source))?,
            ),
        };
        Ok(module.btf.get_or_init(|| btf).as_ref())
    }

    /// The modules that have types, sorted.
    fn modules(&self) -> Result<&[Module]> {
        if let Some(modules) = self.modules.get() {
            return Ok(modules);
        }
        let unread = |source| permission::file("read", &self.folder, source);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(unread)? {
            let name = entry.map_err(unread)?.file_name();
            names.extend(name.into_string().ok().filter(|name| name != "vmlinux"));
        }
        names.sort();
        let modules = names.into_iter().map(|name| Module { name, btf: OnceLock::new() });
        Ok(self.modules.get_or_init(|| modules.collect()))
    }

    /// Passes vmlinux and then each module to `f`, which gets the module's name too.
    ///
    /// # Errors
    /// Any error of `f`; else as [`KernelTypes::vmlinux`].
    pub(crate) fn each<'a>(
        &'a self,
        mut f: impl FnMut(Option<&'a str>, &'a Btf) -> Result<(), BtfError>,
    ) -> Result<()> {
        f(None, self.vmlinux()?)?;
        for module in self.modules()? {
            if let Some(btf) = self.open(module)? {
                f(Some(&module.name), btf)?;
            }
        }
        Ok(())
    }

    /// Calls `ask` with vmlinux and, as long as there is no type of that name, with one module after the other; returns
    /// the BTF in which it was found too. A type that vmlinux has is not looked for in modules, even if it lacks the
    /// field.
    ///
    /// # Errors
    /// The error of `ask`; else as [`KernelTypes::vmlinux`].
    pub fn find<T>(
        &self,
        ask: impl Fn(&Btf) -> Result<T, BtfError>,
    ) -> Result<(T, TypeOrigin<'_>)> {
        let mut asked = Vec::new();
        self.search(ask, &mut asked).map_err(|error| match error.btf() {
            Some(missing) => with_nearest(missing.clone(), &asked).into(),
            None => error,
        })
    }

    /// As [`KernelTypes::find`], but without the nearest names, which take time to find: for callers that go on searching
    /// elsewhere.
    #[cfg(feature = "bt")]
    pub(crate) fn find_exact<T>(
        &self,
        ask: impl Fn(&Btf) -> Result<T, BtfError>,
    ) -> Result<(T, TypeOrigin<'_>)> {
        self.search(ask, &mut Vec::new())
    }

    /// As [`KernelTypes::find_exact`]; `asked` becomes the BTF that was searched in vain.
    fn search<'a, T>(
        &'a self,
        ask: impl Fn(&Btf) -> Result<T, BtfError>,
        asked: &mut Vec<&'a Btf>,
    ) -> Result<(T, TypeOrigin<'a>)> {
        let vmlinux: &Btf = self.vmlinux()?;
        asked.push(vmlinux);
        let missing = match ask(vmlinux) {
            Ok(found) => return Ok((found, TypeOrigin { module: None, btf: vmlinux })),
            Err(missing @ BtfError::NoType { .. }) => missing,
            Err(error) => return Err(error.into()),
        };
        let mut trouble = None;
        for module in self.modules()? {
            let btf = match self.open(module) {
                Ok(Some(btf)) => btf,
                Ok(None) => continue,
                // Another module may have it.
                Err(error) => {
                    trouble = trouble.or(Some(error));
                    continue;
                }
            };
            asked.push(btf);
            match ask(btf) {
                Ok(found) => return Ok((found, TypeOrigin { module: Some(&module.name), btf })),
                Err(BtfError::NoType { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(trouble.unwrap_or_else(|| missing.into()))
    }

    /// Returns the types of that name and kind, those with a flavour (`NAME___FLAVOUR`) among them: all of vmlinux, or all of
    /// the modules if vmlinux has none.
    ///
    /// # Errors
    /// As [`KernelTypes::vmlinux`].
    pub(super) fn candidates(&self, name: &str, kind: Kind) -> Result<Vec<(&Btf, u32)>> {
        let key = (name.to_owned(), kind);
        let known =
            self.candidates.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let found = match known {
            Some(found) => found,
            None => {
                let found = self.search_candidates(name, kind)?;
                let mut all = self.candidates.lock().unwrap_or_else(PoisonError::into_inner);
                all.insert(key, Arc::clone(&found));
                found
            }
        };
        let mut candidates = Vec::with_capacity(found.len());
        for (module, id) in found.iter() {
            let btf = match module {
                None => Some(&**self.vmlinux()?),
                Some(index) => match self.modules()?.get(*index) {
                    Some(module) => self.open(module)?,
                    None => None,
                },
            };
            candidates.extend(btf.map(|btf| (btf, *id)));
        }
        Ok(candidates)
    }

    fn search_candidates(&self, name: &str, kind: Kind) -> Result<Candidates> {
        let ids = self.vmlinux()?.flavours_of(name, kind)?;
        if !ids.is_empty() {
            return Ok(ids.into_iter().map(|id| (None, id)).collect());
        }
        let (mut found, mut trouble) = (Vec::new(), None);
        for (index, module) in self.modules()?.iter().enumerate() {
            match self.open(module) {
                Ok(Some(btf)) => {
                    let ids = btf.flavours_of(name, kind)?;
                    found.extend(ids.into_iter().map(|id| (Some(index), id)));
                }
                Ok(None) => {}
                // Another module may have it.
                Err(error) => trouble = trouble.or(Some(error)),
            }
        }
        match trouble.filter(|_| found.is_empty()) {
            Some(error) => Err(error),
            None => Ok(found.into()),
        }
    }

    /// Finds a field by its path, as [`Btf::field`].
    ///
    /// # Errors
    /// As [`KernelTypes::find`].
    pub fn field(&self, path: &str) -> Result<Field> {
        self.find(|btf| btf.look_up_field(path)).map(|(field, _)| field)
    }

    /// The size in bytes of a type or a field, as [`Btf::size_of`].
    ///
    /// # Errors
    /// As [`KernelTypes::find`].
    pub fn size_of(&self, path: &str) -> Result<u32> {
        self.find(|btf| btf.look_up_size(path)).map(|(size, _)| size)
    }

    /// The value of an enumerator, as [`Btf::enumerator`].
    ///
    /// # Errors
    /// As [`KernelTypes::find`].
    pub fn enumerator(&self, of: &str, name: &str) -> Result<i128> {
        self.find(|btf| btf.look_up_enumerator(of, name)).map(|(value, _)| value)
    }

    /// The value of the first enumerator of that name, as [`Btf::any_enumerator`].
    ///
    /// # Errors
    /// As [`KernelTypes::find`].
    pub fn any_enumerator(&self, name: &str) -> Result<i128> {
        self.find(|btf| btf.look_up_any_enumerator(name)).map(|(value, _)| value)
    }

    /// The number of a type and where it was found, as [`Btf::type_id`].
    ///
    /// # Errors
    /// As [`KernelTypes::find`].
    pub fn type_id(&self, name: &str, kind: Kind) -> Result<(u32, TypeOrigin<'_>)> {
        self.find(|btf| btf.look_up_type(name, kind))
    }

    /// The number of a struct, which of its members has that name, and where it was found.
    ///
    /// # Errors
    /// As [`KernelTypes::find`].
    pub(crate) fn member(&self, of: &str, name: &str) -> Result<((u32, u32), TypeOrigin<'_>)> {
        self.find(|btf| btf.look_up_member(of, name))
    }

    /// Whether there is that type or field, as [`Btf::exists`].
    ///
    /// # Errors
    /// As [`KernelTypes::find`], except those that mean that it does not exist.
    pub fn exists(&self, path: &str) -> Result<bool> {
        // Without searching for the nearest names: that it does not exist is a result.
        match self.search(|btf| btf.look_up_existence(path), &mut Vec::new()) {
            Ok(_) => Ok(true),
            Err(error) if error.btf().is_some_and(BtfError::is_not_found) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The contents of a file; `None` if there is none.
fn read(path: &Path) -> Result<Option<Bytes>> {
    match Contents::of(path) {
        Ok(bytes) => Ok(Some(Bytes::Mapped(Arc::new(bytes)))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(permission::file("read", path, error)),
    }
}

fn damaged(path: PathBuf, source: BtfError) -> Error {
    BtfError::File { path, source: Box::new(source) }.into()
}
