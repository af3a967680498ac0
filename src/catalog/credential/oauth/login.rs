//! The authorization code flow: a person allows it in a browser, which comes back to a port of this
//! machine that is open for this one visit. State, PKCE and issuer are verified before the code is
//! worth anything.

use std::{net::Ipv4Addr, time::Duration};

use oauth2::{CsrfToken, PkceCodeChallenge, PkceCodeVerifier};
use subtle::ConstantTimeEq;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use url::Url;

use super::{
    discovery::{self, Registered, Server},
    grant,
    tokens::OAuth,
};
use crate::base::text::cut;

/// Time that the person has.
const ALLOW_WITHIN: Duration = Duration::from_secs(10 * 60);
/// Largest request of the browser that is read, in bytes, and how long one may take.
const REQUEST_MAX: (usize, Duration) = (16 * 1024, Duration::from_secs(5));
/// Visits that are answered before the login is given up: anybody on this machine may knock.
const VISITS_MAX: usize = 100;
/// Path that the browser is redirected to.
const PATH: &str = "/callback";

/// A login that waits for a person.
pub struct Login {
    oauth: OAuth,
    listener: TcpListener,
    redirect: String,
    server: Server,
    registered: Registered,
    state: CsrfToken,
    verifier: PkceCodeVerifier,
    url: Url,
}

/// Finds the authorization server, registers if need be, and opens the port that the browser comes
/// back to.
pub(in crate::catalog) async fn begin(oauth: OAuth) -> Result<Login, String> {
    if oauth.config.client_credentials {
        return Err(
            "it has the grant \"client_credentials\", for which nobody needs to allow anything"
                .to_owned(),
        );
    }
    let port = oauth.config.redirect_port.unwrap_or(0);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let listener = listener
        .map_err(|error| format!("port {port} of this machine is not available: {error}"))?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    let redirect = format!("http://127.0.0.1:{port}{PATH}");
    let secret = oauth.client_secret().await?;
    let (server, registered) =
        discovery::find_and_register(&oauth.web, &oauth.config, secret, &redirect).await?;
    let authorization =
        server.authorization.as_ref().ok_or("its authorization server has no page for a person")?;
    let mut url = oauth.web.endpoint(authorization)?;
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let state = CsrfToken::new_random();
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &registered.client_id)
        .append_pair("redirect_uri", &redirect)
        .append_pair("state", state.secret())
        .append_pair("code_challenge", challenge.as_str())
        .append_pair("code_challenge_method", "S256");
    let scopes = discovery::scopes(&oauth.config, &server);
    if !scopes.is_empty() {
        url.query_pairs_mut().append_pair("scope", &scopes.join(" "));
    }
    if let Some(resource) = &server.resource {
        url.query_pairs_mut().append_pair("resource", resource);
    }
    Ok(Login { oauth, listener, redirect, server, registered, state, verifier, url })
}

/// Parameters of the redirect.
#[derive(Debug, Default, PartialEq, Eq)]
struct Brought {
    code: Option<String>,
    state: Option<String>,
    issuer: Option<String>,
    error: Option<String>,
}

impl Login {
    /// The page on which a person allows it. Encrypted, or on this machine.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Waits for the browser, at most ten minutes, and keeps what was granted.
    pub async fn finish(self) -> Result<(), String> {
        let Self { oauth, listener, redirect, server, registered, state, verifier, .. } = self;
        let (code, mut browser) = allowed(&listener, &state, &server, ALLOW_WITHIN).await?;
        // One visit is all that it was open for.
        drop(listener);
        let granted = grant::by_code(
            &oauth.web,
            &oauth.config,
            &server,
            &registered,
            (code, verifier, &redirect),
        )
        .await;
        let kept = match granted {
            Ok(granted) => oauth.keep(&granted).await,
            Err(failure) => Err(failure.in_full()),
        };
        let page = if kept.is_ok() { Page::Done } else { Page::Failed };
        page.show(&mut browser).await;
        kept
    }
}

/// The authorization response, and the browser connection that waits for the result page.
async fn allowed(
    listener: &TcpListener,
    state: &CsrfToken,
    server: &Server,
    within: Duration,
) -> Result<(String, TcpStream), String> {
    let visited = tokio::time::timeout(within, visit(listener, state, server)).await;
    visited.unwrap_or_else(|_| Err(format!("nobody allowed it within {} s", within.as_secs())))
}

