//! Types and parameters of the program that is probed, by its debug information.

use super::context::{Argument, Arguments, Place};
use super::kernel_type::{DEPTH, Table};
use super::{Checked, Checker};
use crate::bt::ast::TypeNameKind;
use crate::bt::diagnostic::Diagnostic;
use crate::bt::probe::AttachPoint;
use crate::bt::source::Span;
use crate::bt::types::{
    Bits, DebugId, Definition, Enum, EnumId, Field, Int, Space, Struct, StructId, Type,
};
use crate::user::dwarf::{self, DebugInfo, DwarfError, Opened, TypeId};
use crate::util::nearest::Nearest;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The debug information of files, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct DebugTypes {
    files: Vec<(String, Opened)>,
    structs: HashMap<DebugId, StructId>,
    /// Structs and unions by name: each unit that includes a header has a copy of its types.
    same: HashMap<Name, Vec<StructId>>,
    enums: HashMap<DebugId, EnumId>,
    same_enums: HashMap<Name, Vec<EnumId>>,
    /// The files of which it was reported that their types are not known.
    reported: HashSet<u32>,
    /// The types that were looked for by name, by file.
    named: HashMap<(u32, Named, Arc<str>), Option<Type>>,
}

/// The file, the scope and the name of a type.
type Name = (u32, dwarf::Scope, Arc<str>);

/// The most types of one name and scope that are compared with others. Programs have one, or a few.
const MOST_OF_A_NAME: usize = 16;

/// Returns the name of a type in scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Named {
    /// `struct NAME`
    Struct,
    /// `union NAME`
    Union,
    /// `enum NAME`
    Enum,
    /// `NAME`
    Word,
}

impl Named {
    /// Returns the name in scripts of a type that is pointed to.
    pub(super) fn of(name: &TypeNameKind) -> Named {
        match name {
            TypeNameKind::Struct(_) => Named::Struct,
            TypeNameKind::Union(_) => Named::Union,
            TypeNameKind::Enum(_) => Named::Enum,
            _ => Named::Word,
        }
    }

    fn find(self, info: &DebugInfo, name: &str) -> Result<Option<TypeId>, DwarfError> {
        match self {
            Named::Struct => info.struct_named(name),
            Named::Union => info.union_named(name),
            Named::Enum => info.enum_named(name),
            Named::Word => info.typedef_named(name),
        }
    }
}

/// The most fields of a struct. That of a damaged file can contain itself.
const MOST_FIELDS: usize = 1 << 16;

/// A size of C as one of the language.
fn size_of(size: u64) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// Types without a counterpart in the language.
fn bytes(size: u64) -> Type {
    match size {
        0 => Type::Void,
        size => Type::Array(Arc::new(Type::Int(Int::U8)), size_of(size)),
    }
}

fn int(size: u64, signed: bool) -> Option<Int> {
    matches!(size, 1 | 2 | 4 | 8).then_some(Int { size: size as u8, signed })
}

