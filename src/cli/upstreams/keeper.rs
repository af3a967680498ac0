//! The secrets of upstreams that are being added: chooses their names, and stores them once the
//! upstreams are written. Prints no value.

use std::collections::{BTreeMap, BTreeSet};

use super::template::{Piece, Template, secret_name};
use crate::{
    app::{self, Failure},
    catalog::{Vault, VaultError},
    cli::secrets,
    config::Config,
};

/// Names that are tried for one secret.
const NAMES_MAX: u32 = 1_000;

/// A value as the configuration refers to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reference {
    /// As it is written, with `${NAME}` for variables.
    Text(String),
    /// An environment variable.
    Variable(String),
    /// A file.
    File(String),
    /// A secret of the secret store.
    Secret(String),
}

/// Secrets that are not stored yet.
pub(super) struct Keeper {
    vault: Vault,
    fresh: BTreeMap<String, Fresh>,
}

struct Fresh {
    value: String,
    upstreams: BTreeSet<String>,
}

impl Keeper {
    /// For the secret store of the configuration.
    pub(super) fn new(config: &Config) -> Self {
        Self { vault: app::vault(config), fresh: BTreeMap::new() }
    }

    /// A value as the configuration can hold it. A text that `is_secret` is kept, under a name made
    /// of the upstream and `hint`.
    pub(super) fn reference(
        &mut self,
        upstream: &str,
        hint: &str,
        value: &Template,
        is_secret: bool,
    ) -> Result<Reference, Failure> {
        match value.0.as_slice() {
            [Piece::Variable(name)] => return Ok(Reference::Variable(name.clone())),
            [Piece::Secret(name)] => return Ok(Reference::Secret(name.clone())),
            [Piece::File(path)] => return Ok(Reference::File(path.clone())),
            _ => {}
        }
        let mixed = |what: &str| {
            Failure::other(format!("`{hint}` {what}"))
                .hint("give the whole value in one variable, or as a secret")
        };
        match (value.plain(), value.written()) {
            (Some(text), _) if is_secret => self.keep(upstream, hint, text).map(Reference::Secret),
            (_, None) => Err(mixed(
                "contains a secret beside other text, and a reference must be the whole value",
            )),
            (None, _) if is_secret && value.texts().any(super::secret::looks_like_token) => {
                Err(mixed("contains a secret beside a variable"))
            }
            (_, Some(written)) => Ok(Reference::Text(written)),
        }
    }

    /// Keeps a secret and returns its name: that of an equal one, or a free one.
    fn keep(&mut self, upstream: &str, hint: &str, value: &str) -> Result<String, Failure> {
        let upper = |text: &str| secret_name(text).replace(['-', '.'], "_").to_uppercase();
        let (owner, hint) = (upper(upstream), upper(hint.trim_start_matches('-')));
        let base = if hint.starts_with(&owner) { hint } else { format!("{owner}_{hint}") };
        for number in 1..=NAMES_MAX {
            let name = if number == 1 { base.clone() } else { format!("{base}_{number}") };
            if let Some(fresh) = self.fresh.get_mut(&name) {
                if fresh.value == value {
                    fresh.upstreams.insert(upstream.to_owned());
                    return Ok(name);
                }
                continue;
            }
            match self.vault.get(&name) {
                Ok(stored) if stored == value => return Ok(name),
                Ok(_) | Err(VaultError::Sealed(_)) => {}
                Err(VaultError::Absent(_)) => {
                    let upstreams = BTreeSet::from([upstream.to_owned()]);
                    self.fresh.insert(name.clone(), Fresh { value: value.to_owned(), upstreams });
                    return Ok(name);
                }
                Err(error) => return Err(secrets::failure(&error)),
            }
        }
        Err(Failure::other(format!("no name like `{base}` is free in the secret store")))
    }

    /// Forgets the secrets of an upstream that is not written after all.
    pub(super) fn forget(&mut self, upstream: &str) {
        self.fresh.retain(|_, fresh| {
            fresh.upstreams.remove(upstream);
            !fresh.upstreams.is_empty()
        });
    }

    /// The values by name, to try the upstreams with.
    pub(super) fn values(&self) -> BTreeMap<String, String> {
        self.fresh.iter().map(|(name, fresh)| (name.clone(), fresh.value.clone())).collect()
    }

    /// The names.
    pub(super) fn names(&self) -> Vec<&str> {
        self.fresh.keys().map(String::as_str).collect()
    }

    /// Stores them all, or none.
    pub(super) fn store(&self) -> Result<(), Failure> {
        for (name, fresh) in &self.fresh {
            if let Err(error) = self.vault.set(name, &fresh.value) {
                self.undo();
                return Err(secrets::failure(&error));
            }
        }
        Ok(())
    }

    /// Removes them again.
    pub(super) fn undo(&self) {
        for name in self.fresh.keys() {
            // One that was not stored yet is not there.
            self.vault.remove(name).ok();
        }
    }
}
