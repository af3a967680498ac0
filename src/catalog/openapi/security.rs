//! Credential that the document asks for, as a phrase, and the parameters that hold it. Callers do
//! not set those.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use serde_json::{Map, Value};

use super::document::{Document, text};
use crate::base::text::cut;

/// Schemes that are read.
const SCHEMES_MAX: usize = 50;

/// The security schemes of a description.
pub(super) struct Security {
    /// In words, by name: `a bearer token`.
    words: Vec<(String, String)>,
    /// Place and name, in lower case, of parameters that hold a credential.
    holders: HashSet<(String, String)>,
    /// Requirement of operations that state none of their own.
    usual: Option<Arc<str>>,
    /// True if they can be had without.
    is_optional: bool,
}

impl Security {
    /// `owned` are places and names of parameters that the owner fills in.
    pub(super) fn of(document: &Document, owned: &[(String, String)]) -> Self {
        let schemes = document
            .get("components")
            .and_then(|components| components.get("securitySchemes")?.as_object());
        let mut words = Vec::new();
        let mut holders: HashSet<(String, String)> =
            owned.iter().map(|(place, name)| (place.clone(), name.to_lowercase())).collect();
        for (name, scheme) in schemes.into_iter().flatten().take(SCHEMES_MAX) {
            let Some(scheme) = document.resolved(scheme) else { continue };
            let get = |key: &str| cut(text(scheme, key).unwrap_or_default(), 80).to_owned();
            let described = match get("type").as_str() {
                "apiKey" => {
                    let (place, key) = (get("in"), get("name"));
                    let described = format!("an API key in {place} `{key}`");
                    holders.insert((place, key.to_lowercase()));
                    described
                }
                "http" if get("scheme").eq_ignore_ascii_case("bearer") => {
                    "a bearer token".to_owned()
                }
                "http" if get("scheme").eq_ignore_ascii_case("basic") => {
                    "user and password (HTTP basic)".to_owned()
                }
                "http" => format!("HTTP authentication `{}`", get("scheme")),
                "oauth2" => "an OAuth 2 token".to_owned(),
                "openIdConnect" => "an OpenID Connect token".to_owned(),
                "mutualTLS" => "a client certificate".to_owned(),
                _ => continue,
            };
            words.push((name.clone(), described));
        }
        let mut security = Self { words, holders, usual: None, is_optional: false };
        let required = document.get("security");
        security.usual = security.alternatives(required);
        let is_empty = |one: &Value| one.as_object().is_some_and(Map::is_empty);
        security.is_optional =
            required.and_then(Value::as_array).is_some_and(|all| all.iter().any(is_empty));
        security
    }

    /// Returns true if a parameter holds a credential, or is the owner's.
    pub(super) fn holds(&self, place: &str, name: &str) -> bool {
        self.holders.contains(&(place.to_owned(), name.to_lowercase()))
    }

    /// Credential that nearly every call needs, as a phrase.
    pub(super) fn needed(&self) -> Option<&str> {
        self.usual.as_deref().filter(|_| !self.is_optional)
    }

    /// Credential that an operation needs, as a phrase.
    pub(super) fn wanted(&self, operation: &Map<String, Value>) -> Option<Arc<str>> {
        match operation.get("security") {
            Some(own) => self.alternatives(Some(own)),
            None => self.usual.clone(),
        }
    }

    fn alternatives(&self, requirements: Option<&Value>) -> Option<Arc<str>> {
        let names: BTreeSet<&String> = requirements?
            .as_array()?
            .iter()
            .take(SCHEMES_MAX)
            .filter_map(Value::as_object)
            .flat_map(Map::keys)
            .collect();
        let described: Vec<&str> = self
            .words
            .iter()
            .filter(|(name, _)| names.contains(name))
            .map(|(_, words)| words.as_str())
            .collect();
        (!described.is_empty()).then(|| Arc::from(described.join(", or ")))
    }
}
