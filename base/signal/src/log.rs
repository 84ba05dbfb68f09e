//! Log records in Loki's shape: a stream's labels, then entries of time, line and structured metadata.

/// How bad a record says it is: OpenTelemetry's severity numbers folded to their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    #[default]
    Unknown,
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl Severity {
    /// From OpenTelemetry's 1..=24; anything else is unknown.
    pub fn from_number(number: i64) -> Self {
        match number {
            1..=4 => Severity::Trace,
            5..=8 => Severity::Debug,
            9..=12 => Severity::Info,
            13..=16 => Severity::Warn,
            17..=20 => Severity::Error,
            21..=24 => Severity::Fatal,
            _ => Severity::Unknown,
        }
    }

    /// Loki's word for `detected_level`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Unknown => "unknown",
            Severity::Trace => "trace",
            Severity::Debug => "debug",
            Severity::Info => "info",
            Severity::Warn => "warn",
            Severity::Error => "error",
            Severity::Fatal => "fatal",
        }
    }
}

/// One line of a stream. `stream` is an index into the `LabelArena` that travels with it.
#[derive(Clone, Debug, PartialEq)]
pub struct LogEntry {
    pub stream: u32,
    pub time_ns: i64,
    pub line: String,
    /// Structured metadata, sorted by name; trace ids are the pairs `trace_id` and `span_id` in lower-case hex.
    pub metadata: Vec<(String, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_numbers_have_lokis_words() {
        let table = [
            (0, "unknown"),
            (1, "trace"),
            (4, "trace"),
            (5, "debug"),
            (9, "info"),
            (12, "info"),
            (13, "warn"),
            (17, "error"),
            (24, "fatal"),
            (25, "unknown"),
            (-1, "unknown"),
        ];
        for (number, word) in table {
            assert_eq!(Severity::from_number(number).as_str(), word, "{number}");
        }
    }
}
