//! Making a map of a spec.

use super::info::{self, c_path};
use super::rules::{self, check};
use super::view::STRUCT_OPS;
use super::{Map, Object, object_name};
use crate::bpf;
use crate::btf::{self, KernelTypes, Kind, TypeDesc, module_btf};
use crate::error::{Error, Result};
use crate::insn::Insn;
use crate::kernel::{cpu, version};
use crate::permission::{self, Need};
use crate::ring::page_size;
use crate::spec::{Hook, InnerMap, MapSpec, ObjectTypes, first_map_version};
use crate::syscall::{self, BtfLoad, MapBtf, MapCreate, ProgLoad, memlock};
use crate::token::Token;
use crate::uapi::flags::{BPF_F_NUMA_NODE, BPF_F_RDONLY, BPF_F_RDONLY_PROG, BPF_F_WRONLY, OF_MAPS};
use crate::uapi::{ENOTSUPP, Errno, MapFlags, MapType, ProgramType};
use crate::util::Version;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

impl Map {
    /// Creates the map: it is checked, created with the inner maps that it needs, filled, frozen and pinned, as far as
    /// the spec has it. `bpf(2)`, `BPF_MAP_CREATE`; Linux 3.19 for the first of the types.
    ///
    /// If the path of the spec has a pin, its map is used, if it has the same type, sizes and flags, and keeps its
    /// contents.
    ///
    /// Names (Linux 4.15), types of keys and values (4.18), and that the contents are frozen (5.2) are left out on
    /// kernels that do not have them.
    ///
    /// ```no_run
    /// use rawbpf::{Map, MapSpec};
    ///
    /// let counts = Map::create(&MapSpec::hash("counts", 4, 8, 1024).with_pin("/sys/fs/bpf/counts"))?;
    /// # Ok::<(), rawbpf::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::MapField`] if no kernel would take it, [`Error::CreateMap`] if this one does not, [`Error::PinnedMap`] if
    /// another map is pinned at its path; [`Error::Call`] for the steps that follow.
    #[doc(alias = "BPF_MAP_CREATE")]
    pub fn create(spec: &MapSpec<'_>) -> Result<Map> {
        Map::create_by(spec, None)
    }

    /// Creates the map with a token, if there is one.
    pub(crate) fn create_by(spec: &MapSpec<'_>, token: Option<&Token>) -> Result<Map> {
        Map::create_with(spec, token, None)
    }

    /// Creates the map with the BTF of its object file, if that is loaded already.
    pub(crate) fn create_with(
        spec: &MapSpec<'_>,
        token: Option<&Token>,
        btf: Option<BorrowedFd<'_>>,
    ) -> Result<Map> {
        let inner =
            spec.of_object().and_then(|object| object.inner.as_ref()).map(|inner| inner.spec());
        let spec = &MapSpec {
            max_entries: of_object(spec),
            inner: spec.inner.or(inner.as_ref()),
            ..*spec
        };
        check(spec)?;
        let find = spec.find_table.and_then(Hook::get::<FindTable>);
        let table = match (spec.table, find) {
            (Some(of), Some(FindTable(find))) => Some(find(of)?),
            _ => None,
        };
        let value_size = table.as_ref().map_or(spec.value_size, |table| table.size);
        let (spec, table) = (&MapSpec { value_size, ..*spec }, table.as_ref());
        let Some(path) = spec.pin else { return create_new(spec, token, table, btf) };
        let c_path = c_path(Path::new(path)).map_err(|errno| refused(spec, errno, token))?;
        // Another process may pin or unpin it between two of these steps.
        let mut answer = Errno(libc::EEXIST);
        for _ in 0..3 {
            match syscall::obj_get(&c_path, 0, None) {
                Ok(fd) => return reused(spec, Path::new(path), fd),
                Err(Errno(libc::ENOENT)) => {}
                Err(errno) => {
                    let which = format!("pinned at {path}");
                    return Err(info::unopened(&which, errno, None));
                }
            }
            let map = create_new(spec, token, table, btf)?;
            match syscall::obj_pin(map.as_fd(), &c_path, None) {
                Ok(()) => return Ok(map),
                Err(Errno(libc::EEXIST)) => answer = Errno(libc::EEXIST),
                Err(errno) => return Err(map.unpinned(errno)),
            }
        }
        Err(info::unopened(&format!("pinned at {path}"), answer, None))
    }
}

