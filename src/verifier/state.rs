//! The verifier's state of registers and stack slots at one point.

/// The verifier's state of registers and stack slots: `R0=scalar(id=1) R10=fp0 fp-8=mmmmmmmm`.
///
/// Values are the kernel's words. Those for a number are `inv` before Linux 5.18 and `scalar` since; a number that is
/// known is written as such, `inv0` or `0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State<'a> {
    frame: u32,
    text: &'a str,
}

impl<'a> State<'a> {
    /// A state, if the text begins as one: `R1=ctx() …`, `frame1: R6_w=inv0 …`.
    pub(super) fn read(text: &'a str) -> Option<State<'a>> {
        let text = text.trim();
        let (frame, text) = match text.strip_prefix("frame").and_then(|rest| rest.split_once(':')) {
            Some((frame, rest)) => (frame.parse().ok()?, rest.trim_start()),
            None => (0, text),
        };
        let state = State { frame, text };
        let first = words(text).next()?;
        let (name, _) = first.split_once('=')?;
        is_name(plain(name)).then_some(state)
    }

    /// The index of the stack frame: 0 is the program's, 1 that of a function it called, and so on.
    pub fn frame(&self) -> u32 {
        self.frame
    }

    /// The state as the log has it, without the frame.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Names and values: `("R0", "scalar(id=1)")`, `("fp-8", "mmmmmmmm")`.
    pub fn values(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        words(self.text).filter_map(|word| {
            let (name, value) = word.split_once('=')?;
            let name = plain(name);
            is_name(name).then_some((name, value))
        })
    }

    /// The state of a register.
    pub fn register(&self, number: u8) -> Option<&'a str> {
        let is_it =
            |name: &str| name.strip_prefix('R').and_then(|n| n.parse().ok()) == Some(number);
        self.values().find(|(name, _)| is_it(name)).map(|(_, value)| value)
    }

    /// The state of the eight bytes of stack at an offset, a letter a byte from the highest to the lowest: `m` holds
    /// something, `0` zero, `?` or `.` nothing, `r` a part of a register that was saved; or the register.
    pub fn stack(&self, offset: i32) -> Option<&'a str> {
        let is_it =
            |name: &str| name.strip_prefix("fp").and_then(|n| n.parse().ok()) == Some(offset);
        self.values().find(|(name, _)| is_it(name)).map(|(_, value)| value)
    }
}

/// A name without how it was used: `R1` in `R1_rw`.
fn plain(name: &str) -> &str {
    name.split_once('_').map_or(name, |(name, _)| name)
}

/// `R1`, `fp-8`.
fn is_name(name: &str) -> bool {
    let digits = match name.strip_prefix("fp-") {
        Some(digits) => digits,
        None => name.strip_prefix('R').unwrap_or_default(),
    };
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Words between spaces, but for spaces within parentheses: `var_off=(0x0; 0x7)`.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        if rest.is_empty() {
            return None;
        }
        let mut depth = 0u32;
        let end = rest.bytes().position(|byte| {
            match byte {
                b'(' => depth += 1,
                b')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            byte == b' ' && depth == 0
        });
        // A space is a boundary of characters.
        let (word, after) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
        rest = after;
        Some(word)
    })
}
