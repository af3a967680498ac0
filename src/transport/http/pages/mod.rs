//! The owner's pages: the inbox of approvals, one approval with everything that must be seen, and
//! signing in.
//!
//! Plain HTML, everything inside the binary, and one script, which only looks whether a call still
//! waits. Only a signed-in browser sees or changes anything; a change takes the session's form
//! token as well.

mod approval_page;
mod home;
mod inbox;
mod layout;
mod refused;
mod time;
mod visible;

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, RawQuery, State, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use maud::{DOCTYPE, html};
use serde_json::json;

use self::{
    inbox::Filter,
    layout::{Frame, Refresh, harden},
    visible::prose,
};
use super::error;
use crate::{
    base::confusables::escaped_line,
    model::{ApprovalStatus, Principal},
    service::{
        ApprovalCount, ApprovalDecision, ApprovalGet, ApprovalList, Service, ServiceError,
        view::Approval,
    },
    transport::auth::{Authenticator, OwnerAuth},
};

pub(super) use self::refused::for_browsers;

/// Bytes of a form, at most: a note of 2000 characters, each of up to twelve bytes, and the token.
const FORM_BYTES_MAX: usize = 32 * 1024;
/// Seconds after which a browser without scripts loads the page of a waiting call again.
const CARD_AGAIN_SECONDS: u32 = 30;
/// Waiting calls of which the oldest is offered as the next.
const NEXT_OF: u32 = 200;
const STYLE: &str = include_str!("airlock.css");
const ICON: &str = include_str!("airlock.svg");
const WAITING_ICON: &str = include_str!("waiting.svg");

#[derive(Clone)]
struct Pages {
    service: Arc<Service>,
    authenticator: Arc<Authenticator>,
}

/// The pages.
pub(super) fn routes(service: Arc<Service>, authenticator: Arc<Authenticator>) -> Router {
    let asset = |kind: &'static str, text: &'static str| {
        get(async move || ([(header::CONTENT_TYPE, kind)], text))
    };
    Router::new()
        .route("/", get(home::answer))
        .route("/approvals", get(inbox_page))
        .route("/approvals/{id}", get(show_approval))
        .route("/approvals/{id}/status", get(approval_status))
        .route("/approvals/{id}/{verb}", post(decide))
        .route("/sign-in/{secret}", get(enter))
        .route("/sign-out", post(leave))
        .route("/assets/airlock.css", asset("text/css; charset=utf-8", STYLE))
        .route("/assets/airlock.svg", asset("image/svg+xml", ICON))
        .route("/assets/waiting.svg", asset("image/svg+xml", WAITING_ICON))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(middleware::map_response(harden))
        .with_state(Pages { service, authenticator })
}

fn signed_out() -> Response {
    let content = html! {
        h1 { "Sign in" }
        p { "These pages are for the owner of this server. On its machine, run" }
        pre { "airlock open" }
        p { "It opens your browser here, or prints a link that works once, within five minutes." }
    };
    (StatusCode::UNAUTHORIZED, Frame::still("Sign in", None).page(&content)).into_response()
}

fn failed(error: &ServiceError, form: &str, back: &str) -> Response {
    let status = error::status(error);
    let content = html! {
        h1 { "That did not work" }
        p.bad { (prose(&error.message)) }
        @if let Some(hint) = &error.hint { p { (prose(hint)) } }
        p { a href=(back) { "Go back" } }
    };
    (status, Frame::still("Refused", Some(form)).page(&content)).into_response()
}

/// The filter and the cursor of the inbox.
fn inbox_query(query: &str) -> Result<(Filter, Option<String>), ServiceError> {
    let (mut filter, mut cursor) = (Filter::default(), None);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "status" => filter = Filter::parse(&value)?,
            "cursor" => cursor = Some(value.into_owned()),
            _ => {}
        }
    }
    Ok((filter, cursor))
}

async fn inbox_page(
    State(pages): State<Pages>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(session) = pages.authenticator.sessions.find(&headers) else { return signed_out() };
    let (who, form) = (&session.principal, session.form.as_str());
    let shown = async {
        let (filter, cursor) = inbox_query(query.as_deref().unwrap_or_default())?;
        let is_first = cursor.is_none();
        let page = pages.service.call(who, filter.request(cursor)).await?;
        let counts = pages.service.call(who, ApprovalCount).await?;
        let refresh = match is_first {
            true => Refresh::Every(inbox::AGAIN_SECONDS),
            false => Refresh::Never,
        };
        let waiting = Some(counts.waiting);
        let frame = Frame { title: "Approvals", form: Some(form), refresh, waiting };
        Ok::<_, ServiceError>(frame.page(&inbox::content(&page, filter, counts)))
    };
    shown.await.unwrap_or_else(|error| failed(&error, form, "/approvals"))
}