impl Table {
    /// The type at a place in the debug information of a file.
    fn of_debug(
        &mut self,
        info: &DebugInfo,
        file: u32,
        id: Option<TypeId>,
        depth: usize,
    ) -> Result<Type, DwarfError> {
        if depth > DEPTH {
            return Ok(Type::Void);
        }
        Ok(match info.resolve(id)? {
            dwarf::Type::Void | dwarf::Type::Function => Type::Void,
            dwarf::Type::Bool { size: 1 } => Type::Bool,
            dwarf::Type::Bool { size } => int(size, false).map_or_else(|| bytes(size), Type::Int),
            dwarf::Type::Int { size, signed, .. } => {
                int(size, signed).map_or_else(|| bytes(size), Type::Int)
            }
            dwarf::Type::Float { size, .. } | dwarf::Type::Other { size } => bytes(size),
            dwarf::Type::Pointer(to) => {
                Type::pointer(self.of_debug(info, file, to, depth + 1)?, Space::User)
            }
            dwarf::Type::Array { of, lengths, .. } => {
                let text = matches!(info.resolve(of)?, dwarf::Type::Int { character: true, .. });
                let mut ty = self.of_debug(info, file, of, depth + 1)?;
                for (index, length) in lengths.iter().rev().map(|one| size_of(*one)).enumerate() {
                    ty = match text && index == 0 && length > 0 {
                        true => Type::String(length),
                        false => Type::Array(Arc::new(ty), length),
                    };
                }
                ty
            }
            dwarf::Type::Composite { id, name, union, size, declared } => {
                // As by name, those of the script come first.
                if let Some(id) = self.script.get(name.as_str()) {
                    return Ok(Type::Struct(*id));
                }
                let key = DebugId { file, id };
                if let Some(id) = self.debug.structs.get(&key) {
                    return Ok(Type::Struct(*id));
                }
                let new = Struct {
                    name: name.into(),
                    union,
                    size: size_of(size),
                    fields: Vec::new(),
                    complete: false,
                    definition: Definition::Debug(key),
                };
                let id = self.debug_struct(info, key, new, declared)?;
                self.debug.structs.insert(key, id);
                Type::Struct(id)
            }
            dwarf::Type::Enum { id, name, size, signed } => {
                let Some(int) = int(size, signed) else { return Ok(bytes(size)) };
                let key = DebugId { file, id };
                if let Some(id) = self.debug.enums.get(&key) {
                    return Ok(Type::Enum(*id, int));
                }
                let values = info.enumerators(id)?;
                let values = values.into_iter().map(|(name, value)| (name.into(), value));
                let new = Enum { name: name.into(), values: values.collect() };
                let name = (file, info.scope(id)?, Arc::clone(&new.name));
                let same = self.debug.same_enums.entry(name).or_default();
                let is_same =
                    |id: &&EnumId| self.enums.get(**id).is_some_and(|one| one.values == new.values);
                let id = match same.iter().find(is_same) {
                    Some(id) => *id,
                    None => {
                        let id = self.enums.add(new);
                        if same.len() < MOST_OF_A_NAME {
                            same.push(id);
                        }
                        id
                    }
                };
                self.debug.enums.insert(key, id);
                Type::Enum(id, int)
            }
        })
    }

    /// Adds a struct or union, if it is not the same as one of another unit.
    fn debug_struct(
        &mut self,
        info: &DebugInfo,
        key: DebugId,
        new: Struct,
        declared: bool,
    ) -> Result<StructId, DwarfError> {
        if new.name.is_empty() {
            return Ok(self.structs.add(new));
        }
        let name = (key.file, info.scope(key.id)?, Arc::clone(&new.name));
        let same = self.debug.same.entry(name).or_default();
        for id in same.iter() {
            let Some(one) = self.structs.0.get_mut(id.0 as usize) else { continue };
            let Definition::Debug(known) = one.definition else { continue };
            if one.union != new.union {
                continue;
            }
            if declared {
                return Ok(*id);
            }
            if !one.complete && one.size == 0 {
                // It was only declared so far.
                (one.size, one.definition) = (new.size, new.definition);
                return Ok(*id);
            }
            if one.size == new.size && info.same(known.id, key.id) {
                return Ok(*id);
            }
        }
        let id = self.structs.add(new);
        if same.len() < MOST_OF_A_NAME {
            same.push(id);
        }
        Ok(id)
    }

