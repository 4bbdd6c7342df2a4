//! The syntax tree: plain data, each node with its place in the text.

use super::source::Span;
use std::sync::Arc;

/// The maximum nesting depth of expressions, statements and types, counted together.
pub(crate) const MAX_DEPTH: usize = 200;

/// A name or a number or the like, and its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Spanned<T> {
    /// The thing.
    pub node: T,
    /// Its place.
    pub span: Span,
}

/// A name and its place.
pub(crate) type Name = Spanned<Arc<str>>;

/// A whole script.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// The settings of `config = { … }`.
    pub config: Vec<Setting>,
    /// Definitions of structs, unions and enumerations.
    pub types: Vec<TypeDefinition>,
    /// `let @name = hash(100);`.
    pub maps: Vec<MapDeclaration>,
    /// `macro name(…) { … }`.
    pub macros: Vec<Macro>,
    /// Constructs that are parsed and rejected later, by name: `import`, `fn`.
    pub unsupported: Vec<Spanned<&'static str>>,
    /// The options of the command line that are read, in the order of the calls of `getopt()`.
    pub options: Vec<ScriptOption>,
    /// The probes.
    pub probes: Vec<Probe>,
}

/// An option of the command line: `getopt("name", default, "help")`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScriptOption {
    /// Its name.
    pub name: String,
    /// Its description; empty if there is none.
    pub help: String,
}

/// A setting of the config block.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    /// Its name as written.
    pub name: Name,
    /// Its value.
    pub value: Spanned<SettingValue>,
}

/// The value of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SettingValue {
    /// A number.
    Int(u64),
    /// A word or a string.
    Text(Arc<str>),
}

/// A definition of a type in the script.
#[derive(Debug)]
pub(crate) enum TypeDefinition {
    /// A struct or union.
    Struct(StructDefinition),
    /// An enumeration.
    Enum(EnumDefinition),
    /// `typedef TYPE NAME;`
    Typedef(Name, TypeName),
}

/// A definition of a struct or union.
#[derive(Debug)]
pub(crate) struct StructDefinition {
    /// Its name; none inside another one.
    pub name: Option<Name>,
    /// Whether it is a union.
    pub union: bool,
    /// Whether it is `__attribute__((packed))`.
    pub packed: bool,
    /// Its fields.
    pub fields: Vec<FieldDefinition>,
    /// Its place.
    pub span: Span,
}

/// A field in the definition of a struct.
#[derive(Debug)]
pub(crate) struct FieldDefinition {
    /// Its name; none of an anonymous struct.
    pub name: Option<Name>,
    /// Its type.
    pub ty: TypeName,
    /// The number of bits of a bit-field.
    pub bits: Option<Spanned<u64>>,
}

/// A definition of an enumeration.
#[derive(Debug)]
pub(crate) struct EnumDefinition {
    /// Its name.
    pub name: Option<Name>,
    /// Its values: the name, and the expression if there is one.
    pub values: Vec<(Name, Option<Expr>)>,
    /// Its place.
    pub span: Span,
}

/// `let @name = hash(100);`
#[derive(Debug)]
pub(crate) struct MapDeclaration {
    /// The name with its `@`.
    pub name: Name,
    /// The kind of map: `hash`, `lruhash`, …
    pub kind: Name,
    /// The arguments.
    pub arguments: Vec<Expr>,
    /// Its place.
    pub span: Span,
}

/// `macro name($a, b, @c) { … }`
#[derive(Debug)]
pub(crate) struct Macro {
    /// Its name.
    pub name: Name,
    /// Its parameters with their `$` or `@`.
    pub parameters: Vec<Name>,
    /// Its body.
    pub body: Block,
    /// Its place.
    pub span: Span,
}

/// A probe: attach points, a predicate, and statements.
#[derive(Debug)]
pub(crate) struct Probe {
    /// The attach points.
    pub attach_points: Vec<AttachPoint>,
    /// The predicate between slashes.
    pub predicate: Option<Expr>,
    /// The statements.
    pub body: Block,
    /// Its place.
    pub span: Span,
}

/// An attach point as written, cut at its colons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AttachPoint {
    /// Its parts: `kprobe`, `vfs_read`.
    pub parts: Vec<Component>,
    /// Its place.
    pub span: Span,
}

