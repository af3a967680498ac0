//! Finds the paths most similar to a wrong one. Letter counts give an upper bound on the
//! similarity, so only the most promising paths are compared in full, and a wrong path is cheap
//! among many tools.

use crate::base::suggest::{fold, similarity};

/// Names that are suggested at most.
pub(in crate::catalog) const NEAREST_MAX: usize = 3;
/// Similarity below which a name is no suggestion, 0 to 1.
const NEAREST_MIN: f64 = 0.55;
/// Distance in similarity from the most similar name up to which others are suggested too, 0 to 1.
const NEAREST_SPAN: f64 = 0.06;
/// Similarity of last segments from which one is a slip for the other, 0 to 1.
const SLIP_MIN: f64 = 0.9;
/// Score factor of a matching last segment in another path.
const LEAF_FACTOR: f64 = 0.95;
/// Paths that are compared letter by letter; some microseconds each.
pub(in crate::catalog) const COMPARED_MAX: usize = 256;
/// Paths of one group that are compared.
const SIBLINGS_MAX: usize = 2_000;
/// Largest bonus for common first letters, and how many of them count, as in Jaro-Winkler.
const HEAD_BONUS: f64 = 0.1;
const HEAD_LETTERS: usize = 4;
/// Letters are told apart by so many of their last bits.
const LETTERS: usize = 32;

/// Letter counts of a folded path, and of its last segment.
pub(in crate::catalog) struct Letters {
    path: Counted,
    leaf: Counted,
}

#[derive(Clone, Copy)]
struct Counted {
    letters: [u8; LETTERS],
    all: u16,
}

impl Letters {
    /// Letter counts of a folded path.
    pub(in crate::catalog) fn of(folded: &str) -> Self {
        Self { path: Counted::of(folded), leaf: Counted::of(leaf(folded)) }
    }
}

impl Counted {
    fn of(text: &str) -> Self {
        let mut counted = Self { letters: [0; LETTERS], all: 0 };
        for letter in text.chars() {
            let count = &mut counted.letters[letter as usize % LETTERS];
            *count = count.saturating_add(1);
            counted.all = counted.all.saturating_add(1);
        }
        counted
    }

    /// The most that two texts with these letters can be alike, 0 to 1.
    fn likeness_max(&self, other: &Self, same_head: usize) -> f64 {
        let common: u32 = self
            .letters
            .iter()
            .zip(&other.letters)
            .map(|(one, other)| u32::from(*one.min(other)))
            .sum();
        if common == 0 {
            return 0.0;
        }
        let common = f64::from(common);
        let jaro = (common / f64::from(self.all) + common / f64::from(other.all) + 1.0) / 3.0;
        jaro + HEAD_BONUS * same_head as f64 * (1.0 - jaro)
    }
}

fn leaf(folded: &str) -> &str {
    folded.rsplit('.').next().unwrap_or_default()
}

/// Lower bound on the number of common first letters.
fn same_head(one: &str, other: &str) -> usize {
    one.bytes()
        .zip(other.bytes())
        .take(HEAD_LETTERS)
        .take_while(|(one, other)| one == other)
        .count()
}

/// Positions of the folded paths most like a wrong one, the most similar first, of those that are
/// seen.
pub(in crate::catalog) fn nearest(
    path: &str,
    folds: &[String],
    letters: &[Letters],
    is_seen: impl Fn(usize) -> bool,
) -> Vec<usize> {
    let wrong = fold(path);
    let counted = Letters::of(&wrong);
    let likeness_max = |at: usize| {
        let (right, of) = (folds[at].as_str(), &letters[at]);
        let whole = counted.path.likeness_max(&of.path, same_head(&wrong, right));
        whole.max(
            counted.leaf.likeness_max(&of.leaf, same_head(leaf(&wrong), leaf(right))) * LEAF_FACTOR,
        )
    };
    let all = (0..folds.len().min(letters.len()))
        .filter(|at| is_seen(*at))
        .map(|at| (likeness_max(at), at));
    let mut promising: Vec<(f64, usize)> =
        all.filter(|(likeness, _)| *likeness >= NEAREST_MIN).collect();
    let most_similar_first =
        |a: &(f64, usize), b: &(f64, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if promising.len() > COMPARED_MAX {
        promising.select_nth_unstable_by(COMPARED_MAX, most_similar_first);
        promising.truncate(COMPARED_MAX);
    }
    promising.sort_unstable_by(most_similar_first);
    let (mut best, mut scored) = (NEAREST_MIN, Vec::new());
    for (likeness_max, at) in promising {
        if likeness_max < best - NEAREST_SPAN {
            break;
        }
        let right = folds[at].as_str();
        // A right name in a wrong place is as good as a nearly right path.
        let score =
            similarity(&wrong, right).max(similarity(leaf(&wrong), leaf(right)) * LEAF_FACTOR);
        if score >= NEAREST_MIN {
            best = score.max(best);
            scored.push((score, at));
        }
    }
    scored.sort_unstable_by(most_similar_first);
    scored
        .into_iter()
        .take_while(|(score, _)| *score >= best - NEAREST_SPAN)
        .take(NEAREST_MAX)
        .map(|(_, at)| at)
        .collect()
}

/// Positions of the folded paths in the group that a wrong path names rightly, those with the most
/// similar last segments first. None where the group is a whole upstream.
pub(in crate::catalog) fn siblings(
    path: &str,
    folds: &[String],
    is_seen: impl Fn(usize) -> bool,
) -> Vec<usize> {
    let wrong = fold(path);
    let Some((group, last)) = wrong.rsplit_once('.').filter(|(group, _)| group.contains('.'))
    else {
        return Vec::new();
    };
    let within = |folded: &str| {
        folded.strip_prefix(group).and_then(|rest| rest.strip_prefix('.')).map(ToOwned::to_owned)
    };
    let mut found: Vec<(f64, usize)> = folds
        .iter()
        .enumerate()
        .filter(|(at, _)| is_seen(*at))
        .filter_map(|(at, folded)| Some((similarity(last, &within(folded)?), at)))
        .take(SIBLINGS_MAX)
        .collect();
    found.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let best = found.first().map_or(0.0, |(score, _)| *score);
    // A slip means one of them, anything else whatever there is.
    let least = if best >= SLIP_MIN { best - NEAREST_SPAN } else { 0.0 };
    let near = found.into_iter().take_while(|(score, _)| *score >= least);
    near.take(NEAREST_MAX).map(|(_, at)| at).collect()
}

/// The names most like a wrong one, the most similar first, of a few.
pub(in crate::catalog) fn among<'a>(wrong: &str, names: &[&'a str]) -> Vec<&'a str> {
    let folds: Vec<String> = names.iter().map(|name| fold(name)).collect();
    let letters: Vec<Letters> = folds.iter().map(|folded| Letters::of(folded)).collect();
    nearest(wrong, &folds, &letters, |_| true).into_iter().map(|at| names[at]).collect()
}

#[cfg(test)]
mod tests;
