//! Numbers with their English nouns: `1 tool`, `2 tools`.

use std::fmt::Display;

/// A number and its noun, in the plural unless the number is one. `noun` is the singular; of
/// several words the last one changes.
pub fn counted<N: Display + PartialEq + From<u8>>(number: N, noun: &str) -> String {
    if number == N::from(1) {
        format!("{number} {noun}")
    } else {
        format!("{number} {}", many(noun))
    }
}

/// The form of a verb that goes with a number: `is` or `are`.
pub fn verb<N: PartialEq + From<u8>>(
    number: N,
    singular: &'static str,
    plural: &'static str,
) -> &'static str {
    if number == N::from(1) { singular } else { plural }
}

fn many(noun: &str) -> String {
    let before_last = noun.chars().rev().nth(1);
    match noun.chars().next_back() {
        Some('y') if before_last.is_some_and(|c| !"aeiou".contains(c)) => {
            format!("{}ies", &noun[..noun.len() - 1])
        }
        Some('s' | 'x') => format!("{noun}es"),
        Some('h') if matches!(before_last, Some('c' | 's')) => format!("{noun}es"),
        _ => format!("{noun}s"),
    }
}

#[cfg(test)]
mod tests;
