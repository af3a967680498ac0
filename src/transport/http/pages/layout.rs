//! The frame of every page, and the headers that keep it to itself.

use std::sync::LazyLock;

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

/// The one script: it looks whether a call still waits.
const WATCH: &str = include_str!("watch.js");
/// What a page may do: nothing but show itself and send its forms to this server.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";
/// The same, with [`WATCH`] and no other script, which may ask this server.
static WATCH_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let digest = STANDARD.encode(Sha256::digest(WATCH.as_bytes()));
    let policy = format!(
        "{POLICY}; script-src 'sha256-{digest}'; connect-src 'self'; require-trusted-types-for \
        'script'; trusted-types 'none'"
    );
    HeaderValue::from_str(&policy).expect("the policy is visible ASCII")
});

/// Adds the headers of every page: nothing from other origins, no frames, no caching, and no
/// scripts but that of [`Refresh::Watched`].
pub(super) async fn harden(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 6] = [
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
        .headers_mut()
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(POLICY));
    response
}

/// How a page stays true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refresh {
    /// It does not change.
    Never,
    /// The browser loads it again after so many seconds.
    Every(u32),
    /// Its script looks whether its call still waits. A browser without scripts loads it again
    /// after so many seconds.
    Watched(u32),
}

/// The frame of a page.
pub(super) struct Frame<'f> {
    /// Its title.
    pub(super) title: &'f str,
    /// The token of the session's forms; none where nobody is signed in.
    pub(super) form: Option<&'f str>,
    /// How it stays true.
    pub(super) refresh: Refresh,
    /// Calls that wait, where the page tells.
    pub(super) waiting: Option<u64>,
}

impl Frame<'_> {
    /// The frame of a page that does not change.
    pub(super) fn still<'f>(title: &'f str, form: Option<&'f str>) -> Frame<'f> {
        Frame { title, form, refresh: Refresh::Never, waiting: None }
    }

    /// The page around its content.
    pub(super) fn page(&self, content: &Markup) -> Response {
        let is_waiting = self.waiting.is_some_and(|waiting| waiting > 0);
        let icon = if is_waiting { "/assets/waiting.svg" } else { "/assets/airlock.svg" };
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    @match self.refresh {
                        Refresh::Never => {}
                        Refresh::Every(seconds) => { meta http-equiv="refresh" content=(seconds); }
                        Refresh::Watched(seconds) => {
                            noscript { meta http-equiv="refresh" content=(seconds); }
                        }
                    }
                    title { (title(self.title, self.waiting)) }
                    link rel="icon" type="image/svg+xml" href=(icon);
                    link rel="stylesheet" href="/assets/airlock.css";
                }
                body {
                    (self.header())
                    main { (content) }
                    @if matches!(self.refresh, Refresh::Watched(_)) {
                        script { (PreEscaped(WATCH)) }
                    }
                }
            }
        };
        let mut response =
            ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page.into_string())
                .into_response();
        if matches!(self.refresh, Refresh::Watched(_)) {
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, WATCH_POLICY.clone());
        }
        response
    }

    fn header(&self) -> Markup {
        html! {
            header {
                a.home href="/" { img src="/assets/airlock.svg" alt=""; "Airlock" }
                a href="/approvals" {
                    "Approvals"
                    @if let Some(waiting) = self.waiting { " (" (waiting) ")" }
                }
                @if let Some(form) = self.form {
                    form method="post" action="/sign-out" {
                        input type="hidden" name="csrf" value=(form);
                        button.quiet type="submit" { "Sign out" }
                    }
                }
            }
        }
    }
}

/// The title of a page, with the number of calls that wait in front.
pub(super) fn title(title: &str, waiting: Option<u64>) -> String {
    match waiting {
        Some(waiting @ 1..) => format!("({waiting}) {title} · Airlock"),
        _ => format!("{title} · Airlock"),
    }
}
