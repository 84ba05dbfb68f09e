//! `/apm/v1/session`: the page shows a token once and gets a cookie; who am I; sign out.
//!
//! The cookie holds a random id, never the token. It is HttpOnly and SameSite=Strict, and a request that changes something
//! counts only when the browser says that our own page sent it. Knows tokens and sessions by `auth` alone.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde_json::json;

use crate::auth::{Caller, Shown, host};
use crate::server::Peer;
use crate::session::AGE_SECONDS_MAX;
use crate::{Api, Role};

const BODY_BYTES_MAX: usize = 4096;
const BODY_TIME_MAX: Duration = Duration::from_secs(10);

pub(crate) fn routes() -> Router<Api> {
    Router::new().route("/apm/v1/session", get(who).post(sign_in).delete(sign_out))
}

/// A refusal in our face's form.
fn refused(status: StatusCode, message: impl Into<String>, hint: &str) -> Response {
    (status, Json(json!({"error": {"message": message.into(), "hint": hint}}))).into_response()
}

/// `{"role": "viewer"|"deployer"|"admin", "by": "cookie"|"token"|"nothing"}`; `nothing` means that this engine has no token.
async fn who(Extension(caller): Extension<Caller>) -> Response {
    let body = json!({"role": caller.role.word(), "by": caller.by.word()});
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

#[derive(serde::Deserialize)]
struct Wanted {
    token: String,
}

/// `{"token": "…"}` in; out `{"role", "expires_in_seconds"}` and the cookie.
async fn sign_in(State(api): State<Api>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    // A form of another site can post text, but not JSON: that needs our leave first.
    if !kind.starts_with("application/json") {
        return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the token must come as JSON", "send {\"token\": \"…\"}");
    }
    let text = match tokio::time::timeout(BODY_TIME_MAX, axum::body::to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(text)) => text,
        Ok(Err(_)) => {
            let why = format!("the body has more than {BODY_BYTES_MAX} bytes or broke off");
            return refused(StatusCode::PAYLOAD_TOO_LARGE, why, "a token is far shorter");
        }
        Err(_) => return refused(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time", "send it again"),
    };
    let Ok(Wanted { token }) = serde_json::from_slice(&text) else {
        return refused(StatusCode::BAD_REQUEST, "the body is no JSON object with a token", "send {\"token\": \"…\"}");
    };
    if api.tokens.is_empty() {
        // Nothing is locked, so there is nothing to hold a session for.
        return Json(json!({"role": Role::Admin.word(), "expires_in_seconds": null})).into_response();
    }
    let from: Option<IpAddr> = parts.extensions.get::<Peer>().map(|peer| peer.0);
    let now_ns = api.clock.monotonic_ns();
    if let Err(wait_seconds) = api.tokens.guesses().charge(from, now_ns) {
        let why = format!("too many wrong tokens came from here; try again in {wait_seconds} s");
        let answer = refused(StatusCode::TOO_MANY_REQUESTS, why, "the token stands in the file given by --token-file");
        return ([(header::RETRY_AFTER, wait_seconds.to_string())], answer).into_response();
    }
    match api.tokens.look(token.trim(), api.clock.now_ms()) {
        Shown::Strange => {
            tracing::warn!(?from, "a sign-in with an unknown token was refused");
            let hint = "it is APM_TOKEN of the engine, or the second word of a line in the file given by --token-file";
            refused(StatusCode::UNAUTHORIZED, "this token is not known here", hint)
        }
        Shown::Ended => {
            api.tokens.guesses().refund(from);
            let hint = "ask whoever keeps the token file for a new one";
            refused(StatusCode::UNAUTHORIZED, "token expired", hint)
        }
        Shown::Good(Role::Ingest, _) => {
            api.tokens.guesses().refund(from);
            let hint = "sign in with a token of the role viewer, deployer or admin";
            refused(StatusCode::FORBIDDEN, "this token may send telemetry but not look at it", hint)
        }
        Shown::Good(role, left_ms) => {
            api.tokens.guesses().refund(from);
            let id = api.tokens.sessions().open(role, now_ns, left_ms);
            let seconds = left_ms.map_or(AGE_SECONDS_MAX, |ms| AGE_SECONDS_MAX.min(ms / 1000));
            let cookie = cookie(&parts.headers, &parts.uri, &id, seconds);
            let body = json!({"role": role.word(), "expires_in_seconds": seconds});
            ([(header::SET_COOKIE, cookie.as_str()), (header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
        }
    }
}

async fn sign_out(State(api): State<Api>, headers: HeaderMap, uri: Uri, _: Body) -> Response {
    if let Some(id) = session_id(&headers, &uri) {
        api.tokens.sessions().close(id);
    }
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie(&headers, &uri, "", 0))]).into_response()
}

/// Browsers keep cookies by host and not by port, so two engines on one machine need two names.
fn cookie_name(headers: &HeaderMap, uri: &Uri) -> String {
    let port = host(headers, uri).and_then(|host| host.rsplit_once(':')?.1.parse::<u16>().ok());
    port.map_or_else(|| "apm_session".to_owned(), |port| format!("apm_session_{port}"))
}

fn cookie(headers: &HeaderMap, uri: &Uri, value: &str, seconds: u64) -> String {
    let name = cookie_name(headers, uri);
    // TLS may end at a proxy; the browser says how it came.
    let starts = |name, prefix: &str| {
        let value = headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
        value.is_some_and(|value| value.starts_with(prefix))
    };
    let secure = if starts(header::ORIGIN, "https://") { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

/// The id in the request's cookie of ours.
pub(crate) fn session_id<'h>(headers: &'h HeaderMap, uri: &Uri) -> Option<&'h str> {
    let name = cookie_name(headers, uri);
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, value)| *key == name && !value.is_empty())
        .map(|(_, value)| value)
}
