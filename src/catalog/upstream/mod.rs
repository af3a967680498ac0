//! Interface of every kind of upstream, and its errors. A kind knows nothing of the catalog, of
//! queues or of restarts.

pub(super) mod error;
pub(super) mod import_job;
pub(super) mod incomplete;
pub(super) mod kind;
pub(super) mod response;
pub(super) mod start_queue;
pub(super) mod state;
pub(super) mod supervisor;
pub(super) mod tool_list;

use futures::future::BoxFuture;

use self::{
    error::{ConnectError, UpstreamError},
    response::ToolResponse,
};
use super::tool::{OfferedTool, Tool};
use crate::model::JsonObject;

/// Receives the progress of a call: one short line, of which the latest counts.
pub type CallNews = std::sync::Arc<dyn Fn(&str) + Send + Sync>;

/// One upstream, configured and not yet connected.
pub(super) trait Upstream: Send + Sync + 'static {
    /// `mcp`, as in the configuration.
    fn kind(&self) -> &'static str;

    /// Identity of the service: its URL or its command. Cached tools are used only for the same
    /// one. Never shown, because it may hold secrets.
    fn origin(&self) -> String;

    /// Progress of reading its document: pieces read, and all pieces. Zero of zero if that takes no
    /// time.
    fn progress(&self) -> (usize, usize) {
        (0, 0)
    }

    /// Connects. The caller bounds the time; if it is dropped, nothing is left behind.
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Connection>, ConnectError>>;
}

/// A connected upstream.
pub(super) trait Connection: Send + Sync + 'static {
    /// Lists all its tools, bounded in number and size.
    fn tools(&self) -> BoxFuture<'_, Result<Offer, ConnectError>>;

    /// Performs one call. If it is dropped before its end, the upstream is asked to cancel.
    fn call<'a>(
        &'a self,
        tool: &'a Tool,
        args: JsonObject,
    ) -> BoxFuture<'a, Result<ToolResponse, UpstreamError>>;

    /// Performs one call; progress that the upstream reports goes to `news`. Most kinds report
    /// none.
    fn call_followed<'a>(
        &'a self,
        tool: &'a Tool,
        args: JsonObject,
        news: CallNews,
    ) -> BoxFuture<'a, Result<ToolResponse, UpstreamError>> {
        drop(news);
        self.call(tool, args)
    }

    /// Notes that a call was not answered in time. A kind whose upstream may be gone checks that,
    /// beside other calls.
    fn note_timeout(&self) {}

    /// Destination of calls of this tool, for people: `GET https://host/pets/{petId}`. Without
    /// values, and without the query.
    fn route(&self, tool: &Tool) -> Option<String> {
        let _ = tool;
        None
    }

    /// Returns true if a call can be sent at all.
    fn is_open(&self) -> bool;

    /// Waits for the next thing that changes what the catalog knows.
    fn event(&self) -> BoxFuture<'_, ConnectionEvent>;

    /// Reason why calls are not sent at present although it is open, if any; shown in its status.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// What the upstream sends against its protocol, counted, if anything; shown in its status.
    fn remark(&self) -> Option<String> {
        None
    }

    /// Ends it and everything that was started for it, within a few seconds.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// Tools that an upstream offers.
#[derive(Debug, Default)]
pub(super) struct Offer {
    /// Tools in the upstream's order.
    pub(super) tools: Vec<OfferedTool>,
    /// Note on tools that were left out, if any.
    pub(super) note: Option<String>,
}

/// Event of a connection.
#[derive(Debug)]
pub(super) enum ConnectionEvent {
    /// The tools may be others now.
    ListChanged,
    /// The connection is closed, with the reason.
    Closed(String),
}
