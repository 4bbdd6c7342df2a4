//! Types as scripts write them, and those that they define.

use super::debug_type::Named;
use super::join::constant;
use super::{Checked, Checker, MAX_BYTES, MAX_PARTS, MAX_VALUE, Stop};
use crate::bt::ast::{
    self, FieldDefinition, StructDefinition, TypeDefinition, TypeName, TypeNameKind,
};
use crate::bt::diagnostic::Diagnostic;
use crate::bt::source::Span;
use crate::bt::types::{Bits, Definition, Enum, Field, Int, Space, Struct, StructId, Type};
use crate::btf::{BtfError, Kind};
use crate::util::nearest::{Nearest, OFFERED};
use std::collections::HashSet;
use std::sync::Arc;

/// Names of integers, with their sizes; those that begin with `u`, `__u` or `unsigned` are unsigned.
const INTEGERS: [(&str, u8); 60] = [
    ("uint8", 1),
    ("uint16", 2),
    ("uint32", 4),
    ("uint64", 8),
    ("int8", 1),
    ("int16", 2),
    ("int32", 4),
    ("int64", 8),
    ("uint8_t", 1),
    ("uint16_t", 2),
    ("uint32_t", 4),
    ("uint64_t", 8),
    ("int8_t", 1),
    ("int16_t", 2),
    ("int32_t", 4),
    ("int64_t", 8),
    ("u8", 1),
    ("u16", 2),
    ("u32", 4),
    ("u64", 8),
    ("s8", 1),
    ("s16", 2),
    ("s32", 4),
    ("s64", 8),
    ("__u8", 1),
    ("__u16", 2),
    ("__u32", 4),
    ("__u64", 8),
    ("__s8", 1),
    ("__s16", 2),
    ("__s32", 4),
    ("__s64", 8),
    ("char", 1),
    ("signed char", 1),
    ("unsigned char", 1),
    ("short", 2),
    ("unsigned short", 2),
    ("int", 4),
    ("unsigned int", 4),
    ("long", 8),
    ("unsigned long", 8),
    ("long long", 8),
    ("unsigned long long", 8),
    ("usize_t", 8),
    ("ssize_t", 8),
    ("uintptr_t", 8),
    ("intptr_t", 8),
    ("off_t", 8),
    ("loff_t", 8),
    ("pid_t", 4),
    ("uid_t", 4),
    ("gid_t", 4),
    ("__be16", 2),
    ("__be32", 4),
    ("__be64", 8),
    ("__le16", 2),
    ("__le32", 4),
    ("__le64", 8),
    ("size_t", 8),
    ("sector_t", 8),
];

/// Unsigned types whose name does not begin with `u` or `__u`.
const UNSIGNED: [&str; 8] =
    ["__be16", "__be32", "__be64", "__le16", "__le32", "__le64", "size_t", "sector_t"];

/// The integer type of a name.
pub(super) fn integer(name: &str) -> Option<Int> {
    let (_, size) = INTEGERS.iter().find(|(one, _)| *one == name)?;
    let signed = !(name.starts_with(['u']) || name.starts_with("__u") || UNSIGNED.contains(&name));
    Some(Int { size: *size, signed })
}

/// The layout of a struct so far: the offset of the next field, in bits.
struct Layout {
    at: u64,
    align: u32,
    size: u64,
    /// The levels of structs so far, this one included.
    levels: usize,
}

/// The alignment in C of a struct that a script has defined, and the levels of structs of scripts in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    align: u32,
    levels: usize,
}

