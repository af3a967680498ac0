//! Maps what the configuration says of upstreams and secrets to what the catalog wants to know.

use std::{collections::BTreeMap, time::Duration};

use url::Url;

use crate::{
    catalog::{
        self, AnswerBounds, Catalog, Credential, Detected, Document, GraphQlConfig, HttpConfig, InvalidName, KeyPlace, Login,
        OAuthConfig, OpenApiConfig, Reach, SecretSource, StdioConfig, Surroundings, UpstreamConfig, UpstreamKind, UpstreamStatus,
        Vault, VaultKey,
    },
    cli::Failure,
    config::{self, Config, Environment, ProcessEnvironment, Transport},
};

/// All upstreams.
pub(super) fn configured(config: &Config) -> Result<Vec<UpstreamConfig>, Failure> {
    let surroundings = surroundings(config);
    config.upstreams.iter().map(|upstream| one(upstream, &surroundings)).collect()
}

/// The encrypted store of secrets.
pub(super) fn vault(config: &Config) -> Vault {
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

/// Reaches them apart from any server, and tells where each stands.
pub(super) async fn reached(config: &Config) -> Result<Vec<UpstreamStatus>, Failure> {
    install_crypto();
    let longest = config.upstreams.iter().map(|upstream| upstream.start_timeout_ms).max().unwrap_or_default();
    let catalog = Catalog::start(configured(config)?, &ProcessEnvironment.variables());
    catalog.settled(Duration::from_millis(longest)).await;
    let status = catalog.status();
    catalog.shutdown().await;
    Ok(status)
}

/// What an address speaks.
pub(super) async fn detected(url: &Url, allow_private: bool) -> Result<Detected, String> {
    install_crypto();
    catalog::detect(url, &Reach { allow_private, ..Reach::default() }).await
}

/// Begins to ask a person to allow an upstream.
pub(super) fn login(config: &Config, name: &str) -> impl Future<Output = Result<Login, Failure>> + Send + use<> {
    install_crypto();
    let upstreams = configured(config);
    let name = name.to_owned();
    async move {
        let upstream = upstreams?.into_iter().find(|upstream| upstream.name.as_str() == name);
        let upstream = upstream.ok_or_else(|| Failure::other(format!("there is no upstream `{name}`")))?;
        let begun = catalog::login(upstream).await;
        begun.map_err(|why| Failure::unavailable(format!("nobody can log in to `{name}`: {why}")))
    }
}

/// What all upstreams share.
fn surroundings(config: &Config) -> Surroundings {
    let answers = AnswerBounds::new(config.artifacts.answer_mb as usize * 1024 * 1024);
    // Port 0 takes a free one, which nobody can have named.
    let own = Some(config.server.listen).filter(|listen| listen.port() != 0);
    Surroundings { vault: Some(vault(config)), own: own.into_iter().collect(), answers, ..Surroundings::default() }
}

fn one(upstream: &config::Upstream, surroundings: &Surroundings) -> Result<UpstreamConfig, Failure> {
    let reach = |how: &config::Reach, server: Option<String>| Reach {
        headers: exposed(&how.headers),
        secret_headers: how.secret_headers.clone(),
        credential: credential(&how.credential, &upstream.name, server),
        allow_private: how.allow_private,
        surroundings: surroundings.clone(),
        ..Reach::default()
    };
    let document = |document: &config::Document| match document {
        config::Document::File(path) => Document::File(path.clone()),
        config::Document::Address(url) => Document::Address(url.to_string()),
    };
    let kind = match &upstream.transport {
        Transport::Stdio { command, args, env, env_pass } => UpstreamKind::McpStdio(StdioConfig {
            command: command.clone(),
            args: args.clone(),
            env: env.iter().filter_map(|(name, value)| Some((name.clone(), at_hand(value)?.to_owned()))).collect(),
            env_secret: env
                .iter()
                .filter(|(_, value)| at_hand(value).is_none())
                .map(|(name, value)| (name.clone(), source(value)))
                .collect(),
            vault: surroundings.vault.clone(),
            answers: surroundings.answers.clone(),
            env_pass: env_pass.clone(),
        }),
        Transport::Http { url, reach: how } => {
            UpstreamKind::McpHttp(HttpConfig { url: url.to_string(), reach: reach(how, Some(url.to_string())) })
        }
        Transport::OpenApi { spec, base_url, server, server_variables, reach: how } => UpstreamKind::OpenApi(OpenApiConfig {
            spec: document(spec),
            base_url: base_url.as_ref().map(ToString::to_string),
            server: server.clone(),
            server_variables: server_variables.clone(),
            reach: reach(how, None),
        }),
        Transport::GraphQl { url, schema, reach: how } => UpstreamKind::GraphQl(GraphQlConfig {
            url: url.to_string(),
            schema: schema.as_ref().map(document),
            reach: reach(how, None),
        }),
    };
    Ok(UpstreamConfig {
        name: upstream.name.parse().map_err(|error: InvalidName| Failure::other(error.to_string()))?,
        kind,
        refresh_after: Duration::from_secs(upstream.refresh_minutes * 60),
        call_timeout: Duration::from_millis(upstream.call_timeout_ms),
        start_timeout: Duration::from_millis(upstream.start_timeout_ms),
        trusted: upstream.trusted,
    })
}

fn exposed(secrets: &BTreeMap<String, config::Secret>) -> BTreeMap<String, String> {
    secrets.iter().map(|(name, secret)| (name.clone(), secret.expose().to_owned())).collect()
}

/// A value that stands in the configuration.
fn at_hand(source: &config::SecretSource) -> Option<&str> {
    match source {
        config::SecretSource::Plain(value) => Some(value.expose()),
        _ => None,
    }
}

fn credential(credential: &config::Credential, upstream: &str, server: Option<String>) -> Credential {
    match credential {
        config::Credential::None => Credential::None,
        config::Credential::ApiKey { place, name, value } => Credential::ApiKey {
            place: match place {
                config::KeyPlace::Header => KeyPlace::Header,
                config::KeyPlace::Query => KeyPlace::Query,
                config::KeyPlace::Cookie => KeyPlace::Cookie,
            },
            name: name.clone(),
            value: source(value),
        },
        config::Credential::Bearer(token) => Credential::Bearer(source(token)),
        config::Credential::Basic { user, password } => Credential::Basic { user: user.clone(), password: source(password) },
        config::Credential::OAuth(oauth) => Credential::OAuth(OAuthConfig {
            upstream: upstream.to_owned(),
            server,
            client_credentials: oauth.client_credentials,
            client_id: oauth.client_id.clone(),
            client_secret: oauth.client_secret.as_ref().map(source),
            scopes: oauth.scopes.clone(),
            issuer: oauth.issuer.as_ref().map(ToString::to_string),
            endpoints: oauth
                .endpoints
                .as_ref()
                .map(|(authorization, token)| (authorization.as_ref().map(ToString::to_string), token.to_string())),
            resource: oauth.resource.as_ref().map(ToString::to_string),
            redirect_port: oauth.redirect_port,
        }),
    }
}

fn source(source: &config::SecretSource) -> SecretSource {
    match source {
        config::SecretSource::Plain(value) | config::SecretSource::Value(value) => SecretSource::Value(value.expose().to_owned()),
        config::SecretSource::File(path) => SecretSource::File(path.clone()),
        config::SecretSource::Keychain { service, account } => {
            SecretSource::Keychain { service: service.clone(), account: account.clone() }
        }
        config::SecretSource::Stored(name) => SecretSource::Stored(name.clone()),
    }
}
