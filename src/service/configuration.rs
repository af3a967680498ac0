//! The configuration of the server, as far as clients can ask about it and have it read again.

use futures::future::BoxFuture;

use super::{Service, ServiceError, view::ConfigHealth};
use crate::model::ErrorCode;

/// The configuration of a server that runs.
pub trait Configuration: Send + Sync {
    /// Its state.
    fn health(&self) -> ConfigHealth;

    /// Reads its sources again, and puts what they say in force if all of it is valid. Returns its
    /// state afterwards.
    fn reload(&self) -> BoxFuture<'_, ConfigHealth>;
}

impl Service {
    /// Has the configuration read again; returns its state afterwards.
    pub(super) async fn config_reload(&self) -> Result<ConfigHealth, ServiceError> {
        match self.configuration() {
            Some(configuration) => Ok(configuration.reload().await),
            None => Err(ServiceError::new(
                ErrorCode::ShuttingDown,
                "this server does not read its configuration again",
            )),
        }
    }
}
