//! `docs/tutorial.md` shows the instructions of the lessons as they are in their files.

mod common;

use common::requires::{Thing, needs};
use std::fs;
use std::path::Path;

/// A line without its comment and without the spaces around it.
fn bare(line: &str) -> &str {
    line.split("//").next().unwrap_or_default().trim()
}

/// The contents of the code blocks in that language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let begin = format!("```{language}\n");
    let blocks = text.split(&begin).skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap_or_default()).collect()
}

#[test]
fn the_tutorial_shows_the_lessons_as_they_are() {
    // The files are where it was built.
    needs!(Cargo);
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tutorial = fs::read_to_string(here.join("docs/tutorial.md")).unwrap();
    let lessons: Vec<_> = tutorial.split("\n## Lesson ").skip(1).collect();
    assert!(lessons.len() >= 20, "{}", lessons.len());
    for lesson in lessons {
        assert!(lesson.contains("\n**Exercise.** "), "{lesson}");
        let Some((_, name)) = lesson.split_once("cargo run -p lessons --example ") else {
            // A lesson on texts shows one of the examples, all of it.
            let (_, name) = lesson.split_once("rawbpf trace examples/").expect(lesson);
            let name = name.split_whitespace().next().unwrap_or_default();
            let text = fs::read_to_string(here.join("examples").join(name)).unwrap();
            assert_eq!(blocks(lesson, "asm"), [text], "{name}");
            continue;
        };
        let name = name.split_whitespace().next().unwrap_or_default();
        let number: u32 = lesson.split(':').next().and_then(|number| number.parse().ok()).unwrap();
        assert!(name.starts_with(&format!("lesson_{number:02}_")), "{name} in lesson {number}");
        let file = fs::read_to_string(here.join(format!("lessons/examples/{name}.rs"))).unwrap();
        let mut lines = file.lines().map(bare);
        let shown = blocks(lesson, "rust");
        assert!(!shown.is_empty(), "{name}");
        // In the same order, with nothing but comments and what comes after a program left out.
        for line in shown.iter().flat_map(|block| block.lines()).map(bare) {
            assert!(line.is_empty() || lines.any(|one| one == line), "{name}: {line}");
        }
    }
}
