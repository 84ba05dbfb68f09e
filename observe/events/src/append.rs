//! Taking a write: limits, then the log, then memory. What the log refused has changed nothing.

use std::borrow::Cow;
use std::sync::Arc;

use base_signal::{Labels, LogEntry, Span, TenantId};
use observe_source::{Appended, LogWrite, RejectReason, SourceError, SpanWrite};

use crate::record::{self, Line, Write};
use crate::settings::NS_PER_MS;
use crate::span_code::{fits, span_size};
use crate::store::{EventStore, RETRY_AFTER_MS, source_error};

/// A label set larger than this is no label set.
const LABEL_BYTES_MAX: usize = 64 << 10;
/// Structured metadata of one line (Loki's limit).
const METADATA_BYTES_MAX: usize = 64 << 10;

impl EventStore {
    /// Takes what can be taken. Nothing is durable before [`EventStore::sync`]. `Shed` took nothing: over memory or disk.
    /// A line that is there already (same stream, time, text and metadata) counts as accepted and is kept once.
    pub fn append_logs(&mut self, tenant: &TenantId, write: &LogWrite) -> Result<Appended, SourceError> {
        self.check()?;
        self.make_room()?;
        let mut appended = Appended::default();
        let limits = self.limits();
        let mut taken = Write::default();
        // Number in the request → number in the frame.
        let mut numbers: Vec<Option<u32>> = vec![None; write.streams.len()];
        for entry in &write.entries {
            let labels = write.streams.get(entry.stream);
            if entry.stream as usize >= numbers.len() {
                appended.reject(RejectReason::Invalid, || "a line of a stream that is not in the request".to_owned());
                continue;
            }
            if labels.as_bytes().len() > LABEL_BYTES_MAX || labels.is_empty() {
                appended.reject(RejectReason::InvalidLabels, || match labels.is_empty() {
                    true => "a stream without labels".to_owned(),
                    false => format!("{} bytes of labels, more than {LABEL_BYTES_MAX}", labels.as_bytes().len()),
                });
                continue;
            }
            if let Some((reason, example)) = limits.line(entry, || labels.to_labels()) {
                appended.reject(reason, || example);
                continue;
            }
            let Some(number) = numbers.get_mut(entry.stream as usize) else { continue };
            let stream = *number.get_or_insert_with(|| {
                taken.streams.push(labels.to_labels());
                taken.streams.len() as u32 - 1
            });
            let mut metadata = Cow::Borrowed(entry.metadata.as_slice());
            if !metadata.is_sorted() {
                metadata.to_mut().sort();
            }
            let text = Cow::Borrowed(entry.line.as_str());
            taken.lines.push(Line { stream, time_ns: entry.time_ns, text, metadata });
        }
        appended.accepted = taken.lines.len() as u64;
        if !taken.lines.is_empty() {
            record::put_logs(&mut self.frame, tenant.as_str(), &taken);
            self.log_frame()?;
            self.apply(tenant, taken);
        }
        Ok(appended)
    }

    /// The same for spans. One that is there already (same trace id, span id and kind) counts as accepted.
    pub fn append_spans(&mut self, tenant: &TenantId, write: SpanWrite) -> Result<Appended, SourceError> {
        self.check()?;
        self.make_room()?;
        let mut appended = Appended::default();
        let limits = self.limits();
        let heads: Vec<_> = self.heads_of(tenant).collect();
        let mut taken = Vec::with_capacity(write.spans.len());
        for span in write.spans {
            if let Some((reason, example)) = limits.span(&span) {
                appended.reject(reason, || example);
                continue;
            }
            appended.accepted += 1;
            if !heads.iter().any(|head| head.spans.has(&span)) {
                taken.push(Arc::new(span));
            }
        }
        if !taken.is_empty() {
            record::put_spans(&mut self.frame, tenant.as_str(), &taken);
            self.log_frame()?;
            self.apply(tenant, Write { spans: taken, ..Write::default() });
        }
        Ok(appended)
    }

