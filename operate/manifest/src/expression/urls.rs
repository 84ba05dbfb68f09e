//! Kubernetes' library of URLs, taken apart as Go's `url.ParseRequestURI` does: an absolute URL or an absolute path.

use std::collections::BTreeMap;
use std::sync::Arc;

use lib_cel::{Cx, EvalError, Key, Run, Value};

use super::{Out, no, opaque, own, wrap};

#[derive(Debug, PartialEq)]
pub(super) struct Url {
    scheme: String,
    host: String,
    path: String,
    query: String,
}
opaque!(Url, "kubernetes.URL");

pub(super) const FUNCTIONS: &[(&str, Run)] = &[
    ("url(string) -> kubernetes.URL", url),
    ("isURL(string) -> bool", |_, args| match args {
        [Value::Text(text)] => Ok(Value::Bool(parse(text).is_some())),
        _ => no("isURL"),
    }),
    ("kubernetes.URL.getScheme() -> string", |_, args| of(args, |url| Value::from(url.scheme.as_str()))),
    ("kubernetes.URL.getHost() -> string", |_, args| of(args, |url| Value::from(url.host.as_str()))),
    ("kubernetes.URL.getHostname() -> string", |_, args| of(args, |url| Value::from(hostname(&url.host)))),
    ("kubernetes.URL.getPort() -> string", |_, args| of(args, |url| Value::from(port(&url.host)))),
    ("kubernetes.URL.getEscapedPath() -> string", |_, args| of(args, |url| Value::from(escaped(&url.path)))),
    ("kubernetes.URL.getQuery() -> map<string, list<string>>", |_, args| of(args, |url| query(&url.query))),
];

fn of(args: &[Value], f: impl Fn(&Url) -> Value) -> Out {
    match args {
        [url] => own::<Url>(url).map_or_else(|| no("kubernetes.URL"), |url| Ok(f(url))),
        _ => no("kubernetes.URL"),
    }
}

fn url(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let [Value::Text(text)] = args else { return no("url") };
    cx.pay_text(text.len())?;
    parse(text).map(wrap).ok_or_else(|| {
        EvalError::fails(format!(
            "URL parse error during conversion from string: parse {text:?}: invalid URI for request"
        ))
    })
}

/// Each `%` leads two hexadecimal digits.
fn percents_fine(text: &str) -> bool {
    text.split('%').skip(1).all(|tail| tail.len() >= 2 && tail.bytes().take(2).all(|b| b.is_ascii_hexdigit()))
}

pub(super) fn parse(text: &str) -> Option<Url> {
    if text.is_empty() || text.bytes().any(|b| b < 0x20 || b == 0x7f) {
        return None;
    }
    if text == "*" {
        return Some(Url { scheme: String::new(), host: String::new(), path: "*".to_owned(), query: String::new() });
    }
    let (scheme, rest) = scheme(text)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let url = |host: &str, path: &str| Url {
        scheme: scheme.to_ascii_lowercase(),
        host: host.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
    };
    if !rest.starts_with('/') {
        // As `mailto:a@b`: opaque.
        return (!scheme.is_empty()).then(|| url("", ""));
    }
    // Without a scheme, `//host/path` is a path.
    let (authority, path) = match rest.strip_prefix("//").filter(|_| !scheme.is_empty() && !rest.starts_with("///")) {
        Some(tail) => tail.split_at_checked(tail.find('/').unwrap_or(tail.len()))?,
        None if !scheme.is_empty() && rest.starts_with("///") => ("", rest.get(2..)?),
        None => ("", rest),
    };
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let user_fine = user.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&b));
    (user_fine && percents_fine(user) && host_fine(host) && percents_fine(path)).then(|| url(host, path))
}

/// Before the first `:`, if it is a scheme; nothing of what begins with a `:` or has a sign that none has.
fn scheme(text: &str) -> Option<(&str, &str)> {
    for (at, c) in text.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if at > 0 => {}
            ':' if at > 0 => return Some((text.get(..at)?, text.get(at + 1..)?)),
            ':' => return None,
            _ => break,
        }
    }
    Some(("", text))
}

fn host_fine(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(inside) => match inside.split_once(']') {
            Some((inside, port)) => {
                return inside
                    .bytes()
                    .all(|b| b.is_ascii_hexdigit() || b":.%-_~".contains(&b) || b.is_ascii_alphanumeric())
                    && (port.is_empty()
                        || port.strip_prefix(':').is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit())));
            }
            None => return false,
        },
        None => host.rsplit_once(':').unwrap_or((host, "")),
    };
    let name_fine =
        name.bytes().all(|b| !b.is_ascii() || b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]<>\"%".contains(&b));
    // Of a host only bytes that are no ASCII may be written in percents.
    let escapes = name.split('%').skip(1).all(|tail| matches!(tail.as_bytes(), [b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F', second, ..] if second.is_ascii_hexdigit()));
    name_fine && escapes && port.bytes().all(|b| b.is_ascii_digit())
}

fn hostname(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(inside) => inside.split(']').next().unwrap_or(inside),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

fn port(host: &str) -> &str {
    let tail = host.rsplit(']').next().unwrap_or(host);
    tail.rsplit_once(':').map_or("", |(_, port)| port)
}

/// What may stand in a path stays as it is.
fn escaped(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@!'()*[]%".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn unescaped(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
            }
            other => out.push(other),
        }
    }
    String::from_utf8(out).ok()
}

/// Each key with its values; pairs that cannot be read are left out.
fn query(text: &str) -> Value {
    let mut all: BTreeMap<Key, Vec<Value>> = BTreeMap::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if let (Some(key), Some(value)) = (unescaped(key), unescaped(value)) {
            all.entry(Key::Text(key.into())).or_default().push(Value::from(value));
        }
    }
    Value::Map(Arc::new(all.into_iter().map(|(key, values)| (key, Value::from(values))).collect()))
}
