//! One call sets up OpenTelemetry for a Rust service.
