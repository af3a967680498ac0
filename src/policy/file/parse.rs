//! Parses a policy file.

use super::{
    policy_file::PolicyFile,
    reader::{Reader, read_tree},
    tree::{Positions, Tree},
};
use crate::policy::model::problem::Problem;

/// Parsed file with the positions of its values.
#[derive(Debug)]
pub(in crate::policy) struct Document {
    pub(in crate::policy) file: PolicyFile,
    pub(in crate::policy) positions: Positions,
}

impl PolicyFile {
    /// Parses a file, YAML or JSON; `name` stands in the problems. Only
    /// [`crate::policy::Policy::load`] checks the meaning of conditions, patterns and limits.
    pub fn parse(name: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let (document, problems) = Document::parse(name, text)?;
        if problems.is_empty() { Ok(document.file) } else { Err(problems) }
    }
}

impl Document {
    /// Returns the parts of the file that follow the format and the problems of the others.
    ///
    /// # Errors
    /// The one problem of a text that is neither YAML nor JSON.
    pub(in crate::policy) fn parse(
        name: &str,
        text: &str,
    ) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        let Tree { root, positions } = read_tree(name, text)?;
        let mut reader = Reader::new(name, &positions);
        let file = reader.file(&root);
        let problems = reader.finish();
        Ok((Self { file, positions }, problems))
    }
}
