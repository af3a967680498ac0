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
    /// The name that it has, or would have if no other secret had it.
    base: String,
    value: String,
    upstreams: BTreeSet<String>,
    is_stored: bool,
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
            (None, _) if is_secret => Err(mixed("is a secret that consists of several parts")),
            (_, Some(written)) => Ok(Reference::Text(written)),
        }
    }

    /// Keeps a secret and returns its name: that of an equal one, or a free one.
    fn keep(&mut self, upstream: &str, hint: &str, value: &str) -> Result<String, Failure> {
        let upper = |text: &str| secret_name(text).replace(['-', '.'], "_").to_uppercase();
        let (owner, hint) = (upper(upstream), upper(hint.trim_start_matches('-')));
        let base = if hint.starts_with(&owner) { hint } else { format!("{owner}_{hint}") };
        let is_same = |fresh: &Fresh| fresh.base == base && fresh.value == value;
        if let Some((name, fresh)) = self.fresh.iter_mut().find(|(_, fresh)| is_same(fresh)) {
            fresh.upstreams.insert(upstream.to_owned());
            return Ok(name.clone());
        }
        for name in names(&base) {
            if self.fresh.contains_key(&name) {
                continue;
            }
            match self.vault.get(&name) {
                Ok(stored) if stored == value => return Ok(name),
                Ok(_) | Err(VaultError::Sealed(_)) => {}
                Err(VaultError::Absent(_)) => {
                    let upstreams = BTreeSet::from([upstream.to_owned()]);
                    let (base, value) = (base.clone(), value.to_owned());
                    let fresh = Fresh { base, value, upstreams, is_stored: false };
                    self.fresh.insert(name.clone(), fresh);
                    return Ok(name);
                }
                Err(error) => return Err(secrets::failure(&error)),
            }
        }
        Err(none_free(&base))
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

    /// Stores them all, or none. A name that another command has taken meanwhile is left to it, and
    /// the secret gets a free one: tables that refer to it must be made again.
    pub(super) fn store(&mut self) -> Result<(), Failure> {
        for (planned, fresh) in std::mem::take(&mut self.fresh) {
            match self.store_one(planned, &fresh) {
                Ok(name) => drop(self.fresh.insert(name, Fresh { is_stored: true, ..fresh })),
                Err(failure) => {
                    self.undo();
                    return Err(failure);
                }
            }
        }
        Ok(())
    }

    fn store_one(&self, planned: String, fresh: &Fresh) -> Result<String, Failure> {
        for name in std::iter::once(planned).chain(names(&fresh.base)) {
            match self.vault.set_if_absent(&name, &fresh.value) {
                Ok(true) => return Ok(name),
                Ok(false) => {}
                Err(error) => return Err(secrets::failure(&error)),
            }
        }
        Err(none_free(&fresh.base))
    }

    /// Removes them again.
    pub(super) fn undo(&self) {
        for (name, _) in self.fresh.iter().filter(|(_, fresh)| fresh.is_stored) {
            // One that somebody has removed is not there.
            self.vault.remove(name).ok();
        }
    }
}

/// The names that a secret may get, the best first.
fn names(base: &str) -> impl Iterator<Item = String> {
    let numbered = (2..=NAMES_MAX).map(move |number| format!("{base}_{number}"));
    std::iter::once(base.to_owned()).chain(numbered)
}

fn none_free(base: &str) -> Failure {
    Failure::other(format!("no name like `{base}` is free in the secret store"))
}
