//! Directives: the lines of a text that begin with a period.

use super::Section;
use super::data::MOST;
use super::statement::{Cursor, Literal, Parsed, Span, What, same, sub};
use crate::spec::{implied_flags, implied_sizes};
use crate::uapi::MapType;

/// A parsed directive.
pub(super) enum Directive {
    /// `.program hello, kprobe/sys_clone`
    Program { name: Span, target: Option<Span> },
    /// `.license "GPL"`
    License(String),
    /// `.map counts, hash, key=4, value=8, max=1024`
    Map {
        name: Span,
        kind: MapType,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
        flags: u32,
        extra: u64,
    },
    /// `.equ NAME, 5`
    Constant { name: Span, value: i128 },
    /// `.option llvm_ld_pseudo`, which the cursor keeps
    Option,
    /// `.rodata`, `.data`, `.bss`
    Section(Section),
    /// `.text`
    Text,
    /// `.byte 1, 2`: little-endian values of `width` bytes. `.asciz "text"`: bytes, of width 0.
    Data { span: Span, bytes: Vec<u8>, width: usize },
    /// `.zero 8`
    Zeros { span: Span, count: usize },
    /// `.align 8`
    Align { span: Span, to: usize },
}

/// Parses the directive that begins here.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Parsed<Directive> {
    let start = cursor.at;
    cursor.at += 1;
    let word = cursor.word("the name of a directive")?;
    let span = Span { start, end: word.end };
    let text = cursor.text;
    let directive = match sub(text, word.start, word.end) {
        b"program" => program(cursor)?,
        b"license" => Directive::License(license(cursor)?),
        b"map" => map(cursor)?,
        b"equ" | b"set" => {
            let name = cursor.word("the name of the constant")?;
            cursor.need(",", "`,`")?;
            Directive::Constant { name, value: cursor.number("a number")?.0 }
        }
        b"option" => {
            cursor.option()?;
            Directive::Option
        }
        b"rodata" => Directive::Section(Section::Rodata),
        b"data" => Directive::Section(Section::Data),
        b"bss" => Directive::Section(Section::Bss),
        b"text" => Directive::Text,
        b"asciz" => Directive::Data { span, bytes: strings(cursor, true)?, width: 0 },
        b"ascii" => Directive::Data { span, bytes: strings(cursor, false)?, width: 0 },
        b"byte" => data(cursor, span, 1)?,
        b"half" => data(cursor, span, 2)?,
        b"word" => data(cursor, span, 4)?,
        b"quad" => data(cursor, span, 8)?,
        b"zero" | b"skip" => {
            let (value, at) = cursor.number("a number of bytes")?;
            match usize::try_from(value) {
                Ok(count) if count <= MOST => Directive::Zeros { span: at, count },
                _ => {
                    let (field, high) = ("the number of bytes", MOST as i64);
                    return cursor.problem(at, What::Range { field, value, low: 0, high });
                }
            }
        }
        b"align" => {
            let (value, at) = cursor.number("a number of bytes")?;
            match u32::try_from(value) {
                Ok(to @ (1 | 2 | 4 | 8 | 16 | 32 | 64)) => {
                    Directive::Align { span, to: to as usize }
                }
                _ => {
                    let what = What::Not("an alignment: 1, 2, 4, 8, 16, 32, 64");
                    return cursor.problem(at, what);
                }
            }
        }
        _ => {
            let what = What::Not(
                "a directive: .program, .license, .map, .equ, .option, .rodata, .data, .bss, .text, .asciz, \
                 .ascii, .byte, .half, .word, .quad, .zero, .align",
            );
            return cursor.problem(span, what);
        }
    };
    if cursor.at_end() { Ok(directive) } else { cursor.expected("the end of the line") }
}

fn program(cursor: &mut Cursor<'_>) -> Parsed<Directive> {
    let name = cursor.word("the name of the program")?;
    let target = if cursor.take(",") { Some(rest_of_line(cursor)?) } else { None };
    Ok(Directive::Program { name, target })
}

/// The rest up to white space or the end of the line: a target has its own syntax.
fn rest_of_line(cursor: &mut Cursor<'_>) -> Parsed<Span> {
    let start = cursor.at;
    while !cursor.at_end() && !cursor.peek().is_ascii_whitespace() && cursor.peek() != b'#' {
        cursor.at += 1;
    }
    let span = Span { start, end: cursor.at };
    if span.start == span.end {
        return cursor.expected("where the program is attached, such as kprobe/sys_clone");
    }
    cursor.skip();
    Ok(span)
}

