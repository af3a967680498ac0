//! Maps what the configuration says of upstreams and secrets to what the catalog wants to know.

use std::{collections::BTreeMap, time::Duration};

use super::Failure;
use crate::{
    catalog::{
        self, Catalog, GraphQlConfig, HttpAccess, HttpConfig, Login, MissingSecret, OAuthConfig,
        OpenApiConfig, ResponseLimits, SharedResources, StdioConfig, UnsetSecret, UpstreamConfig,
        UpstreamKind, UpstreamStatus, Vault, VaultKey,
    },
    config::{self, Config, Environment, ProcessEnvironment, Transport},
    model::InvalidName,
};

/// All upstreams.
pub(super) fn configured(
    config: &Config,
    shared: &SharedResources,
) -> Result<Vec<UpstreamConfig>, Failure> {
    config.upstreams.iter().map(|upstream| one(upstream, shared)).collect()
}

/// All upstreams, for a command of its own.
pub(super) fn alone(config: &Config) -> Result<Vec<UpstreamConfig>, Failure> {
    configured(config, &shared_resources(config))
}

/// The encrypted store of secrets.
pub fn vault(config: &Config) -> Vault {
    let key = match &config.secrets.key {
        config::SecretKey::File(path) => VaultKey::File(path.clone()),
        config::SecretKey::Variable(variable, value) => {
            VaultKey::Given { variable: variable.clone(), value: value.expose().to_owned() }
        }
    };
    Vault::new(config.secrets.file.clone(), key)
}

/// HTTPS, and so every HTTP client, needs it once in a process.
pub(super) fn install_crypto() {
    // A provider that is there already does as well.
    rustls::crypto::ring::default_provider().install_default().ok();
}

/// Called with how much of something is done, and how much there is.
pub type OnProgress = Box<dyn Fn(usize, usize) + Send + Sync>;

/// Interval of progress reports.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// Connects to all upstreams, without a server, and returns their status; meanwhile reports how
/// many operations of their documents are read.
pub async fn connect_all(
    config: &Config,
    on_progress: OnProgress,
) -> Result<Vec<UpstreamStatus>, Failure> {
    install_crypto();
    let longest =
        config.upstreams.iter().map(|upstream| upstream.start_timeout_ms).max().unwrap_or_default();
    let catalog = Catalog::start(alone(config)?, &ProcessEnvironment.variables());
    settle(&catalog, Duration::from_millis(longest), on_progress).await;
    let status = catalog.status();
    catalog.shutdown().await;
    Ok(status)
}

/// Waits until every upstream is ready or has failed; meanwhile reports how many operations of
/// their documents are read.
pub(super) async fn settle(catalog: &Catalog, longest: Duration, on_progress: OnProgress) {
    let mut settled = std::pin::pin!(catalog.settled(longest));
    while tokio::time::timeout(PROGRESS_EVERY, &mut settled).await.is_err() {
        let progress = catalog.status().into_iter().map(|status| status.progress);
        let (done, all) = progress.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        on_progress(done, all);
    }
}

/// The number of tools that each upstream had when it last listed them; those that are not known
/// are left out. Connects to nobody.
pub fn cached_tool_counts(config: &Config) -> Result<BTreeMap<String, usize>, Failure> {
    install_crypto();
    let environment = ProcessEnvironment.variables();
    let folder = config.store.tool_cache();
    Ok(catalog::cached_tool_counts(alone(config)?, &environment, folder))
}

/// The secrets that credentials refer to and that are missing. Reads files, keychain and store;
/// connects to nobody.
pub fn missing_secrets(
    config: &Config,
) -> impl Future<Output = Result<Vec<MissingSecret>, Failure>> + Send + use<> {
    let upstreams = alone(config);
    async move {
        let mut missing = vec![];
        for upstream in &upstreams? {
            missing.extend(catalog::missing_secrets(upstream).await);
        }
        Ok(missing)
    }
}

/// Begins the login of a person at an upstream.
pub fn login(
    config: &Config,
    name: &str,
) -> impl Future<Output = Result<Login, Failure>> + Send + use<> {
    install_crypto();
    let upstreams = alone(config);
    let name = name.to_owned();
    async move {
        let upstream = upstreams?.into_iter().find(|upstream| upstream.name.as_str() == name);
        let upstream =
            upstream.ok_or_else(|| Failure::other(format!("there is no upstream `{name}`")))?;
        let begun = catalog::login(upstream).await;
        begun.map_err(|why| Failure::unavailable(format!("cannot log in to `{name}`: {why}")))
    }
}

