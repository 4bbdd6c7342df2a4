//! Jump tables of objects (`.jumptables`), which clang 22 makes of `switch` and of labels whose addresses are taken.

use crate::common::requires::{Thing, needs, needs_tried};
use rawbpf::asm::{ParseOptions, RelocKind, RelocTarget, parse};
use rawbpf::insn::ByteOrder;
use rawbpf::object::{Object, ObjectError, write};
use rawbpf::{Loader, Program, TestRunOptions};

/// The object of `jump_tables.c`, made by clang 22, for machines without it.
const TABLES: &[u8] = include_bytes!("../object_load/prebuilt/jump_tables.o");

fn big_endian() -> Option<String> {
    cfg!(target_endian = "big").then(|| "this machine is big-endian".into())
}

/// Why no program can jump by a table here.
fn no_jump_tables() -> Option<String> {
    let object = Object::read(TABLES).unwrap();
    let collection = object.collection("jump_tables.o").unwrap();
    let error = Loader::new().load_collection(&collection).err()?.to_string();
    error.contains("insn_array").then_some(error)
}

/// The cases of the source: the sign of what is done, and the number that it is done with.
const CASES: [(char, i64); 17] = [
    ('+', 11),
    ('^', 7),
    ('-', 29),
    ('|', 31),
    ('+', 5),
    ('^', 101),
    ('-', 54),
    ('|', 3),
    ('+', 77),
    ('^', 1001),
    ('-', 6),
    ('|', 13),
    ('+', 17),
    ('^', 900),
    ('-', 42),
    ('|', 23),
    ('+', 9),
];

/// The source, in Rust.
struct Model {
    out: [i64; 64],
}

impl Model {
    /// A case of one of its statements; `None` of the default.
    fn case(&mut self, n: Option<u64>, first: usize, times: i64) -> Option<i64> {
        let n = usize::try_from(n?).ok()?;
        let (sign, number) = *CASES.get(n)?;
        let place = &mut self.out[first + n];
        match sign {
            '+' => *place += times * number,
            '-' => *place -= times * number,
            '^' => *place ^= times * number,
            _ => *place |= times * number,
        }
        Some(*place)
    }

    fn shared(&mut self, n: u64) -> i64 {
        self.case(Some(n), 0, 1).unwrap_or(-1)
    }

    fn global(&mut self, n: u64) -> i64 {
        self.case(n.is_multiple_of(3).then_some(n / 3), 20, 2).map_or(-2, |value| value + 1)
    }

    fn several(&mut self, n: u64) -> i64 {
        let own = self.case(n.checked_sub(100), 40, 3).unwrap_or(5000);
        own + self.global(n) + 7 * self.shared(n)
    }

    fn labels(&mut self, n: u64) -> i64 {
        let (place, more) = match n {
            0 | 2 | 6 => (0, 0),
            1 | 5 | 7 => (1, 100),
            3 | 4 => (2, 200),
            _ => return 99,
        };
        self.out[60 + place] += place as i64 + 1;
        self.out[60 + place] + more
    }
}

fn run(program: &Program, n: u64) -> u32 {
    let mut context = [0; 64];
    context[..8].copy_from_slice(&n.to_ne_bytes());
    program.test_run_with(&TestRunOptions::new().context(&context)).unwrap().returned
}

/// Runs the programs of the source by every number, beside the same in Rust.
fn runs_as_its_source(programs: &[Program]) {
    let mut model = Model { out: [0; 64] };
    let [plain, several, labels] = programs else { panic!("{programs:?}") };
    for n in (0..130).chain([u64::MAX, 1 << 32, (1 << 32) + 3]) {
        assert_eq!(run(plain, n), model.shared(n) as u32, "plain, {n}");
        assert_eq!(run(several, n), model.several(n) as u32, "several, {n}");
        assert_eq!(run(labels, n), model.labels(n) as u32, "labels, {n}");
    }
}

#[test]
fn every_case_of_a_switch_is_the_one_that_the_source_has() {
    needs!(Bpf, Btf, Jit);
    needs_tried!("little-endian objects", big_endian());
    needs_tried!("jump tables", no_jump_tables());
    let object = Object::read(TABLES).unwrap();
    let collection = object.collection("jump_tables.o").unwrap();
    let programs = Loader::new().load_collection(&collection).unwrap_or_else(|e| panic!("{e}"));
    runs_as_its_source(&programs);
    // The kernel takes a table for one program only: another load makes others.
    let again = Loader::new().load_collection(&collection).unwrap_or_else(|e| panic!("{e}"));
    runs_as_its_source(&again);
}

/// An object with code in both of the sections, of an odd number of instructions.
fn before() -> Vec<u8> {
    let text =
        ".program first, raw_tp/sched_switch\ncall third\nexit\nthird:\nr0 = 3\nr0 += 4\nexit\n";
    let module = parse(text, "first.s", &ParseOptions::new().order(ByteOrder::Little)).unwrap();
    write(&module, "first.s", ByteOrder::Little).unwrap()
}

