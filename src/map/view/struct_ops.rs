//! Tables of functions of the kernel, filled with programs.

use super::super::{Map, Update};
use super::derefs;
use crate::btf::{Btf, Field, KernelTypes, Kind, btf_name};
use crate::error::{Error, Result};
use crate::syscall::{self, LinkCreate, LinkExtra, Numbered};
use crate::uapi::{AttachType, Errno, MapFlags, MapType};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// The prefix of the name of the struct that a `struct_ops` map holds: a head for the kernel's use, and `data`, the
/// struct itself.
pub(crate) const STRUCT_OPS: &str = "bpf_struct_ops_";

/// A struct of the kernel whose members are functions, such as `tcp_congestion_ops`, with programs in their places. A
/// program of type `struct_ops` is loaded for one of them: its [`target`](crate::ProgramSpec::target) is
/// `tcp_congestion_ops.ssthresh`. Linux 5.6.
///
/// ```no_run
/// use rawbpf::map::StructOps;
/// use rawbpf::{Loader, MapSpec, ProgramSpec, ProgramType, bpf};
///
/// static RENO: MapSpec = MapSpec::struct_ops("half", "tcp_congestion_ops");
/// static HALF: ProgramSpec = ProgramSpec::new("half", ProgramType::StructOps, bpf! { r0 = 2; exit; })
///     .with_target("tcp_congestion_ops.ssthresh");
/// # const NOTHING: ProgramSpec = HALF;
///
/// let mut loader = Loader::new();
/// let mut table = StructOps::of(loader.map(&RENO)?)?;
/// table.set("name", b"half")?;
/// table.program("ssthresh", &loader.load(&HALF)?)?;
/// // … undo_cwnd, cong_avoid
/// let _registered = table.register()?;
/// # Ok::<(), rawbpf::Error>(())
/// ```
#[doc(alias = "BPF_MAP_TYPE_STRUCT_OPS")]
#[derive(Debug)]
pub struct StructOps {
    map: Map,
    /// The struct that is the map's value.
    of: String,
    types: KernelTypes,
    value: Vec<u8>,
    /// The programs whose descriptors are in the value.
    programs: Vec<OwnedFd>,
}

derefs! { StructOps<> }

impl StructOps {
    /// A view of this map, whose functions and other members are all empty until they are set here.
    ///
    /// # Errors
    /// [`Error::MapView`] if it is another kind of map; [`Error::Call`], [`Error::Btf`] if the kernel does not
    /// report which struct it is.
    pub fn of(map: &Map) -> Result<Self> {
        if map.kind() != MapType::StructOps {
            return Err(Error::MapView {
                map: map.name().into(),
                view: "StructOps",
                field: "kind",
                has: map.kind().to_string(),
                needs: MapType::StructOps.to_string(),
            });
        }
        let types = KernelTypes::new();
        let of = table_of(map, &types)?;
        let value = vec![0; map.value_size() as usize];
        Ok(StructOps { map: map.clone(), of, types, value, programs: Vec::new() })
    }

    /// Sets a member that is no function: `name` to `b"half"`. Of an array the rest becomes 0.
    ///
    /// # Errors
    /// [`Error::Btf`] with the nearest names if there is no such member, [`Error::MapLength`] if it has another size.
    pub fn set(&mut self, member: &str, bytes: &[u8]) -> Result<()> {
        let field = self.field(member)?;
        let size = field.size as usize;
        if bytes.len() > size || bytes.len() < size && field.kind != Kind::Array {
            let map = self.map.name().into();
            return Err(Error::MapLength { map, what: "a member", has: bytes.len(), needs: size });
        }
        let to = self.value.iter_mut().skip(field.offset as usize).take(size);
        to.zip(bytes.iter().chain(std::iter::repeat(&0))).for_each(|(to, from)| *to = *from);
        Ok(())
    }

