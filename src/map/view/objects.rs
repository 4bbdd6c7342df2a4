//! Maps whose values or keys are objects of the kernel: programs, maps, sockets, devices, control groups.

use super::super::{Map, Update};
use super::{Shape, delete, derefs, lookup, room, set};
use crate::error::Result;
use crate::spec::MapSpec;
use crate::uapi::MapType;
use crate::util::pod::Plain;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// The bytes of a descriptor as a value: 4, or 8 in maps whose value can also be read (a socket's cookie).
fn descriptor(map: &Map, fd: impl AsFd) -> Vec<u8> {
    // A descriptor that is open is never negative.
    let fd = fd.as_fd().as_raw_fd().cast_unsigned();
    if map.value_size() == 8 { u64::from(fd).to_bytes() } else { fd.to_bytes() }
}

fn number(map: &Map, key: &[u8]) -> Result<Option<u32>> {
    let mut value = room(map)?;
    Ok(map.read(key, &mut value, 0)?.then(|| u32::read(&value)))
}

/// Makes views of maps that take descriptors.
macro_rules! of_descriptors {
    ($(
        $(#[$doc:meta])*
        $name:ident<$($param:ident)?> key $key:ty, of $kinds:expr, values $values:expr, takes $fd:ty: $what:literal $since:literal
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<$($param)?> {
            map: Map,
            key: PhantomData<fn() -> $key>,
        }

        derefs! { $name<$($param)?> }

        impl<$($param: Plain)?> $name<$($param)?> {
            /// A view of this map.
            ///
            /// # Errors
            /// [`Error::MapView`](crate::Error::MapView) if it is another kind of map, or its keys are of another size.
            pub fn of(map: &Map) -> Result<Self> {
                let shape = Shape {
                    view: stringify!($name),
                    kinds: &$kinds,
                    key_size: <$key as Plain>::SIZE,
                    value_sizes: $values,
                };
                Ok($name { map: shape.check(map)?, key: PhantomData })
            }

            #[doc = concat!("Puts in ", $what, ": [`Map::update`]. ", $since, ".")]
            ///
            /// # Errors
            /// As [`Map::update`].
            pub fn update(&self, key: &$key, object: $fd, update: Update) -> Result<()> {
                self.map.update(&key.to_bytes(), &descriptor(&self.map, object), update)
            }

            #[doc = concat!("Takes out what is there; `false` if nothing was: [`Map::delete`]. ", $since, ".")]
            ///
            /// # Errors
            /// As [`Map::delete`].
            pub fn delete(&self, key: &$key) -> Result<bool> {
                delete(&self.map, key)
            }
        }
    )*};
}

of_descriptors! {
    /// Programs for `tail_call`, by index. All are of one type. They are removed when only programs hold the map any
    /// more.
    ///
    /// ```no_run
    /// use rawbpf::map::{ProgArray, Update};
    /// use rawbpf::{Loader, MapSpec, ProgramSpec, ProgramType, bpf};
    ///
    /// static NEXT: MapSpec = MapSpec::prog_array("next", 4);
    /// static SEVEN: ProgramSpec = ProgramSpec::new("seven", ProgramType::SocketFilter, bpf! { r0 = 7; exit; });
    ///
    /// let mut loader = Loader::new();
    /// let next = ProgArray::of(loader.map(&NEXT)?)?;
    /// next.update(&0, &loader.load(&SEVEN)?, Update::Any)?;
    /// # Ok::<(), rawbpf::Error>(())
    /// ```
    #[doc(alias = "BPF_MAP_TYPE_PROG_ARRAY")]
    ProgArray<> key u32, of [MapType::ProgArray], values [4, 4], takes impl AsFd: "a program" "Linux 4.2"

    /// Control groups by index, for `current_task_under_cgroup` and `skb_under_cgroup`. A control group is a folder of
    /// the cgroup2 file system, opened.
    #[doc(alias = "BPF_MAP_TYPE_CGROUP_ARRAY")]
    CgroupArray<> key u32, of [MapType::CgroupArray], values [4, 4], takes impl AsFd: "a control group" "Linux 4.8"

    /// Maps in a map, by index or by any key; all as the spec's [`inner`](MapSpec::inner) says.
    ///
    /// ```no_run
    /// use rawbpf::MapSpec;
    /// use rawbpf::map::{Map, MapOfMaps, Update};
    ///
    /// static INNER: MapSpec = MapSpec::array("inner", 8, 4);
    /// static OUTER: MapSpec = MapSpec::hash_of_maps("outer", 8, 16, &INNER);
    ///
    /// let outer = MapOfMaps::<u64>::of(&Map::create(&OUTER)?)?;
    /// outer.update(&7, &Map::create(&INNER)?, Update::Any)?;
    /// # Ok::<(), rawbpf::Error>(())
    /// ```
    #[doc(alias("BPF_MAP_TYPE_ARRAY_OF_MAPS", "BPF_MAP_TYPE_HASH_OF_MAPS"))]
    MapOfMaps<K> key K, of [MapType::ArrayOfMaps, MapType::HashOfMaps], values [4, 4],
        takes &Map: "a map" "Linux 4.12"

    /// Sockets by index or by any key, to send data or connections to: `sockmap`, `sockhash` (Linux 4.18), and
    /// `reuseport_sockarray` (4.19). [`lookup`](SockMap::cookie) takes values of 8 bytes.
    #[doc(alias("BPF_MAP_TYPE_SOCKMAP", "BPF_MAP_TYPE_SOCKHASH", "BPF_MAP_TYPE_REUSEPORT_SOCKARRAY"))]
    SockMap<K> key K, of [MapType::SockMap, MapType::SockHash, MapType::ReuseportSockArray], values [4, 8],
        takes impl AsFd: "a socket" "Linux 4.14"

    /// `AF_XDP` sockets by index, to hand packets to. The socket has to be bound to a queue of a device.
    #[doc(alias = "BPF_MAP_TYPE_XSKMAP")]
    XskMap<> key u32, of [MapType::XskMap], values [4, 4], takes impl AsFd: "a socket" "Linux 4.18"
}

impl ProgArray {
    /// The number of the program that is there. `bpf(2)`, `BPF_MAP_LOOKUP_ELEM`; Linux 4.17.
    ///
    /// # Errors
    /// As [`Map::lookup`].
    pub fn id(&self, key: &u32) -> Result<Option<u32>> {
        number(&self.map, &key.to_bytes())
    }
}

impl<K: Plain> MapOfMaps<K> {
    /// The number of the map that is there, for [`Map::open_id`]. `bpf(2)`, `BPF_MAP_LOOKUP_ELEM`; Linux 4.14.
    ///
    /// # Errors
    /// As [`Map::lookup`].
    pub fn id(&self, key: &K) -> Result<Option<u32>> {
        number(&self.map, &key.to_bytes())
    }
}

impl<K: Plain> SockMap<K> {
    /// The cookie of the socket that is there, in a map whose values have 8 bytes. `bpf(2)`, `BPF_MAP_LOOKUP_ELEM`;
    /// Linux 5.1 for `sockmap` and `sockhash`, 4.19 for `reuseport_sockarray`.
    ///
    /// # Errors
    /// As [`Map::lookup`]; `ENOSPC` if the values have 4 bytes.
    pub fn cookie(&self, key: &K) -> Result<Option<u64>> {
        let mut value = room(&self.map)?;
        Ok(self.map.read(&key.to_bytes(), &mut value, 0)?.then(|| u64::read(&value)))
    }
}

/// The destination of a packet that XDP redirects: an element of a [`DevMap`] or [`CpuMap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redirect {
    /// The number of the network device; or how many packets may wait for the CPU.
    pub target: u32,
    /// The number of the program that runs there first, 0 if there is none (Linux 5.8 for devices, 5.9 for CPUs).
    pub program: u32,
}

