use super::*;

/// End of the part when the body arrives in pieces of each size.
fn end(until: Until, body: &str) -> Option<usize> {
    let ends: Vec<_> = (1..=body.len().max(1))
        .map(|size| {
            let mut reader = Reader::new(until);
            let sizes = (size..body.len()).step_by(size).chain([body.len()]);
            sizes
                .map(|length| reader.end(&body.as_bytes()[..length]))
                .find(Option::is_some)
                .flatten()
        })
        .collect();
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
    ends[0]
}

#[test]
fn lines_and_events_are_counted_however_they_arrive() {
    assert_eq!(end(Until::End, "a\n\nb"), None);
    assert_eq!(end(Until::Lines(1), "a\nb\n"), Some(2));
    assert_eq!(end(Until::Lines(2), "a\nb\nc"), Some(4));
    assert_eq!(end(Until::Lines(3), "a\nb\nc"), None);
    assert_eq!(end(Until::Events(1), "data: a\ndata: b\n\ndata: c\n\n"), Some(17));
    assert_eq!(end(Until::Events(2), "data: a\r\n\r\ndata: b\r\n\r\nrest"), Some(22));
    assert_eq!(end(Until::Events(1), "data: a\n"), None);
    assert_eq!(end(Until::Events(0), "data"), Some(0));
}