fn refused(spec: &MapSpec<'_>, errno: Errno, token: Option<&Token>) -> Error {
    let why = match token {
        None => permission::explain(errno, Need::Bpf),
        Some(_) => {
            let options = format!("delegate_cmds=map_create,delegate_maps={}", spec.kind);
            permission::explain_lent(errno, Need::Bpf, options)
        }
    };
    Error::CreateMap {
        map: spec.name.into(),
        kind: spec.kind,
        errno,
        why,
        lacks: lacks(spec, errno),
    }
}

/// Names the feature of a map that a kernel which refuses it most likely does not have.
fn lacks(spec: &MapSpec<'_>, errno: Errno) -> Option<String> {
    if !matches!(errno.0, libc::EINVAL | libc::E2BIG) {
        return None;
    }
    let of_type =
        || version::too_old(&format!("the type {}", spec.kind), first_map_version(spec.kind));
    let flags = spec.flags.bits() | numa(spec);
    let of_flags = || version::lacking_flags(flags, &OF_MAPS, rules::usual_flags(spec.kind));
    of_type().or_else(of_flags)
}

fn object(spec: &MapSpec<'_>, max_entries: u32, flags: u32, fd: OwnedFd) -> Map {
    Map(Arc::new(Object {
        name: spec.name.into(),
        kind: spec.kind,
        key_size: spec.key_size,
        value_size: spec.value_size,
        max_entries,
        flags,
        reused: false,
        fd,
        cpus: OnceLock::new(),
        no_batch: AtomicBool::new(false),
    }))
}

/// The number of entries that it is created with.
fn entries(spec: &MapSpec<'_>) -> Result<u32> {
    match (spec.kind, spec.max_entries) {
        (MapType::PerfEventArray, 0) => cpu::nr_cpu_ids(),
        (_, entries) => Ok(entries),
    }
}

/// The number of entries of a map, which of a ring of an object file is rounded up to what the kernel takes.
fn of_object(spec: &MapSpec<'_>) -> u32 {
    let ring = matches!(spec.kind, MapType::RingBuf | MapType::UserRingBuf);
    if !ring || spec.of_object().is_none() || spec.max_entries == 0 {
        return spec.max_entries;
    }
    let page = u32::try_from(page_size()).unwrap_or(u32::MAX);
    let rounded = spec.max_entries.max(page).checked_next_power_of_two();
    rounded.unwrap_or(spec.max_entries)
}

impl InnerMap {
    /// Returns the spec of such a map.
    fn spec(&self) -> MapSpec<'_> {
        let InnerMap { name, kind, key_size, value_size, max_entries, flags, extra, .. } = self;
        MapSpec {
            flags: *flags,
            map_extra: *extra,
            numa_node: self.numa_node,
            object: Some(&self.object),
            ..MapSpec::new(name, *kind, *key_size, *value_size, *max_entries)
        }
    }
}

