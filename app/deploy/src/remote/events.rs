//! A journal followed over server-sent events (HTML, §9.2): each entry once and in its order, also when the connection is lost in between.
//! It knows no run but the one it follows.

use std::collections::VecDeque;
use std::time::Duration;

use base_explain::Report;
use base_http::{Client, Incoming, Payload, Request};
use operate_execute::{Entry, Event};

use super::{RemoteError, Told, away, refused};

/// The engine sends a comment every 15 s; longer silence is a lost connection.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(40);
/// Until an engine answers at all.
pub(super) const HEAD_MAX: Duration = Duration::from_secs(20);
/// Between two tries to come back, growing.
const AGAIN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// An engine that is away for about five minutes is given up; the run does not need us.
const TRIES_MAX: u32 = 65;
/// Of one event; an entry has some kilobytes.
const EVENT_BYTES_MAX: usize = 4 << 20;
/// Of a refusal.
const BODY_BYTES_MAX: usize = 64 << 10;

/// See the module.
pub struct Following {
    client: Client,
    url: String,
    token: Option<String>,
    opened: Option<Incoming>,
    parser: Parser,
    ready: VecDeque<Entry>,
    /// The last that was given out or is ready.
    last: u64,
    over: bool,
    tries: u32,
    /// Waited for before the next try.
    again_after: Option<Duration>,
}

impl Following {
    pub(super) fn new(client: Client, url: String, token: Option<String>) -> Following {
        Following {
            client,
            url,
            token,
            opened: None,
            parser: Parser::default(),
            ready: VecDeque::new(),
            last: 0,
            over: false,
            tries: 0,
            again_after: None,
        }
    }

    /// The next entry; `None` after the run's last one.
    pub async fn next(&mut self) -> Result<Option<Entry>, RemoteError> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Ok(Some(entry));
            }
            if self.over {
                return Ok(None);
            }
            if let Some(wait) = self.again_after.take() {
                tokio::time::sleep(wait).await;
            }
            if self.opened.is_none() {
                self.open().await?;
                continue;
            }
            let Some(opened) = &mut self.opened else { continue };
            match opened.chunk().await {
                Ok(Some(bytes)) => self.heard(&bytes)?,
                Ok(None) => self.lost(None)?,
                Err(error) => self.lost(Some(away(&error)))?,
            }
        }
    }

    async fn open(&mut self) -> Result<(), RemoteError> {
        let mut headers = vec![("accept", "text/event-stream".to_owned())];
        headers.extend(self.token.iter().map(|token| ("authorization", format!("Bearer {token}"))));
        if self.last > 0 {
            headers.push(("last-event-id", self.last.to_string()));
        }
        let (url, payload) = (self.url.clone(), Payload::None);
        let (head_max, silence_max) = (HEAD_MAX, SILENCE_MAX);
        let request = Request { method: "GET", url, headers, payload, head_max, silence_max };
        match self.client.open(request).await {
            Ok(opened) if opened.status == 200 => {
                self.parser = Parser::default();
                self.opened = Some(opened);
            }
            // There is nothing after the last one.
            Ok(opened) if opened.status == 204 => self.over = true,
            Ok(opened) if opened.status == 503 => self.lost(Some(body(&self.url, opened).await))?,
            Ok(opened) => return Err(body(&self.url, opened).await),
            Err(error) => self.lost(Some(away(&error)))?,
        }
        Ok(())
    }

    fn heard(&mut self, bytes: &[u8]) -> Result<(), RemoteError> {
        self.tries = 0;
        for data in self.parser.push(bytes) {
            let told: Option<Told> = serde_json::from_str(&data).ok();
            let Some(entry) = told.and_then(Told::entry).filter(|entry| entry.seq > self.last) else { continue };
            self.last = entry.seq;
            self.over |= matches!(entry.event, Event::Ended { .. });
            self.ready.push_back(entry);
        }
        if self.parser.is_too_long() {
            let message = format!("{} sends an event of more than {EVENT_BYTES_MAX} bytes", self.url);
            return Err(RemoteError::Away(Report::new(message)));
        }
        Ok(())
    }

    /// The next try comes a moment later; too many in a row are one too many.
    fn lost(&mut self, error: Option<RemoteError>) -> Result<(), RemoteError> {
        self.opened = None;
        self.tries += 1;
        let silent = || RemoteError::Away(Report::new(format!("{} ends before the run does", self.url)));
        // The very first try tells at once that nobody is there.
        if self.tries > TRIES_MAX || self.last == 0 && error.is_some() {
            return Err(error.unwrap_or_else(silent));
        }
        let wait = AGAIN.0.saturating_mul(1 << self.tries.min(6)).min(AGAIN.1);
        self.again_after = Some(wait);
        Ok(())
    }
}

pub(super) async fn body(url: &str, opened: Incoming) -> RemoteError {
    let status = opened.status;
    let body = opened.whole(BODY_BYTES_MAX, HEAD_MAX).await.unwrap_or_default();
    refused(url, status, &body)
}

/// Bytes to the data of events; ids are in the data as well, other fields and comments are passed over.
#[derive(Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    data: String,
}

impl Parser {
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut events = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
            let line = line.strip_suffix('\r').unwrap_or(&line);
            if line.is_empty() {
                // An event without data is none.
                if !self.data.is_empty() {
                    events.push(std::mem::take(&mut self.data));
                }
            } else if let Some(data) = line.strip_prefix("data:") {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
            }
        }
        events
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.line.len().max(self.data.len()) > EVENT_BYTES_MAX
    }
}

#[cfg(test)]
mod tests;
