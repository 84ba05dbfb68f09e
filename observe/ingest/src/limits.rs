//! What one item may be like: number and size of labels, size of lines, how far from now its time may be.
//!
//! Items past a limit are left out and counted by reason; the rest of the request goes on. Knows no store: limits on how
//! many series exist, and on order, are the store's.

use base_signal::{LabelArena, LabelsRef, Span};
use observe_source::{Appended, LogWrite, MetricWrite, RejectReason, SpanWrite};
use serde::Deserialize;

/// Settings; 0 turns one off.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct IngestLimits {
    pub label_names_max: usize,
    pub label_name_max_bytes: usize,
    pub label_value_max_bytes: usize,
    pub line_max_bytes: usize,
    /// Pairs of structured metadata in one log entry.
    pub metadata_pairs_max: usize,
    /// Names and values of one entry's structured metadata together.
    pub metadata_max_bytes: usize,
    /// Attributes of one span, its events and links included.
    pub span_attributes_max: usize,
    /// Names, attribute texts and events of one span together.
    pub span_max_bytes: usize,
    /// How far ahead of our clock a time may be.
    pub future_max_ms: i64,
    /// How far behind our clock a time may be.
    pub past_max_ms: i64,
}

impl Default for IngestLimits {
    /// Mimir's for labels (with more of them), Loki's for lines and metadata, Prometheus's 10 minutes for the future.
    fn default() -> Self {
        IngestLimits {
            label_names_max: 64,
            label_name_max_bytes: 1024,
            label_value_max_bytes: 2048,
            line_max_bytes: 256 << 10,
            metadata_pairs_max: 128,
            metadata_max_bytes: 64 << 10,
            span_attributes_max: 1024,
            span_max_bytes: 1 << 20,
            future_max_ms: 10 * 60 * 1000,
            past_max_ms: 0,
        }
    }
}

type Refusal = (RejectReason, String);

fn over(limit: usize, found: usize) -> bool {
    limit != 0 && found > limit
}

fn shorten(text: &str) -> String {
    const MAX: usize = 120;
    if text.chars().count() <= MAX { text.to_owned() } else { text.chars().take(MAX).chain("…".chars()).collect() }
}

impl IngestLimits {
    fn labels(&self, labels: LabelsRef<'_>) -> Result<(), Refusal> {
        // A set this short cannot pass any limit: a pair takes four bytes at least.
        let bytes = labels.as_bytes().len();
        let short = !over(self.label_name_max_bytes, bytes) && !over(self.label_value_max_bytes, bytes);
        if short && !over(self.label_names_max, bytes / 4) {
            return Ok(());
        }
        let mut count = 0;
        for (name, value) in labels.iter() {
            count += 1;
            if over(self.label_name_max_bytes, name.len()) {
                let (found, limit) = (name.len(), self.label_name_max_bytes);
                let why = format!("label name {:?} has {found} bytes, more than {limit}", shorten(name));
                return Err((RejectReason::LabelLimit, why));
            }
            if over(self.label_value_max_bytes, value.len()) {
                let (found, limit) = (value.len(), self.label_value_max_bytes);
                let why = format!("value of label {name:?} has {found} bytes, more than {limit}: {:?}", shorten(value));
                return Err((RejectReason::LabelLimit, why));
            }
        }
        if over(self.label_names_max, count) {
            let limit = self.label_names_max;
            let why = format!("{count} labels, more than {limit}: {}", shorten(&labels.to_labels().to_string()));
            return Err((RejectReason::LabelLimit, why));
        }
        Ok(())
    }

    fn time(&self, time_ms: i64, now_ms: i64) -> Result<(), Refusal> {
        let ahead_ms = time_ms.saturating_sub(now_ms);
        if self.future_max_ms != 0 && ahead_ms > self.future_max_ms {
            let why = format!("time {time_ms} ms is {} s ahead of the server's clock", ahead_ms / 1000);
            return Err((RejectReason::TooFarInFuture, why));
        }
        let behind_ms = now_ms.saturating_sub(time_ms);
        if self.past_max_ms != 0 && behind_ms > self.past_max_ms {
            let why = format!("time {time_ms} ms is {} s behind the server's clock", behind_ms / 1000);
            return Err((RejectReason::TooOld, why));
        }
        Ok(())
    }

