//! Who may do what: bearer tokens (or the password of basic auth, or a session that one opened) with four roles.
//!
//! Without any token the engine listens on loopback only (the caller sees to that) and everybody there is an admin; then a
//! page of another site must not use the browser as its hand, so a request whose `Host` is no loopback name (DNS
//! rebinding) or whose `Origin` is another site is refused. Never logs a token.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base_world::Clock;
use base_world::os::OsRandom;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::session::{Guesses, Sessions};
use crate::sign_in::session_id;

/// Our page sends it with all it asks: it has a form of its own, and the browser's must not stand over it.
const PAGE: HeaderName = HeaderName::from_static("x-apm-page");

/// What a token allows. An admin may do all, a deployer also look; a viewer only looks, and an ingester only sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Viewer,
    Ingest,
    Deployer,
    Admin,
}

impl Role {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Ingest => "ingest",
            Role::Deployer => "deployer",
            Role::Admin => "admin",
        }
    }
}

/// Who sent a request that was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) role: Role,
    pub(crate) by: By,
}

/// What a caller showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// This engine has no token.
    Nothing,
    Token,
    Cookie,
}

impl By {
    pub(crate) fn word(self) -> &'static str {
        match self {
            By::Nothing => "nothing",
            By::Token => "token",
            By::Cookie => "cookie",
        }
    }
}

/// The tokens an engine knows, and the sessions they opened. Cheap to clone; clones share the sessions.
#[derive(Clone)]
pub struct Tokens(Arc<Known>);

struct Known {
    tokens: Vec<Token>,
    sessions: Sessions,
    guesses: Guesses,
}

#[derive(Clone)]
struct Token {
    role: Role,
    secret: String,
    /// Unix milliseconds; `None` is for ever.
    ends_ms: Option<i64>,
}

impl Token {
    fn has_ended(&self, now_ms: i64) -> bool {
        self.ends_ms.is_some_and(|ends_ms| ends_ms <= now_ms)
    }
}

/// Whether a token is one of ours, and what it is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// And for how many milliseconds more, if not for ever.
    Good(Role, Option<u64>),
    /// It was one until its time was over.
    Ended,
    Strange,
}

impl Default for Tokens {
    fn default() -> Self {
        Tokens::of(Vec::new())
    }
}

/// Why a token text could not be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error(
        "line {line} of the token file names an unknown role; write `viewer`, `ingest`, `deployer` or `admin`, a space, and the token"
    )]
    Role { line: usize },
    #[error(
        "line {line} of the token file has a token of under 16 characters; `openssl rand -hex 32` makes a good one"
    )]
    Short { line: usize },
    #[error(
        "line {line} of the token file says `{said}` behind the token, which is no time; write when it ends, such as `2027-01-01T00:00:00Z`"
    )]
    Ends { line: usize, said: String },
}

