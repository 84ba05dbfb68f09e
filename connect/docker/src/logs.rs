//! What a container writes: the engine's stream taken apart into its two channels and into lines. It judges no line.
//!
//! The frames are those of <https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach>: one byte for the
//! channel, three of zero, four of length (big endian), the payload. A container with a terminal has no frames.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::stream;

use crate::call::{Call, segment};
use crate::containers::object;
use crate::{Engine, Result, Stream};
use base_http::body::Body;

/// A longer line is handed on in pieces: its writer may never end it.
const LINE_BYTES_MAX: usize = 256 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    Output,
    Errors,
}

/// A line, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    pub channel: Channel,
    /// RFC 3339 with nanoseconds, as the engine noted it; empty when not asked for.
    pub at: String,
    pub text: Bytes,
    /// The line was too long and goes on in the next piece.
    pub goes_on: bool,
}

/// Which lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Goes on with what will be written, until the container ends.
    pub follow: bool,
    /// Only the last so many.
    pub tail: Option<u64>,
    /// Seconds since 1970, with a fraction (`1700000000.000000001`), or RFC 3339.
    pub since: Option<String>,
    pub until: Option<String>,
    /// Fills `at`.
    pub timestamps: bool,
}

impl Engine {
    /// What the container wrote, oldest first. Its logging driver must keep it: `json-file`, `local` or `journald`.
    pub async fn logs(&self, name: &str, options: &LogOptions) -> Result<Stream<LogLine>> {
        let tty = self.container(name).await?.tty;
        let call = Call::get(format!("/containers/{}/logs", segment(name, false)), "logs of", object(name));
        let mut call = call.query("stdout", "true").query("stderr", "true");
        if options.follow {
            call = call.query("follow", "true");
        }
        if options.timestamps {
            call = call.query("timestamps", "true");
        }
        if let Some(tail) = options.tail {
            call = call.query("tail", tail.to_string());
        }
        for (key, value) in [("since", &options.since), ("until", &options.until)] {
            if let Some(value) = value {
                call = call.query(key, value.clone());
            }
        }
        let answer = self.open(call).await?;
        Ok(lines(answer.body, Lines::new(tty, options.timestamps)))
    }
}

fn lines(body: Body, lines: Lines) -> Stream<LogLine> {
    struct Reading {
        body: Body,
        lines: Lines,
        ended: bool,
    }
    let start = Reading { body, lines, ended: false };
    Box::pin(stream::try_unfold(start, |mut reading| async move {
        loop {
            if let Some(line) = reading.lines.ready.pop_front() {
                return Ok(Some((line, reading)));
            }
            if reading.ended {
                return Ok(None);
            }
            match reading.body.chunk().await? {
                Some(bytes) => reading.lines.push(bytes),
                None => {
                    reading.ended = true;
                    reading.lines.end();
                }
            }
        }
    }))
}

/// Frames to payloads, as they come: a payload is never gathered whole.
pub(crate) struct Frames {
    /// A terminal's output has none.
    raw: bool,
    header: BytesMut,
    channel: Channel,
    left: usize,
}

impl Frames {
    pub(crate) fn new(raw: bool) -> Self {
        Self { raw, header: BytesMut::with_capacity(8), channel: Channel::Output, left: 0 }
    }

    /// Takes bytes of the wire, gives pieces of payload.
    pub(crate) fn push(&mut self, mut bytes: Bytes, mut give: impl FnMut(Channel, Bytes)) {
        if self.raw {
            return give(Channel::Output, bytes);
        }
        while !bytes.is_empty() {
            if self.left > 0 {
                let piece = bytes.split_to(self.left.min(bytes.len()));
                self.left -= piece.len();
                give(self.channel, piece);
                continue;
            }
            let missing = 8 - self.header.len();
            self.header.extend_from_slice(&bytes.split_to(missing.min(bytes.len())));
            if self.header.len() == 8 {
                let channel = self.header.get_u8();
                self.header.advance(3);
                self.left = self.header.get_u32() as usize;
                // 0 is what was typed in, echoed; 3 is an error of the engine itself.
                self.channel = if channel >= 2 { Channel::Errors } else { Channel::Output };
                self.header.clear();
            }
        }
    }
}

/// Payloads to lines, a line a channel at a time.
struct Lines {
    frames: Frames,
    timestamps: bool,
    output: BytesMut,
    errors: BytesMut,
    ready: VecDeque<LogLine>,
}

impl Lines {
    fn new(raw: bool, timestamps: bool) -> Self {
        Self {
            frames: Frames::new(raw),
            timestamps,
            output: BytesMut::new(),
            errors: BytesMut::new(),
            ready: VecDeque::new(),
        }
    }

