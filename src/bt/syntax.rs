//! The syntax tree as text: a line a node, in front of it a space for each node around it, as bpftrace shows it.

use super::ast::{
    AttachPoint, Block, EnumDefinition, Expr, ExprKind, Iterable, Name, Script, SettingValue,
    Statement, StatementKind, StructDefinition, TypeDefinition, TypeName, TypeNameKind, UnaryOp,
};
use crate::util::escape;
use std::fmt::{Display, Write};

/// Returns the syntax tree of a script.
pub(crate) fn tree(script: &Script) -> String {
    let mut tree = Tree { out: String::new(), depth: 0 };
    tree.node("Program", |tree| {
        for setting in &script.config {
            let name = &setting.name.node;
            match &setting.value.node {
                SettingValue::Int(value) => tree.leaf(format_args!("config: {name} = {value}")),
                SettingValue::Text(value) => tree.leaf(format_args!("config: {name} = {value}")),
            }
        }
        script.types.iter().for_each(|one| tree.definition(one));
        for map in &script.maps {
            tree.node(format_args!("let: {} = {}", map.name.node, map.kind.node), |tree| {
                tree.exprs(&map.arguments);
            });
        }
        for one in &script.macros {
            let parameters = names(&one.parameters, ", ");
            tree.node(format_args!("macro: {}({parameters})", one.name.node), |tree| {
                tree.block(&one.body);
            });
        }
        for one in &script.unsupported {
            tree.leaf(format_args!("not supported: {}", one.node));
        }
        for probe in &script.probes {
            let points: Vec<_> = probe.attach_points.iter().map(point).collect();
            tree.node(points.join(","), |tree| {
                if let Some(predicate) = &probe.predicate {
                    tree.node("predicate", |tree| tree.expr(predicate));
                }
                tree.block(&probe.body);
            });
        }
    });
    tree.out
}

fn point(point: &AttachPoint) -> String {
    let parts: Vec<_> = point.parts.iter().map(|part| &*part.text).collect();
    parts.join(":")
}

fn names(names: &[Name], between: &str) -> String {
    let names: Vec<_> = names.iter().map(|name| &*name.node).collect();
    names.join(between)
}

fn quoted(text: &[u8]) -> String {
    format!("\"{}\"", escape::text(text).escape_debug())
}

struct Tree {
    out: String,
    depth: usize,
}

impl Tree {
    fn leaf(&mut self, text: impl Display) {
        // Writing to a String does not fail.
        let _ = writeln!(self.out, "{:1$}{text}", "", self.depth);
    }

    fn node(&mut self, text: impl Display, inner: impl FnOnce(&mut Tree)) {
        self.leaf(text);
        self.depth += 1;
        inner(self);
        self.depth -= 1;
    }

    fn exprs(&mut self, all: &[Expr]) {
        all.iter().for_each(|one| self.expr(one));
    }

    fn definition(&mut self, definition: &TypeDefinition) {
        match definition {
            TypeDefinition::Struct(one) => self.fields(one),
            TypeDefinition::Enum(one) => self.enumeration(one),
            TypeDefinition::Typedef(name, ty) => {
                self.leaf(format_args!("typedef: {} = {}", name.node, type_text(ty)));
                self.inline(ty);
            }
        }
    }

    fn fields(&mut self, one: &StructDefinition) {
        let kind = if one.union { "union" } else { "struct" };
        let packed = if one.packed { " (packed)" } else { "" };
        let name = one.name.as_ref().map_or("", |name| &name.node);
        self.node(format_args!("{kind}: {name}{packed}"), |tree| {
            for field in &one.fields {
                let name = field.name.as_ref().map_or("", |name| &name.node);
                let bits =
                    field.bits.as_ref().map_or(String::new(), |bits| format!(" : {}", bits.node));
                tree.node(format_args!("field: {name}{bits}"), |tree| tree.ty(&field.ty));
            }
        });
    }

    fn enumeration(&mut self, one: &EnumDefinition) {
        let name = one.name.as_ref().map_or("", |name| &name.node);
        self.node(format_args!("enum: {name}"), |tree| {
            for (name, value) in &one.values {
                tree.node(&name.node, |tree| tree.exprs(value.as_slice()));
            }
        });
    }

    fn ty(&mut self, ty: &TypeName) {
        self.leaf(format_args!("type: {}", type_text(ty)));
        self.inline(ty);
    }

