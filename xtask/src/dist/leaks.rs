//! Paths of the machine that built a file: nobody else has them, and they tell who built it.

use anyhow::{Result, bail};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Fails if a file has one of these folders in it, or the home of whoever builds.
pub fn check<'a>(name: &str, bytes: &[u8], folders: impl Iterator<Item = &'a Path>) -> Result<()> {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.parent().is_some());
    for folder in folders.map(Path::to_owned).chain(home) {
        if let Some(found) = first(bytes, &folder) {
            bail!(
                "{name}: a path of this machine is in it: {}, expected none",
                found.escape_debug()
            );
        }
    }
    Ok(())
}

/// Finds the first path below a folder: up to the character that ends it, and not too much of what may follow.
fn first(bytes: &[u8], folder: &Path) -> Option<String> {
    // With the slash, since `/root` alone may mean something else.
    let wanted = [folder.as_os_str().as_bytes(), b"/"].concat();
    let start = bytes.windows(wanted.len()).position(|window| window == wanted)?;
    let path = bytes.get(start..)?.iter().take(200).take_while(|byte| byte.is_ascii_graphic());
    Some(path.map(|byte| char::from(*byte)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_the_machine_is_found() {
        let file = b"\x7fELF\0 panicked at /home/who/src/rawbpf/src/lib.rs\0/rustc/1/library";
        let folders = [Path::new("/opt/cargo"), Path::new("/home/who/src")];
        let error = check("rawbpf", file, folders.into_iter()).unwrap_err().to_string();
        assert!(error.starts_with("rawbpf: a path of this machine"), "{error}");
        assert!(error.contains(" /home/who/src/rawbpf/src/lib.rs, "), "{error}");
    }

    #[test]
    fn other_paths_are_not() {
        let file =
            b"/home/who/srcs \0/rustc/1/library/std/src/lib.rs\0/sys/kernel/btf/vmlinux\0/home/who";
        check("rawbpf", file, [Path::new("/home/who/src")].into_iter()).unwrap();
        assert_eq!(first(file, Path::new("/home/who")).as_deref(), Some("/home/who/srcs"));
    }
}
