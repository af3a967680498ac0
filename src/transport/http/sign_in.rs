//! Who is the owner: whoever shows the token, or a browser that signed in with a link that the
//! token made.
//!
//! A link works once and for five minutes, a session for twelve hours; both are bounded in number
//! and kept as digests, in memory only. What a session's browser sends without being asked to (its
//! cookie) is never enough to change anything: that takes the session's own token in the form or in
//! a header.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, header},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::OwnerToken;

/// How long a link works.
pub(super) const LINK_LIFE: Duration = Duration::from_secs(5 * 60);
/// How long a session lasts.
const SESSION_LIFE: Duration = Duration::from_secs(12 * 3600);
/// Links that work at once, and sessions; the oldest gives way.
const LINKS_MAX: usize = 16;
const SESSIONS_MAX: usize = 64;
/// Random bytes of a link, a session and its form token.
const SECRET_BYTES: usize = 32;
/// The header that carries the form token to `/v1`.
const CSRF_HEADER: &str = "x-airlock-csrf";

/// How the owner showed itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnerAuth {
    /// With the token: the commands.
    Token,
    /// With a session: the pages.
    Session,
}

impl OwnerAuth {
    /// Who decides, as the record says it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Token => "owner (command line)",
            Self::Session => "owner (signed in)",
        }
    }
}

/// Links, sessions and the token.
pub(super) struct SignIn {
    owner: OwnerToken,
    /// Servers on other ports of this machine share a browser's cookies, so each has its own name.
    cookie: String,
    links: Mutex<VecDeque<Link>>,
    sessions: Mutex<VecDeque<Session>>,
}

struct Link {
    digest: [u8; 32],
    until: Instant,
}

#[derive(Clone)]
struct Session {
    digest: [u8; 32],
    form: String,
    until: Instant,
}

impl SignIn {
    pub(super) fn new(owner: OwnerToken, address: SocketAddr) -> Self {
        Self {
            owner,
            cookie: format!("airlock_{}", address.port()),
            links: Mutex::default(),
            sessions: Mutex::default(),
        }
    }

    /// A secret that signs a browser in, once. None where the system gives no random numbers.
    pub(super) fn link(&self) -> Option<String> {
        let secret = secret()?;
        let mut links = self.links.lock();
        let now = Instant::now();
        links.retain(|link| link.until > now);
        if links.len() >= LINKS_MAX {
            links.pop_front();
        }
        links.push_back(Link { digest: digest(&secret), until: now + LINK_LIFE });
        Some(secret)
    }

    /// Uses a link up: the cookie of a new session.
    pub(super) fn enter(&self, secret: &str) -> Option<HeaderValue> {
        let given = digest(secret);
        let now = Instant::now();
        {
            let mut links = self.links.lock();
            let found = links.iter().position(|link| bool::from(link.digest.ct_eq(&given)))?;
            links.remove(found).filter(|link| link.until > now)?;
        }
        let (session, form) = (self::secret()?, self::secret()?);
        let mut sessions = self.sessions.lock();
        sessions.retain(|session| session.until > now);
        if sessions.len() >= SESSIONS_MAX {
            sessions.pop_front();
        }
        sessions.push_back(Session { digest: digest(&session), form, until: now + SESSION_LIFE });
        let seconds = SESSION_LIFE.as_secs();
        let cookie = format!(
            "{}={session}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict",
            self.cookie
        );
        HeaderValue::from_str(&cookie).ok()
    }

    /// Ends the session of this request.
    pub(super) fn leave(&self, headers: &HeaderMap) {
        let Some(session) = self.session(headers) else { return };
        self.sessions.lock().retain(|other| other.digest != session.digest);
    }

    /// The form token of the session that this request belongs to.
    pub(super) fn form(&self, headers: &HeaderMap) -> Option<String> {
        self.session(headers).map(|session| session.form)
    }

    /// Whether the form token is the one of the request's session.
    pub(super) fn is_form(&self, headers: &HeaderMap, given: &str) -> bool {
        self.form(headers).is_some_and(|form| bool::from(form.as_bytes().ct_eq(given.as_bytes())))
    }

    /// How the owner shows itself in a request to `/v1`, if it does.
    pub(super) fn shown(&self, request: &Request) -> Option<OwnerAuth> {
        let headers = request.headers();
        if headers.contains_key(header::AUTHORIZATION) {
            let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
            let token = shown
                .and_then(|value| value.split_once(' '))
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            return token
                .is_some_and(|(_, token)| self.owner.is(token.trim()))
                .then_some(OwnerAuth::Token);
        }
        self.session(headers)?;
        let form = headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok());
        // An upgrade is no mere look, whatever its method.
        let is_look = request.method().is_safe() && !headers.contains_key(header::UPGRADE);
        let is_safe = is_look || form.is_some_and(|form| self.is_form(headers, form));
        is_safe.then_some(OwnerAuth::Session)
    }

    fn session(&self, headers: &HeaderMap) -> Option<Session> {
        let cookies =
            headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let given = digest(pairs.find(|(name, _)| *name == self.cookie)?.1);
        let now = Instant::now();
        let sessions = self.sessions.lock();
        sessions
            .iter()
            .find(|session| bool::from(session.digest.ct_eq(&given)) && session.until > now)
            .cloned()
    }
}

fn secret() -> Option<String> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes)
        .inspect_err(|error| {
            tracing::error!(%error, "the system gives no random numbers: nobody \
            can sign in")
        })
        .ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests;