/// Creates a map that is not shared.
fn create_new(
    spec: &MapSpec<'_>,
    token: Option<&Token>,
    table: Option<&Table>,
    btf: Option<BorrowedFd<'_>>,
) -> Result<Map> {
    // The kernel looks at one such map and does not keep it.
    let inner = match spec.inner {
        Some(inner) => {
            let inner = MapSpec { pin: None, contents: None, frozen: false, ..*inner };
            Some(Map::create_with(&inner, token, btf)?)
        }
        None => None,
    };
    let max_entries = entries(spec)?;
    let inner = inner.as_ref().map(AsFd::as_fd);
    let made = match create_with_fallbacks(spec, max_entries, inner, token, table, btf) {
        // Linux 5.10 reads its own types when the first program since its start is loaded.
        Err(Errno(ENOTSUPP)) if table.is_some() && load_something() => {
            create_with_fallbacks(spec, max_entries, inner, token, table, btf)
        }
        answer => answer,
    };
    let fd = made.map_err(|errno| refused(spec, errno, token))?;
    let map = object(spec, max_entries, spec.flags.bits(), fd);
    if let Some(contents) = spec.contents {
        let key = 0u32.to_ne_bytes();
        let refuse = |errno| Error::Call {
            action: "set",
            object: format!("element 0 of map `{}` ({})", spec.name, spec.kind),
            errno,
            why: None,
            note: None,
        };
        // As long as the value, as `check` has verified.
        syscall::map_update(map.as_fd(), &key, contents, 0).map_err(refuse)?;
    }
    if spec.frozen {
        match syscall::map_freeze(map.as_fd()) {
            // The command does not exist before Linux 5.2. Access by programs does not depend on it.
            Ok(()) | Err(Errno(libc::EINVAL)) => {}
            Err(errno) => return Err(map.refused("freeze", errno, None)),
        }
    }
    Ok(map)
}

/// Has the verifier look at a program.
fn load_something() -> bool {
    const NOTHING: &[Insn] = bpf! { r0 = 0; exit; }.slots;
    let mut load = ProgLoad {
        prog_type: ProgramType::SocketFilter as u32,
        insns: NOTHING,
        license: c"GPL",
        ..Default::default()
    };
    memlock::with_memlock(|| syscall::prog_load(&mut load)).is_ok()
}

/// The value of a `struct_ops` map: the struct with the functions in a larger one, by its number in BTF.
struct Table {
    id: u32,
    size: u32,
    module: Option<OwnedFd>,
}

/// The search for a table, which only specs of maps that have one carry: a program without such a map has no reading of BTF
/// in it for them.
#[derive(Clone, Copy)]
struct FindTable(fn(&str) -> Result<Table>);

impl<'a> MapSpec<'a> {
    /// Functions of the kernel, for programs to take their places: the struct of them is `tcp_congestion_ops`, say
    /// (Linux 5.6). Its value has the size that the struct has in the running kernel.
    /// [`StructOps`](crate::map::StructOps) fills it in. With [`MapFlags::LINK`] (6.4) it is registered
    /// by a link.
    #[doc(alias = "BPF_MAP_TYPE_STRUCT_OPS")]
    pub const fn struct_ops(name: &'a str, table: &'a str) -> Self {
        let mut spec = MapSpec::new(name, MapType::StructOps, 4, 0, 1);
        spec.table = Some(table);
        spec.find_table = Some(Hook::new(&FindTable(Table::find)));
        spec
    }
}

impl Table {
    fn find(of: &str) -> Result<Table> {
        let types = KernelTypes::new();
        let name = format!("{STRUCT_OPS}{of}");
        // The error names the struct of the spec as missing, rather than one with the prefix.
        types.size_of(&format!("struct {of}"))?;
        let (id, place) = types.type_id(&name, Kind::Struct)?;
        let size = place.btf.size_of(&format!("struct {name}"))?;
        Ok(Table { id, size, module: place.module.map(module_btf).transpose()? })
    }
}

