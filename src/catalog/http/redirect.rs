//! Target of a redirect, and what is sent there. Pure.

use http::{HeaderMap, Method, StatusCode, header::LOCATION};
use url::{Origin, Url};

use super::failure::ServiceFailure;
use crate::{base::text::cut, catalog::net::guard::AddressPolicy};

/// Longest address that is told, in bytes.
const SHOWN_BYTES_MAX: usize = 300;
/// Redirects that are followed for one request.
pub(super) const HOPS_MAX: usize = 5;

/// One request on the way to an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hop {
    /// Target URL.
    pub(super) url: Url,
    /// Method of the next request.
    pub(super) method: Method,
    /// True if the body goes along.
    pub(super) with_body: bool,
}

/// The next request, none when the answer is to be taken as it is, or why it is not followed.
///
/// Followed are 301, 302, 307 and 308 of GET and HEAD, 303 of everything as GET, and 307 and 308 of
/// everything else to the same origin, body included. With `keeps_method`, 303 is followed only
/// where that is so already. What would quietly turn one method into
/// another is not followed, nor what would take a body elsewhere, nor what leads to a private
/// address outside the origins that are `named`.
pub(super) fn next(
    from: &Url,
    (method, keeps_method): (&Method, bool),
    status: StatusCode,
    headers: &HeaderMap,
    addresses: &AddressPolicy,
    named: &[Origin],
) -> Result<Option<Hop>, ServiceFailure> {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let (next_method, mut with_body) = match status.as_u16() {
        301 | 302 | 307 | 308 if reads => (method.clone(), true),
        303 if keeps_method && !reads => return Ok(None),
        303 => (if *method == Method::HEAD { Method::HEAD } else { Method::GET }, false),
        307 | 308 => (method.clone(), true),
        _ => return Ok(None),
    };
    let Some(location) = headers.get(LOCATION).and_then(|location| location.to_str().ok()) else {
        return Ok(None);
    };
    let refused = |why: String| ServiceFailure::Astray(format!("it redirects {why}"));
    let mut url =
        from.join(location).map_err(|_| refused("to something that is not a URL".to_owned()))?;
    // Whoever writes a redirect has no credentials to give.
    let _ = (url.set_username(""), url.set_password(None));
    url.set_fragment(None);
    let place = url.origin().ascii_serialization();
    if from.scheme() == "https" && url.scheme() != "https" {
        return Err(refused(format!("from https to `{place}`, which is not encrypted")));
    }
    if url.origin() != from.origin() {
        if with_body && !reads {
            let shown = shown(&url);
            return Err(refused(format!(
                "a `{method}` to another origin, `{shown}`; if that is its new address, set it in \
                the configuration"
            )));
        }
        // What a body holds is meant for the service's own host.
        with_body &= url.host() == from.host();
        // Names are judged for the port of the service itself when they are resolved.
        if addresses.is_own_port(url.port_or_known_default()) {
            return Err(refused(format!("to `{place}`, a port of this server itself")));
        }
    }
    let judged = if named.contains(&url.origin()) {
        addresses.check(&url)
    } else {
        addresses.for_foreign_origin().check(&url)
    };
    judged.map_err(|why| refused(format!("to `{place}`: {why}")))?;
    Ok(Some(Hop { url, method: next_method, with_body }))
}

/// Where a redirect that was not followed leads, as an address for the configuration: without what
/// may be secret in it.
pub(super) fn location(from: &Url, headers: &HeaderMap) -> Option<String> {
    let location = headers.get(LOCATION)?.to_str().ok()?;
    let url = from.join(location).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| shown(&url))
}

fn shown(url: &Url) -> String {
    let text = format!("{}{}", url.origin().ascii_serialization(), url.path());
    cut(&text, SHOWN_BYTES_MAX).to_owned()
}

#[cfg(test)]
mod tests;
