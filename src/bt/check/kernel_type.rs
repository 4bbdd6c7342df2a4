//! Types of the kernel, by BTF.

use super::debug_type::DebugTypes;
use super::type_name::Shape;
use super::{Checked, Checker};
use crate::bt::diagnostic::Diagnostic;
use crate::bt::source::Span;
use crate::bt::types::{
    Bits, BtfId, Definition, Enum, EnumId, Enums, Field, Int, Space, Struct, StructId, Structs,
    Type,
};
use crate::btf::{Body, Btf, BtfError, KernelTypes, Kind};
use crate::util::nearest::{Nearest, OFFERED};
use std::collections::HashMap;
use std::sync::Arc;

/// The maximum depth to which pointers, arrays and anonymous structs are followed.
pub(super) const DEPTH: usize = 24;

/// The most members that a value has that is printed, those of structs in it among them.
const MOST_MEMBERS: usize = 1 << 16;

/// The types that are known so far.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub structs: Structs,
    pub enums: Enums,
    by_btf: HashMap<BtfId, StructId>,
    enums_by_btf: HashMap<BtfId, EnumId>,
    /// Structs and unions of the script.
    pub script: HashMap<Arc<str>, StructId>,
    /// Typedefs of the script.
    pub typedefs: HashMap<Arc<str>, Type>,
    /// The structs of the script that are laid out.
    pub shapes: HashMap<StructId, Shape>,
    /// Enumerations of the script by name, with their integer types.
    pub script_enums: HashMap<Arc<str>, (EnumId, Int)>,
    /// Enumerators of the script, and those of BTF that were looked up.
    pub enumerators: HashMap<Arc<str>, Option<(i128, EnumId, Int)>>,
    /// Types of debug information.
    pub debug: DebugTypes,
}

impl Table {
    /// The type of that number in a blob.
    pub(super) fn of(
        &mut self,
        btf: &Btf,
        module: Option<&Arc<str>>,
        id: u32,
        space: Space,
        depth: usize,
    ) -> Result<Type, BtfError> {
        if depth > DEPTH {
            return Ok(Type::Void);
        }
        let found = btf.resolve(id)?;
        Ok(match found.body {
            Body::Int { boolean: true, size: 1, .. } => Type::Bool,
            Body::Int { size, signed, .. } if matches!(size, 1 | 2 | 4 | 8) => {
                Type::Int(Int { size: size as u8, signed })
            }
            Body::Int { size, .. } | Body::Float { size } => {
                Type::Array(Arc::new(Type::Int(Int::U8)), size)
            }
            Body::Pointer(to) => Type::pointer(self.of(btf, module, to, space, depth + 1)?, space),
            Body::Array { element, len, .. } => {
                // C's `char[n]` is text; other bytes are not.
                let text = btf.resolve(element)?;
                if len > 0 && text.kind == Kind::Int && text.name == "char" {
                    return Ok(Type::String(len));
                }
                Type::Array(Arc::new(self.of(btf, module, element, space, depth + 1)?), len)
            }
            Body::Composite { size, .. } => {
                let key = BtfId { module: module.cloned(), id: found.id };
                let union = found.kind == Kind::Union;
                Type::Struct(self.btf_struct(key, found.name, union, size))
            }
            Body::Forward { union } => {
                let key = BtfId { module: module.cloned(), id: found.id };
                Type::Struct(self.btf_struct(key, found.name, union, 0))
            }
            Body::Enum { size, signed, values } => {
                let key = BtfId { module: module.cloned(), id: found.id };
                let int = Int { size: size as u8, signed: signed && matches!(size, 1 | 2 | 4 | 8) };
                if let Some(id) = self.enums_by_btf.get(&key) {
                    return Ok(Type::Enum(*id, int));
                }
                let values =
                    values.map(|value| value.map(|value| (value.name.into(), value.value)));
                let values = values.collect::<Result<_, _>>()?;
                let id = self.enums.add(Enum { name: found.name.into(), values });
                self.enums_by_btf.insert(key, id);
                Type::Enum(id, int)
            }
            _ => Type::Void,
        })
    }

    fn btf_struct(&mut self, key: BtfId, name: &str, union: bool, size: u32) -> StructId {
        if let Some(id) = self.by_btf.get(&key) {
            return *id;
        }
        let definition = Definition::Btf(key.clone());
        let new = Struct {
            name: name.into(),
            union,
            size,
            fields: Vec::new(),
            complete: false,
            definition,
        };
        let id = self.structs.add(new);
        self.by_btf.insert(key, id);
        id
    }