impl Tokens {
    /// One `role token` a line, or `role token 2027-01-01T00:00:00Z` for one that ends then (RFC 3339); a token alone is an admin's and `#`
    /// begins a comment.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let mut tokens = Vec::new();
        for (i, line) in text.lines().enumerate() {
            let line_number = i + 1;
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let (role, token) = match (words.next(), words.next()) {
                (None, _) => continue,
                (Some(token), None) => (Role::Admin, token),
                (Some("viewer"), Some(token)) => (Role::Viewer, token),
                (Some("ingest"), Some(token)) => (Role::Ingest, token),
                (Some("deployer"), Some(token)) => (Role::Deployer, token),
                (Some("admin"), Some(token)) => (Role::Admin, token),
                (Some(_), Some(_)) => return Err(TokenError::Role { line: line_number }),
            };
            if token.len() < 16 {
                return Err(TokenError::Short { line: line_number });
            }
            let ends = words.next();
            let bad = |said: &str| TokenError::Ends { line: line_number, said: said.to_owned() };
            let ends_ms = ends.map(|said| said.parse::<jiff::Timestamp>().map_err(|_| bad(said))).transpose()?;
            if let Some(more) = words.next() {
                return Err(bad(more));
            }
            let ends_ms = ends_ms.map(jiff::Timestamp::as_millisecond);
            tokens.push(Token { role, secret: token.to_owned(), ends_ms });
        }
        Ok(Tokens::of(tokens))
    }

    /// The same tokens and one more. Sessions are not carried over.
    pub fn and(&self, role: Role, token: &str) -> Self {
        let mut tokens = self.0.tokens.clone();
        tokens.push(Token { role, secret: token.to_owned(), ends_ms: None });
        Tokens::of(tokens)
    }

    /// Session ids are secrets, so they come from the system's generator and from no seed.
    fn of(tokens: Vec<Token>) -> Self {
        let sessions = Sessions::new(Box::new(OsRandom));
        Tokens(Arc::new(Known { tokens, sessions, guesses: Guesses::default() }))
    }

    pub fn is_empty(&self) -> bool {
        self.0.tokens.is_empty()
    }

    /// A token with which this engine can ask itself, if it wants one at all and has one that may look; of several the one that lasts.
    pub fn for_looking(&self) -> Option<&str> {
        let may_look = |token: &&Token| matches!(token.role, Role::Viewer | Role::Deployer | Role::Admin);
        let lasts = |token: &&Token| std::cmp::Reverse(token.ends_ms.unwrap_or(i64::MAX));
        self.0.tokens.iter().filter(may_look).min_by_key(lasts).map(|token| token.secret.as_str())
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    pub(crate) fn guesses(&self) -> &Guesses {
        &self.0.guesses
    }

    /// Looks at every token in full, whatever matches, so that time tells nothing.
    pub(crate) fn look(&self, given: &str, now_ms: i64) -> Shown {
        let mut found = Shown::Strange;
        for token in &self.0.tokens {
            if !same(token.secret.as_bytes(), given.as_bytes()) {
                continue;
            }
            if !token.has_ended(now_ms) {
                let left_ms = token.ends_ms.map(|ends_ms| ends_ms.abs_diff(now_ms));
                found = Shown::Good(token.role, left_ms);
            } else if found == Shown::Strange {
                found = Shown::Ended;
            }
        }
        found
    }
}

fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |acc, (x, y)| acc | (x ^ y)) == 0
}

/// What a path asks for. Health and the page's own files are open: they hold no data.
fn needed(uri: &Uri, is_get: bool) -> Option<Role> {
    let path = uri.path();
    match path {
        "/" | "/ui" | "/-/ready" | "/-/healthy" => None,
        _ if path.starts_with("/ui/") => None,
        // Signing in needs no role, and signing out none that is left.
        "/apm/v1/session" if !is_get => None,
        _ if path.starts_with("/-/") || path.starts_with("/api/v1/admin/") => Some(Role::Admin),
        "/api/v1/write" | "/loki/api/v1/push" | "/api/v1/otlp/v1/metrics" => Some(Role::Ingest),
        _ if path.starts_with("/v1/") || path.starts_with("/opentelemetry.") || path.starts_with("/otlp/") => {
            Some(Role::Ingest)
        }
        _ if path.starts_with("/apm/v1/") && !is_get => Some(Role::Deployer),
        _ => Some(Role::Viewer),
    }
}

