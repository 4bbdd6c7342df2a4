//! Visitors of the typed program.

use super::hir::{Aggregation, Async, Call, Expr, ExprKind, Program, Statement, StatementKind};

/// A node of a typed program.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Node<'p> {
    /// A statement.
    Statement(&'p Statement),
    /// An expression.
    Expr(&'p Expr),
}

/// Visits all statements and expressions of a program, parents before children.
pub(crate) fn program<'p>(program: &'p Program, f: &mut dyn FnMut(Node<'p>)) {
    for probe in &program.probes {
        probe.predicate.iter().for_each(|predicate| expression(predicate, f));
        statements(&probe.body, f);
    }
}

/// Visits statements and all that is in them.
pub(crate) fn statements<'p>(all: &'p [Statement], f: &mut dyn FnMut(Node<'p>)) {
    all.iter().for_each(|one| statement(one, f));
}

/// Visits a statement and all that is in it.
pub(crate) fn statement<'p>(one: &'p Statement, f: &mut dyn FnMut(Node<'p>)) {
    f(Node::Statement(one));
    values(one).into_iter().for_each(|value| expression(value, f));
    match &one.kind {
        StatementKind::If { arms, otherwise } => {
            for (condition, body) in arms {
                expression(condition, f);
                statements(body, f);
            }
            statements(otherwise, f);
        }
        StatementKind::While { body, .. }
        | StatementKind::ForRange { body, .. }
        | StatementKind::ForMap { body, .. }
        | StatementKind::Unroll { body, .. }
        | StatementKind::Block(body) => statements(body, f),
        _ => {}
    }
}

/// Returns the expressions of a statement, without those of statements in it; of `if`, none.
pub(crate) fn values(one: &Statement) -> Vec<&Expr> {
    match &one.kind {
        StatementKind::Expr(value) | StatementKind::SetVariable(_, value) => vec![value],
        StatementKind::SetMap { key, value, .. } | StatementKind::UpdateMap { key, value, .. } => {
            key.iter().chain([value]).collect()
        }
        StatementKind::Aggregate { key, function, .. } => {
            key.iter().chain(aggregated(function)).collect()
        }
        StatementKind::While { condition, .. } => vec![condition],
        StatementKind::ForRange { start, end, .. } => vec![start, end],
        StatementKind::Return(value) => value.iter().collect(),
        StatementKind::Async(action) => arguments(action),
        _ => Vec::new(),
    }
}

/// Returns the argument of an aggregating function.
pub(crate) fn aggregated(function: &Aggregation) -> Option<&Expr> {
    match function {
        Aggregation::Count => None,
        Aggregation::Sum(value)
        | Aggregation::Avg(value)
        | Aggregation::Min(value)
        | Aggregation::Max(value)
        | Aggregation::Stats(value)
        | Aggregation::Hist(value, _)
        | Aggregation::Lhist(value, _) => Some(value),
    }
}

/// Returns the expressions of an action of user space.
pub(crate) fn arguments(action: &Async) -> Vec<&Expr> {
    match action {
        Async::Printf(_, all)
        | Async::Message { arguments: all, .. }
        | Async::System(_, all)
        | Async::Cat(_, all) => all.iter().collect(),
        Async::PrintValue(value)
        | Async::PrintElement { key: value, .. }
        | Async::Exit(value)
        | Async::Join { array: value, .. } => vec![value],
        Async::PrintMap { .. } | Async::Clear(_) | Async::Zero(_) | Async::Time(_) => Vec::new(),
    }
}

/// Visits an expression and all that is in it.
pub(crate) fn expression<'p>(one: &'p Expr, f: &mut dyn FnMut(Node<'p>)) {
    f(Node::Expr(one));
    if let ExprKind::Block(body, _) = &one.kind {
        statements(body, f);
    }
    children(one).into_iter().for_each(|child| expression(child, f));
}

/// Returns the expressions of an expression, without those of statements in it.
pub(crate) fn children(one: &Expr) -> Vec<&Expr> {
    match &one.kind {
        ExprKind::Int(_)
        | ExprKind::Bytes(_)
        | ExprKind::Variable(_)
        | ExprKind::Builtin(_)
        | ExprKind::Context
        | ExprKind::DataLocation { .. }
        | ExprKind::StepVariable { .. } => Vec::new(),
        ExprKind::Map { key, .. } | ExprKind::StepMap { key, .. } => {
            key.iter().map(|key| &**key).collect()
        }
        ExprKind::Aggregated(value)
        | ExprKind::Load { address: value, .. }
        | ExprKind::Address { address: value, .. }
        | ExprKind::Unary(_, value)
        | ExprKind::Convert(value)
        | ExprKind::Block(_, value) => vec![value],
        ExprKind::Extract { value, index, .. } => {
            let index = index.iter().map(|(index, _)| &**index);
            [&**value].into_iter().chain(index).collect()
        }
        ExprKind::Tuple(all) | ExprKind::Logical { operands: all, .. } => all.iter().collect(),
        ExprKind::Binary { left, right, .. }
        | ExprKind::Compare { left, right, .. }
        | ExprKind::CompareObjects { left, right, .. } => vec![left, right],
        ExprKind::Ternary { condition, then, otherwise } => vec![condition, then, otherwise],
        ExprKind::Call(call) => operands(call),
    }
}

/// Returns the expressions that a function gets.
pub(crate) fn operands(call: &Call) -> Vec<&Expr> {
    match call {
        Call::Str { address, length, .. } => [address].into_iter().chain(length).collect(),
        Call::Buf { address, length, .. } => vec![address, length],
        Call::Debugf { arguments, .. } => arguments.iter().collect(),
        Call::Ntop { family, address } => family.iter().chain([address]).collect(),
        Call::KernelSymbol(value)
        | Call::UserSymbol(value)
        | Call::Mac(value)
        | Call::Bswap(value)
        | Call::Strftime { nanoseconds: value, .. }
        | Call::CgroupPath { id: value, .. }
        | Call::Describe(value)
        | Call::Strlen(value)
        | Call::HasKey { key: value, .. }
        | Call::StackLen(value)
        | Call::Signal { number: value, .. }
        | Call::Override(value)
        | Call::Path(value)
        | Call::SocketCookie(value) => vec![value],
        Call::Strncmp { left, right, .. } => vec![left, right],
        Call::Strcontains { text, part } => vec![text, part],
        Call::Delete { key, .. } => key.iter().collect(),
        Call::PerCpuAddress { cpu, .. } => cpu.iter().collect(),
        Call::MapLen(_) => Vec::new(),
    }
}
