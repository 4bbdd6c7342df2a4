//! Types cut out of a blob: as much of them as leads to a field or an enumerator, for the CO-RE relocations of an object.

use super::builder::Builder;
use super::lookup::Wanted;
use super::path::{Head, Path, Step, To};
use super::{Body, Btf, BtfError, Field, KernelTypes, Kind, Type};
use crate::error::Result;
use std::fmt::Write;

/// The most arrays that lie one within the other.
const DEPTH: usize = 32;

/// A type, without what a relocation does not need of it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Copied {
    Int {
        name: String,
        size: u32,
        signed: bool,
        boolean: bool,
    },
    /// A pointer, to nothing in particular.
    Pointer,
    Array {
        element: Box<Copied>,
        len: u32,
    },
    /// With one member at most.
    Composite {
        name: String,
        union: bool,
        size: u32,
        member: Option<Box<Member>>,
    },
    /// With one value at most.
    Enum {
        name: String,
        wide: bool,
        size: u32,
        signed: bool,
        value: Option<(String, i128)>,
    },
    Typedef {
        name: String,
        of: Box<Copied>,
    },
    Float {
        name: String,
        size: u32,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    name: String,
    bit_offset: u32,
    of: Copied,
}

/// The end of a path, with the types on the way there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypeCopy {
    root: Copied,
    /// The way from there, as relocations have it: `0:0:3`.
    pub access: String,
}

impl TypeCopy {
    /// Writes the types; returns the number of the first.
    pub fn write(&self, builder: &mut Builder) -> u32 {
        self.root.write(builder)
    }
}

impl KernelTypes {
    /// Finds a field as [`KernelTypes::field`], and cuts out the types that lead to it.
    pub(crate) fn copy_field(&self, path: &str) -> Result<(Field, TypeCopy)> {
        self.find(|btf| {
            let path = Path::parse(path)?;
            btf.first_of(path.head, Wanted::PARTS, |found| {
                let field = btf.follow(found, &path)?;
                let root = btf.copy_path(found, &path.steps, &path)?;
                let mut access = "0".to_owned();
                for step in &path.steps {
                    // Structs have the one member that the path goes over.
                    let index = if let To::Element(index) = step.to { index } else { 0 };
                    let _ = write!(access, ":{index}");
                }
                Ok((field, TypeCopy { root: root.named(path.head.name), access }))
            })
        })
        .map(|(found, _)| found)
    }

    /// Finds a type as [`KernelTypes::size_of`], and cuts it out; with its size.
    pub(crate) fn copy_type(&self, name: &str) -> Result<(u32, TypeCopy)> {
        self.find(|btf| {
            let head = Head::parse(name);
            btf.first_of(head, Wanted::SIZE, |found| {
                let root = btf.copy_shallow(found, DEPTH)?.named(head.name);
                Ok((btf.size(found.id, name)?, TypeCopy { root, access: "0".into() }))
            })
        })
        .map(|(found, _)| found)
    }

    /// Finds an enumerator as [`KernelTypes::enumerator`], or in any enumeration, and cuts out the enumeration; with the value.
    pub(crate) fn copy_enumerator(&self, of: Option<&str>, name: &str) -> Result<(i128, TypeCopy)> {
        self.find(|btf| {
            let copied = |found: &Type<'_>, value: i128| {
                let root = btf.copy_shallow(found, DEPTH)?.with_value(name, value);
                Ok((value, TypeCopy { root, access: "0".into() }))
            };
            let Some(of) = of else {
                let (id, value) = btf.look_up_enumerator_and_type(name)?;
                let found = btf.get(id)?;
                if found.name.is_empty() {
                    let problem = "its enumeration has no name, by which CO-RE finds types";
                    return Err(BtfError::Path { path: name.into(), problem });
                }
                return copied(&found, value);
            };
            let value = btf.look_up_enumerator(of, name)?;
            let head = Head::parse(of);
            btf.first_of(head, Wanted::ENUM, |found| {
                let (value, copy) = copied(found, value)?;
                Ok((value, TypeCopy { root: copy.root.named(head.name), ..copy }))
            })
        })
        .map(|(found, _)| found)
    }
}