macro_rules! redirects {
    ($(
        $(#[$doc:meta])*
        $name:ident of $kinds:expr, target $target:ident: $what:literal $since:literal
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            map: Map,
        }

        derefs! { $name<> }

        impl $name {
            /// A view of this map.
            ///
            /// # Errors
            /// [`Error::MapView`](crate::Error::MapView) if it is another kind of map.
            pub fn of(map: &Map) -> Result<Self> {
                let shape =
                    Shape { view: stringify!($name), kinds: &$kinds, key_size: 4, value_sizes: [4, 8] };
                Ok($name { map: shape.check(map)? })
            }

            #[doc = concat!("Sets one element: ", $what, ", and a program that is to run there first, in a map whose")]
            #[doc = concat!("values have 8 bytes. `bpf(2)`, `BPF_MAP_UPDATE_ELEM`; ", $since, ".")]
            ///
            /// # Errors
            /// As [`Map::update`]; [`Error::MapLength`](crate::Error::MapLength) for a program where the values have 4 bytes.
            pub fn update(&self, key: u32, $target: u32, program: Option<BorrowedFd<'_>>) -> Result<()> {
                let mut value = $target.to_bytes();
                if program.is_some() || self.map.value_size() == 8 {
                    // -1: none. 0 is a descriptor like others to some kernels.
                    let fd = program.map_or(-1, |program| program.as_raw_fd());
                    value.extend(fd.to_bytes());
                }
                self.map.update(&key.to_bytes(), &value, Update::Any)
            }

            #[doc = concat!("Reads one element. `bpf(2)`, `BPF_MAP_LOOKUP_ELEM`; ", $since, ".")]
            ///
            /// # Errors
            /// As [`Map::lookup`].
            pub fn lookup(&self, key: u32) -> Result<Option<Redirect>> {
                let mut value = room(&self.map)?;
                let found = self.map.read(&key.to_bytes(), &mut value, 0)?;
                let redirect = || Redirect {
                    target: u32::read(&value),
                    program: u32::read(value.get(4..).unwrap_or_default()),
                };
                Ok(found.then(redirect).filter(|redirect| redirect.target != 0))
            }

            #[doc = concat!("Takes one element out; `false` if there was none: [`Map::delete`]. ", $since, ".")]
            ///
            /// # Errors
            /// As [`Map::delete`].
            pub fn delete(&self, key: u32) -> Result<bool> {
                delete(&self.map, &key)
            }
        }
    )*};
}

