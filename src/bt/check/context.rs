//! The arguments of a probe: where they lie in the context of its program, and of which types they are.

use super::join::convert;
use super::kernel_type::blob;
use super::type_name::integer;
use super::{Checked, Checker};
use crate::bt::hir::{Access, Builtin, Expr, ExprKind};
use crate::bt::probe::AttachPoint;
use crate::bt::source::Span;
use crate::bt::types::{Int, Space, Type};
use crate::btf::Kind as BtfKind;
use crate::kernel::format;
use std::sync::Arc;

/// The arguments of a probe by name.
pub(super) type Arguments = Vec<Argument>;

/// An argument.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Argument {
    /// Its name; that of the result is [`RETVAL`].
    pub name: Arc<str>,
    /// Its type.
    pub ty: Type,
    /// The location of its value.
    pub place: Place,
}

/// The location of an argument's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// It lies in the context.
    Offset(u32),
    /// A `__data_loc` or `__rel_loc` field at that offset says where.
    Data {
        /// The offset of the field.
        offset: u32,
        /// Whether it counts from its own end.
        relative: bool,
    },
    /// It is `argN`.
    Register(u32),
    /// It is `sargN`.
    Stack(u32),
    /// Arguments of this kind are not supported.
    Unsupported(&'static str),
}

/// The name of the result of a function among its arguments.
pub(super) const RETVAL: &str = "$retval";

