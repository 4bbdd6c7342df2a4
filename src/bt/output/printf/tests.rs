//! `printf` beside bpftrace and beside printf(1).

use super::*;
use crate::bt::output::ControlCharacters;
use crate::bt::value::{Average, Number, Value};
use crate::requires::{Thing, needs};
use proptest::prelude::*;
use std::process::Command;

fn printed<'a>(format: &str, args: impl IntoIterator<Item = Arg<'a>>) -> String {
    let mut out = vec![];
    Format::parse(format.as_bytes()).unwrap().write(&mut out, ControlCharacters::Keep, args);
    String::from_utf8(out).unwrap()
}

fn ints<const N: usize>(values: [i64; N]) -> [Arg<'static>; N] {
    values.map(Arg::Int)
}

#[test]
fn integers_as_in_bpftrace() {
    // bpftrace 0.27.1.
    assert_eq!(
        printed(
            "%d %u %x %X %o %i|%c|%p|%5d|%-5d|%05d|%+d|%#x|%#o|%lld|%lu|%hhd|%hd|%zu|%jd|%td\n",
            ints([
                -5, -5, -5, 255, 8, 7, 65, 0x1234, 42, 42, 42, 42, 255, 8, -1, -1, 300, 70_000, 5,
                5, 5
            ]),
        ),
        "-5 4294967291 fffffffb FF 10 7|A|0x1234|   42|42   |00042|+42|0xff|010|-1|18446744073709551615|44|4464|\
         5|5|5\n"
    );
    // 0.17.0 and 0.27.1: BEGIN { $x = 0x1ffffffff; printf("%d %u %x %o|%ld\n", $x, $x, $x, $x, $x); $y = (int32)-1; … }
    let long = 0x1_ffff_ffff;
    assert_eq!(
        printed("%d %u %x %o|%ld\n", ints([long; 5])),
        "-1 4294967295 ffffffff 37777777777|8589934591\n"
    );
    assert_eq!(
        printed("%x %u %lx %lu %llx\n", ints([-1; 5])),
        "ffffffff 4294967295 ffffffffffffffff 18446744073709551615 ffffffffffffffff\n"
    );
    assert_eq!(
        printed(
            "%hhx %hhd %hhu %hx %hi %hu %jx %zx %llx\n",
            ints([511, 511, 511, 70_000, 70_000, 70_000, -1, -1, -1])
        ),
        "ff -1 255 1170 4464 4464 ffffffffffffffff ffffffffffffffff ffffffffffffffff\n"
    );
    assert_eq!(printed("%5c|%-5c|%c|%%\n", ints([65, 66, 67])), "    A|B    |C|%\n");
    // 0.17.0 prints (nil) for the first.
    assert_eq!(
        printed("%p %20p %-20p|", ints([0, 255, 255])),
        "0                 0xff 0xff                |"
    );
}

#[test]
fn text_as_in_bpftrace() {
    let hello = || Arg::Str(b"hello");
    // 0.17.0 (0.27.1 ignores the precisions).
    assert_eq!(
        printed("[%s][%10s][%-10s][%.2s][%10.2s][%-10.2s]", std::iter::repeat_with(hello)),
        "[hello][     hello][hello     ][he][        he][he        ]"
    );
    // 0.17.0 (0.27.1 pads with zeros).
    assert_eq!(printed("[%05s]", [Arg::Str(b"hi")]), "[   hi]");
    // 0.27.1.
    let tuple = Value::Tuple(vec![1.into(), "x".into()]);
    assert_eq!(
        printed(
            "%s %s %s %5s|%-6s|%s",
            [
                Arg::Int(5),
                Arg::Bool(true),
                (&tuple).into(),
                Arg::Uint(5),
                Arg::Bool(true),
                Arg::Int(-1)
            ]
        ),
        "5 true (1, x)     5|true  |-1"
    );
    assert_eq!(printed("%d %s %x", [true, false, true].map(Arg::Bool)), "1 false 1");
    let pointer = || Arg::from(Value::Pointer(16));
    assert_eq!(printed("%d %x %s", [pointer(), pointer(), pointer()]), "16 10 0x10");
    let average = Value::Avg(Average { count: 1, total: Number::Signed(5) });
    assert_eq!(printed("%s\n", [Arg::from(average)]), "5\n");
    let address = || Arg::from(Value::from(std::net::Ipv4Addr::LOCALHOST));
    assert_eq!(printed("%5s|%-20s|", [address(), address()]), "127.0.0.1|127.0.0.1           |");
    let mac = Arg::from(Value::Mac([0; 6]));
    assert_eq!(printed("%25s|", [mac]), "        00:00:00:00:00:00|");
}

