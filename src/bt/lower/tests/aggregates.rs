//! The aggregating functions.

use super::maps;
use super::run::Script;
use crate::bt::value::{Hist, Lhist};
use crate::insn::Insn;

#[test]
fn numbers_are_aggregated() {
    maps(
        &[
            ("@ = count(); @ = count()", "@=2"),
            ("@ = sum(-5); @ = sum(3)", "@=-2"),
            ("@ = avg(-3); @ = avg(4); @ = avg(6)", "@=7/3"),
            ("@ = min(5); @ = min(-7); @ = min(0)", "@=-7"),
            ("@ = max(-3); @ = max(-8)", "@=-3"),
            ("@ = stats(2); @ = stats(-10)", "@=-8/2"),
            ("@[1] = count(); @[2] = count(); @[1] = count()", "@[1]=2 @[2]=1"),
            ("@[\"k\"] = sum(5); @[\"k\"] = sum(3)", "@[k]=8"),
            ("@[1] = avg(3); @[1] = avg(4)", "@[1]=7/2"),
            ("@[1] = min(5); @[1] = min(7); @[2] = max(5); @[2] = max(7)", ""),
        ][..9],
    );
}

#[test]
fn the_least_and_the_largest_are_kept_by_key() {
    maps(&[
        ("@[1] = min(5); @[1] = min(7); @[2] = min(-1)", "@[1]=5 @[2]=-1"),
        ("@[1] = max(5); @[1] = max(7); @[2] = max(-1)", "@[1]=7 @[2]=-1"),
        (
            "$a = (uint64)18446744073709551615; $b = (uint64)1; @a = max($a); @a = max($b); @b = min($a); @b = min($b)",
            "@a=-1 @b=1",
        ),
    ]);
}

#[test]
fn an_aggregation_is_a_number_in_the_script() {
    maps(&[
        ("@c = count(); @c = count(); @x = (int64)@c + 1", "@c=2 @x=3"),
        (
            "@c[1] = count(); if (@c[1] > 0) { @yes = 1 } if (@c[2] > 0) { @no = 1 }",
            "@c[1]=1 @yes=1",
        ),
        (
            "@a = avg(-4); @a = avg(-7); @x = (int64)@a; @b[1] = avg(9); @y = (int64)@b[1] + (int64)@b[2]",
            "@a=-11/2 @x=-5 @b[1]=9/1 @y=9",
        ),
        (
            "@m[1] = min(-4); @m[1] = min(3); @x = (int64)@m[1]; @n = max(8); @y = (int64)@n",
            "@m[1]=-4 @x=-4 @n=8 @y=8",
        ),
    ]);
}

/// Values at the edges of buckets.
fn edges() -> Vec<i64> {
    let powers = (0..63).flat_map(|power| {
        let one = 1_i64 << power;
        [one - 1, one, one + one / 2]
    });
    powers.chain([-1, i64::MIN, i64::MAX]).collect()
}

#[test]
fn values_fall_into_the_buckets_of_hist() {
    for bits in [0, 1, 3, 5] {
        let text = format!("rawtracepoint:sched_switch {{ @ = hist((int64)arg0, {bits}) }}");
        for value in edges().into_iter().step_by(5) {
            let mut script = Script::new(&text);
            script.arguments[0] = value.cast_unsigned();
            let bucket = Hist::bucket(value, bits);
            assert_eq!(script.run().maps(), format!("@={bucket}:1;"), "{bits} {value}");
        }
    }
}

#[test]
fn values_fall_into_the_buckets_of_lhist() {
    for (min, max, step) in [(0, 100, 10), (-50, 50, 7), (1000, 1003, 1)] {
        let text = format!(
            "rawtracepoint:sched_switch {{ @ = lhist((int64)arg0, {min}, {max}, {step}) }}"
        );
        for value in
            [i64::MIN, -51, -50, -1, 0, 6, 9, 10, 49, 50, 99, 100, 999, 1001, 1003, i64::MAX]
        {
            let mut script = Script::new(&text);
            script.arguments[0] = value.cast_unsigned();
            let bucket = Lhist::bucket(value, min, max, step).unwrap();
            assert_eq!(script.run().maps(), format!("@={bucket}:1;"), "{min} {max} {step} {value}");
        }
    }
}

#[test]
fn a_full_map_counts_what_it_loses() {
    let text = "config = { max_map_keys = 2 } BEGIN { @[1] = count(); @[2] = count(); @[3] = count(); \
                @b[1] = 1; @b[2] = 2; @b[3] = 3; @b[4] = 4 }";
    let outcome = Script::new(text).run();
    assert_eq!(outcome.maps(), "@[1]=1 @[2]=1 @b[1]=1 @b[2]=2");
    assert_eq!(outcome.lost, [0, 0, 1, 0, 0, 2, 0, 0]);
}

/// Before Linux 6.4 the result of an update is an `int`, of which only the low half of the register is set.
#[test]
fn results_of_updates_are_those_of_their_low_half() {
    const MOV32: u8 = 0xb4;
    const MOV64: u8 = 0xb7;
    let text = "BEGIN { @a[1] = count(); @b[1] = 1 }";
    let full = [1, 0, 0];
    let failed = |result: i64| [0, 1, result.cast_unsigned()];
    for (result, of_count, of_store) in [
        (-libc::E2BIG, full, full),
        (-libc::ENOMEM, failed(-12), failed(-12)),
        // The element was there, or was stored, and was gone when it was looked up: no update failed.
        (0, [0; 3], [0; 3]),
        (-libc::EEXIST, [0; 3], [0; 3]),
        // The largest and the smallest error numbers that have a counter of their own.
        (-127, failed(-127), failed(-127)),
        (-1, failed(-1), failed(-1)),
    ] {
        for mov in [MOV32, MOV64] {
            let mut script = Script::new(text);
            script.update = Some(Insn::from_fields(mov, 0, 0, 0, result));
            let outcome = script.run();
            assert_eq!(outcome.maps(), "");
            assert_eq!(outcome.lost[2..], [of_count, of_store].concat(), "{result} {mov:#x}");
        }
    }
}

#[test]
fn runs_add_up() {
    let mut script =
        Script::new("BEGIN { @c = count(); @k[1] = count(); @s = sum(2); @n++; @m[5] += 3 }");
    script.times = 7;
    assert_eq!(script.run().maps(), "@c=7 @k[1]=7 @s=14 @n=7 @m[5]=21");
}

/// Programs that can interrupt each other add atomically; the results are the same.
#[test]
fn programs_that_interrupt_each_other_share_a_map() {
    let text = "rawtracepoint:sched_switch { @c = count(); @s[1] = sum(2); @m = min((int64)arg0); @x = max((int64)arg0); \
                @h = hist(4); @a = avg(6) } \
                rawtracepoint:sched_wakeup { @c = count(); @s[1] = sum(3); @m = min((int64)arg1); @x = max((int64)arg1); \
                @h = hist(5); @a = avg(8) }";
    let mut script = Script::new(text);
    (script.arguments[0], script.arguments[1]) = (7, (-3_i64).cast_unsigned());
    script.times = 2;
    assert_eq!(script.run().maps(), "@c=4 @s[1]=10 @m=-3 @x=7 @h=4:4; @a=28/4");
}
