//! CO-RE relocations of an object, which adjust a program to the types of a kernel when it is loaded. Much of it has a name in the language, which the loader
//! looks up as it does any: the offset of a field by an access such as `0:1:2` is `pair.b.c`. What has none is remarked upon.

use super::ext;
use super::names::shown;
use crate::btf::{Body, Btf, Kind, Type};
use crate::insn::{ByteOrder, Insn, Op, Pseudo, Source, class};
use crate::spec::{CoreKind, CoreReloc, RelocField};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::Arc;

/// The name of each kind of relocation in messages, and how the language writes it, by [`CoreKind::ALL`].
const KINDS: [(&str, As); 13] = [
    ("offset of field", As::Offset),
    ("size of field", As::Field("sizeof")),
    ("existence of field", As::Field("exists")),
    ("signedness of field", As::Nothing),
    ("left shift for field", As::Nothing),
    ("right shift for field", As::Nothing),
    ("local BTF id of type", As::Nothing),
    ("BTF id of type", As::Nothing),
    ("existence of type", As::Type("exists")),
    ("size of type", As::Type("sizeof")),
    ("existence of enumerator", As::Enumerator("exists")),
    ("value of enumerator", As::Enumerator("")),
    ("match of type", As::Nothing),
];

/// The form of a name in the language.
#[derive(Clone, Copy)]
enum As {
    /// `task_struct.tgid`
    Offset,
    /// `sizeof(task_struct.tgid)`
    Field(&'static str),
    /// `sizeof(task_struct)`
    Type(&'static str),
    /// `pid_type.PIDTYPE_TGID`
    Enumerator(&'static str),
    Nothing,
}

/// The most steps of an access, as libbpf has them.
const STEPS: usize = 64;

/// The longest access: so many numbers of 32 bits, with colons between them.
const LONGEST_ACCESS: usize = STEPS * 11;

/// The longest path of a field, in bytes. A longer one is no name in the language, and cut off in messages.
const LONGEST_PATH: usize = 1024;

/// The most steps of all different accesses of an object together: no real one comes near.
const ALL_STEPS: usize = 1 << 20;

/// The most bytes of the names and remarks of all different relocations of an object together.
const ALL_TEXT: usize = 1 << 26;

/// The steps that a declaration counts for that is more than a keyword and a name: it can be made of a thousand types.
const DECLARATION: usize = 1 << 12;

/// The most relocations that are kept of an instruction: a second one tells that they are too many.
const EACH: usize = 2;

/// A CO-RE relocation of an instruction. Many instructions have the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relocated {
    /// The name that stands for the same, if there is one.
    name: Option<Arc<str>>,
    /// The property, the type and the access; `None` of a kind that is not known here.
    core: Option<(CoreKind, u32, Arc<str>)>,
    /// Whether that is an offset, which can stand in an address.
    offset: bool,
    /// The remark in place of a name.
    remark: Arc<str>,
}

/// The most bytes of the names of sections together. Each is a name of the file, but many records can name parts of one long string.
const ALL_SECTIONS: usize = 1 << 24;

/// The relocations, by the whole name of the section and the slot there.
pub(super) type Relocations = HashMap<String, BTreeMap<usize, Vec<Arc<Relocated>>>>;

/// All of it; `None` if it is damaged: what is not known to be adjusted would be taken as it stands.
pub(super) fn relocations(ext: &[u8], btf: &Btf, order: ByteOrder) -> Option<Relocations> {
    let mut found = Relocations::new();
    let mut known: HashMap<Record, Arc<Relocated>> = HashMap::new();
    let too_many = "CO-RE: the relocations of the object have more than 64 MiB of names".into();
    let mut namer = Namer { btf, steps: ALL_STEPS, text: ALL_TEXT, too_many };
    let mut names = 0;
    ext::records(ext, ext::CORE, btf, order, &mut |section, offset, [of, access, kind]| {
        let record = Record { of, access, kind };
        let relocated = known.entry(record).or_insert_with(|| Arc::new(namer.relocated(record)));
        if !found.contains_key(section) {
            names += section.len();
            if names > ALL_SECTIONS {
                return;
            }
            found.insert(section.to_owned(), BTreeMap::new());
        }
        let slot = found.get_mut(section).map(|section| section.entry(offset).or_default());
        if let Some(slot) = slot.filter(|slot| slot.len() < EACH) {
            slot.push(Arc::clone(relocated));
        }
    })?;
    (names <= ALL_SECTIONS).then_some(found)
}

/// Returns remarks on relocations in places where the object has no code, by the number of slots of each section that has some.
pub(super) fn astray(relocations: &Relocations, code: &HashMap<&str, usize>) -> Vec<String> {
    let outside = |(section, slots): &(&String, &BTreeMap<usize, _>)| {
        let length = code.get(section.as_str()).copied().unwrap_or(0);
        slots.last_key_value().is_some_and(|(last, _)| *last >= length)
    };
    let mut sections: Vec<_> =
        relocations.iter().filter(outside).map(|(section, _)| section).collect();
    sections.sort_unstable();
    let remark = |section: &String| {
        format!("CO-RE: a relocation is for no instruction of section {}", shown(section))
    };
    sections.into_iter().map(remark).collect()
}

impl Relocated {
    /// The name, if there is one.
    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns the relocation of this instruction, whose second slot follows; `None` if it is not one that has a number.
    pub(super) fn core(
        &self,
        insn: Insn,
        second: Option<Insn>,
        types: &Arc<[u8]>,
    ) -> Option<(RelocField, CoreReloc)> {
        let (kind, type_id, access) = self.core.clone()?;
        let (field, original) = number(insn, second)?;
        let name = Arc::clone(self.name.as_ref().unwrap_or(&self.remark));
        let types = Arc::clone(types);
        Some((field, CoreReloc { kind, types, type_id, access, name, original }))
    }

    /// Returns the remark in place of a name.
    pub(super) fn remark(&self) -> &str {
        &self.remark
    }

    /// The first slot of the instruction with 0 in place of the number that is adjusted.
    pub(super) fn without_number(insn: Insn, op: Op) -> Insn {
        match op {
            Op::Alu { .. } | Op::LoadImm64 { .. } => insn.with_imm(0),
            _ => insn.with_offset(0),
        }
    }

    /// The instruction with the name in place of the number that is adjusted.
    pub(super) fn statement(&self, op: Op) -> Option<String> {
        let (name, text) = (self.name.as_ref()?, op.to_string());
        match op {
            Op::Load { .. } | Op::LoadSigned { .. } | Op::Store { .. } | Op::StoreImm { .. }
                if self.offset =>
            {
                // `*(u32 *)(r1 + 4)`
                let (before, address) = text.split_once(" *)(")?;
                let (address, after) = address.split_once(')')?;
                let (base, _) = address.split_once(' ')?;
                Some(format!("{before} *)({base} + {name}){after}"))
            }
            Op::Alu { src: Source::Imm(_), .. } => {
                let (before, _) = text.rsplit_once(' ')?;
                Some(format!("{before} {name}"))
            }
            Op::LoadImm64 { kind: Pseudo::Imm64, .. } => {
                let (before, _) = text.strip_suffix(" ll")?.rsplit_once(' ')?;
                Some(format!("{before} {name} ll"))
            }
            _ => None,
        }
    }
}

/// Returns the number of an instruction that a relocation can change, and where it is.
pub(super) fn number(insn: Insn, second: Option<Insn>) -> Option<(RelocField, u64)> {
    const REGISTER: u8 = 8;
    let offset = (RelocField::Offset, i64::from(insn.offset()).cast_unsigned());
    match insn.opcode() & 7 {
        class::ALU | class::ALU64 if insn.opcode() & REGISTER == 0 => {
            Some((RelocField::Immediate, i64::from(insn.imm()).cast_unsigned()))
        }
        class::LDX | class::ST | class::STX => Some(offset),
        _ if insn.is_wide() && insn.src() == Pseudo::Imm64 as u8 && insn.offset() == 0 => {
            let high = u64::from(second?.imm().cast_unsigned()) << 32;
            Some((RelocField::Immediate, high | u64::from(insn.imm().cast_unsigned())))
        }
        _ => None,
    }
}

/// A record: the type, the access and the kind, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Record {
    of: u32,
    access: u32,
    kind: u32,
}

/// Says what the language calls what is adjusted.
struct Namer<'b> {
    btf: &'b Btf,
    /// The number of steps of accesses that may still be looked through.
    steps: usize,
    /// The number of bytes of names and remarks that there may still be.
    text: usize,
    /// The remark if there would be more.
    too_many: Arc<str>,
}

