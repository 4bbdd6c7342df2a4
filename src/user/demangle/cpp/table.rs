//! Codes of one or two letters.

/// Types of one letter.
pub(super) const TYPES: &[(u8, &str)] = &[
    (b'v', "void"),
    (b'w', "wchar_t"),
    (b'b', "bool"),
    (b'c', "char"),
    (b'a', "signed char"),
    (b'h', "unsigned char"),
    (b's', "short"),
    (b't', "unsigned short"),
    (b'i', "int"),
    (b'j', "unsigned int"),
    (b'l', "long"),
    (b'm', "unsigned long"),
    (b'x', "long long"),
    (b'y', "unsigned long long"),
    (b'n', "__int128"),
    (b'o', "unsigned __int128"),
    (b'f', "float"),
    (b'd', "double"),
    (b'e', "long double"),
    (b'g', "__float128"),
    (b'z', "..."),
];

/// Types of two letters.
pub(super) const MORE_TYPES: &[(&str, &str)] = &[
    ("Da", "auto"),
    ("Dc", "decltype(auto)"),
    ("Dd", "decimal64"),
    ("De", "decimal128"),
    ("Df", "decimal32"),
    ("Dh", "half"),
    ("Di", "char32_t"),
    ("Dn", "decltype(nullptr)"),
    ("Ds", "char16_t"),
    ("Du", "char8_t"),
];

/// Names of the standard library: code, short name, whole name, and its last component.
pub(super) const STD: &[(u8, &str, &str, &str)] = &[
    (b'a', "std::allocator", "std::allocator", "allocator"),
    (b'b', "std::basic_string", "std::basic_string", "basic_string"),
    (
        b's',
        "std::string",
        "std::basic_string<char, std::char_traits<char>, std::allocator<char> >",
        "basic_string",
    ),
    (b'i', "std::istream", "std::basic_istream<char, std::char_traits<char> >", "basic_istream"),
    (b'o', "std::ostream", "std::basic_ostream<char, std::char_traits<char> >", "basic_ostream"),
    (b'd', "std::iostream", "std::basic_iostream<char, std::char_traits<char> >", "basic_iostream"),
];

/// The kinds of operators in expressions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Unary,
    /// Behind the operand, or in front of it with a `_` behind the code.
    Step,
    Binary,
    /// Only as the name of a function.
    Name,
}

/// Operators: code, sign, kind; in the order of the codes.
const OPERATORS: &[(&str, &str, Kind)] = &[
    ("aN", "&=", Kind::Binary),
    ("aS", "=", Kind::Binary),
    ("aa", "&&", Kind::Binary),
    ("ad", "&", Kind::Unary),
    ("an", "&", Kind::Binary),
    ("aw", "co_await ", Kind::Unary),
    ("cl", "()", Kind::Name),
    ("cm", ",", Kind::Binary),
    ("co", "~", Kind::Unary),
    ("dV", "/=", Kind::Binary),
    ("da", "delete[] ", Kind::Unary),
    ("de", "*", Kind::Unary),
    ("dl", "delete ", Kind::Unary),
    ("ds", ".*", Kind::Binary),
    ("dt", ".", Kind::Binary),
    ("dv", "/", Kind::Binary),
    ("eO", "^=", Kind::Binary),
    ("eo", "^", Kind::Binary),
    ("eq", "==", Kind::Binary),
    ("ge", ">=", Kind::Binary),
    ("gt", ">", Kind::Binary),
    ("ix", "[]", Kind::Name),
    ("lS", "<<=", Kind::Binary),
    ("le", "<=", Kind::Binary),
    ("ls", "<<", Kind::Binary),
    ("lt", "<", Kind::Binary),
    ("mI", "-=", Kind::Binary),
    ("mL", "*=", Kind::Binary),
    ("mi", "-", Kind::Binary),
    ("ml", "*", Kind::Binary),
    ("mm", "--", Kind::Step),
    ("na", "new[]", Kind::Name),
    ("ne", "!=", Kind::Binary),
    ("ng", "-", Kind::Unary),
    ("nt", "!", Kind::Unary),
    ("nw", "new", Kind::Name),
    ("oR", "|=", Kind::Binary),
    ("oo", "||", Kind::Binary),
    ("or", "|", Kind::Binary),
    ("pL", "+=", Kind::Binary),
    ("pl", "+", Kind::Binary),
    ("pm", "->*", Kind::Binary),
    ("pp", "++", Kind::Step),
    ("ps", "+", Kind::Unary),
    ("pt", "->", Kind::Binary),
    ("qu", "?", Kind::Name),
    ("rM", "%=", Kind::Binary),
    ("rS", ">>=", Kind::Binary),
    ("rm", "%", Kind::Binary),
    ("rs", ">>", Kind::Binary),
    ("ss", "<=>", Kind::Binary),
];

/// Looks up the operator that a text begins with.
pub(super) fn operator(text: &str) -> Option<(&'static str, Kind)> {
    let code = text.get(..2)?;
    let at = OPERATORS.binary_search_by(|(one, ..)| (*one).cmp(code)).ok()?;
    OPERATORS.get(at).map(|(_, sign, kind)| (*sign, *kind))
}

/// What follows a code.
#[derive(Clone, Copy)]
pub(super) enum Of {
    Type,
    Name,
    Encoding,
}

/// Names of things that are made for others.
pub(super) const SPECIAL: &[(&str, &str, Of)] = &[
    ("TV", "vtable for ", Of::Type),
    ("TT", "VTT for ", Of::Type),
    ("TI", "typeinfo for ", Of::Type),
    ("TS", "typeinfo name for ", Of::Type),
    ("TH", "TLS init function for ", Of::Name),
    ("TW", "TLS wrapper function for ", Of::Name),
    ("GV", "guard variable for ", Of::Name),
    ("GTt", "transaction clone for ", Of::Encoding),
    ("GTn", "non-transaction clone for ", Of::Encoding),
    ("GA", "hidden alias for ", Of::Encoding),
];
