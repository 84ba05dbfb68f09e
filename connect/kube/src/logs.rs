//! What a pod's containers write, line by line, with the moment the kubelet noted. It judges no line.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;

use crate::call::Call;
use crate::{Cluster, ObjectAt, Result, Stream};
use base_http::body::{Line, Lines};

/// A longer line is handed on in pieces: its writer may never end it.
const LINE_BYTES_MAX: usize = 256 << 10;
/// The server has to reach the kubelet first.
const BEGIN_MAX: Duration = Duration::from_secs(30);

/// Which lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Needed when the pod has several.
    pub container: Option<String>,
    /// Goes on with what will be written, until the container ends.
    pub follow: bool,
    /// Of the container that ran before the present one: why it ended.
    pub previous: bool,
    /// RFC 3339.
    pub since_time: Option<String>,
    /// Only the last so many.
    pub tail: Option<u64>,
    /// The server stops after so many.
    pub bytes_max: Option<u64>,
}

/// A line, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// RFC 3339 with nanoseconds; empty in the pieces after the first.
    pub at: String,
    pub text: Bytes,
    /// The line was too long and goes on in the next piece.
    pub goes_on: bool,
}

impl Cluster {
    /// Oldest first.
    pub async fn logs(&self, pod: &ObjectAt, options: &LogOptions) -> Result<Stream<LogLine>> {
        let call = Call::get(pod.path(Some("log")), "logs of", pod.target()).accept("*/*").within(BEGIN_MAX);
        let mut call = call.query("timestamps", "true").maybe("container", &options.container);
        for (name, on) in [("follow", options.follow), ("previous", options.previous)] {
            if on {
                call = call.query(name, "true");
            }
        }
        let call = call.maybe("sinceTime", &options.since_time).maybe("tailLines", &options.tail);
        let answer = self.open(call.maybe("limitBytes", &options.bytes_max)).await?;
        let start = (Lines::new(answer.body, LINE_BYTES_MAX), true);
        Ok(Box::pin(stream::try_unfold(start, |(mut lines, begins)| async move {
            let Some(line) = lines.next().await? else { return Ok(None) };
            let (text, goes_on) = match line {
                Line::Whole(text) => (text, false),
                Line::Piece(text) => (text, true),
            };
            Ok(Some((read(text, begins, goes_on), (lines, !goes_on))))
        })))
    }
}

/// `2026-11-21T20:00:00.123456789Z text`
fn read(mut text: Bytes, begins: bool, goes_on: bool) -> LogLine {
    let space = text.iter().take(40).position(|byte| *byte == b' ');
    let at = space.and_then(|space| std::str::from_utf8(text.get(..space)?).ok()).filter(|at| {
        begins && at.len() >= 20 && at.as_bytes().get(4) == Some(&b'-') && at.as_bytes().get(10) == Some(&b'T')
    });
    let at = at.map(str::to_owned).unwrap_or_default();
    if !at.is_empty() {
        bytes::Buf::advance(&mut text, at.len() + 1);
    }
    LogLine { at, text, goes_on }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &'static str, begins: bool, at: &str, text: &'static str) {
        let expect = LogLine { at: at.into(), text: Bytes::from(text), goes_on: false };
        assert_eq!(read(Bytes::from(line), begins, false), expect);
    }

    #[test]
    fn moments_are_taken_off() {
        check("2026-11-21T20:00:00.123456789Z hello world", true, "2026-11-21T20:00:00.123456789Z", "hello world");
        check("2026-11-21T20:00:00.123456789+02:00 ", true, "2026-11-21T20:00:00.123456789+02:00", "");
        check("2026-11-21T20:00:00.123456789Z hello", false, "", "2026-11-21T20:00:00.123456789Z hello");
        check("unable to retrieve container logs", true, "", "unable to retrieve container logs");
        check("", true, "", "");
    }
}
