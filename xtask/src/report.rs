//! Reads what the guest's first process reports: frames of a kind, a length and that many bytes, after a magic line.

/// The magic number at the beginning of the report; the bytes before it come from firmware or kernel.
const MAGIC: &[u8] = b"\0rawbpf-vm-report-1\n";

/// One item of the guest's report.
#[derive(Debug, PartialEq)]
pub enum Event {
    /// The first process runs.
    Hello,
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    /// A piece of the file that the job left for us.
    Ledger(Vec<u8>),
    /// Something that the first process itself has to say.
    Note(String),
    Started(String),
    Ended(End, u64),
    /// All jobs are done.
    Goodbye,
}

/// The end of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Exit(i32),
    Signal(i32),
    Timeout,
}

/// Takes the bytes as they come, in pieces of any size.
#[derive(Default)]
pub struct Reader {
    buffer: Vec<u8>,
    greeted: bool,
    broken: bool,
}

impl Reader {
    /// The events that these bytes complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        if self.broken {
            return events;
        }
        self.buffer.extend_from_slice(bytes);
        if !self.greeted {
            let Some(at) = self.buffer.windows(MAGIC.len()).position(|window| window == MAGIC)
            else {
                // Only its end may be the beginning of the magic.
                let keep = self.buffer.len().min(MAGIC.len());
                self.buffer.drain(..self.buffer.len() - keep);
                return events;
            };
            self.greeted = true;
            self.buffer.drain(..at + MAGIC.len());
            events.push(Event::Hello);
        }
        let mut at = 0;
        while let Some(&[kind, low, high]) = self.buffer[at..].first_chunk::<3>() {
            let length = usize::from(u16::from_le_bytes([low, high]));
            let Some(content) = self.buffer.get(at + 3..at + 3 + length) else { break };
            match event(kind, content) {
                Some(event) => events.push(event),
                None => {
                    // Nothing after this can be trusted: the frames have no other mark.
                    self.broken = true;
                    break;
                }
            }
            at += 3 + length;
        }
        self.buffer.drain(..at);
        events
    }

    /// The error in the report now that it has ended, if any.
    pub fn complaint(&self) -> Option<String> {
        if self.broken {
            Some("the report is damaged".into())
        } else if self.greeted && !self.buffer.is_empty() {
            Some(format!(
                "the report breaks off within a frame ({} bytes of it came)",
                self.buffer.len()
            ))
        } else {
            None
        }
    }
}

/// The kinds of `port.rs` in the init.
fn event(kind: u8, content: &[u8]) -> Option<Event> {
    let text = || String::from_utf8_lossy(content).into_owned();
    Some(match kind {
        1 => Event::Stdout(content.into()),
        2 => Event::Stderr(content.into()),
        3 => Event::Ledger(content.into()),
        4 => Event::Note(text()),
        5 => Event::Started(text()),
        6 => ended(&text())?,
        7 => Event::Goodbye,
        _ => return None,
    })
}

/// `exit 0 15`, `signal 9 20`, `timeout 60000`
fn ended(text: &str) -> Option<Event> {
    let mut words = text.split(' ');
    let end = match words.next()? {
        "exit" => End::Exit(words.next()?.parse().ok()?),
        "signal" => End::Signal(words.next()?.parse().ok()?),
        "timeout" => End::Timeout,
        _ => return None,
    };
    Some(Event::Ended(end, words.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Vec<u8>, Vec<Event>) {
        let mut bytes = b"qboot says hello\0rawbpf".to_vec();
        bytes.extend(MAGIC);
        bytes.extend(b"\x05\x03\x00lib\x01\x02\x00hi\x02\x00\x00\x03\x01\x00x\x06\x09\x00exit 0 15\x07\x00\x00");
        let events = vec![
            Event::Hello,
            Event::Started("lib".into()),
            Event::Stdout(b"hi".into()),
            Event::Stderr(b"".into()),
            Event::Ledger(b"x".into()),
            Event::Ended(End::Exit(0), 15),
            Event::Goodbye,
        ];
        (bytes, events)
    }

    #[test]
    fn pieces_of_any_size_make_the_same_events() {
        let (bytes, events) = sample();
        for size in 1..bytes.len() {
            let mut reader = Reader::default();
            let found: Vec<_> = bytes.chunks(size).flat_map(|piece| reader.feed(piece)).collect();
            assert_eq!(found, events, "in pieces of {size}");
            assert_eq!(reader.complaint(), None);
        }
    }

    #[test]
    fn a_report_cut_anywhere_gives_what_came_whole() {
        let (bytes, events) = sample();
        for cut in 0..bytes.len() {
            let mut reader = Reader::default();
            let found = reader.feed(&bytes[..cut]);
            assert_eq!(found, events[..found.len()], "cut at {cut}");
            assert!(found.len() < events.len());
        }
        let mut reader = Reader::default();
        reader.feed(&bytes[..bytes.len() - 1]);
        assert_eq!(
            reader.complaint().unwrap(),
            "the report breaks off within a frame (2 bytes of it came)"
        );
    }

    #[test]
    fn damage_is_noticed() {
        let mut reader = Reader::default();
        let bytes = [MAGIC, b"\x01\x01\x00a\x63\x01\x00b"].concat();
        assert_eq!(reader.feed(&bytes), [Event::Hello, Event::Stdout(b"a".into())]);
        assert_eq!(reader.complaint().unwrap(), "the report is damaged");
        assert_eq!(reader.feed(b"\x01\x01\x00a"), []);
    }

    #[test]
    fn ends_are_read() {
        assert_eq!(ended("signal 11 7"), Some(Event::Ended(End::Signal(11), 7)));
        assert_eq!(ended("timeout 60000"), Some(Event::Ended(End::Timeout, 60000)));
        assert_eq!(ended("exit x 1"), None);
    }
}
