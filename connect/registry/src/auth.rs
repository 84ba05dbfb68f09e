//! Who we are, as a registry wants to hear it: a password, or a token from the server that it names, kept until shortly before it runs out. Source:
//! <https://distribution.github.io/distribution/spec/auth/>, token, oauth and scope. It sends no request to the registry itself.

use std::collections::HashMap;
use std::time::Duration;

use base_http::{Payload, Request, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::call::Call;
use crate::challenge::Challenge;
use crate::place::shown;
use crate::{Client, Credentials, Kind, RateLimit, RegistryError, Result, Said};

/// A token that says nothing of its end ends after this time; the specification's own number.
const EXPIRES_S: u64 = 60;
/// The longest that a token is believed in.
const EXPIRES_S_MAX: u64 = 24 * 3600;
/// A token is asked for anew this long before its end, or after four fifths of a short life.
const MARGIN_S_MAX: u64 = 30;
const ANSWER_BYTES_MAX: usize = 1 << 20;
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
/// A registry that names thousands of scopes wants only our memory.
const TOKENS_MAX: usize = 1000;

/// What was learnt of one registry.
#[derive(Default)]
pub(crate) struct Known {
    challenge: Option<Challenge>,
    /// By what they allow.
    tokens: HashMap<String, Token>,
    pub(crate) rate: Option<RateLimit>,
}

struct Token {
    text: Secret,
    until_ns: u64,
}

impl Client {
    /// What to say at once, without having been asked: what the registry wanted the last time.
    pub(crate) async fn authorization(&self, call: &Call) -> Result<Option<String>> {
        let challenge = self.inner.known.lock().get(&call.registry).and_then(|known| known.challenge.clone());
        match challenge {
            Some(challenge) => self.authorize(call, &challenge, &call.scopes).await,
            None => Ok(None),
        }
    }

    /// What to say to a challenge; a token that we had is worth nothing any more.
    pub(crate) async fn answer_challenge(&self, call: &Call, challenge: Challenge) -> Result<Option<String>> {
        let mut scopes = call.scopes.clone();
        if let Challenge::Bearer { scope, .. } = &challenge {
            scopes.extend(scope.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned));
        }
        {
            let mut known = self.inner.known.lock();
            let known = known.entry(call.registry.clone()).or_default();
            known.tokens.remove(&joined(&call.scopes));
            known.tokens.remove(&joined(&scopes));
            known.challenge = Some(challenge.clone());
        }
        self.authorize(call, &challenge, &scopes).await
    }

    async fn authorize(&self, call: &Call, challenge: &Challenge, scopes: &[String]) -> Result<Option<String>> {
        match challenge {
            Challenge::Basic => match self.inner.logins.credentials(&call.registry).await? {
                None => Ok(None),
                Some(Credentials::Password { username, password }) => Ok(Some(basic(&username, &password))),
                Some(Credentials::Bearer { token }) => Ok(Some(format!("Bearer {}", token.expose()))),
                Some(Credentials::Identity { .. }) => Err(RegistryError::Login {
                    registry: call.registry.clone(),
                    problem: "the registry wants a name and a password, and the login is a token".to_owned(),
                }),
            },
            Challenge::Bearer { realm, service, .. } => {
                let key = joined(scopes);
                if let Some(token) = self.kept(&call.registry, &key) {
                    return Ok(Some(format!("Bearer {}", token.expose())));
                }
                let credentials = self.inner.logins.credentials(&call.registry).await?;
                if let Some(Credentials::Bearer { token }) = credentials {
                    return Ok(Some(format!("Bearer {}", token.expose())));
                }
                let token = self.fetch(call, realm, service, &key, credentials).await?;
                let header = format!("Bearer {}", token.text.expose());
                let mut known = self.inner.known.lock();
                let known = known.entry(call.registry.clone()).or_default();
                if known.tokens.len() >= TOKENS_MAX {
                    known.tokens.clear();
                }
                // Also under what the call itself asked for, so that the next one need not be refused first.
                let (text, until_ns) = (token.text.clone(), token.until_ns);
                known.tokens.insert(joined(&call.scopes), Token { text, until_ns });
                known.tokens.insert(key, token);
                Ok(Some(header))
            }
        }
    }

    fn kept(&self, registry: &str, key: &str) -> Option<Secret> {
        let now_ns = self.inner.clock.monotonic_ns();
        let known = self.inner.known.lock();
        let token = known.get(registry)?.tokens.get(key)?;
        (token.until_ns > now_ns).then(|| token.text.clone())
    }

    async fn fetch(
        &self,
        call: &Call,
        realm: &str,
        service: &str,
        scopes: &str,
        credentials: Option<Credentials>,
    ) -> Result<Token> {
        let shown_realm: String = realm.split('?').next().unwrap_or_default().chars().take(200).collect();
        let bad = |kind, reason: String| RegistryError::Token { realm: shown_realm.clone(), kind, reason };
        let mut url = Url::parse(realm).map_err(|error| bad(Kind::Invalid, error.to_string()))?;
        let plain_too = url.scheme() == "http" && call.url.scheme() == "http";
        if url.scheme() != "https" && !plain_too {
            return Err(bad(Kind::Invalid, "it is not reached over TLS, and passwords go nowhere else".to_owned()));
        }
        let mut headers = vec![("accept", "application/json".to_owned())];
        let (method, payload) = match &credentials {
            Some(Credentials::Identity { token }) => {
                let mut form = Serializer::new(String::new());
                form.append_pair("grant_type", "refresh_token").append_pair("service", service);
                form.append_pair("client_id", "apm").append_pair("scope", scopes);
                form.append_pair("refresh_token", token.expose());
                headers.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
                ("POST", Payload::Whole(Bytes::from(form.finish())))
            }
            other => {
                let mut query = url.query_pairs_mut();
                if !service.is_empty() {
                    query.append_pair("service", service);
                }
                for scope in scopes.split(' ').filter(|scope| !scope.is_empty()) {
                    query.append_pair("scope", scope);
                }
                if let Some(Credentials::Password { username, password }) = other {
                    query.append_pair("account", username);
                    headers.push(("authorization", basic(username, password)));
                }
                ("GET", Payload::None)
            }
        };
        let begun_ns = self.inner.clock.monotonic_ns();
        let request = Request {
            method,
            url: url.to_string(),
            headers,
            payload,
            head_max: ANSWER_TIME_MAX,
            silence_max: ANSWER_TIME_MAX,
        };
        let answer = self.inner.http.open(request).await.map_err(|error| bad(Kind::Transient, error.to_string()))?;
        let status = answer.status;
        let body = answer.whole(ANSWER_BYTES_MAX, ANSWER_TIME_MAX).await;
        let body = body.map_err(|error| bad(Kind::Transient, error.to_string()))?;
        if !(200..300).contains(&status) {
            let kind = match status {
                401 => Kind::Auth,
                // OAuth calls a wrong refresh token a bad request.
                400 if matches!(credentials, Some(Credentials::Identity { .. })) => Kind::Auth,
                403 => Kind::Permission,
                429 => Kind::Throttled,
                500 | 502..=504 => Kind::Transient,
                _ => Kind::Invalid,
            };
            return Err(bad(kind, Said::read(status, &body).to_string()));
        }
        token(&body, begun_ns).map_err(|reason| bad(Kind::Unknown, format!("from {}: {reason}", shown(&url))))
    }
}

/// `{"token" or "access_token", "expires_in"}`.
fn token(body: &[u8], begun_ns: u64) -> std::result::Result<Token, &'static str> {
    let answer: Value = serde_json::from_slice(body).map_err(|_| "its answer is no JSON")?;
    let text = ["token", "access_token"].iter().find_map(|key| answer[*key].as_str().filter(|text| !text.is_empty()));
    let text = text.ok_or("its answer has no token")?;
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("its token has letters that no header may have");
    }
    let expires_s =
        answer["expires_in"].as_u64().filter(|seconds| *seconds > 0).unwrap_or(EXPIRES_S).min(EXPIRES_S_MAX);
    let good_s = expires_s - (expires_s / 5).min(MARGIN_S_MAX);
    // Counted from before the question: the way takes time too.
    Ok(Token { text: Secret::new(text), until_ns: begun_ns.saturating_add(good_s * 1_000_000_000) })
}

/// The same scopes in any order are the same token.
fn joined(scopes: &[String]) -> String {
    let mut scopes = scopes.to_vec();
    scopes.sort();
    scopes.dedup();
    scopes.join(" ")
}

fn basic(username: &str, password: &Secret) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.expose())))
}
