//! The running server as it concerns a change of its configuration file: whether the change is in
//! force, and what it serves while the file is broken.

use super::{
    client::Client,
    screen::{self, note},
};
use crate::{
    app::Failure,
    base::instance::Instance,
    config::{Config, ConfigError},
    service::view::Health,
};

/// Says whether a change that was written to the file is in force at the running server, which is
/// asked to take it up. Silent if there is no server.
pub(super) async fn note_change(config: &Config) {
    let Ok(Some(instance)) = Instance::find(&config.store.instance_file()) else { return };
    if !config.identity().has_same_file(&instance.config) {
        return;
    }
    let Ok(client) = Client::new(&instance) else { return };
    let pid = instance.pid;
    match client.reload_configuration().await {
        Ok(health) if health.status == "degraded" => {
            let reason = screen::plain(&health.message.unwrap_or_default());
            note(format!("the running server (process {pid}) refuses the change; {reason}"));
        }
        Ok(_) => note(format!("in force: the running server (process {pid}) has taken it up")),
        Err(_) if !client.is_up().await => {}
        Err(failure) => {
            note(format!(
                "it is not known whether the running server (process {pid}) has taken it up: \
                {failure}"
            ));
        }
    }
}

/// A configuration that cannot be used, and the server that runs with an earlier version of it.
pub(super) struct Broken {
    pub(super) failure: Failure,
    pub(super) server: Option<Running>,
}

/// A running server and its state.
pub(super) struct Running {
    pub(super) instance: Instance,
    pub(super) health: Health,
}

impl Broken {
    /// Looks for the server of the file.
    pub(super) async fn new(error: ConfigError) -> Self {
        let server = match (&error.file, &error.instance_file) {
            (Some(file), Some(path)) => {
                let found = Instance::find(path).ok().flatten();
                let found = found.filter(|found| found.config.file.as_ref() == Some(file));
                match found {
                    Some(instance) => Running::new(instance).await,
                    None => None,
                }
            }
            _ => None,
        };
        Self { failure: error.into(), server }
    }
}

impl Running {
    async fn new(instance: Instance) -> Option<Self> {
        let client = Client::new(&instance).ok()?;
        let health = client.health().await.ok()?;
        Some(Self { instance, health })
    }

    /// One sentence about what it does.
    pub(super) fn summary(&self) -> String {
        let Instance { pid, url, .. } = &self.instance;
        format!("the server at {url} (process {pid}) keeps the last valid configuration in force")
    }
}
