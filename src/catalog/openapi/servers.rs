//! Base URLs of calls: the owner's, else the server of the document that the owner chose, else its
//! first, and never one that a caller gives.

use std::{cell::RefCell, collections::BTreeMap};

use serde_json::{Map, Value};
use url::Url;

use super::{
    document::{Document, text},
    read::METHODS,
};
use crate::{
    base::text::{cut, quoted},
    catalog::upstream::error::ConnectError,
    model::OperationPattern,
};

/// Longest address of a server, in bytes.
const ADDRESS_BYTES_MAX: usize = 2_000;
/// Servers that are told where the one that was chosen is not there.
const SERVERS_TOLD_MAX: usize = 12;
/// Variables of one address.
const VARIABLES_MAX: usize = 20;

/// Owner's settings for the base URL.
#[derive(Debug, Clone, Default)]
pub(super) struct Setting {
    /// `base_url`.
    pub(super) base: Option<Url>,
    /// The description's own address.
    pub(super) spec: Option<Url>,
    /// `server`.
    pub(super) server: Option<String>,
    /// `server_variables`.
    pub(super) variables: BTreeMap<String, String>,
    /// `only`.
    pub(super) only: Vec<OperationPattern>,
    /// `except`.
    pub(super) except: Vec<OperationPattern>,
    /// Places and names of parameters that the owner fills in: they are not a caller's.
    pub(super) owned: Vec<(String, String)>,
    /// True if the owner configured something that identifies Airlock.
    pub(super) has_credential: bool,
}

/// The servers of one description.
pub(super) struct Servers<'a> {
    /// Base URL unless an operation has a server of its own.
    pub(super) base: Url,
    /// True if the owner configured it.
    is_given: bool,
    /// The description's own, where it names one that can be used.
    declared: Option<Url>,
    spec: Option<&'a Url>,
    variables: &'a BTreeMap<String, String>,
    /// The server that the owner chose.
    chosen: Option<&'a str>,
    /// True if that is one of operations and not of the whole description: only those are offered.
    is_of_operations: bool,
}

/// Base URL of one operation's calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// Below this address, which is of the base's origin.
    Below(Url),
    /// Another origin than the upstream's, so it is not called.
    Elsewhere {
        /// The other origin.
        origin: String,
        /// The server as it is written.
        server: String,
    },
    /// Another server than the owner chose, so the operation is not offered.
    NotChosen,
}

impl<'a> Servers<'a> {
    /// `setting.spec` is the address of the description, where it has one; relative servers count
    /// from it.
    pub(super) fn new(document: &Document, setting: &'a Setting) -> Result<Self, ConnectError> {
        let Setting { variables, .. } = setting;
        let (given, spec, chosen) =
            (setting.base.as_ref(), setting.spec.as_ref(), setting.server.as_deref());
        let listed = document.get("servers");
        let of_all = picked(listed, chosen);
        let is_of_operations = chosen.is_some() && of_all.is_none();
        let first = match chosen.filter(|_| is_of_operations) {
            Some(chosen) => Some(
                of_operations(document, |servers| picked(servers, Some(chosen)))
                    .ok_or_else(|| unknown(document, chosen))?,
            ),
            None => of_all,
        };
        let declared = match first {
            Some(server) => address(server, spec, variables),
            // The specification's default.
            None => relative("/", spec),
        };
        let servers = |base: Url, declared| Self {
            base,
            is_given: given.is_some(),
            declared,
            spec,
            variables,
            chosen,
            is_of_operations,
        };
        match (given, declared) {
            (Some(given), declared) => Ok(servers(given.clone(), declared.ok())),
            (None, Ok(base)) => {
                let known = first.and_then(|server| server.get("variables")?.as_object());
                if let Some(unknown) = variables
                    .keys()
                    .find(|name| known.is_none_or(|known| !known.contains_key(*name)))
                {
                    let names = known
                        .map(|known| quoted(known.keys()))
                        .filter(|names| !names.is_empty())
                        .unwrap_or_else(|| "none".to_owned());
                    let message = format!(
                        "`server_variables` has `{unknown}`, which its server address does not have"
                    );
                    return Err(
                        ConnectError::new(message).hint(format!("it has {}", cut(&names, 300)))
                    );
                }
                Ok(servers(base.clone(), Some(base)))
            }
            (None, Err(reason)) => {
                let error = ConnectError::new(format!(
                    "its OpenAPI document does not say where it is: {reason}"
                ));
                // Which of the others is meant is the owner's to say: it may be one for trials.
                let others = absolute(listed, variables);
                Err(match others.is_empty() {
                    true => error.hint("set `base_url` of the upstream"),
                    false => error.hint(format!(
                        "set `base_url` of the upstream, or choose another of its servers: {}",
                        others.join(", or ")
                    )),
                })
            }
        }
    }

