//! Who may do what: bearer tokens (or the password of basic auth) with four roles.
//!
//! Without any token the engine listens on loopback only (the caller sees to that) and everybody there is an admin; then a
//! page of another site must not use the browser as its hand, so a request whose `Host` is no loopback name (DNS
//! rebinding) or whose `Origin` is another site is refused. Never logs a token.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What a token allows. An admin may do all; each other role only its own, and everybody with a token may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Viewer,
    Ingest,
    Deployer,
    Admin,
}

/// The tokens an engine knows.
#[derive(Clone, Default)]
pub struct Tokens(Vec<(Role, String)>);

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
}

impl Tokens {
    /// One `role token` a line; a token alone is an admin's; `#` begins a comment.
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
            tokens.push((role, token.to_owned()));
        }
        Ok(Tokens(tokens))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Looks at every token in full, whatever matches, so that time tells nothing.
    fn role_of(&self, given: &str) -> Option<Role> {
        let mut found = None;
        for (role, token) in &self.0 {
            if same(token.as_bytes(), given.as_bytes()) {
                found = Some(*role);
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
        "/" | "/-/ready" | "/-/healthy" => None,
        _ if path.starts_with("/-/") => Some(Role::Admin),
        "/api/v1/write" | "/loki/api/v1/push" | "/api/v1/otlp/v1/metrics" => Some(Role::Ingest),
        _ if path.starts_with("/v1/") || path.starts_with("/opentelemetry.") || path.starts_with("/otlp/") => {
            Some(Role::Ingest)
        }
        _ if path.starts_with("/apm/v1/") && !is_get => Some(Role::Deployer),
        _ => Some(Role::Viewer),
    }
}

/// The middleware; lets a request through or answers it.
pub(crate) async fn guard(State(tokens): State<Tokens>, request: Request, next: Next) -> Response {
    match check(&tokens, request.headers(), request.uri(), request.method().is_safe()) {
        Ok(()) => next.run(request).await,
        Err((status, why)) => {
            let body = format!("{why}\n");
            let mut response = (status, body).into_response();
            if status == StatusCode::UNAUTHORIZED {
                let challenge = header::HeaderValue::from_static("Basic realm=\"apm\", Bearer");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            response
        }
    }
}

fn check(tokens: &Tokens, headers: &HeaderMap, uri: &Uri, is_get: bool) -> Result<(), (StatusCode, &'static str)> {
    if tokens.is_empty() {
        return check_local(headers, uri);
    }
    let Some(needed) = needed(uri, is_get) else { return Ok(()) };
    let given =
        credential(headers).ok_or((StatusCode::UNAUTHORIZED, "a token is wanted: `Authorization: Bearer …`"))?;
    match tokens.role_of(&given) {
        None => Err((StatusCode::UNAUTHORIZED, "this token is not known here")),
        Some(Role::Admin) => Ok(()),
        Some(role) if role == needed || (needed == Role::Viewer && role == Role::Deployer) => Ok(()),
        Some(_) => Err((StatusCode::FORBIDDEN, "this token's role does not allow that")),
    }
}

fn check_local(headers: &HeaderMap, uri: &Uri) -> Result<(), (StatusCode, &'static str)> {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    // HTTP/2 has no Host header but an authority.
    let host = text(header::HOST).or_else(|| uri.authority().map(|a| a.as_str())).unwrap_or("localhost");
    if !is_local_name(host) {
        return Err((
            StatusCode::FORBIDDEN,
            "this engine has no token, so it answers to localhost and addresses only, not to a host name; \
             start it with --token-file to reach it by name",
        ));
    }
    match text(header::ORIGIN).and_then(|origin| origin.split_once("://")) {
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
mod tests {
    use super::*;

    const FILE: &str =
        "# ours\nviewer viewer-token-0123456789\ningest ingest-token-0123456789\nadmin-token-0123456789\n";

    fn status(tokens: &Tokens, headers: &[(&str, &str)], method: &str, path: &str) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(header::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        match check(tokens, &map, &path.parse().unwrap(), method == "GET") {
            Ok(()) => 200,
            Err((status, _)) => status.as_u16(),
        }
    }

    #[test]
    fn roles() {
        let tokens = Tokens::parse(FILE).unwrap();
        let bearer = |token: &str| format!("Bearer {token}-token-0123456789");
        let basic = format!("Basic {}", STANDARD.encode("me:viewer-token-0123456789"));
        let table = [
            ("", "GET", "/api/v1/query", 401),
            ("Bearer nobody", "GET", "/api/v1/query", 401),
            (&bearer("viewer"), "GET", "/api/v1/query", 200),
            (&basic, "POST", "/api/v1/query", 200),
            (&bearer("viewer"), "POST", "/api/v1/write", 403),
            (&bearer("viewer"), "POST", "/-/flush", 403),
            (&bearer("ingest"), "POST", "/v1/traces", 200),
            (&bearer("ingest"), "GET", "/api/v1/query", 403),
            (&bearer("admin"), "POST", "/-/flush", 200),
            ("", "GET", "/-/ready", 200),
            ("", "GET", "/metrics", 401),
        ];
        for (given, method, path, expected) in table {
            let headers = if given.is_empty() { vec![] } else { vec![("authorization", given)] };
            assert_eq!(status(&tokens, &headers, method, path), expected, "{given} {method} {path}");
        }
    }

    #[test]
    fn without_a_token_other_sites_stay_out() {
        let none = Tokens::default();
        let table = [
            (vec![("host", "127.0.0.1:4300")], 200),
            (vec![("host", "[::1]:4300")], 200),
            (vec![("host", "localhost:4300"), ("origin", "http://localhost:4300")], 200),
            (vec![("host", "evil.example:4300")], 403),
            (vec![("host", "localhost:4300"), ("origin", "http://evil.example")], 403),
            (vec![("host", "localhost:4300"), ("origin", "http://localhost:9999")], 403),
        ];
        for (headers, expected) in table {
            assert_eq!(status(&none, &headers, "POST", "/v1/traces"), expected, "{headers:?}");
        }
    }

    #[test]
    fn token_files_are_checked() {
        assert_eq!(Tokens::parse("boss 0123456789abcdef").err(), Some(TokenError::Role { line: 1 }));
        assert_eq!(Tokens::parse("\nviewer short").err(), Some(TokenError::Short { line: 2 }));
    }
}
