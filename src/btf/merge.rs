//! Types of several blobs in one, as a linker of objects wants them: each type once.

use super::reader::Record;
use super::types::KINDS;
use super::{Btf, BtfError, Builder, Kind, Variable};
use std::collections::HashMap;

/// The most words that are compared to find equal types: no real object comes near. Beyond that, types stay apart.
const MOST_COMPARED: usize = 1 << 24;

/// The most bytes of the names of all types together: many can have one long name.
const MOST_NAMES: usize = 1 << 26;

/// A type: one of the blobs, and the number that it has there.
pub(crate) type Origin = (usize, u32);

/// A section of variables in the merged blob.
#[derive(Debug, Clone)]
pub(crate) struct MergedSection<'a> {
    pub name: &'a str,
    pub size: u32,
    /// The variables, and their offsets and sizes.
    pub variables: Vec<(Origin, u32, u32)>,
}

/// The merged blob, in this machine's order.
#[derive(Debug)]
pub(crate) struct Merged {
    /// The number of each type of each blob there; 0 of a section.
    pub ids: Vec<Vec<u32>>,
    pub builder: Builder,
}

/// A type as it is compared and written: words of which some are names, and some types.
struct Node<'a> {
    kind: Kind,
    name: &'a str,
    info: u32,
    words: Vec<Word<'a>>,
}

#[derive(Clone, Copy)]
enum Word<'a> {
    Number(u32),
    Name(&'a str),
    /// By its place among all types; 0 is `void`.
    Type(usize),
}

/// The types of some blobs, one blob after the other.
pub(crate) struct Merge<'a> {
    /// `void` first, which all have in common.
    nodes: Vec<Node<'a>>,
    /// The places of the first type of each blob, that of number 1.
    starts: Vec<usize>,
    /// The definitions that stand for declarations.
    instead: HashMap<usize, usize>,
}

