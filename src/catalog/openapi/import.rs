//! From a description to tools and what is done when they are called. Pure; takes up to seconds for
//! the largest.
//!
//! A description is the work of strangers and often wrong in places: what can be read is offered,
//! what cannot is left out and counted, and nothing grows beyond its bound.

mod body;
mod operation;

use std::{collections::HashMap, sync::Arc};

use serde_json::Value;
use url::Url;

use self::operation::{Found, route};
use super::{
    document::{Document, text},
    names::{Named, names},
    plan::Plan,
    read::{self, METHODS},
    schema::Schemas,
    security,
    servers::{Servers, Setting, Target},
};
use crate::{
    base::text::cut,
    catalog::{
        tool::OfferedTool,
        upstream::{error::ConnectError, import_job::CancelToken},
    },
};

/// Operations that are taken from one description.
pub(super) const OPERATIONS_MAX: usize = 10_000;
/// Bytes of schemas and descriptions that are taken from one description.
pub(super) const OFFER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Servers of operations at another origin that are told.
const SERVERS_TOLD_MAX: usize = 3;

/// A description, read whole.
#[derive(Debug)]
pub(super) struct Imported {
    /// In the description's order.
    pub(super) tools: Vec<OfferedTool>,
    /// Plan of each call, by the tool's name.
    pub(super) plans: HashMap<String, Arc<Plan>>,
    /// Base URL of calls.
    pub(super) base: Url,
    /// Note on operations that were left out, if any.
    pub(super) note: Option<String>,
}

/// Operations that were left out, and the reason for the first.
#[derive(Debug, Default)]
struct LeftOut {
    count: usize,
    first: String,
}

impl LeftOut {
    fn add(&mut self, route: &str, why: &str) {
        if self.count == 0 {
            self.first = format!("`{}`: {}", cut(route, 200), cut(why, 300));
        }
        self.count += 1;
    }
}

/// Operations that are not called by this upstream.
#[derive(Debug, Default)]
struct Elsewhere {
    /// At another origin.
    count: usize,
    /// The servers of these, the first few.
    servers: Vec<String>,
    more: bool,
    /// At another server than the owner chose.
    not_chosen: usize,
}

impl Elsewhere {
    fn note(&mut self, target: &Target) {
        match target {
            Target::Below(_) => {}
            Target::NotChosen => self.not_chosen += 1,
            Target::Elsewhere { server, .. } => {
                self.count += 1;
                let server = format!("`{}`", cut(server, 200));
                let is_new = !self.servers.contains(&server);
                if is_new && self.servers.len() < SERVERS_TOLD_MAX {
                    self.servers.push(server);
                } else {
                    self.more |= is_new;
                }
            }
        }
    }
}

/// Reads a description, unless it is told to stop. Call it where that blocks nobody.
pub(super) fn import(
    bytes: &[u8],
    setting: &Setting,
    stop: &CancelToken,
) -> Result<Imported, ConnectError> {
    let wrong = |reason: &dyn std::fmt::Display| {
        ConnectError::new(format!("its description cannot be read: {reason}"))
            .hint("`spec` must lead to an OpenAPI 3.x or Swagger 2.0 document, in JSON or YAML")
    };
    let root = read::parse(bytes, stop).map_err(|error| wrong(&error))?;
    let document = Document::new(root).map_err(|error| wrong(&error))?;
    let servers = Servers::new(&document, setting)?;
    let mut left_out = LeftOut::default();
    let found = operations(&document, &mut left_out);
    let ids: Vec<Named<'_>> = found.iter().map(named).collect();
    let names = names(&ids);
    let schemas = Schemas::new(&document);
    let security = security::Security::of(&document, &setting.owned);
    let mut tools = Vec::with_capacity(found.len());
    let mut plans = HashMap::with_capacity(found.len());
    let mut bytes_left = OFFER_BYTES_MAX;
    let mut is_full = false;
    let mut elsewhere = Elsewhere::default();
    stop.progress.begin(found.len());
    for (found, name) in found.iter().zip(names) {
        stop.progress.advance();
        stop.check().map_err(|error| wrong(&error))?;
        let target = servers.of(found.item, found.operation);
        elsewhere.note(&target);
        if matches!(target, Target::NotChosen) {
            continue;
        }
        if is_full {
            left_out.count += 1;
            continue;
        }
        match operation::read(found, &name, &schemas, target, &security) {
            Ok(read) if read.bytes > bytes_left => {
                is_full = true;
                left_out.add(
                    &route(found),
                    &format!(
                        "what is kept of all before it has nearly {OFFER_BYTES_MAX} bytes, \
                        which is the most"
                    ),
                );
            }
            Ok(read) => {
                bytes_left -= read.bytes;
                plans.insert(name, Arc::new(read.plan));
                tools.push(read.tool);
            }
            Err(why) => left_out.add(&route(found), &why),
        }
    }
    let needed = security.needed().filter(|_| !setting.has_credential);
    let note = note(&left_out, &elsewhere, schemas.lost(), needed);
    Ok(Imported { tools, plans, base: servers.base.clone(), note })
}

fn note(
    left_out: &LeftOut,
    elsewhere: &Elsewhere,
    lost: usize,
    needed: Option<&str>,
) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(needed) = needed {
        parts.push(format!(
            "its description wants {}, and no credential is configured",
            cut(needed, 300)
        ));
    }
    if left_out.count > 0 {
        parts
            .push(format!("operations left out: {}, the first {}", left_out.count, left_out.first));
    }
    if elsewhere.not_chosen > 0 {
        parts.push(format!(
            "operations left out because they are not at the configured `server`: {}",
            elsewhere.not_chosen
        ));
    }
    if elsewhere.count > 0 {
        let more = if elsewhere.more { " and others" } else { "" };
        parts.push(format!(
            "operations that cannot be called here because they are at another origin: {} \
            ({}{more}); for each of these, add an upstream with the same \
             `spec` and this address as its `server`",
            elsewhere.count,
            elsewhere.servers.join(", ")
        ));
    }
    if lost > 0 {
        parts.push(format!(
            "{lost} references lead nowhere or out of the document and stand for anything; bundle \
            the description into one file"
        ));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// All operations, in the description's order.
fn operations<'d>(document: &'d Document, left_out: &mut LeftOut) -> Vec<Found<'d>> {
    let mut found = Vec::new();
    for (path, written) in document.get("paths").and_then(Value::as_object).into_iter().flatten() {
        if path.starts_with("x-") {
            continue;
        }
        let Some(item) = document.resolved(written) else {
            left_out.add(path, "its `$ref` leads nowhere or out of the document");
            continue;
        };
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let full = found.len() == OPERATIONS_MAX;
            match operation.as_object() {
                Some(operation) if !full => found.push(Found { method, path, item, operation }),
                Some(_) => left_out.add(path, &format!("there are more than {OPERATIONS_MAX}")),
                None => left_out.add(path, &format!("`{method}` is not an object")),
            }
        }
    }
    found
}

fn named<'d>(found: &Found<'d>) -> Named<'d> {
    let tag = found.operation.get("tags").and_then(|tags| tags.as_array()?.first()?.as_str());
    Named {
        method: found.method,
        path: found.path,
        operation_id: text(found.operation, "operationId"),
        tag,
    }
}

#[cfg(test)]
pub(super) mod tests;
