//! Texts that bpftrace has printed. Each test names the version, and has the script above its text.

use super::*;
use crate::bt::value::{
    Average, Enumerator, Frame, Hist, Lhist, Number, Stack, StackMode, Symbol, Value,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The text of some output.
fn text(write: impl FnOnce(&mut Output)) -> String {
    written(Options::default(), write)
}

/// The JSON of some output; all lines must be valid.
fn json(write: impl FnOnce(&mut Output)) -> String {
    let text = written(Options::default().format(OutputFormat::Json), write);
    for line in text.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    text
}

fn written(options: Options, write: impl FnOnce(&mut Output)) -> String {
    let mut output = Output::new(options);
    write(&mut output);
    assert_eq!(output.messages(), b"");
    String::from_utf8(output.out().to_vec()).unwrap()
}

fn hist(bits: u32, values: &[i64]) -> Value {
    let mut buckets = vec![0; Hist::len(bits)];
    for value in values {
        buckets[Hist::bucket(*value, bits)] += 1;
    }
    Value::Hist(Hist::new(bits, buckets).unwrap())
}

fn lhist((min, max, step): (i64, i64, i64), values: &[i64]) -> Value {
    let mut buckets = vec![0; Lhist::len(min, max, step).unwrap() as usize];
    for value in values {
        buckets[Lhist::bucket(*value, min, max, step).unwrap() as usize] += 1;
    }
    Value::Lhist(Lhist::new(min, max, step, buckets).unwrap())
}

fn keyed<K: Into<Value>, V: Into<Value>>(
    name: &str,
    entries: impl IntoIterator<Item = (K, V)>,
) -> Map {
    Map::keyed(name, entries.into_iter().map(|(key, value)| (key.into(), value.into())))
}

fn tuple(values: impl IntoIterator<Item = Value>) -> Value {
    Value::Tuple(values.into_iter().collect())
}

fn average(values: &[i64]) -> Average {
    Average { count: values.len() as u64, total: Number::Signed(values.iter().sum()) }
}

/// The lines of a histogram that have counts.
fn counted(text: &str) -> String {
    text.lines()
        .filter(|line| !line.contains("       0 |"))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn maps_at_the_end() {
    // bpftrace 0.27.1:
    // BEGIN { @h = hist(5); @h = hist(-1); @h = hist(1500); @l = lhist(5,0,100,10); @l = lhist(-3,0,100,10);
    //   @l = lhist(300,0,100,10); @s[1,"x"] = stats(5); @s[2,"y"] = stats(-15); @st = stats(1); @a = avg(3);
    //   @c[1] = count(); @t = (1,"two",(3,4)); @su = sum(-4); @mi = min(-3); @ms[1] = max(3); exit(); }
    let expected = "\n\n\
@a: 3
@c[1]: 1
@h:
(..., 0)               1 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|
[0]                    0 |                                                    |
[1]                    0 |                                                    |
[2, 4)                 0 |                                                    |
[4, 8)                 1 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|
[8, 16)                0 |                                                    |
[16, 32)               0 |                                                    |
[32, 64)               0 |                                                    |
[64, 128)              0 |                                                    |
[128, 256)             0 |                                                    |
[256, 512)             0 |                                                    |
[512, 1K)              0 |                                                    |
[1K, 2K)               1 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|

@l:
(..., 0)               1 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|
[0, 10)                1 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|
[10, 20)               0 |                                                    |
[20, 30)               0 |                                                    |
[30, 40)               0 |                                                    |
[40, 50)               0 |                                                    |
[50, 60)               0 |                                                    |
[60, 70)               0 |                                                    |
[70, 80)               0 |                                                    |
[80, 90)               0 |                                                    |
[90, 100)              0 |                                                    |
[100, ...)             1 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|

@mi: -3
@ms[1]: 3
@s[2, y]: { .count = 1, .average = -15, .total = -15 }
@s[1, x]: { .count = 1, .average = 5, .total = 5 }
@st: { .count = 1, .average = 1, .total = 1 }
@su: -4
@t: (1, two, (3, 4))
";
    let expected_json = r#"{"type": "stats", "data": {"@a": 3}}
{"type": "map", "data": {"@c": {"1": 1}}}
{"type": "hist", "data": {"@h": [{"max": -1, "count": 1},{"min": 0, "max": 0, "count": 0},{"min": 1, "max": 1, "count": 0},{"min": 2, "max": 3, "count": 0},{"min": 4, "max": 7, "count": 1},{"min": 8, "max": 15, "count": 0},{"min": 16, "max": 31, "count": 0},{"min": 32, "max": 63, "count": 0},{"min": 64, "max": 127, "count": 0},{"min": 128, "max": 255, "count": 0},{"min": 256, "max": 511, "count": 0},{"min": 512, "max": 1023, "count": 0},{"min": 1024, "max": 2047, "count": 1}]}}
{"type": "hist", "data": {"@l": [{"max": -1, "count": 1},{"min": 0, "max": 9, "count": 1},{"min": 10, "max": 19, "count": 0},{"min": 20, "max": 29, "count": 0},{"min": 30, "max": 39, "count": 0},{"min": 40, "max": 49, "count": 0},{"min": 50, "max": 59, "count": 0},{"min": 60, "max": 69, "count": 0},{"min": 70, "max": 79, "count": 0},{"min": 80, "max": 89, "count": 0},{"min": 90, "max": 99, "count": 0},{"min": 100, "count": 1}]}}
{"type": "map", "data": {"@mi": -3}}
{"type": "map", "data": {"@ms": {"1": 3}}}
{"type": "stats", "data": {"@s": {"2,y": {"count": 1, "average": -15, "total": -15}, "1,x": {"count": 1, "average": 5, "total": 5}}}}
{"type": "stats", "data": {"@st": {"count": 1, "average": 1, "total": 1}}}
{"type": "map", "data": {"@su": -4}}
{"type": "map", "data": {"@t": [1,"two",[3,4]]}}
"#;
    let write = |output: &mut Output| {
        output.end_of_events();
        let key = |number: i64, name: &str| tuple([number.into(), name.into()]);
        let stats = |value: i64| Value::Stats(average(&[value]));
        let numbers = tuple([1.into(), "two".into(), tuple([3.into(), 4.into()])]);
        for map in [
            Map::scalar("@a", Value::Avg(average(&[3]))),
            keyed("@c", [(1, Value::Count(1))]),
            Map::scalar("@h", hist(0, &[5, -1, 1500])),
            Map::scalar("@l", lhist((0, 100, 10), &[5, -3, 300])),
            Map::scalar("@mi", Value::Min(Number::Signed(-3))),
            keyed("@ms", [(1, Value::Max(Number::Signed(3)))]),
            Map::keyed("@s", [(key(1, "x"), stats(5)), (key(2, "y"), stats(-15))]),
            Map::scalar("@st", stats(1)),
            Map::scalar("@su", Value::Sum(Number::Signed(-4))),
            Map::scalar("@t", numbers),
        ] {
            output.map(&map);
        }
    };
    assert_eq!(text(write), expected);
    assert_eq!(json(write), expected_json);
}

#[test]
fn printing_the_top_and_dividing() {
    // bpftrace 0.27.1: BEGIN { @x[3] = 1; @x[1] = 5; @x[2] = 2; print(@x); print(@x, 2); print(@x, 2, 2);
    //   print(@x, 0, 2); print(@x, 9); @y[1] = -5; @y[2] = 5; print(@y, 0, 2); ... }
    let x = || keyed("@x", [(3, 1), (1, 5), (2, 2)]);
    assert_eq!(text(|o| o.map(&x())), "@x[3]: 1\n@x[2]: 2\n@x[1]: 5\n");
    assert_eq!(text(|o| o.map(&x().top(2))), "@x[2]: 2\n@x[1]: 5\n");
    assert_eq!(text(|o| o.map(&x().top(2).divided_by(2))), "@x[2]: 1\n@x[1]: 2\n");
    assert_eq!(text(|o| o.map(&x().top(0).divided_by(2))), "@x[3]: 0\n@x[2]: 1\n@x[1]: 2\n");
    assert_eq!(text(|o| o.map(&x().top(9))), "@x[3]: 1\n@x[2]: 2\n@x[1]: 5\n");
    let y = keyed("@y", [(1, -5), (2, 5)]);
    assert_eq!(text(|o| o.map(&y.divided_by(2))), "@y[1]: -2\n@y[2]: 2\n");
    let u = || keyed("@u", [(1, u64::MAX), (2, 1)]);
    let halves = "@u[2]: 0\n@u[1]: 9223372036854775807\n";
    assert_eq!(text(|o| o.map(&u().divided_by(2))), halves);
    let halves =
        "{\"type\": \"map\", \"data\": {\"@u\": {\"2\": 0, \"1\": \"9223372036854775807\"}}}\n";
    assert_eq!(json(|o| o.map(&u().divided_by(2))), halves);
    // BEGIN { @s[1] = stats(5); @s[2] = stats(-15); @s[2] = stats(20); @s[3] = stats(1); (three times)
    //   @a[1] = avg(5); @a[2] = avg(1); @a[2] = avg(1); @a[2] = avg(4); @a[3] = avg(-7); @a[3] = avg(0); ... }
    let s = || {
        let stats = [(1, &[5][..]), (2, &[-15, 20]), (3, &[1, 1, 1])];
        keyed("@s", stats.map(|(key, values)| (key, Value::Stats(average(values)))))
    };
    assert_eq!(
        text(|o| {
            o.map(&s().top(2));
            o.map(&s().divided_by(2));
        }),
        "@s[2]: { .count = 2, .average = 2, .total = 5 }
@s[1]: { .count = 1, .average = 5, .total = 5 }
@s[3]: { .count = 3, .average = 0, .total = 3 }
@s[2]: { .count = 2, .average = 1, .total = 5 }
@s[1]: { .count = 1, .average = 2, .total = 5 }
"
    );
    let a = || {
        let averages = [(1, &[5][..]), (2, &[1, 1, 4]), (3, &[-7, 0])];
        keyed("@a", averages.map(|(key, values)| (key, Value::Avg(average(values)))))
    };
    assert_eq!(text(|o| o.map(&a())), "@a[3]: -3\n@a[2]: 2\n@a[1]: 5\n");
    assert_eq!(text(|o| o.map(&a().divided_by(2))), "@a[3]: -1\n@a[2]: 1\n@a[1]: 2\n");
    let stats = "{\"type\": \"stats\", \"data\": {\"@a\": {\"2\": 2, \"1\": 5}}}\n";
    assert_eq!(json(|o| o.map(&a().top(2))), stats);
    // An empty map prints nothing.
    assert_eq!(text(|o| o.map(&Map::keyed("@e", []))), "");
    assert_eq!(json(|o| o.map(&Map::keyed("@e", []))), "");
}

#[test]
fn order_of_keys() {
    // bpftrace 0.27.1: BEGIN { @s[300,"x"] = "a"; @s[5,"y"] = "b"; @s[-1,"z"] = "c"; @s[5,"x"] = "d";
    //   @t[1] = (2,"q"); @t[2] = (1,"q"); @t[256] = (1,"q"); @st["b"] = "x"; ...; @b[1] = true; ... }
    let key = |number: i64, name: &str| tuple([number.into(), name.into()]);
    let s = [(key(300, "x"), "a"), (key(5, "y"), "b"), (key(-1, "z"), "c"), (key(5, "x"), "d")];
    let expected = "@s[-1, z]: c\n@s[5, x]: d\n@s[5, y]: b\n@s[300, x]: a\n";
    assert_eq!(text(|o| o.map(&keyed("@s", s))), expected);
    let t = [(1, key(2, "q")), (256, key(1, "q")), (2, key(1, "q"))];
    let expected = "@t[1]: (2, q)\n@t[2]: (1, q)\n@t[256]: (1, q)\n";
    assert_eq!(text(|o| o.map(&keyed("@t", t))), expected);
    let st = [("b", "x"), ("ba", "x"), ("a", "x"), ("B", "x")];
    let expected = "@st[B]: x\n@st[a]: x\n@st[b]: x\n@st[ba]: x\n";
    assert_eq!(text(|o| o.map(&keyed("@st", st))), expected);
    let b = [(1, true), (2, false), (0, true)];
    assert_eq!(text(|o| o.map(&keyed("@b", b))), "@b[0]: true\n@b[1]: true\n@b[2]: false\n");
    let p = [(1, Value::Pointer(9)), (2, Value::Pointer(5))];
    assert_eq!(text(|o| o.map(&keyed("@p", p))), "@p[1]: 0x9\n@p[2]: 0x5\n");
    // enum e { A=1, B=2, C=3 } BEGIN { @e[1] = B; @e[2] = A; @e[3] = C; exit(); }
    let e = |number, name: &str| {
        let number = Number::Unsigned(number);
        Value::Enum(Enumerator { number, name: Some(name.into()) })
    };
    let map = keyed("@e", [(1, e(2, "B")), (2, e(1, "A")), (3, e(3, "C"))]);
    assert_eq!(text(|o| o.map(&map)), "@e[2]: A\n@e[1]: B\n@e[3]: C\n");
}

#[test]
fn histograms_with_keys() {
    // bpftrace 0.27.1: BEGIN { @h[1] = hist(5); @h[1] = hist(6); @h[3] = hist(1); @h[2] = hist(2); @h[2] = hist(2);
    //   @h[2] = hist(30); @l["x"] = lhist(1,0,10,1); @l["a"] = lhist(1,0,10,1); print(@h); print(@h,2,2); print(@l); }
    let h = || keyed("@h", [(1, hist(0, &[5, 6])), (3, hist(0, &[1])), (2, hist(0, &[2, 2, 30]))]);
    let bar = "@".repeat(52);
    let half = format!("{}{}", "@".repeat(26), " ".repeat(26));
    let none = " ".repeat(52);
    let one = format!("@h[1]:\n[4, 8)                 2 |{bar}|\n\n");
    let two = format!(
        "@h[2]:
[2, 4)                 2 |{bar}|
[4, 8)                 0 |{none}|
[8, 16)                0 |{none}|
[16, 32)               1 |{half}|

"
    );
    let three = format!("@h[3]:\n[1]                    1 |{bar}|\n\n");
    assert_eq!(text(|o| o.map(&h())), format!("{three}{one}{two}"));
    let halves = format!(
        "@h[1]:
[4, 8)                 1 |{bar}|

@h[2]:
[2, 4)                 1 |{bar}|
[4, 8)                 0 |{none}|
[8, 16)                0 |{none}|
[16, 32)               0 |{none}|

"
    );
    assert_eq!(text(|o| o.map(&h().top(2).divided_by(2))), halves);
    let l = keyed("@l", ["x", "a"].map(|key| (key, lhist((0, 10, 1), &[1]))));
    let line = format!("[1]                    1 |{bar}|\n\n");
    assert_eq!(text(|o| o.map(&l)), format!("@l[a]:\n{line}@l[x]:\n{line}"));
    let expected = "{\"type\": \"hist\", \"data\": {\"@l\": {\"a\": [{\"min\": 1, \"max\": 1, \"count\": 1}], \
                    \"x\": [{\"min\": 1, \"max\": 1, \"count\": 1}]}}}\n";
    assert_eq!(json(|o| o.map(&l)), expected);
    // BEGIN { @kh[1] = hist(1); zero(@kh); print(@kh); ... }
    let zero = || keyed("@kh", [(1, hist(0, &[]))]);
    assert_eq!(text(|o| o.map(&zero())), "@kh[1]:\n\n");
    let expected = "{\"type\": \"hist\", \"data\": {\"@kh\": {\"1\": []}}}\n";
    assert_eq!(json(|o| o.map(&zero())), expected);
}

#[test]
fn bars_are_of_divided_counts() {
    // bpftrace 0.27.1: BEGIN { @h = hist(1); (three times) @h = hist(4); (five times) print(@h, 0, 2); ... }
    let map = Map::scalar("@h", hist(0, &[1, 1, 1, 4, 4, 4, 4, 4])).divided_by(2);
    assert_eq!(
        text(|o| o.map(&map)),
        "@h:
[1]                    1 |@@@@@@@@@@@@@@@@@@@@@@@@@@                          |
[2, 4)                 0 |                                                    |
[4, 8)                 2 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|

"
    );
}

#[test]
fn counts_of_steps_are_not_divided() {
    // bpftrace 0.17.0 and 0.27.1: BEGIN { @l = lhist(5,0,10,5); @l = lhist(5,0,10,5); print(@l, 0, 2); ... }
    // (0.17.0 has a space after the first line.)
    let map = || Map::scalar("@l", lhist((0, 10, 5), &[5, 5])).divided_by(2);
    let bar = "@".repeat(52);
    assert_eq!(text(|o| o.map(&map())), format!("@l:\n[5, 10)                2 |{bar}|\n\n"));
    let data = r#"{"@l": [{"min": 5, "max": 9, "count": 2}]}"#;
    assert_eq!(json(|o| o.map(&map())), format!("{{\"type\": \"hist\", \"data\": {data}}}\n"));
}

#[test]
fn bounds_of_powers_of_two() {
    // bpftrace 0.27.1; of each histogram, the lines that have counts.
    let lines = |bits, values: &[i64]| {
        let text = text(|o| o.map(&Map::scalar("@h", hist(bits, values))));
        let labels = counted(&text)
            .lines()
            .skip(1)
            .map(|line| line.split("  ").next().unwrap_or_default().to_owned())
            .filter(|label| !label.is_empty())
            .collect::<Vec<_>>();
        labels.join(" ")
    };
    // hist(1,2), hist(3,2), hist(4,2), hist(5,2), hist(9,2), hist(21,2), hist(1000,2), hist(-5,2)
    assert_eq!(
        lines(2, &[1, 3, 4, 5, 9, 21, 1000, -5]),
        "(..., 0) [1] [3] [4] [5] [8, 10) [20, 24) [896, 1024)"
    );
    // hist(1100,5), hist(1024,5), hist(1032,5), hist(1500000,5)
    assert_eq!(
        lines(5, &[1100, 1024, 1032, 1_500_000]),
        "[1024, 1056) [1088, 1120) [1440K, 1472K)"
    );
    // hist(1<<50, 1), hist((1<<50)+(1<<49), 1)
    assert_eq!(lines(1, &[1 << 50, (1 << 50) + (1 << 49)]), "[1024T, 1536T) [1536T, 2P)");
    // hist(0xffffffffffffffff), hist(0x7fffffffffffffff), hist(1<<62)
    assert_eq!(lines(0, &[-1, i64::MAX, 1 << 62]), "(..., 0) [4E, 8E)");
    // From the same output: bounds between those.
    let all: Vec<i64> = (0..63).map(|power| 1 << power).collect();
    let labels = lines(0, &all);
    for label in
        ["[1] [2, 4)", "[512, 1K) [1K, 2K)", "[512K, 1M)", "[512M, 1G)", "[512G, 1T)", "[512T, 1P)"]
    {
        assert!(labels.contains(label), "{label}: {labels}");
    }
}

#[test]
fn bounds_of_steps() {
    // bpftrace 0.27.1; of each histogram, the lines that have counts.
    let bar = "@".repeat(52);
    let check = |parameters, values: &[i64], expected: &[(&str, u64)]| {
        let text = text(|o| o.map(&Map::scalar("@l", lhist(parameters, values))));
        let most = expected.iter().map(|(_, count)| *count).max().unwrap();
        let mut lines = "@l:\n".to_owned();
        for (label, count) in expected {
            let bar = &bar[..52 * *count as usize / most as usize];
            lines += &format!("{label:<16}{count:>8} |{bar:<52}|\n");
        }
        assert_eq!(counted(&text), lines + "\n");
    };
    check((0, 5000, 1000), &[1000, 2500], &[("[1000, 2000)", 1), ("[2000, 3000)", 1)]);
    check((1024, 8192, 1024), &[2048, 1], &[("(..., 1K)", 1), ("[2K, 3K)", 1)]);
    check((0, 100, 30), &[99, 100], &[("[90, ...)", 2)]);
    check((0, 4_000_000, 1_000_000), &[3_000_000], &[("[3000000, 4000000)", 1)]);
    check(
        (512, 8192, 1024),
        &[1600, 1, 8000, 8192],
        &[("(..., 512)", 1), ("[1536, 2560)", 1), ("[7680, ...)", 2)],
    );
    check((0, 8192, 1024), &[1, 9000], &[("[0, 1K)", 1), ("[8K, ...)", 1)]);
    check((0, 1 << 24, 1 << 20), &[1, 1 << 20], &[("[0, 1M)", 1), ("[1M, 2M)", 1)]);
    check((0, 10_240, 1536), &[1536], &[("[1536, 3072)", 1)]);
    check((0, 10 << 20, 3 << 19), &[3 << 20], &[("[3M, 4608K)", 1)]);
    check((0, 4_096_000, 4096), &[2_048_000], &[("[2000K, 2004K)", 1)]);
    check((0, 10_240, 512), &[1024], &[("[1024, 1536)", 1)]);
}

#[test]
fn values_of_all_kinds() {
    // bpftrace 0.27.1, print() of each, as text and the data of its JSON.
    let number = Number::Unsigned(2);
    let symbol =
        |address, name: Option<&str>| Value::Symbol(Symbol { address, name: name.map(Into::into) });
    let record = |fields: &[(&str, Value)]| {
        Value::Record(fields.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
    };
    let cases = [
        (Value::from(5), "5", "5"),
        (Value::from(-5), "-5", "-5"),
        (Value::from(u64::MAX), "18446744073709551615", "\"18446744073709551615\""),
        (Value::from("hi\tx\n"), "hi\tx\n", r#""hi\tx\n""#),
        (Value::from(""), "", "\"\""),
        (Value::from(true), "true", "true"),
        (Value::Pointer(5), "0x5", "5"),
        (Value::Pointer(0), "0x0", "0"),
        (Value::Pointer(0xffff_8881_421e_2e00), "0xffff8881421e2e00", "\"18446612687474273792\""),
        (Value::Buffer(b"ab\0\x01z\"\\".to_vec()), r#"ab\x00\x01z"\"#, "[97,98,0,1,122,34,92]"),
        (Value::Buffer(b"\0\xffab".to_vec()), r"\x00\xffab", "[0,-1,97,98]"),
        (symbol(0, None), "0", "\"0\""),
        (symbol(1, None), "0x1", "\"0x1\""),
        (symbol(1, Some("vfs_read")), "vfs_read", "\"vfs_read\""),
        (Value::from(Ipv4Addr::LOCALHOST), "127.0.0.1", "\"127.0.0.1\""),
        (Value::from("7f00:1::".parse::<Ipv6Addr>().unwrap()), "7f00:1::", "\"7f00:1::\""),
        (Value::from("::100:0:0:0".parse::<Ipv6Addr>().unwrap()), "::100:0:0:0", "\"::100:0:0:0\""),
        (Value::Mac([0; 6]), "00:00:00:00:00:00", "\"00:00:00:00:00:00\""),
        (Value::Mac([0x0f, 0x1f, 0x44, 0, 0, 0x41]), "0F:1F:44:00:00:41", "\"0F:1F:44:00:00:41\""),
        (Value::Timestamp("01:15".into()), "01:15", "\"01:15\""),
        (Value::Enum(Enumerator { number, name: Some("b".into()) }), "b", "2"),
        (Value::Array([3, 0, 0, 0].map(Value::from).into()), "[3,0,0,0]", "[3,0,0,0]"),
        (
            tuple([1.into(), "two".into(), tuple([3.into(), 4.into()])]),
            "(1, two, (3, 4))",
            "[1,\"two\",[3,4]]",
        ),
        (
            record(&[("weight", 1_048_576u32.into()), ("inv_weight", 4_194_304u32.into())]),
            "{ .weight = 1048576, .inv_weight = 4194304 }",
            "{\"weight\": 1048576, \"inv_weight\": 4194304}",
        ),
        (
            record(&[("seq", record(&[("sequence", 4.into())])), ("umask", 18.into())]),
            "{ .seq = { .sequence = 4 }, .umask = 18 }",
            "{\"seq\": {\"sequence\": 4}, \"umask\": 18}",
        ),
        (Value::Avg(average(&[5])), "5", "5"),
        (
            Value::Stats(average(&[])),
            "{ .count = 0, .average = 0, .total = 0 }",
            "{\"count\": 0, \"average\": 0, \"total\": 0}",
        ),
    ];
    for (value, expected, expected_json) in cases {
        assert_eq!(value.to_string(), expected);
        assert_eq!(text(|o| o.value(&value)), format!("{expected}\n"));
        let line = format!("{{\"type\": \"value\", \"data\": {expected_json}}}\n");
        assert_eq!(json(|o| o.value(&value)), line);
    }
}

#[test]
fn addresses_as_inet_ntop_writes_them() {
    // inet_ntop(3) of glibc 2.36, which bpftrace calls.
    for (text, segments) in [
        ("::", [0; 8]),
        ("::1", [0, 0, 0, 0, 0, 0, 0, 1]),
        ("::304", [0, 0, 0, 0, 0, 0, 0, 0x304]),
        ("::1.2.3.4", [0, 0, 0, 0, 0, 0, 0x102, 0x304]),
        ("::0.1.0.0", [0, 0, 0, 0, 0, 0, 1, 0]),
        ("::ffff:1.2.3.4", [0, 0, 0, 0, 0, 0xffff, 0x102, 0x304]),
        ("2001:db8::1", [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]),
        ("2001:db8:1:0:1::1", [0x2001, 0xdb8, 1, 0, 1, 0, 0, 1]),
        ("1:2:3:4:5:6:0:8", [1, 2, 3, 4, 5, 6, 0, 8]),
    ] {
        assert_eq!(Value::from(Ipv6Addr::from(segments)).to_string(), text);
    }
}

#[test]
fn numbers_that_doubles_do_not_hold_are_strings() {
    // bpftrace 0.27.1, bounds of hist(0x7fffffffffffffff).
    let number = |value: u64| {
        let line = json(|o| o.value(&value.into()));
        line.trim_start_matches("{\"type\": \"value\", \"data\": ")
            .trim_end_matches("}\n")
            .to_owned()
    };
    assert_eq!(number((1 << 53) - 1), "9007199254740991");
    assert_eq!(number(1 << 53), "9007199254740992");
    assert_eq!(number((1 << 54) - 1), "\"18014398509481983\"");
    assert_eq!(number(1 << 54), "18014398509481984");
    assert_eq!(number((1 << 63) - 1), "\"9223372036854775807\"");
    assert_eq!(number(1 << 62), "4611686018427387904");
}

fn frame(address: u64, place: Option<(&str, u64)>, module: Option<&str>) -> Frame {
    Frame {
        address,
        symbol: place.map(|(name, _)| name.into()),
        offset: place.map_or(0, |(_, offset)| offset),
        module: module.map(Into::into),
    }
}

#[test]
fn stacks_as_values_and_keys() {
    // bpftrace 0.27.1:
    // tracepoint:syscalls:sys_enter_getppid { print(kstack(3)); print(ustack(3)); @k[kstack(3),1] = 1; @u = ustack(2);
    //   @kk[kstack(2)] = count(); @both[kstack(2),comm] = count(); printf("%s|%s|\n", kstack(2), ustack(2));
    //   print((1,kstack(2),2)); print(kstack(raw,2)); print(kstack(perf,2)); print(ustack(perf,2)); ... }
    let kernel = |mode| {
        let frames = [
            (0xffff_ffff_814c_278b, ("perf_syscall_enter", 475)),
            (0xffff_ffff_8142_3cd0, ("syscall_trace_enter", 384)),
        ];
        let frames = frames.map(|(address, place)| frame(address, Some(place), None)).into();
        Value::Stack(Stack { user: false, mode, frames })
    };
    let user = |mode| {
        let libc = Some("/usr/lib/x86_64-linux-gnu/libc.so.6");
        let frames = vec![
            frame(0x7f6f_abd1_ae89, Some(("syscall", 25)), libc),
            frame(0x559f_b6e6_7e48, None, None),
        ];
        Value::Stack(Stack { user: true, mode, frames })
    };
    let (bpftrace, perf, raw) = (StackMode::Bpftrace, StackMode::Perf, StackMode::Raw);
    let frames = "
        perf_syscall_enter+475
        syscall_trace_enter+384
";
    let user_frames = "
        syscall+25
        0x559fb6e67e48
";
    assert_eq!(text(|o| o.value(&kernel(bpftrace))), format!("{frames}\n"));
    assert_eq!(text(|o| o.value(&user(bpftrace))), format!("{user_frames}\n"));
    let nested = tuple([1.into(), kernel(bpftrace), 2.into()]);
    assert_eq!(text(|o| o.value(&nested)), format!("(1, {frames}, 2)\n"));
    assert_eq!(text(|o| o.value(&kernel(raw))), "\nffffffff814c278b\nffffffff81423cd0\n\n");
    assert_eq!(
        text(|o| o.value(&kernel(perf))),
        "\n\tffffffff814c278b perf_syscall_enter+475\n\tffffffff81423cd0 syscall_trace_enter+384\n\n"
    );
    assert_eq!(
        text(|o| o.value(&user(perf))),
        "\n\t7f6fabd1ae89 syscall+25 (/usr/lib/x86_64-linux-gnu/libc.so.6)\n\
         \t559fb6e67e48 0x559fb6e67e48 ([unknown])\n\n"
    );
    let kk = keyed("@kk", [(kernel(bpftrace), Value::Count(2))]);
    assert_eq!(text(|o| o.map(&kk)), format!("@kk[{frames}]: 2\n"));
    let both = keyed("@both", [(tuple([kernel(bpftrace), "sh".into()]), Value::Count(1))]);
    assert_eq!(text(|o| o.map(&both)), format!("@both[{frames}, sh]: 1\n"));
    let u = Map::scalar("@u", user(bpftrace));
    assert_eq!(text(|o| o.map(&u)), format!("@u: {user_frames}\n"));
    let e = Value::Stack(Stack { user: false, mode: bpftrace, frames: vec![] });
    let e = keyed("@e", [(tuple([1.into(), e]), 2)]);
    assert_eq!(text(|o| o.map(&e)), "@e[1, \n]: 2\n");
    let data = r#"{"type": "map", "data": {"@both": {"\nperf_syscall_enter+475\nsyscall_trace_enter+384\n,sh": 1}}}"#;
    assert_eq!(json(|o| o.map(&both)), format!("{data}\n"));
    let data =
        r#"{"type": "map", "data": {"@u": "\n        syscall+25\n        0x559fb6e67e48\n"}}"#;
    assert_eq!(json(|o| o.map(&u)), format!("{data}\n"));
    let format = Format::parse(b"%s|").unwrap();
    assert_eq!(
        text(|o| o.printf(&format, [Arg::from(&user(bpftrace))])),
        format!("{user_frames}|")
    );
}

#[test]
fn keys_in_json() {
    // bpftrace 0.27.1.
    let line = |map: &Map| json(|o| o.map(map));
    let pair = || tuple([1.into(), 2.into()]);
    let data = |text: &str| format!("{{\"type\": \"map\", \"data\": {text}}}\n");
    assert_eq!(line(&keyed("@two", [(pair(), 1)])), data(r#"{"@two": {"1,2": 1}}"#));
    let nested = tuple([pair(), 3.into()]);
    assert_eq!(
        line(&keyed("@three", [(nested.clone(), 1)])),
        data(r#"{"@three": {"(1,2),3": 1}}"#)
    );
    assert_eq!(text(|o| o.map(&keyed("@three", [(nested, 1)]))), "@three[(1, 2), 3]: 1\n");
    assert_eq!(line(&keyed("@bb", [(true, false)])), data(r#"{"@bb": {"true": false}}"#));
    let null = (Value::Pointer(0x37), Value::Pointer(0));
    assert_eq!(line(&keyed("@pp", [null])), data(r#"{"@pp": {"0x37": 0}}"#));
    let strings = (tuple(["a\nb".into(), "c\"d".into()]), "x\ty");
    assert_eq!(line(&keyed("@s", [strings])), data(r#"{"@s": {"a\nb,c\"d": "x\ty"}}"#));
    let buffer = Value::Buffer(b"\0\xffab".to_vec());
    assert_eq!(line(&keyed("@bfk", [(buffer, 1)])), data(r#"{"@bfk": {"\\x00\\xffab": 1}}"#));
    assert_eq!(line(&keyed("@emptys", [("", "")])), data(r#"{"@emptys": {"": ""}}"#));
    assert_eq!(text(|o| o.map(&keyed("@emptys", [("", "")]))), "@emptys[]: \n");
    let e = |number, name: &str| {
        Value::Enum(Enumerator { number: Number::Unsigned(number), name: Some(name.into()) })
    };
    let m = keyed("@m", [(e(1, "a"), e(2, "b"))]);
    assert_eq!(line(&m), data(r#"{"@m": {"a": 2}}"#));
    assert_eq!(text(|o| o.map(&m)), "@m[a]: b\n");
    let address = keyed("@k", [(IpAddr::from([1, 0, 0, 0]), 1)]);
    assert_eq!(line(&address), data(r#"{"@k": {"1.0.0.0": 1}}"#));
}

#[test]
fn other_events() {
    // bpftrace 0.27.1.
    let events = |output: &mut Output| {
        output.time(b"01:30\n");
        output.join([&b"a"[..], b"b", b"c"], b" ");
        output.join([&b"a"[..], b"b", b"c"], b":");
        output.cat(b"Linux\n");
        output.system(b"hi\n");
        output.printf(&Format::parse(b"hi %d\n").unwrap(), [Arg::Int(3)]);
    };
    assert_eq!(text(events), "01:30\na b c\na:b:c\nLinux\nhi\nhi 3\n");
    assert_eq!(
        json(events),
        r#"{"type": "time", "data": "01:30\n"}
{"type": "join", "data": "a b c"}
{"type": "join", "data": "a:b:c"}
{"type": "cat", "data": "Linux\n"}
{"type": "syscall", "data": "hi\n"}
{"type": "printf", "data": "hi 3\n"}
"#
    );
    let probes = r#"{"type": "attached_probes", "count": 1, "data": {"probes": 1}}"#;
    assert_eq!(json(|o| o.attached_probes(1)), format!("{probes}\n"));
    let mut output = Output::new(Options::default());
    output.attached_probes(1);
    output.attached_probes(2);
    output.lost_events(0);
    assert_eq!(output.messages(), b"Attached 1 probe\nAttached 2 probes\n");
    assert_eq!(output.out(), b"");
}

#[test]
fn strings_from_outside_cannot_drive_a_terminal() {
    let options = Options::default().controls(ControlCharacters::Escape);
    let evil = Value::from("\x1b[2J");
    let events = |output: &mut Output| {
        output
            .printf(&Format::parse(b"\x1b[1m%-10s|%c|\n").unwrap(), [(&evil).into(), Arg::Int(7)]);
        output.value(&tuple([evil.clone(), 1.into()]));
        output.map(&keyed("@", [(evil.clone(), evil.clone())]));
        output.join([&b"\x1b[2J"[..]], b" ");
        output.cat(b"\x1b[2J\n");
    };
    // The script's own format is not touched, and columns are kept.
    assert_eq!(
        written(options, events),
        "\x1b[1m\\x1b[2J   |\\x07|\n(\\x1b[2J, 1)\n@[\\x1b[2J]: \\x1b[2J\n\\x1b[2J\n\\x1b[2J\n"
    );
    assert_eq!(text(events).matches('\x1b').count(), 7);
    assert!(!json(events).contains('\x1b'));
}

#[test]
fn problems_are_written_once() {
    let place =
        Place { file: "stdin", line: 1, column: 36, end: 40, source: "BEGIN {\tprint(1/$x); }" };
    let place = Place { column: 15, end: 19, ..place };
    let other = Place { column: 1, end: 2, ..place };
    let full = Problem::MapFull { map: "@m", max_entries: 1 };
    let helper = Problem::Helper { name: "probe_read_user", result: -14 };
    let events = |output: &mut Output| {
        for _ in 0..3 {
            output.problem(&place, &Problem::DivisionByZero);
            output.problem(&place, &full);
            output.problem(&other, &full);
        }
        output.problem(&other, &helper);
        output.message(&place, Severity::Error, &Format::parse(b"oops %d").unwrap(), [Arg::Int(5)]);
        output.repeated_problems();
        output.repeated_problems();
    };
    let mut output = Output::new(Options::default());
    events(&mut output);
    assert_eq!(output.out(), b"");
    let messages = String::from_utf8(output.messages().to_vec()).unwrap();
    let lines: Vec<_> = messages.lines().collect();
    assert!(lines[0].starts_with("stdin:1:15-19: WARNING: Divide or modulo by 0"), "{messages}");
    assert_eq!(lines[1..3], ["BEGIN {\tprint(1/$x); }", "       \t      ~~~~"]);
    assert!(lines[3].contains("@m has room for 1 keys"), "{messages}");
    assert!(lines[3].contains("max_map_keys"), "{messages}");
    assert_eq!(lines[6], "stdin:1:1-2: WARNING: Bad address (helper probe_read_user, result -14)");
    assert_eq!(lines[9], "stdin:1:15-19: ERROR: oops 5");
    assert_eq!(
        lines[10..],
        [
            "WARNING: stdin:1:15: division by 0: 2 more of these",
            "WARNING: map @m full: 5 more of these"
        ]
    );
    let json = json(events);
    let lines: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 6);
    assert_eq!(lines[0]["type"], "runtime_error");
    assert_eq!(lines[0]["col"], 15);
    assert_eq!(lines[1]["type"], "helper_error");
    assert_eq!(
        (&lines[1]["helper"], &lines[1]["retcode"]),
        (&"map_update_elem".into(), &(-7).into())
    );
    assert_eq!((&lines[2]["msg"], &lines[2]["retcode"]), (&"Bad address".into(), &(-14).into()));
    assert_eq!((&lines[3]["type"], &lines[3]["msg"]), (&"errorf".into(), &"oops 5".into()));
    assert_eq!(lines[5]["data"]["count"], 5);
}

#[test]
fn what_cannot_be_written_is_kept() {
    /// Takes three bytes, then fails.
    struct Full(Vec<u8>);
    impl io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = 3 - self.0.len();
            let taken = &bytes[..room.min(bytes.len())];
            self.0.extend_from_slice(taken);
            if room == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken.len()) }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut output = Output::new(Options::default());
    output.value(&"hello".into());
    output.attached_probes(1);
    let error = output.drain(Full(vec![]), io::sink()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(output.out(), b"lo\n");
    let (mut out, mut messages) = (vec![], vec![]);
    output.drain(&mut out, &mut messages).unwrap();
    assert_eq!((&out[..], &messages[..]), (&b"lo\n"[..], &b"Attached 1 probe\n"[..]));
    assert_eq!((output.out(), output.messages()), (&b""[..], &b""[..]));
}
