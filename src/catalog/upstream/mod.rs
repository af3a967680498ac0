//! Interface of every kind of upstream, and its errors. A kind knows nothing of the catalog, of
//! queues or of restarts.

pub(super) mod error;
pub(super) mod import_job;
pub(super) mod kind;
pub(super) mod response;
pub(super) mod supervisor;
pub(super) mod tool_list;

use futures::future::BoxFuture;

use self::{
    error::{ConnectError, UpstreamError},
    response::ToolResponse,
};
use super::tool::{OfferedTool, Tool};
use crate::model::JsonObject;

/// Takes what an upstream says of how far a call is: one short line, the latest counts.
pub type CallNews = std::sync::Arc<dyn Fn(&str) + Send + Sync>;

/// One kind of outside service, configured and not yet reached.
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

    /// Reaches it. Bounded by the caller; dropped, it leaves nothing behind.
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Connection>, ConnectError>>;
}

/// An upstream that was reached.
pub(super) trait Connection: Send + Sync + 'static {
    /// Asks for all its tools, bounded in number and size.
    fn tools(&self) -> BoxFuture<'_, Result<Offer, ConnectError>>;

    /// Performs one call. Dropped before its end, the upstream is told to stop.
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

    /// A call was not answered in time. Where that may mean that nobody is there any more, it is
    /// found out, beside other calls.
    fn doubt(&self) {}

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

    /// Ends it and everything that was started for it, within a few seconds.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// Tools that an upstream offers.
#[derive(Debug, Default)]
pub(super) struct Offer {
    /// In the upstream's order.
    pub(super) tools: Vec<OfferedTool>,
    /// Note on tools that were left out, if any.
    pub(super) note: Option<String>,
}

/// Event of a connection.
#[derive(Debug)]
pub(super) enum ConnectionEvent {
    /// The tools may be others now.
    ListChanged,
    /// It is gone, and why.
    Closed(String),
}
