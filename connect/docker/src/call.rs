//! One request to the engine and its answer: connect, send, class a refusal. A connection serves one request, as Docker's own client does over a
//! socket, so that a stream left half-read disturbs nobody. It does not know which calls there are.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Method, Request, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::engine::{Engine, Inner};
use crate::error::classify;
use crate::place::Place;
use crate::{DockerError, Object, Result, Said};
use base_http::body::{Body, root_cause};

/// Time to connect: a socket of this machine, or one in the same network.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// For calls that only look something up or change a record, unless the engine's handle says otherwise.
pub(crate) const QUICK: Duration = Duration::from_secs(30);
/// For calls that move data or wait for a process: create, remove, commit to disk.
pub(crate) const SLOW: Duration = Duration::from_secs(120);
/// Longest silence inside of a pull, push or build: a large layer is unpacked without a word.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(600);
/// An answer read whole: the longest is a list of thousands of containers.
const ANSWER_BYTES_MAX: usize = 32 << 20;
/// A refusal is a sentence.
const REFUSAL_BYTES_MAX: usize = 64 << 10;
/// Of the sentence, what is worth showing.
const REFUSAL_LETTERS_MAX: usize = 4000;

/// What is sent along.
pub(crate) enum Payload {
    None,
    Json(Value),
    /// A tar file, as it comes.
    Tar(futures_util::stream::BoxStream<'static, io::Result<Bytes>>),
}

/// A request.
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Below the version, already escaped: `/containers/web/json`.
    pub(crate) path: String,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) payload: Payload,
    pub(crate) object: Object,
    /// In words for errors, before the object: "start", "logs of".
    pub(crate) verb: &'static str,
    /// Until the answer begins; for an answer read whole, until its end. `None`: the quick limit of the handle.
    pub(crate) time: Option<Duration>,
    /// Longest silence inside of the body of a stream.
    pub(crate) silence: Option<Duration>,
}

impl Call {
    pub(crate) fn new(method: Method, path: String, verb: &'static str, object: Object) -> Self {
        let (query, headers) = (Vec::new(), Vec::new());
        Self { method, path, query, headers, payload: Payload::None, object, verb, time: None, silence: None }
    }

    pub(crate) fn get(path: String, verb: &'static str, object: Object) -> Self {
        Self::new(Method::GET, path, verb, object)
    }

    pub(crate) fn post(path: String, verb: &'static str, object: Object) -> Self {
        Self::new(Method::POST, path, verb, object)
    }

    pub(crate) fn delete(path: String, verb: &'static str, object: Object) -> Self {
        Self::new(Method::DELETE, path, verb, object)
    }

    pub(crate) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(crate) fn json(mut self, body: Value) -> Self {
        self.payload = Payload::Json(body);
        self
    }

    pub(crate) fn within(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }

    pub(crate) fn silent_for(mut self, silence: Duration) -> Self {
        self.silence = Some(silence);
        self
    }

    fn doing(&self) -> String {
        format!("{} {}", self.verb, self.object)
    }

    /// The target of the request line.
    pub(crate) fn target(&self, version: Option<&str>) -> String {
        let mut target = version.map_or_else(String::new, |version| format!("/v{version}"));
        target.push_str(&self.path);
        if !self.query.is_empty() {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(&self.query);
            target.push('?');
            target.push_str(&query.finish());
        }
        target
    }
}

/// A name as one segment of a path. Images keep their slashes: the engine's routes take them.
pub(crate) fn segment(name: &str, keep_slashes: bool) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b':' | b'@' => {
                out.push(char::from(byte))
            }
            b'/' if keep_slashes => out.push('/'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    // `..` would leave the path it stands in.
    if out == "." || out == ".." { out.replace('.', "%2E") } else { out }
}

/// An answer that was no refusal; its body is still arriving.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Body,
}

impl Engine {
    /// Sends it to the API version both speak. 2xx and 304 are answers.
    pub(crate) async fn open(&self, call: Call) -> Result<Answer> {
        let version = self.api_version().await?;
        self.inner.open(call, Some(version)).await
    }

    /// The answer as JSON, whole.
    pub(crate) async fn json(&self, call: Call) -> Result<Value> {
        self.typed(call).await
    }

    /// The answer as a type.
    pub(crate) async fn typed<T: DeserializeOwned>(&self, call: Call) -> Result<T> {
        let version = self.api_version().await?;
        self.inner.typed(call, Some(version)).await
    }

    /// Only whether something was done: false when the object already was as wanted (304).
    pub(crate) async fn done(&self, call: Call) -> Result<bool> {
        let answer = self.open(call).await?;
        Ok(answer.status != StatusCode::NOT_MODIFIED)
    }
}

impl Inner {
    pub(crate) async fn typed<T: DeserializeOwned>(&self, call: Call, version: Option<&str>) -> Result<T> {
        let (doing, time) = (call.doing(), call.time.unwrap_or(self.quick_max));
        let whole = async {
            let answer = self.open(call, version).await?;
            Ok(answer.body.whole(ANSWER_BYTES_MAX).await?)
        };
        let bytes = within(time, &doing, whole).await?;
        serde_json::from_slice(&bytes).map_err(|error| DockerError::Garbled { doing, reason: error.to_string() })
    }

    pub(crate) async fn open(&self, call: Call, version: Option<&str>) -> Result<Answer> {
        let (doing, time) = (call.doing(), call.time.unwrap_or(self.quick_max));
        within(time, &doing, self.exchange(call, version, &doing)).await
    }