/// The middleware; lets a request through, with its [`Caller`] if it needed one, or answers it.
pub(crate) async fn guard(
    State((tokens, clock)): State<(Tokens, Arc<dyn Clock>)>,
    mut request: Request,
    next: Next,
) -> Response {
    let is_safe = request.method().is_safe();
    let now = Now { ns: clock.monotonic_ns(), ms: clock.now_ms() };
    match check(&tokens, now, request.headers(), request.uri(), is_safe) {
        Ok(caller) => {
            if let Some(caller) = caller {
                request.extensions_mut().insert(caller);
            }
            next.run(request).await
        }
        Err((status, why)) => {
            let mut response = refusal(request.uri(), status, why);
            if status == StatusCode::UNAUTHORIZED && !request.headers().contains_key(PAGE) {
                let challenge = header::HeaderValue::from_static("Basic realm=\"apm\", Bearer");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            response
        }
    }
}

/// In the words of the face that was asked.
fn refusal(uri: &Uri, status: StatusCode, why: &str) -> Response {
    let path = uri.path();
    if !["/apm/v1/deployments", "/apm/v1/promotions"].iter().any(|face| path.starts_with(face))
        && path != "/apm/v1/openapi.json"
    {
        return (status, format!("{why}\n")).into_response();
    }
    let code = match status {
        StatusCode::FORBIDDEN => "forbidden",
        _ if why == ENDED => "token-expired",
        _ => "unauthorized",
    };
    let report =
        base_explain::Report::new(why).hint("a token of the role `viewer` looks, of `deployer` or `admin` changes");
    (status, axum::Json(crate::deployments::refused_body(code, &report))).into_response()
}

type Refused = (StatusCode, &'static str);

const ELSEWHERE: Refused =
    (StatusCode::FORBIDDEN, "this did not come from the engine's own page; a program sends its token as a bearer");

/// The two clocks: sessions run by the one that never goes back, tokens end by the calendar.
#[derive(Clone, Copy)]
struct Now {
    ns: u64,
    ms: i64,
}

/// A token that was good once.
const ENDED: &str = "token expired: ask whoever keeps the token file for a new one";

fn check(tokens: &Tokens, now: Now, headers: &HeaderMap, uri: &Uri, is_safe: bool) -> Result<Option<Caller>, Refused> {
    if tokens.is_empty() {
        check_local(headers, uri)?;
        return Ok(Some(Caller { role: Role::Admin, by: By::Nothing }));
    }
    let Some(needed) = needed(uri, is_safe) else {
        // Nobody is made to sign in or out by a page of another site.
        let strange = uri.path().starts_with("/apm/") && !from_our_page(headers, uri).unwrap_or(true);
        return if strange { Err(ELSEWHERE) } else { Ok(None) };
    };
    let caller = match credential(headers) {
        Some(given) => match tokens.look(&given, now.ms) {
            Shown::Good(role, _) => Caller { role, by: By::Token },
            Shown::Ended => return Err((StatusCode::UNAUTHORIZED, ENDED)),
            Shown::Strange => return Err((StatusCode::UNAUTHORIZED, "this token is not known here")),
        },
        None => {
            let id = session_id(headers, uri)
                .ok_or((StatusCode::UNAUTHORIZED, "a token is wanted: `Authorization: Bearer …`"))?;
            let role = tokens.sessions().role_of(id, now.ns);
            let role = role.ok_or((StatusCode::UNAUTHORIZED, "this session has ended; sign in again"))?;
            // A cookie comes along whoever makes the browser ask. SameSite=Strict keeps other sites out, but not another
            // port of this host: what changes something must say that it is our page's.
            if !is_safe && from_our_page(headers, uri) != Some(true) {
                return Err(ELSEWHERE);
            }
            Caller { role, by: By::Cookie }
        }
    };
    match caller.role {
        Role::Admin => Ok(Some(caller)),
        role if role == needed || (needed == Role::Viewer && role == Role::Deployer) => Ok(Some(caller)),
        _ => Err((StatusCode::FORBIDDEN, "this token's role does not allow that")),
    }
}

/// Whether the browser says that the request is our page's own; `None` when it says nothing, as a program does.
///
/// `Sec-Fetch-Site` is right behind any proxy, but comes only over TLS and from localhost; `Origin` comes with every POST.
/// No script can set either.
pub(crate) fn from_our_page(headers: &HeaderMap, uri: &Uri) -> Option<bool> {
    if let Some(site) = text(headers, HeaderName::from_static("sec-fetch-site")) {
        return Some(site == "same-origin");
    }
    let origin = text(headers, header::ORIGIN)?;
    Some(origin.split_once("://").is_some_and(|(_, authority)| Some(authority) == host(headers, uri)))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// `host:port` as the client named it. HTTP/2 has no Host header but an authority.
pub(crate) fn host<'r>(headers: &'r HeaderMap, uri: &'r Uri) -> Option<&'r str> {
    text(headers, header::HOST).or_else(|| uri.authority().map(|authority| authority.as_str()))
}

fn check_local(headers: &HeaderMap, uri: &Uri) -> Result<(), Refused> {
    let host = host(headers, uri).unwrap_or("localhost");
    if !is_local_name(host) {
        return Err((
            StatusCode::FORBIDDEN,
            "this engine has no token, so it answers to localhost and addresses only, not to a host name; \
             start it with --token-file to reach it by name",
        ));
    }
    match text(headers, header::ORIGIN).and_then(|origin| origin.split_once("://")) {
        Some((_, authority)) if authority != host => {
            Err((StatusCode::FORBIDDEN, "a page of another site may not use this engine; start it with --token-file"))
        }
        _ => Ok(()),
    }
}

fn is_local_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => return rest.split_once(']').is_some_and(|(ip, _)| ip.parse::<std::net::Ipv6Addr>().is_ok()),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || name.parse::<std::net::IpAddr>().is_ok()
}

fn credential(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(rest.trim()).ok())??;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':').map(|(_, password)| password.to_owned())
}

#[cfg(test)]
mod tests;
