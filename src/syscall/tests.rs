//! The commands, asked of a real kernel.

use super::*;
use crate::insn::Insn;
use crate::requires::{Thing, needs};
use crate::uapi::{AttachType, MapType, ProgramType, flags};
use std::os::fd::AsFd;

const HASH: u32 = MapType::Hash as u32;

fn hash(name: &[u8]) -> OwnedFd {
    let create = MapCreate {
        map_type: HASH,
        key_size: 4,
        value_size: 8,
        max_entries: 8,
        name,
        ..Default::default()
    };
    map_create(&create).unwrap()
}

/// `r0 = value; exit`
fn program(kind: ProgramType, attach_type: Option<AttachType>, value: i32) -> OwnedFd {
    let insns = [Insn::from_fields(0xb7, 0, 0, 0, value), Insn::from_fields(0x95, 0, 0, 0, 0)];
    let mut load = ProgLoad {
        prog_type: kind as u32,
        expected_attach_type: attach_type.map_or(0, |one| one as u32),
        insns: &insns,
        license: c"GPL",
        name: b"commands",
        ..Default::default()
    };
    prog_load(&mut load).unwrap()
}

/// A `u32` field of a `struct bpf_*_info`.
fn word(info: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(info[at..at + 4].try_into().unwrap())
}

fn info(object: &OwnedFd) -> ([u8; 256], u32) {
    let mut bytes = [0xff; 256];
    let mut info = ObjInfo { object: object.as_fd(), info: &mut bytes, len: 0, arrays: &mut [] };
    obj_info(&mut info).unwrap();
    let len = info.len;
    (bytes, len)
}

#[test]
fn elements_of_a_map() {
    needs!(Bpf);
    let map = hash(b"elements");
    let fd = map.as_fd();
    let (one, two) = (1u32.to_ne_bytes(), 2u32.to_ne_bytes());
    map_update(fd, &one, &[1; 8], 0).unwrap();
    map_update(fd, &two, &[2; 8], 0).unwrap();

    let mut value = [0; 8];
    map_lookup(fd, &two, &mut value, 0).unwrap();
    assert_eq!(value, [2; 8]);

    let mut key = [0; 4];
    let mut seen = Vec::new();
    map_next_key(fd, None, &mut key).unwrap();
    loop {
        seen.push(key);
        let before = key;
        match map_next_key(fd, Some(&before), &mut key) {
            Ok(()) => {}
            Err(errno) => break assert_eq!(errno, Errno(libc::ENOENT)),
        }
    }
    seen.sort();
    assert_eq!(seen, [one, two]);

    map_delete(fd, &one).unwrap();
    assert_eq!(map_lookup(fd, &one, &mut value, 0), Err(Errno(libc::ENOENT)));

    // BPF_MAP_FREEZE: system calls read it and no longer change it.
    map_freeze(fd).unwrap();
    assert_eq!(map_update(fd, &two, &[3; 8], 0), Err(Errno(libc::EPERM)));
    map_lookup(fd, &two, &mut value, 0).unwrap();
    assert_eq!(value, [2; 8]);
}

#[test]
fn a_queue_has_no_keys() {
    needs!(Bpf);
    let queue = map_create(&MapCreate {
        map_type: MapType::Queue as u32,
        value_size: 4,
        max_entries: 2,
        ..Default::default()
    })
    .unwrap();
    for value in [7u32, 8] {
        map_update(queue.as_fd(), &[], &value.to_ne_bytes(), 0).unwrap();
    }
    let mut value = [0; 4];
    for expected in [7u32, 8] {
        map_lookup_and_delete(queue.as_fd(), &[], &mut value, 0).unwrap();
        assert_eq!(value, expected.to_ne_bytes());
    }
    let answer = map_lookup_and_delete(queue.as_fd(), &[], &mut value, 0);
    assert_eq!(answer, Err(Errno(libc::ENOENT)));
}

#[test]
fn many_elements_at_once() {
    needs!(Bpf);
    let map = hash(b"batch");
    let fd = map.as_fd();
    let keys: Vec<u8> = (1..=3u32).flat_map(u32::to_ne_bytes).collect();
    let values: Vec<u8> = (1..=3u64).flat_map(u64::to_ne_bytes).collect();
    let mut write =
        MapWriteBatch { map: fd, keys: &keys, values: Some(&values), count: 3, elem_flags: 0 };
    map_write_batch(&mut write).unwrap();
    assert_eq!(write.count, 3);

    let read = |delete| {
        let (mut next, mut keys, mut values) = ([0; 4], [0; 32], [0; 64]);
        let mut batch = MapReadBatch {
            map: fd,
            delete,
            from: None,
            next: &mut next,
            keys: &mut keys,
            values: &mut values,
            count: 8,
            elem_flags: 0,
        };
        let answer = map_read_batch(&mut batch);
        (answer, batch.count, (0..3).map(|at| u64::from(word(&keys, 4 * at))).sum::<u64>(), values)
    };
    for delete in [false, true] {
        let (answer, count, keys, values) = read(delete);
        // There are no more than these.
        assert_eq!((answer, count, keys), (Err(Errno(libc::ENOENT)), 3, 6));
        let sum: u64 =
            values.chunks(8).map(|value| u64::from_ne_bytes(value.try_into().unwrap())).sum();
        assert_eq!(sum, 6);
    }
    assert_eq!(read(false).1, 0);

    let mut write = MapWriteBatch { values: Some(&values), ..write };
    map_write_batch(&mut write).unwrap();
    map_write_batch(&mut MapWriteBatch { values: None, count: 3, ..write }).unwrap();
    assert_eq!(read(false).1, 0);
}

