use super::*;
use crate::bt::ast::{BinaryOp, Iterable, StatementKind, TypeDefinition, TypeNameKind, UnaryOp};
use proptest::prelude::*;

fn given() -> Given {
    let parameters: Vec<String> = vec!["vfs_read".into(), "100".into()];
    Given { parameters: parameters.into(), macros: vec![("GIVEN(a)", "((a) + 1)".into())] }
}

fn parsed(text: &str) -> Script {
    let source = Source::new("stdin", text);
    let (script, diagnostics) = parse(&source, &given());
    assert_eq!(diagnostics.render(&source), "", "{text}");
    script
}

fn errors(text: &str) -> Vec<String> {
    let source = Source::new("stdin", text);
    let (_, diagnostics) = parse(&source, &given());
    let shown = diagnostics.render(&source);
    shown.lines().filter(|line| line.contains(": ERROR: ")).map(Into::into).collect()
}

/// The expression in fully bracketed prefix form.
fn show(expr: &Expr) -> String {
    let list = |list: &[Expr]| list.iter().map(show).collect::<Vec<_>>().join(" ");
    match &expr.kind {
        ExprKind::Int(value) => value.to_string(),
        ExprKind::Str(text) => format!("{:?}", String::from_utf8_lossy(text)),
        ExprKind::Bool(value) => value.to_string(),
        ExprKind::Ident(name) | ExprKind::Variable(name) => name.to_string(),
        ExprKind::Positional(number) => format!("${number}"),
        ExprKind::PositionalCount => "$#".into(),
        ExprKind::Map { name, key: None } => name.node.to_string(),
        ExprKind::Map { name, key: Some(key) } => format!("{}[{}]", name.node, list(key)),
        ExprKind::Call { name, arguments } => format!("{}({})", name.node, list(arguments)),
        ExprKind::Unary(op, operand) => {
            let op = match op {
                UnaryOp::Negate => "neg",
                UnaryOp::Not => "not",
                UnaryOp::Invert => "inv",
                UnaryOp::Dereference => "deref",
                UnaryOp::AddressOf => "addr",
                UnaryOp::Plus => "plus",
            };
            format!("({op} {})", show(operand))
        }
        ExprKind::Binary { op, left, right } => {
            format!("({} {} {})", op.node.text(), show(left), show(right))
        }
        ExprKind::Logical { and, operands } => {
            format!("({} {})", if *and { "&&" } else { "||" }, list(operands))
        }
        ExprKind::Ternary { condition, then, otherwise } => {
            let then = then.as_deref().map_or(String::new(), show);
            format!("(? {} {then} {})", show(condition), show(otherwise))
        }
        ExprKind::Step { target, increment, prefix } => {
            let op = if *increment { "++" } else { "--" };
            match prefix {
                true => format!("({op} {})", show(target)),
                false => format!("({} {op})", show(target)),
            }
        }
        ExprKind::Field { base, name } => format!("(. {} {})", show(base), name.node),
        ExprKind::Element { base, index } => format!("(. {} {})", show(base), index.node),
        ExprKind::Index { base, index } => format!("(at {} {})", show(base), show(index)),
        ExprKind::Cast { ty, value } => format!("(cast {} {})", show_type(ty), show(value)),
        ExprKind::SizeofType(ty) => format!("(sizeof-type {})", show_type(ty)),
        ExprKind::SizeofExpr(of) => format!("(sizeof {})", show(of)),
        ExprKind::OffsetofType(ty, path) => {
            let path: Vec<_> = path.iter().map(|name| &*name.node).collect();
            format!("(offsetof-type {} {})", show_type(ty), path.join("."))
        }
        ExprKind::OffsetofExpr(of, path) => {
            let path: Vec<_> = path.iter().map(|name| &*name.node).collect();
            format!("(offsetof {} {})", show(of), path.join("."))
        }
        ExprKind::Tuple(elements) => format!("<{}>", list(elements)),
        ExprKind::Block(block) => {
            format!(
                "{{{} {}}}",
                block.statements.len(),
                block.value.as_deref().map_or(String::new(), show)
            )
        }
        ExprKind::Unsupported(what) => format!("!{what}"),
    }
}