/// Creates it with everything, and then without what is only for show.
///
/// A kernel that does not know a field answers `E2BIG` if it is beyond its `bpf_attr`, and `EINVAL` if it is not for
/// that command; one that takes no types for that type of map `EINVAL` or `ENOTSUPP`.
fn create_with_fallbacks(
    spec: &MapSpec<'_>,
    max_entries: u32,
    inner: Option<BorrowedFd<'_>>,
    token: Option<&Token>,
    table: Option<&Table>,
    btf: Option<BorrowedFd<'_>>,
) -> Result<OwnedFd, Errno> {
    let token = token.map(AsFd::as_fd);
    let name = object_name(spec.name);
    let plain = MapCreate {
        map_type: spec.kind as u32,
        key_size: spec.key_size,
        value_size: spec.value_size,
        max_entries,
        flags: spec.flags.bits(),
        inner_map: inner,
        numa_node: spec.numa_node,
        map_extra: spec.map_extra,
        vmlinux_value_type: table.map_or(0, |table| table.id),
        value_type_btf: table.and_then(|table| table.module.as_ref()).map(AsFd::as_fd),
        token,
        ..Default::default()
    };
    let named = MapCreate { name: &name, ..plain.clone() };
    let unknown = |errno| matches!(errno, Errno(libc::EINVAL | libc::E2BIG | ENOTSUPP));

    match types(spec, token, btf) {
        Ok(Some((btf, key_type, value_type))) => {
            let btf = Some(MapBtf { btf: btf.as_fd(), key_type, value_type });
            match memlock::create_map(&MapCreate { btf, ..named.clone() }) {
                Err(errno) if unknown(errno) && !needs_types(spec) => {}
                answer => return answer,
            }
        }
        Err(errno) if needs_types(spec) => return Err(errno),
        Ok(None) | Err(_) => {}
    }
    match memlock::create_map(&named) {
        Err(errno) if unknown(errno) && !name.is_empty() => {
            // A name that was not the reason does not hide what was.
            memlock::create_map(&plain).map_err(|again| if unknown(again) { errno } else { again })
        }
        answer => answer,
    }
}

/// Whether no kernel takes it without BTF.
fn needs_types(spec: &MapSpec<'_>) -> bool {
    rules::is_storage(spec.kind) || spec.table.is_some()
}

/// BTF in the kernel, loaded for a map alone or for all of an object file.
enum Loaded<'b> {
    Own(OwnedFd),
    Shared(BorrowedFd<'b>),
}

impl AsFd for Loaded<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Loaded::Own(fd) => fd.as_fd(),
            Loaded::Shared(fd) => *fd,
        }
    }
}

/// The types of a map's keys and values, in the kernel. One that holds a struct of the kernel's has to have BTF of its own
/// all the same, of which nothing is used.
fn types<'b>(
    spec: &MapSpec<'_>,
    token: Option<BorrowedFd<'_>>,
    btf: Option<BorrowedFd<'b>>,
) -> Result<Option<(Loaded<'b>, u32, u32)>, Errno> {
    if let Some(object) = spec.of_object().filter(|_| spec.types.is_none() && spec.table.is_none())
    {
        let (key, value) = (object.key_type, object.value_type);
        let takes = rules::takes_types(spec.kind) && (key, value) != (0, 0);
        let Some(types) = object.types.as_ref().filter(|_| takes) else { return Ok(None) };
        let loaded = match btf {
            Some(btf) => Loaded::Shared(btf),
            None => Loaded::Own(load_object_types(types, token)?),
        };
        return Ok(Some((loaded, key, value)));
    }
    let (key, value) = match (&spec.types, spec.table) {
        (Some((key, value)), _) => (key, value),
        (None, Some(_)) => (&TypeDesc::U32, &TypeDesc::U32),
        (None, None) => return Ok(None),
    };
    let types = btf::map_types(key, value).map_err(|_| Errno(libc::E2BIG))?;
    let mut load = BtfLoad { btf: &types.blob, token, log: None };
    let btf = memlock::with_memlock(|| syscall::btf_load(&mut load))?;
    let unused = spec.table.is_some();
    let ids = if unused { (0, 0) } else { (types.key, types.value) };
    Ok(Some((Loaded::Own(btf), ids.0, ids.1)))
}

