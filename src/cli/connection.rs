//! Connects to the server of this database, or starts one in this process for as long as a command
//! takes.

use std::time::Duration;

use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    client::Client,
    screen::{self, Spinner, note, plain},
};
use crate::{
    app::{self, Audience, Failure, Signals},
    base::{instance::Instance, plural::counted},
    config::{Config, Flag, UnsetVariable},
};

/// Time limit for a fresh server's upstreams; then a command goes on without them.
const UPSTREAMS_WITHIN: Duration = Duration::from_secs(30);
/// Pause between two checks of the upstreams.
const CHECK_EVERY: Duration = Duration::from_millis(50);

/// A connection to a server.
pub(super) struct Connection {
    pub(super) client: Client,
    /// The server, if it runs in this process.
    own: Option<OwnServer>,
}

/// The parts of a server that a command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// The tools too: its upstreams must have settled.
    Tools,
    /// The record alone.
    Record,
}

struct OwnServer {
    stop: CancellationToken,
    serving: JoinHandle<Result<(), Failure>>,
}

impl Connection {
    /// Runs `question` with the running server if it answers, else with one of our own, which is
    /// closed afterwards.
    pub(super) async fn ask<T>(
        config: &Config,
        need: Need,
        question: impl AsyncFnOnce(&Client) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let connection = Self::open(config, need).await?;
        let answer = question(&connection.client).await;
        connection.close().await?;
        answer
    }

    /// The running server if it answers, else one of our own.
    pub(super) async fn open(config: &Config, need: Need) -> Result<Self, Failure> {
        if let Some(running) = Self::running(config, need).await? {
            return Ok(running);
        }
        let spinner = Spinner::start("starting");
        let connection = Self::start(config).await?;
        if need == Need::Tools {
            spinner.say("connecting to upstreams");
            connection.settle().await?;
            for upstream in &config.upstreams {
                for UnsetVariable { key, variable, origin } in &upstream.unset {
                    let name = &upstream.name;
                    note(format!(
                        "the upstream `{name}` cannot be used: `{key}` needs the environment \
                        variable `{variable}`, which is not set ({origin})"
                    ));
                }
            }
        }
        Ok(connection)
    }

    /// The server that runs on this database, if it answers.
    ///
    /// # Errors
    /// If the server has another configuration file, or another policy than a command that needs
    /// tools.
    pub(super) async fn running(config: &Config, need: Need) -> Result<Option<Self>, Failure> {
        let path = config.store.instance_file();
        let found = Instance::find(&path).map_err(|error| {
            Failure::other(format!("`{}` cannot be used: {error}", path.display()))
                .hint("remove it")
        })?;
        let Some(mut instance) = found else { return Ok(None) };
        let client = Client::new(&instance)?;
        if !client.is_up().await {
            return Ok(None);
        }
        let own = config.identity();
        if own.has_same_file(&instance.config) && own.digest != instance.config.digest {
            // It may not have seen yet what was changed a moment ago.
            let taken_up = client.reload_configuration().await;
            if let Ok(Some(present)) = Instance::find(&path) {
                instance = present;
            }
            if let Ok(health) = taken_up
                && health.status == "degraded"
            {
                let reason = screen::plain(&health.message.unwrap_or_default());
                note(format!("the running server refuses the configuration file; {reason}"));
            }
        }
        let is_same = own.has_same_file(&instance.config)
            && (need == Need::Record || own.has_same_policy(&instance.config));
        if !is_same {
            return Err(Failure::other_configuration(config, &instance));
        }
        if need == Need::Tools {
            tell_of_unusable_policy(config);
        }
        Ok(Some(Self { client, own: None }))
    }

    /// The running server, which a command needs for this reason.
    ///
    /// # Errors
    /// If none runs; says how one is started.
    pub(super) async fn required(config: &Config, why: &str) -> Result<Self, Failure> {
        let running = Self::running(config, Need::Record).await?;
        running.ok_or_else(|| {
            let database = config.store.path.display();
            let message = format!("no server runs on the database `{database}`, and {why}");
            Failure::unavailable(message).hint(format!(
                "start one with `{}`, leave it running, and try again",
                serve_command(config)
            ))
        })
    }

    /// A server in this process, on a free port.
    pub(super) async fn start(config: &Config) -> Result<Self, Failure> {
        let mut config = config.clone();
        config.server.listen = ([127, 0, 0, 1], 0).into();
        let listener = listen(&config).await?;
        let (ready, is_ready) = oneshot::channel();
        let signals = Signals::default();
        let stop = signals.stop.clone();
        let serving = tokio::spawn(app::serve(config, listener, Audience::Owner, ready, signals));
        match is_ready.await {
            Ok(instance) => {
                Ok(Self { client: Client::new(&instance)?, own: Some(OwnServer { stop, serving }) })
            }
            Err(_) => Err(ended(serving)
                .await
                .err()
                .unwrap_or_else(|| Failure::other("the server stopped before it answered"))),
        }
    }

    /// Waits until no upstream is connecting any more, within bounds.
    async fn settle(&self) -> Result<(), Failure> {
        let until = Instant::now() + UPSTREAMS_WITHIN;
        while Instant::now() < until {
            let health = self.client.health().await?;
            if !health.upstreams.iter().any(|upstream| upstream.status == "connecting") {
                break;
            }
            tokio::time::sleep(CHECK_EVERY).await;
        }
        Ok(())
    }

    /// True if the server runs in this process.
    pub(super) fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Stops the server if it is ours, and waits until it has closed its record.
    pub(super) async fn close(self) -> Result<(), Failure> {
        let Some(own) = self.own else { return Ok(()) };
        own.stop.cancel();
        ended(own.serving).await
    }
}

/// Says so if the policy files as they are now cannot be used: the server decides by what it read
/// before.
fn tell_of_unusable_policy(config: &Config) {
    let Err(problems) = app::policy_source(config).load() else { return };
    let first = problems.first().map(ToString::to_string).unwrap_or_default();
    let more = match problems.len() {
        0 | 1 => String::new(),
        all => format!(" (and {})", counted(all - 1, "more problem")),
    };
    note(plain(&format!(
        "warning: the policy files are not valid, so the last valid policy stays in force: \
        {first}{more}; `airlock policy validate` lists every problem"
    )));
}

async fn ended(serving: JoinHandle<Result<(), Failure>>) -> Result<(), Failure> {
    serving.await.unwrap_or_else(|_| {
        Err(Failure::other("the server stopped because of an internal error; its log says more"))
    })
}

/// Takes the address of the configuration.
pub(super) async fn listen(config: &Config) -> Result<TcpListener, Failure> {
    let address = config.server.listen;
    TcpListener::bind(address)
        .await
        .map_err(|error| Failure::listen(address, &error, &config.store))
}

/// The flag of `serve`.
pub(super) fn listen_flag(value: &str) -> Flag {
    Flag { name: "--listen", key: "server.listen", value: value.to_owned() }
}

/// The command that starts a server with this configuration.
fn serve_command(config: &Config) -> String {
    let here = std::env::current_dir().ok().map(|folder| folder.join("airlock.toml"));
    // Those two are found without being named.
    let named = config
        .file
        .as_ref()
        .filter(|file| ![&here, &config.new_file].contains(&&Some((*file).clone())));
    named.map_or_else(
        || "airlock serve".into(),
        |file| format!("airlock serve --config {}", file.display()),
    )
}
