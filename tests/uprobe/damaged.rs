//! Programs and libraries that are damaged: the body of the fuzz target, over its seeds.

use crate::common::Folder;
use crate::common::requires::needs_tried;
use proptest::prelude::*;
use rawbpf::user;
use std::fs;
use std::path::Path;

#[path = "../common/elf_bytes.rs"]
mod elf_bytes;

/// Files of 64 and 32 bits; `Err` is the reason why there are none.
fn seeds() -> Result<Vec<Vec<u8>>, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/elf");
    let read = |name| fs::read(folder.join(name)).map_err(|_| "the seeds are not here".to_owned());
    ["64-little", "32-big"].into_iter().map(read).collect()
}

#[test]
fn damaged_files_do_no_harm() {
    needs_tried!("seeds", seeds().err());
    let (seeds, folder) = (seeds().unwrap(), Folder::new());
    let path = folder.path().join("file");
    for seed in &seeds {
        elf_bytes::read_all(seed, &path);
        // They are what fuzzing can begin with.
        assert_eq!(user::functions(&path).unwrap().len(), 10);
        assert_eq!(user::usdt_probes(&path).unwrap().len(), 4);
        for length in 0..seed.len() {
            // At every step through the headers, and some of the rest.
            if length < 0xc0 || length % if length < 0x3000 { 0x400 } else { 24 } == 0 {
                elf_bytes::read_all(&seed[..length], &path);
            }
        }
    }
    let places = any::<prop::sample::Index>();
    let changes = prop::collection::vec((places, any::<u8>()), 1..8);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = prop::test_runner::TestRunner::new(config);
    let done = runner.run(&(0..2usize, changes), |(seed, changes)| {
        let mut bytes = seeds[seed].clone();
        for (index, value) in changes {
            // Not into what is empty: the headers, and the tables behind the holes.
            let index = index.index(bytes.len() - 0x3000 + 0x100);
            bytes[if index < 0x100 { index } else { index + 0x3000 - 0x100 }] = value;
        }
        elf_bytes::read_all(&bytes, &path);
        Ok(())
    });
    done.unwrap();
}
