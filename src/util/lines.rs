//! Lines of a text, found without looking at more of it than needed, and what else texts may begin with.

/// Returns the number of line breaks in a piece of a text. What finds lines does it with this, so that a test can count how
/// much of a text is looked at.
pub(crate) fn line_breaks(piece: &[u8]) -> u32 {
    #[cfg(test)]
    looked_at::add(piece.len());
    // As many bytes at a time as a `u8` can count, which the compiler makes vectors of.
    let count = |bytes: &[u8]| bytes.iter().map(|byte| u8::from(*byte == b'\n')).sum::<u8>();
    // A text has fewer than 2^32 bytes.
    piece.chunks(192).map(|bytes| u32::from(count(bytes))).sum()
}

/// Returns where the line begins in which a place of a text is; if that is more bytes before it than `most`, the place that many
/// bytes before it.
pub(crate) fn line_start(text: &[u8], place: usize, most: usize) -> usize {
    let least = place.saturating_sub(most);
    let before = text.get(least..place).unwrap_or_default();
    #[cfg(test)]
    looked_at::add(before.len());
    before.iter().rposition(|byte| *byte == b'\n').map_or(least, |last| least + last + 1)
}

/// Returns a text without the byte order mark that editors of some systems put in front of it.
pub(crate) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Returns whether a decimal number begins with a zero, as octal ones do in C: then it is not plain which of them is meant.
pub(crate) fn is_octal(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits.strip_prefix('0').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Counts the bytes that [`line_breaks`] and [`line_start`] look at, for tests.
#[cfg(test)]
pub(crate) mod looked_at {
    use std::cell::Cell;

    thread_local! {
        static BYTES: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn add(bytes: usize) {
        BYTES.set(BYTES.get() + bytes);
    }

    /// Returns the number of bytes that this thread looked at while the function ran, and its result.
    pub(crate) fn during<T>(work: impl FnOnce() -> T) -> (usize, T) {
        let before = BYTES.get();
        let done = work();
        (BYTES.get() - before, done)
    }
}
