//! The one outgoing HTTP client: TLS, authorization, redirects, time and size limits, in the words of Prometheus's
//! `http_config`. Retrying is the caller's: only it knows what may be done twice. Never shows a secret.

pub mod body;
mod config;
mod stream;

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use body::root_cause as cause;
pub use config::{Authorization, BasicAuth, HttpConfig, Secret, TlsConfig, TlsFiles};
pub use stream::{Incoming, Payload, Request};

/// A client for one `http_config`; cheap to clone, keeps its connections.
#[derive(Clone, Debug)]
pub struct Client {
    inner: reqwest::Client,
    config: HttpConfig,
}

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    /// `Retry-After` in seconds; one that is a date counts as not there.
    pub retry_after: Option<Duration>,
    pub body: Bytes,
}

/// Limits of one request.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From connecting to the last byte.
    pub timeout: Duration,
    /// Of the body, unpacked.
    pub body_bytes: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("the HTTP client could not be set up")]
    Setup(#[source] reqwest::Error),
    #[error("`{key}` of tls_config cannot be used: {reason}")]
    TlsFile { key: &'static str, reason: String },
    #[error("{url} did not answer within {timeout_ms} ms")]
    Timeout { url: String, timeout_ms: u128 },
    #[error("{url} cannot be reached: {reason}")]
    Connect { url: String, reason: String },
    #[error("the answer of {url} has more than {limit_bytes} bytes")]
    TooLarge { url: String, limit_bytes: usize },
    #[error("{url}: {reason}")]
    Broken { url: String, reason: String },
}

impl Client {
    pub fn new(config: HttpConfig) -> Result<Self, HttpError> {
        Self::built(config, true, &TlsFiles::default())
    }

    /// With what stands in the files that the configuration names.
    pub fn with_files(config: HttpConfig, files: &TlsFiles) -> Result<Self, HttpError> {
        Self::built(config, true, files)
    }

    /// For [`Client::open`]: no redirect is followed and no body unpacked, so that a body is what its digest says.
    pub fn verbatim(tls_config: TlsConfig) -> Result<Self, HttpError> {
        Self::built(
            HttpConfig { follow_redirects: false, tls_config, ..HttpConfig::default() },
            false,
            &TlsFiles::default(),
        )
    }

    fn built(config: HttpConfig, unpack: bool, files: &TlsFiles) -> Result<Self, HttpError> {
        let bad = |key| move |error: reqwest::Error| HttpError::TlsFile { key, reason: cause(&error) };
        let none = |key| HttpError::TlsFile { key, reason: "there is nothing in PEM in it".to_owned() };
        let tls = &config.tls_config;
        let authorities = files.authority.as_deref().map(reqwest::Certificate::from_pem_bundle).transpose();
        let authorities = authorities.map_err(bad("ca_file"))?;
        if authorities.as_ref().map_or(!tls.ca_file.is_empty(), Vec::is_empty) {
            return Err(none("ca_file"));
        }
        let identity = files.identity.as_deref().map(reqwest::Identity::from_pem).transpose();
        let identity = identity.map_err(bad("cert_file"))?;
        if identity.is_none() && !(tls.cert_file.is_empty() && tls.key_file.is_empty()) {
            return Err(none("cert_file"));
        }
        let redirects = || match config.follow_redirects {
            true => reqwest::redirect::Policy::limited(10),
            false => reqwest::redirect::Policy::none(),
        };
        let builder = || {
            let builder = reqwest::Client::builder();
            let builder = identity.iter().cloned().fold(builder, reqwest::ClientBuilder::identity);
            let builder = match &authorities {
                Some(authorities) => builder.tls_certs_only(authorities.iter().cloned()),
                None => builder,
            };
            builder
                .user_agent(concat!("apm/", env!("CARGO_PKG_VERSION")))
                .redirect(redirects())
                .gzip(unpack)
                .pool_idle_timeout(Duration::from_secs(90))
                .danger_accept_invalid_certs(config.tls_config.insecure_skip_verify)
        };
        // A machine without certificates of authorities (a small image) can still ask where there is no TLS.
        let inner = builder().build().or_else(|_| builder().tls_certs_only([]).build()).map_err(HttpError::Setup)?;
        Ok(Client { inner, config })
    }

    /// A GET with extra headers; any status is an answer.
    pub async fn get(&self, url: &str, headers: &[(&str, &str)], limits: Limits) -> Result<Answer, HttpError> {
        let mut request = self.inner.get(url).timeout(limits.timeout);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(url, request, limits).await
    }

    /// A POST; any status is an answer.
    pub async fn post(
        &self,
        url: &str,
        content_type: &str,
        body: impl Into<Bytes>,
        limits: Limits,
    ) -> Result<Answer, HttpError> {
        let request = self.inner.post(url).timeout(limits.timeout).header("content-type", content_type);
        self.send(url, request.body(body.into()), limits).await
    }

    /// The same with extra headers.
    pub async fn post_with(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        content_type: &str,
        body: impl Into<Bytes>,
        limits: Limits,
    ) -> Result<Answer, HttpError> {
        let mut request = self.inner.post(url).timeout(limits.timeout).header("content-type", content_type);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(url, request.body(body.into()), limits).await
    }

    /// The same by another method: `PUT`, `DELETE`.
    pub async fn request(
        &self,
        method: &str,
        url: &str,
        content_type: &str,
        body: impl Into<Bytes>,
        limits: Limits,
    ) -> Result<Answer, HttpError> {
        let wrong = |reason: String| HttpError::Broken { url: url.to_owned(), reason };
        let method = method.parse::<reqwest::Method>().map_err(|error| wrong(error.to_string()))?;
        let request = self.inner.request(method, url).timeout(limits.timeout).header("content-type", content_type);
        self.send(url, request.body(body.into()), limits).await
    }

    async fn send(&self, url: &str, mut request: reqwest::RequestBuilder, limits: Limits) -> Result<Answer, HttpError> {
        if let Some(basic) = &self.config.basic_auth {
            request = request.basic_auth(&basic.username, Some(basic.password.expose()));
        }
        if let Some(auth) = self.config.authorization.as_ref().filter(|auth| auth.credentials_file.is_empty()) {
            request = request.header("authorization", format!("{} {}", auth.kind, auth.credentials.expose()));
        }
        let mut response = request.send().await.map_err(|error| told(url, &error, limits))?;
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let retry_after = header("retry-after").and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let content_type = header("content-type").unwrap_or_default().to_owned();
        let status = response.status().as_u16();
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| told(url, &error, limits))? {
            if body.len() + chunk.len() > limits.body_bytes {
                return Err(HttpError::TooLarge { url: url.to_owned(), limit_bytes: limits.body_bytes });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, content_type, retry_after, body: body.freeze() })
    }
}

fn told(url: &str, error: &reqwest::Error, limits: Limits) -> HttpError {
    let (url, reason) = (url.to_owned(), cause(error));
    if error.is_timeout() {
        HttpError::Timeout { url, timeout_ms: limits.timeout.as_millis() }
    } else if error.is_connect() {
        HttpError::Connect { url, reason }
    } else {
        HttpError::Broken { url, reason }
    }
}
