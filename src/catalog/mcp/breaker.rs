//! Stops calls to a remote server that does not answer calls, even if it still lists its tools. A
//! child process needs no breaker: one that hangs is restarted, after growing pauses.

use std::time::{Duration, Instant};

use rmcp::service::ServiceError;

use super::failure;
use crate::catalog::{
    http::{
        breaker::{CallOutcome, CircuitBreaker},
        client::within,
        failure::ServiceFailure,
    },
    tool::Tool,
    upstream::error::UpstreamError,
};

/// Circuit breaker for the calls of one connection; a new connection starts with a new one.
pub(super) struct Breaker {
    circuit: CircuitBreaker,
    call_timeout: Duration,
}

impl Breaker {
    /// For calls that may take so long.
    pub(super) fn new(call_timeout: Duration) -> Self {
        Self { circuit: CircuitBreaker::default(), call_timeout }
    }

    /// Performs a call where the circuit allows it, and learns from its end. One that is not
    /// answered in time is given up here, a little before its caller does, so that it counts.
    pub(super) async fn pass<T>(
        &self,
        tool: &Tool,
        call: impl Future<Output = Result<T, ServiceError>>,
    ) -> Result<Result<T, ServiceError>, UpstreamError> {
        let permit = self.circuit.enter(&tool.name, Instant::now());
        let permit = permit.map_err(|retry_after| {
            ServiceFailure::CircuitOpen { retry_after }.into_upstream_error(tool)
        })?;
        let Ok(ended) = tokio::time::timeout(within(self.call_timeout), call).await else {
            permit.end(CallOutcome::Timeout, Instant::now());
            return Err(UpstreamError::late(tool, self.call_timeout));
        };
        let outcome = match &ended {
            Ok(_) => Some(CallOutcome::Success),
            Err(error) => failure::call_outcome(error),
        };
        if let Some(outcome) = outcome {
            permit.end(outcome, Instant::now());
        }
        Ok(ended)
    }

    /// Reason why calls are not sent at present, if any.
    pub(super) fn trouble(&self) -> Option<String> {
        self.circuit.status_line(Instant::now())
    }
}
