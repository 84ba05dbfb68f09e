//! What can be wrong when telemetry is set up, each with what to do about it.

/// Why telemetry could not be set up. The service itself can still run without it; whether it should is the caller's
/// choice.
#[derive(Debug, thiserror::Error)]
pub enum InstrumentError {
    /// An environment variable holds something that cannot be honoured.
    #[error("{variable} is `{value}`: {problem}\n  hint: {hint}")]
    Setting {
        /// The variable, for example `OTEL_EXPORTER_OTLP_PROTOCOL`.
        variable: String,
        /// What it holds.
        value: String,
        /// Why that does not work.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// The OTLP library refused the settings of one signal.
    #[error(
        "no exporter for {signal} to {endpoint}: {reason}\n  hint: check the OTEL_EXPORTER_OTLP_* variables; \
         an endpoint looks like http://localhost:4318"
    )]
    Exporter {
        /// `traces`, `metrics` or `logs`.
        signal: &'static str,
        /// Where it was to go.
        endpoint: String,
        /// The library's own words.
        reason: String,
    },
    /// Another `tracing` subscriber was installed first.
    #[error(
        "a tracing subscriber is already installed, so spans and logs would not reach OpenTelemetry\n  hint: call \
         Instrument::install() first thing in main, and drop any other tracing_subscriber init()"
    )]
    AlreadyInstalled,
    /// The thread that delivers telemetry could not start.
    #[error(
        "the thread that delivers telemetry could not start: {reason}\n  hint: check the limit on threads (ulimit -u)"
    )]
    Thread {
        /// The operating system's words.
        reason: String,
    },
}

impl InstrumentError {
    pub(crate) fn setting(
        variable: impl Into<String>,
        value: impl Into<String>,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::Setting { variable: variable.into(), value: value.into(), problem: problem.into(), hint: hint.into() }
    }
}