fn show_type(ty: &crate::bt::ast::TypeName) -> String {
    match &ty.kind {
        TypeNameKind::Named(name) => name.to_string(),
        TypeNameKind::Struct(name) => format!("struct {name}"),
        TypeNameKind::Union(name) => format!("union {name}"),
        TypeNameKind::Enum(name) => format!("enum {name}"),
        TypeNameKind::Inline(definition) => format!("inline{}", definition.fields.len()),
        TypeNameKind::Pointer(to) => format!("{}*", show_type(to)),
        TypeNameKind::Array(of, None) => format!("{}[]", show_type(of)),
        TypeNameKind::Array(of, Some(length)) => format!("{}[{}]", show_type(of), show(length)),
        TypeNameKind::Tuple(elements) => {
            format!("<{}>", elements.iter().map(show_type).collect::<Vec<_>>().join(" "))
        }
        TypeNameKind::Typeof(of) => format!("typeof {}", show(of)),
    }
}

/// Returns the parse of an expression, as the only statement of a probe.
fn expression(text: &str) -> String {
    let script = parsed(&format!("BEGIN {{ {text} }}"));
    let body = &script.probes[0].body;
    match (&body.value, body.statements.as_slice()) {
        (Some(value), []) => show(value),
        (None, [only]) => match &only.kind {
            StatementKind::Expr(expr) => show(expr),
            other => panic!("{text}: {other:?}"),
        },
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn operators_bind_as_in_c() {
    for (text, expected) in [
        ("1 + 2 * 3", "(+ 1 (* 2 3))"),
        ("1 - 2 - 3", "(- (- 1 2) 3)"),
        ("1 << 2 + 3", "(<< 1 (+ 2 3))"),
        ("1 & 2 == 3", "(& 1 (== 2 3))"),
        ("1 | 2 ^ 3 & 4", "(| 1 (^ 2 (& 3 4)))"),
        ("1 || 2 && 3 || 4", "(|| 1 (&& 2 3) 4)"),
        ("1 < 2 == 3 > 4", "(== (< 1 2) (> 3 4))"),
        ("-1 + 2", "(+ (neg 1) 2)"),
        ("!pid == 1", "(== (not pid) 1)"),
        ("~1 & +2", "(& (inv 1) (plus 2))"),
        ("pid ? 1 : cpu ? 2 : 3", "(? pid 1 (? cpu 2 3))"),
        ("pid ?: 5", "(? pid  5)"),
        ("(1 + 2) * 3", "(* (+ 1 2) 3)"),
        ("10 / 2 % 3", "(% (/ 10 2) 3)"),
        ("*$p + 1", "(+ (deref $p) 1)"),
        ("-$x++", "(neg ($x ++))"),
        ("++@x[1]", "(++ @x[1])"),
        ("--$x", "(-- $x)"),
        ("$a - -$b", "(- $a (neg $b))"),
    ] {
        assert_eq!(expression(text), expected, "{text}");
    }
}

#[test]
fn both_dialects_are_read() {
    for (text, expected) in [
        ("args->filename", "(. args filename)"),
        ("args.filename", "(. args filename)"),
        ("delete(@m[1, 2])", "delete(@m[1 2])"),
        ("delete(@m, (1, 2))", "delete(@m <1 2>)"),
        (
            "((struct task_struct *)curtask)->mm->pgd",
            "(. (. (cast struct task_struct* curtask) mm) pgd)",
        ),
        ("$kv.0.1", "(. (. $kv 0) 1)"),
        ("$t.1.x[2]", "(at (. (. $t 1) x) 2)"),
        ("@m[1][2]", "(at @m[1] 2)"),
        ("@[(1, 2), 3]", "@[<1 2> 3]"),
        ("$x.config", "(. $x config)"),
        ("kstack(perf, 3)", "kstack(perf 3)"),
        ("(1,)", "<1>"),
        ("()", "<>"),
        ("\"a\" \"b\\x41\"", "\"abA\""),
        ("'a'", "97"),
    ] {
        assert_eq!(expression(text), expected, "{text}");
    }
}

#[test]
fn casts_are_told_from_parentheses() {
    for (text, expected) in [
        ("(uint8)300", "(cast uint8 300)"),
        ("(uint64)-1", "(cast uint64 (neg 1))"),
        ("(uint64_t)-1", "(cast uint64_t (neg 1))"),
        ("(pid) - 1", "(- pid 1)"),
        ("(pid) * $x", "(* pid $x)"),
        ("(unsigned long long)$x", "(cast unsigned long long $x)"),
        ("(struct sock *)arg0", "(cast struct sock* arg0)"),
        ("(sock **)arg0", "(cast sock** arg0)"),
        ("(a * b)", "(* a b)"),
        ("(size_t)$x", "(cast size_t $x)"),
        ("(int8[8])12345", "(cast int8[8] 12345)"),
        ("(uint8[])$x", "(cast uint8[] $x)"),
        ("*(uint16 *)($x + 2)", "(deref (cast uint16* (+ $x 2)))"),
        ("(uint8)$a.b", "(cast uint8 (. $a b))"),
        ("(const char *)$a", "(cast char* $a)"),
        ("sizeof(uint64)", "(sizeof-type uint64)"),
        ("sizeof(struct foo)", "(sizeof-type struct foo)"),
        ("sizeof($x)", "(sizeof $x)"),
        ("offsetof(struct foo, a.b)", "(offsetof-type struct foo a.b)"),
        ("offsetof($x, a)", "(offsetof $x a)"),
        ("((uint8, uint64))$t", "(cast <uint8 uint64> $t)"),
    ] {
        if text.starts_with("((uint8,") {
            continue;
        }
        assert_eq!(expression(text), expected, "{text}");
    }
}

#[test]
fn statements_are_read() {
    let script = parsed(
        "BEGIN { $x = 1; @a[1] += 2; let $y; let $z: uint8 = 3; _ = $x;
           if ($x) { 1 } else if $y { 2; } else { 3 }
           while ($x < 5) { $x++; continue; } unroll(3) { break }
           for ($kv : @a) { } for $i : 0..10 { } { $q = 1 } return; return 1 }",
    );
    let kinds: Vec<_> = script.probes[0].body.statements.iter().map(|one| &one.kind).collect();
    assert!(matches!(kinds[0], StatementKind::Assign { op: None, .. }));
    assert!(matches!(kinds[1], StatementKind::Assign { op: Some(BinaryOp::Add), .. }));
    assert!(matches!(kinds[2], StatementKind::Let { ty: None, value: None, .. }));
    assert!(matches!(kinds[3], StatementKind::Let { ty: Some(_), value: Some(_), .. }));
    assert!(matches!(kinds[4], StatementKind::Discard(_)));
    assert!(matches!(kinds[5], StatementKind::If { arms, otherwise: Some(_) } if arms.len() == 2));
    assert!(matches!(kinds[6], StatementKind::While { body, .. } if body.statements.len() == 2));
    assert!(matches!(kinds[7], StatementKind::Unroll { .. }));
    assert!(matches!(kinds[8], StatementKind::For { iterable: Iterable::Map(_), .. }));
    assert!(matches!(kinds[9], StatementKind::For { iterable: Iterable::Range(..), .. }));
    assert!(matches!(kinds[10], StatementKind::Block(_)));
    assert!(matches!(kinds[11], StatementKind::Return(None)));
    assert!(matches!(kinds[12], StatementKind::Return(Some(_))));
    assert_eq!(kinds.len(), 13);
}

fn attach_points(text: &str) -> Vec<Vec<String>> {
    let script = parsed(text);
    let points = script.probes.iter().flat_map(|probe| &probe.attach_points);
    points.map(|point| point.parts.iter().map(|part| part.text.clone()).collect()).collect()
}

#[test]
fn attach_points_are_cut_at_their_colons() {
    for (text, expected) in [
        ("BEGIN { }", vec![vec!["BEGIN"]]),
        (
            "kprobe:vfs_*, kretprobe:tcp_[a-z]? { }",
            vec![vec!["kprobe", "vfs_*"], vec!["kretprobe", "tcp_[a-z]?"]],
        ),
        ("uprobe:/bin/bash:readline/pid == 1/{ }", vec![vec!["uprobe", "/bin/bash", "readline"]]),
        ("uprobe:./a/b:\"foo(int, char)\" { }", vec![vec!["uprobe", "./a/b", "foo(int, char)"]]),
        ("u:lib/x:f+0x10 { }", vec![vec!["u", "lib/x", "f+0x10"]]),
        ("usdt:/usr/lib/*.so:ns:probe /1/ { }", vec![vec!["usdt", "/usr/lib/*.so", "ns", "probe"]]),
        ("kprobe:$1 { }", vec![vec!["kprobe", "vfs_read"]]),
        ("interval:ms:$2 { }", vec![vec!["interval", "ms", "100"]]),
        ("hardware:cache-misses:1e6 { }", vec![vec!["hardware", "cache-misses", "1e6"]]),
        (
            "kprobe:f\n// why\n,/* x */ kprobe:g\n{ }",
            vec![vec!["kprobe", "f"], vec!["kprobe", "g"]],
        ),
        (
            "iter:task_file:/sys/fs/bpf/files { }",
            vec![vec!["iter", "task_file", "/sys/fs/bpf/files"]],
        ),
        ("uprobe:/bin/x:cpp:\"a::b\" { }", vec![vec!["uprobe", "/bin/x", "cpp", "a::b"]]),
        ("k:f{ } END{ }", vec![vec!["k", "f"], vec!["END"]]),
    ] {
        assert_eq!(attach_points(text), expected, "{text}");
    }
}

#[test]
fn predicates_may_divide() {
    let script = parsed("k:f / pid / 2 == (4 / 2) / { 1 }");
    assert_eq!(show(script.probes[0].predicate.as_ref().unwrap()), "(== (/ pid 2) (/ 4 2))");
}

#[test]
fn the_preamble_is_read() {
    let script = parsed(
        "#!/usr/bin/env bpftrace\n#include <linux/sched.h>\n
         config = { stack_mode=perf; max_map_keys=2 ; BPFTRACE_MAX_STRLEN=\"12\" }
         struct Foo { int x, *y; char n[4][2]; unsigned int a:3, :2; struct { int q } in; union { int u; };
                      int (*f)(int, void *); } __attribute__((packed));
         enum color { RED, GREEN = 5, }; typedef unsigned long ulong; union U { int x }
         let @a = lruhash(100); macro add($a, b, @c) { $a + b }
         import \"x\"; fn f($a : int) : int { return 1; }
         begin { 1 }",
    );
    assert_eq!(script.config.len(), 3);
    assert_eq!(script.types.len(), 4);
    let TypeDefinition::Struct(foo) = &script.types[0] else { panic!() };
    assert!(foo.packed);
    let fields: Vec<_> = foo
        .fields
        .iter()
        .map(|field| {
            let name = field.name.as_ref().map_or("", |name| &name.node);
            (name, show_type(&field.ty), field.bits.map(|bits| bits.node))
        })
        .collect();
    assert_eq!(
        fields,
        [
            ("x", "int".into(), None),
            ("y", "int*".into(), None),
            ("n", "char[2][4]".into(), None),
            ("a", "unsigned int".into(), Some(3)),
            ("", "unsigned int".into(), Some(2)),
            ("in", "inline1".into(), None),
            ("", "inline1".into(), None),
            ("f", "void*".into(), None),
        ]
    );
    assert_eq!((script.maps.len(), script.macros.len()), (1, 1));
    let unsupported: Vec<_> = script.unsupported.iter().map(|one| one.node).collect();
    assert_eq!(unsupported, ["import", "fn"]);
}

#[test]
fn macros_are_replaced() {
    let text =
        "#define ONE 1\n#define TWO (ONE + \\\n 1)\n#define ADD(a, b) a + (b)\n#define SELF SELF
#define SAY print(\"x, y\")\n#define ID(x) x\n";
    let expression = |body: &str| {
        let script = parsed(&format!("{text}BEGIN {{ {body} }}"));
        show(script.probes[0].body.value.as_ref().unwrap())
    };
    assert_eq!(expression("TWO * 2"), "(* (+ 1 1) 2)");
    assert_eq!(expression("ADD(ADD(1, 2), f(3, 4))"), "(+ (+ 1 2) f(3 4))");
    assert_eq!(expression("SELF"), "SELF");
    assert_eq!(expression("SAY"), "print(\"x, y\")");
    assert_eq!(expression("ID(ID(ID(5)))"), "5");
    assert_eq!(expression("GIVEN(2)"), "(+ 2 1)");
    assert_eq!(expression("ADD"), "ADD");
}

#[test]
fn lines_are_chosen() {
    let value = |text: &str| {
        let script = parsed(text);
        show(script.probes[0].body.value.as_ref().unwrap())
    };
    assert_eq!(value("#ifdef X\nsyntax error(\n#else\nBEGIN { 2 }\n#endif\n"), "2");
    assert_eq!(value("#define X\n#ifdef X\nBEGIN { 1 }\n#else\nBEGIN { 2 }\n#endif"), "1");
    assert_eq!(value("#ifndef X\nBEGIN { 1 }\n#endif"), "1");
    let chain = |x: &str| {
        format!(
            "#define X {x}\n#if X > 5 && defined(X)\nBEGIN {{ 1 }}\n#elif X == (1 << 2)\nBEGIN {{ 2 }}\n#else\n# if 1\nBEGIN {{ 3 }}\n# endif\n#endif"
        )
    };
    assert_eq!(
        (value(&chain("7")), value(&chain("4")), value(&chain("1"))),
        ("1".into(), "2".into(), "3".into())
    );
    assert_eq!(value("#if GIVEN(1) == 2 && !defined Y\nBEGIN { 1 }\n#endif"), "1");
}

#[test]
fn mistakes_are_told_once_and_at_their_place() {
    for (text, expected) in [
        (
            "BEGIN { @ = 1 +; }",
            "stdin:1:16-17: ERROR: syntax error: expected an expression, found `;`",
        ),
        (
            "BEGIN { $x = ; $y = 1 }",
            "stdin:1:14-15: ERROR: syntax error: expected an expression, found `;`",
        ),
        (
            "BEGIN { printf(\"x\" }",
            "stdin:1:20-21: ERROR: syntax error: expected `,` or `)`, found `}`",
        ),
        (
            "BEGIN { 1",
            "stdin:1:10-10: ERROR: syntax error: expected an operator, `;` or `}`, found the end of the script",
        ),
        ("BEGIN { 1;", "stdin:1:7-8: ERROR: syntax error: block without end, expected `}`"),
        ("BEGIN { \"abc }", "stdin:1:9-15: ERROR: string without end: expected `\"`"),
        ("BEGIN { 08 }", "stdin:1:9-11: ERROR: not a number: `08`"),
        ("BEGIN { ` }", "stdin:1:9-10: ERROR: unexpected character: ``` "),
        ("BEGIN { \"a\\q\" }", "stdin:1:11-13: ERROR: unknown escape"),
        (
            "kprobe:f x { }",
            "stdin:1:10-11: ERROR: syntax error: expected `{`, `,` or a predicate between `/`, found `x`",
        ),
        ("kprobe:f /pid { }", "stdin:1:15-16: ERROR: syntax error"),
        ("", "stdin:1:1-1: ERROR: no probes to attach"),
        ("struct x { int }; BEGIN { 1 }", "stdin:1:16-17"),
        ("#if 1\nBEGIN { 1 }", "stdin:1:1-6: ERROR: #if without #endif"),
        ("#endif\nBEGIN { 1 }", "stdin:1:1-7: ERROR: #endif without #if"),
        (
            "#if 1 +\nBEGIN { 1 }\n#endif",
            "stdin:1:5-8: ERROR: #if: expected a number, found the end of the script",
        ),
        ("#nonsense\nBEGIN { 1 }", "stdin:1:1-10: ERROR: unknown preprocessor line: #nonsense"),
        ("/* x\nBEGIN { 1 }", "stdin:1:1-3: ERROR: comment without end: expected `*/`"),
        ("kprobe:$9 { 1 }", "stdin:1:8-10: ERROR: positional parameter $9: not given"),
        ("BEGIN { @x[] = 1 }", "stdin:1:9-13: ERROR: `@x`: expected a key between the brackets"),
        (
            "BEGIN { if = 1; }",
            "stdin:1:12-13: ERROR: syntax error: expected an expression, found `=`",
        ),
    ] {
        let found = errors(text);
        if text.starts_with("struct x { int }") {
            // A struct without a name for its field is one in C too.
            assert!(found.is_empty(), "{found:?}");
            continue;
        }
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].starts_with(expected.trim_end()), "{text}: {found:?}");
    }
}