    fn log_frame(&mut self) -> Result<(), SourceError> {
        let logged = self.wal.append(&mut self.frame);
        self.frame.clear();
        logged.map(|_| ()).map_err(source_error)
    }

    /// Flushes when memory or log are over their share; sheds when that did not help.
    fn make_room(&mut self) -> Result<(), SourceError> {
        let over = |store: &Self| {
            if store.head_bytes() > store.settings.head_bytes_max() {
                return Some("memory");
            }
            (store.wal.size_bytes() > store.settings.wal_bytes_max).then_some("disk")
        };
        if over(self).is_none() {
            return Ok(());
        }
        match self.flush() {
            Ok(()) | Err(SourceError::Shed { .. }) => {}
            Err(other) => return Err(other),
        }
        match over(self) {
            Some(what) => Err(SourceError::Shed { what, retry_after_ms: RETRY_AFTER_MS }),
            None => Ok(()),
        }
    }

    fn limits(&self) -> Limits {
        let now_ns = self.world.clock.now_ns();
        Limits {
            oldest_ns: self.oldest_ns(),
            newest_ns: now_ns.saturating_add(self.settings.future_ms.saturating_mul(NS_PER_MS)),
            line_bytes: self.settings.line_bytes_max,
            span_bytes: self.settings.span_bytes_max,
        }
    }
}

struct Limits {
    oldest_ns: i64,
    newest_ns: i64,
    line_bytes: usize,
    span_bytes: usize,
}

impl Limits {
    fn line(&self, entry: &LogEntry, labels: impl Fn() -> Labels) -> Option<(RejectReason, String)> {
        if let Some(refused) = self.time(entry.time_ns, || labels().to_string()) {
            return Some(refused);
        }
        let metadata: usize = entry.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        if entry.line.len() > self.line_bytes {
            let text = format!("a line of {} bytes in {}, more than {}", entry.line.len(), labels(), self.line_bytes);
            return Some((RejectReason::TooLarge, text));
        }
        (metadata > METADATA_BYTES_MAX).then(|| {
            let text = format!("{metadata} bytes of metadata in {}, more than {METADATA_BYTES_MAX}", labels());
            (RejectReason::TooLarge, text)
        })
    }

    fn span(&self, span: &Span) -> Option<(RejectReason, String)> {
        if span.trace_id.is_zero() || span.span_id.is_zero() {
            return Some((
                RejectReason::Invalid,
                format!("span {:?} has no trace id or no span id", short(&span.name)),
            ));
        }
        let nested = fits(&span.attributes) && span.events.iter().all(|event| fits(&event.attributes));
        let around = fits(&span.resource.attributes) && fits(&span.scope.attributes);
        if !nested || !around || !span.links.iter().all(|link| fits(&link.attributes)) {
            return Some((
                RejectReason::Invalid,
                format!("attributes of span {:?} are nested too deep", short(&span.name)),
            ));
        }
        let bytes = span_size(span);
        if bytes > self.span_bytes {
            let text = format!("span {:?} takes {bytes} bytes, more than {}", short(&span.name), self.span_bytes);
            return Some((RejectReason::TooLarge, text));
        }
        self.time(span.start_ns, || format!("span {:?} of {}", short(&span.name), span.resource.service_name()))
    }

    fn time(&self, time_ns: i64, whose: impl Fn() -> String) -> Option<(RejectReason, String)> {
        let seconds = |ns: i64| ns as f64 / 1e9;
        if time_ns < self.oldest_ns {
            let text = format!("{}: time {} is before the retention", whose(), seconds(time_ns));
            return Some((RejectReason::TooOld, text));
        }
        (time_ns > self.newest_ns).then(|| {
            let text = format!("{}: time {} is too far ahead of the clock", whose(), seconds(time_ns));
            (RejectReason::TooFarInFuture, text)
        })
    }
}

fn short(text: &str) -> String {
    text.chars().take(100).collect()
}
