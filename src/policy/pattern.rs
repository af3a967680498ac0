//! Addresses of tools with stars, and finding all that fit a tool.

use std::{cmp::Ordering, collections::HashMap, fmt};

/// Longest address, in bytes.
pub const PATTERN_BYTES_MAX: usize = 512;
/// Most segments of an address.
pub const SEGMENTS_MAX: usize = 32;

/// An address: segments between dots, `*` for one whole segment, and at the end for everything
/// below. `*` alone is every tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
    /// None stands for a star.
    segments: Vec<Option<Box<str>>>,
    /// It ends in a star, so it fits everything below `segments`.
    subtree: bool,
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPattern {
    /// Too long.
    #[error("the address has {0} bytes, allowed are {PATTERN_BYTES_MAX}")]
    Bytes(usize),
    /// Too many segments.
    #[error("the address has {0} segments, allowed are {SEGMENTS_MAX}")]
    Segments(usize),
    /// Two dots in a row, or one at an end.
    #[error("the address has an empty segment")]
    Empty,
    /// A star beside other characters.
    #[error("a `*` stands for a whole segment")]
    PartialStar,
}

impl Pattern {
    /// Reads an address.
    pub fn parse(text: &str) -> Result<Self, NoPattern> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(NoPattern::Bytes(text.len()));
        }
        let mut segments = Vec::new();
        for segment in text.split('.') {
            match segment {
                "" => return Err(NoPattern::Empty),
                "*" => segments.push(None),
                literal if literal.contains('*') => return Err(NoPattern::PartialStar),
                literal => segments.push(Some(literal.into())),
            }
        }
        if segments.len() > SEGMENTS_MAX {
            return Err(NoPattern::Segments(segments.len()));
        }
        let subtree = segments.last().is_some_and(Option::is_none);
        if subtree {
            segments.pop();
        }
        Ok(Self { text: text.into(), segments, subtree })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it names one tool.
    pub fn is_exact(&self) -> bool {
        !self.subtree && self.segments.iter().all(Option::is_some)
    }

    /// Whether it fits every tool.
    pub fn is_all(&self) -> bool {
        self.subtree && self.segments.is_empty()
    }

    /// Whether it fits a path.
    pub fn fits(&self, path: &str) -> bool {
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

    /// Which of two addresses that fit the same path is more specific: exact before stars, then the
    /// longer literal beginning, then more literal segments.
    pub fn more_specific(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }

    fn rank(&self) -> (bool, usize, usize) {
        let leading = self.segments.iter().take_while(|segment| segment.is_some()).count();
        (self.is_exact(), leading, self.segments.iter().flatten().count())
    }

    /// Whether every path that `other` fits is fitted by this one too. May say no where the answer
    /// is yes only by several patterns together.
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

#[derive(Debug, Default)]
struct Branch {
    literal: HashMap<Box<str>, u32>,
    star: Option<u32>,
    /// What ends here.
    here: Vec<u32>,
    /// What fits everything below.
    below: Vec<u32>,
}

/// Many addresses, found by path in the time of its length and of what fits.
#[derive(Debug)]
pub(super) struct Index(Vec<Branch>);

impl Default for Index {
    fn default() -> Self {
        Self(vec![Branch::default()])
    }
}

impl Index {
    /// Adds an address under a number.
    pub(super) fn add(&mut self, pattern: &Pattern, number: u32) {
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

    /// The numbers of all that fit, in no order.
    pub(super) fn find(&self, path: &str) -> Vec<u32> {
        let mut found = Vec::new();
        let mut open = vec![0_u32];
        // A path longer than any pattern is followed only as far as there are branches.
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
