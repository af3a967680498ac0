//! Credential that the document asks for, as a phrase, and the parameters that hold it. Callers do
//! not set those.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use serde_json::{Map, Value};

use super::{
    document::{Document, text},
    names::words,
};
use crate::base::text::cut;

/// Names of parameters that are a credential's and hardly anything else's, without what stands
/// between their words.
const CREDENTIAL_NAMES: [&str; 19] = [
    "accesskey",
    "accesstoken",
    "apiaccesstoken",
    "apikey",
    "apisecret",
    "apitoken",
    "appkey",
    "authentication",
    "authenticationtoken",
    "authkey",
    "authorization",
    "authorizationtoken",
    "authtoken",
    "bearer",
    "bearertoken",
    "clientsecret",
    "oauthaccesstoken",
    "oauthtoken",
    "sessiontoken",
];
/// Names that are a credential's where they must be given; a token may as well be that of a page.
const CREDENTIAL_NAMES_IF_REQUIRED: [&str; 4] = ["auth", "token", "usertoken", "xtoken"];
/// Names of parameters that are a credential's in a header, a query or a cookie; a field of a body
/// by such a name may be what is stored.
const CREDENTIAL_NAMES_OF_PARAMETERS: [&str; 8] = [
    "consumerkey",
    "consumersecret",
    "googapikey",
    "idtoken",
    "jwt",
    "ocpapimsubscriptionkey",
    "privatetoken",
    "subscriptionkey",
];
/// Names that are a credential's in a header or a cookie. A query by such a name may as well be
/// that of a stored thing, so it is no more than not asked for.
const CREDENTIAL_NAMES_OF_HEADERS: [&str; 3] = ["appid", "key", "secret"];
/// Ends of the names of headers that hold a credential, whatever service or product is named before
/// them.
const CREDENTIAL_ENDS_OF_HEADERS: [&str; 11] = [
    "accesskey",
    "accesstoken",
    "apikey",
    "apisecret",
    "apitoken",
    "applicationkey",
    "authkey",
    "authtoken",
    "clientsecret",
    "secretkey",
    "subscriptionkey",
];
/// Words in the path or the name of operations that are about credentials themselves, and how such
/// words begin: there such a parameter may be what the call is about.
const ABOUT_CREDENTIALS: [&str; 4] = ["auth", "key", "keys", "push"];
const ABOUT_CREDENTIALS_STEMS: [&str; 21] = [
    "activat",
    "authent",
    "authoriz",
    "confirm",
    "credential",
    "device",
    "integration",
    "invit",
    "login",
    "logout",
    "notification",
    "oauth",
    "password",
    "register",
    "reset",
    "revoke",
    "secret",
    "session",
    "token",
    "verif",
    "webhook",
];

/// Schemes that are read.
const SCHEMES_MAX: usize = 50;

/// The security schemes of a description.
pub(super) struct Security {
    /// Phrases by name: `a bearer token`.
    phrases: Vec<(String, String)>,
    /// Place and name, in lower case, of parameters that hold a credential.
    holders: HashSet<(String, String)>,
    /// Requirement of operations that state none of their own.
    usual: Option<Arc<str>>,
    /// True if they can be had without.
    is_optional: bool,
    /// True if the owner configured a credential.
    has_credential: bool,
}

/// Whether a caller is asked for a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// As its description says.
    AsDescribed,
    /// The caller may give it, and need not.
    AtWill,
    /// It holds a credential, or is the owner's.
    Never,
}

/// What callers of one operation are asked for.
pub(super) struct Asking<'s> {
    security: &'s Security,
    /// True if a credential goes along with its calls, as the owner or the description says.
    has_credential: bool,
    /// True if it is about credentials.
    is_about_credentials: bool,
}

impl Asking<'_> {
    /// Returns true if the owner fills it in, or a security scheme names it.
    pub(super) fn is_owned(&self, place: &str, name: &str) -> bool {
        self.security.holders.contains(&(place.to_owned(), name.to_lowercase()))
    }

    /// Whether a caller is asked for a parameter of this name, or for a `field` of a body. A
    /// credential that is described as a parameter beside the one that goes along is never asked
    /// for; where the operation may be about that very token, it may be given.
    pub(super) fn asked(
        &self,
        place: &str,
        name: &str,
        is_required: bool,
        schema: Option<&Value>,
    ) -> Asked {
        if self.is_owned(place, name) {
            return Asked::Never;
        }
        let is_text = schema.and_then(|schema| schema.get("type")).is_none_or(|kind| {
            kind == "string"
                || kind.as_array().is_some_and(|kinds| kinds.contains(&"string".into()))
        });
        let name: String =
            name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        if !is_text || !self.has_credential || place == "path" {
            return Asked::AsDescribed;
        }
        match holds_credential(place, &name, is_required) {
            Asked::Never if self.is_about_credentials => Asked::AtWill,
            asked => asked,
        }
    }
}

/// Whether a parameter of this name, in small letters without what stands between its words, is
/// asked for beside a credential that goes along.
fn holds_credential(place: &str, name: &str, is_required: bool) -> Asked {
    let is_among = |names: &[&str]| {
        names.contains(&name) || name.strip_prefix('x').is_some_and(|rest| names.contains(&rest))
    };
    let is_certain = is_among(&CREDENTIAL_NAMES)
        || is_required && CREDENTIAL_NAMES_IF_REQUIRED.contains(&name)
        || place != "field" && is_among(&CREDENTIAL_NAMES_OF_PARAMETERS)
        || matches!(place, "header" | "cookie") && is_among(&CREDENTIAL_NAMES_OF_HEADERS)
        || place == "header" && CREDENTIAL_ENDS_OF_HEADERS.iter().any(|end| name.ends_with(end));
    if is_certain {
        Asked::Never
    } else if place == "query" && CREDENTIAL_NAMES_OF_HEADERS.contains(&name) {
        Asked::AtWill
    } else {
        Asked::AsDescribed
    }
}

impl Security {
    /// `owned` are places and names of parameters that the owner fills in.
    pub(super) fn of(
        document: &Document,
        owned: &[(String, String)],
        has_credential: bool,
    ) -> Self {
        let schemes = document
            .get("components")
            .and_then(|components| components.get("securitySchemes")?.as_object());
        let mut phrases = Vec::new();
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
            phrases.push((name.clone(), described));
        }
        let mut security =
            Self { phrases, holders, usual: None, is_optional: false, has_credential };
        let required = document.get("security");
        security.usual = security.alternatives(required);
        let is_empty = |one: &Value| one.as_object().is_some_and(Map::is_empty);
        security.is_optional =
            required.and_then(Value::as_array).is_some_and(|all| all.iter().any(is_empty));
        security
    }

    /// What callers of an operation at this path are asked for.
    pub(super) fn asking(&self, path: &str, operation: &Map<String, Value>) -> Asking<'_> {
        let id = text(operation, "operationId").unwrap_or_default();
        let is_about = |word: &String| {
            ABOUT_CREDENTIALS.contains(&word.as_str())
                || ABOUT_CREDENTIALS_STEMS.iter().any(|stem| word.starts_with(stem))
        };
        Asking {
            security: self,
            has_credential: self.has_credential || self.wanted(operation).is_some(),
            is_about_credentials: words(path).iter().chain(&words(id)).any(is_about),
        }
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
            .phrases
            .iter()
            .filter(|(name, _)| names.contains(name))
            .map(|(_, words)| words.as_str())
            .collect();
        (!described.is_empty()).then(|| Arc::from(described.join(", or ")))
    }
}
