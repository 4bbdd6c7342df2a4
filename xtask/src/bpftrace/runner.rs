//! Runs one test as the 0.17 engine does, and sees to it that nothing of it is left running.

use super::format::Test;
use super::outcome::{End, Outcome};
use super::pattern::Pattern;
use super::{processes, verdict};
use crate::interrupt::Owned;
use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, PipeReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// bpftrace prints this when all probes are attached, if the environment names it.
pub const ATTACHED: &str = "__BPFTRACE_NOTIFY_PROBES_ATTACHED";
/// bpftrace prints this when a program cannot be compiled ahead of time, if the environment names it.
const NOT_PORTABLE: &str = "__BPFTRACE_NOTIFY_AOT_PORTABILITY_DISABLED";
/// The time limit for attaching.
const ATTACH: Duration = Duration::from_secs(5);
/// The time that a program has to end after it was asked to.
const GRACE: Duration = Duration::from_secs(5);
/// More output than this is not kept: no test asks for the end of a long one.
const OUTPUT: usize = 16 << 20;

/// The surroundings in which tests are run.
pub struct Setting {
    /// The folder with `runtime/`, `testprogs/` and `testlibs/`, where no process works but those of the run.
    pub folder: PathBuf,
    /// The program to test; its file's name is `bpftrace`.
    pub bpftrace: PathBuf,
    pub env: Vec<(String, String)>,
    /// The shell, with whatever runs it.
    pub shell: &'static [&'static str],
    /// `PATH` of shell commands.
    pub path: String,
    /// Features of the machine and the program, by the engine's names.
    pub features: Vec<String>,
    pub kernel: String,
    /// The factor of all time limits: emulated machines are slow.
    pub slow: u32,
}

/// Runs `test`.
pub fn run(test: &Test, setting: &Setting) -> Result<Outcome> {
    let start = Instant::now();
    let mut outcome = match lacking(test, setting)? {
        Some(why) => Outcome::skipped(why),
        None => {
            let outcome = attempt(test, setting);
            sweep(setting);
            outcome?
        }
    };
    outcome.millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(outcome)
}

/// Returns the first requirement of the test that is not met.
fn lacking(test: &Test, setting: &Setting) -> Result<Option<String>> {
    let here = version(&setting.kernel);
    if test.min_kernel.as_ref().is_some_and(|least| version(least) > here) {
        return Ok(Some("a newer kernel".into()));
    }
    if test.max_kernel.as_ref().is_some_and(|most| version(most) < here) {
        return Ok(Some("an older kernel".into()));
    }
    let unsaid = verdict::unsaid(&test.id()).map(String::from);
    for condition in test.requires.iter().chain(&unsaid) {
        let mut command = shell(condition, setting);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = Owned::spawn(&mut command).context("cannot run a shell")?;
        if !child.0.wait()?.success() {
            return Ok(Some(condition.clone()));
        }
    }
    let has = |feature: &String| setting.features.contains(feature);
    if let Some(feature) = test.features.iter().find(|feature| !has(feature)) {
        return Ok(Some(format!("feature {feature}")));
    }
    Ok(test.without_features.iter().find(|feature| has(feature)).map(|f| format!("feature !{f}")))
}

/// The numbers of a version.
fn version(text: &str) -> Vec<u32> {
    let numbers = text.split(|c: char| !c.is_ascii_digit()).take(3);
    numbers.map_while(|number| number.parse().ok()).collect()
}

fn shell(line: &str, setting: &Setting) -> Command {
    let (program, rest) = setting.shell.split_first().unwrap_or((&"/bin/sh", &[]));
    let mut command = Command::new(program);
    command.args(rest).arg("-c").arg(line).current_dir(&setting.folder).env("PATH", &setting.path);
    command.stdin(Stdio::null());
    command
}

