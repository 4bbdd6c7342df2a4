//! Arenas of object files: their memory, and the variables in it.
//!
//! Kernels take a program that uses an arena only once the arena has its place in a process (or in the spec), and variables are put
//! there by user space: so the loader maps the memory of each arena that it creates for an object, as libbpf does.

use super::Loader;
use crate::error::{Error, Result};
use crate::insn::{Insn, Op, Pseudo};
use crate::map::{Arena, Map, MappedArena};
use crate::ring::page_size;
use crate::spec::{DataSection, MapSpec, ProgramSpec};
use crate::syscall::{self, ProgLoad, memlock};
use crate::token::Token;
use crate::uapi::{MapFlags, MapType, ProgramType};
use std::os::fd::{AsFd, AsRawFd};

/// An arena that a loader has created.
#[derive(Debug)]
pub(super) struct LoadedArena<'a> {
    pub spec: &'a MapSpec<'a>,
    memory: MappedArena,
}

/// The variables of an arena: their place in it, in bytes from its beginning.
#[derive(Debug)]
pub(super) struct ArenaData<'a> {
    data: &'a DataSection,
    pub spec: &'a MapSpec<'a>,
    base: u64,
}

impl<'a> Loader<'a> {
    /// Returns the memory of an arena of an object file, which this loader has mapped into this process. The arena is created now if
    /// no loaded program has used it yet. `mmap(2)`; Linux 6.9.
    ///
    /// ```no_run
    /// use rawbpf::Loader;
    /// use rawbpf::object::Object;
    ///
    /// let object = Object::read(&std::fs::read("lists.o")?)?;
    /// let collection = object.collection("lists.o")?;
    /// let mut loader = Loader::new();
    /// let programs = loader.load_collection(&collection)?;
    /// let memory = loader.arena(collection.map("arena")?)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The errors of [`map`](Loader::map); [`Error::Unsupported`] if the map is no arena of an object, was pinned already, or has
    /// [`MapFlags::SEGV_ON_FAULT`]: [`Arena::mmap`] maps the others.
    pub fn arena(&mut self, spec: &'a MapSpec<'a>) -> Result<MappedArena> {
        self.map(spec)?;
        let segv = spec.flags.contains(MapFlags::SEGV_ON_FAULT);
        let known = self.arenas.iter().find(|arena| std::ptr::eq(arena.spec, spec));
        match known.filter(|_| !segv) {
            Some(arena) => Ok(arena.memory.clone()),
            None => Err(Error::Unsupported {
                what: "memory of an arena from a loader",
                needs: "an arena that the loader has created for an object file, without BPF_F_SEGV_ON_FAULT",
            }),
        }
    }

    /// Maps the memory of an arena of an object file that was created just now.
    pub(super) fn map_memory(&mut self, spec: &'a MapSpec<'a>, map: &Map) -> Result<()> {
        if spec.kind == MapType::Arena && spec.of_object().is_some() && !map.is_reused() {
            let memory = Arena::of(map)?.reserve(spec.map_extra)?;
            self.arenas.push(LoadedArena { spec, memory });
        }
        Ok(())
    }

