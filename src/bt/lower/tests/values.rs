//! Values: arithmetic, comparisons, strings, tuples, elements of maps.

use super::run::Script;
use super::{maps, records};
use crate::features::Features;
use crate::insn::Insn;

#[test]
fn integers_are_signed_where_their_types_are() {
    maps(&[
        ("$a = -5; $b = 2; @ = $a / $b", "@=-2"),
        ("$a = -5; $b = 2; @ = $a % $b", "@=-1"),
        ("$a = -5; @ = $a >> 1", "@=-3"),
        ("$a = -5; @ = $a << 2", "@=-20"),
        ("$a = -5; @ = ~$a", "@=4"),
        ("$a = -5; @ = -$a", "@=5"),
        ("$a = (uint64)18446744073709551615; @ = $a / (uint64)2", "@=9223372036854775807"),
        (
            "$a = -1; @a = $a < 1; $b = (uint64)18446744073709551615; @b = $b < (uint64)1",
            "@a=true @b=false",
        ),
    ]);
}

#[test]
fn casts_cut_and_extend() {
    maps(&[
        ("$x = 300; @ = (uint8)$x", "@=44"),
        ("$x = 200; @ = (int8)$x", "@=-56"),
        ("$x = (uint32)0xffffffff; @ = $x + 1", "@=4294967296"),
        ("$x = (uint32)0xffffffff; @ = (int32)$x", "@=-1"),
        ("$x = -1; @ = (uint16)$x", "@=65535"),
        ("$x = 7; @ = (bool)$x", "@=true"),
    ]);
}

#[test]
fn division_by_zero_gives_one_and_says_where() {
    let cases = [
        ("$a = 7; $b = 0; @ = $a / $b", "@=1", "DivisionByZero:$a / $b()"),
        ("$a = 7; $b = 0; @ = $a % $b", "@=1", "DivisionByZero:$a % $b()"),
        ("$a = (uint64)7; $b = (uint64)0; @ = $a / $b", "@=1", "DivisionByZero:$a / $b()"),
    ];
    for (body, map, record) in cases {
        maps(&[(body, map)]);
        records(&[(body, record)]);
    }
    maps(&[("@x = 9; $b = 0; @x /= $b", "@x=1")]);
}

#[test]
fn conditions() {
    maps(&[
        ("$a = 5; if ($a == 1) { @ = 1 } else if ($a == 5) { @ = 2 } else { @ = 3 }", "@=2"),
        (
            "$a = 5; @x = $a > 3 && $a < 5; @y = $a > 3 || $a < 5; @z = !($a > 3)",
            "@x=false @y=true @z=false",
        ),
        ("$a = 5; if ($a > 3 && ($a == 4 || $a == 5)) { @ = 1 }", "@=1"),
        ("$a = 5; @ = $a > 3 ? 10 : 20; @b = $a > 5 ? $a : -1", "@=10 @b=-1"),
        ("$a = 5; @s = $a > 3 ? \"yes\" : \"nope\"", "@s=yes"),
        // The right side is not evaluated once the result is known.
        ("$a = 5; if ($a > 9 && @n++ >= 0) { @x = 1 } if ($a < 9 || @n++ >= 0) { @y = 1 }", "@y=1"),
    ]);
}

#[test]
fn steps_change_what_they_name() {
    maps(&[
        ("$i = 1; $j = $i++; $k = ++$i; @[$i, $j, $k] = 1", "@[(3,1,3)]=1"),
        ("$i = 3; @ = ($i, $i++, $i, --$i)", "@=(3,3,4,3)"),
        ("@x = 2; $a = @x++; $b = ++@x; @y = ($a, $b)", "@x=4 @y=(2,4)"),
        ("@x[1]--; @x[1]--; $a = @x[2]--; @y = $a", "@x[1]=-2 @x[2]=-1 @y=0"),
        (
            "@x += 10; @x -= 3; @x *= 4; @x /= 2; @x %= 9; @x <<= 3; @x >>= 1; @x |= 3; @x &= 6; @x ^= 1",
            "@x=7",
        ),
        ("@y[1] += 5; @y[1] *= -3", "@y[1]=-15"),
    ]);
}

#[test]
fn strings_are_compared_to_their_end() {
    let long = "0123456789abcdef".repeat(6);
    maps(&[
        ("$s = \"hello\"; @a = $s == \"hello\"; @b = $s != \"hello\"", "@a=true @b=false"),
        (
            "$s = \"hello\"; @a = $s == \"hell\"; @b = $s == \"hello world, a long one\"",
            "@a=false @b=false",
        ),
        (
            "$s = \"hello\"; $t = \"hello\"; @x[1] = \"hello, long\"; @x[2] = $s; @a = @x[2] == $t; @b = @x[1] == $t",
            "@x[1]=hello, long @x[2]=hello @a=true @b=false",
        ),
        (
            &format!("$s = \"{long}\"; $t = \"{long}\"; @a = $s == $t; @b = $s == \"{long}x\""),
            "@a=true @b=false",
        ),
        (
            "@a = strncmp(\"hello\", \"help\", 3); @b = strncmp(\"hello\", \"help\", 4) != 0",
            "@a=0 @b=true",
        ),
        (
            "$s = \"hello\"; @a = strlen($s); @b = strcontains($s, \"ell\"); @c = strcontains($s, \"elo\")",
            "@a=5 @b=true @c=false",
        ),
    ]);
}

