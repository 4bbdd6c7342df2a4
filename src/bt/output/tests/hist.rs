//! Histograms as bpftrace has printed them.

use super::*;

/// The lines of a histogram that have counts.
fn counted(text: &str) -> String {
    text.lines()
        .filter(|line| !line.contains("       0 |"))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn histograms_with_keys() {
    // bpftrace 0.27.1: BEGIN { @h[1] = hist(5); @h[1] = hist(6); @h[3] = hist(1); @h[2] = hist(2); @h[2] = hist(2);
    //   @h[2] = hist(30); @l["x"] = lhist(1,0,10,1); @l["a"] = lhist(1,0,10,1); print(@h); print(@h,2,2); print(@l); }
    let h = || keyed("@h", [(1, hist(0, &[5, 6])), (3, hist(0, &[1])), (2, hist(0, &[2, 2, 30]))]);
    let bar = "@".repeat(52);
    let half = format!("{}{}", "@".repeat(26), " ".repeat(26));
    let none = " ".repeat(52);
    let one = format!("@h[1]:\n[4, 8)                 2 |{bar}|\n\n");
    let two = format!(
        "@h[2]:
[2, 4)                 2 |{bar}|
[4, 8)                 0 |{none}|
[8, 16)                0 |{none}|
[16, 32)               1 |{half}|

"
    );
    let three = format!("@h[3]:\n[1]                    1 |{bar}|\n\n");
    assert_eq!(text(|o| o.map(&h())), format!("{three}{one}{two}"));
    let halves = format!(
        "@h[1]:
[4, 8)                 1 |{bar}|

@h[2]:
[2, 4)                 1 |{bar}|
[4, 8)                 0 |{none}|
[8, 16)                0 |{none}|
[16, 32)               0 |{none}|

"
    );
    assert_eq!(text(|o| o.map(&h().top(2).divided_by(2))), halves);
    let l = keyed("@l", ["x", "a"].map(|key| (key, lhist((0, 10, 1), &[1]))));
    let line = format!("[1]                    1 |{bar}|\n\n");
    assert_eq!(text(|o| o.map(&l)), format!("@l[a]:\n{line}@l[x]:\n{line}"));
    let expected = "{\"type\": \"hist\", \"data\": {\"@l\": {\"a\": [{\"min\": 1, \"max\": 1, \"count\": 1}], \
                    \"x\": [{\"min\": 1, \"max\": 1, \"count\": 1}]}}}\n";
    assert_eq!(json(|o| o.map(&l)), expected);
    // BEGIN { @kh[1] = hist(1); zero(@kh); print(@kh); ... }
    let zero = || keyed("@kh", [(1, hist(0, &[]))]);
    assert_eq!(text(|o| o.map(&zero())), "@kh[1]:\n\n");
    let expected = "{\"type\": \"hist\", \"data\": {\"@kh\": {\"1\": []}}}\n";
    assert_eq!(json(|o| o.map(&zero())), expected);
}

#[test]
fn bars_are_of_divided_counts() {
    // bpftrace 0.27.1: BEGIN { @h = hist(1); (three times) @h = hist(4); (five times) print(@h, 0, 2); ... }
    let map = Map::scalar("@h", hist(0, &[1, 1, 1, 4, 4, 4, 4, 4])).divided_by(2);
    assert_eq!(
        text(|o| o.map(&map)),
        "@h:
[1]                    1 |@@@@@@@@@@@@@@@@@@@@@@@@@@                          |
[2, 4)                 0 |                                                    |
[4, 8)                 2 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|

"
    );
}

#[test]
fn counts_of_steps_are_not_divided() {
    // bpftrace 0.17.0 and 0.27.1: BEGIN { @l = lhist(5,0,10,5); @l = lhist(5,0,10,5); print(@l, 0, 2); ... }
    // (0.17.0 has a space after the first line.)
    let map = || Map::scalar("@l", lhist((0, 10, 5), &[5, 5])).divided_by(2);
    let bar = "@".repeat(52);
    assert_eq!(text(|o| o.map(&map())), format!("@l:\n[5, 10)                2 |{bar}|\n\n"));
    let data = r#"{"@l": [{"min": 5, "max": 9, "count": 2}]}"#;
    assert_eq!(json(|o| o.map(&map())), format!("{{\"type\": \"hist\", \"data\": {data}}}\n"));
}

#[test]
fn bounds_of_powers_of_two() {
    // bpftrace 0.27.1; of each histogram, the lines that have counts.
    let lines = |bits, values: &[i64]| {
        let text = text(|o| o.map(&Map::scalar("@h", hist(bits, values))));
        let labels = counted(&text)
            .lines()
            .skip(1)
            .map(|line| line.split("  ").next().unwrap_or_default().to_owned())
            .filter(|label| !label.is_empty())
            .collect::<Vec<_>>();
        labels.join(" ")
    };
    // hist(1,2), hist(3,2), hist(4,2), hist(5,2), hist(9,2), hist(21,2), hist(1000,2), hist(-5,2)
    assert_eq!(
        lines(2, &[1, 3, 4, 5, 9, 21, 1000, -5]),
        "(..., 0) [1] [3] [4] [5] [8, 10) [20, 24) [896, 1024)"
    );
    // hist(1100,5), hist(1024,5), hist(1032,5), hist(1500000,5)
    assert_eq!(
        lines(5, &[1100, 1024, 1032, 1_500_000]),
        "[1024, 1056) [1088, 1120) [1440K, 1472K)"
    );
    // hist(1<<50, 1), hist((1<<50)+(1<<49), 1)
    assert_eq!(lines(1, &[1 << 50, (1 << 50) + (1 << 49)]), "[1024T, 1536T) [1536T, 2P)");
    // hist(0xffffffffffffffff), hist(0x7fffffffffffffff), hist(1<<62)
    assert_eq!(lines(0, &[-1, i64::MAX, 1 << 62]), "(..., 0) [4E, 8E)");
    // From the same output: bounds between those.
    let all: Vec<i64> = (0..63).map(|power| 1 << power).collect();
    let labels = lines(0, &all);
    for label in
        ["[1] [2, 4)", "[512, 1K) [1K, 2K)", "[512K, 1M)", "[512M, 1G)", "[512G, 1T)", "[512T, 1P)"]
    {
        assert!(labels.contains(label), "{label}: {labels}");
    }
}

#[test]
fn bounds_of_steps() {
    // bpftrace 0.27.1; of each histogram, the lines that have counts.
    let bar = "@".repeat(52);
    let check = |parameters, values: &[i64], expected: &[(&str, u64)]| {
        let text = text(|o| o.map(&Map::scalar("@l", lhist(parameters, values))));
        let most = expected.iter().map(|(_, count)| *count).max().unwrap();
        let mut lines = "@l:\n".to_owned();
        for (label, count) in expected {
            let bar = &bar[..52 * *count as usize / most as usize];
            lines += &format!("{label:<16}{count:>8} |{bar:<52}|\n");
        }
        assert_eq!(counted(&text), lines + "\n");
    };
    check((0, 5000, 1000), &[1000, 2500], &[("[1000, 2000)", 1), ("[2000, 3000)", 1)]);
    check((1024, 8192, 1024), &[2048, 1], &[("(..., 1K)", 1), ("[2K, 3K)", 1)]);
    check((0, 100, 30), &[99, 100], &[("[90, ...)", 2)]);
    check((0, 4_000_000, 1_000_000), &[3_000_000], &[("[3000000, 4000000)", 1)]);
    check(
        (512, 8192, 1024),
        &[1600, 1, 8000, 8192],
        &[("(..., 512)", 1), ("[1536, 2560)", 1), ("[7680, ...)", 2)],
    );
    check((0, 8192, 1024), &[1, 9000], &[("[0, 1K)", 1), ("[8K, ...)", 1)]);
    check((0, 1 << 24, 1 << 20), &[1, 1 << 20], &[("[0, 1M)", 1), ("[1M, 2M)", 1)]);
    check((0, 10_240, 1536), &[1536], &[("[1536, 3072)", 1)]);
    check((0, 10 << 20, 3 << 19), &[3 << 20], &[("[3M, 4608K)", 1)]);
    check((0, 4_096_000, 4096), &[2_048_000], &[("[2000K, 2004K)", 1)]);
    check((0, 10_240, 512), &[1024], &[("[1024, 1536)", 1)]);
}
