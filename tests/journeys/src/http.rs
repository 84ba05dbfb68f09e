//! A blocking HTTP client for tests: it judges nothing, every status is an answer.

use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime for the test's client"));
static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
    let builder = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).no_gzip();
    builder.build().expect("a client without settings of the machine")
});

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as text, whatever it is.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; panics with the body if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("status {}, and no JSON ({error}): {}", self.status, self.text()))
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Itself, if the status is 2xx; panics with the body else.
    pub fn ok(self) -> Self {
        assert!((200..300).contains(&self.status), "status {}: {}", self.status, self.text());
        self
    }
}

/// GET with query parameters; `Err` only when no answer came.
pub fn try_get(url: &str, parameters: &[(&str, &str)]) -> Result<Reply, String> {
    let mut address = reqwest::Url::parse(url).map_err(|error| format!("{url}: {error}"))?;
    if !parameters.is_empty() {
        address.query_pairs_mut().extend_pairs(parameters);
    }
    send(CLIENT.get(address))
}

/// GET that waits only so long.
pub fn try_get_within(url: &str, most: Duration) -> Result<Reply, String> {
    let address = reqwest::Url::parse(url).map_err(|error| format!("{url}: {error}"))?;
    send(CLIENT.get(address).timeout(most))
}

/// GET; panics when no answer came.
pub fn get(url: &str, parameters: &[(&str, &str)]) -> Reply {
    try_get(url, parameters).unwrap_or_else(|error| panic!("GET {url}: {error}"))
}

/// Any method, without a body; panics when no answer came.
pub fn request(method: &str, url: &str) -> Reply {
    let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method is a word");
    send(CLIENT.request(method, url)).unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// POST with headers; `Err` only when no answer came.
pub fn try_post(url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Result<Reply, String> {
    let request = headers.iter().fold(CLIENT.post(url), |request, (key, value)| request.header(*key, *value));
    send(request.body(body))
}

/// POST; panics when no answer came.
pub fn post(url: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Reply {
    try_post(url, headers, body.into()).unwrap_or_else(|error| panic!("POST {url}: {error}"))
}

/// POST of a JSON value.
pub fn post_json(url: &str, body: &Value) -> Reply {
    post(url, &[("content-type", "application/json")], body.to_string())
}

fn send(request: reqwest::RequestBuilder) -> Result<Reply, String> {
    RUNTIME.block_on(async {
        let answer = request.send().await.map_err(|error| chain(&error))?;
        let status = answer.status().as_u16();
        let text = |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = answer.headers().iter().map(|(key, value)| (key.as_str().to_owned(), text(value))).collect();
        let body = answer.bytes().await.map_err(|error| chain(&error))?.to_vec();
        Ok(Reply { status, headers, body })
    })
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
