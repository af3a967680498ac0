use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn keys_of_other_parts_are_other_keys(
        one in prop::collection::vec("[a|\"\\\\,=]{0,4}", 0..5),
        other in prop::collection::vec("[a|\"\\\\,=]{0,4}", 0..5)
    ) {
        let key = |parts: &[String]| CounterKey::new(&parts.iter().map(String::as_str).collect::<Vec<_>>());
        prop_assert_eq!(key(&one) == key(&other), one == other);
    }
}

#[test]
fn a_key_is_bounded() {
    let long = "x".repeat(2000);
    let key = CounterKey::new(&["a", &long]);
    assert!(key.as_str().starts_with("sha256:") && key.as_str().len() <= PLAIN_KEY_BYTES_MAX);
    assert_ne!(key, CounterKey::new(&["b", &long]));
}
