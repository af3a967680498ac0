//! The owner's pages: what waits for a word, one approval with everything that must be seen, and
//! signing in.
//!
//! Plain HTML without scripts, everything inside the binary. Only a signed-in browser sees or
//! changes anything; a change takes the session's form token as well.

mod approval_page;
mod inbox;
mod refused;
mod visible;

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Query, State, rejection::BytesRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;

use super::{
    error,
    sign_in::{OwnerAuth, SignIn},
};
use crate::{
    model::{ApprovalStatus, Principal},
    service::{ApprovalList, ServiceError, Word},
    transport::Port,
};

pub(super) use self::refused::for_browsers;

/// Bytes of a form, at most: a note of 2000 characters, each of up to twelve bytes, and the token.
const FORM_BYTES_MAX: usize = 32 * 1024;
const STYLE: &str = include_str!("airlock.css");

#[derive(Clone)]
struct Pages {
    port: Arc<dyn Port>,
    gate: Arc<SignIn>,
}

/// The pages.
pub(super) fn routes(port: Arc<dyn Port>, gate: Arc<SignIn>) -> Router {
    Router::new()
        .route("/approvals", get(inbox_page))
        .route("/approvals/{id}", get(card_page))
        .route("/approvals/{id}/{verb}", post(decide))
        .route("/sign-in/{secret}", get(enter))
        .route("/sign-out", post(leave))
        .route(
            "/assets/airlock.css",
            get(async || ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)),
        )
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(middleware::map_response(harden))
        .with_state(Pages { port, gate })
}

/// What every page says to the browser: no scripts, nothing from elsewhere, in no frame, kept by
/// nobody.
async fn harden(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 7] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; \
            frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Not `no-referrer`: with it browsers send `Origin: null` with our own forms.
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn owner() -> Principal {
    Principal::owner("page")
}

/// A page around its content. `again` makes the browser ask again after so many seconds.
fn page(title: &str, form: Option<&str>, again: Option<u32>, content: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                @if let Some(seconds) = again { meta http-equiv="refresh" content=(seconds); }
                title { (title) " · Airlock" }
                link rel="stylesheet" href="/assets/airlock.css";
            }
            body {
                header {
                    a.home href="/approvals" { "Airlock" }
                    @if let Some(form) = form {
                        form method="post" action="/sign-out" {
                            input type="hidden" name="csrf" value=(form);
                            button.quiet type="submit" { "Sign out" }
                        }
                    }
                }
                main { (content) }
            }
        }
    };
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page.into_string()).into_response()
}

fn signed_out() -> Response {
    let content = html! {
        h1 { "Sign in" }
        p { "These pages are for the owner of this server. On its machine, run" }
        pre { "airlock open" }
        p { "and follow the link that it prints. It works once, within five minutes." }
    };
    (StatusCode::UNAUTHORIZED, page("Sign in", None, None, &content)).into_response()
}

fn failed(error: &ServiceError, form: &str, back: &str) -> Response {
    let status = error::status(error);
    let content = html! {
        h1 { "That did not work" }
        p.bad { (visible::visible(&error.message, true)) }
        @if let Some(hint) = &error.hint { p { (hint) } }
        p { a href=(back) { "Go back" } }
    };
    (status, page("Refused", Some(form), None, &content)).into_response()
}

/// Which approvals the inbox shows.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InboxQuery {
    status: Option<ApprovalStatus>,
    cursor: Option<String>,
}

async fn inbox_page(
    State(pages): State<Pages>,
    headers: HeaderMap,
    query: Query<InboxQuery>,
) -> Response {
    let Some(form) = pages.gate.form(&headers) else { return signed_out() };
    let Query(InboxQuery { status, cursor }) = query;
    let first = cursor.is_none();
    let status = status.unwrap_or(ApprovalStatus::Pending);
    let request = ApprovalList { status: Some(status), cursor, ..ApprovalList::default() };
    match pages.port.approvals(&owner(), request).await {
        Ok(answer) => page(
            "Approvals",
            Some(&form),
            first.then_some(inbox::AGAIN_SECONDS),
            &inbox::content(&answer, status),
        ),
        Err(error) => failed(&error, &form, "/approvals"),
    }
}

async fn card_page(
    State(pages): State<Pages>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let Some(form) = pages.gate.form(&headers) else { return signed_out() };
    match pages.port.approval(&owner(), &id).await {
        Ok(answer) => {
            page(&answer.approval.tool, Some(&form), None, &approval_page::content(&answer, &form))
        }
        Err(error) => failed(&error, &form, "/approvals"),
    }
}

/// What a form of a page sends: nothing beside its token and a note.
#[derive(Debug, Default)]
struct Sent {
    csrf: String,
    note: Option<String>,
}

impl Sent {
    fn read(body: Result<Bytes, BytesRejection>) -> Option<Self> {
        let mut sent = Self::default();
        for (name, value) in url::form_urlencoded::parse(&body.ok()?) {
            match &*name {
                "csrf" => sent.csrf = value.into_owned(),
                "note" => sent.note = Some(value.into_owned()),
                _ => return None,
            }
        }
        Some(sent)
    }
}

async fn decide(
    State(pages): State<Pages>,
    headers: HeaderMap,
    Path((id, verb)): Path<(String, String)>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let Some(form) = pages.gate.form(&headers) else { return signed_out() };
    let approve = match verb.as_str() {
        "approve" => true,
        "deny" => false,
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let back = format!(
        "/approvals/{}",
        url::form_urlencoded::byte_serialize(id.as_bytes()).collect::<String>()
    );
    let Some(sent) = Sent::read(body).filter(|sent| pages.gate.is_form(&headers, &sent.csrf))
    else {
        tracing::warn!("a form without its session's token was refused");
        return forged(&form, &back);
    };
    let word = Word { id, approve, note: sent.note, by: OwnerAuth::Session.name().to_owned() };
    match pages.port.decide_approval(&owner(), word).await {
        Ok(answer) => Redirect::to(&format!("/approvals/{}", answer.approval.id)).into_response(),
        Err(error) => failed(&error, &form, &back),
    }
}

fn forged(form: &str, back: &str) -> Response {
    let content = html! {
        h1 { "That did not work" }
        p.bad { "The form did not come from this session's page." }
        p { a href=(back) { "Open the page again" } }
    };
    (StatusCode::FORBIDDEN, page("Refused", Some(form), None, &content)).into_response()
}

/// The cookie is for this site alone, and a browser that came from elsewhere would not send it on
/// the way on: so the page that sets it leads on by itself.
async fn enter(State(pages): State<Pages>, Path(secret): Path<String>) -> Response {
    let Some(cookie) = pages.gate.enter(&secret) else { return signed_out() };
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
    if Sent::read(body).is_some_and(|sent| pages.gate.is_form(&headers, &sent.csrf)) {
        pages.gate.leave(&headers);
    }
    Redirect::to("/approvals").into_response()
}
