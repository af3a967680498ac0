//! Imports an OpenAPI document: tools, and the plans of their calls. Pure; takes up to seconds for
//! the largest.
//!
//! Documents come from third parties and are often wrong in places: what can be read is offered,
//! the rest is left out and counted, and nothing grows beyond its limit.

mod body;
mod file;
mod found;
mod operation;
mod parameters;
mod template;

use std::{collections::HashMap, sync::Arc};

use serde_json::{Map, Value};
use url::Url;

use self::{
    body::MEDIA_MAX,
    found::{Found, route},
};
use super::{
    document::{Document, text},
    names::{Name, Named, names},
    plan::Plan,
    read::{self, METHODS},
    schema::Schemas,
    security,
    servers::{Servers, Setting, Target},
};
use crate::{
    base::{
        plural::{counted, verb},
        text::cut,
    },
    catalog::{
        tool::OfferedTool,
        upstream::{error::ConnectError, import_job::CancelToken},
    },
    model::OperationPattern,
};

/// Operations that are taken from one description; further ones are named, and left out unless the
/// owner's filter leaves out others.
pub(super) const OPERATIONS_MAX: usize = 10_000;
/// Operations that are looked at.
const FOUND_MAX: usize = 100_000;
/// Bytes of schemas and descriptions that are taken from one description.
pub(super) const OFFER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Servers of operations at another origin that are told.
const SERVERS_TOLD_MAX: usize = 3;

/// A description, read whole.
#[derive(Debug)]
pub(super) struct Imported {
    /// Tools in the document's order.
    pub(super) tools: Vec<OfferedTool>,
    /// Plan of each call, by the tool's name.
    pub(super) plans: HashMap<String, Arc<Plan>>,
    /// Base URL of calls.
    pub(super) base: Url,
    /// Note on operations that were left out, if any.
    pub(super) note: Option<String>,
}

/// Operations that were left out, or things that were left out of operations, and the reason for
/// the first.
#[derive(Debug, Default)]
struct LeftOut {
    count: usize,
    first: String,
}

/// What is told of a description that is not taken as it is written.
#[derive(Debug, Default)]
struct Remarks {
    operations: LeftOut,
    parameters: LeftOut,
    /// Bodies with more media types than are taken.
    media: LeftOut,
    /// Arguments that are not checked, since no value fits them as they are described.
    impossible: LeftOut,
    /// Operations that the owner's filter leaves out.
    filtered: usize,
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
    /// Operations at another origin.
    count: usize,
    /// The servers of these, the first few.
    servers: Vec<String>,
    more: bool,
    /// Operations at another server than the owner chose.
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
        ConnectError::new(format!("its OpenAPI document cannot be read: {reason}"))
            .hint("`spec` must lead to an OpenAPI 3.x or Swagger 2.0 document, in JSON or YAML")
    };
    let root = read::parse(bytes, stop).map_err(|error| wrong(&error))?;
    let document = Document::new(root).map_err(|error| wrong(&error))?;
    let servers = Servers::new(&document, setting)?;
    let mut remarks = Remarks::default();
    let found = operations(&document, &mut remarks.operations);
    let ids: Vec<Named<'_>> = found.iter().map(named).collect();
    let title = document.get("info").and_then(|info| info.get("title")?.as_str());
    let names = names(&ids, title.unwrap_or_default());
    let schemas = Schemas::new(&document);
    let security = security::Security::of(&document, &setting.owned, setting.has_credential);
    let mut tools = Vec::with_capacity(found.len());
    let mut plans = HashMap::with_capacity(found.len());
    let mut bytes_left = OFFER_BYTES_MAX;
    let mut is_full = false;
    let mut elsewhere = Elsewhere::default();
    let chosen = chosen(&found, names, setting, &mut remarks);
    stop.progress.begin(chosen.len());
    for (found, name) in chosen {
        stop.progress.advance();
        stop.check().map_err(|error| wrong(&error))?;
        let target = servers.of(found.item, found.operation);
        elsewhere.note(&target);
        if matches!(target, Target::NotChosen) {
            continue;
        }
        let left_out = &mut remarks.operations;
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
                let route = route(found);
                read.left_out.iter().for_each(|why| remarks.parameters.add(&route, why));
                if read.has_more_media {
                    remarks.media.add(&route, &format!("the first {MEDIA_MAX} can be chosen"));
                }
                read.impossible.iter().for_each(|place| remarks.impossible.add(&route, place));
                plans.insert(name.present, Arc::new(read.plan));
                tools.push(read.tool);
            }
            Err(why) => left_out.add(&route(found), &why),
        }
    }
    let needed = security.needed().filter(|_| !setting.has_credential);
    let note = note(&remarks, &elsewhere, schemas.lost(), needed);
    Ok(Imported { tools, plans, base: servers.base.clone(), note })
}

