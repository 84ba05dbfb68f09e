//! Bytes to signal and back: OTLP, remote write, Prometheus text, Loki push, Jaeger.