    /// The fields of a struct in a blob, those of anonymous ones among them.
    fn fields(
        &mut self,
        btf: &Btf,
        module: Option<&Arc<str>>,
        id: u32,
        start: u32,
        depth: usize,
        fields: &mut Vec<Field>,
    ) -> Result<(), BtfError> {
        let Body::Composite { members, size, .. } = btf.resolve(id)?.body else { return Ok(()) };
        let end = u64::from(start) + u64::from(size);
        for member in members {
            let member = member?;
            let at = start.saturating_add(member.bit_offset / 8);
            if member.name.is_empty() && member.bits.is_none() {
                if depth < DEPTH {
                    self.fields(btf, module, member.of, at, depth + 1, fields)?;
                }
                continue;
            }
            let ty = self.of(btf, module, member.of, Space::Kernel, 0)?;
            let (offset, bits) = match (member.bits, ty.bit_unit()) {
                (Some(bits), Some(unit)) if bits <= u32::from(unit) * 8 => {
                    let place = u64::from(start) * 8 + u64::from(member.bit_offset);
                    let (offset, bits) = Bits::new(place, bits, unit, end);
                    (offset, Some(bits))
                }
                _ => (at, None),
            };
            fields.push(Field { name: member.name.into(), ty, offset, bits });
        }
        Ok(())
    }
}

/// The blob that a type is in.
pub(super) fn blob<'a>(types: &'a KernelTypes, module: Option<&str>) -> Result<&'a Btf, String> {
    let found = match module {
        None => types.vmlinux().map(|btf| Some(&**btf)),
        Some(module) => types.module(module),
    };
    match found {
        Ok(Some(btf)) => Ok(btf),
        Ok(None) => Err(format!("module {} has no types", module.unwrap_or_default())),
        Err(error) => Err(error.to_string()),
    }
}