redirects! {
    /// Network devices, by index (`devmap`) or any number (`devmap_hash`, Linux 5.4), for XDP to send packets to.
    #[doc(alias("BPF_MAP_TYPE_DEVMAP", "BPF_MAP_TYPE_DEVMAP_HASH"))]
    DevMap of [MapType::DevMap, MapType::DevMapHash], target device: "the number of a device" "Linux 4.14"

    /// CPUs by their number, for XDP to have packets handled there.
    #[doc(alias = "BPF_MAP_TYPE_CPUMAP")]
    CpuMap of [MapType::CpuMap], target waiting: "how many packets may wait for that CPU" "Linux 4.15"
}

/// Memory that belongs to a socket, an inode, a task or a control group and goes with it. In user space the key is a
/// descriptor: a socket, a file, a process (`pidfd_open(2)`), the folder of a control group.
///
/// ```no_run
/// use rawbpf::map::{Map, Storage, Update};
/// use rawbpf::{MapSpec, MapType};
/// use std::net::UdpSocket;
///
/// static SEEN: MapSpec = MapSpec::storage::<u64>("seen", MapType::SkStorage);
///
/// let seen = Storage::<u64>::of(&Map::create(&SEEN)?)?;
/// let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
/// seen.update(&socket, &1, Update::Any)?;
/// # Ok::<(), rawbpf::Error>(())
/// ```
#[doc(alias = "BPF_MAP_TYPE_SK_STORAGE")]
#[doc(alias = "BPF_MAP_TYPE_TASK_STORAGE")]
#[doc(alias = "BPF_MAP_TYPE_INODE_STORAGE")]
#[doc(alias = "BPF_MAP_TYPE_CGRP_STORAGE")]
#[derive(Debug)]
pub struct Storage<V> {
    map: Map,
    types: PhantomData<fn() -> V>,
}

derefs! { Storage<V> }

impl<V: Plain> Storage<V> {
    /// The map; `kind` is one of the four types: see [`MapSpec::storage`].
    pub const fn spec(name: &str, kind: MapType) -> MapSpec<'_> {
        MapSpec::storage::<V>(name, kind)
    }

    /// A view of this map.
    ///
    /// # Errors
    /// [`Error::MapView`](crate::Error::MapView) if it is another kind of map, or its values are of another size.
    pub fn of(map: &Map) -> Result<Self> {
        let kinds = &[
            MapType::SkStorage,
            MapType::InodeStorage,
            MapType::TaskStorage,
            MapType::CgrpStorage,
        ];
        let map = Shape::of::<i32, V>("Storage", kinds).check(map)?;
        Ok(Storage { map, types: PhantomData })
    }

    /// Reads what an object has: [`Map::lookup`]. Linux 5.2.
    ///
    /// # Errors
    /// As [`Map::lookup`].
    pub fn lookup(&self, object: impl AsFd) -> Result<Option<V>> {
        lookup(&self.map, &object.as_fd().as_raw_fd())
    }

    /// Sets what an object has: [`Map::update`]. Linux 5.2.
    ///
    /// # Errors
    /// As [`Map::update`].
    pub fn update(&self, object: impl AsFd, value: &V, update: Update) -> Result<()> {
        set(&self.map, &object.as_fd().as_raw_fd(), value, update)
    }

    /// Takes away what an object has; `false` if it had nothing: [`Map::delete`]. Linux 5.2.
    ///
    /// # Errors
    /// As [`Map::delete`].
    pub fn delete(&self, object: impl AsFd) -> Result<bool> {
        delete(&self.map, &object.as_fd().as_raw_fd())
    }
}
