//! Browser sessions of the owner, each made with a link that the owner's token made.
//!
//! A link works once and for five minutes, a session for twelve hours; both are bounded in number
//! and stored as digests, in memory only. The cookie, which a browser sends on its own, is never
//! enough to change anything: that takes the session's own token in the form or in a header.

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

use crate::model::Principal;

/// Lifetime of a link.
pub(in crate::transport) const LINK_LIFE: Duration = Duration::from_secs(5 * 60);
/// Lifetime of a session.
const SESSION_LIFE: Duration = Duration::from_secs(12 * 3600);
/// Links that work at once, and sessions; the oldest gives way.
const LINKS_MAX: usize = 16;
const SESSIONS_MAX: usize = 64;
/// Random bytes of a link, a session and its form token.
const SECRET_BYTES: usize = 32;
/// The header that carries the form token to `/v1`.
const CSRF_HEADER: &str = "x-airlock-csrf";

/// A browser that is signed in.
pub(in crate::transport) struct BrowserSession {
    /// The owner.
    pub(in crate::transport) principal: Principal,
    /// The token that its forms carry.
    pub(in crate::transport) form: String,
}

/// Links to sign in with, and the sessions they made.
pub(in crate::transport) struct BrowserSessions {
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

impl BrowserSessions {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self {
            cookie: format!("airlock_{}", address.port()),
            links: Mutex::default(),
            sessions: Mutex::default(),
        }
    }

    /// A secret that signs a browser in, once. None where the system gives no random numbers.
    pub(in crate::transport) fn link(&self) -> Option<String> {
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
    pub(in crate::transport) fn enter(&self, secret: &str) -> Option<HeaderValue> {
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
    pub(in crate::transport) fn leave(&self, headers: &HeaderMap) {
        let Some(session) = self.session(headers) else { return };
        self.sessions.lock().retain(|other| other.digest != session.digest);
    }

    /// The signed-in browser that sends this request.
    pub(in crate::transport) fn find(&self, headers: &HeaderMap) -> Option<BrowserSession> {
        let session = self.session(headers)?;
        Some(BrowserSession { principal: Principal::owner("page"), form: session.form })
    }

    /// True if this is the form token of the request's session.
    pub(in crate::transport) fn is_form(&self, headers: &HeaderMap, given: &str) -> bool {
        self.session(headers)
            .is_some_and(|session| bool::from(session.form.as_bytes().ct_eq(given.as_bytes())))
    }

    /// True if a session makes this request to `/v1`. A request that changes something must carry
    /// the form token in a header.
    pub(super) fn admits(&self, request: &Request) -> bool {
        let headers = request.headers();
        if self.session(headers).is_none() {
            return false;
        }
        let form = headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok());
        // An upgrade opens a connection, whatever its method.
        let reads = request.method().is_safe() && !headers.contains_key(header::UPGRADE);
        reads || form.is_some_and(|form| self.is_form(headers, form))
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
