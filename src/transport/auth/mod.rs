//! Authentication: the one place of the transport where a [`Principal`] is made.
//!
//! Without keys there are two: the agent, which is whoever can connect to a server on loopback, and
//! the owner, who shows the owner's token or is signed in with a browser session.

mod browser;
mod owner_token;

use std::net::SocketAddr;

use axum::{extract::Request, http::header};

use crate::model::Principal;

pub(super) use browser::{BrowserSessions, LINK_LIFE};
pub use owner_token::OwnerToken;

/// The agent that calls `/mcp`.
pub(super) fn agent() -> Principal {
    Principal::local("mcp")
}

/// The agent that speaks MCP over standard streams, of this process or of one that handed them
/// over.
pub fn stdio_agent() -> Principal {
    Principal::local("stdio")
}

/// A caller that shows nothing. It has no role.
pub(super) fn anonymous() -> Principal {
    Principal { roles: [].into(), ..Principal::local("anonymous") }
}

/// The credential that identifies the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnerAuth {
    /// With the token: the commands.
    Token,
    /// With a session: the pages.
    Session,
}

impl OwnerAuth {
    /// The name of whoever decides, for the record.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Token => "owner (command line)",
            Self::Session => "owner (signed in)",
        }
    }
}

/// The owner who makes a request, and the credential that shows it.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    /// The owner, with every role.
    pub(super) principal: Principal,
    /// The credential that identifies the owner.
    pub(super) auth: OwnerAuth,
}

/// Authenticates the owner.
pub(super) struct Authenticator {
    token: OwnerToken,
    /// Links and sessions of browsers.
    pub(super) sessions: BrowserSessions,
}

impl Authenticator {
    /// An authenticator for a server at this address.
    pub(super) fn new(token: OwnerToken, address: SocketAddr) -> Self {
        Self { token, sessions: BrowserSessions::new(address) }
    }

    /// The owner who makes a request to `/v1`; none where the request shows neither the token nor a
    /// session, or a wrong token beside a session.
    pub(super) fn owner(&self, request: &Request) -> Option<Owner> {
        let Some(shown) = request.headers().get(header::AUTHORIZATION) else {
            return self
                .sessions
                .admits(request)
                .then(|| Owner { principal: Principal::owner("cli"), auth: OwnerAuth::Session });
        };
        let (scheme, token) = shown.to_str().ok()?.split_once(' ')?;
        let is_owner = scheme.eq_ignore_ascii_case("bearer") && self.token.is(token.trim());
        is_owner.then(|| Owner { principal: Principal::owner("cli"), auth: OwnerAuth::Token })
    }
}

#[cfg(test)]
mod tests;