    /// The fields of a struct, those of anonymous ones and of classes that it inherits from among them.
    fn debug_fields(
        &mut self,
        info: &DebugInfo,
        key: DebugId,
        start: u64,
        depth: usize,
        left: &mut usize,
        fields: &mut Vec<Field>,
    ) -> Result<(), DwarfError> {
        let size = match info.resolve(Some(key.id))? {
            dwarf::Type::Composite { size, .. } => size,
            _ => 0,
        };
        let end = (start / 8).saturating_add(size);
        for member in info.members(key.id)? {
            *left = left.checked_sub(1).ok_or(DwarfError::Damaged)?;
            let place = start.saturating_add(member.bit_offset);
            if place / 8 > u32::MAX.into() {
                return Err(DwarfError::Damaged);
            }
            if member.name.is_empty() && member.bits.is_none() {
                if let dwarf::Type::Composite { id, .. } = info.resolve(member.of)?
                    && depth < DEPTH
                {
                    let inner = DebugId { id, ..key };
                    self.debug_fields(info, inner, place, depth + 1, left, fields)?;
                }
                continue;
            }
            let ty = self.of_debug(info, key.file, member.of, 0)?;
            let (offset, bits) = match (member.bits, ty.bit_unit()) {
                (Some(bits), Some(unit)) if bits <= u32::from(unit) * 8 => {
                    let (offset, bits) = Bits::new(place, bits, unit, end);
                    (offset, Some(bits))
                }
                _ => (size_of(place / 8), None),
            };
            fields.push(Field { name: member.name.into(), ty, offset, bits });
        }
        Ok(())
    }
}