fn attempt(test: &Test, setting: &Setting) -> Result<Outcome> {
    let (_before, before_pid) = match &test.before {
        None => (None, None),
        Some(line) => {
            let (child, pid) = start_before(line, test, setting)?;
            let Some(pid) = pid else {
                let output = format!("{line} does not run");
                return Ok(Outcome { end: End::TimedOut, output, status: None, millis: 0 });
            };
            (Some(child), Some(pid))
        }
    };
    let line = test.command(&setting.bpftrace.to_string_lossy(), before_pid);
    let (reader, writer) = std::io::pipe().context("no pipe")?;
    let mut command = shell(&line, setting);
    command.env_clear().env("PATH", &setting.path).env("test", &test.name);
    command.env(ATTACHED, "1").env(NOT_PORTABLE, "1").env("BPFTRACE_VERIFY_LLVM_IR", "1");
    command.envs(setting.env.iter().map(|(key, value)| (key, value)));
    command.envs(test.env.iter().map(|(key, value)| (key, value)));
    command.stderr(writer.try_clone()?).stdout(writer);
    let mut child = Owned::spawn(&mut command).context("cannot run a shell")?;
    // It holds the pipe's other end, which would never be closed.
    drop(command);
    let lines = read_lines(reader);
    let mut deadline = Instant::now() + ATTACH * setting.slow;
    let limit = Duration::from_secs(test.seconds) * setting.slow;
    let mut output = String::new();
    let mut attached = false;
    let mut _after = None;
    let timed_out = loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                if !attached && line.trim_end() == ATTACHED {
                    attached = true;
                    deadline = Instant::now() + limit;
                    if let Some(line) = &test.after {
                        let mut command = shell(line, setting);
                        command.stdout(Stdio::null()).stderr(Stdio::null());
                        _after = Some(Owned::spawn(&mut command).context("cannot run a shell")?);
                    }
                }
                keep(&mut output, &line);
            }
            Err(RecvTimeoutError::Disconnected) => break !ends_by(&mut child, deadline),
            Err(RecvTimeoutError::Timeout) => break true,
        }
    };
    if timed_out {
        let _ = killpg(Pid::from_raw(child.0.id().cast_signed()), Signal::SIGTERM);
        drain(&lines, &mut output);
        // The time may have run out because the program has no end; then it counts what it printed.
        let good = Pattern::new(&test.expect, false)?.found_in(&output);
        let end = if good { End::Passed } else { End::TimedOut };
        return Ok(Outcome { end, output, status: None, millis: 0 });
    }
    let status = child.0.wait()?;
    let matches = Pattern::new(&test.expect, true)?.found_in(&output);
    let end = if !status.success() && !test.will_fail {
        End::Failed
    } else if matches {
        End::Passed
    } else if output.contains(NOT_PORTABLE) {
        End::Skipped("not portable ahead of time".into())
    } else {
        End::Failed
    };
    Ok(Outcome { end, output, status: status.code(), millis: 0 })
}

/// Starts the program that has to run before; the number of the process that the test is about, once it is there.
fn start_before(line: &str, test: &Test, setting: &Setting) -> Result<(Owned, Option<u32>)> {
    let mut command = shell(line, setting);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let child = Owned::spawn(&mut command).context("cannot run a shell")?;
    let name = line.split_whitespace().last().unwrap_or_default();
    let name = name.rsplit('/').next().unwrap_or_default();
    let deadline = Instant::now() + Duration::from_secs(test.seconds) * setting.slow;
    loop {
        if let Some(&pid) = processes::named(&setting.folder, name).last() {
            return Ok((child, Some(pid)));
        }
        if Instant::now() > deadline {
            return Ok((child, None));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Lines as they come, from a thread that ends with the pipe.
fn read_lines(reader: PipeReader) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(reader);
        loop {
            let mut line = Vec::new();
            let read = reader.by_ref().take(OUTPUT as u64).read_until(b'\n', &mut line);
            if !matches!(read, Ok(1..)) {
                return;
            }
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
        }
    });
    receiver
}

fn keep(output: &mut String, line: &str) {
    if output.len() < OUTPUT {
        output.push_str(line);
    }
}

/// Takes the output of a program that was asked to end.
fn drain(lines: &Receiver<String>, output: &mut String) {
    let deadline = Instant::now() + GRACE;
    while let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        keep(output, &line);
    }
}

