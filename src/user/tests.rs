//! Tests of reading ELF files of all kinds, whole and damaged.

use super::elf::Elf;
use super::fake::*;
use super::ifunc::{self, Wanted};
use super::parts::Parts;
use super::symbols::{self, find, search};
use super::{Operand, functions, usdt_probes};
use crate::error::Error;
use proptest::prelude::*;

/// Of 64 and 32 bits, in both byte orders.
const KINDS: [(bool, bool); 4] = [(true, false), (true, true), (false, false), (false, true)];

fn local(name: &'static str, address: u64) -> FakeSymbol {
    FakeSymbol { info: FUNCTION, ..function(name, address) }
}

fn symbols() -> Fake {
    Fake {
        dynamic: vec![
            function("open", CODE + 0x10),
            FakeSymbol { version: 2 | 0x8000, ..function("copy", CODE + 0x20) },
            FakeSymbol { version: 3, ..function("copy", CODE + 0x30) },
            FakeSymbol { version: 2 | 0x8000, ..function("old", CODE + 0x40) },
            FakeSymbol { info: WEAK | FUNCTION, ..function("weak", CODE + 0x50) },
            FakeSymbol { info: GLOBAL | IFUNC, ..function("length", CODE + 0x60) },
            FakeSymbol { defined: false, ..function("elsewhere", 0) },
            FakeSymbol { info: GLOBAL | OBJECT, ..function("table", DATA + 8) },
        ],
        whole: vec![
            function("open", CODE + 0x10),
            function("copy@@V2", CODE + 0x30),
            function("copy@V1", CODE + 0x20),
            local("open", CODE + 0x70),
            local("helper", CODE + 0x80),
            local("helper", CODE + 0x90),
            local("alone", CODE + 0xa0),
            FakeSymbol { info: GLOBAL, size: 0, ..function("_start", CODE) },
            FakeSymbol { info: 0, ..function("$x", CODE) },
            function("misplaced", DATA + 0x10),
            FakeSymbol { info: OBJECT, ..function("counter", DATA + 0x18) },
        ],
        ..Fake::default()
    }
}

#[test]
fn functions_are_listed() {
    for (is_64, big) in KINDS {
        let file = Written::new(&Fake { is_64, big, ..symbols() }.bytes());
        let found = functions(file.path()).unwrap();
        let names: Vec<_> =
            found.iter().map(|one| (one.name.as_str(), one.offset - CODE_OFFSET)).collect();
        let expected = [
            ("alone", 0xa0),
            ("copy", 0x30),
            ("copy@V1", 0x20),
            ("helper", 0x80),
            ("helper", 0x90),
            ("length", 0x60),
            ("old@V1", 0x40),
            ("open", 0x10),
            ("open", 0x70),
            ("weak", 0x50),
        ];
        assert_eq!(names, expected, "{is_64} {big}");
        assert!(found.iter().all(|one| one.size == 16 && one.indirect == (one.name == "length")));
        // Each by the name that means it alone: a local function of a name that a global one has is not meant by it.
        let elf = Elf::open(file.path()).unwrap();
        let names: Vec<_> = found.iter().map(|one| one.target_name()).collect();
        assert_eq!(
            names[3..],
            ["helper@0x1080", "helper@0x1090", "length", "old@V1", "open", "open@0x1070", "weak"]
        );
        for one in &found {
            assert_eq!(find(&elf, &one.target_name()).unwrap().offset, one.offset);
        }
    }
}

/// A name need not be UTF-8, as `objcopy --redefine-sym` shows.
#[test]
fn names_that_are_not_utf8_are_found() {
    let name = "odd\u{efff}";
    let probes = vec![("p\u{effe}", "n\u{efff}", "4@%eax", CODE, 0)];
    let fake = Fake {
        is_64: true,
        whole: vec![function(name, CODE + 0x10)],
        probes,
        base: BASE,
        ..Fake::default()
    };
    let bytes = fake.bytes();
    assert!(bytes.windows(5).any(|part| part == b"odd\xff\0"));
    let file = Written::new(&bytes);
    assert_eq!(functions(file.path()).unwrap()[0].name, name);
    assert_eq!(find(&Elf::open(file.path()).unwrap(), name).unwrap().address, CODE + 0x10);
    let probe = &usdt_probes(file.path()).unwrap()[0];
    assert_eq!((&*probe.provider, &*probe.name), ("p\u{effe}", "n\u{efff}"));
}

