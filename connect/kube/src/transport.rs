//! The connections to an API server: TCP with keepalive, through a proxy or not, TLS over it, kept for the next call. It knows no login but a
//! certificate.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::ServerName;

use crate::find::Found;

const CONNECT_MAX: Duration = Duration::from_secs(10);
/// A peer that is gone without a word is noticed after 15 + 3 × 5 seconds: a watch may hear nothing for minutes.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_AGAIN: Duration = Duration::from_secs(5);
const KEEPALIVE_TIMES: u32 = 3;
/// Shorter than what a balancer in front of the server keeps an idle connection for.
const IDLE_MAX: Duration = Duration::from_secs(50);

type Pool<C> = Client<HttpsConnector<C>, Full<Bytes>>;

/// Cheap to clone; the clones share their connections.
#[derive(Clone)]
pub(crate) enum Transport {
    Direct(Pool<HttpConnector>),
    Tunnel(Pool<Tunnel<HttpConnector>>),
    Socks(Pool<SocksV5<HttpConnector>>),
}

impl Transport {
    pub(crate) fn new(found: &Found, tls: rustls::ClientConfig) -> Result<Self, String> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_MAX));
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE_AGAIN));
        tcp.set_keepalive_retries(Some(KEEPALIVE_TIMES));
        let mut secure = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        if let Some(name) = &found.tls.server_name {
            let name = ServerName::try_from(name.clone()).map_err(|_| "`tls-server-name` is no name of a host")?;
            secure = secure.with_server_name_resolver(FixedServerNameResolver::new(name));
        }
        let secure = secure.enable_http1();
        let server: Uri = found.server.parse().map_err(|_| "the server's address is none")?;
        let Some(proxy) = proxy(found, &server)? else {
            return Ok(Self::Direct(pool().build(secure.wrap_connector(tcp))));
        };
        if proxy.uri().scheme_str().is_some_and(|scheme| scheme.starts_with("socks5")) {
            let mut socks = SocksV5::new(proxy.uri().clone(), tcp);
            if let Some((user, password)) = proxy.raw_auth() {
                socks = socks.with_auth(user.to_owned(), password.to_owned());
            }
            return Ok(Self::Socks(pool().build(secure.wrap_connector(socks))));
        }
        let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
        if let Some(login) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(login.clone());
        }
        Ok(Self::Tunnel(pool().build(secure.wrap_connector(tunnel))))
    }

    /// A connection that had closed before the request was written is replaced by another; a request that was written is never sent again.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Error> {
        match self {
            Self::Direct(pool) => pool.request(request).await,
            Self::Tunnel(pool) => pool.request(request).await,
            Self::Socks(pool) => pool.request(request).await,
        }
    }
}

fn pool() -> hyper_util::client::legacy::Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(8);
    builder
}

/// The kubeconfig's, else what the environment says of this server.
fn proxy(found: &Found, server: &Uri) -> Result<Option<hyper_util::client::proxy::matcher::Intercept>, String> {
    let [https, http, no] = found.surrounding_proxies.clone().map(Option::unwrap_or_default);
    let matcher = match &found.proxy {
        Some(proxy) => {
            check_proxy(proxy)?;
            Matcher::builder().all(proxy.clone()).build()
        }
        // As kubectl: a server on this machine is never asked through a proxy.
        None if server.host().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]")) => {
            return Ok(None);
        }
        None => Matcher::builder().https(https).http(http).no(no).build(),
    };
    let proxy = matcher.intercept(server);
    match &proxy {
        Some(proxy) if !matches!(proxy.uri().scheme_str(), Some("http" | "socks5" | "socks5h")) => {
            Err("a proxy must be http:// or socks5://".into())
        }
        _ => Ok(proxy),
    }
}

/// `Err` says what is wrong, without a login that may stand in it.
pub(crate) fn check_proxy(proxy: &str) -> Result<(), String> {
    let url = url::Url::parse(proxy).map_err(|error| format!("`proxy-url` is no address: {error}"))?;
    match url.scheme() {
        "http" | "socks5" | "socks5h" => Ok(()),
        other => Err(format!("`proxy-url` begins with {other}:, not with http: or socks5:")),
    }
}
