//! Finds the authorization server of a service, and registers there. The steps are those of the MCP
//! authorization specification: metadata of the protected resource (RFC 9728), then of the server
//! (RFC 8414, OpenID Connect), whose issuer must be the one asked.

use rmcp::transport::auth::{AuthError, AuthorizationManager, AuthorizationMetadata};
use url::Url;

use super::{probe::Probe, web::OAuthHttp};
use crate::{base::text::cut, catalog::credential::config::OAuthConfig};

/// Name under which Airlock registers as a client.
const CLIENT_NAME: &str = "Airlock";

/// An authorization server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// Issuer; none where the owner named the endpoints.
    pub(super) issuer: Option<String>,
    /// Authorization endpoint, which a person visits.
    pub(super) authorization: Option<String>,
    /// Token endpoint.
    pub(super) token: String,
    /// True if a client's secret goes into the body rather than into a header.
    pub(super) secret_in_body: bool,
    /// True if it names itself when it sends the browser back (RFC 9207).
    pub(super) names_itself: bool,
    /// Scopes that it suggests.
    pub(super) scopes: Vec<String>,
    /// Resource parameter of its requests, if they need one.
    pub(super) resource: Option<String>,
}

/// A client that the authorization server knows.
#[derive(Debug, Clone)]
pub(super) struct Registered {
    pub(super) client_id: String,
    pub(super) client_secret: Option<String>,
}

/// The authorization server that the owner names, or that the MCP server trusts.
pub(super) async fn find(web: &OAuthHttp, config: &OAuthConfig) -> Result<Server, String> {
    if let Some((authorization, token)) = &config.endpoints {
        for url in authorization.iter().chain([token]) {
            web.endpoint(url)?;
        }
        return Ok(Server {
            issuer: None,
            authorization: authorization.clone(),
            token: token.clone(),
            secret_in_body: false,
            names_itself: false,
            scopes: Vec::new(),
            resource: resource(config),
        });
    }
    let (mut manager, metadata) = asked(web, config).await?;
    server(web, config, &mut manager, metadata).await
}

/// Finds the authorization server and its client: the one that the owner named, else one that is
/// registered now.
pub(super) async fn find_and_register(
    web: &OAuthHttp,
    config: &OAuthConfig,
    client_secret: Option<String>,
    redirect: &str,
) -> Result<(Server, Registered), String> {
    if let Some(client_id) = &config.client_id {
        return Ok((
            find(web, config).await?,
            Registered { client_id: client_id.clone(), client_secret },
        ));
    }
    let (mut manager, metadata) = asked(web, config).await?;
    let server = server(web, config, &mut manager, metadata).await?;
    let scopes: Vec<&str> = scopes(config, &server).iter().map(String::as_str).collect();
    let client =
        manager.register_client(CLIENT_NAME, redirect, &scopes).await.map_err(|error| {
            format!(
                "Airlock cannot register itself ({}); register it by hand and write the \
            `client_id` into `auth`",
                auth_error_text(&error)
            )
        })?;
    Ok((server, Registered { client_id: client.client_id, client_secret: client.client_secret }))
}

/// Scopes to ask for.
pub(super) fn scopes<'a>(config: &'a OAuthConfig, server: &'a Server) -> &'a [String] {
    if config.scopes.is_empty() { &server.scopes } else { &config.scopes }
}

/// The library's account of the server, with its metadata resolved.
async fn asked(
    web: &OAuthHttp,
    config: &OAuthConfig,
) -> Result<(AuthorizationManager, AuthorizationMetadata), String> {
    let place = config.issuer.as_ref().or(config.server.as_ref()).ok_or(
        "its authorization server is not known; write `issuer`, or `authorization_url` and \
        `token_url`, into `auth`",
    )?;
    let url = web.endpoint(place)?;
    let probe = Probe::new(web.clone(), url.clone());
    let client = std::sync::Arc::new(probe.clone());
    let mut manager = AuthorizationManager::new_with_oauth_http_client(url, client)
        .await
        .map_err(|error| auth_error_text(&error))?;
    let found = manager.resolve_metadata().await.map_err(|error| {
        let why = auth_error_text(&error);
        format!("no authorization server is found: {why}{}", probe.passed_over())
    })?;
    if !found.source.is_discovered() {
        let shown = cut(place, 200);
        return Err(format!(
            "`{shown}` does not say where its authorization server is; write `issuer`, or \
            `authorization_url` and `token_url`, into `auth`{}",
            probe.passed_over()
        ));
    }
    manager.set_metadata(found.metadata.clone());
    Ok((manager, found.metadata))
}

