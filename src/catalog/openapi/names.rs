//! Names of tools: `group.operation` in camel case, from the names of the document's operations.
//!
//! No name says its group twice, and none ends in a digest while a word is left that tells it
//! apart. The same document gives the same names in whatever order it lists its operations; where
//! several want one name, none gets it because it came first.

mod distinctions;
mod former;
mod named;
mod own;
mod words;

use std::collections::{BTreeMap, HashMap, HashSet};

use self::{
    distinctions::{DISTINCTIONS, Distinction},
    own::{Api, Own},
};
pub(super) use self::{named::Named, words::words};
use crate::{
    base::{digest::sha256, text::cut},
    model::FormerName,
};

/// The name of an operation's tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) present: String,
    /// The name that the release before gave it, if that was another.
    pub(super) former: Option<FormerName>,
}

impl Name {
    /// Returns true if a pattern that begins with this text cannot have been written for the names
    /// of the release before. `None` is a pattern of paths, which means what it meant.
    pub(super) fn is_meant_by(&self, literal: Option<&str>) -> bool {
        let (Some(former), Some(literal)) = (&self.former, literal) else { return true };
        let place = prefixes(&self.present).nth(former.new_from.saturating_sub(1));
        place.is_some_and(|place| {
            literal.strip_prefix(place).is_some_and(|rest| {
                rest.starts_with('.') || rest.is_empty() && literal == self.present
            })
        })
    }
}

/// A name for each operation, in their order; no two are alike, and none is one that another
/// operation had before.
pub(super) fn names(operations: &[Named<'_>], title: &str) -> Vec<Name> {
    let former = former::names(operations);
    let present = Naming::new(operations, title, &former).names();
    let places: HashSet<&str> = former.iter().flat_map(|name| prefixes(name)).collect();
    let with_former = |(present, former): (String, &String)| {
        let new_from = 1 + prefixes(&present).take_while(|place| places.contains(place)).count();
        let former = (*former != present).then(|| FormerName { name: former.clone(), new_from });
        Name { present, former }
    };
    present.into_iter().zip(&former).map(with_former).collect()
}

/// `a`, `a.b` and `a.b.c` of `a.b.c`.
fn prefixes(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('.').map(|(at, _)| &name[..at]).chain(std::iter::once(name))
}

/// Finds names for all operations of a document.
struct Naming<'a> {
    operations: &'a [Named<'a>],
    own: Vec<Own>,
    /// Operations by the name that they had before.
    reserved: HashMap<&'a str, usize>,
    names: Vec<String>,
}

impl<'a> Naming<'a> {
    fn new(operations: &'a [Named<'a>], title: &str, former: &'a [String]) -> Self {
        let api = Api::of(operations, title);
        let own: Vec<Own> = operations.iter().map(|named| Own::of(named, &api)).collect();
        let names =
            own.iter().map(|own| format!("{}.{}", own.group(), own.operation(&[]))).collect();
        let reserved = former.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
        Self { operations, own, reserved, names }
    }

    fn names(mut self) -> Vec<String> {
        // Each way makes longer names, which may in turn be taken.
        for distinction in DISTINCTIONS {
            self.lengthen(distinction);
        }
        for same in self.contested() {
            for at in same {
                self.names[at] = format!("{}_{}", self.names[at], digest(&self.operations[at]));
            }
        }
        // Only a name that was made to look like a digest can still be taken.
        for same in self.contested() {
            for (nth, at) in same.into_iter().enumerate() {
                if nth > 0 || self.is_reserved(&self.names[at], at) {
                    self.names[at] = format!("{}_{nth}_{at}", self.names[at]);
                }
            }
        }
        self.names
    }

    /// Adds words to the names that several want, where the words tell them apart.
    fn lengthen(&mut self, distinction: Distinction) {
        let mut taken: HashSet<String> = self.names.iter().cloned().collect();
        for same in self.contested() {
            let each = same.iter().map(|at| (&self.operations[*at], &self.own[*at]));
            let more = distinction.words(&each.collect::<Vec<_>>());
            let longer: Vec<String> =
                same.iter().zip(&more).map(|(at, more)| self.longer(*at, more)).collect();
            let distinct: HashSet<&String> = longer.iter().collect();
            let is_free = |(name, at): (&String, &usize)| {
                let is_own = self.names[*at] == *name;
                (is_own || !taken.contains(name)) && !self.is_reserved(name, *at)
            };
            if distinct.len() < same.len() || !longer.iter().zip(&same).all(is_free) {
                continue;
            }
            for (at, name) in same.into_iter().zip(longer) {
                taken.insert(name.clone());
                self.names[at] = name;
            }
        }
    }

    fn longer(&self, at: usize, more: &[String]) -> String {
        format!("{}.{}", self.own[at].group(), self.own[at].operation(more))
    }

    fn is_reserved(&self, name: &str, at: usize) -> bool {
        self.reserved.get(name).is_some_and(|owner| *owner != at)
    }

    /// Operations that want the same name, or one that another operation had, by name.
    fn contested(&self) -> Vec<Vec<usize>> {
        let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, name) in self.names.iter().enumerate() {
            by_name.entry(name).or_default().push(at);
        }
        let is_contested =
            |name: &str, same: &[usize]| same.len() > 1 || self.is_reserved(name, same[0]);
        by_name
            .into_iter()
            .filter(|(name, same)| is_contested(name, same))
            .map(|(_, same)| same)
            .collect()
    }
}

/// Eight digits that tell an operation from any other of the description.
fn digest(named: &Named<'_>) -> String {
    cut(&sha256(format!("{} {}", named.method, named.path)), 8).to_owned()
}

#[cfg(test)]
mod tests;
