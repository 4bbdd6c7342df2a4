//! Parameters and structs of programs by their debug information. What is expected is what the programs are given.

use crate::common::requires::{Thing, needs, needs_tried};
use crate::common::{Folder, no_program, said};
use crate::{bt, text};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

/// Compiles a program, whose source has a name that says its language.
#[track_caller]
fn compiled(folder: &Folder, name: &str, source: &str, args: &[&str]) -> PathBuf {
    let (file, program) = (folder.path().join(name), folder.path().join(format!("{name}.out")));
    fs::write(&file, source).unwrap();
    let compiler = if name.ends_with(".cc") { "g++" } else { "gcc" };
    let output = Command::new(compiler).args(args).arg("-o").arg(&program).arg(&file).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", said(&output));
    program
}

/// Runs a script beside a program that it probes; `PROGRAM` in it is the path.
fn run(program: &std::path::Path, script: &str) -> Output {
    let program = program.display().to_string();
    bt(&["-q", "-e", &script.replace("PROGRAM", &program), "-c", &program])
}

/// The output of the script.
#[track_caller]
fn printed(program: &std::path::Path, script: &str) -> String {
    let output = run(program, script);
    assert!(output.status.success(), "{script}\n{}", said(&output));
    text(&output.stdout).trim_end().to_owned()
}

/// The error that the script is refused with.
#[track_caller]
fn refused(program: &std::path::Path, script: &str) -> String {
    let output = run(program, script);
    assert_eq!(output.status.code(), Some(1), "{script}\n{}", said(&output));
    let error = text(&output.stderr).to_owned();
    error.replace(&program.display().to_string(), "PROGRAM")
}

const CALLS: &str = r#"
#include <stdbool.h>
#include <stdint.h>
enum mood { CALM, MERRY = 5 };
struct pair { long a, b; };
struct large { long a, b, c; };
struct item {
    struct item *next; char name[8]; unsigned low : 3, high : 9; enum mood mood;
    struct { short deep; } in; union { int number; char byte; }; int list[3]; const char *text;
};
int scalars(signed char c, unsigned short s, bool yes, enum mood mood, int64_t wide, const char *text) { return 0; }
int on_stack(int a, double d, int b, int c, int e, int f, int g, float fl, signed char h, uint32_t i, int j, int k, int last) { return 0; }
int structs(struct pair p, int first, struct large l, int second, struct large *by_address) { return 0; }
struct large returns(int first, int second) { return (struct large){ 0 }; }
int use(struct item *item) { return 0; }
int main(void)
{
    /* On the stack, which is in memory: what was never touched cannot be read by a program. */
    char hello[] = "hello", some[] = "some text", end[] = "end";
    scalars(-3, 65000, true, MERRY, -5000000000, hello);
    on_stack(1, 0.5, 2, 3, 4, 5, 6, 0.5f, -7, 4000000000u, 8, 9, -10);
    struct large l = { 1, 2, 3 };
    structs((struct pair){ 1, 2 }, 11, l, 12, &l);
    returns(21, 22);
    struct item last = { .name = "last", .text = end };
    struct item item = { &last, "first", 5, 300, MERRY, { -9 }, { 77 }, { 4, 5, 6 }, some };
    use(&item);
    return 0;
}
"#;

#[test]
fn parameters_have_their_values() {
    needs!(Bpf, Uprobe);
    needs_tried!("gcc", no_program("gcc"));
    let folder = Folder::new();
    for level in ["-O0", "-O2"] {
        let args =
            ["-g", level, "-fno-inline", "-fno-ipa-sra", "-fno-ipa-cp", "-fno-ipa-icf", "-w"];
        let program =
            compiled(&folder, "calls.c", CALLS, &[&args[..], &["-fno-ipa-pure-const"]].concat());
        let script = r#"uprobe:PROGRAM:scalars { print((args.c, args.s, args.yes, args.mood, args.wide, str(args.text)));
            printf("%d %s\n", args->c < 0, args->mood); }"#;
        if level == "-O0" {
            let expected = "(-3, 65000, true, MERRY, -5000000000, hello)\n1 MERRY";
            assert_eq!(printed(&program, script), expected);
            let script =
                "uprobe:PROGRAM:on_stack { print((args.a, args.b, args.c, args.e, args.f, args.g));
                print((args.h, args.i, args.j, args.k, args.last)); }";
            let expected = "(1, 2, 3, 4, 5, 6)\n(-7, 4000000000, 8, 9, -10)";
            assert_eq!(printed(&program, script), expected);
            let script =
                "uprobe:PROGRAM:structs { print((args.first, args.second, args.by_address->b)); }
                uprobe:PROGRAM:returns { print((args.first, args.second)); }";
            assert_eq!(printed(&program, script), "(11, 12, 2)\n(21, 22)");
        }
        let declared = bt(&["-lv", &format!("uprobe:{}:use", program.display())]);
        let expected = format!("uprobe:{}:use\n    struct item* item\n", program.display());
        assert_eq!(text(&declared.stdout), expected, "{level}");
    }
}

