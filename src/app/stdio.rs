//! One MCP client on standard input and output.
//!
//! The process serves it with a server of its own, or attaches it to the server that has the
//! database; when that one ends, it takes over or waits for the restart.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant as Moment},
};

use tokio::{
    net::TcpListener,
    sync::{Notify, oneshot},
};
use tokio_util::sync::CancellationToken;

use super::{
    Failure,
    start::{Audience, OpenError, Server, Signals},
};
use crate::{
    base::{error::chain, instance::Instance},
    config::Config,
    transport::{
        auth,
        handoff::{self, EndedBy, JoinError},
        mcp::Mcp,
        stdio,
    },
};

/// Time limit for an `airlock mcp` that finds its database in use to find the server that has it.
const FIND_MAX: Duration = Duration::from_secs(10);
/// Time limit for a running server to take up a change of the configuration file.
const TAKE_UP_MAX: Duration = Duration::from_secs(3);
/// Pause between two attempts.
const FIND_EVERY: Duration = Duration::from_millis(50);
/// Time limit for a server that was started to stay, and ended, to be started again.
const RESTART_MAX: Duration = Duration::from_secs(60);

/// Opens everything and serves MCP on standard input and output until the input ends or `stop`.
///
/// # Errors
/// The first part that cannot be opened; a server that does not come back; a client that is gone.
pub async fn serve_stdio(config: Config, signals: Signals) -> Result<(), Failure> {
    let Signals { stop, reload } = signals;
    let mut config = Arc::new(config);
    let mut client = None;
    let mut give_up = Moment::now() + FIND_MAX;
    loop {
        let instance = match acquire_or_attach(config.clone(), &reload, &stop).await? {
            Acquired::Own(server) => return serve_client(*server, client, stop).await,
            Acquired::Other(instance) => instance,
        };
        let client = match &mut client {
            Some(client) => client,
            None => client.insert(
                handoff::Client::take().map_err(|error| Failure::other(error.to_string()))?,
            ),
        };
        let Instance { pid, url, .. } = &instance;
        tracing::info!(pid, %url, "process {pid} serves this database at {url}: the client is \
            attached to it");
        match handoff::join(client, url, &instance.token, &stop).await {
            Ok(EndedBy::Client) => return Ok(()),
            Ok(EndedBy::Server) => {
                client
                    .fail_pending()
                    .await
                    .map_err(|error| Failure::other(format!("the client is gone: {error}")))?;
                give_up = Moment::now() + FIND_MAX;
            }
            // The file of a server that is about to end; another may be starting.
            Err(JoinError::Refused { .. }) if Moment::now() < give_up && !stop.is_cancelled() => {
                tokio::time::sleep(FIND_EVERY).await;
                continue;
            }
            Err(error) => {
                return Err(
                    Failure::unavailable(chain(&error)).hint("restart the client's connection")
                );
            }
        }
        if instance.lasting {
            // Whoever runs it will start it again, and must find the database free.
            wait_for_restart(&config, &instance, &stop).await?;
        }
        config = present(config);
    }
}

/// The configuration as its file is now, after another server had it. One that is not valid, or is
/// of another database, is left to whoever opens the server next.
fn present(config: Arc<Config>) -> Arc<Config> {
    match config.reread() {
        Ok(read) if read.store == config.store => Arc::new(read),
        _ => config,
    }
}

/// The process that serves a database.
enum Acquired {
    /// This process.
    Own(Box<Server>),
    /// Another one.
    Other(Instance),
}

/// Opens everything, or finds the server that has the database. Of several that start at once, one
/// opens and the others find it.
async fn acquire_or_attach(
    config: Arc<Config>,
    reload: &Arc<Notify>,
    stop: &CancellationToken,
) -> Result<Acquired, Failure> {
    let (give_up, taken_up) = (Moment::now() + FIND_MAX, Moment::now() + TAKE_UP_MAX);
    loop {
        match Server::open(config.clone(), reload.clone(), true).await {
            Ok(server) => return Ok(Acquired::Own(Box::new(server))),
            Err(OpenError::InUse) if Moment::now() < give_up && !stop.is_cancelled() => {
                // The other's file may be about to be written, or its lock about to be released.
                if let Ok(Some(instance)) = Instance::find(&config.store.instance_file()) {
                    let own = config.identity();
                    let is_same_file = own.has_same_file(&instance.config);
                    let is_same = is_same_file && own.has_same_policy(&instance.config);
                    // The server may be about to take up what was changed a moment ago.
                    if !is_same && is_same_file && Moment::now() < taken_up {
                        tokio::time::sleep(FIND_EVERY).await;
                        continue;
                    }
                    if !is_same {
                        return Err(Failure::other_configuration(&config, &instance));
                    }
                    return Ok(Acquired::Other(instance));
                }
                tokio::time::sleep(FIND_EVERY).await;
            }
            Err(error) => return Err(error.into_failure(&config)),
        }
    }
}

/// Waits until a server that was started to stay, and ended, is there again.
async fn wait_for_restart(
    config: &Config,
    ended: &Instance,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let Instance { pid, url, .. } = ended;
    let seconds = RESTART_MAX.as_secs();
    tracing::info!(pid, %url, "the server at {url} ended; waiting up to {seconds} s for it to be \
        started again");
    let give_up = Moment::now() + RESTART_MAX;
    while Moment::now() < give_up && !stop.is_cancelled() {
        if let Ok(Some(instance)) = Instance::find(&config.store.instance_file())
            && instance.pid != ended.pid
        {
            return Ok(());
        }
        tokio::time::sleep(FIND_EVERY).await;
    }
    let message = format!("the server at {url} ended and was not started again within {seconds} s");
    Err(Failure::unavailable(message)
        .hint("start it again with `airlock serve`, then restart the client's connection"))
}

/// Serves the client of this process, on its standard streams or where an earlier server left it,
/// until it leaves or `stop`.
async fn serve_client(
    server: Server,
    client: Option<handoff::Client>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    // The owner's commands reach this server over HTTP like any other, on a free port.
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await;
    let listener = listener
        .map_err(|error| Failure::unavailable(format!("no loopback port is free: {error}")))?;
    let ended = CancellationToken::new();
    let http = server.serve(listener, Audience::Owner, oneshot::channel().0, ended.clone());
    let mcp = Mcp::over_stdio(
        server.service.clone(),
        server.live.mcp(),
        auth::stdio_agent(),
        server.rates.clone(),
        stop.clone(),
    );
    let served = async {
        let served = match client {
            None => stdio::serve(mcp, stop.clone()).await,
            Some(mut client) => handoff::adopt(mcp, &mut client, stop.clone()).await,
        };
        ended.cancel();
        served.map_err(|error| Failure::other(chain(&error)))
    };
    let (http, served) = tokio::join!(http, served);
    server.close().await;
    served.and(http)
}