fn license(cursor: &mut Cursor<'_>) -> Parsed<String> {
    let start = cursor.at;
    let bytes = strings(cursor, false)?;
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => {
            let span = Span { start, end: cursor.at };
            cursor.problem(span, What::Not("a license, which is text"))
        }
    }
}

/// Parses one or more strings, separated by commas.
fn strings(cursor: &mut Cursor<'_>, nul: bool) -> Parsed<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let start = cursor.at;
        let Some(mut literal) = Literal::open(cursor.text, start) else {
            return cursor.expected("a string");
        };
        loop {
            match literal.next() {
                Ok(Some(byte)) => bytes.push(byte),
                Ok(None) => break,
                Err(at) => {
                    let end = (at + 2).min(cursor.text.len());
                    return cursor.problem(Span { start: at, end }, What::Not(ESCAPE));
                }
            }
        }
        // The literal of the language ends with a NUL; here the directive decides whether there is
        // one.
        let has_nul = cursor.text.get(start) == Some(&b'"');
        if has_nul && !nul {
            bytes.pop();
        } else if nul && !has_nul {
            bytes.push(0);
        }
        cursor.at = literal.at;
        cursor.skip();
        if !cursor.take(",") {
            return Ok(bytes);
        }
    }
}

const ESCAPE: &str = "an escape: \\n \\r \\t \\0 \\\\ \\\" \\' \\x7f";

fn data(cursor: &mut Cursor<'_>, span: Span, width: usize) -> Parsed<Directive> {
    let mut bytes = Vec::new();
    let bits = 8 * width as u32;
    let (low, high) = (-(1i128 << (bits - 1)), (1i128 << bits) - 1);
    loop {
        let (value, at) = cursor.number("a number")?;
        if value < low || value > high {
            let what = What::Not("a number of that many bytes");
            return cursor.problem(at, what);
        }
        bytes.extend(value.to_le_bytes().iter().take(width));
        if !cursor.take(",") {
            return Ok(Directive::Data { span, bytes, width });
        }
    }
}

fn map(cursor: &mut Cursor<'_>) -> Parsed<Directive> {
    let name = cursor.word("the name of the map")?;
    cursor.need(",", "`,`")?;
    let word = cursor.word("the type of the map")?;
    let text = cursor.text;
    let wanted = sub(text, word.start, word.end);
    let Some(kind) = MapType::ALL.iter().copied().find(|kind| same(kind.name().as_bytes(), wanted))
    else {
        let what = What::Not("a type of map, such as hash, array or perf_event_array");
        return cursor.problem(word, what);
    };
    // Key, value, most, flags, extra. Sizes that the type implies can be left out.
    let (key, value) = implied_sizes(kind);
    let implied = [key.unwrap_or(0), value.unwrap_or(0), 0, implied_flags(kind).bits(), 0];
    let mut numbers: [i64; 5] = implied.map(i64::from);
    while cursor.take(",") {
        let attribute = cursor.word("key=, value=, max=, flags= or extra=")?;
        let [key, size, most, flags, extra] = &mut numbers;
        let (field, high) = match sub(text, attribute.start, attribute.end) {
            b"key" => (key, u32::MAX.into()),
            b"value" => (size, u32::MAX.into()),
            b"max" => (most, u32::MAX.into()),
            b"flags" => (flags, u32::MAX.into()),
            b"extra" => (extra, i64::MAX),
            _ => {
                let what = What::Not("an attribute of a map: key, value, max, flags, extra");
                return cursor.problem(attribute, what);
            }
        };
        cursor.need("=", "`=`")?;
        let (value, span) = cursor.number("a number")?;
        *field = match i64::try_from(value) {
            Ok(value) if (0..=high).contains(&value) => value,
            _ => {
                let what = What::Range { field: "the number", value, low: 0, high };
                return cursor.problem(span, what);
            }
        };
    }
    let [key_size, value_size, max_entries, flags, extra] = numbers;
    let [key_size, value_size, max_entries, flags] =
        [key_size, value_size, max_entries, flags].map(|number| number as u32);
    let extra = extra.cast_unsigned();
    Ok(Directive::Map { name, kind, key_size, value_size, max_entries, flags, extra })
}