impl<'a> Merge<'a> {
    /// Takes the types of some blobs, none of which goes on from another.
    ///
    /// # Errors
    /// [`BtfError::Damaged`] if a type names one that there is not, [`BtfError::UnknownKind`] if nothing is known of one.
    pub fn new(blobs: &[&'a Btf]) -> Result<Merge<'a>, BtfError> {
        let void = Node { kind: Kind::Void, name: "", info: 0, words: Vec::new() };
        let mut merge = Merge { nodes: vec![void], starts: Vec::new(), instead: HashMap::new() };
        let mut names = 0;
        for btf in blobs {
            let start = merge.nodes.len();
            merge.starts.push(start);
            for record in btf.each_record() {
                let record = record?;
                let node = Node::new(btf, record, start)?;
                names += node.words.iter().map(Word::length).sum::<usize>() + node.name.len();
                if names > MOST_NAMES {
                    return Err(BtfError::TooLarge { what: "its names have more than 64 MiB" });
                }
                merge.nodes.push(node);
            }
        }
        Ok(merge)
    }

    fn place(&self, (blob, id): Origin) -> Option<usize> {
        let start = self.starts.get(blob)?;
        let end = self.starts.get(blob + 1).copied().unwrap_or(self.nodes.len());
        let place = start.checked_add(id.checked_sub(1)? as usize)?;
        (place < end).then_some(place)
    }

    /// Has one type stand for another one everywhere.
    pub fn replace(&mut self, declaration: Origin, definition: Origin) {
        if let (Some(from), Some(to)) = (self.place(declaration), self.place(definition)) {
            self.instead.insert(from, to);
        }
    }

    /// Writes the types, equal ones once, with these sections in place of their own.
    pub fn finish(self, sections: &[MergedSection<'_>]) -> Merged {
        let classes = self.classes();
        let mut builder = Builder::new();
        // Numbers are given out first: types name later ones.
        let mut numbers = vec![0_u32; self.nodes.len()];
        let mut first = HashMap::new();
        let mut kept = Vec::new();
        for (place, node) in self.nodes.iter().enumerate().skip(1) {
            if node.kind == Kind::Section || self.instead.contains_key(&place) {
                continue;
            }
            let class = classes.get(place).copied().unwrap_or_default();
            // Blobs have fewer types than 2^32 bytes.
            let next = kept.len() as u32 + 1;
            let number = *first.entry(class).or_insert(next);
            if number == next {
                kept.push(node);
            }
            if let Some(slot) = numbers.get_mut(place) {
                *slot = number;
            }
        }
        for (from, to) in &self.instead {
            let number = numbers.get(*to).copied().unwrap_or_default();
            if let Some(slot) = numbers.get_mut(*from) {
                *slot = number;
            }
        }
        let number = |place: usize| numbers.get(place).copied().unwrap_or_default();
        for node in kept {
            let words: Vec<u32> = node
                .words
                .iter()
                .map(|word| match word {
                    Word::Number(number) => *number,
                    Word::Name(name) => builder.string(name),
                    Word::Type(place) => number(*place),
                })
                .collect();
            builder.append(node.name, node.info, &words);
        }
        for section in sections {
            let variables = section.variables.iter().filter_map(|(of, offset, size)| {
                let of = number(self.place(*of)?);
                Some(Variable { of, offset: *offset, size: *size })
            });
            builder.section(section.name, section.size, &variables.collect::<Vec<_>>());
        }
        let mut ids = Vec::with_capacity(self.starts.len());
        for (blob, start) in self.starts.iter().enumerate() {
            let end = self.starts.get(blob + 1).copied().unwrap_or(numbers.len());
            let own = numbers.get(*start..end).unwrap_or_default();
            ids.push([0].into_iter().chain(own.iter().copied()).collect());
        }
        Merged { ids, builder }
    }

    /// Returns the class of each type. Types of one class look the same however far one follows the types that they name (bisimulation):
    /// at first all that look the same by themselves are in one class, and then each class is split by the classes of what its types
    /// name, until none is.
    fn classes(&self) -> Vec<usize> {
        let mut tags: HashMap<usize, Vec<(&str, u32)>> = HashMap::new();
        for node in &self.nodes {
            if let (Kind::DeclTag, [Word::Type(of), Word::Number(part)]) =
                (node.kind, &node.words[..])
            {
                tags.entry(*of).or_default().push((node.name, *part));
            }
        }
        let seen = |place: usize| self.instead.get(&place).copied().unwrap_or(place);
        let mut known = HashMap::new();
        let mut classes: Vec<usize> = Vec::with_capacity(self.nodes.len());
        for (place, node) in self.nodes.iter().enumerate() {
            let alone = node.is_of_its_blob().then_some(place);
            let plain: Vec<_> = node.words.iter().map(Word::plain).collect();
            // Tags are types that name what they are on: without this, one on a struct would be on all that look like it.
            let key = (node.kind, node.name, node.info, plain, tags.remove(&place), alone);
            let next = known.len();
            classes.push(*known.entry(key).or_insert(next));
        }
        let mut count = known.len();
        let words: usize = self.nodes.iter().map(|node| node.words.len() + 1).sum();
        let mut left = MOST_COMPARED;
        loop {
            let Some(rest) = left.checked_sub(words) else {
                return (0..self.nodes.len()).collect();
            };
            left = rest;
            let mut known = HashMap::new();
            let mut split = Vec::with_capacity(classes.len());
            for (place, node) in self.nodes.iter().enumerate() {
                let of = |place: usize| classes.get(seen(place)).copied().unwrap_or_default();
                let named = node.words.iter().filter_map(|word| match word {
                    Word::Type(place) => Some(of(*place)),
                    _ => None,
                });
                let key: Vec<usize> = [classes.get(place).copied().unwrap_or_default()]
                    .into_iter()
                    .chain(named)
                    .collect();
                let next = known.len();
                split.push(*known.entry(key).or_insert(next));
            }
            classes = split;
            if known.len() == count {
                return classes;
            }
            count = known.len();
        }
    }
}

impl Word<'_> {
    /// The word without the type that it names.
    fn plain(&self) -> Word<'_> {
        match self {
            Word::Type(0) | Word::Number(_) | Word::Name(_) => *self,
            Word::Type(_) => Word::Type(1),
        }
    }
}

impl Word<'_> {
    /// The length of the name.
    fn length(&self) -> usize {
        self.key().2.len()
    }
}

impl PartialEq for Word<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Word<'_> {}

impl std::hash::Hash for Word<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl<'a> Word<'a> {
    fn key(&self) -> (u8, usize, &'a str) {
        match self {
            Word::Number(number) => (0, *number as usize, ""),
            Word::Name(name) => (1, 0, name),
            Word::Type(place) => (2, *place, ""),
        }
    }
}

