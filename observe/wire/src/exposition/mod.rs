//! Prometheus's text formats, both ways: 0.0.4 and OpenMetrics 1.0.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/> and the OpenMetrics specification. Reading gives rows in
//! the order of the text; what labels they get from their target is the scraper's matter. Knows no targets and no clock.

mod cursor;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub use read::{ExemplarRow, ExpositionError, Item, Row, parse};
pub use write::{ExemplarOf, TextWriter, format_float};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `text/plain; version=0.0.4`, also what is taken when a target does not say.
    Prometheus,
    /// `application/openmetrics-text; version=1.0.0`
    OpenMetrics,
}

impl Format {
    pub fn from_content_type(content_type: &str) -> Self {
        let media = content_type.split(';').next().unwrap_or_default().trim();
        if media.eq_ignore_ascii_case("application/openmetrics-text") {
            Format::OpenMetrics
        } else {
            Format::Prometheus
        }
    }

    /// The better of the two that an `Accept` header allows: OpenMetrics only when asked for by name.
    pub fn from_accept(accept: &str) -> Self {
        accept
            .split(',')
            .map(Format::from_content_type)
            .find(|f| *f == Format::OpenMetrics)
            .unwrap_or(Format::Prometheus)
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
        }
    }

    /// What a scraper sends as `Accept`.
    pub const ACCEPT: &str =
        "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
}
