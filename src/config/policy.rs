//! `[policy]` and `[approvals]`, resolved. Reads no policy file: that is done by whoever opens
//! things.

use std::path::PathBuf;

use super::{
    error::Origin,
    keys::{ApprovalsKeys, LayerKind, PolicyFileKeys, PolicyFileTable, PolicyKeys, Profile},
    resolve::Resolver,
};

/// Policy files at the most.
const FILES_MAX: usize = 64;

/// Which calls are allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySettings {
    /// What holds where no rule speaks.
    pub profile: Profile,
    /// The files, in the order they were named.
    pub files: Vec<PolicyFile>,
    /// Whether the record holds the values of arguments.
    pub record_values: bool,
}

/// One policy file and whom it holds for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFile {
    /// Where it lies; absolute.
    pub path: PathBuf,
    /// Whom it holds for.
    pub scope: PolicyScope,
    /// The upstream that bare names of tools belong to.
    pub upstream: Option<String>,
}

/// Whom a policy file holds for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyScope {
    /// Everybody.
    Organisation,
    /// The workspace of that name.
    Workspace(String),
    /// The key of that name.
    Key(String),
}

impl Resolver<'_> {
    pub(super) fn policy(&mut self, keys: &PolicyKeys) -> PolicySettings {
        if keys.files.len() > FILES_MAX {
            let message = format!(
                "`policy.files` names {} files; allowed: at most {FILES_MAX}",
                keys.files.len()
            );
            self.refuse(&["policy", "files"], message);
        }
        let files =
            keys.files.iter().take(FILES_MAX).filter_map(|file| self.policy_file(file)).collect();
        PolicySettings { profile: keys.profile, files, record_values: keys.record_values }
    }

    /// Asks for no more parked tasks than leave half of the workers free.
    pub(super) fn approvals(&mut self, keys: &ApprovalsKeys, workers_max: u64) -> ApprovalsKeys {
        ApprovalsKeys { tasks_max: keys.tasks_max.min(workers_max / 2).max(1), ..keys.clone() }
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
        let mut refuse = |message: String| self.refuse(&["policy", "files"], message);
        if table.path.is_empty() || table.path.contains('\0') {
            refuse("`policy.files` holds an empty path; name a file".into());
        }
        let shown = &table.path;
        let scope = match (table.layer, &table.workspace, &table.key) {
            (LayerKind::Organisation, None, None) => Some(PolicyScope::Organisation),
            (LayerKind::Workspace, Some(name), None) => Some(PolicyScope::Workspace(name.clone())),
            (LayerKind::Key, None, Some(name)) => Some(PolicyScope::Key(name.clone())),
            (LayerKind::Organisation, ..) => {
                refuse(format!(
                    "`{shown}` in `policy.files` is of the organisation's layer, which takes no \
                    `workspace` and no `key`"
                ));
                None
            }
            (LayerKind::Workspace, ..) => {
                refuse(format!(
                    "`{shown}` in `policy.files` is of a workspace's layer: name it in \
                    `workspace`, and no `key`"
                ));
                None
            }
            (LayerKind::Key, ..) => {
                refuse(format!(
                    "`{shown}` in `policy.files` is of a key's layer: name it in `key`, and no \
                    `workspace`"
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
        Some(PolicyFile { path: base.join(&table.path), scope, upstream: table.upstream })
    }
}