impl<'a> Checker<'a> {
    /// The type that a script means.
    pub(super) fn type_named(&mut self, name: &'a TypeName, space: Space) -> Checked<Type> {
        match &name.kind {
            TypeNameKind::Named(word) => self.word_type(word, name.span),
            TypeNameKind::Struct(word) | TypeNameKind::Union(word) => {
                let union = matches!(name.kind, TypeNameKind::Union(_));
                self.struct_type(word, union, name.span)
            }
            TypeNameKind::Enum(word) => {
                if let Some((id, int)) = self.types.script_enums.get(word) {
                    return Ok(Type::Enum(*id, *int));
                }
                if let Some(ty) = self.named_debug_type(word, Named::Enum, name.span) {
                    return Ok(ty);
                }
                match self.named_kernel_type(word, &[Kind::Enum, Kind::Enum64]) {
                    Some(ty) => Ok(ty),
                    None => self.error(name.span, format!("unknown enum: `{word}`")),
                }
            }
            TypeNameKind::Inline(definition) => self.define_struct(definition).map(Type::Struct),
            TypeNameKind::Pointer(to) => {
                let to = match &to.kind {
                    // What is only pointed to need not be known.
                    TypeNameKind::Struct(word) | TypeNameKind::Union(word)
                        if self.last
                            && self.environment.types().is_err()
                            && !self.types.script.contains_key(word)
                            && self
                                .named_debug_type(word, Named::of(&to.kind), to.span)
                                .is_none() =>
                    {
                        let _: Checked<()> = self.unknown_struct(word, to.span);
                        return Err(Stop);
                    }
                    _ => self.type_named(to, space)?,
                };
                self.bounded(Type::pointer(to, space), name.span)
            }
            TypeNameKind::Array(of, length) => {
                let text = matches!(&of.kind, TypeNameKind::Named(word) if matches!(&**word, "char" | "string"));
                let of = self.type_named(of, space)?;
                let length = match length {
                    None => 0,
                    Some(length) => {
                        let value = self.value(length)?;
                        let Some(value) = constant(&value) else {
                            return self
                                .error(length.span, "length of an array: expected a constant");
                        };
                        match u32::try_from(value).ok().filter(|value| *value <= MAX_BYTES) {
                            Some(value) => value,
                            None => {
                                let message = format!(
                                    "length of an array: {value}, expected 0 to {MAX_BYTES}"
                                );
                                return self.error(length.span, message);
                            }
                        }
                    }
                };
                if text && length > 0 {
                    // One of C can be larger, since it is not held but read in part.
                    if length > MAX_VALUE && matches!(space, Space::Kernel) {
                        let message =
                            format!("length of a string: {length}, expected 0 to {MAX_VALUE}");
                        return self.error(name.span, message);
                    }
                    return Ok(Type::String(length));
                }
                self.bounded(Type::Array(Arc::new(of), length), name.span)
            }
            TypeNameKind::Tuple(elements) => {
                let elements = elements.iter().map(|element| self.type_named(element, space));
                let elements = elements.collect::<Checked<Vec<_>>>()?;
                self.bounded(Type::Tuple(elements.into()), name.span)
            }
            TypeNameKind::Typeof(of) => {
                let value = self.value(of)?;
                self.storable(&value)
            }
        }
    }

    fn word_type(&mut self, word: &Arc<str>, span: Span) -> Checked<Type> {
        if let Some(int) = integer(word) {
            return Ok(Type::Int(int));
        }
        if let Some(ty) = self.types.typedefs.get(word) {
            return Ok(ty.clone());
        }
        match &**word {
            "bool" => return Ok(Type::Bool),
            "void" => return Ok(Type::Void),
            "string" => return Ok(Type::String(self.config.max_strlen)),
            "float" | "double" => return self.unsupported(span, "floating-point numbers"),
            "inet" => return Ok(Type::Inet),
            _ => {}
        }
        if let Some(id) = self.types.script.get(word) {
            return Ok(Type::Struct(*id));
        }
        if let Some((id, int)) = self.types.script_enums.get(word) {
            return Ok(Type::Enum(*id, *int));
        }
        if let Some(ty) = self.named_debug_type(word, Named::Word, span) {
            return Ok(ty);
        }
        let kinds = [Kind::Typedef, Kind::Struct, Kind::Union, Kind::Enum, Kind::Enum64];
        if let Some(ty) = self.named_kernel_type(word, &kinds) {
            return Ok(ty);
        }
        let mut nearest = Nearest::new(word, OFFERED);
        INTEGERS.iter().for_each(|(name, _)| nearest.offer(name));
        self.types.script.keys().for_each(|name| nearest.offer(name));
        let nearest = nearest.into_names();
        self.report(Diagnostic::error(span, format!("unknown type: `{word}`")).nearest(&nearest))
    }