#[test]
fn structs_of_the_program_are_read() {
    needs!(Bpf, Uprobe);
    needs_tried!("gcc", no_program("gcc"));
    let folder = Folder::new();
    let program = compiled(&folder, "calls.c", CALLS, &["-g", "-O0", "-w"]);
    let script = r#"uprobe:PROGRAM:use { $i = args.item; print(($i->name, $i->low, $i->high, $i->mood, $i->in.deep, $i->number, $i->byte));
        print($i->list); print($i->list[1]); print(str($i->text)); print(($i->next->name, str($i->next->text), $i->next->next)); }"#;
    let expected = "(first, 5, 300, MERRY, -9, 77, 77)\n[4,5,6]\n5\nsome text\n(last, end, 0x0)";
    assert_eq!(printed(&program, script), expected);
    // By casts too, in all probes of the file; and a pointer is kept for the function's end.
    let script = r#"uprobe:PROGRAM:use { @item[tid] = arg0; print(((struct item *)arg0)->next->name); print(sizeof(struct item)); }
        uretprobe:PROGRAM:use { print(((struct item *)@item[tid])->list); clear(@item); }"#;
    assert_eq!(printed(&program, script), "last\n56\n[4,5,6]");
    // The script's own comes first, and then the file's: the kernel has a `struct pair` of its own, or none.
    let script = "struct item { long first; char second[4]; } uprobe:PROGRAM:use { print(args.item->second); print(((struct item *)arg0)->second); }";
    assert_eq!(printed(&program, script), "firs\nfirs");
    let script = "uprobe:PROGRAM:structs { print(((struct large *)args.by_address)->c); }";
    assert_eq!(printed(&program, script), "3");
}

#[test]
fn what_is_not_known_says_why() {
    needs!(Bpf, Uprobe);
    needs_tried!("gcc", no_program("gcc"));
    let folder = Folder::new();
    let program = compiled(&folder, "calls.c", CALLS, &["-g", "-O0", "-w"]);
    for (script, expected) in [
        ("uprobe:PROGRAM:on_stack { print(args.d); }", "not supported: floating-point numbers"),
        ("uprobe:PROGRAM:structs { print(args.p); }", "not supported: structs passed by value"),
        ("uprobe:PROGRAM:use { print(args.itme); }", "has no argument `itme`"),
        ("uprobe:PROGRAM:use { print(args.itme); }", "did you mean `item`?"),
        ("uprobe:PROGRAM:use { print(args.item->nmae); }", "struct item has no field `nmae`"),
        ("uprobe:PROGRAM:use { print(((struct lagre *)arg0)->a); }", "did you mean `large`?"),
        ("uprobe:PROGRAM:use+4 { print(args.item); }", "args are known where a function begins"),
        (
            "uretprobe:PROGRAM:use { print(args.item); }",
            "`args` is not available in uretprobe probes",
        ),
        ("uprobe:PROGRAM:_start { print(args.item); }", "does not describe this function"),
    ] {
        let error = refused(&program, script);
        assert!(error.contains(expected), "{script}\n{error}");
    }
    let plain = compiled(&folder, "plain.c", CALLS, &["-g0", "-w"]);
    let error = refused(&plain, "uprobe:PROGRAM:use { print(args.item); }");
    assert!(error.contains("the file has no debug information"), "{error}");
    let error =
        refused(&plain, "uprobe:PROGRAM:use { print(((struct nothing_of_that_name *)arg0)->a); }");
    assert!(error.contains("PROGRAM has no debug information"), "{error}");
}

#[test]
fn each_file_has_its_own_types() {
    needs!(Bpf, Uprobe);
    needs_tried!("gcc", no_program("gcc"));
    let folder = Folder::new();
    let one = "struct s { int first, x; }; int f(struct s *s, int n) { return 0; } int main() { struct s s = { 1, 2 }; return f(&s, 3); }";
    let other = "struct s { long long x; }; int f(int n, struct s *s) { return 0; } int main() { struct s s = { 5 }; return f(6, &s); }";
    let one = compiled(&folder, "one.c", one, &["-g", "-O0"]);
    let other = compiled(&folder, "other.c", other, &["-g", "-O0"]);
    let script = format!(
        "uprobe:{}:f, uprobe:{}:f {{ print((args.n, args.s->x, sizeof(struct s))); }}",
        one.display(),
        other.display()
    );
    let both = folder.path().join("both.sh");
    fs::write(&both, format!("{}\n{}\n", one.display(), other.display())).unwrap();
    let output = bt(&["-q", "-e", &script, "-c", &format!("/bin/sh {}", both.display())]);
    assert_eq!(text(&output.stdout).trim_end(), "(3, 2, 8)\n(6, 5, 8)", "{}", said(&output));
}

#[test]
fn objects_of_cpp_have_their_members() {
    needs!(Bpf, Uprobe);
    needs_tried!("g++", no_program("g++"));
    let folder = Folder::new();
    let source = r#"
        class Base { public: virtual ~Base() {} long inherited = 7; };
        class Thing : public Base { public: int own; Thing(int n) : own(n) {} int add(const int &a, int b); };
        int Thing::add(const int &a, int b) { return own + a + b; }
        int main() { Thing t(1); return t.add(2, 3) - 6; }
    "#;
    let program = compiled(&folder, "thing.cc", source, &["-g", "-O0"]);
    let script = "uprobe:PROGRAM:_ZN5Thing3addERKii { print((args.this->own, args.this->inherited, *args.a, args.b)); }";
    assert_eq!(printed(&program, script), "(1, 7, 2, 3)");
}
