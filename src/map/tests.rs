//! Maps and a kernel that answers as the test likes.

use super::*;
use crate::spec::MapSpec;
use crate::syscall::{Call, fake};
use crate::uapi::{MapFlags, MapType};
use crate::util::TypeDesc;
use crate::util::pod::Plain;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

type Answer = Option<Result<i64, Errno>>;

const ENOTSUPP: i32 = crate::uapi::ENOTSUPP;

/// A kernel's answer to types and to a name.
type Refuses = fn(types: bool, name: bool) -> Option<i32>;

/// The attributes that a map was created with: types, a name.
type Asked = Rc<RefCell<Vec<(bool, bool)>>>;

/// A kernel that refuses what a map is created with, as far as `refuses` says.
fn old_kernel(refuses: Refuses) -> (Asked, impl FnMut(&mut Call<'_, '_>) -> Answer) {
    let asked = Asked::default();
    let seen = Rc::clone(&asked);
    let kernel = move |call: &mut Call<'_, '_>| match call {
        Call::BtfLoad(_) => Some(fake::descriptor()),
        Call::MapCreate(map) => {
            let (types, name) = (map.btf.is_some(), !map.name.is_empty());
            seen.borrow_mut().push((types, name));
            Some(refuses(types, name).map_or_else(fake::descriptor, |errno| Err(Errno(errno))))
        }
        _ => None,
    };
    (asked, kernel)
}

const COUNTS: MapSpec<'static> = Hash::<u32, u64>::spec("counts", 16);

#[test]
fn what_is_only_for_show_is_left_out_on_kernels_that_lack_it() {
    let cases: &[(Refuses, &[(bool, bool)])] = &[
        (|_, _| None, &[(true, true)]),
        // Linux 4.17: types are beyond what it knows.
        (|types, _| types.then_some(libc::E2BIG), &[(true, true), (false, true)]),
        // A type of map that takes none.
        (|types, _| types.then_some(ENOTSUPP), &[(true, true), (false, true)]),
        // Linux 4.14: neither.
        (
            |types, name| (types || name).then_some(libc::E2BIG),
            &[(true, true), (false, true), (false, false)],
        ),
    ];
    for (refuses, expected) in cases {
        let (asked, kernel) = old_kernel(*refuses);
        fake::with(kernel, || Map::create(&COUNTS)).unwrap();
        assert_eq!(&asked.borrow()[..], *expected);
    }
}

#[test]
fn a_refusal_that_has_nothing_to_do_with_them_is_told() {
    for (errno, tries) in [(libc::EPERM, 1), (libc::ENOMEM, 1), (libc::EINVAL, 3)] {
        let asked = Rc::new(RefCell::new(0));
        let seen = Rc::clone(&asked);
        let kernel = move |call: &mut Call<'_, '_>| match call {
            Call::BtfLoad(_) => Some(fake::descriptor()),
            Call::MapCreate(_) => {
                *seen.borrow_mut() += 1;
                Some(Err(Errno(errno)))
            }
            Call::MemlockGet { .. } => Some(Err(Errno(libc::EPERM))),
            _ => None,
        };
        let error = fake::with(kernel, || Map::create(&COUNTS)).unwrap_err();
        let Error::CreateMap { errno: reported, .. } = &error else { panic!("{error:?}") };
        assert_eq!((*reported, *asked.borrow()), (Errno(errno), tries), "{error}");
    }
    // Storage is nothing without its types.
    let (asked, kernel) = old_kernel(|types, _| types.then_some(libc::EINVAL));
    let storage = MapSpec::storage::<u64>("storage", MapType::TaskStorage);
    fake::with(kernel, || Map::create(&storage)).unwrap_err();
    assert_eq!(asked.borrow()[..], [(true, true)]);
}