    fn struct_type(&mut self, word: &Arc<str>, union: bool, span: Span) -> Checked<Type> {
        if let Some(id) = self.types.script.get(word) {
            return Ok(Type::Struct(*id));
        }
        let (kind, named) = match union {
            true => (Kind::Union, Named::Union),
            false => (Kind::Struct, Named::Struct),
        };
        if let Some(ty) = self.named_debug_type(word, named, span) {
            return Ok(ty);
        }
        if let Some(ty) = self.named_kernel_type(word, &[kind]) {
            return Ok(ty);
        }
        self.unknown_struct(word, span)
    }

    fn unknown_struct<T>(&mut self, word: &str, span: Span) -> Checked<T> {
        let mut diagnostic = Diagnostic::error(span, format!("unknown struct or union: `{word}`"));
        if let Some(hint) = self.debug_problem() {
            diagnostic = diagnostic.hint(hint);
        }
        match self.environment.types() {
            Err(problem) => {
                diagnostic =
                    diagnostic.hint(format!("the kernel's types cannot be read: {problem}"))
            }
            Ok(types) if self.last => {
                let mut nearest = Nearest::new(word, OFFERED);
                self.offer_structs(&mut nearest);
                let nearest = nearest.into_names();
                if !nearest.is_empty() {
                    diagnostic = diagnostic.nearest(&nearest);
                } else if let Err(error) = types.type_id(word, Kind::Struct)
                    && let Some(BtfError::NoType { nearest, .. }) = error.btf()
                {
                    diagnostic = diagnostic.nearest(nearest);
                }
            }
            Ok(_) => {}
        }
        self.report(diagnostic)
    }

    /// Defines the types of the script, in order.
    pub(super) fn define_types(&mut self) {
        // Names first: definitions may refer to later ones.
        for definition in &self.script.types {
            if let TypeDefinition::Struct(StructDefinition { name: Some(name), union, .. }) =
                definition
            {
                let new = Struct {
                    name: Arc::clone(&name.node),
                    union: *union,
                    size: 0,
                    fields: Vec::new(),
                    complete: true,
                    definition: Definition::Script,
                };
                if self.types.script.contains_key(&name.node) {
                    let _: Checked<()> =
                        self.error(name.span, format!("`{}` is defined already", name.node));
                    continue;
                }
                let id = self.types.structs.add(new);
                self.types.script.insert(Arc::clone(&name.node), id);
            }
        }
        for definition in &self.script.types {
            if self.diagnostics.are_enough() {
                return;
            }
            match definition {
                TypeDefinition::Struct(definition) => {
                    let done = self.define_struct(definition);
                    let name = definition.name.as_ref().map(|name| &name.node);
                    if done.is_err()
                        && let Some(id) = name.and_then(|name| self.types.script.get(name))
                    {
                        // So that its users are not reported as well.
                        self.types.shapes.insert(*id, Shape { align: 1, levels: 1 });
                        if let Some(known) = self.types.structs.0.get_mut(id.0 as usize) {
                            known.size = 1;
                        }
                    }
                }
                TypeDefinition::Enum(definition) => drop(self.define_enum(definition)),
                TypeDefinition::Typedef(name, ty) => {
                    let ty = self.type_named(ty, Space::Kernel).unwrap_or(Type::I64);
                    self.types.typedefs.insert(Arc::clone(&name.node), ty);
                }
            }
        }
    }

