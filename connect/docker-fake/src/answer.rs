//! Answers in Docker's forms.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use serde_json::{Value, json};

pub(crate) type Body = Full<Bytes>;

pub(crate) struct Answer {
    status: u16,
    body: Bytes,
}

impl Answer {
    pub(crate) fn json(status: u16, value: Value) -> Answer {
        Answer { status, body: value.to_string().into() }
    }

    pub(crate) fn text(status: u16, text: impl Into<Bytes>) -> Answer {
        Answer { status, body: text.into() }
    }

    /// Done; or already as wanted.
    pub(crate) fn done(now: bool) -> Answer {
        Answer { status: if now { 204 } else { 304 }, body: Bytes::new() }
    }

    /// A line for each message, as pulls and builds have it.
    pub(crate) fn lines(messages: &[Value]) -> Answer {
        let text: String = messages.iter().map(|message| format!("{message}\r\n")).collect();
        Answer { status: 200, body: text.into() }
    }
}

pub(crate) fn refuse(status: u16, message: &str) -> Answer {
    Answer::json(status, json!({ "message": message }))
}

impl From<Answer> for Response<Body> {
    fn from(answer: Answer) -> Self {
        let mut response = Response::new(Full::new(answer.body));
        *response.status_mut() = hyper::StatusCode::from_u16(answer.status).unwrap_or_default();
        response
    }
}