impl Checker<'_> {
    /// The file of the program or library that is probed.
    fn probed_file(&self) -> Option<String> {
        let instance = self.instances.get(self.current).unwrap_or(&self.preamble);
        match instance.attach_points.first()? {
            AttachPoint::Uprobe { path, .. } | AttachPoint::Usdt { path, .. } => Some(path.clone()),
            _ => None,
        }
    }

    /// The debug information of a file, and its number.
    fn debug_file(&mut self, path: &str) -> (u32, Opened) {
        let files = &mut self.types.debug.files;
        if let Some(index) = files.iter().position(|(one, _)| one == path)
            && let Some((_, opened)) = files.get(index)
        {
            return (index as u32, Opened::clone(opened));
        }
        let opened = self.environment.debug_info(path);
        files.push((path.to_owned(), Opened::clone(&opened)));
        ((files.len() - 1) as u32, opened)
    }

    /// A type of the program that is probed, by its name.
    pub(super) fn named_debug_type(
        &mut self,
        name: &Arc<str>,
        named: Named,
        span: Span,
    ) -> Option<Type> {
        let path = self.probed_file()?;
        let (file, opened) = self.debug_file(&path);
        let info = match &*opened {
            Ok(info) => info.as_ref()?,
            Err(error) => {
                self.unknown_types(file, &path, error, span);
                return None;
            }
        };
        let key = (file, named, Arc::clone(name));
        if let Some(found) = self.types.debug.named.get(&key) {
            return found.clone();
        }
        let found = match named.find(info, name) {
            Ok(Some(id)) => self.types.of_debug(info, file, Some(id), 0).map(Some),
            other => other.map(|_| None),
        };
        match found {
            Ok(found) => {
                self.types.debug.named.insert(key, found.clone());
                found
            }
            Err(error) => {
                self.unknown_types(file, &path, &error, span);
                None
            }
        }
    }

    /// Warns that a type is looked for in the kernel alone, since that of the probed file would come first.
    fn unknown_types(&mut self, file: u32, path: &str, error: &DwarfError, span: Span) {
        if self.last && self.types.debug.reported.insert(file) {
            self.warn(
                span,
                format!("{path}: {error}: types of this file are not known, only the script's and the kernel's"),
            );
        }
    }

    /// Offers the names of the structs of the program that is probed, of which one may be meant.
    pub(super) fn offer_structs(&mut self, nearest: &mut Nearest<'_>) {
        let Some(path) = self.probed_file() else { return };
        if let (_, opened) = self.debug_file(&path)
            && let Ok(Some(info)) = &*opened
        {
            // Without those behind something damaged.
            let _ = info.struct_names(|name| nearest.offer(name));
        }
    }

    /// Why types of the program that is probed are not known, if that is so.
    pub(super) fn debug_problem(&mut self) -> Option<String> {
        let path = self.probed_file()?;
        let (_, opened) = self.debug_file(&path);
        match &*opened {
            Ok(Some(_)) => None,
            Ok(None) => Some(format!("{path} has no debug information")),
            Err(error) => Some(format!("{path}: {error}")),
        }
    }

    /// The parameters of a function of a program or library.
    pub(super) fn program_parameters(
        &mut self,
        point: &AttachPoint,
        path: &str,
        function: &str,
        span: Span,
    ) -> Checked<Arguments> {
        let (file, opened) = self.debug_file(path);
        let found = match &*opened {
            Ok(Some(info)) => info.parameters(function).map(|found| Some((info, found))),
            Ok(None) => Ok(None),
            Err(error) => return self.debug_error(point, error, span),
        };
        let (info, parameters) = match found {
            Ok(Some((info, Some(parameters)))) => (info, parameters),
            Ok(found) => {
                let (what, hint) = match found {
                    Some(_) => (
                        "its debug information does not describe this function",
                        "functions of assembly language and of files compiled without -g have only arg0, arg1 …",
                    ),
                    None => (
                        "the file has no debug information, which args are known by",
                        "compile it with -g, install its debug symbols, or use arg0, arg1 …",
                    ),
                };
                let message = format!("{point}: {what}");
                return self.report(Diagnostic::error(span, message).hint(hint));
            }
            Err(error) => return self.debug_error(point, &error, span),
        };
        let mut arguments = Vec::new();
        for parameter in parameters {
            let place = match parameter.place {
                Ok(dwarf::Place::Register(number)) => Place::Register(number),
                Ok(dwarf::Place::Stack(number)) => Place::Stack(number),
                Err(what) => Place::Unsupported(what),
            };
            let ty = match self.types.of_debug(info, file, parameter.of, 0) {
                Ok(ty) => ty,
                Err(error) => return self.debug_error(point, &error, span),
            };
            arguments.push(Argument { name: parameter.name.into(), ty, place });
        }
        Ok(arguments)
    }

    fn debug_error<T>(
        &mut self,
        point: &AttachPoint,
        error: &DwarfError,
        span: Span,
    ) -> Checked<T> {
        match error {
            DwarfError::Unsupported(what) => self.unsupported(span, what),
            error => self.error(span, format!("{point}: args: {error}")),
        }
    }

    /// Reads the fields of a struct of debug information.
    pub(super) fn complete_debug(
        &mut self,
        id: StructId,
        key: DebugId,
        name: &Arc<str>,
        span: Span,
    ) -> Checked<()> {
        let Some((path, opened)) = self.types.debug.files.get(key.file as usize).cloned() else {
            return Ok(());
        };
        let Ok(Some(info)) = &*opened else { return Ok(()) };
        let mut key = key;
        let mut read = || {
            if let dwarf::Type::Composite { declared: true, .. } = info.resolve(Some(key.id))? {
                // Only its name is known here: perhaps it is defined in another unit.
                match info.definition(key.id)? {
                    Some(id) => key.id = id,
                    None => return Ok(None),
                }
            }
            let (mut fields, mut left) = (Vec::new(), MOST_FIELDS);
            self.types.debug_fields(info, key, 0, 0, &mut left, &mut fields)?;
            match info.resolve(Some(key.id))? {
                dwarf::Type::Composite { size, .. } => Ok(Some((size_of(size), fields))),
                _ => Ok(None),
            }
        };
        let (size, fields) = match read() {
            Ok(Some(found)) => found,
            Ok(None) => {
                let message = format!("struct `{name}` is only declared in {path}");
                return self.error(span, message);
            }
            Err(DwarfError::Unsupported(what)) => return self.unsupported(span, what),
            Err(error) => return self.error(span, format!("{path}: {error}")),
        };
        if let Some(found) = self.types.structs.0.get_mut(id.0 as usize) {
            found.fields = fields;
            found.size = size;
            found.definition = Definition::Debug(key);
            found.complete = true;
        }
        Ok(())
    }
}