    /// Leaves out of `write` what is past a limit and tells how much. `now_ms` is Unix milliseconds.
    pub fn metrics(&self, write: &mut MetricWrite, now_ms: i64) -> Appended {
        let mut rejects = Appended::default();
        let refused = self.arena(&mut write.series, |old, map| {
            let MetricWrite { samples, histograms, exemplars, created, starts, increases, .. } = write;
            samples.iter_mut().for_each(|(series, ..)| *series = map(*series, old));
            histograms.iter_mut().for_each(|(series, ..)| *series = map(*series, old));
            exemplars.iter_mut().for_each(|(series, _)| *series = map(*series, old));
            created.iter_mut().for_each(|(series, _)| *series = map(*series, old));
            starts.iter_mut().for_each(|(series, ..)| *series = map(*series, old));
            increases.iter_mut().for_each(|increase| increase.series = map(increase.series, old));
        });
        let mut keep = |series: u32, time_ms: i64| {
            let verdict = refused.of(series).and_then(|()| self.time(time_ms, now_ms));
            verdict.map_err(|(reason, why)| rejects.reject(reason, || why)).is_ok()
        };
        write.samples.retain(|(series, time_ms, _)| keep(*series, *time_ms));
        write.histograms.retain(|(series, time_ms, _)| keep(*series, *time_ms));
        write.exemplars.retain(|(series, exemplar)| keep(*series, exemplar.time_ms));
        write.increases.retain(|increase| keep(increase.series, increase.time_ms));
        write.starts.retain(|(series, ..)| refused.of(*series).is_ok());
        write.created.retain(|(series, _)| refused.of(*series).is_ok());
        rejects
    }

    /// Leaves out of `write` what is past a limit and tells how much. `now_ns` is Unix nanoseconds.
    pub fn logs(&self, write: &mut LogWrite, now_ns: i64) -> Appended {
        let mut rejects = Appended::default();
        let entries = &mut write.entries;
        let refused = self.arena(&mut write.streams, |old, map| {
            entries.iter_mut().for_each(|entry| entry.stream = map(entry.stream, old));
        });
        write.entries.retain(|entry| {
            let verdict = refused
                .of(entry.stream)
                .and_then(|()| self.time(entry.time_ns / 1_000_000, now_ns / 1_000_000))
                .and_then(|()| self.line(&entry.line))
                .and_then(|()| self.metadata(&entry.metadata));
            verdict.map_err(|(reason, why)| rejects.reject(reason, || why)).is_ok()
        });
        rejects
    }

    fn line(&self, line: &str) -> Result<(), Refusal> {
        if !over(self.line_max_bytes, line.len()) {
            return Ok(());
        }
        let (found, limit) = (line.len(), self.line_max_bytes);
        Err((RejectReason::TooLarge, format!("a line of {found} bytes, more than {limit}: {:?}", shorten(line))))
    }

    fn metadata(&self, metadata: &[(String, String)]) -> Result<(), Refusal> {
        if over(self.metadata_pairs_max, metadata.len()) {
            let (found, limit) = (metadata.len(), self.metadata_pairs_max);
            return Err((RejectReason::LabelLimit, format!("{found} pairs of structured metadata, more than {limit}")));
        }
        let bytes: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        if over(self.metadata_max_bytes, bytes) {
            let limit = self.metadata_max_bytes;
            return Err((RejectReason::TooLarge, format!("{bytes} bytes of structured metadata, more than {limit}")));
        }
        Ok(())
    }

    /// Leaves out of `write` what is past a limit and tells how much. `now_ns` is Unix nanoseconds.
    pub fn spans(&self, write: &mut SpanWrite, now_ns: i64) -> Appended {
        let mut rejects = Appended::default();
        write.spans.retain(|span| {
            let verdict = self.time(span.start_ns / 1_000_000, now_ns / 1_000_000).and_then(|()| self.span(span));
            verdict.map_err(|(reason, why)| rejects.reject(reason, || why)).is_ok()
        });
        rejects
    }

