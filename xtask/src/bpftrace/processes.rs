//! The processes of a run: those whose working directory is the run's folder, which no other process has.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Numbers of all processes that work in `folder`, the oldest first.
pub fn in_folder(folder: &Path) -> Vec<u32> {
    let Ok(own) = folder.metadata() else { return Vec::new() };
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut found: Vec<u32> = all
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            let cwd = fs::metadata(format!("/proc/{pid}/cwd"));
            cwd.is_ok_and(|cwd| (cwd.dev(), cwd.ino()) == (own.dev(), own.ino()))
        })
        .filter(|&pid| pid != std::process::id())
        .collect();
    found.sort_unstable();
    found
}

/// Numbers of the processes in `folder` that were started by this name.
pub fn named(folder: &Path, name: &str) -> Vec<u32> {
    let mut found = in_folder(folder);
    found.retain(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let first = line.split(|&byte| byte == 0).next().unwrap_or_default();
        first.rsplit(|&byte| byte == b'/').next() == Some(name.as_bytes())
    });
    found
}

/// `pidof` and `pkill` as the suite calls them, blind to processes that are not of the run in `folder`: others may well run
/// bpftrace on this machine.
pub fn scripts(folder: &Path) -> [(&'static str, String); 2] {
    let place = crate::tools::quoted(folder);
    let pidof = format!(
        r#"found=
for process in /proc/[0-9]*; do
    [ "$process/cwd" -ef {place} ] || continue
    name=$(tr '\0' '\n' < "$process/cmdline" 2> /dev/null | head -n 1)
    [ "${{name##*/}}" = "$1" ] && found="${{process#/proc/}} $found"
done
[ -n "$found" ] || exit 1
echo $found"#
    );
    // pkill -SIGINT NAME
    let pkill = r#"found=$(pidof "$2") || exit 1
signal=${1#-}
kill -s "${signal#SIG}" $found"#;
    [("pidof", pidof), ("pkill", pkill.into())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interrupt::Owned;
    use std::process::{Command, Stdio};

    #[test]
    fn only_processes_of_the_folder_are_seen() {
        let folder = std::env::temp_dir().join(format!("xtask-processes-{}", std::process::id()));
        fs::create_dir_all(folder.join("bin")).unwrap();
        for (name, body) in scripts(&folder) {
            crate::tools::script(&folder.join("bin").join(name), &body).unwrap();
        }
        let sleep = |place: &Path| {
            let mut command = Command::new("sleep");
            Owned::spawn(command.arg("60").current_dir(place).stdin(Stdio::null())).unwrap()
        };
        let mut ours = sleep(&folder);
        let mut other = sleep(Path::new("/"));
        // Its name is that of this program until it has become another one.
        while named(&folder, "sleep").is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(in_folder(&folder), [ours.0.id()]);
        assert!(named(&folder, "slee").is_empty());
        let path = format!("{}:/usr/bin:/bin", folder.join("bin").display());
        let run = |line: &str| {
            let done =
                Command::new("/bin/sh").args(["-c", line]).env("PATH", &path).output().unwrap();
            String::from_utf8(done.stdout).unwrap()
        };
        assert_eq!(run("pidof sleep").trim(), ours.0.id().to_string());
        assert_eq!(run("pidof sleeper || echo none").trim(), "none");
        run("pkill -SIGKILL sleep");
        assert!(!ours.0.wait().unwrap().success());
        assert!(other.0.try_wait().unwrap().is_none());
        fs::remove_dir_all(&folder).unwrap();
    }
}
