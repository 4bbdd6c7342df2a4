//! Texts that bpftrace has printed. Each test names the version, and has the script above its text.

mod hist;
mod values;

use super::*;
use crate::bt::value::{
    Average, Enumerator, Frame, Hist, Lhist, Number, Stack, StackMode, Symbol, Value,
};

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
    output.lost_events(&[]);
    assert_eq!(output.messages(), b"Attached 1 probe\nAttached 2 probes\n");
    assert_eq!(output.out(), b"");
}

/// bpftrace says `Lost 42 events`; the part in parentheses, and `cpus`, are ours.
#[test]
fn lost_events_are_told_by_cpu() {
    for (by_cpu, expected) in [
        (&[][..], ""),
        (&[(3, 1)], "Lost 1 event\n"),
        (&[(3, 42)], "Lost 42 events\n"),
        (&[(0, 40), (3, 2)], "Lost 42 events (CPU 0: 40, CPU 3: 2)\n"),
    ] {
        let mut output = Output::new(Options::default());
        output.lost_events(by_cpu);
        assert_eq!(std::str::from_utf8(output.messages()), Ok(expected));
    }
    let lost = json(|output| output.lost_events(&[(0, 40), (3, 2)]));
    assert_eq!(
        lost,
        "{\"type\": \"lost_events\", \"data\": {\"events\": 42, \"cpus\": {\"0\": 40, \"3\": 2}}}\n"
    );
    assert_eq!(json(|output| output.lost_events(&[])), "");
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
    let place = SourceSpan {
        file: "stdin",
        line: 1,
        column: 36,
        end: 40,
        source: "BEGIN {\tprint(1/$x); }",
    };
    let place = SourceSpan { column: 15, end: 19, ..place };
    let other = SourceSpan { column: 1, end: 2, ..place };
    let full = Problem::MapFull { map: "@m", max_entries: 1 };
    let busy = Problem::NotStored { map: "@m", result: -16 };
    let helper = Problem::Helper { name: "probe_read_user", result: -14 };
    let events = |output: &mut Output| {
        for _ in 0..3 {
            output.problem(&place, &Problem::DivisionByZero);
            output.problem(&place, &full);
            output.problem(&other, &full);
        }
        output.problem(&other, &helper);
        output.problem_times(&other, &busy, 7);
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
    let not_stored = "stdin:1:1-2: WARNING: Can't update element of @m: Device or resource busy (helper map_update_elem, result -16)";
    assert_eq!(lines[9], not_stored);
    assert_eq!(lines[12], "stdin:1:15-19: ERROR: oops 5");
    assert_eq!(
        lines[13..],
        [
            "WARNING: stdin:1:15: division by 0: 2 more of these",
            "WARNING: map @m full: 5 more of these",
            "WARNING: map @m not updated: Device or resource busy: 6 more of these"
        ]
    );
    let json = json(events);
    let lines: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 8);
    assert_eq!(lines[0]["type"], "runtime_error");
    assert_eq!(lines[0]["col"], 15);
    assert_eq!(lines[1]["type"], "helper_error");
    assert_eq!(
        (&lines[1]["helper"], &lines[1]["retcode"]),
        (&"map_update_elem".into(), &(-7).into())
    );
    assert_eq!((&lines[2]["msg"], &lines[2]["retcode"]), (&"Bad address".into(), &(-14).into()));
    assert_eq!((&lines[3]["map"], &lines[3]["retcode"]), (&"@m".into(), &(-16).into()));
    assert_eq!((&lines[4]["type"], &lines[4]["msg"]), (&"errorf".into(), &"oops 5".into()));
    assert_eq!(lines[6]["data"]["count"], 5);
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

/// Symbol names come from the author of an executable; readers of a script's output do not depend on their bytes.
#[test]
fn names_of_symbols_are_safe_wherever_they_go() {
    // U+EFFF stands for the byte 0xff.
    let name = "m\u{1b}[31m\nX\u{efff}";
    let symbol = Value::Symbol(Symbol { address: 1, name: Some(name.into()) });
    let frame =
        Frame { address: 1, symbol: Some(name.into()), offset: 2, module: Some(name.into()) };
    let stack = |mode| Value::Stack(Stack { user: true, mode, frames: vec![frame.clone()] });
    let shown = r"m\u001b[31m\u000aX\xff";
    assert_eq!(text(|o| o.value(&symbol)), format!("{shown}\n"));
    assert_eq!(text(|o| o.value(&stack(StackMode::Bpftrace))), format!("\n        {shown}+2\n\n"));
    assert_eq!(
        text(|o| o.value(&stack(StackMode::Perf))),
        format!("\n\t1 {shown}+2 ({shown})\n\n")
    );
    let json: serde_json::Value = serde_json::from_str(&json(|o| o.value(&symbol))).unwrap();
    assert_eq!(json["data"], name);
}