/// A part of an attach point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Component {
    /// Its text, without quotes and with `$1` replaced.
    pub text: String,
    /// The length of the text up to the last closing quote, if some was in quotes.
    pub quoted: Option<usize>,
    /// Its place.
    pub span: Span,
}

/// Statements between braces.
#[derive(Debug, Default)]
pub(crate) struct Block {
    /// The statements.
    pub statements: Vec<Statement>,
    /// The last expression without a semicolon, which is the value of a block that is an expression. In a block that
    /// is a statement it is evaluated as any other.
    pub value: Option<Box<Expr>>,
    /// Its place.
    pub span: Span,
}

/// A statement.
#[derive(Debug)]
pub(crate) struct Statement {
    /// Its kind.
    pub kind: StatementKind,
    /// Its place.
    pub span: Span,
}

/// The kinds of statements.
#[derive(Debug)]
pub(crate) enum StatementKind {
    /// An expression by itself.
    Expr(Expr),
    /// `target = value`, or `target op= value`.
    Assign {
        /// A variable or an element of a map.
        target: Expr,
        /// The operator of a compound assignment.
        op: Option<BinaryOp>,
        /// The value.
        value: Expr,
    },
    /// `_ = value`
    Discard(Expr),
    /// `let $x`, `let $x: uint8 = 1`
    Let {
        /// The variable with its `$`.
        name: Name,
        /// Its type.
        ty: Option<TypeName>,
        /// Its value.
        value: Option<Expr>,
    },
    /// `if … else if … else …`
    If {
        /// The conditions and their blocks.
        arms: Vec<(Expr, Block)>,
        /// The `else` block, run if no condition holds.
        otherwise: Option<Block>,
    },
    /// `while (condition) { … }`
    While {
        /// The condition.
        condition: Expr,
        /// The body.
        body: Block,
    },
    /// `for ($x : iterable) { … }`
    For {
        /// The variable with its `$`.
        variable: Name,
        /// The map or range that is iterated over.
        iterable: Iterable,
        /// The body.
        body: Block,
    },
    /// `unroll(n) { … }`
    Unroll {
        /// The number of repetitions.
        count: Expr,
        /// The body.
        body: Block,
    },
    /// `break`
    Break,
    /// `continue`
    Continue,
    /// `return`, `return value`
    Return(Option<Expr>),
    /// A block by itself.
    Block(Block),
}

/// The map or range that a `for` loop iterates over.
#[derive(Debug)]
pub(crate) enum Iterable {
    /// The elements of a map.
    Map(Name),
    /// `start..end`
    Range(Box<Expr>, Box<Expr>),
}

/// An expression.
#[derive(Debug)]
pub(crate) struct Expr {
    /// Its kind.
    pub kind: ExprKind,
    /// Its place.
    pub span: Span,
}

