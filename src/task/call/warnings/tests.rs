use super::*;

#[test]
fn warnings_are_told_once_and_bounded() {
    let mut warnings = Warnings::default();
    for text in ["a", "b", "a"] {
        warnings.add(text.to_owned());
    }
    assert_eq!(warnings.into_texts(), ["a", "b"]);
    let mut warnings = Warnings::default();
    (0..50).for_each(|n| warnings.add(n.to_string()));
    let texts = warnings.into_texts();
    assert_eq!(
        (texts.len(), texts[20].as_str()),
        (WARNINGS_MAX + 1, "and 30 more warnings of calls")
    );
}
