//! `cargo xtask lesson`: runs a lesson of the tutorial on one of Debian's kernels, with something for it to see.

use crate::arch::Arch;
use crate::{build, paths, vm};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::ffi::OsString;
use std::fs;

/// The options of `cargo xtask lesson`.
#[derive(Args)]
pub struct Options {
    /// Number of the lesson, such as 01 or 1
    #[arg(value_name = "NUMBER")]
    pub lesson: u8,
    /// Kernel: 5.10, 6.1, 6.12, latest, all of these one after the other, or another line such as 6.18
    #[arg(long, default_value = "latest")]
    pub kernel: String,
    /// Architecture of the guest
    #[arg(long, value_enum, default_value = "x86_64")]
    pub arch: Arch,
    /// Shell command to run in the guest while the lesson is attached, instead of the one for this lesson
    #[arg(long = "do", value_name = "COMMAND")]
    pub activity: Option<String>,
    /// How often the command is run, a second apart
    #[arg(long, default_value_t = 3)]
    pub times: u16,
}

/// A MiB that is on the disk when the command ends: the kernel has made requests of it.
const WRITE: &str = "dd if=/dev/zero of=/disk/lesson bs=64k count=16 conv=fsync 2>/dev/null";
const FORK: &str = "sh -c '(:); (:); :'";
const PING: &str = "ping -c 1 127.0.0.1 >/dev/null";

/// The command for each lesson, as far as busybox can do what the tutorial does in another window; by the lesson's number
/// from 1 on. `None` is a lesson that the guest has nothing for.
const ACTIVITIES: [Option<&str>; 19] = [
    Some(FORK),
    Some("sync"),
    Some(FORK),
    Some("sync; sync; sync"),
    Some(WRITE),
    Some(FORK),
    Some(FORK),
    Some(WRITE),
    Some(WRITE),
    Some("wc -l /proc/kallsyms"),
    Some("mktemp -u >/dev/null"),
    Some(WRITE),
    None,
    Some("wget -q -O - $(grep -o 'http://[0-9.:]*/' $seen)hello"),
    Some(":"),
    Some(PING),
    Some(PING),
    Some(PING),
    Some("su nobody -s /bin/sh -c :"),
];

/// Runs the lesson; returns the exit status of the guest's shell, which is the lesson's.
pub fn run(options: &Options) -> Result<u8> {
    let name = name(options.lesson)?;
    let activity = match (&options.activity, activity(options.lesson)) {
        (Some(command), _) => command,
        (None, Some(command)) => command,
        (None, None) => bail!(
            "lesson {}: not supported in the guest: it has no C library to probe; uprobes need no kprobes, so run it here: \
             cargo run -p lessons --example {name}",
            options.lesson
        ),
    };
    let made =
        build::for_guest(options.arch, &["build", "--package", "lessons", "--example", &name])?;
    let lesson = made.iter().find(|made| made.name == name).context("cargo made no lesson")?;
    let mut file = OsString::from(&lesson.path);
    file.push(format!(":{GUEST}"));
    vm::run(&vm::Options {
        kernel: options.kernel.clone(),
        arch: options.arch,
        accel: vm::AccelWish::Auto,
        memory: None,
        cpus: 1,
        append: String::new(),
        no_tracefs: false,
        file: vec![file],
        env: Vec::new(),
        timeout: 120 + 10 * u64::from(options.times),
        refresh: false,
        no_rawbpf: true,
        verbose: false,
        command: ["sh", "-c", &script(GUEST, "/tmp", activity, options.times)]
            .map(OsString::from)
            .into(),
    })
}

/// The path of the lesson in the guest.
const GUEST: &str = "/lesson";

/// Returns the script that runs the lesson in the guest, with a folder for its files.
///
/// Each lesson prints a heading once it is attached; so what it prints goes to a file, too, and as long as that is empty the
/// command waits. SIGTERM ends it as Ctrl-C does.
fn script(lesson: &str, folder: &str, activity: &str, times: u16) -> String {
    format!(
        "seen={folder}/seen; : > $seen; mkfifo {folder}/pipe; tee $seen < {folder}/pipe & tee=$!\n\
         {lesson} > {folder}/pipe & lesson=$!\n\
         until [ -s $seen ] || ! kill -0 $lesson; do sleep 0.1; done\n\
         for _ in $(seq {times}); do {activity}\nsleep 1; done\n\
         kill $lesson; wait $lesson; status=$?; wait $tee; exit $status"
    )
}

fn activity(lesson: u8) -> Option<&'static str> {
    *ACTIVITIES.get(usize::from(lesson).checked_sub(1)?)?
}

/// Returns the name of the example of a lesson.
fn name(lesson: u8) -> Result<String> {
    let folder = paths::workspace().join("lessons/examples");
    let start = format!("lesson_{lesson:02}_");
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(name) = name.strip_suffix(".rs").filter(|name| name.starts_with(&start)) {
            return Ok(name.into());
        }
    }
    bail!("lesson {lesson}: no such lesson, expected 1 to {}", ACTIVITIES.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn each_lesson_has_an_activity_or_a_reason() {
        let folder = paths::workspace().join("lessons/examples");
        let files = fs::read_dir(folder).unwrap().filter(|entry| {
            entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("lesson_")
        });
        assert_eq!(files.count(), ACTIVITIES.len());
        let names: Vec<_> =
            (1..=19).map(|number| name(number).map_err(|e| e.to_string())).collect();
        assert_eq!(names[0], Ok("lesson_01_hello_world".into()));
        assert_eq!(names[18], Ok("lesson_19_setuid_monitor".into()));
        assert_eq!(
            name(20).unwrap_err().to_string(),
            "lesson 20: no such lesson, expected 1 to 19"
        );
        assert_eq!(activity(0), None);
        assert_eq!(activity(2), Some("sync"));
        // What the guest has nothing for tells where it can be run.
        let options = Options {
            lesson: 13,
            kernel: "latest".into(),
            arch: Arch::X86_64,
            activity: None,
            times: 1,
        };
        let refused = run(&options).unwrap_err().to_string();
        assert!(
            refused.ends_with("cargo run -p lessons --example lesson_13_strlen_count"),
            "{refused}"
        );
    }

    /// The script with another program as the lesson: the command runs after the heading, as often as wanted, and the end comes.
    #[test]
    fn the_command_runs_while_the_lesson_does() {
        let scratch = paths::Scratch::new().unwrap();
        let folder = scratch.path().to_str().unwrap();
        let lesson = format!("{folder}/lesson");
        let text = "trap 'echo ended; exit 7' TERM; echo attached; while :; do sleep 0.1; done";
        fs::write(&lesson, text).unwrap();
        let script = script(&format!("sh {lesson}"), folder, "echo did", 2);
        let out = Command::new("sh").args(["-c", &script]).output().unwrap();
        let said = String::from_utf8_lossy(&out.stdout);
        assert_eq!(said, "attached\ndid\ndid\nended\n");
        assert_eq!(out.status.code(), Some(7));
    }
}