    /// Base URL of an operation, whose own servers or those of its path precede the document's.
    pub(super) fn of(&self, item: &Map<String, Value>, operation: &Map<String, Value>) -> Target {
        let listed = [operation, item]
            .into_iter()
            .find_map(|holder| holder.get("servers").filter(|servers| has_any(servers)));
        let own = picked(listed, self.chosen);
        if self.is_of_operations && own.is_none() {
            return Target::NotChosen;
        }
        let Some(own) = own.or_else(|| picked(listed, None)) else {
            return Target::Below(self.base.clone());
        };
        let written = text(own, "url").unwrap_or("/");
        let anchor = self.spec.or(self.declared.as_ref()).or(Some(&self.base));
        let Ok(own) = address(own, anchor, self.variables) else {
            return Target::Below(self.base.clone());
        };
        if own.origin() == self.base.origin() {
            return Target::Below(own);
        }
        // The owner moved the service as a whole, so that what stands beside it in the description
        // moves along.
        if self.is_given
            && self.declared.as_ref().is_some_and(|declared| declared.origin() == own.origin())
        {
            let mut moved = self.base.clone();
            moved.set_path(own.path());
            return Target::Below(moved);
        }
        Target::Elsewhere { origin: own.origin().ascii_serialization(), server: written.to_owned() }
    }
}

/// The servers that can be called as they are written, each as the owner chooses it.
fn absolute(listed: Option<&Value>, given: &BTreeMap<String, String>) -> Vec<String> {
    let servers = listed.and_then(Value::as_array).into_iter().flatten();
    let usable = servers
        .filter_map(Value::as_object)
        .filter(|server| address(server, None, given).is_ok())
        .filter_map(|server| text(server, "url"));
    usable.take(SERVERS_TOLD_MAX).map(|url| format!("`server = {:?}`", cut(url, 200))).collect()
}

fn has_any(servers: &Value) -> bool {
    servers.as_array().is_some_and(|servers| servers.first().is_some_and(Value::is_object))
}

/// The first of a list of servers, or the one that was chosen: by its address as it is written, or
/// by its description.
fn picked<'d>(servers: Option<&'d Value>, chosen: Option<&str>) -> Option<&'d Map<String, Value>> {
    let is_it = |server: &&Map<String, Value>| {
        let address = |text: &str| text.trim_end_matches('/').to_owned();
        let chosen = chosen.unwrap_or_default();
        text(server, "url").is_some_and(|url| address(url) == address(chosen))
            || text(server, "description") == Some(chosen)
    };
    let mut servers = servers?.as_array()?.iter().filter_map(Value::as_object);
    if chosen.is_some() { servers.find(is_it) } else { servers.next() }
}

/// First match among the servers of a path or of an operation.
fn of_operations<'d, T>(
    document: &'d Document,
    find: impl Fn(Option<&'d Value>) -> Option<T>,
) -> Option<T> {
    let items = document.get("paths").and_then(Value::as_object).into_iter().flat_map(Map::values);
    let mut holders = items.filter_map(|item| document.resolved(item)).flat_map(|item| {
        let operations = METHODS.iter().filter_map(|method| item.get(*method)?.as_object());
        std::iter::once(item).chain(operations)
    });
    holders.find_map(|holder| find(holder.get("servers")))
}