/// The error about a type that is newer than the kernel names the version that brought it.
#[test]
fn a_type_that_a_kernel_lacks_is_told_with_its_version() {
    let here = crate::kernel::version::running().unwrap();
    let mut younger = 0;
    for kind in MapType::ALL.iter().copied().filter(|kind| *kind != MapType::StructOps) {
        let kernel = |call: &mut Call<'_, '_>| match call {
            Call::MapCreate(_) => Some(Err(Errno(libc::EINVAL))),
            Call::BtfLoad(_) => Some(fake::descriptor()),
            _ => None,
        };
        let (key, value) = crate::spec::implied_sizes(kind);
        let of_size = |size: Option<u32>| size.unwrap_or(16);
        let storage = rules::is_storage(kind);
        let entries = match kind {
            _ if storage => 0,
            MapType::CgroupStorage | MapType::PercpuCgroupStorage => 0,
            _ => 1 << 16,
        };
        let inner = rules::is_of_maps(kind).then_some(&COUNTS);
        let spec = MapSpec {
            flags: crate::spec::implied_flags(kind),
            inner,
            types: storage.then_some((u32::TYPE, u128_as_bytes())),
            ..MapSpec::new("m", kind, of_size(key), of_size(value), entries)
        };
        let error = fake::with(kernel, || Map::create(&spec)).unwrap_err();
        // The map in a map is refused by this kernel, too.
        let since =
            crate::spec::first_map_version(if inner.is_some() { MapType::Hash } else { kind });
        let reported =
            error.to_string().contains(&format!("Linux {since} brought the type {kind}"));
        assert_eq!(reported, here < since, "{error}");
        assert_eq!(error.kind() == crate::ErrorKind::Unsupported, here < since, "{error}");
        younger += u32::from(reported);
    }
    assert!(younger > 0 || here >= crate::spec::first_map_version(MapType::Rhash));
}

/// Sixteen bytes.
fn u128_as_bytes() -> TypeDesc<'static> {
    <[u64; 2]>::TYPE
}

/// A hash table with keys of 4 bytes and values of 8, in the kernel's place; it records the commands
/// that it gets, by name.
#[derive(Default)]
struct Table {
    elements: BTreeMap<u32, u64>,
    asked: Vec<&'static str>,
    /// Its answer to batches.
    batches: Option<i32>,
    /// The key that is gone whenever somebody asks for the next, and there again: the walk begins anew.
    restless: bool,
}

