//! The lessons 1 to 10 of `examples/`: each runs, sees what the test does, and prints it as it should.
#![allow(dead_code, clippy::duplicate_mod, reason = "each lesson has a `main` and its `lesson`")]

mod common;
#[path = "../examples/lesson_01_hello_world.rs"]
mod lesson_01_hello_world;

use common::lessons::Lesson;
use common::needs::{Thing, needs};
use std::process::Command;

/// A shell that makes a process: by `clone`, which is how C libraries do what `fork` asks for.
fn fork() {
    let status = Command::new("sh").args(["-c", "(:); (:)"]).status().unwrap();
    assert!(status.success());
}

/// Whether a line of `trace_pipe` is of a shell, which by now may be gone and its name forgotten.
fn from_shell(line: &str) -> bool {
    line.trim_start().starts_with("sh-") || line.trim_start().starts_with("<...>-")
}

#[test]
fn lesson_01_hello_world() {
    needs!(Kprobe, Tracefs);
    let mut lesson = Lesson::start(lesson_01_hello_world::run, "Tracing sys_clone()...");
    let seen =
        |text: &str| text.lines().any(|line| from_shell(line) && line.ends_with(": Hello, World!"));
    lesson.wait_for("Hello, World!", seen, fork);
    lesson.stop();
}
