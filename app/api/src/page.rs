//! The page's files, embedded in the binary, and the way to them from `/`.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use crate::Api;

/// No inline script, nothing from elsewhere.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      frame-ancestors 'none'; base-uri 'self'; form-action 'self'";

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/ui/services") }))
        .route("/ui", get(|| async { Redirect::temporary("/ui/services") }))
        .route("/ui/", get(|| async { Redirect::temporary("/ui/services") }))
        .route("/ui/{*path}", get(file))
}

/// A file by its name; any other path is one of the page's own and gets its frame.
async fn file(Path(path): Path<String>, headers: HeaderMap) -> Response {
    let asset = match app_web::find(&path) {
        Some(asset) => asset,
        // A missing script must not come as HTML: the browser would say something confusing.
        None if path.rsplit('/').next().is_some_and(|name| name.contains('.') && !path.starts_with("services/")) => {
            return (StatusCode::NOT_FOUND, format!("the page has no file `{path}`\n")).into_response();
        }
        None => app_web::index(),
    };
    let text = |name| headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok()).unwrap_or_default();
    let fixed = [
        (header::ETAG, asset.etag),
        // The names are fixed, so the browser must ask each time; the answer is mostly 304.
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "same-origin"),
        (header::VARY, "accept-encoding"),
    ];
    if text(header::IF_NONE_MATCH).split(',').any(|tag| tag.trim().trim_start_matches("W/") == asset.etag) {
        return (StatusCode::NOT_MODIFIED, fixed).into_response();
    }
    let kind = [(header::CONTENT_TYPE, asset.content_type)];
    if text(header::ACCEPT_ENCODING).contains("gzip") {
        let packed = [(header::CONTENT_ENCODING, "gzip")];
        return (fixed, kind, packed, asset.gzip).into_response();
    }
    (fixed, kind, asset.bytes).into_response()
}