#[test]
fn a_name_is_what_callers_get() {
    for (is_64, big) in KINDS {
        let file = Written::new(&Fake { is_64, big, ..symbols() }.bytes());
        let elf = Elf::open(file.path()).unwrap();
        for (name, at) in [
            ("open", 0x10),
            ("copy", 0x30),
            ("copy@V1", 0x20),
            ("copy@@V2", 0x30),
            ("copy@V2", 0x30),
            // There is no other.
            ("old", 0x40),
            ("weak", 0x50),
            ("length", 0x60),
            ("alone", 0xa0),
            ("_start", 0),
            ("helper@0x1080", 0x80),
            ("helper@0x1090", 0x90),
            ("open@0x1070", 0x70),
            ("open@0x1010", 0x10),
            ("copy@V1@0x1020", 0x20),
        ] {
            let found = find(&elf, name).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((found.address, found.offset), (CODE + at, CODE_OFFSET + at), "{name}");
            assert_eq!(found.indirect, name == "length");
        }
        assert_eq!(elf.places("open", 15, None).unwrap(), [CODE_OFFSET + 0x1f]);
        #[cfg(feature = "bt")]
        {
            let at = |address| crate::user::file_offset(file.path(), address);
            assert_eq!(at(CODE + 0x15).unwrap(), CODE_OFFSET + 0x15);
            for none in [CODE - 0x1000, DATA + 8] {
                assert!(matches!(at(none), Err(Error::Place { .. })), "{none:#x}");
            }
        }
        for (name, problem) in [
            (
                "helper",
                "several functions have this name: choose one, helper@0x1080 or helper@0x1090",
            ),
            ("misplaced", "in no part of the file that is code"),
        ] {
            let error = find(&elf, name).unwrap_err();
            assert!(matches!(error, Error::Place { .. }), "{error:?}");
            assert!(error.to_string().contains(problem), "{error}");
        }
        for (name, nearest, note) in [
            ("opne", &["open"][..], ""),
            ("copy@V3", &["copy@V1"], ""),
            ("helper@0x1081", &[], ""),
            ("table", &[], ""),
            ("$x", &[], ""),
            ("elsewhere", &[], "which is in a library"),
        ] {
            let error = find(&elf, name).unwrap_err();
            assert!(error.to_string().contains(note), "{error}");
            let Error::NotInFile { nearest: names, .. } = error else { panic!("{error:?}") };
            assert!(
                names.iter().map(String::as_str).take(1).eq(nearest.iter().copied()),
                "{names:?}"
            );
        }
        assert_eq!(
            elf.variables(&["counter", "table", "nothing"]).unwrap(),
            [("counter".to_owned(), DATA + 0x18), ("table".to_owned(), DATA + 8)]
        );
    }
}