/// The operations that the owner's filter keeps, at most as many as are taken, with their names.
fn chosen<'f, 'd>(
    found: &'f [Found<'d>],
    names: Vec<Name>,
    setting: &Setting,
    remarks: &mut Remarks,
) -> Vec<(&'f Found<'d>, Name)> {
    let mut chosen: Vec<(&Found<'_>, Name)> = found.iter().zip(names).collect();
    chosen.retain(|(found, name)| {
        let matches = |pattern: &OperationPattern, name: &str| {
            pattern.matches(found.method, found.path, name)
        };
        let former = |pattern: &OperationPattern| {
            name.former.as_ref().is_some_and(|former| matches(pattern, &former.name))
        };
        let is_kept = setting.only.is_empty()
            || setting.only.iter().any(|pattern| {
                former(pattern)
                    || matches(pattern, &name.present) && name.is_meant_by(pattern.literal_name())
            });
        let is_left_out = |pattern| matches(pattern, &name.present) || former(pattern);
        let keeps = is_kept && !setting.except.iter().any(is_left_out);
        remarks.filtered += usize::from(!keeps);
        keeps
    });
    for (found, _) in chosen.drain(chosen.len().min(OPERATIONS_MAX)..) {
        let why = format!(
            "there are more than {OPERATIONS_MAX}; choose which with `only` or `except` in its \
            configuration"
        );
        remarks.operations.add(&route(found), &why);
    }
    chosen
}

fn note(
    remarks: &Remarks,
    elsewhere: &Elsewhere,
    lost: usize,
    needed: Option<&str>,
) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(needed) = needed {
        parts.push(format!(
            "its OpenAPI document requires {}, and no credential is configured",
            cut(needed, 300)
        ));
    }
    for (what, left_out) in [
        ("operations left out", &remarks.operations),
        ("parameters left out", &remarks.parameters),
        ("bodies with more media types than are taken", &remarks.media),
        (
            "arguments that are not checked, because their schema admits nothing",
            &remarks.impossible,
        ),
    ] {
        if left_out.count > 0 {
            parts.push(format!("{what}: {}, the first {}", left_out.count, left_out.first));
        }
    }
    if remarks.filtered > 0 {
        parts.push(format!("operations left out by `only` or `except`: {}", remarks.filtered));
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
            "{} {} nowhere or out of the document, and {} for any value; bundle the document into \
            one file",
            counted(lost, "reference"),
            verb(lost, "leads", "lead"),
            verb(lost, "stands", "stand")
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
        // What stands beside a reference counts as well.
        let beside = written.as_object().filter(|item| item.contains_key("$ref"));
        let referred = document.resolved(written);
        if referred.is_none() {
            let why = match beside {
                Some(_) => "its `$ref` leads nowhere or out of the document",
                None => "it is not an object",
            };
            left_out.add(path, why);
        }
        for method in METHODS {
            let holder = |item: &&Map<String, Value>| item.contains_key(method);
            let Some(item) = [referred, beside].into_iter().flatten().find(holder) else {
                continue;
            };
            let Some(operation) = item.get(method) else { continue };
            let full = found.len() == FOUND_MAX;
            match operation.as_object() {
                Some(operation) if !full => found.push(Found { method, path, item, operation }),
                Some(_) => left_out.add(path, &format!("there are more than {FOUND_MAX}")),
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
