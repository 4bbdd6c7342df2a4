use super::{LAYERS, Problem, Rule, check};
use std::fs;
use std::path::{Path, PathBuf};

/// Checks a crate of the given files, whose paths are relative to `src/`.
fn problems(files: &[(&str, &str)]) -> Vec<Problem> {
    let root = tempfile::tempdir().unwrap();
    for (file, text) in files {
        let file = root.path().join("src").join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    check(root.path(), &LAYERS).unwrap()
}

/// Returns the imports that break the order, as `file:line from to`.
fn imports(files: &[(&str, &str)]) -> Vec<String> {
    problems(files).iter().map(brief).collect()
}

fn brief(Problem { file, line, rule }: &Problem) -> String {
    let at = format!("{}:{line}", file.display());
    match rule {
        Rule::Upward { from, to, .. } => format!("{at} {from} up to {to}"),
        Rule::Sideways { from, to, .. } => format!("{at} {from} right to {to}"),
        Rule::Circle { areas, .. } => format!("{at} circle {}", areas.join(" ")),
        Rule::NotInTable { area } => format!("{at} {area} unknown"),
        Rule::Unclear { path, .. } => format!("{at} {path} unclear"),
        Rule::NotInCrate => format!("{at} not in crate"),
    }
}

const LIB: (&str, &str) = (
    "lib.rs",
    "pub mod asm;\nmod insn;\nmod map;\nmod spec;\npub use spec::{MapSpec, ProgramSpec as Spec};\npub use map::Map;\n",
);

/// The files of `LIB`, one of them with the given text.
fn with<'a>(area: &str, text: &'a str) -> Vec<(&'static str, &'a str)> {
    let mut files = vec![LIB];
    let all = [("asm", "asm/mod.rs"), ("insn", "insn.rs"), ("map", "map.rs"), ("spec", "spec.rs")];
    files.extend(all.map(|(name, file)| (file, if name == area { text } else { "" })));
    files
}

#[test]
fn imports_from_below_and_from_the_left_are_allowed() {
    assert_eq!(imports(&with("map", "use crate::asm::Code;\nuse crate::insn::Insn;\n")), [""; 0]);
    assert_eq!(
        imports(&[
            ("lib.rs", "mod insn;\nmod syscall;\n"),
            ("insn.rs", ""),
            ("syscall.rs", "use crate::insn::Insn;\n"),
        ]),
        [""; 0]
    );
}

#[test]
fn an_upward_import_is_found() {
    assert_eq!(
        imports(&with("spec", "\nuse crate::asm::Code;\n")),
        ["src/spec.rs:2 spec up to asm"]
    );
    assert_eq!(
        imports(&with("spec", "pub(crate) use crate::asm::Code;\n")),
        ["src/spec.rs:1 spec up to asm"]
    );
    assert_eq!(
        imports(&with("spec", "use crate::asm as text;\n")),
        ["src/spec.rs:1 spec up to asm"]
    );
    assert_eq!(imports(&with("spec", "use crate::asm::*;\n")), ["src/spec.rs:1 spec up to asm"]);
    assert_eq!(imports(&with("spec", "use super::asm::Code;\n")), ["src/spec.rs:1 spec up to asm"]);
    assert_eq!(imports(&with("spec", "use self::super::asm;\n")), ["src/spec.rs:1 spec up to asm"]);
    assert_eq!(
        imports(&with("spec", "fn f() {\n    use crate::asm::Code;\n}\n")),
        ["src/spec.rs:2 spec up to asm"]
    );
}

#[test]
fn the_message_names_the_line_both_areas_and_the_rule() {
    let found = problems(&with("spec", "use crate::asm::Code;\n"));
    assert_eq!(
        found[0].to_string(),
        "src/spec.rs:1: `spec` (layer 2) imports `asm` (layer 3) by `crate::asm::Code`: \
         a module may only import from layers below its own"
    );
}

#[test]
fn the_table_is_that_of_the_documentation() {
    let file = crate::paths::workspace().join("docs/architecture.md");
    let text = fs::read_to_string(file).unwrap();
    // `| 0 | `util`, `uapi` | what they hold |`
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        let layer: usize = cells.next()?.parse().ok()?;
        let areas = cells.next()?.split(", ").map(|area| area.trim_matches('`').to_owned());
        Some((layer, areas.collect()))
    });
    let documented: Vec<(usize, Vec<String>)> = rows.collect();
    let checked = LAYERS.iter().map(|areas| areas.iter().map(ToString::to_string).collect());
    assert_eq!(documented, checked.enumerate().collect::<Vec<_>>());
}

#[test]
fn an_import_from_the_right_is_found() {
    let files = [
        ("lib.rs", "mod insn;\nmod syscall;\n"),
        ("insn.rs", "use crate::syscall::bpf;\n"),
        ("syscall.rs", ""),
    ];
    assert_eq!(imports(&files), ["src/insn.rs:1 insn right to syscall"]);
    assert_eq!(
        problems(&files)[0].to_string(),
        "src/insn.rs:1: `insn` imports `syscall` by `crate::syscall::bpf`, both in layer 1: within a layer a module \
         may only import from those to its left: insn, syscall, ring, wait, syscall_trace"
    );
}

