//! A line of source text with a place marked, as diagnostics show it: of a long line only the part around the place.

use super::escape;
use std::ops::Range;

/// The most characters of a line that are shown.
const SHOWN: usize = 160;

/// The number of them before the place, if the line is longer.
const BEFORE: usize = 60;

/// The most characters of a message that are shown.
const MESSAGE: usize = 2000;

/// Marks a place in a line.
///
/// Returns the shown part of the line, and below it spaces and marks (`^` or `~`) under the characters of the place; under the end
/// of the line, or wherever it begins, if it is empty. Neither drives a terminal: a tab is `tab` spaces, since its width depends
/// on the terminal.
pub(crate) fn excerpt(line: &str, place: Range<usize>, mark: char, tab: usize) -> (String, String) {
    let Range { start, end } = place;
    // Lines can be very long; no more of them is examined than is shown.
    let longer = line.chars().nth(SHOWN).is_some();
    let first = if longer { start.saturating_sub(BEFORE) } else { 0 };
    let (mut shown, mut marks) = (String::new(), String::new());
    let (mut shown_width, mut width, mut marked) = (0, 0, false);
    if first > 0 {
        shown.push_str("...");
        marks.push_str("   ");
        (shown_width, width) = (3, 3);
    }
    let mut rest = line.chars().skip(first);
    for (index, c) in rest.by_ref().take(SHOWN).enumerate() {
        let from = shown.len();
        match c {
            '\t' => shown.extend(std::iter::repeat_n(' ', tab)),
            // Writing to a string does not fail.
            c => drop(escape::write_char(c, &mut shown)),
        }
        let columns = shown.get(from..).unwrap_or_default().chars().count();
        let inside = (start..end).contains(&(first + index));
        if !inside && first + index < start {
            width += columns;
        }
        marks.extend(std::iter::repeat_n(if inside { mark } else { ' ' }, columns));
        marked |= inside && columns > 0;
        shown_width += columns;
    }
    if rest.next().is_some() {
        shown.push_str("...");
    }
    if !marked {
        // Nothing to mark, as at the end of the text: what is missing would stand here.
        marks.clear();
        marks.extend(std::iter::repeat_n(' ', width.min(shown_width)));
        marks.push(mark);
    }
    marks.truncate(marks.trim_end().len());
    (shown, marks)
}

/// Returns a message of one line, with its middle left out if it is long, as it is if it quotes a long token.
pub(crate) fn message(text: &str) -> String {
    let count = text.chars().take(MESSAGE + 1).count();
    let shown = |text: &str| escape::shown(text).to_string();
    if count <= MESSAGE {
        return shown(text);
    }
    let half = MESSAGE / 2;
    let head = text.char_indices().nth(half).map_or(text.len(), |(at, _)| at);
    let tail = text.char_indices().rev().nth(half).map_or(0, |(at, _)| at);
    format!(
        "{} ... {}",
        shown(text.get(..head).unwrap_or_default()),
        shown(text.get(tail..).unwrap_or_default())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_marked_whatever_is_before_it() {
        let both = |line, place| excerpt(line, place, '^', 1);
        assert_eq!(both("\tr12 = 3", 1..4), (" r12 = 3".into(), " ^^^".into()));
        assert_eq!(both("a\x1bb", 2..3), ("a\\u001bb".into(), "       ^".into()));
        assert_eq!(both("a\x1bb", 1..2), ("a\\u001bb".into(), " ^^^^^^".into()));
        assert_eq!(both("ab", 2..2), ("ab".into(), "  ^".into()));
        assert_eq!(both("ab", 1..1), ("ab".into(), " ^".into()));
        assert_eq!(both("", 7..9), (String::new(), "^".into()));
    }

    #[test]
    fn of_a_long_line_the_neighbourhood_is_shown() {
        let line = format!("{}xyz{}", "a".repeat(70_000), "b".repeat(70_000));
        let (shown, marks) = excerpt(&line, 70_000..70_003, '^', 1);
        assert_eq!(shown, format!("...{}xyz{}...", "a".repeat(60), "b".repeat(97)));
        assert_eq!(marks, format!("{}^^^", " ".repeat(63)));
        let (shown, marks) = excerpt(&line, 0..140_003, '^', 1);
        assert_eq!((shown.len(), marks), (163, "^".repeat(160)));
        let (shown, marks) = excerpt(&line, 140_003..140_003, '^', 1);
        assert_eq!(shown, format!("...{}", "b".repeat(60)));
        assert_eq!(marks, format!("{}^", " ".repeat(63)));
    }

    #[test]
    fn a_long_message_loses_its_middle() {
        let text = format!("`{}` is not known", "é".repeat(70_000));
        let short = message(&text);
        assert!(short.starts_with("`éé") && short.ends_with("é` is not known"), "{short}");
        assert!(short.chars().count() < 2100 && short.contains(" ... "));
        assert_eq!(message("a\nb"), "a\\u000ab");
    }

    #[test]
    fn any_place_can_be_marked() {
        let long = "é\t".repeat(200);
        for line in ["", "a", "é\t\x1b", &long] {
            let length = line.chars().count();
            for start in (0..length + 3).chain([70_000, usize::MAX]) {
                for end in [start, start.saturating_add(1), 70_001, usize::MAX] {
                    excerpt(line, start..end, '~', 4);
                }
            }
        }
    }
}