impl<'a> Checker<'a> {
    /// Returns the kernel's types, or an error with the construct that needs them.
    pub(super) fn kernel_types(&mut self, span: Span, what: &str) -> Checked<&'a KernelTypes> {
        match self.environment.types() {
            Ok(types) => Ok(types),
            Err(problem) => {
                self.error(span, format!("{what}: the kernel's types are needed: {problem}"))
            }
        }
    }

    /// The type of a number in vmlinux or a module.
    pub(super) fn type_of_btf(
        &mut self,
        module: Option<&str>,
        id: u32,
        span: Span,
        space: Space,
    ) -> Checked<Type> {
        let types = self.kernel_types(span, "type")?;
        let module: Option<Arc<str>> = module.map(Into::into);
        let btf = match blob(types, module.as_deref()) {
            Ok(btf) => btf,
            Err(problem) => return self.error(span, problem),
        };
        match self.types.of(btf, module.as_ref(), id, space, 0) {
            Ok(ty) => Ok(ty),
            Err(error) => self.error(span, error.to_string()),
        }
    }

    /// A struct, union, enumeration or typedef of the kernel by its name.
    pub(super) fn named_kernel_type(&mut self, name: &str, kinds: &[Kind]) -> Option<Type> {
        let types = self.environment.types().ok()?;
        for kind in kinds {
            if let Ok((id, place)) = types.find_exact(|btf| btf.look_up_type(name, *kind)) {
                let module: Option<Arc<str>> = place.module.map(Into::into);
                return self.types.of(place.btf, module.as_ref(), id, Space::Kernel, 0).ok();
            }
        }
        None
    }

    /// An enumerator of the script or of the kernel: its value and its type.
    pub(super) fn enumerator(&mut self, name: &Arc<str>) -> Option<(i128, Type)> {
        if !self.types.enumerators.contains_key(name) {
            let found = self.kernel_enumerator(name);
            self.types.enumerators.insert(Arc::clone(name), found);
        }
        let found = self.types.enumerators.get(name).copied().flatten();
        found.map(|(value, id, int)| (value, Type::Enum(id, int)))
    }

    fn kernel_enumerator(&mut self, name: &str) -> Option<(i128, EnumId, Int)> {
        let types = self.environment.types().ok()?;
        let (found, place) = types.find_exact(|btf| btf.look_up_enumerator_and_type(name)).ok()?;
        let module: Option<Arc<str>> = place.module.map(Into::into);
        let ty = self.types.of(place.btf, module.as_ref(), found.0, Space::Kernel, 0).ok()?;
        match ty {
            Type::Enum(id, int) => Some((found.1, id, int)),
            _ => None,
        }
    }

    /// Reads the fields of a struct if that has not been done.
    pub(super) fn complete(&mut self, id: StructId, span: Span) -> Checked<()> {
        let Some(Struct { complete: false, definition, name, union, .. }) =
            self.types.structs.get(id).cloned()
        else {
            return Ok(());
        };
        let key = match definition {
            Definition::Script => return Ok(()),
            Definition::Debug(key) => return self.complete_debug(id, key, &name, span),
            Definition::Btf(key) => key,
        };
        let types = self.kernel_types(span, "struct")?;
        let mut key = key;
        let mut btf = match blob(types, key.module.as_deref()) {
            Ok(btf) => btf,
            Err(problem) => return self.error(span, problem),
        };
        let forward =
            matches!(btf.resolve(key.id).map(|found| found.body), Ok(Body::Forward { .. }));
        if forward {
            // It is only declared here: perhaps it is defined elsewhere.
            let kind = if union { Kind::Union } else { Kind::Struct };
            match types.type_id(&name, kind) {
                Ok((id, place)) => {
                    key = BtfId { module: place.module.map(Into::into), id };
                    btf = place.btf;
                }
                Err(_) => {
                    return self.error(
                        span,
                        format!("struct `{name}` is not defined in the kernel's types"),
                    );
                }
            }
        }
        let mut fields = Vec::new();
        let read = self.types.fields(btf, key.module.as_ref(), key.id, 0, 0, &mut fields);
        let size = match read.and_then(|()| btf.resolve(key.id)) {
            Ok(found) => match found.body {
                Body::Composite { size, .. } => size,
                _ => 0,
            },
            Err(error) => return self.error(span, error.to_string()),
        };
        if let Some(found) = self.types.structs.0.get_mut(id.0 as usize) {
            found.fields = fields;
            found.size = size;
            found.complete = true;
        }
        Ok(())
    }

    /// Reads the fields of a struct and of all that lie in it, so that a value of it can be printed.
    pub(super) fn complete_all(&mut self, ty: &Type, span: Span) -> Checked<()> {
        let mut left = MOST_MEMBERS;
        self.complete_within(ty, span, 0, &mut left)
    }

    fn complete_within(
        &mut self,
        ty: &Type,
        span: Span,
        depth: usize,
        left: &mut usize,
    ) -> Checked<()> {
        match ty {
            Type::Struct(id) => {
                // The types of a damaged file can contain themselves, and then there is no end to what is printed.
                let fields = match depth < DEPTH {
                    true => {
                        self.complete(*id, span)?;
                        self.types.structs.get(*id).map(|found| found.fields.clone())
                    }
                    false => None,
                };
                let fields = fields.filter(|fields| fields.len() <= *left);
                let Some(fields) = fields else {
                    let name = self.type_text(ty);
                    return self.error(span, format!("{name} has too many members to print it"));
                };
                *left -= fields.len();
                for field in fields {
                    self.complete_within(&field.ty, span, depth + 1, left)?;
                }
                Ok(())
            }
            Type::Array(of, _) => self.complete_within(&of.clone(), span, depth + 1, left),
            Type::Tuple(elements) => {
                for element in Arc::clone(elements).iter() {
                    self.complete_within(element, span, depth + 1, left)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A field of a struct by its name.
    pub(super) fn field(&mut self, id: StructId, name: &str, span: Span) -> Checked<Field> {
        self.complete(id, span)?;
        let fields = self.types.structs.get(id).map_or(&[][..], |found| &found.fields);
        if let Some(field) = fields.iter().find(|field| &*field.name == name) {
            return Ok(field.clone());
        }
        let mut nearest = Nearest::new(name, OFFERED);
        fields.iter().for_each(|field| nearest.offer(&field.name));
        let nearest = nearest.into_names();
        let owner = self.type_text(&Type::Struct(id));
        let message = format!("{owner} has no field `{name}`");
        self.report(Diagnostic::error(span, message).nearest(&nearest))
    }
}