#[test]
fn a_stripped_file_says_so() {
    let note = |fake: Fake| {
        let file = Written::new(&Fake { is_64: true, ..fake }.bytes());
        let elf = Elf::open(file.path()).unwrap();
        match find(&elf, "no_such_function").unwrap_err() {
            Error::NotInFile { note, .. } => note,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(note(symbols()), None);
    let exported = note(Fake { whole: Vec::new(), ..symbols() });
    assert!(exported.unwrap().contains("stripped of all symbols but"), "{exported:?}");
    let nothing = note(Fake::default());
    assert!(nothing.unwrap().contains("by its offset"), "{nothing:?}");
}

/// A file whose functions have names that only some builds can read: the message tells.
#[test]
fn a_build_without_a_part_says_so() {
    let note = |fake: Fake, name: &str, parts| {
        let file = Written::new(&Fake { is_64: true, ..fake }.bytes());
        let elf = Elf::open(file.path()).unwrap();
        match search(&elf, name).unwrap().unwrap_err().error(&elf, name, parts).unwrap() {
            Error::NotInFile { note, .. } => note.unwrap_or_default(),
            other => panic!("{other:?}"),
        }
    };
    let none = Parts { demangle: false, minidebuginfo: false };
    let all = Parts { demangle: true, minidebuginfo: true };
    let plus = || Fake { whole: vec![function("_ZN2ns3Foo3barEi", CODE)], ..Fake::default() };
    for name in ["ns::Foo::bar", "ns::Foo::bar(int)", "no_such(int)", "bar"] {
        let words = note(plus(), name, none);
        assert!(words.contains("without the feature `demangle`"), "{name}: {words}");
        assert!(!note(plus(), name, all).contains("feature"), "{name}");
    }
    assert_eq!(note(plus(), "baz", none), "");
    let packed = |dynamic, whole| Fake { packed: true, dynamic, whole, ..Fake::default() };
    for dynamic in [vec![], vec![function("exported", CODE)]] {
        let words = note(packed(dynamic.clone(), vec![]), "local", none);
        assert!(words.contains("without the feature `minidebuginfo`"), "{words}");
        let words = note(packed(dynamic, vec![]), "local", all);
        assert!(words.contains("stripped") && !words.contains("feature"), "{words}");
    }
    // Of a file that was not stripped it is not read.
    assert_eq!(note(packed(vec![], vec![function("main", CODE)]), "local", none), "");

    // Patterns, as `matching` and the bpftrace language say it.
    let unread = |fake: &Fake, pattern: &str, parts: Parts| {
        let file = Written::new(&Fake { is_64: true, ..fake.clone() }.bytes());
        parts.unread(&Elf::open(file.path()).unwrap(), pattern)
    };
    assert!(unread(&plus(), "ns::*", none).is_some_and(|why| why.contains("`demangle`")));
    assert_eq!((unread(&plus(), "ns::*", all), unread(&plus(), "x*", none)), (None, None));
    let packed = packed(vec![], vec![]);
    assert!(unread(&packed, "x*", none).is_some_and(|why| why.contains("`minidebuginfo`")));
    assert_eq!(unread(&packed, "x*", all), None);
}

#[test]
fn places_of_patterns_are_listed_once() {
    let file = Written::new(&Fake { is_64: true, ..symbols() }.bytes());
    let elf = Elf::open(file.path()).unwrap();
    assert_eq!(elf.matching("o*", 0, None).unwrap(), (vec![0x1010, 0x1040, 0x1070], 0));
    // No process runs this file, so the choice cannot be found.
    let (offsets, skipped) = elf.matching("[hl]e*", 0, None).unwrap();
    assert_eq!((&offsets[..], skipped), (&[0x1080, 0x1090][..], 1));
    let alone = elf.matching("length*", 0, None).unwrap_err().to_string();
    assert!(alone.contains("no process that is running"), "{alone}");
    assert!(matches!(elf.matching("x*", 0, None), Err(Error::NotInFile { .. })));
    assert!(matches!(elf.matching("o*", 4, None), Err(Error::Place { .. })));
}

/// Symbols that look like something else: those of Go and C++, a number, a sum.
#[test]
fn a_symbol_comes_before_other_readings() {
    let names = [
        "main.(*Server).Handle",
        "main.(*WebServer).Handle",
        "main.Map[go.shape.int_0,go.shape.string_1]",
        "internal/poll.(*FD).Write",
        "type:.eq.main.T",
        "a",
        "a+b",
        "a+0x4",
        "a+8",
        "0x10",
        "_ZN2ns3Foo3barEi",
        "_ZN2ns3Foo3barEl",
        "_ZN2ns3Foo5aloneEv",
        "_ZN2ns3FooplEi",
    ];
    let place = |index: usize| 0x10 * index as u64;
    let dynamic = names.iter().enumerate().map(|(i, name)| function(name, CODE + place(i)));
    let fake = Fake { is_64: true, dynamic: dynamic.collect(), ..Fake::default() };
    let file = Written::new(&fake.bytes());
    let elf = Elf::open(file.path()).unwrap();
    let resolve = |text: &str, offset| {
        let found = elf.resolve(text, offset, None).unwrap_or_else(|error| panic!("{error}"));
        found.offsets.iter().map(|offset| offset - CODE_OFFSET).collect::<Vec<_>>()
    };
    for (index, name) in names.iter().enumerate() {
        assert_eq!(resolve(name, 0), [place(index)], "{name}");
        // Inside of it, and not as if it were the end of its name.
        assert_eq!(resolve(name, 2), [place(index) + 2], "{name}");
        assert_eq!(elf.places(name, 0, None).unwrap(), [CODE_OFFSET + place(index)]);
    }
    // As a target has them that was read.
    assert_eq!((resolve("a", 4), resolve("a", 8)), (vec![place(7)], vec![place(8)]));
    assert_eq!((resolve("a", 5), resolve("", 0x10)), (vec![place(5) + 5], vec![place(9)]));
    assert_eq!(resolve("", CODE_OFFSET + 0x11), [0x11]);
    // Other texts are patterns.
    assert_eq!(resolve("main.(*).Handle", 0), [place(0), place(1)]);
    assert_eq!(resolve("a+?", 0), [place(6), place(8)]);
    let exact = elf.places("main.(*).Handle", 0, None).unwrap_err();
    assert!(matches!(exact, Error::NotInFile { what: "function", .. }), "{exact:?}");
    #[cfg(feature = "demangle")]
    {
        assert_eq!(resolve("ns::Foo::bar(int)", 0), [place(10)]);
        assert_eq!(resolve("ns::Foo::bar(long)", 4), [place(11) + 4]);
        assert_eq!(resolve("ns::Foo::alone", 0), [place(12)]);
        assert_eq!(resolve("ns::Foo::operator+", 0), [place(13)]);
        assert_eq!(resolve("ns::Foo::*a*", 0), [place(10), place(11), place(12), place(13)]);
        let several = elf.resolve("ns::Foo::bar", 0, None).unwrap_err();
        assert!(matches!(several, Error::Place { .. }), "{several:?}");
        let words = several.to_string();
        let both = "_ZN2ns3Foo3barEi (ns::Foo::bar(int)) or _ZN2ns3Foo3barEl (ns::Foo::bar(long))";
        assert!(words.contains(both), "{words}");
        let error = elf.resolve("ns::Foo::baz", 0, None).unwrap_err();
        assert!(matches!(error, Error::NotInFile { .. }), "{error:?}");
    }
}

#[test]
fn addresses_are_found_where_mappings_show_the_file() {
    let file = Written::new(&Fake { is_64: true, ..symbols() }.bytes());
    let elf = Elf::open(file.path()).unwrap();
    assert_eq!(elf.offset(CODE + 5, true), Some(CODE_OFFSET + 5));
    assert_eq!(elf.offset(DATA + 5, true), None);
    assert_eq!(elf.offset(DATA + 5, false), Some(DATA_OFFSET + 5));
    assert_eq!(elf.address(DATA_OFFSET, true), None);
    assert_eq!(elf.address(CODE_OFFSET + 0x400, true), None);
    // At a place of its own, and where the file says.
    assert_eq!(elf.bias(0x7f00_0000_1000, CODE_OFFSET), Some(0x7f00_0000_1000 - CODE));
    assert_eq!(elf.bias(CODE, CODE_OFFSET), Some(0));
    assert_eq!(elf.bias(DATA, DATA_OFFSET), Some(0));
}

#[test]
fn relocations_tell_where_processes_keep_addresses() {
    for (is_64, big) in KINDS {
        let relocations = vec![
            (DATA + 8, 37, 0, CODE + 0x60),
            (DATA + 16, 37, 0, CODE + 0x50),
            (DATA + 24, 6, 6, 0),
            (DATA + 32, 7, 6, 0),
            (DATA + 40, 8, 6, 0),
            (DATA + 48, 6, 1, 0),
            (DATA + 56, 6, 999, 0),
        ];
        let file = Written::new(&Fake { is_64, big, relocations, ..symbols() }.bytes());
        let elf = Elf::open(file.path()).unwrap();
        let slots = |wanted| ifunc::slots(&elf, wanted).unwrap();
        assert_eq!(slots(Wanted::Chosen(CODE + 0x60)), [DATA + 8], "{is_64} {big}");
        assert_eq!(slots(Wanted::Symbol("length")), [DATA + 24, DATA + 32]);
        assert_eq!(slots(Wanted::Symbol("nothing")), [0; 0]);
    }
}

fn probes() -> Fake {
    Fake {
        probes: vec![
            ("server", "request", "8@%rdi -4@%esi", CODE + 0x10, 0),
            ("server", "reply", "8@%rdi", CODE + 0x20, DATA + 2),
            ("client", "request", "", CODE + 0x30, 0),
            ("server", "request", "8@%rdi -4@-8(%rbp)", CODE + 0x40, 0),
            // The same once more, one in code that the linker left out, and one with a counter in memory alone.
            ("server", "request", "8@%rdi -4@%esi", CODE + 0x10, 0),
            ("server", "gone", "8@%rdi", 0, 0),
            ("server", "lost", "8@counter(%rip)", CODE + 0x50, DATA + 0x4000),
        ],
        base: BASE,
        ..symbols()
    }
}

#[test]
fn usdt_probes_are_found() {
    for (is_64, big) in KINDS {
        for moved in [0, 0x1_0000] {
            let mut fake = Fake { is_64, big, ..probes() };
            // Where it was when the notes were written.
            fake.base -= moved;
            for (.., location, semaphore) in &mut fake.probes {
                if *location != 0 {
                    *location -= moved;
                }
                if *semaphore != 0 {
                    *semaphore -= moved;
                }
            }
            let file = Written::new(&fake.bytes());
            let found = usdt_probes(file.path()).unwrap();
            let names: Vec<_> = found
                .iter()
                .map(|probe| {
                    let offsets: Vec<_> = probe.places.iter().map(|one| one.offset).collect();
                    (probe.provider.as_str(), probe.name.as_str(), offsets)
                })
                .collect();
            let expected = [
                ("client", "request", vec![0x1030]),
                ("server", "lost", vec![0x1050]),
                ("server", "reply", vec![0x1020]),
                ("server", "request", vec![0x1010, 0x1040]),
            ];
            assert_eq!(names, expected, "{is_64} {big} {moved}");
            let [_, lost, reply, request] = &found[..] else { panic!("{found:?}") };
            assert_eq!(reply.places[0].semaphore, Some(DATA_OFFSET + 2));
            assert!(!reply.places[0].unreachable && lost.places[0].unreachable);
            assert_eq!(request.argument(1).map(|one| one.size), Some(8));
            assert_eq!(request.argument(2), None);
            assert!(matches!(lost.argument(1).unwrap().operand, Operand::Variable { .. }));
        }
    }
    let file = Written::new(&Fake { is_64: true, ..symbols() }.bytes());
    assert_eq!(usdt_probes(file.path()).unwrap(), []);
}

/// Runs all readers on a file; the results do not matter.
fn read_all(bytes: &[u8]) {
    let file = Written::new(bytes);
    let Ok(elf) = Elf::open(file.path()) else { return };
    let _ = symbols::all(&elf);
    for name in ["open", "copy@V1", "helper", "length", "misplaced"] {
        if let Ok(found) = find(&elf, name) {
            // What is found is in the file.
            assert!(elf.check_code(found.offset).is_ok());
        }
    }
    let _ = elf.variables(&["counter"]);
    let _ = ifunc::slots(&elf, Wanted::Chosen(CODE + 0x60));
    let _ = ifunc::slots(&elf, Wanted::Symbol("length"));
    let _ = elf.bias(CODE, CODE_OFFSET);
    let _ = usdt_probes(file.path());
}

proptest! {
    #[test]
    fn a_damaged_file_does_no_harm(
        kind in 0..4usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        // Headers are where damage does the most.
        heads in prop::collection::vec((0..400usize, any::<u8>()), 0..3),
    ) {
        let (is_64, big) = KINDS[kind];
        let relocations = vec![(DATA + 8, 37, 0, CODE + 0x60), (DATA + 24, 6, 6, 0)];
        let mut bytes = Fake { is_64, big, relocations, ..probes() }.bytes();
        for (index, value) in heads {
            bytes[if index < 200 { index } else { 0x3000 - 200 + index }] = value;
        }
        for (index, value) in changes {
            let index = index.index(bytes.len());
            bytes[index] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        read_all(&bytes);
    }

    #[test]
    fn any_bytes_are_no_elf_file_or_an_empty_one(bytes: Vec<u8>) {
        read_all(&bytes);
        read_all(&[b"\x7fELF\x02\x01\x01", &bytes[..]].concat());
    }
}
