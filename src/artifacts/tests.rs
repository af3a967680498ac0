//! Tests of what needs no store: pointers, lines, patterns.

use super::{
    pointer,
    scan::{Lines, OVERLAP_BYTES, PIECE_BYTES, Search, line_start, pattern},
};
use crate::{base::json::values_in, store::ArtifactPart};

fn at(text: &str, path: &str) -> Option<String> {
    pointer::find(text, &pointer::steps(path).unwrap()).unwrap().map(|value| value.get().to_owned())
}

#[test]
fn a_pointer_finds_the_value_as_it_is_written() {
    let text = r#" {"a": [1.50, {"b/c": {"~": "x"}}], "a2": null, "n": 12345678901234567890, "a": [2.50, {"b/c": {"~": "y"}}]} "#;
    assert_eq!(at(text, "/a/0").as_deref(), Some("2.50"), "the last of two counts");
    assert_eq!(at(text, "/a/1/b~1c/~0").as_deref(), Some("\"y\""));
    assert_eq!(at(text, "/n").as_deref(), Some("12345678901234567890"));
    assert_eq!(at(text, "/a2").as_deref(), Some("null"));
    for nothing in ["/b", "/a/2", "/a/-", "/a/00", "/a2/x", "/n/0", "/"] {
        assert_eq!(at(text, nothing), None, "{nothing}");
    }
    assert_eq!(at(text, "").as_deref(), Some(text.trim()));
    assert!(pointer::steps("a").is_err());
    assert!(pointer::steps(&"/a".repeat(101)).is_err());
}

fn all_lines(text: &str, chunk: usize, limit: usize) -> (Vec<String>, u64) {
    let mut lines = Lines::new(1, 0, limit);
    let mut offset = 0;
    for bytes in text.as_bytes().chunks(chunk) {
        lines.feed(bytes, offset);
        offset += bytes.len() as u64;
    }
    lines.finish(offset);
    for line in &lines.found {
        assert!(text[line.offset as usize..].starts_with(line.text.as_str()), "{line:?}");
    }
    let next = lines.next();
    (lines.found.into_iter().map(|line| line.text).collect(), next)
}

#[test]
fn lines_are_those_of_the_text_however_it_is_cut_into_parts() {
    let text = "eins\nzwei ü\n\ndrei\r\nvier";
    for chunk in 1..text.len() + 1 {
        assert_eq!(
            all_lines(text, chunk, 10).0,
            text.lines().collect::<Vec<_>>(),
            "parts of {chunk}"
        );
        assert_eq!(all_lines(text, chunk, 2), (vec!["eins".into(), "zwei ü".into()], 3));
    }
    assert_eq!(all_lines("a\n", 1, 10), (vec!["a".into()], 2));
}

fn hits(text: &str, chunk: usize, regex: &str, limit: usize) -> Vec<(u64, u64)> {
    let (mut from, mut out) = (0, Vec::new());
    loop {
        let line = text.as_bytes()[..from].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        let mut search = Search::new(
            pattern(regex).unwrap(),
            line,
            from as u64,
            limit,
            &text.as_bytes()[..from],
        );
        for bytes in text.as_bytes()[from..].chunks(chunk) {
            search.feed(bytes);
        }
        search.finish();
        out.extend(search.found.iter().map(|hit| (hit.line, hit.offset)));
        match search.next {
            Some(next) if (next as usize) < text.len() => from = next as usize,
            _ => return out,
        }
    }
}

#[test]
fn a_pattern_finds_each_line_once_and_goes_on_where_it_stopped() {
    let text = "an apple\nnothing\napple apple\nApple\napple";
    let expected = vec![(1, 3), (3, 17), (5, 35)];
    for chunk in 1..text.len() + 1 {
        for limit in 1..5 {
            assert_eq!(
                hits(text, chunk, "apple", limit),
                expected,
                "parts of {chunk}, {limit} at once"
            );
        }
    }
    assert_eq!(hits(text, 7, "^(?i:apple)$", 10), vec![(4, 29), (5, 35)]);
}

#[test]
fn a_match_in_a_very_long_line_is_found_wherever_it_lies() {
    for at in [0, PIECE_BYTES - 3, PIECE_BYTES - OVERLAP_BYTES, PIECE_BYTES, 3 * PIECE_BYTES + 17] {
        let mut text = "x".repeat(4 * PIECE_BYTES);
        text.replace_range(at..at + 6, "needle");
        for chunk in [1000, PIECE_BYTES, 256 * 1024] {
            assert_eq!(
                hits(&text, chunk, "needle", 10),
                vec![(1, at as u64)],
                "at {at}, parts of {chunk}"
            );
        }
    }
}

