//! The host's orders: a text file, one order a line, its word first.
//!
//! ```text
//! tracefs                         mount tracefs and debugfs
//! port /dev/hvc0                  report through this device and not through the debug port
//! job 600 lib                     a job called `lib` with 600 seconds to run, made of the lines up to the next job
//! arg /tests/lib
//! env RAWBPF_BIN=/bin/rawbpf
//! cwd /tmp
//! ledger /tmp/ledger              a file to send back when the job has ended
//! ```
//!
//! `\n` and `\\` stand for a line feed and a backslash, so an argument may hold any byte but NUL.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

/// One thing to do.
#[derive(Debug, PartialEq)]
pub enum Order {
    /// Mount tracefs and debugfs.
    Tracefs,
    /// Report through this device.
    Port(PathBuf),
    /// Run this.
    Job(Job),
}

/// A command to run.
#[derive(Debug, Default, PartialEq)]
pub struct Job {
    pub name: String,
    pub limit: Duration,
    pub args: Vec<OsString>,
    pub env: Vec<(OsString, OsString)>,
    pub cwd: Option<PathBuf>,
    pub ledger: Option<PathBuf>,
}

/// Reads the orders; the error names the line that is wrong.
pub fn parse(text: &[u8]) -> Result<Vec<Order>, String> {
    let mut orders = Vec::new();
    for (number, line) in text.split(|&b| b == b'\n').enumerate() {
        if !line.is_empty() {
            add(&mut orders, line).map_err(|why| format!("line {}: {why}", number + 1))?;
        }
    }
    Ok(orders)
}

fn add(orders: &mut Vec<Order>, line: &[u8]) -> Result<(), String> {
    let (word, rest) = match line.iter().position(|&b| b == b' ') {
        Some(at) => (&line[..at], unescape(&line[at + 1..])),
        None => (line, Vec::new()),
    };
    let job = match orders.last_mut() {
        Some(Order::Job(job)) => Some(job),
        _ => None,
    };
    match (word, job) {
        (b"tracefs", _) => orders.push(Order::Tracefs),
        (b"port", _) => orders.push(Order::Port(OsString::from_vec(rest).into())),
        (b"job", _) => {
            let text = String::from_utf8(rest).map_err(|e| e.to_string())?;
            let (seconds, name) = text.split_once(' ').ok_or("no name")?;
            let seconds = seconds.parse().map_err(|e| format!("{seconds:?}: {e}"))?;
            orders.push(Order::Job(Job {
                name: name.into(),
                limit: Duration::from_secs(seconds),
                ..Job::default()
            }));
        }
        (b"arg", Some(job)) => job.args.push(OsString::from_vec(rest)),
        (b"env", Some(job)) => {
            let at = rest.iter().position(|&b| b == b'=').ok_or("no = in env")?;
            let (key, value) = (rest[..at].to_vec(), rest[at + 1..].to_vec());
            job.env.push((OsString::from_vec(key), OsString::from_vec(value)));
        }
        (b"cwd", Some(job)) => job.cwd = Some(OsString::from_vec(rest).into()),
        (b"ledger", Some(job)) => job.ledger = Some(OsString::from_vec(rest).into()),
        _ => return Err(format!("{:?} is not understood here", String::from_utf8_lossy(line))),
    }
    Ok(())
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => out.push(if bytes.next() == Some(b'n') { b'\n' } else { b'\\' }),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read() {
        let text =
            b"tracefs\njob 60 a b\narg /bin/sh\narg x\\ny\\\\z\narg \nenv K=v=w\ncwd /d\nledger /tmp/l\n";
        let job = Job {
            name: "a b".into(),
            limit: Duration::from_secs(60),
            args: vec!["/bin/sh".into(), "x\ny\\z".into(), "".into()],
            env: vec![("K".into(), "v=w".into())],
            cwd: Some("/d".into()),
            ledger: Some("/tmp/l".into()),
        };
        assert_eq!(parse(text), Ok(vec![Order::Tracefs, Order::Job(job)]));
    }

    #[test]
    fn a_wrong_line_is_named() {
        assert_eq!(
            parse(b"tracefs\narg x\n"),
            Err("line 2: \"arg x\" is not understood here".into())
        );
        assert!(parse(b"job many x\n").unwrap_err().starts_with("line 1: \"many\""));
    }
}
