//! Loops: each form by the means of new kernels and of old ones.

use super::maps;
use super::run::{Script, has, refused};
use crate::bt::plan::Feature;

/// Runs a script with the helper `loop` and without.
#[track_caller]
fn both(body: &str, expected: &str) {
    let text = format!("BEGIN {{ {body} }}");
    assert_eq!(Script::new(&text).run().maps(), expected, "{body}");
    let mut old = Script::new(&text);
    old.without.insert(Feature::Loop);
    assert_eq!(old.run().maps(), expected, "without loop: {body}");
}

#[test]
fn while_ends_by_its_condition_or_by_break() {
    both(
        "$i = 0; while ($i < 10) { $i++; if ($i == 5) { continue } if ($i > 7) { break } @n++ } @i = $i",
        "@n=6 @i=8",
    );
    both(
        "$i = 0; while ($i < 3) { $j = 0; while ($j < 2) { @[$i, $j] = 1; $j++ } $i++ }",
        "@[(0,0)]=1 @[(0,1)]=1 @[(1,0)]=1 @[(1,1)]=1 @[(2,0)]=1 @[(2,1)]=1",
    );
}

#[test]
fn ranges_are_gone_through() {
    both("$s = 0; for ($i : 0..10) { $s += $i } @s = $s", "@s=45");
    both("$s = 0; for ($i : 0..100) { $s += $i; if ($i == 49) { break } } @s = $s", "@s=1225");
    both(
        "for ($i : -2..2) { @[$i] = 1 } for ($i : 5..5) { @never = 1 } for ($i : 7..5) { @never = 1 }",
        "@[-1]=1 @[-2]=1 @[0]=1 @[1]=1",
    );
    both(
        "for ($i : 0..20) { for ($j : 0..20) { if ($j == 5) { break } if ($i == 10) { return; } @n++ } } @never = 1",
        "@n=50",
    );
    maps(&[(
        "unroll(5) { @x++ } $i = 0; unroll(3) { $i += 2; if ($i > 3) { break } } @i = $i",
        "@x=5 @i=4",
    )]);
}

#[test]
fn what_unrolling_makes_is_bounded() {
    let nested = |body: &str| {
        let (open, close) = ("unroll(1000) { ".repeat(6), "}".repeat(6));
        refused(&format!("BEGIN {{ {open}{body}{close} }}"))
    };
    for body in ["", "@x++;"] {
        let shown = nested(body);
        assert!(shown.contains("not supported: unroll of more than 1000000 statements"), "{shown}");
    }
    maps(&[("unroll(10) { unroll(10) { @x++ } }", "@x=100")]);
}

#[test]
fn values_that_are_too_large_have_no_code() {
    let of = |body: &str| format!("struct S {{ char a[2000000000]; }} BEGIN {{ {body} }}");
    for body in [
        "if (*(struct S *)0 == *(struct S *)1) { @x = 1 }",
        "if (((struct S *)0)->a == \"abc\") { @x = 1 }",
        "print((*(struct S *)0, 1))",
    ] {
        let shown = refused(&of(body));
        assert!(shown.contains("not supported: so much memory in a probe: 20000000"), "{shown}");
    }
}

#[test]
fn bounds_of_run_time_need_the_helper() {
    let text = "BEGIN { $n = (int64)40; @m = $n; $k = @m; for ($i : 0..$k) { @c++ } }";
    match has(Feature::Loop) {
        true => assert_eq!(Script::new(text).run().maps(), "@m=40 @c=40"),
        false => assert!(refused(text).contains("needs Linux 5.17")),
    }
}

#[test]
fn exit_within_a_loop_ends_the_run() {
    let outcome =
        Script::new("BEGIN { for ($i : 0..100) { if ($i == 3) { exit() } print($i) } @never = 1 }")
            .run();
    assert_eq!(outcome.records().join(" "), "PrintValue(0) PrintValue(1) PrintValue(2) Exit(0)");
    assert_eq!(outcome.maps(), "");
}

#[test]
fn maps_are_gone_through() {
    let sum = "BEGIN { @a[1] = 10; @a[2] = 20; @a[3] = 30; $n = 0; $s = 0; for ($kv : @a) { $n++; $s += $kv.1 * $kv.0 } \
               @n = $n; @s = $s; @len = len(@a) }";
    if !has(Feature::ForEachMapElem) {
        assert!(refused(sum).contains("not supported: for over a map on this kernel"));
        return;
    }
    assert_eq!(Script::new(sum).run().maps(), "@a[1]=10 @a[2]=20 @a[3]=30 @n=3 @s=140 @len=3");
    let text = "BEGIN { @a[\"x\", 1] = \"one\"; $s = \"abc\"; for ($kv : @a) { @k = $kv.0; @v = $kv.1; $s = \"xyz\" } @s = $s }";
    assert_eq!(Script::new(text).run().maps(), "@a[(x,1)]=one @k=(x,1) @v=one @s=xyz");
    let text = "BEGIN { @a[1] = count(); @a[1] = count(); @b[2] = avg(4); @b[2] = avg(6); for ($kv : @a) { @x = $kv.1 } for ($kv : @b) { @y = $kv.1 } }";
    assert_eq!(Script::new(text).run().maps(), "@a[1]=2 @b[2]=10/2 @x=2 @y=5");
}
