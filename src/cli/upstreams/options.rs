//! The options with which an upstream is added, and what they make of it.

use std::{collections::BTreeMap, path::Path};

use clap::Args;
use url::Url;

use super::{
    draft::{Credential, Draft, Kind},
    program::is_relative_path,
    secret,
    template::{Piece, Syntax, Template, is_variable},
};
use crate::{
    app::Failure,
    config::{Environment, ProcessEnvironment},
};

/// Options that describe the upstream.
#[derive(Debug, Args)]
pub(super) struct UpstreamOptions {
    /// The name of its tools: `tools.NAME…` [default: made from the target]
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Its protocol [default: found out]
    #[arg(long, value_enum)]
    pub(super) kind: Option<Kind>,
    /// An environment variable of the program; `NAME` alone refers to the server's own variable.
    /// A secret goes to the secret store, and the file refers to it
    #[arg(long, short = 'e', value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// The working directory of the program
    #[arg(long, value_name = "FOLDER")]
    cwd: Option<String>,
    /// A header of each request; a secret goes to the secret store, `${NAME}` is a variable
    #[arg(long, short = 'H', value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// The environment variable of the server that holds the bearer token
    #[arg(long, value_name = "NAME", conflicts_with = "bearer_secret")]
    bearer_env: Option<String>,
    /// The secret of `airlock secrets` that holds the bearer token
    #[arg(long, value_name = "NAME")]
    bearer_secret: Option<String>,
    /// The OpenAPI document or the GraphQL schema of the service at the URL: a file or a URL
    #[arg(long, value_name = "FILE|URL")]
    pub(super) spec: Option<String>,
    /// Where the calls of an OpenAPI service go, or the endpoint of a GraphQL schema
    #[arg(long, value_name = "URL")]
    pub(super) base_url: Option<String>,
    /// The server of the OpenAPI document to call: its URL or description there
    #[arg(long, value_name = "SERVER")]
    server: Option<String>,
    /// Operations of an OpenAPI document that become tools: `/users/**`, `GET /users/*`, `issues.*`
    #[arg(long, value_name = "PATTERN")]
    only: Vec<String>,
    /// Operations of an OpenAPI document that do not become tools
    #[arg(long, value_name = "PATTERN")]
    except: Vec<String>,
    /// Allow private and loopback addresses
    #[arg(long)]
    pub(super) allow_private: bool,
    /// Trust what it says of its tools, such as that they only read
    #[arg(long)]
    trusted: bool,
}

impl UpstreamOptions {
    /// Puts the options into the upstream.
    pub(super) fn apply(&self, draft: &mut Draft) -> Result<(), Failure> {
        let environment = ProcessEnvironment.variables();
        let read = |text: &str| {
            let (known, inputs) = (BTreeMap::new(), BTreeMap::new());
            let syntax =
                Syntax { known, inputs, environment: &environment, bare: false, doubled: true };
            // What is no reference of ours is meant as it is.
            Template::read(text, &syntax).unwrap_or_else(|_| Template::text(text))
        };
        for given in &self.env {
            let (name, value) = match given.split_once('=') {
                Some((name, value)) => (name, read(value)),
                None => (given.as_str(), Template(vec![Piece::Variable(given.clone())])),
            };
            if !is_variable(name) {
                return Err(Failure::other("`--env` needs a name and a value").hint(
                    "write `--env NAME=VALUE`, or `--env NAME` for a variable of the server",
                ));
            }
            draft.env.retain(|(known, _)| known != name);
            draft.env.push((name.to_owned(), value));
        }
        for given in &self.header {
            // What is no header may be its secret value.
            let (name, value) = given.split_once(':').ok_or_else(|| {
                Failure::other("`--header` needs a name and a value")
                    .hint("write `--header 'NAME: VALUE'`")
            })?;
            draft.header(name.trim(), read(value.trim()))?;
        }
        self.bearer(draft)?;
        if let Some(folder) = &self.cwd {
            draft.cwd = Some(match folder.starts_with(['/', '~', '$']) {
                true => folder.clone(),
                false => absolute(folder)?,
            });
        }
        for (option, text) in [("--spec", &self.spec), ("--server", &self.server)] {
            text.as_ref().map_or(Ok(()), |text| refuse_secret_url(option, text))?;
        }
        draft.server.clone_from(&self.server);
        draft.only.clone_from(&self.only);
        draft.except.clone_from(&self.except);
        draft.allow_private |= self.allow_private;
        draft.trusted = self.trusted;
        if draft.command.is_none() && (!draft.env.is_empty() || draft.cwd.is_some()) {
            return Err(Failure::other("`--env` and `--cwd` are for a program; this is a service")
                .hint("give its credential with `--bearer-env NAME` or `--header 'NAME: VALUE'`"));
        }
        if draft.command.is_some() && draft.has_credential() {
            let message = "`--header` and `--bearer-env` are for a service with a URL; this is a \
                program";
            return Err(Failure::other(message).hint("pass its credential with `--env NAME=VALUE`"));
        }
        Ok(())
    }

    fn bearer(&self, draft: &mut Draft) -> Result<(), Failure> {
        let piece = match (&self.bearer_env, &self.bearer_secret) {
            (Some(name), _) if is_variable(name) && !secret::looks_like_token(name) => {
                Piece::Variable(name.clone())
            }
            (Some(_), _) => {
                return Err(Failure::other("`--bearer-env` needs the name of a variable")
                    .hint("it takes the name of the variable that holds the token"));
            }
            (None, Some(name)) => Piece::Secret(name.clone()),
            (None, None) => return Ok(()),
        };
        draft.set_auth(Credential::Bearer(Template(vec![piece])))
    }

    /// The base URL.
    pub(super) fn base(&self, draft: &mut Draft) -> Result<Option<Url>, Failure> {
        let Some(text) = &self.base_url else { return Ok(None) };
        let text = if text.contains("://") { text.clone() } else { with_scheme(text) };
        draft.service(&Template::text(text)).map(Some)
    }
}

/// A program that is to be started where it works from any folder.
pub(super) fn program(words: &[String], draft: &mut Draft) {
    draft.kind = Kind::Mcp;
    draft.command = words.first().map(Template::text);
    draft.args = words.iter().skip(1).map(Template::text).collect();
    let here = std::env::current_dir().unwrap_or_default();
    // Its own paths are relative to the folder of whoever gives the command.
    if words.iter().skip(1).any(|word| is_relative_path(word, &here)) {
        draft.cwd = Some(here.display().to_string());
    }
}

/// A URL that is written as it is, because it can hold no reference.
fn refuse_secret_url(option: &str, text: &str) -> Result<(), Failure> {
    let is_secret =
        |url: Url| url.has_host() && (!url.username().is_empty() || secret::has_secret(&url));
    match Url::parse(text).is_ok_and(is_secret) {
        false => Ok(()),
        true => Err(Failure::other(format!(
            "the URL of `{option}` holds what looks like a secret, which cannot be a reference \
            there, so it was not written"
        ))
        .hint("use a URL without a key in it, or a document in a file")),
    }
}

/// An absolute path.
pub(super) fn absolute(path: &str) -> Result<String, Failure> {
    let path = std::path::absolute(Path::new(path)).map_err(|error| {
        Failure::other(format!("the path `{path}` cannot be made absolute: {error}"))
    })?;
    Ok(path.display().to_string())
}

/// A URL from one without a scheme.
fn with_scheme(text: &str) -> String {
    super::target::address(text).unwrap_or_else(|| format!("https://{text}"))
}
