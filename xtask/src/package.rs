//! Checks of a package: its contents, and the compilers that build it.

use crate::{build, paths};
use std::process::Command;

/// Returns the lines that Cargo prints.
fn cargo(args: &[&str]) -> Vec<String> {
    let done =
        Command::new(build::cargo()).args(args).current_dir(paths::workspace()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn the_package_has_no_test_data() {
    let files = cargo(&["package", "--package", "rawbpf", "--list", "--allow-dirty", "--offline"]);
    assert!(files.iter().any(|file| file == "src/lib.rs"), "{files:?}");
    for file in &files {
        let known = match file.split_once('/') {
            Some(("src", _)) => file.ends_with(".rs"),
            Some(("examples", _)) => [".rs", ".s", ".c"].iter().any(|end| file.ends_with(end)),
            Some(("docs", _)) => file.ends_with(".md"),
            Some(_) => false,
            None => true,
        };
        assert!(known, "{file}");
    }
}

#[test]
fn the_lessons_build_without_what_tests_need() {
    let args = ["tree", "--offline", "--package", "lessons", "--prefix", "none", "--all-features"];
    let tree = cargo(&args);
    assert!(tree.iter().any(|line| line.starts_with("rawbpf ")), "{tree:?}");
    for heavy in ["criterion", "loom", "proptest"] {
        assert!(!tree.iter().any(|line| line.starts_with(&format!("{heavy} "))), "{tree:?}");
    }
}