impl Checker<'_> {
    /// The arguments of an attach point, all of them.
    pub(super) fn arguments_of(&mut self, point: &AttachPoint, span: Span) -> Checked<Arguments> {
        match point {
            AttachPoint::Tracepoint { category, name } => {
                let fields = match self.environment.tracepoint(category, name) {
                    Ok(fields) => fields,
                    Err(problem) => return self.error(span, format!("{point}: {problem}")),
                };
                let space = if category == "syscalls" { Space::User } else { Space::Kernel };
                Ok(fields.iter().map(|field| self.tracepoint_field(field, space)).collect())
            }
            AttachPoint::RawTracepoint { name, .. } => {
                let types = self.kernel_types(span, "args of a raw tracepoint")?;
                // The typedef has the same parameters, but most kernels leave out their names there.
                let named = types.type_id(&format!("__traceiter_{name}"), BtfKind::Function);
                let wanted = format!("btf_trace_{name}");
                let (id, place) = match named.or(types.type_id(&wanted, BtfKind::Typedef)) {
                    Ok(found) => found,
                    Err(error) => return self.error(span, format!("{point}: {error}")),
                };
                let module = place.module.map(str::to_owned);
                // The first parameter is not one of the tracepoint's.
                self.parameters(module.as_deref(), id, 1, span)
            }
            AttachPoint::Fentry { module, function, exit } => {
                let types = self.kernel_types(span, "fentry and fexit")?;
                let found = match module.as_deref().filter(|module| *module != "vmlinux") {
                    None => types
                        .type_id(function, BtfKind::Function)
                        .map(|(id, place)| (id, place.module.map(str::to_owned)))
                        .map_err(|error| error.to_string()),
                    Some(module) => blob(types, Some(module)).and_then(|btf| {
                        let id = btf.type_id(function, BtfKind::Function);
                        id.map(|id| (id, Some(module.to_owned())))
                            .map_err(|error| error.to_string())
                    }),
                };
                let (id, module) = match found {
                    Ok(found) => found,
                    Err(problem) => return self.error(span, format!("{point}: {problem}")),
                };
                let mut arguments = self.parameters(module.as_deref(), id, 0, span)?;
                if *exit {
                    let result = self.result(module.as_deref(), id, span)?;
                    let offset = arguments.len() as u32 * 8;
                    let place = Place::Offset(offset);
                    arguments.push(Argument { name: RETVAL.into(), ty: result, place });
                }
                Ok(arguments)
            }
            AttachPoint::Uprobe { ret: false, path, function, offset, .. } => {
                if function.is_empty() || *offset > 0 {
                    let message = format!(
                        "{point}: args are known where a function begins: name it, without an offset"
                    );
                    return self.error(span, message);
                }
                self.program_parameters(point, path, function, span)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// The parameters of a function in BTF, eight bytes each.
    fn parameters(
        &mut self,
        module: Option<&str>,
        id: u32,
        skip: usize,
        span: Span,
    ) -> Checked<Arguments> {
        let types = self.kernel_types(span, "args")?;
        let btf = match blob(types, module) {
            Ok(btf) => btf,
            Err(problem) => return self.error(span, problem),
        };
        let function = match btf.function(id) {
            Ok(function) => function,
            Err(error) => return self.error(span, error.to_string()),
        };
        let module: Option<Arc<str>> = module.map(Into::into);
        let mut arguments = Vec::new();
        for (index, parameter) in function.parameters.iter().skip(skip).enumerate() {
            let ty = match self.types.of(btf, module.as_ref(), parameter.of, Space::Kernel, 0) {
                Ok(ty) => ty,
                Err(error) => return self.error(span, error.to_string()),
            };
            let place = Place::Offset(index as u32 * 8);
            arguments.push(Argument { name: parameter.name.into(), ty, place });
        }
        Ok(arguments)
    }

    fn result(&mut self, module: Option<&str>, id: u32, span: Span) -> Checked<Type> {
        let types = self.kernel_types(span, "retval")?;
        let found =
            blob(types, module).and_then(|btf| btf.function(id).map_err(|error| error.to_string()));
        match found {
            Ok(function) => self.type_of_btf(module, function.returns, span, Space::Kernel),
            Err(problem) => self.error(span, problem),
        }
    }

    /// Returns the argument for a field of a tracepoint, from its description in the `format` file.
    fn tracepoint_field(&mut self, field: &format::Field, space: Space) -> Argument {
        let name: Arc<str> = field.name.as_str().into();
        let declared = field.of.replace("const ", "").replace("volatile ", "");
        for (word, relative) in [("__data_loc", false), ("__rel_loc", true)] {
            if let Some(of) = declared.strip_prefix(word) {
                let of = of.trim().trim_end_matches("[]").trim();
                let to = self.declared_type(of, 1, false).unwrap_or(Type::Int(Int::U8));
                let ty = Type::pointer(to, Space::Kernel);
                let place = Place::Data { offset: field.offset, relative };
                return Argument { name, ty, place };
            }
        }
        let place = Place::Offset(field.offset);
        let ty = if let Some((of, _)) = declared.split_once('[') {
            self.array(of.trim(), field)
        } else if let Some(to) = declared.strip_suffix('*') {
            let to = self.pointee(to.trim(), space);
            Type::pointer(to, space)
        } else {
            let of = self.declared_type(&declared, field.size, field.signed);
            of.unwrap_or_else(|| Type::Array(Arc::new(Type::Int(Int::U8)), field.size))
        };
        Argument { name, ty, place }
    }

    fn array(&mut self, of: &str, field: &format::Field) -> Type {
        if of == "char" {
            return Type::String(field.size);
        }
        let element = match of.strip_suffix('*') {
            Some(_) => Some(Type::pointer(Type::Void, Space::Kernel)),
            None => integer(of).map(|int| Type::Int(Int { signed: field.signed, ..int })),
        };
        let element = element.unwrap_or(Type::Int(Int::U8));
        let size = element.size(&self.types.structs).max(1);
        Type::Array(Arc::new(element), field.size / size)
    }

    fn pointee(&mut self, to: &str, space: Space) -> Type {
        if let Some(to) = to.strip_suffix('*') {
            return Type::pointer(self.pointee(to.trim(), space), space);
        }
        self.declared_type(to, 0, false).unwrap_or(Type::Void)
    }

    /// A type as C declares it; of integers of a field, the size and sign are known.
    fn declared_type(&mut self, of: &str, size: u32, signed: bool) -> Option<Type> {
        if let Some(name) = of.strip_prefix("struct ").or_else(|| of.strip_prefix("union ")) {
            if let Some(id) = self.types.script.get(name) {
                return Some(Type::Struct(*id));
            }
            return self.named_kernel_type(name, &[BtfKind::Struct, BtfKind::Union]);
        }
        if of == "bool" && size <= 1 {
            return Some(Type::Bool);
        }
        if matches!(size, 1 | 2 | 4 | 8) && !(size == 1 && of == "char") {
            return Some(Type::Int(Int { size: size as u8, signed }));
        }
        integer(of).map(Type::Int)
    }

    /// Reads an argument.
    pub(super) fn read_argument(&self, argument: &Argument, span: Span) -> Expr {
        let context =
            Expr { kind: ExprKind::Context, ty: Type::pointer(Type::Void, Space::Kernel), span };
        let register = |builtin| {
            let whole = Expr { kind: ExprKind::Builtin(builtin), ty: Type::U64, span };
            // The bits above those of its type can be anything.
            let whole = match argument.ty {
                Type::Bool => convert(whole, &Type::Int(Int::U8)),
                _ => whole,
            };
            Expr { span, ..convert(whole, &argument.ty) }
        };
        let kind = match argument.place {
            Place::Register(number) => return register(Builtin::Arg(number)),
            Place::Stack(number) => return register(Builtin::StackArg(number)),
            // Nobody asks for one that was refused.
            Place::Unsupported(_) => ExprKind::Int(0),
            Place::Data { offset, relative } => ExprKind::DataLocation { offset, relative },
            Place::Offset(offset) => ExprKind::Load {
                address: Box::new(context),
                offset: offset.into(),
                access: Access::Context,
                bits: None,
            },
        };
        Expr { kind, ty: argument.ty.clone(), span }
    }
}