/// All hits of a search that is asked for page by page, and how many pages there were.
fn paged(text: &[u8], regex: &str, limit: usize) -> (Vec<u64>, usize) {
    let (mut from, mut out, regex) = (0, Vec::new(), pattern(regex).unwrap());
    for pages in 1.. {
        let line = 1 + text[..from].iter().filter(|byte| **byte == b'\n').count() as u64;
        // No more than the part in which it begins, and what is needed of it.
        let known = (from / PIECE_BYTES * PIECE_BYTES).min(from.saturating_sub(1));
        let mut search = Search::new(regex.clone(), line, from as u64, limit, &text[known..from]);
        for bytes in text[from..].chunks(4 * PIECE_BYTES) {
            search.feed(bytes);
            if search.next.is_some() {
                break;
            }
        }
        search.finish();
        out.extend(search.found.iter().map(|hit| hit.offset));
        match search.next {
            Some(next) if (next as usize) < text.len() => from = next as usize,
            _ => return (out, pages),
        }
    }
    unreachable!("a search ends")
}

#[test]
fn every_match_in_a_long_line_is_told_exactly_once_whatever_the_size_of_the_pages() {
    let rows = |count: usize| {
        (0..count)
            .map(|n| {
                format!("{{\"id\":{n},\"name\":\"NEEDLE\",\"note\":\"{}\"}},", "-".repeat(n % 999))
            })
            .collect::<String>()
    };
    // A short line, a line of several pieces, a short one, a long one whose last byte ends a piece,
    // one without an end.
    let mut text = format!("NEEDLE NEEDLE\n{}\nNEEDLE NEEDLE\n", rows(500));
    text.push_str(&rows(150));
    text.push_str(&"NEEDLE".repeat(200));
    text.truncate(text.len() / PIECE_BYTES * PIECE_BYTES);
    text.push('\n');
    text.push_str(&rows(300));
    for regex in ["NEEDLE", r"\bNEEDLE", "NEEDLE?(?:NEEDLE)*", "[0-9]+", "\"name\"[^é]{0,90}"] {
        let (all, _) = paged(text.as_bytes(), regex, usize::MAX);
        assert!(
            all.len() > 300 && all.is_sorted_by(|one, next| one < next),
            "{regex}: {}",
            all.len()
        );
        for limit in [1, 2, 3, 7, 50, 199, 200, 1_000] {
            let (found, pages) = paged(text.as_bytes(), regex, limit);
            let first = found.iter().zip(&all).position(|(one, other)| one != other);
            assert_eq!((found.len(), first), (all.len(), None), "`{regex}`, {limit} at once");
            assert!(pages <= found.len() / limit + 1, "`{regex}`, {limit} at once: {pages} pages");
        }
    }
}

#[test]
fn compact_json_in_one_line_has_as_many_hits_as_matches() {
    let text = format!("[{}]", vec!["\"NEEDLE\",{\"a\":[1,2,3]}"; 20_000].join(","));
    assert_eq!(
        paged(text.as_bytes(), "NEEDLE", 200),
        (paged(text.as_bytes(), "NEEDLE", 20_001).0, 101)
    );
    assert_eq!(paged(text.as_bytes(), "NEEDLE", 20_001).0.len(), 20_000);
}

#[test]
fn a_hit_shows_what_is_around_it_within_a_bound() {
    let text = format!("{}needle{}", "ä".repeat(1000), "ö".repeat(1000));
    let mut search = Search::new(pattern("needle").unwrap(), 1, 0, 10, b"");
    search.feed(text.as_bytes());
    search.finish();
    let hit = &search.found[0];
    assert!(hit.cut && hit.text.len() <= 512 && hit.text.contains("äneedleö"), "{}", hit.text);
}

#[test]
fn a_pattern_that_cannot_be_is_told() {
    for (bad, why) in [
        ("", "0 bytes"),
        ("(", "unclosed"),
        ("(?=a)", "look-around"),
        ("\\w{1000}{1000}", "too large"),
    ] {
        let message = pattern(bad).unwrap_err();
        assert!(message.contains(why), "{bad}: {message}");
    }
    assert!(pattern(&"a".repeat(1025)).is_err());
}

#[test]
fn a_line_begins_where_the_part_says() {
    let part = ArtifactPart { index: 2, newlines_before: 5, bytes: b"rest\nseven\neight".to_vec() };
    assert_eq!(line_start(&part, 7), Some(5));
    assert_eq!(line_start(&part, 8), Some(11));
    assert_eq!(
        (line_start(&part, 9), line_start(&part, 6), line_start(&part, 1)),
        (None, None, None)
    );
}

#[test]
fn values_are_never_counted_too_low() {
    for text in ["1", "[]", "[1,2,[3,{}]]", r#"{"a,[{": "\",", "b": [null]}"#] {
        fn count(value: &serde_json::Value) -> usize {
            1 + match value {
                serde_json::Value::Array(items) => items.iter().map(count).sum(),
                serde_json::Value::Object(members) => members.values().map(count).sum::<usize>(),
                _ => 0,
            }
        }
        assert!(
            values_in(text.as_bytes()) >= count(&serde_json::from_str(text).unwrap()),
            "{text}"
        );
    }
}