/// A length is a number of characters, whether the compiler knows it or not: the zero at the end does not count.
#[test]
fn strings_have_the_length_that_is_asked_for() {
    const TEXT: &str = "abcdefgh";
    let bytes = [TEXT.as_bytes(), &[0; 8]].concat();
    let address = bytes.as_ptr() as usize;
    for length in 0..=10 {
        let expected = &TEXT[..length.min(TEXT.len())];
        let body = format!(
            "$p = uptr({address}); $n = (uint64)pid - pid + {length}; @c = str($p, $n) == \"{expected}\"; \
             @d = str($p, {length}) == \"{expected}\"; @l = (strlen(str($p, $n)), strlen(str($p, {length})))"
        );
        let all = expected.len();
        maps(&[(&body, &format!("@c=true @d=true @l=({all},{all})"))]);
    }
}

/// The limits of a length: one less than strings can have, all of it, and more.
#[test]
fn strings_of_the_most_characters_are_not_cut() {
    let most = crate::bt::config::Config::default().max_strlen;
    let bytes: Vec<u8> = (0..most + 8).map(|index| b'a' + (index % 26) as u8).collect();
    let address = bytes.as_ptr() as usize;
    for length in [most - 2, most - 1, most, most + 1] {
        let body = format!("$n = (uint64)pid - pid + {length}; @ = str(uptr({address}), $n)");
        let shown = String::from_utf8_lossy(&bytes[..length.min(most) as usize]);
        // What fills all of a string is shown as cut.
        let cut = if length >= most { ".." } else { "" };
        maps(&[(&body, &format!("@={shown}{cut}"))]);
    }
}

/// In packed structs they cross the units of their types, and the last one ends where nothing else follows.
#[test]
fn bit_fields_of_packed_structs_are_whole() {
    let bytes: [u8; 48] = std::array::from_fn(|index| (index * 151 + 77) as u8);
    let address = bytes.as_ptr() as usize;
    let bit = |at: usize| match cfg!(target_endian = "little") {
        true => u64::from(bytes[at / 8] >> (at % 8) & 1),
        false => u64::from(bytes[at / 8] >> (7 - at % 8) & 1),
    };
    let fields = [
        ("uint8", 7),
        ("uint32", 31),
        ("uint16", 13),
        ("uint64", 62),
        ("uint32", 20),
        ("uint64", 58),
        ("uint32", 32),
        ("uint16", 2),
        ("uint64", 64),
        ("uint8", 8),
        ("uint32", 17),
    ];
    let (mut definition, mut body, mut expected, mut at) =
        (String::new(), String::new(), String::new(), 0);
    for (index, (ty, width)) in fields.iter().enumerate() {
        let place = at..at + width;
        let value = match cfg!(target_endian = "little") {
            true => place.rev().fold(0, |value: u64, at| value << 1 | bit(at)),
            false => place.fold(0, |value: u64, at| value << 1 | bit(at)),
        };
        at += width;
        definition += &format!("{ty} f{index} : {width}; ");
        body += &format!("@a[{index}] = (uint64)$s->f{index}; @b[{index}] = (uint64)$v.f{index}; ");
        expected += &format!(" {index}={value}");
    }
    let script = format!(
        "struct s {{ {definition} }} __attribute__((packed)); \
         BEGIN {{ $s = (struct s *)uptr({address}); $v = *$s; {body} @size = sizeof(struct s) }}"
    );
    let shown = super::run(&script).maps();
    for value in expected.split_whitespace() {
        let (index, value) = value.split_once('=').unwrap();
        for map in ["a", "b"] {
            let element = format!("@{map}[{index}]={value}");
            assert!(shown.split(' ').any(|one| one == element), "{element}\n{shown}");
        }
    }
    assert!(shown.ends_with(&format!("@size={}", at.div_ceil(8))), "{shown}");
}