    /// The fields and the lengths within a type.
    fn inline(&mut self, ty: &TypeName) {
        match &ty.kind {
            TypeNameKind::Inline(one) => self.fields(one),
            TypeNameKind::Pointer(inner) => self.inline(inner),
            TypeNameKind::Array(inner, length) => {
                self.inline(inner);
                length.iter().for_each(|length| self.expr(length));
            }
            TypeNameKind::Tuple(all) => all.iter().for_each(|one| self.inline(one)),
            TypeNameKind::Typeof(of) => self.expr(of),
            TypeNameKind::Named(_)
            | TypeNameKind::Struct(_)
            | TypeNameKind::Union(_)
            | TypeNameKind::Enum(_) => {}
        }
    }

    fn block(&mut self, block: &Block) {
        block.statements.iter().for_each(|one| self.statement(one));
        if let Some(value) = &block.value {
            self.node("value", |tree| tree.expr(value));
        }
    }

    fn statement(&mut self, statement: &Statement) {
        match &statement.kind {
            StatementKind::Expr(expr) => self.expr(expr),
            StatementKind::Assign { target, op, value } => {
                let op = op.map_or("", |op| op.text());
                self.node(format_args!("{op}="), |tree| {
                    tree.expr(target);
                    tree.expr(value);
                });
            }
            StatementKind::Discard(expr) => self.node("discard", |tree| tree.expr(expr)),
            StatementKind::Let { name, ty, value } => {
                self.node(format_args!("let: {}", name.node), |tree| {
                    ty.iter().for_each(|ty| tree.ty(ty));
                    tree.exprs(value.as_slice());
                });
            }
            StatementKind::If { arms, otherwise } => {
                for (condition, body) in arms {
                    self.node("if", |tree| {
                        tree.expr(condition);
                        tree.node("then", |tree| tree.block(body));
                    });
                }
                if let Some(body) = otherwise {
                    self.node("else", |tree| tree.block(body));
                }
            }
            StatementKind::While { condition, body } => self.node("while", |tree| {
                tree.expr(condition);
                tree.node("do", |tree| tree.block(body));
            }),
            StatementKind::For { variable, iterable, body } => {
                self.node(format_args!("for: {}", variable.node), |tree| {
                    match iterable {
                        Iterable::Map(map) => tree.leaf(format_args!("map: {}", map.node)),
                        Iterable::Range(from, to) => tree.node("range", |tree| {
                            tree.expr(from);
                            tree.expr(to);
                        }),
                    }
                    tree.node("do", |tree| tree.block(body));
                });
            }
            StatementKind::Unroll { count, body } => self.node("unroll", |tree| {
                tree.expr(count);
                tree.node("do", |tree| tree.block(body));
            }),
            StatementKind::Break => self.leaf("break"),
            StatementKind::Continue => self.leaf("continue"),
            StatementKind::Return(value) => {
                self.node("return", |tree| tree.exprs(value.as_slice()));
            }
            StatementKind::Block(body) => self.node("block", |tree| tree.block(body)),
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Int(value) => self.leaf(format_args!("int: {value}")),
            ExprKind::Str(text) => self.leaf(format_args!("string: {}", quoted(text))),
            ExprKind::Bool(value) => self.leaf(format_args!("bool: {value}")),
            ExprKind::Ident(name) => self.leaf(format_args!("identifier: {name}")),
            ExprKind::Positional(number) => self.leaf(format_args!("param: ${number}")),
            ExprKind::PositionalCount => self.leaf("param: $#"),
            ExprKind::Variable(name) => self.leaf(format_args!("variable: {name}")),
            ExprKind::Map { name, key } => self.node(format_args!("map: {}", name.node), |tree| {
                tree.exprs(key.as_deref().unwrap_or_default());
            }),
            ExprKind::Call { name, arguments } => {
                self.node(format_args!("call: {}", name.node), |tree| tree.exprs(arguments));
            }
            ExprKind::Unary(op, operand) => self.node(sign(*op), |tree| tree.expr(operand)),
            ExprKind::Binary { op, left, right } => self.node(op.node.text(), |tree| {
                tree.expr(left);
                tree.expr(right);
            }),
            ExprKind::Logical { and, operands } => {
                self.node(if *and { "&&" } else { "||" }, |tree| tree.exprs(operands));
            }
            ExprKind::Ternary { condition, then, otherwise } => self.node("?:", |tree| {
                tree.expr(condition);
                then.iter().for_each(|then| tree.expr(then));
                tree.expr(otherwise);
            }),
            ExprKind::Step { target, increment, prefix } => {
                let sign = if *increment { "++" } else { "--" };
                let place = if *prefix { "pre" } else { "post" };
                self.node(format_args!("{sign} ({place})"), |tree| tree.expr(target));
            }
            ExprKind::Field { base, name } => {
                self.node(format_args!(". {}", name.node), |tree| tree.expr(base));
            }
            ExprKind::Element { base, index } => {
                self.node(format_args!(". {}", index.node), |tree| tree.expr(base));
            }
            ExprKind::Index { base, index } => self.node("[]", |tree| {
                tree.expr(base);
                tree.expr(index);
            }),
            ExprKind::Cast { ty, value } => self.node("cast", |tree| {
                tree.ty(ty);
                tree.expr(value);
            }),
            ExprKind::SizeofType(ty) => self.node("sizeof", |tree| tree.ty(ty)),
            ExprKind::SizeofExpr(value) => self.node("sizeof", |tree| tree.expr(value)),
            ExprKind::OffsetofType(ty, path) => {
                self.node(format_args!("offsetof: {}", names(path, ".")), |tree| tree.ty(ty));
            }
            ExprKind::OffsetofExpr(value, path) => {
                self.node(format_args!("offsetof: {}", names(path, ".")), |tree| tree.expr(value));
            }
            ExprKind::Tuple(all) => self.node("tuple", |tree| tree.exprs(all)),
            ExprKind::Block(block) => self.node("block", |tree| tree.block(block)),
            ExprKind::Unsupported(what) => self.leaf(format_args!("not supported: {what}")),
        }
    }
}