    async fn exchange(&self, call: Call, version: Option<&str>, doing: &str) -> Result<Answer> {
        let (object, silence) = (call.object.clone(), call.silence);
        let request = request(call, version, self.host()).map_err(|error| DockerError::Invalid {
            object: object.clone(),
            said: Said { status: None, message: error.to_string() },
        })?;
        let broken = |error: hyper::Error| DockerError::Broken { doing: doing.to_owned(), reason: root_cause(&error) };
        let connection = self.connect().await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(connection)).await.map_err(broken)?;
        // Ends by itself with the body, or when the body is dropped.
        tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(broken)?;
        let (parts, incoming) = response.into_parts();
        let body = Body::new(incoming, doing.to_owned(), silence);
        if parts.status.is_success() || parts.status == StatusCode::NOT_MODIFIED {
            return Ok(Answer { status: parts.status, body });
        }
        let retry_after = parts.headers.get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
        // A refusal whose words cannot be read is still a refusal.
        let bytes = body.whole(REFUSAL_BYTES_MAX).await.unwrap_or_default();
        let said = Said { status: Some(parts.status.as_u16()), message: message(&bytes, parts.status) };
        Err(classify(object, said, retry_after.map(Duration::from_secs)))
    }

    async fn connect(&self) -> Result<Box<dyn Connection>> {
        let not_reachable = |reason: String| DockerError::NotReachable {
            place: self.found.place.to_string(),
            found_by: self.found.found_by.clone(),
            reason,
        };
        match tokio::time::timeout(CONNECT_MAX, self.dial()).await {
            Err(_) => Err(not_reachable(format!("no connection within {} s", CONNECT_MAX.as_secs()))),
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => Err(DockerError::PermissionDenied {
                place: self.found.place.to_string(),
                found_by: self.found.found_by.clone(),
            }),
            Ok(Err(error)) => Err(not_reachable(error.to_string())),
        }
    }

    async fn dial(&self) -> io::Result<Box<dyn Connection>> {
        match &self.found.place {
            #[cfg(unix)]
            Place::Unix(path) => Ok(Box::new(tokio::net::UnixStream::connect(path).await?)),
            #[cfg(not(unix))]
            Place::Unix(_) => Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no unix sockets here")),
            // Not built here: no Windows to try it on.
            #[cfg(windows)]
            Place::NamedPipe(path) => Ok(Box::new(tokio::net::windows::named_pipe::ClientOptions::new().open(path)?)),
            #[cfg(not(windows))]
            Place::NamedPipe(_) => Err(io::Error::new(io::ErrorKind::Unsupported, "named pipes exist on Windows only")),
            Place::Tcp { host, port, .. } => {
                let stream = tokio::net::TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                match &self.tls {
                    None => Ok(Box::new(stream)),
                    Some(tls) => {
                        let name = rustls::pki_types::ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                        Ok(Box::new(tokio_rustls::TlsConnector::from(tls.clone()).connect(name, stream).await?))
                    }
                }
            }
        }
    }

    /// The Host header; what it says does not matter over a socket.
    fn host(&self) -> String {
        match &self.found.place {
            Place::Tcp { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Place::Tcp { host, port, .. } => format!("{host}:{port}"),
            _ => "docker".into(),
        }
    }
}

/// A way to talk to the engine.
trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

async fn within<T>(time: Duration, doing: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(time, work).await {
        Ok(result) => result,
        Err(_) => Err(DockerError::Timeout {
            doing: doing.to_owned(),
            after_ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
        }),
    }
}

fn request(call: Call, version: Option<&str>, host: String) -> http::Result<Request<UnsyncBoxBody<Bytes, io::Error>>> {
    let mut request = Request::builder().method(call.method.clone()).uri(call.target(version)).header("host", host);
    for (name, value) in &call.headers {
        request = request.header(*name, value);
    }
    match call.payload {
        Payload::None => request.body(Empty::new().map_err(|never| match never {}).boxed_unsync()),
        Payload::Json(value) => request
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(value.to_string())).map_err(|never| match never {}).boxed_unsync()),
        Payload::Tar(chunks) => request
            .header("content-type", "application/x-tar")
            .body(StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))).boxed_unsync()),
    }
}

/// Docker says `{"message": "…"}`; a proxy in between may say anything.
fn message(bytes: &[u8], status: StatusCode) -> String {
    let parsed: Option<Value> = serde_json::from_slice(bytes).ok();
    let said = parsed.as_ref().and_then(|value| value["message"].as_str());
    let text = said.map_or_else(|| String::from_utf8_lossy(bytes).trim().to_owned(), str::to_owned);
    if text.is_empty() {
        return status.canonical_reason().unwrap_or("no words given").to_owned();
    }
    text.chars().take(REFUSAL_LETTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::{Call, Object, segment};

    #[test]
    fn names_stay_inside_of_their_segment() {
        let check = |name: &str, slashes: bool, expect: &str| assert_eq!(segment(name, slashes), expect);
        check("web-1", false, "web-1");
        check("a/b", false, "a%2Fb");
        check("r.example.org:5000/shop/cart:1", true, "r.example.org:5000/shop/cart:1");
        check("x?force=1&y#z", true, "x%3Fforce%3D1%26y%23z");
        check("..", false, "%2E%2E");
        check("ü", false, "%C3%BC");
    }

    #[test]
    fn the_request_line() {
        let call = Call::get("/containers/json".into(), "list", Object::new("engine", ""));
        let call = call.query("all", "true").query("filters", r#"{"label":["a=b"]}"#);
        assert_eq!(
            call.target(Some("1.41")),
            "/v1.41/containers/json?all=true&filters=%7B%22label%22%3A%5B%22a%3Db%22%5D%7D"
        );
    }
}
