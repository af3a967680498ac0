//! What upstreams refer to on this machine: programs, working directories and documents. Looks
//! whether each can be used; connects to nothing.

use std::path::Path;

use super::{program, target};
use crate::{
    catalog::{DocumentKind, document_kind},
    config::{Config, Environment, ProcessEnvironment, Transport, Upstream},
    model::Document,
};

/// A reference that leads to nothing.
pub(in crate::cli) struct Broken {
    /// The upstream.
    pub(in crate::cli) upstream: String,
    /// The key of the upstream.
    pub(in crate::cli) key: &'static str,
    /// Why it cannot be used.
    pub(in crate::cli) message: String,
    /// The remedy.
    pub(in crate::cli) hint: Option<String>,
}

/// All references that lead to nothing. A reference that several accounts share is in the list
/// once.
pub(in crate::cli) fn broken(config: &Config) -> Vec<Broken> {
    let path = ProcessEnvironment.variables().remove("PATH").unwrap_or_default();
    let own = config.upstreams.iter().filter(|upstream| !is_account(upstream, config));
    own.flat_map(|upstream| of_one(upstream, &path)).collect()
}

/// Returns true for an account of another upstream, which has the same transport.
fn is_account(upstream: &Upstream, config: &Config) -> bool {
    config.upstreams.iter().any(|other| {
        let account = upstream.name.strip_prefix(&other.name);
        account.is_some_and(|account| account.starts_with('-'))
            && other.transport == upstream.transport
    })
}

fn of_one(upstream: &Upstream, path: &str) -> Vec<Broken> {
    let name = &upstream.name;
    let broken = |key, message| Broken { upstream: name.clone(), key, message, hint: None };
    let mut found = vec![];
    match &upstream.transport {
        Transport::Stdio { command, cwd, env, .. } => {
            let own = env.get("PATH").map_or(path, |path| path.expose());
            // A relative path is looked for where the program is started.
            let placed = match cwd {
                Some(folder) if command.contains('/') => folder.join(command).display().to_string(),
                _ => command.clone(),
            };
            if program::find(&placed, own).is_none() {
                let (message, hint) = program::missing(command);
                found.push(Broken { hint: Some(hint), ..broken("command", message) });
            }
            if let Some(folder) = cwd.as_ref().filter(|folder| !folder.is_dir()) {
                let message = format!("there is no folder `{}`", folder.display());
                found.push(broken("cwd", message));
            }
        }
        Transport::OpenApi { spec: Document::File(file), .. } => {
            found.extend(document_fault(file, true).map(|message| broken("spec", message)));
        }
        Transport::GraphQl { schema: Some(Document::File(file)), .. } => {
            found.extend(document_fault(file, false).map(|message| broken("spec", message)));
        }
        Transport::OpenApi { .. } | Transport::GraphQl { .. } | Transport::Http { .. } => {}
    }
    found
}

/// Why a file is not the document that is wanted.
fn document_fault(file: &Path, wants_openapi: bool) -> Option<String> {
    let shown = file.display();
    let bytes = match target::read(file) {
        Ok(bytes) => bytes,
        Err(failure) => return Some(failure.message),
    };
    match (document_kind(&bytes), wants_openapi) {
        (Ok(DocumentKind::OpenApi { .. }), true) | (Ok(DocumentKind::GraphQl), false) => None,
        (Ok(DocumentKind::GraphQl), true) => {
            Some(format!("`{shown}` is a GraphQL schema, and the upstream is of kind \"openapi\""))
        }
        (Ok(DocumentKind::OpenApi { .. }), false) => Some(format!(
            "`{shown}` is an OpenAPI document, and the upstream is of kind \"graphql\""
        )),
        (Err(error), _) => Some(format!("`{shown}` cannot be used: {error}")),
    }
}