impl Btf {
    /// Copies a type as far as some steps lead, which have been found to lead somewhere.
    fn copy_path(
        &self,
        found: &Type<'_>,
        steps: &[Step<'_>],
        path: &Path<'_>,
    ) -> std::result::Result<Copied, BtfError> {
        let Some((step, rest)) = steps.split_first() else {
            return self.copy_shallow(found, DEPTH);
        };
        if found.kind == Kind::Typedef && Some(step) == path.first() {
            let of = self.resolve(found.id)?;
            let of = Box::new(self.copy_path_behind(&of, step, rest, path)?);
            return Ok(Copied::Typedef { name: found.name.into(), of });
        }
        self.copy_path_behind(&self.resolve(found.id)?, step, rest, path)
    }

    fn copy_path_behind(
        &self,
        found: &Type<'_>,
        step: &Step<'_>,
        rest: &[Step<'_>],
        path: &Path<'_>,
    ) -> std::result::Result<Copied, BtfError> {
        match (step.to, found.body) {
            (To::Field(name), Body::Composite { size, .. }) => {
                let (bit_offset, of) = self.member_place(found, name, path.before(step))?;
                let of = self.copy_path(&self.resolve(of)?, rest, path)?;
                let bit_offset = u32::try_from(bit_offset).map_err(|_| BtfError::Damaged {
                    id: found.id,
                    problem: "a part of it lies beyond 512 MiB",
                })?;
                let member = Member { name: name.into(), bit_offset, of };
                let (name, union) = (found.name.into(), found.kind == Kind::Union);
                Ok(Copied::Composite { name, union, size, member: Some(Box::new(member)) })
            }
            (To::Element(_), Body::Array { element, len, .. }) => {
                let element = Box::new(self.copy_path(&self.resolve(element)?, rest, path)?);
                Ok(Copied::Array { element, len })
            }
            _ => Err(BtfError::Damaged { id: found.id, problem: "a path does not lead over it" }),
        }
    }

    /// Copies a type without its members and values.
    fn copy_shallow(
        &self,
        found: &Type<'_>,
        depth: usize,
    ) -> std::result::Result<Copied, BtfError> {
        let endless = BtfError::Damaged { id: found.id, problem: "its arrays do not end" };
        let depth = depth.checked_sub(1).ok_or(endless)?;
        let name = found.name.to_owned();
        if found.kind == Kind::Typedef {
            let of = self.copy_shallow(&self.resolve(found.id)?, depth)?;
            return Ok(Copied::Typedef { name, of: Box::new(of) });
        }
        let found = self.resolve(found.id)?;
        let name = if found.kind == Kind::Void { name } else { found.name.to_owned() };
        Ok(match found.body {
            Body::Int { size, signed, boolean, .. } => Copied::Int { name, size, signed, boolean },
            Body::Pointer(_) => Copied::Pointer,
            Body::Array { element, len, .. } => {
                let element = self.copy_shallow(&self.resolve(element)?, depth)?;
                Copied::Array { element: Box::new(element), len }
            }
            Body::Composite { size, .. } => {
                let union = found.kind == Kind::Union;
                Copied::Composite { name, union, size, member: None }
            }
            Body::Enum { size, signed, .. } => {
                let wide = found.kind == Kind::Enum64;
                Copied::Enum { name, wide, size, signed, value: None }
            }
            Body::Float { size } => Copied::Float { name, size },
            _ => return Err(BtfError::NoSize { name, kind: found.kind }),
        })
    }
}

impl Copied {
    /// Gives it the name by which it was asked for: one with a flavour stays so.
    fn named(mut self, wanted: &str) -> Copied {
        match &mut self {
            Copied::Composite { name, .. }
            | Copied::Enum { name, .. }
            | Copied::Typedef { name, .. } => *name = wanted.into(),
            Copied::Int { .. } | Copied::Pointer | Copied::Array { .. } | Copied::Float { .. } => {}
        }
        self
    }

    /// Has an enumeration have one value.
    fn with_value(mut self, wanted: &str, number: i128) -> Copied {
        match &mut self {
            Copied::Enum { value, .. } => *value = Some((wanted.into(), number)),
            Copied::Typedef { of, .. } => **of = of.as_ref().clone().with_value(wanted, number),
            _ => {}
        }
        self
    }

    fn write(&self, builder: &mut Builder) -> u32 {
        match self {
            Copied::Int { name, size, signed, boolean } => {
                let encoding = u32::from(*signed) | u32::from(*boolean) << 2;
                let word = encoding << 24 | size.saturating_mul(8).min(128);
                builder.add(Kind::Int, name, 0, *size, &[word])
            }
            Copied::Pointer => builder.pointer(0),
            Copied::Array { element, len } => {
                let element = element.write(builder);
                let index = builder.index();
                builder.array(element, index, *len)
            }
            Copied::Composite { name, union, size, member } => {
                let members: Vec<_> = member
                    .iter()
                    .map(|member| super::Member {
                        name: &member.name,
                        of: member.of.write(builder),
                        bit_offset: member.bit_offset,
                        bits: None,
                    })
                    .collect();
                builder.composite(name, *union, *size, &members)
            }
            Copied::Enum { name, wide, size, signed, value } => {
                let mut words = Vec::new();
                if let Some((name, value)) = value {
                    // The bits are those of the kernel's own types.
                    words.extend([builder.string(name), *value as u32]);
                    words.extend(wide.then_some((*value >> 32) as u32));
                }
                let info = u32::from(*signed) << 31 | u32::from(value.is_some());
                let kind = if *wide { Kind::Enum64 } else { Kind::Enum };
                builder.add(kind, name, info, *size, &words)
            }
            Copied::Typedef { name, of } => {
                let of = of.write(builder);
                builder.typedef(name, of)
            }
            Copied::Float { name, size } => builder.add(Kind::Float, name, 0, *size, &[]),
        }
    }
}
