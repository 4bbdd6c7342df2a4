//! The version of the running kernel, and what it is too old for.

use crate::syscall;
use crate::uapi::flags::Known;
use crate::util::Version;

/// Returns the version of the running kernel, if its release begins with one.
pub(crate) fn running() -> Option<Version> {
    parse(&syscall::release())
}

/// Says that the running kernel is older than something, if it is.
pub(crate) fn too_old(what: &str, since: Version) -> Option<String> {
    let here = running().filter(|here| *here < since)?;
    Some(format!("Linux {since} brought {what}, and this is Linux {here}"))
}

/// Says which flags a kernel that answered `EINVAL` is likely to lack: those that are younger than it, or else those that are
/// not among the `allowed` ones.
pub(crate) fn lacking_flags(flags: u32, known: &[Known], allowed: u32) -> Option<String> {
    let here = running();
    let younger = known.iter().filter(|(flag, ..)| flags & flag != 0);
    let mut younger = younger.filter(|(_, _, since)| here.is_some_and(|here| here < *since));
    if let Some((_, name, since)) = younger.next() {
        return too_old(name, *since);
    }
    let unknown = flags & !allowed;
    (unknown != 0).then(|| format!("unsupported flags {unknown:#x}"))
}

fn parse(release: &str) -> Option<Version> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(str::parse);
    Some(Version::new(numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_begin_with_a_version() {
        for (release, major, minor) in
            [("5.10.0-36-cloud-amd64", 5, 10), ("6.18.44-fc", 6, 18), ("7.0-rc1", 7, 0)]
        {
            assert_eq!(parse(release), Some(Version::new(major, minor)));
        }
        for none in ["", "x", "5", "5.x"] {
            assert_eq!(parse(none), None, "{none}");
        }
    }

    #[test]
    fn only_what_is_younger_is_lacking() {
        let old = too_old("maps of type hash", Version::new(3, 19));
        assert_eq!(old, None);
        let young = too_old("it", Version::new(u16::MAX, 0)).unwrap();
        assert!(young.starts_with("Linux 65535.0 brought it, and this is Linux "), "{young}");
    }
}
