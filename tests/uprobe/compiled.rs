//! Programs that a compiler makes for a test.

use crate::common::Folder;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder with programs in it, gone when dropped.
pub(crate) struct Compiled {
    folder: Folder,
}

impl Compiled {
    pub(crate) fn new() -> Compiled {
        Compiled { folder: Folder::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a tool in the folder.
    #[track_caller]
    pub(crate) fn run(&self, tool: &str, args: &[&str]) {
        let output =
            Command::new(tool).args(args).current_dir(self.folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{tool} {args:?}: {said}");
    }

    /// Compiles a source, whose name says its language, to the program `name`.
    #[track_caller]
    pub(crate) fn build(&self, name: &str, source: (&str, &str), args: &[&str]) -> PathBuf {
        let (file, text) = source;
        fs::write(self.path(file), text).unwrap();
        let compiler = if file.ends_with(".cc") { "g++" } else { "gcc" };
        self.run(compiler, &[args, &["-o", name, file]].concat());
        self.path(name)
    }
}

/// Calls a function three times, with 1, 2 and 3, and returns what it makes of them.
pub(crate) fn thrice(function: &str, declared: &str) -> String {
    format!(
        "{declared}\nint main(void) {{ int sum = 0; for (int i = 1; i <= 3; i++) sum += {function}(i); return sum != 9; }}\n"
    )
}

/// A program as an argument of a target.
pub(crate) fn file(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