impl Namer<'_> {
    fn relocated(&mut self, record: Record) -> Relocated {
        let (number, btf) = (record.kind as usize, self.btf);
        let core = CoreKind::ALL.get(number).copied();
        let (kind, named) = KINDS.get(number).copied().unwrap_or(("something", As::Nothing));
        let access = btf.string_within(record.access, record.of, LONGEST_ACCESS).ok();
        let indices = access.and_then(indices);
        let offset = matches!(named, As::Offset);
        let text = self.texts(record.of, indices.as_deref(), named);
        let (name, of) = text.unwrap_or_else(|| (None, format!("type {}", record.of)));
        let remark = format!("CO-RE: {kind}, {of} {}", shown(access.unwrap_or("?")));
        // Without a text, an access leads nowhere, and is refused as such.
        let access = access.filter(|_| indices.is_some()).unwrap_or_default();
        let length = name.as_ref().map_or(0, String::len) + remark.len() + access.len();
        match self.text.checked_sub(length) {
            Some(left) => self.text = left,
            None => {
                let (name, core, remark) = (None, None, Arc::clone(&self.too_many));
                return Relocated { name, core, offset, remark };
            }
        }
        let core = core.map(|kind| (kind, record.of, access.into()));
        Relocated { name: name.map(Into::into), core, offset, remark: remark.into() }
    }

    /// Returns the name of what is adjusted, if it has one, and the same for a remark; none if that takes too long.
    fn texts(
        &mut self,
        of: u32,
        indices: Option<&[u32]>,
        named: As,
    ) -> Option<(Option<String>, String)> {
        let simple = self.btf.get(of).is_ok_and(|of| {
            !matches!(
                of.body,
                Body::Pointer(_)
                    | Body::Array { .. }
                    | Body::Prototype { .. }
                    | Body::Function { .. }
                    | Body::Alias(_)
            ) || of.kind == Kind::Typedef
        });
        let cost = if simple { 0 } else { DECLARATION };
        self.steps = self.steps.checked_sub(1 + cost + indices.map_or(0, <[u32]>::len))?;
        let name = indices.and_then(|indices| self.name(of, indices, named));
        let declared = self.btf.declaration(of, "").unwrap_or_else(|_| format!("type {of}"));
        let field = indices.map_or_else(String::new, |indices| self.shown_path(of, indices));
        Some((name, format!("{}{field}", shown(&declared))))
    }

    /// Returns the name of what is adjusted, as the language has it.
    fn name(&self, id: u32, indices: &[u32], named: As) -> Option<String> {
        let btf = self.btf;
        let said = |what: &str, name: String| match what {
            "" => name,
            what => format!("{what}({name})"),
        };
        match named {
            As::Offset => self.path(id, indices).filter(|path| path.contains('.')),
            As::Field(what) => Some(said(what, self.path(id, indices)?)),
            As::Type(what) => Some(said(what, head(btf.get(id).ok()?)?)),
            As::Enumerator(what) => {
                let (Body::Enum { mut values, .. }, [index]) =
                    (btf.resolve(id).ok()?.body, indices)
                else {
                    return None;
                };
                let value = values.nth(*index as usize)?.ok()?.name;
                // Of an enumeration without a name, the enumerators are found in all.
                let of = btf.get(id).ok()?;
                let of = if of.name.is_empty() { "enum".to_owned() } else { head(of)? };
                Some(said(what, format!("{of}.{}", word(value)?)))
            }
            As::Nothing => None,
        }
    }

    /// Returns the names that an access leads over, bit-fields among them, for messages: `.b.c`; nothing where there are none.
    fn shown_path(&self, id: u32, indices: &[u32]) -> String {
        let mut path = String::new();
        let mut next = Some(id);
        for index in indices.iter().skip(1) {
            let Some(of) = next else { break };
            if path.len() > LONGEST_PATH {
                path.push('…');
                break;
            }
            next = match self.btf.resolve(of).map(|of| of.body) {
                Ok(Body::Composite { mut members, .. }) => match members.nth(*index as usize) {
                    Some(Ok(member)) => {
                        if !member.name.is_empty() {
                            path.push('.');
                            path.push_str(&shown(member.name));
                        }
                        Some(member.of)
                    }
                    _ => None,
                },
                Ok(Body::Array { element, .. }) => {
                    let _ = write!(path, "[{index}]");
                    Some(element)
                }
                _ => None,
            };
        }
        path
    }

    /// `pair.b.c[3]`: the indices are those of members and of elements of arrays, the first that of the struct in an array of them.
    fn path(&self, id: u32, indices: &[u32]) -> Option<String> {
        let btf = self.btf;
        let (0, indices) = indices.split_first().map(|(first, rest)| (*first, rest))? else {
            return None;
        };
        let mut path = head(btf.get(id).ok()?)?;
        let mut of = btf.resolve(id).ok()?;
        let mut named = true;
        for index in indices {
            let next = match of.body {
                Body::Composite { mut members, .. } => {
                    let member = members.nth(*index as usize)?.ok()?;
                    // Parts of bytes have no offset.
                    if member.bits.is_some() {
                        return None;
                    }
                    // The members of one without a name are found in the one around it.
                    named = !member.name.is_empty();
                    if named {
                        path.push('.');
                        path.push_str(word(member.name)?);
                    }
                    member.of
                }
                // Elements of what is no field have no names: `pairs_t[1].b` would be a value of a map.
                Body::Array { .. } if !(named && path.contains('.')) => return None,
                Body::Array { element, .. } => {
                    let _ = write!(path, "[{index}]");
                    element
                }
                _ => return None,
            };
            if path.len() > LONGEST_PATH {
                return None;
            }
            of = btf.resolve(next).ok()?;
        }
        named.then_some(path)
    }
}