    fn push(&mut self, bytes: Bytes) {
        let Self { frames, timestamps, output, errors, ready } = self;
        frames.push(bytes, |channel, piece| {
            let open = if channel == Channel::Output { &mut *output } else { &mut *errors };
            let mut rest = &piece[..];
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let (line, after) = rest.split_at(end);
                open.extend_from_slice(line);
                ready.push_back(line_of(channel, open.split().freeze(), *timestamps, false));
                rest = after.get(1..).unwrap_or_default();
            }
            open.extend_from_slice(rest);
            if open.len() > LINE_BYTES_MAX {
                ready.push_back(line_of(channel, open.split().freeze(), *timestamps, true));
            }
        });
    }

    /// A last line without an end is a line.
    fn end(&mut self) {
        for (channel, open) in [(Channel::Output, &mut self.output), (Channel::Errors, &mut self.errors)] {
            if !open.is_empty() {
                self.ready.push_back(line_of(channel, open.split().freeze(), self.timestamps, false));
            }
        }
    }
}

fn line_of(channel: Channel, mut text: Bytes, timestamps: bool, goes_on: bool) -> LogLine {
    let mut at = String::new();
    if timestamps {
        // The second piece of a long line has no time of its own.
        let blank = text.iter().take(40).position(|byte| *byte == b' ');
        let stamp = blank.map(|blank| &text[..blank]).filter(|stamp| stamp.ends_with(b"Z") && stamp.contains(&b'T'));
        if let Some(stamp) = stamp.and_then(|stamp| std::str::from_utf8(stamp).ok()) {
            at = stamp.to_owned();
            text.advance(at.len() + 1);
        }
    }
    if text.ends_with(b"\r") {
        text.truncate(text.len() - 1);
    }
    LogLine { channel, at, text, goes_on }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Channel, LINE_BYTES_MAX, Lines};

    fn frame(channel: u8, payload: &str) -> Vec<u8> {
        let mut bytes = vec![channel, 0, 0, 0];
        bytes.extend(u32::try_from(payload.len()).expect("short").to_be_bytes());
        bytes.extend(payload.as_bytes());
        bytes
    }

    /// Lines as `1:text`, whatever the size of the pieces in which the bytes arrive.
    fn check(raw: bool, timestamps: bool, wire: &[u8], expect: &[&str]) {
        for size in [1, 2, 3, 7, 8, 9, wire.len().max(1)] {
            let mut lines = Lines::new(raw, timestamps);
            for piece in wire.chunks(size) {
                lines.push(Bytes::copy_from_slice(piece));
            }
            lines.end();
            let show = |line: &super::LogLine| {
                let channel = if line.channel == Channel::Output { 1 } else { 2 };
                format!(
                    "{channel}:{}{}{}",
                    line.at,
                    if line.at.is_empty() { "" } else { "|" },
                    String::from_utf8_lossy(&line.text)
                )
            };
            let found: Vec<String> = lines.ready.iter().map(show).collect();
            assert_eq!(found, expect, "in pieces of {size}");
        }
    }

    #[test]
    fn channels_and_lines() {
        check(false, false, &frame(1, "a\nb\n"), &["1:a", "1:b"]);
        check(
            false,
            false,
            &[frame(1, "half "), frame(2, "bad\n"), frame(1, "whole\n")].concat(),
            &["2:bad", "1:half whole"],
        );
        check(false, false, &frame(1, "no end"), &["1:no end"]);
        check(false, false, &frame(1, "\n\r\nx\r\n"), &["1:", "1:", "1:x"]);
        check(false, false, &[frame(1, ""), frame(3, "engine\n")].concat(), &["2:engine"]);
        check(true, false, b"tty\r\nline", &["1:tty", "1:line"]);
        check(
            false,
            true,
            &frame(1, "2026-01-02T03:04:05.000000006Z hello\n"),
            &["1:2026-01-02T03:04:05.000000006Z|hello"],
        );
        check(false, true, &frame(1, "no stamp\n"), &["1:no stamp"]);
        // A length larger than what comes, and a header cut short.
        check(false, false, &[1, 0, 0, 0, 255, 255, 255, 255, b'x'], &["1:x"]);
        check(false, false, &[1, 0, 0], &[]);
        check(false, false, &[], &[]);
    }

    #[test]
    fn an_endless_line_is_cut() {
        let mut lines = Lines::new(true, false);
        for _ in 0..20 {
            lines.push(Bytes::from(vec![b'x'; 64 << 10]));
        }
        assert!(lines.output.len() <= LINE_BYTES_MAX);
        assert!(lines.ready.iter().all(|line| line.goes_on) && lines.ready.len() >= 3);
    }
}
