use super::*;

#[test]
fn equal_snapshots_do_not_differ() {
    assert_eq!(difference("pub mod a\n", "pub mod a\n"), None);
}

#[test]
fn a_difference_has_the_lines_of_both_sides() {
    let before = "pub mod a\npub fn a::one()\npub fn a::two()\nimpl a::T\nimpl a::T\n";
    let now = "pub mod a\npub fn a::one(u32)\npub fn a::two()\nimpl a::T\npub fn a::three()\n";
    let report = difference(before, now).unwrap();
    let lines: Vec<_> = report.lines().collect();
    assert_eq!(
        lines[..4],
        ["-pub fn a::one()", "-impl a::T", "+pub fn a::one(u32)", "+pub fn a::three()"]
    );
    assert!(lines[4].contains("2 removed or changed, 2 added"), "{report}");
    assert!(lines[4].contains("cargo xtask api --bless"), "{report}");
}

#[test]
fn what_goes_without_saying_is_left_out() {
    let items = [
        "pub struct a::T",
        "impl core::marker::Send for a::T",
        "impl<'a> !core::marker::Sync for a::T<'a>",
        "impl<T> core::marker::Unpin for a::T<T> where T: core::marker::Unpin",
        "impl !core::panic::unwind_safe::UnwindSafe for a::T",
        "impl core::clone::Clone for a::T",
        "pub fn a::T::clone(&self) -> a::T",
        "pub fn a::T<N>::fmt(&self, &mut core::fmt::Formatter<'_>) -> core::fmt::Result",
        "pub fn a::T::hash<__H: core::hash::Hasher>(&self, &mut __H)",
        "pub fn a::T::clone_range(&self) -> a::T",
        "pub fn a::hash<K>::new() -> a::hash<K>",
        "pub fn a::T::eq(&self, &a::T) -> bool",
        "pub fn a::T::cmp(&self, &a::T) -> core::cmp::Ordering",
        "pub fn a::T::partial_cmp(&self, &a::T) -> core::option::Option<core::cmp::Ordering>",
        "pub fn a::T::drop(&mut self)",
        // Methods of types that have the names of those of traits.
        "pub const fn a::T<'a>::hash(&'a str, u32) -> Self",
        "pub fn a::T::hash(&self, &mut a::U)",
        "pub const fn a::T::clone(&self) -> Self",
        "pub fn a::T::clone(&self, u32) -> Self",
        "pub fn a::T::cmp(&self, &a::T) -> bool",
        "pub fn a::T::drop(self)",
        "pub fn a::T::eq(&self, u32) -> bool",
        "pub fn a::T::fmt(&self) -> alloc::string::String",
        "pub fn a::T::partial_cmp(&self, &a::T) -> core::cmp::Ordering",
    ];
    let kept = [
        "pub struct a::T",
        "impl<'a> !core::marker::Sync for a::T<'a>",
        "impl core::clone::Clone for a::T",
        "pub fn a::T::clone_range(&self) -> a::T",
        "pub fn a::hash<K>::new() -> a::hash<K>",
        "pub const fn a::T<'a>::hash(&'a str, u32) -> Self",
        "pub fn a::T::hash(&self, &mut a::U)",
        "pub const fn a::T::clone(&self) -> Self",
        "pub fn a::T::clone(&self, u32) -> Self",
        "pub fn a::T::cmp(&self, &a::T) -> bool",
        "pub fn a::T::drop(self)",
        "pub fn a::T::eq(&self, u32) -> bool",
        "pub fn a::T::fmt(&self) -> alloc::string::String",
        "pub fn a::T::partial_cmp(&self, &a::T) -> core::cmp::Ordering",
    ];
    assert_eq!(text(items.into_iter().map(str::to_owned)), kept.join("\n") + "\n");
}

/// `public-api` would read JSON of another version as far as it fits, and lose items without a word.
#[test]
fn json_of_another_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.json");
    for (text, accepted) in [
        (format!(r#"{{"format_version": {}}}"#, FORMAT.0), true),
        (format!(r#"{{"format_version": {}}}"#, FORMAT.0 + 1), false),
        ("{}".to_owned(), false),
        ("".to_owned(), false),
    ] {
        fs::write(&file, &text).unwrap();
        assert_eq!(check_format(&file).is_ok(), accepted, "{text}");
    }
    fs::write(&file, r#"{"format_version": 99}"#).unwrap();
    let error = check_format(&file).unwrap_err().to_string();
    assert!(error.contains("99") && error.contains("1.95"), "{error}");
}
