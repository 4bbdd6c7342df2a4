//! Finds a name among the strings of a blob: megabytes of names with a zero after each.

/// The number of positions that are examined together.
const BLOCK: usize = 64;

/// The offsets of every string in `strings` that is `name`. There is at most one where strings were
/// deduplicated, as in all BTF that kernels have.
///
/// A name stands between two zeros, at a known distance. Three bytes of each position are compared, in a loop without
/// branches that the compiler makes vector instructions of; the few blocks in which something fits are looked at
/// byte by byte.
pub(super) fn find(strings: &[u8], name: &str) -> Vec<u32> {
    let name = name.as_bytes();
    let (Some(first), false) = (name.first(), name.contains(&0)) else { return Vec::new() };
    let mut found = Vec::new();
    // The strings of a module begin without an empty one.
    if strings.strip_prefix(name).is_some_and(|rest| rest.first() == Some(&0)) {
        found.push(0);
    }
    // What comes before the name, its first byte, and what comes after it; all as long as the last.
    let gap = name.len() + 1;
    let (Some(after), Some(begin)) = (strings.get(gap..), strings.get(1..)) else {
        return found;
    };
    let blocks = strings.chunks(BLOCK).zip(begin.chunks(BLOCK)).zip(after.chunks(BLOCK));
    for (number, ((before, begin), after)) in blocks.enumerate() {
        let fits = |((before, begin), after): ((&u8, &u8), &u8)| {
            (*before == 0) & (begin == first) & (*after == 0)
        };
        let some = before.iter().zip(begin).zip(after).fold(false, |some, at| some | fits(at));
        if !some {
            continue;
        }
        for (place, at) in before.iter().zip(begin).zip(after).enumerate() {
            // The name begins behind the zero.
            let offset = number * BLOCK + place + 1;
            if fits(at) && strings.get(offset..offset + name.len()) == Some(name) {
                found.extend(u32::try_from(offset));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::find;
    use proptest::prelude::*;

    #[test]
    fn whole_names_only() {
        let strings = b"\0tgid\0tgid_map\0my_tgid\0tgid\0";
        assert_eq!(find(strings, "tgid"), [1, 23]);
        assert_eq!(find(strings, "tgi"), [0u32; 0]);
        assert_eq!(find(strings, ""), [0u32; 0]);
        assert_eq!(find(strings, "tgid\0tgid_map"), [0u32; 0]);
        assert_eq!(find(b"\0tgid", "tgid"), [0u32; 0], "it has no end");
        assert_eq!(find(b"", "tgid"), [0u32; 0]);
        assert_eq!(find(b"tgid\0", "tgid"), [0], "the first of a module");
    }

    proptest! {
        /// Every name is found where it is, whatever the blocks cut through.
        #[test]
        fn as_by_hand(names in prop::collection::vec("[ab]{1,5}", 0..80), wanted in "[ab]{1,5}") {
            let mut strings = vec![0];
            let mut places = Vec::new();
            for name in &names {
                if *name == wanted {
                    places.push(strings.len() as u32);
                }
                strings.extend(name.as_bytes());
                strings.push(0);
            }
            prop_assert_eq!(find(&strings, &wanted), places);
        }
    }
}
