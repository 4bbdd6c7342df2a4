//! Tests of types that a short text makes deep, wide or large: each is refused at once, and none is laid out wrongly.

use super::*;

/// Text for each number below `count`, in which `{i}` is the number and `{n}` the next one.
fn chain(text: &str, count: usize) -> String {
    let one = |i: usize| text.replace("{i}", &i.to_string()).replace("{n}", &(i + 1).to_string());
    (0..count).map(one).collect()
}

#[test]
fn types_that_grow_without_bounds_are_refused() {
    let deep = "nested too deeply: more than 200 levels";
    let wide = "a type of more than 65536 parts";
    let large = "a type of more than 2147483647 bytes";
    let body =
        |start: &str, text: &str, count| format!("BEGIN {{ {start}; {} }}", chain(text, count));
    let types = |start: &str, text: &str, count| {
        format!("{start} {} BEGIN {{ exit() }}", chain(text, count))
    };
    // Of those that go on growing each next one is wrong, too, but no more than 50 are told.
    for (text, expected, most) in [
        (body("$a0 = 1", "$a{n} = ($a{i}, 1);", 20_000), deep, 50),
        (body("$a0 = 1", "$a{n} = ($a{i}, $a{i});", 40), wide, 50),
        (body("@a0 = 1", "@a{n} = (@a{i}, @a{i});", 40), wide, 50),
        (body("let $a0: int64", "let $a{n}: (typeof($a{i}), typeof($a{i}));", 40), wide, 50),
        (types("typedef int T0;", "typedef T{i} *T{n};", 20_000), deep, 50),
        (types("typedef int T0;", "typedef T{i} T{n}[2];", 40), large, 50),
        (types("struct S0 { int a; };", "struct S{n} { struct S{i} a; };", 20_000), deep, 50),
        (types("struct S0 { int a; };", "struct S{n} { struct S{i} a, b; };", 60), large, 50),
        (types("struct S0 { int; };", "struct S{n} { struct S{i} a{i}[1000]; };", 60), large, 50),
    ] {
        let found = errors(&text);
        let start = text.get(..60).unwrap_or_default();
        assert!((1..=most).contains(&found.len()), "{start} {found:#?}");
        assert!(found[0].contains(expected), "{start} {found:#?}");
    }
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    for (definition, expected) in [
        ("struct S { int a[3000000000]; };", "length of an array: 3000000000, expected 0 to"),
        ("struct S { char a[4294967296]; };", "length of an array: 4294967296, expected 0 to"),
        ("struct S { char a[-1]; };", "length of an array: -1, expected 0 to"),
        ("struct S { long a[1073741824]; };", "more than 2147483647 bytes"),
        ("struct S { char a[65536][65536]; };", "more than 2147483647 bytes"),
        ("struct S { char a[2147483647]; char b; };", "more than 2147483647 bytes"),
        ("union S { int a[536870912]; };", "more than 2147483647 bytes"),
        ("struct S { struct S a; int b; };", "struct S is not defined before this"),
        ("struct S { struct { struct S a; } b; };", "struct S is not defined before this"),
        (
            "struct S { struct T a[3]; }; struct T { long a; };",
            "struct T is not defined before this",
        ),
        ("struct S { int a; char a; };", "`a` is a field already"),
        ("struct S { int a; union { char b; int a; }; };", "`a` is a field already"),
    ] {
        let found = errors(&format!("{definition} BEGIN {{ print(sizeof(struct S)) }}"));
        assert_eq!(found.len(), 1, "{definition} {found:#?}");
        assert!(found[0].contains(expected), "{definition} {found:#?}");
    }
    has_line(
        "struct S { char a[2147483647]; }; BEGIN { print(sizeof(struct S)) }",
        "print(2147483647: uint64)",
    );
    // What is only pointed to may come later, or be the struct itself.
    let text = "struct S { struct S *a; struct T *b; }; struct T { long a; };";
    has_line(&format!("{text} BEGIN {{ print(sizeof(struct S)) }}"), "print(16: uint64)");
}

#[test]
fn structs_in_structs_are_aligned_as_c_does() {
    let packed = "struct P { char a; int b; char c[3]; } __attribute__((packed));";
    let plain = "struct Q { char a; int b; char c[3]; };";
    // As GCC and Clang have them.
    for (definition, expected) in [
        ("struct S { char x; struct P p; };", 9),
        ("struct S { char x; struct P p[2]; int z; };", 24),
        ("struct S { char x; struct Q p; char y; };", 20),
        ("struct S { char x; struct { struct P p; short s; } i; };", 12),
    ] {
        let text = format!("{packed} {plain} {definition} BEGIN {{ print(sizeof(struct S)) }}");
        has_line(&text, &format!("print({expected}: uint64)"));
    }
    // Without going through the inner ones again for each of the outer ones, of which there would be 2^25.
    let many = chain("struct S{n} { struct S{i} a; struct S{i} b; };", 25);
    let text = format!("struct S0 {{ long a; }}; {many} BEGIN {{ print(sizeof(struct S25)) }}");
    has_line(&text, "print(268435456: uint64)");
}

#[test]
fn an_error_is_not_lost_among_warnings() {
    let many = "@ = buf(0, 99999999);".repeat(60);
    let found = errors(&format!("BEGIN {{ {many} nothing; }}"));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains("unknown identifier: `nothing`"), "{found:#?}");
}

#[test]
fn values_that_no_probe_has_memory_for_are_refused() {
    for (body, expected) in [
        ("$x = *(struct S *)0;", "$x: a value of 2000000000 bytes"),
        ("@[*(struct S *)0] = 1;", "@: a value of 2000000000 bytes"),
        ("@ = str(((struct S *)0)->a);", "@: a value of 2000000000 bytes"),
        ("let $x: string[2000000000]; $x = \"a\";", "length of a string: 2000000000"),
        ("print((string[2000000000])\"a\");", "length of a string: 2000000000"),
    ] {
        let found = errors(&format!("struct S {{ char a[2000000000]; }} BEGIN {{ {body} }}"));
        assert_eq!(found.len(), 1, "{body} {found:#?}");
        assert!(found[0].contains(expected), "{body} {found:#?}");
    }
}
