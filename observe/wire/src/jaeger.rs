//! Jaeger.
