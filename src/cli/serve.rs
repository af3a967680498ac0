//! `airlock serve` and `airlock mcp`.

use std::process::ExitCode;

use clap::Args;
use tokio::sync::oneshot;

use super::{connection, stop};
use crate::{
    app::{self, Audience, Failure, Signals},
    base::plural::counted,
    config::{Config, Flag},
};

/// The flags of `serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Address and port; port 0 takes a free one [default: 127.0.0.1:7411]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
}

impl ServeArgs {
    pub(super) fn flags(&self) -> Vec<Flag> {
        self.listen.iter().map(|value| connection::listen_flag(value)).collect()
    }
}

/// Serves until a signal to stop; SIGHUP has the configuration read again.
pub(super) async fn http(config: Config) -> Result<ExitCode, Failure> {
    let signals = stop::of_server()?;
    log_start(&config);
    let listener = connection::listen(&config).await?;
    let (ready, is_ready) = oneshot::channel();
    let serving = app::serve(config, listener, Audience::Agents, ready, signals);
    let announce = async {
        if let Ok(instance) = is_ready.await {
            let url = &instance.url;
            tracing::info!(%url, pid = instance.pid, "ready: MCP clients connect to {url}/mcp; \
                `airlock open` signs you in to {url}/approvals");
        }
    };
    let (served, ()) = tokio::join!(serving, announce);
    served.map(|()| {
        tracing::info!("stopped");
        ExitCode::SUCCESS
    })
}

/// Serves one client until it closes the input, or until a signal.
pub(super) async fn stdio(config: Config) -> Result<ExitCode, Failure> {
    let signals = Signals { stop: stop::on_signal()?, ..Signals::default() };
    log_start(&config);
    app::serve_stdio(config, signals).await.map(|()| ExitCode::SUCCESS)
}

fn log_start(config: &Config) {
    let file =
        config.file.as_ref().map_or_else(|| "none".into(), |file| file.display().to_string());
    let database = config.store.path.display();
    let upstreams = config.upstreams.len();
    let counted = counted(upstreams, "upstream");
    if let Some(ignored) = &config.ignored_file {
        let path = ignored.display();
        tracing::warn!(path = %path, "`{path}` is not read here; give it with \
            `--config {path}`");
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        config = %file,
        database = %database,
        upstreams,
        "airlock {} starts with configuration {file}, database {database}, {counted}",
        env!("CARGO_PKG_VERSION"),
    );
}
