//! The messages of a pull, push, build or load: progress, lines, and the error that a stream begun with 200 may end in. It prints nothing.

use futures_util::{StreamExt, stream};
use serde_json::Value;

use base_http::body::Body;

use crate::error::classify;
use crate::json_lines::JsonLines;
use crate::{Object, Result, Said, Stream};

/// One message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// The layer, `a3ed95caeb02`, or what else the message is about.
    pub id: String,
    /// "Downloading", "Pushed", "Digest: sha256:…"
    pub status: String,
    /// A build's output, with its line ends.
    pub output: String,
    /// Bytes done and bytes in all, where the engine knows them.
    pub done_bytes: Option<u64>,
    pub total_bytes: Option<u64>,
    /// What a program is to read: `{"ID": "sha256:…"}` of a build, `{"Tag", "Digest", "Size"}` of a push.
    pub aux: Option<Value>,
}

impl Progress {
    fn from_message(message: &Value) -> Self {
        let text = |key: &str| message[key].as_str().unwrap_or_default().to_owned();
        let detail = &message["progressDetail"];
        Self {
            id: text("id"),
            status: text("status"),
            output: text("stream"),
            done_bytes: detail["current"].as_u64(),
            total_bytes: detail["total"].as_u64().filter(|total| *total > 0),
            aux: message.get("aux").cloned(),
        }
    }

    /// The digest a pull or push ended with, or the id of the image a build made.
    pub fn digest(&self) -> Option<&str> {
        let aux = self.aux.as_ref();
        let aux = aux.and_then(|aux| aux["ID"].as_str().or_else(|| aux["Digest"].as_str()));
        aux.or_else(|| self.status.strip_prefix("Digest: "))
    }
}

/// The messages as they come; the engine's error message ends the stream as an error.
pub(crate) fn messages(body: Body, object: Object) -> Stream<Progress> {
    let start = (JsonLines::new(body), object);
    Box::pin(stream::try_unfold(start, |(mut lines, object)| async move {
        let Some(message) = lines.next().await? else { return Ok(None) };
        if let Some(said) = refusal(&message) {
            return Err(classify(object, said, None));
        }
        Ok(Some((Progress::from_message(&message), (lines, object))))
    }))
}

/// `{"errorDetail": {"message": "…"}, "error": "…"}`
fn refusal(message: &Value) -> Option<Said> {
    let text = message["errorDetail"]["message"].as_str().or_else(|| message["error"].as_str())?;
    Some(Said { status: None, message: text.to_owned() })
}

/// Reads a stream to its end, handing each message on; gives the last digest that was named.
pub(crate) async fn drain(mut messages: Stream<Progress>, mut each: impl FnMut(&Progress)) -> Result<Option<String>> {
    let mut digest = None;
    while let Some(message) = messages.next().await {
        let message = message?;
        if let Some(named) = message.digest() {
            digest = Some(named.to_owned());
        }
        each(&message);
    }
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Progress, refusal};

    #[test]
    fn recorded_messages() {
        let pull = json!({"status": "Downloading", "progressDetail": {"current": 10, "total": 40}, "progress": "[=> ]", "id": "a3ed"});
        let read = Progress::from_message(&pull);
        assert_eq!((read.id.as_str(), read.done_bytes, read.total_bytes), ("a3ed", Some(10), Some(40)));
        let digest = |message| Progress::from_message(&message).digest().map(str::to_owned);
        assert_eq!(digest(json!({"status": "Digest: sha256:12"})).as_deref(), Some("sha256:12"));
        assert_eq!(digest(json!({"aux": {"ID": "sha256:34"}})).as_deref(), Some("sha256:34"));
        assert_eq!(
            digest(json!({"progressDetail": {}, "aux": {"Tag": "1", "Digest": "sha256:56", "Size": 7}})).as_deref(),
            Some("sha256:56")
        );
        assert_eq!(digest(json!({"stream": "Step 1/2 : FROM scratch\n"})), None);
        let failed = json!({"errorDetail": {"code": 1, "message": "no"}, "error": "no"});
        assert_eq!(refusal(&failed).map(|said| said.message).as_deref(), Some("no"));
        assert!(refusal(&pull).is_none());
    }
}