#[test]
fn buffers_as_in_bpftrace() {
    // 0.27.1.
    let bytes = Arg::Buf(b"ab\0\x01z\"\\\n\x7f");
    let short = || Arg::Buf(b"ab\0");
    assert_eq!(
        printed("%r|%rx|%rh|%20r|%-10rx|", [bytes, short(), short(), short(), Arg::Buf(b"a")]),
        "ab\\x00\\x01z\"\\\\x0a\\x7f|\\x61\\x62\\x00|61 62 00|              ab\\x00|\\x61      |"
    );
    assert_eq!(
        printed("%s|%20s|%-20s|", [short(), short(), short()]),
        "ab\\x00|              ab\\x00|ab\\x00              |"
    );
    assert_eq!(printed("%r|%rxyz", [Arg::Buf(b"a"), Arg::Buf(b"b")]), "a|\\x62yz");
    let value = Value::Buffer(b"ab\0".to_vec());
    assert_eq!(printed("%rh", [Arg::from(&value)]), "61 62 00");
}

#[test]
fn percent_signs_that_begin_no_conversion_are_text() {
    // bpftrace 0.17.0 and 0.27.1 print all of these as they stand.
    for text in ["100%", "\n100% \n", "%z\n", "%-\n", "%l\n", "%5"] {
        let format = Format::parse(text.as_bytes()).unwrap();
        assert_eq!(printed(text, []), text);
        assert_eq!(format.conversions().count(), 0);
        assert_eq!(format.stray_percents(), [text.find('%').unwrap()]);
    }
    assert_eq!(printed("100%%|%%%d", ints([1])), "100%|%1");
    assert_eq!(printed("%%|%z %d", ints([1])), "%|%z 1");
}

#[test]
fn formats_that_are_refused() {
    let error = |format: &str| Format::parse(format.as_bytes()).unwrap_err();
    let check = |format, span: Range<usize>, problem| {
        let error = error(format);
        assert_eq!((error.span.clone(), error.problem), (span.clone(), problem), "{format}");
        assert_eq!(error.specification, format[span], "{format}");
    };
    check("a%f %d", 1..3, FormatProblem::Unsupported('f'));
    check("%n", 0..2, FormatProblem::Unsupported('n'));
    check("%d %-5.3le", 3..10, FormatProblem::Unsupported('e'));
    check("%*d", 0..2, FormatProblem::Star);
    check("%llld", 0..5, FormatProblem::Length);
    check("%65536d", 0..6, FormatProblem::TooWide);
    check("%.99999999999999999999s", 0..7, FormatProblem::TooWide);
    assert_eq!(
        error("%f").to_string(),
        "`%f`: conversion `f` is not supported, expected one of d, i, u, o, x, X, c, s, p, r, rx, rh"
    );
}

#[test]
fn conversions_say_what_they_take() {
    let format = Format::parse(b"pid %-6d %s\t%lx %5.2rx%%%hhc").unwrap();
    let conversions: Vec<_> = format.conversions().collect();
    let spans: Vec<_> = conversions.iter().map(|conversion| conversion.span()).collect();
    assert_eq!(spans, [4..8, 9..11, 12..15, 16..22, 24..28]);
    use ConversionKind::*;
    let kinds: Vec<_> = conversions.iter().map(|conversion| conversion.kind()).collect();
    assert_eq!(kinds, [Signed, Text, Hex, EscapedBuffer, Char]);
    let bits: Vec<_> = conversions.iter().map(|conversion| conversion.bits()).collect();
    assert_eq!(bits, [32, 32, 64, 32, 8]);
    let accepts = |arg| conversions.iter().map(move |c| c.accepts(arg)).collect::<Vec<_>>();
    assert_eq!(accepts(ArgKind::Integer), [true, true, true, false, true]);
    assert_eq!(accepts(ArgKind::Buffer), [false, true, false, true, false]);
    assert_eq!(accepts(ArgKind::Other), [false, true, false, false, false]);
}

#[test]
fn arguments_that_do_not_match_do_no_harm() {
    assert_eq!(printed("%d|%s|%x", [Arg::Str(b"abc")]), "abc||");
    assert_eq!(printed("%rh", ints([5])), "5");
    assert_eq!(printed("%s", [Arg::Str(b"a"), Arg::Str(b"b")]), "a");
}

