//! One request to a registry: our authorization, the redirects that it may send us on, and the class of a refusal. It does not know which calls there are.

use std::time::Duration;

use base_http::{HttpError, Incoming, Payload, Request};
use bytes::Bytes;
use url::Url;

use crate::challenge::Challenge;
use crate::error::refusal;
use crate::place::{same_origin, shown};
use crate::{Client, RateLimit, RegistryError, Result, Said, rate};

/// Longest silence inside of a body.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// An answer read whole has this long in all.
const WHOLE_MAX: Duration = Duration::from_secs(120);
/// A refusal is a sentence.
const REFUSAL_BYTES_MAX: usize = 64 << 10;
/// Registries send to their storage, and that perhaps to a mirror.
const REDIRECTS_MAX: usize = 5;

/// A request.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) url: Url,
    /// Whose token is used.
    pub(crate) registry: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<Bytes>,
    /// What a token must allow: `repository:shop/cart:pull`.
    pub(crate) scopes: Vec<String>,
    /// For errors: "read the manifest of `shop/cart:1`".
    pub(crate) doing: String,
    /// Beside the client's limit, for calls that carry much.
    pub(crate) head_extra: Duration,
}

impl Call {
    pub(crate) fn new(method: &'static str, url: Url, registry: &str, doing: String) -> Call {
        let (headers, scopes) = (Vec::new(), Vec::new());
        let registry = registry.to_owned();
        Call { method, url, registry, headers, body: None, scopes, doing, head_extra: Duration::ZERO }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Call {
        self.headers.push((name, value.into()));
        self
    }

    /// `actions`: `pull`, `pull,push`, `delete`.
    pub(crate) fn scope(mut self, repository: &str, actions: &str) -> Call {
        self.scopes.push(format!("repository:{repository}:{actions}"));
        self
    }

    pub(crate) fn body(mut self, body: Bytes) -> Call {
        self.body = Some(body);
        self
    }
}

/// An answer, and whether the registry itself gave it.
struct Hop {
    answer: Incoming,
    own: bool,
}

impl Client {
    /// Sends it; any 2xx is an answer. Says who we are when the registry asks for it, and anew when a token has run out.
    pub(crate) async fn send(&self, call: Call) -> Result<Incoming> {
        let mut authorization = self.authorization(&call).await?;
        let mut asked = false;
        loop {
            let hop = self.hops(&call, authorization.as_deref()).await?;
            let answer = hop.answer;
            if hop.own
                && let Some(limit) = RateLimit::of(&answer)
            {
                self.inner.known.lock().entry(call.registry.clone()).or_default().rate = Some(limit);
            }
            if (200..300).contains(&answer.status) {
                return Ok(answer);
            }
            if hop.own && answer.status == 401 && !asked {
                asked = true;
                if let Some(challenge) = Challenge::best(&answer.headers("www-authenticate")) {
                    let before = authorization;
                    authorization = self.answer_challenge(&call, challenge).await?;
                    if authorization.is_some() && authorization != before {
                        continue;
                    }
                }
            }
            return Err(self.refused(&call, answer).await);
        }
    }

    async fn refused(&self, call: &Call, answer: Incoming) -> RegistryError {
        let (status, limit) = (answer.status, RateLimit::of(&answer));
        let now_ms = self.inner.clock.now_ms();
        let retry_after = answer.header("retry-after").and_then(|text| rate::retry_after(text, now_ms));
        // A refusal whose words cannot be read is still a refusal.
        let bytes = answer.whole(REFUSAL_BYTES_MAX, WHOLE_MAX).await.unwrap_or_default();
        refusal(call.doing.clone(), Said::read(status, &bytes), retry_after, limit)
    }

    /// Follows the registry to where it keeps its blobs, without our authorization as soon as that is somebody else.
    async fn hops(&self, call: &Call, authorization: Option<&str>) -> Result<Hop> {
        let mut url = call.url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let own = same_origin(&url, &call.url);
            let answer = self.hop(call, &url, authorization.filter(|_| own)).await?;
            if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(Hop { answer, own });
            }
            let to = answer.header("location").unwrap_or_default();
            let refused = |to: &str, reason: &str| RegistryError::Redirect {
                doing: call.doing.clone(),
                to: to.split('?').next().unwrap_or_default().chars().take(300).collect(),
                reason: reason.to_owned(),
            };
            let next = url.join(to).map_err(|error| refused(to, &error.to_string()))?;
            if !matches!(call.method, "GET" | "HEAD") {
                return Err(refused(&shown(&next), "only what is read may be elsewhere"));
            }
            let plain = next.scheme() != "https";
            if !matches!(next.scheme(), "http" | "https") || plain && call.url.scheme() == "https" {
                return Err(refused(&shown(&next), "it leaves TLS"));
            }
            if !next.username().is_empty() || next.password().is_some() {
                return Err(refused(&shown(&next), "it has a password in it"));
            }
            url = next;
        }
        let reason = format!("it sent us on more than {REDIRECTS_MAX} times");
        Err(RegistryError::Redirect { doing: call.doing.clone(), to: shown(&url), reason })
    }

    async fn hop(&self, call: &Call, url: &Url, authorization: Option<&str>) -> Result<Incoming> {
        let mut headers = call.headers.clone();
        // A body that was packed for the way would have another digest.
        headers.push(("accept-encoding", "identity".to_owned()));
        if let Some(authorization) = authorization {
            headers.push(("authorization", authorization.to_owned()));
        }
        let payload = match &call.body {
            Some(bytes) => Payload::Whole(bytes.clone()),
            None if matches!(call.method, "POST" | "PUT" | "PATCH") => Payload::Whole(Bytes::new()),
            None => Payload::None,
        };
        let head_max = self.inner.options.head_max + call.head_extra;
        let request =
            Request { method: call.method, url: url.to_string(), headers, payload, head_max, silence_max: SILENCE_MAX };
        self.inner.http.open(request).await.map_err(|error| trouble(&call.doing, &call.registry, error))
    }

    /// The body, at most `limit_bytes`.
    pub(crate) async fn whole(
        &self,
        answer: Incoming,
        doing: &str,
        registry: &str,
        limit_bytes: usize,
    ) -> Result<Bytes> {
        answer.whole(limit_bytes, WHOLE_MAX).await.map_err(|error| trouble(doing, registry, error))
    }
}

/// The HTTP client's trouble in a registry's words.
pub(crate) fn trouble(doing: &str, registry: &str, error: HttpError) -> RegistryError {
    let doing = doing.to_owned();
    match error {
        HttpError::Setup(error) => RegistryError::Setup { reason: error.to_string() },
        HttpError::Timeout { timeout_ms, .. } => RegistryError::Timeout { doing, after_ms: timeout_ms },
        HttpError::Connect { reason, .. } => RegistryError::NotReachable { registry: registry.to_owned(), reason },
        HttpError::TooLarge { limit_bytes, .. } => {
            RegistryError::TooLarge { doing, limit: limit_bytes as u64, unit: "bytes" }
        }
        HttpError::Broken { reason, .. } => RegistryError::Broken { doing, reason },
        error @ HttpError::TlsFile { .. } => RegistryError::Setup { reason: error.to_string() },
    }
}