/// Answers visits until one brings what is waited for.
async fn visit(
    listener: &TcpListener,
    state: &CsrfToken,
    server: &Server,
) -> Result<(String, TcpStream), String> {
    for _ in 0..VISITS_MAX {
        let (mut browser, _) = listener
            .accept()
            .await
            .map_err(|error| format!("the browser cannot come back: {error}"))?;
        let Some(brought) = read(&mut browser).await else {
            Page::Nothing.show(&mut browser).await;
            continue;
        };
        // Whoever does not know the state was not sent by this login, and does not end it.
        let known = brought
            .state
            .as_deref()
            .unwrap_or_default()
            .as_bytes()
            .ct_eq(state.secret().as_bytes());
        if !bool::from(known) {
            Page::Nothing.show(&mut browser).await;
            continue;
        }
        match judge(brought, server) {
            Ok(code) => return Ok((code, browser)),
            Err(why) => {
                Page::Failed.show(&mut browser).await;
                return Err(why);
            }
        }
    }
    Err(format!("{VISITS_MAX} requests came to the port of the login, and none with an answer"))
}

/// The code, when it comes from the server that was asked.
fn judge(brought: Brought, server: &Server) -> Result<String, String> {
    let same = |a: &str, b: &str| a.trim_end_matches('/') == b.trim_end_matches('/');
    match (&brought.issuer, &server.issuer) {
        (Some(issuer), Some(asked)) if !same(issuer, asked) => {
            return Err(format!(
                "the answer names the issuer `{}`; expected `{}`",
                cut(issuer, 200),
                cut(asked, 200)
            ));
        }
        (None, _) if server.names_itself => {
            return Err(
                "the answer does not name its issuer, although the authorization server says that \
                it does"
                    .to_owned(),
            );
        }
        _ => {}
    }
    if let Some(error) = brought.error {
        return Err(format!("the authorization server refuses: {}", cut(&error, 200)));
    }
    brought.code.filter(|code| !code.is_empty()).ok_or_else(|| "the answer has no code".to_owned())
}

/// Parameters of a visitor's request; none if it is not the redirect.
async fn read(browser: &mut TcpStream) -> Option<Brought> {
    let mut request = Vec::new();
    let whole = async {
        let mut piece = [0; 2048];
        while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < REQUEST_MAX.0 {
            match browser.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(length) => request.extend_from_slice(&piece[..length]),
            }
        }
    };
    // What is there in time is judged.
    let _ = tokio::time::timeout(REQUEST_MAX.1, whole).await;
    let head = String::from_utf8_lossy(&request);
    let mut words = head.lines().next()?.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let url = Url::parse("http://127.0.0.1").ok()?.join(target).ok()?;
    if method != "GET" || url.path() != PATH {
        return None;
    }
    let mut brought = Brought::default();
    for (name, value) in url.query_pairs() {
        let place = match name.as_ref() {
            "code" => &mut brought.code,
            "state" => &mut brought.state,
            "iss" => &mut brought.issuer,
            "error" => &mut brought.error,
            _ => continue,
        };
        // Given twice, it is not known which was meant.
        if place.replace(value.into_owned()).is_some() {
            return None;
        }
    }
    Some(brought)
}

/// Page that the browser shows.
enum Page {
    Done,
    Failed,
    Nothing,
}

impl Page {
    async fn show(self, browser: &mut TcpStream) {
        let (status, text) = match self {
            Self::Done => ("200 OK", "Airlock may use this service now. You can close this page."),
            Self::Failed => ("400 Bad Request", "That did not work. The terminal tells why."),
            Self::Nothing => ("404 Not Found", "There is nothing here."),
        };
        let body =
            format!("<!doctype html><meta charset=\"utf-8\"><title>Airlock</title><p>{text}</p>\n");
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: \
            {}\r\ncache-control: no-store\r\n\
             content-security-policy: default-src 'none'\r\nreferrer-policy: \
            no-referrer\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        // A browser that is gone needs no page.
        let _ = tokio::time::timeout(REQUEST_MAX.1, browser.write_all(answer.as_bytes())).await;
    }
}

#[cfg(test)]
mod tests;