/// A conversion of an integer that printf(1) accepts, and its argument.
fn integer() -> impl Strategy<Value = (String, Arg<'static>, String)> {
    let flags = proptest::sample::subsequence(vec!['-', '0', '+', ' ', '#'], 0..=5);
    let width = proptest::option::of(0..30u32);
    let precision = proptest::option::of(proptest::option::of(0..30u32));
    let value =
        prop_oneof![any::<i64>(), -3..3i64, (any::<i64>(), 0..64u32).prop_map(|(v, s)| v >> s)];
    (
        flags,
        width,
        precision,
        proptest::sample::select(&["", "hh", "h", "l", "ll", "j", "z", "t"][..]),
        proptest::sample::select(&b"diuoxX"[..]),
        value,
    )
        .prop_map(|(flags, width, precision, length, letter, value)| {
            let letter = char::from(letter);
            // printf(1) refuses what C leaves undefined.
            let flags = flags.into_iter().filter(|flag| *flag != '#' || "oxX".contains(letter));
            let mut spec: String = std::iter::once('%').chain(flags).collect();
            if let Some(width) = width.filter(|width| *width > 0) {
                spec += &width.to_string();
            }
            if let Some(precision) = precision {
                spec +=
                    &format!(".{}", precision.map(|digits| digits.to_string()).unwrap_or_default());
            }
            // It skips lengths, so that the argument is cut beforehand.
            let cut = match (length, "di".contains(letter)) {
                ("hh", true) => (value as i8).to_string(),
                ("h", true) => (value as i16).to_string(),
                ("", true) => (value as i32).to_string(),
                (_, true) => value.to_string(),
                ("hh", false) => (value as u8).to_string(),
                ("h", false) => (value as u16).to_string(),
                ("", false) => (value as u32).to_string(),
                (_, false) => (value as u64).to_string(),
            };
            (format!("{spec}{length}{letter}"), Arg::Int(value), cut)
        })
}

/// A conversion of a string that printf(1) accepts, and its argument.
fn string() -> impl Strategy<Value = (String, Arg<'static>, String)> {
    let precision = proptest::option::of(0..12u32);
    (any::<bool>(), 0..20u32, precision, "[ -~é]{0,12}").prop_map(
        |(left, width, precision, value)| {
            let mut spec = if left { "%-" } else { "%" }.to_owned();
            if width > 0 {
                spec += &width.to_string();
            }
            if let Some(precision) = precision {
                spec += &format!(".{precision}");
            }
            (spec + "s", Arg::from(Value::from(value.as_str())), value)
        },
    )
}

#[test]
fn printf_1_prints_the_same() {
    needs!(Coreutils);
    let cases = proptest::collection::vec(prop_oneof![3 => integer(), 1 => string()], 1..100);
    proptest!(ProptestConfig::with_cases(48), |(cases in cases)| {
        let format: String = cases.iter().map(|(spec, ..)| format!("[{spec}]\n")).collect();
        let args = cases.iter().map(|(_, _, text)| text);
        let mut command = Command::new("/usr/bin/printf");
        // Bytes are counted, as in C.
        command.env("LC_ALL", "C").arg("--").arg(&format).args(args);
        let theirs = command.output().unwrap();
        prop_assert!(theirs.status.success(), "{format}: {}", String::from_utf8_lossy(&theirs.stderr));
        let mut ours = vec![];
        let parsed = Format::parse(format.as_bytes()).unwrap();
        let args = cases.iter().map(|(_, arg, _)| arg.clone());
        parsed.write(&mut ours, ControlCharacters::Keep, args);
        let lines = |text: &[u8]| {
            text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>()
        };
        for ((ours, theirs), case) in lines(&ours).iter().zip(lines(&theirs.stdout)).zip(&cases) {
            prop_assert_eq!(
                String::from_utf8_lossy(ours), String::from_utf8_lossy(&theirs), "{:?}", case
            );
        }
        prop_assert_eq!(ours, theirs.stdout);
    });
}

proptest! {
    #[test]
    fn any_format_is_read_or_refused(text: Vec<u8>, values: Vec<i64>) {
        if let Ok(format) = Format::parse(&text) {
            format.write(&mut vec![], ControlCharacters::Escape, values.iter().copied().map(Arg::Int));
        }
    }

    #[test]
    fn any_specification_is_read_or_refused(text in "%[-0+ #]{0,3}[0-9]{0,3}(\\.[0-9]{0,3})?[hljztqL*]{0,3}[a-zA-Z%]{0,2}", value: i64) {
        match Format::parse(text.as_bytes()) {
            Ok(format) => {
                let mut out = vec![];
                format.write(&mut out, ControlCharacters::Escape, [Arg::Int(value)]);
                prop_assert!(format.conversions().count() <= 1);
            }
            Err(error) => prop_assert!(text[error.span].starts_with('%')),
        }
    }
}
