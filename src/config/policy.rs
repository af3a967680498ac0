//! Resolves `[policy]`. Must not read policy files.

use std::path::PathBuf;

use super::{
    error::Origin,
    keys::{LayerKind, PolicyFileKeys, PolicyFileTable, PolicyKeys, Profile},
    resolve::Resolver,
};

/// Most policy files.
const FILES_MAX: usize = 64;

/// Resolved `[policy]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySettings {
    /// Profile for tools that no file decides about.
    pub profile: Profile,
    /// Policy files, in the order of the configuration.
    pub files: Vec<PolicyFile>,
    /// Record the values of arguments.
    pub record_values: bool,
}

/// Policy file with its scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFile {
    /// Absolute path.
    pub path: PathBuf,
    /// Callers that the file applies to.
    pub scope: PolicyScope,
    /// Upstream of tool names without a prefix.
    pub upstream: Option<String>,
}

/// Callers that a policy file applies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyScope {
    /// Every caller.
    Organisation,
    /// Callers of one workspace.
    Workspace(String),
    /// Callers with the key of this label.
    Key(String),
}

impl Resolver<'_> {
    pub(super) fn policy(&mut self, keys: &PolicyKeys) -> PolicySettings {
        if keys.files.len() > FILES_MAX {
            let message =
                format!("`policy.files` has {} files; the limit is {FILES_MAX}", keys.files.len());
            self.report(&["policy", "files"], message);
        }
        let files =
            keys.files.iter().take(FILES_MAX).filter_map(|file| self.policy_file(file)).collect();
        PolicySettings { profile: keys.profile, files, record_values: keys.record_values }
    }

    fn policy_file(&mut self, keys: &PolicyFileKeys) -> Option<PolicyFile> {
        let table = match keys {
            PolicyFileKeys::Path(path) => {
                let (workspace, key, upstream) = (None, None, None);
                PolicyFileTable {
                    path: path.clone(),
                    layer: LayerKind::Organisation,
                    workspace,
                    key,
                    upstream,
                }
            }
            PolicyFileKeys::Table(table) => table.clone(),
        };
        let before = self.problems.len();
        let mut report = |message: String| self.report(&["policy", "files"], message);
        if table.path.is_empty() || table.path.contains('\0') {
            report("`policy.files` contains an empty path; name a file".into());
        }
        let path = &table.path;
        let scope = match (table.layer, &table.workspace, &table.key) {
            (LayerKind::Organisation, None, None) => Some(PolicyScope::Organisation),
            (LayerKind::Workspace, Some(name), None) => Some(PolicyScope::Workspace(name.clone())),
            (LayerKind::Key, None, Some(name)) => Some(PolicyScope::Key(name.clone())),
            (LayerKind::Organisation, ..) => {
                report(format!(
                    "`{path}` in `policy.files` has the layer `organisation`, which takes no \
                    `workspace` and no `key`"
                ));
                None
            }
            (LayerKind::Workspace, ..) => {
                report(format!(
                    "`{path}` in `policy.files` has the layer `workspace`, which needs `workspace` \
                    and takes no `key`"
                ));
                None
            }
            (LayerKind::Key, ..) => {
                report(format!(
                    "`{path}` in `policy.files` has the layer `key`, which needs `key` and takes \
                    no `workspace`"
                ));
                None
            }
        };
        let base = match self.layers.origin(&["policy".into(), "files".into()]) {
            Origin::File(file, _) => {
                file.parent().map(|folder| self.folder.join(folder)).unwrap_or_default()
            }
            _ => self.folder.to_path_buf(),
        };
        let scope = scope.filter(|_| self.problems.len() == before)?;
        Some(PolicyFile {
            path: base.join(self.in_home(&table.path)),
            scope,
            upstream: table.upstream,
        })
    }
}