impl<'a> Node<'a> {
    fn new(btf: &'a Btf, record: Record<'a>, start: usize) -> Result<Node<'a>, BtfError> {
        let (id, kind, end) = (record.id, record.kind(), btf.end());
        let of = |of: u32| match of {
            0 => Ok(Word::Type(0)),
            of if of < end => Ok(Word::Type(start + of as usize - 1)),
            _ => Err(BtfError::Damaged { id, problem: "it names a type that there is not" }),
        };
        let name = |offset: u32| btf.name(offset, id).map(Word::Name);
        let first = match kind {
            Kind::Void => return Err(BtfError::Damaged { id, problem: "its kind is 0" }),
            Kind::Unknown => return Err(BtfError::UnknownKind { id, kind: record.kind_number() }),
            Kind::Pointer
            | Kind::Typedef
            | Kind::Volatile
            | Kind::Const
            | Kind::Restrict
            | Kind::TypeTag
            | Kind::Function
            | Kind::Prototype
            | Kind::Variable
            | Kind::DeclTag => of(record.size_or_type)?,
            _ => Word::Number(record.size_or_type),
        };
        let (fixed, each) = KINDS.get(kind as usize).map_or((0, 0), |row| (row.2, row.3));
        let (chunks, _) = record.tail.as_chunks::<4>();
        let mut words = vec![first];
        for (index, bytes) in chunks.iter().enumerate() {
            let word = u32::from_ne_bytes(*bytes);
            let part = index.checked_sub(fixed / 4).map(|index| index % (each / 4).max(1));
            words.push(match (kind, part) {
                (Kind::Array, _) if index < 2 => of(word)?,
                (Kind::Struct | Kind::Union | Kind::Prototype, Some(0)) => name(word)?,
                (Kind::Enum | Kind::Enum64, Some(0)) => name(word)?,
                (Kind::Struct | Kind::Union | Kind::Prototype, Some(1)) => of(word)?,
                (Kind::Section, Some(0)) => of(word)?,
                _ => Word::Number(word),
            });
        }
        Ok(Node { kind, name: btf.name(record.name, id)?, info: record.info(), words })
    }

    /// Whether another blob has another one, however much it looks like it: variables and functions that only their own object sees.
    fn is_of_its_blob(&self) -> bool {
        const STATIC: u32 = 0;
        match self.kind {
            Kind::Variable => self.words.get(1).is_some_and(|word| word.key().1 == STATIC as usize),
            Kind::Function => self.info & 0xffff == STATIC,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::{Body, Member, Parameter};

    fn member(name: &'static str, of: u32, bit_offset: u32) -> Member<'static> {
        Member { name, of, bit_offset, bits: None }
    }

    /// A list, whose nodes point to nodes, and a function that takes one.
    fn list(first: &str, value: &str) -> Btf {
        let mut builder = Builder::new();
        builder.int(first, 8, false);
        let value = builder.int(value, 4, true);
        // The struct, whose number is the next but one.
        let pointer = builder.pointer(value + 2);
        let node = builder.composite(
            "node",
            false,
            16,
            &[member("next", pointer, 0), member("value", value, 64)],
        );
        assert_eq!(node, value + 2);
        let prototype = builder.prototype(value, &[Parameter { name: "of", of: pointer }]);
        builder.function("own", prototype);
        builder.variable("shared", node);
        Btf::new(builder.finish().unwrap()).unwrap()
    }

    fn merged(blobs: &[&Btf]) -> (Btf, Vec<Vec<u32>>) {
        let Merged { ids, builder } = Merge::new(blobs).unwrap().finish(&[]);
        (Btf::new(builder.finish().unwrap()).unwrap(), ids)
    }

    #[test]
    fn types_that_name_each_other_are_there_once() {
        let (one, other) = (list("long", "int"), list("unsigned long", "int"));
        let (both, ids) = merged(&[&one, &other]);
        // All but the first type, and the function that only its object sees.
        assert_eq!(ids, [[0, 1, 2, 3, 4, 5, 6, 7], [0, 8, 2, 3, 4, 5, 9, 7]]);
        assert_eq!(both.end(), 10);
        assert_eq!(both.get(8).unwrap().name, "unsigned long");
        assert_eq!(both.declaration(9, "").unwrap(), one.declaration(6, "").unwrap());
    }

    #[test]
    fn a_difference_far_behind_keeps_types_apart() {
        let (one, other) = (list("long", "int"), list("long", "signed"));
        let (both, ids) = merged(&[&one, &other]);
        assert_eq!(ids, [[0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 8, 9, 10, 11, 12, 13]]);
        let Body::Composite { mut members, .. } = both.get(10).unwrap().body else { panic!() };
        let value = members.nth(1).unwrap().unwrap().of;
        assert_eq!(both.get(value).unwrap().name, "signed");
    }

    #[test]
    fn a_definition_stands_for_a_declaration() {
        let (one, other) = (list("long", "int"), list("long", "signed"));
        let mut merge = Merge::new(&[&one, &other]).unwrap();
        merge.replace((0, 7), (1, 7));
        let variables = vec![((0, 7), 8, 16)];
        let section = MergedSection { name: ".data", size: 24, variables };
        let Merged { ids, builder } = merge.finish(&[section]);
        let both = Btf::new(builder.finish().unwrap()).unwrap();
        assert_eq!(ids[0][7], ids[1][7]);
        let of = both.get(ids[0][7]).unwrap();
        let Body::Variable { of, .. } = of.body else { panic!("{of:?}") };
        assert_eq!(of, ids[1][4]);
        let section = both.types().last().unwrap().unwrap();
        let Body::Section { size: 24, mut variables } = section.body else { panic!() };
        let variable = variables.next().unwrap();
        assert_eq!((variable.of, variable.offset, variable.size), (ids[1][7], 8, 16));
    }

    #[test]
    fn a_type_that_is_not_there_is_an_error() {
        let mut builder = Builder::new();
        builder.pointer(7);
        let btf = Btf::new(builder.finish().unwrap()).unwrap();
        let Err(error) = Merge::new(&[&btf]) else { panic!() };
        assert!(matches!(error, BtfError::Damaged { id: 1, .. }), "{error}");
    }
}