    fn span(&self, span: &Span) -> Result<(), Refusal> {
        let events: usize = span.events.iter().map(|event| event.attributes.len()).sum();
        let links: usize = span.links.iter().map(|link| link.attributes.len()).sum();
        let attributes = span.attributes.len() + events + links;
        if over(self.span_attributes_max, attributes) {
            let (name, limit) = (shorten(&span.name), self.span_attributes_max);
            return Err((
                RejectReason::LabelLimit,
                format!("span {name:?} has {attributes} attributes, more than {limit}"),
            ));
        }
        let bytes = crate::span_metrics::span_size_bytes(span);
        if over(self.span_max_bytes, usize::try_from(bytes).unwrap_or(usize::MAX)) {
            let (name, limit) = (shorten(&span.name), self.span_max_bytes);
            return Err((RejectReason::TooLarge, format!("span {name:?} has {bytes} bytes, more than {limit}")));
        }
        Ok(())
    }

    /// Checks every set once. When some are refused, the arena is rebuilt without them (a store may register whatever an
    /// arena holds) and `renumber` is told how: good sets get their new index, refused ones an index past the end.
    fn arena(&self, arena: &mut LabelArena, renumber: impl FnOnce(&[u32], &dyn Fn(u32, &[u32]) -> u32)) -> Refused {
        let mut refused = Refused::default();
        for (index, set) in arena.iter().enumerate() {
            if let Err(refusal) = self.labels(set) {
                refused.by_old.push((index as u32, refusal));
            }
        }
        if refused.by_old.is_empty() {
            return refused;
        }
        let mut rebuilt = LabelArena::default();
        let mut new_index = Vec::with_capacity(arena.len());
        let mut bad = refused.by_old.iter().map(|(index, _)| *index).peekable();
        let good = (arena.len() - refused.by_old.len()) as u32;
        let mut next_bad = good;
        for (index, set) in arena.iter().enumerate() {
            if bad.next_if_eq(&(index as u32)).is_some() {
                new_index.push(next_bad);
                next_bad += 1;
            } else {
                new_index.push(rebuilt.push_set(set));
            }
        }
        *arena = rebuilt;
        refused.from = good;
        renumber(&new_index, &|index, map| map.get(index as usize).copied().unwrap_or(u32::MAX));
        refused
    }
}

/// Refused sets; after the arena was rebuilt their indices are `from`, `from + 1`, ….
#[derive(Default)]
struct Refused {
    by_old: Vec<(u32, Refusal)>,
    from: u32,
}

impl Refused {
    fn of(&self, series: u32) -> Result<(), Refusal> {
        if self.by_old.is_empty() || series < self.from {
            return Ok(());
        }
        let refusal = self.by_old.get((series - self.from) as usize);
        // An index that no decoder makes: the item points at nothing.
        Err(refusal
            .map_or_else(|| (RejectReason::Invalid, "an item without a series".to_owned()), |(_, why)| why.clone()))
    }
}

#[cfg(test)]
mod tests {
    use base_signal::{LogEntry, Value};

    use super::*;

    fn small() -> IngestLimits {
        IngestLimits {
            label_names_max: 3,
            label_name_max_bytes: 10,
            label_value_max_bytes: 10,
            line_max_bytes: 10,
            metadata_pairs_max: 2,
            metadata_max_bytes: 20,
            span_attributes_max: 2,
            span_max_bytes: 200,
            future_max_ms: 1000,
            past_max_ms: 5000,
        }
    }

    fn check_metric(labels: &[(&str, &str)], time_ms: i64, expect: &str) {
        let mut write = MetricWrite::default();
        let good = write.series.push(&mut vec![("__name__", "good")]);
        let series = write.series.push(&mut labels.to_vec());
        let after = write.series.push(&mut vec![("__name__", "after")]);
        write.samples = vec![(good, 100_000, 1.0), (series, time_ms, 2.0), (after, 100_000, 3.0)];
        let message = small().metrics(&mut write, 100_000).message();
        assert_eq!(message, expect);
        let names: Vec<_> = write.samples.iter().map(|(s, ..)| write.series.get(*s).get("__name__").unwrap()).collect();
        let kept = if expect.is_empty() { vec!["good", labels[0].1, "after"] } else { vec!["good", "after"] };
        assert_eq!(names, kept);
    }