/// The kinds of expressions.
#[derive(Debug)]
pub(crate) enum ExprKind {
    /// An integer.
    Int(u64),
    /// A string, without its quotes and with its escapes replaced.
    Str(Arc<[u8]>),
    /// `true`, `false`
    Bool(bool),
    /// A name: a builtin, a constant, an enumerator, a macro.
    Ident(Arc<str>),
    /// `$1`
    Positional(u32),
    /// `$#`
    PositionalCount,
    /// `$x`, with the `$`.
    Variable(Arc<str>),
    /// `@x`, `@x[1, 2]`
    Map {
        /// The name with its `@`.
        name: Name,
        /// The key: all that is between the brackets.
        key: Option<Vec<Expr>>,
    },
    /// `name(…)`
    Call {
        /// The name.
        name: Name,
        /// The arguments.
        arguments: Vec<Expr>,
    },
    /// `-x`, `!x`, `~x`, `*x`, `&x`
    Unary(UnaryOp, Box<Expr>),
    /// `x + y`
    Binary {
        /// The operator and its place.
        op: Spanned<BinaryOp>,
        /// The left side.
        left: Box<Expr>,
        /// The right side.
        right: Box<Expr>,
    },
    /// `x && y && z`, `x || y`
    Logical {
        /// Whether it is `&&`.
        and: bool,
        /// The operands; at least two.
        operands: Vec<Expr>,
    },
    /// `c ? x : y`, `c ?: y`
    Ternary {
        /// The condition.
        condition: Box<Expr>,
        /// The value if it holds; the condition itself if there is none.
        then: Option<Box<Expr>>,
        /// The value if it does not.
        otherwise: Box<Expr>,
    },
    /// `++x`, `x--`
    Step {
        /// The operand: a variable or a map element.
        target: Box<Expr>,
        /// Whether it is `++`.
        increment: bool,
        /// Whether the value is that after the change.
        prefix: bool,
    },
    /// `x.name`, `x->name`
    Field {
        /// The struct or the pointer to it.
        base: Box<Expr>,
        /// The field.
        name: Name,
    },
    /// `x.0`
    Element {
        /// The tuple.
        base: Box<Expr>,
        /// The index of the element.
        index: Spanned<u32>,
    },
    /// `x[i]` of a value that is not a map.
    Index {
        /// The array, pointer or tuple.
        base: Box<Expr>,
        /// The index.
        index: Box<Expr>,
    },
    /// `(type)x`
    Cast {
        /// The type.
        ty: TypeName,
        /// The value.
        value: Box<Expr>,
    },
    /// `sizeof(type)`
    SizeofType(TypeName),
    /// `sizeof(x)`
    SizeofExpr(Box<Expr>),
    /// `offsetof(type, a.b)`
    OffsetofType(TypeName, Vec<Name>),
    /// `offsetof(x, a.b)`
    OffsetofExpr(Box<Expr>, Vec<Name>),
    /// `(1, x)`, `(1,)`, `()`
    Tuple(Vec<Expr>),
    /// `{ …; x }`
    Block(Box<Block>),
    /// A construct that is parsed and then rejected, by this name.
    Unsupported(&'static str),
}

/// Operators with one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum UnaryOp {
    /// `-`
    Negate,
    /// `!`
    Not,
    /// `~`
    Invert,
    /// `*`
    Dereference,
    /// `&`
    AddressOf,
    /// `+`
    Plus,
}

/// Operators with two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `&`
    BitAnd,
    /// `|`
    BitOr,
    /// `^`
    BitXor,
    /// `<<`
    Shl,
    /// `>>`
    Shr,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl BinaryOp {
    /// Returns how it is written.
    pub(crate) fn text(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
            BinaryOp::BitAnd => "&",
            BinaryOp::BitOr => "|",
            BinaryOp::BitXor => "^",
            BinaryOp::Shl => "<<",
            BinaryOp::Shr => ">>",
            BinaryOp::Eq => "==",
            BinaryOp::Ne => "!=",
            BinaryOp::Lt => "<",
            BinaryOp::Le => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::Ge => ">=",
        }
    }

    /// Whether the result is `bool`.
    pub(crate) fn is_comparison(self) -> bool {
        use BinaryOp::{Eq, Ge, Gt, Le, Lt, Ne};
        matches!(self, Eq | Ne | Lt | Le | Gt | Ge)
    }
}

/// A type as written.
#[derive(Debug, Clone)]
pub(crate) struct TypeName {
    /// Its kind.
    pub kind: TypeNameKind,
    /// Its place.
    pub span: Span,
}

/// The kinds of types as written.
#[derive(Debug, Clone)]
pub(crate) enum TypeNameKind {
    /// A name: of an integer, a typedef; or of a struct without the word. C's integers are normalised: `unsigned
    /// int`, `long long`.
    Named(Arc<str>),
    /// `struct name`
    Struct(Arc<str>),
    /// `union name`
    Union(Arc<str>),
    /// `enum name`
    Enum(Arc<str>),
    /// A struct or union that is defined where it is used, inside another one.
    Inline(Arc<StructDefinition>),
    /// `type *`
    Pointer(Box<TypeName>),
    /// `type[4]`, `type[]`
    Array(Box<TypeName>, Option<Arc<Expr>>),
    /// `(type, type)`
    Tuple(Vec<TypeName>),
    /// `typeof(x)`: the type of an expression, which is not evaluated.
    Typeof(Arc<Expr>),
}