    /// Returns the arena that holds a section of variables, which is one of these maps, and where in it the section begins. The
    /// initial values are put there the first time, unless it was pinned already and has what its owners put into it.
    fn arena_data(
        &mut self,
        data: &'a DataSection,
        maps: &'a [MapSpec<'a>],
    ) -> Result<(&'a MapSpec<'a>, u64)> {
        if let Some(known) = self.arena_data.iter().find(|known| std::ptr::eq(known.data, data)) {
            return Ok((known.spec, known.base));
        }
        let name = data.arena.as_deref().unwrap_or_default();
        let is_it = |spec: &&MapSpec<'_>| spec.kind == MapType::Arena && spec.name == name;
        let Some(spec) = maps.iter().find(is_it) else {
            let problem = "its arena is no map of the same collection";
            return Err(Error::Spec { what: "section", name: data.name.clone(), problem });
        };
        let max_entries = self.map(spec)?.max_entries();
        let (page, needed) = (page_size() as u64, data.bytes.len() as u64);
        let (len, needed) = (u64::from(max_entries) * page, needed.next_multiple_of(page));
        let Some(behind) = len.checked_sub(needed) else {
            return Err(Error::MapField {
                map: spec.name.into(),
                kind: spec.kind,
                field: "max_entries",
                value: max_entries.to_string(),
                rule: format!("its variables need {} pages", needed / page),
            });
        };
        // As libbpf 1.7: at the end, so that a program that allocates pages from the beginning on has them.
        let base = if takes_any_offset(self.token) { behind } else { 0 };
        let known = self.arenas.iter().find(|arena| std::ptr::eq(arena.spec, spec));
        if let Some(arena) = known {
            // To look at a page that is not there would end the process.
            if spec.flags.contains(MapFlags::SEGV_ON_FAULT) {
                return Err(Error::MapField {
                    map: spec.name.into(),
                    kind: spec.kind,
                    field: "flags",
                    value: format!("{:#x}", spec.flags.bits()),
                    rule: "variables are in pages that come as they are touched, without BPF_F_SEGV_ON_FAULT".into(),
                });
            }
            arena.memory.fill(base as usize, &data.bytes);
        }
        self.arena_data.push(ArenaData { data, spec, base });
        Ok((spec, base))
    }

    /// Creates the variables of a collection's arena, if it has any.
    pub(super) fn fill_arenas(
        &mut self,
        more: &'a [DataSection],
        maps: &'a [MapSpec<'a>],
    ) -> Result<()> {
        for data in more.iter().filter(|data| data.arena.is_some()) {
            self.arena_data(data, maps)?;
        }
        Ok(())
    }

    /// Writes the address of a variable of an arena into an instruction, whose second slot has the offset in its section.
    pub(super) fn put_arena(
        &mut self,
        spec: &ProgramSpec<'a, '_>,
        data: &'a DataSection,
        insns: &mut [Insn],
        slot: usize,
    ) -> Result<()> {
        let (map, base) = self.arena_data(data, spec.code.maps)?;
        let fd = self.map(map)?.as_fd().as_raw_fd();
        if let Some([first, second]) = insns.get_mut(slot..).and_then(<[Insn]>::first_chunk_mut) {
            *first = first.with_imm(fd);
            // An arena has at most 4 GiB: the offset is a number of 32 bits without a sign.
            *second = second.with_imm(second.imm().wrapping_add(base as u32 as i32));
        }
        Ok(())
    }

    /// Returns the map of a section of variables of an arena.
    pub(super) fn arena_map(&mut self, data: &'a DataSection) -> Result<&Map> {
        let known = self.arena_data.iter().find(|known| std::ptr::eq(known.data, data));
        let Some(spec) = known.map(|known| known.spec) else {
            let problem = "its arena is not created yet: load its collection first";
            return Err(Error::Spec { what: "section", name: data.name.clone(), problem });
        };
        self.map(spec)
    }

    /// Returns the bytes of a variable of an arena.
    pub(super) fn arena_bytes(
        &mut self,
        data: &'a DataSection,
        maps: &'a [MapSpec<'a>],
        offset: u32,
        size: u32,
    ) -> Result<Option<Vec<u8>>> {
        let (spec, base) = self.arena_data(data, maps)?;
        let memory = self.arena(spec)?;
        Ok(memory.bytes(base as usize + offset as usize, size as usize))
    }
}

/// Whether the kernel takes an address in an arena with an offset of 2^29 or more, which older ones refuse for any map: `bpf/verifier:
/// Do not limit maximum direct offset into arena map`, Linux 7.0.
fn takes_any_offset(token: Option<&Token>) -> bool {
    /// `BPF_MAX_VAR_OFF`.
    const OFFSET: u32 = 1 << 29;
    // Its place is that of the spec, so that nothing is mapped.
    let pages = OFFSET / page_size() as u32 + 1;
    let spec = MapSpec::arena("offset", pages).with_map_extra(1 << 44);
    let Ok(map) = Map::create_by(&spec, token) else { return false };
    let fd = map.as_fd().as_raw_fd();
    let insns = [
        Insn::from_fields(0x18, 1, Pseudo::MapValue as u8, 0, fd),
        Insn::from_fields(0, 0, 0, 0, OFFSET as i32),
        // r0 = 0
        Insn::from_fields(0xb7, 0, 0, 0, 0),
        Op::Exit.encode().first(),
    ];
    let mut load = ProgLoad {
        prog_type: ProgramType::SocketFilter as u32,
        insns: &insns,
        license: c"GPL",
        token: token.map(AsFd::as_fd),
        ..Default::default()
    };
    memlock::with_memlock(|| syscall::prog_load(&mut load)).is_ok()
}
