//! "Did you mean": how similar two names are, and the most similar of some. The only measure of
//! likeness for names that people or programs mistype: Jaro-Winkler over names without case, `_`
//! and `-`.

/// Similarity from which one name is taken for a typo of another, 0 to 1.
pub const TYPO_MIN: f64 = 0.75;
/// Of a mistyped name so many bytes are compared; comparing takes time with the square of the
/// length.
const COMPARED_BYTES_MAX: usize = 128;

/// The name without case, `_` and `-`: `getSum`, `get_sum` and `get-sum` are one.
pub fn fold(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

/// How similar two folded names are, 0 to 1.
pub fn similarity(one: &str, other: &str) -> f64 {
    strsim::jaro_winkler(
        super::text::cut(one, COMPARED_BYTES_MAX),
        super::text::cut(other, COMPARED_BYTES_MAX),
    )
}

/// How similar two names are, if so much that one is taken for a typo of the other.
pub fn typo_similarity(given: &str, wanted: &str) -> Option<f64> {
    Some(similarity(&fold(given), &fold(wanted))).filter(|similarity| *similarity >= TYPO_MIN)
}

/// Whether one name is taken for a typo of the other.
pub fn is_typo(given: &str, wanted: &str) -> bool {
    typo_similarity(given, wanted).is_some()
}

/// The name that `given` is most probably a typo of, if of any.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().filter_map(|name| Some((typo_similarity(given, name)?, name)));
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_whatever_its_case_and_separators() {
        let known = ["heap_mb", "timeout_ms", "queue", "calls_queued"];
        for (given, meant) in [
            ("heap", Some("heap_mb")),
            ("heapMB", Some("heap_mb")),
            ("heap-mbs", Some("heap_mb")),
            ("timeut_ms", Some("timeout_ms")),
            ("queues", Some("queue")),
            ("zzz", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, known), meant, "{given}");
        }
        assert_eq!(nearest("a", []), None);
        // However long it is, it is compared in no time.
        assert_eq!(
            nearest(&"queue".repeat(1_000_000), known),
            nearest(&"queue".repeat(100), known)
        );
    }
}