/// Resources that all upstreams share.
pub(super) fn shared_resources(config: &Config) -> SharedResources {
    let response_limits = ResponseLimits::new(response_bytes_max(config));
    // Port 0 takes a free one, which nobody can have named.
    let own = Some(config.server.listen).filter(|listen| listen.port() != 0);
    SharedResources {
        vault: Some(vault(config)),
        own: own.into_iter().collect(),
        response_limits,
        ..SharedResources::default()
    }
}

/// Bytes of the largest response.
pub(super) fn response_bytes_max(config: &Config) -> usize {
    config.artifacts.answer_mb as usize * 1024 * 1024
}

/// The one place where a kind of upstream of the configuration becomes one of the catalog.
fn one(upstream: &config::Upstream, shared: &SharedResources) -> Result<UpstreamConfig, Failure> {
    let access = http_access(upstream, shared);
    let kind = match &upstream.transport {
        Transport::Stdio { command, args, cwd, env, env_secret, env_pass } => {
            UpstreamKind::McpStdio(StdioConfig {
                command: command.clone(),
                args: args.clone(),
                cwd: cwd.clone(),
                env: exposed(env),
                env_secret: env_secret.clone(),
                vault: shared.vault.clone(),
                response_limits: shared.response_limits.clone(),
                env_pass: env_pass.clone(),
            })
        }
        Transport::Http { url } => {
            UpstreamKind::McpHttp(HttpConfig { url: url.to_string(), access })
        }
        Transport::OpenApi { spec, base_url, server, server_variables, only, except } => {
            UpstreamKind::OpenApi(OpenApiConfig {
                spec: spec.clone(),
                base_url: base_url.as_ref().map(ToString::to_string),
                server: server.clone(),
                server_variables: server_variables.clone(),
                only: only.clone(),
                except: except.clone(),
                access,
            })
        }
        Transport::GraphQl { url, schema } => UpstreamKind::GraphQl(GraphQlConfig {
            url: url.to_string(),
            schema: schema.clone(),
            access,
        }),
    };
    Ok(UpstreamConfig {
        name: upstream
            .name
            .parse()
            .map_err(|error: InvalidName| Failure::other(error.to_string()))?,
        kind,
        refresh_after: Duration::from_secs(upstream.refresh_minutes * 60),
        call_timeout: Duration::from_millis(upstream.call_timeout_ms),
        start_timeout: Duration::from_millis(upstream.start_timeout_ms),
        trusted: upstream.trusted,
        unset: upstream.unset.iter().map(unset).collect(),
    })
}

fn unset(reference: &config::UnsetVariable) -> UnsetSecret {
    let config::UnsetVariable { key, variable, origin } = reference;
    let message = format!("the environment variable `{variable}` is not set ({origin})");
    UnsetSecret { key: key.clone(), message }
}

pub(super) fn http_access(upstream: &config::Upstream, shared: &SharedResources) -> HttpAccess {
    let mut access = HttpAccess { shared: shared.clone(), ..HttpAccess::default() };
    if let Some(settings) = &upstream.access {
        // Only an MCP server says by itself which authorization servers it trusts.
        let server = match &upstream.transport {
            Transport::Http { url } => Some(url.to_string()),
            _ => None,
        };
        let credential = settings.credential.clone();
        access.headers = exposed(&settings.headers);
        access.secret_headers = settings.secret_headers.clone();
        access.credential = credential.map_oauth(|oauth| oauth_of(*oauth, &upstream.name, server));
        access.allow_private = settings.allow_private;
    }
    access
}

fn exposed(secrets: &BTreeMap<String, config::Secret>) -> BTreeMap<String, String> {
    secrets.iter().map(|(name, secret)| (name.clone(), secret.expose().to_owned())).collect()
}

/// OAuth, with what it belongs to.
fn oauth_of(oauth: config::OAuth, upstream: &str, server: Option<String>) -> OAuthConfig {
    OAuthConfig {
        upstream: upstream.to_owned(),
        server,
        client_credentials: oauth.client_credentials,
        client_id: oauth.client_id,
        client_secret: oauth.client_secret,
        scopes: oauth.scopes,
        issuer: oauth.issuer.map(String::from),
        endpoints: oauth
            .endpoints
            .map(|(authorization, token)| (authorization.map(String::from), token.into())),
        resource: oauth.resource.map(String::from),
        redirect_port: oauth.redirect_port,
    }
}
