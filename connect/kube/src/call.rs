//! One request to the API server and its answer: log in, send, class a refusal. It does not know which calls there are.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::Full;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::access::Presented;
use crate::classify::{Asked, QUOTED, Status, classify};
use crate::cluster::{Cluster, Inner};
use crate::{KubeError, Result, Target};
use base_http::body::{Body, milliseconds, root_cause};

/// For calls about one object or a page of them; the server itself gives up after 60 s.
pub(crate) const QUICK: Duration = Duration::from_secs(30);
/// For writes: admission webhooks may take 30 s each.
pub(crate) const SLOW: Duration = Duration::from_secs(70);
/// An answer read whole: an object has at most 1.5 MiB in etcd, a page 500 of them, OpenAPI of a group some MiB.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 << 20;
const REFUSAL_BYTES_MAX: usize = 4 << 20;
/// Of a request: the server takes 3 MiB.
pub(crate) const REQUEST_BYTES_MAX: usize = 8 << 20;
const WARNINGS_MAX: usize = 50;
const WARNING_LETTERS_MAX: usize = 500;

pub(crate) const JSON: &str = "application/json";

/// A request.
pub(crate) struct Call {
    method: Method,
    /// Already escaped: `/api/v1/namespaces/shop/pods`.
    path: String,
    pub(crate) query: Vec<(&'static str, String)>,
    accept: &'static str,
    /// Its type and bytes.
    body: Option<(&'static str, Bytes)>,
    pub(crate) target: Target,
    /// In words for errors, before the target: "get", "watch".
    verb: &'static str,
    /// Until the answer begins; for an answer read whole, until its end.
    time: Duration,
    /// Longest silence inside of the body of a stream.
    silence: Option<Duration>,
    /// Values that no error may show.
    hide: Vec<String>,
}

impl Call {
    pub(crate) fn new(method: Method, path: String, verb: &'static str, target: Target) -> Self {
        let time = if method == Method::GET { QUICK } else { SLOW };
        Self {
            method,
            path,
            query: Vec::new(),
            accept: JSON,
            body: None,
            target,
            verb,
            time,
            silence: None,
            hide: Vec::new(),
        }
    }

    pub(crate) fn get(path: String, verb: &'static str, target: Target) -> Self {
        Self::new(Method::GET, path, verb, target)
    }

    pub(crate) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Only if there is a value.
    pub(crate) fn maybe(self, name: &'static str, value: &Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.query(name, value.to_string()),
            None => self,
        }
    }

    pub(crate) fn accept(mut self, accept: &'static str) -> Self {
        self.accept = accept;
        self
    }

    /// Data of a Secret is kept out of what the server says about it.
    pub(crate) fn body(mut self, content_type: &'static str, body: &Value) -> Self {
        self.body = Some((content_type, Bytes::from(body.to_string())));
        if self.target.resource == "secrets" {
            collect(body, &mut self.hide);
        }
        self
    }

    pub(crate) fn within(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    pub(crate) fn silent_for(mut self, silence: Option<Duration>) -> Self {
        self.silence = silence;
        self
    }

    pub(crate) fn doing(&self) -> String {
        format!("{} {}", self.verb, self.target)
    }

    fn uri(&self, server: &str) -> String {
        let mut uri = format!("{server}{}", self.path);
        if !self.query.is_empty() {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(&self.query);
            uri.push(if self.path.contains('?') { '&' } else { '?' });
            uri.push_str(&query.finish());
        }
        uri
    }
}

/// Every text of a Secret's data, as sent and as it is inside of base64. Names, labels and the kind are no secrets: they stand elsewhere.
fn collect(body: &Value, into: &mut Vec<String>) {
    fn texts(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::String(text) => into.push(text.clone()),
            Value::Number(number) => into.push(number.to_string()),
            Value::Array(items) => items.iter().for_each(|item| texts(item, into)),
            Value::Object(fields) => fields.values().for_each(|item| texts(item, into)),
            Value::Null | Value::Bool(_) => {}
        }
    }
    // A JSON patch has its values anywhere.
    if body.is_array() {
        texts(body, into);
        return into.push(QUOTED.to_owned());
    }
    for key in ["data", "stringData"] {
        texts(&body[key], into);
    }
    use base64::Engine as _;
    let decoded = |text: &String| String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).ok()?).ok();
    let decoded: Vec<String> = into.iter().filter_map(decoded).collect();
    into.extend(decoded);
    into.push(QUOTED.to_owned());
}

/// An answer that was no refusal; its body is still arriving.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

/// An answer, whole.
pub(crate) struct Read<T> {
    pub(crate) status: u16,
    pub(crate) warnings: Vec<String>,
    pub(crate) value: T,
}

impl Cluster {
    pub(crate) async fn json(&self, call: Call) -> Result<Value> {
        Ok(self.typed(call).await?.value)
    }

    /// The answer as a type.
    pub(crate) async fn typed<T: DeserializeOwned>(&self, call: Call) -> Result<Read<T>> {
        let doing = call.doing();
        let Read { status, warnings, value } = self.bytes(call).await?;
        let value = serde_json::from_slice(&value).map_err(|error| garbled(doing, &error))?;
        Ok(Read { status, warnings, value })
    }

