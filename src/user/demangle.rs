//! Demangled names of functions of C++ and Rust, and the symbols that stand for them.

#[cfg(feature = "demangle")]
mod crates;

#[cfg(feature = "demangle")]
pub(super) use crates::forms;
#[cfg(all(feature = "demangle", feature = "symbolize"))]
pub(super) use crates::readable;

/// Without demanglers, no name is behind a symbol.
#[cfg(not(feature = "demangle"))]
pub(super) fn forms(_: &str) -> Vec<String> {
    Vec::new()
}

/// Without demanglers, every symbol is its own name.
#[cfg(all(not(feature = "demangle"), feature = "symbolize"))]
pub(super) fn readable(_: &str) -> Option<String> {
    None
}

/// Whether a symbol is of C++ or Rust, mangled.
pub(super) fn is_mangled(symbol: &str) -> bool {
    symbol.starts_with("_Z") || symbol.starts_with("_R")
}

/// Whether a text is written as names of C++ and Rust are, and symbols are not.
pub(super) fn looks_readable(text: &str) -> bool {
    ["::", "(", "operator"].iter().any(|part| text.contains(part))
}

/// A demangled name as written in a target, to be found among symbols: `ns::Type::function`, with its parameters or
/// without them.
pub(super) struct Readable<'w> {
    /// The name without its spaces.
    text: String,
    /// The raw text that the symbol contains.
    word: &'w str,
}

impl<'w> Readable<'w> {
    pub(super) fn new(name: &'w str) -> Readable<'w> {
        let path = name.split(['(', '<', '[']).next().unwrap_or_default();
        let last = path.rsplit(|c: char| c != '_' && !c.is_alphanumeric()).next();
        // Operators have other names in symbols, and types of the standard library have short ones.
        let other = name.contains("operator") || name.contains("std::") || name.contains('{');
        let word = last.filter(|_| !other).unwrap_or_default();
        Readable { text: without_spaces(name), word }
    }

    /// Whether a symbol stands for the name.
    pub(super) fn is(&self, symbol: &str) -> bool {
        symbol.contains(self.word)
            && forms(symbol).iter().any(|form| without_spaces(form) == self.text)
    }
}

/// Returns the name behind a symbol, with its parameters; `None` if it is not of C++ or Rust.
pub(super) fn demangled(symbol: &str) -> Option<String> {
    forms(symbol).into_iter().next()
}

fn without_spaces(name: &str) -> String {
    name.chars().filter(|letter| !letter.is_whitespace()).collect()
}

#[cfg(all(test, feature = "demangle", feature = "symbolize"))]
mod tests {
    use super::*;

    /// Symbols of g++ and rustc, with the output of `c++filt -i` for them.
    #[test]
    fn symbols_are_found_by_names() {
        for (symbol, names, others) in [
            (
                "_ZN2ns3Foo3barEi",
                &["ns::Foo::bar", "ns::Foo::bar(int)", "ns::Foo::bar( int )"][..],
                &["bar", "Foo::bar", "ns::Foo::bar(long)", "ns::Foo::ba"][..],
            ),
            ("_Z3addii", &["add", "add(int, int)", "add(int,int)"], &["add(int)", "ad"]),
            (
                "_ZN2ns5largeIiEET_S1_S1_",
                &["ns::large<int>", "ns::large<int>(int, int)", "int ns::large<int>(int, int)"],
                &["ns::large", "ns::large<long>"],
            ),
            ("_ZN2ns3FooC1Ev", &["ns::Foo::Foo", "ns::Foo::Foo()"], &["ns::Foo"]),
            ("_ZN2ns3FooD2Ev", &["ns::Foo::~Foo"], &["ns::Foo::Foo"]),
            ("_ZNK2ns3FooixEi", &["ns::Foo::operator[]"], &["ns::Foo::operator()"]),
            ("_ZN3FooplERKS_", &["Foo::operator+", "Foo::operator+(Foo const&)"], &[]),
            ("_Z1fi.isra.0", &["f", "f(int)"], &[]),
            ("_Z1fi.cold", &[], &["f", "f(int)"]),
            (
                "_ZN4core3fmt9Formatter3pad17h0123456789abcdefE",
                &["core::fmt::Formatter::pad"],
                &["core::fmt::Formatter::pa"],
            ),
            ("add", &[], &["add"]),
        ] {
            for name in names {
                assert!(Readable::new(name).is(symbol), "{symbol} {name}: {:?}", forms(symbol));
            }
            for other in others {
                assert!(!Readable::new(other).is(symbol), "{symbol} {other}");
            }
        }
        assert_eq!(demangled("_ZN2ns3Foo3barEi").as_deref(), Some("ns::Foo::bar(int)"));
        assert_eq!(demangled("add"), None);
    }

    #[test]
    fn symbols_are_readable() {
        for (name, demangled) in [
            // c++filt of binutils 2.40.
            ("_ZN2ns3Foo3barEi", Some("ns::Foo::bar(int)")),
            ("_Z1fv", Some("f()")),
            ("_RNvC6_123foo3bar", Some("123foo::bar")),
            (
                "_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE",
                Some("core::fmt::Write::write_fmt"),
            ),
            ("_Z1fi.cold", Some("f(int) [clone .cold]")),
            ("main", None),
            ("_start", None),
            ("", None),
        ] {
            assert_eq!(readable(name).as_deref(), demangled, "{name}");
        }
    }

    #[test]
    fn a_name_that_grows_without_end_is_none() {
        // `A<int, int>`, then A of two of those, and so on: c++filt of 3 is `f(A<int, int>, A<A<int, int>, A<int, int> >, …`.
        let doubled = |times: u32| {
            let mut name = "_Z1f1AIiiE".to_owned();
            for index in 0..times {
                let digit = char::from_digit(index, 36).unwrap().to_ascii_uppercase();
                name += &format!("S_IS{digit}_S{digit}_E");
            }
            readable(&name)
        };
        assert_eq!(doubled(1).as_deref(), Some("f(A<int, int>, A<A<int, int>, A<int, int> >)"));
        assert_eq!(doubled(30), None);
    }

    proptest::proptest! {
        #[test]
        fn any_symbol_has_names_or_none(symbol in "(_Z|_R)?[A-Z0-9a-z_.]{0,24}", name in "\\PC{0,12}") {
            let _ = (readable(&symbol), Readable::new(&name).is(&symbol));
        }
    }
}