/// Loads the BTF of an object file into the kernel; into one that does not know all kinds of types, with older ones in their places.
pub(crate) fn load_object_types(
    types: &ObjectTypes,
    token: Option<BorrowedFd<'_>>,
) -> Result<OwnedFd, Errno> {
    let load = |blob: &[u8]| {
        let mut load = BtfLoad { btf: blob, token, log: None };
        memlock::with_memlock(|| syscall::btf_load(&mut load))
    };
    // What a newer kernel refuses is wrong, and an older type in its place would hide that.
    let old = || version::running().is_none_or(|here| here < Version::new(6, 0));
    match load(&types.blob) {
        Err(Errno(libc::EINVAL)) if types.plain != types.blob && old() => load(&types.plain),
        answer => answer,
    }
}

/// A map that is pinned already, if it is one like the spec.
fn reused(spec: &MapSpec<'_>, path: &Path, fd: OwnedFd) -> Result<Map> {
    let pinned = info::opened(&format!("pinned at {}", crate::util::escape::shown_path(path)), fd)?;
    let wanted_entries = entries(spec)?;
    let extra = pinned.info()?.map_extra;
    let differs = |field, pinned: &dyn std::fmt::Display, wanted: &dyn std::fmt::Display| {
        Err(Error::PinnedMap {
            map: spec.name.into(),
            path: path.into(),
            field,
            pinned: pinned.to_string(),
            wanted: wanted.to_string(),
        })
    };
    if pinned.kind() != spec.kind {
        return differs("kind", &pinned.kind(), &spec.kind);
    }
    let entries = if spec.flags.contains(MapFlags::NO_COMMON_LRU) {
        // htab_map_alloc() makes it the same number for each CPU.
        lru_entries(wanted_entries, pinned.cpus()?)
    } else {
        wanted_entries
    };
    for (field, has, wants) in [
        ("key_size", pinned.key_size(), spec.key_size),
        ("value_size", pinned.value_size(), spec.value_size),
        ("max_entries", pinned.max_entries(), entries),
    ] {
        if has != wants {
            return differs(field, &has, &wants);
        }
    }
    let (has, wants) =
        (lasting(spec.kind, pinned.0.flags), lasting(spec.kind, spec.flags.bits() | numa(spec)));
    if has != wants {
        return differs("flags", &format_args!("{has:#x}"), &format_args!("{wants:#x}"));
    }
    if extra != spec.map_extra {
        return differs(
            "map_extra",
            &format_args!("{extra:#x}"),
            &format_args!("{:#x}", spec.map_extra),
        );
    }
    let Object { fd, flags, max_entries, .. } = match Arc::try_unwrap(pinned.0) {
        Ok(object) => object,
        // It is not shared: it has just been opened.
        Err(shared) => return Ok(Map(shared)),
    };
    let Map(mut object) = object(spec, max_entries, flags, fd);
    if let Some(object) = Arc::get_mut(&mut object) {
        object.reused = true;
    }
    Ok(Map(object))
}

/// The number of entries of an LRU hash with a list for each CPU.
fn lru_entries(wanted: u32, cpus: usize) -> u32 {
    let cpus = u32::try_from(cpus).unwrap_or(1).max(1);
    wanted.checked_next_multiple_of(cpus).unwrap_or(wanted / cpus * cpus)
}

fn numa(spec: &MapSpec<'_>) -> u32 {
    if spec.numa_node.is_some() { BPF_F_NUMA_NODE } else { 0 }
}

/// The flags that a map keeps: what system calls may do belongs to the descriptor (Linux 5.12,
/// `bpf_map_flags_retain_permanent`), and the kernel itself lets programs only read maps of devices.
fn lasting(kind: MapType, flags: u32) -> u32 {
    let devices = matches!(kind, MapType::DevMap | MapType::DevMapHash);
    flags & !(BPF_F_RDONLY | BPF_F_WRONLY) & !if devices { BPF_F_RDONLY_PROG } else { 0 }
}
