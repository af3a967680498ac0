//! Lists a server's tools, page by page, up to limits that a reasonable server does not exceed.

use std::{collections::HashSet, time::Duration};

use rmcp::{
    RoleClient,
    model::PaginatedRequestParams,
    service::{Peer, ServiceError},
};

use super::{failure, incoming::TOOL_LIST_REMARKS, lookup, message};
use crate::{
    base::text::cut,
    catalog::{
        tool::OfferedTool,
        upstream::{Offer, error::ConnectError},
    },
    model::Annotations,
};

/// Pages that are read of one list.
pub(super) const PAGES_MAX: usize = 200;
/// Tools that are taken from one upstream.
pub(super) const TOOLS_MAX: usize = 5_000;
/// Bytes of names, descriptions and schemas that are taken from one upstream.
pub(super) const LIST_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Longest wait for the tools of a server that declares none.
const UNDECLARED_MAX: Duration = Duration::from_secs(5);
/// Remarks about odd tools that are told.
const REMARKS_MAX: usize = 6;

/// All its tools, or those within the bounds and a note.
pub(super) async fn all(peer: &Peer<RoleClient>) -> Result<Offer, ConnectError> {
    let info = peer.peer_info();
    let more = info.as_ref().map(|info| lookup::offered(&info.capabilities));
    let more: Vec<OfferedTool> = more.into_iter().flatten().collect();
    let is_declared = info.is_none_or(|info| info.capabilities.tools.is_some());
    let mut offer = Offer::default();
    let mut remarks = Vec::new();
    let end = match is_declared {
        true => pages(peer, &mut offer, &mut remarks).await.map_err(|error| of_list(&error))?,
        false => match undeclared(peer, &mut offer, &mut remarks).await? {
            Ok(end) => end,
            Err(note) => return Ok(Offer { tools: more, note: Some(note) }),
        },
    };
    let listed = offer.tools.len();
    offer.tools.retain(|tool| !lookup::is_reserved(&tool.name));
    if offer.tools.len() < listed {
        remarks.push(format!(
            "tools left out, because their names are reserved for its resources and prompts: {}",
            listed - offer.tools.len()
        ));
    }
    offer.tools.extend(more);
    let notes: Vec<String> = remarks.into_iter().take(REMARKS_MAX).chain(end).collect();
    offer.note = (!notes.is_empty()).then(|| notes.join("; "));
    Ok(offer)
}

/// Reads the pages of a server that declares no tools, since some that have tools declare nothing.
/// Returns a note in their place where it refuses that, or is silent: it has none.
async fn undeclared(
    peer: &Peer<RoleClient>,
    offer: &mut Offer,
    remarks: &mut Vec<String>,
) -> Result<Result<Option<String>, String>, ConnectError> {
    match tokio::time::timeout(UNDECLARED_MAX, pages(peer, offer, remarks)).await {
        Ok(Err(error)) if failure::is_transport(&error) => Err(of_list(&error)),
        Err(_) | Ok(Err(_)) => Ok(Err("it declares no tools".to_owned())),
        Ok(Ok(_)) if offer.tools.is_empty() => Ok(Err("it declares no tools".to_owned())),
        Ok(Ok(end)) => Ok(Ok(end)),
    }
}

/// Reads the pages; returns why it did not read to the end, if so.
async fn pages(
    peer: &Peer<RoleClient>,
    offer: &mut Offer,
    remarks: &mut Vec<String>,
) -> Result<Option<String>, ServiceError> {
    let mut seen_cursors = HashSet::new();
    let mut bytes = 0usize;
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let params =
            cursor.take().map(|cursor| PaginatedRequestParams::default().with_cursor(Some(cursor)));
        let page = peer.list_tools(params).await?;
        let odd = page.meta.as_ref().and_then(|meta| meta.0.get(TOOL_LIST_REMARKS)?.as_array());
        let odd = odd.into_iter().flatten().filter_map(|remark| remark.as_str());
        remarks.extend(odd.take(REMARKS_MAX).map(str::to_owned));
        for tool in page.tools {
            bytes = bytes.saturating_add(weight(&tool));
            if offer.tools.len() == TOOLS_MAX {
                return Ok(Some(format!(
                    "it lists more than {TOOLS_MAX} tools, the rest is left out"
                )));
            }
            if bytes > LIST_BYTES_MAX {
                return Ok(Some(format!(
                    "its tool list is larger than {LIST_BYTES_MAX} bytes, the rest is left out"
                )));
            }
            offer.tools.push(offered(tool));
        }
        match page.next_cursor {
            None => return Ok(None),
            Some(next) => {
                if !seen_cursors.insert(next.clone()) {
                    let shown = cut(&next, 60);
                    return Ok(Some(format!("its tool list goes in circles at cursor {shown:?}")));
                }
                cursor = Some(next);
            }
        }
    }
    Ok(Some(format!("its tool list has more than {PAGES_MAX} pages, the rest is left out")))
}

fn of_list(error: &ServiceError) -> ConnectError {
    match error {
        ServiceError::UnexpectedResponse => {
            ConnectError::new("its answer to `tools/list` is not a tool list")
                .hint("ask its makers: its member `tools` must be a list")
        }
        ServiceError::McpError(error) if error.code.0 == message::OVERSIZED => ConnectError::new(
            format!("a page of its tool list is longer than {} bytes", message::BYTES_MAX),
        ),
        ServiceError::McpError(error) => {
            ConnectError::new(format!("`tools/list` failed: {}", failure::said(error)))
        }
        other => ConnectError::new(format!("`tools/list` failed: {}", failure::innermost(other))),
    }
}

/// Roughly what a tool costs to keep; schemas are counted by their text.
fn weight(tool: &rmcp::model::Tool) -> usize {
    let schema = |schema: &rmcp::model::JsonObject| {
        serde_json::to_string(schema).map_or(0, |text| text.len())
    };
    tool.name.len()
        + tool.description.as_deref().map_or(0, str::len)
        + schema(&tool.input_schema)
        + tool.output_schema.as_deref().map_or(0, schema)
}

fn offered(tool: rmcp::model::Tool) -> OfferedTool {
    let annotations = tool.annotations.unwrap_or_default();
    let owned =
        |schema: std::sync::Arc<rmcp::model::JsonObject>| std::sync::Arc::unwrap_or_clone(schema);
    OfferedTool {
        name: tool.name.into_owned(),
        title: tool.title.or(annotations.title),
        description: tool.description.map(|text| text.into_owned()).unwrap_or_default(),
        input_schema: owned(tool.input_schema),
        output_schema: tool.output_schema.map(owned),
        annotations: Annotations {
            read_only: annotations.read_only_hint,
            destructive: annotations.destructive_hint,
            idempotent: annotations.idempotent_hint,
            open_world: annotations.open_world_hint,
        },
        operation: None,
        fingerprint: None,
        is_relaxed: false,
        former: None,
    }
}