/// There is no such server; tells which there are.
fn unknown(document: &Document, chosen: &str) -> ConnectError {
    let known = RefCell::new(Vec::new());
    let note = |servers: Option<&Value>| -> Option<()> {
        for server in servers.and_then(Value::as_array).into_iter().flatten() {
            let shown =
                format!("`{}`", cut(server.get("url").and_then(Value::as_str).unwrap_or("/"), 200));
            let mut known = known.borrow_mut();
            if known.len() < SERVERS_TOLD_MAX && !known.contains(&shown) {
                known.push(shown);
            }
        }
        None
    };
    note(document.get("servers"));
    of_operations(document, note);
    let known = known.into_inner();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    ConnectError::new(format!("its OpenAPI document has no server `{}`", cut(chosen, 200))).hint(
        format!(
            "it names {known}; `server` is one of these addresses as it is written \
            there, or its description"
        ),
    )
}

/// The address of a server with its variables filled in.
fn address(
    server: &Map<String, Value>,
    spec: Option<&Url>,
    given: &BTreeMap<String, String>,
) -> Result<Url, String> {
    let template = text(server, "url").unwrap_or("/");
    let variables = server.get("variables").and_then(Value::as_object);
    let mut rest = template;
    let mut filled = String::new();
    for _ in 0..=VARIABLES_MAX {
        let Some((before, name, after)) = next_variable(rest) else { break };
        filled.push_str(before);
        filled.push_str(&value_of(
            name,
            variables.and_then(|variables| variables.get(name)),
            given,
        )?);
        rest = after;
    }
    filled.push_str(rest);
    if filled.contains('{') || filled.len() > ADDRESS_BYTES_MAX {
        return Err(format!("its server address {:?} cannot be read", cut(template, 200)));
    }
    relative(&filled, spec)
}

fn next_variable(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

/// The configured value, else the default; either only if the description allows it.
fn value_of(
    name: &str,
    variable: Option<&Value>,
    given: &BTreeMap<String, String>,
) -> Result<String, String> {
    let default = variable.and_then(|variable| match variable.get("default")? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    });
    let name = cut(name, 60);
    let value = given.get(name).cloned().or(default);
    let value = value.ok_or_else(|| {
        format!(
            "variable `{name}` of its server address has no value; give one in `server_variables`"
        )
    })?;
    let allowed: Vec<&str> = variable
        .and_then(|variable| variable.get("enum")?.as_array())
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if !allowed.is_empty() && !allowed.contains(&value.as_str()) {
        let allowed = allowed
            .iter()
            .take(12)
            .map(|value| format!("`{}`", cut(value, 60)))
            .collect::<Vec<_>>()
            .join(", ");
        return Err(format!(
            "variable `{name}` of its server address is `{}`; allowed: {allowed}",
            cut(&value, 60)
        ));
    }
    Ok(value)
}

fn relative(address: &str, spec: Option<&Url>) -> Result<Url, String> {
    let parsed = match spec {
        Some(spec) => spec.join(address),
        // A file is read over no scheme that a host without one could take over.
        None if address.starts_with("//") => Url::parse(&format!("https:{address}")),
        None => Url::parse(address),
    };
    let usable = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    let mut url = parsed
        .ok()
        .filter(usable)
        .ok_or_else(|| format!("its server address {:?} names no host", cut(address, 200)))?;
    url.set_fragment(None);
    // Whoever wrote the description has no say in the credential.
    let cleared = url.set_username("").and_then(|()| url.set_password(None));
    cleared.map_err(|()| "its server address cannot be used".to_owned())?;
    Ok(url)
}

#[cfg(test)]
mod tests;