async fn server(
    web: &OAuthHttp,
    config: &OAuthConfig,
    manager: &mut AuthorizationManager,
    metadata: AuthorizationMetadata,
) -> Result<Server, String> {
    web.endpoint(&metadata.token_endpoint)?;
    if !config.client_credentials {
        web.endpoint(&metadata.authorization_endpoint)?;
        // Without a word of it nothing says that it checks the challenge.
        let methods = metadata.code_challenge_methods_supported.as_deref().unwrap_or_default();
        if !methods.iter().any(|method| method == "S256") {
            return Err("its authorization server does not say that it supports PKCE with S256, \
                which is required; if it does support it, name its endpoints yourself: write \
                `authorization_url` and `token_url` into `auth`"
                .to_owned());
        }
    }
    let listed = |key: &str, method: &str| {
        let methods = metadata.additional_fields.get(key).and_then(|methods| methods.as_array());
        methods.is_some_and(|methods| methods.iter().any(|known| known == method))
    };
    let methods = "token_endpoint_auth_methods_supported";
    let names_itself =
        metadata.additional_fields.get("authorization_response_iss_parameter_supported");
    Ok(Server {
        secret_in_body: listed(methods, "client_secret_post")
            && !listed(methods, "client_secret_basic"),
        names_itself: names_itself.is_some_and(|named| named == true),
        scopes: manager.select_initial_scopes(&[]).await,
        resource: match config.server.is_some()
            && config.resource.is_none()
            && config.issuer.is_none()
        {
            true => named_resource(manager).await.or_else(|| resource(config)),
            false => resource(config),
        },
        issuer: metadata.issuer,
        authorization: Some(metadata.authorization_endpoint),
        token: metadata.token_endpoint,
    })
}

/// An error of the library and what caused it, in few words.
fn auth_error_text(error: &AuthError) -> String {
    let chain =
        std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    let texts: Vec<String> = chain.map(ToString::to_string).collect();
    cut(&texts.join(": "), 500).to_owned()
}

/// Name of the MCP server in its own metadata. The library has compared it with the server's URL
/// and returns it only within the URL of the authorization page.
async fn named_resource(manager: &mut AuthorizationManager) -> Option<String> {
    manager.configure_client_id(CLIENT_NAME).ok()?;
    let page = Url::parse(&manager.get_authorization_url(&[]).await.ok()?).ok()?;
    page.query_pairs()
        .find(|(name, _)| name == "resource")
        .map(|(_, resource)| resource.into_owned())
}

/// Resource that the token is for: the owner's, else the MCP server itself, without user, password
/// and query.
fn resource(config: &OAuthConfig) -> Option<String> {
    config.resource.clone().or_else(|| {
        let mut url = Url::parse(config.server.as_ref()?).ok()?;
        url.set_fragment(None);
        url.set_query(None);
        Some(url.to_string())
    })
}

/// Returns true if a token for this resource may be shown to the service.
pub(super) fn is_for_service(resource: Option<&str>, config: &OAuthConfig) -> bool {
    if config.resource.is_some() || config.server.is_none() {
        return resource == config.resource.as_deref();
    }
    let parsed = |text: Option<&str>| text.and_then(|text| Url::parse(text).ok());
    let (Some(resource), Some(server)) = (parsed(resource), parsed(config.server.as_deref()))
    else {
        return false;
    };
    let within = server.path().strip_prefix(resource.path().trim_end_matches('/'));
    resource.origin() == server.origin()
        && within.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
