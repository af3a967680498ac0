//! Decides which addresses requests may go to. A host name is judged by what it resolves to, in the
//! very resolution that the connection uses, so a second DNS answer cannot lead elsewhere.

use std::{
    error::Error,
    fmt, io,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, header::ACCEPT_ENCODING};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::{
    address::{AddressClass, is_loopback, sort_of},
    encoding,
};

/// Longest wait for a connection, the handshake of TLS included.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Unused connections that are kept open to one service.
pub(in crate::catalog) const IDLE_MAX: usize = 8;
/// Time for which idle connections are kept.
const IDLE_FOR: Duration = Duration::from_secs(30);
/// Headers of an answer at the most; together they may be 400 KiB, which is the HTTP library's own
/// bound.
const HEADERS_MAX: usize = 100;
/// Addresses of one name that are looked at.
const ADDRESSES_MAX: usize = 32;

/// Turns names into addresses.
pub trait Resolver: Send + Sync + 'static {
    /// The addresses of a name, as they are at this moment.
    fn resolve(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The names that the operating system knows.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
        })
    }
}

/// An address that is not to be reached, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AddressRefused(String);

impl fmt::Display for AddressRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for AddressRefused {}

/// Reason why no HTTP client can be made, for any address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::catalog) enum ClientError {
    #[error("no address can be reached: no crypto provider is installed in this process")]
    NoCrypto,
    #[error(
        "the system's certificates cannot be read, so no HTTPS connection can be trusted: install \
        the package `ca-certificates`, or set SSL_CERT_FILE to a file with certificates (it must \
        not name one that is missing or empty)"
    )]
    NoCertificates,
}

/// Addresses that one upstream may be reached at.
#[derive(Clone)]
pub(in crate::catalog) struct AddressPolicy {
    pub(in crate::catalog) allow_private: bool,
    /// Hint that says how to allow private addresses.
    pub(in crate::catalog) private_hint: &'static str,
    pub(in crate::catalog) allow_public: bool,
    /// Addresses that this server itself listens on.
    pub(in crate::catalog) own: Vec<SocketAddr>,
    pub(in crate::catalog) resolver: Arc<dyn Resolver>,
}

impl AddressPolicy {
    /// Policy for addresses that the owner did not name: a permission for private addresses covers
    /// the configured URL, not its neighbours.
    pub(in crate::catalog) fn for_foreign_origin(&self) -> Self {
        let mut addresses = self.clone();
        if addresses.allow_private {
            addresses.allow_private = false;
            addresses.private_hint = "`allow_private` of the upstream holds for the origin that is \
                configured, not for others";
        }
        addresses
    }

    /// Judges what can be told from the URL alone: its scheme, and its host where that is an
    /// address.
    pub(in crate::catalog) fn check(&self, url: &Url) -> Result<(), String> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("the scheme `{}` is not supported", url.scheme()));
        }
        let port = url.port_or_known_default().unwrap_or_default();
        let address = match url.host() {
            None => return Err("the address has no host".to_owned()),
            Some(Host::Domain(_)) => return Ok(()),
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
        };
        self.judge(address, port).map_err(|why| format!("`{address}` is {why}"))
    }

    /// Returns true if a port is one that this server itself listens on.
    pub(in crate::catalog) fn is_own_port(&self, port: Option<u16>) -> bool {
        self.own.iter().any(|own| Some(own.port()) == port)
    }

    fn judge(&self, address: IpAddr, port: u16) -> Result<(), String> {
        let address = address.to_canonical();
        let is_here = |own: IpAddr| {
            own == address
                || is_loopback(address)
                || own.is_unspecified() && is_of_this_machine(address)
        };
        let is_own = |own: &SocketAddr| own.port() == port && is_here(own.ip().to_canonical());
        if self.own.iter().any(is_own) {
            return Err("this server itself".to_owned());
        }
        match sort_of(address) {
            AddressClass::Public if self.allow_public => Ok(()),
            AddressClass::Public => {
                Err("a public address, and the request is not encrypted".to_owned())
            }
            AddressClass::Private(_) if self.allow_private => Ok(()),
            AddressClass::Private(what) => Err(format!("{what}; {}", self.private_hint)),
            AddressClass::Never(what) => Err(format!("{what}, to which Airlock never connects")),
        }
    }

    /// A client that connects only to what the guard allows on the port of the URL, keeps so many
    /// unused connections and asks no proxy.
    pub(in crate::catalog) fn client(
        &self,
        url: &Url,
        redirects: reqwest::redirect::Policy,
        idle_max: usize,
    ) -> Result<reqwest::Client, ClientError> {
        // Without one the HTTP client panics.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(ClientError::NoCrypto);
        }
        let port = url.port_or_known_default().unwrap_or_default();
        let accepted = (ACCEPT_ENCODING, HeaderValue::from_static(encoding::ACCEPTED));
        let builder = |redirects| {
            reqwest::Client::builder()
                .redirect(redirects)
                .retry(reqwest::retry::never())
                .no_proxy()
                .dns_resolver(Arc::new(GuardedNames { addresses: self.clone(), port }))
                .connect_timeout(CONNECT_MAX)
                .pool_max_idle_per_host(idle_max)
                .pool_idle_timeout(IDLE_FOR)
                .http1_max_headers(HEADERS_MAX)
                .default_headers(HeaderMap::from_iter([accepted.clone()]))
                .user_agent(concat!("airlock/", env!("CARGO_PKG_VERSION")))
                .referer(false)
        };
        match builder(redirects).build() {
            Ok(client) => Ok(client),
            // A plain connection needs no certificates. Without any, a redirect to HTTPS fails as
            // untrusted, so it is not followed.
            Err(_) if url.scheme() == "http" => builder(reqwest::redirect::Policy::none())
                .tls_certs_only([])
                .build()
                .map_err(|_| ClientError::NoCertificates),
            Err(_) => Err(ClientError::NoCertificates),
        }
    }
}

/// Returns true if an address is one of this machine's own: only at those can anything be bound.
fn is_of_this_machine(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// Resolves names for connections to one port and gives out only what is allowed.
struct GuardedNames {
    addresses: AddressPolicy,
    port: u16,
}

impl Resolve for GuardedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let (addresses, port, name) = (self.addresses.clone(), self.port, name.as_str().to_owned());
        Box::pin(async move {
            let found = addresses.resolver.resolve(name.clone()).await?;
            let mut allowed = Vec::new();
            let mut refusal = None;
            for address in found.into_iter().take(ADDRESSES_MAX) {
                match addresses.judge(address, port) {
                    Ok(()) => allowed.push(SocketAddr::new(address, 0)),
                    Err(why) => {
                        refusal = Some(AddressRefused(format!("`{name}` is at {address}, {why}")))
                    }
                }
            }
            match refusal {
                Some(refusal) if allowed.is_empty() => {
                    Err(Box::new(refusal) as Box<dyn Error + Send + Sync>)
                }
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

/// Reason of the address policy, if it is the cause of an error.
pub(in crate::catalog) fn refusal(error: &(dyn Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref::<AddressRefused>() {
            return Some(refused.to_string());
        }
        cause = error.source();
    }
    None
}