    fn define_enum(&mut self, definition: &'a ast::EnumDefinition) -> Checked<()> {
        let (mut values, mut next) = (Vec::new(), 0_i128);
        let name = definition.name.as_ref().map_or("".into(), |name| Arc::clone(&name.node));
        let id = self.types.enums.add(Enum { name: Arc::clone(&name), values: Vec::new() });
        for (name, value) in &definition.values {
            if let Some(value) = value {
                let checked = self.value(value)?;
                let Some(value) = constant(&checked) else {
                    return self.error(value.span, format!("`{}`: expected a constant", name.node));
                };
                next = value;
            }
            values.push((Arc::clone(&name.node), next));
            // Later values can be made of it.
            let size = if i32::try_from(next).is_ok() { 4 } else { 8 };
            let int = Int { size, signed: next <= i64::MAX.into() };
            self.types.enumerators.insert(Arc::clone(&name.node), Some((next, id, int)));
            next += 1;
        }
        let wide = |(_, value): &(_, i128)| {
            i32::try_from(*value).is_err() && u32::try_from(*value).is_err()
        };
        let signed = values.iter().any(|(_, value)| *value < 0);
        let int = Int { size: if values.iter().any(wide) { 8 } else { 4 }, signed };
        if let Some(known) = self.types.enums.0.get_mut(id.0 as usize) {
            known.values = values.clone();
        }
        for (name, value) in values {
            self.types.enumerators.insert(name, Some((value, id, int)));
        }
        if !name.is_empty() {
            self.types.script_enums.insert(name, (id, int));
        }
        Ok(())
    }

    fn define_struct(&mut self, definition: &'a StructDefinition) -> Checked<StructId> {
        let mut layout = Layout { at: 0, align: 1, size: 0, levels: 1 };
        let mut fields = Vec::new();
        for field in &definition.fields {
            self.define_field(field, definition, &mut layout, &mut fields)?;
            // Sums stay far below what the integers hold.
            if layout.size.div_ceil(8) > MAX_BYTES.into() {
                let message = format!("a type of more than {MAX_BYTES} bytes");
                return self.error(field.ty.span, message);
            }
            // Those of anonymous structs are among them, so that a chain of structs doubles them.
            if fields.len() > MAX_PARTS {
                let message = format!("a struct of more than {MAX_PARTS} fields");
                return self.error(field.ty.span, message);
            }
        }
        let mut names = HashSet::new();
        if let Some(twice) = fields.iter().find(|field| !names.insert(&field.name)) {
            let message = format!("`{}` is a field already", twice.name);
            let names = definition.fields.iter().rev().filter_map(|field| field.name.as_ref());
            let place = names.clone().find(|name| name.node == twice.name).map(|name| name.span);
            return self.error(place.unwrap_or(definition.span), message);
        }
        let align = if definition.packed { 1 } else { layout.align.max(1) };
        let size = layout.size.div_ceil(8).next_multiple_of(align.into());
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        let shape = Shape { align, levels: layout.levels };
        let name = definition.name.as_ref().map_or("".into(), |name| Arc::clone(&name.node));
        let known = self.types.script.get(&name).copied().filter(|_| !name.is_empty());
        let union = definition.union;
        let definition = Definition::Script;
        let new = Struct { name, union, size, fields, complete: true, definition };
        let known = known
            .and_then(|id| self.types.structs.0.get_mut(id.0 as usize).map(|place| (id, place)));
        let id = match known {
            Some((id, place)) => {
                *place = new;
                id
            }
            None => self.types.structs.add(new),
        };
        self.types.shapes.insert(id, shape);
        Ok(id)
    }

    /// Returns the shape of the struct of the script that values of a type hold, if they hold one.
    fn held_shape(&mut self, ty: &Type, span: Span) -> Checked<Option<Shape>> {
        let id = match ty {
            Type::Struct(id) => *id,
            Type::Array(of, _) => return self.held_shape(of, span),
            _ => return Ok(None),
        };
        let found = self.types.structs.get(id);
        if !found.is_some_and(|found| matches!(found.definition, Definition::Script)) {
            return Ok(None);
        }
        match self.types.shapes.get(&id) {
            Some(shape) => Ok(Some(*shape)),
            None => {
                let message = format!("{} is not defined before this", self.type_text(ty));
                self.error(span, message)
            }
        }
    }

