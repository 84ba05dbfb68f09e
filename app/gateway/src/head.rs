//! Which headers pass, which end here, and which a front adds: RFC 9110 §7.6 and RFC 9112 §3.2, §9.6 as functions on heads.
//! Knows no body and no connection.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Uri, Version};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
/// For one hop only, whether `Connection` names them or not.
const HOP_BY_HOP: [HeaderName; 6] =
    [header::CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE, header::TE];
/// `Connection` may not take these away: the next hop would see another request than the one that was judged here.
const NEEDED: [HeaderName; 3] = [header::HOST, header::CONTENT_LENGTH, header::COOKIE];

/// Why a request is not passed on: the status and a sentence for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) why: &'static str,
}

const fn refuse(status: u16, why: &'static str) -> Refusal {
    Refusal { status, why }
}

/// What is wrong with a head that parsed.
pub(crate) fn refusal(head: &Parts) -> Option<Refusal> {
    if head.method == Method::CONNECT {
        return Some(refuse(501, "CONNECT is not served: this is no forward proxy"));
    }
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Some(refuse(400, "there is more than one Host header"));
    }
    if head.uri.authority().is_none() {
        match host {
            None if head.version == Version::HTTP_11 => return Some(refuse(400, "HTTP/1.1 needs a Host header")),
            // Not parsed as an authority: an empty Host is allowed where the target has no authority.
            Some(host) if host.as_bytes().iter().any(|byte| b" \t/?#@,".contains(byte)) => {
                return Some(refuse(400, "the Host header names no host"));
            }
            _ => {}
        }
    }
    let path = head.uri.path();
    if path == "*" && head.method != Method::OPTIONS {
        return Some(refuse(400, "the target `*` belongs to OPTIONS alone"));
    }
    if head.headers.get(header::UPGRADE).is_some() && head.headers.get(header::TRANSFER_ENCODING).is_some() {
        return Some(refuse(400, "a request that upgrades has no body"));
    }
    None
}

/// The protocol that an HTTP/1.1 client asks to go over to; h2c by upgrade is withdrawn (RFC 9113 §3.1) and ignored.
pub(crate) fn upgrade(version: Version, headers: &HeaderMap) -> Option<HeaderValue> {
    let wanted = headers.get(header::UPGRADE)?;
    if version != Version::HTTP_11 || !lists(headers, &header::CONNECTION, "upgrade") {
        return None;
    }
    let is_h2c = wanted.to_str().is_ok_and(|text| text.split(',').any(|one| one.trim().eq_ignore_ascii_case("h2c")));
    (!is_h2c).then(|| wanted.clone())
}

/// Whether a gRPC client speaks.
pub(crate) fn is_grpc(head: &Parts) -> bool {
    let kind = head.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    kind.starts_with(b"application/grpc")
}

/// Turns a client's head into the one for an upstream. `peer` is the client's address as text.
pub(crate) fn to_upstream(head: &mut Parts, peer: &HeaderValue, upgrade: Option<HeaderValue>, to_h2: bool) {
    let from_h2 = head.version == Version::HTTP_2;
    let wants_trailers = lists(&head.headers, &header::TE, "trailers");
    strip(&mut head.headers);
    // Answered here, with the first byte of the body that is asked for.
    head.headers.remove(header::EXPECT);
    if let Some(authority) = head.uri.authority() {
        // An absolute target overrules Host (RFC 9112 §3.2.2); h2 has nothing else.
        if let Ok(host) = HeaderValue::from_str(without_user(authority)) {
            head.headers.insert(header::HOST, host);
        }
    }
    if from_h2 {
        join_cookies(&mut head.headers);
    }
    let host = head.headers.get(header::HOST).cloned();
    append_list(&mut head.headers, FORWARDED_FOR, peer);
    head.headers.entry(FORWARDED_PROTO).or_insert(HeaderValue::from_static("http"));
    if let Some(host) = &host {
        head.headers.entry(FORWARDED_HOST).or_insert_with(|| host.clone());
    }
    let via = if from_h2 { "2 apm-front" } else { "1.1 apm-front" };
    append_list(&mut head.headers, header::VIA, &HeaderValue::from_static(via));
    if let Some(protocol) = upgrade {
        head.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        head.headers.insert(header::UPGRADE, protocol);
    }
    if to_h2 {
        head.version = Version::HTTP_2;
        if wants_trailers {
            head.headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
        head.headers.remove(header::HOST);
        let authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
        head.uri = absolute(&head.uri, authority.unwrap_or_else(|| Authority::from_static("localhost")));
    } else {
        head.version = Version::HTTP_11;
        head.headers.entry(header::HOST).or_insert(HeaderValue::from_static(""));
        if head.uri.authority().is_some() {
            head.uri = origin(&head.uri);
        }
    }
}

/// Turns an upstream's head into the one for the client; a 101 keeps what makes it one.
pub(crate) fn to_client(head: &mut http::response::Parts) {
    let upgraded = (head.status.as_u16() == 101).then(|| head.headers.get(header::UPGRADE).cloned()).flatten();
    // The upstream's version is that of its own connection; an old one's would end the client's as well.
    head.version = Version::HTTP_11;
    strip(&mut head.headers);
    if let Some(protocol) = upgraded {
        head.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        head.headers.insert(header::UPGRADE, protocol);
    }
    append_list(&mut head.headers, header::VIA, &HeaderValue::from_static("1.1 apm-front"));
}

fn strip(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let listed: Vec<HeaderName> = headers
            .get_all(header::CONNECTION)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
            .filter(|name| !NEEDED.contains(name))
            .collect();
        for name in listed {
            headers.remove(name);
        }
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Whether a comma-separated header has the token, whatever its case.
fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|one| one.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// Adds to the end of a list that may be spread over several lines, keeping what is there.
fn append_list(headers: &mut HeaderMap, name: HeaderName, value: &HeaderValue) {
    if !headers.contains_key(&name) {
        headers.insert(name, value.clone());
        return;
    }
    let mut joined = Vec::new();
    for one in headers.get_all(&name).iter().chain([value]) {
        if !joined.is_empty() {
            joined.extend_from_slice(b", ");
        }
        joined.extend_from_slice(one.as_bytes());
    }
    if let Ok(joined) = HeaderValue::from_maybe_shared(bytes::Bytes::from(joined)) {
        headers.insert(name, joined);
    }
}

/// h2 clients may split cookies; HTTP/1.1 has one line (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(header::COOKIE).iter().count() < 2 {
        return;
    }
    let parts: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_maybe_shared(bytes::Bytes::from(parts.join(&b"; "[..]))) {
        headers.insert(header::COOKIE, joined);
    }
}

fn without_user(authority: &Authority) -> &str {
    authority.as_str().rsplit_once('@').map_or(authority.as_str(), |(_, host)| host)
}

fn origin(uri: &Uri) -> Uri {
    let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).unwrap_or_default()
}

fn absolute(uri: &Uri, authority: Authority) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    parts.path_and_query = Some(uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")));
    Uri::from_parts(parts).unwrap_or_default()
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