    #[test]
    fn metrics() {
        check_metric(&[("__name__", "up")], 100_000, "");
        check_metric(&[("__name__", "up")], 101_000, "");
        check_metric(
            &[("__name__", "up")],
            102_001,
            "1 too_far_in_future (first: time 102001 ms is 2 s ahead of the server's clock)",
        );
        check_metric(
            &[("__name__", "up")],
            94_000,
            "1 too_old (first: time 94000 ms is 6 s behind the server's clock)",
        );
        check_metric(
            &[("__name__", "up"), ("a", "1"), ("b", "2"), ("c", "3")],
            100_000,
            "1 label_limit (first: 4 labels, more than 3: {__name__=\"up\", a=\"1\", b=\"2\", c=\"3\"})",
        );
        check_metric(
            &[("__name__", "up"), ("abcdefghijk", "1")],
            100_000,
            "1 label_limit (first: label name \"abcdefghijk\" has 11 bytes, more than 10)",
        );
        check_metric(
            &[("__name__", "up"), ("a", "12345678901")],
            100_000,
            "1 label_limit (first: value of label \"a\" has 11 bytes, more than 10: \"12345678901\")",
        );
    }

    #[test]
    fn refused_series_leave_the_arena() {
        let mut write = MetricWrite::default();
        write.series.push(&mut vec![("__name__", "12345678901")]);
        let good = write.series.push(&mut vec![("__name__", "good")]);
        write.samples = vec![(0, 100_000, 1.0), (0, 100_000, 1.0), (good, 100_000, 1.0)];
        write.created = vec![(0, 1), (good, 2)];
        assert_eq!(small().metrics(&mut write, 100_000).rejected_count(), 2);
        assert_eq!((write.series.len(), write.samples.as_slice()), (1, &[(0, 100_000, 1.0)][..]));
        assert_eq!(write.created, [(0, 2)]);
    }

    fn check_log(line: &str, metadata: &[(&str, &str)], expect: &str) {
        let mut write = LogWrite::default();
        let stream = write.streams.push(&mut vec![("a", "b")]);
        let metadata = metadata.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        write.entries.push(LogEntry { stream, time_ns: 0, line: line.to_owned(), metadata });
        assert_eq!(small().logs(&mut write, 0).message(), expect);
        assert_eq!(write.entries.is_empty(), !expect.is_empty());
    }

    #[test]
    fn logs() {
        check_log("0123456789", &[("a", "b"), ("c", "d")], "");
        check_log("0123456789x", &[], "1 too_large (first: a line of 11 bytes, more than 10: \"0123456789x\")");
        check_log(
            "x",
            &[("a", "b"), ("c", "d"), ("e", "f")],
            "1 label_limit (first: 3 pairs of structured metadata, more than 2)",
        );
        check_log(
            "x",
            &[("a", "01234567890123456789")],
            "1 too_large (first: 21 bytes of structured metadata, more than 20)",
        );
    }

    #[test]
    fn spans() {
        let text = |len: usize| Value::String("x".repeat(len));
        let span = |attributes: usize, len: usize| Span {
            name: "s".into(),
            attributes: (0..attributes).map(|i| (i.to_string(), text(len))).collect(),
            ..Span::default()
        };
        let mut write = SpanWrite { spans: vec![span(2, 1), span(3, 1), span(1, 300)] };
        let rejects = small().spans(&mut write, 0);
        assert_eq!(write.spans.len(), 1);
        assert_eq!(rejects.rejected[&RejectReason::LabelLimit].example, "span \"s\" has 3 attributes, more than 2");
        assert!(rejects.rejected[&RejectReason::TooLarge].example.ends_with("bytes, more than 200"));
    }
}
