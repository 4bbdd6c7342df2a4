//! Tests of code that looks right and is wrong, or rejected, on some kernels.

use super::run::{Script, has, run};
use crate::bt::plan::Feature;
use std::fmt::Write;

/// Up to Linux 6.6 the verifier simulates a loop body that is a function once, and takes the state after that for the
/// state after the loop.
#[test]
fn what_a_loop_changes_is_not_taken_for_constant() {
    if has(Feature::Loop) {
        let text = "BEGIN { $n = 0; for ($i : 0..100) { $n++ } if ($n > 5) { @right = 1 } else { @wrong = 1 } }";
        assert_eq!(run(text).maps(), "@right=1");
        let text = "BEGIN { $n = 0; while (1) { $n++; if ($n >= 100) { break } } @n = $n }";
        assert_eq!(run(text).maps(), "@n=100");
        // No round at all.
        let text = "BEGIN { @m = 0; $k = @m; $n = 0; for ($i : 0..$k) { $n = 5 } if ($n == 5) { @wrong = 1 } else { @right = 1 } }";
        assert_eq!(run(text).maps(), "@m=0 @right=1");
        let text = "BEGIN { @m = 3; $k = @m; $s = \"abc\"; for ($i : 0..$k) { $s = \"xyz\" } if ($s == \"abc\") { @wrong = 1 } @s = $s }";
        assert_eq!(run(text).maps(), "@m=3 @s=xyz");
    }
    if has(Feature::ForEachMapElem) {
        let text = "BEGIN { unroll(9) { @i++; @a[@i] = 1 } $n = 0; for ($kv : @a) { $n++ } if ($n > 5) { @right = 1 } else { @wrong = 1 } }";
        let maps = run(text).maps();
        assert!(maps.ends_with("@right=1"), "{maps}");
    }
}

/// Branches for values of 0 and 1 exceeded the verifier's limit of a million instructions on Linux 5.10 to 6.18.
#[test]
fn many_conditions_as_values_are_accepted() {
    let mut ternaries = String::from("BEGIN { $p = (int64)pid; ");
    let mut sum = String::from("0");
    for number in 0..40 {
        write!(ternaries, "$t{number} = $p > -{number} ? 1 : 0; ").unwrap();
        write!(sum, " + $t{number}").unwrap();
    }
    assert_eq!(run(&format!("{ternaries} @ = {sum}; }}")).maps(), "@=40");
    for value in [
        "$p > -NUMBER && @m[NUMBER] == 0",
        "has_key(@m, NUMBER)",
        "$p > -NUMBER || @m[NUMBER] == 0",
    ] {
        let mut text = String::from("BEGIN { $p = (int64)pid; @m[3] = 1; ");
        for number in 0..16 {
            write!(text, "$b{number} = {}; ", value.replace("NUMBER", &number.to_string()))
                .unwrap();
        }
        for number in 0..16 {
            write!(text, "if ($b{number}) {{ @n++ }} ").unwrap();
        }
        let expected = match value {
            "has_key(@m, NUMBER)" => 1,
            "$p > -NUMBER && @m[NUMBER] == 0" => 15,
            _ => 16,
        };
        assert_eq!(run(&format!("{text} }}")).maps(), format!("@m[3]=1 @n={expected}"), "{value}");
    }
}

#[test]
fn many_live_variables_are_kept_apart() {
    let mut text = String::from("BEGIN { @m = 5; ");
    let (mut sum, mut expected) = (String::from("0"), 0);
    for number in 0..64 {
        write!(text, "$v{number} = @m * {number}; ").unwrap();
        write!(sum, " + $v{number} * {}", number + 1).unwrap();
        expected += 5 * number * (number + 1);
    }
    assert_eq!(run(&format!("{text} @s = {sum}; }}")).maps(), format!("@m=5 @s={expected}"));
}

/// Strings, keys and tuples beyond the stack lie in scratch memory.
#[test]
fn large_objects_need_no_stack() {
    let text = "BEGIN { $a = str(0, 1000); $b = str(0, 1000); @x = $a == $b; @y = ($a, 7, $b); printf(\"%s%s%s\", $a, $b, str(0)) }";
    let outcome = run(text);
    assert_eq!(outcome.maps(), "@x=true @y=(,7,)");
    assert_eq!(outcome.records().join(""), "Printf(,,)");
    let keys = "BEGIN { @k[str(0, 1000), 5] = 1; @j[str(0, 300), str(0, 900)] = count() }";
    match has(Feature::LargeKeys) {
        true => assert_eq!(run(keys).maps(), "@k[(,5)]=1 @j[(,)]=1"),
        false => assert!(super::run::refused(keys).contains("keys of")),
    }
}

/// Scratch memory that others hold is left alone, and a run without any is counted.
#[test]
fn scratch_memory_has_one_owner() {
    for without in [None, Some(Feature::Atomics)] {
        let mut script = Script::new("BEGIN { $a = str(0, 600); @[1] = $a; @n++ }");
        script.without.extend(without);
        script.times = 3;
        script.held = 7;
        let outcome = script.run();
        assert_eq!((outcome.maps(), outcome.lost[1]), ("@[1]= @n=3".to_owned(), 0));
        script.held = 8;
        let outcome = script.run();
        assert_eq!((outcome.maps(), outcome.lost[1]), (String::new(), 3));
    }
}

/// A program for Linux 5.10 gives the same on this kernel.
#[test]
fn without_features_the_results_are_the_same() {
    let text = "BEGIN { @x++; $a = @x++; @y[\"k\"]++; $b = ++@y[\"k\"]; @z = ($a, $b); $s = str(0, 600); @s = $s; @c[comm] = count() }";
    let mut old = Script::new(text);
    old.without.extend(super::run::ALL);
    assert_eq!(old.run().maps(), run(text).maps());
    assert!(old.run().maps().starts_with("@x=2 @y[k]=2 @z=(1,2) @s= @c["));
}

/// Code behind all other code would be out of reach of its jumps, of which chains of jumps hold some thousand.
#[test]
fn thousands_of_updates_have_their_ways_out_within_reach() {
    let mut text = String::from("BEGIN { ");
    for number in 0..5000 {
        write!(text, "@m[{number}] = {number}; ").unwrap();
    }
    assert_eq!(Script::new(&format!("{text} }}")).programs().len(), 1);
}