#[test]
fn tuples_hold_their_parts() {
    maps(&[
        (
            "$t = (1, \"two\", (3, \"four\")); @t = $t; @u = $t.1; @v = $t.2.1; @w = $t.2.0",
            "@t=(1,two,(3,four)) @u=two @v=four @w=3",
        ),
        (
            "$a = (1, 2); $b = (1, 2); @x = $a == $b; $c = (\"a\", 1); @y = $c == (\"b\", 1)",
            "@x=true @y=false",
        ),
        (
            "@k[\"a\", 1] = 5; @k[\"bcd\", 2] = 6; @x = @k[\"a\", 1] + @k[\"bcd\", 2]",
            "@k[(a,1)]=5 @k[(bcd,2)]=6 @x=11",
        ),
        ("$t = (1, \"a\"); $t = ($t.0 + 1, \"b\"); @ = $t", "@=(2,b)"),
    ]);
}

#[test]
fn elements_of_maps_come_and_go() {
    maps(&[
        ("@a = @none[5]; @none[1] = 2; @b = @none[7]; @c = @none[1]", "@a=0 @none[1]=2 @b=0 @c=2"),
        ("@s[1] = \"x\"; @a = @s[2]; @b = @s[1]", "@s[1]=x @a= @b=x"),
        (
            "@a[1] = 1; @a[2] = 2; delete(@a[1]); @x = delete(@a, 5); @y = delete(@a, 2); @z = has_key(@a, 2)",
            "@x=false @y=true @z=false",
        ),
        ("@s = 5; delete(@s); @t = 6; @u = @s", "@t=6 @u=0"),
        ("@c = count(); @d = count(); delete(@c)", "@d=1"),
        ("$x = (uint8)255; @ = $x; @s[$x] = (bool)1", "@=255 @s[255]=true"),
    ]);
}

#[test]
fn a_variable_of_an_inner_block_is_read_after_it() {
    maps(&[
        ("$a = 1; if ($a == 1) { $x = 5; $s = \"in\" } @x = $x; @s = $s", "@x=5 @s=in"),
        ("$a = 1; if ($a == 2) { $x = 5; $s = \"in\" } @x = $x; @s = $s", "@x=0 @s="),
    ]);
}

#[test]
fn bytes_are_reordered() {
    maps(&[(
        "$a = (uint32)0x12345678; $b = (uint16)0x1234; $c = (uint64)1; @a = bswap($a); @b = bswap($b); @c = bswap($c)",
        "@a=2018915346 @b=13330 @c=72057594037927936",
    )]);
    let address = if cfg!(target_endian = "little") { "0x0100007f" } else { "0x7f000001" };
    maps(&[(
        &format!("$a = (uint32){address}; @ = ntop($a)"),
        if cfg!(target_endian = "little") {
            "@=[02, 00, 00, 00, 7f, 00, 00, 01, 00, 00, 00, 00, 00, 00, 00, 00, 00, 00, 00, 00]"
        } else {
            "@=[00, 00, 00, 02, 7f, 00, 00, 01, 00, 00, 00, 00, 00, 00, 00, 00, 00, 00, 00, 00]"
        },
    )]);
}

/// A result that stays the same in a run is asked for once, a key is put into memory once, and a value that was just read is not read
/// again.
#[test]
fn nothing_is_computed_twice() {
    let calls = |text: &str, helper: i32| {
        Script::new(text)
            .with(&Features::new(), |_, _, plan| {
                let call = Insn::from_fields(0x85, 0, 0, 0, helper);
                let calls = |slots: &[Insn]| slots.iter().filter(|slot| **slot == call).count();
                plan.programs
                    .iter()
                    .map(|one| calls(one.code.code_with_fields().slots))
                    .sum::<usize>()
            })
            .unwrap()
    };
    const LOOKUP: i32 = 1;
    const PID_TGID: i32 = 14;
    for (text, helper, expected) in [
        ("BEGIN { @ = pid; @t = tid; @s[tid] = pid; delete(@s[tid]) }", PID_TGID, 1),
        ("BEGIN { if (rand == 1) { @ = pid } @t = pid }", PID_TGID, 2),
        ("BEGIN { if (pid == 1) { @ = pid } else { @ = tid } @t = pid }", PID_TGID, 1),
        ("BEGIN /@s[tid]/ { @x = @s[tid] + @s[tid]; @s[tid] = 1 }", LOOKUP, 1),
        (
            "BEGIN { if (@s[tid] && @t[tid]) { @x = @s[tid] + @t[tid]; } @s[tid] = 1; @t[tid] = 1 }",
            LOOKUP,
            2,
        ),
        // Of the other branch it is not known.
        ("BEGIN { if (@s[tid] || @t[tid]) { @x = @t[tid]; } @s[tid] = 1; @t[tid] = 1 }", LOOKUP, 3),
        ("BEGIN { @s[tid] = 1; $x = @s[tid]; @s[tid] = 2; @x = $x + @s[tid] }", LOOKUP, 2),
        ("BEGIN { $x = @s[tid]; unroll(2) { $x += @s[tid]; @s[tid] = 2; } @x = $x }", LOOKUP, 3),
    ] {
        assert_eq!(calls(text, helper), expected, "{text}");
    }
}
