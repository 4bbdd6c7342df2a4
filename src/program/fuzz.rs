//! Loading of collections by a kernel that is made up, for fuzzing.

use super::{Loader, Types};
use crate::btf::KernelTypes;
use crate::error::Result;
use crate::ring::page_size;
use crate::spec::Collection;
use crate::syscall::{Call, MapCreate, ProgLoad, UNLIMITED, fake, memfd_create};
use crate::uapi::{Errno, MapType};
use std::cell::Cell;
use std::fs::File;
use std::os::fd::IntoRawFd;
use std::path::Path;
use std::sync::OnceLock;

/// The longest name of a map or program, `BPF_OBJ_NAME_LEN` less the NUL.
const NAME: usize = 15;

/// Loads a collection by a kernel with the types of a folder that is laid out like `/sys/kernel/btf`. It takes everything but the call with
/// that number, and checks what no load may get wrong, whatever the object is; returns how many programs there are.
#[doc(hidden)]
pub fn load_collection(
    collection: &Collection<'_>,
    types: &Path,
    refused: Option<usize>,
) -> Result<usize> {
    let calls = Cell::new(0);
    let kernel = move |call: &mut Call<'_, '_>| {
        calls.set(calls.get() + 1);
        check(call);
        Some(match refused == Some(calls.get()) {
            true => Err(Errno(libc::EINVAL)),
            false => answer(call),
        })
    };
    fake::with(kernel, || {
        let types = KernelTypes::in_folder(types);
        let types = OnceLock::from(Box::new(types) as Box<dyn Types>);
        let mut loader = Loader { types, ..Loader::new() };
        loader.load_collection(collection).map(|programs| programs.len())
    })
}

fn answer(call: &mut Call<'_, '_>) -> std::result::Result<i64, Errno> {
    match call {
        Call::MapCreate(map) if map.map_type == MapType::Arena as u32 => arena(map),
        Call::MapCreate(_) | Call::BtfLoad(_) | Call::ProgLoad(_) => fake::descriptor(),
        Call::MapUpdate { .. } | Call::MapFreeze { .. } | Call::ObjPin { .. } => Ok(0),
        Call::MemlockGet { soft, hard } => {
            (**soft, **hard) = (UNLIMITED, UNLIMITED);
            Ok(0)
        }
        // Nothing is pinned, and there are no modules.
        _ => Err(Errno(libc::ENOENT)),
    }
}

/// A file in memory as large as an arena, which can be mapped as one.
fn arena(map: &MapCreate<'_>) -> std::result::Result<i64, Errno> {
    let len = u64::from(map.max_entries) * page_size() as u64;
    if len > 1 << 32 {
        return Err(Errno(libc::E2BIG));
    }
    let file = File::from(memfd_create(c"arena")?);
    file.set_len(len).map_err(|error| Errno::of(&error))?;
    Ok(i64::from(file.into_raw_fd()))
}

fn check(call: &Call<'_, '_>) {
    match call {
        Call::MapCreate(map) => check_map(map),
        Call::ProgLoad(load) => check_program(load),
        _ => {}
    }
}

fn is_name(name: &[u8]) -> bool {
    let letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    name.len() <= NAME && name.iter().all(letter)
}

fn check_map(map: &MapCreate<'_>) {
    assert!(is_name(map.name), "{map:?}");
}

/// Holds functions and source lines to be in the program, in order.
fn check_program(load: &ProgLoad<'_>) {
    assert!(is_name(load.name), "{load:?}");
    let Some(btf) = &load.btf else { return };
    let within = |slot: u32| (slot as usize) < load.insns.len();
    assert!(btf.func_info.iter().all(|[slot, _]| within(*slot)), "{btf:?}");
    assert!(btf.func_info.is_sorted_by_key(|[slot, _]| *slot), "{btf:?}");
    assert!(btf.line_info.iter().all(|[slot, ..]| within(*slot)), "{btf:?}");
    assert!(btf.line_info.is_sorted_by_key(|[slot, ..]| *slot), "{btf:?}");
}
