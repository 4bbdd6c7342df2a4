//! The arguments of a program at an attach point.

use super::Places;
use crate::btf::{Btf, BtfError, KernelTypes, Kind};
use crate::error::{Error, Result};
use crate::kernel::format;
use crate::spec::attach_point::Arguments as Meaning;
use std::collections::HashMap;

/// One argument of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Argument {
    /// Its name; `ret` is what a function returns.
    pub name: String,
    /// As C declares it: `struct file *file`.
    pub declaration: String,
    /// The offset of a tracepoint's field in the context, in bytes.
    pub offset: Option<u32>,
    /// The size of a tracepoint's field, in bytes.
    pub size: Option<u32>,
}

type Arguments = Result<Option<Vec<Argument>>>;

/// Returns the arguments of a program at the place of that name, by their meaning.
pub(super) fn of(places: &Places, arguments: Meaning, name: &str) -> Arguments {
    match arguments {
        Meaning::TracepointRecord => of_tracepoint(name),
        #[cfg(feature = "elf")]
        Meaning::UsdtOperands => super::files::arguments(name),
        // Of a function that has returned nothing else is left.
        Meaning::ReturnRegister => declared(places, name, usize::MAX, true),
        meaning => match meaning.function() {
            Some((prefix, skipped)) => {
                declared(places, &format!("{prefix}{name}"), skipped, meaning.has_result())
            }
            None => Ok(None),
        },
    }
}

/// The fields that programs can read, without those that all tracepoints have.
fn of_tracepoint(name: &str) -> Arguments {
    let Some((category, name)) = name.split_once('/') else { return Ok(None) };
    let fields = format::fields(category, name)?.into_iter();
    let fields = fields.filter(|field| !field.name.starts_with("common_"));
    let declared = fields.map(|field| {
        // `char[16]` is written `char name[16]`, but `__data_loc char[]` is a type of its own.
        let declaration = match field.of.split_once('[') {
            Some((of, length)) if !field.of.starts_with("__") => {
                format!("{of} {}[{length}", field.name)
            }
            _ if field.of.ends_with('*') => format!("{}{}", field.of, field.name),
            _ => format!("{} {}", field.of, field.name),
        };
        Argument {
            name: field.name,
            declaration,
            offset: Some(field.offset),
            size: Some(field.size),
        }
    });
    Ok(Some(declared.collect()))
}

fn declared(places: &Places, function: &str, skipped: usize, result: bool) -> Arguments {
    let functions = match places.functions() {
        Ok(functions) => functions,
        // Without BTF they are not known.
        Err(Error::Unsupported { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some((module, id)) = functions.0.get(function) else { return Ok(None) };
    let btf: &Btf = match module {
        None => places.types.vmlinux()?,
        Some(module) => match places.types.module(module)? {
            Some(btf) => btf,
            None => return Ok(None),
        },
    };
    let function = btf.function(*id)?;
    let one = |name: &str, of: u32| -> Result<Argument, BtfError> {
        let declaration = if of == 0 { "...".into() } else { btf.declaration(of, name)? };
        Ok(Argument { name: name.into(), declaration, offset: None, size: None })
    };
    let mut arguments = Vec::new();
    for parameter in function.parameters.iter().skip(skipped) {
        arguments.push(one(parameter.name, parameter.of)?);
    }
    if result && function.returns != 0 {
        arguments.push(one("ret", function.returns)?);
    }
    Ok(Some(arguments))
}

/// The functions that have types, by name: their module, and their number in its types.
#[derive(Debug)]
pub(super) struct Functions(HashMap<String, (Option<String>, u32)>);

impl Functions {
    pub(super) fn read(types: &KernelTypes) -> Result<Functions> {
        let mut functions = HashMap::new();
        types.each(|module, btf| {
            for found in btf.types() {
                let found = found?;
                if found.kind == Kind::Function {
                    let place = (module.map(str::to_owned), found.id);
                    functions.entry(found.name.to_owned()).or_insert(place);
                }
            }
            Ok(())
        })?;
        Ok(Functions(functions))
    }
}
