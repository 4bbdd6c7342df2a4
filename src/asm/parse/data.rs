//! Data in a text, and the addresses of it.

use super::{Parser, Unbound, is_number};
use crate::asm::data::MOST;
use crate::asm::directive::Directive;
use crate::asm::statement::{Literal, Problem, Span, What, addressable};
use crate::asm::{RelocField, RelocKind, RelocTarget, Section};
use crate::insn::{ByteOrder, Op, Pseudo};

impl<'t> Parser<'t, '_> {
    /// Parses a directive that adds bytes to the section.
    pub(super) fn data(&mut self, directive: Directive) -> Result<(), What> {
        let Some(section) = self.section else {
            return Err(What::Not("allowed here: data stands after .rodata, .data or .bss"));
        };
        let order = self.order();
        let data = &mut self.data;
        match directive {
            Directive::Data { .. } if section == Section::Bss => {
                return Err(What::Not("allowed here: .bss has labels, .zero and .align"));
            }
            Directive::Data { mut bytes, width, .. } => {
                if order == ByteOrder::Big {
                    bytes.chunks_mut(width.max(1)).for_each(<[u8]>::reverse);
                }
                data.push(section, bytes, width as u32);
            }
            Directive::Zeros { count, .. } => data.zeros(section, count),
            Directive::Align { to, .. } => data.align(section, to),
            _ => {}
        }
        if data.len(section) > MOST {
            return Err(What::Not("allowed here: the section would have more than 512 MiB"));
        }
        Ok(())
    }

    /// A label in data.
    pub(super) fn variable(&mut self, section: Section, span: Span) -> Result<(), Problem> {
        let name = self.slice(span);
        if is_number(name) {
            let what = What::Not("the name of a variable: it begins with a digit");
            return Err(Problem { span, what });
        }
        if self.data_labels.contains_key(name) {
            return Err(Problem { span, what: What::SecondLabel });
        }
        if self.map_names.contains_key(name) {
            return Err(Problem { span, what: What::SecondName });
        }
        let offset = self.data.label(section, name);
        self.data_labels.insert(name, (section, offset));
        Ok(())
    }

    /// The address of a map, of its value, of data, or of a function. Maps and data are declared before they are used;
    /// any other name is that of a function, which can come later.
    pub(super) fn address(&mut self, op: Op, span: Span, offset: i32) -> Result<(), Problem> {
        let name = self.slice(span);
        let Op::LoadImm64 { dst, kind, high, .. } = op else { return Ok(()) };
        let value = kind == Pseudo::MapValue;
        let (kind, high, target) = match (self.map_names.get(name), self.data_labels.get(name)) {
            (Some(index), _) => {
                let (kind, high) = match (value, offset) {
                    (true, _) => (kind, high),
                    (false, 0) => (Pseudo::MapFd, 0),
                    (false, offset) => (Pseudo::MapValue, offset),
                };
                if let (Pseudo::MapValue, Some(map)) = (kind, self.collection.maps.get(*index)) {
                    addressable(map, high).map_err(|what| Problem { span, what })?;
                }
                (kind, high, RelocTarget::Name(name))
            }
            (None, Some(_)) if value => {
                let what = What::Not("a map: the address of a variable is `name ll`");
                return Err(Problem { span, what });
            }
            (None, Some((section, place))) => {
                let length = self.data.len(*section) as i64;
                let (place, value) = (i64::from(*place), i128::from(offset));
                let high = place + i64::from(offset);
                if place == length {
                    let what = What::Not("of any size: data stands behind its label");
                    return Err(Problem { span, what });
                }
                if high < 0 || high >= length {
                    let (field, low, high) = ("the offset", -place, length - place - 1);
                    return Err(Problem { span, what: What::Range { field, value, low, high } });
                }
                (Pseudo::MapValue, high as i32, RelocTarget::Section(*section))
            }
            (None, None) => {
                // A function, or an error that is reported when no label defines it.
                if offset != 0 || value {
                    let what = What::Not("a map or data; only their addresses take an offset");
                    return Err(Problem { span, what });
                }
                let label = self.draft.named(name).used_at(span, Unbound::Address);
                self.draft.builder.load_function(dst, label);
                return Ok(());
            }
        };
        self.load(Op::LoadImm64 { dst, kind, low: 0, high }, target);
        Ok(())
    }

    /// The address of a string, which is put into the read-only data.
    pub(super) fn text_address(&mut self, op: Op, span: Span) {
        let Op::LoadImm64 { dst, kind, low, .. } = op else { return };
        let mut bytes = Literal::open(self.text.as_bytes(), span.start);
        let bytes = std::iter::from_fn(|| bytes.as_mut()?.next().ok()?);
        let high = self.data.text(bytes) as i32;
        let target = RelocTarget::Section(Section::Rodata);
        self.load(Op::LoadImm64 { dst, kind, low, high }, target);
    }

    /// An address of a map or of data.
    fn load(&mut self, op: Op, target: RelocTarget<'t>) {
        let builder = &mut self.draft.builder;
        builder.relocate(RelocField::Immediate, RelocKind::Map, target).push(op);
    }
}

