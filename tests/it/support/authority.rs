//! A small authorization server with an MCP server behind it, both at one address: it registers
//! clients, sends the browser back with a code, grants tokens, renews and withdraws them, and keeps
//! what it was asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::upstream::{error, install_crypto, one_tool, result};

type Fields = BTreeMap<String, String>;
/// Status, type and body of a token answer, given the type of the grant and the usual answer.
pub(crate) type Answers = fn(&str, Value) -> (u16, &'static str, String);
/// Another answer to a message with a token that is refused.
pub(crate) type Refusal = fn(&Value) -> Response;
/// The text of a document in place of the usual one: `resource`, `metadata` or `client`.
pub(crate) type Documents = fn(&str, Value) -> String;
/// Another answer to a request, by its method and path, or none.
pub(crate) type Instead = fn(&str, &str) -> Option<Response>;

/// How it behaves, and what happened so far.
#[derive(Default)]
pub(crate) struct Ledger {
    /// What it calls itself, if not its own address.
    pub(crate) issuer: Option<String>,
    /// What it says of itself when it sends the browser back, if not its issuer.
    pub(crate) answers_as: Option<String>,
    /// It does not say that it supports PKCE.
    pub(crate) without_pkce: bool,
    /// Its MCP server refuses every token.
    pub(crate) refuses_all: bool,
    /// Seconds that an access token lasts; an hour if not said.
    pub(crate) lasts: Option<u64>,
    /// Its MCP server does not say where its document is, so that it must be guessed.
    pub(crate) without_challenge: bool,
    /// What is said in place of the answer to this request, by its method and path.
    pub(crate) instead: Option<Instead>,
    /// How its MCP server refuses a token, if not with 401.
    pub(crate) refusal: Option<Refusal>,
    /// What becomes of a document.
    pub(crate) documents: Option<Documents>,
    /// What becomes of a token answer.
    pub(crate) answers: Option<Answers>,
    /// What was asked of `/token`, in order.
    pub(crate) asked: Vec<Fields>,
    /// What clients said of themselves.
    pub(crate) registered: Vec<Value>,
    pub(crate) codes: BTreeMap<String, Fields>,
    pub(crate) access: BTreeSet<String>,
    pub(crate) refresh: BTreeSet<String>,
    pub(crate) granted: usize,
}

impl Ledger {
    /// Access tokens that were given out are refused from now on.
    pub(crate) fn withdraw_access(&mut self) {
        self.access.clear();
    }

    /// Refresh tokens too.
    pub(crate) fn withdraw_all(&mut self) {
        self.access.clear();
        self.refresh.clear();
    }

    /// How often a grant of this type was asked for.
    pub(crate) fn times(&self, grant: &str) -> usize {
        self.asked.iter().filter(|fields| fields["grant_type"] == grant).count()
    }
}

#[derive(Clone)]
struct Office {
    url: String,
    ledger: Arc<Mutex<Ledger>>,
}

/// The running server.
pub(crate) struct Authority {
    office: Office,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Authority {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Authority {
    /// Serves on a free port.
    pub(crate) async fn start(ledger: Ledger) -> Self {
        install_crypto();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let office =
            Office { url: format!("http://{address}"), ledger: Arc::new(Mutex::new(ledger)) };
        let router = Router::new()
            .route("/.well-known/oauth-protected-resource/mcp", get(resource))
            .route("/.well-known/oauth-protected-resource", get(resource))
            .route("/.well-known/oauth-authorization-server", get(metadata))
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/register", post(register))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/mcp", post(mcp).get(challenge))
            .layer(axum::middleware::from_fn_with_state(office.clone(), instead))
            .with_state(office.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { office, task }
    }

    /// The MCP server.
    pub(crate) fn mcp(&self) -> String {
        format!("{}/mcp", self.office.url)
    }

    /// The address of all of it.
    pub(crate) fn url(&self) -> &str {
        &self.office.url
    }

    /// What happened.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.office.ledger.lock()
    }
}

async fn instead(
    State(office): State<Office>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> Response {
    let instead = office.ledger.lock().instead;
    match instead.and_then(|instead| instead(request.method().as_str(), request.uri().path())) {
        Some(response) => response,
        None => next.run(request).await,
    }
}

/// A document as the ledger has it.
fn document(ledger: &Ledger, name: &str, usual: Value) -> Response {
    let text = match ledger.documents {
        Some(documents) => documents(name, usual),
        None => usual.to_string(),
    };
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

async fn resource(State(office): State<Office>) -> Response {
    let usual = json!({
        "resource": format!("{}/mcp", office.url), "authorization_servers": [office.url],
        "scopes_supported": ["notes"]
    });
    document(&office.ledger.lock(), "resource", usual)
}

async fn metadata(State(office): State<Office>) -> Response {
    let ledger = office.ledger.lock();
    let url = &office.url;
    let mut metadata = json!({
        "issuer": ledger.issuer.as_ref().unwrap_or(url),
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "registration_endpoint": format!("{url}/register"),
        "response_types_supported": ["code"],
        "authorization_response_iss_parameter_supported": true,
        "token_endpoint_auth_methods_supported": ["none", "client_secret_post"],
    });
    if !ledger.without_pkce {
        metadata["code_challenge_methods_supported"] = json!(["S256"]);
    }
    document(&ledger, "metadata", metadata)
}

async fn register(State(office): State<Office>, Json(client): Json<Value>) -> Response {
    let mut ledger = office.ledger.lock();
    let redirects = client["redirect_uris"].clone();
    ledger.registered.push(client);
    let usual = json!({
        "client_id": "client-1", "client_secret": "sec-client-1234", "redirect_uris": redirects
    });
    (StatusCode::CREATED, document(&ledger, "client", usual)).into_response()
}

async fn authorize(State(office): State<Office>, Query(fields): Query<Fields>) -> Response {
    let mut ledger = office.ledger.lock();
    if fields["response_type"] != "code" || fields["code_challenge_method"] != "S256" {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let code = format!("code-{}", ledger.codes.len());
    let issuer = ledger
        .answers_as
        .clone()
        .or_else(|| ledger.issuer.clone())
        .unwrap_or_else(|| office.url.clone());
    let mut back = url::Url::parse(&fields["redirect_uri"]).unwrap();
    back.query_pairs_mut()
        .append_pair("code", &code)
        .append_pair("state", &fields["state"])
        .append_pair("iss", &issuer);
    ledger.codes.insert(code, fields);
    Redirect::to(back.as_str()).into_response()
}

async fn token(State(office): State<Office>, body: String) -> Response {
    let fields: Fields = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let mut ledger = office.ledger.lock();
    ledger.asked.push(fields.clone());
    let is_right = match fields["grant_type"].as_str() {
        "authorization_code" => ledger.codes.remove(&fields["code"]).is_some_and(|asked| {
            let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&fields["code_verifier"]));
            asked["code_challenge"] == challenge && asked["redirect_uri"] == fields["redirect_uri"]
        }),
        // Each refresh token counts once.
        "refresh_token" => ledger.refresh.remove(&fields["refresh_token"]),
        "client_credentials" => {
            fields.get("client_secret").is_some_and(|secret| secret == "sec-robot-1234")
        }
        _ => false,
    };
    let answers = ledger.answers;
    let answered = |answer: Value| match answers {
        None => Json(answer).into_response(),
        Some(answers) => {
            let (status, kind, body) = answers(&fields["grant_type"], answer);
            let status = StatusCode::from_u16(status).unwrap();
            (status, [(header::CONTENT_TYPE, kind)], body).into_response()
        }
    };
    if !is_right {
        return (
            StatusCode::BAD_REQUEST,
            Json(json!({"error": "invalid_grant", "error_description": "not any more"})),
        )
            .into_response();
    }
    ledger.granted += 1;
    let (access, refresh) =
        (format!("at-{:08}", ledger.granted), format!("rt-{:08}", ledger.granted));
    ledger.access.insert(access.clone());
    let mut granted = json!({
        "access_token": access, "token_type": "Bearer", "expires_in": ledger.lasts.unwrap_or(3600)
    });
    if fields["grant_type"] != "client_credentials" {
        ledger.refresh.insert(refresh.clone());
        granted["refresh_token"] = refresh.into();
    }
    answered(granted)
}

async fn challenge(State(office): State<Office>) -> Response {
    if office.ledger.lock().without_challenge {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let metadata = format!(
        "Bearer resource_metadata=\"{}/.well-known/oauth-protected-resource/mcp\"",
        office.url
    );
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, metadata)], Body::empty())
        .into_response()
}

/// One tool, `t`, which says with which token it was called.
async fn mcp(State(office): State<Office>, headers: HeaderMap, body: String) -> Response {
    let shown = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let is_known = {
        let ledger = office.ledger.lock();
        shown.strip_prefix("Bearer ").is_some_and(|token| ledger.access.contains(token))
            && !ledger.refuses_all
    };
    let request: Value = serde_json::from_str(&body).unwrap();
    if !is_known {
        let refusal = office.ledger.lock().refusal;
        return match refusal {
            Some(refusal) => refusal(&request),
            None => challenge(State(office)).await,
        };
    }
    let info = json!({
        "protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
        "serverInfo": {"name": "notes", "version": "1"}
    });
    match request["method"].as_str() {
        _ if request.get("id").is_none() => StatusCode::ACCEPTED.into_response(),
        Some("initialize") => result(&request, info),
        Some("tools/list") => one_tool(&request),
        Some("tools/call") => result(
            &request,
            json!({"content": [{"type": "text", "text": format!("called with {shown}")}]}),
        ),
        _ => error(&request, -32601, "no such method"),
    }
}
