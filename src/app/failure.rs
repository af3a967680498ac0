//! Failures of commands, for the person who gave them: the problem, the remedy, and the exit code.

use std::{io::Write, net::SocketAddr, path::PathBuf, process::ExitCode};

use console::style;
use serde_json::{Value, json};

use crate::{
    base::{instance::Instance, plural::counted},
    config::{Config, ConfigError, Store},
};

/// The exit code. The numbers are those of `sysexits.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command could not be carried out.
    Other = 1,
    /// Something it needs is taken, missing or does not answer.
    Unavailable = 69,
    /// What was waited for has not happened in the time that was given.
    NotInTime = 75,
    /// The configuration cannot be used.
    Config = 78,
}

/// A failure of a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What it is, for programs: the code of the server's error, or one of this module.
    pub code: &'static str,
    /// The problem: lower case, names the thing.
    pub message: String,
    /// The remedy.
    pub hint: Option<String>,
}

impl Failure {
    /// Something that is needed is taken, missing or does not answer.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self { exit: Exit::Unavailable, code: "unavailable", message: message.into(), hint: None }
    }

    /// The configuration cannot be used.
    pub fn config(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Config,
            code: "invalid_configuration",
            message: message.into(),
            hint: Some(
                "`airlock config reference` explains every key; `airlock config check` tries again"
                    .into(),
            ),
        }
    }

    /// Anything else.
    pub fn other(message: impl Into<String>) -> Self {
        Self { exit: Exit::Other, code: "failed", message: message.into(), hint: None }
    }

    /// Sets the code.
    pub fn coded(self, code: &'static str) -> Self {
        Self { code, ..self }
    }

    /// Adds the remedy.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns the problem, and the remedy in parentheses.
    pub fn on_one_line(&self) -> String {
        let hint = self.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{}{hint}", self.message)
    }

    /// Another server has the database open.
    pub fn database_in_use(store: &Store) -> Self {
        let (who, stop) = match Instance::find(&store.instance_file()) {
            Ok(Some(instance)) => {
                let Instance { pid, url, .. } = instance;
                (
                    format!("another airlock (process {pid}, {url})"),
                    format!("connect to that one, or stop it (`kill {pid}`)"),
                )
            }
            _ => ("another airlock".into(), "stop that one".into()),
        };
        Self::unavailable(format!("the database `{}` is in use by {who}", store.path.display()))
            .hint(format!(
                "{stop}, or give this one a database of its own: AIRLOCK_STORE_URL=sqlite://PATH"
            ))
    }

    /// The server of the database has another configuration.
    pub fn other_configuration(config: &Config, running: &Instance) -> Self {
        let (own, other) = (config.identity(), &running.config);
        let Instance { pid, url, .. } = running;
        let server = format!("the server of the database (process {pid}, {url})");
        let named = |file: &Option<PathBuf>| match file {
            Some(file) => format!("the configuration `{}`", file.display()),
            None => "no configuration file".to_owned(),
        };
        let message = match own.has_same_file(other) {
            false => format!(
                "{server} uses {}; this command uses {}",
                named(&other.file),
                named(&own.file)
            ),
            true => format!(
                "{server} has another policy (profile \"{}\", {}) than this command (profile \
                \"{}\", {})",
                other.profile,
                counted(other.policy_files.len(), "policy file"),
                own.profile,
                counted(own.policy_files.len(), "policy file")
            ),
        };
        if own.has_same_file(other) && own.digest != other.digest {
            let file = named(&own.file);
            return Self::unavailable(format!(
                "the policy of {file} has changed, and {server} has not taken the change up"
            ))
            .hint(format!(
                "`airlock doctor` says why; or restart the server (`kill {pid}` stops it)"
            ));
        }
        let use_its = match &other.file {
            Some(file) if !own.has_same_file(other) => {
                format!("use its configuration with `--config {}`", file.display())
            }
            _ => "use its configuration".to_owned(),
        };
        Self::unavailable(message).hint(format!(
            "{use_its}, stop it with `kill {pid}`, or give one of the two a database of its own \
            with `store.url`"
        ))
    }

    /// The address to listen on cannot be had.
    pub fn listen(address: SocketAddr, error: &std::io::Error, store: &Store) -> Self {
        let port = address.port();
        if error.kind() != std::io::ErrorKind::AddrInUse {
            return Self::unavailable(format!("cannot listen on `{address}`: {error}"))
                .hint("choose another `server.listen`");
        }
        let running = Instance::find(&store.instance_file())
            .ok()
            .flatten()
            .filter(|instance| instance.url.ends_with(&format!(":{port}")));
        let who = match running {
            Some(instance) => format!(
                "by another airlock (process {}); connect to that one or stop it",
                instance.pid
            ),
            None => format!("by another program; `ss -ltnp 'sport = :{port}'` shows which"),
        };
        Self::unavailable(format!("port {port} on {} is in use {who}", address.ip())).hint(
            "choose another port: `--listen 127.0.0.1:PORT` or `server.listen`; port 0 \
                takes a free one",
        )
    }

    /// It as one JSON object: `{"error": {"code", "message", "hint"}}`.
    pub fn to_json(&self) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(hint) = &self.hint {
            error["hint"] = hint.as_str().into();
        }
        json!({ "error": error })
    }

    /// Writes it to standard error, as a line of JSON if `json`, and returns the exit code.
    pub fn report(&self, json: bool) -> ExitCode {
        let mut screen = std::io::stderr().lock();
        // Where standard error is gone too there is nobody left to tell.
        if json {
            writeln!(screen, "{}", self.to_json()).ok();
            return ExitCode::from(self.exit as u8);
        }
        writeln!(screen, "{} {}", style("error:").for_stderr().red().bold(), self.message).ok();
        if let Some(hint) = &self.hint {
            writeln!(screen, "{} {hint}", style("hint:").for_stderr().cyan()).ok();
        }
        ExitCode::from(self.exit as u8)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::config(error.to_string())
    }
}