#[test]
fn inline_paths_are_imports() {
    for text in [
        "fn f() -> usize {\n crate::asm::parse()\n}\n",
        "fn f(code: &[u8]) -> Option<\n&crate::asm::Code> { None }\n",
        "impl std::fmt::Display for\ncrate::asm::Code {}\n",
        "fn f() {\n let _ = <u8 as crate::asm::Number>::LEAST;\n}\n",
        "fn f() {\n match x { crate::asm::Code::Empty => 1 }\n}\n",
        "fn f() {\n println!(\"{}\", crate::asm::LENGTH);\n}\n",
        "fn f() {\n vec![Some(super::asm::LENGTH)];\n}\n",
        "macro_rules! m { () => {\n crate::asm::LENGTH } }\n",
        "macro_rules! m { () => {\n $crate::asm::LENGTH } }\n",
        "macro_rules! m { () => { use\n crate::{asm::LENGTH}; } }\n",
        "#[derive(Error)]\n#[error(\"{}\", crate::asm::LENGTH)]\nstruct E;\n",
        "mod inner {\n use super::super::asm::Code;\n}\n",
    ] {
        assert_eq!(imports(&with("spec", text)), ["src/spec.rs:2 spec up to asm"], "{text}");
    }
}

#[test]
fn nested_groups_are_read() {
    let text = "use crate::{\n    insn::{self, Insn},\n    map::{\n        rules::{Rule as R, *},\n    },\n    asm,\n};\n";
    assert_eq!(
        imports(&with("spec", text)),
        [
            // Both names of the line.
            "src/spec.rs:4 spec up to map",
            "src/spec.rs:4 spec up to map",
            "src/spec.rs:6 spec up to asm",
        ]
    );
}

#[test]
fn names_of_the_root_are_those_of_the_module_that_defines_them() {
    assert_eq!(
        imports(&with("asm", "use crate::{Map, MapSpec, Spec};\n")),
        ["src/asm/mod.rs:1 asm up to map"]
    );
    let mut files = with("asm", "#[macro_export]\nmacro_rules! bpf { () => { $crate::map::X } }\n");
    assert_eq!(imports(&files), [""; 0]);
    files[2].1 = "use crate::bpf;\nfn f() { crate::bpf! {} }\n";
    assert_eq!(imports(&files), ["src/insn.rs:1 insn up to asm", "src/insn.rs:2 insn up to asm"]);
}

#[test]
fn what_hides_an_import_is_refused() {
    assert_eq!(imports(&with("spec", "use crate::*;\n")), ["src/spec.rs:1 crate::* unclear"]);
    assert_eq!(imports(&with("spec", "use super::*;\n")), ["src/spec.rs:1 super::* unclear"]);
    assert_eq!(imports(&with("spec", "use crate as root;\n")), ["src/spec.rs:1 crate unclear"]);
    assert_eq!(
        imports(&with("spec", "use crate::{self as root};\n")),
        ["src/spec.rs:1 crate unclear"]
    );
    assert_eq!(
        imports(&with("spec", "use crate::nothing;\n")),
        ["src/spec.rs:1 crate::nothing unclear"]
    );
}

#[test]
fn code_for_tests_is_exempt() {
    for text in [
        "#[cfg(test)]\nuse crate::asm::Code;\n",
        "#[cfg(test)]\nmod tests { use crate::asm::Code; fn f() { crate::map::g() } }\n",
        "#[cfg(all(test, target_os = \"linux\"))]\nfn f() { crate::asm::parse() }\n",
        "#[cfg(any(test, doctest))]\nfn f() { crate::asm::parse() }\n",
        "#[cfg(all(doc, not(doctest)))]\nmod guide { use crate::asm::Code; }\n",
        "#[test]\nfn f() { crate::asm::parse() }\n",
        "impl T { #[cfg(test)] fn f() { crate::asm::parse() } }\n",
        "fn f() {\n #[cfg(test)]\n if crate::asm::parse() {}\n}\n",
        "fn f() {\n #[cfg(test)]\n let x = crate::asm::parse();\n}\n",
    ] {
        assert_eq!(imports(&with("spec", text)), [""; 0], "{text}");
    }
    for text in [
        "#[cfg(not(test))]\nuse crate::asm::Code;\n",
        "#[cfg(any(test, feature = \"elf\"))]\nuse crate::asm::Code;\n",
        "#[cfg(feature = \"elf\")]\nuse crate::asm::Code;\n",
        // The next item is none of the test's.
        "#[cfg(test)] mod tests {}\nuse crate::asm::Code;\n",
    ] {
        assert_eq!(imports(&with("spec", text)), ["src/spec.rs:2 spec up to asm"], "{text}");
    }
}