/// Returns the numbers of an access; none if it is malformed.
fn indices(access: &str) -> Option<Vec<u32>> {
    let numbers = access.split(':').take(STEPS + 1).map(|index| index.parse().ok());
    numbers.collect::<Option<Vec<u32>>>().filter(|all| all.len() <= STEPS)
}

/// The name of a type that others begin with. Of those with a meaning of their own here, none is a type of the kernel.
fn head(of: Type<'_>) -> Option<String> {
    use Kind::{Enum, Enum64, Forward, Struct, Typedef, Union};
    let kind = matches!(of.kind, Struct | Union | Enum | Enum64 | Forward | Typedef);
    let own = matches!(of.name, "args" | "enum");
    if kind && !own { word(of.name).map(str::to_owned) } else { None }
}

/// Returns the name if the language can say it.
fn word(name: &str) -> Option<&str> {
    let letter = |letter: char| letter == '_' || letter.is_ascii_alphanumeric();
    let digit = name.starts_with(|first: char| first.is_ascii_digit());
    (!name.is_empty() && !digit && name.chars().all(letter)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::{ParseOptions, parse};
    use crate::btf::{Builder, Enumerator, Member};

    /// `struct btf_ext_header` with the part of relocations: one record, for the instruction at 24.
    fn ext(section: u32, record: [u32; 3], order: ByteOrder) -> Vec<u8> {
        // 32 bytes of header that say that there are no functions and no lines; then how long a record is.
        let header = [0x0001_eb9f, 32, 0, 0, 0, 0, 0, 28];
        let [of, access, kind] = record;
        let words = header.into_iter().chain([16, section, 1, 24, of, access, kind]);
        let bytes = |word: u32| match order {
            ByteOrder::Little => word.to_le_bytes(),
            ByteOrder::Big => word.to_be_bytes(),
        };
        words.flat_map(bytes).collect()
    }

    #[test]
    fn what_is_adjusted_has_a_name_or_a_remark() {
        let mut builder = Builder::new();
        let int = builder.int("int", 4, true);
        let member = |name, of, bit_offset| Member { name, of, bit_offset, bits: None };
        let pair =
            builder.composite("pair", false, 8, &[member("a", int, 0), member("b", int, 32)]);
        let pairs = builder.array(pair, int, 3);
        let either =
            builder.composite("", true, 24, &[member("pairs", pairs, 0), member("one", int, 0)]);
        let flag = Member { name: "flag", of: int, bit_offset: 192, bits: Some(1) };
        let odd = member("odd name", int, 224);
        let members = [member("", either, 0), flag, odd];
        let whole = builder.composite("whole___v2", false, 32, &members);
        let alias = builder.typedef("whole_t", whole);
        let array = builder.typedef("pairs_t", pairs);
        let unnamed_array = builder.composite("most", false, 24, &[member("", pairs, 0)]);
        let args = builder.composite("args", false, 4, &[member("a", int, 0)]);
        let values = [("NO", 0), ("YES", 1)].map(|(name, value)| Enumerator { name, value });
        let answer = builder.enumeration("answer", &values);
        let unnamed = builder.enumeration("", &values);
        let deep = builder.string(&"0:1".repeat(100));
        let section = builder.string("kprobe/x");
        // By the number in the kernel's header; whether the name is that of an offset.
        let rows = [
            (0, pair, "0:1", "pair.b"),
            (0, whole, "0:0:0:2:1", "whole___v2.pairs[2].b"),
            (0, alias, "0:0:1", "whole_t.one"),
            (1, whole, "0:0:0", "sizeof(whole___v2.pairs)"),
            (2, whole, "0:0:0:1:0", "exists(whole___v2.pairs[1].a)"),
            (1, pair, "0", "sizeof(pair)"),
            (8, pair, "0", "exists(pair)"),
            (9, alias, "0", "sizeof(whole_t)"),
            (10, answer, "1", "exists(answer.YES)"),
            (11, answer, "1", "answer.YES"),
            (11, unnamed, "0", "enum.NO"),
            // The struct itself, the second of an array, a part of bytes, the union without a name, names that cannot be said,
            // what there is not, and what has no name in the language.
            (0, pair, "0", ""),
            (0, pair, "1:1", ""),
            (0, whole, "0:1", ""),
            (2, whole, "0:0", ""),
            (0, whole, "0:2", ""),
            (0, args, "0:0", ""),
            (0, array, "0:1:1", ""),
            (1, array, "0:1", ""),
            (2, array, "0:1:0", ""),
            (0, unnamed_array, "0:0:1:1", ""),
            (0, pair, "0:2", ""),
            (0, pair, "0:1:0", ""),
            (0, pair, "", ""),
            (0, pair, "0:-1", ""),
            (9, int, "0", ""),
            (9, 999, "0", ""),
            (11, answer, "2", ""),
            (11, pair, "0", ""),
            (3, pair, "0:1", ""),
            (6, pair, "0", ""),
            (12, pair, "0", ""),
            (13, pair, "0", ""),
        ];
        let rows = rows.map(|(kind, of, access, name)| {
            let text = builder.string(access);
            ([of, text, kind], access, name)
        });
        let btf = Btf::new(builder.finish().unwrap()).unwrap();
        for order in [ByteOrder::Little, ByteOrder::Big] {
            for (record, access, name) in &rows {
                let found = relocations(&ext(section, *record, order), &btf, order).unwrap();
                let [found] = &found["kprobe/x"][&3][..] else { panic!("{found:?}") };
                assert_eq!(found.name.as_deref().unwrap_or_default(), *name, "{record:?} {access}");
                assert_eq!(found.offset, record[2] == 0);
                assert!(found.remark.starts_with("CO-RE: ") && found.remark.ends_with(access));
            }
            let all = ext(section, rows[0].0, order);
            for length in 0..all.len() {
                assert_eq!(relocations(&all[..length], &btf, order), None);
            }
            // Within a slot; and no part of relocations, or an empty one.
            for (at, value, expected) in [
                (44, 25, None),
                (4, 24, Some(Relocations::new())),
                (28, 0, Some(Relocations::new())),
            ] {
                let mut changed = all.clone();
                let value: u32 = value;
                changed[at..at + 4].copy_from_slice(&match order {
                    ByteOrder::Little => value.to_le_bytes(),
                    ByteOrder::Big => value.to_be_bytes(),
                });
                assert_eq!(relocations(&changed, &btf, order), expected, "{at}");
            }
            // The access of 101 steps is not kept.
            let deep = relocations(&ext(section, [pair, deep, 0], order), &btf, order).unwrap();
            let Relocated { name, core, .. } = &*deep["kprobe/x"][&3][0];
            assert_eq!(
                (name.as_deref(), core.clone()),
                (None, Some((CoreKind::FieldOffset, pair, "".into())))
            );
        }
    }

    /// Sections are distinguished by all of their names, and each relocation is for an instruction.
    #[test]
    fn long_names_of_sections_are_whole() {
        let long = |last: char| format!("fentry/{}{last}", "a".repeat(400));
        let mut builder = Builder::new();
        let pair = builder.composite("pair", false, 4, &[]);
        let access = builder.string("0");
        let sections = ['x', 'y'].map(|last| builder.string(&long(last)));
        let btf = Btf::new(builder.finish().unwrap()).unwrap();
        let one = ext(sections[0], [pair, access, 8], ByteOrder::NATIVE);
        let found = relocations(&one, &btf, ByteOrder::NATIVE).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), [&long('x')]);
        let (x, y) = (long('x'), long('y'));
        assert_eq!(astray(&found, &HashMap::from([(x.as_str(), 4)])), [""; 0]);
        for code in [HashMap::from([(x.as_str(), 3)]), HashMap::from([(y.as_str(), 99)])] {
            let [remark] = &astray(&found, &code)[..] else { panic!() };
            assert!(remark.contains("no instruction of section fentry/aaa"), "{remark}");
        }
    }

    /// `struct btf_ext_header` with records for one section.
    fn many(section: u32, records: &[[u32; 4]]) -> Vec<u8> {
        let count = records.len() as u32;
        let header = [0x0001_eb9f, 32, 0, 0, 0, 0, 0, 12 + 16 * count, 16, section, count];
        let words = header.into_iter().chain(records.iter().flatten().copied());
        words.flat_map(u32::to_ne_bytes).collect()
    }

    #[test]
    fn what_many_relocations_have_is_made_once_and_bounded() {
        let mut builder = Builder::new();
        let int = builder.int("int", 4, true);
        let members = ["a", "b"].map(|name| Member { name, of: int, bit_offset: 0, bits: None });
        let pair = builder.composite("pair", false, 8, &members);
        let accesses = ["0:0", "0:1"].map(|access| builder.string(access));
        let long = builder.string(&"0:1".repeat(1 << 16));
        let section = builder.string("xdp");
        let btf = Btf::new(builder.finish().unwrap()).unwrap();
        let records: Vec<_> = (0..100).map(|slot| [8 * slot, pair, accesses[0], 0]).collect();
        let found = relocations(&many(section, &records), &btf, ByteOrder::NATIVE).unwrap();
        let first = &found["xdp"][&0][0];
        assert!(found["xdp"].values().all(|one| one.len() == 1 && Arc::ptr_eq(&one[0], first)));
        // Of many for one instruction, two are enough to know that there is not one.
        let records = [[0, pair, accesses[0], 0]; 100];
        let found = relocations(&many(section, &records), &btf, ByteOrder::NATIVE).unwrap();
        assert_eq!(found["xdp"][&0].len(), 2);
        // Each at another place of the same long text.
        let records: Vec<_> = (0..100).map(|at| [8 * at, pair, long + at, 0]).collect();
        let found = relocations(&many(section, &records), &btf, ByteOrder::NATIVE).unwrap();
        let kept = found["xdp"].values().flatten();
        let kept =
            kept.map(|one| one.remark.len() + one.core.as_ref().map_or(0, |core| core.2.len()));
        assert!(kept.sum::<usize>() < 100 * 100);

        let too_many: Arc<str> = "too many".into();
        let namer = |steps, text| Namer { btf: &btf, steps, text, too_many: too_many.clone() };
        let record = |access| Record { of: pair, access: accesses[access], kind: 0 };
        // The first takes three steps; without a name it is adjusted all the same.
        let mut tired = namer(3, ALL_TEXT);
        assert_eq!(tired.relocated(record(0)).name.as_deref(), Some("pair.a"));
        let second = tired.relocated(record(1));
        assert_eq!((second.name.is_none(), second.core.is_some()), (true, true));
        // Without space it is not, and says so.
        let first = namer(99, ALL_TEXT).relocated(record(0));
        let mut full = namer(99, "pair.a".len() + first.remark.len() + "0:0".len());
        assert_eq!(full.relocated(record(0)), first);
        let second = full.relocated(record(1));
        assert!(second.core.is_none() && second.name.is_none());
        assert!(Arc::ptr_eq(&second.remark, &too_many));
    }

    #[test]
    fn a_name_takes_the_place_of_the_number() {
        let named = |name: &str, offset| Relocated {
            name: Some(name.into()),
            core: None,
            offset,
            remark: "".into(),
        };
        let op = |text: &str| {
            let module = parse(text, "x.s", &ParseOptions::new()).unwrap();
            Op::decode(module.programs()[0].slots()).unwrap()
        };
        for (text, offset, expected) in [
            ("r1 = *(u32 *)(r2 + 8)", true, "r1 = *(u32 *)(r2 + a.b)"),
            ("r1 = *(s16 *)(r2 - 8)", true, "r1 = *(s16 *)(r2 + a.b)"),
            ("*(u64 *)(r10 + 0) = r3", true, "*(u64 *)(r10 + a.b) = r3"),
            ("*(u8 *)(r3 + 8) = 8", true, "*(u8 *)(r3 + a.b) = 8"),
            ("r1 += 8", true, "r1 += a.b"),
            ("w1 = -8", false, "w1 = a.b"),
            ("r1 = 8 ll", false, "r1 = a.b ll"),
            ("r1 = 0x1122334455667788 ll", false, "r1 = a.b ll"),
            // A size is no offset, and the rest have no number that can be adjusted.
            ("r1 = *(u32 *)(r2 + 8)", false, ""),
            ("r1 += r2", true, ""),
            ("ld_pseudo r1, 1, 8", true, ""),
            ("if r1 == 8 goto +8", true, ""),
            ("exit", true, ""),
        ] {
            let statement = named("a.b", offset).statement(op(text)).unwrap_or_default();
            assert_eq!(statement, expected, "{text}");
            let none = Relocated { name: None, ..named("", offset) };
            assert_eq!(none.statement(op(text)), None);
        }
    }
}