    /// The answer's bytes, whole.
    pub(crate) async fn bytes(&self, call: Call) -> Result<Read<Bytes>> {
        let (doing, time) = (call.doing(), self.time(call.time));
        let whole = async {
            let answer = self.inner.open(call).await?;
            let warnings = warnings(&answer.headers);
            Ok(Read { status: answer.status, warnings, value: answer.body.whole(ANSWER_BYTES_MAX).await? })
        };
        within(time, &doing, whole).await
    }

    /// A `Status` inside of a stream that had begun well.
    pub(crate) fn said_in_stream(&self, target: Target, bytes: &[u8]) -> KubeError {
        let (server, found_by) = (&self.inner.found.server, &self.inner.found.found_by);
        classify(Asked { server, found_by, target, hide: &[] }, Status::read(bytes, 200), 200, None)
    }

    /// A body that goes on.
    pub(crate) async fn open(&self, call: Call) -> Result<Answer> {
        let (doing, time) = (call.doing(), self.time(call.time));
        within(time, &doing, self.inner.open(call)).await
    }
}

/// Where and of which kind a mistake is, never what stands there: serde quotes what it did not expect.
pub(crate) fn garbled(doing: String, error: &serde_json::Error) -> KubeError {
    let reason = format!("{:?} error in JSON at line {} column {}", error.classify(), error.line(), error.column());
    KubeError::Garbled { doing, reason }
}

impl Inner {
    /// Sends it; once more with another login when the first is refused: a refused request did nothing.
    async fn open(&self, call: Call) -> Result<Answer> {
        let presented = self.access.present().await?;
        match self.exchange(&call, &presented).await {
            Err(KubeError::Unauthorized { .. }) if self.access.renew(&presented).await? => {
                let presented = self.access.present().await?;
                self.exchange(&call, &presented).await
            }
            other => other,
        }
    }

    async fn exchange(&self, call: &Call, presented: &Presented) -> Result<Answer> {
        let doing = call.doing();
        let request = self.request(call, presented)?;
        let response = presented.transport.send(request).await.map_err(|error| {
            let reason = root_cause(&error);
            if error.is_connect() {
                let (server, found_by) = (self.found.server.clone(), self.found.found_by.clone());
                KubeError::NotReachable { server, found_by, reason }
            } else {
                KubeError::Broken { doing: doing.clone(), reason }
            }
        })?;
        let (parts, incoming) = response.into_parts();
        let body = Body::new(incoming, doing, call.silence);
        if parts.status.is_success() {
            return Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body });
        }
        let retry_after = parts.headers.get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
        // A refusal whose words cannot be read is still a refusal.
        let bytes = body.whole(REFUSAL_BYTES_MAX).await.unwrap_or_default();
        let http = parts.status.as_u16();
        let mut hide = call.hide.clone();
        // Whoever stands in between may answer with the whole request.
        let sent = presented.authorization.as_ref().and_then(|value| value.to_str().ok());
        hide.extend(sent.and_then(|value| value.split_once(' ')).map(|(_, token)| token.to_owned()));
        Err(classify(self.asked(call, &hide), Status::read(&bytes, http), http, retry_after.map(Duration::from_secs)))
    }

    fn asked<'a>(&'a self, call: &Call, hide: &'a [String]) -> Asked<'a> {
        let (server, found_by, target) = (&self.found.server, &self.found.found_by, call.target.clone());
        Asked { server, found_by, target, hide }
    }

    fn request(&self, call: &Call, presented: &Presented) -> Result<Request<Full<Bytes>>> {
        let bad = |problem: String| KubeError::Config { place: None, problem: format!("{}: {problem}", call.doing()) };
        let mut request = Request::builder().method(call.method.clone()).uri(call.uri(&self.found.server));
        request =
            request.header("accept", call.accept).header("user-agent", concat!("apm/", env!("CARGO_PKG_VERSION")));
        if let Some(authorization) = &presented.authorization {
            request = request.header("authorization", authorization);
        }
        for (name, value) in &self.found.acting_as {
            request = request.header(name, value);
        }
        let body = match &call.body {
            Some((_, body)) if body.len() > REQUEST_BYTES_MAX => {
                return Err(bad(format!("{} bytes, a request may have {REQUEST_BYTES_MAX}", body.len())));
            }
            Some((content_type, body)) => {
                request = request.header("content-type", *content_type);
                body.clone()
            }
            None => Bytes::new(),
        };
        request.body(Full::new(body)).map_err(|error| bad(error.to_string()))
    }
}

async fn within<T>(time: Duration, doing: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(time, work).await {
        Ok(result) => result,
        Err(_) => Err(KubeError::Timeout { doing: doing.to_owned(), after_ms: milliseconds(time) }),
    }
}

/// `299 - "text"`: what a deprecated version or an unknown field is told with.
fn warnings(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all("warning").iter().filter_map(|value| value.to_str().ok());
    let text = |value: &str| -> String {
        let text = value.split_once('"').and_then(|(_, rest)| Some(rest.rsplit_once('"')?.0)).unwrap_or(value);
        text.replace("\\\"", "\"").chars().take(WARNING_LETTERS_MAX).collect()
    };
    values.take(WARNINGS_MAX).map(text).collect()
}