#[test]
fn maps_in_a_map() {
    needs!(Bpf);
    let inner = hash(b"inner");
    let outer = map_create(&MapCreate {
        map_type: MapType::ArrayOfMaps as u32,
        key_size: 4,
        value_size: 4,
        max_entries: 1,
        inner_map: Some(inner.as_fd()),
        ..Default::default()
    })
    .unwrap();
    let fd = inner.as_raw_fd().to_ne_bytes();
    map_update(outer.as_fd(), &[0; 4], &fd, 0).unwrap();
    // What comes out is the number of the map.
    let mut value = [0; 4];
    map_lookup(outer.as_fd(), &[0; 4], &mut value, 0).unwrap();
    assert_eq!(u32::from_ne_bytes(value), word(&info(&inner).0, 4));
}

#[test]
fn objects_are_found_by_their_number() {
    needs!(Bpf);
    let map = hash(b"numbered");
    let (bytes, len) = info(&map);
    // struct bpf_map_info: type, id, key_size, value_size, max_entries, map_flags, name[16], …
    assert_eq!([0, 8, 12, 16].map(|at| word(&bytes, at)), [HASH, 4, 8, 8]);
    assert_eq!(&bytes[24..33], b"numbered\0");
    assert!((80..=256).contains(&len), "{len}");
    let id = word(&bytes, 4);
    let again = fd_by_id(Numbered::Map, id, flags::BPF_F_RDONLY).unwrap();
    assert_eq!(map_update(again.as_fd(), &[0; 4], &[0; 8], 0), Err(Errno(libc::EPERM)));
    assert_eq!(next_id(Numbered::Map, id - 1), Ok(id));

    let program = program(ProgramType::SocketFilter, None, 3);
    let mut xlated = [0u8; 64];
    let mut bytes = [0; 256];
    // struct bpf_prog_info: type, id, tag[8], jited_prog_len, xlated_prog_len, jited_prog_insns, xlated_prog_insns.
    let mut arrays =
        [InfoArray { pointer_at: 32, count_at: 20, size_at: None, item: 1, bytes: &mut xlated }];
    let mut info =
        ObjInfo { object: program.as_fd(), info: &mut bytes, len: 0, arrays: &mut arrays };
    obj_info(&mut info).unwrap();
    let id = word(&bytes, 4);
    assert_eq!((word(&bytes, 0), word(&bytes, 20)), (ProgramType::SocketFilter as u32, 16));
    let [low, high] = if cfg!(target_endian = "big") { [0, 3] } else { [3, 0] };
    assert_eq!(xlated[..16], [0xb7, 0, 0, 0, low, 0, 0, high, 0x95, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(next_id(Numbered::Program, id - 1), Ok(id));
    fd_by_id(Numbered::Program, id, 0).unwrap();
    assert_eq!(fd_by_id(Numbered::Link, u32::MAX, 0).unwrap_err(), Errno(libc::ENOENT));
}

#[test]
fn a_run_takes_data_and_gives_it_back() {
    needs!(Bpf);
    let program = program(ProgramType::SocketFilter, None, 5);
    let (data, mut out) = ([9; 64], [0; 128]);
    let mut run = ProgTestRun {
        data: &data,
        data_out: &mut out,
        repeat: 2,
        ..ProgTestRun::new(program.as_fd())
    };
    prog_test_run(&mut run).unwrap();
    assert_eq!((run.returned, run.data_len), (5, 64));
    // bpf_prog_test_run_skb() gives back a header of zeros where the program does not see it.
    assert_eq!((&out[..14], &out[14..64]), (&[0; 14][..], &data[14..]));
    assert_eq!(out[64..], [0; 64]);
    // struct __sk_buff: len, pkt_type, mark, … (184 bytes in Linux 5.10, 192 since 5.16).
    let (mut context, mut out) = ([0; 184], [0; 256]);
    context[8..12].copy_from_slice(&7u32.to_ne_bytes());
    let mut run = ProgTestRun {
        data: &data,
        context: &mut context,
        context_out: &mut out,
        ..ProgTestRun::new(program.as_fd())
    };
    prog_test_run(&mut run).unwrap();
    assert!(matches!(run.context_len, 184 | 192), "{}", run.context_len);
    assert_eq!(word(&out, 8), 7);
}

/// BTF of one `int`, as `Documentation/bpf/btf.rst` describes it.
#[test]
fn types_of_a_map() {
    needs!(Bpf);
    let mut btf = Vec::new();
    btf.extend(0xeb9fu16.to_ne_bytes());
    btf.extend([1, 0]);
    for word in [24u32, 0, 16, 16, 5] {
        btf.extend(word.to_ne_bytes());
    }
    for word in [1u32, 1 << 24, 4, 32] {
        btf.extend(word.to_ne_bytes());
    }
    btf.extend(b"\0int\0");
    let types = btf_load(&mut BtfLoad { btf: &btf, ..Default::default() }).unwrap();
    let map = map_create(&MapCreate {
        map_type: HASH,
        key_size: 4,
        value_size: 4,
        max_entries: 1,
        btf: Some(MapBtf { btf: types.as_fd(), key_type: 1, value_type: 1 }),
        ..Default::default()
    })
    .unwrap();
    let (bytes, _) = info(&map);
    // btf_id, btf_key_type_id, btf_value_type_id
    let id = word(&bytes, 64);
    assert_eq!((word(&bytes, 68), word(&bytes, 72)), (1, 1));
    assert_eq!(next_id(Numbered::Btf, id - 1), Ok(id));

    let mut buffer = [0; 4096];
    btf.truncate(btf.len() - 1);
    let log = Log { level: 1, buffer: &mut buffer, true_size: 0 };
    let mut load = BtfLoad { btf: &btf, log: Some(log), token: None };
    assert_eq!(btf_load(&mut load).unwrap_err(), Errno(libc::EINVAL));
    assert_ne!(buffer[0], 0, "the log says why");
}

#[test]
fn a_link_is_made_changed_and_taken_away() {
    needs!(Bpf);
    let look = |value| program(ProgramType::SkLookup, Some(AttachType::SkLookup), value);
    let (first, second) = (look(1), look(1));
    let namespace = std::fs::File::open("/proc/self/ns/net").unwrap();
    let link = link_create(&LinkCreate {
        program: first.as_fd(),
        target: Target::Fd(namespace.as_fd()),
        attach_type: AttachType::SkLookup as u32,
        flags: 0,
        extra: LinkExtra::None,
    })
    .unwrap();
    // struct bpf_link_info: type, id, prog_id.
    let program_of = |link: &OwnedFd| word(&info(link).0, 8);
    let id_of = |program: &OwnedFd| word(&info(program).0, 4);
    assert_eq!(program_of(&link), id_of(&first));
    let id = word(&info(&link).0, 4);
    assert_eq!(next_id(Numbered::Link, id - 1), Ok(id));

    let update = || link_update(link.as_fd(), second.as_fd());
    update().unwrap();
    assert_eq!(program_of(&link), id_of(&second));

    link_detach(link.as_fd()).unwrap();
    assert_eq!(update(), Err(Errno(libc::ENOLINK)));
}

#[test]
fn statistics_are_of_one_kind() {
    needs!(Bpf);
    enable_stats().unwrap();
    assert_eq!(call(Call::EnableStats { kind: 99 }), Err(Errno(libc::EINVAL)));
}

#[test]
fn a_map_is_kept_by_a_program_that_does_not_name_it() {
    needs!(Bpf);
    let (program, map) = (program(ProgramType::SocketFilter, None, 0), hash(b"bound"));
    prog_bind_map(program.as_fd(), map.as_fd()).unwrap();
    let mut ids = [0u8; 16];
    let mut bytes = [0; 256];
    // struct bpf_prog_info: nr_map_ids at 52, map_ids at 56.
    let mut arrays =
        [InfoArray { pointer_at: 56, count_at: 52, size_at: None, item: 4, bytes: &mut ids }];
    let mut info_of =
        ObjInfo { object: program.as_fd(), info: &mut bytes, len: 0, arrays: &mut arrays };
    obj_info(&mut info_of).unwrap();
    assert_eq!((word(&bytes, 52), word(&ids, 0)), (1, word(&info(&map).0, 4)));
}

#[test]
fn what_would_be_read_beyond_its_end_is_not_sent() {
    let refused = Err(Errno(libc::EINVAL));
    assert_eq!(link::for_each(&[1, 2], 1), refused);
    assert_eq!(link::for_each(&[1], 2), refused);
    assert_eq!(link::for_each::<u64>(&[], 2), Ok(0));
}

#[test]
fn a_field_outside_of_the_information_is_refused() {
    needs!(Bpf);
    let map = hash(b"outside");
    let mut arrays =
        [InfoArray { pointer_at: 12, count_at: 0, size_at: None, item: 1, bytes: &mut [] }];
    // The kernel itself would answer with the beginning of it.
    let mut info = ObjInfo { object: map.as_fd(), info: &mut [0; 16], len: 0, arrays: &mut arrays };
    assert_eq!(obj_info(&mut info), Err(Errno(libc::EINVAL)));
}
