//! Parser of probe targets: `FILE:FUNCTION`.

use crate::util::escape;

/// The places that a target names in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    /// The file offsets, in bytes.
    pub offsets: Vec<u64>,
    /// The number of matching functions whose place is unknown.
    pub skipped: usize,
    /// The functions were found by a pattern.
    pub by_pattern: bool,
}

impl Places {
    /// The place at an offset.
    pub(crate) fn at(offset: u64) -> Places {
        Places::of(vec![offset])
    }

    /// The places that one name means.
    pub(super) fn of(offsets: Vec<u64>) -> Places {
        Places { offsets, skipped: 0, by_pattern: false }
    }
}

/// Takes `FILE:FUNCTION` apart. Both can hold colons: a path, and names such as `ns::Type::function` of C++ and `type:.eq.main.T` of Go.
///
/// A name without a slash in front of the first colon is that of a library. Of paths the longest that exists counts,
/// and if none exists the part before the last single colon.
pub(crate) fn file_and_function(text: &str) -> Option<(&str, &str)> {
    let (first, rest) = text.split_once(':')?;
    let split = if first.contains('/') && rest.contains(':') {
        let places = || text.match_indices(':').map(|(at, _)| at).rev();
        let exists = |at: &usize| {
            let file = text.get(..*at).filter(|file| file.contains('/'));
            // A pipe is accepted as a file, too; a directory is not.
            file.is_some_and(|file| {
                escape::path(file).metadata().is_ok_and(|about| !about.is_dir())
            })
        };
        let byte = |at: usize| text.as_bytes().get(at);
        let single = |at: &usize| {
            byte(at + 1) != Some(&b':') && at.checked_sub(1).and_then(byte) != Some(&b':')
        };
        places().find(exists).or_else(|| places().find(single)).unwrap_or(first.len())
    } else {
        first.len()
    };
    let (file, function) = (text.get(..split)?, text.get(split + 1..)?);
    (!file.is_empty() && !function.is_empty()).then_some((file, function))
}

/// Takes `FILE:PROVIDER:PROBE` apart, or `FILE:PROBE`, which has an empty provider: any. A path can hold colons, a name cannot.
pub(crate) fn file_and_probe(text: &str) -> Option<(&str, &str, &str)> {
    let (before, name) = text.rsplit_once(':')?;
    let (file, provider) = match before.rsplit_once(':') {
        Some((file, provider)) if !provider.contains('/') => (file, provider),
        _ => (before, ""),
    };
    let good = !file.is_empty() && !name.is_empty() && !name.contains('/');
    good.then_some((file, provider, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colons_of_paths_and_names_are_told_apart() {
        for (text, file, function) in [
            ("c:strlen", "c", "strlen"),
            ("c:ns::Foo::bar", "c", "ns::Foo::bar"),
            ("c:type:.eq.main.T", "c", "type:.eq.main.T"),
            ("/no/file:main", "/no/file", "main"),
            ("/no/file:internal/poll.(*FD).Write", "/no/file", "internal/poll.(*FD).Write"),
            ("/no/file:ns::Foo::bar", "/no/file", "ns::Foo::bar"),
            ("/no/a:b/c:0x1234", "/no/a:b/c", "0x1234"),
            ("/no/a:b/c:ns::x", "/no/a:b/c", "ns::x"),
            ("/dev/null:a/b:c::d", "/dev/null", "a/b:c::d"),
            ("/dev/null:type:.eq.main.T", "/dev/null", "type:.eq.main.T"),
        ] {
            assert_eq!(file_and_function(text), Some((file, function)), "{text}");
        }
        for none in ["", "c", "c:", ":x", "/no/file:", "/no/file"] {
            assert_eq!(file_and_function(none), None, "{none}");
        }
        // The longest path that there is.
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| format!("{}/{name}", folder.path().display());
        std::fs::write(path("a"), "").unwrap();
        std::fs::create_dir(path("a:b")).unwrap();
        std::fs::write(path("a:b/c"), "").unwrap();
        let text = path("a:b/c:ns::x");
        assert_eq!(file_and_function(&text), Some((path("a:b/c").as_str(), "ns::x")));
        let text = path("a:b:x");
        assert_eq!(file_and_function(&text), Some((path("a").as_str(), "b:x")));
        // One that is not UTF-8.
        std::fs::write(escape::path(&path("a\u{efff}:b")), "").unwrap();
        let text = path("a\u{efff}:b:ns::x");
        assert_eq!(file_and_function(&text), Some((path("a\u{efff}:b").as_str(), "ns::x")));
    }

    #[test]
    fn probes_have_a_provider_or_any() {
        for (text, expected) in [
            ("c:libc:setjmp", Some(("c", "libc", "setjmp"))),
            ("c::setjmp", Some(("c", "", "setjmp"))),
            ("c:setjmp", Some(("c", "", "setjmp"))),
            ("/opt/a:b/c:x", Some(("/opt/a:b/c", "", "x"))),
            ("/opt/a:b/c:x:y", Some(("/opt/a:b/c", "x", "y"))),
            ("/opt/a:b/c", None),
            ("c", None),
            ("c:", None),
            (":x", None),
            ("::x", None),
        ] {
            assert_eq!(file_and_probe(text), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost(text in "[a/:\u{e9}]{0,12}") {
            if let Some((file, function)) = file_and_function(&text) {
                assert_eq!(format!("{file}:{function}"), text);
            }
        }
    }
}