async fn show_approval(
    State(pages): State<Pages>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let Some(session) = pages.authenticator.sessions.find(&headers) else { return signed_out() };
    let (who, form) = (&session.principal, session.form.as_str());
    let shown = async {
        let approval = pages.service.call(who, ApprovalGet { id }).await?;
        let counts = pages.service.call(who, ApprovalCount).await?;
        let (next, refresh) = match approval.status {
            ApprovalStatus::Pending => (None, Refresh::Watched(CARD_AGAIN_SECONDS)),
            _ => (next(&pages, who).await?, Refresh::Never),
        };
        let title = &escaped_line(&approval.tool);
        let frame = Frame { title, form: Some(form), refresh, waiting: Some(counts.waiting) };
        let content = approval_page::content(&approval, next.as_ref(), form);
        Ok::<_, ServiceError>(frame.page(&content))
    };
    shown.await.unwrap_or_else(|error| failed(&error, form, "/approvals"))
}

/// The call that has waited longest.
async fn next(pages: &Pages, who: &Principal) -> Result<Option<Approval>, ServiceError> {
    let limit = Some(NEXT_OF);
    let request = ApprovalList { limit, ..Filter::Waiting.request(None) };
    Ok(pages.service.call(who, request).await?.approvals.pop())
}

/// The state of an approval, for the script of its page.
async fn approval_status(
    State(pages): State<Pages>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let Some(session) = pages.authenticator.sessions.find(&headers) else { return signed_out() };
    let who = &session.principal;
    let state = async {
        let approval = pages.service.call(who, ApprovalGet { id }).await?;
        let counts = pages.service.call(who, ApprovalCount).await?;
        Ok::<_, ServiceError>(Json(json!({
            "status": approval.status,
            "left": time::left(approval.expires_at),
            "title": layout::title(&escaped_line(&approval.tool), Some(counts.waiting)),
        })))
    };
    match state.await {
        Ok(state) => state.into_response(),
        Err(error) => error::Failure::from(error).into_response(),
    }
}

/// The fields of a form: its token and a note, and nothing else.
#[derive(Debug, Default)]
struct Form {
    csrf: String,
    note: Option<String>,
}

impl Form {
    fn read(body: Result<Bytes, BytesRejection>) -> Option<Self> {
        let mut form = Self::default();
        for (name, value) in url::form_urlencoded::parse(&body.ok()?) {
            match &*name {
                "csrf" => form.csrf = value.into_owned(),
                "note" => form.note = Some(value.into_owned()),
                _ => return None,
            }
        }
        Some(form)
    }
}

async fn decide(
    State(pages): State<Pages>,
    headers: HeaderMap,
    Path((id, verb)): Path<(String, String)>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let sessions = &pages.authenticator.sessions;
    let Some(session) = sessions.find(&headers) else { return signed_out() };
    let approve = match verb.as_str() {
        "approve" => true,
        "deny" => false,
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let back = format!(
        "/approvals/{}",
        url::form_urlencoded::byte_serialize(id.as_bytes()).collect::<String>()
    );
    let Some(form) = Form::read(body).filter(|form| sessions.is_form(&headers, &form.csrf)) else {
        tracing::warn!("a form without its session's token was refused");
        return forged(&session.form, &back);
    };
    let decided_by = OwnerAuth::Session.name().to_owned();
    let decision = ApprovalDecision { id, approve, note: form.note, decided_by };
    match pages.service.call(&session.principal, decision).await {
        Ok(approval) => Redirect::to(&format!("/approvals/{}", approval.id)).into_response(),
        Err(error) => failed(&error, &session.form, &back),
    }
}

fn forged(form: &str, back: &str) -> Response {
    let content = html! {
        h1 { "That did not work" }
        p.bad { "The form did not come from this session's page." }
        p { a href=(back) { "Open the page again" } }
    };
    (StatusCode::FORBIDDEN, Frame::still("Refused", Some(form)).page(&content)).into_response()
}

/// Signs a browser in. The cookie is for this site alone, and a browser that follows a redirect
/// from another site would not send it: so the page that sets it loads the next one itself.
async fn enter(State(pages): State<Pages>, Path(secret): Path<String>) -> Response {
    let Some(cookie) = pages.authenticator.sessions.enter(&secret) else { return signed_out() };
    let content = html! {
        h1 { "Signed in" }
        p { a href="/approvals" { "Go to the approvals" } }
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="refresh" content="0; url=/approvals";
                title { "Signed in · Airlock" }
                link rel="icon" type="image/svg+xml" href="/assets/airlock.svg";
                link rel="stylesheet" href="/assets/airlock.css";
            }
            body { main { (content) } }
        }
    };
    let headers = [
        (header::SET_COOKIE, cookie),
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
    ];
    (headers, page.into_string()).into_response()
}

async fn leave(
    State(pages): State<Pages>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let sessions = &pages.authenticator.sessions;
    if Form::read(body).is_some_and(|form| sessions.is_form(&headers, &form.csrf)) {
        sessions.leave(&headers);
    }
    Redirect::to("/approvals").into_response()
}
