use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap()
}

#[test]
fn a_star_is_a_whole_segment_and_at_the_end_the_whole_subtree() {
    for (text, fits, not) in [
        ("stripe.*", &["stripe.a", "stripe.a.b.c"][..], &["stripe", "stripes.a", "x.stripe.a"][..]),
        ("*", &["a", "a.b"], &[]),
        ("*.delete", &["a.delete"], &["a.b.delete", "delete", "a.delete.b"]),
        ("a.*.c", &["a.b.c"], &["a.c", "a.b.b.c"]),
        ("a.*.*", &["a.b.c", "a.b.c.d"], &["a.b"]),
        ("a.b", &["a.b"], &["a", "a.b.c", "a.B"]),
    ] {
        let pattern = pattern(text);
        fits.iter().for_each(|path| assert!(pattern.matches(path), "{text} fits {path}"));
        not.iter().for_each(|path| assert!(!pattern.matches(path), "{text} does not fit {path}"));
    }
}

#[test]
fn an_address_that_cannot_be_one_is_refused() {
    assert_eq!(Pattern::parse("a.get_*"), Err(PatternError::PartialStar));
    for empty in ["", ".", "a.", ".a", "a..b"] {
        assert_eq!(Pattern::parse(empty), Err(PatternError::Empty), "{empty:?}");
    }
    assert_eq!(Pattern::parse(&"a".repeat(513)), Err(PatternError::Bytes(513)));
    assert_eq!(Pattern::parse(&["a"; 33].join(".")), Err(PatternError::Segments(33)));
}

#[test]
fn exact_goes_before_a_longer_beginning_before_a_star() {
    let order = ["a.b.c", "a.b.*", "a.*.c", "a.*", "*.b.c", "*"];
    for (index, specific) in order.iter().enumerate() {
        for general in &order[index + 1..] {
            assert_eq!(
                pattern(specific).cmp_specificity(&pattern(general)),
                Ordering::Greater,
                "{specific} {general}"
            );
        }
    }
}

#[test]
fn what_covers_is_known() {
    for (wide, narrow, covers) in [
        ("*", "a.b", true),
        ("*", "*", true),
        ("a.*", "a.b.*", true),
        ("a.*", "a", false),
        ("a.*", "*", false),
        ("a.*.c", "a.b.c", true),
        ("a.b", "a.*", false),
        ("*.b", "a.b", true),
        ("*.*", "a.*", true),
        ("*.*", "*", false),
    ] {
        assert_eq!(pattern(wide).covers(&pattern(narrow)), covers, "{wide} {narrow}");
    }
}

proptest! {
    #[test]
    fn the_index_finds_what_fits(
        patterns in prop::collection::vec("(a|b|\\*)(\\.(a|b|\\*)){0,3}", 0..20),
        path in "(a|b|c)(\\.(a|b|c)){0,4}",
    ) {
        let patterns: Vec<Pattern> = patterns.iter().map(|text| pattern(text)).collect();
        let mut index = PatternIndex::default();
        patterns.iter().enumerate().for_each(|(number, pattern)| index.add(pattern, number as u32));
        let mut found = index.find(&path);
        found.sort_unstable();
        let expected: Vec<u32> = (0..patterns.len() as u32).filter(|number| patterns[*number as usize].matches(&path)).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn what_is_covered_fits_no_more(
        wide in "(a|b|\\*)(\\.(a|b|\\*)){0,3}", narrow in "(a|b|\\*)(\\.(a|b|\\*)){0,3}",
        path in "(a|b|c)(\\.(a|b|c)){0,4}"
    ) {
        let (wide, narrow) = (pattern(&wide), pattern(&narrow));
        prop_assert!(!(wide.covers(&narrow) && narrow.matches(&path)) || wide.matches(&path));
    }
}
