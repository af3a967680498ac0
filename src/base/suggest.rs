//! "Did you mean": similarity of names, and the most similar of several. All suggestions for
//! mistyped names use this metric: Jaro-Winkler, ignoring case, `_` and `-`.

/// Similarity from which one name counts as a typo of another, 0 to 1.
pub const TYPO_MIN: f64 = 0.75;
/// Longest prefix of a name that is compared, in bytes. The comparison takes quadratic time.
const COMPARED_BYTES_MAX: usize = 128;

/// Normalises a name: lower case, without `_` and `-`. `getSum`, `get_sum` and `get-sum` are equal.
pub fn fold(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

/// Returns the similarity of two folded names, 0 to 1.
pub fn similarity(one: &str, other: &str) -> f64 {
    strsim::jaro_winkler(
        super::text::cut(one, COMPARED_BYTES_MAX),
        super::text::cut(other, COMPARED_BYTES_MAX),
    )
}

/// Returns the similarity of two names if it is high enough for a typo.
pub fn typo_similarity(given: &str, wanted: &str) -> Option<f64> {
    Some(similarity(&fold(given), &fold(wanted))).filter(|similarity| *similarity >= TYPO_MIN)
}

/// Returns true if one name counts as a typo of the other.
pub fn is_typo(given: &str, wanted: &str) -> bool {
    typo_similarity(given, wanted).is_some()
}

/// Returns the known name that is most similar to `given`, if similar enough for a typo.
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
        // A very long name is compared only up to the bound.
        assert_eq!(
            nearest(&"queue".repeat(1_000_000), known),
            nearest(&"queue".repeat(100), known)
        );
    }
}