#[cfg(test)]
mod tests {
    use crate::asm::{Collection, ParseOptions, RelocTarget, Section, parse};
    use crate::error::Error;
    use crate::insn::ByteOrder;

    const TEXT: &str = "
.map pair, array, value=16, max=1
.rodata
limit:  .word 1, 2
word:   .asciz \"ab\"
.data
count:  .quad 5
.bss
seen:   .zero 4
        .align 8
all: also:
        .skip 16
.data
small:  .byte 7
        .align 4
last:   .half 1
.text
        r1 = limit ll
        r1 = limit + 4 ll
        r1 = \"cd\" ll
        r1 = count ll
        r1 = last + 1 ll
        r1 = also + 15 ll
        r1 = pair[0] ll
        r1 = pair [0] + 8 + 7 ll
        r1 = pair + 8 ll
        exit
";

    fn module<'t>(text: &'t str, order: ByteOrder) -> Collection<'t> {
        parse(text, "data.s", &ParseOptions::new().order(order)).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn every_section_has_its_bytes_and_names() {
        let little = module(TEXT, ByteOrder::Little);
        let data = little.data();
        assert_eq!(data.rodata, b"\x01\0\0\0\x02\0\0\0ab\0cd\0");
        assert_eq!(data.data, b"\x05\0\0\0\0\0\0\0\x07\0\0\0\x01\0");
        assert_eq!(data.bss, [0; 24]);
        let big = module(TEXT, ByteOrder::Big);
        assert_eq!(big.data().rodata, b"\0\0\0\x01\0\0\0\x02ab\0cd\0");
        assert_eq!(big.data().data, b"\0\0\0\0\0\0\0\x05\x07\0\0\0\0\x01");

        let variables: Vec<_> = little
            .variables()
            .iter()
            .map(|v| (v.name(), v.section(), v.offset(), v.size(), v.width()))
            .collect();
        use Section::{Bss, Data, Rodata};
        let expected = [
            ("limit", Rodata, 0, 8, 4),
            // Neither the string without a name belongs to it, nor the padding up to the next variable.
            ("word", Rodata, 8, 3, 0),
            ("count", Data, 0, 8, 8),
            ("seen", Bss, 0, 4, 4),
            ("all", Bss, 8, 16, 0),
            ("also", Bss, 8, 16, 0),
            ("small", Data, 8, 1, 1),
            ("last", Data, 12, 2, 2),
        ];
        assert_eq!(variables, expected);
    }

    #[test]
    fn addresses_are_those_of_bytes_in_maps() {
        let module = module(TEXT, ByteOrder::Little);
        let program = &module.programs()[0];
        let to = [
            (RelocTarget::Section(Section::Rodata), 0),
            (RelocTarget::Section(Section::Rodata), 4),
            (RelocTarget::Section(Section::Rodata), 11),
            (RelocTarget::Section(Section::Data), 0),
            (RelocTarget::Section(Section::Data), 13),
            (RelocTarget::Section(Section::Bss), 23),
            (RelocTarget::Name("pair"), 0),
            (RelocTarget::Name("pair"), 15),
            (RelocTarget::Name("pair"), 8),
        ];
        let expected: Vec<_> = (0..).zip(to).map(|(i, (to, _))| (2 * i, to)).collect();
        let found: Vec<_> =
            program.relocations().iter().map(|reloc| (reloc.slot, reloc.target)).collect();
        assert_eq!(found, expected);
        for (slots, (_, offset)) in program.slots().chunks(2).zip(to) {
            // BPF_PSEUDO_MAP_VALUE of include/uapi/linux/bpf.h: descriptor first, offset second.
            assert_eq!((slots[0].src(), slots[0].imm(), slots[1].imm()), (2, 0, offset));
        }
    }

    #[test]
    fn variables_get_values_of_their_size() {
        fn set(module: &mut Collection<'_>, name: &str, value: &[u8]) -> Result<(), Error> {
            module.variable(name)?.set_bytes(value)
        }
        let mut module = module(TEXT, ByteOrder::Little);
        set(&mut module, "limit", b"12345678").unwrap();
        set(&mut module, "word", b"xyz").unwrap();
        set(&mut module, "also", &[9; 16]).unwrap();
        set(&mut module, "small", &[8]).unwrap();
        let data = module.data();
        assert_eq!(data.rodata, b"12345678xyzcd\0");
        assert_eq!(data.data, b"\x05\0\0\0\0\0\0\0\x08\0\0\0\x01\0");
        assert_eq!((&data.bss[..8], &data.bss[8..]), (&[0; 8][..], &[9; 16][..]));

        let error = set(&mut module, "limits", &[0; 8]).unwrap_err();
        assert_eq!(error.to_string(), "there is no variable `limits`; the nearest: limit");
        assert!(matches!(set(&mut module, "pair", &[0; 16]), Err(Error::NoVariable { .. })));
        for wrong in [&[0; 7][..], &[0; 9], &[]] {
            let error = set(&mut module, "limit", wrong).unwrap_err();
            let expected =
                format!("variable `limit` has 8 bytes, and the value given to it {}", wrong.len());
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn many_zeros_take_no_memory_before_they_are_read() {
        let text = ".bss\na: .zero 0x1fffffff\nb: .zero 1\n.text\nr1 = b ll\nexit\n";
        let module = module(text, ByteOrder::NATIVE);
        assert_eq!(module.data().bss.len(), 1 << 29);
        assert_eq!(module.programs()[0].slots()[1].imm(), (1 << 29) - 1);
    }

    #[test]
    fn what_is_wrong_in_data_is_told() {
        let wrong = [
            (".bss\na: .byte 0\n", "`.byte` is not allowed here: .bss has labels"),
            (".bss\na: .asciz \"x\"\n", "`.asciz` is not allowed here: .bss has labels"),
            (".zero 4\n", "`4` is not allowed here: data stands after .rodata"),
            (".data\n.zero -1\n", "the number of bytes -1 does not fit: 0 to 536870912"),
            (".data\n.zero 0x20000001\n", "the number of bytes 536870913 does not fit"),
            (
                ".bss\n.zero 0x20000000\n.zero 1\n",
                "`1` is not allowed here: the section would have more than 512 MiB",
            ),
            (".bss\na: .zero 0x1fffffff\n.align 2\n.zero 1\n", "the section would have more than"),
            (".data\n1: .byte 1\n", "`1` is not the name of a variable"),
            (".data\na: .byte 1\n.bss\na: .zero 1\n", "label `a` is defined twice"),
            (".map a, hash, key=4, value=4, max=1\n.data\na: .byte 1\n", "`a` is declared twice"),
            (".data\na: .byte 1\n.map a, hash, key=4, value=4, max=1\n", "`a` is declared twice"),
            (".data\nr0 = 0\n", "`r0 = 0` is not data"),
            (".data\na: .quad 1\n.text\nr1 = a + 8 ll\n", "the offset 8 does not fit: 0 to 7"),
            (".data\na: .quad 1\n.text\nr1 = a - 1 ll\n", "the offset -1 does not fit: 0 to 7"),
            (".data\na:\n.text\nr1 = a ll\n", "`a` is not of any size"),
            (".data\na: .quad 1\n.text\nr1 = a[0] ll\n", "`a` is not a map: the address of a"),
            ("r1 = a[0] ll\n", "`a` is not a map or data"),
            (".map a, array, value=8, max=1\nr1 = a[1] ll\n", "`1` is not 0"),
            (
                ".map a, array, value=8, max=1\nr1 = a[0] + 8 ll\n",
                "the offset 8 does not fit: 0 to 7",
            ),
            (".map a, array, value=8, max=1\nr1 = a + 8 ll\n", "the offset 8 does not fit: 0 to 7"),
            (
                ".map a, array, value=8, max=1\nr1 = a[0] - 1 ll\n",
                "the offset -1 does not fit: 0 to",
            ),
            (".map a, array, value=8, max=2\nr1 = a[0] ll\n", "`a` is not a map of one element"),
            (
                ".map a, hash, key=4, value=8, max=1\nr1 = a[0] ll\n",
                "`a` is not an array of one element",
            ),
            (
                ".map a, hash, key=4, value=8, max=1\nr1 = a + 4 ll\n",
                "`a` is not an array of one element",
            ),
            (".map a, array, value=8, max=1\nr1 = a[0]\n", "expected `ll`"),
            (".map a, array, value=8, max=1\nr1 = a[0 ll\n", "expected `]`"),
            (".map a, array, value=8, max=1\nw1 = a[0] ll\n", "`w1` is not a 64-bit register"),
        ];
        for (text, why) in wrong {
            let mistakes = parse(text, "wrong.s", &ParseOptions::new()).unwrap_err().to_string();
            assert!(mistakes.contains(why), "{text}\n{mistakes}");
        }
    }
}