    /// Puts a program in the place of a function. It was loaded for that one.
    ///
    /// # Errors
    /// [`Error::Btf`] with the nearest names if there is no such member, [`Error::MapLength`] if it is no function.
    pub fn program(&mut self, member: &str, program: impl AsFd) -> Result<()> {
        let fd = program
            .as_fd()
            .try_clone_to_owned()
            .map_err(|source| self.refused("put a program into", Errno::of(&source), None))?;
        let field = self.field(member)?;
        let word = if field.kind == Kind::Pointer { size_of::<usize>() } else { 0 };
        if field.size as usize != word {
            let (map, has) = (self.map.name().into(), field.size as usize);
            let (what, needs) = ("a member that is no function,", size_of::<usize>());
            return Err(Error::MapLength { map, what, has, needs });
        }
        // The kernel reads a word where the pointer is. A descriptor that is open is never negative.
        self.set(member, &(fd.as_raw_fd() as usize).to_ne_bytes())?;
        self.programs.push(fd);
        Ok(())
    }

    /// Hands the table to the kernel, which uses it for as long as what this gives is kept. `bpf(2)`,
    /// `BPF_MAP_UPDATE_ELEM`, and `BPF_LINK_CREATE` if the map has [`MapFlags::LINK`].
    ///
    /// # Errors
    /// [`Error::Call`]: `EINVAL` if a function is missing that the kernel does not do without, `EEXIST` if there is a
    /// table of that name already.
    pub fn register(&self) -> Result<Registered> {
        let key = [0; 4];
        self.map.update(&key, &self.value, Update::Any)?;
        if !self.map.flags().contains(MapFlags::LINK) {
            return Ok(Registered(Held::Map(self.map.clone())));
        }
        let link = syscall::link_create(&LinkCreate {
            program: self.map.as_fd(),
            target: syscall::Target::None,
            attach_type: AttachType::StructOps as u32,
            flags: 0,
            extra: LinkExtra::None,
        });
        let link = link.map_err(|errno| self.refused("register", errno, None))?;
        Ok(Registered(Held::Link(link)))
    }

    /// Returns the name of the struct.
    pub(crate) fn table(&self) -> &str {
        &self.of
    }

    fn field(&self, member: &str) -> Result<Field> {
        self.types.field(&format!("struct {STRUCT_OPS}{}.data.{member}", self.of))
    }
}

/// The struct whose functions are in a map.
fn table_of(map: &Map, types: &KernelTypes) -> Result<String> {
    let info = map.info()?;
    let name = |btf: &Btf| {
        let found = btf.get(info.vmlinux_value_type).ok()?;
        found.name.strip_prefix(STRUCT_OPS).map(str::to_owned)
    };
    // The numbers of a module's types begin behind those of the kernel.
    if let Some(name) = name(types.vmlinux()?) {
        return Ok(name);
    }
    let refused = |errno| map.refused("get the types of", errno, None);
    let fd = syscall::fd_by_id(Numbered::Btf, info.vmlinux_btf_id, 0).map_err(refused)?;
    let module = String::from_utf8_lossy(&btf_name(fd.as_fd()).map_err(refused)?).into_owned();
    let found = types.module(&module)?.and_then(name);
    found.ok_or_else(|| refused(Errno(libc::ENOENT)))
}

/// A table of functions that the kernel uses. Dropping it takes the table back; what uses it still, a connection for
/// instance, does so to its end.
#[derive(Debug)]
#[must_use = "dropping it takes the table away from the kernel"]
pub struct Registered(Held);

#[derive(Debug)]
enum Held {
    Link(#[allow(dead_code, reason = "held open, not looked at")] OwnedFd),
    Map(Map),
}

impl Drop for Registered {
    fn drop(&mut self) {
        if let Held::Map(map) = &self.0 {
            // A drop has no way to report an error.
            let _ = syscall::map_delete(map.as_fd(), &[0; 4]);
        }
    }
}
