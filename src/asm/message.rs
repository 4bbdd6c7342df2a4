//! A message buffer for `const` code, where there is no `format!`.

/// Text of bounded length; text beyond the bound is left out and marked with `…`.
pub(super) struct Message {
    bytes: [u8; Message::ROOM],
    length: usize,
    full: bool,
}

impl Message {
    const ROOM: usize = 1000;

    pub(super) const fn new() -> Message {
        Message { bytes: [0; Message::ROOM], length: 0, full: false }
    }

    /// Adds text as it is.
    pub(super) const fn text(&mut self, text: &str) {
        let text = text.as_bytes();
        let mut i = 0;
        while i < text.len() {
            self.push(text[i]);
            i += 1;
        }
    }

    /// Adds a piece of source, every run of white space as one space: the compiler breaks the lines of a
    /// macro's text where it likes.
    pub(super) const fn source(&mut self, text: &[u8]) {
        let mut i = 0;
        let mut space = false;
        while i < text.len() {
            if text[i].is_ascii_whitespace() {
                space = true;
            } else {
                if space {
                    self.push(b' ');
                }
                space = false;
                self.push(text[i]);
            }
            i += 1;
        }
    }

    const fn push(&mut self, byte: u8) {
        const MORE: &[u8] = "…".as_bytes();
        if self.full {
            return;
        }
        // Stop where a character starts, with room left for the longest one and for the mark.
        if self.length + 4 + MORE.len() > Message::ROOM && byte & 0xc0 != 0x80 {
            self.full = true;
            let mut i = 0;
            while i < MORE.len() {
                self.bytes[self.length] = MORE[i];
                self.length += 1;
                i += 1;
            }
            return;
        }
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    pub(super) const fn int(&mut self, value: i128) {
        let mut digits = [0; 40];
        let mut at = digits.len();
        let mut rest = value.unsigned_abs();
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if value < 0 {
            at -= 1;
            digits[at] = b'-';
        }
        self.source(digits.split_at(at).1);
    }

    pub(super) const fn as_str(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.length).0) {
            Ok(text) => text,
            Err(_) => "(a message that is not UTF-8)",
        }
    }
}