    /// Lays out a field as C does.
    fn define_field(
        &mut self,
        field: &'a FieldDefinition,
        of: &'a StructDefinition,
        layout: &mut Layout,
        fields: &mut Vec<Field>,
    ) -> Checked<()> {
        let ty = self.type_named(&field.ty, Space::User)?;
        if let Type::Struct(id) = ty {
            self.complete(id, field.ty.span)?;
        }
        let levels = self.held_shape(&ty, field.ty.span)?.map_or(0, |shape| shape.levels);
        layout.levels = layout.levels.max(levels + 1);
        if layout.levels > ast::MAX_DEPTH {
            let message = format!("structs nested too deeply: more than {} levels", ast::MAX_DEPTH);
            return self.error(field.ty.span, message);
        }
        let size = ty.size(&self.types.structs);
        if size == 0 && !matches!(ty, Type::Array(_, 0)) && !matches!(ty, Type::Struct(_)) {
            return self.error(
                field.ty.span,
                format!("a field cannot be of type {}", self.type_text(&ty)),
            );
        }
        let align = if of.packed { 1 } else { self.c_align(&ty) };
        let unit = u64::from(size) * 8;
        if of.union {
            layout.at = 0;
        }
        let bits = match &field.bits {
            None => {
                layout.at = layout.at.next_multiple_of(u64::from(align) * 8);
                None
            }
            Some(bits) => {
                let width = bits.node;
                if ty.int().is_none() && ty != Type::Bool
                    || width > unit
                    || width == 0 && field.name.is_some()
                {
                    return self.error(
                        bits.span,
                        format!("bit-field: {width} bits, expected 1 to {unit}"),
                    );
                }
                if width == 0 || !of.packed && layout.at % unit + width > unit {
                    layout.at = layout.at.next_multiple_of(unit);
                }
                Some(width)
            }
        };
        layout.align = layout.align.max(align);
        let start = layout.at;
        layout.at += bits.unwrap_or(unit);
        layout.size = layout.size.max(layout.at);
        let offset = u32::try_from(start / 8).unwrap_or(u32::MAX);
        let Some(name) = &field.name else {
            // The fields of an anonymous struct are those of the outer one.
            if let Type::Struct(id) = ty {
                let inner = self.types.structs.get(id).map(|inner| inner.fields.clone());
                fields.extend(
                    inner.unwrap_or_default().into_iter().map(|field| Field {
                        offset: field.offset.saturating_add(offset),
                        ..field
                    }),
                );
            }
            return Ok(());
        };
        let (offset, bits) = match bits {
            Some(width) => {
                // The end of one that is packed is not known yet, and can lie within a unit.
                let end = if of.packed { 0 } else { u64::MAX };
                let (offset, bits) = Bits::new(start, width as u32, size as u8, end);
                (offset, Some(bits))
            }
            None => (offset, None),
        };
        fields.push(Field { name: Arc::clone(&name.node), ty, offset, bits });
        Ok(())
    }

    /// The alignment of a type in C.
    fn c_align(&self, ty: &Type) -> u32 {
        match ty {
            Type::Struct(id) if self.types.shapes.contains_key(id) => {
                self.types.shapes.get(id).map_or(1, |shape| shape.align)
            }
            Type::Struct(id) => {
                let found = self.types.structs.get(*id);
                let fields = found.map_or(&[][..], |found| &found.fields);
                let align = fields.iter().map(|field| self.c_align(&field.ty)).max().unwrap_or(1);
                // One of a packed struct is not aligned.
                if found.is_some_and(|found| found.size % align != 0) { 1 } else { align }
            }
            Type::Array(of, _) => self.c_align(of),
            other => other.align(&self.types.structs),
        }
    }
}