fn sign(op: UnaryOp) -> &'static str {
    match op {
        UnaryOp::Negate => "-",
        UnaryOp::Not => "!",
        UnaryOp::Invert => "~",
        UnaryOp::Dereference => "dereference",
        UnaryOp::AddressOf => "&",
        UnaryOp::Plus => "+",
    }
}

fn type_text(ty: &TypeName) -> String {
    match &ty.kind {
        TypeNameKind::Named(name) => name.to_string(),
        TypeNameKind::Struct(name) => format!("struct {name}"),
        TypeNameKind::Union(name) => format!("union {name}"),
        TypeNameKind::Enum(name) => format!("enum {name}"),
        TypeNameKind::Inline(one) => if one.union { "union" } else { "struct" }.to_owned(),
        TypeNameKind::Pointer(inner) => format!("{} *", type_text(inner)),
        TypeNameKind::Array(inner, _) => format!("{}[]", type_text(inner)),
        TypeNameKind::Tuple(all) => {
            let all: Vec<_> = all.iter().map(type_text).collect();
            format!("({})", all.join(", "))
        }
        TypeNameKind::Typeof(_) => "typeof".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use crate::bt::Options;

    /// Each node is in the tree, at its depth.
    #[test]
    fn trees_have_a_line_for_each_node() {
        let script = "config = { max_strlen = 5 } struct s { int a; char b[4]; } let @m = hash(2); macro twice(x) { x * 2 } \
                      BEGIN, uprobe:/bin/sh:f /pid == $1 && 1/ { $a = -5; @m[1, \"x\\n\"] += $#; if ($a > 1) { return; } else { @n++; } \
                      for $i : 0..3 { print(((struct s *)arg0)->b[1]); } let $t : uint8 = sizeof(struct s); \
                      while (0) { break; } unroll(2) { continue; } $x = $a ? (1, true).0 : offsetof(struct s, a); }";
        let expected = "\
Program
 config: max_strlen = 5
 struct: s
  field: a
   type: int
  field: b
   type: char[]
   int: 4
 let: @m = hash
  int: 2
 macro: twice(x)
  value
   *
    identifier: x
    int: 2
 BEGIN,uprobe:/bin/sh:f
  predicate
   &&
    ==
     identifier: pid
     param: $1
    int: 1
  =
   variable: $a
   -
    int: 5
  +=
   map: @m
    int: 1
    string: \"x\\n\"
   param: $#
  if
   >
    variable: $a
    int: 1
   then
    return
  else
   ++ (post)
    map: @n
  for: $i
   range
    int: 0
    int: 3
   do
    call: print
     []
      . b
       cast
        type: struct s *
        identifier: arg0
      int: 1
  let: $t
   type: uint8
   sizeof
    type: struct s
  while
   int: 0
   do
    break
  unroll
   int: 2
   do
    continue
  =
   variable: $x
   ?:
    variable: $a
    . 0
     tuple
      int: 1
      bool: true
    offsetof: a
     type: struct s
";
        let shown = Options::new().syntax(script).unwrap();
        assert_eq!(shown, format!("Syntax\n------\n{expected}\n"));
    }
}
