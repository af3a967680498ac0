//! Patterns of tool paths, and an index that finds all patterns that match a path.

use std::{cmp::Ordering, collections::HashMap, fmt};

/// Longest pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 512;
/// Most segments of a pattern.
pub const SEGMENTS_MAX: usize = 32;

/// Pattern of tool paths: segments separated by dots. `*` matches one whole segment; at the end it
/// matches everything below. `*` alone matches every tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
    /// `None` is a star.
    segments: Vec<Option<Box<str>>>,
    /// The pattern ends in a star, so it matches everything below `segments`.
    subtree: bool,
}

/// Error of a string that is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Too long.
    #[error("it is {0} bytes; the limit is {PATTERN_BYTES_MAX}")]
    Bytes(usize),
    /// Too many segments.
    #[error("it has {0} segments; the limit is {SEGMENTS_MAX}")]
    Segments(usize),
    /// Two dots in a row, or one at an end.
    #[error("it has an empty segment")]
    Empty,
    /// A star beside other characters.
    #[error("`*` must be a whole segment")]
    PartialStar,
}

impl Pattern {
    /// Parses a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(PatternError::Bytes(text.len()));
        }
        let mut segments = Vec::new();
        for segment in text.split('.') {
            match segment {
                "" => return Err(PatternError::Empty),
                "*" => segments.push(None),
                literal if literal.contains('*') => return Err(PatternError::PartialStar),
                literal => segments.push(Some(literal.into())),
            }
        }
        if segments.len() > SEGMENTS_MAX {
            return Err(PatternError::Segments(segments.len()));
        }
        let subtree = segments.last().is_some_and(Option::is_none);
        if subtree {
            segments.pop();
        }
        Ok(Self { text: text.into(), segments, subtree })
    }

    /// Returns the pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns true if the pattern has no star, so that it names one tool.
    pub fn is_exact(&self) -> bool {
        !self.subtree && self.segments.iter().all(Option::is_some)
    }

    /// Returns true if the pattern matches every tool.
    pub fn is_all(&self) -> bool {
        self.subtree && self.segments.is_empty()
    }

    /// Returns true if the pattern matches a path.
    pub fn matches(&self, path: &str) -> bool {
        let mut parts = path.split('.');
        for segment in &self.segments {
            match (segment, parts.next()) {
                (_, None) => return false,
                (Some(literal), Some(part)) if **literal != *part => return false,
                _ => {}
            }
        }
        parts.next().is_some() == self.subtree
    }

    /// Compares two patterns that match the same path; the greater one is more specific. Exact
    /// beats stars, then the longer literal prefix, then more literal segments.
    pub fn cmp_specificity(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }

    fn rank(&self) -> (bool, usize, usize) {
        (self.is_exact(), self.leading(), self.segments.iter().flatten().count())
    }

    /// Returns the number of segments in front of the first star.
    pub fn leading(&self) -> usize {
        self.segments.iter().take_while(|segment| segment.is_some()).count()
    }

    /// Returns true if this pattern matches every path that `other` matches.
    pub fn covers(&self, other: &Self) -> bool {
        let shorter = other.segments.len() + usize::from(other.subtree);
        if !self.subtree && (other.subtree || self.segments.len() != other.segments.len()) {
            return false;
        }
        if self.subtree && shorter <= self.segments.len() {
            return false;
        }
        self.segments.iter().enumerate().all(|(index, own)| {
            match (own, other.segments.get(index)) {
                (None, _) => true,
                (Some(own), Some(Some(theirs))) => own == theirs,
                (Some(_), _) => false,
            }
        })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Node of the index: one prefix of patterns.
#[derive(Debug, Default)]
struct Branch {
    literal: HashMap<Box<str>, u32>,
    star: Option<u32>,
    /// Patterns that end at this prefix.
    here: Vec<u32>,
    /// Patterns that match everything below this prefix.
    below: Vec<u32>,
}

/// Index of patterns. A lookup takes time in the length of the path and the number of matches.
#[derive(Debug)]
pub(in crate::policy) struct PatternIndex(Vec<Branch>);

impl Default for PatternIndex {
    fn default() -> Self {
        Self(vec![Branch::default()])
    }
}

impl PatternIndex {
    /// Adds a pattern under a number.
    pub(in crate::policy) fn add(&mut self, pattern: &Pattern, number: u32) {
        let mut at = 0;
        for segment in &pattern.segments {
            let next = match segment {
                Some(literal) => self.0[at].literal.get(literal).copied(),
                None => self.0[at].star,
            };
            at = match next {
                Some(next) => next as usize,
                None => self.grow(at, segment.as_deref()),
            };
        }
        if pattern.subtree { self.0[at].below.push(number) } else { self.0[at].here.push(number) }
    }

    fn grow(&mut self, at: usize, segment: Option<&str>) -> usize {
        let next = self.0.len();
        self.0.push(Branch::default());
        // At most one branch for each segment of each pattern: 10,000 × 32.
        let number =
            u32::try_from(next).expect("fewer branches than segments that patterns may have");
        match segment {
            Some(literal) => drop(self.0[at].literal.insert(literal.into(), number)),
            None => self.0[at].star = Some(number),
        }
        next
    }

    /// Returns the numbers of all patterns that match, in no particular order.
    pub(in crate::policy) fn find(&self, path: &str) -> Vec<u32> {
        let mut found = Vec::new();
        let mut open = vec![0_u32];
        // The walk ends where the branches end, however long the path is.
        for part in path.split('.') {
            let mut next = Vec::new();
            for at in open {
                let branch = &self.0[at as usize];
                found.extend(&branch.below);
                next.extend(branch.literal.get(part).copied());
                next.extend(branch.star);
            }
            open = next;
        }
        for at in open {
            found.extend(&self.0[at as usize].here);
        }
        found
    }
}

#[cfg(test)]
mod tests;