impl Table {
    fn answer(&mut self, call: &mut Call<'_, '_>) -> Result<i64, Errno> {
        let none = Err(Errno(libc::ENOENT));
        let name = match call {
            Call::MapCreate(_) => return fake::descriptor(),
            Call::BtfLoad(_) => return fake::descriptor(),
            Call::MapLookup { .. } => "lookup",
            Call::MapUpdate { .. } => "update",
            Call::MapDelete { .. } => "delete",
            Call::MapNextKey { .. } => "next",
            Call::MapLookupAndDelete { .. } => "take",
            Call::MapReadBatch(_) => "read batch",
            Call::MapWriteBatch(_) => "write batch",
            _ => panic!("{call:?}"),
        };
        self.asked.push(name);
        assert!(self.asked.len() < 10_000, "it does not end");
        let id = |bytes: &[u8]| u32::from_bytes(bytes).unwrap();
        match call {
            Call::MapLookup { key, value, .. } => match self.elements.get(&id(key)) {
                Some(there) => there.write(value),
                None => return none,
            },
            Call::MapUpdate { key, value, .. } => {
                self.elements.insert(id(key), u64::from_bytes(value).unwrap());
            }
            Call::MapDelete { key, .. } => match self.elements.remove(&id(key)) {
                Some(_) => {}
                None => return none,
            },
            Call::MapLookupAndDelete { key, value, .. } => match self.elements.remove(&id(key)) {
                Some(there) => there.write(value),
                None => return none,
            },
            Call::MapNextKey { key, next, .. } => {
                let after = key.map(id).filter(|key| self.elements.contains_key(key));
                // Half way it begins again, for ever.
                let after = after.filter(|key| !(self.restless && *key >= 3));
                let first = after.map_or(0, |after| after + 1);
                match self.elements.range(first..).next() {
                    Some((key, _)) => key.write(next),
                    None => return none,
                }
            }
            Call::MapReadBatch(batch) => {
                if let Some(errno) = self.batches {
                    return Err(Errno(errno));
                }
                let first = batch.from.map_or(0, |from| id(from) + 1);
                let some: Vec<_> = self
                    .elements
                    .range(first..)
                    .take(batch.count as usize)
                    .map(|(k, v)| (*k, *v))
                    .collect();
                for (i, (key, value)) in some.iter().enumerate() {
                    key.write(&mut batch.keys[4 * i..]);
                    value.write(&mut batch.values[8 * i..]);
                    key.write(batch.next);
                    if batch.delete {
                        self.elements.remove(key);
                    }
                }
                batch.count = some.len() as u32;
                let last = some.last().map_or(u32::MAX, |(key, _)| *key);
                if self.elements.range(last.saturating_add(1)..).next().is_none() {
                    return none;
                }
            }
            Call::MapWriteBatch(batch) => {
                if let Some(errno) = self.batches {
                    return Err(Errno(errno));
                }
                for i in 0..batch.count as usize {
                    let key = id(&batch.keys[4 * i..4 * i + 4]);
                    match batch.values {
                        Some(values) => {
                            let value = u64::from_bytes(&values[8 * i..8 * i + 8]).unwrap();
                            self.elements.insert(key, value);
                        }
                        None if self.elements.remove(&key).is_some() => {}
                        None => {
                            batch.count = i as u32;
                            return none;
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(0)
    }
}

/// Does something with a hash table of such a kernel; returns the commands that it got.
fn on(table: Table, action: impl FnOnce(&Hash<u32, u64>)) -> Vec<&'static str> {
    let table = Rc::new(RefCell::new(table));
    let kernel = Rc::clone(&table);
    fake::with(
        move |call| Some(kernel.borrow_mut().answer(call)),
        || action(&Hash::of(&Map::create(&COUNTS).unwrap()).unwrap()),
    );
    table.take().asked
}

fn without_batches(errno: i32) -> Table {
    Table { batches: Some(errno), ..Table::default() }
}

/// All that can be done by batches; the same is seen whether there are any or not.
fn by_batches(hash: &Hash<u32, u64>) {
    hash.update_batch(&[(1, 10), (2, 20), (3, 30), (5, 50)]).unwrap();
    assert_eq!(hash.lookup_batch().unwrap(), [(1, 10), (2, 20), (3, 30), (5, 50)]);
    // 4 is not there, in the middle; 9 is not, at the end.
    assert_eq!(hash.delete_batch(&[2, 4, 5, 9]).unwrap(), 2);
    assert_eq!(hash.lookup_and_delete_batch().unwrap(), [(1, 10), (3, 30)]);
    assert_eq!(hash.lookup_batch().unwrap(), []);
}

#[test]
fn without_batches_it_is_one_by_one_and_that_is_remembered() {
    let asked = on(Table::default(), by_batches);
    assert!(!asked.contains(&"update") && !asked.contains(&"take"), "{asked:?}");
    // Before Linux 5.6; a map without.
    for errno in [libc::EINVAL, ENOTSUPP, libc::EOPNOTSUPP] {
        let asked = on(without_batches(errno), by_batches);
        let tries = asked.iter().filter(|asked| asked.ends_with("batch")).count();
        assert_eq!(tries, 1, "{asked:?}");
    }
}

/// Any other error is reported, and not taken for a kernel without batches.
#[test]
fn a_batch_that_is_refused_is_an_error() {
    let asked = on(without_batches(libc::EFAULT), |hash| {
        for error in [
            hash.lookup_batch().map(drop).unwrap_err(),
            hash.lookup_and_delete_batch().map(drop).unwrap_err(),
        ] {
            assert!(matches!(error, Error::Call { errno: Errno(libc::EFAULT), .. }), "{error}");
        }
    });
    assert_eq!(asked, ["read batch", "read batch"]);
}

/// The list of CPUs may hold fewer than there are: the kernel does not go by it.
#[test]
fn there_is_room_for_the_values_of_all_cpus_whatever_the_list_says() {
    const CPUS: usize = 3;
    let kernel = |call: &mut Call<'_, '_>| match call {
        Call::MapCreate(_) => Some(fake::descriptor()),
        Call::MapLookup { value, .. } | Call::MapLookupAndDelete { value, .. } => {
            assert!(value.len() >= cpu::most() * 8);
            value[..CPUS * 8].fill(1);
            Some(Ok(0))
        }
        Call::MapUpdate { value, .. } => {
            assert!(value.len() >= cpu::most() * 8);
            Some(Ok(0))
        }
        Call::MapReadBatch(batch) => {
            assert!(batch.values.len() >= batch.count as usize * cpu::most() * 8);
            batch.values[..2 * CPUS * 8].fill(1);
            batch.count = 2;
            Some(Err(Errno(libc::ENOENT)))
        }
        Call::MapWriteBatch(batch) => {
            let values = batch.values.unwrap().len();
            assert!(values >= batch.count as usize * cpu::most() * 8);
            Some(Ok(0))
        }
        _ => None,
    };
    assert!(cpu::most() > CPUS);
    fake::with(kernel, || {
        for listed in [1, CPUS] {
            let map = Map::create(&MapSpec::percpu_hash("counts", 4, 8, 10)).unwrap();
            map.0.cpus.set(listed).unwrap();
            let value = vec![7; listed * 8];
            map.update(&[0; 4], &value, Update::Any).unwrap();
            map.update_batch(&[([0; 4], &value), ([1; 4], &value)]).unwrap();
            let read = map.lookup(&[0; 4]);
            let taken = map.lookup_and_delete(&[0; 4]);
            let batch = map.lookup_batch();
            if listed == CPUS {
                assert_eq!(read.unwrap().unwrap(), [1; CPUS * 8]);
                assert_eq!(taken.unwrap().unwrap(), [1; CPUS * 8]);
                let values: Vec<_> = batch.unwrap().into_iter().map(|(_, value)| value).collect();
                assert_eq!(values, [[1; CPUS * 8], [1; CPUS * 8]]);
            } else {
                for error in [read.unwrap_err(), taken.unwrap_err(), batch.unwrap_err()] {
                    let words = "the kernel has values for more CPUs than it lists";
                    assert!(error.to_string().contains(words), "{error}");
                }
            }
        }
    });
}

#[test]
fn a_bucket_that_does_not_fit_gets_more_room() {
    let sizes = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&sizes);
    let kernel = move |call: &mut Call<'_, '_>| match call {
        Call::MapCreate(_) => Some(fake::descriptor()),
        Call::MapReadBatch(batch) => {
            assert_eq!(batch.keys.len(), 4 * batch.count as usize);
            assert_eq!(batch.values.len(), 32_768 * batch.count as usize);
            assert!(batch.next.len() >= 4);
            seen.borrow_mut().push(batch.count);
            let few = batch.count < 5;
            batch.count = 0;
            Some(Err(Errno(if few { libc::ENOSPC } else { libc::ENOENT })))
        }
        _ => None,
    };
    let spec = MapSpec::hash("large", 4, 32_768, 100);
    let found = fake::with(kernel, || Map::create(&spec).unwrap().lookup_batch()).unwrap();
    assert_eq!((found.len(), &sizes.borrow()[..]), (0, &[1, 2, 4, 8][..]));
}

#[test]
fn a_walk_that_begins_again_and_again_ends() {
    let elements = (0..6).map(|key| (key, 0)).collect();
    on(Table { elements, restless: true, ..Table::default() }, |hash| {
        let mut keys: Vec<_> = hash.keys().collect();
        assert!(matches!(keys.pop(), Some(Err(Error::MapChanged { .. }))));
        // Twice as many as it can hold.
        assert_eq!(keys.len(), 32);
        assert!(hash.clear().is_err());
    });
}

#[test]
fn an_old_kernel_has_no_way_to_take_an_element_at_once() {
    for errno in [libc::EINVAL, ENOTSUPP, libc::EOPNOTSUPP] {
        let kernel = move |call: &mut Call<'_, '_>| match call {
            Call::MapCreate(_) | Call::BtfLoad(_) => Some(fake::descriptor()),
            Call::MapLookupAndDelete { .. } => Some(Err(Errno(errno))),
            _ => panic!("{call:?}"),
        };
        fake::with(kernel, || {
            let hash = Hash::<u32, u64>::of(&Map::create(&COUNTS).unwrap()).unwrap();
            let error = hash.lookup_and_delete(&1).unwrap_err();
            assert!(matches!(error, Error::Unsupported { .. }), "{error}");
        });
    }
}

#[test]
fn contents_are_frozen_if_the_kernel_can() {
    const TEXT: MapSpec<'static> =
        MapSpec::array("text", 3, 1).with_contents(b"abc").with_frozen(true);
    for (answer, works) in [(Ok(0), true), (Err(libc::EINVAL), true), (Err(libc::EBUSY), false)] {
        let written = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&written);
        let kernel = move |call: &mut Call<'_, '_>| match call {
            Call::MapCreate(_) => Some(fake::descriptor()),
            Call::MapUpdate { value, .. } => {
                seen.borrow_mut().extend_from_slice(value);
                Some(Ok(0))
            }
            Call::MapFreeze { .. } => Some(answer.map_err(Errno)),
            _ => None,
        };
        assert_eq!(fake::with(kernel, || Map::create(&TEXT)).is_ok(), works);
        assert_eq!(written.borrow()[..], *b"abc");
    }
}

/// Fills `struct bpf_map_info` with the words at these offsets.
fn write_words(info: &mut [u8], words: &[(usize, u32)]) {
    for (at, word) in words {
        word.write(&mut info[*at..]);
    }
}

#[test]
fn a_pinned_map_has_the_sizes_that_the_kernel_says() {
    const PIN: MapSpec<'static> = MapSpec::hash("counts", 4, 8, 16).with_pin("/sys/fs/bpf/counts");
    let pinned = |words: &'static [(usize, u32)]| {
        move |call: &mut Call<'_, '_>| match call {
            Call::ObjGet { path, .. } => {
                assert_eq!(path.to_bytes(), b"/sys/fs/bpf/counts");
                Some(fake::descriptor())
            }
            Call::ObjInfo(info) => {
                write_words(info.info, words);
                Some(Ok(0))
            }
            _ => panic!("{call:?}"),
        }
    };
    let same: &[_] = &[(0, 1), (4, 77), (8, 4), (12, 8), (16, 16)];
    let map = fake::with(pinned(same), || Map::create(&PIN)).unwrap();
    assert_eq!((map.name(), map.value_size()), ("counts", 8));
    const OTHERS: [(&[(usize, u32)], &str); 4] = [
        (&[(0, 9), (8, 4), (12, 8), (16, 16)], "kind"),
        (&[(0, 1), (8, 4), (12, 16), (16, 16)], "value_size"),
        (&[(0, 1), (8, 4), (12, 8), (16, 16), (20, 1)], "flags"),
        (&[(0, 1), (8, 4), (12, 8), (16, 16), (80, 1), (84, 1)], "map_extra"),
    ];
    for (words, blamed) in OTHERS {
        let error = fake::with(pinned(words), || Map::create(&PIN)).unwrap_err();
        let Error::PinnedMap { field, .. } = &error else { panic!("{error:?}") };
        assert_eq!(*field, blamed, "{error}");
    }
    let unknown = fake::with(pinned(&[(0, 4000)]), || Map::open_pinned("/sys/fs/bpf/counts"));
    assert!(matches!(unknown, Err(Error::Call { .. })), "{unknown:?}");
}

#[test]
fn a_map_that_somebody_else_pins_meanwhile_is_used() {
    const PIN: MapSpec<'static> = MapSpec::hash("counts", 4, 8, 16).with_pin("/sys/fs/bpf/counts");
    let mut there = false;
    let kernel = move |call: &mut Call<'_, '_>| match call {
        Call::ObjGet { .. } if there => Some(fake::descriptor()),
        Call::ObjGet { .. } => Some(Err(Errno(libc::ENOENT))),
        Call::MapCreate(_) => Some(fake::descriptor()),
        Call::ObjPin { .. } => {
            there = true;
            Some(Err(Errno(libc::EEXIST)))
        }
        Call::ObjInfo(info) => {
            write_words(info.info, &[(0, 1), (8, 4), (12, 8), (16, 16)]);
            Some(Ok(0))
        }
        _ => panic!("{call:?}"),
    };
    fake::with(kernel, || Map::create(&PIN)).unwrap();
    // Pinned and unpinned again and again it is an error, and no endless loop.
    let kernel = |call: &mut Call<'_, '_>| match call {
        Call::ObjGet { .. } => Some(Err(Errno(libc::ENOENT))),
        Call::MapCreate(_) => Some(fake::descriptor()),
        Call::ObjPin { .. } => Some(Err(Errno(libc::EEXIST))),
        _ => panic!("{call:?}"),
    };
    let error = fake::with(kernel, || Map::create(&PIN)).unwrap_err();
    assert!(matches!(error, Error::Call { errno: Errno(libc::EEXIST), .. }), "{error}");
}

#[test]
fn specs_are_checked_before_the_kernel_is_asked() {
    let kernel = |call: &mut Call<'_, '_>| panic!("{call:?}");
    let spec = MapSpec::lpm_trie("trie", 8, 8, 1).with_flags(MapFlags::ZERO_SEED);
    assert!(matches!(fake::with(kernel, || Map::create(&spec)), Err(Error::MapField { .. })));
}

/// All kinds of types that are newer than Linux 5.2, in the BTF of an object: kernels that do not know them take older ones in their
/// places.
#[cfg(feature = "elf")]
#[test]
fn a_kernel_takes_the_types_of_an_object_whatever_kinds_it_knows() {
    use crate::btf::{Layout, for_kernels};
    use crate::requires::{Thing, needs};
    use crate::spec::ObjectTypes;
    use std::collections::HashMap;

    needs!(Bpf);
    let strings = "\0int\0pair\0real\0tag\0wide\0BIG\0low\0MINUS\0f\0";
    let name = |name: &str| strings.find(&format!("\0{name}\0")).unwrap() as u32 + 1;
    // BTF_KIND_* of include/uapi/linux/btf.h.
    let kind = |number: u32| number << 24;
    let (flagged, one) = (1 << 31, 1);
    let types = [
        // 1: int; 2: struct pair { int int; }, of which 3 is a tag.
        &[name("int"), kind(1), 4, 0x0100_0020][..],
        &[name("pair"), kind(4) | one, 4, name("int"), 1, 0],
        &[name("tag"), kind(17), 2, u32::MAX],
        // 4: double; 5 and 6: int __tag *.
        &[name("real"), kind(16), 8],
        &[name("tag"), kind(18), 1],
        &[0, kind(2), 5],
        // 7: enum wide { BIG = 1 << 32 }; 8: enum low { MINUS = -1 }.
        &[name("wide"), kind(19) | one, 8, name("BIG"), 0, 1],
        &[name("low"), kind(6) | flagged | one, 4, name("MINUS"), u32::MAX],
    ]
    .concat();
    let length = 4 * types.len() as u32;
    let header = [0x0001_eb9f, 24, 0, length, length, strings.len() as u32];
    let mut blob: Vec<u8> =
        header.iter().chain(&types).flat_map(|word| word.to_ne_bytes()).collect();
    blob.extend(strings.as_bytes());
    let layout = Layout { sections: HashMap::new(), symbols: HashMap::new(), settings: None };
    let (blob, plain) = for_kernels(&blob, &layout).unwrap();
    let types = ObjectTypes { blob: blob.into(), plain: plain.into() };
    load_object_types(&types, None).unwrap_or_else(|errno| panic!("{errno}"));
    // And any kernel with BTF of programs (5.2) takes the older ones.
    let plain = ObjectTypes { blob: Arc::clone(&types.plain), plain: types.plain };
    load_object_types(&plain, None).unwrap_or_else(|errno| panic!("{errno}"));
}
