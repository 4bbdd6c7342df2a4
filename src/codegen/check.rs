//! Checks that variables, objects and blocks belong to the function that uses them.

use super::error::{CodegenError, CodegenProblem};
use super::function::Function;
use super::ir::{Address, Base, FunctionId, Inst, Stmt, Symbol, Target};

/// Reports the first mistake that needs no look at the order of things. `callees` are the functions that were made before.
pub(super) fn check(function: &Function<'_>, callees: &[Function<'_>]) -> Result<(), CodegenError> {
    if let Some(mistake) = &function.mistake {
        return Err(mistake.clone());
    }
    let fail = |problem, span: Option<(u32, u32)>| {
        let span = span.map(|(start, end)| start..end);
        Err(CodegenError { function: function.name.clone(), problem, span })
    };
    let foreign = |what, index| CodegenProblem::Foreign { what, index, owner: "function" };
    for block in &function.blocks {
        for (stmt, span) in &block.stmts {
            let mut problem = None;
            stmt.for_uses(|var| {
                if var.0 >= function.vars {
                    problem = Some(foreign("variable", var.0));
                }
            });
            if let Some(var) = stmt.def().filter(|var| var.0 >= function.vars) {
                problem = Some(foreign("variable", var.0));
            }
            stmt.for_objects(|object| {
                if object as usize >= function.objects.len() {
                    problem = Some(foreign("object", object));
                }
            });
            if let Some(FunctionId(id)) = stmt.refers_to() {
                match (callees.get(id as usize), stmt) {
                    (None, _) => {
                        let (what, owner) = ("function", "unit");
                        problem = Some(CodegenProblem::Foreign { what, index: id, owner });
                    }
                    (Some(callee), Stmt::Call { count, .. }) => {
                        let (given, expected) = (usize::from(*count), callee.parameters.len());
                        if given != expected {
                            let what = format!("function `{}`", callee.name);
                            let expected = expected.to_string();
                            problem = Some(CodegenProblem::Arguments { what, given, expected });
                        }
                    }
                    _ => {}
                }
            }
            if let Some(problem) = problem {
                return fail(problem, *span);
            }
        }
        let Some((end, span)) = &block.end else { continue };
        let mut var = None;
        end.for_uses(|used| var = Some(used).filter(|var| var.0 >= function.vars).or(var));
        if let Some(var) = var {
            return fail(foreign("variable", var.0), *span);
        }
    }
    let scratch = function.scratch.map(|scratch| scratch.base);
    match scratch.filter(|base| base.0 >= function.vars) {
        Some(base) => fail(foreign("variable", base.0), None),
        None => Ok(()),
    }
}

impl Stmt<'_> {
    /// The objects that are named.
    fn for_objects(&self, mut f: impl FnMut(u32)) {
        let address = match self {
            Stmt::Inst(Inst::Start(object) | Inst::Keep(object)) => return f(object.0),
            Stmt::Inst(Inst::Load { base, offset, .. }) => {
                Some(Address { base: *base, offset: *offset })
            }
            Stmt::Store { to, .. }
            | Stmt::Atomic { to, .. }
            | Stmt::Fetch { to, .. }
            | Stmt::CompareExchange { to, .. }
            | Stmt::Address { of: to, .. } => Some(*to),
            _ => None,
        };
        if let Some(Address { base: Base::Object(object), .. }) = address {
            f(object.0);
        }
    }

    /// The function that is called, or whose address is taken.
    pub(super) fn refers_to(&self) -> Option<FunctionId> {
        match self {
            Stmt::Inst(Inst::Symbol { symbol: Symbol::Function(id), .. }) => Some(*id),
            Stmt::Call { target: Target::Local(id), .. } => Some(*id),
            _ => None,
        }
    }
}