/// Whether it ends in time; it has closed its output.
fn ends_by(child: &mut Owned, deadline: Instant) -> bool {
    while matches!(child.0.try_wait(), Ok(None)) {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

/// Ends processes that have left their group, and waits until they are gone: the next test has to be alone.
fn sweep(setting: &Setting) {
    let deadline = Instant::now() + GRACE;
    loop {
        let left = processes::in_folder(&setting.folder);
        if left.is_empty() || Instant::now() > deadline {
            return;
        }
        for pid in left {
            let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpftrace::format::What;
    use std::fs;

    /// A setting whose bpftrace runs its last argument as a shell's program.
    fn setting(name: &str) -> Setting {
        let folder = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let bpftrace = folder.join("bpftrace");
        crate::tools::script(&bpftrace, r#"for last; do :; done; eval "$last""#).unwrap();
        Setting {
            folder,
            bpftrace,
            env: vec![("OURS".into(), "1".into())],
            shell: &["/bin/sh"],
            path: "/usr/bin:/bin".into(),
            features: vec!["btf".into()],
            kernel: "6.1.0-57-cloud".into(),
            slow: 1,
        }
    }

    fn test(program: &str, expect: &str) -> Test {
        Test {
            name: "name".into(),
            what: What::Program(program.into()),
            expect: expect.into(),
            seconds: 1,
            ..Test::default()
        }
    }

    #[test]
    fn output_and_status_decide() {
        let setting = setting("status");
        let end = |test: &Test| run(test, &setting).unwrap().end;
        assert_eq!(end(&test("echo a; echo b >&2", "^b$")), End::Passed);
        assert_eq!(end(&test("echo a", "^b$")), End::Failed);
        assert_eq!(end(&test("echo $test $OURS $HOME.", "^name 1 .$")), End::Passed);
        let failing = test("echo b; exit 3", "b");
        assert_eq!(run(&failing, &setting).unwrap().status, Some(3));
        assert_eq!(end(&failing), End::Failed);
        assert_eq!(end(&Test { will_fail: true, ..failing }), End::Passed);
        fs::remove_dir_all(&setting.folder).unwrap();
    }

    #[test]
    fn what_is_asked_for_and_lacking_skips() {
        let setting = setting("lacking");
        let end = |change: &dyn Fn(&mut Test)| {
            let mut test = test("echo b", "b");
            change(&mut test);
            run(&test, &setting).unwrap().end
        };
        let skipped = |why: &str| End::Skipped(why.into());
        assert_eq!(end(&|test| test.requires = vec!["true".into()]), End::Passed);
        assert_eq!(end(&|test| test.requires = vec!["false".into()]), skipped("false"));
        assert_eq!(end(&|test| test.features = vec!["btf".into()]), End::Passed);
        assert_eq!(end(&|test| test.features = vec!["kfunc".into()]), skipped("feature kfunc"));
        assert_eq!(
            end(&|test| test.without_features = vec!["btf".into()]),
            skipped("feature !btf")
        );
        assert_eq!(end(&|test| test.min_kernel = Some("6.1".into())), End::Passed);
        assert_eq!(end(&|test| test.min_kernel = Some("6.10".into())), skipped("a newer kernel"));
        assert_eq!(end(&|test| test.max_kernel = Some("5.19".into())), skipped("an older kernel"));
        fs::remove_dir_all(&setting.folder).unwrap();
    }

    #[test]
    fn the_command_after_waits_for_the_probes() {
        let setting = setting("after");
        let wait = "echo __BPFTRACE_NOTIFY_PROBES_ATTACHED; until [ -e go ]; do sleep 0.05; done";
        let mut test = test(&format!("ls; {wait}; echo done"), "^done$");
        test.after = Some("touch go; sleep 60".into());
        let outcome = run(&test, &setting).unwrap();
        assert_eq!(outcome.end, End::Passed);
        assert!(!outcome.output.contains("go\n"), "{}", outcome.output);
        assert!(processes::in_folder(&setting.folder).is_empty());
        fs::remove_dir_all(&setting.folder).unwrap();
    }

    #[test]
    fn the_command_before_runs_when_the_program_starts() {
        let setting = setting("before");
        std::os::unix::fs::symlink("/usr/bin/yes", setting.folder.join("busy")).unwrap();
        let mut test = test("", "^busy$");
        test.what = What::Command("cat /proc/{{BEFORE_PID}}/comm".into());
        test.before = Some("./busy".into());
        assert_eq!(run(&test, &setting).unwrap().end, End::Passed);
        test.before = Some("true".into());
        assert_eq!(run(&test, &setting).unwrap().end, End::TimedOut);
        assert!(processes::in_folder(&setting.folder).is_empty());
        fs::remove_dir_all(&setting.folder).unwrap();
    }

    #[test]
    fn a_program_without_end_counts_by_its_output_and_is_ended() {
        let setting = setting("endless");
        // One leaves its process group, and one does not care for the signal that asks it to end.
        let endless = "setsid sleep 60 & trap : TERM; echo __BPFTRACE_NOTIFY_PROBES_ATTACHED; \
                       echo yes; while :; do sleep 0.1; done";
        let outcome = run(&test(endless, "yes"), &setting).unwrap();
        assert_eq!((outcome.end, outcome.status), (End::Passed, None));
        assert!((1000..60_000).contains(&outcome.millis), "{}", outcome.millis);
        let endless = "echo __BPFTRACE_NOTIFY_PROBES_ATTACHED; echo yes; sleep 60";
        assert_eq!(run(&test(endless, "no such"), &setting).unwrap().end, End::TimedOut);
        assert!(processes::in_folder(&setting.folder).is_empty());
        fs::remove_dir_all(&setting.folder).unwrap();
    }
}