/// The object with other names for all that other objects see.
fn renamed() -> Vec<u8> {
    let mut bytes = TABLES.to_vec();
    let mut count = 0;
    for name in ["global", "plain", "several", "labels", "out"] {
        let name = format!("\0{name}\0");
        for at in 0..bytes.len() - name.len() {
            if bytes[at..].starts_with(name.as_bytes()) {
                bytes[at + 1] = b'x';
                count += 1;
            }
        }
    }
    // In the strings of the symbols, and those of the types.
    assert_eq!(count, 10);
    bytes
}

/// The slots that the tables of a program lead to, by the names of the tables.
fn tables(object: &Object, program: &str) -> Vec<(String, Vec<u32>)> {
    let collection = object.collection("jump_tables.o").unwrap();
    let program = collection.program(program).unwrap();
    let found = program.relocations().iter().filter(|reloc| reloc.kind == RelocKind::JumpTable);
    let table = |target| match target {
        RelocTarget::JumpTable(table) => (table.name.to_string(), table.slots.clone()),
        other => panic!("{other:?}"),
    };
    found.map(|reloc| table(reloc.target)).collect()
}

/// Elements of tables are places in a section, and move with the code when sections are put together.
#[test]
fn the_tables_of_objects_that_are_linked_lead_to_the_same_instructions() {
    needs_tried!("little-endian objects", big_endian());
    let (first, renamed) = (before(), renamed());
    let alone = Object::read(TABLES).unwrap();
    let inputs = [("first.o", &first[..]), ("jump_tables.o", TABLES), ("more.o", &renamed)];
    let linked = Object::link(&inputs).unwrap_or_else(|e| panic!("{e}"));
    for program in ["plain", "several", "labels"] {
        let expected = tables(&alone, program);
        let count = expected.iter().map(|(_, slots)| slots.len()).collect::<Vec<_>>();
        let sizes: &[usize] = match program {
            "plain" => &[17],
            "several" => &[17, 49, 17],
            _ => &[8],
        };
        assert_eq!(count, sizes, "{program}");
        assert_eq!(tables(&linked, program), expected);
        assert_eq!(tables(&linked, &format!("x{}", &program[1..])), expected);
    }
}

#[test]
fn linked_switches_are_those_of_their_sources() {
    needs!(Bpf, Btf, Jit);
    needs_tried!("little-endian objects", big_endian());
    needs_tried!("jump tables", no_jump_tables());
    let (first, renamed) = (before(), renamed());
    let inputs = [("first.o", &first[..]), ("jump_tables.o", TABLES), ("more.o", &renamed)];
    let linked = Object::link(&inputs).unwrap_or_else(|e| panic!("{e}"));
    let collection = linked.collection("linked.o").unwrap();
    let programs = Loader::new().load_collection(&collection).unwrap_or_else(|e| panic!("{e}"));
    let names: Vec<_> = programs.iter().map(|program| program.name()).collect();
    assert_eq!(names, ["first", "plain", "several", "labels", "xlain", "xeveral", "xabels"]);
    assert_eq!(run(&programs[0], 0), 7);
    runs_as_its_source(&programs[1..4]);
    runs_as_its_source(&programs[4..]);
}

/// Where a section begins in the file.
fn start(section: &str) -> usize {
    let file = object::File::parse(TABLES).unwrap();
    let section = object::Object::section_by_name(&file, section).unwrap();
    object::ObjectSection::file_range(&section).unwrap().0 as usize
}

#[test]
fn a_table_that_leads_elsewhere_is_refused() {
    needs_tried!("little-endian objects", big_endian());
    for (value, problem) in [
        (0_u64, "leads out of the function"),
        (1 << 40, "leads out of the function"),
        (u64::MAX, "leads out of the function"),
        (0x440 + 4, "leads into the middle of an instruction"),
        // The second half of the address of the table.
        (0x458 + 8, "leads into the middle of an instruction"),
    ] {
        let mut bytes = TABLES.to_vec();
        let at = start(".jumptables") + 0x188 + 8 * 3;
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        let error = Object::read(&bytes).unwrap().collection("x.o").unwrap_err();
        let ObjectError::Unsaid { what } = error else { panic!("{error}") };
        let expected = format!("jump table `BPF.JT.2.0`: element 3 {problem}");
        // Two programs call the function.
        assert_eq!(what.len(), 2, "{what:?}");
        assert!(what.iter().all(|what| what.ends_with(&expected)), "{what:?}");
    }
}

/// The kernel takes a table for one load at a time, and a program that it rejects is loaded a second time for its reasons.
#[test]
fn the_verifier_says_what_is_wrong_with_a_program_that_jumps_by_a_table() {
    needs!(Bpf, Btf, Jit);
    needs_tried!("little-endian objects", big_endian());
    needs_tried!("jump tables", no_jump_tables());
    let mut bytes = TABLES.to_vec();
    // The last instruction but one of `labels`, before the last `exit`: r0 = r9.
    let at = start("raw_tp/sched_switch") + 0x3e0 + 248 - 16;
    bytes[at..at + 8].copy_from_slice(&[0xbf, 0x90, 0, 0, 0, 0, 0, 0]);
    let object = Object::read(&bytes).unwrap();
    let collection = object.collection("jump_tables.o").unwrap();
    let error = Loader::new().load_collection(&collection).unwrap_err().to_string();
    assert!(error.contains("`labels`") && error.contains("R9 !read_ok"), "{error}");
}