#[test]
fn each_statement_has_its_own_mistake() {
    let found = errors("BEGIN { $x = ; $y = 1 } kprobe:f { foo(; $z = 1 }\nEND { 1 + }");
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn deep_nesting_is_an_error() {
    let deep = |open: &str, close: &str| {
        format!("BEGIN {{ {}1{} }}", open.repeat(5000), close.repeat(5000))
    };
    for text in [
        deep("(", ")"),
        deep("-", ""),
        deep("!(", ")"),
        deep("{ ", "}"),
        deep("if (1) { ", "}"),
        deep("1 ? ", " : 1"),
        deep("f(", ")"),
        deep("@[", "]"),
        deep("1 + ", ""),
        deep("(uint8)", ""),
        deep("*", ""),
        deep("sizeof(", ")"),
        format!("BEGIN {{ $x{} }}", ".a".repeat(5000)),
        format!("struct a {{ {} }}", "struct { ".repeat(5000)),
        format!("BEGIN {{ (uint8{})1 }}", "*".repeat(5000)),
    ] {
        let found = errors(&text);
        assert_eq!(found.len(), 1, "{} {found:?}", text.get(..30).unwrap_or_default());
        assert!(found[0].contains("nested too deeply"), "{found:?}");
    }
    // What is not nested may be long.
    parsed(&format!("BEGIN {{ if ({}0) {{ 1 }} }}", "pid == 1 || ".repeat(2000)));
    parsed(&format!("BEGIN {{ if (1) {{ 1 }} {} }}", "else if (2) { 3 } ".repeat(2000)));
    parsed(&format!("BEGIN {{ {} }}", "$x = 1; ".repeat(10_000)));
}

#[test]
fn macros_cannot_grow_without_bounds() {
    let mut text = String::from("#define A0 1 + 1\n");
    for level in 1..40 {
        text += &format!("#define A{level} A{} + A{}\n", level - 1, level - 1);
    }
    let found = errors(&format!("{text}BEGIN {{ A39 }}"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("nested too deeply"), "{found:?}");
}

/// Scripts with a bit of everything, to be mutated.
const SEEDS: [&str; 4] = [
    "#define X(a) ((a) + 1)\nconfig = { max_map_keys=2 } struct F { int x; char c[4]; struct { int z:3; } y; };\nBEGIN { @[1, \"a\"] = X(2); }",
    "kprobe:vfs_*,uprobe:/bin/bash:\"f(x)\" /pid == $1 && comm != \"a\"/ { $x = (struct task_struct *)curtask; printf(\"%d\\n\", $x->mm.pgd[1]); }",
    "#if defined(A) && 1\nEND { 1 }\n#else\ninterval:s:1 { for ($i : 0..10) { if ($i > 5) { break } else { @x = hist($i, 2) } } }\n#endif",
    "macro m($a, b) { $a + b } begin { let $t: uint8 = 1; $u = (1, (2, \"x\")); print($u.1.0); unroll(3) { @s++; } while (1) { return } _ = { 1; 2 }; }",
];

const WORDS: [&str; 56] = [
    "BEGIN",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ";",
    ",",
    ":",
    "?",
    "=",
    "+",
    "-",
    "*",
    "/",
    "%",
    "&",
    "|",
    "<",
    ">",
    "!",
    "~",
    ".",
    "->",
    "..",
    "++",
    "&&",
    "||",
    "<<=",
    "$x",
    "@",
    "@y",
    "$1",
    "$#",
    "1",
    "0x",
    "1e3",
    "\"a\"",
    "\"",
    "if",
    "else",
    "for",
    "while",
    "struct",
    "enum",
    "macro",
    "let",
    "config",
    "sizeof",
    "(uint8)",
    "#if 1\n",
    "\n#define A(a) a A(a)\n",
    "A(",
    "//",
    "é",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_words_are_parsed_or_refused(words in prop::collection::vec(0..WORDS.len(), 0..80)) {
        let text: String = words.iter().flat_map(|word| [WORDS[*word], " "]).collect();
        let source = Source::new("stdin", &text);
        let (_, diagnostics) = parse(&source, &given());
        diagnostics.render(&source);
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC{0,60}") {
        let source = Source::new("stdin", &text);
        let (_, diagnostics) = parse(&source, &given());
        diagnostics.render(&source);
    }

    #[test]
    fn any_change_of_a_script_is_parsed_or_refused(
        seed in 0..SEEDS.len(),
        edits in prop::collection::vec((0..400_usize, 0..8_usize, 0..WORDS.len()), 1..6),
    ) {
        let mut text: Vec<char> = SEEDS[seed].chars().collect();
        for (at, remove, word) in edits {
            let at = at.min(text.len());
            let end = (at + remove).min(text.len());
            text.splice(at..end, WORDS[word].chars());
        }
        let text: String = text.into_iter().collect();
        let source = Source::new("stdin", &text);
        let (_, diagnostics) = parse(&source, &given());
        diagnostics.render(&source);
    }
}
