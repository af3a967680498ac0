//! An upstream that is never connected, because a secret that it needs is known to be missing.

use futures::{FutureExt, future::BoxFuture};

use super::{Connection, Upstream, error::ConnectError};

/// Stands for the upstream, whose kind and identity it keeps.
pub(in crate::catalog) struct Incomplete {
    upstream: Box<dyn Upstream>,
    reason: String,
}

impl Incomplete {
    /// Wraps an upstream that lacks something for this reason.
    pub(in crate::catalog) fn new(upstream: Box<dyn Upstream>, reason: String) -> Self {
        Self { upstream, reason }
    }
}

impl Upstream for Incomplete {
    fn kind(&self) -> &'static str {
        self.upstream.kind()
    }

    fn origin(&self) -> String {
        self.upstream.origin()
    }

    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Connection>, ConnectError>> {
        let error = ConnectError::new(self.reason.clone())
            .permanent(true)
            .hint("set it and restart the server, or use `airlock secrets set NAME` instead");
        std::future::ready(Err(error)).boxed()
    }
}
