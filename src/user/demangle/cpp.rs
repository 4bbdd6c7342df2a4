//! Names of C++ from their symbols: the mangling of the Itanium C++ ABI (<https://itanium-cxx-abi.github.io/cxx-abi/abi.html#mangling>),
//! which all compilers for Linux have. They are written as `c++filt` writes them.

mod expression;
mod name;
mod table;
mod types;
mod write;

use write::Writer;

/// The deepest nesting of names, types and expressions, and of what they are written with.
const DEEPEST: u32 = 128;

/// The most parts of a name.
const MOST_NODES: usize = 1 << 14;

/// A part of a name, by its index.
type Id = u32;

/// A part of a name.
#[derive(Clone)]
enum Node<'s> {
    /// A text as it is.
    Text(&'s str),
    /// A template parameter, by its number: it stands for the argument of the function that it is in.
    Parameter(usize),
    /// One behind the other, with a text between them.
    Join(Id, &'static str, Id),
    /// A text in front.
    Prefix(&'static str, Id),
    /// The abbreviation of a name of the standard library: short, whole, and its last component.
    Std(&'static str, &'static str, &'static str),
    /// A name with its template arguments.
    Template(Id, Vec<Id>),
    /// `name[abi:tag]`.
    Abi(Id, &'s str),
    /// A constructor, or with `~` a destructor, of the class whose name this is.
    Structor(&'static str, Id),
    /// `operator T`.
    Conversion(Id),
    /// The number and the parameters of a lambda.
    Lambda(u64, Vec<Id>),
    Unnamed(u64),
    /// A structured binding.
    Binding(Vec<Id>),
    /// A function of that name.
    Function {
        name: Id,
        result: Option<Id>,
        parameters: Vec<Id>,
        qualifiers: Qualifiers,
    },
    /// A type of functions, whose qualifiers may be written behind.
    Signature {
        result: Id,
        parameters: Vec<Id>,
        qualifiers: Qualifiers,
        noexcept: Option<Id>,
    },
    /// A pointer or reference, with its sign.
    Pointer(Id, &'static str),
    /// A pointer to a member: the class and the type.
    Member(Id, Id),
    /// An array: its length and the type of its elements.
    Array(Option<Id>, Id),
    /// A vector: its length and the type of its elements.
    Vector(Id, Id),
    Qualified(Id, Qualifiers),
    /// A type and a qualifier of a vendor.
    Vendor(Id, Id),
    /// The arguments for a pack of parameters.
    Pack(Vec<Id>),
    /// A pattern, expanded for each element of a pack.
    Expansion(Id),
    /// A number behind a prefix, and what follows: `reference temporary #0 for `.
    Numbered(&'static str, u64, &'static str, Id),
    /// A literal: its type and its digits.
    Literal(Id, &'s str),
    /// A parameter of the function, or `this`, in an expression.
    Variable(Option<u64>),
    Unary(&'static str, Id),
    /// An operator behind its operand.
    Postfix(Id, &'static str),
    Binary(Id, &'static str, Id),
    Conditional(Id, Id, Id),
    /// A function or keyword, a list in parentheses, and a suffix.
    Call(Id, Vec<Id>),
    /// A type or nothing, and a list in braces.
    Braces(Option<Id>, Vec<Id>),
    /// A cast: its name, type and operand.
    Cast(&'static str, Id, Id),
    /// The number of elements of a pack.
    Count(Id),
    /// An expression between two texts.
    Around(&'static str, Id, &'static str),
    /// A fold: its left and right operands, if there are any, and the operator. Without one of them it is a unary fold.
    Fold(Option<Id>, &'static str, Option<Id>),
    /// `new`: its keyword, placement, type and initializer.
    New(&'static str, Vec<Id>, Id, Option<Vec<Id>>),
}

/// `const`, `volatile`, `restrict`, `&`, `&&` as bits.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Qualifiers(u8);

impl Qualifiers {
    const ALL: [(u8, &'static str); 5] =
        [(1, " const"), (2, " volatile"), (4, " restrict"), (8, " &"), (16, " &&")];
}

/// The forms of a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Whole,
    WithoutResult,
    WithoutParameters,
}

/// A name that was read from a symbol.
pub(super) struct Name<'s> {
    nodes: Vec<Node<'s>>,
    root: Id,
    /// The notes of the compiler behind it: `.isra.0.cold`.
    notes: &'s str,
}

impl<'s> Name<'s> {
    /// Reads a symbol. `None` if it is not one of C++.
    pub(super) fn new(symbol: &'s str) -> Option<Name<'s>> {
        let text = symbol.strip_prefix("_Z").or_else(|| symbol.strip_prefix("__Z"))?;
        let mut parser =
            Parser { text, nodes: Vec::new(), known: Vec::new(), conversion: false, depth: 0 };
        let root = parser.encoding()?;
        let notes = parser.text;
        (notes.is_empty() || notes.starts_with('.')).then_some(())?;
        Some(Name { nodes: parser.nodes, root, notes })
    }

    /// Returns the name, if it has no more bytes than that.
    pub(super) fn write(&self, form: Form, longest: usize) -> Option<String> {
        let mut writer = Writer::new(&self.nodes, longest);
        writer.top(self.root, form)?;
        for note in notes(self.notes) {
            writer.push(" [clone ")?;
            writer.push(note)?;
            writer.push("]")?;
        }
        Some(writer.out)
    }
}

/// Cuts the notes behind a name: a word each, with the numbers behind it.
fn notes(mut text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    while !text.is_empty() {
        let word = |c: char| c.is_ascii_lowercase() || c == '_';
        let mut end =
            1 + text.get(1..).map_or(0, |rest| rest.find(|c| !word(c)).unwrap_or(rest.len()));
        while let Some(rest) = text.get(end..)
            && let Some(number) = rest.strip_prefix('.')
            && number.starts_with(|c: char| c.is_ascii_digit())
        {
            end += 1 + number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
        }
        // What is no word is taken as it is.
        let end = match text.get(end..) {
            Some(rest) if rest.is_empty() || rest.starts_with('.') => end,
            _ => text.len(),
        };
        let (note, rest) = text.split_at(end);
        found.push(note);
        text = rest;
    }
    found
}

/// The state of reading.
struct Parser<'s> {
    /// What is left.
    text: &'s str,
    nodes: Vec<Node<'s>>,
    /// What can be referred to again (`S_`).
    known: Vec<Id>,
    /// Whether the type of a conversion operator is read: template arguments behind it are the operator's.
    conversion: bool,
    depth: u32,
}

impl<'s> Parser<'s> {
    fn add(&mut self, node: Node<'s>) -> Option<Id> {
        (self.nodes.len() < MOST_NODES).then_some(())?;
        self.nodes.push(node);
        Some(self.nodes.len() as Id - 1)
    }

    fn text(&mut self, text: &'s str) -> Option<Id> {
        self.add(Node::Text(text))
    }

    fn peek(&self) -> u8 {
        self.text.as_bytes().first().copied().unwrap_or(0)
    }

    fn eat(&mut self, start: &str) -> bool {
        match self.text.strip_prefix(start) {
            Some(rest) => {
                self.text = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, start: &str) -> Option<()> {
        self.eat(start).then_some(())
    }

    fn next(&mut self) -> Option<u8> {
        let byte = *self.text.as_bytes().first()?;
        self.text = self.text.get(1..)?;
        Some(byte)
    }

    /// Goes a level deeper.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.depth += 1;
        (self.depth < DEEPEST).then_some(())?;
        let found = read(self);
        self.depth -= 1;
        found
    }

    fn digits(&mut self) -> &'s str {
        let end = self.text.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.text.len());
        let (digits, rest) = self.text.split_at(end);
        self.text = rest;
        digits
    }

    fn number(&mut self) -> Option<u64> {
        self.digits().parse().ok()
    }

    /// An optional number before `_`: 0 without one, and else one more than it says.
    fn sequence(&mut self) -> Option<u64> {
        let number = match self.peek() {
            b'_' => 0,
            _ => self.number()?.checked_add(1)?,
        };
        self.expect("_")?;
        Some(number)
    }

    /// Remembers it to be referred to again.
    fn remember(&mut self, id: Id) -> Id {
        self.known.push(id);
        id
    }

    /// Reads until `E`.
    fn list(&mut self, mut item: impl FnMut(&mut Self) -> Option<Id>) -> Option<Vec<Id>> {
        let mut items = Vec::new();
        while !self.eat("E") {
            items.push(item(self)?);
        }
        Some(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(symbol: &str, form: Form) -> Option<String> {
        Name::new(symbol)?.write(form, 1 << 16)
    }

    /// The output of `c++filt -i` of binutils 2.40.
    const NAMES: &[(&str, &str)] = &[
        ("_ZN2ns3Foo3barEi", "ns::Foo::bar(int)"),
        ("_Z1fv", "f()"),
        ("_ZN2ns5largeIiEET_S1_S1_", "int ns::large<int>(int, int)"),
        (
            "_ZNSsC1Ev",
            "std::basic_string<char, std::char_traits<char>, std::allocator<char> >::basic_string()",
        ),
        (
            "_ZNSt6vectorISsSaISsEE9push_backERKSs",
            "std::vector<std::string, std::allocator<std::string> >::push_back(std::string const&)",
        ),
        ("_ZN3FooD1Ev", "Foo::~Foo()"),
        ("_ZNK3FoocvbEv", "Foo::operator bool() const"),
        ("_ZN3FoocvT_IiEEv", "Foo::operator int<int>()"),
        ("_ZN1AnwEm", "A::operator new(unsigned long)"),
        ("_Zli2_wPKc", r#"operator"" _w(char const*)"#),
        ("_ZN12_GLOBAL__N_11fEv", "(anonymous namespace)::f()"),
        ("_ZTV3Foo", "vtable for Foo"),
        ("_ZThn16_N3Foo1fEv", "non-virtual thunk to Foo::f()"),
        ("_ZTv0_n24_N3FooD0Ev", "virtual thunk to Foo::~Foo()"),
        ("_ZTch0_h8_N3Foo1fEv", "covariant return thunk to Foo::f()"),
        ("_ZTC3Foo0_3Bar", "construction vtable for Bar-in-Foo"),
        ("_ZGVZ1fvE1x", "guard variable for f()::x"),
        ("_ZZ1fvE1x_0", "f()::x"),
        ("_ZZN3Foo1fEvEs", "Foo::f()::string literal"),
        ("_ZZ1fiENKUliE_clEi", "f(int)::{lambda(int)#1}::operator()(int) const"),
        ("_ZZ1fvENKUlT_E_clIiEEDaS_", "auto f()::{lambda(auto:1)#1}::operator()<int>(int) const"),
        ("_ZN3FooUt_C1Ev", "Foo::{unnamed type#1}::Foo()"),
        ("_Z1fPFivE", "f(int (*)())"),
        ("_Z1fRA3_KiPA4_i", "f(int const (&) [3], int (*) [4])"),
        ("_Z1fM3FooKFiivE", "f(int (Foo::*)(int, void) const)"),
        ("_Z1fM3Fooi", "f(int Foo::*)"),
        ("_Z1fIiEPFvT_ES0_", "void (*f<int>(int))(int)"),
        ("_Z1fDv4_f", "f(float __vector(4))"),
        ("_Z1fIJicEEvDpT_", "void f<int, char>(int, char)"),
        ("_Z1fIJicEEvDpRKT_", "void f<int, char>(int const&, char const&)"),
        ("_Z1fIJEEvDpT_", "void f<>()"),
        (
            "_Z1fI3FooEvNSt9enable_ifIXntsr3stdE9is_same_vIT_iEEvE4typeE",
            "void f<Foo>(std::enable_if<!(std::is_same_v<Foo, int>), void>::type)",
        ),
        ("_Z1fIiEDTplfp_Li1EET_", "decltype ({parm#1}+(1)) f<int>(int)"),
        ("_Z1fILi5ELb1ELj7ELln3EEvv", "void f<5, true, 7u, -3l>()"),
        ("_Z1fILf3f800000EEvv", "void f<(float)[3f800000]>()"),
        ("_Z1fIXadL_ZN3Foo1gEvEEEvv", "void f<&Foo::g>()"),
        ("_Z1fIiEvT_PDTsrS0_1xE", "void f<int>(int, decltype (int::x)*)"),
        ("_Z1fB5cxx11v", "f[abi:cxx11]()"),
        ("_Z1fDnDsDiDu", "f(decltype(nullptr), char16_t, char32_t, char8_t)"),
        ("_Z1fDF16_", "f(_Float16)"),
        ("_Z1fu3__a", "f(__a)"),
        ("_Z1fPVKc", "f(char const volatile*)"),
        ("_Z1fU8restrictPi", "f(int* restrict)"),
        ("_ZNKR3Foo1fEv", "Foo::f() const &"),
        ("_ZNO3Foo1fEv", "Foo::f() &&"),
        ("_ZSt4cout", "std::cout"),
        ("_ZN1AIZ1fvE1BE1gEv", "A<f()::B>::g()"),
        ("_Z1fIiEvDTcvT_Li0EE", "void f<int>(decltype ((int)(0)))"),
        ("_Z1fPDoFvvE", "f(void (*)() noexcept)"),
        ("_Z1fIJiEEvDTspfp_E", "void f<int>(decltype ({parm#1}...))"),
        ("_Z1fIiEDTgtT_Li3EEv", "decltype (((int)>(3))) f<int>()"),
        ("_ZN3fooILi2EEC2ERKS0_", "foo<2>::foo(foo<2> const&)"),
        ("_Z1fi.isra.0.cold", "f(int) [clone .isra.0] [clone .cold]"),
        ("_Z1fi.constprop.3", "f(int) [clone .constprop.3]"),
    ];

    #[test]
    fn names_are_those_of_cxxfilt() {
        for (symbol, name) in NAMES {
            assert_eq!(written(symbol, Form::Whole).as_deref(), Some(*name), "{symbol}");
        }
    }

    #[test]
    fn results_and_parameters_can_be_left_out() {
        for (symbol, without_result, without_parameters) in [
            ("_Z1fv", "f()", "f"),
            ("_ZN2ns5largeIiEET_S1_S1_", "ns::large<int>(int, int)", "ns::large<int>"),
            ("_Z1fIiEPFvT_ES0_", "f<int>(int)", "f<int>"),
            ("_ZNK3Foo1fEv", "Foo::f() const", "Foo::f"),
            ("_ZSt4cout", "std::cout", "std::cout"),
        ] {
            assert_eq!(written(symbol, Form::WithoutResult).as_deref(), Some(without_result));
            assert_eq!(
                written(symbol, Form::WithoutParameters).as_deref(),
                Some(without_parameters)
            );
        }
    }

    #[test]
    fn what_is_no_symbol_has_no_name() {
        for symbol in [
            "",
            "main",
            "_Z",
            "_Z1",
            "_Z2f",
            "_ZN1fEv_",
            "_Z1fT_",
            "_Z1fS_",
            "_ZNE",
            "_Z1fIiE_",
            "_ZN3FooIE",
            "_Z99999999999999999999fv",
            "_Z1fIEvDpT_x",
            "_ZÄ",
        ] {
            assert_eq!(written(symbol, Form::Whole), None, "{symbol}");
        }
    }

    /// Pointers, names in names, and template arguments, deeper than anybody writes them.
    #[test]
    fn depth_has_an_end() {
        let pointers = |count| format!("_Z1f{}i", "P".repeat(count));
        let expected = format!("f(int{})", "*".repeat(60));
        assert_eq!(written(&pointers(60), Form::Whole), Some(expected));
        for symbol in [
            pointers(100_000),
            format!("_Z1f{}", "F".repeat(100_000)),
            format!("_Z{}", "Z".repeat(100_000)),
            format!("_ZN1a{}", "I1a".repeat(100_000)),
            format!("_Z1fIXadL_{}", "Z1fIXadL_".repeat(50_000)),
            format!("_Z1fIX{}", "pl".repeat(100_000)),
        ] {
            assert_eq!(written(&symbol, Form::Whole), None);
        }
    }

    /// All symbols of the C++ library, beside what `c++filt` makes of them, but for the commas that it puts around packs without elements.
    #[test]
    fn symbols_of_a_library_are_those_of_cxxfilt() {
        fn here() {}
        let Ok(library) = crate::user::find_file("libstdc++.so.6", None) else {
            return crate::requires::skip("libstdcxx", "there is no libstdc++.so.6", here);
        };
        let functions = crate::user::functions(&library).unwrap();
        // Without their versions.
        let names = functions.iter().filter_map(|one| one.name.split('@').next());
        let symbols: Vec<_> = names.filter(|name| name.starts_with("_Z")).collect();
        assert!(symbols.len() > 1000);
        let lines = symbols.join("\n");
        let path = std::env::temp_dir().join(format!("rawbpf-symbols-{}", std::process::id()));
        std::fs::write(&path, format!("{lines}\n")).unwrap();
        let output = std::process::Command::new("c++filt")
            .arg("-i")
            .stdin(std::fs::File::open(&path).unwrap())
            .output();
        std::fs::remove_file(&path).unwrap();
        let Ok(output) = output else {
            return crate::requires::skip("cxxfilt", "there is no c++filt", here);
        };
        let plain = |text: &str| text.replace("> >", ">>").replace("> >", ">>").replace(", ,", ",");
        for (symbol, expected) in
            symbols.iter().zip(String::from_utf8(output.stdout).unwrap().lines())
        {
            let name = written(symbol, Form::Whole).unwrap_or_default();
            assert_eq!(plain(&name), plain(expected), "{symbol}");
        }
    }

    proptest! {
        #[test]
        fn damaged_symbols_do_no_harm(
            which in 0..NAMES.len(),
            other in 0..NAMES.len(),
            (at, cut) in (0..200_usize, 0..200_usize),
            put in "[A-Za-z0-9_]{0,3}",
        ) {
            let (symbol, tail) = (NAMES[which].0, NAMES[other].0);
            let start = symbol.get(..at).unwrap_or(symbol);
            let end = tail.get(cut..).unwrap_or("");
            for form in [Form::Whole, Form::WithoutResult, Form::WithoutParameters] {
                let _ = written(&format!("{start}{put}{end}"), form);
            }
        }
    }
}
