//! Values, stacks and keys as bpftrace has printed them.

use super::*;
use crate::bt::value::{Frame, Stack, StackMode, Symbol};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
        (Value::Timestamp(b"01:15".to_vec()), "01:15", "\"01:15\""),
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