#[test]
fn files_that_only_tests_include_are_exempt() {
    let mut files = with("spec", "#[cfg(test)]\nmod fake;\nmod rules;\n");
    files.push(("spec/fake.rs", "mod inner;\nuse crate::asm::Code;\n"));
    files.push(("spec/fake/inner.rs", "use crate::asm::Code;\n"));
    files.push(("spec/rules.rs", "use super::fake;\nuse super::super::asm::Code;\n"));
    assert_eq!(imports(&files), ["src/spec/rules.rs:2 spec up to asm"]);
    let mut files = with("spec", "");
    files[0].1 = "pub mod asm;\nmod insn;\nmod map;\nmod spec;\n#[cfg(test)] mod requires;\n";
    files.push(("requires.rs", "use crate::asm::Code;\n"));
    assert_eq!(imports(&files), [""; 0]);
}

#[test]
fn documentation_strings_and_visibilities_are_no_imports() {
    let text = "//! [`crate::asm::Code`]\n/// See [`Code`](crate::map::Map).\n// crate::asm\n\
                pub(in crate::spec) const S: &str = \"crate::asm::Code\";\npub(super) fn f() {}\n";
    assert_eq!(imports(&with("spec", text)), [""; 0]);
}

#[test]
fn a_circle_is_found() {
    let mut files = with("spec", "use crate::insn::Insn;\n");
    files[1].1 = "use crate::spec::MapSpec;\n";
    files[2].1 = "\nuse crate::asm::Code;\n";
    assert_eq!(
        imports(&files),
        ["src/asm/mod.rs:1 circle asm insn spec", "src/insn.rs:2 insn up to asm",]
    );
    assert_eq!(
        problems(&files)[0].to_string(),
        "src/asm/mod.rs:1: 3 areas import each other in a circle: `asm` `insn` `spec` (for instance \
         `asm` -> `spec` at src/asm/mod.rs:1, `spec` -> `insn` at src/spec.rs:1, `insn` -> `asm` at src/insn.rs:2)"
    );
}

#[test]
fn areas_without_a_place_and_files_without_a_module_are_refused() {
    let mut files = with("spec", "");
    files[0].1 = "pub mod asm;\nmod insn;\nmod map;\nmod spec;\nmod odds;\nmod ends { use crate::asm::Code; }\n";
    files.push(("odds.rs", "use crate::asm::Code;\n"));
    files.push(("spec/left_over.rs", "use crate::asm::Code;\n"));
    assert_eq!(
        imports(&files),
        [
            "src/lib.rs:1 ends unknown",
            "src/odds.rs:1 odds unknown",
            "src/spec/left_over.rs:1 not in crate"
        ]
    );
}

#[test]
fn the_command_imports_by_the_name_of_the_crate() {
    let lib = ("lib.rs", "#[doc(hidden)] pub mod cli;\npub use cli::run;\n");
    let main = |text| [lib, ("main.rs", text), ("args.rs", ""), ("cli.rs", "")];
    let text = "mod args;\nfn main() { rawbpf::cli::main(crate::args::all()); rawbpf::run() }\n";
    assert_eq!(imports(&main(text)), [""; 0]);
    let text = "mod args;\nfn main() { rawbpf::nothing() }\n";
    assert_eq!(imports(&main(text)), ["src/main.rs:2 rawbpf::nothing unclear"]);
}

/// Copies the `.rs` files of a directory.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            copy(&from, &to);
        } else if from.extension().is_some_and(|ext| ext == "rs") {
            fs::copy(&from, &to).unwrap();
        }
    }
}

#[test]
fn an_upward_import_that_is_added_to_the_crate_is_found() {
    let root = tempfile::tempdir().unwrap();
    let workspace = crate::paths::workspace();
    for dir in ["src", "tests"] {
        copy(&workspace.join(dir), &root.path().join(dir));
    }
    let before = check(root.path(), &LAYERS).unwrap();

    let file = PathBuf::from("src/insn.rs");
    let text = fs::read_to_string(root.path().join(&file)).unwrap();
    // Below the documentation of the module: in front of its first `mod` or `use`.
    let at = text.lines().position(|l| l.starts_with("mod ") || l.starts_with("use ")).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.insert(at, "use crate::cli::main as _upward;");
    fs::write(root.path().join(&file), lines.join("\n")).unwrap();

    let wanted = Problem {
        file,
        line: at + 1,
        rule: Rule::Upward {
            from: "insn".into(),
            from_layer: 1,
            to: "cli".into(),
            to_layer: 9,
            path: "crate::cli::main".into(),
        },
    };
    assert!(!before.contains(&wanted), "{before:?}");
    let after = check(root.path(), &LAYERS).unwrap();
    assert!(after.contains(&wanted), "{after:?}");
    // The command line reaches the instructions, so that they are part of a circle now.
    let in_circle = |problem: &Problem| matches!(&problem.rule, Rule::Circle { areas, .. } if areas.iter().any(|a| a == "insn"));
    assert!(!before.iter().any(in_circle), "{before:?}");
    assert!(after.iter().any(in_circle), "{after:?}");
}
